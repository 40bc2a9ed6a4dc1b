/** Reads a WebAssembly module's file. What a page's server does wrong with these files is recognised here. */
import { MudptError, reasonOf } from '../base/errors.js';
import { nodePart } from '../base/node-part.js';
import { isNode } from '../base/platform.js';

/** What WebAssembly begins with: "\0asm". */
const MAGIC = [0, 0x61, 0x73, 0x6d];
const HINT = 'serve the files of the package beside each other, or say with assetsUrl where they are';

/** @param {string} url @returns {Promise<Uint8Array<ArrayBuffer>>} */
async function download(url) {
  let response;
  try {
    response = await fetch(url);
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    throw new MudptError('environment', `${url} cannot be fetched: ${reasonOf(cause)}`, HINT, { cause });
  }
  throw new MudptError('environment', `${url} was answered with ${response.status}`, HINT);
}

/** @param {URL} url @returns {Promise<Uint8Array<ArrayBuffer>>} */
export async function readModule(url) {
  const bytes = isNode ? await (await nodePart('platform.js')).readAsset(url) : await download(url.href);
  if (MAGIC.some((byte, i) => bytes[i] !== byte)) {
    const start = new TextDecoder().decode(bytes.subarray(0, 15)).replace(/[^\x20-\x7e]/g, '?');
    const what = /^\s*</.test(start) ? 'is a page of HTML' : `begins with "${start}"`;
    throw new MudptError('environment', `${url.href} should be WebAssembly but ${what}`, HINT);
  }
  return bytes;
}
