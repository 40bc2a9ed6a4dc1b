/**
 * The names under which three families of programs store one and the same CLIP.
 *
 * Hugging Face's names are taken as the measure, for they split everything finest: the others stack query, key and
 * value and store the two projections transposed.
 */
import { isNoWeight } from '../loading/shapes.js';

export const FAMILIES = ['huggingface', 'openai', 'open_clip'];

/**
 * Parts of a block: OpenAI's name, Hugging Face's names of what it holds.
 * @type {[string, string[]][]}
 */
const BLOCK = [
  ['ln_1.', ['layer_norm1.']],
  ['attn.in_proj_', ['self_attn.q_proj.', 'self_attn.k_proj.', 'self_attn.v_proj.']],
  ['attn.out_proj.', ['self_attn.out_proj.']],
  ['ln_2.', ['layer_norm2.']],
  ['mlp.c_fc.', ['mlp.fc1.']],
  ['mlp.c_proj.', ['mlp.fc2.']],
];

/**
 * @typedef {object} Stored
 * @property {string} name         in this family
 * @property {string[]} holds      Hugging Face's names of the tensors stacked in it, by rows
 * @property {boolean} transposed  stored [in, out] where Hugging Face has [out, in]
 */

/**
 * All tensors of a model in the order in which they are written.
 * @param {string} family  one of FAMILIES; open_clip: its custom-text class (its standard class has OpenAI's names)
 * @param {{ vision: number, text: number }} layers
 * @param {boolean} [hasBias] whether there is one of logits
 * @returns {Stored[]}
 */
export function layout(family, layers, hasBias = false) {
  const own = family === 'huggingface';
  const text = family === 'open_clip' ? 'text.' : '';
  /** @type {Stored[]} */
  const list = [];
  const one = (openai, huggingface) =>
    list.push({ name: own ? huggingface : openai, holds: [huggingface], transposed: false });
  const norm = (openai, huggingface) => {
    for (const part of ['weight', 'bias']) one(`${openai}.${part}`, `${huggingface}.${part}`);
  };
  const blocks = (openai, huggingface, count) => {
    for (let layer = 0; layer < count; layer++) {
      for (const [theirs, ours] of BLOCK) {
        for (const part of ['weight', 'bias']) {
          const holds = ours.map((name) => `${huggingface}.encoder.layers.${layer}.${name}${part}`);
          if (own) holds.forEach((name) => one('', name));
          else
            list.push({ name: `${openai}transformer.resblocks.${layer}.${theirs}${part}`, holds, transposed: false });
        }
      }
    }
  };
  const projection = (openai, huggingface) =>
    list.push({ name: own ? huggingface : openai, holds: [huggingface], transposed: !own });

  one('visual.class_embedding', 'vision_model.embeddings.class_embedding');
  one('visual.conv1.weight', 'vision_model.embeddings.patch_embedding.weight');
  one('visual.positional_embedding', 'vision_model.embeddings.position_embedding.weight');
  norm('visual.ln_pre', 'vision_model.pre_layrnorm'); // the misspelling is theirs
  blocks('visual.', 'vision_model', layers.vision);
  norm('visual.ln_post', 'vision_model.post_layernorm');
  projection('visual.proj', 'visual_projection.weight');
  one(`${text}token_embedding.weight`, 'text_model.embeddings.token_embedding.weight');
  one(`${text}positional_embedding`, 'text_model.embeddings.position_embedding.weight');
  blocks(text, 'text_model', layers.text);
  norm(`${text}ln_final`, 'text_model.final_layer_norm');
  projection(`${text}text_projection`, 'text_projection.weight');
  one('logit_scale', 'logit_scale');
  if (hasBias) one('logit_bias', 'logit_bias');
  return list;
}

/** The family whose names these are, or undefined. @param {Iterable<string>} names */
export function familyOf(names) {
  const all = new Set(names);
  if (all.has('vision_model.embeddings.patch_embedding.weight')) return 'huggingface';
  if (!all.has('visual.conv1.weight') && !all.has('visual.trunk.patch_embed.proj.weight')) return undefined;
  return all.has('text.token_embedding.weight') ? 'open_clip' : 'openai';
}

/** Blocks of both towers, counted from the names. @param {Iterable<string>} names */
export function countLayers(family, names) {
  const layers = { vision: 0, text: 0 };
  const block =
    family === 'huggingface'
      ? /^(vision|text)_model\.encoder\.layers\.(\d{1,3})\./
      : /^(visual\.|text\.)?transformer\.resblocks\.(\d{1,3})\./;
  for (const name of names) {
    const found = block.exec(name);
    if (!found) continue;
    const tower = found[1]?.startsWith('vis') ? 'vision' : 'text';
    layers[tower] = Math.max(layers[tower], Number(found[2]) + 1);
  }
  return layers;
}

/** Whether a tensor is kept as f32 whatever type is asked for: all but matrices. @param {number[]} shape */
export const isVector = (name, shape) => shape.filter((side) => side > 1).length < 2 || /pos|probe|latent/.test(name);

/**
 * The tensors of a model that is not as OpenAI's: they keep their names.
 * @param {Iterable<string>} names
 * @returns {Stored[]}
 */
export const ownLayout = (names) =>
  Array.from(names, (name) => ({ name, holds: [name], transposed: false })).filter(
    ({ name }) => !isNoWeight(name) && !/weight_(scale|column)$/.test(name),
  );
