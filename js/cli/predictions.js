/**
 * What a classifier says of every picture, as a file: .csv, or .jsonl with one object a line. Of each picture its file
 * inside the data set, its class, the one that it was taken for, and every class's score.
 */
import { InvalidArgumentError } from 'commander';
import { MudptError } from '../base/errors.js';
import { measure } from '../classifier/metrics.js';
import { readGiven } from './given-file.js';
import { apart } from './terminal.js';

/** @typedef {{ file: string, true: string, predicted: string, scores?: Record<string, number> }} Prediction */

const FIRST = ['file', 'true', 'predicted'];

export function predictionsFile(text) {
  if (!/.\.(csv|jsonl)$/i.test(text)) throw new InvalidArgumentError('expected a name that ends in .csv or .jsonl');
  return text;
}

/**
 * Measures a classifier as evaluate() does, picture by picture.
 * @param {import('../index.js').Classifier | import('../index.js').InstantClassifier} classifier
 * @param {{ path: string, label: number }[]} examples
 * @param {(path: string) => string} nameOf  a picture's name in the file
 * @param {{ signal?: AbortSignal, onProgress: (done: number) => void }} options
 */
export async function predict(classifier, examples, nameOf, { signal, onProgress }) {
  const classes = apart(classifier.classes);
  const best = [];
  const shares = [];
  const predictions = [];
  for (const [i, { path, label }] of examples.entries()) {
    const answers = await classifier.classify(path, { topK: Infinity, signal });
    const [{ index, score }] = answers;
    best.push(index);
    shares.push(score);
    const scores = Object.fromEntries(answers.map((each) => [classes[each.index], Number(each.score.toPrecision(6))]));
    predictions.push({ file: nameOf(path), true: classes[label], predicted: classes[index], scores });
    onProgress(i + 1);
  }
  const labels = examples.map(({ label }) => label);
  return { result: measure(classifier.classes, labels, best, shares), predictions };
}

/** As RFC 4180 has it. */
const field = (value) => (/[",\r\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value));

/** @param {string} file its name says how @param {Prediction[]} predictions @param {string[]} names of the classes */
export function predictionsText(file, predictions, names) {
  if (/\.jsonl$/i.test(file)) return predictions.map((each) => `${JSON.stringify(each)}\n`).join('');
  const classes = apart(names);
  const rows = predictions.map((each) => [
    ...FIRST.map((key) => each[key]),
    ...classes.map((name) => each.scores?.[name] ?? 0),
  ]);
  return [[...FIRST, ...classes], ...rows].map((row) => `${row.map(field).join(',')}\r\n`).join('');
}

/** @param {string} file @returns {Promise<Prediction[]>} */
export async function readPredictions(file) {
  const hint = 'give what mudpt eval --predictions has written';
  const fail = (what) => new MudptError('file', `${file}: ${what}`, hint);
  const text = String(await readGiven(file, hint));
  const list = /\.jsonl$/i.test(file) ? fromLines(text, fail) : fromTable(text, fail);
  const bad = list.findIndex((each) => FIRST.some((key) => typeof each?.[key] !== 'string'));
  if (bad >= 0) throw fail(`its picture ${bad + 1} has no ${FIRST.join(', ')}`);
  if (!list.length) throw fail('has no pictures');
  if (new Set(list.map((each) => each.file)).size < list.length) throw fail('has a picture more than once');
  return list;
}

function fromLines(text, fail) {
  const lines = text.split(/\r?\n/).filter((line) => line.trim());
  return lines.map((line, i) => {
    try {
      return JSON.parse(line);
    } catch {
      throw fail(`line ${i + 1} is no JSON`);
    }
  });
}

function fromTable(text, fail) {
  const pattern = /(?:"((?:[^"]|"")*)"|([^,\r\n]*))(,|\r?\n|$)/gy;
  const rows = [];
  for (let row = []; pattern.lastIndex < text.length;) {
    const found = pattern.exec(text);
    if (!found) throw fail(`line ${rows.length + 1} is none of a table`);
    const [, quoted, plain, end] = found;
    row.push(quoted?.replaceAll('""', '"') ?? plain);
    if (end === ',') continue;
    rows.push(row);
    row = [];
  }
  const [head = [], ...others] = rows;
  if (FIRST.some((key, i) => head[i] !== key)) throw fail(`its first columns are not ${FIRST.join(', ')}`);
  return others.map((row) => Object.fromEntries(FIRST.map((key, i) => [key, row[i]])));
}
