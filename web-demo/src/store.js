/**
 * What the page works on: classes, their pictures, and what was trained. Everything else is computed from it.
 *
 * A picture that is held out is never trained on; accuracies are measured on these. Whatever a visitor changes goes
 * through change(), so that it can be taken back, also after a reload. Arrays and things are replaced, never changed.
 */
import { batch, computed, signal } from '@preact/signals';

import { changeBetween, joined, without } from './history.js';

/** Of pictures that a visitor adds to a class, every so manieth is held out. */
const HOLD_OUT_EVERY = 4;
const COLOURS = 10;
/** So many changes can be taken back. */
const MOST_CHANGES = 30;
/** Changes of one kind that follow each other as quickly as this are one, by default. */
const ONE_CHANGE_MS = 3000;

/**
 * @typedef {{ id: string, name: string, colour: number }} Class
 *
 * @typedef {'sample' | 'file' | 'webcam' | 'drawing'} Origin
 *
 * @typedef {object} Answer what a classifier says of a picture
 * @property {object} by the classifier's entry in predict.js
 * @property {{ id: string, score: number }[]} list classes, best first
 * @property {number} at when, among all answers
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
 *
 * @typedef {object} Curve
 * @property {number[]} losses
 * @property {[number, number][]} accuracies step and share
 * @property {number} steps
 * @property {number} [measured] held-out pictures that the accuracies are measured on
 * @property {number} [held] held-out pictures in all
 *
 * @typedef {object} Result what a run has ended with, or a file that was opened
 * @property {string} id
 * @property {string[]} ids of the classes on this page, in the classifier's order
 * @property {Uint8Array} file
 * @property {Curve} curve
 * @property {string} [examples] which pictures it was trained on
 * @property {{ id: string, classId: string }[] | null} [learned] those that its head has learned, in its order; null
 *   where that is not known
 *
 * @typedef {object} Unfinished a run that can go on
 * @property {string} id
 * @property {'running' | 'paused' | 'stopped'} state
 * @property {Uint8Array} checkpoint
 * @property {string} examples which pictures it trains on
 * @property {string} [head] that is asked for on its prompts; none of earlier pages' runs
 * @property {number} [views] of each picture that the head learns from; one of earlier pages' runs
 * @property {Curve} curve
 * @property {any} [progress] of the last step
 *
 * @typedef {object} Work what was trained with a model
 * @property {string} id the model's fingerprint
 * @property {string} from its address, '' where it has none
 * @property {Result | null} result
 * @property {Unfinished | null} run
 *
 * @typedef {object} Told of a change
 * @property {string} id
 * @property {string} what it was, for the message
 * @property {boolean} loud it took something away: the way back is offered at once
 * @property {boolean} kept stored with the session; what a visitor wants to be rid of is not
 * @property {string} kind changes of one kind may become one; '' for none
 * @property {number} at when
 *
 * @typedef {import('./history.js').Change & Told} Entry
 */

/** @type {import('@preact/signals').Signal<Class[]>} */
export const classes = signal([]);
/** @type {import('@preact/signals').Signal<Picture[]>} */
export const pictures = signal([]);
/** The sample task that the pictures came from, '' for none. */
export const sampleId = signal('');
/** Which project this is: its id and its name, with a space between; '' before it has either. */
export const project = signal('');
/** Whether anything was done here, or the first sample has come: until then it is waited for, also after a reload. */
export const touched = signal(false);
/** @type {import('@preact/signals').Signal<Work[]>} */
export const works = signal([]);

/** The bytes of blobs that may not be stored yet: a page that is left cannot read them from blobs any more. */
export const bytesOf = /** @type {WeakMap<Blob, ArrayBuffer | Uint8Array>} */ (new WeakMap());

/** @param {any} bytes @param {string} name @param {string} type */
export function fileOf(bytes, name, type) {
  const file = new File([bytes], name, { type });
  bytesOf.set(file, bytes);
  return file;
}

/** @param {string} value of `project` */
export function projectOf(value) {
  const [id, ...name] = value.split(' ');
  return { id, name: name.join(' ') };
}

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
export const workOf = (id) => works.value.find((work) => work.id === id);

/** Pictures of classes with a name, in the order of the cards. */
const usable = computed(() => {
  const names = new Set(named.value.map(({ id }) => id));
  return pictures.value.filter((picture) => names.has(picture.classId) && !picture.fault.value);
});
export const trainPictures = computed(() => usable.value.filter(({ held }) => !held));
export const heldPictures = computed(() => usable.value.filter(({ held }) => held));
/** Those that answers are compared on: held-out ones where there are any. */
export const judged = computed(() => (heldPictures.value.length ? heldPictures.value : usable.value));

/** Whether there may be photographs: what was drawn, here or for the samples, is none. */
export const hasPhotos = computed(() => pictures.value.some(({ origin }) => origin === 'file' || origin === 'webcam'));

// ------------------------------------------------------------------------------------------------ undo

/** What can be taken back, the last one last. @type {import('@preact/signals').Signal<Entry[]>} */
export const history = signal([]);
/** What was taken back, and can be done again. @type {import('@preact/signals').Signal<Entry[]>} */
export const undone = signal([]);
/** The change whose way back is offered at once. @type {import('@preact/signals').Signal<Entry | null>} */
export const undoable = signal(null);

const now = () => ({
  classes: classes.value,
  pictures: pictures.value,
  works: works.value,
  sample: sampleId.value,
  project: project.value,
});

/** Sets all that there is. @param {import('./history.js').Collection} collection */
function setAll(collection) {
  batch(() => {
    classes.value = collection.classes;
    pictures.value = collection.pictures;
    works.value = collection.works;
    sampleId.value = collection.sample;
    project.value = collection.project;
  });
}

/** All pictures that are there or can come back. @returns {Picture[]} */
export function everyPicture() {
  const past = [...history.value, ...undone.value].flatMap((entry) => entry.pictures.gone.map(({ one }) => one));
  return [...new Map([...past, ...pictures.value].map((picture) => [picture.id, picture])).values()];
}

/** Sets what can be taken back and done again; pictures that nothing can bring back any more are let go. */
function setPast(past, future) {
  const before = everyPicture();
  batch(() => {
    history.value = past.slice(-MOST_CHANGES);
    undone.value = future;
    if (undoable.value && !history.value.includes(undoable.value)) undoable.value = null;
  });
  const still = new Set(everyPicture().map(({ id }) => id));
  for (const { id, url } of before) if (!still.has(id)) URL.revokeObjectURL(url);
}

/**
 * The one way in which anything is changed.
 * @param {string | ((entry: any) => string)} what it is called in messages
 * @param {() => void} make
 * @param {{ loud?: boolean, kept?: boolean, kind?: string, within?: number }} [how]
 */
export function change(what, make, { loud = false, kept = true, kind = '', within = ONE_CHANGE_MS } = {}) {
  const before = now();
  batch(make);
  touched.value = true;
  const difference = changeBetween(before, now());
  if (!difference) return;
  const last = history.value.at(-1);
  const goesOn = kind !== '' && last?.kind === kind && Date.now() - last.at < within;
  const done = goesOn ? joined(last, difference) : difference;
  const told = { id: newId(), loud, kept, kind, at: Date.now(), what: typeof what === 'string' ? what : what(done) };
  const entry = { ...done, ...told };
  batch(() => {
    setPast([...history.value.slice(0, goesOn ? -1 : undefined), entry], []);
    if (loud) undoable.value = entry;
  });
}

/** Takes a change back; the change that does so. @param {Entry} entry */
function takeBack(entry) {
  const before = now();
  setAll(without(before, entry));
  const back = changeBetween(before, now());
  const { id, what, kept, loud } = entry;
  return back && { ...back, id, what, kept, loud, kind: '', at: Date.now() };
}

/** Takes back one change, and nothing that was done since. @param {Entry} [entry] the last one by default */
export function undo(entry = history.value.at(-1)) {
  if (!entry || !history.value.includes(entry)) return;
  batch(() => {
    const back = takeBack(entry);
    const rest = history.value.filter((one) => one !== entry);
    setPast(rest, back ? [...undone.value, back] : undone.value);
  });
}

/** Does again what was taken back last. */
export function redo() {
  const entry = undone.value.at(-1);
  if (!entry) return;
  batch(() => {
    const again = takeBack(entry);
    setPast(again ? [...history.value, again] : history.value, undone.value.slice(0, -1));
  });
}

/** What can be taken back is forgotten. @param {Entry} [entry] this one, all by default */
export const forgetPast = (entry) => setPast(entry ? history.value.filter((one) => one !== entry) : [], []);

/** All of a stored session. @param {import('./history.js').Collection & { past: Entry[], future: Entry[] }} session */
export function restoreAll({ past, future, ...collection }) {
  const before = everyPicture();
  batch(() => {
    setAll(collection);
    history.value = past;
    undone.value = future;
    undoable.value = null;
  });
  for (const { url } of before) URL.revokeObjectURL(url);
}

// ------------------------------------------------------------------------------------------------ changes

/** A class more, which belongs to a greater change. @returns {string} its id */
function newClass(name) {
  const used = classes.value.map(({ colour }) => colour);
  const free = Array.from({ length: COLOURS }, (_, i) => i).find((i) => !used.includes(i));
  const one = { id: newId(), name, colour: free ?? classes.value.length % COLOURS };
  classes.value = [...classes.value, one];
  return one.id;
}

/** @param {string} what @returns {string} its id */
export function addClass(what) {
  let id = '';
  change(what, () => (id = newClass('')));
  return id;
}

/** The class of this name, a new one where there is none. @param {string} name */
function classNamed(name) {
  const found = classes.value.find((one) => plain(one.name).toLowerCase() === plain(name).toLowerCase());
  return found?.id ?? newClass(plain(name));
}

/** @param {string} id @param {string} name @param {string} what */
export function renameClass(id, name, what) {
  const rename = () => {
    classes.value = classes.value.map((one) => (one.id === id ? { ...one, name } : one));
  };
  change(what, rename, { kind: `name ${id}` });
}

/** @param {string} id @param {string} what */
export function removeClass(id, what) {
  const remove = () => {
    classes.value = classes.value.filter((one) => one.id !== id);
    pictures.value = pictures.value.filter((picture) => picture.classId !== id);
  };
  change(what, remove, { loud: true });
}

/**
 * Pictures as the page has them.
 * @param {{ id?: string, classId: string, blob: Blob, origin: Origin, held?: boolean, fault?: string }[]} added
 * @returns {Picture[]}
 */
export function picturesFrom(added) {
  const counts = new Map();
  for (const { classId } of pictures.value) counts.set(classId, (counts.get(classId) ?? 0) + 1);
  return added.map(({ id = newId(), classId, blob, origin, held, fault = '' }) => {
    const count = (counts.get(classId) ?? 0) + (fault ? 0 : 1);
    counts.set(classId, count);
    return {
      ...{ id, classId, blob, origin, url: URL.createObjectURL(blob) },
      held: held ?? (!fault && count % HOLD_OUT_EVERY === 0),
      ...{ zero: signal(null), tuned: signal(null), fault: signal(fault) },
    };
  });
}

/**
 * Adds pictures to classes that are named by `classId`, or else by `name`: those that are not there yet are made.
 * @param {{ classId?: string, name?: string, blob: Blob, origin: Origin, held?: boolean, fault?: string }[]} added
 * @param {string | ((count: number) => string)} what
 * @param {{ kind?: string, within?: number, loud?: boolean }} [how] of a kind: pictures that come one by one are one
 *   change
 */
export function addPictures(added, what, how = {}) {
  const add = () => {
    const made = added.map(({ classId = '', name = '', ...rest }) => {
      // The class may have gone while its pictures were read.
      const home = classOf(classId)?.id ?? classNamed(name);
      return { ...rest, classId: home };
    });
    pictures.value = [...pictures.value, ...picturesFrom(made)];
  };
  const told = typeof what === 'string' ? what : (entry) => what(entry.pictures.come.length);
  change(told, add, how);
}

/** @param {string} id @param {string} what */
export function removePicture(id, what) {
  const remove = () => {
    pictures.value = pictures.value.filter((picture) => picture.id !== id);
  };
  change(what, remove, { loud: true });
}

const alter = (id, part) => () => {
  pictures.value = pictures.value.map((picture) => (picture.id === id ? { ...picture, ...part } : picture));
};

/** @param {string} id @param {string} classId @param {string} what */
export const movePicture = (id, classId, what) => change(what, alter(id, { classId }), { loud: true });

/** @param {string} id @param {boolean} held @param {string} what */
export const setHeld = (id, held, what) => change(what, alter(id, { held }));

/** Classes and pictures go. @param {string} what */
export function clearAll(what) {
  const clear = () => {
    classes.value = [];
    pictures.value = [];
    sampleId.value = '';
  };
  change(what, clear, { loud: true });
}

/** Everything goes, and what could be taken back; the way back from this is not stored. @param {string} what */
export function removeEverything(what) {
  forgetPast();
  const clear = () => setAll({ classes: [], pictures: [], works: [], sample: '', project: '' });
  change(what, clear, { loud: true, kept: false });
}

/**
 * A sample's classes and pictures in place of what there is.
 * @param {{ names: string[], added: any[], sample: string }} sample @param {string} what
 */
export function replaceAll({ names, added, sample }, what) {
  const first = classes.value.length + history.value.length + undone.value.length === 0;
  const replace = () => {
    classes.value = [];
    pictures.value = [];
    const ids = new Map(names.map((name) => [name, newClass(name)]));
    pictures.value = picturesFrom(added.map(({ name, ...rest }) => ({ ...rest, classId: ids.get(name) })));
    sampleId.value = sample;
    touched.value = true;
  };
  if (first)
    batch(replace); // what the page begins with took nothing's place
  else change(what, replace, { loud: true });
}

/**
 * A project in place of what there is, which is the one thing that can be taken back.
 * @param {{ classes: Class[], pictures: any[], works: Work[], sample: string, project: string }} opened
 * @param {string} what
 */
export function openProject({ pictures: added, ...opened }, what) {
  forgetPast();
  const open = () => {
    pictures.value = []; // none of a class that is there counts
    setAll({ ...opened, pictures: picturesFrom(added) });
  };
  change(what, open, { loud: true });
}

/** @param {string} name @param {string} what */
export function renameProject(name, what) {
  const rename = () => (project.value = `${projectOf(project.value).id || newId()} ${name}`);
  change(what, rename, { kind: 'project' });
}

/** Sets what was trained with a model, as a part of a change or of a run. @param {Work} work */
export function setWork(work) {
  const others = works.value.filter(({ id }) => id !== work.id);
  works.value = work.result || work.run ? [...others, work] : others;
}

/**
 * What was trained with a model, in place of what there was; classes that the classifier knows and that are not there
 * get a card.
 * @param {string} what
 * @param {string[]} names the classifier's classes
 * @param {(ids: string[]) => Work} make
 */
export const useWork = (what, names, make) =>
  change(what, () => setWork(make(names.map((name) => classNamed(name)))), { loud: true });
