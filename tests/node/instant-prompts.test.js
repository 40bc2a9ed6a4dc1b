/** Prompts, then a head: mixtures, what decides, files, what is refused. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';

import { loadClip } from '../../js/index.js';
import { BudgetJob } from '../../js/instant/budget.js';
import { headerOf, writeSafetensors } from '../../js/loading/safetensors.js';
import { CLASSES, EXAMPLES, TESTS } from '../browser/task.js';
import { pictoclip } from './command.js';
import { isError } from './models.js';

const ROOT = path.resolve(import.meta.dirname, '../..');
const here = (list) => list.map(({ image, label }) => ({ image: path.join(ROOT, image), label }));
const [EXAMPLE_FILES, TEST_FILES] = [here(EXAMPLES), here(TESTS)];
const RUN = { classes: CLASSES, examples: EXAMPLE_FILES, shots: 2, epochs: 1, learningRate: 0.01 };

/** @type {any} */
let clip;
before(async () => {
  clip = await loadClip(pictoclip, { threads: 1 });
});
after(() => clip.dispose());

const scoresOf = async (classifier) => {
  const all = [];
  for (const { image } of TEST_FILES) {
    const best = await classifier.classify(image, { topK: Infinity });
    all.push(classifier.classes.map((label) => best.find((each) => each.label === label).score));
  }
  return all;
};
const near = (a, b, most) => a.every((row, i) => row.every((value, k) => Math.abs(value - b[i][k]) < most));

for (const method of ['mudpt', 'coop', 'tcp']) {
  test(`${method}: the run is the same; its classifier has a head`, async () => {
    const steps = async (job) => {
      const losses = [];
      for await (const { loss } of job) losses.push(loss);
      return losses;
    };
    const [alone, job] = [clip.tune({ ...RUN, method }), clip.tune({ ...RUN, method, head: 'tip-f' })];
    assert.deepEqual(await steps(job), await steps(alone));
    const [tuned, both] = [await alone.finished, await job.finished];
    assert.deepEqual([both.method, both.head, both.weight, both.heldOut], [method, 'tip-f', 1, []]);
    assert.deepEqual([both.settings, both.labels.length], [tuned.settings, 6]);
    const said = await scoresOf(both);
    assert.ok(!near(said, await scoresOf(tuned), 1e-4), 'the head says nothing');
    // Softmax over more classes keeps the differences of logits.
    const logs = (rows) => rows.map((row) => row.map((value) => Math.log(value) - Math.log(row[0])));
    const features = await tuned.embedImages(TEST_FILES.map(({ image }) => image));
    assert.deepEqual(features.dims[0], TEST_FILES.length);
    const again = await clip.import(await both.export());
    assert.deepEqual(await scoresOf(again), said);
    assert.deepEqual([again.method, again.head, again.weight], [method, 'tip-f', 1]);
    const wider = await again.withClasses(['robot face']);
    const widened = await scoresOf(wider);
    assert.ok(
      near(
        logs(widened).map((row) => row.slice(0, 3)),
        logs(said),
        2e-2,
      ),
    );
    for (const each of [both, again]) await each.add(TEST_FILES[0].image, TEST_FILES[0].label);
    assert.deepEqual(await scoresOf(again), await scoresOf(both));
    await again.rename(0, 'red face');
    assert.equal((await again.classify(TEST_FILES[0].image, { topK: 1 })).length, 1);
  });
}

test('half of each: the mean of what both say, in a file, with further classes, and after a change', async () => {
  const whole = await clip.tune({ ...RUN, head: 'clap' }).finished;
  const bytes = await whole.export();
  const withWeight = (weight) => {
    const { tensors, metadata } = headerOf(bytes, 'x');
    const contents = tensors.map(({ begin, bytes: size, ...each }) => {
      return { ...each, data: bytes.slice(begin, begin + size) };
    });
    const head = JSON.stringify({ ...JSON.parse(metadata.head), weight });
    return clip.import(writeSafetensors(contents, { ...metadata, head }));
  };
  const [half, none] = [await withWeight(0.5), await withWeight(0)];
  assert.equal(half.weight, 0.5);
  const odds = async (classifier) =>
    (await scoresOf(classifier)).map((row) => row.slice(1).map((value) => Math.log(value / row[0])));
  const [all, half2, names] = [await odds(whole), await odds(half), await odds(none)];
  assert.ok(
    near(
      half2,
      all.map((row, i) => row.map((value, k) => (value + names[i][k]) / 2)),
      1e-3,
    ),
  );
  const again = await clip.import(await half.export());
  assert.deepEqual(await scoresOf(again), await scoresOf(half));
  const wider = await half.withClasses(['robot face']);
  const widened = (await odds(wider)).map((row) => row.slice(0, 2));
  assert.ok(near(widened, half2, 1e-3));
  for (const each of [half, again]) await each.add(TEST_FILES[0].image, TEST_FILES[0].label);
  assert.deepEqual(await scoresOf(again), await scoresOf(half));
  for (const weight of [-1, 2, 'x', null])
    await assert.rejects(withWeight(weight), isError('classifier', /does not say how its head was made/));
});

test('what pictures that were not trained on say decides, and is told', async () => {
  const { heldOut, method, head, weight } = await clip.tune({ ...RUN, head: 'auto' }).finished;
  assert.deepEqual(
    heldOut.map((each) => [each.method, each.head, each.weight]),
    [
      ['mudpt', 'tip-f', 1],
      ['mudpt', 'tip-f', 0.5],
      ['mudpt', 'none', 0],
      ['zeroshot', 'tip-f', 1],
    ],
  );
  assert.ok(heldOut.every(({ accuracy }) => accuracy >= 0 && accuracy <= 1));
  assert.deepEqual([method, head, weight], ['mudpt', 'tip-f', 1], 'six pictures are no proof');
  // Labels to decide by that only the names can have: the prompts' own answers.
  const tuned = await clip.tune({ ...RUN, epochs: 3 }).finished;
  const validation = [];
  for (const { image } of [...TEST_FILES, ...EXAMPLE_FILES])
    validation.push({ image, label: (await tuned.classify(image, { topK: 1 }))[0].label });
  const given = await clip.tune({ ...RUN, epochs: 3, head: 'auto', validation }).finished;
  assert.equal(given.heldOut[2].accuracy, 1);
  const all = await clip.tune({ ...RUN, shots: 16, head: 'auto' }).finished;
  assert.deepEqual([all.heldOut, all.weight], [[], 1], 'nothing is left to decide by');
});

test('what cannot have a head is refused by name, and what was trained is not lost', async () => {
  const refused = (more, code, message) =>
    assert.rejects(clip.tune({ ...RUN, ...more }).finished, isError(code, message));
  await refused({ head: 'lora' }, 'argument', /head is "lora", expected auto, none/);
  await refused({ head: 'tip', transfer: true }, 'argument', /transfer gives the pictures away/);
  const job = clip.tune({ ...RUN, method: 'cocoop', batchSize: 1, head: 'tip' });
  await assert.rejects(job.finished, isError('argument', /cocoop makes them anew for every picture; leave out head/));
  const two = clip.tune({ ...RUN, method: 'mmrl', head: 'tip' });
  await assert.rejects(two.finished, isError('argument', /one feature of a picture, and mmrl has two; leave out head/));
  assert.equal((await job.classifier.classify(TEST_FILES[0].image)).length, 3);
  const stopped = clip.tune({ ...RUN, epochs: 1000, head: 'tip' });
  let steps = 0;
  for await (const _ of stopped) if (++steps === 2) stopped.stop();
  assert.equal((await stopped.finished).head, 'tip');
  assert.ok((await stopped.checkpoint()).length > 1000);
  const plain = await clip.tune({ ...RUN, head: 'none' }).finished;
  assert.equal(plain.head, undefined);
});

test('the head tells what it looks at, and stop() ends it: the prompts alone are the result', async () => {
  const told = [];
  const job = clip.tune({
    ...{ ...RUN, head: 'auto', views: 20 },
    onProgress(progress) {
      told.push(progress);
      job.stop();
    },
  });
  const tuned = await job.finished;
  assert.deepEqual([tuned.head, tuned.method, job.classifier === tuned], [undefined, 'mudpt', true]);
  assert.ok(told.length && told.every(({ done, total }) => done > 0 && done <= total && total === 6));
  const alone = await clip.tune(RUN).finished;
  assert.deepEqual(await scoresOf(tuned), await scoresOf(alone));
  await Promise.all([tuned.dispose(), alone.dispose()]);

  const controller = new AbortController();
  const { signal } = controller;
  const aborted = clip.tune({ ...RUN, head: 'auto', views: 20, signal, onProgress: () => controller.abort() });
  await assert.rejects(aborted.finished, { name: 'AbortError' });
  await aborted.classifier.dispose();
});

test('a budget counts the views of pictures, also where the plain ones were looked at before', async () => {
  const slow = new Proxy(clip, {
    get(target, name) {
      const value = Reflect.get(target, name, target);
      if (name !== 'embedImages') return typeof value === 'function' ? value.bind(target) : value;
      return async (pictures, options) => {
        if (options.views) await setTimeout(500 * pictures.length);
        return target.embedImages(pictures, options);
      };
    },
  });
  const { epochs: _, ...run } = RUN;
  const job = new BudgetJob(slow, (options) => clip.tune(options), { ...run, budget: 20 });
  const classifier = await job.finished;
  assert.equal(classifier.recipe.taken, 'instant');
  assert.ok(classifier.recipe.seconds.quick > 2 * 9 * 6 * 0.5);
  await classifier.dispose();
});

test('a budget that is stopped while a head is made of its prompts keeps the answer that it has', async () => {
  const { epochs: _, ...run } = RUN;
  let isTrained = false;
  const job = clip.tune({ ...run, budget: 1e6, onProgress: () => isTrained && job.stop() });
  for await (const { step, steps } of job) isTrained = step === steps;
  assert.ok(isTrained);
  const classifier = await job.finished;
  assert.deepEqual([classifier.recipe.taken, classifier.head, job.classifier === classifier], ['views', 'tip-f', true]);
  assert.equal((await classifier.classify(EXAMPLE_FILES[0].image, { topK: Infinity })).length, CLASSES.length);
  await classifier.dispose();
});

test('a budget buys the longest recipe that fits, or the instant answer, and says which', async () => {
  const { epochs: _, ...run } = RUN;
  const none = clip.tune({ ...run, budget: 1e-6 });
  const steps = [];
  for await (const step of none) steps.push(step);
  const instant = await none.finished;
  assert.deepEqual([steps, instant.head], [[], 'tip-f']);
  assert.deepEqual(instant.recipe, { budget: 1e-6, taken: 'instant', seconds: null });
  await assert.rejects(none.checkpoint(), isError('state', /no run of prompts/));

  const job = clip.tune({ ...run, budget: 1e6 });
  for await (const step of job) {
    steps.push(step);
    if (step.step > 1) continue;
    assert.equal(job.classifier.head, 'tip-f', 'the instant answer is there already, of ten views');
    const { tensors } = headerOf(await job.classifier.export(), 'the answer');
    assert.equal(tensors.find(({ name }) => name === 'picture_views').shape[0], 9);
  }
  const best = await job.finished;
  const { taken, seconds } = best.recipe;
  assert.deepEqual([taken, steps.at(-1).epochs, steps.length], ['thorough', 30, 30]);
  assert.ok(seconds.quick > 0 && seconds.quick < seconds.balanced && seconds.balanced < seconds.thorough);
  assert.equal(best.heldOut.length, 4);

  const prompts = clip.tune({ ...run, budget: 1e6, head: 'none' });
  for await (const { step } of prompts) if (step === 2) prompts.stop();
  assert.deepEqual([(await prompts.finished).method, (await prompts.finished).head], ['mudpt', undefined]);
  for (const [more, message] of [
    [{ views: 3 }, /views are what a head learns from, and there is none/],
    [{ views: 3, head: 'none' }, /views are what a head learns from/],
    [{ budget: 0 }, /budget is 0, expected a number of seconds above 0/],
    [{ budget: '30s' }, /budget is 30s, expected/],
    [{ budget: 5, epochs: 3 }, /epochs is given, and budget settles it/],
    [{ budget: 5, views: 3 }, /views is given, and budget settles it/],
    [{ budget: 5, preset: 'quick' }, /preset is given, and budget settles it/],
    [{ budget: 5, head: 'x' }, /head is "x"/],
    [{ budget: Promise.resolve(5) }, /budget is a Promise; await it/],
    // Also where no prompts come, which would refuse it.
    [{ budget: 1e-6, viewz: 3 }, /there is no option "viewz"/],
    [{ budget: 1e-6, method: 'mudtp' }, /method is "mudtp", expected/],
    [{ budget: 1e-6, depth: 'all' }, /depth is "all", expected/],
    [{ budget: 1e-6, classPosition: 'end' }, /classPosition is no option of mudpt/],
  ])
    await assert.rejects(clip.tune({ ...run, ...more }).finished, isError('argument', message));
});
