/**
 * Loads a CLIP into the library: what it is and its tokenizer from the model's small files, then the weights, streamed
 * tensor by tensor so that no file is ever held whole.
 *
 * A model is a folder in Hugging Face's or open_clip's layout, or weights under OpenAI's or open_clip's names beside a
 * tokenizer.json.
 */
import { MudptError, checkChoices, megabytes, naming } from '../base/errors.js';
import { seldom } from '../base/progress.js';
import { DTYPES, POOLING, PRECISIONS, TEXT, WORTHWHILE_GAIN } from '../core/core.js';
import { checkedSource } from '../files/sha256.js';
import { loadFrom } from '../files/source.js';
import { describeModel } from './configuration.js';
import { canonicalName } from './names.js';
import { checkPlace, inOrder } from './places.js';
import { narrower, planRuns, streamTensors } from './safetensors.js';
import { foreignTensor, isNoWeight, isOpenAi, isTokenTable } from './shapes.js';
import { refusingTokenizer, tokenReader } from './token-rows.js';
import { ClipTokenizer } from './tokenizer.js';
import { readVocabulary } from './vocabulary.js';
import { closeAll, openWeights } from './weights.js';

const STORAGE = { auto: -1, f32: DTYPES.F32, f16: DTYPES.F16, int8: DTYPES.I8, int16: DTYPES.I16 };
/** Bytes of a value, by dtype, then by precision. */
const LEAST = { f32: 4, f16: 2, int16: 2, int8: 1, high: 4, fast: 2 };
/** How half a pixel in the place of a crop is rounded. */
const CONVENTIONS = { openai: 0, transformers: 1 };
const TOWERS = ['both', 'image'];
const TOKENS = ['needed', 'all'];
/**
 * @typedef {object} LoadedModel
 * @property {number} clip the library's handle
 * @property {import('../core/core.js').ClipConfig} config
 * @property {ClipTokenizer} tokenizer
 * @property {import('./token-rows.js').NeedTokens} needTokens must be awaited before sentences are given to the library
 * @property {string[]} assumed what no file said of the model
 *
 * @typedef {{ loaded: number, total: number }} LoadProgress bytes of the weight files that are read
 */

/**
 * Loads a model.
 * @param {import('../core/core.js').Core} core
 * @param {import('../files/source.js').Source} from
 * @param {object} [options] as in index.d.ts
 * @param {'auto' | 'f32' | 'f16' | 'int8' | 'int16'} [options.dtype] how matrices are kept; `auto`: as they are stored
 * @param {'high' | 'fast' | 'int8'} [options.precision] `fast` where a measurement finds it faster; `int8` where core
 *   is made for it, else as `fast`
 * @param {'openai' | 'transformers'} [options.convention]
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
  const { dtype = 'auto', precision = 'high', convention = 'openai', towers = 'both', onProgress, signal } = options;
  const { tokens = from.remote ? 'needed' : 'all' } = options;
  checkChoices({
    dtype: [dtype, Object.keys(STORAGE)],
    precision: [precision, Object.keys(PRECISIONS)],
    convention: [convention, Object.keys(CONVENTIONS)],
    towers: [towers, TOWERS],
    tokens: [tokens, TOKENS],
  });
  const { source: checked, verify } = checkedSource(from, options.integrity);
  const { files, headers, folder: source = checked } = await openWeights(checked);
  let clip;
  let kept;
  try {
    const chosen = precision !== 'high' && core.fastGain() >= WORTHWHILE_GAIN ? core.integers : 'high';
    const description = await describeModel(source, headers, files[0].name);
    const { architecture, preprocessing, assumed } = description;
    /** @type {any} */
    const config = {
      ...architecture,
      ...preprocessing,
      transform: { ...preprocessing.transform, cropDown: CONVENTIONS[convention] },
      precision: PRECISIONS[chosen],
    };
    const isFilled = config.noMask || config.textPooling === POOLING.last;
    const fill = isFilled ? [config.pad ?? 0] : [];
    const { assetsUrl } = options;
    const vocabulary = towers === 'image' ? null : await vocabularyOf(source, description, headers, assetsUrl);
    if (vocabulary?.isAssumed) assumed.push('OpenAI’s vocabulary');
    const table = tokens === 'needed' ? await findTokens(files, headers) : null;
    const text = towers === 'image' ? TEXT.NONE : table ? TEXT.ROWS : TEXT.WHOLE;
    const created = naming(source.name, () => core.clipCreate({ ...config, text, storage: STORAGE[dtype] }));
    clip = created;
    const runs = headers.map((header, i) => {
      return planRuns(header, files[i].ranges, ({ name }) => {
        const wanted = core.clipWants(created, canonicalName(name));
        if (wanted === undefined && !isNoWeight(name)) throw foreignTensor(files[i].name, name);
        return Boolean(wanted);
      });
    });
    if (source.remote) requireRoom(core, source.name, runs, LEAST[dtype] ?? LEAST[chosen]);
    await sendWeights(core, clip, files, runs, { onProgress, signal });
    await verify();
    naming(source.name, () => core.clipFinish(created));
    // Only now: what it leaves behind would make garbage collectors leave the pieces of a download for longer.
    const tokenizer = vocabulary ? makeTokenizer(vocabulary, config, description.end) : refusingTokenizer;
    if (source.remote) kept = table?.file; // others can be read when they are closed
    return { clip, config, tokenizer, needTokens: tokenReader(core, clip, text, table, fill), assumed };
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
 * @param {import('../core/core.js').Core} core
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

/** The token embedding, where its rows can be read one by one. */
async function findTokens(files, headers) {
  for (const [i, file] of files.entries()) {
    const tensor = headers[i].tensors.find(({ name }) => isTokenTable(name));
    if (!tensor) continue;
    const isReadable = Object.hasOwn(DTYPES, tensor.dtype) && tensor.shape.length === 2 && !tensor.strides;
    if (!file.ranges || file.steady === false || !isReadable) return null;
    await checkPlace(file, tensor);
    return { file, tensor };
  }
  return null;
}

/**
 * The vocabulary of a model, and whether it is OpenAI's: what its weights or its configuration say.
 * @param {import('../files/source.js').Source} source
 * @param {import('./configuration.js').Description} description
 * @param {import('./safetensors.js').Header[]} headers
 * @param {string | URL} [assetsUrl]
 */
export function vocabularyOf(source, { architecture, documents }, headers, assetsUrl) {
  const { config, openClip } = documents;
  const isArchive = headers.some(({ tensors }) => tensors.some(({ name }) => isOpenAi(name)));
  const text = openClip?.model_cfg?.text_cfg;
  return readVocabulary(source, {
    vocab: architecture.vocab,
    isOpenAi: isArchive || Boolean(text && !text.hf_tokenizer_name) || config?.text_config?.eos_token_id === 49407,
    mayBe: !config && !openClip,
    clean: text?.hf_tokenizer_name ? (text.tokenizer_kwargs?.clean ?? 'whitespace') : undefined,
    assetsUrl,
  });
}

/**
 * @param {import('./vocabulary.js').Vocabulary} vocabulary
 * @param {{ vocab: number, context: number, noStart?: number | boolean, transform: any }} config
 * @param {number | undefined} end the id at which the model's configuration says that features are read
 */
function makeTokenizer({ name, document, make }, config, end) {
  const isAlone = Boolean(config.transform.cropDown);
  const tokenizer = make ? make(config) : new ClipTokenizer(document(), config, name, isAlone);
  if (make && (tokenizer.start === undefined) !== Boolean(config.noStart)) {
    const what = `${name} puts ${tokenizer.start === undefined ? 'nothing' : 'a token'} in front of texts`;
    const hint = 'use the two files that were published together';
    throw new MudptError(
      'tokenizer',
      `${what}, but the model reads them ${config.noStart ? 'without' : 'with'} one`,
      hint,
    );
  }
  if (end === undefined || make || end === tokenizer.end) return tokenizer;
  throw new MudptError(
    'tokenizer',
    `${name} ends texts with the id ${tokenizer.end}, but the model's configuration has ${end} as the id of their end`,
    'use the two files that were published together',
  );
}

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
    let narrow;
    /** Of a tensor that does not lie row by row. @type {import('./safetensors.js').Tensor | null} */
    let scattered;
    /** @type {Uint8Array} */
    let all;
    let filled = 0;
    const send = (bytes) => named(() => core.clipTensorBytes(clip, narrow ? narrow(bytes) : bytes));
    await streamTensors(file, runs[i], {
      begin: (tensor) => {
        const { name, dtype, shape, bytes, strides } = tensor;
        narrow = dtype === 'F64' ? narrower() : undefined;
        scattered = strides ? tensor : null;
        if (scattered) [all, filled] = [new Uint8Array(bytes), 0];
        const type = DTYPES[narrow ? 'F32' : dtype] ?? -1;
        // The library knows no more of such a type than that it is none of its own.
        const where = type < 0 ? `${file.name} (${dtype})` : file.name;
        naming(where, () => core.clipTensorBegin(clip, canonicalName(name), type, shape));
      },
      bytes: (bytes) => {
        if (!scattered) return send(bytes);
        all.set(bytes, filled);
        filled += bytes.length;
      },
      end: () => {
        if (scattered) send(inOrder(scattered, all));
        named(() => core.clipTensorEnd(clip));
      },
      progress,
    });
  }
}
