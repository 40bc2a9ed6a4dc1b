/**
 * The demo page in three engines: from the sample to a classifier that is exported, reloaded and imported, everything
 * that a visitor may give it, and whether everyone can use it. Times are printed and decide nothing.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

import { loadClip } from '../../js/index.js';
import { headerOf } from '../../js/loading/safetensors.js';
import { ENGINES } from '../browser/engines.js';
import { ZIP, openOwnPage } from './own-page.js';
import { watchedSite } from './site.js';

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const FAKE_CAMERA = ['--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream'];
/** How each engine's page is served. Below a path, as most static hosts do it. */
const HOSTS = {
  chromium: { isolated: true, below: '/some/where/' },
  firefox: { isolated: false, below: '/some/where/' },
  webkit: { isolated: false, below: '/some/where/' },
};
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** Violations of the page as it is, in words. */
async function violations(browser) {
  return browser.evaluate(`
    if (!globalThis.axe) { ${AXE} }
    const { violations } = await axe.run(document, { runOnly: ${JSON.stringify(TAGS)} });
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary }) => id + ' ' + target + ': ' + failureSummary));`);
}

/** Random views of each picture that the head of a classifier's file, in base64, has learned from. */
const viewsOf = (file) =>
  headerOf(Buffer.from(file, 'base64'), 'the file').tensors.find(({ name }) => name === 'picture_views')?.shape[0];

const wanted = process.env.MUDPT_ENGINES?.split(',') ?? Object.keys(ENGINES);
for (const engine of wanted) {
  test(engine, async (engineTest) => {
    const site = await watchedSite(HOSTS[engine]);
    engineTest.after(() => site.close());
    const browser = await ENGINES[engine](engine === 'chromium' ? FAKE_CAMERA : []);
    engineTest.after(() => browser.close());
    const { evaluate } = browser;
    await browser.page?.setViewport({ width: 1280, height: 800 });
    const step = (name, body) => engineTest.test(name, body);
    const open = async () => {
      await browser.open(site.url);
      await evaluate(`await hands.until('the model', () => document.documentElement.dataset.model === 'pictoclip')`);
    };
    const accessible = (name) =>
      step(`axe-core finds nothing: ${name}`, async () => assert.deepEqual(await violations(browser), []));

    let zeroShot, trained, file;

    await step('starts at once with a sample: every picture is named from the class names alone', async () => {
      await browser.open(site.url);
      const [first, all, files] = await evaluate(`
        await hands.until('zero-shot', () => /^\\d+ of 64 pictures right$/.test(hands.text('.meter.zero .meter-note')));
        const now = performance.now();
        const [{ startTime: first }] = performance.getEntriesByName('first answer');
        const loads = performance.getEntriesByType('resource').map(({ responseEnd }) => responseEnd);
        return [first, now, Math.max(...loads.filter((end) => end < first))];`);
      const s = (ms) => `${(ms / 1000).toFixed(1)} s`;
      console.log(`    ${engine}: first zero-shot answer ${s(first - files)} after the last file (${s(files)});`);
      console.log(`    ${engine}: those of all held-out pictures ${s(all)} after opening`);
      assert.equal(await evaluate(`return crossOriginIsolated`), HOSTS[engine].isolated);
      assert.equal(await evaluate(`return hands.all('.card').length - hands.all('.card.ghost').length`), 8);
      zeroShot = await evaluate(`return hands.answered()`);
      assert.equal(zeroShot.length, 128);
    });
    await accessible('pictures');

    await step('trains, and the page stays responsive', async () => {
      const [ms, longest, before, after] = await evaluate(`
        const start = performance.now();
        await hands.view('train');
        await hands.press('Quick', '.presets');
        await hands.press('Train', '.train-buttons');
        await hands.until('the end', () => /^Done: /.test(hands.text('.train-state')));
        const busy = watched.tasks.filter(([at]) => at >= start).map(([, duration]) => duration);
        const share = (kind) => parseInt(hands.text('.meter.' + kind + ' .meter-share'));
        return [performance.now(), Math.max(0, ...busy), share('zero'), share('tuned')];`);
      console.log(`    ${engine}: tuned ${(ms / 1000).toFixed(1)} s after opening, ${before} % -> ${after} %`);
      const worst = longest ? `${Math.round(longest)} ms` : 'none over 50 ms';
      if (engine === 'chromium') console.log(`    chromium: longest task of the page while training: ${worst}`);
      assert.ok(after > before, `${before} % -> ${after} %`);
      trained = await evaluate(`await hands.view('pictures'); return hands.answered()`);
      assert.notDeepEqual(trained, zeroShot);
    });
    await accessible('trained');

    await step('compares both on the same pictures', async () => {
      const found = await evaluate(`
        await hands.view('compare');
        const rows = hands.all('.compare-row');
        return {
          changes: rows.map((row) => row.querySelector('.change').textContent.trim()),
          bars: hands.all('.bars', rows[0]).length,
          cells: hands.all('.matrix').map((one) =>
            hands.all('tbody td', one).reduce((sum, cell) => sum + Number(cell.textContent), 0)),
        };`);
      assert.ok(found.changes.includes('mended'));
      assert.ok(!found.changes.includes('unchanged'));
      assert.equal(found.bars, 2);
      assert.deepEqual(found.cells, [64, 64]);
    });
    await accessible('compare');

    await step('a cell of the confusion opens on its pictures: each is moved or removed, and comes back', async () => {
      const found = await evaluate(`
        const cell = () => hands.all('.matrix.zero td.wrong button')[0];
        const name = hands.named(cell());
        cell().click();
        const rows = () => hands.all('.cell-row');
        await hands.until('the pictures', () => rows().length);
        const count = rows().length;
        const bars = hands.all('.bars', rows()[0]).length;
        globalThis.cellOpen = true;
        return { name, count, bars };`);
      assert.match(found.name, new RegExp(`^${found.count} pictures? of .* taken for `));
      assert.equal(found.bars, 2);
      assert.deepEqual(await violations(browser), []);
      const counts = await evaluate(`
        const rows = () => hands.all('.cell-row').length;
        const counts = [rows()];
        await hands.press('Remove', '.cell-row');
        await hands.until('it to go', () => rows() === counts[0] - 1);
        await hands.close();
        await hands.press('Undo', '.toast');
        hands.all('.matrix.zero td.wrong button')[0].click();
        await hands.until('it again', () => rows() === counts[0]);
        const select = document.querySelector('.cell-row select');
        select.value = [...select.options].find((one) => !one.selected).value;
        select.dispatchEvent(new Event('change', { bubbles: true }));
        await hands.until('it to move', () => rows() === counts[0] - 1);
        await hands.close();
        await hands.press('Undo', '.toast');
        await hands.until('the cells', () => hands.all('.matrix.zero tbody td').reduce((sum, one) =>
          sum + Number(one.textContent), 0) === 64);
        return counts;`);
      assert.ok(counts[0] > 0);
    });

    await step('looks inside: attention of both, and words for every prompt', async () => {
      const found = await evaluate(`
        await hands.view('inside');
        await hands.until('attention', () => hands.all('.look canvas').length === 2);
        const drawn = (canvas) =>
          new Set(canvas.getContext('2d').getImageData(0, 0, 320, 320).data.filter((_, i) => i % 4 === 0)).size;
        await hands.until('both pictures', () => hands.all('.look canvas').every((canvas) => drawn(canvas) > 8));
        await hands.until('words', () => hands.all('.words > li').length);
        return hands.all('.words > li').map((prompt) => hands.all('.word', prompt).length);`);
      assert.deepEqual(found, [5, 5, 5, 5]);
    });
    await accessible('inside');

    await step('exports a classifier with which Node gives the same answers', async () => {
      const [name, text, pictures] = await evaluate(`
        await hands.view('keep');
        await hands.press('Download .safetensors');
        const { name, file } = watched.downloads.pop();
        await hands.view('pictures');
        const images = hands.all('.thumb img');
        const pictures = await Promise.all(
          images.map(async (image) => hands.base64(await (await fetch(image.src)).blob())));
        return [name, await hands.base64(await file), pictures];`);
      assert.match(name, /^[\p{L}_-]+\.safetensors$/u);
      assert.equal(viewsOf(text), 3); // one for each of four epochs, the plain one among them
      file = text;
      const clip = await loadClip(path.join(site.folder, 'model'));
      const classifier = await clip.import(Buffer.from(file, 'base64'));
      for (const [i, picture] of pictures.entries()) {
        const [{ label }] = await classifier.classify(Buffer.from(picture, 'base64'));
        assert.match(trained[i], new RegExp(`(named|for) ${label},`));
      }
      await clip.dispose();
    });
    await evaluate(`await hands.view('keep')`);
    await accessible('keep');

    await step('a reload loses nothing', async () => {
      await evaluate(`
        await hands.view('pictures');
        await new Promise((resolve) => setTimeout(resolve, 1500));`);
      await open();
      const answers = await evaluate(`
        await hands.until('the classifier', () => hands.all('.pictures-head .segment').length === 2);
        return hands.answered();`);
      assert.deepEqual(answers, trained);
    });

    await step('an exported classifier, imported, gives the same answers', async () => {
      const answers = await evaluate(`
        await hands.view('keep');
        await hands.press('Remove everything');
        await hands.view('pictures');
        await hands.until('nothing', () => hands.all('.thumb').length === 0);
        await hands.press('Travel', '.samples');
        await hands.until('the sample', () => hands.all('.thumb').length === 128);
        await hands.view('keep');
        hands.give(document.querySelector('input[accept=".safetensors"]'),
          [new File([hands.bytes('${file}')], 'mine.safetensors')]);
        await hands.until('the message', () => /in use/.test(hands.text('.toast')));
        await hands.view('pictures');
        return hands.answered();`);
      assert.deepEqual(answers, trained);
    });

    await step('refuses a damaged classifier and keeps the present one', async () => {
      const [message, answers] = await evaluate(`
        await hands.view('keep');
        const bytes = hands.bytes('${file}').slice(0, -100);
        hands.give(document.querySelector('input[accept=".safetensors"]'), [new File([bytes], 'broken.safetensors')]);
        const message = await hands.until('the message', () => document.querySelector('.toast.bad')?.textContent);
        await hands.view('pictures');
        return [message, await hands.answered()];`);
      assert.match(message, /cannot be used: .*broken\.safetensors/);
      assert.deepEqual(answers, trained);
    });

    await step('a model that cannot be loaded is said, and the present one goes on', async () => {
      const [message, answers] = await evaluate(`
        document.querySelector('.model-button').click();
        await hands.until('the dialog', () => document.querySelector('dialog[open]'));
        hands.write(document.querySelector('#model-address'), new URL('nowhere/', location.href).href);
        document.querySelector('.model-own button').click();
        const message = await hands.until('the message', () => document.querySelector('dialog .problem')?.textContent);
        return [message, await hands.answered()];`);
      assert.match(message, /could not be loaded.*model\.safetensors/);
      assert.deepEqual(answers, trained);
    });
    await accessible('choice of the model, with a failure');
    await evaluate(`await hands.close()`);

    await step('takes a folder of folders, each a class', async () => {
      await evaluate(`
        await hands.press('Start empty');
        await hands.press('Travel', '.samples');
        await hands.until('the sample', () => hands.all('.thumb').length === 128);
        globalThis.some = await Promise.all(
          ['bus', 'tent'].map(async (name) => [await hands.picture(name), await hands.picture(name, 1)]));
        await hands.press('Start empty');
        await hands.until('nothing', () => hands.all('.thumb').length === 0);`);
      if (engine === 'chromium') await dropRealFolder(browser);
      else {
        await evaluate(`
          const [[a, b], [c, d]] = some;
          hands.carry('drop', document.querySelector('.pictures'),
            { things: { '.hidden': new File([], '.hidden'), omnibus: { 'a.png': a, 'b.png': b, 'c.png': a },
              pavilion: { 'c.png': c, 'd.png': d, 'notes.txt': new File(['x'], 'notes.txt') } } });`);
      }
      const counts = await evaluate(`
        await hands.until('the pictures', () => hands.card('omnibus') && hands.card('pavilion'));
        await hands.until('all of them', () => hands.all('.thumb').length === 5);
        await hands.answered();
        return [hands.count('omnibus'), hands.count('pavilion')];`);
      assert.deepEqual(counts, [3, 2]);
    });

    await step('takes what is pasted, in the class that was used last', async () => {
      const counts = await evaluate(`
        hands.card('pavilion').querySelector('.card-name').focus();
        hands.carry('paste', document.body, { 'image.png': some[1][0] });
        await hands.until('the picture', () => hands.count('pavilion') === 3);
        return [hands.count('omnibus'), hands.count('pavilion')];`);
      assert.deepEqual(counts, [3, 3]);
    });

    await step('says what the built-in model is not made for, and where to go', async () => {
      assert.match(
        await evaluate(`return hands.text('.world')`),
        /made for drawings.*TinyCLIP 8M\/16: 43 MB, loaded once/,
      );
    });

    await step('takes a drawing; what is removed comes back with undo', async () => {
      const counts = await evaluate(`
        hands.card('omnibus').querySelectorAll('.tool')[3].click();
        const canvas = await hands.until('the canvas', () => document.querySelector('dialog canvas'));
        hands.pointer(canvas, 'pointerdown', 0.2, 0.2);
        for (const at of [0.3, 0.5, 0.8]) hands.pointer(canvas, 'pointermove', at, 1 - at);
        hands.pointer(canvas, 'pointerup', 0.8, 0.2);
        await hands.press('Add the drawing', 'dialog');
        await hands.until('the drawing', () => hands.count('omnibus') === 4);
        await hands.close();
        const told = [hands.count('omnibus')];
        await hands.press('Remove the class omnibus');
        await hands.until('it to go', () => !hands.card('omnibus'));
        await hands.press('Undo', '.toast');
        await hands.until('it to come back', () => hands.card('omnibus'));
        return [...told, hands.count('omnibus')];`);
      assert.deepEqual(counts, [4, 4]);
    });
    await evaluate(`hands.card('omnibus').querySelectorAll('.tool')[3].click()`);
    await accessible('drawing');
    await evaluate(`await hands.close()`);

    await step('the webcam: recorded while the button is held, or said why not', async () => {
      const [count, message] = await evaluate(`
        const before = hands.count('pavilion');
        hands.card('pavilion').querySelectorAll('.tool')[2].click();
        const found = await hands.until('webcam', () =>
          document.querySelector('dialog .hold') ?? document.querySelector('dialog .problem'));
        if (found.matches('.problem')) return [0, found.textContent];
        hands.pointer(found, 'pointerdown', 0.5, 0.5);
        await hands.until('pictures', () => hands.count('pavilion') >= before + 2);
        hands.pointer(found, 'pointerup', 0.5, 0.5);
        return [hands.count('pavilion') - before, ''];`);
      if (engine === 'chromium') assert.ok(count >= 2, message);
      else assert.ok(count >= 2 || /webcam/i.test(message), message);
      if (message) console.log(`    ${engine}: ${message}`);
    });
    await accessible('webcam');
    await evaluate(`await hands.close()`);

    await step('one picture: moved to another class by keyboard means', async () => {
      const counts = await evaluate(`
        const before = [hands.count('omnibus'), hands.count('pavilion')];
        hands.all('.thumb', hands.card('omnibus'))[0].click();
        const select = await hands.until('the dialog', () => document.querySelector('dialog select'));
        select.value = [...select.options].find(({ text }) => text === 'pavilion').value;
        select.dispatchEvent(new Event('change', { bubbles: true }));
        await hands.until('the move', () => hands.count('omnibus') === before[0] - 1);
        return [before, [hands.count('omnibus'), hands.count('pavilion')]];`);
      assert.deepEqual(counts[1], [counts[0][0] - 1, counts[0][1] + 1]);
    });
    await accessible('one picture');
    await evaluate(`await hands.close()`);

    await step('a run is paused, survives a reload, and goes on to its end', async () => {
      await evaluate(`
        await hands.view('pictures');
        await hands.press('Food', '.samples');
        await hands.until('the sample', () => hands.all('.thumb').length === 128);
        await hands.view('train');
        await hands.press('Quick', '.presets');
        await hands.press('Train', '.train-buttons');
        await hands.until('some steps', () => /step (1\\d|[2-9]\\d) of/.test(hands.text('.train-progress')));
        await hands.press('Pause');
        await hands.until('the pause', () => /^Paused/.test(hands.text('.train-state')));
        await new Promise((resolve) => setTimeout(resolve, 1500));`);
      await open();
      const state = await evaluate(`
        await hands.view('train');
        await hands.press('Continue', '.train-buttons');
        await hands.until('the end', () => /^Done/.test(hands.text('.train-state')));
        await hands.view('keep');
        await hands.press('Download .safetensors');
        const { file } = watched.downloads.pop();
        await hands.view('train');
        return [hands.text('.meter.tuned .meter-note'), await hands.base64(await file)];`);
      assert.match(state[0], /of 64 pictures right/);
      assert.equal(viewsOf(state[1]), 3);
    });

    await step('a run is stopped, and what it has learned is used', async () => {
      const state = await evaluate(`
        await hands.press('Train again', '.train-buttons');
        await hands.until('some steps', () => /step ([5-9]|\\d\\d) of/.test(hands.text('.train-progress')));
        await hands.press('Stop here');
        await hands.until('the end', () => /^Done/.test(hands.text('.train-state')));
        return [hands.text('.meter.tuned .meter-note'), hands.all('.train-buttons button').map(hands.named)];`);
      assert.match(state[0], /of 64 pictures right/);
      assert.deepEqual(state[1], ['Continue', 'Train again']);
    });

    await step('dark colours', async () => {
      await evaluate(`await hands.press('Colours: as the device'); await hands.press('Colours: light')`);
      assert.equal(await evaluate(`return document.documentElement.dataset.theme`), 'dark');
    });
    for (const view of ['pictures', 'compare', 'inside', 'keep']) {
      await evaluate(`await hands.view('${view}'); await hands.until('it', () => document.readyState === 'complete');
        await new Promise((resolve) => setTimeout(resolve, 500))`);
      await accessible(`${view}, dark`);
    }

    if (engine === 'chromium') {
      await step('the page of its own works from any server', (context) => ownPage(browser, context));
      for (const view of ['pictures', 'train', 'compare', 'inside', 'keep']) {
        await browser.page?.setViewport({ width: 360, height: 740 });
        await evaluate(`await hands.view('${view}'); await new Promise((resolve) => setTimeout(resolve, 500))`);
        await accessible(`${view} on a phone`);
        await step(`${view} fits a phone`, async () => {
          const wide = await evaluate(`
            if (document.documentElement.scrollWidth <= 360) return [];
            return hands.all('*').filter((one) => one.getBoundingClientRect().right > 360)
              .map(({ tagName, className }) => tagName + ' ' + className);`);
          assert.deepEqual(wide, []);
        });
      }
    }

    await step('loads a model from its address, and from the files of a folder', async () => {
      const found = await evaluate(`
        const loads = async (start) => {
          document.querySelector('.model-button').click();
          await hands.until('the dialog', () => document.querySelector('dialog[open]'));
          const before = document.documentElement.dataset.model;
          await start();
          await hands.until('the model', () => document.documentElement.dataset.model !== before);
          await hands.close();
          return document.documentElement.dataset.model;
        };
        const names = ['config.json', 'preprocessor_config.json', 'tokenizer.json', 'model.safetensors'];
        const get = async (name) => new File([await (await fetch('model/' + name)).blob()], name);
        const files = await Promise.all(names.map(get));
        const byAddress = await loads(() => {
          hands.write(document.querySelector('#model-address'), 'model/');
          document.querySelector('.model-own button').click();
        });
        const byFiles = await loads(() => hands.give(document.querySelector('.drop-box input'), files));
        await hands.view('pictures');
        await hands.answered();
        // The same weights from elsewhere: the classifier is of this model, too.
        await hands.until('both', () => hands.all('.meter-note').every((one) => / right$/.test(one.textContent)));
        return [byAddress, byFiles];`);
      assert.deepEqual(found, ['address', 'folder']);
    });

    await step('nothing was printed or thrown in the page', async () => {
      assert.deepEqual(await evaluate(`return watched.errors`), []);
    });
  });
}

/** A folder as the desktop drops it. */
async function dropRealFolder({ page, evaluate }) {
  const folder = await mkdtemp(path.join(tmpdir(), 'mudpt-drop-'));
  const pictures = await evaluate(`
    return Promise.all(some.flat().map((file) => hands.base64(file)));`);
  const files = { omnibus: [0, 1, 0], pavilion: [2, 3] };
  for (const [name, list] of Object.entries(files)) {
    await mkdir(path.join(folder, 'things', name), { recursive: true });
    for (const [i, from] of list.entries()) {
      await writeFile(path.join(folder, 'things', name, `${i}.png`), Buffer.from(pictures[from], 'base64'));
    }
  }
  await writeFile(path.join(folder, 'things/pavilion/notes.txt'), 'x');
  const session = await page.createCDPSession();
  const data = { items: [], files: [path.join(folder, 'things')], dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop']) {
    await session.send('Input.dispatchDragEvent', { type, x: 500, y: 400, data });
  }
  await evaluate(`await hands.until('the pictures', () => hands.all('.thumb').length === 5)`);
  await rm(folder, { recursive: true });
}

/** The exported zip, used. */
async function ownPage({ page, evaluate }, context) {
  const [zip, picture, best] = await evaluate(`
    ${ZIP}
    await hands.view('pictures');
    const [answer] = await hands.answered();
    return [zip, await hands.base64(await hands.picture('bread')), answer.match(/(?:named|for) (.*),/)[1]];`);
  const ask = await openOwnPage(page, zip, context);
  const said = await ask(picture);
  assert.ok(said.startsWith(`${best} `), `${said} does not begin with ${best}`);
}
