/**
 * Exchange with the authors' code: every golden case's parameters go to their names and back without a changed bit, and
 * what comes back gives the golden logits. Names and shapes are written out here as their code has them.
 */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { exportOfficial, loadClip } from '../../js/index.js';
import { readOfficial } from '../../js/classifier/exchange.js';
import { restoreOfficial } from '../../js/classifier/official.js';
import { giveTeacher } from '../../js/classifier/teacher.js';
import { blobFile } from '../../js/files/files.js';
import { floatsOf, headerOf, writeSafetensors } from '../../js/loading/safetensors.js';
import { makeDataset, mudpt, pictoclip, workFolder } from './command.js';
import { Tensors, readJson } from './golden-files.js';
import { methodOf, sentencesOf } from './golden-model.js';
import { OFFICIAL } from './official-shapes.js';
import { GOLDEN, PICTURES, TINY_A, difference, isError, openCore } from './models.js';

/** The tensors of a file: name -> { dtype, shape, values }. */
function read(bytes) {
  const { tensors } = headerOf(bytes, 'it');
  return Object.fromEntries(
    tensors.map((tensor) => [tensor.name, { ...tensor, values: tensor.dtype === 'F32' && floatsOf(bytes, tensor) }]),
  );
}
const shapes = (bytes) => Object.fromEntries(Object.entries(read(bytes)).map(([name, { shape }]) => [name, shape]));

/** A file of tensors { name: { shape, values } }, or with other bytes and another type. */
const written = (tensors, metadata) =>
  writeSafetensors(
    Object.entries(tensors).map(([name, { dtype = 'F32', shape, values, data = values }]) => {
      return { name, dtype, shape, data };
    }),
    metadata,
  );

/** How tune() and importOfficial() name a golden case's method. */
function settingsOf({ method, hyper_parameters: hyper }) {
  const transformer = method === 'uumudpt';
  const { position = 'end', phrase = '' } = hyper;
  return {
    method: transformer ? 'mudpt' : method,
    phrase,
    ...(method === 'coop' && { classPosition: position }),
    ...(method === 'tcp' && { layer: hyper.layer }),
    ...(method.startsWith('mmrl') && {
      ...{ phrase: 'a photo of a', fromLayer: hyper.layers[0], alpha: hyper.alpha ?? 0.7 },
      ...(method === 'mmrlpp' && { beta: hyper.beta ?? 0.9 }),
    }),
    ...(transformer && { injection: 'transformer' }),
    ...(method === 'mudpt' && hyper.layer0_fusion === false && { layer0Fusion: false }),
  };
}

/** A classifier file as export({ raw: true }) writes it, with a golden case's starting values. */
function rawFile(json, tensors) {
  const { method, ...settings } = settingsOf(json);
  const { class_specific: classSpecific, n, n_text: nText } = json.hyper_parameters;
  const initial = [...tensors.byName.keys()].filter((name) => name.startsWith('init.'));
  const raw = initial.map((name) => [name.slice(5), { shape: tensors.shape(name), values: tensors.values(name) }]);
  const { phrase, ...rest } = settings;
  return {
    raw: Object.fromEntries(raw),
    bytes: written(Object.fromEntries(raw), {
      ...{ format: 'mudpt-classifier', version: '1', method, classes: JSON.stringify(json.classes) },
      ...{ phrase, prompt_length: String(n ?? nText) },
      hyper_parameters: JSON.stringify({
        ...rest,
        ...(method === 'coop' && { classSpecific: Boolean(classSpecific) }),
      }),
    }),
  };
}

for (const config of ['tiny-a', 'tiny-b']) {
  describe(config, () => {
    let opened;
    let images;
    before(async () => {
      opened = await openCore(path.join(GOLDEN, config, 'model'), { threads: 1, variant: 'plain' });
      images = new Tensors(GOLDEN, config, 'inputs.safetensors').values('images');
    });
    after(() => opened.core.dispose());

    const cases = readdirSync(path.join(GOLDEN, config)).filter(
      (name) => name.endsWith('.json') && name !== 'config.json',
    );
    for (const file of cases.filter((name) => !name.startsWith('zeroshot'))) {
      const json = readJson(GOLDEN, config, file);
      const tensors = new Tensors(GOLDEN, config, file.replace('.json', '.safetensors'));
      const formats = ['vpt', 'ivlp'].includes(json.method) ? ['official', 'maple'] : ['official'];
      for (const format of formats) {
        test(`${file} as ${format} and back: the same bits, the golden logits`, async () => {
          const { raw, bytes } = rawFile(json, tensors);
          const theirs = exportOfficial(bytes, { format });
          assert.ok(!Object.keys(raw).some((name) => Object.hasOwn(read(theirs), name)), 'no name is ours');

          const { core, clip, config: sizes } = opened;
          const options = { classes: json.classes, ...settingsOf(json) };
          const { handle } = await restoreOfficial(opened, await readOfficial(theirs, options, sizes));
          for (const { name, shape, value, count } of core.classifierParameters(handle)) {
            assert.deepEqual(shape, raw[name].shape, name);
            assert.deepEqual(core.floats(value, count).slice(), raw[name].values, name);
          }
          assert.equal(core.classifierParameters(handle).length, Object.keys(raw).length);

          const each = 3 * sizes.image ** 2;
          const pixels = new Float32Array(json.batches[0].images.length * each);
          json.batches[0].images.forEach((picture, i) =>
            pixels.set(images.subarray(picture * each, (picture + 1) * each), i * each),
          );
          const { logits } = core.classifierLogits(handle, pixels);
          const stored = tensors.has('logits_fusion') ? 'logits_fusion' : 'logits';
          // The scale is the model's, whatever the authors' constant.
          const { scale = 'model' } = json.hyper_parameters;
          if (stored === 'logits' || (scale === 'model' && Object.hasOwn(json.hyper_parameters, 'scale')))
            assert.ok(difference(logits, tensors.values(stored)) < json.tolerance[stored], stored);
          // The golden sentences are those that the classes' names make.
          const method = { ...methodOf(json.method, json.hyper_parameters), scale: 0 };
          const golden = core.classifierCreate(clip, method, sentencesOf(json, tensors, method));
          const values = Object.entries(raw).map(([name, { values }]) => [name, values]);
          core.classifierSetParameters(golden, Object.fromEntries(values));
          await giveTeacher(opened, golden, { method: settingsOf(json).method, classes: json.classes, settings: {} });
          assert.deepEqual(core.classifierLogits(golden, pixels).logits, logits);
        });
      }
    }
  });
}

describe('names as the authors’ code has them', () => {
  const CLASSES = ['cat', 'sail_boat', 'x'];
  const examples = CLASSES.map((label, i) => ({ image: PICTURES[i], label }));
  const SHORT = { classes: CLASSES, examples, epochs: 1, shots: 1, batchSize: 1, promptLength: 2, phrase: '' };
  let clip;
  before(async () => (clip = await loadClip(TINY_A, { threads: 1 })));
  after(() => clip.dispose());
  const trained = async (options) => (await clip.tune({ ...SHORT, ...options }).finished).export({ raw: true });

  test('widths of the model that these shapes are of', () => {
    const { textWidth, visionWidth, embed, textLayers, visionLayers } = clip.info.architecture;
    assert.deepEqual([textWidth, visionWidth, embed, textLayers, visionLayers], [64, 128, 48, 3, 3]);
  });

  for (const [options, expected, format] of OFFICIAL) {
    test(`${JSON.stringify(options)} ${format ?? ''}`, async () => {
      assert.deepEqual(shapes(exportOfficial(await trained(options), { format })), expected);
    });
  }

  test('a checkpoint, a classifier with raw parameters and, of most methods, one without give the same', async () => {
    for (const method of ['coop', 'vpt', 'ivlp', 'cocoop', 'kgcoop', 'promptsrc', 'mudpt']) {
      const job = clip.tune({ ...SHORT, method });
      const classifier = await job.finished;
      const official = exportOfficial(await classifier.export({ raw: true }));
      assert.deepEqual(exportOfficial(await job.checkpoint()), official, method);
      if (method !== 'mudpt') assert.deepEqual(exportOfficial(await classifier.export()), official, method);
    }
    const specific = await clip.tune({ ...SHORT, method: 'coop', classSpecific: true }).finished;
    assert.deepEqual(exportOfficial(await specific.export()), exportOfficial(await specific.export({ raw: true })));
  });

  test('what is imported classifies and is saved as if it had been trained here', async () => {
    const upper = { method: 'mmrlpp', fromLayer: 2, alpha: 0.6, beta: 0.8 };
    for (const options of [
      ...[{ method: 'mudpt' }, { method: 'cocoop' }, { method: 'coop', classPosition: 'middle' }],
      ...[{ method: 'ivlp', fromLayer: 2 }, upper],
    ]) {
      const classifier = await clip.tune({ ...SHORT, ...options }).finished;
      const theirs = exportOfficial(await classifier.export({ raw: true }));
      const again = await clip.importOfficial(theirs, { classes: CLASSES, phrase: '', ...options });
      assert.deepEqual(await again.classify(PICTURES[0]), await classifier.classify(PICTURES[0]));
      assert.deepEqual(exportOfficial(await again.export({ raw: true })), theirs);
      const loaded = await clip.import(await again.export({ raw: true }));
      assert.deepEqual(await loaded.classify(PICTURES[0]), await classifier.classify(PICTURES[0]));
      assert.deepEqual(loaded.settings, again.settings);
      assert.equal(again.settings.promptLength, 2);
      const more = await again.withClasses(['dog']);
      assert.deepEqual(more.classes, [...CLASSES, 'dog']);
    }
  });

  test('half precision, other names around, a prefix: as their checkpoints are', async () => {
    const bytes = await trained({ method: 'cocoop' });
    const { ctx, ...rest } = read(exportOfficial(bytes));
    const half = { ...ctx, dtype: 'F16', data: new Uint16Array(ctx.values.length).fill(0x3555) };
    const bfloat = { ...ctx, dtype: 'BF16', data: new Uint16Array(ctx.values.length).fill(0x3eab) };
    const frozen = { shape: [1, 2], values: new Float32Array(2) };
    const prefixed = Object.fromEntries(
      Object.entries(rest).map(([name, tensor]) => [`prompt_learner.${name}`, tensor]),
    );
    for (const [tensor, value] of [
      [half, 1365 / 4096],
      [bfloat, Math.fround(171 / 512)],
    ]) {
      const file = written({
        'prompt_learner.ctx': tensor,
        ...prefixed,
        'prompt_learner.token_prefix': frozen,
        'prompt_learner.token_suffix': frozen,
        'image_encoder.conv1.weight': frozen,
        logit_scale: { shape: [], values: new Float32Array(1) },
      });
      const classifier = await clip.importOfficial(new Blob([file]), {
        method: 'cocoop',
        classes: CLASSES,
        phrase: '',
      });
      const { context } = read(await classifier.export());
      assert.deepEqual(context.values, new Float32Array(128).fill(value));
    }
  });

  test('without layer-0 fusion: zeros there and back', async () => {
    const theirs = exportOfficial(await trained({ method: 'mudpt', layer0Fusion: false }));
    const { 'mudpt_prompt_learner.embed_projection.weight': weight } = read(theirs);
    assert.deepEqual(weight.values, new Float32Array(64 * 128));
    const options = { method: 'mudpt', classes: CLASSES, phrase: '' };
    const unfused = await clip.importOfficial(theirs, { ...options, layer0Fusion: false });
    const fused = await clip.importOfficial(theirs, options);
    assert.deepEqual(await unfused.classify(PICTURES[0]), await fused.classify(PICTURES[0]));
    const other = exportOfficial(await trained({ method: 'mudpt' }));
    await assert.rejects(
      clip.importOfficial(other, { ...options, layer0Fusion: false }),
      isError('classifier', /embed_projection.weight is not zero/),
    );
  });

  test('refused: what cannot be exported', async () => {
    const folded = await (await clip.tune(SHORT).finished).export();
    assert.throws(() => exportOfficial(folded, { name: 'a.safetensors' }), isError('state', /a\.safetensors: .*--raw/));
    const zeroShot = await (await clip.zeroShot(CLASSES)).export();
    assert.throws(() => exportOfficial(zeroShot), isError('argument', /nothing is trained in zeroshot/));
    assert.throws(() => exportOfficial(folded, { format: 'onnx' }), isError('argument', /official or maple/));
    const mudpt = await trained({});
    assert.throws(() => exportOfficial(mudpt, { format: 'maple' }), isError('argument', /no mudpt, only vpt, ivlp/));
    const model = new Uint8Array(readFileSync(path.join(TINY_A, 'model.safetensors')));
    assert.throws(() => exportOfficial(model), isError('classifier', /no saved classifier or checkpoint/));
    await assert.rejects((await clip.import(folded)).export({ raw: true }), isError('state', /without its raw/));
  });

  test('what their prompt learners hold and never use is left aside', async () => {
    for (const [method, extra] of [
      ['kgcoop', { 'meta_net.linear1.weight': [3, 48], bias_vectors: [1, 48], token_prefix: [3, 1, 64] }],
      ['promptsrc', { 'prompt_learner.ZS_image_encoder.conv1.weight': [2, 3, 8, 8] }],
    ]) {
      const tensors = read(exportOfficial(await trained({ method })));
      for (const [name, shape] of Object.entries(extra)) {
        tensors[name] = { shape, values: new Float32Array(shape.reduce((a, b) => a * b)) };
      }
      const options = { classes: CLASSES, method, phrase: '' };
      assert.equal((await clip.importOfficial(written(tensors), options)).method, method);
      tensors['prompt_learner.else'] = { shape: [1], values: new Float32Array(1) };
      const strange = isError('classifier', /has the tensor prompt_learner\.else, which/);
      await assert.rejects(clip.importOfficial(written(tensors), options), strange);
    }
  });

  describe('refused: what cannot be imported', () => {
    let files;
    before(async () => {
      files = {};
      for (const method of ['coop', 'vpt', 'ivlp', 'mudpt', 'umudpt']) {
        files[method] = exportOfficial(await trained({ method }));
      }
    });
    const changed = (method, change) => {
      const tensors = read(files[method]);
      change(tensors);
      return written(tensors);
    };
    for (const [what, code, message, make, options = {}] of [
      [
        'another method',
        'classifier',
        /has no tensor ctx or prompt_learner\.ctx; is it of coop/,
        () => files.mudpt,
        { method: 'coop' },
      ],
      [
        'more than the method has',
        'classifier',
        /text_prompt_learner\.visual_ctx, which vpt does not/,
        () => files.ivlp,
        { method: 'vpt' },
      ],
      ['no method', 'argument', /method is "magic"/, () => files.coop, { method: 'magic' }],
      [
        'no classes',
        'argument',
        /classes is undefined, expected an array/,
        () => files.coop,
        { method: 'coop', classes: undefined },
      ],
      [
        'an option that there is not',
        'argument',
        /no option "epochs"/,
        () => files.coop,
        { method: 'coop', epochs: 3 },
      ],
      [
        'words that do not fit',
        'argument',
        /the phrase "a" has only 1 words/,
        () => files.coop,
        { method: 'coop', phrase: 'a' },
      ],
      [
        'half a file',
        'model',
        /cut short/,
        () => files.mudpt.subarray(0, files.mudpt.length >> 1),
        { method: 'mudpt' },
      ],
      [
        'a missing tensor',
        'classifier',
        /has no tensor mudpt_prompt_learner\.deep_projections\.bias/,
        () => changed('mudpt', (t) => delete t['mudpt_prompt_learner.deep_projections.bias']),
        { method: 'mudpt' },
      ],
      [
        'a missing layer',
        'classifier',
        /has no tensor image_encoder\.transformer\.resblocks\.1\.visual_ctx/,
        () => changed('vpt', (t) => delete t['image_encoder.transformer.resblocks.1.visual_ctx']),
        { method: 'vpt' },
      ],
      [
        'another model’s width',
        'classifier',
        /tensor ctx has the shape \[4,32\], and \[4,64\] fits/,
        () => changed('coop', (t) => (t.ctx.shape = [4, 32])),
        { method: 'coop' },
      ],
      [
        'another number of dimensions',
        'classifier',
        /ctx is \[128\], expected 2 dimensions/,
        () => changed('coop', (t) => (t.ctx.shape = [128])),
        { method: 'coop' },
      ],
      [
        'whole numbers',
        'classifier',
        /tensor ctx is I32; save it as F32, F16, BF16/,
        () => changed('coop', (t) => (t.ctx.dtype = 'I32')),
        { method: 'coop' },
      ],
      [
        'NaN',
        'classifier',
        /tensor ctx holds NaN/,
        () => changed('coop', (t) => t.ctx.values.fill(NaN)),
        { method: 'coop' },
      ],
      [
        'prompts of another length',
        'classifier',
        /deep_prompts has the shape \[1,4,64\]/,
        () => changed('umudpt', (t) => Object.assign(t['umudpt_prompt_learner.deep_prompts'], { shape: [1, 4, 64] })),
        { method: 'umudpt' },
      ],
      [
        'more layers than the model has from there on',
        'classifier',
        /has prompts for more than the 2 layers of this model; load the model that it was/,
        () => files.ivlp,
        { method: 'ivlp', fromLayer: 2 },
      ],
      [
        'more layers than the model has',
        'classifier',
        /has prompts for more than the 3 layers of this model;/,
        () =>
          changed('vpt', (t) => {
            const name = (layer) => `image_encoder.transformer.resblocks.${layer}.visual_ctx`;
            t[name(3)] = t[name(2)];
          }),
        { method: 'vpt' },
      ],
    ]) {
      test(what, async () => {
        await assert.rejects(
          clip.importOfficial(make(), { classes: CLASSES, phrase: '', ...options }),
          isError(code, message),
        );
      });
    }

    test('contexts for other classes', async () => {
      const theirs = exportOfficial(await trained({ method: 'coop', classSpecific: true }));
      await assert.rejects(
        clip.importOfficial(theirs, { method: 'coop', classes: ['cat', 'dog'], phrase: '' }),
        isError('classifier', /ctx has the shape \[3,2,64\], and \[2,2,64\] fits this model and these classes/),
      );
    });
  });
});

describe('mudpt export, import, add-classes', () => {
  const folder = workFolder();
  const run = (args) => mudpt(args.split(' '), { cwd: folder });
  const file = (name) => readFileSync(path.join(folder, name));
  before(async () => {
    makeDataset(path.join(folder, 'data'), 2);
    const { code, stderr } = await run('train --data data --epochs 2 --raw --out tuned.safetensors --quiet');
    assert.equal(code, 0, stderr);
  });

  test('out and in again: the same prompts and features', async () => {
    const exported = await run('export tuned.safetensors --out theirs.safetensors');
    assert.equal(exported.code, 0, exported.stderr);
    assert.match(exported.stdout, /10 tensors.*\n.*mudpt_prompt_learner\.ctx \[4, 128\]/);
    const imported = await run(
      'import theirs.safetensors --method mudpt --data data --raw --out back.safetensors --json',
    );
    assert.equal(imported.code, 0, imported.stderr);
    const [before, after] = ['tuned', 'back'].map((name) => read(file(`${name}.safetensors`)));
    assert.deepEqual(Object.keys(after), Object.keys(before));
    for (const [name, { values }] of Object.entries(before)) assert.deepEqual(after[name].values, values, name);
    const { classes } = JSON.parse(imported.stdout.trim().split('\n').at(-1));
    assert.deepEqual(classes, ['clown face', 'face with medical mask', 'nauseated face']);
  });

  test('what a file of MMRL++ does not say is told', async () => {
    const settings = { method: 'mmrlpp', fromLayer: 3, alpha: 0.6, beta: 0.3 };
    const clip = await loadClip(TINY_A, { threads: 1 });
    const classes = ['a', 'b', 'c'];
    const examples = classes.map((label, i) => ({ image: PICTURES[i], label }));
    const tuned = await clip.tune({ ...settings, classes, examples, epochs: 1, phrase: '' }).finished;
    writeFileSync(path.join(folder, 'mmrlpp'), exportOfficial(await tuned.export({ raw: true })));
    await clip.dispose();
    const told = `--from-layer 3 --alpha 0.6 --beta 0.3 --classes a,b,c --phrase= --model ${TINY_A}`;
    const { code, stderr } = await run(`import mmrlpp --method mmrlpp ${told} --out own.safetensors`);
    assert.equal(code, 0, stderr);
    const { metadata } = headerOf(file('own.safetensors'), 'it');
    const { fromLayer, alpha, beta } = JSON.parse(metadata.hyper_parameters);
    assert.deepEqual({ method: metadata.method, fromLayer, alpha, beta }, settings);
  });

  test('more classes', async () => {
    const added = await run('add-classes tuned.safetensors --classes owl,grey_cat --out more.safetensors');
    assert.equal(added.code, 0, added.stderr);
    assert.match(added.stdout, /more\.safetensors \(5 classes/);
    const [before, after] = ['tuned', 'more'].map((name) => read(file(`${name}.safetensors`)));
    assert.deepEqual(after.text_features.values.slice(0, 3 * 128), before.text_features.values);
  });

  for (const [args, message] of [
    ['export data --out x', /data: is a folder; give what mudpt train has saved/],
    ['export tuned.safetensors', /--out/],
    ['export tuned.safetensors --out x --format maple', /the maple code has no mudpt/],
    [
      'import tuned.safetensors --out x --method mudpt',
      /does not name its classes; give --classes a,b,c, --classes-file FILE or --data/,
    ],
    ['import tuned.safetensors --out x --method mudpt --classes a', /has no tensor mudpt_prompt_learner\.ctx/],
    ['import tuned.safetensors --out x --method coop --classes a --beta 0.5', /--beta is no option of coop/],
    ['import tuned.safetensors --out x --method mmrl --classes a --alpha 2', /--alpha: "2".*a number from 0 to 1/],
    [
      'import tuned.safetensors --out x --method coop --classes a --injection linear',
      /--injection is no option of coop/,
    ],
    ['import nowhere --out x --method mudpt --classes a', /nowhere/],
    ['add-classes tuned.safetensors --out x --classes owl,', /names with commas/],
    ['add-classes tuned.safetensors --out x --classes grey_owl,grey__owl', /are one name to the model/],
    [`add-classes ${pictoclip}/config.json --out x --classes owl`, /no safetensors file/],
  ]) {
    test(`refused: ${args.replace(pictoclip, 'pictoclip')}`, async () => {
      const { code, stderr } = await run(args);
      assert.equal(code, 1);
      assert.match(stderr, message);
      assert.equal(stderr.trim().split('\n').length, 1);
      assert.ok(!readdirSync(folder).includes('x'));
    });
  }
});

describe('more classes for a tuned classifier', () => {
  const NAMES = ['cat', 'sail_boat', 'x', 'a long road', 'dog'];
  const examples = NAMES.map((label, i) => ({ image: PICTURES[i], label }));
  let clip;
  before(async () => (clip = await loadClip(TINY_A, { threads: 1 })));
  after(() => clip.dispose());

  /** A saved classifier of its first classes alone. */
  function first(bytes, count) {
    const { metadata } = headerOf(bytes, 'it');
    const tensors = Object.entries(read(bytes)).map(([name, { dtype, shape, begin, bytes: size }]) => {
      const byClass = name === 'text_features' || name === 'class_ids';
      const part = byClass ? (size / shape[0]) * count : size;
      return [name, { dtype, shape: byClass ? [count, shape[1]] : shape, data: bytes.slice(begin, begin + part) }];
    });
    return written(Object.fromEntries(tensors), { ...metadata, classes: JSON.stringify(NAMES.slice(0, count)) });
  }

  for (const options of [
    { method: 'zeroshot' },
    { method: 'coop', promptLength: 4 },
    { method: 'coop', classPosition: 'middle', promptLength: 4 },
    { method: 'coop', classPosition: 'front', promptLength: 4 },
    { method: 'cocoop' },
    { method: 'vpt' },
    { method: 'ivlp' },
    { method: 'mudpt' },
    { method: 'mudpt', injection: 'transformer' },
    { method: 'umudpt' },
  ]) {
    test(`${JSON.stringify(options)}: the same bits as a run with all of them`, async () => {
      const whole =
        options.method === 'zeroshot'
          ? await clip.zeroShot(NAMES, { templates: ['a {}.', 'the {} there'] })
          : await clip.tune({ ...options, classes: NAMES, examples, epochs: 2, batchSize: 1 }).finished;
      const bytes = await whole.export();
      const part = await clip.import(first(bytes, 2));
      const more = await (await part.withClasses(NAMES.slice(2, 3))).withClasses(NAMES.slice(3));
      assert.deepEqual(more.classes, NAMES);
      const [mine, right] = [read(await more.export()), read(bytes)];
      if (right.text_features) assert.deepEqual(mine.text_features.values, right.text_features.values);
      assert.deepEqual(
        await more.classify(PICTURES[5], { topK: 9 }),
        await (await clip.import(bytes)).classify(PICTURES[5], { topK: 9 }),
      );
      assert.deepEqual(part.classes, NAMES.slice(0, 2));
    });
  }

  test('refused: contexts of their own, names that are there, none', async () => {
    const options = { classes: NAMES, examples, epochs: 1 };
    const specific = await clip.tune({ ...options, method: 'coop', classSpecific: true }).finished;
    await assert.rejects(specific.withClasses(['owl']), isError('state', /a context of its own/));
    const tuned = await clip.tune(options).finished;
    const message = /classes \d and \d, "cat" and "cat ", are one name to the model/;
    await assert.rejects(tuned.withClasses(['owl', 'cat ']), isError('argument', message));
    await assert.rejects(tuned.withClasses([]), isError('argument', /at least one name/));
    await assert.rejects(tuned.withClasses(['owl '.repeat(60)]), isError('tokenizer', /class "owl/));
  });
});
