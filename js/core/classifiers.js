/** The library's classifiers: sentences and a method, their parameters, what they say of pictures, gradients. */
import { MudptError } from '../base/errors.js';
import { Clips } from './clips.js';
import * as structs from './structs.js';

/**
 * @typedef {import('./structs.js').ClipConfig} ClipConfig
 * @typedef {import('./structs.js').Method} Method
 * @typedef {import('./structs.js').Sentences} Sentences
 * @typedef {import('./structs.js').Parameter} Parameter
 */

export class Classifiers extends Clips {
  /** @type {Map<number, { config: ClipConfig, classes: number, prompts: number, second: boolean }>} */
  #classifiers = new Map();

  dispose() {
    super.dispose();
    this.#classifiers.clear();
  }

  /**
   * Its model's configuration, its classes, its prompts' rows, whether pictures have a second feature of these.
   * @param {number} classifier
   */
  shapeOf(classifier) {
    const found = this.memory.module && this.#classifiers.get(classifier);
    if (found) return found;
    throw new MudptError('state', 'this classifier has been disposed of', 'make or import it again');
  }

  /**
   * @param {number} clip @param {Method} method @param {Sentences | null} sentences null: it is given its text features
   * @param {number} [classes] needed where sentences is null @returns {number}
   */
  classifierCreate(clip, method, sentences, classes = sentences?.ids[0]?.length ?? 0) {
    const config = this.configOf(clip);
    const classifier = this.memory.scoped((scratch) => {
      const name = scratch.putString(method.method);
      const methodAt = scratch.putStruct(structs.METHOD, { ...method, method: name });
      const sentencesAt = sentences ? this.#putSentences(scratch, sentences, classes) : 0;
      return this.memory.handle((out) => this.c._mudpt_classifier_create(clip, methodAt, sentencesAt, classes, out));
    });
    const { visualLength: prompts = 0, second = 0 } = method;
    this.#classifiers.set(classifier, { config, classes, prompts, second: second > 0 });
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
    if (this.#classifiers.delete(classifier)) this.c._mudpt_classifier_free(classifier);
  }

  /** @param {number} classifier @param {number} seed @param {ArrayLike<number> | null} [phrase] ids; null: random */
  classifierInit(classifier, seed, phrase = null) {
    this.memory.scoped((scratch) => {
      const at = phrase ? scratch.put(Int32Array.from(phrase)) : 0;
      this.memory.check(this.c._mudpt_classifier_init(classifier, seed, at, phrase?.length ?? 0));
    });
  }

  /** @param {number} classifier @returns {Parameter[]} */
  classifierParameters(classifier) {
    this.shapeOf(classifier);
    const total = this.memory.check(this.c._mudpt_classifier_parameters(classifier));
    return this.memory.scoped((scratch) => {
      const out = scratch.take(structs.PARAMETER.bytes);
      return Array.from({ length: total }, (_, index) => {
        this.memory.check(this.c._mudpt_classifier_parameter(classifier, index, out));
        const { name, dims, shape, ...rest } = structs.readStruct(structs.PARAMETER, this.memory.view, out);
        return /** @type {Parameter} */ ({ name: this.memory.string(name), shape: shape.slice(0, dims), ...rest });
      });
    });
  }

  /**
   * Sets values, moments, or averages, by name.
   * @param {number} classifier
   * @param {Record<string, Float32Array>} values
   * @param {'value' | 'velocity' | 'square' | 'average'} [what] all but the first are there once a trainer was created
   */
  classifierSetParameters(classifier, values, what = 'value') {
    const parameters = new Map(this.classifierParameters(classifier).map((p) => [p.name, p]));
    for (const [name, array] of Object.entries(values)) {
      const parameter = parameters.get(name);
      if (!parameter || parameter.count !== array.length) {
        const expected = parameter ? `it has ${parameter.count}` : `there are ${[...parameters.keys()].join(', ')}`;
        throw new MudptError('argument', `${array.length} values for parameter ${name}: ${expected}`);
      }
      this.memory.floats(parameter[what], parameter.count).set(array);
    }
    this.classifierChanged(classifier);
  }

  /** Must be called after values were changed in memory. @param {number} classifier */
  classifierChanged(classifier) {
    this.c._mudpt_classifier_changed(classifier);
  }

  /** @param {number} classifier @returns {Float32Array} [N, e] */
  classifierTextFeatures(classifier) {
    const { config, classes } = this.shapeOf(classifier);
    return this.memory.floatsFrom(classes * config.embed, (out) =>
      this.memory.compute('_mudpt_classifier_text_features', classifier, out),
    );
  }

  /** @param {number} classifier @param {Float32Array} features [N, e] */
  classifierSetTextFeatures(classifier, features) {
    const { config, classes } = this.shapeOf(classifier);
    if (features.length !== classes * config.embed) {
      throw new MudptError('argument', `${features.length} values, where ${classes} x ${config.embed} were expected`);
    }
    this.memory.scoped((scratch) =>
      this.memory.check(this.c._mudpt_classifier_set_text_features(classifier, scratch.put(features))),
    );
  }

  /**
   * The frozen model's, with which the loss compares.
   * @param {number} classifier
   * @param {Float32Array} features [N, e]
   */
  classifierSetTeacher(classifier, features) {
    const { config, classes } = this.shapeOf(classifier);
    if (features.length !== classes * config.embed) {
      throw new MudptError('argument', `${features.length} values, where ${classes} x ${config.embed} were expected`);
    }
    this.memory.scoped((scratch) =>
      this.memory.check(this.c._mudpt_classifier_set_teacher(classifier, scratch.put(features))),
    );
  }

  /** Sentences before the text tower's projection. @param {number} classifier @returns {Float32Array} [N, d_t] */
  classifierTextRows(classifier) {
    const { config, classes } = this.shapeOf(classifier);
    return this.memory.floatsFrom(classes * config.textWidth, (out) =>
      this.memory.compute('_mudpt_classifier_text_rows', classifier, out),
    );
  }

  /**
   * Pictures alone, of which the classifier needs no text features.
   * @param {number} classifier
   * @param {Float32Array} pixels [count, 3, image, image], normalised
   * @param {boolean} [projected] false: before the image tower's projection
   * @returns {Float32Array} [count, e], or [count, d_v]
   */
  classifierImageFeatures(classifier, pixels, projected = true) {
    const { config } = this.shapeOf(classifier);
    const count = this.#pictures(config, pixels);
    return this.memory.scoped((scratch) => {
      const at = scratch.put(pixels);
      return this.memory.floatsFrom(count * (projected ? config.embed : config.visionWidth), (out) => {
        const places = projected ? [0, out] : [out, 0];
        return this.memory.compute('_mudpt_classifier_image_features', classifier, at, count, ...places);
      });
    });
  }

  /**
   * Logits of what classifierImageFeatures() gave, to the bit those of the pictures.
   * @param {number} classifier without visual prompts
   * @param {Float32Array} features [count, e], as they leave the tower
   * @returns {Float32Array} [count, N]
   */
  classifierFeatureLogits(classifier, features) {
    const { config, classes } = this.shapeOf(classifier);
    const count = features.length / config.embed;
    return this.memory.scoped((scratch) => {
      const at = scratch.put(features);
      return this.memory.floatsFrom(count * classes, (out) =>
        this.memory.compute('_mudpt_classifier_feature_logits', classifier, at, count, out),
      );
    });
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
    const { config, classes } = this.shapeOf(classifier);
    const count = this.#pictures(config, pixels);
    return this.memory.scoped((scratch) => {
      const [logits, features] = [scratch.take(count * classes * 4), scratch.take(count * config.embed * 4)];
      const pixelsAt = scratch.put(pixels);
      const code = this.memory.compute('_mudpt_classifier_logits', classifier, pixelsAt, count, logits, features);
      return this.memory.then(code, () => ({
        logits: this.memory.floats(logits, count * classes).slice(),
        features: this.memory.floats(features, count * config.embed).slice(),
      }));
    });
  }

  /**
   * What CLS, or a pooling head's probe, attends to, [heads, rows].
   * @param {number} classifier @param {Float32Array} pixels
   */
  classifierAttention(classifier, pixels) {
    const { config, prompts } = this.shapeOf(classifier);
    const rows = Number(!config.noClass) + Math.floor(config.image / config.patch) ** 2 + prompts;
    const count = (config.poolHeads || config.visionHeads) * rows;
    return this.memory.scoped((scratch) => {
      const at = scratch.put(pixels);
      return this.memory.floatsFrom(count, (out) => this.c._mudpt_classifier_attention(classifier, at, out));
    });
  }

  /**
   * Replaces the gradients of every parameter by those of this batch. @param {number} classifier
   * @param {Float32Array} pixels [count, 3, image, image], normalised
   * @param {ArrayLike<number>} labels [count]
   * @returns {{ loss: number, logits: Float32Array }} [count, N]
   */
  classifierGradients(classifier, pixels, labels) {
    const { config, classes } = this.shapeOf(classifier);
    const count = this.#pictures(config, pixels);
    if (labels.length !== count) throw new MudptError('argument', `${labels.length} labels for ${count} pictures`);
    return this.memory.scoped((scratch) => {
      const [loss, logits] = [scratch.take(4), scratch.take(count * classes * 4)];
      const [pixelsAt, labelsAt] = [scratch.put(pixels), scratch.put(Int32Array.from(labels))];
      const args = [classifier, pixelsAt, labelsAt, count, loss, logits];
      return this.memory.then(this.memory.compute('_mudpt_classifier_gradients', ...args), () => {
        return { loss: this.memory.floats(loss, 1)[0], logits: this.memory.floats(logits, count * classes).slice() };
      });
    });
  }

  /** One update: v = momentum v + (g + decay p), p = p - rate v. */
  classifierSgd(classifier, rate, momentum, decay) {
    this.memory.check(this.c._mudpt_classifier_sgd(classifier, rate, momentum, decay));
  }

  /** Adam's update, of methods that are trained so. @param {number} step from 1 */
  classifierAdam(classifier, rate, decay, step) {
    this.memory.check(this.c._mudpt_classifier_adam(classifier, rate, decay, step));
  }

  /** Adds the parameters to their average. */
  classifierAverage(classifier, weight) {
    this.memory.check(this.c._mudpt_classifier_average(classifier, weight));
  }

  /**
   * The prompts of every layer after the injection; shape [0, ...] on a side where the method has none. second: the
   * projection of a second feature, [d_v, e], or empty.
   * @param {number} classifier
   * @returns {{ text: Float32Array, textShape: number[], visual: Float32Array, visualShape: number[],
   *   second: Float32Array }}
   */
  classifierFold(classifier) {
    const { config, second } = this.shapeOf(classifier);
    return this.memory.scoped((scratch) => {
      const at = scratch.take(16);
      this.c._mudpt_classifier_folded_shape(classifier, at, at + 4, at + 8, at + 12);
      const [textDepth, textLength, visualDepth, visualLength] = new Int32Array(this.memory.buffer, at, 4);
      const textShape = [textDepth, textLength, config.textWidth];
      const visualShape = [visualDepth, visualLength, config.visionWidth];
      const [textCount, visualCount] = [textShape, visualShape].map((shape) => shape.reduce((a, b) => a * b));
      const textAt = textCount && scratch.take(textCount * 4);
      const visualAt = visualCount && scratch.take(visualCount * 4);
      const secondCount = second ? config.visionWidth * config.embed : 0;
      const secondAt = secondCount && scratch.take(secondCount * 4);
      this.memory.check(this.c._mudpt_classifier_fold(classifier, textAt, visualAt, secondAt));
      const read = (at, count) => this.memory.floats(at, count).slice();
      const visual = read(visualAt, visualCount);
      return { text: read(textAt, textCount), textShape, visual, visualShape, second: read(secondAt, secondCount) };
    });
  }

  /** @param {number} classifier @returns {number} */
  classifierBytes(classifier) {
    return this.c._mudpt_classifier_bytes(classifier) >>> 0;
  }

  /** Training keeps less and computes it again, from the next gradients on. @param {number} classifier */
  classifierRecompute(classifier, on) {
    this.c._mudpt_classifier_recompute(classifier, Number(on));
  }

  /** Bytes that training on batches takes, the pictures to train on not counted. @param {number} classifier */
  classifierPlan(classifier, batch, recompute) {
    return this.memory.scoped((scratch) => {
      const at = scratch.take(structs.PLAN.bytes);
      this.memory.check(this.c._mudpt_classifier_plan(classifier, batch, Number(recompute), at));
      return /** @type {import('./structs.js').Plan} */ (structs.readStruct(structs.PLAN, this.memory.view, at));
    });
  }
}
