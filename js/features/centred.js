/**
 * How alike pictures are, seen from their middle: cosines of features from which the mean of all has been taken. What
 * all pictures of a model share, which is most of a cosine of theirs, is so left out, and what tells them apart remains
 * (Wang et al., "SimpleShot", 2019, centre features for the same reason).
 */
import { Rows } from './products.js';
import { toUnit } from './unit.js';

/** Squares of lengths below it are rounding: a picture that lies in the middle has no direction. */
const NOTHING = 1e-6;

export class Centred {
  #rows;
  #mean;
  /** Of each row the product with the mean. */
  #along;
  /** Of the mean with itself. */
  #square;

  /** @param {Float32Array} data [count, width], rows of any length @param {number} width */
  constructor(data, width) {
    this.#rows = new Rows(data, width);
    const { count } = this.#rows;
    this.#mean = new Float32Array(width);
    for (let i = 0; i < count; i++) {
      const row = this.#rows.row(i);
      toUnit(row);
      for (let k = 0; k < width; k++) this.#mean[k] += row[k] / count;
    }
    this.#along = Float64Array.from(this.#rows.products(this.#mean));
    this.#square = this.#mean.reduce((sum, value) => sum + value * value, 0);
  }

  get count() {
    return this.#rows.count;
  }

  get width() {
    return this.#rows.width;
  }

  /** Row i as it was given, of length one. @param {number} i */
  row(i) {
    return this.#rows.row(i).slice();
  }

  /** Cosines of a picture with all of these. @param {Float32Array} row of length one @returns {Float64Array} */
  cosines(row) {
    const along = row.reduce((sum, value, k) => sum + value * this.#mean[k], 0);
    return this.#cosines(this.#rows.products(row), along, (j) => this.#along[j], this.#square);
  }

  /** Of picture i with the others, seen from the others' mean: as if it were new. Its own place has -1. */
  others(/** @type {number} */ i) {
    const products = this.#rows.products(this.#rows.row(i));
    const left = this.count - 1;
    // The mean without it: (count * mean - row) / left.
    const along = (j) => (this.count * this.#along[j] - products[j]) / left;
    const square = (this.count ** 2 * this.#square - 2 * this.count * this.#along[i] + products[i]) / left ** 2;
    const cosines = this.#cosines(products, along(i), along, square);
    cosines[i] = -1;
    return cosines;
  }

  /**
   * @param {Float32Array} products of the picture with each
   * @param {number} own its product with the mean
   * @param {(j: number) => number} along of each with the mean
   * @param {number} square of the mean with itself
   */
  #cosines(products, own, along, square) {
    const length = 1 - 2 * own + square;
    return Float64Array.from(products, (product, j) => {
      const squares = length * (1 - 2 * along(j) + square);
      return squares < NOTHING ** 2 ? 0 : (product - own - along(j) + square) / Math.sqrt(squares);
    });
  }
}
