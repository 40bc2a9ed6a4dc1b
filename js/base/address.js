/** Where the files of a model are, from the address that people have of it. */
import { MudptError } from './errors.js';
import { pageAddress } from './platform.js';

const HUGGING_FACE = ['huggingface.co', 'hf.co'];
/** open_clip calls them hf-hub. */
const SCHEMES = ['hf:', 'hf-hub:'];
const REVISION = 'refs/[^/]+/[^/]+|[^/]+';
const REPOSITORY = new RegExp(
  `^/([^/]+/[^/@]+)(?:@(${REVISION}))?(?:/(?:tree|blob|resolve|raw)/(${REVISION}))?(/.*)?$`,
);

/** Whether it is the name of a file with weights. @param {string} name */
export const isWeights = (name) => /\.(?:safetensors|bin|pt|pth|ckpt)$/i.test(name);

/** @param {string | URL} from @returns {URL} a new one */
export function addressOf(from) {
  try {
    return new URL(from, pageAddress());
  } catch (cause) {
    throw new MudptError('argument', `"${from}" is no URL`, 'for instance https://…/clip-vit-base-patch16/', { cause });
  }
}

/**
 * @param {string | URL} from a folder's URL, that of a file with weights in it, that of a page of a Hugging Face model
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

/**
 * What to do about a text that names no folder, but perhaps a repository; undefined where it could not.
 * @param {string} text
 */
export const bareRepository = (text) =>
  /^[\w-][\w.-]*\/[\w-][\w.-]*$/.test(text) && !isWeights(text)
    ? `check the path; a Hugging Face repository is called hf:${text}`
    : undefined;

/** The folder with a repository's files, of an address of a Hugging Face repository; others as they are. */
function hubFolder(url) {
  const isHub = SCHEMES.includes(url.protocol);
  const path = isHub
    ? `/${url.href.slice(url.protocol.length).replace(/^\/+/, '')}`
    : HUGGING_FACE.includes(url.host) && url.pathname;
  if (!path) return url;
  const match = REPOSITORY.exec(path);
  if (!match && isHub) {
    throw new MudptError('argument', `"${url.href}" names no repository`, 'expected hf:ORGANISATION/NAME');
  }
  if (!match) return url;
  const [, repository, at, revision = at ?? 'main', rest = '/'] = match;
  const whole = revision.replaceAll('/', '%2F');
  return new URL(`https://${HUGGING_FACE[0]}/${repository}/resolve/${whole}${rest}`);
}

/**
 * Splits a name into the folder and, if it names a weights file, the file.
 * @param {string} path
 * @returns {[folder: string, weights: string | undefined]}
 */
function splitWeights(path) {
  const cut = path.lastIndexOf('/') + 1;
  return isWeights(path) ? [path.slice(0, cut), path.slice(cut)] : [path, undefined];
}

/** Parameters, in small letters, that tell that an address is signed, and those that are signed along. */
const CLOUDS = /^x-(?:amz|goog|oss|tos|obs|cos|bce)-/;
const TOKENS = /^(?:hdnts|hdnea|hdntl|__token__|__gda__|edge-cache-token)$/;
const TIMES = ['e', 'exp', 'expire', 'expires', 'expiry', 'expiration'];
const SIGNERS = ['key-pair-id', 'policy', 'keyname', 'awsaccesskeyid', 'googleaccessid', 'ossaccesskeyid'];
const SIGNED = ['signature', 'sig', 'sign', 'hmac', 'token', 'hash', 'md5'];
const ALONG = ['token_path', 'hash-algorithm', 'urlprefix', 'x-amz-security-token', 'security-token', 'jwt'];
const AZURE = ['sv', 'se', 'sp', 'sr', 'ss', 'st', 'si', 'sip', 'spr', 'srt', 'sdd', 'ses', 'scid', 'skoid', 'sktid'];
const AZURE_KEYS = ['skt', 'ske', 'sks', 'skv', 'saoid', 'suoid'];
const oneOf = (...names) => new RegExp(`^(?:${names.flat().join('|')})$`);
const SIGNATURES = [
  { sign: /^x-[a-z]+-signature$/, and: CLOUDS, drop: CLOUDS },
  { sign: /^q-signature$/, and: /^q-/, drop: /^(?:q-|x-cos-security-token$)/ },
  { sign: oneOf('sig'), and: oneOf('se', 'si'), drop: oneOf('sig', AZURE, AZURE_KEYS, 'jwt') },
  { sign: oneOf(SIGNED), and: oneOf(TIMES, SIGNERS), drop: oneOf(SIGNED, TIMES, SIGNERS, ALONG, 'x-xet-.*') },
  { sign: TOKENS, and: TOKENS, drop: TOKENS },
];

/**
 * The address that a file is kept under: without what is another at every visit, the signature of an address that is
 * good for some hours, and without what names no file.
 * @param {string} address
 */
export function keptAddress(address) {
  const url = new URL(address);
  url.hash = '';
  const names = [...new Set(Array.from(url.searchParams.keys()))];
  const has = (pattern) => names.some((name) => pattern.test(name.toLowerCase()));
  for (const signature of SIGNATURES) {
    if (!has(signature.sign) || !has(signature.and)) continue;
    for (const name of names) if (signature.drop.test(name.toLowerCase())) url.searchParams.delete(name);
  }
  return url.href;
}
