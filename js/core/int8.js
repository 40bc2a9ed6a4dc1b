/**
 * Precision int8: a WebAssembly module of its own, which has products of bytes, for classifying and embedding. Whether
 * this engine's instruction for them is exact is tried there (src/kernels/probe.c); where it is not, the module has the
 * same bits in another way.
 */
import { MudptError } from '../base/errors.js';
import { WORTHWHILE_GAIN } from './core.js';
import { hasRelaxedSimd } from './features.js';

const FILE = { name: 'mudpt-int8.wasm', url: () => new URL('../wasm/mudpt-int8.wasm', import.meta.url) };
/** What goes with it, of loadClip's options. */
const VALID = { device: ['wasm'], variant: ['auto'], dtype: ['auto', 'f32', 'f16', 'int8'] };

/**
 * @template {import('./core.js').Core} T
 * @param {Record<string, any>} options as createCore's
 * @param {(options: Record<string, any>, file?: import('./module.js').ModuleFile) => Promise<T>} begin createCore
 * @returns {Promise<T>} with `integers`; where these products cannot be had or gain nothing, as for precision fast
 */
export async function int8Core(options, begin) {
  for (const [name, valid] of Object.entries(VALID)) {
    if (options[name] === undefined || valid.includes(options[name])) continue;
    const what = `precision int8 takes ${name} ${valid.join(', ')}, not ${options[name]}`;
    throw new MudptError('argument', what, `leave out ${name}, or choose precision fast`);
  }
  const fast = { ...options, precision: 'fast' };
  if (!(await hasRelaxedSimd())) return begin(fast);
  // All but these products is plain SIMD there, so that results are the same in every engine.
  const core = await begin({ ...options, variant: 'plain' }, FILE);
  let gain = core.fastGain();
  // Engines compile anew what runs often: on a busy machine, after the first measurement.
  if (gain < WORTHWHILE_GAIN) gain = core.fastGain();
  if (gain < WORTHWHILE_GAIN) {
    core.dispose();
    return begin(fast);
  }
  core.integers = 'int8';
  core.fastGain = () => gain; // it is not measured once more
  return core;
}
