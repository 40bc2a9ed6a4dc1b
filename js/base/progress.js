/** How often progress is told. */

const INTERVAL = 100; // milliseconds

/**
 * A function that tells what it is given at most ten times a second; the first time, and what is the last, always.
 * @template Progress
 * @param {((progress: Progress) => void) | undefined} tell
 * @returns {(progress: Progress, isLast: boolean) => void}
 */
export function seldom(tell) {
  let told = -Infinity;
  return (progress, isLast) => {
    const now = performance.now();
    if (!tell || (!isLast && now - told < INTERVAL)) return;
    told = now;
    tell(progress);
  };
}
