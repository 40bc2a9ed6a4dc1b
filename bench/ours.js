#!/usr/bin/env node
/** One of our cases in a process of its own, told to by run.js: node bench/ours.js CASE SETTINGS (JSON). */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { DTYPES, PRECISIONS, createCore } from '../js/core.js';
import { METHODS, promptSentences, resolveSettings, templateSentences } from '../js/methods.js';
import { loadModel } from '../js/model.js';
import { openSource } from '../js/source.js';
import { classNames } from './names.js';
import { serve } from './turns.js';

const [kind, text] = process.argv.slice(2);
const settings = JSON.parse(text);
const { threads = 2, variant = 'auto', dtype = 'auto', precision = 'high', folder } = settings;

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
    const main = fileURLToPath(new URL('../js/cli/main.js', import.meta.url));
    const args = [main, 'train', '--data', settings.data, '--model', folder, '--threads', `${threads}`, '--quiet'];
    const once = () =>
      execFileSync(process.execPath, [...process.execArgv, ...args, '--precision', precision, '--json']);
    return { once, warm: 0 };
  },

  async classify() {
    const { loadClip } = await import('../js/index.js');
    const clip = await loadClip(folder, { threads, precision, variant });
    const classifier = await clip.zeroShot(classNames(40));
    const saved = await clip.import(await classifier.export());
    const picture = readFileSync(settings.picture);
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
    return { once: () => execFileSync(process.execPath, [...process.execArgv, '--input-type=module', '-e', program]) };
  },
};

await serve(CASES[kind]);
