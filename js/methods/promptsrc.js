/** PromptSRC: IVLP's prompts, held near the frozen model, and averaged over the epochs. */
import { ivlp } from './ivlp.js';
import { MUDPT } from './method.js';

/** @type {import('./method.js').MethodRow} */
export const promptsrc = {
  ...ivlp,
  title: 'PromptSRC',
  trains: 'IVLP’s prompts, held near the frozen model by three terms of the loss, averaged over the epochs',
  from: "Khattak et al., ICCV 2023; its code's base-to-new settings (few-shot: 50 epochs, average 30, 30 or 45, 5)",
  defaults: {
    ...MUDPT,
    ...{
      depth: 9,
      fromLayer: 1,
      epochs: 20,
      textWeight: 25,
      imageWeight: 10,
      klWeight: 1,
      averageMean: 15,
      averageDeviation: 1,
    },
  },
};
