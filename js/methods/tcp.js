/** TCP: context words, which in the middle of the text tower give way to rows made of the frozen class features. */
import { FIRST_LAYER, promptWords } from './method.js';

/** @type {import('./method.js').MethodRow} */
export const tcp = {
  title: 'TCP',
  trains: 'context words, and a small network that gives each class rows of its own',
  from: 'Yao et al., CVPR 2024; as in its code: a random start, Adam, rows at two thirds of the tower (layer 8 of 12)',
  defaults: {
    ...FIRST_LAYER,
    ...{ phrase: '', layer: 8, epochs: 50, batchSize: 32, learningRate: 2e-3, textWeight: 8 },
  },
  textPrompts: true,
  classAware: true,
  sizes: ({ promptLength, layer }) => ({ textLength: promptLength, textDepth: 1, layer }),
  lead: promptWords,
};
