/**
 * One file on a web server, read anywhere and in pieces, at the pace of whoever reads. Where the server has ranges only
 * the bytes that are asked for are fetched; where it has none the file is read forwards in one go. A download that
 * breaks off or stalls goes on where it was, and a file that changes on the way is refused.
 */
import { MudptError, reasonOf } from './errors.js';
import { isNode } from './platform.js';

const PIECE = 1024 * 1024;
/** Of the first request: a weights file's header fits, and all of nearly every JSON file. */
const FIRST = 512 * 1024;
const SILENT = 2; // what a stall counts for: of both kinds of failure, it has cost the most time

/**
 * @typedef {object} Link how downloads are made
 * @property {AbortSignal} [signal] read at every request: may be taken away
 * @property {number} timeout milliseconds that a server may be silent
 * @property {number[]} retryDelays milliseconds to wait before each new attempt without progress
 * @property {boolean} cache whether files are kept
 *
 * @typedef {object} Remote
 * @property {string} version ETag, or when it was modified; '' where the server tells neither
 *
 * @typedef {import('./source.js').SourceFile & Remote} RemoteFile
 */

/** What may be tried again. */
class Interruption extends Error {
  /** @param {string} what @param {string} hint @param {{ weight?: number, cause?: unknown }} [options] */
  constructor(what, hint, { weight = 1, cause } = {}) {
    super(what, { cause });
    this.hint = hint;
    this.weight = weight;
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
    const wait = retryDelays[this.#failures - 1];
    if (wait === undefined) {
      throw new MudptError('network', `${this.#url} ${error.message}`, error.hint, { cause: error.cause });
    }
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
  /** Where in the file the next byte of `read` is. */
  at = 0;
  /** @type {number | undefined} of the whole file */
  size;
  version = '';
  status = 0;
  type = '';

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
    const asked = fetch(url, { headers, cache: 'no-store', signal: this.#ending.signal });
    const response = await this.#within(asked);
    this.#reader = response.body?.getReader();
    this.status = response.status;
    this.type = response.headers.get('content-type') ?? '';
    this.version = (response.headers.get('etag') ?? response.headers.get('last-modified') ?? '').replace(/^W\//, '');
    const length = response.headers.get('content-length');
    const part = /^bytes (?:(\d+)-\d+|\*)\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '');
    if (response.status === 206) {
      this.at = Number(part?.[1] ?? range?.begin ?? 0);
      if (part && part[2] !== '*') this.size = Number(part[2]);
      if (!range || this.at !== range.begin) {
        throw new MudptError('network', `${url} was answered with other bytes than asked for`, 'tell who runs it');
      }
    } else if (response.status === 416) {
      this.size = Number(part?.[2] ?? 0);
    } else if (length !== null && !response.headers.has('content-encoding')) {
      this.size = Number(length); // of a compressed answer it is not the file's
    }
    if (response.status >= 500 || response.status === 429) {
      throw new Interruption(answered(response), 'the server is in trouble; try again later');
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
    const { signal, timeout } = this.#link;
    signal?.throwIfAborted();
    let timer;
    let stop = () => {};
    const given = new Promise((_, reject) => {
      const hint = 'check the connection; the option timeout says how long to wait';
      const silent = new Interruption(`sent nothing for ${timeout / 1000} s`, hint, { weight: SILENT });
      timer = setTimeout(() => reject(silent), timeout);
      stop = () => reject(signal?.reason);
      signal?.addEventListener('abort', stop, { once: true });
    });
    try {
      return await Promise.race([promise, given]);
    } catch (error) {
      this.#ending.abort();
      throw error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
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

/** @param {{ status: number, statusText?: string }} response */
const answered = ({ status, statusText = '' }) => `was answered with ${status} ${statusText}`.trim();

/** The error of a request that got no answer. @param {string} url @param {unknown} cause */
async function unreachable(url, cause) {
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
        `${url} may not be read from this page: its server does not allow other sites (CORS)`,
        "the server must send Access-Control-Allow-Origin; or serve the files from the page's own site",
        { cause },
      );
    }
  }
  return new MudptError(
    'network',
    `${url} cannot be fetched: ${reasonOf(cause)}`,
    'check the address and the connection; from another site the server must allow it (CORS)',
    { cause },
  );
}

/** Whether a page's browser asks the server for leave. @param {string} url */
const isForeign = (url) => !isNode && /^https?:/.test(url) && new URL(url).origin !== globalThis.location?.origin;

/** The first answer; a server may refuse a foreign page's wish for a range, but not the file. */
async function firstAnswer(url, link, end) {
  const answer = new Answer(link);
  try {
    return await answer.open(url, { begin: 0, end });
  } catch (error) {
    answer.close();
    link.signal?.throwIfAborted();
    if (error instanceof Interruption || error instanceof MudptError) throw error;
    const plain = isForeign(url) ? await new Answer(link).open(url, null).catch(() => null) : null;
    if (plain) return plain;
    throw await unreachable(url, error);
  }
}

/**
 * @param {string} url
 * @param {Link} link
 * @param {{ first?: number, asking?: Link }} [options] first: bytes that are fetched at once where the server has
 *   ranges; asking: the link of this first request
 * @returns {Promise<RemoteFile | 'page' | null>} 'page': the server shows HTML instead; null: there is no such file
 */
export async function openRemote(url, link, { first = FIRST, asking = link } = {}) {
  const patience = new Patience(url, asking);
  for (;;) {
    let answer;
    try {
      answer = await firstAnswer(url, asking, first);
      const { status } = answer;
      const ok = status === 200 || status === 206 || status === 416;
      if (ok && !(await answer.isPage())) return await fileFrom(url, link, answer, first);
      answer.close();
      if (ok) return 'page';
      if (status === 404 || status === 410) return null;
      const hint = status === 401 || status === 403 ? 'it needs a login, or is not public' : 'check the address';
      throw new MudptError('network', `${url} ${answered(answer)}`, hint);
    } catch (error) {
      answer?.close();
      await patience.after(error);
    }
  }
}

/** @param {string} url @param {Link} link @param {Answer} answer @param {number} first bytes asked for */
async function fileFrom(url, link, answer, first) {
  const ranges = answer.status !== 200;
  if (!ranges) return new Download(url, link, answer, new Uint8Array(0));
  /** @type {Uint8Array} */
  let head = new Uint8Array(0);
  try {
    for (let piece; (piece = await answer.read(PIECE));) head = concat(head, piece);
    if (head.length < first) answer.size ??= head.length;
  } catch (error) {
    if (!(error instanceof Interruption)) throw error; // what is missing will be asked for
  }
  answer.close();
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
  #head;
  /** @type {Answer | null} where there are no ranges: the one that the file is read from */
  #whole;

  /** @param {string} url @param {Link} link @param {Answer} first @param {Uint8Array} head its bytes */
  constructor(url, link, first, head) {
    this.name = url;
    this.size = first.size;
    this.version = first.version;
    this.ranges = first.status !== 200;
    this.#link = link;
    this.#head = head;
    this.#whole = this.ranges ? null : first;
  }

  async read(offset, length) {
    return collect(this, offset, length);
  }

  async *stream(offset = 0, length = Infinity) {
    const end = Math.min(offset + length, this.size ?? Infinity);
    let at = offset;
    while (at < Math.min(end, this.#head.length)) {
      const piece = this.#head.subarray(at, Math.min(end, at + PIECE));
      at += piece.length;
      yield piece;
    }
    const patience = new Patience(this.name, this.#link);
    while (at < end) {
      let answer;
      try {
        answer = await this.#answerTo(at, end);
        const opened = answer;
        const next = () => opened.read(opened.at < at ? at - opened.at : end - at);
        for (let piece; at < end && (piece = await next());) {
          if (opened.at <= at) continue; // on the way to where we were
          at += piece.length;
          patience.progress();
          yield piece;
        }
        if (at < end && end !== Infinity) throw answer.brokenOff();
        if (at < end) return;
      } catch (error) {
        this.#drop(answer);
        await patience.after(error);
      } finally {
        if (answer !== this.#whole) answer?.close();
      }
    }
  }

  /** @param {number} at @param {number} end @returns {Promise<Answer>} which begins there or before */
  async #answerTo(at, end) {
    if (this.#whole && this.#whole.at <= at) return this.#whole;
    this.#drop(this.#whole);
    const answer = new Answer(this.#link);
    try {
      await answer.open(this.name, this.ranges ? { begin: at, end } : null);
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
    if (status === 416 || ((status === 200 || status === 206) && isOther)) {
      throw new MudptError('network', `${this.name} changed while it was read`, 'load it again');
    }
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
