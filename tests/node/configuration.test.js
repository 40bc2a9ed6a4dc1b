/**
 * What a model's files say of its towers and pictures: features and pixels are those of transformers, open_clip and
 * Pillow (tests/reference/configurations.py), and whatever is not computed is refused by its name.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';

import * as siglip from '../../js/loading/siglip.js';
import { architectureFromConfig } from '../../js/loading/transformers.js';
import { createCore } from '../../js/core/core.js';
import { loadClip } from '../../js/index.js';
import { architectureFromModelCfg, fromPreprocessCfg } from '../../js/loading/open-clip.js';
import { fromImageProcessor } from '../../js/loading/preprocessing.js';
import { readShapes } from '../../js/loading/shapes.js';
import { trunkOf } from '../../js/loading/timm.js';
import { GOLDEN, WAYS, difference, isError, openCore, temporaryFolder } from './models.js';
import { featuresOf, golden, makeSmall, tensorsOf } from './small-models.js';
import { normalize, testView } from './views.js';

const CASES = readdirSync(path.join(GOLDEN, 'configurations'))
  .map((file) => path.basename(file, '.json'))
  .filter((name) => name !== 'pictures');

const withoutZeros = (sizes) => Object.fromEntries(Object.entries(sizes).filter(([, value]) => value));

/** A folder with the case's model. */
const folderOf = async (name, changes) => makeSmall(await temporaryFolder(), golden(name), changes);

/** Its features here. */
async function computed(folder, name, way = WAYS[0]) {
  const model = await openCore(folder, way);
  try {
    return featuresOf(model, golden(name));
  } finally {
    model.core.dispose();
  }
}

async function assertRight(folder, name, way) {
  const { image, text } = await computed(folder, name, way);
  const wanted = golden(name);
  assert.ok(
    difference(image, wanted.image_features) < 2e-5,
    `image features: ${difference(image, wanted.image_features)}`,
  );
  assert.ok(difference(text, wanted.text_features) < 2e-5, `text features: ${difference(text, wanted.text_features)}`);
}

describe('towers', () => {
  for (const name of CASES) {
    test(`${name}: features are PyTorch's`, async () => {
      const folder = await folderOf(name);
      for (const way of WAYS) await assertRight(folder, name, way);
    });
  }

  test('another number of heads would show', async () => {
    const folder = await folderOf('open-clip-80', {
      edit: (files) => void (files['open_clip_config.json'].model_cfg.vision_cfg.head_width = 40),
    });
    const { image } = await computed(folder, 'open-clip-80');
    assert.ok(difference(image, golden('open-clip-80').image_features) > 0.01);
  });
});

// ------------------------------------------------------------------------------------------ refusals

/** Keys of transformers' and open_clip's files that change a tower; the value of one that does. */
const CHANGES = {
  'transformers-heads': {
    'text_config.hidden_act': 'relu',
    'vision_config.hidden_act': 'gelu_10',
    'vision_config.layer_norm_eps': 0,
    'text_config.layer_norm_eps': '1e-6',
    'text_config.model_type': 'roberta',
    'text_config.is_decoder': true,
    'vision_config.num_channels': 1,
    'vision_config.image_size': [16, 24],
    'vision_config.pruned_heads': { 0: [1] },
    'text_config.causal': false,
    'text_config.projection_size': 40,
    'vision_config.use_mean_pooling': true,
    'vision_config.vision_use_head': false,
    quantization_config: { bits: 4 },
    'vision_config.layer_scale_init_value': 0.1,
    is_encoder_decoder: true,
  },
  siglip: {
    'text_config.hidden_act': 'silu',
    'vision_config.vision_use_head': false,
    'vision_config.num_patches': 256,
    'text_config.projection_size': 40,
    'text_config.model_type': 'siglip2_text_model',
    'vision_config.model_type': 'clip_vision_model',
  },
  'open-clip-heads': {
    quick_gelu: 'yes',
    multimodal_cfg: {},
    'vision_cfg.pool_type': 'none',
    'vision_cfg.global_average_pool': true,
    'vision_cfg.attentional_pool': 'parallel',
    'vision_cfg.no_ln_pre': 1,
    'vision_cfg.pos_embed_type': 'rope',
    'vision_cfg.act_kwargs': { approximate: 'tanh' },
    'vision_cfg.norm_kwargs': { elementwise_affine: false },
    'vision_cfg.timm_model_name': 'convnext_base',
    'vision_cfg.layers': [3, 4, 6, 3],
    'vision_cfg.patch_size': [8, 4],
    'vision_cfg.qk_norm': true,
    'vision_cfg.scaled_cosine_attn': true,
    'vision_cfg.scale_heads': true,
    'vision_cfg.scale_attn_inner': true,
    'vision_cfg.scale_attn': true,
    'vision_cfg.scale_fc': true,
    'vision_cfg.block_type': 'custom',
    'vision_cfg.input_patchnorm': true,
    'vision_cfg.mlp_ratio': 'wide',
    'text_cfg.no_causal_mask': 'no',
    'text_cfg.pool_type': 'first',
    'text_cfg.embed_cls': true,
    'text_cfg.proj_type': 'mlp',
    'text_cfg.proj_bias': 'none',
    'text_cfg.hf_model_name': 'roberta-base',
    'text_cfg.tokenizer_kwargs': { clean: 'whitespace' },
    'text_cfg.act_kwargs': { approximate: 'tanh' },
    'text_cfg.norm_kwargs': { eps: -1 },
    'text_cfg.qk_norm': true,
    'text_cfg.rope': true,
  },
  'open-clip-gelu': { 'vision_cfg.act_kwargs': { approximate: 'sigmoid' }, 'text_cfg.act_kwargs': 'tanh' },
  'open-clip-siglip': {
    'vision_cfg.timm_model_name': 'vit_base_patch16_siglip_gap_224',
    'vision_cfg.timm_pool': 'avg',
    'vision_cfg.timm_proj': 'mlp',
    'text_cfg.pool_type': 'none',
  },
  'pe-core': { 'vision_cfg.timm_model_name': 'vit_pe_lang_large_patch14_448', 'vision_cfg.timm_pool': 'token' },
  'timm-clip': { 'vision_cfg.timm_model_name': 'vit_base_mci_224', 'vision_cfg.timm_pool': 'map' },
};

describe('a key that changes a tower is refused by its name', () => {
  for (const [name, keys] of Object.entries(CHANGES)) {
    const { files } = golden(name);
    for (const [key, value] of Object.entries(keys)) {
      test(`${name}: ${key} ${JSON.stringify(value)}`, () => {
        const document = structuredClone(files['config.json'] ?? files['open_clip_config.json'].model_cfg);
        const parts = key.split('.');
        const at = parts.slice(0, -1).reduce((part, one) => part[one], document);
        const trunk = (it) => trunkOf(it, readShapes(tensorsOf(golden(name)), 'it'));
        const its = document.model_type === 'siglip' ? siglip : undefined;
        const read = (it) =>
          files['config.json']
            ? architectureFromConfig(it, 'c.json', its)
            : architectureFromModelCfg(it, 'c.json', trunk);
        read(structuredClone(document));
        at[parts.at(-1)] = value;
        const message = new RegExp(`c\\.json.*${key.replace('.', '\\.')}`);
        assert.throws(() => read(document), isError('model', message));
      });
    }
  }

  test('harmless ones and those that ask for nothing are no obstacle', async () => {
    const config = structuredClone(golden('transformers-heads').files['config.json']);
    const harmless = { torchscript: false, id2label: { 0: 'a' }, top_k: 50, attention_dropout: 0.1, rope_theta: null };
    Object.assign(config, harmless, { text_config_dict: null, transformers_version: '4.30.0', _name_or_path: 'x' });
    Object.assign(config.text_config, harmless, { bad_words_ids: null, use_cache: true });
    assert.deepEqual(
      architectureFromConfig(config, 'c.json'),
      architectureFromConfig(golden('transformers-heads').files['config.json'], 'c.json'),
    );
    const cfg = golden('open-clip-heads').files['open_clip_config.json'].model_cfg;
    const richer = structuredClone(cfg);
    Object.assign(richer, { init_logit_scale: 2, output_dict: true, custom_text: true });
    Object.assign(richer.vision_cfg, { patch_dropout: 0.5, timm_pool: 'avg', norm_kwargs: {}, image_size: [16, 16] });
    Object.assign(richer.text_cfg, { pad_id: 1, eos_id: 39, ls_init_value: null, proj_type: 'linear' });
    assert.deepEqual(architectureFromModelCfg(richer, 'c.json'), architectureFromModelCfg(cfg, 'c.json'));
  });

  test('older files repeat a part, which goes before with the defaults of what it lacks, as in transformers', () => {
    const { 'config.json': config } = golden('transformers-heads').files;
    const document = { ...config, text_config: { ...config.text_config, hidden_act: 'gelu' }, text_config_dict: {} };
    const { textWidth, textHeads } = architectureFromConfig(document, 'c.json');
    assert.deepEqual([textWidth, textHeads], [512, 8]);
  });

  test('absent keys stand for transformers’ defaults', () => {
    const b32 = architectureFromConfig({ model_type: 'clip' }, 'config.json');
    assert.deepEqual(withoutZeros(b32), {
      ...{ image: 224, patch: 32, visionWidth: 768, visionLayers: 12, visionHeads: 12, visionMlp: 3072 },
      ...{ textWidth: 512, textLayers: 12, textHeads: 8, textMlp: 2048, embed: 512, context: 77, vocab: 49408 },
    });
    const older = { text_config: null, vision_config: {}, vision_config_dict: { patch_size: 16 }, projection_dim: 640 };
    const { patch, embed } = architectureFromConfig({ model_type: 'clip', ...older }, 'config.json');
    assert.deepEqual({ patch, embed }, { patch: 16, embed: 640 });
  });
});

describe('tensors', () => {
  const more = (name, shape = [40]) => ({
    weights: (list) => [
      ...list,
      { name, dtype: 'F32', shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) },
    ],
  });
  for (const [model, name] of [
    ['open-clip-heads', 'visual.transformer.resblocks.0.ls_1.gamma'],
    ['open-clip-heads', 'transformer.resblocks.0.ls_2.gamma'],
    ['open-clip-heads', 'visual.attn_pool.query'],
    ['open-clip-heads', 'visual.transformer.resblocks.0.attn.q_norm.weight'],
    ['open-clip-heads', 'visual.transformer.resblocks.1.ln_1.weight'],
    ['open-clip-heads', 'text_projection.bias'],
    ['open-clip-heads', 'cls_emb'],
    ['open-clip-heads', 'visual.conv1.bias'],
    ['transformers-heads', 'vision_model.encoder.layers.0.layer_scale1'],
    ['transformers-heads', 'vision_model.encoder.layers.0.self_attn.q_proj.lora_A.weight'],
    ['transformers-heads', 'visual_projection.bias'],
    ['transformers-heads', 'vision_model.head.probe'],
  ]) {
    test(`${model}: ${name} is refused`, async () => {
      const folder = await folderOf(model, more(name));
      await assert.rejects(
        loadClip(folder, { threads: 1 }),
        isError('model', new RegExp(`tensor ${name.replaceAll('.', '\\.')} belongs to no CLIP`)),
      );
    });
  }

  for (const [model, name, shape] of [
    ['open-clip-heads', 'attn_mask', [8, 8]],
    ['open-clip-80', 'text.attn_mask', [8, 8]],
    ['open-clip-104', 'logit_bias', []],
    ['open-clip-heads', 'input_resolution', []],
    ['transformers-heads', 'text_model.embeddings.position_ids', [1, 8]],
    ['transformers-heads', 'vision_model.embeddings.position_ids', [1, 5]],
  ]) {
    test(`${model}: ${name} changes nothing`, async () => {
      const weights = (list) => [
        ...list.filter((tensor) => tensor.name !== name),
        { name, dtype: 'F32', shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) },
      ];
      await assertRight(await folderOf(model, { weights }), model);
    });
  }

  test('doubles', async () => {
    const weights = (list) => list.map((tensor) => ({ ...tensor, dtype: 'F64', data: Float64Array.from(tensor.data) }));
    for (const name of CASES) await assertRight(await folderOf(name, { weights }), name);
  });
});

describe('the end of a text', () => {
  const ended = (id) => ({ edit: (files) => void (files['config.json'].text_config.eos_token_id = id) });

  test('2 is an older file’s way to say the largest id', async () => {
    await assertRight(await folderOf('transformers-heads', ended(2)), 'transformers-heads');
  });
  test('another id than the tokenizer’s is refused', async () => {
    const folder = await folderOf('transformers-heads', ended(7));
    await assert.rejects(loadClip(folder, { threads: 1 }), isError('tokenizer', /ends texts with the id 39, but .* 7/));
    const eos = await folderOf('open-clip-80', {
      edit: (files) => void (files['open_clip_config.json'].model_cfg.text_cfg.eos_id = 1),
    });
    await assert.rejects(loadClip(eos, { threads: 1 }), isError('tokenizer', /ends texts with the id 39, but .* 1 /));
  });
});

// ------------------------------------------------------------------------------------------ pictures

describe('pictures', () => {
  const { image: side, cases } = golden('pictures');
  for (const { kind, document, pictures } of cases) {
    test(`${kind}: ${JSON.stringify(document).replaceAll('"', '').slice(0, 240)}`, async () => {
      const read = kind === 'transformers' ? (it) => fromImageProcessor(it, side, 'p.json') : fromPreprocessCfg;
      const { mean, std, transform } = read(document, 'p.json');
      const core = await createCore({ threads: 1 });
      for (const { picture, sha256, first } of pictures) {
        const file = new Uint8Array(readFileSync(path.join(GOLDEN, 'preprocess/images', picture)));
        const decoded = core.imageDecode(file);
        const view = testView(core, decoded, side, { ...transform, cropDown: Number(kind === 'transformers') });
        core.imageFree(decoded);
        const pixels = normalize(core, view, side, mean, std);
        const ours = [0, 1, 2].map((c) => pixels[c * side * side]);
        assert.ok(difference(ours, first) < 1e-5, `${picture}: ${ours} for ${first}`);
        assert.equal(createHash('sha256').update(view).digest('hex'), sha256, picture);
      }
      core.dispose();
    });
  }

  const SIDE = 32;
  for (const [key, value] of Object.entries({
    size: { longest_edge: 32 },
    'size ': { shortest_edge: 32, longest_edge: 64 },
    'size  ': { max_height: 32, max_width: 32 },
    'size   ': 'large',
    crop_size: { height: 32, width: 31 },
    'crop_size ': 31,
    resample: 6,
    'resample ': 'bicubic',
    rescale_factor: 0,
    do_resize: 1,
    do_pad: true,
    do_flip_channel_order: true,
    image_mean: [0.5, 0.5],
    image_std: 'none',
    image_processor_type: 'SamImageProcessor',
    feature_extractor_type: 'DonutFeatureExtractor',
    crop_pct: 0.9,
    auto_map: { AutoImageProcessor: 'x.Y' },
  })) {
    test(`transformers: ${key.trim()} ${JSON.stringify(value)} is refused`, () => {
      const name = key.trim();
      assert.throws(
        () => fromImageProcessor({ [name]: value }, SIDE, 'p.json'),
        isError('model', new RegExp(`p\\.json: ${name} is`)),
      );
    });
  }
  for (const [key, value] of Object.entries({
    resize_mode: 'fill',
    interpolation: 'lanczos',
    fill_color: 300,
    mean: [1, 2],
    std: 'one',
    mode: 'L',
    crop: 0.9,
  })) {
    test(`open_clip: preprocess_cfg.${key} ${JSON.stringify(value)} is refused`, () => {
      const message = new RegExp(`p\\.json: preprocess_cfg\\.${key} is`);
      assert.throws(() => fromPreprocessCfg({ [key]: value }, 'p.json'), isError('model', message));
    });
  }

  test('steps that are not done are no obstacle; a picture that is not cropped must get the model’s size', () => {
    const off = { do_pad: false, do_flip_channel_order: false, do_reduce_labels: false, pad_size: null };
    fromImageProcessor({ ...off, do_convert_rgb: false, processor_class: 'CLIPProcessor' }, SIDE, 'p.json');
    for (const document of [{}, { size: { height: 32, width: 40 } }, { size: 32 }]) {
      const uncropped = { ...document, do_center_crop: false };
      assert.throws(() => fromImageProcessor(uncropped, SIDE, 'p.json'), isError('model', /do_center_crop is false/));
    }
    const nothing = { do_center_crop: false, do_resize: false };
    assert.throws(() => fromImageProcessor(nothing, SIDE, 'p.json'), isError('model', /do_resize is false/));
  });

  test('kinds of image processors have defaults of their own', () => {
    const { mean, transform } = fromImageProcessor({ image_processor_type: 'ViTImageProcessorFast' }, SIDE, 'p.json');
    assert.deepEqual(mean, [0.5, 0.5, 0.5]);
    assert.deepEqual(transform, { fit: 2, height: 32, width: 32, filter: 1, fill: [0, 0, 0] });
    assert.equal(
      fromImageProcessor({ image_processor_type: 'SiglipImageProcessor' }, SIDE, 'p.json').transform.filter,
      0,
    );
    const square = fromImageProcessor({ use_square_size: true, crop_size: 224 }, 224, 'p.json').transform;
    assert.deepEqual([square.fit, square.height, square.width], [2, 224, 224]);
  });
});

// ------------------------------------------------------------------------------------------ whose rounding

describe('half a pixel in a crop’s place', () => {
  // 19 columns of which 16 are taken, from the second or the third on: what only the first or the last sees differs.
  const picture = (side) => {
    const data = new Uint8ClampedArray(19 * 16 * 3).fill(90);
    for (let y = 0; y < 16; y++) data[(y * 19 + side) * 3] = 255;
    return { data, width: 19, height: 16 };
  };
  /** Whether a classifier's answer depends on the first column, and on the last but one. */
  async function seen(folder, options) {
    const clip = await loadClip(folder, { threads: 1, ...options });
    const classifier = await clip.zeroShot(['a', 'b'], { template: '{}' });
    const [none, first, last] = await Promise.all(
      [0, 1, 17].map(async (side) => JSON.stringify(await classifier.classify(picture(side)))),
    );
    await clip.dispose();
    return [clip.info.convention, first !== none, last !== none];
  }
  const OPENAI = ['openai', false, true];
  const TRANSFORMERS = ['transformers', true, false];

  for (const name of ['transformers-heads', 'open-clip-80'])
    test(`${name}: OpenAI’s is the default of every layout, transformers’ is to be had`, async () => {
      const folder = await folderOf(name, {
        edit(files) {
          if (files['open_clip_config.json']) files['open_clip_config.json'].preprocess_cfg = {};
        },
      });
      assert.deepEqual(await seen(folder), OPENAI);
      assert.deepEqual(await seen(folder, { convention: 'openai' }), OPENAI);
      assert.deepEqual(await seen(folder, { convention: 'transformers' }), TRANSFORMERS);
    });

  test('another name is refused', async () => {
    const folder = await folderOf('transformers-heads');
    await assert.rejects(
      loadClip(folder, { convention: /** @type {any} */ ('timm') }),
      isError('argument', /convention must be one of openai, transformers, not timm/),
    );
  });
});

// ------------------------------------------------------------------------------------------ which file counts

describe('which file says it', () => {
  const info = async (folder) => {
    const clip = await loadClip(folder, { threads: 1 });
    await clip.dispose();
    return clip.info;
  };
  const half = [0.5, 0.5, 0.5];

  test('the processor within processor_config.json goes before preprocessor_config.json', async () => {
    const folder = await folderOf('transformers-heads', {
      edit: (files) => void (files['preprocessor_config.json'] = { image_mean: [0.1, 0.2, 0.3] }),
    });
    assert.deepEqual((await info(folder)).mean, half);
    const older = await folderOf('transformers-heads', {
      edit(files) {
        files['processor_config.json'] = { processor_class: 'CLIPProcessor' };
        files['preprocessor_config.json'] = { image_mean: [0.1, 0.2, 0.3] };
      },
    });
    assert.deepEqual((await info(older)).mean, [0.1, 0.2, 0.3]);
  });

  test('open_clip’s for weights with its names, transformers’ for those with theirs', async () => {
    const both = {
      edit(files) {
        files['preprocessor_config.json'] = { image_mean: [0.1, 0.2, 0.3] };
        files['open_clip_config.json'] ??= { model_cfg: {}, preprocess_cfg: { mean: [0.4, 0.4, 0.4] } };
        files['processor_config.json'] = null;
      },
    };
    assert.deepEqual((await info(await folderOf('open-clip-heads', both))).mean, [0.5, 0.4, 0.3]);
    assert.deepEqual((await info(await folderOf('transformers-heads', both))).mean, [0.1, 0.2, 0.3]);
  });

  test('what no file says is assumed, in info and in the console', async (t) => {
    const warned = t.mock.method(console, 'warn', () => {});
    const said = await info(await folderOf('transformers-heads'));
    assert.deepEqual(said.assumed, []);
    assert.deepEqual(said.pictures, { fit: 'shortest', size: 16, filter: 'bicubic', fill: [0, 0, 0] });
    assert.equal(warned.mock.callCount(), 0);
    const folder = await folderOf('transformers-heads', {
      edit: (files) => void (files['processor_config.json'] = null),
    });
    const { assumed } = await info(folder);
    assert.equal(assumed.length, 1);
    assert.match(assumed[0], /mean, deviation/);
    assert.match(String(warned.mock.calls[0].arguments[0]), /assumed: .*mean, deviation/);
    const squashed = await info(await folderOf('open-clip-heads'));
    assert.deepEqual([squashed.pictures.fit, squashed.pictures.size], ['exact', [16, 16]]);
  });
});
