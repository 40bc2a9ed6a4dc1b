/**
 * Which head: by pictures that are held out in turn. Each candidate is made without a part of every class's pictures,
 * and names those. The first candidate did best on the tasks that were measured (docs/methods.md), and what few
 * pictures say is noise for the most part: another one takes its place where a sign test finds that it is better,
 * among the pictures that only one of the two names rightly.
 */
import { nextTurn } from '../base/platform.js';
import { argmax, softmax } from '../classifier/metrics.js';
import { fit } from './fit.js';
import { packed } from './source.js';

/** Parts that the pictures of a class are held out in, at most: of many fewer, as a head's work grows faster. */
const PARTS = { few: 4, many: 2 };
const MANY = 400;
/** Deviations by which the better one must be better. */
const SURE = 2;
/** Of more pictures nothing is held out, and what trains for as long as its square takes gives way to a closed form. */
const MOST = 5000;
const CLOSED = { 'tip-f': 'tip' };

/** What each goal chooses from; the first is what is taken where nothing can be held out. */
export const CANDIDATES = {
  accuracy: ['tip-f', 'clap', 'none'],
  'new-names': ['prolip', 'none'],
};

/**
 * @typedef {object} HeldOut
 * @property {string} head
 * @property {number} accuracy share of the pictures held out that it names rightly
 * @property {number} [loss] mean cross-entropy of them
 * @property {string} [method] what its prompts were tuned with, 'zeroshot' where there are none; where a run of prompts
 *   was to choose
 * @property {number} [weight] the head's share, there
 */

/** The part that each picture is held out in: its place among those of its class. @param {number[]} labels */
function partsOf(labels) {
  const counts = new Map();
  const places = labels.map((label) => {
    const place = counts.get(label) ?? 0;
    counts.set(label, place + 1);
    return place;
  });
  const most = labels.length > MANY ? PARTS.many : PARTS.few;
  const parts = Math.min(most, Math.max(0, ...counts.values()));
  return { parts, part: places.map((place) => place % Math.max(parts, 1)) };
}

/**
 * @param {import('../core/library.js').Library} library
 * @param {(head: string) => import('./fit.js').Facts} factsFor
 * @param {string[]} candidates
 * @param {object} options
 * @param {number} options.seed
 * @param {Record<string, number>} [options.settings]
 * @param {() => boolean} [options.isStopped]
 * @param {AbortSignal} [options.signal]
 * @returns {Promise<{ head: string, heldOut: HeldOut[] }>}
 */
export async function chooseHead(library, factsFor, candidates, { seed, settings, isStopped, signal }) {
  const [first] = candidates;
  const { labels } = factsFor(first);
  if (candidates.length > 1 && labels.length > MOST) return { head: CLOSED[first] ?? first, heldOut: [] };
  const { parts, part } = partsOf(labels);
  if (parts < 2 || candidates.length < 2) return { head: first, heldOut: [] };
  const heldOut = [];
  let best = { head: first, right: /** @type {boolean[]} */ ([]) };
  for (const head of candidates) {
    /** Which pictures it names rightly, part by part. @type {boolean[]} */
    const right = [];
    let loss = 0;
    for (let now = 0; now < parts; now++) {
      const facts = factsFor(head);
      const some = (list, isHeld) => list.filter((_, i) => (part[i] === now) === isHeld);
      const views = facts.views && some(facts.views, false);
      const rest = { ...facts, rows: some(facts.rows, false), views, labels: some(labels, false) };
      const made = await fit(library, rest, { head, settings, seed }, { signal });
      const held = some(labels, true);
      const logits = made.logits(packed(some(facts.rows, true)));
      made.dispose();
      const count = facts.texts.length;
      held.forEach((label, i) => {
        const row = logits.subarray(i * count, (i + 1) * count);
        right.push(argmax(row) === label);
        loss -= Math.log(Math.max(softmax(row)[label], Number.MIN_VALUE));
      });
      await nextTurn();
      signal?.throwIfAborted();
      if (isStopped?.()) return { head: first, heldOut: [] };
    }
    if (head === first || isBetter(right, best.right)) best = { head, right };
    heldOut.push({ head, accuracy: right.filter(Boolean).length / labels.length, loss: loss / labels.length });
  }
  return { head: best.head, heldOut };
}

/** Whether the first surely names more. @param {boolean[]} ours @param {boolean[]} theirs */
export function isBetter(ours, theirs) {
  const [won, lost] = [true, false].map((is) => ours.filter((each, i) => each === is && theirs[i] === !is).length);
  return won - lost > SURE * Math.sqrt(won + lost);
}
