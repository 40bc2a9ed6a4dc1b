/**
 * The structs of the C library that describe work for the device (src/clip/tower.h, src/clip/weights.h,
 * src/kernels/gemm.h), as numbers of 4 bytes in wasm32 memory. src/clip/device.c has their sizes checked.
 */

/** What src/clip/device.c calls for. */
export const CALL = Object.freeze({ PRODUCT: 0, FORWARD: 1, BACKWARD: 2 });
/** And what it is answered. */
export const ANSWER = Object.freeze({ NO: 0, DONE: 1, LOST: 2 });

/** Storage types of src/mudpt.h. */
export const F32 = 0;
export const F16 = 1;
export const I8 = 2;
export const I16 = 4;

export const BLOCK_WORDS = 44;
export const TOWER_WORDS = 81;
/** Places among them. */
export const TOWER = Object.freeze({ WIDTH: 2, ROWS: 4, MODE: 65, SCRATCH: 69 });
export const JOB_WORDS = 11;
export const WEIGHT_WORDS = 7;

/** @typedef {{ out: number, in: number, storage: number, panels: number, scale: number, id: number }} Weight */

/** gemm_weight; `id` is never used twice, 0: none. @param {Int32Array} words @returns {Weight} */
export function weightOf(words, at = 0) {
  const [out, inputs, storage, panels, scale, , id] = words.subarray(at, at + WEIGHT_WORDS);
  return { out, in: inputs, storage, panels: panels >>> 0, scale: scale >>> 0, id };
}

/** gemm_job. @param {Int32Array} words */
export function jobOf(words) {
  const [weight, transposed, first, count, rows, a, lda, c, ldc, bias, accumulate] = words;
  return {
    ...{ weight: weight >>> 0, transposed, first, count, rows, lda, ldc, accumulate },
    ...{ a: a >>> 0, c: c >>> 0, bias: bias >>> 0 },
  };
}

/** clip_block. @param {Int32Array} words */
export function blockOf(words, at = 0) {
  const [width, heads, mlp, activation, epsilonBits] = words.subarray(at, at + 5);
  const [epsilon] = new Float32Array(Int32Array.of(epsilonBits).buffer);
  const [inProj, outProj, fc, proj] = [0, 1, 2, 3].map((i) => weightOf(words, at + 5 + i * WEIGHT_WORDS));
  const addresses = words.subarray(at + 33, at + 41);
  const lengths = [3 * width, width, mlp, width, width, width, width, width];
  const names = ['inProjBias', 'outProjBias', 'fcBias', 'projBias', 'ln1Gain', 'ln1Bias', 'ln2Gain', 'ln2Bias'];
  const vectors = names.map((name, i) => ({ name, address: addresses[i] >>> 0, length: lengths[i] }));
  return { heads, mlp, activation, epsilon, inProj, outProj, fc, proj, vectors };
}

/** attention_shape. @param {Int32Array} words */
function attentionOf(words, at) {
  const [heads, headWidth, sequences, queryStart, keyStart, visible, prefix] = words.subarray(at, at + 7);
  return {
    ...{ heads, headWidth, sequences, prefix },
    ...{ queryStart: queryStart >>> 0, keyStart: keyStart >>> 0, visible: visible >>> 0 },
  };
}

/** tower_layout. @param {Int32Array} words */
function layoutOf(words, at) {
  const [outs, outRows, , calls] = words.subarray(at, at + 4);
  return {
    outs,
    outRows: outRows >>> 0,
    attention: [0, 1].slice(0, calls).map((i) => attentionOf(words, at + 4 + 7 * i)),
  };
}

/** tower; addresses are numbers. @param {Int32Array} words */
export function towerOf(words) {
  const [blocks, layers, width, mlp, rows, depth, prompts, promptRowCount, promptRows, promptOf] = words;
  const [mode, scratch] = [words[TOWER.MODE], words[TOWER.SCRATCH]];
  return {
    ...{ layers, width, mlp, rows, depth, prompts, promptRowCount, mode },
    ...{ blocks: blocks >>> 0, promptRows: promptRows >>> 0, promptOf: promptOf >>> 0, scratch: scratch >>> 0 },
    layouts: [0, 1, 2].map((i) => layoutOf(words, 11 + 18 * i)),
  };
}

/** tower_mode */
export const MODE = Object.freeze({ FORWARD: 0, BACKWARD: 1, RECOMPUTE: 2 });
/** tower_layout_kind of block l. */
export const layoutKind = (tower, l) => (l === tower.layers - 1 ? 2 : l + 1 < tower.depth ? 1 : 0);
