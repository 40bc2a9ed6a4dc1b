/**
 * The heads as one table, and a head from its data: classifiers of features that were computed once. The mathematics
 * are the library's (src/heads); adding a head is a row here, and a file and a row there.
 *
 *   const library = await startHeads();                 // the module of heads, see js/core/heads-module.js
 *   const head = createHead(library, { head: 'clap', scale, classes, pictures, labels });
 *   for (const { step, loss } of head.train()) …        // nothing to do for closed forms
 *   head.logits(features);                              // [count, classes]
 *   head.dispose();
 *
 * It knows neither pictures nor sentences, and imports nothing that loads a model.
 */
import { MudptError } from '../base/errors.js';
import { LibraryHead, headBytes as libraryBytes } from '../core/heads.js';

export { startHeads } from '../core/heads-module.js';

/**
 * @typedef {{ data: Float32Array, dims: number[] }} Values
 * @typedef {Record<string, number>} HeadSettings
 *
 * @typedef {object} HeadRow
 * @property {string} title
 * @property {string} trains one line: what is learned
 * @property {string} from the paper, the authors' code as it was read, and where the defaults come from
 * @property {boolean} [before] whether it sees features before the projection, and takes the projection
 * @property {boolean} [trained] whether it has steps
 * @property {'learned' | 'text' | false} newNames what a name that is added later has: what was learned, its text
 *   alone, or nothing: then it cannot be added
 * @property {number} views of each picture, the plain one included, that its authors train on; more than it uses are
 *   not looked at
 * @property {boolean} [everyClass] whether a class without pictures is refused
 * @property {HeadSettings} defaults which need no validation set; these are its settings and no others
 * @property {(counts: { pictures: number, classes: number }) => HeadSettings} [derived] defaults that follow from the
 *   data
 *
 * @typedef {object} HeadOptions
 * @property {string} head a key of HEADS
 * @property {number} [scale] what cosines are multiplied by: the model's exp(logit_scale), or the 100 of some papers
 * @property {Values} classes [K, C, e] text features of each template, as they leave the tower
 * @property {Values} [projection] [d_v, e] core.clipProjection; for heads that see features before it
 * @property {ArrayLike<number>} [labels] [N]
 * @property {HeadSettings} [settings] over the defaults
 * @property {number} [seed]
 */

const CLAP = 'Silva-Rodríguez et al., CVPR 2024; jusiro/CLAP dbdf409';
const TIP = 'Zhang et al., ECCV 2022; gaopengcuhk/Tip-Adapter d0e2d6f';

/** @type {Readonly<Record<string, HeadRow>>} */
export const HEADS = Object.freeze({
  sstext: {
    title: 'SS-Text',
    trains: "each class's text feature is pulled towards the sum of its pictures",
    from: 'Silva-Rodríguez et al., 2025; jusiro/SS-Text 4ff4897; no free number',
    newNames: 'text',
    views: 1,
    defaults: {},
  },
  'sstext+': {
    title: 'SS-Text+',
    trains: 'the same with a weight for each class, and classes repelled from their mean',
    from: 'Silva-Rodríguez et al., 2025; jusiro/SS-Text 4ff4897; no free number',
    newNames: 'text',
    views: 1,
    defaults: {},
  },
  gda: {
    title: 'GDA',
    trains: 'Gaussians of one covariance, in closed form, beside the text',
    from: 'Wang et al., ICLR 2024; mrflogs/ICLR24 560fe21, which searches alpha on a validation set: ours was measured',
    newNames: 'learned',
    everyClass: true,
    views: 10,
    defaults: { alpha: 2 },
  },
  tip: {
    title: 'Tip-Adapter',
    trains: 'nothing: pictures are kept as keys beside the text',
    from: `${TIP}, which searches both: ours were measured, within the range of its configurations`,
    newNames: 'text',
    views: 10,
    defaults: { alpha: 10, beta: 5.5 },
  },
  'tip-f': {
    title: 'Tip-Adapter-F',
    trains: 'the same keys, by AdamW',
    from: `${TIP}; the last epoch, as there is no validation set`,
    trained: true,
    newNames: 'text',
    views: 10,
    defaults: { alpha: 10, beta: 5.5, rate: 1e-3, epochs: 20, batch: 256 },
  },
  'lp++': {
    title: 'LP++',
    trains: 'a linear classifier and a weight of the text for each class; rates from the data',
    from: 'Huang et al., CVPR 2024; FereshteShakeri f81054f; the last step, as there is no validation set',
    trained: true,
    newNames: false,
    views: 1,
    defaults: { epochs: 300 },
  },
  clap: {
    title: 'CLAP',
    trains: 'class directions, held near the text the more the better it was',
    from: `${CLAP}, SGD_lr1e-1_B256_ep300, where class features have the length they leave the tower with (raw 1)`,
    trained: true,
    newNames: 'text',
    views: 20,
    defaults: { rate: 0.1, epochs: 300, batch: 256, raw: 0 },
  },
  prolip: {
    title: 'ProLIP',
    trains: "the image tower's last projection, held near the model's",
    from: 'Fahes et al., 2024; astra-vision/ProLIP b43e795, few_shot_no_val_lr1e-3_lambda_1_N',
    before: true,
    trained: true,
    newNames: 'learned',
    views: 300,
    defaults: { rate: 1e-3, epochs: 300, lambda: NaN },
    derived: ({ pictures, classes }) => ({ lambda: classes / pictures }),
  },
  ridge: {
    title: 'ridge',
    trains: "a linear classifier of unprojected features beside the text's logits, in closed form",
    from: 'one step of `logistic`',
    before: true,
    newNames: false,
    views: 10,
    defaults: { lambda: NaN },
    derived: ({ pictures }) => ({ lambda: 5 / pictures }),
  },
  logistic: {
    title: 'logistic',
    trains: "a linear classifier of unprojected features beside the text's logits",
    from: 'Böhning and Lindsay 1988 for the steps; lambda was measured',
    before: true,
    trained: true,
    newNames: false,
    views: 10,
    defaults: { rate: 1, epochs: 50, lambda: NaN },
    derived: ({ pictures }) => ({ lambda: 5 / pictures }),
  },
});

/** What heads of the library are told of a scale of their own. */
const WITHOUT_SCALE = ['lp++'];

/**
 * A head's settings on data: its defaults, those that follow from the data, what is given.
 * @param {string} head
 * @param {HeadSettings} settings
 * @param {{ pictures: number, classes: number, rows: number }} counts
 */
function resolve(head, settings, counts) {
  const row = Object.hasOwn(HEADS, head) ? HEADS[head] : undefined;
  if (!row) throw new MudptError('argument', `there is no head "${head}"`, Object.keys(HEADS).join(', '));
  const resolved = { ...row.defaults, ...row.derived?.(counts) };
  for (const [key, value] of Object.entries(settings)) {
    if (value === undefined) continue;
    const names = Object.keys(row.defaults).join(', ') || 'none';
    if (!Object.hasOwn(row.defaults, key))
      throw new MudptError('argument', `there is no setting "${key}" of ${head}`, `settings of ${head}: ${names}`);
    if (typeof value !== 'number' || Number.isNaN(value))
      throw new MudptError('argument', `${key} is ${value}, expected a number`);
    resolved[key] = value;
  }
  if (!counts.pictures && row.derived) resolved.lambda = settings.lambda ?? 1; // of no use without pictures
  if (resolved.batch) resolved.batch = Math.min(resolved.batch, Math.max(counts.rows, 1));
  return resolved;
}

/** @param {HeadOptions} options @param {number} pictures @param {number} views */
function configOf({ head, scale, classes, projection, settings = {}, seed = 1 }, pictures, views) {
  const [templates, count, width] = classes.dims;
  const resolved = resolve(head, settings, { pictures, classes: count, rows: pictures * views });
  return {
    ...{ method: head, classes: count, templates, width, pictures, views, seed, ...resolved },
    ...(HEADS[head].before && { before: projection?.dims[0] ?? 0 }),
    ...(!WITHOUT_SCALE.includes(head) && { scale: scale ?? NaN }),
  };
}

/**
 * Class features as a head takes them. CLAP's rate of 0.1 turns a long one little: on a small model it then learns next
 * to nothing, so unless `raw` is asked for they have length one.
 * @param {string} head
 * @param {Record<string, unknown>} settings
 * @param {Values} classes
 */
function classesFor(head, settings, { data, dims }) {
  if (head !== 'clap' || settings.raw) return data;
  const width = dims[2];
  const lengths = Array.from({ length: data.length / width }, (_, row) =>
    Math.hypot(...data.subarray(row * width, (row + 1) * width)),
  );
  // A feature without a length stays what it is, for the library to refuse.
  return data.map((value, i) => value / (lengths[Math.floor(i / width)] || 1));
}

/** @param {string} what @param {Values | undefined} values @param {number} dims */
function requireDims(what, values, dims) {
  if (values?.dims?.length === dims && values.data.length === values.dims.reduce((a, b) => a * b, 1)) return;
  const got = values?.dims ? `[${values.dims}] and ${values.data.length} values` : 'none';
  throw new MudptError('argument', `${what}: expected ${dims} dims and as many values, got ${got}`);
}

/** A classifier of features; everything it was given is copied. */
export class Head {
  #head;

  /** @param {LibraryHead} head @param {string} name @param {HeadSettings} settings */
  constructor(head, name, settings) {
    this.#head = head;
    this.name = name;
    /** As they were used. */
    this.settings = settings;
  }

  /** Classes, in the order of the logits' columns. */
  get classes() {
    return this.#head.config.classes;
  }

  /** Goes through the steps that are left, one at a time: who iterates may pause or stop between two. */
  *train() {
    for (let progress = this.#head.step(); progress; progress = this.#head.step()) yield progress;
  }

  /** @param {Float32Array} features as they leave the tower: [count, e], or before the projection [count, d_v] */
  logits(features) {
    return this.#head.logits(features);
  }

  /** A head of other names alone, whose columns stand beside this one's. @param {Values} classes [K, count, e] */
  newClasses(classes) {
    requireDims('classes', classes, 3);
    const data = classesFor(this.name, this.settings, classes);
    return new Head(this.#head.createNew(data), this.name, this.settings);
  }

  /** What it has learned, by name; restoreHead() takes it. @returns {Record<string, Values>} */
  tensors() {
    const values = this.#head.values();
    const entries = this.#head.parameters().map(({ name, shape }) => [name, { data: values.get(name), dims: shape }]);
    return Object.fromEntries(entries);
  }

  dispose() {
    this.#head.dispose();
  }
}

/**
 * A head from features of pictures. Closed forms are complete then; others are where training starts.
 * @param {import('../core/library.js').Library} library
 * @param {HeadOptions & { pictures: Values }} options pictures: [V, N, e], or [V, N, d_v] before the projection, as
 *   they leave the tower; view 0 is the plain picture
 * @returns {Head}
 */
export function createHead(library, options) {
  const { head, classes, pictures, projection, labels } = options;
  requireDims('classes', classes, 3);
  requireDims('pictures', pictures, 3);
  if (HEADS[head]?.before) requireDims('projection', projection, 2);
  const [views, count] = pictures.dims;
  const config = configOf(options, count, views);
  const arrays = { templates: classesFor(head, config, classes), features: pictures.data, labels };
  const made = LibraryHead.create(library, config, { ...arrays, projection: config.before ? projection?.data : null });
  return new Head(made, head, settingsOf(head, config));
}

/**
 * A head from what one has learned, without steps.
 * @param {import('../core/library.js').Library} library
 * @param {HeadOptions & { tensors: Record<string, Values>, pictures?: number }} options pictures: how many there were,
 *   where labels are given (tip, tip-f)
 * @returns {Head}
 */
export function restoreHead(library, options) {
  const { head, classes, projection, labels, tensors, pictures = labels?.length ?? 1 } = options;
  requireDims('classes', classes, 3);
  if (HEADS[head]?.before) requireDims('projection', projection, 2);
  const config = configOf(options, pictures, 1);
  const templates = classesFor(head, config, classes);
  const arrays = { templates, projection: config.before ? projection?.data : null, labels };
  const made = LibraryHead.create(library, config, arrays);
  try {
    made.set(Object.fromEntries(Object.entries(tensors).map(([name, { data }]) => [name, data])));
    return new Head(made, head, settingsOf(head, config));
  } catch (error) {
    made.dispose();
    throw error;
  }
}

/** Bytes that createHead() takes, before anything is taken. @param {import('../core/library.js').Library} library */
export function headBytes(library, { head, classes, templates = 1, width, before = 0, pictures, views = 1, settings }) {
  const data = new Float32Array(0);
  const options = { head, scale: 1, classes: { data, dims: [templates, classes, width] }, settings };
  return libraryBytes(library, configOf({ ...options, projection: { data, dims: [before, width] } }, pictures, views));
}

const settingsOf = (head, config) =>
  Object.fromEntries(Object.keys(HEADS[head].defaults).map((key) => [key, config[key]]));
