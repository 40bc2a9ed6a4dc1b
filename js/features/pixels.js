/**
 * What a model sees of pictures, a few at a time: files are decoded on all threads, the rest one by one. One that
 * cannot be read is left out, where somebody takes it.
 */
import { nextTurn } from '../base/platform.js';
import { seldom } from '../base/progress.js';
import { decodeImage, readImage } from '../pictures/images.js';

/** Pictures that go through the tower in one call. */
const PICTURES_AT_ONCE = 8;
/** Files that are decoded together; a larger one is by itself. */
const BYTES_AT_ONCE = 8 * 2 ** 20;

/** @typedef {import('../classifier/classifier.js').Model} Model */

/** One picture, which is decoded here or by the browser, made small and let go. @param {Model} model */
async function view({ core, clip, how }, picture) {
  const handle = await decodeImage(core, picture, how);
  try {
    return core.clipTestPixels(clip, handle);
  } finally {
    core.imageFree(handle);
  }
}

/**
 * Pixels of a few pictures, one behind the other.
 * @param {Model} model
 * @param {any[]} images see ImageInput in index.d.ts
 * @param {string[]} names for messages
 * @param {AbortSignal} [signal]
 */
export async function pixelsOf(model, images, names, signal) {
  const { core, clip, config, how, timeout } = model;
  const size = 3 * config.image ** 2;
  const pixels = new Float32Array(images.length * size);
  let done = 0;
  let read = [];
  let bytes = 0;
  const decode = async () => {
    const now = read;
    [read, bytes] = [[], 0];
    const files = now.map((picture) => picture.bytes);
    const seen = now.length > 1 ? core.clipTestFiles(clip, files, how) : [];
    for (const [i, picture] of now.entries()) {
      signal?.throwIfAborted();
      pixels.set(seen[i] ?? (await view(model, picture)), size * done++);
    }
  };
  try {
    for (const [i, image] of images.entries()) {
      const picture = await readImage(image, names[i], signal, timeout);
      const more = 'bytes' in picture ? picture.bytes.length : Infinity; // pixels are by themselves
      if (bytes + more > BYTES_AT_ONCE) await decode();
      read.push(picture);
      bytes += more;
      if (bytes === Infinity) await decode(); // and one picture's at a time
    }
  } finally {
    await decode(); // if one cannot be read, faults of those before it come first
  }
  return pixels;
}

/**
 * @typedef {object} Views of a picture: the plain one, and random ones behind it
 * @property {number} views how many
 * @property {number} seed
 * @property {number} smallestCrop share of the area, above 0
 */

/**
 * Pixels of all views of a few pictures, one behind the other, picture by picture.
 * @param {Model} model
 * @param {any[]} images
 * @param {string[]} names for messages
 * @param {Views} wanted
 * @param {AbortSignal} [signal]
 */
async function viewsOf({ core, clip, config, how, timeout }, images, names, { views, seed, smallestCrop }, signal) {
  const size = 3 * config.image ** 2;
  const pixels = new Float32Array(images.length * views * size);
  let at = 0;
  for (const [i, image] of images.entries()) {
    const handle = await decodeImage(core, await readImage(image, names[i], signal, timeout), how);
    try {
      pixels.set(core.clipTestPixels(clip, handle), at);
      for (let v = 1; v < views; v++)
        pixels.set(core.clipRandomPixels(clip, handle, smallestCrop, seed, v), at + v * size);
    } finally {
      core.imageFree(handle);
    }
    at += views * size;
    signal?.throwIfAborted();
  }
  return pixels;
}

/**
 * Answers for a few pictures, without those that cannot be read.
 * @template T
 * @param {(pixels: Float32Array) => Promise<T[]>} answer one for each picture
 * @param {Model} model
 * @param {any[]} images
 * @param {object} about
 * @param {number} about.first index of the first
 * @param {string} about.kind what they are called in messages
 * @param {import('../pictures/broken.js').BrokenPictures} about.broken
 * @param {'examples' | 'pictures'} [about.list] what list they are of
 * @param {Views} [about.wanted] more views of each than the plain one
 * @param {AbortSignal} [about.signal]
 * @returns {Promise<{ index: number, answer: T }[]>}
 */
async function answersFor(answer, model, images, { first, kind, broken, list, wanted, signal }) {
  const names = images.map((_, i) => `${kind} ${first + i}`);
  try {
    const answers = await answer(
      await (wanted ? viewsOf(model, images, names, wanted, signal) : pixelsOf(model, images, names, signal)),
    );
    return answers.map((each, i) => ({ index: first + i, answer: each }));
  } catch (error) {
    if (!broken.takes(error)) throw error;
    if (images.length === 1) {
      broken.add(error, first, list);
      return [];
    }
    const each = [];
    for (const [i, image] of images.entries()) {
      const alone = { first: first + i, kind, broken, list, wanted, signal };
      each.push(...(await answersFor(answer, model, [image], alone)));
    }
    return each;
  }
}

/**
 * Answers for any number of pictures, a few at a time, between which everything else has a turn.
 * @template T
 * @param {(pixels: Float32Array) => Promise<T[]>} answer one for each picture
 * @param {Model} model
 * @param {any[]} images
 * @param {{ kind: string, broken: import('../pictures/broken.js').BrokenPictures, list?: 'examples' | 'pictures',
 *   wanted?: Views, onProgress?: (progress: { done: number, total: number }) => void, signal?: AbortSignal }} about as
 *   of answersFor
 * @param {(answer: T, index: number) => void} take each in its turn, but for those that cannot be read
 */
export async function eachAnswer(answer, model, images, about, take) {
  const { onProgress, signal, wanted } = about;
  const tell = seldom(onProgress);
  const total = images.length;
  const atOnce = wanted ? 1 : PICTURES_AT_ONCE;
  for (let done = 0; done < total;) {
    signal?.throwIfAborted();
    const some = images.slice(done, done + atOnce);
    for (const found of await answersFor(answer, model, some, { ...about, first: done }))
      take(found.answer, found.index);
    done += some.length;
    tell({ done, total }, done === total);
    await nextTurn();
  }
}
