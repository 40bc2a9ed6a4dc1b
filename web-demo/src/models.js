/** Models: which there are, the one that is loaded, and the one on its way. */
import { batch, signal } from '@preact/signals';
import { cache, loadClip } from 'mudpt';

import { OFFERS } from './offers.js';

/** The built-in one, and those for photographs; the first of these is what the page proposes. */
export const MODELS = [
  { id: 'pictoclip', from: new URL('model/', document.baseURI).href, bytes: 5.9e6, photos: false },
  ...OFFERS,
];
export const BUILT_IN = MODELS[0];
const BUILT_IN_MODEL = /** @type {any} */ (BUILT_IN);

/** @typedef {{ id: string, from: any, photos: boolean, name: string }} Model */

/** @type {import('@preact/signals').Signal<import('mudpt').Clip | null>} */
export const clip = signal(null);
/** What `clip` was loaded from. @type {import('@preact/signals').Signal<Model | null>} */
export const model = signal(null);
/** The load that is going on. @type {import('@preact/signals').Signal<any>} */
export const loading = signal(null);
/** Why the last load failed. @type {import('@preact/signals').Signal<any>} */
export const loadError = signal(null);
/**
 * The model that the session belongs to: the one that was chosen, also while the built-in one stands in for it.
 * @type {import('@preact/signals').Signal<Model | null>}
 */
export const chosenModel = signal(null);
/**
 * Set while the built-in model stands in for that of the session, with why; no error where its load was cancelled.
 * `unasked`: it was not tried, since a file names it.
 * @type {import('@preact/signals').Signal<{ model: Model, error: any, unasked?: boolean } | null>}
 */
export const missing = signal(null);
/** Bytes that the origin keeps, by the address of the model's folder. */
export const kept = signal(/** @type {import('mudpt').KeptFile[]} */ ([]));

let current = 0;
/** What is waited for before a model goes. */
let leaving = async () => {};
export const onLeaving = (what) => (leaving = what);

/**
 * Loads a model; the present one stays until the new one is there.
 * @param {Model} wanted
 * @param {boolean} [standIn] it is not what was chosen
 * @returns {Promise<'loaded' | 'failed' | 'cancelled' | 'superseded'>}
 */
export async function loadModel(wanted, standIn = false) {
  loading.value?.cancel();
  const number = ++current;
  const controller = new AbortController();
  const cancel = () => controller.abort();
  loadError.value = null;
  loading.value = { model: wanted, loaded: 0, total: 0, cancel };
  try {
    const fresh = await loadClip(wanted.from, {
      signal: controller.signal,
      dtype: wanted.photos ? 'f16' : 'auto',
      onProgress: ({ loaded, total }) => {
        if (number === current) loading.value = { model: wanted, loaded, total, cancel };
      },
    });
    if (number === current && clip.value) await leaving();
    if (number !== current || controller.signal.aborted) {
      await fresh.dispose();
      controller.signal.throwIfAborted();
      return 'superseded';
    }
    const before = clip.value;
    batch(() => {
      model.value = wanted;
      clip.value = fresh;
      loading.value = null;
      if (standIn) return;
      chosenModel.value = wanted;
      missing.value = null;
    });
    before?.dispose();
    readKept();
    return 'loaded';
  } catch (error) {
    if (number !== current) return 'superseded';
    loading.value = null;
    if (controller.signal.aborted) return 'cancelled';
    loadError.value = { model: wanted, error, standIn };
    return 'failed';
  }
}

/** Tries again what has failed. */
export const retryLoad = () => loadError.value && loadModel(loadError.value.model, loadError.value.standIn);

/**
 * Loads the session's model; where that is not possible the built-in one stands in, and the session keeps its own.
 * @param {Model | null | undefined} wanted
 */
export async function loadFirst(wanted) {
  if (!wanted || wanted.id === BUILT_IN.id) return void (await loadModel(BUILT_IN_MODEL));
  chosenModel.value = wanted;
  // The files of a folder are gone with the page that they were opened in.
  const ended = wanted.from ? await loadModel(wanted) : 'cancelled';
  if (ended === 'loaded' || ended === 'superseded') return;
  missing.value = { model: wanted, error: loadError.value?.error ?? null };
  await loadModel(BUILT_IN_MODEL, true);
}

/** The built-in model stands in until the one that is wanted is asked for. @param {Model} wanted */
export function standInFor(wanted) {
  batch(() => {
    chosenModel.value = wanted;
    missing.value = { model: wanted, error: null, unasked: true };
  });
  if (model.value?.id !== BUILT_IN.id) loadModel(BUILT_IN_MODEL, true);
}

/** The built-in model is what the session belongs to from now on. */
export function stayWithBuiltIn() {
  batch(() => {
    chosenModel.value = model.value;
    missing.value = null;
  });
}

export async function readKept() {
  kept.value = await cache.list().catch(() => []);
}

/** @param {string} from */
export const keptBytes = (from) => {
  const name = String(from)
    .replace(/^hf:|\/resolve\/.*$|\/+$/g, '')
    .replace('https://huggingface.co/', '');
  return kept.value.filter(({ url }) => url.includes(`${name}/`)).reduce((sum, { bytes }) => sum + bytes, 0);
};

/** @param {string} from */
export async function forget(from) {
  const folder = String(from).replace(/\/*$/, '/');
  await cache.delete(folder).catch(() => false);
  await readKept();
}
