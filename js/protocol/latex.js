/** The tables of a sweep for LaTeX, with booktabs: \\input{few-shot.tex}. */
import { printable } from '../node/names.js';

const SPECIAL = { '\\': '\\textbackslash{}', '~': '\\textasciitilde{}', '^': '\\textasciicircum{}' };
const escaped = (text) =>
  printable(text)
    .replace(/[\\~^]|[&%$#_{}]/g, (each) => SPECIAL[each] ?? `\\${each}`)
    .replaceAll('±', '$\\pm$')
    .replaceAll('–', '--')
    .replaceAll('−', '$-$');

/** @param {import('./tables.js').Cell | null} cell @param {boolean} best */
function cellOf(cell, best) {
  if (!cell) return '--';
  const { mean, deviation, delta, partial } = cell;
  const value = best ? `\\textbf{${mean.toFixed(2)}}` : mean.toFixed(2);
  const spread = deviation === null ? '' : ` {\\scriptsize$\\pm$${deviation.toFixed(2)}}`;
  const gain = delta == null ? '' : ` {\\scriptsize($${delta < 0 ? '-' : '+'}$${Math.abs(delta).toFixed(2)})}`;
  return `${value}${spread}${gain}${partial ? '$^{*}$' : ''}`;
}

/** What a run took. @param {import('./tables.js').Costs | null} costs */
const costsOf = (costs) =>
  costs
    ? [
        ...[String(Math.round(costs.trained)), costs.seconds.toFixed(1)],
        ...[(costs.memory / 1e6).toFixed(0), (costs.bytes / 1e3).toFixed(0)],
      ]
    : ['--', '--', '--', '--'];

/**
 * @param {import('./tables.js').Summary} summary
 * @param {{ caption: (summary: any) => string, tableTitle: (summary: any, table: any) => string }} words
 * @returns {string}
 */
export function latex(summary, { caption, tableTitle }) {
  const blocks = summary.tables.map((table) => {
    const { columns, rows } = table;
    const best = columns.map((_, x) => Math.max(...rows.map(({ cells }) => cells[x]?.mean ?? -1)));
    const costly = rows.some(({ costs }) => costs);
    const heads = ['', ...columns, ...(costly ? ['trained', 'seconds', 'memory, MB', 'saved, kB'] : [])];
    const lines = rows.map(({ title, cells, costs }) => {
      const values = cells.map((cell, x) => cellOf(cell, cell?.mean === best[x]));
      return [escaped(title), ...values, ...(costly ? costsOf(costs) : [])].join(' & ');
    });
    return [
      '\\begin{table}',
      '\\centering',
      `\\begin{tabular}{l${'r'.repeat(heads.length - 1)}}`,
      '\\toprule',
      `${heads.map(escaped).join(' & ')} \\\\`,
      '\\midrule',
      ...lines.map((line) => `${line} \\\\`),
      '\\bottomrule',
      '\\end{tabular}',
      `\\caption{${escaped(tableTitle(summary, table))}. ${escaped(caption(summary))}}`,
      '\\end{table}',
    ].join('\n');
  });
  return `% needs \\usepackage{booktabs}\n\n${blocks.join('\n\n')}\n`;
}
