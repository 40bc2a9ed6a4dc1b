/**
 * The one class of errors that this library throws, and the list of its codes. An abort is not among them: it is the
 * platform's own AbortError (the signal's reason).
 */
import { isA, isBuffer, isBytes, isMany } from './kinds.js';

/**
 * Every code there is, with what it means. A program may switch on them; messages are for people.
 * @type {Readonly<Record<string, string>>}
 */
export const ERROR_CODES = Object.freeze({
  argument: 'a value outside its range, or of the wrong type; the message lists what is valid',
  memory: 'out of memory; the message says how many bytes were wanted',
  model: 'a model whose files are damaged, foreign or incomplete, or of a kind that is not supported',
  tokenizer: 'no usable tokenizer, or a text that it cannot turn into tokens that fit',
  image: 'a picture that cannot be decoded, or is too large',
  classifier: 'a saved classifier that is damaged, or belongs to another model',
  dataset: 'a data set whose files, paths or labels are wrong',
  file: 'a file that is not there, or cannot be read or written',
  network: 'a download that failed or broke off',
  'not-finite': 'NaN or infinity appeared, the message says where; in training the last good prompts are kept',
  state: 'called in the wrong order, or after dispose()',
  environment: 'this platform lacks something that is needed, files of this library are missing, or a worker crashed',
});

/** The C library's codes (src/mudpt.h) as ours. */
const FROM_C = { [-1]: 'argument', [-2]: 'memory', [-3]: 'model', [-4]: 'image', [-5]: 'not-finite', [-6]: 'state' };

/** Names in messages come from files: no line breaks, terminal commands or turned writing, and no books. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069\ufeff]/gu;
const LONGEST = 2000;

/** @param {string} text */
function oneLine(text) {
  const short = text.length > LONGEST ? `${text.slice(0, LONGEST / 2)} … ${text.slice(-LONGEST / 2)}` : text;
  return short.replace(UNPRINTABLE, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** @param {number} bytes */
export const megabytes = (bytes) => `${Math.ceil(bytes / 1e6).toLocaleString('en')} MB`;

export class MudptError extends Error {
  /**
   * @param {string} code one of ERROR_CODES
   * @param {string} what what was wrong and what was expected: one line, no full stop
   * @param {string} [hint] what to do about it
   * @param {{ cause?: unknown }} [options]
   */
  constructor(code, what, hint = '', options) {
    super(oneLine(hint ? `${what}; ${hint}` : what), options);
    this.name = 'MudptError';
    this.code = code;
    this.hint = oneLine(hint);
  }

  /** The same error with a name, usually a file's, in front of its text. @param {string} name */
  named(name) {
    const what = this.hint ? this.message.slice(0, -this.hint.length - 2) : this.message;
    return new MudptError(this.code, `${name}: ${what}`, this.hint, { cause: this });
  }
}

/** Refuses what is no object of options, and a signal that is none. @param {any} options as given */
export function requireOptions(options) {
  requireAwaited(options, 'options');
  if (!options || typeof options !== 'object' || Array.isArray(options))
    throw new MudptError('argument', 'options must be an object');
  const { signal } = options;
  if (signal && !isA(signal, 'AbortSignal'))
    throw new MudptError('argument', "signal is no AbortSignal, as a controller's signal is");
}

/**
 * Refuses options that a function does not have: a misspelt one would silently do nothing.
 * @param {Record<string, any>} options as given
 * @param {string[]} valid
 */
export function checkOptions(options, valid) {
  requireOptions(options);
  const unknown = Object.keys(options).find((key) => !valid.includes(key));
  if (unknown) throw new MudptError('argument', `there is no option "${unknown}"`, `valid are ${valid.join(', ')}`);
}

/** @param {Record<string, [value: string, valid: readonly string[]]>} choices */
export function checkChoices(choices) {
  for (const [name, [value, valid]] of Object.entries(choices)) {
    if (valid.includes(value)) continue;
    throw new MudptError('argument', `${name} must be one of ${valid.join(', ')}, not ${value}`);
  }
}

/**
 * The error of a C function that returned `code` and left `text` as the last error. What follows its last semicolon is
 * what to do.
 * @param {number} code
 * @param {string} text
 */
export function errorFromC(code, text) {
  const cut = text.lastIndexOf('; ');
  if (cut < 0) return new MudptError(FROM_C[code] ?? 'state', text || `the library failed with code ${code}`);
  return new MudptError(FROM_C[code] ?? 'state', text.slice(0, cut), text.slice(cut + 2));
}

/** Refuses what was not waited for, sent to a worker or not. @param {any} given @param {string} name */
export function requireAwaited(given, name) {
  if (isA(given, 'Promise') || given?.summary?.kind === 'Promise') {
    throw new MudptError('argument', `${name} is a Promise`, 'await it');
  }
}

/** The items of a list; one thing alone is a slip. @param {any} given @param {string} what @param {string} one */
export function listOf(given, what, one) {
  if (isMany(given)) return [...given];
  requireAwaited(given, what);
  throw new MudptError('argument', `${what} must be an array`, `for ${one} alone give an array of one`);
}

/** The bytes of a file that a program was to give so. @param {unknown} given @param {string} name of the file */
export function bytesOf(given, name) {
  if (isBuffer(given)) return new Uint8Array(given);
  if (isBytes(given)) return given;
  requireAwaited(given, name);
  throw new MudptError('argument', `${name} must be given as its bytes: a Uint8Array or an ArrayBuffer`);
}

/** What went wrong, in one line, from anything that was thrown; a cause says it best. @param {unknown} error */
export function reasonOf(error) {
  if (!(error instanceof Error)) return String(error);
  const { message } = error.cause instanceof Error ? error.cause : error;
  return message.split('\n', 1)[0];
}

/**
 * Runs `action`; a MudptError that it throws gets `name` in front.
 * @template T
 * @param {string} name
 * @param {() => T} action
 * @returns {T}
 */
export function naming(name, action) {
  try {
    return action();
  } catch (error) {
    throw error instanceof MudptError ? error.named(name) : error;
  }
}
