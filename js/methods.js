/**
 * The methods as one table: what each is, its defaults, which sizes it has, and what its sentences begin with. The
 * mathematics are the library's (src/methods); adding a method is a row here and a file there.
 */
import { MudptError } from './errors.js';

/**
 * @typedef {object} Settings what a training run is asked for; tune() in index.d.ts says what each means
 * @property {number} promptLength
 * @property {number} depth
 * @property {string} phrase
 * @property {boolean} [layer0Fusion] mudpt
 * @property {number} shots
 * @property {number} epochs
 * @property {number} batchSize
 * @property {number} learningRate
 * @property {boolean} augment
 * @property {number} smallestCrop
 * @property {number} seed
 *
 * @typedef {import('./core.js').ClipConfig} ClipConfig
 *
 * @typedef {object} MethodRow
 * @property {string} title
 * @property {(model: ClipConfig) => Settings} [defaults] absent: nothing is trained
 * @property {(settings: Settings, model: ClipConfig) => Omit<import('./core.js').Method, 'method'>} sizes
 * @property {(words: string[], n: number) => string[]} lead the phrase's words in a sentence, prompts included
 */

/** The deeper tower's number of layers. @param {ClipConfig} model */
const allLayers = (model) => Math.max(model.textLayers, model.visionLayers);

/** The paper's setting. @param {ClipConfig} model @returns {Settings} */
const paper = (model) => ({
  promptLength: 4,
  depth: allLayers(model),
  phrase: 'a photo of a',
  shots: 16,
  epochs: 10,
  batchSize: 4,
  learningRate: 2.5e-3,
  augment: true,
  smallestCrop: 0.08,
  seed: 1,
});

/** @type {Record<string, MethodRow>} */
export const METHODS = {
  zeroshot: {
    title: 'zero-shot: class names in sentences, nothing is trained',
    sizes: () => ({}),
    lead: () => [],
  },
  ivlp: {
    title: 'IVLP: independent prompts in both towers',
    defaults: paper,
    // Independent prompts of a layer that a tower does not have would do nothing.
    sizes: ({ promptLength: n, depth }, model) => ({
      textLength: n,
      textDepth: Math.min(depth, model.textLayers),
      visualLength: n,
      visualDepth: Math.min(depth, model.visionLayers),
    }),
    lead: (words) => words,
  },
  mudpt: {
    title: 'MuDPT: prompts in both towers, each side injected into the other by linear layers',
    defaults: (model) => ({ ...paper(model), layer0Fusion: true }),
    sizes: ({ promptLength: n, depth, layer0Fusion }) => ({
      textLength: n,
      textDepth: depth,
      visualLength: n,
      visualDepth: depth,
      layer0Fusion,
    }),
    lead: (words, n) => words.slice(0, n),
  },
};

/** Names of the methods that train something. */
export const TRAINABLE = Object.keys(METHODS).filter((name) => METHODS[name].defaults);

/** What a setting may be: a test, and how it is said. */
const whole = (low, high) => ({
  allows: (value) => (Number.isInteger(value) || value === Infinity) && value >= low && value <= high,
  expected: high === Infinity ? `a whole number from ${low}, or Infinity` : `a whole number from ${low} to ${high}`,
});
const upTo = (most) => ({
  allows: (value) => typeof value === 'number' && value > 0 && value <= most,
  expected: `a number above 0, at most ${most}`,
});
const yesNo = { allows: (value) => typeof value === 'boolean', expected: 'true or false' };
const text = { allows: (value) => typeof value === 'string', expected: 'text' };

const CHECKS = {
  promptLength: whole(1, 1024),
  depth: whole(1, 128),
  phrase: text,
  layer0Fusion: yesNo,
  shots: whole(1, Infinity),
  epochs: whole(1, 100000),
  batchSize: whole(1, 4096),
  learningRate: upTo(1000),
  augment: yesNo,
  smallestCrop: upTo(1),
  seed: whole(0, 2 ** 32 - 1),
};

/** @param {string} key @param {unknown} value @param {string} expected @returns {never} */
function refuse(key, value, expected) {
  throw new MudptError(
    'argument',
    `${key} is ${typeof value === 'string' ? `"${value}"` : value}, expected ${expected}`,
  );
}

/**
 * Fills in a method's defaults and checks every value.
 * @param {Record<string, unknown>} options as given by the user; undefined stands for the default
 * @param {ClipConfig} model
 * @returns {{ method: string, settings: Settings }}
 */
export function resolveSettings({ method = 'mudpt', injection = 'linear', ...options }, model) {
  if (typeof method !== 'string' || !TRAINABLE.includes(method)) refuse('method', method, TRAINABLE.join(' or '));
  if (injection !== 'linear') refuse('injection', injection, 'linear');
  const settings = /** @type {NonNullable<MethodRow['defaults']>} */ (METHODS[method].defaults)(model);
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined) continue;
    if (!Object.hasOwn(settings, key)) {
      const valid = ['classes', 'examples', 'method', 'injection', 'signal', ...Object.keys(settings)].join(', ');
      throw new MudptError('argument', `there is no option "${key}"`, `valid are ${valid}`);
    }
    if (!CHECKS[key].allows(value)) refuse(key, value, CHECKS[key].expected);
    settings[key] = value;
  }
  return { method, settings };
}

/** @param {unknown} classes @returns {string[]} */
export function checkClasses(classes) {
  if (!Array.isArray(classes) || !classes.length)
    refuse('classes', String(classes), 'an array of at least one class name');
  const seen = new Set();
  for (const name of classes) {
    if (typeof name !== 'string' || !name.trim()) refuse('a class name', name, 'text that is not empty');
    if (seen.has(name)) throw new MudptError('argument', `class "${name}" is listed twice`, 'name every class once');
    seen.add(name);
  }
  return [...classes];
}

const spoken = (name) => name.replaceAll('_', ' ');

/**
 * Sentences from templates.
 * @param {import('./tokenizer.js').ClipTokenizer} tokenizer
 * @param {string[]} classes
 * @param {string[]} templates `{}` stands for the class name
 * @returns {number[][][]} [templates][classes] ids
 */
export function templateSentences(tokenizer, classes, templates) {
  for (const template of templates) {
    if (typeof template !== 'string' || !template.includes('{}')) {
      refuse('a template', template, 'text with {} in the place of the class name');
    }
  }
  return templates.map((template) =>
    classes.map((name) => tokenizer.sentence(template.split('{}').join(spoken(name)), `class "${name}"`)),
  );
}

/**
 * Sentences of a method with text prompts: `phrase name.`, whose first promptLength words give way to the prompts.
 * @param {import('./tokenizer.js').ClipTokenizer} tokenizer
 * @param {string[]} classes
 * @param {string} method
 * @param {Settings} settings
 * @returns {{ ids: number[][][], phrase: number[] | null }} phrase: what the prompts start from; null: random
 */
export function promptSentences(tokenizer, classes, method, { phrase, promptLength: n }) {
  const words = phrase.trim().split(/\s+/).filter(Boolean);
  if (words.length && n > words.length) {
    throw new MudptError(
      'argument',
      `promptLength is ${n}, but the phrase "${phrase}" has only ${words.length} words to start from`,
      `use promptLength ${words.length} or less, a longer phrase, or the phrase "" for a random start`,
    );
  }
  const start = words.length ? tokenizer.words(words) : null;
  // Without a phrase any word of one token holds the prompts' places.
  const lead = words.length ? METHODS[method].lead(words, n) : Array(n).fill('x');
  const sentence = (name) => tokenizer.sentence(`${lead.join(' ')} ${spoken(name)}.`, `class "${name}"`);
  return { ids: [classes.map(sentence)], phrase: start };
}
