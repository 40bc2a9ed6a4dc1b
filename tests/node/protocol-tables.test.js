/** From logs to the tables of the papers' protocols: numbers that can be counted by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkTogether } from '../../js/protocol/logs.js';
import { idOf } from '../../js/protocol/plan.js';
import { cellText } from '../../js/protocol/report.js';
import { harmonicMean, standardDeviation, summarize } from '../../js/protocol/tables.js';

test('harmonic mean and standard deviation are those of the textbook', () => {
  assert.equal(harmonicMean(0.6, 0.3), 0.4);
  assert.equal(harmonicMean(0.5, 0.5), 0.5);
  assert.equal(harmonicMean(0, 0.9), 0);
  assert.equal(harmonicMean(0, 0), 0);
  assert.ok(Math.abs(harmonicMean(82.71, 74.5) - 78.39) < 0.005, "the paper's own figures");
  assert.equal(standardDeviation([2, 4, 9]), Math.sqrt(13)); // (9 + 1 + 16) / 2
  assert.equal(standardDeviation([5]), null);
});

test('models of the same vectors and other matrices do not belong together; other storage types of one do', () => {
  // As core.clipSamples() gives them: values, each with how far another storage type may be off.
  const samplesOf = (...values) => {
    const numbers = Float32Array.from(values.flatMap((value) => [value, 0.01]));
    const halves = new Uint16Array(numbers.buffer).filter((_, i) => i % 2);
    return Buffer.from(halves.buffer).toString('base64');
  };
  const run = (id, samples, fingerprint = 'f') => {
    const identity = { context: { fingerprint }, protocol: 'few-shot', data: 'a', method: id, seed: 1, tests: [] };
    return /** @type {any} */ ({ id, identity, samples });
  };
  const first = run('first', samplesOf(0.5, -0.25));
  const other = run('other', samplesOf(0.5, -0.125));
  checkTogether([first, run('rounded', samplesOf(0.504, -0.25)), run('in part', samplesOf(NaN, -0.25))], 'x');
  checkTogether([run('older', undefined), first], 'x');
  const refused = /x: first and other do not belong together: .* the same vectors and other matrices; choose/;
  assert.throws(() => checkTogether([first, other], 'x'), refused);
  assert.throws(() => checkTogether([run('older', undefined), first, other], 'x'), refused);
  const same = { ...other, id: 'first' };
  assert.throws(() => checkTogether([first, same], 'x'), /first and first do not belong together/, 'planned again');
});

/** A log with these shares. */
function log(protocol, data, method, shots, seed, shares) {
  const results = Object.entries(shares).map(([name, accuracy]) => ({ name, accuracy }));
  const settings = shots && { shots, seed, epochs: 10 * shots, depth: 4 };
  const identity = { protocol, data, method, shots, seed, settings, context: { fingerprint: 'f', library: '1' } };
  return /** @type {any} */ ({ model: 'clip', identity, results });
}
const rowsOf = ({ rows }) => Object.fromEntries(rows.map((row) => [row.method, row.cells.map(cellText)]));

test('base-to-new: the harmonic mean of each seed, and of the averages over data sets', () => {
  const [{ tables, plots }] = summarize([
    log('base-to-new', 'a', 'mudpt', 16, 1, { base: 0.6, new: 0.3 }),
    log('base-to-new', 'a', 'mudpt', 16, 2, { base: 0.8, new: 0.8 }),
    log('base-to-new', 'a', 'zeroshot', null, null, { base: 0.5, new: 0.5 }),
    log('base-to-new', 'b', 'mudpt', 16, 1, { base: 0.4, new: 0.7 }),
    log('base-to-new', 'b', 'zeroshot', null, null, { base: 0.1, new: 0.7 }),
  ]);
  assert.deepEqual(
    tables.map(({ data }) => data),
    ['a', 'b', 'average'],
  );
  assert.deepEqual(tables[0].columns, ['base', 'new', 'harmonic mean']);
  assert.deepEqual(rowsOf(tables[0]), {
    zeroshot: ['50.00', '50.00', '50.00'],
    mudpt: ['70.00 ± 14.14', '55.00 ± 35.36', '60.00 ± 28.28'], // of 40 and 80
  });
  assert.deepEqual(rowsOf(tables[1]).mudpt, ['40.00*', '70.00*', '50.91*']);
  // Seed 1 alone is there on both: 50 and 50; zero-shot 30 and 60.
  assert.deepEqual(rowsOf(tables[2]), { zeroshot: ['30.00', '60.00', '40.00'], mudpt: ['50.00*', '50.00*', '50.00*'] });
  assert.deepEqual(plots, []);
});

test('few-shot: a table for every number of shots; no average where a data set is missing', () => {
  const [{ tables, plots, methods }] = summarize([
    log('few-shot', 'b', 'mudpt', 2, 1, { b: 0.5 }),
    log('few-shot', 'a', 'mudpt', 1, 1, { a: 0.1 }),
    log('few-shot', 'a', 'mudpt', 2, 1, { a: 0.3 }),
    log('few-shot', 'a', 'zeroshot', null, null, { a: 0.25 }),
  ]);
  assert.deepEqual(
    tables.map(({ shots, columns }) => [shots, columns]),
    [
      [1, ['a']],
      [2, ['a', 'b', 'average']],
    ],
  );
  assert.deepEqual(rowsOf(tables[1]), { zeroshot: ['25.00', '–', '–'], mudpt: ['30.00', '50.00', '40.00'] });
  const [a] = plots;
  assert.deepEqual([a.data, a.what, a.shots], ['a', 'accuracy', [1, 2]]);
  const means = Object.fromEntries(a.series.map(({ method, cells }) => [method, cells.map((cell) => cell?.mean)]));
  assert.deepEqual(means, { zeroshot: [25, 25], mudpt: [10, 30] });
  const { settings, varying } = methods[1];
  assert.deepEqual([settings, varying], [{ depth: 4 }, ['epochs']], 'what differs between shots is named alone');
});

test('cross-dataset: the average leaves out the data set that was trained on', () => {
  const [{ tables }] = summarize([log('cross-dataset', 'm', 'mudpt', 16, 1, { m: 0.9, z: 0.2, a: 0.4 })]);
  assert.deepEqual(tables[0].columns, ['m', 'a', 'z', 'average of others']);
  assert.deepEqual(rowsOf(tables[0]).mudpt, ['90.00', '40.00', '20.00', '30.00']);
});

test('an id is what it was, whatever the order of keys', () => {
  const identity = {
    ...{ context: { library: '1', fingerprint: 'f' }, protocol: 'few-shot', data: 'my pets', method: 'mudpt' },
    ...{ shots: 16, seed: 1, settings: { epochs: 10, depth: 4 }, train: null, tests: [] },
  };
  assert.equal(idOf(/** @type {any} */ (identity)), 'few-shot-my-pets-mudpt-16shots-seed1-7268265e355a');
  const turned = Object.fromEntries(Object.entries(identity).reverse());
  assert.equal(idOf(/** @type {any} */ (turned)), idOf(/** @type {any} */ (identity)));
});
