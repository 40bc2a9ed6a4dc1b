/**
 * One file on a web server, read anywhere and in pieces, at the pace of whoever reads. Where the server has ranges only
 * the bytes that are asked for are fetched; where it has none the file is read forwards in one go. A download that
 * breaks off or stalls goes on where it was, and a file that changes on the way is refused.
 */
import { MudptError, reasonOf } from '../base/errors.js';
import { isNode } from '../base/platform.js';
import { within } from '../base/within.js';

const PIECE = 1024 * 1024;
/** Of the first request: a weights file's header fits, and all of nearly every JSON file. */
const FIRST = 512 * 1024;
/** Milliseconds before each new attempt. */
export const RETRY_DELAYS = [250, 1000, 3000];
const SILENT = 2; // what a stall counts for: of both kinds of failure, it has cost the most time
/** A server that wants to be left alone for longer than this many milliseconds is not waited for. */
const LONGEST_WAIT = 60_000;
/** Bytes that an answer must repeat where nothing else tells whether it is still about the same file. */
const OVERLAP = 1024;

/**
 * @typedef {object} Link how downloads are made
 * @property {AbortSignal} [signal] read at every request: may be taken away
 * @property {number} timeout milliseconds that a server may be silent
 * @property {number[]} retryDelays milliseconds to wait before each new attempt without progress
 * @property {boolean} cache whether files are kept
 * @property {RequestCache} [browserCache] what the browser's own cache is for
 *
 * @typedef {object} Remote
 * @property {string} version ETag, or when it was modified; '' where the server tells neither, or what tells nothing
 * @property {Uint8Array} beginning the first bytes, as many as came with the first answer
 *
 * @typedef {import('./source.js').SourceFile & Remote} RemoteFile
 */

/** What may be tried again. */
class Interruption extends Error {
  /**
   * @param {string} what
   * @param {string} hint
   * @param {{ weight?: number, wait?: number, cause?: unknown }} [options] wait: milliseconds that the server asks for
   */
  constructor(what, hint, { weight = 1, wait = 0, cause } = {}) {
    super(what, { cause });
    this.hint = hint;
    this.weight = weight;
    this.wait = wait;
  }
}

/** Counts failures since there was progress, and waits, or gives up. */
class Patience {
  #url;
  #link;
  #failures = 0;

  /** @param {string} url @param {Link} link */
  constructor(url, link) {
    this.#url = url;
    this.#link = link;
  }

  progress() {
    this.#failures = 0;
  }

  /** Comes back when it is time to try again. @param {unknown} error */
  async after(error) {
    const { signal, retryDelays } = this.#link;
    signal?.throwIfAborted();
    if (!(error instanceof Interruption)) throw error;
    this.#failures += error.weight;
    const delay = retryDelays[this.#failures - 1];
    if (delay === undefined || error.wait > LONGEST_WAIT) {
      throw new MudptError('network', `${this.#url} ${error.message}`, error.hint, { cause: error.cause });
    }
    const wait = Math.max(delay, error.wait);
    await new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', stop);
        resolve(undefined);
      }, wait);
      signal?.addEventListener('abort', stop, { once: true });
    });
  }
}

/** One answer of a server, read forwards. */
class Answer {
  #link;
  #ending = new AbortController();
  /** @type {ReadableStreamDefaultReader<Uint8Array> | undefined} */
  #reader;
  /** @type {Uint8Array} what has come of the body last, and what is still to be read of it */
  #chunk = new Uint8Array(0);
  #rest = this.#chunk;
  /** Where in the file the next byte of `read` is, and the first one was. */
  at = 0;
  #from = 0;
  /** @type {number | undefined} of the whole file */
  size;
  version = '';
  status = 0;
  type = '';
  /** @type {number | undefined} of what is sent: compressed, if it is */
  length;
  isEncoded = false;

  /** @param {Link} link */
  constructor(link) {
    this.#link = link;
  }

  /**
   * Asks for the bytes from `begin` to before `end`, or for the whole file.
   * @param {string} url
   * @param {{ begin: number, end: number } | null} range
   */
  async open(url, range) {
    /** @type {Record<string, string>} */
    const headers = {};
    if (range) headers.Range = `bytes=${range.begin}-${range.end === Infinity ? '' : range.end - 1}`;
    // A cache of our own follows; the browser's would keep everything a second time.
    const { browserCache = 'no-store' } = this.#link;
    const asked = fetch(url, { headers, cache: browserCache, signal: this.#ending.signal });
    const response = await this.#within(asked);
    this.#reader = response.body?.getReader();
    this.status = response.status;
    this.type = response.headers.get('content-type') ?? '';
    const { headers: told } = response;
    const length = told.get('content-length');
    if (length !== null) this.length = Number(length);
    this.isEncoded = !['', 'identity'].includes(told.get('content-encoding') ?? '');
    const part = /^bytes (?:(\d+)-\d+|\*)\/(\d+|\*)$/.exec(told.get('content-range') ?? '');
    if (response.status === 206) {
      this.at = this.#from = Number(part?.[1] ?? range?.begin ?? 0);
      if (part && part[2] !== '*' && !this.isEncoded) this.size = Number(part[2]);
      if (!range || this.at !== range.begin) {
        throw new MudptError('network', `${url} was answered with other bytes than asked for`, 'tell who runs it');
      }
    } else if (response.status === 416) {
      if (part) this.size = Number(part[2]);
    } else if (length !== null && !this.isEncoded && (isNode || response.type !== 'cors')) {
      this.size = Number(length); // other sites seldom let a page see whether an answer is compressed
    }
    this.version = versionOf(told, this.size);
    if (response.status >= 500 || response.status === 429) {
      const wait = waitOf(told);
      const asks = wait > LONGEST_WAIT ? `, and asks to come back in ${Math.ceil(wait / 1000)} s` : '';
      throw new Interruption(`${answered(response)}${asks}`, 'the server is in trouble; try again later', { wait });
    }
    return this;
  }

  /** At most `most` of the next bytes, valid until the next call; null at the end. @param {number} most */
  async read(most) {
    if (!this.#rest.length) {
      release(this.#chunk);
      let next;
      try {
        next = this.#reader ? await this.#within(this.#reader.read()) : { done: true, value: undefined };
      } catch (cause) {
        if (cause instanceof Interruption) cause.message += ` after ${this.at} bytes`;
        if (cause instanceof Interruption || this.#link.signal?.aborted) throw cause;
        throw this.brokenOff(cause);
      }
      if (next.done || !next.value) return null;
      this.#chunk = this.#rest = next.value;
      if (!next.value.length) return this.read(most);
    }
    const out = this.#rest.subarray(0, Math.min(most, PIECE));
    this.#rest = this.#rest.subarray(out.length);
    this.at += out.length;
    return out;
  }

  /** Bytes that were read. */
  get count() {
    return this.at - this.#from;
  }

  /** Whether there were fewer bytes than the server said; what is compressed is at most a little longer. */
  get endedEarly() {
    return !this.isEncoded && this.count < (this.length ?? 0) - 1024;
  }

  /** @param {unknown} [cause] */
  brokenOff(cause) {
    const of = this.size === undefined ? '' : ` of ${this.size}`;
    return new Interruption(`broke off after ${this.at} bytes${of}`, 'check the connection and try again', { cause });
  }

  /** Whether what comes next looks like HTML. */
  async isPage() {
    if (!this.type.includes('text/html')) return false;
    const start = await this.read(PIECE);
    if (start) {
      this.at -= start.length;
      this.#rest = new Uint8Array(this.#chunk.buffer, start.byteOffset, start.length + this.#rest.length);
    }
    return new TextDecoder().decode(this.#rest.subarray(0, 64)).trimStart().startsWith('<');
  }

  /** What `promise` gives, unless the server is silent for too long, or the caller gives up. */
  async #within(promise) {
    promise.catch(() => {}); // nobody waits for it after an abort
    const hint = 'check the connection; the option timeout says how long to wait';
    const silent = (seconds) => new Interruption(`sent nothing for ${seconds} s`, hint, { weight: SILENT });
    try {
      return await within(promise, this.#link, silent);
    } catch (error) {
      this.#ending.abort();
      throw error;
    }
  }

  close() {
    this.#reader?.cancel().catch(() => {});
    this.#ending.abort();
  }
}

/** Frees memory that garbage collectors are in no hurry to free, where the platform can. @param {Uint8Array} chunk */
function release({ buffer }) {
  if (buffer.byteLength && 'transfer' in buffer) /** @type {any} */ (buffer).transfer(0);
}

/** @param {Uint8Array} first @param {Uint8Array} second */
function concat(first, second) {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

/**
 * Whether bytes on the way are those that came last. @param {Uint8Array} last they end at `at` @param {number} at
 * @param {Uint8Array} piece @param {number} end of the piece
 */
function repeats(last, at, piece, end) {
  const begin = end - piece.length;
  for (let i = Math.max(begin, at - last.length); i < end; i++)
    if (piece[i - begin] !== last[i - at + last.length]) return false;
  return true;
}

/** No model is older: what says so was made by a program that gives all files one time, as npm does. */
const EARLIEST = Date.UTC(2015, 0);
const isTime = (ms) => ms >= EARLIEST && ms < Date.now() + 1e11;

/** Whether an ETag that is made of a size, or of a size and a time, says nothing. @param {string} etag */
function isConstant(etag, size) {
  const pieces = etag.replaceAll('"', '').split('-');
  if (!pieces.every((piece) => /^[0-9a-f]{1,16}(\.\d+)?$/i.test(piece))) return false;
  const isSize = (piece) => [Number.parseInt(piece, 16), Number(piece)].includes(size ?? NaN);
  const others = pieces.filter((piece) => !isSize(piece));
  if (!others.length) return true;
  if (pieces.length === 1 || (size !== undefined && others.length === pieces.length)) return false; // a hash
  // Seconds to nanoseconds, in milliseconds.
  const times = others
    .flatMap((piece) => [Number.parseInt(piece, 16), Number(piece)])
    .flatMap((value) => [1e3, 1, 1e-3, 1e-6].map((unit) => value * unit));
  return !times.some(isTime) && times.some((ms) => ms === 0 || (ms >= 1e11 && ms < EARLIEST));
}

/** What an answer says of the version of its file; '' if nothing. @param {Headers} headers @param {number} [size] */
function versionOf(headers, size) {
  // Servers tell apart what they compress, which here is the same file.
  const etag = (headers.get('etag') ?? '').replace(/^W\//, '').replace(/[-:;]+(?:gzip|br|zstd|deflate|df)(?="?$)/, '');
  if (etag && !isConstant(etag, size)) return etag;
  const modified = headers.get('last-modified') ?? '';
  return isTime(Date.parse(modified)) ? modified : '';
}

/** Milliseconds that a server wants to be left alone. @param {Headers} headers */
function waitOf(headers) {
  const text = headers.get('retry-after')?.trim() ?? '';
  const now = Date.parse(headers.get('date') ?? '') || Date.now(); // their clock may be another
  const wait = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return wait > 0 ? wait : 0;
}

/** @param {{ status: number, statusText?: string }} response */
const answered = ({ status, statusText = '' }) => `was answered with ${status} ${statusText}`.trim();

/** The error of a request that got no answer. @param {string} url @param {unknown} cause @param {string} [name] */
async function unreachable(url, cause, name = url) {
  if (isForeign(url)) {
    // An answer that may not be looked at still tells that the server is there.
    const opaque = fetch(url, { mode: 'no-cors', method: 'HEAD', cache: 'no-store' });
    const isThere = await opaque.then(
      () => true,
      () => false,
    );
    if (isThere) {
      return new MudptError(
        'network',
        `${name} may not be read from this page: its server does not allow other sites (CORS)`,
        "the server must send Access-Control-Allow-Origin; or serve the files from the page's own site",
        { cause },
      );
    }
  }
  return new MudptError(
    'network',
    `${name} cannot be fetched: ${reasonOf(cause)}`,
    'check the address and the connection; from another site the server must allow it (CORS)',
    { cause },
  );
}

/** Whether a page's browser asks the server for leave. @param {string} url */
const isForeign = (url) => !isNode && /^https?:/.test(url) && new URL(url).origin !== globalThis.location?.origin;

/** The first answer; a server may refuse a foreign page's wish for a range, but not the file. */
async function firstAnswer(url, link, range) {
  const answer = new Answer(link);
  try {
    return await answer.open(url, range);
  } catch (error) {
    answer.close();
    link.signal?.throwIfAborted();
    if (error instanceof Interruption || error instanceof MudptError) throw error;
    const plain = range && isForeign(url) ? await new Answer(link).open(url, null).catch(() => null) : null;
    if (plain) return plain;
    throw await unreachable(url, error);
  }
}

/**
 * @param {string} url
 * @param {Link} link
 * @param {{ first?: number, asking?: Link, whole?: boolean }} [options] first: bytes that are fetched at once where the
 *   server has ranges; asking: the link of this first request; whole: without ranges, as small files are read anyway
 * @returns {Promise<RemoteFile | Absence>}
 *
 * @typedef {null | 'page' | 'forbidden'} Absence null: there is no such file; page: the server shows HTML instead;
 *   forbidden: it answers 403, as some do to hide what is there and what is not
 */
export async function openRemote(url, link, { first = FIRST, asking = link, whole = false } = {}) {
  const patience = new Patience(url, asking);
  for (;;) {
    let answer;
    try {
      answer = await firstAnswer(url, asking, whole ? null : { begin: 0, end: first });
      const { status } = answer;
      const isOk = status === 200 || status === 206;
      if (isOk && (await answer.isPage())) {
        answer.close();
        return 'page';
      }
      const file = isOk && (await fileFrom(url, link, answer, first));
      if (file) return file;
      answer.close();
      // A range of what is compressed is of no use; nor is one that the server finds too long, or the file is empty.
      if ((isOk || status === 416) && !whole) whole = true;
      else if (status === 404 || status === 410) return null;
      else if (status === 403) return 'forbidden';
      else {
        const hint = status === 401 ? 'it needs a login, or is not public' : 'check the address';
        throw new MudptError('network', `${url} ${answered(answer)}`, hint);
      }
    } catch (error) {
      answer?.close();
      await patience.after(error);
    }
  }
}

/**
 * All of a picture or another small file; the browser's own cache may have it.
 * @param {string} url
 * @param {{ name: string, most: number, signal?: AbortSignal, timeout: number }} options name: for messages; most:
 *   bytes
 * @returns {Promise<Uint8Array>}
 */
export async function readWhole(url, { name, most, signal, timeout }) {
  const link = {
    signal,
    timeout,
    retryDelays: RETRY_DELAYS,
    cache: false,
    browserCache: /** @type {const} */ ('default'),
  };
  const patience = new Patience(name, link);
  const tooLarge = () => new MudptError('image', `${name} is too large: at most ${most} bytes`, 'shrink the picture');
  for (;;) {
    const answer = new Answer(link);
    try {
      await answer.open(url, null);
      const { status, size = 0 } = answer;
      const hint = status === 401 || status === 403 ? 'it needs a login, or is not public' : 'check the address';
      if (status < 200 || status > 299) throw new MudptError('network', `${name} ${answered(answer)}`, hint);
      if (size > most) throw tooLarge();
      if (await answer.isPage()) {
        throw new MudptError('image', `${name} is a web page (HTML)`, 'give the address of the picture in it');
      }
      const pieces = [];
      for (let piece; (piece = await answer.read(PIECE)); pieces.push(piece.slice())) {
        if (answer.at > most) throw tooLarge();
      }
      const bytes = new Uint8Array(answer.at);
      let filled = 0;
      for (const piece of pieces) {
        bytes.set(piece, filled);
        filled += piece.length;
      }
      return bytes;
    } catch (error) {
      signal?.throwIfAborted();
      const known = error instanceof Interruption || error instanceof MudptError;
      await patience.after(known ? error : await unreachable(url, error, name));
    } finally {
      answer.close();
    }
  }
}

/**
 * @param {string} url
 * @param {Link} link
 * @param {Answer} answer
 * @param {number} first bytes asked for
 * @returns {Promise<Download | null>} null: these are bytes of what is compressed
 */
async function fileFrom(url, link, answer, first) {
  const ranges = answer.status !== 200;
  if (ranges && answer.isEncoded) return null;
  /** @type {Uint8Array} */
  let head = new Uint8Array(0);
  try {
    const most = ranges ? Infinity : first === FIRST ? 0 : first;
    for (let piece; head.length < most && (piece = await answer.read(Math.min(PIECE, most - head.length)));)
      head = concat(head, piece);
    // That there is a Content-Encoding may be hidden.
    if (ranges && answer.length !== undefined && answer.length !== head.length) return null;
    if (ranges && head.length < first) answer.size ??= head.length;
  } catch (error) {
    if (!(error instanceof Interruption)) throw error; // what is missing will be asked for
  }
  if (ranges) answer.close();
  return new Download(url, link, answer, head);
}

/**
 * A part of a file that streams, in one piece.
 * @param {Pick<import('./source.js').SourceFile, 'size' | 'stream'>} file
 * @param {number} offset
 * @param {number} length
 */
export async function collect(file, offset, length) {
  const out = new Uint8Array(Math.min(length, Math.max(0, (file.size ?? Infinity) - offset)));
  let filled = 0;
  for await (const piece of file.stream(offset, length)) {
    out.set(piece, filled);
    filled += piece.length;
  }
  return out.subarray(0, filled);
}

/** @implements {RemoteFile} */
class Download {
  #link;
  /** @type {Answer | null} where there are no ranges: the one that the file is read from */
  #whole;

  /** @param {string} url @param {Link} link @param {Answer} first @param {Uint8Array} head its bytes */
  constructor(url, link, first, head) {
    this.name = url;
    this.size = first.size;
    this.version = first.version;
    this.ranges = first.status !== 200;
    this.steady = this.version !== '';
    this.beginning = head;
    this.#link = link;
    this.#whole = this.ranges ? null : first;
  }

  async read(offset, length) {
    return collect(this, offset, length);
  }

  async *stream(offset = 0, length = Infinity) {
    const end = Math.min(offset + length, this.size ?? Infinity);
    let at = offset;
    const head = this.beginning;
    // What came last, where only that can tell whether the next answer is about the same file.
    let last = new Uint8Array(0);
    const keep = (piece) => {
      if (!this.steady) last = concat(last, piece.subarray(-OVERLAP)).slice(-OVERLAP);
    };
    while (at < Math.min(end, head.length)) {
      const piece = head.subarray(at, Math.min(end, at + PIECE));
      at += piece.length;
      keep(piece);
      yield piece;
    }
    const patience = new Patience(this.name, this.#link);
    while (at < end) {
      const before = at;
      let answer;
      try {
        answer = await this.#answerTo(at, end, last.length);
        if (answer.status === 416) {
          if (answer.size !== undefined && answer.size < at) throw this.#changed();
          return;
        }
        const opened = answer;
        const next = () => opened.read(opened.at < at ? at - opened.at : end - at);
        for (let piece; at < end && (piece = await next());) {
          if (opened.at <= at) {
            // On the way to where we were.
            if (!repeats(last, at, piece, opened.at)) throw this.#changed();
            continue;
          }
          at += piece.length;
          patience.progress();
          keep(piece);
          yield piece;
        }
        if (at >= end) return;
        if (this.size !== undefined || opened.endedEarly) throw opened.brokenOff();
        // Of a file whose size nobody tells, a range may be less than what was asked for.
        if (opened.status !== 206 || at === before) return;
      } catch (error) {
        this.#drop(answer);
        await patience.after(error);
      } finally {
        if (answer !== this.#whole) answer?.close();
      }
    }
  }

  #changed() {
    return new MudptError('network', `${this.name} changed while it was read`, 'load it again');
  }

  /**
   * @param {number} at
   * @param {number} end
   * @param {number} before bytes before `at` that are to come again
   * @returns {Promise<Answer>} which begins there or before
   */
  async #answerTo(at, end, before) {
    if (this.#whole && this.#whole.at <= at) return this.#whole;
    this.#drop(this.#whole);
    const answer = new Answer(this.#link);
    try {
      await answer.open(this.name, this.ranges ? { begin: at - before, end } : null);
    } catch (cause) {
      answer.close();
      this.#link.signal?.throwIfAborted();
      if (cause instanceof Interruption || cause instanceof MudptError) throw cause;
      const hint = 'check the connection and try again';
      throw new Interruption(`cannot be fetched any more: ${reasonOf(cause)}`, hint, { cause });
    }
    try {
      this.#check(answer);
    } catch (error) {
      answer.close();
      throw error;
    }
    // Of a server that has forgotten its ranges every reader reads from the start.
    if (!this.ranges) this.#whole = answer;
    return answer;
  }

  /** Refuses an answer that is not about the same file. @param {Answer} answer */
  #check({ status, size, version }) {
    const differs = (ours, theirs) => ours !== undefined && theirs !== undefined && ours !== theirs;
    const isOther = differs(this.version || undefined, version || undefined) || differs(this.size, size);
    if (status === 416 && this.size === undefined) return; // it was the end
    if (status === 416 || ((status === 200 || status === 206) && isOther)) throw this.#changed();
    if (status !== 200 && status !== 206) {
      throw new MudptError('network', `${this.name} ${answered({ status })}`, 'load it again');
    }
  }

  /** @param {Answer | null | undefined} answer */
  #drop(answer) {
    answer?.close();
    if (answer === this.#whole) this.#whole = null;
  }

  async close() {
    this.#drop(this.#whole);
  }
}
