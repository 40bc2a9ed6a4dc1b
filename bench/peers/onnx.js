/**
 * ONNX models for onnxruntime-web, written here so that nothing needs to be downloaded or exported: one product, and
 * CLIP's two towers with weights of noise, whose speed is that of real ones.
 */

import { FLOAT, Graph, INT64, joined } from '../../js/onnx/graph.js';

/** A graph whose weights are noise. */
class NoisyGraph extends Graph {
  #seed = 1;

  noise(...shape) {
    const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
    for (let i = 0; i < values.length; i++) {
      this.#seed = (Math.imul(this.#seed, 1664525) + 1013904223) | 0;
      values[i] = this.#seed / 2 ** 31 / 20;
    }
    return this.tensor(FLOAT, shape, values);
  }

  linear(x, from, to) {
    return this.op('Add', [this.op('MatMul', [x, this.noise(from, to)]), this.noise(to)]);
  }

  norm(x, width) {
    return this.op('LayerNormalization', [x, this.noise(width), this.noise(width)], { axis: -1, epsilon: 1e-5 });
  }

  file(output, shape) {
    this.output(output, shape);
    return joined(this.model());
  }
}

/** x [batch, length, width] through pre-LN blocks. */
function blocks(g, x, { batch, length, width, layers, heads, mask }) {
  const rows = g.integers(batch, length, heads, width / heads);
  const flat = g.integers(batch, length, width);
  for (let l = 0; l < layers; l++) {
    const qkv = g.linear(g.norm(x, width), width, 3 * width);
    const parts = g.ops('Split', [qkv, g.integers(width, width, width)], { axis: -1 }, 3);
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
  const g = new NoisyGraph();
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
  return g.file(features, [batch, embed]);
}

/** ids [classes, 77] -> features [classes, embed] */
export function textTower({ classes, context = 77, width = 512, layers = 12, heads = 8, embed = 512 }) {
  const g = new NoisyGraph();
  const ids = g.input('ids', INT64, [classes, context]);
  let x = g.op('Add', [g.op('Gather', [g.noise(49408, width), ids]), g.noise(1, context, width)]);
  const masked = Float32Array.from({ length: context ** 2 }, (_, i) =>
    i % context > Math.floor(i / context) ? -1e9 : 0,
  );
  const mask = g.tensor(FLOAT, [context, context], masked);
  x = blocks(g, x, { batch: classes, length: context, width, layers, heads, mask });
  const end = g.op('Gather', [x, g.tensor(INT64, [], BigInt64Array.of(BigInt(context - 1)))], { axis: 1 });
  const features = g.op('MatMul', [g.norm(end, width), g.noise(width, embed)]);
  return g.file(features, [classes, embed]);
}

/** a [rows, depth] -> [rows, columns] */
export function product([rows, depth, columns]) {
  const g = new NoisyGraph();
  return g.file(g.op('MatMul', [g.input('a', FLOAT, [rows, depth]), g.noise(depth, columns)]), [rows, columns]);
}
