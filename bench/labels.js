#!/usr/bin/env node
/**
 * What features say beyond the class: none of these, wrong labels, which picture to label next, calibrated scores; each
 * beside what is simpler, on the sample tasks. docs/methods.md has the tables.
 *
 *   ./run bench labels [none audit suggest calibrate] [--tasks zoo,food,…] [--model DIR] [--threads 2]
 *
 * none:      half of the classes (the first, then the second) are known by 16 pictures a class, seeds 1 to 3; test
 *            pictures of all classes
 * audit:     16 pictures a class, of which a share has a random wrong label
 * suggest:   0, 1 and 4 pictures a class have labels; as many as there are classes are chosen, three times
 * calibrate: 16 pictures a class, temperature of five folds, measured on the test pictures
 */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { eceOf, temperatureOf } from '../js/classifier/calibrate.js';
import { argmax, mean, softmax } from '../js/classifier/metrics.js';
import { createCore } from '../js/core/core.js';
import { auditLabels } from '../js/features/audit.js';
import { choosePictures, unsureOf } from '../js/features/suggest.js';
import { Unknown, auroc, passing } from '../js/features/unknown.js';
import { createHead, startHeads } from '../js/heads/heads.js';
import { loadClip } from '../js/index.js';
import { taskNames } from '../models/pictoclip/tasks/render.js';
import { openTask } from './tasks.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    tasks: { type: 'string', default: taskNames.join(',') },
    model: { type: 'string', default: path.join(root, 'models/pictoclip') },
    threads: { type: 'string', default: '2' },
  },
});
const PARTS = { none, audit, suggest, calibrate };
const SEEDS = [1, 2, 3];
const tasks = values.tasks.split(',');

const clip = await loadClip(values.model, { threads: Number(values.threads) });
const core = await createCore({ threads: 1 });
const library = await startHeads();
const scale = clip.info.logitScale;

// ------------------------------------------------------------------------------------------------ rows of numbers

const dot = (a, b) => a.reduce((sum, value, k) => sum + value * b[k], 0);
const rowsOf = ({ data, dims: [count, width] }) =>
  Array.from({ length: count }, (_, i) => data.subarray(i * width, (i + 1) * width));
const featuresOf = (rows) => {
  const width = rows[0]?.length ?? 0;
  const data = new Float32Array(rows.length * width);
  rows.forEach((row, i) => data.set(row, i * width));
  return { data, dims: [rows.length, width] };
};
const logitsOf = (row, texts) => texts.map((text) => scale * dot(row, text));
const logSum = (logits) => {
  const most = Math.max(...logits);
  return most + Math.log(logits.reduce((sum, value) => sum + Math.exp(value - most), 0));
};
const random = (seed) => () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32;

/** Of a task: texts, training and test pictures with labels, what seeds draw. */
async function open(name) {
  const { classes, template = 'a photo of a {}.', train, test } = await openTask(name);
  const embed = async (examples) => rowsOf(await clip.embedImages(examples.map((example) => example.path)));
  const texts = rowsOf(await clip.embedTexts(classes.map((each) => template.replace('{}', each))));
  const labels = train.map(({ label }) => label);
  const drawn = SEEDS.map((seed) => Array.from(core.sampleShots(labels, classes.length, 16, seed)));
  const all = { texts, train: await embed(train), test: await embed(test), labels, drawn };
  return { name, ...all, testLabels: test.map(({ label }) => label) };
}

/** Means over tasks of means over runs: rows by name, a column a task and their mean for each figure. */
class Table {
  #rows = new Map();
  add(row, task, figures) {
    if (!this.#rows.has(row)) this.#rows.set(row, new Map(tasks.map((each) => [each, []])));
    this.#rows.get(row).get(task).push(figures);
  }
  print(title, names) {
    console.log(
      `\n${title}\n${''.padEnd(30)}${tasks.map((each) => each.padStart(8)).join('')}  mean of ${names.join(', ')}`,
    );
    for (const [row, runs] of this.#rows) {
      const per = tasks.map((task) => names.map((_, k) => mean(runs.get(task).map((figures) => figures[k]))));
      const all = names.map((_, k) => (100 * mean(per.map((figures) => figures[k]))).toFixed(1).padStart(7));
      console.log(
        `${row.padEnd(30)}${per.map(([first]) => (100 * first).toFixed(1).padStart(8)).join('')}  ${all.join('')}`,
      );
    }
  }
}

// ------------------------------------------------------------------------------------------------ none of these

/** Mahalanobis distance to the nearest class, of one covariance shrunk by half (Lee et al., NeurIPS 2018). */
function mahalanobis(rows, labels) {
  const width = rows[0].length;
  const means = new Map(
    [...new Set(labels)].map((label) => {
      const own = rows.filter((_, i) => labels[i] === label);
      return [label, own[0].map((_, k) => mean(own.map((row) => row[k])))];
    }),
  );
  const lower = Array.from({ length: width }, () => new Float64Array(width));
  for (const [i, row] of rows.entries()) {
    const away = row.map((value, k) => value - means.get(labels[i])[k]);
    for (let a = 0; a < width; a++) for (let b = 0; b <= a; b++) lower[a][b] += (away[a] * away[b]) / rows.length;
  }
  const variance = mean(lower.map((row, a) => row[a]));
  for (let a = 0; a < width; a++) {
    for (let b = 0; b <= a; b++) {
      let sum = lower[a][b] / 2 + (a === b ? variance / 2 : 0);
      for (let k = 0; k < b; k++) sum -= lower[a][k] * lower[b][k];
      lower[a][b] = a === b ? Math.sqrt(sum) : sum / lower[b][b];
    }
  }
  return (row) => {
    const distances = [...means.values()].map((middle) => {
      const solved = new Float64Array(width);
      for (let a = 0; a < width; a++) {
        let sum = row[a] - middle[a];
        for (let k = 0; k < a; k++) sum -= lower[a][k] * solved[k];
        solved[a] = sum / lower[a][a];
      }
      return dot(solved, solved);
    });
    return -Math.min(...distances);
  };
}

async function none(data) {
  const [table, alarms] = [new Table(), new Table()];
  for (const { name, texts, train, test, labels, testLabels, drawn } of data) {
    for (const half of [0, 1]) {
      const first = (label) => label < Math.ceil(texts.length / 2) === (half === 0);
      const own = texts.filter((_, label) => first(label));
      for (const shots of drawn.map((all) => all.filter((i) => first(labels[i])))) {
        const rows = shots.map((i) => train[i]);
        const unknown = new Unknown(featuresOf(rows), featuresOf(own));
        const alone = new Unknown(featuresOf(rows), null);
        const distance = mahalanobis(
          rows,
          shots.map((i) => labels[i]),
        );
        const fits = {
          'max softmax of the text': (row) => Math.max(...softmax(logitsOf(row, own))),
          'energy of the text': (row) => logSum(logitsOf(row, own)),
          'largest cosine with a text': (row) => Math.max(...logitsOf(row, own)),
          Mahalanobis: distance,
          'nearest picture, 5th': (row) => rows.map((each) => dot(each, row)).sort((a, b) => b - a)[4],
          'nearest picture': (row) => Math.max(...rows.map((each) => dot(each, row))),
          'nearest, from the middle': (row) => alone.fit(row),
          'the same and half the text': (row) => unknown.fit(row),
        };
        for (const [row, fit] of Object.entries(fits)) {
          const all = test.map(fit);
          const [known, others] = [true, false].map((is) => all.filter((_, i) => first(testLabels[i]) === is));
          table.add(row, name, [auroc(known, others), passing(known, others)]);
        }
        for (const rate of [0.05, 0.1, 0.2]) {
          const told = test.map((row) => unknown.scoreOf(unknown.fit(row)) > 1 - rate);
          const share = (is) => mean(told.filter((_, i) => first(testLabels[i]) === is).map(Number));
          alarms.add(`false alarms wanted ${rate}`, name, [share(true), share(false)]);
        }
      }
    }
  }
  table.print('None of these: AUROC', ['AUROC', 'FPR at 95 %']);
  alarms.print('None of these: false alarms found', ['false alarms', 'found of the unknown']);
}

// ------------------------------------------------------------------------------------------------ wrong labels

async function audit(data) {
  const table = new Table();
  for (const { name, texts, train, labels, drawn } of data) {
    for (const [s, shots] of drawn.entries()) {
      for (const rate of [0, 0.05, 0.1, 0.2]) {
        const next = random(1000 * rate + s + texts.length);
        for (let i = 0; i < 9; i++) next();
        const rows = shots.map((i) => train[i]);
        const truth = shots.map((i) => labels[i]);
        const given = truth.map((label) =>
          next() < rate ? (label + 1 + Math.floor(next() * (texts.length - 1))) % texts.length : label,
        );
        const planted = given.filter((label, i) => label !== truth[i]).length;
        /** @param {{ index: number, like: number, is: boolean }[]} order the most suspicious first */
        const judge = (row, order) => {
          const isWrong = ({ index }) => given[index] !== truth[index];
          let found = 0;
          const precisions = order.flatMap((each, k) => (isWrong(each) ? [++found / (k + 1)] : []));
          const told = order.filter(({ is }) => is);
          const right = told.filter(isWrong);
          const likes = right.filter(({ index, like }) => like === truth[index]);
          const figures = planted
            ? [mean(precisions), told.length ? right.length / told.length : 1, right.length / planted]
            : [0, 0, 0];
          const like = right.length ? likes.length / right.length : 1;
          table.add(`${rate * 100} % wrong: ${row}`, name, [...figures, told.length / given.length, like]);
        };
        const byMargin = (said) =>
          said
            .map((logits, index) => {
              const own = logits[given[index]];
              const others = logits.map((value, c) => (c === given[index] ? -Infinity : value));
              return { index, like: argmax(others), by: Math.max(...others) - own };
            })
            .sort((a, b) => b.by - a.by)
            .map(({ by, ...each }) => ({ ...each, is: by > 0 }));
        const texted = rows.map((row) => logitsOf(row, texts));
        const tip = rows.map((row, i) => {
          const logits = [...texted[i]];
          rows.forEach((other, j) => j !== i && (logits[given[j]] += 10 * Math.exp(-5.5 * (1 - dot(row, other)))));
          return logits;
        });
        judge('text says otherwise', byMargin(texted));
        judge('Tip-Adapter without it', byMargin(tip));
        judge(
          'confident learning',
          confident(
            tip.map((logits) => softmax(logits)),
            given,
          ),
        );
        const what = {
          pictures: featuresOf(rows),
          labels: given,
          texts: featuresOf(texts),
          classes: texts.length,
        };
        const { wrong } = await auditLabels(what);
        judge(
          'audit',
          wrong.map((each) => ({ ...each, is: each.wrong > 0.5 })),
        );
      }
    }
  }
  table.print('Wrong labels: average precision', ['average precision', 'precision', 'recall', 'told', 'right class']);
}

/** Northcutt et al., 2021: another class has at least the mean score of the pictures that are called so. */
function confident(scores, labels) {
  const least = scores[0].map((_, c) => {
    const own = scores.filter((_, i) => labels[i] === c).map((row) => row[c]);
    return own.length ? mean(own) : 1;
  });
  return scores
    .map((row, index) => {
      const others = row.map((score, c) => (c !== labels[index] && score >= least[c] ? score : -1));
      const by = Math.max(...others) - row[labels[index]];
      return { index, like: argmax(others), by, is: by > 0 };
    })
    .sort((a, b) => b.by - a.by);
}

// ------------------------------------------------------------------------------------------------ which next

async function suggest(data) {
  const table = new Table();
  for (const { name, texts, train, test, labels, testLabels } of data) {
    /** Tip-Adapter's logits. */
    const said = (row, known) => {
      const logits = logitsOf(row, texts);
      for (const j of known) logits[labels[j]] += 10 * Math.exp(-5.5 * (1 - dot(row, train[j])));
      return logits;
    };
    const accuracy = (known) => mean(test.map((row, i) => Number(argmax(said(row, known)) === testLabels[i])));
    for (const start of [0, 1, 4]) {
      for (const seed of SEEDS) {
        const next = random(seed * 7919 + start);
        const mixed = train.map((_, i) => ({ i, at: next() })).sort((a, b) => a.at - b.at);
        const order = mixed.map(({ i }) => i);
        const counts = texts.map(() => 0);
        const begun = order.filter((i) => counts[labels[i]]++ < start);
        const unsureIn = (pool, known) => pool.map((i) => unsureOf(softmax(said(train[i], known))));
        const farthest = (pool, known) => {
          const nearest = pool.map((i) => Math.max(-1, ...known.map((j) => dot(train[i], train[j]))));
          return texts.map(() => {
            const at = nearest.reduce((least, value, k) => (value < nearest[least] ? k : least), 0);
            pool.forEach((i, k) => (nearest[k] = Math.max(nearest[k], dot(train[i], train[pool[at]]))));
            nearest[at] = Infinity;
            return pool[at];
          });
        };
        const ways = {
          random: (pool) => pool.slice(0, texts.length),
          'smallest margin': (pool, known) => {
            const unsure = unsureIn(pool, known);
            const places = pool.map((_, k) => k).sort((a, b) => unsure[b] - unsure[a]);
            return places.slice(0, texts.length).map((k) => pool[k]);
          },
          'farthest from what is known': farthest,
          suggest: (pool, known) => {
            const pictures = featuresOf(pool.map((i) => train[i]));
            const labelled = known.length ? featuresOf(known.map((i) => train[i])) : null;
            return choosePictures(pictures, unsureIn(pool, known), texts.length, labelled).map((k) => pool[k]);
          },
        };
        for (const [way, choose] of Object.entries(ways)) {
          const known = [...begun];
          const figures = SEEDS.map(() => {
            const has = new Set(known);
            known.push(
              ...choose(
                order.filter((i) => !has.has(i)),
                known,
              ),
            );
            return accuracy(known);
          });
          table.add(`${start} a class, ${way}`, name, figures);
        }
      }
    }
  }
  table.print('Which next: accuracy after one choice', ['one', 'two', 'three choices']);
}

// ------------------------------------------------------------------------------------------------ calibrated scores

const FOLDS = 5;

async function calibrate(data) {
  const table = new Table();
  for (const { name, texts, train, test, labels, testLabels, drawn } of data) {
    for (const [s, shots] of drawn.entries()) {
      const classes = { data: featuresOf(texts).data, dims: [1, texts.length, texts[0].length] };
      const askHead = (head, known, asked) => {
        const { data: pictures, dims } = featuresOf(known.map((i) => train[i]));
        const own = known.map((i) => labels[i]);
        const options = {
          head,
          scale,
          seed: s + 1,
          labels: own,
          classes,
          pictures: { data: pictures, dims: [1, ...dims] },
        };
        const made = createHead(library, options);
        for (const _ of made.train());
        const found = made.logits(featuresOf(asked).data);
        made.dispose();
        return asked.map((_, i) => found.subarray(i * texts.length, (i + 1) * texts.length));
      };
      const heads = { 'zero-shot': (_, asked) => asked.map((row) => logitsOf(row, texts)) };
      for (const head of ['tip', 'tip-f', 'clap']) heads[head] = (known, asked) => askHead(head, known, asked);
      for (const [row, ask] of Object.entries(heads)) {
        // Shots stand class by class, so that every fold has all classes.
        const held = Array.from({ length: FOLDS }, (_, fold) => shots.filter((_, i) => i % FOLDS === fold));
        const logits = held.flatMap((out) => {
          const rest = shots.filter((i) => !out.includes(i));
          return ask(
            rest,
            out.map((i) => train[i]),
          );
        });
        const temperature = temperatureOf(
          logits,
          held.flat().map((i) => labels[i]),
        );
        const tested = ask(shots, test);
        table.add(row, name, [
          eceOf(tested, testLabels),
          eceOf(
            tested,
            testLabels,
            tested.map(() => temperature),
          ),
        ]);
      }
    }
  }
  table.print('Calibration error before', ['before', 'after']);
}

const wanted = positionals.length ? positionals : Object.keys(PARTS);
const strange = wanted.find((part) => !Object.hasOwn(PARTS, part));
if (strange) throw new Error(`there is no part ${strange}; there are ${Object.keys(PARTS).join(', ')}`);
const data = [];
for (const name of tasks) data.push(await open(name));
for (const part of wanted) await PARTS[part](data);
await clip.dispose();
core.dispose();
library.dispose();
