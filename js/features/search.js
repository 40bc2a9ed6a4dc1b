/**
 * Search on features: pictures by a text, by another picture, and those that are nearly the same. It works where it is
 * called, on features that the model (in its worker) has made, and is fetched when it is used.
 */
import { MudptError, bytesOf, checkOptions } from '../base/errors.js';
import { isBlob } from '../base/kinds.js';
import { nextTurn } from '../base/platform.js';
import { seldom } from '../base/progress.js';
import { readPictureFeatures, writeFeatures } from './file.js';
import { Rows } from './products.js';
import { lengthOf, toUnit } from './unit.js';

/** Texts whose features are kept: people type one again. */
const MOST_TEXTS = 256;
/** Products that are taken without a turn for anything else. */
const PRODUCTS_AT_ONCE = 2e7;

/** @param {any} picture @param {number} i */
function nameOf(picture, i) {
  if (typeof picture === 'string') return picture.length > 300 ? `picture ${i}` : picture;
  if (isBlob(picture))
    return /** @type {any} */ (picture).webkitRelativePath || /** @type {any} */ (picture).name || '';
  return picture?.href && typeof picture.href === 'string' ? picture.href : `picture ${i}`;
}

/** A row as a direction, in place: what is one already keeps its bits. @param {Float32Array} row */
function direction(row) {
  if (Math.abs(lengthOf(row) - 1) >= 1e-6) toUnit(row);
  return row;
}

/** @param {unknown} value @param {string} name */
function checkShare(value, name) {
  if (typeof value === 'number' && value > -1 && value <= 1) return;
  throw new MudptError('argument', `${name} is ${value}, expected a cosine above -1, at most 1`);
}

export class PictureIndex {
  #clip;
  #rows;
  #names;
  #samples;
  /** @type {Map<string, Float32Array>} */
  #texts = new Map();

  /**
   * @param {any} clip
   * @param {{ data: Float32Array, dims: readonly number[] }} features
   * @param {string[]} names
   * @param {string} samples of the model's weights
   */
  constructor(clip, { data, dims }, names, samples) {
    this.#clip = clip;
    this.#rows = new Rows(data, dims[1]);
    for (let i = 0; i < dims[0]; i++) direction(this.#rows.row(i));
    this.#names = names;
    this.#samples = samples;
  }

  get names() {
    return [...this.#names];
  }

  get count() {
    return this.#names.length;
  }

  /** The query's row. @param {any} query @param {AbortSignal} [signal] */
  async #rowOf(query, signal) {
    const { width } = this.#rows;
    if (typeof query === 'string') {
      const known = this.#texts.get(query);
      if (known) return known;
      const { data } = await this.#clip.embedTexts([query], { signal });
      this.#texts.set(query, data);
      if (this.#texts.size > MOST_TEXTS) this.#texts.delete([...this.#texts.keys()][0]);
      return data;
    }
    if (Array.isArray(query) || query instanceof Float32Array) {
      if (query.length === width && Array.prototype.every.call(query, Number.isFinite))
        return direction(Float32Array.from(query));
      throw new MudptError('argument', `a feature of ${query.length} numbers, expected ${width} finite ones`);
    }
    const isNamed = query !== null && typeof query === 'object' && Object.keys(query).join() === 'image';
    return (await this.#clip.embedImages([isNamed ? query.image : query], { signal })).data;
  }

  /**
   * @param {any} query
   * @param {{ topK?: number, signal?: AbortSignal }} [options]
   */
  async search(query, options = {}) {
    checkOptions(options, ['topK', 'signal']);
    const { topK = 10, signal } = options;
    if (topK !== Infinity && !(Number.isInteger(topK) && topK >= 1))
      throw new MudptError('argument', `topK is ${topK}, expected a whole number from 1, or Infinity for all`);
    signal?.throwIfAborted();
    const row = await this.#rowOf(query, signal);
    const scores = this.#rows.products(row);
    return best(scores, topK).map((index) => ({ index, name: this.#names[index], score: scores[index] }));
  }

  /**
   * Groups of pictures that are nearly the same.
   * @param {{ least?: number, onProgress?: (progress: { done: number, total: number }) => void, signal?: AbortSignal }}
   *   [options]
   */
  async duplicates(options = {}) {
    checkOptions(options, ['least', 'onProgress', 'signal']);
    const { least = 0.97, onProgress, signal } = options;
    checkShare(least, 'least');
    const tell = seldom(onProgress);
    const { count, width } = this.#rows;
    const parents = Int32Array.from({ length: count }, (_, i) => i);
    const rootOf = (i) => {
      while (parents[i] !== i) i = parents[i] = parents[parents[i]];
      return i;
    };
    /** Of a group by its root: the cosine of its least alike pair that was joined. @type {Map<number, number>} */
    const scores = new Map();
    let products = 0;
    for (let i = 0; i < count; i++) {
      const cosines = this.#rows.products(this.#rows.row(i), i);
      for (let j = 0; j < i; j++) {
        const score = cosines[j];
        if (score < least) continue;
        const [a, b] = [rootOf(i), rootOf(j)];
        const [first, last] = a < b ? [a, b] : [b, a];
        const lowest = Math.min(score, scores.get(first) ?? 1, scores.get(last) ?? 1);
        parents[last] = first;
        scores.delete(last);
        scores.set(first, lowest);
      }
      products += i * width;
      if (products < PRODUCTS_AT_ONCE) continue;
      products = 0;
      tell({ done: i + 1, total: count }, false);
      await nextTurn();
      signal?.throwIfAborted();
    }
    tell({ done: count, total: count }, true);
    /** @type {Map<number, { index: number, name: string }[]>} */
    const groups = new Map([...scores.keys()].sort((a, b) => a - b).map((root) => [root, []]));
    for (let i = 0; i < count; i++) groups.get(rootOf(i))?.push({ index: i, name: this.#names[i] });
    return [...groups].map(([root, pictures]) => ({ pictures, score: /** @type {number} */ (scores.get(root)) }));
  }

  /** @returns {Uint8Array} */
  export() {
    const about = { kind: /** @type {const} */ ('image'), names: this.#names, unit: true, projected: true };
    const dims = /** @type {[number, number]} */ ([this.count, this.#rows.width]);
    const features = { data: this.#rows.copy(), dims };
    return writeFeatures(features, { ...about, info: this.#clip.info, samples: this.#samples });
  }
}

/** Places of the largest, in order; of equal ones the first. @param {Float32Array} scores @param {number} most */
function best(scores, most) {
  const found = /** @type {number[]} */ ([]);
  if (most > 64) {
    const all = Array.from(scores, (_, i) => i).sort((a, b) => scores[b] - scores[a] || a - b);
    return all.slice(0, most);
  }
  for (let i = 0; i < scores.length; i++) {
    if (found.length === most && !(scores[i] > scores[found[most - 1]])) continue;
    let at = found.length;
    while (at > 0 && scores[i] > scores[found[at - 1]]) at--;
    found.splice(at, 0, i);
    if (found.length > most) found.pop();
  }
  return found;
}

/**
 * An index of pictures.
 * @param {any} clip
 * @param {Iterable<any>} pictures
 * @param {Record<string, any>} [options] see index.d.ts
 */
export async function indexPictures(clip, pictures, options = {}) {
  checkOptions(options, ['names', 'transfer', 'onProgress', 'onBroken', 'signal']);
  const { names, onBroken, ...rest } = options;
  const isList = typeof pictures === 'object' && pictures !== null && Symbol.iterator in pictures;
  const list = isList && !isBlob(pictures) && !ArrayBuffer.isView(pictures) ? [...pictures] : pictures;
  const called = names ?? (Array.isArray(list) ? list.map(nameOf) : []);
  const isNames = Array.isArray(called) && called.every((name) => typeof name === 'string');
  if (Array.isArray(list) && !(isNames && called.length === list.length))
    throw new MudptError('argument', `names must be an array of ${list.length} texts, one a picture`);
  const gone = new Set();
  const told = (broken) => {
    gone.add(broken.index);
    onBroken(broken);
  };
  const features = await clip.embedImages(list, {
    ...rest,
    onBroken: typeof onBroken === 'function' ? told : onBroken,
  });
  return new PictureIndex(
    clip,
    features,
    called.filter((_, i) => !gone.has(i)),
    await clip.samples(),
  );
}

/**
 * An index from a file that export() or mudpt embed wrote.
 * @param {any} clip
 * @param {Uint8Array | ArrayBuffer} bytes
 * @param {{ name?: string }} [options]
 */
export async function openIndex(clip, bytes, options = {}) {
  checkOptions(options, ['name']);
  const { name = 'the index' } = options;
  const file = bytesOf(bytes, name);
  const samples = await clip.samples();
  const { names, ...features } = readPictureFeatures(file, name, clip.info, samples);
  return new PictureIndex(clip, features, names, samples);
}
