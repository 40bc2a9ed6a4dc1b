/**
 * How well predictions agree with labels: accuracy, macro-F1, accuracy per class, confusion, and how far the scores can
 * be taken at their word (expected calibration error).
 */

/** Bins of the calibration error. Guo et al. use as many. */
export const CALIBRATION_BINS = 15;

/**
 * Measures predictions. Work is N x N + P, memory N x N, for N classes and P pictures.
 *
 * @param {string[]} classes  N names
 * @param {ArrayLike<number>} labels       [P] index of the true class of each picture
 * @param {ArrayLike<number>} predictions  [P] index of the predicted one
 * @param {ArrayLike<number>} scores       [P] the predicted class's share of the softmax, above 0 to 1
 * @returns {import('../index.js').Evaluation}
 */
export function measure(classes, labels, predictions, scores) {
  const confusion = classes.map(() => new Array(classes.length).fill(0));
  const predicted = new Array(classes.length).fill(0);
  for (let i = 0; i < labels.length; i++) {
    confusion[labels[i]][predictions[i]]++;
    predicted[predictions[i]]++;
  }
  const counts = confusion.map(sum);
  const hits = classes.map((_, i) => confusion[i][i]);
  // Over the classes that have pictures, as the papers' code has it. F1 = 2 hits / (true + predicted)
  const present = classes.map((_, i) => i).filter((i) => counts[i] > 0);
  const f1 = present.map((i) => (2 * hits[i]) / (counts[i] + predicted[i]));
  const right = Array.from(labels, (label, i) => label === predictions[i]);
  return {
    accuracy: labels.length ? sum(hits) / labels.length : 0,
    macroF1: f1.length ? mean(f1) : 0,
    ...calibration(scores, right),
    count: labels.length,
    perClass: classes.map((label, i) => ({
      label,
      accuracy: counts[i] ? hits[i] / counts[i] : null,
      count: counts[i],
    })),
    confusion,
  };
}

/**
 * Expected calibration error, as in Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3: the
 * scores from 0 to 1 are cut into bins of equal width, ((b - 1) / B, b / B] for b = 1 … B, and
 *
 *     ECE = sum over bins of |pictures in it| / P * |accuracy in it - mean score in it|
 *
 * Empty bins add nothing. 0 is the best; without any pictures it is 0 as well.
 *
 * @param {ArrayLike<number>} scores  [P] score of each prediction, above 0 to 1
 * @param {ArrayLike<boolean>} right  [P] whether it is the true class
 * @param {number} [bins]  B
 */
export function calibration(scores, right, bins = CALIBRATION_BINS) {
  const count = new Array(bins).fill(0);
  const hits = new Array(bins).fill(0);
  const total = new Array(bins).fill(0);
  for (let i = 0; i < scores.length; i++) {
    const bin = Math.min(bins, Math.max(1, Math.ceil(scores[i] * bins))) - 1;
    count[bin]++;
    total[bin] += scores[i];
    if (right[i]) hits[bin]++;
  }
  const gaps = hits.map((value, bin) => Math.abs(value - total[bin]));
  return {
    ece: scores.length ? sum(gaps) / scores.length : 0,
    reliability: count.map((pictures, bin) => ({
      from: bin / bins,
      to: (bin + 1) / bins,
      count: pictures,
      accuracy: pictures ? hits[bin] / pictures : null,
      score: pictures ? total[bin] / pictures : null,
    })),
  };
}

const sum = (values) => values.reduce((total, value) => total + value, 0);

/** @param {number[]} values at least one */
export const mean = (values) => sum(values) / values.length;

/** Index of the largest value, the first of equals. @param {ArrayLike<number>} values */
export function argmax(values) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/** exp(x) over its sum. @param {ArrayLike<number>} logits @returns {number[]} */
export function softmax(logits) {
  const largest = logits[argmax(logits)];
  const powers = Array.from(logits, (value) => Math.exp(value - largest));
  const total = sum(powers);
  return powers.map((value) => value / total);
}

/** 1 / (1 + exp(-x)) of each by itself. @param {ArrayLike<number>} logits @param {number} bias is added first */
export const sigmoid = (logits, bias) => Array.from(logits, (value) => 1 / (1 + Math.exp(-value - bias)));
