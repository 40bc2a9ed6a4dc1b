/** What another runtime than Node answers, on two threads: deno run -A runtime.js PICTURE, bun runtime.js PICTURE. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { loadClip } from '../../js/index.js';

const clip = await loadClip(fileURLToPath(new URL('../../models/pictoclip', import.meta.url)), { threads: 2 });
const classifier = await clip.zeroShot(['clown face', 'robot', 'ghost']);
const [best] = await classifier.classify(await readFile(process.argv[2]));
console.log(JSON.stringify({ ...best, threads: clip.info.threads }));
await clip.dispose();
