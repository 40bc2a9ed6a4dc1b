/**
 * The data sets of a sweep: read once, checked, and known by a hash, so that a run is not taken for finished when its
 * data have changed.
 *
 * The hash covers class names, template, and of every picture its path inside the data set, its label and its size in
 * bytes. It does not read the pictures: for large data sets that would take longer than most runs.
 */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { MudptError } from '../base/errors.js';
import { loadDataset } from '../node/datasets.js';
import { onDisk } from '../node/paths.js';

const AT_ONCE = 64;

/**
 * @typedef {import('../node/datasets.js').Dataset} Dataset
 * @typedef {import('../node/datasets.js').Example} Example
 * @typedef {'all' | 'base' | 'new'} Part  all classes, their first half (rounded up), or the rest
 *
 * @typedef {(data: Dataset, parts: ('train' | 'test')[]) => Promise<Dataset>} Look
 *
 * @typedef {object} DataSet
 * @property {string} name
 * @property {string} source  what it was read from
 * @property {string} root    the folder that paths start from
 * @property {Dataset} dataset
 * @property {string} hash    16 hexadecimal digits
 */

/**
 * @param {string} source  a folder or a split file
 * @param {{ split?: string, testOnly?: boolean, look?: Look }} [options]  as loadDataset has them; a split is called by
 *   its style; look leaves out what cannot be read, and is told of what matters
 * @returns {Promise<DataSet>}
 */
export async function openSet(source, { look, ...options } = {}) {
  const read = await loadDataset(source, { ...options, listBroken: Boolean(look) });
  const dataset = look ? await look(read, options.testOnly ? ['test'] : ['train', 'test']) : read;
  const root = (await stat(source)).isDirectory() ? source : path.dirname(source);
  return { name: options.split ?? dataset.name, source, root, dataset, hash: await hashOf(dataset, root) };
}

/** @param {Dataset} dataset @param {string} root */
async function hashOf({ classes, template, train, test }, root) {
  const hash = createHash('sha256').update(JSON.stringify({ classes, template }));
  for (const part of [train, test]) {
    hash.update('\n');
    for (let start = 0; start < part.length; start += AT_ONCE) {
      const some = part.slice(start, start + AT_ONCE);
      const sizes = await Promise.all(some.map(async (example) => (await stat(onDisk(example.path))).size));
      for (const [i, { path: file, label }] of some.entries()) {
        hash.update(JSON.stringify([insidePath(root, file), label, sizes[i]]));
      }
    }
  }
  return hash.digest('hex').slice(0, 16);
}

/** A path that is the same on every machine. */
export const insidePath = (root, file) => path.relative(root, file).split(path.sep).join('/');

/**
 * Names of a part's classes.
 * @param {DataSet} set
 * @param {Part} part
 * @returns {string[]}
 */
export function classesOf({ dataset: { classes } }, part) {
  const [from, to] = rangeOf(classes.length, part);
  return classes.slice(from, to);
}

/**
 * Pictures of a part's classes, with labels that count from 0 in the part.
 * @param {DataSet} set
 * @param {Part} part
 * @param {'train' | 'test'} list
 * @returns {Example[]}
 */
export function examplesOf({ dataset }, part, list) {
  const [from, to] = rangeOf(dataset.classes.length, part);
  return dataset[list].flatMap(({ path: file, label }) =>
    label >= from && label < to ? [{ path: file, label: label - from }] : [],
  );
}

/** @param {number} classes @param {Part} part */
function rangeOf(classes, part) {
  const half = Math.ceil(classes / 2);
  return { all: [0, classes], base: [0, half], new: [half, classes] }[part];
}

/** @param {string[]} a @param {string[]} b */
export const sameNames = (a, b) => a.length === b.length && a.every((name, i) => name === b[i]);

/** @param {DataSet} set @param {string} what @param {string} remedy */
export const setFault = ({ source }, what, remedy) => new MudptError('dataset', `${source}: ${what}`, remedy);
