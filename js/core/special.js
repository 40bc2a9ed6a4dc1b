/** Cores that few ask for: with wide vectors, or for products of bytes. */
import { isNode } from '../base/platform.js';
import { int8Core } from './int8.js';
import { wideCore } from './wide.js';

/**
 * @param {Record<string, any>} options as createCore's
 * @param {typeof import('./core.js').createCore} begin createCore
 */
export const specialCore = (options, begin) =>
  options.wideVectors && isNode ? wideCore(() => begin({ ...options, wideVectors: false })) : int8Core(options, begin);
