/**
 * Training runs on this page: start, pause, go on, stop; what the chart shows; what is kept of them. A run in progress
 * is kept after every epoch and at least once a minute, so that a page that is closed loses little of it.
 */
import { batch, computed, effect, signal } from '@preact/signals';

import { clip, loading, model, onLeaving } from './models.js';
import { lookedAt, opening, pictureMs, trained, trainedEntry, tuned } from './predict.js';
import { change, heldPictures, named, nameOf, newId, setWork, trainPictures, workOf, works } from './store.js';
import { text } from './strings.js';

/** A step costs about this many times what looking at its pictures costs. */
const STEP_COST = 4;
const TELL_MS = 120;
const KEEP_MS = 60_000;
/** So long a model that is to go waits for the run to be put away. */
const PAUSE_MS = 10_000;
/** The library draws at most so many held-out pictures of a class to measure a run on. */
const MOST_MEASURED = 4;

export const method = signal('mudpt');
export const preset = signal('quick');
/** What was set under "Advanced", in place of the preset's. @type {import('@preact/signals').Signal<any>} */
export const chosen = signal({});

/** @typedef {import('./store.js').Curve} Curve */

/**
 * @typedef {object} Run the one that goes on, or how the last one failed
 * @property {'idle' | 'starting' | 'running' | 'pausing' | 'failed'} state
 * @property {any} [progress] of the last step
 * @property {{ done: number, total: number }} [seen] pictures that were looked at since, for the head
 * @property {any} [error]
 * @property {string} [examples] which pictures it trains on
 * @property {any} [unkept] why the last one could not be put away where it ended
 */
/** @type {import('@preact/signals').Signal<Run>} */
export const run = signal({ state: 'idle' });
/** What the chart shows of it; replaced as it grows. @type {import('@preact/signals').Signal<Curve>} */
const live = signal({ losses: [], accuracies: [], steps: 0 });
/** Why the classifier that is kept cannot be used. @type {import('@preact/signals').Signal<any>} */
export const tunedError = signal(null);

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

const examplesKey = computed(() => trainPictures.value.map(({ id, classId }) => `${id} ${nameOf(classId)}`).join('\n'));

/** Why training cannot start, as a key of the strings; '' where it can. */
export const obstacle = computed(() => {
  if (!clip.value) return loading.value ? 'noModel' : 'failedModel';
  if (named.value.length < 2) return 'fewClasses';
  const counts = new Map(named.value.map(({ id }) => [id, 0]));
  for (const { classId } of trainPictures.value) counts.set(classId, (counts.get(classId) ?? 0) + 1);
  return [...counts.values()].every((count) => count > 0) ? '' : 'emptyClass';
});

/**
 * Views of each picture for the head that stands on the prompts, as in the instant answer: looking at them takes less
 * time than the epochs. CoCoOp's prompts can carry none.
 */
const viewsOf = ({ epochs }) => (method.value === 'cocoop' ? 0 : Math.min(epochs, 10));

/** Milliseconds that a run with a preset will take, as far as can be told. @param {string} name */
export const estimate = (name) => {
  const cost = trainedMs.value || STEP_COST * pictureMs.value;
  if (!methodInfo.value || !cost) return 0;
  const { shots, epochs } = { ...methodInfo.value.presets[name], ...chosen.value };
  const counts = new Map();
  for (const { classId } of trainPictures.value) counts.set(classId, (counts.get(classId) ?? 0) + 1);
  const drawn = [...counts.values()].reduce((sum, count) => sum + Math.min(count, shots), 0);
  // A view is looked at twice, by the tuned tower and for the instant answer beside it: half of a step's cost.
  return drawn * (epochs + viewsOf({ epochs }) / 2) * cost;
};

/** What was trained with the present model. */
const work = computed(() => {
  const known = clip.value && workOf(clip.value.info.fingerprint);
  if (known || !clip.value || typeof model.value?.from !== 'string') return known ?? null;
  // Another fingerprint at the same address: the library may read the file nevertheless.
  return works.value.find(({ from }) => from !== '' && from === model.value?.from) ?? null;
});

/** The run that can go on: nothing that it trains on has changed. */
export const unfinished = computed(() => {
  const found = work.value?.run ?? null;
  return !busy.value && found?.examples === examplesKey.value ? found : null;
});

/** How training stands, for the classes and pictures that are there. */
export const stage = computed(() => {
  const { state, examples } = run.value;
  if (busy.value || (state === 'failed' && examples === examplesKey.value)) return state;
  const kept = { paused: 'paused', running: 'interrupted', stopped: '' }[unfinished.value?.state ?? 'stopped'];
  return kept || (trained.value ? 'done' : 'idle');
});

/** Whether what was trained has not seen the pictures that there are now, and cannot learn them by itself. */
export const isBehind = computed(() => {
  const { result, learned } = trained.value ?? {};
  return Boolean(result?.examples && !learned) && result?.examples !== examplesKey.value;
});

/** Why the run that has ended could not be put away where it ended. */
export const unkept = computed(() => (run.value.examples === examplesKey.value ? run.value.unkept : null));

/** The curve of what is shown: of the run that goes on, or that gave the classifier in use. */
export const curve = computed(() => {
  if (busy.value) return live.value;
  if (stage.value === 'interrupted') return unfinished.value?.curve ?? null;
  return trained.value?.result.curve ?? null;
});

// ------------------------------------------------------------------------------------------------ running

const examplesOf = (list) => list.map(({ blob, classId }) => ({ image: blob, label: nameOf(classId) }));

/** Of how many held-out pictures the curve tells. */
function measured(held, shots) {
  const counts = new Map();
  for (const { classId } of held) counts.set(classId, (counts.get(classId) ?? 0) + 1);
  const most = Math.min(shots ?? MOST_MEASURED, MOST_MEASURED);
  return { measured: [...counts.values()].reduce((sum, count) => sum + Math.min(count, most), 0), held: held.length };
}

/** @param {{ from?: import('./store.js').Unfinished | null }} [options] a run to go on with */
export async function train({ from = null } = {}) {
  const clipNow = clip.value;
  if (!clipNow || busy.value) return;
  const wanted = settings.value;
  const key = examplesKey.value;
  batch(() => {
    run.value = { state: 'starting', examples: key };
    live.value = { losses: [], accuracies: from?.curve.accuracies ?? [], steps: 0 };
  });
  // One picture that cannot be read would end the run: it is known before.
  const begun = run.value;
  await lookedAt([...trainPictures.value, ...heldPictures.value]);
  if (run.value !== begun) return; // discarded meanwhile
  if (clipNow !== clip.value || !named.value.length || obstacle.value) return void (run.value = { state: 'idle' });
  const ids = named.value.map(({ id }) => id);
  const held = heldPictures.value;
  const classes = ids.map(nameOf);
  const views = from ? (from.views ?? 1) : viewsOf(wanted);
  const head = views ? 'auto' : 'none';
  const prompts = { classes, method: method.value, preset: preset.value, head, ...chosen.value };
  const started = from ? { resume: from.checkpoint, head: from.head ?? 'none' } : prompts;
  const onProgress = (seen) => busy.value && mine === job && (run.value = { ...run.value, seen });
  const options = started.head === 'none' ? started : { ...started, views, onProgress };
  const about = {
    ...{ clip: clipNow, ids, pictures: trainPictures.value, examples: examplesKey.value, earlier: work.value },
    ...{ kept: /** @type {any} */ (from), unkept: /** @type {any} */ (null), head: options.head, views },
    ...{ batchSize: wanted?.batchSize ?? 1, from: typeof model.value?.from === 'string' ? model.value.from : '' },
    count: from?.curve.held === undefined ? measured(held, wanted?.shots) : from.curve,
  };
  const mine = clipNow.tune({
    ...options,
    examples: examplesOf(trainPictures.value),
    validation: held.length ? examplesOf(held) : false,
  });
  job = mine;
  try {
    await follow(mine, about);
    if (mine === job) await finish(mine, about);
    else await mine.finished.then((classifier) => classifier.dispose());
  } catch (error) {
    await mine.finished.catch(() => {});
    if (mine !== job) return;
    if (mine.classifier) await useTrained(mine, mine.classifier, about, lastKept(about, 'stopped')).catch(() => {});
    run.value = clipNow === clip.value ? { state: 'failed', error, examples: about.examples } : { state: 'idle' };
  } finally {
    if (job === mine) job = null;
  }
}

/** Puts the run between two steps away, in place of the one before. */
async function keepRun(mine, about, state) {
  const checkpoint = await mine.checkpoint().catch((error) => {
    about.unkept = error;
    return null;
  });
  if (!checkpoint || mine !== job) return null;
  about.unkept = null;
  const { progress } = run.value;
  const { examples, head, views } = about;
  const kept = { id: newId(), state, checkpoint, examples, head, views, curve: live.value, progress };
  const id = about.clip.info.fingerprint;
  setWork({ id, from: about.from, result: (workOf(id) ?? about.earlier)?.result ?? null, run: kept });
  about.kept = kept;
  return kept;
}

/** The run as it was put away last, when that was not possible where it ended. */
const lastKept = ({ kept }, state) => (kept ? { ...kept, id: newId(), state } : null);

/** Shows the steps as they come, a few times a second, and keeps the run. */
async function follow(mine, about) {
  const losses = [];
  const accuracies = [];
  const known = new Map(live.value.accuracies);
  let [told, start, counted, last] = [0, 0, 0, /** @type {any} */ (null)];
  let kept = performance.now();
  let keeping = Promise.resolve(/** @type {any} */ (null));
  const tell = (progress) => {
    if (mine !== job) return; // discarded meanwhile
    batch(() => {
      const { measured: some, held } = about.count;
      live.value = {
        losses: losses.slice(),
        accuracies: accuracies.slice(),
        steps: progress.steps,
        measured: some,
        held,
      };
      const state = run.value.state === 'pausing' ? 'pausing' : 'running';
      run.value = { ...run.value, state, progress, examples: about.examples };
    });
  };
  for await (const step of mine) {
    last = step;
    losses.push(step.loss);
    if (!step.replayed) {
      start ||= performance.now();
      if (++counted > 1) trainedMs.value = (performance.now() - start) / (counted - 1) / about.batchSize;
    }
    const accuracy = step.validationAccuracy ?? (step.replayed ? known.get(step.step) : undefined);
    if (accuracy !== undefined) accuracies.push([step.step, accuracy]);
    const endsEpoch = step.step % (step.steps / step.epochs) === 0;
    const keep = !step.replayed && (counted === 1 || endsEpoch || performance.now() - kept > KEEP_MS);
    if (!keep && performance.now() - told < TELL_MS) continue;
    told = performance.now();
    tell(step);
    if (!keep || step.step === step.steps) continue;
    kept = told;
    keeping = keeping.then(() => keepRun(mine, about, 'running'));
  }
  if (last) tell(last);
  await keeping;
}

async function finish(mine, about) {
  const classifier = await mine.finished;
  const { progress, state } = run.value;
  const whole = progress && progress.step === progress.steps;
  const end = state === 'pausing' ? 'paused' : 'stopped';
  const left = whole || !progress ? null : ((await keepRun(mine, about, end)) ?? lastKept(about, end));
  await useTrained(mine, classifier, about, left);
  if (mine === job) run.value = { state: 'idle', examples: about.examples, unkept: whole ? null : about.unkept };
}

/** The pictures that a head has learned, in its order: class by class, where all were drawn. */
function learnedBy({ labels, classes }, ids, pictures) {
  const all = ids.flatMap((id) => pictures.filter(({ classId }) => classId === id));
  const isSo = labels?.length === all.length && all.every((one, i) => classes[ids.indexOf(one.classId)] === labels[i]);
  return isSo ? all.map(({ id, classId }) => ({ id, classId })) : null;
}

/** Puts a run's classifier to use in place of the one before, which can be had back. */
async function useTrained(mine, classifier, about, left) {
  const { clip: trainedWith, ids, pictures, from, earlier, examples } = about;
  const learned = learnedBy(classifier, ids, pictures);
  const result = { id: newId(), ids, file: await classifier.export(), curve: live.value, examples, learned };
  if (mine !== job) return classifier.dispose(); // discarded meanwhile
  const id = trainedWith.info.fingerprint;
  batch(() => {
    if (trainedWith === clip.value) setTuned(trainedEntry(classifier, result));
    // What was kept on the way is no change of its own.
    setWork({ id, from, result: (workOf(id) ?? earlier)?.result ?? null, run: earlier?.run ?? null });
    change(text.undo.training, () => setWork({ id, from, result, run: left }));
  });
}

/** Ends the run after the present step; `pause` means that it will go on. @param {'pause' | 'stop'} how */
export function stop(how) {
  if (!job) return;
  run.value = { ...run.value, state: how === 'pause' ? 'pausing' : run.value.state };
  // While pictures are looked at for the head all is trained: a pause waits for it, as nothing is left to go on with.
  if (how === 'stop' || !run.value.seen) job.stop();
}

export const goOn = () => unfinished.value && train({ from: unfinished.value });

/** Ends the run, and nothing comes of it. */
export function discard() {
  job?.stop();
  job = null;
  run.value = { state: 'idle' };
}

/** Ends the run so that it can go on, and waits until it is put away. */
export async function pauseNow() {
  if (!busy.value) return;
  await new Promise((resolve) => {
    const end = effect(() => {
      if (run.value.state === 'running') queueMicrotask(() => stop('pause'));
      if (busy.value) return;
      queueMicrotask(() => end());
      resolve(undefined);
    });
  });
}

// ------------------------------------------------------------------------------------------------ in use

/** @param {typeof tuned.value} entry */
function setTuned(entry) {
  const before = tuned.peek();
  batch(() => {
    tuned.value = entry;
    opening.value = false;
  });
  before?.classifier.dispose().catch(() => {});
}

/** A classifier's file that was opened is what is used from now on. @param {any} classifier @param {() => void} put */
export function useOpened(classifier, put) {
  batch(() => {
    put();
    const result = work.value?.result;
    if (result) setTuned(trainedEntry(classifier, result));
  });
}

/** The classifier in use is the one that the collection has, also when that is taken back, or the model changes. */
export function startUsing() {
  // What was learned with a model that another one takes the place of can go on when it is back.
  onLeaving(() => Promise.race([pauseNow(), new Promise((resolve) => setTimeout(resolve, PAUSE_MS))]));
  let known = clip.value;
  effect(() => {
    const mine = clip.value;
    const result = work.value?.result ?? null;
    if (mine !== known) {
      // It went with its model.
      known = mine;
      trainedMs.value = 0;
      tuned.value = null;
    }
    tunedError.value = null;
    if (tuned.peek()?.result === result) return;
    setTuned(null);
    opening.value = Boolean(mine && result);
    if (!mine || !result) return;
    const isWanted = () => mine === clip.peek() && work.peek()?.result === result && tuned.peek()?.result !== result;
    mine.import(result.file).then(
      (classifier) => (isWanted() ? setTuned(trainedEntry(classifier, result)) : classifier.dispose()),
      (error) => isWanted() && batch(() => ([tunedError.value, opening.value] = [error, false])),
    );
  });
}
