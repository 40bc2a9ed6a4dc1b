/**
 * mudpt eval: how well a classifier does on a data set, in all and class by class, what it mistakes for what, and how
 * far its scores can be believed.
 */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { MudptError } from '../base/errors.js';
import { DEFAULT_TEMPLATE } from '../methods/sentences.js';
import { confusionSvg } from '../node/charts.js';
import { loadDataset } from '../node/datasets.js';
import { toName } from '../node/names.js';
import { checkTarget, writeWhole } from '../node/whole-files.js';
import { rowsOf } from '../protocol/other-classes.js';
import { insidePath } from '../protocol/sets.js';
import { heatMap, mapWidth, paintMap, SHADES_KEY } from './heatmap.js';
import { onInterrupt } from './interrupt.js';
import { evaluate, openClassifier, openModel } from './model.js';
import { apartNone, measureNone, showNone, withNone } from './none.js';
import { given, templateOption, withData, withLongWork, withOutput, withPictures } from './options.js';
import { wholePictures, withSkip } from './pictures.js';
import { predict, predictionsFile, predictionsText } from './predictions.js';
import { apart, count, cut, cutMiddle, openTerminal, percent, plural, table, width, wrap } from './terminal.js';

const MOST_MISTAKES = 8;
const MOST_ROWS = 60; // classes that are all shown; of more, the worst
const WORST = 20;
const SHORTEST_NAME = 8; // columns that a name keeps beside the heat map
const PARTS = ['test', 'train', 'val'];

export function evalCommand() {
  const command = new Command('eval')
    .description('measure a classifier on a data set: accuracy, calibration, confusion')
    .addOption(new Option('--data <path>', 'folder per class or split file').argParser(given).makeOptionMandatory());
  withData(command)
    .addOption(new Option('--part <name>', 'which pictures').choices(PARTS).default('test'))
    .addOption(new Option('--classifier <file>', 'a file that mudpt train saved (default: zero-shot)').argParser(given))
    .addOption(templateOption().conflicts('classifier'))
    .addOption(new Option('--confusion <file>', 'save the confusion matrix as .svg or .json').argParser(chartFile))
    .addOption(
      new Option(
        '--predictions <file>',
        'save what is said of every picture as .csv or .jsonl, for mudpt compare',
      ).argParser(predictionsFile),
    );
  withNone(
    command,
    'pictures of classes that it does not know (zero-shot: of the second half) fit none: how well it tells',
  );
  return withOutput(withSkip(withPictures(withLongWork(command)))).action(run);
}

const chartFile = (text) => {
  if (!/.\.(svg|json)$/i.test(text)) throw new InvalidArgumentError('expected a name that ends in .svg or .json');
  return text;
};

async function run(options) {
  const terminal = openTerminal(options);
  const { signal, release } = onInterrupt();
  let clip;
  try {
    const read = await loadDataset(options.data, { ...options, listBroken: true });
    partOf(read, options);
    if (options.confusion) await checkTarget(options.confusion, '--confusion');
    if (options.predictions) await checkTarget(options.predictions, '--predictions');
    clip = await openModel(options, terminal, signal);
    const parts = [options.part, ...(options.none ? ['train'] : [])];
    const whole = await wholePictures(read, { ...options, parts }, terminal, signal);
    const opened = options.classifier ? await openClassifier(clip, options.classifier) : null;
    const { data, others } = options.none ? apartNone(whole, opened, options) : { data: whole, others: [] };
    const examples = partOf(data, options);
    const classifier =
      opened ??
      (await clip.zeroShot(data.classes, { templates: options.template ?? [data.template ?? DEFAULT_TEMPLATE] }));
    const named = byName(examples, data.classes, classifier.classes, options);
    for (const note of data.notes) terminal.note(note);

    const result = options.predictions
      ? await evaluateEach(classifier, named, options, terminal, signal)
      : await evaluate(classifier, named, options.part, terminal, signal);
    const { method, classes } = classifier;
    const { precision } = clip.info; // what was chosen, whatever was asked for
    const { part, classifier: file = null } = options;
    const about = { task: data.name, part, method, classifier: file, precision, classes };
    const learned = options.none && byName(data.train, data.classes, classifier.classes, options);
    const files = examples.map(({ path }) => path);
    const none = learned && (await measureNone(classifier, learned, files, others, options, terminal, signal));
    if (options.confusion) await writeWhole(options.confusion, chart(options.confusion, about, result), '--confusion');
    show(terminal, about, result, data);
    if (none) showNone(terminal, none);
    if (options.confusion) terminal.print(`\nConfusion matrix saved in ${options.confusion}`);
    if (options.predictions) terminal.print(`\nPredictions saved in ${options.predictions}`);
    const leftOut = data.broken.map(({ path: file, error }) => ({ file, message: error.message }));
    const more = leftOut.length ? { leftOut } : {};
    if (options.json)
      process.stdout.write(`${JSON.stringify({ ...about, ...result, ...(none && { none }), ...more })}\n`);
  } finally {
    release();
    await clip?.dispose();
  }
}

/** The same picture by picture, of which a file is written. */
async function evaluateEach(classifier, examples, { data, part, predictions: file }, terminal, signal) {
  const root = (await stat(data)).isDirectory() ? data : path.dirname(data);
  const title = (done) => `${part}, ${done} of ${examples.length} pictures`;
  const onProgress = (done) => terminal.progress(done / examples.length, title(done));
  const { result, predictions } = await predict(classifier, examples, (each) => insidePath(root, each), {
    signal,
    onProgress,
  }).finally(() => terminal.wipe());
  await writeWhole(file, predictionsText(file, predictions, classifier.classes), '--predictions');
  return result;
}

function partOf(data, { data: source, part }) {
  if (data[part]?.length) return data[part];
  const others = PARTS.filter((name) => data[name]?.length);
  throw new MudptError('dataset', `${source}: has no part ${part}`, `--part can be ${others.join(', ')}`);
}

/** The confusion matrix as the file's name asks for it. */
function chart(file, about, { accuracy, count: pictures, confusion }) {
  if (/\.json$/i.test(file)) return `${JSON.stringify({ ...about, confusion })}\n`;
  const title = `${about.task}: ${about.method}, ${percent(accuracy)} of ${plural(pictures, 'picture')} named rightly`;
  return confusionSvg({ title, ...inPlay(apart(about.classes), confusion) });
}

/** The part of a confusion matrix that holds anything: a classifier may know far more classes than the data set. */
function inPlay(classes, confusion) {
  const seen = classes.map(() => false);
  confusion.forEach((row, from) =>
    row.forEach((times, to) => {
      if (times) seen[from] = seen[to] = true;
    }),
  );
  const used = classes.map((_, i) => i).filter((i) => seen[i]);
  return {
    used,
    classes: used.map((i) => classes[i]),
    confusion: used.map((from) => used.map((to) => confusion[from][to])),
  };
}

/**
 * Labels of the data set as labels of the classifier, whose classes may stand in another order and be more. A name that
 * both have as many times is taken in its order.
 */
function byName(examples, wanted, known, { classifier, data }) {
  const spoken = (name) => String(toName(name)).toLowerCase();
  const [written, alike] = [(name) => name, spoken].map((key) => match(known.map(key), wanted.map(key)));
  const labels = wanted.map((_, i) => written.rows[i] ?? alike.rows[i]);
  const unclear = wanted.find((_, i) => (written.rows[i] === undefined ? alike : written).unclear[i]);
  if (unclear !== undefined) {
    throw new MudptError(
      'dataset',
      `${data}: class "${unclear}" is not as many times there as in ${classifier}, and only its place would tell which`,
      'measure with a split.json that lists the classes as they were trained',
    );
  }
  const missing = wanted.filter((_, i) => labels[i] === undefined);
  if (missing.length) {
    const more = missing.length > 1 ? ` (${missing.length} of ${wanted.length} are not)` : '';
    const some = known.slice(0, 5).join(', ') + (known.length > 5 ? ', …' : '');
    throw new MudptError(
      'dataset',
      `${data}: class "${missing[0]}" is not one of ${classifier}${more}, which knows ${some}`,
      'train on these classes first, or measure with pictures of its own',
    );
  }
  return examples.map(({ path, label }) => ({ path, label: labels[label] }));
}

/** Places of the wanted names among the known ones, and which may be meant otherwise. */
function match(known, wanted) {
  const times = (names) => {
    const counts = new Map();
    for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
    return counts;
  };
  const [ours, theirs] = [times(wanted), times(known)];
  return {
    rows: rowsOf(known, wanted).map((row) => (row < 0 ? undefined : row)),
    unclear: wanted.map((name) => theirs.get(name) > 1 && theirs.get(name) !== ours.get(name)),
  };
}

/** Prints what was measured, in as many columns as the terminal has. */
export function show(terminal, { method, precision, classes: names }, result, data) {
  const { bold, dim } = terminal.colors;
  const classes = apart(names);
  const { accuracy, macroF1, ece, count: pictures, confusion } = result;
  const of = `${plural(pictures, 'picture')} of ${plural(data.classes.length, 'class', 'classes')}`;
  const title = `${data.name}: ${method} on ${of}, precision ${precision}`;
  for (const line of wrap(title, terminal.columns())) terminal.print(line);
  terminal.print();
  const main = [
    ['accuracy', percent(accuracy)],
    ['macro-F1', percent(macroF1)],
    ['calibration error', percent(ece)],
  ];
  for (const line of table(main, 'lr', { paint: (text, y) => (y < 2 ? bold(text) : text) })) terminal.print(line);
  terminal.print();
  const perClass = result.perClass.map((each, i) => ({ ...each, label: classes[i] }));
  showClasses(terminal, { perClass }, inPlay(classes, confusion));

  const mistakes = mostMistaken(confusion);
  if (!mistakes.length) return;
  terminal.print();
  const half = Math.floor((terminal.columns() - 13) / 2);
  const rows = mistakes.map(({ from, to, times }) => [cut(classes[from], half), cut(classes[to], half), count(times)]);
  const titles = ['mistaken', 'for', 'times'];
  const paint = (text, y) => (y ? text : dim(text));
  for (const line of table([titles, ...rows], 'llr', { paint })) terminal.print(line);
}

/** Accuracy of each class, with the heat map beside it where it fits; of very many classes the worst. */
function showClasses(terminal, { perClass }, { used, classes, confusion }) {
  const { dim } = terminal.colors;
  const gap = 3;
  const fixed = 2 + gap + 8 + gap + 8; // indent, the titles "accuracy" and "pictures"
  const names = Math.max(...classes.map(width));
  const wide = mapWidth(classes.length);
  const room = terminal.columns() - fixed;
  const mapped = room - gap - wide >= Math.min(names, SHORTEST_NAME) ? heatMap(confusion) : null;
  const longest = mapped ? room - gap - wide : room;

  const all = mapped ? used.map((i) => perClass[i]) : perClass.filter((each) => each.count);
  const some = all.length > MOST_ROWS;
  const shown = some ? [...all].sort((a, b) => a.accuracy - b.accuracy).slice(0, WORST) : all;
  const note = `The ${WORST} classes that do worst, of ${count(all.length)}; --json lists all`;
  if (some) for (const line of wrap(note, terminal.columns() - 2)) terminal.print(dim(`  ${line}`));
  const rows = shown.map((each, i) => [
    cutMiddle(each.label, longest),
    each.count ? percent(each.accuracy) : '',
    count(each.count),
    ...(mapped ? [mapped[i + 1]] : []),
  ]);
  const head = ['class', 'accuracy', 'pictures', ...(mapped ? [mapped[0]] : [])];
  const paint = (text, y, x) => (x === 3 ? paintMap(text, y, terminal.colors) : y ? text : dim(text));
  for (const line of table([head, ...rows], mapped ? 'lrrl' : 'lrr', { gap, paint })) terminal.print(line);
  if (!mapped) return;
  terminal.print();
  for (const line of wrap(SHADES_KEY, terminal.columns() - 2)) terminal.print(dim(`  ${line}`));
}

/** Pairs of classes, most pictures first. */
function mostMistaken(confusion) {
  const mistakes = confusion.flatMap((row, from) =>
    row.flatMap((times, to) => (times && from !== to ? [{ from, to, times }] : [])),
  );
  return mistakes.sort((a, b) => b.times - a.times).slice(0, MOST_MISTAKES);
}
