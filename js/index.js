/** What the package mudpt exports; index.d.ts describes it. */
export { cache } from './files/cache.js';
export { loadClip } from './worker/remote.js';
export { exportOfficial } from './classifier/exchange.js';
export { ERROR_CODES, MudptError } from './base/errors.js';
