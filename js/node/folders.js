/**
 * Data sets that are folders: a folder per class, or the same below folders for training, testing and validation, in
 * the ways that people and data sets' authors lay them out.
 */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { checkClasses, fault, quote, some, toName } from './names.js';
import { entriesOf, LeftOut, picturesIn } from './picture-files.js';
import { PICTURE, READABLE } from './picture-kinds.js';

const HELD_OUT = 0.25; // share of a class's pictures that are kept for testing where there is no test folder
const PICTURE_KINDS = `${READABLE.slice(0, -1).join(', ')} or ${READABLE.at(-1)}`;
const CLASS_FOLDERS = 'put the pictures of each class in a folder of its name';

/** What the parts' folders are called; the first that is there is read. */
const PARTS = {
  train: ['train', 'training', 'trn'],
  test: ['test', 'testing', 'tst', 'evaluation', 'eval', 'holdout'],
  val: ['val', 'valid', 'validation', 'validate', 'dev', 'development'],
};
/** Words that may stand beside: train_images, Training Set, seg_train. */
const BESIDE = /^(the|my|set|images?|imgs?|pictures?|pics|photos?|data|datasets?|folder|split|files|seg|class(es)?)$/;
/** Folders between a part and its classes that mean nothing. */
const BETWEEN = /^(images?|imgs?|pictures?|pics|photos?|data|datasets?|all|class(es)?|unlabell?ed|unknown)$/i;

/**
 * The part that a folder's name stands for, in any case.
 * @param {string} name
 * @returns {{ part: 'train' | 'test' | 'val', rank: number } | null} the lower rank goes first
 */
export function partOf(name) {
  const words = name.toLowerCase().split(/[^\p{L}]+/u);
  const left = words.filter((word) => word && !BESIDE.test(word));
  const [word] = left.length === 1 ? left : [];
  for (const [part, names] of /** @type {['train' | 'test' | 'val', string[]][]} */ (Object.entries(PARTS))) {
    const rank = names.findIndex(
      (each) => word === each || (word?.startsWith(each) && BESIDE.test(word.slice(each.length))),
    );
    if (rank >= 0) return { part, rank: rank + (name === names[rank] ? 0 : 0.5) };
  }
  return null;
}

/**
 * The folders of a data set's parts.
 * @param {import('./picture-files.js').Entry[]} entries
 * @returns {{ train?: string, test?: string, val?: string, others: string[] }} others: folders that are no part, or
 *   another of the same one
 */
export function partsIn(entries) {
  const folders = entries.filter(({ kind }) => kind === 'folder').map(({ name }) => name);
  const ranked = folders.flatMap((name) => {
    const found = partOf(name);
    return found ? [{ name, ...found }] : [];
  });
  ranked.sort((a, b) => a.rank - b.rank);
  const [train, test, val] = ['train', 'test', 'val'].map((part) => ranked.find((each) => each.part === part)?.name);
  return { train, test, val, others: folders.filter((name) => ![train, test, val].includes(name)) };
}

/**
 * @param {string} source
 * @param {import('./datasets.js').DatasetOptions} options
 * @returns {Promise<import('./datasets.js').Dataset>}
 */
export async function readFolders(source, { split, images, testOnly, listBroken }) {
  if (images !== undefined) throw fault(source, 'has no split file', '--images goes with one: leave it out');
  const name = path.basename(path.resolve(source));
  const left = new LeftOut(source);
  const from = await inner(source, name, { top: true, any: !testOnly, left });
  const notes = from === source ? [] : [`Read from ${from}, as ${source} holds no other folder.`];
  /** @param {any} dataset @returns {import('./datasets.js').Dataset} */
  const end = ({ broken, ...dataset }) => {
    if (!listBroken)
      for (const each of broken) left.add(each.path, 'picture that cannot be opened', 'pictures that cannot be opened');
    return {
      name,
      ...dataset,
      broken: listBroken ? broken : [],
      notes: [...notes, ...(dataset.notes ?? []), ...left.notes],
    };
  };

  const entries = await entriesOf(from);
  const parts = partsIn(entries);
  if (!(await isParted(from, entries, parts))) {
    const apart = testOnly && parts.test && (await holdsFolders(path.join(from, parts.test)));
    const read = await readClasses(apart ? await partFolder(from, parts.test) : from, left);
    return end(
      testOnly
        ? { classes: read.classes, train: [], test: flat(read.lists), broken: listed(read, 'test') }
        : divide(from, read),
    );
  }

  tally(from, await entriesOf(from, left), left);
  for (const other of parts.others) {
    if (!/^test-/.test(other)) left.add(path.join(from, other), 'folder that is no part', 'folders that are no part');
  }
  const train = await readClasses(await partFolder(from, parts.train), left);
  const rest = async (part, folder) => {
    const read = folder === undefined ? null : await readPart(await partFolder(from, folder, train.keys), train, left);
    return read && { list: flat(read.lists), broken: listed(read, part) };
  };
  const val = await rest('val', parts.val);
  const test = await rest('test', split ? `test-${split}` : parts.test);
  const broken = [...listed(train, 'train'), ...(test?.broken ?? []), ...(val?.broken ?? [])];
  const more = { ...(val?.list.length && { val: val.list }), broken };
  if (!test) return end({ classes: train.classes, ...holdOut(train, parts.test), ...more });
  return end({
    classes: train.classes,
    train: flat(train.lists),
    test: test.list,
    ...more,
    ...(split && { name: `${name}-${split}` }),
  });
}

/**
 * Whether the folders are parts and not classes. A class may be called train; then others lie beside it.
 * @param {string} from
 * @param {import('./picture-files.js').Entry[]} entries
 * @param {ReturnType<typeof partsIn>} parts
 */
async function isParted(from, entries, { train, test, val, others }) {
  if (!train) return false;
  if (test ?? val ?? others.find((name) => /^test-/.test(name))) return true;
  const inside = await entriesOf(path.join(from, train));
  if (!inside.some(({ kind }) => kind === 'folder') || inside.some(({ name }) => PICTURE.test(name))) return false;
  const beside = await Promise.all(others.map((name) => entriesOf(path.join(from, name))));
  return !beside.some((each) => each.some(({ name }) => PICTURE.test(name)));
}

const holdsFolders = async (folder) => (await entriesOf(folder)).some(({ kind }) => kind === 'folder');

/** Where the classes of a part are; test pictures may be of one class. @param {string[]} [classes] those of train */
const partFolder = (from, folder, classes) =>
  inner(path.join(from, folder), folder, { any: classes === undefined, classes });

/**
 * A folder, or that inside it which alone is there and says nothing: archives are often unpacked into a folder of their
 * own name, and train/train is usual.
 * @param {string} folder
 * @param {string} name of it
 * @param {object} options
 * @param {boolean} [options.top] whether parts may be inside, which say something
 * @param {boolean} [options.any] whether one of any name is gone through that itself holds folders: one class is none
 * @param {string[]} [options.classes] known ones
 * @param {LeftOut} [options.left] told of what lies beside the folder that is gone through
 * @returns {Promise<string>}
 */
async function inner(folder, name, { top = false, any = false, classes = [], left }) {
  const entries = await entriesOf(folder);
  const [only, ...others] = entries.filter(({ kind }) => kind === 'folder').map((entry) => entry.name);
  if (!only || others.length || classes.includes(only) || entries.some((entry) => PICTURE.test(entry.name))) {
    return folder;
  }
  const inside = path.join(folder, only);
  const part = partOf(only) !== null;
  const isNothing = only.toLowerCase() === name.toLowerCase() || BETWEEN.test(only) || (part && !top);
  if (!isNothing && !(any && !part && (await holdsFolders(inside)))) return folder;
  if (left) tally(folder, entries, left);
  return inner(inside, only, { top, any, classes, left });
}

const flat = (lists) => lists.flatMap((files, label) => files.map((file) => ({ path: file, label })));
const listed = ({ broken }, part) => broken.map((each) => ({ part, ...each }));

/** What lies beside class folders. */
function tally(folder, entries, left) {
  for (const { name, kind } of entries) {
    const file = path.join(folder, name);
    if (kind === 'folder') continue;
    if (PICTURE.test(name)) left.add(file, 'picture outside class folders', 'pictures outside class folders');
    else left.add(file, 'other file');
  }
}

/** @param {string} folder @param {LeftOut} left */
async function readClasses(folder, left) {
  const entries = await entriesOf(folder, left);
  const keys = entries.filter(({ kind }) => kind === 'folder').map(({ name }) => name);
  if (!keys.length) throw withoutFolders(folder, entries);
  tally(folder, entries, left);
  const classes = checkClasses(folder, keys.map(toName));
  const lists = [];
  const broken = [];
  const empty = [];
  for (const [label, key] of keys.entries()) {
    const own = new LeftOut(path.join(folder, key), left);
    const found = await picturesIn(path.join(folder, key), own);
    if (!found.pictures.length) empty.push({ key, holds: own.parts });
    lists.push(found.pictures);
    broken.push(...found.broken.map((each) => ({ label, ...each })));
  }
  requirePictures(folder, empty);
  return { classes, keys, lists, broken, folder };
}

/** @param {string} folder @param {{ key: string, holds: string[] }[]} empty */
function requirePictures(folder, empty) {
  if (!empty.length) return;
  const holds = empty.flatMap(({ holds }) => holds);
  const but = holds.length ? `, but ${some(holds, 3)}` : '';
  const remedy = `put ${PICTURE_KINDS} files in it or remove it`;
  if (empty.length === 1) throw fault(path.join(folder, empty[0].key), `holds no pictures${but}`, remedy);
  const names = some(empty.map(({ key }) => quote(key)));
  throw fault(
    folder,
    `${empty.length} class folders hold no pictures${but}: ${names}`,
    remedy.replaceAll(' it', ' them'),
  );
}

/** Pictures that lie in no class folder, perhaps with a table of their labels. */
function withoutFolders(folder, entries) {
  const pictures = entries.filter(({ name }) => PICTURE.test(name)).length;
  const table = entries.find(({ name }) => /\.(csv|tsv|jsonl?|xml|xlsx?|parquet)$/i.test(name));
  const what = pictures ? `holds no class folders, but ${pictures} pictures` : 'holds no class folders';
  if (!table) return fault(folder, what, CLASS_FOLDERS);
  return fault(
    folder,
    `${what} and ${quote(table.name)}, which is not read`,
    `${CLASS_FOLDERS}, or write a split.json`,
  );
}

/**
 * The pictures of a part other than train, whose classes those of train are: a folder may be missing or empty, and one
 * that is not among them is refused.
 * @returns {Promise<{ lists: string[][], broken: any[] } | null>} null: it has no labels
 */
async function readPart(folder, { keys, classes }, left) {
  const entries = await entriesOf(folder, left);
  const folders = entries.filter(({ kind }) => kind === 'folder').map(({ name }) => name);
  if (!folders.length) {
    const pictures = (await picturesIn(folder, new LeftOut(folder))).pictures.length;
    if (!pictures) throw withoutFolders(folder, entries);
    const [one, many] = [
      'picture without a class folder, and so without a label',
      'pictures in no class folders, and so without labels',
    ];
    left.add(folder, one, many, pictures);
    return null;
  }
  const labels = folders.map((name) => (keys.includes(name) ? keys.indexOf(name) : labelLike(classes, name)));
  const foreign = folders.filter((_, i) => labels[i] < 0);
  if (foreign.length) {
    const what = foreign.length > 1 ? `and ${foreign.length - 1} more are classes` : 'is a class';
    const more = foreign.length > 1 ? ` (${some(foreign.map(quote))})` : '';
    throw fault(
      path.join(folder, foreign[0]),
      `${what} without training pictures${more}`,
      'add it to train or remove it',
    );
  }
  tally(folder, entries, left);
  /** @type {string[][]} */
  const lists = keys.map(() => []);
  const broken = [];
  for (const [i, name] of folders.entries()) {
    const found = await picturesIn(path.join(folder, name), left);
    if (!found.pictures.length)
      left.add(path.join(folder, name), 'class folder without pictures', 'class folders without pictures');
    lists[labels[i]].push(...found.pictures);
    broken.push(...found.broken.map((each) => ({ label: labels[i], ...each })));
  }
  if (lists.every((files) => !files.length)) throw fault(folder, 'holds no pictures', `add ${PICTURE_KINDS} files`);
  return { lists, broken };
}

/** A class whose name is written otherwise: with _ for a space, in another case. @param {string[]} classes */
function labelLike(classes, folder) {
  const key = String(toName(folder)).toLowerCase();
  return classes.findIndex((name) => name.toLowerCase() === key);
}

/**
 * Classes that have pictures to train on and to test: in folders of their own below the class, or held out.
 * @param {string} folder
 * @param {Awaited<ReturnType<typeof readClasses>>} read
 */
function divide(folder, read) {
  const { classes, keys, lists } = read;
  const partIn = (file, label) => {
    const [first, ...rest] = path.relative(path.join(folder, keys[label]), file).split(path.sep);
    return (rest.length && partOf(first)?.part) || 'train';
  };
  const by = (part) => flat(lists).filter((example) => partIn(example.path, example.label) === part);
  const [train, test, val] = ['train', 'test', 'val'].map(by);
  if (!test.length) return { classes, ...holdOut(read), broken: listed(read, 'train') };
  const without = classes.filter((_, label) => !train.some((example) => example.label === label));
  if (without.length)
    throw fault(folder, `${some(without.map(quote))}: no picture to train on`, 'add pictures or drop the class');
  const note = 'Each class has folders of its own for training and testing.';
  return { classes, train, test, ...(val.length && { val }), broken: listed(read, 'train'), notes: [note] };
}

/**
 * The same pictures every time, whatever a run's seed: what was held out once is never trained on.
 * @param {Awaited<ReturnType<typeof readClasses>>} read
 * @param {string} [unlabelled] test folder without labels
 */
function holdOut({ folder, classes, lists }, unlabelled) {
  const train = [];
  const test = [];
  const single = classes.filter((_, label) => lists[label].length < 2);
  if (single.length) {
    const what =
      single.length > 1
        ? `${single.length} classes have one picture each (${some(single.map(quote))})`
        : `class ${quote(single[0])} has one picture`;
    throw fault(folder, what, 'add a second, or a test folder beside train');
  }
  lists.forEach((files, label) => {
    const order = shuffled(files);
    const count = Math.max(1, Math.round(files.length * HELD_OUT));
    test.push(...order.slice(0, count).map((file) => ({ path: file, label })));
    train.push(...order.slice(count).map((file) => ({ path: file, label })));
  });
  const all = test.length + train.length;
  const why = unlabelled === undefined ? 'No test folder' : 'No test pictures with labels';
  const note = `${why}: ${test.length} of ${all} pictures, always the same, are held out for testing.`;
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
