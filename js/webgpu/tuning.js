/**
 * Which tiles products have on an adapter: each is timed on a product of a ViT-B's width, for some milliseconds. The
 * choice is remembered by the thread for as long as it runs, and in browsers that keep caches for the next time.
 */
import { F16 } from './layout.js';
import { TILES } from './shaders.js';

/** The product that is timed grows until it takes this long, */
const MILLISECONDS = 4;
/** from few rows, once, for software adapters, to many rows, many times in one submission, for fast ones. */
const SIZES = [
  [32, 1],
  [512, 1],
  [512, 16],
  [512, 128],
];
const WIDTH = 768;
const KEEP = 'mudpt-webgpu-1';

/** Where a choice is kept: its address says what it is of. */
const addressOf = (name) => new URL(`./tuned/${encodeURIComponent(name)}`, globalThis.location?.href ?? 'file:///');

async function recall(name) {
  const kept = await globalThis.caches?.match(addressOf(name), { cacheName: KEEP });
  return kept && (await kept.text());
}

async function remember(name, choice) {
  const cache = await globalThis.caches?.open(KEEP);
  await cache?.put(addressOf(name), new Response(choice));
}

/**
 * @typedef {(rows: number, times: number, tile: any) => Promise<{ run(): Promise<unknown>, free(): void }>} Prepare
 *   a product of so many rows, so many times
 *
 * @param {Prepare} prepare
 */
async function measure(prepare) {
  const names = Object.keys(TILES);
  let choice = names[0];
  for (const [rows, repeated] of SIZES) {
    const times = [];
    for (const name of names) {
      const product = await prepare(rows, repeated, TILES[name]);
      await product.run(); // the first time it is compiled
      const start = performance.now();
      await product.run();
      times.push(performance.now() - start);
      product.free();
    }
    const best = Math.min(...times);
    choice = names[times.indexOf(best)];
    if (best >= MILLISECONDS) break;
  }
  return choice;
}

/**
 * The name of the tiles to use.
 * @param {string} name of the adapter
 * @param {Prepare} prepare
 * @returns {Promise<string>}
 */
export async function chooseTiles(name, prepare) {
  const before = await recall(name).catch(() => undefined);
  if (before && Object.hasOwn(TILES, before)) return before;
  const choice = await measure(prepare);
  await remember(name, choice).catch(() => {}); // a page that may keep nothing measures again
  return choice;
}

export const TUNED = { storage: F16, width: WIDTH };
