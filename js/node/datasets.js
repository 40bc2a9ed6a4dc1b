/**
 * Data sets of pictures on disk: a folder per class, a split.json, or a split_zhou_*.json of CoOp.
 *
 * Every path and label is checked before anything is trained, and what is wrong is said with the file's name. It
 * refuses paths that leave the data set's folder, and it never opens a picture: decoding is the library's work.
 *
 *   const { classes, train, test } = await loadDataset('flowers');   // flowers/rose/1.jpg, flowers/tulip/1.jpg ...
 */
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { MudptError } from '../errors.js';
import { LARGEST_SPLIT, LONGEST_NAME, MOST_CLASSES } from '../limits.js';

export const PICTURE = /\.(jpe?g|png|gif|bmp)$/i;
const SPLIT = /^split(_zhou_.*)?\.json$/;
const STYLE_SPLIT = /^split-(.+)\.json$/;
const PICTURE_KINDS = 'JPEG, PNG, GIF or BMP';
const HELD_OUT = 0.25; // share of a class's pictures that are kept for testing where there is no test folder

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
 * @property {string[]} notes        what the user should know of how it was read
 */

/**
 * Reads and checks a data set.
 *
 * @param {string} source  a folder, or a split file
 * @param {object} [options]
 * @param {string} [options.images]  folder that the paths of a split file start from; default: the split file's own
 * @param {string} [options.split]   STYLE of a split-STYLE.json (or a folder test-STYLE): other test pictures
 * @param {boolean} [options.testOnly]  only test pictures are needed: `train` may be empty, and of a folder per class
 *   without test folder all pictures are tested on
 * @returns {Promise<Dataset>}
 * @throws {MudptError} code 'dataset'
 */
export async function loadDataset(source, { images, split, testOnly = false } = {}) {
  if (split !== undefined && !/^[\w-][\w.-]*$/.test(split)) {
    throw fault(split, 'is not the name of a split', 'use the STYLE of a split-STYLE.json, for instance "sketch"');
  }
  const info = await statOf(source, 'give a folder with one folder of pictures per class, or a split.json');
  if (info.isFile()) {
    if (split) throw fault(source, 'is a split file already', 'give its folder to choose one with --split');
    return readSplit(source, images, testOnly);
  }
  if (!info.isDirectory()) throw fault(source, 'is neither a folder nor a file', 'give a folder or a split.json');

  const entries = await list(source);
  const files = entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name);
  const file = findSplit(source, entries, files, split);
  if (file) return readSplit(path.join(source, file), images, testOnly);
  return readFolders(source, entries, { split, images, testOnly });
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
  const entries = await list(source);
  if (holdsSplit(entries)) return [source];
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => path.join(source, name));
  const found = await Promise.all(folders.map(async (folder) => holdsSplit(await list(folder))));
  return found.some(Boolean) ? folders.filter((_, i) => found[i]) : [source];
}

/**
 * The styles that a data set can be read with (see `split` of loadDataset).
 * @param {string} source
 * @returns {Promise<string[]>}
 */
export async function stylesOf(source) {
  if (!(await statOf(source, 'give the folder of a data set')).isDirectory()) return [];
  const entries = await list(source);
  const files = entries.filter((entry) => !entry.isDirectory()).map(({ name }) => STYLE_SPLIT.exec(name)?.[1]);
  const styles = files.filter((style) => style !== undefined);
  if (styles.length || entries.some(({ name }) => SPLIT.test(name))) return styles;
  return entries.flatMap((entry) => (entry.isDirectory() && /^test-(.+)$/.exec(entry.name)?.slice(1)) || []);
}

/** The split file of a folder that is to be read, or undefined where its folders are the data set. */
function findSplit(source, entries, files, split) {
  if (split) {
    const wanted = `split-${split}.json`;
    if (files.includes(wanted)) return wanted;
    const folder = (name) => entries.some((entry) => entry.isDirectory() && entry.name === name);
    if (folder(`test-${split}`) && folder('train') && !files.includes('split.json')) return undefined;
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

// ---------------------------------------------------------------------------------------------- split files

async function readSplit(file, images, testOnly) {
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
  await requireFiles(file, result, images);
  return {
    name: path.basename(path.resolve(path.dirname(file))) + (data.domain ? `-${printable(String(data.domain))}` : ''),
    ...result,
    notes: [],
  };
}

function parseJson(file, bytes) {
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
  const classes = checkClasses(file, data.classes);
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
  return { classes: checkClasses(file, names.map(toName)), ...(template && { template }), ...found };
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

function checkClasses(file, names) {
  if (!names.length) throw fault(file, 'has no classes', 'name at least two');
  if (names.length > MOST_CLASSES)
    throw fault(file, `has ${names.length} classes`, `at most ${MOST_CLASSES} are possible`);
  const seen = new Map();
  return names.map((name, index) => {
    if (typeof name !== 'string' || !name.trim() || name.length > LONGEST_NAME) {
      throw fault(file, `class ${index} has no usable name`, `expected 1 to ${LONGEST_NAME} characters of text`);
    }
    if (printable(name) !== name)
      throw fault(file, `the name of class ${index} holds control characters`, 'remove them');
    const key = name.trim().toLowerCase();
    if (seen.has(key)) {
      throw fault(file, `classes ${seen.get(key)} and ${index} are both called ${quote(name)}`, 'rename or merge them');
    }
    seen.set(key, index);
    return name.trim();
  });
}

function requireTrainPerClass(file, { classes, train }) {
  const counts = new Array(classes.length).fill(0);
  for (const { label } of train) counts[label]++;
  const without = classes.filter((_, label) => !counts[label]);
  if (without.length) {
    const more = without.length > 1 ? ` and ${without.length - 1} more` : '';
    throw fault(file, `class ${quote(without[0])}${more} has no picture to train on`, 'add pictures or drop the class');
  }
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
  for (const entry of await list(path.dirname(file))) {
    if (!entry.isDirectory()) continue;
    const moved = (name) => path.join(root, entry.name, path.relative(root, name));
    if (!(await isThere(moved(first)))) continue;
    for (const example of [...train, ...test, ...val]) example.path = moved(example.path);
    return;
  }
}

/** Every listed picture must be a file; the first that is not is named. */
async function requireFiles(file, { train, test, val = [] }, images) {
  const all = [...new Set([...train, ...test, ...val].map((example) => example.path))];
  const bad = [];
  for (let start = 0; start < all.length; start += 64) {
    const found = await Promise.all(all.slice(start, start + 64).map((name) => stat(name).catch(() => undefined)));
    found.forEach((info, index) => {
      if (!info?.isFile()) bad.push(all[start + index]);
    });
  }
  if (bad.length) {
    const remedy =
      images === undefined ? 'put it there, or say where the pictures are with --images DIR' : 'check --images';
    throw fault(
      bad[0],
      `is listed in ${printable(file)} but there is no such file (${bad.length} of ${all.length})`,
      remedy,
    );
  }
}

// ---------------------------------------------------------------------------------------------- folders

/** A folder per class, or the same below train/, test/ and val/. */
async function readFolders(source, entries, { split, images, testOnly }) {
  if (images !== undefined) throw fault(source, 'has no split file', '--images goes with one: leave it out');
  const name = path.basename(path.resolve(source));
  const trainFolder = path.join(source, 'train');
  const folders = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  const parted = folders.includes('train') && (await hasFolders(trainFolder));
  if (!parted && testOnly) {
    const apart = folders.includes('test') && (await hasFolders(path.join(source, 'test')));
    const { classes, lists } = await readClasses(apart ? path.join(source, 'test') : source);
    return { name, classes, train: [], test: flat(lists), notes: [] };
  }
  if (!parted) {
    const { classes, lists } = await readClasses(source);
    return { name, classes, ...holdOut(source, classes, lists) };
  }

  const testName = split ? `test-${split}` : 'test';
  const { classes, keys, lists } = await readClasses(trainFolder);
  const rest = async (part) => flat((await readClasses(path.join(source, part), keys)).lists);
  const val = folders.includes('val') ? { val: await rest('val') } : {};
  if (!folders.includes(testName)) return { name, classes, ...holdOut(trainFolder, classes, lists), ...val };
  return {
    name: split ? `${name}-${split}` : name,
    classes,
    train: flat(lists),
    test: await rest(testName),
    ...val,
    notes: [],
  };
}

const flat = (lists) => lists.flatMap((files, label) => files.map((file) => ({ path: file, label })));

/**
 * The pictures of every class folder. With `known` (folder names of the training part) classes are those: a folder may
 * be missing, and one that is not among them is refused.
 */
async function readClasses(folder, known) {
  const found = (await list(folder)).filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  if (!found.length)
    throw fault(folder, 'holds no class folders', 'put the pictures of each class in a folder of its name');
  const foreign = known && found.find((name) => !known.includes(name));
  if (foreign)
    throw fault(path.join(folder, foreign), 'is a class without training pictures', 'add it to train or remove it');

  const keys = known ?? found;
  const classes = checkClasses(folder, keys.map(toName));
  const lists = [];
  for (const key of keys) {
    const files = found.includes(key) ? (await list(path.join(folder, key))).map((entry) => entry.name) : [];
    const pictures = files.filter((name) => PICTURE.test(name));
    if (found.includes(key) && !pictures.length) {
      throw fault(path.join(folder, key), 'holds no pictures', `put ${PICTURE_KINDS} files in it or remove it`);
    }
    lists.push(pictures.map((name) => path.join(folder, key, name)));
  }
  if (known && lists.every((files) => !files.length))
    throw fault(folder, 'holds no pictures', `add ${PICTURE_KINDS} files`);
  return { classes, keys, lists };
}

/** The same pictures every time, whatever a run's seed: what was held out once is never trained on. */
function holdOut(folder, classes, lists) {
  const train = [];
  const test = [];
  lists.forEach((files, label) => {
    if (files.length < 2) {
      throw fault(
        folder,
        `class ${quote(classes[label])} has one picture`,
        'add a second, or a test folder beside train',
      );
    }
    const order = shuffled(files);
    const count = Math.max(1, Math.round(files.length * HELD_OUT));
    test.push(...order.slice(0, count).map((file) => ({ path: file, label })));
    train.push(...order.slice(count).map((file) => ({ path: file, label })));
  });
  const all = test.length + train.length;
  const note = `No test folder: ${test.length} of ${all} pictures, always the same, are held out for testing.`;
  return { train, test, notes: [note] };
}

/** In an order that depends on the files' names alone, so that a picture more does not move the others. */
function shuffled(files) {
  const key = (file) => createHash('sha256').update(path.basename(file)).digest('hex');
  return files
    .map((file) => [key(file), file])
    .sort()
    .map(([, file]) => file);
}

async function hasFolders(folder) {
  const entries = await list(folder);
  return entries.some((entry) => entry.isDirectory()) && !entries.some((entry) => PICTURE.test(entry.name));
}

/**
 * Visible files and folders, links followed, in an order that does not depend on the machine's language. What is
 * neither (a pipe, a device) is left out, for reading it could wait for ever.
 */
async function list(folder) {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error) => unreadable(folder, error));
  const visible = entries.filter((entry) => !entry.name.startsWith('.'));
  const kinds = await Promise.all(
    visible.map((entry) =>
      entry.isSymbolicLink() ? stat(path.join(folder, entry.name)).catch(() => undefined) : entry,
    ),
  );
  return visible
    .map(({ name }, index) => ({
      name,
      isFile: () => kinds[index]?.isFile(),
      isDirectory: () => kinds[index]?.isDirectory(),
    }))
    .filter((entry) => entry.isFile() || entry.isDirectory())
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

// ---------------------------------------------------------------------------------------------- words

const toName = (name) => (typeof name === 'string' ? name.replaceAll('_', ' ').replace(/\s+/g, ' ').trim() : name);

/** Without control characters: names from files never steer a terminal, turn its text round or break a line. */
export const printable = (text) => text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, '?');

/** Text as a file's name, or part of it, that needs no quoting in a shell. @param {string} text */
export const fileName = (text) => text.replace(/[^\p{L}\p{N}_.-]+/gu, '-').replace(/^-+/, '') || 'data';

const quote = (value) => {
  const text = printable(JSON.stringify(value) ?? String(value));
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
};

const fault = (file, what, remedy) => new MudptError('dataset', `${printable(file)}: ${what}`, remedy);

/** @param {string} file @param {string} remedy */
async function statOf(file, remedy) {
  return stat(file).catch((error) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR')
      throw fault(file, 'there is no such file or folder', remedy);
    return unreadable(file, error);
  });
}

/** @returns {never} */
function unreadable(file, error) {
  throw fault(file, `cannot be read (${error.code ?? error.message})`, 'check its name and permissions');
}
