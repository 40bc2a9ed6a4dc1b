/**
 * Downloaded files, kept for the next time: in browsers in the origin's private file system (OPFS) or, where that
 * cannot be written, in the Cache API; in Node on disk. Of a file any parts may be there (entry.js), so that a download
 * goes on where an earlier one broke off, and what is never needed is never fetched. Nothing here ever fails a load:
 * what cannot be kept is not.
 *
 * What is kept is used where the server says that it still has that version, where integrity vouches for it, and where
 * there is no server, or none that answers with the file. docs/loading.md has the table of what happens when.
 */
import { modelAddress } from '../base/address.js';
import { MudptError, reasonOf } from '../base/errors.js';
import { pyTorchKind } from '../base/kinds.js';
import { LARGEST_HEADER } from '../base/limits.js';
import { collect, openRemote } from './download.js';
import { Entry, forEachEntry, sweep } from './entry.js';

/** Parts end at multiples of this, so that whoever downloads the same file makes the same parts. */
const PART = 4 * 1024 * 1024;
/** Of a file that is kept these first bytes are asked for, and compared. */
const CHECKED = 4096;
/** Whether a kept file is still the server's is asked with less patience than a download. */
const CHECK_TIMEOUT = 5000;
/** Files of a commit of a Hugging Face repository never change. */
const NEVER_CHANGES = /\/resolve\/[0-9a-f]{40}\//;

/**
 * @typedef {import('./download.js').Link} Link
 * @typedef {import('./download.js').RemoteFile} RemoteFile
 * @typedef {import('./download.js').Absence} Absence
 * @typedef {import('./source.js').SourceFile} SourceFile
 *
 * @typedef {import('./entry.js').Time} Time
 */

/**
 * Whether a file that was there at one time goes with one that was new at another.
 * @param {Time} [there]
 * @param {Time} [isNew]
 */
const goesWith = (there, isNew) => !there || !isNew || there.at >= isNew.at || there.visit === isNew.visit;

/** What a load has found of the files of a model, which must be of one time. */
class Visit {
  name = Array.from(crypto.getRandomValues(new Uint32Array(2))).join('-');
  /** @type {KeptFile[]} files that were opened */
  files = [];
  /** @type {Time[]} when files were new */
  #changes = [];
  /** @type {{ url: string, asked: Time | undefined }[]} what is used as it was, though no server said that it has it */
  #unasked = [];
  /** @type {{ entry: Entry, at: number }[]} of which the server said so now */
  #asked = [];
  #isStrict;

  /** @param {boolean} [isStrict] whether every file must be asked about */
  constructor(isStrict = false) {
    this.#isStrict = isStrict;
  }

  /** Whether something may be used as it was. @param {Entry} entry */
  allows({ meta }) {
    return meta !== null && !this.#isStrict && this.#changes.every((change) => goesWith(meta.asked, change));
  }

  /** It will be. @param {Entry} entry */
  use({ url, meta }) {
    this.#unasked.push({ url, asked: meta?.asked });
    this.#see(url, meta?.changed);
  }

  /** The server has it, or there is something new. @param {Entry} entry @param {number} at when it was asked */
  async confirm(entry, at) {
    this.#asked.push({ entry, at });
    this.#see(entry.url, entry.meta?.changed);
    // Others that were confirmed go with what is new: that must be known the next time.
    for (const one of this.#asked) {
      const isKnown = this.#changes.every((change) => goesWith(one.entry.meta?.asked, change));
      if (!isKnown) await one.entry.add({ asked: { at: one.at, visit: this.name } });
    }
  }

  /** @param {string} url @param {Time} [change] */
  #see(url, change) {
    if (change) this.#changes.push(change);
    const old = this.#unasked.find(({ asked }) => !goesWith(asked, change));
    if (old) throw new Stale('network', `${url} has changed since ${old.url} was kept`, 'load the model again');
  }
}

export const newVisit = () => new Visit();

/** What goes wrong when files of two times meet; loading again helps. */
class Stale extends MudptError {}

/**
 * Opens a file on a server, through the cache where the link says so.
 * @param {string} url
 * @param {Link} link
 * @param {Visit} visit
 * @param {How} how
 * @returns {Promise<SourceFile | Absence>} as openRemote
 *
 * @typedef {object} How
 * @property {boolean} whole it is a small file that is read whole
 * @property {boolean} checked its digest will be looked at
 */
export async function openKept(url, link, visit, how) {
  const entry = link.cache && /^https?:/.test(url) ? await Entry.open(url) : null;
  if (!entry) return openRemote(url, link, how);
  const asked = Date.now();
  const { meta } = entry;
  const kept = meta !== null && !meta.absent;
  /** @param {RemoteFile | null} remote @param {boolean} [old] */
  const keptFile = (remote, old = true) => {
    const file = new KeptFile(url, link, entry, remote, { ...how, old });
    visit.files.push(file);
    return file;
  };
  /** @param {Pick<import('./entry.js').Meta, 'version' | 'size' | 'absent'>} what */
  const describe = async (what) => {
    await entry.describe(what, { at: asked, visit: visit.name });
    await visit.confirm(entry, asked);
  };
  const asItWas = () => {
    visit.use(entry);
    return kept ? keptFile(null) : absenceIn(meta);
  };
  if (kept && meta.version && NEVER_CHANGES.test(url) && visit.allows(entry)) return keptFile(null);

  /** @type {RemoteFile | Absence} */
  let remote;
  const isUsable = visit.allows(entry);
  try {
    const asking = isUsable ? hurried(link) : link;
    remote = await openRemote(url, link, meta ? { first: CHECKED, asking } : { ...how, asking });
  } catch (error) {
    if (!isUsable || !isOffline(error)) throw error;
    return asItWas();
  }
  if (!remote || typeof remote === 'string') {
    // A server in the middle of an update, or a session that has ended, says nothing about weights.
    if (kept && isUsable) return asItWas();
    if (meta?.absent) await visit.confirm(entry, asked);
    else if (!kept || how.whole) await describe({ version: '', absent: remote ?? 'none' });
    return remote;
  }
  try {
    if (kept && (await isSame(entry, remote, how))) {
      await visit.confirm(entry, asked);
      return keptFile(remote);
    }
    if (kept && how.whole && !(meta.version && remote.version)) {
      const isThere = await isEqual(entry, remote).catch((error) => {
        if (isUsable && isOffline(error)) return undefined;
        throw error;
      });
      if (isThere === undefined) return asItWas();
      if (isThere) {
        await visit.confirm(entry, asked);
        return keptFile(null);
      }
    }
    if (isUsable && meta && !isPlausible(url, remote.beginning)) {
      await remote.close();
      return asItWas();
    }
    if (meta && how.whole && remote.ranges) {
      await remote.close();
      remote = await openRemote(url, link, how);
      if (!remote || typeof remote === 'string') return remote;
    }
    await describe(remote);
    return keptFile(remote, false);
  } catch (error) {
    if (remote && typeof remote !== 'string') await remote.close();
    throw error;
  }
}

/** @param {unknown} error */
const isOffline = (error) => error instanceof MudptError && error.code === 'network';

/** What was found instead of a file. @param {import('./entry.js').Meta | null} meta @returns {Absence} */
const absenceIn = (meta) => (!meta?.absent || meta.absent === 'none' ? null : meta.absent);

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

/** Whether the server has what is kept. @param {Entry} entry @param {RemoteFile} remote @param {How} how */
async function isSame(entry, { version, size, beginning }, { whole, checked }) {
  const { meta } = entry;
  if (!meta) return false;
  const isKnown = meta.version !== '' && version !== '';
  if (isKnown ? meta.version !== version : !checked) return false;
  // Of small files the size may be that of what is sent compressed.
  if (!whole && meta.size !== undefined && size !== undefined && meta.size !== size) return false;
  const kept = await entry.bytes(0, beginning.length);
  return kept.every((byte, i) => byte === beginning[i]);
}

/** Whether the server's file has the bytes that are kept. @param {Entry} entry @param {RemoteFile} remote */
async function isEqual(entry, remote) {
  let at = 0;
  for await (const piece of remote.stream()) {
    const kept = await entry.bytes(at, at + piece.length);
    if (kept.length < piece.length || kept.some((byte, i) => byte !== piece[i])) return false;
    at += piece.length;
  }
  await remote.close();
  return entry.endOf(at) === at;
}

/** Whether a file can begin so, that of weights or of JSON. @param {string} url @param {Uint8Array} beginning */
function isPlausible(url, beginning) {
  if (/\.json$/.test(new URL(url).pathname)) return /^\s*[{[]/.test(new TextDecoder().decode(beginning));
  if (beginning.length < 9) return false;
  if (pyTorchKind(beginning)) return true;
  const length = new DataView(beginning.buffer, beginning.byteOffset).getBigUint64(0, true);
  return length <= LARGEST_HEADER && beginning[8] === 0x7b;
}

/** @implements {SourceFile} */
class KeptFile {
  #link;
  #entry;
  #remote;
  #how;
  /** Whether bytes of an earlier time were read. */
  reused = false;

  /**
   * @param {string} url
   * @param {Link} link
   * @param {Entry} entry
   * @param {RemoteFile | null} remote null: no contact
   * @param {How & { old: boolean }} how old: what is kept is of an earlier time
   */
  constructor(url, link, entry, remote, how) {
    this.name = url;
    this.size = entry.meta?.size ?? (how.whole && remote?.ranges ? undefined : remote?.size);
    this.ranges = remote?.ranges ?? true;
    this.steady = Boolean(entry.meta?.version);
    this.#link = link;
    this.#entry = entry;
    this.#remote = remote;
    this.#how = how;
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
      if (kept) this.reused ||= this.#how.old;
      for await (const piece of kept ? this.#entry.stream(at, end) : this.#download(at, stop)) {
        at += piece.length;
        yield piece;
      }
      if (kept || at === stop) continue;
      // The server did not know the size before.
      if (this.size === undefined) {
        this.size = at;
        await this.#entry.add({ size: at });
      }
      return;
    }
  }

  /** The server's file; it must be the one whose parts are here. @returns {Promise<RemoteFile>} */
  async #server() {
    if (this.#remote) return this.#remote;
    const remote = await openRemote(this.name, this.#link, { first: CHECKED });
    if (!remote || typeof remote === 'string' || !isPlausible(this.name, remote.beginning)) {
      const what = `${this.name} is kept in part, and its server does not show the rest`;
      throw new MudptError('network', what, 'load it again later');
    }
    if (!(await isSame(this.#entry, remote, this.#how))) {
      await remote.close();
      await this.#entry.remove();
      throw new Stale('network', `${this.name} has changed since it was kept`, 'load it again');
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

  /** What is kept is of no use: of an earlier time, or with the wrong digest. Whether it was used. */
  async discard() {
    if (!this.reused && !this.#how.checked) return false;
    await this.#entry.remove();
    return this.reused;
  }

  async close() {
    if (this.#remote) await this.#remote.close();
  }
}

/**
 * What to begin a load with that failed, where it failed for what was kept, which is removed.
 * @param {Visit} visit
 * @param {unknown} error
 * @returns {Promise<Visit | null>} null where another try would end as the first one
 */
export async function afterFailure(visit, error) {
  if (!(error instanceof MudptError)) return null;
  let isWorthwhile = error instanceof Stale;
  if (['model', 'tokenizer'].includes(error.code)) {
    // Messages name the files that they are about.
    for (const file of visit.files) {
      const name = new URL(file.name).pathname.split('/').at(-1);
      if (name && error.message.includes(name) && (await file.discard())) isWorthwhile = true;
    }
  }
  return isWorthwhile ? new Visit(true) : null;
}

// ---------------------------------------------------------------------------------------------------- for callers

/**
 * What is kept; described in index.d.ts.
 * @returns {Promise<{ url: string, bytes: number, size: number | undefined, etag: string, savedAt: Date }[]>}
 */
async function list() {
  await sweep();
  const found = [];
  await forEachEntry(async ({ meta, parts }) => {
    if (!meta || meta.absent) return;
    const bytes = (await parts().catch(() => [])).reduce((sum, { begin, end }) => sum + end - begin, 0);
    found.push({ url: meta.url, bytes, size: meta.size, etag: meta.version, savedAt: new Date(meta.savedAt) });
  });
  return found;
}

/** Removes entries, all that can be. @param {(entry: import('./entry.js').Found) => boolean} wants */
async function removeWhere(wants) {
  let removed = 0;
  let failure;
  await forEachEntry(async (entry) => {
    if (!wants(entry)) return;
    try {
      await entry.remove();
      removed++;
    } catch (cause) {
      failure = cause;
    }
  });
  if (!failure) return removed;
  const hint = 'something else may use it: try again';
  throw new MudptError('file', `a kept file cannot be removed: ${reasonOf(failure)}`, hint, { cause: failure });
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
  const removed = await removeWhere(({ meta }) => Boolean(meta?.url.startsWith(prefix.href)));
  return removed > 0;
}

/** Removes everything, damaged entries too. */
async function clear() {
  await removeWhere(() => true);
}

/** What pages and programs may do with the files that are kept. */
export const cache = Object.freeze({ list, delete: remove, clear });
