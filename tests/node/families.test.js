/**
 * Models of CLIP's family that are not as OpenAI's: every prompt method is trained on each, from its own files;
 * convert, info and weights that come alone. That their features are PyTorch's is in configuration.test.js.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { cp, mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';

import { loadClip } from '../../js/index.js';
import { describeModel } from '../../js/loading/configuration.js';
import { architectureFromModelCfg } from '../../js/loading/open-clip.js';
import { headerOf } from '../../js/loading/safetensors.js';
import { readShapes } from '../../js/loading/shapes.js';
import { trunkOf } from '../../js/loading/timm.js';
import { METHODS, TRAINABLE } from '../../js/methods/methods.js';
import { mudpt } from './command.js';
import { PICTURES, isError, openCore, temporaryFolder } from './models.js';
import { featuresOf, golden, makeSmall, tensorsOf } from './small-models.js';

const FAMILIES = [
  ...['transformers-gelu', 'siglip', 'siglip-2', 'open-clip-gelu', 'clipa', 'open-clip-average', 'open-clip-siglip'],
  ...['open-clip-siglip-2', 'pe-core', 'pe-core-without-class', 'timm-clip'],
];
const small = async (name, changes) => makeSmall(await temporaryFolder(), golden(name), changes);
/** Methods that ask the frozen model for sentences of classes. */
const COMPARING = TRAINABLE.filter((name) => {
  const { defaults, classAware } = METHODS[name];
  return classAware || defaults?.textWeight || defaults?.klWeight;
});
const SHORT = {
  classes: ['be', 'cd'],
  examples: PICTURES.slice(0, 4).map((image, i) => ({ image, label: i < 2 ? 'be' : 'cd' })),
  ...{ phrase: '', promptLength: 1, epochs: 4, batchSize: 4, seed: 1, augment: false },
};

async function withClip(folder, use, options) {
  const clip = await loadClip(folder, { threads: 1, ...options });
  try {
    return await use(clip);
  } finally {
    await clip.dispose();
  }
}

describe('every method is trained on every family', () => {
  for (const name of FAMILIES) {
    test(name, async () => {
      const folder = await small(name);
      await withClip(folder, async (clip) => {
        assert.deepEqual(clip.info.assumed, []);
        for (const method of TRAINABLE) {
          const losses = [];
          const job = clip.tune({ ...SHORT, method });
          if (COMPARING.includes(method)) {
            // These models read few tokens, and what a frozen model is asked for are whole sentences.
            await assert.rejects(job.finished, /needs \d+ tokens, the model reads at most|enter text layer 1/);
            continue;
          }
          for await (const { loss } of job) losses.push(loss);
          const classifier = await job.finished;
          assert.ok(losses.length === 4 && losses.every(Number.isFinite), `${method}: ${losses}`);
          // It learns: after a few steps of a small rate the loss of the same pictures is below that at the start.
          assert.ok(losses.at(-1) < losses[0], `${method}: ${losses}`);
          const [before] = await classifier.classify(PICTURES[0]);
          const again = await clip.import(await classifier.export());
          const [after] = await again.classify(PICTURES[0]);
          assert.deepEqual([after.label, after.score], [before.label, before.score], method);
        }
      });
    });
  }
});

describe('convert', () => {
  const convert = async (folder, ...args) => {
    const out = path.join(folder, '../out');
    await rm(out, { recursive: true, force: true });
    const result = await mudpt(['convert', folder, '--out', out, '--json', ...args], { cwd: path.dirname(folder) });
    return { out, ...result };
  };
  for (const name of FAMILIES) {
    test(`${name} keeps its names, whatever the type`, async () => {
      const folder = await makeSmall(path.join(await temporaryFolder(), 'model'), golden(name));
      const before = await withClip(folder, ({ info }) => info);
      for (const type of ['f32', 'f16', 'int8']) {
        const { out, code, stderr } = await convert(folder, '--dtype', type);
        assert.equal(code, 0, stderr);
        const { tensors } = headerOf(readFileSync(path.join(out, 'model.safetensors')), 'it');
        const names = tensors.map((tensor) => tensor.name).filter((one) => !one.endsWith('weight_scale'));
        assert.deepEqual(
          names.sort(),
          tensorsOf(golden(name))
            .map((tensor) => tensor.name)
            .sort(),
        );
        const after = await withClip(out, ({ info }) => info);
        const keys = ['architecture', 'mean', 'std', 'pictures', 'assumed', ...(type === 'f32' ? ['fingerprint'] : [])];
        for (const key of keys) assert.deepEqual(after[key], before[key], `${type}: ${key}`);
        // Converted once and loaded, or loaded as that type: the same numbers.
        const [one, other] = await Promise.all(
          [out, folder].map(async (from) => {
            const model = await openCore(from, { threads: 1 }, { dtype: type });
            const { image, text } = featuresOf(model, golden(name));
            model.core.dispose();
            return [...image, ...text];
          }),
        );
        assert.deepEqual(one, other, type);
      }
    });
  }

  test('names of others are refused where they have none for what a model has', async () => {
    const folder = await makeSmall(path.join(await temporaryFolder(), 'model'), golden('siglip'));
    const { code, stderr } = await convert(folder, '--dtype', 'f32', '--names', 'openai');
    assert.equal(code, 1);
    assert.match(
      stderr,
      /only a model like OpenAI's can have the names of openai, and this one has visionPooling, text/,
    );
  });

  test('an activation and an epsilon stand in what is written for others', async () => {
    const folder = await makeSmall(path.join(await temporaryFolder(), 'model'), golden('transformers-gelu'));
    const before = await withClip(folder, ({ info }) => info);
    for (const names of ['openai', 'open_clip', 'huggingface']) {
      const { out, code, stderr } = await convert(folder, '--dtype', 'f32', '--names', names);
      assert.equal(code, 0, stderr);
      const after = await withClip(out, ({ info }) => info);
      assert.deepEqual([after.fingerprint, after.architecture], [before.fingerprint, before.architecture]);
    }
  });
});

test('info tells what OpenAI’s models have not', async () => {
  for (const [name, image, text] of [
    ['siglip', 'tanh-GELU, attention pooling', 'tanh-GELU, last row, no causal mask'],
    ['pe-core', 'GELU, attention pooling, rotary positions', '2 heads, GELU'],
    ['clipa', 'GELU, mean of the patches', 'GELU, last row, no causal mask'],
    ['open-clip-gelu', 'GELU, LayerScale', 'tanh-GELU, LayerScale'],
  ]) {
    const folder = await small(name);
    const info = async (...args) => {
      const { code, stdout, stderr } = await mudpt(['info', folder, ...args], { cwd: folder, env: { COLUMNS: '200' } });
      assert.equal(code, 0, stderr);
      return stdout;
    };
    const count = tensorsOf(golden(name)).reduce((sum, { data }) => sum + data.length, 0);
    assert.equal(JSON.parse(await info('--json')).parameters, count);
    const told = (await info()).replace(/\s+/g, ' ');
    for (const part of [image, text]) assert.ok(told.includes(part), `${name}: ${part} in ${told}`);
  }
});

test('classify and train do on the command line what the library does', async () => {
  for (const name of ['siglip', 'open-clip-siglip']) {
    // A piece for the words that stand in front of a class: so few tokens fit.
    const edit = (files) => files['tokenizer.json'].model.vocab.splice(38, 1, ['aphotoofa', 0]);
    const folder = await small(name, { edit });
    const run = async (...args) => {
      const { code, stdout, stderr } = await mudpt([...args, '--model', folder, '--json'], { cwd: folder });
      assert.equal(code, 0, stderr);
      return stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
    };
    const [{ results }] = await run('classify', PICTURES[0], '--classes', 'be,cd');
    const wanted = await withClip(folder, async (clip) => {
      const classifier = await clip.zeroShot(['be', 'cd']);
      return classifier.classify(PICTURES[0]);
    });
    assert.deepEqual(results[0].top, wanted);
    for (const [i, picture] of PICTURES.slice(0, 4).entries()) {
      for (const part of ['train', 'test']) {
        const to = path.join(folder, 'data', part, i < 2 ? 'be' : 'cd');
        await mkdir(to, { recursive: true });
        await cp(picture, path.join(to, path.basename(picture)));
      }
    }
    const options = ['--phrase', '', '--prompt-length', '1', '--epochs', '1', '--out', path.join(folder, 'it')];
    await run('train', '--data', path.join(folder, 'data'), ...options);
    const [tuned] = await run('classify', PICTURES[0], '--classifier', path.join(folder, 'it'));
    assert.equal(tuned.results[0].top.length, 2);
  }
});

// ------------------------------------------------------------------------------------------ weights alone

/** open_clip's own configurations, with [image width, layers, MLP, rows] where timm's name has them. */
const CLIP_TEXT = { context_length: 77, vocab_size: 49408 };
const BOTH_WAYS = { no_causal_mask: true, pool_type: 'last' };
const KNOWN = {
  'ViT-B-32-quickgelu.safetensors': {
    ...{ embed_dim: 512, quick_gelu: true },
    vision_cfg: { image_size: 224, layers: 12, width: 768, patch_size: 32 },
    text_cfg: { ...CLIP_TEXT, width: 512, heads: 8, layers: 12 },
  },
  'CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors': {
    embed_dim: 1024,
    vision_cfg: { image_size: 224, layers: 32, width: 1280, head_width: 80, patch_size: 14 },
    text_cfg: { ...CLIP_TEXT, width: 1024, heads: 16, layers: 24 },
  },
  'ViT-bigG-14.safetensors': {
    embed_dim: 1280,
    vision_cfg: { image_size: 224, layers: 48, width: 1664, head_width: 104, mlp_ratio: 4.9231, patch_size: 14 },
    text_cfg: { ...CLIP_TEXT, width: 1280, heads: 20, layers: 32 },
  },
  'ViT-L-14-CLIPA-336.safetensors': {
    embed_dim: 768,
    vision_cfg: {
      ...{ image_size: 336, layers: 24, width: 1024, patch_size: 14, no_ln_pre: true },
      ...{ pool_type: 'avg', final_ln_after_pool: true },
    },
    text_cfg: {
      ...{ context_length: 32, vocab_size: 32000, hf_tokenizer_name: 'bert-base-uncased', ...BOTH_WAYS },
      ...{ tokenizer_kwargs: { strip_sep_token: true }, width: 768, heads: 12, layers: 12 },
    },
  },
  'ViT-SO400M-14-SigLIP2-378.safetensors': {
    ...{ embed_dim: 1152, trunk: [1152, 27, 4304, 14] },
    vision_cfg: {
      ...{ image_size: 378, timm_model_name: 'vit_so400m_patch14_siglip_378', timm_pool: 'map', timm_proj: 'none' },
    },
    text_cfg: {
      ...{ context_length: 64, vocab_size: 256000, hf_tokenizer_name: 'timm/ViT-SO400M-14-SigLIP2-378', ...BOTH_WAYS },
      ...{ width: 1152, heads: 16, layers: 27, mlp_ratio: 3.7362, proj_bias: true, norm_kwargs: { eps: 1e-6 } },
      ...{ act_kwargs: { approximate: 'tanh' }, tokenizer_kwargs: { clean: 'canonicalize' } },
    },
  },
  'PE-Core-S-16-384.safetensors': {
    ...{ embed_dim: 512, trunk: [384, 12, 1536, 16] },
    vision_cfg: {
      ...{ image_size: 384, timm_model_name: 'vit_pe_core_small_patch16_384', timm_pool: 'map', timm_proj: null },
    },
    text_cfg: { context_length: 32, vocab_size: 49408, width: 512, heads: 8, layers: 12 },
  },
};

/** The tensors of such a model whose shapes tell something, without their values. */
function tellingTensors({ embed_dim: embed, vision_cfg: vision, text_cfg: text, trunk }) {
  const { image_size: image, mlp_ratio: ratio = 4 } = vision;
  const [width, layers, mlp, patch] = trunk ?? [
    vision.width,
    vision.layers,
    Math.floor(vision.width * ratio),
    vision.patch_size,
  ];
  const rows = Math.floor(image / patch) ** 2;
  const isSiglip = vision.timm_model_name?.includes('siglip');
  const textMlp = Math.floor(text.width * (text.mlp_ratio ?? 4));
  const list = trunk
    ? {
        'visual.trunk.patch_embed.proj.weight': [width, 3, patch, patch],
        'visual.trunk.pos_embed': [1, rows + (isSiglip ? 0 : 1), width],
        'visual.trunk.blocks.0.mlp.fc1.weight': [mlp, width],
        [`visual.trunk.blocks.${layers - 1}.norm1.weight`]: [width],
        'visual.trunk.attn_pool.mlp.fc1.weight': [mlp, width],
        ...(isSiglip ? { logit_bias: [] } : { 'visual.trunk.cls_token': [1, 1, width] }),
      }
    : {
        'visual.conv1.weight': [width, 3, patch, patch],
        'visual.class_embedding': [width],
        'visual.positional_embedding': [rows + 1, width],
        'visual.transformer.resblocks.0.mlp.c_fc.weight': [mlp, width],
        [`visual.transformer.resblocks.${layers - 1}.ln_1.weight`]: [width],
      };
  const front = trunk ? 'text.' : '';
  return Object.entries({
    ...list,
    [`${front}token_embedding.weight`]: [text.vocab_size, text.width],
    [`${front}positional_embedding`]: [text.context_length, text.width],
    [`${front}transformer.resblocks.0.mlp.c_fc.weight`]: [textMlp, text.width],
    [`${front}transformer.resblocks.${text.layers - 1}.ln_1.weight`]: [text.width],
    ...(isSiglip
      ? { [`${front}text_projection.weight`]: [embed, text.width], [`${front}text_projection.bias`]: [embed] }
      : { [`${front}text_projection`]: [text.width, embed] }),
  }).map(([name, shape]) => ({ name, shape }));
}

describe('weights alone are what open_clip has under their name', () => {
  const nothing = { name: 'a folder', open: async () => null };
  const describeAlone = (file, tensors) => describeModel({ ...nothing, weights: file }, [{ tensors }], file);

  for (const [file, { trunk, ...config }] of Object.entries(KNOWN)) {
    test(file, async () => {
      const tensors = tellingTensors({ trunk, ...config });
      const { architecture, assumed, preprocessing } = await describeAlone(file, tensors);
      const whole = architectureFromModelCfg(config, file, (read) => trunkOf(read, readShapes(tensors, file)));
      const wanted = Object.fromEntries(Object.entries(whole).filter(([, value]) => value));
      assert.deepEqual({ ...architecture, logitBias: undefined }, { ...wanted, logitBias: undefined });
      assert.equal(Boolean(architecture.logitBias), file.includes('SigLIP'));
      assert.deepEqual(assumed, [`open_clip’s ${file} in all that its tensors do not tell`]);
      assert.equal(preprocessing.mean[0], /SigLIP|PE/.test(file) ? 0.5 : file.includes('CLIPA') ? 0.485 : 0.48145466);
    });
  }

  test('without a name that is known, what is like OpenAI’s is taken for it, and others are refused', async () => {
    const plain = tellingTensors(KNOWN['ViT-B-32-quickgelu.safetensors']);
    const { architecture, assumed } = await describeAlone('epoch_32.safetensors', plain);
    assert.deepEqual([architecture.visionHeads, architecture.visionActivation], [12, undefined]);
    assert.match(assumed.join(), /QuickGELU as the activation/);
    for (const name of ['ViT-SO400M-14-SigLIP2-378.safetensors', 'PE-Core-S-16-384.safetensors'])
      await assert.rejects(
        describeAlone('weights.safetensors', tellingTensors(KNOWN[name])),
        isError('model', /what weights\.safetensors is cannot be told from its tensors alone; add/),
      );
  });
});
