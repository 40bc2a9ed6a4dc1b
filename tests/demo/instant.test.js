/**
 * The demo page's instant answer in three engines: there within seconds, kept, looked into, taken back and taken away
 * like every other.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';

import { loadClip } from '../../js/index.js';
import { ENGINES } from '../browser/engines.js';
import { KEPT, assertQuiet, visit } from './visit.js';

const wanted = process.env.MUDPT_ENGINES?.split(',') ?? Object.keys(ENGINES);
for (const engine of wanted) {
  test(engine, async (engineTest) => {
    const { site, browser, evaluate, reload } = await visit(engine, engineTest);
    const step = (name, body) => engineTest.test(name, body);

    let scores;
    await step('is what Train gives at first: pictures are looked at once, and a head answers', async () => {
      await browser.open(site.url);
      const found = await evaluate(`
        await looked();
        await hands.view('train');
        await hands.until('what it is', () => /once/.test(hands.text('.presets .fine')));
        const settings = hands.all('.train .advanced, .train .methods').length;
        await hands.press('Train', '.train-buttons');
        await saying(/^Done/);
        await both();
        return { settings, ...seen() };`);
      assert.equal(found.settings, 0); // they belong to prompts
      assert.ok(found.notes.every((note) => / right$/.test(note)));
      scores = found.scores;
    });

    await step('it is there again after a reload, and both look the same inside', async () => {
      await reload(KEPT);
      const [again, problems, words] = await evaluate(`
        await both();
        const { scores } = seen();
        await hands.view('inside');
        await hands.until('both maps', () => hands.all('.look.zero, .look.tuned').length === 2);
        return [scores, hands.all('.inside .problem').length, hands.text('.inside .panel')];`);
      assert.deepEqual(again, scores);
      assert.equal(problems, 0);
      assert.match(words, /leaves CLIP as it is/);
    });

    await step('Node gives the answers that the page gives', async () => {
      const [file, pictures, answers] = await evaluate(`
        await hands.view('keep');
        await hands.press('Download .safetensors');
        const { file } = watched.downloads.pop();
        await hands.view('pictures');
        const answers = await hands.answered();
        const images = hands.all('.thumb img');
        const pictures = await Promise.all(
          images.map(async (image) => hands.base64(await (await fetch(image.src)).blob())));
        return [await hands.base64(await file), pictures, answers];`);
      const clip = await loadClip(path.join(site.folder, 'model'));
      const classifier = await clip.import(Buffer.from(file, 'base64'));
      for (const [i, picture] of pictures.entries()) {
        const [{ label }] = await classifier.classify(Buffer.from(picture, 'base64'));
        assert.match(answers[i], new RegExp(`(named|for) ${label},`));
      }
      await clip.dispose();
    });

    await step('training after it takes its place, and is taken back to it', async () => {
      const back = await evaluate(`
        await hands.view('train');
        await hands.press('Quick', '.presets');
        const epochs = hands.all('.setting').find((one) => one.querySelector('span').textContent === 'Epochs');
        const input = epochs.querySelector('input');
        input.value = '1';
        input.dispatchEvent(new Event('change', { bubbles: true }));
        await hands.until('the setting', () => /back to the preset/i.test(hands.text('.advanced')));
        await hands.press('Train again', '.train-buttons');
        await hands.until('the run', () => document.querySelector('.train-progress'));
        await hands.until('its end', () => !document.querySelector('.train-progress'));
        await both();
        await hands.view('pictures'); // in a narrow window the samples are there alone
        await hands.press('Undo: The training', '.samples');
        await hands.until('the earlier answer', () => String(seen().scores) === '${scores}');
        return seen().scores;`);
      assert.deepEqual(back, scores);
    });

    await step('nothing was printed or thrown in the page', () => assertQuiet(evaluate));
  });
}
