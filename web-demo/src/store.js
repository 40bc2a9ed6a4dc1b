/**
 * What the page works on: classes, their pictures, and which view is open. Everything else is computed from it.
 *
 * A picture that is held out is never trained on; accuracies are measured on these. Arrays are replaced, never changed,
 * so that an undo is the array as it was before.
 */
import { batch, computed, signal } from '@preact/signals';

/** Of pictures that a visitor adds to a class, every so manieth is held out. */
const HOLD_OUT_EVERY = 4;
const COLOURS = 10;

/**
 * @typedef {{ id: string, name: string, colour: number }} Class
 *
 * @typedef {'sample' | 'file' | 'webcam' | 'drawing'} Origin
 *
 * @typedef {object} Answer what a classifier says of a picture
 * @property {object} by the classifier's entry in predict.js
 * @property {{ id: string, score: number }[]} list classes, best first
 *
 * @typedef {object} Picture
 * @property {string} id
 * @property {string} classId
 * @property {Blob} blob
 * @property {string} url of the blob
 * @property {Origin} origin
 * @property {boolean} held
 * @property {import('@preact/signals').Signal<Answer | null>} zero
 * @property {import('@preact/signals').Signal<Answer | null>} tuned
 * @property {import('@preact/signals').Signal<string>} fault why it cannot be read
 */

/** @type {import('@preact/signals').Signal<Class[]>} */
export const classes = signal([]);
/** @type {import('@preact/signals').Signal<Picture[]>} */
export const pictures = signal([]);
/** The sample task that the pictures came from, '' for none. */
export const sampleId = signal('');

export const newId = () => crypto.getRandomValues(new Uint32Array(2)).join('-');

// ------------------------------------------------------------------------------------------------ what is computed

/** Names as they are compared: the library reads `_` as a space. */
const plain = (name) => name.replaceAll('_', ' ').trim().replace(/\s+/g, ' ');

/** Classes whose name can be used: not empty, not there already. */
export const named = computed(() => {
  const seen = new Set();
  return classes.value.filter(({ name }) => {
    const key = plain(name).toLowerCase();
    return key && !seen.has(key) && seen.add(key);
  });
});

/** @param {Class} one */
export const isRepeated = (one) => plain(one.name) !== '' && !named.value.includes(one);

export const classOf = (id) => classes.value.find((one) => one.id === id);
export const nameOf = (id) => plain(classOf(id)?.name ?? '');
export const picturesOf = (id) => pictures.value.filter((picture) => picture.classId === id);

/** Pictures of classes with a name, in the order of the cards. */
const usable = computed(() => {
  const names = new Set(named.value.map(({ id }) => id));
  return pictures.value.filter((picture) => names.has(picture.classId) && !picture.fault.value);
});
export const trainPictures = computed(() => usable.value.filter(({ held }) => !held));
export const heldPictures = computed(() => usable.value.filter(({ held }) => held));
/** Those that answers are compared on: held-out ones where there are any. */
export const judged = computed(() => (heldPictures.value.length ? heldPictures.value : usable.value));

/** Whether pictures came from elsewhere than the samples. */
export const hasOwnPictures = computed(() => pictures.value.some(({ origin }) => origin !== 'sample'));

// ------------------------------------------------------------------------------------------------ undo

/** What can be taken back: what it was called, and how. @type {import('@preact/signals').Signal<any>} */
export const undoable = signal(null);

/** Does something that can be undone. @param {string} what for the message @param {() => void} change */
function change(what, change) {
  const before = { classes: classes.value, pictures: pictures.value, sample: sampleId.value };
  batch(change);
  const back = () =>
    batch(() => {
      classes.value = before.classes;
      pictures.value = before.pictures;
      sampleId.value = before.sample;
      undoable.value = null;
    });
  undoable.value = { what, back };
}

// ------------------------------------------------------------------------------------------------ changes

/** @param {string} [name] @returns {string} its id */
export function addClass(name = '') {
  const used = classes.value.map(({ colour }) => colour);
  const free = Array.from({ length: COLOURS }, (_, i) => i).find((i) => !used.includes(i));
  const one = { id: newId(), name, colour: free ?? classes.value.length % COLOURS };
  classes.value = [...classes.value, one];
  return one.id;
}

/** The class of this name, a new one where there is none. @param {string} name */
export function classNamed(name) {
  const found = classes.value.find((one) => plain(one.name).toLowerCase() === plain(name).toLowerCase());
  return found?.id ?? addClass(plain(name));
}

/** @param {string} id @param {string} name */
export function renameClass(id, name) {
  classes.value = classes.value.map((one) => (one.id === id ? { ...one, name } : one));
}

/** @param {string} id @param {string} what */
export function removeClass(id, what) {
  change(what, () => {
    classes.value = classes.value.filter((one) => one.id !== id);
    pictures.value = pictures.value.filter((picture) => picture.classId !== id);
  });
}

/**
 * @param {{ id?: string, classId: string, blob: Blob, origin: Origin, held?: boolean }[]} added
 * @returns {Picture[]}
 */
export function addPictures(added) {
  const counts = new Map();
  for (const { classId } of pictures.value) counts.set(classId, (counts.get(classId) ?? 0) + 1);
  const made = added.map(({ id = newId(), classId, blob, origin, held }) => {
    const count = (counts.get(classId) ?? 0) + 1;
    counts.set(classId, count);
    const faults = { zero: signal(null), tuned: signal(null), fault: signal('') };
    return {
      ...{ id, classId, blob, origin, url: URL.createObjectURL(blob) },
      held: held ?? count % HOLD_OUT_EVERY === 0,
      ...faults,
    };
  });
  pictures.value = [...pictures.value, ...made];
  return made;
}

/** @param {string} id @param {string} what */
export function removePicture(id, what) {
  change(what, () => {
    pictures.value = pictures.value.filter((picture) => picture.id !== id);
  });
}

/** @param {string} id @param {string} classId @param {string} what */
export function movePicture(id, classId, what) {
  change(what, () => {
    const moved = pictures.value.filter((picture) => picture.id === id).map((picture) => ({ ...picture, classId }));
    pictures.value = [...pictures.value.filter((picture) => picture.id !== id), ...moved];
  });
}

/** @param {string} id @param {boolean} held */
export function setHeld(id, held) {
  pictures.value = pictures.value.map((picture) => (picture.id === id ? { ...picture, held } : picture));
}

/** Everything goes. @param {string} what */
export function clearAll(what) {
  change(what, () => {
    classes.value = [];
    pictures.value = [];
    sampleId.value = '';
  });
}

/** Other classes and pictures in place of all there are. */
export function replaceAll({ names, added, sample = '' }) {
  batch(() => {
    classes.value = [];
    pictures.value = [];
    const ids = new Map(names.map((name) => [name, addClass(name)]));
    addPictures(added.map(({ name, ...rest }) => ({ ...rest, classId: ids.get(name) })));
    sampleId.value = sample;
    undoable.value = null;
  });
}
