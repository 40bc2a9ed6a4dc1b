/** The page that is replaced where it came from while it is open: files that it still asks for may be gone, or new. */
import { effect, signal } from '@preact/signals';

import { loadError } from './models.js';
import { sampleError } from './samples.js';

/** Whether a newer page is there. */
export const outdated = signal(false);

/** The page's own program, whose name tells its content. */
const program = () =>
  /** @type {HTMLScriptElement | null} */ (document.querySelector('script[type=module]'))?.src ?? '';

/** Asks where the page came from whether it is still the same. */
export async function askWhetherOutdated() {
  const answer = await fetch(document.baseURI, { cache: 'no-cache' }).catch(() => null);
  const html = answer?.ok ? await answer.text().catch(() => '') : '';
  // What is no page of ours, as a sign-in, says nothing.
  if (html.includes('type="module"') && !html.includes(program().split('/').at(-1) ?? '')) outdated.value = true;
}

/** What cannot be fetched is a reason to ask. */
export const startAsking = () =>
  effect(() => {
    if (loadError.value || sampleError.value) askWhetherOutdated();
  });
