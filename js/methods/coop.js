/** CoOp: context words of the text side. */
import { FIRST_LAYER, promptWords } from './method.js';

export const CLASS_POSITIONS = ['end', 'middle', 'front'];

/** @type {import('./method.js').MethodRow} */
export const coop = {
  title: 'CoOp',
  trains: 'context words in front of the class names, for all classes or for each',
  from: 'Zhou et al., IJCV 2022: 16 random words, name last; 100 epochs below 8 shots, 50 for 1',
  defaults: {
    ...FIRST_LAYER,
    ...{ promptLength: 16, phrase: '', epochs: 200, batchSize: 32, learningRate: 2e-3 },
    ...{ classPosition: 'end', classSpecific: false },
  },
  epochsFor: (shots) => (shots < 2 ? 50 : shots < 8 ? 100 : 200),
  textPrompts: true,
  sizes: ({ promptLength, classPosition, classSpecific }) => ({
    textLength: promptLength,
    textDepth: 1,
    classPosition: CLASS_POSITIONS.indexOf(/** @type {string} */ (classPosition)),
    classSpecific,
  }),
  lead: promptWords,
};
