#!/usr/bin/env node
/**
 * How the settings of a method's paper carry over to another model: accuracy on the pictures that training has not
 * drawn, before and after, over multiples of the paper's learning rate. Test pictures are never looked at. One line of
 * JSON a run, appended to --log; what is there already is not done again.
 *
 *   ./run bench learning-rate [--tasks zoo,food,faces,kinds] [--methods mudpt] [--factors 1,2,4,8,16,32]
 *       [--crops 0.08] [--epochs 10] [--shots 16] [--seeds 1,2] [--model DIR] [--threads 2] [--log FILE]
 */
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { createCore } from '../js/core/core.js';
import { loadClip } from '../js/index.js';
import { mean } from '../js/classifier/metrics.js';
import { drawShots } from '../js/training/shots.js';
import { optionsOf } from './options.js';
import { openTask } from './tasks.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const values = optionsOf({
  tasks: 'zoo,food,faces,kinds',
  methods: 'mudpt',
  factors: '1,2,4,8,16,32',
  crops: '0.08',
  epochs: '10',
  shots: '16',
  seeds: '1,2',
  model: path.join(root, 'models/pictoclip'),
  threads: '2',
  log: path.join(root, 'build/bench/learning-rate.jsonl'),
});
const list = (name) => values[name].split(',');
const numbers = (name) => list(name).map(Number);
const round = (value) => Number(value.toFixed(4));

await mkdir(path.dirname(values.log), { recursive: true });
const lines = (await readFile(values.log, 'utf8').catch(() => '')).split('\n').filter(Boolean);
const keyOf = ({ held: _, zeroShot: __, tuned: ___, losses: ____, ...run }) => JSON.stringify(run);
const known = new Set(lines.map((line) => keyOf(JSON.parse(line))));

const core = await createCore({ threads: 1 });
const clip = await loadClip(values.model, { threads: Number(values.threads) });
const paper = Object.fromEntries(clip.methods().map(({ method, settings }) => [method, settings.learningRate]));

async function measure(dataset, method, settings) {
  const { classes, train, template } = dataset;
  const examples = train.map(({ path: image, label }) => ({ image, label }));
  const drawn = drawShots(
    core,
    classes,
    train.map(({ label }) => label),
    settings,
  );
  const held = examples.filter((_, index) => !drawn.train.includes(index));
  const plain = await clip.zeroShot(classes, { template });
  const job = clip.tune({ ...settings, method, classes, examples });
  const losses = [];
  for await (const { epoch, loss } of job) (losses[epoch - 1] ??= []).push(loss);
  const tuned = await job.finished;
  const accuracy = async (classifier) => round((await classifier.evaluate(held)).accuracy);
  const result = { held: held.length, zeroShot: await accuracy(plain), tuned: await accuracy(tuned) };
  await plain.dispose();
  await tuned.dispose();
  return { ...result, losses: losses.map(mean).map(round) };
}

for (const seed of numbers('seeds'))
  for (const epochs of numbers('epochs'))
    for (const shots of numbers('shots'))
      for (const smallestCrop of numbers('crops'))
        for (const factor of numbers('factors'))
          for (const method of list('methods'))
            for (const task of list('tasks')) {
              const model = path.basename(values.model);
              const run = { model, task, method, seed, epochs, shots, smallestCrop, factor };
              if (known.has(keyOf(run))) continue;
              const dataset = await openTask(task);
              const settings = { epochs, shots, smallestCrop, seed, learningRate: paper[method] * factor };
              const line = JSON.stringify({ ...run, ...(await measure(dataset, method, settings)) });
              await appendFile(values.log, `${line}\n`);
              console.log(line);
            }
await clip.dispose();
core.dispose();
