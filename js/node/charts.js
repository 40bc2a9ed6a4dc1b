/**
 * Charts as standalone SVG: lines over steps, and confusion matrices.
 *
 * They carry their own white background, a title and a description for screen readers, and colours that colour-blind
 * people tell apart, each with a marker of its own. Fonts are the reader's. The same input gives the same bytes. Text
 * is measured by a guess, so names are cut where they might not fit; what was cut is in the tooltip.
 *
 *   const svg = linePlotSvg({ title, xLabel: 'shots', yLabel: 'accuracy, %', xs: [1, 2, 4, 8, 16], series });
 */
import { extent, nice, ticks, tickStep } from 'd3-array';
import { line, symbol, symbolsFill } from 'd3-shape';

const FONT = 'system-ui, Helvetica, Arial, DejaVu Sans, sans-serif';
const INK = '#1a1a1a';
const QUIET = '#595959';
const GRID = '#dddddd';

// ------------------------------------------------------------------------------------------ lines

/** Near Okabe and Ito's colours, without the yellow that vanishes on white. With 7 markers 56 series differ. */
const COLORS = ['#0072b2', '#d55e00', '#009e73', '#b8528c', '#c98200', '#3a9bd6', '#000000', '#7a7a7a'];
const MARKERS = symbolsFill;
const PLOT = { width: 480, height: 250, right: 14, text: 13 };
const Y_TICKS = 6;
const DODGE = 3; // between the error bars of neighbouring series

/**
 * Lines over steps that stand at equal distances, or where they are told to.
 *
 * @param {object} plot
 * @param {string} plot.title
 * @param {string} plot.xLabel
 * @param {string} plot.yLabel
 * @param {(number | string)[]} plot.xs  [X] the steps' names, from the left
 * @param {number[]} [plot.places]  [X] of the steps, ascending, on any scale
 * @param {{ name: string, values: (number | null)[], deviations?: (number | null)[] }[]} plot.series  values [X], null
 *   where there is none: the line is interrupted; deviations [X] are drawn as a bar from value - deviation to
 *   value + deviation
 * @param {[number, number]} [plot.limits]  beyond which there are no values: neither axis nor bars leave them
 * @returns {string} an SVG document
 */
export function linePlotSvg({ title, xLabel, yLabel, xs, places, series, limits = [-Infinity, Infinity] }) {
  const { width, height, right, text } = PLOT;
  const heading = lines(title, width - 24, text + 2);
  const top = 20 + 20 * heading.length;
  const legend = placeLegend(series, width, text);
  const [least, most] = limits;
  const within = (value) => Math.min(most, Math.max(least, value));
  const [low, high] = rangeOf(series).map(within);
  const values = ticks(low, high, Y_TICKS);
  const decimals = Math.max(0, -Math.floor(Math.log10(tickStep(low, high, Y_TICKS))));
  const marked = values.map((value) => value.toFixed(decimals).replace('-', '−'));
  const left = 34 + Math.max(...marked.map((value) => widthOf(value, text)));
  const dodge = series.some((each) => each.deviations) ? DODGE : 0;
  const whole = (width - left - right) / xs.length;
  // From the middle of the first of equal steps to that of the last.
  const shares = (places ?? xs.map((_, i) => i)).map((place, _, [first]) => place - first);
  const span = shares.at(-1) || 1;
  const x = (i) => left + (0.5 + (shares[i] / span) * (xs.length - 1)) * whole;
  const step = Math.min(whole, ...xs.slice(1).map((_, i) => x(i + 1) - x(i)));
  const y = (value) => top + height - ((within(value) - low) / (high - low)) * height;

  const grid = values.map((value, i) => [
    element('path', { d: `M${number(left)} ${number(y(value))}H${width - right}`, stroke: GRID }),
    label(left - 8, y(value) + 4, marked[i], { 'text-anchor': 'end' }),
  ]);
  const steps = xs.map((name, i) => label(x(i), top + height + 20, cut(String(name), step, text), MIDDLE));
  const drawn = series.map((each, s) => {
    const shift = (s - (series.length - 1) / 2) * Math.min(dodge, (0.6 * step) / series.length);
    return drawSeries(each, s, xs, (i) => x(i) + shift, y);
  });
  const below = top + height + 64;
  const rows = legend.rows.map((entry, s) =>
    element('g', { transform: `translate(${number(entry.x)} ${below + entry.y})` }, [
      element('title', {}, series[s].name),
      element('path', { d: 'M0 -4H26', stroke: colorOf(s), 'stroke-width': 2 }),
      element('path', { d: markerOf(s), fill: colorOf(s), transform: 'translate(13 -4)' }),
      label(34, 0, entry.text),
    ]),
  );
  const middle = top + height / 2;
  return documentOf(width, below + legend.height, title, describeSeries(xs, series, yLabel), [
    headingOf(heading, width),
    element('g', { fill: QUIET, 'font-size': text }, [
      ...grid.flat(),
      ...steps,
      label(left + (width - left - right) / 2, top + height + 41, xLabel, MIDDLE),
      label(14, middle, yLabel, { ...MIDDLE, transform: `rotate(-90 14 ${number(middle)})` }),
    ]),
    element('path', { d: `M${number(left)} ${top}V${top + height}H${width - right}`, fill: 'none', stroke: QUIET }),
    ...drawn,
    element('g', { fill: INK, 'font-size': text }, rows),
  ]);
}

/** Values that the axis shows: all, with their bars, rounded outwards. */
function rangeOf(series) {
  const all = series.flatMap(({ values, deviations }) =>
    values.flatMap((value, i) =>
      isNumber(value) ? [value - (deviations?.[i] || 0), value + (deviations?.[i] || 0)] : [],
    ),
  );
  const [low, high] = extent(all);
  if (low === undefined) return [0, 1];
  const pad = low < high ? 0 : Math.abs(low) / 10 || 1;
  return nice(low - pad, high + pad, Y_TICKS);
}

/**
 * One line with its bars and markers.
 * @param {{ name: string, values: (number | null)[], deviations?: (number | null)[] }} series
 * @param {number} s  its place among the series
 * @param {(number | string)[]} xs
 * @param {(i: number) => number} x  pixels of step i
 * @param {(value: number) => number} y  pixels of a value
 */
function drawSeries({ name, values, deviations }, s, xs, x, y) {
  const color = colorOf(s);
  const path = line()
    .defined(isNumber)
    .x((_, i) => x(i))
    .y(y)
    .digits(2);
  const marks = values.flatMap((value, i) => {
    if (!isNumber(value)) return [];
    const deviation = deviations?.[i] || 0;
    const bar = `M${number(x(i))} ${number(y(value - deviation))}V${number(y(value + deviation))}`;
    const at = `translate(${number(x(i))} ${number(y(value))})`;
    return [
      element('g', {}, [
        element('title', {}, `${name}, ${xs[i]}: ${short(value)}${spread(deviation)}`),
        ...(deviation ? [element('path', { d: bar, stroke: color, 'stroke-width': 1.5, 'stroke-opacity': 0.55 })] : []),
        element('path', { d: markerOf(s), fill: color, stroke: '#ffffff', transform: at }),
      ]),
    ];
  });
  const d = path(values);
  return element('g', {}, [
    ...(d ? [element('path', { d, fill: 'none', stroke: color, 'stroke-width': 2, 'stroke-linejoin': 'round' })] : []),
    ...marks,
  ]);
}

/** Names in as many columns as fit, from the left, row by row. */
function placeLegend(series, width, size) {
  const room = width - 40;
  const sample = 34; // the line before a name
  const widest = Math.max(0, ...series.map(({ name }) => widthOf(name, size))) + sample + 16;
  const columns = Math.max(1, Math.min(series.length, Math.floor(room / widest)));
  const column = room / columns;
  const rows = series.map(({ name }, s) => ({
    x: 24 + (s % columns) * column,
    y: 8 + Math.floor(s / columns) * 20,
    text: cut(name, column - sample, size),
  }));
  return { rows, height: 8 + 20 * Math.ceil(series.length / columns) };
}

const describeSeries = (xs, series, yLabel) =>
  series
    .map(({ name, values, deviations }) => {
      const each = values.flatMap((value, i) => {
        if (!isNumber(value)) return [];
        return `${short(value)}${spread(deviations?.[i])} at ${xs[i]}`;
      });
      return `${name}, ${yLabel}: ${each.join(', ') || 'no values'}.`;
    })
    .join(' ');

const colorOf = (s) => COLORS[s % COLORS.length];
const markerOf = (s) => symbol(MARKERS[s % MARKERS.length], 56).digits(2)();

// ------------------------------------------------------------------------------------------ confusion

// Black text reads well on both, at every shade.
const RIGHT = '#3f8fd2';
const WRONG = '#e07b2e';
const FAINTEST = 0.18; // what is there at all is seen
const FAINTEST_DOT = 0.5;
const MATRIX = { side: 336, smallest: 14, largest: 64, text: 12, longest: 136, unnamed: 80 };

/**
 * A confusion matrix: rows are the true classes, columns the predicted ones. A cell's shade is its share of the row's
 * pictures; right ones are blue, wrong ones orange. Beyond 80 classes the names are left to the tooltips. Only
 * cells that count something are drawn, so the file grows with the pictures, not with the square of the classes.
 *
 * @param {object} matrix
 * @param {string} matrix.title
 * @param {string[]} matrix.classes       N names
 * @param {number[][]} matrix.confusion   [N][N] pictures, [true class][predicted class]
 * @returns {string} an SVG document
 */
export function confusionSvg({ title, classes, confusion }) {
  const { side, smallest, largest, text, longest, unnamed } = MATRIX;
  const named = classes.length <= unnamed;
  const cell = named
    ? Math.min(largest, Math.max(smallest, side / Math.max(1, classes.length)))
    : Math.max(1, (unnamed * smallest) / classes.length);
  const size = cell * classes.length;
  const margin = named
    ? Math.min(Math.max(longest, size / 5), Math.max(40, ...classes.map((name) => widthOf(name, text)))) + 14
    : 20;
  const left = 24 + margin;
  const width = Math.max(360, left + size + 24);
  const heading = lines(title, width - 24, PLOT.text + 2);
  const top = 16 + 20 * heading.length;
  const slanted = cell >= 20;
  const below = top + size + (named ? (slanted ? 0.75 : 1) * margin - 6 : 0);

  const names = classes.flatMap((name, i) => {
    const at = (i + 0.5) * cell;
    const [x, y] = [left + at + 4, top + size + 10];
    const full = element('title', {}, name);
    const shown = escape(cut(name, margin - 12, text));
    const turn = `rotate(${slanted ? -45 : -90} ${number(x)} ${number(y)})`;
    return [
      element('text', { x: number(left - 6), y: number(top + at + 4), 'text-anchor': 'end' }, [full, shown]),
      element('text', { x: number(x), y: number(y), 'text-anchor': 'end', transform: turn }, [full, shown]),
    ];
  });
  const middle = top + size / 2;
  return documentOf(width, below + 84, title, describeConfusion(classes, confusion), [
    headingOf(heading, width),
    element('rect', { x: number(left), y: top, width: number(size), height: number(size), fill: '#f5f5f5' }),
    ...drawCells(classes, confusion, { left, top, cell }),
    element('g', { fill: INK, 'font-size': text }, named ? names : []),
    element('g', { fill: QUIET, 'font-size': text }, [
      label(left + size / 2, below + 26, 'predicted class', MIDDLE),
      label(16, middle, 'true class', { ...MIDDLE, transform: `rotate(-90 16 ${number(middle)})` }),
    ]),
    keyOf(width / 2 - 150, below + 56, text),
  ]);
}

function drawCells(classes, confusion, { left, top, cell }) {
  const gap = cell >= 6 ? 1 : 0;
  const counted = cell >= MATRIX.smallest;
  const faintest = cell >= 6 ? FAINTEST : FAINTEST_DOT;
  return confusion.flatMap((row, from) => {
    const total = row.reduce((sum, times) => sum + times, 0);
    return row.flatMap((times, to) => {
      if (!times) return [];
      const shade = faintest + (1 - faintest) * (times / total);
      const [x, y] = [left + to * cell, top + from * cell];
      const fits = counted && widthOf(String(times), 0.6 * cell) <= cell;
      const size = Math.min(13, 0.6 * cell);
      return element('g', {}, [
        element('title', {}, `${classes[from]} named ${classes[to]}: ${times} of ${total}`),
        element('rect', {
          ...{ x: number(x), y: number(y), width: number(cell - gap), height: number(cell - gap) },
          ...{ fill: from === to ? RIGHT : WRONG, 'fill-opacity': number(shade) },
        }),
        ...(fits
          ? [
              label(x + (cell - gap) / 2, y + (cell - gap) / 2 + 0.35 * size, String(times), {
                ...{ ...MIDDLE, 'font-size': number(size), fill: '#000000' },
              }),
            ]
          : []),
      ]);
    });
  });
}

/** What the shades mean. */
function keyOf(x, y, text) {
  const shares = [0, 0.25, 0.5, 0.75, 1];
  const strip = (color, at) =>
    shares.map((share, i) =>
      element('rect', {
        ...{ x: number(at + 16 * i), y: y - 10, width: 15, height: 12 },
        ...{ fill: color, 'fill-opacity': number(FAINTEST + (1 - FAINTEST) * share) },
      }),
    );
  return element('g', { fill: QUIET, 'font-size': text }, [
    ...strip(RIGHT, x + 40),
    ...strip(WRONG, x + 180),
    label(x + 34, y, 'right', { 'text-anchor': 'end' }),
    label(x + 174, y, 'wrong', { 'text-anchor': 'end' }),
    label(x + 150, y + 18, 'light to dark: 0 to 100 % of the true class', MIDDLE),
  ]);
}

function describeConfusion(classes, confusion) {
  const all = confusion.reduce((sum, row) => row.reduce((part, times) => part + times, sum), 0);
  const right = confusion.reduce((sum, row, i) => sum + row[i], 0);
  const named = `${right} of ${all} pictures are named rightly`;
  return `Confusion matrix, classes: ${classes.length}. ${named}. Rows are true classes, columns predicted ones.`;
}

// ------------------------------------------------------------------------------------------ SVG

const MIDDLE = { 'text-anchor': 'middle' };

function documentOf(width, height, title, description, children) {
  const [w, h] = [Math.ceil(width), Math.ceil(height)];
  const attributes = {
    ...{ xmlns: 'http://www.w3.org/2000/svg', role: 'img', viewBox: `0 0 ${w} ${h}`, width: w, height: h },
    ...{ style: 'max-width: 100%; height: auto', 'font-family': FONT },
  };
  const background = element('rect', { width: w, height: h, fill: '#ffffff' });
  const about = [element('title', {}, title), element('desc', {}, description)];
  return `${element(
    'svg',
    attributes,
    [...about, background, ...children].map((child) => `\n${child}`),
  )}\n`;
}

const headingOf = (heading, width) =>
  element('g', { fill: INK, 'font-size': PLOT.text + 2, 'font-weight': 600 }, [
    ...heading.map((text, i) => label(width / 2, 26 + 20 * i, text, MIDDLE)),
  ]);

/**
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 * @param {string | string[]} [content]  a text, or elements that are markup already
 */
function element(name, attributes, content = []) {
  const list = Object.entries(attributes).map(([key, value]) => ` ${key}="${escape(String(value))}"`);
  const inside = typeof content === 'string' ? escape(content) : content.join('');
  return inside ? `<${name}${list.join('')}>${inside}</${name}>` : `<${name}${list.join('')}/>`;
}

const label = (x, y, text, attributes = {}) => element('text', { x: number(x), y: number(y), ...attributes }, text);

const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
/** What XML 1.0 does not allow, not even as a reference. */
const FORBIDDEN = /[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu;

const escape = (text) => text.replace(FORBIDDEN, '\uFFFD').replace(/[&<>"']/g, (sign) => ENTITIES[sign]);

/** At most two digits after the point. */
const number = (value) => Number(value.toFixed(2));
const short = (value) => String(Number(value.toPrecision(4)));
const spread = (deviation) => (deviation ? ` ± ${short(deviation)}` : '');

/** @param {any} value @returns {value is number} */
function isNumber(value) {
  return Number.isFinite(value);
}

/** Pixels that a text takes at most in usual fonts, at a font size. */
function widthOf(text, size) {
  let sum = 0;
  for (const sign of text) sum += sign.codePointAt(0) >= 0x1100 ? 1.05 : 0.58;
  return sum * size;
}

/** The text, shortened in its middle where it might be wider: names often differ in their last word. */
function cut(text, room, size) {
  if (widthOf(text, size) <= room) return text;
  const signs = [...text];
  let [head, tail] = ['', ''];
  let left = room - widthOf('…', size);
  for (let i = 0; ; i++) {
    const sign = i % 2 ? signs[signs.length - 1 - (i >> 1)] : signs[i >> 1];
    left -= widthOf(sign, size);
    if (left < 0) return `${head.trimEnd()}…${tail.trimStart()}`;
    if (i % 2) tail = sign + tail;
    else head += sign;
  }
}

/** The text in at most two lines, broken between words. */
function lines(text, room, size) {
  const out = [''];
  for (const word of text.split(' ')) {
    const longer = out.at(-1) ? `${out.at(-1)} ${word}` : word;
    if (widthOf(longer, size) <= room || out.length === 2 || !out.at(-1)) out[out.length - 1] = longer;
    else out.push(word);
  }
  return out.map((each) => cut(each, room, size));
}
