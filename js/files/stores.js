/**
 * Where browsers keep downloaded files (see cache.js): the origin's private file system, or the Cache API.
 */
import { blobFile } from './files.js';

const FOLDER = 'mudpt';
/** Never asked: an address that the Cache API takes as a key. */
const KEYS = 'https://mudpt.invalid/';

/** @typedef {import('./entry.js').Store} Store */

/** All stores that work here, the best first; none in pages that may not keep anything. @returns {Promise<Store[]>} */
export async function browserStores() {
  const stores = await Promise.all([fileSystemStore(), cacheStore()].map((store) => store.catch(() => null)));
  return stores.filter((store) => store !== null);
}

/** @returns {Promise<Store>} */
async function fileSystemStore() {
  const root = await navigator.storage.getDirectory();
  const folder = await root.getDirectoryHandle(FOLDER, { create: true });
  // Some browsers can write there in workers only, and some nowhere; what a worker keeps the page can see and remove.
  const { prototype } = FileSystemFileHandle;
  const writable = 'createSyncAccessHandle' in prototype || 'createWritable' in prototype;

  /** Null for what is not there. @template T @param {Promise<T>} asked @returns {Promise<T | null>} */
  const found = (asked) =>
    asked.catch((error) => {
      if (error.name === 'NotFoundError') return null;
      throw error;
    });
  const keys = async (directory) => {
    const names = [];
    for await (const name of directory.keys()) names.push(name);
    return names;
  };
  return {
    writable,
    entries: () => keys(folder),
    async names(entry) {
      const directory = await found(folder.getDirectoryHandle(entry));
      return directory ? keys(directory) : [];
    },
    async open(entry, name) {
      const directory = await found(folder.getDirectoryHandle(entry));
      const handle = directory && (await found(directory.getFileHandle(name)));
      return handle ? blobFile(await handle.getFile(), name) : null;
    },
    async put(entry, name, bytes) {
      const directory = await folder.getDirectoryHandle(entry, { create: true });
      const handle = await directory.getFileHandle(name, { create: true });
      await write(handle, bytes, () => directory.removeEntry(name).catch(() => {}));
    },
    async remove(entry, name) {
      const directory = name === undefined ? folder : await found(folder.getDirectoryHandle(entry));
      await found(directory?.removeEntry(name ?? entry, { recursive: true }) ?? Promise.resolve());
    },
    prune: (entry) => folder.removeEntry(entry),
  };
}

/**
 * @param {any} handle FileSystemFileHandle
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {() => Promise<void>} remove what was begun; a file that somebody else is writing is theirs
 */
async function write(handle, bytes, remove) {
  if (!handle.createSyncAccessHandle) {
    const file = await handle.createWritable();
    await file.write(bytes);
    return file.close();
  }
  const file = await handle.createSyncAccessHandle();
  try {
    // Until the last byte is there the length is wrong, and the part does not count.
    file.truncate(0);
    if (file.write(bytes) !== bytes.length) throw new Error('no room');
    file.flush();
  } catch (error) {
    file.close();
    await remove();
    throw error;
  }
  file.close();
}

/** @returns {Promise<Store>} */
async function cacheStore() {
  const kept = await caches.open(FOLDER);
  const paths = async () => (await kept.keys()).map(({ url }) => url.slice(KEYS.length).split('/'));
  return {
    writable: true,
    entries: async () => [...new Set((await paths()).map(([entry]) => entry))],
    names: async (entry) => (await paths()).filter(([owner]) => owner === entry).map(([, name]) => name),
    async open(entry, name) {
      const response = await kept.match(`${KEYS}${entry}/${name}`);
      return response ? blobFile(await response.blob(), name) : null;
    },
    put: (entry, name, bytes) => kept.put(`${KEYS}${entry}/${name}`, new Response(bytes)),
    async remove(entry, name) {
      for (const [owner, file] of await paths()) {
        if (owner === entry && (name === undefined || name === file)) await kept.delete(`${KEYS}${owner}/${file}`);
      }
    },
    prune: async () => {},
  };
}
