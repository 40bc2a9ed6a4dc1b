/** Values of tensors as float32, from the bytes that files have of them. */

/** @param {number} half bits of a float16 */
export function halfToFloat(half) {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24);
}

/** The value of each of the 65,536 halves, once there were many. @type {Float32Array | undefined} */
let halves;

/** By type, from bytes of their own. @type {Record<string, (buffer: ArrayBuffer) => Float32Array>} */
const READERS = {
  F64: (buffer) => Float32Array.from(new Float64Array(buffer)),
  F32: (buffer) => new Float32Array(buffer),
  F16: (buffer) => {
    const table = (halves ??= Float32Array.from({ length: 65536 }, (_, half) => halfToFloat(half)));
    return Float32Array.from(new Uint16Array(buffer), (half) => table[half]);
  },
  BF16: (buffer) => new Float32Array(Uint32Array.from(new Uint16Array(buffer), (half) => half << 16).buffer),
  I16: (buffer) => Float32Array.from(new Int16Array(buffer)),
  I8: (buffer) => Float32Array.from(new Int8Array(buffer)),
};

/** Types of which float32 holds all values. */
export const EXACT = Object.freeze(['F32', 'F16', 'BF16']);

/**
 * @param {Uint8Array} bytes
 * @param {string} dtype one of safetensors' types
 * @returns {Float32Array | null} null: that is no type of weights
 */
export function toFloats(bytes, dtype) {
  // A copy lies where its values may begin.
  return Object.hasOwn(READERS, dtype) ? READERS[dtype](Uint8Array.from(bytes).buffer) : null;
}

/**
 * Integers' values (docs/file-formats.md), in place.
 * @param {Float32Array} integers [rows, columns]
 * @param {ArrayLike<number>} scales [rows]
 * @param {ArrayLike<number> | null} [apart] [columns] of columns that are far from the others
 */
export function applyScales(integers, scales, apart) {
  const columns = integers.length / scales.length;
  for (let i = 0; i < integers.length; i++) {
    integers[i] *= scales[Math.floor(i / columns)];
    if (apart) integers[i] *= apart[i % columns];
  }
}
