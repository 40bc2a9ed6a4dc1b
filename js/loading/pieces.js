/**
 * SentencePiece tokenizers, as SigLIP (Unigram, T5's kind) and SigLIP 2 (byte pairs, Gemma's kind) have them, read
 * from tokenizer.json by @huggingface/tokenizers. Texts are cleaned first, as the model's files say that they were in
 * training.
 */
import { MudptError, reasonOf } from '../base/errors.js';
import { PrecompiledNormalizer, SequenceNormalizer, Tokenizer } from '../vendor/tokenizers.mjs';
import { charsmap } from './charsmap.js';

/** What Python's str.split and \s take for white space. */
const WHITE = /[\p{White_Space}\x1c-\x1f]+/gu;
const PUNCTUATION = /[!-/:-@[-`{-~]/g;

/** Small letters as transformers' fast tokenizers have them, of each character by itself. @param {string} text */
const lowerEach = (text) => Array.from(text, (letter) => letter.toLowerCase()).join('');

/** @param {string} text */
const collapsed = (text) => text.replace(WHITE, ' ').replace(/^ | $/g, '');

/**
 * By their names: open_clip's `clean`, and what tokenizers of transformers do by themselves.
 * @type {Record<string, (text: string) => string>}
 */
const CLEAN = {
  canonicalize: (text) => collapsed(text.replaceAll('_', ' ').replace(PUNCTUATION, '').toLowerCase()),
  lower: (text) => collapsed(text.toLowerCase()),
  whitespace: collapsed,
  SiglipTokenizer: (text) => collapsed(text.toLowerCase().replace(PUNCTUATION, '')),
  Siglip2Tokenizer: lowerEach,
  GemmaTokenizer: lowerEach, // SigLIP 2 was trained on small letters
};
const FAST = /Fast$/;

/** @typedef {{ vocab: number, context: number }} Limits */

export class PieceTokenizer {
  #name;
  #tokenizer;
  #clean;
  #json;
  /** Ids in front of a text, and behind it. @type {number[][]} */
  #around;
  /** @type {Set<number>} ids that stand for no text */
  #specials;
  /** @type {Map<number, string> | undefined} */
  #words;

  /**
   * @param {any} json the content of tokenizer.json
   * @param {any} config that of tokenizer_config.json, or null
   * @param {string | undefined} clean how open_clip's configuration says that texts are cleaned
   * @param {Limits} limits
   * @param {string} name of the file, for messages
   */
  constructor(json, config, clean, { vocab, context }, name) {
    this.#name = name;
    if (json?.model?.type === 'WordPiece') {
      const hint = "load the image tower alone, for classifiers that were saved and for features: towers: 'image'";
      throw new MudptError('tokenizer', `${name} is of WordPiece, BERT's kind, which is not read`, hint);
    }
    const kind = clean ?? String(config?.tokenizer_class).replace(FAST, '');
    if (clean !== undefined && !Object.hasOwn(CLEAN, clean)) throw this.#bad(`texts are cleaned by "${clean}"`);
    this.#clean = Object.hasOwn(CLEAN, kind) ? CLEAN[kind] : (/** @type {string} */ text) => text;
    this.#json = json;
    try {
      this.#tokenizer = new Tokenizer(json, config ?? {});
      replaceTables(this.#tokenizer.normalizer);
      this.#around = aroundOf(json, config);
      const added = Array.isArray(json.added_tokens) ? json.added_tokens : [];
      const specials = added.filter(({ special }) => special).map(({ id }) => id);
      this.#specials = new Set([...this.#around.flat(), ...specials]);
      this.#specials.delete(unknownOf(json));
    } catch (cause) {
      throw this.#bad(reasonOf(cause), { cause });
    }
    const strange = this.#around.flat().find((id) => !(Number.isInteger(id) && id >= 0 && id < vocab));
    if (strange !== undefined) throw this.#bad(`it has the id ${strange}, but the model only ${vocab} ids`);
    this.vocab = vocab;
    this.context = context;
    /** The id in front of every text; undefined where there is none. @type {number | undefined} */
    this.start = this.#around[0][0];
    /** The id behind every text; undefined where there is none. @type {number | undefined} */
    this.end = this.#around[1].at(-1);
  }

  /** @param {string} what @param {{ cause?: unknown }} [options] */
  #bad(what, options) {
    const hint = 'use the tokenizer.json that was published with the model';
    return new MudptError('tokenizer', `${this.#name} cannot be used: ${what}`, hint, options);
  }

  /** Whether an id stands for a word, and which. @param {number} id @returns {string | null} */
  word(id) {
    this.#words ??= new Map(
      tokensOf(this.#json).flatMap(([token, its]) => {
        const [, word] = /^\u2581([\p{L}\p{N}]+)$/u.exec(token) ?? [];
        return word ? [[its, word]] : [];
      }),
    );
    return this.#words.get(id) ?? null;
  }

  /** Ids without what is put around them. @param {string} text @returns {number[]} */
  encode(text) {
    const plain = this.#clean(text);
    try {
      return plain ? this.#tokenizer.encode(plain, { add_special_tokens: false }).ids : [];
    } catch (cause) {
      throw this.#bad(reasonOf(cause), { cause });
    }
  }

  /** Tokens of a name within a sentence, where it begins with a space. @param {string} name */
  nameLength(name) {
    return this.encode(`x ${name}`).length - this.encode('x').length;
  }

  /**
   * As ClipTokenizer's.
   * @param {string} text
   * @param {string} owner
   * @param {boolean} [truncate]
   */
  sentence(text, owner, truncate = false) {
    const ids = this.encode(text);
    const [before, after] = this.#around;
    const room = this.context - before.length - after.length;
    if (!ids.every((id) => Number.isInteger(id) && id >= 0 && id < this.vocab && !this.#specials.has(id))) {
      const what = `${owner} has characters that the model's tokenizer does not know: "${text}"`;
      throw new MudptError('tokenizer', what, 'write it with other characters');
    }
    if (truncate) ids.length = Math.min(ids.length, room);
    if (ids.length <= room) return [...before, ...ids, ...after];
    const what = `${owner} needs ${ids.length + this.context - room} tokens, the model reads at most ${this.context}`;
    throw new MudptError('tokenizer', what, 'use a shorter name or template');
  }

  /** Ids of a phrase's words, each of which must be one token where it stands. @param {string[]} words */
  words(words) {
    const ids = this.encode(words.join(' '));
    words.forEach((word, i) => {
      const count = this.encode(words.slice(0, i + 1).join(' ')).length;
      if (count === i + 1) return;
      const what = `"${word}" of the phrase is ${count - i} tokens, where each word must be one`;
      throw new MudptError('tokenizer', what, 'use common words');
    });
    return ids;
  }
}

/** The library replaces characters by Unicode's rules and not by the file's table. @param {any} normalizer */
function replaceTables(normalizer) {
  if (normalizer instanceof SequenceNormalizer) normalizer.normalizers.forEach(replaceTables);
  if (normalizer instanceof PrecompiledNormalizer && normalizer.charsmap)
    normalizer.normalize = charsmap(normalizer.charsmap);
}

/** @param {any} json @returns {[string, number][]} */
function tokensOf({ model }) {
  return Array.isArray(model.vocab) ? model.vocab.map(([token], id) => [token, id]) : Object.entries(model.vocab);
}

/** @param {any} json */
function unknownOf({ model }) {
  return model.unk_id ?? model.vocab[model.unk_token];
}

/**
 * Ids in front of a text and behind it: as the file's template says, or where transformers' configuration does.
 * @param {any} json
 * @param {any} config
 */
function aroundOf(json, config) {
  const around = /** @type {number[][]} */ ([[], []]);
  const template = json.post_processor?.type === 'TemplateProcessing' ? json.post_processor : null;
  let side = 0;
  for (const part of template?.single ?? []) {
    if (part.Sequence) side = 1;
    else around[side].push(...template.special_tokens[part.SpecialToken.id].ids);
  }
  const idOf = (token) => (json.added_tokens ?? []).find(({ content }) => content === (token?.content ?? token))?.id;
  for (const [i, flag, token] of [
    [0, config?.add_bos_token, config?.bos_token],
    [1, config?.add_eos_token, config?.eos_token],
  ]) {
    if (flag === false) around[i] = [];
    else if (flag === true && !around[i].length && idOf(token) !== undefined) around[i] = [idOf(token)];
  }
  return around;
}
