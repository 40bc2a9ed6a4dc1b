/**
 * SHA-256 (FIPS 180-4) of bytes that come in pieces, and the `integrity` option made of it. The platform's own digest
 * takes whole files only, and none at all in pages without https.
 *
 *   const hash = new Sha256();
 *   hash.update(piece);
 *   hash.digest();                     // 32 bytes
 */
import { MudptError } from '../base/errors.js';
import { collect } from './download.js';

const BLOCK = 64;
/** Bytes whose digest is kept of a file that is read in any order. */
const PIECE = 1024 * 1024;
/** What the weights are called, for one digest of a folder. */
const USUAL = ['model.safetensors', 'open_clip_model.safetensors', 'pytorch_model.bin', 'open_clip_pytorch_model.bin'];
const FORM = /^sha256-[A-Za-z0-9+/]{43}=$/;

/** The first 32 bits of the fractions of the `power`th roots of the first `count` primes. */
function rootsOfPrimes(count, power) {
  const words = new Uint32Array(count);
  for (let n = 2, found = 0; found < count; n++) {
    let isPrime = true;
    for (let d = 2; d * d <= n; d++) isPrime &&= n % d !== 0;
    if (!isPrime) continue;
    const root = n ** (1 / power);
    words[found++] = (root - Math.floor(root)) * 2 ** 32;
  }
  return words;
}

const START = rootsOfPrimes(8, 2);
const ROUNDS = rootsOfPrimes(64, 3);
const turn = (x, by) => (x >>> by) | (x << (32 - by));

export class Sha256 {
  #state = START.slice();
  #block = new Uint8Array(BLOCK);
  #view = new DataView(this.#block.buffer);
  #words = new Uint32Array(64);
  #filled = 0;
  #bytes = 0;

  /** @param {Uint8Array} piece */
  update(piece) {
    this.#bytes += piece.length;
    for (let rest = piece; rest.length;) {
      const part = rest.subarray(0, BLOCK - this.#filled);
      this.#block.set(part, this.#filled);
      this.#filled += part.length;
      rest = rest.subarray(part.length);
      if (this.#filled < BLOCK) return;
      this.#compress();
      this.#filled = 0;
    }
  }

  #compress() {
    const w = this.#words;
    for (let i = 0; i < 16; i++) w[i] = this.#view.getUint32(4 * i);
    for (let i = 16; i < 64; i++) {
      const early = turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ (w[i - 15] >>> 3);
      const late = turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ (w[i - 2] >>> 10);
      w[i] = w[i - 16] + early + w[i - 7] + late;
    }
    let [a, b, c, d, e, f, g, h] = this.#state;
    for (let i = 0; i < 64; i++) {
      const choice = (e & f) ^ (~e & g);
      const first = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + choice + ROUNDS[i] + w[i]) | 0;
      const majority = (a & b) ^ (a & c) ^ (b & c);
      const second = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + majority) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((value, i) => (this.#state[i] += value));
  }

  /** Nothing can follow. @returns {Uint8Array} */
  digest() {
    const bits = BigInt(this.#bytes) * 8n;
    const padding = new Uint8Array(BLOCK - ((this.#bytes + 8) % BLOCK) + 8);
    padding[0] = 0x80;
    new DataView(padding.buffer).setBigUint64(padding.length - 8, bits);
    this.update(padding);
    const out = new DataView(new ArrayBuffer(32));
    this.#state.forEach((word, i) => out.setUint32(4 * i, word));
    return new Uint8Array(out.buffer);
  }
}

/** As integrity attributes have it: sha256- and the digest in base64. @param {Sha256} hash */
const textOf = (hash) => `sha256-${btoa(String.fromCharCode(...hash.digest()))}`;

/** The digest of some bytes as text. @param {Uint8Array<ArrayBuffer>} bytes */
export async function digestOf(bytes) {
  if (globalThis.crypto?.subtle) return String(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
  const hash = new Sha256();
  hash.update(bytes);
  return String(hash.digest());
}

/** @param {unknown} wanted @param {string} name of the file it is for */
function checkForm(wanted, name) {
  if (typeof wanted === 'string' && FORM.test(wanted)) return;
  throw new MudptError(
    'argument',
    `integrity of ${name} is ${JSON.stringify(wanted)}, expected sha256- and the digest in base64`,
    `openssl dgst -sha256 -binary ${name} | base64 tells it`,
  );
}

/** @param {string} code @param {string} name @param {string} found @param {string} wanted */
const mismatch = (code, name, found, wanted) =>
  new MudptError(code, `${name} is not the file that is wanted: it is ${found}, not ${wanted}`, 'do not use it');

/**
 * Refuses a saved classifier other than the one that is wanted.
 * @param {Uint8Array} bytes
 * @param {unknown} wanted undefined: any
 * @param {string} name
 */
export function requireIntegrity(bytes, wanted, name) {
  if (wanted === undefined) return;
  checkForm(wanted, name);
  const hash = new Sha256();
  hash.update(bytes);
  const found = textOf(hash);
  if (found !== wanted) throw mismatch('classifier', name, found, String(wanted));
}

/**
 * A source whose files must be those that are wanted. A file that is checked is read whole and in order, so of it there
 * are no ranges; what must be read in any order is read whole first. What was read may be used only after `verify`.
 * @param {import('./source.js').Source} source
 * @param {unknown} integrity of the weights, or of files by their names; undefined: nothing is checked
 * @returns {{ source: import('./source.js').Source, verify: () => Promise<void> }}
 */
export function checkedSource(source, integrity) {
  if (integrity === undefined) return { source, verify: async () => {} };
  const isOne = typeof integrity === 'string' || integrity === null || typeof integrity !== 'object';
  const one = source.weights ? [source.weights] : USUAL;
  const wanted = new Map(isOne ? one.map((name) => [name, integrity]) : Object.entries(integrity));
  for (const [name, text] of wanted) checkForm(text, name);
  /** @type {Map<string, CheckedFile>} */
  const open = new Map();
  return {
    source: {
      ...source,
      async open(path) {
        const file = await source.open(path, wanted.has(path));
        if (!file || !wanted.has(path)) return file;
        const checked = new CheckedFile(file);
        open.set(path, checked);
        return checked;
      },
    },
    async verify() {
      const used = [...open].filter(([, file]) => !file.closed).map(([name]) => name);
      const names = isOne && used.length === 1 ? used : isOne ? one.slice(0, 1) : wanted.keys();
      for (const name of names) {
        const text = wanted.get(name);
        const file = open.get(name);
        const found = await file?.finish();
        if (!file || !found) {
          const what = `integrity names ${name}, which is none of the files that were read`;
          throw new MudptError('argument', what, 'name the files as they are called in the model');
        }
        if (found !== text) throw mismatch('model', file.name, found, String(text));
      }
    },
  };
}

/** A file that is hashed while it is read from its beginning. @implements {SourceFile} */
class CheckedFile {
  #file;
  #hash = new Sha256();
  /** Bytes that are in the hash. */
  #at = 0;
  #ended = false;
  /** Of the pieces of a file that is read in any order, which must be those that were in the whole. @type {string[]} */
  #digests = [];
  ranges = false;
  closed = false;

  /** @typedef {import('./source.js').SourceFile} SourceFile @param {SourceFile} file */
  constructor(file) {
    this.#file = file;
    this.name = file.name;
    this.size = file.size;
  }

  /** @param {number} offset @param {Uint8Array} bytes */
  #see(offset, bytes) {
    if (offset > this.#at) throw new MudptError('state', `${this.name} was not read in order`);
    this.#hash.update(bytes.subarray(Math.min(bytes.length, this.#at - offset)));
    this.#at = Math.max(this.#at, offset + bytes.length);
  }

  async read(offset, length) {
    if (this.#digests.length) return collect(this, offset, length);
    const bytes = await this.#file.read(offset, length);
    this.#see(offset, bytes);
    return bytes;
  }

  /** Reads it whole, before it is read in another order. */
  async allowAnyOrder() {
    const piece = new Uint8Array(PIECE);
    const digests = [];
    let filled = 0;
    for await (let rest of this.stream()) {
      while (rest.length) {
        const part = rest.subarray(0, PIECE - filled);
        piece.set(part, filled);
        filled += part.length;
        rest = rest.subarray(part.length);
        if (filled < PIECE) continue;
        digests.push(await digestOf(piece));
        filled = 0;
      }
    }
    digests.push(await digestOf(piece.subarray(0, filled)));
    this.size = this.#at;
    this.ranges = this.#file.ranges;
    this.steady = this.#file.steady;
    this.#digests = digests;
  }

  /** Pieces that were in the whole. @param {number} offset @param {number} end */
  async *#seen(offset, end) {
    for (let at = offset; at < end;) {
      const index = Math.floor(at / PIECE);
      const piece = await this.#file.read(index * PIECE, PIECE);
      if ((await digestOf(piece)) !== this.#digests[index])
        throw new MudptError('network', `${this.name} changed while it was read`, 'load it again');
      const part = piece.subarray(at - index * PIECE, end - index * PIECE);
      if (!part.length) return;
      at += part.length;
      yield part;
    }
  }

  async *stream(offset = 0, length = Infinity) {
    if (this.#digests.length) return yield* this.#seen(offset, Math.min(offset + length, this.size ?? 0));
    for await (const piece of this.#file.stream(offset, length)) {
      this.#see(offset, piece);
      offset += piece.length;
      yield piece;
    }
    this.#ended ||= length === Infinity;
  }

  /** The digest of the whole file. */
  async finish() {
    if (!this.#ended && this.#at !== this.size) for await (const _ of this.stream(this.#at));
    return textOf(this.#hash);
  }

  close() {
    this.closed = true;
    return this.#file.close();
  }
}
