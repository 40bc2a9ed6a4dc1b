#!/usr/bin/env node
/**
 * What a plan of training says beside what training takes: every method with 10, 100, 1,000 and 5,000 classes, with
 * `recompute` and without, blocks' matrices kept in three ways, on a ViT-B/16 of random weights. Every row is a process
 * of its own. What is refused is tried once more as the refusal offers.
 *
 *   ./run bench memory [METHOD...] [--classes N,...] [--dtype TYPE,...] [--steps] [--json]
 *
 * Memory is taken when a run begins, before the first step; --steps does one as well, which takes hours for all rows.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { giveTeacher } from '../js/classifier/teacher.js';
import { createCore } from '../js/core/core.js';
import { openSource } from '../js/files/source.js';
import { loadModel } from '../js/loading/model.js';
import { TRAINABLE } from '../js/methods/methods.js';
import { promptSentences } from '../js/methods/sentences.js';
import { resolveSettings, trainedSizes } from '../js/methods/settings.js';
import { planTraining } from '../js/training/memory-plan.js';
import { makeClip } from '../tests/make-clip.js';
import { classNames } from './names.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = path.join(root, 'build/bench/vit-b-16-f32');
const BATCH = 4;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    classes: { type: 'string', default: '10,100,1000,5000' },
    dtype: { type: 'string', default: 'f32,f16,int8' },
    steps: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    child: { type: 'string' },
  },
});

/** Takes what a run takes. @returns {Promise<{ planned: number, used: number, parts: number }>} */
async function measure({ method, classes: count, recompute, dtype }) {
  const core = await createCore({ threads: 2 });
  const model = { core, ...(await loadModel(core, await openSource(folder), { dtype, tokens: 'needed' })) };
  const { clip, config, tokenizer, needTokens } = model;
  const { settings } = resolveSettings({ method, batchSize: BATCH }, config);
  const classes = classNames(count);
  const { ids, nameLengths, phrase } = promptSentences(tokenizer, classes, method, settings);
  await needTokens([...ids.flat(2), ...(phrase ?? [])]);
  const handle = core.classifierCreate(clip, trainedSizes(method, settings, config), { ids, nameLengths });
  core.classifierInit(handle, settings.seed, phrase);
  core.classifierRecompute(handle, recompute);
  await giveTeacher(/** @type {any} */ (model), handle, { method, classes, settings });
  const plan = planTraining(/** @type {any} */ (model), handle, { batchSize: BATCH, pictures: BATCH, recompute });
  const { batchSize: batch, learningRate: rate } = settings;
  const trainer = core.trainerCreate(handle, { ...settings, batch, rate, warmupRate: 1e-5 });
  for (let i = 0; i < BATCH; i++) {
    const pixels = new Uint8Array(3 * config.image ** 2).fill(40 * i);
    const image = core.imageFromPixels(pixels, config.image, config.image, 3);
    core.trainerAddImage(trainer, image, i);
    core.imageFree(image);
  }
  if (values.steps) while (!(await core.trainerAdvance(trainer))) continue;
  if (method !== 'cocoop') core.classifierTextFeatures(handle);
  return { planned: plan.total, used: core.memoryBytes, parts: plan.parts };
}

if (values.child) {
  console.log(JSON.stringify(await measure(JSON.parse(values.child))));
  process.exit();
}
if (!existsSync(path.join(folder, 'model.safetensors'))) await makeClip(folder, { preset: 'vit-b-16' });
let most = 0;
for (const method of positionals.length ? positionals : TRAINABLE) {
  for (const classes of values.classes.split(',').map(Number)) {
    for (const dtype of values.dtype.split(',')) {
      for (const recompute of [false, true]) {
        const row = { method, classes, dtype, recompute };
        const child = [...process.argv.slice(1), '--child', JSON.stringify(row)];
        const { stdout, stderr, status } = spawnSync(process.execPath, child, { encoding: 'utf8' });
        if (status !== 0) {
          console.log(JSON.stringify(row), stderr.trim().split('\n').slice(-12).join(' '));
          process.exitCode = 1;
          continue;
        }
        const result = JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
        const off = result.planned / result.used - 1;
        most = Math.max(most, Math.abs(off));
        if (values.json) console.log(JSON.stringify({ ...row, ...result, off }));
        else {
          const [planned, used] = [result.planned, result.used].map((bytes) => `${Math.round(bytes / 1e6)} MB`);
          const way = `${method} ${classes} ${dtype}${recompute ? ' recompute' : ''}`;
          console.log(way.padEnd(36), planned.padStart(9), used.padStart(9), `${(100 * off).toFixed(1)} %`.padStart(8));
        }
      }
    }
  }
}
console.log(`off by ${(100 * most).toFixed(1)} % at most`);
