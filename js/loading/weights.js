/** A model's weights: which files of its folder hold them, and what lies there where none do. */
import { isWeights } from '../base/address.js';
import { MudptError } from '../base/errors.js';
import { extras } from '../base/extras.js';
import { pyTorchKind } from '../base/kinds.js';
import { absenceOf, openText, readJson } from '../files/source.js';
import { MORE_POSITIONS, isTokenTable } from './shapes.js';
import { readHeader } from './safetensors.js';

/** Transformers' and open_clip's. */
const WEIGHTS = ['model.safetensors', 'open_clip_model.safetensors'];
/** The same, where there are none of those. */
const PICKLED = ['pytorch_model.bin', 'open_clip_pytorch_model.bin'];
const INDEX = '.index.json';
/** Where sentence-transformers says which folder the model is in. */
const MODULES = 'modules.json';
const SHARD = /^(.*)-(\d{5})-of-(\d{5})\.(?:safetensors|bin)$/;
/** What else is published, which is looked for only to be named; and what lies beside weights that were trained. */
const OTHER_WEIGHTS = /\.(bin|pt|pth|ckpt|onnx|gguf|h5|msgpack|npz|tflite|pb)$/i;
const KINDS = '.safetensors, and .bin, .pt and .pth of PyTorch';
const NO_WEIGHTS = /^(?:training_args|optimizer|scheduler|scaler|rng_state)/;

/** @typedef {import('../files/source.js').Source} Source */
/** @typedef {import('../files/source.js').SourceFile} SourceFile */

/** @param {SourceFile[]} files */
export async function closeAll(files) {
  for (const file of files) await file.close();
}

/** The length of a file, which must be read for it where nobody tells. @param {SourceFile} file */
async function lengthOf(file) {
  if (file.size !== undefined) return file.size;
  let length = 0;
  for await (const piece of file.stream(0)) length += piece.length;
  return length;
}

/**
 * What a file's header says, or its pickle.
 * @param {SourceFile} file
 * @returns {Promise<import('./safetensors.js').Header>}
 */
export async function readAnyHeader(file) {
  const first = await file.read(0, 8);
  const kind = pyTorchKind(first);
  if (!kind) return joined(file, await readHeader(file, first));
  const { readPyTorch } = await extras();
  await file.allowAnyOrder?.();
  const size = await lengthOf(file);
  return joined(file, await readPyTorch((offset, length) => file.read(offset, length), file.name, size, kind));
}

/** @param {SourceFile} file @param {import('./safetensors.js').Header} header */
async function joined(file, header) {
  if (!header.tensors.some(({ name }) => name === MORE_POSITIONS)) return header;
  await file.allowAnyOrder?.();
  return (await extras()).joinPositions(file, header);
}

/**
 * Opens the file or files with the weights, and reads their headers.
 * @param {Source} source
 * @returns {Promise<Opened>}
 *
 * @typedef {{ files: SourceFile[], headers: import('./safetensors.js').Header[], folder?: Source }} Opened folder:
 *   where the rest of the model lies, where that is not the source
 */
export async function openWeights(source) {
  const { weights } = source;
  if (weights && !weights.endsWith(INDEX)) return (await openOne(source, [weights])) ?? absent(source, weights);
  if (weights) return (await openIndexed(source, weights)) ?? absent(source, weights);
  /** @type {Opened | null} */
  let first = null;
  try {
    for (const names of [WEIGHTS, PICKLED]) {
      const one = await openOne(source, names);
      if (one && hasText(one)) return one;
      if (one && first) await closeAll(one.files);
      first ??= one;
      for (const name of names) {
        const all = await openIndexed(source, name + INDEX);
        if (all) return all;
      }
    }
    const modules = first ? null : await openText(source, MODULES);
    if (modules) {
      const folder = (await extras()).moduleOf(source, modules);
      return { folder, ...(await openWeights(folder)) };
    }
    const found = first ?? (await openAll(source, await onlyWeights(source), ''));
    first = null;
    return found;
  } finally {
    if (first) await closeAll(first.files);
  }
}

/** @param {Source} source @param {string} index @returns {Promise<Opened | null>} */
async function openIndexed(source, index) {
  const document = await readJson(source, index);
  return document && openAll(source, shardsOf(source, index, document), `, which ${index} names`);
}

/** @param {Opened} opened */
const hasText = ({ headers }) => headers[0].tensors.some((tensor) => isTokenTable(tensor.name));

/**
 * The first of the files that holds both towers: timm's repositories have an image tower alone in model.safetensors,
 * beside open_clip's file with both. Else the first that is there; null where none is.
 * @param {Source} source
 * @param {string[]} names
 * @returns {Promise<Opened | null>}
 */
async function openOne(source, names) {
  /** @type {Opened | null} */
  let first = null;
  for (const name of names) {
    const file = await source.open(name);
    if (!file) continue;
    try {
      const found = { files: [file], headers: [await readAnyHeader(file)] };
      if (names.length === 1 || hasText(found)) {
        await closeAll(first?.files ?? []);
        return found;
      }
      if (first) await file.close();
      else first = found;
    } catch (error) {
      await closeAll([file, ...(first?.files ?? [])]);
      throw error;
    }
  }
  return first;
}

async function openAll(source, names, which) {
  const files = [];
  try {
    for (const name of names) {
      const file = await source.open(name);
      if (!file) throw new MudptError('file', `${source.name} ${absenceOf(source, name)}${which}`, 'download it');
      files.push(file);
    }
    const headers = [];
    for (const file of files) headers.push(await readAnyHeader(file));
    return { files, headers };
  } catch (error) {
    await closeAll(files);
    throw error;
  }
}

/** @returns {string[]} */
function shardsOf(source, index, document) {
  const names = [...new Set(Object.values(document.weight_map ?? {}))].map(String);
  if (names.length && names.every((name) => /^[\w-][\w.-]*$/.test(name) && isWeights(name))) return names;
  throw new MudptError(
    'model',
    `${source.name}: ${index} names other things than files of weights beside it`,
    'download the file again',
  );
}

/** Other names, where it is clear which: a single file, or all shards of one model. @returns {Promise<string[]>} */
async function onlyWeights(source) {
  const names = (await source.list?.()) ?? [];
  for (const isOne of [(name) => name.endsWith('.safetensors'), isWeights]) {
    const found = names.filter((name) => isOne(name) && !NO_WEIGHTS.test(name)).sort();
    const shards = found.map((name) => SHARD.exec(name));
    const isSet = shards.every((shard) => shard && shard[1] === shards[0]?.[1] && Number(shard[3]) === found.length);
    if (found.length === 1 || (found.length > 1 && isSet)) return found;
    if (!found.length) continue;
    throw new MudptError(
      'file',
      `${source.name} has no ${WEIGHTS[0]}, but ${listed(found)}`,
      'name the file with the weights itself, or add the index of the shards',
    );
  }
  return absent(source, WEIGHTS[0], names);
}

const listed = (names) => (names.length > 4 ? `${names.slice(0, 4).join(', ')} …` : names.join(' and '));

/** Fails with what is there instead. @returns {Promise<never>} */
async function absent(source, name, names = undefined) {
  const listing = names ?? (await source.list?.()) ?? [];
  const there = listing.filter((other) => OTHER_WEIGHTS.test(other) && !NO_WEIGHTS.test(other));
  const what = `${source.name} ${absenceOf(source, name)}`;
  if (there.length)
    throw new MudptError('file', `${what}, but ${listed(there)}`, `read are ${KINDS}: choose one of these`);
  const refusal = source.refusal?.(name);
  if (refusal) throw refusal;
  const hint = "give a folder in Hugging Face's layout, or name the file with the weights itself";
  throw new MudptError('file', what, source.hint ?? hint);
}

/** Those of the names that are there; for messages, so no failure is told. @returns {Promise<string[]>} */
export async function existing(source, names) {
  const found = [];
  for (const name of names) {
    const file = await source.open(name).catch(() => null);
    if (!file) continue;
    found.push(name);
    await file.close();
  }
  return found;
}
