/**
 * Files under faults: a disk that is full, a folder that may not be written, a process that is killed at any moment of
 * saving or training. What is there afterwards is the old file or the new one.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { SIZE } from './children.js';
import { count } from './table.js';

const CHILD = fileURLToPath(new URL('./children.js', import.meta.url));
const KILLS = Number(process.env.MUDPT_KILLS ?? 12);
const OLD = Buffer.alloc(5000, 1);

/** @type {string} */
let root;
before(() => {
  root = mkdtempSync(path.join(tmpdir(), 'mudpt-faults-'));
  chmodSync(root, 0o755);
});
after(() => rmSync(root, { recursive: true, force: true }));

let folders = 0;
const newFolder = () => {
  const folder = path.join(root, String(folders++));
  mkdirSync(folder);
  return folder;
};

/** The file is the old one, nothing lies beside it, and the error says so. */
function assertRefused(result, folder, message) {
  assert.equal(result.status, 3, `${result.stdout}${result.stderr}`);
  const error = JSON.parse(result.stdout);
  assert.equal(error.code, 'file');
  assert.match(error.message, message);
  assert.deepEqual(readFileSync(path.join(folder, 'file')), OLD);
  assert.deepEqual(readdirSync(folder), ['file']);
  count('faults', 'survived');
}

/** @param {string[]} args @param {object} [options] */
const child = (args, options) => spawnSync(process.execPath, [CHILD, ...args], { encoding: 'utf8', ...options });
/** The same where no file may grow beyond 64 KB, which ends a write in the middle as a full disk does. */
const limited = (args) =>
  spawnSync('bash', ['-c', `trap '' XFSZ; ulimit -f 64; exec "$0" "$@"`, process.execPath, CHILD, ...args], {
    encoding: 'utf8',
  });

describe('no room', () => {
  for (const [what, run] of [
    ['a limit on the size of files', limited],
    ['a full disk', undefined],
  ]) {
    test(`${what}: the old file stays`, (t) => {
      const folder = newFolder();
      if (!run && spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=128k', 'tmpfs', folder]).status !== 0) {
        return t.skip('no file system can be mounted here');
      }
      try {
        writeFileSync(path.join(folder, 'file'), OLD);
        const reason = run ? /cannot be written \(EFBIG\)/ : /cannot be written \(ENOSPC\); free some space/;
        assertRefused((run ?? child)(['write', path.join(folder, 'file'), String(SIZE)]), folder, reason);
        const made = (run ?? child)(['folder', path.join(folder, 'model')]);
        assert.equal(made.status, 3, made.stdout + made.stderr);
        assert.deepEqual(readdirSync(folder), ['file'], 'a folder appeared, or a part of one was left');
        assert.equal(child(['write', path.join(folder, 'file'), '9000']).status, 0, 'then a file that fits');
        assert.equal(readFileSync(path.join(folder, 'file')).length, 9000);
      } finally {
        if (!run) spawnSync('umount', [folder]);
      }
    });
  }
});

test('a folder that may not be written: the old file stays', () => {
  const folder = newFolder();
  writeFileSync(path.join(folder, 'file'), OLD);
  chmodSync(folder, 0o555);
  const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  assertRefused(
    child(['write', path.join(folder, 'file'), '9000'], nobody),
    folder,
    /cannot be written \(E(ACCES|PERM)\)/,
  );
  chmodSync(folder, 0o755);
});

/** Kills a child a random time after it has said `after`. @returns {Promise<string>} what it said */
function killed(args, after, most) {
  return new Promise((resolve) => {
    const process_ = spawn(process.execPath, [CHILD, ...args]);
    let said = '';
    let armed = false;
    process_.stdout.setEncoding('utf8').on('data', (text) => {
      said += text;
      if (armed || !said.includes(after)) return;
      armed = true;
      setTimeout(() => process_.kill('SIGKILL'), Math.random() * most);
    });
    process_.on('close', () => resolve(said));
  });
}

test(`killed ${KILLS} times while saving: always a whole file`, async () => {
  const folder = newFolder();
  const file = path.join(folder, 'file');
  writeFileSync(file, Buffer.alloc(SIZE, 255));
  for (let i = 0; i < KILLS; i++) {
    await killed(['save', file], 'saved', 60);
    const bytes = readFileSync(file);
    assert.equal(bytes.length, SIZE);
    assert.ok(
      bytes.every((byte) => byte === bytes[0]),
      'a mixture of two versions',
    );
    assert.notEqual(bytes[0], 255, 'what was saved is lost');
    count('faults', 'survived');
  }
});

test(`killed ${Math.ceil(KILLS / 3)} times while training: it goes on, to the same bits`, async () => {
  const [whole, broken] = [newFolder(), newFolder()];
  assert.equal(child(['train', whole]).status, 0);
  for (let i = 0; i < Math.ceil(KILLS / 3); i++) {
    await killed(['train', broken], 'step', 200);
    assert.ok(existsSync(path.join(broken, 'run')));
    count('faults', 'survived');
  }
  const last = child(['train', broken]);
  assert.equal(last.status, 0, last.stdout + last.stderr);
  for (const name of ['run', 'classifier']) {
    assert.deepEqual(readFileSync(path.join(broken, name)), readFileSync(path.join(whole, name)), name);
  }
});
