/** Sample tasks: a zip of pictures each, made when the page was built. */
import { unzipSync } from 'fflate';
import { signal } from '@preact/signals';

import { tell } from './actions.js';
import { clearAll, classes, fileOf, pictures, replaceAll, touched } from './store.js';
import { text } from './strings.js';

/** @type {import('@preact/signals').Signal<{ id: string, classes: string[], authors: any[] }[]>} */
export const samples = signal([]);
/** The one that is being fetched. */
export const fetching = signal('');
/** @type {import('@preact/signals').Signal<any>} */
export const sampleError = signal(null);

async function get(file) {
  const response = await fetch(new URL(`samples/${file}`, document.baseURI));
  if (!response.ok) throw new Error(`samples/${file}: ${response.status}`);
  return response;
}

/** Asks which samples there are. */
export async function listSamples() {
  try {
    samples.value = await get('index.json').then((response) => response.json());
    if (sampleError.value?.id === '') sampleError.value = null;
  } catch (error) {
    sampleError.value = { id: '', error };
  }
}

/** Nothing that is on its way takes the place of what a visitor does now. */
export function startEmpty() {
  fetching.value = '';
  clearAll(text.samples.emptied);
}

/** Tries again what has failed. */
export const retrySample = () =>
  sampleError.value?.id ? openSample(sampleError.value.id) : listSamples().then(openFirst);

/** What the page begins with where nothing was done to it yet. */
export const openFirst = () => samples.value.length > 0 && !touched.value && openSample(samples.value[0].id);

/**
 * Puts a sample's classes and pictures in place of what there is; what was done while it was on its way stays.
 * @param {string} id
 */
export async function openSample(id) {
  fetching.value = id;
  sampleError.value = null;
  const [classesBefore, picturesBefore, first] = [classes.value, pictures.value, !touched.value];
  try {
    const bytes = new Uint8Array(await (await get(`${id}.zip`)).arrayBuffer());
    if (fetching.value !== id) return;
    if (classes.value !== classesBefore || pictures.value !== picturesBefore) {
      if (!first) tell(text.samples.late(text.samples.names[id] ?? id), true);
      return;
    }
    const added = Object.entries(unzipSync(bytes)).flatMap(([file, content]) => {
      const [part, folder] = file.split('/');
      if (!folder) return [];
      const blob = fileOf(content, `${id}-${file.replaceAll('/', '-')}`, 'image/png');
      return [
        { name: folder.replaceAll('_', ' '), blob, origin: /** @type {const} */ ('sample'), held: part === 'test' },
      ];
    });
    // The list may be older than the sample, where the page was updated in between.
    const listed = samples.value.find((sample) => sample.id === id)?.classes ?? [];
    const found = new Set(added.map(({ name }) => name));
    const names = [...listed.filter((name) => found.delete(name)), ...found];
    replaceAll({ names, added, sample: id }, text.samples.opened(text.samples.names[id] ?? id));
  } catch (error) {
    if (fetching.value === id) sampleError.value = { id, error };
  } finally {
    if (fetching.value === id) fetching.value = '';
  }
}
