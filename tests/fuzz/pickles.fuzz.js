/**
 * Property tests of what reads PyTorch's files: whatever they hold, they are read or refused, soon, and no byte outside
 * of them is named. ./run soak pickles is the long form, in little memory.
 */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';

import { unpickle } from '../../js/loading/pickle.js';
import { readPyTorch } from '../../js/loading/pytorch.js';
import { planRuns, streamTensors } from '../../js/loading/safetensors.js';
import { bytesOf, torchSave, zipOf } from '../node/pickled.js';
import { always, answersOrRefuses, damaged } from './properties.js';

const FOLDER = path.resolve(import.meta.dirname, '../data/pickled');
const SMALL = 6000; // bytes: of larger files few changes hit what is read
const files = readdirSync(FOLDER)
  .map((name) => new Uint8Array(readFileSync(path.join(FOLDER, name))))
  .filter((bytes) => bytes.length < SMALL);
const archives = files.filter((bytes) => bytes[0] === 0x50);
const old = files.filter((bytes) => bytes[0] === 0x80);

/** The pickle of an archive; where it begins is told by its own first instruction. @param {Uint8Array} bytes */
function pickleIn(bytes) {
  const at = bytes.findIndex((byte, i) => byte === 0x80 && bytes[i + 1] >= 2 && bytes[i + 1] <= 5);
  return bytes.slice(at, at + 1500);
}
const pickles = archives.map(pickleIn);

const opened = (bytes) => ({
  ...{ name: 'a file', size: bytes.length, ranges: true },
  read: async (offset, length) => bytes.slice(offset, offset + length),
  async *stream(offset, length) {
    yield bytes.slice(offset, offset + length);
  },
  close: async () => {},
});

/** Reads a file as loading does. @param {Uint8Array} bytes @param {'zip' | 'old'} kind */
async function read(bytes, kind) {
  const file = opened(bytes);
  const header = await readPyTorch(file.read, file.name, file.size, kind);
  let before = 0;
  for (const { name, begin, bytes: length, shape } of header.tensors) {
    assert.ok(typeof name === 'string' && shape.every((side) => Number.isSafeInteger(side) && side >= 0));
    assert.ok(begin >= before && begin + length <= bytes.length, `${begin} and ${length} of ${bytes.length}`);
    before = begin;
  }
  const nothing = { begin() {}, bytes() {}, end() {} };
  await streamTensors(
    file,
    planRuns(header, true, () => true),
    nothing,
  );
}

test('archives with damage anywhere', () =>
  always(fc.oneof(...archives.map((bytes) => damaged(bytes))), (bytes) => answersOrRefuses(() => read(bytes, 'zip'))));

test('files of before there were archives', () =>
  always(fc.oneof(...old.map((bytes) => damaged(bytes))), (bytes) => answersOrRefuses(() => read(bytes, 'old'))));

test('pickles with damage anywhere', () =>
  always(fc.oneof(...pickles.map((bytes) => damaged(bytes))), (bytes) =>
    answersOrRefuses(() => void unpickle(bytes, 'a file')),
  ));

const NAMES = ['collections\nOrderedDict', 'torch._utils\n_rebuild_tensor_v2', 'torch\nFloatStorage', '__torch__\nM'];
NAMES.push('torch._utils\n_rebuild_parameter', 'torch._tensor\n_rebuild_from_type_v2', 'os\nsystem', 'torch\nSize');
const text = fc.oneof(fc.constantFrom('storage', '0', 'cpu', 'state_dict', '__proto__'), fc.string({ maxLength: 9 }));
const one = (...codes) => fc.constantFrom(...codes.map((code) => bytesOf(code)));
/** Instructions whose arguments are as they should be, so that what follows is read. */
const instruction = fc.oneof(
  {
    weight: 8,
    arbitrary: one('(', 't', 'R', 'Q', '}', ']', ')', 'u', 's', 'a', 'e', 'b', '2', '0', '1', 'N', 'd', 'l'),
  },
  one([0x81], [0x85], [0x86], [0x87], [0x88], [0x89], [0x8f], [0x90], [0x93], [0x94]),
  text.map((value) => bytesOf('X', new TextEncoder().encode(value).length, value)),
  fc.constantFrom(...NAMES).map((name) => bytesOf(`c${name}\n`)),
  fc.nat(255).map((value) => bytesOf('K', [value])),
  fc.integer().map((value) => bytesOf('J', value)),
  fc.uint8Array({ maxLength: 9 }).map((bytes) => bytesOf([0x8a, bytes.length], bytes)),
  fc.tuple(fc.constantFrom('q', 'h'), fc.nat(6)).map(([code, place]) => bytesOf(code, [place])),
  fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => bytesOf('G', bytes)),
  fc.nat(255).map((code) => Uint8Array.of(code)),
);
/** A whole tensor, or nearly one. */
const storage = fc
  .tuple(fc.constantFrom('0', '1'), fc.nat(40))
  .map(([key, count]) =>
    bytesOf('(X', 7, 'storage', 'ctorch\nFloatStorage\nX', 1, key, 'X', 3, 'cpu', 'K', [count], 'tQ'),
  );
const list = fc
  .array(fc.nat(9), { maxLength: 4 })
  .map((sides) => bytesOf('(', ...sides.flatMap((side) => ['K', [side]]), 't'));
const tensor = fc
  .tuple(storage, fc.nat(9), list, list)
  .map(([stored, offset, shape, strides]) =>
    bytesOf('X', 1, 'w', 'ctorch._utils\n_rebuild_tensor_v2\n(', stored, 'K', [offset], shape, strides, [0x89], '}tR'),
  );
const program = fc
  .array(fc.oneof({ weight: 3, arbitrary: instruction }, tensor), { maxLength: 24 })
  .map((parts) => bytesOf([0x80, 2], '}(', ...parts, 'u.'));

test('programs of all instructions', () => {
  const data = new Uint8Array(160);
  return always(program, (pickle) =>
    answersOrRefuses(() =>
      read(
        zipOf([{ name: 'a/data.pkl', data: pickle }, ...['0', '1'].map((key) => ({ name: `a/data/${key}`, data }))]),
        'zip',
      ),
    ),
  );
});

test('what is written is read again, in archives of every kind', () => {
  const name = fc.oneof(fc.string({ minLength: 1 }), fc.constantFrom('__proto__', 'constructor', 'state_dict'));
  const made = fc.record({ name, shape: fc.array(fc.nat(4), { maxLength: 3 }) });
  const tensors = fc.uniqueArray(made, { selector: (one) => one.name, minLength: 1, maxLength: 4 });
  const how = fc.record({
    ...{ align: fc.constantFrom(64, 1, 4), footer: fc.constantFrom(0, 12, 16, 20, 24), large: fc.boolean() },
    comment: fc.string(),
  });
  return always(fc.tuple(tensors, how), async ([list, options]) => {
    const given = list.map(({ name: called, shape }) => {
      const data = new Float32Array(shape.reduce((product, side) => product * side, 1));
      return { name: called, dtype: 'F32', shape, data };
    });
    const file = opened(torchSave(given, options));
    const header = await readPyTorch(file.read, file.name, file.size, 'zip');
    const told = (all) => all.map((one) => [one.name, one.shape]).sort();
    const prefix = /^(?:module|model|clip|clip_model|_orig_mod)\./;
    if (!given.every((one) => prefix.test(one.name))) assert.deepEqual(told(header.tensors), told(given));
  });
});
