/** What only Node can tell or switch. Never imported in browsers. */
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';

export function hardwareThreads() {
  return availableParallelism();
}

/** Node 20 has relaxed SIMD behind a flag of V8 that may be set at run time; later versions have it switched on. */
export function allowRelaxedSimd() {
  setFlagsFromString('--experimental-wasm-relaxed-simd');
}

/** A section of a module that says nothing: id, bytes, the length of its name. */
const NO_SECTION = Uint8Array.of(0, 1, 0);
let wideRefused = false;

/** Whether V8 can join pairs of 128-bit operations: Node has the flag since 23.5, and V8 no use for it but on x86. */
export function hasWideVectors() {
  const { arch, release, versions } = process;
  // Bun and Deno have a process, too.
  return arch === 'x64' && release.name === 'node' && !versions.bun && Number.parseInt(versions.node, 10) >= 24;
}

/**
 * Lets V8 do so in modules that it compiles from now on, all of this process.
 * @param {boolean} wide
 * @returns {boolean} whether it can be had
 */
export function allowWideVectors(wide) {
  if (!hasWideVectors()) return false;
  if (wide && (wideRefused || process.env.MUDPT_WIDE_VECTORS === '0')) return false;
  setFlagsFromString(`--${wide ? '' : 'no-'}experimental-wasm-revectorize`);
  wideRefused ||= !wide;
  return true;
}

/** A file of this package. @param {URL} url */
export async function readAsset(url) {
  const bytes = await readFile(url);
  // V8 keeps what it has compiled by the bytes of a module: other bytes are compiled anew, without the flag.
  return wideRefused ? Buffer.concat([bytes, NO_SECTION]) : bytes;
}

/** Node's own options, as --input-type, are not for our threads. */
const OWN_OPTIONS = { execArgv: [] };

/** A worker for a thread of the WebAssembly module, with as much of a browser's Worker as its run-time code uses. */
export function startThread() {
  const worker = new Worker(new URL('./thread.js', import.meta.url), OWN_OPTIONS);
  const thread = Object.assign(new EventTarget(), {
    onmessage: (_event) => {},
    postMessage: (message) => worker.postMessage(message),
    terminate: () => worker.terminate(),
  });
  worker.on('message', (data) => {
    // A thread that waits for work does not keep the program alive.
    if (data.cmd === 'loaded') worker.unref();
    thread.onmessage({ data });
  });
  worker.on('error', ({ message }) => thread.dispatchEvent(Object.assign(new Event('error'), { message })));
  return thread;
}

/**
 * The thread of a WebGPU device, as much of a browser's Worker as js/core/device.js uses.
 * @param {string} [gpu] name of the package whose create() gives what browsers have as navigator.gpu
 */
export function startDeviceThread(gpu = 'webgpu') {
  const worker = new Worker(new URL('./device-thread.js', import.meta.url), { ...OWN_OPTIONS, workerData: gpu });
  const thread = {
    onmessage: (_event) => {},
    onerror: (_event) => {},
    postMessage: (message) => worker.postMessage(message),
    // Dawn aborts the process when its thread is ended from outside in the middle of something.
    terminate: () => worker.postMessage({ close: true }),
  };
  worker.on('message', (data) => {
    worker.unref(); // once it has started, it does not keep the program alive
    thread.onmessage({ data });
  });
  worker.on('error', ({ message }) => thread.onerror({ message }));
  return thread;
}
