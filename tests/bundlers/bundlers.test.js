/**
 * The package as it is packed, in fresh apps: built with every bundler and run in Chromium, compiled by TypeScript,
 * examined by linters of packages, and the Node tests with several versions of Node. Frameworks and other runtimes are
 * in frameworks.test.js.
 */
import assert from 'node:assert/strict';
import { cpSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';

import { loadClip } from '../../js/index.js';
import { ENGINES } from '../browser/engines.js';
import { CLASSES, EXAMPLES } from '../browser/task.js';
import { startServer } from '../node/http-servers.js';
import { APPS, NEW_PICTURE, writeApp } from './apps.js';
import { ROOT, WORK, packed, run } from './fresh.js';

const TOLERANCE = 1e-4;
const ANSWER_MS = 120_000;

const { tarball, install } = await packed('apps');

describe('an app', () => {
  /** What Node says of the same pictures with the same settings. */
  let expected;
  before(async () => {
    const clip = await loadClip(path.join(ROOT, 'models/pictoclip'));
    const examples = EXAMPLES.map(({ image, label }) => ({ image: path.join(ROOT, image), label }));
    const classifier = await clip.tune({ classes: CLASSES, examples }).finished;
    expected = await classifier.classify(path.join(ROOT, NEW_PICTURE.image));
    await clip.dispose();
    assert.equal(expected[0].label, NEW_PICTURE.label);
  });

  /** Opens a page and checks what it prints. */
  async function checkPage(url, isolated) {
    const browser = await ENGINES.chromium();
    try {
      await browser.open(url);
      // A page that a service worker isolates loads itself again.
      for (const end = Date.now() + ANSWER_MS; ; await new Promise((resolve) => setTimeout(resolve, 200))) {
        assert.ok(Date.now() < end, 'there was no answer');
        const state = await browser.evaluate('return [printed, failed, crossOriginIsolated]').catch(() => null);
        if (!state) continue;
        const [printed, failed, nowIsolated] = state;
        assert.deepEqual(failed, []);
        if (!Array.isArray(printed.at(-1)?.[0])) continue;
        const answer = printed.at(-1)[0];
        assert.deepEqual(
          answer.map(({ label }) => label),
          expected.map(({ label }) => label),
        );
        answer.forEach(({ score }, i) => assert.ok(Math.abs(score - expected[i].score) <= TOLERANCE, `${score}`));
        assert.match(printed[0][0], /^step 1 of 30, loss \d\.\d{3}$/);
        assert.equal(nowIsolated, isolated);
        return;
      }
    } finally {
      await browser.close();
    }
  }

  for (const [name, app] of Object.entries(APPS)) {
    test(name, async (t) => {
      const { folder, npm } = install(name);
      writeApp(app, folder);
      await npm();
      if (app.build) await run(app.build, { cwd: folder });
      const served = path.join(folder, app.served);
      cpSync(path.join(folder, 'public'), served, { recursive: true });
      if (app.script !== '/main.js') cpSync(path.join(folder, 'index.html'), path.join(served, 'index.html'));
      const server = await startServer({ root: served });
      t.after(() => server.close());
      await checkPage(`${server.url}index.html`, app.isolated ?? false);
    });
  }

  for (const [tool, optimizeDeps] of Object.entries({ vite: {}, 'vite-7': { exclude: ['mudpt'] } }))
    test(`${tool}, development server`, async (t) => {
      const { folder, npm } = install(`${tool}-dev`);
      writeApp(APPS.vite, folder);
      await npm();
      const { createServer } = await import(path.join(WORK, `node_modules/${tool}/dist/node/index.js`));
      const options = { root: folder, logLevel: 'error', server: { host: '127.0.0.1' }, optimizeDeps };
      const server = await createServer(options);
      t.after(() => server.close());
      await server.listen();
      await checkPage(server.resolvedUrls.local[0], false);
    });
});

describe('types', () => {
  for (const [resolution, module] of [
    ['bundler', 'esnext'],
    ['nodenext', 'nodenext'],
  ]) {
    test(`an app under strict, moduleResolution ${resolution}`, async () => {
      const { folder, npm } = install(`typescript-${resolution}`);
      cpSync(path.join(import.meta.dirname, 'strict'), folder, { recursive: true });
      const compilerOptions = {
        ...{ strict: true, noEmit: true, target: 'es2022', module, moduleResolution: resolution },
        ...{ lib: ['es2022', 'dom', 'dom.iterable'], types: [], skipLibCheck: false },
        ...{
          noUncheckedIndexedAccess: true,
          exactOptionalPropertyTypes: true,
          noPropertyAccessFromIndexSignature: true,
        },
      };
      writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions }));
      writeFileSync(path.join(folder, 'package.json'), '{ "name": "app", "private": true, "type": "module" }\n');
      await npm();
      await run(`"${path.join(ROOT, 'node_modules/.bin/tsc')}" -p .`, { cwd: folder });
    });
  }
});

describe('linters of packages have nothing to say', () => {
  test('publint', async () => {
    const output = await run(`publint run "${tarball}" --strict`);
    assert.match(output, /All good!/);
  });

  // The package is ESM alone: what it would be to require() or to resolution that knows no "exports" does not matter.
  test('are-the-types-wrong', async () => {
    const { problems, analysis } = JSON.parse(await run(`attw "${tarball}" --profile esm-only --format json`));
    assert.deepEqual(Object.keys(analysis.entrypoints), ['.', './pictoclip', './onnx', './package.json']);
    const told = Object.values(problems ?? {}).flat();
    assert.deepEqual(
      told.filter(({ resolutionKind }) => !['node10', 'node16-cjs'].includes(resolutionKind)),
      [],
    );
  });
});

describe('the Node tests', () => {
  const { optionalDependencies } = JSON.parse(readFileSync(path.join(import.meta.dirname, 'package.json'), 'utf8'));
  for (const name of Object.keys(optionalDependencies).filter((one) => one.startsWith('node-'))) {
    test(name, { timeout: 1_200_000 }, async (t) => {
      const node = path.join(WORK, 'node_modules', name, 'bin/node');
      const files = readdirSync(path.join(ROOT, 'tests/node')).filter((file) => file.endsWith('.test.js'));
      const paths = files.map((file) => `tests/node/${file}`).join(' ');
      // Without its context this is no part of the present run, which Node would skip.
      const env = { PATH: `${path.dirname(node)}:${process.env.PATH}`, NODE_TEST_CONTEXT: undefined };
      const output = await run(`"${node}" --version && "${node}" --test --test-reporter=tap ${paths}`, {
        cwd: ROOT,
        env,
      });
      const [version] = output.split('\n');
      const [pass, fail] = ['pass', 'fail'].map((word) =>
        Number(output.match(new RegExp(`^# ${word} (\\d+)$`, 'm'))?.[1]),
      );
      t.diagnostic(`${version}: ${pass} passed, ${fail} failed`);
      assert.ok(pass > 500 && fail === 0, output.slice(-2000));
    });
  }
});
