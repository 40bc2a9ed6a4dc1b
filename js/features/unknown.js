/**
 * "None of these": how badly a picture fits all classes, from features. Two things speak for a class, a picture of it
 * that is alike (the nearest, seen from the pictures' middle) and its text; each is measured against what it is for the
 * pictures that are known, each left out when its turn comes, and the text counts half:
 *
 *     fit = (nearest - its mean) / its deviation + (text - its mean) / its deviation / 2
 *
 * The score is the share of known pictures that fit better, which needs no unit and no assumption: where pictures to
 * come are like the known ones, a score above 1 - r comes to a share r of them at most (split conformal prediction;
 * Vovk et al. 2005). Nearest neighbours as a score: Sun et al., ICML 2022. docs/methods.md compares it with what else
 * was tried.
 */
import { Centred } from './centred.js';

/** How much the text counts beside the nearest picture: measured, docs/methods.md. */
const TEXT = 0.5;
/** Known pictures that are left out one at a time; of more, as many evenly spaced ones. */
const MOST_LEFT_OUT = 2000;

/** @typedef {{ data: Float32Array, dims: readonly number[] }} Features */

/** Brings values to mean 0 and deviation 1. @param {number[]} values */
function standard(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length) || 1;
  return (/** @type {number} */ value) => (value - mean) / deviation;
}

/** At most `most` of the numbers below `count`, evenly spaced. @param {number} count @param {number} most */
export function spread(count, most) {
  const some = Math.min(count, most);
  return Array.from({ length: some }, (_, i) => Math.floor((i * count) / some));
}

/** @param {Float64Array} values */
const largest = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);

export class Unknown {
  #pictures;
  #texts;
  #nearest;
  #text;
  /** Fits of the known pictures, the worst first. */
  #fits;

  /**
   * @param {Features} pictures that fit, two at least; two of each class, or its one has nobody to be like
   * @param {Features | null} texts of the classes, of length one; null: pictures alone decide
   */
  constructor({ data, dims }, texts) {
    this.#pictures = new Centred(data, dims[1]);
    this.#texts = texts;
    const some = spread(dims[0], MOST_LEFT_OUT);
    const nearest = some.map((i) => largest(this.#pictures.others(i)));
    const text = some.map((i) => this.#textOf(this.#pictures.row(i)));
    this.#nearest = standard(nearest);
    this.#text = standard(text);
    this.#fits = Float64Array.from(some, (_, i) => this.#sum(nearest[i], text[i])).sort();
  }

  /** @param {Float32Array} row */
  #textOf(row) {
    if (!this.#texts) return 0;
    const { data, dims } = this.#texts;
    let best = -1;
    for (let at = 0; at < data.length; at += dims[1]) {
      let sum = 0;
      for (let k = 0; k < dims[1]; k++) sum += data[at + k] * row[k];
      best = Math.max(best, sum);
    }
    return best;
  }

  /** @param {number} nearest @param {number} text */
  #sum(nearest, text) {
    return this.#nearest(nearest) + TEXT * this.#text(text);
  }

  /** How well a picture fits: the more, the better. @param {Float32Array} row of length one */
  fit(row) {
    return this.#sum(largest(this.#pictures.cosines(row)), this.#textOf(row));
  }

  /**
   * The share of known pictures that fit better than something that fits so well; itself counts as one that does not.
   * @param {number} fit
   */
  scoreOf(fit) {
    let [from, to] = [0, this.#fits.length]; // how many fit no better
    while (from < to) {
      const middle = (from + to) >> 1;
      if (this.#fits[middle] <= fit) from = middle + 1;
      else to = middle;
    }
    return 1 - (1 + from) / (1 + this.#fits.length);
  }
}

/**
 * Area under the curve of what is found of the known over false alarms: how often a known one has more than an unknown
 * one, a tie counting half (Mann and Whitney).
 * @param {ArrayLike<number>} known how well each fits
 * @param {ArrayLike<number>} unknown
 */
export function auroc(known, unknown) {
  const all = [
    ...Array.from(known, (fit) => ({ fit, known: 1 })),
    ...Array.from(unknown, (fit) => ({ fit, known: 0 })),
  ];
  all.sort((a, b) => a.fit - b.fit);
  let ranks = 0;
  for (let from = 0, to; from < all.length; from = to) {
    for (to = from; to < all.length && all[to].fit === all[from].fit; to++);
    for (let i = from; i < to; i++) ranks += all[i].known * ((from + to + 1) / 2);
  }
  return (ranks - (known.length * (known.length + 1)) / 2) / (known.length * unknown.length);
}

/**
 * The share of the unknown that is taken for known where a share of the known is: FPR at 95 %.
 * @param {ArrayLike<number>} known
 * @param {ArrayLike<number>} unknown
 */
export function passing(known, unknown, share = 0.95) {
  const sorted = Float64Array.from(known).sort();
  const least = sorted[Math.floor((1 - share) * sorted.length + 1e-9)];
  return Array.from(unknown).filter((fit) => fit >= least).length / unknown.length;
}
