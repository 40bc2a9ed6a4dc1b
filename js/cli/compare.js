/** mudpt compare: whether two classifiers differ by more than chance, from what they said of the same pictures. */
import { Argument, Command } from 'commander';
import { MudptError } from '../base/errors.js';
import { compare } from '../protocol/significance.js';
import { given, withOutput } from './options.js';
import { readPredictions } from './predictions.js';
import { count, openTerminal, percent, plural, table } from './terminal.js';

export function compareCommand() {
  const command = new Command('compare')
    .description('test whether two classifiers differ by more than chance on the same pictures')
    .addArgument(new Argument('<a>', 'a file of mudpt eval --predictions').argParser(given))
    .addArgument(new Argument('<b>', 'another of the same pictures').argParser(given));
  return withOutput(command).action(run);
}

async function run(a, b, options) {
  const terminal = openTerminal(options);
  const [first, second] = await Promise.all([a, b].map(readPredictions));
  const truth = new Map(second.map((each) => [each.file, each.true]));
  const strange = first.find((each) => truth.has(each.file) && truth.get(each.file) !== each.true);
  if (strange) {
    const what = `${strange.file} is "${strange.true}" in ${a} and "${truth.get(strange.file)}" in ${b}`;
    throw new MudptError('argument', what, 'compare what was measured on the same data set');
  }
  const found = compare(first, second);
  if (!found.pictures)
    throw new MudptError('argument', `${a} and ${b} have no picture in common`, 'measure both on one');
  const { pictures, accuracy, both, only, neither, p } = found;
  const left = first.length + second.length - 2 * pictures;
  if (left) terminal.note(`${plural(left, 'picture')} that only one of them has ${left === 1 ? 'is' : 'are'} left out`);
  const rows = [
    ['', 'accuracy', 'alone right'],
    [a, percent(accuracy[0]), count(only[0])],
    [b, percent(accuracy[1]), count(only[1])],
  ];
  for (const line of table(rows, 'lrr', { paint: (text, y) => (y ? text : terminal.colors.dim(text)) }))
    terminal.print(line);
  terminal.print();
  const said = p < 0.0001 ? 'p < 0.0001' : `p = ${p.toFixed(4)}`;
  terminal.print(`${plural(pictures, 'picture')}: both right ${count(both)}, both wrong ${count(neither)}`);
  terminal.print(`McNemar's exact test, two-sided: ${said}`);
  if (options.json) process.stdout.write(`${JSON.stringify({ a, b, ...found })}\n`);
}
