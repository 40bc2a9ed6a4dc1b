/**
 * The demo page's projects in three engines: saved as a zip that other tools can read, opened again, several in one
 * browser, Teachable Machine's and plain folders taken in, everything else refused by name; and nothing lost by any.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { strFromU8, strToU8, unzipSync, zipSync } from 'fflate';

import { ENGINES } from '../browser/engines.js';
import { KEPT, assertQuiet, visit } from './visit.js';

/** As Teachable Machine 2.4 writes it. */
const MANIFEST = { version: '2.4.4', appdata: { publishResults: {}, trainEpochs: 50, trainBatchSize: 16 } };
const base64 = (bytes) => Buffer.from(bytes).toString('base64');

/** A zip as Teachable Machine's, of these pictures. */
function teachable(type, pictures) {
  const files = { 'manifest.json': strToU8(JSON.stringify({ type, ...MANIFEST })) };
  for (const [label, list] of Object.entries(pictures))
    // Ten come before two by name, and after it by number.
    list.forEach((bytes, i) => (files[`${label}-!-${[0, 2, 10][i]}.png`] = bytes));
  return zipSync(files, { level: 0 });
}

const wanted = process.env.MUDPT_ENGINES?.split(',') ?? Object.keys(ENGINES);
for (const engine of wanted) {
  test(engine, async (engineTest) => {
    const { site, browser, evaluate, reload } = await visit(engine, engineTest);
    const step = (name, body) => engineTest.test(name, body);
    const GIVE = `
      const openFile = (text, name) => hands.give(document.querySelector('.projects input[type=file]'),
        [new File([hands.bytes(text)], name)]);
      const answering = (what) => hands.until(what, () => document.documentElement.dataset.after === what);
      const shelved = () => hands.all('.shelved strong').map((one) => one.textContent);`;
    const run = (body) => evaluate(`${GIVE} ${body}`);

    let before, zip, pictures;
    await step('a project is a zip with a folder for each class, what was trained, and a description', async () => {
      await browser.open(site.url);
      const found = await run(`
        await answering('instant');
        await make('own');
        await give('own', [await hands.picture('bus'), await hands.picture('canoe')]);
        await hands.view('train');
        await hands.press('Quick', '.presets');
        await hands.press('Train', '.train-buttons');
        await answering('trained');
        await both();
        await hands.view('keep');
        hands.write(document.querySelector('.projects input[type=text]'), 'My first: 1/2');
        await hands.press('Save as a file', '.projects');
        const { name, file } = await hands.until('the file', () => watched.downloads.pop());
        await hands.view('pictures');
        const answers = await hands.answered();
        return { name, zip: await hands.base64(await file), before: { ...seen(), answers } };`);
      before = found.before;
      zip = found.zip;
      assert.equal(found.name, 'My_first_1_2.zip');
      const files = unzipSync(Buffer.from(zip, 'base64'));
      const about = JSON.parse(strFromU8(files['project.json']));
      assert.deepEqual([about.format, about.version, about.name], ['mudpt project', 1, 'My first: 1/2']);
      const count = (folder) => Object.keys(files).filter((file) => file.startsWith(`pictures/${folder}/`)).length;
      assert.deepEqual([count('bus'), count('canoe'), count('own')], [16, 16, 2]);
      assert.ok(files['classifiers/1.safetensors'].length > 1000);
      pictures = Object.entries(files).flatMap(([file, bytes]) => (/^pictures\/bus/.test(file) ? [bytes] : []));
      assert.ok(pictures.every((bytes) => strFromU8(bytes.subarray(1, 4)) === 'PNG'));
    });

    await step('a new one takes its place, which is kept on the shelf and taken back', async () => {
      const [empty, names, back] = await run(`
        await hands.view('keep');
        await hands.press('New project', '.projects');
        const names = await hands.until('the shelf', () => shelved().length && shelved());
        await hands.view('pictures');
        const empty = seen().cards;
        await hands.press('Undo', '.toast');
        await answering('trained');
        await both();
        const back = { ...seen(), answers: await hands.answered() };
        return [empty, names, back];`);
      assert.deepEqual([empty, names], [[], ['My first: 1/2']]);
      assert.deepEqual(back, before);
    });

    await step('from the shelf and from its file it is what it was, after a reload too', async () => {
      const all = `await answering('trained'); await hands.view('pictures'); await both();
        return { ...seen(), answers: await hands.answered() }`;
      await run(`
        await hands.view('keep');
        await hands.press('New project', '.projects');
        await hands.until('nothing', () => document.documentElement.dataset.after === 'none');
        await hands.view('pictures');
        await make('another'); ${KEPT}`);
      await reload(KEPT);
      const opened = await run(`await hands.view('keep'); await hands.press('Open My first', '.projects'); ${all}`);
      assert.deepEqual(opened, before);
      const names = await run(`await hands.view('keep');
        return hands.until('the other', () => shelved().length === 1 && shelved())`);
      assert.deepEqual(names, ['another']);
      await run(`await hands.press('Open another', '.projects');
        await hands.until('nothing', () => document.documentElement.dataset.after === 'none');
        openFile('${zip}', 'it.zip'); await answering('trained')`);
      assert.deepEqual(await run(all), before);
      await reload(KEPT);
      assert.deepEqual(await run(all), before);
    });

    await step('a project of the shelf goes when it is asked twice', async () => {
      const [first, then] = await run(`
        await hands.view('keep');
        await hands.until('the shelf', () => shelved().length === 2);
        const bin = () => hands.all('.shelved button').find((one) =>
          /Remove the project another/.test(one.textContent));
        bin().click();
        await hands.until('the question', () => /Really/.test(bin().textContent));
        const first = shelved();
        bin().click();
        await hands.until('it to go', () => shelved().length === 1);
        return [first.length, shelved()];`);
      assert.deepEqual([first, then], [2, ['My first: 1/2']]);
    });

    await step('takes a project of Teachable Machine’s, in the order of its pictures, and comes back', async () => {
      const tm = teachable('image', { 'Class 1': pictures.slice(0, 3), 'left/right': pictures.slice(3, 5) });
      const [cards, sizes, back] = await run(`
        openFile('${base64(tm)}', 'hands.tm');
        await hands.view('pictures');
        await hands.until('its classes', () => hands.card('Class 1'));
        const sizes = await Promise.all([0, 1, 2].map(async (i) => (await hands.picture('Class 1', i)).size));
        const { cards } = seen();
        await hands.press('Undo', '.toast');
        await answering('trained');
        await both();
        return [cards, sizes, seen()];`);
      assert.deepEqual(cards, [
        ['Class 1', 3],
        ['left/right', 2],
      ]);
      const inOrder = pictures.slice(0, 3).map(({ length }) => length);
      assert.deepEqual(sizes, inOrder);
      const { answers, ...rest } = before;
      assert.equal(answers.length, 34);
      assert.deepEqual(back, rest);
    });

    await step('what is no project is refused by name, and changes nothing', async () => {
      const about = (more) =>
        zipSync({ 'project.json': strToU8(JSON.stringify({ format: 'mudpt project', ...more })) });
      const refused = {
        'voices.tm': [teachable('audio', {}), /for audio/],
        'poses.tm': [teachable('pose', { a: pictures.slice(0, 1) }), /for pose/],
        'empty.tm': [teachable('image', {}), /holds no pictures/],
        'model.zip': [zipSync({ 'model.json': strToU8('{}'), 'metadata.json': strToU8('{}') }), /without its pictures/],
        'notes.zip': [zipSync({ 'notes.txt': strToU8('x') }), /holds no pictures/],
        'cut.zip': [Buffer.from(zip, 'base64').subarray(0, 5000), /is damaged/],
        'text.zip': [strToU8('hello'), /is no zip/],
        'future.zip': [about({ version: 2 }), /newer page/],
        'odd.zip': [about({ version: 1, classes: [null] }), /is damaged/],
      };
      for (const [name, [bytes, words]] of Object.entries(refused)) {
        const said = await run(`
          await hands.view('keep');
          openFile('${base64(/** @type {any} */ (bytes))}', '${name}');
          return hands.until('the message of ${name}', () =>
            hands.all('.toast.bad').map((one) => one.textContent).find((one) => one.includes('${name}')));`);
        assert.match(said, words);
      }
      const { answers, ...rest } = before;
      assert.ok(answers);
      assert.deepEqual(await run(`await hands.view('pictures'); await both(); return seen()`), rest);
    });

    await step('a zip with folders of pictures adds its classes, as the folders would', async () => {
      const folders = zipSync({
        'set/tram/1.png': pictures[0],
        'set/tram/2.png': pictures[1],
        'set/bus/3.png': pictures[2],
      });
      const cards = await run(`
        hands.carry('drop', document.querySelector('.pictures'),
          { 'set.zip': new File([hands.bytes('${base64(folders)}')], 'set.zip') });
        await hands.until('the class', () => hands.card('tram') && hands.count('tram') === 2);
        const { cards } = seen();
        await hands.press('Undo: 3 pictures in 2 classes added', '.samples');
        await hands.until('them to go', () => !hands.card('tram'));
        return cards;`);
      assert.deepEqual(cards, [...before.cards.map(([name, n]) => [name, name === 'bus' ? n + 1 : n]), ['tram', 2]]);
    });

    await step('a model that only the file names is not fetched unasked', async () => {
      const files = unzipSync(Buffer.from(zip, 'base64'));
      const about = JSON.parse(strFromU8(files['project.json']));
      about.model = { id: 'address', from: 'https://example.com/clip/', photos: true, name: 'clip' };
      const foreign = zipSync({ ...files, 'project.json': strToU8(JSON.stringify(about)) }, { level: 0 });
      const [notice, fetched] = await run(`
        await hands.view('keep');
        openFile('${base64(foreign)}', 'foreign.zip');
        const notice = await hands.until('the notice', () => hands.text('.notice'));
        return [notice, performance.getEntriesByType('resource').some(({ name }) => /example/.test(name))];`);
      assert.match(notice, /clip is not loaded.*made with it.*https:\/\/example\.com\/clip\//);
      assert.equal(fetched, false);
    });

    await step('nothing was printed or thrown in the page', () => assertQuiet(evaluate));
  });
}
