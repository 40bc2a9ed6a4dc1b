/**
 * What a classifier says beyond the class: that a picture fits none, scores at their word, which picture to label next,
 * labels that look wrong. It is asked through its public members alone, wherever it lives, and what is known of it is
 * kept here.
 */
import { MudptError, checkOptions, listOf } from '../base/errors.js';
import { isMany } from '../base/kinds.js';
import { auditLabels } from '../features/audit.js';
import { choosePictures, unsureOf } from '../features/suggest.js';
import { Unknown } from '../features/unknown.js';
import { toUnit } from '../features/unit.js';
import { floatsOf, headerOf } from '../loading/safetensors.js';
import { calibrated, tempered } from './calibrate.js';
import { checkTopK, labelsOf } from './labels.js';

/**
 * @typedef {{ data: Float32Array, dims: readonly number[] }} Features
 * @typedef {{ pictures: Features, temperature: number }} Known what calibrate() has found
 *
 * @typedef {{ index: number, label: string, score: number }} Answer
 */

/** By classifier. @type {WeakMap<object, Known>} */
const calibrations = new WeakMap();
/** By what is known. @type {WeakMap<Known, Unknown>} */
const unknowns = new WeakMap();

/** The mean of the classes' sentences, of length one; null where each picture has its own. @param {any} classifier */
async function textsOf(classifier) {
  const file = await classifier.export();
  const tensor = headerOf(file, 'the classifier').tensors.find(({ name }) => name === 'text_features');
  if (!tensor) return null;
  const data = floatsOf(file, tensor).slice();
  const [, width] = tensor.shape;
  for (let at = 0; at < data.length; at += width) toUnit(data.subarray(at, at + width));
  return { data, dims: tensor.shape };
}

/**
 * Features of pictures, and which of them could be read.
 * @param {any} classifier
 * @param {any[]} images
 * @param {Record<string, any>} options of embedImages
 * @param {'pictures' | 'examples'} list what they are called to who is told of broken ones
 * @returns {Promise<{ features: Features, places: number[] }>}
 */
async function featuresOf(classifier, images, { onBroken, ...rest }, list) {
  const gone = new Set();
  const told = (broken) => {
    gone.add(broken.index);
    onBroken({ ...broken, list });
  };
  const asked = { ...rest, onBroken: typeof onBroken === 'function' ? told : onBroken };
  const features = await classifier.embedImages(images, asked);
  return { features, places: images.flatMap((_, i) => (gone.has(i) ? [] : [i])) };
}

/**
 * Scores of all classes for each picture, in their order.
 * @param {any} classifier
 * @param {any[]} images
 * @param {AbortSignal} [signal]
 */
async function scoresOf(classifier, images, signal) {
  /** @type {Answer[][]} */
  const all = await classifier.classify(images, { topK: Infinity, signal });
  return all.map((answers) => {
    const scores = new Float64Array(answers.length);
    for (const { index, score } of answers) scores[index] = score;
    return scores;
  });
}

/** Logits, each row up to a number of its own. @param {Float64Array} scores */
const logitsOf = (scores) => scores.map((score) => Math.log(Math.max(score, Number.MIN_VALUE)));

/**
 * @param {any} classifier
 * @param {{ image: any, label: string | number }[]} examples
 * @param {Record<string, any>} [options] see types.d.ts
 */
export async function calibrate(classifier, examples, options = {}) {
  checkOptions(options, ['onProgress', 'onBroken', 'signal']);
  const labels = labelsOf(classifier.classes, examples);
  const images = examples.map(({ image }) => image);
  const { features, places } = await featuresOf(classifier, images, options, 'examples');
  if (places.length < 2)
    throw new MudptError('argument', `${places.length} examples, expected at least 2`, 'give two of each class');
  const scores = await scoresOf(
    classifier,
    places.map((i) => images[i]),
    options.signal,
  );
  const own = places.map((i) => labels[i]);
  const { temperature, ece } = calibrated(scores.map(logitsOf), own);
  calibrations.set(classifier, { pictures: features, temperature });
  return { pictures: places.length, temperature, ece };
}

/** @param {any} classifier @returns {Promise<Unknown>} */
async function unknownOf(classifier) {
  const known = calibrations.get(classifier);
  if (!known) {
    const hint = 'call calibrate() with some examples of each class first';
    throw new MudptError('state', 'the classifier does not know yet what pictures of its classes are like', hint);
  }
  let unknown = unknowns.get(known);
  if (!unknown) {
    unknown = new Unknown(known.pictures, await textsOf(classifier));
    unknowns.set(known, unknown);
  }
  return unknown;
}

/**
 * How well pictures fit any of the classes, and their scores of none; for who measures it.
 * @param {any} classifier
 * @param {any[]} images
 * @param {Record<string, any>} [options] of embedImages
 */
export async function fitsOf(classifier, images, options) {
  const unknown = await unknownOf(classifier);
  const { data, dims } = await classifier.embedImages(images, options);
  return Array.from({ length: dims[0] }, (_, i) => {
    const fit = unknown.fit(data.subarray(i * dims[1], (i + 1) * dims[1]));
    return { fit, score: unknown.scoreOf(fit) };
  });
}

/**
 * @param {any} classifier
 * @param {(given: any, options: any) => Promise<any>} plain classify() without what is added here
 * @param {any} given a picture, or several
 * @param {Record<string, any>} options see types.d.ts
 */
export async function classify(classifier, plain, given, options) {
  const { none = false, calibrated: isCalibrated = false, topK = 5, ...rest } = options;
  checkTopK(topK);
  const { temperature = 0 } = calibrations.get(classifier) ?? {};
  if (isCalibrated && !temperature)
    throw new MudptError('state', 'there is no temperature', 'call calibrate() with examples it was not trained on');
  // One that keeps its pictures' features knows by itself.
  const own = none && 'labels' in classifier;
  const asked = { ...rest, ...(own && { none }), topK: isCalibrated ? Infinity : topK };
  /** @param {Answer[] & { none?: number }} answers @param {number} [score] of none of the classes */
  const finished = (answers, score = answers.none) => {
    if (isCalibrated) {
      const scores = tempered(logitsOf(Float64Array.from(answers, (answer) => answer.score)), temperature);
      answers.forEach((answer, i) => (answer.score = scores[i]));
    }
    const top = answers.slice(0, topK);
    return none ? Object.assign(top, { none: score }) : top;
  };
  if (!isMany(given)) {
    const [found] = none && !own ? await fitsOf(classifier, [given], { signal: rest.signal }) : [];
    return finished(await plain.call(classifier, given, asked), found?.score);
  }
  const images = [...given];
  if (!none || own) {
    const all = await plain.call(classifier, images, asked);
    return all.map((answers) => answers && finished(answers));
  }
  const unknown = await unknownOf(classifier);
  const { onBroken, signal } = rest;
  const { features, places } = await featuresOf(classifier, images, { onBroken, signal }, 'pictures');
  const { data, dims } = features;
  // Those that could be read are, but for an address that answers once.
  const told = onBroken && ((broken) => onBroken({ ...broken, index: places[broken.index] }));
  const readable = places.map((i) => images[i]);
  const answered = await plain.call(classifier, readable, onBroken ? { ...asked, onBroken: told } : asked);
  const all = /** @type {any[]} */ (images.map(() => null));
  answered.forEach((answers, row) => {
    const fit = unknown.fit(data.subarray(row * dims[1], (row + 1) * dims[1]));
    if (answers) all[places[row]] = finished(answers, unknown.scoreOf(fit));
  });
  return all;
}

/**
 * @param {any} classifier
 * @param {any[]} unlabelled
 * @param {number} [count]
 * @param {Record<string, any>} [options] see types.d.ts
 */
export async function suggest(classifier, unlabelled, count = 10, options = {}) {
  checkOptions(options, ['onProgress', 'onBroken', 'signal']);
  const images = listOf(unlabelled, 'pictures', 'a picture');
  if (!Number.isInteger(count) || count < 1)
    throw new MudptError('argument', `${count} pictures are wanted, expected a whole number from 1`);
  const { features, places } = await featuresOf(classifier, images, options, 'pictures');
  const scores = await scoresOf(
    classifier,
    places.map((i) => images[i]),
    options.signal,
  );
  const unsure = scores.map(unsureOf);
  const labelled = calibrations.get(classifier)?.pictures;
  const chosen = choosePictures(features, unsure, count, labelled);
  return chosen.map((at) => ({ index: places[at], unsure: unsure[at] }));
}

/**
 * @param {any} classifier
 * @param {{ image: any, label: string | number }[]} examples
 * @param {Record<string, any>} [options] see types.d.ts
 */
export async function audit(classifier, examples, options = {}) {
  checkOptions(options, ['onProgress', 'onBroken', 'signal']);
  const { classes } = classifier;
  const labels = labelsOf(classes, examples);
  const images = examples.map(({ image }) => image);
  const { features, places } = await featuresOf(classifier, images, options, 'examples');
  if (places.length < 3 || classes.length < 2) {
    const what = `${places.length} examples of ${classes.length} classes`;
    throw new MudptError('argument', what, 'give 3 pictures of 2 classes at least');
  }
  const what = { pictures: features, labels: places.map((i) => labels[i]), classes: classes.length };
  const { signal } = options;
  const { wrong, noise } = await auditLabels({ ...what, texts: await textsOf(classifier) }, { signal });
  const suspects = wrong.map(({ index, label, like, wrong: chance }) => {
    return { index: places[index], label: classes[label], like: classes[like], wrong: chance };
  });
  return { noise, suspects };
}
