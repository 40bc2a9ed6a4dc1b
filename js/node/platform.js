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

/** A worker for a thread of the WebAssembly module, with as much of a browser's Worker as its run-time code uses. */
export function startThread() {
  const worker = new Worker(new URL('./thread.js', import.meta.url));
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
