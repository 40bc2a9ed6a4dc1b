/**
 * A model's image tower by OpenAI's names, whatever names its files have, as constants of a graph: tensors are read one
 * at a time, and halves stay halves.
 */
import { MudptError } from '../base/errors.js';
import { applyScales, toFloats } from '../loading/floats.js';
import { canonicalName } from '../loading/names.js';
import { readTensor } from '../loading/places.js';
import { FLOAT, FLOAT16 } from './graph.js';

/** OpenAI's part of a name and Hugging Face's. @type {[RegExp, string][]} */
const THEIRS = [
  [/^visual\.conv1\./, 'vision_model.embeddings.patch_embedding.'],
  [/^visual\.class_embedding$/, 'vision_model.embeddings.class_embedding'],
  [/^visual\.positional_embedding$/, 'vision_model.embeddings.position_embedding.weight'],
  [/^visual\.ln_pre\./, 'vision_model.pre_layrnorm.'],
  [/^visual\.ln_post\./, 'vision_model.post_layernorm.'],
  [/^visual\.proj_bias$/, 'visual_projection.bias'],
  [/^visual\.transformer\.resblocks\.(\d+)\.ln_([12])\./, 'vision_model.encoder.layers.$1.layer_norm$2.'],
  [/^visual\.transformer\.resblocks\.(\d+)\.attn\.out_proj\./, 'vision_model.encoder.layers.$1.self_attn.out_proj.'],
  [/^visual\.transformer\.resblocks\.(\d+)\.mlp\.c_fc\./, 'vision_model.encoder.layers.$1.mlp.fc1.'],
  [/^visual\.transformer\.resblocks\.(\d+)\.mlp\.c_proj\./, 'vision_model.encoder.layers.$1.mlp.fc2.'],
];
const FUSED = /^visual\.transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)$/;

const product = (shape) => shape.reduce((a, b) => a * b, 1);

export class Tensors {
  #found = new Map();
  #graph;

  /**
   * @param {import('./graph.js').Graph} graph
   * @param {import('../loading/weights.js').Opened} opened
   */
  constructor(graph, { files, headers }) {
    this.#graph = graph;
    headers.forEach(({ tensors }, i) => {
      for (const tensor of tensors) this.#found.set(canonicalName(tensor.name), { file: files[i], tensor });
    });
  }

  has(name) {
    return this.#found.has(name);
  }

  /** A tensor's values. @param {string} name @param {number[]} shape */
  async floats(name, shape) {
    const { file, tensor } = this.#entry(name, shape);
    const values = toFloats(await readTensor(file, tensor), tensor.dtype);
    if (!values) throw new MudptError('model', `${file.name}: tensor ${name} is ${tensor.dtype}, expected numbers`);
    if (!/^I/.test(tensor.dtype)) return values;
    const scales = await this.floats(`${name}_scale`, [shape[0]]);
    const apart = `${name}_column`;
    applyScales(values, scales, this.has(apart) ? await this.floats(apart, [values.length / shape[0]]) : null);
    return values;
  }

  #entry(name, shape) {
    const entry = this.#found.get(name);
    if (!entry) throw new MudptError('model', `the model has no tensor ${name}`, 'download or export it again');
    if (product(entry.tensor.shape) !== product(shape)) {
      const what = `${entry.file.name}: tensor ${name} is [${entry.tensor.shape}], expected [${shape}]`;
      throw new MudptError('model', what, 'download or export it again');
    }
    return entry;
  }

  /** By its name in the files. @param {string} name @param {number[]} shape */
  async #constant(name, shape) {
    const { file, tensor } = this.#entry(name, shape);
    if (tensor.dtype !== 'F16') return this.#graph.tensor(FLOAT, shape, await this.floats(name, shape));
    const bytes = Uint8Array.from(await readTensor(file, tensor));
    return this.#graph.op('Cast', [this.#graph.tensor(FLOAT16, shape, bytes)], { to: FLOAT });
  }

  /** @type {import('./tower.js').Constant} */
  constant = async (name, shape) => {
    if (this.has(name)) return this.#constant(name, shape);
    const fused = FUSED.exec(name);
    if (fused) {
      const [, layer, what] = fused;
      const parts = [];
      for (const one of ['q', 'k', 'v']) {
        const theirs = `vision_model.encoder.layers.${layer}.self_attn.${one}_proj.${what}`;
        parts.push(await this.#constant(theirs, [shape[0] / 3, ...shape.slice(1)]));
      }
      return this.#graph.op('Concat', parts, { axis: 0 });
    }
    if (name === 'visual.proj') {
      const turned = await this.#constant('visual_projection.weight', [shape[1], shape[0]]);
      return this.#graph.op('Transpose', [turned], { perm: [1, 0] });
    }
    const found = THEIRS.find(([ours]) => ours.test(name));
    return this.#constant(found ? name.replace(...found) : name, shape);
  };
}
