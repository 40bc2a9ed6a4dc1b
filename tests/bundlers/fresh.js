/** Fresh apps that have installed the package as it is packed, and the tools beside them. */
import { execFile } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

export const ROOT = path.resolve(import.meta.dirname, '../..');
/** Where `./run test bundlers` has installed what package.json beside this file names. */
export const WORK = path.join(ROOT, 'build/bundlers');

const execute = promisify(execFile);

/** Runs a command with the tools on PATH; what it prints is in the error if it fails. */
export async function run(command, { cwd = WORK, env = {} } = {}) {
  const tools = `${path.join(WORK, 'node_modules/.bin')}:${process.env.PATH}`;
  try {
    const options = { cwd, env: { ...process.env, PATH: tools, ...env }, maxBuffer: 2 ** 26 };
    return (await execute('bash', ['-c', command], options)).stdout;
  } catch (error) {
    throw new Error(`${command}\n${error.stdout}\n${error.stderr}`, { cause: error });
  }
}

/**
 * Packs the package, and gives what installs it in an app's own folder.
 * @param {string} group of apps; those of the last time are removed
 */
export async function packed(group) {
  const apps = path.join(WORK, group);
  rmSync(apps, { recursive: true, force: true });
  mkdirSync(apps, { recursive: true });
  const [{ filename }] = JSON.parse(await run(`npm pack --json --pack-destination "${apps}"`, { cwd: ROOT }));
  const tarball = path.join(apps, filename);
  const npm = (folder) => run(`npm install --ignore-scripts --no-audit --no-fund "${tarball}"`, { cwd: folder });
  /** @param {string} name */
  const install = (name) => {
    const folder = path.join(apps, name.replaceAll(/\W+/g, '-'));
    mkdirSync(folder, { recursive: true });
    return { folder, npm: () => npm(folder) };
  };
  return { tarball, install };
}
