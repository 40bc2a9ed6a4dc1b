/**
 * A GPU device with what lies on it: weights, uploaded once in the type they are stored in, and towers (tower.js) with
 * their activations. It computes what src/clip/device.c asks for; memory of the WebAssembly module is reached through
 * an object that reads and writes ranges of it, so that it may belong to another thread. What it cannot do is thrown.
 */
import { Batch } from './batch.js';
import { NotFinite, finiteFloats } from './finite.js';
import * as shaders from './shaders.js';
import { ANSWER, CALL, F32, I16, I8, JOB_WORDS, WEIGHT_WORDS, jobOf, weightOf } from './layout.js';
import { Tower, readTower } from './tower.js';
import { TUNED, chooseTiles } from './tuning.js';

/** Towers kept at a time: those of a training run, and of what is evaluated meanwhile. */
const TOWERS = 6;
/** Bytes of a weight that are uploaded at a time. */
const PIECE = 4 << 20;
/** Multiply-adds of a product that is worth the way to the device and back. */
const PRODUCT = 1 << 24;
/** FLOP of a submission: a slow device must not be held by one for seconds. */
const SUBMISSION = 2e10;
/** GPUBufferUsage and GPUMapMode, which Node has not. */
const USAGE = { MAP_READ: 1, COPY_SRC: 4, COPY_DST: 8, UNIFORM: 64, STORAGE: 128 };
const MAP_READ = 1;

/** @typedef {{ read(ranges: [address: number, bytes: number][]): Promise<Uint8Array<ArrayBuffer>[]>,
 *   write(ranges: [address: number, data: Uint8Array][]): Promise<void> }} HostMemory */

export class Engine {
  #queue;
  /** @type {Map<string, any>} */
  #pipelines = new Map();
  /** @type {Map<number, { panels: any, scale: any }>} by id */
  #weights = new Map();
  /** @type {Map<number, Record<string, any>>} of a block, by the id of its first weight */
  #vectors = new Map();
  /** @type {Map<number, { tower: Tower, key: Int32Array }>} by address, the least recently used first */
  #towers = new Map();
  /** @type {Map<number, any[]>} by size */
  #free = new Map();
  /** @type {Error | null} */
  #broken = null;
  /** What was done so far. */
  counts = { submissions: 0, roundTrips: 0, bytesUp: 0, bytesDown: 0, flop: 0 };
  name = '';
  /** Those that products have: see shaders.js. */
  tiles = 'medium';

  /** @param {any} device GPUDevice @param {HostMemory} memory */
  constructor(device, memory) {
    this.device = device;
    this.memory = memory;
    this.#queue = device.queue;
    device.lost.then(({ message, reason }) => this.#break(`the device was lost (${message || reason})`));
    device.onuncapturederror = ({ error }) => this.#break(error.message);
  }

  /**
   * Asks for a device with all that the adapter has of what large models need.
   * @param {any} gpu navigator.gpu
   * @param {HostMemory} memory
   * @param {string} [tiles] for products, instead of those that are found the fastest
   */
  static async open(gpu, memory, tiles) {
    const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
    if (!adapter) throw new Error('there is no adapter');
    const { maxStorageBufferBindingSize, maxBufferSize } = adapter.limits;
    const { vendor, architecture, description } = adapter.info ?? {};
    const subgroups = Boolean(adapter.features?.has('subgroups'));
    const device = await adapter.requestDevice({
      requiredFeatures: subgroups ? ['subgroups'] : [],
      requiredLimits: { maxStorageBufferBindingSize, maxBufferSize },
    });
    const engine = new Engine(device, memory);
    try {
      engine.name = [vendor, architecture, description].filter(Boolean).join(' ');
      const names = Object.keys(shaders.TILES).filter((name) => subgroups || name !== 'subgroups');
      if (tiles !== undefined && !names.includes(tiles)) throw new Error(`products have ${names}, not ${tiles}`);
      engine.tiles = tiles ?? (await chooseTiles(engine.name, names, (...sample) => engine.#sample(...sample)));
      for (const name of Object.keys(engine.counts)) engine.counts[name] = 0;
      return engine;
    } catch (error) {
      engine.close();
      throw error;
    }
  }

  /** A product to be timed, so many times. */
  async #sample(rows, times, tiles) {
    const { storage, width, values, weights } = TUNED;
    return this.guard(() => {
      const weight = { out: width, in: width, storage, panels: 0, scale: 0, id: 0 };
      const [a, c, panels] = [rows, rows, width].map((count) => this.take(count * width * 4));
      this.upload(a, new Uint8Array(values(rows * width).buffer));
      this.upload(panels, new Uint8Array(weights().buffer));
      const batch = new Batch(this);
      batch.product(c, a, weight, { panels, scale: null }, { rows, tiles });
      batch.finish();
      const free = () => {
        batch.free();
        for (const buffer of [a, c, panels]) this.give(buffer);
      };
      return { run: () => this.run([], Array(times).fill(batch), [[c, 16]]), free };
    });
  }

  #break(why) {
    this.#broken ??= new Error(why.split('\n', 1)[0]);
  }

  #check() {
    if (this.#broken) throw this.#broken;
  }

  close() {
    this.device.destroy();
  }

  // ---------------------------------------------------------------------------------------------- what is asked for

  /** @param {number} call of CALL @param {number} a @param {number} b @returns {Promise<number>} of ANSWER */
  async call(call, a, b) {
    this.#check();
    try {
      if (call === CALL.PRODUCT) return await this.#product(a);
      if (call === CALL.FORWARD) return await this.#forward(a, b);
      return await this.#backward(a, b);
    } catch (error) {
      if (!(error instanceof NotFinite)) throw this.#broken ?? error;
      return call === CALL.BACKWARD ? ANSWER.LOST : ANSWER.NO;
    }
  }

  async #forward(address, deep) {
    const { describe, scratch, key } = await readTower(this.memory, address);
    let found = this.#towers.get(address);
    this.#towers.delete(address);
    if (!found || found.key.length !== key.length || !found.key.every((word, i) => word === key[i])) {
      found?.tower.free();
      const { tower: description, blocks, lists } = describe();
      const weights = [];
      for (const block of blocks) weights.push(await this.#block(block));
      while (this.#towers.size >= TOWERS) {
        const [oldest, { tower }] = [...this.#towers][0];
        this.#towers.delete(oldest);
        tower.free();
      }
      const tower = await this.guard(() => new Tower(this, description, blocks, weights, lists));
      this.#drop();
      found = { tower, key };
    }
    this.#towers.set(address, found);
    return found.tower.forward(scratch, deep);
  }

  async #backward(address, ddeep) {
    const found = this.#towers.get(address);
    return found ? found.tower.backward(ddeep) : ANSWER.LOST;
  }

  /** A single product, whose activations go both ways. */
  async #product(address) {
    const [bytes] = await this.memory.read([[address, JOB_WORDS * 4]]);
    const job = jobOf(new Int32Array(bytes.buffer));
    const [weightBytes] = await this.memory.read([[job.weight, WEIGHT_WORDS * 4]]);
    const weight = weightOf(new Int32Array(weightBytes.buffer));
    const { rows, count, transposed, lda, ldc } = job;
    const [depth, columns] = transposed ? [count, weight.in] : [weight.in, count];
    const even = [depth, columns, lda, ldc].every((size) => size % 8 === 0) && !job.accumulate && ldc === columns;
    if (!weight.id || !even || rows * depth * columns < PRODUCT) return ANSWER.NO;
    const ranges = /** @type {[number, number][]} */ ([[job.a, ((rows - 1) * lda + depth) * 4]]);
    if (job.bias) ranges.push([job.bias, weight.out * 4]);
    const [aBytes, biasBytes] = await this.memory.read(ranges);
    finiteFloats(aBytes, 'a product');
    const run = await this.guard(async () => {
      const [a, c] = [this.take(rows * lda * 4), this.take(rows * ldc * 4)];
      const bias = this.take(weight.out * 4);
      const batch = new Batch(this);
      const loaded = await this.#weight(weight);
      batch.product(c, a, weight, loaded, { ...job, bias: biasBytes ? bias : null });
      batch.finish();
      return { batch, a, c, bias };
    });
    const uploads = /** @type {[any, Uint8Array<ArrayBuffer>][]} */ ([[run.a, aBytes]]);
    if (biasBytes) uploads.push([run.bias, biasBytes]);
    const [out] = await this.run(uploads, [run.batch], [[run.c, rows * ldc * 4]]);
    run.batch.free();
    for (const buffer of [run.a, run.c, run.bias]) this.give(buffer);
    finiteFloats(out, 'a product');
    await this.memory.write([[job.c, out]]);
    return ANSWER.DONE;
  }

  // ---------------------------------------------------------------------------------------------- what lies there

  /** A block's weights and vectors, uploaded when it first comes. */
  async #block({ inProj, outProj, fc, proj, vectors }) {
    const weights = [];
    for (const weight of [inProj, outProj, fc, proj]) {
      if (!weight.id) throw new Error('a weight was made before there was a device');
      weights.push(await this.#weight(weight));
    }
    let uploaded = this.#vectors.get(inProj.id);
    if (!uploaded) {
      const values = await this.memory.read(vectors.map(({ address, length }) => [address, length * 4]));
      uploaded = await this.guard(() =>
        Object.fromEntries(vectors.map(({ name }, i) => [name, this.#constant(values[i])])),
      );
      this.#vectors.set(inProj.id, uploaded);
    }
    return { inProj: weights[0], outProj: weights[1], fc: weights[2], proj: weights[3], ...uploaded };
  }

  /** @param {import('./layout.js').Weight} weight */
  async #weight({ id, out, in: inputs, storage, panels, scale }) {
    const known = this.#weights.get(id);
    if (known) return known;
    const channels = Math.ceil(out / 8) * 8;
    const values = channels * (storage === I16 ? inputs + (inputs % 2) : inputs);
    const bytes = values * (storage === F32 ? 4 : storage === I8 ? 1 : 2);
    const weight = await this.guard(async () => {
      const buffer = this.#buffer(bytes, USAGE.STORAGE | USAGE.COPY_DST);
      for (let from = 0; from < bytes; from += PIECE) {
        const [piece] = await this.memory.read([[panels + from, Math.min(PIECE, bytes - from)]]);
        this.upload(buffer, piece, from);
      }
      const [scales] = scale ? await this.memory.read([[scale, channels * 4]]) : [];
      return { panels: buffer, scale: scales ? this.#constant(scales) : null };
    });
    this.#weights.set(id, weight);
    return weight;
  }

  /** @param {Uint8Array<ArrayBuffer>} bytes */
  #constant(bytes) {
    const buffer = this.#buffer(bytes.length, USAGE.STORAGE | USAGE.COPY_DST);
    this.upload(buffer, bytes);
    return buffer;
  }

  /** @param {number} id of a weight that is no more */
  release(id) {
    const weight = this.#weights.get(id);
    this.#weights.delete(id);
    weight?.panels.destroy();
    weight?.scale?.destroy();
    const vectors = this.#vectors.get(id);
    this.#vectors.delete(id);
    for (const vector of Object.values(vectors ?? {})) vector.destroy();
    // Towers that used it cannot be asked for any more.
    for (const [address, { tower }] of this.#towers) {
      if (!tower.ids.has(id)) continue;
      this.#towers.delete(address);
      tower.free();
    }
  }

  #buffer(size, usage) {
    const limit = Math.min(this.device.limits.maxStorageBufferBindingSize, this.device.limits.maxBufferSize);
    if (size > limit) throw new Error(`a buffer of ${size} bytes is above the adapter's limit, ${limit}`);
    return this.device.createBuffer({ size, usage });
  }

  /** A buffer for activations, from the pool where there is one. @param {number} bytes */
  take(bytes) {
    const size = Math.ceil(Math.max(bytes, 16) / 256) * 256;
    return this.#free.get(size)?.pop() ?? this.#buffer(size, USAGE.STORAGE | USAGE.COPY_DST | USAGE.COPY_SRC);
  }

  /** Back to the pool. */
  give(buffer) {
    const same = this.#free.get(buffer.size);
    if (same) same.push(buffer);
    else this.#free.set(buffer.size, [buffer]);
  }

  /** What is left in the pool after something new was made is not needed soon. */
  #drop() {
    for (const buffers of this.#free.values()) for (const buffer of buffers) buffer.destroy();
    this.#free.clear();
  }

  upload(buffer, bytes, offset = 0) {
    this.#queue.writeBuffer(buffer, offset, bytes);
    this.counts.bytesUp += bytes.byteLength;
  }

  /** Uniform blocks, one behind the other. @param {Uint8Array<ArrayBuffer>} bytes */
  uniforms(bytes) {
    const buffer = this.device.createBuffer({ size: bytes.length, usage: USAGE.UNIFORM | USAGE.COPY_DST });
    this.#queue.writeBuffer(buffer, 0, bytes);
    return buffer;
  }

  /** @param {string} name by which it is kept @param {() => string} code */
  pipeline(name, code) {
    let pipeline = this.#pipelines.get(name);
    if (!pipeline) {
      const module = this.device.createShaderModule({ label: name, code: code() });
      pipeline = this.device.createComputePipeline({ label: name, layout: 'auto', compute: { module } });
      this.#pipelines.set(name, pipeline);
    }
    return pipeline;
  }

  // ---------------------------------------------------------------------------------------------- running

  /** Throws what goes wrong in making. @template T @param {() => T | Promise<T>} make @returns {Promise<T>} */
  async guard(make) {
    const kinds = ['validation', 'out-of-memory', 'internal'];
    for (const kind of kinds) this.device.pushErrorScope(kind);
    try {
      return await make();
    } finally {
      const found = await Promise.allSettled(kinds.map(() => this.device.popErrorScope()));
      for (const [i, kind] of kinds.reverse().entries()) {
        const error = found[i].status === 'fulfilled' ? found[i].value : found[i].reason;
        if (error) this.#break(kind === 'out-of-memory' ? 'the device is out of memory' : error.message);
      }
      this.#check();
    }
  }

  /**
   * Uploads, runs batches, then brings some buffers' first bytes back.
   * @param {[buffer: any, bytes: Uint8Array<ArrayBuffer>][]} uploads
   * @param {Batch[]} batches
   * @param {[buffer: any, bytes: number][]} wanted
   * @returns {Promise<Uint8Array<ArrayBuffer>[]>}
   */
  async run(uploads, batches, wanted) {
    this.#check();
    const total = wanted.reduce((sum, [, bytes]) => sum + bytes, 0);
    // What goes wrong on the way must be known before anything is used of what comes back.
    const { staging, mapped } = await this.guard(() => {
      for (const [buffer, bytes] of uploads) this.upload(buffer, bytes);
      const made = this.device.createBuffer({ size: Math.max(total, 16), usage: USAGE.MAP_READ | USAGE.COPY_DST });
      this.#submit(batches, wanted, made);
      const promise = made.mapAsync(MAP_READ);
      promise.catch(() => {}); // told below, or the guard tells why
      return { staging: made, mapped: promise };
    });
    try {
      await mapped;
      this.#check();
      const bytes = new Uint8Array(staging.getMappedRange().slice(0, total));
      this.counts.roundTrips++;
      this.counts.bytesDown += total;
      let from = 0;
      return wanted.map(([, count]) => bytes.slice(from, (from += count)));
    } catch (error) {
      await Promise.resolve(); // the reason, where the device was lost
      throw this.#broken ?? error;
    } finally {
      staging.destroy();
    }
  }

  /** Submits all dispatches, and copies of what is wanted. */
  #submit(batches, wanted, staging) {
    let flop = 0;
    let encoder = this.device.createCommandEncoder();
    let pass = encoder.beginComputePass();
    const submit = () => {
      this.#queue.submit([encoder.finish()]);
      this.counts.submissions++;
    };
    for (const { dispatches } of batches) {
      for (const dispatch of dispatches) {
        if (flop > SUBMISSION) {
          pass.end();
          submit();
          encoder = this.device.createCommandEncoder();
          pass = encoder.beginComputePass();
          flop = 0;
        }
        pass.setPipeline(dispatch.pipeline);
        pass.setBindGroup(0, dispatch.group);
        pass.dispatchWorkgroups(...dispatch.grid);
        flop += dispatch.flop;
        this.counts.flop += dispatch.flop;
      }
    }
    pass.end();
    let at = 0;
    for (const [buffer, bytes] of wanted) {
      encoder.copyBufferToBuffer(buffer, 0, staging, at, bytes);
      at += bytes;
    }
    submit();
  }
}
