/**
 * Data sets of pictures on disk: a folder per class (folders.js), a split.json, or a split_zhou_*.json of CoOp.
 *
 * Every path and label is checked before anything is trained, and what is wrong is said with the file's name. It
 * refuses paths that leave the data set's folder, and it never opens a picture: decoding is the library's work.
 *
 *   const { classes, train, test } = await loadDataset('flowers');   // flowers/rose/1.jpg, flowers/tulip/1.jpg ...
 */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { MudptError } from '../base/errors.js';
import { LARGEST_SPLIT, LONGEST_NAME, MOST_CLASSES } from '../base/limits.js';
import { partsIn, readFolders } from './folders.js';
import { checkClasses, fault, printable, quote, some, toName, unreadable } from './names.js';
import { onDisk } from './paths.js';
import { entriesOf } from './picture-files.js';

const PARTS = /** @type {const} */ (['train', 'test', 'val']);
const ARCHIVE = /\.(zip|tar|tgz|gz|bz2|xz|zst|7z|rar)$/i;
const SPLIT = /^split(_zhou_.*)?\.json$/;
const STYLE_SPLIT = /^split-(.+)\.json$/;

/** Zero-shot sentences of CoOp's code, by the name in split_zhou_NAME.json; of the others the default is used. */
const COOP_TEMPLATES = {
  __proto__: null,
  OxfordPets: 'a photo of a {}, a type of pet.',
  OxfordFlowers: 'a photo of a {}, a type of flower.',
  Food101: 'a photo of {}, a type of food.',
  DescribableTextures: '{} texture.',
  EuroSAT: 'a centered satellite photo of {}.',
  UCF101: 'a photo of a person doing {}.',
};

/**
 * @typedef {{ path: string, label: number }} Example  a picture file and the index of its class
 * @typedef {object} Dataset
 * @property {string} name           for people and file names
 * @property {string[]} classes      label i is classes[i]
 * @property {string} [template]     sentence for a class, `{}` stands for its name
 * @property {Example[]} train
 * @property {Example[]} test
 * @property {Example[]} [val]       only where the data set brings its own
 * @property {{ path: string, label: number, part: 'train' | 'test' | 'val', error: MudptError }[]} broken  pictures
 *   that are in none of the lists, as they cannot be opened
 * @property {string[]} notes        what the user should know of how it was read
 */

/**
 * @typedef {object} DatasetOptions
 * @property {string} [images]  folder that the paths of a split file start from; default: the split file's own
 * @property {string} [split]   STYLE of a split-STYLE.json (or a folder test-STYLE): other test pictures
 * @property {boolean} [testOnly]  only test pictures are needed: `train` may be empty, and of a folder per class
 *   without test folder all pictures are tested on
 * @property {boolean} [listBroken]  what cannot be opened, or is listed and not there, is in `broken`; otherwise listed
 *   pictures must be there, and others are among what is left out
 */

/**
 * Reads and checks a data set.
 * @param {string} source  a folder, or a split file
 * @param {DatasetOptions} [options]
 * @returns {Promise<Dataset>}
 * @throws {MudptError} code 'dataset'
 */
export async function loadDataset(source, options = {}) {
  const { split } = options;
  if (split !== undefined && !/^[\w-][\w.-]*$/.test(split)) {
    throw fault(split, 'is not the name of a split', 'use the STYLE of a split-STYLE.json, for instance "sketch"');
  }
  const info = await statOf(source, 'give a folder with one folder of pictures per class, or a split.json');
  if (info.isFile()) {
    if (split) throw fault(source, 'is a split file already', 'give its folder to choose one with --split');
    return readSplit(source, options);
  }
  if (!info.isDirectory()) throw fault(source, 'is neither a folder nor a file', 'give a folder or a split.json');

  const entries = await entriesOf(source);
  const files = entries.filter((entry) => !isFolder(entry)).map((entry) => entry.name);
  const file = findSplit(source, entries, files, split);
  if (file) return readSplit(path.join(source, file), options);
  return readFolders(source, options);
}

/**
 * The data sets that a path stands for: itself, or, for a folder of data sets, those of its folders that hold a split
 * file.
 * @param {string} source
 * @returns {Promise<string[]>}
 */
export async function findDatasets(source) {
  if (!(await statOf(source, 'give the folder of a data set')).isDirectory()) return [source];
  const holdsSplit = (entries) => entries.some(({ name }) => SPLIT.test(name));
  const entries = await entriesOf(source);
  if (holdsSplit(entries)) return [source];
  const folders = entries.filter(isFolder).map(({ name }) => path.join(source, name));
  const found = await Promise.all(folders.map(async (folder) => holdsSplit(await entriesOf(folder))));
  return found.some(Boolean) ? folders.filter((_, i) => found[i]) : [source];
}

/**
 * The styles that a data set can be read with (see `split` of loadDataset).
 * @param {string} source
 * @returns {Promise<string[]>}
 */
export async function stylesOf(source) {
  if (!(await statOf(source, 'give the folder of a data set')).isDirectory()) return [];
  const entries = await entriesOf(source);
  const files = entries.filter((entry) => !isFolder(entry)).map(({ name }) => STYLE_SPLIT.exec(name)?.[1]);
  const styles = files.filter((style) => style !== undefined);
  if (styles.length || entries.some(({ name }) => SPLIT.test(name))) return styles;
  return entries.flatMap((entry) => (isFolder(entry) && /^test-(.+)$/.exec(entry.name)?.slice(1)) || []);
}

/** The split file of a folder that is to be read, or undefined where its folders are the data set. */
function findSplit(source, entries, files, split) {
  if (split) {
    const wanted = `split-${split}.json`;
    if (files.includes(wanted)) return wanted;
    const { train, others } = partsIn(entries);
    if (train && others.includes(`test-${split}`) && !files.includes('split.json')) return undefined;
    const valid = files.flatMap((name) => STYLE_SPLIT.exec(name)?.[1] ?? []);
    throw fault(
      path.join(source, wanted),
      'there is no such file',
      valid.length ? `--split can be ${valid.sort().join(', ')}` : 'leave out --split: this data set has one split',
    );
  }
  if (files.includes('split.json')) return 'split.json';
  const coop = files.filter((name) => /^split_zhou_.*\.json$/.test(name));
  if (coop.length > 1) throw fault(source, `holds ${coop.length} split_zhou files`, 'give one of them by its path');
  return coop[0];
}

/** @param {import('./picture-files.js').Entry} entry */
const isFolder = ({ kind }) => kind === 'folder';

// ---------------------------------------------------------------------------------------------- split files

/** @param {string} file @param {DatasetOptions} options @returns {Promise<Dataset>} */
async function readSplit(file, { images, testOnly, listBroken }) {
  const info = await statOf(file, 'give a split file that exists');
  if (info.size === 0) throw fault(file, 'is empty', 'make it again or use a folder per class');
  if (info.size > LARGEST_SPLIT) {
    throw fault(file, `is larger than ${LARGEST_SPLIT / 2 ** 20} MiB`, 'a split file holds lists of paths and labels');
  }
  const data = parseJson(file, await readFile(file).catch((error) => unreadable(file, error)));
  const root = images ?? path.dirname(file);
  if (
    images !== undefined &&
    !(await statOf(images, 'give --images the folder that holds the pictures')).isDirectory()
  ) {
    throw fault(images, 'is not a folder', 'give --images the folder that holds the pictures');
  }
  if (!data || typeof data !== 'object' || Array.isArray(data)) {
    throw fault(file, 'is not a split: the outermost value is no object', 'expected "classes", "train" and "test"');
  }
  if (testOnly) data.train ??= [];
  const coop = data.classes === undefined;
  const result = coop ? fromCoop(file, data, root, testOnly) : fromLists(file, data, root, testOnly);
  if (!testOnly) requireTrainPerClass(file, result);
  if (coop && images === undefined) await findPictures(file, root, result);
  const broken = await requireFiles(file, result, { images, listBroken });
  return {
    name: path.basename(path.resolve(path.dirname(file))) + (data.domain ? `-${printable(String(data.domain))}` : ''),
    ...result,
    broken,
    notes: [],
  };
}

function parseJson(file, bytes) {
  if (ARCHIVE.test(file)) throw fault(file, 'is an archive', 'unpack it and give the folder');
  let text;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw fault(file, 'is not text in UTF-8', 'expected JSON with "classes", "train" and "test"');
  }
  try {
    return JSON.parse(text);
  } catch (/** @type {any} */ error) {
    throw fault(file, `is not valid JSON (${printable(error.message)})`, 'mend it or make it again');
  }
}

/** { classes: [name], template, train: [[path, label]], test, val } */
function fromLists(file, data, root, testOnly) {
  if (!Array.isArray(data.classes)) throw fault(file, '"classes" is not a list', 'expected a list of class names');
  const classes = checkClasses(file, data.classes, { mayRepeat: true });
  const { template } = data;
  if (template !== undefined) {
    if (typeof template !== 'string' || template.split('{}').length !== 2 || template.length > LONGEST_NAME) {
      throw fault(file, '"template" is not a sentence with one {}', 'for instance "a photo of a {}."');
    }
    if (printable(template) !== template) throw fault(file, '"template" holds control characters', 'remove them');
  }
  const examples = (part) =>
    listOf(file, data, part, testOnly).map((entry, index) => {
      const where = `"${part}" entry ${index + 1}`;
      if (!Array.isArray(entry) || entry.length < 2)
        throw fault(file, `${where} is not a pair`, 'expected [path, label]');
      return { path: checkPath(file, where, entry[0], root), label: checkLabel(file, where, entry[1], classes.length) };
    });
  return { classes, ...(template && { template }), ...parts(data, examples) };
}

/** CoOp: { train: [[path, label, class name]], val, test } */
function fromCoop(file, data, root, testOnly) {
  if (!Array.isArray(data.train) || !Array.isArray((testOnly ? data.test : data.train)?.[0])) {
    throw fault(
      file,
      'is not a split: it has no "classes"',
      'expected "classes", "train" and "test", or a file of CoOp',
    );
  }
  const names = [];
  const examples = (part) =>
    listOf(file, data, part, testOnly).map((entry, index) => {
      const where = `"${part}" entry ${index + 1}`;
      if (!Array.isArray(entry) || entry.length < 3 || typeof entry[2] !== 'string') {
        throw fault(file, `${where} is not a triple`, 'expected [path, label, class name]');
      }
      const label = checkLabel(file, where, entry[1], MOST_CLASSES);
      if (names[label] !== undefined && names[label] !== entry[2]) {
        throw fault(
          file,
          `label ${label} stands for ${quote(names[label])} and ${quote(entry[2])}`,
          'mend one of them',
        );
      }
      names[label] = entry[2];
      return { path: checkPath(file, where, entry[0], root), label };
    });
  const found = parts(data, examples);
  for (let label = 0; label < names.length; label++) {
    if (names[label] === undefined) {
      throw fault(
        file,
        `no picture has label ${label} of 0 ... ${names.length - 1}`,
        'count labels from 0, without gaps',
      );
    }
  }
  const template = COOP_TEMPLATES[/split_zhou_(\w+)\.json$/.exec(file)?.[1] ?? ''];
  return {
    classes: checkClasses(file, names.map(toName), { mayRepeat: true }),
    ...(template && { template }),
    ...found,
  };
}

function parts(data, examples) {
  return {
    train: examples('train'),
    test: examples('test'),
    ...(data.val !== undefined && { val: examples('val') }),
  };
}

function listOf(file, data, part, testOnly) {
  if (!Array.isArray(data[part])) throw fault(file, `"${part}" is not a list`, 'expected a list of [path, label]');
  const mayBeEmpty = part === 'val' || (part === 'train' && testOnly);
  if (!data[part].length && !mayBeEmpty) throw fault(file, `"${part}" is empty`, 'list at least one picture');
  return data[part];
}

function checkPath(file, where, value, root) {
  if (typeof value !== 'string' || value === '' || value.includes('\0')) {
    throw fault(file, `${where} has no path`, 'expected a path relative to the folder');
  }
  if (path.posix.isAbsolute(value) || path.win32.isAbsolute(value) || value.split(/[\\/]/).includes('..')) {
    throw fault(file, `${where} leaves the folder: ${quote(value)}`, 'use paths relative to the folder, without ".."');
  }
  return path.join(root, value);
}

function checkLabel(file, where, value, classes) {
  if (!Number.isInteger(value) || value < 0 || value >= classes) {
    throw fault(file, `${where} has label ${quote(value)}`, `expected a whole number from 0 to ${classes - 1}`);
  }
  return value;
}

function requireTrainPerClass(file, { classes, train }) {
  const counts = new Array(classes.length).fill(0);
  for (const { label } of train) counts[label]++;
  const without = classes.filter((_, label) => !counts[label]).map(quote);
  if (!without.length) return;
  const have = without.length > 1 ? `classes ${some(without)} have` : `class ${without[0]} has`;
  throw fault(file, `${have} no picture to train on`, 'add pictures or drop the class');
}

/**
 * CoOp keeps the pictures of most data sets in a folder beside the split file, from which its paths start. Where the
 * first picture is not there but in one of the folders, all paths are changed to start from that one.
 */
async function findPictures(file, root, { train, test, val = [] }) {
  const isThere = (name) =>
    stat(name).then(
      (info) => info.isFile(),
      () => false,
    );
  const first = test[0].path;
  if (await isThere(first)) return;
  for (const entry of await entriesOf(path.dirname(file))) {
    if (!isFolder(entry)) continue;
    const moved = (name) => path.join(root, entry.name, path.relative(root, name));
    if (!(await isThere(moved(first)))) continue;
    for (const example of [...train, ...test, ...val]) example.path = moved(example.path);
    return;
  }
}

/**
 * Every listed picture must be a file; what is not is named, or taken out of the lists.
 * @returns {Promise<Dataset['broken']>} what was taken out
 */
async function requireFiles(file, result, { images, listBroken }) {
  const lists = PARTS.flatMap((part) => (result[part] ? [{ part, examples: result[part] }] : []));
  const all = [...new Set(lists.flatMap(({ examples }) => examples.map((example) => example.path)))];
  const bad = new Set();
  for (let start = 0; start < all.length; start += 64) {
    const found = await Promise.all(
      all.slice(start, start + 64).map((name) => stat(onDisk(name)).catch(() => undefined)),
    );
    found.forEach((info, index) => {
      if (!info?.isFile()) bad.add(all[start + index]);
    });
  }
  if (!bad.size) return [];
  const [first] = bad;
  const remedy =
    images === undefined ? 'put it there, or say where the pictures are with --images DIR' : 'check --images';
  const missing = (name, count = '') =>
    fault(name, `is listed in ${printable(file)} but there is no such file${count}`, remedy);
  if (!listBroken || bad.size === all.length) throw missing(first, ` (${bad.size} of ${all.length})`);
  return lists.flatMap(({ part, examples }) => {
    result[part] = examples.filter((example) => !bad.has(example.path));
    const gone = examples.filter((example) => bad.has(example.path));
    return gone.map((example) => ({ ...example, part, error: missing(example.path) }));
  });
}

/** @param {string} file @param {string} remedy */
async function statOf(file, remedy) {
  return stat(onDisk(file)).catch((error) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR')
      throw fault(file, 'there is no such file or folder', remedy);
    return unreadable(file, error);
  });
}
