// The sample tasks: the same pictures on every machine, whole or not at all, with credit to those who drew them.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { decode } from 'fast-png';
import { compose, effects } from '../../models/pictoclip/tasks/compose.js';
import { loadRenderer, PictogramSet } from '../../models/pictoclip/tasks/pictograms.js';
import { Random } from '../../models/pictoclip/tasks/random.js';
import { plan, renderTask, SAMPLE_TASK, setsOf, taskNamed, taskNames } from '../../models/pictoclip/tasks/render.js';

const project = fileURLToPath(new URL('../..', import.meta.url));
const command = path.join(project, 'models/pictoclip/tasks/render.js');
const root = mkdtempSync(path.join(tmpdir(), 'mudpt-tasks-'));
after(() => rmSync(root, { recursive: true, force: true }));

// What every machine must come to. Whoever changes the pictures on purpose raises VERSION in render.js, and these.
const PINNED = {
  'train/cat/01-emojione-v1.png': 'f2fa22855fa1d95c53d39e8f2f12c488faf2ae8062f1862215b00678885eea4f',
  'train/snake/00-game-icons.png': '7d56c3fb885876ff62d7f75cc90553f46f6ec555b8d41b80ee88be7be0d3f093',
  'test/fish/03-twemoji.png': '1eff9c3b64cdc18e3f748fad5c48239141535c02bc00de01ed6937d407985606',
  'all of them': 'd6421ad76cb549b46f92aa79e99fb7ac32bb72294e809c0696a847c78b80954b',
};
const PINNED_EFFECTS = {
  faded: '2c39b0e24f09761a4b34d111dcaef5d76db738be20f3b1aef72c852b1454de1d',
  sketch: '256c555b89083a1a5439b6d56b12e63b932217b14631ef24309ded3a4e227c69',
  'one colour': '58fec4bea096a51466b6d35303738e0c2b30e8c1d9b71cf6bf5edcc7f37b7ef3',
};

const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest('hex');
const pixels = (file) => {
  const { width, height, channels, data } = decode(readFileSync(file));
  return sha256(`${width} ${height} ${channels} `, data);
};
const readJson = (...parts) => JSON.parse(readFileSync(path.join(...parts), 'utf8'));

/** Waits for something to become true. */
async function until(condition) {
  for (let i = 0; i < 3000 && !condition(); i++) await wait(10);
  assert(condition());
}

const shared = path.join(root, 'shared');
const sample = path.join(shared, SAMPLE_TASK);
const progress = [];
let split;
before(async () => {
  // Two at once, as when two programs start together: both get the one folder.
  const folders = await Promise.all([
    renderTask(SAMPLE_TASK, shared, { onProgress: (now) => progress.push(now) }),
    renderTask(SAMPLE_TASK, shared),
  ]);
  assert.deepEqual(folders, [sample, sample]);
  split = readJson(sample, 'split.json');
});

test('pixels are the same on every machine', () => {
  const files = [...split.train, ...split.test].map(([file]) => file);
  const found = {};
  for (const name of Object.keys(PINNED)) {
    if (existsSync(path.join(sample, name))) found[name] = pixels(path.join(sample, name));
  }
  found['all of them'] = sha256(...files.map((file) => pixels(path.join(sample, file))));
  assert.deepEqual(found, PINNED);
});

test('styles of other test sets are the same on every machine, too', async () => {
  const { renderSvg } = await loadRenderer();
  const [colour, black] = await Promise.all(['twemoji', 'fluent-emoji-high-contrast'].map(PictogramSet.load));
  assert.deepEqual(effects, ['faded', 'sketch']);
  const other = () => colour.drawings('tent')[0];
  const shown = (thing, effect) => {
    const { width, height, data } = compose(new Random('test'), { thing, other, hardness: 0.9, effect }, renderSvg);
    assert.equal(data.length, width * height * 3);
    return sha256(data);
  };
  const found = Object.fromEntries(effects.map((effect) => [effect, shown(colour.drawings('owl')[0], effect)]));
  found['one colour'] = shown(black.drawings('owl')[0]);
  assert.deepEqual(found, PINNED_EFFECTS);
});

test('the split names every picture once, with its class', () => {
  const { classes, template, train, test: tested } = split;
  assert.equal(template, 'a photo of a {}.');
  assert.equal(new Set(classes).size, 20);
  const files = [...train, ...tested].map(([file]) => file);
  assert.equal(new Set(files).size, files.length);
  for (const [part, rows, count] of [
    ['train', train, 20],
    ['test', tested, 20],
  ]) {
    assert.equal(rows.length, count * classes.length);
    for (const [label, name] of classes.entries()) {
      const mine = rows.filter((row) => row[1] === label);
      assert.equal(mine.length, count);
      for (const [file] of mine) assert.match(file, new RegExp(`^${part}/${name}/\\d\\d-[a-z0-9-]+\\.png$`));
    }
  }
  const onDisk = readdirSync(sample, { recursive: true }).filter((file) => file.endsWith('.png'));
  assert.deepEqual(onDisk.map((file) => file.replaceAll(path.sep, '/')).sort(), files.sort());
});

test('no picture is both trained on and tested, nor drawn twice', () => {
  const seen = new Set([...split.train, ...split.test].map(([file]) => pixels(path.join(sample, file))));
  assert.equal(seen.size, split.train.length + split.test.length);
});

test('the sample in the package has pictures of the task, each as it is drawn', () => {
  const folder = path.join(project, 'models/pictoclip/zoo-sample');
  const { classes, template, train, test: tested } = readJson(folder, 'split.json');
  assert.equal(template, split.template);
  for (const [part, rows] of [
    ['train', train],
    ['test', tested],
  ]) {
    assert.equal(rows.length, 6 * classes.length);
    for (const [file, label] of rows) {
      assert.ok(
        split[part].some(([name, of]) => name === file && split.classes[of] === classes[label]),
        file,
      );
      assert.equal(pixels(path.join(folder, file)), pixels(path.join(sample, file)), file);
    }
  }
  const credits = readFileSync(path.join(folder, 'ATTRIBUTION.md'), 'utf8');
  const used = new Set([...train, ...tested].map(([file]) => /\d-([^/]*)\.png$/.exec(file)[1]));
  for (const set of used) assert.match(credits, new RegExp(`^\\| \`${set}\` \\|.*\\[CC-BY-[34]\\.0\\]`, 'm'));
  const bytes = readdirSync(folder, { recursive: true }).map((file) => statSync(path.join(folder, file)));
  assert.ok(bytes.reduce((sum, file) => sum + (file.isFile() ? file.size : 0), 0) < 300_000);
});

test('the attribution names every set in use, its author and licence', () => {
  const text = readFileSync(path.join(sample, 'ATTRIBUTION.md'), 'utf8');
  const used = new Set([...split.train, ...split.test].map(([file]) => /\d-(.*)\.png$/.exec(file)[1]));
  assert(used.size >= 2);
  for (const set of used) {
    const row = text.split('\n').find((line) => line.startsWith(`| \`${set}\` |`));
    assert.match(row ?? '', /\| \[.+\]\(https:.+\) \| \[(MIT|CC-BY-3\.0|CC-BY(-SA)?-4\.0)\]\(https:.+\) \|/);
    assert.match(row, new RegExp(`\\| \`@iconify-json/${set} \\d+\\.\\d+\\.\\d+\` \\|$`));
  }
});

// ------------------------------------------------------------------------------------------- what tasks consist of

const setNames = ({ sets, styles = {} }) => [...sets, ...Object.values(styles).flatMap((style) => style.sets)];
const tasks = taskNames.map(taskNamed);
const allSets = new Map();
const plans = new Map();
before(async () => {
  const [first, ...rest] = tasks;
  const every = await setsOf({ ...first, sets: [...setNames(first), ...rest.flatMap(setNames)] });
  for (const [name, set] of every) allSets.set(name, set);
  for (const task of tasks) plans.set(task, plan(task, allSets));
});

test('every name draws something, and no drawing stands for two classes of a task', () => {
  for (const task of tasks) {
    const owners = new Map();
    for (const [name, members] of Object.entries(task.classes))
      for (const member of members) {
        const drawn = setNames(task).flatMap((set) =>
          allSets
            .get(set)
            .drawings(member)
            .map((drawing) => `${set}/${drawing.name}`),
        );
        assert(drawn.length, `${task.name}: no set draws ${member}`);
        for (const drawing of drawn) {
          assert.equal(owners.get(drawing) ?? name, name, `${task.name}: ${drawing} shows two classes`);
          owners.set(drawing, name);
        }
      }
  }
});

test('every class has at least eight drawings, in at least five styles', () => {
  for (const task of tasks)
    for (const [name, members] of Object.entries(task.classes)) {
      const drawn = [...new Set(setNames(task))].map((set) => {
        const bodies = members.flatMap((member) =>
          allSets
            .get(set)
            .drawings(member)
            .map(({ body }) => body),
        );
        return new Set(bodies).size;
      });
      const styles = drawn.filter(Boolean).length;
      const total = drawn.reduce((a, b) => a + b);
      assert(total >= 8 && styles >= 5, `${task.name}: ${name} has ${total} drawings in ${styles} styles`);
    }
});

test('what is tested was not trained on, nor was its copy in black or its twin of another name', () => {
  let tested = 0;
  for (const task of tasks) {
    const { train, ...others } = plans.get(task);
    const designs = new Set(train.map(({ design }) => design));
    const bodies = new Set(train.map(({ drawing }) => drawing.body));
    for (const [part, pictures] of Object.entries(others)) {
      if (part === 'test' && task.sameDrawings) continue;
      for (const { path: file, design, drawing } of pictures) {
        assert(!designs.has(design) && !bodies.has(drawing.body), `${task.name}: ${file} is trained on`);
        tested++;
      }
    }
  }
  assert(tested > 1000);
});

test('a part has as many pictures of each class, and shows each drawing it has before one comes twice', () => {
  for (const task of tasks)
    for (const [part, pictures] of Object.entries(plans.get(task))) {
      const counts = Object.keys(task.classes).map((_, label) => pictures.filter((p) => p.label === label).length);
      assert.deepEqual([...new Set(counts)], [pictures.length / counts.length], `${task.name}, ${part}`);
      const used = new Map();
      for (const { label, set, drawing } of pictures) {
        const key = `${label} ${set}`;
        used.set(key, [...(used.get(key) ?? []), drawing.name]);
      }
      for (const names of used.values()) {
        const repeat = names.findIndex((name, i) => names.indexOf(name) < i);
        if (repeat > 0) assert.equal(names[repeat], names[0]);
      }
    }
});

test('tasks are drawn only from sets that the model was not trained on, under licences that allow it', () => {
  const { train } = readJson(project, 'models/pictoclip/training/sources.json');
  assert(Object.keys(train).length > 10);
  for (const [name, { credit }] of allSets) {
    assert(!(name in train), `${name} is trained on`);
    assert.match(credit.licence.spdx, /^(MIT|CC-BY-3\.0|CC-BY(-SA)?-4\.0)$/);
    assert(credit.licence.url && credit.author.name && credit.title, `${name}: attribution is incomplete`);
  }
});

test('base-to-new has two halves of thirty classes', () => {
  assert.equal(Object.keys(taskNamed('objects').classes).length, 60);
});

// ------------------------------------------------------------------------------------------- rendering once, whole

test('progress counts up to the number of pictures', () => {
  const total = split.train.length + split.test.length;
  assert.deepEqual(
    progress,
    Array.from({ length: total + 1 }, (_, done) => ({ done, total })),
  );
});

test('a finished task is not rendered again, an outdated one is', async () => {
  const stamp = path.join(sample, '.rendered.json');
  const file = path.join(sample, split.test[0][0]);
  const [right, made] = [readFileSync(stamp, 'utf8'), statSync(file).mtimeMs];
  const never = () => assert.fail('rendered again');
  assert.equal(await renderTask(SAMPLE_TASK, shared, { onProgress: never }), sample);
  assert.equal(statSync(file).mtimeMs, made);

  const [before, extra] = [pixels(file), path.join(sample, 'from-before.png')];
  writeFileSync(stamp, right.replace('"version":', '"version":1'));
  writeFileSync(file, 'not the picture');
  writeFileSync(extra, 'no longer part of it');
  await renderTask(SAMPLE_TASK, shared);
  assert.equal(readFileSync(stamp, 'utf8'), right);
  assert.equal(pixels(file), before);
  assert(!existsSync(extra));
  assert.deepEqual(readdirSync(shared), [SAMPLE_TASK]);
});

test('a rendering that is stopped leaves nothing', async () => {
  const out = path.join(root, 'stopped');
  const stop = new AbortController();
  const onProgress = ({ done }) => done === 12 && stop.abort();
  await assert.rejects(renderTask(SAMPLE_TASK, out, { onProgress, signal: stop.signal }), { name: 'AbortError' });
  assert.deepEqual(readdirSync(out), []);
});

test('a rendering that is killed leaves nothing that looks like a task, and is cleared away later', async () => {
  const out = path.join(root, 'killed');
  const child = spawn(process.execPath, [command, SAMPLE_TASK, '--out', out], { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const written = () => existsSync(out) && readdirSync(out, { recursive: true }).some((file) => file.endsWith('.png'));
  await until(written);
  child.kill('SIGKILL');
  await ended;
  const [left, ...others] = readdirSync(out);
  assert.match(left, /^\.zoo-unfinished-/);
  assert.deepEqual(others, []);

  const recent = path.join(out, '.zoo-unfinished-recent');
  mkdirSync(recent);
  const longAgo = Date.now() / 1000 - 2 * 3600;
  utimesSync(path.join(out, left), longAgo, longAgo);
  const signal = AbortSignal.abort();
  await assert.rejects(renderTask(SAMPLE_TASK, out, { signal }), { name: 'AbortError' });
  assert.deepEqual(readdirSync(out), [path.basename(recent)]);
});

test("a folder that is not the renderer's own is left alone", async () => {
  const out = path.join(root, 'foreign');
  const mine = path.join(out, SAMPLE_TASK, 'split.json');
  mkdirSync(path.dirname(mine), { recursive: true });
  writeFileSync(mine, 'precious');
  await assert.rejects(renderTask(SAMPLE_TASK, out), /foreign.zoo holds something that was not rendered here; move it/);
  assert.equal(readFileSync(mine, 'utf8'), 'precious');
  await assert.rejects(renderTask(SAMPLE_TASK, mine), /split\.json/);
});

test('the command line says what is wrong in one line', async () => {
  const run = (file, ...args) => promisify(execFile)(process.execPath, [file, ...args]);
  await assert.rejects(run(command, 'zebras', '--out', root), ({ code, stdout, stderr }) => {
    assert.deepEqual([code, stdout], [1, '']);
    assert.equal(stderr, `no task is called zebras; there are: ${taskNames.join(', ')}\n`);
    return true;
  });
  await assert.rejects(run(command, SAMPLE_TASK), ({ code, stderr }) => code === 1 && /--out DIR/.test(stderr));
  assert.equal((await run(command, SAMPLE_TASK, '--out', shared)).stdout, `${sample}\n`);

  // Where the packages are not installed, it says which, and how to get them.
  const bare = path.join(root, 'bare');
  cpSync(path.dirname(command), path.join(bare, 'models/pictoclip/tasks'), { recursive: true });
  cpSync(path.join(project, 'package.json'), path.join(bare, 'package.json'));
  const elsewhere = path.join(bare, 'models/pictoclip/tasks/render.js');
  await assert.rejects(run(elsewhere, SAMPLE_TASK, '--out', path.join(bare, 'out')), ({ code, stderr }) => {
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^the pictures .* need @iconify-json\/\S+, .*npm install --no-save .*@resvg\/resvg-wasm@\d.*\n$/,
    );
    return true;
  });
  assert(!existsSync(path.join(bare, 'out')));
});
