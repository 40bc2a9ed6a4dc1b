/** Reading JSON documents that describe a model: what is not understood is refused by the name of its key. */
import { MudptError } from '../base/errors.js';

/** @param {string} text */
export const words = (text) => text.trim().split(/\s+/);

/** A value that stands for something else than what is computed. @returns {MudptError} */
export function unsupported(name, key, value, expected) {
  const shown = JSON.stringify(value) ?? 'undefined';
  const what = `${name}: ${key} is ${shown.length > 200 ? `${shown.slice(0, 200)}…` : shown}, expected ${expected}`;
  return new MudptError('model', what, 'other values are not supported; check that the file is as it was published');
}

/**
 * Refuses a key that is not known, and a known one with a value that asks for what is not done. null: nothing is asked.
 * @param {string} name of the file, for messages
 * @param {string} part of the document: '' or one that ends in a dot
 * @param {any} document
 * @param {object} keys
 * @param {Iterable<string>} keys.used
 * @param {Iterable<string>} [keys.harmless]      they change no feature, whatever their values
 * @param {Record<string, any[]>} [keys.neutral]  values that change nothing, by name
 */
export function checkKeys(name, part, document, { used, harmless = [], neutral = {} }) {
  const known = new Set([...used, ...harmless]);
  for (const [key, value] of Object.entries(document)) {
    if (value === null || known.has(key)) continue;
    if (!Object.hasOwn(neutral, key)) {
      const what = `${name}: ${part}${key} is not known, so what it changes cannot be computed`;
      throw new MudptError('model', what, 'remove it if it changes nothing, or use another model');
    }
    const same = (one) => JSON.stringify(one) === JSON.stringify(value);
    if (!neutral[key].some(same))
      throw unsupported(name, part + key, value, neutral[key].map((one) => JSON.stringify(one)).join(' or ') || 'none');
  }
}

/**
 * Reads values of a document by dotted paths.
 * @param {string} name of the file, for messages
 * @param {any} document
 * @param {string} [root] of what the paths are told as
 */
export function readerOf(name, document, root = '') {
  const value = (path) => path.split('.').reduce((part, key) => part?.[key], document);
  const refuse = (path, expected) => unsupported(name, root + path, value(path), expected);
  return {
    value,
    refuse,
    /** A whole number above 0. @param {string} path @returns {number} */
    size(path) {
      const found = value(path);
      // Sides of a square may be given twice.
      const one = Array.isArray(found) && found.length === 2 && found[0] === found[1] ? found[0] : found;
      if (Number.isInteger(one) && one > 0 && one < 2 ** 31) return one; // as the library's structs have them
      throw new MudptError(
        'model',
        `${name}: ${root}${path} is ${JSON.stringify(found)}, expected a whole number above 0`,
        'use the configuration that was published with the model',
      );
    },
    /** 1 for true, 0 for false and where there is none. @param {string} path */
    flag(path) {
      const found = value(path) ?? false;
      if (typeof found === 'boolean') return Number(found);
      throw refuse(path, 'true or false');
    },
    /** Refuses keys of a part, where there is one, but for these. @param {string} path @param {string[]} used */
    keys(path, used) {
      const part = value(path) ?? {};
      if (typeof part !== 'object') throw refuse(path, 'an object');
      checkKeys(name, `${root}${path}.`, part, { used });
    },
    /** What a name stands for. @template T @param {string} path @param {Record<string, T>} choices @returns {T} */
    choice(path, choices) {
      const found = value(path);
      if (typeof found === 'string' && Object.hasOwn(choices, found)) return choices[found];
      throw refuse(path, Object.keys(choices).join(', '));
    },
    /** A LayerNorm's epsilon; 0: the usual one. @param {string} path */
    epsilon(path) {
      const found = value(path) ?? 1e-5;
      if (typeof found === 'number' && found > 0 && found < 1) return found === 1e-5 ? 0 : found;
      throw refuse(path, 'a number between 0 and 1');
    },
  };
}

/** @typedef {ReturnType<typeof readerOf>} Reader */

/** Values of one of the two towers, as the library calls them. @param {'vision' | 'text'} tower */
export const named = (tower, values) =>
  Object.fromEntries(
    Object.entries(values).map(([key, value]) => [`${tower}${key[0].toUpperCase()}${key.slice(1)}`, value]),
  );
