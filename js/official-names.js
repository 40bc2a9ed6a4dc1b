/**
 * Names of the trained tensors in the authors' state dictionaries: the table of docs/exchange.md as code, by the
 * library's names of methods and tensors. Shapes and orders of values are the same on both sides.
 */

/** `{layer}` stands for 1, 2, …: there the rows of our one tensor of deep prompts are tensors of their own. */
export const LAYER = '{layer}';
const block = (tower, leaf) => `${tower}_encoder.transformer.resblocks.${LAYER}.${leaf}`;

/** Weight and bias of a layer. */
const pair = (ours, theirs) => ({ [`${ours}.weight`]: `${theirs}.weight`, [`${ours}.bias`]: `${theirs}.bias` });

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

const fromText = (learner) =>
  light('inject.text_to_visual', {
    pre: `${learner}.ln_pre`,
    within: `${learner}.self_attn`,
    post: `${learner}.ln_post`,
    proj: `${learner}.visual_proj`,
  });
const fromVision = light('inject.visual_to_text', {
  pre: 'image_encoder.visual_ctx_ln_intra_pre',
  within: 'image_encoder.visual_ctx_self_attn',
  post: 'image_encoder.visual_ctx_ln_intra_post',
  proj: 'image_encoder.visual_ctx_text_proj',
});
const textPrompts = (learner) => ({
  'text_prompts.0': `${learner}.ctx`,
  'text_prompts.deep': `${learner}.deep_prompts`,
});
const visualPrompts = {
  'visual_prompts.0': 'image_encoder.visual_ctx',
  'visual_prompts.deep': 'image_encoder.visual_ctx_deep_prompts',
};
/** Their code always injects at layer 0. */
export const LAYER0 = pair('inject.layer0', 'mudpt_prompt_learner.embed_projection');

/** CoOp's and MuDPT's repositories; of CoOp and CoCoOp only the prompt learner is saved there, without a prefix. */
const OFFICIAL = {
  coop: { context: 'ctx' },
  cocoop: {
    context: 'ctx',
    ...pair('meta_net.0', 'meta_net.linear1'),
    ...pair('meta_net.1', 'meta_net.linear2'),
  },
  vpt: {
    'visual_prompts.0': 'image_encoder.visual_ctx',
    'visual_prompts.deep': block('image', 'visual_ctx'),
  },
  ivlp: {
    'text_prompts.0': 'text_prompt_learner.visual_ctx',
    'text_prompts.deep': block('text', 'visual_ctx'),
    'visual_prompts.0': 'image_encoder.visual_ctx',
    'visual_prompts.deep': block('image', 'visual_ctx'),
  },
  mudpt: {
    ...textPrompts('mudpt_prompt_learner'),
    ...visualPrompts,
    ...LAYER0,
    ...pair('inject.text_to_visual', 'mudpt_prompt_learner.deep_projections'),
    ...pair('inject.visual_to_text', 'image_encoder.visual_ctx_deep_projections'),
  },
  umudpt: { ...textPrompts('umudpt_prompt_learner'), ...fromText('umudpt_prompt_learner') },
  uumudpt: {
    ...textPrompts('uumudpt_prompt_learner'),
    ...visualPrompts,
    ...fromText('uumudpt_prompt_learner'),
    ...fromVision,
  },
};

/** MaPLe's repository has VPT and IVLP as well. */
const MAPLE = {
  vpt: { 'visual_prompts.0': 'image_encoder.VPT', 'visual_prompts.deep': block('image', 'VPT_shallow') },
  ivlp: {
    'text_prompts.0': 'prompt_learner.ctx',
    'text_prompts.deep': block('text', 'VPT_shallow'),
    'visual_prompts.0': 'image_encoder.VPT',
    'visual_prompts.deep': block('image', 'VPT_shallow'),
  },
};

/** Whose code: the methods' own authors' (MuDPT's has all of them), or MaPLe's. */
export const FORMATS = { official: OFFICIAL, maple: MAPLE };

/**
 * Every way in which a file may have a method's tensors.
 * @param {string} method the library's name
 * @returns {Record<string, string>[]} our names to theirs
 */
export function namesOf(method) {
  const official = OFFICIAL[method];
  const ways = [official];
  if (MAPLE[method]) ways.push(MAPLE[method]);
  if (official.context) {
    // of the whole model
    const entries = Object.entries(official).map(([ours, theirs]) => [ours, `prompt_learner.${theirs}`]);
    ways.push(Object.fromEntries(entries));
  }
  return ways;
}

/** Whether a tensor of a state dictionary was trained; the frozen model and buffers of class names were not. */
export const isTrained = (name) =>
  /(^|[._])(ctx|VPT|VPT_shallow|meta_net|visual_ctx\w*|compound_prompts_text)(\.|$)|prompt_learner\./.test(name) &&
  !/token_(prefix|suffix)$/.test(name);
