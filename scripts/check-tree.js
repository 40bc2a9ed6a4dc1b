/**
 * Checks what formatters leave alone: the .editorconfig's rules, the length of files, the order of rooms and floors
 * (tree.js), that no C file calls sqrtf, that wasm/exports.json and exports-heads.json list the functions of
 * src/mudpt.h, and that what was built is no older than what it was built from. Prints one line a fault; run by
 * `./run test format`.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { MADE } from './made.js';
import { faultsOfTheHouse } from './tree.js';

const WIDTH = 120;
const LINES = 600;
const code = /\.(c|h|js|mjs|ts|sh|cmake)$|(^|\/)(run|CMakeLists\.txt)$/;
const data = /^(tests\/(golden|data|models|fuzz\/found)|models|bench\/results)\/|^package-lock\.json$|^LICENSE$/;

const faults = [];
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
  encoding: 'utf8',
});
for (const file of new Set(files.split('\0').filter(Boolean))) {
  if (data.test(file) && !code.test(file)) continue;
  const bytes = readFileSync(file);
  if (bytes.includes(0)) continue;
  const text = bytes.toString('utf8');
  const lines = text.split('\n');
  if (text.includes('\r')) faults.push(`${file}: lines end with CR LF; expected LF`);
  if (text !== '' && !text.endsWith('\n')) faults.push(`${file}: the last line has no end`);
  lines.forEach((line, index) => {
    if (/[ \t]$/.test(line)) faults.push(`${file}:${index + 1}: white space at the end of the line`);
    if (/^ *\t/.test(line)) faults.push(`${file}:${index + 1}: a tab indents the line; expected spaces`);
    if (code.test(file) && [...line].length > WIDTH)
      faults.push(`${file}:${index + 1}: longer than ${WIDTH} characters`);
  });
  if (/^src\/.*\.c$/.test(file) && /\bsqrtf\(/.test(text))
    faults.push(`${file}: sqrtf, which V8 is slow at after wide vectors; simd_root of base/simd.h is the same`);
  if (code.test(file) && lines.length > LINES + 1) faults.push(`${file}: ${lines.length - 1} lines; at most ${LINES}`);
}

const header = readFileSync('src/mudpt.h', 'utf8').replace(/\/\*[^]*?\*\//g, '');
const declared = new Set(Array.from(header.matchAll(/\b(mudpt_\w+)\(/g), ([, name]) => `_${name}`));
const lists = ['wasm/exports.json', 'wasm/exports-heads.json'];
const exported = new Set(lists.flatMap((list) => JSON.parse(readFileSync(list, 'utf8'))));
for (const name of declared) if (!exported.has(name)) faults.push(`${lists[0]}: ${name} of src/mudpt.h is missing`);
for (const name of exported) if (!declared.has(name)) faults.push(`${lists[0]}: ${name} is not in src/mudpt.h`);

faults.push(...faultsOfTheHouse());

// What ./run leaves when the modules are built stands for them where there is one: a build may find nothing to do.
const built = ['build/wasm/.built', 'js/wasm/mudpt.wasm'].find((file) => existsSync(file));
const isNewer = (file) => existsSync(file) && statSync(file).mtimeMs > statSync(built).mtimeMs;
for (const file of MADE) if (!existsSync(file)) faults.push(`${file}: is not there; run ./run build`);
const newer = built && files.split('\0').find((file) => /^(src|wasm)\//.test(file) && isNewer(file));
if (newer) faults.push(`js/wasm: is older than ${newer}; run ./run build`);

for (const fault of faults) console.error(fault);
if (faults.length) process.exitCode = 1;
