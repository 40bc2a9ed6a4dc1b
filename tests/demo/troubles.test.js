/**
 * The demo page in three engines when something goes wrong: a run that cannot be put away, or is interrupted before
 * anything of it was; tabs that take the session from each other; a model, samples or pictures that do not come.
 */
import assert from 'node:assert/strict';
import { rename } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';

import { ENGINES } from '../browser/engines.js';
import { FORGOTTEN, KEPT, MAKE, SEEN, assertQuiet, visit } from './visit.js';

/** From now on no run can be put away, as where memory for it is missing. */
const NO_CHECKPOINTS = `
  const { postMessage } = Worker.prototype;
  globalThis.again = () => (Worker.prototype.postMessage = postMessage);
  Worker.prototype.postMessage = function (message, ...rest) {
    if (message?.method === 'checkpoint') throw new Error('there is no room for it');
    return postMessage.call(this, message, ...rest);
  };`;
const STEPS = `await hands.until('steps', () => /step ([2-9]|\\d\\d+) of/.test(hands.text('.train-progress')))`;

const wanted = process.env.MUDPT_ENGINES?.split(',') ?? Object.keys(ENGINES);
for (const engine of wanted) {
  test(engine, async (engineTest) => {
    const { site, browser, evaluate, reload } = await visit(engine, engineTest);
    const step = (name, body) => engineTest.test(name, body);
    await browser.open(site.url);
    await evaluate(`await hands.until('the model', () => document.documentElement.dataset.model === 'pictoclip');
      await looked(); ${KEPT}`);

    await step('a run that is interrupted before anything of it is stored is said to be', async () => {
      await evaluate(`
        ${NO_CHECKPOINTS}
        await hands.view('train');
        await long();
        await hands.press('Train', '.train-buttons');
        ${STEPS};`);
      await reload(KEPT);
      const [said, names] = await evaluate(`
        const said = await hands.until('the message', () => document.querySelector('.toast.bad')?.textContent);
        return [said, hands.all('.train-buttons button').map(hands.named)];`);
      assert.match(said, /interrupted before its first step was stored/);
      assert.deepEqual(names, ['Train']);
      await reload(KEPT);
      assert.equal(await evaluate(`await looked(); return hands.text('.toast')`), '');
    });

    await step('so is one that is left in the moment in which it begins', async () => {
      await reload(`await hands.press('Train', '.train-buttons')`);
      const said = await evaluate(`return hands.until('the message', () => hands.text('.toast'))`);
      assert.match(said, /^Training was interrupted/);
    });

    await step('a run that cannot be put away at all says so when it is paused', async () => {
      const [problem, state, names] = await evaluate(`
        ${NO_CHECKPOINTS}
        await hands.view('train');
        await hands.press('Train', '.train-buttons');
        ${STEPS};
        await hands.press('Pause');
        const problem = await hands.until('the problem', () => hands.text('.train .problem'));
        const state = await saying(/^Done: /);
        again();
        return [problem, state, hands.all('.train-buttons button').map(hands.named)];`);
      assert.match(problem, /could not be put away.*cannot go on.*in use.*there is no room for it/);
      assert.match(state, /right/);
      assert.deepEqual(names, ['Train again']);
    });

    await step('and where an earlier step of it was put away, that it goes on from there', async () => {
      const [problem, state, left] = await evaluate(`
        await hands.press('Train again', '.train-buttons');
        const stored = () => new Promise((resolve) => {
          indexedDB.open('mudpt-demo').onsuccess = ({ target: { result: base } }) => {
            base.transaction('session').objectStore('session').get('session').onsuccess = ({ target }) => {
              base.close();
              resolve(target.result.works.find(({ run }) => run) !== undefined);
            };
          };
        });
        await hands.until('a step to be stored', stored);
        ${NO_CHECKPOINTS}
        const [, before] = /step (\\d+) of/.exec(hands.text('.train-progress'));
        await hands.until('further steps', () =>
          Number(/step (\\d+) of/.exec(hands.text('.train-progress'))[1]) > Number(before) + 2);
        await hands.press('Pause');
        const problem = await hands.until('the problem', () => hands.text('.train .problem'));
        const state = await saying(/after a reload/);
        again();
        const stood = Number(/from step (\\d+)/.exec(problem)[1]);
        await hands.press('Continue', '.train-buttons');
        await hands.until('a further step', () =>
          Number(/step (\\d+) of/.exec(hands.text('.train-progress'))?.[1]) > stood);
        await hands.press('Stop here');
        await saying(/^Done: /);
        return [problem, state, hands.text('.train .problem')];`);
      assert.match(problem, /could not be put away.*Continue goes on from step \d+ of \d+/);
      assert.match(state, /^Paused/);
      assert.equal(left, '');
    });

    await step('a class that goes while it is trained comes back with the run', async () => {
      const [said, state] = await evaluate(`
        await long();
        await hands.press('Train again', '.train-buttons');
        ${STEPS};
        await hands.view('pictures');
        await hands.press('Remove the class canoe');
        await hands.view('train');
        await hands.press('Pause');
        const said = await hands.until('the words', () => /What was trained[^.]*\\./.exec(hands.text('.train'))?.[0]);
        await hands.press('Undo', '.toast');
        const state = await saying(/after a reload/);
        await hands.press('Continue', '.train-buttons');
        await hands.press('Stop here');
        await saying(/^Done: /);
        return [said, state];`);
      assert.match(said, /of other classes/);
      assert.match(state, /^Paused/);
    });

    await step('a sample that is on its way takes the place of nothing that was done since', async () => {
      const cards = await evaluate(`
        const { fetch } = globalThis;
        let go;
        let sample;
        const held = new Promise((resolve) => (go = resolve));
        globalThis.fetch = (...asked) => (sample = held.then(() => fetch(...asked))
          .then(async (answer) => new Response(await answer.arrayBuffer())));
        await hands.view('pictures');
        await hands.press('Zoo', '.samples');
        await hands.press('Start empty');
        globalThis.fetch = fetch;
        go();
        await sample;
        for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 50));
        const { cards } = seen();
        await hands.press('Undo', '.toast');
        await hands.until('the classes', () => hands.card('bus'));
        return cards;`);
      assert.deepEqual(cards, []);
    });

    await step('what is nothing to look at, and what only the library reads', async () => {
      const [hidden, note, after] = await evaluate(`
        await hands.view('pictures');
        hands.carry('drop', document.querySelector('.pictures'), { '.DS_Store': new File(['x'], '.DS_Store') });
        const hidden = await hands.until('the message', () => /^Only/.test(hands.text('.toast.bad')) &&
          hands.text('.toast.bad'));
        await make('odd');
        const whole = new Uint8Array(await (await hands.picture('bus')).arrayBuffer());
        const cut = whole.subarray(0, -12); // without its last chunk
        await give('odd', [new File([cut], 'cut.png', { type: 'image/png' })]);
        const answers = await hands.answered();
        return [hidden, hands.card('odd').querySelector('.card-note').textContent, answers.at(-1)];`);
      assert.match(hidden, /Only hidden files/);
      assert.equal(note, '1 to train');
      assert.match(after, /named|taken for/);
      await evaluate(`await hands.press('Remove the class odd'); ${KEPT}`);
    });

    await step(
      'a model that does not come is said, whatever is tried without it, and can be asked for again',
      async () => {
        const before = await evaluate(`await both(); return seen()`);
        await rename(path.join(site.folder, 'model'), path.join(site.folder, 'away'));
        await reload(`${KEPT}; ${FORGOTTEN}`, 'failed');
        const [problem, obstacle, refused, cards] = await evaluate(`
        await hands.view('keep');
        hands.give(document.querySelector('input[accept=".safetensors"]'), [new File(['x'], 'mine.safetensors')]);
        const refused = await hands.until('the message', () => /file/.test(hands.text('.toast.bad')) &&
          hands.text('.toast.bad'));
        const said = [hands.text('.problem'), hands.text('#train-obstacle'), refused];
        await hands.view('pictures');
        return [...said, seen()];`);
        assert.match(problem, /pictoclip could not be loaded/);
        assert.match(obstacle, /No model is loaded/);
        assert.match(refused, /No model is loaded/);
        assert.deepEqual(cards.cards, before.cards);
        await rename(path.join(site.folder, 'away'), path.join(site.folder, 'model'));
        const after = await evaluate(`
        await hands.press('Try again', '.problem');
        await hands.until('the model', () => document.documentElement.dataset.model === 'pictoclip');
        await both();
        return seen();`);
        assert.deepEqual(after, before);
      },
    );

    await step('samples that do not come can be asked for again', async () => {
      await rename(path.join(site.folder, 'samples'), path.join(site.folder, 'away'));
      await reload(KEPT);
      const said = await evaluate(`return hands.until('it', () => hands.text('.samples .problem'))`);
      assert.match(said, /samples could not be fetched/);
      await rename(path.join(site.folder, 'away'), path.join(site.folder, 'samples'));
      await evaluate(`await hands.press('Try again', '.samples .problem'); await hands.press('Zoo', '.samples');
        await opened('Zoo'); await hands.press('Undo', '.toast'); await opened('Travel')`);
    });

    if (browser.page) {
      await step('a tab that takes the session over pauses the run of the other one', () =>
        takenOver(browser.page, site.url),
      );
      await step('without locks, too, one tab has the session', () => withoutLocks(browser.page, site.url));
    }

    await step('nothing was printed or thrown in the page', () => assertQuiet(evaluate));
  });
}

const run = (page, body) => page.evaluate(`(async () => { ${SEEN} ${MAKE} ${body} })()`);

/** @param {import('puppeteer-core').Page} first @param {string} url */
async function takenOver(first, url) {
  await first.bringToFront();
  await run(
    first,
    `await hands.view('train');
     await long();
     await hands.press('Train', '.train-buttons');
     ${STEPS}`,
  );
  const second = await first.browser().newPage();
  await second.goto(url);
  await second.bringToFront();
  const state = await run(
    second,
    `await hands.until('the message', () => hands.text('.elsewhere'));
     await hands.press('Use it here');
     await hands.until('it', () => !document.querySelector('.elsewhere'));
     await hands.view('train');
     return saying(/after a reload/);`,
  );
  assert.match(state, /^Paused/);
  await run(
    second,
    `await hands.press('Continue', '.train-buttons');
     await hands.press('Stop here');
     await saying(/^Done: /);
     ${KEPT}`,
  );
  await second.close();
  await first.bringToFront();
  await run(
    first,
    `await hands.until('it', () => !document.querySelector('.elsewhere'));
     await saying(/^Done: /)`,
  );
}

/** @param {import('puppeteer-core').Page} page @param {string} url */
async function withoutLocks(page, url) {
  await page.goto('about:blank');
  const tabs = [];
  for (let i = 0; i < 2; i++) {
    const tab = await page.browser().newPage();
    await tab.evaluateOnNewDocument(() => Object.defineProperty(navigator, 'locks', { value: undefined }));
    await tab.bringToFront();
    await tab.goto(url);
    tabs.push(tab);
  }
  const [first, second] = tabs;
  const said = await run(second, `return hands.until('the message', () => hands.text('.elsewhere'))`);
  assert.match(said, /open in another tab/);
  const take = `await hands.press('Use it here');
    await hands.until('it', () => !document.querySelector('.elsewhere'));`;
  await first.bringToFront();
  await run(first, `await hands.view('pictures'); await make('in the first'); ${KEPT}`);
  await second.bringToFront();
  await run(
    second,
    `${take} await hands.view('pictures'); await hands.until('it', () => hands.card('in the first'));
    await make('in the second'); ${KEPT}`,
  );
  await first.bringToFront();
  const names = await run(
    first,
    `await hands.until('the message', () => hands.text('.elsewhere'));
    ${take} await hands.until('it', () => hands.card('in the second'));
    return seen().cards.map(([name]) => name).slice(-2)`,
  );
  assert.deepEqual(names, ['in the first', 'in the second']);
  for (const tab of tabs) await tab.close();
  await page.bringToFront();
  await page.goto(url);
  await run(page, `await hands.until('it', () => hands.card('in the second'))`);
}
