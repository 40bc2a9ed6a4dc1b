/** Precision fast, int16 weights: the same answers within their tolerance, the same bits on any number of threads. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { MudptError, loadClip } from '../../js/index.js';
import { promptSentences } from '../../js/methods/sentences.js';
import { resolveSettings, trainedSizes } from '../../js/methods/settings.js';
import { loadModel } from '../../js/loading/model.js';
import { openSource } from '../../js/files/source.js';
import { PICTURES, TINY_A, WAYS, difference, named, openCore } from './models.js';

const CLASSES = ['cat', 'sail boat', 'x'];
const FAST = { precision: 'fast' };

/** Everything one batch gives: logits, loss, gradients by name. */
function batch({ core, clip, config, tokenizer }) {
  const { method, settings } = resolveSettings({ promptLength: 2 }, config);
  const { ids, phrase } = promptSentences(tokenizer, CLASSES, method, settings);
  const classifier = core.classifierCreate(clip, trainedSizes(method, settings, config), { ids });
  core.classifierInit(classifier, 1, phrase);
  const pixels = Float32Array.from({ length: 3 * 3 * config.image ** 2 }, (_, i) => Math.sin(i * 0.37));
  const { loss, logits } = core.classifierGradients(classifier, pixels, [0, 1, 2]);
  const gradients = core.classifierParameters(classifier).map(({ name, gradient, count }) => {
    return [name, core.floats(gradient, count).slice()];
  });
  return { loss, logits, gradients };
}

/** A model whose precision is fast whatever is faster here. */
async function openFast(way, options) {
  const opened = await openCore(TINY_A, way);
  opened.core.clipFree(opened.clip);
  opened.core.fastGain = () => 2;
  return { core: opened.core, ...(await loadModel(opened.core, await openSource(TINY_A), { ...FAST, ...options })) };
}

describe('against f32', () => {
  let high;
  before(async () => {
    const opened = await openCore(TINY_A, WAYS[0]);
    high = batch(opened);
    opened.core.dispose();
  });

  /** By storage: what all ways must agree on. */
  const bits = {};
  for (const [dtype, tolerance] of Object.entries({ auto: [3e-3, 3e-2], int8: [4e-2, 3e-1] })) {
    for (const way of WAYS) {
      test(`${dtype}, ${named(way)}`, async () => {
        const opened = await openFast(way, { dtype });
        try {
          const fast = batch(opened);
          assert.ok(difference(fast.logits, high.logits) < tolerance[0]);
          assert.notDeepEqual(fast.logits, high.logits);
          fast.gradients.forEach(([name, values], i) => {
            assert.ok(difference(values, high.gradients[i][1]) < tolerance[1], name);
          });
          bits[`${dtype} ${way.variant}`] ??= fast;
          assert.deepEqual(fast, bits[`${dtype} ${way.variant}`], 'the same on any number of threads');
        } finally {
          opened.core.dispose();
        }
      });
    }
  }

  test('int16 weights in f32', async () => {
    const opened = await openCore(TINY_A, WAYS[0], { dtype: 'int16' });
    const { logits } = batch(opened);
    opened.core.dispose();
    assert.ok(difference(logits, high.logits) < 1e-3);
    assert.notDeepEqual(logits, high.logits);
  });
});

describe('what people ask for', () => {
  let clip;
  after(() => clip?.dispose());

  test('fast is measured first, told, as small as f16, and classifies alike', async () => {
    clip = await loadClip(TINY_A, FAST);
    const small = await loadClip(TINY_A, { dtype: 'f16' });
    const whole = await loadClip(TINY_A);
    assert.ok(['fast', 'high'].includes(clip.info.precision));
    assert.equal(whole.info.precision, 'high');
    if (clip.info.precision === 'fast') {
      // What is not in a block stays as it is stored; scales come on top.
      assert.ok(clip.info.weightBytes < whole.info.weightBytes);
      assert.ok(clip.info.weightBytes > small.info.weightBytes);
    }
    const [ours, theirs] = [await clip.zeroShot(CLASSES), await whole.zeroShot(CLASSES)];
    for (const picture of PICTURES) {
      const best = await theirs.classify(picture);
      const same = (await ours.classify(picture)).find(({ label }) => label === best[0].label);
      assert.ok(Math.abs(same.score - best[0].score) < 1e-2);
    }
    await small.dispose();
    await whole.dispose();
  });

  test('another name is refused', async () => {
    await assert.rejects(loadClip(TINY_A, { precision: 'faster' }), (error) => {
      assert.ok(error instanceof MudptError);
      assert.equal(error.code, 'argument');
      assert.match(error.message, /precision must be one of high, fast, int8, not faster/);
      return true;
    });
  });
});
