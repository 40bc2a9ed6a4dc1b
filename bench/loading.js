#!/usr/bin/env node
/**
 * Memory while a ViT-B/16 of full size (600 MB of f32, random weights) is loaded from a web server: WebAssembly memory,
 * JavaScript's (heap and buffers, sampled), the peak of the process, and the seconds that it took. Every row is a
 * process of its own; the server is another. The same weights as PyTorch pickles them are served beside.
 *
 *   ./run bench loading [--json] [--peer FOLDER]
 *
 * FOLDER, for a row of transformers.js: node_modules with @huggingface/transformers, and models/NAME as that library
 * wants it, with onnx/model.onnx of the same shape.
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

import { headerOf } from '../js/loading/safetensors.js';
import { makeClip } from '../tests/make-clip.js';
import { startServer } from '../tests/node/http-servers.js';
import { torchSave } from '../tests/node/pickled.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const model = path.join(root, 'build/bench/vit-b-16-f32');
const pickled = `${model}-pickled`;
const CLASSES = ['cat', 'dog', 'bird', 'fish', 'horse', 'violin', 'tractor', 'lighthouse', 'teapot', 'glacier'];
const SAMPLE_MS = 2;

const ROWS = [
  { name: 'mudpt, f16', options: { dtype: 'f16' } },
  { name: 'mudpt, f16, again', options: { dtype: 'f16', cache: false } },
  { name: 'mudpt, f16, pickled', options: { dtype: 'f16', cache: false }, pickled: true },
  { name: 'mudpt, f16, from its cache', options: { dtype: 'f16' } },
  { name: 'mudpt, int8', options: { dtype: 'int8', cache: false } },
  { name: "mudpt, f16, towers: 'image'", options: { dtype: 'f16', towers: 'image', cache: false } },
  { name: 'mudpt, f32', options: { dtype: 'f32', cache: false } },
];

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, peer: { type: 'string' }, child: { type: 'string' } },
});

/** Largest heap and buffers of JavaScript while `action` runs, what was there before included. */
async function sampled(action) {
  const most = { heapBytes: 0, bufferBytes: 0 };
  const sample = () => {
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    most.heapBytes = Math.max(most.heapBytes, heapUsed);
    most.bufferBytes = Math.max(most.bufferBytes, arrayBuffers);
  };
  const timer = setInterval(sample, SAMPLE_MS);
  const start = performance.now();
  try {
    const result = await action(most);
    sample();
    return { result, measured: { ...most, seconds: (performance.now() - start) / 1000 } };
  } finally {
    clearInterval(timer);
  }
}

const peak = () => process.resourceUsage().maxRSS * 1024;

/** One load and ten class names by mudpt, in this process. */
async function ours({ url, options }) {
  const { loadClip } = await import('../js/index.js');
  // The tokenizer is made when the weights are there; its share depends on the vocabulary, not on the model's size.
  let streamingBytes;
  const { result: clip, measured } = await sampled((most) => {
    const onProgress = () => (streamingBytes = Math.max(most.heapBytes, process.memoryUsage().heapUsed));
    return loadClip(url, { ...options, onProgress });
  });
  if (options.towers !== 'image') await clip.zeroShot(CLASSES);
  const { memoryBytes: wasmBytes, info } = clip;
  return { ...measured, streamingBytes, wasmBytes, weightBytes: info.weightBytes, peakBytes: peak() };
}

/** The same by transformers.js, whose Node build computes in onnxruntime's native library. */
async function theirs({ folder }) {
  const library = path.join(folder, 'node_modules/@huggingface/transformers');
  const { version } = JSON.parse(await readFile(path.join(library, 'package.json'), 'utf8'));
  const { env, pipeline } = await import(pathToFileURL(path.join(library, 'dist/transformers.node.mjs')).href);
  env.allowRemoteModels = false;
  env.localModelPath = path.join(folder, 'models');
  const [name] = readdirSync(env.localModelPath);
  const { measured } = await sampled(() =>
    pipeline('zero-shot-image-classification', name, { dtype: 'fp32', device: 'cpu' }),
  );
  return { version, ...measured, peakBytes: peak() };
}

/** Runs one row in a process of its own. */
function inChild(row, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [process.argv[1], '--child', JSON.stringify(row)], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (output += text));
    child.on('error', reject).on('close', (code) => {
      if (code === 0) resolve(JSON.parse(output.trim().split('\n').at(-1)));
      else reject(new Error(`the row "${row.name}" failed`));
    });
  });
}

const mb = (bytes) => (bytes === undefined ? '-' : `${(bytes / 1e6).toFixed(0)} MB`);

const COLUMNS = {
  downloaded: 'sentBytes',
  wasm: 'wasmBytes',
  'JS heap': 'heapBytes',
  'of it, weights': 'streamingBytes',
  'JS buffers': 'bufferBytes',
  process: 'peakBytes',
  time: 'seconds',
};

function print(name, row) {
  if (values.json) return console.log(JSON.stringify({ name, ...row }));
  const told = (key) => (key === 'seconds' ? `${row[key].toFixed(2)} s` : mb(row[key]));
  const cells = Object.values(COLUMNS).map((key) => (row ? told(key) : ''));
  const heads = Object.keys(COLUMNS);
  return console.log(name.padEnd(30) + heads.map((head, i) => (row ? cells[i] : head).padStart(16)).join(''));
}

/** The same model with its weights as torch.save writes them. */
async function pickle() {
  const bytes = await readFile(path.join(model, 'model.safetensors'));
  const { tensors } = headerOf(bytes, 'the model');
  const whole = tensors.map((one) => ({ ...one, data: bytes.subarray(one.begin, one.begin + one.bytes) }));
  await rm(`${pickled}.part`, { recursive: true, force: true });
  await mkdir(`${pickled}.part`, { recursive: true });
  for (const name of ['config.json', 'preprocessor_config.json', 'tokenizer.json'])
    await copyFile(path.join(model, name), path.join(`${pickled}.part`, name));
  await writeFile(path.join(`${pickled}.part`, 'pytorch_model.bin'), torchSave(whole));
  await rename(`${pickled}.part`, pickled);
}

async function main() {
  if (values.child) {
    const row = JSON.parse(values.child);
    process.stdout.write(`${JSON.stringify(await (row.folder ? theirs(row) : ours(row)))}\n`, () => process.exit(0));
    return;
  }
  if (!existsSync(model)) {
    console.error('writing a ViT-B/16 with random weights (600 MB), once');
    await rm(`${model}.part`, { recursive: true, force: true });
    await makeClip(`${model}.part`, { preset: 'vit-b-16', dtype: 'f32' });
    await rename(`${model}.part`, model);
  }
  if (!existsSync(pickled)) await pickle();
  const cache = await mkdtemp(path.join(tmpdir(), 'mudpt-bench-'));
  const servers = [await startServer({ root: model }), await startServer({ root: pickled })];
  try {
    if (!values.json) print('ViT-B/16, 600 MB of f32');
    for (const row of ROWS) {
      const server = servers[Number(Boolean(row.pickled))];
      const before = server.sent;
      const measured = await inChild({ ...row, url: server.url }, { MUDPT_CACHE: cache });
      print(row.name, { sentBytes: server.sent - before, ...measured });
    }
    if (values.peer) {
      const row = { name: 'transformers.js', folder: path.resolve(values.peer) };
      const { version, ...measured } = await inChild(row, {});
      print(`transformers.js ${version}, fp32`, measured);
    }
  } finally {
    for (const server of servers) await server.close();
    await rm(cache, { recursive: true, force: true });
  }
}

await main();
