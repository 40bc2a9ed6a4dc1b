/**
 * How a failure is shown: one line on stderr that names the file, the fault and the remedy; with --json an object on
 * stdout as well. The stack is shown only where MUDPT_DEBUG is set.
 */
import { CommanderError } from 'commander';
import { MudptError } from '../base/errors.js';
import { printable } from '../node/names.js';

export const EXIT_FAILED = 1;
export const EXIT_INTERRUPTED = 130;

/** What to do about what the system refuses. */
const REMEDIES = {
  ENOENT: 'check the name',
  ENOTDIR: 'check the name: a part of the path is no folder',
  EISDIR: 'give a file, not a folder',
  EACCES: 'check the permissions',
  EPERM: 'check the permissions',
  EROFS: 'choose a place that can be written to',
  ENOSPC: 'free some space',
  EDQUOT: 'free some space',
  EMFILE: 'close other programs, or allow more open files (ulimit -n)',
};

/**
 * Reports an error and returns the exit code of the process.
 * @param {any} error
 * @param {object} context
 * @param {boolean} context.json
 * @param {import('commander').Command} context.program
 * @param {import('commander').Command} [context.command]  the one that was called
 */
export function reportFailure(error, { json, ...context }) {
  if (error instanceof CommanderError && error.exitCode === 0) return 0; // help and version were asked for
  const { code, message, hint } = describe(error, context);
  process.stderr.write(`mudpt: ${printable(message)}\n`);
  const { pictures } = error ?? {};
  for (const each of pictures ?? []) process.stderr.write(`  ${printable(each.message)}\n`);
  if (process.env.MUDPT_DEBUG && error?.stack) process.stderr.write(`${error.stack}\n`);
  if (json) process.stdout.write(`${JSON.stringify({ error: { code, message, hint, pictures } })}\n`);
  return error?.name === 'AbortError' ? EXIT_INTERRUPTED : EXIT_FAILED;
}

function describe(error, context) {
  if (error instanceof MudptError) return { code: error.code, message: error.message, hint: error.hint };
  if (error?.name === 'AbortError') {
    return { code: 'aborted', message: 'stopped before there was a result', hint: '' };
  }
  if (error instanceof CommanderError) return usage(error, context);
  if (typeof error?.code === 'string' && error.syscall) {
    const hint = REMEDIES[error.code] ?? 'check the name, the permissions and the free space';
    return { code: 'file', message: `${error.path ?? error.syscall}: ${error.code} (${error.syscall}); ${hint}`, hint };
  }
  const hint = 'this is a fault of mudpt: run again with MUDPT_DEBUG=1 and report what it prints';
  return { code: 'internal', message: `${error?.message ?? error}; ${hint}`, hint };
}

/** Commander's "error: unknown option '--shot'\n(Did you mean --shots?)" and the like as one line in our form. */
function usage(error, { program, command }) {
  const [what, ...rest] = error.message.replace(/^error: /, '').split('\n');
  const invalid =
    /^option '(?<name>--[\w-]+).*' argument '(?<value>.*)' is invalid\. (?<expected>.*)$/s.exec(what) ??
    /^command-argument value '(?<value>.*)' is invalid for argument '(?<name>.*)'\. (?<expected>.*)$/s.exec(what);
  if (invalid?.groups) {
    const { name, value, expected } = invalid.groups;
    const hint = expected.replace(/^Allowed choices are (.*)\.$/, 'choose $1');
    return { code: 'argument', message: `${name}: ${JSON.stringify(value)} is not possible; ${hint}`, hint };
  }
  const meant = /Did you mean (.*)\?/.exec(rest.join(' '))?.[1];
  const hints = [];
  if (meant) hints.push(`did you mean ${meant}?`);
  const valid = {
    'commander.unknownCommand': program.commands.map((each) => each.name()),
    'commander.unknownOption': [...(command ?? program).options.map((option) => option.long), '--help'],
  }[error.code];
  if (valid) hints.push(`valid are ${valid.join(', ')}`);
  const hint = hints.join(' ') || (command ? `see mudpt help ${command.name()}` : 'see mudpt help');
  return { code: 'argument', message: `${what.replace(/\.$/, '')}; ${hint}`, hint };
}
