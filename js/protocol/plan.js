/**
 * The protocols of prompt tuning's papers as lists of jobs that do not depend on each other. A job is one run: train
 * once (zero-shot: not at all), test on one or more sets of pictures.
 *
 * A job's id ends in a hash of everything that its result depends on: the library's version, the model, the method's
 * settings, and the data. So the same job has the same id on every machine, and a job that would give another result
 * has another one.
 */
import { createHash } from 'node:crypto';
import { MudptError } from '../base/errors.js';
import { HEADS } from '../heads/heads.js';
import { METHODS, TRAINABLE } from '../methods/methods.js';
import { DEFAULT_TEMPLATE } from '../methods/sentences.js';
import { checkOption, hasOption, resolveSettings } from '../methods/settings.js';
import { fileName } from '../node/names.js';
import { classesOf, examplesOf, sameNames, setFault } from './sets.js';

/** Columns of the tables beside those of data sets, which therefore cannot be called so. */
export const AVERAGE = 'average';
export const OTHERS = 'average of others';

/** Names, what they are called, and the shots that they are run with by default. */
export const PROTOCOLS = {
  'few-shot': { title: 'Few-shot recognition', shots: [1, 2, 4, 8, 16] },
  'base-to-new': { title: 'Base-to-new generalization', shots: [16] },
  'cross-dataset': { title: 'Cross-data-set transfer', shots: [16] },
  'domain-generalization': { title: 'Domain generalization', shots: [16] },
};

/** Titles of all that can be run: methods of prompts, then heads. @type {Record<string, string>} */
export const TITLES = Object.fromEntries(
  [...Object.entries(METHODS), ...Object.entries(HEADS)].map(([name, { title }]) => [name, title]),
);
const isHead = (method) => Object.hasOwn(HEADS, method);
const isTrained = (method) => TRAINABLE.includes(method) || isHead(method);

/**
 * @typedef {import('./sets.js').DataSet} DataSet
 * @typedef {import('./sets.js').Part} Part
 * @typedef {import('../methods/method.js').Settings} Settings
 *
 * @typedef {{ name: string, set: DataSet, part: Part }} Test  `name` is its column in tables
 *
 * @typedef {object} Context  what all jobs of a sweep have in common
 * @property {string} library      version
 * @property {string} variant      'plain' or 'relaxed'; they differ by rounding
 * @property {string} precision    'high' or 'fast'
 * @property {string} fingerprint  of the model
 * @property {string} dtype        of the weights, as asked for
 * @property {true} [upright]      where pictures are turned as their EXIF orientation says
 * @property {'transformers'} [convention]  what is done to pictures, as there
 * @property {number} weightBytes  tells how they are kept where that was not asked for
 *
 * @typedef {object} Identity  what a job's result depends on, and nothing else
 * @property {Context} context
 * @property {string} protocol
 * @property {string} data         name of the data set that it trains on, or that zero-shot stands beside
 * @property {string} method
 * @property {number | null} shots  null for zero-shot
 * @property {number | null} seed
 * @property {Settings | null} settings
 * @property {{ hash: string, part: Part, published?: string } | null} train  published: hash of the pictures, where
 *   others have drawn them
 * @property {{ name: string, hash: string, part: Part, template?: string }[]} tests
 *
 * @typedef {object} Job
 * @property {string} id
 * @property {Identity} identity
 * @property {{ set: DataSet, part: Part, published?: import('./published.js').Drawn } | null} train
 * @property {(Test & { template: string })[]} tests
 *
 * @typedef {object} Sweep
 * @property {string} protocol
 * @property {{ set: DataSet, targets: DataSet[] }[]} sources  what is trained on, and what it is tested on beside its
 *   own test pictures: other data sets, or the same classes in other styles
 * @property {string[]} methods
 * @property {number[]} shots
 * @property {number[]} seeds
 * @property {Change[]} changes   of the methods' defaults
 * @property {(set: DataSet, shots: number, seed: number) => import('./published.js').Drawn} [published]  what others
 *   have drawn, instead of the library's own choice
 *
 * @typedef {{ method?: string, key: string, value: unknown }} Change  without a method: of all that have the option
 */

/**
 * All jobs, data set by data set; zero-shot first.
 * @param {Sweep} sweep
 * @param {Context} context
 * @param {import('../methods/method.js').ClipConfig} model  sizes
 * @returns {Job[]}
 */
export function planJobs(sweep, context, model) {
  const { protocol, methods, shots, seeds, changes } = sweep;
  checkChanges(methods, changes);
  requireDifferent(sweep.sources.map(({ set }) => set));
  return sweep.sources.flatMap(({ set, targets }) => {
    requireDifferent([set, ...targets]);
    const { train, tests } = layOut(protocol, set, targets);
    const base = { context, protocol, data: set.name };
    const job = (method, settings) => {
      const trained = settings !== null;
      const published = trained ? sweep.published?.(set, settings.shots, settings.seed) : undefined;
      if (settings?.classSpecific) checkTransfer(`${method} with class-specific context`, train, tests);
      if (isHead(method) && !HEADS[method].newNames) checkTransfer(`the head ${method}`, train, tests);
      /** @type {Identity} */
      const identity = {
        ...{ ...base, method, shots: settings?.shots ?? null, seed: settings?.seed ?? null, settings },
        train: trained
          ? { hash: train.set.hash, part: train.part, ...(published && { published: published.hash }) }
          : null,
        tests: tests.map(({ name, set: { hash }, part, template }) => {
          return { name, hash, part, ...((!trained || isHead(method)) && { template }) };
        }),
      };
      return { id: idOf(identity), identity, train: trained ? { ...train, published } : null, tests };
    };
    const settingsOf = (method, shot, seed) => {
      const own = changes.filter((change) => appliesTo(change, method)).map(({ key, value }) => [key, value]);
      if (isHead(method)) return { shots: shot, seed, ...headSettings(method), ...Object.fromEntries(own) };
      return resolveSettings({ ...Object.fromEntries(own), method, shots: shot, seed }, model).settings;
    };
    return [
      ...methods.filter((method) => !isTrained(method)).map((method) => job(method, null)),
      ...shots.flatMap((shot) =>
        seeds.flatMap((seed) => methods.filter(isTrained).map((method) => job(method, settingsOf(method, shot, seed)))),
      ),
    ];
  });
}

/**
 * What a protocol trains and tests on.
 * @param {string} protocol
 * @param {DataSet} set
 * @param {DataSet[]} targets
 * @returns {{ train: { set: DataSet, part: Part }, tests: (Test & { template: string })[] }}
 */
function layOut(protocol, set, targets) {
  const test = (name, from, part) => {
    if (!examplesOf(from, part, 'test').length) {
      const which = part === 'all' ? '' : ` of its ${part} classes`;
      throw setFault(from, `has no test pictures${which}`, 'add some');
    }
    return { name, set: from, part, template: from.dataset.template ?? DEFAULT_TEMPLATE };
  };
  const count = set.dataset.classes.length;
  if (protocol === 'base-to-new') {
    if (count < 4) {
      const halves = 'two halves of at least two classes each';
      throw setFault(set, `has ${count} classes; base-to-new needs ${halves}`, 'give a data set of 4 classes or more');
    }
    return { train: { set, part: 'base' }, tests: [test('base', set, 'base'), test('new', set, 'new')] };
  }
  for (const each of [set, ...targets]) {
    if (each.dataset.classes.length < 2) throw setFault(each, 'has one class only', 'give a data set of 2 or more');
  }
  if (protocol === 'domain-generalization') for (const target of targets) requireSameClasses(set, target);
  return { train: { set, part: 'all' }, tests: [set, ...targets].map((each) => test(each.name, each, 'all')) };
}

/** Domain generalization tests the classes that were trained, or some of them. */
function requireSameClasses(set, target) {
  const known = new Set(set.dataset.classes);
  const foreign = target.dataset.classes.filter((name) => !known.has(name));
  if (!foreign.length) return;
  const more = foreign.length > 1 ? ` (and ${foreign.length - 1} more)` : '';
  throw setFault(
    target,
    `class "${foreign[0]}"${more} is not one of ${set.name}; domain generalization tests the same classes`,
    'rename the classes, or use cross-dataset',
  );
}

/** Tables tell data sets apart by their names. */
function requireDifferent(sets) {
  const seen = new Map();
  for (const set of sets) {
    if ([AVERAGE, OTHERS].includes(set.name)) {
      throw setFault(set, `has the name of a column of the tables, "${set.name}"`, 'rename its folder');
    }
    const other = seen.get(set.name);
    if (other) throw setFault(set, `has the name of ${other.source}: ${set.name}`, 'rename its folder or leave it out');
    seen.set(set.name, set);
  }
}

/**
 * Context of its own for every class says nothing of classes that were not trained, nor does a weight for each class.
 */
function checkTransfer(what, train, tests) {
  const own = classesOf(train.set, train.part);
  const foreign = tests.find(({ set, part }) => !sameNames(own, classesOf(set, part)));
  if (!foreign) return;
  throw new MudptError(
    'argument',
    `${what} cannot be tested on ${foreign.name}, whose classes were not trained`,
    'leave it out, or use the protocol few-shot',
  );
}

// ------------------------------------------------------------------------------------------ changed defaults

/** Whether a method's default is changed. @param {Change} change @param {string} method */
export const appliesTo = ({ method: only, key }, method) =>
  only === undefined ? hasSetting(method, key) : only === method;

const hasSetting = (method, key) =>
  isHead(method) ? Object.hasOwn(HEADS[method].defaults, key) : hasOption(method, key);

/** A head's defaults, but for those that follow from the pictures. @param {string} head */
const headSettings = (head) =>
  Object.fromEntries(Object.entries(HEADS[head].defaults).filter(([, value]) => Number.isFinite(value)));

/** @param {string} head @param {string} key @param {unknown} value */
function checkHeadSetting(head, key, value) {
  const names = Object.keys(HEADS[head].defaults).join(', ') || 'none';
  if (!hasSetting(head, key))
    throw new MudptError('argument', `there is no setting "${key}" of ${head}`, `settings of ${head}: ${names}`);
  if (typeof value !== 'number') throw new MudptError('argument', `${key} of ${head} is ${value}, expected a number`);
}

/** Every change must be one that some method of the sweep takes. */
function checkChanges(methods, changes) {
  const trained = methods.filter(isTrained);
  for (const { method, key, value } of changes) {
    for (const each of trained)
      if (isHead(each) && appliesTo({ method, key, value }, each)) checkHeadSetting(each, key, value);
    if (key === 'shots' || key === 'seed') {
      throw new MudptError('argument', `${key} cannot be set for a method`, `use --${key === 'seed' ? 'seeds' : key}`);
    }
    if (method === undefined) {
      const known = trained.some((each) => appliesTo({ key, value }, each));
      const [first = 'mudpt'] = trained;
      if (!known && isHead(first)) checkHeadSetting(first, key, value);
      else if (!known) checkOption(first, key);
    } else if (!trained.includes(method)) {
      const valid = trained.join(', ') || 'none of this sweep';
      throw new MudptError('argument', `there is nothing to set for ${method}`, `methods that train: ${valid}`);
    } else if (!isHead(method)) checkOption(method, key);
  }
}

// ------------------------------------------------------------------------------------------ identity

/**
 * @param {Identity} identity
 * @returns {string} also a file name: few-shot-pets-mudpt-16shots-seed1-0123456789ab
 */
export function idOf(identity) {
  const { protocol, data, method, shots, seed } = identity;
  const name = [...fileName(data)].slice(0, 40).join('');
  const run = shots === null ? [] : [`${shots}shots`, `seed${seed}`];
  return [protocol, name, method, ...run, hashOf(identity)].join('-');
}

/** 12 hexadecimal digits; the order of an object's keys does not count. */
function hashOf(identity) {
  const sorted = (_, value) =>
    value && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value;
  return createHash('sha256').update(JSON.stringify(identity, sorted)).digest('hex').slice(0, 12);
}
