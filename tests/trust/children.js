/**
 * What the tests of faults run in processes of their own, which they kill, starve or lock out:
 *
 *   node children.js save FILE         replaces FILE again and again, by one byte a version
 *   node children.js write FILE BYTES  replaces FILE once; exit status 0, or 3 after the error's code and text
 *   node children.js folder FOLDER     makes FOLDER with one large file in it; the same
 *   node children.js train FOLDER      trains, and keeps the run in FOLDER/run after every step
 *   node children.js workflow          trains, saves, loads and classifies on two threads; then tries to make code
 */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { makeFolder, writeWhole } from '../../js/node/whole-files.js';
import { loadClip } from '../../js/clip.js';
import { PICTURES, TINY_A } from '../node/models.js';

export const SIZE = 1 << 20;
const CLASSES = ['cat', 'dog', 'owl'];
const RUN = { classes: CLASSES, promptLength: 2, epochs: 8, batchSize: 2, shots: 4, seed: 5 };
const examples = Array.from({ length: 6 }, (_, i) => ({ image: PICTURES[i], label: CLASSES[i % 3] }));

async function save(file) {
  for (let version = 1; ; version = (version % 254) + 1) {
    await writeWhole(file, new Uint8Array(SIZE).fill(version));
    process.stdout.write('saved\n');
  }
}

/** A run, from the start or from what is kept; its classifier is saved at the end. */
export async function train(folder) {
  const kept = path.join(folder, 'run');
  const resume = await readFile(kept).catch(() => undefined);
  const clip = await loadClip(TINY_A, { threads: 1 });
  const job = clip.tune({ ...RUN, examples, resume });
  for await (const step of job) {
    if (step.replayed) continue;
    await writeWhole(kept, await job.checkpoint());
    process.stdout.write(`step ${step.step}\n`);
  }
  await writeFile(path.join(folder, 'classifier'), await (await job.finished).export({ raw: true }));
  await clip.dispose();
}

async function workflow() {
  const clip = await loadClip(TINY_A, { threads: 2 });
  const tuned = await clip.tune({ ...RUN, epochs: 1, examples }).finished;
  const again = await clip.import(await tuned.export());
  const { length } = await again.classify(PICTURES[0]);
  await clip.dispose();
  let made = 'code';
  try {
    new Function('return 1')();
  } catch (/** @type {any} */ error) {
    made = error.name;
  }
  console.log(`${length} ${made}`);
}

const [, , verb, target = '', bytes = ''] = process.argv;
const verbs = {
  save: () => save(target),
  write: () => writeWhole(target, new Uint8Array(Number(bytes)).fill(2)),
  folder: () => makeFolder(target, (part) => writeFile(path.join(part, 'large'), new Uint8Array(SIZE))),
  train: () => train(target),
  workflow,
};
if (verbs[verb]) {
  await verbs[verb]().catch((error) => {
    console.log(JSON.stringify({ code: error.code, message: error.message }));
    process.exitCode = 3;
  });
}
