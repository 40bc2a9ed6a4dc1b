#!/usr/bin/env node
/**
 * Classifiers as ONNX files on the sample tasks: what onnxruntime and onnxruntime-web make of all their test pictures,
 * beside the library. docs/exchange.md has the table.
 *
 *   ./run bench onnx [--tasks zoo,food,…] [--preset quick]
 *
 * All get the same pixels, so it is the tower, the prompts and the classes that are compared. PYTHON is one that has
 * onnxruntime.
 */
import { spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { argmax } from '../js/classifier/metrics.js';
import { createCore } from '../js/core/core.js';
import { pixelsOf } from '../js/features/pixels.js';
import { openSource } from '../js/files/source.js';
import { loadClip } from '../js/index.js';
import { loadModel } from '../js/loading/model.js';
import { exportOnnx } from '../js/onnx/export.js';
import { taskNames } from '../models/pictoclip/tasks/render.js';
import { optionsOf } from './options.js';
import { openTask, toExamples } from './tasks.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const values = optionsOf({ tasks: taskNames.join(), preset: 'quick' });
const MODEL = path.join(root, 'models/pictoclip');
const AT_ONCE = 16;
/** Of two classes' probabilities, below which it is chance which of them is first. */
const TIE = 1e-4;

const out = path.join(root, 'build/bench');
await mkdir(out, { recursive: true });
const web = path.join(root, 'build/onnxruntime/node_modules/onnxruntime-web/dist/ort.node.min.mjs');
const ort = await import(pathToFileURL(web).href);
ort.env.wasm.numThreads = 2;
const clip = await loadClip(MODEL, { threads: 2 });
// What a model sees of a file is no part of its public interface.
const core = await createCore({ threads: 2 });
const seeing = { core, ...(await loadModel(core, await openSource(MODEL), {})), how: 0 };
const side = clip.info.architecture.image;
const AREA = 3 * side * side;

/** @type {Record<string, (file: string, pixels: Float32Array) => Promise<Float32Array>>} [pictures, classes] */
const RUNTIMES = {
  async 'onnxruntime-web'(file, pixels) {
    const session = await ort.InferenceSession.create(file);
    const all = [];
    for (let start = 0; start < pixels.length; start += AT_ONCE * AREA) {
      const some = pixels.subarray(start, start + AT_ONCE * AREA);
      const input = new ort.Tensor('float32', some, [some.length / AREA, 3, side, side]);
      const { probabilities } = await session.run({ pixel_values: input });
      all.push(...probabilities.data);
    }
    await session.release();
    return Float32Array.from(all);
  },
  async onnxruntime(file, pixels) {
    const program = [path.join(root, 'bench/onnx_peer.py'), file, String(side)];
    const input = new Uint8Array(pixels.buffer);
    const { status, stdout, stderr } = spawnSync(process.env.PYTHON ?? 'python3', program, { input, maxBuffer: 1e9 });
    if (status !== 0) throw new Error(`onnxruntime: ${stderr}`);
    return new Float32Array(new Uint8Array(stdout).buffer);
  },
};

/**
 * Pictures that are given another class, those of which two classes are as likely, and the most that a probability
 * is off.
 */
function compare(ours, theirs) {
  const classes = ours[0].length;
  if (theirs.length !== ours.length * classes) throw new Error(`${theirs.length} probabilities`);
  let [others, ties, most] = [0, 0, 0];
  ours.forEach((answers, i) => {
    const row = theirs.subarray(i * classes, (i + 1) * classes);
    for (const { index, score } of answers) most = Math.max(most, Math.abs(row[index] - score));
    const [first, second] = answers;
    if (argmax(row) === first.index) return;
    if (first.score - second.score < TIE) ties++;
    else others++;
  });
  return { others, ties, most };
}

console.log('task      classes  pictures        kB  by               other class  ties  largest difference');
for (const task of values.tasks.split(',')) {
  const { classes, train, test } = await openTask(task);
  const examples = toExamples(train);
  const classifier = await clip.tune({ classes, examples, preset: values.preset }).finished;
  const onnx = await exportOnnx(await classifier.export(), { model: MODEL });
  const file = path.join(out, `${task}.onnx`);
  await writeFile(file, onnx);
  const files = test.map((example) => example.path);
  const ours = await classifier.classify(files, { topK: Infinity });
  const pixels = new Float32Array(files.length * AREA);
  for (let start = 0; start < files.length; start += AT_ONCE) {
    const some = files.slice(start, start + AT_ONCE);
    pixels.set(await pixelsOf(/** @type {any} */ (seeing), some, some), start * AREA);
  }
  for (const [name, run] of Object.entries(RUNTIMES)) {
    const { others, ties, most } = compare(ours, await run(file, pixels));
    const about = [task.padEnd(8), `${classes.length}`.padStart(8), `${files.length}`.padStart(9)];
    const size = Math.round(onnx.length / 1000);
    const found = [`${others}`.padStart(12), `${ties}`.padStart(5), most.toExponential(1).padStart(19)];
    console.log(...about, `${size}`.padStart(10), `${name.padEnd(15)}`, ...found);
  }
  await classifier.dispose();
}
core.dispose();
await clip.dispose();
