/**
 * A thread of the WebAssembly module in Node: what Emscripten's run-time code expects of a browser's worker. Deno has
 * some of it, which only a definition replaces.
 */
import { parentPort } from 'node:worker_threads';

const port = /** @type {import('node:worker_threads').MessagePort} */ (parentPort);
for (const [name, value] of Object.entries({
  self: globalThis,
  name: 'em-pthread',
  location: new URL(import.meta.url),
  importScripts() {},
  postMessage: (message) => port.postMessage(message),
})) {
  Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
}
await import('../wasm/mudpt.mjs');
port.on('message', (data) => /** @type {any} */ (globalThis).onmessage({ data }));
