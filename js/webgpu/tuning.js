/**
 * Which tiles products have on an adapter: each is timed on a product of a ViT-B's width, for some milliseconds. The
 * choice is remembered by the thread for as long as it runs, and in browsers that keep caches for the next time.
 */
import { F16 } from './layout.js';
import { TILES } from './shaders.js';

/** The product that is timed grows until it takes this long. */
const MILLISECONDS = 4;
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
 * @param {import('./engine.js').Engine} engine
 * @param {(rows: number, tile: any) => { run(): Promise<unknown>, free(): void }} prepare a product of so many rows
 */
async function measure(engine, prepare) {
  const names = Object.keys(TILES);
  for (let rows = 32; ; rows *= 4) {
    const times = [];
    for (const name of names) {
      const product = await prepare(rows, TILES[name]);
      await product.run(); // the first time it is compiled
      const start = performance.now();
      await product.run();
      times.push(performance.now() - start);
      product.free();
    }
    const best = Math.min(...times);
    if (best >= MILLISECONDS || rows >= 2048) return names[times.indexOf(best)];
  }
}

/**
 * The name of the tiles to use.
 * @param {import('./engine.js').Engine} engine
 * @param {string} name of the adapter
 */
export async function chooseTiles(engine, name, prepare) {
  const before = await recall(name).catch(() => undefined);
  if (before && Object.hasOwn(TILES, before)) return before;
  const choice = await measure(engine, prepare);
  await remember(name, choice).catch(() => {}); // a page that may keep nothing measures again
  return choice;
}

export const TUNED = { storage: F16, width: WIDTH };
