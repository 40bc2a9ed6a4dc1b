/**
 * A checkpoint: all there is of a training run between two steps, as one file. A run that goes on from it ends with the
 * same bits as one that was never interrupted, since everything random follows from the seed and the place in the run;
 * but for arithmetic that rounds in another way, which is told.
 *
 * The file has the classifier's parameters under their own names, their velocities under velocity.NAME, second moments
 * of Adam's under square.NAME, averages under average.NAME, the loss of every step so far under losses, and in its
 * metadata where the run stands, how it was computed, and digits that stand for its pictures.
 */
import { MudptError, bytesOf } from '../base/errors.js';
import { Classifier } from '../classifier/classifier.js';
import { CHECKPOINT, SavedFile, describe, rawTensors } from '../classifier/saved.js';
import { writeSafetensors } from '../loading/safetensors.js';
import { resolveSettings } from '../methods/settings.js';

/**
 * @typedef {object} RunState
 * @property {Classifier} classifier
 * @property {import('../classifier/classifier.js').Details} details
 * @property {{ epoch: number, step: number }} place the next step, and its epoch, both from 0
 * @property {string} pictures as core.trainerPictures gives it
 * @property {number[]} losses one a step
 */

/** What the bits of a run depend on besides its settings. @param {import('../classifier/classifier.js').Model} model */
function arithmeticOf({ core, config }) {
  return {
    'multiply-add': core.fused ? 'is rounded once' : 'is rounded twice',
    precision: `is ${config.precision ? 'fast' : 'high'}`,
    device: `is ${core.memory.device ? 'webgpu' : 'wasm'}`,
    convention: `is ${config.transform?.cropDown ? 'transformers' : 'openai'}`,
  };
}

/** What there is of every parameter besides its value: moments, and an average where the method has one. */
const STATES = /** @type {const} */ (['velocity', 'square', 'average']);

/**
 * @param {import('../classifier/classifier.js').Model} model
 * @param {RunState} state
 * @returns {Uint8Array}
 */
export function writeCheckpoint(model, { classifier, details, place, pictures, losses }) {
  const { core } = model;
  const handle = Classifier.handleOf(classifier);
  const more = STATES.filter((what) => core.classifierParameters(handle)[0][what]).flatMap((what) =>
    rawTensors(core, handle, what).map((tensor) => ({ ...tensor, name: `${what}.${tensor.name}` })),
  );
  const data = Float32Array.from(losses);
  const tensors = [...rawTensors(core, handle), ...more];
  if (losses.length) tensors.push({ name: 'losses', dtype: 'F32', shape: [losses.length], data });
  const metadata = describe(model, CHECKPOINT, details);
  const arithmetic = JSON.stringify(arithmeticOf(model));
  return writeSafetensors(tensors, {
    ...metadata,
    epoch: `${place.epoch}`,
    step: `${place.step}`,
    pictures,
    arithmetic,
  });
}

/** A checkpoint that belongs to a model. */
export class Checkpoint {
  #file;

  /** @param {import('../classifier/classifier.js').Model} model @param {unknown} bytes */
  constructor(model, bytes) {
    this.#file = new SavedFile(bytesOf(bytes, 'the checkpoint'), 'the checkpoint', [CHECKPOINT]);
    this.#file.requireModel(model);
    const { method, classes, settings } = this.#file.details();
    this.classes = classes;
    try {
      /** Method and settings of the run. */
      this.run = resolveSettings({ method, .../** @type {any} */ (settings) }, model.config);
    } catch (error) {
      throw error instanceof MudptError ? this.#file.bad(error.message) : error;
    }
    const { epoch, step } = this.#file.metadata;
    this.place = { epoch: Number(epoch), step: Number(step) };
    if (!Number.isInteger(this.place.epoch) || !Number.isInteger(this.place.step)) {
      throw this.#file.bad('does not say where the run stands');
    }
  }

  /**
   * Why the run will not end with the bits that it would have had where it was begun; '' where it will, or where an
   * earlier version of the library kept it, which did not tell.
   * @param {import('../classifier/classifier.js').Model} model
   */
  difference(model) {
    let before;
    try {
      before = JSON.parse(this.#file.metadata.arithmetic ?? '{}');
    } catch {
      before = null;
    }
    if (typeof before !== 'object' || !before) throw this.#file.bad('does not say how the run was computed');
    const differs = Object.entries(arithmeticOf(model)).filter(([what, now]) => (before[what] ?? now) !== now);
    if (!differs.length) return '';
    const parts = differs.map(([what, now]) => `${what} ${now} here, and ${`${before[what]}`.slice(0, 40)} there`);
    return `the run goes on, but not to the same bits as where it was begun: ${parts.join('; ')}`;
  }

  /**
   * Refuses options that differ from those of the run; what is absent is as it was.
   * @param {{ classes?: unknown, method?: unknown, preset?: unknown }} options of tune()
   * @param {import('../core/core.js').ClipConfig} config
   */
  requireSame({ classes, method, ...given }, config) {
    const differs = (what, now, before) =>
      new MudptError(
        'argument',
        `${what} is ${now}, and ${before} in the run that is to be continued`,
        'leave it out, or begin a new run',
      );
    if (method !== undefined && method !== this.run.method) throw differs('method', method, this.run.method);
    // A preset stands for all settings that are not given.
    const base = given.preset === undefined ? this.run.settings : {};
    const { settings } = resolveSettings({ ...base, ...defined(given), method: this.run.method }, config);
    for (const [key, before] of Object.entries(this.run.settings)) {
      if (settings[key] !== before) throw differs(key, JSON.stringify(settings[key]), JSON.stringify(before));
    }
    if (classes === undefined || JSON.stringify(classes) === JSON.stringify(this.classes)) return;
    throw new MudptError(
      'argument',
      `the classes are not those of the run that is to be continued (${this.classes.join(', ')})`,
      'give the same in the same order, leave them out, or begin a new run',
    );
  }

  /**
   * Gives a new run's classifier, which has a trainer, the values, moments and averages.
   * @param {import('../core/core.js').Core} core
   * @param {number} handle
   */
  restore(core, handle) {
    core.classifierSetParameters(handle, this.#file.parameters(core, handle));
    for (const what of STATES) {
      if (!core.classifierParameters(handle)[0][what]) continue;
      core.classifierSetParameters(handle, this.#file.parameters(core, handle, `${what}.`), what);
    }
  }

  /**
   * Puts a trainer that has its pictures where the run stood.
   * @param {import('../core/core.js').Core} core
   * @param {number} trainer
   * @param {number} each steps of an epoch
   * @returns {number[]} the loss of every step so far
   */
  enter(core, trainer, each) {
    if (core.trainerPictures(trainer) !== this.#file.metadata.pictures) {
      throw new MudptError(
        'argument',
        'the pictures are not those that the run was trained on',
        'give the same examples in the same order, or begin a new run',
      );
    }
    try {
      core.trainerResume(trainer, this.place.epoch, this.place.step);
    } catch (error) {
      throw error instanceof MudptError ? this.#file.bad(error.message) : error;
    }
    const done = this.place.epoch * each + this.place.step;
    const losses = done ? this.#file.floats('losses', [done]) : { values: [] };
    if (losses) return Array.from(losses.values);
    throw this.#file.bad('has no tensor losses');
  }
}

const defined = (options) => Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
