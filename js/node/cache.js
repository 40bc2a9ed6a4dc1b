/**
 * Where Node keeps downloaded files (see ../cache.js): a folder per file, a file per part. $MUDPT_CACHE names the
 * folder of all; else it is mudpt in the place that the system has for caches.
 */
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';

import { openFile } from './files.js';

export function cacheFolder() {
  const { MUDPT_CACHE: own, XDG_CACHE_HOME: xdg, LOCALAPPDATA: local } = process.env;
  if (own) return path.resolve(own);
  if (process.platform === 'darwin') return path.join(homedir(), 'Library', 'Caches', 'mudpt');
  if (process.platform === 'win32' && local) return path.join(local, 'mudpt', 'cache');
  return path.join(xdg || path.join(homedir(), '.cache'), 'mudpt');
}

/** Names in a folder, none where there is no folder. @param {string} folder */
async function namesIn(folder) {
  try {
    return await readdir(folder);
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return [];
    throw error;
  }
}

let written = 0;

/** @returns {import('../cache.js').Store} */
export function diskStore() {
  const folder = cacheFolder();
  const isEntry = (name) => /^[0-9a-f]{32}$/.test(name); // whatever else lies there is not ours
  return {
    entries: async () => (await namesIn(folder)).filter(isEntry),
    names: (entry) => namesIn(path.join(folder, entry)),
    open: (entry, name) => openFile(path.join(folder, entry, name)),
    async put(entry, name, bytes) {
      const file = path.join(folder, entry, name);
      const part = `${file}.${process.pid}-${written++}.part`;
      await mkdir(path.dirname(file), { recursive: true });
      try {
        await writeFile(part, bytes);
        await rename(part, file);
      } catch (error) {
        await rm(part, { force: true });
        throw error;
      }
    },
    remove: (entry, name = '') => rm(path.join(folder, entry, name), { recursive: true, force: true }),
  };
}
