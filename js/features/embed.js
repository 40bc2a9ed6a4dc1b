/** What the towers make of pictures and texts, as numbers for whoever wants them: rows of one array. */
import { MudptError, checkOptions, listOf } from '../base/errors.js';
import { LONGEST_TEXT, LONGEST_WORD, MOST_SEED, MOST_VIEWS } from '../base/limits.js';
import { nextTurn } from '../base/platform.js';
import { seldom } from '../base/progress.js';
import { SMALLEST_CROP } from '../methods/presets.js';
import { BrokenPictures } from '../pictures/broken.js';
import { eachAnswer } from './pixels.js';
import { FeatureStore, rowsOf as storedRows } from './store.js';
import { toUnit } from './unit.js';

/** Texts that are encoded without a turn for anything else. */
const TEXTS_AT_ONCE = 64;

/**
 * @typedef {import('../classifier/classifier.js').Model} Model
 * @typedef {{ data: Float32Array, dims: [number, number] }} Features
 * @typedef {(progress: { done: number, total: number }) => void} OnProgress
 */

/** @param {Float32Array} data @param {number} width @param {boolean} unit @returns {Features} */
function rowsOf(data, width, unit) {
  for (let at = 0; unit && at < data.length; at += width) toUnit(data.subarray(at, at + width));
  return { data, dims: [data.length / width, width] };
}

/** @param {string} name @param {unknown} value */
function checkSwitch(name, value) {
  if (typeof value !== 'boolean') throw new MudptError('argument', `${name} is ${value}, expected true or false`);
}

/** @param {string} name @param {unknown} value @param {boolean} isRight @param {string} expected */
function checkNumber(name, value, isRight, expected) {
  if (typeof value !== 'number' || !isRight)
    throw new MudptError('argument', `${name} is ${value}, expected ${expected}`);
}

/** A tokenizer would be busy for long with a longer one. @param {unknown} text @param {number} i */
function checkText(text, i) {
  if (typeof text !== 'string')
    throw new MudptError('argument', `text ${i} is ${text === null ? 'null' : typeof text}, expected a text`);
  if (text.length > LONGEST_TEXT)
    throw new MudptError('argument', `text ${i} has ${text.length} characters, expected at most ${LONGEST_TEXT}`);
  const longest = text.split(/\s+/).reduce((most, { length }) => Math.max(most, length), 0);
  if (longest > LONGEST_WORD)
    throw new MudptError('argument', `text ${i} has ${longest} characters without a space, expected ${LONGEST_WORD}`);
}

/**
 * Features of texts, a few at a time: what each of them gets does not depend on the others.
 * @param {Model} model
 * @param {number[][][]} ids [templates][texts]
 * @param {{ projected?: boolean, onProgress?: OnProgress, signal?: AbortSignal }} [options] projected false: of one
 *   template, before the text tower's projection
 */
export async function textFeatures(model, ids, { projected = true, onProgress, signal } = {}) {
  const { core, clip, config, needTokens } = model;
  await needTokens(ids.flat(2), signal);
  const total = ids[0].length;
  const width = projected ? config.embed : config.textWidth;
  const features = new Float32Array(total * width);
  const tell = seldom(onProgress);
  for (let done = 0; done < total;) {
    const some = ids.map((rows) => rows.slice(done, done + TEXTS_AT_ONCE));
    const handle = core.classifierCreate(clip, { method: 'zeroshot' }, { ids: some });
    try {
      const found = projected ? core.classifierTextFeatures(handle) : core.classifierTextRows(handle);
      features.set(await found, done * width);
    } finally {
      core.classifierFree(handle);
    }
    done += some[0].length;
    tell({ done, total }, done === total);
    await nextTurn();
    signal?.throwIfAborted();
  }
  return features;
}

/**
 * @param {Model} model
 * @param {Iterable<string>} given
 * @param {Record<string, any>} [options] see index.d.ts
 * @returns {Promise<Features>}
 */
export async function embedTexts(model, given, options = {}) {
  checkOptions(options, ['projected', 'unit', 'truncate', 'onProgress', 'signal']);
  const { projected = true, unit = true, truncate = false, onProgress, signal } = options;
  for (const [name, value] of Object.entries({ projected, unit, truncate })) checkSwitch(name, value);
  signal?.throwIfAborted();
  const { config, tokenizer } = model;
  const texts = listOf(given, 'texts', 'a text');
  texts.forEach(checkText);
  const ids = texts.map((text, i) => tokenizer.sentence(text, `text ${i}`, truncate));
  const width = projected ? config.embed : config.textWidth;
  const data = ids.length ? await textFeatures(model, [ids], { projected, onProgress, signal }) : new Float32Array();
  return rowsOf(data, width, unit);
}

/**
 * @param {Model} model
 * @param {Iterable<any>} given
 * @param {Record<string, any>} [options] see index.d.ts
 * @param {number} [tuned] the library's classifier whose tower it is
 * @returns {Promise<Features>}
 */
export async function embedImages(model, given, options = {}, tuned = 0) {
  checkOptions(options, [
    ...['projected', 'unit', 'views', 'seed', 'smallestCrop', 'transfer', 'onProgress', 'onBroken', 'signal'],
  ]);
  const { projected = true, unit = true, views = 1, seed = 1, smallestCrop = SMALLEST_CROP, onBroken } = options;
  for (const [name, value] of Object.entries({ projected, unit })) checkSwitch(name, value);
  checkNumber('views', views, Number.isInteger(views) && views >= 1 && views <= MOST_VIEWS, `1 to ${MOST_VIEWS}`);
  checkNumber('seed', seed, Number.isInteger(seed) && seed >= 0 && seed <= MOST_SEED, `0 to ${MOST_SEED}`);
  checkNumber('smallestCrop', smallestCrop, smallestCrop > 0 && smallestCrop <= 1, 'a share above 0, up to 1');
  const broken = new BrokenPictures(onBroken);
  const pictures = listOf(given, 'pictures', 'a picture');
  const { core, clip, config } = model;
  const width = projected ? config.embed : config.visionWidth;
  const data = new Float32Array(views * pictures.length * width);
  let rows = 0;
  const handle = tuned || core.classifierCreate(clip, { method: 'zeroshot' }, null, 1);
  const size = 3 * config.image ** 2;
  const kind = projected ? 'after' : 'before';
  const compute = (pixels) => core.classifierImageFeatures(handle, pixels, projected);
  // What is kept is of the untuned tower.
  const store = core.shapeOf(handle).prompts ? new FeatureStore(0) : model.features;
  /** The views' rows of each picture. @param {Float32Array} pixels */
  const encode = async (pixels) => {
    const found = await storedRows(store, kind, pixels, size, compute);
    return Array.from({ length: found.length / views }, (_, i) => found.slice(i * views, (i + 1) * views));
  };
  const wanted = views > 1 ? { views, seed, smallestCrop } : undefined;
  try {
    const about = { ...options, kind: 'picture', list: /** @type {const} */ ('pictures'), broken, wanted };
    await eachAnswer(encode, model, pictures, about, (found) => {
      found.forEach((row, v) => data.set(row, width * (v * pictures.length + rows)));
      rows++;
    });
  } finally {
    if (!tuned) core.classifierFree(handle);
  }
  // Pictures that could not be read leave no gap.
  for (let v = 1; v < views; v++)
    data.copyWithin(v * rows * width, v * pictures.length * width, (v * pictures.length + rows) * width);
  return rowsOf(rows === pictures.length ? data : data.slice(0, views * rows * width), width, unit);
}
