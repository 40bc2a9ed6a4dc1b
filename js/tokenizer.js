/**
 * CLIP's tokenizer: text to ids by the model's own tokenizer.json, through the library @huggingface/tokenizers. It
 * repairs no wrongly decoded text and replaces no HTML entities, which OpenAI's original Python code does first.
 */
import { MudptError, reasonOf } from './errors.js';
import { Tokenizer } from './vendor/tokenizers.mjs';

const REMEDY = 'use the tokenizer.json that was published with the model';

export class ClipTokenizer {
  #tokenizer;
  /** @type {number[]} */
  #specials;

  /**
   * @param {object} json the content of tokenizer.json
   * @param {{ vocab: number, context: number }} limits ids that the model has, and tokens that fit a sentence
   * @param {string} [name] the file's name, for messages
   */
  constructor(json, { vocab, context }, name = 'tokenizer.json') {
    try {
      this.#tokenizer = new Tokenizer(json, {});
      this.#specials = this.#tokenizer.encode('').ids;
    } catch (cause) {
      throw new MudptError('tokenizer', `${name} cannot be used: ${reasonOf(cause)}`, REMEDY, { cause });
    }
    if (this.#specials.length !== 2) {
      const count = this.#specials.length;
      throw new MudptError('tokenizer', `${name} puts ${count} special tokens around a text, expected 2`, REMEDY);
    }
    const largest = Math.max(...this.#specials);
    if (!(largest < vocab)) {
      throw new MudptError('tokenizer', `${name} has the id ${largest}, but the model only ${vocab} ids`, REMEDY);
    }
    this.vocab = vocab;
    this.context = context;
  }

  /** Whether an id stands for a word, or the end of one, and which. @param {number} id @returns {string | null} */
  word(id) {
    const [, word = null] = /^([\p{L}\p{N}]+)<\/w>$/u.exec(this.#tokenizer.id_to_token(id) ?? '') ?? [];
    return word;
  }

  /** Ids without the start and the end. @param {string} text @returns {number[]} */
  encode(text) {
    return this.#tokenizer.encode(text, { add_special_tokens: false }).ids;
  }

  /**
   * Ids with the start and the end, at most as many as the model has rows.
   * @param {string} text
   * @param {string} owner what the sentence is for, for messages: `class "cat"`
   * @returns {number[]}
   */
  sentence(text, owner) {
    const ids = this.encode(text);
    const [start, end] = this.#specials;
    if (ids.some((id) => id === start || id === end || !(id < this.vocab))) {
      throw new MudptError(
        'tokenizer',
        `${owner} has characters that the model's tokenizer does not know: "${text}"`,
        'write it with other characters',
      );
    }
    const length = ids.length + 2;
    if (length > this.context) {
      throw new MudptError(
        'tokenizer',
        `${owner} needs ${length} tokens, the model reads at most ${this.context}`,
        'use a shorter name or template',
      );
    }
    return [start, ...ids, end];
  }

  /**
   * Ids of a phrase's words, each of which must be one token.
   * @param {string[]} words
   * @returns {number[]}
   */
  words(words) {
    return words.map((word) => {
      const ids = this.encode(word);
      if (ids.length === 1 && ids[0] < this.vocab && !this.#specials.includes(ids[0])) return ids[0];
      throw new MudptError(
        'tokenizer',
        `"${word}" of the phrase is ${ids.length} tokens, where each word must be one`,
        'use common words',
      );
    });
  }
}
