/**
 * What the files that this library saves have in common, classifiers (js/classifier/classifier.js) and checkpoints
 * (js/training/checkpoint.js): both are .safetensors whose metadata say what they are. docs/file-formats.md describes
 * them. Nothing in a file is believed before it has been checked; damage is refused with the error code `classifier`.
 */
import { MudptError, reasonOf } from '../base/errors.js';
import { floatsOf, headerOf, intsOf } from '../loading/safetensors.js';
import { otherModel, samplesOf } from '../loading/samples.js';
import { checkClasses } from '../methods/classes.js';

export const CLASSIFIER = 'mudpt-classifier';
export const CHECKPOINT = 'mudpt-checkpoint';
const VERSION = '1';
/** JSON has no infinity. */
const ALL = 'all';
/** Behind the end of a sentence. */
const NO_ID = -1;
/** What a file holds besides a method's parameters. */
export const DERIVED = ['text_features', 'text_prompts', 'visual_prompts', 'second_projection', 'class_ids'];

const KINDS = {
  [CLASSIFIER]: { is: 'saved classifier', from: 'export() or mudpt train wrote' },
  [CHECKPOINT]: { is: 'checkpoint of a training run', from: 'checkpoint() or mudpt train --checkpoint wrote' },
};

/**
 * The metadata of a file.
 * @param {import('./classifier.js').Model} model
 * @param {string} format CLASSIFIER or CHECKPOINT
 * @param {import('./classifier.js').Details} details
 * @returns {Record<string, string>}
 */
export function describe({ core, clip, fingerprint }, format, details) {
  const { method, classes, templates, settings, trainedOn, alone } = details;
  const samples = samplesOf({ core, clip });
  const metadata = { format, version: VERSION, library: core.version(), method, fingerprint, samples };
  metadata.classes = JSON.stringify(classes);
  if (templates) metadata.templates = JSON.stringify(templates);
  if (trainedOn) metadata.trained_on = JSON.stringify(trainedOn);
  if (alone) metadata.alone = String(alone);
  if (settings) {
    const { phrase, promptLength, depth, ...rest } = settings;
    Object.assign(metadata, { phrase, prompt_length: String(promptLength) });
    if (depth !== undefined) metadata.depth = String(depth);
    metadata.hyper_parameters = JSON.stringify(rest, (_, value) => (value === Infinity ? ALL : value));
  }
  return metadata;
}

/**
 * Values, moments, or averages, of the library's classifier under its parameters' names.
 * @param {import('../core/core.js').Core} core
 * @param {number} handle
 * @param {'value' | 'velocity' | 'square' | 'average'} [what]
 */
export function rawTensors(core, handle, what = 'value') {
  return core.classifierParameters(handle).map(({ name, shape, count, ...at }) => {
    return { name, dtype: 'F32', shape, data: core.floats(at[what], count).slice() };
  });
}

/** The classes' sentences as a tensor, each filled up. @param {number[][]} ids */
export function idsTensor(ids) {
  const longest = ids.reduce((most, { length }) => Math.max(most, length), 0);
  const data = new Int32Array(ids.length * longest).fill(NO_ID);
  ids.forEach((sentence, i) => data.set(sentence, i * longest));
  return { name: 'class_ids', dtype: 'I32', shape: [ids.length, longest], data };
}

/** A file in memory whose header has been checked. */
export class SavedFile {
  /**
   * @param {Uint8Array} bytes
   * @param {string} name of the file, for messages
   * @param {string[]} formats which kinds are wanted
   */
  constructor(bytes, name, formats) {
    this.bytes = bytes;
    this.name = name;
    const { tensors, metadata } = readHeader(bytes, name);
    this.tensors = tensors;
    this.metadata = metadata;
    const { format, version } = metadata;
    if (!formats.includes(format)) {
      const wanted = formats.map((one) => KINDS[one]);
      const what = Object.hasOwn(KINDS, format) ? `is a ${KINDS[format].is}, ` : 'is ';
      throw this.bad(
        `${what}no ${wanted.map(({ is }) => is).join(' or ')}`,
        `give a file that ${wanted.map(({ from }) => from).join(', or ')}`,
      );
    }
    this.format = format;
    if (version !== VERSION) {
      const hint = metadata.head ? 'it has a head, which only import() reads' : 'use the library that wrote it';
      throw this.bad(`has the format version ${version}, expected ${VERSION}`, hint);
    }
  }

  /** @param {string} what @param {string} [hint] */
  bad(what, hint = 'save it again, or use another copy') {
    return new MudptError('classifier', `${this.name}: ${what}`, hint);
  }

  /**
   * Refuses a file that was made with another model.
   * @param {Pick<import('./classifier.js').Model, 'fingerprint'> & { core?: any, clip?: number }} model
   */
  requireModel({ fingerprint, core, clip }) {
    const samples = core && samplesOf({ core, clip: Number(clip) });
    const { fingerprint: named } = this.metadata;
    const found = otherModel(/** @type {any} */ (this.metadata), { fingerprint, samples }, this.name);
    if (!found) return;
    const what = `belongs to another model (fingerprint ${named}, ${found})`;
    throw this.bad(what, 'load the model that it was made with');
  }

  /** @param {string} key of the metadata @param {(key: string, value: any) => any} [reviver] */
  #json(key, reviver) {
    if (this.metadata[key] === undefined) return undefined;
    try {
      return JSON.parse(this.metadata[key], reviver);
    } catch {
      throw this.bad(`its metadata "${key}" is no valid JSON`);
    }
  }

  /** What it holds, beyond its numbers. @returns {import('./classifier.js').Details} */
  details() {
    let classes;
    const names = this.#json('classes');
    try {
      classes = checkClasses(names);
    } catch (error) {
      throw this.bad(`its class names cannot be used: ${reasonOf(error)}`);
    }
    const { method, phrase, prompt_length: promptLength, depth, alone } = this.metadata;
    const details = { method: String(method), classes, templates: this.#json('templates') };
    if (alone !== undefined) {
      if (!(Number(alone) >= 0 && Number(alone) <= classes.length)) throw this.bad(`has ${alone} untrained classes`);
      Object.assign(details, { alone: Number(alone) });
    }
    if (phrase === undefined) return details;
    const rest = this.#json('hyper_parameters', (_, value) => (value === ALL ? Infinity : value)) ?? {};
    const settings = { ...rest, phrase, promptLength: Number(promptLength) };
    if (depth !== undefined) settings.depth = Number(depth);
    return { ...details, settings };
  }

  /**
   * A tensor of this name, or null; one of another type or shape is refused.
   * @param {string} name
   * @param {string} dtype
   * @param {number[]} shape a negative side may be any
   */
  find(name, dtype, shape) {
    const tensor = this.tensors.find((candidate) => candidate.name === name);
    if (!tensor) return null;
    const fits = tensor.shape.length === shape.length && shape.every((side, i) => side < 0 || side === tensor.shape[i]);
    if (tensor.dtype !== dtype || !fits || !tensor.bytes) {
      const expected = shape.map((side) => (side < 0 ? '…' : side)).join(', ');
      throw this.bad(`tensor ${name} is ${tensor.dtype} [${tensor.shape}], expected ${dtype} [${expected}]`);
    }
    return tensor;
  }

  /**
   * The same with its values, which must be finite.
   * @param {string} name
   * @param {number[]} shape
   */
  floats(name, shape) {
    const tensor = this.find(name, 'F32', shape);
    if (!tensor) return null;
    const values = floatsOf(this.bytes, tensor);
    if (!values.every(Number.isFinite)) throw this.bad(`tensor ${name} holds NaN or infinity`);
    return { values, shape: tensor.shape };
  }

  /**
   * Values for all parameters of the library's classifier.
   * @param {import('../core/core.js').Core} core
   * @param {number} handle
   * @param {string} [prefix] of their names in the file
   * @returns {Record<string, Float32Array>}
   */
  parameters(core, handle, prefix = '') {
    return Object.fromEntries(
      core.classifierParameters(handle).map(({ name, shape }) => {
        const tensor = this.floats(`${prefix}${name}`, shape);
        if (!tensor) throw this.bad(`has no tensor ${prefix}${name}`);
        return [name, tensor.values];
      }),
    );
  }

  /** The classes' sentences. @param {number} classes @returns {number[][]} */
  ids(classes) {
    const tensor = this.find('class_ids', 'I32', [classes, -1]);
    if (!tensor) throw this.bad('has no tensor class_ids');
    const ids = intsOf(this.bytes, tensor);
    const length = tensor.shape[1];
    return Array.from({ length: classes }, (_, i) => {
      const row = Array.from(ids.subarray(i * length, (i + 1) * length));
      return row.includes(NO_ID) ? row.slice(0, row.indexOf(NO_ID)) : row;
    });
  }

  /** Whether it has the parameters as they were trained. */
  get raw() {
    return this.tensors.some(({ name }) => !DERIVED.includes(name));
  }

  /** Its tensors as writeSafetensors takes them. */
  contents() {
    return this.tensors.map(({ name, dtype, shape, begin, bytes }) => {
      return { name, dtype, shape, data: this.bytes.subarray(begin, begin + bytes) };
    });
  }
}

/** @returns {import('../loading/safetensors.js').Header} */
function readHeader(bytes, name) {
  try {
    return headerOf(bytes, name);
  } catch (error) {
    throw error instanceof MudptError ? new MudptError('classifier', error.message, '', { cause: error }) : error;
  }
}
