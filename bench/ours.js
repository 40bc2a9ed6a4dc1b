/**
 * Our cases: prepare(CASE, SETTINGS) gives what is timed, in Node (program.js) and in a browser's worker (page.js).
 * Addresses in the settings are paths there and URLs here.
 */
import { DTYPES, PRECISIONS, createCore } from '../js/core.js';
import { loadClip } from '../js/index.js';
import { METHODS, promptSentences, resolveSettings, templateSentences } from '../js/methods.js';
import { loadModel } from '../js/model.js';
import { openSource } from '../js/source.js';
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

/** A model with the precision that is asked for, whatever would be chosen here. */
async function open() {
  const core = await createCore({ variant, threads });
  core.fastGain = () => Infinity;
  return { core, ...(await loadModel(core, await openSource(folder), { dtype, precision })) };
}

const pictures = (count, config) =>
  Float32Array.from({ length: count * 3 * config.image ** 2 }, (_, i) => Math.sin(i * 0.37));

/** What is timed, with the work that one turn of it does. */
function counted(core, once, more = {}) {
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
  return { once: () => (turns++, once()), about };
}

const CASES = {
  async gemm() {
    const { shape, storage, fast, module } = settings;
    const { default: start } = await import(module);
    const wasm = await start();
    const opened = wasm._bench_gemm_open(...shape, DTYPES[storage], PRECISIONS[fast ? 'fast' : 'high'], threads);
    if (opened) throw new Error(`the product could not be opened: code ${opened}`);
    return { once: () => wasm._bench_gemm_run(), about: () => ({ flop: 2 * shape[0] * shape[1] * shape[2] }), warm: 3 };
  },

  async limit() {
    const { default: start } = await import(settings.module);
    const wasm = await start();
    let flop;
    return { once: () => (flop = wasm._bench_limit()), about: () => ({ flop }), warm: 3 };
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
    const { core, clip, config, tokenizer } = await open();
    const { method, settings: chosen } = resolveSettings({}, config);
    const names = classNames(settings.classes);
    const { ids, phrase } = promptSentences(tokenizer, names, method, chosen);
    const sizes = { method, ...METHODS[method].sizes(chosen, config) };
    const classifier = core.classifierCreate(clip, sizes, { ids });
    core.classifierInit(classifier, 1, phrase);
    const { batch = 4, recompute = false } = settings;
    core.classifierRecompute(classifier, recompute);
    const pixels = pictures(batch, config);
    const labels = Array.from({ length: batch }, (_, i) => i % names.length);
    const once = () => {
      core.classifierGradients(classifier, pixels, labels);
      core.classifierSgd(classifier, 2.5e-3, 0.9, 5e-4);
    };
    return counted(core, once, { weightBytes: core.clipWeightBytes(clip) });
  },

  /** A whole run of the command line, which is a process of its own. */
  async train() {
    const main = new URL('../js/cli/main.js', import.meta.url).pathname;
    const args = [main, 'train', '--data', settings.data, '--model', folder, '--threads', `${threads}`, '--quiet'];
    const more = ['--precision', precision, '--epochs', `${settings.epochs}`, '--json'];
    let peakBytes;
    const once = async () => ({ peakBytes } = JSON.parse(await runNode([...args, ...more])));
    return { once, about: () => ({ peakBytes }), warm: 0 };
  },

  /** One epoch over so many pictures, as often as needed the same ones. */
  async tune() {
    const { loadDataset } = await import('../js/node/datasets.js');
    const clip = await loadClip(folder, { threads, precision, variant, worker: false });
    const { classes, train } = await loadDataset(settings.data, {});
    const examples = Array.from({ length: settings.images }, (_, i) => train[i % train.length]);
    const given = examples.map(({ path, label }) => ({ image: path, label }));
    const once = () => clip.tune({ classes, examples: given, shots: settings.images, epochs: 1 }).finished;
    return { once, about: () => ({ wasmBytes: clip.memoryBytes }), warm: 0 };
  },

  async classify() {
    const clip = await loadClip(folder, { threads, precision, variant });
    const classifier = await clip.zeroShot(classNames(40));
    const saved = await clip.import(await classifier.export());
    const picture = await bytesOf(settings.picture);
    return { once: () => saved.classify(picture), warm: 20 };
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
