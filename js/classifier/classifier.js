/**
 * A classifier: a model, class names, and for tuned ones the prompts. It answers for pictures, is measured on
 * examples, and can be saved as one small file that needs no text tower when it is loaded again.
 *
 * The file holds text features and the prompts after the injection (docs/file-formats.md). Where every picture has
 * text prompts of its own (CoCoOp) nothing can be folded: such a file has the method's parameters and the sentences'
 * ids, each filled up with -1; it needs the text tower. Where every class has prompts of its own (TCP) the file has
 * the parameters beside the text features, for classes that are added later.
 */
import { MudptError, checkOptions, reasonOf } from '../base/errors.js';
import { isMany } from '../base/kinds.js';
import { embedImages } from '../features/embed.js';
import { eachAnswer, pixelsOf } from '../features/pixels.js';
import { rowsOf } from '../features/store.js';
import { writeSafetensors } from '../loading/safetensors.js';
import { METHODS } from '../methods/methods.js';
import { promptSentences } from '../methods/sentences.js';
import { BrokenPictures } from '../pictures/broken.js';
import { addClasses } from './add-classes.js';
import { attentionOf, firstPrompts, nearestWords, savedPrompts } from './inside.js';
import { checkMeasured, checkTopK, labelsOf, ranked } from './labels.js';
import { entryOf } from './entry.js';
import { argmax, measure, sigmoid, softmax } from './metrics.js';
import { CLASSIFIER, SavedFile, describe, idsTensor, rawTensors } from './saved.js';

/**
 * @typedef {object} Model what belongs to one loaded CLIP
 * @property {import('../core/core.js').Core} core
 * @property {number} clip handle
 * @property {import('../core/core.js').ClipConfig} config
 * @property {import('../loading/tokenizer.js').ClipTokenizer} tokenizer
 * @property {import('../loading/token-rows.js').NeedTokens} needTokens must be awaited before sentences are given to
 *   the library
 * @property {string} fingerprint
 * @property {import('../features/store.js').FeatureStore} features of pictures, as the untuned tower makes them
 * @property {number} how pictures are read: as in pictures/images.js
 * @property {number} [timeout] milliseconds that a picture may take to come
 *
 * @typedef {{ image: any, label: string | number }} Example
 *
 * @typedef {object} Details what a classifier is, beyond its numbers
 * @property {string} method
 * @property {string[]} classes
 * @property {string[]} [templates] zero-shot
 * @property {import('../methods/method.js').Settings} [settings] of the training run; shots: as many as a class had,
 *   at most
 * @property {{ pictures: number, least: number, most: number }} [trainedOn] in all, and of a class
 * @property {number} [alone] how many of the last classes were not trained, where pictures have a second feature, which
 *   says nothing of them
 */

/** Frees what classifiers own that nobody has any more. Handles are addresses: each is freed once, as others get it. */
const forgotten = new FinalizationRegistry(free);

/** @param {{ core: import('../core/core.js').Core, handle: number }} owned */
async function free({ core, handle }) {
  await core.memory.idle;
  core.classifierFree(handle);
}

export class Classifier {
  /** @type {Model} */
  #model;
  #handle;
  #details;
  #saved;

  /**
   * @param {Model} model
   * @param {number} handle of the library's classifier, which this object owns from now on
   * @param {Details} details
   * @param {Uint8Array} [saved] the file that it came from
   */
  constructor(model, handle, details, saved) {
    this.#model = model;
    this.#handle = handle;
    this.#details = details;
    this.#saved = saved;
    forgotten.register(this, { core: model.core, handle }, this);
  }

  /** The library's classifier, 0 once it was disposed of. @param {Classifier} classifier */
  static handleOf(classifier) {
    return classifier.#handle;
  }

  /** Refuses what could still be told once it was disposed of: in a page's worker it is gone. */
  #requireThere() {
    this.#model.core.shapeOf(this.#handle);
  }

  get classes() {
    return [...this.#details.classes];
  }

  get method() {
    return this.#details.method;
  }

  /** How it was trained; null where nothing was. */
  get settings() {
    return this.#details.settings ? { ...this.#details.settings } : null;
  }

  /** Logits of a few pictures. @param {Float32Array} pixels @returns {Promise<Float32Array[]>} */
  async #logits(pixels) {
    const { core } = this.#model;
    const logits = (await this.#ofFeatures(pixels)) ?? (await core.classifierLogits(this.#handle, pixels)).logits;
    const count = this.#details.classes.length;
    return Array.from({ length: logits.length / count }, (_, i) => logits.subarray(i * count, (i + 1) * count));
  }

  /**
   * The same, to the bit, where pictures' features do not depend on what was trained: those are computed once. null:
   * they do, or something is not finite, which the pictures tell better.
   * @param {Float32Array} pixels
   */
  async #ofFeatures(pixels) {
    const { core, config, features } = this.#model;
    const handle = this.#handle;
    const { perPicture = false } = METHODS[this.#details.method] ?? {};
    if (perPicture || core.shapeOf(handle).prompts) return null;
    try {
      const compute = (some) => core.classifierImageFeatures(handle, some);
      const rows = await rowsOf(features, 'after', pixels, 3 * config.image ** 2, compute);
      const all = new Float32Array(rows.length * config.embed);
      rows.forEach((row, i) => all.set(row, i * config.embed));
      return await core.classifierFeatureLogits(handle, all);
    } catch (error) {
      if (error instanceof MudptError && error.code === 'not-finite') return null;
      throw error;
    }
  }

  /**
   * @param {any} given a picture, or several
   * @param {Record<string, any>} [options] see types.d.ts
   */
  async classify(given, options = {}) {
    const many = isMany(given);
    checkOptions(options, ['topK', 'scores', 'transfer', 'signal', ...(many ? ['onProgress', 'onBroken'] : [])]);
    const { topK = 5, scores: kind = 'softmax', onBroken, signal } = options;
    const broken = new BrokenPictures(onBroken);
    checkTopK(topK);
    const { core, clip, config } = this.#model;
    if (kind !== 'softmax' && (kind !== 'sigmoid' || !config.logitBias)) {
      const hint = "leave it out: 'sigmoid' needs a logit bias, as SigLIP's";
      throw new MudptError('argument', `scores cannot be ${kind} with this model`, hint);
    }
    signal?.throwIfAborted();
    const answersOf = (logits) =>
      ranked(
        this.#details.classes,
        kind === 'softmax' ? softmax(logits) : sigmoid(logits, core.clipLogitBias(clip)),
        topK,
      );
    const logitsOf = (pixels) => this.#logits(pixels);
    if (!many) {
      const [logits] = await logitsOf(await pixelsOf(this.#model, [given], ['the picture'], signal));
      return answersOf(logits);
    }
    const pictures = [...given];
    const all = /** @type {any[]} */ (pictures.map(() => null));
    const about = { ...options, kind: 'picture', list: /** @type {const} */ ('pictures'), broken };
    await eachAnswer(logitsOf, this.#model, pictures, about, (logits, i) => (all[i] = answersOf(logits)));
    return all;
  }

  /**
   * @param {Example[]} examples
   * @param {{ onProgress?: (progress: { done: number, total: number }) => void, transfer?: boolean,
   *   onBroken?: (broken: import('../pictures/broken.js').Told) => void, signal?: AbortSignal }} [options]
   */
  async evaluate(examples, options = {}) {
    checkOptions(options, ['onProgress', 'onBroken', 'transfer', 'signal']);
    const broken = new BrokenPictures(options.onBroken);
    const { classes } = this.#details;
    const labels = labelsOf(classes, examples);
    checkMeasured(classes);
    const measured = [];
    const predictions = [];
    const scores = [];
    const images = examples.map(({ image }) => image);
    const about = { ...options, kind: 'the picture of example', broken };
    await eachAnswer(
      (pixels) => this.#logits(pixels),
      this.#model,
      images,
      about,
      (logits, index) => {
        const best = argmax(logits);
        measured.push(labels[index]);
        predictions.push(best);
        scores.push(softmax(logits)[best]);
      },
    );
    return measure(classes, measured, predictions, scores);
  }

  /**
   * The classifier as a file.
   * @param {{ raw?: boolean }} [options] raw: with the parameters as they were trained, before the injection
   * @returns {Promise<Uint8Array>}
   */
  async export(options = {}) {
    checkOptions(options, ['raw']);
    const { raw = false } = options;
    this.#requireThere();
    if (this.#saved) return savedWith(this.#saved, raw);
    const { method } = this.#details;
    const tensors = METHODS[method].perPicture
      ? unfolded(this.#model, this.#handle, this.#details)
      : [
          ...(await folded(this.#model, this.#handle, this.#details)),
          ...(raw || METHODS[method].classAware ? rawTensors(this.#model.core, this.#handle) : []),
        ];
    return writeSafetensors(tensors, describe(this.#model, CLASSIFIER, this.#details));
  }

  /**
   * A classifier of these classes as well, which are not trained: their names go through the tuned text tower. What
   * there is of the present classes stays as it is, to the bit.
   * @param {string[]} names
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<Classifier>}
   */
  async withClasses(names, options = {}) {
    checkOptions(options, ['signal']);
    const { signal } = options;
    signal?.throwIfAborted();
    const file = new SavedFile(await this.export(), 'the classifier', [CLASSIFIER]);
    return importClassifier(this.#model, await addClasses(this.#model, file, names, signal), 'the classifier');
  }

  /**
   * Features of pictures as the tuned tower makes them. What the options mean is in index.d.ts.
   * @param {Iterable<any>} pictures
   * @param {Record<string, any>} [options]
   */
  async embedImages(pictures, options) {
    return embedImages(this.#model, pictures, options, this.#handle || -1);
  }

  /**
   * Where the image tower looks.
   * @param {any} image
   * @param {{ transfer?: boolean, signal?: AbortSignal }} [options]
   */
  async attention(image, options = {}) {
    checkOptions(options, ['transfer', 'signal']);
    const { signal } = options;
    const { core, config } = this.#model;
    const pixels = await pixelsOf(this.#model, [image], ['the picture'], signal);
    await core.memory.idle;
    // Keys and queries are read where WebAssembly leaves them.
    const shares = core.memory.withoutDevice(() => core.classifierAttention(this.#handle, pixels));
    return attentionOf(config, shares);
  }

  /** The words that lie nearest to what the prompts have become. @param {{ topK?: number }} [options] */
  async nearestWords(options = {}) {
    checkOptions(options, ['topK']);
    const { topK = 5 } = options;
    checkTopK(topK);
    this.#requireThere();
    const { config, core } = this.#model;
    const file = this.#saved ? new SavedFile(this.#saved, 'the classifier', [CLASSIFIER]) : null;
    const prompts = file ? savedPrompts(file, config) : firstPrompts(core, this.#handle, this.#details);
    return nearestWords(this.#model, prompts, topK);
  }

  /** Frees its memory; the object cannot be used any more. The model's dispose() does it too. */
  async dispose() {
    const handle = this.#handle;
    this.#handle = 0;
    forgotten.unregister(this);
    await free({ core: this.#model.core, handle });
  }
}

/**
 * Text features, and the prompts after the injection.
 * @param {Model} model
 * @param {number} handle
 * @param {Details} details
 */
async function folded({ core, config }, handle, { method, classes }) {
  const { text, textShape, visual, visualShape, second } = core.classifierFold(handle);
  const features = await core.classifierTextFeatures(handle);
  return [
    { name: 'text_features', shape: [classes.length, config.embed], data: features },
    { name: 'text_prompts', shape: textShape, data: METHODS[method].classAware ? text.subarray(0, 0) : text },
    { name: 'visual_prompts', shape: visualShape, data: visual },
    { name: 'second_projection', shape: [config.visionWidth, config.embed], data: second },
  ].flatMap((tensor) => (tensor.data.length ? [{ dtype: 'F32', ...tensor }] : []));
}

/**
 * Parameters and sentences, of a method whose prompts depend on the picture.
 * @param {Model} model
 * @param {number} handle
 * @param {Details} details
 */
function unfolded({ core, tokenizer }, handle, { method, classes, settings }) {
  const { ids } = promptSentences(tokenizer, classes, method, /** @type {any} */ (settings));
  return [...rawTensors(core, handle), idsTensor(ids[0])];
}

/** A file as it was read. @param {Uint8Array} bytes @param {boolean} raw whether it must have the raw parameters */
function savedWith(bytes, raw) {
  const file = new SavedFile(bytes, 'the classifier', [CLASSIFIER]);
  if (raw && file.details().settings && !file.raw) {
    throw new MudptError('state', 'the classifier was loaded from a file without its raw parameters', 'leave out raw');
  }
  return bytes.slice();
}

/**
 * A classifier from a file that export() wrote. Everything in it is checked first.
 * @param {Model} model
 * @param {Uint8Array} bytes
 * @param {string} name of the file, for messages
 * @param {AbortSignal} [signal]
 * @returns {Promise<Classifier>}
 */
export async function importClassifier(model, bytes, name, signal) {
  const file = new SavedFile(bytes, name, [CLASSIFIER]);
  file.requireModel(model);
  const details = file.details();
  const { config, core } = model;
  if (Object.hasOwn(METHODS, details.method) && METHODS[details.method].perPicture) {
    const context = file.find('context', 'F32', [-1, config.textWidth]);
    if (!context) throw file.bad('has no tensor context');
    const ids = file.ids(details.classes.length);
    await model.needTokens(ids.flat(), signal);
    const handle = restore(model, details.method, context.shape[0], ids, file);
    return new Classifier(model, handle, details, new Uint8Array(bytes));
  }
  const features = file.floats('text_features', [details.classes.length, config.embed]);
  if (!features) throw file.bad('has no tensor text_features');
  const visual = file.floats('visual_prompts', [-1, -1, config.visionWidth]);
  file.floats('text_prompts', [-1, -1, config.textWidth]);

  const [visualDepth, visualLength] = visual?.shape ?? [0, 0];
  const method = visual ? 'vpt' : 'zeroshot';
  const entry = visual ? entryOf(details, config) : {};
  const second = entry.second ? file.floats('second_projection', [config.visionWidth, config.embed]) : null;
  if (entry.second && !second) throw file.bad('has no tensor second_projection');
  const sizes = { method, visualLength, visualDepth, ...entry };
  let handle = 0;
  try {
    handle = core.classifierCreate(model.clip, sizes, null, details.classes.length);
    if (visual) {
      const first = visualLength * config.visionWidth;
      const values = { 'visual_prompts.0': visual.values.subarray(0, first) };
      if (visualDepth > 1) values['visual_prompts.deep'] = visual.values.subarray(first);
      if (second) values.proj_rep = second.values;
      core.classifierSetParameters(handle, values);
    }
    core.classifierSetTextFeatures(handle, features.values);
    return new Classifier(model, handle, details, new Uint8Array(bytes));
  } catch (error) {
    throw refused(core, handle, error, file);
  }
}

/** An error after which the library's classifier is freed. What the library refuses here is a fault of the file. */
function refused(core, handle, error, file) {
  if (handle) core.classifierFree(handle);
  return error instanceof MudptError && error.code === 'argument' ? file.bad(reasonOf(error)) : error;
}

/**
 * The library's classifier of a method whose prompts depend on the picture.
 * @param {Model} model
 * @param {string} method
 * @param {number} textLength prompt tokens
 * @param {number[][]} rows the classes' sentences
 * @param {SavedFile} file
 * @returns {number} handle
 */
function restore({ core, clip }, method, textLength, rows, file) {
  let handle = 0;
  try {
    handle = core.classifierCreate(clip, { method, textLength, textDepth: 1 }, { ids: [rows] });
    core.classifierSetParameters(handle, file.parameters(core, handle));
    return handle;
  } catch (error) {
    throw refused(core, handle, error, file);
  }
}
