/**
 * The one table of ./run test trust and ./run soak: what was tried, how many faults were injected, what survived, what
 * was lost. Tests add to it in lines that begin with a mark, `# trust {json}`, whatever process they run in.
 */

/** What is fuzzed: tests/fuzz/fuzz_NAME.c. */
export const TARGETS = ['image', 'weights', 'prompts', 'interface'];

/** @typedef {{ inputs: number, faults: number, survived: number, lost: number }} Row */

/** @param {'inputs' | 'faults'} what @param {'survived' | 'lost'} outcome @param {number} [many] */
export function count(what, outcome, many = 1) {
  console.log(`# trust ${JSON.stringify({ [what]: many, [outcome]: many })}`);
}

/** The sums of a log. @param {string} log @returns {Row} */
export function sumOf(log) {
  const row = { inputs: 0, faults: 0, survived: 0, lost: 0 };
  for (const [, json] of log.matchAll(/# trust (\{[^\n]*\})/g)) {
    for (const [key, value] of Object.entries(JSON.parse(json))) row[key] += value;
  }
  for (const [, inputs] of log.matchAll(/properties: (\d+) inputs/g)) {
    row.inputs += Number(inputs);
    row.survived += Number(inputs);
  }
  for (const [, injected] of log.matchAll(/allocation failures: (\d+) injected/g)) {
    row.faults += Number(injected);
    row.survived += Number(injected);
  }
  return row;
}

/** @param {[name: string, row: Row][]} rows @returns {string} */
export function format(rows) {
  const total = { inputs: 0, faults: 0, survived: 0, lost: 0 };
  for (const [, row] of rows) for (const key of Object.keys(total)) total[key] += row[key];
  const lines = [['', 'inputs tried', 'faults injected', 'survived', 'lost']];
  for (const [name, row] of [...rows, ['all', total]])
    lines.push([name, ...Object.keys(total).map((key) => row[key].toLocaleString('en'))]);
  const widths = lines[0].map((_, x) => Math.max(...lines.map((line) => line[x].length)));
  return lines
    .map((line) => line.map((cell, x) => (x ? cell.padStart(widths[x]) : cell.padEnd(widths[x]))).join('  '))
    .join('\n');
}
