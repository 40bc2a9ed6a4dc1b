/**
 * What an open_clip_config.json says: sizes from its model_cfg, the treatment of pictures from its preprocess_cfg. Keys
 * are those of open_clip's CLIPVisionCfg, CLIPTextCfg and PreprocessCfg, of this version and of those before.
 */
import { MudptError } from '../base/errors.js';
import { CLIP_MEAN, CLIP_STD, FITS, checkKeys, colours, sizeAt, unsupported, words } from './preprocessing.js';

/** What open_clip's two towers share: a block that is anything but CLIP's is asked for by one of these. */
const PLAIN_BLOCK = {
  ...{ ls_init_value: [], act_kwargs: [{}], norm_kwargs: [{}, { eps: 1e-5 }], block_type: ['default'] },
  ...{ qk_norm: [false], scaled_cosine_attn: [false], scale_heads: [false], scale_attn_inner: [false] },
  ...{ scale_attn: [false], scale_fc: [false] },
};
const VISION_CFG = {
  defaults: { image_size: 224, patch_size: 16, width: 768, head_width: 64, layers: 12, mlp_ratio: 4 },
  // final_ln_after_pool: a norm of rows is the same before one of them is taken. sin_cos_2d: stored like any other.
  harmless: words(`patch_dropout attn_pooler_queries attn_pooler_heads final_ln_after_pool output_tokens
    timm_model_pretrained timm_pool timm_proj timm_proj_bias timm_drop timm_drop_path`),
  neutral: {
    ...{ ...PLAIN_BLOCK, attentional_pool: [false], global_average_pool: [false], input_patchnorm: [false] },
    ...{ no_ln_pre: [false], pos_embed_type: ['learnable', 'sin_cos_2d'], pool_type: ['tok'], timm_model_name: [''] },
  },
};
const TEXT_CFG = {
  defaults: { context_length: 77, vocab_size: 49408, width: 512, heads: 8, layers: 12, mlp_ratio: 4 },
  harmless: words(`pad_id eos_id final_ln_after_pool output_tokens hf_model_pretrained hf_proj_type hf_pooler_type`),
  neutral: {
    ...{ ...PLAIN_BLOCK, embed_cls: [false], no_causal_mask: [false], pool_type: ['argmax', 'eos'] },
    ...{ proj_type: ['linear'], proj: ['linear'], proj_bias: [false], hf_model_name: [''] },
    ...{ hf_tokenizer_name: [''], tokenizer_mode: [], tokenizer_kwargs: [{}] },
  },
};
const MODEL_CFG = {
  used: ['embed_dim', 'quick_gelu', 'vision_cfg', 'text_cfg'],
  // init_logit_bias: what is added to every logit alike changes no softmax.
  harmless: words('custom_text init_logit_scale init_logit_bias nonscalar_logit_scale output_dict cast_dtype'),
};

/**
 * Sizes from the model_cfg of an open_clip_config.json.
 * @param {any} document
 * @param {string} name
 * @returns {ReturnType<typeof import('./configuration.js').architectureFromConfig>}
 */
export function architectureFromModelCfg(document, name) {
  if (document?.quick_gelu !== true) {
    const what = `${name} does not have model_cfg.quick_gelu true`;
    throw new MudptError('model', what, "use a model with OpenAI's activation");
  }
  checkKeys(name, 'model_cfg.', document, MODEL_CFG);
  const all = { embed_dim: document.embed_dim };
  for (const [part, { defaults, ...keys }] of Object.entries({ vision_cfg: VISION_CFG, text_cfg: TEXT_CFG })) {
    const given = document[part];
    if (given === null || typeof given !== 'object') throw unsupported(name, `model_cfg.${part}`, given, 'an object');
    checkKeys(name, `model_cfg.${part}.`, given, { used: Object.keys(defaults), ...keys });
    all[part] = { ...defaults, ...given };
  }
  const { vision_cfg: vision, text_cfg: text } = all;
  if (Array.isArray(vision.layers))
    throw unsupported(name, 'model_cfg.vision_cfg.layers', vision.layers, 'a number: only ViTs are supported');
  const at = (path) => sizeAt(name, { model_cfg: all }, `model_cfg.${path}`);
  const mlp = (part) => {
    const inner = Math.floor(at(`${part}.width`) * all[part].mlp_ratio);
    if (inner > 0) return inner;
    throw unsupported(name, `model_cfg.${part}.mlp_ratio`, all[part].mlp_ratio, 'a number above 0');
  };
  return {
    image: at('vision_cfg.image_size'),
    patch: at('vision_cfg.patch_size'),
    visionWidth: at('vision_cfg.width'),
    visionLayers: at('vision_cfg.layers'),
    visionHeads: Math.floor(at('vision_cfg.width') / at('vision_cfg.head_width')),
    visionMlp: mlp('vision_cfg'),
    textWidth: at('text_cfg.width'),
    textLayers: at('text_cfg.layers'),
    textHeads: at('text_cfg.heads'),
    textMlp: mlp('text_cfg'),
    embed: at('embed_dim'),
    context: at('text_cfg.context_length'),
    vocab: at('text_cfg.vocab_size'),
  };
}

/** The id at which features are read, where that is not the largest one. @returns {number | undefined} */
export function eosId(document) {
  const { pool_type: pool, eos_id: id = 2 } = document.text_cfg;
  return pool === 'eos' ? id : undefined;
}

const INTERPOLATIONS = { bicubic: 0, bilinear: 1, random: 0 }; // random is for training
const RESIZE_MODES = { shortest: FITS.shortest, longest: FITS.longest, squash: FITS.exact };

/**
 * From the preprocess_cfg of open_clip_config.json. Its `size` is not read: open_clip puts the model's in its place.
 * @param {any} document
 * @param {string} name for messages
 * @returns {import('./preprocessing.js').Preprocessing}
 */
export function fromPreprocessCfg(document, name) {
  const part = 'preprocess_cfg.';
  const used = ['mean', 'std', 'interpolation', 'resize_mode', 'fill_color'];
  checkKeys(name, part, document, { used, harmless: ['size'], neutral: { mode: ['RGB'] } });
  const one = (key, choices, otherwise) => {
    const value = document[key] || otherwise;
    if (typeof value === 'string' && Object.hasOwn(choices, value)) return choices[value];
    throw unsupported(name, part + key, value, Object.keys(choices).join(', '));
  };
  const fill = colours(name, `${part}fill_color`, document.fill_color ?? 0);
  if (!fill.every((value) => Number.isInteger(value) && value >= 0 && value <= 255))
    throw unsupported(name, `${part}fill_color`, document.fill_color, 'whole numbers from 0 to 255');
  return {
    mean: colours(name, `${part}mean`, document.mean || CLIP_MEAN),
    std: colours(name, `${part}std`, document.std || CLIP_STD),
    transform: {
      fit: one('resize_mode', RESIZE_MODES, 'shortest'),
      filter: one('interpolation', INTERPOLATIONS, 'bicubic'),
      ...{ height: 0, width: 0, fill },
    },
  };
}
