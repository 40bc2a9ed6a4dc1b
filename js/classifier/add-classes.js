/**
 * More classes for a saved classifier, which are not trained: their names go through the text tower with the prompts
 * that the file holds. What it holds of its present classes stays as it is, to the bit.
 */
import { MudptError } from '../base/errors.js';
import { floatsOf, writeSafetensors } from '../loading/safetensors.js';
import { checkClasses, requireDistinct } from '../methods/classes.js';
import { METHODS } from '../methods/methods.js';
import { promptSentences, templateSentences } from '../methods/sentences.js';
import { entryOf } from './entry.js';
import { idsTensor } from './saved.js';
import { giveTeacher } from './teacher.js';

/**
 * @param {import('./classifier.js').Model} model
 * @param {import('./saved.js').SavedFile} file of a classifier of this model
 * @param {string[]} names
 * @param {AbortSignal} [signal]
 * @returns {Promise<Uint8Array>} the file with these classes behind its own
 */
export async function addClasses(model, file, names, signal) {
  const details = file.details();
  const count = details.classes.length;
  const classes = checkClasses([...details.classes, ...checkClasses(names)]);
  if (details.settings?.classSpecific) {
    throw new MudptError(
      'state',
      'each class of this classifier has a context of its own, and a new one would have none',
      'train with the new classes, or with one context for all (classSpecific: false)',
    );
  }
  if (!Object.hasOwn(METHODS, details.method)) throw file.bad(`has the unknown method ${details.method}`);
  const prompts = file.floats('text_prompts', [-1, -1, model.config.textWidth]);
  const fresh = sentencesOf(model, file, details, classes.slice(count), prompts?.shape[1]);
  requireDistinct(classes, count);
  const tensor = METHODS[details.method].perPicture
    ? idsTensor([...file.ids(count), ...fresh.ids[0]])
    : await moreFeatures(model, file, { ...details, classes }, count, fresh, prompts, signal);
  const tensors = file.contents().map((old) => (old.name === tensor.name ? tensor : old));
  const { second } = entryOf(details, model.config);
  const alone = second && { alone: `${(details.alone ?? 0) + names.length}` };
  return writeSafetensors(tensors, { ...file.metadata, ...alone, classes: JSON.stringify(classes) });
}

/**
 * The sentences of some classes.
 * @param {import('./classifier.js').Model} model
 * @param {import('./saved.js').SavedFile} file
 * @param {import('./classifier.js').Details} details
 * @param {string[]} names
 * @param {number} [promptLength] of the prompts in the file
 */
function sentencesOf({ tokenizer }, file, { method, templates, settings }, names, promptLength) {
  if (settings) {
    const { promptLength: saved } = settings;
    return promptSentences(tokenizer, names, method, { ...settings, promptLength: promptLength ?? saved });
  }
  if (!Array.isArray(templates) || !templates.length) throw file.bad('has neither settings nor templates');
  return { ids: templateSentences(tokenizer, names, templates), nameLengths: undefined };
}

/** text_features with a row for each of the fresh sentences as well, which are those of the classes from `count` on. */
async function moreFeatures(model, file, details, count, fresh, prompts, signal) {
  const { core, config, needTokens } = model;
  const total = count + fresh.ids[0].length;
  const old = file.find('text_features', 'F32', [count, config.embed]);
  if (!old) throw file.bad('has no tensor text_features');
  const data = new Float32Array(total * config.embed);
  data.set(floatsOf(file.bytes, old));
  await needTokens(fresh.ids.flat(2), signal);
  const added = { ...details, classes: details.classes.slice(count) };
  const handle = METHODS[details.method].classAware
    ? await withOwnRows(model, file, added, fresh, signal)
    : textOnly(model, details, fresh, prompts);
  try {
    data.set(await core.classifierTextFeatures(handle), count * config.embed);
  } finally {
    core.classifierFree(handle);
  }
  return { name: 'text_features', dtype: 'F32', shape: [total, config.embed], data };
}

/**
 * The library's classifier of a method that makes rows of every class, with a file's parameters.
 * @returns {Promise<number>} handle
 */
async function withOwnRows(model, file, { method, classes, settings }, sentences, signal) {
  const { core, clip, config } = model;
  if (!settings) throw file.bad('has no settings');
  const sizes = { method, ...METHODS[method].sizes(settings, config) };
  const handle = core.classifierCreate(clip, sizes, sentences);
  try {
    core.classifierSetParameters(handle, file.parameters(core, handle));
    await giveTeacher(model, handle, { method, classes, settings, signal });
    return handle;
  } catch (error) {
    core.classifierFree(handle);
    throw error;
  }
}

/**
 * The library's classifier of some sentences with a file's text prompts, good for text features alone. Prompts after
 * the injection are independent of each other, as IVLP's are; CoOp's may have the name in their midst.
 * @returns {number} handle
 */
function textOnly({ core, clip, config }, details, sentences, prompts) {
  const { method, settings } = details;
  if (!prompts) return core.classifierCreate(clip, { method: 'zeroshot' }, sentences);
  const [textDepth, textLength] = prompts.shape;
  const coop = method === 'coop';
  const sizes = coop
    ? { method, ...METHODS.coop.sizes({ ...settings, promptLength: textLength }, config) }
    : {
        ...{ method: 'ivlp', textLength, textDepth, visualLength: 1, visualDepth: 1 },
        ...{ ...entryOf(details, config), second: 0, alone: 0 },
      };
  const first = textLength * config.textWidth;
  const values = { [coop ? 'context' : 'text_prompts.0']: prompts.values.subarray(0, first) };
  if (textDepth > 1) values['text_prompts.deep'] = prompts.values.subarray(first);
  const handle = core.classifierCreate(clip, sizes, sentences);
  try {
    core.classifierSetParameters(handle, values);
    return handle;
  } catch (error) {
    core.classifierFree(handle);
    throw error;
  }
}
