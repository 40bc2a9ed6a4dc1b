/** Pictures that cannot be read: told together before anything long is begun, or left out by name. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadClip } from '../../js/index.js';
import { mudpt as spawnMudpt, workFolder } from './command.js';
import { isError, PICTURES, TINY_A } from './models.js';

const cwd = workFolder();
const at = (...parts) => path.join(cwd, ...parts);
const mudpt = (...args) => spawnMudpt([...args, '--model', TINY_A, '--threads', '1'], { cwd });
const faces = fileURLToPath(new URL('../data/faces', import.meta.url));

const [face, other, png] = PICTURES.map((file) => readFileSync(file));
/** Nine ways of being broken: what is put in the place of a file. @type {Record<string, (file: string) => void>} */
const WAYS = {
  'empty.jpg': (file) => writeFileSync(file, ''),
  'text.png': (file) => writeFileSync(file, 'no picture at all, but some text'),
  'page.jpg': (file) => writeFileSync(file, '<!DOCTYPE html><title>404</title>'),
  'cut.png': (file) => writeFileSync(file, face.subarray(0, 60)),
  'cut.jpeg': (file) => writeFileSync(file, png.subarray(0, 300)),
  'beginning.gif': (file) => writeFileSync(file, 'GIF89a'),
  'gone.jpg': (file) => symlinkSync('nowhere', file),
  'pipe.bmp': (file) => execFileSync('mkfifo', [file]),
  'folder.jfif': (file) => mkdirSync(file),
};

/** Four classes of 50 pictures, nine of which are broken. */
before(() => {
  const pictures = readdirSync(path.join(faces, 'train', 'clown_face')).map((file) =>
    path.join(faces, 'train', 'clown_face', file),
  );
  const broken = Object.entries(WAYS);
  for (let i = 0; i < 200; i++) {
    const folder = at('set', `class ${i % 4}`);
    mkdirSync(folder, { recursive: true });
    const [name, put] = broken[i / 22] ?? [];
    if (put) put(path.join(folder, name));
    else cpSync(pictures[i % pictures.length], path.join(folder, `${i}${path.extname(pictures[i % pictures.length])}`));
  }
});
const train = ['train', '--data', 'set', '--shots', '50', '--epochs', '1', '--batch', '8', '--out', 'out.safetensors'];

test('all are told together, and nothing is begun', async () => {
  writeFileSync(at('out.safetensors'), 'old');
  const { code, stdout, stderr } = await mudpt(...train, '--checkpoint', 'run.safetensors');
  assert.equal(code, 1);
  const [first, ...lines] = stderr.trimEnd().split('\n');
  assert.equal(
    first,
    'mudpt: 9 of 200 pictures cannot be read; mend or remove them, or leave them out with --skip-broken',
  );
  assert.equal(lines.length, 9);
  for (const name of Object.keys(WAYS)) {
    assert.equal(lines.filter((line) => line.startsWith(`  set/class `) && line.includes(`/${name}`)).length, 1, name);
  }
  assert.doesNotMatch(stdout, /zero-shot/);
  assert.equal(readFileSync(at('out.safetensors'), 'utf8'), 'old');
  assert.deepEqual(readdirSync(cwd).sort(), ['out.safetensors', 'set']);

  const { stdout: json } = await mudpt(...train, '--json');
  const { error } = JSON.parse(json);
  assert.deepEqual(error.pictures.map(({ file }) => path.basename(file)).sort(), Object.keys(WAYS).sort());
  assert.equal(error.code, 'image');
});

test('with --skip-broken the others are trained on, and what was left out is named', async () => {
  const { code, stdout, stderr } = await mudpt(...train, '--skip-broken', '--json');
  assert.equal(code, 0, stderr);
  const result = JSON.parse(stdout);
  assert.equal(result.pictures.train + result.pictures.test, 191);
  assert.equal(result.leftOut.length, 9);
  for (const name of Object.keys(WAYS)) assert.match(stderr, new RegExp(`^left out: set/class \\d/${name}`, 'm'));
  assert.match(stderr, /^Left out: 9 of 200 pictures, as they cannot be read\.$/m);

  const { lossPerEpoch } = JSON.parse((await mudpt(...train, '--skip-broken', '--json', '--quiet')).stdout);
  assert.deepEqual(lossPerEpoch, result.lossPerEpoch);
});

test('eval and protocol leave them out, too', async () => {
  const measured = await mudpt('eval', '--data', 'set', '--json');
  assert.equal(measured.code, 1);
  assert.ok(JSON.parse(measured.stdout).error.message);
  const { stdout } = await mudpt('eval', '--data', 'set', '--json', '--skip-broken');
  const { count, leftOut } = JSON.parse(stdout);
  assert.ok(count > 40 && count < 50 && leftOut.length);
  const sweep = ['protocol', 'few-shot', '--data', 'set', '--methods', 'vpt', '--seeds', '1', '--shots', '50'];
  const quick = [...sweep, '--set', 'epochs=1', '--set', 'batchSize=8', '--out', 'sweep'];
  assert.equal((await mudpt(...quick)).code, 1);
  const skipped = await mudpt(...quick, '--skip-broken');
  assert.equal(skipped.code, 0, skipped.stderr);
  const logs = readdirSync(at('sweep/logs')).map((name) => JSON.parse(readFileSync(at('sweep/logs', name), 'utf8')));
  assert.equal(logs[0].drawn.count + logs[0].results[0].pictures, 191);
});

test('classify: the exit code tells of a broken one, unless they may be left out', async () => {
  writeFileSync(at('broken.jpg'), 'no picture');
  const args = ['classify', 'broken.jpg', PICTURES[0], '--classes', 'cat,dog'];
  assert.equal((await mudpt(...args)).code, 1);
  const { code, stdout, stderr } = await mudpt(...args, '--skip-broken');
  assert.equal(code, 0);
  assert.match(stderr, /broken\.jpg: not a picture/);
  assert.match(stdout, /checkers\.png\n/);
});

test('classify takes the pictures in and below a folder, and says what it leaves out', async () => {
  mkdirSync(at('mixed/below'), { recursive: true });
  cpSync(PICTURES[0], at('mixed/1.png'));
  cpSync(PICTURES[2], at('mixed/below/photo'));
  execFileSync('mkfifo', [at('mixed/pipe.jpg')]);
  writeFileSync(at('mixed/notes.txt'), 'x');
  const args = ['classify', 'mixed', '--classes', 'cat,dog', '--json'];
  const { code, stdout, stderr } = await mudpt(...args);
  assert.equal(code, 1);
  const results = JSON.parse(stdout).results.map(({ file, error }) => [file, error?.code]);
  assert.deepEqual(results, [
    ['mixed/1.png', undefined],
    ['mixed/below/photo', undefined],
    ['mixed/pipe.jpg', 'file'],
  ]);
  assert.match(stderr, /^Left out: 1 other file \(notes\.txt\)\.$/m);
  mkdirSync(at('texts'));
  writeFileSync(at('texts/notes.txt'), 'x');
  const none = await mudpt('classify', 'texts', '--classes', 'cat,dog');
  assert.match(none.stderr, /^mudpt: texts: holds no pictures, but 1 other file \(notes\.txt\); give JPEG/);
});

test('too few pictures to validate on and names that are too long are told before zero-shot', async () => {
  for (const name of ['a', 'b', 'c']) {
    mkdirSync(at('few', name), { recursive: true });
    for (let i = 0; i < (name === 'c' ? 9 : 3); i++) cpSync(PICTURES[i % 5], at('few', name, `${i}.png`));
  }
  const few = ['train', '--data', 'few', '--shots', '2', '--epochs', '1', '--out', 'few.safetensors'];
  const { code, stdout, stderr } = await mudpt(...few, '--val');
  assert.equal(code, 1);
  assert.match(stderr, /classes "a", "b" have no picture left to validate on, .*; use fewer shots/);
  assert.doesNotMatch(stdout, /zero-shot/);
  mkdirSync(at('long', 'word '.repeat(40).trim()), { recursive: true });
  cpSync(at('few', 'a'), at('long', 'word '.repeat(40).trim()), { recursive: true });
  cpSync(at('few', 'c'), at('long', 'c'), { recursive: true });
  const long = await mudpt('train', '--data', 'long', ...few.slice(3));
  assert.match(long.stderr, /needs \d+ tokens/);
  assert.doesNotMatch(long.stdout, /zero-shot/);
  assert.ok(!existsSync(at('few.safetensors')));
});

test('a picture that is trained on and tested is told', async () => {
  for (const [i, part] of ['train', 'train', 'test'].entries()) {
    for (const [j, name] of ['a', 'b'].entries()) {
      mkdirSync(at('double', part, name), { recursive: true });
      cpSync(PICTURES[part === 'test' ? j : 2 * i + j], at('double', part, name, `${i}.png`));
    }
  }
  const { stdout } = await mudpt('train', '--data', 'double', '--epochs', '1', '--out', 'double.safetensors');
  assert.match(stdout, /^2 pictures are trained on and tested as well: accuracies will be too high\.$/m);
});

describe('in the library', () => {
  /** @type {import('../../js/index.js').Clip} */
  let clip;
  before(async () => (clip = await loadClip(TINY_A, { threads: 1 })));
  after(() => clip.dispose());
  const text = new TextEncoder().encode('no picture');
  const examples = [face, text, other, png, text, face, new Uint8Array(), png].map((image, i) => ({
    image,
    label: i % 2,
  }));
  const run = { classes: ['a', 'b'], epochs: 1, batchSize: 2 };

  test('tune: all faults in one error, with and without pictures to validate on', async () => {
    const message =
      /^3 pictures cannot be read: \(1\) the picture of example \d: .* \(3\) .*leave them out with onBroken$/;
    await assert.rejects(clip.tune({ ...run, examples }).finished, isError('image', message));
    const validation = [{ image: text, label: 0 }, ...examples.slice(2, 4)];
    const some = [examples[0], examples[3], examples[4]];
    const all = clip.tune({ ...run, examples: some, validation }).finished;
    await assert.rejects(all, isError('image', /^2 pictures .*\(2\) the picture of validation example 0/));
  });

  test('tune with onBroken: the run is that of the others, drawn anew', async () => {
    for (const shots of [1, 2, 16]) {
      const told = [];
      const job = clip.tune({ ...run, shots, examples, onBroken: (broken) => told.push(broken) });
      const tuned = await job.finished;
      assert.ok(
        told.every(({ index, list, code }) => [1, 4, 6].includes(index) && list === 'examples' && code === 'image'),
      );
      if (shots < 16) continue;
      assert.deepEqual(told.map(({ index }) => index).sort(), [1, 4, 6]);
      const good = examples.filter((_, i) => ![1, 4, 6].includes(i));
      const plain = await clip.tune({ ...run, shots, examples: good }).finished;
      assert.deepEqual(await tuned.export(), await plain.export());
      const resume = await job.checkpoint();
      await clip.tune({ ...run, shots, examples, resume, onBroken() {} }).finished;
    }
    const validated = [];
    const validation = [{ image: text, label: 1 }, examples[0], examples[7]];
    const job = clip.tune({
      ...run,
      examples: examples.slice(0, 4),
      validation,
      onBroken: (each) => validated.push(each),
    });
    await job.finished;
    assert.deepEqual(validated.map(({ index, list }) => [list, index]).sort(), [
      ['examples', 1],
      ['validation', 0],
    ]);
    const none = clip.tune({ ...run, examples: [examples[0], examples[1]], onBroken() {} }).finished;
    await assert.rejects(none, isError('argument', /class "b" has no example that can be read/));
  });

  test('evaluate with onBroken counts the others', async () => {
    const classifier = await clip.zeroShot(['a', 'b']);
    const told = [];
    const { count, perClass } = await classifier.evaluate(examples, { onBroken: ({ index }) => told.push(index) });
    assert.deepEqual([count, perClass.map((each) => each.count), told], [5, [2, 3], [1, 4, 6]]);
    await assert.rejects(classifier.evaluate(examples), isError('image', /^the picture of example 1: not a picture/));
    const wrong = classifier.evaluate(examples, { onBroken: /** @type {any} */ (true) });
    await assert.rejects(wrong, isError('argument', /onBroken is true, expected a function/));
  });
});
