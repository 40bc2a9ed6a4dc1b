/** Features of classes: of each name in its sentences, the middle of these. */
import { spoken } from '../methods/classes.js';
import { toUnit } from './unit.js';

/**
 * @param {{ embedTexts: (texts: string[], options?: Record<string, any>) => Promise<any> }} clip
 * @param {string[]} classes
 * @param {string[]} templates `{}` stands for the name
 * @param {Record<string, any>} [options] of embedTexts
 * @returns {Promise<{ data: Float32Array, dims: [number, number] }>} rows of length one
 */
export async function classTexts(clip, classes, templates, options) {
  const sentences = templates.flatMap((template) => classes.map((name) => template.split('{}').join(spoken(name))));
  const { data, dims } = await clip.embedTexts(sentences, options);
  const size = classes.length * dims[1];
  const texts = data.slice(0, size);
  for (let at = size; at < data.length; at++) texts[at % size] += data[at];
  for (let at = 0; at < size; at += dims[1]) toUnit(texts.subarray(at, at + dims[1]));
  return { data: texts, dims: [classes.length, dims[1]] };
}
