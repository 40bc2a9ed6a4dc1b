/** What the cases of the browser tests check with; each throws what went wrong. */
import { MudptError } from '/js/index.js';

const TOLERANCE = 1e-4; // between engines, with and without relaxed SIMD

export function ok(condition, what) {
  if (!condition) throw new Error(what);
}

export const same = (actual, expected, what) =>
  ok(
    JSON.stringify(actual) === JSON.stringify(expected),
    `${what}: ${JSON.stringify(actual)} is not ${JSON.stringify(expected)}`,
  );

/** Numbers, in arrays of the same shape. */
export function near(actual, expected, what) {
  const [a, b] = [[actual].flat(Infinity), [expected].flat(Infinity)];
  same(a.length, b.length, `${what}, how many`);
  a.forEach((value, i) => ok(Math.abs(value - b[i]) <= TOLERANCE, `${what}: ${value} is not ${b[i]}`));
}

/** What a promise is rejected with. */
export async function rejection(promise, what) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`${what} was not rejected`);
}

export async function rejectsWith(code, promise, pattern) {
  const error = await rejection(promise, code);
  ok(
    error instanceof MudptError && error.code === code,
    `expected ${code}, got ${error.name} ${error.code}: ${error.message}`,
  );
  ok(pattern.test(error.message), `"${error.message}" does not match ${pattern}`);
  ok(error.hint && error.message.endsWith(error.hint), `"${error.message}" has no hint`);
}
