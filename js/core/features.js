/**
 * What this engine can do, asked of the engine itself: modules of a few bytes that are valid only where the feature is,
 * written out with what each byte says.
 */
import { nodePart } from '../base/node-part.js';
import { hasThreads, isNode } from '../base/platform.js';

// prettier-ignore
const RELAXED_SIMD = Uint8Array.of(
  0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0, // "\0asm", version 1
  1, 5, 1, 0x60, 0, 1, 0x7b, // types: one, () -> v128
  3, 2, 1, 0, // functions: one, of type 0
  10, 19, 1, 17, 0, // code: one body of 17 bytes without locals
  0x41, 0, 0xfd, 0x0f, // i32.const 0, i8x16.splat
  0x41, 0, 0xfd, 0x0f, // the same again
  0x41, 0, 0xfd, 0x0f, // and again
  0xfd, 0x85, 0x02, // f32x4.relaxed_madd
  0x0b, // end
);

/** Whether relaxed SIMD can be used here. */
export async function hasRelaxedSimd() {
  if (WebAssembly.validate(RELAXED_SIMD)) return true;
  // Later versions have it from the start and would complain about the flag.
  if (!isNode || Number.parseInt(globalThis.process.versions.node, 10) >= 22) return false;
  (await nodePart('platform.js')).allowRelaxedSimd();
  return WebAssembly.validate(RELAXED_SIMD);
}

/** Cores that can be used, as far as the platform tells. */
export async function hardwareThreads() {
  if (isNode) return (await nodePart('platform.js')).hardwareThreads();
  return hasThreads ? (globalThis.navigator?.hardwareConcurrency ?? 1) : 1;
}
