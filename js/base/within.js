/** Waiting that ends: with what was waited for, with the caller's signal, or with a limit. */

/** Milliseconds that a server may be silent, and that an element may take to have its picture. */
export const TIMEOUT = 30_000;
/** What timers can be set to. */
const LONGEST = 2 ** 31 - 1;

/** @typedef {{ signal?: AbortSignal, timeout?: number }} Patience */

/**
 * What `promise` gives.
 * @template T
 * @param {Promise<T>} promise
 * @param {Patience} patience
 * @param {(seconds: number) => unknown} late the error where it takes longer
 * @returns {Promise<T>}
 */
export async function within(promise, { signal, timeout = TIMEOUT }, late) {
  const ending = new AbortController();
  const end = new Promise((_, reject) => {
    const timer = setTimeout(() => reject(late(timeout / 1000)), Math.min(timeout, LONGEST));
    ending.signal.addEventListener('abort', () => clearTimeout(timer));
    signal?.addEventListener('abort', () => reject(signal.reason), { signal: ending.signal });
    if (signal?.aborted) reject(signal.reason);
  });
  try {
    return /** @type {T} */ (await Promise.race([promise, end]));
  } finally {
    ending.abort();
  }
}

/**
 * Waits until `ready`, which may become true with any of these events.
 * @param {EventTarget} element
 * @param {string[]} events
 * @param {() => boolean} ready
 * @param {Patience} patience
 * @param {(seconds: number) => unknown} late
 */
export async function until(element, events, ready, patience, late) {
  if (ready()) return;
  const ending = new AbortController();
  const happens = new Promise((resolve) => {
    for (const type of events) {
      const look = () => ready() && resolve(undefined);
      element.addEventListener(type, look, { capture: true, signal: ending.signal });
    }
  });
  try {
    await within(happens, patience, late);
  } finally {
    ending.abort();
  }
}
