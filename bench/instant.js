#!/usr/bin/env node
/**
 * Instant answers on the sample tasks: test accuracy of every head and of what `auto` takes, by shots and seeds,
 * with the seconds of features, choice and head together; and base-to-new, where the first half of the classes is
 * learned and the others come as names. One line of JSON a run, appended to --log; what is there is not done again.
 *
 *   ./run bench instant [--tasks zoo,food,…] [--shots 16] [--seeds 1,2,3] [--heads auto,clap,…] [--new] [--threads 2]
 *       [--preset quick] [--views 10] [--model DIR] [--log FILE]
 *
 * With a preset of prompts (MuDPT's) the heads stand on these; none: prompts alone.
 */
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { HEADS } from '../js/heads/heads.js';
import { loadClip } from '../js/index.js';
import { taskNames } from '../models/pictoclip/tasks/render.js';
import { optionsOf } from './options.js';
import { openTask, toExamples } from './tasks.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const values = optionsOf({
  tasks: taskNames.join(),
  shots: '16',
  seeds: '1,2,3',
  heads: ['auto', 'none', ...Object.keys(HEADS)].join(),
  preset: 'instant',
  views: '1',
  new: false,
  threads: '2',
  model: path.join(root, 'models/pictoclip'),
  log: path.join(root, 'build/bench/instant.jsonl'),
});
const list = (name) => values[name].split(',');
const round = (value) => Number(value.toFixed(4));

await mkdir(path.dirname(values.log), { recursive: true });
const lines = (await readFile(values.log, 'utf8').catch(() => '')).split('\n').filter(Boolean);
const keyOf = ({ task, model, shots, seed, asked, part, views = 1 }) =>
  JSON.stringify([task, model, shots, seed, asked, part, views]);
const known = new Set(lines.map((line) => keyOf(JSON.parse(line))));
const clip = await loadClip(values.model, { threads: Number(values.threads) });
const model = path.basename(values.model);

/** Share of pictures whose best class among those from `first` on is theirs. */
async function accuracyAmong(classifier, pictures, first) {
  let right = 0;
  for (const { path: image, label } of pictures) {
    const all = await classifier.classify(image, { topK: Infinity });
    right += Number(all.find(({ index }) => index >= first).index === label);
  }
  return round(right / pictures.length);
}

/** @param {any} data @param {any} run */
async function measure({ classes, train, test, template }, { seed, shots, asked }) {
  const { preset } = values;
  const named = { preset, seed, shots, ...(preset === 'instant' && { template }), views: Number(values.views) };
  const how = asked === 'new-names' ? { goal: asked } : { head: asked };
  const begun = performance.now();
  const classifier = await clip.tune({ ...named, ...how, classes, examples: toExamples(train) }).finished;
  const seconds = round((performance.now() - begun) / 1000);
  const { accuracy, macroF1, ece } = await classifier.evaluate(toExamples(test));
  const { heldOut = [], head } = classifier;
  await classifier.dispose();
  const figures = Object.fromEntries(Object.entries({ accuracy, macroF1, ece }).map(([key, of]) => [key, round(of)]));
  const chosen = heldOut.map(({ loss, ...each }) => {
    return { ...each, accuracy: round(each.accuracy), ...(loss !== undefined && { loss: round(loss) }) };
  });
  return { head: head ?? 'none', ...figures, seconds, heldOut: chosen };
}

/** @param {any} data @param {any} run */
async function measureNew({ classes, train, test, template }, { seed, shots, asked }) {
  const half = Math.ceil(classes.length / 2);
  const base = (pictures) => pictures.filter(({ label }) => label < half);
  const named = { preset: 'instant', seed, shots, template, views: Number(values.views) };
  const how = asked === 'new-names' ? { goal: asked } : { head: asked };
  const examples = toExamples(base(train));
  const classifier = await clip.tune({ ...named, ...how, classes: classes.slice(0, half), examples }).finished;
  const wider = await classifier.withClasses(classes.slice(half));
  const { accuracy } = await classifier.evaluate(toExamples(base(test)));
  const others = test.filter(({ label }) => label >= half);
  const result = {
    head: classifier.head ?? 'none',
    base: round(accuracy),
    new: await accuracyAmong(wider, others, half),
    all: round((await wider.evaluate(toExamples(test))).accuracy),
  };
  await wider.dispose();
  await classifier.dispose();
  return result;
}

for (const task of list('tasks')) {
  const data = await openTask(task);
  await clip.forgetFeatures();
  for (const shots of list('shots').map(Number))
    for (const seed of list('seeds').map(Number))
      for (const asked of list('heads')) {
        const part = values.new ? 'base-to-new' : values.preset === 'instant' ? 'all classes' : values.preset;
        const run = { task, model, shots, seed, asked, part, views: Number(values.views) };
        if (known.has(keyOf(run))) continue;
        if (values.new && HEADS[asked]?.newNames === false) continue;
        if (asked === 'auto' && seed === 1) await clip.forgetFeatures(); // its seconds are those of a first time
        const result = await (values.new ? measureNew : measure)(data, run);
        await appendFile(values.log, `${JSON.stringify({ ...run, ...result })}\n`);
      }
}
await clip.dispose();
