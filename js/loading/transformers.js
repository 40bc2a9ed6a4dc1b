/** What a config.json of transformers says of a model: CLIPModel, SiglipModel and MetaClip2Model. */
import { MudptError } from '../base/errors.js';
import { ACTIVATIONS } from '../core/core.js';
import { checkKeys, named, readerOf, words } from './keys.js';

/** Transformers' configurations: what keys that are absent stand for. */
export const SIZES = { hidden_size: 768, intermediate_size: 3072, num_hidden_layers: 12, num_attention_heads: 12 };
export const PICTURES = { num_channels: 3, image_size: 224 };
const TOWER = { hidden_act: 'quick_gelu', layer_norm_eps: 1e-5 };
const CLIP = {
  text_config: {
    ...{ ...TOWER, vocab_size: 49408, max_position_embeddings: 77 },
    ...{ hidden_size: 512, intermediate_size: 2048, num_hidden_layers: 12, num_attention_heads: 8 },
  },
  vision_config: { ...SIZES, ...PICTURES, ...TOWER, patch_size: 32 },
};
/** Kinds of models, by their model_type. */
const KINDS = ['clip', 'siglip', 'metaclip_2'];
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
  is_decoder: [false],
  is_encoder_decoder: [false],
  add_cross_attention: [false],
  pruned_heads: [{}],
};
const PARTS = ['text_config', 'vision_config'];
/** transformers' names of activations. */
const ACTS = {
  quick_gelu: ACTIVATIONS.quick_gelu,
  ...{ gelu: ACTIVATIONS.gelu, gelu_python: ACTIVATIONS.gelu },
  ...{ gelu_pytorch_tanh: ACTIVATIONS.gelu_tanh, gelu_new: ACTIVATIONS.gelu_tanh, gelu_fast: ACTIVATIONS.gelu_tanh },
};

/** @param {any} document */
export const isClipConfig = (document) =>
  KINDS.includes(document.model_type) || Boolean(document.text_config && document.vision_config);

/**
 * Sizes from a config.json of transformers.
 * @param {any} document
 * @param {string} name
 * @param {typeof import('./siglip.js')} [siglip] where it is one
 * @returns {import('./configuration.js').Architecture}
 */
export function architectureFromConfig(document, name, siglip) {
  const kind = document.model_type ?? 'clip';
  if (!isClipConfig(document) || !KINDS.includes(kind)) {
    const what = `${name} describes a model of type ${JSON.stringify(document.model_type)}`;
    const hint = 'only CLIP with an image and a text tower is supported';
    throw new MudptError('model', `${what}, expected "${KINDS.join('", "')}"`, hint);
  }
  const used = ['model_type', ...PARTS, ...PARTS.map((part) => `${part}_dict`)];
  const neutral = { is_decoder: [false], is_encoder_decoder: [false], add_cross_attention: [false] };
  checkKeys(name, '', document, { used, harmless: [...HARMLESS, 'eos_token_id'], neutral });
  const all = { projection_dim: document.projection_dim ?? 512 };
  for (const [part, defaults] of Object.entries(siglip ? siglip.DEFAULTS : CLIP)) {
    // Where older files repeat a part, transformers fills the repetition up with defaults and lets it go before.
    const repeated = document[`${part}_dict`];
    all[part] = { ...defaults, ...document[part], ...(repeated && { ...defaults, ...repeated }) };
    checkKeys(name, `${part}.`, all[part], {
      used: [...Object.keys(defaults), 'eos_token_id', ...(siglip ? ['projection_size'] : [])],
      harmless: HARMLESS,
      neutral: {
        ...ONE_TOWER,
        model_type: [`${kind}_${part.replace('config', 'model')}`],
        ...(siglip && { vision_use_head: [true] }),
      },
    });
  }
  const read = readerOf(name, all);
  if (read.size('vision_config.num_channels') !== 3) throw read.refuse('vision_config.num_channels', '3');
  const tower = (part) => ({
    width: read.size(`${part}.hidden_size`),
    layers: read.size(`${part}.num_hidden_layers`),
    heads: read.size(`${part}.num_attention_heads`),
    mlp: read.size(`${part}.intermediate_size`),
    activation: read.choice(`${part}.hidden_act`, ACTS),
    epsilon: read.epsilon(`${part}.layer_norm_eps`),
  });
  const [vision, text] = [tower('vision_config'), tower('text_config')];
  return {
    image: read.size('vision_config.image_size'),
    patch: read.size('vision_config.patch_size'),
    ...named('vision', vision),
    ...named('text', text),
    context: read.size('text_config.max_position_embeddings'),
    vocab: read.size('text_config.vocab_size'),
    ...(siglip ? siglip.traitsOf(read, vision) : { embed: read.size('projection_dim') }),
  };
}
