/**
 * What owns something that the garbage collector does not see, and is forgotten without dispose(). Whoever has such
 * objects gives what they own back when they are collected; of models, which are large, one line is told.
 */
import { megabytes } from './errors.js';

let told = false;

/** Once: engines do not hurry to collect what they do not count. @param {string} name @param {number} bytes */
export function tellOfForgotten(name, bytes) {
  if (told) return;
  told = true;
  console.warn(
    `mudpt: nothing uses the model ${name} any more, but it was not disposed of: its ${megabytes(bytes)} and its ` +
      'threads are given back only now; call dispose() of models, as engines may take long to notice',
  );
}
