/** CoCoOp: context words that every picture shifts. */
import { FIRST_LAYER, promptWords } from './method.js';

/** @type {import('./method.js').MethodRow} */
export const cocoop = {
  title: 'CoCoOp',
  trains: 'context words and a small network that shifts them for every picture',
  from: 'Zhou et al., CVPR 2022',
  defaults: { ...FIRST_LAYER, batchSize: 1, learningRate: 2e-3 },
  textPrompts: true,
  perPicture: true,
  sizes: ({ promptLength }) => ({ textLength: promptLength, textDepth: 1 }),
  lead: promptWords,
};
