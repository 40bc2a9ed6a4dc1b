/**
 * Downloaded files, kept for the next time: in browsers in the origin's private file system (OPFS) or, where that
 * cannot be written, in the Cache API; in Node on disk. Of a file any parts may be there, so that a download goes on
 * where an earlier one broke off, and what is never needed is never fetched.
 *
 * A file is an entry: meta.json with its address, version (ETag) and size, and its parts. A part is stored whole or not
 * at all, never changes, and has version, place and length in its name: several pages or processes may read and write
 * at once, and a part of another length is no part. Nothing here ever fails a load: what cannot be kept is not.
 */
import { modelAddress } from './address.js';
import { collect, openRemote } from './download.js';
import { MudptError } from './errors.js';
import { isNode, nodePart } from './platform.js';
import { browserStores } from './stores.js';

/** Parts end at multiples of this, so that whoever downloads the same file makes the same parts. */
const PART = 4 * 1024 * 1024;
const META = 'meta.json';
/** Whether a kept file is still the server's is asked with less patience than a download. */
const CHECK_TIMEOUT = 5000;
/** Files of a commit of a Hugging Face repository never change. */
const NEVER_CHANGES = /\/resolve\/[0-9a-f]{40}\//;

/**
 * @typedef {object} Store where entries are kept; every method may fail
 * @property {() => Promise<string[]>} entries
 * @property {(entry: string) => Promise<string[]>} names of an entry's files; none where there is no entry
 * @property {(entry: string, name: string) => Promise<import('./source.js').SourceFile | null>} open
 * @property {(entry: string, name: string, bytes: Uint8Array<ArrayBuffer>) => Promise<void>} put whole or not at all
 * @property {(entry: string, name?: string) => Promise<void>} remove without a name: the entry
 *
 * @typedef {{ url: string, version: string, size?: number, savedAt: string }} Meta
 * @typedef {{ begin: number, end: number, name: string }} Part
 * @typedef {import('./download.js').Link} Link
 * @typedef {import('./download.js').RemoteFile} RemoteFile
 */

/** All stores of this platform; the first is the one that is written. @returns {Promise<Store[]>} */
async function allStores() {
  return isNode ? [(await nodePart('cache.js')).diskStore()] : browserStores();
}

/** The name of a file's entry. @param {string} url */
async function entryName(url) {
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(url));
  return Array.from(new Uint8Array(hash, 0, 16), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Tells versions apart in the names of parts (FNV-1a). @param {string} version */
function tagOf(version) {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(version)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, '0');
}

/** @param {string} name @returns {Part & { tag: string } | null} */
function partOf(name) {
  const match = /^([0-9a-f]{8})-(\d+)-(\d+)$/.exec(name);
  return match && { tag: match[1], begin: Number(match[2]), end: Number(match[2]) + Number(match[3]), name };
}

/** @param {Store} store @param {string} entry @returns {Promise<Meta | null>} */
async function readMeta(store, entry) {
  const file = await store.open(entry, META);
  if (!file) return null;
  try {
    const meta = JSON.parse(new TextDecoder().decode(await file.read(0, file.size ?? 0)));
    return typeof meta.url === 'string' && typeof meta.version === 'string' ? meta : null;
  } catch {
    return null;
  } finally {
    await file.close();
  }
}

/** One kept file. Its methods do not fail. */
class Entry {
  #store;
  #name;
  #writable = true;
  /** @type {Part[]} */
  #parts = [];
  /** @type {Meta | null} */
  meta = null;

  /** @param {Store} store @param {string} name */
  constructor(store, name) {
    this.#store = store;
    this.#name = name;
  }

  /** The entry of a file, perhaps empty; null where nothing can be kept. @param {string} url */
  static async open(url) {
    try {
      const [store] = await allStores();
      if (!store) return null;
      const entry = new Entry(store, await entryName(url));
      const meta = await readMeta(store, entry.#name);
      if (meta?.url === url) await entry.#list(meta);
      return entry;
    } catch {
      return null;
    }
  }

  /** @param {Meta} meta */
  async #list(meta) {
    const tag = tagOf(meta.version);
    for (const name of await this.#store.names(this.#name)) {
      const part = partOf(name);
      if (part?.tag === tag) this.#parts.push(part);
      else if (part) await this.#store.remove(this.#name, name);
    }
    this.meta = meta;
  }

  /** Runs what may fail, after which nothing more is kept. @param {() => Promise<void>} action */
  async #try(action) {
    if (!this.#writable) return;
    try {
      await action();
    } catch {
      this.#writable = false;
    }
  }

  /** Says what file it is from now on. @param {string} url @param {string} version @param {number} [size] */
  async describe(url, version, size) {
    this.meta = { url, version, size, savedAt: new Date().toISOString() };
    const bytes = new TextEncoder().encode(JSON.stringify(this.meta));
    await this.#try(() => this.#store.put(this.#name, META, bytes));
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

  /** @param {number} begin @param {Uint8Array<ArrayBuffer>} bytes */
  async put(begin, bytes) {
    const end = begin + bytes.length;
    const name = `${tagOf(this.meta?.version ?? '')}-${begin}-${bytes.length}`;
    await this.#try(async () => {
      await this.#store.put(this.#name, name, bytes);
      this.#parts.push({ begin, end, name });
    });
  }

  async remove() {
    this.meta = null;
    this.#parts = [];
    await this.#store.remove(this.#name).catch(() => {});
  }
}

/**
 * Opens a file on a server, through the cache where the link says so.
 * @param {string} url
 * @param {Link} link
 * @returns {Promise<import('./source.js').SourceFile | 'page' | null>} as openRemote
 */
export async function openKept(url, link) {
  const entry = link.cache && /^https?:/.test(url) ? await Entry.open(url) : null;
  if (!entry) return openRemote(url, link);
  if (entry.meta && NEVER_CHANGES.test(url)) return new KeptFile(url, link, entry, null);
  let remote;
  try {
    remote = entry.meta
      ? await openRemote(url, link, { first: 1, asking: hurried(link) })
      : await openRemote(url, link);
  } catch (error) {
    const isOffline = error instanceof MudptError && error.code === 'network';
    if (!entry.meta || !isOffline) throw error;
    return new KeptFile(url, link, entry, null);
  }
  if (!remote || remote === 'page') {
    if (entry.meta) await entry.remove();
    return remote;
  }
  const { version, size } = remote;
  const { meta } = entry;
  const isSame =
    meta && meta.version === version && (meta.size === undefined || size === undefined || meta.size === size);
  if (!isSame) {
    if (meta) await entry.remove();
    await entry.describe(url, version, size);
  }
  return new KeptFile(url, link, entry, remote);
}

/** The same link for a question that may go without an answer; it follows the first one's signal. @param {Link} link */
function hurried(link) {
  return {
    get signal() {
      return link.signal;
    },
    timeout: Math.min(link.timeout, CHECK_TIMEOUT),
    retryDelays: [],
    cache: link.cache,
  };
}

/** @implements {SourceFile} @typedef {import('./source.js').SourceFile} SourceFile */
class KeptFile {
  #link;
  #entry;
  #remote;

  /** @param {string} url @param {Link} link @param {Entry} entry @param {RemoteFile | null} remote null: no contact */
  constructor(url, link, entry, remote) {
    this.name = url;
    this.size = entry.meta?.size ?? remote?.size;
    this.ranges = remote?.ranges ?? true;
    this.#link = link;
    this.#entry = entry;
    this.#remote = remote;
  }

  async read(offset, length) {
    return collect(this, offset, length);
  }

  async *stream(offset = 0, length = Infinity) {
    let at = offset;
    for (;;) {
      const end = Math.min(offset + length, this.size ?? Infinity);
      if (at >= end) return;
      const kept = this.#entry.endOf(at) > at;
      const stop = Math.min(end, this.#entry.nextAfter(at));
      this.#link.signal?.throwIfAborted();
      for await (const piece of kept ? this.#entry.stream(at, end) : this.#download(at, stop)) {
        at += piece.length;
        yield piece;
      }
      if (kept || at === stop) continue;
      // The server did not know the size before.
      if (this.size === undefined && offset === 0) {
        this.size = at;
        await this.#entry.describe(this.name, this.#entry.meta?.version ?? '', at);
      }
      return;
    }
  }

  /** The server's file; it must be the one whose parts are here. @returns {Promise<RemoteFile>} */
  async #server() {
    if (this.#remote) return this.#remote;
    const remote = await openRemote(this.name, this.#link, { first: 1 });
    if (!remote || remote === 'page' || remote.version !== this.#entry.meta?.version) {
      await this.#entry.remove();
      throw new MudptError('network', `${this.name} has changed since it was kept`, 'load it again');
    }
    this.#remote = remote;
    return remote;
  }

  /** Downloads and keeps; what has come before a failure stays. @param {number} begin @param {number} end */
  async *#download(begin, end) {
    const remote = await this.#server();
    const part = new Uint8Array(Math.min(PART, end - begin));
    let filled = 0;
    const keep = async () => {
      if (filled) await this.#entry.put(begin, part.subarray(0, filled));
      begin += filled;
      filled = 0;
    };
    try {
      for await (const piece of remote.stream(begin, end - begin)) {
        for (let rest = piece; rest.length;) {
          const room = Math.min(part.length - filled, PART - ((begin + filled) % PART));
          const next = rest.subarray(0, room);
          part.set(next, filled);
          filled += next.length;
          rest = rest.subarray(next.length);
          if (next.length === room) await keep();
        }
        yield piece;
      }
    } finally {
      await keep();
    }
  }

  async close() {
    if (this.#remote) await this.#remote.close();
  }
}

// ---------------------------------------------------------------------------------------------------- for callers

/** Calls `visit` with every entry of every store. @param {(store: Store, entry: string) => Promise<void>} visit */
async function forEachEntry(visit) {
  for (const store of await allStores().catch(() => [])) {
    for (const entry of await store.entries().catch(() => [])) await visit(store, entry);
  }
}

/**
 * What is kept; described in index.d.ts.
 * @returns {Promise<{ url: string, bytes: number, size: number | undefined, etag: string, savedAt: Date }[]>}
 */
async function list() {
  const found = [];
  await forEachEntry(async (store, entry) => {
    const meta = await readMeta(store, entry).catch(() => null);
    if (!meta) return;
    const tag = tagOf(meta.version);
    const parts = (await store.names(entry).catch(() => [])).map(partOf).filter((part) => part?.tag === tag);
    const bytes = parts.reduce((sum, part) => sum + (part ? part.end - part.begin : 0), 0);
    found.push({ url: meta.url, bytes, size: meta.size, etag: meta.version, savedAt: new Date(meta.savedAt) });
  });
  return found;
}

/**
 * Removes a model, or one file.
 * @param {string | URL} from as given to loadClip
 * @returns {Promise<boolean>} whether there was anything
 */
async function remove(from) {
  const { base, file } = modelAddress(from);
  const prefix = new URL(file ?? '', base);
  prefix.search = '';
  let found = false;
  await forEachEntry(async (store, entry) => {
    const meta = await readMeta(store, entry).catch(() => null);
    if (!meta?.url.startsWith(prefix.href)) return;
    await store.remove(entry);
    found = true;
  });
  return found;
}

/** Removes everything, damaged entries too. */
async function clear() {
  await forEachEntry((store, entry) => store.remove(entry));
}

/** What pages and programs may do with the files that are kept. */
export const cache = Object.freeze({ list, delete: remove, clear });
