/**
 * Products of one row with many, four numbers at once: ten thousand rows of 512 numbers in some two milliseconds. The
 * module is products.c, which says how it was made; its memory is that of the rows.
 */
import { MudptError, megabytes } from '../base/errors.js';

const CODE = Uint8Array.from(
  atob(
    [
      'AGFzbQEAAAABCQFgBX9/f39/AAIPAQNlbnYGbWVtb3J5AgABAwIBAAQFAXABAQEGBwF/AUGACAsHDAEIcHJvZHVjdHMAAArIAgHF',
      'AgUDfwF7An8DewJ/AkAgAkEBSA0AIANBAnQhBUEAIQYgA0EBSCEHA0ACQAJAIAdFDQD9DAAAAAAAAAAAAAAAAAAAAAAhCAwBC0EA',
      'IQlBACEK/QwAAAAAAAAAAAAAAAAAAAAAIgghCyAIIQwgCCENA0AgDSABIAlqIg79AAAAIAAgCWoiD/0AAAD95gH95AEhDSAIIA5B',
      'MGr9AAAAIA9BMGr9AAAA/eYB/eQBIQggCyAOQSBq/QAAACAPQSBq/QAAAP3mAf3kASELIAwgDkEQav0AAAAgD0EQav0AAAD95gH9',
      '5AEhDCAJQcAAaiEJIApBEGoiCiADSA0ACyANIAz95AEgCyAI/eQB/eQBIQgLIAQgBkECdGogCP0fAyAI/R8CIAj9HwAgCP0fAZKS',
      'kjgCACABIAVqIQEgBkEBaiIGIAJHDQALCws=',
    ].join(''),
  ),
  (letter) => letter.charCodeAt(0),
);
const PAGE = 65536;

export class Rows {
  #memory;
  #products;
  #stride;

  /** @param {Float32Array} data [count, width] @param {number} width */
  constructor(data, width) {
    this.count = data.length / width;
    this.width = width;
    this.#stride = Math.ceil(width / 16) * 16; // what is behind a row's end is 0
    const bytes = 4 * (this.#stride * (this.count + 1) + this.count);
    try {
      this.#memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE) });
    } catch (cause) {
      throw new MudptError('memory', `there is no memory for ${megabytes(bytes)} of features`, '', { cause });
    }
    const instance = new WebAssembly.Instance(new WebAssembly.Module(CODE), { env: { memory: this.#memory } });
    this.#products = /** @type {any} */ (instance.exports).products;
    for (let i = 0; i < this.count; i++) this.row(i).set(data.subarray(i * width, (i + 1) * width));
  }

  /** A view of a row. @param {number} i */
  row(i) {
    return new Float32Array(this.#memory.buffer, 4 * this.#stride * (1 + i), this.width);
  }

  /**
   * Of each of the first rows the sum of its products with this one.
   * @param {Float32Array} row
   * @param {number} [count] how many rows
   * @returns {Float32Array} a view, valid until the next call
   */
  products(row, count = this.count) {
    const [stride, out] = [4 * this.#stride, 4 * this.#stride * (this.count + 1)];
    new Float32Array(this.#memory.buffer, 0, this.width).set(row);
    this.#products(0, stride, count, this.#stride, out);
    return new Float32Array(this.#memory.buffer, out, count);
  }

  /** All of them as they were given. @returns {Float32Array} */
  copy() {
    const data = new Float32Array(this.count * this.width);
    for (let i = 0; i < this.count; i++) data.set(this.row(i), i * this.width);
    return data;
  }
}
