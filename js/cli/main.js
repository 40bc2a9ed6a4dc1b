#!/usr/bin/env node
/**
 * The command `mudpt`. Here commands are put together and failures become exit codes; each command has a file of its
 * own.
 */
import { Command } from 'commander';
import { readFileSync } from 'node:fs';
import { addClassesCommand } from './add-classes.js';
import { auditCommand } from './audit.js';
import { cacheCommand } from './cache.js';
import { classifyCommand } from './classify.js';
import { compareCommand } from './compare.js';
import { convertCommand } from './convert.js';
import { embedCommand } from './embed.js';
import { evalCommand } from './eval.js';
import { exportCommand, importCommand } from './exchange.js';
import { reportFailure } from './failures.js';
import { infoCommand } from './info.js';
import { methodsCommand } from './methods.js';
import { modelsCommand } from './models.js';
import { protocolCommand } from './protocol.js';
import { reportCommand } from './report.js';
import { searchCommand } from './search.js';
import { suggestCommand } from './suggest.js';
import { trainCommand } from './train.js';

const { version, description } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

const program = new Command('mudpt')
  .description(description)
  .version(version, '-V, --version', 'print the version')
  .helpOption('-h, --help', 'print this help')
  .helpCommand(false);
for (const command of [
  trainCommand(),
  classifyCommand(),
  evalCommand(),
  compareCommand(),
  embedCommand(),
  searchCommand(),
  auditCommand(),
  suggestCommand(),
  methodsCommand(),
  modelsCommand(),
  infoCommand(),
  convertCommand(),
  protocolCommand(),
  reportCommand(),
  addClassesCommand(),
  exportCommand(),
  importCommand(),
  cacheCommand(),
]) {
  program.addCommand(command.helpOption('-h, --help', 'print this help'));
}
program
  .command('help')
  .description('print the help of a command')
  .argument('[command]')
  .helpOption(false)
  .action((name) => {
    const command = program.commands.find((each) => each.name() === name);
    if (name && !command) program.error(`error: unknown command '${name}'`, { code: 'commander.unknownCommand' });
    (command ?? program).outputHelp();
  });
for (const command of [program, ...program.commands]) {
  command.exitOverride().configureOutput({ outputError() {} });
}
program.addHelpText(
  'after',
  `
Examples:
  mudpt train                      a sample task with the built-in model
  mudpt train --data flowers       a folder per class: flowers/rose/1.jpg ...
  mudpt classify photo.jpg --classifier flowers-mudpt.safetensors
  mudpt classify photo.jpg --classes cat,dog,bird

mudpt help train lists the options of train.`,
);

// A reader that has seen enough (mudpt ... | head) ends the program, not an error.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error) => process.exit(error.code === 'EPIPE' ? 0 : 1));
}

try {
  if (process.argv.length <= 2) program.outputHelp();
  else await program.parseAsync();
} catch (error) {
  const command = program.commands.find((each) => each.name() === process.argv[2]);
  process.exitCode = reportFailure(error, { json: process.argv.includes('--json'), program, command });
}
