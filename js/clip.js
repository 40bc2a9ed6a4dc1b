/**
 * A loaded CLIP: the object that everything else starts from.
 *
 *   const clip = await loadClip('https://…/clip-vit-base-patch16/');
 *   const classifier = await clip.zeroShot(['cat', 'dog']);
 *   await classifier.classify(picture);      // [{ label: 'cat', score: 0.98, index: 0 }, …]
 */
import { MudptError, bytesOf, checkChoices, checkOptions, requireOptions } from './base/errors.js';
import { extras } from './base/extras.js';
import { tellOfForgotten } from './base/forgotten.js';
import { Classifier, importClassifier } from './classifier/classifier.js';
import { restoreOfficial } from './classifier/official.js';
import { PRECISIONS, createCore } from './core/core.js';
import { DEVICES } from './core/device.js';
import { embedImages, embedTexts, textFeatures } from './features/embed.js';
import { FeatureStore } from './features/store.js';
import { requireIntegrity } from './files/sha256.js';
import { openSource } from './files/source.js';
import { loadModel } from './loading/model.js';
import { describeTransform } from './loading/preprocessing.js';
import { samplesOf } from './loading/samples.js';
import { checkClasses, requireDistinct } from './methods/classes.js';
import { METHODS, TRAINABLE } from './methods/methods.js';
import { PRESETS } from './methods/presets.js';
import { DEFAULT_TEMPLATE, promptSentences, templateSentences } from './methods/sentences.js';
import { countTrained, resolveSettings, trainedSizes } from './methods/settings.js';
import { ON_WHITE, UPRIGHT } from './pictures/images.js';
import { checkPlan, planTraining, requireMemory } from './training/memory-plan.js';
import { TuneJob } from './training/tune.js';

export { Classifier };

const OPTIONS = [
  ...['device', 'dtype', 'precision', 'towers', 'tokens', 'threads', 'variant', 'wideVectors', 'upright', 'convention'],
  ...['cache', 'keepFeatures', 'timeout', 'assetsUrl', 'worker', 'integrity', 'onProgress', 'signal'],
];

/**
 * Ends the cores of models that nobody has any more: Clip, Classifier and TuneJob share one object, the model, which
 * nothing else holds.
 */
const forgotten = new FinalizationRegistry((/** @type {{ core: any, name: string }} */ { core, name }) => {
  if (core.disposed) return;
  tellOfForgotten(name, core.memoryBytes);
  core.dispose();
});

/**
 * Loads a model. What the options mean is in index.d.ts.
 * @param {import('./files/source.js').From} from
 * @param {Record<string, any>} [options]
 * @returns {Promise<Clip>}
 */
export async function loadClip(from, options = {}) {
  checkOptions(options, OPTIONS);
  const { device = 'wasm', upright = false, keepFeatures = 'memory', cache, timeout, assetsUrl, signal } = options;
  checkChoices({ device: [device, DEVICES], keepFeatures: [keepFeatures, ['memory', 'storage', 'none']] });
  signal?.throwIfAborted();
  const source = await openSource(from, { signal, cache, timeout });
  const core = await createCore(options);
  try {
    const gpu = device === 'wasm' ? null : await extras();
    const notStarted = gpu && (await gpu.startDevice(core, assetsUrl));
    const loaded = await loadModel(core, source, options);
    const whyWasm = notStarted || (gpu ? await gpu.chooseDevice(core, loaded, device) : '');
    if (whyWasm && device === 'webgpu') console.warn(`mudpt computes in WebAssembly: ${whyWasm}`);
    const fingerprint = core.clipFingerprint(loaded.clip);
    const { assumed, ...model } = loaded;
    if (assumed.length)
      console.warn(
        `mudpt: no file beside the weights of ${source.name} says it, so this is assumed: ${assumed.join('; ')}`,
      );
    // In memory, beyond it, or nowhere.
    const features =
      keepFeatures === 'storage'
        ? await (await extras()).keptFor(core, model.clip, model.config, { fingerprint, dtype: options.dtype })
        : new FeatureStore(keepFeatures === 'none' ? 0 : undefined);
    const how = (upright ? UPRIGHT : 0) + (options.convention === 'transformers' ? ON_WHITE : 0);
    const all = { core, ...model, fingerprint, features, how, timeout };
    forgotten.register(all, { core, name: source.name });
    return new Clip(all, source.name, whyWasm, assumed);
  } catch (error) {
    core.dispose();
    throw error;
  }
}

export class Clip {
  #model;

  /**
   * @param {import('./classifier/classifier.js').Model} model
   * @param {string} name
   * @param {string} whyWasm
   * @param {string[]} assumed
   */
  constructor(model, name, whyWasm, assumed) {
    const { core, clip, config, fingerprint } = model;
    const { mean, std, precision, transform, ...architecture } = config;
    this.#model = model;
    /** What was loaded. */
    this.info = Object.freeze({
      name,
      fingerprint,
      architecture: Object.freeze(architecture),
      mean,
      std,
      pictures: describeTransform(transform ?? {}, architecture.image),
      convention: transform?.cropDown ? 'transformers' : 'openai',
      assumed: Object.freeze(assumed),
      logitScale: core.clipLogitScale(clip),
      weightBytes: core.clipWeightBytes(clip),
      precision: Object.keys(PRECISIONS)[/** @type {number} */ (precision)],
      variant: core.variant,
      threads: core.threads,
      memoryLimit: core.mostBytes,
      device: core.memory.device ? 'webgpu' : 'wasm',
      adapter: core.memory.device?.name ?? '',
      whyWasm,
    });
  }

  /** Bytes of WebAssembly memory. It never shrinks, so this is the peak as well. */
  get memoryBytes() {
    return this.#model.core.memoryBytes;
  }

  /**
   * @param {string[]} classes
   * @param {Record<string, any>} [options]
   * @returns {Promise<Classifier>}
   */
  async zeroShot(classes, options = {}) {
    checkOptions(options, ['template', 'templates', 'onProgress', 'signal']);
    const { template = DEFAULT_TEMPLATE, templates = [template], onProgress, signal } = options;
    if (options.template !== undefined && options.templates !== undefined) {
      throw new MudptError('argument', 'template and templates are given', 'leave out one of them');
    }
    signal?.throwIfAborted();
    const { core, clip, tokenizer } = this.#model;
    const names = checkClasses(classes);
    if (!Array.isArray(templates) || !templates.length) {
      throw new MudptError('argument', 'templates must be an array of at least one text');
    }
    const ids = templateSentences(tokenizer, names, templates);
    requireDistinct(names);
    const features = await textFeatures(this.#model, ids, { onProgress, signal });
    const handle = core.classifierCreate(clip, { method: 'zeroshot' }, null, names.length);
    try {
      core.classifierSetTextFeatures(handle, features);
      return new Classifier(this.#model, handle, { method: 'zeroshot', classes: names, templates });
    } catch (error) {
      core.classifierFree(handle);
      throw error;
    }
  }

  /**
   * Features of pictures. What the options mean is in index.d.ts.
   * @param {Iterable<any>} pictures
   * @param {Record<string, any>} [options]
   */
  async embedImages(pictures, options) {
    return embedImages(this.#model, pictures, options);
  }

  /**
   * Features of texts. What the options mean is in index.d.ts.
   * @param {Iterable<string>} texts
   * @param {Record<string, any>} [options]
   */
  async embedTexts(texts, options) {
    return embedTexts(this.#model, texts, options);
  }

  /** Lets go of features of pictures that are kept. */
  async forgetFeatures() {
    this.#model.features.clear();
  }

  /** The methods that train something, with their defaults on this model. */
  methods() {
    const { config } = this.#model;
    return TRAINABLE.map((method) => {
      const { settings } = resolveSettings({ method }, config);
      const { title, trains, from } = METHODS[method];
      const presets = Object.fromEntries(
        Object.keys(PRESETS).map((preset) => [preset, resolveSettings({ method, preset }, config).settings]),
      );
      const trainedValues = countTrained(this.#model, method, settings);
      return { method, title, trains, from, settings, presets, trainedValues };
    });
  }

  /**
   * What training would take. What the options mean is in index.d.ts.
   * @param {Record<string, any>} options
   * @returns {Promise<import('./training/memory-plan.js').TrainingPlan>}
   */
  async plan(options = {}) {
    requireOptions(options);
    const { classes, pictures, recompute = false, dtype, memoryLimit, ...rest } = options;
    const { core, clip, config, tokenizer, needTokens } = this.#model;
    checkPlan({ pictures, recompute, dtype, memoryLimit });
    const { method, settings } = resolveSettings(rest, config);
    const names = checkClasses(classes);
    const { ids, nameLengths } = promptSentences(tokenizer, names, method, settings);
    requireDistinct(names);
    await needTokens(ids.flat(2));
    const handle = core.classifierCreate(clip, trainedSizes(method, settings, config), { ids, nameLengths });
    try {
      const { batchSize, augment, shots } = settings;
      const count = pictures ?? Math.min(shots, 1e6) * names.length;
      const run = { batchSize, pictures: count, augment, recompute, dtype };
      if (memoryLimit !== undefined) requireMemory(this.#model, handle, { ...run, memoryLimit });
      return planTraining(this.#model, handle, run);
    } finally {
      core.classifierFree(handle);
    }
  }

  /** Starts a training run. What the options mean is in index.d.ts. @param {Record<string, any>} options */
  tune(options) {
    return new TuneJob(this.#model, options ?? {});
  }

  /**
   * @param {Uint8Array | ArrayBuffer} bytes of a file that a classifier's export() gave
   * @param {{ name?: string, integrity?: string, signal?: AbortSignal }} [options] name of the file, for messages
   * @returns {Promise<Classifier>}
   */
  async import(bytes, options = {}) {
    checkOptions(options, ['name', 'integrity', 'signal']);
    const { name = 'the classifier file', integrity, signal } = options;
    signal?.throwIfAborted();
    const file = bytesOf(bytes, name);
    requireIntegrity(file, integrity, name);
    return importClassifier(this.#model, file, name, signal);
  }

  /**
   * A classifier from what the authors' PyTorch code has trained. What the options mean is in index.d.ts.
   * @param {import('./files/source.js').From | Uint8Array | ArrayBuffer} from
   * @param {Record<string, any>} options
   * @returns {Promise<Classifier>}
   */
  async importOfficial(from, options = {}) {
    const { readOfficial } = await extras();
    return this.restoreOfficial(await readOfficial(from, options, this.info.architecture));
  }

  /**
   * What importOfficial has read, where a page has read it. Not for others.
   * @param {import('./classifier/official.js').Dictionary} dictionary
   */
  async restoreOfficial(dictionary) {
    const { handle, details } = await restoreOfficial(this.#model, dictionary);
    return new Classifier(this.#model, handle, details);
  }

  /** What rows of embedImages() before the projection are multiplied by. Not for others. */
  async projection() {
    const { core, clip, config } = this.#model;
    return { data: core.clipProjection(clip), dims: [config.visionWidth, config.embed] };
  }

  /** What tells it from others of the same fingerprint (docs/file-formats.md). Not for others. */
  async samples() {
    return samplesOf(this.#model);
  }

  /** Frees the model and everything made from it, and ends its threads. */
  async dispose() {
    await this.#model.features.flush();
    this.#model.core.dispose();
  }
}
