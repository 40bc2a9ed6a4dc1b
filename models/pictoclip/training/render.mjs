// Step 2: draw every picture of concepts.json once, at a fixed size.
//
//   node render.mjs --modules node_modules --concepts cache/concepts.json --out cache/render
//                   [--size 80] [--held-out-size 144] [--sets noto,mdi]
//
// Per set it writes NAME.json {set, size, channels, icons, blank} and NAME.bin,
// the pixels in the order of `icons`, rows from the top. Colour sets have four
// channels (RGBA, colours multiplied by alpha); one-colour sets keep alpha only.
//
// The renderer aborts the whole process on a few malformed pictures, so each set
// is drawn by a child process; where one dies, its picture is left blank (and
// listed under `blank`) and another child goes on behind it.
import { createRequire } from 'node:module';
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const defaults = {
  modules: 'node_modules', concepts: 'cache/concepts.json', out: 'cache/render',
  size: '80', 'held-out-size': '144', sets: '', child: '',
};

function options(argv) {
  if (argv.includes('--help')) {
    console.log(`usage: node render.mjs ${Object.entries(defaults).map(([k, v]) => `[--${k} ${v}]`).join(' ')}`);
    process.exit();
  }
  const out = { ...defaults };
  for (let i = 0; i < argv.length; i += 2) {
    const key = argv[i].replace(/^--/, '');
    const valid = Object.keys(out).map((k) => '--' + k).join(' ');
    if (!(key in out)) throw new Error(`unknown option ${argv[i]}; valid: ${valid}`);
    out[key] = argv[i + 1];
  }
  return out;
}

const opt = options(process.argv.slice(2));
const require = createRequire(join(resolve(opt.modules), 'index.js'));

const bySet = new Map();
for (const { set, icon, role } of JSON.parse(readFileSync(opt.concepts, 'utf8'))) {
  if (!bySet.has(set)) bySet.set(set, { role, icons: [] });
  bySet.get(set).icons.push(icon);
}

function plan(set) {
  const { role, icons } = bySet.get(set);
  const size = Number(role === 'train' ? opt.size : opt['held-out-size']);
  const channels = require(`@iconify-json/${set}/info.json`).palette ? 4 : 1;
  return { icons, size, channels, bytes: size * size * channels, bin: join(opt.out, `${set}.bin`) };
}

const drawn = (p) => (existsSync(p.bin) ? Math.floor(statSync(p.bin).size / p.bytes) : 0);

function drawRest(set) {
  const { Resvg } = require('@resvg/resvg-js');
  const data = require(`@iconify-json/${set}/icons.json`);
  const p = plan(set);
  for (const name of p.icons.slice(drawn(p))) {
    const icon = data.icons[name];
    const box = [icon.left ?? data.left ?? 0, icon.top ?? data.top ?? 0,
      icon.width ?? data.width ?? 16, icon.height ?? data.height ?? 16];
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" `
      + `width="${p.size}" height="${p.size}" viewBox="${box.join(' ')}" color="#000">${icon.body}</svg>`;
    let pixels = new Resvg(svg, { font: { loadSystemFonts: false } }).render().pixels;
    if (p.channels === 1) pixels = pixels.filter((_, i) => i % 4 === 3);
    appendFileSync(p.bin, pixels);
  }
}

function drawSet(set) {
  const p = plan(set);
  const started = Date.now();
  const blank = [];
  rmSync(p.bin, { force: true });
  while (drawn(p) < p.icons.length) {
    const again = [fileURLToPath(import.meta.url), ...process.argv.slice(2), '--child', set];
    const child = spawnSync(process.execPath, again, { stdio: ['ignore', 'inherit', 'ignore'] });
    if (child.error) throw child.error;
    if (child.status === 0) continue;
    blank.push(p.icons[drawn(p)]);
    appendFileSync(p.bin, Buffer.alloc(p.bytes));
  }
  const { icons, size, channels } = p;
  writeFileSync(join(opt.out, `${set}.json`), JSON.stringify({ set, size, channels, icons, blank }));
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  console.log(`${set}: ${icons.length} pictures, ${size} px, ${channels} channel(s), ${seconds} s`
    + (blank.length ? `, could not draw ${blank.join(' ')}` : ''));
}

if (opt.child) {
  drawRest(opt.child);
} else {
  mkdirSync(opt.out, { recursive: true });
  const isSvg = (set) => existsSync(join(opt.modules, '@iconify-json', set));         // the others: rasters.py
  const wanted = opt.sets ? opt.sets.split(',') : [...bySet.keys()].filter(isSvg);
  wanted.forEach(drawSet);
}
