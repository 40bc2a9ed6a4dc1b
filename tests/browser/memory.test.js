/**
 * What Chromium takes at most while many large pictures are measured, given as elements and as files: peaks of its
 * page's process, which has the worker too.
 */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';

import { ENGINES } from './engines.js';
import { serve } from './server.js';

const COUNT = 60;
const SIDES = [4000, 3000];
/** Times the files' peak. Measured: 1.16 and 1.20; all bitmaps at once would be 9 times. */
const MOST = 1.3;

/** Bytes of the largest of the browser's processes that show pages. @param {number} parent its main process */
function largestPage(parent) {
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const resident = processes.map((id) => {
    try {
      const shows = readFileSync(`/proc/${id}/cmdline`, 'utf8').includes('--type=renderer');
      return shows && isBelow(id, parent) ? 1024 * Number(/VmRSS:\s+(\d+)/.exec(statusOf(id))?.[1] ?? 0) : 0;
    } catch {
      return 0; // it has ended
    }
  });
  return Math.max(...resident);
}

const statusOf = (id) => readFileSync(`/proc/${id}/status`, 'utf8');

/** @param {string} id @param {number} parent */
function isBelow(id, parent) {
  for (let at = id; at && at !== '0'; at = /PPid:\s+(\d+)/.exec(statusOf(at))?.[1] ?? '')
    if (Number(at) === parent) return true;
  return false;
}

const wanted = process.env.MUDPT_ENGINES?.split(',') ?? ['chromium'];
test(`${COUNT} elements of 12 megapixels take at most ${MOST} times what the files take`, async (t) => {
  if (!wanted.includes('chromium') || process.platform !== 'linux') return t.skip('of Chromium on Linux');
  const server = await serve({ isolated: false });
  t.after(() => server.close());
  const peaks = {};
  for (const kind of ['files', 'elements']) {
    const browser = await ENGINES.chromium(); // a fresh one: what it has taken it keeps
    try {
      await browser.open(server.url);
      const main = /** @type {any} */ (browser.page).browser().process().pid;
      const timer = setInterval(() => (peaks[kind] = Math.max(peaks[kind] ?? 0, largestPage(main))), 50);
      const count = await browser.evaluate(`return countMeasured('${kind}', ${COUNT}, ${SIDES})`);
      clearInterval(timer);
      assert.equal(count, COUNT);
    } finally {
      await browser.close();
    }
    t.diagnostic(`${kind}: ${Math.round(peaks[kind] / 1e6)} MB`);
  }
  assert.ok(peaks.elements <= MOST * peaks.files, `${peaks.elements} bytes are more than ${MOST} times ${peaks.files}`);
});
