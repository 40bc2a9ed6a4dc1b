/** What only Node can tell or switch. Never imported in browsers. */
import { availableParallelism } from 'node:os';
import { setFlagsFromString } from 'node:v8';

export function hardwareThreads() {
  return availableParallelism();
}

/** Node 20 has relaxed SIMD behind a flag of V8 that may be set at run time; later versions have it switched on. */
export function allowRelaxedSimd() {
  setFlagsFromString('--experimental-wasm-relaxed-simd');
}
