/**
 * A look inside a classifier: where its image tower looks, and which words its text prompts are near.
 */
import { METHODS } from '../methods/methods.js';
import { entryOf } from './entry.js';

/**
 * Means over the heads of what CLS, or the probe of a pooling head, attends to.
 * @param {import('../core/core.js').ClipConfig} config
 * @param {Float32Array} shares [heads, CLS (if any) + patches + prompts]
 */
export function attentionOf({ visionHeads, poolHeads, image, patch, noClass }, shares) {
  const heads = poolHeads || visionHeads;
  const grid = Math.floor(image / patch);
  const first = noClass ? 0 : 1;
  const rows = shares.length / heads;
  const mean = Float32Array.from({ length: rows }, (_, row) => {
    let sum = 0;
    for (let head = 0; head < heads; head++) sum += shares[head * rows + row];
    return sum / heads;
  });
  const prompts = first + grid * grid;
  return { grid, patches: mean.slice(first, prompts), self: first ? mean[0] : 0, prompts: mean.slice(prompts) };
}

/** Whether prompts meet words only behind some layer. */
const entersHigher = (details, config) => {
  const { layer, inserted } = entryOf(details, config);
  return Boolean(layer || inserted);
};

/**
 * The first layer's text prompts, [rows, d_t]: deeper ones live in other spaces than the words.
 * @param {import('../core/core.js').Core} core
 * @param {number} handle
 * @param {import('./classifier.js').Details} details
 */
export function firstPrompts(core, handle, details) {
  const { method } = details;
  if (METHODS[method].perPicture || METHODS[method].classAware) {
    const context = core.classifierParameters(handle).find(({ name }) => name === 'context');
    return context ? core.floats(context.value, context.count) : new Float32Array();
  }
  if (entersHigher(details, core.shapeOf(handle).config)) return new Float32Array();
  const { text, textShape } = core.classifierFold(handle);
  return text.subarray(0, textShape[1] * textShape[2]);
}

/**
 * The same of a file.
 * @param {import('./saved.js').SavedFile} file
 * @param {import('../core/core.js').ClipConfig} config
 */
export function savedPrompts(file, config) {
  const { textWidth } = config;
  if (entersHigher(file.details(), config)) return new Float32Array();
  const folded = file.floats('text_prompts', [-1, -1, textWidth]);
  if (folded) return folded.values.subarray(0, folded.shape[1] * textWidth);
  return file.floats('context', [-1, textWidth])?.values ?? new Float32Array();
}

/**
 * @param {import('./classifier.js').Model} model
 * @param {Float32Array} prompts [rows, d_t]
 * @param {number} topK words a row
 * @returns {{ word: string, distance: number }[][]}
 */
export function nearestWords({ core, clip, config, tokenizer }, prompts, topK) {
  const width = config.textWidth;
  return Array.from({ length: prompts.length / width }, (_, row) => {
    const distances = core.clipTokenDistances(clip, prompts.slice(row * width, (row + 1) * width));
    const ids = Array.from(distances.keys()).filter((id) => distances[id] < Infinity);
    const words = [];
    for (const id of ids.sort((a, b) => distances[a] - distances[b])) {
      const word = tokenizer.word(id);
      if (word !== null && words.push({ word, distance: distances[id] }) === topK) break;
    }
    return words;
  });
}
