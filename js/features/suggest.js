/**
 * Which pictures to label next: those after which least is left unsure. A picture speaks for others by how alike they
 * are, exp(10 (cosine - 1)) seen from the pictures' middle, as far as none that is labelled or chosen speaks for them
 * better; and each counts as much as the classifier is unsure of it (1 - the margin of its two best classes). So the
 * choice is of unsure pictures, apart from each other and from the labelled ones, each of which stands for many. One at
 * a time the best of this function is taken, which is submodular, so no choice is better by more than 1 / (1 - 1/e)
 * (Nemhauser et al. 1978; Wei et al., ICML 2015). docs/methods.md compares it with others.
 */
import { Centred } from './centred.js';

const SHARPNESS = 10;
/** Pictures among which is chosen: of more, the ones that are least sure. */
const MOST = 2000;

/** @typedef {{ data: Float32Array, dims: readonly number[] }} Features */

/** @param {ArrayLike<number>} scores that add up to 1 */
export function unsureOf(scores) {
  const [first = 1, second = 0] = Array.from(scores).sort((a, b) => b - a);
  return 1 - (first - second);
}

/**
 * @param {Features} pictures without labels
 * @param {number[]} unsure how much so, 0 to 1
 * @param {number} count how many are wanted
 * @param {Features | null} [labelled] pictures with labels
 * @returns {number[]} places of the chosen, in the order in which they help
 */
export function choosePictures(pictures, unsure, count, labelled = null) {
  const width = pictures.dims[1];
  const order = unsure.map((_, i) => i).sort((a, b) => unsure[b] - unsure[a] || a - b);
  const some = order.slice(0, MOST).sort((a, b) => a - b);
  const known = labelled?.dims[0] ?? 0;
  const data = new Float32Array((known + some.length) * width);
  if (labelled) data.set(labelled.data);
  some.forEach((i, at) => data.set(pictures.data.subarray(i * width, (i + 1) * width), (known + at) * width));
  const all = new Centred(data, width);
  // How much each speaks for each, and how well each is spoken for.
  const speaks = [];
  const best = new Float32Array(some.length);
  for (let at = 0; at < some.length; at++) {
    const alike = all.cosines(all.row(known + at)).map((cosine) => Math.exp(SHARPNESS * (cosine - 1)));
    best[at] = alike.subarray(0, known).reduce((a, b) => Math.max(a, b), 0);
    speaks.push(Float32Array.from(alike.subarray(known)));
  }
  const weights = some.map((i) => unsure[i]);
  const gainOf = (at) =>
    speaks[at].reduce((sum, value, i) => (value > best[i] ? sum + weights[i] * (value - best[i]) : sum), 0);
  // A gain never grows, so one that was lower before need not be looked at again.
  const gains = some.map((_, at) => ({ at, gain: gainOf(at) })).sort((a, b) => b.gain - a.gain);
  const chosen = [];
  while (chosen.length < count && gains.length) {
    for (;;) {
      const [first] = gains;
      first.gain = gainOf(first.at);
      let place = 0;
      while (place + 1 < gains.length && gains[place + 1].gain > first.gain) place++;
      if (!place) break;
      gains.splice(place + 1, 0, first);
      gains.shift();
    }
    const { at } = /** @type {{ at: number }} */ (gains.shift());
    chosen.push(some[at]);
    speaks[at].forEach((value, i) => (best[i] = Math.max(best[i], value)));
  }
  return chosen;
}
