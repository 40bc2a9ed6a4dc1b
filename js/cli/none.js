/** --none of eval and classify: whether pictures fit none of the classes, and how well that is told. */
import { Option } from 'commander';
import { MudptError } from '../base/errors.js';
import { calibrate, fitsOf } from '../classifier/judge.js';
import { auroc, passing } from '../features/unknown.js';
import { loadDataset } from '../node/datasets.js';
import { toName } from '../node/names.js';
import { decimal } from './options.js';
import { percent, plural, table } from './terminal.js';

/** @param {import('commander').Command} command @param {string} about */
export const withNone = (command, about) =>
  command
    .option('--none', about)
    .addOption(
      new Option('--false-alarms <share>', 'of pictures that do fit, with --none')
        .argParser(decimal(0, 0.99))
        .default(0.05),
    );

const spoken = (name) => String(toName(name)).toLowerCase();

/**
 * A data set in two: classes that are known, and test pictures of the others, which fit none.
 * @param {import('../node/datasets.js').Dataset} data
 * @param {{ classes: string[] } | null} classifier null: the first half is known
 * @param {Record<string, any>} options
 */
export function apartNone(data, classifier, { data: source, classifier: file, part }) {
  const half = Math.ceil(data.classes.length / 2);
  const names = classifier && new Set(classifier.classes.map(spoken));
  const isKnown = data.classes.map((name, i) => (names ? names.has(spoken(name)) : i < half));
  const [known, fresh] = [true, false].map((is) => isKnown.filter((each) => each === is).length);
  if (!known || !fresh || (!names && known < 2)) {
    const what = names
      ? `${known} of its ${data.classes.length} classes are among those of ${file}`
      : 'has too few classes';
    throw new MudptError('dataset', `${source}: ${what}`, 'give one that has some of them, and others');
  }
  if (part === 'train')
    throw new MudptError('argument', '--none looks at the training pictures first', 'measure on test or val');
  const place = isKnown.map((is, i) => (is ? isKnown.slice(0, i).filter(Boolean).length : -1));
  const ours = (list = []) =>
    list.flatMap(({ path, label }) => (isKnown[label] ? [{ path, label: place[label] }] : []));
  const others = data[part].filter(({ label }) => !isKnown[label]).map(({ path }) => path);
  const classes = data.classes.filter((_, i) => isKnown[i]);
  return { data: { ...data, classes, train: ours(data.train), [part]: ours(data[part]) }, others };
}

/**
 * @param {any} classifier
 * @param {{ path: string, label: number }[]} learned pictures of its classes, labels are its own
 * @param {string[]} fitting
 * @param {string[]} others that fit none
 * @param {{ falseAlarms: number }} options
 * @param {ReturnType<typeof import('./terminal.js').openTerminal>} terminal
 * @param {AbortSignal} signal
 */
export async function measureNone(classifier, learned, fitting, others, { falseAlarms }, terminal, signal) {
  const told = (what) => ({
    signal,
    onProgress: ({ done, total }) => terminal.progress(done / total, `${what}, ${done} of ${total} pictures`),
  });
  const examples = learned.map(({ path: image, label }) => ({ image, label }));
  await calibrate(classifier, examples, told('known'));
  const known = await fitsOf(classifier, fitting, told('known'));
  const unknown = await fitsOf(classifier, others, told('none of these'));
  terminal.wipe();
  const fits = (list) => list.map(({ fit }) => fit);
  const share = (list) => list.filter(({ score }) => score > 1 - falseAlarms).length / list.length;
  return {
    ...{ known: known.length, unknown: unknown.length },
    auroc: auroc(fits(known), fits(unknown)),
    passingAt95: passing(fits(known), fits(unknown)),
    falseAlarms: { wanted: falseAlarms, found: share(known) },
    told: share(unknown),
  };
}

/** @param {any} terminal @param {Awaited<ReturnType<typeof measureNone>>} none */
export function showNone(terminal, none) {
  const { bold } = terminal.colors;
  terminal.print(`\nNone of these: ${plural(none.unknown, 'picture')} of other classes beside ${none.known} that fit`);
  terminal.print();
  const rows = [
    ['AUROC', percent(none.auroc)],
    ['pass where 95 % of the fitting do', percent(none.passingAt95)],
    [`told, where ${percent(none.falseAlarms.wanted)} of false alarms are wanted`, percent(none.told)],
    ['false alarms', percent(none.falseAlarms.found)],
  ];
  for (const line of table(rows, 'lr', { paint: (text, y) => (y < 1 ? bold(text) : text) })) terminal.print(line);
}

/** @param {any} classifier */
const isInstant = (classifier) => 'labels' in classifier;

/**
 * Lets a classifier see labelled pictures of its classes.
 * @param {any} classifier
 * @param {string | undefined} source a data set
 * @param {any} terminal
 * @param {AbortSignal} signal
 */
export async function learnKnown(classifier, source, terminal, signal) {
  if (isInstant(classifier)) return; // it knows what it has learned from
  if (!source) throw new MudptError('argument', '--none needs pictures that fit', 'give labelled ones with --data');
  const { classes, train } = await loadDataset(source);
  const examples = train.map(({ path: image, label }) => ({ image, label: classes[label] }));
  const onProgress = ({ done, total }) => terminal.progress(done / total, `known, ${done} of ${total} pictures`);
  await classifier.calibrate(examples, { signal, onProgress });
  terminal.wipe();
}
