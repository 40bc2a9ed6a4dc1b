/** Predictions of every picture as a file, and McNemar's exact test between two. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import { compare, mcNemar } from '../../js/protocol/significance.js';
import { makeDataset, mudpt, workFolder } from './command.js';

const cwd = workFolder();
const at = (...parts) => path.join(cwd, ...parts);
const run = (...args) => mudpt(args, { cwd });
const near = (got, want) => assert.ok(Math.abs(got - want) <= 1e-9 * want, `${got}, and ${want} is right`);

before(() => makeDataset(at('faces3'), 3));

test('McNemar’s exact test: tails of the binomial, of few pictures and of many', () => {
  near(mcNemar(1, 9), (2 * (1 + 10)) / 2 ** 10);
  near(mcNemar(9, 1), (2 * (1 + 10)) / 2 ** 10);
  near(mcNemar(0, 6), 2 / 2 ** 6);
  assert.deepEqual([mcNemar(0, 0), mcNemar(5, 5), mcNemar(1, 1)], [1, 1, 1]);
  near(mcNemar(5, 6), 1);
  // 2 sum of C(2000, k) / 2^2000 for k to 900, in exact fractions.
  let [sum, choose] = [0n, 1n];
  for (let k = 0n; k <= 900n; k++) {
    sum += choose;
    choose = (choose * (2000n - k)) / (k + 1n);
  }
  near(mcNemar(900, 1100), Number((sum * 2n * 10n ** 20n) / 2n ** 2000n) / 1e20);
});

test('only pictures that both have are compared', () => {
  const of = (file, right) => ({ file, true: 'a', predicted: right ? 'a' : 'b' });
  const first = [of('1', true), of('2', true), of('3', false), of('4', false), of('5', true)];
  const second = [of('2', false), of('1', true), of('4', false), of('3', true), of('6', true)];
  assert.deepEqual(compare(first, second), {
    ...{ pictures: 4, accuracy: [0.5, 0.5], both: 1, only: [1, 1], neither: 1, p: 1 },
  });
});

test('mudpt eval --predictions and mudpt compare', async () => {
  const evaluate = async (file, template) => {
    const flags = ['--data', 'faces3', '--template', template, '--threads', '1', '--predictions', file, '--json'];
    const { code, stdout, stderr } = await run('eval', ...flags);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
  };
  const [one, two] = [await evaluate('one.csv', 'a photo of a {}.'), await evaluate('two.jsonl', 'x {} x')];
  const plain = await run('eval', '--data', 'faces3', '--template', 'x {} x', '--threads', '1', '--json');
  assert.deepEqual(JSON.parse(plain.stdout), two, 'picture by picture it is what it is together');
  const lines = readFileSync(at('one.csv'), 'utf8').trimEnd().split('\r\n');
  assert.equal(lines[0], 'file,true,predicted,clown face,face with medical mask,nauseated face');
  assert.equal(lines.length, 1 + 9);
  const each = readFileSync(at('two.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  for (const { file, scores, predicted } of each) {
    assert.match(file, /^test\//);
    const values = /** @type {[string, number][]} */ (Object.entries(scores));
    assert.ok(Math.abs(values.reduce((sum, [, score]) => sum + score, 0) - 1) < 1e-4);
    assert.equal(values.sort((a, b) => b[1] - a[1])[0][0], predicted);
  }
  const { code, stdout, stderr } = await run('compare', 'one.csv', 'two.jsonl', '--json');
  assert.equal(code, 0, stderr);
  const found = JSON.parse(stdout);
  assert.deepEqual(found.accuracy, [one.accuracy, two.accuracy]);
  assert.equal(found.pictures, 9);
  near(found.p, mcNemar(found.only[0], found.only[1]));
  assert.match(
    (await run('compare', 'one.csv', 'two.jsonl')).stdout,
    /McNemar's exact test, two-sided: p = [01]\.\d{4}/,
  );
});

test('refused: what is no file of predictions, or of other pictures', async () => {
  writeFileSync(at('a.jsonl'), '{"file": "1", "true": "a", "predicted": "a"}\n');
  writeFileSync(at('b.jsonl'), '{"file": "1", "true": "b", "predicted": "a"}\n');
  writeFileSync(at('c.jsonl'), '{"file": "2", "true": "b", "predicted": "a"}\n');
  writeFileSync(at('d.csv'), 'file,predicted\r\n1,a\r\n');
  writeFileSync(at('e.jsonl'), 'x');
  for (const [files, message] of /** @type {[string[], RegExp][]} */ ([
    [['a.jsonl', 'b.jsonl'], /^mudpt: 1 is "a" in a\.jsonl and "b" in b\.jsonl/],
    [['a.jsonl', 'c.jsonl'], /have no picture in common/],
    [['a.jsonl', 'd.csv'], /d\.csv: its first columns are not file, true, predicted/],
    [['e.jsonl', 'a.jsonl'], /e\.jsonl: line 1 is no JSON/],
    [['none.csv', 'a.jsonl'], /none\.csv: there is no such file/],
  ])) {
    const { code, stderr } = await run('compare', ...files);
    assert.equal(code, 1);
    assert.match(stderr, message);
  }
  const { code, stderr } = await run('eval', '--data', 'faces3', '--predictions', 'x.txt');
  assert.notEqual(code, 0);
  assert.match(stderr, /ends in \.csv or \.jsonl/);
});
