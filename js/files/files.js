/** Files that a page was given: as File objects, by a drop, or as a folder that the visitor picked. */
import { isWeights } from '../base/address.js';
import { MudptError, reasonOf } from '../base/errors.js';

const PIECE = 256 * 1024;

/** @typedef {import('./source.js').Source} Source @typedef {import('./source.js').SourceFile} SourceFile */

const last = (name) => name.slice(name.lastIndexOf('/') + 1);
const nameOf = (blob) => (blob instanceof File ? blob.webkitRelativePath || blob.name : 'model.safetensors');

/** The one with the weights, where there is one; of several kinds the .safetensors. @param {string[]} names */
export function onlyWeightsOf(names) {
  const all = names.filter(isWeights);
  const best = all.filter((name) => name.endsWith('.safetensors'));
  const found = best.length ? best : all;
  return found.length === 1 ? found[0] : undefined;
}

/** @param {Blob} blob @param {string} name @returns {SourceFile} */
export function blobFile(blob, name) {
  const read = async (offset, length) => {
    try {
      return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
    } catch (cause) {
      const hint = 'it may have been moved or changed: choose it again';
      throw new MudptError('file', `${name} cannot be read: ${reasonOf(cause)}`, hint, { cause });
    }
  };
  return {
    name,
    size: blob.size,
    ranges: true,
    read,
    async *stream(offset = 0, length = blob.size - offset) {
      for (const end = Math.min(blob.size, offset + length); offset < end; offset += PIECE)
        yield await read(offset, Math.min(PIECE, end - offset));
    },
    async close() {},
  };
}

/**
 * Files, of which the folders in their names do not count; where a name is there twice, the shortest path's.
 * @param {(File | Blob)[]} blobs
 * @returns {Source}
 */
export function blobSource(blobs) {
  const files = [...blobs].sort((a, b) => nameOf(a).split('/').length - nameOf(b).split('/').length);
  return {
    name: files.length === 1 ? nameOf(files[0]) : 'the given files',
    weights: onlyWeightsOf(files.map((blob) => last(nameOf(blob)))),
    list: async () => files.map((blob) => last(nameOf(blob))),
    async open(path) {
      const blob = files.find((candidate) => last(nameOf(candidate)) === last(path));
      return blob ? blobFile(blob, nameOf(blob)) : null;
    },
  };
}

/** @param {any} folder FileSystemDirectoryHandle @returns {Source} */
export function folderSource(folder) {
  return {
    name: folder.name || 'the given folder',
    async list() {
      const names = [];
      for await (const name of folder.keys?.() ?? []) names.push(name);
      return names;
    },
    async open(path) {
      try {
        const parts = path.split('/');
        const name = parts.pop();
        let inner = folder;
        for (const part of parts) inner = await inner.getDirectoryHandle(part);
        return blobFile(await (await inner.getFileHandle(name)).getFile(), `${folder.name}/${path}`);
      } catch (cause) {
        if (cause instanceof Error && cause.name === 'NotFoundError') return null;
        throw new MudptError('file', `${path} cannot be read: ${reasonOf(cause)}`, 'choose the folder again', {
          cause,
        });
      }
    },
  };
}

/**
 * The files of a drop, those in folders too. What was dropped can be asked for only while the event is handled: call it
 * there, before anything is awaited.
 * @param {any} transfer DataTransfer
 * @returns {Promise<File[]>}
 */
export async function droppedFiles(transfer) {
  // Files as they are: not every engine has an entry of those that a script put there.
  const found = Array.from(transfer.items ?? [], (item) => {
    const entry = item.webkitGetAsEntry?.();
    return entry?.isDirectory ? entry : item.getAsFile?.();
  }).filter(Boolean);
  if (!found.length) return [...transfer.files];
  const files = [];
  for (let entry; (entry = found.shift());) {
    if (entry instanceof File) files.push(entry);
    else if (entry.isFile) files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    if (!entry.isDirectory) continue;
    const reader = entry.createReader();
    // A folder is told in pieces; the last one is empty.
    for (let some; (some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject))).length;)
      found.push(...some);
  }
  return files;
}
