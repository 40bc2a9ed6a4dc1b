/**
 * Weights that come alone, but under a name that open_clip knows (`ViT-B-32-256.safetensors`): the configuration that
 * open_clip has for it, as far as shapes do not tell.
 */
const HALF = [0.5, 0.5, 0.5];
const SQUASHED = { mean: HALF, std: HALF, resize_mode: 'squash' };
const LAST = { no_causal_mask: true, pool_type: 'last' };
const SIGLIP = { ...LAST, proj_bias: true, norm_kwargs: { eps: 1e-6 }, tokenizer_kwargs: { clean: 'canonicalize' } };
const CLIPA = {
  vision: { no_ln_pre: true, pool_type: 'avg', final_ln_after_pool: true },
  text: { ...LAST, tokenizer_kwargs: { strip_sep_token: true } },
  pictures: {
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
    interpolation: 'bilinear',
    resize_mode: 'squash',
  },
};
/** MetaCLIP 2. */
const WORLDWIDE = { pool_type: 'eos', eos_id: 2, hf_tokenizer_name: 'xlm-v' };
/** Sizes as open_clip's and as timm's names have them. */
const SIZES = {
  ...{ B: 'base', L: 'large', SO400M: 'so400m', gopt: 'giantopt', T: 'tiny', S: 'small', bigG: 'gigantic' },
  G: 'gigantic', // as Meta's own files have it
};

/**
 * @param {string} name
 * @returns {{ quick?: boolean, vision?: object, text?: object, pictures?: object, mostHeads?: number } | null}
 */
function traitsOf(name) {
  const siglip = /ViT-(B|L|SO400M|gopt)-(\d+)-SigLIP(2?)(?:-i18n)?(?:-(\d+))?(?![\w-])/.exec(name);
  if (siglip) {
    const [, size, patch, second, image = 224] = siglip;
    const trunk = `vit_${SIZES[size]}_patch${patch}_siglip_${image}`;
    const act = second && { act_kwargs: { approximate: 'tanh' } };
    return {
      vision: { image_size: Number(image), timm_model_name: trunk, timm_pool: 'map', timm_proj: 'none' },
      text: { ...SIGLIP, ...act, hf_tokenizer_name: `siglip${second}` },
      pictures: SQUASHED,
      mostHeads: 16,
    };
  }
  const pe = /PE-Core-(T|S|B|L|bigG|G)-?(\d+)(?:-(\d+))?(?![\w-])/.exec(name);
  if (pe) {
    const [, size, patch, image = 224] = pe;
    const trunk = `vit_pe_core_${SIZES[size]}_patch${patch}_${image}`;
    return {
      vision: { image_size: Number(image), timm_model_name: trunk, timm_pool: 'map', timm_proj: null },
      pictures: { ...SQUASHED, interpolation: 'bilinear' },
    };
  }
  if (/ViT-(L|H|bigG)-14-CLIPA/.test(name)) return CLIPA;
  if (!/(^|[\W_])ViT-(S|M|B|L|H|g|e|bigG)-(14|16|32)(?!\d)/.test(name)) return null;
  return { quick: name.includes('quickgelu'), ...(name.includes('worldwide') && { text: WORLDWIDE }) };
}

/**
 * What an open_clip_config.json would say.
 * @param {string[]} names of the file, the folder
 * @param {import('./shapes.js').Shapes} shapes
 */
export function knownDocument(names, shapes) {
  const name = names.find(traitsOf);
  const found = name && traitsOf(name);
  if (!found) return null;
  const { quick = false, vision, text, pictures = {}, mostHeads = Infinity } = found;
  const sizes = shapes.whole();
  // Some of a name have no projection: a bias of none is not looked for.
  const bare = !shapes.has('text_projection.weight') && !shapes.has('text_projection');
  const scaled = (tower) => shapes.has(`${tower}transformer.resblocks.0.ls_1.gamma`) && { ls_init_value: 1 };
  return {
    name,
    model_cfg: {
      embed_dim: sizes.embed,
      quick_gelu: quick,
      vision_cfg: {
        image_size: sizes.image,
        patch_size: sizes.patch,
        width: sizes.visionWidth,
        head_width: sizes.visionWidth / sizes.visionHeads,
        layers: sizes.visionLayers,
        mlp_ratio: sizes.visionMlp / sizes.visionWidth,
        ...scaled('visual.'),
        ...vision,
      },
      text_cfg: {
        context_length: sizes.context,
        vocab_size: sizes.vocab,
        width: sizes.textWidth,
        heads: Math.min(sizes.textHeads, mostHeads),
        layers: sizes.textLayers,
        mlp_ratio: sizes.textMlp / sizes.textWidth,
        ...scaled(''),
        ...text,
        ...(bare && { proj_type: 'none', proj_bias: false }),
      },
    },
    preprocess_cfg: pictures,
  };
}
