/**
 * CLIP's family beside CLIP in both WebAssembly modules: tests/golden/family's numbers, and gradients that neither
 * threads nor the module change. Natively tests/c/test_family.c and test_gradients.c hold the same pieces to more.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';

import { DTYPES, createCore } from '../../js/core/core.js';
import { Tensors } from './golden-files.js';

const FOLDER = path.resolve(import.meta.dirname, '../golden/family');

/** Largest difference, relative to the largest value that is wanted. */
function difference(got, want) {
  assert.equal(got.length, want.length);
  const most = want.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  return want.reduce((a, b, i) => Math.max(a, Math.abs(got[i] - b)), 0) / most;
}

/** A model of f16 weights. @param {import('../../js/core/core.js').Core} core */
function load(core, config, file) {
  const clip = core.clipCreate({ ...config, mean: [0, 0, 0], std: [1, 1, 1] });
  for (const name of [...file.byName.keys()].filter((name) => name.startsWith('model.'))) {
    assert.equal(core.clipTensorBegin(clip, name.slice('model.'.length), DTYPES.F16, file.shape(name)), true, name);
    core.clipTensorBytes(clip, file.bytes(name));
    core.clipTensorEnd(clip);
  }
  core.clipFinish(clip);
  return clip;
}

/** Loss and gradients of MuDPT, whose prompts are in every layer. */
function gradients(core, clip, { ids, config }, pixels) {
  const start = config.noStart ? 0 : 1;
  const prompted = ids.map((row) => [...row.slice(0, start), 0, 0, ...row.slice(start)]);
  const sizes = { textLength: 2, textDepth: 2, visualLength: 2, visualDepth: 2, layer0Fusion: true };
  const classifier = core.classifierCreate(clip, { method: 'mudpt', ...sizes }, { ids: [prompted] });
  core.classifierInit(classifier, 1);
  const { loss } = core.classifierGradients(classifier, pixels, [0, 2]);
  const values = core
    .classifierParameters(classifier)
    .map(({ gradient, count }) => core.floats(gradient, count).slice());
  core.classifierFree(classifier);
  return [Float32Array.of(loss), ...values];
}

for (const name of ['siglip', 'pe-core', 'clipa']) {
  test(name, async () => {
    const golden = JSON.parse(await readFile(path.join(FOLDER, `${name}.json`), 'utf8'));
    const file = new Tensors(FOLDER, `${name}.safetensors`);
    const pixels = file.values('pixels');
    let first;
    for (const variant of /** @type {const} */ (['plain', 'relaxed'])) {
      for (const threads of [1, 2]) {
        const core = await createCore({ variant, threads });
        try {
          const clip = load(core, golden.config, file);
          const classifier = core.classifierCreate(clip, { method: 'zeroshot' }, { ids: [golden.ids] });
          const { logits, features } = core.classifierLogits(classifier, pixels);
          const bias = core.clipLogitBias(clip);
          assert.equal(bias, golden.logit_bias);
          const { tolerance } = golden;
          assert.ok(difference(features, file.values('image_features')) <= tolerance, `${variant}: image features`);
          assert.ok(
            difference(
              logits.map((x) => x + bias),
              file.values('logits'),
            ) <= tolerance,
            `${variant}: logits`,
          );
          core.classifierFree(classifier);
          const got = gradients(core, clip, golden, pixels);
          first ??= got;
          const allowed = variant === 'plain' ? 0 : 1e-4;
          got.forEach((values, i) => assert.ok(difference(values, first[i]) <= allowed, `${variant}: gradient ${i}`));
        } finally {
          core.dispose();
        }
      }
    }
  });
}
