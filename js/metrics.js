/** How well predictions agree with labels: accuracy, macro-F1, accuracy per class, confusion. */

/**
 * @param {string[]} classes
 * @param {ArrayLike<number>} labels index of the true class of each picture
 * @param {ArrayLike<number>} predictions index of the predicted one
 */
export function measure(classes, labels, predictions) {
  const confusion = classes.map(() => classes.map(() => 0));
  for (let i = 0; i < labels.length; i++) confusion[labels[i]][predictions[i]]++;
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const counts = confusion.map(sum);
  const hits = classes.map((_, i) => confusion[i][i]);
  const predicted = classes.map((_, i) => sum(confusion.map((row) => row[i])));
  // Over the classes that have pictures, as the papers' code has it. F1 = 2 hits / (true + predicted)
  const present = classes.map((_, i) => i).filter((i) => counts[i] > 0);
  const mean = (values) => (values.length ? sum(values) / values.length : 0);
  return {
    accuracy: labels.length ? sum(hits) / labels.length : 0,
    macroF1: mean(present.map((i) => (2 * hits[i]) / (counts[i] + predicted[i]))),
    count: labels.length,
    perClass: classes.map((label, i) => ({
      label,
      accuracy: counts[i] ? hits[i] / counts[i] : null,
      count: counts[i],
    })),
    confusion,
  };
}

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
  const total = powers.reduce((sum, value) => sum + value, 0);
  return powers.map((value) => value / total);
}
