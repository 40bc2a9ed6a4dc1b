// One picture of a task: a pictogram on a background, turned, moved, coloured, partly covered, blurred, noisy.
// Everything is drawn from the given random generator; see random.js for why no sine or logarithm occurs here.

const SIZES = [
  [96, 96],
  [96, 96],
  [96, 96],
  [120, 96],
  [112, 96],
  [128, 96],
  [96, 120],
  [96, 128],
];
const COLOURS = (
  'ffffff 101012 808080 cdcdcd 424242 dc2828 820f19 faa0be fa9128 fadc3c f0e1c3 7d502d 3ca54b a5e196 14552d ' +
  '148787 46cde1 2d64dc a0cdf5 142369 823cb4 cdb9f0 d732a0'
)
  .split(' ')
  .map((hex) => [0, 2, 4].map((i) => Number.parseInt(hex.slice(i, i + 2), 16)));

/** Brightness of the pixel that starts at rgb[i]. */
const luma = (rgb, i) => 0.299 * rgb[i] + 0.587 * rgb[i + 1] + 0.114 * rgb[i + 2];

// --------------------------------------------------------------------------------------------- background

/** White, one colour, two blended, stripes or soft noise. @returns {Float64Array} [h, w, 3] */
function background(random, w, h) {
  const kind = random.uniform(0, 1);
  const first = kind < 0.15 ? COLOURS[0] : random.pick(COLOURS);
  const second = random.pick(COLOURS);
  const [across, down] = random.direction();
  const rgb = new Float64Array(w * h * 3);
  const fill = (shade) => {
    for (let y = 0, i = 0; y < h; y++)
      for (let x = 0; x < w; x++) for (let c = 0; c < 3; c++, i++) rgb[i] = first[c] + shade(x, y, c);
  };
  if (kind < 0.45) {
    fill(() => 0);
  } else if (kind < 0.68) {
    const start = Math.min(0, across * w) + Math.min(0, down * h);
    const length = Math.abs(across * w) + Math.abs(down * h);
    const amount = random.uniform(0.4, 1);
    fill((x, y, c) => ((across * x + down * y - start) / length) * amount * (second[c] - first[c]));
  } else if (kind < 0.8) {
    const period = random.uniform(8, 26);
    const amount = random.uniform(0.15, 0.6);
    fill((x, y, c) => {
      const t = (across * x + down * y) / period;
      return t - Math.floor(t) < 0.5 ? 0 : amount * (second[c] - first[c]);
    });
  } else {
    fill(softNoise(random, w, h, 2 + random.below(6), random.uniform(25, 85)));
  }
  return rgb;
}

/** Random values at the knots of a cells x cells grid, smoothly filled in between. */
function softNoise(random, w, h, cells, amount) {
  const side = cells + 1;
  const knots = Float64Array.from({ length: side * side * 3 }, () => random.uniform(-amount, amount));
  const ease = (t) => t * t * (3 - 2 * t);
  return (x, y, c) => {
    const u = (x / w) * cells;
    const v = (y / h) * cells;
    const [column, row] = [Math.floor(u), Math.floor(v)];
    const [s, t] = [ease(u - column), ease(v - row)];
    const at = (i, j) => knots[((row + j) * side + column + i) * 3 + c];
    return (at(0, 0) * (1 - s) + at(1, 0) * s) * (1 - t) + (at(0, 1) * (1 - s) + at(1, 1) * s) * t;
  };
}

// --------------------------------------------------------------------------------------------- drawing

/**
 * A pictogram as SVG: its box's longer side is `size`, its middle at (x, y), turned by the angle whose half has the
 * tangent `halfTurn`, slanted, mirrored. `id` keeps the names of its gradients apart from those of the others.
 */
function placed(drawing, { x, y, size, halfTurn = 0, slant = 0, mirror = false }, id) {
  const [left, top, width, height] = drawing.box;
  const body = drawing.body
    .replace(/\bid="/g, `id="${id}-`)
    .replace(/url\(#/g, `url(#${id}-`)
    .replace(/href="#/g, `href="#${id}-`);
  const k = size / Math.max(width, height);
  const cos = (k * (1 - halfTurn * halfTurn)) / (1 + halfTurn * halfTurn);
  const sin = (k * 2 * halfTurn) / (1 + halfTurn * halfTurn);
  const flip = mirror ? -1 : 1;
  const matrix = [flip * cos, flip * sin, slant * cos - sin, slant * sin + cos, x, y];
  const inner = `x="${left}" y="${top}" width="${width}" height="${height}" viewBox="${drawing.box.join(' ')}"`;
  return (
    `<g transform="matrix(${matrix.join(' ')}) translate(${-(left + width / 2)} ${-(top + height / 2)})">` +
    `<svg ${inner}>${body}</svg></g>`
  );
}

/** Lays RGBA pixels (colours multiplied by alpha) over rgb, in place. */
function lay(rgb, rgba) {
  for (let i = 0, j = 0; i < rgb.length; i += 3, j += 4) {
    const rest = (255 - rgba[j + 3]) / 255;
    for (let c = 0; c < 3; c++) rgb[i + c] = rgba[j + c] + rgb[i + c] * rest;
  }
}

// --------------------------------------------------------------------------------------------- what happens to it

/** Blurs in place with a bell-shaped kernel that ends at `radius` pixels. */
function blur(rgb, w, h, radius) {
  const reach = Math.ceil(radius) - 1;
  const kernel = Array.from({ length: 2 * reach + 1 }, (_, i) => {
    const t = (i - reach) / radius;
    return (1 - t * t) * (1 - t * t);
  });
  const total = kernel.reduce((a, b) => a + b, 0);
  const pass = (from, length, step, lines, stride) => {
    const out = new Float64Array(from.length);
    for (let line = 0; line < lines; line++)
      for (let i = 0; i < length; i++)
        for (let c = 0; c < 3; c++) {
          let sum = 0;
          for (let k = -reach; k <= reach; k++) {
            const at = Math.min(Math.max(i + k, 0), length - 1);
            sum += kernel[k + reach] * from[line * stride + at * step + c];
          }
          out[line * stride + i * step + c] = sum / total;
        }
    return out;
  };
  rgb.set(pass(pass(rgb, w, 3, h, 3 * w), h, 3 * w, w, 3));
}

/** Coarse pixels, about `factor` wide, in place. */
function coarsen(rgb, w, h, factor) {
  const [columns, rows] = [Math.round(w / factor), Math.round(h / factor)];
  const edge = (i, count, length) => Math.floor((i * length) / count);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      const [x0, x1] = [edge(column, columns, w), edge(column + 1, columns, w)];
      const [y0, y1] = [edge(row, rows, h), edge(row + 1, rows, h)];
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) sum += rgb[(y * w + x) * 3 + c];
        const mean = sum / ((x1 - x0) * (y1 - y0));
        for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) rgb[(y * w + x) * 3 + c] = mean;
      }
    }
}

/** Random grain of this spread; grey or coloured, in place. */
function grain(random, rgb, spread, grey) {
  for (let i = 0; i < rgb.length; i += 3) {
    const first = random.normal() * spread;
    rgb[i] += first;
    rgb[i + 1] += grey ? first : random.normal() * spread;
    rgb[i + 2] += grey ? first : random.normal() * spread;
  }
}

/** Saturation, contrast, brightness, colour cast. */
function recolour(random, rgb, hardness) {
  const saturation = random.uniform(1 - 0.9 * hardness, 1.3);
  const contrast = random.uniform(1 - 0.6 * hardness, 1.15);
  const shift = random.uniform(-40, 40) * hardness;
  const cast = random.chance(0.4 * hardness) ? [0, 1, 2].map(() => random.uniform(0.6, 1.25)) : [1, 1, 1];
  for (let i = 0; i < rgb.length; i += 3) {
    const grey = luma(rgb, i);
    for (let c = 0; c < 3; c++) {
      const value = grey + (rgb[i + c] - grey) * saturation;
      rgb[i + c] = ((value - 128) * contrast + 128 + shift) * cast[c];
    }
  }
}

/** What a whole test style does to its pictures, in place. */
const EFFECTS = {
  /** Grey, flat, coarse and noisy, as from a poor camera. */
  faded(random, rgb, w, h) {
    coarsen(rgb, w, h, random.uniform(1.5, 2.2));
    const contrast = random.uniform(0.5, 0.9);
    for (let i = 0; i < rgb.length; i += 3) rgb.fill((luma(rgb, i) - 128) * contrast + 128, i, i + 3);
    grain(random, rgb, random.uniform(6, 16), true);
  },
  /** Pencil on paper: only edges are left. */
  sketch(random, rgb, w, h) {
    blur(rgb, w, h, 2.5);
    const grey = new Float64Array(w * h);
    for (let i = 0; i < grey.length; i++) grey[i] = luma(rgb, 3 * i);
    const paper = random.uniform(215, 250);
    const strength = random.uniform(5, 9);
    const darkest = random.uniform(10, 60);
    for (let y = 0; y < h; y++)
      for (let x = 0; x < w; x++) {
        const [left, right] = [Math.max(x - 1, 0), Math.min(x + 1, w - 1)];
        const [above, below] = [Math.max(y - 1, 0), Math.min(y + 1, h - 1)];
        const dx = (grey[y * w + right] - grey[y * w + left]) / 2;
        const dy = (grey[below * w + x] - grey[above * w + x]) / 2;
        const value = Math.max(paper - strength * Math.sqrt(dx * dx + dy * dy), darkest);
        rgb.fill(value, (y * w + x) * 3, (y * w + x) * 3 + 3);
      }
    coarsen(rgb, w, h, random.uniform(1.3, 2));
    grain(random, rgb, random.uniform(6, 18), true);
  },
};

/** Names that `effect` below may have. */
export const effects = Object.keys(EFFECTS);

// --------------------------------------------------------------------------------------------- the whole picture

/**
 * @param {import('./random.js').Random} random
 * @param {object} scene
 * @param {import('./pictograms.js').Drawing} scene.thing what the picture is of
 * @param {() => import('./pictograms.js').Drawing} scene.other something else that may stand beside it
 * @param {number} scene.hardness 0 mild ... 1 hard to recognise
 * @param {string} [scene.effect] one of `effects`
 * @param {(svg: string) => Uint8Array} renderSvg
 * @returns {{ width: number, height: number, data: Uint8ClampedArray }} RGB, rows from the top
 */
export function compose(random, { thing, other, hardness, effect }, renderSvg) {
  const [w, h] = random.pick(SIZES);
  const side = Math.min(w, h);
  const plain = thing.oneColour || effect === 'sketch';
  const negative = thing.oneColour && random.chance(0.25);
  const rgb = plain ? new Float64Array(w * h * 3).fill(negative ? 0 : 248) : background(random, w, h);
  const parts = [];

  const neighbours = plain ? 0 : Number(random.chance(0.8 * hardness)) + Number(random.chance(0.5 * hardness));
  for (let i = 0; i < neighbours; i++) {
    const [across, down] = random.direction();
    const away = side * random.uniform(0.42, 0.62);
    const place = { x: w / 2 + across * away, y: h / 2 + down * away, size: side * random.uniform(0.2, 0.38) };
    parts.push(placed(other(), { ...place, halfTurn: random.uniform(-0.35, 0.35) }, `other${i}`));
  }

  const size = side * random.uniform(0.9 - 0.55 * hardness, 1 - 0.1 * hardness);
  const slack = Math.max(0, (side - size) / 2) + 0.06 * side;
  const x = w / 2 + random.uniform(-slack, slack);
  const y = h / 2 + random.uniform(-slack, slack);
  const halfTurn = random.chance(0.4 + 0.5 * hardness) ? random.normal() * (0.12 + 0.14 * hardness) : 0;
  const slant = random.chance(0.5 * hardness) ? random.uniform(-0.25, 0.25) : 0;
  parts.push(placed(thing, { x, y, size, halfTurn, slant, mirror: random.chance(0.5) }, 'thing'));

  if (random.chance(0.15 + 0.45 * hardness)) {
    const [rx, ry] = [0, 0].map(() => (size * random.uniform(0.2, 0.5)) / 2);
    const [cx, cy] = [x, y].map((v) => v + random.uniform(-0.45, 0.45) * size);
    const fill = plain ? [128, 128, 128] : random.pick(COLOURS);
    const corner = random.chance(0.4) ? ` rx="${rx}" ry="${ry}"` : '';
    parts.push(
      `<rect x="${cx - rx}" y="${cy - ry}" width="${2 * rx}" height="${2 * ry}"${corner} fill="rgb(${fill.join()})"/>`,
    );
  }
  lay(
    rgb,
    renderSvg(
      `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${w}" height="${h}" ` +
        `color="${negative ? '#fff' : '#000'}">${parts.join('')}</svg>`,
    ),
  );

  if (effect) {
    EFFECTS[effect](random, rgb, w, h);
  } else {
    if (!plain && random.chance(0.6)) recolour(random, rgb, hardness);
    if (random.chance(0.15 + 0.3 * hardness)) blur(rgb, w, h, random.uniform(1.2, 2.5 + 4.5 * hardness));
    if (random.chance(0.1 + 0.3 * hardness)) grain(random, rgb, random.uniform(4, 10 + 34 * hardness), false);
  }
  return { width: w, height: h, data: Uint8ClampedArray.from(rgb) };
}
