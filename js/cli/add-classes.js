/** mudpt add-classes: more classes for a saved classifier, without training. */
import { Command, Option } from 'commander';
import { MudptError } from '../base/errors.js';
import { checkTarget, writeWhole } from '../node/whole-files.js';
import { tell } from './exchange.js';
import { onInterrupt } from './interrupt.js';
import { openClassifier, openModel } from './model.js';
import { classesOf, given, withClasses, withModel, withOutput } from './options.js';
import { openTerminal } from './terminal.js';

export function addClassesCommand() {
  const command = new Command('add-classes')
    .description('give a tuned classifier more classes without training again')
    .argument('<classifier>', 'a file that mudpt train saved; it stays as it is');
  withClasses(command, 'their names, which go through the tuned text tower').addOption(
    new Option('--out <file>', 'where to save').argParser(given).makeOptionMandatory(),
  );
  return withOutput(withModel(command)).action(run);
}

async function run(file, options) {
  const terminal = openTerminal(options);
  const classes = classesOf(options);
  if (!classes)
    throw new MudptError('argument', 'there are no names to add', 'give --classes a,b,c or --classes-file FILE');
  await checkTarget(options.out);
  const { signal, release } = onInterrupt();
  let clip;
  try {
    clip = await openModel(options, terminal, signal);
    const classifier = await (await openClassifier(clip, file)).withClasses(classes);
    const bytes = await classifier.export();
    await writeWhole(options.out, bytes);
    tell(terminal, options, { output: options.out, bytes, classes: classifier.classes });
  } finally {
    release();
    await clip?.dispose();
  }
}
