/**
 * How much memory training takes, told before it starts, and what would fit where it does not.
 */
import { MudptError, megabytes } from '../base/errors.js';
import { MOST_BLOCK } from '../base/limits.js';
import { DTYPES } from '../core/core.js';

/** The module itself: code's data, stacks. */
const RUNTIME = { once: 3 * 2 ** 20, thread: 2 ** 20 };
/** Picture files are kept decoded up to this size in all, the others as files (src/train/trainer.c). */
const DECODED = 64 * 2 ** 20;

/**
 * @typedef {object} TrainingPlan bytes
 * @property {number} weights of the model
 * @property {number} activations of the towers, and scratch
 * @property {number} prompts parameters and prompts of every layer
 * @property {number} optimizer gradients, velocity, last good values
 * @property {number} examples the pictures to train on, and one batch's pixels
 * @property {number} runtime
 * @property {number} total
 * @property {number} limit what this platform grants
 * @property {number} largest bytes of its largest block
 * @property {number} group pictures that go through the image tower together
 * @property {number} parts in which the sentences go through the text tower
 */

/** Types that blocks' matrices can be thought to be kept as. */
const STORAGE = { f32: DTYPES.F32, f16: DTYPES.F16, int8: DTYPES.I8, int16: DTYPES.I16 };

/** Refuses options of a plan, or of a run, of the wrong type. @param {Record<string, any>} options */
export function checkPlan({ pictures, recompute, dtype, memoryLimit }) {
  const checks = {
    pictures: [pictures, Number.isInteger(pictures) && pictures >= 0, 'a whole number from 0'],
    recompute: [recompute, typeof recompute === 'boolean', 'true or false'],
    dtype: [dtype, Object.hasOwn(STORAGE, dtype), Object.keys(STORAGE).join(' or ')],
    memoryLimit: [memoryLimit, memoryLimit > 0, 'a number of bytes above 0'],
  };
  for (const [key, [value, isRight, expected]] of Object.entries(checks)) {
    if (value === undefined || isRight) continue;
    throw new MudptError('argument', `${key} is ${value}, expected ${expected}`);
  }
}

/**
 * @param {import('../classifier/classifier.js').Model} model
 * @param {number} handle a classifier
 * @param {{ batchSize: number, pictures: number, kept?: number, augment?: boolean, recompute?: boolean,
 *   dtype?: keyof typeof STORAGE }} options  `dtype`: as if blocks' matrices were kept so; `kept`: bytes of the
 *   pictures, where these are there: else they are taken to be of the model's size; `augment`: in random views
 * @returns {TrainingPlan}
 */
export function planTraining({ core, clip, config }, handle, options) {
  const { batchSize, pictures, augment = true, recompute = false, dtype } = options;
  const { kept = Math.min(DECODED, pictures * 3 * config.image ** 2) } = options;
  const { pixels, kept: row, ...plan } = core.classifierPlan(handle, batchSize, recompute);
  if (dtype !== undefined) plan.weights = core.clipWeightBytesAs(clip, STORAGE[dtype]);
  const examples = pixels + kept + (augment ? 0 : (pictures + batchSize) * row);
  const runtime = RUNTIME.once + RUNTIME.thread * core.threads;
  const total = plan.weights + plan.activations + plan.prompts + plan.optimizer + examples + runtime;
  return /** @type {TrainingPlan} */ ({ ...plan, examples, runtime, total, limit: core.mostBytes });
}

/** @param {TrainingPlan} plan @param {number} limit */
const fits = ({ total, largest }, limit) => total <= limit && largest <= MOST_BLOCK;

/** Most that is kept of pictures between epochs, where that saves work. */
const MOST_KEPT = 256 * 2 ** 20;

/**
 * Refuses a run that would not fit, with what would.
 * @param {import('../classifier/classifier.js').Model} model
 * @param {number} handle
 * @param {{ batchSize: number, pictures: number, kept?: number, augment?: boolean, recompute: boolean,
 *   memoryLimit?: number, dtype?: keyof typeof STORAGE }} options
 * @returns {number} bytes that may be kept of pictures between epochs
 */
export function requireMemory(model, handle, { memoryLimit = Infinity, ...options }) {
  const plan = planTraining(model, handle, options);
  const limit = Math.min(memoryLimit, plan.limit);
  if (fits(plan, limit)) return Math.min(MOST_KEPT, (limit - plan.total) / 2);
  /** @type {[string, { recompute?: boolean, dtype?: 'int8', batchSize?: number }][]} */
  const ways = [
    ['recompute', { recompute: true }],
    ["the model loaded with dtype 'int8'", { dtype: 'int8' }],
    ["recompute and dtype 'int8'", { recompute: true, dtype: 'int8' }],
    ["recompute, dtype 'int8' and one picture a step", { recompute: true, dtype: 'int8', batchSize: 1 }],
  ];
  const offers = ways.flatMap(([name, changes]) => {
    const other = planTraining(model, handle, { ...options, ...changes });
    const isLess = other.total < plan.total;
    return isLess && fits(other, limit) ? [`${name} (${megabytes(other.total)})`] : [];
  });
  const allowed = `${megabytes(limit)} are ${memoryLimit < plan.limit ? 'allowed' : 'all that there is here'}`;
  const inBlock = `${megabytes(plan.largest)} in one block, which has at most ${megabytes(MOST_BLOCK)}`;
  const pictures = options.kept ? ` and ${megabytes(options.kept)} the pictures` : '';
  throw new MudptError(
    'memory',
    `training would take ${megabytes(plan.total)}, of which ${megabytes(plan.weights)} are the model's weights` +
      `${pictures}; ${plan.total > limit ? allowed : inBlock}`,
    offers.length
      ? `this would fit: ${offers.join('; ')}`
      : `use fewer classes${pictures && ', fewer or smaller pictures'} or a smaller model`,
  );
}
