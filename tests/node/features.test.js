/** Features as people get them: equal to the goldens, in every way that they can be asked for, and as files. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { loadClip } from '../../js/index.js';
import { MODELS } from '../../js/cli/models.js';
import { floatsOf, headerOf } from '../../js/loading/safetensors.js';
import { makeDataset, mudpt, workFolder } from './command.js';
import { GOLDEN, PICTURES, TINY_A, TINY_B, WAYS, difference, isError, json, named, tensors } from './models.js';

const lengths = ({ data, dims: [count, width] }) =>
  Array.from({ length: count }, (_, i) => Math.hypot(...data.subarray(i * width, (i + 1) * width)));
const scaled = (values, width) =>
  Float32Array.from(values, (value, i) => {
    const row = values.subarray(i - (i % width), i - (i % width) + width);
    return value / Math.hypot(...row);
  });

for (const [name, folder] of Object.entries({ 'tiny-a': TINY_A, 'tiny-b': TINY_B })) {
  for (const way of WAYS) {
    test(`${name}: texts as the golden file has them, ${named(way)}`, async () => {
      const clip = await loadClip(folder, way);
      const wanted = tensors(`${name}/features.safetensors`).class_features;
      const texts = json(`${name}/config.json`).classes.map((each) => `a photo of a ${each.replaceAll('_', ' ')}.`);
      const raw = await clip.embedTexts(texts, { unit: false });
      assert.deepEqual(raw.dims, wanted.shape);
      assert.ok(difference(raw.data, wanted.floats()) < 2e-5);
      const unit = await clip.embedTexts(texts);
      assert.ok(difference(unit.data, scaled(wanted.floats(), wanted.shape[1])) < 2e-5);
      await clip.dispose();
    });
  }
}

describe('pictures and texts', () => {
  let clip;
  before(async () => {
    clip = await loadClip(TINY_A, { threads: 1 });
  });
  after(() => clip.dispose());

  test('pictures: a row each, in their order, whatever they come with; of length one or not', async () => {
    const all = await clip.embedImages(PICTURES);
    assert.deepEqual(all.dims, [PICTURES.length, 48]);
    assert.ok(lengths(all).every((length) => Math.abs(length - 1) < 1e-6));
    const bytes = new Set(PICTURES.map((file) => new Uint8Array(readFileSync(file)))); // any list
    assert.deepEqual((await clip.embedImages(bytes)).data, all.data);
    const raw = await clip.embedImages(PICTURES, { unit: false });
    assert.ok(difference(scaled(raw.data, 48), all.data) < 1e-6);
    assert.ok(lengths(raw).some((length) => Math.abs(length - 1) > 0.01));
    for (const [i, file] of PICTURES.entries()) {
      const { data } = await clip.embedImages([file]);
      assert.ok(difference(data, all.data.subarray(48 * i, 48 * (i + 1))) < 1e-5, file);
    }
  });

  test('views: the plain one, then random ones that depend on the picture and the seed alone', async () => {
    const some = PICTURES.slice(0, 3);
    const wanted = { views: 4, smallestCrop: 0.3 };
    const plain = await clip.embedImages(some);
    const all = await clip.embedImages(some, wanted);
    assert.deepEqual(all.dims, [12, 48]);
    const rows = (features) =>
      Array.from({ length: features.dims[0] }, (_, i) => features.data.slice(48 * i, 48 * (i + 1)));
    assert.ok(difference(all.data.subarray(0, 3 * 48), plain.data) < 1e-5);
    const distinct = new Set(rows(all).map(String));
    assert.equal(distinct.size, 12, 'every view is another one');

    const [last] = rows(await clip.embedImages([some[2]], wanted)).slice(3);
    assert.ok(difference(last, rows(all)[11]) < 1e-5, 'alone as among others');
    const other = await clip.embedImages(some, { ...wanted, seed: 2 });
    assert.ok(difference(rows(other)[3], rows(all)[3]) > 1e-3);
    const whole = await clip.embedImages([some[0]], { views: 3, smallestCrop: 1 });
    assert.ok(difference(rows(whole)[1], rows(all)[4]) > 1e-3, 'of another smallest crop');

    const broken = [];
    const onBroken = ({ index }) => broken.push(index);
    const left = await clip.embedImages([some[0], new Uint8Array(9), some[2]], { ...wanted, onBroken });
    assert.deepEqual([broken, left.dims], [[1], [8, 48]]);
    for (const [v, row] of rows(left).entries())
      assert.ok(difference(row, rows(all)[3 * (v >> 1) + 2 * (v % 2)]) < 1e-5, 'no gap where one cannot be read');
    for (const [options, message] of [
      [{ views: 0 }, /views is 0, expected 1 to 64/],
      [{ views: 2.5 }, /views is 2.5/],
      [{ views: '4' }, /views is 4/],
      [{ views: 2, seed: -1 }, /seed is -1, expected 0 to 4294967295/],
      [{ views: 2, smallestCrop: 0 }, /smallestCrop is 0, expected a share above 0/],
      [{ views: 2, smallestCrop: NaN }, /smallestCrop is NaN/],
    ])
      await assert.rejects(clip.embedImages(some, options), isError('argument', message));
  });

  test('before the projection: what the projection makes of it are the features', async () => {
    const before = await clip.embedImages(PICTURES, { projected: false, unit: false });
    const after = await clip.embedImages(PICTURES, { unit: false });
    assert.deepEqual(before.dims, [PICTURES.length, 128]);
    const file = new Uint8Array(readFileSync(path.join(TINY_A, 'model.safetensors')));
    const find = (name) =>
      floatsOf(
        file,
        headerOf(file, 'it').tensors.find((tensor) => tensor.name === name),
      );
    const project = ({ data, dims: [count, width] }, weight) =>
      Float32Array.from({ length: count * 48 }, (_, at) => {
        const [row, out] = [Math.floor(at / 48), at % 48];
        let sum = 0;
        for (let i = 0; i < width; i++) sum += data[row * width + i] * weight[out * width + i];
        return sum;
      });
    assert.ok(difference(project(before, find('visual_projection.weight')), after.data) < 1e-5);
    const texts = ['a photo of a cat.', 'x'];
    const rows = await clip.embedTexts(texts, { projected: false, unit: false });
    assert.deepEqual(rows.dims, [2, 64]);
    const features = await clip.embedTexts(texts, { unit: false });
    assert.ok(difference(project(rows, find('text_projection.weight')), features.data) < 1e-5);
    assert.ok(lengths(await clip.embedTexts(texts, { projected: false })).every((one) => Math.abs(one - 1) < 1e-6));
  });

  test('they are what zero-shot compares', async () => {
    const classifier = await clip.zeroShot(['cat', 'x'], { template: '{}' });
    const scores = await classifier.classify(PICTURES[0], { topK: 2 });
    const [picture, texts] = [await clip.embedImages(PICTURES.slice(0, 1)), await clip.embedTexts(['cat', 'x'])];
    const logits = [0, 1].map((i) => {
      const text = texts.data.subarray(48 * i, 48 * (i + 1));
      return clip.info.logitScale * picture.data.reduce((sum, value, k) => sum + value * text[k], 0);
    });
    const cat = scores.find(({ label }) => label === 'cat').score;
    assert.ok(Math.abs(1 / (1 + Math.exp(logits[1] - logits[0])) - cat) < 1e-4);
  });

  test('many texts, a few at a time, are as each alone; none and no pictures are no rows', async () => {
    const texts = Array.from({ length: 150 }, (_, i) => `${'ab '.repeat(i % 20)}${i}`);
    const told = [];
    const all = await clip.embedTexts(texts, { onProgress: (progress) => told.push(progress) });
    assert.deepEqual(told.at(-1), { done: 150, total: 150 });
    for (const i of [0, 63, 64, 149]) {
      const { data } = await clip.embedTexts([texts[i]]);
      assert.ok(difference(data, all.data.subarray(48 * i, 48 * (i + 1))) < 1e-5, `text ${i}`);
    }
    for (const none of [await clip.embedTexts([]), await clip.embedImages([])]) {
      assert.deepEqual([none.dims, none.data.length], [[0, 48], 0]);
    }
    assert.deepEqual((await clip.embedImages([], { projected: false })).dims, [0, 128]);
  });

  test('a text that is too long is refused, or cut as the references do it: its end stays', async () => {
    const long = Array.from({ length: 100 }, (_, i) => String.fromCharCode(97 + (i % 26))).join(' ');
    await assert.rejects(
      clip.embedTexts(['a', long]),
      isError(
        'tokenizer',
        /^text 1 needs 102 tokens, the model reads at most 77; shorten it, or have it cut: truncate$/,
      ),
    );
    const cut = await clip.embedTexts([long], { truncate: true });
    const fits = long.split(' ').slice(0, 75).join(' ');
    assert.deepEqual(cut.data, (await clip.embedTexts([fits])).data);
    assert.deepEqual(
      (await clip.embedTexts(['short'], { truncate: true })).data,
      (await clip.embedTexts(['short'])).data,
    );
  });

  test('what is wrong is said', async () => {
    const cases = [
      [() => clip.embedTexts('a cat'), 'argument', /^texts must be an array; for a text alone give an array of one$/],
      [() => clip.embedTexts(['a', 7]), 'argument', /^text 1 is number, expected a text$/],
      [() => clip.embedTexts(['a'.repeat(100_001)]), 'argument', /has 100001 characters, expected at most 100000/],
      [() => clip.embedTexts(['a'.repeat(2001)], { truncate: true }), 'argument', /2001 characters without a space/],
      [() => clip.embedTexts(['a'], { unit: 1 }), 'argument', /^unit is 1, expected true or false$/],
      [() => clip.embedTexts(['a'], { normalize: true }), 'argument', /there is no option "normalize"/],
      [() => clip.embedImages(PICTURES[0]), 'argument', /^pictures must be an array/],
      [() => clip.embedImages(new Blob([])), 'argument', /^pictures must be an array/],
      [() => clip.embedImages(PICTURES, { projected: 'no' }), 'argument', /^projected is no, expected true or false$/],
      [() => clip.embedImages([PICTURES[0], 'nowhere.png']), 'file', /nowhere\.png/],
      [() => clip.embedImages([new Uint8Array(9)]), 'image', /^picture 0: /],
    ];
    for (const [call, code, message] of cases) await assert.rejects(call, isError(code, message));
    const controller = new AbortController();
    const aborted = clip.embedImages(PICTURES.concat(PICTURES), { signal: controller.signal });
    controller.abort();
    await assert.rejects(aborted, { name: 'AbortError' });
    await assert.rejects(clip.embedTexts(['a'], { signal: controller.signal }), { name: 'AbortError' });
    const blind = await loadClip(TINY_A, { threads: 1, towers: 'image' });
    await assert.rejects(blind.embedTexts(['a']), isError('state', /without its text tower/));
    assert.deepEqual((await blind.embedImages(PICTURES.slice(0, 1))).dims, [1, 48]);
    await blind.dispose();
    await assert.rejects(blind.embedImages(PICTURES), isError('state', /has been disposed of/));
  });

  test('pictures that cannot be read have no row, where somebody takes them', async () => {
    const told = [];
    const some = [PICTURES[0], new Uint8Array(3), PICTURES[1], 'nowhere.png', PICTURES[2]];
    const found = await clip.embedImages(some, { onBroken: (broken) => told.push(broken) });
    assert.deepEqual(
      told.map(({ index, list, code }) => [index, list, code]),
      [
        [1, 'pictures', 'image'],
        [3, 'pictures', 'file'],
      ],
    );
    assert.deepEqual(found.data, (await clip.embedImages(PICTURES.slice(0, 3))).data);
    assert.deepEqual(found.dims, [3, 48]);
  });
});

describe('mudpt embed', () => {
  const cwd = workFolder();
  const at = (name) => path.join(cwd, name);
  const run = (...args) => mudpt(['embed', ...args], { cwd });
  before(() => makeDataset(at('faces'), 1));

  /** @param {Buffer} bytes of a .npy file, read by the format's description */
  function readNpy(bytes) {
    assert.equal(bytes.subarray(0, 6).toString('latin1'), '\x93NUMPY');
    const length = bytes.readUInt16LE(8);
    assert.equal((10 + length) % 64, 0);
    const header = bytes.subarray(10, 10 + length).toString('latin1');
    const [, first, second] = /^\{'descr': '<f4', 'fortran_order': False, 'shape': \((\d+), (\d+)\), \} *\n$/.exec(
      header,
    );
    return {
      dims: [Number(first), Number(second)],
      data: new Float32Array(new Uint8Array(bytes.subarray(10 + length)).buffer),
    };
  }

  test('a picture behind --texts is a text, which is said', async () => {
    const { code, stderr } = await run('--texts', 'a face', 'faces', '--out', 'two.npy');
    assert.equal(code, 0, stderr);
    assert.match(stderr, /faces is taken as a text; pictures are embedded by themselves/);
    assert.deepEqual(readNpy(readFileSync(at('two.npy'))).dims, [2, 128]);
  });

  test('pictures as .safetensors: rows, paths, labels', async () => {
    const { code, stdout, stderr } = await run('faces/train', '--out', 'faces.safetensors', '--json');
    assert.equal(code, 0, stderr);
    const said = JSON.parse(stdout);
    const bytes = new Uint8Array(readFileSync(at('faces.safetensors')));
    const { tensors: list, metadata } = headerOf(bytes, 'it');
    assert.deepEqual(
      list.map(({ name, shape }) => [name, shape]),
      [['image_features', [3, 128]]],
    );
    const paths = JSON.parse(metadata.paths);
    assert.deepEqual(said.paths, paths);
    assert.deepEqual(JSON.parse(metadata.labels), ['clown_face', 'face_with_medical_mask', 'nauseated_face']);
    assert.deepEqual([metadata.format, metadata.unit, metadata.projected], ['mudpt-features', 'true', 'true']);
    const clip = await loadClip(path.join(GOLDEN, '../../models/pictoclip'));
    assert.equal(metadata.fingerprint, clip.info.fingerprint);
    const { data } = await clip.embedImages(paths.map(at));
    assert.ok(difference(floatsOf(bytes, list[0]), data) < 1e-5);
    await clip.dispose();
  });

  test('texts as .npy, cut where that is asked for; what stands there is replaced as a whole', async () => {
    writeFileSync(at('texts.txt'), 'an owl\r\na fox in the snow\n\n');
    const { code, stderr } = await run('--texts-file', 'texts.txt', '--out', 'texts.npy', '--no-unit');
    assert.equal(code, 0, stderr);
    const { dims, data } = readNpy(readFileSync(at('texts.npy')));
    const clip = await loadClip(path.join(GOLDEN, '../../models/pictoclip'));
    const wanted = await clip.embedTexts(['an owl', 'a fox in the snow'], { unit: false });
    await clip.dispose();
    assert.deepEqual(dims, wanted.dims);
    assert.ok(difference(data, wanted.data) < 1e-5);
    const before = createHash('sha1')
      .update(readFileSync(at('texts.npy')))
      .digest('hex');
    const long = 'owl '.repeat(100);
    const refused = await run('--texts', long, '--out', 'texts.npy');
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /^mudpt: text 0 needs \d+ tokens, .*truncate\n$/);
    assert.equal(
      createHash('sha1')
        .update(readFileSync(at('texts.npy')))
        .digest('hex'),
      before,
    );
    assert.equal((await run('--texts', long, 'b', '--truncate', '--out', 'texts.npy')).code, 0);
    assert.deepEqual(readNpy(readFileSync(at('texts.npy'))).dims, [2, 128]);
  });

  test('what cannot be done is said, and nothing is written', async () => {
    writeFileSync(at('bad.png'), 'no picture');
    for (const [args, message] of /** @type {[string[], RegExp][]} */ ([
      [['--out', 'a.npy'], /there is nothing to embed; give pictures, or --texts/],
      [['faces', '--texts', 'a', '--out', 'a.npy'], /both pictures and texts are given/],
      [['faces', '--out', 'a.npz'], /--out: "a\.npz" is not possible; expected a name that ends with/],
      [['faces', '--out', 'nowhere/a.npy'], /its folder does not exist/],
      [['bad.png', 'faces', '--out', 'a.npy'], /1 of 7 pictures cannot be read; mend or remove them/],
      [['bad.png', '--skip-broken', '--out', 'a.npy'], /no picture can be read/],
    ])) {
      const { code, stderr } = await run(...args);
      assert.equal(code, 1, args.join(' '));
      assert.match(stderr, message);
      assert.ok(!existsSync(at('a.npy')));
    }
    const { code, stdout, stderr } = await run('bad.png', 'faces', '--skip-broken', '--out', 'a.npy', '--json');
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^left out: bad\.png/);
    assert.deepEqual([JSON.parse(stdout).dims, JSON.parse(stdout).leftOut], [[6, 128], ['bad.png']]);
  });
});

test('the list of models is that of the documentation', async () => {
  const { stdout } = await mudpt(['models', '--json'], { cwd: workFolder() });
  assert.deepEqual(JSON.parse(stdout).models, MODELS);
  const document = readFileSync(new URL('../../docs/models.md', import.meta.url), 'utf8');
  for (const { name, model, millions, image, rows, imageNet, licence, goodFor } of MODELS) {
    const cells = [name, `\`${model}\``, `${millions} M`, image, rows, imageNet.toFixed(1), licence, goodFor];
    assert.ok(document.includes(`| ${cells.join(' | ')} |\n`), name);
  }
});
