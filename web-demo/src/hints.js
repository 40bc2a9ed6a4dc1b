/**
 * What the instant answer would like to say, once nothing has changed for a while: which label looks wrong, and of
 * which pictures more would help. Both are asked of features that are there.
 */
import { effect, signal } from '@preact/signals';

import { instant } from './predict.js';
import { heldPictures } from './store.js';

const QUIET_MS = 1500;
/** A label is doubted that is likelier wrong than right; a picture helps that is as unsure as this. */
const WRONG = 0.5;
const UNSURE = 0.5;
/** Of more every one would be compared with every other for too long. */
const MOST = 1000;
const MOST_HELD = 64;

/**
 * @typedef {object} Hints
 * @property {{ id: string, like: string } | null} doubted a picture, and the class that it looks like
 * @property {string} helpful a held-out picture of which more like it would help, '' for none
 */
/** @type {import('@preact/signals').Signal<Hints>} */
export const hints = signal({ doubted: null, helpful: '' });
/** Pictures of which no hint is wanted any more. @type {Set<string>} */
const dismissed = new Set();

export function dismiss(id) {
  dismissed.add(id);
  const { doubted, helpful } = hints.value;
  hints.value = { doubted: doubted?.id === id ? null : doubted, helpful: helpful === id ? '' : helpful };
}

async function doubtedOf(classifier, ids, learned) {
  if (learned.length < 3 || learned.length > MOST) return null;
  const { suspects } = await classifier.audit();
  const found = suspects.find(({ index, wrong }) => wrong > WRONG && !dismissed.has(learned[index].id));
  return found ? { id: learned[found.index].id, like: ids[classifier.classes.indexOf(found.like)] } : null;
}

async function helpfulOf(classifier) {
  const held = heldPictures.peek().filter(({ id }) => !dismissed.has(id));
  if (!held.length) return '';
  const some = held.slice(0, MOST_HELD);
  const [best] = await classifier.suggest(
    some.map(({ blob }) => blob),
    1,
  );
  return best && best.unsure > UNSURE ? some[best.index].id : '';
}

export function startHints() {
  let timer = 0;
  effect(() => {
    const entry = /** @type {any} */ (instant.value);
    clearTimeout(timer);
    hints.value = { doubted: null, helpful: '' };
    if (!entry) return;
    timer = window.setTimeout(async () => {
      const { classifier, ids, learned } = entry;
      try {
        const found = { doubted: await doubtedOf(classifier, ids, learned), helpful: await helpfulOf(classifier) };
        if (entry === instant.peek()) hints.value = found;
      } catch {
        // It has gone, or has other pictures by now: then it is asked again.
      }
    }, QUIET_MS);
  });
}
