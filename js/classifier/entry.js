/** Where folded prompts enter the towers, and what else their library's method has to know of them. */
import { METHODS } from '../methods/methods.js';

/**
 * @param {import('./classifier.js').Details} details
 * @param {import('../core/core.js').ClipConfig} config
 * @returns {Partial<import('../core/core.js').Method>}
 */
export function entryOf({ method, settings, alone }, config) {
  if (!settings || !Object.hasOwn(METHODS, method) || METHODS[method].classAware) return {};
  const { layer, inserted, kept, second } = METHODS[method].sizes(settings, config);
  return { layer, inserted, kept, second, ...(second && { alone }) };
}
