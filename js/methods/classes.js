/** Class names: what they may be, and which are one name. */
import { MudptError } from '../base/errors.js';
import { MOST_CLASSES } from '../base/limits.js';
import { refuse, requireShort } from './refuse.js';

/** A name as it is in a sentence. @param {string} name */
export const spoken = (name) => name.replaceAll('_', ' ');

/** @param {unknown} classes @returns {string[]} */
export function checkClasses(classes) {
  if (!Array.isArray(classes)) refuse('classes', classes, 'an array of class names');
  if (!classes.length) throw new MudptError('argument', 'there are no classes, expected at least one name');
  if (classes.length > MOST_CLASSES)
    throw new MudptError('argument', `there are ${classes.length} classes, expected at most ${MOST_CLASSES}`);
  for (const name of classes) {
    if (typeof name !== 'string' || !name.trim()) refuse('a class name', name, 'text that is not empty');
    requireShort('a class name', name);
  }
  return [...classes];
}

/**
 * The very same name twice is two classes, which their places tell apart; names that differ in case are by what is
 * written. Names that look alike and are not (spaces, the form of accents) are a slip: the model would read one name.
 * @param {string[]} classes
 * @param {number} [from] those before it are no concern
 */
export function requireDistinct(classes, from = 0) {
  const seen = new Map();
  for (const [i, name] of classes.entries()) {
    const looks = spoken(name).normalize().trim().replace(/\s+/g, ' ');
    const first = seen.get(looks) ?? i;
    seen.set(looks, first);
    if (i < from || classes[first] === name) continue;
    const both = [classes[first], name].map((each) => JSON.stringify(each)).join(' and ');
    throw new MudptError(
      'argument',
      `classes ${first} and ${i}, ${both}, are one name to the model`,
      'rename one, or write both alike: then their places tell them apart',
    );
  }
}
