/** Plans of memory: what they say is taken, what cannot fit is refused with what would, recomputing is exact. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { MudptError, loadClip } from '../../js/index.js';
import { METHODS, promptSentences, resolveSettings } from '../../js/methods.js';
import { mudpt, pictoclip, workFolder } from './command.js';
import { PICTURES, TINY_A, WAYS, openCore } from './models.js';

const CLASSES = ['cat', 'sail boat', 'x'];
const EXAMPLES = PICTURES.slice(0, 6).map((image, i) => ({ image, label: i % 3 }));
const SHORT = { classes: CLASSES, examples: EXAMPLES, promptLength: 2, epochs: 2, batchSize: 2, learningRate: 0.01 };

describe('recomputing', () => {
  for (const precision of ['high', 'fast']) {
    test(`gives the same bits, precision ${precision}`, async () => {
      const clip = await loadClip(TINY_A, { ...WAYS[1], precision });
      const files = [];
      for (const recompute of [false, true]) {
        const classifier = await clip.tune({ ...SHORT, recompute }).finished;
        files.push(await classifier.export({ raw: true }));
      }
      await clip.dispose();
      assert.deepEqual(files[1], files[0]);
    });
  }
});

test('a plan is what is taken', async () => {
  for (const recompute of [false, true]) {
    const { core, clip, config, tokenizer } = await openCore(pictoclip, { threads: 1 });
    const { method, settings } = resolveSettings({}, config);
    const names = Array.from({ length: 800 }, (_, i) => `thing ${i}`);
    const { ids, phrase } = promptSentences(tokenizer, names, method, settings);
    const classifier = core.classifierCreate(clip, { method, ...METHODS[method].sizes(settings, config) }, { ids });
    core.classifierInit(classifier, 1, phrase);
    const plan = core.classifierPlan(classifier, 4, recompute);
    const { weights, activations, pixels, prompts, optimizer } = plan;
    const before = core.memoryBytes;
    core.classifierRecompute(classifier, recompute);
    core.classifierGradients(classifier, new Float32Array(4 * 3 * config.image ** 2), [0, 1, 2, 3]);
    core.classifierSgd(classifier, 1e-3, 0.9, 5e-4);
    const total = weights + activations + pixels + prompts + optimizer;
    assert.equal(weights, core.clipWeightBytes(clip));
    assert.ok(core.memoryBytes < total + 12e6, `${core.memoryBytes} bytes taken, ${total} planned`);
    assert.ok(core.memoryBytes > 0.9 * total, `${core.memoryBytes} bytes taken, ${total} planned`);
    assert.ok(core.memoryBytes - before > 0.5 * activations);
    core.dispose();
  }
});

test('more classes, more pictures, other storage', async () => {
  const clip = await loadClip(TINY_A);
  const few = await clip.plan({ classes: CLASSES });
  const parts = ['weights', 'activations', 'prompts', 'optimizer', 'examples', 'runtime'];
  assert.equal(
    parts.reduce((sum, part) => sum + few[part], 0),
    few.total,
  );
  assert.equal(few.weights, clip.info.weightBytes);
  const many = await clip.plan({ classes: Array.from({ length: 60 }, (_, i) => `cat ${i}`) });
  assert.ok(many.activations > few.activations && many.examples > few.examples);
  const small = await clip.plan({ classes: CLASSES, dtype: 'int8', recompute: true });
  assert.ok(small.weights < few.weights && small.activations < few.activations);
  const int8 = await loadClip(TINY_A, { dtype: 'int8' });
  assert.ok(int8.info.weightBytes <= small.weights); // the rest is kept as f16 then
  await int8.dispose();
  assert.ok((await clip.plan({ classes: CLASSES, dtype: 'f32' })).weights >= few.weights);
  for (const [options, message] of [
    [{ pictures: NaN }, /^pictures is NaN, expected a whole number from 0$/],
    [{ pictures: -1 }, /^pictures is -1, expected/],
    [{ dtype: 'f64' }, /^dtype is f64, expected f32 or f16 or int8 or int16$/],
    [{ recompute: 1 }, /^recompute is 1, expected true or false$/],
    [{ batch: 1 }, /^there is no option "batch"; settings of mudpt are /],
    [{ classes: undefined }, /^classes is undefined/],
  ]) {
    await assert.rejects(clip.plan({ classes: CLASSES, ...options }), { code: 'argument', message });
  }
  await assert.rejects(clip.plan(), { code: 'argument' });
  await clip.dispose();
});

test('what does not fit is refused before it starts, with what would', async () => {
  const clip = await loadClip(TINY_A);
  const { total } = await clip.plan({ ...SHORT, examples: undefined, pictures: EXAMPLES.length });
  const refused = async (memoryLimit, hint) => {
    const job = clip.tune({ ...SHORT, memoryLimit });
    await assert.rejects(job.finished, (error) => {
      assert.ok(error instanceof MudptError);
      assert.equal(error.code, 'memory');
      assert.match(error.message, /^training would take [\d,]+ MB, of which .* weights; [\d,]+ MB are allowed; /);
      assert.match(error.message, hint);
      return true;
    });
  };
  await refused(total - 1, /this would fit: recompute \(\d+ MB\); the model loaded with dtype 'int8' \(\d+ MB\)/);
  await refused(1000, /fewer classes or a smaller model/);
  await clip.tune({ ...SHORT, memoryLimit: total }).finished;
  await clip.dispose();
});

test('on the command line', async () => {
  const folder = workFolder();
  const run = await mudpt(['info', TINY_A, '--plan', '--classes', '50', '--json'], { cwd: folder });
  const { plan } = JSON.parse(run.stdout.trim().split('\n').at(-1));
  assert.deepEqual(
    plan.map(({ way }) => way),
    ['as loaded', 'recompute', 'int8', 'int8, recompute'],
  );
  assert.ok(plan[0].total > plan[1].total && plan[2].total > plan[3].total);
  const shown = await mudpt(['info', TINY_A, '--plan'], { cwd: folder });
  assert.match(shown.stdout, /to train +MuDPT, 10 classes of 16 pictures, 4 a step/);
  assert.match(shown.stdout, /int8, recompute +[\d.]+ MB: weights [\d.]+ [kM]B, activations/);
});
