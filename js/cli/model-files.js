/** What convert writes beside the weights of a model that came without it, in transformers' and in open_clip's form. */
import { MudptError } from '../base/errors.js';
import { FILTERS, FITS, RESAMPLE } from '../loading/preprocessing.js';

/** @typedef {import('../loading/configuration.js').Description} Description */

/** As transformers names them, by the values of ACTIVATIONS. */
const HIDDEN_ACTS = ['quick_gelu', 'gelu', 'gelu_pytorch_tanh'];

const blockOf = (activation = 0, epsilon = 0) => ({
  hidden_act: HIDDEN_ACTS[activation],
  layer_norm_eps: epsilon || 1e-5,
});

/**
 * A config.json of transformers' CLIPModel.
 * @param {Description['architecture']} sizes
 * @param {number[]} ids of the start and the end of a text
 */
export function transformersConfigOf(sizes, [start, end]) {
  return {
    architectures: ['CLIPModel'],
    model_type: 'clip',
    projection_dim: sizes.embed,
    text_config: {
      model_type: 'clip_text_model',
      bos_token_id: start,
      eos_token_id: end,
      ...blockOf(sizes.textActivation, sizes.textEpsilon),
      hidden_size: sizes.textWidth,
      intermediate_size: sizes.textMlp,
      max_position_embeddings: sizes.context,
      num_attention_heads: sizes.textHeads,
      num_hidden_layers: sizes.textLayers,
      projection_dim: sizes.embed,
      vocab_size: sizes.vocab,
    },
    vision_config: {
      model_type: 'clip_vision_model',
      ...blockOf(sizes.visionActivation, sizes.visionEpsilon),
      hidden_size: sizes.visionWidth,
      image_size: sizes.image,
      intermediate_size: sizes.visionMlp,
      num_attention_heads: sizes.visionHeads,
      num_hidden_layers: sizes.visionLayers,
      patch_size: sizes.patch,
      projection_dim: sizes.embed,
    },
  };
}

/**
 * A preprocessor_config.json of transformers' CLIPImageProcessor.
 * @param {Description['preprocessing']} preprocessing
 * @param {number} image
 */
export function processorOf({ mean, std, transform }, image) {
  const { fit = 0, height, width, filter = 0 } = transform;
  if (fit === FITS.longest) {
    throw new MudptError(
      'model',
      'transformers cannot resize pictures by their longer side (resize_mode "longest"), as this model wants',
      'convert it to the names of open_clip',
    );
  }
  const edge = height || image;
  return {
    image_processor_type: 'CLIPImageProcessor',
    do_resize: fit !== FITS.none,
    size: fit === FITS.exact ? { height: edge, width: width || edge } : { shortest_edge: edge },
    resample: RESAMPLE[FILTERS[filter]],
    do_center_crop: true,
    crop_size: { height: image, width: image },
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    do_convert_rgb: true,
    image_mean: mean,
    image_std: std,
  };
}

/**
 * An open_clip_config.json of weights that came with no file: CLIP's own way with pictures.
 * @param {Description['architecture']} sizes
 * @param {Description['preprocessing']} preprocessing
 */
export function openClipConfigOf(sizes, { mean, std }) {
  const { visionWidth, visionHeads, visionMlp, textWidth, textMlp } = sizes;
  /** @type {Record<string, any>} */
  const model = {
    embed_dim: sizes.embed,
    quick_gelu: !sizes.visionActivation,
    vision_cfg: {
      image_size: sizes.image,
      layers: sizes.visionLayers,
      width: visionWidth,
      head_width: visionWidth / visionHeads,
      patch_size: sizes.patch,
      mlp_ratio: visionMlp / visionWidth,
    },
    text_cfg: {
      context_length: sizes.context,
      vocab_size: sizes.vocab,
      width: textWidth,
      heads: sizes.textHeads,
      layers: sizes.textLayers,
      mlp_ratio: textMlp / textWidth,
    },
  };
  const pictures = { size: sizes.image, mode: 'RGB', mean, std, interpolation: 'bicubic', resize_mode: 'shortest' };
  return { model_cfg: model, preprocess_cfg: { ...pictures, fill_color: 0 } };
}
