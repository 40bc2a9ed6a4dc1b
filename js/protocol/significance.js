/** Whether two classifiers differ by more than chance on the same pictures. */

/**
 * McNemar's test, exact and two-sided: of the pictures that only one names rightly, as many would be either's by the
 * toss of a coin. Nothing is assumed of their number.
 * @param {number} first   pictures that only the first names rightly
 * @param {number} second  that only the second does
 * @returns {number} how likely a difference at least as large is, 0 to 1
 */
export function mcNemar(first, second) {
  const count = first + second;
  // Logarithms of binomials: of many pictures 2^-n is none any more.
  let log = -count * Math.LN2;
  let sum = 0;
  for (let k = 0; k <= Math.min(first, second); k++) {
    sum += Math.exp(log);
    log += Math.log(count - k) - Math.log(k + 1);
  }
  return Math.min(1, 2 * sum);
}

/**
 * @typedef {{ file: string, true: string, predicted: string }} Prediction
 *
 * @typedef {object} Comparison
 * @property {number} pictures  that both have
 * @property {[number, number]} accuracy
 * @property {number} both     pictures that both name rightly
 * @property {[number, number]} only  that only one does
 * @property {number} neither
 * @property {number} p
 */

/**
 * Of the pictures that both lists have.
 * @param {Prediction[]} first
 * @param {Prediction[]} second
 * @returns {Comparison}
 */
export function compare(first, second) {
  const others = new Map(second.map((each) => [each.file, each]));
  const counts = [0, 0, 0, 0]; // bit 0: the first is right, bit 1: the second
  for (const each of first) {
    const other = others.get(each.file);
    if (!other) continue;
    const right = ({ true: is, predicted }) => is === predicted;
    counts[Number(right(each)) + 2 * Number(right(other))]++;
  }
  const [neither, one, two, both] = counts;
  const pictures = neither + one + two + both;
  const accuracy = /** @type {[number, number]} */ ([both + one, both + two].map((right) => right / (pictures || 1)));
  return { pictures, accuracy, both, only: [one, two], neither, p: mcNemar(one, two) };
}
