/**
 * Training runs. A job starts at once, tells of every step to whoever iterates over it, gives the event loop a turn
 * between steps, and ends with a classifier.
 */
import { MudptError, requireOptions } from '../base/errors.js';
import { nextTurn } from '../base/platform.js';
import { Classifier } from '../classifier/classifier.js';
import { giveTeacher } from '../classifier/teacher.js';
import { WARMUP_RATE } from '../core/core.js';
import { checkClasses, requireDistinct } from '../methods/classes.js';
import { promptSentences } from '../methods/sentences.js';
import { resolveSettings, trainedSizes } from '../methods/settings.js';
import { decodeImage, readImage } from '../pictures/images.js';
import { Checkpoint, writeCheckpoint } from './checkpoint.js';
import { Choice } from './choice.js';
import { checkPlan, requireMemory } from './memory-plan.js';
import { Steps } from './steps.js';

/**
 * @typedef {object} TuneProgress
 * @property {number} epoch from 1
 * @property {number} epochs
 * @property {number} step from 1, of the whole run
 * @property {number} steps
 * @property {number} loss mean cross-entropy of the step's pictures, before its update
 * @property {number} learningRate
 * @property {number} etaMs time left, in milliseconds
 * @property {boolean} [replayed] done before the run was interrupted, and told by the checkpoint
 * @property {string} [note] with the first step of a run that goes on, where it does so with other bits
 * @property {number} [validationAccuracy] after the last step of an epoch, where `validation` was asked for
 */

export class TuneJob {
  #stopped = false;
  /** @type {Steps<TuneProgress>} */
  #steps = new Steps();
  #model;
  /** @type {import('./checkpoint.js').RunState | null} once all pictures are there, until nothing can be continued */
  #state = null;
  /** @type {(() => void)} */
  #begun = () => {};
  /** Fulfilled when #state is set, or never will be. @type {Promise<void>} */
  #beginning = new Promise((resolve) => (this.#begun = resolve));

  /**
   * @param {import('../classifier/classifier.js').Model} model
   * @param {Record<string, any>} options
   */
  constructor(model, options) {
    this.#model = model;
    /** Set when the run has ended with something trained, also where it ended because numbers were not finite. */
    this.classifier = /** @type {Classifier | null} */ (null);
    /** @type {Promise<Classifier>} */
    this.finished = this.#run(model, options).finally(() => {
      this.#steps.end();
      this.#begun();
    });
    // Whoever only iterates gets the error there.
    this.finished.catch(() => {});
  }

  /** Ends the run after the present step; what was trained so far is kept, and `finished` is fulfilled. */
  stop() {
    this.#stopped = true;
  }

  /**
   * The run as it stands between two steps, as a file that tune({ resume }) goes on from; also after its end, until the
   * classifier is disposed of.
   * @returns {Promise<Uint8Array>}
   */
  async checkpoint() {
    await this.#beginning;
    if (this.#state) return writeCheckpoint(this.#model, this.#state);
    throw new MudptError('state', 'there is nothing of this run that can be continued', 'see how it ended');
  }

  /** Every step from the first; ends with the run, or throws what ended it. @returns {AsyncGenerator<TuneProgress>} */
  async *[Symbol.asyncIterator]() {
    yield* this.#steps;
    await this.finished;
  }

  async #run(model, options) {
    await nextTurn();
    requireOptions(options);
    // transfer matters only on the way to a worker
    const {
      classes,
      examples,
      validation = false,
      resume,
      signal,
      transfer: _,
      recompute = false,
      memoryLimit,
      onBroken,
      ...rest
    } = options;
    signal?.throwIfAborted();
    const { core, clip, config, tokenizer, needTokens, how } = model;
    const before = resume === undefined ? null : new Checkpoint(model, resume);
    before?.requireSame({ classes, ...rest }, config);
    // What is misspelt is told before what is missing for it.
    const { method, settings } = before ? before.run : resolveSettings(rest, config);
    const names = before ? before.classes : checkClasses(classes);
    if (names.length < 2) throw new MudptError('argument', 'one class has nothing to be told apart from', 'give two');
    if (typeof validation !== 'boolean' && !(Array.isArray(validation) && validation.length)) {
      const given = Array.isArray(validation) ? 'an empty array' : validation;
      throw new MudptError('argument', `validation is ${given}, expected true, false or an array of examples`);
    }
    checkPlan({ recompute, memoryLimit });
    const choice = new Choice(core, names, settings, { examples, validation, onBroken });
    choice.draw();
    const { ids, nameLengths, phrase } = promptSentences(tokenizer, names, method, settings);
    if (!before) requireDistinct(names);
    await needTokens([...ids.flat(2), ...(phrase ?? [])], signal);

    const handle = core.classifierCreate(clip, trainedSizes(method, settings, config), { ids, nameLengths });
    const details = { method, classes: names, settings };
    /** @type {import('../classifier/classifier.js').Details} */
    const own = { ...details };
    const classifier = new Classifier(model, handle, own);
    let trainer = 0;
    try {
      core.classifierInit(handle, settings.seed, phrase);
      const { batchSize: batch, learningRate: rate } = settings;
      const run = { batchSize: batch, augment: settings.augment, recompute, memoryLimit };
      const keep = requireMemory(model, handle, { ...run, pictures: choice.train.length });
      core.classifierRecompute(handle, recompute);
      await giveTeacher(model, handle, { ...details, signal });
      // Where pictures are left out others are drawn in their place.
      for (let whole = false; !whole && !this.#stopped;) {
        if (trainer) core.trainerFree(trainer);
        trainer = 0;
        trainer = core.trainerCreate(handle, { ...settings, batch, rate, how, keep });
        before?.restore(core, handle);
        const isStopped = () => this.#stopped;
        const add = async (image, label, name) => addPicture(model, trainer, image, label, name, signal);
        const look = async (image, name) => checkPicture(model, image, name, signal);
        whole = await choice.read(add, look, isStopped);
        if (!whole) choice.draw();
      }
      // Now that their sizes are known.
      requireMemory(model, handle, { ...run, pictures: choice.train.length, kept: core.trainerBytes(trainer) });
      const note = before?.difference(model);
      if (!this.#stopped) this.#begin(trainer, classifier, details, before, choice.train.length);
      own.trainedOn = choice.counts;
      if (settings.shots < Infinity)
        own.settings = { ...settings, shots: Math.min(settings.shots, own.trainedOn.most) };
      const { held } = choice;
      const validate = async () => (await classifier.evaluate(held, { signal })).accuracy;
      await this.#train(core, trainer, signal, note, held.length ? validate : undefined);
      this.classifier = classifier;
      return classifier;
    } catch (error) {
      this.#state = null;
      if (error instanceof MudptError && error.code === 'not-finite') this.classifier = classifier;
      else await classifier.dispose();
      throw error;
    } finally {
      if (trainer) core.trainerFree(trainer);
    }
  }

  /**
   * All pictures are there. What a checkpoint tells of steps before it is told again.
   * @param {number} trainer
   * @param {Classifier} classifier
   * @param {any} details
   * @param {Checkpoint | null} before
   * @param {number} pictures how many
   */
  #begin(trainer, classifier, details, before, pictures) {
    const { core } = this.#model;
    const { epochs, batchSize, learningRate: base } = details.settings;
    const each = Math.floor(pictures / Math.min(batchSize, pictures));
    const losses = before?.enter(core, trainer, each) ?? [];
    losses.forEach((loss, i) => {
      const epoch = Math.floor(i / each);
      const rate = core.learningRate(Math.fround(base), WARMUP_RATE, epochs, epoch);
      const told = { epoch: epoch + 1, epochs, step: i + 1, steps: epochs * each, loss, etaMs: 0 };
      this.#steps.push({ ...told, learningRate: Math.fround(rate), replayed: true });
    });
    const [place, hash] = [core.trainerPlace(trainer), core.trainerPictures(trainer)];
    this.#state = { classifier, details, place, pictures: hash, losses };
    this.#begun();
  }

  /**
   * @param {string} [note] told with the first step
   * @param {() => Promise<number>} [validate] measures the classifier, after every epoch
   */
  async #train(core, trainer, signal, note, validate) {
    const start = performance.now();
    let count = 0;
    while (!this.#stopped) {
      await nextTurn();
      signal?.throwIfAborted();
      if (this.#stopped) return;
      const done = await stepOf(core, trainer, signal);
      if (!done) return;
      const { epoch, epochs, step, steps, loss, rate: learningRate } = done;
      const state = /** @type {import('./checkpoint.js').RunState} */ (this.#state);
      state.place = core.trainerPlace(trainer);
      state.losses.push(loss);
      const more = validate && step % (steps / epochs) === 0 ? { validationAccuracy: await validate() } : {};
      if (note && !count) Object.assign(more, { note });
      const etaMs = ((performance.now() - start) / ++count) * (steps - step);
      this.#steps.push({ epoch: epoch + 1, epochs, step, steps, loss, learningRate, etaMs, ...more });
    }
  }
}

/** One step; others get a turn, and an abort ends it, after every few pictures. */
async function stepOf(core, trainer, signal) {
  for (let done; ; await nextTurn()) {
    signal?.throwIfAborted();
    done = await core.trainerAdvance(trainer);
    if (done !== undefined) return done;
  }
}

/** Decodes a picture to see whether it can be. */
async function checkPicture({ core, how, timeout }, image, name, signal) {
  core.imageFree(await decodeImage(core, await readImage(image, name, signal, timeout), how));
  await nextTurn();
  signal?.throwIfAborted();
}

async function addPicture({ core, how, timeout }, trainer, image, label, name, signal) {
  const picture = await readImage(image, name, signal, timeout);
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
  const handle = await decodeImage(core, picture, how);
  try {
    core.trainerAddImage(trainer, handle, label);
  } finally {
    core.imageFree(handle);
  }
}
