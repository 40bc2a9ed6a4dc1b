/** What the frozen model says of the classes, for methods whose loss compares with it. */
import { nextTurn } from '../base/platform.js';
import { METHODS } from '../methods/methods.js';
import { DEFAULT_TEMPLATE, templateSentences } from '../methods/sentences.js';

/**
 * Gives a classifier the frozen model's class features, where its loss has a term of them: the mean over the method's
 * templates.
 * @param {import('../classifier/classifier.js').Model} model
 * @param {number} handle of the library's classifier
 * @param {{ method: string, classes: string[], settings: import('../methods/method.js').Settings,
 *   signal?: AbortSignal }} run
 */
export async function giveTeacher({ core, clip, config, tokenizer, needTokens }, handle, run) {
  const { method, classes, settings, signal } = run;
  if (!settings.textWeight && !settings.klWeight) return;
  const templates = METHODS[method].teacher ?? [DEFAULT_TEMPLATE];
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
