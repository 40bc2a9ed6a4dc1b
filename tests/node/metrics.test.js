/** Accuracy, macro-F1 and confusion on numbers that were worked out by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { argmax, measure, softmax } from '../../js/metrics.js';

test('a confusion worked out by hand', () => {
  //            a  a  a  a  b  b  c     d has no pictures but one prediction
  const labels = [0, 0, 0, 0, 1, 1, 2];
  const predictions = [0, 0, 0, 1, 1, 3, 0];
  const result = measure(['a', 'b', 'c', 'd'], labels, predictions);
  assert.deepEqual(result.confusion, [
    [3, 1, 0, 0],
    [0, 1, 0, 1],
    [1, 0, 0, 0],
    [0, 0, 0, 0],
  ]);
  assert.equal(result.accuracy, 4 / 7);
  assert.equal(result.count, 7);
  // a: 2 * 3 / (4 + 4), b: 2 * 1 / (2 + 2), c: 0; d does not count, as it has no pictures
  assert.ok(Math.abs(result.macroF1 - (0.75 + 0.5 + 0) / 3) < 1e-12);
  assert.deepEqual(result.perClass, [
    { label: 'a', accuracy: 0.75, count: 4 },
    { label: 'b', accuracy: 0.5, count: 2 },
    { label: 'c', accuracy: 0, count: 1 },
    { label: 'd', accuracy: null, count: 0 },
  ]);
});

test('no pictures at all', () => {
  assert.deepEqual(measure(['a'], [], []), {
    ...{ accuracy: 0, macroF1: 0, count: 0, perClass: [{ label: 'a', accuracy: null, count: 0 }], confusion: [[0]] },
  });
});

test('softmax does not overflow and adds up to 1', () => {
  const scores = softmax(Float32Array.of(1000, 999, -1000));
  assert.ok(Math.abs(scores[0] - 1 / (1 + Math.exp(-1))) < 1e-12);
  assert.ok(Math.abs(scores.reduce((a, b) => a + b) - 1) < 1e-12);
});

test('of equal values the first is the largest', () => assert.equal(argmax([1, 5, 5, 2]), 1));
