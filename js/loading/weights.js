/** A model's weights: which files of its folder hold them, and what lies there where none do. */
import { MudptError } from '../base/errors.js';
import { absenceOf, readJson } from '../files/source.js';
import { isTokenTable } from './configuration.js';
import { readHeader } from './safetensors.js';

/** Transformers' and open_clip's. */
const WEIGHTS = ['model.safetensors', 'open_clip_model.safetensors'];
const INDEX = '.index.json';
const SHARD = /^(.*)-(\d{5})-of-(\d{5})\.safetensors$/;
/** What else is published, which is looked for only to be named. */
const OTHERS = ['pytorch_model.bin', 'open_clip_pytorch_model.bin'];
const OTHER_WEIGHTS = /\.(bin|pt|pth|ckpt|onnx|gguf|h5|msgpack|npz|tflite|pb)$/i;
const PICKLED = /\.(bin|pt|pth|ckpt)$/i;

/** @typedef {import('../files/source.js').Source} Source */
/** @typedef {import('../files/source.js').SourceFile} SourceFile */

/** @param {SourceFile[]} files */
export async function closeAll(files) {
  for (const file of files) await file.close();
}

/**
 * Opens the file or files with the weights, and reads their headers.
 * @param {Source} source
 * @returns {Promise<{ files: SourceFile[], headers: import('./safetensors.js').Header[] }>}
 */
export async function openWeights(source) {
  const { weights } = source;
  if (weights && !weights.endsWith(INDEX)) return (await openOne(source, [weights])) ?? absent(source, weights);
  const one = weights ? null : await openOne(source, WEIGHTS);
  if (one) return one;
  for (const index of weights ? [weights] : WEIGHTS.map((name) => name + INDEX)) {
    const document = await readJson(source, index);
    if (document) return openAll(source, shardsOf(source, index, document), `, which ${index} names`);
  }
  return openAll(source, await onlyWeights(source), '');
}

/**
 * The first of the files that holds both towers: timm's repositories have an image tower alone in model.safetensors,
 * beside open_clip's file with both. Else the first that is there; null where none is.
 */
async function openOne(source, names) {
  /** @type {{ files: SourceFile[], headers: import('./safetensors.js').Header[] } | null} */
  let first = null;
  for (const name of names) {
    const file = await source.open(name);
    if (!file) continue;
    try {
      const found = { files: [file], headers: [await readHeader(file)] };
      if (names.length === 1 || found.headers[0].tensors.some((tensor) => isTokenTable(tensor.name))) {
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
    for (const file of files) headers.push(await readHeader(file));
    return { files, headers };
  } catch (error) {
    await closeAll(files);
    throw error;
  }
}

/** @returns {string[]} */
function shardsOf(source, index, document) {
  const names = [...new Set(Object.values(document.weight_map ?? {}))].map(String);
  if (names.length && names.every((name) => /^[\w-][\w.-]*\.safetensors$/.test(name))) return names;
  throw new MudptError(
    'model',
    `${source.name}: ${index} names other things than .safetensors files beside it`,
    'download the file again',
  );
}

/** Other names, where it is clear which: a single file, or all shards of one model. @returns {Promise<string[]>} */
async function onlyWeights(source) {
  const names = (await source.list?.()) ?? [];
  const found = names.filter((name) => name.endsWith('.safetensors')).sort();
  const shards = found.map((name) => SHARD.exec(name));
  const isSet = shards.every((shard) => shard && shard[1] === shards[0]?.[1] && Number(shard[3]) === found.length);
  if (found.length === 1 || (found.length > 1 && isSet)) return found;
  if (!found.length) return absent(source, WEIGHTS[0], names);
  throw new MudptError(
    'file',
    `${source.name} has no ${WEIGHTS[0]}, but ${listed(found)}`,
    'name the .safetensors file itself, or add the index of the shards',
  );
}

const listed = (names) => (names.length > 4 ? `${names.slice(0, 4).join(', ')} …` : names.join(' and '));

/** Fails with what is there instead. @returns {Promise<never>} */
async function absent(source, name, names = undefined) {
  const listing = names ?? (await source.list?.());
  const there = listing?.length ? listing.filter((other) => OTHER_WEIGHTS.test(other)) : await existing(source, OTHERS);
  const what = `${source.name} ${absenceOf(source, name)}`;
  if (!there.length) {
    const refusal = source.refusal?.(name);
    if (refusal) throw refusal;
    const hint = "give a folder in Hugging Face's layout, or name the .safetensors file itself";
    throw new MudptError('file', what, source.hint ?? hint);
  }
  const hint = there.some((other) => PICKLED.test(other))
    ? 'what PyTorch has pickled must be saved as .safetensors first: safetensors.torch.save_file(state_dict, name)'
    : 'only .safetensors files are read: choose one of these';
  throw new MudptError('file', `${what}, but ${listed(there)}`, hint);
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
