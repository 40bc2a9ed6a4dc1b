/** mudpt eval: what it says, what it saves, what it refuses, and that its tables fit narrow terminals. */
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import pc from 'picocolors';
import { measure } from '../../js/classifier/metrics.js';
import { show } from '../../js/cli/eval.js';
import { width } from '../../js/cli/terminal.js';
import { CLASSES, makeDataset, mudpt as spawnMudpt, workFolder } from './command.js';

const cwd = workFolder();
const at = (...parts) => path.join(cwd, ...parts);
makeDataset(at('faces3'), 4);
const evaluate = (...args) => spawnMudpt(['eval', '--data', 'faces3', ...args], { cwd });

async function refused(args, message) {
  const { code, stdout, stderr } = await evaluate(...args);
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(stderr, /^mudpt: [^\n]+; \S[^\n]*\n$/);
  assert.match(stderr, message);
}

test('--json holds everything that was measured, --confusion FILE.json the matrix', async () => {
  const { code, stdout, stderr } = await evaluate('--json', '--confusion', 'matrix.json');
  assert.equal(code, 0, stderr);
  const result = JSON.parse(stdout);
  assert.deepEqual(Object.keys(result).sort(), [
    ...['accuracy', 'classes', 'classifier', 'confusion', 'count', 'ece', 'macroF1', 'method', 'part', 'perClass'],
    ...['precision', 'reliability', 'task'],
  ]);
  assert.equal(result.precision, 'high');
  assert.deepEqual([result.task, result.part, result.method, result.count], ['faces3', 'test', 'zeroshot', 12]);
  assert.deepEqual(result.classes, CLASSES);
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  assert.equal(sum(result.confusion.flat()), 12);

  // what the bins hold adds up to the figures beside them
  const filled = result.reliability.filter((bin) => bin.count);
  assert.equal(sum(filled.map((bin) => bin.count)), 12);
  assert.ok(Math.abs(sum(filled.map((bin) => bin.count * bin.accuracy)) / 12 - result.accuracy) < 1e-12);
  const gaps = filled.map((bin) => (bin.count / 12) * Math.abs(bin.accuracy - bin.score));
  assert.ok(Math.abs(sum(gaps) - result.ece) < 1e-12);
  for (const { from, to, score } of filled) assert.ok(from < score && score <= to + 1e-12 && from >= 0 && to <= 1);

  const { task, classes, confusion } = JSON.parse(readFileSync(at('matrix.json'), 'utf8'));
  assert.deepEqual({ task, classes, confusion }, { task: 'faces3', classes: CLASSES, confusion: result.confusion });
});

test('people get figures, a heat map and a picture of it', async () => {
  const { code, stdout, stderr } = await evaluate('--confusion', 'matrix.SVG', '--quiet');
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout, /^faces3: zeroshot on 12 pictures of 3 classes, precision high$/m);
  assert.match(stdout, /^ {2}calibration error +\d+\.\d %$/m);
  assert.match(stdout, /^ {2}class +accuracy +pictures +A B C$/m);
  assert.match(stdout, /^ {2}clown face +\d+\.\d % +4 +A([░▒▓█]{2}| ·){3}$/m);
  assert.match(stdout, /^Confusion matrix saved in matrix\.SVG$/m);
  assert.match(readFileSync(at('matrix.SVG'), 'utf8'), /^<svg .*<title>faces3: zeroshot, \d+\.\d % of 12 pictures/s);
  assert.doesNotMatch(stdout, /\x1b/);
});

test('what cannot be is refused before anything is loaded, and nothing is written', async () => {
  mkdirSync(at('folder.svg'));
  const before = readdirSync(cwd);
  await refused(['--confusion', 'matrix.png'], /--confusion: "matrix.png" is not possible; expected .*\.svg or \.json/);
  await refused(['--confusion', '.svg'], /is not possible/);
  await refused(['--confusion', 'nowhere/matrix.svg'], /its folder does not exist; .* --confusion$/m);
  await refused(['--confusion', 'folder.svg'], /is not a file that can be replaced; give --confusion /);
  await refused(['--part', 'val'], /faces3: has no part val; --part can be test, train$/m);
  assert.deepEqual(readdirSync(cwd), before);
});

test('a classifier of other classes is refused with the classes that it knows', async () => {
  const run = (...args) => spawnMudpt(args, { cwd });
  const quick = ['--shots', '1', '--epochs', '1', '--depth', '1', '--no-augment', '--out', 'three.safetensors'];
  assert.equal((await run('train', '--data', 'faces3', '--quiet', ...quick)).code, 0);
  makeDataset(at('other'), 1);
  for (const part of ['train', 'test']) {
    for (const name of ['cat', 'dog']) {
      mkdirSync(at('other', part, name));
      const [file] = readdirSync(at('other', part, 'clown_face'));
      copyFileSync(at('other', part, 'clown_face', file), at('other', part, name, file));
    }
  }
  const { code, stderr } = await run(
    ...['eval', '--data', 'other', '--classifier', 'three.safetensors', '--confusion', 'other.svg'],
  );
  assert.equal(code, 1);
  assert.match(stderr, /^mudpt: other: class "cat" is not one of three\.safetensors \(2 of 5 are not\), which knows /);
  assert.match(stderr, / clown face, [^\n]+; train on these classes first/);
  assert.ok(!existsSync(at('other.svg')));
});

test('classes that differ by case alone are told apart by what is written', async () => {
  const run = (...args) => spawnMudpt(args, { cwd });
  const added = await run('add-classes', 'three.safetensors', '--classes', 'Clown Face,zebra', '--out', 'five');
  assert.equal(added.code, 0, added.stderr);
  const { stdout } = await evaluate('--classifier', 'five', '--json');
  const { perClass } = JSON.parse(stdout);
  const counts = Object.fromEntries(perClass.map(({ label, count }) => [label, count]));
  assert.deepEqual([counts['clown face'], counts['Clown Face']], [4, 0]);
});

// ------------------------------------------------------------------------------------------ narrow terminals

/** Lines that are shown for so many classes, every second picture mistaken, on so many columns. */
function shown(classes, columns) {
  const labels = classes.flatMap((_, i) => [i, i]);
  const predictions = labels.map((label, i) => (i % 2 ? label : (label + 1) % classes.length));
  const result = measure(classes, labels, predictions, new Array(labels.length).fill(0.5));
  const lines = [];
  const terminal = { columns: () => columns, colors: pc.createColors(false), print: (line = '') => lines.push(line) };
  show(/** @type {any} */ (terminal), { method: 'mudpt', precision: 'high', classes }, result, {
    name: 'task',
    classes,
  });
  return lines;
}

const many = (count) => Array.from({ length: count }, (_, i) => `class ${i} with quite a long name, 名前`);

test('everything fits, from 40 columns on; the map is there where there is room', () => {
  for (const columns of [40, 60, 80, 200]) {
    for (const count of [2, 3, 10, 20, 52, 53, 300]) {
      for (const line of shown(many(count), columns)) assert.ok(width(line) <= columns, `${columns}: ${line}`);
    }
  }
  const mapped = (count, columns) => shown(many(count), columns).some((line) => /▒▒|██/.test(line));
  assert.deepEqual(
    [mapped(20, 80), mapped(52, 200), mapped(53, 200), mapped(20, 40), mapped(2, 40)],
    [true, true, false, false, true],
  );
});

test('of very many classes the worst are shown, and the pairs that are mistaken most', () => {
  const lines = shown(many(300), 80);
  assert.ok(lines.length < 50, `${lines.length} lines`);
  assert.ok(lines.some((line) => /20 classes that do worst, of 300; --json lists all/.test(line)));
  assert.ok(lines.some((line) => /^ {2}class 0 .*class 1 .* 1$/.test(line)));
});
