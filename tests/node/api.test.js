/** What people use: zero-shot, tune, classify, evaluate, export, import; on every module, with one thread and two. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { exportOfficial, loadClip } from '../../js/index.js';
import { floatsOf, headerOf, writeSafetensors } from '../../js/loading/safetensors.js';
import {
  GOLDEN,
  PICTURES,
  TINY_A,
  TINY_B,
  WAYS,
  difference,
  isError,
  named,
  scores,
  temporaryFolder,
} from './models.js';

const CLASSES = ['cat', 'sail_boat', 'x'];
const EXAMPLES = PICTURES.slice(0, 6).map((image, i) => ({ image, label: i % 3 }));
const SHORT = { classes: CLASSES, examples: EXAMPLES, promptLength: 2, epochs: 3, batchSize: 2, learningRate: 0.01 };

async function steps(job) {
  const told = [];
  for await (const step of job) told.push(step);
  return told;
}

/** The tensors of a saved classifier. */
function saved(bytes) {
  const { tensors, metadata } = headerOf(bytes, 'it');
  const values = tensors.map((tensor) => [tensor.name, { shape: tensor.shape, values: floatsOf(bytes, tensor) }]);
  return { metadata, ...Object.fromEntries(values) };
}

/** By way: what all must agree on. */
const results = {};

for (const way of WAYS) {
  describe(named(way), () => {
    let clip;
    before(async () => {
      clip = await loadClip(TINY_A, way);
    });
    after(() => clip.dispose());

    test('what was loaded', () => {
      const { fingerprint, architecture, variant, threads, weightBytes, name } = clip.info;
      assert.match(fingerprint, /^[0-9a-f]{16}$/);
      assert.equal(architecture.visionWidth, 128);
      assert.deepEqual({ variant, threads }, way);
      assert.equal(name, TINY_A);
      assert.ok(clip.memoryBytes > weightBytes);
    });

    test('zero-shot: scores add up to 1, best first; one template and several', async () => {
      const classifier = await clip.zeroShot(CLASSES);
      assert.deepEqual(classifier.classes, CLASSES);
      assert.equal(classifier.method, 'zeroshot');
      assert.equal(classifier.settings, null);
      const best = await classifier.classify(PICTURES[0]);
      assert.equal(best.length, 3);
      assert.ok(Math.abs(best.reduce((sum, { score }) => sum + score, 0) - 1) < 1e-6);
      assert.ok(best[0].score >= best[1].score && best[1].score >= best[2].score);
      assert.deepEqual(await classifier.classify(PICTURES[0], { topK: 1 }), best.slice(0, 1));
      const same = await clip.zeroShot(CLASSES, { templates: ['a photo of a {}.'] });
      assert.deepEqual(await scores(same), await scores(classifier));
      const several = await clip.zeroShot(CLASSES, { templates: ['a photo of a {}.', 'the {}', '{}'] });
      assert.notDeepEqual(await scores(several), await scores(classifier));
      results[named(way)] = { zeroShot: await scores(classifier), ensemble: await scores(several) };
    });

    for (const method of ['mudpt', 'ivlp']) {
      test(`${method}: tuned, saved, loaded again`, async () => {
        const job = clip.tune({ ...SHORT, method });
        assert.equal(job.classifier, null);
        const told = await steps(job);
        const classifier = await job.finished;
        assert.equal(job.classifier, classifier);
        assert.deepEqual(
          told.map(({ step }) => step),
          [1, 2, 3, 4, 5, 6, 7, 8, 9],
        );
        assert.deepEqual(
          told.map(({ epoch }) => epoch),
          [1, 1, 1, 2, 2, 2, 3, 3, 3],
        );
        assert.ok(told.every((step) => step.steps === 9 && step.epochs === 3 && step.loss > 0 && step.etaMs >= 0));
        assert.equal(told[0].learningRate, Math.fround(1e-5));
        assert.equal(told[3].learningRate, Math.fround(0.01));
        assert.deepEqual(await steps(job), told); // a late reader gets all of it

        const tuned = await scores(classifier);
        const zeroShot = await clip.zeroShot(CLASSES);
        assert.notDeepEqual(tuned, await scores(zeroShot));
        const bytes = await classifier.export();
        const { metadata, text_features: features, text_prompts: text, visual_prompts: visual } = saved(bytes);
        assert.deepEqual(features.shape, [3, 48]);
        assert.deepEqual(text.shape, [3, 2, 64]);
        assert.deepEqual(visual.shape, [3, 2, 128]);
        assert.equal(metadata.method, method);
        assert.deepEqual(JSON.parse(metadata.classes), CLASSES);
        assert.equal(metadata.fingerprint, clip.info.fingerprint);

        const again = await clip.import(bytes, { name: 'file' });
        assert.deepEqual(again.classes, CLASSES);
        assert.equal(again.method, method);
        assert.deepEqual(again.settings, classifier.settings);
        assert.deepEqual(await scores(again), tuned); // bit for bit
        assert.deepEqual(await again.export(), bytes);
        Object.assign((results[named(way)] ??= {}), {
          [method]: { tuned, bytes, losses: told.map(({ loss }) => loss) },
        });
        await again.dispose();
        await classifier.dispose();
        await classifier.dispose();
        const gone = isError('state', /^this classifier has been disposed of; make or import it again$/);
        await assert.rejects(classifier.classify(PICTURES[0]), gone);
      });
    }
  });
}

test('one thread and two give the same bits, plain and relaxed SIMD the same predictions', () => {
  const [plain1, plain2, relaxed1, relaxed2] = WAYS.map((way) => results[named(way)]);
  assert.deepEqual(plain1, plain2);
  assert.deepEqual(relaxed1, relaxed2);
  for (const key of ['zeroShot', 'ensemble']) assert.ok(difference(relaxed1[key].flat(), plain1[key].flat()) < 1e-4);
  assert.ok(difference(relaxed1.mudpt.tuned.flat(), plain1.mudpt.tuned.flat()) < 1e-3);
});

describe('training runs', () => {
  let clip;
  before(async () => {
    clip = await loadClip(TINY_A, { threads: 1 });
  });
  after(() => clip.dispose());
  const tuned = async (options) => (await clip.tune({ ...SHORT, epochs: 1, ...options }).finished).export();

  test('the same seed gives the same file, another seed another', async () => {
    const first = await tuned({ seed: 7 });
    assert.deepEqual(await tuned({ seed: 7 }), first);
    const other = saved(await tuned({ seed: 8 }));
    assert.notDeepEqual(other.visual_prompts.values, saved(first).visual_prompts.values);
  });

  test('labels by name and by index are the same', async () => {
    const examples = EXAMPLES.map(({ image, label }) => ({ image, label: CLASSES[label] }));
    assert.deepEqual(await tuned({ examples }), await tuned({}));
  });

  test('it learns: the loss of a few pictures falls, and they are named rightly', async () => {
    const examples = EXAMPLES.slice(0, 3);
    const settings = { epochs: 40, batchSize: 3, learningRate: 0.1, augment: false };
    const job = clip.tune({ ...SHORT, examples, ...settings });
    const told = await steps(job);
    assert.ok(told.at(-1).loss < 0.5 * told[0].loss, `${told[0].loss} -> ${told.at(-1).loss}`);
    assert.equal((await (await job.finished).evaluate(examples)).accuracy, 1);
  });

  test('no more pictures than shots are used, all with Infinity', async () => {
    const count = async (shots) => (await steps(clip.tune({ ...SHORT, epochs: 1, batchSize: 1, shots }))).length;
    assert.equal(await count(1), 3);
    assert.equal(await count(2), 6);
    assert.equal(await count(Infinity), 6);
  });

  test('every size: longer prompts, fewer or more layers than the towers have, a random start', async () => {
    const shapes = async (options) => {
      const { text_prompts: text, visual_prompts: visual, metadata } = saved(await tuned(options));
      return [text.shape.slice(0, 2), visual.shape.slice(0, 2), metadata.phrase];
    };
    assert.deepEqual(await shapes({ promptLength: 1, depth: 1 }), [[1, 1], [1, 1], 'a photo of a']);
    assert.deepEqual(await shapes({ promptLength: 5, phrase: '' }), [[3, 5], [3, 5], '']);
    assert.deepEqual(await shapes({ depth: 5 }), [[5, 2], [5, 2], 'a photo of a']);
    assert.deepEqual(await shapes({ method: 'ivlp', depth: 5 }), [[3, 2], [3, 2], 'a photo of a']);
    const bytes = await tuned({ depth: 5 });
    const classifier = await clip.tune({ ...SHORT, epochs: 1, depth: 5 }).finished;
    assert.deepEqual(await scores(await clip.import(bytes)), await scores(classifier));
  });

  test('pixels and files mixed', async () => {
    const data = Uint8Array.from({ length: 50 * 40 * 4 }, (_, i) => (i * 13) % 256);
    const examples = [...EXAMPLES, { image: { data, width: 50, height: 40 }, label: 'x' }];
    assert.ok((await tuned({ examples })).length > 1000);
  });

  test('large pictures that are given as pixels are kept smaller, small ones as they are', async () => {
    const pixels = (width, height) => ({ data: new Uint8Array(width * height * 3).fill(90), width, height });
    const run = async (image, count) => {
      const other = await loadClip(TINY_A, { threads: 1 });
      const examples = CLASSES.flatMap((label) => Array.from({ length: count }, () => ({ image, label })));
      await other.tune({ ...SHORT, examples, shots: Infinity, epochs: 1 }).finished;
      const bytes = other.memoryBytes;
      await other.dispose();
      return bytes;
    };
    const large = pixels(2000, 1500); // 9 MB
    const [few, many] = [await run(large, 1), await run(large, 20)];
    assert.ok(many - few < 57 * 512 * 1024 * 1.2, `${many - few} bytes for 57 pictures more`);
  });

  test('of thousands of pictures memory holds the compressed bytes', async () => {
    const file = readFileSync(path.join(GOLDEN, '../data/faces/train/clown_face/00-twemoji.jpg'));
    const decoded = 3 * 96 * 96;
    const run = async (count) => {
      const other = await loadClip(TINY_A, { threads: 2 });
      const examples = Array.from({ length: count }, (_, i) => ({ image: file, label: i % 3 }));
      const job = other.tune({ ...SHORT, shots: Infinity, epochs: 1, batchSize: 250, augment: false, examples });
      // All are held from the first step on.
      for await (const step of job) if (step.step === 1) job.stop();
      await job.finished;
      const bytes = other.memoryBytes;
      await other.dispose();
      return bytes;
    };
    // Of 2,500 pictures the decoded ones that are kept, for speed, are as many as ever; and memory grows in steps.
    const [some, most] = [await run(2500), await run(5000)];
    const each = (most - some) / 2500;
    assert.ok(each < file.length + decoded / 3, `${each} bytes a picture, whose file has ${file.length}`);
  });

  test('stop keeps what was trained so far', async () => {
    const job = clip.tune({ ...SHORT, epochs: 100 });
    let count = 0;
    for await (const step of job) if ((count = step.step) === 4) job.stop();
    assert.ok(count < 10);
    const classifier = await job.finished;
    assert.equal((await classifier.classify(PICTURES[0])).length, 3);
    job.stop();
  });

  test('an abort ends the run with the signal’s reason, and nothing is left', async () => {
    const controller = new AbortController();
    const job = clip.tune({ ...SHORT, epochs: 100, signal: controller.signal });
    await assert.rejects(
      async () => {
        for await (const { step } of job) if (step === 3) controller.abort();
      },
      { name: 'AbortError' },
    );
    await assert.rejects(job.finished, { name: 'AbortError' });
    assert.equal(job.classifier, null);
    await assert.rejects(clip.tune({ ...SHORT, signal: AbortSignal.abort() }).finished, { name: 'AbortError' });
  });

  test('an abort takes effect within a step', async () => {
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    const examples = Array.from({ length: 20 }, () => EXAMPLES).flat();
    const controller = new AbortController();
    const many = { examples, shots: Infinity, batchSize: examples.length, epochs: 1 };
    const job = clip.tune({ ...SHORT, ...many, signal: controller.signal });
    await job.checkpoint(); // all pictures are there; the only step begins
    for (let i = 0; i < 3; i++) await turn();
    controller.abort();
    await assert.rejects(job.finished, { name: 'AbortError' });
    const told = [];
    await assert.rejects(
      async () => {
        for await (const step of job) told.push(step);
      },
      { name: 'AbortError' },
    );
    assert.deepEqual(told, []);
  });

  test('the event loop runs between steps', async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    await clip.tune({ ...SHORT, epochs: 20 }).finished;
    clearInterval(timer);
    assert.ok(turns > 10, `${turns} turns`);
  });

  test('numbers that are not finite end the run, and finite prompts are kept', async () => {
    const folder = await temporaryFolder();
    for (const name of ['config.json', 'preprocessor_config.json', 'tokenizer.json', 'model.safetensors']) {
      const bytes = new Uint8Array(readFileSync(path.join(TINY_A, name)));
      if (name.endsWith('.safetensors')) {
        // With so large a gain the squares of the image features overflow.
        const { tensors } = headerOf(bytes, name);
        const { begin } = tensors.find((tensor) => tensor.name === 'vision_model.post_layernorm.weight');
        new DataView(bytes.buffer).setFloat32(begin, 3e38, true);
      }
      writeFileSync(path.join(folder, name), bytes);
    }
    const steep = await loadClip(folder, { threads: 1 });
    const job = steep.tune({ ...SHORT, epochs: 50 });
    await assert.rejects(job.finished, isError('not-finite', /out of the image tower.s pooling or projection/));
    const { visual_prompts: visual } = saved(await job.classifier.export());
    assert.ok(visual.values.every(Number.isFinite));
    await steep.dispose();
  });

  for (const [what, code, message, options] of [
    ['no options', 'argument', /classes/, { classes: undefined }],
    ['nothing to validate on', 'argument', /^validation is an empty array, expected/, { validation: [] }],
    ['recompute as text', 'argument', /^recompute is yes, expected true or false$/, { recompute: 'yes' }],
    ['no memory', 'argument', /^memoryLimit is 0, expected a number of bytes above 0$/, { memoryLimit: 0 }],
    ['no examples', 'argument', /examples must be an array/, { examples: undefined }],
    [
      'a class without examples',
      'argument',
      /class "dog" has no example/,
      { classes: ['cat', 'sail_boat', 'x', 'dog'] },
    ],
    [
      'a label that is no class',
      'argument',
      /label of example 1 is "dog", expected a class \("cat", "sail_boat", "x"\) or 0 to 2/,
      { examples: [EXAMPLES[0], { ...EXAMPLES[1], label: 'dog' }] },
    ],
    ['a label out of range', 'argument', /label of example 0 is 3/, { examples: [{ ...EXAMPLES[0], label: 3 }] }],
    ['an example that is nothing', 'argument', /label of example 0 is undefined/, { examples: [null] }],
    ['more prompts than words', 'argument', /use promptLength 4 or less/, { promptLength: 5 }],
    [
      'a class name that is too long',
      'tokenizer',
      /^class "(word )+word" needs \d+ tokens/,
      { classes: ['cat', 'sail_boat', Array(90).fill('word').join(' ')] },
    ],
    [
      'a picture that is not there',
      'file',
      /no-such\.png is not there/,
      { examples: [...EXAMPLES, { image: 'no-such.png', label: 0 }] },
    ],
    [
      'a picture that is none',
      'image',
      /config\.json: /,
      { examples: [...EXAMPLES, { image: path.join(TINY_A, 'config.json'), label: 0 }] },
    ],
    [
      'an image that is nothing',
      'image',
      /the picture of example 6 is no picture: it is undefined; give a path, a URL/,
      { examples: [...EXAMPLES, { image: undefined, label: 0 }] },
    ],
  ]) {
    test(`refused: ${what}`, async () => {
      const job = clip.tune({ ...SHORT, ...options });
      await assert.rejects(job.finished, isError(code, message));
      await assert.rejects(steps(job), isError(code, message));
    });
  }
});

describe('saved classifiers', () => {
  let clip;
  let good;
  before(async () => {
    clip = await loadClip(TINY_A, { threads: 1 });
    good = await (await clip.tune({ ...SHORT, epochs: 1, shots: Infinity }).finished).export();
  });
  after(() => clip.dispose());

  /** The good file with another header or other tensors. */
  const changed = (change) => {
    const { tensors, metadata } = headerOf(good, 'it');
    const parts = tensors.map(({ name, dtype, shape, begin, bytes }) => {
      return { name, dtype, shape, data: good.slice(begin, begin + bytes) };
    });
    const next = change({ tensors: parts, metadata: { ...metadata } });
    return writeSafetensors(next?.tensors ?? parts, next?.metadata ?? metadata);
  };
  const meta = (values) => () => changed(({ metadata }) => ({ metadata: { ...metadata, ...values } }));
  const part = (name, change) => () =>
    changed(({ tensors }) => ({ tensors: tensors.flatMap((t) => (t.name === name ? change(t) : [t])) }));

  test('a zero-shot one needs no prompts and gives the same scores', async () => {
    const classifier = await clip.zeroShot(CLASSES, { template: 'the {}' });
    const bytes = await classifier.export();
    assert.deepEqual(Object.keys(saved(bytes)), ['metadata', 'text_features']);
    const again = await clip.import(bytes.slice().buffer);
    // What readFile gives lies in the middle of a pool that Node shares among buffers.
    const pooled = Buffer.concat([Buffer.alloc(3), bytes]).subarray(3);
    assert.deepEqual(await (await clip.import(pooled)).export(), bytes);
    assert.deepEqual(await scores(again), await scores(classifier));
    assert.deepEqual(await again.export(), bytes);
  });

  test('settings come back as they were', async () => {
    assert.equal((await clip.import(good)).settings.shots, Infinity);
    assert.equal((await clip.import(good)).settings.promptLength, 2);
  });

  test('the caller may change the bytes afterwards', async () => {
    const bytes = good.slice();
    const classifier = await clip.import(bytes);
    const expected = await scores(classifier);
    bytes.fill(0);
    assert.deepEqual(await scores(classifier), expected);
    assert.deepEqual(await classifier.export(), good);
  });

  for (const [what, message, make] of [
    ['no bytes', /f\.safetensors: has 0 bytes/, () => new Uint8Array(0)],
    ['half the bytes', /cut short/, () => good.subarray(0, good.length >> 1)],
    ['bytes behind', /belong to no tensor/, () => Uint8Array.of(...good, 0)],
    [
      'a model',
      /is no saved classifier; give a file that export\(\) or mudpt train wrote/,
      () => new Uint8Array(readFileSync(path.join(TINY_A, 'model.safetensors'))),
    ],
    ['a later version', /format version 2, expected 1/, meta({ version: '2' })],
    [
      'another model',
      /belongs to another model \(fingerprint 0123456789abcdef, this one has [0-9a-f]{16}\); load the model/,
      meta({ fingerprint: '0123456789abcdef' }),
    ],
    ['class names that are no JSON', /"classes" is no valid JSON/, meta({ classes: 'cat' })],
    ['no class names', /class names/, meta({ classes: '[]' })],
    [
      'other class names than features',
      /text_features is F32 \[3,48\], expected F32 \[2, 48\]/,
      meta({ classes: '["a","b"]' }),
    ],
    ['broken settings', /hyper_parameters" is no valid JSON/, meta({ hyper_parameters: '{' })],
    ['no text features', /has no tensor text_features/, part('text_features', () => [])],
    ['text features of another type', /text_features is I32/, part('text_features', (t) => [{ ...t, dtype: 'I32' }])],
    [
      'text features with NaN',
      /text_features holds NaN/,
      part('text_features', (t) => [{ ...t, data: t.data.map(() => 0xff) }]),
    ],
    [
      'visual prompts with NaN',
      /visual_prompts holds NaN/,
      part('visual_prompts', (t) => [{ ...t, data: t.data.map(() => 0xff) }]),
    ],
    [
      'visual prompts of another width',
      /visual_prompts is F32 \[3,4,64\], expected F32 \[…, …, 128\]/,
      part('visual_prompts', (t) => [{ ...t, shape: [3, 4, 64] }]),
    ],
    ['flat visual prompts', /visual_prompts is F32 \[768\]/, part('visual_prompts', (t) => [{ ...t, shape: [768] }])],
    [
      'visual prompts without rows',
      /visual_prompts is F32 \[0,2,128\]/,
      part('visual_prompts', (t) => [{ ...t, shape: [0, 2, 128], data: new Uint8Array(0) }]),
    ],
  ]) {
    test(`refused: ${what}`, async () => {
      await assert.rejects(clip.import(make(), { name: 'f.safetensors' }), (error) => {
        assert.match(error.message, /^f\.safetensors: /);
        return isError('classifier', message)(error);
      });
    });
  }

  test('another model refuses it', async () => {
    const other = await loadClip(TINY_B, { threads: 1 });
    await assert.rejects(other.import(good), isError('classifier', /another model/));
    await assert.rejects(other.import('path'), isError('argument', /Uint8Array/));
    assert.throws(() => exportOfficial(/** @type {any} */ ('path')), isError('argument', /Uint8Array/));
    await other.dispose();
  });
});

describe('lives and ends', () => {
  test('after dispose everything says so, and a run that goes on ends', async () => {
    const clip = await loadClip(TINY_A, { threads: 2 });
    const classifier = await clip.zeroShot(CLASSES);
    const job = clip.tune({ ...SHORT, epochs: 1000 });
    await job[Symbol.asyncIterator]().next();
    await clip.dispose();
    await clip.dispose();
    const gone = isError('state', /^this model has been disposed of; load it again$/);
    await assert.rejects(job.finished, gone);
    await assert.rejects(classifier.classify(PICTURES[0]), gone);
    await assert.rejects(classifier.export(), gone);
    await assert.rejects(clip.zeroShot(CLASSES), gone);
    await assert.rejects(clip.tune(SHORT).finished, gone);
    await classifier.dispose();
    assert.equal(clip.memoryBytes, 0);
  });

  test('two models side by side, and a classifier used while another is trained', async () => {
    const [a, b] = [await loadClip(TINY_A, { threads: 2 }), await loadClip(TINY_B, { threads: 2 })];
    const plain = await a.zeroShot(CLASSES);
    const expected = await scores(plain);
    const jobs = [a, b].map((clip) => clip.tune(SHORT));
    await jobs[0][Symbol.asyncIterator]().next();
    assert.deepEqual(await scores(plain), expected);
    const [first] = await Promise.all(jobs.map((job) => job.finished));
    const alone = await a.tune(SHORT).finished;
    assert.deepEqual(await first.export(), await alone.export());
    await a.dispose();
    assert.equal((await b.zeroShot(CLASSES)).classes.length, 3);
    await b.dispose();
  });

  const rounds = process.env.MUDPT_LONG ? 200 : 50;
  test(`load, tune, dispose ${rounds} times: memory is flat after the tenth`, async (t) => {
    const round = async () => {
      const clip = await loadClip(TINY_B, { threads: 2 });
      await clip.tune({ ...SHORT, epochs: 1 }).finished;
      await clip.dispose();
    };
    // Engines do not count shared memory among the reasons to collect garbage.
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc');
    let tenth = 0;
    for (let i = 1; i <= rounds; i++) {
      await round();
      collect();
      const mebibytes = process.memoryUsage().rss / 2 ** 20;
      if (i === 10) tenth = mebibytes;
      if (i === 10 || i % 50 === 0) t.diagnostic(`after round ${i}: ${mebibytes.toFixed(0)} MiB`);
      // Each model alone takes 16 MiB and more.
      assert.ok(!tenth || mebibytes < tenth + 50, `${mebibytes} MiB after round ${i}, ${tenth} after the tenth`);
    }
  });
});
