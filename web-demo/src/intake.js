/**
 * Pictures and files that a visitor gives: dropped, pasted, picked, or whole folders. Large photographs are made
 * smaller, since the model looks at a few hundred pixels and the session is kept on this device.
 */
import { fileOf } from './store.js';

const MOST_PIXELS_A_SIDE = 640;
const MOST_BYTES = 400_000;
const PICTURE = /\.(jpe?g|jpe|jfif|pjpe?g|pjp|png|apng|gif|bmp|webp|avif|heic|heif|tiff?)$/i;
const ARCHIVE = /\.(zip|tm)$/i;
const WEIGHTS = '(?:open_clip_)?(?:pytorch_)?model.*\\.(?:safetensors|bin)';
const MODEL_FILES = new RegExp(`^(?:(?:open_clip_)?config\\.json|(?:tokenizer|vocab)\\.json|merges\\.txt|${WEIGHTS})$`);

/** @typedef {{ path: string, file: File }} Found */

/** A folder's files, with its own name in their paths. @returns {Promise<Found[]>} */
async function filesBelow(entry, path) {
  if (entry.isFile) return [{ path, file: await new Promise((resolve, reject) => entry.file(resolve, reject)) }];
  const reader = entry.createReader();
  const entries = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    entries.push(...some);
  }
  const lists = await Promise.all(entries.map((one) => filesBelow(one, `${path}/${one.name}`)));
  return lists.flat();
}

/** Must be called before anything is awaited. @param {DataTransfer} transfer @returns {Promise<Found[]>} */
export async function foundIn(transfer) {
  const entries = Array.from(transfer.items ?? [], (item) => item.webkitGetAsEntry?.() ?? null);
  if (entries.some((entry) => entry)) {
    const lists = await Promise.all(entries.map((entry) => (entry ? filesBelow(entry, entry.name) : [])));
    return lists.flat();
  }
  return foundFiles(transfer.files);
}

/** @param {Iterable<File>} files of an input or a clipboard @returns {Found[]} */
export const foundFiles = (files) =>
  Array.from(files, (file) => ({ path: file.webkitRelativePath || file.name, file }));

export const isPicture = ({ file }) => file.type.startsWith('image/') || PICTURE.test(file.name);
const isHidden = ({ path }) => path.split('/').some((part) => part.startsWith('.'));

/**
 * What was given, by what it is good for.
 * @param {Found[]} found
 * @returns {{ model: File[], classifiers: File[], archives: File[], folders: Map<string, File[]>, loose: File[],
 *   others: File[] }}
 */
export function sorted(found) {
  const seen = found.filter((one) => !isHidden(one));
  const files = seen.map(({ file }) => file);
  const sorts = { model: [], classifiers: [], archives: [], folders: new Map(), loose: [], others: [] };
  if (files.filter(({ name }) => MODEL_FILES.test(name)).length >= 2) return { ...sorts, model: files };
  for (const one of seen) {
    const parts = one.path.split('/');
    if (one.file.name.endsWith('.safetensors')) sorts.classifiers.push(one.file);
    else if (ARCHIVE.test(one.file.name)) sorts.archives.push(one.file);
    else if (!isPicture(one)) sorts.others.push(one.file);
    else if (parts.length > 1) {
      const folder = parts.at(-2) ?? '';
      sorts.folders.set(folder, [...(sorts.folders.get(folder) ?? []), one.file]);
    } else sorts.loose.push(one.file);
  }
  return sorts;
}

const FIRST_BYTES = ['ffd8ff', '89504e47', '47494638', '424d', '52494646', '49492a00', '4d4d002a'];
/** Whatever its name says: JPEG, PNG, GIF, BMP, WebP, TIFF; HEIC and AVIF. @param {Uint8Array} bytes */
export function looksLikePicture(bytes) {
  const start = Array.from(bytes.subarray(0, 12), (byte) => byte.toString(16).padStart(2, '0')).join('');
  return FIRST_BYTES.some((one) => start.startsWith(one)) || start.slice(8, 16) === '66747970';
}

/** A file's bytes are read at once: what is on disk may have gone by the time that they are looked at. */
const inMemory = async (file) => fileOf(await file.arrayBuffer(), file.name, file.type);

/**
 * A picture as it is kept, and whether this browser can show it.
 * @param {File} file
 * @returns {Promise<{ blob: Blob, readable: boolean }>}
 */
export async function prepared(file) {
  let blob = file;
  let bitmap;
  try {
    blob = file.size <= MOST_BYTES ? await inMemory(file) : file;
    bitmap = await createImageBitmap(blob);
  } catch {
    return { blob, readable: false };
  }
  try {
    return { blob: file.size <= MOST_BYTES ? blob : await smaller(bitmap, file.name), readable: true };
  } finally {
    bitmap.close();
  }
}

/** @param {ImageBitmap} bitmap @param {string} name */
async function smaller(bitmap, name) {
  const scale = Math.min(1, MOST_PIXELS_A_SIDE / Math.max(bitmap.width, bitmap.height));
  // A strip that is far longer than wide keeps at least one pixel.
  const size = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = new OffscreenCanvas(size[0], size[1]);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext('2d'));
  context.fillStyle = '#fff';
  context.fillRect(0, 0, size[0], size[1]);
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, 0, 0, size[0], size[1]);
  const blob = await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.92 });
  return fileOf(await blob.arrayBuffer(), name, blob.type);
}

/** @param {ClipboardEvent} event @returns {Found[]} */
export const pasted = (event) => foundFiles(event.clipboardData?.files ?? []);
