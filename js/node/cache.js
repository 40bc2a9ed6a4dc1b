/**
 * Where Node keeps downloaded files (see ../cache.js): a folder per file, a file per part. $MUDPT_CACHE names the
 * folder of all; else it is mudpt in the place that the system has for caches.
 */
import { mkdir, readdir, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
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
/** What a process that was ended has not finished writing; whoever writes takes less long. */
const [UNFINISHED, OLD] = [/\.part$/, 3600_000];

/** @returns {import('../files/entry.js').Store} */
export function diskStore() {
  const folder = cacheFolder();
  const isEntry = (name) => /^[0-9a-f]{32}$/.test(name); // whatever else lies there is not ours
  return {
    writable: true,
    entries: async () => (await namesIn(folder)).filter(isEntry),
    async names(entry) {
      const names = await namesIn(path.join(folder, entry));
      for (const file of names.filter((name) => UNFINISHED.test(name)).map((name) => path.join(folder, entry, name))) {
        const info = await stat(file).catch(() => null);
        if (info && Date.now() - info.mtimeMs > OLD) await rm(file, { force: true });
      }
      return names.filter((name) => !UNFINISHED.test(name));
    },
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
    prune: (entry) => rmdir(path.join(folder, entry)),
  };
}
