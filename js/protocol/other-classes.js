/**
 * The tuned prompts with other class names, as base-to-new and cross-data-set tests need them: the names go through the
 * tuned text tower, and pictures are judged among these classes alone.
 */
import { floatsOf, headerOf, intsOf, writeSafetensors } from '../loading/safetensors.js';

/** What a saved classifier has a row a class of. */
const BY_CLASS = ['text_features', 'class_ids'];

/**
 * @param {import('../index.js').Clip} clip
 * @param {import('../index.js').Classifier} tuned  stays as it is
 * @param {string[]} names
 * @returns {Promise<import('../index.js').Classifier>} to be disposed of
 */
export async function withOtherClasses(clip, tuned, names) {
  const known = rowsOf(tuned.classes, names);
  const fresh = names.filter((_, i) => known[i] < 0);
  const all = fresh.length ? await tuned.withClasses(fresh) : tuned;
  try {
    return await clip.import(chooseClasses(await all.export(), all.classes, names));
  } finally {
    if (all !== tuned) await all.dispose();
  }
}

/**
 * Where names stand among others; one that comes again has the next place of its own.
 * @param {string[]} classes
 * @param {string[]} names
 * @returns {number[]} -1: nowhere
 */
export function rowsOf(classes, names) {
  /** @type {Map<string, number[]>} */
  const places = new Map();
  for (const [i, name] of classes.entries()) places.set(name, [...(places.get(name) ?? []), i]);
  /** @type {Map<string, number>} */
  const taken = new Map();
  return names.map((name) => {
    const times = taken.get(name) ?? 0;
    taken.set(name, times + 1);
    return places.get(name)?.[times] ?? -1;
  });
}

/**
 * A saved classifier with some of its classes, in another order.
 * @param {Uint8Array} file
 * @param {string[]} classes  its own
 * @param {string[]} names    the wanted ones
 */
function chooseClasses(file, classes, names) {
  const { tensors, metadata } = headerOf(file, 'the classifier');
  const rows = rowsOf(classes, names);
  const chosen = tensors.map((tensor) => {
    const { name, dtype, shape } = tensor;
    const data = dtype === 'I32' ? intsOf(file, tensor) : floatsOf(file, tensor);
    if (!BY_CLASS.includes(name)) return { name, dtype, shape, data };
    const width = shape[1];
    const some = data.slice(0, rows.length * width);
    rows.forEach((row, i) => some.set(data.subarray(row * width, (row + 1) * width), i * width));
    return { name, dtype, shape: [rows.length, width], data: some };
  });
  // Among classes of which some were not trained no second feature of pictures counts, as in MMRL's code.
  const { alone = 0, ...rest } = metadata;
  const foreign = rows.some((row) => row >= classes.length - Number(alone)) && { alone: `${names.length}` };
  return writeSafetensors(chosen, { ...rest, ...foreign, classes: JSON.stringify(names) });
}
