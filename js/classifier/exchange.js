/**
 * Exchange with the authors' PyTorch code: what a method has trained, under the names and in the shapes of their state
 * dictionaries (official-names.js), as .safetensors. docs/exchange.md says how such a file goes to and from a .pth.tar
 * checkpoint. No value changes on the way.
 */
import { MudptError, bytesOf, checkOptions } from '../base/errors.js';
import { isBuffer, isBytes } from '../base/kinds.js';
import { openSource } from '../files/source.js';
import { EXACT, toFloats } from '../loading/floats.js';
import { writeSafetensors } from '../loading/safetensors.js';
import { readTensor } from '../loading/places.js';
import { readAnyHeader } from '../loading/weights.js';
import { checkClasses } from '../methods/classes.js';
import { FORMATS, LAYER0, namesOf, unusedIn } from '../methods/exports.js';
import { upperLayers } from '../methods/method.js';
import { METHODS, TRAINABLE } from '../methods/methods.js';
import { FROM_ZERO, LAYER, isTrained } from '../methods/official-names.js';
import { resolveSettings } from '../methods/settings.js';
import { CHECKPOINT, CLASSIFIER, SavedFile } from './saved.js';

export const EXCHANGE_FORMATS = Object.keys(FORMATS);

/** The library's name of a method. @param {string} method @param {any} settings @param {any} config */
const coreMethod = (method, settings, config) => METHODS[method].sizes(settings, config).method ?? method;

/** @typedef {{ shape: number[], values: Float32Array }} Values */

const product = (shape) => shape.reduce((a, b) => a * b, 1);

// ------------------------------------------------------------------------------------------------ export

/**
 * A saved classifier or a checkpoint under the authors' names. What the options mean is in index.d.ts.
 * @param {Uint8Array | ArrayBuffer} bytes
 * @param {{ format?: string, name?: string }} [options]
 * @returns {Uint8Array}
 */
export function exportOfficial(bytes, options = {}) {
  checkOptions(options, ['format', 'name']);
  const { format = 'official', name = 'the file' } = options;
  if (!EXCHANGE_FORMATS.includes(format)) {
    throw new MudptError('argument', `format is "${format}", expected ${EXCHANGE_FORMATS.join(' or ')}`);
  }
  const file = new SavedFile(bytesOf(bytes, name), name, [CLASSIFIER, CHECKPOINT]);
  const { method, settings } = file.details();
  if (!settings || !TRAINABLE.includes(method)) {
    throw new MudptError('argument', `${name}: nothing is trained in ${method}`, 'give a tuned classifier');
  }
  const core = settings.injection === 'transformer' ? 'uumudpt' : method;
  const names = FORMATS[format][core];
  if (!names) {
    const having = Object.keys(FORMATS[format]).join(', ');
    throw new MudptError('argument', `the ${format} code has no ${method}, only ${having}`, 'use format official');
  }
  const raw = file.raw ? rawValues(file, names) : unfoldedValues(file, method, settings);
  const tensors = Object.entries(raw).flatMap(([ours, values]) => toTheirs(names[ours], values));
  if (core === 'mudpt' && !raw['inject.layer0.weight']) tensors.push(...noFusion(raw));
  return writeSafetensors(
    tensors.map(({ name, shape, values }) => ({ name, dtype: 'F32', shape, data: values })),
    { format: 'pt' }, // as PyTorch's tools mark their own
  );
}

/** @returns {Record<string, Values>} */
function rawValues(file, names) {
  const present = file.tensors.filter((tensor) => Object.hasOwn(names, tensor.name));
  return Object.fromEntries(present.map(({ name, shape }) => [name, file.floats(name, shape)]));
}

/**
 * From folded prompts, for methods that fold nothing: their prompts are their parameters.
 * @param {SavedFile} file
 * @param {string} method
 * @param {any} settings
 * @returns {Record<string, Values>}
 */
function unfoldedValues(file, method, { classSpecific, promptLength }) {
  if (!['coop', 'kgcoop', 'vpt', 'ivlp', 'promptsrc'].includes(method)) {
    throw new MudptError(
      'state',
      `${file.name}: holds the prompts after the injection, and none of the parameters that were trained`,
      'give a checkpoint of the run, or a classifier saved with them: export({ raw: true }), --raw',
    );
  }
  const raw = {};
  for (const side of ['text', 'visual']) {
    const prompts = file.floats(`${side}_prompts`, [-1, -1, -1]);
    if (!prompts) continue;
    const { values, shape } = prompts;
    const [depth, n, width] = shape;
    if (method === 'coop' || method === 'kgcoop') {
      raw.context = { values, shape: classSpecific ? [n / promptLength, promptLength, width] : [n, width] };
      continue;
    }
    raw[`${side}_prompts.0`] = { shape: [n, width], values: values.subarray(0, n * width) };
    const deep = values.subarray(n * width);
    if (depth > 1) raw[`${side}_prompts.deep`] = { shape: [depth - 1, n, width], values: deep };
  }
  return raw;
}

/** What stands for a layer in a name of theirs, and the number of layer 1. @param {string} name */
const numbering = (name) => (name.includes(FROM_ZERO) ? { mark: FROM_ZERO, first: 0 } : { mark: LAYER, first: 1 });

/** One of our tensors as theirs. @param {string} name with a mark for the layer @param {Values} tensor */
function toTheirs(name, { shape, values }) {
  const { mark, first } = numbering(name);
  if (!name.includes(mark)) return [{ name, shape, values }];
  const [layers, ...rest] = shape;
  const each = product(rest);
  return Array.from({ length: layers }, (_, i) => ({
    name: name.replace(mark, String(i + first)),
    shape: rest,
    values: values.subarray(i * each, (i + 1) * each),
  }));
}

/** Their code always injects at layer 0; what is zero injects nothing. */
function noFusion(raw) {
  const [textWidth, visionWidth] = ['text_prompts.0', 'visual_prompts.0'].map((name) => raw[name].shape[1]);
  const [weight, bias] = Object.values(LAYER0);
  return [
    { name: weight, shape: [visionWidth, textWidth], values: new Float32Array(visionWidth * textWidth) },
    { name: bias, shape: [visionWidth], values: new Float32Array(visionWidth) },
  ];
}

// ------------------------------------------------------------------------------------------------ import

/** Settings that say how a file is to be understood; the rest of a method's settings only matter in training. */
const MEANING = ['phrase', 'classPosition', 'injection', 'layer0Fusion', 'layer', 'fromLayer', 'alpha', 'beta'];

/**
 * What the authors' code has trained, by our names, for restoreOfficial (official.js).
 * @param {import('../files/source.js').From | Uint8Array | ArrayBuffer} from
 * @param {Record<string, any>} options method, classes, signal and what MEANING lists
 * @param {import('../methods/method.js').ClipConfig} config
 * @returns {Promise<import('./official.js').Dictionary>}
 */
export async function readOfficial(from, { signal, ...options }, config) {
  const isFile = isBytes(from) || isBuffer(from);
  const source = await openSource(isFile ? new Blob([/** @type {any} */ (from)]) : from, { signal, cache: false });
  const file = source.weights ? await source.open(source.weights) : null;
  if (!file) throw new MudptError('file', `${source.name}: is no file with tensors`, 'give the file itself');
  try {
    return await readFile(isFile ? { ...file, name: 'the file' } : file, options, config);
  } finally {
    await file.close();
  }
}

/**
 * @param {import('../files/source.js').SourceFile} file
 * @param {Record<string, any>} options
 * @param {import('../methods/method.js').ClipConfig} config
 * @returns {Promise<import('./official.js').Dictionary>}
 */
async function readFile(file, { method, classes, ...options }, config) {
  checkOptions({ method, classes, ...options }, ['method', 'classes', ...MEANING]);
  checkClasses(classes);
  const { settings } = resolveSettings({ method, ...options }, config);
  const asked = { ...settings, method };
  const reader = await DictionaryReader.open(file, coreMethod(method, asked, config));
  const { sizes, values } = await reader.read(asked.layer0Fusion === false, upperLayers(config, asked.fromLayer));
  if (method === 'coop') sizes.classPosition = METHODS.coop.sizes(asked, config).classPosition;
  if (method === 'tcp') sizes.layer = asked.layer;
  if (asked.space || (asked.fromLayer ?? 1) > 1) Object.assign(sizes, enteringSizes(asked, sizes, config));
  const { names } = reader;
  return { file: file.name, method, classes, settings: settingsOf(asked, sizes), sizes, values, names };
}

/**
 * What only the options tell of prompts that enter an upper layer; ranks and widths are a file's.
 * @param {any} asked
 * @param {any} sizes
 * @param {import('../methods/method.js').ClipConfig} config
 */
function enteringSizes(asked, { textLength: promptLength, textDepth: depth, space, rank, projectionRank }, config) {
  const own = space ? { promptLength, depth, space, rank, projectionRank } : {};
  const { layer, inserted, kept, second } = METHODS[asked.method].sizes({ ...asked, ...own }, config);
  return { layer, inserted, kept, second };
}

/**
 * What a file and the options tell of a run's settings.
 * @param {any} asked
 * @param {import('../core/core.js').Method} sizes
 * @returns {any}
 */
function settingsOf(asked, { textLength, visualLength, textDepth = 0, visualDepth = 0, classSpecific, ...rest }) {
  const { space, rank, projectionRank } = rest;
  const own = space ? { space, ...(rank && { rank, projectionRank }) } : {};
  /** @type {any} */
  const settings = { promptLength: textLength ?? visualLength, ...own };
  if (Object.hasOwn(asked, 'depth')) settings.depth = Math.max(textDepth, visualDepth);
  if (Object.hasOwn(asked, 'classSpecific')) settings.classSpecific = Boolean(classSpecific);
  for (const key of MEANING) if (Object.hasOwn(asked, key)) settings[key] = asked[key];
  return settings;
}

/** A state dictionary with the tensors of one method in it. */
class DictionaryReader {
  #file;
  #tensors;
  #method;
  #names;

  /** @param {import('../files/source.js').SourceFile} file @param {string} method the library's name */
  static async open(file, method) {
    const { tensors } = await readAnyHeader(file);
    return new DictionaryReader(file, new Map(tensors.map((tensor) => [tensor.name, tensor])), method);
  }

  constructor(file, tensors, method) {
    this.#file = file;
    this.#tensors = tensors;
    this.#method = method;
    const ways = namesOf(method);
    const found = ways.find((names) => this.#has(Object.values(names)[0]));
    if (!found) {
      const expected = ways.map((names) => Object.values(names)[0]).join(' or ');
      throw this.#bad(`has no tensor ${expected}`, `is it of ${method}?`);
    }
    this.#names = found;
    const unused = unusedIn(method);
    const strange = [...tensors.keys()].find((name) => isTrained(name) && !this.#knows(name) && !unused?.test(name));
    if (strange) throw this.#bad(`has the tensor ${strange}, which ${method} does not have`, 'give its own method');
  }

  /** Ours to theirs, as in messages. */
  get names() {
    const said = (name) => name.replace(LAYER, '1, 2, …').replace(FROM_ZERO, '0, 1, …');
    return Object.fromEntries(Object.entries(this.#names).map(([ours, theirs]) => [ours, said(theirs)]));
  }

  #bad(what, hint) {
    return new MudptError('classifier', `${this.#file.name}: ${what}`, hint);
  }

  /** A tensor with anything in it. */
  #has(name) {
    return Boolean(this.#tensors.get(name)?.bytes);
  }

  /** Whether a name is in the table. */
  #knows(name) {
    const plain = [name.replace(/(?<=\.resblocks\.)\d+(?=\.)/, LAYER), name.replace(/(?<=\.)\d+$/, FROM_ZERO)];
    return Object.values(this.#names).some((theirs) => theirs === name || plain.includes(theirs));
  }

  /**
   * @param {boolean} unfused whether layer 0 injects nothing
   * @param {number} room layers of the model that may have prompts
   * @returns {Promise<{ sizes: import('../core/core.js').Method, values: Record<string, Values> }>} by our names
   */
  async read(unfused, room) {
    /** @type {Record<string, Values>} */
    const values = {};
    for (const [ours, theirs] of Object.entries(this.#names)) {
      if (theirs.includes(numbering(theirs).mark)) {
        const layers = await this.#layers(theirs);
        if (layers) values[ours] = layers;
      } else if (this.#has(theirs)) {
        values[ours] = await this.#tensor(theirs);
      }
    }
    if (unfused) this.#requireZero(values);
    const sizes = this.#sizes(values, unfused);
    const { textDepth = 0, visualDepth = 0 } = sizes;
    if (Math.max(textDepth, visualDepth) <= room) return { sizes, values };
    throw this.#bad(
      `has prompts for more than the ${room} layers of this model`,
      'load the model that it was trained on, with its fromLayer',
    );
  }

  /** @param {Record<string, Values>} values */
  #requireZero(values) {
    const name = Object.keys(LAYER0).find((ours) => values[ours]?.values.some((value) => value !== 0));
    if (name) throw this.#bad(`${LAYER0[name]} is not zero, so layer 0 is fused`, 'leave out layer0Fusion');
  }

  /** @returns {import('../core/core.js').Method} */
  #sizes(values, unfused) {
    const rows = (name, dims) => {
      const shape = values[name]?.shape;
      if (shape?.length === dims) return shape;
      throw this.#bad(
        `${this.#names[name]} is [${shape ?? 'not there'}], expected ${dims} dimensions`,
        `is it of ${this.#method}?`,
      );
    };
    const depth = (name) => (values[name] ? 1 + rows(name, 3)[0] : 1);
    const method = this.#method;
    if (['cocoop', 'kgcoop', 'tcp'].includes(method))
      return { method, textLength: rows('context', 2)[0], textDepth: 1 };
    if (method === 'coop') {
      const classSpecific = values.context.shape.length === 3;
      return { method, textLength: rows('context', classSpecific ? 3 : 2).at(-2), textDepth: 1, classSpecific };
    }
    if (values.tokens) return this.#ofSpace(values, rows);
    /** @type {import('../core/core.js').Method} */
    const sizes = { method };
    if (method !== 'vpt') {
      Object.assign(sizes, { textLength: rows('text_prompts.0', 2)[0], textDepth: depth('text_prompts.deep') });
    }
    if (method === 'umudpt' || method === 'maple') {
      return { ...sizes, visualLength: sizes.textLength, visualDepth: sizes.textDepth };
    }
    Object.assign(sizes, { visualLength: rows('visual_prompts.0', 2)[0], visualDepth: depth('visual_prompts.deep') });
    return method === 'mudpt' ? { ...sizes, layer0Fusion: !unfused } : sizes;
  }

  /** MMRL's and MMRL++'s: as many layers as there are maps to the text tower. */
  #ofSpace(values, rows) {
    const [n, space] = rows('tokens', 2);
    const depth = Object.keys(values).filter((name) => /^to_text\.\d+\.bias$/.test(name)).length;
    const sizes = { method: this.#method, textLength: n, textDepth: depth, visualLength: n, visualDepth: depth, space };
    if (this.#method === 'mmrl') return sizes;
    return { ...sizes, rank: rows('to_text.0.A', 2)[1], projectionRank: rows('proj_rep.A', 2)[1] };
  }

  /** Rows that theirs keeps layer by layer, as one tensor; undefined where there are none. @param {string} name */
  async #layers(name) {
    const { mark, first } = numbering(name);
    const [before, behind] = name.split(mark);
    const numbers = [...this.#tensors.keys()]
      .filter((each) => each.startsWith(before) && each.endsWith(behind))
      .map((each) => Number(each.slice(before.length, each.length - behind.length)))
      .sort((x, y) => x - y);
    if (!numbers.length) return undefined;
    const missing = numbers.findIndex((number, i) => number !== i + first);
    if (missing >= 0)
      throw this.#bad(`has no tensor ${name.replace(mark, String(missing + first))}`, 'export it whole');
    const layers = [];
    for (const layer of numbers) layers.push(await this.#tensor(name.replace(mark, String(layer))));
    const { shape } = layers[0];
    const each = product(shape);
    const values = new Float32Array(layers.length * each);
    layers.forEach((tensor, i) => {
      if (tensor.shape.join() !== shape.join()) throw this.#bad(`${name} has not the same shape in every layer`, '');
      values.set(tensor.values, i * each);
    });
    return { shape: [layers.length, ...shape], values };
  }

  /** @param {string} name @returns {Promise<Values>} */
  async #tensor(name) {
    const tensor = /** @type {import('../loading/safetensors.js').Tensor} */ (this.#tensors.get(name));
    const { dtype, shape } = tensor;
    const values = EXACT.includes(dtype) ? toFloats(await readTensor(this.#file, tensor), dtype) : null;
    if (!values) throw this.#bad(`tensor ${name} is ${dtype}`, `save it as ${EXACT.join(', ')}`);
    if (!values.every(Number.isFinite)) throw this.#bad(`tensor ${name} holds NaN or infinity`, 'train it again');
    return { shape, values };
  }
}
