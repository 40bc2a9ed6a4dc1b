/** What is wrong with an element that the browser does not draw. */
import { reasonOf } from '../base/errors.js';
import { isA } from '../base/kinds.js';
import { TIMEOUT, within } from '../base/within.js';
import { AS_STORED, foreign } from './bitmaps.js';
import { HAS_FRAME, addressOf, bad, isSteady, noFrame, tooLong } from './elements.js';

/** So often a video that is to have a picture is looked at. */
const LOOK_MS = 50;

/** Whether there are pictures in it: none of sound alone. @param {any} video */
const hasPictures = ({ videoWidth, srcObject }) =>
  videoWidth > 0 || srcObject?.getVideoTracks?.().some(({ readyState }) => readyState === 'live');

/**
 * An element that the browser did not draw, drawn after all: a video of a camera whose srcObject has just been set, or
 * set once more, says that it has a picture before there is one.
 * @param {any} image
 * @param {unknown} cause
 * @param {import('../base/within.js').Patience} patience
 * @returns {Promise<ImageBitmap>}
 */
export async function drawnLater(image, cause, patience) {
  const isEarly = /** @type {Error} */ (cause).name === 'InvalidStateError';
  if (!isEarly || !isA(image, 'HTMLVideoElement') || !hasPictures(image)) throw await faultOf(image, cause, patience);
  const { timeout = TIMEOUT } = patience;
  for (const end = performance.now() + timeout; performance.now() < end;) {
    const pause = new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    await within(pause, patience, noFrame);
    const bitmap = await createImageBitmap(image, AS_STORED).catch(() => null);
    if (bitmap) return bitmap;
  }
  throw noFrame(timeout / 1000);
}

/**
 * Why the browser does not draw it.
 * @param {any} image
 * @param {unknown} cause
 * @param {import('../base/within.js').Patience} patience
 */
async function faultOf(image, cause, patience) {
  const { name } = /** @type {Error} */ (cause);
  if (name === 'SecurityError' || name === 'DataCloneError') return foreign(cause);
  const { width, height } = image;
  if (isA(image, 'HTMLCanvasElement', 'OffscreenCanvas') && !(width && height)) {
    return bad(
      `is a canvas of ${width} x ${height} pixels`,
      'give it a size, draw on it, and do not transfer it',
      cause,
    );
  }
  if (isA(image, 'ImageBitmap') ? !width : isA(image, 'VideoFrame') && !image.codedWidth) {
    return bad('has been closed, or moved elsewhere', 'give it before that', cause);
  }
  if (isA(image, 'HTMLVideoElement')) {
    if (image.readyState >= HAS_FRAME)
      return bad('is a video without a picture', 'give one that is not sound alone', cause);
    if (!image.networkState)
      return bad('is a video without an address', 'set its src or srcObject, and play it', cause);
    return bad(
      `is a video that cannot be played: ${image.error?.message || reasonOf(cause)}`,
      'try it in a tab',
      cause,
    );
  }
  if (!isSteady(image)) return bad(`cannot be read: ${reasonOf(cause)}`, 'draw it on a canvas, and give that', cause);
  if (!addressOf(image).trim()) return bad('has no address', 'set its src, and give it then', cause);
  const decodes = await within(
    image.decode().then(
      () => true,
      () => false,
    ),
    patience,
    tooLong('is not decoded', 'give the file itself'),
  );
  return decodes
    ? bad('is an SVG without a size', 'give its <svg> a width and a height in pixels', cause)
    : bad('cannot be read: it is not there, is damaged, or no picture', 'open its address in a tab', cause);
}
