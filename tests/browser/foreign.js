/** What a page does that imports the package from another site. */
import { CLASSES, MODEL, TESTS, scoresOf } from './task.js';

/** @param {string} site where the package is */
globalThis.scoresThrough = async (site) => {
  const { loadClip } = await import(`${site}js/index.js`);
  const clip = await loadClip(MODEL, { threads: 2 });
  const scores = await scoresOf(await clip.zeroShot(CLASSES), [TESTS[0].image]);
  await clip.dispose();
  return scores[0];
};
