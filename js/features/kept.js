/**
 * Features that outlive the model: on disk in Node, in a page's storage (OPFS, or the Cache API) elsewhere, beside what
 * was downloaded. The next program over the same pictures does not run the image tower. Nothing here ever fails a call,
 * or is missed when it is gone: what cannot be kept is computed again.
 *
 * An entry is all that was computed the same way (model, storage, arithmetic, version). In it are segments, each
 * written whole and never changed: keys, then rows. A segment's name has its time, width, count and digest, so half of
 * one, or a damaged one, is none. Several programs may write and remove at once: each writes segments of its own, and
 * keeps in memory what it has read. When there are many a program writes what it knows as one, and removes those.
 */
import { PRECISIONS } from '../core/core.js';
import { allStores } from '../files/entry.js';
import { digestOf } from '../files/sha256.js';
import { FeatureStore } from './store.js';

/** Bytes of an entry, all of which are in memory, and of all entries, of which the oldest go first; segments of one. */
const LIMITS = { entry: 64 * 2 ** 20, all: 256 * 2 ** 20, segments: 16 };
/** Milliseconds after which what is new is written, and how many rows are written at once. */
const SOON = 500;
const MOST_PENDING = 1024;
const ABOUT = 'about.json';
const [KINDS, KEY_BYTES] = [['after', 'before'], 33];

/** @typedef {import('../files/entry.js').Store} Store */
/** @typedef {{ name: string, time: number, width: number, count: number, digest: string, bytes: number }} Segment */

const hex = (bytes) => Array.from(bytes, (byte) => Number(byte).toString(16).padStart(2, '0')).join('');
/** @param {Uint8Array<ArrayBuffer>} bytes */
const digestDigits = async (bytes) => hex((await digestOf(bytes)).split(',')).slice(0, 32);
/** Keys' bytes fill whole numbers. */
const rowsBegin = (count) => Math.ceil((count * KEY_BYTES) / 4) * 4;

/** @param {string} name @returns {Segment | null} */
function segmentOf(name) {
  const match = /^f([0-9a-z]+)-(\d+)-(\d+)-([0-9a-f]{32})$/.exec(name);
  if (!match) return null;
  const [time, width, count] = [Number.parseInt(match[1], 36), Number(match[2]), Number(match[3])];
  return { name, time, width, count, digest: match[4], bytes: rowsBegin(count) + 4 * count * width };
}

/** @param {Store} store @param {string} entry @returns {Promise<Segment[]>} the oldest first */
async function segmentsOf(store, entry) {
  const found = (await store.names(entry)).flatMap((name) => segmentOf(name) ?? []);
  return found.sort((a, b) => a.time - b.time);
}

/** @param {[string, Float32Array][]} rows of one width @returns {Uint8Array<ArrayBuffer>} */
function pack(rows) {
  const width = rows[0][1].length;
  const begin = rowsBegin(rows.length);
  const bytes = new Uint8Array(begin + 4 * rows.length * width);
  const numbers = new Float32Array(bytes.buffer, begin);
  rows.forEach(([key, row], i) => {
    const [kind, digest] = key.split(' ');
    bytes.set([KINDS.indexOf(kind), ...digest.split(',').map(Number)], i * KEY_BYTES);
    numbers.set(row, i * width);
  });
  return bytes;
}

/** @param {Uint8Array} bytes @param {Segment} segment @returns {[string, Float32Array][]} */
function unpack(bytes, { count, width }) {
  const numbers = new Float32Array(bytes.slice(rowsBegin(count)).buffer);
  return Array.from({ length: count }, (_, i) => {
    const [kind, ...digest] = bytes.subarray(i * KEY_BYTES, (i + 1) * KEY_BYTES);
    return [`${KINDS[kind]} ${digest}`, numbers.subarray(i * width, (i + 1) * width)];
  });
}

export class KeptFeatures extends FeatureStore {
  #about;
  #limits;
  /** @type {Promise<void> | undefined} */
  #loaded;
  /** @type {Store | null} */
  #store = null;
  #entry = '';
  /** Segments whose rows are known here. @type {string[]} */
  #known = [];
  /** @type {Map<string, Float32Array>} */
  #pending = new Map();
  #writing = Promise.resolve();
  #timer = /** @type {any} */ (0);

  /**
   * @param {Record<string, unknown>} about all that rows depend on beside what the model sees
   * @param {typeof LIMITS} [limits]
   */
  constructor(about, limits = LIMITS) {
    super(limits.entry);
    this.#about = about;
    this.#limits = limits;
  }

  /** Must be awaited before rows are asked for. */
  ready() {
    return (this.#loaded ??= this.#load().catch(() => {}));
  }

  async #load() {
    this.#entry = await digestDigits(new TextEncoder().encode(JSON.stringify(this.#about)));
    const stores = await allStores();
    this.#store = stores.find(({ writable }) => writable) ?? null;
    // What a worker keeps a page may read, also where it could not write it.
    for (const store of stores) {
      for (const segment of await segmentsOf(store, this.#entry)) {
        const bytes = await this.#read(store, segment);
        if (!bytes) continue;
        for (const [key, row] of unpack(bytes, segment)) super.put(key, row);
        if (store === this.#store) this.#known.push(segment.name);
      }
    }
  }

  /**
   * @param {Store} store
   * @param {Segment} segment
   * @returns {Promise<Uint8Array<ArrayBuffer> | null>} null: somebody has removed it, or it is damaged
   */
  async #read(store, { name, bytes: size, digest }) {
    try {
      const file = await store.open(this.#entry, name);
      const bytes = /** @type {Uint8Array<ArrayBuffer>} */ (await file?.read(0, size));
      const whole = file?.size === size && (await digestDigits(bytes)) === digest;
      await file?.close();
      if (whole) return bytes;
    } catch {
      // As if it were not there.
    }
    await store.remove(this.#entry, name).catch(() => {});
    return null;
  }

  /** @param {string} key @param {Float32Array} row */
  put(key, row) {
    if (this.get(key)) return;
    super.put(key, row);
    if (!this.#store) return;
    this.#pending.set(key, row.slice());
    clearTimeout(this.#timer);
    if (this.#pending.size >= MOST_PENDING) this.flush();
    else this.#timer = setTimeout(() => this.flush(), SOON);
  }

  clear() {
    super.clear();
    this.#pending.clear();
    const store = this.#store;
    if (store) this.#writing = this.#writing.then(() => store.remove(this.#entry)).catch(() => {});
    this.#known = [];
  }

  /** Writes what is new. @returns {Promise<void>} */
  flush() {
    clearTimeout(this.#timer);
    const rows = [...this.#pending];
    this.#pending.clear();
    if (rows.length) this.#writing = this.#writing.then(() => this.#write(rows)).catch(() => {});
    return this.#writing;
  }

  /** @param {[string, Float32Array][]} rows */
  async #write(rows) {
    const store = /** @type {Store} */ (this.#store);
    const names = await store.names(this.#entry);
    if (!names.includes(ABOUT)) {
      await store.put(this.#entry, ABOUT, new TextEncoder().encode(JSON.stringify(this.#about)));
    }
    const merges = this.#known.length >= this.#limits.segments;
    await this.#append(merges ? [...this.rows()] : rows, merges ? this.#known : []);
    await makeRoom(store, this.#entry, this.#limits);
  }

  /** @param {[string, Float32Array][]} rows @param {string[]} instead of these segments, where any is still there */
  async #append(rows, instead) {
    const store = /** @type {Store} */ (this.#store);
    const widths = new Set(rows.map(([, { length }]) => length));
    const written = [];
    for (const width of widths) {
      const own = rows.filter(([, { length }]) => length === width);
      const bytes = pack(own);
      const name = `f${Date.now().toString(36)}-${width}-${own.length}-${await digestDigits(bytes)}`;
      await store.put(this.#entry, name, bytes);
      written.push(name);
    }
    for (const name of instead.filter((each) => !written.includes(each))) await store.remove(this.#entry, name);
    this.#known = [...(instead.length ? [] : this.#known), ...written];
  }
}

/**
 * A store for a model, whose matrices tell it from others that have the same fingerprint. The plain build's bits are
 * the same on every machine, the relaxed one's as its multiply-add rounds; a GPU's are its own.
 * @param {import('../core/core.js').Core} core
 * @param {number} clip handle
 * @param {any} config of the model
 * @param {{ fingerprint: string, dtype?: string }} which
 */
export async function keptFor(core, clip, { precision }, { fingerprint, dtype = 'auto' }) {
  const matrices = await digestDigits(new Uint8Array(core.clipSamples(clip).slice().buffer));
  const arithmetic = { precision: Object.keys(PRECISIONS)[precision], variant: core.variant, fused: core.fused };
  const storage = { dtype, weightBytes: core.clipWeightBytes(clip) };
  const device = core.memory.device ? { device: core.memory.device.name } : {};
  return new KeptFeatures({ library: core.version(), fingerprint, matrices, ...storage, ...arithmetic, ...device });
}

/**
 * Removes the oldest segments, of an entry and of all, until what is left is within bounds.
 * @param {Store} store
 * @param {string} entry
 * @param {typeof LIMITS} limits
 */
async function makeRoom(store, entry, limits) {
  const all = [];
  for (const name of await store.entries()) {
    for (const segment of await segmentsOf(store, name)) all.push({ entry: name, ...segment });
  }
  all.sort((a, b) => b.time - a.time);
  let [own, total] = [0, 0];
  const [left, gone] = [new Set([entry]), new Set()];
  for (const segment of all) {
    total += segment.bytes;
    if (segment.entry === entry) own += segment.bytes;
    if (total > limits.all || (segment.entry === entry && own > limits.entry)) {
      await store.remove(segment.entry, segment.name);
      gone.add(segment.entry);
    } else left.add(segment.entry);
  }
  for (const each of gone) if (!left.has(each)) await store.remove(each);
}

/**
 * What is kept, by the way it was computed.
 * @returns {Promise<{ about: Record<string, any>, rows: number, bytes: number, remove: () => Promise<void> }[]>}
 */
export async function keptFeatures() {
  const found = [];
  for (const store of await allStores().catch(() => [])) {
    for (const entry of await store.entries().catch(() => [])) {
      const segments = await segmentsOf(store, entry).catch(() => []);
      const file = await store.open(entry, ABOUT).catch(() => null);
      if (!file) continue;
      const text = new TextDecoder().decode(await file.read(0, file.size ?? 0).finally(() => file.close()));
      const [rows, bytes] = ['count', 'bytes'].map((key) => segments.reduce((sum, each) => sum + each[key], 0));
      try {
        found.push({ about: JSON.parse(text), rows, bytes, remove: () => store.remove(entry) });
      } catch {
        // Half of it: another program is writing.
      }
    }
  }
  return found;
}
