/** What the frozen model says of the classes, for methods that are made of it or whose loss compares with it. */
import { nextTurn } from '../base/platform.js';
import { METHODS } from '../methods/methods.js';
import { DEFAULT_TEMPLATE, templateSentences } from '../methods/sentences.js';

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
  const { teacher = [DEFAULT_TEMPLATE], classAware } = METHODS[method];
  const templates = typeof teacher === 'function' ? teacher(settings) : teacher;
  if (!settings.textWeight && !settings.klWeight && !classAware) return;
  const sum = new Float64Array(classes.length * config.embed);
  for (const ids of templateSentences(tokenizer, classes, [...templates])) {
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
