/**
 * Starts the WebAssembly module: finds its file, compiles it, and gives it the workers of its threads. What a page's
 * server does wrong with these files is recognised here.
 */
import { MudptError, reasonOf } from './errors.js';
import { foreignFolder, hasStackSwitching, hasThreads, isNode, nodePart, threadWatch, workerFrom } from './platform.js';
import createModule from './wasm/mudpt.mjs';

/** @typedef {'plain' | 'relaxed'} Variant */

// Addresses are written out where they are used: bundlers look for exactly this.
const FILES = {
  plain: { name: 'mudpt.wasm', url: () => new URL('./wasm/mudpt.wasm', import.meta.url) },
  relaxed: { name: 'mudpt-relaxed.wasm', url: () => new URL('./wasm/mudpt-relaxed.wasm', import.meta.url) },
};
/** What WebAssembly begins with: "\0asm". */
const MAGIC = [0, 0x61, 0x73, 0x6d];
/** By which the run-time code knows that it is to be a thread. */
const THREAD_NAME = 'em-pthread';
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

/** @param {Variant} variant @param {URL} [folder] @returns {Promise<WebAssembly.Module>} */
async function compile(variant, folder) {
  const { name, url: own } = FILES[variant];
  const url = folder ? new URL(`wasm/${name}`, folder) : own();
  const bytes = isNode ? await (await nodePart('platform.js')).readAsset(url) : await download(url.href);
  if (MAGIC.some((byte, i) => bytes[i] !== byte)) {
    const start = new TextDecoder().decode(bytes.subarray(0, 15)).replace(/[^\x20-\x7e]/g, '?');
    const what = /^\s*</.test(start) ? 'is a page of HTML' : `begins with "${start}"`;
    throw new MudptError('environment', `${url.href} should be WebAssembly but ${what}`, HINT);
  }
  return WebAssembly.compile(bytes);
}

/** @param {URL} [folder] */
async function threadStarter(folder) {
  if (isNode) return (await nodePart('platform.js')).startThread;
  if (folder) return () => workerFrom(new URL('wasm/mudpt.mjs', folder), THREAD_NAME);
  return () => new Worker(new URL('./wasm/mudpt.mjs', import.meta.url), { type: 'module', name: 'em-pthread' });
}

/**
 * @param {Variant} variant
 * @param {number} threads
 * @param {string | URL} [assetsUrl] the folder that holds wasm/, where it is not beside this file; not for Node
 * @returns {Promise<any>} Emscripten's module, with all threads running
 */
export async function startModule(variant, threads, assetsUrl) {
  const folder = foreignFolder(import.meta.url, assetsUrl);
  const [compiled, start] = await Promise.all([compile(variant, folder), threadStarter(folder)]);
  const workers = [];
  try {
    // The run-time code would wait for ever for what fails in here.
    return await new Promise((resolve, reject) => {
      const startThread = () => {
        threadWatch.making(true);
        const worker = start();
        threadWatch.making(false);
        workers.push(worker);
        worker.addEventListener('error', (event) => {
          const reason = event.message || 'its script cannot be loaded';
          reject(new MudptError('environment', `a thread could not be started: ${reason}`, HINT));
        });
        return worker;
      };
      const suspends = !hasThreads && hasStackSwitching;
      const instantiateWasm = (imports, receive) => {
        WebAssembly.instantiate(compiled, imports).then((instance) => receive(instance, compiled), reject);
        return {};
      };
      createModule({ threads, startThread, instantiateWasm, suspends }).then(resolve, reject);
    });
  } catch (error) {
    for (const worker of workers) worker.terminate();
    throw error;
  }
}
