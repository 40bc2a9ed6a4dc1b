/** The command line as a user types it: what works, and every way in which it must refuse. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import { CLASSES, golden, makeDataset, mudpt as spawnMudpt, pictoclip, workFolder } from './command.js';

const cwd = workFolder();
const mudpt = (args, options) => spawnMudpt(args, { cwd, ...options });
const at = (...parts) => path.join(cwd, ...parts);
const data = makeDataset(at('faces3'), 6);
const quick = ['train', '--data', 'faces3', '--shots', '4', '--epochs', '2'];

/** The object that a run with --json printed; nothing else may be on stdout. */
function json({ code, stdout, stderr }) {
  assert.equal(code, 0, stderr);
  const lines = stdout.trimEnd().split('\n');
  assert.equal(lines.length, 1, stdout);
  return JSON.parse(lines[0]);
}

/** What every expected failure must look like. */
function refused({ code, stdout, stderr }, message, { json: asked = false } = {}) {
  assert.equal(code, 1, `exit code; ${stderr}`);
  assert.match(stderr, /^mudpt: [^\n]+\n$/, 'one line');
  assert.match(stderr, message);
  assert.match(stderr, /; \S/, 'says what to do');
  if (!asked) return assert.equal(stdout, '');
  const { error } = JSON.parse(stdout);
  assert.deepEqual(Object.keys(error), ['code', 'message', 'hint']);
  assert.ok(stderr.includes(error.message) && error.message.endsWith(error.hint) && error.hint);
}

// ------------------------------------------------------------------------------------------ words

test('help and version', async () => {
  const [bare, help, train, version] = await Promise.all([
    mudpt([]),
    mudpt(['--help']),
    mudpt(['help', 'train']),
    mudpt(['--version']),
  ]);
  for (const { code, stderr } of [bare, help, train, version]) assert.deepEqual([code, stderr], [0, '']);
  for (const name of commands) assert.match(help.stdout, new RegExp(`^  ${name} `, 'm'));
  assert.equal(bare.stdout, help.stdout);
  assert.match(train.stdout, /--prompt-length <n> +prompt tokens a layer \(default: 4, coop 16, vpt 8,$/m);
  assert.ok(
    train.stdout.split('\n').every((line) => line.length <= 80),
    'fits 80 columns',
  );
  const { version: expected } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  assert.equal(version.stdout, `${expected}\n`);
});

const commands = ['train', 'classify', 'eval', 'methods', 'info', 'convert'];

const wrongWords = [
  ['trian', /unknown command 'trian'; did you mean train\? valid are train, classify, eval, .*info, .*help/],
  ['help trian', /unknown command 'trian'; valid are train, /],
  ['--shots 3', /unknown option '--shots'/],
  ['train --shot 3', /unknown option '--shot'; did you mean --shots\? valid are --data, .*--seed/],
  ['train faces3', /too many arguments for 'train'/],
  ['train --data', /option '--data <path>' argument missing; see mudpt help train/],
  ['train --data faces3 --task zoo', /'--task <name>' cannot be used with option '--data <path>'/],
  ['train --task zooo', /--task zooo: there is no such task; choose /],
  ['train --epochs 0', /--epochs: "0" is not possible; expected a whole number from 1 to 100000/],
  ['train --epochs 1.5', /--epochs: "1\.5" is not possible/],
  ['train --shots -1', /--shots: "-1" is not possible/],
  ['train --batch 5000', /--batch: "5000" is not possible; expected a whole number from 1 to 4096/],
  ['train --lr 0', /--lr: "0" is not possible; expected a number above 0 to 1000/],
  ['train --lr NaN', /--lr: "NaN" is not possible/],
  ['train --lr 1e9', /--lr: "1e9" is not possible/],
  ['train --seed 4294967296', /--seed: "4294967296" is not possible/],
  ['train --depth x', /--depth: "x" is not possible; expected a whole number from 1 to 128/],
  ['train --smallest-crop 1.1', /--smallest-crop: "1\.1" is not possible/],
  ['train --threads 65', /--threads: "65" is not possible; expected a whole number from 1 to 64/],
  ['train --method lora', /--method: "lora" is not possible; choose .*mudpt/],
  ['train --dtype f64', /--dtype: "f64" is not possible; choose f32, f16, int8/],
  ['train --template photo', /--template: "photo" is not possible; expected a sentence with one \{\}/],
  ['classify', /missing required argument 'picture'; see mudpt help classify/],
  ['classify x.png', /classify needs names to choose from; give --classifier FILE or --classes a,b,c/],
  ['classify x.png --classes cat', /--classes: "cat" is not possible; expected two names/],
  ['classify x.png --classes cat,,dog', /--classes: "cat,,dog" is not possible/],
  ['classify x.png --classes a_cat,a__cat', /classes 0 and 1, "a_cat" and "a__cat", are one name to the model/],
  [
    'classify x.png --classes-file nowhere',
    /--classes-file: "nowhere" is not possible; expected a file of names.*ENOENT/,
  ],
  ['classify x.png --classes cat,dog --top 0', /--top: "0" is not possible/],
  ['info --integrity x', /unknown option '--integrity'/],
  ['classify x.png --classes cat,dog --integrity md5-x', /--integrity: "md5-x" is not possible; expected sha256-/],
  ['eval', /required option '--data <path>' not specified/],
  ['convert faces3', /required option '--out <dir>' not specified/],
  ['convert faces3 --to int32 --out x', /--to: "int32" is not possible; choose f32, f16, int8, int16$/m],
];
for (const [words, message] of wrongWords) {
  test(`is refused: mudpt ${words}`, async () => {
    refused(await mudpt(words.split(' ')), message);
    const [command, ...rest] = words.split(' ');
    if (commands.includes(command)) refused(await mudpt([command, '--json', ...rest]), message, { json: true });
  });
}

// ------------------------------------------------------------------------------------------ the way through

const TUNED_INSTANT = 'tuned-instant.safetensors';
/** One run that several tests look at. */
let trained;
before(async () => {
  trained = json(await mudpt([...quick, '--seed', '7', '--threads', '2', '--out', 'tuned.safetensors', '--json']));
});

test('train --json tells everything that a program needs', () => {
  assert.deepEqual(trained.classes, CLASSES);
  assert.equal(trained.task, 'faces3');
  assert.equal(trained.method, 'mudpt');
  assert.equal(trained.lossPerEpoch.length, 2);
  for (const part of [trained.zeroShot, trained.instant, trained.tuned]) {
    assert.ok(part.accuracy > 1 / 3 && part.accuracy <= 1, 'better than chance');
    assert.ok(part.macroF1 > 0 && part.macroF1 <= 1);
    assert.ok(part.ece >= 0 && part.seconds > 0 && part.seconds < trained.seconds);
  }
  const { heldOut, output, method } = trained.instant;
  assert.deepEqual([trained.zeroShot.method, trained.tuned.method, output], ['zeroshot', 'mudpt', TUNED_INSTANT]);
  assert.ok(heldOut.some(({ head, accuracy }) => head === method && accuracy > 1 / 3));
  assert.ok(trained.lossPerEpoch.every((loss) => loss > 0 && loss < 2));
  assert.ok(trained.seconds < 600 && trained.peakBytes > 10e6 && trained.peakBytes < 4e9);
  assert.equal(trained.settings.shots, 4);
  assert.equal(trained.settings.seed, 7);
  assert.equal(trained.output, 'tuned.safetensors');
  assert.equal(trained.interrupted, false);
});

const TIMES = ['seconds', 'peakBytes', 'output'];
const numbers = (run) => JSON.parse(JSON.stringify(run, (key, value) => (TIMES.includes(key) ? undefined : value)));

test('the same seed gives the same numbers and file, whatever the threads; another seed does not', async () => {
  const run = async (seed, threads) =>
    json(
      await mudpt([
        ...quick,
        '--seed',
        seed,
        '--threads',
        threads,
        '--out',
        `s${seed}-t${threads}.safetensors`,
        '--json',
      ]),
    );
  const [again, single, other] = [await run('7', '2'), await run('7', '1'), await run('8', '2')];
  assert.deepEqual(numbers(again), numbers(trained));
  assert.deepEqual(numbers(single), numbers(trained));
  for (const file of ['s7-t2.safetensors', 's7-t1.safetensors']) {
    assert.deepEqual(readFileSync(at(file)), readFileSync(at('tuned.safetensors')));
    assert.deepEqual(readFileSync(at(file.replace('.', '-instant.'))), readFileSync(at(TUNED_INSTANT)));
  }
  assert.notDeepEqual(other.lossPerEpoch, trained.lossPerEpoch);
});

test('train for people: plain lines, both accuracies, where it was saved', async () => {
  const { code, stdout, stderr } = await mudpt([...quick, '--method', 'ivlp', '--no-augment']);
  assert.equal(code, 0, stderr);
  assert.equal(stderr, '');
  assert.doesNotMatch(stdout, /[\x1b\r]/, 'no colours and no moving line without a terminal');
  assert.match(stdout, /^epoch 1\/2 {2}loss \d\.\d{3} {2}rate 1\.0e-5 {2}[\d.]+ pictures\/s {2}\d+:\d\d left$/m);
  assert.match(stdout, /^epoch 2\/2 {2}loss /m);
  assert.match(stdout, /^ +zero-shot +instant +tuned +change$/m);
  assert.match(stdout, /^ {2}accuracy +\d+\.\d % +\d+\.\d % +\d+\.\d % +[+−]?\d+\.\d$/m);
  assert.match(stdout, /^instant +\d+\.\d %, \d+\.\d s later, by [\w-]+$/m);
  assert.match(stdout, /^The instant answer is in faces3-ivlp-instant\.safetensors$/m);
  assert.match(stdout, /^ {2}macro-F1 +\d/m);
  assert.match(stdout, /^Saved in faces3-ivlp\.safetensors \(\d+ kB\)$/m);
  assert.ok(existsSync(at('faces3-ivlp.safetensors')));
  assert.ok(stdout.split('\n').every((line) => line.length <= 80));

  const quiet = await mudpt([...quick, '--quiet', '--out', 'quiet.safetensors']);
  assert.doesNotMatch(quiet.stdout, /epoch|pictures\/s/);
  assert.match(quiet.stdout, /^ {2}accuracy /m);
});

test('the file of a data set with a name in any script is called after it', async () => {
  cpSync(data, at('-- котики'), { recursive: true });
  const { output } = json(await mudpt(['train', '--data', './-- котики', ...quick.slice(3), '--json', '--quiet']));
  assert.equal(output, 'котики-mudpt.safetensors');
  assert.ok(existsSync(at(output)));
});

test('eval gives the accuracies that train gave', async () => {
  const tuned = json(await mudpt(['eval', '--data', 'faces3', '--classifier', 'tuned.safetensors', '--json']));
  assert.equal(tuned.accuracy, trained.tuned.accuracy);
  assert.equal(tuned.macroF1, trained.tuned.macroF1);
  assert.deepEqual(
    tuned.confusion.flat().reduce((sum, times) => sum + times),
    18,
  );
  const plain = json(await mudpt(['eval', '--data', 'faces3', '--json']));
  assert.equal(plain.accuracy, trained.zeroShot.accuracy);
  const { code, stdout } = await mudpt(['eval', '--data', 'faces3', '--part', 'train']);
  assert.equal(code, 0);
  assert.match(stdout, /^ {2}nauseated face +\d+\.\d % +6 /m);
  refused(await mudpt(['eval', '--data', 'faces3', '--part', 'val']), /faces3: has no part val/);
});

test('eval finds classes by their names, not by their place', async () => {
  const other = at('reordered');
  for (const name of ['nauseated_face', 'clown_face']) {
    for (const part of ['train', 'test'])
      cpSync(path.join(data, part, name), path.join(other, part, name), { recursive: true });
  }
  const { perClass } = json(
    await mudpt(['eval', '--data', 'reordered', '--classifier', 'tuned.safetensors', '--json']),
  );
  assert.deepEqual(
    perClass.map((each) => each.count),
    [6, 0, 6],
  );
  assert.deepEqual(
    perClass.map((each) => each.accuracy),
    [trained.perClass[0].tuned, null, trained.perClass[2].tuned],
  );
  mkdirSync(at('reordered/train/cow'));
  cpSync(path.join(golden, 'preprocess/images'), at('reordered/train/cow'), { recursive: true });
  refused(
    await mudpt(['eval', '--data', 'reordered', '--classifier', 'tuned.safetensors']),
    /reordered: class "cow" is not one of tuned\.safetensors/,
  );
});

test('classify: folders, several pictures, names of its own; a bad one does not keep the others', async () => {
  const folder = 'faces3/test/clown_face';
  const tuned = json(await mudpt(['classify', folder, '--classifier', 'tuned.safetensors', '--top', '2', '--json']));
  assert.equal(tuned.results.length, 6);
  const right = tuned.results.filter((result) => result.top[0].label === 'clown face').length;
  assert.equal(right / 6, trained.perClass[0].tuned);
  for (const { top } of tuned.results) assert.ok(top.length === 2 && top[0].score >= top[1].score);

  writeFileSync(at('text.jpg'), 'no picture');
  const good = readdirSync(at(folder))[0];
  const mixed = await mudpt([
    'classify',
    'text.jpg',
    `${folder}/${good}`,
    'nowhere.png',
    '--classes',
    'clown face,zebra',
  ]);
  assert.equal(mixed.code, 1);
  assert.match(mixed.stdout, /clown_face.*\n +\d+\.\d % +clown face/);
  assert.match(mixed.stderr, /^mudpt: text\.jpg: .*; .*\nmudpt: nowhere\.png .*; .*\n$/);
  const both = await mudpt(['classify', 'text.jpg', `${folder}/${good}`, '--classes', 'clown face,zebra', '--json']);
  assert.equal(both.code, 1);
  const { results } = JSON.parse(both.stdout);
  assert.equal(results[0].error.code, 'image');
  assert.equal(results[1].top.length, 2);
});

test('classify: a model with other digests than are wanted is refused', async () => {
  const digest = (file) => createHash('sha256').update(readFileSync(file)).digest('base64');
  const [weights, tokens] = ['model.safetensors', 'tokenizer.json'].map(
    (name) => `sha256-${digest(path.join(pictoclip, name))}`,
  );
  const classify = (...integrity) => {
    const options = integrity.flatMap((one) => ['--integrity', one]);
    return mudpt(['classify', 'faces3/test/clown_face', '--classes', 'clown face,zebra', '--json', ...options]);
  };
  assert.equal(json(await classify(weights)).results.length, 6);
  assert.equal(json(await classify(`model.safetensors=${weights}`, `tokenizer.json=${tokens}`)).results.length, 6);
  refused(await classify(tokens), /model\.safetensors is not the file that is wanted/, { json: true });
  refused(await classify(`tokenizer.json=${weights}`), /tokenizer\.json is not the file/, { json: true });
  refused(await classify(weights, tokens), /--integrity: .* expected sha256- .*, or several FILE=/, { json: true });
});

test('--upright turns pictures where they are classified, measured and trained on', async () => {
  const turned = path.join(golden, 'preprocess/images/turned.jpg');
  const classify = async (...more) =>
    json(await mudpt(['classify', turned, '--classes', 'cat,dog', '--json', ...more]));
  assert.notDeepEqual(await classify('--upright'), await classify());
  for (const name of ['a', 'b']) {
    mkdirSync(at('exif', name), { recursive: true });
    for (const i of [1, 2]) cpSync(turned, at('exif', name, `${i}.jpg`));
  }
  const data = ['--data', 'exif', '--json'];
  const { reliability } = json(await mudpt(['eval', ...data, '--upright']));
  assert.notDeepEqual(reliability, json(await mudpt(['eval', ...data])).reliability);
  const train = ['train', ...data, '--epochs', '2', '--no-augment', '--out', 'exif.safetensors'];
  const { lossPerEpoch } = json(await mudpt([...train, '--upright']));
  assert.notDeepEqual(lossPerEpoch, json(await mudpt(train)).lossPerEpoch);
});

test('--convention rounds places of crops as transformers does', async () => {
  const wide = path.join(golden, 'preprocess/images/turned.jpg');
  const classify = async (...more) => json(await mudpt(['classify', wide, '--classes', 'cat,dog', '--json', ...more]));
  assert.deepEqual(await classify('--convention', 'openai'), await classify());
  assert.notDeepEqual(await classify('--convention', 'transformers'), await classify());
  refused(await mudpt(['classify', wide, '--classes', 'cat,dog', '--convention', 'timm']), /--convention/);
});

test('info on models and classifiers', async () => {
  const model = json(await mudpt(['info', '--json']));
  assert.equal(model.parameters, 2930305);
  assert.deepEqual(model.dtypes, ['F16']);
  assert.match(model.fingerprint, /^[0-9a-f]{16}$/);
  const saved = json(await mudpt(['info', 'tuned.safetensors', '--json']));
  assert.equal(saved.fingerprint, model.fingerprint);
  assert.deepEqual(saved.classes, CLASSES);
  assert.equal(saved.settings.seed, 7);
  const { stdout } = await mudpt(['info', 'tuned.safetensors']);
  assert.match(stdout, /^classes +3: clown face, face with medical mask,/m);
  assert.ok(stdout.split('\n').every((line) => line.length <= 80));
});

test('a count of shots that is not there is not told as if it were', async () => {
  const args = ['train', '--data', 'faces3', '--epochs', '1', '--shots', '16', '--out', 'sixteen.safetensors'];
  const { stdout } = await mudpt(args);
  assert.match(stdout, /^pictures +18 of 18 to train on \(6 a class, 16 asked for\), 18 to test$/m);
  const saved = json(await mudpt(['info', 'sixteen.safetensors', '--json']));
  assert.deepEqual([saved.settings.shots, saved.trainedOn], [6, { pictures: 18, least: 6, most: 6 }]);
  assert.match((await mudpt(['info', 'sixteen.safetensors'])).stdout, /^trained on +18 pictures, 6 a class$/m);
  const { shots, pictures } = json(await mudpt([...args, '--json']));
  assert.deepEqual([shots, pictures.used], [{ asked: 16, least: 6, most: 6 }, 18]);
});

test('more memory than is allowed is refused before anything is measured', async () => {
  const { code, stderr } = await mudpt(['train', '--data', 'faces3', '--memory', '5', '--out', 'never.safetensors']);
  assert.equal(code, 1);
  assert.match(stderr, /training would take \d+ MB, .* 5 MB are allowed/);
  assert.doesNotMatch(stderr, /zero-shot/);
  assert.ok(!existsSync(at('never.safetensors')));
});

test('a sample task is rendered where no data are given', async () => {
  const args = ['train', '--shots', '1', '--epochs', '1', '--json', '--out', 'sample.safetensors'];
  const result = json(await mudpt(args, { env: { MUDPT_CACHE: at('cache') } }));
  assert.equal(result.task, readdirSync(at('cache/tasks'))[0]);
  assert.match(result.attribution, /licence/);
  assert.ok(existsSync(at('cache/tasks', result.task, 'split.json')));
});

// ------------------------------------------------------------------------------------------ stopping

for (const name of ['SIGINT', 'SIGTERM']) {
  test(`${name} keeps what was trained so far`, async () => {
    const file = `${name}.safetensors`;
    let sent = false;
    const args = ['train', '--data', 'faces3', '--epochs', '10000', '--shots', '2', '--out', file, '--json'];
    const { code, stdout } = await mudpt(args, {
      onOutput(text, child) {
        if (sent || !text.includes('epoch     2/')) return;
        sent = true;
        child.kill(name);
      },
    });
    assert.equal(code, 130);
    const result = JSON.parse(stdout);
    assert.equal(result.interrupted, true);
    assert.equal(result.tuned, null);
    assert.ok(result.lossPerEpoch.length >= 2 && result.lossPerEpoch.length < 10000);
    json(await mudpt(['eval', '--data', 'faces3', '--classifier', file, '--json']));
  });
}

test('a stop before training leaves what was there', async () => {
  writeFileSync(at('kept.safetensors'), 'old');
  let sent = false;
  const { code, stderr } = await mudpt([...quick, '--out', 'kept.safetensors'], {
    onOutput(text, child) {
      if (!sent && text.includes('running on')) sent = child.kill('SIGINT');
    },
  });
  assert.equal(code, 130);
  assert.match(stderr, /stopped before there was a result/);
  assert.equal(readFileSync(at('kept.safetensors'), 'utf8'), 'old');
});

// ------------------------------------------------------------------------------------------ bad files

const weights = readFileSync(path.join(golden, 'tiny-a/model/model.safetensors'));

/** A copy of a small model with one file replaced (null: removed). */
function brokenModel(name, file, content) {
  const folder = at(name);
  rmSync(folder, { recursive: true, force: true });
  cpSync(path.join(golden, 'tiny-a/model'), folder, { recursive: true });
  if (content === null) rmSync(path.join(folder, file));
  else writeFileSync(path.join(folder, file), content);
  return name;
}

/** A safetensors file. @param {Record<string, unknown>} header @param {Buffer | Uint8Array} [body] */
function safetensors(header, body = Buffer.alloc(0)) {
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, body]);
}

/** The weights with some of their values replaced. */
function damaged(offsetFromEnd, value) {
  const copy = Buffer.from(weights);
  copy.writeFloatLE(value, copy.length - offsetFromEnd);
  return copy;
}

const hugeHeader = Buffer.alloc(16, 0xff);
const badModels = {
  'no folder': [() => 'nowhere', /nowhere/],
  'empty folder': [() => (mkdirSync(at('hollow')), 'hollow'), /hollow has no model\.safetensors/],
  'empty weights': [() => brokenModel('m1', 'model.safetensors', ''), /model\.safetensors: has 0 bytes/],
  'weights cut short': [
    () => brokenModel('m2', 'model.safetensors', weights.subarray(0, 1e6)),
    /model\.safetensors: is cut short/,
  ],
  'header cut short': [
    () => brokenModel('m3', 'model.safetensors', weights.subarray(0, 100)),
    /model\.safetensors: is cut short/,
  ],
  'hostile header': [
    () => brokenModel('m4', 'model.safetensors', hugeHeader),
    /model\.safetensors: is no safetensors file/,
  ],
  'pickled weights': [
    () => brokenModel('m5', 'model.safetensors', Buffer.from('PK\x03\x04archive/data.pkl')),
    /model\.safetensors: is cut short: a zip archive ends with its directory/,
  ],
  'foreign weights': [
    () =>
      brokenModel(
        'm6',
        'model.safetensors',
        safetensors({ x: { dtype: 'F32', shape: [1], data_offsets: [0, 4] } }, Buffer.alloc(4)),
      ),
    /m6/,
  ],
  'overlapping tensors': [
    () =>
      brokenModel(
        'm7',
        'model.safetensors',
        safetensors(
          {
            x: { dtype: 'F32', shape: [1], data_offsets: [0, 4] },
            y: { dtype: 'F32', shape: [1], data_offsets: [0, 4] },
          },
          Buffer.alloc(4),
        ),
      ),
    /tensor y overlaps/,
  ],
  'NaN in the weights': [() => brokenModel('m8', 'model.safetensors', damaged(4, NaN)), /model\.safetensors/],
  'infinity in the weights': [
    () => brokenModel('m9', 'model.safetensors', damaged(400, Infinity)),
    /model\.safetensors/,
  ],
  'no tokenizer': [() => brokenModel('m10', 'tokenizer.json', null), /tokenizer\.json/],
  'broken tokenizer': [() => brokenModel('m11', 'tokenizer.json', '{"model": 7}'), /tokenizer\.json/],
  'broken config': [() => brokenModel('m12', 'config.json', '{'), /config\.json is no valid JSON/],
  'another model type': [
    () => brokenModel('m13', 'config.json', '{"model_type": "bert"}'),
    /config\.json describes a model of type "bert"/,
  ],
  'sizes that do not fit': [
    () => brokenModel('m14', 'config.json', readFileSync(path.join(golden, 'tiny-b/model/config.json'))),
    /m14/,
  ],
};
for (const [name, [make, message]] of Object.entries(badModels)) {
  test(`a model is refused: ${name}`, async () => {
    const model = make();
    writeFileSync(at('before.safetensors'), 'old');
    refused(await mudpt([...quick, '--model', model, '--out', 'before.safetensors']), message);
    refused(await mudpt(['info', model, '--json']), message, { json: true });
    assert.equal(readFileSync(at('before.safetensors'), 'utf8'), 'old');
  });
}

for (const { file, expect } of JSON.parse(readFileSync(path.join(golden, 'preprocess/cases.json'), 'utf8')).bad) {
  if (expect !== 'refuse') continue;
  test(`a picture is refused: ${file}`, async () => {
    const picture = path.join(golden, 'preprocess', file);
    const name = path.basename(file).replaceAll('.', '\\.');
    const { code, stdout, stderr } = await mudpt(['classify', picture, '--classes', 'cat,dog']);
    refused({ code, stdout, stderr }, new RegExp(name));

    const folder = at('with-bad');
    rmSync(folder, { recursive: true, force: true });
    cpSync(data, folder, { recursive: true });
    const bad = path.join(folder, 'train', 'clown_face', path.basename(file));
    cpSync(picture, bad);
    writeFileSync(at('before.safetensors'), 'old');
    const run = [
      'train',
      '--data',
      'with-bad',
      '--shots',
      '16',
      '--epochs',
      '1',
      '--quiet',
      '--out',
      'before.safetensors',
    ];
    refused(await mudpt(run), new RegExp(`with-bad.*${name}`));
    assert.equal(readFileSync(at('before.safetensors'), 'utf8'), 'old');
  });
}

const saved = () => readFileSync(at('tuned.safetensors'));
const headerOf = (bytes) => JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE())).toString());
const bodyOf = (bytes) => bytes.subarray(8 + Number(bytes.readBigUInt64LE()));
/** The saved classifier with its header changed. */
function altered(change) {
  const header = headerOf(saved());
  change(header, header.__metadata__);
  return safetensors(header, bodyOf(saved()));
}
const badClassifiers = {
  'not there': [() => null, /there is no such file/],
  empty: [() => '', /has 0 bytes/],
  text: [() => 'some text that is no classifier', /no safetensors file/],
  'cut short': [() => saved().subarray(0, 5000), /is cut short/],
  'too long': [() => Buffer.concat([saved(), Buffer.alloc(4)]), /4 bytes that belong to no tensor/],
  'hostile header': [() => hugeHeader, /no safetensors file/],
  'a model': [() => weights, /is no saved classifier/],
  'of another model': [
    () => altered((_, about) => (about.fingerprint = '0123456789abcdef')),
    /belongs to another model/,
  ],
  'of a later version': [() => altered((_, about) => (about.version = '99')), /format version 99/],
  'broken class names': [() => altered((_, about) => (about.classes = '["a"')), /"classes" is no valid JSON/],
  'too few class names': [() => altered((_, about) => (about.classes = '["a","b"]')), /text_features/],
  'a missing tensor': [
    () => {
      const header = headerOf(saved());
      const { text_features: features } = header;
      return safetensors(
        { __metadata__: header.__metadata__, other: { ...features, data_offsets: [0, 1536] } },
        Buffer.alloc(1536),
      );
    },
    /text_features/,
  ],
  NaN: [
    () => {
      const copy = saved();
      copy.writeFloatLE(NaN, copy.length - 8);
      return copy;
    },
    /NaN or infinity/,
  ],
};
for (const [name, [content, message]] of Object.entries(badClassifiers)) {
  test(`a classifier is refused: ${name}`, async () => {
    const bytes = content();
    rmSync(at('bad.safetensors'), { force: true });
    if (bytes !== null) writeFileSync(at('bad.safetensors'), bytes);
    const picture = path.join(data, 'test/clown_face', readdirSync(path.join(data, 'test/clown_face'))[0]);
    const run = await mudpt(['classify', picture, '--classifier', 'bad.safetensors']);
    refused(run, /bad\.safetensors/);
    refused(run, message);
  });
}

test('a name in a classifier does not steer the terminal', async () => {
  writeFileSync(
    at('names.safetensors'),
    altered((_, about) => (about.classes = JSON.stringify(['a\x1b[2J', 'b\nmudpt: c', 'd']))),
  );
  for (const args of [
    ['info', 'names.safetensors'],
    ['classify', 'faces3/test/clown_face', '--classifier', 'names.safetensors'],
  ]) {
    const { stdout, stderr } = await mudpt(args);
    assert.doesNotMatch(stdout + stderr, /\x1b|^mudpt: c/m);
  }
});

test('a target that cannot be written is refused before anything long is begun', async () => {
  refused(
    await mudpt([...quick, '--out', 'nowhere/x.safetensors']),
    /nowhere\/x\.safetensors: its folder does not exist/,
  );
  refused(await mudpt([...quick, '--out', 'faces3']), /faces3: is not a file that can be replaced/);
  refused(await mudpt(['train', '--data', 'nothing']), /nothing: there is no such file or folder/);
  refused(await mudpt([...quick, '--prompt-length', '9', '--quiet']), /the phrase "a photo of a" has only/);
});

test('nothing unfinished is left behind', () => {
  assert.deepEqual(
    readdirSync(cwd).filter((name) => name.startsWith('.') || name.endsWith('.part')),
    [],
  );
});

test('MUDPT_DEBUG shows where a failure came from', async () => {
  const { code, stderr } = await mudpt(['info', 'nowhere'], { env: { MUDPT_DEBUG: '1' } });
  assert.equal(code, 1);
  assert.match(stderr, /^mudpt: nowhere.*\n(.*\n)* +at /);
});
