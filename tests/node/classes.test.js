/** Names of classes: one that comes twice, names that only people tell apart, and how labels may be written. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { exportOfficial, loadClip } from '../../js/index.js';
import { rowsOf, withOtherClasses } from '../../js/protocol/other-classes.js';
import { mudpt as spawnMudpt, pictoclip, workFolder } from './command.js';
import { isError, PICTURES, temporaryFolder, TINY_A } from './models.js';

/** As in the names that CLIP's authors use for ImageNet, where two classes are called missile. */
const TWICE = ['missile', 'tank', 'missile'];
const cwd = workFolder();
const mudpt = async (...args) => {
  const { code, stdout, stderr } = await spawnMudpt([...args, '--model', TINY_A, '--threads', '1'], { cwd });
  return { code, stdout, stderr, json: () => JSON.parse(stdout.trim()) };
};
/** Every second picture of the first class that is called so, every other of the second. */
const examples = PICTURES.slice(0, 6).map((image, i) => ({ image, label: [0, 1, 2][i % 3] }));

/** @type {import('../../js/index.js').Clip} */
let clip;
before(async () => (clip = await loadClip(TINY_A, { threads: 1 })));
after(() => clip.dispose());

describe('the same name twice', () => {
  const told = (classifier, picture) => classifier.classify(picture, { topK: Infinity });

  test('zero-shot: both are there, alike, and their index tells which is which', async () => {
    const classifier = await clip.zeroShot(TWICE);
    const found = await told(classifier, PICTURES[0]);
    assert.deepEqual(found.map(({ index }) => index).sort(), [0, 1, 2]);
    for (const { label, index } of found) assert.equal(label, TWICE[index]);
    const [first, second] = [0, 2].map((index) => found.find((each) => each.index === index).score);
    assert.equal(first, second);
    const { confusion, perClass } = await classifier.evaluate(examples);
    assert.deepEqual(
      perClass.map(({ count }) => count),
      [2, 2, 2],
    );
    assert.equal(
      confusion[2].reduce((sum, times) => sum + times),
      2,
    );
  });

  for (const options of [{ method: 'mudpt' }, { method: 'cocoop' }, { method: 'coop', classSpecific: true }]) {
    test(`tune, save, load and go on: ${JSON.stringify(options)}`, async () => {
      const run = { ...options, classes: TWICE, examples, shots: 2, epochs: 1, batchSize: 2 };
      const job = clip.tune(run);
      const tuned = await job.finished;
      const again = await clip.import(await tuned.export());
      assert.deepEqual(again.classes, TWICE);
      const found = await told(tuned, PICTURES[1]);
      assert.deepEqual(await told(again, PICTURES[1]), found);
      if (options.classSpecific) assert.notEqual(found[0].score, found[1].score, 'contexts of their own');
      const resumed = await clip.tune({ ...run, resume: await job.checkpoint() }).finished;
      assert.deepEqual(await told(resumed, PICTURES[1]), found);
      const official = exportOfficial(await tuned.export({ raw: true }));
      const imported = await clip.importOfficial(official, { method: options.method, classes: TWICE });
      assert.deepEqual(
        (await told(imported, PICTURES[1])).map(({ index }) => index),
        found.map(({ index }) => index),
      );
      if (options.classSpecific) return;
      const more = await tuned.withClasses(['owl', 'tank']);
      assert.deepEqual(more.classes, [...TWICE, 'owl', 'tank']);
      const other = await withOtherClasses(clip, tuned, ['missile', 'owl', 'missile', 'missile']);
      const scores = (await told(other, PICTURES[1])).filter(({ label }) => label === 'missile');
      assert.deepEqual([...new Set(scores.map(({ score }) => score))].length, 1);
      assert.equal(scores.length, 3);
    });
  }

  test('a label by name says neither; the index does', async () => {
    const [{ image }] = examples;
    const classifier = await clip.zeroShot(TWICE);
    assert.equal(
      (
        await classifier.evaluate([
          { image, label: 'tank' },
          { image, label: 2 },
        ])
      ).count,
      2,
    );
    const message = /the label of example 0 is "missile", as classes 0 and 2 are called; give the index/;
    await assert.rejects(classifier.evaluate([{ image, label: 'missile' }]), isError('argument', message));
    const job = clip.tune({ classes: TWICE, examples: [{ image, label: ' missile' }] });
    await assert.rejects(job.finished, isError('argument', /is " missile", as classes 0 and 2 are called/));
  });

  test('each has its own place among other classes', () => {
    assert.deepEqual(rowsOf(['a', 'b', 'a'], ['a', 'a', 'a', 'b', 'c']), [0, 2, -1, 1, -1]);
  });
});

describe('names that the model reads alike', () => {
  // A tokenizer that knows accents.
  before(async () => {
    await clip.dispose();
    clip = await loadClip(pictoclip, { threads: 1 });
  });
  const pairs = [
    ['cat', 'cat '],
    ['house cat', 'house_cat'],
    ['house cat', 'house  cat'],
    ['caf\u00e9', 'cafe\u0301'],
    ['a cat', 'a\u00a0cat'],
  ];
  for (const names of pairs) {
    test(`are refused: ${JSON.stringify(names)}`, async () => {
      const classes = ['dog', ...names];
      const message = /^classes 1 and 2, ".*" and ".*", are one name to the model; rename one, or write both alike/;
      await assert.rejects(clip.zeroShot(classes), isError('argument', message));
      const all = classes.map((_, label) => ({ image: PICTURES[0], label }));
      await assert.rejects(clip.tune({ classes, examples: all }).finished, isError('argument', message));
      await assert.rejects(clip.plan({ classes }), isError('argument', message));
      const base = await clip.zeroShot(['dog', names[0]]);
      await assert.rejects(base.withClasses([names[1]]), isError('argument', message));
    });
  }

  test('those that differ by case are told apart by what is written', async () => {
    const classifier = await clip.zeroShot(['cat', 'Cat']);
    const labels = ['Cat', 'cat', 'Cat'].map((label) => ({ image: PICTURES[0], label }));
    const { perClass } = await classifier.evaluate(labels);
    assert.deepEqual(
      perClass.map(({ count }) => count),
      [1, 2],
    );
  });

  test('a label finds its class with spaces around it, and with accents in another form', async () => {
    const classifier = await clip.zeroShot(['caf\u00e9', 'cat']);
    const labels = ['cafe\u0301', ' cat'].map((label) => ({ image: PICTURES[0], label }));
    assert.deepEqual(
      (await classifier.evaluate(labels)).perClass.map(({ count }) => count),
      [1, 1],
    );
    const other = classifier.evaluate([{ image: PICTURES[0], label: 'Cat' }]);
    await assert.rejects(other, isError('argument', /is "Cat", expected a class/));
  });
});

describe('on the command line', () => {
  test('a data set with the same name twice: trained, measured and shown by place', async () => {
    const root = await temporaryFolder();
    const rows = examples.map(({ image, label }) => [path.relative(path.dirname(PICTURES[0]), image), label]);
    const split = path.join(root, 'split.json');
    writeFileSync(split, JSON.stringify({ classes: TWICE, train: rows, test: rows }));
    const data = ['--data', split, '--images', path.dirname(PICTURES[0])];
    const out = path.join(root, 'tuned.safetensors');
    const trained = await mudpt('train', ...data, '--epochs', '1', '--shots', '2', '--out', out);
    assert.equal(trained.code, 0, trained.stderr);
    const measured = (await mudpt('eval', ...data, '--classifier', out, '--json')).json();
    assert.deepEqual(
      measured.perClass.map(({ count }) => count),
      [2, 2, 2],
    );
    const shown = await mudpt('eval', ...data, '--classifier', out);
    for (const name of ['missile [0]', 'missile [2]', 'tank']) assert.ok(shown.stdout.includes(`  ${name} `), name);

    writeFileSync(
      split,
      JSON.stringify({ classes: ['missile', 'tank'], train: rows.slice(0, 2), test: rows.slice(0, 2) }),
    );
    const unclear = await mudpt('eval', ...data, '--classifier', out);
    assert.equal(unclear.code, 1);
    assert.match(
      unclear.stderr,
      /class "missile" is not as many times there as in .*tuned\.safetensors, and only its pl/,
    );
  });

  test('names with commas, in quotes or in a file; all scores', async () => {
    const names = ['lion, the king', '6" screen', 'a "quoted" word', 'cat'];
    const quoted = '"lion, the king", 6" screen ,"a ""quoted"" word",cat';
    writeFileSync(path.join(cwd, 'names.txt'), `\ufeff${names.join('\r\n')}\n\n`);
    for (const given of [
      ['--classes', quoted],
      ['--classes-file', 'names.txt'],
    ]) {
      const { json } = await mudpt('classify', PICTURES[0], ...given, '--top', 'all', '--json');
      const [{ top }] = json().results;
      assert.deepEqual(
        [...top].sort((a, b) => a.index - b.index).map(({ label }) => label),
        names,
      );
    }
    writeFileSync(path.join(cwd, 'latin1.txt'), Buffer.from('caf\xe9\ncat\n', 'latin1'));
    for (const [file, message] of [
      ['latin1.txt', /one a line, in UTF-8/],
      ['empty.txt', /there are no names in it/],
    ]) {
      writeFileSync(path.join(cwd, 'empty.txt'), '\n \n');
      const { code, stderr } = await mudpt('classify', PICTURES[0], '--classes-file', file);
      assert.equal(code, 1);
      assert.match(stderr, message);
    }
  });
});
