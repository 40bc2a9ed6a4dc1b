/**
 * A page's end of the wire to its worker: calls with an answer each, sent in the order they were made. It knows nothing
 * of models; remote.js is what uses it.
 *
 * What cannot be sent is replaced: an AbortSignal and functions by notes (wire.js), elements by their pixels. Bytes and
 * bitmaps are copied, or moved where the caller gives them up with { transfer: true }.
 */
import { MudptError, reasonOf } from './errors.js';
import { droppedFiles } from './files.js';
import { UNREADABLE, bitmapOf, isDrawable } from './images.js';
import { absolute } from './platform.js';
import { NOTE, unpackError } from './wire.js';

/**
 * Milliseconds after which a worker that is making a thread is taken to stand still. Firefox (153), once in some
 * hundred times, does not come back from new Worker() in a worker.
 */
const STILL_MS = 5000;

/** Property of objects that live in the worker: their number there. */
export const NUMBER = Symbol('number');

/**
 * @typedef {object} Call
 * @property {(result: any) => void} resolve
 * @property {(reason: any) => void} reject
 * @property {Record<string, (...args: any[]) => void>} told functions by the name that the worker calls them
 *
 * @typedef {object} Parcel what packing some arguments found
 * @property {AbortSignal} [signal]
 * @property {Record<string, (...args: any[]) => void>} told
 * @property {Transferable[]} moved
 * @property {Promise<unknown>[]} waiting for pixels of elements, and for files
 * @property {boolean} giveUp whether bytes and bitmaps are moved instead of copied
 */

const isPlain = (value) => [Object.prototype, null].includes(Object.getPrototypeOf(value));

/** @param {Uint8Array | ArrayBuffer} bytes any typed array @param {Parcel} parcel */
function packBytes(bytes, parcel) {
  const bufferOf = (given) => (ArrayBuffer.isView(given) ? given.buffer : given);
  const movable = parcel.giveUp && bufferOf(bytes) instanceof ArrayBuffer; // shared memory is not
  const own = movable ? bytes : bytes.slice(0); // of a view only what it shows
  parcel.moved.push(/** @type {ArrayBuffer} */ (bufferOf(own)));
  return own;
}

/** @param {any} image @param {Parcel} parcel */
function packDrawable(image, parcel) {
  const note = { [NOTE]: 'bitmap', bitmap: /** @type {ImageBitmap | null} */ (null) };
  const keep = (bitmap) => {
    note.bitmap = bitmap;
    parcel.moved.push(bitmap);
  };
  if (parcel.giveUp && image instanceof ImageBitmap) keep(image);
  else parcel.waiting.push(bitmapOf(image, 'the picture').then(keep));
  return note;
}

/** @param {DataTransfer} drop @param {Parcel} parcel */
function packDrop(drop, parcel) {
  const files = /** @type {File[]} */ ([]);
  parcel.waiting.push(droppedFiles(drop).then((found) => files.push(...found)));
  return files;
}

/** What can be sent in place of a value. @param {any} value @param {Parcel} parcel */
function pack(value, parcel) {
  if (typeof value === 'function') {
    const name = `function ${Object.keys(parcel.told).length}`;
    parcel.told[name] = value;
    return { [NOTE]: 'function', name };
  }
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof AbortSignal) {
    parcel.signal = value;
    return { [NOTE]: 'signal' };
  }
  if (NUMBER in value) return { [NOTE]: 'object', number: value[NUMBER] };
  if (value instanceof URL) return value.href;
  if (isDrawable(value)) return packDrawable(value, parcel);
  if (value instanceof ArrayBuffer || (ArrayBuffer.isView(value) && 'slice' in value)) {
    return packBytes(/** @type {any} */ (value), parcel);
  }
  if (value instanceof ImageData) return { data: pack(value.data, parcel), width: value.width, height: value.height };
  if (value instanceof Blob) return value;
  if (value instanceof DataTransfer) return packDrop(value, parcel);
  if (Symbol.iterator in value) return Array.from(value, (item) => pack(item, parcel));
  if (!isPlain(value)) return value;
  const isAddress = (key, item) => key === 'image' && typeof item === 'string';
  const packed = ([key, item]) => [key, isAddress(key, item) ? absolute(item) : pack(item, parcel)];
  return Object.fromEntries(Object.entries(value).map(packed));
}

/** @param {any[]} args @returns {{ packed: any[], parcel: Parcel }} */
function packArguments(args) {
  const options = args.at(-1);
  const asked = typeof options === 'object' && options !== null && isPlain(options) && 'transfer' in options;
  /** @type {Parcel} */
  const parcel = { told: {}, moved: [], waiting: [], giveUp: asked && options.transfer === true };
  const { transfer: _, ...others } = asked ? options : {};
  const kept = asked ? [...args.slice(0, -1), others] : args;
  return { packed: kept.map((value) => pack(value, parcel)), parcel };
}

export class Connection {
  #start;
  /** @type {Worker} */
  #worker;
  /** The call that began with the worker, and is made again in another. @type {any} */
  #first = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #still;
  /** @type {Map<number, Call>} by their numbers, from 1 */
  #calls = new Map();
  #last = 0;
  /** Settled when all calls so far have been sent. */
  #sent = /** @type {Promise<unknown>} */ (Promise.resolve());
  /** What the page has no more the worker need not keep. */
  #gone = new FinalizationRegistry((number) => this.#worker.postMessage({ forget: number }));
  /** @type {MudptError | null} why there is no worker any more */
  #ended = null;
  /** As the worker last told. */
  memoryBytes = 0;
  #heard = false;
  /** Whether it has ended as its script could not be loaded. */
  notStarted = false;

  /** @param {() => Worker} start makes a worker, which this object owns */
  constructor(start) {
    this.#start = start;
    this.#worker = this.#listen(start());
  }

  /** What a worker tells that has been replaced is not heard. @param {Worker} worker */
  #listen(worker) {
    const on = (type, act) => worker.addEventListener(type, (event) => worker === this.#worker && act(event));
    on('message', ({ data }) => this.#receive(data));
    on('error', (event) => {
      event.preventDefault();
      this.#crashed(event.message);
    });
    on('messageerror', () => this.#crashed('its answer cannot be read'));
    return worker;
  }

  /** Threads are made while the first call, which loads the model, waits. @param {boolean} making */
  #watch(making) {
    clearTimeout(this.#still);
    if (!making) return;
    this.#still = setTimeout(() => {
      this.#worker.terminate();
      this.#worker = this.#listen(this.#start());
      this.#worker.postMessage(this.#first);
    }, STILL_MS);
  }

  /** @param {string} [reason] none where the script was not found */
  #crashed(reason) {
    this.notStarted = !reason && !this.#heard;
    const [what, hint] = reason
      ? [`the worker crashed: ${reason.split('\n', 1)[0]}`, 'load the model again']
      : ['the worker could not be started', 'serve worker.js beside the library, or say with assetsUrl where it is'];
    this.end(new MudptError('environment', what, hint));
  }

  /** Ends the worker; every call that waits, and every later one, fails with this error. @param {MudptError} error */
  end(error) {
    if (this.#ended) return;
    this.#ended = error;
    this.memoryBytes = 0;
    clearTimeout(this.#still);
    this.#worker.terminate();
    for (const call of [...this.#calls.values()]) call.reject(error);
  }

  /**
   * The worker keeps what has this number for as long as the page has the object.
   * @param {any} object
   * @param {number} number
   */
  tie(object, number) {
    this.#gone.register(object, number);
  }

  /**
   * Calls a method of an object in the worker.
   * @param {number} target
   * @param {string} method
   * @param {any[]} args
   * @param {Record<string, (...args: any[]) => void>} [told] functions that the worker calls by these names
   * @returns {{ number: number, answer: Promise<any> }}
   */
  call(target, method, args, told) {
    const number = ++this.#last;
    const answer = new Promise((resolve, reject) => {
      if (this.#ended) throw this.#ended;
      const { packed, parcel } = packArguments(args);
      const { signal } = parcel;
      signal?.throwIfAborted();
      const aborted = () => {
        this.#worker.postMessage({ abort: number });
        call.reject(signal?.reason);
      };
      const settle = (end) => (value) => {
        this.#calls.delete(number);
        signal?.removeEventListener('abort', aborted);
        end(value);
      };
      const call = { resolve: settle(resolve), reject: settle(reject), told: { ...parcel.told, ...told } };
      this.#calls.set(number, call);
      signal?.addEventListener('abort', aborted);
      const ready = Promise.all(parcel.waiting);
      ready.catch(() => {}); // told below, in its turn
      this.#sent = this.#sent
        .then(() => ready)
        .then(() => this.#calls.has(number) && this.#post({ call: number, target, method, args: packed }, parcel))
        .catch(call.reject);
    });
    return { number, answer };
  }

  /** @param {any} message @param {Parcel} parcel */
  #post(message, { moved }) {
    this.#first ??= message;
    try {
      this.#worker.postMessage(message, [...new Set(moved)]);
    } catch (cause) {
      const foreign = moved.some((item) => !(item instanceof ArrayBuffer));
      throw foreign
        ? new MudptError('image', `the picture cannot be read: ${reasonOf(cause)}`, UNREADABLE, { cause })
        : new MudptError('argument', `an argument cannot be sent to the worker: ${reasonOf(cause)}`, '', { cause });
    }
  }

  #receive({ call: number, tell, args, result, error, crash, memoryBytes, making }) {
    if (this.#ended) return;
    this.#heard = true;
    if (making !== undefined) return this.#watch(making);
    if (crash !== undefined) return this.#crashed(crash);
    this.memoryBytes = memoryBytes;
    const call = this.#calls.get(number);
    if (!call) {
      // Aborted when the answer was on its way: nobody has this classifier.
      if (result?.type === 'Classifier') this.call(result.number, 'dispose', []).answer.catch(() => {});
      return;
    }
    if (error) return call.reject(unpackError(error));
    if (tell === undefined) return call.resolve(result);
    try {
      call.told[tell](...args);
    } catch (thrown) {
      this.#worker.postMessage({ abort: number });
      call.reject(thrown);
    }
  }
}
