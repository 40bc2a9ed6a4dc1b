/** What a visitor does, whatever it was done with: the same for drop, paste, picker and keyboard. */
import { effect, signal } from '@preact/signals';

import { importFile } from './keep.js';
import { foundIn, looksLikePicture, prepared, sorted } from './intake.js';
import { loadModel } from './models.js';
import { isReadable } from './predict.js';
import { openFile } from './projects.js';
import { addPictures, classOf, classes, nameOf, newId, pictures } from './store.js';
import { text } from './strings.js';

/** @type {import('@preact/signals').Signal<{ id: string, message: string, error?: boolean } | null>} */
export const notice = signal(null);
/** The class that was used last: paste goes there. */
export const lastClass = signal('');
/** @type {import('@preact/signals').Signal<'' | 'model'>} */
export const dialog = signal('');
/** The picture that is shown large, and the one that is looked into. */
export const opened = signal('');
export const inspected = signal('');

/** Pictures that are being read come to the page after so long. */
const PORTION_MS = 500;

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
 * Files that are to be pictures, each of a class that is named by `classId`, or else by `name`. They come to the page
 * as they are read, so that many large ones can be seen to come, and those that have come are kept.
 * @param {{ classId?: string, name?: string, file: File }[]} given
 * @param {import('./store.js').Origin} origin
 * @param {(count: number) => string} what
 */
async function addAll(given, origin, what) {
  // Together they are one change; so is what a webcam records, which is not one a frame.
  const how =
    origin === 'webcam' ? { kind: `webcam ${given[0]?.classId}` } : { kind: `files ${newId()}`, within: Infinity };
  const broken = [];
  let added = [];
  let since = performance.now();
  for (const [i, { file, ...rest }] of given.entries()) {
    const { blob, readable } = await prepared(file);
    // The library reads some that browsers do not; while it cannot be asked, it says so once it looks at them.
    const fault = readable || (await isPictureAnyhow(blob)) ? '' : text.pictures.unreadable;
    added.push({ ...rest, blob, origin, fault });
    if (fault) broken.push(blob);
    if (i + 1 < given.length && performance.now() - since < PORTION_MS) continue;
    addPictures(added, what, how);
    added = [];
    since = performance.now();
  }
  const good = given.length - broken.length;
  tell(
    [good && what(good), broken.length && text.pictures.broken(broken)].filter(Boolean).join('. '),
    broken.length > 0,
  );
}

/** What was given and is still being read. @type {Set<Promise<any>>} */
const taking = new Set();

/** Whoever waits for all that was given waits for this. @template T @param {Promise<T>} work */
function waitedFor(work) {
  taking.add(work);
  const done = () => taking.delete(work);
  work.then(done, done);
  return work;
}

/** When all that was given is on the page. */
export async function taken() {
  while (taking.size) await Promise.allSettled(taking);
}

/** @param {string} classId @param {File[]} files @param {import('./store.js').Origin} [origin] */
export const addFiles = (classId, files, origin = 'file') => waitedFor(addTo(classId, files, origin));

async function addTo(classId, files, origin) {
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

/**
 * A picture that was tried goes to the class that it is of. It is trained on, whatever its turn: else it would mend
 * nothing.
 * @param {string} classId @param {HTMLCanvasElement | File} picture @param {import('./store.js').Origin} origin
 */
export const teach = (classId, picture, origin) => waitedFor(teachOne(classId, picture, origin));

async function teachOne(classId, picture, origin) {
  const file = picture instanceof Blob ? picture : await drawn(picture);
  const { blob } = await prepared(file);
  const name = nameOf(classId);
  lastClass.value = classId;
  addPictures([{ classId, name, blob, origin, held: false }], text.pictures.added(1, name), { loud: true });
}

/** @param {HTMLCanvasElement} canvas @returns {Promise<File>} */
const drawn = (canvas) =>
  new Promise((resolve) => {
    canvas.toBlob((blob) => resolve(new File([/** @type {Blob} */ (blob)], 'tried.png', { type: 'image/png' })));
  });

/** The class that loose pictures go to. */
const target = () => (classOf(lastClass.value) ? lastClass.value : (classes.value.at(-1)?.id ?? ''));

/**
 * Takes whatever was given.
 * @param {import('./intake.js').Found[]} found
 * @param {string} [classId] of the card that it was given to
 */
export const take = (found, classId) => waitedFor(takeAll(found, classId));

async function takeAll(found, classId) {
  const { model, classifiers, archives, folders, loose, others } = sorted(found);
  if (model.length) return void openFolder(model);
  for (const file of classifiers) await useFile(file);
  for (const file of archives) await openArchive(file, classId);
  if (classId) await addTo(classId, [...loose, ...[...folders.values()].flat()], 'file');
  else {
    const given = [...folders].flatMap(([name, files]) => files.map((file) => ({ name, file })));
    if (given.length) await addAll(given, 'file', (count) => text.pictures.addedClasses(count, folders.size));
    await addTo(target(), loose, 'file');
  }
  if (others.length) tell(text.pictures.skipped(others), true);
  else if (found.length && !classifiers.length && !archives.length && !folders.size && !loose.length)
    tell(text.pictures.onlyHidden, true);
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
export const takeDrop = (transfer, classId) => waitedFor(foundIn(transfer).then((found) => takeAll(found, classId)));

/** @param {File} file a zip: a project, a classifier's page, or pictures in folders @param {string} [classId] */
async function openArchive(file, classId) {
  try {
    const { archive } = await import('./project.js');
    const { project, classifier, found } = await archive(file);
    if (classifier) return void (await useFile(classifier));
    if (found) return void (await takeAll(found, classId));
    if (!project) return;
    await openFile(project);
    if (project.missing) tell(text.project.missing(project.missing), true);
  } catch (error) {
    tell(`${text.project.notOpened}: ${file.name} ${reasonOf(error)}`, true);
  }
}

/** @param {File[]} files */
export const openArchives = (files) => waitedFor(Promise.all(files.map((file) => openArchive(file))));

/** A classifier's file. @param {File} file */
export const open = (file) => waitedFor(useFile(file));

async function useFile(file) {
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
