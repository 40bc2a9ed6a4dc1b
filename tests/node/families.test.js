/**
 * Models of CLIP's family that are not as OpenAI's: every prompt method is trained on each, from its own files;
 * convert, info and weights that come alone. That their features are PyTorch's is in configuration.test.js.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';

import { ACTIVATIONS } from '../../js/core/core.js';
import { loadClip } from '../../js/index.js';
import { describeModel } from '../../js/loading/configuration.js';
import { canonicalName } from '../../js/loading/names.js';
import { architectureFromModelCfg } from '../../js/loading/open-clip.js';
import { headerOf, writeSafetensors } from '../../js/loading/safetensors.js';
import { readShapes } from '../../js/loading/shapes.js';
import { trunkOf } from '../../js/loading/timm.js';
import { TRAINABLE } from '../../js/methods/methods.js';
import { mudpt } from './command.js';
import { GOLDEN, PICTURES, isError, openCore, temporaryFolder } from './models.js';
import { featuresOf, golden, longer, makeSmall, tensorsOf } from './small-models.js';

const FAMILIES = [
  ...['transformers-gelu', 'siglip', 'siglip-2', 'open-clip-gelu', 'clipa', 'open-clip-average', 'open-clip-siglip'],
  ...['open-clip-siglip-2', 'pe-core', 'pe-core-without-class', 'timm-clip'],
];
const small = async (name, changes) => makeSmall(await temporaryFolder(), golden(name), changes);
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
      const folder = await makeSmall(await temporaryFolder(), longer(golden(name)));
      const runs = [];
      for (const threads of [1, 2]) {
        await withClip(
          folder,
          async (clip) => {
            assert.deepEqual(clip.info.assumed, []);
            for (const method of TRAINABLE) runs.push([method, threads, await trained(clip, method)]);
          },
          { threads },
        );
      }
      for (const method of TRAINABLE) {
        const [one, two] = runs.filter(([its]) => its === method).map(([, , run]) => run);
        assert.deepEqual(two, one, `${method}: other numbers on two threads`);
        const { losses } = one;
        assert.ok(losses.length === 4 && losses.every(Number.isFinite), `${method}: ${losses}`);
        // It learns: after a few steps of a small rate the loss of the same pictures is below that at the start.
        assert.ok(losses.at(-1) < losses[0], `${method}: ${losses}`);
      }
    });
  }
});

/** Losses of a short run, and what its classifier says, which a saved one says, too. */
async function trained(clip, method) {
  const losses = [];
  // One token of the first layer moves long sentences little.
  const rate = method.endsWith('coop') ? { learningRate: 0.05 } : {};
  const job = clip.tune({ ...SHORT, ...rate, method });
  for await (const { loss } of job) losses.push(loss);
  const classifier = await job.finished;
  const top = await classifier.classify(PICTURES[0]);
  const again = await clip.import(await classifier.export());
  assert.deepEqual(await again.classify(PICTURES[0]), top, method);
  return { losses, top };
}

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
  'ViT-SO400M-16-SigLIP-i18n-256.safetensors': {
    ...{ embed_dim: 1152, trunk: [1152, 27, 4304, 16] },
    vision_cfg: {
      ...{ image_size: 256, timm_model_name: 'vit_so400m_patch16_siglip_256', timm_pool: 'map', timm_proj: 'none' },
    },
    text_cfg: {
      ...{ context_length: 64, vocab_size: 250000, hf_tokenizer_name: 'timm/ViT-B-16-SigLIP-i18n-256', ...BOTH_WAYS },
      ...{ width: 1152, heads: 16, layers: 27, mlp_ratio: 3.7362, proj_type: 'none', norm_kwargs: { eps: 1e-6 } },
      ...{ tokenizer_kwargs: { clean: 'canonicalize' } },
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
    ...(text.proj_type === 'none'
      ? {}
      : isSiglip
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

  test('the same of names that are others’', async () => {
    const h14 = KNOWN['CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors'];
    const b32 = KNOWN['ViT-B-32-quickgelu.safetensors'];
    const worldwide = tellingTensors({ ...h14, text_cfg: { ...h14.text_cfg, vocab_size: 901629 } });
    const { architecture, end } = await describeAlone('ViT-H-14-worldwide-quickgelu.pt', worldwide);
    assert.deepEqual([end, architecture.pad, architecture.visionActivation], [2, 1, undefined]);
    const scales = ['visual.', ''].map((tower) => ({
      name: `${tower}transformer.resblocks.0.ls_1.gamma`,
      shape: [768],
    }));
    const alt = await describeAlone('ViT-M-16-alt.pt', [...tellingTensors(b32), ...scales]);
    assert.deepEqual([alt.architecture.visionLayerScale, alt.architecture.textLayerScale], [1, 1]);
    const remote = await describeAlone('RS5M_ViT-B-32.pt', tellingTensors(b32));
    assert.equal(remote.architecture.visionActivation, ACTIVATIONS.gelu);
    const siglip = KNOWN['ViT-SO400M-14-SigLIP2-378.safetensors'];
    const i18n = await describeAlone('ViT-SO400M-14-SigLIP-i18n-378.safetensors', tellingTensors(siglip));
    assert.deepEqual([i18n.architecture.pad, i18n.architecture.noMask], [1, 1]);
    // Perception Encoder as timm has it, with a bias behind its projection, and as Meta has it, without.
    const timms = tellingTensors(KNOWN['PE-Core-S-16-384.safetensors']);
    const theirs = await describeAlone('PE-Core-S-16-384.pt', [
      ...timms,
      { name: 'visual.trunk.head.weight', shape: [512, 384] },
      { name: 'visual.trunk.head.bias', shape: [512] },
    ]);
    const ours = timms.map(({ name, shape }) => ({ name: canonicalName(name).replace(/^text\./, ''), shape }));
    const metas = await describeAlone('PE-Core-S16-384.pt', ours);
    assert.equal(theirs.architecture.visionProjectionBias, 1);
    assert.deepEqual({ ...metas.architecture, visionProjectionBias: 1 }, theirs.architecture);
  });

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
    // A tower of timm's is none of OpenAI's, even where it is a ViT of CLIP's.
    const trunk = plain.map(({ name, shape }) => ({
      name: name.replace(/^visual\.class_e.*/, 'visual.trunk.cls_token'),
      shape,
    }));
    await assert.rejects(
      describeAlone('weights.bin', trunk),
      isError('model', /cannot be told from its tensors alone/),
    );
  });
});

test('word pieces are refused by their name, and the image tower alone is loaded', async () => {
  const edit = (files) => (files['tokenizer.json'] = { model: { type: 'WordPiece', vocab: { '[CLS]': 38 } } });
  const folder = await small('clipa', { edit });
  await assert.rejects(loadClip(folder), isError('tokenizer', /tokenizer\.json is of WordPiece, .*towers: 'image'/));
  await withClip(folder, (clip) => clip.embedImages([PICTURES[0]]), { towers: 'image' });
});

test('Long-CLIP’s own files: two tensors of positions are one', async () => {
  const folder = await temporaryFolder();
  const bytes = readFileSync(path.join(GOLDEN, 'tiny-a/openai.safetensors'));
  const all = headerOf(bytes, 'it').tensors.map((tensor) => {
    return { ...tensor, data: new Uint8Array(bytes.subarray(tensor.begin, tensor.begin + tensor.bytes)) };
  });
  const plain = all.filter(({ name }) => name !== 'positional_embedding');
  const [positions] = all.filter(({ name }) => name === 'positional_embedding');
  const kept = (positions.bytes / positions.shape[0]) * 20;
  const [first, more] = [new Uint8Array(positions.data), new Uint8Array(positions.data)];
  first.fill(0x11, kept);
  more.fill(0x22, 0, kept);
  const both = [
    { ...positions, name: 'positional_embedding_res', data: more },
    ...plain,
    { ...positions, data: first },
  ];
  await cp(path.join(GOLDEN, 'tiny-a/model/tokenizer.json'), path.join(folder, 'tokenizer.json'));
  const write = (name, tensors) => writeFile(path.join(folder, name), writeSafetensors(tensors));
  await write('plain.safetensors', all);
  await write('long.safetensors', both);
  const info = (name) => withClip(path.join(folder, name), (clip) => clip.info);
  const [wanted, found] = [await info('plain.safetensors'), await info('long.safetensors')];
  assert.equal(found.fingerprint, wanted.fingerprint);
  assert.deepEqual(found.assumed, [], 'Long-CLIP has all else from OpenAI');
  const { code, stderr } = await mudpt(['convert', 'long.safetensors', '--dtype', 'f32', '--out', 'out'], {
    cwd: folder,
  });
  assert.equal(code, 0, stderr);
  assert.equal((await info('out')).fingerprint, wanted.fingerprint);
  const odd = [{ ...positions, name: 'positional_embedding_res', dtype: 'I16', data: more }, ...plain, positions];
  await write('odd.safetensors', odd);
  await assert.rejects(
    info('odd.safetensors'),
    isError('model', /positional_embedding_res is not of the type and shape/),
  );
});

test('sigmoid scores: of each class by itself, with the model’s bias', async () => {
  const document = golden('siglip');
  const bias = tensorsOf(document).find(({ name }) => name === 'logit_bias').data[0];
  for (const added of [0, -20]) {
    const weights = (list) =>
      list.map((one) => (one.name === 'logit_bias' ? { ...one, data: Float32Array.of(bias + added) } : one));
    const folder = await makeSmall(await temporaryFolder(), longer(document), { weights });
    const classes = ['be', 'cd'];
    const saved = await withClip(folder, async (clip) => {
      const [pictures, texts] = await Promise.all([
        clip.embedImages([PICTURES[0]], { unit: true }),
        clip.embedTexts(
          classes.map((name) => `a photo of a ${name}.`),
          { unit: true },
        ),
      ]);
      const classifier = await clip.zeroShot(classes);
      const found = await classifier.classify(PICTURES[0], { scores: 'sigmoid' });
      const width = pictures.dims[1];
      for (const { index, score } of found) {
        const cosine = pictures.data.reduce((sum, value, i) => sum + value * texts.data[index * width + i], 0);
        const wanted = 1 / (1 + Math.exp(-(clip.info.logitScale * cosine + bias + added)));
        assert.ok(Math.abs(score - wanted) < 1e-5 && (score < 0.5 || !added), `${score}, ${wanted} is right`);
      }
      await assert.rejects(
        classifier.classify(PICTURES[0], { scores: 'other' }),
        isError('argument', /scores cannot be/),
      );
      return { found, file: await classifier.export() };
    });
    // A saved classifier needs no text tower for it.
    const again = await withClip(
      folder,
      async (clip) => (await clip.import(saved.file)).classify(PICTURES[0], { scores: 'sigmoid' }),
      { towers: 'image' },
    );
    assert.deepEqual(again, saved.found);
    const { stdout } = await mudpt(
      ['classify', PICTURES[0], '--classes', 'be,cd', '--scores', 'sigmoid', '--model', folder],
      {
        cwd: folder,
      },
    );
    assert.equal(stdout.includes('probably none of these'), saved.found[0].score < 0.5);
  }
  await withClip(path.join(GOLDEN, 'tiny-a/model'), async (clip) => {
    const classifier = await clip.zeroShot(['cat', 'dog']);
    const refused = isError('argument', /scores cannot be sigmoid with this model; .*logit bias/);
    await assert.rejects(classifier.classify(PICTURES[0], { scores: 'sigmoid' }), refused);
  });
});
