/** Pictures that a browser draws: what they show as a bitmap, waited for where they load. */
import { MudptError } from '../base/errors.js';
import { isA } from '../base/kinds.js';
import { until, within } from '../base/within.js';
import { AS_STORED } from './bitmaps.js';

const LOADED = ['HTMLImageElement', 'SVGImageElement', 'HTMLPictureElement'];
const DRAWABLE = ['ImageBitmap', 'HTMLCanvasElement', 'OffscreenCanvas', 'HTMLVideoElement', 'VideoFrame'];
export const HAS_FRAME = 2; // HTMLMediaElement.HAVE_CURRENT_DATA
const IDLE = 1; // its networkState

/** Whether a browser can draw it on a canvas. @param {any} image */
export const isDrawable = (image) => isA(image, ...LOADED, ...DRAWABLE);
/** Whether it goes on showing what it shows, so that it can be read when its turn comes. @param {any} image */
export const isSteady = (image) => isA(image, ...LOADED);

/** @typedef {import('../base/within.js').Patience} Patience */

/** @param {string} what @param {string} hint @param {unknown} [cause] */
export const bad = (what, hint, cause) => new MudptError('image', what, hint, { cause });
/** @param {string} what @param {string} hint */
export const tooLong = (what, hint) => (/** @type {number} */ seconds) =>
  bad(`${what} within ${seconds} s`, `${hint}; the option timeout of loadClip says how long to wait`);

/** Of a video. */
export const noFrame = tooLong('has no picture', 'play it, or give it when its event loadeddata has come');

/** Which picture an element shows; another size of the same one does not count. @param {any} image @returns {string} */
export function addressOf(image) {
  const element = isA(image, 'HTMLPictureElement') ? image.querySelector('img') : image;
  const given = ['src', 'srcset'].map((name) => element?.getAttribute?.(name));
  return [...given, element?.href?.baseVal].join(' ');
}

/**
 * An <img> that has loaded, or never will.
 * @param {any} image
 * @param {Patience} patience
 */
async function loadedImage(image, patience) {
  // Nothing loads in a document that is not shown: a template's, a DOMParser's, a closed frame's.
  const element = image.ownerDocument.defaultView || image.naturalWidth ? image : document.importNode(image);
  if (!element.complete) element.loading = 'eager'; // a lazy one loads when it is scrolled to
  const late = tooLong('has not loaded', 'see whether its address answers');
  await until(element, ['load', 'error'], () => element.complete, patience, late);
  return element;
}

/** @param {any} video @param {Patience} patience */
async function loadedVideo(video, patience) {
  if (video.networkState === IDLE) video.preload = 'auto';
  const ready = () => video.readyState >= HAS_FRAME || video.error || !(video.networkState || video.srcObject);
  await until(video, ['loadeddata', 'canplay', 'seeked', 'error', 'emptied'], ready, patience, noFrame);
}

/** What can be drawn at once. @param {any} image @param {Patience} patience */
function loaded(image, patience) {
  if (isA(image, 'HTMLPictureElement')) {
    const img = image.querySelector('img');
    if (!img) throw bad('is a <picture> without an <img>', 'give one that has an <img> in it');
    return loaded(img, patience);
  }
  if (isA(image, 'HTMLImageElement'))
    return image.complete && image.naturalWidth ? image : loadedImage(image, patience);
  if (isA(image, 'HTMLVideoElement')) return image.readyState >= HAS_FRAME ? image : loadedVideo(image, patience);
  if (!isA(image, 'SVGImageElement')) return image;
  return within(image.decode(), patience, tooLong('has not loaded', 'see whether its address answers'));
}

/**
 * What a drawable shows now; what still loads is waited for. Errors lack the picture's name.
 * @param {any} image
 * @param {Patience} patience
 * @param {string} [address] what addressOf it was when it was given
 * @returns {Promise<ImageBitmap>}
 */
export async function bitmapOf(image, patience, address = addressOf(image)) {
  let element = image;
  try {
    const ready = loaded(image, patience);
    element = ready instanceof Promise ? ((await ready) ?? image) : ready;
    if (addressOf(element) !== address && addressOf(image) !== address) {
      throw bad('shows another picture than when it was given', 'change it when the call is done, or give the files');
    }
    // Before anything is awaited where it has loaded: what a canvas or a video shows changes.
    const bitmap = createImageBitmap(element, AS_STORED);
    return await within(bitmap, patience, tooLong('is not decoded', 'give the file itself'));
  } catch (cause) {
    patience.signal?.throwIfAborted();
    if (cause instanceof MudptError) throw cause;
    return (await import('./element-faults.js')).drawnLater(element, cause, patience);
  }
}
