/**
 * Starts the WebAssembly module: finds its file, compiles it, and gives it the workers of its threads.
 */
import { MudptError, megabytes, reasonOf } from '../base/errors.js';
import { MOST_BYTES } from '../base/limits.js';
import { nodePart } from '../base/node-part.js';
import { canSleep, foreignFolder, hasStackSwitching, isNode, threadWatch } from '../base/platform.js';
import { makeWorker, workerFrom } from '../base/workers.js';
import createModule from '../wasm/mudpt.mjs';
import { readModule } from './module-file.js';

/**
 * @typedef {'plain' | 'relaxed'} Variant
 * @typedef {{ name: string, url: () => URL }} ModuleFile in the folder wasm/
 */

// Addresses are written out where they are used: bundlers look for exactly this.
/** @type {Record<Variant, ModuleFile>} */
export const FILES = {
  plain: { name: 'mudpt.wasm', url: () => new URL('../wasm/mudpt.wasm', import.meta.url) },
  relaxed: { name: 'mudpt-relaxed.wasm', url: () => new URL('../wasm/mudpt-relaxed.wasm', import.meta.url) },
};
/** By which the run-time code knows that it is to be a thread. */
const THREAD_NAME = 'em-pthread';
const UNTHREADED = 'wasm/mudpt.mjs needs the headers of isolation, too, and a policy that allows it by worker-src';
const PAGE = 65_536;
/** Pages that the module begins with, as wasm/wasm.cmake has it; the fewest that are worth sharing. */
const INITIAL = 256;
const SHARED = 4096;

/**
 * Memory for the module. A shared one takes the addresses of its maximum at once, of which phones have few: smaller
 * maxima are tried. Where nothing can be shared, one thread does with memory of its own. It comes second for one
 * thread, too: some engines copy all of it whenever it grows.
 * @returns {{ wasmMemory: WebAssembly.Memory, mostBytes: number, shared: boolean }} `mostBytes`: what it can grow to
 */
function takeMemory() {
  let refused;
  for (const shared of [true, false]) {
    const fewest = shared ? SHARED : INITIAL;
    for (let maximum = (MOST_BYTES + 1) / PAGE; maximum >= fewest; maximum /= 2) {
      try {
        const wasmMemory = new WebAssembly.Memory({ initial: INITIAL, maximum, shared });
        const mostBytes = Math.min(maximum * PAGE, MOST_BYTES);
        // Where it cannot be shared, engines may pass over what was asked.
        return { wasmMemory, mostBytes, shared: !(wasmMemory.buffer instanceof ArrayBuffer) };
      } catch (error) {
        refused ??= error;
      }
    }
  }
  const why = `this platform grants no memory of ${megabytes(INITIAL * PAGE)}: ${reasonOf(refused)}`;
  throw new MudptError('memory', why, 'close other pages, dispose of other models, or load the page again', {
    cause: refused,
  });
}

/**
 * The module for memory that is not shared: a bit of the memory's import. All its instructions are valid there, too.
 * @param {Uint8Array} bytes changed
 */
function unshare(bytes) {
  let at = 8;
  const number = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const pass = (count) => (at += count);
  const [IMPORTS, FUNCTION, IS_SHARED] = [2, 0, 2];
  while (bytes[at++] !== IMPORTS) pass(number());
  number();
  // Of functions but for the memory, each with two names in front: wasm/wasm.cmake.
  for (let count = number(); count > 0; count--) {
    pass(number());
    pass(number());
    if (bytes[at++] === FUNCTION) number();
    else return void (bytes[at] &= ~IS_SHARED);
  }
}

/**
 * @param {ModuleFile} file
 * @param {boolean} shared whether memory is
 * @param {URL} [folder]
 * @returns {Promise<WebAssembly.Module>}
 */
async function compile({ name, url }, shared, folder) {
  const bytes = await readModule(folder ? new URL(`wasm/${name}`, folder) : url());
  if (!shared) unshare(bytes);
  return WebAssembly.compile(bytes);
}

/** @param {URL} [folder] */
async function threadStarter(folder) {
  if (isNode) return (await nodePart('platform.js')).startThread;
  if (folder) return () => workerFrom(new URL('wasm/mudpt.mjs', folder), THREAD_NAME);
  return () => new Worker(new URL('../wasm/mudpt.mjs', import.meta.url), { type: 'module', name: 'em-pthread' });
}

/** A thread that cannot be started: one does what several would. */
class NoThread extends Error {}

/**
 * @param {ModuleFile} file
 * @param {number} threads fewer where they cannot be had
 * @param {string | URL} [assetsUrl] the folder that holds wasm/, where it is not beside this file; not for Node
 * @returns {Promise<any>} Emscripten's module, with all threads running
 */
export async function startModule(file, threads, assetsUrl) {
  const folder = foreignFolder(import.meta.url, assetsUrl);
  const { shared, ...memory } = takeMemory();
  const [compiled, start] = await Promise.all([compile(file, shared, folder), threadStarter(folder)]);
  const begin = (usable) => instantiate(compiled, start, { ...memory, threads: usable });
  try {
    return await begin(shared ? threads : 1);
  } catch (error) {
    if (!(error instanceof NoThread)) throw error;
    console.warn(`mudpt computes on one thread, as no other can be started: ${error.message}`);
    return begin(1);
  }
}

/**
 * @param {WebAssembly.Module} compiled
 * @param {() => Worker} start
 * @param {{ threads: number, wasmMemory: WebAssembly.Memory, mostBytes: number }} options
 */
async function instantiate(compiled, start, options) {
  const workers = [];
  try {
    // The run-time code would wait for ever for what fails in here.
    return await new Promise((resolve, reject) => {
      const startThread = () => {
        threadWatch.making(true);
        const worker = isNode ? start() : makeWorker(start).worker;
        threadWatch.making(false);
        workers.push(worker);
        worker.addEventListener('error', (event) => {
          // The run-time code would throw it.
          event.stopImmediatePropagation();
          event.preventDefault();
          reject(new NoThread(event.message || UNTHREADED));
        });
        return worker;
      };
      const suspends = !canSleep(options.wasmMemory) && hasStackSwitching;
      const instantiateWasm = (imports, receive) => {
        WebAssembly.instantiate(compiled, imports).then((instance) => receive(instance, compiled), reject);
        return {};
      };
      createModule({ ...options, startThread, instantiateWasm, suspends }).then(resolve, reject);
    });
  } catch (error) {
    for (const worker of workers) worker.terminate();
    throw error;
  }
}
