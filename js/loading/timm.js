/**
 * Image towers of timm that open_clip's models of SigLIP, Perception Encoder and others have: what they are follows
 * from their names, how large from the weights.
 */
import { ACTIVATIONS, POOLING } from '../core/core.js';

/**
 * Those that are plain ViTs, how they must pool, and what they have.
 * @type {[RegExp, string[], Record<string, number>][]}
 */
const TRUNKS = [
  [
    /^vit_[a-z\d]+_patch\d+_siglip_\d+$/,
    ['map'],
    { visionPooling: POOLING.attention, visionEpsilon: 1e-6, noClass: 1, noPreNorm: 1, patchBias: 1 },
  ],
  [/^vit_pe_core_gigantic_/, ['map'], { visionPooling: POOLING.attention, rope: 10000, poolHeads: 8, noClass: 1 }],
  [/^vit_pe_core_[a-z]+_patch\d+_\d+$/, ['map'], { visionPooling: POOLING.attention, rope: 10000, poolHeads: 8 }],
  [/^vit_[a-z]+_patch\d+_clip_(quickgelu_)?\d+$/, ['token', ''], {}],
];
/** SigLIP's that timm computes with tanh-GELU; all others with exact GELU. */
const TANH = /patch32_siglip|so400m_patch16|giantopt|large_patch16_siglip_512/;

/**
 * @param {import('./keys.js').Reader} read of a model_cfg
 * @param {import('./shapes.js').Shapes} shapes of the weights
 * @returns {import('./configuration.js').Architecture}
 */
export function trunkOf(read, shapes) {
  const model = String(read.value('vision_cfg.timm_model_name'));
  const [, pools, traits] = TRUNKS.find(([pattern]) => pattern.test(model)) ?? [];
  if (!pools || !traits)
    throw read.refuse('vision_cfg.timm_model_name', 'a ViT of CLIP, SigLIP or PE-Core: no other of timm is supported');
  read.choice('vision_cfg.timm_pool', Object.fromEntries(pools.map((pool) => [pool, pool])));
  // null: timm's own head
  const none = read.value('vision_cfg.timm_proj') === null;
  const bias = none
    ? 0
    : read.choice('vision_cfg.timm_proj', { linear: read.flag('vision_cfg.timm_proj_bias'), none: 0 });
  const sizes = shapes.vision();
  const gelu = TANH.test(model) ? ACTIVATIONS.gelu_tanh : ACTIVATIONS.gelu;
  return {
    ...sizes,
    visionActivation: model.includes('quickgelu') ? ACTIVATIONS.quick_gelu : gelu,
    ...(traits.visionPooling && { poolHeads: sizes.visionHeads, poolActivation: gelu }),
    ...traits,
    visionNoProjection: Number(read.value('vision_cfg.timm_proj') === 'none'),
    // Meta's own files have none.
    visionProjectionBias: none ? shapes.has('visual_projection.bias') : bias,
  };
}
