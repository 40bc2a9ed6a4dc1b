/** IVLP: prompts of both sides, independent of each other. */
import { MUDPT, UNHELD } from './method.js';
import { CLIP_TEMPLATES } from './templates.js';

/** @type {import('./method.js').MethodRow} */
export const ivlp = {
  title: 'IVLP',
  trains: 'prompts in both towers, independent of each other',
  // MaPLe's code has the rate 3.5e-3 for its own IVLP, otherwise the same.
  from: "Khattak et al., CVPR 2023; as MPT in MuDPT's code (2 tokens, 12 layers, 5 epochs)",
  defaults: { ...MUDPT, promptLength: 2, epochs: 5, fromLayer: 1, ...UNHELD },
  textPrompts: true,
  teacher: CLIP_TEMPLATES,
  sizes: ({ promptLength: n, depth = 1, fromLayer = 1 }, model) => ({
    textLength: n,
    textDepth: Math.min(depth, model.textLayers - fromLayer + 1),
    visualLength: n,
    visualDepth: Math.min(depth, model.visionLayers - fromLayer + 1),
    layer: fromLayer - 1,
  }),
  lead: (words) => words,
};
