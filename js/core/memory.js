/**
 * The WebAssembly module's memory as seen from JavaScript: views that survive growth, strings, structs, and scratch
 * memory that is always given back. It knows nothing of what the library does.
 */
import { MudptError, errorFromC, megabytes } from '../base/errors.js';
import { writeStruct } from './structs.js';

/** Memory for one call: what is taken is freed when the call ends, however it ends. */
class Scratch {
  #memory;
  #taken = [];

  /** @param {Memory} memory */
  constructor(memory) {
    this.#memory = memory;
  }

  /** @param {number} bytes @returns {number} an address */
  take(bytes) {
    const address = this.#memory.alloc(bytes);
    this.#taken.push(address);
    return address;
  }

  /** A copy of a typed array. @param {ArrayBufferView} array @returns {number} its address */
  put(array) {
    const address = this.take(array.byteLength);
    this.#memory.bytes(address, array.byteLength).set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    return address;
  }

  /** @param {string} text */
  putString(text) {
    return this.put(new TextEncoder().encode(`${text}\0`));
  }

  /** @param {import('./structs.js').Layout} layout @param {Record<string, any>} values */
  putStruct(layout, values) {
    const address = this.take(layout.bytes);
    writeStruct(layout, this.#memory.view, address, values);
    return address;
  }

  free() {
    for (const address of this.#taken) this.#memory.free(address);
  }
}

/** Functions that compute towers, in the order of wasm/library.js. */
const TOWERS = ['text_features', 'text_rows', 'image_features', 'feature_logits', 'logits', 'gradients'];
const COMPUTE = [...TOWERS.map((name) => `_mudpt_classifier_${name}`), '_mudpt_trainer_advance'];

export class Memory {
  #module;
  /** @type {import('./device.js').Device | null} */
  device = null;
  /** @type {Record<string, (...args: number[]) => Promise<number>>} */
  #promising = {};
  /** Settled when the last call that waits for the device is done: one at a time, see src/mudpt.h. */
  idle = /** @type {Promise<unknown>} */ (Promise.resolve());

  /** @param {any} module what Emscripten's factory made */
  constructor(module) {
    this.#module = module;
  }

  /** The module, with its exported functions. */
  get module() {
    if (!this.#module) throw new MudptError('state', 'this model has been disposed of', 'load it again');
    return this.#module;
  }

  get disposed() {
    return !this.#module;
  }

  /** Ends the module's threads and lets go of it. */
  dispose() {
    this.device?.close();
    this.#module?.PThread.terminateAllThreads();
    this.#module = null;
  }

  /** From now on; null: none. @param {import('./device.js').Device | null} device */
  useDevice(device) {
    if (this.device !== device) this.device?.close();
    this.device = device;
    this.module.device = device && ((...call) => device.answer(...call));
    this.module.releaseWeight = device && ((weight) => device.release(weight));
    const functions = device?.suspends ? this.module.promising() : [];
    this.#promising = Object.fromEntries(functions.map((compute, i) => [COMPUTE[i], compute]));
    this.module._mudpt_use_device(device ? device.rows : 0);
  }

  /** Runs `action` without the device, which it need not wait for. @template T @param {() => T} action @returns {T} */
  withoutDevice(action) {
    const promising = this.#promising;
    this.#promising = {};
    this.module._mudpt_use_device(0);
    try {
      return action();
    } finally {
      this.#promising = promising;
      this.module._mudpt_use_device(this.device ? this.device.rows : 0);
    }
  }

  /**
   * Calls a function of COMPUTE. Where no thread can wait for the device this is a promise, settled when its turn has
   * come and it is done.
   * @param {string} name
   * @param {number[]} args
   * @returns {number | Promise<number>}
   */
  compute(name, ...args) {
    const promising = this.#promising[name];
    if (!promising) return this.module[name](...args);
    const result = this.idle.then(() => promising(...args));
    this.idle = result.catch(() => {});
    return result;
  }

  /**
   * Checks a function's code and goes on, now or when it is there.
   * @template T
   * @param {number | Promise<number>} code
   * @param {(code: number) => T} next
   * @returns {any} T, or a promise of it
   */
  then(code, next) {
    return code instanceof Promise ? code.then((value) => next(this.check(value))) : next(this.check(code));
  }

  // Memory grows at any allocation, which leaves earlier views short: views are made anew each time.

  /** @returns {ArrayBufferLike} */
  get buffer() {
    return this.module.wasmMemory.buffer;
  }

  get view() {
    return new DataView(this.buffer);
  }

  /** A view, valid until the next call. @param {number} address @param {number} length */
  bytes(address, length) {
    return new Uint8Array(this.buffer, address, length);
  }

  /** A view, valid until the next call. @param {number} address @param {number} count */
  floats(address, count) {
    return new Float32Array(this.buffer, address, count);
  }

  /** @param {number} address of text that ends with a zero byte */
  string(address) {
    const memory = new Uint8Array(this.buffer);
    // slice, as browsers decode no text in shared memory
    return new TextDecoder().decode(memory.slice(address >>> 0, memory.indexOf(0, address >>> 0)));
  }

  /** Bytes that it can grow to, as far as the platform has told. @returns {number} */
  get mostBytes() {
    return this.module.mostBytes;
  }

  /** @param {number} bytes */
  alloc(bytes) {
    const most = this.mostBytes;
    // What does not fit 32 bits would wrap around.
    if (!(bytes <= most)) throw new MudptError('memory', `${bytes} bytes are more than the ${most} that there can be`);
    const address = this.module._mudpt_alloc(Math.max(bytes, 4)) >>> 0;
    if (!address) this.check(-2);
    return address;
  }

  /** @param {number} address */
  free(address) {
    this.#module?._mudpt_free(address);
  }

  /** Throws what a C function's code says. @param {number} code @returns {number} the same when it is no failure */
  check(code) {
    if (code >= 0) return code;
    const use = `out of memory (${megabytes(this.buffer.byteLength)} of at most ${megabytes(this.mostBytes)} in use)`;
    throw errorFromC(code, this.string(this.module._mudpt_last_error()).replace('out of memory', use));
  }

  /**
   * Runs `action` with scratch memory.
   * @template T
   * @param {(scratch: Scratch) => T} action
   * @returns {T}
   */
  scoped(action) {
    const scratch = new Scratch(this);
    let result;
    try {
      result = action(scratch);
    } finally {
      if (!(result instanceof Promise)) scratch.free();
    }
    return result instanceof Promise ? /** @type {any} */ (result.finally(() => scratch.free())) : result;
  }

  /** Calls a function that writes a handle to the address it is given. @param {(out: number) => number} call */
  handle(call) {
    return this.scoped((scratch) => {
      const out = scratch.take(4);
      this.check(call(out));
      return this.view.getUint32(out, true);
    });
  }

  /** Calls a function that writes floats to the address it is given. @param {number} count */
  floatsFrom(count, call) {
    return this.scoped((scratch) => {
      const out = scratch.take(count * 4);
      return this.then(call(out), () => this.floats(out, count).slice());
    });
  }

  /** The same for bytes. @param {number} count */
  bytesFrom(count, call) {
    return this.scoped((scratch) => {
      const out = scratch.take(count);
      this.check(call(out));
      return this.bytes(out, count).slice();
    });
  }
}
