/**
 * Reads what Python's pickle has written, as far as state dictionaries need it: dictionaries, lists, numbers, texts,
 * and tensors of PyTorch. A pickle is a program; nothing of it is ever run here. What it would call is looked up in the
 * list below by its name, and whatever is not on it is refused by that name.
 */
import { MudptError, reasonOf } from '../base/errors.js';
import { MOST_DIMENSIONS, MOST_PICKLE_STEPS } from '../base/limits.js';

/** The types of safetensors by PyTorch's names of storages and of types. */
const STORAGES = {
  ...{ Double: 'F64', Float: 'F32', Half: 'F16', BFloat16: 'BF16', Long: 'I64', Int: 'I32', Short: 'I16' },
  ...{ Char: 'I8', Byte: 'U8', Bool: 'BOOL' },
};
const TYPES = {
  ...{ float64: 'F64', float32: 'F32', float16: 'F16', bfloat16: 'BF16', int64: 'I64', int32: 'I32', int16: 'I16' },
  ...{ int8: 'I8', uint8: 'U8', bool: 'BOOL', uint16: 'U16', uint32: 'U32', uint64: 'U64' },
  ...{ float8_e4m3fn: 'F8_E4M3', float8_e5m2: 'F8_E5M2' },
};

/** Bytes that tensors are made of, by the key under which they are stored. */
export class Storage {
  /** @param {string} dtype '': as its tensors say @param {string} key @param {number} count of values */
  constructor(dtype, key, count) {
    this.dtype = dtype;
    this.key = key;
    this.count = count;
  }
}

export class StoredTensor {
  /** @param {any[]} args of the functions that make one @param {string} [dtype] */
  constructor([storage, offset, shape, strides], dtype = storage?.dtype) {
    this.storage = /** @type {Storage} */ (storage);
    this.dtype = String(dtype);
    this.offset = Number(offset);
    this.shape = /** @type {number[]} */ (shape);
    this.strides = /** @type {number[]} */ (strides);
    const whole = (value) => Number.isSafeInteger(value) && value >= 0;
    const isList = (list) => Array.isArray(list) && list.length <= MOST_DIMENSIONS && list.every(whole);
    if (!(storage instanceof Storage && dtype && whole(offset) && isList(shape) && isList(strides)))
      throw new Error('a tensor that has no storage, place or shape');
    if (shape.length !== strides.length) throw new Error('a tensor with other dimensions than strides');
  }
}

/** A name that stands for a function or a type. */
class Named {
  /** @param {string} name */
  constructor(name) {
    this.name = name;
  }
}

/** What is read and means nothing here. */
const OPAQUE = Object.freeze({ opaque: true });

/** An object, whose attributes come after it. */
export class Scripted {
  /** @type {any} */
  attributes = null;
}

/** Python 3 fills dictionaries after they are made, Python 2 gives a list of pairs. */
const dictionary = (args) => {
  const items = args[0] ?? new Map();
  if (items instanceof Map) return items;
  throw new Error('a dictionary of Python 2');
};
const itself = (args) => args[0];
const opaque = () => OPAQUE;

const OTHERS = ['dict', 'set', 'frozenset', 'bytes', 'bytearray', 'complex'];

/** All that may be called. @type {Record<string, (args: any[]) => any>} */
const FUNCTIONS = {
  'collections.OrderedDict': dictionary,
  'collections.defaultdict': () => new Map(),
  'collections.Counter': dictionary,
  'torch._utils._rebuild_tensor': (args) => new StoredTensor(args),
  'torch._utils._rebuild_tensor_v2': (args) => new StoredTensor(args),
  'torch._utils._rebuild_tensor_v3': (args) => new StoredTensor(args, typeOf(args[6])),
  'torch._utils._rebuild_parameter': itself,
  'torch._utils._rebuild_parameter_with_state': itself,
  'torch.Size': itself,
  'torch.device': opaque,
  'torch.serialization._get_layout': opaque,
  // Texts as bytes, and others that hold no tensors.
  '_codecs.encode': opaque,
  ...Object.fromEntries(
    OTHERS.flatMap((name) => [`builtins.${name}`, `__builtin__.${name}`]).map((name) => [name, opaque]),
  ),
  // Of TorchScript
  'torch.jit._pickle.build_intlist': itself,
  'torch.jit._pickle.build_tensorlist': itself,
  'torch.jit._pickle.build_doublelist': itself,
  'torch.jit._pickle.build_boollist': itself,
  'torch.jit._pickle.restore_type_tag': itself,
};
/** Makes tensors of a class of their own: by another function, with arguments for it. */
const SUBCLASS = 'torch._tensor._rebuild_from_type_v2';
/** Types that are named and not called. */
const NAMES = [
  SUBCLASS,
  'torch.Tensor',
  'torch.nn.parameter.Parameter',
  'torch.nn.parameter.Buffer',
  'torch.FloatTensor',
];
/**
 * Objects of which the attributes alone are read: modules of a TorchScript archive, and what Dassl, the trainer of CoOp
 * and all that came after it, saves beside the weights, a schedule that holds another one and its optimizer.
 */
const OBJECTS = /^(__torch__|(torch|dassl)\.optim)\./;

const typeOf = (named) => (named instanceof Named ? TYPES[named.name.slice('torch.'.length)] : undefined);
const storageOf = (name) => /^torch\.(\w+)Storage$/.exec(name)?.[1];

/** @param {string} name */
const isKnown = (name) =>
  Object.hasOwn(FUNCTIONS, name) ||
  NAMES.includes(name) ||
  ['torch.storage.UntypedStorage', 'torch.UntypedStorage'].includes(name) ||
  Object.hasOwn(STORAGES, storageOf(name) ?? '') ||
  (name.startsWith('torch.') && Object.hasOwn(TYPES, name.slice('torch.'.length)));

/** @param {any} named @param {any} args @param {RegExp} records */
function call(named, args, records) {
  if (!(named instanceof Named) || !Array.isArray(args)) throw new Error('a call of what is no function');
  if (records.test(named.name)) return new Scripted();
  if (named.name === SUBCLASS && args[0]?.name !== SUBCLASS) return call(args[0], args[2], records);
  if (!Object.hasOwn(FUNCTIONS, named.name)) throw new Error(`a call of ${named.name}`);
  return FUNCTIONS[named.name](args);
}

/** A storage from what stands for it. @param {any} id */
function storageFrom(id) {
  const [kind, type, key, , count] = Array.isArray(id) ? id : [];
  const name = type instanceof Named ? type.name : '';
  const dtype = name.endsWith('.UntypedStorage') ? '' : STORAGES[storageOf(name) ?? ''];
  const isWhole = Number.isSafeInteger(count) && count >= 0;
  if (kind !== 'storage' || dtype === undefined || !['string', 'number'].includes(typeof key) || !isWhole)
    throw new Error('a reference to what is no storage');
  if (id[5]) throw new Error('a view of a storage');
  return new Storage(dtype, String(key), count);
}

/** The end of the pickle is not there yet. */
export class Unfinished extends MudptError {}

/**
 * @param {Uint8Array} bytes
 * @param {string} file its name, for messages
 * @param {number} [from] where the pickle begins
 * @param {RegExp} [records] names of classes of which the attributes are read, a Scripted
 * @returns {{ value: any, end: number, storages: Map<string, Storage> }} dictionaries are Maps; end: behind the pickle
 */
export function unpickle(bytes, file, from = 0, records = OBJECTS) {
  const pickle = new Pickle(bytes, from, records);
  try {
    return { value: pickle.run(), end: pickle.at, storages: pickle.storages };
  } catch (cause) {
    if (pickle.isShort) throw new Unfinished('model', `${file}: is cut short: its pickle has no end`);
    if (cause instanceof MudptError) throw cause.named(file);
    const what = `${file}: its pickle is damaged, or none of a state dictionary: it has ${reasonOf(cause)}`;
    throw new MudptError('model', what, 'download or export the file again', { cause });
  }
}

const utf8 = new TextDecoder();

class Pickle {
  #bytes;
  #view;
  /** @type {any[]} */
  #stack = [];
  /** Where in the stack what was marked begins. @type {number[]} */
  #marks = [];
  /** @type {Map<number, any>} */
  #memo = new Map();
  /** @type {Map<string, Storage>} */
  storages = new Map();
  isShort = false;

  #records;

  /** @param {Uint8Array} bytes @param {number} at @param {RegExp} records */
  constructor(bytes, at, records) {
    this.#bytes = bytes;
    this.#records = records;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.at = at;
  }

  /** Where the next `count` bytes begin. @param {number} count */
  #take(count) {
    const { at } = this;
    if (at + count > this.#bytes.length) {
      this.isShort = true;
      throw new Error('no end');
    }
    this.at += count;
    return at;
  }

  #byte() {
    return this.#bytes[this.#take(1)];
  }

  #u32() {
    return this.#view.getUint32(this.#take(4), true);
  }

  #u64() {
    return Number(this.#view.getBigUint64(this.#take(8), true));
  }

  /** @param {number} length */
  #text(length) {
    const at = this.#take(length);
    return utf8.decode(this.#bytes.subarray(at, at + length));
  }

  #line() {
    const end = this.#bytes.indexOf(10, this.at);
    const text = this.#text((end < 0 ? this.#bytes.length + 1 : end) - this.at);
    this.at++;
    return text;
  }

  #pop() {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0)) throw new Error('nothing where something is used');
    return this.#stack.pop();
  }

  /** What was pushed since the last mark. @returns {any[]} */
  #marked() {
    const from = this.#marks.pop();
    if (from === undefined) throw new Error('no mark where one is used');
    return this.#stack.splice(from);
  }

  /** @param {any[]} items keys and values by turns @param {any} [to] */
  #put(items, to = this.#pop()) {
    if (items.length % 2) throw new Error('a key without a value');
    // Whatever else is filled with items is nothing that is read here.
    if (to instanceof Map) for (let i = 0; i < items.length; i += 2) to.set(items[i], items[i + 1]);
    this.#stack.push(to);
  }

  /** @param {any[]} items */
  #append(items) {
    const to = this.#pop();
    if (Array.isArray(to)) for (const item of items) to.push(item);
    this.#stack.push(to);
  }

  /** @param {string} module @param {string} name */
  #named(module, name) {
    const whole = `${module}.${name}`;
    if (isKnown(whole) || this.#records.test(whole)) return this.#stack.push(new Named(whole));
    const shown = whole.length > 200 ? `${whole.slice(0, 200)} …` : whole;
    const what = `its pickle has ${shown}, which is no tensor, dictionary, number or text, and nothing of it is run`;
    throw new MudptError('model', what, 'save the weights alone: torch.save(model.state_dict(), name)');
  }

  /** An integer of some bytes, the last of which has the sign. @param {number} length */
  #long(length) {
    if (length > 255) throw new Error('an integer of thousands of digits');
    const at = this.#take(length);
    let value = 0n;
    for (let i = 0; i < length; i++) value |= BigInt(this.#bytes[at + i]) << BigInt(8 * i);
    return Number(BigInt.asIntN(8 * length, value));
  }

  /** A reference to what lies outside. */
  #storage() {
    const made = storageFrom(this.#pop());
    const known = this.storages.get(made.key);
    if (known && (known.dtype !== made.dtype || known.count !== made.count))
      throw new Error('two storages under one key');
    if (!known) this.storages.set(made.key, made);
    return known ?? made;
  }

  #build() {
    const state = this.#pop();
    const to = this.#pop();
    // That of a dictionary, as _metadata of a state dictionary, is none of its items.
    if (to instanceof Scripted) to.attributes = state;
    this.#stack.push(to);
  }

  run() {
    const stack = this.#stack;
    for (let step = 0; step < MOST_PICKLE_STEPS; step++) {
      const code = String.fromCharCode(this.#byte());
      switch (code) {
        case '\x80': // protocol
          this.#byte();
          break;
        case '\x95': // frame
          this.#u64();
          break;
        case '(':
          this.#marks.push(stack.length);
          break;
        case '.':
          return this.#pop();
        case '0':
          this.#pop();
          break;
        case '1':
          this.#marked();
          break;
        case '2': {
          const top = this.#pop();
          stack.push(top, top);
          break;
        }
        case 'N':
          stack.push(null);
          break;
        case '\x88':
        case '\x89':
          stack.push(code === '\x88');
          break;
        case 'J':
          stack.push(this.#view.getInt32(this.#take(4), true));
          break;
        case 'K':
          stack.push(this.#byte());
          break;
        case 'M':
          stack.push(this.#view.getUint16(this.#take(2), true));
          break;
        case '\x8a':
          stack.push(this.#long(this.#byte()));
          break;
        case '\x8b':
          stack.push(this.#long(this.#u32()));
          break;
        case 'G':
          stack.push(this.#view.getFloat64(this.#take(8)));
          break;
        case 'X':
        case 'T':
          stack.push(this.#text(this.#u32()));
          break;
        case '\x8c':
        case 'U':
          stack.push(this.#text(this.#byte()));
          break;
        case '\x8d':
          stack.push(this.#text(this.#u64()));
          break;
        case 'B':
          this.#take(this.#u32());
          stack.push(OPAQUE);
          break;
        case 'C':
          this.#take(this.#byte());
          stack.push(OPAQUE);
          break;
        case '\x8e':
        case '\x96':
          this.#take(this.#u64());
          stack.push(OPAQUE);
          break;
        case '}':
          stack.push(new Map());
          break;
        case ']':
        case ')':
          stack.push([]);
          break;
        case 't':
        case 'l':
          stack.push(this.#marked());
          break;
        case 'd':
          this.#put(this.#marked(), new Map());
          break;
        case '\x85':
        case '\x86':
        case '\x87': {
          const items = [];
          for (let count = code.charCodeAt(0) - 0x84; count > 0; count--) items.unshift(this.#pop());
          stack.push(items);
          break;
        }
        case 'a':
          this.#append([this.#pop()]);
          break;
        case 'e':
          this.#append(this.#marked());
          break;
        case 's': {
          const value = this.#pop();
          this.#put([this.#pop(), value]);
          break;
        }
        case 'u':
          this.#put(this.#marked());
          break;
        case '\x8f': // an empty set, which is nothing here
          stack.push(OPAQUE);
          break;
        case '\x90':
          this.#marked();
          break;
        case 'c':
          this.#named(this.#line(), this.#line());
          break;
        case '\x93': {
          const name = this.#pop();
          this.#named(String(this.#pop()), String(name));
          break;
        }
        case 'R':
        case '\x81': {
          const args = this.#pop();
          stack.push(call(this.#pop(), args, this.#records));
          break;
        }
        case 'b':
          this.#build();
          break;
        case 'Q':
          stack.push(this.#storage());
          break;
        case 'q':
          this.#keep(this.#byte());
          break;
        case 'r':
          this.#keep(this.#u32());
          break;
        case '\x94':
          this.#keep(this.#memo.size);
          break;
        case 'h':
          this.#recall(this.#byte());
          break;
        case 'j':
          this.#recall(this.#u32());
          break;
        default:
          throw new Error(`the instruction ${code.charCodeAt(0)} at its byte ${this.at - 1}`);
      }
    }
    throw new Error(`more than ${MOST_PICKLE_STEPS} instructions`);
  }

  /** @param {number} place */
  #keep(place) {
    if (!this.#stack.length) throw new Error('nothing where something is kept');
    this.#memo.set(place, this.#stack.at(-1));
  }

  /** @param {number} place */
  #recall(place) {
    if (!this.#memo.has(place)) throw new Error('a memo of nothing');
    this.#stack.push(this.#memo.get(place));
  }
}
