/**
 * What the classifiers say of the pictures: both are kept up to date by themselves, picture by picture, so that answers
 * appear while others are still computed.
 */
import { computed, effect, signal } from '@preact/signals';

import { clip } from './models.js';
import { classOf, heldPictures, judged, named, nameOf, pictures } from './store.js';

const NAMES_SETTLE_MS = 250;
/** A mark for whoever measures the page. */
const FIRST_ANSWER = 'first answer';

/**
 * @typedef {object} Entry a classifier on this page
 * @property {import('mudpt').Classifier} classifier
 * @property {string[]} ids of the classes on this page, in the classifier's order
 */

/** @type {import('@preact/signals').Signal<Entry | null>} */
export const zeroShot = signal(null);
/** The trained one. @type {import('@preact/signals').Signal<(Entry & { history?: any }) | null>} */
export const tuned = signal(null);
/** Why class names cannot be used. @type {import('@preact/signals').Signal<any>} */
export const namesError = signal(null);
/** Milliseconds that a picture takes, as last measured. */
export const pictureMs = signal(0);

const ENTRIES = { zero: zeroShot, tuned };

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
    zeroShot.value = { classifier, ids: list.map(({ id }) => id) };
    namesError.value = null;
    before?.classifier.dispose().catch(() => {});
  } catch (error) {
    if (mine === wanted) namesError.value = error;
  }
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
        picture.fault.value = error.message;
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

export function startPredicting() {
  effect(() => {
    const model = clip.value;
    const list = named.value;
    const key = model ? list.map(({ id }) => `${id} ${nameOf(id)}`).join('\n') : '';
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

/** Share of rightly named pictures among those that are judged; null until all are answered. */
const accuracyOf = (kind) =>
  computed(() => {
    if (!ENTRIES[kind].value || !judged.value.length) return null;
    let right = 0;
    let count = 0;
    for (const picture of judged.value) {
      const best = bestOf(picture, kind);
      if (!best) continue;
      count++;
      if (best.right) right++;
    }
    return { right, count, total: judged.value.length, share: count ? right / count : 0 };
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

/** Whether the trained classifier knows the classes as they are now. */
export const tunedFits = computed(() => {
  const entry = tuned.value;
  if (!entry) return true;
  const names = entry.classifier.classes;
  return (
    entry.ids.length === named.value.length &&
    entry.ids.every((id, i) => classOf(id) && nameOf(id).toLowerCase() === names[i].replaceAll('_', ' ').toLowerCase())
  );
});
