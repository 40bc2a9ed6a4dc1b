/**
 * The WebAssembly module as a library: its memory, its threads, what it counts. Handles (clips, images, classifiers,
 * trainers) are numbers and must be freed by the function that belongs to them. Typed arrays that methods return are
 * copies.
 */
import { Memory } from './memory.js';

export class Library {
  /** @param {any} module @param {string} variant */
  constructor(module, variant) {
    /** The module's memory, and its WebGPU device (device.js). */
    this.memory = new Memory(module);
    /** 'plain' or 'relaxed' */
    this.variant = variant;
    /** What is done where precision is not high: 'fast', or 'int8' (int8.js). */
    this.integers = 'fast';
    /** As set by setThreads. */
    this.threads = 1;
  }

  /** Ends the threads and lets go of all memory; the object cannot be used any more. */
  dispose() {
    this.memory.dispose();
  }

  get disposed() {
    return this.memory.disposed;
  }

  /** Bytes of memory. It never shrinks, so this is the peak as well; 0 after dispose(). */
  get memoryBytes() {
    return this.disposed ? 0 : this.memory.buffer.byteLength;
  }

  /** Bytes that it can grow to. */
  get mostBytes() {
    return this.memory.mostBytes;
  }

  /** The module, with the exported C functions. */
  get c() {
    return this.memory.module;
  }

  /** A view of memory, valid until the next call. @param {number} address @param {number} count */
  floats(address, count) {
    return this.memory.floats(address, count);
  }

  version() {
    return this.memory.string(this.c._mudpt_version());
  }

  /** @param {number} threads 1 ... as many as createCore was asked for */
  setThreads(threads) {
    this.memory.check(this.c._mudpt_set_threads(threads));
    this.threads = threads;
  }

  /** How many times as fast as f32 the products of integers are here: measured, in some 20 ms. */
  fastGain() {
    return this.memory.floatsFrom(1, (out) => this.c._mudpt_fast_gain(out))[0];
  }

  /** Whether multiply-add rounds once: the relaxed variant's does where the engine fuses, the plain one's nowhere. */
  get fused() {
    return this.c._mudpt_fused() === 1;
  }

  /** Counted so far: FLOP of products and of attention, bytes of weights that were read. */
  work() {
    const bytes = this.memory.bytesFrom(24, (out) => this.c._mudpt_work(out) ?? 0);
    const [products, attention, weightBytes] = new Float64Array(bytes.buffer);
    return { products, attention, weightBytes };
  }

  /** @returns {string[]} */
  methodNames() {
    const names = [];
    for (let at; (at = this.c._mudpt_method_name(names.length));) names.push(this.memory.string(at));
    return names;
  }
}
