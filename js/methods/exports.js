/** How the methods' tensors are called in other code: what each method's file says of it, as one table. */
import { METHODS } from './methods.js';

/** By the library's names of methods. @type {Record<string, import('./method.js').OfficialNames>} */
const EXPORTS = Object.assign({}, ...Object.values(METHODS).map((row) => row.exports));

const namesIn = (code) =>
  Object.fromEntries(
    Object.entries(EXPORTS).flatMap(([method, names]) => (names[code] ? [[method, names[code]]] : [])),
  );

/** Whose code: the methods' own authors' (MuDPT's has all of them), or MaPLe's. */
export const FORMATS = { official: namesIn('official'), maple: namesIn('maple') };

/** Trained tensors of a method's authors that nothing reads. @param {string} method @returns {RegExp | undefined} */
export const unusedIn = (method) => EXPORTS[method].unused;

/**
 * Every way in which a file may have a method's tensors.
 * @param {string} method the library's name
 * @returns {import('./method.js').Names[]} our names to theirs
 */
export function namesOf(method) {
  const { official, maple } = EXPORTS[method];
  const ways = maple ? [official, maple] : [official];
  if (official.context) {
    // CoOp and CoCoOp save the prompt learner alone, without a prefix; this is of the whole model.
    const entries = Object.entries(official).map(([ours, theirs]) => [ours, `prompt_learner.${theirs}`]);
    ways.push(Object.fromEntries(entries));
  }
  return ways;
}
