/** Charts: SVG that parsers take, with everything that was given in it; and the confusion matrix on a terminal. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { before, test } from 'node:test';
import { initWasm, Resvg } from '@resvg/resvg-wasm';
import pc from 'picocolors';

import { heatMap, mapWidth, paintMap } from '../../js/cli/heatmap.js';
import { cutMiddle, width } from '../../js/cli/terminal.js';
import { confusionSvg, linePlotSvg } from '../../js/node/charts.js';

before(() => initWasm(readFileSync(createRequire(import.meta.url).resolve('@resvg/resvg-wasm/index_bg.wasm'))));

/** Refuses what is no well-formed XML, and answers with the drawing's size. */
function parse(svg) {
  const { width, height } = new Resvg(svg);
  assert.ok(width > 0 && height > 0);
  return { width, height };
}

/** Attributes of all elements of a kind. */
const attributes = (svg, name, attribute) =>
  Array.from(svg.matchAll(new RegExp(`<${name} [^>]*?\\b${attribute}="([^"]*)"`, 'g')), ([, value]) => value);
const titles = (svg) => Array.from(svg.matchAll(/<title>([^<]*)<\/title>/g), ([, text]) => text);

const plot = {
  ...{ title: 'Few-shot', xLabel: 'shots', yLabel: 'accuracy, %', xs: [1, 2, 4, 8, 16] },
  series: [
    { name: 'CoOp', values: [40, 45, 50, 52, 55], deviations: [3, 2, 1, 1, 0.5] },
    { name: 'MuDPT', values: [46, null, 58, 61, 66.53] },
  ],
};
const matrix = {
  title: 'zoo',
  classes: ['cat', 'dog', 'owl'],
  confusion: [
    [3, 1, 0],
    [0, 0, 0],
    [0, 2, 2],
  ],
};

// ------------------------------------------------------------------------------------------ lines

test('a plot says everything in words as well', () => {
  const svg = linePlotSvg(plot);
  parse(svg);
  assert.match(svg, /^<svg [^>]*role="img"[^>]*>\n<title>Few-shot<\/title>\n<desc>[^<]+<\/desc>/);
  const [, description] = /<desc>([^<]*)<\/desc>/.exec(svg) ?? [];
  assert.match(description, /CoOp, accuracy, %: 40 ± 3 at 1, 45 ± 2 at 2, 50 ± 1 at 4/);
  assert.match(description, /MuDPT, accuracy, %: 46 at 1, 58 at 4, 61 at 8, 66.53 at 16\./);
  for (const text of ['shots', 'accuracy, %', 'CoOp', 'MuDPT', '16']) assert.ok(svg.includes(`>${text}</text>`), text);
  assert.ok(titles(svg).includes('CoOp, 1: 40 ± 3'));
});

test('steps stand where they are told to: twice as many shots are as far away everywhere', () => {
  const places = (xs) => xs.map(Math.log2);
  assert.equal(linePlotSvg({ ...plot, places: places(plot.xs) }), linePlotSvg(plot));
  const series = [{ name: 'a', values: [1, 2, 3, 4] }];
  const svg = linePlotSvg({ ...plot, xs: [1, 2, 8, 64], places: places([1, 2, 8, 64]), series });
  const [first, second, third, last] = Array.from(svg.matchAll(/translate\(([\d.]+) [\d.]+\)/g), ([, x]) => Number(x));
  const near = (got, want) => assert.ok(Math.abs(got - want) < 0.3, `${got}, ${want}`);
  near((second - first) / (last - first), 1 / 6);
  near((third - first) / (last - first), 3 / 6);
});

test('nothing leaves the limits that values have', () => {
  const series = [{ name: 'a', values: [99, 98], deviations: [3, 1] }];
  const svg = linePlotSvg({ ...plot, xs: [1, 2], series, limits: [0, 100] });
  const marks = Array.from(svg.matchAll(/text-anchor="end">(\d[\d.]*)</g), ([, text]) => Number(text));
  assert.equal(Math.max(...marks), 100);
  const heights = (pattern) => Array.from(svg.matchAll(pattern), ([, y]) => Number(y));
  const top = Math.min(...heights(/d="M[\d.]+ ([\d.]+)H/g));
  const bars = heights(/d="M[\d.]+ [\d.]+V([\d.]+)" stroke/g);
  assert.equal(bars.length, 2);
  for (const y of bars) assert.ok(y >= top, `${y} is above ${top}`);
  assert.ok(svg.includes('a, 1: 99 ± 3'));
});

test('steps stand at equal distances, higher values stand higher, and all fit', () => {
  const svg = linePlotSvg({ ...plot, series: [{ name: 'a', values: [10, 20, 30, 20, 10] }] });
  const { width, height } = parse(svg);
  const [line] = attributes(svg, 'path', 'd').filter((d) => d.split('L').length === 5);
  const points = line
    .slice(1)
    .split('L')
    .map((point) => point.split(',').map(Number));
  const gaps = points.slice(1).map(([x], i) => x - points[i][0]);
  for (const gap of gaps) assert.ok(gap > 0 && Math.abs(gap - gaps[0]) < 0.05, `${gaps}`);
  assert.ok(points[0][1] > points[1][1] && points[1][1] > points[2][1]);
  assert.equal(points[0][1], points[4][1]);
  for (const [x, y] of points) assert.ok(x > 0 && x < width && y > 0 && y < height);
});

test('a value that is missing interrupts the line', () => {
  const svg = linePlotSvg({ ...plot, series: [{ name: 'a', values: [1, 2, null, 3, 4] }] });
  assert.ok(attributes(svg, 'path', 'd').some((d) => /^M[^ML]+L[^ML]+M[^ML]+L[^ML]+$/.test(d)));
  assert.doesNotMatch(svg, /NaN|null|undefined/);
});

test('nine series differ in colour or marker, and each has its name below', () => {
  const names = Array.from({ length: 9 }, (_, i) => `method ${i}`);
  const svg = linePlotSvg({ ...plot, series: names.map((name, i) => ({ name, values: [i, i, i, i, i + 1] })) });
  parse(svg);
  const looks = Array.from(svg.matchAll(/<path d="([^"]*)" fill="([^"]*)" transform="translate\(13 -4\)"/g), String);
  assert.equal(new Set(looks).size, 9);
  for (const name of names) assert.ok(svg.includes(`>${name}</text>`));
});

test('plots of nothing, of one value, and of equal values', () => {
  for (const values of [[], [null], [0.5], [0, 0], [-3, -3], [1e-9, 2e-9], [1e12, 2e12]]) {
    const svg = linePlotSvg({ ...plot, xs: values.map((_, i) => i), series: [{ name: 'a', values }] });
    parse(svg);
    assert.doesNotMatch(svg, /NaN|Infinity|undefined/, `${values}`);
  }
  parse(linePlotSvg({ ...plot, series: [] }));
});

// ------------------------------------------------------------------------------------------ confusion

test('a confusion matrix: what is counted is drawn, in two colours, darker where it is more', () => {
  const svg = confusionSvg(matrix);
  parse(svg);
  assert.match(svg, /<desc>Confusion matrix, classes: 3\. 5 of 8 pictures are named rightly\./);
  const cells = Array.from(
    svg.matchAll(/<title>(\w+) named (\w+): (\d+) of (\d+)<\/title><rect [^>]*fill="([^"]+)" fill-opacity="([^"]+)"/g),
    ([, from, to, times, total, color, shade]) => ({ pair: `${from} ${to} ${times}/${total}`, color, shade: +shade }),
  );
  assert.deepEqual(
    cells.map((cell) => cell.pair),
    ['cat cat 3/4', 'cat dog 1/4', 'owl dog 2/4', 'owl owl 2/4'],
  );
  const [right, wrong, other, half] = cells;
  assert.ok(right.color === half.color && wrong.color === other.color && right.color !== wrong.color);
  assert.ok(right.shade > half.shade && half.shade > wrong.shade && other.shade === half.shade);
});

test('names are escaped, and what XML forbids is replaced', () => {
  const nasty = `<script>"&' \u0001\uD800 ]]>`;
  const expected = '&lt;script&gt;&quot;&amp;&#39; \uFFFD\uFFFD ]]&gt;';
  for (const svg of [
    confusionSvg({ title: nasty, classes: [nasty], confusion: [[1]] }),
    linePlotSvg({ title: nasty, xLabel: nasty, yLabel: nasty, xs: [nasty], series: [{ name: nasty, values: [1] }] }),
  ]) {
    parse(svg);
    assert.ok(titles(svg).includes(expected));
    assert.doesNotMatch(svg, /<script|\u0001/);
  }
});

test('long names are cut, and whole in the tooltip', () => {
  const name = 'a very long name of a class that nobody could ever hope to read beside a matrix';
  const svg = confusionSvg({ ...matrix, classes: [name, 'dog', '猫'.repeat(60)] });
  assert.ok(parse(svg).width < 600);
  assert.ok(titles(svg).includes(name));
  assert.match(svg, /<\/title>a very lo[^<]{0,8}…[^<]{0,8} matrix<\/text>/);
});

test('a thousand classes: a file of a size that can be opened', () => {
  const classes = Array.from({ length: 1000 }, (_, i) => `class ${i}`);
  const confusion = classes.map((_, i) => classes.map((_, j) => (i === j ? 9 : j === 7 ? 1 : 0)));
  const svg = confusionSvg({ title: 'many', classes, confusion });
  assert.ok(svg.length < 1e6, `${svg.length} characters`);
  const { width, height } = parse(svg);
  assert.ok(width < 2000 && height < 2000);
  parse(confusionSvg({ title: 'none', classes: [], confusion: [] }));
});

test('the same input gives the same bytes', () => {
  assert.equal(linePlotSvg(structuredClone(plot)), linePlotSvg(plot));
  assert.equal(confusionSvg(structuredClone(matrix)), confusionSvg(matrix));
});

// ------------------------------------------------------------------------------------------ terminal

test('the heat map of a terminal', () => {
  const lines = heatMap(matrix.confusion);
  assert.deepEqual(lines, ['  A B C', 'A▓▓░░ ·', 'B · · ·', 'C ·▒▒▒▒']);
  for (const line of lines) assert.equal(width(line), mapWidth(3));
  assert.equal(mapWidth(53), Infinity);
  const [, all] = heatMap([
    [4, 0],
    [1, 3],
  ]);
  assert.equal(all, 'A██ ·');
});

test('colour marks mistakes and changes no character', () => {
  const lines = heatMap(matrix.confusion);
  const colors = pc.createColors(true);
  const painted = lines.map((line, row) => paintMap(line, row, colors));
  assert.ok(painted[1].includes(colors.cyan('▓▓')) && painted[1].includes(colors.red('░░')));
  assert.deepEqual(
    painted.map((line) => line.replace(/\x1b\[\d+m/g, '')),
    lines,
  );
  assert.deepEqual(
    lines.map((line, row) => paintMap(line, row, pc.createColors(false))),
    lines,
  );
});

test('names that are cut in the middle keep their ends', () => {
  assert.equal(cutMiddle('smiling face with halo', 12), 'smili…h halo');
  assert.equal(cutMiddle('halo', 4), 'halo');
  for (let columns = 2; columns < 12; columns++) {
    for (const name of ['smiling face', '微笑的脸庞微笑的脸庞']) assert.ok(width(cutMiddle(name, columns)) <= columns);
  }
});
