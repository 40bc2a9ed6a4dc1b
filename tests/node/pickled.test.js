/**
 * Weights that PyTorch has pickled: what they hold, that nothing in them is run or believed, and that they load like
 * .safetensors. Files of tests/data/pickled are PyTorch's own (tests/reference/pickled.py).
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';

import { loadClip } from '../../js/index.js';
import { openSource } from '../../js/files/source.js';
import { unpickle } from '../../js/loading/pickle.js';
import { headerOf, planRuns, streamTensors, writeSafetensors } from '../../js/loading/safetensors.js';
import { readTensor } from '../../js/loading/places.js';
import { openWeights, readAnyHeader } from '../../js/loading/weights.js';
import { mudpt } from './command.js';
import { answer, makeModel, serving } from './downloads.js';
import { isError, temporaryFolder } from './models.js';
import { bytesOf, pickleOf, torchSave, zipOf } from './pickled.js';
import { golden, makeSmall, tensorsOf } from './small-models.js';

const FOLDER = path.resolve(import.meta.dirname, '../data/pickled');

const floats = (bytes, dtype) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const each = {
    ...{ F64: [8, (at) => view.getFloat64(at, true)], F32: [4, (at) => view.getFloat32(at, true)] },
    ...{ I64: [8, (at) => Number(view.getBigInt64(at, true))], I32: [4, (at) => view.getInt32(at, true)] },
    ...{ I16: [2, (at) => view.getInt16(at, true)], U16: [2, (at) => view.getUint16(at, true)] },
    ...{ I8: [1, (at) => view.getInt8(at)], U8: [1, (at) => view.getUint8(at)], BOOL: [1, (at) => view.getUint8(at)] },
    F16: [2, (at) => [0, 1, 2, 3, 4, 5][[0, 0x3c00, 0x4000, 0x4200, 0x4400, 0x4500].indexOf(view.getUint16(at, true))]],
    BF16: [2, (at) => new Float32Array(Uint32Array.of(view.getUint16(at, true) << 16).buffer)[0]],
  }[dtype];
  return Array.from({ length: bytes.length / each[0] }, (_, i) => each[1](i * each[0]));
};

/** All tensors of a file, read one by one: { name: [type, shape, values] }; and streamed, which must be the same. */
async function read(file) {
  const { tensors } = await readAnyHeader(file);
  const found = {};
  const whole = new Map();
  for (const tensor of tensors) {
    const bytes = await readTensor(file, tensor);
    whole.set(tensor.name, bytes);
    found[tensor.name] = [
      tensor.dtype,
      tensor.shape,
      tensor.dtype === 'F8_E4M3' ? [...bytes] : floats(bytes, tensor.dtype),
    ];
  }
  for (const ranges of [true, false]) {
    const runs = planRuns({ tensors, metadata: {}, begin: 0, end: 0 }, ranges, () => true);
    const came = [];
    await streamTensors({ ...file, ranges }, runs, {
      begin: (tensor) => came.push({ tensor, bytes: [] }),
      bytes: (bytes) => came.at(-1).bytes.push(...bytes),
      end: () => {},
    });
    assert.deepEqual(came.map(({ tensor }) => tensor.name).sort(), tensors.map(({ name }) => name).sort());
    for (const { tensor, bytes } of came.filter((one) => !one.tensor.strides))
      assert.deepEqual(bytes, [...whole.get(tensor.name)], tensor.name);
  }
  return found;
}

const opened = (bytes) => ({
  ...{ name: 'some.bin', size: bytes.length, ranges: true },
  read: async (offset, length) => bytes.slice(offset, offset + length),
  async *stream(offset = 0, length = Infinity) {
    for (let at = offset; at < Math.min(bytes.length, offset + length); at += 7)
      yield bytes.slice(at, Math.min(at + 7, offset + length));
  },
  close: async () => {},
});
const ofPyTorch = async (name) => read(opened(await readFile(path.join(FOLDER, name))));

const count = (length, from = 0, step = 1) => Array.from({ length }, (_, i) => from + i * step);
const PLAIN = { a: ['F32', [2, 3], count(6)], b: ['F32', [5], count(5)] };

describe('what PyTorch has written', () => {
  for (const name of ['plain.bin', 'old.bin', 'protocol-4.bin', 'protocol-5.bin', 'run.pt', 'dassl.pt', 'dassl-old.pt'])
    test(name, async () => assert.deepEqual(await ofPyTorch(name), PLAIN));

  test('types.bin: every type', async () => {
    const { float8_e4m3fn: eight, ...others } = await ofPyTorch('types.bin');
    assert.deepEqual(eight, ['F8_E4M3', [2, 3], [0, 0x38, 0x40, 0x44, 0x48, 0x4a]]);
    const types = {
      ...{ float64: 'F64', float32: 'F32', float16: 'F16', bfloat16: 'BF16', int64: 'I64', int32: 'I32' },
      ...{ int16: 'I16', int8: 'I8', uint8: 'U8', uint16: 'U16' },
    };
    const { bool, ...numbers } = others;
    assert.deepEqual(bool, ['BOOL', [2, 3], [0, 1, 1, 1, 1, 1]]);
    const expected = Object.entries(types).map(([name, type]) => [name, [type, [2, 3], count(6)]]);
    assert.deepEqual(numbers, Object.fromEntries(expected));
  });

  test('views.bin: tensors that share bytes, and those that do not lie row by row', async () => {
    const columns = (rows, width, from) => rows.flatMap((row) => from.map((column) => row * width + column));
    assert.deepEqual(await ofPyTorch('views.bin'), {
      whole: ['F32', [24], count(24)],
      again: ['F32', [24], count(24)],
      part: ['F32', [2, 3], count(6, 6)],
      row: ['F32', [1, 24], count(24)],
      turned: ['F32', [6, 4], count(6).flatMap((column) => count(4, column, 6))],
      columns: ['F32', [4, 2], columns([0, 1, 2, 3], 6, [1, 2])],
      turned3: ['F32', [4, 2, 3], count(4).flatMap((at) => count(6, at, 4))],
      scalar: ['F32', [], [7]],
      empty: ['F32', [0, 3], []],
      half: ['F16', [3, 2], [0, 3, 1, 4, 2, 5]],
    });
  });

  test('metadata.bin: a state dictionary with versions of its modules', async () => {
    assert.deepEqual(await ofPyTorch('metadata.bin'), {
      weight: ['F32', [2, 3], count(6)],
      bias: ['F32', [2], count(2)],
    });
  });

  test('trace.pt: the modules of a script', async () => {
    const found = await ofPyTorch('trace.pt');
    assert.deepEqual(Object.keys(found), ['0.weight', '0.bias', '1.weight', '1.bias']);
    assert.deepEqual(found['0.weight'], ['F32', [2, 3], count(6)]);
  });

  for (const [name, message] of [
    ['namespace.pt', /has argparse\.Namespace, which is no tensor, .*nothing of it is run; .*state_dict\(\)/],
    ['module.pt', /has torch\.nn\.modules\.container\.Sequential, which/],
    ['sparse.pt', /has torch\._utils\._rebuild_sparse_tensor, which/],
    ['complex.pt', /has torch\.ComplexFloatStorage, which/],
    ['expanded.bin', /tensor a has values that stand for several; .*clone/],
    ['elsewhere.pt', /holds no dictionary of tensors.*of epoch, weights; save the weights alone/],
    ['list.pt', /holds no dictionary of tensors/],
  ])
    test(`refused: ${name}`, () => assert.rejects(ofPyTorch(name), isError('model', message)));
});

const tensors = ['x', 'y', 'z'].map((name, i) => {
  return { name, dtype: 'F32', shape: [i + 1, 5], data: Float32Array.from(count(5 * (i + 1), i)) };
});
const expected = Object.fromEntries(tensors.map(({ name, shape, data }) => [name, ['F32', shape, [...data]]]));

describe('archives of every kind', () => {
  for (const align of [64, 1])
    for (const footer of [0, 12, 16, 20, 24])
      for (const large of [true, false])
        for (const comment of ['', 'PK\x05\x06 is no end'])
          test(`at multiples of ${align}, ${footer} bytes behind, large ${large}, comment "${comment}"`, async () =>
            assert.deepEqual(await read(opened(torchSave(tensors, { align, footer, large, comment }))), expected));

  test('bytes between entries, which no directory tells, are no weights', async () => {
    for (const [footer, gap] of [
      [0, 64],
      [0, 1],
      [16, 64],
    ]) {
      const file = opened(torchSave(tensors, { footer, gap }));
      await assert.rejects(read(file), isError('model', /gaps|does not begin/), `${footer} ${gap}`);
      const runs = planRuns(await readAnyHeader(file).catch(() => ({ tensors: [] })), true, () => true);
      const nothing = { begin() {}, bytes: () => assert.fail('bytes from a wrong place'), end() {} };
      if (runs.length) await assert.rejects(streamTensors(file, runs, nothing), isError('model', /gaps/));
    }
  });

  const pickle = { name: 'a/data.pkl', data: pickleOf(tensors.slice(0, 1)) };
  const data = new Uint8Array(tensors[0].data.buffer);
  for (const [what, entries, message] of [
    ['no pickle', [{ name: 'mimetype', data }], /zip archive, but none of PyTorch: it has no data\.pkl/],
    ['no bytes', [pickle], /has no bytes for tensor x: there is no entry data\/0/],
    ['too few', [pickle, { name: 'a/data/0', data: data.subarray(4) }], /tensor x is longer than its storage/],
    ['compressed', [pickle, { name: 'a/data/0', data, method: 8 }], /a\/data\/0 is compressed.*zip -0/],
    ['a compressed pickle', [{ ...pickle, method: 8 }], /a\/data\.pkl is compressed/],
    ['encrypted', [pickle, { name: 'a/data/0', data, flags: 1 }], /is encrypted/],
    [
      'two of a name',
      [pickle, { name: 'a/data/0', data }, { name: 'a/data/0', data }],
      /two of its entries have one name/,
    ],
    ['another order of bytes', [pickle, { name: 'a/byteorder', data: bytesOf('big') }], /another order of bytes/],
  ])
    test(`refused: ${what}`, () => assert.rejects(read(opened(zipOf(entries))), isError('model', message)));

  test('cut anywhere, it is refused', async () => {
    for (const name of ['plain.bin', 'old.bin']) {
      const whole = await readFile(path.join(FOLDER, name));
      for (let length = 8; length < whole.length; length++)
        await assert.rejects(read(opened(whole.subarray(0, length))), isError('model', /some\.bin: /), `${length}`);
    }
  });
});

describe('pickles', () => {
  const run = (...parts) => unpickle(bytesOf([0x80, 2], ...parts), 'f.bin').value;
  test('texts, numbers, lists and dictionaries', () => {
    assert.deepEqual(run('K', [7], '.'), 7);
    assert.deepEqual(run('J', -7, '.'), -7);
    assert.deepEqual(run([0x8a, 2, 0, 0x80], '.'), -32768);
    assert.deepEqual(run([0x8a, 0], '.'), 0);
    assert.deepEqual(run('G', [0x3f, 0xf8, 0, 0, 0, 0, 0, 0], '.'), 1.5);
    assert.deepEqual(run('X', 2, 'ü', '.'), 'ü');
    assert.deepEqual(run('(', 'K', [1], 'NN', [0x88], 't.'), [1, null, null, true]);
    assert.deepEqual(run('}(X', 9, '__proto__', 'K', [3], 'u.'), new Map([['__proto__', 3]]));
    assert.deepEqual(run('}q', [5], 'h', [5], [0x86], '.'), [new Map(), new Map()]);
  });

  // What a pickle can call, and what a reader that runs it would do.
  for (const [what, ...parts] of [
    ['os.system', 'cos\nsystem\n(X', 2, 'ls', 'tR.'],
    ['posix.system', 'cposix\nsystem\n(X', 2, 'ls', 'tR.'],
    ['builtins.eval', [0x8c, 8], 'builtins', [0x8c, 4], 'eval', [0x93], '(X', 1, '1', 'tR.'],
    ['builtins.getattr', 'cbuiltins\ngetattr\n.'],
    ['torch.hub.load', 'ctorch.hub\nload\n.'],
    ['torch._utils.__class__', 'ctorch._utils\n__class__\n.'],
    ['__proto__.constructor', 'c__proto__\nconstructor\n.'],
    ['torch.constructor', 'ctorch\nconstructor\n.'],
    ['torch.toStringStorage', 'ctorch\ntoStringStorage\n.'],
  ])
    test(`refused by its name: ${what}`, () =>
      assert.throws(
        () => run(...parts),
        isError('model', new RegExp(`f\\.bin: its pickle has ${what.replaceAll('.', '\\.')}, `)),
      ));

  for (const [what, message, ...parts] of [
    ['nothing', /cut short/],
    ['no end', /cut short/, 'K', [7]],
    ['a text without an end', /cut short/, 'X', 0xffffffff, 'x'],
    ['an unknown instruction', /the instruction 73 at its byte 2/, 'I01\n.'],
    ['persistent ids by text', /the instruction 80/, 'Pabc\n.'],
    ['an empty stack', /nothing where something is used/, '.'],
    ['values of before a mark', /nothing where something is used/, 'N(', [0x85], '.'],
    ['no mark', /no mark/, 't.'],
    ['a key alone', /a key without a value/, '}(NuN.'],
    ['a memo of nothing', /a memo of nothing/, 'h', [3], '.'],
    ['a call of a number', /a call of what is no function/, 'K', [1], ')R.'],
    ['a call of a type', /a call of torch\.Tensor/, 'ctorch\nTensor\n)R.'],
    ['a storage of nothing', /a reference to what is no storage/, ')Q.'],
    ['a tensor of nothing', /no storage, place or shape/, 'ctorch._utils\n_rebuild_tensor_v2\n)R.'],
    [
      'a function within itself',
      /a call of what|a call of torch/,
      'ctorch._tensor\n_rebuild_from_type_v2\nq',
      [0],
      '(h',
      [0],
      'NNtR.',
    ],
    ['an integer of 4 GB', /thousands of digits/, [0x8b], 0xffffff00, '.'],
  ])
    test(`refused: ${what}`, () => assert.throws(() => run(...parts), isError('model', message)));

  test('what would take for ever or all memory is refused soon', () => {
    const forever = new Uint8Array(3e6).fill(0x7d);
    assert.throws(() => unpickle(forever, 'f.bin'), isError('model', /more than 2000000 instructions/));
    // A list in itself, and dictionaries in each other.
    const { value } = unpickle(bytesOf(']q', [0], 'h', [0], 'a.'), 'f.bin');
    assert.equal(value[0], value);
  });
});

const fingerprint = async (from, options) => {
  const clip = await loadClip(from, { threads: 1, ...options });
  await clip.dispose();
  return clip.info.fingerprint;
};

describe('models', async () => {
  const document = golden('open-clip-heads');
  const original = await makeSmall(await temporaryFolder(), document);
  const wanted = await fingerprint(original);
  const folder = async (files) => {
    const made = await makeSmall(await temporaryFolder(), document);
    await rm(path.join(made, document.weights));
    for (const [name, bytes] of Object.entries(files)) await writeFile(path.join(made, name), bytes);
    return made;
  };
  const clip = await readFile(path.join(FOLDER, 'clip.bin'));
  const small = tensorsOf(document);
  const visual = small.filter(({ name }) => name.startsWith('visual.'));

  test('any name, the same weights: files of PyTorch, of scripts, and ours', async () => {
    for (const name of ['pytorch_model.bin', 'open_clip_pytorch_model.bin', 'ViT-B-32.pt', 'epoch_9.pth', 'last.ckpt'])
      assert.equal(await fingerprint(await folder({ [name]: clip })), wanted, name);
    assert.equal(
      await fingerprint(await folder({ 'x.pt': await readFile(path.join(FOLDER, 'clip-script.pt')) })),
      wanted,
    );
    assert.equal(await fingerprint(await folder({ 'model.safetensors': torchSave(small) })), wanted);
  });

  test('.safetensors go before; an image tower alone does not', async () => {
    const both = writeSafetensors(small);
    const tower = writeSafetensors(visual);
    const opens = async (files) => {
      const source = await openSource(await folder(files));
      const { files: found } = await openWeights(source);
      for (const file of found) await file.close();
      return found.map(({ name }) => path.basename(name)).join();
    };
    assert.equal(await opens({ 'pytorch_model.bin': clip, 'model.safetensors': both }), 'model.safetensors');
    assert.equal(await opens({ 'pytorch_model.bin': clip, 'model.safetensors': tower }), 'pytorch_model.bin');
    const bins = { 'pytorch_model.bin': torchSave(visual), 'open_clip_pytorch_model.bin': clip };
    assert.equal(await opens(bins), 'open_clip_pytorch_model.bin');
    assert.equal(await opens({ ...bins, 'model.safetensors': tower }), 'open_clip_pytorch_model.bin');
    assert.equal(await opens({ 'ViT.pt': clip, 'training_args.bin': 'x', 'optimizer.pt': 'x' }), 'ViT.pt');
    assert.equal(await opens({ 'ViT.pt': clip, 'ViT.safetensors': both }), 'ViT.safetensors');
    await assert.rejects(opens({ 'a.pt': clip, 'b.pt': clip }), isError('file', /a\.pt and b\.pt; name the file/));
  });

  test('shards, with an index and without', async () => {
    const [first, second] = [small.slice(0, 9), small.slice(9)];
    const names = [1, 2].map((i) => `pytorch_model-0000${i}-of-00002.bin`);
    const made = await folder({ [names[0]]: torchSave(first), [names[1]]: torchSave(second) });
    assert.equal(await fingerprint(made), wanted);
    const map = Object.fromEntries(small.map(({ name }, i) => [name, names[i < 9 ? 0 : 1]]));
    const index = path.join(made, 'pytorch_model.bin.index.json');
    await writeFile(index, JSON.stringify({ weight_map: map }));
    assert.equal(await fingerprint(made), wanted);
    assert.equal(await fingerprint(index), wanted);
    await writeFile(index, JSON.stringify({ weight_map: { x: '../clip.bin' } }));
    await assert.rejects(fingerprint(made), isError('model', /names other things than files of weights/));
  });

  test('files that a page was given, by name or none', async () => {
    const made = await folder({ 'ViT.pt': clip });
    const names = ['open_clip_config.json', 'tokenizer.json', 'ViT.pt'];
    const files = await Promise.all(names.map(async (name) => new File([await readFile(path.join(made, name))], name)));
    assert.equal(await fingerprint(files), wanted);
    assert.equal(await fingerprint(path.join(made, 'ViT.pt')), wanted);
  });

  test('convert and info read them', async () => {
    const made = await folder({ 'ViT.pt': torchSave(small) });
    const { code, stderr } = await mudpt(['convert', made, '--dtype', 'f32', '--out', 'whole'], { cwd: made });
    assert.equal(code, 0, stderr);
    const again = await readFile(path.join(made, 'whole', 'model.safetensors'));
    const ours = new Map(small.map(({ name, data }) => [name, data]));
    const header = headerOf(again, 'again');
    assert.equal(header.tensors.length, small.length);
    for (const { name, begin, bytes } of header.tensors)
      assert.deepEqual([...again.subarray(begin, begin + bytes)], [...new Uint8Array(ours.get(name).buffer)], name);
    const told = await mudpt(['info', path.join(made, 'ViT.pt'), '--json'], { cwd: made });
    const { kind, names, dtypes, fingerprint: theirs } = JSON.parse(told.stdout);
    assert.deepEqual([kind, names, dtypes, theirs], ['model', 'openai', ['F32'], wanted]);
  });
});

describe('downloads', async () => {
  const model = await temporaryFolder();
  await makeModel(model);
  const plain = await answer(model);
  const bytes = new Uint8Array(await readFile(path.join(model, 'model.safetensors')));
  const whole = headerOf(bytes, 'x').tensors.map((tensor) => {
    return { ...tensor, data: bytes.slice(tensor.begin, tensor.begin + tensor.bytes) };
  });
  const pickled = torchSave(whole);
  await rm(path.join(model, 'model.safetensors'));
  await writeFile(path.join(model, 'pytorch_model.bin'), pickled);
  const integrity = `sha256-${createHash('sha256').update(pickled).digest('base64')}`;

  test('only what is needed of them is fetched', () =>
    serving({ root: model }, async (server) => {
      assert.deepEqual(await answer(server.url), plain);
      const table = whole.find(({ name }) => name.includes('token_embedding'));
      assert.ok(server.sent < pickled.length - 0.9 * table.bytes, `${server.sent} of ${pickled.length} bytes`);
    }));

  for (const fault of ['no-ranges', 'cut', 'no-total', 'forgets-ranges', 'gzip'])
    test(`servers with faults: ${fault}`, () =>
      serving({ root: model, fault }, async (server) => assert.deepEqual(await answer(server.url), plain)));

  for (const fault of ['', 'no-ranges', 'no-total'])
    test(`integrity, ${fault || 'of a good server'}`, () =>
      serving({ root: model, fault }, async (server) => {
        assert.deepEqual(await answer(server.url, { integrity }), plain);
        const other = `sha256-${'A'.repeat(43)}=`;
        await assert.rejects(
          answer(server.url, { integrity: other }),
          isError('model', /is not the file that is wanted/),
        );
      }));

  test('integrity of a server that sends another file the second time', () =>
    serving({ root: model }, async (server) => {
      const changed = path.join(model, 'pytorch_model.bin');
      const source = await openSource(server.url, { cache: false });
      const { checkedSource } = await import('../../js/files/sha256.js');
      const checked = checkedSource(source, integrity);
      const file = await checked.source.open('pytorch_model.bin');
      await file.allowAnyOrder();
      assert.deepEqual(await file.read(1e6, 10), pickled.slice(1e6, 1e6 + 10));
      server.validator = 'none';
      const bad = Uint8Array.from(pickled);
      bad[2e6] ^= 1;
      await writeFile(changed, bad);
      await assert.rejects(file.read(2e6, 10), isError('network', /changed while it was read/));
      await file.close();
      await writeFile(changed, pickled);
    }));

  test('what is kept is used, and gone on with', async () => {
    process.env.MUDPT_CACHE = await temporaryFolder();
    await serving({ root: model }, async (server) => {
      assert.deepEqual(await answer(server.url, { cache: true }), plain);
      const { sent } = server;
      assert.deepEqual(await answer(server.url, { cache: true }), plain);
      assert.ok(server.sent - sent < 50_000, `${server.sent - sent} bytes the second time`);
      assert.deepEqual(await answer(server.url, { cache: true, integrity }), plain);
    });
    delete process.env.MUDPT_CACHE;
  });
});
