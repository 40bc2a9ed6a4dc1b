/**
 * Weights as torch.save and TorchScript write them: a zip archive with a pickle, which says what tensors there are, and
 * an entry for the bytes of each storage; or, up to PyTorch 1.5, the pickle with the storages behind it. What is given
 * is what the header of a .safetensors file would say; the bytes are read the same way.
 */
import { MudptError } from '../base/errors.js';
import { LARGEST_SCATTERED, LARGEST_TEXT, MOST_TENSORS } from '../base/limits.js';
import { Scripted, StoredTensor, Unfinished, unpickle } from './pickle.js';
import { checkHeader, readExactly } from './places.js';
import { TYPE_BYTES } from './types.js';
import { headerBefore, readDirectory } from './zip.js';

/** Under which a training run keeps the weights beside what else it saves. */
const WRAPPERS = ['state_dict', 'model_state_dict', 'model', 'module'];
/** What wrappers of a model put in front of all names. */
const PREFIX = /^(?:module|model|clip|clip_model|_orig_mod)\./;
/** How deep the modules of a script may lie in each other. */
const DEEPEST = 32;

/**
 * @typedef {import('./zip.js').File} File
 * @typedef {import('./safetensors.js').Header} Header
 * @typedef {import('./safetensors.js').Tensor} Tensor
 */

/** @param {string} name @param {string} what @param {string} [remedy] */
const bad = (name, what, remedy = 'download or export the file again') =>
  new MudptError('model', `${name}: ${what}`, remedy);

/**
 * @param {import('./zip.js').Read} read
 * @param {string} name of the file, for messages
 * @param {number} size
 * @param {'zip' | 'old'} kind
 * @returns {Promise<Header>}
 */
export function readPyTorch(read, name, size, kind) {
  const file = { name, size, read };
  return kind === 'zip' ? readArchive(file) : readOld(file);
}

/** @param {File} file @returns {Promise<Header>} */
async function readArchive(file) {
  const entries = await readDirectory(file);
  const pickle = [...entries.values()].find(({ name }) => /^[^/]+\/data\.pkl$/.test(name));
  if (!pickle) {
    throw bad(
      file.name,
      'is a zip archive, but none of PyTorch: it has no data.pkl',
      'give what torch.save has written',
    );
  }
  const folder = pickle.name.slice(0, -'data.pkl'.length);
  if (entries.get(`${folder}byteorder`)?.size === 'big'.length)
    throw bad(
      file.name,
      'was saved on a machine with another order of bytes',
      'save it again on one with little-endian',
    );
  if (pickle.size > LARGEST_TEXT)
    throw bad(file.name, `its pickle has ${pickle.size} bytes, at most ${LARGEST_TEXT} are read`);
  const before = await headerBefore(file, pickle);
  const whole = await readExactly(file, before.begin, before.bytes + pickle.size);
  checkHeader(before, whole.subarray(0, before.bytes), file.name);
  const { value } = unpickle(whole.subarray(before.bytes), file.name);
  /** @type {Map<string, Tensor>} */
  const headers = new Map();
  const tensors = [];
  for (const [name, stored] of namedTensors(value, file.name)) {
    const { key } = stored.storage;
    const entry = entries.get(`${folder}data/${key}`);
    if (!entry) throw bad(file.name, `has no bytes for tensor ${name}: there is no entry data/${key}`);
    const header = headers.get(key) ?? (await headerBefore(file, entry));
    headers.set(key, header);
    tensors.push(...tensorFrom(name, stored, header.begin + header.bytes, entry.size, header, file.name));
  }
  return headerOf(tensors, file.size);
}

/** @param {Tensor[]} tensors @param {number} end @returns {Header} */
function headerOf(tensors, end) {
  tensors.sort((a, b) => a.begin - b.begin || a.bytes - b.bytes);
  return { tensors, metadata: {}, begin: 0, end };
}

/** @param {File} file @returns {Promise<Header>} */
async function readOld(file) {
  const { size: length } = file;
  /** @type {Uint8Array} */
  let head;
  for (let most = 2 ** 20; ; most *= 4) {
    head = await readExactly(file, 0, Math.min(most, length));
    try {
      return oldHeader(head, length, file.name);
    } catch (error) {
      if (!(error instanceof Unfinished) || head.length === length || most >= LARGEST_TEXT) throw error;
    }
  }
}

/** @param {Uint8Array} head @param {number} length of the file @param {string} file */
function oldHeader(head, length, file) {
  let at = 0;
  const next = () => {
    const read = unpickle(head, file, at);
    at = read.end;
    return read;
  };
  next(); // the magic number
  next(); // the version
  if (next().value?.get?.('little_endian') !== true)
    throw bad(file, 'was saved on a machine with another order of bytes', 'save it again on one with little-endian');
  const { value, storages } = next();
  const keys = next().value;
  if (!Array.isArray(keys)) throw bad(file, 'does not say where its tensors are');
  /** @type {Map<string, Tensor>} */
  const headers = new Map();
  for (const key of keys.map(String)) {
    const storage = storages.get(key);
    const size = storage && TYPE_BYTES[storage.dtype];
    if (!storage || !size) throw bad(file, `has bytes of a storage ${key} that no tensor has`);
    const expected = { count: storage.count };
    headers.set(key, { name: `storage ${key}`, dtype: 'U8', shape: [8], begin: at, bytes: 8, expected });
    at += 8 + storage.count * size;
  }
  if (at > length) throw bad(file, `is cut short: its tensors need ${at} bytes, the file has ${length}`);
  const tensors = [...namedTensors(value, file)].flatMap(([name, stored]) => {
    const { key, count, dtype } = stored.storage;
    const header = headers.get(key);
    if (!header) throw bad(file, `has no bytes for tensor ${name}: there is no storage ${key}`);
    return tensorFrom(name, stored, header.begin + 8, count * TYPE_BYTES[dtype], header, file);
  });
  return headerOf(tensors, length);
}

/**
 * The tensors of a state dictionary, or of the modules of a script.
 * @param {any} root
 * @param {string} file
 * @returns {[string, StoredTensor][]}
 */
function namedTensors(root, file) {
  let state = root;
  for (let inner; (inner = wrapped(state));) state = inner;
  const isScript = state instanceof Scripted;
  const found = /** @type {[string, StoredTensor][]} */ ([]);
  let visited = 0;
  const visit = (at, prefix, deep) => {
    const items = at instanceof Scripted ? at.attributes : at;
    if (!(items instanceof Map) || deep > DEEPEST) return;
    for (const [key, value] of items) {
      if (++visited > MOST_TENSORS) throw bad(file, `has more than ${MOST_TENSORS} tensors and other values`);
      const name = `${prefix}${key}`;
      if (value instanceof StoredTensor) found.push([name, value]);
      else if (isScript && value instanceof Scripted) visit(value, `${name}.`, deep + 1);
    }
  };
  visit(state, '', 0);
  if (!found.length) {
    const keys =
      state instanceof Map ? `a dictionary of ${[...state.keys()].slice(0, 5).map(String).join(', ')}` : 'none';
    const what = `holds no dictionary of tensors, as a state dictionary is: ${keys}`;
    throw bad(file, what, 'save the weights alone: torch.save(model.state_dict(), name)');
  }
  while (found.every(([name]) => PREFIX.test(name)) && new Set(found.map(([name]) => name.split('.')[0])).size === 1)
    for (const one of found) one[0] = one[0].replace(PREFIX, '');
  return found;
}

/** @param {any} state */
function wrapped(state) {
  if (!(state instanceof Map)) return undefined;
  return WRAPPERS.map((key) => state.get(key)).find((inner) => inner instanceof Map || inner instanceof Scripted);
}

/**
 * @param {string} name
 * @param {StoredTensor} stored
 * @param {number} begin where its storage's bytes begin
 * @param {number} size of the storage, in bytes
 * @param {Tensor} header what lies in front of them
 * @param {string} file
 * @returns {Tensor[]}
 */
function tensorFrom(name, { storage, dtype, offset, shape, strides }, begin, size, header, file) {
  const refuse = (what) => bad(file, `tensor ${name} ${what}`, 'save it as it is alone: tensor.clone().contiguous()');
  const each = TYPE_BYTES[dtype];
  if (!each || (storage.dtype && storage.dtype !== dtype)) throw refuse('has a type that is not known');
  const values = shape.reduce((product, side) => product * side, 1);
  const span = values && shape.reduce((sum, side, i) => sum + (side - 1) * strides[i], 1);
  const room = Math.min(size, storage.dtype ? storage.count * each : storage.count);
  if ((offset + span) * each > room) throw refuse('is longer than its storage');
  const tensor = { name, dtype, shape, begin: begin + offset * each, bytes: span * each, header };
  if (isInOrder(shape, strides)) return [tensor];
  if (values > span) throw refuse('has values that stand for several');
  if (span * each > LARGEST_SCATTERED) throw refuse('does not lie row by row, and is too large to be put in order');
  return [{ ...tensor, strides }];
}

/** Whether values lie row by row. @param {number[]} shape @param {number[]} strides */
function isInOrder(shape, strides) {
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1 && strides[i] !== expected) return shape.includes(0);
    expected *= shape[i];
  }
  return true;
}
