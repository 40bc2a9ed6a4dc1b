/**
 * OpenAI's vocabulary of 49,408 tokens, which all of its CLIP models share and most of others'. openai-merges.bin has
 * its 48,894 merges in their order: two numbers of 16 bits each, of tokens that were there before. Tokens are the 256
 * bytes, the same at a word's end, what each merge makes of its two, and the two marks around a text.
 */
import { MudptError, reasonOf } from '../base/errors.js';
import { nodePart } from '../base/node-part.js';
import { foreignFolder, isNode } from '../base/platform.js';
import { clipDocument } from './merges.js';
import { BYTES, WORD_END } from './tokenizer.js';

const MERGES = 48894;

/** @param {string | URL} [assetsUrl] @returns {Promise<Uint8Array>} */
async function readMerges(assetsUrl) {
  const folder = foreignFolder(import.meta.url, assetsUrl);
  const own = () => new URL('../loading/openai-merges.bin', import.meta.url); // written out, as bundlers look for it
  const url = folder ? new URL('loading/openai-merges.bin', folder) : own();
  const hint =
    'serve the files of the package beside each other, say with assetsUrl where they are, or give tokenizer.json';
  try {
    if (isNode) return await (await nodePart('platform.js')).readAsset(url);
    const response = await fetch(url);
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    throw new MudptError('environment', `${url.href} cannot be fetched: ${reasonOf(cause)}`, hint, { cause });
  }
  throw new MudptError('environment', `${url.href} cannot be fetched`, hint);
}

/** @param {string | URL} [assetsUrl] @returns {Promise<() => any>} makes it as tokenizer.json has it */
export async function openAiVocabulary(assetsUrl) {
  const bytes = await readMerges(assetsUrl);
  if (bytes.length !== 4 * MERGES) {
    const what = `openai-merges.bin has ${bytes.length} bytes, expected ${4 * MERGES}`;
    throw new MudptError('environment', what, 'serve the file of the package, or give tokenizer.json');
  }
  return () => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    // In the order of what they look like, the visible ones first.
    const letters = [...BYTES].sort((a, b) => a.charCodeAt(0) - b.charCodeAt(0));
    const tokens = [...letters, ...letters.map((letter) => letter + WORD_END)];
    const merges = Array.from({ length: MERGES }, (_, i) => {
      const pair = [0, 2].map((place) => tokens[view.getUint16(4 * i + place, true)]);
      tokens.push(pair.join(''));
      return pair.join(' ');
    });
    tokens.push('<|startoftext|>', '<|endoftext|>');
    return clipDocument(Object.fromEntries(tokens.map((token, id) => [token, id])), merges);
  };
}
