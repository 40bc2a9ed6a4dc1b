/** mudpt methods: what each method trains, its default settings, how many values that is on a model; the presets. */
import path from 'node:path';
import { Command } from 'commander';
import { METHODS } from '../methods/methods.js';
import { PRESETS } from '../methods/presets.js';
import { onInterrupt } from './interrupt.js';
import { openModel } from './model.js';
import { withModel, withOutput } from './options.js';
import { count, openTerminal, table, wrap } from './terminal.js';

/** @type {[string, (info: import('../index.js').MethodInfo) => string | number][]} */
const COLUMNS = [
  ['method', ({ method }) => method],
  ['tokens', ({ settings }) => settings.promptLength],
  ['layers', ({ settings }) => settings.depth ?? 1],
  ['words', ({ settings }) => settings.phrase || 'random'],
  ['epochs', ({ settings }) => settings.epochs],
  ['batch', ({ settings }) => settings.batchSize],
  ['rate', ({ settings }) => settings.learningRate],
  ['trained values', ({ trainedValues: values }) => (values === null ? '-' : count(values))],
];
/** Settings that the table shows. */
const SHOWN = ['promptLength', 'depth', 'phrase', 'epochs', 'batchSize', 'learningRate'];

export function methodsCommand() {
  const command = new Command('methods').description('list the methods with their defaults');
  return withOutput(withModel(command)).action(run);
}

async function run(options) {
  const terminal = openTerminal(options);
  const { signal, release } = onInterrupt();
  let clip;
  try {
    clip = await openModel(options, terminal, signal);
    const methods = clip.methods();
    const { name, fingerprint, architecture } = clip.info;
    const paper = /** @type {typeof methods[0]} */ (methods.find(({ method }) => method === 'mudpt')).settings;
    const presets = Object.entries(PRESETS).map(([preset, { about, settings }]) => {
      return { preset, about, settings: settings(paper, architecture) };
    });
    show(terminal, methods, presets, name);
    if (options.json) {
      process.stdout.write(`${JSON.stringify({ model: { name, fingerprint }, methods, presets })}\n`);
    }
  } finally {
    release();
    await clip?.dispose();
  }
}

function show(terminal, methods, presets, model) {
  const { bold, dim } = terminal.colors;
  const room = terminal.columns() - 10;
  const shared = Object.entries(methods[0].settings).filter(([key, value]) =>
    methods.every(({ settings }) => !SHOWN.includes(key) && settings[key] === value),
  );
  const listed = (settings) => settings.map(([key, value]) => `${key} ${value}`).join(', ');
  for (const [method, { title, trains, from }] of Object.entries(METHODS)) {
    const own = Object.entries(methods.find((each) => each.method === method)?.settings ?? {}).filter(
      ([key]) => !SHOWN.includes(key) && shared.every(([other]) => other !== key),
    );
    const notes = [from, ...(own.length ? [listed(own)] : [])].flatMap((note) => wrap(note, room)).map(dim);
    const lines = [...wrap(`${title}: ${trains}`, room), ...notes];
    lines.forEach((line, i) => terminal.print(`${i ? ' '.repeat(10) : bold(method.padEnd(10))}${line}`));
  }
  terminal.print();
  const rows = [COLUMNS.map(([title]) => title), ...methods.map((each) => COLUMNS.map(([, cell]) => `${cell(each)}`))];
  const paint = (text, y) => (y ? text : dim(text));
  for (const line of table(rows, 'lrrlrrrr', { indent: 0, gap: 2, paint })) terminal.print(line);
  terminal.print();
  const about = `Everywhere: ${listed(shared)}. Values are counted on ${path.basename(model)}.`;
  for (const line of wrap(about, terminal.columns())) terminal.print(dim(line));
  terminal.print();
  for (const { preset, about: what, settings } of presets) {
    const changes = listed(Object.entries(settings).map(([key, value]) => [key, Number(value.toPrecision(3))]));
    const lines = wrap(`--preset ${preset}: ${what}${changes && ` (${changes})`}`, terminal.columns());
    for (const line of lines) terminal.print(line);
  }
}
