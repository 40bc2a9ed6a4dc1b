/** Running the command line as a user types it, and small data for it. */
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../js/cli/main.js', import.meta.url));
const faces = fileURLToPath(new URL('../data/faces', import.meta.url));
export const golden = fileURLToPath(new URL('../golden', import.meta.url));
export const pictoclip = fileURLToPath(new URL('../../models/pictoclip', import.meta.url));

/** A folder of its own for a test file, removed when its tests are done. */
export function workFolder() {
  const folder = mkdtempSync(path.join(tmpdir(), 'mudpt-cli-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/**
 * @typedef {import('node:child_process').ChildProcess} ChildProcess
 *
 * @param {string[]} args
 * @param {object} options
 * @param {string} options.cwd
 * @param {Record<string, string>} [options.env]
 * @param {(text: string, child: ChildProcess) => void} [options.onOutput]  told all of stdout and stderr so far, each
 *   time there is more
 * @returns {Promise<{ code: number | null, stdout: string, stderr: string }>}
 */
export function mudpt(args, { cwd, env = {}, onOutput }) {
  return new Promise((resolve, reject) => {
    // What commands keep of pictures is not put among what the user has.
    const kept = { MUDPT_CACHE: process.env.MUDPT_CACHE ?? path.join(tmpdir(), 'mudpt-tests-cache') };
    const child = spawn(process.execPath, [main, ...args], { cwd, env: { ...process.env, ...kept, ...env } });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
      onOutput?.(stdout + stderr, child);
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
      onOutput?.(stdout + stderr, child);
    });
    child.on('error', reject).on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

export const CLASSES = ['clown face', 'face with medical mask', 'nauseated face'];

/** Three classes of real pictures, `count` to train on and to test each. */
export function makeDataset(folder, count) {
  for (const part of ['train', 'test']) {
    for (const name of CLASSES.map((each) => each.replaceAll(' ', '_'))) {
      const from = path.join(faces, part, name);
      mkdirSync(path.join(folder, part, name), { recursive: true });
      for (const file of readdirSync(from).sort().slice(0, count)) {
        cpSync(path.join(from, file), path.join(folder, part, name, file));
      }
    }
  }
  return folder;
}

/**
 * The tables of a sweep as they would be if each of its runs had taken a second, and a byte: what an earlier run's
 * products have taken stays taken, and counts in a later one's memory.
 * @param {string} folder of the sweep
 * @returns {Promise<Record<string, string>>} by file
 */
export async function timeless(folder) {
  const other = mkdtempSync(path.join(tmpdir(), 'mudpt-timeless-'));
  mkdirSync(path.join(other, 'logs'));
  for (const name of readdirSync(path.join(folder, 'logs'))) {
    const log = JSON.parse(readFileSync(path.join(folder, 'logs', name), 'utf8'));
    const cost = log.cost && { ...log.cost, memory: 1 };
    writeFileSync(path.join(other, 'logs', name), JSON.stringify({ ...log, cost, seconds: { train: 1, test: 1 } }));
  }
  const { code, stderr } = await mudpt(['report', other], { cwd: other });
  if (code) throw new Error(stderr);
  const files = readdirSync(other).filter((name) => name !== 'logs');
  const made = files.map((name) => [name, readFileSync(path.join(other, name), 'utf8')]);
  rmSync(other, { recursive: true });
  return Object.fromEntries(made);
}
