/**
 * What an open_clip_config.json says: sizes from its model_cfg, the treatment of pictures from its preprocess_cfg. Keys
 * are those of open_clip's CLIPVisionCfg, CLIPTextCfg and PreprocessCfg, of this version and of those before.
 */
import { ACTIVATIONS, POOLING } from '../core/core.js';
import { checkKeys, named, readerOf, unsupported, words } from './keys.js';
import { CLIP_MEAN, CLIP_STD, FITS, colours } from './preprocessing.js';

/** What open_clip's two towers share: a block that is anything but CLIP's is asked for by one of the latter. */
const BLOCK = words('act_kwargs norm_kwargs ls_init_value');
const PLAIN_BLOCK = {
  ...{ block_type: ['default'], qk_norm: [false], scaled_cosine_attn: [false], scale_heads: [false] },
  ...{ scale_attn_inner: [false], scale_attn: [false], scale_fc: [false] },
};
const VISION_CFG = {
  defaults: {
    ...{ image_size: 224, patch_size: 16, width: 768, head_width: 64, layers: 12, mlp_ratio: 4, pool_type: 'tok' },
    ...{ timm_pool: 'avg', timm_proj: 'linear' },
  },
  used: [...BLOCK, ...words('no_ln_pre final_ln_after_pool timm_model_name timm_proj_bias')],
  harmless: words(`patch_dropout attn_pooler_queries attn_pooler_heads output_tokens timm_model_pretrained timm_drop
    timm_drop_path`),
  neutral: {
    ...{ ...PLAIN_BLOCK, attentional_pool: [false], global_average_pool: [false], input_patchnorm: [false] },
    pos_embed_type: ['learnable', 'sin_cos_2d'], // the latter is stored like any other
  },
};
const TEXT_CFG = {
  defaults: {
    ...{ context_length: 77, vocab_size: 49408, width: 512, heads: 8, layers: 12, mlp_ratio: 4 },
    ...{ pool_type: 'argmax', proj_type: 'linear', hf_tokenizer_name: '' },
  },
  used: [...BLOCK, ...words('no_causal_mask proj_bias')],
  // final_ln_after_pool: a norm of rows is the same before one of them is taken.
  harmless: words(`pad_id eos_id final_ln_after_pool output_tokens tokenizer_mode hf_model_pretrained hf_proj_type
    hf_pooler_type`),
  neutral: {
    ...{ ...PLAIN_BLOCK, embed_cls: [false], proj: ['linear'], hf_model_name: [''] },
    tokenizer_kwargs: [{}, { clean: 'canonicalize' }, { strip_sep_token: true }],
  },
};
const MODEL_CFG = {
  used: words('embed_dim quick_gelu vision_cfg text_cfg init_logit_bias'),
  harmless: words('custom_text init_logit_scale nonscalar_logit_scale output_dict cast_dtype'),
};
/** Tokenizers by their names: whether sentences have no token in front, and what they are filled up with. */
const TOKENIZERS = /** @type {[RegExp, object][]} */ ([
  [/siglip2|t5/i, { noStart: 1 }],
  [/siglip/i, { noStart: 1, pad: 1 }],
  [/xlm/i, { pad: 1 }],
  [/^/, {}],
]);

/**
 * Sizes from the model_cfg of an open_clip_config.json.
 * @param {any} document
 * @param {string} name
 * @param {(read: import('./keys.js').Reader) => import('./configuration.js').Architecture} [trunkOf] reads one of
 *   timm's towers
 * @returns {import('./configuration.js').Architecture}
 */
export function architectureFromModelCfg(document, name, trunkOf = refuseTrunk) {
  if (document === null || typeof document !== 'object') throw unsupported(name, 'model_cfg', document, 'an object');
  checkKeys(name, 'model_cfg.', document, MODEL_CFG);
  const all = { ...document };
  for (const [part, { defaults, used, ...keys }] of Object.entries({ vision_cfg: VISION_CFG, text_cfg: TEXT_CFG })) {
    const given = document[part];
    if (given === null || typeof given !== 'object') throw unsupported(name, `model_cfg.${part}`, given, 'an object');
    checkKeys(name, `model_cfg.${part}.`, given, { used: [...Object.keys(defaults), ...used], ...keys });
    all[part] = { ...defaults, ...given };
  }
  const read = readerOf(name, all, 'model_cfg.');
  const textPooling = read.choice('text_cfg.pool_type', {
    ...{ argmax: POOLING.token, eos: POOLING.token, last: POOLING.last },
  });
  const textNoProjection = read.choice('text_cfg.proj_type', { linear: 0, none: 1 });
  const vision = all.vision_cfg.timm_model_name ? trunkOf(read) : visionOf(read);
  const [, tokenizer] = TOKENIZERS.find(([pattern]) => pattern.test(all.text_cfg.hf_tokenizer_name)) ?? [];
  return {
    image: read.size('vision_cfg.image_size'),
    ...vision,
    textWidth: read.size('text_cfg.width'),
    textLayers: read.size('text_cfg.layers'),
    textHeads: read.size('text_cfg.heads'),
    textMlp: mlpOf(read, 'text_cfg'),
    ...named('text', blockOf(read, 'text_cfg')),
    textPooling,
    textNoProjection,
    textProjectionBias: textNoProjection ? 0 : read.flag('text_cfg.proj_bias'),
    noMask: read.flag('text_cfg.no_causal_mask'),
    ...tokenizer,
    embed: read.size('embed_dim'),
    context: read.size('text_cfg.context_length'),
    vocab: read.size('text_cfg.vocab_size'),
    logitBias: Number((all.init_logit_bias ?? null) !== null),
  };
}

/** @typedef {import('./keys.js').Reader} Reader */

/** @param {Reader} read @returns {never} */
function refuseTrunk(read) {
  throw read.refuse('vision_cfg.timm_model_name', 'none');
}

/** open_clip's own image tower. @param {Reader} read */
function visionOf(read) {
  if (Array.isArray(read.value('vision_cfg.layers')))
    throw read.refuse('vision_cfg.layers', 'a number: only ViTs are supported');
  const visionPooling = read.choice('vision_cfg.pool_type', { tok: POOLING.token, avg: POOLING.mean });
  const normAfterPool = read.flag('vision_cfg.final_ln_after_pool');
  return {
    patch: read.size('vision_cfg.patch_size'),
    visionWidth: read.size('vision_cfg.width'),
    visionLayers: read.size('vision_cfg.layers'),
    visionHeads: Math.floor(read.size('vision_cfg.width') / read.size('vision_cfg.head_width')),
    visionMlp: mlpOf(read, 'vision_cfg'),
    ...named('vision', blockOf(read, 'vision_cfg')),
    visionPooling,
    noPreNorm: read.flag('vision_cfg.no_ln_pre'),
    // A norm of rows is the same before one of them is taken.
    normAfterPool: visionPooling === POOLING.mean ? normAfterPool : 0,
  };
}

/** @param {Reader} read @param {string} part */
function mlpOf(read, part) {
  const inner = Math.floor(read.size(`${part}.width`) * read.value(`${part}.mlp_ratio`));
  if (inner > 0 && inner < 2 ** 31) return inner;
  throw read.refuse(`${part}.mlp_ratio`, 'a number above 0');
}

/** What both towers' blocks have. @param {Reader} read @param {string} part */
function blockOf(read, part) {
  const quick = read.flag('quick_gelu');
  read.keys(`${part}.act_kwargs`, quick ? [] : ['approximate']);
  read.keys(`${part}.norm_kwargs`, ['eps']);
  const gelus = { none: ACTIVATIONS.gelu, tanh: ACTIVATIONS.gelu_tanh };
  const isPlain = (read.value(`${part}.act_kwargs.approximate`) ?? null) === null;
  const gelu = isPlain ? ACTIVATIONS.gelu : read.choice(`${part}.act_kwargs.approximate`, gelus);
  return {
    activation: quick ? ACTIVATIONS.quick_gelu : gelu,
    epsilon: read.epsilon(`${part}.norm_kwargs.eps`),
    layerScale: Number((read.value(`${part}.ls_init_value`) ?? null) !== null),
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
