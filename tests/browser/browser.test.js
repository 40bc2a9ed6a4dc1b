/**
 * The suite (suite.js) in every engine, isolated and not. MUDPT_ENGINES=firefox,webkit names some of them.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';

import { loadClip } from '../../js/index.js';
import { startServer } from '../node/http-servers.js';
import { ENGINES } from './engines.js';
import { serve } from './server.js';
import { MODEL, runTask } from './task.js';

const ROOT = path.resolve(import.meta.dirname, '../..');
const inTree = (file) => path.join(ROOT, file);

/** What the models' server does wrong when the page asks for it, and how many times. */
const FAULTS = { 'no-ranges': Infinity, cut: 2, stall: 1, silent: Infinity, 'no-cors': Infinity };

const clip = await loadClip(inTree(MODEL));
const expected = { ...(await runTask(clip, inTree)), methods: clip.methods() };
await clip.dispose();

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
          '/expected.json': () => ({ ...expected, models: new URL('pictoclip/', models.url) }),
          '/sent.json': () => models.sent,
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
