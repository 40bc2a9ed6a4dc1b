/** What the package mudpt exports; index.d.ts describes it. */
export { cache } from './cache.js';
export { loadClip } from './remote.js';
export { exportOfficial } from './exchange.js';
export { ERROR_CODES, MudptError } from './errors.js';
