/**
 * Pictures that cannot be read. Either the caller takes them, and they are left out one by one; or all that a call has
 * found are told in one error.
 */
import { MudptError } from '../base/errors.js';

/** Codes of errors that are a picture's own. */
const OWN = ['image', 'file', 'network'];
const MOST_SAID = 10;

/**
 * @typedef {'examples' | 'validation' | 'pictures'} List
 * @typedef {{ index: number, list: List, code: string, message: string, hint: string }} Told
 */

export class BrokenPictures {
  #onBroken;
  /** @type {MudptError[]} */
  #errors = [];

  /** @param {unknown} onBroken as in index.d.ts */
  constructor(onBroken) {
    if (onBroken !== undefined && typeof onBroken !== 'function') {
      throw new MudptError('argument', `onBroken is ${onBroken}, expected a function`);
    }
    this.#onBroken = onBroken;
  }

  /** Whether somebody takes this error. @param {unknown} error */
  takes(error) {
    return Boolean(this.#onBroken) && error instanceof MudptError && OWN.includes(error.code);
  }

  /**
   * Keeps what is wrong with a picture, and tells it; what is no fault of a picture is thrown, and so is that of an
   * address that nobody takes: the next ones may wait as long.
   * @param {any} error
   * @param {number} index
   * @param {List} [list]
   */
  add(error, index, list = 'examples') {
    if (!this.takes(error) && !(error instanceof MudptError && ['image', 'file'].includes(error.code))) throw error;
    this.#errors.push(error);
    const { code, message, hint } = error;
    this.#onBroken?.({ index, list, code, message, hint });
  }

  /** Throws what was kept, unless the caller takes it. */
  settle() {
    const { length } = this.#errors;
    if (this.#onBroken || !length) return;
    if (length === 1) throw this.#errors[0];
    const said = this.#errors.slice(0, MOST_SAID).map(({ message }, i) => `(${i + 1}) ${message}`);
    if (length > MOST_SAID) said.push('…');
    const remedy = 'mend or remove them, or leave them out with onBroken';
    throw new MudptError(this.#errors[0].code, `${length} pictures cannot be read: ${said.join(', ')}`, remedy);
  }
}
