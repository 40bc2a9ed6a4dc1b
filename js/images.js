/**
 * Pictures from anything a page or a Node program has: files, addresses, bytes, pixels, elements. Bytes of a file stay
 * compressed as long as they can; decoding is the library's, so that results are the same everywhere.
 */
import { MudptError, reasonOf } from './errors.js';
import { isNode, nodePart, pageAddress } from './platform.js';

/**
 * @typedef {{ name: string, bytes: Uint8Array }} Encoded a picture file
 * @typedef {{ name: string, pixels: Uint8Array | Uint8ClampedArray, width: number, height: number }} Pixels
 */

/** Node: anything that is no path. In browsers every text is an address. @param {string} text */
const isAddress = (text) => !isNode || /^(https?|file|data|blob):/i.test(text);

/** Pixels as they are in the file. */
const AS_STORED = /** @type {ImageBitmapOptions} */ ({ premultiplyAlpha: 'none', colorSpaceConversion: 'none' });
/** What to do about an element whose pixels are out of reach. */
export const UNREADABLE = 'wait until it has loaded; from another site it must be loaded with crossorigin="anonymous"';

/** @param {string} text @param {AbortSignal} [signal] */
async function download(text, signal) {
  const url = new URL(text, pageAddress()).href;
  const name = url.startsWith('data:') ? `${url.slice(0, 40)}…` : url;
  let response;
  try {
    response = await fetch(url, { signal });
    if (response.ok) return { name, bytes: new Uint8Array(await response.arrayBuffer()) };
  } catch (cause) {
    signal?.throwIfAborted();
    throw new MudptError(
      'network',
      `${name} cannot be fetched: ${reasonOf(cause)}`,
      'check the address and the connection; from another site the server must allow it (CORS)',
      { cause },
    );
  }
  throw new MudptError('network', `${name} was answered with ${response.status}`, 'check the address');
}

const unreadable = (name, cause, hint = UNREADABLE) =>
  new MudptError('image', `${name} cannot be read: ${reasonOf(cause)}`, hint, { cause });

/** The bytes of a Blob; a file on disk may have gone, or changed, since it was picked. @returns {Promise<Encoded>} */
async function readBlob(blob, name) {
  try {
    return { name, bytes: new Uint8Array(await blob.arrayBuffer()) };
  } catch (cause) {
    throw unreadable(name, cause, 'the file has changed or gone since it was picked: pick it again');
  }
}

/** Whether a browser can draw it on a canvas. @param {any} image */
export const isDrawable = (image) =>
  ['ImageBitmap', 'HTMLImageElement', 'HTMLCanvasElement', 'OffscreenCanvas', 'HTMLVideoElement', 'VideoFrame'].some(
    (type) => typeof globalThis[type] === 'function' && image instanceof globalThis[type],
  );

/**
 * What a drawable shows now; an image that still loads is waited for.
 * @param {any} image
 * @param {string} name
 * @returns {Promise<ImageBitmap>}
 */
export async function bitmapOf(image, name) {
  try {
    const loads = typeof HTMLImageElement === 'function' && image instanceof HTMLImageElement && !image.complete;
    if (loads) await image.decode();
    return await createImageBitmap(image, AS_STORED);
  } catch (cause) {
    throw unreadable(name, cause);
  }
}

/** Reads the pixels of a bitmap, which is closed. @param {ImageBitmap} bitmap @param {string} name @returns {Pixels} */
function pixelsOf(bitmap, name) {
  const { width, height } = bitmap;
  try {
    const options = { willReadFrequently: true }; // in memory, not on the graphics card, which rounds
    const canvas = new OffscreenCanvas(width, height);
    const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext('2d', options));
    context.drawImage(bitmap, 0, 0);
    return { name, pixels: context.getImageData(0, 0, width, height).data, width, height };
  } catch (cause) {
    throw unreadable(name, cause);
  } finally {
    bitmap.close();
  }
}

/**
 * Reads a picture without decoding it.
 * @param {any} image see ImageInput in index.d.ts
 * @param {string} name for messages, where the picture has none of its own
 * @param {AbortSignal} [signal]
 * @returns {Promise<Encoded | Pixels>}
 */
export async function readImage(image, name, signal) {
  if (typeof image === 'string' || image instanceof URL) {
    const text = String(image);
    const isFile = isNode && /^file:/i.test(text);
    if (isAddress(text) && !isFile) return download(text, signal);
    const file = isFile ? new URL(text) : text;
    return { name: text, bytes: await (await nodePart('files.js')).readPicture(file) };
  }
  if (image instanceof ArrayBuffer) return { name, bytes: new Uint8Array(image) };
  if (image instanceof Uint8Array) return { name, bytes: image };
  if (typeof Blob === 'function' && image instanceof Blob) {
    return readBlob(image, image instanceof File ? image.name : name);
  }
  if (isDrawable(image)) return pixelsOf(await bitmapOf(image, name), name);
  const { data, width, height } = image ?? {};
  if ((data instanceof Uint8Array || data instanceof Uint8ClampedArray) && width > 0 && height > 0) {
    return { name, pixels: data, width, height };
  }
  const inNode = isNode ? 'a path, ' : '';
  throw new MudptError('image', `${name} is no picture`, `give ${inNode}a URL, a Blob, the bytes of a file, or pixels`);
}

/**
 * Decodes a picture into the library's memory. Formats that only the browser knows are decoded by the browser.
 * @param {import('./core.js').Core} core
 * @param {Encoded | Pixels} picture
 * @param {boolean} upright obey EXIF orientation
 * @returns {Promise<number>} a handle, to be freed by core.imageFree
 */
export async function decodeImage(core, picture, upright) {
  try {
    if ('bytes' in picture) return core.imageDecode(picture.bytes, upright);
    const { pixels, width, height } = picture;
    const channels = /** @type {1 | 3 | 4} */ (pixels.length / (width * height));
    return core.imageFromPixels(pixels, width, height, channels);
  } catch (error) {
    if (!(error instanceof MudptError)) throw error;
    const png = isNode && 'bytes' in picture && error.code === 'image' ? await pngByNode(picture) : null;
    if (png) return decodeImage(core, png, upright);
    const browserPixels =
      'bytes' in picture && error.code === 'image' ? await decodedByBrowser(picture, upright) : null;
    if (!browserPixels) throw error.code === 'state' ? error : error.named(picture.name);
    return decodeImage(core, browserPixels, upright);
  }
}

/** What a package of Node's reads, as a file that the library reads. @param {Encoded} picture */
async function pngByNode({ name, bytes }) {
  const { isWebp, pngOfWebp } = await nodePart('webp.js');
  if (!isWebp(bytes)) return null;
  try {
    return { name, bytes: await pngOfWebp(bytes) };
  } catch (error) {
    throw error instanceof MudptError ? error.named(name) : error;
  }
}

/** @param {Encoded} picture @param {boolean} upright @returns {Promise<Pixels | null>} */
async function decodedByBrowser({ name, bytes }, upright) {
  if (typeof createImageBitmap !== 'function') return null;
  try {
    const imageOrientation = /** @type {ImageOrientation} */ (upright ? 'from-image' : 'none');
    const blob = new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (bytes)]);
    return pixelsOf(await createImageBitmap(blob, { ...AS_STORED, imageOrientation }), name);
  } catch {
    return null; // the library's own message says more
  }
}
