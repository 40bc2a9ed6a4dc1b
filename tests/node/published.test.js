/** Few-shot splits that others have published: read as they are, trained on, and refused where they do not fit. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readPublished } from '../../js/protocol/published.js';
import { openSet } from '../../js/protocol/sets.js';
import { makeClip } from '../make-clip.js';
import { mudpt, workFolder } from './command.js';
import { isError } from './models.js';

const cwd = workFolder();
const at = (...parts) => path.join(cwd, ...parts);
const faces = fileURLToPath(new URL('../data/faces/train', import.meta.url));
const TRAIN = { a: ['PLACE0.jpg', 'other.jpg'], b: ['PLACE1.jpg', 'other.jpg'] };

/**
 * { 'train': [Datum, Datum], 'val': [] } of Dassl, by Python 3.11's pickle, protocol 4: train/a/PLACE0.jpg of class 0,
 * a, and train/b/PLACE1.jpg of class 1, b, both below /data/CoOp/sets/four.
 */
const PICKLE =
  'gASV9AAAAAAAAAB9lCiMBXRyYWlulF2UKIwgZGFzc2wuZGF0YS5kYXRhc2V0cy5iYXNlX2RhdGFzZXSUjAVEYXR1bZSTlCmBlH2UKIwHX2ltcGF0' +
  'aJSMJy9kYXRhL0NvT3Avc2V0cy9mb3VyL3RyYWluL2EvUExBQ0UwLmpwZ5SMBl9sYWJlbJRLAIwHX2RvbWFpbpRK/////4wKX2NsYXNzbmFtZZSM' +
  'AWGUdWJoBSmBlH2UKGgIjCcvZGF0YS9Db09wL3NldHMvZm91ci90cmFpbi9iL1BMQUNFMS5qcGeUaApLAWgLSv////9oDIwBYpR1YmWMA3ZhbJRd' +
  'lHUu';

const line = (impath, label, classname) =>
  JSON.stringify({ _impath: impath, _label: label, _domain: -1, _classname: classname });
const write = (name, content) => writeFileSync(at('four/split_fewshot', name), content);

before(async () => {
  await makeClip(at('tiny'));
  const pictures = readdirSync(path.join(faces, 'clown_face')).map((file) => path.join(faces, 'clown_face', file));
  const train = Object.entries(TRAIN).flatMap(([name, files], label) => {
    mkdirSync(at('four/train', name), { recursive: true });
    return files.map((file, i) => {
      cpSync(pictures[2 * label + i], at('four/train', name, file));
      return [`train/${name}/${file}`, label];
    });
  });
  mkdirSync(at('four/split_fewshot'));
  writeFileSync(at('four/split.json'), JSON.stringify({ classes: ['a', 'b'], train, test: train }));
  const lines = [line('/home/x/four/train/a/other.jpg', 0, 'a'), line('D:\\four\\train\\b\\other.jpg', 1, 'b')];
  write('shot_1-seed_1_train.jsonl', `${lines.join('\n')}\n`);
  write('shot_1-seed_2.pkl', Buffer.from(PICKLE, 'base64'));
});

const chosen = async (seed) => {
  const { examples, hash, file } = await readPublished(await openSet(at('four')), 1, seed);
  return { hash, file, pictures: examples.map((each) => [path.relative(at('four/train'), each.path), each.label]) };
};

test('lines of JSON, and CoOp’s pickle', async () => {
  const [lines, pickle] = [await chosen(1), await chosen(2)];
  assert.deepEqual(lines.pictures, [
    [path.join('a', 'other.jpg'), 0],
    [path.join('b', 'other.jpg'), 1],
  ]);
  assert.deepEqual(pickle.pictures, [
    [path.join('a', 'PLACE0.jpg'), 0],
    [path.join('b', 'PLACE1.jpg'), 1],
  ]);
  assert.equal(pickle.file, 'split_fewshot/shot_1-seed_2.pkl');
  assert.notEqual(lines.hash, pickle.hash);
});

for (const [what, content, message] of [
  ['no JSON', 'x', /_3_train\.jsonl: line 1 is no JSON$|_3_train\.jsonl: line 1 is no JSON;/],
  ['no picture', '{"_impath": 3}', /line 1 is no picture/],
  ['a picture that is not there', line('/x/train/a/none.jpg', 0, 'a'), /none\.jpg is none of the data set's pictures/],
  ['a name alone that two have', line('other.jpg', 0, 'a'), /other\.jpg may be more than one of the data set's/],
  ['another label', line('/x/train/a/other.jpg', 1, 'b'), /is of class 1, "b", and in the data set of 0/],
  ['another name', line('/x/train/a/other.jpg', 0, 'c'), /is of class 0, "c", and in the data set of 0/],
]) {
  test(`refused: ${what}`, async () => {
    write('shot_1-seed_3_train.jsonl', content);
    await assert.rejects(chosen(3), isError('dataset', message));
    rmSync(at('four/split_fewshot/shot_1-seed_3_train.jsonl'));
  });
}

test('refused: a split that is not there, and a pickle that would run something', async () => {
  await assert.rejects(
    chosen(3),
    isError('dataset', /shot_1-seed_3_train\.jsonl: there is no such file, and none that/),
  );
  write('shot_1-seed_3.pkl', Buffer.from('cos\nsystem\n(X\x04\0\0\0truetR.', 'latin1'));
  await assert.rejects(chosen(3), isError('model', /os\.system/));
  rmSync(at('four/split_fewshot/shot_1-seed_3.pkl'));
});

test('a sweep trains on them, and is another one than with the library’s own choice', async () => {
  const run = 'protocol few-shot --data four --model tiny --threads 1 --methods vpt --shots 1 --set epochs=1';
  const ended = await mudpt([...run.split(' '), '--seeds', '1,2', '--published', '--out', 'out'], { cwd });
  assert.equal(ended.code, 0, ended.stderr);
  const logs = readdirSync(at('out/logs')).map((file) => JSON.parse(readFileSync(at('out/logs', file), 'utf8')));
  for (const { identity, drawn } of logs) {
    const { pictures, hash } = await chosen(identity.seed);
    const sum = createHash('sha256');
    for (const [file] of pictures)
      sum.update(`train/${file.replace('\\', '/')}\0`).update(readFileSync(at('four/train', file)));
    assert.equal(drawn.hash, sum.digest('hex'), `seed ${identity.seed}`);
    assert.equal(identity.train.published, hash);
  }
  const mixed = await mudpt([...run.split(' '), '--seeds', '1', '--out', 'out'], { cwd });
  assert.match(mixed.stderr, /do not belong together: they differ in who has drawn them/);
  const missing = await mudpt([...run.split(' '), '--seeds', '3', '--published', '--out', 'other'], { cwd });
  assert.match(missing.stderr, /shot_1-seed_3_train\.jsonl: there is no such file/);
});
