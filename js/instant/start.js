/** What tune() of a model starts where a head is wanted, and import() where a file has one: fetched when it is used. */
import { InstantJob, requireHead } from './job.js';

export { importInstant } from './job.js';

/**
 * @param {any} clip
 * @param {(options: any) => any} tune of prompts alone
 * @param {Record<string, any>} options
 * @param {string | URL} [assetsUrl]
 */
export async function startJob(clip, tune, options, assetsUrl) {
  if (options.preset === 'instant') return new InstantJob(clip, options, assetsUrl);
  if (options.budget !== undefined) {
    const { BudgetJob } = await import('./budget.js');
    return new BudgetJob(clip, tune, options, assetsUrl);
  }
  const { head = 'none', views, ...rest } = options;
  if (head === 'none') {
    requireHead(views);
    return tune(rest);
  }
  const { PromptsJob } = await import('./prompts.js');
  return new PromptsJob(clip, tune, options, assetsUrl);
}
