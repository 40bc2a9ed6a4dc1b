#!/usr/bin/env node
// Builds the page into build/site: static files that any host serves below any path.
//
//   model/     the embedded model, as the package has it
//   samples/   a zip of pictures for each task of samples.json, and index.json with their authors
//   kit.zip    the package's own files, for the zip that the page exports
import { cp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { strToU8, zipSync } from 'fflate';
import { build } from 'vite';

import { renderTask, setsOf, taskNamed } from '../models/pictoclip/tasks/render.js';

const ROOT = path.resolve(import.meta.dirname, '..');
const inTree = (...parts) => path.join(ROOT, ...parts);
const PUBLIC = inTree('build/demo-files');
const MODEL = ['config.json', 'preprocessor_config.json', 'tokenizer.json', 'model.safetensors', 'LICENSE'];
/** Of the package's js/: what only Node uses. */
const NODE_ONLY = ['cli', 'node', 'protocol'];

const readJson = async (file) => JSON.parse(await readFile(file, 'utf8'));

/**
 * A sample's pictures as one file, PART/CLASS/NUMBER-SET.png. They are compressed already. `without`: what a visitor
 * takes for something else, as a fountain that looks like a palm.
 */
async function packSample({ id, classes, train, test, without = [] }) {
  const folder = await renderTask(id, inTree('build/tasks'));
  const split = await readJson(path.join(folder, 'split.json'));
  const files = {};
  for (const [part, most] of Object.entries({ train, test })) {
    for (const name of classes) {
      const label = split.classes.indexOf(name);
      const rows = split[part].filter(([file, of]) => of === label && !without.includes(file)).slice(0, most);
      for (const [file] of rows) files[file] = new Uint8Array(await readFile(path.join(folder, file)));
    }
  }
  files['ATTRIBUTION.md'] = strToU8(await readFile(path.join(folder, 'ATTRIBUTION.md'), 'utf8'));
  await writeFile(path.join(PUBLIC, 'samples', `${id}.zip`), zipSync(files, { level: 0, mtime: '1980-01-01' }));
  const used = new Set(Object.keys(files).map((file) => file.match(/\d+-(.*)\.png$/)?.[1]));
  const authors = [...(await setsOf(taskNamed(id)))]
    .filter(([set]) => used.has(set))
    .map(([, { credit }]) => ({
      title: credit.title,
      author: credit.author.name,
      url: credit.author.url,
      licence: credit.licence.spdx ?? credit.licence.title,
      licenceUrl: credit.licence.url,
    }));
  return { id, classes, authors };
}

async function packKit() {
  const files = (await readdir(inTree('js'), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(inTree('js'), path.join(entry.parentPath, entry.name)).replaceAll(path.sep, '/'))
    .filter((file) => !NODE_ONLY.includes(file.split('/')[0]) && !file.endsWith('.d.ts'))
    .sort();
  const kit = {};
  for (const file of files) kit[file] = new Uint8Array(await readFile(inTree('js', file)));
  for (const file of ['LICENSE', 'THIRD-PARTY-NOTICES.md']) kit[file] = new Uint8Array(await readFile(inTree(file)));
  await writeFile(path.join(PUBLIC, 'kit.zip'), zipSync(kit, { mtime: '1980-01-01' }));
}

/**
 * What the page needs at once is one file: cut into what several views share it would be larger by a tenth. The rest is
 * fetched when it is used.
 */
const LATER = /views\/(Compare|Cell|Inside|Keep|Projects)\.jsx|src\/(project|own-page|late-strings)\.js|\.css$/;
const AT_ONCE = /web-demo\/src\/|node_modules\/(@?preact|lucide|idb-keyval|fflate)\//;
const isAtOnce = (id) => AT_ONCE.test(id.replaceAll(path.sep, '/')) && !LATER.test(id.replaceAll(path.sep, '/'));

await rm(PUBLIC, { recursive: true, force: true });
await mkdir(path.join(PUBLIC, 'samples'), { recursive: true });
const samples = [];
for (const sample of await readJson(path.join(import.meta.dirname, 'samples.json'))) {
  samples.push(await packSample(sample));
}
await writeFile(path.join(PUBLIC, 'samples/index.json'), JSON.stringify(samples));
for (const file of MODEL) await cp(inTree('models/pictoclip', file), path.join(PUBLIC, 'model', file));
await packKit();

await build({
  configFile: false,
  root: import.meta.dirname,
  base: './',
  publicDir: PUBLIC,
  logLevel: 'warn',
  resolve: { alias: { mudpt: inTree('js/index.js') } },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  worker: { format: 'es' },
  build: {
    outDir: inTree('build/site'),
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    license: { fileName: 'licences.txt' },
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: 'page', test: isAtOnce }] } } },
  },
});
