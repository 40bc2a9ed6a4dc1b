/** What the frozen model says of the classes, for methods that are made of it or whose loss compares with it. */
import { nextTurn } from '../base/platform.js';
import { METHODS } from '../methods/methods.js';
import { DEFAULT_TEMPLATE, templateSentences } from '../methods/sentences.js';

/**
 * The templates that the frozen model reads.
 * @param {string} method
 * @param {import('../methods/method.js').Settings} settings
 */
export function teacherTemplates(method, settings) {
  const { teacher = [DEFAULT_TEMPLATE] } = METHODS[method];
  return typeof teacher === 'function' ? teacher(settings) : teacher;
}

/**
 * Gives a classifier the frozen model's class features, where something needs them: the mean over the method's
 * templates.
 * @param {import('./classifier.js').Model} model
 * @param {number} handle of the library's classifier
 * @param {{ method: string, classes: string[], settings: import('../methods/method.js').Settings,
 *   signal?: AbortSignal }} run
 */
export async function giveTeacher({ core, clip, config, tokenizer, needTokens }, handle, run) {
  const { method, classes, settings, signal } = run;
  if (!settings.textWeight && !settings.klWeight && !METHODS[method].classAware) return;
  const sum = new Float64Array(classes.length * config.embed);
  for (const ids of templateSentences(tokenizer, classes, [...teacherTemplates(method, settings)])) {
    await needTokens(ids.flat(), signal);
    const frozen = core.classifierCreate(clip, { method: 'zeroshot' }, { ids: [ids] });
    try {
      const features = await core.classifierTextFeatures(frozen);
      features.forEach((value, i) => (sum[i] += value));
    } finally {
      core.classifierFree(frozen);
    }
    await nextTurn();
    signal?.throwIfAborted();
  }
  core.classifierSetTeacher(handle, Float32Array.from(sum)); // only directions count
}
