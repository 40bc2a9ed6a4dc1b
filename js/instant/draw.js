/**
 * The pictures that the library draws (src/train/sampler.c, src/base/rng.c), drawn here: heads are made where no model
 * is, and every method must see the same pictures.
 */
const ALL = (1n << 64n) - 1n;

/** The finalizer of SplitMix64. @param {bigint} x */
function mix(x) {
  x = (x + 0x9e3779b97f4a7c15n) & ALL;
  x = ((x ^ (x >> 30n)) * 0xbf58476d1ce4e5b9n) & ALL;
  x = ((x ^ (x >> 27n)) * 0x94d049bb133111ebn) & ALL;
  return x ^ (x >> 31n);
}

/** PCG32. @param {bigint} seed @param {bigint} stream @returns {(bound: number) => number} 0 ... bound - 1 */
function generator(seed, stream) {
  const step = mix(stream) | 1n;
  let state = mix(mix(seed) ^ stream);
  const bits = () => {
    const old = state;
    state = (old * 6364136223846793005n + step) & ALL;
    const mixed = Number((((old >> 18n) ^ old) >> 27n) & 0xffffffffn);
    const turn = Number(old >> 59n);
    return ((mixed >>> turn) | (mixed << (-turn & 31))) >>> 0;
  };
  return (bound) => {
    const threshold = 2 ** 32 % bound;
    for (;;) {
      const value = bits();
      if (value >= threshold) return value % bound;
    }
  };
}

/** In the place of a core, for drawShots(). */
export const drawer = {
  /** @param {number[]} labels @param {number} classes @param {number} shots @param {number} seed @returns {number[]} */
  sampleShots(labels, classes, shots, seed) {
    const own = Array.from({ length: classes }, () => /** @type {number[]} */ ([]));
    labels.forEach((label, i) => own[label].push(i));
    return own.flatMap((places, label) => {
      if (places.length <= shots) return places;
      const below = generator(BigInt(seed), BigInt(label));
      for (let i = places.length - 1; i > 0; i--) {
        const j = below(i + 1);
        [places[i], places[j]] = [places[j], places[i]];
      }
      return places.slice(0, shots);
    });
  },
};
