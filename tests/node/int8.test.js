/** Precision int8: products of bytes, in a module of its own, for classifying and embedding alone. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { createCore } from '../../js/core/core.js';
import { int8Core } from '../../js/core/int8.js';
import { openSource } from '../../js/files/source.js';
import { loadClip } from '../../js/index.js';
import { loadModel } from '../../js/loading/model.js';
import { promptSentences } from '../../js/methods/sentences.js';
import { resolveSettings, trainedSizes } from '../../js/methods/settings.js';
import { PICTURES, TINY_A, TINY_B, difference, isError } from './models.js';

const CLASSES = ['cat', 'sail boat', 'x'];
const INT8 = /** @type {const} */ ({ precision: 'int8' });

/** A module whose products of bytes are worth it or not, whatever is faster here. */
const openInt8 = (options = {}, gain = 2) =>
  int8Core({ ...INT8, ...options }, async (given, file) => {
    const core = await createCore(given, file);
    const measured = core.fastGain();
    assert.ok(measured > 0.1 && measured < 100, `a gain of ${measured}`);
    core.fastGain = () => gain;
    return core;
  });

/** Logits and features of a tuned method's classifier, and what becomes of a step. */
async function numbersOf(core, folder, options) {
  const { clip, config, tokenizer } = await loadModel(core, await openSource(folder), options);
  const { method, settings } = resolveSettings({ promptLength: 2 }, config);
  const { ids, phrase } = promptSentences(tokenizer, CLASSES, method, settings);
  const classifier = core.classifierCreate(clip, trainedSizes(method, settings, config), { ids });
  core.classifierInit(classifier, 1, phrase);
  const pixels = Float32Array.from({ length: 3 * 3 * config.image ** 2 }, (_, i) => Math.sin(i * 0.37));
  const { logits, features } = core.classifierLogits(classifier, pixels);
  const step = () => core.classifierGradients(classifier, pixels, [0, 1, 2]);
  const plan = () => core.classifierPlan(classifier, 4, false);
  return { logits, features, precision: config.precision, bytes: core.clipWeightBytes(clip), step, plan };
}

describe('towers', () => {
  for (const [name, folder] of Object.entries({ TINY_A, TINY_B })) {
    test(`${name}: near f32, the same bits on any number of threads and as in another module's pairs`, async () => {
      const plain = await createCore({ variant: 'plain', threads: 1 });
      const high = await numbersOf(plain, folder, { dtype: 'f32' });
      const small = await numbersOf(plain, folder, { dtype: 'int8' });
      plain.dispose();
      const found = [];
      for (const threads of [1, 2]) {
        const core = await openInt8({ threads });
        assert.deepEqual([core.integers, core.variant, core.fused, core.threads], ['int8', 'plain', false, threads]);
        // In pairs; then as the engine's instruction for bytes is taken where it is exact and faster.
        found.push(await numbersOf(core, folder, INT8));
        core.constructor.prototype.fastGain.call(core);
        found.push(await numbersOf(core, folder, INT8));
        core.dispose();
      }
      const [first] = found;
      for (const { logits, features } of found) assert.deepEqual([logits, features], [first.logits, first.features]);
      assert.equal(first.precision, 2);
      assert.ok(difference(first.features, high.features) < 5e-2, `${difference(first.features, high.features)}`);
      assert.ok(difference(first.logits, high.logits) < 1e-1);
      assert.notDeepEqual(first.logits, small.logits, 'the left side is not rounded');
      assert.ok(first.bytes < high.bytes);
    });
  }

  test('dtype says how the others are kept', async () => {
    const core = await openInt8();
    const plain = await numbersOf(core, TINY_A, INT8);
    let small = 0;
    for (const dtype of ['f32', 'f16', 'int8']) {
      const other = await numbersOf(core, TINY_A, { ...INT8, dtype });
      assert.ok(difference(other.logits, plain.logits) < 1e-2, dtype);
      if (dtype === 'int8') small = other.bytes;
    }
    core.dispose();
    const high = await createCore({ variant: 'plain' });
    const { bytes } = await numbersOf(high, TINY_A, { dtype: 'int8' });
    assert.ok(small >= bytes && small < 1.05 * bytes, `${small} bytes, ${bytes}`);
    high.dispose();
  });

  test('nothing is trained, and answers stay', async () => {
    const core = await openInt8();
    const { step, plan } = await numbersOf(core, TINY_A, INT8);
    const refused = isError('argument', /precision int8 classifies and embeds, and trains nothing; load the model/);
    assert.throws(step, refused);
    assert.throws(plan, refused);
    core.dispose();
  });
});

describe('what people ask for', () => {
  test('where bytes gain nothing it is as fast', async () => {
    const core = await openInt8({}, 1.05);
    assert.equal(core.integers, 'fast');
    core.fastGain = () => 2;
    assert.equal((await numbersOf(core, TINY_A, INT8)).precision, 1);
    core.fastGain = () => 1;
    assert.equal((await numbersOf(core, TINY_A, INT8)).precision, 0);
    core.dispose();
  });

  test('a model classifies and embeds, says what it is, and refuses to be trained', async () => {
    const [clip, whole] = [await loadClip(TINY_A, INT8), await loadClip(TINY_A)];
    const { precision, variant } = clip.info;
    assert.ok(precision === 'int8' ? variant === 'plain' : ['fast', 'high'].includes(precision), precision);
    const [ours, theirs] = [await clip.zeroShot(CLASSES), await whole.zeroShot(CLASSES)];
    for (const picture of PICTURES) {
      const [best] = await theirs.classify(picture);
      const same = (await ours.classify(picture)).find(({ label }) => label === best.label);
      assert.ok(Math.abs(same.score - best.score) < 5e-2, `${picture}: ${same.score}, ${best.score}`);
    }
    const examples = PICTURES.slice(0, 3).map((image, i) => ({ image, label: CLASSES[i] }));
    if (precision === 'int8') {
      const run = async () => {
        for await (const progress of clip.tune({ classes: CLASSES, examples, epochs: 1 }))
          assert.fail(`${progress.step}`);
      };
      await assert.rejects(run, isError('argument', /precision int8/));
    }
    assert.equal((await ours.classify(PICTURES[0])).length, 3);
    await Promise.all([clip.dispose(), whole.dispose()]);
  });

  test('what does not go with it is refused by name', async () => {
    for (const [options, message] of /** @type {const} */ ([
      [{ device: 'webgpu' }, /precision int8 takes device wasm, not webgpu/],
      [{ device: 'auto' }, /precision int8 takes device wasm, not auto/],
      [{ variant: 'relaxed' }, /precision int8 takes variant auto, not relaxed/],
      [{ variant: 'plain' }, /precision int8 takes variant auto, not plain/],
      [{ dtype: 'int16' }, /precision int8 takes dtype auto, f32, f16, int8, not int16/],
    ]))
      await assert.rejects(loadClip(TINY_A, { ...INT8, ...options }), isError('argument', message));
    for (const precision of ['int4', 'INT8', 8, null])
      await assert.rejects(
        loadClip(TINY_A, /** @type {any} */ ({ precision })),
        isError('argument', /precision must be one of high, fast, int8, not/),
      );
  });
});
