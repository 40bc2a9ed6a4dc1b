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

/** A file of this package. @param {URL} url */
export function readAsset(url) {
  return readFile(url);
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
