/**
 * The short form of everything that shows that nothing crashes and nothing is lost (./run test trust): as many of its
 * parts at once as there are cores, and their counts end in one table. What fails is shown whole. ./run soak is the
 * long form.
 */
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { TARGETS, format, sumOf } from './table.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const node = process.execPath;
const trust = readdirSync(path.join(ROOT, 'tests/trust')).filter((name) => name.endsWith('.test.js'));
/** Inputs of each fuzz target: 20 seconds. */
const INPUTS = { image: 24_000, weights: 40_000, prompts: 32_000, interface: 50_000 };
const fuzz = (target) => [`fuzzing: ${target}`, node, 'tests/trust/soak.js', 'short', String(INPUTS[target]), target];

const PARTS = /** @type {[name: string, command: string, ...args: string[]][]} */ ([
  ['allocations that fail', 'build/native/test_failures'],
  ['numbers, natively', 'build/native/test_numbers'],
  ...TARGETS.map(fuzz),
  ['files read by JavaScript', node, '--test', 'tests/fuzz/files.fuzz.js'],
  ['files of PyTorch', node, '--test', 'tests/fuzz/pickles.fuzz.js'],
  ...trust.map((name) => [path.basename(name, '.test.js'), node, '--test', `tests/trust/${name}`]),
]);

/** Runs a program to its end. @returns {Promise<{ status: number | null, output: string }>} */
function run(command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => (output += text));
    child.on('error', ({ message }) => resolve({ status: null, output: output + message }));
    child.on('close', (status) => resolve({ status, output }));
  });
}

/** @type {[string, import('./table.js').Row][]} */
const rows = [];
const broken = [];
async function take(index) {
  const [name, command, ...args] = PARTS[index];
  const started = performance.now();
  const { status, output } = await run(command, args);
  const row = sumOf(output);
  const passed = /^(?:# pass )?(\d+)(?: passed, \d+ failed)?$/m.exec(output);
  // What has no count of its own counts its tests.
  if (!row.inputs && !row.faults && passed) row.inputs = row.survived = Number(passed[1]);
  if (status !== 0) {
    row.lost += 1;
    broken.push(name);
    console.log(output);
  }
  rows[index] = [name, row];
  console.error(`${name}: ${status === 0 ? 'held' : 'FAILED'}, ${Math.round((performance.now() - started) / 1000)} s`);
}

let next = 0;
const core = async () => {
  while (next < PARTS.length) await take(next++);
};
await Promise.all(Array.from({ length: availableParallelism() }, core));

const audit = spawnSync('npm', ['audit', '--audit-level=low'], { cwd: ROOT, encoding: 'utf8' });
const isKnown = /found 0 vulnerabilities|severity/i.test(audit.stdout);
if (isKnown && audit.status !== 0) {
  broken.push('npm audit');
  console.log(audit.stdout);
}
console.log(`npm audit: ${!isKnown ? 'not done, the registry does not answer' : audit.status ? 'FAILED' : 'clean'}`);
console.log(format(rows));
if (broken.length) console.log(`failed: ${broken.join(', ')}`);
process.exitCode = broken.length ? 1 : 0;
