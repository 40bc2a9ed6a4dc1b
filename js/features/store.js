/**
 * Features that were computed once: a second classifier, head, index or sweep over the same pictures does not run the
 * image tower again. They belong to one loaded model, so its weights, their type and the arithmetic need no key; a key
 * is the hash of what the model sees of a picture, so preprocessing and view are in it. What was used longest ago is
 * dropped first. kept.js has one that outlives the model.
 */
import { digestOf } from '../files/sha256.js';

/** Bytes that are kept: 15,000 pictures' features of 512 numbers. */
const MOST_BYTES = 32 * 2 ** 20;
/** Of an entry, its key and the map's own included. */
const ENTRY_BYTES = 200;

export class FeatureStore {
  #most;
  #bytes = 0;
  /** @type {Map<string, Float32Array>} */
  #rows = new Map();

  /** @param {number} [most] bytes */
  constructor(most = MOST_BYTES) {
    this.#most = most;
  }

  get count() {
    return this.#rows.size;
  }

  get bytes() {
    return this.#bytes;
  }

  /** @param {string} key */
  get(key) {
    const row = this.#rows.get(key);
    if (!row) return undefined;
    this.#rows.delete(key);
    this.#rows.set(key, row);
    return row;
  }

  /** @param {string} key @param {Float32Array} row which is copied */
  put(key, row) {
    if (this.#rows.has(key)) return;
    this.#rows.set(key, row.slice());
    this.#bytes += row.byteLength + ENTRY_BYTES;
    for (const [oldest, its] of this.#rows) {
      if (this.#bytes <= this.#most) return;
      this.#rows.delete(oldest);
      this.#bytes -= its.byteLength + ENTRY_BYTES;
    }
  }

  /** All of them, what was used longest ago first. @returns {IterableIterator<[string, Float32Array]>} */
  rows() {
    return this.#rows.entries();
  }

  /** Must be awaited before rows are asked for. @returns {Promise<void> | void} */
  ready() {}

  /** What is new is safe then. @returns {Promise<void> | void} */
  flush() {}

  clear() {
    this.#rows.clear();
    this.#bytes = 0;
  }
}

/**
 * Rows of a few pictures, of which only those that are not known are computed.
 * @param {FeatureStore} store
 * @param {string} kind what the rows are
 * @param {Float32Array} pixels [count, size]
 * @param {number} size values of a picture
 * @param {(pixels: Float32Array) => Promise<Float32Array> | Float32Array} compute rows, one behind the other
 * @returns {Promise<Float32Array[]>}
 */
export async function rowsOf(store, kind, pixels, size, compute) {
  const views = Array.from({ length: pixels.length / size }, (_, i) => pixels.subarray(i * size, (i + 1) * size));
  const bytes = ({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength);
  const digests = await Promise.all(views.map((view) => digestOf(/** @type {any} */ (bytes(view)))));
  const keys = digests.map((digest) => `${kind} ${digest}`);
  await store.ready();
  const rows = keys.map((key) => store.get(key));
  const missing = [...new Set(keys)].filter((key) => !rows[keys.indexOf(key)]);
  if (missing.length) {
    const some = new Float32Array(missing.length * size);
    missing.forEach((key, i) => some.set(views[keys.indexOf(key)], i * size));
    const found = await compute(some);
    const width = found.length / missing.length;
    missing.forEach((key, i) => {
      const row = found.subarray(i * width, (i + 1) * width);
      store.put(key, row);
      keys.forEach((each, at) => each === key && (rows[at] = row));
    });
  }
  return /** @type {Float32Array[]} */ (rows);
}
