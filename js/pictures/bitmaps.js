/** What a page and its worker both know of bitmaps. */
import { MudptError, reasonOf } from '../base/errors.js';

/** Pixels as they are in the file. */
export const AS_STORED = /** @type {ImageBitmapOptions} */ ({ premultiplyAlpha: 'none', colorSpaceConversion: 'none' });

/** The error of a picture whose pixels the page may show and not read. @param {unknown} cause */
export const foreign = (cause) =>
  new MudptError(
    'image',
    `cannot be read: ${reasonOf(cause)}`,
    'it comes from another site: load it with crossorigin="anonymous", and let that site allow it (CORS)',
    { cause },
  );
