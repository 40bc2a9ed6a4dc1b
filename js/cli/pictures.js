/**
 * A look at the pictures of a data set before anything is done with them: all that cannot be read are told together, or
 * left out with --skip-broken; and it is said which are trained on and tested as well.
 */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { MudptError } from '../base/errors.js';
import { createCore } from '../core/core.js';
import { printable, some } from '../node/names.js';
import { LeftOut, picturesIn } from '../node/picture-files.js';
import { UPRIGHT, decodeImage, readImage } from '../pictures/images.js';

/** Training pictures that are all looked at; of more only those that are drawn are, when they are read. */
const MOST_LOOKED = 20_000;
const PARTS = /** @type {const} */ (['train', 'val', 'test']);

/**
 * @typedef {import('../node/datasets.js').Dataset} Dataset
 * @typedef {'train' | 'val' | 'test'} Part
 * @typedef {Dataset['broken'][number]} Broken
 */

/** @param {import('commander').Command} command */
export const withSkip = (command) =>
  command.option('--skip-broken', 'leave out pictures that cannot be read, and name them');

/** Several pictures that cannot be read. */
export class BrokenFiles extends MudptError {
  /** @param {Broken[]} broken @param {number} total @param {string} remedy */
  constructor(broken, total, remedy) {
    super('image', `${broken.length} of ${total} pictures cannot be read`, remedy);
    this.pictures = broken.map(({ path, error: { code, message, hint } }) => ({ file: path, code, message, hint }));
  }
}

/**
 * A data set without its broken pictures.
 * @param {Dataset} data read with listBroken
 * @param {object} options
 * @param {Part[]} [options.parts] those that matter
 * @param {boolean} [options.upright]
 * @param {boolean} [options.skipBroken]
 * @param {ReturnType<typeof import('./terminal.js').openTerminal>} terminal
 * @param {AbortSignal} [signal]
 * @returns {Promise<Dataset>} `broken`: what was left out
 */
export async function wholePictures(data, { parts = [...PARTS], upright = false, skipBroken }, terminal, signal) {
  const lists = parts.flatMap((part) => (data[part] ? [{ part, examples: /** @type {any[]} */ (data[part]) }] : []));
  const looked = lists.filter(({ part, examples }) => part !== 'train' || examples.length <= MOST_LOOKED);
  const broken = data.broken.filter(({ part }) => parts.includes(part));
  const total = broken.length + lists.reduce((sum, { examples }) => sum + examples.length, 0);
  /** @type {Map<string, Set<Part>>} */
  const contents = new Map();
  const core = await createCore({ threads: 1 });
  try {
    let done = 0;
    for (const { part, examples } of looked) {
      for (const example of examples) {
        signal?.throwIfAborted();
        const found = await look(core, example.path, upright);
        if (found instanceof MudptError) broken.push({ ...example, part, error: found });
        else contents.set(found, (contents.get(found) ?? new Set()).add(part));
        terminal.progress(++done / total, `looking at ${done} of ${total} pictures`);
      }
    }
  } finally {
    core.dispose();
    terminal.wipe();
  }
  const notes = [...data.notes, ...doubles(contents)];
  if (!broken.length) return { ...data, notes };
  if (!skipBroken) throw faultOf(broken, total);
  for (const { error } of broken) terminal.warn(`left out: ${printable(error.message)}`);
  const gone = new Set(broken.map(({ path }) => path));
  const rest = lists.map(({ part, examples }) => [part, examples.filter(({ path }) => !gone.has(path))]);
  notes.push(`Left out: ${broken.length} of ${total} pictures, as they cannot be read.`);
  const whole = { ...data, ...Object.fromEntries(rest), broken, notes };
  requirePictures(whole, parts);
  return whole;
}

/** Digits that stand for a file that can be decoded, or what is wrong with it. */
async function look(core, file, upright) {
  try {
    const picture = await readImage(file, file);
    core.imageFree(await decodeImage(core, picture, upright ? UPRIGHT : 0));
    return 'bytes' in picture ? createHash('sha1').update(picture.bytes).digest('hex') : file;
  } catch (error) {
    if (error instanceof MudptError && ['image', 'file'].includes(error.code)) return error;
    throw error;
  }
}

/** @param {Map<string, Set<Part>>} contents */
function doubles(contents) {
  const both = [...contents.values()].filter((parts) => parts.has('train') && parts.has('test')).length;
  if (!both) return [];
  const what = both === 1 ? '1 picture is' : `${both} pictures are`;
  return [`${what} trained on and tested as well: accuracies will be too high.`];
}

/** @param {Broken[]} broken @param {number} total */
function faultOf(broken, total) {
  const skip = 'leave it out with --skip-broken';
  if (broken.length > 1) {
    return new BrokenFiles(broken, total, `mend or remove them, or ${skip.replace(' it ', ' them ')}`);
  }
  const [{ error }] = broken;
  const what = error.hint ? error.message.slice(0, -error.hint.length - 2) : error.message;
  return new MudptError(error.code, what, `${error.hint ? `${error.hint}, or ` : ''}${skip}`, { cause: error });
}

/** @param {Dataset} data @param {Part[]} parts */
function requirePictures({ name, classes, train, test }, parts) {
  const hint = 'give it pictures that can be read';
  if (parts.includes('test') && !test.length) {
    throw new MudptError('dataset', `${name}: no test picture can be read`, hint);
  }
  const present = new Set(train.map(({ label }) => label));
  const without = classes.filter((_, label) => !present.has(label)).map((each) => `"${each}"`);
  if (!parts.includes('train') || !without.length || !train.length) return;
  throw new MudptError('dataset', `${name}: no training picture of ${some(without)} can be read`, hint);
}

/**
 * Files as given, and the pictures in and below folders.
 * @returns {Promise<{ path: string, label?: string, error?: MudptError }[]>} label: the folder that it lies in, below
 *   the one that was given; error: of one that cannot be opened
 */
export async function listPictures(given, terminal) {
  const lists = [];
  for (const name of given) {
    const info = await stat(name).catch(() => undefined); // what is not there is said when its turn comes
    if (!info?.isDirectory()) {
      lists.push([{ path: name }]);
      continue;
    }
    const left = new LeftOut(name);
    const { pictures, broken } = await picturesIn(name, left);
    if (!pictures.length && !broken.length) {
      const but = left.parts.length ? `, but ${left.parts.join('; ')}` : '';
      throw new MudptError('file', `${name}: holds no pictures${but}`, 'give JPEG, PNG, GIF or BMP files');
    }
    for (const note of left.notes) terminal.note(note);
    lists.push(
      pictures.map((file) => ({ path: file, label: labelOf(name, file) })),
      broken,
    );
  }
  return lists.flat();
}

/** @param {string} folder that was given @param {string} file in or below it */
const labelOf = (folder, file) => path.relative(folder, path.dirname(file)).split(path.sep).join('/');
