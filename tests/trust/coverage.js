/**
 * Which lines of the C core the native tests run (./run coverage): a table of its files, and every line that no test
 * reaches. docs/trust.md says why those are. Exit status 1 below 90 %.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const OBJECTS = path.join(ROOT, 'build/coverage/CMakeFiles/mudpt.dir/src');
const WANTED = 0.9;

/** @type {Map<string, Map<number, number>>} how often each line of a file ran */
const files = new Map();
for (const name of readdirSync(OBJECTS, { recursive: true, encoding: 'utf8' })) {
  // Of a file that is no more an earlier build has left some.
  if (!name.endsWith('.gcno') || !existsSync(path.join(ROOT, 'src', name.replace(/\.gcno$/, '')))) continue;
  const options = { encoding: /** @type {const} */ ('utf8'), maxBuffer: 2 ** 28, cwd: ROOT };
  const { stdout, status, stderr } = spawnSync(
    'gcov',
    ['--json-format', '--stdout', path.join(OBJECTS, name)],
    options,
  );
  if (status !== 0) throw new Error(stderr);
  for (const { file, lines } of JSON.parse(stdout).files) {
    const short = path.relative(ROOT, path.resolve(ROOT, file));
    if (!short.startsWith('src/')) continue; // stb_image.h, which is not ours
    const counts = files.get(short) ?? new Map();
    for (const { line_number: line, count } of lines) counts.set(line, (counts.get(line) ?? 0) + count);
    files.set(short, counts);
  }
}

/** Numbers as ranges. @param {number[]} numbers */
function ranges(numbers) {
  const out = [];
  for (const n of numbers) {
    const last = out.at(-1);
    if (last && n <= last[1] + 2) last[1] = n;
    else out.push([n, n]);
  }
  return out.map(([first, last]) => (first === last ? first : `${first}-${last}`)).join(', ');
}

let [run, all] = [0, 0];
for (const [name, counts] of [...files].sort()) {
  const missed = [...counts].filter(([, count]) => !count).map(([line]) => line);
  run += counts.size - missed.length;
  all += counts.size;
  const share = ((100 * (counts.size - missed.length)) / counts.size).toFixed(1);
  const missing = ranges(missed.sort((a, b) => a - b));
  console.log(`${share.padStart(5)} %  ${name}${missing ? `: not ${missing}` : ''}`);
}
console.log(`${((100 * run) / all).toFixed(1)} % of ${all} lines of the C core`);
process.exitCode = run / all >= WANTED ? 0 : 1;
