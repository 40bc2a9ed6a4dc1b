/** What a visitor does, whatever it was done with: the same for drop, paste, picker and keyboard. */
import { signal } from '@preact/signals';

import { importFile } from './keep.js';
import { foundIn, prepared, sorted } from './intake.js';
import { loadModel } from './models.js';
import { addClass, addPictures, classNamed, classOf, classes, nameOf, newId } from './store.js';
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

/** @param {string} classId @param {File[]} files @param {import('./store.js').Origin} [origin] */
export async function addFiles(classId, files, origin = 'file') {
  if (!files.length) return;
  lastClass.value = classId;
  const blobs = [];
  for (const file of files) blobs.push(await prepared(file));
  addPictures(blobs.map((blob) => ({ classId, blob, origin })));
  tell(text.pictures.added(files.length, nameOf(classId) || text.pictures.namePlaceholder));
}

/** The class that loose pictures go to. */
const target = () => (classOf(lastClass.value) ? lastClass.value : (classes.value.at(-1)?.id ?? addClass()));

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
    let count = 0;
    for (const [folder, files] of folders) {
      const blobs = [];
      for (const file of files) blobs.push(await prepared(file));
      const id = classNamed(folder);
      addPictures(blobs.map((blob) => ({ classId: id, blob, origin: /** @type {const} */ ('file') })));
      count += files.length;
    }
    if (count) tell(text.pictures.addedClasses(count, folders.size));
    await addFiles(target(), loose);
  }
  if (others) tell(text.pictures.skipped(others), true);
}

/** @param {DataTransfer} transfer @param {string} [classId] */
export const takeDrop = (transfer, classId) => foundIn(transfer).then((found) => take(found, classId));

/** A classifier's file. @param {File} file */
export async function open(file) {
  try {
    tell(text.keep.imported(await importFile(file)));
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
