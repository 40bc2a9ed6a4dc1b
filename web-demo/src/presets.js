/**
 * What the presets stand for: settings of tune(). The learning rate of the papers was chosen for a logit scale of 100;
 * where a model's is smaller, so are its gradients.
 */
const PAPER_RATE = 2.5e-3;
const PAPER_SCALE = 100;

export const PRESETS = ['quick', 'balanced', 'thorough'];

/**
 * @param {string} preset
 * @param {import('mudpt').ClipInfo} info
 */
export function presetSettings(preset, info) {
  const learningRate = Number(((PAPER_RATE * PAPER_SCALE) / info.logitScale).toPrecision(2));
  return {
    quick: { shots: 8, epochs: 8, learningRate, smallestCrop: 0.4 },
    balanced: { shots: 16, epochs: 16, learningRate, smallestCrop: 0.3 },
    thorough: { shots: 32, epochs: 40, learningRate, smallestCrop: 0.3 },
  }[preset];
}
