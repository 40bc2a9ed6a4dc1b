/**
 * The safetensors format: 8 bytes with the length of the header, the header (JSON), then the tensors' bytes without
 * gaps. A header is believed only after every length, type, shape and offset in it has been checked. No file is ever
 * held whole.
 */
import { MudptError, reasonOf } from '../base/errors.js';
import { LARGEST_HEADER, MOST_DIMENSIONS, MOST_TENSORS } from '../base/limits.js';
import { checkHeader, withFront } from './places.js';
import { TYPE_BYTES } from './types.js';

/** Bytes between two tensors that are rather read along than skipped. */
const GAP = 256 * 1024;
/** Runs up to this length are read whole, some of them at once: a download has to wait for every one. */
const SMALL = 256 * 1024;
const AT_ONCE = 6;

/**
 * @typedef {object} Tensor
 * @property {string} name
 * @property {string} dtype one of the format's types: F32, F16, BF16, I8, ...
 * @property {number[]} shape
 * @property {number} begin where its bytes begin in the file
 * @property {number} bytes how many there are
 * @property {number[]} [strides] of what PyTorch has saved and does not lie row by row: values between two along each
 *   dimension; its bytes are all from its first to its last
 * @property {Uint8Array} [front] what stands in the place of its first bytes (long-clip.js)
 * @property {Tensor} [header] what lies in front of the storage that it is in, and must be checked when it is read
 * @property {{ least?: number, count?: number }} [expected] of such a header: as places.js checks it
 *
 * @typedef {object} Header
 * @property {Tensor[]} tensors in the order of their bytes
 * @property {Record<string, string>} metadata
 * @property {number} begin where the first tensor begins in the file
 * @property {number} end how long the file is
 */

/** @param {string} name @param {string} what @param {string} [remedy] @returns {MudptError} */
function bad(name, what, remedy = 'download or export the file again') {
  return new MudptError('model', `${name}: ${what}`, remedy);
}

/**
 * The header's length, from the first 8 bytes of a file.
 * @param {Uint8Array} first
 * @param {number | undefined} size of the file, if known
 * @param {string} name of the file, for messages
 */
function headerLength(first, size, name) {
  if (first.length < 8) throw bad(name, `has ${first.length} bytes, which is no safetensors file`);
  const length = Number(new DataView(first.buffer, first.byteOffset, 8).getBigUint64(0, true));
  if (length > LARGEST_HEADER || length < 2) {
    const start = new TextDecoder().decode(first);
    if (start.trimStart().startsWith('<'))
      throw bad(name, 'is a web page (HTML) instead of weights', 'check the address');
    if (start === 'version ') {
      throw bad(name, 'is a Git LFS pointer instead of weights', 'fetch the file itself: git lfs pull');
    }
    throw bad(
      name,
      `is no safetensors file (its header would have ${length} bytes, 2 to ${LARGEST_HEADER} are possible)`,
      'give a .safetensors file, or what torch.save has written',
    );
  }
  if (size !== undefined && 8 + length > size) {
    throw bad(name, `is cut short: its header needs ${8 + length} bytes, the file has ${size}`);
  }
  return length;
}

/** @returns {Tensor} */
function checkTensor(name, tensor, entry, begin) {
  const at = `${name}: tensor ${tensor}`;
  const wrong = (what) => new MudptError('model', `${at} ${what}`, 'download or export the file again');
  if (entry === null || typeof entry !== 'object') throw wrong('is not described by an object');
  const { dtype, shape, data_offsets: offsets } = entry;
  const bytes = Object.hasOwn(TYPE_BYTES, dtype) ? TYPE_BYTES[dtype] : undefined;
  if (!bytes)
    throw wrong(`has the unknown type ${JSON.stringify(dtype)}; known are ${Object.keys(TYPE_BYTES).join(', ')}`);
  const whole = (value) => Number.isSafeInteger(value) && value >= 0;
  if (!Array.isArray(shape) || shape.length > MOST_DIMENSIONS || !shape.every(whole))
    throw wrong(`has the impossible shape ${JSON.stringify(shape)}`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(whole) || offsets[0] > offsets[1]) {
    throw wrong(`has the impossible offsets ${JSON.stringify(offsets)}`);
  }
  const expected = shape.reduce((product, side) => product * side, bytes);
  if (offsets[1] - offsets[0] !== expected) {
    throw wrong(`has ${offsets[1] - offsets[0]} bytes, where ${dtype} [${shape}] needs ${expected}`);
  }
  return { name: tensor, dtype, shape, begin: begin + offsets[0], bytes: expected };
}

/**
 * Checks and reads a header.
 * @param {Uint8Array} json the header's bytes, without the 8 before them
 * @param {number | undefined} size of the whole file, if known
 * @param {string} name of the file, for messages
 * @returns {Header}
 */
export function parseHeader(json, size, name) {
  let document;
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json));
  } catch (cause) {
    throw bad(name, `its header is no valid JSON (${reasonOf(cause)})`);
  }
  if (document === null || typeof document !== 'object' || Array.isArray(document))
    throw bad(name, 'its header is no object');
  const { __metadata__: metadata = {}, ...entries } = document;
  const isText =
    metadata !== null &&
    typeof metadata === 'object' &&
    !Array.isArray(metadata) &&
    Object.values(metadata).every((value) => typeof value === 'string');
  if (!isText) throw bad(name, 'the metadata of its header are not all text');
  const begin = 8 + json.length;
  const described = Object.entries(entries);
  if (described.length > MOST_TENSORS)
    throw bad(name, `has ${described.length} tensors, at most ${MOST_TENSORS} are read`);
  const tensors = described.map(([tensor, entry]) => checkTensor(name, tensor, entry, begin));
  tensors.sort((a, b) => a.begin - b.begin || a.bytes - b.bytes);
  let end = begin;
  for (const tensor of tensors) {
    if (tensor.begin < end) throw bad(name, `tensor ${tensor.name} overlaps another one`);
    if (tensor.begin > end)
      throw bad(name, `there is a gap of ${tensor.begin - end} bytes before tensor ${tensor.name}`);
    end += tensor.bytes;
  }
  if (size !== undefined && end > size)
    throw bad(name, `is cut short: its tensors need ${end} bytes, the file has ${size}`);
  if (size !== undefined && end < size) throw bad(name, `has ${size - end} bytes that belong to no tensor`);
  return { tensors, metadata, begin, end };
}

/** The header of a whole file in memory. @param {Uint8Array} bytes @param {string} name @returns {Header} */
export function headerOf(bytes, name) {
  const length = headerLength(bytes.subarray(0, 8), bytes.length, name);
  return parseHeader(bytes.subarray(8, 8 + length), bytes.length, name);
}

/**
 * Reads and checks the header of a file.
 * @param {import('../files/source.js').SourceFile} file
 * @param {Uint8Array} [first] its first 8 bytes, where they are known
 * @returns {Promise<Header>}
 */
export async function readHeader(file, first) {
  const length = headerLength(first ?? (await file.read(0, 8)), file.size, file.name);
  const json = await file.read(8, length);
  if (json.length < length) throw bad(file.name, `is cut short: its header needs ${8 + length} bytes`);
  return parseHeader(json, file.size, file.name);
}

/**
 * @typedef {object} Run tensors that are read in one go, with what lies between them
 * @property {number} begin where it begins in the file
 * @property {number} end
 * @property {Tensor[]} tensors in the order of their bytes
 */

/**
 * What to read of a file.
 * @param {Header} header
 * @param {boolean} ranges whether the file can be read in parts
 * @param {(tensor: Tensor) => boolean} wants
 * @returns {Run[]}
 */
export function planRuns(header, ranges, wants) {
  const runs = /** @type {Run[]} */ ([]);
  const seen = new Set();
  for (const tensor of header.tensors.filter(wants)) {
    const parts = tensor.header && !seen.has(tensor.header) ? [tensor.header, tensor] : [tensor];
    seen.add(tensor.header);
    for (const part of parts) {
      const end = part.begin + part.bytes;
      const run = runs.at(-1);
      // What shares its bytes with another is read again.
      if (run && part.begin >= run.end && (!ranges || part.begin - run.end <= GAP)) {
        run.tensors.push(part);
        run.end = end;
      } else {
        runs.push({ begin: ranges ? part.begin : header.begin, end, tensors: [part] });
      }
    }
  }
  return runs;
}

/** The bytes of runs, in their order. @param {import('../files/source.js').SourceFile} file @param {Run[]} runs */
async function* piecesOf(file, runs) {
  const early = new Map();
  for (const [i, run] of runs.entries()) {
    for (const next of file.ranges ? runs.slice(i, i + AT_ONCE) : []) {
      const length = next.end - next.begin;
      if (early.has(next) || !length || length > SMALL) continue;
      const reading = file.read(next.begin, length);
      reading.catch(() => {}); // whoever waits for it is told
      early.set(next, reading);
    }
    const reading = early.get(run);
    if (run.end === run.begin) yield { run, piece: new Uint8Array() };
    else if (reading) yield { run, piece: await reading };
    else for await (const piece of file.stream(run.begin, run.end - run.begin)) yield { run, piece };
    early.delete(run);
  }
}

/**
 * Reads tensors in the order of their bytes.
 * @param {import('../files/source.js').SourceFile} file
 * @param {Run[]} runs of planRuns
 * @param {object} to
 * @param {(tensor: Tensor) => void} to.begin
 * @param {(bytes: Uint8Array) => void} to.bytes gets the tensor in pieces; a piece is valid during the call
 * @param {() => void} to.end the tensor is complete
 * @param {(count: number) => void} [to.progress] bytes that have passed, those between tensors too
 */
export async function streamTensors(file, runs, to) {
  /** @type {Run | undefined} */
  let current;
  let queue = /** @type {Tensor[]} */ ([]).values();
  let tensor = /** @type {Tensor | undefined} */ (undefined);
  /** Bytes of what is only checked. @type {number[]} */
  let checked = [];
  let at = 0;
  /** Goes on to the next tensor of the run that has bytes to come, when that before it is complete. */
  const advance = () => {
    while (!tensor || at >= tensor.begin + tensor.bytes) {
      if (tensor?.expected) checkHeader(tensor, Uint8Array.from(checked), file.name);
      else if (tensor) to.end();
      const next = queue.next();
      tensor = next.value;
      if (next.done) return;
      checked = [];
      if (!next.value.expected) to.begin(next.value);
    }
  };
  let begun = 0;
  for await (const { run, piece } of piecesOf(file, runs)) {
    if (run !== current) {
      if (tensor || run !== runs[begun]) break; // the run before has ended early
      begun++;
      current = run;
      at = run.begin;
      queue = run.tensors.values();
      advance();
    }
    for (let rest = piece; rest.length && tensor;) {
      const isBefore = at < tensor.begin;
      const part = rest.subarray(0, (isBefore ? tensor.begin : tensor.begin + tensor.bytes) - at);
      if (tensor.expected && !isBefore) checked.push(...part);
      else if (!isBefore) to.bytes(withFront(tensor, at - tensor.begin, part));
      at += part.length;
      rest = rest.subarray(part.length);
      advance();
    }
    to.progress?.(piece.length);
  }
  const missing = tensor ?? runs[begun]?.tensors[0];
  if (missing) throw bad(file.name, `is cut short: it ends within tensor ${missing.name}`);
}

/** Turns a tensor's doubles, in pieces of any length, into floats. @returns {(piece: Uint8Array) => Uint8Array} */
export function narrower() {
  let rest = new Uint8Array();
  return (piece) => {
    const all = new Uint8Array(rest.length + piece.length);
    all.set(rest);
    all.set(piece, rest.length);
    const count = all.length >> 3;
    rest = all.slice(count * 8);
    return new Uint8Array(Float32Array.from(new Float64Array(all.buffer, 0, count)).buffer);
  };
}

/**
 * The header of a file to be written: write `header`, then the tensors' bytes in the order given.
 * @param {{ name: string, dtype: string, shape: number[] }[]} tensors
 * @param {Record<string, string>} [metadata]
 * @returns {{ header: Uint8Array, size: number }} size: bytes of the whole file
 */
export function writeHeader(tensors, metadata) {
  const document = Object.assign(Object.create(null), metadata && { __metadata__: metadata });
  let end = 0;
  for (const { name, dtype, shape } of tensors) {
    const begin = end;
    end += shape.reduce((product, side) => product * side, TYPE_BYTES[dtype]);
    document[name] = { dtype, shape, data_offsets: [begin, end] };
  }
  const json = new TextEncoder().encode(JSON.stringify(document));
  const length = Math.ceil(json.length / 8) * 8; // so that the tensors are aligned to 8
  const header = new Uint8Array(8 + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, 8);
  return { header, size: header.length + end };
}

/**
 * A whole small file.
 * @param {{ name: string, dtype: string, shape: number[], data: ArrayBufferView }[]} tensors
 * @param {Record<string, string>} [metadata]
 * @returns {Uint8Array}
 */
export function writeSafetensors(tensors, metadata) {
  const { header, size } = writeHeader(tensors, metadata);
  const file = new Uint8Array(size);
  file.set(header);
  let at = header.length;
  for (const { data } of tensors) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return file;
}

/** An F32 tensor of a file in memory. @param {Uint8Array} file @param {Tensor} tensor @returns {Float32Array} */
export function floatsOf(file, tensor) {
  // Not file.slice(): a Node Buffer's shares its memory, and its place in it need not be a multiple of 4.
  return new Float32Array(new Uint8Array(file.subarray(tensor.begin, tensor.begin + tensor.bytes)).buffer);
}

/** The same of an I32 tensor. @param {Uint8Array} file @param {Tensor} tensor @returns {Int32Array} */
export function intsOf(file, tensor) {
  return new Int32Array(floatsOf(file, tensor).buffer);
}
