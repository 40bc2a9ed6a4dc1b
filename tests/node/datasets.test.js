/** What people point --data at: folders, split files, files of CoOp, and the many ways in which they are wrong. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, test } from 'node:test';
import { findDatasets, loadDataset, stylesOf } from '../../js/node/datasets.js';
import { readPicture } from '../../js/node/files.js';
import { printable } from '../../js/node/names.js';
import { openSet } from '../../js/protocol/sets.js';

const root = mkdtempSync(path.join(tmpdir(), 'mudpt-datasets-'));
after(() => rmSync(root, { recursive: true, force: true }));

let made = 0;
/** A new folder with these files; the content does not matter here. */
function folder(files) {
  const at = path.join(root, `set${made++}`);
  mkdirSync(at);
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(at, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, typeof content === 'string' || Buffer.isBuffer(content) ? content : JSON.stringify(content));
  }
  return at;
}
const pictures = (...names) => Object.fromEntries(names.map((name) => [name, 'x']));
const JPEG = Buffer.from('ffd8ffe000104a464946', 'hex');
const AVIF = Buffer.from('\0\0\0\x1cftypavif', 'latin1');
const relative = (at, examples) => examples.map(({ path: file, label }) => [path.relative(at, file), label]);

test('a folder per class with train, test and val', async () => {
  const at = folder(
    pictures(
      'train/house_cat/1.jpg',
      'train/house_cat/2.PNG',
      'train/dog/1.gif',
      'train/.cache/1.jpg',
      'train/dog/.hidden.jpg',
      'train/dog/notes.txt',
      'test/dog/9.bmp',
      'test/house_cat/8.jpeg',
      'val/dog/5.jpg',
    ),
  );
  const set = await loadDataset(at);
  assert.equal(set.name, path.basename(at));
  assert.deepEqual(set.classes, ['dog', 'house cat']);
  assert.deepEqual(relative(at, set.train), [
    ['train/dog/1.gif', 0],
    ['train/house_cat/1.jpg', 1],
    ['train/house_cat/2.PNG', 1],
  ]);
  assert.deepEqual(relative(at, set.test), [
    ['test/dog/9.bmp', 0],
    ['test/house_cat/8.jpeg', 1],
  ]);
  assert.deepEqual(relative(at, set.val), [['val/dog/5.jpg', 0]]);
  const hidden = '2 hidden files or folders (train/.cache, train/dog/.hidden.jpg)';
  assert.deepEqual(set.notes, [`Left out: ${hidden}; 1 other file (train/dog/notes.txt).`]);
});

test('without a test folder the same pictures are held out every time, and it is said', async () => {
  const names = ['cat', 'dog'].flatMap((name) => Array.from({ length: 8 }, (_, i) => `${name}/${i}.jpg`));
  const [first, second] = [
    await loadDataset(folder(pictures(...names))),
    await loadDataset(folder(pictures(...names))),
  ];
  const short = (examples) => examples.map((example) => example.path.split(path.sep).slice(-2).join('/'));
  assert.deepEqual(short(first.test), short(second.test));
  assert.equal(first.test.length, 4);
  assert.equal(first.train.length, 12);
  assert.deepEqual([...short(first.train), ...short(first.test)].sort(), [...names].sort());
  assert.match(first.notes[0], /No test folder: 4 of 16 pictures/);

  const more = await loadDataset(folder(pictures(...names, 'cat/new.jpg')));
  const dogs = (set) => short(set.test).filter((name) => name.startsWith('dog'));
  assert.deepEqual(dogs(more), dogs(first), 'a picture more of one class moves no other');
});

// ------------------------------------------------------------------------------------------ as people lay them out

/** What is read of a folder, each part's files from the folder, and what is said of the rest. */
async function readParts(files, options) {
  const at = folder(files);
  const set = await loadDataset(at, options);
  const names = (examples = []) => relative(at, examples).map(([file]) => file.replaceAll(path.sep, '/'));
  const [train, test, val] = [set.train, set.test, set.val].map(names);
  return {
    at,
    set,
    classes: set.classes,
    train,
    test,
    val,
    notes: set.notes.map((note) => note.replaceAll(at, 'SET')),
  };
}

for (const parts of [
  ['Training', 'Testing', 'Validation'],
  ['train_images', 'test_images', 'val_images'],
  ['TRAIN', 'Test', 'dev'],
  ['training_set', 'test_set', 'valid'],
  ['seg_train/seg_train', 'seg_test/seg_test', 'images val'],
  ['train/train', 'test/images', 'VAL'],
  ['trainset', 'testset', 'valset'],
  ['Train Data', 'eval', 'development'],
]) {
  test(`parts may be called ${parts.join(', ')}`, async () => {
    const [train, tested, val] = parts;
    const files = ['cat', 'dog'].flatMap((name) => parts.map((part) => `${part}/${name}/1.jpg`));
    const read = await readParts(pictures(...files));
    assert.deepEqual(read.classes, ['cat', 'dog']);
    assert.deepEqual(read.train, [`${train}/cat/1.jpg`, `${train}/dog/1.jpg`]);
    assert.deepEqual(read.test, [`${tested}/cat/1.jpg`, `${tested}/dog/1.jpg`]);
    assert.deepEqual(read.val, [`${val}/cat/1.jpg`, `${val}/dog/1.jpg`]);
    assert.deepEqual(read.notes, []);
  });
}

test('a part that is there twice is read once, and the other is named', async () => {
  const read = await readParts(
    pictures(...['train', 'val', 'validation', 'test', 'extra'].map((part) => `${part}/cat/1.jpg`), 'train/dog/1.jpg'),
  );
  assert.deepEqual(read.val, ['val/cat/1.jpg']);
  assert.deepEqual(read.notes, ['Left out: 2 folders that are no part (extra, validation).']);
});

test('classes that are called like parts stay classes', async () => {
  const files = ['train', 'bus'].flatMap((name) => [`${name}/1.jpg`, `${name}/old/2.jpg`, `${name}/3.jpg`]);
  assert.deepEqual((await readParts(pictures(...files))).classes, ['bus', 'train']);
  const kinds = ['steam', 'diesel'].flatMap((kind) => [`train/${kind}/1.jpg`, `train/${kind}/2.jpg`]);
  assert.deepEqual((await readParts(pictures(...kinds, 'bus/1.jpg', 'bus/2.jpg'))).classes, ['bus', 'train']);
  for (const name of ['test tube', 'training shoe', 'valley', 'trainer', 'developer', 'testament']) {
    const read = await readParts(pictures(`${name}/1.jpg`, `${name}/2.jpg`, 'cat/1.jpg', 'cat/2.jpg'));
    assert.deepEqual(read.classes, ['cat', name]);
  }
});

test('pictures below a class are its own; links that lead back end nothing', async () => {
  const at = folder(pictures('cat/1.jpg', 'cat/2022/2.jpg', 'cat/2023/05/3.jpg', 'dog/a/1.jpg', 'dog/b/2.jpg'));
  symlinkSync('..', path.join(at, 'cat', '2023', 'again'));
  symlinkSync(path.join(at, 'cat', '2022'), path.join(at, 'cat', 'twice'));
  const set = await loadDataset(at);
  assert.equal(set.train.length + set.test.length, 5);
  assert.match(set.notes.at(-1), /^Left out: 2 links to folders read already \(cat\/2023\/again, cat\/twice\)\.$/);
});

test('train and test below each class', async () => {
  const files = ['cat', 'dog'].flatMap((name) => [`${name}/train/1.jpg`, `${name}/Test/2.jpg`, `${name}/3.jpg`]);
  const read = await readParts(pictures(...files));
  assert.deepEqual(read.test, ['cat/Test/2.jpg', 'dog/Test/2.jpg']);
  assert.equal(read.train.length, 4);
  assert.deepEqual(read.notes, ['Each class has folders of its own for training and testing.']);
});

test('an archive that was unpacked into a folder of its own name', async () => {
  const files = ['train/cat/1.jpg', 'train/dog/1.jpg', 'test/cat/2.jpg'].map((name) => `pets/${name}`);
  const read = await readParts({ ...pictures(...files), '__MACOSX/x': '' });
  assert.deepEqual([read.train.length, read.test.length], [2, 1]);
  assert.match(read.notes[0], /^Read from SET\/pets, as /);
  const one = await readParts(
    pictures(...['cat', 'dog'].flatMap((name) => [`PetImages/${name}/1.jpg`, `PetImages/${name}/2.jpg`])),
  );
  assert.deepEqual(one.classes, ['cat', 'dog']);
});

test('what lies beside the only folder is named, and an archive is called one', async () => {
  const files = ['data/cat/1.jpg', 'data/cat/2.jpg', 'data/dog/1.jpg', 'data/dog/2.jpg'];
  const read = await readParts({ ...pictures(...files), 'labels.csv': 'filename,label\n' });
  assert.match(
    read.notes.join('\n'),
    /^Read from SET\/data, as .*holds no other folder\.\n[^]*Left out: .*labels\.csv/,
  );
  const at = await folder({ 'pets.zip': 'PK' });
  await assert.rejects(loadDataset(path.join(at, 'pets.zip')), /pets\.zip: is an archive; unpack it/);
});

test('test and val without labels are named, and pictures are held out in their place', async () => {
  const names = ['cat', 'dog'].flatMap((name) => [1, 2, 3, 4].map((i) => `train/${name}/${i}.jpg`));
  for (const flat of ['test', 'test/test', 'Testing/unlabelled']) {
    const read = await readParts(pictures(...names, `${flat}/1.jpg`, `${flat}/2.jpg`, 'val/5.jpg'));
    assert.equal(read.test.length, 2);
    assert.deepEqual(read.val, []);
    assert.match(read.notes[0], /^No test pictures with labels: 2 of 8 pictures, /);
    assert.match(read.notes[1], /^Left out: 3 pictures in no class folders, and so without labels \(val, \w+/);
  }
});

test('test folders find their class in another case, and may be empty', async () => {
  const read = await readParts({
    ...pictures('train/house_cat/1.jpg', 'train/Dog/1.jpg', 'test/House Cat/2.jpg'),
    'test/dog/.keep': '',
  });
  assert.deepEqual(read.classes, ['Dog', 'house cat']);
  assert.deepEqual(relative(read.at, read.set.test), [['test/House Cat/2.jpg', 1]]);
  assert.deepEqual(read.notes, ['Left out: 1 class folder without pictures (test/dog).']);
});

test('pictures are known by their names and by their content; what is left out is counted', async () => {
  const read = await readParts(
    {
      ...pictures('cat/1.jfif', 'cat/2.JPE', 'cat/3.pjpeg', 'dog/1.jpg', 'dog/2.jpg'),
      ...{ 'cat/no-ending': JPEG, 'cat/4.webp': JPEG, 'cat/5.avif': AVIF, 'dog/3.avif': AVIF },
      'dog/4.tif': Buffer.from('II*\0'),
      'dog/5.bin': Buffer.from('\0\0\0\x1cftypavif', 'latin1'),
      'dog/6.dat': Buffer.from('\0\0\0\x1cftypheic', 'latin1'),
      'dog/7': Buffer.from('BM, which is a text that is long enough'),
      ...{ 'dog/labels.csv': 'x', 'dog/Thumbs.db': 'x', 'dog/.DS_Store': 'x', '@eaDir/1.jpg': 'x' },
      ...{ '._cat': 'x', 'README.md': 'x', 'stray.png': 'x', '.ipynb_checkpoints/1.jpg': 'x' },
    },
    { testOnly: true },
  );
  assert.deepEqual(
    read.test.filter((name) => name.startsWith('cat')),
    ['1.jfif', '2.JPE', '3.pjpeg', '4.webp', 'no-ending'].map((name) => `cat/${name}`),
  );
  assert.deepEqual(read.test.slice(5), ['dog/1.jpg', 'dog/2.jpg']);
  const kind = (name) => `1 ${name} picture, which cannot be read here`;
  assert.deepEqual(read.notes, [
    'Left out: 3 other files (README.md, dog/7, dog/labels.csv); 1 picture outside class folders (stray.png); ' +
      '3 AVIF pictures, which cannot be read here (cat/5.avif, dog/3.avif, dog/5.bin); ' +
      `${kind('TIFF')} (dog/4.tif); ${kind('HEIC')} (dog/6.dat).`,
  ]);
});

test('what bears the name of a picture and cannot be opened is told, or named as left out', async () => {
  const files = pictures(...['cat', 'dog'].flatMap((name) => [1, 2, 3].map((i) => `${name}/${i}.jpg`)));
  const at = folder(files);
  symlinkSync('nowhere', path.join(at, 'cat', 'gone.jpg'));
  execFileSync('mkfifo', [path.join(at, 'cat', 'pipe.png')]);
  mkdirSync(path.join(at, 'dog', 'empty.gif'));
  const { broken, notes } = await loadDataset(at, { listBroken: true });
  assert.deepEqual(
    broken.map(({ path: file, label, error }) => [path.relative(at, file), label, error.message.slice(at.length)]),
    [
      ['cat/gone.jpg', 0, '/cat/gone.jpg is a link to nothing; give a picture file'],
      ['cat/pipe.png', 0, '/cat/pipe.png is a pipe, a socket or a device, and no file; give a picture file'],
      ['dog/empty.gif', 1, '/dog/empty.gif is an empty folder; give a picture file'],
    ],
  );
  assert.equal(notes.length, 1);
  const told = await loadDataset(at);
  assert.match(told.notes[1], /Left out: 3 pictures that cannot be opened \(cat\/gone\.jpg, cat\/pipe\.png, dog/);

  const train = [
    ['cat/1.jpg', 0],
    ['cat/9.jpg', 0],
    ['dog/1.jpg', 1],
  ];
  const listed = folder({ ...files, 'split.json': { classes: ['cat', 'dog'], train, test: [['dog/2.jpg', 1]] } });
  const read = await loadDataset(listed, { listBroken: true });
  assert.deepEqual([read.train.length, read.broken.length, read.broken[0].part], [2, 1, 'train']);
});

test('names that are not UTF-8 are read as bytes', { skip: process.platform !== 'linux' }, async () => {
  const at = folder(pictures('dog/1.jpg', 'dog/2.jpg'));
  const bytes = (text) => Buffer.concat([Buffer.from(`${at}/`), Buffer.from(text, 'latin1')]);
  mkdirSync(bytes('caf\xe9'));
  for (const name of ['\xfcber.jpg', 'a\xff\xfe.jpg']) writeFileSync(bytes(`caf\xe9/${name}`), 'x');
  const set = await loadDataset(at);
  assert.deepEqual(set.classes, ['café', 'dog']);
  const own = [...set.train, ...set.test].filter(({ label }) => label === 0);
  assert.equal(own.length, 2);
  for (const { path: file } of own) assert.equal((await readPicture(file)).length, 1);
  assert.deepEqual(own.map(({ path: file }) => printable(path.basename(file))).sort(), [
    '\\xfcber.jpg',
    'a\\xff\\xfe.jpg',
  ]);
  assert.equal((await openSet(at)).hash.length, 16);
});

test('the same name twice in a split file is two classes', async () => {
  const twice = { ...split, classes: ['missile', 'missile'] };
  const set = await loadDataset(folder({ ...files, 'split.json': twice }));
  assert.deepEqual(set.classes, ['missile', 'missile']);
});

test('a class may be called train', async () => {
  const set = await loadDataset(folder(pictures('train/1.jpg', 'train/2.jpg', 'bus/1.jpg', 'bus/2.jpg')));
  assert.deepEqual(set.classes, ['bus', 'train']);
});

test('links are followed, pipes are left alone', async () => {
  const at = folder(pictures('cat/1.jpg', 'cat/2.jpg', 'elsewhere/1.jpg', 'elsewhere/2.jpg'));
  const linked = folder({});
  symlinkSync(path.join(at, 'cat'), path.join(linked, 'cat'));
  symlinkSync(path.join(at, 'elsewhere'), path.join(linked, 'dog'));
  execFileSync('mkfifo', [path.join(at, 'cat', 'pipe.jpg')]);
  const set = await loadDataset(linked);
  assert.equal(set.train.length + set.test.length, 4);
});

const split = {
  classes: ['cat', 'dog'],
  template: 'a drawing of a {}.',
  train: [
    ['a/1.jpg', 0],
    ['a/2.jpg', 1],
  ],
  test: [['b/3.jpg', 1]],
};
const files = pictures('a/1.jpg', 'a/2.jpg', 'b/3.jpg', 'b/4.jpg');

test('split.json, by its folder or by its path, with pictures elsewhere, and split-STYLE.json', async () => {
  const at = folder({
    ...files,
    'split.json': split,
    'split-sketch.json': { ...split, domain: 'sketch', test: [['b/4.jpg', 0]] },
  });
  for (const source of [at, path.join(at, 'split.json')]) {
    const set = await loadDataset(source);
    assert.equal(set.name, path.basename(at));
    assert.equal(set.template, 'a drawing of a {}.');
    assert.deepEqual(relative(at, set.train), split.train);
    assert.deepEqual(relative(at, set.test), split.test);
    assert.equal(set.val, undefined);
  }
  for (const set of [
    await loadDataset(at, { split: 'sketch' }),
    await loadDataset(path.join(at, 'split-sketch.json')),
  ]) {
    assert.equal(set.name, `${path.basename(at)}-sketch`);
    assert.deepEqual(relative(at, set.test), [['b/4.jpg', 0]]);
  }
  const elsewhere = folder({ 'split.json': split });
  assert.deepEqual(relative(at, (await loadDataset(elsewhere, { images: at })).train), split.train);
  await assert.rejects(
    loadDataset(at, { split: 'chalk' }),
    /split-chalk\.json: there is no such file; --split can be sketch$/,
  );
  await assert.rejects(loadDataset(at, { split: '../x' }), /is not the name of a split/);
});

test("CoOp's split_zhou file", async () => {
  const coop = {
    train: [
      ['a/1.jpg', 1, 'house_cat'],
      ['a/2.jpg', 0, 'dog'],
    ],
    val: [['b/4.jpg', 0, 'dog']],
    test: [['b/3.jpg', 1, 'house_cat']],
  };
  const at = folder({ ...files, 'split_zhou_Pets.json': coop });
  for (const source of [at, path.join(at, 'split_zhou_Pets.json')]) {
    const set = await loadDataset(source, { images: at });
    assert.deepEqual(set.classes, ['dog', 'house cat']);
    assert.deepEqual(relative(at, set.train), [
      ['a/1.jpg', 1],
      ['a/2.jpg', 0],
    ]);
    assert.deepEqual(relative(at, set.val), [['b/4.jpg', 0]]);
    assert.equal(set.template, undefined);
  }
  const bad = (change) => folder({ ...files, 'split_zhou_Pets.json': { ...coop, ...change } });
  await assert.rejects(loadDataset(bad({ val: [['b/4.jpg', 0, 'cow']] })), /label 0 stands for "dog" and "cow"/);
  await assert.rejects(loadDataset(bad({ val: [['b/4.jpg', 3, 'cow']] })), /no picture has label 2 of 0 \.\.\. 3/);
  await assert.rejects(loadDataset(bad({ val: [['b/4.jpg', 2, 'cow']] })), /class "cow" has no picture to train on/);
  await assert.rejects(loadDataset(bad({ test: [['b/3.jpg', 1]] })), /"test" entry 1 is not a triple/);
});

test('CoOp keeps pictures in a folder beside the split file, and has sentences of its own', async () => {
  const coop = { train: [['a/1.jpg', 0, 'cat']], val: [], test: [['b/3.jpg', 0, 'cat']] };
  const beside = { 'notes/x.txt': '', 'jpg/a/1.jpg': 'x', 'jpg/b/3.jpg': 'x' };
  const at = folder({ ...beside, 'split_zhou_OxfordFlowers.json': coop });
  const set = await loadDataset(at);
  assert.deepEqual(relative(at, [...set.train, ...set.test]), [
    ['jpg/a/1.jpg', 0],
    ['jpg/b/3.jpg', 0],
  ]);
  assert.equal(set.template, 'a photo of a {}, a type of flower.');
  const none = folder({ 'jpg/a/1.jpg': 'x', 'split_zhou_SUN397.json': coop });
  await assert.rejects(loadDataset(none), /1\.jpg: is listed in .* no such file/);
});

test("splits of CoOp's layout are written for ImageNet, its variants and aircraft", async () => {
  const at = folder({
    'imagenet/classnames.txt': 'n01 tench\nn02 great white shark\nn03 tench\n',
    ...pictures(
      'imagenet/images/train/n01/a.JPEG',
      'imagenet/images/train/n02/b.JPEG',
      'imagenet/images/train/n03/c.JPEG',
    ),
    ...pictures('imagenet/images/val/n01/d.JPEG', 'imagenet/images/val/n02/e.JPEG', 'imagenet/images/val/n03/f.JPEG'),
    ...pictures('imagenet-rendition/imagenet-r/n02/g.jpg', 'imagenet-rendition/imagenet-r/README.txt'),
    ...pictures(...[0, 1, 2].map((i) => `imagenetv2/imagenetv2-matched-frequency-format-val/${i}/h.jpeg`)),
    'fgvc_aircraft/variants.txt': '707-320\nDR-400\n',
    ...Object.fromEntries(
      ['train', 'val', 'test'].map((part) => [`fgvc_aircraft/images_variant_${part}.txt`, '1 DR-400\n2 707-320\n']),
    ),
    ...pictures('fgvc_aircraft/images/1.jpg', 'fgvc_aircraft/images/2.jpg'),
  });
  execFileSync(process.execPath, [fileURLToPath(new URL('../../scripts/coop-splits.js', import.meta.url)), at]);
  const read = (name, options) => loadDataset(path.join(at, name), options);
  const imagenet = await read('imagenet');
  assert.deepEqual(imagenet.classes, ['tench', 'great white shark', 'tench 2']);
  assert.deepEqual(relative(at, imagenet.test)[1], ['imagenet/images/val/n02/e.JPEG', 1]);
  assert.equal(imagenet.train.length, 3);
  const rendition = await read('imagenet-rendition', { testOnly: true });
  assert.deepEqual([rendition.classes, rendition.test.length], [['great white shark'], 1]);
  const v2 = await read('imagenetv2', { testOnly: true });
  assert.deepEqual([v2.classes, v2.test.map(({ label }) => label)], [imagenet.classes, [0, 1, 2]]);
  const planes = await read('fgvc_aircraft');
  assert.equal(planes.template, 'a photo of a {}, a type of aircraft.');
  assert.deepEqual(relative(at, planes.test), [
    ['fgvc_aircraft/images/1.jpg', 1],
    ['fgvc_aircraft/images/2.jpg', 0],
  ]);
});

test('a folder of data sets stands for those that have a split file', async () => {
  const at = folder({
    'pets/split.json': split,
    'flowers/split_zhou_X.json': '{}',
    'notes/x.txt': '',
    'README.md': '',
  });
  const inside = (...names) => names.map((name) => path.join(at, name));
  assert.deepEqual(await findDatasets(at), inside('flowers', 'pets'));
  assert.deepEqual(await findDatasets(path.join(at, 'pets')), inside('pets'));
  assert.deepEqual(await findDatasets(path.join(at, 'pets/split.json')), inside('pets/split.json'));
  const plain = folder(pictures('cat/1.jpg', 'dog/1.jpg'));
  assert.deepEqual(await findDatasets(plain), [plain]);
  await assert.rejects(findDatasets(path.join(at, 'nowhere')), /there is no such file or folder/);
});

test('styles are found, and what is only tested on needs no training pictures', async () => {
  const styles = { 'split.json': split, 'split-ink.json': split, 'split-chalk.json': { ...split, train: [] } };
  const at = folder({ ...files, ...styles });
  assert.deepEqual(await stylesOf(at), ['chalk', 'ink']);
  const parted = folder(pictures('train/cat/1.jpg', 'test/cat/2.jpg', 'test-ink/cat/3.jpg'));
  assert.deepEqual(await stylesOf(parted), ['ink']);
  assert.deepEqual(await stylesOf(path.join(at, 'split.json')), []);

  await assert.rejects(loadDataset(at, { split: 'chalk' }), /"train" is empty/);
  const chalk = await loadDataset(at, { split: 'chalk', testOnly: true });
  assert.deepEqual([chalk.train, relative(at, chalk.test)], [[], split.test]);
  const all = folder(pictures('cat/1.jpg', 'cat/2.jpg', 'dog/1.jpg'));
  assert.deepEqual(relative(all, (await loadDataset(all, { testOnly: true })).test), [
    ['cat/1.jpg', 0],
    ['cat/2.jpg', 0],
    ['dog/1.jpg', 1],
  ]);
  const apart = folder(pictures('test/cat/1.jpg', 'test/dog/1.jpg'));
  assert.equal((await loadDataset(apart, { testOnly: true })).test.length, 2);
});

/** Faults of a split file: what is put in its place, and what must be said. */
const faults = {
  'empty file': ['', /split\.json: is empty/],
  'not JSON': ['{"classes": [', /split\.json: is not valid JSON/],
  binary: [Buffer.from([0xff, 0xfe, 0x00, 0x80]), /is not text in UTF-8/],
  'a list': [[], /the outermost value is no object/],
  null: ['null', /the outermost value is no object/],
  'another JSON': [{ name: 'package' }, /it has no "classes"/],
  'no classes': [{ ...split, classes: [] }, /has no classes/],
  'classes not a list': [{ ...split, classes: 'cat' }, /"classes" is not a list/],
  'a class that is no text': [{ ...split, classes: ['cat', 7] }, /class 1 has no usable name/],
  'a class of spaces': [{ ...split, classes: ['cat', '  '] }, /class 1 has no usable name/],
  'a class that steers the terminal': [
    { ...split, classes: ['cat', 'd\x1b[2Jog'] },
    /class 1 holds control characters/,
  ],
  'two classes alike': [
    { ...split, classes: ['Cat', 'cat '] },
    /classes 0 and 1 are the same to the model, "Cat" and "cat "; rename or merge/,
  ],
  'a class without pictures': [{ ...split, classes: ['cat', 'dog', 'cow'] }, /class "cow" has no picture to train on/],
  'a template without a hole': [{ ...split, template: 'a photo' }, /"template" is not a sentence with one {}/],
  'train missing': [{ classes: split.classes, test: split.test }, /"train" is not a list/],
  'test empty': [{ ...split, test: [] }, /"test" is empty/],
  'an entry that is no pair': [{ ...split, test: ['b/3.jpg'] }, /"test" entry 1 is not a pair/],
  'a label too large': [
    { ...split, test: [['b/3.jpg', 2]] },
    /"test" entry 1 has label 2; expected a whole number from 0 to 1/,
  ],
  'a negative label': [{ ...split, test: [['b/3.jpg', -1]] }, /has label -1/],
  'a label of text': [{ ...split, test: [['b/3.jpg', '1']] }, /has label "1"/],
  'a label with a fraction': [{ ...split, test: [['b/3.jpg', 0.5]] }, /has label 0\.5/],
  'an empty path': [{ ...split, test: [['', 0]] }, /"test" entry 1 has no path/],
  'a path up': [{ ...split, test: [['../secret.jpg', 0]] }, /leaves the folder: "\.\.\/secret\.jpg"/],
  'a path up in the middle': [{ ...split, test: [['a/../../x.jpg', 0]] }, /leaves the folder/],
  'an absolute path': [{ ...split, test: [['/etc/passwd', 0]] }, /leaves the folder/],
  'an absolute path of Windows': [{ ...split, test: [['C:\\x.jpg', 0]] }, /leaves the folder/],
  'a picture that is not there': [
    { ...split, test: [['b/nine.jpg', 0]] },
    /nine\.jpg: is listed in .*split\.json but there is no/,
  ],
  'a folder as picture': [{ ...split, test: [['b', 0]] }, /is listed in .* but there is no such file \(1 of 3\)/],
};
for (const [name, [content, message]] of Object.entries(faults)) {
  test(`split.json is refused: ${name}`, async () => {
    const at = folder({ ...files, 'split.json': content });
    await assert.rejects(loadDataset(at), (error) => {
      assert.equal(error.name, 'MudptError');
      assert.equal(error.code, 'dataset');
      assert.match(error.message, message);
      assert.ok(error.hint, 'says what to do');
      assert.ok(error.message.includes(at), 'names the file');
      assert.doesNotMatch(error.message, /[\n\x1b]/);
      return true;
    });
  });
}

const badFolders = {
  'not there': [{}, /no such file or folder/, 'missing'],
  empty: [{}, /holds no class folders/],
  'pictures without class folders': [pictures('1.jpg', '2.jpg'), /holds no class folders/],
  'a class without pictures': [
    { ...pictures('cat/1.jpg', 'cat/2.jpg'), 'dog/readme.txt': 'x' },
    /dog: holds no pictures/,
  ],
  'one picture and no test folder': [pictures('cat/1.jpg', 'cat/2.jpg', 'dog/1.jpg'), /class "dog" has one picture/],
  'two folders for one class': [
    pictures('a_b/1.jpg', 'a_b/2.jpg', 'a b/1.jpg', 'a b/2.jpg'),
    /classes 0 and 1 are both called "a b"/,
  ],
  'a test class that is not trained': [
    pictures('train/cat/1.jpg', 'train/dog/1.jpg', 'test/cow/1.jpg'),
    /cow: is a class without training pictures/,
  ],
  'several test classes that are not trained': [
    pictures('train/cat/1.jpg', 'train/dog/1.jpg', 'test/cow/1.jpg', 'test/owl/1.jpg'),
    /cow: and 1 more are classes without training pictures \("cow", "owl"\)/,
  ],
  'several classes without pictures': [
    { ...pictures('cat/1.jpg', 'cat/2.jpg'), 'dog/a.txt': 'x', 'cow/b.avif': AVIF },
    /2 class folders hold no pictures, but 1 AVIF picture, which cannot be read here \(b\.avif\), 1 .*: "cow", "dog"/,
  ],
  'several classes with one picture': [
    pictures('cat/1.jpg', 'cow/1.jpg', 'dog/1.jpg', 'dog/2.jpg'),
    /2 classes have one picture each \("cat", "cow"\)/,
  ],
  'flat parts beside a table of labels': [
    { ...pictures('train/1.jpg', 'train/2.jpg', 'valid/3.jpg'), 'train/_classes.csv': 'x' },
    /train: holds no class folders, but 2 pictures and "_classes\.csv", which is not read; .*or write a split\.json/,
  ],
  'two folders whose names look alike': [
    pictures('caf\u00e9/1.jpg', 'caf\u00e9/2.jpg', 'cafe\u0301/1.jpg', 'cafe\u0301/2.jpg'),
    /classes 0 and 1 are both called "caf\u00e9"/,
  ],
  'two folders that differ in case': [
    pictures('Cat/1.jpg', 'Cat/2.jpg', 'cat/1.jpg', 'cat/2.jpg'),
    /classes 0 and 1 are .*"[Cc]at"/,
  ],
  'an empty test folder': [
    { ...pictures('train/cat/1.jpg', 'train/dog/1.jpg'), 'test/.keep': '' },
    /test: holds no class folders/,
  ],
};
for (const [name, [content, message, below = '']] of Object.entries(badFolders)) {
  test(`a folder is refused: ${name}`, async () => {
    await assert.rejects(loadDataset(path.join(folder(content), below)), (error) => {
      assert.equal(error.code, 'dataset');
      assert.match(error.message, message);
      assert.ok(error.hint);
      return true;
    });
  });
}

test('--images and --split are refused where they mean nothing', async () => {
  const at = folder(pictures('cat/1.jpg', 'cat/2.jpg', 'dog/1.jpg', 'dog/2.jpg'));
  await assert.rejects(loadDataset(at, { images: at }), /has no split file; --images goes with one/);
  await assert.rejects(loadDataset(at, { split: 'sketch' }), /this data set has one split/);
});
