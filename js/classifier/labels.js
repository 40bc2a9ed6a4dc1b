/** What a classifier is asked with: labels of examples, and how many answers. */
import { MudptError, requireAwaited } from '../base/errors.js';
import { MOST_MEASURED } from '../base/limits.js';

/** How names are compared where they are not written alike: without spaces around, accents in one form. */
const plain = (name) => (typeof name === 'string' ? name.normalize('NFC').trim() : name);

/**
 * Labels of examples as indices. A name that two classes have says neither.
 * @param {string[]} classes
 * @param {unknown} examples
 * @returns {number[]}
 */
export function labelsOf(classes, examples) {
  requireAwaited(examples, 'examples');
  if (!Array.isArray(examples)) throw new MudptError('argument', 'examples must be an array of { image, label }');
  /** @type {Map<unknown, number>} */
  const indices = new Map();
  classes.forEach((name, i) => indices.set(plain(name), i));
  classes.forEach((name, i) => indices.set(name, i)); // as it is written goes first
  const repeated = new Set(classes.filter((name, i) => indices.get(name) !== i));
  return examples.map((example, i) => {
    const label = example?.label;
    if (Number.isInteger(label) && label >= 0 && label < classes.length) return label;
    const index = indices.get(label) ?? indices.get(plain(label));
    if (index !== undefined && repeated.has(classes[index])) {
      const places = classes.flatMap((name, at) => (name === classes[index] ? [at] : []));
      const all = `classes ${places.join(' and ')} are called`;
      throw new MudptError('argument', `the label of example ${i} is "${label}", as ${all}`, 'give the index');
    }
    if (index !== undefined) return index;
    const some =
      classes
        .slice(0, 5)
        .map((name) => `"${name}"`)
        .join(', ') + (classes.length > 5 ? ', …' : '');
    throw new MudptError(
      'argument',
      `the label of example ${i} is ${JSON.stringify(label)}, expected a class (${some}) or 0 to ${classes.length - 1}`,
    );
  });
}

/** @param {unknown} topK */
export function checkTopK(topK) {
  if (topK === Infinity || (Number.isInteger(topK) && Number(topK) >= 1)) return;
  throw new MudptError('argument', `topK is ${topK}, expected a whole number from 1, or Infinity for all`);
}

/**
 * The likeliest classes, best first.
 * @param {string[]} classes
 * @param {ArrayLike<number>} scores
 * @param {number} topK
 */
export const ranked = (classes, scores, topK) =>
  classes
    .map((label, index) => ({ label, score: scores[index], index }))
    .sort((a, b) => b.score - a.score)
    .slice(0, topK);

/** Refuses more classes than a confusion matrix may have. @param {string[]} classes */
export function checkMeasured({ length }) {
  if (length <= MOST_MEASURED) return;
  throw new MudptError(
    'argument',
    `the classifier has ${length} classes; a confusion matrix of more than ${MOST_MEASURED} is too large`,
    'classify the pictures and count',
  );
}
