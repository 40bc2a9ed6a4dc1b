/** Search on features: by texts, pictures and features; near duplicates; saved and loaded; what is refused. */
import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { loadClip } from '../../js/index.js';
import { PictureIndex } from '../../js/features/search.js';
import { headerOf, writeSafetensors } from '../../js/loading/safetensors.js';
import { makeDataset, mudpt, pictoclip, workFolder } from './command.js';
import { PICTURES, TINY_A, TINY_B, isError } from './models.js';

const cosine = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const rowOf = ({ data, dims: [, width] }, i) => data.subarray(i * width, (i + 1) * width);

/** Rows of length one, from a generator of our own. */
function randomRows(count, width) {
  let state = 1;
  const data = Float32Array.from({ length: count * width }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
  for (let i = 0; i < count; i++) {
    const row = data.subarray(i * width, (i + 1) * width);
    const length = Math.hypot(...row);
    row.forEach((value, k) => (row[k] = value / length));
  }
  return data;
}

describe('an index of pictures', () => {
  let clip, index, features;
  before(async () => {
    clip = await loadClip(TINY_A, { threads: 1 });
    index = await clip.index(PICTURES);
    features = await clip.embedImages(PICTURES);
  });
  after(() => clip.dispose());

  test('a text, a picture, a path and a row find what is nearest to them, best first', async () => {
    assert.deepEqual([index.count, index.names], [PICTURES.length, PICTURES]);
    const text = await clip.embedTexts(['a cat']);
    const found = await index.search('a cat', { topK: Infinity });
    assert.equal(found.length, PICTURES.length);
    for (const { index: at, name, score } of found) {
      assert.equal(name, PICTURES[at]);
      assert.ok(Math.abs(score - cosine(rowOf(features, at), text.data)) < 1e-5);
    }
    assert.ok(found.every(({ score }, i) => !i || score <= found[i - 1].score));
    assert.deepEqual(await index.search('a cat', { topK: 3 }), found.slice(0, 3));
    assert.deepEqual(await index.search(Array.from(text.data), { topK: 3 }), found.slice(0, 3));
    for (const query of [new Uint8Array(readFileSync(PICTURES[4])), { image: PICTURES[4] }, rowOf(features, 4)]) {
      const [best] = await index.search(query, { topK: 1 });
      assert.equal(best.index, 4);
      assert.ok(Math.abs(best.score - 1) < 1e-5);
    }
    const scaled = rowOf(features, 4).map((value) => 7 * value);
    assert.ok(Math.abs((await index.search(scaled))[0].score - 1) < 1e-5);
  });

  test('one text again runs no tower', async () => {
    let texts = 0;
    const counting = { info: clip.info, embedTexts: (...args) => (texts++, clip.embedTexts(...args)) };
    const own = new PictureIndex(counting, { ...features, data: features.data.slice() }, PICTURES);
    const first = await own.search('a red bicycle');
    assert.deepEqual(await own.search('a red bicycle'), first);
    assert.equal(texts, 1);
  });

  test('saved and loaded it answers the same', async () => {
    const again = await clip.importIndex(index.export());
    assert.deepEqual(again.names, index.names);
    assert.deepEqual(await again.search('a cat'), await index.search('a cat'));
    assert.deepEqual(again.export(), index.export());
  });

  test('names of its own; pictures that cannot be read are not in it', async () => {
    const told = [];
    const some = [PICTURES[0], new Uint8Array(3), new File([readFileSync(PICTURES[1])], 'b.png')];
    const own = await clip.index(some, { onBroken: ({ index: at }) => told.push(at) });
    assert.deepEqual([told, own.names], [[1], [PICTURES[0], 'b.png']]);
    const named = await clip.index(PICTURES.slice(0, 2), { names: ['one', 'two'] });
    assert.deepEqual(named.names, ['one', 'two']);
    const empty = await clip.index([]);
    assert.deepEqual([await empty.search('a'), await empty.duplicates()], [[], []]);
  });

  test('what is wrong is said', async () => {
    for (const [call, code, message] of /** @type {[() => Promise<any>, string, RegExp][]} */ ([
      [() => index.search('a', { topK: 0 }), 'argument', /^topK is 0/],
      [() => index.search('a', { top: 1 }), 'argument', /there is no option "top"/],
      [() => index.search([1, 2]), 'argument', /^a feature of 2 numbers, expected 48 finite ones$/],
      [() => index.search(new Float32Array(48).fill(NaN)), 'argument', /48 finite/],
      [() => index.search({ image: 'nowhere.png' }), 'file', /nowhere\.png/],
      [() => index.search(7), 'image', /picture 0/],
      [() => index.duplicates({ least: 2 }), 'argument', /^least is 2/],
      [() => clip.index('x.png'), 'argument', /pictures must be an array/],
      [() => clip.index(PICTURES, { names: ['a'] }), 'argument', /names must be an array of 7 texts/],
      [() => clip.index(['nowhere.png']), 'file', /nowhere\.png/],
    ])) {
      await assert.rejects(call, isError(code, message));
    }
    const file = index.export();
    const { tensors, metadata } = headerOf(file, 'it');
    const data = file.subarray(tensors[0].begin);
    const made = (changes, tensor = {}) =>
      clip.importIndex(writeSafetensors([{ ...tensors[0], data, ...tensor }], { ...metadata, ...changes }));
    const wrong = new Uint8Array(data);
    new Float32Array(wrong.buffer)[5] = NaN;
    for (const [call, message] of /** @type {[() => Promise<any>, RegExp][]} */ ([
      [() => clip.importIndex(file.subarray(0, 99)), /the index/],
      [() => clip.importIndex(new Uint8Array(4), { name: 'my.file' }), /my\.file/],
      [() => made({ format: 'x' }), /has no features/],
      [() => made({ version: '2' }), /is of version 2, expected 1/],
      [() => made({ fingerprint: '0'.repeat(16) }), /was made with another model/],
      [() => made({ projected: 'false' }), /before the projection/],
      [() => made({ paths: '["a"]' }), /does not have 7 paths/],
      [() => made({ paths: '{' }), /does not have 7 paths/],
      [() => made({}, { name: 'text_features' }), /of texts, not of pictures/],
      [() => made({}, { shape: [14, 24] }), /image_features is F32 \[14, 24\]/],
      [() => made({}, { data: wrong }), /NaN or infinity/],
    ])) {
      await assert.rejects(call, isError('file', message));
    }
    const other = await loadClip(TINY_B, { threads: 1 });
    await assert.rejects(other.importIndex(file), isError('file', /another model/));
    await other.dispose();
  });
});

test('near duplicates: exactly the groups that every pair by itself gives', async () => {
  const [count, width] = [120, 64];
  const data = randomRows(count, width);
  // Copies with a little noise, in a chain, and one exact copy.
  const near = (from, to, by) => {
    for (let k = 0; k < width; k++) data[to * width + k] = data[from * width + k] + by * (k % 2 ? 1 : -1);
  };
  near(3, 50, 0.01);
  near(50, 90, 0.02);
  near(7, 8, 0);
  const index = new PictureIndex(
    null,
    { data, dims: [count, width] },
    Array.from(data.subarray(0, count), (_, i) => `${i}`),
  );
  for (const least of [0.97, 0.9, 0.2]) {
    const pairs = [];
    for (let i = 0; i < count; i++)
      for (let j = 0; j < i; j++) {
        const score = cosine(data.subarray(i * width, (i + 1) * width), data.subarray(j * width, (j + 1) * width));
        if (score >= least) pairs.push([i, j]);
      }
    const group = Array.from({ length: count }, (_, i) => i);
    for (let pass = 0; pass < count; pass++)
      for (const [i, j] of pairs) group[i] = group[j] = Math.min(group[i], group[j]);
    const wanted = [...new Set(pairs.flat().map((i) => group[i]))].sort((a, b) => a - b);
    const groups = await index.duplicates({ least });
    assert.deepEqual(
      groups.map(({ pictures }) => pictures.map((each) => each.index)),
      wanted.map((first) => group.flatMap((of, i) => (of === first ? [i] : []))),
    );
    assert.ok(groups.every(({ score }) => score >= least));
  }
  const controller = new AbortController();
  controller.abort();
  const large = new PictureIndex(null, { data: randomRows(2000, 64), dims: [2000, 64] }, Array(2000).fill(''));
  await assert.rejects(large.duplicates({ signal: controller.signal }), { name: 'AbortError' });
});

test('10,000 pictures: the best are those that sorting all of them gives', async (t) => {
  const [count, width] = [10_000, 512];
  const data = randomRows(count, width);
  const index = new PictureIndex(null, { data, dims: [count, width] }, Array(count).fill('x'));
  const query = randomRows(3, width).slice(2 * width);
  await index.search(query);
  const times = [];
  let found;
  for (let i = 0; i < 9; i++) {
    const start = performance.now();
    found = await index.search(query, { topK: 10 });
    times.push(performance.now() - start);
  }
  t.diagnostic(`${times.sort((a, b) => a - b)[4].toFixed(1)} ms, the fastest ${times[0].toFixed(1)} ms`);
  const all = await index.search(query, { topK: Infinity });
  assert.equal(all.length, count);
  assert.deepEqual(found, all.slice(0, 10));
});

test('mudpt search: a folder by a text, by a picture, its duplicates; features kept and searched again', async () => {
  const cwd = workFolder();
  const at = (...parts) => path.join(cwd, ...parts);
  makeDataset(at('faces'), 2);
  cpSync(at('faces/train/clown_face'), at('faces/copies'), { recursive: true });
  writeFileSync(at('faces/bad.png'), 'no picture');
  const json = async (...args) => {
    const { code, stdout, stderr } = await mudpt(['search', ...args, '--json'], { cwd });
    return { code, stderr, ...(stdout ? JSON.parse(stdout) : {}) };
  };
  const found = await json('faces', 'a clown face', '--top', '4', '--save', 'faces.safetensors', '--skip-broken');
  assert.equal(found.code, 0, found.stderr);
  assert.match(found.stderr, /^left out: .*bad\.png/);
  assert.deepEqual([found.pictures, found.results.length, found.saved], [14, 4, 'faces.safetensors']);
  assert.ok(
    found.results.filter(({ name }) => /clown_face|copies/.test(name)).length >= 3,
    JSON.stringify(found.results),
  );
  const again = await json('faces.safetensors', 'a clown face', '--top', '4');
  assert.deepEqual(again.results, found.results);
  const [, name] = readFileSync(at('faces.safetensors'), 'latin1').match(/"(faces\/copies\/[^"\\]+)/) ?? [];
  const like = await json('faces.safetensors', '--like', name, '--top', '2');
  assert.ok(like.results.every(({ score }) => score > 0.999));
  const { groups, code } = await json('faces', '--duplicates', '0.999');
  assert.equal(code, 1, 'one could not be read');
  const twice = groups.map(({ pictures }) => pictures.map((each) => path.basename(each.name)));
  assert.equal(twice.filter(([a, b]) => a === b).length, 2);
  const alike = await json('faces', '--duplicates', '0');
  assert.ok(alike.groups.length > 0 && alike.groups.length < groups.length, 'a cosine of 0 is one');
  for (const [args, message] of /** @type {[string[], RegExp][]} */ ([
    [['faces'], /one thing can be looked for; give a text/],
    [['faces', 'a', '--duplicates'], /one thing can be looked for/],
    [['nowhere.safetensors', 'a'], /nowhere\.safetensors: there is no such file; give what --save has written/],
    [[path.join(pictoclip, 'model.safetensors'), 'a'], /has no features/],
  ])) {
    const wrong = await mudpt(['search', ...args], { cwd });
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, message);
  }
});
