/**
 * Vectors of 256 bits, in Node: V8 can join pairs of the module's 128-bit operations, where a flag of its own says so
 * and the processor has AVX2. The flag is experimental, and the whole process's: so what it makes of the module is
 * compared first, bit for bit, with what the same functions give before V8 optimises them.
 */
import { nodePart } from '../base/node-part.js';
import { ACTIVATIONS, DTYPES, PRECISIONS } from './core.js';
import { smallClip } from './small-clip.js';

/** Together they run every kernel: each storage straight and transposed, each nonlinearity, attention, LayerNorm. */
const CONFIGS = [
  { storage: DTYPES.F32, visionActivation: ACTIVATIONS.quick_gelu, textActivation: ACTIVATIONS.gelu },
  { storage: DTYPES.F16, visionActivation: ACTIVATIONS.gelu, textActivation: ACTIVATIONS.gelu_tanh },
  { storage: DTYPES.I8, visionActivation: ACTIVATIONS.gelu_tanh, textActivation: ACTIVATIONS.quick_gelu },
  { storage: DTYPES.I16, precision: PRECISIONS.fast },
];
/** Milliseconds that V8 is given to optimise what runs often, and steps that make it run often. */
const [WARM_MS, WARM_STEPS] = [40, 8];

const bits = (values) => new Uint32Array(values.buffer, values.byteOffset, values.length);

/** What a step first gave and later gives otherwise; '': nothing. @param {import('./core.js').Core} core */
async function differenceOf(core) {
  for (const config of CONFIGS) {
    const { step, free } = smallClip(core, config);
    try {
      const first = (await step()).map(([name, values]) => [name, bits(values)]);
      const start = performance.now();
      for (let i = 0; i < WARM_STEPS || performance.now() - start < WARM_MS; i++) {
        for (const [k, [name, values]] of (await step()).entries()) {
          const before = first[k][1];
          if (bits(values).some((value, j) => value !== before[j])) return name;
        }
      }
    } finally {
      free();
    }
  }
  return '';
}

/** Whether what V8 makes of the module was found right: it is then of all that this process starts. */
let checked = false;

/**
 * @param {() => Promise<import('./core.js').Core>} begin starts the library
 * @returns {Promise<import('./core.js').Core>} with wide vectors where they can be had and are right; else as it is
 */
export async function wideCore(begin) {
  const { allowWideVectors } = await nodePart('platform.js');
  const wide = allowWideVectors(true);
  const core = await begin();
  if (!wide || checked) return core;
  const difference = await differenceOf(core);
  if (!difference) {
    checked = true;
    return core;
  }
  core.dispose();
  allowWideVectors(false);
  console.warn(`mudpt computes with vectors of 128 bits: wider ones change ${difference}`);
  return begin();
}
