/**
 * The library in a worker: the far end of wire.js. Calls start in the order they come; where a long one waits, between
 * the steps of a run for instance, the next goes on.
 */
import { MudptError } from '../base/errors.js';
import { WANTED } from '../base/extras.js';
import { LIST, Stranger } from '../base/kinds.js';
import { setPageAddress, threadWatch } from '../base/platform.js';
import { Classifier } from '../classifier/classifier.js';
import { loadClip } from '../clip.js';
import { READ } from '../pictures/images.js';
import { TuneJob } from '../training/tune.js';
import { MEMBERS, NOTE, packError, unpackError } from './wire.js';

/** @type {import('../clip.js').Clip | undefined} */
let clip;
/** @type {Map<number, any>} by number, see wire.js */
const targets = new Map([[0, { load }]]);
let lastClassifier = 0;
/** @type {Map<number, Call>} calls that are not answered yet */
const running = new Map();

/** @param {any} source @param {Record<string, any>} options @param {string} page its address */
async function load(source, options, page) {
  setPageAddress(page);
  clip = await loadClip(source, options);
  targets.set(0, clip);
  return { number: 0, values: { info: clip.info, methods: clip.methods() } };
}

/** @param {number} number */
function targetOf(number) {
  const target = targets.get(number);
  if (target) return target;
  throw new MudptError('state', 'this classifier has been disposed of', 'make or import it again');
}

/** What stands for a result that lives here. @param {any} result */
function packResult(result) {
  if (!(result instanceof Classifier)) return result;
  const number = --lastClassifier;
  targets.set(number, result);
  return {
    type: 'Classifier',
    number,
    values: Object.fromEntries(MEMBERS.Classifier.values.map((name) => [name, result[name]])),
  };
}

/** @param {Record<string, any>} message */
function send(message) {
  const memoryBytes = clip?.memoryBytes ?? 0;
  const { result } = message;
  const numbers = result instanceof Uint8Array ? result : result?.dims && result.data;
  const moved = numbers ? [numbers.buffer] : [];
  globalThis.postMessage({ ...message, memoryBytes }, /** @type {any} */ (moved));
}

/** One call, from its arguments to its answer. */
class Call {
  #number;
  #target;
  #abort = new AbortController();
  /** @type {ImageBitmap[]} that came for it */
  #bitmaps = [];
  /** Pictures that the page was asked for. @type {Map<number, { resolve: Function, reject: Function }>} */
  #wanted = new Map();
  /** Fulfilled when it has been answered. @type {Promise<void>} */
  ended = Promise.resolve();

  /** @param {number} number @param {number} target */
  constructor(number, target) {
    this.#number = number;
    this.#target = target;
    running.set(number, this);
  }

  abort() {
    this.#abort.abort();
    for (const { reject } of this.#wanted.values()) reject(this.#abort.signal.reason);
  }

  /** What the page gives for a picture that was wanted. */
  receive({ picture, bitmap, error }) {
    const { resolve, reject } = this.#wanted.get(picture) ?? {};
    this.#wanted.delete(picture);
    if (bitmap) this.#bitmaps.push(bitmap);
    if (error) reject?.(unpackError(error));
    else resolve?.(bitmap);
  }

  /** @param {number} picture @returns {Promise<ImageBitmap>} */
  #want(picture) {
    return new Promise((resolve, reject) => {
      this.#abort.signal.throwIfAborted();
      this.#wanted.set(picture, { resolve, reject });
      send({ call: this.#number, want: picture });
    });
  }

  /** A picture that is in the page until somebody reads it. @param {{ picture: number, keep: boolean }} note */
  #asked({ picture, keep }) {
    /** @type {Promise<ImageBitmap> | undefined} */
    let kept;
    const read = async () => ({ bitmap: await (keep ? (kept ??= this.#want(picture)) : this.#want(picture)), keep });
    return { [READ]: read };
  }

  /** @param {any} value with notes in it */
  #unpack(value) {
    if (value === null || typeof value !== 'object') return value;
    switch (value[NOTE]) {
      case 'signal':
        return this.#abort.signal;
      case 'function':
        return (...args) => send({ call: this.#number, tell: value.name, args });
      case 'object':
        return targetOf(value.number);
      case 'bitmap':
        this.#bitmaps.push(value.bitmap);
        return { [READ]: async () => ({ bitmap: value.bitmap, keep: true }) };
      case 'picture':
        return this.#asked(value);
      case 'list':
        return Object.assign(this.#unpack(value.items), { [LIST]: value.kind });
      case 'stranger':
        return new Stranger(value.summary);
    }
    if (Array.isArray(value)) return value.map((item) => this.#unpack(item));
    if (Object.getPrototypeOf(value) !== Object.prototype) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.#unpack(item)]));
  }

  /** @param {string} method @param {any[]} args */
  run(method, args) {
    return (this.ended = this.#run(method, args));
  }

  /** @param {string} method @param {any[]} args */
  async #run(method, args) {
    try {
      const target = targetOf(this.#target);
      const unpacked = args.map((value) => this.#unpack(value));
      if (method === 'dispose') this.#dispose(target);
      const started = method === 'dispose' ? undefined : target[method](...unpacked);
      const result = await (started instanceof TuneJob ? this.#follow(started) : started);
      if (this.#abort.signal.aborted) await result?.dispose?.();
      else send({ call: this.#number, result: packResult(result) });
    } catch (error) {
      if (error === WANTED) send({ more: true });
      else if (error instanceof WebAssembly.RuntimeError) send({ crash: error.message });
      else send({ call: this.#number, error: packError(error) });
    } finally {
      running.delete(this.#number);
      for (const bitmap of this.#bitmaps) bitmap.close();
    }
  }

  /** Later calls find it gone; earlier ones, which may wait for pictures, still have it. @param {Classifier} target */
  #dispose(target) {
    targets.delete(this.#target);
    const others = [...running.values()].filter((call) => call !== this && call.#target === this.#target);
    const ended = Promise.all(others.map((call) => call.ended));
    ended.then(() => target.dispose()).catch(() => {}); // gone with its model
  }

  /** @param {TuneJob} job */
  async #follow(job) {
    targets.set(this.#number, job);
    const tell = (name, ...args) => send({ call: this.#number, tell: name, args });
    try {
      for await (const step of job) tell('step', step);
      return await job.finished;
    } catch (error) {
      if (job.classifier) tell('left', packResult(job.classifier));
      throw error;
    }
  }
}

/** Answers the page, which has started this script. */
export function host() {
  threadWatch.making = (making) => globalThis.postMessage({ making });

  globalThis.addEventListener('message', ({ data }) => {
    const { call, abort, forget, picture, target, method, args } = data;
    if (abort !== undefined) running.get(abort)?.abort();
    else if (forget !== undefined) targets.delete(forget);
    else if (picture !== undefined) running.get(call)?.receive(data);
    else new Call(call, target).run(method, args);
  });
}
