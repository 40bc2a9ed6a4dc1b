/** Classifiers from what the authors' code has trained, once it is read (exchange.js). */
import { MudptError } from '../base/errors.js';
import { checkClasses, requireDistinct } from '../methods/classes.js';
import { promptSentences } from '../methods/sentences.js';
import { giveTeacher } from './teacher.js';

/**
 * @typedef {object} Dictionary tensors of one method, by our names
 * @property {string} file where they are from, for messages
 * @property {string} method
 * @property {string[]} classes
 * @property {any} settings that the file and the options tell
 * @property {import('../core/core.js').Method} sizes
 * @property {Record<string, { shape: number[], values: Float32Array }>} values
 * @property {Record<string, string>} names ours to theirs
 */

/**
 * @param {import('./classifier.js').Model} model
 * @param {Dictionary} dictionary
 * @returns {Promise<{ handle: number, details: import('./classifier.js').Details }>}
 */
export async function restoreOfficial(model, { file, method, classes, settings, sizes, values, names }) {
  const { core, clip, tokenizer, needTokens } = model;
  const own = checkClasses(classes);
  const { ids, nameLengths } = promptSentences(tokenizer, own, method, settings);
  requireDistinct(own);
  await needTokens(ids.flat(2));
  const handle = core.classifierCreate(clip, sizes, { ids, nameLengths });
  try {
    const bad = (what, hint) => new MudptError('classifier', `${file}: ${what}`, hint);
    // With prompts in the first layer alone theirs has deeper injections too, which nothing uses.
    const wanted = core.classifierParameters(handle).map(({ name, shape }) => {
      const tensor = values[name];
      if (!tensor) throw bad(`has no tensor ${names[name]}`, `is it of ${sizes.method ?? method}?`);
      if (tensor.shape.join() === shape.join()) return [name, tensor.values];
      throw bad(
        `tensor ${names[name]} has the shape [${tensor.shape}], and [${shape}] fits this model and these classes`,
        'load the model that it was trained on, and give its classes',
      );
    });
    core.classifierSetParameters(handle, Object.fromEntries(wanted));
    const details = { method, classes: own, settings };
    await giveTeacher(model, handle, details);
    return { handle, details };
  } catch (error) {
    core.classifierFree(handle);
    throw error;
  }
}
