/**
 * Where a model's files come from: a base URL, an array of File or Blob, or in Node a directory or a file in it. All
 * give the same small interface, which reads forwards in pieces and holds no whole file.
 */
import { MudptError, reasonOf } from './errors.js';
import { isNode, nodePart } from './platform.js';

const TEXT_LIMIT = 64 * 1024 * 1024;
const PIECE = 256 * 1024;

/**
 * @typedef {object} SourceFile one open file
 * @property {string} name for messages
 * @property {number | undefined} size in bytes; undefined where a server does not tell
 * @property {(offset: number, length: number) => Promise<Uint8Array>} read fewer bytes only at the end of the file
 * @property {(offset?: number, length?: number) => AsyncIterable<Uint8Array>} stream at most 1 MB a piece; a piece
 *   is valid until the next
 * @property {() => Promise<void>} close
 *
 * @typedef {string | URL | Blob | Iterable<Blob>} From a URL (text in browsers), a path (text in Node), or files
 *
 * @typedef {object} Source
 * @property {string} name for messages
 * @property {string} [weights] the file with the weights, where a file and not a folder was named
 * @property {(path: string) => Promise<SourceFile | null>} open null when there is no such file
 */

/**
 * @param {From} from
 * @param {{ signal?: AbortSignal }} [options] ends downloads
 * @returns {Promise<Source>}
 */
export async function openSource(from, { signal } = {}) {
  if (from instanceof URL || (typeof from === 'string' && (!isNode || /^(https?|file|data|blob):/.test(from)))) {
    const url = from instanceof URL ? from : new URL(from, globalThis.location?.href);
    if (url.protocol !== 'file:') return urlSource(url, signal);
    return (await nodePart('files.js')).openPath(url);
  }
  if (typeof from === 'string') return (await nodePart('files.js')).openPath(from);
  const files = from instanceof Blob ? [from] : [...(from?.[Symbol.iterator] ? from : [])];
  if (files.length && files.every((file) => file instanceof Blob)) return blobSource(files);
  throw new MudptError(
    'argument',
    'a model must be given as a URL, as an array of File, or in Node as a folder',
    'for instance loadClip("https://…/clip-vit-base-patch16/")',
  );
}

/**
 * Splits a name into the folder and, if it names a weights file, the file.
 * @param {string} path
 * @returns {[folder: string, weights: string | undefined]}
 */
export function splitWeights(path) {
  const cut = path.lastIndexOf('/') + 1;
  return path.endsWith('.safetensors') ? [path.slice(0, cut), path.slice(cut)] : [path, undefined];
}

/** The text of a small file. @param {SourceFile} file */
export async function readText(file) {
  if (file.size !== undefined && file.size > TEXT_LIMIT) {
    throw new MudptError('model', `${file.name} has ${file.size} bytes, expected at most ${TEXT_LIMIT}`);
  }
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of file.stream(0)) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > TEXT_LIMIT) throw new MudptError('model', `${file.name} is longer than ${TEXT_LIMIT} characters`);
  }
  return text + decoder.decode();
}

/**
 * The object in a JSON file of a source, or null when there is no such file.
 * @param {Source} source
 * @param {string} path
 * @returns {Promise<any>}
 */
export async function readJson(source, path) {
  const file = await source.open(path);
  if (!file) return null;
  try {
    const value = JSON.parse(await readText(file));
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value;
    throw new MudptError('model', `${file.name} must hold a JSON object`, 'download or export the file again');
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new MudptError(
      'model',
      `${file.name} is no valid JSON (${reasonOf(error)})`,
      'download or export the file again',
    );
  } finally {
    await file.close();
  }
}

// ---------------------------------------------------------------------------------------------------- files

/** @param {(File | Blob)[]} blobs */
function blobSource(blobs) {
  const nameOf = (blob) => (blob instanceof File ? blob.webkitRelativePath || blob.name : 'model.safetensors');
  const last = (name) => name.slice(name.lastIndexOf('/') + 1);
  const weights = blobs.map((blob) => last(nameOf(blob))).filter((name) => name.endsWith('.safetensors'));
  return {
    name: blobs.length === 1 ? nameOf(blobs[0]) : 'the given files',
    weights: weights.length === 1 ? weights[0] : undefined,
    async open(path) {
      const blob = blobs.find((candidate) => last(nameOf(candidate)) === last(path));
      return blob ? blobFile(blob, nameOf(blob)) : null;
    },
  };
}

/** @param {Blob} blob @param {string} name @returns {SourceFile} */
function blobFile(blob, name) {
  const read = async (offset, length) => new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
  return {
    name,
    size: blob.size,
    read,
    async *stream(offset = 0, length = blob.size - offset) {
      for (const end = offset + length; offset < end; offset += PIECE)
        yield await read(offset, Math.min(PIECE, end - offset));
    },
    async close() {},
  };
}

// ---------------------------------------------------------------------------------------------------- URLs

/** @param {URL} url @param {AbortSignal} [signal] */
function urlSource(url, signal) {
  const [folder, weights] = splitWeights(url.pathname);
  const base = new URL(url);
  base.pathname = folder.endsWith('/') ? folder : `${folder}/`;
  return {
    name: url.href,
    weights,
    async open(path) {
      const file = new URL(path, base);
      file.search = base.search;
      return openDownload(file.href, signal);
    },
  };
}

/** @param {Response} response */
const readerOf = (response) => (response.body ?? new Blob().stream()).getReader();

/** @returns {Promise<Response>} */
async function request(url, signal, offset = 0) {
  try {
    return await fetch(url, { signal, headers: offset ? { Range: `bytes=${offset}-` } : {} });
  } catch (cause) {
    signal?.throwIfAborted();
    throw new MudptError(
      'network',
      `${url} cannot be fetched: ${reasonOf(cause)}`,
      'check the address and the connection; from another site the server must allow it (CORS)',
      { cause },
    );
  }
}

/**
 * Opens one download and reads it forwards; only a step back, or a long step forwards, makes a request of its own,
 * with a range where the server has them.
 * @param {string} url
 * @param {AbortSignal} [signal]
 * @returns {Promise<SourceFile | null>}
 */
async function openDownload(url, signal) {
  let response = await request(url, signal);
  if (response.status === 404 || response.status === 410) {
    await response.body?.cancel();
    return null;
  }
  failed(response);
  // Of a compressed answer the length is not the file's.
  const told = response.headers.has('content-encoding') ? null : response.headers.get('content-length');
  const size = told === null ? undefined : Number(told);
  let reader = readerOf(response);
  let at = 0; // where in the file `rest` begins
  let rest = new Uint8Array(0);

  /** @param {Response} answer */
  function failed(answer) {
    if (answer.ok) return;
    throw new MudptError(
      'network',
      `${url} was answered with ${answer.status} ${answer.statusText}`.trim(),
      'check the address, and whether it needs a login',
    );
  }

  /** At most `most` bytes at `at`; none at the end. */
  async function next(most) {
    if (!rest.length) {
      let piece;
      try {
        piece = await reader.read();
      } catch (cause) {
        signal?.throwIfAborted();
        throw new MudptError('network', `${url} broke off after ${at} bytes`, 'try again', { cause });
      }
      if (piece.done) return rest;
      rest = piece.value;
    }
    const out = rest.subarray(0, most);
    rest = rest.subarray(out.length);
    at += out.length;
    return out;
  }

  async function seek(offset) {
    if (offset < at || offset - at > 4 * PIECE) {
      await reader.cancel();
      response = await request(url, signal, offset);
      failed(response);
      reader = readerOf(response);
      at = response.status === 206 ? offset : 0;
      rest = new Uint8Array(0);
    }
    while (at < offset && (await next(offset - at)).length);
  }

  return {
    name: url,
    size,
    async read(offset, length) {
      await seek(offset);
      const out = new Uint8Array(length);
      let filled = 0;
      for (let piece; filled < length && (piece = await next(length - filled)).length; filled += piece.length) {
        out.set(piece, filled);
      }
      return out.subarray(0, filled);
    },
    async *stream(offset = 0, length = Infinity) {
      await seek(offset);
      for (let piece; length > 0 && (piece = await next(Math.min(length, 4 * PIECE))).length; length -= piece.length) {
        yield piece;
      }
    },
    async close() {
      await reader.cancel().catch(() => {});
    },
  };
}
