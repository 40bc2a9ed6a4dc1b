/** VPT: prompts of the image side. */
import { MUDPT } from './method.js';

/** @type {import('./method.js').MethodRow} */
export const vpt = {
  title: 'VPT',
  trains: 'image prompts in every layer (deep), or in the first (shallow: depth 1)',
  // Jia et al. tune supervised ViTs and search length, rate and epochs anew for every data set.
  from: "Jia et al., ECCV 2022; on CLIP as in MaPLe's and MuDPT's code (8 tokens, 12 layers, 5 epochs)",
  defaults: { ...MUDPT, promptLength: 8, epochs: 5 },
  textPrompts: false,
  // Prompts of a layer that the tower does not have would do nothing.
  sizes: ({ promptLength, depth = 1 }, model) => ({
    visualLength: promptLength,
    visualDepth: Math.min(depth, model.visionLayers),
  }),
  lead: (words) => words,
};
