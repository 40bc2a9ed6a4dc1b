/** mudpt convert: names, types and rounding of weights, and that what it writes is a whole model. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { mock, test } from 'node:test';
import { halfBits } from '../../js/cli/convert-model.js';
import { toIntegers } from '../../js/cli/integers.js';
import { Library } from '../../js/core/library.js';
import { loadClip } from '../../js/index.js';
import { floatsOf, headerOf, writeSafetensors } from '../../js/loading/safetensors.js';
import { golden, makeDataset, mudpt as spawnMudpt, pictoclip, workFolder } from './command.js';

// Precision fast whatever is faster here, or a busy machine would compare it with f32.
mock.method(Library.prototype, 'fastGain', () => 2);

const cwd = workFolder();
const mudpt = (args) => spawnMudpt(args, { cwd });
const at = (...parts) => path.join(cwd, ...parts);
const tiny = path.join(golden, 'tiny-a');

async function convert(...args) {
  const { code, stdout, stderr } = await mudpt(['convert', ...args, '--json']);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

/** name -> [type, shape, bytes] */
function tensorsOf(file) {
  const bytes = readFileSync(file);
  const { tensors } = headerOf(bytes, file);
  return new Map(
    tensors.map(({ name, dtype, shape, begin, bytes: size }) => [
      name,
      [dtype, shape, bytes.subarray(begin, begin + size).toString('base64')],
    ]),
  );
}
const sorted = (map) => new Map([...map].sort(([a], [b]) => (a < b ? -1 : 1)));
const fingerprint = async (model) => JSON.parse((await mudpt(['info', model, '--json'])).stdout).fingerprint;

// ------------------------------------------------------------------------------------------ rounding

/** The value of a half, from its definition. */
function halfValue(bits) {
  const exponent = (bits >> 10) & 31;
  const size = exponent ? (1 + (bits & 1023) / 1024) * 2 ** (exponent - 15) : (bits & 1023) * 2 ** -24;
  return bits & 0x8000 ? -size : size;
}

test('halves: each is its own nearest, what lies between goes to the nearer, halfway to the even one', () => {
  for (let bits = 0; bits < 0x7bff; bits++) {
    const [low, high] = [halfValue(bits), halfValue(bits + 1)];
    const middle = (low + high) / 2;
    const step = high - low;
    assert.equal(halfBits(low), bits);
    assert.equal(halfBits(-low), bits | 0x8000);
    assert.equal(halfBits(middle), bits & 1 ? bits + 1 : bits, `halfway above ${low}`);
    assert.equal(halfBits(middle - step / 64), bits);
    assert.equal(halfBits(middle + step / 64), bits + 1);
  }
  assert.equal(halfBits(65504), 0x7bff);
  assert.equal(halfBits(65519), 0x7bff);
  assert.equal(halfBits(65520), 0x7c00, 'too large becomes infinity, which convert refuses');
  assert.equal(halfBits(1e-12), 0);
});

test('int8: a scale for each row, halves to the even integer', () => {
  const rows = [
    [127, -0.5, 0.5, 1.5, 2.5, -126.4],
    [-254, 1, 3, -1, -3, 253],
    [0, 0, 0, 0, 0, 0],
  ];
  const { integers, scale } = toIntegers(Float32Array.from(rows.flat()), 3, 6, 'I8');
  assert.deepEqual([...scale], [1, 2, 0]);
  assert.deepEqual(
    [...new Int8Array(integers.buffer)],
    [127, 0, 0, 2, 2, -126, -127, 0, 2, 0, -2, 126, 0, 0, 0, 0, 0, 0],
  );
});

// ------------------------------------------------------------------------------------------ names

test("Hugging Face's weights become OpenAI's, bit for bit", async () => {
  await convert(path.join(tiny, 'model'), '--to', 'f16', '--names', 'openai', '--out', 'as-openai');
  const made = tensorsOf(at('as-openai/model.safetensors'));
  const expected = tensorsOf(path.join(tiny, 'openai.safetensors'));
  assert.equal(made.get('logit_scale')[0], 'F32', 'the scale stays exact');
  made.delete('logit_scale');
  expected.delete('logit_scale');
  assert.deepEqual(sorted(made), sorted(expected));
});

test('there and back through every family gives the same weights', async () => {
  let from = path.join(tiny, 'model');
  for (const names of ['openai', 'open_clip', 'huggingface']) {
    await convert(from, '--to', 'f32', '--names', names, '--out', `back-${names}`);
    from = `back-${names}`;
  }
  assert.deepEqual(
    sorted(tensorsOf(at('back-huggingface/model.safetensors'))),
    sorted(tensorsOf(path.join(tiny, 'model/model.safetensors'))),
  );
  const prints = await Promise.all([fingerprint(path.join(tiny, 'model')), fingerprint('back-open_clip')]);
  assert.equal(prints[1], prints[0]);
});

test('weights alone become a whole model', async () => {
  mkdirSync(at('alone'));
  cpSync(path.join(tiny, 'openai.safetensors'), at('alone/openai.safetensors'));
  cpSync(path.join(tiny, 'model/tokenizer.json'), at('alone/tokenizer.json'));
  const result = await convert('alone/openai.safetensors', '--to', 'f32', '--names', 'huggingface', '--out', 'whole');
  assert.equal(result.from, 'openai');
  const read = (file) => JSON.parse(readFileSync(file, 'utf8'));
  const [made, original] = [read(at('whole/config.json')), read(path.join(tiny, 'model/config.json'))];
  for (const part of ['text_config', 'vision_config']) {
    for (const [key, value] of Object.entries(made[part]))
      assert.deepEqual(value, original[part][key], `${part}.${key}`);
  }
  assert.equal(made.projection_dim, original.projection_dim);
  assert.equal(read(at('whole/preprocessor_config.json')).size.shortest_edge, original.vision_config.image_size);
  assert.equal(await fingerprint('whole'), await fingerprint(path.join(tiny, 'model')));
});

// ------------------------------------------------------------------------------------------ types

test('int8 is half the size and nearly as good, under all names the same', async () => {
  const data = makeDataset(at('faces3'), 4);
  const result = await convert(pictoclip, '--to', 'int8', '--out', 'int8');
  assert.ok(result.bytes < 0.62 * readFileSync(path.join(pictoclip, 'model.safetensors')).length);
  await convert('int8', '--to', 'int8', '--names', 'openai', '--out', 'int8-openai');
  const classify = async (...args) => {
    const { code, stdout, stderr } = await mudpt(['classify', path.join(data, 'test/clown_face'), ...args, '--json']);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout).results.map(({ top }) => new Map(top.map(({ label, score }) => [label, score])));
  };
  const names = ['--classes', 'clown face,nauseated face,sleeping face'];
  const [f16, int8, renamed, onLoad] = [
    await classify(...names),
    await classify(...names, '--model', 'int8'),
    await classify(...names, '--model', 'int8-openai'),
    await classify(...names, '--dtype', 'int8'),
  ];
  assert.deepEqual(renamed, int8, 'integers pass unchanged');
  f16.forEach((scores, i) => {
    for (const [label, score] of scores) assert.ok(Math.abs(score - int8[i].get(label)) < 0.05, `${label} ${score}`);
  });
  int8.forEach((scores, i) => {
    for (const [label, score] of scores) assert.ok(Math.abs(score - onLoad[i].get(label)) < 0.02, `${label} ${score}`);
  });
  assert.notDeepEqual(f16, int8);

  const config = JSON.parse(readFileSync(at('int8/config.json'), 'utf8'));
  const original = JSON.parse(readFileSync(path.join(pictoclip, 'config.json'), 'utf8'));
  assert.deepEqual({ ...config, dtype: 0, torch_dtype: 0 }, { ...original, dtype: 0, torch_dtype: 0 });
});

/** What a model says of a picture, to the bit. */
async function said(folder, options) {
  const clip = await loadClip(folder, { threads: 1, ...options });
  const classifier = await clip.zeroShot(['red fox', 'wolf', 'a very long name of a thing']);
  const top = await classifier.classify(path.join(golden, 'preprocess/images/palette.png'));
  await clip.dispose();
  return JSON.stringify([top, clip.info.logitScale, clip.info.weightBytes, clip.info.fingerprint]);
}

for (const [dtype, type, other] of [
  ['int8', 'I8', 'f16'],
  ['int16', 'I16', 'int8'],
])
  test(`${dtype}: the file gives the bits of the original loaded with this dtype, under all names`, async () => {
    const model = path.join(tiny, 'model');
    const wanted = await said(model, { dtype });
    assert.notEqual(await said(model, { dtype: 'f32' }), wanted);
    let from = model;
    for (const names of ['huggingface', 'openai', 'open_clip']) {
      await convert(from, '--dtype', dtype, '--names', names, '--out', `bits-${dtype}-${names}`);
      from = `bits-${dtype}-${names}`;
      assert.equal(await said(at(from)), wanted, names);
    }
    const [stored, shape] = tensorsOf(at(`bits-${dtype}-huggingface/model.safetensors`)).get(fc1);
    assert.deepEqual([stored, shape.length], [type, 2]);
    const fast = { precision: /** @type {const} */ ('fast') };
    assert.equal(await said(at(from), fast), await said(model, { dtype, ...fast }));
    // From integers to other types and back: a weight is the product of integer and scale.
    await convert(from, '--dtype', 'f32', '--names', 'huggingface', '--out', `${dtype}-wide`);
    await convert(`${dtype}-wide`, '--dtype', other, '--out', `${dtype}-narrow`);
    const scores = (text) => new Map(JSON.parse(text)[0].map(({ label, score }) => [label, score]));
    const [before, wide, narrow] = [wanted, await said(at(`${dtype}-wide`)), await said(at(`${dtype}-narrow`))];
    for (const [label, score] of scores(before)) {
      assert.ok(Math.abs(score - scores(wide).get(label)) < 1e-5, `${label} ${score}`);
      assert.ok(Math.abs(score - scores(narrow).get(label)) < 0.05, `${label} ${score}`);
    }
  });

test('int8: columns far from the others keep their bits, under all names', async () => {
  const original = new Uint8Array(readFileSync(path.join(tiny, 'model/model.safetensors')));
  const { tensors } = headerOf(original, 'model');
  cpSync(path.join(tiny, 'model'), at('apart'), { recursive: true });
  const columns = tensors.map((tensor) => {
    const { name, dtype, shape } = tensor;
    const data = floatsOf(original, tensor);
    const factor = /(?:[qkv]|out)_proj\.weight$/.test(name) ? 1 / 64 : /fc1\.weight$/.test(name) ? 32 : 1;
    for (let i = 5; i < data.length; i += shape.at(-1)) data[i] *= factor;
    return { name, dtype, shape, data };
  });
  writeFileSync(at('apart/model.safetensors'), writeSafetensors(columns));
  const wanted = await said(at('apart'), { dtype: 'int8' });
  let from = 'apart';
  for (const names of ['huggingface', 'openai', 'open_clip', 'huggingface']) {
    await convert(from, '--dtype', 'int8', '--names', names, '--out', `${from}-${names}`);
    from = `${from}-${names}`;
    assert.equal(await said(at(from)), wanted, names);
  }
  const stored = tensorsOf(at(from, 'model.safetensors'));
  const [type, shape, bytes] = stored.get(`${fc1}_column`);
  assert.deepEqual([type, shape], ['F32', [stored.get(fc1)[1][1]]]);
  const factors = new Float32Array(new Uint8Array(Buffer.from(bytes, 'base64')).buffer);
  assert.ok(factors.every((factor, i) => (i === 5 ? factor >= 16 && factor <= 64 : factor === 1)));
  assert.ok(!stored.has(`${fc1.replace('fc1', 'fc2')}_column`), 'where none are');
  // And back: a weight is the product of integer, scale and column.
  const file = await convert(from, '--dtype', 'f32', '--out', 'apart-wide');
  assert.equal(file.tensors, tensors.length);
  const scores = (text) => new Map(JSON.parse(text)[0].map(({ label, score }) => [label, score]));
  const wide = scores(await said(at('apart-wide')));
  for (const [label, score] of scores(wanted)) assert.ok(Math.abs(score - wide.get(label)) < 1e-5, label);
});

// ------------------------------------------------------------------------------------------ refusals

const weights = readFileSync(path.join(tiny, 'model/model.safetensors'));

/** The small model with other weights. */
function modelWith(name, bytes) {
  cpSync(path.join(tiny, 'model'), at(name), { recursive: true });
  writeFileSync(at(name, 'model.safetensors'), bytes);
  return name;
}

/** The weights with tensors changed: change(name, data) gives other data, or null to leave the tensor out. */
function changed(change) {
  const { tensors } = headerOf(weights, 'weights');
  const kept = tensors.flatMap(({ name, dtype, shape, begin, bytes }) => {
    const data = change(name, Buffer.from(weights.subarray(begin, begin + bytes)));
    return data ? [{ name, dtype, shape, data }] : [];
  });
  return writeSafetensors(kept);
}
const setFirst = (value) => (data) => {
  data.writeFloatLE(value);
  return data;
};
const fc1 = 'vision_model.encoder.layers.1.mlp.fc1.weight';
const only = (wanted, act) => (name, data) => (name === wanted ? act(data) : data);

const bad = {
  'cut short': [() => weights.subarray(0, 1e6), /model\.safetensors: is cut short/],
  empty: [() => Buffer.alloc(0), /model\.safetensors: has 0 bytes/],
  'no CLIP': [() => changed((name, data) => (name === 'logit_scale' ? data : null)), /holds no CLIP/],
  'a tensor missing': [() => changed(only(fc1, () => null)), new RegExp(`has no tensor ${fc1}`)],
  NaN: [() => changed(only(fc1, setFirst(NaN))), new RegExp(`tensor ${fc1} holds NaN`)],
  infinity: [() => changed(only(fc1, setFirst(-Infinity))), /holds -Infinity/],
  'too large for f16': [() => changed(only(fc1, setFirst(1e5))), /too large for f16/],
};
for (const [name, [make, message]] of Object.entries(bad)) {
  test(`a model is refused: ${name}`, async () => {
    const model = modelWith(`bad ${name}`, make());
    const { code, stdout, stderr } = await mudpt(['convert', model, '--to', 'f16', '--out', 'never']);
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /^mudpt: [^\n]+; [^\n]+\n$/);
    assert.match(stderr, message);
    assert.ok(!existsSync(at('never')));
  });
}

test('a folder that is there is left as it is', async () => {
  mkdirSync(at('mine'));
  writeFileSync(at('mine/notes.txt'), 'mine');
  for (const out of ['mine', 'mine/notes.txt']) {
    const { code, stderr } = await mudpt(['convert', pictoclip, '--to', 'f16', '--out', out]);
    assert.equal(code, 1);
    assert.match(stderr, /is there already; choose another --out or remove it first\n$/);
  }
  assert.deepEqual(readdirSync(at('mine')), ['notes.txt']);
  assert.deepEqual(
    readdirSync(cwd).filter((entry) => entry.endsWith('.part')),
    [],
  );
});
