/** mudpt report: the tables and plots of a sweep, made anew from the logs of its runs. */
import { Argument, Command } from 'commander';
import { caption, cellText, tableTitle, writeReport } from '../protocol/report.js';
import { given, withOutput } from './options.js';
import { cut, openTerminal, table, width, wrap } from './terminal.js';

/** @typedef {ReturnType<typeof openTerminal>} Terminal */

export function reportCommand() {
  const command = new Command('report')
    .description('make the tables and plots of a sweep anew from its logs')
    .addArgument(new Argument('<dir>', 'the --out of mudpt protocol').argParser(given));
  return withOutput(command).action(async (folder, options) => {
    await report(folder, openTerminal(options), options);
  });
}

/**
 * Writes tables and plots and shows the tables.
 * @param {string} folder
 * @param {Terminal} terminal
 * @param {{ json?: boolean }} options
 * @param {string} [protocol]  the one that is shown; default: all
 */
export async function report(folder, terminal, { json }, protocol) {
  const all = await writeReport(folder);
  const summaries = all.filter((summary) => protocol === undefined || summary.protocol === protocol);
  for (const summary of summaries) {
    for (const each of summary.tables) show(terminal, tableTitle(summary, each), each);
    for (const line of wrap(caption(summary), terminal.columns())) terminal.print(terminal.colors.dim(line));
    terminal.print();
  }
  terminal.print(`Tables, plots and logs are in ${folder}`);
  if (json) process.stdout.write(`${JSON.stringify({ out: folder, protocols: summaries })}\n`);
}

/** A table; where it is too wide its columns stand in several, one below the other. */
function show(terminal, title, { columns, rows }) {
  const { bold, dim } = terminal.colors;
  for (const line of wrap(title, terminal.columns())) terminal.print(bold(line));
  const room = terminal.columns() - 2;
  const gap = 3;
  const names = ['', ...rows.map((row) => row.title)];
  const first = Math.max(...names.map(width));
  const heads = columns.map((name) => cut(name, Math.max(10, room - first - gap)));
  const cells = columns.map((_, x) => [heads[x], ...rows.map((row) => cellText(row.cells[x]))]);
  for (let from = 0; from < columns.length;) {
    let used = first;
    let to = from;
    do used += gap + Math.max(...cells[to++].map(width));
    while (to < columns.length && used + gap + Math.max(...cells[to].map(width)) <= room);
    const lines = names.map((name, y) => [name, ...cells.slice(from, to).map((column) => column[y])]);
    const paint = (text, y) => (y ? text : dim(text));
    for (const line of table(lines, `l${'r'.repeat(to - from)}`, { gap, paint })) terminal.print(line);
    terminal.print();
    from = to;
  }
}
