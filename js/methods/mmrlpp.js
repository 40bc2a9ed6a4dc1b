/** MMRL++: MMRL with one projection for all layers, which each changes by a matrix of low rank. */
import { mmrl, spaceSizes } from './mmrl.js';

/** @type {import('./method.js').MethodRow} */
export const mmrlpp = {
  ...mmrl,
  title: 'MMRL++',
  trains: 'as MMRL, with one projection for all layers and a small difference for each',
  from: "Guo and Gu 2025, arXiv 2505.10088; its code's base-to-new settings (few-shot: rate 2e-3, 100 epochs)",
  defaults: { .../** @type {any} */ (mmrl.defaults), beta: 0.9, rank: 4, projectionRank: 64 },
  sizes: (settings, model) => ({
    ...{ ...spaceSizes(settings, model), kept: 1 - Number(settings.beta) },
    ...{ rank: settings.rank, projectionRank: settings.projectionRank },
  }),
};
