/**
 * Classifiers as ONNX: onnxruntime-web gives the library's probabilities, whatever prompts, layout and family; what
 * cannot be written is refused by name. ./run puts onnxruntime-web below build/.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { cp, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { loadClip } from '../../js/index.js';
import { floatsOf, headerOf, writeSafetensors } from '../../js/loading/safetensors.js';
import { exportOnnx } from '../../js/onnx/export.js';
import { mudpt } from './command.js';
import { golden, longer, makeSmall } from './small-models.js';
import { TINY_A, TINY_B, difference, isError, temporaryFolder } from './models.js';

const MODULE = '../../build/onnxruntime/node_modules/onnxruntime-web/dist/ort.node.min.mjs';
const ort = await import(pathToFileURL(fileURLToPath(new URL(MODULE, import.meta.url))).href);
ort.env.wasm.numThreads = 1;
const PICTOCLIP = fileURLToPath(new URL('../../models/pictoclip', import.meta.url));
const CLASSES = ['ant', 'bee', 'cow'];
const folder = await temporaryFolder();

/** Pictures of the model's size, which nothing resizes: as a canvas has them. */
function picturesOf({ image }, count = 3) {
  return Array.from({ length: count }, (_, k) => {
    const data = Uint8ClampedArray.from({ length: 4 * image * image }, (_, i) =>
      i % 4 === 3 ? 255 : (i * (k + 3) * 7 + ((i * i) >> (k + 2))) & 255,
    );
    return { data, width: image, height: image };
  });
}

/** The same as transformers' processors make them: [count, 3, side, side]. */
function pixelsOf(pictures, { mean, std, architecture: { image } }) {
  const area = image * image;
  const out = new Float32Array(pictures.length * 3 * area);
  pictures.forEach(({ data }, k) => {
    for (let i = 0; i < area; i++)
      for (let c = 0; c < 3; c++) out[(3 * k + c) * area + i] = (data[4 * i + c] / 255 - mean[c]) / std[c];
  });
  return new ort.Tensor('float32', out, [pictures.length, 3, image, image]);
}

async function probabilitiesOf(classifier, pictures) {
  const all = [];
  for (const picture of pictures) {
    const answers = await classifier.classify(picture, { topK: classifier.classes.length });
    all.push(...classifier.classes.map((label) => answers.find((one) => one.label === label).score));
  }
  return Float32Array.from(all);
}

/** What onnxruntime makes of a classifier, beside what the library does. */
async function compare(model, classifier, info) {
  const pictures = picturesOf(info.architecture);
  const onnx = await exportOnnx(await classifier.export(), { model });
  const session = await ort.InferenceSession.create(onnx);
  const got = await session.run({ pixel_values: pixelsOf(pictures, info) });
  assert.deepEqual(got.logits.dims, [pictures.length, classifier.classes.length]);
  assert.deepEqual(got.image_embeds.dims, [pictures.length, info.architecture.embed]);
  const off = difference(got.probabilities.data, await probabilitiesOf(classifier, pictures));
  assert.ok(off <= 1e-4, `probabilities off by ${off}`);
  await session.release();
  return onnx;
}

const tuneOne = (clip, options) => {
  const pictures = picturesOf(clip.info.architecture);
  const examples = pictures.map((image, label) => ({ image, label }));
  return clip.tune({ classes: CLASSES, examples, epochs: 2, learningRate: 0.05, ...options }).finished;
};

test('prompts of every method that has the same for every picture', async () => {
  const clip = await loadClip(PICTOCLIP, { threads: 1 });
  const zeroShot = await clip.zeroShot(CLASSES);
  const onnx = await compare(PICTOCLIP, zeroShot, clip.info);
  // The names that transformers' users know, and what whoever feeds it must know.
  const text = Buffer.from(onnx).toString('latin1');
  for (const word of ['pixel_values', 'probabilities', 'image_mean', JSON.stringify(CLASSES)])
    assert.ok(text.includes(word));
  for (const method of ['coop', 'vpt', 'ivlp', 'mudpt', 'umudpt', 'maple', 'promptsrc'])
    await compare(PICTOCLIP, await tuneOne(clip, { method }), clip.info);
  await compare(PICTOCLIP, await tuneOne(clip, { method: 'ivlp', fromLayer: 2, depth: 2 }), clip.info);
  await clip.dispose();
});

test('models in other layouts and of other families', async () => {
  const cases = ['open-clip-gelu', 'transformers-gelu', 'open-clip-80', 'timm-quick'];
  const small = await Promise.all(cases.map((name) => makeSmall(path.join(folder, name), longer(golden(name)))));
  for (const model of [TINY_A, TINY_B, ...small]) {
    const clip = await loadClip(model, { threads: 1 });
    await compare(model, await clip.zeroShot(CLASSES), clip.info);
    await compare(model, await tuneOne(clip, { method: 'vpt' }), clip.info);
    await clip.dispose();
  }
});

test('integers with their scales, and with columns far from the others', async () => {
  const far = path.join(folder, 'far');
  await cp(TINY_A, far, { recursive: true });
  const file = new Uint8Array(await readFile(path.join(far, 'model.safetensors')));
  const changed = headerOf(file, 'model').tensors.map((tensor) => {
    const { name, dtype, shape } = tensor;
    const data = floatsOf(file, tensor);
    if (/vision_model.*fc1\.weight$/.test(name)) for (let i = 5; i < data.length; i += shape[1]) data[i] *= 32;
    return { name, dtype, shape, data };
  });
  await writeFile(path.join(far, 'model.safetensors'), writeSafetensors(changed));
  for (const dtype of ['int8', 'int16']) {
    const { code, stderr } = await mudpt(['convert', 'far', '--dtype', dtype, '--out', dtype], { cwd: folder });
    assert.equal(code, 0, stderr);
    const model = path.join(folder, dtype);
    const { tensors } = headerOf(new Uint8Array(await readFile(path.join(model, 'model.safetensors'))), dtype);
    assert.ok(tensors.some(({ name }) => name.endsWith('fc1.weight_column')));
    const clip = await loadClip(model, { threads: 1 });
    await compare(model, await clip.zeroShot(CLASSES), clip.info);
    await clip.dispose();
  }
});

test('what cannot be written is refused by name', async () => {
  const clip = await loadClip(PICTOCLIP, { threads: 1 });
  const save = async (options) => (await tuneOne(clip, options)).export();
  const zeroShot = await (await clip.zeroShot(CLASSES)).export();
  await assert.rejects(
    exportOnnx(await save({ method: 'cocoop' }), { model: PICTOCLIP }),
    isError('argument', /cocoop/),
  );
  await assert.rejects(exportOnnx(await save({ method: 'mmrl' }), { model: PICTOCLIP }), isError('argument', /mmrl/));
  await assert.rejects(exportOnnx(zeroShot, { model: TINY_A }), isError('classifier', /another model|expected/));
  await assert.rejects(exportOnnx(zeroShot.subarray(0, 99), { model: PICTOCLIP }), isError('classifier', /./));
  await assert.rejects(exportOnnx(zeroShot, /** @type {any} */ ({ modle: 'x' })), isError('argument', /modle/));
  const examples = picturesOf(clip.info.architecture).map((image, label) => ({ image, label }));
  const instant = await clip.tune({ preset: 'instant', head: 'tip-f', classes: CLASSES, examples }).finished;
  const headed = await instant.export();
  await assert.rejects(exportOnnx(headed, { model: PICTOCLIP }), isError('argument', /tip-f/));
  const siglip = await makeSmall(path.join(folder, 'siglip'), longer(golden('siglip')));
  const other = await loadClip(siglip, { threads: 1 });
  const pooled = await (await other.zeroShot(CLASSES)).export();
  await assert.rejects(exportOnnx(pooled, { model: siglip }), isError('argument', /pooling/));
  await other.dispose();
  await clip.dispose();
});

test('mudpt export --format onnx writes the same file, whole or not at all', async () => {
  const clip = await loadClip(PICTOCLIP, { threads: 1 });
  const saved = await (await clip.zeroShot(CLASSES)).export();
  await writeFile(path.join(folder, 'z.safetensors'), saved);
  const line = ['export', 'z.safetensors', '--format', 'onnx', '--out'];
  const { code, stdout } = await mudpt([...line, 'z.onnx', '--json'], { cwd: folder });
  const onnx = await readFile(path.join(folder, 'z.onnx'));
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(stdout), { output: 'z.onnx', format: 'onnx', bytes: onnx.length });
  assert.deepEqual(new Uint8Array(onnx), await exportOnnx(saved, { model: PICTOCLIP }));
  const refused = await mudpt([...line, 'other.onnx', '--model', TINY_A], { cwd: folder });
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^mudpt: z\.safetensors: /);
  assert.ok(!existsSync(path.join(folder, 'other.onnx')));
  await clip.dispose();
});
