/**
 * The library in a worker: the far end of wire.js. Calls start in the order they come; where a long one waits, between
 * the steps of a run for instance, the next goes on.
 */
import { Classifier } from './classifier.js';
import { loadClip } from './clip.js';
import { MudptError } from './errors.js';
import { setPageAddress, threadWatch } from './platform.js';
import { TuneJob } from './tune.js';
import { MEMBERS, NOTE, packError } from './wire.js';

/** @type {import('./clip.js').Clip | undefined} */
let clip;
/** @type {Map<number, any>} by number, see wire.js */
const targets = new Map([[0, { load }]]);
let lastClassifier = 0;
/** @type {Map<number, AbortController>} calls that are not answered yet */
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
  const moved = message.result instanceof Uint8Array ? [message.result.buffer] : [];
  globalThis.postMessage({ ...message, memoryBytes }, /** @type {any} */ (moved));
}

/** One call, from its arguments to its answer. */
class Call {
  #number;
  #abort = new AbortController();
  /** @type {ImageBitmap[]} that came with it */
  #bitmaps = [];

  /** @param {number} number */
  constructor(number) {
    this.#number = number;
    running.set(number, this.#abort);
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
        return value.bitmap;
    }
    if (Array.isArray(value)) return value.map((item) => this.#unpack(item));
    if (Object.getPrototypeOf(value) !== Object.prototype) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.#unpack(item)]));
  }

  /** @param {number} number @param {string} method @param {any[]} args */
  async run(number, method, args) {
    try {
      const target = targetOf(number);
      const started = target[method](...args.map((value) => this.#unpack(value)));
      const result = await (started instanceof TuneJob ? this.#follow(started) : started);
      if (method === 'dispose') targets.delete(number);
      if (this.#abort.signal.aborted) await result?.dispose?.();
      else send({ call: this.#number, result: packResult(result) });
    } catch (error) {
      if (error instanceof WebAssembly.RuntimeError) send({ crash: error.message });
      else send({ call: this.#number, error: packError(error) });
    } finally {
      running.delete(this.#number);
      for (const bitmap of this.#bitmaps) bitmap.close();
    }
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

threadWatch.making = (making) => globalThis.postMessage({ making });

globalThis.addEventListener('message', ({ data: { call, abort, forget, target, method, args } }) => {
  if (abort !== undefined) running.get(abort)?.abort();
  else if (forget !== undefined) targets.delete(forget);
  else new Call(call).run(target, method, args);
});
