/**
 * Training runs. A job starts at once, tells of every step to whoever iterates over it, gives the event loop a turn
 * between steps, and ends with a classifier.
 */
import { Classifier, labelsOf } from './classifier.js';
import { MudptError } from './errors.js';
import { decodeImage, readImage } from './images.js';
import { METHODS, checkClasses, promptSentences, resolveSettings } from './methods.js';
import { nextTurn } from './platform.js';

/**
 * @typedef {object} TuneProgress
 * @property {number} epoch from 1
 * @property {number} epochs
 * @property {number} step from 1, of the whole run
 * @property {number} steps
 * @property {number} loss mean cross-entropy of the step's pictures, before its update
 * @property {number} learningRate
 * @property {number} etaMs time left, in milliseconds
 */

export class TuneJob {
  #stopped = false;
  #ended = false;
  /** @type {TuneProgress[]} every step so far */
  #steps = [];
  /** @type {(() => void)[]} wake those who wait for the next step */
  #waiting = [];

  /**
   * @param {import('./classifier.js').Model} model
   * @param {Record<string, any>} options
   */
  constructor(model, options) {
    /** Set when the run has ended with something trained, also where it ended because numbers were not finite. */
    this.classifier = /** @type {Classifier | null} */ (null);
    /** @type {Promise<Classifier>} */
    this.finished = this.#run(model, options).finally(() => {
      this.#ended = true;
      this.#wake();
    });
    // Whoever only iterates gets the error there.
    this.finished.catch(() => {});
  }

  /** Ends the run after the present step; what was trained so far is kept, and `finished` is fulfilled. */
  stop() {
    this.#stopped = true;
  }

  /** Every step from the first; ends with the run, or throws what ended it. @returns {AsyncGenerator<TuneProgress>} */
  async *[Symbol.asyncIterator]() {
    for (let next = 0; ; next++) {
      while (next === this.#steps.length && !this.#ended) {
        await /** @type {Promise<void>} */ (new Promise((resolve) => this.#waiting.push(resolve)));
      }
      if (next === this.#steps.length) break;
      yield this.#steps[next];
    }
    await this.finished;
  }

  #wake() {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  async #run(model, options) {
    await nextTurn();
    const { classes, examples, signal, ...rest } = options;
    signal?.throwIfAborted();
    const { core, clip, config, tokenizer, upright } = model;
    const names = checkClasses(classes);
    const { method, settings } = resolveSettings(rest, config);
    const chosen = sample(core, names, labelsOf(names, examples), settings);
    const { ids, phrase } = promptSentences(tokenizer, names, method, settings);

    const handle = core.classifierCreate(clip, { method, ...METHODS[method].sizes(settings, config) }, { ids });
    let trainer = 0;
    try {
      core.classifierInit(handle, settings.seed, phrase);
      const { batchSize: batch, learningRate: rate } = settings;
      trainer = core.trainerCreate(handle, { ...settings, batch, rate, upright });
      for (const { index, label } of chosen) {
        await addPicture(
          core,
          trainer,
          examples[index].image,
          label,
          `the picture of example ${index}`,
          upright,
          signal,
        );
        if (this.#stopped) break;
      }
      await this.#train(core, trainer, signal);
      this.classifier = new Classifier(model, handle, { method, classes: names, settings });
      return this.classifier;
    } catch (error) {
      if (error instanceof MudptError && error.code === 'not-finite')
        this.classifier = new Classifier(model, handle, { method, classes: names, settings });
      else core.classifierFree(handle);
      throw error;
    } finally {
      if (trainer) core.trainerFree(trainer);
    }
  }

  async #train(core, trainer, signal) {
    const start = performance.now();
    while (!this.#stopped) {
      await nextTurn();
      signal?.throwIfAborted();
      if (this.#stopped) return;
      const done = core.trainerStep(trainer);
      if (!done) return;
      const { epoch, epochs, step, steps, loss, rate: learningRate } = done;
      const etaMs = ((performance.now() - start) / step) * (steps - step);
      this.#steps.push({ epoch: epoch + 1, epochs, step, steps, loss, learningRate, etaMs });
      this.#wake();
    }
  }
}

/** Indices of the pictures to train on: at most `shots` of each class, all classes present. */
function sample(core, classes, labels, { shots, seed }) {
  const missing = classes.find((_, i) => !labels.includes(i));
  if (missing !== undefined) {
    throw new MudptError(
      'argument',
      `class "${missing}" has no example`,
      'give every class a picture, or leave it out',
    );
  }
  const indices = core.sampleShots(labels, classes.length, Math.min(shots, labels.length), seed);
  return Array.from(indices, (index) => ({ index, label: labels[index] }));
}

async function addPicture(core, trainer, image, label, name, upright, signal) {
  const picture = await readImage(image, name, signal);
  await nextTurn();
  signal?.throwIfAborted();
  if ('bytes' in picture) {
    try {
      return core.trainerAdd(trainer, picture.bytes, label);
    } catch (error) {
      if (!(error instanceof MudptError)) throw error;
      // A browser may know a format that the library does not.
      if (error.code !== 'image' || typeof createImageBitmap !== 'function') throw error.named(picture.name);
    }
  }
  const handle = await decodeImage(core, picture, upright);
  try {
    core.trainerAddImage(trainer, handle, label);
  } finally {
    core.imageFree(handle);
  }
}
