/**
 * A head in a classifier's file (docs/file-formats.md): the file of its base, which says what model and which names it
 * is of, with the head's tensors and the features that it learned from. Its version is 2, so that libraries that know
 * no heads refuse it.
 */
import { MudptError, reasonOf } from '../base/errors.js';
import { CLASSIFIER, SavedFile } from '../classifier/saved.js';
import { HEADS } from '../heads/heads.js';
import { headerOf, intsOf, writeSafetensors } from '../loading/safetensors.js';
import { classValues, meanTexts, viewsOf } from './fit.js';
import { packed, rowsOf } from './source.js';

const VERSION = '2';
const LEARNED = 'head.';
const OWN = ['class_features', 'pictures', 'picture_views', 'picture_labels'];

/**
 * @param {Uint8Array} base what the base's export() gave
 * @param {object} what
 * @param {string[]} what.classes
 * @param {import('./fit.js').Facts} what.facts
 * @param {import('./fit.js').Recipe} what.recipe
 * @param {number} what.trained how many of the classes the head has seen
 * @param {Record<string, import('../heads/heads.js').Values>} [what.tensors] that it has learned
 */
export function writeInstant(base, { classes, facts, recipe, trained, tensors = {} }) {
  const file = new SavedFile(base, 'the classifier', [CLASSIFIER]);
  const { texts, rows, labels } = facts;
  const means = meanTexts(texts);
  const more = [tensor('text_features', [classes.length, means[0].length], packed(means))];
  const { data, dims } = classValues(texts);
  if (dims[0] > 1) more.push(tensor('class_features', dims, data));
  if (rows.length) {
    more.push(tensor('pictures', [rows.length, rows[0].length], packed(rows)));
    const others = viewsOf(facts).slice(1);
    if (others.length)
      more.push(tensor('picture_views', [others.length, rows.length, rows[0].length], packed(others.flat())));
    more.push({ name: 'picture_labels', dtype: 'I32', shape: [rows.length], data: Int32Array.from(labels) });
  }
  if (HEADS[recipe.head]?.trained)
    for (const [name, values] of Object.entries(tensors))
      more.push(tensor(`${LEARNED}${name}`, values.dims, values.data));
  const kept = file.contents().filter(({ name }) => name !== 'text_features');
  const { head, settings = {}, seed, weight = 1 } = recipe;
  return writeSafetensors([...kept, ...more], {
    ...file.metadata,
    version: VERSION,
    classes: JSON.stringify(classes),
    head: JSON.stringify({ name: head, settings, seed, trained, weight }),
  });
}

const tensor = (name, shape, data) => ({ name, dtype: 'F32', shape: [...shape], data });

/**
 * @param {Uint8Array} bytes
 * @param {string} name of the file, for messages
 * @returns {{ file: SavedFile, base: Uint8Array, head: any } | null} the file, that of its base, and what it says of
 *   its head; null where it is no such file
 */
export function openInstant(bytes, name) {
  let header;
  try {
    header = headerOf(bytes, name);
  } catch {
    return null;
  }
  const { metadata, tensors } = header;
  if (metadata.format !== CLASSIFIER || metadata.version !== VERSION || metadata.head === undefined) return null;
  const { head: said, ...rest } = { ...metadata, version: '1' };
  const contents = tensors.map(({ begin, bytes: size, ...each }) => {
    return { ...each, data: bytes.subarray(begin, begin + size) };
  });
  const isOwn = (each) => OWN.includes(each.name) || each.name.startsWith(LEARNED);
  const base = writeSafetensors(
    contents.filter((each) => !isOwn(each)),
    rest,
  );
  const file = new SavedFile(writeSafetensors(contents, rest), name, [CLASSIFIER]);
  let head;
  try {
    head = JSON.parse(said);
  } catch {
    throw file.bad('its metadata "head" is no valid JSON');
  }
  return { file, base, head };
}

/**
 * What it holds beyond its base; everything is checked.
 * @param {SavedFile} file
 * @param {any} head as it says
 * @param {{ architecture: Record<string, number> }} info of the model
 */
export function readInstant(file, head, { architecture: { embed, visionWidth } }) {
  const { classes, templates = [] } = file.details();
  const { name, settings, seed, trained, weight } = head ?? {};
  const isKnown = name === 'none' || (typeof name === 'string' && Object.hasOwn(HEADS, name));
  if (!isKnown) throw file.bad(`has the unknown head ${name}`, 'use a newer library');
  const isCount = Number.isInteger(trained) && trained >= 1 && trained <= classes.length;
  const isSettings = settings && typeof settings === 'object' && Object.values(settings).every(Number.isFinite);
  const isShare = typeof weight === 'number' && weight >= 0 && weight <= 1;
  if (!isCount || !isSettings || !isShare || !Number.isInteger(seed))
    throw file.bad('does not say how its head was made');
  const means = file.floats('text_features', [classes.length, embed]);
  if (!means) throw file.bad('has no tensor text_features');
  const each = file.floats('class_features', [-1, classes.length, embed]);
  const all = rowsOf(each?.values ?? means.values, embed);
  const count = classes.length;
  const texts = classes.map((_, i) => all.filter((_row, at) => at % count === i));
  const width = HEADS[name]?.before ? visionWidth : embed;
  const pictures = file.floats('pictures', [-1, width]);
  const rows = pictures ? rowsOf(pictures.values, width) : [];
  const others = pictures && file.floats('picture_views', [-1, rows.length, width]);
  const seen = others ? rowsOf(others.values, width) : [];
  const more = seen.length / rows.length;
  const views = others
    ? rows.map((_, i) => Array.from({ length: more }, (_view, v) => seen[v * rows.length + i]))
    : undefined;
  const labelled = pictures && file.find('picture_labels', 'I32', [rows.length]);
  if (pictures && !labelled) throw file.bad('has no tensor picture_labels');
  const labels = labelled ? Array.from(intsOf(file.bytes, labelled)) : [];
  if (!labels.every((label) => label >= 0 && label < trained)) throw file.bad('has a label that is no class');
  const learned = file.tensors.filter((each) => each.name.startsWith(LEARNED));
  const tensors = Object.fromEntries(
    learned.map(({ name: full, shape }) => [
      full.slice(LEARNED.length),
      { data: /** @type {any} */ (file.floats(full, shape)).values, dims: shape },
    ]),
  );
  return {
    classes,
    templates,
    texts,
    rows,
    views,
    labels,
    recipe: { head: name, settings, seed, weight },
    trained,
    tensors,
  };
}

/** What heads refuse of a file is its fault. @param {SavedFile} file @param {unknown} error */
export const asDamage = (file, error) =>
  error instanceof MudptError && error.code === 'argument' ? file.bad(reasonOf(error)) : error;
