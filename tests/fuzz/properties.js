/**
 * What the property tests share: how often each property is tried, files that are nearly right, and the one thing that
 * is asked of everything that reads a file: it answers, or throws a MudptError of one line.
 *
 * MUDPT_FUZZ_RUNS tells how often, MUDPT_FUZZ_SEED from where: the same inputs every time by default, so that what
 * fails is of the change that is tested; ./run soak pickles begins at another seed each time.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';

import { ERROR_CODES, MudptError } from '../../js/base/errors.js';

export const RUNS = Number(process.env.MUDPT_FUZZ_RUNS ?? 300);
const seed = Number(process.env.MUDPT_FUZZ_SEED ?? 1);
let inputs = 0;

/** Prints what the table of ./run test trust adds up. */
process.on('exit', () => console.log(`# properties: ${inputs} inputs`));

/** @param {fc.Arbitrary<any>} arbitrary @param {(value: any) => any} property @param {number} [share] of RUNS */
export function always(arbitrary, property, share = 1) {
  const counted = (value) => {
    inputs++;
    return property(value);
  };
  const numRuns = Math.max(20, Math.round(RUNS * share));
  return fc.assert(fc.asyncProperty(arbitrary, counted), {
    numRuns,
    seed,
    endOnFailure: false,
    includeErrorInReport: true,
  });
}

/** Anything but a MudptError of one line is a fault. @param {() => any} action @returns {Promise<any>} or undefined */
export async function answersOrRefuses(action) {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof MudptError)) throw error;
    assert.ok(Object.hasOwn(ERROR_CODES, error.code), `the code ${error.code}`);
    assert.ok(error.message && !/\p{Cc}/u.test(error.message) && error.message.length < 2100, error.message);
    return undefined;
  }
}

/** Bytes like these, with some changed, cut off, or doubled. @param {Uint8Array} bytes @param {number} [until] */
export const damaged = (bytes, until = bytes.length) =>
  fc
    .record({
      changes: fc.array(fc.tuple(fc.nat(Math.max(0, until - 1)), fc.nat(255)), { maxLength: 6 }),
      cut: fc.option(fc.nat(bytes.length), { freq: 4 }),
      more: fc.uint8Array({ maxLength: 16 }),
    })
    .map(({ changes, cut, more }) => {
      const out = Uint8Array.from(bytes);
      for (const [at, value] of changes) out[at] = value;
      const kept = out.subarray(0, cut ?? out.length);
      return Uint8Array.from([...kept, ...more]);
    });

const strange = fc.oneof(
  fc.constantFrom(
    null,
    true,
    '',
    '__proto__',
    'constructor',
    -1,
    0,
    0.5,
    2 ** 31,
    2 ** 53,
    1e308,
    '\u0000\u001b[2J',
    '<b>',
  ),
  fc.jsonValue({ maxDepth: 2 }),
);

/** Every place in a JSON value: [holder, key]. */
function places(value, found = []) {
  if (value === null || typeof value !== 'object') return found;
  for (const key of Object.keys(value)) {
    if (found.length < 4000) found.push([value, key]);
    places(value[key], found);
  }
  return found;
}

/** A document like this, with some values replaced, or gone. @param {any} document */
export const twisted = (document) =>
  fc.array(fc.tuple(fc.nat(), fc.option(strange, { freq: 5 })), { minLength: 1, maxLength: 4 }).map((changes) => {
    const copy = structuredClone(document);
    for (const [choice, value] of changes) {
      const all = places(copy);
      if (!all.length) break;
      const [holder, key] = all[choice % all.length];
      if (value === null && Array.isArray(holder)) holder.splice(key, 1);
      else if (value === null) delete holder[key];
      else Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });
    }
    return copy;
  });

/** Text of a JSON value that may hold anything. */
export const jsonText = fc.oneof(fc.json({ maxDepth: 4 }), fc.string());
