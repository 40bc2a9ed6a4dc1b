/**
 * The tasks that come with the product: rendered from openly licensed pictograms at first use and kept in a cache
 * folder. What renders them are packages for developers; where they are not installed, as behind `npx`, a sample of the
 * task lies in the package.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { MudptError } from '../base/errors.js';
import { cacheFolder } from '../node/cache.js';
import { duration } from './terminal.js';

const SAMPLE = fileURLToPath(new URL('../../models/pictoclip/zoo-sample', import.meta.url));

/**
 * Renders a task, unless that is done already.
 * @param {string | undefined} name  default: the sample task
 * @param {ReturnType<typeof import('./terminal.js').openTerminal>} terminal
 * @param {AbortSignal} signal
 * @returns {Promise<{ name: string, folder: string, attribution: string }>}
 */
export async function sampleTask(name, terminal, signal) {
  const { renderTask, SAMPLE_TASK, taskNames } = await import('../../models/pictoclip/tasks/render.js');
  const task = name ?? SAMPLE_TASK;
  if (!taskNames.includes(task)) {
    throw new MudptError('argument', `--task ${task}: there is no such task`, `choose ${taskNames.join(', ')}`);
  }
  const out = path.join(cacheFolder(), 'tasks');
  const begun = performance.now();
  let drawn = 0;
  const onProgress = ({ done, total }) => {
    if (!drawn) terminal.note(`Rendering the task ${task}, ${total} pictures, into ${path.join(out, task)}`);
    drawn = total;
    terminal.progress(done / total, `${done} of ${total} pictures`);
  };
  let folder;
  try {
    folder = await renderTask(task, out, { onProgress, signal });
  } catch (/** @type {any} */ error) {
    if (error.name === 'AbortError' || error instanceof MudptError) throw error;
    if (error.code === 'ERR_NOT_INSTALLED' && name === undefined) {
      terminal.note(`Taking the small sample of ${task} that comes with the package; --data FOLDER takes your own.`);
      return withCredits(path.basename(SAMPLE), SAMPLE);
    }
    throw new MudptError('dataset', `task ${task}: ${error.message}`, 'give pictures of your own with --data', {
      cause: error,
    });
  } finally {
    terminal.wipe();
  }
  if (drawn) terminal.note(`Rendered in ${duration(performance.now() - begun)}.`);
  return withCredits(task, folder);
}

async function withCredits(name, folder) {
  return { name, folder, attribution: await readFile(path.join(folder, 'ATTRIBUTION.md'), 'utf8') };
}
