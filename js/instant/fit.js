/** A head in force: what answers for features, made of what is known of pictures and names. */
import { MudptError } from '../base/errors.js';
import { nextTurn } from '../base/platform.js';
import { toUnit } from '../features/unit.js';
import { HEADS, createHead, restoreHead } from '../heads/heads.js';
import { packed } from './source.js';

/**
 * @typedef {object} Facts what a head is made of
 * @property {Float32Array[][]} texts [classes][templates] as they leave the text tower
 * @property {Float32Array[]} rows of pictures, as they leave the image tower, or before its projection
 * @property {Float32Array[][]} [views] of each picture, rows of random views beside the plain one: of one that was
 *   added later none, and so its plain one stands for them
 * @property {number[]} labels of the pictures
 * @property {{ data: Float32Array, dims: number[] }} [projection] for heads that see rows before it
 * @property {number} scale what cosines are multiplied by
 *
 * @typedef {object} Recipe
 * @property {string} head of HEADS, or 'none'
 * @property {Record<string, number>} [settings] over the head's defaults
 * @property {number} [weight] of the head beside the names alone, 0 to 1; default 1
 * @property {number} seed
 *
 * @typedef {object} Answering
 * @property {(features: Float32Array) => Float32Array} logits [pictures, classes]
 * @property {() => void} dispose
 */

/** Class features as heads take them, [templates, classes, width]. @param {Float32Array[][]} texts */
export function classValues(texts) {
  const templates = texts[0].length;
  const rows = Array.from({ length: templates }, (_, k) => texts.map((of) => of[k])).flat();
  return { data: packed(rows), dims: [templates, texts.length, rows[0].length] };
}

/** The mean of each class's directions, as zero-shot takes it. @param {Float32Array[][]} texts */
export function meanTexts(texts) {
  return texts.map((of) => {
    if (of.length === 1) return of[0];
    const sum = new Float32Array(of[0].length);
    for (const row of of) {
      const unit = row.slice();
      toUnit(unit);
      unit.forEach((value, i) => (sum[i] += value));
    }
    return sum;
  });
}

/** Zero-shot on features: what there is before any picture. @implements {Answering} */
export class Cosine {
  #texts;
  #scale;

  /** @param {Float32Array[][]} texts @param {number} scale */
  constructor(texts, scale) {
    this.#texts = meanTexts(texts).map((row) => row.slice());
    this.#texts.forEach(toUnit);
    this.#scale = scale;
  }

  /** @param {Float32Array} features */
  logits(features) {
    const width = this.#texts[0].length;
    const out = new Float32Array((features.length / width) * this.#texts.length);
    for (let at = 0, i = 0; at < features.length; at += width) {
      const row = features.slice(at, at + width);
      toUnit(row);
      for (const text of this.#texts) {
        let sum = 0;
        for (let k = 0; k < width; k++) sum += row[k] * text[k];
        out[i++] = this.#scale * sum;
      }
    }
    return out;
  }

  dispose() {}
}

/** A head and the names alone, each with its share. @implements {Answering} */
export class Mixed {
  #scale;

  /** @param {any} head @param {Cosine} names @param {number} weight of the head @param {number} scale */
  constructor(head, names, weight, scale) {
    this.head = head;
    this.names = names;
    this.weight = weight;
    this.#scale = scale;
  }

  /** @param {Float32Array} features */
  logits(features) {
    const names = this.names.logits(features);
    return this.head.logits(features).map((value, i) => this.weight * value + (1 - this.weight) * names[i]);
  }

  tensors() {
    return this.head.tensors();
  }

  /** @param {Float32Array[][]} texts of other classes */
  newClasses(texts) {
    const others = this.head.newClasses(classValues(texts));
    return new Mixed(others, new Cosine(texts, this.#scale), this.weight, this.#scale);
  }

  dispose() {
    this.head.dispose();
  }
}

/** Heads whose columns stand beside each other. @implements {Answering} */
export class Beside {
  /** @param {Answering[]} heads @param {number[]} counts of columns */
  constructor(heads, counts) {
    this.heads = heads;
    this.counts = counts;
  }

  /** @param {Float32Array} features */
  logits(features) {
    const parts = this.heads.map((head) => head.logits(features));
    const total = this.counts.reduce((a, b) => a + b);
    const pictures = parts[0].length / this.counts[0];
    const out = new Float32Array(pictures * total);
    let first = 0;
    for (const [part, count] of this.counts.entries()) {
      for (let i = 0; i < pictures; i++) out.set(parts[part].subarray(i * count, (i + 1) * count), i * total + first);
      first += count;
    }
    return out;
  }

  dispose() {
    for (const head of this.heads) head.dispose();
  }
}

/**
 * Rows of every view, the plain one first, which stands for those that a picture has not.
 * @param {Pick<Facts, 'rows' | 'views'>} facts
 * @param {number} [most] views
 * @returns {Float32Array[][]} [views][pictures]
 */
export function viewsOf({ rows, views = [] }, most = Infinity) {
  const others = views.reduce((largest, { length }) => Math.max(largest, length), 0);
  const count = Math.min(most, 1 + others);
  return Array.from({ length: count }, (_, v) => (v ? rows.map((row, i) => views[i][v - 1] ?? row) : rows));
}

/** @param {Facts} facts @param {Recipe} recipe */
function optionsOf({ texts, rows, views, labels, projection, scale }, { head, settings, seed }) {
  const all = viewsOf({ rows, views }, HEADS[head].views);
  const pictures = { data: packed(all.flat()), dims: [all.length, rows.length, rows[0].length] };
  const before = HEADS[head].before ? { projection } : {};
  return { head, scale, classes: classValues(texts), pictures, labels, settings, seed, ...before };
}

/**
 * A head where it begins; trained by train() of it.
 * @param {import('../core/library.js').Library} library
 * @param {Facts} facts with pictures
 * @param {Recipe} recipe
 */
export const beginHead = (library, facts, recipe) => createHead(library, optionsOf(facts, recipe));

/**
 * A head that has learned; without pictures names alone answer.
 * @param {import('../core/library.js').Library} library
 * @param {Facts} facts
 * @param {Recipe} recipe
 * @param {{ onStep?: (progress: any) => boolean | void, signal?: AbortSignal }} [options] onStep: true ends training
 * @returns {Promise<import('../heads/heads.js').Head | Mixed | Cosine>}
 */
export async function fit(library, facts, recipe, { onStep, signal } = {}) {
  if (isNames(facts, recipe)) return new Cosine(facts.texts, facts.scale);
  const head = beginHead(library, facts, recipe);
  try {
    for (const progress of head.train()) {
      if (onStep?.(progress)) break;
      await nextTurn();
      signal?.throwIfAborted();
    }
    return mixed(head, facts, recipe);
  } catch (error) {
    head.dispose();
    throw error;
  }
}

/** Whether the names answer alone. @param {Facts} facts @param {Recipe} recipe */
const isNames = ({ rows }, { head, weight }) => head === 'none' || weight === 0 || !rows.length;

/**
 * A head that has learned, with its share.
 * @param {import('../heads/heads.js').Head} head
 * @param {Facts} facts
 * @param {Pick<Recipe, 'weight'>} recipe
 */
export function mixed(head, { texts, scale }, { weight = 1 }) {
  if (weight === 1) return head;
  const names = new Cosine(texts, scale);
  return weight ? new Mixed(head, names, weight, scale) : names;
}

/**
 * The same head again, from what one has learned; a closed form is made anew, which gives the same bits.
 * @param {import('../core/library.js').Library} library
 * @param {Facts} facts
 * @param {Recipe} recipe
 * @param {Record<string, { data: Float32Array, dims: number[] }>} tensors
 */
export function refit(library, facts, recipe, tensors) {
  if (isNames(facts, recipe)) return new Cosine(facts.texts, facts.scale);
  if (!HEADS[recipe.head].trained) return mixed(beginHead(library, facts, recipe), facts, recipe);
  const { pictures, ...options } = optionsOf(facts, recipe);
  const head = restoreHead(library, { ...options, pictures: pictures.dims[1], tensors });
  const missing = Object.keys(head.tensors()).find((name) => !Object.hasOwn(tensors, name));
  if (missing === undefined) return mixed(head, facts, recipe);
  head.dispose();
  throw new MudptError('argument', `has no tensor head.${missing}`);
}
