/**
 * The files of a folder, and the pictures in and below it, in an order that does not depend on the machine's language.
 * Whatever is there and is not used is counted, so that it can be said.
 */
import { readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { MudptError } from '../base/errors.js';
import { unreadable, printable } from './names.js';
import { nameOf, onDisk } from './paths.js';
import { PICTURE, recognise } from './picture-kinds.js';

/** What systems and programs put beside people's files. */
const SYSTEM = new RegExp(
  [
    ...[/\._.*/, /\.DS_Store/, /\.localized/, /\.AppleDouble/, /__MACOSX/, /Icon\r/, /\.Spotlight-.*/, /\.Trash.*/],
    ...[/Thumbs\.db/, /ehthumbs\.db/, /desktop\.ini/, /\$RECYCLE\.BIN/, /System Volume Information/, /lost\+found/],
    ...[/@eaDir/, /#recycle/, /\.directory/, /\.thumbnails/, /\.git(ignore|keep|attributes)?/, /\.keep/],
    /\.ipynb_checkpoints/,
  ]
    .map(({ source }) => `^${source}$`)
    .join('|'),
  'i',
);
const NAMED = 3; // names that are told of one kind of things
const AT_ONCE = 64;

/**
 * @typedef {object} Entry
 * @property {string} name
 * @property {'file' | 'folder' | 'pipe' | 'gone'} kind  links followed; pipe: reading it could wait for ever; gone: a
 *   link to nothing, or what may not be looked at
 *
 * @typedef {{ path: string, error: MudptError }} Broken
 */

/** What is there and is not used: how many, of what, and some names. */
export class LeftOut {
  #root;
  #all;
  /** @type {Map<string, { one: string, many: string, count: number, names: string[] }>} */
  #kinds = new Map();

  /** @param {string} root names are told from here @param {LeftOut} [all] that is told of everything as well */
  constructor(root, all) {
    this.#root = root;
    this.#all = all;
  }

  /** @param {string} file @param {string} one what it is @param {string} [many] @param {number} [count] */
  add(file, one, many = `${one}s`, count = 1) {
    this.#all?.add(file, one, many, count);
    const kind = this.#kinds.get(one) ?? { one, many, count: 0, names: [] };
    this.#kinds.set(one, kind);
    kind.count += count;
    if (kind.names.length <= NAMED) kind.names.push(printable(path.relative(this.#root, file) || file));
  }

  /** @returns {string[]} for instance ["8 WebP pictures (a.webp, b.webp, c.webp, …)"] */
  get parts() {
    return [...this.#kinds.values()].map(({ one, many, count, names }) => {
      const some = names.slice(0, NAMED).join(', ') + (names.length > NAMED ? ', …' : '');
      return `${count.toLocaleString('en')} ${count === 1 ? one : many} (${some})`;
    });
  }

  /** One line, or none. @returns {string[]} */
  get notes() {
    return this.#kinds.size ? [`Left out: ${this.parts.join('; ')}.`] : [];
  }
}

/**
 * What a folder holds; hidden things and those of the system are left out.
 * @param {string} folder
 * @param {LeftOut} [left] told of hidden ones
 * @returns {Promise<Entry[]>}
 */
export async function entriesOf(folder, left) {
  const options = /** @type {const} */ ({ withFileTypes: true, encoding: 'buffer' });
  const entries = await readdir(onDisk(folder), options).catch((error) => unreadable(folder, error));
  const visible = [];
  for (const entry of entries) {
    const name = nameOf(entry.name);
    if (SYSTEM.test(name)) continue;
    if (!name.startsWith('.')) visible.push({ name, entry });
    else left?.add(path.join(folder, name), 'hidden file or folder', 'hidden files or folders');
  }
  const found = await Promise.all(
    visible.map(async ({ name, entry }) => {
      const info = entry.isSymbolicLink() ? await stat(onDisk(path.join(folder, name))).catch(() => null) : entry;
      return { name, kind: kindOfEntry(info) };
    }),
  );
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** @returns {Entry['kind']} */
function kindOfEntry(info) {
  if (!info) return 'gone';
  return info.isFile() ? 'file' : info.isDirectory() ? 'folder' : 'pipe';
}

/**
 * Pictures in and below a folder, in the order of their paths. A folder is read once, so that links that lead back end
 * nothing.
 * @param {string} folder
 * @param {LeftOut} left
 * @returns {Promise<{ pictures: string[], broken: Broken[] }>} broken: what bears a picture's name and cannot be opened
 */
export async function picturesIn(folder, left) {
  /** @type {{ pictures: string[], broken: Broken[] }} */
  const found = { pictures: [], broken: [] };
  await walk(folder, left, found, new Set());
  return found;
}

async function walk(folder, left, found, seen) {
  const real = (await realpath(onDisk(folder), { encoding: 'buffer' })).toString('latin1');
  if (seen.has(real)) return left.add(folder, 'link to a folder that is read already', 'links to folders read already');
  seen.add(real);
  const entries = await entriesOf(folder, left);
  if (!entries.length && PICTURE.test(folder)) found.broken.push(broken(folder, 'is an empty folder'));
  for (let start = 0; start < entries.length; start += AT_ONCE) {
    const some = entries.slice(start, start + AT_ONCE);
    const known = await Promise.all(some.map((entry) => look(path.join(folder, entry.name), entry)));
    for (const [i, { name, kind }] of some.entries()) {
      const file = path.join(folder, name);
      if (kind === 'folder') await walk(file, left, found, seen);
      else if (known[i].error) found.broken.push(known[i]);
      else if (known[i].picture) found.pictures.push(file);
      else leaveOut(left, file, known[i].kind);
    }
  }
}

/** @param {string} file @param {Entry} entry @returns {Promise<any>} as recognise() or broken() */
async function look(file, { kind }) {
  if (kind === 'file') return recognise(file).catch((error) => broken(file, `cannot be read (${error.code})`));
  if (!PICTURE.test(file)) return { picture: false, kind };
  return broken(file, kind === 'gone' ? 'is a link to nothing' : 'is a pipe, a socket or a device, and no file');
}

/** @param {LeftOut} left @param {string} file @param {string | null} kind */
function leaveOut(left, file, kind) {
  if (kind === 'gone') left.add(file, 'link to nothing', 'links to nothing');
  else if (kind === 'pipe') left.add(file, 'pipe or device');
  else if (kind)
    left.add(file, `${kind} picture, which cannot be read here`, `${kind} pictures, which cannot be read here`);
  else left.add(file, 'other file');
}

/** @returns {Broken} */
function broken(file, what) {
  return { path: file, error: new MudptError('file', `${printable(file)} ${what}`, 'give a picture file') };
}
