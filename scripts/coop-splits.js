#!/usr/bin/env node
/**
 * Writes the split.json of those data sets that CoOp's DATASETS.md lays out without a split_zhou file: ImageNet, its
 * variants V2, Sketch, A and R (to test on alone), and FGVC Aircraft. What is not there is left out.
 *
 *   node scripts/coop-splits.js DATA
 */
import { existsSync } from 'node:fs';
import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PICTURE } from '../js/node/picture-kinds.js';

/** Data sets of ImageNet's classes: where the folders of the classes are. */
const IMAGENETS = {
  imagenet: { train: 'images/train', test: 'images/val' },
  imagenetv2: { test: 'imagenetv2-matched-frequency-format-val' },
  'imagenet-sketch': { test: 'images' },
  'imagenet-adversarial': { test: 'imagenet-a' },
  'imagenet-rendition': { test: 'imagenet-r' },
};

const linesOf = async (file) => (await readFile(file, 'utf8')).split(/\r?\n/).filter((line) => line.trim());
/** "n01440764 tench" -> ["n01440764", "tench"] */
const firstWord = (line) => [line.split(' ', 1)[0], line.slice(line.indexOf(' ') + 1).trim()];

/** Names of ImageNet's classes by folder. Names that come again get a number: classes are told apart by name. */
async function classNames(file) {
  const seen = new Map();
  const named = (await linesOf(file)).map(firstWord).map(([folder, name]) => {
    const key = name.toLowerCase();
    seen.set(key, (seen.get(key) ?? 0) + 1);
    return [folder, seen.get(key) > 1 ? `${name} ${seen.get(key)}` : name];
  });
  return new Map(named);
}

async function imagenet(root, names, { train, test }) {
  // ImageNet V2 names its folders by the place in the list.
  const folders = [...names.keys()].sort();
  const keyOf = (folder) => (/^\d+$/.test(folder) ? folders[Number(folder)] : folder);
  const inside = async (part) => {
    const entries = await readdir(path.join(root, part), { withFileTypes: true });
    return entries.filter((entry) => !entry.isFile() && names.has(keyOf(entry.name))).map((entry) => entry.name);
  };
  const keys = [...new Set((await inside(test)).map(keyOf))].sort();
  const list = async (part) => {
    const pictures = [];
    for (const folder of part ? (await inside(part)).sort() : []) {
      const label = keys.indexOf(keyOf(folder));
      const files = (await readdir(path.join(root, part, folder))).filter((file) => PICTURE.test(file)).sort();
      pictures.push(...files.map((file) => [`${part}/${folder}/${file}`, label]));
    }
    return pictures;
  };
  const classes = keys.map((key) => names.get(key));
  return { classes, template: 'a photo of a {}.', train: await list(train), test: await list(test) };
}

async function aircraft(root) {
  const classes = await linesOf(path.join(root, 'variants.txt'));
  const list = async (part) =>
    (await linesOf(path.join(root, `images_variant_${part}.txt`)))
      .map(firstWord)
      .map(([number, name]) => [`images/${number}.jpg`, classes.indexOf(name)]);
  const template = 'a photo of a {}, a type of aircraft.';
  return { classes, template, train: await list('train'), val: await list('val'), test: await list('test') };
}

async function save(root, split) {
  const file = path.join(root, 'split.json');
  await writeFile(`${file}.part`, `${JSON.stringify(split)}\n`);
  await rename(`${file}.part`, file);
  console.log(`${file}: ${split.classes.length} classes, ${split.train.length} + ${split.test.length} pictures`);
}

const [data] = process.argv.slice(2);
if (!data || process.argv.length !== 3) {
  console.error('usage: coop-splits.js DATA (the folder that holds imagenet, fgvc_aircraft, ...)');
  process.exit(1);
}
for (const [name, parts] of Object.entries(IMAGENETS)) {
  const root = path.join(data, name);
  if (!existsSync(root)) continue;
  await save(root, await imagenet(root, await classNames(path.join(data, 'imagenet/classnames.txt')), parts));
}
const planes = path.join(data, 'fgvc_aircraft');
if (existsSync(planes)) await save(planes, await aircraft(planes));
