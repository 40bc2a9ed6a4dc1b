/**
 * The methods as one table: what each trains, its defaults, which options and sizes it has, and what its sentences
 * begin with. The mathematics are the library's (src/methods); adding a method is a row here and a file there.
 */
import { MudptError } from './errors.js';
import { LONGEST_NAME, MOST_CLASSES, MOST_TEMPLATES } from './limits.js';

/**
 * @typedef {object} Settings what a training run is asked for; tune() in index.d.ts says what each means
 * @property {number} promptLength
 * @property {number} [depth] Infinity in the table stands for all layers
 * @property {string} phrase
 * @property {'end' | 'middle' | 'front'} [classPosition]
 * @property {boolean} [classSpecific]
 * @property {'linear' | 'transformer'} [injection]
 * @property {boolean} [layer0Fusion]
 * @property {number} shots
 * @property {number} epochs
 * @property {number} batchSize
 * @property {number} learningRate
 * @property {boolean} augment
 * @property {number} smallestCrop
 * @property {number} seed
 *
 * @typedef {Omit<import('./core.js').ClipConfig, 'mean' | 'std'>} ClipConfig sizes of a model
 *
 * @typedef {object} MethodRow
 * @property {string} title
 * @property {string} trains one line: what is learned
 * @property {string} from where the method, and where its defaults come from
 * @property {Readonly<Settings>} [defaults] its options are these and no others; absent: nothing is trained
 * @property {(shots: number) => number} [epochsFor] default epochs, where they depend on the shots
 * @property {boolean} textPrompts whether words of its sentences are learned
 * @property {boolean} [perPicture] whether every picture has text prompts of its own
 * @property {(settings: Settings, model: ClipConfig) => Partial<import('./core.js').Method>} sizes as the library takes
 *   them; `method` where the library has another name
 * @property {(words: string[], n: number) => string[]} lead the phrase's words in a sentence, prompts included
 */

/** The deeper tower's number of layers. @param {ClipConfig} model */
const allLayers = (model) => Math.max(model.textLayers, model.visionLayers);

/** What MuDPT's paper states. */
const MUDPT = Object.freeze({
  promptLength: 4,
  depth: Infinity,
  phrase: 'a photo of a',
  shots: 16,
  epochs: 10,
  batchSize: 4,
  learningRate: 2.5e-3,
  augment: true,
  smallestCrop: 0.08,
  seed: 1,
});
/** CoOp and CoCoOp have prompts in the first layer only. */
const { depth: _, ...FIRST_LAYER } = MUDPT;

const CLASS_POSITIONS = ['end', 'middle', 'front'];
const INJECTIONS = ['linear', 'transformer'];

/** The same prompts' sizes on both sides. */
const bothSides = ({ promptLength: n, depth = 1 }) => ({
  ...{ textLength: n, textDepth: depth },
  ...{ visualLength: n, visualDepth: depth },
});
/** The sentence holds the prompts and the name: words of the phrase that start no prompt are dropped. */
const promptWords = (words, n) => words.slice(0, n);

/** @type {Record<string, MethodRow>} */
export const METHODS = {
  zeroshot: {
    title: 'zero-shot CLIP',
    trains: 'nothing: class names in one sentence, or the mean over several',
    from: 'Radford et al., ICML 2021',
    textPrompts: false,
    sizes: () => ({}),
    lead: () => [],
  },
  coop: {
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
  },
  cocoop: {
    title: 'CoCoOp',
    trains: 'context words and a small network that shifts them for every picture',
    from: 'Zhou et al., CVPR 2022',
    defaults: { ...FIRST_LAYER, batchSize: 1, learningRate: 2e-3 },
    textPrompts: true,
    perPicture: true,
    sizes: ({ promptLength }) => ({ textLength: promptLength, textDepth: 1 }),
    lead: promptWords,
  },
  vpt: {
    title: 'VPT',
    trains: 'image prompts in every layer (deep), or in the first (shallow: depth 1)',
    // Jia et al. tune supervised ViTs and search length, rate and epochs anew for every data set.
    from: "Jia et al., ECCV 2022; on CLIP as in MaPLe's and MuDPT's code (8 tokens, 12 layers, 5 epochs)",
    defaults: { ...MUDPT, promptLength: 8, epochs: 5 },
    textPrompts: false,
    // Prompts of a layer that the tower does not have would do nothing.
    sizes: ({ promptLength, depth = 1 }, model) => ({
      visualLength: promptLength,
      visualDepth: Math.min(depth, model.visionLayers),
    }),
    lead: (words) => words,
  },
  ivlp: {
    title: 'IVLP',
    trains: 'prompts in both towers, independent of each other',
    // MaPLe's code has the rate 3.5e-3 for its own IVLP, otherwise the same.
    from: "Khattak et al., CVPR 2023; as MPT in MuDPT's code (2 tokens, 12 layers, 5 epochs)",
    defaults: { ...MUDPT, promptLength: 2, epochs: 5 },
    textPrompts: true,
    sizes: ({ promptLength: n, depth = 1 }, model) => ({
      textLength: n,
      textDepth: Math.min(depth, model.textLayers),
      visualLength: n,
      visualDepth: Math.min(depth, model.visionLayers),
    }),
    lead: (words) => words,
  },
  mudpt: {
    title: 'MuDPT',
    trains: 'prompts in both towers and the network that injects each side into the other',
    from: 'Miao et al., ICME 2023; linear injection as in its code',
    defaults: { ...MUDPT, injection: 'linear', layer0Fusion: true },
    textPrompts: true,
    sizes: ({ layer0Fusion, injection, ...settings }) =>
      injection === 'transformer'
        ? { method: 'uumudpt', ...bothSides(settings) }
        : { ...bothSides(settings), layer0Fusion },
    lead: promptWords,
  },
  umudpt: {
    title: 'UMuDPT',
    trains: 'text prompts, and a light transformer that makes the image prompts of them',
    from: "Miao et al., ICME 2023, text to vision only; the paper's settings for MuDPT",
    defaults: MUDPT,
    textPrompts: true,
    sizes: bothSides,
    lead: promptWords,
  },
};

/** Pixels a side of the pictures that the papers' crops were chosen for. */
const PAPER_IMAGE = 224;
/** Share of the area; a larger one would leave crops little to vary. */
const LARGEST_SMALLEST_CROP = 0.5;

/**
 * What carries a paper's settings over to a model whose pictures have another size: the smallest crop keeps its number
 * of pixels, as far as that leaves something to crop. On pictures of 224 pixels nothing changes. The learning rate
 * needs no change for another logit scale; docs/presets.md has what was measured.
 * @param {Settings} paper
 * @param {ClipConfig} model
 */
const carryOver = ({ smallestCrop }, { image }) => ({
  smallestCrop: Math.min(LARGEST_SMALLEST_CROP, smallestCrop * Math.max(1, PAPER_IMAGE / image) ** 2),
});

/**
 * Settings by name, on top of a method's own.
 * @type {Record<string, { about: string, settings: (paper: Settings, model: ClipConfig) => Partial<Settings> }>}
 */
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

/** Names of the methods that train something. */
export const TRAINABLE = Object.keys(METHODS).filter((name) => METHODS[name].defaults);

/** A method's defaults; for one that trains nothing there are none. @param {string} method @returns {Settings} */
const defaultsOf = (method) => /** @type {Settings} */ (METHODS[method].defaults);

/** What a setting may be: a test, and how it is said. */
const whole = (low, high) => ({
  allows: (value) => (Number.isInteger(value) || value === Infinity) && value >= low && value <= high,
  expected: high === Infinity ? `a whole number from ${low}, or Infinity` : `a whole number from ${low} to ${high}`,
});
const upTo = (most) => ({
  allows: (value) => typeof value === 'number' && value > 0 && value <= most,
  expected: `a number above 0, at most ${most}`,
});
const oneOf = (values) => ({ allows: (value) => values.includes(value), expected: values.join(' or ') });
const yesNo = { allows: (value) => typeof value === 'boolean', expected: 'true or false' };
const text = { allows: (value) => typeof value === 'string', expected: 'text' };

const CHECKS = {
  promptLength: whole(1, 1024),
  depth: whole(1, 128),
  phrase: text,
  classPosition: oneOf(CLASS_POSITIONS),
  classSpecific: yesNo,
  injection: oneOf(INJECTIONS),
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

/** What tune() is given beside a method's settings. */
const RUN_OPTIONS = [
  ...['classes', 'examples', 'method', 'validation', 'resume'],
  ...['recompute', 'memoryLimit', 'onBroken', 'transfer', 'signal'],
];

/** Whether a method takes an option. @param {string} method @param {string} key */
export const hasOption = (method, key) =>
  TRAINABLE.includes(method) && (key === 'preset' || Object.hasOwn(defaultsOf(method), key));

/**
 * Refuses an option that a method does not have.
 * @param {string} method
 * @param {string} key of Settings, or anything else
 * @param {string} [name] of the option, as the user wrote it
 */
export function checkOption(method, key, name = key) {
  if (hasOption(method, key)) return;
  const having = TRAINABLE.filter((other) => hasOption(other, key));
  if (having.length) {
    throw new MudptError('argument', `${name} is no option of ${method}`, `methods that have it: ${having.join(', ')}`);
  }
  const valid = `settings of ${method} are ${['preset', ...Object.keys(defaultsOf(method))].join(', ')}`;
  throw new MudptError(
    'argument',
    `there is no option "${key}"`,
    `${valid}; tune() also has ${RUN_OPTIONS.join(', ')}`,
  );
}

const wordsOf = (phrase) => phrase.trim().split(/\s+/).filter(Boolean);

/** Every prompt starts from a word of the phrase. @param {Settings} settings whose phrase has words */
function requireWords({ phrase, promptLength: n }) {
  const { length } = wordsOf(phrase);
  if (n <= length) return;
  throw new MudptError(
    'argument',
    `promptLength is ${n}, but the phrase "${phrase}" has only ${length} words to start from`,
    `use promptLength ${length} or less, a longer phrase, or the phrase "" for a random start`,
  );
}

/**
 * Fills in a method's defaults, or a preset's, and checks every value.
 * @param {Record<string, unknown>} options as given by the user; undefined stands for the default
 * @param {ClipConfig} model
 * @returns {{ method: string, settings: Settings }}
 */
export function resolveSettings({ method = 'mudpt', preset = 'paper', ...options }, model) {
  if (typeof method !== 'string' || !TRAINABLE.includes(method)) refuse('method', method, TRAINABLE.join(' or '));
  if (typeof preset !== 'string' || !Object.hasOwn(PRESETS, preset))
    refuse('preset', preset, Object.keys(PRESETS).join(' or '));
  const { epochsFor, textPrompts } = METHODS[method];
  const paper = defaultsOf(method);
  const settings = { ...paper, ...PRESETS[preset].settings(paper, model) };
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined) continue;
    checkOption(method, key);
    if (!CHECKS[key].allows(value)) refuse(key, value, CHECKS[key].expected);
    settings[key] = value;
  }
  if (settings.depth === Infinity) settings.depth = allLayers(model);
  if (epochsFor && preset === 'paper' && options.epochs === undefined) settings.epochs = epochsFor(settings.shots);
  // As in CoOp's code: a phrase that is given says how many prompts there are.
  const words = textPrompts ? wordsOf(settings.phrase).length : 0;
  if (words && options.promptLength === undefined) settings.promptLength = Math.min(settings.promptLength, words);
  if (words) requireWords(settings);
  if (settings.injection === 'transformer') {
    if (options.layer0Fusion !== undefined) {
      throw new MudptError('argument', 'layer0Fusion is no option of transformer injection', 'leave out one of them');
    }
    delete settings.layer0Fusion;
  }
  return { method, settings };
}

/** Longer texts would keep the tokenizer busy for long, only to have too many tokens. */
function requireShort(what, text) {
  if (text.length > LONGEST_NAME) refuse(what, `${text.slice(0, 40)}…`, `at most ${LONGEST_NAME} characters`);
}

/** @param {unknown} classes @returns {string[]} */
export function checkClasses(classes) {
  if (!Array.isArray(classes)) refuse('classes', classes, 'an array of class names');
  if (!classes.length) throw new MudptError('argument', 'there are no classes, expected at least one name');
  if (classes.length > MOST_CLASSES)
    throw new MudptError('argument', `there are ${classes.length} classes, expected at most ${MOST_CLASSES}`);
  for (const name of classes) {
    if (typeof name !== 'string' || !name.trim()) refuse('a class name', name, 'text that is not empty');
    requireShort('a class name', name);
  }
  return [...classes];
}

/**
 * The very same name twice is two classes, which their places tell apart; names that differ in case are by what is
 * written. Names that look alike and are not (spaces, the form of accents) are a slip: the model would read one name.
 * @param {string[]} classes
 * @param {number} [from] those before it are no concern
 */
export function requireDistinct(classes, from = 0) {
  const seen = new Map();
  for (const [i, name] of classes.entries()) {
    const looks = spoken(name).normalize().trim().replace(/\s+/g, ' ');
    const first = seen.get(looks) ?? i;
    seen.set(looks, first);
    if (i < from || classes[first] === name) continue;
    const both = [classes[first], name].map((each) => JSON.stringify(each)).join(' and ');
    throw new MudptError(
      'argument',
      `classes ${first} and ${i}, ${both}, are one name to the model`,
      'rename one, or write both alike: then their places tell them apart',
    );
  }
}

/** The sentence of a class, where nothing else is asked for. */
export const DEFAULT_TEMPLATE = 'a photo of a {}.';

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
    requireShort('a template', template);
  }
  if (templates.length > MOST_TEMPLATES)
    throw new MudptError('argument', `there are ${templates.length} templates, expected at most ${MOST_TEMPLATES}`);
  return templates.map((template) =>
    classes.map((name) => tokenizer.sentence(template.split('{}').join(spoken(name)), `class "${name}"`)),
  );
}

/**
 * Sentences of a method that is trained: `phrase name.`, whose first promptLength words give way to text prompts.
 * @param {import('./tokenizer.js').ClipTokenizer} tokenizer
 * @param {string[]} classes
 * @param {string} method
 * @param {Settings} settings
 * @returns {{ ids: number[][][], nameLengths?: number[], phrase: number[] | null }} nameLengths: tokens of each name,
 *   where the method moves it; phrase: what the prompts start from, null: random
 */
export function promptSentences(tokenizer, classes, method, settings) {
  const { phrase, promptLength, classPosition = 'end' } = settings;
  const { textPrompts, lead } = METHODS[method];
  requireShort('phrase', phrase);
  const words = wordsOf(phrase);
  const n = textPrompts ? promptLength : 0;
  if (n && words.length) requireWords(settings);
  const start = n && words.length ? tokenizer.words(words) : null;
  // Without a phrase any word of one token holds the prompts' places.
  const first = words.length ? lead(words, n) : Array(n).fill('x');
  const sentence = (name) => tokenizer.sentence(`${[...first, spoken(name)].join(' ')}.`, `class "${name}"`);
  const ids = [classes.map(sentence)];
  if (classPosition === 'end') return { ids, phrase: start };
  return { ids, nameLengths: classes.map((name) => tokenizer.encode(spoken(name)).length), phrase: start };
}

/**
 * How many values a method trains on a model; class-specific context has as many for every further class.
 * @param {import('./classifier.js').Model} model
 * @param {string} method
 * @param {Settings} settings
 * @returns {number | null} null where the model's sentences have no room for so many prompts
 */
export function countTrained({ core, clip, config }, method, settings) {
  const sizes = { method, ...METHODS[method].sizes(settings, config) };
  // The words do not matter: start, prompts, end.
  const sentence = new Int32Array((sizes.textLength ?? 0) + 2);
  if (sentence.length > config.context) return null;
  const handle = core.classifierCreate(clip, sizes, { ids: [[sentence]], nameLengths: [0] });
  try {
    return core.classifierParameters(handle).reduce((sum, { count }) => sum + count, 0);
  } finally {
    core.classifierFree(handle);
  }
}
