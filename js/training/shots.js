/**
 * Which pictures a run trains on, and which it is validated on: few of each class, drawn by the seed and the class
 * alone, so every method gets the same ones.
 */
import { MudptError } from '../base/errors.js';

/** Pictures a class to validate on, at most: as CoOp's protocol has it. */
export const MOST_VALIDATION = 4;
/** Classes that a message names. */
const MOST_SAID = 5;

/**
 * Draws at most `shots` pictures of each class to train on and, where it is asked for, min(shots, 4) others of each
 * class to validate on. Which ones train does not depend on `validation`.
 * @param {import('../core/core.js').Core} core
 * @param {string[]} classes
 * @param {number[]} labels of all pictures, 0 ... classes - 1
 * @param {{ shots: number, seed: number, validation?: boolean, readable?: boolean }} options  readable: those that
 *   cannot be read are no more among them
 * @returns {{ train: number[], validation: number[] }} indices into labels, class by class
 * @throws {MudptError} `argument`: a class has no picture, or none left to validate on
 */
export function drawShots(core, classes, labels, { shots, seed, validation: wanted = false, readable = false }) {
  requireAll(classes, labels, (names, has) => [
    `${names} ${has} no example${readable ? ' that can be read' : ''}`,
    'give every class a picture, or leave it out',
  ]);
  const train = draw(core, classes, labels, shots, seed);
  if (!wanted) return { train, validation: [] };

  const taken = new Set(train);
  const rest = labels.map((_, index) => index).filter((index) => !taken.has(index));
  const others = rest.map((index) => labels[index]);
  requireAll(classes, others, (names, has) => [
    `${names} ${has} no picture left to validate on, beside those that are trained on`,
    'use fewer shots, give it more pictures, or leave out validation',
  ]);
  const validation = drawValidation(core, classes, others, { shots, seed });
  return { train, validation: validation.map((index) => rest[index]) };
}

/**
 * Draws min(shots, 4) pictures of each class from pictures that none is trained on, fewer where there are fewer.
 * @param {import('../core/core.js').Core} core
 * @param {string[]} classes
 * @param {number[]} labels
 * @param {{ shots: number, seed: number }} options
 * @returns {number[]} indices into labels
 */
export function drawValidation(core, classes, labels, { shots, seed }) {
  return draw(core, classes, labels, Math.min(shots, MOST_VALIDATION), seed);
}

/** At most `most` of each class. @returns {number[]} indices into labels, class by class */
function draw(core, classes, labels, most, seed) {
  if (!labels.length) return [];
  return Array.from(core.sampleShots(labels, classes.length, Math.min(most, labels.length), seed));
}

/**
 * How many pictures the classes have: fewer than were asked for, where there are not as many.
 * @param {number} classes
 * @param {number[]} labels
 */
export function countEach(classes, labels) {
  const counts = new Array(classes).fill(0);
  for (const label of labels) counts[label]++;
  const [least, most] = [Math.min, Math.max].map((which) => counts.reduce((a, b) => which(a, b)));
  return { pictures: labels.length, least, most };
}

/** Refuses labels that lack classes. */
function requireAll(classes, labels, words) {
  const present = new Set(labels);
  const missing = classes.filter((_, i) => !present.has(i)).map((name) => `"${name}"`);
  if (!missing.length) return;
  const some = missing.slice(0, MOST_SAID).join(', ');
  const more = missing.length > MOST_SAID ? ` and ${missing.length - MOST_SAID} more` : '';
  const [what, hint] = missing.length > 1 ? words(`classes ${some}${more}`, 'have') : words(`class ${some}`, 'has');
  throw new MudptError('argument', what, hint);
}
