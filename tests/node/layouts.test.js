/** How people have models on disk and on the hub: other names, other programs' folders, and what lies there instead. */
import assert from 'node:assert/strict';
import { cp, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';

import { modelAddress } from '../../js/base/address.js';
import { loadClip } from '../../js/index.js';
import { writeSafetensors } from '../../js/loading/safetensors.js';
import { makeClip } from '../make-clip.js';
import { mudpt } from './command.js';
import { serving } from './downloads.js';
import { GOLDEN, PICTURES, TINY_A, isError, json, temporaryFolder } from './models.js';
import { golden, makeSmall, tensorsOf } from './small-models.js';

const load = async (from) => {
  const clip = await loadClip(from, { threads: 1 });
  await clip.dispose();
  return clip.info;
};
const scores = async (from, names) => {
  const clip = await loadClip(from, { threads: 1 });
  const answer = await (await clip.zeroShot(names)).classify(PICTURES[1]);
  await clip.dispose();
  return answer;
};
const OPENAI = path.join(GOLDEN, 'tokenizer/tokenizer.json');
const vocabulary = json('tokenizer/tokenizer.json');
vocabulary.model.merges = vocabulary.model.merges.map((pair) => [pair].flat().join(' '));
const small = async (name, changes) => makeSmall(await temporaryFolder(), golden(name), changes);
const fingerprints = Object.fromEntries(
  await Promise.all(
    ['transformers-heads', 'open-clip-heads'].map(async (name) => [name, (await load(await small(name))).fingerprint]),
  ),
);

describe('folders', () => {
  test('the only .safetensors file, whatever its name', async () => {
    const folder = await small('transformers-heads', { name: 'my weights-v2.safetensors' });
    assert.equal((await load(folder)).fingerprint, fingerprints['transformers-heads']);
    await writeFile(path.join(folder, 'another.safetensors'), 'x');
    await assert.rejects(
      load(folder),
      isError('file', /has no model\.safetensors, but another\.safetensors and my weights-v2\.safetensors; name/),
    );
  });

  test('shards without their index, and an index that is named itself', async () => {
    const document = golden('transformers-heads');
    const folder = await small('transformers-heads');
    await rm(path.join(folder, 'model.safetensors'));
    const all = tensorsOf(document);
    const map = {};
    for (const [i, tensors] of [all.slice(0, 9), all.slice(9)].entries()) {
      const name = `clip-0000${i + 1}-of-00002.safetensors`;
      await writeFile(path.join(folder, name), writeSafetensors(tensors));
      for (const tensor of tensors) map[tensor.name] = name;
    }
    assert.equal((await load(folder)).fingerprint, fingerprints['transformers-heads']);
    const index = path.join(folder, 'clip.safetensors.index.json');
    await writeFile(index, JSON.stringify({ weight_map: map }));
    assert.equal((await load(index)).fingerprint, fingerprints['transformers-heads']);
    await rename(index, path.join(folder, 'open_clip_model.safetensors.index.json'));
    assert.equal((await load(folder)).fingerprint, fingerprints['transformers-heads']);
    const { code, stderr } = await mudpt(['convert', folder, '--dtype', 'f32', '--out', 'whole'], { cwd: folder });
    assert.equal(code, 0, stderr);
    assert.equal((await load(path.join(folder, 'whole'))).fingerprint, fingerprints['transformers-heads']);
  });

  test('timm’s repositories: another config.json, and an image tower alone in model.safetensors', async () => {
    const timm = { architecture: 'vit_base_patch32_clip_224', num_classes: 512 };
    const folder = await small('open-clip-heads', { edit: (files) => void (files['config.json'] = timm) });
    assert.equal((await load(folder)).fingerprint, fingerprints['open-clip-heads']);
    const tower = tensorsOf(golden('open-clip-heads')).filter(({ name }) => name.startsWith('visual.'));
    await writeFile(path.join(folder, 'model.safetensors'), writeSafetensors(tower));
    assert.equal((await load(folder)).fingerprint, fingerprints['open-clip-heads']);
    const { code, stderr } = await mudpt(['convert', folder, '--dtype', 'f32', '--out', 'whole'], { cwd: folder });
    assert.equal(code, 0, stderr);
    assert.equal((await load(path.join(folder, 'whole'))).fingerprint, fingerprints['open-clip-heads']);
  });

  test('a folder of Hugging Face’s cache', async () => {
    const root = path.join(await temporaryFolder(), 'models--ORG--NAME');
    const snapshot = path.join(root, 'snapshots', '0123abc');
    await makeSmall(snapshot, golden('transformers-heads'));
    await mkdir(path.join(root, 'blobs'));
    await mkdir(path.join(root, 'refs'));
    await rename(path.join(snapshot, 'config.json'), path.join(root, 'blobs', 'c0ffee'));
    await symlink('../../blobs/c0ffee', path.join(snapshot, 'config.json'));
    assert.equal((await load(root)).fingerprint, fingerprints['transformers-heads']);
    await mkdir(path.join(root, 'snapshots', '0456def'));
    await assert.rejects(load(root), isError('file', /has 2 snapshots, but there is no refs\/main; choose one in/));
    await writeFile(path.join(root, 'refs', 'main'), '0123abc\n');
    assert.equal((await load(root)).fingerprint, fingerprints['transformers-heads']);
    const { code, stderr } = await mudpt(['convert', root, '--dtype', 'f16', '--out', 'whole'], { cwd: root });
    assert.equal(code, 0, stderr);
  });

  test('sentence-transformers’ folders: modules.json names the one that CLIP is in', async () => {
    const root = await temporaryFolder();
    await makeSmall(path.join(root, '0_CLIPModel'), golden('transformers-heads'));
    const clip = { idx: 0, name: '0', path: '0_CLIPModel', type: 'sentence_transformers.models.CLIPModel' };
    const write = (modules) => writeFile(path.join(root, 'modules.json'), JSON.stringify(modules));
    await write([clip, { idx: 1, name: '1', path: '1_Normalize', type: 'sentence_transformers.models.Normalize' }]);
    assert.equal((await load(root)).fingerprint, fingerprints['transformers-heads']);
    await serving({ root }, async ({ url }) => {
      assert.equal((await load(url)).fingerprint, fingerprints['transformers-heads']);
    });
    const { code, stderr } = await mudpt(['convert', root, '--dtype', 'f32', '--out', 'whole'], { cwd: root });
    assert.equal(code, 0, stderr);
    assert.equal((await load(path.join(root, 'whole'))).fingerprint, fingerprints['transformers-heads']);

    const handleOf = (folder) => ({
      kind: 'directory',
      name: path.basename(folder),
      getDirectoryHandle: async (name) => handleOf(path.join(folder, name)),
      async getFileHandle(name) {
        const bytes = await readFile(path.join(folder, name)).catch(() => null);
        if (!bytes) throw new DOMException('none', 'NotFoundError');
        return { getFile: async () => new File([bytes], name) };
      },
    });
    assert.equal((await load(handleOf(root))).fingerprint, fingerprints['transformers-heads']);

    const dense = { idx: 1, name: '1', path: '1_Dense', type: 'sentence_transformers.models.Dense' };
    for (const [modules, names] of [
      [[clip, dense], 'CLIPModel, Dense'],
      [[{ ...clip, path: '../x' }], 'CLIPModel'],
      [[null], 'undefined'],
      [{}, 'nothing'],
    ]) {
      await write(modules);
      await assert.rejects(load(root), isError('model', new RegExp(`modules.json names ${names}, expected CLIPModel`)));
    }
    await write([clip]);
    await rm(path.join(root, '0_CLIPModel', 'model.safetensors'));
    await assert.rejects(load(root), isError('file', /has no 0_CLIPModel\/model\.safetensors/));
    const files = ['modules.json'].map((name) => new File([JSON.stringify([clip])], name));
    await assert.rejects(load(files), isError('file', /has no 0_CLIPModel\/model\.safetensors/));
  });

  test('an adapter of PEFT’s is no model, and no model is read without its adapter', async () => {
    const folder = await small('transformers-heads');
    const config = path.join(folder, 'adapter_config.json');
    await writeFile(config, JSON.stringify({ peft_type: 'LORA', base_model_name_or_path: 'ORG/NAME' }, null, 2));
    await assert.rejects(
      load(folder),
      isError('model', /adapter_config\.json says that an adapter belongs to ORG\/NAME/),
    );
    await rm(config);
    assert.equal((await load(folder)).fingerprint, fingerprints['transformers-heads']);
  });

  test('files that a page was given', async () => {
    const folder = await small('open-clip-heads', { name: 'ViT-H.safetensors' });
    const names = ['open_clip_config.json', 'tokenizer.json', 'ViT-H.safetensors'];
    const files = await Promise.all(
      names.map(async (name) => new File([await readFile(path.join(folder, name))], name)),
    );
    assert.equal((await load(files)).fingerprint, fingerprints['open-clip-heads']);
    const others = [...files.slice(0, 2), new File(['x'], 'model.onnx')];
    await assert.rejects(
      load(others),
      isError('file', /has no model\.safetensors, but model\.onnx; read are \.safetensors, and \.bin/),
    );
  });

  for (const [other, hint] of [
    ['model.gguf', 'read are \\.safetensors'],
    ['tf_model.h5', 'read are'],
    ['flax_model.msgpack', 'read are'],
    ['clip.onnx', 'read are'],
  ]) {
    test(`in place of weights: ${other}`, async () => {
      const folder = await small('transformers-heads', { name: other });
      const message = new RegExp(`has no model\\.safetensors, but ${other.replace('.', '\\.')}; .*${hint}`);
      await assert.rejects(load(folder), isError('file', message));
    });
  }

  test('in place of tokenizer.json: vocab.json and merges.txt', async () => {
    const folder = await temporaryFolder();
    await cp(TINY_A, folder, { recursive: true });
    const { vocab, merges } = JSON.parse(await readFile(path.join(folder, 'tokenizer.json'), 'utf8')).model;
    await rm(path.join(folder, 'tokenizer.json'));
    await writeFile(path.join(folder, 'vocab.json'), JSON.stringify(vocab));
    await assert.rejects(
      load(folder),
      isError('tokenizer', /has no tokenizer\.json, but vocab\.json; transformers makes/),
    );
    const lines = merges.map((pair) => [pair].flat().join(' '));
    await writeFile(path.join(folder, 'merges.txt'), ['#version: 0.2', ...lines, ''].join('\r\n'));
    const names = ["a cat's tail", 'DOG', 'sail boat'];
    assert.deepEqual(await scores(folder, names), await scores(TINY_A, names));
    const { code, stderr } = await mudpt(['convert', folder, '--dtype', 'f32', '--out', 'whole'], { cwd: folder });
    assert.equal(code, 0, stderr);
    assert.deepEqual(await scores(path.join(folder, 'whole'), names), await scores(TINY_A, names));
    await writeFile(path.join(folder, 'vocab.json'), '{ "a": 1 }');
    await assert.rejects(load(folder), isError('tokenizer', /vocab\.json: has no <\|startoftext\|> and/));
    await writeFile(path.join(folder, 'vocab.json'), '[]');
    await assert.rejects(load(folder), isError('model', /vocab\.json must hold a JSON object/));
  });

  test('OpenAI’s vocabulary needs no file, where a model has it', async () => {
    const folder = await temporaryFolder();
    await makeClip(folder, { vocab: 49408, textLayers: 1, visionLayers: 1, tokenizer: OPENAI });
    const names = ['a cat’s “tail”', 'DOG', 'naïve 犬'];
    const expected = await scores(folder, names);
    await rm(path.join(folder, 'tokenizer.json'));
    // transformers' configuration says nothing of it, unless it has the id of its end.
    await assert.rejects(load(folder), isError('tokenizer', /no tokenizer\.json/));
    const file = path.join(folder, 'config.json');
    const config = JSON.parse(await readFile(file, 'utf8'));
    await writeFile(file, JSON.stringify({ ...config, text_config: { ...config.text_config, eos_token_id: 49407 } }));
    assert.deepEqual(await scores(folder, names), expected);
    assert.deepEqual((await load(folder)).assumed, []);
    await writeFile(path.join(folder, 'spiece.model'), 'x');
    await assert.rejects(load(folder), isError('tokenizer', /but spiece\.model; transformers makes it/));
    await rm(path.join(folder, 'spiece.model'));
    const { code, stderr } = await mudpt(['convert', folder, '--dtype', 'f32', '--out', 'whole'], { cwd: folder });
    assert.equal(code, 0, stderr);
    assert.deepEqual(JSON.parse(await readFile(path.join(folder, 'whole', 'tokenizer.json'), 'utf8')), vocabulary);
    // Bare weights: it is assumed.
    await mkdir(path.join(folder, 'bare'));
    await rename(path.join(folder, 'whole', 'model.safetensors'), path.join(folder, 'bare', 'ViT.safetensors'));
    const { assumed } = await load(path.join(folder, 'bare', 'ViT.safetensors'));
    assert.ok(assumed.includes('OpenAI’s vocabulary'), `${assumed}`);
  });
});

describe('addresses', () => {
  const at = 'https://huggingface.co/ORG/NAME/resolve';
  for (const [from, folder, file] of [
    ['hf:ORG/NAME', `${at}/main/`],
    ['hf:ORG/NAME@refs/pr/66', `${at}/refs%2Fpr%2F66/`],
    ['hf:ORG/NAME@refs%2Fpr%2F66', `${at}/refs%2Fpr%2F66/`],
    ['hf:ORG/NAME@refs/convert/parquet/model.safetensors', `${at}/refs%2Fconvert%2Fparquet/`, 'model.safetensors'],
    ['hf:ORG/NAME@v1.0/sub', `${at}/v1.0/sub/`],
    ['hf://ORG/NAME', `${at}/main/`],
    ['hf-hub:ORG/NAME', `${at}/main/`],
    ['https://huggingface.co/ORG/NAME/tree/refs%2Fpr%2F66', `${at}/refs%2Fpr%2F66/`],
    ['https://huggingface.co/ORG/NAME/tree/refs/pr/66', `${at}/refs%2Fpr%2F66/`],
    ['https://huggingface.co/ORG/NAME/blob/refs/pr/66/model.safetensors', `${at}/refs%2Fpr%2F66/`, 'model.safetensors'],
    ['https://huggingface.co/ORG/NAME/raw/main/model.safetensors', `${at}/main/`, 'model.safetensors'],
  ]) {
    test(from, () => {
      const found = modelAddress(from);
      assert.deepEqual([found.base.href, found.file], [folder, file]);
    });
  }

  test('a bare ORG/NAME is answered with how a repository is called', async () => {
    const message = /^openai\/clip-vit-base-patch16 is not there; .*called hf:openai\/clip-vit-base-patch16$/;
    await assert.rejects(load('openai/clip-vit-base-patch16'), isError('file', message));
    await assert.rejects(load('some/where/else'), isError('file', /^some\/where\/else is not there; check the path$/));
  });
});

describe('what convert writes', () => {
  const converted = async (folder, ...args) => {
    const out = path.join(await temporaryFolder(), 'out');
    const { code, stdout, stderr } = await mudpt(['convert', folder, '--out', out, ...args, '--json'], { cwd: folder });
    assert.equal(code, 0, stderr);
    return { out, result: JSON.parse(stdout), stderr };
  };

  for (const name of ['transformers-heads', 'open-clip-heads', 'open-clip-80', 'open-clip-104']) {
    for (const names of ['huggingface', 'openai', 'open_clip']) {
      test(`${name} under the names of ${names}: heads, mean, deviation and resizing are what was read`, async () => {
        const folder = await small(name);
        const before = await load(folder);
        const after = await load((await converted(folder, '--dtype', 'f32', '--names', names)).out);
        for (const key of ['fingerprint', 'architecture', 'mean', 'std', 'pictures', 'assumed'])
          assert.deepEqual(after[key], before[key], key);
      });
    }
  }

  test('doubles, and --to as --dtype was called', async () => {
    const weights = (list) => list.map((tensor) => ({ ...tensor, dtype: 'F64', data: Float64Array.from(tensor.data) }));
    const { out } = await converted(await small('open-clip-heads', { weights }), '--to', 'f32');
    assert.equal((await load(out)).fingerprint, fingerprints['open-clip-heads']);
  });

  test('what transformers cannot do with pictures is refused for its names, and kept for others', async () => {
    const longest = (files) => {
      const config = files['open_clip_config.json'];
      config.preprocess_cfg = { ...config.preprocess_cfg, resize_mode: 'longest', fill_color: 9 };
    };
    const folder = await small('open-clip-heads', { edit: longest });
    const args = ['convert', folder, '--dtype', 'f32', '--names', 'huggingface', '--out', 'never'];
    const { code, stderr } = await mudpt(args, { cwd: folder });
    assert.equal(code, 1);
    assert.match(stderr, /cannot resize pictures by their longer side/);
    const { pictures } = await load((await converted(folder, '--dtype', 'f32')).out);
    assert.deepEqual(pictures, { fit: 'longest', size: 16, filter: 'bicubic', fill: [9, 9, 9] });
  });

  test('assumptions are said, and written down', async () => {
    const wide = { ...golden('open-clip-heads'), files: {} };
    wide.tensors = wide.tensors.map(([name, shape, ...rest]) => [
      name,
      shape.map((side) => ({ 40: 64, 120: 192 })[side] ?? side),
      ...rest,
    ]);
    wide.tensors = wide.tensors.map((tensor) =>
      tensor[0] === 'token_embedding.weight' ? [tensor[0], [40, 64], ...tensor.slice(2)] : tensor,
    );
    const folder = await makeSmall(await temporaryFolder(), wide);
    const before = await load(folder);
    assert.equal(before.assumed.length, 3);
    assert.match(before.assumed.join(), /QuickGELU.*heads of width 64.*mean, deviation/);
    // Nobody reads the console of a command's program: each says it.
    const picture = path.join(GOLDEN, 'preprocess/images/noise.png');
    const classify = ['classify', picture, '--classes', 'a,b', '--template', '{}', '--model', folder, '--quiet'];
    for (const args of [classify, ['info', folder]]) {
      const run = await mudpt(args, { cwd: folder });
      assert.equal(run.code, 0, run.stderr);
      assert.match(run.stderr, /^mudpt: no file beside the weights of .* assumed: QuickGELU as the activation/);
    }
    // Only OpenAI's own archives have these beside their weights, and all of that is so there.
    const more = { name: 'input_resolution', dtype: 'I64', shape: [], data: BigInt64Array.of(16n) };
    const archive = await makeSmall(await temporaryFolder(), wide, { weights: (list) => [...list, more] });
    const own = await load(archive);
    assert.deepEqual([own.assumed, own.fingerprint], [[], before.fingerprint]);
    const { out, result, stderr } = await converted(folder, '--dtype', 'f32');
    assert.deepEqual(result.assumed, before.assumed);
    assert.match(stderr, /assumed, and written down, .*QuickGELU/);
    const after = await load(out);
    assert.deepEqual([after.assumed, after.architecture, after.mean], [[], before.architecture, before.mean]);
  });

  test('a tensor that nothing reads is refused, and nothing is written', async () => {
    const foreign = {
      name: 'visual.transformer.resblocks.0.ls_1.gamma',
      dtype: 'F32',
      shape: [1],
      data: Float32Array.of(1),
    };
    const folder = await small('open-clip-heads', { weights: (list) => [...list, foreign] });
    const { code, stderr } = await mudpt(['convert', folder, '--dtype', 'f32', '--out', 'never'], { cwd: folder });
    assert.equal(code, 1);
    assert.match(stderr, /tensor visual\.transformer\.resblocks\.0\.ls_1\.gamma belongs to no CLIP/);
  });

  test('without a type it says which there are', async () => {
    const { code, stderr } = await mudpt(['convert', 'x', '--out', 'never'], { cwd: await temporaryFolder() });
    assert.equal(code, 1);
    assert.match(stderr, /convert needs --dtype; one of f32, f16, int8/);
  });
});
