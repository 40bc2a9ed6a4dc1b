/** Settings by name, on top of a method's own. */

/**
 * @typedef {import('./method.js').Settings} Settings
 * @typedef {import('./method.js').ClipConfig} ClipConfig
 */

/** Share of a picture's area that a random crop shows at least: the papers'. */
export const SMALLEST_CROP = 0.08;
/** Pixels a side of the pictures that the papers' crops were chosen for. */
const PAPER_IMAGE = 224;
/** Share of the area; a larger one would leave crops little to vary. */
const LARGEST_SMALLEST_CROP = 0.5;

/**
 * A paper's smallest crop on a model whose pictures have another size: it keeps its number of pixels, as far as that
 * leaves something to crop. On pictures of 224 pixels nothing changes.
 * @param {number} paper @param {number} image pixels a side
 */
export const carriedCrop = (paper, image) =>
  Math.min(LARGEST_SMALLEST_CROP, paper * Math.max(1, PAPER_IMAGE / image) ** 2);

/**
 * What carries a paper's settings over to another model: its smallest crop. The learning rate needs no change for
 * another logit scale; docs/presets.md has what was measured.
 * @param {Settings} paper
 * @param {ClipConfig} model
 */
const carryOver = ({ smallestCrop }, { image }) => ({ smallestCrop: carriedCrop(smallestCrop, image) });

/** @type {Record<string, { about: string, settings: (paper: Settings, model: ClipConfig) => Partial<Settings> }>} */
export const PRESETS = {
  paper: { about: "the settings of the method's paper", settings: () => ({}) },
  quick: {
    about: 'a first look in a fraction of the time',
    settings: (paper, model) => ({ ...carryOver(paper, model), epochs: 4, batchSize: 4 }),
  },
  balanced: {
    about: "the length of MuDPT's paper, carried over to the model",
    settings: (paper, model) => ({ ...carryOver(paper, model), epochs: 10, batchSize: 4 }),
  },
  thorough: {
    about: 'three times as long',
    settings: (paper, model) => ({ ...carryOver(paper, model), epochs: 30, batchSize: 4 }),
  },
};
