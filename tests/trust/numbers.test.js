/**
 * Numbers, in WebAssembly: the same bits on 1, 2, 3 and 8 threads within a variant, and sizes that 32 bits cannot hold
 * are refused instead of wrapping around. (Natively: tests/c/test_numbers.c.)
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { loadClip } from '../../js/clip.js';
import { createCore } from '../../js/core/core.js';
import { PICTURES, TINY_A, openCore } from '../node/models.js';
import { count } from './table.js';
import { testView } from '../node/views.js';

const CLASSES = ['cat', 'dog', 'owl'];
const examples = Array.from({ length: 6 }, (_, i) => ({ image: PICTURES[i], label: CLASSES[i % 3] }));

for (const variant of /** @type {const} */ (['plain', 'relaxed'])) {
  test(`${variant}: the same bits on 1, 2, 3 and 8 threads`, async () => {
    const results = [];
    for (const threads of [1, 2, 3, 8]) {
      const clip = await loadClip(TINY_A, { variant, threads });
      assert.equal(clip.info.threads, threads);
      const run = { classes: CLASSES, examples, promptLength: 2, epochs: 3, batchSize: 2, seed: 4 };
      const tuned = await clip.tune(run).finished;
      const scores = await tuned.classify(PICTURES[6], { topK: 3 });
      results.push({ file: Buffer.from(await tuned.export({ raw: true })).toString('base64'), scores });
      await clip.dispose();
    }
    for (const result of results.slice(1)) assert.deepEqual(result, results[0]);
  });
}

test('a patch embedding whose bytes would wrap around 32 bits is refused', async () => {
  const { core, config } = await openCore(TINY_A, { threads: 1 });
  // 8192 x 3 x 1024 x 1024 floats: 24 * 2 ** 32 bytes, which is 0 in 32 bits.
  const huge = { ...config, image: 1024, patch: 1024, visionWidth: 8192, visionHeads: 8 };
  assert.throws(() => core.clipCreate(huge), { code: 'model', message: /patch embedding has 8192 x 3145728 values/ });
  core.dispose();
  count('faults', 'survived');
});

test('a result whose bytes would wrap around 32 bits is refused', async () => {
  const core = await createCore({ threads: 1 });
  assert.throws(() => testView(core, 0, 40_000), {
    code: 'memory',
    message: /bytes are more than the \d+ that there can be/,
  });
  core.dispose();
  count('faults', 'survived');
});

test('a text tower whose bytes would wrap around 32 bits goes through in parts', async () => {
  const { core, clip, config } = await openCore(TINY_A, { threads: 1 });
  const sentence = [config.vocab - 2, ...new Array(2).fill(0), 5, 6, 7, 8, 9, 10, 11, 12, config.vocab - 1];
  const ids = Array.from({ length: 100_000 }, (_, i) => {
    const own = sentence.slice();
    own[3] = i % (config.vocab - 2);
    own[4] = Math.floor(i / (config.vocab - 2)) % (config.vocab - 2);
    return own;
  });
  const method = { method: 'mudpt', textLength: 2, textDepth: 2, visualLength: 2, visualDepth: 2 };
  const classifier = core.classifierCreate(clip, method, { ids: [ids] });
  const run = { epochs: 1, batch: 1, rate: 0.01, warmupRate: 1e-5, momentum: 0.9, decay: 0, seed: 1, augment: 0 };
  const start = () => core.trainerCreate(classifier, { ...run, smallestCrop: 1 });
  const { parts, largest } = core.classifierPlan(classifier, 1, false);
  assert.ok(parts > 30, `${parts} parts`); // of 128 MiB each: at once it would be more than 4 GiB
  start();
  assert.ok(core.memoryBytes < 2 ** 30 && largest < 2 ** 30, `${core.memoryBytes} bytes, ${largest} in one block`);
  assert.ok(core.clipFingerprint(clip), 'the library goes on');
  core.dispose();
  count('faults', 'survived');
});
