/** NumPy's format, version 1.0: magic, version, length of the header, a Python literal, then the numbers. */

/** @param {Float32Array} data @param {number[]} shape @returns {Uint8Array} */
export function npyOf(data, shape) {
  const dims = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const literal = `{'descr': '<f4', 'fortran_order': False, 'shape': (${dims}), }`;
  const start = 10;
  const padded = literal.padEnd(Math.ceil((start + literal.length + 1) / 64) * 64 - start - 1); // numbers begin at 64 n
  const head = new TextEncoder().encode(`\x93NUMPY\x01\0..${padded}\n`.slice(1));
  const bytes = new Uint8Array(1 + head.length + data.byteLength);
  bytes[0] = 0x93; // one byte, which UTF-8 has two for
  bytes.set(head, 1);
  new DataView(bytes.buffer).setUint16(8, padded.length + 1, true);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), 1 + head.length);
  return bytes;
}
