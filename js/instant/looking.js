/**
 * What an instant classifier's features tell besides its classes: whether a picture shows none of them, which pictures
 * to label next, which labels look wrong. Fetched when it is asked.
 */
import { MudptError } from '../base/errors.js';
import { auditLabels } from '../features/audit.js';
import { choosePictures, unsureOf } from '../features/suggest.js';
import { Unknown } from '../features/unknown.js';
import { toUnit } from '../features/unit.js';
import { meanTexts } from './fit.js';
import { packed } from './source.js';

/** @typedef {import('./fit.js').Facts} Facts */

const valuesOf = (rows) => ({
  data: packed(rows),
  dims: /** @type {[number, number]} */ ([rows.length, rows[0].length]),
});

/** Class features of length one; null where pictures' are before the projection. @param {Facts} facts */
function textsOf({ texts, projection }) {
  if (projection) return null;
  const rows = meanTexts(texts).map((row) => row.slice());
  rows.forEach(toUnit);
  return valuesOf(rows);
}

/** @param {number} count @param {number} least @param {string} what */
function requirePictures(count, least, what) {
  if (count >= least) return;
  throw new MudptError('state', `${what} needs ${least} pictures, and there are ${count}`, 'add some');
}

/** @param {Facts} facts @returns {(row: Float32Array) => number} 0 to 1: how surely it shows none of the classes */
export function unknownOf(facts) {
  requirePictures(facts.rows.length, 2, "'none'");
  const unknown = new Unknown(valuesOf(facts.rows), textsOf(facts));
  return (row) => {
    const unit = row.slice();
    toUnit(unit);
    return unknown.scoreOf(unknown.fit(unit));
  };
}

/**
 * @param {Facts} facts
 * @param {Float32Array[]} rows of pictures without labels
 * @param {number[][]} scores of each
 * @param {number} count
 */
export function suggestAmong({ rows: known }, rows, scores, count) {
  const unsure = scores.map(unsureOf);
  const labelled = known.length ? valuesOf(known) : null;
  const chosen = rows.length ? choosePictures(valuesOf(rows), unsure, count, labelled) : [];
  return chosen.map((at) => ({ at, unsure: unsure[at] }));
}

/** @param {Facts} facts @param {string[]} classes @param {Record<string, any>} options */
export async function auditOf(facts, classes, options) {
  requirePictures(facts.rows.length, 3, 'audit()');
  const what = { pictures: valuesOf(facts.rows), labels: facts.labels, texts: textsOf(facts) };
  const { wrong, noise } = await auditLabels({ ...what, classes: classes.length }, options);
  const named = wrong.map(({ index, label, like, wrong: chance }) => {
    return { index, label: classes[label], like: classes[like], wrong: chance };
  });
  return { noise, suspects: named };
}
