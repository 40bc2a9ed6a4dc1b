/** The small models of tests/golden/configurations, as folders: their files, weights and a tokenizer. */
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { writeSafetensors } from '../../js/loading/safetensors.js';
import { GOLDEN } from './models.js';

const FOLDER = path.join(GOLDEN, 'configurations');

/** @param {string} name of a file there */
export const golden = (name) => JSON.parse(readFileSync(path.join(FOLDER, `${name}.json`), 'utf8'));

/** Values of tensor number t, as tests/reference/configurations.py makes them. */
function filled(shape, factor, offset, t) {
  const count = shape.reduce((product, side) => product * side, 1);
  return Float32Array.from({ length: count }, (_, i) => {
    let x = (Math.imul(i, 1103515245) + t * 69069 + 12345) >>> 0;
    x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d) >>> 0;
    x ^= x >>> 12;
    return (((x & 255) - 128) / 128) * factor + offset;
  });
}

/** @returns {{ name: string, dtype: string, shape: number[], data: Float32Array }[]} */
export const tensorsOf = (document) =>
  document.tensors.map(([name, shape, factor, offset, t]) => ({
    ...{ name, dtype: 'F32', shape },
    data: filled(shape, factor, offset, t),
  }));

/** Enough for every sentence that a method asks for, where each letter is a token. */
const LONG = 48;

/**
 * The same model with longer sentences and two text layers, which some methods need: further positions and layers are
 * filled as the others.
 */
export function longer(document) {
  const changed = structuredClone(document);
  const { 'config.json': config, 'open_clip_config.json': openClip } = changed.files;
  const text = config ? config.text_config : openClip.model_cfg.text_cfg;
  text[config ? 'max_position_embeddings' : 'context_length'] = LONG;
  text[config ? 'num_hidden_layers' : 'layers'] = 2;
  const layer = /^(text_model\.encoder\.layers|(?:text\.)?transformer\.resblocks)\.0\./;
  const names = changed.tensors.map(([name]) => name);
  for (const tensor of [...changed.tensors]) {
    const [name, shape, ...filling] = tensor;
    if (/^(text\.)?positional_embedding$|^text_model.*position_embedding/.test(name)) shape[0] = LONG;
    const second = name.replace(layer, '$1.1.');
    if (!names.includes(second)) changed.tensors.push([second, shape, ...filling]);
  }
  return changed;
}

/** 38 letters and signs, and the two tokens around every text. */
function tokenizer() {
  const tokens = [...'abcdefghijklmnopqrstuvwxyz012345678-.,'].map((letter) => `${letter}</w>`);
  return {
    model: {
      ...{ type: 'BPE', merges: [], end_of_word_suffix: '</w>' },
      vocab: Object.fromEntries([...tokens, '<start>', '<end>'].map((token, id) => [token, id])),
    },
    normalizer: { type: 'Lowercase' },
    pre_tokenizer: { type: 'Split', pattern: { Regex: '\\S' } },
    post_processor: { type: 'RobertaProcessing', cls: ['<start>', 38], sep: ['<end>', 39] },
    added_tokens: [
      { id: 38, content: '<start>' },
      { id: 39, content: '<end>' },
    ],
  };
}

/** The same letters, and a token behind every text alone: SentencePiece's kind. */
function pieces() {
  const letters = ['<pad>', '</s>', '<unk>', ...'abcdefghijklmnopqrstuvwxyz01234567,-.'];
  return {
    model: { type: 'Unigram', unk_id: 2, vocab: letters.map((letter) => [letter, letter.length > 1 ? 0 : -1]) },
    normalizer: { type: 'Replace', pattern: { String: ' ' }, content: '' },
    ...{ pre_tokenizer: null, decoder: null },
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ Sequence: { id: 'A' } }, { SpecialToken: { id: '</s>' } }],
      special_tokens: { '</s>': { ids: [1] } },
    },
    added_tokens: letters.slice(0, 3).map((content, id) => ({ content, id, special: true })),
  };
}

/**
 * Makes the folder of a model.
 * @param {string} folder
 * @param {any} document of golden()
 * @param {object} [changes]
 * @param {(files: Record<string, any>) => void} [changes.edit] of its small files
 * @param {(tensors: ReturnType<typeof tensorsOf>) => any[]} [changes.weights]
 * @param {string} [changes.name] of the weights' file
 */
export async function makeSmall(folder, document, { edit, weights = (list) => list, name = document.weights } = {}) {
  const vocabulary = document.ids.at(-1) === 1 ? pieces() : tokenizer();
  const files = structuredClone({ ...document.files, 'tokenizer.json': vocabulary });
  edit?.(files);
  await mkdir(folder, { recursive: true });
  for (const [file, content] of Object.entries(files))
    if (content) await writeFile(path.join(folder, file), JSON.stringify(content));
  await writeFile(path.join(folder, name), writeSafetensors(weights(tensorsOf(document))));
  return folder;
}

/** Features of the case's picture and sentence. */
export function featuresOf({ core, clip }, { ids, picture, size }) {
  const image = core.imageFromPixels(Uint8Array.from(picture), size, size, 3);
  const pixels = core.clipTestPixels(clip, image);
  core.imageFree(image);
  const classifier = core.classifierCreate(clip, { method: 'zeroshot' }, { ids: [[ids, ids]] });
  const text = core.classifierTextFeatures(classifier);
  return { image: core.classifierLogits(classifier, pixels).features, text: text.slice(0, text.length / 2) };
}
