/**
 * Where the bytes of tensors lie that PyTorch has saved: what is in front of them, and values that do not lie row by
 * row. What finds the places is large and in zip.js and pytorch.js; this is what reading them needs.
 */
import { MudptError } from '../base/errors.js';
import { TYPE_BYTES } from './types.js';

/** What begins an entry of a zip archive, and its bytes without the name and what else follows. */
const LOCAL = 0x04034b50;
export const LOCAL_BYTES = 30;

/**
 * @typedef {import('../files/source.js').SourceFile} SourceFile
 * @typedef {import('./safetensors.js').Tensor} Tensor
 */

/** @param {Uint8Array} bytes */
export const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/**
 * Bytes that must be there.
 * @param {Pick<SourceFile, 'name' | 'read'>} file
 * @param {number} begin
 * @param {number} length
 */
export async function readExactly(file, begin, length) {
  const bytes = await file.read(begin, length);
  if (bytes.length === length) return bytes;
  const what = `${file.name}: is cut short: it ends within its bytes ${begin} to ${begin + length}`;
  throw new MudptError('model', what, 'download or export the file again');
}

/**
 * How long the header of an entry of a zip archive is; 0: there is none.
 * @param {Uint8Array} bytes
 * @param {number} least its length without what may follow the name
 */
export function headerLength(bytes, least) {
  const view = viewOf(bytes);
  const isThere = view.getUint32(0, true) === LOCAL && LOCAL_BYTES + view.getUint16(26, true) === least;
  return isThere ? least + view.getUint16(28, true) : 0;
}

/**
 * Refuses what lies in front of a storage where it is not what was expected: the bytes behind it are others then.
 * @param {Tensor} header
 * @param {Uint8Array} bytes
 * @param {string} file
 */
export function checkHeader({ name, bytes: length, expected = {} }, bytes, file) {
  const { least, count } = expected;
  const isRight =
    least === undefined ? Number(viewOf(bytes).getBigUint64(0, true)) === count : headerLength(bytes, least) === length;
  if (isRight) return;
  const what = `${file}: ${name} does not begin where it should, or there are gaps between the entries`;
  throw new MudptError('model', what, 'download the file again, or pack it again (zip -0)');
}

/**
 * Makes sure that a tensor's bytes are where they are said to be, before they are read by themselves.
 * @param {SourceFile} file
 * @param {Tensor} tensor
 */
export async function checkPlace(file, { header }) {
  if (header) checkHeader(header, await readExactly(file, header.begin, header.bytes), file.name);
}

/**
 * All of a tensor, row by row.
 * @param {SourceFile} file
 * @param {Tensor} tensor
 * @returns {Promise<Uint8Array>}
 */
export async function readTensor(file, tensor) {
  await checkPlace(file, tensor);
  const bytes = withFront(tensor, 0, await readExactly(file, tensor.begin, tensor.bytes));
  return tensor.strides ? inOrder(tensor, bytes) : bytes;
}

/**
 * Bytes of a tensor, of which the first may be others than the file has there.
 * @param {Tensor} tensor
 * @param {number} from where they begin in it
 * @param {Uint8Array} bytes
 */
export function withFront({ front }, from, bytes) {
  if (!front || from >= front.length) return bytes;
  const own = new Uint8Array(bytes);
  own.set(front.subarray(from, from + bytes.length));
  return own;
}

/**
 * The values of a tensor that do not lie row by row, row by row.
 * @param {Tensor} tensor
 * @param {Uint8Array} bytes all from its first to its last value
 */
export function inOrder({ dtype, shape, strides = [] }, bytes) {
  const each = TYPE_BYTES[dtype];
  const out = new Uint8Array(shape.reduce((product, side) => product * side, each));
  const place = shape.map(() => 0);
  for (let to = 0, from = 0; to < out.length; to += each) {
    for (let i = 0; i < each; i++) out[to + i] = bytes[from * each + i];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis];
      if (++place[axis] < shape[axis]) break;
      from -= shape[axis] * strides[axis];
      place[axis] = 0;
    }
  }
  return out;
}
