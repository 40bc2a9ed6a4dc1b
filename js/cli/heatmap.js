/** A confusion matrix as a heat map of characters. Shades alone tell it; colour, where there is any, marks mistakes. */

const SHADES = '░▒▓█'; // a quarter of a class's pictures each
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const CELL = 2; // columns

/** What the shades mean. */
export const SHADES_KEY = '░ up to 25 %, ▒ 50 %, ▓ 75 %, █ 100 % of a class; rows true, columns predicted';

/** Columns of text that a map of so many classes takes; Infinity where there are more than letters. */
export const mapWidth = (classes) => (classes <= LETTERS.length ? 1 + CELL * classes : Infinity);

/**
 * Lines of the map: a head of letters, then a row for each class.
 * @param {number[][]} confusion  [N][N] pictures, [true class][predicted class]
 * @returns {string[]} 1 + N lines, each as wide as mapWidth(N) says
 */
export function heatMap(confusion) {
  const head = confusion.map((_, i) => LETTERS[i].padStart(CELL)).join('');
  const rows = confusion.map((row, i) => {
    const total = row.reduce((sum, times) => sum + times, 0);
    const cells = row.map((times) => (times ? shade(times / total).repeat(CELL) : '·'.padStart(CELL)));
    return LETTERS[i] + cells.join('');
  });
  return [` ${head}`, ...rows];
}

/**
 * A line of the map in colour.
 * @param {string} line
 * @param {number} row  0 is the head
 * @param {{ dim: (text: string) => string, cyan: (text: string) => string, red: (text: string) => string }} colors
 */
export function paintMap(line, row, { dim, cyan, red }) {
  if (row === 0) return dim(line);
  const cells = Array.from({ length: (line.length - 1) / CELL }, (_, i) =>
    line.slice(1 + CELL * i, 1 + CELL * (i + 1)),
  );
  const paint = (cell, i) => (cell.includes('·') ? dim(cell) : i === row - 1 ? cyan(cell) : red(cell));
  return dim(line[0]) + cells.map(paint).join('');
}

const shade = (share) => SHADES[Math.ceil(share * SHADES.length) - 1];
