/** What several tests share: the models of the golden files, every way to run the library, pictures, refusals. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

import { createCore } from '../../js/core/core.js';
import { ERROR_CODES, MudptError } from '../../js/base/errors.js';
import { loadModel } from '../../js/loading/model.js';
import { floatsOf, headerOf } from '../../js/loading/safetensors.js';
import { openSource } from '../../js/files/source.js';

export const GOLDEN = fileURLToPath(new URL('../golden/', import.meta.url));
export const TINY_A = path.join(GOLDEN, 'tiny-a/model');
export const TINY_B = path.join(GOLDEN, 'tiny-b/model');

/** Every module, with one thread and with two. */
export const WAYS = ['plain', 'relaxed'].flatMap((variant) => [1, 2].map((threads) => ({ variant, threads })));
export const named = ({ variant, threads }) => `${variant} SIMD, ${threads} thread${threads > 1 ? 's' : ''}`;

/** Pictures of different sizes and kinds that are easy to tell apart. */
export const PICTURES = [
  'checkers.png',
  'drawn.bmp',
  'half-chroma.jpg',
  'lines.png',
  'noise.png',
  'tall.png',
  'wide.png',
].map((name) => path.join(GOLDEN, 'preprocess/images', name));

export const json = (file) => JSON.parse(readFileSync(path.join(GOLDEN, file), 'utf8'));

/** A golden file's tensors: name -> { dtype, shape, floats() }. */
export function tensors(file) {
  const bytes = new Uint8Array(readFileSync(path.join(GOLDEN, file)));
  return Object.fromEntries(
    headerOf(bytes, file).tensors.map((tensor) => [tensor.name, { ...tensor, floats: () => floatsOf(bytes, tensor) }]),
  );
}

/** A core with a model in it, for the library's own functions. */
export async function openCore(folder, way, options) {
  const core = await createCore(way);
  return { core, ...(await loadModel(core, await openSource(folder), options)) };
}

/** For assert.rejects and assert.throws: an error of the library, of one line. @param {RegExp} message a part of it */
export const isError = (code, message) => (error) => {
  assert.ok(error instanceof MudptError, String(error.stack));
  assert.equal(error.code, code, error.message);
  assert.ok(Object.hasOwn(ERROR_CODES, error.code));
  assert.match(error.message, message);
  assert.ok(!error.message.includes('\n'), error.message);
  return true;
};

/** Scores of all pictures, in the order of the classes. */
export async function scores(classifier) {
  const all = [];
  for (const picture of PICTURES) {
    const best = await classifier.classify(picture, { topK: 99 });
    all.push(classifier.classes.map((label) => best.find((one) => one.label === label).score));
  }
  return all;
}

/** A folder of this test file's own. */
export async function temporaryFolder() {
  const folder = await mkdtemp(path.join(tmpdir(), 'mudpt-test-'));
  after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Largest difference of two arrays, relative to the largest magnitude of the second. */
export function difference(ours, theirs) {
  let most = 0;
  let scale = 0;
  for (let i = 0; i < theirs.length; i++) {
    most = Math.max(most, Math.abs(ours[i] - theirs[i]));
    scale = Math.max(scale, Math.abs(theirs[i]));
  }
  return ours.length === theirs.length ? most / scale : Infinity;
}
