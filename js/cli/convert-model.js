/**
 * Rewrites a model's weights under other names or in another type, tensor by tensor, so that memory stays small
 * whatever the model's size. What is foreign, missing, misshapen or not finite is refused.
 *
 * int8, int16: the blocks' matrices become integers (integers.js); scales of their rows are a tensor of their own,
 * X_scale, as are powers of two of their columns where there are any, X_column. Other matrices become f16, vectors stay
 * as exact as they were. So what is loaded has the bits of the original loaded with this dtype.
 */
import { open } from 'node:fs/promises';
import { MudptError } from '../base/errors.js';
import { applyScales, toFloats } from '../loading/floats.js';
import { words } from '../loading/keys.js';
import { foreignTensor, isNoWeight } from '../loading/shapes.js';
import { writeHeader } from '../loading/safetensors.js';
import { checkPlace, readTensor } from '../loading/places.js';
import { columnsApart, INTEGERS, integerType, isBlockMatrix, readerOf, toIntegers } from './integers.js';
import { countLayers, FAMILIES, familyOf, isVector, layout, ownLayout } from './tensor-names.js';

const BYTES = { F64: 8, F32: 4, F16: 2, BF16: 2, I8: 1, I16: 2 };
/** What asks for tensors, or for a use of them, that not all families of names have. */
const TRAITS =
  words(`visionLayerScale textLayerScale visionPooling textPooling patchBias noClass noPreNorm noMask noStart
  visionNoProjection textNoProjection visionProjectionBias textProjectionBias`);
const READABLE = Object.keys(BYTES);
const PIECE = 1 << 20; // values that are worked on at a time
const WIDEST = 8192; // as MUDPT_MAX_WIDTH: bounds the two projections, which are turned over in memory

/**
 * @param {import('../files/source.js').SourceFile[]} files  with the weights
 * @param {import('../loading/safetensors.js').Header[]} headers  theirs
 * @param {string} target                              the file to be made
 * @param {object} options
 * @param {'f32' | 'f16' | 'int8' | 'int16'} options.to
 * @param {string} [options.names]  one of FAMILIES; default: the file's own
 * @param {import('../loading/configuration.js').Architecture} options.architecture
 * @param {(share: number) => void} [options.onProgress]
 * @param {AbortSignal} [options.signal]
 * @returns {Promise<{ from: string, names: string, tensors: number, bytes: number }>}
 */
export async function convertWeights(files, headers, target, { to, names, architecture, onProgress, signal }) {
  const [{ name: model }] = files;
  const found = new Map(
    headers.flatMap(({ tensors }, i) => tensors.map((tensor) => [tensor.name, { ...tensor, file: files[i] }])),
  );
  for (const tensor of found.values()) {
    await checkPlace(tensor.file, tensor);
    if (tensor.strides || tensor.front) found.set(tensor.name, straightened(tensor));
  }
  const from = familyOf(found.keys());
  if (!from) {
    throw new MudptError(
      'model',
      `${model}: holds no CLIP under the names of ${FAMILIES.join(', ')}`,
      'give the weights of a CLIP',
    );
  }
  const layers = countLayers(from, found.keys());
  const own = TRAITS.filter((trait) => architecture[trait]);
  if (own.length && (names ?? from) !== from) {
    const has = own.join(', ');
    const what = `${model}: only a model like OpenAI's can have the names of ${names}, and this one has ${has}`;
    throw new MudptError('argument', what, `leave --names out: it keeps those of ${from}`);
  }
  const layoutOf = (family) => (own.length ? ownLayout(found.keys()) : layout(family, layers, found.has('logit_bias')));
  const pieces = findPieces(model, layoutOf(from), found);
  const stored = layoutOf(names ?? from).map((entry) => plan(model, entry, pieces, to, architecture));
  await findColumns(stored, pieces);

  const tensors = stored.flatMap(({ name, dtype, shape, columns }) => [
    { name, dtype, shape },
    ...(INTEGERS[dtype] ? [{ name: `${name}_scale`, dtype: 'F32', shape: [shape[0]] }] : []),
    ...(columns ? [{ name: `${name}_column`, dtype: 'F32', shape: [shape[1]] }] : []),
  ]);
  const { header: head, size } = writeHeader(tensors, { format: 'pt' });
  const output = await open(target, 'wx');
  try {
    let at = 0;
    const write = async (bytes) => {
      signal?.throwIfAborted();
      await writeAll(output, bytes, at);
      at += bytes.length;
      onProgress?.(at / size);
    };
    await write(head);
    for (const entry of stored) await writeTensor(entry, write);
  } finally {
    await output.close();
  }
  return { from, names: names ?? from, tensors: tensors.length, bytes: size };
}

/** A tensor that does not lie as it is in its file, in one of memory where it does; it is read when it is wanted. */
/** @param {import('../loading/safetensors.js').Tensor & { file: import('../files/source.js').SourceFile }} tensor */
function straightened(tensor) {
  const { file } = tensor;
  const whole = () => readTensor(file, tensor);
  const read = async (begin, length) => (await whole()).subarray(begin, begin + length);
  return { ...tensor, begin: 0, strides: undefined, front: undefined, file: { ...file, read } };
}

/**
 * Where each tensor of Hugging Face's naming lies in the file.
 * @returns {Map<string, Piece>}
 *
 * @typedef {object} Piece
 * @property {import('../files/source.js').SourceFile} file  that it lies in
 * @property {string} name         of the stored tensor
 * @property {string} dtype
 * @property {number[]} shape      in Hugging Face's orientation
 * @property {number} rows         of the stored tensor's part, as it lies in the file
 * @property {number} columns
 * @property {number} begin        where it begins in the file
 * @property {boolean} transposed
 * @property {number} [scales]     of integers: where their scales begin
 * @property {any} [apart]         of integers: what their columns are to be multiplied by
 */
function findPieces(file, entries, found) {
  const pieces = new Map();
  const known = new Set(entries.map(({ name }) => name));
  for (const name of found.keys())
    if (!known.has(name.replace(/_(scale|column)$/, '')) && !known.has(name) && !isNoWeight(name))
      throw foreignTensor(file, name);
  const refuse = (what) => {
    throw new MudptError('model', `${file}: ${what}`, 'give the weights of a whole CLIP with a ViT image tower');
  };
  for (const { name, holds, transposed } of entries) {
    const tensor = found.get(name);
    if (!tensor) refuse(`has no tensor ${name}`);
    const { dtype, shape } = tensor;
    if (!READABLE.includes(dtype)) refuse(`${name} has the type ${dtype}, expected ${READABLE.join(', ')}`);
    const rows = shape.length ? shape[0] / holds.length : 1;
    const columns = shape.slice(1).reduce((product, side) => product * side, 1);
    if (!Number.isInteger(rows) || !rows || !columns || columns > PIECE) refuse(`${name} has the shape [${shape}]`);
    if (transposed && (shape.length !== 2 || Math.max(rows, columns) > WIDEST))
      refuse(`${name} has the shape [${shape}]`);
    let scales;
    const apart = INTEGERS[dtype] && found.get(`${name}_column`);
    if (apart && (apart.file !== tensor.file || apart.dtype !== 'F32' || apart.bytes !== 4 * columns))
      refuse(`${name}_column has the type ${apart.dtype} and shape [${apart.shape}], expected F32 [${columns}]`);
    if (INTEGERS[dtype]) {
      const scale = found.get(`${name}_scale`);
      if (transposed || scale?.file !== tensor.file || scale.dtype !== 'F32' || scale.bytes !== 4 * shape[0])
        refuse(`${name} has integers without ${name}_scale in the same file`);
      scales = scale.begin;
    }
    holds.forEach((piece, index) => {
      const own = holds.length > 1 ? [rows, ...shape.slice(1)] : shape;
      pieces.set(piece, {
        file: tensor.file,
        name,
        dtype,
        shape: transposed ? [...own].reverse() : own,
        rows,
        columns,
        begin: tensor.begin + index * rows * columns * BYTES[dtype],
        transposed,
        scales: scales === undefined ? undefined : scales + index * rows * 4,
        apart,
      });
    });
  }
  return pieces;
}

/** Powers of two for the columns of all matrices that become integers; of those that are integers already, theirs. */
async function findColumns(/** @type {any[]} */ stored, /** @type {Map<string, Piece>} */ pieces) {
  for (const piece of pieces.values()) {
    if (!piece.apart) continue;
    const bytes = await readBytes(piece.apart.file, piece.apart.begin, piece.apart.bytes);
    piece.apart = toFloats(bytes, 'F32');
  }
  /** @type {Map<string, Float32Array | undefined>} */
  const known = new Map();
  for (const entry of stored) {
    const [part] = entry.parts;
    const reader = readerOf(entry.holds[0]);
    if (!INTEGERS[entry.dtype]) continue;
    if (part.dtype === entry.dtype) entry.columns = part.apart;
    if (part.dtype === entry.dtype) continue;
    if (!known.has(reader)) {
      const together = [...pieces].filter(([name]) => readerOf(name) === reader).map(([, piece]) => piece);
      known.set(reader, columnsApart(await largestOf(together)));
    }
    entry.columns = known.get(reader);
  }
}

/** Largest magnitude of each column, over some pieces. @param {Piece[]} pieces */
async function largestOf(pieces) {
  const largest = new Float32Array(pieces[0].columns);
  for (const piece of pieces) {
    for (let row = 0; row < piece.rows; row += rowsAtOnce(piece)) {
      const values = await readRows(piece, row, Math.min(rowsAtOnce(piece), piece.rows - row));
      for (let i = 0; i < values.length; i++) {
        const size = Math.abs(values[i]);
        if (size > largest[i % piece.columns]) largest[i % piece.columns] = size;
      }
    }
  }
  return largest;
}

/** What is to be written of a tensor. */
function plan(file, { name, holds, transposed }, pieces, to, architecture) {
  const parts = holds.map((piece) => pieces.get(piece));
  const [{ shape, dtype: was }] = parts;
  if (parts.some((part) => String(part.shape) !== String(shape))) {
    throw new MudptError(
      'model',
      `${file}: ${parts.map((part) => part.name).join(', ')} differ in shape`,
      'give a whole CLIP',
    );
  }
  const stacked = parts.length > 1 ? [shape[0] * parts.length, ...shape.slice(1)] : shape;
  const exact = /^logit_(scale|bias)$/.test(holds[0])
    ? was === 'F32'
    : to !== 'f16' && isVector(holds[0], shape) && was !== 'F16';
  let dtype = to === 'f32' || exact ? 'F32' : 'F16';
  // Integers that are there as they are asked for stay.
  if (to.startsWith('int') && isBlockMatrix(holds[0]))
    dtype = to === 'int8' && was === 'I8' ? was : integerType(holds[0], to, architecture);
  /** @type {Float32Array | undefined} what is divided out of the columns of integers */
  const columns = undefined;
  return { name, holds, dtype, shape: transposed ? [...stacked].reverse() : stacked, parts, transposed, columns };
}

async function writeTensor({ name, dtype, parts, transposed, columns }, write) {
  const scales = [];
  for (const part of parts) {
    if (INTEGERS[dtype] && part.dtype === dtype) {
      // Integers pass as they are: dividing again by their own scale could move them.
      for (let row = 0; row < part.rows; row += rowsAtOnce(part)) {
        const count = Math.min(rowsAtOnce(part), part.rows - row);
        const bytes = part.columns * BYTES[dtype];
        await write(await readBytes(part.file, part.begin + row * bytes, count * bytes));
      }
      scales.push(await readBytes(part.file, part.scales, part.rows * 4));
      continue;
    }
    const whole = part.transposed !== transposed;
    const step = whole ? part.rows : rowsAtOnce(part);
    for (let row = 0; row < part.rows; row += step) {
      const count = Math.min(step, part.rows - row);
      const read = await readRows(part, row, count);
      const values = whole ? turnedOver(read, count, part.columns) : read;
      if (!INTEGERS[dtype]) {
        await write(dtype === 'F32' ? littleEndian(values) : toHalf(values, part.file.name, name));
        continue;
      }
      for (let i = 0; columns && i < values.length; i++) values[i] /= columns[i % part.columns];
      const { integers, scale } = toIntegers(values, count, part.columns, dtype);
      await write(integers);
      scales.push(littleEndian(scale));
    }
  }
  for (const scale of scales) await write(scale);
  if (columns) await write(littleEndian(columns));
}

const rowsAtOnce = ({ columns }) => Math.max(1, Math.floor(PIECE / columns));

// ------------------------------------------------------------------------------------------ values

/** Rows of a part, widened to f32. */
async function readRows(part, row, count) {
  const { file, dtype, columns } = part;
  const bytes = await readBytes(file, part.begin + row * columns * BYTES[dtype], count * columns * BYTES[dtype]);
  const values = /** @type {Float32Array} */ (toFloats(bytes, dtype));
  if (INTEGERS[dtype]) {
    const scales = toFloats(await readBytes(file, part.scales + row * 4, count * 4), 'F32');
    applyScales(values, /** @type {Float32Array} */ (scales), part.apart);
  }
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    const what = `${file.name}: tensor ${part.name} holds ${values[bad]} (value ${row * columns + bad})`;
    throw new MudptError('model', what, 'these weights are damaged: download or export them again');
  }
  return values;
}

async function readBytes(file, begin, length) {
  const bytes = await file.read(begin, length);
  if (bytes.length < length) throw new MudptError('model', `${file.name}: ended while it was read`, 'try again');
  return bytes;
}

/** [rows, columns] -> [columns, rows] */
function turnedOver(values, rows, columns) {
  const out = new Float32Array(values.length);
  for (let y = 0; y < rows; y++) for (let x = 0; x < columns; x++) out[x * rows + y] = values[y * columns + x];
  return out;
}

function littleEndian(values) {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => view.setFloat32(4 * i, value, true));
  return bytes;
}

const float = new Float32Array(1);
const floatBits = new Uint32Array(float.buffer);

/** The bits of the nearest half, ties to even; infinity from 65520 on. */
export function halfBits(value) {
  float[0] = value;
  const sign = (floatBits[0] >>> 16) & 0x8000;
  const bits = floatBits[0] & 0x7fffffff;
  if (bits >= 0x477ff000) return sign | 0x7c00;
  if (bits >= 0x38800000) return sign | ((bits - 0x38000000 + 0xfff + ((bits >>> 13) & 1)) >>> 13);
  float[0] = Math.abs(value) + 0.5; // subnormal: the last place of numbers around a half is that of the smallest half
  return sign | (floatBits[0] - 0x3f000000);
}

function toHalf(values, file, name) {
  const bytes = new Uint8Array(values.length * 2);
  for (let i = 0; i < values.length; i++) {
    const half = halfBits(values[i]);
    if ((half & 0x7fff) === 0x7c00) {
      throw new MudptError(
        'model',
        `${file}: tensor ${name} holds ${values[i]}, too large for f16`,
        'convert to f32 instead',
      );
    }
    bytes[2 * i] = half & 0xff;
    bytes[2 * i + 1] = half >>> 8;
  }
  return bytes;
}

/** write() may take less than it was given. */
async function writeAll(output, bytes, position) {
  for (let done = 0; done < bytes.length;) {
    done += (await output.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
  }
}
