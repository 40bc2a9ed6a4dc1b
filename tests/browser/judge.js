/** Cases of the browser tests (suite.js): what classifiers say beyond the class, and features that a page keeps. */
import { cache, loadClip } from '/js/index.js';
import { Classifiers } from '/js/core/classifiers.js';
import { keptFeatures } from '/js/features/kept.js';
import { near, ok, same } from './checks.js';
import { EXAMPLES, MODEL, TESTS, judgedBy } from './task.js';

const IMAGES = [...EXAMPLES, ...TESTS].map(({ image }) => image);

/** @param {() => any} model in the page's worker @param {() => any} expected what Node gives */
export const judgeCases = (model, expected) => ({
  async 'beyond the class: none of these, calibrated scores, what to label next, wrong labels, as in Node'() {
    const { numbers, places } = await judgedBy(model(), (path) => path);
    near(numbers, expected().judged.numbers, 'numbers');
    same(places, expected().judged.places, 'places');
  },

  async "features: kept in the page's storage, for the next visit"() {
    await cache.clear();
    const first = await loadClip(MODEL, { keepFeatures: 'storage' });
    const { data } = await first.embedImages(IMAGES);
    let kept = [];
    for (let tries = 0; tries < 50 && !kept[0]?.rows; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      kept = await keptFeatures();
    }
    same([kept.length, kept[0].rows], [1, IMAGES.length], 'kept');
    await first.dispose();
    let encoded = 0;
    const { classifierImageFeatures: compute } = Classifiers.prototype;
    Classifiers.prototype.classifierImageFeatures = function (...args) {
      encoded++;
      return compute.apply(this, args);
    };
    try {
      const again = await loadClip(MODEL, { keepFeatures: 'storage', worker: false, threads: 1 });
      const found = await again.embedImages(IMAGES);
      same([encoded, Array.from(found.data)], [0, Array.from(data)], 'calls of the tower, and bits');
      await again.forgetFeatures();
      await again.embedImages(IMAGES.slice(0, 2));
      ok(encoded === 1, 'forgotten');
      await again.dispose();
    } finally {
      Classifiers.prototype.classifierImageFeatures = compute;
    }
    await cache.clear();
    same(await keptFeatures(), [], 'cleared');
  },
});
