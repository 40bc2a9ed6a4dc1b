/** Features that outlive the model: found again with the same bits, by several programs, and never missed when gone. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';

import { counted } from '../counted-pictures.js';
import { KeptFeatures, keptFeatures } from '../../js/features/kept.js';
import { cache, loadClip } from '../../js/index.js';
import { floatsOf, headerOf, writeSafetensors } from '../../js/loading/safetensors.js';
import { makeDataset, mudpt } from './command.js';
import { PICTURES, TINY_A, isError, temporaryFolder } from './models.js';

let folder;
const theirs = process.env.MUDPT_CACHE;
before(async () => {
  folder = await temporaryFolder();
});
beforeEach(() => {
  process.env.MUDPT_CACHE = path.join(folder, `cache-${Math.random()}`);
});
after(() => {
  if (theirs === undefined) delete process.env.MUDPT_CACHE;
  else process.env.MUDPT_CACHE = theirs;
});

/** Features of pictures by a model that is loaded for it, and how many of them it encoded. */
async function embedded(options = {}, pictures = PICTURES, embed = {}) {
  const clip = await loadClip(TINY_A, { threads: 1, keepFeatures: 'storage', ...options });
  const then = counted.pictures;
  const { data } = await clip.embedImages(pictures, embed);
  await clip.dispose();
  return { data, count: counted.pictures - then };
}
const segments = () =>
  readdirSync(/** @type {string} */ (process.env.MUDPT_CACHE), { recursive: true })
    .map((name) => path.join(String(process.env.MUDPT_CACHE), String(name)))
    .filter((name) => /\/f[0-9a-z]+-\d+-\d+-[0-9a-f]{32}$/.test(name));

describe('a model that is loaded again', () => {
  test('does not run its image tower for what was kept, and has the same bits', async () => {
    const [first, again] = [await embedded(), await embedded()];
    assert.deepEqual([first.count, again.count], [PICTURES.length, 0]);
    assert.deepEqual(again.data, first.data);
    const [row] = await keptFeatures();
    assert.equal(row.rows, PICTURES.length);
    assert.match(row.about.fingerprint, /^[0-9a-f]{16}/);
    // Before the projection is something else; other arithmetic and other weights are, too.
    const { count } = await embedded({}, PICTURES.slice(0, 2), { projected: false });
    assert.equal(count, 2);
    assert.equal((await embedded({}, PICTURES.slice(0, 2), { projected: false })).count, 0);
    for (const options of [{ dtype: 'int8' }, { variant: 'plain' }]) {
      assert.equal((await embedded(options, PICTURES.slice(0, 1))).count, 1, JSON.stringify(options));
    }
    assert.equal((await embedded({ threads: 2 })).count, 0, 'threads do not change bits');
  });

  test('of other matrices beside the same vectors nothing is found', async () => {
    const first = await embedded();
    const merged = path.join(folder, 'merged');
    cpSync(TINY_A, merged, { recursive: true });
    const file = new Uint8Array(readFileSync(path.join(merged, 'model.safetensors')));
    const tensors = headerOf(file, 'model').tensors.map((tensor) => {
      const { name, dtype, shape } = tensor;
      const data = floatsOf(file, tensor);
      if (/vision_model.*fc1\.weight$/.test(name)) for (let i = 0; i < data.length; i++) data[i] *= 1.1;
      return { name, dtype, shape, data };
    });
    writeFileSync(path.join(merged, 'model.safetensors'), writeSafetensors(tensors));
    const fingerprints = new Set();
    const counts = [];
    for (const model of [TINY_A, merged, merged]) {
      const clip = await loadClip(model, { threads: 1, keepFeatures: 'storage' });
      fingerprints.add(clip.info.fingerprint);
      const then = counted.pictures;
      const { data } = await clip.embedImages(PICTURES);
      counts.push(counted.pictures - then);
      assert.equal(Buffer.from(data.buffer).equals(Buffer.from(first.data.buffer)), model === TINY_A);
      await clip.dispose();
    }
    assert.equal(fingerprints.size, 1);
    assert.deepEqual(counts, [0, PICTURES.length, 0]);
  });

  test('without storage nothing is written; with nothing kept every call computes', async () => {
    assert.equal((await embedded({ keepFeatures: 'memory' })).count, PICTURES.length);
    assert.ok(!existsSync(String(process.env.MUDPT_CACHE)));
    const clip = await loadClip(TINY_A, { threads: 1, keepFeatures: 'none' });
    const then = counted.pictures;
    const zeroShot = await clip.zeroShot(['a', 'b']);
    for (let i = 0; i < 2; i++) await zeroShot.classify(PICTURES[0]);
    assert.equal(counted.pictures - then, 2);
    await clip.dispose();
    await assert.rejects(
      loadClip(TINY_A, { keepFeatures: /** @type {any} */ (true) }),
      isError('argument', /keepFeatures/),
    );
  });

  test('what is damaged, cut off or gone is computed again', async () => {
    const { data } = await embedded();
    const [file] = segments();
    const bytes = readFileSync(file);
    for (const harm of [
      () => truncateSync(file, bytes.length - 4),
      () =>
        writeFileSync(
          file,
          bytes.map((byte, i) => (i === bytes.length - 9 ? byte ^ 1 : byte)),
        ),
      () => rmSync(path.dirname(file), { recursive: true }),
    ]) {
      writeFileSync(file, bytes);
      harm();
      const again = await embedded();
      assert.equal(again.count, PICTURES.length);
      assert.deepEqual(again.data, data);
      assert.equal((await embedded()).count, 0);
      for (const each of segments()) rmSync(each);
    }
    writeFileSync(path.join(folder, 'file'), '');
    process.env.MUDPT_CACHE = path.join(folder, 'file'); // no folder can be made there
    assert.deepEqual((await embedded()).data, data);
  });

  test('removed by forgetFeatures() and cache.clear(), even while a model is loaded', async () => {
    await embedded();
    await cache.clear();
    assert.deepEqual(await keptFeatures(), []);
    const clip = await loadClip(TINY_A, { threads: 1, keepFeatures: 'storage' });
    await clip.embedImages(PICTURES.slice(0, 2));
    await cache.clear();
    await clip.embedImages(PICTURES);
    await clip.forgetFeatures();
    await clip.embedImages(PICTURES.slice(0, 1));
    await clip.dispose();
    assert.equal((await keptFeatures())[0].rows, 1);
    assert.deepEqual(await cache.list(), []);
  });
});

describe('a store', () => {
  const row = (value) => new Float32Array(4).fill(value);
  const key = (n, kind = 'after') => `${kind} ${[n, ...Array(31).fill(7)]}`;
  const opened = async (limits) => {
    const store = new KeptFeatures({ test: 1 }, limits);
    await store.ready();
    return store;
  };

  test('several at once: each writes, all is found; many segments become one', async () => {
    const limits = { entry: 1e6, all: 1e6, segments: 4 };
    const [a, b] = [await opened(limits), await opened(limits)];
    a.put(key(1), row(1));
    b.put(key(1), row(1));
    b.put(key(2), row(2));
    b.put(key(3, 'before'), new Float32Array(6).fill(3));
    await Promise.all([a.flush(), b.flush()]);
    const both = await opened(limits);
    assert.deepEqual([both.get(key(1)), both.get(key(2))], [row(1), row(2)]);
    assert.deepEqual(both.get(key(3, 'before')), new Float32Array(6).fill(3));
    assert.equal(both.get(key(3)), undefined);
    for (let n = 10; n < 20; n++) {
      const one = await opened(limits);
      one.put(key(n), row(n));
      await one.flush();
    }
    assert.ok(segments().length <= limits.segments + 2, `${segments().length}`);
    const all = await opened(limits);
    for (let n = 10; n < 20; n++) assert.deepEqual(all.get(key(n)), row(n));
    assert.deepEqual(all.get(key(1)), row(1));
  });

  test('the oldest go first, within an entry and over all', async () => {
    const size = 36 + 16; // of a segment with one row of four numbers
    const limits = { entry: 3 * size, all: 4 * size, segments: 100 };
    for (let n = 0; n < 5; n++) {
      const one = new KeptFeatures({ test: 1 }, { ...limits, entry: n ? limits.entry : 1e6 });
      await one.ready();
      one.put(key(n), row(n));
      await one.flush();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    assert.equal(segments().length, 3);
    const left = await opened({ ...limits, entry: 1e6 });
    assert.deepEqual(
      [0, 1, 2, 3, 4].map((n) => Boolean(left.get(key(n)))),
      [false, false, true, true, true],
    );
    for (const test of [2, 3]) {
      const other = new KeptFeatures({ test }, limits);
      await other.ready();
      other.put(key(9), row(9));
      await other.flush();
    }
    assert.equal(segments().length, 4);
    const large = new KeptFeatures({ test: 4 }, { ...limits, entry: 1e6 });
    await large.ready();
    for (let n = 0; n < 2; n++) large.put(key(n), row(n));
    await large.flush();
    const tests = (await keptFeatures()).map(({ about }) => about.test);
    assert.deepEqual(tests.sort(), [2, 3, 4], 'an entry without rows goes, too');
  });

  test('what is new is written by itself, soon', async () => {
    const store = await opened();
    store.put(key(1), row(1));
    for (let tries = 0; tries < 200 && !(await opened()).get(key(1)); tries++)
      await new Promise((resolve) => setTimeout(resolve, 100));
    assert.deepEqual((await opened()).get(key(1)), row(1));
  });
});

test('programs: two at once leave what a third finds; --no-store leaves nothing; mudpt cache', async () => {
  const cwd = await temporaryFolder();
  makeDataset(path.join(cwd, 'faces'), 3);
  const env = { MUDPT_CACHE: path.join(cwd, 'cache') };
  const json = async (...args) => JSON.parse((await mudpt([...args, '--json'], { cwd, env })).stdout);
  await json('eval', '--data', 'faces', '--no-store');
  assert.ok(!existsSync(env.MUDPT_CACHE));
  const [one, two] = await Promise.all([json('eval', '--data', 'faces'), json('eval', '--data', 'faces')]);
  assert.deepEqual(one, two);
  const { features, files } = await json('cache');
  assert.deepEqual([files.length, features.length, features[0].rows >= 9], [0, 1, true]);
  const listed = await mudpt(['cache'], { cwd, env });
  assert.match(listed.stdout, /features of \d+ pictures/);
  assert.deepEqual(await json('eval', '--data', 'faces'), one);
  assert.deepEqual(await json('cache', 'clear'), { removed: { files: 0, features: 1 } });
  assert.deepEqual((await json('cache')).features, []);
});
