/**
 * Pictures from anything a page or a Node program has: files, addresses, bytes, pixels, elements. Bytes of a file stay
 * compressed as long as they can; decoding is the library's, so that results are the same everywhere.
 */
import { MudptError, reasonOf } from './errors.js';
import { isNode, nodePart } from './platform.js';

/**
 * @typedef {{ name: string, bytes: Uint8Array }} Encoded a picture file
 * @typedef {{ name: string, pixels: Uint8Array | Uint8ClampedArray, width: number, height: number }} Pixels
 */

/** Node: anything that is no path. In browsers every text is an address. @param {string} text */
const isAddress = (text) => !isNode || /^(https?|file|data|blob):/.test(text);

/** @param {string} url @param {AbortSignal} [signal] */
async function download(url, signal) {
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

/** Draws what a browser can draw and reads the pixels back. */
function drawn(image, name) {
  const width = image.naturalWidth ?? image.videoWidth ?? image.displayWidth ?? image.width;
  const height = image.naturalHeight ?? image.videoHeight ?? image.displayHeight ?? image.height;
  if (!(width > 0 && height > 0))
    throw new MudptError('image', `${name} has no pixels yet`, 'wait until it has loaded');
  const canvas = new OffscreenCanvas(width, height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext('2d'));
  context.drawImage(image, 0, 0);
  return { name, pixels: context.getImageData(0, 0, width, height).data, width, height };
}

const isDrawable = (image) =>
  ['ImageBitmap', 'HTMLImageElement', 'HTMLCanvasElement', 'OffscreenCanvas', 'HTMLVideoElement', 'VideoFrame'].some(
    (type) => typeof globalThis[type] === 'function' && image instanceof globalThis[type],
  );

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
    if (isAddress(text) && !text.startsWith('file:')) return download(text, signal);
    const file = text.startsWith('file:') ? new URL(text) : text;
    return { name: text, bytes: await (await nodePart('files.js')).readPicture(file) };
  }
  if (image instanceof ArrayBuffer) return { name, bytes: new Uint8Array(image) };
  if (image instanceof Uint8Array) return { name, bytes: image };
  if (typeof Blob === 'function' && image instanceof Blob) {
    return { name: image instanceof File ? image.name : name, bytes: new Uint8Array(await image.arrayBuffer()) };
  }
  if (isDrawable(image)) return drawn(image, name);
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
    const browserPixels =
      'bytes' in picture && error.code === 'image' ? await decodedByBrowser(picture, upright) : null;
    if (!browserPixels) throw error.named(picture.name);
    return decodeImage(core, browserPixels, upright);
  }
}

/** @param {Encoded} picture @param {boolean} upright @returns {Promise<Pixels | null>} */
async function decodedByBrowser({ name, bytes }, upright) {
  if (typeof createImageBitmap !== 'function') return null;
  try {
    const orientation = /** @type {ImageOrientation} */ (upright ? 'from-image' : 'none');
    const blob = new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (bytes)]);
    const bitmap = await createImageBitmap(blob, { imageOrientation: orientation });
    try {
      return drawn(bitmap, name);
    } finally {
      bitmap.close();
    }
  } catch {
    return null; // the library's own message says more
  }
}
