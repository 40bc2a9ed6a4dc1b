/**
 * CLIP's tokenizer: text to ids by byte-pair encoding, as the model's own tokenizer.json says. It repairs no wrongly
 * decoded text and replaces no HTML entities, which OpenAI's original Python code does first; and it refuses the files
 * of other kinds of tokenizers.
 *
 * Libraries that read every kind are larger than all else that a page loads but the WebAssembly, and take 25 MB for
 * CLIP's 49,408 tokens; here they stay as the file has them.
 */
import { MudptError, reasonOf } from '../base/errors.js';

const REMEDY = 'use the tokenizer.json that was published with the model';
/** What marks the end of a word in its last token. */
export const WORD_END = '</w>';
/** White space as Unicode has it; JavaScript's \s has U+FEFF too, and lacks U+0085. */
const SPACE = '\\p{White_Space}';
const SPACES = new RegExp(`${SPACE}+`, 'gu');

/** How files write the 256 bytes: those that are visible characters as such, the others as U+0100 and following. */
export const BYTES = (() => {
  const visible = (byte) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  let others = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(visible(byte) ? byte : 256 + others++));
})();

/** The parts of a Sequence of normalizers or pre-tokenizers, or the single one that there is. @returns {any[]} */
const partsOf = (component, list) => component?.[list] ?? (component ? [component] : []);

/** @param {string} text */
const escapeRegExp = (text) => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');

/**
 * @typedef {object} Table
 * @property {Record<string, number>} ids of tokens, as the file has them
 * @property {Map<string, number>} ranks places of pairs ("in g</w>") in the order in which they are merged
 * @property {RegExp} pieces words and others, which are encoded one by one
 * @property {Map<string, number>} added ids of tokens that stand for themselves in a text
 * @property {RegExp | null} addedPattern any of them
 * @property {number} unknown id of what has none
 * @property {number[]} specials ids that are put around a text
 */

/** @param {any} json @returns {Table} */
function readTable({ model, normalizer, pre_tokenizer: preTokenizer, post_processor: around, added_tokens: given }) {
  const isObject = (value) => value !== null && typeof value === 'object';
  if (!isObject(model?.vocab) || !Array.isArray(model.merges)) throw new Error('it has no vocabulary and merges');
  if (model.end_of_word_suffix !== WORD_END) throw new Error('it is not of the kind that CLIP has');
  const changes = partsOf(normalizer, 'normalizers').map(({ type }) => type);
  if (!changes.includes('Lowercase')) throw new Error('it does not turn text into lower case, as CLIP does');
  const split = partsOf(preTokenizer, 'pretokenizers').find(({ type }) => type === 'Split');
  if (typeof split?.pattern?.Regex !== 'string') throw new Error('it has no pattern of words');
  const ranks = new Map();
  for (const pair of model.merges) ranks.set(Array.isArray(pair) ? pair.join(' ') : String(pair), ranks.size);
  const added = new Map((given ?? []).map(({ content, id }) => [String(content), id]));
  const contents = [...added.keys()].filter(Boolean).map(escapeRegExp);
  return {
    ids: model.vocab,
    ranks,
    pieces: new RegExp(split.pattern.Regex.replaceAll('\\s', SPACE), 'gu'),
    added,
    addedPattern: contents.length ? new RegExp(`(${contents.join('|')})`, 'u') : null,
    unknown: added.get(model.unk_token) ?? Infinity, // which no model has
    specials: specialsOf(around),
  };
}

export class ClipTokenizer {
  #table;
  #isAlone;
  /** @type {Map<number, string> | undefined} by id, made when they are asked for */
  #tokens;

  /**
   * @param {any} json the content of tokenizer.json
   * @param {{ vocab: number, context: number }} limits ids that the model has, and tokens that fit a sentence
   * @param {string} [name] the file's name, for messages
   * @param {boolean} [isAlone] whether letters are made small one by one, as in transformers: Σ at a word's end, too
   */
  constructor(json, { vocab, context }, name = 'tokenizer.json', isAlone = false) {
    try {
      this.#table = readTable(json);
    } catch (cause) {
      throw new MudptError('tokenizer', `${name} cannot be used: ${reasonOf(cause)}`, REMEDY, { cause });
    }
    const { specials } = this.#table;
    if (specials.length !== 2) {
      const count = specials.length;
      throw new MudptError('tokenizer', `${name} puts ${count} special tokens around a text, expected 2`, REMEDY);
    }
    const strange = specials.find((id) => !(Number.isInteger(id) && id >= 0 && id < vocab));
    if (strange !== undefined) {
      throw new MudptError('tokenizer', `${name} has the id ${strange}, but the model only ${vocab} ids`, REMEDY);
    }
    this.#isAlone = isAlone;
    this.vocab = vocab;
    this.context = context;
    /** The id behind every text. */
    this.end = specials[1];
  }

  /** Whether an id stands for a word, or the end of one, and which. @param {number} id @returns {string | null} */
  word(id) {
    this.#tokens ??= new Map(Object.entries(this.#table.ids).map(([token, its]) => [its, token]));
    const [, word = null] = /^([\p{L}\p{N}]+)<\/w>$/u.exec(this.#tokens.get(id) ?? '') ?? [];
    return word;
  }

  /** @param {string} token @returns {number | undefined} */
  #idOf(token) {
    const { ids, added } = this.#table;
    const id = added.get(token) ?? (Object.hasOwn(ids, token) ? ids[token] : undefined);
    return Number.isInteger(id) && Number(id) >= 0 ? id : undefined;
  }

  /** Whether an id is one of the model's, and stands for text. @param {number} id */
  #isWord(id) {
    return Number.isInteger(id) && id >= 0 && id < this.vocab && !this.#table.specials.includes(id);
  }

  /** Ids without the start and the end. @param {string} text @returns {number[]} */
  encode(text) {
    const { added, addedPattern } = this.#table;
    const parts = addedPattern ? text.split(addedPattern) : [text];
    return parts.flatMap((part) => {
      const id = added.get(part);
      return id === undefined ? this.#encodePlain(part) : [id];
    });
  }

  /** Tokens of a name within a sentence. @param {string} name */
  nameLength(name) {
    return this.encode(name).length;
  }

  /** @param {string} text without added tokens */
  #encodePlain(text) {
    const { added, pieces, unknown } = this.#table;
    const letters = this.#isAlone ? text.replaceAll('Σ', 'σ') : text;
    const plain = letters.normalize('NFC').replace(SPACES, ' ').toLowerCase();
    return (plain.match(pieces) ?? []).flatMap((piece) => {
      const id = added.get(piece);
      if (id !== undefined) return [id];
      const parts = Array.from(new TextEncoder().encode(piece), (byte) => BYTES[byte]);
      parts[parts.length - 1] += WORD_END;
      return this.#merge(parts).map((token) => this.#idOf(token) ?? unknown);
    });
  }

  /** Merges pairs, the first of the list first, until none of them is left. @param {string[]} parts */
  #merge(parts) {
    const { ranks } = this.#table;
    for (;;) {
      let best = Infinity;
      for (let i = 1; i < parts.length; i++) {
        best = Math.min(best, ranks.get(`${parts[i - 1]} ${parts[i]}`) ?? Infinity);
      }
      if (best === Infinity) return parts;
      const merged = /** @type {string[]} */ ([]);
      for (let i = 0; i < parts.length; i++) {
        const isPair = i + 1 < parts.length && ranks.get(`${parts[i]} ${parts[i + 1]}`) === best;
        merged.push(isPair ? parts[i] + parts[++i] : parts[i]);
      }
      parts = merged;
    }
  }

  /**
   * Ids with the start and the end, at most as many as the model has rows.
   * @param {string} text
   * @param {string} owner what the sentence is for, for messages: `class "cat"`
   * @param {boolean} [truncate] whether what does not fit is left out, as OpenAI's code and transformers can; else it
   *   is refused. Given where a text stands for itself
   * @returns {number[]}
   */
  sentence(text, owner, truncate) {
    const ids = this.encode(text);
    const [start, end] = this.#table.specials;
    if (!ids.every((id) => this.#isWord(id))) {
      throw new MudptError(
        'tokenizer',
        `${owner} has characters that the model's tokenizer does not know: "${text}"`,
        'write it with other characters',
      );
    }
    const length = ids.length + 2;
    if (truncate) ids.length = Math.min(ids.length, this.context - 2);
    else if (length > this.context) {
      throw new MudptError(
        'tokenizer',
        `${owner} needs ${length} tokens, the model reads at most ${this.context}`,
        truncate === undefined ? 'use a shorter name or template' : 'shorten it, or have it cut: truncate',
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
      if (ids.length === 1 && this.#isWord(ids[0])) return ids[0];
      throw new MudptError(
        'tokenizer',
        `"${word}" of the phrase is ${ids.length} tokens, where each word must be one`,
        'use common words',
      );
    });
  }
}

/**
 * Ids that are put around a text, in this order.
 * @param {any} around the file's post_processor
 * @returns {number[]}
 */
function specialsOf(around) {
  if (around?.type === 'RobertaProcessing') return [around.cls?.[1], around.sep?.[1]].filter(Number.isInteger);
  if (around?.type !== 'TemplateProcessing') return [];
  const names = around.single.flatMap(({ SpecialToken: token }) => (token ? [token.id] : []));
  return names.flatMap((name) => around.special_tokens[name].ids);
}
