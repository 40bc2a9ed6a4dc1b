/**
 * The suite (suite.js) in every engine, isolated and not. MUDPT_ENGINES=firefox,webkit names some of them.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { loadClip } from '../../js/index.js';
import { startServer } from '../node/http-servers.js';
import { ENGINES } from './engines.js';
import { serve } from './server.js';
import { MODEL, int8Of, runTask } from './task.js';

const ROOT = path.resolve(import.meta.dirname, '../..');
const inTree = (file) => path.join(ROOT, file);

/** What the models' server does wrong when the page asks for it, and how many times. */
const FAULTS = {
  ...{ 'no-ranges': Infinity, cut: 2, stall: 1, silent: Infinity, 'no-cors': Infinity, right: 0 },
  ...{ gzip: Infinity, 'gzip-ranges': Infinity, gone: Infinity, login: Infinity },
};
/** What pages of other sites may be shown besides what they always are. */
const EXPOSED = { everything: 'ETag, Content-Range, Content-Encoding', ranges: 'Content-Range', nothing: '' };
const integrity = `sha256-${createHash('sha256')
  .update(readFileSync(inTree(`${MODEL}model.safetensors`)))
  .digest('base64')}`;

const clip = await loadClip(inTree(MODEL));
/** @type {Record<string, any>} */
const expected = { ...(await runTask(clip, inTree)), methods: clip.methods() };
await clip.dispose();
const small = await loadClip(inTree(MODEL), { precision: 'int8' });
expected.int8 = await int8Of(small, inTree);
await small.dispose();

const wanted = process.env.MUDPT_ENGINES?.split(',') ?? Object.keys(ENGINES);
for (const engine of wanted) {
  test(engine, async (engineTest) => {
    const browser = await ENGINES[engine]();
    engineTest.after(() => browser.close());
    for (const isolated of [true, false]) {
      await engineTest.test(isolated ? 'isolated' : 'not isolated', async (pageTest) => {
        const models = await startServer({ root: inTree('models') });
        pageTest.after(() => models.close());
        const answers = {
          '/expected.json': () => ({ ...expected, integrity, models: new URL('pictoclip/', models.url) }),
          '/sent.json': () => models.sent,
          ...Object.fromEntries(
            Object.entries(EXPOSED).map(([name, exposed]) => [
              `/exposed-${name}.json`,
              () => Object.assign(models, { exposed }) && null,
            ]),
          ),
          ...Object.fromEntries(
            Object.entries(FAULTS).map(([fault, times]) => [
              `/${fault}.json`,
              () => Object.assign(models, { fault, times }) && null,
            ]),
          ),
        };
        const server = await serve({ isolated, models: new URL(models.url).origin, answers });
        pageTest.after(() => server.close());
        await browser.open(server.url);
        assert.equal(await browser.evaluate('return crossOriginIsolated'), isolated);
        for (const name of await browser.evaluate('return caseNames')) {
          await pageTest.test(name, async () => {
            assert.equal(await browser.evaluate(`return runCase(${JSON.stringify(name)})`), '');
          });
        }
      });
    }
    // What only the developer tools of Chromium can do to a page.
    const { page } = browser;
    if (engine === 'chromium' && page) {
      await engineTest.test('frozen, thawed, and refused its quota', async (pageTest) => {
        const models = await startServer({ root: inTree('models') });
        const server = await serve({ isolated: true, models: new URL(models.url).origin });
        pageTest.after(() => Promise.all([models.close(), server.close()]));
        await browser.open(server.url);
        const session = await page.createCDPSession();
        const losses = await browser.evaluate('return lossesOfRun()');
        await browser.evaluate('globalThis.run = lossesOfRun(); return 0');
        for (const [state, ms] of /** @type {const} */ ([
          ['frozen', 2000],
          ['active', 0],
        ])) {
          await sleep(100);
          await session.send('Page.setWebLifecycleState', { state });
          await sleep(ms);
        }
        assert.deepEqual(await browser.evaluate('return run'), losses);
        const { origin } = new URL(server.url);
        const model = new URL('pictoclip/', models.url);
        const load = () => browser.evaluate(`return scoresOfModel('${model}')`);
        const used = async () => (await browser.evaluate('return navigator.storage.estimate()')).usage;
        const before = await used();
        await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 200_000 });
        const scores = await load();
        const refused = await used();
        await session.send('Storage.overrideQuotaForOrigin', { origin });
        assert.deepEqual(await load(), scores);
        const [without, kept] = [refused - before, (await used()) - before];
        assert.ok(
          without < 200_000 && kept > 5_000_000,
          `${without} bytes were kept against the quota, ${kept} without`,
        );
      });
      await engineTest.test('what a page forgets is freed, at last its worker', async (pageTest) => {
        const server = await serve({ isolated: true });
        pageTest.after(() => server.close());
        await browser.open(server.url);
        const session = await page.createCDPSession();
        /** Collects garbage until it is so. @param {string} isSo */
        const until = async (isSo) => {
          for (let round = 0; round < 100 && !(await browser.evaluate(`return ${isSo}`)); round++) {
            await session.send('HeapProfiler.collectGarbage');
            await sleep(10);
          }
          return browser.evaluate(`return ${isSo}`);
        };
        const workers = page.workers().length;
        await browser.evaluate('globalThis.held = await forgetful()');
        assert.ok(page.workers().length > workers);
        assert.ok(await until('held.disposed.includes(held.first)'), 'a classifier is still there');
        assert.equal(await browser.evaluate('return (await held.second.classify(held.picture)).length'), 3);
        await browser.evaluate('held.second = null');
        assert.ok(await until('printed.some((line) => /nothing uses the model/.test(line))'), 'nothing was said');
        for (let round = 0; round < 100 && page.workers().length > workers; round++) await sleep(100);
        assert.equal(page.workers().length, workers);
      });
    }
    await engineTest.test('with the package on another site', async (pageTest) => {
      const other = await serve({ isolated: false });
      pageTest.after(() => other.close());
      // An isolated page's worker imports in WebKit only from sites that send the policy too.
      const isolated = engine !== 'webkit';
      const server = await serve({ isolated, site: new URL(other.url).origin });
      pageTest.after(() => server.close());
      await browser.open(`${server.url}tests/browser/foreign.html`);
      const scores = await browser.evaluate(`return scoresThrough('${other.url}')`);
      expected.zeroShot[0].forEach((score, i) => assert.ok(Math.abs(score - scores[i]) <= 1e-4, `${scores}`));
    });
  });
}
