/**
 * Few-shot splits as others have published them: which pictures are trained on, for a number of shots and a seed, in
 * the data set's folder split_fewshot: shot_N-seed_S_train.jsonl (Farina et al., CVPR 2025, 165 of them), one object a
 * line, or shot_N-seed_S.pkl, as CoOp's code keeps its own. Both say a picture's path as it was on their machine, so a
 * picture is found by the end of its path, and its class by the label and the name.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { MudptError } from '../base/errors.js';
import { Scripted, unpickle } from '../loading/pickle.js';
import { spoken } from '../methods/classes.js';
import { insidePath } from './sets.js';

/** What CoOp's pictures are objects of. */
const DATUM = /^(dassl\.data\.datasets\.base_dataset|[\w.]*datasets\.utils)\.Datum$/;

/**
 * @typedef {import('./sets.js').DataSet} DataSet
 * @typedef {import('../node/datasets.js').Example} Example
 * @typedef {{ impath: string, label: number, classname: string }} Listed
 *
 * @typedef {object} Drawn
 * @property {string} file  inside the data set
 * @property {Example[]} examples
 * @property {string} hash  16 hexadecimal digits of the pictures and labels
 */

/**
 * @param {DataSet} set
 * @param {number} shots
 * @param {number} seed
 * @returns {Promise<Drawn>}
 * @throws {MudptError} `dataset`: there is none, or it does not fit the data set
 */
export async function readPublished(set, shots, seed) {
  const name = `split_fewshot/shot_${shots}-seed_${seed}`;
  for (const [file, read] of Object.entries({ [`${name}_train.jsonl`]: fromLines, [`${name}.pkl`]: fromPickle })) {
    const bytes = await readFile(path.join(set.root, file)).catch((error) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
      throw fault(set, file, `cannot be read (${error.code})`, 'check its permissions');
    });
    if (!bytes) continue;
    const fail = (what) => fault(set, file, what, 'take another copy');
    const examples = place(set, read(bytes, fail, file), fail);
    const lines = examples.map(({ path: at, label }) => `${label}\0${insidePath(set.root, at)}\n`);
    return { file, examples, hash: createHash('sha256').update(lines.join('')).digest('hex').slice(0, 16) };
  }
  const remedy = 'put it there, choose --shots and --seeds that are there, or leave out --published';
  throw fault(set, `${name}_train.jsonl`, 'there is no such file, and none that ends in .pkl', remedy);
}

const fault = (set, file, what, remedy) =>
  new MudptError('dataset', `${path.join(set.root, ...file.split('/'))}: ${what}`, remedy);

/** @returns {Listed[]} */
function fromLines(bytes, fail) {
  const lines = new TextDecoder()
    .decode(bytes)
    .split(/\r?\n/)
    .filter((line) => line.trim());
  return lines.map((line, i) => {
    try {
      return listed(Object.entries(JSON.parse(line)), () => fail(`line ${i + 1} is no picture`));
    } catch (error) {
      throw error instanceof MudptError ? error : fail(`line ${i + 1} is no JSON`);
    }
  });
}

/** @returns {Listed[]} */
function fromPickle(bytes, fail, file) {
  const { value } = unpickle(bytes, file, 0, DATUM);
  const train = value instanceof Map ? value.get('train') : undefined;
  if (!Array.isArray(train)) throw fail('has no list of pictures to train on');
  return train.map((each, i) => {
    const attributes = each instanceof Scripted ? each.attributes : null;
    return listed(attributes instanceof Map ? [...attributes] : [], () => fail(`picture ${i} is none`));
  });
}

/** Attributes of theirs begin with _. */
function listed(entries, fail) {
  const { impath, label, classname } = Object.fromEntries(
    entries.map(([key, value]) => [key.replace(/^_/, ''), value]),
  );
  if (typeof impath !== 'string' || !Number.isInteger(label) || typeof classname !== 'string') throw fail();
  return { impath, label, classname };
}

/** @param {DataSet} set @param {Listed[]} list @param {(what: string) => MudptError} fail @returns {Example[]} */
function place({ root, dataset }, list, fail) {
  /** @type {Map<string, { example: Example, parts: string[] }[]>} */
  const byName = new Map();
  for (const example of dataset.train) {
    const parts = insidePath(root, example.path).split('/').reverse();
    byName.set(parts[0], [...(byName.get(parts[0]) ?? []), { example, parts }]);
  }
  const same = (name) => spoken(name).toLowerCase();
  return list.map(({ impath, label, classname }) => {
    const theirs = impath.split(/[\\/]/).reverse();
    const common = ({ parts }) => parts.findIndex((part, i) => part !== theirs[i]) >>> 0;
    const found = (byName.get(theirs[0]) ?? []).map((each) => ({ ...each, length: common(each) }));
    const [best, second] = found.sort((a, b) => b.length - a.length);
    if (!best) throw fail(`${impath} is none of the data set's pictures to train on`);
    if (second?.length === best.length) throw fail(`${impath} may be more than one of the data set's pictures`);
    const { example } = best;
    if (example.label !== label || same(dataset.classes[label]) !== same(classname))
      throw fail(`${impath} is of class ${label}, "${classname}", and in the data set of ${example.label}`);
    return example;
  });
}
