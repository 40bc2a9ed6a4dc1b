/** MaPLe: text prompts in every layer, and a layer each that makes the image prompts of them. */
import { MUDPT, bothSides } from './method.js';

/** The library has no more (src/methods/method.h). */
export const MOST_LAYERS = 64;

/** @type {import('./method.js').MethodRow} */
export const maple = {
  title: 'MaPLe',
  trains: 'text prompts, and in every layer a projection that makes the image prompts of them',
  from: "Khattak et al., CVPR 2023; its code's base-to-new settings (cross-dataset: depth 3, 2 epochs, rate 2.6e-3)",
  defaults: { ...MUDPT, promptLength: 2, depth: 9, epochs: 5, learningRate: 3.5e-3 },
  textPrompts: true,
  // Prompts of layers that neither tower has would do nothing.
  sizes: ({ promptLength, depth = 1 }, model) =>
    bothSides({ promptLength, depth: Math.min(depth, MOST_LAYERS, Math.max(model.textLayers, model.visionLayers)) }),
  lead: (words) => words,
};
