/**
 * What a page (connection.js, remote.js) and its worker (host.js) agree on.
 *
 *   to the worker      { call, target, method, args }, { abort: call }, { forget: target },
 *                      { call, picture, bitmap } or { call, picture, error }
 *   from the worker    { call, result }, { call, error }, { call, tell, args }, { call, want: picture }, { crash }; all
 *                      with memoryBytes; { making }: true before it makes a thread, false after; { more } in place
 *                      of an answer to the first call: a worker that has everything is needed
 *
 * Elements stay in the page until the worker comes to them and wants their pictures, which are numbered call by call:
 * so calls start in the order they are made, none waits for another's pictures, and a few bitmaps are there at once.
 *
 * Calls are numbered from 1 by the page. Targets: 0 is the model, a run has the number of the call that started it,
 * classifiers count down from -1.
 */
import { MudptError } from '../base/errors.js';
import { isA, kindOf } from '../base/kinds.js';

/** @param {unknown} value */
const isError = (value) => value instanceof Error || isA(value, 'Error', 'DOMException');

/**
 * Key of a note that is sent in place of what cannot be: its value is 'signal', 'function' (with its name), 'object'
 * (with its number), 'bitmap', 'picture' (with its number, and whether the worker keeps it), 'list' (with its kind and
 * items) or 'stranger' (with its summary).
 */
export const NOTE = 'mudpt note';

/**
 * Public members of what lives in the worker: values, which are known to the page, and methods that answer with a
 * promise. What is not listed here the page has itself: memoryBytes, methods(), tune(), importOfficial() and dispose()
 * of Clip, and all of TuneJob but checkpoint().
 */
export const MEMBERS = {
  Clip: {
    values: ['info'],
    methods: [
      'zeroShot',
      'embedImages',
      'embedTexts',
      'forgetFeatures',
      'plan',
      'import',
      'restoreOfficial',
      'projection',
      'samples',
    ],
  },
  Classifier: {
    values: ['classes', 'method', 'settings'],
    methods: ['classify', 'evaluate', 'embedImages', 'export', 'withClasses', 'attention', 'nearestWords', 'dispose'],
  },
};

/** Causes have causes; what is further down is nobody's. */
const DEEPEST = 4;

/** An error as something that can be sent. @param {unknown} error @param {number} [deep] @returns {any} */
export function packError(error, deep = 0) {
  if (!isError(error)) return deep ? String(error) : { name: 'Error', message: String(error) };
  const { name, message, stack, cause, code, hint, subject, summary } = /** @type {any} */ (error);
  const packed = { name, message, stack, kind: kindOf(error), ...(summary && { subject, summary }) };
  if (error instanceof MudptError) Object.assign(packed, { code, hint });
  return cause === undefined || deep === DEEPEST ? packed : { ...packed, cause: packError(cause, deep + 1) };
}

/** The error that packError was given. @param {any} packed @returns {any} */
export function unpackError(packed) {
  if (typeof packed !== 'object') return packed;
  const { code, hint, name, message, stack, kind, cause } = packed;
  if (kind === 'DOMException') {
    const error = new DOMException(message, name);
    return cause === undefined ? error : Object.defineProperty(error, 'cause', { value: unpackError(cause) });
  }
  const options = cause === undefined ? undefined : { cause: unpackError(cause) };
  if (code) return Object.assign(new MudptError(code, '', '', options), { message, hint, stack });
  const { [name]: Kind } = /** @type {any} */ (globalThis);
  const error = Kind?.prototype instanceof Error ? new Kind(message, options) : new Error(message, options);
  return Object.assign(error, { name, stack });
}
