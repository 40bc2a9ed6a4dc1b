/**
 * ONNX models for onnxruntime-web, written here so that nothing needs to be downloaded or exported: one product, and
 * CLIP's two towers with weights of noise, whose speed is that of real ones.
 */

/** @param {Uint8Array[]} pieces */
function joined(pieces) {
  const out = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}

// Protocol buffers: a field is its number and kind, then a varint or a length and bytes.
function varint(value) {
  const bytes = [];
  for (let rest = BigInt(value); ; rest >>= 7n) {
    if (rest < 128n) return Uint8Array.from([...bytes, Number(rest)]);
    bytes.push(Number(rest & 127n) | 128);
  }
}
const whole = (field, value) => [varint(field * 8), varint(value)];
const bytes = (field, value) => [varint(field * 8 + 2), varint(value.length), value];
const text = (field, value) => bytes(field, new TextEncoder().encode(value));
const part = (field, ...pieces) => bytes(field, joined(pieces.flat(3)));

function attribute([name, value]) {
  if (Array.isArray(value)) return part(5, text(1, name), ...value.map((v) => whole(8, v)), whole(20, 7));
  if (Number.isInteger(value)) return part(5, text(1, name), whole(3, BigInt.asUintN(64, BigInt(value))), whole(20, 2));
  const float = new Uint8Array(5);
  float[0] = 2 * 8 + 5;
  new DataView(float.buffer).setFloat32(1, value, true);
  return part(5, text(1, name), float, whole(20, 1));
}

const FLOAT = 1;
const INT64 = 7;
const info = (field, name, type, shape) =>
  part(
    field,
    text(1, name),
    part(2, part(1, whole(1, type), part(2, ...shape.map((side) => part(1, whole(1, side)))))),
  );

/** A graph under construction; its methods answer with the names of values. */
class Graph {
  #pieces = [];
  #count = 0;
  #seed = 1;

  name() {
    return `v${this.#count++}`;
  }

  input(name, type, shape) {
    this.#pieces.push(info(11, name, type, shape));
    return name;
  }

  tensor(type, shape, array) {
    const name = this.name();
    const raw = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    this.#pieces.push(part(5, ...shape.map((side) => whole(1, side)), whole(2, type), text(8, name), bytes(9, raw)));
    return name;
  }

  noise(...shape) {
    const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
    for (let i = 0; i < values.length; i++) {
      this.#seed = (Math.imul(this.#seed, 1664525) + 1013904223) | 0;
      values[i] = this.#seed / 2 ** 31 / 20;
    }
    return this.tensor(FLOAT, shape, values);
  }

  number(value) {
    return this.tensor(FLOAT, [1], Float32Array.of(value));
  }

  integers(...values) {
    return this.tensor(INT64, [values.length], BigInt64Array.from(values, BigInt));
  }

  op(type, inputs, attributes = {}, outputs = 1) {
    const names = Array.from({ length: outputs }, () => this.name());
    const ends = [...inputs.map((one) => text(1, one)), ...names.map((one) => text(2, one))];
    this.#pieces.push(part(1, ...ends, text(4, type), ...Object.entries(attributes).map(attribute)));
    return outputs === 1 ? names[0] : names;
  }

  linear(x, from, to) {
    return this.op('Add', [this.op('MatMul', [x, this.noise(from, to)]), this.noise(to)]);
  }

  norm(x, width) {
    return this.op('LayerNormalization', [x, this.noise(width), this.noise(width)], { axis: -1, epsilon: 1e-5 });
  }

  model(output, shape) {
    const graph = part(7, ...this.#pieces, text(2, 'graph'), part(12, ...[text(1, output), ...shapeOf(shape)]));
    return joined([whole(1, 8), graph, part(8, whole(2, 17))].flat(3));
  }
}

const shapeOf = (shape) => [
  part(2, part(1, whole(1, FLOAT), part(2, ...shape.map((side) => part(1, whole(1, side)))))),
];

/** x [batch, length, width] through pre-LN blocks. */
function blocks(g, x, { batch, length, width, layers, heads, mask }) {
  const rows = g.integers(batch, length, heads, width / heads);
  const flat = g.integers(batch, length, width);
  for (let l = 0; l < layers; l++) {
    const qkv = g.linear(g.norm(x, width), width, 3 * width);
    const parts = g.op('Split', [qkv, g.integers(width, width, width)], { axis: -1 }, 3);
    const [q, k, v] = parts.map((one, i) =>
      g.op('Transpose', [g.op('Reshape', [one, rows])], { perm: i === 1 ? [0, 2, 3, 1] : [0, 2, 1, 3] }),
    );
    let scores = g.op('Mul', [g.op('MatMul', [q, k]), g.number(1 / Math.sqrt(width / heads))]);
    if (mask) scores = g.op('Add', [scores, mask]);
    const attended = g.op('MatMul', [g.op('Softmax', [scores], { axis: -1 }), v]);
    const joined = g.op('Reshape', [g.op('Transpose', [attended], { perm: [0, 2, 1, 3] }), flat]);
    x = g.op('Add', [x, g.linear(joined, width, width)]);
    const u = g.linear(g.norm(x, width), width, 4 * width);
    const gelu = g.op('Mul', [u, g.op('Sigmoid', [g.op('Mul', [u, g.number(1.702)])])]);
    x = g.op('Add', [x, g.linear(gelu, 4 * width, width)]);
  }
  return x;
}

/** pixels [batch, 3, image, image] -> features [batch, embed] */
export function imageTower({ batch, image = 224, patch, width = 768, layers = 12, heads = 12, embed = 512 }) {
  const g = new Graph();
  const grid = image / patch;
  const pixels = g.input('pixels', FLOAT, [batch, 3, image, image]);
  const conv = g.op('Conv', [pixels, g.noise(width, 3, patch, patch)], {
    kernel_shape: [patch, patch],
    strides: [patch, patch],
  });
  const rows = g.op('Transpose', [g.op('Reshape', [conv, g.integers(batch, width, grid * grid)])], { perm: [0, 2, 1] });
  let x = g.op('Concat', [g.noise(batch, 1, width), rows], { axis: 1 });
  x = g.norm(g.op('Add', [x, g.noise(1, grid * grid + 1, width)]), width);
  x = blocks(g, x, { batch, length: grid * grid + 1, width, layers, heads });
  const cls = g.op('Gather', [x, g.tensor(INT64, [], BigInt64Array.of(0n))], { axis: 1 });
  const features = g.op('MatMul', [g.norm(cls, width), g.noise(width, embed)]);
  return g.model(features, [batch, embed]);
}

/** ids [classes, 77] -> features [classes, embed] */
export function textTower({ classes, context = 77, width = 512, layers = 12, heads = 8, embed = 512 }) {
  const g = new Graph();
  const ids = g.input('ids', INT64, [classes, context]);
  let x = g.op('Add', [g.op('Gather', [g.noise(49408, width), ids]), g.noise(1, context, width)]);
  const masked = Float32Array.from({ length: context ** 2 }, (_, i) =>
    i % context > Math.floor(i / context) ? -1e9 : 0,
  );
  const mask = g.tensor(FLOAT, [context, context], masked);
  x = blocks(g, x, { batch: classes, length: context, width, layers, heads, mask });
  const end = g.op('Gather', [x, g.tensor(INT64, [], BigInt64Array.of(BigInt(context - 1)))], { axis: 1 });
  const features = g.op('MatMul', [g.norm(end, width), g.noise(width, embed)]);
  return g.model(features, [classes, embed]);
}

/** a [rows, depth] -> [rows, columns] */
export function product([rows, depth, columns]) {
  const g = new Graph();
  return g.model(g.op('MatMul', [g.input('a', FLOAT, [rows, depth]), g.noise(depth, columns)]), [rows, columns]);
}
