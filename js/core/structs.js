/**
 * The structs of src/mudpt.h as they lie in wasm32 memory. Every field is 4 bytes wide and aligned to 4, or 8 and at a
 * multiple of 8, so a field begins where the one before it ends; nothing else in js/ knows a layout.
 */

/**
 * @typedef {'i32' | 'u32' | 'f32' | 'f64'} FieldType
 * @typedef {{ bytes: number, fields: { name: string, type: FieldType, count?: number, offset: number }[] }} Layout
 */

/** @param {FieldType} type */
const sizeOf = (type) => (type === 'f64' ? 8 : 4);

/**
 * @param {[name: string, type: FieldType, count?: number][]} fields in the order of the C declaration
 * @returns {Layout}
 */
function struct(fields) {
  let offset = 0;
  const placed = fields.map(([name, type, count]) => {
    const field = { name, type, count, offset };
    offset += sizeOf(type) * (count ?? 1);
    return field;
  });
  return { bytes: offset, fields: placed };
}

const SETTERS = { i32: 'setInt32', u32: 'setUint32', f32: 'setFloat32' };
const GETTERS = { i32: 'getInt32', u32: 'getUint32', f32: 'getFloat32', f64: 'getFloat64' };

/**
 * Writes `values` at `address`; a field that `values` lacks becomes 0.
 * @param {Layout} layout
 * @param {DataView} memory
 * @param {number} address
 * @param {Record<string, any>} values
 */
export function writeStruct(layout, memory, address, values) {
  for (const { name, type, count, offset } of layout.fields) {
    const value = values[name] ?? 0;
    for (let i = 0; i < (count ?? 1); i++) {
      memory[SETTERS[type]](address + offset + 4 * i, count === undefined ? Number(value) : (value[i] ?? 0), true);
    }
  }
}

/**
 * @param {Layout} layout
 * @param {DataView} memory
 * @param {number} address
 * @returns {Record<string, any>}
 */
export function readStruct(layout, memory, address) {
  const values = {};
  for (const { name, type, count, offset } of layout.fields) {
    const at = (i) => memory[GETTERS[type]](address + offset + sizeOf(type) * i, true);
    values[name] = count === undefined ? at(0) : Array.from({ length: count }, (_, i) => at(i));
  }
  return values;
}

const TRANSFORM_FIELDS = /** @type {[string, FieldType, number?][]} */ ([
  ['fit', 'i32'],
  ['height', 'i32'],
  ['width', 'i32'],
  ['filter', 'i32'],
  ['cropDown', 'i32'],
  ['fill', 'i32', 3],
]);

/** mudpt_transform */
export const TRANSFORM = struct(TRANSFORM_FIELDS);

/** mudpt_tower @param {'vision' | 'text'} tower @returns {[string, FieldType, number?][]} */
const towerFields = (tower) => [
  [`${tower}Width`, 'i32'],
  [`${tower}Layers`, 'i32'],
  [`${tower}Heads`, 'i32'],
  [`${tower}Mlp`, 'i32'],
  [`${tower}Activation`, 'i32'],
  [`${tower}Epsilon`, 'f32'],
  [`${tower}LayerScale`, 'i32'],
  [`${tower}Pooling`, 'i32'],
  [`${tower}NoProjection`, 'i32'],
  [`${tower}ProjectionBias`, 'i32'],
];

/** mudpt_clip_config, whose towers' and transform's fields stand for themselves here */
export const CLIP_CONFIG = struct([
  ['image', 'i32'],
  ['patch', 'i32'],
  ...towerFields('vision'),
  ...towerFields('text'),
  ['embed', 'i32'],
  ['context', 'i32'],
  ['vocab', 'i32'],
  ['patchBias', 'i32'],
  ['noClass', 'i32'],
  ['noPreNorm', 'i32'],
  ['normAfterPool', 'i32'],
  ['rope', 'f32'],
  ['poolHeads', 'i32'],
  ['poolMlp', 'i32'],
  ['poolActivation', 'i32'],
  ['noMask', 'i32'],
  ['pad', 'i32'],
  ['noStart', 'i32'],
  ['logitBias', 'i32'],
  ['storage', 'i32'],
  ['mean', 'f32', 3],
  ['std', 'f32', 3],
  ['text', 'i32'],
  ['precision', 'i32'],
  ...TRANSFORM_FIELDS,
]);

/** mudpt_method */
export const METHOD = struct([
  ['method', 'u32'],
  ['textLength', 'i32'],
  ['textDepth', 'i32'],
  ['visualLength', 'i32'],
  ['visualDepth', 'i32'],
  ['layer0Fusion', 'i32'],
  ['classPosition', 'i32'],
  ['classSpecific', 'i32'],
  ['textWeight', 'f32'],
  ['imageWeight', 'f32'],
  ['klWeight', 'f32'],
  ['averages', 'i32'],
  ['layer', 'i32'],
  ['inserted', 'i32'],
  ['kept', 'f32'],
  ['second', 'f32'],
  ['alone', 'i32'],
  ['scale', 'f32'],
  ['space', 'i32'],
  ['rank', 'i32'],
  ['projectionRank', 'i32'],
]);

/** mudpt_sentences */
export const SENTENCES = struct([
  ['ids', 'u32'],
  ['lengths', 'u32'],
  ['nameLengths', 'u32'],
  ['stride', 'i32'],
  ['classes', 'i32'],
  ['templates', 'i32'],
]);

/** mudpt_parameter */
export const PARAMETER = struct([
  ['name', 'u32'],
  ['dims', 'i32'],
  ['shape', 'i32', 4],
  ['count', 'i32'],
  ['value', 'u32'],
  ['gradient', 'u32'],
  ['velocity', 'u32'],
  ['square', 'u32'],
  ['average', 'u32'],
  ['idle', 'i32'],
]);

/** mudpt_plan */
export const PLAN = struct([
  ['weights', 'f64'],
  ['activations', 'f64'],
  ['pixels', 'f64'],
  ['prompts', 'f64'],
  ['optimizer', 'f64'],
  ['largest', 'f64'],
  ['kept', 'f64'],
  ['group', 'i32'],
  ['parts', 'i32'],
]);

/** mudpt_train_config */
export const TRAIN_CONFIG = struct([
  ['epochs', 'i32'],
  ['batch', 'i32'],
  ['rate', 'f32'],
  ['warmupRate', 'f32'],
  ['momentum', 'f32'],
  ['decay', 'f32'],
  ['seed', 'u32'],
  ['augment', 'i32'],
  ['smallestCrop', 'f32'],
  ['how', 'i32'],
  ['averageMean', 'f32'],
  ['averageDeviation', 'f32'],
  ['keep', 'f32'],
]);

/** mudpt_progress */
export const PROGRESS = struct([
  ['epoch', 'i32'],
  ['epochs', 'i32'],
  ['step', 'i32'],
  ['steps', 'i32'],
  ['loss', 'f32'],
  ['rate', 'f32'],
]);

/** mudpt_head_config */
export const HEAD_CONFIG = struct([
  ['method', 'u32'],
  ['classes', 'i32'],
  ['templates', 'i32'],
  ['width', 'i32'],
  ['before', 'i32'],
  ['pictures', 'i32'],
  ['views', 'i32'],
  ['scale', 'f32'],
  ['alpha', 'f32'],
  ['beta', 'f32'],
  ['lambda', 'f32'],
  ['rate', 'f32'],
  ['epochs', 'i32'],
  ['stepsEach', 'i32'],
  ['batch', 'i32'],
  ['seed', 'u32'],
]);

/**
 * What js/core/core.js takes and gives in their place.
 *
 * @typedef {object} HeadConfig as in src/mudpt.h; what is absent is 0
 * @property {string} method
 * @property {number} classes
 * @property {number} templates
 * @property {number} width
 * @property {number} [before]
 * @property {number} pictures
 * @property {number} views
 * @property {number} [scale]
 * @property {number} [alpha]
 * @property {number} [beta]
 * @property {number} [lambda]
 * @property {number} [rate]
 * @property {number} [epochs]
 * @property {number} [stepsEach]
 * @property {number} [batch]
 * @property {number} [seed]
 *
 * @typedef {object} ClipConfig sizes of a model, as in src/mudpt.h
 * @property {number} image
 * @property {number} patch
 * @property {number} visionWidth
 * @property {number} visionLayers
 * @property {number} visionHeads
 * @property {number} visionMlp
 * @property {number} textWidth
 * @property {number} textLayers
 * @property {number} textHeads
 * @property {number} textMlp
 * @property {number} embed
 * @property {number} context
 * @property {number} vocab
 * @property {number} [visionActivation] a value of ACTIVATIONS, as textActivation; what is absent is 0: as in CLIP
 * @property {number} [visionEpsilon]
 * @property {number | boolean} [visionLayerScale]
 * @property {number} [visionPooling] a value of POOLING, as textPooling
 * @property {number | boolean} [visionNoProjection]
 * @property {number | boolean} [visionProjectionBias]
 * @property {number} [textActivation]
 * @property {number} [textEpsilon]
 * @property {number | boolean} [textLayerScale]
 * @property {number} [textPooling]
 * @property {number | boolean} [textNoProjection]
 * @property {number | boolean} [textProjectionBias]
 * @property {number | boolean} [patchBias]
 * @property {number | boolean} [noClass]
 * @property {number | boolean} [noPreNorm]
 * @property {number | boolean} [normAfterPool]
 * @property {number} [rope] the angles' base
 * @property {number} [poolHeads]
 * @property {number} [poolMlp]
 * @property {number} [poolActivation]
 * @property {number | boolean} [noMask]
 * @property {number} [pad] a token's id
 * @property {number | boolean} [noStart]
 * @property {number | boolean} [logitBias]
 * @property {number} [storage] a value of core.js's DTYPES, or -1 (default): as sent
 * @property {number[]} mean
 * @property {number[]} std
 * @property {number} [text] a value of TEXT
 * @property {number} [precision] a value of PRECISIONS
 * @property {Transform} [transform] default: CLIP's own
 *
 * @typedef {object} Transform what a picture is made into; what is absent is 0
 * @property {number} [fit]
 * @property {number} [height]
 * @property {number} [width]
 * @property {number} [filter]
 * @property {number} [cropDown]
 * @property {number[]} [fill]
 *
 * @typedef {object} Method what a method uses; what is absent is 0
 * @property {string} method
 * @property {number} [textLength]
 * @property {number} [textDepth]
 * @property {number} [visualLength]
 * @property {number} [visualDepth]
 * @property {number | boolean} [layer0Fusion]
 * @property {number} [classPosition]
 * @property {number | boolean} [classSpecific]
 * @property {number} [textWeight]
 * @property {number} [imageWeight]
 * @property {number} [klWeight]
 * @property {number | boolean} [averages]
 * @property {number} [layer]
 * @property {number | boolean} [inserted]
 * @property {number} [kept]
 * @property {number} [second]
 * @property {number} [alone]
 * @property {number} [scale]
 * @property {number} [space]
 * @property {number} [rank]
 * @property {number} [projectionRank]
 *
 * @typedef {object} Sentences
 * @property {ArrayLike<number>[][]} ids [templates][classes]: the ids of a sentence, both specials included
 * @property {ArrayLike<number>} [nameLengths] [classes]
 *
 * @typedef {{ name: string, shape: number[], count: number, value: number, gradient: number, velocity: number,
 *   square: number, average: number, idle: number }} Parameter all from value to average are addresses; 0 where there
 *   are none (yet); idle: 1 where nothing depends on it
 *
 * @typedef {{ weights: number, activations: number, pixels: number, prompts: number, optimizer: number,
 *   kept: number, group: number }} Plan bytes
 *
 * @typedef {{ epoch: number, epochs: number, step: number, steps: number, loss: number, rate: number }} Progress
 */
