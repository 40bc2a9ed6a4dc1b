/**
 * The short form of everything that shows that nothing crashes and nothing is lost (./run test trust): its parts run
 * one after the other, and their counts end in one table. What fails is shown whole. ./run soak is the long form.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { format, sumOf } from './table.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const node = process.execPath;
const trust = readdirSync(path.join(ROOT, 'tests/trust')).filter((name) => name.endsWith('.test.js'));

/** @type {[name: string, command: string, ...args: string[]][]} */
const PARTS = [
  ['allocations that fail', 'build/native/test_failures'],
  ['numbers, natively', 'build/native/test_numbers'],
  ['fuzzing, 20 s a target', node, 'tests/trust/soak.js', 'short', '20'],
  ['files read by JavaScript', node, '--test', 'tests/fuzz/files.fuzz.js'],
  ...trust.map((name) => /** @type {any} */ ([path.basename(name, '.test.js'), node, '--test', `tests/trust/${name}`])),
];

/** @type {[string, import('./table.js').Row][]} */
const rows = [];
const broken = [];
for (const [name, command, ...args] of PARTS) {
  const started = performance.now();
  const run = spawnSync(command, args, { cwd: ROOT, encoding: 'utf8', maxBuffer: 2 ** 28 });
  const output = `${run.stdout ?? ''}${run.stderr ?? ''}${run.error?.message ?? ''}`;
  const row = sumOf(output);
  const passed = /^(?:# pass )?(\d+)(?: passed, \d+ failed)?$/m.exec(output);
  // What has no count of its own counts its tests.
  if (!row.inputs && !row.faults && passed) row.inputs = row.survived = Number(passed[1]);
  if (run.status !== 0) {
    row.lost += 1;
    broken.push(name);
    console.log(output);
  }
  rows.push([name, row]);
  console.error(
    `${name}: ${run.status === 0 ? 'held' : 'FAILED'}, ${Math.round((performance.now() - started) / 1000)} s`,
  );
}

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
