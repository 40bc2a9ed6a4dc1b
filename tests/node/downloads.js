/** What the tests of downloads and of the cache share: a model with a large token embedding, and what it answers. */
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { Clip } from '../../js/clip.js';
import { createCore } from '../../js/core/core.js';
import { FeatureStore } from '../../js/features/store.js';
import { loadModel } from '../../js/loading/model.js';
import { headerOf, writeSafetensors } from '../../js/loading/safetensors.js';
import { openSource } from '../../js/files/source.js';
import { makeClip } from '../make-clip.js';
import { startServer } from './http-servers.js';
import { PICTURES } from './models.js';

export const CLASSES = ['cat', 'sail boat', 'x'];
export const OTHERS = ['blue', 'river']; // whose rows are far from the others'
export const [VOCAB, WIDTH] = [8192, 256];

/** Its rows lie far behind the header, so that they are not among the first bytes of the file. */
export async function makeModel(folder, seed = 1) {
  await makeClip(folder, { vocab: VOCAB, textWidth: WIDTH, textLayers: 1, seed });
  const file = path.join(folder, 'model.safetensors');
  const bytes = new Uint8Array(readFileSync(file));
  const { tensors } = headerOf(bytes, file);
  const isTable = ({ name }) => name.includes('token_embedding');
  const ordered = [...tensors.filter((tensor) => !isTable(tensor)), ...tensors.filter(isTable)];
  const data = (tensor) => bytes.slice(tensor.begin, tensor.begin + tensor.bytes);
  await writeFile(file, writeSafetensors(ordered.map((tensor) => ({ ...tensor, data: data(tensor) }))));
}

/** As loadClip, but with short waits before new attempts. */
export async function load(from, { signal, cache = false, timeout, retryDelays = [1, 1, 1], ...options } = {}) {
  const source = await openSource(from, { signal, cache, timeout, retryDelays });
  const core = await createCore({ threads: 1 });
  try {
    const loaded = await loadModel(core, source, { signal, ...options });
    const fingerprint = core.clipFingerprint(loaded.clip);
    const all = { core, ...loaded, fingerprint, features: new FeatureStore(), how: 0 };
    return new Clip(all, source.name, '', []);
  } catch (error) {
    core.dispose();
    throw error;
  }
}

export async function scoresOf(clip, classes = CLASSES) {
  const classifier = await clip.zeroShot(classes);
  const best = await classifier.classify(PICTURES[1]);
  return classes.map((label) => best.find((one) => one.label === label).score);
}

export async function answer(from, options) {
  const clip = await load(from, options);
  const scores = await scoresOf(clip);
  const { fingerprint } = clip.info;
  await clip.dispose();
  return { fingerprint, scores };
}

/** Runs `action` with a server, and ends it. @param {Parameters<typeof startServer>[0]} options */
export async function serving(options, action) {
  const server = await startServer(options);
  try {
    return await action(server);
  } finally {
    await server.close();
  }
}
