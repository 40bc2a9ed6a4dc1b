/** The thread of a WebGPU device in Node: Dawn, from the package `webgpu`, behind what a browser's worker has. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';

import { cacheFolder, diskStore } from './cache.js';

/** Cache storage: a folder beside the downloaded files, whose names are what addresses end with. */
const nameOf = (address) => /** @type {string} */ (String(address).split('/').at(-1));
const caches = {
  match: async (address, { cacheName }) =>
    new Response(await readFile(path.join(cacheFolder(), cacheName, nameOf(address)))),
  open: async (cacheName) => ({
    put: async (address, response) =>
      diskStore().put(cacheName, nameOf(address), new Uint8Array(await response.arrayBuffer())),
  }),
};

const port = /** @type {import('node:worker_threads').MessagePort} */ (parentPort);
let gpu;
try {
  // The package is not among the dependencies: whoever wants it installs it.
  gpu = (await import(workerData)).create([]);
} catch (error) {
  const missing = /** @type {any} */ (error).code === 'ERR_MODULE_NOT_FOUND';
  const why = missing ? 'the package webgpu is not installed' : `the package webgpu does not start (${error})`;
  port.postMessage({ failed: why.split('\n', 1)[0] });
}
if (gpu) {
  Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true });
  const listeners = /** @type {((event: any) => void)[]} */ ([]);
  Object.assign(globalThis, {
    postMessage: (message) => port.postMessage(message),
    addEventListener: (_type, listener) => listeners.push(listener),
    close: () => port.close(),
    caches,
  });
  const early = /** @type {any[]} */ ([]);
  const keep = (data) => early.push(data);
  port.on('message', keep);
  await import('../webgpu/thread.js');
  port.off('message', keep);
  port.on('message', (data) => listeners.forEach((listener) => listener({ data })));
  for (const data of early) listeners.forEach((listener) => listener({ data }));
}
