/**
 * Our cases: prepare(CASE, SETTINGS) gives what is timed, in Node (program.js) and in a browser's worker (page.js).
 * Addresses in the settings are paths there and URLs here.
 */
import { DTYPES, PRECISIONS, createCore } from '../js/core/core.js';
import { PictureIndex } from '../js/features/search.js';
import { openSource } from '../js/files/source.js';
import { loadClip } from '../js/index.js';
import { loadModel } from '../js/loading/model.js';
import { promptSentences, templateSentences } from '../js/methods/sentences.js';
import { resolveSettings, trainedSizes } from '../js/methods/settings.js';
import { classNames } from './names.js';

let settings, threads, variant, dtype, precision, folder;

/** @param {string} kind a case of CASES @param {any} given @returns {Promise<import('./turns.js').Prepared>} */
export function prepare(kind, given) {
  settings = given;
  ({ threads = 2, variant = 'auto', dtype = 'auto', precision = 'high', folder } = settings);
  return CASES[kind]();
}

const bytesOf = async (address) =>
  typeof process === 'undefined'
    ? new Uint8Array(await (await fetch(address)).arrayBuffer())
    : (await import('node:fs/promises')).readFile(address);

/** Runs Node once more, and gives what it prints. @param {string[]} args */
async function runNode(args) {
  const { execFileSync } = await import('node:child_process');
  return execFileSync(process.execPath, [...process.execArgv, ...args], { encoding: 'utf8' });
}

/** A model with the precision that is asked for, whatever would be chosen here. @param {object} [more] options */
async function open(more) {
  const core = await createCore({ variant, threads, precision, wideVectors: true });
  core.fastGain = () => Infinity;
  return { core, ...(await loadModel(core, await openSource(folder), { dtype, precision, ...more })) };
}

/** What tunes such classes from its start. */
async function openClassifier(wanted) {
  const { core, clip, config, tokenizer, needTokens } = await open({ tokens: 'needed' });
  const { method, settings: chosen } = resolveSettings(wanted, config);
  const names = classNames(settings.classes);
  const { ids, phrase } = promptSentences(tokenizer, names, method, chosen);
  await needTokens([...ids.flat(2), ...(phrase ?? [])]);
  const classifier = core.classifierCreate(clip, trainedSizes(method, chosen, config), { ids });
  core.classifierInit(classifier, 1, phrase);
  // What the frozen model says of the classes is there before the first step.
  if (chosen.textWeight) {
    const teacher = Float32Array.from({ length: names.length * config.embed }, (_, i) => Math.cos(i * 0.73));
    core.classifierSetTeacher(classifier, teacher);
  }
  return { core, clip, config, names, classifier, chosen };
}

const pictures = (count, config) =>
  Float32Array.from({ length: count * 3 * config.image ** 2 }, (_, i) => Math.sin(i * 0.37));

/** Steps of a trainer without random views over pictures that it has seen; what it may keep between epochs is kept. */
function keptStep(core, classifier, config, batch, chosen) {
  const run = { ...chosen, epochs: 1000, batch, rate: chosen.learningRate, augment: false, keep: 2 ** 28 };
  const trainer = core.trainerCreate(classifier, run);
  for (let i = 0; i < batch; i++) {
    const rgb = Uint8Array.from({ length: 3 * config.image ** 2 }, (_, k) => (k * (i + 3)) % 251);
    const image = core.imageFromPixels(rgb, config.image, config.image, 3);
    core.trainerAddImage(trainer, image, i);
    core.imageFree(image);
  }
  const once = () => {
    while (core.trainerAdvance(trainer) === undefined);
  };
  once();
  return once;
}

/** What is timed, with the work that one turn of it does. */
function counted(core, once, more = {}, processor = false) {
  let turns = 0;
  const before = core.work();
  const about = () => {
    const { products, attention, weightBytes } = core.work();
    const each = (now, then) => (now - then) / turns;
    const flop = each(products + attention, before.products + before.attention);
    const read = each(weightBytes, before.weightBytes);
    return {
      flop,
      attentionFlop: each(attention, before.attention),
      readBytes: read,
      wasmBytes: core.memoryBytes,
      ...more,
    };
  };
  return { once: () => (turns++, once()), about, processor };
}

const CASES = {
  async gemm() {
    const { shape, storage, fast, panels, module, wide, turned } = settings;
    if (wide) (await import('../js/node/platform.js')).allowWideVectors(true);
    const { default: start } = await import(module);
    const wasm = await start();
    const precision = PRECISIONS[fast ? 'fast' : 'high'];
    const how = [DTYPES[storage], precision, threads, panels ?? 0, Number(turned ?? false)];
    const opened = wasm._bench_gemm_open(...shape, ...how);
    if (opened) throw new Error(`the product could not be opened: code ${opened}`);
    return { once: () => wasm._bench_gemm_run(), about: () => ({ flop: 2 * shape[0] * shape[1] * shape[2] }), warm: 3 };
  },

  async limit() {
    const { default: start } = await import(settings.module);
    const wasm = await start();
    let flop;
    return { once: () => (flop = wasm._bench_limit(Number(settings.fast))), about: () => ({ flop }), warm: 3 };
  },

  /** Towers with all savings, or without one: differences of some per cent. */
  async saving() {
    const { default: start } = await import(settings.module);
    const wasm = await start();
    const opened = wasm._bench_saving_open(settings.saving, Number(settings.without), threads);
    if (opened) throw new Error(`the towers could not be opened: code ${opened}`);
    let flop;
    const once = () => {
      const before = wasm._bench_saving_work();
      wasm._bench_saving_run();
      flop = wasm._bench_saving_work() - before;
    };
    const about = () => ({ flop, activationBytes: wasm._bench_saving_bytes() || undefined });
    return { once, about, processor: true };
  },

  /** A step of CoOp, whose pictures' features a trainer without random views keeps after the first epoch. */
  async once() {
    const { core, config, classifier, chosen } = await openClassifier({ method: 'coop' });
    const batch = 4;
    if (settings.without) {
      const pixels = pictures(batch, config);
      const once = () => {
        core.classifierGradients(classifier, pixels, [0, 1, 2, 3]);
        core.classifierSgd(classifier, 2e-3, 0.9, 5e-4);
      };
      return counted(core, once, {}, true);
    }
    return counted(core, keptStep(core, classifier, config, batch, chosen), {}, true);
  },

  /** One picture by prompts that the injection and the text tower are applied to each time, or once. */
  async folded() {
    const { core, config, classifier } = await openClassifier({});
    const pixels = pictures(1, config);
    const once = () => {
      if (settings.without) core.classifierChanged(classifier);
      core.classifierLogits(classifier, pixels);
    };
    return counted(core, once, {}, true);
  },

  async image() {
    const { core, clip, config, tokenizer } = await open();
    const ids = templateSentences(tokenizer, ['owl'], ['{}']);
    const classifier = core.classifierCreate(clip, { method: 'zeroshot' }, { ids });
    const pixels = pictures(settings.batch, config);
    return counted(core, () => core.classifierLogits(classifier, pixels));
  },

  async text() {
    const { core, clip, tokenizer } = await open();
    const ids = templateSentences(tokenizer, classNames(settings.classes), ['a photo of a {}.']);
    const once = () => {
      const classifier = core.classifierCreate(clip, { method: 'zeroshot' }, { ids });
      core.classifierTextFeatures(classifier);
      core.classifierFree(classifier);
    };
    return counted(core, once);
  },

  async step() {
    const { method, fromLayer } = settings;
    const { core, clip, config, names, classifier, chosen } = await openClassifier({ method, fromLayer });
    const { batch = 4, recompute = false } = settings;
    const { learningRate: rate } = chosen;
    core.classifierRecompute(classifier, recompute);
    const pixels = pictures(batch, config);
    const labels = Array.from({ length: batch }, (_, i) => i % names.length);
    let steps = 0;
    const once = () => {
      core.classifierGradients(classifier, pixels, labels);
      if (method === 'mmrlpp') core.classifierAdam(classifier, rate, 5e-4, ++steps);
      else core.classifierSgd(classifier, rate, 0.9, 5e-4);
    };
    return counted(core, once, { weightBytes: core.clipWeightBytes(clip) });
  },

  /** A step of a trainer without random views, in its second epoch or later. */
  async keptStep() {
    const { method, fromLayer, batch = 4 } = settings;
    const { core, clip, config, classifier, chosen } = await openClassifier({ method, fromLayer });
    const once = keptStep(core, classifier, config, batch, chosen);
    return counted(core, once, { weightBytes: core.clipWeightBytes(clip) });
  },

  /** From a folder of pictures to a saved classifier that has been measured. */
  async train() {
    const { loadDataset } = await import('../js/node/datasets.js');
    const given = (list) => list.map(({ path, label }) => ({ image: path, label }));
    const once = async () => {
      const clip = await loadClip(folder, { threads, precision, variant, wideVectors: true });
      const { classes, train, test } = await loadDataset(settings.data, {});
      const { epochs } = settings;
      const classifier = await clip.tune({ classes, examples: given(train), shots: 16, epochs }).finished;
      await classifier.export();
      await classifier.evaluate(given(test));
      await clip.dispose();
    };
    return { once, warm: 0 };
  },

  /** One epoch over so many pictures, as often as needed the same ones. */
  async tune() {
    const { loadDataset } = await import('../js/node/datasets.js');
    const clip = await loadClip(folder, { threads, precision, variant, wideVectors: true, worker: false });
    const { classes, train } = await loadDataset(settings.data, {});
    const examples = Array.from({ length: settings.images }, (_, i) => train[i % train.length]);
    const given = examples.map(({ path, label }) => ({ image: path, label }));
    const once = () => clip.tune({ classes, examples: given, shots: settings.images, epochs: 1 }).finished;
    return { once, about: () => ({ wasmBytes: clip.memoryBytes }), warm: 0 };
  },

  /** A JPEG so many times, from its bytes to what the model sees. */
  async decode() {
    const { core, clip } = await open();
    const files = Array(settings.count).fill(await bytesOf(settings.picture));
    return { once: () => core.clipTestFiles(clip, files), warm: 3 };
  },

  async classify() {
    const clip = await loadClip(folder, { threads, precision, variant, wideVectors: true });
    const classifier = await clip.zeroShot(classNames(40));
    const saved = await clip.import(await classifier.export());
    const picture = await bytesOf(settings.picture);
    return { once: () => saved.classify(picture), warm: 20 };
  },

  /** The ten nearest of features that are there. */
  async search() {
    const { count, width } = settings;
    let state = 1;
    const next = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 31 - 1;
    const data = Float32Array.from({ length: count * width }, next);
    const index = new PictureIndex(null, { data, dims: [count, width] }, Array(count).fill('picture'));
    const query = Float32Array.from({ length: width }, next);
    return { once: () => index.search(query, { topK: 10 }), warm: 20 };
  },

  /** From nothing to the first answer, in a process each. */
  async startup() {
    const program = `
      import { loadClip } from ${JSON.stringify(new URL('../js/index.js', import.meta.url).href)};
      const clip = await loadClip(${JSON.stringify(folder)}, { threads: ${threads} });
      const classifier = await clip.zeroShot(['owl', 'fox']);
      await classifier.classify(${JSON.stringify(settings.picture)});
      process.exit(0);`;
    return { once: () => runNode(['--input-type=module', '-e', program]) };
  },
};
