/** Models: which there are, the one that is loaded, and the one on its way. */
import { signal } from '@preact/signals';
import { cache, loadClip } from 'mudpt';

/** Weights of OpenAI's models as Hugging Face has them; sizes are what is downloaded, without the token embedding. */
export const MODELS = [
  { id: 'pictoclip', from: new URL('model/', document.baseURI).href, bytes: 5.9e6, photos: false },
  {
    id: 'vit-b-32',
    // The repository's own branch has no .safetensors; this request to add it does.
    from: 'https://huggingface.co/openai/clip-vit-base-patch32/resolve/refs%2Fpr%2F15/',
    bytes: 504e6,
    photos: true,
  },
  { id: 'vit-b-16', from: 'https://huggingface.co/openai/clip-vit-base-patch16', bytes: 499e6, photos: true },
];
export const BUILT_IN = MODELS[0];

/** @typedef {{ id: string, from: any, photos: boolean, name: string }} Model */

/** @type {import('@preact/signals').Signal<import('mudpt').Clip | null>} */
export const clip = signal(null);
/** What `clip` was loaded from. @type {import('@preact/signals').Signal<Model | null>} */
export const model = signal(null);
/** The load that is going on. @type {import('@preact/signals').Signal<any>} */
export const loading = signal(null);
/** Why the last load failed. @type {import('@preact/signals').Signal<any>} */
export const loadError = signal(null);
/** Bytes that the origin keeps, by the address of the model's folder. */
export const kept = signal(/** @type {import('mudpt').KeptFile[]} */ ([]));

let current = 0;

/**
 * Loads a model; the present one stays until the new one is there.
 * @param {Model} wanted
 * @returns {Promise<boolean>} whether it is loaded
 */
export async function loadModel(wanted) {
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
    if (number !== current) {
      await fresh.dispose();
      return false;
    }
    const before = clip.value;
    model.value = wanted;
    clip.value = fresh;
    loading.value = null;
    before?.dispose();
    readKept();
    return true;
  } catch (error) {
    if (number !== current) return false;
    loading.value = null;
    if (!controller.signal.aborted) loadError.value = { model: wanted, error };
    return false;
  }
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
