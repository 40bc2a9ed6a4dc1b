/** What the methods' files share: the shape of a row of the table, MuDPT's settings, sizes of prompts. */
import { SMALLEST_CROP } from './presets.js';

/**
 * @typedef {object} Settings what a training run is asked for; tune() in index.d.ts says what each means
 * @property {number} promptLength
 * @property {number} [depth] Infinity in the table stands for all layers
 * @property {string} phrase
 * @property {'end' | 'middle' | 'front'} [classPosition]
 * @property {boolean} [classSpecific]
 * @property {'linear' | 'transformer'} [injection]
 * @property {boolean} [layer0Fusion]
 * @property {number} [layer] the text layer, from 0, at which rows become each class's own
 * @property {number} [fromLayer] the first layer that gets prompts, from 1
 * @property {number} [space] width of what MMRL's prompts are made of
 * @property {number} [alpha] share of the first feature, where pictures have two
 * @property {number} [beta] share of a layer's own prompt in a row that has one already
 * @property {number} [rank] of what a layer's projection differs by from all layers'
 * @property {number} [projectionRank] the same of the second feature's projection from the model's
 * @property {number} [textWeight] of the loss's terms that hold the tuned features near the frozen model's
 * @property {number} [imageWeight]
 * @property {number} [klWeight]
 * @property {number} [averageMean] epoch about which parameters are averaged
 * @property {number} [averageDeviation] 0: they are not
 * @property {number} shots
 * @property {number} epochs
 * @property {number} batchSize
 * @property {number} learningRate
 * @property {boolean} augment
 * @property {number} smallestCrop
 * @property {number} seed
 *
 * @typedef {Omit<import('../core/core.js').ClipConfig, 'mean' | 'std'>} ClipConfig sizes of a model
 *
 * @typedef {object} MethodRow
 * @property {string} title
 * @property {string} trains one line: what is learned
 * @property {string} from where the method, and where its defaults come from
 * @property {Readonly<Settings>} [defaults] its options are these and no others; absent: nothing is trained
 * @property {(shots: number) => number} [epochsFor] default epochs, where they depend on the shots
 * @property {boolean} textPrompts whether words of its sentences are learned
 * @property {boolean} [perPicture] whether every picture has text prompts of its own
 * @property {boolean} [classAware] whether it makes rows of the frozen model's class features
 * @property {(settings: Settings, model: ClipConfig) => Partial<import('../core/core.js').Method>} sizes as the library
 *   takes them; `method` where the library has another name
 * @property {readonly string[] | ((settings: Settings) => string[])} [teacher] what the frozen model says of a class,
 *   where the loss compares with that; absent: DEFAULT_TEMPLATE
 * @property {(words: string[], n: number) => string[]} lead the phrase's words in a sentence, prompts included
 *
 * @typedef {Record<string, string>} Names the library's names of tensors to those of somebody's code
 * @typedef {{ official: Names, maple?: Names, unused?: RegExp }} OfficialNames in the methods' own authors' code
 *   (MuDPT's has all of its time), and in MaPLe's; unused: trained tensors that nothing reads there
 */

/** What MuDPT's paper states. */
export const MUDPT = Object.freeze({
  promptLength: 4,
  depth: Infinity,
  phrase: 'a photo of a',
  shots: 16,
  epochs: 10,
  batchSize: 4,
  learningRate: 2.5e-3,
  augment: true,
  smallestCrop: SMALLEST_CROP,
  seed: 1,
});
/** What PromptSRC brought, for methods that do without. */
export const UNHELD = Object.freeze({
  ...{ textWeight: 0, imageWeight: 0, klWeight: 0 },
  ...{ averageMean: 0, averageDeviation: 0 },
});
/** CoOp and CoCoOp have prompts in the first layer only. */
const { depth: _, ...firstLayer } = MUDPT;
export const FIRST_LAYER = Object.freeze(firstLayer);

/** How many layers there are from one on, counted from 1. @param {ClipConfig} model */
export const upperLayers = ({ textLayers, visionLayers }, fromLayer = 1) =>
  Math.max(textLayers, visionLayers) - fromLayer + 1;

/** The same prompts' sizes on both sides. */
export const bothSides = ({ promptLength: n, depth = 1 }) => ({
  ...{ textLength: n, textDepth: depth },
  ...{ visualLength: n, visualDepth: depth },
});
/** The sentence holds the prompts and the name: words of the phrase that start no prompt are dropped. */
export const promptWords = (words, n) => words.slice(0, n);
