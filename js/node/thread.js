/** A thread of the WebAssembly module in Node: what Emscripten's run-time code expects of a browser's worker. */
import { parentPort } from 'node:worker_threads';

const port = /** @type {import('node:worker_threads').MessagePort} */ (parentPort);
Object.assign(globalThis, {
  self: globalThis,
  name: 'em-pthread',
  location: new URL(import.meta.url),
  importScripts() {},
  postMessage: (message) => port.postMessage(message),
});
await import('../wasm/mudpt.mjs');
port.on('message', (data) => /** @type {any} */ (globalThis).onmessage({ data }));
