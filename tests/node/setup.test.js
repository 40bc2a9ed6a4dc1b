/**
 * Set-up on machines that are not like this one (scripts/packages.sh): what is asked for, and what happens while
 * another program holds apt's locks. apt-get, ldconfig and id are stand-ins that lie first on PATH.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';

import { temporaryFolder } from './models.js';

const PACKAGES = path.resolve(import.meta.dirname, '../../scripts/packages.sh');
const isDebian = existsSync('/etc/os-release') && /^ID=debian$/m.test(readFileSync('/etc/os-release', 'utf8'));

/**
 * Runs shell code after packages.sh.
 * @param {Record<string, string>} programs stand-ins, as shell code; log "..." notes a line
 * @returns {Promise<{ code: number, stderr: string, log: string[] }>}
 */
async function shell(code, programs) {
  const folder = await temporaryFolder();
  const log = path.join(folder, 'log');
  mkdirSync(path.join(folder, 'bin'));
  writeFileSync(log, '');
  for (const [name, text] of Object.entries({ id: 'echo 0', ...programs })) {
    const file = path.join(folder, 'bin', name);
    writeFileSync(file, `#!/bin/bash\nlog() { echo "$*" >> '${log}'; }\nFOLDER='${folder}'\n${text}\n`);
    chmodSync(file, 0o755);
  }
  const lines = [
    'set -euo pipefail; say() { echo "$*" >&2; }; refuse() { say "refused: $*"; exit 1; }',
    `. '${PACKAGES}'; FOLDER='${folder}'`,
    code,
  ];
  const env = { ...process.env, PATH: `${path.join(folder, 'bin')}:${process.env.PATH}`, APT_PAUSE: '0' };
  return new Promise((resolve) => {
    execFile('bash', ['-c', lines.join('\n')], { env }, (error, _stdout, stderr) => {
      const noted = readFileSync(log, 'utf8').split('\n').filter(Boolean);
      resolve({ code: error ? Number(error.code) : 0, stderr, log: noted });
    });
  });
}

/** Installs by making the file that is then asked for. */
const installs = 'log "$*"; [[ "$*" != *install* ]] || : > "$FOLDER/there"';

describe('what is missing', { skip: isDebian ? false : 'packages are installed on Debian only' }, () => {
  test('a library that only a program has for itself', async () => {
    const private_ = 'echo "	libvulkan.so.1.0 (libc6,x86-64) => /usr/lib/chromium/libvulkan.so.1.0"';
    const found = 'echo "	libvulkan.so.1 (libc6,x86-64) => /lib/x86_64-linux-gnu/libvulkan.so.1"';
    const ldconfig = `[ -e "$FOLDER/there" ] && ${found} || ${private_}`;
    const need = 'need_packages libvulkan.so.1=libvulkan1';
    const first = await shell(`${need}; ${need}`, { ldconfig, 'apt-get': installs });
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.log.join('\n'), /^[^\n]*update\n[^\n]*install -y --no-install-recommends libvulkan1$/);
  });

  test('a file, where tests look for it; packages of one check are several words; both in one call', async () => {
    const need = 'need_packages "$FOLDER/th*=one two" bash=bash "$FOLDER/there=three" python3:sys=python3';
    const { code, log, stderr } = await shell(need, { 'apt-get': installs });
    assert.equal(code, 0, stderr);
    assert.match(log[1], /install -y --no-install-recommends one two three$/);
    assert.equal(log.length, 2);
  });

  test('what is still missing once it is installed is said', async () => {
    const { code, stderr } = await shell('need_packages nowhere-to-be-found=it', { 'apt-get': 'log "$*"' });
    assert.equal(code, 1);
    assert.match(stderr, /refused: it is installed, but nowhere-to-be-found is still not there/);
  });

  test('without root and sudo it is said what to run', async () => {
    const programs = { 'apt-get': installs, id: 'echo 1000', sudo: 'exit 1' };
    const { code, stderr, log } = await shell('need_packages nowhere-to-be-found="one two"', programs);
    assert.equal(code, 1);
    assert.match(stderr, /run: sudo apt-get install -y --no-install-recommends one two$/m);
    assert.deepEqual(log, []);
  });
});

describe("apt's locks", { skip: isDebian ? false : 'packages are installed on Debian only' }, () => {
  for (const [what, words] of [
    ['the lists', 'E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)'],
    ["dpkg's", 'E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7 (apt-get)'],
    ['what was downloaded', 'E: Unable to lock directory /var/cache/apt/archives/'],
  ]) {
    test(`held: ${what}`, async () => {
      const held = `log "$*"; [ "$(wc -l < "$FOLDER/log")" -gt 3 ] || { echo "${words}" >&2; exit 100; }; ${installs}`;
      const { code, log, stderr } = await shell('need_packages "$FOLDER/there=one"', { 'apt-get': held });
      assert.equal(code, 0, stderr);
      assert.equal(stderr.match(/waiting until another apt-get/g)?.length, 1);
      assert.ok(log.every((line) => line.includes('DPkg::Lock::Timeout=')));
    });
  }

  test('another fault is shown at once', async () => {
    const broken = 'log "$*"; echo "E: Unable to locate package one" >&2; exit 100';
    const { code, log, stderr } = await shell('need_packages "$FOLDER/there=one"', { 'apt-get': broken });
    assert.equal(code, 1);
    assert.equal(log.length, 1);
    assert.match(stderr, /E: Unable to locate package one\nrefused: failed: apt-get update/);
  });
});
