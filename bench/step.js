#!/usr/bin/env node
/**
 * Seconds and memory of a MuDPT training step (paper's settings: batch 4, 4 prompt tokens, all layers) on a CLIP of
 * full size with random weights, whose speed is that of real ones. Every number of classes runs in a process of its
 * own, so that peak memory belongs to it.
 *
 *   ./run bench step [--classes 10,100] [--steps 3] [--threads 2] [--dtype f16] [--variant relaxed] [--json]
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { createCore } from '../js/core.js';
import { METHODS, promptSentences, resolveSettings } from '../js/methods.js';
import { loadModel } from '../js/model.js';
import { openSource } from '../js/source.js';
import { makeClip } from '../tests/make-clip.js';

const BATCH = 4;
const model = fileURLToPath(new URL('../build/bench/vit-b-16-f16', import.meta.url));

const { values } = parseArgs({
  options: {
    classes: { type: 'string', default: '10,100' },
    steps: { type: 'string', default: '3' },
    threads: { type: 'string', default: '2' },
    dtype: { type: 'string', default: 'f16' },
    precision: { type: 'string', default: 'high' },
    variant: { type: 'string', default: 'auto' },
    json: { type: 'boolean', default: false },
    child: { type: 'boolean', default: false },
  },
});

/** Names of one or two words, as data sets have them. */
function classNames(count) {
  const looks = ['red', 'green', 'small', 'large', 'old', 'young', 'striped', 'spotted', 'wild', 'wooden'];
  const things = ['owl', 'bridge', 'tractor', 'violin', 'orchid', 'kettle', 'glacier', 'lizard', 'tower', 'basket'];
  const names = [...things, ...looks.flatMap((look) => things.map((thing) => `${look} ${thing}`))];
  const numbered = (i) => (i < names.length ? names[i] : `${names[i % names.length]} ${Math.floor(i / names.length)}`);
  return Array.from({ length: count }, (_, i) => numbered(i));
}

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

/** One number of classes, in this process. */
async function measure(count) {
  const begun = performance.now();
  const core = await createCore({ variant: values.variant, threads: Number(values.threads) });
  const { clip, config, tokenizer } = await loadModel(core, await openSource(model), {
    dtype: values.dtype,
    precision: values.precision,
  });
  const loadSeconds = (performance.now() - begun) / 1000;

  const { method, settings } = resolveSettings({}, config);
  const { ids, phrase } = promptSentences(tokenizer, classNames(count), method, settings);
  const classifier = core.classifierCreate(clip, { method, ...METHODS[method].sizes(settings, config) }, { ids });
  core.classifierInit(classifier, 1, phrase);
  const pixels = Float32Array.from({ length: BATCH * 3 * config.image ** 2 }, (_, i) => Math.sin(i * 0.37));
  const labels = Array.from({ length: BATCH }, (_, i) => i % count);
  core.classifierLogits(classifier, pixels); // classifies, too

  const seconds = [];
  const losses = [];
  for (let step = 0; step <= Number(values.steps); step++) {
    const start = performance.now();
    losses.push(core.classifierGradients(classifier, pixels, labels).loss);
    core.classifierSgd(classifier, 2.5e-3, 0.9, 5e-4);
    if (step) seconds.push((performance.now() - start) / 1000); // the first step also takes its memory
  }
  const result = {
    classes: count,
    ...{ secondsPerStep: median(seconds), fastest: Math.min(...seconds), losses, loadSeconds },
    peakBytes: process.resourceUsage().maxRSS * 1024,
    ...{ wasmBytes: core.memoryBytes, weightBytes: core.clipWeightBytes(clip) },
    ...{ variant: core.variant, threads: core.threads, dtype: values.dtype },
  };
  core.dispose();
  return result;
}

async function main() {
  const counts = values.classes.split(',').map(Number);
  if (values.child) return console.log(JSON.stringify(await measure(counts[0])));
  if (!existsSync(model)) {
    console.error('writing a ViT-B/16 with random weights (300 MB), once');
    await rm(`${model}.part`, { recursive: true, force: true });
    await makeClip(`${model}.part`, { preset: 'vit-b-16', dtype: 'f16' });
    await rename(`${model}.part`, model);
  }
  if (!values.json)
    console.log('ViT-B/16, MuDPT, batch 4\nclasses   s/step   fastest   peak memory   wasm memory   load');
  for (const count of counts) {
    const args = process.argv.slice(2).filter((arg) => arg !== '--json' && arg !== '--child');
    const child = spawnSync(process.execPath, [process.argv[1], ...args, '--child', '--classes', String(count)], {
      stdio: ['ignore', 'pipe', 'inherit'],
      encoding: 'utf8',
    });
    if (child.status !== 0) throw new Error(`the run with ${count} classes failed`);
    const r = JSON.parse(child.stdout);
    const mb = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`;
    if (values.json) console.log(JSON.stringify(r));
    else {
      console.log(
        `${String(count).padStart(7)}${r.secondsPerStep.toFixed(2).padStart(9)}${r.fastest.toFixed(2).padStart(10)}` +
          `${mb(r.peakBytes).padStart(14)}${mb(r.wasmBytes).padStart(14)}${r.loadSeconds.toFixed(1).padStart(6)} s`,
      );
    }
  }
  return undefined;
}

// Resolved here, so that a child finds the same folder whatever it was started from.
process.chdir(path.dirname(fileURLToPath(new URL('../package.json', import.meta.url))));
await main();
