/** KgCoOp: CoOp's context for all classes, held near what the frozen model says of them. */
import { FIRST_LAYER, promptWords } from './method.js';

/** @type {import('./method.js').MethodRow} */
export const kgcoop = {
  title: 'KgCoOp',
  trains: 'context words that keep the classes near the frozen model’s',
  from: 'Yao et al., CVPR 2023; weight 8 as in its scripts',
  defaults: { ...FIRST_LAYER, epochs: 100, batchSize: 128, learningRate: 2e-3, textWeight: 8 },
  textPrompts: true,
  sizes: ({ promptLength }) => ({ textLength: promptLength, textDepth: 1 }),
  lead: promptWords,
};
