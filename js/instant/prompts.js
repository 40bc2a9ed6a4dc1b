/**
 * Prompts, then a head: a run of a prompt method whose classifier gets a head on the features of its tuned tower, mixed
 * with what the tuned prompts say of the classes. Pictures that the run has not seen decide what is taken: prompts
 * alone, the head, both, or the instant answer, which needs no prompts.
 */
import { MudptError } from '../base/errors.js';
import { labelsOf } from '../classifier/labels.js';
import { argmax } from '../classifier/metrics.js';
import { HEADS } from '../heads/heads.js';
import { isBetter } from './choose.js';
import { InstantClassifier } from './classifier.js';
import { drawer } from './draw.js';
import { fit, mixed } from './fit.js';
import { InstantJob, VIEWS, checkHead, checkViews, heads, readShots } from './job.js';
import { TunedSource } from './source.js';

/** Shares of the head that are tried; the first is what is taken where nothing else is surely better. */
const WEIGHTS = [1, 0.5, 0];
/** Of the head where it is not named. */
const HEAD = 'tip-f';

export class PromptsJob {
  #job;
  /** Ends the making of the head. */
  #end = new AbortController();
  #isTrained = false;

  /**
   * @param {any} clip
   * @param {(options: any) => any} tune starts the run
   * @param {Record<string, any>} options
   * @param {string | URL} [assetsUrl]
   */
  constructor(clip, tune, options, assetsUrl) {
    const { head, views, onProgress: _, ...rest } = options;
    checkHead(head);
    checkViews(views);
    if (options.transfer)
      throw new MudptError('argument', 'transfer gives the pictures away, and a head reads them again', 'leave it out');
    this.classifier = /** @type {any} */ (null);
    this.#job = tune(rest);
    this.finished = this.#finish(clip, options, assetsUrl);
    this.finished.catch(() => {});
  }

  stop() {
    if (this.#isTrained) this.#end.abort();
    else this.#job.stop();
  }

  async checkpoint() {
    return this.#job.checkpoint();
  }

  async *[Symbol.asyncIterator]() {
    yield* this.#job;
    await this.finished;
  }

  /** @param {any} clip @param {Record<string, any>} options @param {string | URL} [assetsUrl] */
  async #finish(clip, options, assetsUrl) {
    const tuned = await this.#job.finished.catch((error) => {
      this.classifier = this.#job.classifier;
      throw error;
    });
    this.#isTrained = true;
    const { signal } = options;
    const end = () => this.#end.abort(signal.reason);
    if (signal?.aborted) end();
    signal?.addEventListener('abort', end);
    try {
      this.classifier = await withHead(clip, tuned, { ...options, signal: this.#end.signal }, assetsUrl);
      return this.classifier;
    } catch (error) {
      this.classifier = tuned; // what was trained is not lost
      if (this.#end.signal.aborted && !signal?.aborted) return tuned;
      throw error;
    } finally {
      signal?.removeEventListener('abort', end);
    }
  }
}

/**
 * @param {any} clip
 * @param {any} tuned which the result owns
 * @param {Record<string, any>} options of the run
 * @param {string | URL} [assetsUrl]
 */
async function withHead(clip, tuned, options, assetsUrl) {
  const { examples, validation, views = VIEWS, onProgress, signal } = options;
  const { classes, settings } = tuned;
  const { shots, seed } = settings;
  const labels = labelsOf(classes, examples);
  const source = new TunedSource(clip, tuned);
  const texts = await source.texts(classes, signal);
  const head = options.head === 'auto' ? HEAD : options.head;
  const before = Boolean(HEADS[head].before);
  // Whatever cannot be read was told by the run.
  const quiet = options.onBroken && { onBroken: () => {} };
  const {
    places,
    labels: seen,
    ...drawn
  } = await readShots(source, before, classes, labels, {
    ...{ examples, shots, seed, views, onProgress, signal },
    ...quiet,
  });
  const library = await heads(assetsUrl);
  const projection = before ? await source.projection() : undefined;
  const facts = { texts, ...drawn, labels: seen, projection, scale: source.scale };
  const recipe = { head, settings: {}, seed };
  const held = heldOf({ examples, labels, places, validation, classes, shots, seed });
  const made = /** @type {any} */ (await fit(library, facts, recipe, { signal }));
  const parts = { source, library, classes, facts };
  if (options.head !== 'auto' || !held.length) return new InstantClassifier({ ...parts, recipe }, made);

  /** @type {any} */
  let instant = null;
  try {
    const images = held.map(({ image }) => image);
    /** @param {(Float32Array | null)[]} logits of what could be read: nothing else is named rightly */
    const rightOf = (logits) =>
      held.map(({ label }, i) => {
        const row = logits[i];
        return row !== null && argmax(row) === label;
      });
    const ours = await readHeld(source, images, signal);
    /** @type {{ head: string, weight: number, right: boolean[], instant?: InstantClassifier }[]} */
    const candidates = WEIGHTS.map((weight) => {
      const answering = mixed(made, facts, { weight });
      const right = rightOf(ours.map((row) => row && answering.logits(row)));
      return { head: weight ? head : 'none', weight, right };
    });
    const named = { preset: 'instant', classes, examples, shots, seed, views, onProgress, signal, ...quiet };
    instant = await new InstantJob(clip, named, assetsUrl).finished;
    const right = rightOf(await instant.logitsOf(images, { signal }));
    candidates.push({ head: instant.head ?? 'none', weight: 1, instant, right });
    const best = candidates.reduce((a, b) => (isBetter(b.right, a.right) ? b : a));
    const heldOut = candidates.map((each) => ({
      method: each.instant ? 'zeroshot' : tuned.method,
      ...{ head: each.head, weight: each.weight },
      accuracy: each.right.filter(Boolean).length / held.length,
    }));
    if (best.instant) {
      made.dispose();
      await tuned.dispose();
      return Object.assign(best.instant, { heldOut });
    }
    await instant.dispose();
    const { weight } = best;
    const answering = mixed(made, facts, { weight });
    if (!weight) made.dispose();
    const taken = { ...recipe, head: weight ? head : 'none', weight: weight || 1 };
    return new InstantClassifier({ ...parts, recipe: taken, heldOut }, answering);
  } catch (error) {
    made.dispose();
    await instant?.dispose();
    throw error;
  }
}

/**
 * Features of pictures by the tuned tower; null of one that cannot be read.
 * @param {TunedSource} source
 * @param {any[]} images
 * @param {AbortSignal} [signal]
 */
async function readHeld(source, images, signal) {
  const gone = new Set();
  const rows = await source.rows(images, false, { onBroken: ({ index }) => gone.add(index), signal });
  const found = rows.values();
  return images.map((_, i) => (gone.has(i) ? null : /** @type {Float32Array} */ (found.next().value)));
}

/**
 * Pictures to decide by: those that the run was given for it, else of those that it has not trained on as many a class.
 * @returns {{ image: any, label: number }[]}
 */
function heldOf({ examples, labels, places, validation, classes, shots, seed }) {
  if (Array.isArray(validation)) {
    const given = labelsOf(classes, validation);
    return validation.map(({ image }, i) => ({ image, label: given[i] }));
  }
  const seen = new Set(places);
  const rest = labels.map((_, i) => i).filter((i) => !seen.has(i));
  const some = drawer.sampleShots(
    rest.map((i) => labels[i]),
    classes.length,
    shots,
    seed,
  );
  return some.map((at) => ({ image: examples[rest[at]].image, label: labels[rest[at]] }));
}
