/**
 * Random interleavings of everything that happens to what is kept: loads, some of them at once, clear and delete while
 * they run, new weights under the same address, servers that tell versions apart and servers that do not, answers that
 * are wrong, no connection, loads that are given up. Whatever the order: no load ever gets bytes of two versions, or
 * of one that was not there; what is whole and current is not lost; nothing stays that list() does not show.
 *
 * A failure names its seed: MUDPT_SEED=123 node --test tests/trust/cache.test.js runs that one alone; MUDPT_RUNS says
 * how many there are (./run soak cache 10000).
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { MudptError } from '../../js/base/errors.js';
import { cache } from '../../js/index.js';
import { writeSafetensors } from '../../js/loading/safetensors.js';
import { loadFrom, openSource, readText } from '../../js/files/source.js';
import { count } from './table.js';

const RUNS = Number(process.env.MUDPT_RUNS ?? 40);
const STEPS = 14;
/** Larger than the first request, so that a load has several. */
const VALUES = 300_000;
const FILES = ['model.safetensors', 'config.json', 'preprocessor_config.json'];
const FAULTS = ['gone', 'login', 'busy', 'drop', 'cut'];
const PAGE = '<!doctype html><title>Sign in</title>';

/** @type {string} */
let folder;
/** @type {Map<number, Record<string, Buffer>>} files of each version; every value of the weights is the version */
const versions = new Map();

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'mudpt-cache-'));
  process.env.MUDPT_CACHE = folder;
});
after(() => rm(folder, { recursive: true, force: true }));

function filesOf(version) {
  let files = versions.get(version);
  if (!files) {
    const data = new Float32Array(VALUES).fill(version);
    const json = Buffer.from(JSON.stringify({ version, filler: 'x'.repeat(5000), end: version }));
    files = {
      [FILES[0]]: Buffer.from(writeSafetensors([{ name: 'w', dtype: 'F32', shape: [VALUES], data }])),
      [FILES[1]]: json,
      // A file that only every other version has.
      ...(version % 2 && { [FILES[2]]: json }),
    };
    versions.set(version, files);
  }
  return files;
}

/** Numbers from 0 to below `below` that depend on the seed alone. */
function generator(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** A server whose files, manners and faults change. */
async function startServer() {
  const state = { version: 1, validator: true, fault: '', times: 0, ranges: true, url: '', close: async () => {} };
  const server = createServer((request, response) => {
    const name = new URL(request.url ?? '', 'http://x').pathname.slice(1);
    const fault = state.times > 0 && state.times-- > 0 ? state.fault : '';
    if (fault === 'drop') return request.socket.destroy();
    if (fault === 'gone' || fault === 'busy') return response.writeHead(fault === 'gone' ? 404 : 503).end();
    if (fault === 'login') return response.writeHead(200, { 'content-type': 'text/html' }).end(PAGE);
    const bytes = filesOf(state.version)[name];
    if (!bytes) return response.writeHead(404).end();
    const headers = state.validator ? { etag: `"v${state.version}"` } : {};
    const wanted = state.ranges && /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const [begin, end] = wanted
      ? [Number(wanted[1]), Math.min(Number(wanted[2] || 1e9) + 1, bytes.length)]
      : [0, bytes.length];
    if (begin >= end) return response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
    response.writeHead(wanted ? 206 : 200, {
      ...headers,
      'content-length': end - begin,
      ...(wanted && { 'content-range': `bytes ${begin}-${end - 1}/${bytes.length}` }),
    });
    const cut = fault === 'cut' ? begin + Math.floor((end - begin) / 2) : end;
    response.write(bytes.subarray(begin, cut), () => (cut < end ? response.destroy() : response.end()));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  state.url = `http://127.0.0.1:${/** @type {any} */ (server.address()).port}/`;
  state.close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  };
  return state;
}

/** The version that all files of the model are of, read in pieces as a model is. */
async function load(url, { signal, rows = false } = {}) {
  const source = await openSource(url, { signal, timeout: 2000, retryDelays: [1, 1] });
  return loadFrom(source, async () => {
    const seen = new Set();
    const weights = await source.open(FILES[0]);
    if (!weights) throw new MudptError('file', 'no weights');
    try {
      const length = new DataView(new Uint8Array(await weights.read(0, 8)).buffer).getUint32(0, true);
      JSON.parse(new TextDecoder().decode(await weights.read(8, length)));
      const see = (bytes) => {
        for (const value of new Float32Array(new Uint8Array(bytes).buffer)) seen.add(value);
      };
      // In an order of its own: the end first, then all, so that there are parts before and behind gaps.
      const begin = 8 + length;
      if (weights.ranges && weights.steady !== false) see(await weights.read(begin + 4 * (VALUES - 1000), 4000));
      let rest = new Uint8Array(0);
      let total = 0;
      for await (const piece of weights.stream(begin, 4 * (rows ? VALUES / 2 : VALUES))) {
        const bytes = Buffer.concat([rest, piece]);
        const whole = bytes.length - (bytes.length % 4);
        see(bytes.subarray(0, whole));
        rest = bytes.subarray(whole);
        total += piece.length;
      }
      if (total !== 4 * (rows ? VALUES / 2 : VALUES)) throw new MudptError('model', `${weights.name}: is cut short`);
    } finally {
      await weights.close();
    }
    for (const name of FILES.slice(1)) {
      const file = await source.open(name);
      if (!file) {
        seen.add(name === FILES[2] ? 'none' : 'lost');
        continue;
      }
      const { version, end } = JSON.parse(await readText(file));
      seen.add(version).add(end);
      await file.close();
    }
    return seen;
  });
}

/** Everything that lies in the cache belongs to what is listed. */
async function checkNothingIsLeft() {
  await cache.list();
  for (const entry of await readdir(folder)) {
    const names = await readdir(path.join(folder, entry));
    const meta = JSON.parse(await readFile(path.join(folder, entry, 'meta.json'), 'utf8'));
    const tags = new Set(names.filter((name) => name !== 'meta.json').map((name) => name.split('-')[0]));
    assert.ok(
      names.every((name) => name === 'meta.json' || /^[0-9a-f]{8}-\d+-\d+$/.test(name)),
      names.join(),
    );
    assert.ok(tags.size <= 1 && !(meta.absent && tags.size), `${meta.url}: parts of ${tags.size} versions`);
  }
}

async function run(seed) {
  const random = generator(seed);
  const server = await startServer();
  /** @type {Promise<void>[]} */
  const running = [];
  const served = new Set([server.version]);
  let saidGone = false;
  const pause = () => new Promise((resolve) => setTimeout(resolve, random(12)));
  const story = [];
  const start = (options = {}) => {
    const controller = new AbortController();
    const loading = load(server.url, { signal: controller.signal, ...options });
    running.push(
      loading.then(
        (seen) => {
          const numbers = [...seen].filter((one) => typeof one === 'number');
          assert.equal(numbers.length, 1, `a mixture of ${[...seen].join()}`);
          assert.ok(served.has(numbers[0]), `version ${numbers[0]} was never there`);
          // A 404 for what was never kept is believed.
          const isLost = !saidGone && seen.has('none') && numbers[0] % 2;
          assert.ok(!isLost, `version ${numbers[0]} has lost a file`);
        },
        // A load may fail for want of a server, and be given up; it may not fail in any other way.
        (error) => assert.ok(error.name === 'AbortError' || ['network', 'file'].includes(error.code), error.stack),
      ),
    );
    return controller;
  };
  try {
    server.validator = random(2) === 0;
    server.ranges = random(4) > 0;
    for (let step = 0; step < STEPS; step++) {
      const what = random(12);
      story.push(what);
      if (what < 4) start({ rows: random(2) === 0 });
      else if (what === 4) {
        const controller = start();
        setTimeout(() => controller.abort(), random(10));
      } else if (what === 5) running.push(cache.clear());
      else if (what === 6)
        running.push(cache.delete(random(2) ? server.url : `${server.url}${FILES[0]}`).then(() => {}));
      else if (what < 9) {
        Object.assign(server, { fault: FAULTS[random(FAULTS.length)], times: 1 + random(3) });
        saidGone ||= ['gone', 'login'].includes(server.fault);
      } else if (what < 11) running.push(cache.list().then(() => {}));
      // Files of two versions may meet on their server's side only where nothing is being loaded.
      else {
        await Promise.all(running);
        server.version += 1 + random(2);
        served.add(server.version);
      }
      if (random(3)) await pause();
    }
    await pause();
    await Promise.all(running);
    await checkNothingIsLeft();

    // What is loaded now is current, and stays whole whatever the server says then.
    server.times = 0;
    const current = await load(server.url);
    assert.ok(current.has(server.version) && !current.has('lost'), 'the current version');
    for (const fault of ['gone', 'login', 'busy', 'drop']) {
      Object.assign(server, { fault, times: Infinity });
      assert.deepEqual(await load(server.url), current, `while the server says ${fault}`);
    }
    await server.close();
    assert.deepEqual(await load(server.url), current, 'without a connection');
    await checkNothingIsLeft();
    await cache.clear();
    assert.deepEqual(await readdir(folder), []);
  } catch (error) {
    throw new Error(`MUDPT_SEED=${seed} (${story.join(' ')}): ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  } finally {
    await Promise.allSettled(running);
    await server.close().catch(() => {});
  }
}

test('never mixed, never lost, never left behind', async () => {
  const { MUDPT_SEED: only } = process.env;
  const seeds = only ? [Number(only)] : Array.from({ length: RUNS }, (_, i) => i + 1);
  for (const seed of seeds) {
    await run(seed);
    count('faults', 'survived');
  }
});
