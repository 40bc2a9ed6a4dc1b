/**
 * Heads in a sweep: classifiers of features that the untuned towers make, which are the same for all heads, shots and
 * seeds. So each picture is read and goes through the tower once in a whole sweep, and once more where some heads see
 * features before the projection.
 */
import { argmax, measure, softmax } from '../classifier/metrics.js';
import { HEADS, createHead, startHeads } from '../heads/heads.js';
import { spoken } from '../methods/classes.js';
import { classesOf, sameNames } from './sets.js';

/** @typedef {{ data: Float32Array, dims: number[] }} Values */

/** What the towers make of the pictures and names of a sweep, as they leave them. */
export class SweepFeatures {
  #clip;
  /** @type {Map<string, Float32Array>} */
  #rows = new Map();
  /** @type {Map<string, Promise<Values>>} */
  #texts = new Map();
  /** @type {Promise<any> | undefined} */
  #library;

  /** @param {any} clip */
  constructor(clip) {
    this.#clip = clip;
  }

  get scale() {
    return this.#clip.info.logitScale;
  }

  library() {
    return (this.#library ??= startHeads());
  }

  /** @returns {Promise<Values>} */
  projection() {
    return this.#clip.projection();
  }

  /**
   * @param {string[]} files
   * @param {boolean} before the projection
   * @param {Record<string, any>} [options] of embedImages
   * @returns {Promise<Values>}
   */
  async pictures(files, before, options) {
    const keyOf = (file) => `${before} ${file}`;
    const fresh = files.filter((file) => !this.#rows.has(keyOf(file)));
    if (fresh.length) {
      const { data, dims } = await this.#clip.embedImages(fresh, { ...options, projected: !before, unit: false });
      fresh.forEach((file, i) => this.#rows.set(keyOf(file), data.subarray(i * dims[1], (i + 1) * dims[1])));
    }
    const rows = files.map((file) => /** @type {Float32Array} */ (this.#rows.get(keyOf(file))));
    const width = rows[0].length;
    const data = new Float32Array(rows.length * width);
    rows.forEach((row, i) => data.set(row, i * width));
    return { data, dims: [rows.length, width] };
  }

  /** Of one sentence a name. @param {string[]} names @param {string} template @returns {Promise<Values>} */
  texts(names, template) {
    const sentences = names.map((name) => template.split('{}').join(spoken(name)));
    const key = JSON.stringify(sentences);
    const made = async () => {
      const { data, dims } = await this.#clip.embedTexts(sentences, { unit: false });
      return { data, dims: [1, ...dims] };
    };
    if (!this.#texts.has(key)) this.#texts.set(key, made());
    return /** @type {Promise<Values>} */ (this.#texts.get(key));
  }
}

/** Whether a method of a sweep is a head. @param {string} method */
export const isHead = (method) => Object.hasOwn(HEADS, method);

/**
 * A head, trained.
 * @param {SweepFeatures} features
 * @param {import('./plan.js').Job} job
 * @param {{ path: string, label: number }[]} shots
 * @param {string} template
 * @param {{ signal?: AbortSignal, onProgress: (done: number, total: number) => void }} options
 */
export async function trainHead(features, { identity, train }, shots, template, { signal, onProgress }) {
  const { method: head, settings } = identity;
  const { set, part } = /** @type {any} */ (train);
  const { shots: _, seed, ...own } = /** @type {any} */ (settings);
  const { before = false } = HEADS[head];
  const files = shots.map(({ path }) => path);
  const told = ({ done, total }) => onProgress(done, total);
  const { data, dims } = await features.pictures(files, before, { signal, onProgress: told });
  const options = {
    ...{ head, seed, settings: own, scale: features.scale, labels: shots.map(({ label }) => label) },
    classes: await features.texts(classesOf(set, part), template),
    pictures: { data, dims: [1, ...dims] },
    ...(before && { projection: await features.projection() }),
  };
  const made = createHead(await features.library(), options);
  try {
    const losses = [];
    for (const { loss } of made.train()) losses.push(loss);
    return { head: made, losses };
  } catch (error) {
    made.dispose();
    throw error;
  }
}

/**
 * A head on the pictures of a test, among the test's own names: what it has of them, or what it makes of new ones.
 * @param {SweepFeatures} features
 * @param {import('../heads/heads.js').Head} head
 * @param {string[]} names that it knows
 * @param {import('./plan.js').Job['tests'][number]} test
 * @param {{ path: string, label: number }[]} examples
 * @param {{ signal?: AbortSignal, onProgress: () => void }} options
 */
export async function testHead(features, head, names, { set, part, template }, examples, { signal, onProgress }) {
  const classes = classesOf(set, part);
  const { before = false } = HEADS[head.name];
  const files = examples.map(({ path }) => path);
  const { data } = await features.pictures(files, before, { signal, onProgress });
  const isKnown = sameNames(names, classes);
  const asked = isKnown ? head : head.newClasses(await features.texts(classes, template));
  try {
    const logits = asked.logits(data);
    const rows = examples.map((_, i) => logits.subarray(i * classes.length, (i + 1) * classes.length));
    const best = rows.map(argmax);
    const scores = rows.map((row, i) => softmax(row)[best[i]]);
    const labels = examples.map(({ label }) => label);
    return { classes, ...measure(classes, labels, best, scores) };
  } finally {
    if (!isKnown) asked.dispose();
  }
}
