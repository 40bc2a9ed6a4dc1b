/**
 * The quiet hints of the demo page in three engines: a label that looks wrong, a held-out picture of which more would
 * help. They come once nothing has changed for a while, lead to their picture, go when it is put right, and stay away
 * once they are hidden.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ENGINES } from '../browser/engines.js';
import { assertQuiet, visit } from './visit.js';

const HINT = `
  const hint = () => hands.text('.hint span');
  const put = async (name, picture) => {
    const before = counted(name);
    hands.give(hands.card(name).querySelector('input[type=file]'), [picture]);
    await hands.until('the picture', () => counted(name) === before + 1);
  };
  const change = async (kind) => {
    await hands.view('pictures');
    hands.write(hands.card(kind).querySelector('.card-name'), kind + 's');
    await hands.until('the name', () => hands.card(kind + 's'));
    hands.write(hands.card(kind + 's').querySelector('.card-name'), kind);
    await hands.until('the name', () => hands.card(kind));
  };
  const settled = async () => {
    await hands.until('the answer', () => document.documentElement.dataset.after === 'instant');
    await both();
    // Longer than it takes until a hint would come, and then what it asks.
    await new Promise((resolve) => setTimeout(resolve, 4000));
  };`;

const wanted = process.env.MUDPT_ENGINES?.split(',') ?? Object.keys(ENGINES);
for (const engine of wanted) {
  test(engine, async (engineTest) => {
    const { site, browser, evaluate: ask } = await visit(engine, engineTest);
    const evaluate = (body) => ask(`${HINT} ${body}`);
    const step = (name, body) => engineTest.test(name, body);
    await browser.open(site.url);
    await evaluate(`await opened('Travel'); await hands.view('pictures');`);

    await step('a picture under a wrong name is doubted, and "Look" opens it', async () => {
      const [words, there] = await evaluate(`
        const bus = await hands.picture('bus', 1);
        await put('canoe', bus);
        const words = await hands.until('the hint', hint);
        await hands.press('Look', '.hint');
        const select = await hands.until('the dialog', () => document.querySelector('dialog select'));
        const there = select.selectedOptions[0].textContent;
        await hands.close();
        return [words, there];`);
      assert.equal(words, 'This one is under canoe and looks like bus.');
      assert.equal(there, 'canoe');
    });

    await step('it is hidden, and stays away when something else changes', async () => {
      const [gone, later] = await evaluate(`
        await hands.press('Hide this hint');
        await hands.until('it to go', () => !/under canoe/.test(hint()));
        const gone = hint();
        await change('bus');
        await settled();
        return [gone, hint()];`);
      for (const words of [gone, later]) assert.doesNotMatch(words, /under canoe/);
    });

    await step('another one goes when its picture is moved where it belongs', async () => {
      const words = await evaluate(`
        await put('canoe', await hands.picture('bus', 2));
        const words = await hands.until('the hint', () => /under canoe/.test(hint()) && hint());
        await hands.press('Look', '.hint');
        const select = await hands.until('the dialog', () => document.querySelector('dialog select'));
        select.value = [...select.options].find(({ text }) => text === 'bus').value;
        select.dispatchEvent(new Event('change', { bubbles: true }));
        await hands.close();
        await settled();
        return [words, hint()];`);
      assert.equal(words[0], 'This one is under canoe and looks like bus.');
      assert.doesNotMatch(words[1], /under canoe/);
    });

    await step('nothing was printed or thrown in the page', () => assertQuiet(evaluate));
  });
}
