/**
 * Rows of a downloaded model's token embedding, fetched when sentences need them: the table is a sixth of a ViT-B/16,
 * and class names use some hundred of its 49,408 rows.
 */
import { MudptError, naming } from '../base/errors.js';
import { DTYPES, TEXT } from '../core/core.js';

/** Bytes between two rows that are rather fetched along; it grows until there are few enough requests. */
const GAP = 32 * 1024;
const MOST_REQUESTS = 64;
const MOST_BYTES = 1024 * 1024; // of one request
const AT_ONCE = 6;

/**
 * @typedef {(ids: Iterable<number>, signal?: AbortSignal) => Promise<void>} NeedTokens ids that a sentence or phrase is
 *   made of; others are ignored
 */

/** @returns {never} */
function refuse() {
  const hint = "load it with towers: 'both'";
  throw new MudptError('state', 'the model was loaded without its text tower, which class names need', hint);
}

/** Of a model without a text tower. @type {any} */
export const refusingTokenizer = Object.freeze({ encode: refuse, sentence: refuse, words: refuse });

/**
 * @param {number[]} ids ascending
 * @param {number} rowBytes
 * @returns {number[][]} ids that are fetched together
 */
function groups(ids, rowBytes) {
  for (let gap = GAP / rowBytes; ; gap *= 2) {
    const found = [];
    for (const id of ids) {
      const group = found.at(-1);
      const fits = group && id - group.at(-1) <= gap && (id - group[0] + 1) * rowBytes <= MOST_BYTES;
      if (fits) group.push(id);
      else found.push([id]);
    }
    if (found.length <= MOST_REQUESTS || gap * rowBytes > MOST_BYTES) return found;
  }
}

/**
 * @param {import('../core/core.js').Core} core
 * @param {number} clip
 * @param {number} text what was sent of the text side, a value of TEXT
 * @param {{ file: import('../files/source.js').SourceFile, tensor: import('./safetensors.js').Tensor } | null} table
 * @param {number[]} [always] ids that every sentence has
 * @returns {NeedTokens}
 */
export function tokenReader(core, clip, text, table, always = []) {
  if (text === TEXT.NONE) return async () => refuse();
  if (text === TEXT.WHOLE || !table) return async () => {};
  const { file, tensor } = table;
  const [vocab] = tensor.shape;
  const rowBytes = tensor.bytes / vocab;

  const fetchGroup = async (group) => {
    const [first, last] = [group[0], group.at(-1)];
    const bytes = await file.read(tensor.begin + first * rowBytes, (last - first + 1) * rowBytes);
    if (bytes.length < (last - first + 1) * rowBytes) {
      throw new MudptError('model', `${file.name}: is cut short within tensor ${tensor.name}`, 'load it again');
    }
    for (const id of group) {
      const row = bytes.subarray((id - first) * rowBytes, (id - first + 1) * rowBytes);
      naming(file.name, () => core.clipToken(clip, id, DTYPES[tensor.dtype] ?? -1, row));
    }
  };
  return async (ids, signal) => {
    const missing = [...new Set([...ids, ...always])].filter(
      (id) => id >= 0 && id < vocab && !core.clipHasToken(clip, id),
    );
    const waiting = groups(
      missing.sort((a, b) => a - b),
      rowBytes,
    );
    const work = async () => {
      for (let group; (group = waiting.shift());) {
        signal?.throwIfAborted();
        await fetchGroup(group);
      }
    };
    if (waiting.length) await orAborted(Promise.all(Array.from({ length: AT_ONCE }, work)), signal);
  };
}

/**
 * What `promise` gives, unless the signal comes first.
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortSignal} [signal]
 * @returns {Promise<T>}
 */
function orAborted(promise, signal) {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
