/** MMRL: tokens of a space that both towers share become prompts of their upper layers, and a second feature. */
import { MUDPT, bothSides, upperLayers } from './method.js';

/** The library has no more (src/methods/method.h). */
export const MOST_MAPPED = 32;

/**
 * What MMRL++ has as well.
 * @param {import('./method.js').Settings} settings
 * @param {import('./method.js').ClipConfig} model
 */
export const spaceSizes = ({ promptLength, fromLayer = 1, depth = 1, alpha = 1, space }, model) => {
  const sizes = bothSides({ promptLength, depth: Math.min(depth, MOST_MAPPED, upperLayers(model, fromLayer)) });
  return { ...sizes, layer: fromLayer - 1, inserted: true, second: 1 - alpha, space };
};

/** @type {import('./method.js').MethodRow} */
export const mmrl = {
  title: 'MMRL',
  trains:
    'tokens of a space of both towers, a projection of them to each upper layer, and a second feature of pictures',
  from: "Guo and Gu, CVPR 2025; its code's base-to-new settings (few-shot: batch 32, 50 epochs; weights by data set)",
  defaults: {
    ...{ ...MUDPT, promptLength: 5, fromLayer: 6, space: 512, alpha: 0.7 },
    ...{ learningRate: 1e-3, textWeight: 1, imageWeight: 1 },
  },
  textPrompts: false,
  sizes: spaceSizes,
  teacher: ({ phrase }) => [`${phrase} {}.`.trim()],
  lead: (words) => words,
};
