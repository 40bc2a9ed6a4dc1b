/**
 * The library's side of WebGPU: starts the thread that owns the device (webgpu/thread.js), and answers what the C
 * library asks of a device by asking that thread and waiting for it: asleep, or where memory cannot be shared with the
 * stack put aside (JSPI), when every answer is a promise. Whatever goes wrong there, the answer is that
 * WebAssembly shall compute, with everything as it was: a run goes on where it is, after one line in the console.
 */
import { nodePart } from '../base/node-part.js';
import { canSleep, foreignFolder, hasStackSwitching, hasThreads, isNode } from '../base/platform.js';
import { makeWorker, workerFrom } from '../base/workers.js';
import { ANSWER, CALL, MODE, TOWER, TOWER_WORDS } from '../webgpu/layout.js';
import { LAYOUT, STATE } from '../webgpu/mailbox.js';

export const DEVICES = ['auto', 'wasm', 'webgpu'];
/** Rows of pictures that go through the image tower together: six of a ViT-B/16. */
const ROWS = 1024;
/** Milliseconds for an answer. */
const PATIENCE = 120_000;
const silent = (patience) => `the WebGPU device did not answer within ${patience / 1000} s`;

/** Goes on with a value, now or when it is there. */
const then = (value, next) => (value instanceof Promise ? value.then(next) : next(value));

/** @param {string | URL} [assetsUrl] */
async function startThread(assetsUrl) {
  if (isNode) return (await nodePart('platform.js')).startDeviceThread();
  const folder = foreignFolder(import.meta.url, assetsUrl);
  return makeWorker(() =>
    folder
      ? workerFrom(new URL('webgpu/thread.js', folder))
      : new Worker(new URL('../webgpu/thread.js', import.meta.url), { type: 'module' }),
  ).worker;
}

/** Where a WebGPU device waits for calls. */
export class Device {
  #thread;
  #memory;
  /** Where the answer is waited for asleep. @type {Int32Array | null} */
  #mail;
  #counts = /** @type {ArrayLike<number>} */ (new Float64Array(LAYOUT.counts.length));
  /** Told the answer that is waited for. */
  #answered = (_answer) => {};
  /** Whether answers are promises. */
  suspends;
  /** What entered towers whose backward is still to come, by their addresses. @type {Map<number, any>} */
  #entered = new Map();
  /** While true, a loss is not told in the console. */
  quiet = false;
  /** Why there is no device any more; '' while there is one. */
  lost = '';
  name = '';
  /** Those that products have there: see webgpu/shaders.js. */
  tiles = '';
  /** Of pictures that go through the image tower together. */
  rows = ROWS;
  #patience;

  /** @param {any} thread a Worker @param {WebAssembly.Memory} memory @param {number} patience */
  constructor(thread, memory, patience) {
    this.#thread = thread;
    this.#memory = memory;
    this.#patience = patience;
    this.suspends = !canSleep(memory);
    this.#mail = this.suspends ? null : new Int32Array(new SharedArrayBuffer(LAYOUT.bytes));
  }

  /**
   * @param {WebAssembly.Memory} memory of the module
   * @param {object} [options]
   * @param {string | URL} [options.assetsUrl]
   * @param {any} [options.thread] instead of one of our own
   * @param {string} [options.tiles] instead of those that are the fastest
   * @param {number} [options.patience] milliseconds for an answer
   * @returns {Promise<Device>} rejected with the reason why there is none
   */
  static async open(memory, { assetsUrl, thread, tiles, patience = PATIENCE } = {}) {
    if (!canSleep(memory) && !hasStackSwitching) {
      const what = hasThreads ? 'this thread cannot wait for a device' : 'the page is not cross-origin isolated';
      throw new Error(`${what}, and this browser has no JSPI`);
    }
    thread ??= await startThread(assetsUrl);
    const device = new Device(thread, memory, patience);
    let timer;
    try {
      await new Promise((resolve, reject) => {
        thread.onmessage = ({ data }) => {
          if (data.failed !== undefined) return reject(new Error(data.failed));
          Object.assign(device, data.opened);
          resolve(undefined);
        };
        thread.onerror = (event) => {
          event.preventDefault?.();
          reject(new Error(event.message || 'its thread cannot be started'));
        };
        timer = setTimeout(() => reject(new Error(silent(patience))), patience);
        thread.postMessage({ open: { tiles, ...(device.#mail && { memory, mailbox: device.#mail.buffer }) } });
      });
      if (device.suspends) thread.onmessage = ({ data }) => device.#serve(data);
      thread.onerror = ({ message }) => device.#answered({ result: -1, text: message || 'its thread has ended' });
    } catch (error) {
      thread.terminate();
      throw error;
    } finally {
      clearTimeout(timer);
    }
    return device;
  }

  /** What was done so far: submissions, round trips, bytes each way, FLOP. @returns {Record<string, number>} */
  counts() {
    if (this.#mail) this.#counts = new Float64Array(this.#mail.buffer, LAYOUT.countsAt, LAYOUT.counts.length);
    return Object.fromEntries(LAYOUT.counts.map((name, i) => [name, this.#counts[i]]));
  }

  /** What the thread wants of memory that it does not share, or its answer. */
  #serve({ read, write, result, text, counts }) {
    if (this.lost) return;
    const bytes = (address, length) => new Uint8Array(this.#memory.buffer, address, length);
    if (read) {
      const answer = read.map(([address, length]) => bytes(address, length).slice());
      this.#thread.postMessage(
        { answer },
        answer.map(({ buffer }) => buffer),
      );
    } else if (write) {
      for (const [address, data] of write) bytes(address, data.length).set(data);
      this.#thread.postMessage({ answer: null });
    } else if (result !== undefined) {
      this.#counts = counts;
      this.#answered({ result, text });
    }
  }

  /** For tests: what a driver does when it resets. */
  destroy() {
    this.#thread.postMessage({ destroy: true });
  }

  close() {
    this.lost ||= 'it was closed';
    this.#thread.terminate();
    this.#answered({ result: -1, text: this.lost });
  }

  /** @param {string} why */
  #lose(why) {
    this.lost = why;
    this.#thread.terminate();
    if (!this.quiet) console.warn(`mudpt goes on in WebAssembly: ${why}`);
  }

  /** The thread's answer; below 0 when it has none. */
  #ask(call, a, b) {
    return this.#mail ? this.#sleep(this.#mail, call, a, b) : this.#suspend(call, a, b);
  }

  async #suspend(call, a, b) {
    let timer;
    const { result, text } = await new Promise((resolve) => {
      this.#answered = resolve;
      timer = setTimeout(() => resolve({ result: -1, text: silent(this.#patience) }), this.#patience);
      this.#thread.postMessage({ call, a, b });
    });
    clearTimeout(timer);
    if (result < 0 && !this.lost) this.#lose(text);
    return result;
  }

  /** @param {Int32Array} mail */
  #sleep(mail, call, a, b) {
    const { ANSWERED, ASKED, GIVEN_UP, WRITING } = STATE;
    Atomics.store(mail, LAYOUT.state, ASKED);
    this.#thread.postMessage({ call, a, b });
    Atomics.wait(mail, LAYOUT.state, ASKED, this.#patience);
    if (Atomics.compareExchange(mail, LAYOUT.state, ASKED, GIVEN_UP) === ASKED) {
      this.#lose(silent(this.#patience));
      return -1;
    }
    while (Atomics.load(mail, LAYOUT.state) !== ANSWERED) Atomics.wait(mail, LAYOUT.state, WRITING);
    const result = mail[LAYOUT.result];
    if (result < 0) {
      const text = new Uint8Array(mail.buffer, LAYOUT.text, mail[LAYOUT.length]).slice();
      this.#lose(new TextDecoder().decode(text));
    }
    return result;
  }

  /** The words of a tower. */
  #tower(address) {
    return new Int32Array(this.#memory.buffer, address, TOWER_WORDS);
  }

  /** Where a tower's rows enter. */
  #entrance(tower) {
    const [x] = new Int32Array(this.#memory.buffer, tower[TOWER.SCRATCH] >>> 0, 1);
    return new Float32Array(this.#memory.buffer, x >>> 0, tower[TOWER.ROWS] * tower[TOWER.WIDTH]);
  }

  /** A weight is no more. @param {number} id */
  release(id) {
    if (!this.lost) this.#thread.postMessage({ release: id });
  }

  /** What src/clip/device.c calls, with addresses. @returns {number | Promise<number>} of ANSWER */
  answer(call, a, b, c) {
    [a, b, c] = [a >>> 0, b >>> 0, c >>> 0];
    const off = this.lost !== '';
    if (call === CALL.PRODUCT) return off ? ANSWER.NO : then(this.#ask(call, a, b), (result) => Math.max(result, 0));
    if (call === CALL.FORWARD) return this.#forward(off, a, b);
    const before = this.#entered.get(a);
    this.#entered.delete(a);
    if (!before) return ANSWER.NO;
    return then(off ? ANSWER.LOST : this.#ask(call, a, b), (result) => {
      if (result === ANSWER.DONE) return result;
      this.#entrance(this.#tower(a)).set(before.x);
      new Uint32Array(this.#memory.buffer, c, 1)[0] = before.deep;
      return ANSWER.LOST;
    });
  }

  #forward(off, address, deep) {
    this.#entered.delete(address);
    return then(off ? ANSWER.NO : this.#ask(CALL.FORWARD, address, deep), (result) => {
      if (result !== ANSWER.DONE) return ANSWER.NO;
      const tower = this.#tower(address);
      // The device reads what enters and leaves it as it was.
      if (tower[TOWER.MODE] !== MODE.FORWARD) this.#entered.set(address, { x: this.#entrance(tower).slice(), deep });
      return ANSWER.DONE;
    });
  }
}
