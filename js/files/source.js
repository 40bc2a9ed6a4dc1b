/**
 * Where a model's files come from: a URL, files or a folder that a page was given, or in Node a directory or a file in
 * it. All give the same small interface, which reads in pieces and holds no whole file.
 */
import { addressOf, bareRepository, isWeights, modelAddress } from '../base/address.js';
import { MudptError, reasonOf, requireAwaited } from '../base/errors.js';
import { isA, isBlob } from '../base/kinds.js';
import { LARGEST_TEXT } from '../base/limits.js';
import { nodePart } from '../base/node-part.js';
import { isNode } from '../base/platform.js';
import { TIMEOUT } from '../base/within.js';
import { afterFailure, newVisit, openKept } from './cache.js';
import { RETRY_DELAYS } from './download.js';
import { blobSource, droppedFiles, folderSource, onlyWeightsOf } from './files.js';

/**
 * @typedef {object} SourceFile one open file
 * @property {string} name for messages
 * @property {number | undefined} size in bytes; undefined where a server does not tell
 * @property {boolean} ranges whether bytes that are not asked for cost nothing, and several reads may go on at once
 * @property {(offset: number, length: number) => Promise<Uint8Array>} read fewer bytes only at the end of the file;
 *   what is not downloaded can be read when it is closed, too
 * @property {boolean} [steady] false: its server tells nothing by which a later read could know that it has changed
 * @property {(offset?: number, length?: number) => AsyncIterable<Uint8Array>} stream at most 1 MB a piece; a piece
 *   is valid until the next
 * @property {() => Promise<void>} close
 * @property {() => Promise<void>} [allowAnyOrder] of a file that can only be read in order: to be awaited before it
 *   is read in another
 *
 * @typedef {string | URL | Blob | Iterable<Blob> | object} From a URL (text in browsers), a path (text in Node), files,
 *   URLs by file name, or in browsers a FileSystemDirectoryHandle or a DataTransfer
 *
 * @typedef {object} Source
 * @property {string} name for messages
 * @property {string} [weights] the file with the weights, where a file and not a folder was named
 * @property {(path: string, checked?: boolean) => Promise<SourceFile | null>} open null when there is no such file;
 *   checked: its digest will be looked at
 * @property {() => Promise<string[]>} [list] names of what lies there, where that can be told
 * @property {boolean} [remote] whether it is downloaded
 * @property {(path: string) => string} [absence] why open gave null, after the source's name
 * @property {(path: string) => MudptError | null} [refusal] why a file cannot be had that may be there
 * @property {(error: unknown) => Promise<boolean>} [renew] loading has failed: whether it was for what was kept, which
 *   is gone then, so that loading again may help
 * @property {string} [hint] what to do where it holds no weights
 * @property {() => void} [settle] loading has ended: the signal does not end what is downloaded later
 */

/**
 * @param {From} from
 * @param {{ signal?: AbortSignal, cache?: boolean, timeout?: number, retryDelays?: number[] }} [options] of downloads:
 *   signal ends them; cache: whether files are kept; timeout: milliseconds that a server may be silent; retryDelays:
 *   milliseconds before each new attempt
 * @returns {Promise<Source>}
 */
export async function openSource(from, { signal, cache = true, timeout = TIMEOUT, retryDelays = RETRY_DELAYS } = {}) {
  if (!(timeout > 0)) {
    throw new MudptError('argument', `timeout is ${timeout}, expected a number of milliseconds above 0`);
  }
  const isText = typeof from === 'string' && from !== '';
  const address = /** @type {string | URL} */ (from);
  if (isA(from, 'URL') || (isText && (!isNode || /^(https?|file|data|blob|hf|hf-hub):/i.test(from)))) {
    const url = addressOf(address);
    if (isOnDisk(url)) return (await nodePart('files.js')).openPath(url);
    return urlSource(address, { signal, cache, timeout, retryDelays });
  }
  if (isText) return (await nodePart('files.js')).openPath(from);
  const given = /** @type {any} */ (from);
  if (isAddresses(given)) return addressesSource(given, { signal, cache, timeout, retryDelays });
  if (given?.kind === 'directory' && given.getFileHandle) return folderSource(given);
  requireAwaited(given, 'what to load');
  const isDrop = given?.items && given.files;
  const files = isDrop ? await droppedFiles(given) : isBlob(from) ? [from] : listOf(given);
  if (files.length && files.every(isBlob)) return blobSource(files);
  throw new MudptError(
    'argument',
    'a model must be given as a URL, as an array of File, as URLs by file name, or in Node as a folder',
    'for instance loadClip("https://…/clip-vit-base-patch16/")',
  );
}

/** Whether Node reads it from disk; browsers may not. @param {URL} url */
const isOnDisk = (url) => isNode && url.protocol === 'file:';

/** @param {any} given */
const isAddresses = (given) =>
  given !== null &&
  typeof given === 'object' &&
  [Object.prototype, null].includes(Object.getPrototypeOf(given)) &&
  Object.keys(given).some((name) => isWeights(name) || name.endsWith('.json')) &&
  Object.values(given).every((address) => typeof address === 'string' || isA(address, 'URL'));

/** @returns {any[]} */
const listOf = (given) => (given?.[Symbol.iterator] ? [...given] : []);

/**
 * Loads something from a source, and once more where what was kept of it turns out to be of no use.
 * @template T
 * @param {Source} source
 * @param {() => Promise<T>} load
 * @returns {Promise<T>}
 */
export async function loadFrom(source, load) {
  try {
    return await load();
  } catch (error) {
    if (!(await source.renew?.(error))) throw error;
    return await load();
  } finally {
    source.settle?.();
  }
}

/** The text of a small file. @param {SourceFile} file */
export async function readText(file) {
  if (file.size !== undefined && file.size > LARGEST_TEXT) {
    throw new MudptError('model', `${file.name} has ${file.size} bytes, expected at most ${LARGEST_TEXT}`);
  }
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of file.stream(0)) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > LARGEST_TEXT)
      throw new MudptError('model', `${file.name} is longer than ${LARGEST_TEXT} characters`);
  }
  return text + decoder.decode();
}

/**
 * The text of a small file of a source, or null when there is no such file.
 * @param {Source} source
 * @param {string} path
 * @returns {Promise<{ name: string, text: string } | null>} name for messages
 */
export async function openText(source, path) {
  const file = await source.open(path);
  if (!file) return null;
  try {
    return { name: file.name, text: await readText(file) };
  } finally {
    await file.close();
  }
}

/** The object that a JSON file holds. @param {{ name: string, text: string }} file @returns {any} */
export function parseObject({ name, text }) {
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new MudptError('model', `${name} is no valid JSON (${reasonOf(error)})`, 'download or export the file again');
  }
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value;
  throw new MudptError('model', `${name} must hold a JSON object`, 'download or export the file again');
}

/**
 * The object in a JSON file of a source, or null when there is no such file.
 * @param {Source} source
 * @param {string} path
 * @returns {Promise<any>}
 */
export async function readJson(source, path) {
  const file = await openText(source, path);
  return file && parseObject(file);
}

/** Why a file cannot be had, as the end of a sentence that begins with the source's name. */
export const absenceOf = (/** @type {Source} */ source, /** @type {string} */ path) =>
  source.absence?.(path) ?? `has no ${path}`;

/** @param {string | URL} from @param {import('./download.js').Link} link @returns {Source} */
function urlSource(from, link) {
  const { base, file: weights } = modelAddress(from);
  const source = webSource(new URL(weights ?? '', base).href, weights, link, (path) => {
    const url = new URL(path, base);
    url.search = base.search;
    return url;
  });
  return { ...source, hint: typeof from === 'string' ? bareRepository(from) : undefined };
}

/**
 * Files that each have an address of their own, by name.
 * @param {Record<string, string | URL>} addresses
 * @param {import('./download.js').Link} link
 * @returns {Source}
 */
function addressesSource(addresses, link) {
  const names = Object.keys(addresses);
  const weights = onlyWeightsOf(names);
  const { href } = addressOf(addresses[weights ?? names.find(isWeights) ?? names[0]]);
  const source = webSource(href, weights, link, (path) =>
    Object.hasOwn(addresses, path) ? addressOf(addresses[path]) : null,
  );
  return { ...source, list: async () => names };
}

/**
 * @param {string} name
 * @param {string | undefined} weights
 * @param {import('./download.js').Link} link
 * @param {(path: string) => URL | null} addressIn null where there is no such file
 * @returns {Source}
 */
function webSource(name, weights, link, addressIn) {
  let visit = newVisit();
  /** @type {Map<string, 'page' | 'forbidden'>} */
  const absent = new Map();
  return {
    name,
    weights,
    remote: !name.startsWith('file:'),
    async open(path, checked = false) {
      const url = addressIn(path);
      if (!url) return null;
      if (isOnDisk(url)) return (await nodePart('files.js')).openAddress(url);
      const file = await openKept(url.href, link, visit, { whole: !isWeights(path), checked });
      if (typeof file !== 'string') return file;
      absent.set(path, file);
      return null;
    },
    absence(path) {
      // Servers of single-page apps show their page for whatever is not there.
      if (absent.get(path) === 'page') return `shows a web page (HTML) in place of ${path}`;
      return absent.get(path) === 'forbidden' ? `answers 403 (forbidden) for ${path}` : `has no ${path}`;
    },
    refusal(path) {
      if (absent.get(path) !== 'forbidden') return null;
      const hint = 'it needs a login, is not public, or is not there';
      return new MudptError('network', `${addressIn(path)} was answered with 403 Forbidden`, hint);
    },
    async renew(error) {
      const next = await afterFailure(visit, error);
      if (next) visit = next;
      return next !== null;
    },
    settle() {
      link.signal = undefined;
    },
  };
}
