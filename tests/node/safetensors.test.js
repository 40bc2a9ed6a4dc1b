/** The safetensors reader and writer: what they give, and that no header is believed unchecked. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { MudptError } from '../../js/base/errors.js';
import {
  floatsOf,
  headerOf,
  parseHeader,
  readHeader,
  planRuns,
  streamTensors,
  writeHeader,
  writeSafetensors,
} from '../../js/loading/safetensors.js';

const utf8 = new TextEncoder();

/** A file from any header text. */
function fileOf(header, data = new Uint8Array(0), length = utf8.encode(header).length) {
  const text = utf8.encode(header);
  const file = new Uint8Array(8 + text.length + data.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(length), true);
  file.set(text, 8);
  file.set(data, 8 + text.length);
  return file;
}

/** A source's file in memory, in pieces of any size. */
const opened = (bytes, piece = 3, size = bytes.length) => ({
  name: 'some.safetensors',
  size: size ?? undefined,
  read: async (offset, length) => bytes.subarray(offset, offset + length),
  async *stream(offset = 0, length = Infinity) {
    const end = Math.min(bytes.length, offset + length);
    for (; offset < end; offset += piece) yield bytes.subarray(offset, Math.min(end, offset + piece));
  },
  close: async () => {},
});

const entry = (dtype, shape, begin, end) => JSON.stringify({ dtype, shape, data_offsets: [begin, end] });

test('what is written is read again, aligned to 8 bytes', () => {
  const values = Float32Array.of(1, -2.5, 3e-9, 4, 5, 6);
  const metadata = { classes: '["Käse","鳥"]', empty: '' };
  const file = writeSafetensors(
    [
      { name: 'scalar', dtype: 'F32', shape: [], data: Float32Array.of(7) },
      { name: 'names with "quotes"', dtype: 'F32', shape: [2, 3], data: values },
      { name: 'none', dtype: 'F16', shape: [0, 5], data: new Uint16Array(0) },
    ],
    metadata,
  );
  const header = headerOf(file, 'x');
  assert.deepEqual(header.metadata, metadata);
  assert.equal(header.begin % 8, 0);
  assert.equal(header.end, file.length);
  const byName = Object.fromEntries(header.tensors.map((tensor) => [tensor.name, tensor]));
  assert.deepEqual(byName.none.shape, [0, 5]);
  assert.deepEqual(floatsOf(file, byName['names with "quotes"']), values);
  assert.deepEqual([...floatsOf(file, byName.scalar)], [7]);
});

test('the header for a file that is written piece by piece says how long it will be', () => {
  const { header, size } = writeHeader([{ name: 'a', dtype: 'I8', shape: [3, 5] }]);
  assert.equal(size, header.length + 15);
  assert.equal(headerOf(new Uint8Array([...header, ...new Uint8Array(15)]), 'x').tensors[0].bytes, 15);
});

const damaged = [
  ['an empty file', new Uint8Array(0), /has 0 bytes/],
  ['seven bytes', new Uint8Array(7), /has 7 bytes/],
  [
    'a zip archive (a pickled checkpoint)',
    utf8.encode('PK\x03\x04\x00\x00\x08\x08 and so on'),
    /no safetensors file.*torch\.save/,
  ],
  ['a header of 100 MB and more', fileOf('{}', undefined, 100_000_001), /100000001 bytes/],
  ['a header longer than the file', fileOf('{}', undefined, 3000), /cut short: its header needs 3008 bytes/],
  ['no JSON', fileOf('{"a":'), /no valid JSON/],
  ['no UTF-8', new Uint8Array([...fileOf('').subarray(0, 0), 2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe]), /no valid JSON/],
  ['an array', fileOf('[1]'), /no object/],
  ['null', fileOf('null'), /no object/],
  ['metadata that are no text', fileOf('{"__metadata__":{"a":1}}'), /not all text/],
  ['metadata that are an array', fileOf('{"__metadata__":["a"]}'), /not all text/],
  ['a tensor that is null', fileOf('{"a":null}'), /tensor a is not described/],
  [
    'an unknown type',
    fileOf(`{"a":${entry('F31', [1], 0, 4)}}`, new Uint8Array(4)),
    /unknown type "F31"; known are F64, F32/,
  ],
  ['a type from the prototype', fileOf(`{"a":${entry('constructor', [1], 0, 4)}}`, new Uint8Array(4)), /unknown type/],
  ['a negative shape', fileOf(`{"a":${entry('F32', [-1], 0, 4)}}`, new Uint8Array(4)), /impossible shape/],
  ['a fractional shape', fileOf(`{"a":${entry('F32', [0.5], 0, 2)}}`, new Uint8Array(2)), /impossible shape/],
  ['no shape', fileOf('{"a":{"dtype":"F32","data_offsets":[0,4]}}', new Uint8Array(4)), /impossible shape/],
  [
    'an endless shape',
    fileOf(`{"a":${entry('F32', [2 ** 40, 2 ** 40], 0, 4)}}`, new Uint8Array(4)),
    /has 4 bytes, where/,
  ],
  ['offsets turned round', fileOf(`{"a":${entry('F32', [1], 4, 0)}}`, new Uint8Array(4)), /impossible offsets/],
  ['three offsets', fileOf('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}'), /impossible offsets/],
  ['text as offsets', fileOf('{"a":{"dtype":"F32","shape":[1],"data_offsets":["0","4"]}}'), /impossible offsets/],
  ['too few bytes for a shape', fileOf(`{"a":${entry('F32', [2], 0, 4)}}`, new Uint8Array(4)), /F32 \[2\] needs 8/],
  [
    'tensors that overlap',
    fileOf(`{"a":${entry('I8', [4], 0, 4)},"b":${entry('I8', [4], 2, 6)}}`, new Uint8Array(6)),
    /b overlaps/,
  ],
  [
    'two tensors in one place',
    fileOf(`{"a":${entry('I8', [4], 0, 4)},"b":${entry('I8', [4], 0, 4)}}`, new Uint8Array(4)),
    /overlaps/,
  ],
  [
    'a gap',
    fileOf(`{"a":${entry('I8', [2], 0, 2)},"b":${entry('I8', [2], 3, 5)}}`, new Uint8Array(5)),
    /gap of 1 bytes before tensor b/,
  ],
  ['a gap before the first tensor', fileOf(`{"a":${entry('I8', [2], 1, 3)}}`, new Uint8Array(3)), /gap of 1 bytes/],
  ['missing bytes', fileOf(`{"a":${entry('I8', [9], 0, 9)}}`, new Uint8Array(5)), /cut short: its tensors need/],
  [
    'bytes that belong to nothing',
    fileOf(`{"a":${entry('I8', [2], 0, 2)}}`, new Uint8Array(5)),
    /3 bytes that belong to no tensor/,
  ],
];

for (const [what, file, message] of damaged) {
  test(`refused: ${what}`, async () => {
    const check = (error) => {
      assert.ok(error instanceof MudptError);
      assert.equal(error.code, 'model');
      assert.match(error.message, /^some\.safetensors: [^\n]+$/);
      assert.match(error.message, message);
      return true;
    };
    assert.throws(() => headerOf(file, 'some.safetensors'), check);
    await assert.rejects(readHeader(opened(file)), check);
  });
}

/** Runs streamTensors over a file and says what came. */
async function stream(file, wanted = () => true) {
  const came = [];
  let passed = 0;
  const runs = planRuns(await readHeader(file), file.ranges, ({ name }) => wanted(name));
  await streamTensors(file, runs, {
    begin: ({ name }) => void came.push({ name, bytes: [], ended: false }),
    bytes: (piece) => came.at(-1).bytes.push(...piece),
    end: () => (came.at(-1).ended = true),
    progress: (count) => (passed += count),
  });
  return { came, passed };
}

const three = fileOf(
  `{"c":${entry('I8', [5], 6, 11)},"empty":${entry('F32', [0], 4, 4)},` +
    `"a":${entry('I8', [4], 0, 4)},"b":${entry('I8', [2], 4, 6)}}`,
  Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
);

for (const piece of [1, 3, 4, 100]) {
  test(`tensors come in the order of their bytes, in pieces of ${piece}`, async () => {
    const { came, passed } = await stream(opened(three, piece));
    assert.deepEqual(came, [
      { name: 'a', bytes: [1, 2, 3, 4], ended: true },
      { name: 'empty', bytes: [], ended: true },
      { name: 'b', bytes: [5, 6], ended: true },
      { name: 'c', bytes: [7, 8, 9, 10, 11], ended: true },
    ]);
    assert.equal(passed, 11);
  });
}

test('tensors that are not wanted are passed over', async () => {
  const { came } = await stream(opened(three), (name) => name === 'b');
  assert.deepEqual(came, [{ name: 'b', bytes: [5, 6], ended: true }]);
});

test('where a file can be read in parts, what lies between is not read when it is large', async () => {
  const size = 1_000_000;
  const [data, small] = [new Uint8Array(size).fill(7), Int8Array.of(1, 2)];
  const tensors = ['a', 'between', 'b', 'c'].map((name) => {
    const isSmall = name !== 'between' && name !== 'c';
    return { name, dtype: 'I8', shape: [isSmall ? 2 : size], data: isSmall ? small : data };
  });
  const bytes = writeSafetensors(tensors);
  const file = { ...opened(bytes, 1000), ranges: true };
  let passed = 0;
  const came = {};
  let last;
  const runs = planRuns(await readHeader(file), true, ({ name }) => name !== 'between');
  await streamTensors(file, runs, {
    begin: ({ name }) => (came[(last = name)] = 0),
    bytes: (piece) => (came[last] += piece.length),
    end: () => {},
    progress: (count) => (passed += count),
  });
  assert.deepEqual(came, { a: 2, b: 2, c: size });
  assert.equal(passed, size + 4);
});

test('a file that ends early is found out although its size was not told', async () => {
  await assert.rejects(stream(opened(three.subarray(0, three.length - 3), 4, null)), (error) => {
    assert.match(error.message, /cut short: it ends within tensor c/);
    return error instanceof MudptError;
  });
});

test('a file without tensors is no error of the format', async () => {
  assert.deepEqual((await stream(opened(fileOf('{}')))).came, []);
  assert.deepEqual(parseHeader(utf8.encode('{"__metadata__":{}}'), undefined, 'x').tensors, []);
});
