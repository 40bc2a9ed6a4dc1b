// Prints the pictures that the product draws from a task, as JSON: [[path, label], ...]. tune.py trains on the same.
//
//   node shots.mjs DATA SHOTS SEED
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createCore } from '../../../js/core/core.js';
import { drawShots } from '../../../js/training/shots.js';

const [data, shots, seed] = process.argv.slice(2);
const { classes, train } = JSON.parse(await readFile(join(data, 'split.json'), 'utf8'));
const core = await createCore({ threads: 1 });
const labels = train.map(([, label]) => label);
const drawn = drawShots(core, classes, labels, { shots: Number(shots), seed: Number(seed) });
core.dispose();
console.log(JSON.stringify(drawn.train.map((index) => train[index])));
