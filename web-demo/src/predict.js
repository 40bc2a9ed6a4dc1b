/**
 * What the classifiers say of the pictures: all are kept up to date by themselves, picture by picture, so that answers
 * appear while others are still computed. Before is what names alone say; after is what was trained for these classes,
 * and where nothing was, the instant answer.
 */
import { computed, effect, signal } from '@preact/signals';

import { clip } from './models.js';
import { heldPictures, judged, named, nameOf, pictures } from './store.js';

const NAMES_SETTLE_MS = 250;
/** Marks for whoever measures the page: the first answer at all, and the first since something was learned. */
const FIRST_ANSWER = 'first answer';
const NEW_ANSWER = 'instant';

/**
 * @typedef {object} Entry a classifier on this page
 * @property {import('mudpt').Classifier} classifier
 * @property {string[]} ids of the classes on this page, in the classifier's order
 * @property {object} [line] of one that goes on learning: its answers of before stand until there are newer ones
 * @property {{ id: string, classId: string }[]} [learned] the pictures that it has learned, in its order
 */

const plain = (name) => name.replaceAll('_', ' ').toLowerCase();

/** @type {import('@preact/signals').Signal<(Entry & { key: string }) | null>} */
export const zeroShot = signal(null);
/**
 * The one that was trained last with this model, perhaps for other classes.
 * @type {import('@preact/signals').Signal<(Entry & { result: import('./store.js').Result }) | null>}
 */
export const tuned = signal(null);
/** One that was trained, as it is used: with a head whose pictures are known it goes on learning. */
export const trainedEntry = (classifier, result) => ({
  ...{ classifier, ids: result.ids, result },
  ...(result.learned?.length === classifier.labels?.length &&
    result.learned && { line: classifier, learned: [...result.learned] }),
});
/** Whether a trained one is on its way: nothing else stands in for it. */
export const opening = signal(false);
/** What has learned by itself. @type {import('@preact/signals').Signal<Entry | null>} */
export const instant = signal(null);
/** The trained one where its classes are there, perhaps among others. */
const known = computed(() => {
  const entry = tuned.value;
  if (!entry) return null;
  const isThere = (id, i) => plain(nameOf(id)) !== '' && plain(nameOf(id)) === plain(entry.classifier.classes[i]);
  return entry.ids.every(isThere) ? entry : null;
});
/** How many of the classes the trained one knows, where it does not know all. */
export const knownPartly = computed(() =>
  known.value && known.value.ids.length < named.value.length ? known.value.ids.length : 0,
);
/** The trained one where it is of these very classes. */
export const trained = computed(() => (known.value?.ids.length === named.value.length ? known.value : null));
/** What answers: only of these very classes are its answers compared with those before. */
export const after = computed(
  () => /** @type {Entry | null} */ (trained.value ?? (opening.value ? null : instant.value)),
);
/** What can be tried, looked into and kept. */
export const usable = computed(() => after.value ?? known.value);
/** Why class names cannot be used. @type {import('@preact/signals').Signal<any>} */
export const namesError = signal(null);
/** Milliseconds that a picture takes, as last measured. */
export const pictureMs = signal(0);

/** Names of classes, for a classifier of them. */
const keyOf = (list) => list.map(({ id }) => `${id} ${nameOf(id)}`).join('\n');
/** The zero-shot one once it is of these very classes. */
export const untrained = computed(() => (zeroShot.value?.key === keyOf(named.value) ? zeroShot.value : null));

const ENTRIES = { zero: untrained, tuned: after };

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

/** Whether an answer counts: of this classifier, or of what it was before it learned some more. */
const stands = (answer, entry) =>
  Boolean(answer && entry && (answer.by === entry || (entry.line && answer.by.line === entry.line)));

/** Answers in the order in which they were given. */
let given = 0;

/** @param {'zero' | 'tuned'} kind */
function keepAnswering(kind) {
  const entry = ENTRIES[kind];
  let busy = false;
  let told = /** @type {Entry | null} */ (null);
  /** A picture without any answer, and else the one whose answer is the oldest. */
  const next = () => {
    const now = entry.peek();
    if (!now) return undefined;
    const waits = (picture) => picture[kind].peek()?.by !== now && !picture.fault.peek();
    const waiting = [...heldPictures.peek().filter(waits), ...pictures.peek().filter(waits)];
    const older = (one, other) => (one[kind].peek().at <= other[kind].peek().at ? one : other);
    return (
      waiting.find((picture) => !stands(picture[kind].peek(), now)) ??
      (waiting.length ? waiting.reduce(older) : undefined)
    );
  };
  const work = async () => {
    if (busy) return;
    busy = true;
    for (let picture = next(); picture; picture = next()) {
      const now = /** @type {Entry} */ (entry.peek());
      const isFirst = kind === 'zero' && !picture.zero.peek() && (picture.held || !heldPictures.peek().length);
      try {
        const start = performance.now();
        const { list } = await answerOf(now, picture.blob);
        const took = performance.now() - start;
        // The first ones wait for code to be compiled, and others for this page: the quickest say most. What was looked
        // at before says nothing.
        if (isFirst) pictureMs.value = Math.min(took, 1.05 * (pictureMs.peek() || took));
        if (stands({ by: now }, entry.peek())) picture[kind].value = { by: now, list, at: ++given };
        if (kind === 'zero' && !performance.getEntriesByName(FIRST_ANSWER).length) performance.mark(FIRST_ANSWER);
        if (now === instant.peek() && now !== told) {
          performance.clearMarks(NEW_ANSWER);
          performance.mark(NEW_ANSWER);
        }
        told = now;
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

/** Whether a classifier tells pictures of none of its classes: it knows pictures that are of them. */
export const tellsNone = (classifier) => classifier.labels?.length > 1;

/**
 * Classes and scores, best first; where it is asked and can be told, how surely it is none of them.
 * @param {Entry} entry
 * @param {any} image
 * @param {{ none?: boolean }} [options]
 * @returns {Promise<{ list: { id: string, score: number }[], none: number }>}
 */
export async function answerOf({ classifier, ids }, image, { none = false } = {}) {
  const ask = /** @type {any} */ ({ topK: Infinity, ...(none && tellsNone(classifier) && { none }) });
  const found = /** @type {any} */ (await classifier.classify(image, ask));
  return { list: found.map(({ index, score }) => ({ id: ids[index], score })), none: found.none ?? 0 };
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
  return stands(answer, ENTRIES[kind].value) ? answer.list : null;
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

/** What became of a picture's answer. @returns {'mended' | 'lost' | 'same'} */
export function changeOf(picture) {
  const [before, now] = [bestOf(picture, 'zero'), bestOf(picture, 'tuned')];
  if (!before || !now || before.right === now.right) return 'same';
  return now.right ? 'mended' : 'lost';
}

/**
 * What is known of the judged pictures, and, once all are answered, the share of rightly named ones: until then it is
 * that of the first classes, since pictures are looked at class by class. What has learned some more since counts as it
 * was until it has looked again.
 */
const accuracyOf = (kind) =>
  computed(() => {
    const entry = ENTRIES[kind].value;
    if (!entry || !judged.value.length) return null;
    const best = judged.value.flatMap((picture) => bestOf(picture, kind) ?? []);
    const right = best.filter((one) => one.right).length;
    const count = judged.value.filter((picture) => picture[kind].value?.by === entry).length;
    const total = judged.value.length;
    return { right, count, total, share: best.length === total ? right / total : null };
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
