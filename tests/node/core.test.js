/** The library's functions through js/core/core.js: on every module, with one thread and with two. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { createCore } from '../../js/core/core.js';
import { MudptError } from '../../js/base/errors.js';
import { halfToFloat } from '../../js/loading/floats.js';
import {
  GOLDEN,
  PICTURES,
  TINY_A,
  TINY_B,
  WAYS,
  difference,
  isError,
  json,
  named,
  openCore,
  tensors,
} from './models.js';
import { cropView, imageRgb, imageSize, normalize, testView } from './views.js';

const CORE = new URL('../../js/core/core.js', import.meta.url).href;
const RUN = { rate: 0.02, seed: 1, augment: false, smallestCrop: 0.5 };
/** The first picture of a golden batch and everything a classifier needs. */
const golden = json('tiny-a/mudpt.json');
const answers = tensors('tiny-a/mudpt.safetensors');
const images = tensors('tiny-a/inputs.safetensors').images;

function goldenBatch() {
  const size = images.shape.slice(1).reduce((a, b) => a * b);
  const all = images.floats();
  const { images: indices, labels } = golden.batches[0];
  const pixels = new Float32Array(indices.length * size);
  indices.forEach((index, i) => pixels.set(all.subarray(index * size, (index + 1) * size), i * size));
  return { pixels, labels };
}

/** A classifier of a golden case, with its initial tensors. */
function goldenClassifier({ core, clip, tokenizer }) {
  const { n, depth } = golden.hyper_parameters;
  const method = {
    method: 'mudpt',
    textLength: n,
    textDepth: depth,
    visualLength: n,
    visualDepth: depth,
    layer0Fusion: 1,
  };
  const ids = golden.prompt_texts.map((text) => tokenizer.sentence(text, 'a class'));
  const classifier = core.classifierCreate(clip, method, { ids: [ids] });
  core.classifierInit(classifier, 1, tokenizer.words(golden.hyper_parameters.phrase.split(' ')));
  const values = {};
  for (const [name, tensor] of Object.entries(answers)) {
    if (!name.startsWith('init.')) continue;
    values[name.slice(5)] = tensor.dtype === 'F16' ? widened(tensor, name) : tensor.floats();
  }
  core.classifierSetParameters(classifier, values);
  return classifier;
}

/** float16 -> float32, for initial values that are stored so. */
function widened(tensor) {
  const file = new Uint8Array(readFileSync(path.join(GOLDEN, 'tiny-a/mudpt.safetensors')));
  const halves = new Uint16Array(file.slice(tensor.begin, tensor.begin + tensor.bytes).buffer);
  return Float32Array.from(halves, halfToFloat);
}

describe('starting', () => {
  for (const [options, message] of [
    [{ threads: 0 }, /threads must be a whole number from 1 to 64, not 0/],
    [{ threads: 65 }, /not 65/],
    [{ threads: 1.5 }, /not 1.5/],
    [{ threads: 'two' }, /not two/],
    [{ variant: 'fast' }, /variant must be one of auto, plain, relaxed, not fast/],
  ]) {
    test(`refused: ${JSON.stringify(options)}`, () =>
      assert.rejects(createCore(options), isError('argument', message)));
  }

  test('auto takes relaxed SIMD, which Node 20 and later have', async () => {
    const core = await createCore({ threads: 1 });
    assert.equal(core.variant, 'relaxed');
    core.dispose();
  });

  test('methods that the first release promises are there', async () => {
    const core = await createCore({ threads: 1 });
    const names = core.methodNames();
    for (const name of ['zeroshot', 'vpt', 'ivlp', 'mudpt']) assert.ok(names.includes(name), name);
    core.dispose();
  });

  for (const ending of ['core.dispose()', '']) {
    test(`Node ends by itself ${ending ? 'after dispose' : 'without dispose'}, threads or not`, async () => {
      const program = `import('${CORE}').then(async ({ createCore }) => {
        const core = await createCore({ threads: 3 });
        ${ending};
        console.log('done');
      })`;
      const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
        timeout: 30000,
      });
      assert.equal(stdout, 'done\n');
    });
  }

  test('after dispose every call says so', async () => {
    const { core, clip } = await openCore(TINY_A, { threads: 2 });
    core.dispose();
    core.dispose();
    assert.ok(core.disposed);
    assert.throws(() => core.version(), isError('state', /disposed of; load it again/));
    assert.throws(() => core.clipFingerprint(clip), isError('state', /disposed of/));
    assert.throws(() => core.classifierCreate(clip, { method: 'zeroshot' }, null, 2), isError('state', /disposed of/));
  });
});

/** What every way to run must agree on, by way. */
const results = [];

for (const way of WAYS) {
  describe(named(way), () => {
    let model;
    before(async () => {
      model = await openCore(TINY_A, way);
    });
    after(() => model.core.dispose());

    test('loss, logits and gradients of a golden batch', () => {
      const { core } = model;
      const classifier = goldenClassifier(model);
      const { pixels, labels } = goldenBatch();
      const { loss, logits } = core.classifierGradients(classifier, pixels, labels);
      assert.ok(Math.abs(loss - golden.loss) < golden.tolerance.loss * golden.loss, `${loss} for ${golden.loss}`);
      assert.ok(difference(logits, answers.logits.floats()) < golden.tolerance.logits);
      for (const parameter of core.classifierParameters(classifier)) {
        assert.deepEqual(parameter.shape, golden.trainable[parameter.name]);
        const expected = answers[`grad.${parameter.name}`];
        if (!expected) continue;
        const gradient = core.floats(parameter.gradient, parameter.count).slice();
        assert.ok(difference(gradient, expected.floats()) < golden.tolerance.grad, parameter.name);
      }
      core.classifierSgd(classifier, 0.1, 0.9, 5e-4);
      const after = core.classifierGradients(classifier, pixels, labels);
      assert.ok(after.loss < loss, `${loss} -> ${after.loss}`);
      const features = core.classifierTextFeatures(classifier);
      const tested = core.classifierLogits(classifier, pixels);
      results.push({ way, loss, logits, after: after.loss, features, tested: tested.logits });
      assert.ok(difference(tested.logits, after.logits) < 1e-5);
      assert.equal(tested.features.length, labels.length * model.config.embed);
      assert.ok(core.classifierBytes(classifier) > 10000);
      core.classifierFree(classifier);
      assert.throws(() => core.classifierLogits(classifier, pixels), isError('state', /disposed of/));
    });

    test('folded prompts in a classifier without a text tower give the same logits, bit for bit', () => {
      const { core, clip } = model;
      const tuned = goldenClassifier(model);
      const { pixels } = goldenBatch();
      const { text, textShape, visual, visualShape } = core.classifierFold(tuned);
      const { n, depth } = golden.hyper_parameters;
      assert.deepEqual(textShape, [depth, n, model.config.textWidth]);
      assert.deepEqual(visualShape, [depth, n, model.config.visionWidth]);
      assert.equal(text.length, depth * n * model.config.textWidth);
      const classes = golden.classes.length;
      const plain = core.classifierCreate(clip, { method: 'vpt', visualLength: n, visualDepth: depth }, null, classes);
      const first = n * model.config.visionWidth;
      core.classifierSetParameters(plain, {
        'visual_prompts.0': visual.subarray(0, first),
        'visual_prompts.deep': visual.subarray(first),
      });
      core.classifierSetTextFeatures(plain, core.classifierTextFeatures(tuned));
      assert.deepEqual(core.classifierLogits(plain, pixels).logits, core.classifierLogits(tuned, pixels).logits);
      core.classifierFree(plain);
      core.classifierFree(tuned);
    });

    test('a step comes in parts, between which pictures cannot be added', () => {
      const { core, clip, tokenizer } = model;
      const ids = [['red', 'blue'].map((name) => tokenizer.sentence(`a photo ${name}.`, name))];
      const classifier = core.classifierCreate(clip, { method: 'vpt', visualLength: 2, visualDepth: 2 }, { ids });
      core.classifierInit(classifier, 5, null);
      const trainer = core.trainerCreate(classifier, { ...RUN, epochs: 1, batch: 64, augment: true });
      const add = (i) => core.trainerAdd(trainer, readFileSync(PICTURES[i % PICTURES.length]), i % 2);
      for (let i = 0; i < 64; i++) add(i);
      assert.equal(core.trainerAdvance(trainer), undefined);
      assert.throws(() => add(64), isError('state', /has begun/));
      let parts = 1;
      for (let done; (done = core.trainerAdvance(trainer)) !== null; parts++) if (done) assert.equal(done.step, 1);
      assert.ok(parts > 5, `${parts} parts`);
      core.trainerFree(trainer);
      core.classifierFree(classifier);
    });

    test('a training run: steps, rates, the end, and a lower loss', () => {
      const { core, clip, tokenizer } = model;
      const ids = [['red', 'blue'].map((name) => tokenizer.sentence(`a photo ${name}.`, name))];
      const sizes = { textLength: 2, textDepth: 2, visualLength: 2, visualDepth: 2, layer0Fusion: true };
      const classifier = core.classifierCreate(clip, { method: 'mudpt', ...sizes }, { ids });
      core.classifierInit(classifier, 5, tokenizer.words(['a', 'photo']));
      const trainer = core.trainerCreate(classifier, { ...RUN, epochs: 4, batch: 2 });
      for (const [i, file] of PICTURES.slice(0, 4).entries()) core.trainerAdd(trainer, readFileSync(file), i % 2);
      const image = core.imageFromPixels(new Uint8Array(90 * 40 * 3).fill(200), 90, 40, 3);
      core.trainerAddImage(trainer, image, 1);
      core.imageFree(image);
      const steps = [];
      for (let step; (step = core.trainerAdvance(trainer)) !== null;) if (step) steps.push(step);
      assert.equal(core.trainerAdvance(trainer), null);
      assert.deepEqual(
        steps.map(({ step }) => step),
        [1, 2, 3, 4, 5, 6, 7, 8],
      );
      assert.deepEqual(
        steps.map(({ epoch }) => epoch),
        [0, 0, 1, 1, 2, 2, 3, 3],
      );
      assert.ok(steps.every(({ steps, epochs }) => steps === 8 && epochs === 4));
      for (const { epoch, rate } of steps) {
        assert.equal(rate, Math.fround(core.learningRate(Math.fround(0.02), Math.fround(1e-5), 4, epoch)));
      }
      assert.ok(steps[7].loss < steps[0].loss);
      results.at(-1).losses = steps.map(({ loss }) => loss);
      core.trainerFree(trainer);
      core.classifierFree(classifier);
    });

    test('picture files together are seen as one by one, and those that are none are told apart', () => {
      const { core, clip } = model;
      const files = PICTURES.map((file) => new Uint8Array(readFileSync(file))).toSpliced(1, 0, new Uint8Array(9));
      const seen = core.clipTestFiles(clip, files, true);
      assert.equal(seen[1], null);
      for (const [i, file] of files.entries()) {
        if (i === 1) continue;
        const image = core.imageDecode(file, 1);
        assert.deepEqual(seen[i], core.clipTestPixels(clip, image));
        core.imageFree(image);
      }
      assert.deepEqual(core.clipTestFiles(clip, []), []);
    });

    test('memory is given back, also by calls that fail', () => {
      const { core, clip } = model;
      const ids = [
        [
          [510, 5, 511],
          [510, 6, 7, 511],
        ],
      ];
      const round = () => {
        const classifier = core.classifierCreate(clip, { method: 'zeroshot' }, { ids });
        const image = core.imageDecode(readFileSync(PICTURES[0]));
        core.classifierLogits(classifier, core.clipTestPixels(clip, image));
        core.imageFree(image);
        core.classifierFree(classifier);
        assert.throws(() => core.imageDecode(new Uint8Array(100000)), isError('image', /./));
        assert.throws(() => core.classifierCreate(clip, { method: 'nonsense' }, { ids }), isError('argument', /valid/));
        assert.throws(() => core.clipTestPixels(-1, image), isError('state', /freed/));
      };
      for (let i = 0; i < 20; i++) round();
      const before = core.memoryBytes;
      for (let i = 0; i < 300; i++) round();
      assert.equal(core.memoryBytes, before);
    });
  });
}

test('how multiply-add rounds: twice in plain SIMD, in relaxed SIMD as the engine does', async () => {
  // (x * x) + c of a = 1 + 2^-12 and c = -(1 + 2^-11): 2^-24 where the product is not rounded, else 0.
  const [x, c] = [1 + 2 ** -12, -(1 + 2 ** -11)].map((value) => [...new Uint8Array(Float32Array.of(value).buffer)]);
  const splat = (value) => [0x43, ...value, 0xfd, 0x13];
  const body = [0, ...splat(x), ...splat(x), ...splat(c), 0xfd, 0x85, 2, 0xfd, 0x1f, 0, 0x0b];
  const code = [0x0a, body.length + 2, 1, body.length, ...body];
  const head = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7d, 3, 2, 1, 0, 7, 5, 1, 1, 0x66, 0, 0];
  const relaxed = await createCore({ variant: 'relaxed', threads: 1 });
  const plain = await createCore({ variant: 'plain', threads: 1 });
  const { instance } = await WebAssembly.instantiate(Uint8Array.of(...head, ...code));
  const answer = /** @type {any} */ (instance.exports).f();
  assert.ok(answer === 0 || answer === 2 ** -24, `${answer}`);
  assert.equal(relaxed.fused, answer !== 0);
  assert.equal(plain.fused, false);
  for (const core of [relaxed, plain]) core.dispose();
});

test('one thread and two give the same bits; plain and relaxed SIMD nearly the same', () => {
  assert.equal(results.length, WAYS.length);
  const numbers = ({ loss, logits, after, features, tested, losses }) => ({
    loss,
    logits,
    after,
    features,
    tested,
    losses,
  });
  const [plain1, plain2, relaxed1, relaxed2] = results.map(numbers);
  assert.deepEqual(plain1, plain2);
  assert.deepEqual(relaxed1, relaxed2);
  assert.ok(difference(plain1.tested, relaxed1.tested) < 1e-4);
});

describe('pictures', () => {
  let core;
  before(async () => {
    core = await createCore({ threads: 1 });
  });
  after(() => core.dispose());

  test('pixels go in and out, alpha is dropped, grey is spread', () => {
    const rgba = Uint8Array.of(1, 2, 3, 0, 4, 5, 6, 255);
    for (const [pixels, channels, expected] of [
      [rgba, 4, [1, 2, 3, 4, 5, 6]],
      [Uint8ClampedArray.of(9, 8, 7, 6, 5, 4), 3, [9, 8, 7, 6, 5, 4]],
      [Uint8Array.of(3, 250), 1, [3, 3, 3, 250, 250, 250]],
    ]) {
      const image = core.imageFromPixels(pixels, 2, 1, channels);
      assert.deepEqual(imageSize(core, image), { width: 2, height: 1 });
      assert.deepEqual([...imageRgb(core, image)], expected);
      core.imageFree(image);
    }
  });

  test('memory that grew during a call is seen', () => {
    const [width, height] = [4001, 3001];
    const pixels = new Uint8Array(width * height * 3);
    pixels.forEach((_, i) => (pixels[i] = i % 251));
    const before = core.memoryBytes;
    const image = core.imageFromPixels(pixels, width, height, 3);
    assert.ok(core.memoryBytes > before);
    assert.equal(Buffer.compare(imageRgb(core, image), pixels), 0);
    assert.equal(testView(core, image, 31).length, 31 * 31 * 3);
    core.imageFree(image);
  });

  test('a box that is cut out unscaled and mirrored', () => {
    const [width, height] = [7, 5];
    const pixels = Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 37) % 256);
    const image = core.imageFromPixels(pixels, width, height, 3);
    const pixel = (row, column) => [...pixels.subarray((row * width + column) * 3, (row * width + column) * 3 + 3)];
    const box = { top: 1, left: 2, height: 3, width: 3 };
    const rows = (flip) => [1, 2, 3].flatMap((y) => (flip ? [4, 3, 2] : [2, 3, 4]).flatMap((x) => pixel(y, x)));
    assert.deepEqual([...cropView(core, image, box, 3)], rows(false));
    assert.deepEqual([...cropView(core, image, { ...box, flip: true }, 3)], rows(true));
    assert.throws(() => cropView(core, image, { ...box, left: 5 }, 3), isError('argument', /./));
    core.imageFree(image);
  });

  test('normalised values are channels first', () => {
    const rgb = Uint8Array.of(0, 51, 102, 153, 204, 255, 1, 2, 3, 4, 5, 6);
    const [mean, std] = [
      [0.5, 0.25, 0.125],
      [0.5, 0.25, 2],
    ];
    const expected = [0, 1, 2].flatMap((c) => [0, 1, 2, 3].map((i) => (rgb[3 * i + c] / 255 - mean[c]) / std[c]));
    assert.ok(difference(normalize(core, rgb, 2, mean, std), expected) < 1e-6);
  });

  for (const [pixels, width, height, channels] of [
    [new Uint8Array(12), 2, 2, 2],
    [new Uint8Array(12), 2, 2, 4],
    [new Uint8Array(14), 2, 2, 3.5],
    [new Uint8Array(0), 0, 0, 3],
  ]) {
    test(`refused: ${pixels.length} values for ${width} x ${height} x ${channels}`, () => {
      assert.throws(() => core.imageFromPixels(pixels, width, height, channels), MudptError);
    });
  }

  for (const { file, expect } of json('preprocess/cases.json').bad) {
    test(`${expect}: ${file}`, () => {
      const bytes = readFileSync(path.join(GOLDEN, 'preprocess', file));
      const before = core.memoryBytes;
      try {
        core.imageFree(core.imageDecode(bytes));
        assert.notEqual(expect, 'refuse');
      } catch (error) {
        isError('image', /./)(error);
      }
      assert.ok(core.memoryBytes - before < 64 << 20);
    });
  }
});

describe('samples and rates', () => {
  let core;
  before(async () => {
    core = await createCore({ threads: 1 });
  });
  after(() => core.dispose());

  test('shots: so many of each class, the same for the same seed, class by class', () => {
    const labels = Array.from({ length: 101 }, (_, i) => (i * 7) % 5);
    const chosen = core.sampleShots(labels, 6, 3, 9);
    assert.deepEqual(
      [...chosen].map((i) => labels[i]),
      [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4],
    );
    assert.equal(new Set(chosen).size, 15);
    assert.deepEqual(core.sampleShots(labels, 6, 3, 9), chosen);
    assert.notDeepEqual(core.sampleShots(labels, 6, 3, 10), chosen);
    assert.equal(core.sampleShots(labels, 5, 1000, 1).length, 101);
    assert.throws(() => core.sampleShots([0, 5], 5, 3, 1), isError('argument', /label 5/));
    assert.throws(() => core.sampleShots([0], 1, 0, 1), isError('argument', /shots/));
  });

  test('rates of the golden schedule', () => {
    const schedules = json('schedule.json');
    let checked = 0;
    for (const { base_learning_rate: base, base: other, epochs, rates } of schedules.cases ?? [schedules]) {
      rates.forEach((rate, epoch) => {
        assert.ok(
          Math.abs(core.learningRate(base ?? other ?? 2.5e-3, 1e-5, epochs ?? rates.length, epoch) / rate - 1) < 1e-9,
        );
        checked++;
      });
    }
    assert.ok(checked >= 10);
  });
});

test('a model whose tensors are wrong says which, and what was expected', async () => {
  const { core, config } = await openCore(TINY_B, { threads: 1 });
  const clip = core.clipCreate(config);
  for (const [name, dtype, shape, message] of [
    ['ln_final.weight', 0, [3], /ln_final\.weight has shape \[3\]/],
    ['ln_final.weight', -1, [config.textWidth], /ln_final\.weight has type/],
  ]) {
    assert.throws(() => core.clipTensorBegin(clip, name, dtype, shape), isError('model', message));
  }
  assert.equal(core.clipTensorBegin(clip, 'text_model.embeddings.position_ids', -1, [1, 77]), false);
  assert.throws(() => core.clipFinish(clip), isError('model', /./));
  core.clipFree(clip);
  core.clipFree(clip);
  core.dispose();
});
