/**
 * Numbers that are not finite never go to a device, and what comes back with such is not used: what a shader makes of
 * them is not defined. WebAssembly computes with them as IEEE says, and the library reports where it shows.
 */

/** Whether all values are finite. @param {Float32Array} values */
function allFinite(values) {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] * 0;
  return sum === 0;
}

/** The numbers in some bytes; those that are not finite are refused: what a device makes of them is not defined. */
export function finiteFloats(bytes, what) {
  const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  if (!allFinite(values)) throw new NotFinite(what);
  return values;
}

/** Left to WebAssembly. */
export class NotFinite extends Error {
  name = 'NotFinite';
}
