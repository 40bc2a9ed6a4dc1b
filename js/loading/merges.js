/** What tokenizer.json of CLIP's kind has, made of tokens and merges. */
import { MudptError } from '../base/errors.js';
import { parseObject } from '../files/source.js';

const [START, END] = ['<|startoftext|>', '<|endoftext|>'];
/** What CLIP takes for words, in OpenAI's code and in everything that follows it. */
const WORDS = `<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+`;
/**
 * The tokenizer.json of a CLIP.
 * @param {Record<string, number>} vocab
 * @param {string[]} merges "in g</w>"
 */
export function clipDocument(vocab, merges) {
  const special = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const normalizers = [{ type: 'NFC' }, { type: 'Replace', pattern: { Regex: '\\s+' }, content: ' ' }];
  const split = { type: 'Split', pattern: { Regex: WORDS }, behavior: 'Removed', invert: true };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [START, END].map((content) => ({ id: vocab[content], content, ...special })),
    normalizer: { type: 'Sequence', normalizers: [...normalizers, { type: 'Lowercase' }] },
    pre_tokenizer: { type: 'Sequence', pretokenizers: [split, bytes] },
    post_processor: {
      ...{ type: 'RobertaProcessing', sep: [END, vocab[END]], cls: [START, vocab[START]] },
      ...{ trim_offsets: false, add_prefix_space: false },
    },
    decoder: { ...bytes, add_prefix_space: true },
    model: {
      ...{ type: 'BPE', dropout: null, unk_token: END, continuing_subword_prefix: '', end_of_word_suffix: '</w>' },
      ...{ fuse_unk: false, byte_fallback: false, ignore_merges: false, vocab, merges },
    },
  };
}

/**
 * The same of the two files that some models have instead.
 * @param {{ name: string, text: string }} tokens
 * @param {string} merges
 */
export function fromTwo(tokens, merges) {
  const vocab = parseObject(tokens);
  const lines = merges.split(/\r?\n/).filter((line) => line && !line.startsWith('#version'));
  const isPair = (line) => line.split(' ').length === 2;
  if ([START, END].every((token) => Object.hasOwn(vocab, token)) && lines.every(isPair))
    return clipDocument(vocab, lines);
  const what = `${tokens.name}: has no ${START} and ${END}, or merges.txt other lines than pairs`;
  throw new MudptError('tokenizer', `${what}: it is not of the kind that CLIP has`, 'give a tokenizer.json beside it');
}
