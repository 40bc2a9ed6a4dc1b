/**
 * The demo page's instant answer in three engines: there by itself from two pictures on, changed by every picture that
 * comes, goes or moves, put right where it is wrong, kept and taken away like every other.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';

import { loadClip } from '../../js/index.js';
import { ENGINES } from '../browser/engines.js';
import { ZIP, openOwnPage } from './own-page.js';
import { KEPT, assertQuiet, visit } from './visit.js';

const wanted = process.env.MUDPT_ENGINES?.split(',') ?? Object.keys(ENGINES);
for (const engine of wanted) {
  test(engine, async (engineTest) => {
    const { site, browser, evaluate, reload } = await visit(engine, engineTest);
    const step = (name, body) => engineTest.test(name, body);

    /** What both meters say once the instant answer, or what was trained, has looked at all pictures. */
    const settled = (after) => `
      await hands.until('the answer', () => document.documentElement.dataset.after === '${after}');
      await both();`;

    let scores;
    await step('is there by itself, with a sample that comes', async () => {
      await browser.open(site.url);
      const found = await evaluate(`
        ${settled('instant')}
        await hands.view('train');
        return { ...seen(), state: hands.text('.train-state') };`);
      assert.ok(found.notes.every((note) => / right$/.test(note)));
      assert.equal(found.state, ''); // nothing was trained
      scores = found.scores;
    });

    await step('the scripts of the page, all that it fetches until then, are at most 100 KB', async () => {
      const names = await evaluate(`return performance.getEntriesByType('resource').map(({ name }) =>
        new URL(name).pathname).filter((name) => name.includes('/assets/') && name.endsWith('.js'))`);
      // Workers have their own budget (tests/node/package.test.js), the chart comes with a run, three views later.
      const scripts = [...new Set(names)].filter((name) => !/worker|uPlot|Compare|Inside|Keep/.test(name));
      const sizes = await Promise.all(
        scripts.map(async (name) => gzipSync(await readFile(path.join(site.folder, name)), { level: 9 }).length),
      );
      const all = sizes.reduce((sum, bytes) => sum + bytes, 0);
      if (engine === 'chromium')
        console.log(`    the page's scripts: ${all} bytes gzipped, in ${scripts.length} files`);
      assert.ok(all > 10_000 && all <= 100_000, `${all} bytes: ${scripts.map((name, i) => `${name} ${sizes[i]}`)}`);
    });

    await step('it is there again after a reload, and both look the same inside', async () => {
      await reload(KEPT);
      const [again, problems, words] = await evaluate(`
        ${settled('instant')}
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
        const { file } = await hands.until('the file', () => watched.downloads.pop());
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

    /** A short run. @param {string} more of its settings */
    const shortRun = (more = '') => `
      await hands.view('train');
      const set = async (name, value) => {
        const setting = await hands.until(name, () =>
          hands.all('.setting').find((one) => one.querySelector('span').textContent === name));
        const input = setting.querySelector('input');
        input.value = value;
        input.dispatchEvent(new Event('change', { bubbles: true }));
      };
      await set('Epochs', '1');
      ${more}
      await hands.until('the setting', () => /back to the preset/i.test(hands.text('.advanced')));
      hands.all('.train-buttons button').at(-1).click();
      await hands.until('the run', () => document.querySelector('.train-progress'));
      await hands.until('its end', () => !document.querySelector('.train-progress'));
      ${settled('trained')}`;
    const DRAW = `
      await hands.view('train');
      const canvas = document.querySelector('.try canvas');
      hands.pointer(canvas, 'pointerdown', 0.3, 0.3);
      for (const at of [0.4, 0.6, 0.7]) hands.pointer(canvas, 'pointermove', at, at);
      hands.pointer(canvas, 'pointerup', 0.7, 0.7);
      const bar = () => hands.text('.try .bars.tuned .bar-name');`;
    /** What is drawn there is said to be of the first other class. */
    const PUT_RIGHT = `
      ${DRAW}
      const before = await hands.until('an answer', bar);
      const chip = await hands.until('the classes', () => document.querySelector('.correct .chip'));
      const name = hands.named(chip);
      chip.click();
      await hands.until('the other answer', () => bar() === name);`;

    await step('what was trained goes on learning: it is put right, also after a reload, and taken back', async () => {
      const [before, name] = await evaluate(`
        ${shortRun()}
        ${PUT_RIGHT}
        ${settled('trained')}
        await hands.view('keep');
        await hands.press('Download .safetensors');
        await hands.until('the file', () => watched.downloads.pop());
        return [before, name];`);
      assert.notEqual(name, before);
      await reload(KEPT);
      const [again, hint, back] = await evaluate(`
        ${settled('trained')}
        ${DRAW}
        const again = await hands.until('the learned answer', () => bar() === '${name}' && bar());
        const hint = /Train again to teach/.test(hands.text('.train'));
        await hands.view('pictures');
        await hands.press('Undo: 1 picture added', '.samples');
        await hands.view('train');
        return [again, hint, await hands.until('the first answer', () => bar() === '${before}' && bar())];`);
      assert.deepEqual([again, hint, back], [name, false, before]);
    });

    await step('what has learned only some pictures says so when others come or go, and is taken back', async () => {
      const back = await evaluate(`
        ${shortRun(`await set('Pictures a class', '4');`)}
        await hands.view('pictures');
        hands.all('.thumb')[0].dispatchEvent(new KeyboardEvent('keydown', { key: 'Delete', bubbles: true }));
        await hands.view('train');
        await hands.until('the hint', () => /Train again to teach/.test(hands.text('.train')));
        await hands.view('pictures'); // in a narrow window the samples are there alone
        await hands.press('Undo', '.toast');
        await hands.press('Undo: The training', '.samples');
        await hands.press('Undo: The training', '.samples');
        ${settled('instant')}
        return seen().scores;`);
      assert.deepEqual(back, scores);
    });

    await step('a class, a name, a picture that comes or goes: the answer follows, and comes back', async () => {
      const [counts, end] = await evaluate(`
        const pictures = [await hands.picture('bus'), await hands.picture('bus', 1)];
        await make('omnibus');
        await give('omnibus', pictures);
        ${settled('instant')}
        const taken = (await hands.answered()).filter((answer) => answer.includes('omnibus,')).length;
        hands.write(hands.card('omnibus').querySelector('.card-name'), 'coach');
        await hands.until('the name', () => hands.answers().some((answer) => answer.includes('coach,')));
        ${settled('instant')}
        await hands.press('Remove the class coach');
        ${settled('instant')}
        return [taken, seen().scores];`);
      assert.ok(counts > 0);
      assert.deepEqual(end, scores);
    });

    await step('a wrong answer is put right with one press, which is learned and can be taken back', async () => {
      const found = await evaluate(`
        ${PUT_RIGHT}
        const chips = hands.all('.correct .chip').length;
        await hands.until('the message', () => /1 picture added/.test(hands.text('.toast')));
        await hands.press('Undo', '.toast');
        await hands.until('the first answer', () => bar() === before);
        ${settled('instant')}
        return { chips, scores: seen().scores };`);
      assert.deepEqual(found, { chips: 0, scores }); // it is not offered twice
    });

    await step('from an empty page: with the second picture of a class there is an answer', async () => {
      const notes = await evaluate(`
        await hands.view('pictures');
        const some = ['bus', 'bus', 'canoe', 'canoe'];
        globalThis.some = await Promise.all(some.map((name, i) => hands.picture(name, i % 2)));
        await hands.press('Start empty');
        await make('bus');
        await make('canoe');
        await give('bus', globalThis.some.slice(0, 1));
        await hands.until('no answer yet', () => /Two pictures/.test(hands.text('.meter.tuned .meter-note')));
        await give('bus', globalThis.some.slice(1, 2));
        ${settled('instant')}
        await give('canoe', globalThis.some.slice(2));
        ${settled('instant')}
        return hands.all('.meter-note').map((one) => one.textContent);`);
      assert.deepEqual(notes[1], '4 of 4 pictures right');
    });

    if (engine === 'chromium') {
      await step(
        'what is none of the classes is said to be, with a look of its own, also by the exported page',
        async (context) => {
          const [words, zip, ...pictures] = await evaluate(`
          await hands.press('Faces', '.samples');
          await opened('Faces');
          await hands.until('its cards', () => !hands.card('bus') && hands.all('.card-name').length === 2);
          const face = await hands.picture(hands.all('.card-name')[0].value);
          await hands.press('Travel', '.samples');
          await opened('Travel');
          ${settled('instant')}
          const bus = await hands.picture('bus');
          await hands.view('train');
          await hands.press('File', '.try');
          hands.give(await hands.until('the box', () => document.querySelector('.try-file input')), [face]);
          const words = await hands.until('the words', () => hands.text('.none-of-these'));
          await hands.press('Draw', '.try');
          ${ZIP}
          return [words, zip, await hands.base64(bus), await hands.base64(face)];`);
          assert.match(words, /None of these.*fits worse than (9\d|100) %/);
          const ask = await openOwnPage(/** @type {any} */ (browser.page), zip, context);
          const [bus, face] = [await ask(pictures[0]), await ask(pictures[1])];
          assert.match(bus, /^bus \d+ %, canoe \d+ %$/);
          assert.match(face, /^none of these; at best (bus|canoe) \d+ %, (bus|canoe) \d+ %$/);
        },
      );
    }

    await step('nothing was printed or thrown in the page', () => assertQuiet(evaluate));
  });
}
