/** The sentences that class names stand in, as tokens: templates', and those of methods that are trained. */
import { MudptError } from '../base/errors.js';
import { MOST_TEMPLATES } from '../base/limits.js';
import { spoken } from './classes.js';
import { METHODS } from './methods.js';
import { refuse, requireShort } from './refuse.js';

/** @typedef {import('./method.js').Settings} Settings */

/** @param {string} phrase */
export const wordsOf = (phrase) => phrase.trim().split(/\s+/).filter(Boolean);

/** Every prompt starts from a word of the phrase. @param {Settings} settings whose phrase has words */
export function requireWords({ phrase, promptLength: n }) {
  const { length } = wordsOf(phrase);
  if (n <= length) return;
  throw new MudptError(
    'argument',
    `promptLength is ${n}, but the phrase "${phrase}" has only ${length} words to start from`,
    `use promptLength ${length} or less, a longer phrase, or the phrase "" for a random start`,
  );
}

/** The sentence of a class, where nothing else is asked for. */
export const DEFAULT_TEMPLATE = 'a photo of a {}.';

/**
 * Sentences from templates.
 * @param {import('../loading/tokenizer.js').ClipTokenizer} tokenizer
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
 * @param {import('../loading/tokenizer.js').ClipTokenizer} tokenizer
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
  return { ids, nameLengths: classes.map((name) => tokenizer.nameLength(spoken(name))), phrase: start };
}
