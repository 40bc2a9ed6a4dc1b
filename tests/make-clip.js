#!/usr/bin/env node
/**
 * Writes a CLIP with random weights in Hugging Face's layout, of any size, piece by piece so that memory stays small.
 * It recognises nothing; it is for tests of size, speed and memory where real weights cannot be had.
 *
 *   node tests/make-clip.js FOLDER --preset vit-b-16 --dtype f16
 *   node tests/make-clip.js FOLDER --image 48 --patch 16 --vision-width 128 --vision-layers 2
 */
import { copyFile, mkdir, open, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { writeHeader } from '../js/loading/safetensors.js';

const golden = fileURLToPath(new URL('./golden/', import.meta.url));
const PIECE = 1 << 16; // values at a time

/** Sizes; heads are width / 64, MLPs 4 x width, QuickGELU. The tokenizer belongs to the vocabulary. */
const PRESETS = {
  tiny: {
    ...{ image: 32, patch: 8, visionWidth: 128, visionLayers: 3, textWidth: 64, textLayers: 3, embed: 48 },
    ...{ context: 77, vocab: 512, tokenizer: path.join(golden, 'tiny-a/model/tokenizer.json') },
  },
  'vit-b-16': {
    ...{ image: 224, patch: 16, visionWidth: 768, visionLayers: 12, textWidth: 512, textLayers: 12, embed: 512 },
    ...{ context: 77, vocab: 49408, tokenizer: path.join(golden, 'tokenizer/tokenizer.json') },
  },
  'tinyclip-8m-16': {
    ...{ image: 224, patch: 16, visionWidth: 256, visionLayers: 10, textWidth: 256, textLayers: 3, embed: 512 },
    ...{ context: 77, vocab: 49408, act: 'gelu', tokenizer: path.join(golden, 'tokenizer/tokenizer.json') },
  },
};

/** [name, shape, how it is filled] of every tensor; fill: a number, or the standard deviation of random values. */
function tensorsOf(s) {
  const list = [];
  const random = (name, ...shape) => list.push({ name, shape, deviation: 0.6 / Math.sqrt(shape.at(-1)) });
  const constant = (name, value, ...shape) => list.push({ name, shape, value });
  const norm = (name, width) => {
    constant(`${name}.weight`, 1, width);
    constant(`${name}.bias`, 0, width);
  };
  const linear = (name, out, width) => {
    random(`${name}.weight`, out, width);
    constant(`${name}.bias`, 0, out);
  };
  const tower = (name, width, layers) => {
    for (let l = 0; l < layers; l++) {
      const layer = `${name}.encoder.layers.${l}`;
      for (const part of ['q_proj', 'k_proj', 'v_proj', 'out_proj']) linear(`${layer}.self_attn.${part}`, width, width);
      linear(`${layer}.mlp.fc1`, 4 * width, width);
      linear(`${layer}.mlp.fc2`, width, 4 * width);
      norm(`${layer}.layer_norm1`, width);
      norm(`${layer}.layer_norm2`, width);
    }
  };
  constant('logit_scale', Math.log(100));
  random('text_projection.weight', s.embed, s.textWidth);
  random('visual_projection.weight', s.embed, s.visionWidth);
  random('text_model.embeddings.token_embedding.weight', s.vocab, s.textWidth);
  random('text_model.embeddings.position_embedding.weight', s.context, s.textWidth);
  tower('text_model', s.textWidth, s.textLayers);
  norm('text_model.final_layer_norm', s.textWidth);
  random('vision_model.embeddings.class_embedding', s.visionWidth);
  random('vision_model.embeddings.patch_embedding.weight', s.visionWidth, 3, s.patch, s.patch);
  random('vision_model.embeddings.position_embedding.weight', 1 + (s.image / s.patch) ** 2, s.visionWidth);
  norm('vision_model.pre_layrnorm', s.visionWidth);
  tower('vision_model', s.visionWidth, s.visionLayers);
  norm('vision_model.post_layernorm', s.visionWidth);
  return list;
}

/** Numbers in -1 ... 1 that depend on the seed alone (mulberry32). */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) / 2 ** 31;
  };
}

const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);

/** A float of magnitude below 65504 as float16 bits, cut off rather than rounded; what is below 2^-14 becomes 0. */
function half(value) {
  float[0] = value;
  const exponent = ((bits[0] >>> 23) & 0xff) - 112;
  if (exponent <= 0) return 0;
  return ((bits[0] >>> 16) & 0x8000) | (exponent << 10) | ((bits[0] >>> 13) & 0x3ff);
}

/**
 * @param {string} folder is made if need be
 * @param {{ preset?: string, dtype?: 'f32' | 'f16', seed?: number } & Record<string, any>} [options] the
 *   preset's sizes may be changed one by one
 */
export async function makeClip(folder, { preset = 'tiny', dtype = 'f32', seed = 1, ...changes } = {}) {
  if (!PRESETS[preset]) throw new Error(`preset must be one of ${Object.keys(PRESETS).join(', ')}, not ${preset}`);
  const s = { ...PRESETS[preset], ...changes };
  await mkdir(folder, { recursive: true });
  await copyFile(s.tokenizer, path.join(folder, 'tokenizer.json'));
  const tower = (width, layers) => ({
    ...{ hidden_size: width, intermediate_size: 4 * width, num_attention_heads: width / 64, num_hidden_layers: layers },
    ...{ hidden_act: s.act ?? 'quick_gelu', layer_norm_eps: 1e-5 },
  });
  const config = {
    architectures: ['CLIPModel'],
    model_type: 'clip',
    projection_dim: s.embed,
    text_config: { ...tower(s.textWidth, s.textLayers), max_position_embeddings: s.context, vocab_size: s.vocab },
    vision_config: {
      ...tower(s.visionWidth, s.visionLayers),
      image_size: s.image,
      patch_size: s.patch,
      num_channels: 3,
    },
  };
  const processor = { size: { shortest_edge: s.image }, crop_size: { height: s.image, width: s.image }, resample: 3 };
  await writeFile(path.join(folder, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
  await writeFile(path.join(folder, 'preprocessor_config.json'), `${JSON.stringify(processor, null, 2)}\n`);

  const tensors = tensorsOf(s).map((tensor) => ({ ...tensor, dtype: dtype.toUpperCase() }));
  const file = await open(path.join(folder, 'model.safetensors'), 'w');
  try {
    await file.write(writeHeader(tensors, { format: 'pt' }).header);
    const next = generator(seed);
    const convert = dtype === 'f16' ? half : (value) => value;
    const buffer = dtype === 'f16' ? new Uint16Array(PIECE) : new Float32Array(PIECE);
    for (const { shape, value, deviation } of tensors) {
      const count = shape.reduce((product, side) => product * side, 1);
      const scale = deviation * Math.sqrt(3); // of a uniform distribution with this deviation
      for (let done = 0; done < count; done += PIECE) {
        const piece = buffer.subarray(0, Math.min(PIECE, count - done));
        for (let i = 0; i < piece.length; i++) piece[i] = convert(value ?? scale * next());
        await file.write(new Uint8Array(piece.buffer, 0, piece.byteLength));
      }
    }
  } finally {
    await file.close();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = { type: /** @type {const} */ ('string') };
  const sizes = [
    'image',
    'patch',
    'vision-width',
    'vision-layers',
    'text-width',
    'text-layers',
    'embed',
    'context',
    'vocab',
  ];
  const names = ['preset', 'dtype', 'seed', 'tokenizer', ...sizes];
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: Object.fromEntries(names.map((name) => [name, text])),
  });
  if (positionals.length !== 1 || !['f32', 'f16', undefined].includes(values.dtype)) {
    console.error(`usage: make-clip.js FOLDER [--dtype f32|f16] ${names.map((name) => `[--${name} …]`).join(' ')}`);
    process.exit(1);
  }
  const changes = sizes.filter((name) => values[name]);
  await makeClip(positionals[0], {
    ...values,
    seed: Number(values.seed ?? 1),
    ...Object.fromEntries(
      changes.map((name) => [name.replace(/-(\w)/g, (_, c) => c.toUpperCase()), Number(values[name])]),
    ),
  });
}
