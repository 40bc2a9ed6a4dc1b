/**
 * The demo page in three engines while something is on its way: samples, pictures that are read, a model, another tab,
 * a newer page. What a visitor does meanwhile stands, and what was given comes.
 */
import assert from 'node:assert/strict';
import { readFile, readdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';

import { unzipSync, zipSync } from 'fflate';

import { ENGINES } from '../browser/engines.js';
import { KEPT, MAKE, SEEN, assertQuiet, otherModel, visit } from './visit.js';

/** Nothing is stored any more. */
const FIRST_VISIT = `
  await new Promise((resolve, reject) =>
    Object.assign(indexedDB.deleteDatabase('mudpt-demo'), { onsuccess: resolve, onerror: reject }))`;
/** Reading a picture takes its time. */
const SLOW = `
  const { createImageBitmap } = globalThis;
  globalThis.createImageBitmap = (...given) =>
    new Promise((resolve) => setTimeout(resolve, 400)).then(() => createImageBitmap(...given));`;
const GIVEN = `
  const picture = await hands.picture(hands.all('.card-name')[0].value);
  const given = Array.from({ length: 5 }, (_, i) => new File([picture], i + '.png', { type: 'image/png' }));`;
/** The session as it is stored: asked for, or put in its place. */
const STORED = `
  const stored = (change) => new Promise((resolve) => {
    indexedDB.open('mudpt-demo').onsuccess = ({ target: { result: base } }) => {
      const rows = base.transaction('session', 'readwrite').objectStore('session');
      rows.get('session').onsuccess = ({ target: { result } }) => {
        if (change) rows.put({ ...result, ...change }, 'session');
        rows.transaction.oncomplete = () => (base.close(), resolve(result));
      };
    };
  });`;

/** The page is built anew: its files have other names. */
async function update(folder) {
  const assets = path.join(folder, 'assets');
  const names = await readdir(assets);
  const fresh = (text) => names.reduce((all, name) => all.replaceAll(name, name.replace(/\.\w+$/, '2$&')), text);
  for (const name of names) {
    const file = path.join(assets, name);
    if (/\.(js|css)$/.test(name)) await writeFile(file, fresh(await readFile(file, 'utf8')));
    await rename(file, path.join(assets, fresh(name)));
  }
  const index = path.join(folder, 'index.html');
  await writeFile(index, fresh(await readFile(index, 'utf8')));
}

/** A sample has one class more than the list of samples says, which an open page has read already. */
async function greaterSample(folder) {
  const file = path.join(folder, 'samples/zoo.zip');
  const files = unzipSync(await readFile(file));
  const [name] = Object.keys(files).filter((one) => one.startsWith('train/'));
  await writeFile(file, zipSync({ ...files, 'train/dodo/0001-x.png': files[name] }));
}

const wanted = process.env.MUDPT_ENGINES?.split(',') ?? Object.keys(ENGINES);
for (const engine of wanted) {
  test(engine, async (engineTest) => {
    const { site, browser, evaluate, reload } = await visit(engine, engineTest);
    await otherModel(site.folder);
    const step = (name, body) => engineTest.test(name, body);
    /** A first visit, on which samples do not come yet. */
    const first = async () => {
      await browser.open(`${site.url}licences.txt`);
      await browser.evaluate(`sessionStorage.held = '.zip'; ${FIRST_VISIT}`);
      await browser.open(site.url);
      await evaluate(`await hands.until('the samples', () => hands.all('.samples .chip').length > 1); ${KEPT}`);
    };
    const comes = `sessionStorage.removeItem('held');`;

    await step('a page that is loaded anew before the first sample has come still begins with it', async () => {
      await first();
      await reload(comes);
      await evaluate(`await opened('Travel'); await hands.until('its cards', () => hands.card('bus')); ${KEPT}`);
    });

    await step('what is made before the first sample has come stays, and nothing takes its place', async () => {
      await first();
      const [cards, toast] = await evaluate(`
        await make('mine');
        ${comes}
        await hands.until('the sample', () => !document.querySelector('.chip[aria-busy=true]'));
        ${KEPT};
        return [seen().cards, hands.text('.toast')];`);
      assert.deepEqual([cards, toast], [[['mine', 0]], '']);
      await reload();
      assert.deepEqual((await evaluate(`return seen()`)).cards, cards);
    });

    await step('"Start empty" before the first sample has come is empty, also after a reload', async () => {
      await first();
      await evaluate(`await hands.press('Start empty'); ${comes} ${KEPT}`);
      await reload();
      assert.deepEqual((await evaluate(`return seen()`)).cards, []);
    });

    await step('a sample that comes after something was done says that it was not opened', async () => {
      await evaluate(`sessionStorage.held = '.zip'`);
      await reload();
      const [said, cards] = await evaluate(`
        await hands.press('Zoo', '.samples');
        await make('since');
        ${comes}
        const said = await hands.until('the message', () => hands.text('.toast.bad'));
        return [said, seen().cards];`);
      assert.match(said, /^Zoo was not opened, since something was changed meanwhile/);
      assert.deepEqual(cards, [['since', 0]]);
    });

    await step('of a sample that is newer than the list of samples every picture has its class', async () => {
      await greaterSample(site.folder);
      const [cards, count] = await evaluate(`
        await hands.press('Zoo', '.samples');
        await opened('Zoo');
        await hands.until('its cards', () => hands.card('dodo'));
        ${KEPT};
        ${STORED}
        return [seen().cards, (await stored()).pictures.length];`);
      assert.deepEqual(cards.at(-1), ['dodo', 1]);
      assert.equal(
        count,
        cards.reduce((sum, [, own]) => sum + own, 0),
      );
    });

    await step('pictures come as they are read, and go at once', async () => {
      const [seenCounts, back] = await evaluate(`
        ${SLOW} ${GIVEN}
        await make('slow');
        const counts = new Set();
        const watch = new MutationObserver(() => counts.add(hands.count('slow')));
        watch.observe(document.querySelector('.cards'), { subtree: true, childList: true });
        await give('slow', given);
        watch.disconnect();
        await hands.press('Undo: 5 pictures added to slow', '.samples');
        await hands.until('them to go', () => hands.count('slow') === 0);
        globalThis.createImageBitmap = createImageBitmap;
        return [[...counts], hands.count('slow')];`);
      assert.ok(
        seenCounts.some((count) => count > 0 && count < 5),
        `${seenCounts}`,
      );
      assert.equal(back, 0);
    });

    await step('pictures that have come in this moment are there after a reload, and so is the way back', async () => {
      for (let i = 1; i <= 3; i++) {
        await reload(`
          ${GIVEN}
          const come = new Promise((resolve) =>
            new MutationObserver(() => hands.count('slow') === ${5 * i} && resolve()).observe(
              document.querySelector('.cards'), { subtree: true, childList: true }));
          hands.give(hands.card('slow').querySelector('input[type=file]'), given);
          await come`);
        const [count, undo] = await evaluate(`
          await hands.until('the card', () => hands.card('slow'));
          return [hands.count('slow'), hands.all('.samples .round').map(hands.named)];`);
        assert.deepEqual([count, undo], [5 * i, ['Undo: 5 pictures added to slow']]);
      }
    });

    await step('a drawing that is added as its dialog is closed comes', async () => {
      const count = await evaluate(`
        hands.card('slow').querySelectorAll('.tool')[3].click();
        const canvas = await hands.until('the canvas', () => document.querySelector('dialog canvas'));
        hands.pointer(canvas, 'pointerdown', 0.2, 0.2);
        hands.pointer(canvas, 'pointermove', 0.6, 0.7);
        hands.pointer(canvas, 'pointerup', 0.6, 0.7);
        const add = await hands.until('the button', () => document.querySelector('dialog .main:not(:disabled)'));
        add.click();
        await hands.close();
        return hands.until('the drawing', () => hands.all('.thumb', hands.card('slow')).length === 16);`);
      assert.ok(count);
    });

    await step('a run whose model another one takes the place of is paused, and goes on with its model', async () => {
      const load = (folder, name) => `
        document.querySelector('.model-button').click();
        await hands.until('the dialog', () => document.querySelector('#model-address'));
        hands.write(document.querySelector('#model-address'), new URL('${folder}', location.href).href);
        document.querySelector('.model-own button').click();
        await hands.until('the model', () => document.querySelector('.model-name').textContent === '${name}' &&
          !document.querySelector('.model-share') && !document.querySelector('.problem'));
        await hands.close();`;
      const [step, state] = await evaluate(`
        await hands.press('Remove the class slow');
        await hands.view('train');
        await long();
        await hands.press('Train', '.train-buttons');
        const stepNow = () => Number(/step (\\d+) of/.exec(hands.text('.train-progress'))?.[1] ?? 0);
        await hands.until('steps', () => stepNow() > 2);
        const step = stepNow();
        ${load('own/', 'own')}
        ${load('model/', 'model')}
        const state = await saying(/^(Paused|Interrupted)/);
        await hands.press('Continue', '.train-buttons');
        await hands.until('it to go on', () => stepNow() > step);
        await hands.press('Stop here');
        await saying(/^Done: /);
        return [step, state];`);
      assert.ok(step > 2);
      assert.match(state, /^Paused/);
    });

    await step('"Remove everything" as a run ends leaves nothing of it', async () => {
      const [names, buttons] = await evaluate(`
        await hands.press('Train again', '.train-buttons');
        await hands.until('steps', () => /step ([2-9]|\\d\\d+) of/.test(hands.text('.train-progress')));
        await hands.view('keep');
        hands.all('button').find((one) => hands.named(one) === 'Stop here').click();
        await hands.press('Remove everything');
        await hands.view('pictures');
        await new Promise((resolve) => setTimeout(resolve, 1000));
        const names = hands.all('.samples .round').map(hands.named);
        await hands.press('Undo', '.toast');
        await hands.until('the classes', () => hands.card('dodo'));
        ${KEPT};
        return [names, hands.all('.train-buttons button').map(hands.named)];`);
      assert.deepEqual(names, ['Undo: Everything was removed']);
      assert.ok(!buttons.includes('Pause'), `${buttons}`);
    });

    if (browser.page) {
      await step('pictures that are being read when another tab takes the session over come there', () =>
        takenWhileReading(browser.page, site.url),
      );
    }

    await step('a session of a newer page is left as it is, and said to be', async () => {
      const before = await evaluate(`await hands.view('pictures'); ${KEPT}; return seen().cards`);
      await evaluate(`${STORED} await stored({ version: 2 })`);
      await evaluate(`globalThis.before = true; setTimeout(() => location.reload())`);
      const isNew = `return !globalThis.before && Boolean(globalThis.hands)`;
      while (!(await browser.evaluate(isNew).catch(() => false)));
      const [said, record] = await evaluate(`
        const said = await hands.until('the notice', () => hands.text('.notice'));
        await make('not stored');
        ${STORED}
        const record = await stored();
        await stored({ version: 1 });
        return [said, [record.version, record.classes.length]];`);
      assert.match(said, /updated.*what is changed here is not stored/);
      assert.deepEqual(record, [2, before.length]);
      await reload('', 'address');
      assert.deepEqual(await evaluate(`return seen().cards`), before);
    });

    await step('a page that is updated while it is open says so, and takes nothing of two versions', async () => {
      const before = await evaluate(`await hands.view('keep');
        await hands.until('the view', () => document.querySelector('.keep'));
        await hands.view('pictures'); await both(); ${KEPT}; return seen()`);
      await update(site.folder);
      const [notice, refused] = await evaluate(`
        document.querySelector('.model-button').click();
        await hands.until('the dialog', () => document.querySelector('#model-address'));
        hands.write(document.querySelector('#model-address'), new URL('nowhere/', location.href).href);
        document.querySelector('.model-own button').click();
        await hands.until('the end', () => hands.text('dialog .problem'));
        await hands.close();
        const notice = await hands.until('the notice', () => hands.text('.notice'));
        await hands.view('keep');
        await hands.press('Download the page');
        return [notice, await hands.until('the message', () => hands.text('.toast.bad'))];`);
      assert.match(notice, /This page was updated.*Load it anew/);
      assert.match(refused, /could not be packed: This page was updated/);
      await reload(`await hands.view('pictures'); ${KEPT}; await hands.press('Load it anew')`, 'address');
      assert.deepEqual(await evaluate(`await both(); return [seen(), hands.text('.notice')]`), [before, '']);
    });

    await step('nothing was printed or thrown in the page', () => assertQuiet(evaluate));
  });
}

/** @param {import('puppeteer-core').Page} first @param {string} url */
async function takenWhileReading(first, url) {
  const run = (page, body) => page.evaluate(`(async () => { ${SEEN} ${MAKE} ${body} })()`);
  await first.bringToFront();
  await run(
    first,
    `await hands.view('pictures');
     await hands.until('the classes', () => hands.card('dodo'));
     await make('slow'); ${KEPT}`,
  );
  const second = await first.browser().newPage();
  await second.goto(url);
  await second.bringToFront();
  await run(second, `await hands.until('the message', () => hands.text('.elsewhere'))`);
  await run(
    first,
    `${GIVEN} ${SLOW}
     hands.give(hands.card('slow').querySelector('input[type=file]'), given);
     hands.card('slow').querySelectorAll('.tool')[3].click();
     await hands.until('the dialog', () => document.querySelector('dialog[open]'))`,
  );
  const count = await run(
    second,
    `await hands.press('Use it here');
     await hands.until('it', () => !document.querySelector('.elsewhere'));
     return hands.until('the class', () => hands.card('slow') && hands.count('slow'));`,
  );
  assert.equal(count, 5);
  // Nothing lies above what the first tab says now.
  const [there, open] = await run(
    first,
    `const found = await hands.until('the button', () => document.querySelector('.elsewhere button'));
     const { left, top, width, height } = found.getBoundingClientRect();
     return [document.elementFromPoint(left + width / 2, top + height / 2) === found,
       hands.all('dialog[open]').length]`,
  );
  assert.deepEqual([there, open], [true, 0]);
  await run(second, `await hands.press('Remove the class slow'); ${KEPT}`);
  await second.close();
  await first.bringToFront();
  await run(
    first,
    `await hands.until('it', () => !document.querySelector('.elsewhere') && hands.card('dodo')); ${KEPT}`,
  );
}
