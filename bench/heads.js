#!/usr/bin/env node
/**
 * Heads on the sample tasks beside PyTorch on the same features of the same pictures: test accuracy of each, and the
 * mean over tasks and seeds. docs/methods.md has the table.
 *
 *   PYTHON=python-that-has-torch ./run bench heads [--tasks zoo,food,…] [--shots 16] [--seeds 1,2,3]
 *
 * Batches are of other random orders there; whatever else is drawn is the same.
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { mean } from '../js/classifier/metrics.js';
import { HEADS } from '../js/heads/heads.js';
import { loadClip } from '../js/index.js';
import { drawer } from '../js/instant/draw.js';
import { packed, plainSource } from '../js/instant/source.js';
import { drawShots } from '../js/training/shots.js';
import { taskNames } from '../models/pictoclip/tasks/render.js';
import { optionsOf } from './options.js';
import { openTask, toExamples } from './tasks.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const values = optionsOf({ tasks: taskNames.join(), shots: '16', seeds: '1,2,3' });
/** Those of papers; ridge and logistic are the library's own. */
const PUBLISHED = Object.keys(HEADS).filter((head) => !['ridge', 'logistic'].includes(head));
const shots = Number(values.shots);

/** What the peer makes of it. @param {object} facts @param {Float32Array[]} blocks in the order that it reads them */
function inPytorch(facts, blocks) {
  const first = Buffer.from(`${JSON.stringify(facts)}\n`);
  const input = Buffer.concat([first, ...blocks.map((block) => Buffer.from(block.buffer, 0, block.byteLength))]);
  const program = [path.join(root, 'bench/peers/heads.py')];
  const { status, stdout, stderr } = spawnSync(process.env.PYTHON ?? 'python3', program, { input, maxBuffer: 1e9 });
  if (status !== 0) throw new Error(`PyTorch: ${stderr}`);
  return JSON.parse(String(stdout));
}

const clip = await loadClip(path.join(root, 'models/pictoclip'), { threads: 2 });
/** @type {Record<string, { ours: number[], theirs: number[] }>} */
const all = Object.fromEntries(PUBLISHED.map((head) => [head, { ours: [], theirs: [] }]));
for (const task of values.tasks.split(',')) {
  const { classes, train, test, template } = await openTask(task);
  const source = await plainSource(clip, classes, [template]);
  const [examples, tests] = [toExamples(train), toExamples(test)];
  const features = (pictures, before) =>
    source.rows(
      pictures.map(({ image }) => image),
      before,
    );
  const [support, supportBefore] = [await features(examples, false), await features(examples, true)];
  const [query, queryBefore] = [await features(tests, false), await features(tests, true)];
  const texts = packed((await source.texts(classes)).flat());
  const { data: projection } = await source.projection();
  const labels = train.map(({ label }) => label);
  for (const seed of values.seeds.split(',').map(Number)) {
    const { train: places } = drawShots(/** @type {any} */ (drawer), classes, labels, { shots, seed });
    const counts = { pictures: places.length, classes: classes.length };
    const settingsOf = ({ defaults, derived }) => ({ ...defaults, ...derived?.(counts) });
    const facts = {
      ...{ seed, scale: source.scale, width: support[0].length, unprojected: supportBefore[0].length, ...counts },
      labels: places.map((place) => labels[place]),
      answers: test.map(({ label }) => label),
      settings: Object.fromEntries(PUBLISHED.map((head) => [head, settingsOf(HEADS[head])])),
    };
    const drawn = [support, supportBefore].map((rows) => packed(places.map((place) => rows[place])));
    const theirs = inPytorch(facts, [texts, projection, ...drawn, packed(query), packed(queryBefore)]);
    for (const head of PUBLISHED) {
      const options = { preset: 'instant', head, seed, shots, template, views: 1 };
      const classifier = await clip.tune({ ...options, classes, examples }).finished;
      const { accuracy } = await classifier.evaluate(tests);
      await classifier.dispose();
      all[head].ours.push(100 * accuracy);
      all[head].theirs.push(100 * theirs[head]);
      const figures = [accuracy, theirs[head]].map((value) => (100 * value).toFixed(1).padStart(6)).join('');
      process.stdout.write(`${task.padEnd(8)} seed ${seed}  ${head.padEnd(8)}${figures}\n`);
    }
  }
  await source.dispose();
}
await clip.dispose();

process.stdout.write(`\nhead         mudpt  PyTorch  largest difference of a run\n`);
for (const [head, { ours, theirs }] of Object.entries(all)) {
  const most = Math.max(...ours.map((value, i) => Math.abs(value - theirs[i])));
  const columns = [mean(ours).toFixed(2).padStart(6), mean(theirs).toFixed(2).padStart(9), most.toFixed(2).padStart(7)];
  process.stdout.write(`${head.padEnd(12)}${columns.join('')}\n`);
}
