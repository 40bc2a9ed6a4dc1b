/**
 * How pictures become what a model looks at: everything that transformers' and open_clip's files say of it, in one
 * place. It is applied exactly (src/image/resize.c, with PIL's filters), or refused with the key that cannot be.
 */
import { checkKeys, unsupported, words } from './keys.js';

export const CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073];
export const CLIP_STD = [0.26862954, 0.26130258, 0.27577711];

/** As src/mudpt.h numbers them. */
export const FITS = Object.freeze({ shortest: 0, longest: 1, exact: 2, none: 3 });
/** The same, in its order. */
export const FILTERS = Object.freeze(['bicubic', 'bilinear', 'lanczos', 'box', 'hamming', 'nearest']);
/** PIL's numbers of them. */
export const RESAMPLE = Object.freeze({ bicubic: 3, bilinear: 2, lanczos: 1, box: 4, hamming: 5, nearest: 0 });

/**
 * @typedef {object} Preprocessing
 * @property {number[]} mean of the pixels, on the scale 0 ... 1
 * @property {number[]} std
 * @property {import('../core/structs.js').Transform} transform
 */

/** @type {Preprocessing} */
export const CLIP_PREPROCESSING = { mean: CLIP_MEAN, std: CLIP_STD, transform: {} };

/**
 * A transform in words.
 * @param {import('../core/structs.js').Transform} transform
 * @param {number} image the model's picture size
 */
export function describeTransform({ fit = 0, height, width, filter = 0, fill = [0, 0, 0] }, image) {
  const fits = Object.keys(FITS);
  const size = height || image;
  return Object.freeze({
    fit: fits[fit],
    size: fits[fit] === 'exact' ? [size, width || size] : size,
    filter: FILTERS[filter],
    fill: Object.freeze([...fill]),
  });
}

/** Three numbers, of which one may stand for all. */
export function colours(name, key, value) {
  // A copy: in it what is not there is undefined, and not passed over.
  const all = Array.isArray(value) ? [...value] : [value, value, value];
  if (all.length === 3 && all.every(Number.isFinite)) return all;
  throw unsupported(name, key, value, 'three numbers');
}

// ------------------------------------------------------------------------------------------ transformers

/** Kinds of image processors: whether a size without a name is that of both sides, and their other defaults. */
export const HALVES = [0.5, 0.5, 0.5];
const PROCESSORS = {
  CLIP: { square: false, crop: true, resample: 3, mean: CLIP_MEAN, std: CLIP_STD },
  Bit: { square: false, crop: true, resample: 3, mean: CLIP_MEAN, std: CLIP_STD },
  ViT: { square: true, crop: false, resample: 2, mean: HALVES, std: HALVES },
  Siglip: { square: true, crop: false, resample: 3, mean: HALVES, std: HALVES },
};
const PROCESSOR_KEYS = {
  used: words(`image_processor_type feature_extractor_type do_resize size default_to_square use_square_size resample
    do_center_crop crop_size do_rescale rescale_factor do_normalize image_mean image_std`),
  harmless: words(`processor_class do_convert_rgb data_format input_data_format device return_tensors disable_grouping
    _valid_processor_keys transformers_version name_or_path _name_or_path`),
};

/** [height, width], or one number for a side: of a number, a list or an object. */
function sides(name, key, value, square) {
  const whole = (side) => Number.isInteger(side) && side > 0;
  if (whole(value)) return square ? [value, value] : value;
  if (Array.isArray(value) && value.length === 2 && [...value].every(whole)) return value;
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
    const given = Object.keys(value).filter((side) => value[side] !== null);
    if (given.length === 1 && given[0] === 'shortest_edge' && whole(value.shortest_edge)) return value.shortest_edge;
    const both = [value.height, value.width];
    if (given.length === 2 && both.every(whole)) return both;
  }
  throw unsupported(name, key, value, 'a number of pixels, {"shortest_edge"} or {"height", "width"}');
}

/**
 * From transformers' preprocessor_config.json, or the image_processor of its processor_config.json.
 * @param {any} document
 * @param {number} image the model's picture size
 * @param {string} name for messages
 * @returns {Preprocessing}
 */
export function fromImageProcessor(document, image, name) {
  const typeKey = document.image_processor_type ? 'image_processor_type' : 'feature_extractor_type';
  const type = document[typeKey] ?? 'CLIPImageProcessor';
  const [, kind = ''] = /^(\w+?)(?:ImageProcessor(?:Fast|Pil)?|FeatureExtractor)$/.exec(type) ?? [];
  if (!Object.hasOwn(PROCESSORS, kind)) throw unsupported(name, typeKey, type, 'CLIPImageProcessor');
  const theirs = PROCESSORS[kind];
  const skipped = Object.entries(document).filter(([key, value]) => key.startsWith('do_') && value === false);
  checkKeys(name, '', document, {
    ...PROCESSOR_KEYS,
    harmless: [...PROCESSOR_KEYS.harmless, ...skipped.map(([key]) => key)],
  });
  const flag = (key, otherwise = true) => {
    const value = document[key] ?? otherwise;
    if (typeof value === 'boolean') return value;
    throw unsupported(name, key, value, 'true or false');
  };
  const square = flag('default_to_square', theirs.square);
  const size = flag('use_square_size', false) ? [224, 224] : sides(name, 'size', document.size ?? image, square);
  const isCropped = flag('do_center_crop', theirs.crop);
  const crop = isCropped ? [sides(name, 'crop_size', document.crop_size ?? image, true)].flat() : [];
  for (const side of crop) {
    if (side !== image) throw unsupported(name, 'crop_size', side, `${image}, the model's size`);
  }
  if (!isCropped && !flag('do_resize')) throw unsupported(name, 'do_resize', false, 'true where nothing is cropped');
  if (!isCropped && String(size) !== String([image, image])) {
    throw unsupported(
      name,
      'size',
      document.size,
      `{"height":${image},"width":${image}} where do_center_crop is false`,
    );
  }
  const filter = Object.keys(RESAMPLE).find((one) => RESAMPLE[one] === (document.resample ?? theirs.resample));
  if (!filter) throw unsupported(name, 'resample', document.resample, '0 to 5');

  const factor = document.rescale_factor ?? 1 / 255;
  if (!(typeof factor === 'number' && factor > 1e-9 && factor < 1e9))
    throw unsupported(name, 'rescale_factor', factor, '1e-9 to 1e9');
  // (v f - mean) / std = (v / 255 - mean / 255 f) / (std / 255 f)
  const scale = !flag('do_rescale') ? 255 : factor === 1 / 255 ? 1 : factor * 255;
  const isNormal = flag('do_normalize');
  const mean = isNormal ? colours(name, 'image_mean', document.image_mean ?? theirs.mean) : [0, 0, 0];
  const std = isNormal ? colours(name, 'image_std', document.image_std ?? theirs.std) : [1, 1, 1];
  const [height, width = 0] = [size].flat();
  const resized = typeof size === 'number' ? FITS.shortest : FITS.exact;
  return {
    mean: mean.map((value) => value / scale),
    std: std.map((value) => value / scale),
    transform: {
      ...{ fit: flag('do_resize') ? resized : FITS.none, height, width },
      ...{ filter: FILTERS.indexOf(filter), fill: [0, 0, 0] },
    },
  };
}
