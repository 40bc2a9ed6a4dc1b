/**
 * A page's end of the wire to its worker: calls with an answer each, sent in the order they were made. It knows nothing
 * of models; remote.js is what uses it.
 *
 * What cannot be sent is replaced: an AbortSignal and functions by notes (wire.js), elements by numbers of pictures
 * that the worker asks for when it comes to them. Bytes and bitmaps are copied, or moved where the caller gives them up
 * with { transfer: true }.
 */
import { MudptError, reasonOf } from '../base/errors.js';
import { bytesOfPixels, isA, isBlob, isBuffer, isPlain, kindOf, summaryOf } from '../base/kinds.js';
import { droppedFiles } from '../files/files.js';
import { foreign } from '../pictures/bitmaps.js';
import { addressOf, bitmapOf, isDrawable, isSteady } from '../pictures/elements.js';
import { absoluteAddress } from '../pictures/no-address.js';
import { NOTE, packError, unpackError } from './wire.js';

/**
 * Milliseconds after which a worker that is making a thread is taken to stand still. Firefox (153), once in some
 * hundred times, does not come back from new Worker() in a worker.
 */
const STILL_MS = 5000;

/** Property of objects that live in the worker: their number there. */
export const NUMBER = Symbol('number');

/**
 * @typedef {object} Picture what is drawn when the worker wants it
 * @property {any} image
 * @property {string} address of the picture that it showed when it was given
 * @property {{ keep: boolean }} note
 * @property {Promise<ImageBitmap>} [taken] drawn at once: of what may change
 *
 * @typedef {object} Call
 * @property {(result: any) => void} resolve
 * @property {(reason: any) => void} reject
 * @property {Record<string, (...args: any[]) => void>} told functions by the name that the worker calls them
 * @property {Picture[]} pictures
 * @property {AbortSignal} ended when it has been answered
 *
 * @typedef {object} Parcel what packing some arguments found
 * @property {AbortSignal} [signal]
 * @property {Record<string, (...args: any[]) => void>} told
 * @property {Transferable[]} moved
 * @property {Picture[]} pictures
 * @property {Promise<unknown>[]} waiting for files of a drop
 * @property {boolean} giveUp whether bytes and bitmaps are moved instead of copied
 */

/** @param {Uint8Array | ArrayBuffer} bytes any typed array @param {Parcel} parcel */
function packBytes(bytes, parcel) {
  const bufferOf = (given) => (ArrayBuffer.isView(given) ? given.buffer : given);
  const movable = parcel.giveUp && isBuffer(bufferOf(bytes)); // shared memory is not
  const own = movable ? bytes : bytes.slice(0); // of a view only what it shows
  parcel.moved.push(/** @type {ArrayBuffer} */ (bufferOf(own)));
  return own;
}

/** @param {any} image @param {Parcel} parcel */
function packDrawable(image, parcel) {
  if (parcel.giveUp && isA(image, 'ImageBitmap') && image.width) {
    parcel.moved.push(image);
    return { [NOTE]: 'bitmap', bitmap: image };
  }
  const note = { [NOTE]: 'picture', picture: parcel.pictures.length, keep: false };
  parcel.pictures.push({ image, address: addressOf(image), note });
  return note;
}

/** @param {DataTransfer} drop @param {Parcel} parcel */
function packDrop(drop, parcel) {
  const files = /** @type {File[]} */ ([]);
  parcel.waiting.push(droppedFiles(drop).then((found) => files.push(...found)));
  return files;
}

/** What can be sent of what is no plain object, or what is known of it. @param {any} value */
function packStranger(value) {
  try {
    structuredClone(value);
    return value;
  } catch {
    return { [NOTE]: 'stranger', summary: summaryOf(value) };
  }
}

/** What can be sent in place of a value. @param {any} value @param {Parcel} parcel */
function pack(value, parcel) {
  if (typeof value === 'function') {
    const name = `function ${Object.keys(parcel.told).length}`;
    parcel.told[name] = value;
    return { [NOTE]: 'function', name };
  }
  if (typeof value === 'symbol') return packStranger(value);
  if (value === null || typeof value !== 'object') return value;
  if (isA(value, 'AbortSignal')) {
    parcel.signal = value;
    return { [NOTE]: 'signal' };
  }
  if (NUMBER in value) return { [NOTE]: 'object', number: value[NUMBER] };
  if (isA(value, 'URL')) return value.href;
  if (isDrawable(value)) return packDrawable(value, parcel);
  if (isBuffer(value) || (ArrayBuffer.isView(value) && 'slice' in value)) {
    return packBytes(/** @type {any} */ (value), parcel);
  }
  if (isA(value, 'ImageData')) {
    return { data: pack(bytesOfPixels(value), parcel), width: value.width, height: value.height };
  }
  if (isBlob(value)) return value;
  if (isA(value, 'DataTransfer')) return packDrop(value, parcel);
  if (Symbol.iterator in value) {
    const items = Array.from(/** @type {any} */ (value), (item) => pack(item, parcel));
    return Array.isArray(value) ? items : { [NOTE]: 'list', kind: kindOf(value), items };
  }
  if (!isPlain(value)) return packStranger(value);
  const isAddress = (key, item) => key === 'image' && typeof item === 'string';
  const packed = ([key, item]) => [key, isAddress(key, item) ? absoluteAddress(item) : pack(item, parcel)];
  return Object.fromEntries(Object.entries(value).map(packed));
}

/** @param {any[]} args @returns {{ packed: any[], parcel: Parcel }} */
function packArguments(args) {
  const options = args.at(-1);
  const asked = typeof options === 'object' && options !== null && isPlain(options) && 'transfer' in options;
  /** @type {Parcel} */
  const parcel = { told: {}, moved: [], pictures: [], waiting: [], giveUp: asked && options.transfer === true };
  const { transfer: _, ...others } = asked ? options : {};
  const kept = asked ? [...args.slice(0, -1), others] : args;
  try {
    return { packed: kept.map((value) => pack(value, parcel)), parcel };
  } catch (cause) {
    const { name } = /** @type {Error} */ (cause);
    if (name !== 'RangeError' && name !== 'InternalError') throw cause; // the stack's end, in every engine's words
    throw new MudptError('argument', 'an argument contains itself', 'give what is needed of it', { cause });
  }
}

export class Connection {
  #start;
  /** Whether its worker is the one that has everything. */
  #whole;
  /** @type {Worker} */
  #worker;
  /** The call that began with the worker, and is made again in another. @type {any} */
  #first = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #still;
  /** @type {Map<number, Call>} by their numbers, from 1 */
  #calls = new Map();
  #last = 0;
  /** What the page has no more the worker need not keep: a run's steps, a classifier's memory. */
  #gone = new FinalizationRegistry((number) => {
    if (number > 0) this.#worker.postMessage({ forget: number });
    else this.call(number, 'dispose', []).answer.catch(() => {}); // disposed of already, or with its model
  });
  /** @type {MudptError | null} why there is no worker any more */
  #ended = null;
  /** As the worker last told. */
  memoryBytes = 0;
  #heard = false;
  /** Whether it has ended as its script could not be loaded. */
  notStarted = false;

  /** Milliseconds that a picture may take to load. @type {number | undefined} */
  #timeout;

  /**
   * @param {(whole: boolean) => Worker} start makes a worker, which this object owns
   * @param {boolean} whole whether one with everything is needed
   * @param {number} [timeout]
   */
  constructor(start, whole, timeout) {
    this.#start = start;
    this.#whole = whole;
    this.#timeout = timeout;
    this.#worker = this.#listen(start(whole));
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
    this.#still = setTimeout(() => this.#again(), STILL_MS);
  }

  /** Another worker makes the first call. */
  #again() {
    clearTimeout(this.#still);
    this.#worker.terminate();
    this.#heard = false;
    try {
      this.#worker = this.#listen(this.#start(this.#whole));
      this.#worker.postMessage(this.#first);
    } catch (error) {
      this.end(/** @type {any} */ (error));
    }
  }

  /** @param {string} [reason] none where the script was not found */
  #crashed(reason) {
    this.notStarted = !reason && !this.#heard;
    const [what, hint] = reason
      ? [`the worker crashed: ${reason.split('\n', 1)[0]}`, 'load the model again']
      : ['the worker could not be started', 'serve worker.js beside the library, or say with assetsUrl where it is'];
    this.end(new MudptError('environment', what, hint));
  }

  get ended() {
    return this.#ended !== null;
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
      const { signal, pictures } = parcel;
      signal?.throwIfAborted();
      const ending = new AbortController();
      const settle = (end) => (value) => {
        this.#calls.delete(number);
        ending.abort();
        for (const { taken } of pictures)
          taken?.then(
            (bitmap) => bitmap.close(),
            () => {},
          );
        end(value);
      };
      const call = {
        ...{ resolve: settle(resolve), reject: settle(reject), told: { ...parcel.told, ...told } },
        ...{ pictures, ended: ending.signal },
      };
      this.#calls.set(number, call);
      const aborted = () => {
        this.#worker.postMessage({ abort: number });
        call.reject(signal?.reason);
      };
      signal?.addEventListener('abort', aborted, { signal: ending.signal });
      for (const picture of pictures) {
        if (isSteady(picture.image) && pictures.length > 1) continue;
        picture.taken = this.#draw(picture, ending.signal);
        picture.taken.catch(() => {}); // told when it is wanted
        picture.note.keep = true;
      }
      const message = { call: number, target, method, args: packed };
      const post = () => this.#calls.get(number) === call && this.#post(message, parcel.moved, call);
      // Only a drop is waited for, and only by its own call.
      if (parcel.waiting.length) Promise.all(parcel.waiting).then(post, call.reject);
      else post();
    });
    return { number, answer };
  }

  /** @param {Picture} picture @param {AbortSignal} signal */
  #draw({ image, address }, signal) {
    return bitmapOf(image, { signal, timeout: this.#timeout }, address);
  }

  /** Gives the worker a picture that it wants. @param {number} number of its call @param {number} index */
  async #give(number, index) {
    const call = this.#calls.get(number);
    if (!call) return;
    const picture = call.pictures[index];
    const answer = { call: number, picture: index };
    try {
      const bitmap = await (picture.taken ?? this.#draw(picture, call.ended));
      picture.taken = undefined; // it is the worker's now
      if (call.ended.aborted) return bitmap.close();
      try {
        this.#worker.postMessage({ ...answer, bitmap }, [bitmap]);
      } catch (cause) {
        throw foreign(cause);
      }
    } catch (error) {
      if (!call.ended.aborted) this.#worker.postMessage({ ...answer, error: packError(error) });
    }
  }

  /** @param {any} message @param {Transferable[]} moved @param {Call} call */
  #post(message, moved, call) {
    this.#first ??= message;
    try {
      this.#worker.postMessage(message, [...new Set(moved)]);
    } catch (cause) {
      const isPicture = moved.some((item) => isA(item, 'ImageBitmap'));
      const what = `an argument cannot be sent to the worker: ${reasonOf(cause)}`;
      call.reject(isPicture ? foreign(cause).named('the picture') : new MudptError('argument', what, '', { cause }));
    }
  }

  #receive({ call: number, tell, args, want, result, error, crash, memoryBytes, making, more }) {
    if (this.#ended) return;
    this.#heard = true;
    if (making !== undefined) return this.#watch(making);
    if (crash !== undefined) return this.#crashed(crash);
    if (more) {
      this.#whole = true;
      return this.#again();
    }
    this.memoryBytes = memoryBytes;
    if (want !== undefined) return void this.#give(number, want);
    const call = this.#calls.get(number);
    if (!call) {
      // Aborted when the answer was on its way: nobody has this classifier.
      if (result?.type === 'Classifier') this.call(result.number, 'dispose', []).answer.catch(() => {});
      return;
    }
    if (error?.summary) {
      import('../pictures/no-picture.js').then(
        ({ noPicture }) => call.reject(noPicture(error.subject, error.summary)),
        call.reject,
      );
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
