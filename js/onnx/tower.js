/**
 * An image tower with its prompts as constants, in operators of ONNX: pictures [batch, 3, side, side] to features
 * [batch, e], as src/clip/vision.c computes them.
 */
import { MudptError } from '../base/errors.js';
import { ACTIVATIONS, POOLING } from '../core/core.js';
import { FLOAT } from './graph.js';

/**
 * @typedef {(name: string, shape: number[]) => Promise<string>} Constant gives the value with a tensor of the model, by
 *   OpenAI's names and in OpenAI's shapes
 */

/** What is not written: of other families the pooling and the positions. @param {any} c */
export function requireKnown(c) {
  const unknown = [
    [c.visionPooling && c.visionPooling !== POOLING.token, 'another pooling than the class token'],
    [c.noClass, 'no class token'],
    [c.rope, 'rotary positions'],
  ];
  const [, what] = unknown.find(([is]) => is) ?? [];
  if (what) throw new MudptError('argument', `an image tower with ${what} cannot be written as ONNX`, 'use a CLIP');
}

/** @param {import('./graph.js').Graph} g @param {string} x @param {number} activation */
function activated(g, x, activation) {
  if (!activation || activation === ACTIVATIONS.quick_gelu) {
    return g.op('Mul', [x, g.op('Sigmoid', [g.op('Mul', [x, g.number(1.702)])])]);
  }
  const half = g.op('Mul', [x, g.number(0.5)]);
  let inner = g.op('Mul', [x, g.number(Math.SQRT1_2)]);
  if (activation === ACTIVATIONS.gelu_tanh) {
    const cube = g.op('Mul', [g.op('Mul', [x, x]), x]);
    const sum = g.op('Add', [x, g.op('Mul', [cube, g.number(0.044715)])]);
    inner = g.op('Mul', [sum, g.number(Math.sqrt(2 / Math.PI))]);
  }
  const curve = g.op(activation === ACTIVATIONS.gelu ? 'Erf' : 'Tanh', [inner]);
  return g.op('Mul', [half, g.op('Add', [curve, g.number(1)])]);
}

/**
 * @param {import('./graph.js').Graph} g
 * @param {string} pixels the value with the pictures
 * @param {any} c the architecture, as describeModel() gives it
 * @param {Constant} constant
 * @param {{ values: Float32Array, shape: number[] } | null} prompts [layers, n, width]: of each layer from `from` on
 * @param {number} [from]
 */
export async function imageTower(g, pixels, c, constant, prompts, from = 0) {
  const { image, patch, visionWidth: d, visionLayers, visionHeads: heads, visionMlp, visionActivation: kind } = c;
  const places = (image / patch) ** 2;
  const epsilon = c.visionEpsilon || 1e-5;
  const batch = g.op('Shape', [pixels], { start: 0, end: 1 });
  /** The same rows for every picture. @param {string} rows [1, n, d] */
  const forEach = (rows) => g.op('Expand', [rows, g.op('Concat', [batch, g.integers(1), g.integers(1)], { axis: 0 })]);
  const { values, shape } = prompts ?? { values: new Float32Array(), shape: [0, 0] };
  const [depth, n] = shape;
  const prompt = (layer) => forEach(g.tensor(FLOAT, [1, n, d], values.subarray(layer * n * d, (layer + 1) * n * d)));
  const norm = async (x, name) =>
    g.op('LayerNormalization', [x, await constant(`${name}.weight`, [d]), await constant(`${name}.bias`, [d])], {
      axis: -1,
      epsilon,
    });
  /** A matrix is [out, in] in the file. */
  const linear = async (x, weight, bias, out, inputs) => {
    const turned = g.op('Transpose', [await constant(weight, [out, inputs])], { perm: [1, 0] });
    return g.op('Add', [g.op('MatMul', [x, turned]), await constant(bias, [out])]);
  };

  const kernel = await constant('visual.conv1.weight', [d, 3, patch, patch]);
  const bias = c.patchBias ? [await constant('visual.conv1.bias', [d])] : [];
  const sides = { kernel_shape: [patch, patch], strides: [patch, patch] };
  const maps = g.op('Reshape', [g.op('Conv', [pixels, kernel, ...bias], sides), g.integers(0, d, places)]);
  const patches = g.op('Transpose', [maps], { perm: [0, 2, 1] });
  const cls = g.op('Reshape', [await constant('visual.class_embedding', [d]), g.integers(1, 1, d)]);
  const positions = await constant('visual.positional_embedding', [1 + places, d]);
  let x = g.op('Add', [g.op('Concat', [forEach(cls), patches], { axis: 1 }), positions]);
  if (depth && !from) x = g.op('Concat', [x, prompt(0)], { axis: 1 });
  if (!c.noPreNorm) x = await norm(x, 'visual.ln_pre');

  const split = g.integers(0, 0, heads, d / heads);
  const flat = g.integers(0, 0, d);
  for (let layer = 0; layer < visionLayers; layer++) {
    const at = `visual.transformer.resblocks.${layer}.`;
    if (layer && layer >= from && layer < from + depth) {
      const seen = g.op('Slice', [x, g.integers(0), g.integers(1 + places), g.integers(1)]);
      x = g.op('Concat', [layer > from ? seen : x, prompt(layer - from)], { axis: 1 });
    }
    const scaled = async (y, gamma) =>
      c.visionLayerScale ? g.op('Mul', [y, await constant(`${at}${gamma}.gamma`, [d])]) : y;
    const normed = await norm(x, `${at}ln_1`);
    const qkv = await linear(normed, `${at}attn.in_proj_weight`, `${at}attn.in_proj_bias`, 3 * d, d);
    const [q, k, v] = g.ops('Split', [qkv, g.integers(d, d, d)], { axis: -1 }, 3).map((one, i) => {
      return g.op('Transpose', [g.op('Reshape', [one, split])], { perm: i === 1 ? [0, 2, 3, 1] : [0, 2, 1, 3] });
    });
    const scores = g.op('Mul', [g.op('MatMul', [q, k]), g.number(1 / Math.sqrt(d / heads))]);
    const read = g.op('MatMul', [g.op('Softmax', [scores], { axis: -1 }), v]);
    const rows = g.op('Reshape', [g.op('Transpose', [read], { perm: [0, 2, 1, 3] }), flat]);
    const attended = await linear(rows, `${at}attn.out_proj.weight`, `${at}attn.out_proj.bias`, d, d);
    x = g.op('Add', [x, await scaled(attended, 'ls_1')]);
    const up = await linear(await norm(x, `${at}ln_2`), `${at}mlp.c_fc.weight`, `${at}mlp.c_fc.bias`, visionMlp, d);
    const down = [`${at}mlp.c_proj.weight`, `${at}mlp.c_proj.bias`];
    const mlp = await linear(activated(g, up, kind), down[0], down[1], d, visionMlp);
    x = g.op('Add', [x, await scaled(mlp, 'ls_2')]);
  }
  const first = g.op('Slice', [x, g.integers(0), g.integers(1), g.integers(1)]);
  const token = await norm(g.op('Reshape', [first, g.integers(0, d)]), 'visual.ln_post');
  if (c.visionNoProjection) return token;
  const feature = g.op('MatMul', [token, await constant('visual.proj', [d, c.embed])]);
  return c.visionProjectionBias ? g.op('Add', [feature, await constant('visual.proj_bias', [c.embed])]) : feature;
}
