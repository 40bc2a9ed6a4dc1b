/**
 * Several projects in one browser. One is the session; the others lie on a shelf beside it, each as its file. What is
 * opened takes the place of what is there, which is put on the shelf first, and can be had back by undo, too.
 */
import { signal } from '@preact/signals';
import { createStore, delMany, get, getMany, keys, setMany } from 'idb-keyval';

import { BUILT_IN, MODELS, chosenModel, loadModel, standInFor } from './models.js';
import { classes, history, newId, openProject, pictures, project, projectOf, works } from './store.js';
import { text } from './strings.js';
import { chosen, method, methods, pauseNow, preset } from './training.js';

const ABOUT = 'about ';
const FILE = 'file ';

/**
 * @typedef {object} Shelved
 * @property {string} id
 * @property {string} name
 * @property {number} at when it was put there
 * @property {number} pictures
 * @property {number} classes
 */
/** Those on the shelf, the last one first. @type {import('@preact/signals').Signal<Shelved[]>} */
export const shelf = signal([]);

let store = null;
const rows = () => (store ??= createStore('mudpt-projects', 'projects'));

export async function readShelf() {
  const names = (await keys(rows())).filter((key) => String(key).startsWith(ABOUT));
  const found = await getMany(names, rows());
  shelf.value = found.filter(Boolean).sort((a, b) => b.at - a.at);
}

/** Whether there is anything that a visitor has made. */
const isWorthIt = () => works.value.length > 0 || (history.value.length > 0 && classes.value.length > 0);

/** Puts what there is on the shelf, in place of what it was when it was put there last. */
async function putAway() {
  const { packed, presentName } = await import('./project.js');
  const name = presentName();
  const bytes = await packed(name);
  const id = projectOf(project.value).id || newId();
  const counts = { pictures: pictures.value.length, classes: classes.value.length };
  await setMany(
    [
      [ABOUT + id, { id, name, at: Date.now(), ...counts }],
      [FILE + id, bytes],
    ],
    rows(),
  );
  // It has a place from now on, also when it comes back by undo.
  project.value = `${id} ${name}`;
}

/** The model that a project was made with: one that this page offers is loaded, any other one where it is asked for. */
function useModel(wanted) {
  const now = chosenModel.value;
  if (!wanted || typeof wanted.id !== 'string' || (wanted.id === now?.id && wanted.id === BUILT_IN.id)) return;
  const own = MODELS.find(({ id, from }) => (wanted.id === BUILT_IN.id ? id === wanted.id : from === wanted.from));
  if (own) {
    if (own.from !== now?.from) loadModel(/** @type {any} */ (own));
  } else if (wanted.from !== now?.from || !wanted.from)
    standInFor({ id: wanted.id, from: String(wanted.from ?? ''), photos: true, name: String(wanted.name ?? '') });
}

function useSettings({ method: wanted, preset: one, chosen: some } = /** @type {any} */ ({})) {
  if (methods.value.some((known) => known.method === wanted)) method.value = wanted;
  if (['quick', 'balanced', 'thorough'].includes(one)) preset.value = one;
  chosen.value = some && typeof some === 'object' && !Array.isArray(some) ? some : {};
}

/** @param {Partial<import('./project.js').Opened>} next @param {string} id on the shelf, '' for a new one */
async function takePlace({ name = '', classes: homes = [], pictures: all = [], works: trained = [], ...rest }, id) {
  await pauseNow();
  if (isWorthIt()) await putAway();
  const own = `${id || newId()} ${name}`;
  const told = text.project.opened(name || text.project.unnamed);
  openProject({ classes: homes, pictures: all, works: trained, sample: rest.sample ?? '', project: own }, told);
  useModel(rest.model);
  if (rest.training) useSettings(rest.training);
  await readShelf();
}

/** A file's project, in place of the present one. @param {import('./project.js').Opened} opened */
export const openFile = (opened) => takePlace(opened, '');

/** One of the shelf. @param {string} id */
export async function openShelved(id) {
  const bytes = await get(FILE + id, rows());
  if (!bytes) throw new Error(text.project.gone);
  const { archive } = await import('./project.js');
  const { project: found } = await archive(new File([bytes], 'project.zip'));
  if (found) await takePlace(found, id);
}

/** An empty one. */
export const startNew = () => takePlace({}, '');

/** @param {string} id */
export async function removeShelved(id) {
  await delMany([ABOUT + id, FILE + id], rows());
  await readShelf();
}
