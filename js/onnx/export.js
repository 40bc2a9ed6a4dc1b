/**
 * A tuned classifier for other software, as one ONNX file: the image tower with the prompts in it, and the classes'
 * features. docs/exchange.md says what goes in and what comes out. Pages import it from mudpt/onnx.
 */
import { MudptError, bytesOf, checkOptions } from '../base/errors.js';
import { entryOf } from '../classifier/entry.js';
import { CLASSIFIER, SavedFile } from '../classifier/saved.js';
import { loadFrom, openSource } from '../files/source.js';
import { loadClip } from '../index.js';
import { openInstant } from '../instant/saved.js';
import { describeModel } from '../loading/configuration.js';
import { closeAll, openWeights } from '../loading/weights.js';
import { FLOAT, Graph, LARGEST, joined } from './graph.js';
import { Tensors } from './tensors.js';
import { imageTower, requireKnown } from './tower.js';

/** Whose prompts are the same for every picture, and whose classes are features of one length. */
const KNOWN = ['zeroshot', 'coop', 'kgcoop', 'tcp', 'vpt', 'ivlp', 'maple', 'mudpt', 'umudpt', 'promptsrc'];

/** @param {Uint8Array} bytes @param {string} name @returns {SavedFile} */
function openWritable(bytes, name) {
  const instant = openInstant(bytes, name);
  if (instant && instant.head?.name !== 'none') {
    const hint = "tune with head: 'none' (--head none)";
    throw new MudptError('argument', `${name}: its head, ${instant.head?.name}, cannot be written as ONNX`, hint);
  }
  const file = instant?.file ?? new SavedFile(bytes, name, [CLASSIFIER]);
  const { method } = file.metadata;
  if (KNOWN.includes(method)) return file;
  const second = method.startsWith('mmrl') ? ': it has a second feature of pictures' : '';
  const why = method === 'cocoop' ? ': it has prompts of its own for every picture' : second;
  const hint = `what can be: ${KNOWN.join(', ')}`;
  throw new MudptError('argument', `${name}: ${method} cannot be written as ONNX${why}`, hint);
}

/** Refuses a classifier of another model, and whatever else is wrong with it. */
async function requireModel(bytes, { model, name, ...options }) {
  const clip = await loadClip(model, { ...options, towers: 'image' });
  try {
    await clip.import(bytes, { name });
  } finally {
    await clip.dispose();
  }
}

/** What whoever feeds it must know of pictures. @param {any} preprocessing @param {any} architecture */
const pictures = ({ mean, std }, { image }) => ({
  image_size: String(image),
  image_mean: JSON.stringify(mean),
  image_std: JSON.stringify(std),
});

/**
 * What the options mean is in types.d.ts.
 * @param {Uint8Array | ArrayBuffer} bytes
 * @param {{ model: import('../files/source.js').From, name?: string, signal?: AbortSignal, cache?: boolean,
 *   timeout?: number }} options
 * @returns {Promise<Uint8Array>}
 */
export async function exportOnnx(bytes, options) {
  checkOptions(options, ['model', 'name', 'signal', 'cache', 'timeout']);
  const { model, name = 'the classifier', signal, cache, timeout } = options;
  const file = openWritable(bytesOf(bytes, name), name);
  const details = file.details();
  const { classes } = details;
  await requireModel(bytes, { model, name, signal, cache, timeout });
  const source = await openSource(model, { signal, cache, timeout });
  return loadFrom(source, async () => {
    const opened = await openWeights(source);
    try {
      const { files, headers, folder = source } = opened;
      const { architecture, preprocessing } = await describeModel(folder, headers, files[0].name);
      requireKnown(architecture);
      const { embed, image, visionWidth } = architecture;
      const { layer } = entryOf(details, /** @type {any} */ (architecture));
      const text = file.floats('text_features', [classes.length, embed]);
      if (!text) throw file.bad('has no tensor text_features');
      const prompts = file.floats('visual_prompts', [-1, -1, visionWidth]);
      const g = new Graph();
      const tensors = new Tensors(g, opened);
      const pixels = g.input('pixel_values', FLOAT, ['batch', 3, image, image]);
      const feature = await imageTower(g, pixels, architecture, tensors.constant, prompts, layer);
      const length = g.op('ReduceL2', [feature], { axes: [-1], keepdims: 1 });
      const unit = g.op('Div', [feature, length], {}, 'image_embeds');
      const [scale] = await tensors.floats('logit_scale', [1]);
      const logits = g.op('MatMul', [unit, classMatrix(g, text.values, embed, Math.exp(scale))], {}, 'logits');
      g.op('Softmax', [logits], { axis: -1 }, 'probabilities');
      g.output('logits', ['batch', classes.length]);
      g.output('probabilities', ['batch', classes.length]);
      g.output('image_embeds', ['batch', embed]);
      const metadata = { classes: JSON.stringify(classes), method: file.metadata.method };
      const pieces = g.model({ metadata: { ...metadata, ...pictures(preprocessing, architecture) } });
      const size = pieces.reduce((sum, { length: count }) => sum + count, 0);
      if (size > LARGEST) {
        const what = `${source.name}: an ONNX file of ${size} bytes is too large, at most ${LARGEST} are possible`;
        throw new MudptError('argument', what, 'use a copy of the model as f16');
      }
      return joined(pieces);
    } finally {
      await closeAll(opened.files);
    }
  });
}

/** The classes' features of length one, times the scale, as columns. */
function classMatrix(g, features, width, scale) {
  const count = features.length / width;
  const columns = new Float32Array(features.length);
  for (let c = 0; c < count; c++) {
    const row = features.subarray(c * width, (c + 1) * width);
    const factor = scale / Math.hypot(...row);
    row.forEach((value, i) => (columns[i * count + c] = value * factor));
  }
  return g.tensor(FLOAT, [width, count], columns);
}
