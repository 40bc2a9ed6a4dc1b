/** The instant answer: heads on features of a model, made, asked, changed while one looks, saved, widened, refused. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { createCore } from '../../js/core/core.js';
import { exportOfficial, loadClip } from '../../js/index.js';
import { chooseHead } from '../../js/instant/choose.js';
import { drawer } from '../../js/instant/draw.js';
import { headerOf, writeSafetensors } from '../../js/loading/safetensors.js';
import { HEADS } from '../../js/heads/heads.js';
import { CLASSES, EXAMPLES, TESTS } from '../browser/task.js';
import { pictoclip } from './command.js';
import { TINY_A, isError } from './models.js';

const ROOT = path.resolve(import.meta.dirname, '../..');
const here = (list) => list.map(({ image, label }) => ({ image: path.join(ROOT, image), label }));
const [EXAMPLE_FILES, TEST_FILES] = [here(EXAMPLES), here(TESTS)];
const [{ image: PICTURE, label: LABEL }] = TEST_FILES;

/** @type {any} */
let clip;
before(async () => {
  clip = await loadClip(pictoclip, { threads: 1 });
});
after(() => clip.dispose());

const made = (more = {}) =>
  clip.tune({ preset: 'instant', classes: CLASSES, examples: EXAMPLE_FILES, ...more }).finished;
const scoresOf = async (classifier, files = TEST_FILES) => {
  const all = [];
  for (const { image } of files) all.push(await classifier.classify(image, { topK: Infinity }));
  return all;
};
/** How often the image tower was asked for a picture. */
function counting() {
  const embed = clip.embedImages;
  const counted = { pictures: 0, release: () => (clip.embedImages = embed) };
  clip.embedImages = (pictures, options) => {
    counted.pictures += pictures.length;
    return embed.call(clip, pictures, options);
  };
  return counted;
}

test('the pictures that are drawn are those of the library, to the last one', async () => {
  const core = await createCore({ threads: 1 });
  for (const [count, classes, shots, seed] of [
    [200, 7, 3, 1],
    [50, 4, 16, 2 ** 32 - 1],
    [1000, 3, 300, 12345],
    [5, 5, 1, 0],
  ]) {
    const labels = Array.from({ length: count }, (_, i) => (i * i + (i >> 2)) % classes);
    const theirs = Array.from(core.sampleShots(labels, classes, Math.min(shots, count), seed));
    assert.deepEqual(drawer.sampleShots(labels, classes, shots, seed), theirs);
  }
  core.dispose();
});

test('of very many pictures none is held out, and what trains for long gives way', async () => {
  const facts = () => ({ labels: new Array(5001).fill(0) });
  const choose = (heads) => chooseHead(/** @type {any} */ (null), /** @type {any} */ (facts), heads, { seed: 1 });
  assert.deepEqual(await choose(['tip-f', 'clap', 'none']), { head: 'tip', heldOut: [] });
  assert.deepEqual(await choose(['prolip', 'none']), { head: 'prolip', heldOut: [] });
  assert.deepEqual(await choose(['tip-f']), { head: 'tip-f', heldOut: [] });
});

describe('an instant answer', () => {
  test('has the interface of every classifier, and tells of its steps', async () => {
    const job = clip.tune({ preset: 'instant', classes: CLASSES, examples: EXAMPLE_FILES, head: 'tip-f' });
    const steps = [];
    for await (const step of job) steps.push(step);
    const classifier = await job.finished;
    assert.equal(job.classifier, classifier);
    assert.deepEqual(
      steps.map(({ step }) => step),
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
    assert.ok(
      steps.every(
        ({ epochs, steps: all, loss, learningRate }) => epochs === 20 && all === 20 && loss >= 0 && learningRate > 0,
      ),
    );
    assert.ok(steps.at(-1).loss < steps[0].loss);
    assert.deepEqual([classifier.classes, classifier.method, classifier.head], [CLASSES, 'tip-f', 'tip-f']);
    assert.deepEqual(classifier.settings, { seed: 1 });
    assert.deepEqual(classifier.headSettings, HEADS['tip-f'].defaults);
    assert.deepEqual(
      classifier.labels,
      EXAMPLES.map(({ label }) => label),
    );
    const best = await classifier.classify(PICTURE);
    assert.equal(best[0].label, LABEL);
    assert.ok(Math.abs(best.reduce((sum, { score }) => sum + score, 0) - 1) < 1e-6);
    const { accuracy, count, confusion } = await classifier.evaluate(TEST_FILES);
    assert.deepEqual([count, confusion.flat().reduce((a, b) => a + b)], [TESTS.length, TESTS.length]);
    assert.ok(accuracy > 0.8);
    const { grid } = await classifier.attention(PICTURE);
    assert.ok(grid > 1);
    assert.deepEqual(await classifier.nearestWords(), []);
    await assert.rejects(job.checkpoint(), isError('state', /no checkpoint/));
    await classifier.dispose();
    await classifier.dispose();
    await assert.rejects(classifier.classify(PICTURE), isError('state', /disposed/));
  });

  test('runs the tower once for each picture, and the same seed gives the same numbers', async () => {
    await clip.forgetFeatures();
    const counted = counting();
    const first = await made({ seed: 5 });
    assert.equal(counted.pictures, EXAMPLES.length);
    counted.release();
    const second = await made({ seed: 5 });
    assert.deepEqual(await scoresOf(second), await scoresOf(first));
  });

  test('of several views the tower sees each once; they are in the file, and changes go on from them', async () => {
    const options = { head: 'tip-f', views: 4, examples: EXAMPLE_FILES.slice(0, -1) };
    const classifier = await made(options);
    const plain = await made({ ...options, views: 1 });
    assert.notDeepEqual(await scoresOf(classifier), await scoresOf(plain));
    const again = await clip.import(await classifier.export());
    assert.deepEqual(await scoresOf(again), await scoresOf(classifier));
    const { image, label } = EXAMPLE_FILES.at(-1);
    for (const each of [classifier, again]) {
      await each.remove(0);
      await each.add(image, label); // of which there is the plain view alone
    }
    assert.deepEqual(await scoresOf(again), await scoresOf(classifier));
    const { tensors } = headerOf(await again.export(), 'the file');
    const shapes = ['pictures', 'picture_views'].map((name) => tensors.find((each) => each.name === name).shape);
    assert.deepEqual(shapes[1], [3, ...shapes[0]]);
    assert.deepEqual(shapes[0][0], EXAMPLES.length - 1);
    for (const views of [0, 65, 1.5, '2'])
      await assert.rejects(made({ views }), isError('argument', /views is .*expected a whole number from 1 to 64/));
    await assert.rejects(made({ views: 2, head: 'none' }), isError('argument', /views are what a head learns from/));
    assert.equal((await made({ views: 1, head: 'none' })).head, null);
    for (const head of ['clap', 'prolip', 'gda'])
      assert.equal((await made({ head, views: 2 })).labels.length, EXAMPLES.length);
  });

  test('auto holds pictures out in turn, and takes another head than the first where it is sure', async () => {
    const classifier = await made();
    assert.deepEqual(
      classifier.heldOut.map((each) => each.head),
      ['tip-f', 'clap', 'none'],
    );
    assert.ok(classifier.heldOut.every(({ accuracy, loss }) => accuracy > 0 && accuracy <= 1 && loss > 0));
    assert.equal(classifier.head, 'tip-f');
    // Where labels say nothing, names say more than any head.
    const turned = EXAMPLE_FILES.map(({ image }, i) => ({ image, label: (i + Math.floor(i / 4)) % 3 }));
    const { head, heldOut: found } = await made({ examples: [...turned, ...turned, ...turned] });
    assert.ok(found.every(({ accuracy }) => accuracy > 0.1));
    assert.ok(found.some((each) => each.head === (head ?? 'none')));
    const { head: newNames, heldOut: others } = await made({ goal: 'new-names' });
    assert.ok([null, 'prolip'].includes(newNames) && others.length === 2);
    const one = await made({ shots: 1 });
    assert.deepEqual([one.heldOut, one.head, one.labels.length], [[], 'tip-f', 3]);
  });

  test("'none' is zero-shot", async () => {
    for (const templates of [undefined, ['a photo of a {}.', 'an icon of a {}.']]) {
      const plain = await clip.zeroShot(CLASSES, templates && { templates });
      const classifier = await made({ head: 'none', templates });
      assert.deepEqual([classifier.method, classifier.head, classifier.settings], ['zeroshot', null, null]);
      const [ours, theirs] = [await scoresOf(classifier), await scoresOf(plain)];
      ours.forEach((row, i) =>
        row.forEach(({ label, score }, k) => {
          assert.equal(label, theirs[i][k].label);
          assert.ok(Math.abs(score - theirs[i][k].score) < 1e-5);
        }),
      );
    }
  });

  test('pictures that cannot be read are told, and others drawn in their place', async () => {
    const examples = [...EXAMPLE_FILES];
    const broken = { image: new Uint8Array(5), label: CLASSES[0] };
    examples.splice(1, 0, broken, broken);
    await assert.rejects(
      made({ examples }),
      isError('image', /2 pictures cannot be read: .*the picture of example 1: /),
    );
    const told = [];
    const counted = counting();
    const classifier = await made({
      examples,
      shots: 4,
      onBroken: ({ index, list, code }) => told.push([index, list, code]),
    });
    counted.release();
    const places = told.map(([index]) => index);
    assert.ok(places.length && places.every((index) => index === 1 || index === 2));
    assert.ok(told.every(([, list, code]) => list === 'examples' && code === 'image'));
    assert.equal(classifier.labels.filter((label) => label === CLASSES[0]).length, 4);
    assert.equal(counted.pictures, 12 + places.length, 'none is read twice');
    const seen = [];
    const { count } = await classifier.evaluate([broken, TEST_FILES[0]], { onBroken: (one) => seen.push(one) });
    assert.deepEqual([count, seen.length, seen[0].index, seen[0].list], [1, 1, 0, 'examples']);
  });

  test('stop() keeps what there is, an abort keeps nothing', async () => {
    const job = clip.tune({ preset: 'instant', classes: CLASSES, examples: EXAMPLE_FILES, head: 'clap' });
    let steps = 0;
    for await (const _ of job) if (++steps === 3) job.stop();
    assert.ok(steps < 300);
    assert.equal((await (await job.finished).classify(PICTURE))[0].label, LABEL);
    const controller = new AbortController();
    const other = made({ head: 'clap', signal: controller.signal });
    controller.abort();
    await assert.rejects(other, { name: 'AbortError' });
  });

  test('what it cannot be made of is refused by name', async () => {
    const refused = (more, message) => assert.rejects(made(more), isError('argument', message));
    await refused({ head: 'lora' }, /head is "lora", expected auto, none, sstext/);
    await refused({ goal: 'speed' }, /goal is "speed", expected accuracy or new-names/);
    await refused({ method: 'mudpt' }, /there is no option "method"; valid are preset, classes/);
    await refused({ epochs: 5 }, /there is no option "epochs"/);
    await refused({ shots: 0 }, /shots is 0, expected a whole number from 1/);
    await refused({ seed: -1 }, /seed is -1/);
    await refused({ headSettings: { alpha: 1 } }, /headSettings belong to a head, and head is "auto"; name one/);
    await refused({ head: 'clap', headSettings: { beta: 1 } }, /no setting "beta" of clap/);
    await refused({ classes: ['one'] }, /one class has nothing to be told apart from/);
    await refused({ classes: ['a', ' a'] }, /are one name to the model/);
    await refused({ classes: ['a', 'b'] }, /the label of example 0/);
    await refused({ examples: EXAMPLE_FILES.slice(4) }, /class "angry face" has no example/);
    await refused({ template: 'a {}', templates: ['a {}'] }, /template and templates are given/);
    await refused({ template: 'a' }, /text with \{\}/);
  });
});

describe('learning while one looks', () => {
  test('from names alone, picture by picture, to what all of them at once give', async () => {
    const classifier = await made({ examples: [], head: 'tip-f' });
    const plain = await clip.zeroShot(CLASSES);
    const near = (a, b) => Math.abs(a[0].score - b[0].score) < 1e-5 && a[0].label === b[0].label;
    assert.ok(near(await classifier.classify(PICTURE), await plain.classify(PICTURE)), 'without pictures');
    const drawn = await made({ head: 'tip-f' });
    const all = EXAMPLE_FILES.map(({ image, label }) => classifier.add(image, label)); // at once, in order
    assert.deepEqual(await Promise.all(all), [...EXAMPLES.keys()]);
    assert.deepEqual(classifier.labels, drawn.labels);
    // Drawn are all, each class in its order.
    assert.deepEqual(await scoresOf(classifier), await scoresOf(drawn));
  });

  test('a picture that is removed or corrected leaves no trace', async () => {
    const classifier = await made({ head: 'tip-f' });
    const before = await scoresOf(classifier);
    const index = await classifier.add(PICTURE, CLASSES[2]);
    assert.notDeepEqual(await scoresOf(classifier), before);
    await classifier.remove(index);
    assert.deepEqual(await scoresOf(classifier), before);
    await classifier.correct(0, CLASSES[1]);
    assert.equal(classifier.labels[0], CLASSES[1]);
    assert.notDeepEqual(await scoresOf(classifier), before);
    await classifier.correct(0, 0);
    assert.deepEqual(await scoresOf(classifier), before);
    assert.equal((await classifier.classify(PICTURE))[0].label, LABEL);
  });

  test('a class that is renamed is what it would be with that name, and more classes learn', async () => {
    const classifier = await made({ head: 'clap' });
    await classifier.rename(CLASSES[0], 'red face');
    const own = await made({
      head: 'clap',
      classes: ['red face', ...CLASSES.slice(1)],
      examples: EXAMPLE_FILES.map(({ image, label }) => ({ image, label: CLASSES.indexOf(label) })),
    });
    assert.deepEqual(await scoresOf(classifier), await scoresOf(own));
    await classifier.addClasses(['something else']);
    assert.deepEqual(classifier.classes.at(-1), 'something else');
    await classifier.add(PICTURE, 'something else');
    await classifier.add(PICTURE, 3);
    assert.equal((await classifier.classify(PICTURE))[0].label, 'something else');
  });

  test('an answer that is asked while classes come is of those that were there', async () => {
    const classifier = await made({ head: 'clap' });
    await classifier.classify(PICTURE);
    for (let turns = 0; turns < 8; turns++) {
      await classifier.correct(0, 0); // the head is made anew, in hundreds of steps
      const asked = classifier.classify(PICTURE, { topK: Infinity });
      for (let i = 0; i < turns; i++) await new Promise((resolve) => setTimeout(resolve));
      await classifier.addClasses([`class ${turns}`]);
      const sum = (await asked).reduce((all, { score }) => all + score, 0);
      assert.ok(Math.abs(sum - 1) < 1e-6, `${turns}: ${sum}`);
    }
  });

  test('a change runs the tower for its own picture alone', async () => {
    const classifier = await made();
    await clip.forgetFeatures();
    const counted = counting();
    await classifier.add(PICTURE, LABEL);
    await classifier.correct(0, 1);
    await classifier.remove(0);
    await classifier.rename(0, 'cross face');
    await classifier.classify(PICTURE);
    assert.equal(counted.pictures, 2);
    counted.release();
  });

  test('slips are refused and change nothing', async () => {
    const classifier = await made({ head: 'tip' });
    const before = await scoresOf(classifier);
    const refused = (promise, message) => assert.rejects(promise, isError('argument', message));
    await refused(classifier.add(PICTURE, 'nobody'), /the label of example 0 is "nobody", expected a class/);
    await assert.rejects(classifier.add(new Uint8Array(4), LABEL), isError('image', /picture 0/));
    await refused(classifier.remove(99), /there is no picture 99; expected 0 to 11/);
    await refused(classifier.correct(0, 'nobody'), /expected a class/);
    await refused(classifier.rename('nobody', 'x'), /expected a class/);
    await refused(classifier.rename(0, CLASSES[1].replace(' ', '_')), /are one name to the model/);
    await refused(classifier.rename(0, ' '), /a class name/);
    await refused(classifier.addClasses([CLASSES[0].replace(' ', '_')]), /are one name to the model/);
    await refused(classifier.addClasses([]), /there are no classes/);
    await refused(classifier.classify(PICTURE, { topK: 0 }), /topK is 0/);
    await refused(classifier.classify(PICTURE, { top: 1 }), /no option "top"/);
    await refused(classifier.classify(PICTURE, { scores: 'sigmoid' }), /scores cannot be sigmoid here/);
    assert.deepEqual(await scoresOf(classifier), before);
    await (
      await made({ examples: [] })
    )
      .remove(0)
      .then(() => assert.fail('there is none'), isError('argument', /there is no picture 0; expected none/));
  });
});

describe('what its features tell besides', () => {
  const OTHER = path.join(ROOT, 'tests/golden/preprocess/images/noise.png');

  test('none of these: a share of the known pictures, high for what is none, renewed with every change', async () => {
    const classifier = await made({ head: 'tip-f' });
    const answers = await classifier.classify(PICTURE, { none: true, topK: 2 });
    assert.deepEqual([...answers], await classifier.classify(PICTURE, { topK: 2 }));
    assert.ok(answers.none >= 0 && answers.none < 0.9, String(answers.none));
    const { none } = await classifier.classify(OTHER, { none: true });
    assert.ok(none > 0.9 && none <= 1, String(none));
    for (let i = 0; i < 2; i++) await classifier.add(OTHER, 0);
    assert.ok((await classifier.classify(OTHER, { none: true })).none < none);
    const empty = await made({ examples: [] });
    await assert.rejects(empty.classify(OTHER, { none: true }), isError('state', /'none' needs 2 pictures/));
    const before = await made({ head: 'prolip' });
    assert.ok((await before.classify(OTHER, { none: true })).none > 0.5);
  });

  test('which picture next: those that are unsure and new, without those that cannot be read', async () => {
    const classifier = await made({ head: 'tip-f', shots: 1 });
    const pool = [new Uint8Array(3), ...TEST_FILES.map(({ image }) => image), TEST_FILES[0].image];
    const told = [];
    const chosen = await classifier.suggest(pool, 3, { onBroken: ({ index }) => told.push(index) });
    assert.deepEqual([told, chosen.length, new Set(chosen.map(({ index }) => index)).size], [[0], 3, 3]);
    assert.ok(chosen.every(({ index, unsure }) => index > 0 && unsure >= 0 && unsure <= 1));
    assert.ok(!chosen.some(({ index }) => index === 1) || !chosen.some(({ index }) => index === 7), 'one of two alike');
    assert.deepEqual(await classifier.suggest([], 3), []);
    await assert.rejects(classifier.suggest(pool.slice(1), 0), isError('argument', /count is 0/));
  });

  test('which label looks wrong', async () => {
    const classifier = await made();
    await classifier.correct(5, 2);
    const { noise, suspects } = await classifier.audit();
    assert.equal(suspects.length, EXAMPLES.length);
    assert.ok(noise > 0 && noise < 0.5);
    assert.ok(suspects.slice(0, 3).some(({ index, label }) => index === 5 && label === CLASSES[2]));
    assert.ok(suspects.every(({ wrong, label, like }) => wrong >= 0 && wrong <= 1 && label !== like));
    await assert.rejects((await made({ examples: [] })).audit(), isError('state', /audit\(\) needs 3 pictures/));
  });
});

describe('in a file', () => {
  for (const head of ['none', ...Object.keys(HEADS)]) {
    test(`${head} answers the same to the bit, and goes on learning`, async () => {
      const classifier = await made({ head });
      const before = await scoresOf(classifier);
      const bytes = await classifier.export();
      const again = await clip.import(bytes);
      assert.deepEqual(
        [again.classes, again.method, again.head, again.settings, again.headSettings, again.labels],
        [
          classifier.classes,
          classifier.method,
          classifier.head,
          classifier.settings,
          classifier.headSettings,
          classifier.labels,
        ],
      );
      assert.deepEqual(await scoresOf(again), before);
      assert.deepEqual(await again.export(), bytes);
      for (const each of [classifier, again]) await each.add(PICTURE, LABEL);
      assert.deepEqual(await scoresOf(again), await scoresOf(classifier));
    });
  }

  for (const head of ['none', ...Object.keys(HEADS).filter((name) => HEADS[name].newNames)]) {
    test(`${head} with further names: what answers for the others stays, to the bit, in a file, too`, async () => {
      const classifier = await made({ head });
      const more = await classifier.withClasses(['robot', 'ghost']);
      assert.deepEqual(more.classes, [...CLASSES, 'robot', 'ghost']);
      // Softmax over more classes: the logits' differences are what stays.
      const ratio = (answers) => {
        const of = (index) => Math.log(answers.find((each) => each.index === index).score);
        return of(1) - of(0);
      };
      const [own, theirs] = [await classifier.classify(PICTURE), await more.classify(PICTURE)];
      assert.ok(Math.abs(ratio(own) - ratio(theirs)) < 1e-3 * Math.max(1, Math.abs(ratio(own))));
      const again = await clip.import(await more.export());
      assert.deepEqual(await scoresOf(again), await scoresOf(more));
      await classifier.dispose();
      assert.equal((await more.classify(PICTURE)).length, 5);
    });
  }

  test('a head that can have no further names says so', async () => {
    const classifier = await made({ head: 'logistic' });
    await assert.rejects(classifier.withClasses(['robot']), isError('state', /logistic/));
    assert.equal((await classifier.classify(PICTURE))[0].label, LABEL);
  });

  test('templates are kept', async () => {
    const templates = ['a photo of a {}.', 'an icon of a {}.'];
    const classifier = await made({ head: 'clap', templates });
    const again = await clip.import(await classifier.export());
    assert.deepEqual(await scoresOf(again), await scoresOf(classifier));
    for (const each of [classifier, again]) await each.addClasses(['robot']);
    assert.deepEqual(await scoresOf(again), await scoresOf(classifier));
  });

  test('damage is refused by name, as is another model', async () => {
    const bytes = await (await made({ head: 'tip-f' })).export();
    const { tensors, metadata } = headerOf(bytes, 'x');
    const contents = tensors.map(({ begin, bytes: size, ...each }) => ({
      ...each,
      data: bytes.slice(begin, begin + size),
    }));
    const edited = (change, more = {}) =>
      writeSafetensors(
        contents.flatMap((each) => change(each) ?? []),
        { ...metadata, ...more },
      );
    const same = (each) => each;
    const without = (name) => edited((each) => (each.name === name ? null : each));
    const head = (more) => edited(same, { head: JSON.stringify({ ...JSON.parse(metadata.head), ...more }) });
    const refused = (file, message) =>
      assert.rejects(clip.import(file, { name: 'mine' }), isError('classifier', message));
    assert.ok(await clip.import(edited(same)));
    assert.throws(() => exportOfficial(bytes), isError('classifier', /it has a head, which only import\(\) reads/));
    await refused(without('text_features'), /mine: has no tensor text_features/);
    await refused(without('picture_labels'), /mine: has no tensor picture_labels/);
    await refused(without('head.keys'), /mine: /);
    await refused(edited(same, { head: '{' }), /mine: its metadata "head" is no valid JSON/);
    await refused(head({ name: 'lora' }), /mine: has the unknown head lora/);
    await refused(head({ name: 'toString' }), /unknown head toString/);
    await refused(head({ settings: { alpha: 'x' } }), /does not say how its head was made/);
    await refused(head({ settings: { gamma: 1 } }), /mine: .*no setting "gamma"/);
    await refused(head({ trained: 7 }), /does not say how its head was made/);
    const label = (value) =>
      edited((each) =>
        each.name === 'picture_labels' ? { ...each, data: Int32Array.from({ length: 12 }, () => value) } : each,
      );
    await refused(label(3), /has a label that is no class/);
    await refused(label(-1), /has a label that is no class/);
    const notFinite = (name) =>
      edited((each) =>
        each.name === name ? { ...each, data: new Float32Array(each.data.length / 4).fill(NaN) } : each,
      );
    for (const name of ['pictures', 'head.keys', 'text_features'])
      await refused(notFinite(name), /holds NaN or infinity/);
    await refused(edited(same, { version: '3' }), /has the format version 3, expected 1/);
    await refused(bytes.slice(0, -5), /mine: /);
    await refused(new Uint8Array(3), /mine: /);
    await assert.rejects(
      clip.import(bytes, { integrity: `sha256-${'A'.repeat(43)}=` }),
      isError('classifier', /sha256/),
    );
    const other = await loadClip(TINY_A, { threads: 1 });
    await assert.rejects(other.import(bytes), isError('classifier', /belongs to another model/));
    await other.dispose();
  });

  test('without a text tower it answers and learns pictures; what needs names is refused', async () => {
    const classifier = await made({ head: 'tip-f' });
    const images = await loadClip(pictoclip, { threads: 1, towers: 'image' });
    const again = await images.import(await classifier.export());
    const [ours, theirs] = [await scoresOf(again), await scoresOf(classifier)];
    assert.deepEqual(ours, theirs);
    await again.add(PICTURE, LABEL);
    assert.equal((await again.classify(PICTURE))[0].label, LABEL);
    for (const refused of [again.rename(0, 'x'), again.addClasses(['x']), again.withClasses(['x'])])
      await assert.rejects(refused, isError('state', /text tower/));
    const tune = images.tune({ preset: 'instant', classes: CLASSES, examples: EXAMPLE_FILES });
    await assert.rejects(tune.finished, isError('state', /text tower/));
    await images.dispose();
    await assert.rejects(again.classify(PICTURE), isError('state', /./));
  });

  test('files without a head are what they were', async () => {
    const plain = await clip.zeroShot(CLASSES);
    const bytes = await plain.export();
    assert.equal(headerOf(bytes, 'x').metadata.version, '1');
    assert.equal((await clip.import(bytes)).head, undefined);
  });
});
