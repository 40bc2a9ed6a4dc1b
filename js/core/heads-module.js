/**
 * Starts the module of heads (wasm/mudpt-heads.wasm), which is fetched where a head is made: it has memory of its own,
 * one thread, and needs no run-time code.
 */
import { MudptError, reasonOf } from '../base/errors.js';
import { MOST_BYTES } from '../base/limits.js';
import { foreignFolder } from '../base/platform.js';
import { Library } from './library.js';
import { readModule } from './module-file.js';

const NAME = 'mudpt-heads.wasm';

/**
 * @param {string | URL} [assetsUrl] the folder that holds wasm/, where it is not beside this file; not for Node
 * @returns {Promise<Library>} what js/core/heads.js makes heads in; its dispose() lets go of all of them
 */
export async function startHeads(assetsUrl) {
  const folder = foreignFolder(import.meta.url, assetsUrl);
  // Written out: bundlers look for exactly this.
  const own = () => new URL('../wasm/mudpt-heads.wasm', import.meta.url);
  const bytes = await readModule(folder ? new URL(`wasm/${NAME}`, folder) : own());
  /** @type {any} */
  let exports;
  const imports = {
    env: { emscripten_notify_memory_growth: () => {} },
    wasi_snapshot_preview1: {
      /** By which the library finds out which of two ways is faster here. */
      clock_time_get: (_clock, _precision, at) => {
        const now = BigInt(Math.round(performance.now() * 1e6));
        new DataView(exports.memory.buffer).setBigUint64(at, now, true);
        return 0;
      },
    },
  };
  try {
    ({ exports } = (await WebAssembly.instantiate(bytes, imports)).instance);
    exports._initialize();
  } catch (cause) {
    throw new MudptError('environment', `the module of heads does not start: ${reasonOf(cause)}`, 'it needs SIMD', {
      cause,
    });
  }
  const module = Object.fromEntries(Object.entries(exports).map(([name, value]) => [`_${name}`, value]));
  const threads = { terminateAllThreads: () => {} };
  return new Library({ ...module, wasmMemory: exports.memory, mostBytes: MOST_BYTES, PThread: threads }, 'heads');
}
