#!/usr/bin/env node
/**
 * WebGPU in Node: `./run bench webgpu [--step] [--rows N] [--tiles NAME]`.
 *
 * Products of a ViT-B/16, one by one, on the adapter that there is: GFLOP/s while activations stay there, and the bytes
 * that one alone would move. Then training steps: of pictoclip, measured beside WebAssembly; of ViT-B/16, batch 4,
 * what goes over and back, counted by a device that computes nothing. --step measures that one, too, on the adapter.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { createCore } from '../js/core/core.js';
import { Device } from '../js/core/device.js';
import { promptSentences } from '../js/methods/sentences.js';
import { resolveSettings, trainedSizes } from '../js/methods/settings.js';
import { loadModel } from '../js/loading/model.js';
import { startDeviceThread } from '../js/node/platform.js';
import { openSource } from '../js/files/source.js';
import { Batch } from '../js/webgpu/batch.js';
import { Engine } from '../js/webgpu/engine.js';
import { F16 } from '../js/webgpu/layout.js';
import { makeClip } from '../tests/make-clip.js';
import { classNames } from './names.js';

const ROOT = path.resolve(import.meta.dirname, '..');
const ROUNDS = 3;
/** Milliseconds of a step that is not run again without what the first one does more: a few per cent. */
const LONG = 60_000;
/** Milliseconds: a software adapter takes minutes for a call of a ViT-B/16. */
const PATIENCE = 3_600_000;
/** [what, sum, columns] of a block's products, forward; backward's are the same, turned over. */
const PRODUCTS = [
  ['q, k and v', 768, 2304],
  ['attention out', 768, 768],
  ['fc', 768, 3072],
  ['proj', 3072, 768],
];

const { values } = parseArgs({
  options: { step: { type: 'boolean' }, rows: { type: 'string', default: '804' }, tiles: { type: 'string' } },
});
const { tiles } = values;
const rows = Number(values.rows);
const show = (...cells) =>
  console.log(cells.map((cell, i) => (i ? `${cell}`.padStart(16) : `${cell}`.padEnd(30))).join(''));
const mega = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

/** Shortest of some runs, in milliseconds. */
async function shortest(action) {
  let best = Infinity;
  for (let i = 0; i < ROUNDS; i++) {
    const start = performance.now();
    await action();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

async function products() {
  const gpu = (await import(/** @type {string} */ ('webgpu'))).create([]);
  const engine = await Engine.open(gpu, /** @type {any} */ ({}), tiles);
  console.log(`adapter: ${engine.name}; tiles: ${engine.tiles}; ${rows} rows, f16 weights\n`);
  show('product', 'GFLOP/s', 'turned over', 'moved alone', 'submissions', 'round trips');
  for (const [what, depth, columns] of /** @type {[string, number, number][]} */ (PRODUCTS)) {
    const weight = { out: columns, in: depth, storage: F16, panels: 0, scale: 0, id: 1 };
    const loaded = { panels: engine.take(columns * depth * 2), scale: null };
    const [x, y] = [engine.take(rows * depth * 4), engine.take(rows * columns * 4)];
    const speeds = [];
    let alone = {};
    for (const transposed of [false, true]) {
      const batch = new Batch(engine);
      batch.product(transposed ? x : y, transposed ? y : x, weight, loaded, { rows, transposed });
      batch.finish();
      const run = () => engine.run([], [batch], [[transposed ? x : y, 16]]);
      await run();
      alone = { ...engine.counts };
      await run();
      for (const name of Object.keys(alone)) alone[name] = engine.counts[name] - alone[name];
      speeds.push((2e-6 * rows * depth * columns) / (await shortest(run)));
      batch.free();
    }
    const moved = mega(4 * rows * (depth + columns));
    show(what, ...speeds.map((speed) => speed.toFixed(2)), moved, alone.submissions, alone.roundTrips);
  }
  engine.close();
  return gpu; // whose end is the end of its devices
}

/** A step of MuDPT: milliseconds, and what the device was asked for. */
function stepOf(core, { clip, config, tokenizer }, classes, batch) {
  const { method, settings } = resolveSettings({}, config);
  const { ids, phrase } = promptSentences(tokenizer, classNames(classes), method, settings);
  const classifier = core.classifierCreate(clip, trainedSizes(method, settings, config), { ids });
  core.classifierInit(classifier, 1, phrase);
  const pixels = Float32Array.from({ length: batch * 3 * config.image ** 2 }, (_, i) => Math.sin(i));
  const labels = Array.from({ length: batch }, (_, i) => i);
  const run = () => {
    const before = core.memory.device?.counts() ?? {};
    const start = performance.now();
    core.classifierGradients(classifier, pixels, labels);
    const milliseconds = performance.now() - start;
    const after = core.memory.device?.counts() ?? {};
    return {
      milliseconds,
      counts: Object.fromEntries(Object.keys(after).map((key) => [key, after[key] - before[key]])),
    };
  };
  const first = run(); // weights are uploaded
  const result = first.milliseconds > LONG ? first : run();
  core.classifierFree(classifier);
  return result;
}

async function steps(title, folder, classes, { measured, gpu }) {
  const core = await createCore({ threads: 2 });
  const options = { thread: startDeviceThread(gpu), patience: PATIENCE, tiles: measured ? tiles : undefined };
  core.memory.useDevice(await Device.open(core.memory.module.wasmMemory, options));
  const model = await loadModel(core, await openSource(folder), { tokens: 'all' });
  const { milliseconds, counts } = stepOf(core, model, classes, 4);
  if (core.memory.device.lost) throw new Error(core.memory.device.lost);
  const layers = Math.max(model.config.visionLayers, model.config.textLayers);
  console.log(`\n${title}, MuDPT, ${classes} classes, batch 4: a step`);
  show('on the device', `${(counts.flop / 1e9).toFixed(1)} GFLOP`);
  show('moved there, and back', mega(counts.bytesUp), mega(counts.bytesDown));
  show('submissions', counts.submissions);
  show('round trips', counts.roundTrips);
  show('a layer and tower', (counts.roundTrips / layers / 2).toFixed(2));
  if (measured) {
    const here = core.memory.withoutDevice(() => stepOf(core, model, classes, 4));
    show(
      'time on the device',
      `${milliseconds.toFixed(0)} ms`,
      `${(counts.flop / milliseconds / 1e6).toFixed(2)} GFLOP/s`,
    );
    show(
      'time in WebAssembly',
      `${here.milliseconds.toFixed(0)} ms`,
      `${(milliseconds / here.milliseconds).toFixed(2)} x`,
    );
  }
  core.dispose();
}

const kept = await products();
await steps('pictoclip', path.join(ROOT, 'models/pictoclip'), 10, { measured: true, gpu: 'webgpu' });
const folder = await mkdtemp(path.join(os.tmpdir(), 'mudpt-bench-'));
try {
  await makeClip(folder, { preset: 'vit-b-16', dtype: 'f16' });
  const counting = path.join(import.meta.dirname, 'counting-gpu.js');
  for (const classes of [10, 100]) {
    await steps('ViT-B/16, counted', folder, classes, { measured: false, gpu: counting });
  }
  if (values.step) await steps('ViT-B/16', folder, 10, { measured: true, gpu: 'webgpu' });
} finally {
  await rm(folder, { recursive: true });
}
process.exit(kept ? 0 : 1);
