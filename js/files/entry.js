/**
 * One kept file (see cache.js): meta.json with its address, version and size, and its parts. A part is stored whole or
 * not at all, never changes, and has version, place and length in its name: several pages or processes may read and
 * write at once, and a part of another length is no part.
 *
 * Nobody locks anything. Who writes describes the file first, and looks after each part whether the description is
 * still there and still theirs; if not, the part goes again and nothing more is kept. Who removes takes the description
 * first and then the rest. So whatever comes first, nothing stays that no description belongs to.
 */
import { keptAddress } from '../base/address.js';
import { nodePart } from '../base/node-part.js';
import { isNode } from '../base/platform.js';
import { browserStores } from './stores.js';

const META = 'meta.json';
/** How often, and after how many milliseconds, it is tried again to remove what somebody just writes. */
const [ATTEMPTS, PAUSE] = [20, 25];

/**
 * @typedef {object} Store where entries are kept; every method may fail
 * @property {boolean} writable from here; removing works everywhere
 * @property {() => Promise<string[]>} entries
 * @property {(entry: string) => Promise<string[]>} names of an entry's files; none where there is no entry
 * @property {(entry: string, name: string) => Promise<import('./source.js').SourceFile | null>} open
 * @property {(entry: string, name: string, bytes: Uint8Array<ArrayBuffer>) => Promise<void>} put whole or not at all
 * @property {(entry: string, name?: string) => Promise<void>} remove without a name: the entry
 * @property {(entry: string) => Promise<void>} prune removes an entry that is empty
 *
 * @typedef {object} Meta
 * @property {string} url
 * @property {string} version as the server tells it; '' where it does not
 * @property {string} [load] without a version: which load it is of, as nothing else can be the same file
 * @property {number} [size]
 * @property {'none' | 'page' | 'forbidden'} [absent] there is no such file
 * @property {Time} [asked] when the server has last said that it has this
 * @property {Time} [changed] when this took the place of nothing, or of something else
 * @property {string} savedAt
 *
 * @typedef {{ at: number, visit: string }} Time when, and in which load
 * @typedef {{ begin: number, end: number, name: string }} Part
 * @typedef {import('./source.js').SourceFile} SourceFile
 */

/** All stores of this platform, whether or not they can be written from here. @returns {Promise<Store[]>} */
export async function allStores() {
  return isNode ? [(await nodePart('cache.js')).diskStore()] : browserStores();
}

const pause = () => new Promise((resolve) => setTimeout(resolve, PAUSE));

/** The name of a file's entry. @param {string} url */
async function entryName(url) {
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(url));
  return Array.from(new Uint8Array(hash, 0, 16), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Tells versions apart in the names of parts (FNV-1a). @param {Meta} meta */
function tagOf({ version, load = '' }) {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(version || load)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, '0');
}

/** @param {string} name @returns {Part & { tag: string } | null} */
function partOf(name) {
  const match = /^([0-9a-f]{8})-(\d+)-(\d+)$/.exec(name);
  return match && { tag: match[1], begin: Number(match[2]), end: Number(match[2]) + Number(match[3]), name };
}

/** The parts of an entry that belong to a description. @param {Store} store @param {string} entry @param {Meta} meta */
async function partsOf(store, entry, meta) {
  const tag = tagOf(meta);
  return (await store.names(entry)).flatMap((name) => {
    const part = partOf(name);
    return part?.tag === tag ? [part] : [];
  });
}

/** @param {any} meta @returns {meta is Meta} one without version and load is of an older library, which mixed them */
const isMeta = (meta) =>
  typeof meta?.url === 'string' &&
  typeof meta.version === 'string' &&
  Boolean(meta.version || meta.load || meta.absent);

/** @param {Store} store @param {string} entry @returns {Promise<Meta | null>} */
async function readMeta(store, entry) {
  // Where it is just being written there is half of it.
  for (let attempt = 0; attempt < 3; attempt++) {
    if (attempt) await pause();
    const file = await store.open(entry, META);
    if (!file) return null;
    try {
      const meta = JSON.parse(new TextDecoder().decode(await file.read(0, file.size ?? 0)));
      return isMeta(meta) ? meta : null;
    } catch {
      // again
    } finally {
      await file.close();
    }
  }
  return null;
}

/** @param {Store} store @param {string} entry */
async function removeEntry(store, entry) {
  for (let attempt = 1; ; attempt++) {
    try {
      await store.remove(entry, META);
      return await store.remove(entry);
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
      await pause();
    }
  }
}

/** One kept file. Its methods do not fail. */
export class Entry {
  #store;
  #name;
  #writable = true;
  /** @type {Part[]} */
  #parts = [];
  /** @type {Meta | null} */
  meta = null;
  /** Without what signs it. */
  url;

  /** @param {Store} store @param {string} name @param {string} url */
  constructor(store, name, url) {
    this.#store = store;
    this.#name = name;
    this.url = url;
  }

  /** The entry of a file, perhaps empty; null where nothing can be kept. @param {string} address */
  static async open(address) {
    try {
      const store = (await allStores()).find(({ writable }) => writable);
      if (!store) return null;
      const url = keptAddress(address);
      const entry = new Entry(store, await entryName(url), url);
      const meta = await readMeta(store, entry.#name);
      if (meta?.url !== url) return entry;
      entry.#parts = await partsOf(store, entry.#name, meta);
      entry.meta = meta;
      return entry;
    } catch {
      return null;
    }
  }

  /** Runs what may fail, after which nothing more is kept. @param {() => Promise<void>} action */
  async #try(action) {
    if (!this.#writable) return;
    try {
      await action();
    } catch {
      this.#writable = false;
      await this.#store.prune(this.#name).catch(() => {});
    }
  }

  /** @param {Meta} meta */
  async #write(meta) {
    const bytes = new TextEncoder().encode(JSON.stringify(meta));
    await this.#store.put(this.#name, META, bytes);
  }

  /** Whether it is still described as it is here. */
  async #isOurs() {
    const meta = await readMeta(this.#store, this.#name);
    return meta !== null && this.meta !== null && tagOf(meta) === tagOf(this.meta);
  }

  /**
   * Says what file it is from now on; what is kept of another goes.
   * @param {Pick<Meta, 'version' | 'size' | 'absent'>} what
   * @param {Time} asked
   */
  async describe({ version, size, absent }, asked) {
    const load = version || absent ? undefined : Array.from(crypto.getRandomValues(new Uint32Array(4))).join('-');
    const now = new Date();
    const changed = { ...asked, at: now.getTime() };
    const meta = { url: this.url, version, load, size, absent, asked, changed, savedAt: now.toISOString() };
    this.meta = meta;
    this.#parts = [];
    await this.#try(async () => {
      await this.#write(meta);
      const tag = tagOf(meta);
      for (const part of (await this.#store.names(this.#name)).map(partOf)) {
        if (part && (absent || part.tag !== tag)) await this.#store.remove(this.#name, part.name);
      }
      this.#parts = await partsOf(this.#store, this.#name, meta);
    });
  }

  /** Adds to the description, if it is still there. @param {Partial<Meta>} more */
  async add(more) {
    if (!this.meta) return;
    const meta = { ...this.meta, ...more };
    this.meta = meta;
    try {
      if (this.#writable && (await this.#isOurs())) await this.#write(meta);
    } catch {
      // The next load says it again.
    }
  }

  /** Where the part with the byte at `at` begins to be missing, or `at`. @param {number} at */
  endOf(at) {
    return Math.max(at, ...this.#parts.filter(({ begin, end }) => begin <= at && at < end).map(({ end }) => end));
  }

  /** Where the first part behind `at` begins. @param {number} at */
  nextAfter(at) {
    return Math.min(...this.#parts.map(({ begin }) => begin).filter((begin) => begin > at));
  }

  /**
   * The bytes from `at` to the end of a part, or to `end`; fewer where the part turns out to be damaged.
   * @param {number} at
   * @param {number} end
   */
  async *stream(at, end) {
    const last = this.endOf(at);
    const part = this.#parts.find((one) => one.begin <= at && one.end === last);
    if (!part) return;
    /** @type {SourceFile | null} */
    let file = null;
    try {
      file = await this.#store.open(this.#name, part.name);
      if (file?.size === part.end - part.begin) {
        const pieces = file.stream(at - part.begin, Math.min(end, part.end) - at)[Symbol.asyncIterator]();
        for (;;) {
          const next = await pieces.next();
          if (next.done) return;
          yield next.value;
        }
      }
    } catch {
      // As if it were not there.
    } finally {
      await file?.close().catch(() => {});
    }
    this.#parts = this.#parts.filter((one) => one !== part);
  }

  /** The bytes from `at` to `end`, as far as they are there. @param {number} at @param {number} end */
  async bytes(at, end) {
    const out = new Uint8Array(end - at);
    let filled = 0;
    while (filled < out.length && this.endOf(at + filled) > at + filled) {
      for await (const piece of this.stream(at + filled, end)) {
        out.set(piece, filled);
        filled += piece.length;
      }
    }
    return out.subarray(0, filled);
  }

  /** @param {number} begin @param {Uint8Array<ArrayBuffer>} bytes */
  async put(begin, bytes) {
    const { meta } = this;
    if (!meta) return;
    const name = `${tagOf(meta)}-${begin}-${bytes.length}`;
    await this.#try(async () => {
      await this.#store.put(this.#name, name, bytes);
      if (await this.#isOurs()) {
        this.#parts.push({ begin, end: begin + bytes.length, name });
        return;
      }
      await this.#store.remove(this.#name, name);
      throw new Error('somebody has removed the file, or keeps another version');
    });
  }

  async remove() {
    this.meta = null;
    this.#parts = [];
    this.#writable = false;
    await removeEntry(this.#store, this.#name).catch(() => {});
  }
}

/**
 * @typedef {object} Found what is in a store
 * @property {Meta | null} meta
 * @property {() => Promise<Part[]>} parts
 * @property {() => Promise<void>} remove
 */

/** Calls `visit` with every entry of every store. @param {(entry: Found) => Promise<void>} visit */
export async function forEachEntry(visit) {
  for (const store of await allStores().catch(() => [])) {
    for (const name of await store.entries().catch(() => [])) {
      const meta = await readMeta(store, name).catch(() => null);
      const parts = async () => (meta ? partsOf(store, name, meta) : []);
      await visit({ meta, parts, remove: () => removeEntry(store, name) });
    }
  }
}

/** Removes what a program that was ended in the middle has left: parts without a description. */
export async function sweep() {
  for (const store of await allStores().catch(() => [])) {
    for (const name of await store.entries().catch(() => [])) {
      const names = await store.names(name).catch(() => /** @type {string[]} */ ([]));
      if (names.some(partOf) && !names.includes(META)) await removeEntry(store, name).catch(() => {});
    }
  }
}
