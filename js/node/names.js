/** Names from files and folders as people and terminals may see them, and how a fault in a data set is said. */
import { MudptError } from '../base/errors.js';
import { LONGEST_NAME, MOST_CLASSES } from '../base/limits.js';
import { forPeople } from './paths.js';

/** The class that a folder's name stands for. @param {unknown} name */
export const toName = (name) =>
  typeof name === 'string' ? forPeople(name).replaceAll('_', ' ').replace(/\s+/g, ' ').trim() : name;

/** Without control characters: names from files never steer a terminal, turn its text round or break a line. */
export const printable = (text) =>
  text
    .replace(/\p{Cs}/gu, (each) => `\\x${(each.charCodeAt(0) & 0xff).toString(16)}`)
    .replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, '?');

/** Text as a file's name, or part of it, that needs no quoting in a shell. @param {string} text */
export const fileName = (text) =>
  forPeople(text)
    .replace(/[^\p{L}\p{M}\p{N}_.-]+/gu, '-')
    .replace(/^-+/, '') || 'data';

export const quote = (value) => {
  const text = printable(JSON.stringify(value) ?? String(value));
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
};

/** A few names of many. @param {string[]} names as they are to be shown */
export function some(names, most = 5) {
  const shown = names.slice(0, most).join(', ');
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}

export const fault = (file, what, remedy) => new MudptError('dataset', `${printable(file)}: ${what}`, remedy);

/** @returns {never} */
export function unreadable(file, error) {
  throw fault(file, `cannot be read (${error.code ?? error.message})`, 'check its name and permissions');
}

/**
 * Names of classes, checked. The very same name twice is two classes, where their pictures tell them apart; names that
 * differ only in what a model does not see are a slip.
 * @param {string} file for messages
 * @param {unknown[]} names
 * @param {{ mayRepeat?: boolean }} [options]
 * @returns {string[]}
 */
export function checkClasses(file, names, { mayRepeat = false } = {}) {
  if (!names.length) throw fault(file, 'has no classes', 'name at least two');
  if (names.length > MOST_CLASSES)
    throw fault(file, `has ${names.length} classes`, `at most ${MOST_CLASSES} are possible`);
  const seen = new Map();
  return names.map((name, index) => {
    if (typeof name !== 'string' || !name.trim() || name.length > LONGEST_NAME) {
      throw fault(file, `class ${index} has no usable name`, `expected 1 to ${LONGEST_NAME} characters of text`);
    }
    if (printable(name) !== name)
      throw fault(file, `the name of class ${index} holds control characters`, 'remove them');
    const key = String(toName(name)).toLowerCase();
    const before = seen.get(key);
    if (before && !(mayRepeat && before.name === name)) {
      const alike = before.name === name || !mayRepeat;
      const what = alike
        ? `are both called ${quote(name)}`
        : `are the same to the model, ${quote(before.name)} and ${quote(name)}`;
      throw fault(file, `classes ${before.index} and ${index} ${what}`, 'rename or merge them');
    }
    if (!before) seen.set(key, { name, index });
    return name.trim();
  });
}
