/**
 * Where an instant classifier's numbers come from: a model as loadClip() gives it, here or in a page's worker, of which
 * only the public interface is used.
 */
import { MudptError } from '../base/errors.js';
import { requireDistinct, spoken } from '../methods/classes.js';
import { SMALLEST_CROP, carriedCrop } from '../methods/presets.js';
import { DEFAULT_TEMPLATE } from '../methods/sentences.js';
import { floatsOf, headerOf } from '../loading/safetensors.js';

/** @typedef {(progress: { done: number, total: number }) => void} OnProgress */

/** @param {Float32Array} data @param {number} width @returns {Float32Array[]} copies, a row each */
export const rowsOf = (data, width) =>
  Array.from({ length: data.length / width }, (_, i) => data.slice(i * width, (i + 1) * width));

/** @param {Float32Array[]} rows @returns {Float32Array} one behind the other */
export function packed(rows) {
  const data = new Float32Array(rows.length * (rows[0]?.length ?? 0));
  rows.forEach((row, i) => data.set(row, i * row.length));
  return data;
}

export class Source {
  /**
   * @param {any} clip
   * @param {any} base a classifier of it, which this object owns: it says what belongs to the model when it is saved
   * @param {string[]} templates of class names
   */
  constructor(clip, base, templates) {
    this.clip = clip;
    this.base = base;
    this.templates = templates;
  }

  /** What cosines are multiplied by. @returns {number} */
  get scale() {
    return this.clip.info.logitScale;
  }

  /**
   * Features of pictures, as they leave the tower.
   * @param {any[]} pictures
   * @param {boolean} before whether before the projection
   * @param {{ onProgress?: OnProgress, onBroken?: (broken: any) => void, transfer?: boolean, signal?: AbortSignal }}
   *   [options]
   */
  async rows(pictures, before, options = {}) {
    if (!pictures.length) return [];
    const { data, dims } = await this.clip.embedImages(pictures, { ...options, projected: !before, unit: false });
    return rowsOf(data, dims[1]);
  }

  /**
   * The same of several views of each picture, the plain one first; the others are random crops.
   * @param {any[]} pictures
   * @param {boolean} before
   * @param {{ views: number, seed: number }} wanted
   * @param {Record<string, any>} [options]
   * @returns {Promise<Float32Array[][]>} [pictures][views]
   */
  async views(pictures, before, { views, seed }, options = {}) {
    const smallestCrop = carriedCrop(SMALLEST_CROP, this.clip.info.architecture.image);
    const all = await this.rows(pictures, before, views > 1 ? { ...options, views, seed, smallestCrop } : options);
    const count = all.length / views;
    return Array.from({ length: count }, (_, i) => Array.from({ length: views }, (_, v) => all[v * count + i]));
  }

  /** The tower's projection. @returns {Promise<{ data: Float32Array, dims: number[] }>} */
  async projection() {
    return this.clip.projection();
  }

  /**
   * Features of names as they leave the tower, of each template.
   * @param {string[]} classes
   * @param {AbortSignal} [signal]
   * @param {number} [from] the first whose features are wanted
   * @returns {Promise<Float32Array[][]>} [names][templates]
   */
  async texts(classes, signal, from = 0) {
    requireDistinct(classes, from);
    const sentences = classes
      .slice(from)
      .flatMap((name) => this.templates.map((template) => template.split('{}').join(spoken(name))));
    const { data, dims } = await this.clip.embedTexts(sentences, { unit: false, signal });
    const rows = rowsOf(data, dims[1]);
    const each = this.templates.length;
    return classes.slice(from).map((_, i) => rows.slice(i * each, (i + 1) * each));
  }

  /** The same for another owner. */
  async again() {
    return new Source(this.clip, await this.clip.import(await this.base.export()), this.templates);
  }

  async dispose() {
    await this.base.dispose();
  }
}

/**
 * A source of untuned features.
 * @param {any} clip
 * @param {string[]} classes that were checked
 * @param {string[]} [templates]
 * @param {AbortSignal} [signal]
 */
export async function plainSource(clip, classes, templates = [DEFAULT_TEMPLATE], signal) {
  // Of one class: what it says of the model is all that counts, and the templates are checked.
  const base = await clip.zeroShot(classes.slice(0, 1), { templates, signal });
  return new Source(clip, base, [...templates]);
}

/** @param {string} method @param {string} needed @param {string} why it is not there */
const refused = (method, needed, why) =>
  new MudptError('argument', `a head needs ${needed}, and ${method} ${why}`, 'leave out head, or take another method');

/** Features by tuned prompts: of the tower that they are in, and of names in their sentences. */
export class TunedSource extends Source {
  /** @param {any} clip @param {any} base a tuned classifier, which this object owns */
  constructor(clip, base) {
    super(clip, base, []);
  }

  /**
   * @param {any[]} pictures
   * @param {boolean} before
   * @param {Record<string, any>} [options]
   */
  async rows(pictures, before, options = {}) {
    if (!pictures.length) return [];
    const { data, dims } = await this.base.embedImages(pictures, { ...options, projected: !before, unit: false });
    return rowsOf(data, dims[1]);
  }

  /** @param {string[]} classes @param {AbortSignal} [signal] @param {number} [from] */
  async texts(classes, signal, from = 0) {
    requireDistinct(classes, from);
    const own = this.base.classes;
    const isOwn = from === 0 && classes.length === own.length && classes.every((name, i) => name === own[i]);
    const wider = isOwn ? this.base : await this.base.withClasses(classes.slice(from), { signal });
    try {
      const bytes = await wider.export();
      const { tensors } = headerOf(bytes, 'the classifier');
      const [tensor, second] = ['text_features', 'second_projection'].map((its) => tensors.find((t) => t.name === its));
      const { method } = this.base;
      if (!tensor) throw refused(method, 'features of the classes', 'makes them anew for every picture');
      if (second) throw refused(method, 'one feature of a picture', 'has two');
      const rows = rowsOf(floatsOf(bytes, tensor), tensor.shape[1]);
      return rows.slice(isOwn ? 0 : own.length).map((row) => [row]);
    } finally {
      if (!isOwn) await wider.dispose();
    }
  }

  async again() {
    return new TunedSource(this.clip, await this.clip.import(await this.base.export()));
  }
}
