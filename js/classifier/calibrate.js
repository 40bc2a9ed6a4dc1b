/**
 * Scores that can be taken at their word: logits are divided by one number, the temperature under which the labels of
 * pictures that the classifier was not trained on are likeliest. Which class is named stays the same. (Guo et al., "On
 * Calibration of Modern Neural Networks", ICML 2017.)
 */
import { argmax, calibration, softmax } from './metrics.js';

/** Temperatures among which is searched, as logarithms: 1/100 to 100. */
const [LOWEST, HIGHEST] = [-Math.log(100), Math.log(100)];
const GOLDEN = (Math.sqrt(5) - 1) / 2;

/** @param {ArrayLike<number>} logits @param {number} temperature */
export const tempered = (logits, temperature) => softmax(Array.from(logits, (value) => value / temperature));

/** Mean of -log of the right class's score. @param {ArrayLike<number>[]} logits @param {number[]} labels */
function lossOf(logits, labels, temperature) {
  const sum = logits.reduce((total, row, i) => {
    const largest = row[argmax(row)];
    const all = Array.from(row, (value) => Math.exp((value - largest) / temperature)).reduce((a, b) => a + b);
    return total + Math.log(all) - (row[labels[i]] - largest) / temperature;
  }, 0);
  return sum / logits.length;
}

/**
 * The best temperature; the loss is convex in its inverse, so a section finds it.
 * @param {ArrayLike<number>[]} logits of pictures; each row up to a number of its own
 * @param {number[]} labels
 */
export function temperatureOf(logits, labels) {
  const at = (point) => lossOf(logits, labels, Math.exp(point));
  let [from, to] = [LOWEST, HIGHEST];
  let [a, b] = [to - GOLDEN * (to - from), from + GOLDEN * (to - from)];
  let [left, right] = [at(a), at(b)];
  while (to - from > 1e-4) {
    if (left <= right) {
      [to, b, right] = [b, a, left];
      a = to - GOLDEN * (to - from);
      left = at(a);
    } else {
      [from, a, left] = [a, b, right];
      b = from + GOLDEN * (to - from);
      right = at(b);
    }
  }
  return Math.exp((from + to) / 2);
}

/** Calibration error of logits at temperatures. @param {ArrayLike<number>[]} logits @param {number[]} labels */
export function eceOf(logits, labels, temperatures = logits.map(() => 1)) {
  const scores = logits.map((row, i) => tempered(row, temperatures[i]));
  const best = scores.map(argmax);
  return calibration(
    scores.map((each, i) => each[best[i]]),
    best.map((each, i) => each === labels[i]),
  ).ece;
}

/**
 * A temperature, and the calibration error before it and with it; the latter of each half of the pictures at the
 * temperature of the other.
 * @param {ArrayLike<number>[]} logits
 * @param {number[]} labels
 */
export function calibrated(logits, labels) {
  const halves = [0, 1].map((half) => {
    const own = (_, i) => i % 2 === half;
    return temperatureOf(logits.filter(own), labels.filter(own));
  });
  const others = logits.map((_, i) => halves[1 - (i % 2)]);
  const ece = { before: eceOf(logits, labels), after: eceOf(logits, labels, others) };
  return { temperature: temperatureOf(logits, labels), ece };
}
