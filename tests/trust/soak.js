/**
 * Long runs, which go on where they stopped: what was done is kept in build/soak, one line of JSON a piece.
 *
 *   node tests/trust/soak.js fuzz [EXECUTIONS]   fuzz targets until so many executions over all of them; 10 million
 *   node tests/trust/soak.js hour [MINUTES]      train, classify, dispose, and again; 60 minutes
 *   node tests/trust/soak.js pickles [INPUTS]    files of PyTorch, damaged and made up, in 512 MB; a million
 *   node tests/trust/soak.js many                10,000 pictures in one evaluation, 1,000 classes
 *   node tests/trust/soak.js table               what has been done so far
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { loadClip } from '../../js/clip.js';
import { PICTURES, TINY_A } from '../node/models.js';
import { TARGETS, count, format, sumOf } from './table.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FOLDER = path.join(ROOT, 'build/soak');
const PIECE = 120; // seconds of one target at a time
const SHORT_SECONDS = 100; // of short, at most, on a slow machine
const PROPERTIES = 5; // of tests/fuzz/pickles.fuzz.js
const WARM = 5; // rounds until everything that grows once has grown
const log = (name) => path.join(FOLDER, `${name}.jsonl`);

/** @param {string} name @returns {any[]} */
function read(name) {
  if (!existsSync(log(name))) return [];
  const lines = readFileSync(log(name), 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line));
}

function add(name, entry) {
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: ROOT, encoding: 'utf8' }).trim();
  appendFileSync(log(name), `${JSON.stringify({ date: new Date().toISOString(), commit, ...entry })}\n`);
}

const sum = (entries, key) => entries.reduce((total, entry) => total + entry[key], 0);

/** What a target starts from besides what was found before. */
const seedsOf = (target) =>
  [
    `tests/fuzz/found/${target}`,
    ...(target === 'image' ? ['tests/golden/preprocess/images', 'tests/data/formats', 'tests/data/pictures'] : []),
  ]
    .map((folder) => path.join(ROOT, folder))
    .filter(existsSync);

/**
 * Inputs that a target stopped at, less those that only took long because the machine slept: what is answered within
 * the time that an input has.
 */
function stoppedAt(target, found) {
  for (const name of readdirSync(found).filter((name) => /^(timeout|slow-unit)-/.test(name))) {
    const input = path.join(found, name);
    const { status } = spawnSync(path.join(ROOT, `build/fuzz/fuzz_${target}`), [input], { timeout: 25_000 });
    if (status === 0) rmSync(input);
  }
  return readdirSync(found).length;
}

/**
 * One piece of one target.
 * @param {string} target @param {number} seconds @param {string} corpus folder of what has been found worth keeping
 * @param {string[]} [more] options of libFuzzer
 * @returns {{ target: string, executions: number, seconds: number, crashes: number }}
 */
function fuzz(target, seconds, corpus = path.join(FOLDER, 'corpus', target), more = []) {
  const found = path.join(FOLDER, 'found', target);
  for (const folder of [corpus, found]) mkdirSync(folder, { recursive: true });
  const before = stoppedAt(target, found);
  const options = [`-max_total_time=${seconds}`, '-max_len=8192', '-timeout=25', '-rss_limit_mb=2048', ...more];
  options.push('-print_final_stats=1', `-artifact_prefix=${found}/`, corpus, ...seedsOf(target));
  const started = performance.now();
  const { stderr } = spawnSync(path.join(ROOT, `build/fuzz/fuzz_${target}`), options, {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    cwd: ROOT,
  });
  // The fuzzer tells of its executions at every event, at the end and where it crashes.
  const told = [...stderr.matchAll(/^(?:#|stat::number_of_executed_units:\s*)(\d+)/gm)].map(([, n]) => Number(n));
  const crashes = stoppedAt(target, found) - before;
  if (crashes) console.error(stderr.slice(-4000));
  return {
    target,
    executions: told.reduce((most, n) => Math.max(most, n), 0),
    seconds: Math.round((performance.now() - started) / 1000),
    crashes,
  };
}

function fuzzUntil(wanted, seconds = PIECE) {
  for (let round = 0; sum(read('fuzz'), 'executions') < wanted; round++) {
    // Whoever has had the least time is next: an execution of one target takes as long as ten of another.
    const done = TARGETS.map((target) =>
      sum(
        read('fuzz').filter((entry) => entry.target === target),
        'seconds',
      ),
    );
    const target = TARGETS[done.indexOf(Math.min(...done))];
    add('fuzz', fuzz(target, seconds));
    console.error(
      `${sum(read('fuzz'), 'executions').toLocaleString('en')} of ${wanted.toLocaleString('en')} executions`,
    );
  }
}

/**
 * The same inputs every time, from nothing, and what was found before: what fails is of the change that is tested. The
 * counts go into the table of short.js, and nowhere else.
 * @param {string} target @param {number} inputs
 */
function short(target, inputs) {
  const corpus = mkdtempSync(path.join(tmpdir(), 'mudpt-fuzz-'));
  const { executions, crashes } = fuzz(target, SHORT_SECONDS, corpus, ['-seed=1', `-runs=${inputs}`]);
  rmSync(corpus, { recursive: true });
  count('inputs', 'survived', executions - crashes);
  if (crashes) count('inputs', 'lost', crashes);
  return executions > 0 && crashes === 0;
}

/** Properties of what reads PyTorch's files, in little memory. @param {number} wanted inputs */
function pickles(wanted) {
  const runs = Math.ceil(wanted / PROPERTIES);
  const started = performance.now();
  const args = ['--max-old-space-size=512', '--test', 'tests/fuzz/pickles.fuzz.js'];
  const seed = process.env.MUDPT_FUZZ_SEED ?? String(Date.now() % 2 ** 31);
  const env = { ...process.env, MUDPT_FUZZ_RUNS: String(runs), MUDPT_FUZZ_SEED: seed };
  const { status, stdout } = spawnSync(process.execPath, args, { cwd: ROOT, env, encoding: 'utf8' });
  const { inputs } = sumOf(stdout);
  if (status !== 0) console.error(stdout.slice(-4000));
  add('pickles', { inputs, seconds: Math.round((performance.now() - started) / 1000), lost: status === 0 ? 0 : 1 });
  return status === 0 && inputs >= wanted;
}

/** Trains and classifies, with a model that is loaded anew each time and one that stays. */
async function hour(minutes) {
  const classes = ['cat', 'dog', 'owl'];
  const examples = Array.from({ length: 6 }, (_, i) => ({ image: PICTURES[i], label: classes[i % 3] }));
  const end = performance.now() + minutes * 60_000;
  const staying = await loadClip(TINY_A);
  let rounds = 0;
  let first;
  let last;
  while (performance.now() < end || rounds <= WARM) {
    const fresh = await loadClip(TINY_A);
    for (const clip of [staying, fresh]) {
      const tuned = await clip.tune({ classes, examples, epochs: 1, promptLength: 2, seed: rounds }).finished;
      const again = await clip.import(await tuned.export());
      await again.evaluate(examples);
      await tuned.dispose();
      await again.dispose();
    }
    await fresh.dispose();
    globalThis.gc?.();
    const resident = process.memoryUsage.rss();
    last = { wasm: staying.memoryBytes, resident };
    if (++rounds === WARM) first = last;
  }
  await staying.dispose();
  const flat = last.wasm === first.wasm && last.resident < first.resident * 1.3 + 2 ** 26;
  add('hour', { minutes, rounds, first, last, flat });
  const mb = ({ wasm, resident }) =>
    `${(wasm / 2 ** 20).toFixed(1)} MB of WebAssembly, ${(resident / 2 ** 20).toFixed(0)} MB in all`;
  console.error(`${rounds} rounds: ${mb(first)} after ${WARM} of them, ${mb(last)} at the end`);
  return flat;
}

async function many() {
  const clip = await loadClip(TINY_A);
  const names = Array.from({ length: 1000 }, (_, i) => `thing ${i}`);
  const classifier = await clip.zeroShot(names);
  const before = clip.memoryBytes;
  const examples = Array.from({ length: 10_000 }, (_, i) => ({ image: PICTURES[i % 7], label: i % 1000 }));
  const started = performance.now();
  const { confusion, perClass } = await classifier.evaluate(examples);
  const seconds = (performance.now() - started) / 1000;
  const counted = perClass.reduce((total, { count }) => total + count, 0);
  const whole = counted === 10_000 && perClass.length === 1000 && confusion.length === 1000;
  add('many', { pictures: counted, classes: perClass.length, seconds, before, after: clip.memoryBytes, whole });
  console.error(`${counted} pictures, ${perClass.length} classes: ${seconds.toFixed(0)} s`);
  await clip.dispose();
  return whole;
}

function table() {
  const rows = TARGETS.map((target) => {
    const entries = read('fuzz').filter((entry) => entry.target === target);
    const [inputs, lost] = [sum(entries, 'executions'), sum(entries, 'crashes')];
    return [`fuzzing: ${target}`, { inputs, faults: 0, survived: inputs - lost, lost }];
  });
  const tried = read('pickles');
  const [files, broken] = [sum(tried, 'inputs'), sum(tried, 'lost')];
  rows.push(['files of PyTorch', { inputs: files, faults: 0, survived: files - broken, lost: broken }]);
  const hours = read('hour');
  const kept = hours.filter(({ flat }) => flat);
  const row = { inputs: sum(hours, 'rounds'), faults: 0, survived: sum(kept, 'rounds'), lost: 0 };
  rows.push([`train, classify, dispose: ${sum(hours, 'minutes')} min`, { ...row, lost: row.inputs - row.survived }]);
  const evaluated = read('many');
  const whole = evaluated.filter((entry) => entry.whole);
  const [inputs, survived] = [sum(evaluated, 'pictures'), sum(whole, 'pictures')];
  rows.push(['pictures of one evaluation, 1,000 classes', { inputs, faults: 0, survived, lost: inputs - survived }]);
  console.log(format(/** @type {any} */ (rows)));
  return rows.every(([, { lost }]) => /** @type {any} */ (lost) === 0);
}

mkdirSync(FOLDER, { recursive: true });
const [, , verb = '', amount, target = ''] = process.argv;
let good = true;
if (verb === 'fuzz') fuzzUntil(Number(amount ?? 10_000_000));
else if (verb === 'short') good = short(target, Number(amount));
else if (verb === 'pickles') good = pickles(Number(amount ?? 1_000_000));
else if (verb === 'hour') good = await hour(Number(amount ?? 60));
else if (verb === 'many') good = await many();
if (verb !== 'short') good = table() && good;
process.exitCode = good ? 0 : 1;
