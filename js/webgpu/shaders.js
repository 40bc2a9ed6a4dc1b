/**
 * WGSL of everything that a tower is made of. Rows are of width d, a multiple of 4, and are read four values at a time.
 * All sums are f32. A kernel's sizes come in a uniform block; its comment names shapes as the C kernels do.
 */
import { F16, F32, I16, I8 } from './layout.js';

/**
 * Tiles of the products: workgroups of tx x ty threads, each of `rows` x 4 sums. The tuning run chooses. Operands are
 * shared in workgroup memory, or rows of `a` among the threads of a subgroup, or not at all.
 */
export const TILES = Object.freeze({
  small: { tx: 8, ty: 8, rows: 4, shared: 'workgroup' },
  medium: { tx: 16, ty: 16, rows: 4, shared: 'workgroup' },
  large: { tx: 16, ty: 16, rows: 8, shared: 'workgroup' },
  subgroups: { tx: 64, ty: 1, rows: 8, shared: 'subgroup' },
  direct: { tx: 8, ty: 8, rows: 8, shared: 'nothing' },
});
/** k's of a tile that lie in workgroup memory at a time. */
const DEPTH = 16;

const range = (count) => Array.from({ length: count }, (_, i) => i);

/** Panels' element type, and four output channels (half 0 or 1 of a panel) at one input, widened. */
const WEIGHTS = {
  [F32]: ['vec4f', 'return w[(panel * p.inputs + i) * 2 + half];'],
  [F16]: [
    'vec2u',
    `let v = w[(panel * p.inputs + i) * 2 + half];
     return vec4f(unpack2x16float(v.x), unpack2x16float(v.y));`,
  ],
  [I8]: [
    'u32',
    `let v = bitcast<i32>(w[(panel * p.inputs + i) * 2 + half]);
     let x = vec4i(extractBits(v, 0, 8), extractBits(v, 8, 8), extractBits(v, 16, 8), extractBits(v, 24, 8));
     return vec4f(x) * scale[panel * 2 + half];`,
  ],
  // Inputs in pairs, the even one in the lower half.
  [I16]: [
    'vec4u',
    `let v = bitcast<vec4i>(w[panel * ((p.inputs + 1) & ~1u) + (i & ~1u) + half]);
     return vec4f(extractBits(v, 16 * (i & 1), 16)) * scale[panel * 2 + half];`,
  ],
};

/** What all products begin with. */
function productHead(storage, transposed) {
  const [type, widen] = WEIGHTS[storage];
  const scaled = storage === I8 || storage === I16;
  return `
struct Sizes {
  rows: u32, depth: u32, columns: u32, lda: u32, ldc: u32,
  first: u32, inputs: u32, bias: u32, accumulate: u32
}
@group(0) @binding(0) var<uniform> p: Sizes;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> w: array<${type}>;
@group(0) @binding(3) var<storage, read_write> c: array<vec4f>;
${transposed ? '' : '@group(0) @binding(4) var<storage, read> bias: array<vec4f>;'}
${scaled ? '@group(0) @binding(5) var<storage, read> scale: array<vec4f>;' : ''}
fn weight(panel: u32, i: u32, half: u32) -> vec4f { ${widen} }`;
}

/** Writes four columns of a row. */
const storeFour = (transposed, row, column, value) => `{
  let at = ((${row}) * p.ldc + ${column}) / 4;
  ${transposed ? '' : `if (p.bias != 0) { ${value} += bias[(p.first + ${column}) / 4]; }`}
  if (p.accumulate != 0) { ${value} += c[at]; }
  c[at] = ${value}; }`;

/**
 * c [rows, columns] (+)= a [rows, depth] times a range of a weight's output channels, straight (columns are channels; a
 * bias is added) or transposed (the sum is over them).
 * @param {number} storage
 * @param {boolean} transposed
 * @param {string} tiles of TILES
 */
export function product(storage, transposed, tiles) {
  const tile = TILES[tiles];
  return (tile.shared === 'workgroup' ? tiledProduct : streamedProduct)(storage, transposed, tile);
}

function tiledProduct(storage, transposed, { tx, ty, rows }) {
  const [threads, tileRows, columns] = [tx * ty, ty * rows, tx * 4];
  const each = range(rows);
  const straight = `
    for (var e = t; e < ${(columns / 8) * DEPTH * 2}u; e += ${threads}u) {
      let k = (e >> 1) % ${DEPTH}u; let panel = (e >> 1) / ${DEPTH}u;
      var v = vec4f(0);
      if (chunk + k < p.depth && column0 + panel * 8 < p.columns) {
        v = weight(p.first / 8 + column0 / 8 + panel, chunk + k, e & 1);
      }
      right[k * ${columns / 4}u + panel * 2 + (e & 1)] = v;
    }`;
  const turned = `
    for (var e = t; e < ${(DEPTH / 8) * columns * 2}u; e += ${threads}u) {
      let column = (e >> 1) % ${columns}u; let panel = (e >> 1) / ${columns}u;
      var v = vec4f(0);
      if (chunk + panel * 8 < p.depth && column0 + column < p.columns) {
        v = weight((p.first + chunk) / 8 + panel, column0 + column, e & 1);
      }
      right[(panel * 2 + (e & 1)) * ${columns}u + column] = v;
    }`;
  const left = each.map((r) => `let a${r} = left[(y * ${rows}u + ${r}u) * ${DEPTH / 4}u + k];`).join('\n');
  const add = transposed
    ? `${range(4)
        .map((c) => `let b${c} = right[k * ${columns}u + x * 4 + ${c}u];`)
        .join('\n')}
       ${each.map((r) => `s${r} += vec4f(dot(a${r}, b0), dot(a${r}, b1), dot(a${r}, b2), dot(a${r}, b3));`).join('\n')}`
    : range(4)
        .map(
          (i) => `{ let b = right[(k * 4 + ${i}u) * ${columns / 4}u + x];
          ${each.map((r) => `s${r} = fma(vec4f(a${r}[${i}]), b, s${r});`).join('\n')} }`,
        )
        .join('\n');
  const store = (r) => storeFour(transposed, `row0 + y * ${rows}u + ${r}u`, '(column0 + x * 4)', `s${r}`);
  return `${productHead(storage, transposed)}
var<workgroup> left: array<vec4f, ${(tileRows * DEPTH) / 4}>;
var<workgroup> right: array<vec4f, ${(columns * DEPTH) / 4}>;
@compute @workgroup_size(${threads})
fn main(@builtin(local_invocation_index) t: u32, @builtin(workgroup_id) group: vec3u) {
  let x = t % ${tx}u; let y = t / ${tx}u;
  let column0 = group.x * ${columns}u; let row0 = group.y * ${tileRows}u;
  ${each.map((r) => `var s${r} = vec4f(0);`).join(' ')}
  for (var chunk = 0u; chunk < p.depth; chunk += ${DEPTH}u) {
    for (var e = t; e < ${(tileRows * DEPTH) / 4}u; e += ${threads}u) {
      let row = row0 + e / ${DEPTH / 4}u; let k = chunk + e % ${DEPTH / 4}u * 4;
      var v = vec4f(0);
      if (row < p.rows && k < p.depth) { v = a[(row * p.lda + k) / 4]; }
      left[e] = v;
    }
    ${transposed ? turned : straight}
    workgroupBarrier();
    for (var k = 0u; k < ${DEPTH / 4}u; k++) {
      ${left}
      ${add}
    }
    workgroupBarrier();
  }
  if (column0 + x * 4 >= p.columns) { return; }
  ${each.map((r) => `if (row0 + y * ${rows}u + ${r}u < p.rows) { ${store(r)} }`).join('\n')}
}`;
}

/**
 * The same without workgroup memory: every thread reads what it needs of the weights. Where nothing is shared it reads
 * its rows of `a`, too: for adapters whose threads are a processor's, where waiting for each other costs more than
 * reading twice. With subgroups each thread reads every size-th four k's of the rows, which the others get from it.
 */
function streamedProduct(storage, transposed, { tx, ty, rows, shared }) {
  const each = range(rows);
  const lines = (line) => each.map(line).join('\n');
  const add = range(4)
    .map(
      transposed
        ? (i) => `{ let b = weight((p.first + k * 4) / 8, min(column + ${i}u, p.columns - 1), k & 1);
          ${lines((r) => `s${r}[${i}] += dot(a${r}, b);`)} }`
        : (i) => `{ let b = weight((p.first + column) / 8, k * 4 + ${i}u, (column / 4) & 1);
          ${lines((r) => `s${r} = fma(vec4f(a${r}[${i}]), b, s${r});`)} }`,
    )
    .join('\n');
  const begin = `let row0 = id.y * ${rows}u; let fours = p.depth / 4;
  ${lines((r) => `var s${r} = vec4f(0); let from${r} = min(row0 + ${r}u, p.rows - 1) * p.lda / 4;`)}`;
  const end = lines((r) => `if (row0 + ${r}u < p.rows) ${storeFour(transposed, `row0 + ${r}u`, 'column', `s${r}`)}`);
  if (shared === 'nothing') {
    return `${productHead(storage, transposed)}
@compute @workgroup_size(${tx}, ${ty})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let column = id.x * 4;
  if (column >= p.columns) { return; }
  ${begin}
  for (var k = 0u; k < fours; k++) {
    ${lines((r) => `let a${r} = a[from${r} + k];`)}
    ${add}
  }
  ${end}
}`;
  }
  // That `size` is the same for all is not proven to the compiler.
  return `enable subgroups;
diagnostic(off, subgroup_uniformity);
${productHead(storage, transposed)}
@compute @workgroup_size(${tx}, ${ty})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let size = subgroupMax(lane) + 1; // what there is, whatever the driver says
  let column = min(id.x * 4, p.columns - 4); // all threads take part until the end
  ${begin}
  for (var chunk = 0u; chunk < fours; chunk += size) {
    let own = min(chunk + lane, fours - 1);
    ${lines((r) => `let own${r} = a[from${r} + own];`)}
    for (var k = chunk; k < min(chunk + size, fours); k++) {
      ${lines((r) => `let a${r} = subgroupShuffle(own${r}, k - chunk);`)}
      ${add}
    }
  }
  if (id.x * 4 >= p.columns) { return; }
  ${end}
}`;
}

/** Threads of a workgroup that sums up a row: few, as they wait for each other. */
const TEAM = 32;
/** Sum over such a workgroup, the same for all its threads. */
const TOTAL = `
var<workgroup> parts: array<f32, ${TEAM}>;
fn total(t: u32, x: f32) -> f32 {
  workgroupBarrier();
  parts[t] = x;
  workgroupBarrier();
  var sum = 0.0;
  for (var i = 0u; i < ${TEAM}; i++) { sum += parts[i]; }
  return sum;
}`;
const MAIN = (size = 64) => `@compute @workgroup_size(${size})
fn main(@builtin(local_invocation_index) t: u32, @builtin(workgroup_id) group: vec3u)`;

/** y = xhat gain + bias, xhat = (x - mean) rstd. keep: xhat and rstd are written. */
export const layernormForward = (keep) => `
struct Sizes { d: u32, epsilon: f32 }
@group(0) @binding(0) var<uniform> p: Sizes;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> gain: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;
${keep ? '@group(0) @binding(5) var<storage, read_write> xhat: array<vec4f>;' : ''}
${keep ? '@group(0) @binding(6) var<storage, read_write> rstd: array<f32>;' : ''}
${TOTAL}
${MAIN(TEAM)} {
  let width = p.d / 4; let row = group.x * width;
  var sum = 0.0;
  for (var i = t; i < width; i += ${TEAM}) { sum += dot(x[row + i], vec4f(1)); }
  let mean = total(t, sum) / f32(p.d);
  sum = 0;
  for (var i = t; i < width; i += ${TEAM}) { let v = x[row + i] - mean; sum += dot(v, v); }
  let r = 1 / sqrt(total(t, sum) / f32(p.d) + p.epsilon);
  for (var i = t; i < width; i += ${TEAM}) {
    let v = (x[row + i] - mean) * r;
    ${keep ? 'xhat[row + i] = v;' : ''}
    y[row + i] = v * gain[i] + bias[i];
  }
  ${keep ? 'if (t == 0) { rstd[group.x] = r; }' : ''}
}`;

/** dx (+)= rstd (g - mean(g) - xhat mean(g xhat)), g = dy gain. Row i of xhat and rstd is index[p.index + i]. */
export const layernormBackward = () => `
struct Sizes { d: u32, accumulate: u32, index: u32 }
@group(0) @binding(0) var<uniform> p: Sizes;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> gain: array<vec4f>;
@group(0) @binding(3) var<storage, read> xhat: array<vec4f>;
@group(0) @binding(4) var<storage, read> rstd: array<f32>;
@group(0) @binding(5) var<storage, read> index: array<u32>;
@group(0) @binding(6) var<storage, read_write> dx: array<vec4f>;
${TOTAL}
${MAIN(TEAM)} {
  let width = p.d / 4; let row = group.x * width;
  let kept_row = index[p.index + group.x]; let kept = kept_row * width;
  var plain = 0.0; var projected = 0.0;
  for (var i = t; i < width; i += ${TEAM}) {
    let g = dy[row + i] * gain[i];
    plain += dot(g, vec4f(1));
    projected += dot(g, xhat[kept + i]);
  }
  plain = total(t, plain) / f32(p.d);
  projected = total(t, projected) / f32(p.d);
  for (var i = t; i < width; i += ${TEAM}) {
    let v = rstd[kept_row] * (dy[row + i] * gain[i] - plain - xhat[kept + i] * projected);
    dx[row + i] = select(v, dx[row + i] + v, p.accumulate != 0);
  }
}`;

const FLAT = `let i = (group.y * 65535 + group.x) * 256 + t; if (i >= p.count) { return; }`;

/**
 * The share of x that y is and its slope, by src/mudpt.h's number: of QuickGELU, GELU, which is exact but for 7e-9
 * (src/kernels/activation.c), and tanh-GELU.
 */
const SHARES = [
  `fn share(x: vec4f) -> vec4f { return 1 / (1 + exp(min(-1.702 * x, vec4f(80)))); }
   fn slope(x: vec4f, s: vec4f) -> vec4f { return 1.702 * s * (1 - s); }`,
  `fn power(x: vec4f) -> vec4f { return exp(max(-0.5 * x * x, vec4f(-80))); }
   fn share(x: vec4f) -> vec4f {
     let a = 0.27719488 * abs(x); let v = a / (1 + a);
     var r = fma(v, vec4f(-0.111232787), vec4f(0.241847496));
     r = fma(r, v, vec4f(0.168672913)); r = fma(r, v, vec4f(-1.1744442)); r = fma(r, v, vec4f(1.81436767));
     r = fma(r, v, vec4f(-1.43921107)); r = fma(r, v, vec4f(0.5));
     let tail = r * power(x);
     return select(tail, 1 - tail, x >= vec4f(0));
   }
   fn slope(x: vec4f, s: vec4f) -> vec4f { return 0.39894228 * power(x); }`,
  `fn share(x: vec4f) -> vec4f {
     return 1 / (1 + exp(min(-x * (1.5957691 + 0.071354816 * x * x), vec4f(80))));
   }
   fn slope(x: vec4f, s: vec4f) -> vec4f { return (1.5957691 + 0.21406445 * x * x) * s * (1 - s); }`,
];

/** y = x share(x); count in fours. */
export const geluForward = (activation) => `
struct Sizes { count: u32 }
@group(0) @binding(0) var<uniform> p: Sizes;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;
${SHARES[activation]}
${MAIN(256)} {
  ${FLAT}
  y[i] = x[i] * share(x[i]);
}`;

/** dy becomes dy times the derivative at x. */
export const geluBackward = (activation) => `
struct Sizes { count: u32 }
@group(0) @binding(0) var<uniform> p: Sizes;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dy: array<vec4f>;
${SHARES[activation]}
${MAIN(256)} {
  ${FLAT}
  let s = share(x[i]);
  dy[i] *= s + x[i] * slope(x[i], s);
}`;

/** Row to[i] of `out` (+)= row from[i] of `rows`; the pairs (to, from) begin at index[p.index]. Width in fours. */
export const moveRows = () => `
struct Sizes { count: u32, width: u32, index: u32, accumulate: u32 }
@group(0) @binding(0) var<uniform> p: Sizes;
@group(0) @binding(1) var<storage, read> rows: array<vec4f>;
@group(0) @binding(2) var<storage, read> index: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;
${MAIN(256)} {
  ${FLAT}
  let pair = p.index + i / p.width * 2; let column = i % p.width;
  let v = rows[index[pair + 1] * p.width + column]; let at = index[pair] * p.width + column;
  out[at] = select(v, out[at] + v, p.accumulate != 0);
}`;

// Attention. Query i sees `prefix` keys from row 0 on and total - prefix own ones from row `start` on: three numbers a
// query in `index`, from p.queries. Probabilities and their gradients are [queries, heads, keys].
const ATTENTION = `
struct Sizes { keys: u32, heads: u32, width: u32, ldb: u32, offset: u32, queries: u32, ranges: u32, scale: f32 }
@group(0) @binding(0) var<uniform> p: Sizes;
@group(0) @binding(1) var<storage, read> index: array<u32>;
fn keyRow(query: u32, k: u32) -> u32 {
  let at = p.queries + query * 3; let prefix = index[at];
  return select(index[at + 1] + k - prefix, k, k < prefix);
}`;
// width: of a head, in fours; d: of a row.
const D = 'let d = p.heads * p.width;';

/** scores [queries, heads, keys] = a row of each query times b rows of the keys it sees. */
export const scores = () => `${ATTENTION}
@group(0) @binding(2) var<storage, read> a: array<vec4f>;
@group(0) @binding(3) var<storage, read> b: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
${MAIN()} {
  let k = group.x * 64 + t; let query = group.y; let head = group.z;
  if (k >= index[p.queries + query * 3 + 2]) { return; }
  ${D}
  let left = query * d + head * p.width;
  let right = keyRow(query, k) * p.ldb + p.offset + head * p.width;
  var sum = vec4f(0);
  for (var i = 0u; i < p.width; i++) { sum = fma(a[left + i], b[right + i], sum); }
  out[(query * p.heads + head) * p.keys + k] = dot(sum, vec4f(1));
}`;

/** Rows of scores become probabilities. */
export const softmax = () => `${ATTENTION}
@group(0) @binding(2) var<storage, read_write> rows: array<f32>;
${TOTAL}
var<workgroup> largest: array<f32, ${TEAM}>;
${MAIN(TEAM)} {
  let count = index[p.queries + group.x * 3 + 2]; let row = (group.x * p.heads + group.y) * p.keys;
  var most = -3.0e38;
  for (var k = t; k < count; k += ${TEAM}) { most = max(most, rows[row + k] * p.scale); }
  largest[t] = most;
  workgroupBarrier();
  for (var i = 0u; i < ${TEAM}; i++) { most = max(most, largest[i]); }
  var sum = 0.0;
  for (var k = t; k < count; k += ${TEAM}) {
    let e = exp(rows[row + k] * p.scale - most);
    rows[row + k] = e;
    sum += e;
  }
  sum = total(t, sum);
  for (var k = t; k < count; k += ${TEAM}) { rows[row + k] /= sum; }
}`;

/** Gradients of probabilities become those of scores: drows = rows (drows - sum of rows drows) scale. */
export const softmaxBackward = () => `${ATTENTION}
@group(0) @binding(2) var<storage, read> rows: array<f32>;
@group(0) @binding(3) var<storage, read_write> drows: array<f32>;
${TOTAL}
${MAIN(TEAM)} {
  let count = index[p.queries + group.x * 3 + 2]; let row = (group.x * p.heads + group.y) * p.keys;
  var sum = 0.0;
  for (var k = t; k < count; k += ${TEAM}) { sum += rows[row + k] * drows[row + k]; }
  sum = total(t, sum);
  for (var k = t; k < count; k += ${TEAM}) { drows[row + k] = rows[row + k] * (drows[row + k] - sum) * p.scale; }
}`;

/** out, a row a query = sum over its keys of rows [queries, heads, keys] times b's row of the key. */
export const mixKeys = () => `${ATTENTION}
@group(0) @binding(2) var<storage, read> rows: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4f>;
${MAIN()} {
  let column = group.x * 64 + t; let query = group.y;
  ${D}
  if (column >= d) { return; }
  let count = index[p.queries + query * 3 + 2]; let row = (query * p.heads + column / p.width) * p.keys;
  var sum = vec4f(0);
  for (var k = 0u; k < count; k++) {
    sum = fma(vec4f(rows[row + k]), b[keyRow(query, k) * p.ldb + p.offset + column], sum);
  }
  out[query * d + column] = sum;
}`;

/** out, a row a key = sum over the queries that see it, a range in `index` from p.ranges, of rows times a's row. */
export const mixQueries = () => `${ATTENTION}
@group(0) @binding(2) var<storage, read> rows: array<f32>;
@group(0) @binding(3) var<storage, read> a: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4f>;
${MAIN()} {
  let column = group.x * 64 + t; let key = group.y;
  ${D}
  if (column >= d) { return; }
  var sum = vec4f(0);
  for (var query = index[p.ranges + key * 2]; query < index[p.ranges + key * 2 + 1]; query++) {
    let at = p.queries + query * 3; let prefix = index[at];
    let k = select(prefix + key - index[at + 1], key, key < prefix);
    let share = rows[(query * p.heads + column / p.width) * p.keys + k];
    sum = fma(vec4f(share), a[query * d + column], sum);
  }
  out[key * p.ldb + p.offset + column] = sum;
}`;
