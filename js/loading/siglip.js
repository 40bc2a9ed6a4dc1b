/** What SigLIP has that CLIP has not, as transformers' files say it. */
import { POOLING } from '../core/core.js';
import { readJson } from '../files/source.js';
import { unsupported } from './keys.js';
import { FITS, HALVES } from './preprocessing.js';
import { PICTURES, SIZES } from './transformers.js';

const TOWER = { ...SIZES, hidden_act: 'gelu_pytorch_tanh', layer_norm_eps: 1e-6 };
/** What keys that are absent stand for. */
export const DEFAULTS = {
  text_config: { ...TOWER, vocab_size: 32000, max_position_embeddings: 64 },
  vision_config: { ...TOWER, ...PICTURES, patch_size: 16 },
};
/** What is done to pictures where no file says it. @type {import('./preprocessing.js').Preprocessing} */
export const PREPROCESSING = { mean: HALVES, std: HALVES, transform: { fit: FITS.exact } };
/** Ids of what its tokenizers fill sentences up with. */
const PADS = { '<pad>': 0, '</s>': 1 };
const GEMMA_VOCABULARY = 256000;

/** @param {import('./keys.js').Reader} read @param {Record<string, number>} tower of pictures */
export function traitsOf(read, { width, heads, mlp, activation }) {
  const projected = read.value('text_config.projection_size') ?? read.size('text_config.hidden_size');
  if (projected !== width) throw read.refuse('text_config.projection_size', `${width}, vision_config.hidden_size`);
  return {
    embed: width,
    ...{ visionPooling: POOLING.attention, visionNoProjection: 1, poolHeads: heads, poolMlp: mlp },
    ...{ poolActivation: activation, noClass: 1, noPreNorm: 1, patchBias: 1, noMask: 1, noStart: 1, logitBias: 1 },
    ...{ textPooling: POOLING.last, textProjectionBias: 1 },
  };
}

/**
 * What sentences are filled up with, which the tokenizer's settings say: each of the two SigLIPs has its own.
 * @param {import('../files/source.js').Source} source
 * @param {number} vocab
 * @param {string[]} assumed gets what no file says
 */
export async function padOf(source, vocab, assumed) {
  const settings = await readJson(source, 'tokenizer_config.json');
  const token = settings?.pad_token?.content ?? settings?.pad_token;
  if (Object.hasOwn(PADS, token)) return PADS[token];
  if (token !== undefined)
    throw unsupported(`${source.name}: tokenizer_config.json`, 'pad_token', token, Object.keys(PADS).join(', '));
  const pad = vocab === GEMMA_VOCABULARY ? 0 : 1;
  assumed.push(`${pad} as the token that sentences are filled up with`);
  return pad;
}
