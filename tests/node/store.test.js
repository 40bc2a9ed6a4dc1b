/** Features are computed once for all that needs them alone, with the same bits; what is kept has a bound. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { loadClip } from '../../js/index.js';
import { Classifiers } from '../../js/core/classifiers.js';
import { FeatureStore, rowsOf } from '../../js/features/store.js';
import { PICTURES, TINY_A, scores } from './models.js';

const CLASSES = ['cat', 'sail_boat', 'x'];
const EXAMPLES = PICTURES.map((image, i) => ({ image, label: i % 3 }));

/** Pictures that went through the image tower, counted where every way to it begins. */
let encoded = 0;
for (const [name, method] of Object.entries({
  classifierImageFeatures: Classifiers.prototype.classifierImageFeatures,
  classifierLogits: Classifiers.prototype.classifierLogits,
})) {
  Classifiers.prototype[name] = function (handle, pixels, ...rest) {
    encoded += pixels.length / (3 * this.shapeOf(handle).config.image ** 2);
    return method.call(this, handle, pixels, ...rest);
  };
}
/** How many pictures a call encodes. */
async function counted(call) {
  const then = encoded;
  await call();
  return encoded - then;
}

describe('one model', () => {
  let clip;
  before(async () => {
    clip = await loadClip(TINY_A, { threads: 1 });
  });
  after(() => clip.dispose());

  test('a second method on the same pictures runs the image tower 0 times', async () => {
    const zeroShot = await clip.zeroShot(CLASSES);
    assert.equal(await counted(() => zeroShot.evaluate(EXAMPLES)), PICTURES.length);
    const other = await clip.zeroShot(['a', 'b', 'c', 'd'], { templates: ['{}', 'the {}'] });
    const coop = await clip.tune({
      ...{ method: 'coop', classes: CLASSES, examples: EXAMPLES.slice(0, 3), promptLength: 2 },
      ...{ epochs: 1, batchSize: 3 },
    }).finished;
    const imported = await clip.import(await coop.export());
    for (const call of [
      () => zeroShot.evaluate(EXAMPLES),
      () => other.evaluate(EXAMPLES),
      () => coop.evaluate(EXAMPLES),
      () => imported.evaluate(EXAMPLES),
      () => clip.embedImages(PICTURES),
      () => clip.index(PICTURES.map((file) => new Uint8Array(readFileSync(file)))), // the same pictures otherwise
      () => zeroShot.classify(PICTURES[3]),
    ]) {
      assert.equal(await counted(call), 0, String(call));
    }
    // What has prompts in the image tower, or is read before the projection, is something else.
    const vpt = await clip.tune({
      ...{ method: 'vpt', classes: CLASSES, examples: EXAMPLES.slice(0, 3), promptLength: 2 },
      ...{ epochs: 1, batchSize: 3 },
    }).finished;
    assert.equal(await counted(() => vpt.evaluate(EXAMPLES)), PICTURES.length);
    assert.equal(await counted(() => clip.embedImages(PICTURES, { projected: false })), PICTURES.length);
    assert.equal(await counted(() => clip.embedImages(PICTURES, { projected: false })), 0);
  });

  test('forgotten they are computed again, with the same bits; a new picture is computed by itself', async () => {
    const zeroShot = await clip.zeroShot(CLASSES);
    const [kept, features] = [await scores(zeroShot), await clip.embedImages(PICTURES)];
    await clip.forgetFeatures();
    assert.equal(await counted(() => clip.embedImages(PICTURES.slice(0, 2))), 2);
    assert.equal(await counted(() => clip.embedImages(PICTURES)), PICTURES.length - 2);
    assert.deepEqual(await clip.embedImages(PICTURES), features);
    await clip.forgetFeatures();
    assert.deepEqual(await scores(zeroShot), kept);
    await clip.forgetFeatures();
    assert.equal(await counted(() => clip.embedImages([PICTURES[0], PICTURES[0], PICTURES[0]])), 1);
  });

  test('another view is another key', async () => {
    const turned = await loadClip(TINY_A, { threads: 1, upright: true });
    const file = PICTURES[0].replace(/[^/]+$/, 'turned.jpg');
    assert.notDeepEqual((await turned.embedImages([file])).data, (await clip.embedImages([file])).data);
    await turned.dispose();
  });
});

test('what is kept stays within its bound: what was used longest ago goes first', async () => {
  const store = new FeatureStore(3 * (4 * 8 + 200));
  const row = (value) => new Float32Array(8).fill(value);
  for (const key of ['a', 'b', 'c']) store.put(key, row(1));
  assert.deepEqual(store.get('a'), row(1));
  store.put('d', row(2));
  assert.equal(store.get('b'), undefined);
  assert.deepEqual([store.count, store.bytes], [3, 3 * (4 * 8 + 200)]);
  store.put('large', new Float32Array(1000));
  assert.deepEqual([store.count, store.bytes], [0, 0]);
  store.put('a', row(3));
  store.clear();
  assert.deepEqual([store.count, store.bytes, store.get('a')], [0, 0, undefined]);
  const given = new Float32Array([1, 2, 3, 4]);
  const found = await rowsOf(store, 'x', given, 2, (pixels) => pixels.map((value) => 2 * value));
  assert.deepEqual(
    found.map((each) => [...each]),
    [
      [2, 4],
      [6, 8],
    ],
  );
  given.fill(0); // a key is of the pixels, and what is kept is a copy
  const again = await rowsOf(store, 'x', new Float32Array([3, 4]), 2, () => assert.fail('it is known'));
  assert.deepEqual([...again[0]], [6, 8]);
});
