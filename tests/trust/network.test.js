/**
 * What servers and networks do wrong beyond tests/node/loading.test.js, which cuts, stalls, lies about lengths, changes
 * files between ranges (ETag) and answers 200 instead of 206: here contents that are wrong, ranges that are not those
 * that were asked for, answers that are shorter than they say, and caches that were tampered with. And that nothing but
 * what the caller named is ever asked for.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cp, mkdtemp, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { loadClip } from '../../js/clip.js';
import { cache } from '../../js/index.js';
import { startServer } from '../node/http-servers.js';
import { PICTURES, TINY_A } from '../node/models.js';
import { count } from './table.js';

const CLASSES = ['cat', 'dog', 'owl'];
/** @type {string} */
let folder;
/** @type {any} */
let expected;

const sri = async (file) =>
  `sha256-${createHash('sha256')
    .update(await readFile(file))
    .digest('base64')}`;
const weights = path.join(TINY_A, 'model.safetensors');

async function answer(from, options = {}) {
  const clip = await loadClip(from, { threads: 1, ...options });
  try {
    const classifier = await clip.zeroShot(CLASSES);
    return await classifier.classify(PICTURES[0]);
  } finally {
    await clip.dispose();
  }
}

/** @param {any} options @param {(server: any) => Promise<void>} action */
async function withServer(options, action) {
  const server = await startServer({ root: TINY_A, ...options });
  try {
    await action(server);
    count('faults', 'survived');
  } finally {
    await server.close();
  }
}

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'mudpt-network-'));
  process.env.MUDPT_CACHE = path.join(folder, 'cache');
  expected = await answer(TINY_A);
});
after(() => rm(folder, { recursive: true, force: true }));

describe('answers', () => {
  test('a range that was not asked for is refused', () =>
    withServer({ fault: 'shifted' }, async ({ url }) => {
      await assert.rejects(answer(url, { cache: false }), { code: 'network', message: /other bytes than asked for/ });
    }));

  test('answers that are shorter than asked for: what is missing is asked for again', () =>
    withServer({ fault: 'sparing' }, async ({ url }) => {
      assert.deepEqual(await answer(url, { cache: false, tokens: 'all' }), expected);
    }));
});

describe('integrity', () => {
  test('the right digests', async () => {
    const files = ['model.safetensors', 'config.json', 'tokenizer.json'];
    const all = Object.fromEntries(await Promise.all(files.map(async (f) => [f, await sri(path.join(TINY_A, f))])));
    for (const integrity of [await sri(weights), all]) {
      assert.deepEqual(await answer(TINY_A, { integrity }), expected);
      await withServer({}, async ({ url }) =>
        assert.deepEqual(await answer(url, { cache: false, integrity }), expected),
      );
      await withServer({ fault: 'no-ranges' }, async ({ url }) =>
        assert.deepEqual(await answer(url, { cache: false, integrity }), expected),
      );
    }
  });

  test('wrong contents of the right length and ETag', async () => {
    const other = path.join(folder, 'other');
    await cp(TINY_A, other, { recursive: true });
    const bytes = await readFile(weights);
    bytes[bytes.length - 1] ^= 1; // the last bit of the last weight's sign and exponent
    await writeFile(path.join(other, 'model.safetensors'), bytes);
    const integrity = await sri(weights);
    const refused = { code: 'model', message: /is not the file that is wanted: it is sha256-/ };
    await assert.rejects(answer(other, { integrity }), refused);
    await withServer({ root: other }, async ({ url }) => {
      await assert.rejects(answer(url, { integrity, cache: false }), refused);
      const tokenizer = await sri(path.join(TINY_A, 'config.json'));
      await assert.rejects(answer(url, { integrity: { 'tokenizer.json': tokenizer }, cache: false }), refused);
    });
  });

  test('a digest that is none, and a file that is not there', async () => {
    for (const integrity of ['', 'sha256-abc', 'md5-x', 5, null, { 'model.safetensors': 'x' }]) {
      await assert.rejects(answer(TINY_A, { integrity }), { code: 'argument', message: /expected sha256- and/ });
    }
    const integrity = { 'modle.safetensors': await sri(weights) };
    await assert.rejects(answer(TINY_A, { integrity }), { code: 'argument', message: /names modle\.safetensors/ });
  });

  test('of a saved classifier', async () => {
    const clip = await loadClip(TINY_A, { threads: 1 });
    const bytes = await (await clip.zeroShot(CLASSES)).export();
    const integrity = `sha256-${createHash('sha256').update(bytes).digest('base64')}`;
    await clip.import(bytes, { integrity });
    const changed = Uint8Array.from(bytes);
    changed[changed.length - 1] ^= 1;
    await clip.import(changed); // finite, and nobody knows
    await assert.rejects(clip.import(changed, { integrity }), {
      code: 'classifier',
      message: /not the file that is wanted/,
    });
    await assert.rejects(clip.import(bytes, { integrity: 'x' }), { code: 'argument' });
    await clip.dispose();
  });
});

test('a cache that was tampered with is found by integrity and fetched anew, and cut parts are fetched again', () =>
  withServer({}, async (server) => {
    const { url } = server;
    const integrity = await sri(weights);
    assert.deepEqual(await answer(url, { integrity }), expected);
    const root = path.join(folder, 'cache');
    const parts = (await readdir(root, { recursive: true })).filter((name) => /-\d+-\d+$/.test(name));
    const sizes = await Promise.all(parts.map(async (name) => (await readFile(path.join(root, name))).length));
    const largest = path.join(root, parts[sizes.indexOf(Math.max(...sizes))]);
    const bytes = await readFile(largest);
    bytes[bytes.length - 1] ^= 1;
    await writeFile(largest, bytes);
    const before = server.sent;
    assert.deepEqual(await answer(url, { integrity }), expected);
    assert.ok(server.sent - before > bytes.length, 'the changed part was used');
    await cache.clear();
    assert.deepEqual(await answer(url, { integrity }), expected);
    await truncate(largest, bytes.length - 1);
    assert.deepEqual(await answer(url, { integrity }), expected);
    await cache.clear();
  }));

describe('only what the caller named is asked for', () => {
  /** Every connection, and every address that is fetched, during an action. */
  async function watched(action) {
    const [seen, ports] = [[], []];
    const [realFetch, realConnect] = [globalThis.fetch, net.Socket.prototype.connect];
    globalThis.fetch = (input, init) => {
      seen.push(String(input?.url ?? input));
      return realFetch(input, init);
    };
    net.Socket.prototype.connect = function (...args) {
      const [{ port, host } = args[0]] = args[0]?.length ? args[0] : [args[0]];
      ports.push(`${host}:${port}`);
      return realConnect.apply(this, args);
    };
    try {
      await action();
      return { seen, ports };
    } finally {
      globalThis.fetch = realFetch;
      net.Socket.prototype.connect = realConnect;
    }
  }

  const workflow = async (from) => {
    const clip = await loadClip(from, { threads: 1, cache: false });
    const examples = CLASSES.map((label, i) => ({ label, image: PICTURES[i] }));
    const tuned = await clip.tune({ classes: CLASSES, examples, epochs: 1, promptLength: 2 }).finished;
    await tuned.evaluate(examples);
    const again = await clip.import(await tuned.export());
    await again.classify(PICTURES[1]);
    await again.withClasses(['heron']);
    await clip.dispose();
  };

  test('a folder: nothing at all', async () => {
    const { seen, ports } = await watched(() => workflow(TINY_A));
    assert.deepEqual([seen, ports], [[], []]);
  });

  test('a URL: files of the model, from its server', () =>
    withServer({}, async (server) => {
      const { seen, ports } = await watched(() => workflow(server.url));
      assert.ok(seen.length > 3 && ports.length > 0, 'nothing was seen');
      for (const url of seen) {
        assert.ok(url.startsWith(server.url), url);
        assert.match(url.slice(server.url.length), /^[\w-]+\.(json|safetensors)$|^model\.safetensors\.index\.json$/);
      }
      for (const port of ports) assert.equal(port, new URL(server.url).host);
    }));
});
