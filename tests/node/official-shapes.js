/**
 * Names and shapes as the authors of the methods have them, written out by hand, of models of text width 64, vision
 * width 128, embedding 48, 3 layers, with 2 prompt tokens: settings of tune(), tensors, and whose code, if another's.
 */
const text = (n = 2) => [n, 64];
const light = (module, d) => ({
  [`${module}.attn.in_proj_weight`]: [3 * d, d],
  [`${module}.attn.in_proj_bias`]: [3 * d],
  [`${module}.attn.out_proj.weight`]: [d, d],
  [`${module}.attn.out_proj.bias`]: [d],
  [`${module}.ln_1.weight`]: [d],
  [`${module}.ln_1.bias`]: [d],
  [`${module}.ln_2.weight`]: [d],
  [`${module}.ln_2.bias`]: [d],
  [`${module}.mlp.c_fc.weight`]: [4 * d, d],
  [`${module}.mlp.c_fc.bias`]: [4 * d],
  [`${module}.mlp.c_proj.weight`]: [d, 4 * d],
  [`${module}.mlp.c_proj.bias`]: [d],
});
const linear = (module, out, into) => ({ [`${module}.weight`]: [out, into], [`${module}.bias`]: [out] });
const norm = (module, d) => ({ [`${module}.weight`]: [d], [`${module}.bias`]: [d] });
const meta = (h, out) => ({ ...linear('meta_net.linear1', h, 48), ...linear('meta_net.linear2', out, h) });
const learner = (name) => ({
  [`${name}.ctx`]: text(),
  [`${name}.deep_prompts`]: [2, 2, 64],
  ...norm(`${name}.ln_pre`, 64),
  ...light(`${name}.self_attn`, 64),
  ...norm(`${name}.ln_post`, 64),
  ...linear(`${name}.visual_proj`, 128, 64),
});

/** @type {[Record<string, any>, Record<string, number[]>, string?][]} */
export const OFFICIAL = [
  [{ method: 'coop' }, { ctx: text() }],
  [{ method: 'coop', classSpecific: true }, { ctx: [3, 2, 64] }],
  [{ method: 'cocoop' }, { ctx: text(), ...meta(3, 64) }],
  [
    { method: 'vpt' },
    {
      'image_encoder.visual_ctx': [2, 128],
      'image_encoder.transformer.resblocks.1.visual_ctx': [2, 128],
      'image_encoder.transformer.resblocks.2.visual_ctx': [2, 128],
    },
  ],
  [{ method: 'vpt', depth: 1 }, { 'image_encoder.VPT': [2, 128] }, 'maple'],
  [
    { method: 'ivlp', depth: 2 },
    {
      'text_prompt_learner.visual_ctx': text(),
      'text_encoder.transformer.resblocks.1.visual_ctx': text(),
      'image_encoder.visual_ctx': [2, 128],
      'image_encoder.transformer.resblocks.1.visual_ctx': [2, 128],
    },
  ],
  [
    { method: 'ivlp', depth: 2 },
    {
      'prompt_learner.ctx': text(),
      'text_encoder.transformer.resblocks.1.VPT_shallow': text(),
      'image_encoder.VPT': [2, 128],
      'image_encoder.transformer.resblocks.1.VPT_shallow': [2, 128],
    },
    'maple',
  ],
  [
    { method: 'mudpt' },
    {
      'mudpt_prompt_learner.ctx': text(),
      'mudpt_prompt_learner.deep_prompts': [2, 2, 64],
      ...linear('mudpt_prompt_learner.embed_projection', 128, 64),
      ...linear('mudpt_prompt_learner.deep_projections', 128, 64),
      'image_encoder.visual_ctx': [2, 128],
      'image_encoder.visual_ctx_deep_prompts': [2, 2, 128],
      ...linear('image_encoder.visual_ctx_deep_projections', 64, 128),
    },
  ],
  [{ method: 'umudpt' }, learner('umudpt_prompt_learner')],
  [
    { method: 'maple' },
    {
      'prompt_learner.ctx': text(),
      'prompt_learner.compound_prompts_text.0': text(),
      'prompt_learner.compound_prompts_text.1': text(),
      ...linear('prompt_learner.proj', 128, 64),
      ...linear('prompt_learner.compound_prompt_projections.0', 128, 64),
      ...linear('prompt_learner.compound_prompt_projections.1', 128, 64),
    },
  ],
  [{ method: 'kgcoop' }, { ctx: text() }],
  [{ method: 'tcp' }, { ctx: text(), ...meta(12, 2 * 64) }],
  [
    { method: 'mmrl', space: 6, fromLayer: 2 },
    {
      'representation_learner.compound_rep_tokens': [2, 6],
      ...linear('representation_learner.compound_rep_tokens_r2tproj.0', 64, 6),
      ...linear('representation_learner.compound_rep_tokens_r2tproj.1', 64, 6),
      ...linear('representation_learner.compound_rep_tokens_r2vproj.0', 128, 6),
      ...linear('representation_learner.compound_rep_tokens_r2vproj.1', 128, 6),
      'image_encoder.proj_rep': [128, 48],
    },
  ],
  [
    { method: 'mmrlpp', space: 6, fromLayer: 3, rank: 2, projectionRank: 4 },
    {
      'representation_learner.compound_rep_tokens': [2, 6],
      'representation_learner.srra_r2tproj.weight': [64, 6],
      'representation_learner.srra_r2tproj.srra.0.A': [64, 2],
      'representation_learner.srra_r2tproj.srra.0.B': [2, 6],
      'representation_learner.srra_r2tproj.srra.0.bias': [64],
      'representation_learner.srra_r2vproj.weight': [128, 6],
      'representation_learner.srra_r2vproj.srra.0.A': [128, 2],
      'representation_learner.srra_r2vproj.srra.0.B': [2, 6],
      'representation_learner.srra_r2vproj.srra.0.bias': [128],
      'image_encoder.A': [128, 4],
      'image_encoder.B': [4, 48],
    },
  ],
  [
    { method: 'promptsrc', depth: 2 },
    {
      'prompt_learner.ctx': text(),
      'text_encoder.transformer.resblocks.1.VPT_shallow': text(),
      'image_encoder.VPT': [2, 128],
      'image_encoder.transformer.resblocks.1.VPT_shallow': [2, 128],
    },
  ],
  [
    { method: 'mudpt', injection: 'transformer' },
    {
      ...learner('uumudpt_prompt_learner'),
      'image_encoder.visual_ctx': [2, 128],
      'image_encoder.visual_ctx_deep_prompts': [2, 2, 128],
      ...norm('image_encoder.visual_ctx_ln_intra_pre', 128),
      ...light('image_encoder.visual_ctx_self_attn', 128),
      ...norm('image_encoder.visual_ctx_ln_intra_post', 128),
      ...linear('image_encoder.visual_ctx_text_proj', 64, 128),
    },
  ],
];
