#!/usr/bin/env node
/**
 * What a plan of training says beside what training takes: every method with 10, 100, 1,000 and 5,000 classes, with
 * `recompute` and without, blocks' matrices kept in three ways, on a ViT-B/16 of random weights. Every row is a process
 * of its own. Where a run is refused, what the refusal offers is run instead.
 *
 *   ./run bench memory [METHOD...] [--classes N,...] [--dtype TYPE,...] [--limit MB] [--steps] [--plan] [--json]
 *
 * Memory is taken when a run begins, before the first step; --steps does one as well, which takes hours for all rows.
 * --plan runs nothing and loads a model once a type: what is planned for every row, and offered where it is refused.
 * The last column is the peak of the whole process: Node, its threads, what reads the model.
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
import { METHODS, TRAINABLE } from '../js/methods/methods.js';
import { promptSentences } from '../js/methods/sentences.js';
import { resolveSettings, trainedSizes } from '../js/methods/settings.js';
import { planTraining, requireMemory } from '../js/training/memory-plan.js';
import { makeClip } from '../tests/make-clip.js';
import { classNames } from './names.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = path.join(root, 'build/bench/vit-b-16-f32');
const BATCH = 4;
/** A row's own settings: one more row than the methods, of which only the first gets contexts for every class. */
const VARIANTS = { 'coop-csc': { method: 'coop', classSpecific: true } };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    classes: { type: 'string', default: '10,100,1000,5000' },
    dtype: { type: 'string', default: 'f32,f16,int8' },
    limit: { type: 'string' },
    steps: { type: 'boolean', default: false },
    plan: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    child: { type: 'string' },
  },
});
const memoryLimit = values.limit === undefined ? Infinity : 1e6 * Number(values.limit);
const optionsOf = (row) => VARIANTS[row] ?? { method: row };

async function open(dtype) {
  const core = await createCore({ threads: 2 });
  return { core, ...(await loadModel(core, await openSource(folder), { dtype, tokens: 'needed' })) };
}

/** A classifier as a run has it, and its plan, or what the refusal says. */
async function prepare(model, { row, classes: count, recompute, batchSize = BATCH }) {
  const { core, clip, config, tokenizer, needTokens } = model;
  const { method, settings } = resolveSettings({ ...optionsOf(row), batchSize }, config);
  const classes = classNames(count);
  const { ids, nameLengths, phrase } = promptSentences(tokenizer, classes, method, settings);
  await needTokens([...ids.flat(2), ...(phrase ?? [])]);
  const handle = core.classifierCreate(clip, trainedSizes(method, settings, config), { ids, nameLengths });
  core.classifierInit(handle, settings.seed, phrase);
  core.classifierRecompute(handle, recompute);
  const run = { batchSize, pictures: batchSize, augment: settings.augment, recompute };
  const plan = planTraining(model, handle, run);
  let refused = '';
  try {
    requireMemory(model, handle, { ...run, memoryLimit });
  } catch (error) {
    refused = error.hint;
  }
  return { handle, plan, refused, method, classes, settings };
}

/**
 * Takes what a run takes.
 * @returns {Promise<{ planned: number, used: number, parts: number, peak: number } | { refused: string }>}
 */
async function measure({ dtype, ...way }) {
  const model = /** @type {any} */ (await open(dtype));
  const { core, config } = model;
  const { handle, plan, refused, method, classes, settings } = await prepare(model, way);
  if (refused) return { refused };
  // One of its templates takes what all of them take, one after the other.
  const { teacher } = METHODS[method];
  METHODS[method] = { ...METHODS[method], ...(teacher && { teacher: teacher.slice(0, 1) }) };
  await giveTeacher(model, handle, { method, classes, settings });
  const { batchSize: batch, learningRate: rate } = settings;
  const trainer = core.trainerCreate(handle, { ...settings, batch, rate, warmupRate: 1e-5 });
  for (let i = 0; i < batch; i++) {
    const pixels = new Uint8Array(3 * config.image ** 2).fill(40 * i);
    const image = core.imageFromPixels(pixels, config.image, config.image, 3);
    core.trainerAddImage(trainer, image, i);
    core.imageFree(image);
  }
  if (values.steps) while (!(await core.trainerAdvance(trainer))) continue;
  if (method !== 'cocoop') core.classifierTextFeatures(handle);
  const peak = 1024 * process.resourceUsage().maxRSS;
  return { planned: plan.total, used: core.memoryBytes, parts: plan.parts, peak };
}

const megabytes = (bytes) => `${Math.round(bytes / 1e6)} MB`;
const nameOf = ({ row, classes, dtype, recompute, batchSize }) =>
  `${row} ${classes} ${dtype}${recompute ? ' recompute' : ''}${batchSize ? ` batch ${batchSize}` : ''}`.padEnd(36);

/** What a refusal offers first, as a row. @param {string} hint */
function offered(way, hint) {
  const first = /^this would fit: (.*?) \(\d/.exec(hint)?.[1];
  if (!first) return null;
  return {
    ...way,
    ...(/recompute/.test(first) && { recompute: true }),
    ...(/int8/.test(first) && { dtype: 'int8' }),
    ...(/one picture/.test(first) && { batchSize: 1 }),
  };
}

let most = 0;
/** Runs a row in a process of its own; one that is refused as it is offered. */
function run(way) {
  const child = [...process.argv.slice(1), '--child', JSON.stringify(way)];
  const { stdout, stderr, status } = spawnSync(process.execPath, child, { encoding: 'utf8' });
  if (status !== 0) {
    console.log(nameOf(way), stderr.trim().split('\n').slice(-12).join(' '));
    process.exitCode = 1;
    return;
  }
  const result = JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
  if (result.refused !== undefined) {
    console.log(values.json ? JSON.stringify({ ...way, ...result }) : `${nameOf(way)} refused; ${result.refused}`);
    const other = offered(way, result.refused);
    if (other) run(other);
    return;
  }
  const off = result.planned / result.used - 1;
  most = Math.max(most, Math.abs(off));
  if (result.used > memoryLimit) process.exitCode = 1;
  if (values.json) console.log(JSON.stringify({ ...way, ...result, off }));
  else {
    const [planned, used, peak] = [result.planned, result.used, result.peak].map((each) => megabytes(each).padStart(9));
    console.log(nameOf(way), planned, used, `${(100 * off).toFixed(1)} %`.padStart(8), peak);
  }
}

if (values.child) {
  console.log(JSON.stringify(await measure(JSON.parse(values.child))));
  process.exit();
}
if (!existsSync(path.join(folder, 'model.safetensors'))) await makeClip(folder, { preset: 'vit-b-16' });
const rows = positionals.length ? positionals : [...TRAINABLE, ...Object.keys(VARIANTS)];
for (const dtype of values.dtype.split(',')) {
  const model = values.plan ? await open(dtype) : null;
  for (const row of rows)
    for (const classes of values.classes.split(',').map(Number))
      for (const recompute of [false, true]) {
        const way = { row, classes, dtype, recompute };
        if (!model) run(way);
        else {
          const { handle, plan, refused } = await prepare(model, way);
          model.core.classifierFree(handle);
          const { total, largest, parts } = plan;
          if (values.json) console.log(JSON.stringify({ ...way, planned: total, largest, parts, refused }));
          else console.log(nameOf(way), megabytes(total).padStart(9), refused && ` refused; ${refused}`);
        }
      }
  model?.core.dispose();
}
if (!values.plan) console.log(`off by ${(100 * most).toFixed(1)} % at most`);
