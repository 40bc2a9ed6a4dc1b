/**
 * What the commands show people: colours, aligned tables, one progress line.
 *
 * Nothing here decides what is worth saying. Colour and the moving line appear only on a terminal; elsewhere every
 * line is plain and final. With --json people's text goes to stderr, so that stdout stays pure JSON.
 */
import pc from 'picocolors';
import { printable } from '../node/names.js';

const WIDE = /\p{Emoji_Presentation}|\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}/u;
const graphemes = new Intl.Segmenter();
const REDRAW_MS = 100;

/**
 * @param {{ json?: boolean, quiet?: boolean }} options  quiet: only results, no progress
 */
export function openTerminal({ json = false, quiet = false } = {}) {
  const stream = json ? process.stderr : process.stdout;
  const live = Boolean(stream.isTTY) && process.env.TERM !== 'dumb';
  const columns = () => Math.max(40, (live && stream.columns) || 80);
  const colors = pc.createColors(live && !process.env.NO_COLOR);
  let shown = false; // a progress line stands on the screen
  let drawn = 0; // when

  const wipe = () => {
    if (shown) stream.write('\r\x1b[2K');
    shown = false;
  };

  return {
    colors,
    live,
    columns,
    /** A line that belongs to the result; not with --json, which has its own. */
    print(line = '') {
      if (json) return;
      wipe();
      stream.write(`${line}\n`);
    },
    /** A line about how it goes; not with --quiet. */
    note(line = '') {
      if (quiet) return;
      wipe();
      stream.write(`${line}\n`);
    },
    /** A line that must be seen, whatever the options. */
    warn(line) {
      wipe();
      process.stderr.write(`${line}\n`);
    },
    /** Redraws the progress line; only on a terminal. `fraction` 0 ... 1 */
    progress(fraction, text) {
      if (quiet || !live) return;
      const now = performance.now();
      if (shown && now - drawn < REDRAW_MS && fraction < 1) return;
      drawn = now;
      const room = columns() - 13 - width(text); // 10 around the bar, and 3 where the terminal shows ^C
      const size = Math.min(30, Math.max(0, room));
      const full = Math.round(size * Math.min(1, Math.max(0, fraction)));
      const bar = colors.cyan('━'.repeat(full)) + colors.dim('─'.repeat(size - full));
      const percent = `${Math.floor(fraction * 100)} %`.padStart(5);
      stream.write(`\r\x1b[2K  ${bar} ${percent}  ${cut(text, columns() - 13 - size)}`);
      shown = true;
    },
    wipe,
  };
}

/** Columns that a text takes on a terminal. */
export function width(text) {
  let sum = 0;
  for (const { segment } of graphemes.segment(text)) sum += WIDE.test(segment) ? 2 : 1;
  return sum;
}

/** The text, shortened with an ellipsis where it is wider. */
export function cut(text, columns) {
  if (width(text) <= columns) return text;
  let out = '';
  let used = 1;
  for (const { segment } of graphemes.segment(text)) {
    used += WIDE.test(segment) ? 2 : 1;
    if (used > columns) break;
    out += segment;
  }
  return `${out}…`;
}

/** The text, shortened in its middle where it is wider: names often differ in their last word. */
export function cutMiddle(text, columns) {
  if (width(text) <= columns) return text;
  const end = [];
  let room = Math.floor(columns / 2);
  for (const { segment } of [...graphemes.segment(text)].reverse()) {
    room -= width(segment);
    if (room < 0) break;
    end.unshift(segment);
  }
  return cut(text, Math.ceil(columns / 2)) + end.join('');
}

/** The text in lines that are no wider, broken between words. */
export function wrap(text, columns) {
  const lines = [''];
  for (const word of text.split(' ')) {
    const longer = lines.at(-1) ? `${lines.at(-1)} ${word}` : word;
    if (width(longer) <= columns || !lines.at(-1)) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

/** The text, filled up with spaces to a width. */
export const pad = (text, columns, right) => {
  const fill = ' '.repeat(Math.max(0, columns - width(text)));
  return right ? fill + text : text + fill;
};

/** Names as people can tell them apart: one that comes again has its place. @param {string[]} names */
export function apart(names) {
  const seen = new Set();
  const twice = new Set(names.filter((name) => seen.size === seen.add(name).size));
  return names.map((name, i) => (twice.has(name) ? `${name} [${i}]` : name));
}

/**
 * Lines of a table.
 * @param {string[][]} cells
 * @param {string} align  'l' or 'r' for each column
 * @param {{ indent?: number, gap?: number, paint?: (text: string, row: number, column: number) => string }} [options]
 *   paint may colour a cell, which has its width already
 */
export function table(cells, align, { indent = 2, gap = 3, paint = (text) => text } = {}) {
  const rows = cells.map((row) => row.map(printable)); // names may come from files
  const widths = [...align].map((_, column) => Math.max(...rows.map((row) => width(row[column] ?? ''))));
  return rows.map((row, y) => {
    const cells = [...align].map((side, x) => paint(pad(row[x] ?? '', widths[x], side === 'r'), y, x));
    return (' '.repeat(indent) + cells.join(' '.repeat(gap))).trimEnd();
  });
}

/** 0.442 -> "44.2 %" */
export const percent = (share) => `${(share * 100).toFixed(1)} %`;

/** 0.05 -> "+5.0", with a real minus sign */
export const change = (share) => {
  const points = (share * 100).toFixed(1);
  if (Number(points) === 0) return '0.0';
  return share > 0 ? `+${points}` : `−${points.slice(1)}`;
};

/** Milliseconds -> "0:12", "3:05", "2:10:00" */
export function clock(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  const two = (n) => String(n).padStart(2, '0');
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  return `${hours ? `${hours}:${two(minutes % 60)}` : minutes}:${two(seconds % 60)}`;
}

/** Milliseconds -> "12 s", "3:05 min", "2:10:00 h" */
export function duration(milliseconds) {
  if (milliseconds < 59500) return `${Math.round(milliseconds / 1000)} s`;
  return `${clock(milliseconds)} ${milliseconds < 3599500 ? 'min' : 'h'}`;
}

/** 5876762 -> "5.9 MB" */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  let value = bytes;
  let unit = -1;
  while (value >= 999.5) {
    value /= 1000;
    unit++;
  }
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${'kMGT'[unit]}B`;
}

/** 2930305 -> "2,930,305" */
export const count = (number) => number.toLocaleString('en');

/** "1 class", "20 classes" */
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;
