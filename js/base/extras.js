/**
 * What only some models and some pages need (js/extras.js), so that no other page downloads it. Where modules can be
 * imported later they are; a page's worker is made of one piece, which every bundler can make a classic script of, so
 * there the page starts another worker that has all of it (worker/whole-worker.js), and loads the model again there.
 */
import { nodePart } from './node-part.js';
import { isNode } from './platform.js';

/** What a worker that has no extras says of a model that needs them: no error, but a wish. */
export const WANTED = Symbol('extras are wanted');

/** @type {() => Promise<typeof import('../extras.js')>} */
let bring = async () => {
  if (!isNode) throw WANTED;
  // By a name that is made there: a bundler that saw it here would look for the file.
  return nodePart('../extras.js');
};

/** @param {typeof bring} how */
export function bringExtras(how) {
  bring = how;
}

/** @returns {Promise<typeof import('../extras.js')>} */
export const extras = () => bring();
