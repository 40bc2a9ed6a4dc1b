/** Loading models: every place and layout they come from, every type, and files that are wrong. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { loadClip } from '../../js/index.js';
import { headerOf, writeHeader, writeSafetensors } from '../../js/loading/safetensors.js';
import { openSource } from '../../js/files/source.js';
import { makeClip } from '../make-clip.js';
import { mudpt } from './command.js';
import { GOLDEN, PICTURES, TINY_A, TINY_B, difference, isError, temporaryFolder } from './models.js';

const FILES = ['config.json', 'preprocessor_config.json', 'tokenizer.json', 'model.safetensors'];
const CLASSES = ['cat', 'sail_boat', 'x'];
/** Scores of one picture, in the order of the classes, and the fingerprint. */
async function answer(from, options) {
  const clip = await loadClip(from, { threads: 1, cache: false, ...options });
  const classifier = await clip.zeroShot(CLASSES);
  const best = await classifier.classify(PICTURES[1], { topK: 3 });
  const scores = CLASSES.map((label) => best.find((one) => one.label === label).score);
  const { fingerprint, weightBytes } = clip.info;
  await clip.dispose();
  return { fingerprint, scores, weightBytes };
}

/** A copy of a model's folder, changed by `change(folder)`. */
async function changed(change, model = TINY_B) {
  const folder = await temporaryFolder();
  for (const name of FILES) await writeFile(path.join(folder, name), await readFile(path.join(model, name)));
  await change(folder);
  return folder;
}

/** The tensors of a model file, to be written again. */
function weights(folder) {
  const bytes = new Uint8Array(readFileSync(path.join(folder, 'model.safetensors')));
  return headerOf(bytes, folder).tensors.map(({ name, dtype, shape, begin, bytes: length }) => {
    return { name, dtype, shape, data: bytes.slice(begin, begin + length) };
  });
}

const edit = async (folder, file, change) => {
  const document = JSON.parse(await readFile(path.join(folder, file), 'utf8'));
  await writeFile(path.join(folder, file), JSON.stringify(change(document) ?? document));
};

let expected;
before(async () => {
  expected = await answer(TINY_B);
});

describe('where models come from', () => {
  let server;
  let base;
  let requests = [];
  before(async () => {
    server = createServer(async (request, response) => {
      requests.push(request.url);
      const [, kind, name] = request.url.split('/');
      const file = await readFile(path.join(TINY_B, name)).catch(() => null);
      if (!file || kind === 'nothing') return response.writeHead(404).end();
      if (kind === 'forbidden') return response.writeHead(403).end();
      if (kind === 'page') return response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html>');
      const share = name.endsWith('.safetensors') && ['cut', 'stalled'].includes(kind) ? 0.6 : 1;
      const start = kind === 'ranges' && /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1];
      if (start) return response.writeHead(206).end(file.subarray(Number(start)));
      if (kind !== 'chunked') response.setHeader('content-length', file.length);
      response.write(file.subarray(0, file.length * share), () => {
        if (share === 1) response.end();
        else if (kind === 'cut') setTimeout(() => response.destroy(), 20);
      });
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    base = `http://127.0.0.1:${server.address().port}`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  test('a folder, a file in it, and file URLs of both', async () => {
    const file = path.join(TINY_B, 'model.safetensors');
    for (const from of [`${TINY_B}/`, file, pathToFileURL(TINY_B), pathToFileURL(file), pathToFileURL(file).href]) {
      assert.deepEqual(await answer(from), expected, String(from));
    }
  });

  test('files as a page gets them', async () => {
    const files = FILES.map((name) => new File([readFileSync(path.join(TINY_B, name))], name));
    assert.deepEqual(await answer(files), expected);
    assert.deepEqual(await answer(new Set(files)), expected);
  });

  test('an address for each file, as bundlers give them', async () => {
    const named = (names, addressOf) => Object.fromEntries(names.map((name) => [name, addressOf(name)]));
    assert.deepEqual(await answer(named(FILES, (name) => `${base}/plain/${name}`)), expected);
    assert.deepEqual(await answer(named(FILES, (name) => pathToFileURL(path.join(TINY_B, name)))), expected);
    await assert.rejects(answer(named(FILES.slice(0, 3), String)), isError('argument', /"config\.json" is no URL/));
    const noWeights = named(FILES.slice(0, 3), (name) => `${base}/plain/${name}`);
    await assert.rejects(answer(noWeights), isError('file', /has no model\.safetensors/));
    await assert.rejects(answer({ model: `${base}/plain/` }), isError('argument', /must be given as a URL/));
  });

  for (const kind of ['plain', 'chunked']) {
    test(`a server, ${kind}`, async () => {
      requests = [];
      assert.deepEqual(await answer(`${base}/${kind}/`), expected);
      assert.deepEqual(
        requests.filter((url) => url.endsWith('.safetensors')),
        [`/${kind}/model.safetensors`],
      );
      assert.deepEqual(await answer(new URL(`${base}/${kind}`)), expected);
      assert.deepEqual(await answer(`${base}/${kind}/model.safetensors`), expected);
    });
  }

  for (const kind of ['ranges', 'plain']) {
    test(`any place of a download, of a server with: ${kind}`, async () => {
      const bytes = readFileSync(path.join(TINY_B, 'model.safetensors'));
      const file = await (await openSource(`${base}/${kind}/`, { cache: false })).open('model.safetensors');
      assert.equal(file.size, bytes.length);
      const far = bytes.length - 100;
      for (const [offset, length] of [
        [0, 8],
        [8, 100],
        [5, 10],
        [far, 50],
        [far, 500],
        [0, 3],
      ]) {
        assert.deepEqual(Buffer.from(await file.read(offset, length)), bytes.subarray(offset, offset + length));
      }
      let length = 0;
      for await (const piece of file.stream(1000, 5000)) length += piece.length;
      assert.equal(length, 5000);
      await file.close();
    });
  }

  for (const [kind, code, message] of [
    ['nothing', 'file', /nothing\/ has no model\.safetensors; give a folder/],
    ['forbidden', 'network', /answered with 403/],
    ['page', 'file', /shows a web page \(HTML\) in place of model\.safetensors/],
    ['cut', 'network', /model\.safetensors broke off after \d+ bytes/],
  ]) {
    test(`a server that answers with: ${kind}`, () =>
      assert.rejects(answer(`${base}/${kind}/`), isError(code, message)));
  }

  test('a server that does not listen', async () => {
    await assert.rejects(answer('http://127.0.0.1:9/model/'), isError('network', /127\.0\.0\.1:9.* cannot be fetched/));
  });

  test('a download that stalls can be aborted', async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 300);
    await assert.rejects(answer(`${base}/stalled/`, { signal: controller.signal }), { name: 'AbortError' });
  });

  for (const from of [undefined, 3, [], [{}], {}]) {
    test(`refused: ${JSON.stringify(from)}`, () => assert.rejects(loadClip(from), isError('argument', /URL/)));
  }
});

describe('layouts and types', () => {
  test('shards that an index lists', async () => {
    const folder = await changed(async (at) => {
      const all = weights(at);
      const shards = [all.slice(0, 20), all.slice(20)];
      const map = {};
      for (const [i, tensors] of shards.entries()) {
        const name = `model-0000${i + 1}-of-00002.safetensors`;
        await writeFile(path.join(at, name), writeSafetensors(tensors, { format: 'pt' }));
        for (const tensor of tensors) map[tensor.name] = name;
      }
      await writeFile(path.join(at, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }));
      await rm(path.join(at, 'model.safetensors'));
    });
    assert.deepEqual(await answer(folder), expected);
    const told = await Promise.all([TINY_B, folder].map((model) => mudpt(['info', model, '--json'], { cwd: folder })));
    const [one, parts] = told.map(({ stdout }) => JSON.parse(stdout));
    assert.deepEqual([parts.parameters, parts.names, parts.dtypes], [one.parameters, one.names, one.dtypes]);
  });

  test('OpenAI’s and open_clip’s names without a config.json: the same model', async () => {
    const folder = await temporaryFolder();
    await writeFile(
      path.join(folder, 'weights.safetensors'),
      await readFile(path.join(GOLDEN, 'tiny-a/openai.safetensors')),
    );
    await writeFile(path.join(folder, 'tokenizer.json'), await readFile(path.join(TINY_A, 'tokenizer.json')));
    const file = path.join(folder, 'weights.safetensors');
    const [openai, ours] = [await answer(file), await answer(TINY_A)];
    assert.equal(openai.fingerprint, ours.fingerprint);
    assert.deepEqual((await answer(TINY_A, { dtype: 'f16' })).scores, openai.scores);

    // open_clip's custom-text class
    const bytes = new Uint8Array(readFileSync(file));
    const renamed = headerOf(bytes, file).tensors.map(({ name, dtype, shape, begin, bytes: length }) => {
      const image = name.startsWith('visual.') || name === 'logit_scale';
      return { name: image ? name : `text.${name}`, dtype, shape, data: bytes.slice(begin, begin + length) };
    });
    await writeFile(path.join(folder, 'open_clip_model.safetensors'), writeSafetensors(renamed));
    assert.deepEqual(await answer(folder), openai);
    // A config.json of something else beside a file that was named itself does not matter.
    await writeFile(path.join(folder, 'config.json'), '{"architecture":"else"}');
    assert.deepEqual(await answer(file), openai);
    await assert.rejects(
      answer(folder),
      isError('model', /config\.json describes a model of type undefined, expected "clip"/),
    );
    await rm(path.join(folder, 'config.json'));
    await writeFile(path.join(folder, 'open_clip_config.json'), '{"model_cfg":{"embed_dim":48}}');
    await assert.rejects(answer(folder), isError('model', /model_cfg\.vision_cfg is undefined, expected an object/));
    const cfg = {
      ...{ embed_dim: 48, quick_gelu: true },
      vision_cfg: { image_size: 32, patch_size: 8, width: 128, layers: 3 },
      text_cfg: { vocab_size: 512, width: 64, heads: 1, layers: 3 },
    };
    await writeFile(path.join(folder, 'open_clip_config.json'), JSON.stringify({ model_cfg: cfg }));
    assert.deepEqual(await answer(folder), openai);
  });

  test('kept as f32, f16 or int8', async () => {
    const kept = {};
    for (const dtype of ['auto', 'f32', 'f16', 'int8']) kept[dtype] = await answer(TINY_A, { dtype });
    assert.deepEqual(kept.auto, kept.f32);
    assert.ok(kept.f16.weightBytes < 0.6 * kept.f32.weightBytes);
    assert.ok(kept.int8.weightBytes < 0.75 * kept.f16.weightBytes);
    assert.deepEqual(kept.f16.scores, kept.f32.scores); // these weights are exact in float16
    assert.ok(difference(kept.int8.scores, kept.f32.scores) < 0.1);
    assert.equal(kept.int8.fingerprint, kept.f32.fingerprint);
    await assert.rejects(
      loadClip(TINY_A, { dtype: 'f8' }),
      isError('argument', /dtype must be one of auto, f32, f16, int8/),
    );
  });

  test('bf16 weights', async () => {
    const folder = await changed(async (at) => {
      const tensors = weights(at).map(({ name, shape, data }) => {
        const floats = new Uint32Array(data.buffer);
        return { name, shape, dtype: 'BF16', data: Uint16Array.from(floats, (bits) => bits >>> 16) };
      });
      await writeFile(path.join(at, 'model.safetensors'), writeSafetensors(tensors));
    }, TINY_A);
    const { scores } = await answer(folder);
    assert.ok(difference(scores, (await answer(TINY_A)).scores) < 0.05);
  });

  test('int8 weights with their scales', async () => {
    const folder = await changed(async (at) => {
      const tensors = weights(at).flatMap((tensor) => {
        if (!/layers\.\d+\.(self_attn|mlp)\..*weight$/.test(tensor.name)) return [tensor];
        const floats = new Float32Array(tensor.data.buffer);
        const [rows, columns] = tensor.shape;
        const scales = Float32Array.from({ length: rows }, (_, row) => {
          return Math.max(...floats.subarray(row * columns, (row + 1) * columns).map(Math.abs)) / 127;
        });
        const data = Int8Array.from(floats, (value, i) => Math.round(value / scales[Math.floor(i / columns)]));
        return [
          { ...tensor, dtype: 'I8', data },
          { name: `${tensor.name}_scale`, dtype: 'F32', shape: [rows], data: scales },
        ];
      });
      await writeFile(path.join(at, 'model.safetensors'), writeSafetensors(tensors));
    }, TINY_A);
    const [stored, converted] = [await answer(folder), await answer(TINY_A, { dtype: 'int8' })];
    assert.ok(difference(stored.scores, (await answer(TINY_A)).scores) < 0.1);
    assert.ok(stored.weightBytes <= 1.5 * converted.weightBytes);
  });

  test('random models of odd sizes, f32 and f16, the same for the same seed', async () => {
    const sizes = {
      image: 42,
      patch: 14,
      visionWidth: 192,
      visionLayers: 2,
      textWidth: 64,
      textLayers: 1,
      embed: 24,
      context: 40,
    };
    const made = [];
    for (const [seed, dtype] of [
      [1, 'f32'],
      [1, 'f32'],
      [1, 'f16'],
      [2, 'f32'],
    ]) {
      const folder = await temporaryFolder();
      await makeClip(folder, { ...sizes, seed, dtype });
      made.push(await answer(folder));
    }
    assert.deepEqual(made[0], made[1]);
    assert.ok(difference(made[2].scores, made[0].scores) < 0.1);
    assert.notEqual(made[3].fingerprint, made[0].fingerprint);
  });
});

describe('progress and abort', () => {
  test('bytes grow to the total', async () => {
    const told = [];
    const clip = await loadClip(TINY_A, { threads: 1, onProgress: (progress) => told.push(progress) });
    await clip.dispose();
    assert.ok(told.length >= 1);
    const size = weights(TINY_A).reduce((sum, { data }) => sum + data.length, 0);
    assert.deepEqual(told[0], { loaded: 0, total: size });
    assert.deepEqual(told.at(-1), { loaded: size, total: size });
    assert.ok(told.every(({ loaded, total }, i) => total === size && loaded > (told[i - 1]?.loaded ?? -1)));
  });

  test('an abort before and during', async () => {
    await assert.rejects(loadClip(TINY_A, { signal: AbortSignal.abort() }), { name: 'AbortError' });
    const controller = new AbortController();
    const loading = loadClip(TINY_A, { signal: controller.signal, onProgress: () => controller.abort() });
    await assert.rejects(loading, { name: 'AbortError' });
    const reason = new Error('enough');
    await assert.rejects(loadClip(TINY_A, { signal: AbortSignal.abort(reason) }), reason);
  });

  test('what the caller’s own progress function throws arrives', async () => {
    const onProgress = () => {
      throw new RangeError('mine');
    };
    await assert.rejects(loadClip(TINY_A, { onProgress }), { name: 'RangeError', message: 'mine' });
  });

  test('unknown options are refused', async () => {
    await assert.rejects(loadClip(TINY_A, { dtyp: 'f16' }), isError('argument', /no option "dtyp"; valid are .*dtype/));
    await assert.rejects(
      loadClip(TINY_A, { device: 'tpu' }),
      isError('argument', /device must be one of auto, wasm, webgpu, not tpu/),
    );
  });
});

const replaceTensor = (name, change) => async (at) => {
  const tensors = weights(at).flatMap((tensor) => (tensor.name === name ? change(tensor) : [tensor]));
  await writeFile(path.join(at, 'model.safetensors'), writeSafetensors(tensors));
};
const NORM = 'text_model.final_layer_norm.weight';
const MLP = 'text_model.encoder.layers.0.mlp.fc1.weight';
const QUERY = 'text_model.encoder.layers.0.self_attn.q_proj.weight';
const scalesOf = ({ name, shape: [rows] }) => {
  return { name: `${name}_scale`, dtype: 'F32', shape: [rows], data: new Float32Array(rows).fill(0.001) };
};
const asI16 = (tensor, value) => {
  return { ...tensor, dtype: 'I16', data: new Int16Array(tensor.shape[0] * tensor.shape[1]).fill(value) };
};

describe('models that are wrong', () => {
  test('too large for memory: how many bytes, and what would be smaller', async () => {
    const folder = await changed(async (copy) => {
      const vocab = 9_000_000; // 4.6 GB of f32: more than WebAssembly can address
      const list = weights(copy).map((tensor) => {
        const isTable = tensor.name.includes('token_embedding');
        return { ...tensor, shape: isTable ? [vocab, tensor.shape[1]] : tensor.shape };
      });
      const { header, size } = writeHeader(list);
      const file = path.join(copy, 'model.safetensors');
      await writeFile(file, header);
      await truncate(file, size); // a hole, no bytes
      await edit(copy, 'config.json', (document) => void (document.text_config.vocab_size = vocab));
    });
    const message = /the token embedding needs 4608000000 bytes; its weights take 46\d\d MB as f32, 23\d\d MB as f16/;
    await assert.rejects(loadClip(folder, { threads: 1, dtype: 'f32' }), isError('memory', message));
  });

  for (const [what, code, message, change] of [
    ['no weights', 'file', /has no model\.safetensors/, (at) => rm(path.join(at, 'model.safetensors'))],
    ['no tokenizer', 'tokenizer', /no tokenizer\.json/, (at) => rm(path.join(at, 'tokenizer.json'))],
    [
      'an empty tokenizer',
      'tokenizer',
      /tokenizer\.json cannot be used/,
      (at) => edit(at, 'tokenizer.json', () => ({})),
    ],
    ['broken JSON', 'model', /config\.json is no valid JSON/, (at) => writeFile(path.join(at, 'config.json'), '{"a":')],
    [
      'JSON of another kind',
      'model',
      /config\.json must hold a JSON object/,
      (at) => writeFile(path.join(at, 'config.json'), '[]'),
    ],
    [
      'another kind of model',
      'model',
      /type "align", expected "clip"/,
      (at) => edit(at, 'config.json', (c) => ({ ...c, model_type: 'align' })),
    ],
    [
      'another activation',
      'model',
      /text_config\.hidden_act is "relu"/,
      (at) => edit(at, 'config.json', (c) => void (c.text_config.hidden_act = 'relu')),
    ],
    [
      'another epsilon',
      'model',
      /vision_config\.layer_norm_eps is 0[,;]/,
      (at) => edit(at, 'config.json', (c) => void (c.vision_config.layer_norm_eps = 0)),
    ],
    [
      'a size that is text',
      'model',
      /vision_config\.patch_size is "8"/,
      (at) => edit(at, 'config.json', (c) => void (c.vision_config.patch_size = '8')),
    ],
    [
      'a size that is huge',
      'model',
      /width/,
      (at) => edit(at, 'config.json', (c) => void (c.text_config.hidden_size = 2 ** 30)),
    ],
    [
      'sizes that do not fit the weights',
      'model',
      /tensor .* has shape .* asks for/,
      (at) => edit(at, 'config.json', (c) => void (c.text_config.vocab_size = 700)),
    ],
    [
      'layers that are not there',
      'model',
      /missing|layers\.\d/,
      (at) => edit(at, 'config.json', (c) => void (c.vision_config.num_hidden_layers += 1)),
    ],
    [
      'another picture size',
      'model',
      /preprocessor_config\.json: crop_size is 224, expected \d+/,
      (at) => edit(at, 'preprocessor_config.json', (c) => ({ ...c, crop_size: 224 })),
    ],
    [
      'another resampling',
      'model',
      /resample is 6, expected 0 to 5/,
      (at) => edit(at, 'preprocessor_config.json', (c) => ({ ...c, resample: 6 })),
    ],
    [
      'no crop',
      'model',
      /do_center_crop is false/,
      (at) => edit(at, 'preprocessor_config.json', (c) => ({ ...c, do_center_crop: false })),
    ],
    [
      'a mean of two numbers',
      'model',
      /image_mean is \[0\.5,0\.5\]/,
      (at) => edit(at, 'preprocessor_config.json', (c) => ({ ...c, image_mean: [0.5, 0.5] })),
    ],
    [
      'a deviation of 0',
      'model',
      /deviation/,
      (at) => edit(at, 'preprocessor_config.json', (c) => ({ ...c, image_std: [0, 1, 1] })),
    ],
    [
      'empty weights',
      'model',
      /model\.safetensors: has 0 bytes/,
      (at) => writeFile(path.join(at, 'model.safetensors'), ''),
    ],
    [
      'weights cut short',
      'model',
      /model\.safetensors: is cut short/,
      async (at) => {
        const file = await readFile(path.join(at, 'model.safetensors'));
        await writeFile(path.join(at, 'model.safetensors'), file.subarray(0, file.length >> 1));
      },
    ],
    [
      'weights of something else',
      'model',
      /CLIP/,
      (at) =>
        writeFile(
          path.join(at, 'model.safetensors'),
          writeSafetensors([{ name: 'a', dtype: 'F32', shape: [1], data: Float32Array.of(1) }]),
        ),
    ],
    ['a tensor that is missing', 'model', /final_layer_norm|ln_final/, replaceTensor(NORM, () => [])],
    [
      'a tensor of another shape',
      'model',
      /model\.safetensors: tensor text_model\.final_layer_norm\.weight has shape/,
      replaceTensor(NORM, (t) => [{ ...t, shape: [...t.shape, 1] }]),
    ],
    ['integers without scales', 'model', /scales of .*c_fc.* are incomplete/, replaceTensor(MLP, (t) => [asI16(t, 1)])],
    ['scales of no integers', 'model', /belong to no integers/, replaceTensor(MLP, (t) => [t, scalesOf(t)])],
    [
      'integers of more than 15 bits',
      'model',
      /holds 16384; I16 weights are -16383 to 16383/,
      replaceTensor(MLP, (t) => [asI16(t, 16384), scalesOf(t)]),
    ],
    [
      'one part of three as integers',
      'model',
      /parts of .*in_proj.* have different types/,
      replaceTensor(QUERY, (t) => [asI16(t, 1), scalesOf(t)]),
    ],
    ['a tensor of another type', 'model', /has type/, replaceTensor(NORM, (t) => [{ ...t, dtype: 'I16' }])],
    [
      'floats of eight bits',
      'model',
      /model\.safetensors \(F8_E4M3\): tensor .*fc1.* has type/,
      replaceTensor(MLP, (t) => [{ ...t, dtype: 'F8_E4M3', data: t.data.subarray(0, t.data.length / 2) }]),
    ],
    [
      'NaN in a tensor',
      'model',
      /model\.safetensors: .*NaN/,
      replaceTensor(NORM, (t) => [{ ...t, data: t.data.fill(0xff) }]),
    ],
    [
      'an index that leads elsewhere',
      'model',
      /names other things/,
      async (at) => {
        await rm(path.join(at, 'model.safetensors'));
        await writeFile(path.join(at, 'model.safetensors.index.json'), '{"weight_map":{"a":"../../x.safetensors"}}');
      },
    ],
    [
      'a shard that is not there',
      'file',
      /has no b\.safetensors, which/,
      async (at) => {
        await rm(path.join(at, 'model.safetensors'));
        await writeFile(path.join(at, 'model.safetensors.index.json'), '{"weight_map":{"a":"b.safetensors"}}');
      },
    ],
  ]) {
    test(what, async () => {
      const folder = await changed(change);
      await assert.rejects(answer(folder), (error) => {
        assert.ok(error.message.includes(folder), error.message);
        return isError(code, message)(error);
      });
    });
  }

  test('a folder or a file that is not there', async () => {
    await assert.rejects(
      answer('/no/such/folder'),
      isError('file', /^\/no\/such\/folder is not there; check the path$/),
    );
  });
});
