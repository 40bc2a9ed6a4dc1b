/** What a visitor does, whatever it was done with: the same for drop, paste, picker and keyboard. */
import { effect, signal } from '@preact/signals';

import { importFile } from './keep.js';
import { foundIn, looksLikePicture, prepared, sorted } from './intake.js';
import { loadModel } from './models.js';
import { isReadable } from './predict.js';
import { addPictures, classOf, classes, nameOf, newId, pictures } from './store.js';
import { text } from './strings.js';

/** @type {import('@preact/signals').Signal<{ id: string, message: string, error?: boolean } | null>} */
export const notice = signal(null);
/** The class that was used last: paste goes there. */
export const lastClass = signal('');
/** @type {import('@preact/signals').Signal<'' | 'model'>} */
export const dialog = signal('');
/** The picture that is shown large. */
export const opened = signal('');

export const tell = (message, error = false) => (notice.value = { id: newId(), message, error });

/** What went wrong, as the library says it. @param {any} error */
export const reasonOf = (error) => (error instanceof Error ? error.message : String(error));

async function isPictureAnyhow(blob) {
  const start = await blob
    .slice(0, 12)
    .arrayBuffer()
    .catch(() => null);
  return start !== null && looksLikePicture(new Uint8Array(start)) && (await isReadable(blob)) !== false;
}

/**
 * Files that are to be pictures, each of a class that is named by `classId`, or else by `name`.
 * @param {{ classId?: string, name?: string, file: File }[]} given
 * @param {import('./store.js').Origin} origin
 * @param {(count: number) => string} what
 */
async function addAll(given, origin, what) {
  const added = [];
  for (const { file, ...rest } of given) {
    const { blob, readable } = await prepared(file);
    // The library reads some that browsers do not; while it cannot be asked, it says so once it looks at them.
    const fault = readable || (await isPictureAnyhow(blob)) ? '' : text.pictures.unreadable;
    added.push({ ...rest, blob, origin, fault });
  }
  const broken = added.filter(({ fault }) => fault).map(({ blob }) => blob);
  // What a webcam records is one change, not one a frame.
  addPictures(added, what, origin === 'webcam' ? `webcam ${given[0]?.classId}` : '');
  const good = added.length - broken.length;
  tell(
    [good && what(good), broken.length && text.pictures.broken(broken)].filter(Boolean).join('. '),
    broken.length > 0,
  );
}

/** @param {string} classId @param {File[]} files @param {import('./store.js').Origin} [origin] */
export async function addFiles(classId, files, origin = 'file') {
  if (!files.length) return;
  lastClass.value = classId;
  const name = nameOf(classId);
  const told = (count) => text.pictures.added(count, name || text.pictures.namePlaceholder);
  await addAll(
    files.map((file) => ({ classId, name, file })),
    origin,
    told,
  );
}

/** The class that loose pictures go to. */
const target = () => (classOf(lastClass.value) ? lastClass.value : (classes.value.at(-1)?.id ?? ''));

/**
 * Takes whatever was given.
 * @param {import('./intake.js').Found[]} found
 * @param {string} [classId] of the card that it was given to
 */
export async function take(found, classId) {
  const { model, classifiers, folders, loose, others } = sorted(found);
  if (model.length) return openFolder(model);
  for (const file of classifiers) await open(file);
  if (classId) await addFiles(classId, [...loose, ...[...folders.values()].flat()]);
  else {
    const given = [...folders].flatMap(([name, files]) => files.map((file) => ({ name, file })));
    if (given.length) await addAll(given, 'file', (count) => text.pictures.addedClasses(count, folders.size));
    await addFiles(target(), loose);
  }
  if (others.length) tell(text.pictures.skipped(others), true);
  else if (found.length && !classifiers.length && !folders.size && !loose.length) tell(text.pictures.onlyHidden, true);
}

/** Says which pictures turn out to be none, beyond those that were said when they came. */
export function startTellingFaults() {
  const good = new Set();
  effect(() => {
    const broken = pictures.value.filter(({ id, fault }) => fault.value && good.delete(id));
    for (const { id, fault } of pictures.value) if (!fault.value) good.add(id);
    if (broken.length) tell(text.pictures.broken(broken.map(({ blob }) => blob)), true);
  });
}

/** @param {DataTransfer} transfer @param {string} [classId] */
export const takeDrop = (transfer, classId) => foundIn(transfer).then((found) => take(found, classId));

/** A classifier's file. @param {File} file */
export async function open(file) {
  try {
    await importFile(file);
    return true;
  } catch (error) {
    tell(`${text.keep.importFailed}: ${reasonOf(error)}`, true);
    return false;
  }
}

/** A model's files. @param {File[]} files */
export function openFolder(files) {
  dialog.value = 'model';
  return loadModel({ id: 'folder', from: files, photos: true, name: text.model.custom });
}
