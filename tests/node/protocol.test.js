/** The paper's protocols: which pictures and classes, what the tables say, and sweeps that were broken off. */
import assert from 'node:assert/strict';
import { exec } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Classifiers } from '../../js/core/classifiers.js';
import { createCore } from '../../js/core/core.js';
import { loadClip } from '../../js/index.js';
import { SweepFeatures } from '../../js/protocol/heads.js';
import { planJobs } from '../../js/protocol/plan.js';
import { withOtherClasses } from '../../js/protocol/other-classes.js';
import { cellText } from '../../js/protocol/report.js';
import { runJob } from '../../js/protocol/run.js';
import { openSet } from '../../js/protocol/sets.js';
import { makeClip } from '../make-clip.js';
import { mudpt as spawnMudpt, timeless, workFolder } from './command.js';

const cwd = workFolder();
const at = (...parts) => path.join(cwd, ...parts);
const mudpt = (args, options) => spawnMudpt(args.split(' '), { cwd, ...options });
const faces = fileURLToPath(new URL('../data/faces', import.meta.url));

/** Data sets of some classes with 3 pictures to train on and 4 to test, and a model of random numbers. */
const SETS = {
  five: ['angry_face', 'clown_face', 'nauseated_face', 'sleeping_face', 'zipper_mouth_face'],
  four: ['clown_face', 'crying_face', 'nerd_face', 'thinking_face'],
};
const model = '--model tiny --threads 1';
const quick = `${model} --seeds 1,2 --shots 1 --set epochs=1`;

before(async () => {
  await makeClip(at('tiny'));
  for (const [name, classes] of Object.entries(SETS)) {
    const split = { classes: classes.map((each) => each.replaceAll('_', ' ')), train: [], test: [] };
    for (const [part, count] of /** @type {[string, number][]} */ (Object.entries({ train: 3, test: 4 }))) {
      classes.forEach((folder, label) => {
        mkdirSync(at('sets', name, part, folder), { recursive: true });
        for (const file of readdirSync(path.join(faces, part, folder))
          .sort()
          .slice(0, count)) {
          cpSync(path.join(faces, part, folder, file), at('sets', name, part, folder, file));
          split[part].push([`${part}/${folder}/${file}`, label]);
        }
      });
    }
    writeFileSync(at('sets', name, 'split.json'), JSON.stringify(split));
    // Other styles: some of the classes, in another order, and no pictures to train on.
    const some = split.classes.slice(0, 3).reverse();
    const seen = split.train.flatMap(([file, label]) => (label < 3 ? [[file, 2 - label]] : []));
    writeFileSync(at('sets', name, 'split-seen.json'), JSON.stringify({ classes: some, train: [], test: seen }));
    writeFileSync(at('sets', name, 'split-twice.json'), JSON.stringify({ ...split, test: split.train }));
  }
  for (const folder of SETS.five.slice(0, 3))
    cpSync(at('sets/five/train', folder), at('three', folder), { recursive: true });
  cpSync(at('three/clown_face'), at('one/clown_face'), { recursive: true });
  cpSync(at('three'), at('average'), { recursive: true });
});

const idsIn = (folder) => readdirSync(at(folder, 'logs')).sort();
const logsIn = (folder) => idsIn(folder).map((name) => JSON.parse(readFileSync(at(folder, 'logs', name), 'utf8')));
const reports = (folder) =>
  Object.fromEntries(
    readdirSync(at(folder))
      .filter((name) => name !== 'logs')
      .map((name) => [name, readFileSync(at(folder, name), 'utf8')]),
  );

async function succeeds(args, options) {
  const { code, stdout, stderr } = await mudpt(args, options);
  assert.equal(code, 0, stderr);
  return stdout;
}

/** @param {string} args @returns {Promise<any[]>} */
const plan = async (args) =>
  (await succeeds(`protocol ${args} --plan`))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

// ------------------------------------------------------------------------------------------ other classes

test('tuned prompts with other class names: judged among these alone, the rest as it was', async () => {
  const clip = await loadClip(at('tiny'), { threads: 1 });
  const split = JSON.parse(readFileSync(at('sets/five/split.json'), 'utf8'));
  const picture = at('sets/five', split.test[0][0]);
  const examples = split.train.map(([file, label]) => ({ image: at('sets/five', file), label }));
  try {
    for (const method of /** @type {const} */ (['coop', 'cocoop', 'vpt', 'ivlp', 'mudpt'])) {
      const tuned = await clip.tune({ method, classes: split.classes, examples, shots: 1, epochs: 2 }).finished;
      const wide = await tuned.withClasses(['red fox', 'owl']);
      const names = ['owl', split.classes[3], 'red fox'];
      const some = await withOtherClasses(clip, tuned, names);
      assert.deepEqual(some.classes, names);
      const all = (await wide.classify(picture, { topK: 7 })).filter(({ label }) => names.includes(label));
      const total = all.reduce((sum, { score }) => sum + score, 0);
      const found = await some.classify(picture, { topK: 3 });
      found.forEach(({ label, score }, i) => {
        assert.equal(label, all[i].label, method);
        assert.ok(Math.abs(score - all[i].score / total) < 1e-5, method);
      });
      await some.dispose();
      assert.equal((await tuned.classify(picture)).length, 5, 'the tuned one can still be used');
    }
  } finally {
    await clip.dispose();
  }
});

// ------------------------------------------------------------------------------------------ the protocols

test('base-to-new: halves of the classes, the same pictures for every method, zero-shot once', async () => {
  const stdout = await succeeds(`protocol base-to-new --data sets/five ${quick} --out b2n`);
  assert.match(stdout, /^11 runs; logs in b2n\/logs$/m);
  assert.match(stdout, /^ +base +new +harmonic mean$/m);
  assert.match(stdout, /^ {2}zero-shot CLIP( +\d+\.\d\d){3}$/m);
  assert.match(stdout, /^ {2}MuDPT( +\d+\.\d\d ± \d+\.\d\d){3}$/m);
  const logs = logsIn('b2n');
  for (const { results, drawn, identity, lossPerEpoch } of logs) {
    const tests = results.map(({ name, classes, pictures }) => [name, classes, pictures]);
    assert.deepEqual(tests, [
      ['base', 3, 12],
      ['new', 2, 8],
    ]);
    assert.equal(drawn?.count ?? 0, identity.method === 'zeroshot' ? 0 : 3);
    assert.equal(lossPerEpoch.length, identity.method === 'zeroshot' ? 0 : 1);
  }
  for (const seed of [1, 2]) {
    const own = logs.filter(({ identity }) => identity.seed === seed);
    assert.equal(own.length, 5);
    assert.equal(new Set(own.map(({ drawn }) => drawn.hash)).size, 1, `all methods see the same of seed ${seed}`);
  }
  const hashes = logs.filter(({ drawn }) => drawn).map(({ drawn }) => drawn.hash);
  assert.equal(new Set(hashes).size, 2, 'seeds draw others');
  assert.equal(logs.filter(({ identity }) => identity.method === 'zeroshot').length, 1);
});

/** What a run took, as the logs have it. */
function checkCosts({ trained, seconds, memory, bytes }) {
  const mudpts = logsIn('few').filter(({ identity }) => identity.method === 'mudpt' && identity.shots === 2);
  for (const { cost, results } of mudpts) {
    assert.equal(cost.trained, trained);
    assert.ok(cost.bytes > 1000 && cost.memory > cost.bytes);
    for (const { pictures, right, perClass } of results) {
      const sum = (key) => perClass.reduce((total, each) => total + each[key], 0);
      assert.deepEqual([sum('count'), sum('right')], [pictures, right]);
    }
  }
  assert.ok(seconds > 0 && memory > 0 && bytes > 0);
}

test('few-shot over a folder of data sets: tables, plots, and files that say the same', async () => {
  const run = `protocol few-shot --data sets ${model} --methods mudpt,zeroshot --seeds 1 --shots 1,2 --set epochs=1`;
  const { protocols } = JSON.parse(await succeeds(`${run} --out few --json --quiet`));
  const [{ tables }] = protocols;
  assert.deepEqual(tables[0].columns, ['five', 'four', 'average']);
  const files = reports('few');
  assert.deepEqual(
    Object.keys(files).sort(),
    ['average.svg', 'five.svg', 'four.svg']
      .map((name) => `few-shot-${name}`)
      .concat(['csv', 'json', 'md', 'tex'].map((end) => `few-shot.${end}`)),
  );
  assert.deepEqual(JSON.parse(files['few-shot.json']), protocols[0]);
  const lines = files['few-shot.csv'].trimEnd().split('\r\n');
  assert.equal(lines.length, 1 + 2 * 2 * 3);
  const [row] = tables[1].rows.filter(({ method }) => method === 'mudpt');
  const [cell] = row.cells.slice(1);
  const { trained, seconds, memory, bytes } = row.costs;
  const took = [cell.delta.toFixed(4), trained, seconds.toFixed(3), memory, bytes].join();
  assert.ok(lines.includes(`few-shot,,2,mudpt,four,${cell.mean.toFixed(4)},,1,2,${took}`), took);
  const zeroShot = tables[1].rows.find(({ method }) => method === 'zeroshot');
  assert.deepEqual([zeroShot.costs, zeroShot.cells[1].delta], [null, null]);
  assert.ok(Math.abs(cell.delta - (cell.mean - zeroShot.cells[1].mean)) < 1e-9);
  checkCosts(row.costs);
  assert.match(files['few-shot.tex'], /\\begin\{tabular\}\{lrrrrrrr\}\n\\toprule\n & five & four & average & trained/);
  assert.ok(files['few-shot.md'].includes(cellText(row.cells[2])));
  assert.match(files['few-shot-average.svg'], /<title>Few-shot recognition: average over the data sets<\/title>/);
  const drawn = logsIn('few')
    .filter(({ identity }) => identity.shots === 2)
    .map((each) => each.drawn.count);
  assert.deepEqual(new Set(drawn), new Set([8, 10]));
});

test('where there are fewer shots than were asked for, table, plot and log have what was there', async () => {
  cpSync(at('sets/five'), at('uneven'), { recursive: true });
  const split = JSON.parse(readFileSync(at('sets/five/split.json'), 'utf8'));
  writeFileSync(at('uneven/split.json'), JSON.stringify({ ...split, train: split.train.slice(1) }));
  const run = `${model} --methods vpt --seeds 1 --shots 1,16 --set epochs=1`;
  const stdout = await succeeds(`protocol few-shot --data sets/five ${run} --out asked`);
  assert.match(stdout, /^Few-shot recognition, 1 shot$/m);
  assert.match(stdout, /^Few-shot recognition, 3 shots \(16 asked for\)$/m);
  const [one, many] = logsIn('asked').sort((a, b) => a.identity.shots - b.identity.shots);
  assert.deepEqual([one.drawn.least, one.drawn.most, many.drawn.least, many.drawn.most], [1, 1, 3, 3]);
  assert.equal(many.identity.shots, 16, 'what was asked for is what a run is known by');
  const files = reports('asked');
  assert.match(files['few-shot-five.svg'], />3<\/text>/);
  assert.doesNotMatch(files['few-shot-five.svg'], />16<\/text>/);
  assert.match(files['few-shot.csv'], /^few-shot,,3,vpt,five,[\d.]+,,1,16,,\d+,[\d.]+,\d+,\d+\r$/m);
  assert.match(
    await succeeds(`protocol few-shot --data uneven ${run} --out uneven-asked`),
    /, 2–3 shots \(16 asked for\)$/m,
  );
});

test('cross-dataset: the names of the other data set; domain generalization: those of the style', async () => {
  await succeeds(`protocol cross-dataset --data sets --source sets/five ${quick} --methods zeroshot,mudpt --out both`);
  await succeeds(`protocol domain-generalization --data sets/five ${quick} --methods zeroshot,ivlp --out both`);
  spread('four', 'elsewhere');
  const targets = '--targets elsewhere --styles twice';
  await succeeds(`protocol domain-generalization --data sets/four ${targets} ${quick} --methods ivlp --out targets`);
  const results = (folder, method, protocol) => {
    const found = logsIn(folder).find(({ identity }) => identity.method === method && identity.protocol === protocol);
    return found.results.map(({ name, classes, pictures }) => [name, classes, pictures]);
  };
  for (const method of ['zeroshot', 'mudpt']) {
    assert.deepEqual(results('both', method, 'cross-dataset'), [
      ['five', 5, 20],
      ['four', 4, 16],
    ]);
  }
  for (const method of ['zeroshot', 'ivlp']) {
    assert.deepEqual(results('both', method, 'domain-generalization'), [
      ['five', 5, 20],
      ['seen', 3, 9],
      ['twice', 5, 15],
    ]);
  }
  assert.deepEqual(results('targets', 'ivlp', 'domain-generalization'), [
    ['four', 4, 16],
    ['elsewhere', 4, 28],
    ['twice', 4, 12],
  ]);
  const made = Object.keys(reports('both'));
  assert.ok(made.includes('cross-dataset.md') && made.includes('domain-generalization.md'));
});

/** A data set's pictures as a folder per class. */
function spread(name, into) {
  for (const part of ['train', 'test']) {
    for (const folder of readdirSync(at('sets', name, part))) {
      for (const file of readdirSync(at('sets', name, part, folder))) {
        cpSync(at('sets', name, part, folder, file), at(into, folder, `${part}-${file}`));
      }
    }
  }
}

// ------------------------------------------------------------------------------------------ sweeps

const sweep = `base-to-new --data sets/five sets/four ${quick} --methods zeroshot,vpt,mudpt`;

test('killed in the middle and started again: the same tables, and nothing is done twice', async () => {
  await succeeds(`protocol ${sweep} --out whole`);
  const { code } = await mudpt(`protocol ${sweep} --out broken`, {
    onOutput: (text, child) => /^3 of 10 /m.test(text) && child.kill('SIGKILL'),
  });
  assert.equal(code, null);
  const before = idsIn('broken');
  assert.ok(before.length >= 3 && before.length < 10, `${before.length} runs before`);
  assert.deepEqual(Object.keys(reports('broken')), [], 'no tables yet');
  const past = new Date('2001-01-01');
  for (const name of before) utimesSync(at('broken/logs', name), past, past);

  const stdout = await succeeds(`protocol ${sweep} --out broken`);
  assert.match(stdout, new RegExp(`^10 runs, ${before.length} finished before; `, 'm'));
  assert.match(stdout, new RegExp(`^1 of ${10 - before.length} `, 'm'));
  for (const name of before)
    assert.equal(statSync(at('broken/logs', name)).mtimeMs, past.getTime(), `${name} repeated`);
  assert.deepEqual(idsIn('broken'), idsIn('whole'));
  assert.deepEqual(await timeless(at('broken')), await timeless(at('whole')));

  const again = await succeeds(`protocol ${sweep} --out broken`);
  assert.match(again, /^10 runs, all finished before; /m);
});

test('Ctrl-C keeps the present run and ends; the sweep goes on from there', async () => {
  let asked = false;
  const { code, stdout } = await mudpt(`protocol ${sweep} --out stopped`, {
    onOutput(text, child) {
      if (asked || !/^2 of 10 /m.test(text)) return;
      asked = true;
      child.kill('SIGINT');
    },
  });
  assert.equal(code, 130);
  assert.match(stdout, /^Stopping after this run, which is kept; /m);
  const kept = idsIn('stopped').length;
  assert.ok(kept >= 2 && kept < 10, `${kept} runs`);
  await succeeds(`protocol ${sweep} --out stopped`);
  assert.deepEqual(await timeless(at('stopped')), await timeless(at('whole')));
});

test('the plan: the same ids every time, and commands that run just one job each', async () => {
  const first = await plan(`${sweep} --set mudpt.depth=2 --out planned`);
  const second = await plan(`${sweep} --set mudpt.depth=2 --out planned`.replace('--threads 1', '--threads 2'));
  assert.deepEqual(first, second);
  assert.equal(new Set(first.map(({ id }) => id)).size, 10);
  for (const { id, log, method, data, command } of first) {
    assert.ok(command.includes(` --data sets/${data} --model `), 'it reads no data of other runs');
    assert.equal(log, `planned/logs/${id}.json`);
    assert.match(id, /^[\w.-]+$/);
    assert.ok(id.startsWith(`base-to-new-${data}-${method}-`));
  }
  const digest = createHash('sha256')
    .update(readFileSync(at('tiny/model.safetensors')))
    .digest('base64');
  const [{ command }] = await plan(`${sweep} --out planned --integrity model.safetensors=sha256-${digest}`);
  assert.ok(command.includes(` --integrity model.safetensors=sha256-${digest} `), 'the model that was planned with');
  const main = fileURLToPath(new URL('../../js/cli/main.js', import.meta.url));
  const run = (command) =>
    new Promise((resolve, reject) => {
      const line = command.replace(/^mudpt /, `"${process.execPath}" "${main}" `);
      exec(line, { cwd }, (error, stdout) => (error ? reject(error) : resolve(stdout)));
    });
  const chosen = first.filter(({ method, seed, data }) => data === 'five' && (seed === 1 || method === 'zeroshot'));
  for (const { command } of chosen) await run(command);
  assert.deepEqual(idsIn('planned'), chosen.map(({ id }) => `${id}.json`).sort());
  assert.deepEqual(Object.keys(reports('planned')), [], 'no tables: others may be at work');
  const same = (folder, method) =>
    logsIn(folder).find(
      ({ identity }) => identity.method === method && identity.data === 'five' && identity.seed === 1,
    );
  assert.deepEqual(same('planned', 'vpt').results, same('whole', 'vpt').results);

  const ids = async (args) => (await plan(args)).map(({ id }) => id);
  const plain = await ids(sweep);
  const differing = async (args) => {
    const other = await ids(args);
    return plain.filter((id) => !other.includes(id)).map((id) => id.split('-')[4]);
  };
  assert.deepEqual(new Set(await differing(`${sweep} --set mudpt.depth=2`)), new Set(['mudpt']));
  assert.deepEqual(new Set(await differing(`${sweep} --variant plain`)), new Set(['zeroshot', 'vpt', 'mudpt']));
});

test('a run counts as finished only while its data are the same', async () => {
  cpSync(at('sets/four'), at('changing'), { recursive: true });
  const args = `few-shot --data changing ${quick} --methods vpt --seeds 1`;
  const [{ id }] = await plan(args);
  const file = JSON.parse(readFileSync(at('changing/split.json'), 'utf8')).test[0][0];
  writeFileSync(at('changing', file), Buffer.concat([readFileSync(at('changing', file)), Buffer.alloc(1)]));
  assert.notEqual((await plan(args))[0].id, id);
});

test('a picture that cannot be read costs the runs that need it, and no others', async () => {
  cpSync(at('sets'), at('damaged'), { recursive: true });
  // Four trains on all of its three pictures a class; five only tests on this one. A name must not steer terminals.
  const { train, test } = JSON.parse(readFileSync(at('sets/five/split.json'), 'utf8'));
  writeFileSync(at('damaged/five', test[0][0]), 'no picture');
  cpSync(at('sets/four'), at('damaged/tw\x1b[31mo'), { recursive: true });
  writeFileSync(at('damaged/four', train[3][0].replace('angry_face', 'clown_face')), 'no picture');
  const args = ['protocol', 'few-shot', '--data', 'damaged', '--out', 'parts'];
  const options = `${model} --methods zeroshot,vpt --seeds 1,2 --shots 3 --set epochs=1`.split(' ');
  const { code, stdout, stderr } = await spawnMudpt([...args, ...options], { cwd });
  assert.equal(code, 1);
  assert.match(stdout, /^1 of 9 {2}five, zeroshot: damaged\/five\/test\S+: not a picture: /m);
  assert.match(stdout, /^2 of 9 {2}five, vpt, 3 shots, seed 1: left out, as a test picture cannot be read$/m);
  assert.match(stdout, /^4 of 9 {2}four, zeroshot: four \d+/m);
  for (const number of [5, 6])
    assert.match(stdout, new RegExp(`^${number} of 9 .*: damaged/four/train\\S+: not a `, 'm'));
  assert.match(stdout, /^9 of 9 {2}tw\?\[31mo, vpt, 3 shots, seed 2: tw\?\[31mo \d+/m);
  assert.doesNotMatch(stdout, /\x1b/);
  assert.match(
    stderr,
    /^mudpt: 5 of 9 runs failed, the first is few-shot-five-zeroshot-\w+: damaged\/five\/\S+: not a /,
  );
  assert.equal(idsIn('parts').length, 4);
  assert.ok(reports('parts')['few-shot.md'].includes('| zero-shot CLIP |'), 'a table of those that were done');

  cpSync(at('sets/five', test[0][0]), at('damaged/five', test[0][0]));
  const again = await spawnMudpt([...args, ...options], { cwd });
  assert.match(again.stderr, /^mudpt: 2 of 5 runs failed, the first is few-shot-four-vpt-/, 'those of four');
  assert.equal(idsIn('parts').length, 7);

  // Of a run that left no log, JSON has the error alone.
  const few = `protocol few-shot --data damaged/four --out none ${model} --methods vpt --shots 3 --seeds 1`;
  const [{ id }] = await plan(few.slice(9));
  for (const args of [few, `${few} --only ${id}`]) {
    const failed = await mudpt(`${args} --json`);
    assert.equal(failed.code, 1);
    assert.deepEqual(Object.keys(JSON.parse(failed.stdout)), ['error']);
  }
});

test('report makes the same files from the logs alone', async () => {
  mkdirSync(at('bare'));
  cpSync(at('whole/logs'), at('bare/logs'), { recursive: true });
  const stdout = await succeeds('report bare');
  assert.match(stdout, /^Base-to-new generalization, average over the data sets, 1 shot$/m);
  assert.deepEqual(reports('bare'), reports('whole'));
  assert.ok(stdout.split('\n').every((line) => line.length <= 80));
});

// ------------------------------------------------------------------------------------------ refusals

const wrong = [
  ['few-shot', /required option '--data <path\.\.\.>' not specified/],
  ['zero-shot --data sets', /name: "zero-shot" is not possible; choose few-shot, /],
  ['few-shot --data nowhere', /nowhere: there is no such file or folder/],
  ['few-shot --data sets --source sets/five', /--source means nothing to few-shot; it belongs to cross-dataset/],
  ['base-to-new --data three', /three: has 3 classes; base-to-new needs two halves of at least two/],
  ['few-shot --data one', /one: has one class only; /],
  ['few-shot --data sets/five elsewhere/../sets/five/split.json', /has the name of sets\/five: five; rename/],
  ['cross-dataset --data sets', /cross-dataset needs the data set to train on; give it with --source/],
  ['cross-dataset --data sets/five --source sets/five', /--data holds no data set but the one of --source/],
  ['domain-generalization --data three', /three: has no split-STYLE\.json to test on; write one, or/],
  ['domain-generalization --data sets/five --styles chalk', /has no split-chalk\.json .*--styles can be seen, twice/],
  [
    'domain-generalization --data sets/five --targets sets/four',
    /sets\/four: class "[^"]+" \(and \d more\) is not one of five; .*same classes/,
  ],
  ['few-shot --data sets --methods lora', /--methods: "lora" is not possible; choose from zeroshot, /],
  ['few-shot --data sets --seeds 1,x', /--seeds: "1,x" is not possible; expected a whole number from 0/],
  ['few-shot --data sets --set epochs', /--set: "epochs" is not possible; expected NAME=VALUE/],
  ['few-shot --data sets --set mudpt.promptLength=8', /promptLength is 8, but the phrase "a photo of a" has only 4/],
  ['few-shot --data average', /average: has the name of a column of the tables, "average"; rename its folder/],
  ['few-shot --data sets --set epochs=0', /epochs is 0, expected a whole number from 1/],
  ['few-shot --data sets --methods coop --set depth=2', /depth is no option of coop; methods that have it: /],
  ['few-shot --data sets --set umudpt.depth=2', /there is nothing to set for umudpt; methods that train: coop, /],
  ['few-shot --data sets --set seed=2', /seed cannot be set for a method; use --seeds/],
  ['base-to-new --data sets --set coop.classSpecific=true', /coop with class-specific context cannot be tested on new/],
  ['few-shot --data sets --only few-shot-x', /--only few-shot-x: these options have no such run; .* --plan/],
];
for (const [args, message] of /** @type {[string, RegExp][]} */ (wrong)) {
  test(`is refused: mudpt protocol ${args}`, async () => {
    const { code, stdout, stderr } = await mudpt(
      `protocol ${args} ${args.includes('model') ? '' : model} --out refused`,
    );
    assert.equal(code, 1, stdout);
    assert.match(stderr, /^mudpt: [^\n]+[;,] [^\n]+\n$/, 'one line that says what to do');
    assert.match(stderr, message);
    assert.ok(!readdirSync(cwd).includes('refused'), 'nothing is written');
  });
}

test('runs that do not belong in one table are refused, and logs that were changed', async () => {
  cpSync(at('whole'), at('changed'), { recursive: true });
  const [name, other] = idsIn('changed');
  const text = readFileSync(at('changed/logs', name), 'utf8');
  const { samples, ...older } = JSON.parse(text);
  assert.ok(samples.length > 100);
  writeFileSync(at('changed/logs', name), JSON.stringify(older));
  const { code, stderr } = await mudpt(`protocol ${sweep} --set epochs=2 --out changed`);
  assert.equal(code, 1);
  assert.match(stderr, /1 log in changed of an older version: not which matrices the model had is known/);
  assert.match(stderr, /do not belong together: they differ in epochs; choose another --out/);
  const refuses = async (message) => {
    const result = await mudpt('report changed');
    assert.equal(result.code, 1);
    assert.match(result.stderr, message);
  };
  writeFileSync(at('changed/logs', name), text.replace('"epochs": 1', '"epochs": 3'));
  await refuses(/does not have the id of what it describes; remove it, and the run is repeated/);
  writeFileSync(at('changed/logs', name), text.slice(0, 100));
  await refuses(/is no JSON; remove it/);
  rmSync(at('changed/logs', name));
  const log = JSON.parse(readFileSync(at('changed/logs', other), 'utf8'));
  for (const [key, value] of Object.entries({
    results: [{ name: 'base' }],
    identity: {},
    seconds: null,
    format: 'x',
  })) {
    writeFileSync(at('changed/logs', other), JSON.stringify({ ...log, [key]: value }));
    await refuses(/is no log of a run; remove it/);
  }
  const empty = await mudpt('report sets');
  assert.match(empty.stderr, /sets: holds no logs of finished runs; give the --out of mudpt protocol/);
});

test('heads are methods of a sweep: shots of prompts, new names, settings of their own', async () => {
  const heads = `${model} --seeds 1,2 --shots 2 --methods zeroshot,kgcoop,tip,prolip,sstext+ --set kgcoop.epochs=1`;
  const args = `protocol base-to-new --data sets/five ${heads} --set prolip.epochs=3 --set alpha=4 --out heads`;
  await succeeds(args);
  const logs = logsIn('heads');
  assert.equal(logs.length, 1 + 4 * 2);
  const of = (method) => logs.filter(({ identity }) => identity.method === method);
  for (const seed of [1, 2]) {
    const hashes = logs.filter(({ identity }) => identity.seed === seed).map(({ drawn }) => drawn.hash);
    assert.equal(new Set(hashes).size, 1, 'the same pictures');
  }
  assert.deepEqual(of('tip')[0].identity.settings, { shots: 2, seed: 1, alpha: 4, beta: 5.5 });
  assert.deepEqual([of('prolip')[0].lossPerEpoch.length, of('tip')[0].lossPerEpoch], [3, []]);
  for (const { results } of logs) {
    assert.deepEqual(
      results.map(({ name, pictures, classes }) => [name, pictures, classes]),
      [
        ['base', 12, 3],
        ['new', 8, 2],
      ],
    );
  }
  // Of new names Tip-Adapter has their text alone.
  const [zero] = of('zeroshot');
  for (const { results } of of('tip')) assert.equal(results[1].accuracy, zero.results[1].accuracy);
  assert.match(reports('heads')['base-to-new.md'], /\| Tip-Adapter \|/);
  const written = reports('heads');
  await succeeds(args);
  assert.deepEqual(reports('heads'), written);

  for (const [more, message] of /** @type {[string, RegExp][]} */ ([
    ['base-to-new --methods lp++', /the head lp\+\+ cannot be tested on new, whose classes were not trained/],
    ['few-shot --methods tip --set tip.gamma=1', /there is no setting "gamma" of tip; settings of tip: alpha, beta/],
    ['few-shot --methods tip --set alpha=much', /alpha of tip is much, expected a number/],
    ['few-shot --methods tip --set epochs=1', /there is no setting "epochs" of tip/],
  ])) {
    const { code, stderr } = await mudpt(`protocol ${more} --data sets/five ${model} --out refused`);
    assert.equal(code, 1);
    assert.match(stderr, message);
  }
});

test('in a sweep of heads each picture goes through the image tower once', async () => {
  let encoded = 0;
  const { classifierImageFeatures } = Classifiers.prototype;
  Classifiers.prototype.classifierImageFeatures = function (handle, pixels, ...rest) {
    encoded += pixels.length / (3 * this.shapeOf(handle).config.image ** 2);
    return classifierImageFeatures.call(this, handle, pixels, ...rest);
  };
  const clip = await loadClip(at('tiny'), { threads: 1 });
  const core = await createCore({ threads: 1 });
  try {
    const set = await openSet(at('sets/five'));
    const sweep = { protocol: 'few-shot', sources: [{ set, targets: [] }], shots: [1, 3], seeds: [1, 2], changes: [] };
    const methods = ['zeroshot', 'sstext', 'gda', 'tip', 'tip-f', 'lp++', 'clap'];
    const jobs = planJobs({ ...sweep, methods }, /** @type {any} */ ({}), /** @type {any} */ (clip.info.architecture));
    assert.equal(jobs.length, 1 + 6 * 4);
    const features = new SweepFeatures(clip);
    const run = jobs.filter(({ identity }) => identity.method !== 'gda' || identity.shots > 1);
    for (const job of run) await runJob(clip, job, { core, features });
    assert.equal(encoded, 5 * (3 + 4));
  } finally {
    Classifiers.prototype.classifierImageFeatures = classifierImageFeatures;
    core.dispose();
    await clip.dispose();
  }
});
