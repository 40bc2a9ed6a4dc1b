/** mudpt eval: how well a classifier does on a data set, in all and class by class. */
import { Command, Option } from 'commander';
import { MudptError } from '../errors.js';
import { loadDataset } from '../node/datasets.js';
import { onInterrupt } from './interrupt.js';
import { evaluate, openClassifier, openModel } from './model.js';
import { given, template, withData, withModel, withOutput } from './options.js';
import { count, cut, openTerminal, percent, plural, table } from './terminal.js';

const MOST_MISTAKES = 8;
const DEFAULT_TEMPLATE = 'a photo of a {}.';

export function evalCommand() {
  const command = new Command('eval')
    .description('measure a classifier on a data set')
    .addOption(new Option('--data <path>', 'folder per class or split file').argParser(given).makeOptionMandatory());
  withData(command)
    .addOption(new Option('--part <name>', 'which pictures').choices(['test', 'train', 'val']).default('test'))
    .addOption(new Option('--classifier <file>', 'a file that mudpt train saved (default: zero-shot)').argParser(given))
    .addOption(
      new Option('--template <text>', 'zero-shot sentence, {} is the class')
        .argParser(template)
        .conflicts('classifier'),
    );
  return withOutput(withModel(command)).action(run);
}

async function run(options) {
  const terminal = openTerminal(options);
  const { signal, release } = onInterrupt();
  let clip;
  try {
    const data = await loadDataset(options.data, options);
    const examples = data[options.part];
    if (!examples?.length)
      throw new MudptError('dataset', `${options.data}: has no part ${options.part}`, 'choose another --part');
    clip = await openModel(options, terminal, signal);
    const classifier = options.classifier
      ? await openClassifier(clip, options.classifier)
      : await clip.zeroShot(data.classes, { template: options.template ?? data.template ?? DEFAULT_TEMPLATE });
    const named = byName(examples, data.classes, classifier.classes, options);
    for (const note of data.notes) terminal.note(note);

    const result = await evaluate(classifier, named, options.part, terminal, signal);
    show(terminal, classifier, result, data);
    if (options.json) {
      const { method, classes } = classifier;
      const about = { task: data.name, part: options.part, method, classifier: options.classifier ?? null, classes };
      process.stdout.write(`${JSON.stringify({ ...about, ...result })}\n`);
    }
  } finally {
    release();
    await clip?.dispose();
  }
}

/** Labels of the data set as labels of the classifier, whose classes may stand in another order and be more. */
function byName(examples, wanted, known, { classifier, data }) {
  const index = new Map(known.map((name, i) => [name.toLowerCase(), i]));
  const labels = wanted.map((name) => index.get(name.toLowerCase()));
  const missing = wanted.find((_, i) => labels[i] === undefined);
  if (missing !== undefined) {
    throw new MudptError(
      'dataset',
      `${data}: class "${missing}" is not one of ${classifier}`,
      'train on these classes first',
    );
  }
  return examples.map(({ path, label }) => ({ path, label: labels[label] }));
}

function show(terminal, classifier, { accuracy, macroF1, count: pictures, perClass, confusion }, data) {
  const { bold, dim } = terminal.colors;
  const { classes, method } = classifier;
  terminal.print(
    `${data.name}: ${method} on ${plural(pictures, 'picture')} of ${plural(data.classes.length, 'class', 'classes')}`,
  );
  terminal.print();
  const main = [
    ['accuracy', percent(accuracy)],
    ['macro-F1', percent(macroF1)],
  ];
  for (const line of table(main, 'lr', { paint: (text) => bold(text) })) terminal.print(line);

  const room = terminal.columns() - 40;
  terminal.print();
  const rows = perClass
    .filter((each) => each.count)
    .map((each) => [cut(each.label, room), percent(each.accuracy), count(each.count)]);
  const head = ['class', 'accuracy', 'pictures'];
  for (const line of table([head, ...rows], 'lrr', { paint: (text, y) => (y ? text : dim(text)) }))
    terminal.print(line);

  const mistakes = [];
  confusion.forEach((row, from) =>
    row.forEach((times, to) => from !== to && times && mistakes.push({ from, to, times })),
  );
  if (!mistakes.length) return;
  mistakes.sort((a, b) => b.times - a.times);
  terminal.print();
  const half = Math.floor((terminal.columns() - 30) / 2);
  const worst = mistakes
    .slice(0, MOST_MISTAKES)
    .map(({ from, to, times }) => [cut(classes[from], half), cut(classes[to], half), count(times)]);
  const titles = ['mistaken most often', 'for', 'times'];
  for (const line of table([titles, ...worst], 'llr', { paint: (text, y) => (y ? text : dim(text)) }))
    terminal.print(line);
}
