/**
 * The C library (src/mudpt.h) in WebAssembly, one thin synchronous method per function: addresses, strings and
 * structs are turned into numbers, strings and objects, a code other than 0 into a MudptError. It reads no files and
 * knows no tokenizer; js/clip.js is what people use.
 *
 *   const core = await createCore({ threads: 2 });
 *   const clip = core.clipCreate(config);      // a handle: a number
 */
import { MudptError, checkChoices, reasonOf } from '../base/errors.js';
import { extras } from '../base/extras.js';
import { MOST_THREADS } from '../base/limits.js';
import { hasThreads, isNode } from '../base/platform.js';
import { Classifiers } from './classifiers.js';
import { hardwareThreads, hasRelaxedSimd } from './features.js';
import { FILES, startModule } from './module.js';
import * as structs from './structs.js';

const MORE = 3;
const DEFAULT_THREADS = 8;

/** Storage types (mudpt_clip_config.storage) and element types that are sent. */
export const DTYPES = Object.freeze({ F32: 0, F16: 1, I8: 2, BF16: 3, I16: 4 });
/** What is sent of a model's text side (clipCreate's `text`). */
export const TEXT = Object.freeze({ WHOLE: 0, ROWS: 1, NONE: 2 });
/** Arithmetic of products (clipCreate's `precision`). */
export const PRECISIONS = Object.freeze({ high: 0, fast: 1, int8: 2 });
/** Nonlinearities of blocks (clipCreate's `visionActivation`, `textActivation`, `poolActivation`). */
export const ACTIVATIONS = Object.freeze({ quick_gelu: 0, gelu: 1, gelu_tanh: 2 });
/** What becomes a feature (clipCreate's `visionPooling`: the first three; `textPooling`: the first and the last). */
export const POOLING = Object.freeze({ token: 0, mean: 1, attention: 2, last: 3 });
export const VARIANTS = Object.keys(FILES);

/**
 * @typedef {import('./structs.js').ClipConfig} ClipConfig
 * @typedef {import('./structs.js').Method} Method
 * @typedef {import('./structs.js').Sentences} Sentences
 * @typedef {import('./structs.js').Parameter} Parameter
 * @typedef {import('./structs.js').Progress} Progress
 */

/**
 * Loads the library.
 * @param {object} [options]
 * @param {'auto' | 'plain' | 'relaxed'} [options.variant] `auto` takes relaxed SIMD where there is
 * @param {number} [options.threads] 1 ... 64, by default one per core, at most 8; always 1 where the platform has none
 * @param {string | URL} [options.assetsUrl] as in index.d.ts
 * @param {boolean} [options.wideVectors] as in index.d.ts
 * @param {string} [options.precision] `int8` needs a module of its own
 * @param {string} [options.device]
 * @param {string} [options.dtype]
 * @param {import('./module.js').ModuleFile} [file] another module than the variant's
 * @returns {Promise<Core>}
 */
export async function createCore(options = {}, file) {
  const { variant = 'auto', assetsUrl, wideVectors, precision } = options;
  if (!file && ((wideVectors && isNode) || precision === 'int8'))
    return (await extras()).specialCore(options, createCore);
  checkChoices({ variant: [variant, ['auto', ...VARIANTS]] });
  const threads = options.threads ?? Math.min(await hardwareThreads(), DEFAULT_THREADS);
  if (!Number.isInteger(threads) || threads < 1 || threads > MOST_THREADS) {
    throw new MudptError('argument', `threads must be a whole number from 1 to ${MOST_THREADS}, not ${threads}`);
  }
  const chosen = variant !== 'plain' && (await hasRelaxedSimd()) ? 'relaxed' : 'plain';
  if (variant === 'relaxed' && chosen === 'plain') {
    throw new MudptError('environment', 'this platform has no relaxed SIMD', "use variant 'plain' or 'auto'");
  }
  const module = await startModule(file ?? FILES[chosen], hasThreads ? threads : 1, assetsUrl).catch((cause) => {
    if (cause instanceof MudptError) throw cause;
    const [code, what] = cause instanceof RangeError ? ['memory', 'got no memory'] : ['environment', 'does not start'];
    throw new MudptError(code, `the WebAssembly module ${what}: ${reasonOf(cause)}`, 'it needs SIMD', { cause });
  });
  const core = new Core(module, chosen);
  try {
    core.setThreads(module.threads);
  } catch (error) {
    core.dispose();
    throw error;
  }
  return core;
}

/** Of fastGain(), below which f32 stays. */
export const WORTHWHILE_GAIN = 1.1;
/** Learning rate of the first epoch. */
export const WARMUP_RATE = 1e-5;

/** One instance of the library with memory of its own. */
export class Core extends Classifiers {
  /**
   * @param {number} classifier
   * @param {{ epochs: number, batch: number, rate: number, warmupRate?: number, momentum?: number, decay?: number,
   *   seed: number, augment: boolean, smallestCrop: number, how?: number, averageMean?: number,
   *   averageDeviation?: number, keep?: number }} config @returns {number}
   */
  trainerCreate(classifier, config) {
    const defaults = { warmupRate: WARMUP_RATE, momentum: 0.9, decay: 5e-4 };
    return this.memory.scoped((scratch) => {
      const at = scratch.putStruct(structs.TRAIN_CONFIG, { ...defaults, ...config });
      return this.memory.handle((out) => this.c._mudpt_trainer_create(classifier, at, out));
    });
  }

  /** @param {number} trainer @param {Uint8Array} file a picture file; kept compressed @param {number} label */
  trainerAdd(trainer, file, label) {
    this.memory.scoped((scratch) =>
      this.memory.check(this.c._mudpt_trainer_add(trainer, scratch.put(file), file.length, label)),
    );
  }

  /** Bytes of the pictures that were added, as they are kept. @param {number} trainer @returns {number} */
  trainerBytes(trainer) {
    return this.c._mudpt_trainer_bytes(trainer) >>> 0;
  }

  /** @param {number} trainer @param {number} image copied @param {number} label */
  trainerAddImage(trainer, image, label) {
    this.memory.check(this.c._mudpt_trainer_add_image(trainer, image, label));
  }

  /**
   * A part of a batch. undefined: there is more, and nothing else may use the classifier; null: complete.
   * @param {number} trainer @returns {Progress | null | undefined}
   */
  trainerAdvance(trainer) {
    return this.memory.scoped((scratch) => {
      const out = scratch.take(structs.PROGRESS.bytes);
      return this.memory.then(this.memory.compute('_mudpt_trainer_advance', trainer, out), (code) => {
        if (code) return code === MORE ? undefined : null;
        return /** @type {Progress} */ (structs.readStruct(structs.PROGRESS, this.memory.view, out));
      });
    });
  }

  /** The next step, and its epoch, both from 0. @param {number} trainer @returns {{ epoch: number, step: number }} */
  trainerPlace(trainer) {
    return this.memory.scoped((scratch) => {
      const at = scratch.take(8);
      this.c._mudpt_trainer_place(trainer, at, at + 4);
      const [epoch, step] = new Int32Array(this.memory.buffer, at, 2);
      return { epoch, step };
    });
  }

  /** Goes on from a place, before the first step. @param {number} trainer @param {number} epoch @param {number} step */
  trainerResume(trainer, epoch, step) {
    this.memory.check(this.c._mudpt_trainer_resume(trainer, epoch, step));
  }

  /** @param {number} trainer @returns {string} 16 hexadecimal digits that stand for the pictures that were added */
  trainerPictures(trainer) {
    return this.memory.string(this.c._mudpt_trainer_pictures(trainer));
  }

  /** @param {number} trainer */
  trainerFree(trainer) {
    if (!this.disposed) this.c._mudpt_trainer_free(trainer);
  }

  /** @returns {number} the share of an epoch, from 0, in an average */
  averageWeight(epochs, mean, deviation, epoch) {
    return this.c._mudpt_average_weight(epochs, mean, deviation, epoch);
  }

  /** @returns {number} the rate of an epoch */
  learningRate(base, warmupRate, epochs, epoch) {
    return this.c._mudpt_learning_rate(base, warmupRate, epochs, epoch);
  }

  /**
   * At most `shots` of each class, class by class; the same for the same seed.
   * @param {ArrayLike<number>} labels 0 ... classes - 1 @returns {Int32Array} indices into labels
   */
  sampleShots(labels, classes, shots, seed) {
    return this.memory.scoped((scratch) => {
      const [out, labelsAt] = [scratch.take(labels.length * 4), scratch.put(Int32Array.from(labels))];
      const count = this.c._mudpt_sample_shots(labelsAt, labels.length, classes, shots, seed, out);
      return new Int32Array(this.memory.buffer, out, this.memory.check(count)).slice();
    });
  }
}
