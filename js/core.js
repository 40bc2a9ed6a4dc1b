/**
 * The C library (src/mudpt.h) in WebAssembly, one thin synchronous method per function: addresses, strings and
 * structs are turned into numbers, strings and objects, a code other than 0 into a MudptError. It reads no files and
 * knows no tokenizer; js/clip.js is what people use.
 *
 *   const core = await createCore({ threads: 2 });
 *   const clip = core.clipCreate(config);      // a handle: a number
 */
import { MudptError, reasonOf } from './errors.js';
import { MOST_THREADS } from './limits.js';
import { Memory } from './memory.js';
import { startModule } from './module.js';
import { hardwareThreads, hasRelaxedSimd, hasThreads } from './platform.js';
import * as structs from './structs.js';

const SKIP = 2;
const MORE = 3;
const DEFAULT_THREADS = 8;
const STAGING_BYTES = 256 * 1024;

/** Storage types (mudpt_clip_config.storage) and element types that are sent. */
export const DTYPES = Object.freeze({ F32: 0, F16: 1, I8: 2, BF16: 3, I16: 4 });
/** What is sent of a model's text side (clipCreate's `text`). */
export const TEXT = Object.freeze({ WHOLE: 0, ROWS: 1, NONE: 2 });
/** Arithmetic of products (clipCreate's `precision`). */
export const PRECISIONS = Object.freeze({ high: 0, fast: 1 });
export const VARIANTS = Object.freeze(['plain', 'relaxed']);

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
 * @returns {Promise<Core>}
 */
export async function createCore({ variant = 'auto', threads, assetsUrl } = {}) {
  if (variant !== 'auto' && !VARIANTS.includes(variant)) {
    throw new MudptError('argument', `variant must be auto, ${VARIANTS.join(' or ')}, not ${variant}`);
  }
  threads ??= Math.min(await hardwareThreads(), DEFAULT_THREADS);
  if (!Number.isInteger(threads) || threads < 1 || threads > MOST_THREADS) {
    throw new MudptError('argument', `threads must be a whole number from 1 to ${MOST_THREADS}, not ${threads}`);
  }
  const chosen = variant !== 'plain' && (await hasRelaxedSimd()) ? 'relaxed' : 'plain';
  if (variant === 'relaxed' && chosen === 'plain') {
    throw new MudptError('environment', 'this platform has no relaxed SIMD', "use variant 'plain' or 'auto'");
  }
  const module = await startModule(chosen, hasThreads ? threads : 1, assetsUrl).catch((cause) => {
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

/**
 * One instance of the library with memory of its own. Handles (clips, images, classifiers, trainers) are numbers and
 * must be freed by the function that belongs to them. Typed arrays that methods return are copies.
 */
export class Core {
  #memory;
  #staging = 0;
  /** @type {Map<number, ClipConfig>} */
  #clips = new Map();
  /** @type {Map<number, { config: ClipConfig, classes: number, prompts: number }>} */
  #classifiers = new Map();

  /** @param {any} module @param {string} variant */
  constructor(module, variant) {
    this.#memory = new Memory(module);
    /** 'plain' or 'relaxed' */
    this.variant = variant;
    /** As set by setThreads. */
    this.threads = 1;
  }

  /** Ends the threads and lets go of all memory; the object cannot be used any more. */
  dispose() {
    this.#memory.dispose();
    this.#clips.clear();
    this.#classifiers.clear();
  }

  get disposed() {
    return this.#memory.disposed;
  }

  /** The module's memory, and its WebGPU device (device.js). */
  get memory() {
    return this.#memory;
  }

  /** Bytes of memory. It never shrinks, so this is the peak as well; 0 after dispose(). */
  get memoryBytes() {
    return this.disposed ? 0 : this.#memory.buffer.byteLength;
  }

  /** Bytes that it can grow to. */
  get mostBytes() {
    return this.#memory.mostBytes;
  }

  /** The module, with the exported C functions. */
  get #c() {
    return this.#memory.module;
  }

  /** A view of memory, valid until the next call. @param {number} address @param {number} count */
  floats(address, count) {
    return this.#memory.floats(address, count);
  }

  #clip(handle) {
    const config = this.#memory.module && this.#clips.get(handle);
    if (config) return config;
    throw new MudptError('state', 'this model has been freed', 'load it again');
  }

  #classifier(handle) {
    const found = this.#memory.module && this.#classifiers.get(handle);
    if (found) return found;
    throw new MudptError('state', 'this classifier has been disposed of', 'make or import it again');
  }

  // ------------------------------------------------------------------------------------------------ library

  version() {
    return this.#memory.string(this.#c._mudpt_version());
  }

  /** @param {number} threads 1 ... as many as createCore was asked for */
  setThreads(threads) {
    this.#memory.check(this.#c._mudpt_set_threads(threads));
    this.threads = threads;
  }

  /** How many times as fast as f32 the products of PRECISIONS.fast are here: measured, in some 20 ms. */
  fastGain() {
    return this.#memory.floatsFrom(1, (out) => this.#c._mudpt_fast_gain(out))[0];
  }

  /** Whether multiply-add rounds once: the relaxed variant's does where the engine fuses, the plain one's nowhere. */
  get fused() {
    return this.#c._mudpt_fused() === 1;
  }

  /** Counted so far: FLOP of products and of attention, bytes of weights that were read. */
  work() {
    const bytes = this.#memory.bytesFrom(24, (out) => this.#c._mudpt_work(out) ?? 0);
    const [products, attention, weightBytes] = new Float64Array(bytes.buffer);
    return { products, attention, weightBytes };
  }

  /** @returns {string[]} */
  methodNames() {
    const names = [];
    for (let at; (at = this.#c._mudpt_method_name(names.length));) names.push(this.#memory.string(at));
    return names;
  }

  // ------------------------------------------------------------------------------------------------ model

  /** @param {ClipConfig} config @returns {number} */
  clipCreate(config) {
    const values = { storage: -1, ...config };
    const clip = this.#memory.scoped((scratch) => {
      const at = scratch.putStruct(structs.CLIP_CONFIG, { ...values, ...values.transform });
      return this.#memory.handle((out) => this.#c._mudpt_clip_create(at, out));
    });
    this.#clips.set(clip, values);
    return clip;
  }

  /**
   * Whether a tensor is a weight that must be sent; undefined where no CLIP has such a tensor.
   * @param {number} clip
   * @param {string} name
   */
  clipWants(clip, name) {
    const answer = this.#memory.scoped((scratch) => this.#c._mudpt_clip_wants(clip, scratch.putString(name)));
    return answer < 0 ? undefined : Boolean(answer);
  }

  /** Gives a row of the token embedding (TEXT.ROWS). @param {number} clip @param {Uint8Array} row its bytes */
  clipToken(clip, id, dtype, row) {
    this.#memory.scoped((scratch) => this.#memory.check(this.#c._mudpt_clip_token(clip, id, dtype, scratch.put(row))));
  }

  /** Whether the row of a token is there. @param {number} clip @param {number} id */
  clipHasToken(clip, id) {
    return Boolean(this.#c._mudpt_clip_has_token(clip, id));
  }

  /** Of a vector from every row of the token embedding. @param {number} clip @param {Float32Array} vector */
  clipTokenDistances(clip, vector) {
    return this.#memory.scoped((scratch) => {
      const [at, { vocab }] = [scratch.put(vector), this.#clip(clip)];
      return this.#memory.floatsFrom(vocab, (out) => this.#c._mudpt_clip_token_distances(clip, at, out));
    });
  }

  /**
   * @param {number} clip
   * @param {string} name
   * @param {number} dtype a value of DTYPES, or -1 for a type that no weight can have
   * @param {number[]} shape
   * @returns {boolean} whether the bytes are wanted
   */
  clipTensorBegin(clip, name, dtype, shape) {
    return this.#memory.scoped((scratch) => {
      const [nameAt, shapeAt] = [scratch.putString(name), scratch.put(Int32Array.from(shape))];
      const code = this.#c._mudpt_clip_tensor_begin(clip, nameAt, dtype, shapeAt, shape.length);
      return this.#memory.check(code) !== SKIP;
    });
  }

  /** @param {number} clip @param {Uint8Array} data the next bytes of the tensor, any number */
  clipTensorBytes(clip, data) {
    this.#staging ||= this.#memory.alloc(STAGING_BYTES);
    for (let start = 0; start < data.length; start += STAGING_BYTES) {
      const piece = data.subarray(start, start + STAGING_BYTES);
      this.#memory.bytes(this.#staging, piece.length).set(piece);
      this.#memory.check(this.#c._mudpt_clip_tensor_bytes(clip, this.#staging, piece.length));
    }
  }

  /** @param {number} clip */
  clipTensorEnd(clip) {
    this.#memory.check(this.#c._mudpt_clip_tensor_end(clip));
  }

  /** @param {number} clip */
  clipFinish(clip) {
    this.#freeStaging();
    this.#memory.check(this.#c._mudpt_clip_finish(clip));
  }

  /** @param {number} clip */
  clipFree(clip) {
    this.#freeStaging();
    if (this.#clips.delete(clip)) this.#c._mudpt_clip_free(clip);
  }

  #freeStaging() {
    this.#memory.free(this.#staging);
    this.#staging = 0;
  }

  /** @param {number} clip @returns {string} 16 hexadecimal digits */
  clipFingerprint(clip) {
    return this.#memory.string(this.#c._mudpt_clip_fingerprint(clip));
  }

  /**
   * Some values of every weight, each followed by how far another storage type of the same can be off.
   * @param {number} clip
   * @returns {Float32Array}
   */
  clipSamples(clip) {
    const count = this.#c._mudpt_clip_samples(clip, 0);
    return this.#memory.floatsFrom(count, (out) => (this.#c._mudpt_clip_samples(clip, out), 0));
  }

  /** @param {number} clip @returns {number} */
  clipWeightBytes(clip) {
    return this.#c._mudpt_clip_weight_bytes(clip) >>> 0;
  }

  /** As if blocks' matrices were kept as another type. @param {number} clip @param {number} storage of DTYPES */
  clipWeightBytesAs(clip, storage) {
    return this.#c._mudpt_clip_weight_bytes_as(clip, storage) >>> 0;
  }

  /** @param {number} clip @returns {number} what cosines are multiplied by */
  clipLogitScale(clip) {
    return this.#c._mudpt_clip_logit_scale(clip);
  }

  // ------------------------------------------------------------------------------------------------ pictures

  /** @param {Uint8Array} file JPEG, PNG, GIF or BMP @param {boolean} [upright] obey EXIF orientation */
  imageDecode(file, upright = false) {
    return this.#memory.scoped((scratch) => {
      const at = scratch.put(file);
      return this.#memory.handle((out) => this.#c._mudpt_image_decode(at, file.length, Number(upright), out));
    });
  }

  /**
   * @param {Uint8Array | Uint8ClampedArray} pixels [height, width, channels]
   * @param {number} width @param {number} height @param {1 | 3 | 4} channels @returns {number}
   */
  imageFromPixels(pixels, width, height, channels) {
    if (![1, 3, 4].includes(channels) || pixels.length !== width * height * channels) {
      const expected = `${width} x ${height} x 1, 3 or 4 were expected`;
      throw new MudptError('image', `there are ${pixels.length} pixel values where ${expected}`);
    }
    return this.#memory.scoped((scratch) => {
      const at = scratch.put(pixels);
      return this.#memory.handle((out) => this.#c._mudpt_image_from_pixels(at, width, height, channels, out));
    });
  }

  /** @param {number} image */
  imageFree(image) {
    if (!this.disposed) this.#c._mudpt_image_free(image);
  }

  /** The test transform. @param {number} clip @param {number} image @returns {Float32Array} [3, image, image] */
  clipTestPixels(clip, image) {
    return this.#memory.floatsFrom(3 * this.#clip(clip).image ** 2, (out) =>
      this.#c._mudpt_clip_test_pixels(clip, image, out),
    );
  }

  /**
   * The same of picture files, one on each thread.
   * @param {number} clip @param {Uint8Array[]} files @param {boolean} [upright] obey EXIF orientation
   * @returns {(Float32Array | null)[]} null: it cannot be decoded, and imageDecode tells why
   */
  clipTestFiles(clip, files, upright = false) {
    const count = files.length;
    const size = 3 * this.#clip(clip).image ** 2;
    return this.#memory.scoped((scratch) => {
      const at = scratch.put(Uint32Array.from(files, (file) => scratch.put(file)));
      const bytes = scratch.put(Uint32Array.from(files, (file) => file.length));
      const [out, codes] = [scratch.take(count * size * 4), scratch.take(count * 4)];
      this.#c._mudpt_clip_test_files(clip, count, at, bytes, Number(upright), out, codes);
      const given = new Int32Array(this.#memory.buffer, codes, count);
      return files.map((_, i) => (given[i] ? null : this.#memory.floats(out + i * size * 4, size).slice()));
    });
  }

  // ------------------------------------------------------------------------------------------------ classifier

  /**
   * @param {number} clip @param {Method} method @param {Sentences | null} sentences null: it is given its text features
   * @param {number} [classes] needed where sentences is null @returns {number}
   */
  classifierCreate(clip, method, sentences, classes = sentences?.ids[0]?.length ?? 0) {
    const config = this.#clip(clip);
    const classifier = this.#memory.scoped((scratch) => {
      const name = scratch.putString(method.method);
      const methodAt = scratch.putStruct(structs.METHOD, { ...method, method: name });
      const sentencesAt = sentences ? this.#putSentences(scratch, sentences, classes) : 0;
      return this.#memory.handle((out) => this.#c._mudpt_classifier_create(clip, methodAt, sentencesAt, classes, out));
    });
    this.#classifiers.set(classifier, { config, classes, prompts: method.visualLength ?? 0 });
    return classifier;
  }

  /** @param {any} scratch @param {Sentences} sentences @param {number} classes */
  #putSentences(scratch, { ids, nameLengths }, classes) {
    if (!ids.length || ids.some((rows) => rows.length !== classes)) {
      throw new MudptError('argument', `every template needs one sentence for each of the ${classes} classes`);
    }
    const rows = ids.flat();
    const stride = rows.reduce((most, { length }) => Math.max(most, length), 0);
    const padded = new Int32Array(rows.length * stride);
    rows.forEach((row, i) => padded.set(row, i * stride));
    return scratch.putStruct(structs.SENTENCES, {
      ids: scratch.put(padded),
      lengths: scratch.put(Int32Array.from(rows, (row) => row.length)),
      nameLengths: nameLengths ? scratch.put(Int32Array.from(nameLengths)) : 0,
      stride,
      classes,
      templates: ids.length,
    });
  }

  /** @param {number} classifier */
  classifierFree(classifier) {
    if (this.#classifiers.delete(classifier)) this.#c._mudpt_classifier_free(classifier);
  }

  /** @param {number} classifier @param {number} seed @param {ArrayLike<number> | null} [phrase] ids; null: random */
  classifierInit(classifier, seed, phrase = null) {
    this.#memory.scoped((scratch) => {
      const at = phrase ? scratch.put(Int32Array.from(phrase)) : 0;
      this.#memory.check(this.#c._mudpt_classifier_init(classifier, seed, at, phrase?.length ?? 0));
    });
  }

  /** @param {number} classifier @returns {Parameter[]} */
  classifierParameters(classifier) {
    this.#classifier(classifier);
    const total = this.#memory.check(this.#c._mudpt_classifier_parameters(classifier));
    return this.#memory.scoped((scratch) => {
      const out = scratch.take(structs.PARAMETER.bytes);
      return Array.from({ length: total }, (_, index) => {
        this.#memory.check(this.#c._mudpt_classifier_parameter(classifier, index, out));
        const { name, dims, shape, ...rest } = structs.readStruct(structs.PARAMETER, this.#memory.view, out);
        return /** @type {Parameter} */ ({ name: this.#memory.string(name), shape: shape.slice(0, dims), ...rest });
      });
    });
  }

  /**
   * Sets values, or velocities, by name.
   * @param {number} classifier
   * @param {Record<string, Float32Array>} values
   * @param {'value' | 'velocity'} [what] velocity: there is one once a trainer was created
   */
  classifierSetParameters(classifier, values, what = 'value') {
    const parameters = new Map(this.classifierParameters(classifier).map((p) => [p.name, p]));
    for (const [name, array] of Object.entries(values)) {
      const parameter = parameters.get(name);
      if (!parameter || parameter.count !== array.length) {
        const expected = parameter ? `it has ${parameter.count}` : `there are ${[...parameters.keys()].join(', ')}`;
        throw new MudptError('argument', `${array.length} values for parameter ${name}: ${expected}`);
      }
      this.#memory.floats(parameter[what], parameter.count).set(array);
    }
    this.classifierChanged(classifier);
  }

  /** Must be called after values were changed in memory. @param {number} classifier */
  classifierChanged(classifier) {
    this.#c._mudpt_classifier_changed(classifier);
  }

  /** @param {number} classifier @returns {Float32Array} [N, e] */
  classifierTextFeatures(classifier) {
    const { config, classes } = this.#classifier(classifier);
    return this.#memory.floatsFrom(classes * config.embed, (out) =>
      this.#memory.compute('_mudpt_classifier_text_features', classifier, out),
    );
  }

  /** @param {number} classifier @param {Float32Array} features [N, e] */
  classifierSetTextFeatures(classifier, features) {
    const { config, classes } = this.#classifier(classifier);
    if (features.length !== classes * config.embed) {
      throw new MudptError('argument', `${features.length} values, where ${classes} x ${config.embed} were expected`);
    }
    this.#memory.scoped((scratch) =>
      this.#memory.check(this.#c._mudpt_classifier_set_text_features(classifier, scratch.put(features))),
    );
  }

  #pictures(config, pixels) {
    const count = pixels.length / (3 * config.image ** 2);
    if (count >= 1 && Number.isInteger(count)) return count;
    const size = `3 x ${config.image} x ${config.image}`;
    throw new MudptError('argument', `${pixels.length} values are not a whole number of pictures of ${size}`);
  }

  /**
   * @param {number} classifier
   * @param {Float32Array} pixels [count, 3, image, image], normalised
   * @returns {{ logits: Float32Array, features: Float32Array }} [count, N] and [count, e]
   */
  classifierLogits(classifier, pixels) {
    const { config, classes } = this.#classifier(classifier);
    const count = this.#pictures(config, pixels);
    return this.#memory.scoped((scratch) => {
      const [logits, features] = [scratch.take(count * classes * 4), scratch.take(count * config.embed * 4)];
      const pixelsAt = scratch.put(pixels);
      const code = this.#memory.compute('_mudpt_classifier_logits', classifier, pixelsAt, count, logits, features);
      return this.#memory.then(code, () => ({
        logits: this.#memory.floats(logits, count * classes).slice(),
        features: this.#memory.floats(features, count * config.embed).slice(),
      }));
    });
  }

  /** What CLS attends to in the last layer, [heads, rows]. @param {number} classifier @param {Float32Array} pixels */
  classifierAttention(classifier, pixels) {
    const { config, prompts } = this.#classifier(classifier);
    const count = config.visionHeads * (1 + (config.image / config.patch) ** 2 + prompts);
    return this.#memory.scoped((scratch) => {
      const at = scratch.put(pixels);
      return this.#memory.floatsFrom(count, (out) => this.#c._mudpt_classifier_attention(classifier, at, out));
    });
  }

  /**
   * Replaces the gradients of every parameter by those of this batch. @param {number} classifier
   * @param {Float32Array} pixels [count, 3, image, image], normalised
   * @param {ArrayLike<number>} labels [count]
   * @returns {{ loss: number, logits: Float32Array }} mean cross-entropy; [count, N]
   */
  classifierGradients(classifier, pixels, labels) {
    const { config, classes } = this.#classifier(classifier);
    const count = this.#pictures(config, pixels);
    if (labels.length !== count) throw new MudptError('argument', `${labels.length} labels for ${count} pictures`);
    return this.#memory.scoped((scratch) => {
      const [loss, logits] = [scratch.take(4), scratch.take(count * classes * 4)];
      const [pixelsAt, labelsAt] = [scratch.put(pixels), scratch.put(Int32Array.from(labels))];
      const args = [classifier, pixelsAt, labelsAt, count, loss, logits];
      return this.#memory.then(this.#memory.compute('_mudpt_classifier_gradients', ...args), () => {
        return { loss: this.#memory.floats(loss, 1)[0], logits: this.#memory.floats(logits, count * classes).slice() };
      });
    });
  }

  /** One update: v = momentum v + (g + decay p), p = p - rate v. */
  classifierSgd(classifier, rate, momentum, decay) {
    this.#memory.check(this.#c._mudpt_classifier_sgd(classifier, rate, momentum, decay));
  }

  /**
   * The prompts of every layer after the injection; shape [0, ...] on a side where the method has none.
   * @param {number} classifier
   * @returns {{ text: Float32Array, textShape: number[], visual: Float32Array, visualShape: number[] }}
   */
  classifierFold(classifier) {
    const { config } = this.#classifier(classifier);
    return this.#memory.scoped((scratch) => {
      const at = scratch.take(16);
      this.#c._mudpt_classifier_folded_shape(classifier, at, at + 4, at + 8, at + 12);
      const [textDepth, textLength, visualDepth, visualLength] = new Int32Array(this.#memory.buffer, at, 4);
      const textShape = [textDepth, textLength, config.textWidth];
      const visualShape = [visualDepth, visualLength, config.visionWidth];
      const [textCount, visualCount] = [textShape, visualShape].map((shape) => shape.reduce((a, b) => a * b));
      const textAt = textCount && scratch.take(textCount * 4);
      const visualAt = visualCount && scratch.take(visualCount * 4);
      this.#memory.check(this.#c._mudpt_classifier_fold(classifier, textAt, visualAt));
      const text = this.#memory.floats(textAt, textCount).slice();
      return { text, textShape, visual: this.#memory.floats(visualAt, visualCount).slice(), visualShape };
    });
  }

  /** @param {number} classifier @returns {number} */
  classifierBytes(classifier) {
    return this.#c._mudpt_classifier_bytes(classifier) >>> 0;
  }

  /** Training keeps less and computes it again, from the next gradients on. @param {number} classifier */
  classifierRecompute(classifier, on) {
    this.#c._mudpt_classifier_recompute(classifier, Number(on));
  }

  /** Bytes that training on batches takes, the pictures to train on not counted. @param {number} classifier */
  classifierPlan(classifier, batch, recompute) {
    return this.#memory.scoped((scratch) => {
      const at = scratch.take(structs.PLAN.bytes);
      this.#memory.check(this.#c._mudpt_classifier_plan(classifier, batch, Number(recompute), at));
      return /** @type {import('./structs.js').Plan} */ (structs.readStruct(structs.PLAN, this.#memory.view, at));
    });
  }

  // ------------------------------------------------------------------------------------------------ training

  /**
   * @param {number} classifier
   * @param {{ epochs: number, batch: number, rate: number, warmupRate?: number, momentum?: number, decay?: number,
   *   seed?: number, augment?: boolean, smallestCrop?: number, upright?: boolean }} config @returns {number}
   */
  trainerCreate(classifier, config) {
    const defaults = { warmupRate: 1e-5, momentum: 0.9, decay: 5e-4, seed: 1, augment: true, smallestCrop: 0.08 };
    return this.#memory.scoped((scratch) => {
      const at = scratch.putStruct(structs.TRAIN_CONFIG, { ...defaults, ...config });
      return this.#memory.handle((out) => this.#c._mudpt_trainer_create(classifier, at, out));
    });
  }

  /** @param {number} trainer @param {Uint8Array} file a picture file; kept compressed @param {number} label */
  trainerAdd(trainer, file, label) {
    this.#memory.scoped((scratch) =>
      this.#memory.check(this.#c._mudpt_trainer_add(trainer, scratch.put(file), file.length, label)),
    );
  }

  /** Bytes of the pictures that were added, as they are kept. @param {number} trainer @returns {number} */
  trainerBytes(trainer) {
    return this.#c._mudpt_trainer_bytes(trainer) >>> 0;
  }

  /** @param {number} trainer @param {number} image copied @param {number} label */
  trainerAddImage(trainer, image, label) {
    this.#memory.check(this.#c._mudpt_trainer_add_image(trainer, image, label));
  }

  /**
   * A part of a batch. undefined: there is more, and nothing else may use the classifier; null: complete.
   * @param {number} trainer @returns {Progress | null | undefined}
   */
  trainerAdvance(trainer) {
    return this.#memory.scoped((scratch) => {
      const out = scratch.take(structs.PROGRESS.bytes);
      return this.#memory.then(this.#memory.compute('_mudpt_trainer_advance', trainer, out), (code) => {
        if (code) return code === MORE ? undefined : null;
        return /** @type {Progress} */ (structs.readStruct(structs.PROGRESS, this.#memory.view, out));
      });
    });
  }

  /** The next step, and its epoch, both from 0. @param {number} trainer @returns {{ epoch: number, step: number }} */
  trainerPlace(trainer) {
    return this.#memory.scoped((scratch) => {
      const at = scratch.take(8);
      this.#c._mudpt_trainer_place(trainer, at, at + 4);
      const [epoch, step] = new Int32Array(this.#memory.buffer, at, 2);
      return { epoch, step };
    });
  }

  /** Goes on from a place, before the first step. @param {number} trainer @param {number} epoch @param {number} step */
  trainerResume(trainer, epoch, step) {
    this.#memory.check(this.#c._mudpt_trainer_resume(trainer, epoch, step));
  }

  /** @param {number} trainer @returns {string} 16 hexadecimal digits that stand for the pictures that were added */
  trainerPictures(trainer) {
    return this.#memory.string(this.#c._mudpt_trainer_pictures(trainer));
  }

  /** @param {number} trainer */
  trainerFree(trainer) {
    if (!this.disposed) this.#c._mudpt_trainer_free(trainer);
  }

  /** @returns {number} the rate of an epoch */
  learningRate(base, warmupRate, epochs, epoch) {
    return this.#c._mudpt_learning_rate(base, warmupRate, epochs, epoch);
  }

  /**
   * At most `shots` of each class, class by class; the same for the same seed.
   * @param {ArrayLike<number>} labels 0 ... classes - 1 @returns {Int32Array} indices into labels
   */
  sampleShots(labels, classes, shots, seed) {
    return this.#memory.scoped((scratch) => {
      const [out, labelsAt] = [scratch.take(labels.length * 4), scratch.put(Int32Array.from(labels))];
      const count = this.#c._mudpt_sample_shots(labelsAt, labels.length, classes, shots, seed, out);
      return new Int32Array(this.#memory.buffer, out, this.#memory.check(count)).slice();
    });
  }
}
