/**
 * A classifier: a model, class names, and for tuned ones the prompts. It answers for pictures, is measured on
 * examples, and can be saved as one small file that needs no text tower when it is loaded again.
 *
 * The file is a .safetensors with the tensors text_features [N, e], text_prompts [J, n, d_t] and visual_prompts [J,
 * n, d_v] (the prompts after the injection; absent where the method has none) and the metadata that `describe`
 * writes.
 */
import { MudptError, reasonOf } from './errors.js';
import { decodeImage, readImage } from './images.js';
import { argmax, measure, softmax } from './metrics.js';
import { checkClasses } from './methods.js';
import { nextTurn } from './platform.js';
import { floatsOf, headerOf, writeSafetensors } from './safetensors.js';

const FORMAT = 'mudpt-classifier';
const FORMAT_VERSION = '1';
/** JSON has no infinity. */
const ALL = 'all';
const PICTURES_AT_ONCE = 8;

/**
 * @typedef {object} Model what belongs to one loaded CLIP
 * @property {import('./core.js').Core} core
 * @property {number} clip handle
 * @property {import('./core.js').ClipConfig} config
 * @property {import('./tokenizer.js').ClipTokenizer} tokenizer
 * @property {string} fingerprint
 * @property {boolean} upright whether pictures are turned as their EXIF orientation says
 *
 * @typedef {{ image: any, label: string | number }} Example
 *
 * @typedef {object} Details what a classifier is, beyond its numbers
 * @property {string} method
 * @property {string[]} classes
 * @property {string[]} [templates] zero-shot
 * @property {import('./methods.js').Settings} [settings] of the training run
 */

/**
 * Labels of examples as indices.
 * @param {string[]} classes
 * @param {unknown} examples
 * @returns {number[]}
 */
export function labelsOf(classes, examples) {
  if (!Array.isArray(examples)) throw new MudptError('argument', 'examples must be an array of { image, label }');
  const indices = new Map(classes.map((name, i) => [name, i]));
  return examples.map((example, i) => {
    const label = example?.label;
    if (Number.isInteger(label) && label >= 0 && label < classes.length) return label;
    const index = indices.get(label);
    if (index !== undefined) return index;
    const some =
      classes
        .slice(0, 5)
        .map((name) => `"${name}"`)
        .join(', ') + (classes.length > 5 ? ', …' : '');
    throw new MudptError(
      'argument',
      `the label of example ${i} is ${JSON.stringify(label)}, expected a class (${some}) or 0 to ${classes.length - 1}`,
    );
  });
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

  /** Logits of a few pictures; each is decoded, made small and let go. @returns {Promise<Float32Array[]>} */
  async #logits(images, names, signal) {
    const { core, clip, config, upright } = this.#model;
    const size = 3 * config.image ** 2;
    const pixels = new Float32Array(images.length * size);
    for (let i = 0; i < images.length; i++) {
      const picture = await readImage(images[i], names[i], signal);
      signal?.throwIfAborted();
      const handle = await decodeImage(core, picture, upright);
      try {
        pixels.set(core.clipTestPixels(clip, handle), i * size);
      } finally {
        core.imageFree(handle);
      }
    }
    const { logits } = core.classifierLogits(this.#handle, pixels);
    const count = this.#details.classes.length;
    return images.map((_, i) => logits.subarray(i * count, (i + 1) * count));
  }

  /**
   * @param {any} image
   * @param {{ topK?: number, signal?: AbortSignal }} [options]
   */
  async classify(image, { topK = 5, signal } = {}) {
    if (!Number.isInteger(topK) || topK < 1) throw new MudptError('argument', `topK is ${topK}, expected 1 or more`);
    signal?.throwIfAborted();
    const [logits] = await this.#logits([image], ['the picture'], signal);
    const scores = softmax(logits);
    return this.#details.classes
      .map((label, i) => ({ label, score: scores[i] }))
      .sort((a, b) => b.score - a.score)
      .slice(0, topK);
  }

  /**
   * @param {Example[]} examples
   * @param {{ onProgress?: (progress: { done: number, total: number }) => void, signal?: AbortSignal }} [options]
   */
  async evaluate(examples, { onProgress, signal } = {}) {
    const { classes } = this.#details;
    const labels = labelsOf(classes, examples);
    const predictions = [];
    for (let start = 0; start < examples.length; start += PICTURES_AT_ONCE) {
      signal?.throwIfAborted();
      const batch = examples.slice(start, start + PICTURES_AT_ONCE);
      const names = batch.map((_, i) => `the picture of example ${start + i}`);
      const images = batch.map((example) => example.image);
      for (const logits of await this.#logits(images, names, signal)) predictions.push(argmax(logits));
      onProgress?.({ done: predictions.length, total: examples.length });
      await nextTurn();
    }
    return measure(classes, labels, predictions);
  }

  /** The classifier as a file. @returns {Promise<Uint8Array>} */
  async export() {
    if (this.#saved) return this.#saved.slice();
    const { core, config } = this.#model;
    const { classes } = this.#details;
    const features = core.classifierTextFeatures(this.#handle);
    const tensors = [{ name: 'text_features', dtype: 'F32', shape: [classes.length, config.embed], data: features }];
    const { text, textShape, visual, visualShape } = core.classifierFold(this.#handle);
    if (text.length) tensors.push({ name: 'text_prompts', dtype: 'F32', shape: textShape, data: text });
    if (visual.length) tensors.push({ name: 'visual_prompts', dtype: 'F32', shape: visualShape, data: visual });
    return writeSafetensors(tensors, describe(this.#model, this.#details));
  }

  /** Frees its memory; the object cannot be used any more. The model's dispose() does it too. */
  async dispose() {
    this.#model.core.classifierFree(this.#handle);
  }
}

/**
 * The metadata of a saved classifier.
 * @param {Model} model
 * @param {Details} details
 * @returns {Record<string, string>}
 */
function describe({ core, fingerprint }, { method, classes, templates, settings }) {
  const metadata = { format: FORMAT, version: FORMAT_VERSION, library: core.version(), method, fingerprint };
  metadata.classes = JSON.stringify(classes);
  if (templates) metadata.templates = JSON.stringify(templates);
  if (settings) {
    const { phrase, promptLength, depth, ...rest } = settings;
    Object.assign(metadata, { phrase, prompt_length: String(promptLength), depth: String(depth) });
    metadata.hyper_parameters = JSON.stringify(rest, (_, value) => (value === Infinity ? ALL : value));
  }
  return metadata;
}

/**
 * A classifier from a file that export() wrote. Everything in it is checked first.
 * @param {Model} model
 * @param {Uint8Array} bytes
 * @param {string} name of the file, for messages
 * @returns {Classifier}
 */
export function importClassifier(model, bytes, name) {
  const bad = (what, hint = 'export the classifier again') => new MudptError('classifier', `${name}: ${what}`, hint);
  const { tensors, metadata } = readFile(bytes, name);
  if (metadata.format !== FORMAT) throw bad('is no saved classifier', 'give a file that export() or mudpt train wrote');
  if (metadata.version !== FORMAT_VERSION) {
    throw bad(
      `has the format version ${metadata.version}, expected ${FORMAT_VERSION}`,
      'use the library that wrote it',
    );
  }
  if (metadata.fingerprint !== model.fingerprint) {
    throw bad(
      `belongs to another model (fingerprint ${metadata.fingerprint}, this one has ${model.fingerprint})`,
      'load the model that it was made with',
    );
  }
  const details = readDetails(metadata, bad);
  const { config, core } = model;
  const floats = (tensorName, shape) => {
    const tensor = tensors.find((candidate) => candidate.name === tensorName);
    if (!tensor) return null;
    const fits = tensor.shape.length === shape.length && shape.every((side, i) => side < 0 || side === tensor.shape[i]);
    if (tensor.dtype !== 'F32' || !fits || !tensor.bytes) {
      const expected = shape.map((side) => (side < 0 ? '…' : side)).join(', ');
      throw bad(`tensor ${tensorName} is ${tensor.dtype} [${tensor.shape}], expected F32 [${expected}]`);
    }
    const values = floatsOf(bytes, tensor);
    if (!values.every(Number.isFinite)) throw bad(`tensor ${tensorName} holds NaN or infinity`);
    return { values, shape: tensor.shape };
  };
  const features = floats('text_features', [details.classes.length, config.embed]);
  if (!features) throw bad('has no tensor text_features');
  const visual = floats('visual_prompts', [-1, -1, config.visionWidth]);
  floats('text_prompts', [-1, -1, config.textWidth]);

  const [visualDepth, visualLength] = visual?.shape ?? [0, 0];
  const method = visual ? 'vpt' : 'zeroshot';
  const handle = core.classifierCreate(model.clip, { method, visualLength, visualDepth }, null, details.classes.length);
  try {
    if (visual) {
      const first = visualLength * config.visionWidth;
      const values = { 'visual_prompts.0': visual.values.subarray(0, first) };
      if (visualDepth > 1) values['visual_prompts.deep'] = visual.values.subarray(first);
      core.classifierSetParameters(handle, values);
    }
    core.classifierSetTextFeatures(handle, features.values);
    return new Classifier(model, handle, details, new Uint8Array(bytes));
  } catch (error) {
    core.classifierFree(handle);
    throw error;
  }
}

/** @returns {import('./safetensors.js').Header} */
function readFile(bytes, name) {
  try {
    return headerOf(bytes, name);
  } catch (error) {
    throw error instanceof MudptError ? new MudptError('classifier', error.message, '', { cause: error }) : error;
  }
}

/** @returns {Details} */
function readDetails(metadata, bad) {
  const json = (key) => {
    try {
      return metadata[key] === undefined ? undefined : JSON.parse(metadata[key], (_, v) => (v === ALL ? Infinity : v));
    } catch {
      throw bad(`its metadata "${key}" is no valid JSON`);
    }
  };
  let classes;
  try {
    classes = checkClasses(json('classes'));
  } catch (error) {
    throw bad(`its class names cannot be used: ${reasonOf(error)}`);
  }
  const details = { method: String(metadata.method), classes, templates: json('templates') };
  const { phrase, prompt_length: promptLength, depth } = metadata;
  if (phrase === undefined) return details;
  const rest = json('hyper_parameters') ?? {};
  return { ...details, settings: { ...rest, phrase, promptLength: Number(promptLength), depth: Number(depth) } };
}
