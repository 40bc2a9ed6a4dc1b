/** Settings of a training run: a method's defaults, a preset's, and what the user gives, every value checked. */
import { MudptError } from '../base/errors.js';
import { MOST_SEED } from '../base/limits.js';
import { CLASS_POSITIONS } from './coop.js';
import { upperLayers } from './method.js';
import { METHODS, TRAINABLE, defaultsOf } from './methods.js';
import { INJECTIONS } from './mudpt.js';
import { PRESETS } from './presets.js';
import { refuse } from './refuse.js';
import { requireWords, wordsOf } from './sentences.js';

/**
 * @typedef {import('./method.js').Settings} Settings
 * @typedef {import('./method.js').ClipConfig} ClipConfig
 */

/** What a setting may be: a test, and how it is said. */
const whole = (low, high) => ({
  allows: (value) => (Number.isInteger(value) || value === Infinity) && value >= low && value <= high,
  expected: high === Infinity ? `a whole number from ${low}, or Infinity` : `a whole number from ${low} to ${high}`,
});
const upTo = (most) => ({
  allows: (value) => typeof value === 'number' && value > 0 && value <= most,
  expected: `a number above 0, at most ${most}`,
});
const from0To = (most) => ({
  allows: (value) => typeof value === 'number' && value >= 0 && value <= most,
  expected: `a number from 0 to ${most}`,
});
const oneOf = (values) => ({ allows: (value) => values.includes(value), expected: values.join(' or ') });
const yesNo = { allows: (value) => typeof value === 'boolean', expected: 'true or false' };
const text = { allows: (value) => typeof value === 'string', expected: 'text' };

const CHECKS = {
  promptLength: whole(1, 1024),
  depth: whole(1, 128),
  phrase: text,
  classPosition: oneOf(CLASS_POSITIONS),
  classSpecific: yesNo,
  injection: oneOf(INJECTIONS),
  layer0Fusion: yesNo,
  layer: whole(1, 127),
  fromLayer: whole(1, 128),
  space: whole(1, 8192),
  rank: whole(1, 8192),
  projectionRank: whole(1, 8192),
  alpha: from0To(1),
  beta: from0To(1),
  textWeight: from0To(1e6),
  imageWeight: from0To(1e6),
  klWeight: from0To(1e6),
  averageMean: from0To(1e6),
  averageDeviation: from0To(1e6),
  shots: whole(1, Infinity),
  epochs: whole(1, 100000),
  batchSize: whole(1, 4096),
  learningRate: upTo(1000),
  augment: yesNo,
  smallestCrop: upTo(1),
  seed: whole(0, MOST_SEED),
};

/** What tune() is given beside a method's settings. */
const RUN_OPTIONS = [
  ...['classes', 'examples', 'method', 'validation', 'resume'],
  ...['recompute', 'memoryLimit', 'onBroken', 'transfer', 'signal'],
];

/** Whether a method takes an option. @param {string} method @param {string} key */
export const hasOption = (method, key) =>
  TRAINABLE.includes(method) && (key === 'preset' || Object.hasOwn(defaultsOf(method), key));

/**
 * Refuses an option that a method does not have.
 * @param {string} method
 * @param {string} key of Settings, or anything else
 * @param {string} [name] of the option, as the user wrote it
 */
export function checkOption(method, key, name = key) {
  if (hasOption(method, key)) return;
  const having = TRAINABLE.filter((other) => hasOption(other, key));
  if (having.length) {
    throw new MudptError('argument', `${name} is no option of ${method}`, `methods that have it: ${having.join(', ')}`);
  }
  const valid = `settings of ${method} are ${['preset', ...Object.keys(defaultsOf(method))].join(', ')}`;
  throw new MudptError(
    'argument',
    `there is no option "${key}"`,
    `${valid}; tune() also has ${RUN_OPTIONS.join(', ')}`,
  );
}

/**
 * Fills in a method's defaults, or a preset's, and checks every value.
 * @param {Record<string, unknown>} options as given by the user; undefined stands for the default
 * @param {ClipConfig} model
 * @returns {{ method: string, settings: Settings }}
 */
export function resolveSettings({ method = 'mudpt', preset = 'paper', ...options }, model) {
  if (typeof method !== 'string' || !TRAINABLE.includes(method)) refuse('method', method, TRAINABLE.join(' or '));
  if (typeof preset !== 'string' || !Object.hasOwn(PRESETS, preset))
    refuse('preset', preset, `instant or ${Object.keys(PRESETS).join(' or ')}`);
  const { epochsFor, textPrompts } = METHODS[method];
  const paper = defaultsOf(method);
  const settings = { ...paper, ...PRESETS[preset].settings(paper, model) };
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined) continue;
    checkOption(method, key);
    if (!CHECKS[key].allows(value)) refuse(key, value, CHECKS[key].expected);
    settings[key] = value;
  }
  const shallower = Math.min(model.textLayers, model.visionLayers);
  // MMRL's is the sixth of twelve.
  if ((settings.fromLayer ?? 0) > 1 && options.fromLayer === undefined)
    settings.fromLayer = Math.max(1, Math.floor(shallower / 2));
  const { depth, fromLayer = 1 } = settings;
  if (fromLayer > shallower) refuse('fromLayer', fromLayer, `at most the ${shallower} layers of both towers`);
  if (depth === Infinity || (depth && options.depth === undefined))
    settings.depth = Math.min(depth, upperLayers(model, fromLayer));
  if (epochsFor && preset === 'paper' && options.epochs === undefined) settings.epochs = epochsFor(settings.shots);
  if (settings.layer && options.layer === undefined)
    settings.layer = Math.max(1, Math.floor((2 * model.textLayers) / 3));
  // PromptSRC's average lies at three quarters of a run.
  const { epochs, averageDeviation } = settings;
  if (averageDeviation && options.averageDeviation === undefined) settings.averageDeviation = epochs / 20;
  if (averageDeviation && options.averageMean === undefined) settings.averageMean = (3 * epochs) / 4;
  // As in CoOp's code: a phrase that is given says how many prompts there are.
  const words = textPrompts ? wordsOf(settings.phrase).length : 0;
  if (words && options.promptLength === undefined) settings.promptLength = Math.min(settings.promptLength, words);
  if (words) requireWords(settings);
  if (settings.injection === 'transformer') {
    if (options.layer0Fusion !== undefined) {
      throw new MudptError('argument', 'layer0Fusion is no option of transformer injection', 'leave out one of them');
    }
    delete settings.layer0Fusion;
  }
  return { method, settings };
}

/**
 * A method with what belongs to its training, as the library takes it.
 * @param {string} method
 * @param {Settings} settings
 * @param {ClipConfig} model
 * @returns {import('../core/core.js').Method}
 */
export function trainedSizes(method, settings, model) {
  const { textWeight, imageWeight, klWeight, averageDeviation } = settings;
  const sizes = { method, ...METHODS[method].sizes(settings, model) };
  return { ...sizes, textWeight, imageWeight, klWeight, averages: Boolean(averageDeviation) };
}

/**
 * How many values a method trains on a model; class-specific context has as many for every further class.
 * @param {import('../classifier/classifier.js').Model} model
 * @param {string} method
 * @param {Settings} settings
 * @returns {number | null} null where the model's sentences have no room for so many prompts, or its text tower is not
 *   as deep as the method needs
 */
export function countTrained({ core, clip, config }, method, settings) {
  const sizes = { method, ...METHODS[method].sizes(settings, config) };
  // The words do not matter: start, prompts, end.
  const sentence = new Int32Array((sizes.textLength ?? 0) + 2);
  if (sentence.length > config.context || (sizes.layer && config.textLayers < 2)) return null;
  const handle = core.classifierCreate(clip, sizes, { ids: [[sentence]], nameLengths: [0] });
  try {
    return core.classifierParameters(handle).reduce((sum, { count }) => sum + count, 0);
  } finally {
    core.classifierFree(handle);
  }
}
