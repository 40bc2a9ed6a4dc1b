/**
 * What the classifiers say of the pictures: both are kept up to date by themselves, picture by picture, so that answers
 * appear while others are still computed.
 */
import { computed, effect, signal } from '@preact/signals';

import { clip } from './models.js';
import { heldPictures, judged, named, nameOf, pictures } from './store.js';

const NAMES_SETTLE_MS = 250;
/** A mark for whoever measures the page. */
const FIRST_ANSWER = 'first answer';

/**
 * @typedef {object} Entry a classifier on this page
 * @property {import('mudpt').Classifier} classifier
 * @property {string[]} ids of the classes on this page, in the classifier's order
 */

const plain = (name) => name.replaceAll('_', ' ').toLowerCase();

/** @type {import('@preact/signals').Signal<(Entry & { key: string }) | null>} */
export const zeroShot = signal(null);
/**
 * The one that was trained last with this model, perhaps for other classes.
 * @type {import('@preact/signals').Signal<(Entry & { result: import('./store.js').Result }) | null>}
 */
export const tuned = signal(null);
/** The trained one where its classes are there, perhaps among others: it can be tried, looked into and kept. */
export const usable = computed(() => {
  const entry = tuned.value;
  if (!entry) return null;
  const isThere = (id, i) => plain(nameOf(id)) !== '' && plain(nameOf(id)) === plain(entry.classifier.classes[i]);
  return entry.ids.every(isThere) ? entry : null;
});
/** The trained one where it is of these very classes: only then are its answers compared with those before. */
export const trained = computed(() => (usable.value?.ids.length === named.value.length ? usable.value : null));
/** Why class names cannot be used. @type {import('@preact/signals').Signal<any>} */
export const namesError = signal(null);
/** Milliseconds that a picture takes, as last measured. */
export const pictureMs = signal(0);

/** Names of classes, for a classifier of them. */
const keyOf = (list) => list.map(({ id }) => `${id} ${nameOf(id)}`).join('\n');
/** The zero-shot one once it is of these very classes. */
export const untrained = computed(() => (zeroShot.value?.key === keyOf(named.value) ? zeroShot.value : null));

const ENTRIES = { zero: untrained, tuned: trained };

// ------------------------------------------------------------------------------------------------ keeping up to date

/** What the zero-shot classifier is made of, or will be: names, and a model, which may be the same one loaded anew. */
let wanted = { key: '', model: /** @type {any} */ (null) };
let timer = 0;

async function makeZeroShot(model, list) {
  const mine = wanted;
  try {
    const classifier = await model.zeroShot(list.map(({ id }) => nameOf(id)));
    if (mine !== wanted) return classifier.dispose();
    const before = zeroShot.value;
    zeroShot.value = { classifier, ids: list.map(({ id }) => id), key: mine.key };
    namesError.value = null;
    before?.classifier.dispose().catch(() => {});
  } catch (error) {
    if (mine === wanted) namesError.value = error;
  }
}

let leaving = false;
const askedTwice = new WeakSet();

/** Whether it is the picture: while a page is left WebKit reads no blob any more, which says nothing about pictures. */
async function isFaulty(picture) {
  const isThere = await picture.blob.arrayBuffer().then(
    () => true,
    () => false,
  );
  if ((isThere && !leaving) || askedTwice.has(picture)) return true;
  askedTwice.add(picture);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  leaving = false; // a link only opened another program
  return false;
}

/** @param {'zero' | 'tuned'} kind */
function keepAnswering(kind) {
  const entry = ENTRIES[kind];
  let busy = false;
  const next = () => {
    const now = entry.peek();
    const waits = (picture) => picture[kind].peek()?.by !== now && !picture.fault.peek();
    return now && (heldPictures.peek().find(waits) ?? pictures.peek().find(waits));
  };
  const work = async () => {
    if (busy) return;
    busy = true;
    for (let picture = next(); picture; picture = next()) {
      const now = /** @type {Entry} */ (entry.peek());
      try {
        const start = performance.now();
        const list = await answerOf(now, picture.blob);
        const took = performance.now() - start;
        // The first ones wait for code to be compiled, and others for this page: the quickest say most.
        pictureMs.value = Math.min(took, 1.05 * (pictureMs.peek() || took));
        if (now === entry.peek()) picture[kind].value = { by: now, list };
        if (kind === 'zero' && !performance.getEntriesByName(FIRST_ANSWER).length) performance.mark(FIRST_ANSWER);
      } catch (error) {
        if (now !== entry.peek()) continue;
        if (error.code !== 'image') break; // the model has gone
        if (await isFaulty(picture)) picture.fault.value = error.message;
      }
    }
    busy = false;
  };
  effect(() => {
    if (entry.value && pictures.value) work();
  });
}

/** Classes and scores, best first. @param {Entry} entry @param {any} image */
export async function answerOf({ classifier, ids }, image) {
  const names = classifier.classes;
  const found = await classifier.classify(image, { topK: names.length });
  return found.map(({ label, score }) => ({ id: ids[names.indexOf(label)], score }));
}

/** Whether the library can read a picture that this browser cannot; null where nothing is there to ask. */
export async function isReadable(image) {
  for (let entry = zeroShot.value, before = null; entry && entry !== before; before = entry, entry = zeroShot.value) {
    try {
      await answerOf(entry, image);
      return true;
    } catch (error) {
      if (error.code === 'image') return false; // or the classifier has gone while it was asked
    }
  }
  return null;
}

export function startPredicting() {
  for (const name of ['beforeunload', 'pagehide']) addEventListener(name, () => (leaving = true));
  effect(() => {
    const model = clip.value;
    const list = named.value;
    const key = model ? keyOf(list) : '';
    if (key === wanted.key && model === wanted.model) return;
    const first = !zeroShot.peek();
    wanted = { key, model };
    clearTimeout(timer);
    if (!model || list.length < 2) zeroShot.value = null;
    else timer = window.setTimeout(() => makeZeroShot(model, list), first ? 0 : NAMES_SETTLE_MS);
  });
  keepAnswering('zero');
  keepAnswering('tuned');
}

// ------------------------------------------------------------------------------------------------ measures

/** The list that still counts: of the present classifier, of classes that are still there. */
const listOf = (picture, kind) => {
  const answer = picture[kind].value;
  return answer && answer.by === ENTRIES[kind].value ? answer.list : null;
};

/**
 * @param {any} picture
 * @param {'zero' | 'tuned'} kind
 * @returns {{ id: string, score: number, right: boolean } | null}
 */
export function bestOf(picture, kind) {
  const best = listOf(picture, kind)?.[0];
  return best ? { ...best, right: best.id === picture.classId } : null;
}

export const answersOf = listOf;

/**
 * What is known of the judged pictures, and, once all are answered, the share of rightly named ones: until then it is
 * that of the first classes, since pictures are looked at class by class.
 */
const accuracyOf = (kind) =>
  computed(() => {
    if (!ENTRIES[kind].value || !judged.value.length) return null;
    const best = judged.value.flatMap((picture) => bestOf(picture, kind) ?? []);
    const right = best.filter((one) => one.right).length;
    const [count, total] = [best.length, judged.value.length];
    return { right, count, total, share: count === total ? right / total : null };
  });

export const zeroAccuracy = accuracyOf('zero');
export const tunedAccuracy = accuracyOf('tuned');

/** [true class][predicted class] over the judged pictures. @param {'zero' | 'tuned'} kind */
export function confusionOf(kind) {
  const ids = named.value.map(({ id }) => id);
  const counts = ids.map(() => ids.map(() => 0));
  for (const picture of judged.value) {
    const row = ids.indexOf(picture.classId);
    const column = ids.indexOf(bestOf(picture, kind)?.id ?? '');
    if (row >= 0 && column >= 0) counts[row][column]++;
  }
  return counts;
}

/** What training has changed, in points; null until both accuracies are known. */
export const points = computed(() => {
  const [before, after] = [zeroAccuracy.value?.share ?? null, tunedAccuracy.value?.share ?? null];
  return before === null || after === null ? null : Math.round(100 * after) - Math.round(100 * before);
});

/** Waits until these pictures have been looked at: each has an answer, or it is known why not. */
export const lookedAt = (list) =>
  new Promise((resolve) => {
    const stop = effect(() => {
      const entry = untrained.value;
      const waits = ({ zero, fault }) => !fault.value && (!entry || zero.value?.by !== entry);
      const here = list.filter(({ id }) => pictures.value.some((picture) => picture.id === id));
      if (!namesError.value && here.some(waits)) return;
      queueMicrotask(() => stop());
      resolve(undefined);
    });
  });
