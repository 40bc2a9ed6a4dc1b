/**
 * Features as a file: a .safetensors with one tensor, whose metadata say what the rows are of and what made them
 * (docs/file-formats.md).
 */
import { writeSafetensors } from '../loading/safetensors.js';

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
 */
export function writeFeatures({ data, dims }, { kind, names, labels, unit, projected, info }) {
  const { name, fingerprint, precision, convention } = info;
  const metadata = { format: FEATURES, version: VERSION, model: name, fingerprint, precision, convention };
  Object.assign(metadata, { unit: String(unit), projected: String(projected) });
  metadata[kind === 'image' ? 'paths' : 'texts'] = JSON.stringify(names);
  if (labels) metadata.labels = JSON.stringify(labels);
  return writeSafetensors([{ name: `${kind}_features`, dtype: 'F32', shape: [...dims], data }], metadata);
}
