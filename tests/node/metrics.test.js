/** Accuracy, macro-F1, confusion and calibration on numbers that were worked out by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { argmax, calibration, CALIBRATION_BINS, measure, softmax } from '../../js/classifier/metrics.js';

const near = (value, expected) => assert.ok(Math.abs(value - expected) < 1e-12, `${value}, expected ${expected}`);

test('a confusion worked out by hand', () => {
  //            a  a  a  a  b  b  c     d has no pictures but one prediction
  const labels = [0, 0, 0, 0, 1, 1, 2];
  const predictions = [0, 0, 0, 1, 1, 3, 0];
  const result = measure(['a', 'b', 'c', 'd'], labels, predictions, new Array(7).fill(1));
  assert.deepEqual(result.confusion, [
    [3, 1, 0, 0],
    [0, 1, 0, 1],
    [1, 0, 0, 0],
    [0, 0, 0, 0],
  ]);
  assert.equal(result.accuracy, 4 / 7);
  assert.equal(result.count, 7);
  // a: 2 * 3 / (4 + 4), b: 2 * 1 / (2 + 2), c: 0; d does not count, as it has no pictures
  near(result.macroF1, (0.75 + 0.5 + 0) / 3);
  near(result.ece, 3 / 7); // sure of everything, and right four times of seven
  assert.deepEqual(result.perClass, [
    { label: 'a', accuracy: 0.75, count: 4 },
    { label: 'b', accuracy: 0.5, count: 2 },
    { label: 'c', accuracy: 0, count: 1 },
    { label: 'd', accuracy: null, count: 0 },
  ]);
});

test('no pictures at all', () => {
  const { reliability, ...rest } = measure(['a'], [], [], []);
  assert.deepEqual(rest, {
    ...{ accuracy: 0, macroF1: 0, ece: 0, count: 0 },
    ...{ perClass: [{ label: 'a', accuracy: null, count: 0 }], confusion: [[0]] },
  });
  assert.equal(reliability.length, CALIBRATION_BINS);
  assert.ok(reliability.every((bin) => bin.count === 0 && bin.accuracy === null && bin.score === null));
});

test('a single class is always right and always sure', () => {
  const { accuracy, macroF1, ece } = measure(['a'], [0, 0], [0, 0], [1, 1]);
  assert.deepEqual([accuracy, macroF1, ece], [1, 1, 0]);
});

test('ten thousand pictures of a thousand classes', () => {
  const classes = Array.from({ length: 1000 }, (_, i) => `class ${i}`);
  const labels = Array.from({ length: 10000 }, (_, i) => i % 1000);
  const predictions = labels.map((label, i) => (i < 2500 ? label : (label + 1) % 1000));
  const result = measure(classes, labels, predictions, new Float32Array(10000).fill(0.25));
  assert.equal(result.accuracy, 0.25);
  near(result.ece, 0);
  assert.deepEqual([result.confusion[0][0], result.confusion[0][1], result.confusion[999][0]], [3, 7, 8]);
  assert.deepEqual(result.perClass[999], { label: 'class 999', accuracy: 0.2, count: 10 });
});

test('calibration error worked out by hand, with empty bins', () => {
  // five bins: 0.3 and 0.4 in (0.2, 0.4], one of two right; 0.7 and 0.8 in (0.6, 0.8], both right; 0.9 wrong
  const { ece, reliability } = calibration([0.3, 0.7, 0.9, 0.4, 0.8], [true, true, false, false, true], 5);
  near(ece, (2 / 5) * Math.abs(0.5 - 0.35) + (2 / 5) * Math.abs(1 - 0.75) + (1 / 5) * 0.9);
  assert.deepEqual(
    reliability.map((bin) => bin.count),
    [0, 2, 0, 2, 1],
  );
  const [empty, second, , fourth, last] = reliability;
  assert.deepEqual(empty, { from: 0, to: 0.2, count: 0, accuracy: null, score: null });
  assert.deepEqual([second.accuracy, fourth.accuracy, last.accuracy], [0.5, 1, 0]);
  near(second.score, 0.35);
  assert.deepEqual([second.from, second.to, last.to], [0.2, 0.4, 1]);
});

test('perfectly calibrated, all wrong, all right', () => {
  const three = [true, true, true, false];
  near(calibration([0.75, 0.75, 0.75, 0.75], three).ece, 0);
  near(calibration([0.9, 0.9], [false, false]).ece, 0.9);
  near(calibration([0.6, 0.6], [true, true]).ece, 0.4);
});

test('scores at the edges of the bins', () => {
  const filled = (score) => calibration([score], [true], 4).reliability.findIndex((bin) => bin.count);
  assert.deepEqual([1e-9, 0.25, 0.26, 0.5, 1, 1 + 1e-15].map(filled), [0, 0, 1, 1, 3, 3]);
});

test('softmax does not overflow and adds up to 1', () => {
  const scores = softmax(Float32Array.of(1000, 999, -1000));
  near(scores[0], 1 / (1 + Math.exp(-1)));
  near(
    scores.reduce((a, b) => a + b),
    1,
  );
});

test('of equal values the first is the largest', () => assert.equal(argmax([1, 5, 5, 2]), 1));
