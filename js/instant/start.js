/** What tune() of a model starts where a head is wanted, and import() where a file has one: fetched when it is used. */
import { BudgetJob } from './budget.js';
import { InstantJob } from './job.js';
import { PromptsJob } from './prompts.js';

export { importInstant } from './job.js';

/**
 * @param {any} clip
 * @param {(options: any) => any} tune of prompts alone
 * @param {Record<string, any>} options
 * @param {string | URL} [assetsUrl]
 */
export function startJob(clip, tune, options, assetsUrl) {
  if (options.preset === 'instant') return new InstantJob(clip, options, assetsUrl);
  if (options.budget !== undefined) return new BudgetJob(clip, tune, options, assetsUrl);
  const { head, ...rest } = options;
  return head === 'none' ? tune(rest) : new PromptsJob(clip, tune, options, assetsUrl);
}
