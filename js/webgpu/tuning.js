/**
 * Which tiles products have on an adapter: each is timed on a product of a ViT-B's width, for some milliseconds. The
 * choice is remembered for the next time, in Cache storage; in Node js/node/device-thread.js has a folder behind that.
 */
import { F16 } from './layout.js';

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
/** Between kinds of tiles, relative to the largest value: those that are further off are not taken. */
const TOLERANCE = 1e-3;
/** The shortest of so many runs counts. */
const ROUNDS = 2;
const KEEP = 'mudpt-webgpu-1';

/** Where a choice is kept: the address says what it is of. */
const addressOf = (adapter, names) =>
  new URL(`./tuned/${encodeURIComponent(`${adapter}: ${names}`)}`, globalThis.location?.href ?? 'file:///');

async function recall(address) {
  const kept = await globalThis.caches?.match(address, { cacheName: KEEP });
  return kept && (await kept.text());
}

async function remember(address, choice) {
  const cache = await globalThis.caches?.open(KEEP);
  await cache?.put(address, new Response(choice));
}

/**
 * @typedef {{ run(): Promise<Uint8Array<ArrayBuffer>[]>, free(): void }} Product whose first numbers a run gives
 * @typedef {(rows: number, times: number, tiles: string) => Promise<Product>} Prepare of so many rows, so many times
 *
 * @param {string[]} names of tiles
 * @param {Prepare} prepare
 */
async function measure(names, prepare) {
  let choice = names[0];
  let right;
  for (const [rows, repeated] of SIZES) {
    const times = [];
    for (const name of names) {
      const product = await prepare(rows, repeated, name);
      const [bytes] = await product.run(); // the first time it is compiled
      const got = new Float32Array(bytes.buffer);
      right ??= got;
      const most = right.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      const wrong = right.some((value, i) => !(Math.abs(value - got[i]) <= TOLERANCE * most));
      let best = Infinity;
      for (let round = 0; round < ROUNDS; round++) {
        const start = performance.now();
        await product.run();
        best = Math.min(best, performance.now() - start);
      }
      times.push(wrong ? Infinity : best);
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
 * @param {string} adapter its name
 * @param {string[]} names of tiles that it can have
 * @param {Prepare} prepare
 * @returns {Promise<string>}
 */
export async function chooseTiles(adapter, names, prepare) {
  const address = addressOf(adapter, names);
  const before = await recall(address).catch(() => undefined);
  if (before && names.includes(before)) return before;
  const choice = await measure(names, prepare);
  await remember(address, choice).catch(() => {}); // who may keep nothing measures again
  return choice;
}

export const TUNED = {
  storage: F16,
  width: WIDTH,
  /** So many values of -1 ... 1, and weights of 1 ... 1.5. */
  values: (count) => new Float32Array(count).map((_, i) => ((i * 7919) % 1021) / 510 - 1),
  weights: () => new Uint16Array(WIDTH * WIDTH).map((_, i) => 0x3c00 + ((i * 37) % 512)),
};
