/**
 * Runs one job of a protocol: trains with the drawn pictures, then names the test pictures of every test among that
 * test's own classes. Prompts are not changed by the tests: other class names go through the tuned text tower.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import { mean } from '../classifier/metrics.js';
import { DERIVED } from '../classifier/saved.js';
import { headerOf } from '../loading/safetensors.js';
import { commitOf } from '../node/commit.js';
import { onDisk } from '../node/paths.js';
import { countEach, drawShots } from '../training/shots.js';
import { isHead, testHead, trainHead } from './heads.js';
import { withOtherClasses } from './other-classes.js';
import { classesOf, examplesOf, insidePath, sameNames } from './sets.js';

/**
 * @typedef {import('./plan.js').Job} Job
 * @typedef {import('../index.js').Clip} Clip
 *
 * @typedef {object} Log  what is kept of a run, as JSON
 * @property {'mudpt-run'} format
 * @property {1} version
 * @property {string} id
 * @property {import('./plan.js').Identity} identity
 * @property {string} model  name of its folder
 * @property {string} [samples]  of its weights: the identity has its fingerprint, which sees vectors alone
 * @property {{ name: string, classes: number, pictures: number, right: number, accuracy: number, macroF1: number,
 *   ece: number, perClass: { label: string, count: number, right: number }[] }[]} results  one a test; shares from 0 to
 *   1
 * @property {{ trained: number, bytes: number, memory: number } | null} cost  values that were trained; bytes of the
 *   saved classifier; of memory that training takes, the model's weights included
 * @property {{ count: number, least?: number, most?: number, hash: string } | null} drawn  what was trained on, in all
 *   and of a class; SHA-256 of the pictures' paths in the data set and of their bytes: methods with the same hash saw
 *   the same pictures
 * @property {number[]} lossPerEpoch
 * @property {{ train: number, test: number }} seconds
 * @property {string} finished  when, ISO 8601
 * @property {Record<string, string | number>} environment
 *
 * @typedef {(progress: { stage: string, testing: boolean }) => void} OnProgress  testing: training lies behind
 */

/**
 * @param {Clip} clip
 * @param {Job} job
 * @param {{ core: import('../core/core.js').Core, features: import('./heads.js').SweepFeatures,
 *   onProgress?: OnProgress, signal?: AbortSignal }} options  core: any instance of the library; it says which pictures
 *   are drawn. features: of the sweep
 * @returns {Promise<Log>}
 */
export async function runJob(clip, job, { core, features, onProgress = () => {}, signal }) {
  const begun = performance.now();
  const ofFeatures = isHead(job.identity.method);
  const learn = () =>
    ofFeatures ? trainOnFeatures(features, core, job, onProgress, signal) : train(clip, core, job, onProgress, signal);
  /** @type {any} */
  const trained = job.train && (await learn());
  const middle = performance.now();
  const results = [];
  try {
    for (const test of job.tests) {
      const { name, set, part } = test;
      if (ofFeatures) {
        const list = examplesOf(set, part, 'test');
        const tell = () => onProgress({ stage: `testing ${name}`, testing: true });
        tell();
        const { head, names } = trained;
        results.push(resultOf(name, await testHead(features, head, names, test, list, { signal, onProgress: tell })));
        continue;
      }
      const classifier = await classifierOf(clip, trained?.classifier, test);
      try {
        const examples = examplesOf(set, part, 'test').map(({ path, label }) => ({ image: path, label }));
        const tell = () => onProgress({ stage: `testing ${name}`, testing: true });
        tell();
        const measured = await classifier.evaluate(examples, { signal, onProgress: tell });
        results.push(resultOf(name, { classes: classifier.classes, ...measured }));
      } finally {
        if (classifier !== trained?.classifier) await classifier.dispose();
      }
    }
  } finally {
    await (trained?.classifier ?? trained?.head)?.dispose();
  }
  const seconds = (from, to) => Math.round(to - from) / 1000;
  const commit = await commitOf();
  return {
    ...{ format: 'mudpt-run', version: 1, id: job.id, identity: job.identity },
    ...{
      model: clip.info.name.split(/[\\/]/).filter(Boolean).at(-1) ?? '',
      samples: await /** @type {any} */ (clip).samples(),
      results,
    },
    ...{ drawn: trained?.drawn ?? null, lossPerEpoch: trained?.lossPerEpoch ?? [], cost: trained?.cost ?? null },
    seconds: { train: job.train ? seconds(begun, middle) : 0, test: seconds(middle, performance.now()) },
    finished: new Date().toISOString(),
    environment: {
      ...{ node: process.version, platform: process.platform, architecture: process.arch },
      ...{ processor: os.cpus()[0]?.model ?? 'unknown', threads: clip.info.threads },
      ...(commit && { commit }),
    },
  };
}

/** @param {string} name @param {{ classes: string[] } & import('../index.js').Evaluation} measured */
function resultOf(name, { classes, count, confusion, accuracy, macroF1, ece }) {
  const perClass = classes.map((label, i) => {
    return { label, count: confusion[i].reduce((sum, each) => sum + each, 0), right: confusion[i][i] };
  });
  const right = perClass.reduce((sum, each) => sum + each.right, 0);
  return { name, classes: classes.length, pictures: count, right, accuracy, macroF1, ece, perClass };
}

/**
 * @param {Clip} clip
 * @param {import('../core/core.js').Core} core
 * @param {Job} job
 * @param {OnProgress} onProgress
 * @param {AbortSignal} [signal]
 */
async function train(clip, core, { identity, train }, onProgress, signal) {
  const { set, part } = /** @type {NonNullable<Job['train']>} */ (train);
  const settings = /** @type {import('../methods/method.js').Settings} */ (identity.settings);
  const list = listOf(train);
  const classes = classesOf(set, part);
  const examples = list.map(({ path, label }) => ({ image: path, label }));
  const method = /** @type {any} */ (identity.method);
  const tuning = clip.tune({ ...settings, method, classes, examples, signal });
  const losses = [];
  try {
    for await (const { epoch, epochs, loss } of tuning) {
      (losses[epoch - 1] ??= []).push(loss);
      onProgress({ stage: `epoch ${epoch} of ${epochs}`, testing: false });
    }
  } catch (error) {
    await tuning.classifier?.dispose(); // the last good prompts, where numbers were not finite
    throw error;
  }
  const classifier = await tuning.finished;
  // What tune() draws, as it depends on these alone.
  const { drawn } = await drawnFrom(core, set, classes, list, settings);
  const cost = await costOf(clip, classifier, { ...settings, method, classes, pictures: drawn.count });
  return { classifier, lossPerEpoch: losses.map(mean), drawn, cost };
}

/** The pictures to draw from: the data set's own, or those that others have drawn already. @param {any} train */
function listOf({ set, part, published }) {
  return examplesOf(
    published ? { ...set, dataset: { ...set.dataset, train: published.examples } } : set,
    part,
    'train',
  );
}

/**
 * The shots of a run, and what its log says of them.
 * @param {import('../core/core.js').Core} core
 * @param {import('./sets.js').DataSet} set
 * @param {string[]} classes
 * @param {{ path: string, label: number }[]} list
 * @param {any} settings
 */
async function drawnFrom(core, set, classes, list, settings) {
  const labels = list.map(({ label }) => label);
  const shots = drawShots(core, classes, labels, settings).train.map((index) => list[index]);
  const { least, most } = countEach(
    classes.length,
    shots.map(({ label }) => label),
  );
  const hash = createHash('sha256');
  for (const { path: file } of shots)
    hash.update(`${insidePath(set.root, file)}\0`).update(await readFile(onDisk(file)));
  return { shots, drawn: { count: shots.length, least, most, hash: hash.digest('hex') } };
}

/**
 * @param {import('./heads.js').SweepFeatures} features
 * @param {import('../core/core.js').Core} core
 * @param {Job} job
 * @param {OnProgress} onProgress
 * @param {AbortSignal} [signal]
 */
async function trainOnFeatures(features, core, job, onProgress, signal) {
  const { set, part } = /** @type {NonNullable<Job['train']>} */ (job.train);
  const names = classesOf(set, part);
  const { shots, drawn } = await drawnFrom(core, set, names, listOf(job.train), job.identity.settings);
  const told = (done, total) => onProgress({ stage: `${done} of ${total} pictures`, testing: false });
  const [{ template }] = job.tests;
  const { head, losses } = await trainHead(features, job, shots, template, { signal, onProgress: told });
  // A mean for each epoch, of those that have as many steps.
  const epochs = /** @type {any} */ (job.identity.settings)?.epochs ?? 1;
  const each = losses.length / epochs;
  const lossPerEpoch =
    Number.isInteger(each) && each
      ? Array.from({ length: epochs }, (_, i) => mean(losses.slice(i * each, (i + 1) * each)))
      : losses;
  return { head, names, drawn, lossPerEpoch };
}

/** What a run costs besides its time. */
async function costOf(clip, classifier, run) {
  const { tensors } = headerOf(await classifier.export({ raw: true }), 'the classifier');
  const own = tensors.filter(({ name }) => !DERIVED.includes(name));
  const trained = own.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  const { total } = await clip.plan(run);
  return { trained, bytes: (await classifier.export()).length, memory: total };
}

/**
 * The classifier that a test needs: the tuned one, the same with the test's class names, or zero-shot.
 * @param {Clip} clip
 * @param {import('../index.js').Classifier | undefined} tuned
 * @param {Job['tests'][number]} test
 */
async function classifierOf(clip, tuned, { set, part, template }) {
  const names = classesOf(set, part);
  if (!tuned) return clip.zeroShot(names, { template });
  return sameNames(names, tuned.classes) ? tuned : withOtherClasses(clip, tuned, names);
}
