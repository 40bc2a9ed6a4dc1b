/** What the package mudpt exports; index.d.ts describes it. */
export { loadClip } from './clip.js';
export { ERROR_CODES, MudptError } from './errors.js';
