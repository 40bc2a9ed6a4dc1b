/**
 * Matrices of a block as integers, to the bit as the C core makes them (src/clip/columns.c): each row is divided by
 * scale = largest magnitude / 127 or 16383, or what 64 of its columns that are a block measure at most / 46336 where
 * that is more, and rounded, halves to even. Columns that differ much from the others are divided by powers of two
 * before.
 */

/** Types of integers with scales: the largest one. */
export const INTEGERS = { I8: 127, I16: 16383 };
const [BLOCK_OF_SUM, NORM] = [64, 46336]; // src/kernels/integer.h
const [APART, MOST_APART, EXPONENTS] = [2, 12, 256]; // exponents of 2
const BLOCK = /\b(?:encoder\.layers|resblocks|blocks)\.(\d+)\.(self_attn|attn|mlp)\.(\w+?)[._]weight$/;
const TEXT = /^(?:text_model|text|transformer)\./;

/** Whether a tensor is a matrix of a linear layer within a block: what integers are made for. @param {string} name */
export const isBlockMatrix = (name) => BLOCK.test(name);

/**
 * What `to` makes of a block's matrix. The first blocks' attention, where most of int8's error begins, is int16.
 * @param {string} name
 * @param {'int8' | 'int16'} to
 * @param {{ visionLayers: number, textLayers: number }} architecture
 */
export function integerType(name, to, { visionLayers, textLayers }) {
  const [, layer, part] = BLOCK.exec(name) ?? [];
  const first = TEXT.test(name) ? textLayers / 3 : visionLayers / 6;
  return to === 'int16' || (part !== 'mlp' && Number(layer) < Math.floor(first)) ? 'I16' : 'I8';
}

/** Matrices that read the same have their columns in common. @param {string} name */
export const readerOf = (name) => name.replace(/\.[qkv]_proj\.weight$/, '.in_proj.weight');

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

function exponentOf(value) {
  float[0] = value;
  return bits[0] >>> 23;
}

/**
 * Powers of two that columns are divided by, from their largest magnitudes; undefined where all are 1.
 * @param {Float32Array} largest [columns]
 */
export function columnsApart(largest) {
  const counts = new Uint32Array(EXPONENTS);
  for (const value of largest) counts[exponentOf(value)]++;
  let median = 0;
  for (let below = counts[0]; below <= largest.length >> 1; below += counts[median]) median++;
  const factors = largest.map((value) => {
    const apart = value > 0 && median > 0 ? exponentOf(value) - median : 0;
    return Math.abs(apart) < APART ? 1 : 2 ** Math.max(-MOST_APART, Math.min(MOST_APART, apart));
  });
  return factors.some((factor) => factor !== 1) ? factors : undefined;
}

/** values [rows, columns] -> bytes of integers, and their scales [rows]; as gemm_set_row of the C core. */
export function toIntegers(values, rows, columns, dtype) {
  const most = INTEGERS[dtype];
  const each = dtype === 'I8' ? 1 : 2;
  const integers = new Uint8Array(values.length * each);
  const scale = new Float32Array(rows);
  for (let y = 0; y < rows; y++) {
    const row = values.subarray(y * columns, (y + 1) * columns);
    let largest = 0;
    for (const value of row) largest = Math.max(largest, Math.abs(value));
    let [squares, mostSquares] = [0, 0];
    row.forEach((value, x) => {
      squares = (x % BLOCK_OF_SUM ? squares : 0) + value * value;
      mostSquares = Math.max(mostSquares, squares);
    });
    scale[y] = Math.max(Math.fround(largest / most), Math.sqrt(mostSquares) / NORM);
    for (let x = 0; x < columns; x++) {
      const integer = scale[y] ? roundHalfEven(Math.fround(row[x] / scale[y])) : 0;
      const at = (y * columns + x) * each;
      const kept = Math.min(most, Math.max(-most, integer));
      integers[at] = kept;
      if (each === 2) integers[at + 1] = kept >> 8;
    }
  }
  return { integers, scale };
}

function roundHalfEven(value) {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}
