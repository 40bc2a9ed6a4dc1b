/** Pages as they are served: under which policies, headers and surroundings the library works, or says why not. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';

import { loadClip } from '../../js/index.js';
import { ENGINES } from './engines.js';
import { serve } from './server.js';
import { CLASSES, EXAMPLES, MODEL, scoresOf } from './task.js';

const ROOT = path.resolve(import.meta.dirname, '../..');
const FACE = EXAMPLES.find(({ image }) => image.endsWith('07-twemoji.png'))?.image;
const COEP = 'Cross-Origin-Embedder-Policy';
const CSP = 'Content-Security-Policy';

const clip = await loadClip(path.join(ROOT, MODEL));
const [expected] = await scoresOf(await clip.zeroShot(CLASSES), [path.join(ROOT, FACE)]);
await clip.dispose();

const isPage = (pathname) => pathname === '/' || pathname === '/electron';
const added = (headers, directives) => ({ ...headers, [CSP]: `${headers[CSP]}; ${directives}` });
const withoutWorkers = (headers) => ({
  ...headers,
  [CSP]: headers[CSP].replace(/worker-src [^;]*/, "worker-src 'none'"),
});

/**
 * @typedef {object} Visit what a page is served, and what is seen there
 * @property {boolean} [isolated] default true
 * @property {string} [page]
 * @property {(pathname: string, headers: Record<string, string>) => Record<string, string>} [change] of headers
 * @property {RegExp | null} [printed] what the page's console has of the library: nothing; null: its worker's has
 * @property {RegExp} [refused] the error with worker: true; none
 * @property {boolean} [alone] whether it has one thread
 */
/** @returns {Record<string, Visit>} */
const visits = (engine) => ({
  'isolation headers on the page alone': {
    change: (pathname, { [COEP]: policy, ...headers }) => (isPage(pathname) ? { ...headers, [COEP]: policy } : headers),
    printed: /computes in the page.*worker\.js lacks the header Cross-Origin-Embedder-Policy; send/,
    refused: /^environment: the worker could not be started: .* lacks the header/,
    alone: true,
  },
  'isolation headers on all but the threads': {
    change: (pathname, { [COEP]: policy, ...headers }) =>
      pathname.endsWith('mudpt.mjs') ? headers : { ...headers, [COEP]: policy },
    printed: null,
    alone: true,
  },
  'no workers by policy': {
    isolated: false,
    change: (_, headers) => withoutWorkers(headers),
    printed: /computes in the page.*(Content-Security-Policy forbids it|may start no worker).*; allow it by worker-src/,
    refused: /^environment: the .*(forbids it|may start no worker).*; allow it by worker-src/,
    alone: true,
  },
  'no threads by policy': {
    change: (pathname, headers) => (pathname.endsWith('worker.js') ? withoutWorkers(headers) : headers),
    printed: null,
    alone: engine !== 'firefox', // which does not ask the worker's own policy
  },
  'Trusted Types, with our policy': {
    change: (_, headers) => added(headers, "require-trusted-types-for 'script'; trusted-types mudpt"),
  },
  'Trusted Types, without it': {
    isolated: false,
    change: (_, headers) => added(headers, "require-trusted-types-for 'script'; trusted-types other"),
    printed: /computes in the page.*trusted-types mudpt/,
    refused: /^environment: the page may start no worker: .*"trusted-types mudpt"/,
    alone: true,
  },
  'isolated by credentialless': {
    change: (_, headers) => ({ ...headers, [COEP]: 'credentialless' }),
  },
  'a process in the page, as Electron has': { page: 'electron' },
});

const wanted = process.env.MUDPT_ENGINES?.split(',') ?? Object.keys(ENGINES);
for (const engine of wanted) {
  test(engine, async (engineTest) => {
    const browser = await ENGINES[engine]();
    engineTest.after(() => browser.close());
    for (const [name, { isolated = true, page = '', change, printed, refused, alone }] of Object.entries(
      visits(engine),
    )) {
      await engineTest.test(name, async (pageTest) => {
        const server = await serve({ isolated, change });
        pageTest.after(() => server.close());
        await browser.open(server.url + page);
        const has = await browser.evaluate(`return {
          isolation: crossOriginIsolated, threads: crossOriginIsolated && typeof SharedArrayBuffer === 'function',
          types: typeof trustedTypes === 'object' }`);
        const visit = (options) => browser.evaluate(`return visit(${JSON.stringify(options)})`);
        const got = await visit({ threads: 2 });
        assert.equal(got.error, '');
        expected.forEach((score, i) => assert.ok(Math.abs(score - got.scores[i]) <= 1e-4, `${got.scores}`));
        const lines = got.printed.filter((line) => line.startsWith('mudpt'));
        // What the engine does not know changes nothing.
        if (!has.types && name.startsWith('Trusted Types')) return;
        if (isolated && !has.isolation) return;
        assert.equal(got.threads, alone || !has.threads ? 1 : 2);
        if (printed === null) return;
        if (!printed) assert.deepEqual([lines, got.violations, got.workers.length], [[], [], 1]);
        else
          assert.ok(
            lines.some((line) => printed.test(line)),
            lines.join(),
          );
        if (refused) assert.match((await visit({ threads: 2, worker: true })).error, refused);
      });
    }
  });
}
