/**
 * workflow/Snakefile with Snakemake's local executor on two workers: the same tables as the plain command, and runs
 * that are finished are not repeated. SNAKEMAKE says which one; ./run test workflow installs the pinned one.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, readdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { makeClip } from '../make-clip.js';
import { mudpt, timeless, workFolder } from '../node/command.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const cwd = workFolder();
const at = (...parts) => path.join(cwd, ...parts);
const sweep =
  'base-to-new --data pets --model tiny --seeds 1,2 --shots 1 --methods zeroshot,cocoop,mudpt --set epochs=1';

before(async () => {
  await makeClip(at('tiny'));
  for (const part of ['train', 'test']) {
    for (const name of ['angry_face', 'clown_face', 'nerd_face', 'thinking_face']) {
      for (const file of readdirSync(path.join(root, 'tests/data/faces', part, name))
        .sort()
        .slice(0, 4)) {
        cpSync(path.join(root, 'tests/data/faces', part, name, file), at('pets', part, name, file));
      }
    }
  }
});

const snakemake = (out) =>
  promisify(execFile)(
    process.env.SNAKEMAKE ?? 'snakemake',
    [
      ...['--snakefile', path.join(root, 'workflow/Snakefile'), '--cores', '2', '--quiet', 'all'],
      ...['--config', `out=${out}`, `sweep=${sweep}`, `mudpt=node ${path.join(root, 'js/cli/main.js')}`],
    ],
    { cwd, env: { ...process.env, XDG_CACHE_HOME: at('cache') } },
  );

const reports = (folder) => readdirSync(at(folder)).filter((name) => name.startsWith('base-to-new'));
const times = (folder) =>
  readdirSync(at(folder, 'logs')).map((name) => [name, statSync(at(folder, 'logs', name)).mtimeMs]);

test('two workers give the tables of the plain command, and a second call repeats nothing', async () => {
  const { code, stderr } = await mudpt(['protocol', ...sweep.split(' '), '--out', 'plain'], { cwd });
  assert.equal(code, 0, stderr);
  await snakemake('spread');
  assert.deepEqual(await timeless(at('spread')), await timeless(at('plain')));
  assert.equal(reports('spread').length, 4);

  const first = times('spread');
  assert.equal(first.length, 5);
  rmSync(at('spread/base-to-new.md'));
  await snakemake('spread');
  assert.deepEqual(times('spread'), first);
  assert.deepEqual(await timeless(at('spread')), await timeless(at('plain')));
});

test('what the plain command has finished is not run again', async () => {
  cpSync(at('plain/logs'), at('begun/logs'), { recursive: true, preserveTimestamps: true });
  const [gone] = readdirSync(at('begun/logs'));
  rmSync(at('begun/logs', gone));
  const kept = times('begun');
  await snakemake('begun');
  assert.deepEqual(
    times('begun').filter(([name]) => name !== gone),
    kept,
  );
  assert.deepEqual(await timeless(at('begun')), await timeless(at('plain')));
});
