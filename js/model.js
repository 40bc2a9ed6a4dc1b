/**
 * Loads a CLIP into the library: architecture, preprocessing and tokenizer from the model's small files, then the
 * weights, streamed tensor by tensor so that no file is ever held whole. Refuses what is not a CLIP with QuickGELU.
 *
 * A model is a folder in Hugging Face's layout, or weights under OpenAI's or open_clip's names beside a
 * tokenizer.json: where there is no config.json, sizes are read off the tensors' shapes, with heads of width 64 as in
 * all of OpenAI's models.
 */
import { DTYPES, PRECISIONS, TEXT } from './core.js';
import { MudptError, megabytes, naming } from './errors.js';
import { seldom } from './progress.js';
import { planRuns, readHeader, streamTensors } from './safetensors.js';
import { checkedSource } from './sha256.js';
import { absenceOf, loadFrom, openText, parseObject, readJson } from './source.js';
import { refusingTokenizer, tokenReader } from './token-rows.js';
import { ClipTokenizer } from './tokenizer.js';

const STORAGE = { auto: -1, f32: DTYPES.F32, f16: DTYPES.F16, int8: DTYPES.I8, int16: DTYPES.I16 };
/** Bytes of a value. */
const LEAST = { f32: 4, f16: 2, int16: 2, int8: 1 };
const TOWERS = ['both', 'image'];
const TOKENS = ['needed', 'all'];
const INDEX = 'model.safetensors.index.json';
const HEAD_WIDTH = 64;
const WORTHWHILE_GAIN = 1.1; // of precision fast, below which f32 stays
export const CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073];
export const CLIP_STD = [0.26862954, 0.26130258, 0.27577711];

/** Transformers' CLIPConfig: what keys that are absent stand for. */
const TEXT_DEFAULTS = {
  vocab_size: 49408,
  hidden_size: 512,
  intermediate_size: 2048,
  num_hidden_layers: 12,
  num_attention_heads: 8,
  max_position_embeddings: 77,
  hidden_act: 'quick_gelu',
  layer_norm_eps: 1e-5,
};
const VISION_DEFAULTS = {
  hidden_size: 768,
  intermediate_size: 3072,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  num_channels: 3,
  image_size: 224,
  patch_size: 32,
  hidden_act: 'quick_gelu',
  layer_norm_eps: 1e-5,
};

/** Any value at a dotted path, checked to be a whole number above 0. */
function size(name, document, path) {
  const value = path.split('.').reduce((part, key) => part?.[key], document);
  if (Number.isInteger(value) && value > 0) return value;
  throw new MudptError(
    'model',
    `${name}: ${path} is ${JSON.stringify(value)}, expected a whole number above 0`,
    'use the config.json that was published with the model',
  );
}

/** @param {any} document */
export const isClipConfig = (document) =>
  document.model_type === 'clip' || Boolean(document.text_config && document.vision_config);

/**
 * Sizes from a config.json of transformers' CLIPModel.
 * @param {any} document
 * @param {string} name
 */
export function architectureFromConfig(document, name) {
  if (!isClipConfig(document) || (document.model_type ?? 'clip') !== 'clip') {
    throw new MudptError(
      'model',
      `${name} describes a model of type ${JSON.stringify(document.model_type)}, expected "clip"`,
      'only CLIP with an image and a text tower is supported',
    );
  }
  const all = {
    projection_dim: document.projection_dim ?? 512,
    text_config: { ...TEXT_DEFAULTS, ...document.text_config, ...document.text_config_dict },
    vision_config: { ...VISION_DEFAULTS, ...document.vision_config, ...document.vision_config_dict },
  };
  for (const part of ['text_config', 'vision_config']) {
    const { hidden_act: activation, layer_norm_eps: epsilon } = all[part];
    if (activation !== 'quick_gelu') {
      throw new MudptError(
        'model',
        `${name}: ${part}.hidden_act is ${JSON.stringify(activation)}, expected "quick_gelu"`,
        "use a model with OpenAI's activation; LAION's models have another",
      );
    }
    if (epsilon !== 1e-5) {
      throw new MudptError('model', `${name}: ${part}.layer_norm_eps is ${epsilon}, expected 1e-5`);
    }
  }
  if (all.vision_config.num_channels !== 3)
    throw new MudptError('model', `${name}: vision_config.num_channels must be 3`);
  const at = (path) => size(name, all, path);
  return {
    image: at('vision_config.image_size'),
    patch: at('vision_config.patch_size'),
    visionWidth: at('vision_config.hidden_size'),
    visionLayers: at('vision_config.num_hidden_layers'),
    visionHeads: at('vision_config.num_attention_heads'),
    visionMlp: at('vision_config.intermediate_size'),
    textWidth: at('text_config.hidden_size'),
    textLayers: at('text_config.num_hidden_layers'),
    textHeads: at('text_config.num_attention_heads'),
    textMlp: at('text_config.intermediate_size'),
    embed: at('projection_dim'),
    context: at('text_config.max_position_embeddings'),
    vocab: at('text_config.vocab_size'),
  };
}

/** [what, Hugging Face's name, OpenAI's name] of the tensors whose shapes tell all sizes. */
const TELLING = {
  conv: ['vision_model.embeddings.patch_embedding.weight', 'visual.conv1.weight'],
  patches: ['vision_model.embeddings.position_embedding.weight', 'visual.positional_embedding'],
  visionMlp: ['vision_model.encoder.layers.0.mlp.fc1.weight', 'visual.transformer.resblocks.0.mlp.c_fc.weight'],
  tokens: ['text_model.embeddings.token_embedding.weight', 'token_embedding.weight'],
  positions: ['text_model.embeddings.position_embedding.weight', 'positional_embedding'],
  textMlp: ['text_model.encoder.layers.0.mlp.fc1.weight', 'transformer.resblocks.0.mlp.c_fc.weight'],
  projection: ['text_projection.weight', 'text_projection'],
};
const VISION_LAYER = /^(?:vision_model\.encoder\.layers|visual\.transformer\.resblocks)\.(\d+)\./;
const TEXT_LAYER = /^(?:text_model\.encoder\.layers|(?:text\.)?transformer\.resblocks)\.(\d+)\./;

/**
 * Sizes from the shapes of a model's tensors.
 * @param {import('./safetensors.js').Tensor[]} tensors
 * @param {string} name
 */
export function architectureFromTensors(tensors, name) {
  const shapes = new Map(tensors.map((tensor) => [tensor.name, tensor.shape]));
  /** @param {keyof typeof TELLING} what @param {number} dims @returns {number[]} */
  const shape = (what, dims) => {
    const [theirs, openai] = TELLING[what];
    const found = shapes.get(theirs) ?? shapes.get(openai) ?? shapes.get(`text.${openai}`);
    if (found?.length === dims) return found;
    throw new MudptError(
      'model',
      `${name} is no CLIP with an image transformer: it has no tensor ${openai}`,
      'give a CLIP of the ViT kind, in the layout of Hugging Face, OpenAI or open_clip',
    );
  };
  const layers = (pattern) =>
    tensors.reduce((most, tensor) => Math.max(most, 1 + Number(pattern.exec(tensor.name)?.[1] ?? -1)), 0);
  const [visionWidth, , patch] = shape('conv', 4);
  const [vocab, textWidth] = shape('tokens', 2);
  const side = Math.sqrt(shape('patches', 2)[0] - 1);
  if (!Number.isInteger(side) || visionWidth % HEAD_WIDTH || textWidth % HEAD_WIDTH) {
    throw new MudptError(
      'model',
      `the sizes of ${name} cannot be told from its tensors alone`,
      "add the model's config.json",
    );
  }
  return {
    image: side * patch,
    patch,
    visionWidth,
    visionLayers: layers(VISION_LAYER),
    visionHeads: visionWidth / HEAD_WIDTH,
    visionMlp: shape('visionMlp', 2)[0],
    textWidth,
    textLayers: layers(TEXT_LAYER),
    textHeads: textWidth / HEAD_WIDTH,
    textMlp: shape('textMlp', 2)[0],
    // [embed, width] in one layout, [width, embed] in the other
    embed: shapes.has(TELLING.projection[0]) ? shape('projection', 2)[0] : shape('projection', 2)[1],
    context: shape('positions', 2)[0],
    vocab,
  };
}

/**
 * Mean and standard deviation from a preprocessor_config.json, after a check that it asks for CLIP's transform.
 * @param {any} document null where there is none: CLIP's own
 * @param {number} image the model's picture size
 * @param {string} name
 */
export function preprocessing(document, image, name) {
  const {
    size: resize = image,
    crop_size: crop = image,
    resample = 3,
    image_mean: mean = CLIP_MEAN,
    image_std: std = CLIP_STD,
  } = document ?? {};
  const expect = (key, value, expected) => {
    if (value === expected) return;
    throw new MudptError(
      'model',
      `${name}: ${key} is ${JSON.stringify(value)}, expected ${JSON.stringify(expected)}`,
      'use the preprocessor_config.json that was published with the model',
    );
  };
  const number = (value, ...keys) => (typeof value === 'object' ? keys.map((key) => value?.[key]).find(Number) : value);
  expect('size', number(resize, 'shortest_edge', 'height'), image);
  expect('crop_size', number(crop, 'height', 'shortest_edge'), image);
  expect('crop_size', number(crop, 'width', 'shortest_edge'), image);
  expect('resample', resample, 3);
  for (const key of ['do_resize', 'do_center_crop', 'do_rescale', 'do_normalize'])
    expect(key, document?.[key] ?? true, true);
  for (const [key, value] of Object.entries({ image_mean: mean, image_std: std })) {
    if (!Array.isArray(value) || value.length !== 3 || !value.every(Number.isFinite))
      expect(key, value, 'three numbers');
  }
  return { mean, std };
}

/**
 * Opens the file or files with the weights.
 * @param {import('./source.js').Source} source
 * @returns {Promise<import('./source.js').SourceFile[]>}
 */
export async function openWeights(source) {
  for (const name of source.weights ? [source.weights] : ['model.safetensors', 'open_clip_model.safetensors']) {
    const file = await source.open(name);
    if (file) return [file];
  }
  const index = source.weights ? null : await readJson(source, INDEX);
  if (!index) {
    throw (
      source.refusal?.(source.weights ?? 'model.safetensors') ??
      new MudptError(
        'file',
        `${source.name} ${absenceOf(source, source.weights ?? 'model.safetensors')}`,
        "give a folder in Hugging Face's layout, or name the .safetensors file itself",
      )
    );
  }
  const names = [...new Set(Object.values(index.weight_map ?? {}))].map(String);
  if (!names.length || !names.every((name) => /^[\w-][\w.-]*\.safetensors$/.test(name))) {
    throw new MudptError(
      'model',
      `${source.name}: ${INDEX} names other things than .safetensors files beside it`,
      'download the file again',
    );
  }
  const files = [];
  try {
    for (const name of names) {
      const file = await source.open(name);
      if (!file) {
        const what = `${source.name} ${absenceOf(source, name)}, which ${INDEX} names`;
        throw new MudptError('file', what, 'download it');
      }
      files.push(file);
    }
    return files;
  } catch (error) {
    await closeAll(files);
    throw error;
  }
}

/** @param {import('./source.js').SourceFile[]} files */
export async function closeAll(files) {
  for (const file of files) await file.close();
}

/**
 * @typedef {object} LoadedModel
 * @property {number} clip the library's handle
 * @property {import('./core.js').ClipConfig} config
 * @property {ClipTokenizer} tokenizer
 * @property {import('./token-rows.js').NeedTokens} needTokens must be awaited before sentences are given to the library
 *
 * @typedef {{ loaded: number, total: number }} LoadProgress bytes of the weight files that are read
 */

/**
 * Loads a model.
 * @param {import('./core.js').Core} core
 * @param {import('./source.js').Source} from
 * @param {object} [options] as in index.d.ts
 * @param {'auto' | 'f32' | 'f16' | 'int8' | 'int16'} [options.dtype] how matrices are kept; `auto`: as they are stored
 * @param {'high' | 'fast'} [options.precision] `fast` where a measurement finds it faster
 * @param {'both' | 'image'} [options.towers]
 * @param {'needed' | 'all'} [options.tokens]
 * @param {unknown} [options.integrity]
 * @param {(progress: LoadProgress) => void} [options.onProgress]
 * @param {AbortSignal} [options.signal]
 * @returns {Promise<LoadedModel>}
 */
export async function loadModel(core, from, options = {}) {
  return loadFrom(from, () => loadOnce(core, from, options));
}

/** @returns {Promise<LoadedModel>} */
async function loadOnce(core, from, options) {
  const { dtype = 'auto', precision = 'high', towers = 'both', onProgress, signal } = options;
  const { tokens = from.remote ? 'needed' : 'all' } = options;
  checkChoices({
    dtype: [dtype, Object.keys(STORAGE)],
    precision: [precision, Object.keys(PRECISIONS)],
    towers: [towers, TOWERS],
    tokens: [tokens, TOKENS],
  });
  const { source, verify } = checkedSource(from, options.integrity);
  const files = await openWeights(source);
  const headers = [];
  let clip;
  let kept;
  try {
    for (const file of files) headers.push(await readHeader(file));
    const fast = precision === 'fast' && core.fastGain() >= WORTHWHILE_GAIN;
    const config = {
      ...(await readConfig(source, headers, files[0].name)),
      precision: fast ? PRECISIONS.fast : PRECISIONS.high,
    };
    const vocabulary = towers === 'image' ? null : await readVocabulary(source);
    const table = tokens === 'needed' ? findTokens(files, headers) : null;
    const text = towers === 'image' ? TEXT.NONE : table ? TEXT.ROWS : TEXT.WHOLE;
    const created = naming(source.name, () => core.clipCreate({ ...config, text, storage: STORAGE[dtype] }));
    clip = created;
    const runs = headers.map((header, i) => {
      return planRuns(header, files[i].ranges, ({ name }) => core.clipWants(created, name));
    });
    if (source.remote) requireRoom(core, source.name, runs, LEAST[dtype] ?? (fast ? LEAST.int16 : LEAST.f32));
    await sendWeights(core, clip, files, runs, { onProgress, signal });
    await verify();
    naming(source.name, () => core.clipFinish(created));
    // Only now: what it leaves behind would make garbage collectors leave the pieces of a download for longer.
    const tokenizer = vocabulary ? makeTokenizer(source, vocabulary, config) : refusingTokenizer;
    if (source.remote) kept = table?.file; // others can be read when they are closed
    return { clip, config, tokenizer, needTokens: tokenReader(core, clip, text, table) };
  } catch (error) {
    if (clip && !core.disposed) core.clipFree(clip);
    throw error instanceof MudptError && error.code === 'memory' ? withSizes(error, headers) : error;
  } finally {
    await closeAll(files.filter((file) => file !== kept));
  }
}

/** @param {import('./safetensors.js').Tensor} tensor */
const valuesOf = ({ shape }) => shape.reduce((size, side) => size * side, 1);

/**
 * Refuses, before they are downloaded, weights that cannot fit.
 * @param {import('./core.js').Core} core
 * @param {string} name
 * @param {import('./safetensors.js').Run[][]} runs
 * @param {number} least bytes that a value takes, or those of the file where these are fewer
 */
function requireRoom(core, name, runs, least) {
  const tensors = runs.flat().flatMap((run) => run.tensors);
  const bytes = tensors.reduce((sum, tensor) => sum + Math.min(tensor.bytes, least * valuesOf(tensor)), 0);
  if (bytes <= core.mostBytes) return;
  const what = `${name} needs ${megabytes(bytes)} or more, of at most ${megabytes(core.mostBytes)} here`;
  throw new MudptError('memory', what, 'choose dtype');
}

/**
 * A failure for want of memory, with what would fit.
 * @param {MudptError} error
 * @param {import('./safetensors.js').Header[]} headers
 */
function withSizes(error, headers) {
  const tensors = headers.flatMap((header) => header.tensors);
  const values = tensors.reduce((sum, tensor) => sum + valuesOf(tensor), 0);
  const [f32, f16, int8] = [4, 2, 1].map((bytes) => `${Math.ceil((values * bytes) / 1e6)} MB`);
  const what = error.message.slice(0, -error.hint.length - 2);
  const sizes = `its weights take ${f32} as f32, ${f16} as f16, ${int8} as int8`;
  return new MudptError('memory', what, `${sizes}: choose dtype, or a smaller model`, { cause: error });
}

/** @param {Record<string, [value: string, valid: string[]]>} choices */
function checkChoices(choices) {
  for (const [name, [value, valid]] of Object.entries(choices)) {
    if (valid.includes(value)) continue;
    throw new MudptError('argument', `${name} must be one of ${valid.join(', ')}, not ${value}`);
  }
}

/** The token embedding, where its rows can be read one by one. */
function findTokens(files, headers) {
  for (const [i, file] of files.entries()) {
    const tensor = headers[i].tensors.find(({ name }) => TELLING.tokens.includes(name.replace(/^text\./, '')));
    if (tensor) return file.ranges && file.steady !== false && tensor.shape.length === 2 ? { file, tensor } : null;
  }
  return null;
}

/** Sizes, mean and standard deviation of a model. */
async function readConfig(source, headers, weightsName) {
  const document = await readJson(source, 'config.json');
  // Beside weights that were named themselves, a config.json may belong to something else.
  const usable = document && (isClipConfig(document) || !source.weights);
  if (!usable) await refuseOtherActivation(source);
  const architecture = usable
    ? architectureFromConfig(document, `${source.name}: config.json`)
    : architectureFromTensors(
        headers.flatMap((header) => header.tensors),
        weightsName,
      );
  const processor = await readJson(source, 'preprocessor_config.json');
  return {
    ...architecture,
    ...preprocessing(processor, architecture.image, `${source.name}: preprocessor_config.json`),
  };
}

/** open_clip says in a file of its own whether a model has OpenAI's activation; its weights look alike. */
async function refuseOtherActivation(source) {
  const document = await readJson(source, 'open_clip_config.json');
  if (!document || document.model_cfg?.quick_gelu === true) return;
  throw new MudptError(
    'model',
    `${source.name}: open_clip_config.json does not have quick_gelu true`,
    "use a model with OpenAI's activation",
  );
}

/** The text of tokenizer.json. */
async function readVocabulary(source) {
  const file = await openText(source, 'tokenizer.json');
  if (file) return file;
  throw new MudptError(
    'tokenizer',
    `there is no tokenizer.json beside the weights: ${source.name} ${absenceOf(source, 'tokenizer.json')}`,
    "put the one that was published with the model there; all of OpenAI's CLIP models share one",
  );
}

const makeTokenizer = (source, vocabulary, config) =>
  new ClipTokenizer(parseObject(vocabulary), config, `${source.name}: tokenizer.json`);

/** Streams all tensors of all files into the library. */
async function sendWeights(core, clip, files, runs, { onProgress, signal }) {
  const total = runs.flat().reduce((sum, { begin, end }) => sum + end - begin, 0);
  let loaded = 0;
  const tell = seldom(onProgress);
  const progress = (count) => {
    signal?.throwIfAborted();
    loaded += count;
    tell({ loaded, total }, loaded === total);
  };
  progress(0);
  for (const [i, file] of files.entries()) {
    const named = (action) => naming(file.name, action);
    await streamTensors(file, runs[i], {
      begin: ({ name, dtype, shape }) => named(() => core.clipTensorBegin(clip, name, DTYPES[dtype] ?? -1, shape)),
      bytes: (bytes) => named(() => core.clipTensorBytes(clip, bytes)),
      end: () => named(() => core.clipTensorEnd(clip)),
      progress,
    });
  }
}
