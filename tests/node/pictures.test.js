/** Pictures of every kind, classified and measured, and options that make no sense. */
import assert from 'node:assert/strict';
import { openAsBlob, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { MudptError, exportOfficial, loadClip } from '../../js/index.js';
import { GOLDEN, PICTURES, TINY_A, isError, temporaryFolder } from './models.js';

const CLASSES = ['cat', 'sail_boat', 'x'];

describe('pictures and measuring', () => {
  let clip;
  let classifier;
  before(async () => {
    clip = await loadClip(TINY_A, { threads: 1 });
    classifier = await clip.zeroShot(CLASSES);
  });
  after(() => clip.dispose());

  test('every way to give a picture is the same picture', async () => {
    const file = PICTURES[0];
    const bytes = readFileSync(file);
    const expected = await classifier.classify(file);
    const copy = new Uint8Array(bytes);
    for (const image of [
      pathToFileURL(file),
      pathToFileURL(file).href,
      bytes,
      copy,
      copy.buffer,
      new Blob([bytes]),
      new File([bytes], 'picture.png'),
      `data:image/png;base64,${bytes.toString('base64')}`,
    ]) {
      assert.deepEqual(await classifier.classify(image), expected);
    }
  });

  test('a file that went after it was picked is said', async () => {
    const file = path.join(await temporaryFolder(), 'picked.png');
    writeFileSync(file, readFileSync(PICTURES[0]));
    const picked = await openAsBlob(file);
    writeFileSync(file, 'something else');
    await assert.rejects(classifier.classify(picked), isError('image', /cannot be read/));
  });

  test('pixels as RGBA and RGB are the same picture', async () => {
    const [width, height] = [33, 47];
    const rgb = Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * i) % 256);
    const rgba = new Uint8ClampedArray(width * height * 4).fill(77);
    for (let i = 0; i < width * height; i++) rgba.set(rgb.subarray(3 * i, 3 * i + 3), 4 * i);
    const expected = await classifier.classify({ data: rgb, width, height });
    assert.deepEqual(await classifier.classify({ data: rgba, width, height }), expected);
  });

  test('EXIF orientation is obeyed only when asked for', async () => {
    const turned = path.join(GOLDEN, 'preprocess/images/turned.jpg');
    const other = await loadClip(TINY_A, { threads: 1, upright: true });
    const upright = await (await other.zeroShot(CLASSES)).classify(turned, { topK: 3 });
    assert.notDeepEqual(upright, await classifier.classify(turned, { topK: 3 }));
    await other.dispose();
  });

  test('evaluation agrees with classifying one by one', async () => {
    const grey = { data: new Uint8Array(12).fill(99), width: 2, height: 2 };
    const examples = PICTURES.with(2, grey).map((image, i) => ({ image, label: i % 2 ? CLASSES[i % 3] : i % 3 }));
    const told = [];
    const result = await classifier.evaluate(examples, { onProgress: (progress) => told.push(progress) });
    const confusion = CLASSES.map(() => [0, 0, 0]);
    for (const [i, { image }] of examples.entries()) {
      const [{ label }] = await classifier.classify(image);
      confusion[i % 3][CLASSES.indexOf(label)]++;
    }
    assert.deepEqual(result.confusion, confusion);
    const right = confusion.reduce((sum, row, i) => sum + row[i], 0);
    assert.equal(result.accuracy, right / PICTURES.length);
    assert.equal(result.count, PICTURES.length);
    assert.deepEqual(told.at(-1), { done: PICTURES.length, total: PICTURES.length });
    assert.equal((await classifier.evaluate([])).count, 0);
  });

  test('many pictures need no more memory than a few', async () => {
    const examples = Array.from({ length: 200 }, (_, i) => ({ image: PICTURES[i % 7], label: 0 }));
    await classifier.evaluate(examples.slice(0, 20));
    const before = clip.memoryBytes;
    await classifier.evaluate(examples);
    assert.equal(clip.memoryBytes, before);
  });

  test('an evaluation can be aborted', async () => {
    const controller = new AbortController();
    const examples = Array.from({ length: 40 }, () => ({ image: PICTURES[0], label: 0 }));
    const run = classifier.evaluate(examples, { signal: controller.signal, onProgress: () => controller.abort() });
    await assert.rejects(run, { name: 'AbortError' });
    await assert.rejects(classifier.classify(PICTURES[0], { signal: AbortSignal.abort() }), { name: 'AbortError' });
  });

  for (const [image, code, message] of [
    ['no/such.png', 'file', /^no\/such\.png is not there; check the path$/],
    [TINY_A, 'file', /model cannot be read: it is a folder/],
    [path.join(TINY_A, 'config.json'), 'image', /config\.json: /],
    [new Uint8Array(0), 'image', /^the picture: /],
    [new File([Uint8Array.of(1, 2, 3)], 'mine.png'), 'image', /^mine\.png: /],
    ['http://127.0.0.1:9/a.png', 'network', /127\.0\.0\.1:9\/a\.png cannot be fetched/],
    [undefined, 'image', /the picture is no picture/],
    [{ data: new Uint8Array(10), width: 2, height: 2 }, 'image', /10 pixel values/],
    [{ data: [1, 2, 3], width: 1, height: 1 }, 'image', /is no picture/],
  ]) {
    test(`refused: ${typeof image === 'string' ? path.basename(image) : JSON.stringify(image)}`, async () => {
      await assert.rejects(classifier.classify(image), isError(code, message));
      await assert.rejects(classifier.evaluate([{ image, label: 0 }]), MudptError);
      const among = [PICTURES[0], image].map((image) => ({ image, label: 0 }));
      await assert.rejects(classifier.evaluate(among), isError(code, /./));
    });
  }

  test('refused: options that make no sense', async () => {
    await assert.rejects(classifier.classify(PICTURES[0], { topK: 0 }), isError('argument', /topK is 0/));
    await assert.rejects(classifier.evaluate('all'), isError('argument', /examples must be an array/));
    await assert.rejects(
      clip.zeroShot(CLASSES, { templats: [] }),
      isError('argument', /valid are template, templates/),
    );
    await assert.rejects(clip.zeroShot(CLASSES, { templates: [] }), isError('argument', /templates must be an array/));
    const both = { template: 'a {}', templates: ['the {}'] };
    await assert.rejects(clip.zeroShot(CLASSES, both), isError('argument', /template and templates are given; leave/));
    await assert.rejects(clip.zeroShot([]), isError('argument', /classes/));
    for (const call of [
      classifier.classify(PICTURES[0], { topk: 1 }),
      classifier.evaluate([], { progress: () => {} }),
      classifier.export({ row: true }),
      classifier.attention(PICTURES[0], { topK: 1 }),
      classifier.nearestWords({ top: 1 }),
      classifier.withClasses(['owl'], { template: 'a {}' }),
      clip.import(await classifier.export(), { file: 'a' }),
      (async () => exportOfficial(await classifier.export(), { form: 'maple' }))(),
    ]) {
      await assert.rejects(call, isError('argument', /^there is no option "\w+"; valid are \w/));
    }
    assert.equal((await classifier.classify(PICTURES[0], { transfer: true })).length, 3);
  });
});
