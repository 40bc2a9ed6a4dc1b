import { MudptError, requireAwaited } from '../base/errors.js';
import { LONGEST_NAME } from '../base/limits.js';

/** @param {string} key @param {unknown} value @param {string} expected @returns {never} */
export function refuse(key, value, expected) {
  requireAwaited(value, key);
  throw new MudptError(
    'argument',
    `${key} is ${typeof value === 'string' ? `"${value}"` : value}, expected ${expected}`,
  );
}

/** Longer texts would keep the tokenizer busy for long, only to have too many tokens. */
export function requireShort(what, text) {
  if (text.length > LONGEST_NAME) refuse(what, `${text.slice(0, 40)}…`, `at most ${LONGEST_NAME} characters`);
}
