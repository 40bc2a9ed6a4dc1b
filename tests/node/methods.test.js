/** Every method through the library and the command line: its defaults, a run, its file, and what it refuses. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { createCore } from '../../js/core/core.js';
import { loadClip } from '../../js/index.js';
import { floatsOf, headerOf, writeSafetensors } from '../../js/loading/safetensors.js';
import { drawShots } from '../../js/training/shots.js';
import { makeDataset, mudpt, workFolder } from './command.js';
import { PICTURES, TINY_A, TINY_B, isError, scores } from './models.js';

const CLASSES = ['cat', 'sail_boat', 'x'];
const EXAMPLES = PICTURES.slice(0, 6).map((image, i) => ({ image, label: i % 3 }));
const SHORT = { classes: CLASSES, examples: EXAMPLES, epochs: 2, batchSize: 2, learningRate: 0.01 };

async function lossesOf(job) {
  const losses = [];
  for await (const { loss } of job) losses.push(loss);
  return losses;
}

/** A saved classifier's metadata and tensors. */
function read(bytes) {
  const { tensors, metadata } = headerOf(bytes, 'it');
  const shapes = Object.fromEntries(tensors.map(({ name, shape }) => [name, shape]));
  const values = (name) => floatsOf(bytes, /** @type {any} */ (tensors.find((tensor) => tensor.name === name)));
  return { metadata, shapes, values, tensors };
}

/** What can be asked for, and the tensors of its file: every method, every option that changes what is computed. */
const FEATURES = { text_features: [3, 48] };
const both = (depth, n) => ({ ...FEATURES, text_prompts: [depth, n, 64], visual_prompts: [depth, n, 128] });
const cocoop = (n) => ({
  ...{ context: [n, 64], 'meta_net.0.weight': [3, 48], 'meta_net.0.bias': [3] },
  ...{ 'meta_net.1.weight': [64, 3], 'meta_net.1.bias': [64] },
});
const TCP = {
  ...{ ...FEATURES, context: [4, 64], 'meta_net.0.weight': [12, 48], 'meta_net.0.bias': [12] },
  ...{ 'meta_net.1.weight': [4 * 64, 12], 'meta_net.1.bias': [4 * 64] },
};
const MMRL = { ...both(2, 5), second_projection: [128, 48] };
const RUNS = [
  [{ method: 'coop' }, { ...FEATURES, text_prompts: [1, 16, 64] }],
  [
    { method: 'coop', phrase: 'a photo of a' },
    { ...FEATURES, text_prompts: [1, 4, 64] },
  ],
  [
    { method: 'coop', promptLength: 3, classPosition: 'middle' },
    { ...FEATURES, text_prompts: [1, 3, 64] },
  ],
  [
    { method: 'coop', promptLength: 2, classPosition: 'front' },
    { ...FEATURES, text_prompts: [1, 2, 64] },
  ],
  [
    { method: 'coop', promptLength: 3, classPosition: 'middle', classSpecific: true },
    { ...FEATURES, text_prompts: [1, 9, 64] },
  ],
  [{ method: 'cocoop' }, cocoop(4)],
  [{ method: 'cocoop', phrase: '', promptLength: 2 }, cocoop(2)],
  [{ method: 'vpt' }, { ...FEATURES, visual_prompts: [3, 8, 128] }],
  [
    { method: 'vpt', depth: 1, promptLength: 5 },
    { ...FEATURES, visual_prompts: [1, 5, 128] },
  ],
  [{ method: 'ivlp' }, both(3, 2)],
  [{ method: 'mudpt' }, both(3, 4)],
  [{ method: 'mudpt', depth: 2, promptLength: 2, layer0Fusion: false }, both(2, 2)],
  [{ method: 'mudpt', injection: 'transformer' }, both(3, 4)],
  [{ method: 'umudpt' }, both(3, 4)],
  [{ method: 'umudpt', depth: 1, promptLength: 1 }, both(1, 1)],
  [{ method: 'maple' }, both(3, 2)],
  [{ method: 'maple', depth: 2, promptLength: 4 }, both(2, 4)],
  [{ method: 'kgcoop' }, { ...FEATURES, text_prompts: [1, 4, 64] }],
  [{ method: 'promptsrc' }, both(3, 4)],
  [{ method: 'tcp' }, TCP],
  [{ method: 'mmrl', space: 16, fromLayer: 2 }, MMRL],
  [{ method: 'mmrlpp', space: 16, fromLayer: 2, rank: 2, projectionRank: 3, beta: 0.5, augment: false }, MMRL],
  [{ method: 'ivlp', fromLayer: 2 }, both(2, 2)],
  [{ method: 'mudpt', fromLayer: 3, augment: false }, both(1, 4)],
  [{ method: 'mudpt', textWeight: 25, imageWeight: 10, klWeight: 1, averageDeviation: 1 }, both(3, 4)],
];

describe('methods', () => {
  let clip;
  let zeroShot;
  before(async () => {
    clip = await loadClip(TINY_A, { threads: 1 });
    zeroShot = await clip.zeroShot(CLASSES);
  });
  after(() => clip.dispose());

  test('all of them with their papers’ defaults, and how much they train', () => {
    const methods = Object.fromEntries(clip.methods().map((each) => [each.method, each]));
    assert.deepEqual(Object.keys(methods), [
      ...['coop', 'cocoop', 'vpt', 'ivlp', 'mudpt', 'umudpt'],
      ...['maple', 'kgcoop', 'promptsrc', 'tcp', 'mmrl', 'mmrlpp'],
    ]);
    const shared = { shots: 16, augment: true, smallestCrop: 0.08, seed: 1 };
    const phrase = 'a photo of a';
    assert.deepEqual(methods.coop.settings, {
      ...{ ...shared, promptLength: 16, phrase: '', classPosition: 'end', classSpecific: false },
      ...{ epochs: 200, batchSize: 32, learningRate: 0.002 },
    });
    const short = { ...shared, promptLength: 4, phrase, epochs: 10 };
    assert.deepEqual(methods.cocoop.settings, { ...short, batchSize: 1, learningRate: 0.002 });
    const deep = { ...short, depth: 3, batchSize: 4, learningRate: 0.0025 };
    assert.deepEqual(methods.vpt.settings, { ...deep, promptLength: 8, epochs: 5 });
    const unheld = { textWeight: 0, imageWeight: 0, klWeight: 0, averageMean: 0, averageDeviation: 0 };
    assert.deepEqual(methods.ivlp.settings, { ...deep, promptLength: 2, epochs: 5, fromLayer: 1, ...unheld });
    assert.deepEqual(methods.mudpt.settings, {
      ...{ ...deep, injection: 'linear', layer0Fusion: true, fromLayer: 1 },
      ...unheld,
    });
    assert.deepEqual(methods.umudpt.settings, deep);
    assert.deepEqual(methods.maple.settings, { ...deep, promptLength: 2, epochs: 5, learningRate: 3.5e-3 });
    const long = { epochs: 100, batchSize: 128, learningRate: 2e-3 };
    assert.deepEqual(methods.kgcoop.settings, { ...shared, promptLength: 4, phrase, ...long, textWeight: 8 });
    const weights = { textWeight: 25, imageWeight: 10, klWeight: 1 };
    const average = { averageMean: 15, averageDeviation: 1 };
    assert.deepEqual(methods.promptsrc.settings, { ...deep, epochs: 20, fromLayer: 1, ...weights, ...average });
    assert.deepEqual(methods.tcp.settings, {
      ...{ ...shared, promptLength: 4, phrase: '', layer: 2, textWeight: 8 },
      ...{ epochs: 50, batchSize: 32, learningRate: 2e-3 },
    });
    const mmrl = {
      ...{ ...deep, promptLength: 5, fromLayer: 1, space: 512, alpha: 0.7 },
      ...{ learningRate: 1e-3, textWeight: 1, imageWeight: 1 },
    };
    assert.deepEqual(methods.mmrl.settings, mmrl);
    assert.deepEqual(methods.mmrlpp.settings, { ...mmrl, beta: 0.9, rank: 4, projectionRank: 64 });
    // Of another length the average keeps its place.
    const { averageMean, averageDeviation } = methods.promptsrc.presets.quick;
    assert.deepEqual([averageMean, averageDeviation], [3, 0.2]);
    const { paper, ...presets } = methods.mudpt.presets;
    assert.deepEqual(paper, methods.mudpt.settings);
    assert.deepEqual(
      Object.entries(presets).map(([name, { epochs }]) => [name, epochs]),
      [
        ['quick', 4],
        ['balanced', 10],
        ['thorough', 30],
      ],
    );
    // Widths 64 and 128, 3 layers, embedding 48: counted by hand.
    const linear = (to, from) => to * from + to;
    assert.equal(methods.coop.trainedValues, 16 * 64);
    assert.equal(methods.cocoop.trainedValues, 4 * 64 + linear(3, 48) + linear(64, 3));
    assert.equal(methods.vpt.trainedValues, 3 * 8 * 128);
    assert.equal(methods.ivlp.trainedValues, 3 * 2 * (64 + 128));
    assert.equal(methods.mudpt.trainedValues, 3 * 4 * (64 + 128) + 2 * linear(128, 64) + linear(64, 128));
    const block = 4 * 2 * 64 + linear(3 * 64, 64) + linear(64, 64) + linear(256, 64) + linear(64, 256);
    assert.equal(methods.umudpt.trainedValues, 3 * 4 * 64 + block + linear(128, 64));
    assert.equal(methods.maple.trainedValues, 3 * 2 * 64 + 3 * linear(128, 64));
    assert.equal(methods.kgcoop.trainedValues, 4 * 64);
    assert.equal(methods.tcp.trainedValues, 4 * 64 + linear(12, 48) + linear(4 * 64, 12));
    assert.equal(methods.promptsrc.trainedValues, 3 * 4 * (64 + 128));
    assert.equal(methods.mmrl.trainedValues, 5 * 512 + 3 * (linear(64, 512) + linear(128, 512)) + 128 * 48);
    const differences = (d) => d * 512 + 3 * (4 * (d + 512) + d);
    assert.equal(methods.mmrlpp.trainedValues, 5 * 512 + differences(64) + differences(128) + 64 * (128 + 48));
  });

  for (const [options, shapes] of RUNS) {
    test(`tuned, saved, loaded again: ${JSON.stringify(options)}`, async () => {
      const job = clip.tune({ ...SHORT, ...options });
      const losses = await lossesOf(job);
      assert.equal(losses.length, 6);
      assert.ok(
        losses.every((loss) => loss > 0 && Number.isFinite(loss)),
        losses.join(),
      );
      const classifier = await job.finished;
      const tuned = await scores(classifier);
      assert.notDeepEqual(tuned, await scores(zeroShot));

      const bytes = await classifier.export();
      const file = read(bytes);
      const { class_ids: ids, ...others } = file.shapes;
      assert.deepEqual(others, shapes);
      assert.equal(ids !== undefined, options.method === 'cocoop');
      assert.equal(file.metadata.method, options.method);
      for (const [key, value] of Object.entries(options)) {
        if (key !== 'method') assert.equal(classifier.settings[key], value, key);
      }
      const again = await clip.import(bytes);
      assert.equal(again.method, options.method);
      assert.deepEqual(again.settings, classifier.settings);
      assert.deepEqual(await scores(again), tuned); // bit for bit
      assert.deepEqual(await again.export(), bytes);

      // Training goes on where there are more epochs: another file, of the same shape.
      const longer = read(await (await clip.tune({ ...SHORT, ...options, epochs: 3 }).finished).export());
      assert.deepEqual(longer.shapes, file.shapes);
      for (const name of Object.keys(others)) {
        if (name === 'text_features' && options.method === 'vpt') continue;
        assert.notDeepEqual(longer.values(name), file.values(name), name);
      }
      await Promise.all([classifier.dispose(), again.dispose()]);
    });
  }

  test('VPT leaves the text features as they are, all others change them', async () => {
    const plain = read(await zeroShot.export()).values('text_features');
    for (const method of ['coop', 'vpt', 'ivlp', 'mudpt', 'umudpt', 'maple', 'kgcoop', 'promptsrc', 'tcp', 'mmrl']) {
      const bytes = await (await clip.tune({ ...SHORT, method }).finished).export();
      const tuned = read(bytes).values('text_features');
      if (method === 'vpt') assert.deepEqual(tuned, plain);
      else assert.notDeepEqual(tuned, plain, method);
    }
  });

  for (const options of [
    ...['coop', 'cocoop', 'vpt', 'ivlp', 'mudpt', 'umudpt', 'maple'].map((method) => ({ method })),
    { method: 'mudpt', injection: 'transformer' },
    { method: 'kgcoop', textWeight: 0.1 },
    { method: 'tcp', textWeight: 0.1 },
    { method: 'promptsrc', textWeight: 1, imageWeight: 1 },
    { method: 'mmrlpp', space: 16, textWeight: 0.1, imageWeight: 0.1, learningRate: 0.01 },
  ]) {
    test(`it learns: ${JSON.stringify(options)}`, async () => {
      const examples = EXAMPLES.slice(0, 3);
      const settings = { epochs: 40, batchSize: 3, learningRate: 0.05, augment: false };
      const losses = await lossesOf(clip.tune({ ...SHORT, examples, ...settings, ...options }));
      assert.ok(losses.at(-1) < 0.8 * losses[0], `${losses[0]} -> ${losses.at(-1)}`);
    });
  }

  test('options are what they say: each changes the result', async () => {
    const tuned = async (options) => (await clip.tune({ ...SHORT, epochs: 1, ...options }).finished).export();
    const differ = async (method, ...changes) => {
      const files = [{}, ...changes].map((change) => tuned({ method, promptLength: 2, ...change }));
      const features = (await Promise.all(files)).map((bytes) => String(read(bytes).values('text_features')));
      assert.equal(new Set(features).size, features.length, method);
    };
    await differ('coop', { classPosition: 'middle' }, { classPosition: 'front' }, { classSpecific: true });
    await differ('mudpt', { injection: 'transformer' }, { depth: 1 });
    const visual = async (options) => read(await tuned({ promptLength: 2, ...options })).values('visual_prompts');
    assert.notDeepEqual(await visual({ layer0Fusion: false }), await visual({}));
    const held = [{}, { textWeight: 5 }, { imageWeight: 5 }, { klWeight: 5 }, { averageDeviation: 1 }];
    for (const method of ['ivlp', 'mudpt']) {
      const all = [];
      for (const change of held) all.push(String(await visual({ method, epochs: 2, ...change })));
      assert.equal(new Set(all).size, held.length, method);
    }
    await differ('kgcoop', { textWeight: 0 }, { textWeight: 1 });
    await differ('tcp', { textWeight: 0 }, { layer: 1 }, { phrase: 'a photo' });
    await differ(
      'mmrlpp',
      { alpha: 0.5 },
      { beta: 0.5 },
      { space: 8 },
      { rank: 1 },
      { imageWeight: 0 },
      { fromLayer: 2 },
    );
    await differ('ivlp', { fromLayer: 2 }, { fromLayer: 3 });
    await differ('promptsrc', { klWeight: 0 }, { epochs: 2 }, { epochs: 2, averageMean: 2 });
  });

  test('a phrase says how many prompts there are, unless that is said as well', async () => {
    const settings = async (options) => (await clip.tune({ ...SHORT, epochs: 1, ...options }).finished).settings;
    assert.equal((await settings({ method: 'coop', phrase: 'a photo of a' })).promptLength, 4);
    assert.equal((await settings({ method: 'mudpt', phrase: 'a photo' })).promptLength, 2);
    assert.equal((await settings({ method: 'vpt', phrase: 'a photo' })).promptLength, 8);
    assert.equal((await settings({ method: 'mudpt', phrase: 'a photo', promptLength: 1 })).promptLength, 1);
  });

  for (const [options, message] of [
    [{ method: 'coop', depth: 3 }, /^depth is no option of coop; methods that have it: vpt, ivlp, mudpt, umudpt, /],
    [{ method: 'coop', klWeight: 1 }, /^klWeight is no option of coop; methods that have it: ivlp, mudpt, promptsrc$/],
    [{ method: 'mmrl', fromLayer: 4 }, /^fromLayer is 4, expected at most the 3 layers of both towers$/],
    [{ method: 'mmrl', beta: 0.9 }, /^beta is no option of mmrl; methods that have it: mmrlpp$/],
    [{ method: 'mmrlpp', alpha: 2 }, /^alpha is 2, expected a number from 0 to 1$/],
    [{ method: 'tcp', layer: 3 }, /^rows of each class's own enter text layer 3; expected 1 to 2$/],
    [{ method: 'promptsrc', klWeight: -1 }, /^klWeight is -1, expected a number from 0 to 1000000$/],
    [{ method: 'vpt', classSpecific: true }, /^classSpecific is no option of vpt; methods that have it: coop$/],
    [{ method: 'ivlp', layer0Fusion: false }, /^layer0Fusion is no option of ivlp; methods that have it: mudpt$/],
    [{ method: 'coop', classPosition: 'left' }, /^classPosition is "left", expected end or middle or front$/],
    [{ method: 'coop', context: 4 }, /^there is no option "context"; settings of coop are .*classPosition/],
    [{ injection: 'transformer', layer0Fusion: true }, /^layer0Fusion is no option of transformer injection; /],
    [{ method: 'cocoop', phrase: 'a', promptLength: 2 }, /^promptLength is 2, but the phrase "a" has only 1 words/],
    [{ promptLength: 5 }, /^promptLength is 5, but the phrase "a photo of a" has only 4 words/],
    [{ classes: ['x'], examples: EXAMPLES.slice(0, 1) }, /^one class has nothing to be told apart from; give two$/],
    [{ clases: ['a', 'b'], classes: undefined }, /^there is no option "clases"; settings of mudpt are /],
    [{ preset: 'quik' }, /^preset is "quik", expected instant or paper or quick or /],
    [{ validation: 3 }, /^validation is 3, expected true, false or an array of examples$/],
  ]) {
    test(`refused: ${JSON.stringify(options)}`, async () => {
      await assert.rejects(clip.tune({ ...SHORT, ...options }).finished, isError('argument', message));
    });
  }
});

test('fewer epochs for CoOp with fewer shots, as in its paper', async () => {
  const clip = await loadClip(TINY_B, { threads: 1 });
  for (const [shots, epochs] of [
    [1, 50],
    [2, 100],
    [4, 100],
    [8, 200],
  ]) {
    const job = clip.tune({ classes: CLASSES, examples: EXAMPLES, method: 'coop', shots, promptLength: 2 });
    for await (const step of job) {
      assert.equal(step.epochs, epochs);
      job.stop();
    }
  }
  await clip.dispose();
});

describe('a saved CoCoOp', () => {
  let clip;
  let good;
  before(async () => {
    clip = await loadClip(TINY_A, { threads: 1 });
    good = await (await clip.tune({ ...SHORT, epochs: 1, method: 'cocoop' }).finished).export();
  });
  after(() => clip.dispose());

  const changed = (change) => {
    const { tensors, metadata } = read(good);
    const parts = tensors.map(({ name, dtype, shape, begin, bytes }) => {
      return { name, dtype, shape, data: good.slice(begin, begin + bytes) };
    });
    return writeSafetensors(parts.flatMap(change), metadata);
  };
  const ids = (edit) => () =>
    changed((tensor) => {
      if (tensor.name !== 'class_ids') return [tensor];
      const values = new Int32Array(tensor.data.buffer.slice(0));
      edit(values, tensor.shape[1]);
      return [{ ...tensor, data: values }];
    });
  const without = (name) => () => changed((tensor) => (tensor.name === name ? [] : [tensor]));

  for (const [what, message, make] of [
    ['no sentences', /has no tensor class_ids/, without('class_ids')],
    ['no context', /has no tensor context/, without('context')],
    ['no meta-net', /has no tensor meta_net\.1\.bias/, without('meta_net.1.bias')],
    ['an empty sentence', /the sentence of class 1 has 0 tokens/, ids((v, t) => v.fill(-1, t, 2 * t))],
    ['an id that the model lacks', /the sentence of class 0 has token id 99999/, ids((v) => (v[5] = 99999))],
    [
      'a tensor of another shape',
      /meta_net\.1\.bias is F32 \[32\], expected F32 \[64\]/,
      () => changed((t) => (t.name === 'meta_net.1.bias' ? [{ ...t, shape: [32], data: t.data.slice(128) }] : [t])),
    ],
    [
      'values that are not finite',
      /meta_net\.0\.weight holds NaN/,
      () => changed((t) => (t.name === 'meta_net.0.weight' ? [{ ...t, data: t.data.map(() => 0xff) }] : [t])),
    ],
  ]) {
    test(`refused: ${what}`, async () => {
      await assert.rejects(clip.import(make(), { name: 'f.safetensors' }), (error) => {
        assert.match(error.message, /^f\.safetensors: /);
        return isError('classifier', message)(error);
      });
    });
  }

  test('its context depends on the picture: it is not one classifier with fixed text features', async () => {
    const meta = ['meta_net.1.weight', 'meta_net.1.bias'];
    const still = changed((t) => (meta.includes(t.name) ? [{ ...t, data: t.data.map(() => 0) }] : [t]));
    const [moving, fixed] = await Promise.all([clip.import(good), clip.import(still)]);
    assert.notDeepEqual(await scores(moving), await scores(fixed));
  });
});

describe('validation', () => {
  const classes = ['a', 'b', 'c'];
  // Of the classes there are 9, 6 and 21 pictures.
  const labels = Array.from({ length: 36 }, (_, i) => (i % 4 === 0 ? 0 : i % 6 === 1 ? 1 : 2));
  const each = (indices) => classes.map((_, label) => indices.filter((index) => labels[index] === label).length);

  test('its pictures lie beside the shots, min(shots, 4) a class, and move none of them', async () => {
    const core = await createCore({ threads: 1 });
    for (const shots of [1, 2, 3, 4]) {
      const drawn = drawShots(core, classes, labels, { shots, seed: 5, validation: true });
      assert.deepEqual(each(drawn.train), [shots, shots, shots]);
      const most = Math.min(shots, 4);
      assert.deepEqual(each(drawn.validation), [most, Math.min(most, 6 - shots), most]);
      assert.equal(new Set([...drawn.train, ...drawn.validation]).size, drawn.train.length + drawn.validation.length);
      assert.deepEqual(drawShots(core, classes, labels, { shots, seed: 5 }), { train: drawn.train, validation: [] });
      assert.deepEqual(drawShots(core, classes, labels, { shots, seed: 5, validation: true }), drawn);
      const other = drawShots(core, classes, labels, { shots, seed: 6, validation: true });
      assert.notDeepEqual(other.validation, drawn.validation);
    }
    const message = /class "b" has no picture left to validate on.*use fewer shots/;
    const all = { shots: 6, seed: 5, validation: true };
    assert.throws(() => drawShots(core, classes, labels, all), isError('argument', message));
    core.dispose();
  });

  for (const method of ['mudpt', 'cocoop', 'vpt']) {
    test(`${method}: measured after every epoch, and the training stays what it was, bit for bit`, async () => {
      const clip = await loadClip(TINY_A, { threads: 1 });
      const options = { ...SHORT, method, shots: 1, epochs: 3, augment: method === 'mudpt' };
      const job = clip.tune({ ...options, validation: true });
      const told = [];
      for await (const { validationAccuracy } of job) told.push(validationAccuracy);
      assert.equal(told.length, 3); // three pictures in batches of two: one step an epoch
      assert.ok(
        told.every((accuracy) => [0, 1 / 3, 2 / 3, 1].includes(accuracy)),
        told.join(),
      );
      const bytes = await (await job.finished).export();
      assert.deepEqual(await (await clip.tune(options).finished).export(), bytes);

      // Examples of the caller's own: all of one class, which a classifier names rightly or not.
      const own = [{ image: PICTURES[6], label: 0 }];
      const last = [];
      const again = clip.tune({ ...options, validation: own });
      for await (const { validationAccuracy } of again) last.push(validationAccuracy);
      assert.equal(last.at(-1), (await (await again.finished).evaluate(own)).accuracy);
      await clip.dispose();
    });
  }
});

describe('the command line', () => {
  const cwd = workFolder();
  makeDataset(path.join(cwd, 'faces3'), 5);
  const run = (...args) => mudpt(args, { cwd });
  const json = ({ code, stdout, stderr }) => {
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout.trimEnd().split('\n').at(-1));
  };
  const train = ['train', '--data', 'faces3', '--threads', '1', '--json', '--epochs', '1', '--shots', '2'];

  test('mudpt methods: a table for people, everything as JSON', async () => {
    const [shown, told] = await Promise.all([run('methods'), run('methods', '--json')]);
    assert.equal(shown.code, 0, shown.stderr);
    const lines = shown.stdout.split('\n');
    assert.ok(
      lines.every((line) => line.length <= 80),
      shown.stdout,
    );
    const { model, methods, presets } = json(told);
    assert.match(model.fingerprint, /^[0-9a-f]{16}$/);
    assert.deepEqual(
      methods.map(({ method }) => method),
      [
        ...['coop', 'cocoop', 'vpt', 'ivlp', 'mudpt', 'umudpt'],
        ...['maple', 'kgcoop', 'promptsrc', 'tcp', 'mmrl', 'mmrlpp'],
      ],
    );
    for (const { method, title, trains, settings, trainedValues } of methods) {
      assert.match(
        shown.stdout,
        new RegExp(`^${method} +${title.replaceAll('+', '\\+')}: ${trains.slice(0, 20)}`, 'm'),
      );
      const row = [settings.promptLength, settings.depth ?? 1, '.*', settings.epochs, settings.batchSize].join(' +');
      assert.match(shown.stdout, new RegExp(`^${method} +${row} +.* ${trainedValues.toLocaleString('en')}$`, 'm'));
    }
    assert.match(shown.stdout, /^zeroshot +zero-shot CLIP: nothing/m);
    for (const { preset, about } of presets)
      assert.match(shown.stdout, new RegExp(`^--preset ${preset}: ${about}`, 'm'));
    const quick = json(await run(...train, '--preset', 'quick'));
    // What is given by itself counts more than the preset.
    assert.deepEqual([quick.settings.epochs, quick.settings.smallestCrop], [1, 0.5]);
  });

  test('every method trains; its options arrive', async () => {
    for (const [method, ...flags] of [
      [
        'mmrlpp',
        '--from-layer',
        '2',
        '--space',
        '8',
        '--alpha',
        '0.5',
        '--beta',
        '0.8',
        '--rank',
        '1',
        '--projection-rank',
        '2',
      ],
      ['coop', '--class-position', 'middle', '--class-specific', '--phrase', 'a photo of a'],
      ['cocoop', '--no-augment'],
      ['vpt', '--depth', '1', '--prompt-length', '2'],
      ['mudpt', '--injection', 'transformer'],
      ['mudpt', '--no-layer0-fusion'],
      ['umudpt'],
      ['maple', '--depth', '2'],
      ['kgcoop', '--text-weight', '2'],
      ['tcp', '--layer', '1'],
      ['promptsrc', '--image-weight', '3', '--kl-weight', '0', '--average-mean', '1', '--average-deviation', '2'],
    ]) {
      const out = ['--method', method, '--out', `${method}.safetensors`];
      const { settings, tuned, output } = json(await run(...train, ...out, ...flags));
      assert.ok(tuned.accuracy >= 0 && tuned.accuracy <= 1);
      const { metadata } = read(new Uint8Array(readFileSync(path.join(cwd, output))));
      assert.equal(metadata.method, method);
      const wanted = {
        coop: { classPosition: 'middle', classSpecific: true, promptLength: 4 },
        cocoop: { augment: false, batchSize: 1 },
        vpt: { depth: 1, promptLength: 2 },
        mudpt: flags.includes('--injection') ? { injection: 'transformer' } : { layer0Fusion: false },
        umudpt: { promptLength: 4 },
        maple: { depth: 2, promptLength: 2 },
        kgcoop: { textWeight: 2 },
        tcp: { layer: 1, promptLength: 4 },
        mmrlpp: { fromLayer: 2, space: 8, alpha: 0.5, beta: 0.8, rank: 1, projectionRank: 2 },
        promptsrc: { textWeight: 25, imageWeight: 3, klWeight: 0, averageMean: 1, averageDeviation: 2 },
      }[method];
      for (const [key, value] of Object.entries(wanted)) assert.equal(settings[key], value, `${method} ${key}`);
    }
    const evaluated = json(await run('eval', '--data', 'faces3', '--classifier', 'cocoop.safetensors', '--json'));
    assert.equal(evaluated.method, 'cocoop');
  });

  test('--val measures on pictures held out, and leaves the result as it is', async () => {
    const out = (name) => ['--out', `${name}.safetensors`];
    const with_ = json(await run(...train, '--epochs', '2', '--val', ...out('val')));
    const plain = json(await run(...train, '--epochs', '2', ...out('plain')));
    assert.equal(with_.validationPerEpoch.length, 2);
    assert.ok(with_.validationPerEpoch.every((accuracy) => Number.isInteger(Math.round(accuracy * 6e6) / 1e6)));
    assert.equal(plain.validationPerEpoch, undefined);
    assert.deepEqual(with_.lossPerEpoch, plain.lossPerEpoch);
    const bytes = ['val', 'plain'].map((name) => readFileSync(path.join(cwd, `${name}.safetensors`)));
    assert.deepEqual(bytes[0], bytes[1]);
    const { code, stderr } = await run('train', '--data', 'faces3', '--shots', '5', '--val');
    assert.equal(code, 1);
    assert.match(stderr, /^mudpt: classes "clown face", .* have no picture left to validate on.*; use fewer shots/);
  });

  test('templates may be repeated: an ensemble', async () => {
    const evaluate = async (...templates) => {
      const flags = templates.flatMap((template) => ['--template', template]);
      return json(await run('eval', '--data', 'faces3', '--json', ...flags));
    };
    const [one, two] = ['a photo of a {}.', 'x {} x'];
    const results = [await evaluate(one), await evaluate(two), await evaluate(one, two)];
    assert.equal(new Set(results.map(({ ece }) => ece)).size, 3);
    const classify = ['classify', 'faces3/test/clown_face', '--classes', 'clown face,zebra', '--json'];
    const [single, several] = [
      json(await run(...classify, '--template', one)),
      json(await run(...classify, '--template', one, '--template', two)),
    ];
    assert.notDeepEqual(several.results, single.results);
  });

  test('a data set of one class is refused before anything is loaded', async () => {
    const { code, stdout, stderr } = await run('train', '--data', 'faces3/train', '--model', 'nowhere');
    assert.match(stderr, /nowhere/);
    mkdirSync(path.join(cwd, 'one'));
    cpSync(path.join(cwd, 'faces3/train/clown_face'), path.join(cwd, 'one/clown_face'), { recursive: true });
    const one = await run('train', '--data', 'one', '--model', 'nowhere');
    assert.deepEqual([code, stdout, one.code, one.stdout], [1, '', 1, '']);
    assert.match(one.stderr, /^mudpt: one: has one class only, clown face; give a folder with a folder of pictures/);
  });

  for (const [words, message] of [
    [
      '--method coop --depth 2',
      /--depth is no option of coop; methods that have it: vpt, ivlp, mudpt, umudpt, maple, promptsrc, mmrl, mmrlpp$/m,
    ],
    ['--class-specific', /--class-specific is no option of mudpt; methods that have it: coop$/m],
    ['--method vpt --no-layer0-fusion', /--no-layer0-fusion is no option of vpt; methods that have it: mudpt$/m],
    ['--method coop --class-position top', /--class-position: "top" is not possible; choose end, middle, front/],
    ['--injection both', /--injection: "both" is not possible; choose linear, transformer/],
    ['--injection transformer --no-layer0-fusion', /layer0Fusion is no option of transformer injection/],
  ]) {
    test(`is refused: mudpt train ${words}`, async () => {
      const { code, stdout, stderr } = await run('train', '--data', 'faces3', ...words.split(' '));
      assert.deepEqual([code, stdout], [1, '']);
      assert.match(stderr, message);
    });
  }
});
