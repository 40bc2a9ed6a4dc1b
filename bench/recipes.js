#!/usr/bin/env node
/**
 * What so many seconds buy: every recipe once on a sample task, each from nothing (no features kept), with its test
 * accuracy and the seconds that it took to make; beside it the mean accuracy of all tasks, where it was measured. One
 * table on standard output; --svg draws the means over the seconds.
 *
 *   ./run bench recipes [--task zoo] [--threads 2] [--svg FILE]
 *
 * The means are those of bench/results/pictoclip, and recipes without one are left out: `instant.jsonl` (./run bench
 * instant) for heads, for prompts alone the tables of `few-shot-thorough` and `few-shot-fast` (of all seven tasks; f32
 * differs by 0.1).
 */
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { mean } from '../js/classifier/metrics.js';
import { loadClip } from '../js/index.js';
import { linePlotSvg } from '../js/node/charts.js';
import { optionsOf } from './options.js';
import { openTask, toExamples } from './tasks.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const values = optionsOf({ task: 'zoo', threads: '2', svg: undefined });

const results = (name) =>
  readFileSync(path.join(root, 'bench/results/pictoclip', name), 'utf8')
    .trim()
    .split('\n');

/** Of heads: mean of the tasks' means, in per cent. @param {string} part @param {number} views */
function meanOfHeads(part, views) {
  /** @type {Record<string, number[]>} */
  const tasks = {};
  for (const run of results('instant.jsonl').map((line) => JSON.parse(line))) {
    const isOf = run.shots === 16 && run.asked === 'auto' && run.part === part && (run.views ?? 1) === views;
    if (isOf) (tasks[run.task] ??= []).push(100 * run.accuracy);
  }
  return mean(Object.values(tasks).map(mean));
}

/** The same of MuDPT's prompts alone. @param {string[]} tables */
function meanOfPrompts(...tables) {
  const rows = tables.flatMap((name) => results(`${name}/few-shot.csv`)).map((line) => line.split(','));
  return mean(rows.filter((row) => row[3] === 'mudpt' && row[4] !== 'average').map((row) => Number(row[5])));
}

/** @type {{ name: string, options: any, mean: number, alone?: boolean }[]} */
const RECIPES = [
  { name: 'instant', options: { preset: 'instant' }, mean: meanOfHeads('all classes', 1) },
  { name: 'instant, 10 views', options: { preset: 'instant', views: 10 }, mean: meanOfHeads('all classes', 10) },
  { name: 'quick, head', options: { preset: 'quick', head: 'auto' }, mean: meanOfHeads('quick', 10) },
  { name: 'balanced, head', options: { preset: 'balanced', head: 'auto' }, mean: meanOfHeads('balanced', 10) },
  { name: 'paper', options: {}, mean: meanOfPrompts('few-shot-fast'), alone: true },
  {
    name: 'thorough',
    options: { preset: 'thorough' },
    mean: meanOfPrompts('few-shot-thorough', 'few-shot-thorough-2'),
    alone: true,
  },
];

const { classes, train, test, template } = await openTask(values.task);
const clip = await loadClip(path.join(root, 'models/pictoclip'), { threads: Number(values.threads) });
console.log(`| recipe | seconds on ${values.task} | accuracy there, % | mean of all tasks, % |\n|---|--:|--:|--:|`);
const measured = [];
for (const { name, options, ...known } of RECIPES.filter((recipe) => Number.isFinite(recipe.mean))) {
  await clip.forgetFeatures();
  const begun = performance.now();
  const named = options.preset === 'instant' ? { ...options, template } : options;
  const classifier = await clip.tune({ ...named, classes, examples: toExamples(train) }).finished;
  const seconds = (performance.now() - begun) / 1000;
  const { accuracy } = await classifier.evaluate(toExamples(test));
  await classifier.dispose();
  measured.push({ name, seconds, ...known });
  console.log(`| ${name} | ${seconds.toFixed(1)} | ${(100 * accuracy).toFixed(1)} | ${known.mean.toFixed(1)} |`);
}
await clip.dispose();

if (values.svg) {
  measured.sort((a, b) => a.seconds - b.seconds);
  const series = (name, alone) => ({
    name,
    values: measured.map((each) => (Boolean(each.alone) === alone ? each.mean : null)),
  });
  const svg = linePlotSvg({
    title: `16 pictures a class: accuracy of seven tasks over seconds on ${values.task}`,
    xLabel: 'seconds, on a logarithmic scale',
    yLabel: 'accuracy, %',
    xs: measured.map(({ seconds }) => seconds.toFixed(seconds < 10 ? 1 : 0)),
    places: measured.map(({ seconds }) => Math.log(seconds)),
    series: [series('a head, without or with prompts', false), series('prompts alone', true)],
  });
  await writeFile(values.svg, svg);
}
