/** Training runs on this page: start, pause, go on, stop; what the chart shows; what is kept of them. */
import { batch, computed, signal } from '@preact/signals';

import { clip } from './models.js';
import { pictureMs, tuned } from './predict.js';
import { heldPictures, named, nameOf, trainPictures } from './store.js';

/** A step costs about this many times what looking at its pictures costs. */
const STEP_COST = 4;
const TELL_MS = 120;

export const method = signal('mudpt');
export const preset = signal('quick');
/** What was set under "Advanced", in place of the preset's. @type {import('@preact/signals').Signal<any>} */
export const chosen = signal({});

/**
 * @typedef {object} Run
 * @property {'idle' | 'starting' | 'running' | 'pausing' | 'paused' | 'done' | 'failed'} state
 * @property {any} [progress] of the last step
 * @property {any} [error]
 * @property {string} [examples] which pictures it trains on
 */
/** @type {import('@preact/signals').Signal<Run>} */
export const run = signal({ state: 'idle' });
/** What the chart shows; replaced as it grows. */
export const curve = signal({ losses: [], accuracies: /** @type {[number, number][]} */ ([]), steps: 0 });
/** The run between two steps, for going on later. @type {import('@preact/signals').Signal<Uint8Array | null>} */
export const checkpoint = signal(null);
/** The trained classifier as a file. @type {import('@preact/signals').Signal<Uint8Array | null>} */
export const tunedFile = signal(null);

/** Milliseconds that a picture took in the last run's steps; 0 before the first. */
const trainedMs = signal(0);

let job = null;

export const busy = computed(() => ['starting', 'running', 'pausing'].includes(run.value.state));
export const methods = computed(() => clip.value?.methods() ?? []);
export const methodInfo = computed(() => methods.value.find((one) => one.method === method.value) ?? null);

/** All settings of the next run. */
export const settings = computed(() => {
  const info = methodInfo.value;
  return info && { ...info.presets[preset.value], ...chosen.value };
});

const examplesKey = () => trainPictures.value.map(({ id, classId }) => `${id} ${nameOf(classId)}`).join('\n');

/** Why training cannot start, as a key of the strings; '' where it can. */
export const obstacle = computed(() => {
  if (!clip.value) return 'noModel';
  if (named.value.length < 2) return 'fewClasses';
  const counts = new Map(named.value.map(({ id }) => [id, 0]));
  for (const { classId } of trainPictures.value) counts.set(classId, (counts.get(classId) ?? 0) + 1);
  return [...counts.values()].every((count) => count > 0) ? '' : 'emptyClass';
});

/** Milliseconds that a run with a preset will take, as far as can be told. @param {string} name */
export const estimate = (name) => {
  const cost = trainedMs.value || STEP_COST * pictureMs.value;
  if (!methodInfo.value || !cost) return 0;
  const { shots, epochs } = { ...methodInfo.value.presets[name], ...chosen.value };
  const counts = new Map();
  for (const { classId } of trainPictures.value) counts.set(classId, (counts.get(classId) ?? 0) + 1);
  const trained = [...counts.values()].reduce((sum, count) => sum + Math.min(count, shots), 0);
  return trained * epochs * cost;
};

/** Whether the run that was stopped can go on: nothing that it trains on has changed. */
export const canContinue = computed(
  () => !busy.value && checkpoint.value !== null && run.value.examples === examplesKey(),
);

// ------------------------------------------------------------------------------------------------ running

const examplesOf = (list) => list.map(({ blob, classId }) => ({ image: blob, label: nameOf(classId) }));

/** @param {{ resume?: Uint8Array }} [options] */
export async function train({ resume } = {}) {
  const model = clip.value;
  if (!model || busy.value) return;
  const ids = named.value.map(({ id }) => id);
  const key = examplesKey();
  const options = resume
    ? { resume }
    : { classes: ids.map(nameOf), method: method.value, preset: preset.value, ...chosen.value };
  batch(() => {
    run.value = { state: 'starting', examples: key };
    curve.value = { losses: [], accuracies: resume ? curve.value.accuracies : [], steps: 0 };
    if (!resume) checkpoint.value = null;
  });
  const held = examplesOf(heldPictures.value);
  const mine = model.tune({
    ...options,
    examples: examplesOf(trainPictures.value),
    validation: held.length ? held : false,
  });
  job = mine;
  try {
    await follow(mine, key);
    await finish(model, mine, ids, key);
  } catch (error) {
    await mine.finished.catch(() => {});
    if (mine.classifier) await keep(mine.classifier, ids, []).catch(() => {});
    if (model === clip.value) run.value = { state: 'failed', error, examples: key };
  } finally {
    if (job === mine) job = null;
  }
}

/** Shows the steps as they come, a few times a second. */
async function follow(mine, key) {
  const losses = [];
  const accuracies = [];
  const pictures = settings.value?.batchSize ?? 1;
  let told = 0;
  let start = 0;
  let counted = 0;
  const tell = (progress) =>
    batch(() => {
      const known = curve.value.accuracies.filter(([step]) => step <= progress.step);
      curve.value = {
        losses: losses.slice(),
        accuracies: accuracies.length ? accuracies.slice() : known,
        steps: progress.steps,
      };
      const state = run.value.state === 'pausing' ? 'pausing' : 'running';
      run.value = { ...run.value, state, progress, examples: key };
    });
  let last = null;
  const known = new Map(curve.value.accuracies);
  for await (const step of mine) {
    last = step;
    losses.push(step.loss);
    if (!step.replayed) {
      start ||= performance.now();
      if (++counted > 1) trainedMs.value = (performance.now() - start) / (counted - 1) / pictures;
    }
    const accuracy = step.validationAccuracy ?? (step.replayed ? known.get(step.step) : undefined);
    if (accuracy !== undefined) accuracies.push([step.step, accuracy]);
    if (performance.now() - told < TELL_MS) continue;
    told = performance.now();
    tell(step);
  }
  if (last) tell(last);
}

async function finish(model, mine, ids, key) {
  const classifier = await mine.finished;
  const { progress } = run.value;
  const whole = progress && progress.step === progress.steps;
  const state = run.value.state === 'pausing' && !whole ? 'paused' : 'done';
  checkpoint.value = whole || !progress ? null : await mine.checkpoint().catch(() => null);
  await keep(classifier, ids, curve.value.accuracies);
  if (model === clip.value) run.value = { state, progress, examples: key };
}

/** Puts a classifier to use, and away as a file. */
export async function keep(classifier, ids, accuracies) {
  const file = await classifier.export();
  batch(() => {
    const before = tuned.value;
    tuned.value = { classifier, ids, history: { accuracies } };
    tunedFile.value = file;
    before?.classifier.dispose().catch(() => {});
  });
}

/** Ends the run after the present step; `pause` means that it will go on. @param {'pause' | 'stop'} how */
export function stop(how) {
  if (!job) return;
  run.value = { ...run.value, state: how === 'pause' ? 'pausing' : run.value.state };
  job.stop();
}

export const goOn = () => checkpoint.value && train({ resume: checkpoint.value });

/** Nothing is trained any more, for instance since there is another model. */
export function forgetTraining() {
  batch(() => {
    trainedMs.value = 0;
    tuned.value?.classifier.dispose().catch(() => {});
    tuned.value = null;
    tunedFile.value = null;
    checkpoint.value = null;
    run.value = { state: 'idle' };
    curve.value = { losses: [], accuracies: [], steps: 0 };
  });
}
