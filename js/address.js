/** Where the files of a model are, from the address that people have of it. */
import { MudptError } from './errors.js';
import { pageAddress } from './platform.js';

const HUGGING_FACE = ['huggingface.co', 'hf.co'];

/** @param {string | URL} from @returns {URL} a new one */
export function addressOf(from) {
  try {
    return new URL(from, pageAddress());
  } catch (cause) {
    throw new MudptError('argument', `"${from}" is no URL`, 'for instance https://…/clip-vit-base-patch16/', { cause });
  }
}

/**
 * @param {string | URL} from a folder's URL, that of a .safetensors file in it, that of a page of a Hugging Face model
 *   repository, or hf:ORGANISATION/NAME, each perhaps with @REVISION
 * @returns {{ base: URL, file: string | undefined }} the folder, and the file's name
 */
export function modelAddress(from) {
  const url = hubFolder(addressOf(from));
  url.hash = '';
  const [folder, file] = splitWeights(url.pathname);
  url.pathname = folder.endsWith('/') ? folder : `${folder}/`;
  return { base: url, file };
}

/** The folder with a repository's files, of an address of a Hugging Face repository; others as they are. */
function hubFolder(url) {
  const path =
    url.protocol === 'hf:'
      ? `/${url.href.slice(3).replace(/^\/+/, '')}`
      : HUGGING_FACE.includes(url.host) && url.pathname;
  if (!path) return url;
  const match = /^\/([^/]+\/[^/@]+)(?:@([^/]+))?(?:\/(?:tree|blob|resolve)\/([^/]+))?(\/.*)?$/.exec(path);
  if (!match && url.protocol === 'hf:') {
    throw new MudptError('argument', `"${url.href}" names no repository`, 'expected hf:ORGANISATION/NAME');
  }
  if (!match) return url;
  const [, repository, at, revision = at ?? 'main', rest = '/'] = match;
  return new URL(`https://${HUGGING_FACE[0]}/${repository}/resolve/${revision}${rest}`);
}

/**
 * Splits a name into the folder and, if it names a weights file, the file.
 * @param {string} path
 * @returns {[folder: string, weights: string | undefined]}
 */
function splitWeights(path) {
  const cut = path.lastIndexOf('/') + 1;
  return path.endsWith('.safetensors') ? [path.slice(0, cut), path.slice(cut)] : [path, undefined];
}
