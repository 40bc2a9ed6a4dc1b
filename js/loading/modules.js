/**
 * Folders of sentence-transformers: a modules.json says what a model is made of and in which folder each part lies.
 * CLIP is one part, which versions before 6 save in 0_CLIPModel; later ones save it beside modules.json.
 */
import { MudptError } from '../base/errors.js';
import { absenceOf } from '../files/source.js';

/** Lengths do not matter to cosines, so that what only makes them one may follow. */
const HARMLESS = 'Normalize';

/** @typedef {import('../files/source.js').Source} Source */

/**
 * The folder of the CLIP that modules.json names.
 * @param {Source} source
 * @param {{ name: string, text: string }} modules modules.json
 * @returns {Source}
 */
export function moduleOf(source, { name, text }) {
  const kinds = [];
  const paths = [];
  for (const module of listIn(text)) {
    kinds.push(String(module?.type).split('.').at(-1));
    paths.push(String(module?.path ?? ''));
  }
  const [folder] = paths;
  const [first, ...rest] = kinds;
  if (
    !/^(CLIPModel|Transformer)$/.test(first) ||
    !/^\w[\w-]*$/.test(folder) ||
    rest.some((kind) => kind !== HARMLESS)
  ) {
    const what = `${name} names ${kinds.join(', ') || 'nothing'}, expected CLIPModel and its folder`;
    throw new MudptError('model', what, 'choose another model');
  }
  const inside = (/** @type {string} */ file) => `${folder}/${file}`;
  return {
    ...source,
    // One folder and no other inside it.
    open: async (file, checked) => (file === 'modules.json' ? null : source.open(inside(file), checked)),
    list: undefined,
    absence: (file) => absenceOf(source, inside(file)),
    refusal: (file) => source.refusal?.(inside(file)) ?? null,
  };
}

/** @returns {any[]} none where it is no list */
function listIn(text) {
  try {
    const value = JSON.parse(text);
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}
