/**
 * The session survives a reload: classes, pictures, what was trained, a run that was interrupted, and what can be taken
 * back, in IndexedDB. Nothing else is stored but downloaded models, which the library keeps. Where there is no storage
 * the page works without, and says so.
 */
import { batch, effect, signal } from '@preact/signals';
import { createStore, get, keys, promisifyRequest } from 'idb-keyval';

import { chosenModel, clip, model } from './models.js';
import { isNothing } from './history.js';
import {
  bytesOf,
  classes,
  everyPicture,
  history,
  pictures,
  picturesFrom,
  project,
  restoreAll,
  sampleId,
  touched,
  undone,
  works,
} from './store.js';
import { place } from './tabs.js';
import { busy, chosen, method, preset } from './training.js';

const VERSION = 1;
const PICTURE = 'picture ';
/** A page that is still there so long after it was to be left has stayed. */
const STAYS_MS = 5000;

/**
 * What is stored: all there is ('kept'), soon ('saving'), not all for want of room ('full'), or nothing ('none'), also
 * because a newer page has stored something ('newer').
 * @type {import('@preact/signals').Signal<'saving' | 'kept' | 'full' | 'none' | 'newer'>}
 */
export const keeping = signal('saving');
/** Ids of the runs that are stored and so can go on after a reload. */
export const storedRuns = signal(/** @type {Set<string>} */ (new Set()));

let store = null;
/** What is stored under each key; of pictures only that they are. @type {Map<string, any>} */
let stored = new Map();
let changed = false;
let saving = /** @type {Promise<void> | null} */ (null);
let wipe = false;
/** A run went on when the page began to be left: what ends it now is that its files do not come any more (Firefox). */
let leftBusy = false;

// ------------------------------------------------------------------------------------------------ what is stored

const rowOf = ({ id, classId, origin, held, blob, fault }) => ({
  ...{ id, classId, origin, held, type: blob.type, name: blob.name },
  fault: fault.value,
});
const rowOfWork = ({ result, run, ...rest }) => ({ ...rest, result: result?.id ?? null, run: run?.id ?? null });

/** A change as it is stored: pictures that are stored by their rows, what was trained by its id. */
const rowOfEntry = (entry, isStored) => ({
  ...entry,
  pictures: {
    gone: entry.pictures.gone.filter(({ one }) => isStored(one)).map(({ one, at }) => ({ one: rowOf(one), at })),
    come: entry.pictures.come.filter(isStored).map(({ id, classId, held }) => ({ id, classId, held })),
    altered: entry.pictures.altered,
  },
  works: {
    gone: entry.works.gone.map(({ one, at }) => ({ one: rowOfWork(one), at })),
    come: entry.works.come.map(rowOfWork),
    altered: entry.works.altered.map(({ id, was, is }) => ({ id, was: rowOfWork(was), is: rowOfWork(is) })),
  },
});

/** What was trained with the model that the session belongs to, also while that is not there. */
function ownWork() {
  const chosenNow = chosenModel.value;
  const id = chosenNow && chosenNow === model.value ? clip.value?.info.fingerprint : '';
  return works.value.find((work) => work.id === id || (!id && work.from !== '' && work.from === chosenNow?.from));
}

/**
 * The record of the session, and what stands under keys of its own.
 * @param {(picture: { id: string }) => boolean} isStored of a picture that is not, nothing is told
 * @param {boolean} [lean] nothing to take back
 */
function described(isStored, lean = false) {
  const [past, future] = [history, undone].map((list) => list.value.filter(({ kept }) => kept && !lean));
  const ofEntries = [...past, ...future].flatMap(({ works: { gone, come, altered } }) => [
    ...[...gone.map(({ one }) => one), ...come],
    ...altered.flatMap(({ was, is }) => [was, is]),
  ]);
  const all = [...works.value, ...ofEntries];
  const byId = (list) => [...new Map(list.flatMap((one) => (one ? [[one.id, one]] : []))).values()];
  const results = byId(all.map(({ result }) => result));
  const runs = byId(all.map(({ run }) => run));
  const own = ownWork();
  const keyOf = (name, id, ownId) => (id === ownId ? name : `${name} ${id}`);
  const files = new Map([
    ...results.map(({ id, file }) => /** @type {const} */ ([keyOf('tuned', id, own?.result?.id), file])),
    ...runs.map(({ id, checkpoint }) => /** @type {const} */ ([keyOf('checkpoint', id, own?.run?.id), checkpoint])),
  ]);
  const kept = new Set([...past, ...future].flatMap((entry) => entry.pictures.gone.map(({ one }) => one.id)));
  const here = new Set(pictures.value.map(({ id }) => id));
  const rowsOf = (entries) => entries.map((entry) => rowOfEntry(entry, isStored)).filter((entry) => !isNothing(entry));
  const from = chosenModel.value?.from;
  const record = {
    version: VERSION,
    classes: classes.value,
    pictures: pictures.value.filter(isStored).map(rowOf),
    sample: sampleId.value,
    project: project.value,
    // The files of a folder cannot be stored: the folder has to be opened again.
    model: chosenModel.value && { ...chosenModel.value, from: typeof from === 'string' ? from : '' },
    training: { method: method.value, preset: preset.value, chosen: chosen.value },
    // Whether a run goes on: of what is interrupted before its first step nothing else is left.
    begun: busy.value || leftBusy,
    touched: touched.value,
    works: works.value.map(rowOfWork),
    tuned: own?.result ? { id: own.result.id, ids: own.result.ids, fingerprint: own.id } : null,
    checkpoint: own?.run?.id ?? null,
    results: results.map(({ file, ...rest }) => rest),
    runs: runs.map(({ checkpoint, ...rest }) => rest),
    past: rowsOf(past),
    future: rowsOf(future),
  };
  const ids = [...new Set([...here, ...kept])].filter((id) => isStored({ id }));
  return { record, files, runs, ids };
}

/**
 * Stores what has changed. One transaction, which ends by itself: a page that goes away in the middle leaves the state
 * before or after.
 * @param {(picture: import('./store.js').Picture) => any} bytesFor nothing for a picture that is not to be stored now
 * @param {boolean} [lean]
 */
async function write(bytesFor, lean) {
  const before = wipe ? new Map() : stored;
  const clear = wipe;
  const fresh = new Map();
  for (const picture of everyPicture()) {
    const bytes = before.has(PICTURE + picture.id) ? null : bytesFor(picture);
    if (bytes) fresh.set(picture.id, bytes);
  }
  const isStored = ({ id }) => before.has(PICTURE + id) || fresh.has(id);
  const { record, files, runs, ids } = described(isStored, lean);
  const after = new Map([...files, ...ids.map((id) => /** @type {[string, any]} */ ([PICTURE + id, true]))]);
  const puts = [...files].filter(([key, value]) => before.get(key) !== value);
  for (const id of ids) if (fresh.has(id)) puts.push([PICTURE + id, fresh.get(id)]);
  const gone = [...before.keys()].filter((key) => !after.has(key));
  await store('readwrite', (rows) => {
    try {
      if (clear) rows.clear();
      for (const [key, value] of puts) rows.put(value, key);
      for (const key of gone) rows.delete(key);
      rows.put(record, 'session');
      rows.transaction.commit?.();
    } catch (error) {
      rows.transaction.abort();
      throw error;
    }
    return promisifyRequest(rows.transaction);
  });
  stored = after;
  if (clear) wipe = false;
  storedRuns.value = new Set(runs.map(({ id }) => id));
}

/** All that has changed; where there is no room for it what can be done without. */
async function save() {
  const fresh = everyPicture().filter(({ id }) => wipe || !stored.has(PICTURE + id));
  // Bytes, not blobs: some engines keep no blobs. What cannot be read any more is no reason to store nothing.
  const read = async ({ blob }) => bytesOf.has(blob) || bytesOf.set(blob, await blob.arrayBuffer());
  await Promise.all(fresh.map((picture) => read(picture).catch(() => {})));
  const known = ({ blob }) => bytesOf.get(blob);
  const lean = () => write(known, true);
  try {
    // Without room for all, rather a way back less than a picture, and rather a new picture less than the others.
    await write(known).catch(lean);
    keeping.value = 'kept';
    for (const { id, blob } of everyPicture()) if (stored.has(PICTURE + id)) bytesOf.delete(blob);
  } catch (error) {
    await write(() => null, true).catch(() => {});
    keeping.value = error?.name === 'QuotaExceededError' ? 'full' : 'none';
  }
}

const mine = () => Boolean(store) && place.value === 'here';

/** Stores what has changed, at once; what changes meanwhile is stored next. */
function saveSoon() {
  changed = true;
  if (keeping.peek() === 'kept') keeping.value = 'saving';
  saving ??= Promise.resolve().then(async () => {
    while (changed && mine()) {
      changed = false;
      await save();
    }
    saving = null;
  });
}

/** From here on every change is stored, also one that is made just before the page goes. */
export function startSaving() {
  effect(() => {
    [
      classes,
      sampleId,
      project,
      touched,
      works,
      history,
      undone,
      clip,
      chosenModel,
      method,
      preset,
      chosen,
      busy,
    ].forEach((one) => one.value);
    pictures.value.forEach(({ fault }) => fault.value);
    if (mine()) saveSoon();
  });
  const now = () => {
    if (saving && mine()) write(({ blob }) => bytesOf.get(blob) ?? blob).catch(() => {});
  };
  addEventListener('pagehide', now);
  addEventListener('beforeunload', () => {
    leftBusy = busy.peek();
    setTimeout(() => (leftBusy = false), STAYS_MS);
  });
  document.addEventListener('visibilitychange', () => document.visibilityState === 'hidden' && now());
}

/** When all is stored that has changed. */
export async function settled() {
  while (saving) await saving;
}

/** Whatever is stored goes, and then what there is now is stored. */
export function forgetStored() {
  wipe = true;
  saveSoon();
}

// ------------------------------------------------------------------------------------------------ what was stored

/** Of a session that was stored before results had ids. */
function older({ model: from, tuned, run, curve }) {
  if (!tuned) return {};
  const result = { id: 'tuned', ids: tuned.ids, curve };
  const left = { id: 'checkpoint', state: 'paused', examples: run?.examples, progress: run?.progress, curve };
  return {
    ...{ results: [result], runs: [left], checkpoint: 'checkpoint', tuned: { ...tuned, id: 'tuned' } },
    works: [{ id: tuned.fingerprint, from: from?.from ?? '', result: 'tuned', run: 'checkpoint' }],
  };
}

/** Everything of a record, from the keys where it stands. */
async function read(record) {
  const before = { works: [], results: [], runs: [], past: [], future: [], ...(record.works ? {} : older(record)) };
  const session = { ...record, ...(record.works ? {} : before) };
  const found = new Map();
  const load = async (key) => {
    const value = await get(key, store);
    if (value !== undefined) found.set(key, key.startsWith(PICTURE) ? true : value);
    return value;
  };
  const blobs = new Map();
  const rows = [...session.pictures, ...[...session.past, ...session.future].flatMap(({ pictures: { gone } }) => gone)];
  await Promise.all(
    rows.map(async (row) => {
      const { id, type, name } = row.one ?? row;
      const bytes = await load(PICTURE + id);
      if (bytes) blobs.set(id, name ? new File([bytes], name, { type }) : new Blob([bytes], { type }));
    }),
  );
  const files = (name, list, own, field) =>
    Promise.all(
      list.map(async (one) => {
        const file = await load(one.id === own ? name : `${name} ${one.id}`);
        return /** @type {[string, any]} */ ([one.id, file && { ...one, [field]: file }]);
      }),
    );
  const results = new Map(await files('tuned', session.results, session.tuned?.id, 'file'));
  const runs = new Map(await files('checkpoint', session.runs, session.checkpoint, 'checkpoint'));
  return { session, found, blobs, results, runs };
}

/**
 * What was stored, in place of what there is.
 * @returns {Promise<{ model: any, begun: boolean } | null>} null where there was nothing
 */
export async function restore() {
  try {
    store ??= createStore('mudpt-demo', 'session');
    await settled();
    const record = await get('session', store);
    if (!record) return null;
    if (record.version !== VERSION) {
      // A newer page has stored it, and nothing of it is to be lost.
      store = null;
      keeping.value = 'newer';
      return null;
    }
    const { session, found, blobs, results, runs } = await read(record);
    const left = (await keys(store)).flatMap((key) =>
      key === 'session' ? [] : [/** @type {[any, any]} */ ([key, null])],
    );
    const workOf = ({ result, run, ...rest }) => ({
      ...rest,
      result: results.get(result) ?? null,
      run: runs.get(run) ?? null,
    });
    const made = new Map();
    const picturesOf = (rows) =>
      picturesFrom(rows.flatMap((row) => (blobs.has(row.id) ? [{ ...row, blob: blobs.get(row.id) }] : [])));
    const entryOf = (entry) => ({
      ...entry,
      pictures: {
        ...entry.pictures,
        gone: entry.pictures.gone.flatMap(({ one, at }) => {
          // A picture that several changes tell of is one.
          if (!made.has(one.id)) made.set(one.id, picturesOf([one])[0]);
          const picture = made.get(one.id);
          return picture ? [{ one: { ...picture, classId: one.classId, held: one.held }, at }] : [];
        }),
      },
      works: {
        gone: entry.works.gone.map(({ one, at }) => ({ one: workOf(one), at })),
        come: entry.works.come.map(workOf),
        altered: entry.works.altered.map(({ id, was, is }) => ({ id, was: workOf(was), is: workOf(is) })),
      },
    });
    const now = picturesOf(session.pictures);
    for (const picture of now) made.set(picture.id, picture);
    batch(() => {
      restoreAll({
        ...{ classes: session.classes, pictures: now, works: session.works.map(workOf), sample: session.sample },
        ...{ project: session.project ?? '', past: session.past.map(entryOf), future: session.future.map(entryOf) },
      });
      touched.value = session.touched ?? true;
      chosenModel.value = session.model;
      method.value = session.training.method;
      // What answers at once was a preset of an earlier page.
      preset.value = session.training.preset === 'instant' ? 'quick' : session.training.preset;
      chosen.value = session.training.chosen;
    });
    // What nothing tells of goes with the next change.
    stored = new Map([...left, ...found]);
    storedRuns.value = new Set([...runs].flatMap(([id, run]) => (run ? [id] : [])));
    return { model: session.model, begun: Boolean(session.begun) };
  } catch {
    store = null;
    keeping.value = 'none';
    return null;
  }
}
