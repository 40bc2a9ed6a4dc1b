/**
 * The page in several tabs: one of them has the session, the others say so and offer to take it over. The tab that has
 * it holds a lock, which ends with the tab; over a channel it is asked to put everything away and to let go.
 */
import { signal } from '@preact/signals';

import { newId } from './store.js';

const NAME = 'mudpt-demo session';
/** So long a tab that has the session may take to answer, then to put it away; a tab that is frozen does neither. */
const ANSWER_MS = 2000;
const PUT_AWAY_MS = 60_000;
/** So long a tab waits before it says that another one has the session: the page before a reload still lets go. */
const SETTLE_MS = 400;

/** Where the session is. @type {import('@preact/signals').Signal<'unknown' | 'here' | 'elsewhere'>} */
export const place = signal('unknown');
/** Whether this tab is waiting for another one to let go. */
export const waiting = signal(false);

/** Of two tabs that ask at once, the one that came first has the session. */
const me = `${Date.now()} ${newId()}`;
const channel = typeof BroadcastChannel === 'function' ? new BroadcastChannel(NAME) : null;
const say = (what, to = '') => channel?.postMessage({ what, from: me, to });

/** What other tabs say to this one: told by what. @type {Map<string, () => void>} */
const heard = new Map();
let work = { reads: async () => true, opens: (own) => {}, leaves: async () => {} };
let queue = new AbortController();
let owns = false;
let asking = false;

/** @param {string} what @param {number} ms @returns {Promise<boolean>} whether another tab said it in time */
const hears = (what, ms) =>
  new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), ms);
    heard.set(what, () => {
      clearTimeout(timer);
      resolve(true);
    });
  });

/** The session is this tab's from now on, until the lock is taken from it. */
async function has() {
  owns = true;
  await work.reads();
  place.value = 'here';
  waiting.value = false;
  work.opens(true);
  return new Promise(() => {});
}

/** Waits for the lock, or takes it; once another tab takes it, this one waits again. */
async function wait(options = {}) {
  queue.abort();
  const mine = (queue = new AbortController());
  try {
    await navigator.locks.request(NAME, options.steal ? options : { signal: mine.signal }, has);
  } catch {
    if (mine.signal.aborted) return;
    owns = false;
    place.value = 'elsewhere';
    waitWhileSeen();
  }
}

/** Only a tab that is looked at waits: when one that has the session is loaded anew, no other one comes before it. */
function waitWhileSeen() {
  if (owns || place.value !== 'elsewhere' || !navigator.locks) return;
  if (document.visibilityState === 'visible') wait();
  else queue.abort();
}

/** Another tab has the session. */
async function shows() {
  if (owns) return;
  const shares = await work.reads();
  if (owns) return;
  if (!shares) {
    // Where nothing can be stored each tab has its own.
    owns = true;
    queue.abort();
    place.value = 'here';
    work.opens(true);
    return;
  }
  place.value = 'elsewhere';
  work.opens(false);
  waitWhileSeen();
}

/**
 * @param {object} what
 * @param {() => Promise<boolean>} what.reads what is stored, in place of what there is; whether anything can be stored
 * @param {(own: boolean) => void} what.opens goes on with it; `own` where it is this tab's
 * @param {() => Promise<void>} what.leaves puts everything away
 */
export async function startTabs(what) {
  work = what;
  if (channel) channel.onmessage = ({ data }) => hear(data);
  document.addEventListener('visibilitychange', waitWhileSeen);
  if (navigator.locks) {
    wait();
    setTimeout(shows, SETTLE_MS);
    return;
  }
  // Pages that are not secure have no locks.
  asking = true;
  say('whose');
  const other = await hears('mine', SETTLE_MS);
  asking = false;
  if (other) shows();
  else has();
}

async function hear({ what, from, to }) {
  if (to && to !== me) return;
  if (what === 'whose' && (owns || (asking && me < from))) say('mine', from);
  if (place.value === 'here' && what === 'wanted') {
    say('coming', from);
    await work.leaves();
    owns = false;
    place.value = 'elsewhere';
    say('yours', from);
  }
  if (what === 'mine' && owns) {
    // An answer that came late: the other tab was busy.
    owns = false;
    shows();
  }
  heard.get(what)?.();
  heard.delete(what);
}

/** The session becomes this tab's; the tab that has it puts everything away first. */
export async function takeOver() {
  if (place.value !== 'elsewhere' || waiting.value) return;
  waiting.value = true;
  const yours = hears('yours', PUT_AWAY_MS);
  const coming = hears('coming', ANSWER_MS);
  say('wanted');
  if (await coming) await yours;
  if (navigator.locks) wait({ steal: true });
  else has();
}
