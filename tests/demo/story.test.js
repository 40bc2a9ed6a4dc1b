/**
 * A visitor's story in three engines: from an empty page to a page of their own, in presses that hands make in a minute
 * and a half. What the machine takes beside is printed and decides nothing.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { unzipSync } from 'fflate';

import { ENGINES } from '../browser/engines.js';
import { COUNTED, atHome, secondsOf, story } from './story.js';
import { assertQuiet, visit } from './visit.js';

/** So long it may take from nothing to what can be shared. */
const SECONDS = 90;
const CLASSES = /** @type {const} */ (['bus', 'canoe']);

const wanted = process.env.MUDPT_ENGINES?.split(',') ?? Object.keys(ENGINES);
for (const engine of wanted) {
  test(engine, async (engineTest) => {
    const { site, browser, evaluate } = await visit(engine, engineTest);
    await browser.open(site.url);
    await evaluate(`await opened('Travel'); ${atHome([...CLASSES])}`);
    let waited = 0;
    for (const [name, , does] of story(...CLASSES))
      await engineTest.test(name, async () => {
        const start = performance.now();
        await evaluate(`${COUNTED} ${does}`);
        waited += (performance.now() - start) / 1000;
      });

    await engineTest.test('its hands take a minute and a half at most, and a page came of it', async () => {
      const [done, name, file] = await evaluate(`return [hands.done, page.name, await hands.base64(await page.file)]`);
      const seconds = secondsOf(done);
      const told = `${done.presses} presses and ${done.letters} letters, ${seconds.toFixed(0)} s`;
      console.log(`    ${engine}: ${told}; waited for ${waited.toFixed(0)} s`);
      assert.ok(done.presses > 10 && seconds <= SECONDS, told);
      assert.equal(name, 'bus-canoe.zip');
      const files = unzipSync(Buffer.from(file, 'base64'));
      for (const part of ['index.html', 'README.txt', 'classifier.safetensors', 'model/model.safetensors'])
        assert.ok(files[part]?.length > 100, part);
    });
    await engineTest.test('nothing was printed or thrown in the page', () => assertQuiet(evaluate));
  });
}
