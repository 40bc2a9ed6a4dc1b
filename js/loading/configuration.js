/**
 * What a model is: sizes, activation and the treatment of pictures, from transformers' config.json, open_clip's
 * open_clip_config.json or, where there is neither, the shapes of the tensors. A key that is not known and not on a
 * list of harmless ones is refused by its name: whatever it changes would be a wrong number without a word.
 */
import { MudptError } from '../base/errors.js';
import { readJson } from '../files/source.js';
import { architectureFromModelCfg, eosId, fromPreprocessCfg } from './open-clip.js';
import { CLIP_PREPROCESSING, checkKeys, fromImageProcessor, sizeAt, unsupported, words } from './preprocessing.js';

const HEAD_WIDTH = 64;

// ------------------------------------------------------------------------------------------ transformers

/** Transformers' CLIPConfig: what keys that are absent stand for. */
const TEXT_DEFAULTS = {
  vocab_size: 49408,
  hidden_size: 512,
  intermediate_size: 2048,
  num_hidden_layers: 12,
  num_attention_heads: 8,
  max_position_embeddings: 77,
  hidden_act: 'quick_gelu',
  layer_norm_eps: 1e-5,
};
const VISION_DEFAULTS = {
  hidden_size: 768,
  intermediate_size: 3072,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  num_channels: 3,
  image_size: 224,
  patch_size: 32,
  hidden_act: 'quick_gelu',
  layer_norm_eps: 1e-5,
};
/** Of every configuration that transformers has written: how it was made, trained, or is to be run or printed. */
const HARMLESS = words(`architectures dtype torch_dtype transformers_version _name_or_path name_or_path _commit_hash
  initializer_factor initializer_range logit_scale_init_value projection_dim attention_dropout dropout
  bos_token_id pad_token_id sep_token_id cls_token_id decoder_start_token_id forced_bos_token_id forced_eos_token_id
  return_dict return_dict_in_generate output_attentions output_hidden_states output_scores use_return_dict use_cache
  use_bfloat16 torchscript tf_legacy_loss gradient_checkpointing attn_implementation _attn_implementation
  _attn_implementation_autoset _attn_implementation_internal id2label label2id num_labels problem_type
  finetuning_task task_specific_params tokenizer_class prefix tie_word_embeddings tie_encoder_decoder max_length
  min_length do_sample early_stopping num_beams num_beam_groups diversity_penalty temperature top_k top_p typical_p
  repetition_penalty length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids
  num_return_sequences suppress_tokens begin_suppress_tokens exponential_decay_length_penalty remove_invalid_values
  chunk_size_feed_forward transformers.js_config library_name license`);
const ONE_TOWER = {
  ...{ hidden_act: ['quick_gelu'], layer_norm_eps: [1e-5] },
  ...{ is_decoder: [false], is_encoder_decoder: [false], add_cross_attention: [false], pruned_heads: [{}] },
};
const PARTS = ['text_config', 'vision_config'];

/** @param {any} document */
export const isClipConfig = (document) =>
  document.model_type === 'clip' || Boolean(document.text_config && document.vision_config);

/**
 * Sizes from a config.json of transformers' CLIPModel.
 * @param {any} document
 * @param {string} name
 */
export function architectureFromConfig(document, name) {
  if (!isClipConfig(document) || (document.model_type ?? 'clip') !== 'clip') {
    throw new MudptError(
      'model',
      `${name} describes a model of type ${JSON.stringify(document.model_type)}, expected "clip"`,
      'only CLIP with an image and a text tower is supported',
    );
  }
  const used = ['model_type', ...PARTS, ...PARTS.map((part) => `${part}_dict`)];
  const neutral = { is_decoder: [false], is_encoder_decoder: [false], add_cross_attention: [false] };
  checkKeys(name, '', document, { used, harmless: [...HARMLESS, 'eos_token_id'], neutral });
  const all = { projection_dim: document.projection_dim ?? 512 };
  for (const [part, defaults] of Object.entries({ text_config: TEXT_DEFAULTS, vision_config: VISION_DEFAULTS })) {
    // Where older files repeat a part, transformers fills the repetition up with defaults and lets it go before.
    const repeated = document[`${part}_dict`];
    all[part] = { ...defaults, ...document[part], ...(repeated && { ...defaults, ...repeated }) };
    checkKeys(name, `${part}.`, all[part], {
      used: [...Object.keys(defaults), 'eos_token_id'].filter((key) => !Object.hasOwn(ONE_TOWER, key)),
      harmless: HARMLESS,
      neutral: { ...ONE_TOWER, model_type: [part.replace('config', 'model').replace(/^/, 'clip_')] },
    });
  }
  const at = (path) => sizeAt(name, all, path);
  if (at('vision_config.num_channels') !== 3)
    throw unsupported(name, 'vision_config.num_channels', all.vision_config.num_channels, '3');
  return {
    image: at('vision_config.image_size'),
    patch: at('vision_config.patch_size'),
    visionWidth: at('vision_config.hidden_size'),
    visionLayers: at('vision_config.num_hidden_layers'),
    visionHeads: at('vision_config.num_attention_heads'),
    visionMlp: at('vision_config.intermediate_size'),
    textWidth: at('text_config.hidden_size'),
    textLayers: at('text_config.num_hidden_layers'),
    textHeads: at('text_config.num_attention_heads'),
    textMlp: at('text_config.intermediate_size'),
    embed: at('projection_dim'),
    context: at('text_config.max_position_embeddings'),
    vocab: at('text_config.vocab_size'),
  };
}

// ------------------------------------------------------------------------------------------ tensors

/** [what, Hugging Face's name, OpenAI's name] of the tensors whose shapes tell all sizes. */
const TELLING = {
  conv: ['vision_model.embeddings.patch_embedding.weight', 'visual.conv1.weight'],
  patches: ['vision_model.embeddings.position_embedding.weight', 'visual.positional_embedding'],
  visionMlp: ['vision_model.encoder.layers.0.mlp.fc1.weight', 'visual.transformer.resblocks.0.mlp.c_fc.weight'],
  tokens: ['text_model.embeddings.token_embedding.weight', 'token_embedding.weight'],
  positions: ['text_model.embeddings.position_embedding.weight', 'positional_embedding'],
  textMlp: ['text_model.encoder.layers.0.mlp.fc1.weight', 'transformer.resblocks.0.mlp.c_fc.weight'],
  projection: ['text_projection.weight', 'text_projection'],
};
const VISION_LAYER = /^(?:vision_model\.encoder\.layers|visual\.transformer\.resblocks)\.(\d+)\./;
const TEXT_LAYER = /^(?:text_model\.encoder\.layers|(?:text\.)?transformer\.resblocks)\.(\d+)\./;

/** Whether it is the token embedding's name. @param {string} name */
export const isTokenTable = (name) => TELLING.tokens.includes(name.replace(/^text\./, ''));

/** What OpenAI's archives hold beside the weights, and nobody else's: all of OpenAI's code follows then. */
const isOpenAi = (name) => /^(input_resolution|context_length|vocab_size)$/.test(name);
/** Buffers and settings that some programs store beside the weights, and a bias that no softmax shows. */
export const isNoWeight = (/** @type {string} */ name) =>
  isOpenAi(name) || /(^|\.)(position_ids|attn_mask)$|^logit_bias$/.test(name);

/** A tensor that nothing reads. @param {string} file @param {string} name */
export function foreignTensor(file, name) {
  const what = `${file}: tensor ${name} belongs to no CLIP that can be computed here`;
  const hint = 'layer scales, adapters, further projections and the like change every feature: use another model';
  return new MudptError('model', what, hint);
}

/**
 * Sizes from the shapes of a model's tensors.
 * @param {import('./safetensors.js').Tensor[]} tensors
 * @param {string} name
 */
export function architectureFromTensors(tensors, name) {
  const shapes = new Map(tensors.map((tensor) => [tensor.name, tensor.shape]));
  /** @param {keyof typeof TELLING} what @param {number} dims @returns {number[]} */
  const shape = (what, dims) => {
    const [theirs, openai] = TELLING[what];
    const found = shapes.get(theirs) ?? shapes.get(openai) ?? shapes.get(`text.${openai}`);
    if (found?.length === dims) return found;
    throw new MudptError(
      'model',
      `${name} is no CLIP with an image transformer: it has no tensor ${openai}`,
      'give a CLIP of the ViT kind, in the layout of Hugging Face, OpenAI or open_clip',
    );
  };
  const layers = (pattern) =>
    tensors.reduce((most, tensor) => Math.max(most, 1 + Number(pattern.exec(tensor.name)?.[1] ?? -1)), 0);
  const [visionWidth, , patch] = shape('conv', 4);
  const [vocab, textWidth] = shape('tokens', 2);
  const side = Math.sqrt(shape('patches', 2)[0] - 1);
  if (!Number.isInteger(side) || visionWidth % HEAD_WIDTH || textWidth % HEAD_WIDTH) {
    throw new MudptError(
      'model',
      `the sizes of ${name} cannot be told from its tensors alone`,
      "add the model's config.json or open_clip_config.json",
    );
  }
  return {
    image: side * patch,
    patch,
    visionWidth,
    visionLayers: layers(VISION_LAYER),
    visionHeads: visionWidth / HEAD_WIDTH,
    visionMlp: shape('visionMlp', 2)[0],
    textWidth,
    textLayers: layers(TEXT_LAYER),
    textHeads: textWidth / HEAD_WIDTH,
    textMlp: shape('textMlp', 2)[0],
    // [embed, width] in one layout, [width, embed] in the other
    embed: shapes.has(TELLING.projection[0]) ? shape('projection', 2)[0] : shape('projection', 2)[1],
    context: shape('positions', 2)[0],
    vocab,
  };
}

// ------------------------------------------------------------------------------------------ a model's files

/**
 * @typedef {object} Description
 * @property {ReturnType<typeof architectureFromConfig>} architecture
 * @property {import('./preprocessing.js').Preprocessing} preprocessing
 * @property {string[]} assumed what no file said, as ends of sentences
 * @property {number | undefined} end the id of the end of text, where a file says it
 * @property {{ config: any, openClip: any, processor: any }} documents that it was read from, null where there was none
 */

/**
 * What the files beside the weights say of the model. Those that belong to the weights' names go before others.
 * @param {import('../files/source.js').Source} source
 * @param {import('./safetensors.js').Header[]} headers
 * @param {string} weights the file's name, for messages
 * @returns {Promise<Description>}
 */
export async function describeModel(source, headers, weights) {
  const tensors = headers.flatMap((header) => header.tensors);
  const theirs = tensors.some(({ name }) => name.startsWith('vision_model.'));
  const isTold = tensors.some(({ name }) => isOpenAi(name));
  const document = await readJson(source, 'config.json');
  const isClip = document && isClipConfig(document);
  const openClip = theirs && isClip ? null : await readJson(source, 'open_clip_config.json');
  const assumed = [];
  let architecture;
  let end;
  /** @type {any} */
  let config = null;
  if (openClip) {
    architecture = architectureFromModelCfg(openClip.model_cfg, `${source.name}: open_clip_config.json`);
    end = eosId(openClip.model_cfg);
  } else if (document && (isClip || !source.weights)) {
    // Beside weights that were named themselves, a config.json may belong to something else.
    config = document;
    architecture = architectureFromConfig(document, `${source.name}: config.json`);
  } else {
    architecture = architectureFromTensors(tensors, weights);
    if (!isTold) assumed.push('QuickGELU as the activation (open_clip’s own models have another)', 'heads of width 64');
  }
  const { preprocessing, processor } = await readPreprocessing(source, theirs, openClip, architecture.image);
  if (!preprocessing && !isTold) assumed.push('CLIP’s own mean, deviation and resizing of pictures');
  const eos = config?.text_config_dict?.eos_token_id ?? config?.text_config?.eos_token_id;
  return {
    architecture,
    preprocessing: preprocessing ?? CLIP_PREPROCESSING,
    assumed,
    end: end ?? (eos === 2 ? undefined : eos), // 2: older files' way to say "the largest id"
    documents: { config, openClip, processor },
  };
}

/** Transformers' file goes before open_clip's where the weights have transformers' names, and the other way round. */
async function readPreprocessing(source, theirs, openClip, image) {
  const fromOpenClip = (document) => {
    // Without a preprocess_cfg, open_clip takes its own: OpenAI's.
    const cfg = document.preprocess_cfg ?? {};
    return { preprocessing: fromPreprocessCfg(cfg, `${source.name}: open_clip_config.json`), processor: null };
  };
  if (!theirs && openClip) return fromOpenClip(openClip);
  const whole = await readJson(source, 'processor_config.json');
  const nested = whole?.image_processor;
  const processor = nested ?? (await readJson(source, 'preprocessor_config.json'));
  if (processor) {
    const name = `${source.name}: ${nested ? 'processor_config.json: image_processor' : 'preprocessor_config.json'}`;
    if (typeof processor !== 'object') throw unsupported(name, 'it', processor, 'an object');
    return { preprocessing: fromImageProcessor(processor, image, name), processor };
  }
  const other = openClip ?? (theirs ? await readJson(source, 'open_clip_config.json') : null);
  return other ? fromOpenClip(other) : { preprocessing: null, processor: null };
}
