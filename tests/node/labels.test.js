/** What features say beyond the class: none of these, wrong labels, which picture next, calibrated scores. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';

import { calibrated, eceOf, temperatureOf, tempered } from '../../js/classifier/calibrate.js';
import { argmax, softmax } from '../../js/classifier/metrics.js';
import { auditLabels } from '../../js/features/audit.js';
import { Centred } from '../../js/features/centred.js';
import { choosePictures, unsureOf } from '../../js/features/suggest.js';
import { Unknown, auroc, passing, spread } from '../../js/features/unknown.js';
import { makeDataset, mudpt, workFolder } from './command.js';

const WIDTH = 24;

/** Numbers around 0, from a generator of our own. */
function noise(seed) {
  let state = seed;
  const uniform = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  for (let i = 0; i < 9; i++) uniform();
  const normal = () => uniform() + uniform() + uniform() + uniform() - 2;
  return { uniform, normal };
}
const dot = (a, b) => a.reduce((sum, value, k) => sum + value * b[k], 0);
const unit = (row) => Float32Array.from(row, (value) => value / Math.hypot(...row));
const packed = (rows) => ({ data: Float32Array.from(rows.flatMap((row) => [...row])), dims: [rows.length, WIDTH] });

/** Rows of length one about the middles of `classes` classes, all of which share a direction as a model's do. */
function clusters(classes, count, seed, spreadOut = 0.5) {
  const { normal } = noise(seed);
  const draw = () => Array.from({ length: WIDTH }, normal);
  const shared = draw().map((value) => 3 * value);
  const middles = Array.from({ length: classes }, draw);
  const around = (c) => unit(draw().map((value, k) => shared[k] + middles[c][k] + spreadOut * value));
  const labels = Array.from({ length: classes * count }, (_, i) => i % classes);
  const texts = middles.map((middle) => unit(middle.map((value, k) => shared[k] + value)));
  return { rows: labels.map(around), labels, texts, around };
}

describe('seen from the middle', () => {
  const { rows } = clusters(3, 5, 1);
  const meanOf = (some) => some[0].map((_, k) => some.reduce((sum, row) => sum + row[k], 0) / some.length);
  const cosine = (a, b) => dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  const away = (row, mean) => Array.from(row, (value, k) => value - mean[k]);
  const near = (found, wanted) => found.forEach((value, i) => assert.ok(Math.abs(value - wanted[i]) < 1e-5, `${i}`));

  test('a new picture, and each one as if it were new', () => {
    const all = new Centred(packed(rows).data, WIDTH);
    const [{ rows: fresh }, mean] = [clusters(1, 1, 5), meanOf(rows)];
    near(
      all.cosines(fresh[0]),
      rows.map((row) => cosine(away(row, mean), away(fresh[0], mean))),
    );
    for (const i of [0, 7, 14]) {
      const others = meanOf(rows.filter((_, j) => j !== i));
      const wanted = rows.map((row, j) => (j === i ? -1 : cosine(away(row, others), away(rows[i], others))));
      near(all.others(i), wanted);
      // To the others it is what a new one would be.
      const without = new Centred(packed(rows.filter((_, j) => j !== i)).data, WIDTH);
      near(
        without.cosines(rows[i]),
        wanted.filter((_, j) => j !== i),
      );
    }
  });

  test('pictures that are all the same have no direction', () => {
    const same = new Centred(packed([rows[0], rows[0], rows[0]]).data, WIDTH);
    assert.deepEqual([...same.others(1)], [0, -1, 0]);
    assert.deepEqual([...same.cosines(rows[0])], [0, 0, 0]);
  });
});

describe('none of these', () => {
  test('areas and shares are those of counting pairs', () => {
    const [known, unknown] = [
      [3, 1, 2, 2, 5],
      [0, 2, 2, 4],
    ];
    const pairs = known.flatMap((a) => unknown.map((b) => (a > b ? 1 : a === b ? 0.5 : 0)));
    assert.equal(auroc(known, unknown), pairs.reduce((a, b) => a + b) / pairs.length);
    assert.equal(auroc([1, 2], [0]), 1);
    assert.equal(passing(known, unknown, 0.8), 3 / 4);
    assert.equal(passing(known, unknown, 0.2), 0);
    const many = Array.from({ length: 100 }, (_, i) => i);
    assert.equal(passing(many, [4, 5, 6, -1]), 0.5);
    assert.deepEqual(spread(10, 4), [0, 2, 5, 7]);
    assert.deepEqual(spread(2, 4), [0, 1]);
  });

  test('new pictures of known classes pass as wanted; others do not; pictures count, texts count', () => {
    const { rows, texts, around } = clusters(8, 20, 3);
    const known = rows.filter((_, i) => i % 8 < 4);
    const unknown = new Unknown(packed(known), packed(texts.slice(0, 4)));
    const fresh = Array.from({ length: 400 }, (_, i) => unknown.fit(around(i % 4)));
    const others = Array.from({ length: 400 }, (_, i) => unknown.fit(around(4 + (i % 4))));
    assert.ok(auroc(fresh, others) > 0.95, `${auroc(fresh, others)}`);
    for (const rate of [0.05, 0.2]) {
      const told = fresh.filter((fit) => unknown.scoreOf(fit) > 1 - rate).length / fresh.length;
      assert.ok(Math.abs(told - rate) < 0.06, `${told} where ${rate} is wanted`);
    }
    assert.ok(others.filter((fit) => unknown.scoreOf(fit) > 0.95).length > 280);
    assert.ok(auroc(fresh, others) > auroc(...[fresh, others].map((fits) => fits.map((_, i) => i % 7))));
    const alone = new Unknown(packed(known), null);
    const wrong = new Unknown(packed(known), packed(texts.slice(4)));
    const area = (which) =>
      auroc(...[0, 4].map((from) => Array.from({ length: 200 }, (_, i) => which.fit(around(from + (i % 4))))));
    assert.ok(area(unknown) > area(alone) - 0.01 && area(alone) > area(wrong));
  });

  test('a score is the share of known pictures that fit better, never 1 and never below 0', () => {
    const { rows, texts } = clusters(2, 5, 4);
    const unknown = new Unknown(packed(rows), packed(texts));
    assert.equal(unknown.scoreOf(-Infinity), 1 - 1 / 11);
    assert.equal(unknown.scoreOf(Infinity), 0);
    const scores = [-3, -1, 0, 1].map((fit) => unknown.scoreOf(fit));
    assert.deepEqual(
      scores,
      [...scores].sort((a, b) => b - a),
    );
  });
});

describe('labels that look wrong', () => {
  const { rows, labels: truth, texts } = clusters(6, 12, 7);
  const audit = (labels, more = {}, options = {}) =>
    auditLabels({ pictures: packed(rows), labels, texts: packed(texts), classes: 6, ...more }, options);
  const told = ({ wrong }) => wrong.filter((each) => each.wrong > 0.5);

  test('planted ones are found, with what they look like; of right ones none', async () => {
    const right = await audit(truth);
    assert.deepEqual(told(right), []);
    assert.ok(right.noise < 0.03);
    const planted = [3, 20, 43, 66];
    const labels = truth.map((label, i) => (planted.includes(i) ? (label + 1 + (i % 4)) % 6 : label));
    const done = [];
    const found = await audit(labels, {}, { onProgress: (progress) => done.push(progress) });
    assert.deepEqual(
      told(found)
        .map(({ index, label, like }) => [index, label, like])
        .sort((a, b) => a[0] - b[0]),
      planted.map((i) => [i, labels[i], truth[i]]),
    );
    assert.ok(Math.abs(found.noise - 4 / 72) < 0.02, `${found.noise}`);
    assert.deepEqual(done.at(-1), { done: 72, total: 72 });
    assert.equal(found.wrong.length, 72);
    assert.ok(found.wrong.every(({ wrong }, i) => !i || wrong <= found.wrong[i - 1].wrong));
    // Pictures alone tell, too; and a class of one picture is not told for being alone.
    assert.deepEqual(
      told(await audit(labels, { texts: null }))
        .map(({ index }) => index)
        .sort((a, b) => a - b),
      planted,
    );
    const few = [0, ...truth.keys()]
      .filter((i) => i === 0 || truth[i] !== 0)
      .filter((i, at, all) => all.indexOf(i) === at);
    const some = await audit(
      few.map((i) => truth[i]),
      { pictures: packed(few.map((i) => rows[i])) },
    );
    assert.deepEqual(told(some), []);
  });

  test('it can be ended', async () => {
    const { rows: many, labels } = clusters(4, 300, 8);
    const signal = AbortSignal.abort();
    const what = { pictures: packed(many), labels, texts: null, classes: 4 };
    await assert.rejects(auditLabels(what, { signal }), { name: 'AbortError' });
  });
});

describe('which picture next', () => {
  test('each choice is the one that helps most, given those before it', () => {
    const { rows } = clusters(5, 8, 11);
    const { uniform } = noise(12);
    const unsure = rows.map(uniform);
    const labelled = clusters(5, 1, 11).rows.slice(0, 2);
    for (const known of [[], labelled]) {
      const all = new Centred(packed([...known, ...rows]).data, WIDTH);
      const speaks = (i, j) => Math.exp(10 * (all.cosines(all.row(i))[j] - 1));
      const at = (i) => known.length + i;
      const taken = known.map((_, i) => i);
      const wanted = [];
      while (wanted.length < 6) {
        const value = (some) =>
          rows.reduce((sum, _, i) => sum + unsure[i] * Math.max(0, ...some.map((from) => speaks(from, at(i)))), 0);
        const values = rows.map((_, i) => (wanted.includes(i) ? -1 : value([...taken, at(i)])));
        wanted.push(argmax(values));
        taken.push(at(wanted.at(-1)));
      }
      assert.deepEqual(choosePictures(packed(rows), unsure, 6, known.length ? packed(known) : null), wanted);
    }
    assert.equal(new Set(choosePictures(packed(rows), unsure, 99)).size, rows.length);
    assert.deepEqual(choosePictures(packed([]), [], 3), []);
  });

  test('how unsure scores are', () => {
    assert.equal(unsureOf([0.2, 0.5, 0.3]), 1 - (0.5 - 0.3));
    assert.equal(unsureOf([0.5, 0.5]), 1);
    assert.equal(unsureOf([1]), 0);
  });
});

describe('scores at their word', () => {
  const { uniform, normal } = noise(21);
  const logits = Array.from({ length: 3000 }, () => Array.from({ length: 5 }, () => 2 * normal()));
  const labels = logits.map((row) => {
    const at = uniform();
    let sum = 0;
    return softmax(row).findIndex((score) => (sum += score) > at);
  });

  test('the temperature that labels were drawn at is found, and makes the error small', () => {
    for (const factor of [0.25, 1, 4]) {
      const scaled = logits.map((row) => row.map((value) => factor * value));
      assert.ok(Math.abs(temperatureOf(scaled, labels) / factor - 1) < 0.1, `${factor}`);
      const { temperature, ece } = calibrated(scaled, labels);
      assert.ok(ece.after < 0.04, `${ece.after}`);
      assert.ok(factor === 1 || ece.before > 0.1, `${ece.before}`);
      assert.ok(Math.abs(ece.before - eceOf(scaled, labels)) < 1e-12);
      assert.equal(argmax(tempered(scaled[0], temperature)), argmax(scaled[0]));
    }
  });

  test('logits up to a number of each row do as well; labels that are all right have a bound', () => {
    const moved = logits.map((row, i) => row.map((value) => value + i));
    assert.ok(Math.abs(temperatureOf(moved, labels) - temperatureOf(logits, labels)) < 1e-3);
    const sure = logits.map((row) => argmax(row));
    assert.ok(Math.abs(temperatureOf(logits, sure) - 0.01) < 1e-3);
  });
});

describe('from the command line', () => {
  const cwd = workFolder();
  makeDataset(path.join(cwd, 'faces'), 8);
  const json = async (...args) => {
    const { code, stdout, stderr } = await mudpt([...args, '--json'], { cwd });
    return { code, stderr, ...(stdout ? JSON.parse(stdout) : {}) };
  };

  test('mudpt audit: a picture in the wrong folder, with what it looks like', async () => {
    cpSync(path.join(cwd, 'faces'), path.join(cwd, 'mixed'), { recursive: true });
    const at = (name) => path.join(cwd, 'mixed/train', name);
    const [moved] = readdirSync(at('clown_face'));
    renameSync(path.join(at('clown_face'), moved), path.join(at('nauseated_face'), `moved-${moved}`));
    const { code, stderr, suspects, pictures, wrongShare, classes } = await json('audit', '--data', 'mixed');
    assert.equal(code, 0, stderr);
    assert.deepEqual([pictures, classes.length], [48, 3]);
    assert.ok(wrongShare > 0.005 && wrongShare < 0.2);
    const found = suspects.find(({ file }) => file.endsWith(`moved-${moved}`));
    assert.deepEqual([found.label, found.looksLike], ['nauseated face', 'clown face']);
    assert.ok(found.wrong > 0.5 && suspects.length <= 4);
    const all = await json('audit', '--data', 'mixed', '--least', '0', '--part', 'test', '--template', 'a {}');
    assert.deepEqual([all.pictures, all.suspects.length], [24, 24]);
    const top = await json('audit', '--data', 'mixed', '--least', '0', '--top', '2');
    assert.equal(top.suspects.length, 2);
    const { stdout } = await mudpt(['audit', '--data', 'mixed'], { cwd });
    assert.match(stdout, /^mixed: \d labels? of 48 looks? wrong; about/);
    assert.match(stdout, /nauseated face +clown face +mixed\/train\/nauseated_face\/moved-/);
    writeFileSync(path.join(at('clown_face'), 'bad.png'), 'no picture');
    assert.equal((await json('audit', '--data', 'mixed')).error.code, 'image');
    const skipped = await json('audit', '--data', 'mixed', '--skip-broken');
    assert.deepEqual([skipped.pictures, skipped.leftOut.length], [48, 1]);
    mkdirSync(path.join(cwd, 'one/a'), { recursive: true });
    cpSync(path.join(at('nauseated_face'), `moved-${moved}`), path.join(cwd, 'one/a/1.png'));
    const few = await json('audit', '--data', 'one');
    assert.deepEqual([few.code, few.error.code], [1, 'dataset']);
  });

  test('mudpt suggest: pictures, the least sure first, and none that is like labelled ones', async () => {
    const classes = ['--classes', 'clown face,face with medical mask,nauseated face'];
    const found = await json('suggest', 'faces/test', ...classes, '--top', '5');
    assert.equal(found.code, 0, found.stderr);
    assert.deepEqual([found.pictures, found.suggestions.length], [24, 5]);
    assert.ok(
      found.suggestions.every(({ unsure, top }) => Math.abs(unsure - (1 - top[0].score + top[1].score)) < 1e-9),
    );
    const files = found.suggestions.map(({ file }) => file);
    assert.equal(new Set(files).size, 5);
    // The first two have labels now: neither they nor their like help.
    for (const [i, file] of files.slice(0, 2).entries()) {
      mkdirSync(path.join(cwd, `known/train/${'ab'[i]}`), { recursive: true });
      cpSync(path.join(cwd, file), path.join(cwd, `known/train/${'ab'[i]}/1.png`));
      cpSync(path.join(cwd, files[2 + i]), path.join(cwd, `known/train/${'ab'[i]}/2.png`));
    }
    cpSync(path.join(cwd, 'known/train'), path.join(cwd, 'known/test'), { recursive: true });
    const next = await json('suggest', 'faces/test', ...classes, '--top', '3', '--data', 'known');
    assert.equal(next.code, 0, next.stderr);
    assert.ok(next.suggestions.every(({ file }) => !files.slice(0, 4).includes(file)));
    writeFileSync(path.join(cwd, 'bad.png'), 'no picture');
    const broken = await json('suggest', 'faces/test', 'bad.png', ...classes, '--top', '1');
    assert.deepEqual([broken.code, broken.leftOut.length, broken.suggestions.length], [1, 1, 1]);
    rmSync(path.join(cwd, 'bad.png'));
    assert.match((await json('suggest', 'faces/test')).error.message, /suggest needs names/);
  });
});
