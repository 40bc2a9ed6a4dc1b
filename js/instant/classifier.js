/**
 * A classifier that keeps what it learned from: features of its pictures, computed once. So it learns while one looks:
 * a picture more or less, or another label, costs one pass of the tower at most, and its head is made anew when it is
 * asked the next time.
 *
 * It lives where the library was called, and works on the public interface of a model, which may be in a worker.
 */
import { MudptError, checkOptions, listOf } from '../base/errors.js';
import { isMany } from '../base/kinds.js';
import { judging } from '../classifier/judging.js';
import { checkMeasured, checkTopK, labelsOf, ranked } from '../classifier/labels.js';
import { argmax, measure, softmax } from '../classifier/metrics.js';
import { HEADS } from '../heads/heads.js';
import { checkClasses, requireDistinct } from '../methods/classes.js';
import { Beside, Cosine, Mixed, classValues, fit, refit } from './fit.js';
import { writeInstant } from './saved.js';
import { packed } from './source.js';

/**
 * @typedef {import('./choose.js').HeldOut} HeldOut
 * @typedef {import('./fit.js').Facts} Facts
 * @typedef {import('./fit.js').Answering} Answering
 * @typedef {import('../core/library.js').Library} Library
 *
 * @typedef {object} Parts
 * @property {import('./source.js').Source} source
 * @property {Library} library of heads
 * @property {string[]} classes
 * @property {Facts} facts
 * @property {import('./fit.js').Recipe} recipe
 * @property {number} [trained] how many of the classes the head has seen; the others have their names alone
 * @property {HeldOut[]} [heldOut] what chose the head
 */

const looking = () => import('./looking.js');

/** Heads that nobody has any more. */
const forgotten = new FinalizationRegistry((/** @type {Answering} */ head) => head.dispose());

export class InstantClassifier {
  #source;
  #library;
  #classes;
  #facts;
  #recipe;
  #trained;
  /** What answers, once it is made; null where something has changed. @type {Promise<Answering> | null} */
  #made;
  /** How surely a picture shows none of the classes. @type {((row: Float32Array) => number) | null} */
  #unknown = null;
  /** Changes are made one after the other, in the order they were asked for. @type {Promise<unknown>} */
  #last = Promise.resolve();
  #disposed = false;

  /** @param {Parts} parts @param {Answering | null} [made] a head of these facts */
  constructor({ source, library, classes, facts, recipe, trained = classes.length, heldOut = [] }, made = null) {
    /** What each candidate named of pictures that it had not seen; empty where nothing was chosen. */
    this.heldOut = heldOut;
    this.#source = source;
    this.#library = library;
    this.#classes = classes;
    this.#facts = facts;
    this.#recipe = recipe;
    this.#trained = trained;
    this.#made = made && this.#own(Promise.resolve(made));
  }

  get classes() {
    return [...this.#classes];
  }

  /** What trained its prompts, if anything did; otherwise its head. */
  get method() {
    const { method } = this.#source.base;
    return method === 'zeroshot' ? (this.head ?? method) : method;
  }

  get settings() {
    return this.#source.base.settings ?? (this.head && { seed: this.#recipe.seed });
  }

  get head() {
    return this.#recipe.head === 'none' ? null : this.#recipe.head;
  }

  /** The head's share beside what the names say. */
  get weight() {
    return this.head ? (this.#recipe.weight ?? 1) : 0;
  }

  /** But for those that follow from the pictures. */
  get headSettings() {
    const { head, settings } = this.#recipe;
    if (head === 'none') return null;
    const fixed = Object.entries(HEADS[head].defaults).filter(([, value]) => Number.isFinite(value));
    return { ...Object.fromEntries(fixed), ...settings };
  }

  /** What it learns from: a label a picture. */
  get labels() {
    return this.#facts.labels.map((label) => this.#classes[label]);
  }

  /** @param {Promise<Answering>} made */
  #own(made) {
    made.then(
      (head) => forgotten.register(this, head, head),
      () => {
        if (this.#made === made) this.#made = null; // to be tried again
      },
    );
    return made;
  }

  get #before() {
    return Boolean(HEADS[this.#recipe.head]?.before);
  }

  #requireThere() {
    if (!this.#disposed) return;
    throw new MudptError('state', 'this classifier has been disposed of', 'make or import it again');
  }

  /** @returns {Promise<Answering>} */
  #ready() {
    this.#made ??= this.#own(fit(this.#library, this.#facts, this.#recipe));
    return this.#made;
  }

  /** What was made is of something else now. */
  #changed() {
    // Whoever waits for it now comes first.
    this.#made?.then(release, () => {});
    this.#made = null;
    this.#unknown = null;
    this.#trained = this.#classes.length;
  }

  /** @template T @param {() => Promise<T>} change @returns {Promise<T>} */
  #inTurn(change) {
    const done = this.#last.then(() => {
      this.#requireThere();
      return change();
    });
    this.#last = done.catch(() => {});
    return done;
  }

  /** @param {Float32Array[]} rows @returns {Promise<Float32Array[]>} logits of each */
  async #logits(rows) {
    this.#requireThere();
    // Of the classes that this head is made of: some may be added while it is.
    const count = this.#classes.length;
    const head = await this.#ready();
    const logits = head.logits(packed(rows));
    return rows.map((_, i) => logits.slice(i * count, (i + 1) * count));
  }

  /**
   * @param {any} given a picture, or several
   * @param {Record<string, any>} [options] see types.d.ts
   */
  async classify(given, options = {}) {
    const many = isMany(given);
    const more = many ? ['onProgress', 'onBroken'] : [];
    checkOptions(options, ['topK', 'scores', 'none', 'transfer', 'signal', ...more]);
    const { topK = 5, scores: kind = 'softmax', none = false, ...rest } = options;
    checkTopK(topK);
    if (kind !== 'softmax')
      throw new MudptError('argument', `scores cannot be ${kind} here`, 'leave it out: a model has no bias for heads');
    this.#requireThere();
    const pictures = many ? [...given] : [given];
    const { rows, places } = await this.#readable(pictures, rest);
    await this.#last;
    const part = none ? await looking() : null;
    const classes = this.#classes;
    const logits = rows.length ? await this.#logits(rows) : [];
    const unknown = part && rows.length ? (this.#unknown ??= part.unknownOf(this.#facts)) : null;
    const all = /** @type {any[]} */ (pictures.map(() => null));
    rows.forEach((row, i) => {
      const answers = ranked(classes, softmax(logits[i]), topK);
      all[places[i]] = unknown ? Object.assign(answers, { none: unknown(row) }) : answers;
    });
    return many ? all : all[0];
  }

  /**
   * Rows of those pictures that can be read, and their places among all.
   * @param {any[]} pictures
   * @param {Record<string, any>} options of embedImages
   * @param {'pictures' | 'examples'} [list] what they are called to who is told of broken ones
   */
  async #readable(pictures, { onBroken, ...rest }, list = 'pictures') {
    const gone = new Set();
    const told = (broken) => {
      gone.add(broken.index);
      onBroken({ ...broken, list });
    };
    const asked = { ...rest, onBroken: typeof onBroken === 'function' ? told : onBroken };
    const rows = await this.#source.rows(pictures, this.#before, asked);
    return { rows, places: pictures.map((_, i) => i).filter((i) => !gone.has(i)) };
  }

  /**
   * Which pictures to label next: unsure ones, that differ from each other and from what is known, and stand for many.
   * @param {any[]} pictures
   * @param {number} [count]
   * @param {Record<string, any>} [options] of embedImages
   */
  async suggest(pictures, count = 1, options = {}) {
    checkOptions(options, ['onProgress', 'onBroken', 'transfer', 'signal']);
    this.#requireThere();
    if (!(Number.isInteger(count) && count >= 1))
      throw new MudptError('argument', `count is ${count}, expected a whole number from 1`);
    const { rows, places } = await this.#readable(listOf(pictures, 'pictures', 'a picture'), options);
    await this.#last;
    const { suggestAmong } = await looking();
    const scores = (await this.#logits(rows)).map(softmax);
    return suggestAmong(this.#facts, rows, scores, count).map(({ at, unsure }) => ({ index: places[at], unsure }));
  }

  /**
   * Which labels look wrong, the likeliest first.
   * @param {Record<string, any>} [options]
   */
  async audit(options = {}) {
    checkOptions(options, ['onProgress', 'signal']);
    return this.#inTurn(async () => (await looking()).auditOf(this.#facts, this.#classes, options));
  }

  /**
   * @param {import('../classifier/classifier.js').Example[]} examples
   * @param {Record<string, any>} [options] as of any classifier
   */
  async evaluate(examples, options = {}) {
    checkOptions(options, ['onProgress', 'onBroken', 'transfer', 'signal']);
    this.#requireThere();
    const labels = labelsOf(this.#classes, examples);
    checkMeasured(this.#classes);
    const images = examples.map(({ image }) => image);
    const { rows, places } = await this.#readable(images, options, 'examples');
    await this.#last;
    const measured = places.map((i) => labels[i]);
    const logits = await this.#logits(rows);
    const best = logits.map(argmax);
    const scores = logits.map((each, i) => softmax(each)[best[i]]);
    return measure(this.#classes, measured, best, scores);
  }

  /**
   * Logits of pictures, null for those that cannot be read. Not for others.
   * @param {any[]} images
   * @param {{ signal?: AbortSignal }} options
   */
  async logitsOf(images, options) {
    const gone = new Set();
    const onBroken = ({ index }) => gone.add(index);
    const rows = await this.#source.rows(images, this.#before, { ...options, onBroken });
    const found = await this.#logits(rows);
    return images.map((_, i) => (gone.has(i) ? null : found.splice(0, 1)[0]));
  }

  /**
   * Learns a picture.
   * @param {any} image
   * @param {string | number} label
   * @param {{ transfer?: boolean, signal?: AbortSignal }} [options]
   * @returns {Promise<number>} its place in `labels`
   */
  async add(image, label, options = {}) {
    checkOptions(options, ['transfer', 'signal']);
    this.#requireThere();
    const rows = this.#source.rows([image], this.#before, options);
    rows.catch(() => {});
    return this.#inTurn(async () => {
      const index = this.#labelOf(label);
      const [row] = await rows;
      this.#facts.rows.push(row);
      this.#facts.views?.push([]);
      this.#changed();
      return this.#facts.labels.push(index) - 1;
    });
  }

  /** Forgets a picture; those behind it move up. @param {number} index in `labels` */
  async remove(index) {
    return this.#inTurn(async () => {
      this.#checkIndex(index);
      this.#facts.rows.splice(index, 1);
      this.#facts.views?.splice(index, 1);
      this.#facts.labels.splice(index, 1);
      this.#changed();
    });
  }

  /** Gives a picture another label. @param {number} index in `labels` @param {string | number} label */
  async correct(index, label) {
    return this.#inTurn(async () => {
      this.#checkIndex(index);
      this.#facts.labels[index] = this.#labelOf(label);
      this.#changed();
    });
  }

  /** Calls a class something else, which the text tower reads. @param {string | number} label @param {string} name */
  async rename(label, name) {
    return this.#inTurn(async () => {
      const index = this.#labelOf(label);
      const classes = [...this.#classes];
      checkClasses([name]);
      classes[index] = name;
      requireDistinct(classes);
      const [texts] = await this.#source.texts([name]);
      this.#classes = classes;
      this.#facts.texts[index] = texts;
      this.#changed();
    });
  }

  /** More classes, that learn from pictures to come. @param {string[]} names */
  async addClasses(names) {
    return this.#inTurn(async () => {
      const classes = checkClasses([...this.#classes, ...checkClasses(names)]);
      const texts = await this.#source.texts(classes, undefined, this.#classes.length);
      this.#classes = classes;
      this.#facts.texts.push(...texts);
      this.#changed();
    });
  }

  /** @param {string | number} label */
  #labelOf(label) {
    return labelsOf(this.#classes, [{ label }])[0];
  }

  /** @param {number} index */
  #checkIndex(index) {
    const { length } = this.#facts.rows;
    if (Number.isInteger(index) && index >= 0 && index < length) return;
    const have = length ? `0 to ${length - 1}` : 'none, as there are no pictures';
    throw new MudptError('argument', `there is no picture ${index}; expected ${have}`);
  }

  /**
   * A classifier of some more classes, without training: what answers for the present ones stays as it is, to the bit.
   * @param {string[]} names
   * @param {{ signal?: AbortSignal }} [options]
   */
  async withClasses(names, options = {}) {
    checkOptions(options, ['signal']);
    const { signal } = options;
    signal?.throwIfAborted();
    return this.#inTurn(async () => {
      const classes = checkClasses([...this.#classes, ...checkClasses(names)]);
      const source = await this.#source.again();
      try {
        const more = await source.texts(classes, signal, this.#classes.length);
        const facts = { ...this.#facts, texts: [...this.#facts.texts, ...more] };
        facts.rows = [...facts.rows];
        facts.views &&= [...facts.views];
        facts.labels = [...facts.labels];
        const parts = { source, library: this.#library, classes, facts, recipe: this.#recipe, trained: this.#trained };
        return new InstantClassifier(parts, besideNew(parts, (await this.#tensors()) ?? {}));
      } catch (error) {
        await source.dispose();
        throw error;
      }
    });
  }

  /** What the head has learned. */
  async #tensors() {
    const head = /** @type {any} */ (await this.#ready());
    return (head.heads?.[0] ?? head).tensors?.();
  }

  /**
   * The classifier as a file, with the features that it learned from.
   * @param {{ raw?: boolean }} [options] raw: of a tuned one, with its parameters as they were trained
   * @returns {Promise<Uint8Array>}
   */
  async export(options = {}) {
    checkOptions(options, ['raw']);
    return this.#inTurn(async () => {
      const tensors = await this.#tensors();
      const [classes, facts, recipe, trained] = [this.#classes, this.#facts, this.#recipe, this.#trained];
      return writeInstant(await this.#source.base.export(options), { classes, facts, recipe, trained, tensors });
    });
  }

  /** @param {Iterable<any>} pictures @param {Record<string, any>} [options] as of clip.embedImages() */
  async embedImages(pictures, options) {
    return this.#source.base.embedImages(pictures, options);
  }

  /** @param {any} image @param {{ transfer?: boolean, signal?: AbortSignal }} [options] */
  async attention(image, options) {
    return this.#source.base.attention(image, options);
  }

  /** @param {{ topK?: number }} [options] */
  async nearestWords(options) {
    return this.#source.base.nearestWords(options);
  }

  async dispose() {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#made?.then(release, () => {});
    await this.#source.dispose();
  }
}

judging(InstantClassifier.prototype);

/** @param {Answering} head */
function release(head) {
  forgotten.unregister(head);
  head.dispose();
}

/**
 * What answers for classes that the head has seen, from what it has learned, and for others by their names.
 * @param {{ library: Library, classes: string[], facts: Facts, recipe: import('./fit.js').Recipe, trained: number }}
 *   parts
 * @param {Record<string, import('../heads/heads.js').Values>} tensors
 * @returns {Answering}
 */
export function besideNew({ library, classes, facts, recipe, trained }, tensors) {
  const old = refit(library, { ...facts, texts: facts.texts.slice(0, trained) }, recipe, tensors);
  const more = classes.length - trained;
  if (!more) return old;
  const fresh = facts.texts.slice(trained);
  try {
    const others =
      old instanceof Cosine
        ? new Cosine(fresh, facts.scale)
        : old.newClasses(old instanceof Mixed ? fresh : /** @type {any} */ (classValues(fresh)));
    return new Beside([old, others], [trained, more]);
  } catch (error) {
    old.dispose();
    throw error;
  }
}
