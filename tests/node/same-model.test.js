/** Which models a saved classifier belongs to: those of the same weights, however they are stored and loaded. */
import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';

import { loadClip } from '../../js/index.js';
import { floatsOf, headerOf, writeSafetensors } from '../../js/loading/safetensors.js';
import { makeClip } from '../make-clip.js';
import { mudpt } from './command.js';
import { PICTURES, isError, temporaryFolder } from './models.js';

const root = await temporaryFolder();
const at = (name) => path.join(root, name);
/** @type {Uint8Array} */
let file;
/** @type {Uint8Array} as a library saved it that looked at vectors only */
let old;

/** A copy of the model in which every tensor is what `change` makes of its values. */
function copyAs(name, change) {
  cpSync(at('f32'), at(name), { recursive: true });
  const weights = path.join(at(name), 'model.safetensors');
  const bytes = new Uint8Array(readFileSync(weights));
  const { tensors } = headerOf(bytes, weights);
  writeFileSync(
    weights,
    writeSafetensors(
      tensors.map((tensor) => {
        const values = floatsOf(bytes, tensor);
        return { ...tensor, dtype: 'F32', data: values, ...change(values, tensor) };
      }),
    ),
  );
  return at(name);
}

/** To the nearest, ties to even. @param {Float32Array} values */
function bfloats(values) {
  const bits = new Uint32Array(values.buffer);
  return Uint16Array.from(bits, (word) => (word + 0x7fff + ((word >>> 16) & 1)) >>> 16);
}

/** What a rank-1 adapter of a part of the matrix's size adds to it. */
function merge(values, [rows, columns], part) {
  const size = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
  for (let o = 0; o < rows; o++)
    for (let i = 0; i < columns; i++)
      values[o * columns + i] += part * size * 2 * Math.sin(12.9898 * o + 1) * Math.sin(78.233 * i + 2);
}

const importInto = async (folder, bytes = file, options = {}) => {
  const clip = await loadClip(folder, { threads: 1, ...options });
  try {
    await clip.import(bytes);
  } finally {
    await clip.dispose();
  }
};

before(async () => {
  await makeClip(at('f32'));
  // Vectors that are no round numbers, as trained ones.
  copyAs('trained', (values, { shape }) => {
    if (shape.length === 1) values.forEach((value, i) => (values[i] = value + 0.01 * Math.sin(i + values.length)));
    return {};
  });
  cpSync(at('trained/model.safetensors'), at('f32/model.safetensors'));
  const clip = await loadClip(at('f32'), { threads: 1 });
  file = await (await clip.zeroShot(['cat', 'dog'])).export();
  await clip.dispose();
  const { tensors, metadata } = headerOf(file, 'file');
  const { samples: _, ...rest } = metadata;
  old = writeSafetensors(
    tensors.map((tensor) => ({ ...tensor, data: file.subarray(tensor.begin, tensor.begin + tensor.bytes) })),
    rest,
  );
});

test('its own model, loaded in every way', async () => {
  for (const options of [{}, { towers: 'image' }, { tokens: 'needed' }, { dtype: 'f16' }, { dtype: 'int8' }])
    await importInto(at('f32'), file, /** @type {any} */ (options));
});

test('of a model that was loaded in part', async () => {
  const clip = await loadClip(at('f32'), { threads: 1, tokens: 'needed' });
  const saved = await (await clip.zeroShot(['cat', 'dog'])).export();
  await clip.dispose();
  await importInto(at('f32'), saved);
});

test('copies in other storage types: bf16, and what mudpt convert makes', async () => {
  await importInto(copyAs('bf16', (values) => ({ dtype: 'BF16', data: bfloats(values) })));
  for (const type of ['f16', 'int8']) {
    const { code, stderr } = await mudpt(['convert', at('f32'), '--to', type, '--out', at(type)], { cwd: root });
    assert.equal(code, 0, stderr);
    await importInto(at(type));
    const clip = await loadClip(at(type), { threads: 1 });
    const saved = await (await clip.zeroShot(['cat', 'dog'])).export();
    await clip.dispose();
    await importInto(at('f32'), saved);
    await importInto(at('bf16'), saved);
  }
});

test('refused: other matrices beside the same vectors', async () => {
  const other = isError('classifier', /belongs to another model .*the same vectors, and other matrices/);
  const attention = /(?:q|v)_proj\.weight$/;
  const adapted = copyAs('adapted', (values, { name, shape }) => {
    if (attention.test(name)) merge(values, shape, 0.05);
    return {};
  });
  await assert.rejects(importInto(adapted), other);
  await assert.rejects(importInto(adapted, file, { dtype: 'int8' }), other);
  for (const one of [
    'vision_model.encoder.layers.1.mlp.fc1.weight',
    'text_model.encoder.layers.0.self_attn.k_proj.weight',
  ]) {
    const folder = copyAs('one', (values, { name, shape }) => {
      if (name === one) merge(values, shape, 0.2);
      return {};
    });
    await assert.rejects(importInto(folder), other, one);
  }
});

test('an index of pictures belongs to its matrices, too', async () => {
  const withClip = async (folder, run, options = {}) => {
    const clip = await loadClip(folder, { threads: 1, ...options });
    try {
      return await run(clip);
    } finally {
      await clip.dispose();
    }
  };
  const pictures = PICTURES.slice(0, 2);
  const saved = await withClip(at('f32'), async (clip) => (await clip.index(pictures)).export());
  const open = (folder, options, bytes = saved) =>
    withClip(folder, async (clip) => (await clip.importIndex(bytes)).export(), options);
  for (const options of [{}, { tokens: 'needed' }, { dtype: 'int8' }])
    assert.equal((await open(at('f32'), options)).length, saved.length);
  await open(copyAs('bf16', (values) => ({ dtype: 'BF16', data: bfloats(values) })));
  const merged = copyAs('merged', (values, { name, shape }) => {
    if (/fc1\.weight$/.test(name)) merge(values, shape, 0.2);
    return {};
  });
  await assert.rejects(open(merged), isError('file', /made with another model .*the same vectors, and other matrices/));

  const { tensors, metadata } = headerOf(saved, 'index');
  const { samples: _, ...rest } = metadata;
  const contents = tensors.map((one) => ({ ...one, data: saved.subarray(one.begin, one.begin + one.bytes) }));
  const said = [];
  const { warn } = console;
  console.warn = (text) => said.push(text);
  try {
    await open(at('f32'), {}, writeSafetensors(contents, rest));
  } finally {
    console.warn = warn;
  }
  assert.match(said.join(), /the index does not say which matrices it was made with/);
});

test('a file of an older library: by vectors, with a note', async () => {
  const said = [];
  const { warn } = console;
  console.warn = (text) => said.push(text);
  try {
    await importInto(at('f32'), old);
    assert.equal(said.length, 1);
    assert.match(said[0], /does not say which matrices it was made with/);
    await importInto(at('f32'), file);
    assert.equal(said.length, 1, 'one that says it');
  } finally {
    console.warn = warn;
  }
});
