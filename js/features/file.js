/**
 * Features as a file: a .safetensors with one tensor, whose metadata say what the rows are of and what made them
 * (docs/file-formats.md). Nothing in a file is believed before it has been checked.
 */
import { MudptError } from '../base/errors.js';
import { floatsOf, headerOf, writeSafetensors } from '../loading/safetensors.js';
import { otherModel } from '../loading/samples.js';

export const FEATURES = 'mudpt-features';
const VERSION = '1';

/**
 * @param {import('./embed.js').Features} features
 * @param {object} about
 * @param {'image' | 'text'} about.kind
 * @param {string[]} about.names a row's each: paths of pictures, or the texts
 * @param {string[]} [about.labels] a row's each
 * @param {boolean} about.unit
 * @param {boolean} about.projected
 * @param {any} about.info of the model, as Clip has it
 * @param {string} about.samples of its weights, as Clip has them
 */
export function writeFeatures({ data, dims }, { kind, names, labels, unit, projected, info, samples }) {
  const { name, fingerprint, precision, convention } = info;
  const metadata = { format: FEATURES, version: VERSION, model: name, fingerprint, samples, precision, convention };
  Object.assign(metadata, { unit: String(unit), projected: String(projected) });
  metadata[kind === 'image' ? 'paths' : 'texts'] = JSON.stringify(names);
  if (labels) metadata.labels = JSON.stringify(labels);
  return writeSafetensors([{ name: `${kind}_features`, dtype: 'F32', shape: [...dims], data }], metadata);
}

/** @param {string} text @returns {unknown} undefined where it is no JSON */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Pictures' features from a file.
 * @param {Uint8Array} bytes
 * @param {string} file its name, for messages
 * @param {any} info of the model that they must be of
 * @param {string} samples of its weights
 */
export function readPictureFeatures(bytes, file, { fingerprint, architecture }, samples) {
  const bad = (what, hint = 'make it again with mudpt embed, or save the index again') =>
    new MudptError('file', `${file}: ${what}`, hint);
  let header;
  try {
    header = headerOf(bytes, file);
  } catch (error) {
    throw error instanceof MudptError ? new MudptError('file', error.message, '', { cause: error }) : error;
  }
  const { metadata, tensors } = header;
  if (metadata.format !== FEATURES)
    throw bad('has no features', 'give a file that mudpt embed or index.export() wrote');
  if (metadata.version !== VERSION) throw bad(`is of version ${metadata.version}, expected ${VERSION}`);
  const tensor = tensors.find(({ name }) => name === 'image_features');
  if (!tensor) throw bad('has features of texts, not of pictures', 'give a file of pictures');
  const found = otherModel(/** @type {any} */ (metadata), { fingerprint, samples }, file);
  if (found) {
    const what = `was made with another model (${metadata.model}; ${found})`;
    throw bad(what, 'load that model, or index the pictures again');
  }
  if (metadata.projected !== 'true') throw bad('has features before the projection', 'leave out --no-projected');
  const [count, width] = tensor.shape;
  const isRows = tensor.dtype === 'F32' && tensor.shape.length === 2 && width === architecture.embed;
  if (!isRows) throw bad(`its tensor image_features is ${tensor.dtype} [${tensor.shape.join(', ')}]`);
  const names = parsed(metadata.paths);
  if (!Array.isArray(names) || names.length !== count || !names.every((name) => typeof name === 'string')) {
    throw bad(`does not have ${count} paths`);
  }
  const data = floatsOf(bytes, tensor);
  if (!data.every(Number.isFinite)) throw bad('holds NaN or infinity');
  return { data, dims: /** @type {[number, number]} */ ([count, width]), names };
}
