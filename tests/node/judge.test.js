/** What classifiers say beyond the class: none of these, scores at their word, which picture next, wrong labels. */
import assert from 'node:assert/strict';
import { cpSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { loadClip } from '../../js/index.js';
import { makeDataset, mudpt, pictoclip, workFolder } from './command.js';
import { isError } from './models.js';

const faces = fileURLToPath(new URL('../data/faces', import.meta.url));
const NAMES = ['clown face', 'face with medical mask', 'nauseated face', 'sleeping face', 'zipper mouth face'];
const KNOWN = NAMES.slice(0, 3);
/** @param {'train' | 'test'} part @param {string} name @param {number} count */
const pictures = (part, name, count) => {
  const folder = path.join(faces, part, name.replaceAll(' ', '_'));
  const files = readdirSync(folder).sort().slice(0, count);
  return files.map((file) => ({ image: path.join(folder, file), label: name }));
};
const some = (part, names, count) => names.flatMap((name) => pictures(part, name, count));
const share = (list, is) => list.filter(is).length / list.length;

let clip;
before(async () => {
  clip = await loadClip(pictoclip, { threads: 1 });
});
after(() => clip.dispose());

describe('a classifier and examples of its classes', () => {
  let classifier;
  const examples = some('train', KNOWN, 16);
  before(async () => {
    classifier = await clip.zeroShot(KNOWN);
  });

  test('knows nothing of none before it has seen some', async () => {
    await assert.rejects(classifier.classify(examples[0].image, { none: true }), isError('state', /calibrate\(\)/));
    await assert.rejects(classifier.classify(examples[0].image, { calibrated: true }), isError('state', /temperature/));
  });

  test('tells none of these, with as many false alarms as are wanted', async () => {
    const told = [];
    const {
      pictures: count,
      temperature,
      ece,
    } = await classifier.calibrate(examples, {
      onProgress: (progress) => told.push(progress),
    });
    assert.equal(count, examples.length);
    assert.deepEqual(told.at(-1), { done: count, total: count });
    assert.ok(temperature > 0.01 && temperature < 100);
    assert.ok(ece.before >= 0 && ece.after >= 0 && ece.after < 0.5);
    const ask = async ({ image }) => classifier.classify(image, { none: true, topK: 2 });
    const [fitting, others] = [[], []];
    for (const each of some('test', KNOWN, 8)) fitting.push(await ask(each));
    for (const each of some('test', NAMES.slice(3), 8)) others.push(await ask(each));
    const alarms = share(fitting, ({ none }) => none > 0.8);
    assert.ok(alarms <= 0.4, `${alarms} where 0.2 are wanted`);
    assert.ok(share(others, ({ none }) => none > 0.8) > alarms);
    for (const answers of [...fitting, ...others]) {
      assert.equal(answers.length, 2);
      assert.ok(answers.none >= 0 && answers.none < 1);
    }
    const [{ image }] = some('test', KNOWN, 1);
    const plain = await classifier.classify(image);
    assert.deepEqual([...(await classifier.classify(image, { none: true }))], plain);
  });

  test('gives scores at the temperature: the same order, and the same with none', async () => {
    const { temperature } = await classifier.calibrate(examples);
    const [{ image }] = some('test', KNOWN, 1);
    const plain = await classifier.classify(image, { topK: Infinity });
    const soft = await classifier.classify(image, { calibrated: true, topK: Infinity });
    assert.deepEqual(
      soft.map(({ index }) => index),
      plain.map(({ index }) => index),
    );
    const powers = plain.map(({ score }) => score ** (1 / temperature));
    const sum = powers.reduce((a, b) => a + b);
    soft.forEach(({ score }, i) => assert.ok(Math.abs(score - powers[i] / sum) < 1e-9));
    assert.deepEqual([...(await classifier.classify(image, { calibrated: true, none: true, topK: 3 }))], soft);
  });

  test('suggests what to label next', async () => {
    const pool = some('test', KNOWN, 8).map(({ image }) => image);
    const found = await classifier.suggest(pool, 4);
    assert.equal(found.length, 4);
    assert.equal(new Set(found.map(({ index }) => index)).size, 4);
    for (const { index, unsure } of found) {
      const [first, second] = await classifier.classify(pool[index], { topK: 2 });
      assert.ok(Math.abs(unsure - (1 - first.score + second.score)) < 1e-9);
    }
    // What it has seen already helps least.
    const seen = examples.slice(0, 3).map(({ image }) => image);
    const next = await classifier.suggest([...seen, ...pool], 4);
    assert.ok(next.every(({ index }) => index >= 3));
    const broken = [];
    const left = await classifier.suggest([new Uint8Array(4), ...pool], 1, { onBroken: (each) => broken.push(each) });
    assert.deepEqual([broken[0].index, broken[0].list, left[0].index >= 1], [0, 'pictures', true]);
    assert.deepEqual(await classifier.suggest([], 3), []);
  });

  test('audits labels', async () => {
    const wrong = examples.map((each, i) => (i === 5 ? { ...each, label: KNOWN[2] } : each));
    const { suspects, noise } = await classifier.audit(wrong);
    assert.ok(noise > 0.005 && noise < 0.2);
    assert.equal(suspects.length, wrong.length);
    const [first] = suspects;
    assert.deepEqual([first.index, first.label, first.like], [5, KNOWN[2], KNOWN[0]]);
    assert.ok(first.wrong > 0.5 && suspects.every(({ wrong: chance }, i) => !i || chance <= suspects[i - 1].wrong));
  });

  test('what is wrong is said', async () => {
    for (const [call, message] of /** @type {[() => Promise<any>, RegExp][]} */ ([
      [() => classifier.calibrate([examples[0]]), /^1 examples, expected at least 2/],
      [() => classifier.calibrate([{ ...examples[0], label: 'x' }]), /label of example 0/],
      [() => classifier.calibrate(examples, { rate: 1 }), /there is no option "rate"/],
      [() => classifier.classify(examples[0].image, { none: true, topK: 0 }), /^topK is 0/],
      [() => classifier.classify(examples[0].image, { none: true, top: 1 }), /there is no option "top"/],
      [() => classifier.suggest('x.png'), /pictures must be an array/],
      [() => classifier.suggest([], 0), /^0 pictures are wanted/],
      [() => classifier.audit(examples.slice(0, 2)), /^2 examples of 3 classes; give 3/],
    ])) {
      await assert.rejects(call, isError('argument', message));
    }
  });
});

test('an instant classifier is calibrated by other pictures, and knows none of these by its own', async () => {
  const job = clip.tune({ preset: 'instant', head: 'tip', classes: KNOWN, examples: some('train', KNOWN, 8) });
  const instant = await job.finished;
  const { temperature } = await instant.calibrate(some('test', KNOWN, 8));
  const [{ image }] = pictures('test', NAMES[4], 1);
  const plain = await instant.classify(image, { none: true, topK: Infinity });
  const soft = await instant.classify(image, { none: true, calibrated: true });
  assert.equal(soft.none, plain.none);
  const powers = plain.map(({ score }) => score ** (1 / temperature));
  assert.ok(Math.abs(soft[0].score - powers[0] / powers.reduce((a, b) => a + b)) < 1e-9);
  // It audits its own pictures, or others.
  assert.equal((await instant.audit()).suspects.length, 24);
  assert.equal((await instant.audit(some('test', KNOWN, 4))).suspects.length, 12);
  await instant.dispose();
});

test('of tuned prompts it judges the tuned features', async () => {
  const examples = some('train', KNOWN, 4);
  const tuned = await clip.tune({ method: 'vpt', classes: KNOWN, examples, epochs: 1, promptLength: 2 }).finished;
  await tuned.calibrate(examples);
  assert.ok((await tuned.classify(examples[0].image, { none: true })).none < 0.5);
});

test('mudpt eval --none and classify --none: areas, rates, and what each picture fits', async () => {
  const cwd = workFolder();
  makeDataset(path.join(cwd, 'faces'), 8);
  for (const part of ['train', 'test'])
    for (const name of NAMES.slice(3))
      cpSync(path.join(faces, part, name.replaceAll(' ', '_')), path.join(cwd, 'faces', part, name), {
        recursive: true,
      });
  const json = async (...args) => {
    const { code, stdout, stderr } = await mudpt([...args, '--json'], { cwd });
    return { code, stderr, ...(stdout ? JSON.parse(stdout) : {}) };
  };
  const { code, stderr, none, classes, count } = await json(
    'eval',
    '--data',
    'faces',
    '--none',
    '--false-alarms',
    '0.2',
  );
  assert.equal(code, 0, stderr);
  assert.deepEqual([classes, count, none.known], [KNOWN, 24, 24]);
  assert.ok(none.unknown >= 16 && none.auroc > 0.5 && none.auroc <= 1);
  assert.ok(none.passingAt95 >= 0 && none.passingAt95 <= 1 && none.told >= 0 && none.told <= 1);
  assert.deepEqual([none.falseAlarms.wanted, none.falseAlarms.found <= 0.5], [0.2, true]);
  const shown = await mudpt(['eval', '--data', 'faces', '--none'], { cwd });
  assert.match(shown.stdout, /None of these: \d+ pictures of other classes beside 24 that fit\n\n +AUROC/);
  // A saved classifier knows its own classes, and an instant one pictures of them.
  const train = ['train', '--data', 'known', '--preset', 'instant', '--out', 'known.safetensors'];
  makeDataset(path.join(cwd, 'known'), 8);
  assert.equal((await json(...train)).code, 0);
  const saved = await json('eval', '--data', 'faces', '--none', '--classifier', 'known.safetensors');
  assert.deepEqual([saved.none.known, saved.none.unknown], [24, none.unknown], saved.stderr);
  const all = await json('eval', '--data', 'known', '--none', '--classifier', 'known.safetensors');
  assert.match(all.error.message, /known: 3 of its 3 classes are among those of known\.safetensors/);
  const [file] = readdirSync(path.join(cwd, 'faces/test/clown_face'));
  const picture = path.join('faces/test/clown_face', file);
  const one = await json('classify', picture, '--classifier', 'known.safetensors', '--none', '--top', '1');
  const [result] = one.results;
  assert.deepEqual([result.top.length, result.isNone], [1, result.none > 0.95], one.stderr);
  const zero = await json('classify', picture, '--classes', KNOWN.join(','), '--none', '--data', 'known');
  assert.ok(zero.results[0].none < 1, zero.stderr);
  const without = await json('classify', picture, '--classes', KNOWN.join(','), '--none');
  assert.match(without.error.message, /--none needs pictures that fit; give labelled ones with --data/);
});
