/**
 * The demo page in three engines: nothing that a visitor has done is lost, by no click, no reload, no second tab, no
 * model that is away and no storage that is full; and nothing is said before it is so.
 */
import assert from 'node:assert/strict';
import { cp, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';

import { serve } from '../../web-demo/serve.js';
import { ENGINES } from '../browser/engines.js';
import { watchedSite } from './site.js';
import { FORGOTTEN, KEPT, MAKE, SEEN, assertQuiet, otherModel, slowModel, visit } from './visit.js';

const ROOT = path.resolve(import.meta.dirname, '../..');
/** A visit that changes something and leaves all as it was. */
const VISIT = `
  await hands.view('pictures');
  await make('a visit');
  await hands.press('Remove the class a visit');
  ${KEPT}`;

const wanted = process.env.MUDPT_ENGINES?.split(',') ?? Object.keys(ENGINES);
for (const engine of wanted) {
  test(engine, async (engineTest) => {
    const { site, browser, evaluate, reload } = await visit(engine, engineTest);
    await otherModel(site.folder);
    const step = (name, body) => engineTest.test(name, body);

    await step('no accuracy is said before all pictures were looked at', async () => {
      await browser.open(site.url);
      const told = await evaluate(`
        const told = [];
        const watch = new MutationObserver(() => told.push([hands.text('.meter.zero .meter-share'),
          hands.text('.meter.zero .meter-note')]));
        watch.observe(document.querySelector('.score'), { subtree: true, childList: true, characterData: true });
        await hands.until('zero-shot', () => / right$/.test(hands.text('.meter.zero .meter-note')));
        await hands.press('Zoo', '.samples');
        await opened('Zoo');
        await hands.until('the next', () => / right$/.test(hands.text('.meter.zero .meter-note')));
        await hands.press('Undo', '.toast');
        await opened('Travel');
        await hands.until('back', () => / right$/.test(hands.text('.meter.zero .meter-note')));
        watch.disconnect();
        return told;`);
      assert.ok(told.some(([, note]) => /^\d+ of 16 looked at$/.test(note)));
      for (const [share, note] of told) assert.equal(share !== '–', / right$/.test(note), `${share}: ${note}`);
    });

    let own;
    await step('a sample takes the place of own classes, and is taken back as a whole', async () => {
      const [before, after, back] = await evaluate(`
        const picture = await hands.picture('bus');
        await make('mine');
        await give('mine', [picture, picture]);
        await looked();
        const before = seen();
        await hands.press('Food', '.samples');
        await opened('Food');
        await looked();
        const after = seen();
        await hands.press('Undo', '.toast');
        await hands.until('it to come back', () => hands.card('mine'));
        await looked();
        return [before, after, seen()];`);
      assert.deepEqual(before.cards.at(-1), ['mine', 2]);
      assert.ok(!after.cards.some(([name]) => name === 'mine'));
      assert.deepEqual(back, before);
      own = before;
    });

    await step(
      'so it is after a reload; what was taken back is done again, and taken back again after one more',
      async () => {
        await reload(KEPT);
        assert.deepEqual((await evaluate(`await looked(); return seen()`)).cards, own.cards);
        await evaluate(`await hands.press('Redo', '.samples'); await opened('Food')`);
        await reload(KEPT);
        assert.equal((await evaluate(`return seen()`)).cards.length, 2);
        await evaluate(
          `await hands.press('Undo: Food', '.samples'); await hands.until('mine', () => hands.card('mine'))`,
        );
        await reload(KEPT);
        assert.deepEqual((await evaluate(`await looked(); return seen()`)).cards, own.cards);
      },
    );

    await step(
      'Undo takes back its own change, and not what was made meanwhile; nothing covers the next button',
      async () => {
        const covered = `
        await Promise.all(document.getAnimations().map((one) => one.finished.catch(() => {})));
        const place = document.querySelector('.toast').getBoundingClientRect();
        const bar = document.querySelector('.toast-place').parentElement;
        const { bottom } = bar.getBoundingClientRect(); // what is scrolled below the bar is covered by the bar
        return hands.all('button, a, input, summary').filter((one) => {
          const box = one.getBoundingClientRect();
          const top = bar.contains(one) ? box.top : Math.max(box.top, bottom);
          const over = Math.min(box.right, place.right) > Math.max(box.left, place.left) &&
            Math.min(box.bottom, place.bottom) > Math.max(top, place.top);
          return box.width && over && !one.closest('.toast') && one.checkVisibility?.() !== false;
        }).map(hands.named);`;
        await browser.page?.setViewport({ width: 360, height: 740 });
        if (browser.page) await evaluate(`await hands.until('the width', () => innerWidth === 360)`);
        await evaluate(
          `await hands.press('Start empty'); await hands.until('it', () => document.querySelector('.toast'))`,
        );
        assert.deepEqual(await evaluate(covered), []);
        await evaluate(`scrollTo(0, 300); await make('meanwhile')`);
        assert.deepEqual(await evaluate(covered), []);
        const cards = await evaluate(`
        await hands.press('Undo', '.toast');
        await hands.until('the others', () => hands.card('mine'));
        return seen().cards;`);
        assert.deepEqual(cards, [...own.cards, ['meanwhile', 0]]);
        await browser.page?.setViewport({ width: 1280, height: 800 });
        await evaluate(`await hands.press('Remove the class meanwhile'); await hands.press('Remove the class mine');
        await hands.until('them to go', () => hands.all('.card').length === 2)`);
      },
    );

    await step('a class that is named just before a reload keeps its name', async () => {
      await evaluate(KEPT);
      for (const name of ['omnibus', 'bus']) {
        await reload(`hands.write(hands.all('.card-name')[0], '${name}')`);
        assert.equal(await evaluate(`return hands.all('.card-name')[0].value`), name);
      }
    });

    await step('a broken picture is said and counted as what it is', async () => {
      const [note, said, unsaid] = await evaluate(`
        await looked(); // there is a classifier that can be asked what only the library reads
        await make('broken');
        const whole = new Uint8Array(await (await hands.picture('bus')).arrayBuffer());
        const bytes = new Uint8Array(3000).fill(7);
        bytes.set([0xff, 0xd8, 0xff, 0xe0, 0, 16]);
        await give('broken', [new File([whole], 'good.png', { type: 'image/png' }),
          new File([bytes], 'holiday.jpg', { type: 'image/jpeg' })]);
        const said = await hands.until('the message', () => document.querySelector('.toast.bad')?.textContent);
        return [hands.card('broken').querySelector('.card-note').textContent, said];`);
      assert.equal(note, '1 to train, 1 cannot be read');
      assert.match(said, /1 picture added to broken\. holiday\.jpg cannot be read/);
      await reload(KEPT);
      const again = await evaluate(`return hands.card('broken').querySelector('.card-note').textContent`);
      assert.equal(again, note);
      await evaluate(`await hands.press('Remove the class broken')`);
    });

    let trained;
    await step('a classifier of other classes is no result, and one again when they are back', async () => {
      trained = await evaluate(`
        await hands.view('train');
        await hands.press('Quick', '.presets');
        await hands.press('Train', '.train-buttons');
        await hands.until('the end', () => /^Done: /.test(hands.text('.train-state')));
        const chart = hands.text('.chart');
        await hands.view('pictures');
        await both();
        return { chart, ...seen(), answers: await hands.answered() };`);
      // Two accuracies on one card: each says what it is of.
      assert.match(trained.chart, /Right by prompts alone after each epoch, on 8 of the 16 held-out pictures/);
      delete trained.chart;
      assert.match(trained.notes[1], /of 16 pictures right/);
      for (const press of [`'Food', '.samples'`, `'Start empty'`]) {
        const found = await evaluate(`
          await hands.press(${press});
          await hands.until('them to go', () => !hands.card('bus'));
          await hands.until('its answer', () =>
            document.documentElement.dataset.after === (hands.all('.thumb').length ? 'instant' : 'none'));
          const inView = {};
          for (const view of ['pictures', 'compare', 'inside', 'keep']) {
            await hands.view(view);
            if (view === 'inside')
              await hands.until('words', () => /prompts appear here|answers now/.test(hands.text('.inside')));
            inView[view] = document.querySelector('.view').textContent;
          }
          const keep = hands.all('.keep button').find((one) => /Download .safetensors/.test(one.textContent)).disabled;
          await hands.view('pictures');
          await looked();
          return { ...seen(), inView, keep, points: hands.text('.score-points'), chart: hands.all('.chart').length,
            segments: hands.all('.pictures-head .segment').length, state: hands.text('.train-state'),
            answers: hands.answers() };`);
        assert.deepEqual([found.chart, found.state], [0, '']);
        const isEmpty = press.includes('empty');
        assert.deepEqual([found.segments, found.keep], isEmpty ? [0, true] : [2, false]);
        if (isEmpty) {
          assert.deepEqual([found.scores[1], found.notes[1], found.points], ['–', 'Two pictures to begin', '→']);
          assert.match(found.inView.compare, /Give two pictures/);
          assert.match(found.inView.inside, /Train, and the learned prompts appear here/);
          assert.match(found.inView.keep, /Nothing is learned yet/);
        } else {
          // The instant answer stands in; nothing is said to have been trained.
          assert.match(found.inView.inside, /Nothing that answers now has learned words/);
          assert.doesNotMatch(found.inView.keep, /Nothing is learned yet/);
        }
        const back = await evaluate(`
          await hands.press('Undo', '.toast');
          await both();
          return { ...seen(), answers: await hands.answered() };`);
        assert.deepEqual(back, trained);
      }
    });

    await step('a classifier that is opened adds its classes and removes none, and is taken back', async () => {
      const [before, names, back, end] = await evaluate(`
        await hands.view('keep');
        await hands.press('Download .safetensors');
        const file = await watched.downloads.pop().file;
        await hands.view('pictures');
        await hands.press('Start empty');
        await hands.until('them to go', () => !hands.card('bus'));
        await make('own');
        const before = seen().cards;
        await hands.view('keep');
        hands.give(document.querySelector('input[accept=".safetensors"]'), [new File([file], 'mine.safetensors')]);
        await hands.until('the message', () => /in use/.test(hands.text('.toast')));
        await hands.view('pictures');
        const names = seen().cards.map(([name]) => name);
        await hands.press('Undo', '.toast');
        await hands.until('them to go', () => !hands.card('bus'));
        const back = seen().cards;
        for (; !hands.card('bus');) await hands.press('Undo', '.samples');
        await both();
        await hands.answered();
        return [before, names, back, { ...seen(), answers: hands.answers() }];`);
      assert.deepEqual(names, ['own', ...trained.cards.map(([name]) => name)]);
      assert.deepEqual(back, before);
      assert.deepEqual(end, trained);
    });

    await step('"Remove everything" too is taken back, with the classifier; after a reload it is done', async () => {
      const back = await evaluate(`
        await hands.view('keep');
        await hands.press('Remove everything');
        await hands.view('pictures');
        await hands.until('nothing', () => !hands.card('bus'));
        await hands.press('Undo', '.toast');
        await both();
        return { ...seen(), answers: await hands.answered() };`);
      assert.deepEqual(back, trained);
      await evaluate(`await hands.view('keep'); await hands.press('Remove everything'); await hands.view('pictures')`);
      await reload(KEPT);
      assert.deepEqual(await evaluate(`return [seen().cards, hands.all('.samples .round').length]`), [[], 0]);
      await evaluate(`await hands.press('Travel', '.samples'); await opened('Travel'); await looked()`);
    });

    await step('a run that a reload interrupts goes on', async () => {
      await evaluate(`
        await hands.view('train');
        await long();
        await hands.press('Train', '.train-buttons');
        const stored = () => new Promise((resolve) => {
          indexedDB.open('mudpt-demo').onsuccess = ({ target: { result: base } }) => {
            base.transaction('session').objectStore('session').get('session').onsuccess = ({ target }) => {
              base.close();
              resolve(target.result.runs[0]?.progress?.epoch ?? 0);
            };
          };
        });
        await hands.until('an epoch to be stored', async () => (await stored()) >= 1);`);
      await reload();
      const [state, next] = await evaluate(`
        await hands.view('train');
        const state = await saying(/^Interrupted/);
        const stood = Number(/\\d+/.exec(state));
        await hands.press('Continue', '.train-buttons');
        const next = await hands.until('a further step', () => {
          const [, step] = /step (\\d+) of/.exec(hands.text('.train-progress')) ?? [];
          return Number(step) > stood && step;
        });
        return [state, next];`);
      const [, stood] = /^Interrupted at step (\d+) of \d+\. Continue/.exec(state) ?? [];
      assert.ok(Number(stood) > 0 && Number(next) > Number(stood), `${state} ${next}`);
    });

    await step('"also after a reload" is said once it is stored, and where there is no room that is said', async () => {
      const [first, notice, then] = await evaluate(`
        const { put } = IDBObjectStore.prototype;
        IDBObjectStore.prototype.put = () => {
          throw new DOMException('there is no room', 'QuotaExceededError');
        };
        await hands.press('Pause');
        const first = await saying(/^Paused.*before you leave/);
        const notice = hands.text('.notice');
        IDBObjectStore.prototype.put = put;
        await hands.press('Quick', '.presets');
        const then = await saying(/after a reload/);
        return [first, notice, then];`);
      assert.match(first, /does not store it/);
      assert.match(notice, /no room left/);
      assert.match(then, /also after a reload/);
      await reload();
      const end = await evaluate(`
        await hands.view('train');
        await hands.press('Continue', '.train-buttons');
        await hands.press('Stop here');
        return saying(/^Done: /);`);
      assert.match(end, /right/);
    });

    await step('a model that is away takes nothing with it, and what stands in for it is said', async () => {
      await evaluate(`
        document.querySelector('.model-button').click();
        await hands.until('the dialog', () => document.querySelector('#model-address'));
        document.querySelector('.model-own button').click();
        await hands.until('the hint', () => /first/.test(hands.text('#model-address-hint')));
        hands.write(document.querySelector('#model-address'), new URL('own/', location.href).href);
        document.querySelector('.model-own button').click();
        await hands.until('the other model', () => document.documentElement.dataset.model === 'address');
        await hands.close();
        await hands.until('no result', () => document.documentElement.dataset.after === 'instant');
        await hands.press('Quick', '.presets');
        await hands.press('Train', '.train-buttons');
        await hands.until('the end', () => /^Done: /.test(hands.text('.train-state')));`);
      await reload(KEPT, 'address');
      const before = await evaluate(`await hands.until('the end', () => /^Done: /.test(hands.text('.train-state')));
        return seen()`);
      await rename(path.join(site.folder, 'own'), path.join(site.folder, 'away'));
      await reload(FORGOTTEN);
      const said = await evaluate(`return hands.until('the notice', () => hands.text('.notice'))`);
      assert.match(said, /own is not loaded.*could not be loaded.*built-in model stands in.*kept/);
      await evaluate(VISIT);
      await rename(path.join(site.folder, 'away'), path.join(site.folder, 'own'));
      await reload('', 'address');
      const back = await evaluate(`
        await hands.view('train');
        await hands.until('the end', () => /^Done: /.test(hands.text('.train-state')));
        return seen();`);
      assert.deepEqual(back, before);
      // A download that is cancelled, too, leaves all as it was.
      const slow = await slowModel(path.join(site.folder, 'own'));
      engineTest.after(() => slow.close());
      await evaluate(`
        document.querySelector('.model-button').click();
        await hands.until('the dialog', () => document.querySelector('#model-address'));
        hands.write(document.querySelector('#model-address'), '${slow.url}');
        document.querySelector('.model-own button').click();
        await hands.until('the model', () => document.querySelector('.in-use') === null &&
          !document.querySelector('.model-share'));
        await hands.close();
        await hands.until('its classifier', () => /^Done: /.test(hands.text('.train-state')));`);
      slow.holds = true;
      await reload(`${KEPT}; ${FORGOTTEN}`, 'none');
      const notice = await evaluate(`
        document.querySelector('.model-button').click();
        await hands.press('Cancel', 'dialog');
        await hands.close();
        return hands.until('the notice', () => hands.text('.notice'))`);
      assert.match(notice, /Its load was cancelled.*built-in model stands in.*kept/);
      await evaluate(VISIT);
      slow.holds = false;
      await evaluate(`await hands.press('Try again', '.notice')`);
      const after = await evaluate(`
        await hands.until('the model', () => document.documentElement.dataset.model === 'address');
        await hands.until('the end', () => /^Done: /.test(hands.text('.train-state')));
        return seen();`);
      assert.deepEqual(after, before);
      // The built-in model's classifier comes back with its model.
      await evaluate(`
        document.querySelector('.model-button').click();
        await hands.press('Load pictoclip', 'dialog');
        await hands.until('the model', () => document.documentElement.dataset.model === 'pictoclip');
        await hands.close();
        await hands.until('its classifier', () => /^Done: /.test(hands.text('.train-state')));`);
    });

    await step("what is no classifier is refused in a visitor's words", async () => {
      const said = await evaluate(`
        await hands.view('keep');
        const said = [];
        for (const file of [
          new File([new Uint8Array([0xff, 0xd8, 0xff, 0xe0, 1, 2, 3, 4, 5])], 'holiday.jpg', { type: 'image/jpeg' }),
          new File([new Uint8Array([0x89, 0x50, 0x4e, 0x47, 1, 2, 3, 4, 5])], 'renamed.safetensors'),
          new File(['hello'], 'notes.txt'),
          new File([await (await fetch('model/model.safetensors')).blob()], 'model.safetensors'),
        ]) {
          hands.give(document.querySelector('input[accept=".safetensors"]'), [file]);
          said.push(await hands.until('the message', () => hands.all('.toast.bad').map((one) => one.textContent)
            .find((one) => one.includes(file.name))));
        }
        return said;`);
      const wantedWords = [/is a picture/, /is a picture/, /is no classifier/, /something else than a classifier/];
      for (const [i, words] of wantedWords.entries()) assert.match(said[i], words);
      for (const one of said) assert.doesNotMatch(one, /header|bytes|fingerprint|pickled/);
    });

    if (browser.page)
      await step('one of two tabs has the session, the other says so and can be given it', () =>
        twoTabs(browser.page, site.url),
      );
    if (engine === 'chromium') {
      await step('the code for an own app runs as it stands', () => ownApp(browser, engineTest));
      await step('a browser that stores nothing is said to', async () => {
        const page = await browser.page.browser().newPage();
        await page.evaluateOnNewDocument(() => {
          indexedDB.open = () => {
            throw new DOMException('not in a private window', 'SecurityError');
          };
        });
        await page.goto(site.url);
        // Not in every frame: a tab that is not looked at draws none.
        await page.waitForFunction(
          () => /does not let the page store/.test(document.querySelector('.notice')?.textContent),
          { polling: 100 },
        );
        await page.close();
      });
    }

    await step('nothing was printed or thrown in the page', () => assertQuiet(evaluate));
  });
}

/** @param {import('puppeteer-core').Page} first @param {string} url */
async function twoTabs(first, url) {
  const run = (page, body) => page.evaluate(`(async () => { ${SEEN} ${MAKE} ${body} })()`);
  await first.bringToFront();
  await run(first, `await hands.view('pictures'); await make('in the first'); ${KEPT}`);
  const second = await first.browser().newPage();
  await second.goto(url);
  await second.bringToFront();
  const said = await run(
    second,
    `return hands.until('the message', () => hands.all('.card').length === 3 && hands.text('.elsewhere'))`,
  );
  assert.match(said, /open in another tab/);
  // Even what a program presses there changes nothing that is stored.
  await run(second, `await hands.press('Start empty')`);
  await run(first, `await make('after'); ${KEPT}`);
  await run(
    second,
    `await hands.press('Use it here');
     await hands.until('it', () => !document.querySelector('.elsewhere') && hands.card('after'));
     await make('in the second'); ${KEPT}`,
  );
  const there = await run(first, `return hands.until('the message', () => hands.text('.elsewhere'))`);
  assert.match(there, /open in another tab/);
  await second.close();
  await first.bringToFront();
  const names = await run(
    first,
    `await hands.until('it', () => hands.card('in the second') && !document.querySelector('.elsewhere'));
     return seen().cards.map(([name]) => name).slice(-3)`,
  );
  assert.deepEqual(names, ['in the first', 'after', 'in the second']);
}

/** The code under "In your own app", as a module of a page that has the package and the classifier's file. */
async function ownApp({ page, evaluate }, context) {
  const [code, name, file, picture, best] = await evaluate(`${MAKE}
    await hands.view('pictures');
    for (const name of ['in the first', 'after', 'in the second']) await hands.press('Remove the class ' + name);
    await hands.until('the classifier', () => / right$/.test(hands.text('.meter.tuned .meter-note')));
    const best = (await hands.answered())[0].match(/(?:named|for) (.*),/)[1];
    const picture = await hands.base64(await hands.picture('bus'));
    await hands.view('keep');
    const code = document.querySelector('.keep pre').textContent;
    await hands.press('Download .safetensors');
    const { name, file } = watched.downloads.pop();
    return [code, name, await hands.base64(await file), picture, best];`);
  const site = await watchedSite({ isolated: false });
  context.after(() => site.close());
  await rm(site.folder, { recursive: true });
  await cp(path.join(ROOT, 'js'), path.join(site.folder, 'node_modules/mudpt/js'), { recursive: true });
  await cp(path.join(ROOT, 'models/pictoclip'), path.join(site.folder, 'node_modules/mudpt/models/pictoclip'), {
    recursive: true,
  });
  const imports = {
    mudpt: './node_modules/mudpt/js/index.js',
    'mudpt/pictoclip': './node_modules/mudpt/js/pictoclip.js',
  };
  const map = `<script type="importmap">${JSON.stringify({ imports })}</script>`;
  await writeFile(path.join(site.folder, 'app.js'), code);
  await writeFile(path.join(site.folder, name), Buffer.from(file, 'base64'));
  await writeFile(path.join(site.folder, 'bus.png'), Buffer.from(picture, 'base64'));
  const html = `<!doctype html><title>app</title><body>${map}<script type="module" src="app.js"></script></body>`;
  await writeFile(path.join(site.folder, 'index.html'), html);
  const server = await serve({ folder: site.folder, policy: '' });
  context.after(() => server.close());
  const app = await page.browser().newPage();
  const said = new Promise((resolve) =>
    app.on('console', (message) => message.type() === 'log' && resolve(message.text())),
  );
  await app.goto(server.url);
  const input = await app.waitForSelector('input[type=file]');
  await input?.uploadFile(path.join(site.folder, 'bus.png'));
  assert.match(await said, new RegExp(`^${best} 0\\.\\d+`));
  await app.close();
}
