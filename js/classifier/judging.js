/**
 * What classifiers say beyond the class (judge.js), and of what goes on (watch.js): it works on their other members,
 * where the library was called, and is fetched when it is used.
 */
const part = () => import('./judge.js');

/**
 * Adds it to a classifier, or to all of a kind. One that keeps its pictures' features has what it says of them.
 * @template {{ classify: any, suggest?: any, audit?: any }} T
 * @param {T} target
 */
export function judging(target) {
  const { classify, suggest: own, audit } = target;
  const later = (name) =>
    /** @this {any} @param {any[]} args */
    async function (...args) {
      return (await part())[name](this, ...args);
    };
  return Object.assign(target, {
    calibrate: later('calibrate'),
    suggest: own ?? later('suggest'),
    audit(...args) {
      return (audit && !Array.isArray(args[0]) ? audit : later('audit')).apply(this, args);
    },
    async *watch(source, options) {
      yield* (await import('./watch.js')).watch(this, source, options);
    },
    async classify(image, options) {
      const isPlain = !options?.calibrated && (own || !options?.none);
      return isPlain ? classify.call(this, image, options) : (await part()).classify(this, classify, image, options);
    },
  });
}
