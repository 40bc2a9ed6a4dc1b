/**
 * The classifier that is there by itself: from two pictures on a head on what the model sees of them, which learns
 * every picture that comes, goes or changes its class. Nothing of it is stored, since it follows from the pictures.
 */
import { effect } from '@preact/signals';

import { clip } from './models.js';
import { instant, trained, tuned, untrained } from './predict.js';
import { nameOf, trainPictures } from './store.js';

/** So many pictures it takes: one has nothing to be told apart from. */
const LEAST = 2;
/** Of more a head without steps: what trains takes as long as the square of their number. */
const MANY = 400;

/**
 * @typedef {object} Wanted what is to be learned
 * @property {any} model
 * @property {{ id: string, name: string }[]} classes
 * @property {import('./store.js').Picture[]} pictures
 *
 * @typedef {object} Learner a classifier and what it has learned
 * @property {any} classifier
 * @property {any} model
 * @property {string} head
 * @property {string[]} ids of its classes, in its order
 * @property {{ id: string, classId: string }[]} learned in its order
 */

/** @type {Wanted | null} */
let wanted = null;
/** @type {Learner | null} */
let learner = null;
/** Answers of these classes stand until there are newer ones. */
let line = { model: /** @type {any} */ (null), key: '' };
let busy = false;

const headFor = ({ pictures }) => (pictures.length > MANY ? 'tip' : 'tip-f');
const dispose = (it) => it?.classifier.dispose().catch(() => {});

function letGo() {
  dispose(learner);
  learner = instant.value = null;
}

/**
 * Whether it becomes what one would be that begins now, so that the same pictures always give the same answers: no
 * class of it can go, no head becomes another, and what comes comes last.
 * @param {Learner} it @param {Wanted} now
 */
function canFollow(it, now) {
  if (it.model !== now.model || it.head !== headFor(now)) return false;
  const begins = (some, all) => some.every((id, i) => id === all[i]?.id);
  const here = new Set(now.pictures.map(({ id }) => id));
  const stay = it.learned.flatMap(({ id }) => (here.has(id) ? [id] : []));
  return begins(it.ids, now.classes) && begins(stay, now.pictures);
}

/** @param {Wanted} now @returns {Promise<Learner>} that knows names alone */
async function begin({ model, classes, pictures }) {
  const head = headFor({ pictures });
  const names = classes.map(({ name }) => name);
  const classifier = await model.tune({ preset: 'instant', head, classes: names, examples: [] }).finished;
  return { classifier, model, head, ids: classes.map(({ id }) => id), learned: [] };
}

/** It is called as the classes are called, and knows those that came. @param {Learner} it @param {Wanted} now */
async function followNames({ classifier, ids }, { classes }) {
  for (const { id, name } of classes) {
    const at = ids.indexOf(id);
    if (at >= 0 && classifier.classes[at] !== name) await classifier.rename(at, name);
    if (at >= 0) continue;
    await classifier.addClasses([name]);
    ids.push(id);
  }
}

/** It has learned these pictures and no others. @param {Pick<Learner, 'classifier' | 'ids' | 'learned'>} it */
async function followPictures({ classifier, ids, learned }, { model, pictures }) {
  const homes = new Map(pictures.map(({ id, classId }) => [id, classId]));
  for (let at = learned.length - 1; at >= 0; at--) {
    const classId = homes.get(learned[at].id);
    if (classId === undefined) {
      await classifier.remove(at);
      learned.splice(at, 1);
    } else if (classId !== learned[at].classId) {
      await classifier.correct(at, ids.indexOf(classId));
      learned[at] = { ...learned[at], classId };
    }
  }
  const known = new Set(learned.map(({ id }) => id));
  for (const { id, classId, blob } of pictures) {
    if (known.has(id)) continue;
    if (model !== clip.value) return;
    try {
      await classifier.add(blob, ids.indexOf(classId));
      learned.push({ id, classId });
    } catch (error) {
      if (error.code !== 'image') throw error; // which is said where it is looked at
    }
  }
}

/** @param {Wanted} now */
async function catchUp(now) {
  const { model, classes } = now;
  const before = learner && !canFollow(learner, now) ? learner : null;
  try {
    // The one before answers until the next one can.
    if (!learner || before) learner = await begin(now);
    await followNames(learner, now);
    await followPictures(learner, now);
    const { classifier, ids, learned } = learner;
    const key = classes.map(({ id }) => id).join();
    if (line.model !== model || line.key !== key) line = { model, key };
    if (wanted && model === clip.value) instant.value = { classifier, ids, line, learned: [...learned] };
  } finally {
    dispose(before);
  }
}

async function work() {
  if (busy) return;
  busy = true;
  for (let done; done !== wanted;) {
    done = wanted;
    try {
      if (done) await catchUp(done);
    } catch {
      // The model has gone, or what is wrong is said where pictures are looked at.
      letGo();
    }
    if (learner && learner.model !== clip.value) letGo();
  }
  busy = false;
}

let isFollowing = false;

/** What was trained learns what came, too, where it has a head and it is known of which pictures. */
async function followTrained() {
  if (isFollowing) return;
  isFollowing = true;
  for (let [entry, pictures] = now(); entry?.learned; [entry, pictures] = now()) {
    const before = JSON.stringify(entry.learned);
    try {
      await followPictures(entry, { model: clip.peek(), pictures });
    } catch {
      break; // it has gone
    }
    if (JSON.stringify(entry.learned) !== before && tuned.peek() === entry) tuned.value = { ...entry };
    const [next, list] = now();
    if (next?.classifier === entry.classifier && list === pictures) break;
  }
  isFollowing = false;
}
const now = () => /** @type {[any, any[]]} */ ([trained.peek(), trainPictures.peek()]);

/** From here on both follow the pictures. */
export function startInstant() {
  effect(() => {
    if (trained.value && trainPictures.value) followTrained();
  });
  effect(() => {
    const names = untrained.value;
    const pictures = trainPictures.value;
    const enough = names && pictures.length >= LEAST;
    wanted = enough
      ? { model: clip.value, pictures, classes: names.ids.map((id) => ({ id, name: nameOf(id) })) }
      : null;
    if (!wanted) instant.value = null;
    work();
  });
}
