/** Reading golden files, comparing with them and reporting, for golden.js: what tests/c/golden_check.h is for C. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

import { decode } from 'fast-png';

import { halfToFloat } from '../../js/loading/floats.js';
import { headerOf } from '../../js/loading/safetensors.js';

/** The faults of one golden case; the first is shown, the others are counted. */
export class Outcome {
  faults = [];

  /** @param {string} name */
  constructor(name) {
    this.name = name;
  }

  fault(text) {
    this.faults.push(String(text).split('\n', 1)[0]);
  }

  /** Runs `action`; what it throws is a fault. */
  async attempt(action) {
    try {
      await action();
    } catch (error) {
      this.fault(`${error.code ? `${error.code}: ` : ''}${error.message}`);
    }
  }
}

/** Counts outcomes and prints a line for each. */
export class Report {
  passed = 0;
  failed = 0;
  /** Cases of a kind that is not known here. */
  skipped = 0;
  /** Of the failed, those of a method that the library does not name. */
  unavailable = 0;

  /** @param {boolean} verbose print every fault, not only a case's first */
  constructor(verbose) {
    this.verbose = verbose;
  }

  /**
   * Runs one case.
   * @param {string} name
   * @param {(outcome: Outcome) => unknown} check
   */
  async run(name, check) {
    const { faults } = await this.#attempt(name, check);
    if (faults.length) return;
    this.passed++;
    console.log(`ok   ${name}`);
  }

  /** Runs what cases need and is none itself: counts only if it fails. Returns whether it did not. */
  async require(name, action) {
    const { faults } = await this.#attempt(name, action);
    return faults.length === 0;
  }

  /** @param {string} name @param {string} kind */
  skip(name, kind) {
    this.skipped++;
    console.log(`skip ${name}: cases of kind ${kind} are not known here`);
  }

  async #attempt(name, check) {
    const outcome = new Outcome(name);
    await outcome.attempt(() => check(outcome));
    const { faults } = outcome;
    if (!faults.length) return outcome;
    this.failed++;
    if (faults[0].startsWith(UNAVAILABLE)) this.unavailable++;
    console.log(`FAIL ${name}: ${faults[0]}${faults.length > 1 ? ` (and ${faults.length - 1} more)` : ''}`);
    if (this.verbose) for (const fault of faults) console.log(`     ${fault}`);
    return outcome;
  }
}

const UNAVAILABLE = 'method is not available: ';

/** The same text as a fault for every method that the library does not name. */
export function checkMethod(core, method) {
  if (!core.methodNames().includes(method)) throw new Error(`${UNAVAILABLE}${method}`);
}

export const readJson = (...parts) => JSON.parse(readFileSync(path.join(...parts), 'utf8'));

/** A file's bytes in an array of its own. */
export const readBytes = (...parts) => new Uint8Array(readFileSync(path.join(...parts)));

/** Rounded to the nearest value that float16 holds, ties to even; as bits. */
function floatToHalf(value) {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (!(size < 65520)) return sign | (Number.isNaN(size) ? 0x7e00 : 0x7c00);
  const even = (x) => (x % 1 === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));
  if (size < 2 ** -14) return sign | even(size * 2 ** 24);
  const exponent = Math.floor(Math.log2(size));
  const exact = 2 ** exponent > size ? exponent - 1 : 2 ** (exponent + 1) <= size ? exponent + 1 : exponent;
  return sign | (((exact + 14) << 10) + even(size * 2 ** (10 - exact)));
}

const READ = {
  F32: (bytes) => new Float32Array(bytes.buffer),
  F16: (bytes) => Float32Array.from(new Uint16Array(bytes.buffer), halfToFloat),
  BF16: (bytes) => new Float32Array(Uint32Array.from(new Uint16Array(bytes.buffer), (half) => half << 16).buffer),
  I32: (bytes) => new Int32Array(bytes.buffer),
};

/** All tensors of a safetensors file in memory. */
export class Tensors {
  constructor(...parts) {
    this.file = readBytes(...parts);
    this.header = headerOf(this.file, path.join(...parts));
    this.byName = new Map(this.header.tensors.map((tensor) => [tensor.name, tensor]));
  }

  has(name) {
    return this.byName.has(name);
  }

  shape(name) {
    return this.#find(name).shape;
  }

  #find(name) {
    const tensor = this.byName.get(name);
    if (!tensor) throw new Error(`the golden file has no tensor ${name}`);
    return tensor;
  }

  /** A copy of a tensor's bytes. */
  bytes(name) {
    const { begin, bytes } = this.#find(name);
    return this.file.slice(begin, begin + bytes);
  }

  /** The values, widened to float32 or as 32-bit integers. @param {string} name */
  values(name) {
    const { dtype } = this.#find(name);
    if (!Object.hasOwn(READ, dtype)) throw new Error(`tensor ${name} has the type ${dtype}`);
    return READ[dtype](this.bytes(name));
  }

  /** The values rounded to float16, as its bytes. */
  halves(name) {
    return new Uint8Array(Uint16Array.from(this.values(name), floatToHalf).buffer);
  }
}

/** The pixels of a PNG as 8-bit RGB, by a decoder that is not the library's. */
export function readPng(...parts) {
  const { width, height, channels, depth, data, palette } = decode(readBytes(...parts));
  if (depth !== 8) throw new Error(`${path.join(...parts)} has ${depth} bits a channel`);
  const rgb = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    const pixel = palette ? palette[data[i]] : data.subarray(i * channels, (i + 1) * channels);
    for (let c = 0; c < 3; c++) rgb[3 * i + c] = pixel[palette || channels > 2 ? c : 0];
  }
  return { width, height, rgb };
}

const short = (value) => Number(value.toPrecision(8));

/** max |got - want| <= tolerance * max |want|; NaN fails. */
export function compare(outcome, what, got, want, tolerance) {
  if (got.length !== want.length) {
    outcome.fault(`${what}: got ${got.length} values, ${want.length} are right`);
    return;
  }
  let scale = 0;
  let worst = -1;
  let at = 0;
  for (let i = 0; i < want.length; i++) {
    const difference = Math.abs(got[i] - want[i]);
    scale = Math.max(scale, Math.abs(want[i]));
    if (!(difference <= worst)) {
      worst = difference;
      at = i;
      if (Number.isNaN(difference)) break;
    }
  }
  const allowed = Math.max(tolerance * scale, 1e-9); // the floor is for answers that are exactly 0
  if (want.length && !(worst <= allowed)) {
    const place = `index ${at} of ${want.length}`;
    outcome.fault(
      `${what}: got ${short(got[at])} where ${short(want[at])} is right (${place}), ` +
        `off by ${worst.toPrecision(3)}, allowed ${allowed.toPrecision(3)}`,
    );
  }
}

/** |got - want| <= tolerance * |want|, both as the root of all squares; NaN fails. */
export function compareNorm(outcome, what, got, want, tolerance) {
  const norm = (values) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  const off = norm(want.map((value, i) => got[i] - value));
  const allowed = Math.max(tolerance * norm(want), 1e-9);
  if (!(off <= allowed)) {
    outcome.fault(`${what}: off by ${off.toPrecision(3)} of all, allowed ${allowed.toPrecision(3)}`);
  }
}

export function compareNumber(outcome, what, got, want, tolerance) {
  const allowed = tolerance * Math.max(Math.abs(want), 1e-3);
  const off = Math.abs(got - want);
  if (!(off <= allowed)) {
    const limits = `off by ${off.toPrecision(3)}, allowed ${allowed.toPrecision(3)}`;
    outcome.fault(`${what}: got ${short(got)} where ${short(want)} is right, ${limits}`);
  }
}

/** Two pictures of RGB bytes: how far they are apart per channel value. */
export function comparePictures(outcome, what, got, want, { largest, mean }) {
  let worst = got.length === want.length ? 0 : Infinity;
  let sum = 0;
  for (let i = 0; i < want.length; i++) {
    const difference = Math.abs(got[i] - want[i]);
    worst = Math.max(worst, difference);
    sum += difference;
  }
  const average = sum / want.length;
  if (!(worst <= largest && average <= mean)) {
    const seen = `off by up to ${worst}, ${average.toPrecision(3)} on average`;
    outcome.fault(`${what}: got a picture ${seen}, allowed ${largest}, ${mean}`);
  }
}
