/** What things are, also those of another frame or realm (an iframe's canvas, a test runner's bytes). */

/** @param {unknown} value */
export const kindOf = (value) => Object.prototype.toString.call(value).slice(8, -1);

/** @param {any} value @param {string[]} kinds */
export const isA = (value, ...kinds) =>
  value !== null &&
  typeof value === 'object' &&
  (kinds.includes(kindOf(value)) || kinds.some((kind) => isOur(value, kind)));

/** Of a class that calls itself something else. @param {object} value @param {string} kind */
const isOur = (value, kind) => typeof globalThis[kind] === 'function' && value instanceof globalThis[kind];

/** @param {any} value @returns {value is Blob} */
export const isBlob = (value) => isA(value, 'Blob', 'File');

/** @param {any} value @returns {value is ArrayBuffer} */
export const isBuffer = (value) => isA(value, 'ArrayBuffer');

/** @param {any} value @returns {value is Uint8Array} */
export const isBytes = (value) => ArrayBuffer.isView(value) && isA(value, 'Uint8Array');

/** Several things, in a list of any kind; a text, and bytes, are one. @param {any} value */
export const isMany = (value) =>
  value !== null &&
  typeof value === 'object' &&
  Symbol.iterator in value &&
  !ArrayBuffer.isView(value) &&
  !isA(value, 'String');

/** An object that somebody wrote down, as {} is. @param {object} value */
export function isPlain(value) {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'valueOf'));
}

/** Values of ImageData as bytes: those of half precision are 0 to 1. @param {any} image */
export const bytesOfPixels = ({ data }) =>
  isA(data, 'Float16Array') ? Uint8ClampedArray.from(data, (value) => 255 * value) : data;

/** Of a list that came over the wire as an array: what it was. */
export const LIST = Symbol('list');

/** What no-picture.js needs to know of a value, and what can be sent of it. @param {any} value */
export function summaryOf(value) {
  const type = typeof value;
  if (type !== 'object' || !value) return { type, text: String(value) };
  const { constructor, data, width, height } = value;
  const kind = value[LIST] ?? kindOf(value);
  const named = kind === 'Object' && !isPlain(value) ? constructor?.name || kind : kind;
  const pixels = data?.length !== undefined && 'width' in value ? { data: kindOf(data), width, height } : undefined;
  return { type, kind, named, keys: Object.keys(value), isView: ArrayBuffer.isView(value), pixels };
}
/** @typedef {ReturnType<typeof summaryOf>} Summary */

/** Of what could not be sent: what is known of it. */
export class Stranger {
  /** @param {Summary} summary */
  constructor(summary) {
    this.summary = summary;
  }
}

/** What the first pickle of a file of PyTorch up to 1.5 begins with. */
const OLD_PICKLE = [0x80, 2, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46];

/** How PyTorch wrote a file, by its first 8 bytes; null: some other did. @param {Uint8Array} first */
export function pyTorchKind(first) {
  const begins = (bytes) => bytes.every((byte, i) => byte === first[i]);
  if (begins([0x50, 0x4b, 3, 4])) return 'zip';
  return begins(OLD_PICKLE) ? 'old' : null;
}
