/**
 * Tables and plots of a sweep as files: PROTOCOL.md, .csv, .tex, .json, and an SVG for each data set. They follow from
 * the logs alone, to the byte: no paths, nothing of the machine but what its runs took.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { MudptError } from '../base/errors.js';
import { linePlotSvg } from '../node/charts.js';
import { fileName, printable } from '../node/names.js';
import { writeWhole } from '../node/whole-files.js';
import { checkTogether, readLogs } from './logs.js';
import { AVERAGE } from './plan.js';
import { latex } from './latex.js';
import { shotsOf, summarize } from './tables.js';

/**
 * @typedef {import('./tables.js').Summary} Summary
 * @typedef {import('./tables.js').Table} Table
 * @typedef {import('./tables.js').Cell} Cell
 */

/**
 * Makes the tables and plots of a folder of logs anew.
 * @param {string} folder
 * @returns {Promise<Summary[]>} one a protocol
 * @throws {MudptError} `file`
 */
export async function writeReport(folder) {
  const logs = await readLogs(folder);
  if (!logs.length) {
    const what = existsSync(folder) ? 'holds no logs of finished runs' : 'there is no such folder';
    throw new MudptError('file', `${folder}: ${what}`, 'give the --out of mudpt protocol');
  }
  checkTogether(logs, folder);
  const summaries = summarize(logs);
  for (const summary of summaries) {
    const save = (name, content) => writeWhole(path.join(folder, name), content);
    const plots = plotFiles(summary);
    for (const { file, svg } of plots) await save(file, svg);
    await save(`${summary.protocol}.csv`, csv(summary));
    await save(`${summary.protocol}.tex`, latex(summary, { caption, tableTitle }));
    await save(`${summary.protocol}.json`, `${JSON.stringify(summary, null, 2)}\n`);
    await save(`${summary.protocol}.md`, markdown(summary, plots));
  }
  return summaries;
}

/** 75.128 ± 1.5 -> "75.13 ± 1.50"; a star where seeds are missing. @param {Cell | null} cell */
export function cellText(cell) {
  if (!cell) return '–';
  const spread = cell.deviation === null ? '' : ` ± ${cell.deviation.toFixed(2)}`;
  return `${cell.mean.toFixed(2)}${spread}${cell.partial ? '*' : ''}`;
}

/** What a table shows. @param {Summary} summary @param {Table} table */
export function tableTitle({ title }, { data, shots, fewer }) {
  const of = data === AVERAGE ? 'average over the data sets' : data;
  const there = shots === null ? '' : shotsOf({ shots, fewer });
  const asked = fewer ? ` (${shots} asked for)` : '';
  const by = shots === null ? 'zero-shot' : `${there} shot${there === '1' ? '' : 's'}${asked}`;
  return [title, of, by].filter((part) => part !== null).join(', ');
}

/** What all tables have in common, in a sentence. @param {Summary} summary */
export function caption({ model, context, seeds, tables }) {
  const over = seeds.length > 1 ? `, mean ± standard deviation over the seeds ${seeds.join(', ')}` : '';
  const one = seeds.length === 1 ? `, seed ${seeds[0]}` : '';
  const missing = tables.some(({ rows }) => rows.some(({ cells }) => cells.some((cell) => cell?.partial)));
  const star = missing ? ' A star marks what lacks some of the seeds.' : '';
  const by = `Model ${model} (${context.fingerprint}), mudpt ${context.library}.`;
  return `Accuracy in per cent${over}${one}.${star} ${by}`;
}

// ------------------------------------------------------------------------------------------ Markdown

/** The highest of a column is bold. @param {Summary} summary @param {{ file: string, title: string }[]} plots */
function markdown(summary, plots) {
  const blocks = [`# ${summary.title}`, escapeCell(caption(summary))];
  for (const table of summary.tables) {
    blocks.push(`## ${escapeCell(tableTitle(summary, table))}`, grid(table));
  }
  for (const { file, title } of plots) blocks.push(`![${escapeCell(title)}](${encodeURI(file)})`);
  const set = summary.methods.filter(({ settings }) => settings);
  if (set.length) {
    const rows = set.map(({ title, ...settings }) => `| ${title} | ${said(settings)} |`);
    blocks.push('## Settings', ['| method | settings |', '|---|---|', ...rows].join('\n'));
  }
  return `${blocks.join('\n\n')}\n`;
}

function grid({ columns, rows }) {
  const best = columns.map((_, x) => Math.max(...rows.map(({ cells }) => cells[x]?.mean ?? -1)));
  const costly = rows.some(({ costs }) => costs);
  const lines = rows.map(({ title, cells, costs }) => {
    const texts = cells.map((cell, x) => {
      const text = cell?.mean === best[x] ? `**${cellText(cell)}**` : cellText(cell);
      return cell?.delta == null ? text : `${text} (${signed(cell.delta)})`;
    });
    return `| ${[title, ...texts, ...(costly ? costTexts(costs) : [])].join(' | ')} |`;
  });
  const heads = [...columns.map(escapeCell), ...(costly ? COSTS : [])];
  return [`| | ${heads.join(' | ')} |`, `|---|${'--:|'.repeat(heads.length)}`, ...lines].join('\n');
}

/** +12.30 or −0.41, with a true minus. @param {number} value */
export const signed = (value) => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(2)}`;

/** What a run took, as columns of a table. */
export const COSTS = ['trained', 'seconds', 'memory', 'saved'];

/** @param {import('./tables.js').Costs | null} costs */
export function costTexts(costs) {
  if (!costs) return COSTS.map(() => '–');
  const { trained, seconds, memory, bytes } = costs;
  return [
    `${Math.round(trained)}`,
    seconds.toFixed(1),
    `${Math.round(memory / 1e6)} MB`,
    `${Math.ceil(bytes / 1e3)} kB`,
  ];
}

const said = ({ settings, varying }) => {
  const values = Object.entries(settings).map(([key, value]) => {
    return `${key} ${typeof value === 'string' ? `"${escapeCell(value)}"` : value}`;
  });
  return [...values, ...varying.map((key) => `${key} as in the logs`)].join(', ');
};

/** Names come from folders. */
const escapeCell = (text) => printable(text).replace(/[\\`*_<>[\]|#]/g, '\\$&');

// ------------------------------------------------------------------------------------------ CSV

/** One line a cell. @param {Summary} summary */
function csv({ protocol, tables }) {
  const lines = tables.flatMap(({ data, shots, fewer, columns, rows }) =>
    rows.flatMap(({ method, cells, costs }) =>
      cells.flatMap((cell, x) => {
        if (!cell) return [];
        const { mean, deviation, count, delta = null } = cell;
        const there = shots === null ? '' : shotsOf({ shots, fewer });
        const { trained, seconds, memory, bytes } = costs ?? {};
        const took = [trained, seconds?.toFixed(3), memory, bytes].map((value) => value ?? '');
        return [
          [protocol, data ?? '', there, method, columns[x], exact(mean), exact(deviation), count, shots ?? ''].concat([
            ...[exact(delta), ...took],
          ]),
        ];
      }),
    ),
  );
  const head = ['protocol', 'data', 'shots', 'method', 'column', 'accuracy', 'deviation', 'seeds', 'asked'];
  head.push('delta', 'trained', 'seconds', 'memory', 'bytes');
  return [head, ...lines].map((line) => `${line.map(field).join(',')}\r\n`).join('');
}

const exact = (value) => (value === null ? '' : value.toFixed(4));
/** As RFC 4180 has it. */
const field = (value) => (/[",\r\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value));

// ------------------------------------------------------------------------------------------ SVG

/** @param {Summary} summary @returns {{ file: string, title: string, svg: string }[]} */
function plotFiles({ protocol, title, plots }) {
  const taken = new Set();
  return plots.map(({ data, what, shots, steps, series }) => {
    let file = `${protocol}-${fileName(data)}`;
    while (taken.has(file.toLowerCase())) file += '_';
    taken.add(file.toLowerCase());
    const heading = `${title}: ${data === AVERAGE ? 'average over the data sets' : data}`;
    const svg = linePlotSvg({
      ...{ title: heading, xLabel: 'shots a class', yLabel: `${what} in %`, xs: steps, limits: [0, 100] },
      // Twice as many shots are as far away everywhere.
      places: shots.map(Math.log2),
      series: series.map(({ title: name, cells }) => {
        const deviations = cells.map((cell) => cell?.deviation ?? null);
        return { name, values: cells.map((cell) => cell?.mean ?? null), deviations };
      }),
    });
    return { file: `${file}.svg`, title: heading, svg };
  });
}
