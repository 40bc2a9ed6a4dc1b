/**
 * A model's vocabulary, from whichever of its files has it: tokenizer.json, or vocab.json and merges.txt, of which
 * tokenizer.json is made here. OpenAI's own needs no file, where a model says that it has it.
 */
import { MudptError } from '../base/errors.js';
import { extras } from '../base/extras.js';
import { absenceOf, openText, parseObject, readJson } from '../files/source.js';
import { existing } from './weights.js';

/** Tokens of OpenAI's vocabulary. */
const OPENAI_TOKENS = 49408;
const BOTH = ['vocab.json', 'merges.txt'];
/** What tokenizer.json of SentencePiece have, and BERT's, and CLIP's does not. */
const PIECES = /"type"\s*:\s*"(Unigram|WordPiece)"|"byte_fallback"\s*:\s*true/;
const OTHERS = ['spiece.model', 'tokenizer.model', 'vocab.txt', 'sentencepiece.bpe.model'];

/**
 * @typedef {object} Vocabulary
 * @property {string} name of the file or files, for messages
 * @property {() => any} document as tokenizer.json has it
 * @property {(limits: { vocab: number, context: number }) => any} [make] of other kinds than CLIP's: its tokenizer
 * @property {boolean} [isAssumed] whether no file says that the model has it
 */

/**
 * @param {import('../files/source.js').Source} source
 * @param {object} model
 * @param {number} model.vocab tokens that it has
 * @param {boolean} model.isOpenAi whether its files say that its vocabulary is OpenAI's
 * @param {boolean} model.mayBe whether nothing of it says that it is another
 * @param {string} [model.clean] how open_clip's configuration says that texts are cleaned
 * @param {string | URL} [model.assetsUrl]
 * @returns {Promise<Vocabulary>}
 */
export async function readVocabulary(source, { vocab, isOpenAi, mayBe, clean, assetsUrl }) {
  const file = await openText(source, 'tokenizer.json');
  const name = `${source.name}: tokenizer.json`;
  if (file && PIECES.test(file.text)) {
    const { PieceTokenizer } = await extras();
    const config = await readJson(source, 'tokenizer_config.json');
    const document = () => parseObject(file);
    return { name, document, make: (limits) => new PieceTokenizer(document(), config, clean, limits, name) };
  }
  if (file) return { name, document: () => parseObject(file) };
  const [tokens, merges] = [await openText(source, BOTH[0]), await openText(source, BOTH[1])];
  if (tokens && merges) {
    const { fromTwo } = await extras();
    return { name: `${source.name}: ${BOTH.join(' and ')}`, document: () => fromTwo(tokens, merges.text) };
  }
  const isKnown = vocab === OPENAI_TOKENS && (isOpenAi || mayBe) && !tokens && !merges;
  const others = await existing(source, OTHERS);
  if (isKnown && !others.length) {
    const { openAiVocabulary } = await extras();
    const document = await openAiVocabulary(assetsUrl);
    return { name: 'OpenAI’s vocabulary', document, isAssumed: !isOpenAi };
  }
  const there = [...BOTH.filter((_, i) => [tokens, merges][i]), ...others];
  const what = `there is no tokenizer.json beside the weights: ${source.name} ${absenceOf(source, 'tokenizer.json')}`;
  const hint = there.length
    ? 'transformers makes it: AutoTokenizer.from_pretrained(folder).save_pretrained(folder)'
    : "put the one that was published with the model there; all of OpenAI's CLIP models share one";
  throw new MudptError('tokenizer', there.length ? `${what}, but ${there.join(' and ')}` : what, hint);
}
