/**
 * The session survives a reload: classes, pictures, the trained classifier and a paused run, in IndexedDB. Nothing else
 * is stored but downloaded models, which the library keeps. Where there is no storage the page works without.
 */
import { batch, effect, signal } from '@preact/signals';
import { clear, createStore, delMany, get, setMany } from 'idb-keyval';

import { BUILT_IN, clip, loadModel, model } from './models.js';
import { addPictures, classes, pictures, sampleId } from './store.js';
import { checkpoint, chosen, curve, keep, method, preset, run, tunedFile } from './training.js';
import { tuned } from './predict.js';

const VERSION = 1;
const SETTLE_MS = 400;
const PICTURE = 'picture ';

/** Whether the last save went well; null before the first. */
export const saved = signal(/** @type {boolean | null} */ (null));

let store = null;
let timer = 0;
let saving = Promise.resolve();
/** Ids of pictures whose bytes are stored. */
const stored = new Set();
const storedFiles = { tuned: null, checkpoint: null };

const rowOf = ({ id, classId, origin, held, blob }) => ({
  id,
  classId,
  origin,
  held,
  type: blob.type,
  name: blob.name,
});

function described() {
  const entry = tuned.value;
  return {
    version: VERSION,
    classes: classes.value,
    pictures: pictures.value.map(rowOf),
    sample: sampleId.value,
    model: model.value && typeof model.value.from === 'string' ? model.value : null,
    training: { method: method.value, preset: preset.value, chosen: chosen.value },
    run: run.value.state === 'idle' ? null : { ...run.value, error: undefined },
    curve: curve.value,
    tuned: entry && tunedFile.value ? { ids: entry.ids, fingerprint: clip.value?.info.fingerprint } : null,
  };
}

async function save() {
  const now = described();
  const list = pictures.value;
  const here = new Set(list.map(({ id }) => id));
  const gone = [...stored].filter((id) => !here.has(id));
  const fresh = list.filter(({ id }) => !stored.has(id));
  // Bytes, not blobs: some engines keep no blobs.
  const rows = await Promise.all(
    fresh.map(async ({ id, blob }) => /** @type {[string, any]} */ ([PICTURE + id, await blob.arrayBuffer()])),
  );
  const files = /** @type {[string, any][]} */ ([
    ['tuned', tunedFile.value],
    ['checkpoint', checkpoint.value],
  ]);
  for (const [key, value] of files) {
    if (storedFiles[key] !== value) rows.push([key, value]);
  }
  // One transaction: a reload in the middle finds the state before or after.
  await setMany([...rows, ['session', now]], store);
  for (const [key, value] of files) storedFiles[key] = value; // only now: what failed is tried again
  fresh.forEach(({ id }) => stored.add(id));
  if (gone.length)
    await delMany(
      gone.map((id) => PICTURE + id),
      store,
    );
  gone.forEach((id) => stored.delete(id));
}

const saveSoon = () => {
  clearTimeout(timer);
  timer = window.setTimeout(() => {
    saving = saving.then(save).then(
      () => void (saved.value = true),
      () => void (saved.value = false),
    );
  }, SETTLE_MS);
};

/** From here on every change is stored. */
export function startSaving() {
  if (!store) return;
  effect(() => {
    const state = run.value.state;
    [classes, pictures, sampleId, model, method, preset, chosen, tunedFile, checkpoint].forEach((one) => one.value);
    if (state !== 'running') saveSoon();
  });
}

/**
 * What was there before the reload; its classifier comes back once its model is loaded.
 * @returns {Promise<{ model: any, restoreTuned: () => Promise<void> } | null>}
 */
export async function restore() {
  try {
    store = createStore('mudpt-demo', 'session');
    const before = await get('session', store);
    if (before?.version !== VERSION) return null;
    const blobs = await Promise.all(
      before.pictures.map(async ({ id, type, name }) => {
        const bytes = await get(PICTURE + id, store);
        return bytes && (name ? new File([bytes], name, { type }) : new Blob([bytes], { type }));
      }),
    );
    batch(() => {
      classes.value = before.classes;
      pictures.value = [];
      addPictures(before.pictures.flatMap((row, i) => (blobs[i] ? [{ ...row, blob: blobs[i] }] : [])));
      sampleId.value = before.sample;
      method.value = before.training.method;
      preset.value = before.training.preset;
      chosen.value = before.training.chosen;
    });
    for (const { id } of before.pictures) stored.add(id);
    return { model: before.model, restoreTuned: () => restoreTuned(before) };
  } catch {
    store = null;
    return null;
  }
}

async function restoreTuned({ tuned: entry, run: before, curve: drawn }) {
  const [file, state] = [await get('tuned', store), await get('checkpoint', store)];
  Object.assign(storedFiles, { tuned: file ?? null, checkpoint: state ?? null });
  if (!entry || !file || entry.fingerprint !== clip.value?.info.fingerprint) return;
  const classifier = await clip.value.import(file);
  batch(() => {
    curve.value = drawn;
    checkpoint.value = state ?? null;
    const interrupted = before && ['starting', 'running', 'pausing'].includes(before.state);
    run.value = before && !interrupted ? before : { state: 'done', examples: before?.examples };
  });
  await keep(classifier, entry.ids, drawn.accuracies);
  storedFiles.tuned = tunedFile.value;
}

/** Loads the model of the last session, the embedded one where that is not possible any more. */
export async function loadFirst(wanted) {
  if (wanted && wanted.id !== BUILT_IN.id && (await loadModel(wanted))) return;
  await loadModel(BUILT_IN);
}

/** Everything that is stored goes, the stored pictures' ids too. */
export async function forgetSession() {
  clearTimeout(timer);
  if (!store) return;
  await clear(store).catch(() => {});
  stored.clear();
  Object.assign(storedFiles, { tuned: null, checkpoint: null });
}
