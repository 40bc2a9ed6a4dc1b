/** Files on disk, for Node: a model's folder as a source (see ../source.js), and pictures by path. */
import { open, readFile, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { bareRepository } from '../base/address.js';
import { MudptError, reasonOf } from '../base/errors.js';
import { LARGEST_PICTURE } from '../base/limits.js';
import { onDisk } from './paths.js';

const PIECE = 256 * 1024;

/** What the system calls a failure. @param {unknown} cause */
const codeOf = (cause) => String(/** @type {NodeJS.ErrnoException} */ (cause).code);

/** The error of a file that cannot be read. @param {string} file @param {unknown} cause */
function unreadable(file, cause) {
  if (['ENOENT', 'ENOTDIR'].includes(codeOf(cause))) {
    return new MudptError('file', `${file} is not there`, 'check the path', { cause });
  }
  const reasons = { EACCES: 'there is no permission', EISDIR: 'it is a folder', EPERM: 'there is no permission' };
  const reason = reasons[codeOf(cause)] ?? reasonOf(cause);
  return new MudptError('file', `${file} cannot be read: ${reason}`, 'give a file that can be read', { cause });
}

/**
 * The folder with the files of a model, within one of Hugging Face's cache: models--ORGANISATION--NAME, whose refs/main
 * says which of its snapshots is meant. Other folders as they are.
 * @param {string} folder
 */
async function snapshotIn(folder) {
  const snapshots = path.join(folder, 'snapshots');
  const names = await readdir(snapshots).catch(() => /** @type {string[]} */ ([]));
  if (!names.length) return folder;
  const main = await readFile(path.join(folder, 'refs', 'main'), 'utf8').catch(() => '');
  const name = names.length === 1 ? names[0] : main.trim();
  if (names.includes(name)) return path.join(snapshots, name);
  const what = main ? `refs/main names "${name}"` : 'there is no refs/main';
  throw new MudptError('file', `${folder} has ${names.length} snapshots, but ${what}`, `choose one in ${snapshots}`);
}

/**
 * Refuses a folder with an adapter of PEFT's: transformers adds it to the model, whose features are others then.
 * @param {string} folder
 */
async function requireWhole(folder) {
  const file = path.join(folder, 'adapter_config.json');
  const text = await readFile(file, 'utf8').catch(() => '');
  const [, base] = /"base_model_name_or_path": *"([^"]+)"/.exec(text) ?? [];
  if (!text) return;
  throw new MudptError(
    'model',
    `${file} says that an adapter belongs to ${base ?? 'a model'}, which is not read here`,
    'merge them (merge_and_unload of PEFT) and save the model; without the adapter, move that file away',
  );
}

/**
 * @param {string | URL} from a folder, or a file with weights in it
 * @returns {Promise<import('../files/source.js').Source>}
 */
export async function openPath(from) {
  const name = from instanceof URL ? fileURLToPath(from) : from;
  const found = await stat(name).catch((cause) => {
    const error = unreadable(name, cause);
    const repository = typeof from === 'string' && bareRepository(from);
    throw repository ? new MudptError('file', `${name} is not there`, repository, { cause }) : error;
  });
  const folder = found.isDirectory() ? await snapshotIn(name) : path.dirname(name);
  if (found.isDirectory()) await requireWhole(folder);
  return {
    name,
    weights: found.isDirectory() ? undefined : path.basename(name),
    open: (file) => openFile(path.join(folder, file)),
    list: () => readdir(folder),
  };
}

/** @param {URL} url of a file */
export const openAddress = (url) => openFile(fileURLToPath(url));

/**
 * @param {string} name
 * @returns {Promise<import('../files/source.js').SourceFile | null>} null when there is no such file
 */
export async function openFile(name) {
  let handle;
  try {
    handle = await open(name);
    const { size, mtimeMs } = await handle.stat();
    const file = handle;
    let closed = false;
    const readFrom = async (file, into, offset) => {
      let filled = 0;
      while (filled < into.length) {
        const { bytesRead } = await file.read(into, filled, into.length - filled, offset + filled);
        if (!bytesRead) break;
        filled += bytesRead;
      }
      return into.subarray(0, filled);
    };
    const readClosed = async (into, offset) => {
      const again = await open(name).catch((cause) => {
        throw unreadable(name, cause);
      });
      try {
        const now = await again.stat();
        if (now.size === size && now.mtimeMs === mtimeMs) return await readFrom(again, into, offset);
      } finally {
        await again.close();
      }
      throw new MudptError('file', `${name} has changed since the model was loaded`, 'load the model again');
    };
    const read = (into, offset) => (closed ? readClosed(into, offset) : readFrom(file, into, offset));
    return {
      name,
      size,
      ranges: true,
      read: (offset, length) => read(new Uint8Array(Math.max(0, Math.min(length, size - offset))), offset),
      async *stream(offset = 0, length = size - offset) {
        const buffer = new Uint8Array(Math.min(PIECE, length));
        for (const end = offset + length; offset < end;) {
          const piece = await read(buffer.subarray(0, Math.min(PIECE, end - offset)), offset);
          if (!piece.length) return;
          yield piece;
          offset += piece.length;
        }
      },
      close() {
        closed = true;
        return file.close();
      },
    };
  } catch (cause) {
    await handle?.close();
    if (codeOf(cause) === 'ENOENT') return null;
    throw unreadable(name, cause);
  }
}

/** The bytes of a picture file. @param {string | URL} from @returns {Promise<Uint8Array>} */
export async function readPicture(from) {
  const name = from instanceof URL ? fileURLToPath(from) : from;
  try {
    const { size } = await stat(onDisk(name));
    if (size <= LARGEST_PICTURE) return await readFile(onDisk(name));
  } catch (cause) {
    throw unreadable(name, cause);
  }
  throw new MudptError('image', `${name} is larger than ${LARGEST_PICTURE} bytes`, 'give a picture file');
}
