/**
 * tune({ preset: 'instant' }): pictures go through the tower once, and a head learns from their features, which takes
 * seconds at most. The run has the shape of every other: it starts at once, tells of its steps, ends with a classifier.
 */
import { MudptError, bytesOf, checkOptions } from '../base/errors.js';
import { MOST_SEED, MOST_VIEWS } from '../base/limits.js';
import { nextTurn } from '../base/platform.js';
import { labelsOf } from '../classifier/labels.js';
import { requireIntegrity } from '../files/sha256.js';
import { HEADS, startHeads } from '../heads/heads.js';
import { checkClasses, requireDistinct } from '../methods/classes.js';
import { BrokenPictures } from '../pictures/broken.js';
import { drawShots } from '../training/shots.js';
import { Steps } from '../training/steps.js';
import { CANDIDATES, chooseHead } from './choose.js';
import { InstantClassifier, besideNew } from './classifier.js';
import { drawer } from './draw.js';
import { fit } from './fit.js';
import { asDamage, openInstant, readInstant } from './saved.js';
import { Source, TunedSource, plainSource } from './source.js';

const OPTIONS = [
  ...['preset', 'classes', 'examples', 'head', 'headSettings', 'goal', 'shots', 'views', 'seed', 'template'],
  ...['templates', 'onProgress', 'onBroken', 'transfer', 'signal'],
];
/** Of each picture, where a run has time for more than one. */
export const VIEWS = 10;
/** As of the methods that train. */
const SHOTS = 16;

/** @type {Promise<import('../core/library.js').Library> | null} */
let library = null;

/** The module of heads, which all classifiers share. @param {string | URL} [assetsUrl] */
export function heads(assetsUrl) {
  library ??= startHeads(assetsUrl).catch((error) => {
    library = null;
    throw error;
  });
  return library;
}

const refuse = (name, value, expected) =>
  new MudptError('argument', `${name} is ${typeof value === 'string' ? `"${value}"` : value}, expected ${expected}`);

/** @param {unknown} head */
export function checkHead(head) {
  if (head === 'auto' || head === 'none' || (typeof head === 'string' && Object.hasOwn(HEADS, head))) return;
  throw refuse('head', head, ['auto', 'none', ...Object.keys(HEADS)].join(', '));
}

/** @param {unknown} views */
export function checkViews(views) {
  if (views === undefined || (Number.isInteger(views) && Number(views) >= 1 && Number(views) <= MOST_VIEWS)) return;
  throw refuse('views', views, `a whole number from 1 to ${MOST_VIEWS}`);
}

/** Where there is none, and one view is as good as none. @param {number} [views] */
export function requireHead(views) {
  if (views === undefined || views === 1) return;
  throw new MudptError('argument', 'views are what a head learns from, and there is none', 'name one, as head: "auto"');
}

/** @param {Record<string, any>} options */
function checked(options) {
  checkOptions(options, OPTIONS);
  const { classes, examples, head = 'auto', headSettings, goal = 'accuracy', shots = SHOTS, seed = 1 } = options;
  const { views = 1 } = options;
  checkHead(head);
  if (typeof goal !== 'string' || !Object.hasOwn(CANDIDATES, goal))
    throw refuse('goal', goal, Object.keys(CANDIDATES).join(' or '));
  if (shots !== Infinity && !(Number.isInteger(shots) && shots >= 1))
    throw refuse('shots', shots, 'a whole number from 1, or Infinity');
  checkViews(views);
  if (head === 'none') requireHead(options.views);
  if (!(Number.isInteger(seed) && seed >= 0 && seed <= MOST_SEED))
    throw refuse('seed', seed, `a whole number from 0 to ${MOST_SEED}`);
  if (headSettings !== undefined && (head === 'auto' || head === 'none'))
    throw new MudptError('argument', `headSettings belong to a head, and head is "${head}"`, 'name one');
  if (options.template !== undefined && options.templates !== undefined)
    throw new MudptError('argument', 'template and templates are given', 'leave out one of them');
  const names = checkClasses(classes);
  requireDistinct(names);
  if (names.length < 2) throw new MudptError('argument', 'one class has nothing to be told apart from', 'give two');
  const templates = options.template === undefined ? options.templates : [options.template];
  return { names, labels: labelsOf(names, examples), head, headSettings, goal, shots, views, seed, templates };
}

/** @typedef {import('../training/tune.js').TuneProgress} TuneProgress */

export class InstantJob {
  #stopped = false;
  /** @type {Steps<TuneProgress>} */
  #steps = new Steps();

  /** @param {any} clip @param {Record<string, any>} options @param {string | URL} [assetsUrl] */
  constructor(clip, options, assetsUrl) {
    this.classifier = /** @type {InstantClassifier | null} */ (null);
    /** @type {Promise<InstantClassifier>} */
    this.finished = this.#run(clip, options, assetsUrl).finally(() => this.#steps.end());
    this.finished.catch(() => {});
  }

  /** Ends training; what there is answers. */
  stop() {
    this.#stopped = true;
  }

  async checkpoint() {
    throw new MudptError('state', 'an instant answer has no checkpoint', 'it is there again as soon');
  }

  async *[Symbol.asyncIterator]() {
    yield* this.#steps;
    await this.finished;
  }

  async #run(clip, options, assetsUrl) {
    await nextTurn();
    const { names, labels, head: asked, headSettings, goal, shots, views, seed, templates } = checked(options);
    const { examples, signal } = options;
    signal?.throwIfAborted();
    const making = heads(assetsUrl);
    making.catch(() => {}); // told where it is waited for
    const source = await plainSource(clip, names, templates, signal);
    try {
      const texts = await source.texts(names, signal);
      const candidates = asked === 'auto' ? CANDIDATES[goal] : [asked];
      /** Facts for heads that see features before the projection, and for those that see them behind it. */
      const facts = new Map();
      for (const before of [false, true]) {
        if (!candidates.some((name) => Boolean(HEADS[name]?.before) === before)) continue;
        const wanted = { ...options, shots, seed, views };
        const { places: _, ...drawn } = await readShots(source, before, names, labels, wanted);
        const projection = before ? await source.projection() : undefined;
        facts.set(before, { texts, ...drawn, projection, scale: source.scale });
      }
      const factsFor = (name) => facts.get(Boolean(HEADS[name]?.before));
      const module = await making;
      const { head, heldOut } = await chooseHead(module, factsFor, candidates, {
        ...{ seed, settings: headSettings, signal },
        isStopped: () => this.#stopped,
      });
      const recipe = { head, settings: headSettings ?? {}, seed };
      const begun = performance.now();
      const onStep = ({ epoch, epochs, step, steps, loss, rate }) => {
        const etaMs = ((performance.now() - begun) / step) * (steps - step);
        this.#steps.push({ epoch: epoch + 1, epochs, step, steps, loss, learningRate: rate, etaMs });
        return this.#stopped;
      };
      const made = await fit(module, factsFor(head), recipe, { onStep, signal });
      const parts = { source, library: module, classes: names, facts: factsFor(head), recipe, heldOut };
      this.classifier = new InstantClassifier(parts, made);
      return this.classifier;
    } catch (error) {
      await source.dispose();
      throw error;
    }
  }
}

/**
 * Features of the pictures that are learned from, and of more views of them: drawn among those that can be read.
 * @param {import('./source.js').Source} source
 * @param {boolean} before
 * @param {string[]} classes
 * @param {number[]} labels of all examples
 * @param {Record<string, any>} options
 */
export async function readShots(source, before, classes, labels, options) {
  const { examples, shots, seed, views = 1, onProgress, transfer, signal } = options;
  if (!examples.length) return { rows: [], labels: [], places: [] };
  const broken = new BrokenPictures(options.onBroken);
  /** By their places among the examples; null: it cannot be read. @type {Map<number, Float32Array[] | null>} */
  const read = new Map();
  for (;;) {
    const rest = labels.map((_, i) => i).filter((i) => read.get(i) !== null);
    const some = rest.map((i) => labels[i]);
    const drawing = /** @type {any} */ (drawer);
    const readable = rest.length < labels.length;
    const chosen = drawShots(drawing, classes, some, { shots, seed, readable }).train.map((at) => rest[at]);
    const fresh = chosen.filter((i) => !read.has(i));
    if (!fresh.length) {
      const rows = chosen.map((i) => /** @type {Float32Array[]} */ (read.get(i)));
      const others = views > 1 ? { views: rows.map((of) => of.slice(1)) } : {};
      return { rows: rows.map(([row]) => row), ...others, labels: chosen.map((i) => labels[i]), places: chosen };
    }
    const onBroken = ({ index, code, message, hint }) => {
      const place = fresh[index];
      const what = message.replace(/^picture \d+/, `the picture of example ${place}`);
      const error = Object.assign(new MudptError(code, what), { hint });
      if (code === 'network' && !options.onBroken) throw error;
      broken.add(error, place);
      read.set(place, null);
    };
    const images = fresh.map((i) => examples[i].image);
    const rows = await source.views(images, before, { views, seed }, { onProgress, onBroken, transfer, signal });
    broken.settle();
    const whole = fresh.filter((i) => !read.has(i));
    whole.forEach((i, at) => read.set(i, rows[at]));
  }
}

/**
 * A classifier from a file that has a head.
 * @param {any} clip
 * @param {Uint8Array | ArrayBuffer} bytes
 * @param {{ name?: string, integrity?: string, signal?: AbortSignal }} options
 * @param {unknown} refused what was thrown by those who know no heads
 * @param {string | URL} [assetsUrl]
 */
export async function importInstant(clip, bytes, options = {}, refused, assetsUrl) {
  const { name = 'the classifier file', integrity, signal } = options;
  const given = bytesOf(bytes, name);
  requireIntegrity(given, integrity, name);
  const opened = openInstant(given, name);
  if (!opened) throw refused;
  const { file, base, head } = opened;
  const own = await clip.import(base, { name, signal });
  try {
    const { templates, recipe, trained, tensors, classes, ...known } = readInstant(file, head, clip.info);
    const source = own.method === 'zeroshot' ? new Source(clip, own, templates) : new TunedSource(clip, own);
    const facts = { ...known, scale: source.scale };
    if (HEADS[recipe.head]?.before) Object.assign(facts, { projection: await source.projection() });
    const parts = { source, library: await heads(assetsUrl), classes, facts, recipe, trained };
    let made;
    try {
      made = besideNew(parts, tensors);
    } catch (error) {
      throw asDamage(file, error);
    }
    return new InstantClassifier(parts, made);
  } catch (error) {
    await own.dispose();
    throw error;
  }
}
