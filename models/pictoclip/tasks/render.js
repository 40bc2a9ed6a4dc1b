#!/usr/bin/env node
// Renders few-shot tasks from openly licensed pictograms: a folder of PNG pictures with a split.json each.
//
//   node models/pictoclip/tasks/render.js NAME... --out DIR      writes DIR/NAME/, once
//
// What a task consists of stands in tasks.json, which drawings show a thing in things.json, how a picture is made in
// compose.js. The same version makes the same bytes everywhere. A folder appears when it is complete, under its own
// name, or not at all; one that is up to date is left alone, and a folder that this renderer did not make is never
// touched. The pictures keep their sets' licences, which ATTRIBUTION.md in the folder names.
import { realpathSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { compose } from './compose.js';
import { loadRenderer, pinnedPackages, PictogramSet } from './pictograms.js';
import { Random } from './random.js';

/** Raise it when pictures come out differently. */
const VERSION = 2;
const STAMP = '.rendered.json';
const HOUR = 3600e3;

const readJson = async (file) => JSON.parse(await readFile(new URL(file, import.meta.url), 'utf8'));
const things = await readJson('things.json');
const { template, beside, sets: usual, sameDesigns, authors, tasks } = await readJson('tasks.json');

/** Names of the tasks that can be rendered. */
export const taskNames = Object.keys(tasks);

/** The task that shows what tuning does: small, quickly rendered and trained. */
export const SAMPLE_TASK = 'zoo';

// --------------------------------------------------------------------------------------------- which pictures

/**
 * @typedef {object} Task an entry of tasks.json, with the drawings of its classes
 * @property {string} name
 * @property {string} about
 * @property {number} train pictures a class
 * @property {number} test pictures a class
 * @property {number} hardness 0 mild ... 1 hard to recognise
 * @property {string[]} sets that training and test pictures are drawn from
 * @property {boolean} [sameDrawings] whether tests may show drawings that training shows
 * @property {Record<string, { sets: string[], test: number, effect?: string }>} [styles] further tests, of drawings
 *   that training does not show
 * @property {Record<string, string[]>} classes what PictogramSet.drawings knows each class by
 */

/** A task with all that its pictures depend on. @param {string} name one of taskNames @returns {Task} */
export function taskNamed(name) {
  const { classes, ...rest } = tasks[name];
  return { name, sets: usual, ...rest, classes: Object.fromEntries(classes.map((each) => [each, things[each]])) };
}

/** Every set that a task draws on. @param {Task} task @returns {Promise<Map<string, PictogramSet>>} */
export async function setsOf({ sets, styles = {} }) {
  const loaded = new Map();
  for (const name of [...sets, ...Object.values(styles).flatMap((style) => style.sets)])
    if (!loaded.has(name)) loaded.set(name, await PictogramSet.load(name));
  return loaded;
}

/**
 * The drawings of a class in some sets, each once. Those count as the same design that their set numbers
 * ("raised-hand-1" and "raised-hand-2" differ in the colour of the skin) or that another set has in black.
 * @returns {{ set: string, design: string, drawing: import('./pictograms.js').Drawing }[]}
 */
function drawingsOf(sets, from, members) {
  const found = new Map();
  for (const set of from)
    for (const drawing of members.flatMap((member) => sets.get(set).drawings(member))) {
      const design = `${sameDesigns[set] ?? set}/${drawing.name.replace(/-\d$/, '')}`;
      found.set(`${set}/${drawing.name}`, { set, design, drawing });
    }
  return [...found.values()];
}

/** Deals the designs of every set to two hands in turn, so that both get some of every style. */
function deal(drawings, random) {
  const hands = [new Set(), new Set()];
  const designs = random.shuffle([...new Set(drawings.map(({ design }) => design))]);
  const artist = (design) => design.slice(0, design.indexOf('/'));
  const artists = random.shuffle([...new Set(designs.map(artist))]);
  designs.sort((a, b) => artists.indexOf(artist(a)) - artists.indexOf(artist(b)));
  designs.forEach((design, i) => hands[i % 2].add(design));
  return hands.map((hand) => drawings.filter(({ design }) => hand.has(design)));
}

/**
 * The pictures of one class and part: sets take turns, within a set its drawings do.
 * @returns {{ path: string, label: number, set: string, design: string, effect?: string,
 *   drawing: import('./pictograms.js').Drawing }[]}
 */
function picturesOf(task, { part, label, count, drawings, effect }) {
  const className = Object.keys(task.classes)[label];
  if (!drawings.length) throw new Error(`tasks.json, ${task.name}, ${className}: no set of ${part} draws it`);
  const random = new Random(`${task.name}/${part}/${className}`);
  const pools = new Map();
  for (const each of random.shuffle(drawings)) pools.set(each.set, [...(pools.get(each.set) ?? []), each]);
  const turns = [...pools.values()];
  return Array.from({ length: count }, (_, i) => {
    const pool = turns[i % turns.length];
    const each = pool[Math.floor(i / turns.length) % pool.length];
    const file = `${String(i).padStart(2, '0')}-${each.set}.png`;
    return { path: `${part}/${className.replaceAll(' ', '_')}/${file}`, label, ...each, effect };
  });
}

/**
 * Every picture of a task by part: { train, test, 'test-STYLE', ... }
 * @param {Task} task
 * @param {Map<string, PictogramSet>} sets
 * @returns {Record<string, ReturnType<typeof picturesOf>>}
 */
export function plan(task, sets) {
  const parts = { train: [], test: [] };
  Object.entries(task.classes).forEach(([className, members], label) => {
    const all = drawingsOf(sets, task.sets, members);
    const random = new Random(`${task.name}/drawings/${className}`);
    const [seen, unseen] = task.sameDrawings ? [all, all] : deal(all, random);
    const add = (part, rest) => (parts[part] ??= []).push(...picturesOf(task, { part, label, ...rest }));
    add('train', { count: task.train, drawings: seen });
    add('test', { count: task.test, drawings: unseen });
    const trained = new Set(seen.map(({ design }) => design));
    for (const [style, { sets: from, test, effect }] of Object.entries(task.styles ?? {})) {
      const drawings = drawingsOf(sets, from, members).filter(({ design }) => !trained.has(design));
      add(`test-${style}`, { count: test, drawings, effect });
    }
  });
  return parts;
}

// --------------------------------------------------------------------------------------------- what is written

function attribution(task, sets) {
  const rows = [...sets]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { credit }]) => {
      const link = (text, url) => (url ? `[${text}](${url})` : text);
      const { title, author, licence } = credit;
      return (
        `| \`${name}\` | ${title} | ${link(authors[name] ?? author.name, author.url)} | ` +
        `${link(licence.spdx ?? licence.title, licence.url)} | \`${credit.package}\` |`
      );
    });
  return `# Where the pictures of \`${task.name}\` come from

${task.about}

Every picture is an altered rendering (other background, size, turn, colours, blur, covering) of a pictogram from one of
these sets; the end of its file name says which. Titles, authors and licences are as the packages state them. Pictures
keep the licence of the set they come from; those from a share-alike set (CC-BY-SA) are under that licence, too.

| in file names | set | author | licence | package |
|---|---|---|---|---|
${rows.join('\n')}
`;
}

/** Draws all pictures and writes everything but the stamp into folder. */
async function fill(folder, task, sets, { onProgress, signal }) {
  const { renderSvg, encodePng } = await loadRenderer();
  const parts = plan(task, sets);
  const pictures = Object.values(parts).flat();
  const members = new Set(Object.values(task.classes).flat());
  const others = beside.filter((thing) => !members.has(thing));

  for (const { path } of pictures) await mkdir(dirname(join(folder, path)), { recursive: true });
  for (const [done, { path, set, drawing, effect }] of pictures.entries()) {
    signal?.throwIfAborted();
    onProgress?.({ done, total: pictures.length });
    const random = new Random(`${task.name}/${path}`);
    const neighbours = others.flatMap((thing) => sets.get(set).drawings(thing));
    const other = () => random.pick(neighbours);
    const picture = compose(random, { thing: drawing, other, hardness: task.hardness, effect }, renderSvg);
    await writeFile(join(folder, path), encodePng({ ...picture, channels: 3 }));
  }
  onProgress?.({ done: pictures.length, total: pictures.length });

  const rows = (part) => parts[part].map(({ path, label }) => [path, label]);
  const split = (test) => ({ classes: Object.keys(task.classes), template, train: rows('train'), test: rows(test) });
  const save = (file, value) => writeFile(join(folder, file), `${JSON.stringify(value)}\n`);
  await save('split.json', split('test'));
  for (const style of Object.keys(task.styles ?? {})) await save(`split-${style}.json`, split(`test-${style}`));
  await writeFile(join(folder, 'ATTRIBUTION.md'), attribution(task, sets));
}

// --------------------------------------------------------------------------------------------- once and whole

/** What there is at the task's place. @returns {Promise<'nothing' | 'current' | 'outdated' | 'foreign'>} */
async function stateOf(folder, stamp) {
  const entries = await readdir(folder).catch((error) => {
    if (error.code === 'ENOENT') return /** @type {string[]} */ ([]);
    throw new Error(`${folder} is in the way of the rendered task: ${error.message}`);
  });
  if (!entries.length) return 'nothing';
  if (!entries.includes(STAMP)) return 'foreign';
  return (await readFile(join(folder, STAMP), 'utf8')) === stamp ? 'current' : 'outdated';
}

/** Removes what renderings that were killed left behind. */
async function sweep(outDir, prefix) {
  for (const entry of await readdir(outDir)) {
    if (!entry.startsWith(prefix)) continue;
    const { mtimeMs } = await stat(join(outDir, entry)).catch(() => ({ mtimeMs: Infinity }));
    if (Date.now() - mtimeMs > HOUR) await rm(join(outDir, entry), { recursive: true, force: true });
  }
}

/**
 * Renders a task, unless that is already done.
 * @param {string} name one of taskNames
 * @param {string} outDir folder that receives the folder `name`; made if need be
 * @param {object} [options]
 * @param {(progress: { done: number, total: number }) => void} [options.onProgress] before each picture and at the end
 * @param {AbortSignal} [options.signal] stops with its reason; nothing is left behind
 * @returns {Promise<string>} the task's folder, join(outDir, name)
 */
export async function renderTask(name, outDir, { onProgress, signal } = {}) {
  if (!taskNames.includes(name)) throw new Error(`no task is called ${name}; there are: ${taskNames.join(', ')}`);
  const task = taskNamed(name);
  const folder = join(outDir, name);
  const packages = await pinnedPackages();
  const stamp = `${JSON.stringify({ version: VERSION, packages, template, beside, sameDesigns, authors, task })}\n`;
  const state = await stateOf(folder, stamp);
  if (state === 'current') return folder;
  if (state === 'foreign')
    throw new Error(`${folder} holds something that was not rendered here; move it away or choose another folder`);

  const sets = await setsOf(task);
  const prefix = `.${name}-unfinished-`;
  await mkdir(outDir, { recursive: true });
  await sweep(outDir, prefix);
  const unfinished = await mkdtemp(join(outDir, prefix));
  try {
    await fill(join(unfinished, 'new'), task, sets, { onProgress, signal });
    await writeFile(join(unfinished, 'new', STAMP), stamp);
    if (state === 'outdated') await rename(folder, join(unfinished, 'old'));
    await rename(join(unfinished, 'new'), folder).catch(async (error) => {
      // Another process may have been first; then its folder is as good.
      if ((await stateOf(folder, stamp)) !== 'current') throw error;
    });
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return folder;
}

// --------------------------------------------------------------------------------------------- command line

async function main() {
  const usage = `usage: render.js NAME... --out DIR\ntasks: ${taskNames.join(', ')} (sample: ${SAMPLE_TASK})`;
  const { values, positionals } = parseArgs({
    options: { out: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    allowPositionals: true,
  });
  if (values.help) return console.log(usage);
  if (!positionals.length || !values.out) throw new Error(usage);
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'])
    process.once(name, () => stop.abort(new Error('stopped; nothing was kept')));
  for (const name of positionals) {
    const onProgress = ({ done, total }) => {
      if (process.stderr.isTTY) process.stderr.write(`\r${name}: ${done}/${total}${done === total ? '\n' : ''}`);
    };
    console.log(await renderTask(name, values.out, { onProgress, signal: stop.signal }));
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href) {
  main().catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
