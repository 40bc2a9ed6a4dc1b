/**
 * What names of trained tensors in the authors' state dictionaries have in common; exports.js has each method's. Shapes
 * and orders of values are the same on both sides. docs/exchange.md has the whole table.
 */

/** `{layer}` stands for 1, 2, …: there the rows of our one tensor of deep prompts are tensors of their own. */
export const LAYER = '{layer}';
/** The same counted from 0. */
export const FROM_ZERO = '{layer - 1}';
export const block = (tower, leaf) => `${tower}_encoder.transformer.resblocks.${LAYER}.${leaf}`;

/** Weight and bias of a layer. */
export const pair = (ours, theirs) => ({ [`${ours}.weight`]: `${theirs}.weight`, [`${ours}.bias`]: `${theirs}.bias` });

/** The light transformer: ours lie together, theirs in a module of their own beside what is before and behind it. */
const light = (ours, { pre, within, post, proj }) => ({
  ...pair(`${ours}.ln_pre`, pre),
  ...Object.fromEntries(
    ['attn.in_proj_weight', 'attn.in_proj_bias'].map((leaf) => [`${ours}.${leaf}`, `${within}.${leaf}`]),
  ),
  ...Object.assign(
    {},
    ...['attn.out_proj', 'ln_1', 'ln_2', 'mlp.c_fc', 'mlp.c_proj'].map((leaf) =>
      pair(`${ours}.${leaf}`, `${within}.${leaf}`),
    ),
  ),
  ...pair(`${ours}.ln_post`, post),
  ...pair(`${ours}.proj`, proj),
});

export const lightOfText = (learner) =>
  light('inject.text_to_visual', {
    pre: `${learner}.ln_pre`,
    within: `${learner}.self_attn`,
    post: `${learner}.ln_post`,
    proj: `${learner}.visual_proj`,
  });
export const lightOfVision = light('inject.visual_to_text', {
  pre: 'image_encoder.visual_ctx_ln_intra_pre',
  within: 'image_encoder.visual_ctx_self_attn',
  post: 'image_encoder.visual_ctx_ln_intra_post',
  proj: 'image_encoder.visual_ctx_text_proj',
});
export const textPrompts = (learner) => ({
  'text_prompts.0': `${learner}.ctx`,
  'text_prompts.deep': `${learner}.deep_prompts`,
});
export const visualPrompts = {
  'visual_prompts.0': 'image_encoder.visual_ctx',
  'visual_prompts.deep': 'image_encoder.visual_ctx_deep_prompts',
};
/** The image side's in MaPLe's code. */
export const mapleImage = {
  'visual_prompts.0': 'image_encoder.VPT',
  'visual_prompts.deep': block('image', 'VPT_shallow'),
};

/** Whether a tensor of a state dictionary was trained; the frozen model and buffers of class names were not. */
export const isTrained = (name) =>
  (/(^|[._])(ctx|VPT|VPT_shallow|meta_net|visual_ctx\w*|compound_prompts_text)(\.|$)|prompt_learner\./.test(name) ||
    /representation_learner\.|^image_encoder\.(proj_rep|A|B)$/.test(name)) &&
  !/token_(prefix|suffix)$/.test(name);
