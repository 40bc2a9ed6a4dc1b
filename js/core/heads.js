/**
 * The library's heads: classifiers of features that were computed once. They need no model and live in a module of
 * their own: a library here is what startHeads() of heads-module.js gives.
 */
import { MudptError } from '../base/errors.js';
import * as structs from './structs.js';

const DONE = 1;

/**
 * @typedef {import('./library.js').Library} Library
 * @typedef {import('./structs.js').HeadConfig} HeadConfig
 * @typedef {import('./structs.js').Progress} Progress
 */

/** Bytes that a head takes, before anything is taken. @param {Library} library @param {HeadConfig} config */
export function headBytes({ memory, c }, config) {
  return memory.scoped((scratch) => {
    const method = scratch.putString(config.method);
    return memory.check(c._mudpt_head_bytes(scratch.putStruct(structs.HEAD_CONFIG, { ...config, method })));
  });
}

/** A handle, and the arrays it was made of as far as their sizes go. Everything given and taken is a copy. */
export class LibraryHead {
  #library;
  #handle;

  /** @param {Library} library @param {HeadConfig} config @param {number} handle */
  constructor(library, config, handle) {
    this.#library = library;
    this.#handle = handle;
    this.config = config;
    /** Values of a row of features. */
    this.rowWidth = config.before || config.width;
  }

  /**
   * @param {Library} library
   * @param {HeadConfig} config
   * @param {{ templates: Float32Array, projection?: Float32Array | null, features?: Float32Array | null,
   *   labels?: ArrayLike<number> | null }} arrays [K, C, e], [d_v, e], [V, N, d_v or e], [N]; without features its
   *   tensors are to be set
   */
  static create(library, config, { templates, projection, features, labels }) {
    const { classes, templates: count, width, before = 0, pictures, views } = config;
    expectLength('class features', templates, count * classes * width);
    if (projection) expectLength('the projection', projection, before * width);
    if (features) expectLength('picture features', features, pictures * views * (before || width));
    if (labels) expectLength('labels', labels, pictures);
    const { memory, c } = library;
    const handle = memory.scoped((scratch) => {
      const put = (array) => (array ? scratch.put(array) : 0);
      const at = scratch.putStruct(structs.HEAD_CONFIG, { ...config, method: scratch.putString(config.method) });
      const arrays = [put(templates), put(projection), put(features), put(labels && Int32Array.from(labels))];
      return memory.handle((out) => c._mudpt_head_create(at, ...arrays, out));
    });
    return new LibraryHead(library, config, handle);
  }

  get #at() {
    if (this.#handle && !this.#library.memory.disposed) return this.#handle;
    throw new MudptError('state', 'this head has been disposed of', 'make or import it again');
  }

  /** One of other classes. @param {Float32Array} templates [K, count, e] */
  createNew(templates) {
    const { memory, c } = this.#library;
    const { templates: each, width } = this.config;
    const classes = templates.length / (each * width);
    if (!Number.isInteger(classes)) expectLength('class features', templates, Math.ceil(classes) * each * width);
    const handle = memory.scoped((scratch) => {
      const at = scratch.put(templates);
      return memory.handle((out) => c._mudpt_head_create_new(this.#at, at, classes, out));
    });
    return new LibraryHead(this.#library, { ...this.config, classes, pictures: 0 }, handle);
  }

  /** @returns {import('./structs.js').Parameter[]} */
  parameters() {
    const { memory, c } = this.#library;
    return memory.scoped((scratch) => {
      const out = scratch.take(structs.PARAMETER.bytes);
      return Array.from({ length: c._mudpt_head_tensors(this.#at) }, (_, index) => {
        memory.check(c._mudpt_head_tensor(this.#at, index, out));
        const { name, dims, shape, ...rest } = structs.readStruct(structs.PARAMETER, memory.view, out);
        return /** @type {any} */ ({ name: memory.string(name), shape: shape.slice(0, dims), ...rest });
      });
    });
  }

  /** Values or gradients by name. @param {'value' | 'gradient'} [what] @returns {Map<string, Float32Array>} */
  values(what = 'value') {
    const there = this.parameters().filter((parameter) => parameter[what]);
    return new Map(there.map((p) => [p.name, this.#library.memory.floats(p[what], p.count).slice()]));
  }

  /** @param {Record<string, Float32Array>} values by name */
  set(values) {
    const parameters = new Map(this.parameters().map((p) => [p.name, p]));
    for (const [name, array] of Object.entries(values)) {
      const found = parameters.get(name);
      if (!found) throw new MudptError('argument', `there is no tensor ${name}`, [...parameters.keys()].join(', '));
      expectLength(`tensor ${name}`, array, found.count);
      this.#library.memory.floats(found.value, found.count).set(array);
    }
    this.#library.c._mudpt_head_changed(this.#at);
  }

  /** @param {ArrayLike<number>} [rows] the method's own where there are none; `count` then says how many they are */
  gradients(rows, count = rows?.length ?? 0) {
    const { memory, c } = this.#library;
    const { classes } = this.config;
    return memory.scoped((scratch) => {
      const [loss, logits] = [scratch.take(4), scratch.take(count * classes * 4)];
      const at = rows ? scratch.put(Int32Array.from(rows)) : 0;
      memory.check(c._mudpt_head_gradients(this.#at, at, rows ? count : 0, loss, count ? logits : 0));
      return { loss: memory.floats(loss, 1)[0], logits: memory.floats(logits, count * classes).slice() };
    });
  }

  /** One step; null behind the last. @param {ArrayLike<number>} [rows] @returns {Progress | null} */
  step(rows) {
    const { memory, c } = this.#library;
    return memory.scoped((scratch) => {
      const out = scratch.take(structs.PROGRESS.bytes);
      const at = rows ? scratch.put(Int32Array.from(rows)) : 0;
      const code = memory.check(c._mudpt_head_step(this.#at, at, rows?.length ?? 0, out));
      return code === DONE ? null : /** @type {any} */ (structs.readStruct(structs.PROGRESS, memory.view, out));
    });
  }

  /** @param {Float32Array} features as they leave the tower, [count, width of a row] @returns {Float32Array} */
  logits(features) {
    const { memory, c } = this.#library;
    const count = features.length / this.rowWidth;
    if (!Number.isInteger(count)) expectLength('features', features, Math.ceil(count) * this.rowWidth);
    return memory.scoped((scratch) => {
      const at = scratch.put(features);
      return memory.floatsFrom(count * this.config.classes, (out) => c._mudpt_head_logits(this.#at, at, count, out));
    });
  }

  dispose() {
    if (this.#handle && !this.#library.memory.disposed) this.#library.c._mudpt_head_free(this.#handle);
    this.#handle = 0;
  }
}

/** @param {string} what @param {ArrayLike<number>} array @param {number} expected */
function expectLength(what, array, expected) {
  if (array.length === expected) return;
  throw new MudptError('argument', `${what}: ${array.length} values, where ${expected} were expected`);
}
