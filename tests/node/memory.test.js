/** Plans of memory: what they say is taken, what cannot fit is refused with what would, recomputing is exact. */
import assert from 'node:assert/strict';
import { cp, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';

import { MudptError, loadClip } from '../../js/index.js';
import { headerOf, writeHeader } from '../../js/loading/safetensors.js';
import { TRAINABLE } from '../../js/methods/methods.js';
import { promptSentences } from '../../js/methods/sentences.js';
import { resolveSettings, trainedSizes } from '../../js/methods/settings.js';
import { refuseMemory } from '../browser/refusing-memory.js';
import { mudpt, pictoclip, workFolder } from './command.js';
import { startServer } from './http-servers.js';
import { makeClip } from '../make-clip.js';
import { PICTURES, TINY_A, WAYS, isError, openCore } from './models.js';

const CLASSES = ['cat', 'sail boat', 'x'];
const EXAMPLES = PICTURES.slice(0, 6).map((image, i) => ({ image, label: i % 3 }));
const SHORT = { classes: CLASSES, examples: EXAMPLES, promptLength: 2, epochs: 2, batchSize: 2, learningRate: 0.01 };

describe('recomputing', () => {
  for (const precision of ['high', 'fast']) {
    test(`gives the same bits, precision ${precision}`, async () => {
      const clip = await loadClip(TINY_A, { ...WAYS[1], precision });
      const files = [];
      for (const recompute of [false, true]) {
        const classifier = await clip.tune({ ...SHORT, recompute }).finished;
        files.push(await classifier.export({ raw: true }));
      }
      await clip.dispose();
      assert.deepEqual(files[1], files[0]);
    });
  }
});

test('a plan is what is taken', async () => {
  for (const recompute of [false, true]) {
    const { core, clip, config, tokenizer } = await openCore(pictoclip, { threads: 1 });
    const { method, settings } = resolveSettings({}, config);
    // Longer ones later: what encodes them must not grow piece by piece, which leaves holes.
    const names = Array.from({ length: 800 }, (_, i) => `${'thing '.repeat(1 + i / 100)}${i}`);
    const { ids, phrase } = promptSentences(tokenizer, names, method, settings);
    const classifier = core.classifierCreate(clip, trainedSizes(method, settings, config), { ids });
    core.classifierInit(classifier, 1, phrase);
    const plan = core.classifierPlan(classifier, 4, recompute);
    const { weights, activations, pixels, prompts, optimizer } = plan;
    const before = core.memoryBytes;
    core.classifierRecompute(classifier, recompute);
    core.classifierGradients(classifier, new Float32Array(4 * 3 * config.image ** 2), [0, 1, 2, 3]);
    core.classifierSgd(classifier, 1e-3, 0.9, 5e-4);
    core.classifierTextFeatures(classifier);
    const total = weights + activations + pixels + prompts + optimizer;
    assert.equal(weights, core.clipWeightBytes(clip));
    assert.ok(core.memoryBytes < total + 6e6, `${core.memoryBytes} bytes taken, ${total} planned`);
    assert.ok(core.memoryBytes > 0.9 * total, `${core.memoryBytes} bytes taken, ${total} planned`);
    assert.ok(core.memoryBytes - before > 0.5 * activations);
    core.dispose();
  }
});

test('more classes, more pictures, other storage', async () => {
  const clip = await loadClip(TINY_A);
  const few = await clip.plan({ classes: CLASSES });
  const parts = ['weights', 'activations', 'prompts', 'optimizer', 'examples', 'runtime'];
  assert.equal(
    parts.reduce((sum, part) => sum + few[part], 0),
    few.total,
  );
  assert.equal(few.weights, clip.info.weightBytes);
  const many = await clip.plan({ classes: Array.from({ length: 60 }, (_, i) => `cat ${i}`) });
  assert.ok(many.activations > few.activations && many.examples > few.examples);
  // Without random views the features of pictures that no prompt changes are kept, of promptsrc the frozen model's.
  for (const [method, rows] of /** @type {const} */ ([
    ['coop', 104],
    ['promptsrc', 104],
    ['mudpt', 0],
  ])) {
    const all = { classes: CLASSES, method, pictures: 100, batchSize: 4 };
    const views = await clip.plan({ ...all, augment: true });
    const kept = await clip.plan({ ...all, augment: false });
    assert.equal(kept.examples - views.examples, rows * clip.info.architecture.embed * 4, method);
  }
  const small = await clip.plan({ classes: CLASSES, dtype: 'int8', recompute: true });
  assert.ok(small.weights < few.weights && small.activations < few.activations);
  const int8 = await loadClip(TINY_A, { dtype: 'int8' });
  assert.ok(int8.info.weightBytes <= small.weights); // the rest is kept as f16 then
  await int8.dispose();
  assert.ok((await clip.plan({ classes: CLASSES, dtype: 'f32' })).weights >= few.weights);
  for (const [options, message] of [
    [{ pictures: NaN }, /^pictures is NaN, expected a whole number from 0$/],
    [{ pictures: -1 }, /^pictures is -1, expected/],
    [{ dtype: 'f64' }, /^dtype is f64, expected f32 or f16 or int8 or int16$/],
    [{ recompute: 1 }, /^recompute is 1, expected true or false$/],
    [{ batch: 1 }, /^there is no option "batch"; settings of mudpt are /],
    [{ classes: undefined }, /^classes is undefined/],
  ]) {
    await assert.rejects(clip.plan({ classes: CLASSES, ...options }), { code: 'argument', message });
  }
  await assert.rejects(clip.plan(), { code: 'argument' });
  await clip.dispose();
});

test('what 32 bits cannot count is told as it is, at the edges of docs/limits.md', async () => {
  const folder = path.join(workFolder(), 'edges');
  const sizes = { image: 4096, patch: 64, visionWidth: 64, visionLayers: 1, textWidth: 64, textLayers: 128 };
  await makeClip(folder, sizes);
  const clip = await loadClip(folder, { threads: 1 });
  const classes = Array.from({ length: 20_000 }, (_, i) => `thing ${i}`);
  const batch = await clip.plan({ classes: CLASSES, batchSize: 4096, pictures: 3 });
  assert.equal(batch.examples, 4096 * 3 * 4096 ** 2 * 4 + 2 ** 26); // 825 GB, of 32 bits 0
  const { limit } = batch;
  for (const recompute of [false, true]) {
    const run = { classes, pictures: 4, recompute, batchSize: 1 };
    for (const method of [
      { method: 'mudpt', promptLength: 2 },
      { method: 'coop', classSpecific: true },
    ]) {
      const { parts, activations, prompts, optimizer, total } = await clip.plan({ ...run, ...method });
      // Blocks' inputs alone would be 128 layers of more than 100,000 rows of 64 values, 4.2 GB
      assert.ok(parts > 20 && activations > 2e8 && activations < 8e8, `${activations} bytes, ${parts} parts`);
      const own = 'classSpecific' in method ? 20_000 * 4 * 64 * 4 : 0;
      assert.ok(
        prompts > 20_000 * 48 * 8 + 3 * own && optimizer >= 3 * own && total < limit,
        JSON.stringify({ prompts, optimizer, total, activations, parts }),
      );
    }
  }
  await clip.dispose();
});

test('what does not fit is refused before it starts, with what would', async () => {
  const clip = await loadClip(TINY_A);
  const { total } = await clip.plan({ ...SHORT, examples: undefined, pictures: EXAMPLES.length });
  const refused = async (memoryLimit, hint) => {
    const job = clip.tune({ ...SHORT, memoryLimit });
    await assert.rejects(job.finished, (error) => {
      assert.ok(error instanceof MudptError);
      assert.equal(error.code, 'memory');
      assert.match(error.message, /^training would take [\d,]+ MB, of which .* weights; [\d,]+ MB are allowed; /);
      assert.match(error.message, hint);
      return true;
    });
  };
  await refused(total - 1, /this would fit: recompute \(\d+ MB\); the model loaded with dtype 'int8' \(\d+ MB\)/);
  await refused(1000, /fewer classes or a smaller model/);
  const plan = { ...SHORT, examples: undefined, pictures: EXAMPLES.length };
  await assert.rejects(clip.plan({ ...plan, memoryLimit: total - 1 }), isError('memory', /^training would take /));
  assert.equal((await clip.plan({ ...plan, memoryLimit: Infinity })).total, total);
  // Pictures are larger than the plan could know, which is told once they are read.
  const kept = /of which .* weights and \d MB the pictures; [\d,]+ MB are allowed; /;
  await assert.rejects(clip.tune({ ...SHORT, memoryLimit: total }).finished, isError('memory', kept));
  await clip.tune({ ...SHORT, memoryLimit: total + 3e6 }).finished;
  await clip.dispose();
});

test('what a refusal offers is accepted and takes what it says, with every method', async () => {
  const models = { auto: await loadClip(TINY_A), int8: await loadClip(TINY_A, { dtype: 'int8' }) };
  const rows = [...TRAINABLE.map((method) => ({ method })), { method: 'coop', classSpecific: true }];
  const offered = new Set();
  for (const row of /** @type {any[]} */ (rows))
    for (const count of row.classSpecific || row.method === 'mudpt' ? [10, 1000, 5000] : [10, 100]) {
      const run = { ...row, classes: Array.from({ length: count }, (_, i) => `cat ${i}`), pictures: 4, batchSize: 2 };
      const { total } = await models.auto.plan(run);
      for (const memoryLimit of [total - 1, 0.8 * total]) {
        const error = await models.auto.plan({ ...run, memoryLimit }).catch((error) => error);
        assert.equal(error.code, 'memory', `${row.method}, ${count} classes`);
        for (const [, offer, megabytes] of error.hint.matchAll(/(?:: |; )(.+?) \((\d+) MB\)/g)) {
          offered.add(offer);
          const accepted = await models[offer.includes('int8') ? 'int8' : 'auto'].plan({
            ...run,
            recompute: offer.includes('recompute'),
            batchSize: offer.includes('one picture') ? 1 : run.batchSize,
            memoryLimit,
          });
          const off = accepted.total - megabytes * 1e6;
          assert.ok(off <= 5e5 && off > -2e6, `${row.method}, ${count} classes, ${offer}: ${accepted.total} bytes`);
        }
      }
    }
  assert.deepEqual([...offered].sort(), [
    'recompute',
    "recompute and dtype 'int8'",
    "recompute, dtype 'int8' and one picture a step",
    "the model loaded with dtype 'int8'",
  ]);
  for (const clip of Object.values(models)) await clip.dispose();
});

describe('a platform that grants less', () => {
  /** Does `action` with such a memory. @param {Parameters<typeof refuseMemory>[0]} refused */
  async function granted(refused, action) {
    const restore = refuseMemory(refused);
    try {
      return await action();
    } finally {
      restore();
    }
  }

  /** A model tunes and classifies. */
  async function fileOf(clip) {
    const classifier = await clip.tune(SHORT).finished;
    return classifier.export({ raw: true });
  }

  for (const { variant, threads } of WAYS) {
    test(`does what fits to the same bit, ${variant} SIMD, threads: ${threads}`, async () => {
      const whole = await loadClip(TINY_A, { variant, threads });
      const expected = await fileOf(whole);
      assert.equal(whole.info.memoryLimit, 2 ** 32 - 1);
      await whole.dispose();
      for (const [refused, megabytes, usable] of /** @type {const} */ ([
        [{ shared: 3000 }, 2048, threads],
        [{ shared: 1024 }, 1024, threads],
        [{ shared: 512 }, 512, threads],
        [{ shared: 256 }, 256, threads],
        [{ shared: 255 }, 4096, 1],
        [{ shared: 0, own: 1024 }, 1024, 1],
        [{ shared: 0, own: 32 }, 32, 1],
      ])) {
        const clip = await granted(refused, () => loadClip(TINY_A, { variant, threads }));
        const limit = Math.min(megabytes * 2 ** 20, 2 ** 32 - 1);
        assert.deepEqual([clip.info.memoryLimit, clip.info.threads], [limit, usable]);
        assert.equal((await clip.plan({ classes: CLASSES })).limit, limit);
        assert.deepEqual(await fileOf(clip), expected);
        await clip.dispose();
      }
    });
  }

  test('names what does not fit before it starts', async () => {
    const clip = await granted({ shared: 256 }, () => loadClip(TINY_A));
    const classes = Array.from({ length: 6000 }, (_, i) => `cat ${i}`);
    const examples = classes.map((_, label) => ({ image: PICTURES[0], label }));
    const { total, limit } = await clip.plan({ ...SHORT, examples: undefined, classes, pictures: classes.length });
    assert.ok(total > limit);
    for (const memoryLimit of [undefined, 4e9]) {
      const { finished } = clip.tune({ ...SHORT, classes, examples, memoryLimit });
      await assert.rejects(finished, isError('memory', /would take .* 269 MB are all that there is here; /));
    }
    assert.ok(await fileOf(clip));
    await clip.dispose();
  });

  for (const shared of [4096, 0]) {
    test(`memory that does not grow as far is an error, ${shared ? 'shared' : 'not shared'}`, async () => {
      const clip = await granted({ shared, grown: 64 }, () => loadClip(TINY_A, { threads: 1 }));
      const classes = Array.from({ length: 1500 }, (_, i) => `cat ${i}`);
      const examples = classes.map((_, label) => ({ image: PICTURES[0], label }));
      const { finished } = clip.tune({ ...SHORT, classes, examples });
      const message = /^out of memory \(\d\d MB of at most 4,295 MB in use\): .* needs \d+ bytes; use /;
      await assert.rejects(finished, isError('memory', message));
      assert.ok(await fileOf(clip), 'afterwards');
      await clip.dispose();
    });
  }

  test('a module without any memory says so', async () => {
    const message = /^this platform grants no memory of 17 MB: Out of memory; close other pages/;
    await granted({ shared: 0, own: 0 }, () => assert.rejects(loadClip(TINY_A), isError('memory', message)));
  });

  test('a model that cannot fit is not downloaded', async () => {
    const folder = path.join(workFolder(), 'model');
    await cp(TINY_A, folder, { recursive: true });
    const vocab = 400_000; // 102 MB of f32
    const { tensors } = headerOf(new Uint8Array(await readFile(path.join(folder, 'model.safetensors'))), folder);
    const list = tensors.map(({ name, dtype, shape }) => {
      return { name, dtype, shape: name.includes('token_embedding') ? [vocab, shape[1]] : shape };
    });
    const { header, size } = writeHeader(list);
    await writeFile(path.join(folder, 'model.safetensors'), header);
    await truncate(path.join(folder, 'model.safetensors'), size); // a hole, no bytes
    const config = JSON.parse(await readFile(path.join(folder, 'config.json'), 'utf8'));
    config.text_config.vocab_size = vocab;
    await writeFile(path.join(folder, 'config.json'), JSON.stringify(config));
    const server = await startServer({ root: folder });
    const load = (dtype) => loadClip(server.url, { dtype, tokens: 'all', cache: false });
    const message = /needs 1\d\d MB or more, of at most 68 MB here; its weights take .* MB as int8: choose/;
    await granted({ shared: 0, own: 64 }, () => assert.rejects(load('auto'), isError('memory', message)));
    assert.ok(server.sent < 1e6, `${server.sent} bytes`);
    await server.close();
  });
});

test('on the command line', async () => {
  const folder = workFolder();
  const run = await mudpt(['info', TINY_A, '--plan', '--classes', '50', '--json'], { cwd: folder });
  const { plan } = JSON.parse(run.stdout.trim().split('\n').at(-1));
  assert.deepEqual(
    plan.map(({ way }) => way),
    ['as loaded', 'recompute', 'int8', 'int8, recompute'],
  );
  assert.ok(plan[0].total > plan[1].total && plan[2].total > plan[3].total);
  const shown = await mudpt(['info', TINY_A, '--plan'], { cwd: folder });
  assert.match(shown.stdout, /to train +MuDPT, 10 classes of 16 pictures, 4 a step/);
  assert.match(shown.stdout, /int8, recompute +[\d.]+ MB: weights [\d.]+ [kM]B, activations/);
});
