/**
 * Labels that look wrong: of each picture what the others and the classes' texts say of it, as if it were new, against
 * the label that it has.
 *
 * A class speaks by its pictures, weighted by how alike they are (seen from the pictures' middle), and by its text:
 *
 *     logit of c = (log sum over its other pictures of exp(15 (cosine - 1)) + w * cosine with its text) / T
 *
 * Not every picture that is mistaken has a wrong label, and how many have is what one wants to know. So labels are
 * taken as a mixture: with the chance e a label is any other class's, otherwise it is right. e, T and w are those under
 * which the labels that are there are likeliest, and the chance that a label is wrong follows by Bayes' rule. Natarajan
 * et al. (NeurIPS 2013) have the noise, docs/methods.md what was compared with it.
 */
import { nextTurn } from '../base/platform.js';
import { seldom } from '../base/progress.js';
import { Centred } from './centred.js';
import { spread } from './unknown.js';

const SHARPNESS = 15;
/** A class without pictures has as much as one picture that is hardly alike. */
const LEAST = 1e-6;
/** Pictures that e, T and w are found on. */
const MOST_FITTED = 2000;
const TEMPERATURES = Array.from({ length: 21 }, (_, k) => 2 ** (k / 4 - 2));
const WEIGHTS = [0, 4, 8, 15, 30, 60, 120];
/** What is believed of e before: a label in twenty, with the weight of ten pictures. */
const [EXPECTED, WEIGHT] = [0.05, 10];
const ROUNDS = 50;
/** Products that are taken without a turn for anything else. */
const PRODUCTS_AT_ONCE = 2e7;

/**
 * @typedef {object} Suspect
 * @property {number} index of the picture
 * @property {number} label that it has
 * @property {number} like the class that it looks like instead
 * @property {number} wrong the chance that its label is wrong
 */

/** Shares of the classes. @param {{ pictures: Float64Array, texts: Float64Array }} said */
function shares({ pictures, texts }, temperature, weight) {
  const logits = pictures.map((value, c) => (value + weight * texts[c]) / temperature);
  const most = logits.reduce((a, b) => Math.max(a, b));
  const powers = logits.map((value) => Math.exp(value - most));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((value) => value / sum);
}

/** The chance that a label is wrong whose class has this share. */
const chance = (share, noise, classes) => {
  const other = (noise * (1 - share)) / (classes - 1);
  return other / (other + (1 - noise) * share || 1);
};

/**
 * e, T and w of the mixture.
 * @param {{ pictures: Float64Array, texts: Float64Array }[]} said
 * @param {number[]} labels
 * @param {number[]} weights that are tried
 */
function mixture(said, labels, weights) {
  const classes = said[0].pictures.length;
  let best = { likelihood: -Infinity, temperature: 1, weight: 0, noise: 0 };
  for (const weight of weights) {
    for (const temperature of TEMPERATURES) {
      const own = said.map((each, i) => shares(each, temperature, weight)[labels[i]]);
      let noise = EXPECTED;
      for (let round = 0; round < ROUNDS; round++) {
        const wrong = own.reduce((sum, share) => sum + chance(share, noise, classes), 0);
        noise = (wrong + EXPECTED * WEIGHT) / (own.length + WEIGHT);
      }
      const likelihood = own.reduce(
        (sum, share) => sum + Math.log((1 - noise) * share + (noise * (1 - share)) / (classes - 1) + Number.MIN_VALUE),
        0,
      );
      if (likelihood > best.likelihood) best = { likelihood, temperature, weight, noise };
    }
  }
  return best;
}

/**
 * @param {object} what
 * @param {{ data: Float32Array, dims: readonly number[] }} what.pictures features, three at least
 * @param {number[]} what.labels of them
 * @param {{ data: Float32Array, dims: readonly number[] } | null} what.texts of the classes, of length one
 * @param {number} what.classes two at least
 * @param {{ onProgress?: (progress: { done: number, total: number }) => void, signal?: AbortSignal }} [options]
 * @returns {Promise<{ wrong: Suspect[], noise: number }>} all pictures, the likeliest to be wrong first; noise: the
 *   share of labels that is wrong
 */
export async function auditLabels({ pictures, labels, texts, classes }, { onProgress, signal } = {}) {
  const all = new Centred(pictures.data, pictures.dims[1]);
  const tell = seldom(onProgress);
  let products = 0;
  /** What the others and the texts say of picture i. @param {number} i */
  const ask = async (i) => {
    products += all.count * all.width;
    if (products > PRODUCTS_AT_ONCE) {
      products = 0;
      await nextTurn();
      signal?.throwIfAborted();
    }
    const said = { pictures: new Float64Array(classes).fill(LEAST), texts: new Float64Array(classes) };
    const cosines = all.others(i);
    for (let j = 0; j < all.count; j++) if (j !== i) said.pictures[labels[j]] += Math.exp(SHARPNESS * (cosines[j] - 1));
    said.pictures = said.pictures.map(Math.log);
    const row = all.row(i);
    for (let c = 0; texts && c < classes; c++) {
      for (let k = 0; k < row.length; k++) said.texts[c] += row[k] * texts.data[c * row.length + k];
    }
    return said;
  };
  const some = spread(all.count, MOST_FITTED);
  const said = [];
  for (const i of some) said.push(await ask(i));
  const ownLabels = some.map((i) => labels[i]);
  const { temperature, weight, noise } = mixture(said, ownLabels, texts ? WEIGHTS : [0]);
  const wrong = [];
  for (let index = 0; index < all.count; index++) {
    const found = shares(some.length === all.count ? said[index] : await ask(index), temperature, weight);
    const label = labels[index];
    const likes = found.map((share, c) => (c === label ? -1 : share));
    const like = likes.indexOf(likes.reduce((a, b) => Math.max(a, b)));
    wrong.push({ index, label, like, wrong: chance(found[label], noise, classes) });
    tell({ done: index + 1, total: all.count }, index + 1 === all.count);
  }
  wrong.sort((a, b) => b.wrong - a.wrong || a.index - b.index);
  return { wrong, noise };
}
