/**
 * Writing results so that a file is either the old one or the whole new one, never half of it.
 *
 * The new content is written beside the target, flushed to the disk and then renamed over it. Nothing is left behind
 * where that fails.
 */
import { randomBytes } from 'node:crypto';
import { access, constants, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { MudptError } from '../base/errors.js';

const beside = (target) =>
  path.join(path.dirname(target), `.${path.basename(target)}.${randomBytes(4).toString('hex')}.part`);

/** Refuses a target that could not be written, before anything long is begun; `option` is the one that named it. */
export async function checkTarget(target, option = '--out') {
  const folder = path.dirname(path.resolve(target));
  const info = await stat(target).catch(() => undefined);
  if (info && !info.isFile())
    throw fault(target, 'is not a file that can be replaced', `give ${option} the name of a file`);
  const at = await stat(folder).catch(() => undefined);
  if (!at?.isDirectory())
    throw fault(target, 'its folder does not exist', `make the folder first or choose another ${option}`);
  await access(folder, constants.W_OK).catch(() => {
    throw fault(target, 'its folder cannot be written to', `choose another ${option}`);
  });
}

/** Replaces or makes one file; `option` is the one that named it. @param {string | Uint8Array} bytes */
export async function writeWhole(target, bytes, option = '--out') {
  const part = beside(target);
  try {
    const file = await open(part, 'wx');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(part, target);
  } catch (/** @type {any} */ error) {
    await rm(part, { force: true });
    throw fault(
      target,
      `cannot be written (${error.code ?? error.message})`,
      `free some space or choose another ${option}`,
    );
  }
  await flushFolder(path.dirname(target));
}

/**
 * Makes a new folder whose content `fill(folder)` writes; it appears under its name only once it is complete. An
 * existing folder with anything in it is refused.
 */
export async function makeFolder(target, fill) {
  const present = await readdir(target).catch((error) => (error.code === 'ENOENT' ? undefined : [error.code]));
  if (present?.length) throw fault(target, 'is there already', 'choose another --out or remove it first');
  const part = beside(path.resolve(target));
  try {
    await mkdir(part);
    await fill(part);
    for (const name of await readdir(part)) {
      const file = await open(path.join(part, name), 'r+');
      await file.sync().finally(() => file.close());
    }
    await flushFolder(part);
    await rename(part, target);
  } catch (/** @type {any} */ error) {
    await rm(part, { recursive: true, force: true });
    if (!error.code || error instanceof MudptError || error.name === 'AbortError') throw error;
    throw fault(target, `cannot be written (${error.code})`, 'free some space or choose another --out');
  }
  await flushFolder(path.dirname(path.resolve(target)));
}

/** The new name itself must survive a power cut; systems that cannot flush a folder do without. */
async function flushFolder(folder) {
  try {
    const handle = await open(folder, 'r');
    await handle.sync().finally(() => handle.close());
  } catch {
    // Windows opens no folders.
  }
}

const fault = (file, what, remedy) => new MudptError('file', `${file}: ${what}`, remedy);
