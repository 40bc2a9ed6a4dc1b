/**
 * Pictures from anything a page or a Node program has: files, addresses, bytes, pixels, elements. Bytes of a file stay
 * compressed as long as they can; decoding is the library's, so that results are the same everywhere.
 */
import { MudptError, reasonOf } from '../base/errors.js';
import { Stranger, bytesOfPixels, isA, isBlob, isBuffer, isBytes, summaryOf } from '../base/kinds.js';
import { LARGEST_DOWNLOAD } from '../base/limits.js';
import { nodePart } from '../base/node-part.js';
import { isNode, pageAddress } from '../base/platform.js';
import { TIMEOUT, within } from '../base/within.js';
import { readWhole } from '../files/download.js';
import { AS_STORED, foreign } from './bitmaps.js';
import { whatInsteadOf } from './no-address.js';

/**
 * @typedef {{ name: string, bytes: Uint8Array }} Encoded a picture file
 * @typedef {{ name: string, pixels: Uint8Array | Uint8ClampedArray, width: number, height: number }} Pixels
 * @typedef {{ name: string, bitmap: ImageBitmap, keep?: boolean }} Drawn by a browser; closed when it is decoded,
 *   unless somebody keeps it
 */

/**
 * Of elements.js and no-picture.js what the library's own worker has no need of, and need not be longer for: its page
 * has it. remote.js sets it for everybody else.
 * @type {Partial<typeof import('./elements.js') & typeof import('./no-picture.js')>}
 */
export const drawing = {};

/** Of an object that the page keeps a picture for: () => Promise<{ bitmap, keep }>, see worker/host.js. */
export const READ = Symbol('read');

/** How pictures are read: turned as their EXIF orientation says; what is transparent on white. Bits of mudpt.h. */
export const [UPRIGHT, ON_WHITE] = [1, 2];

const PIECE = 8 * 2 ** 20; // of a file on disk
const STRIP = 2 ** 20; // bytes of rows that are copied together

/** Node: anything that is no path. In browsers every text is an address. @param {string} text */
const isAddress = (text) => !isNode || /^(https?|file|data|blob):/i.test(text);

/** @param {string} name @param {[string, string]} words */
const noPicture = (name, [what, hint]) => new MudptError('image', `${name} ${what}`, hint);

/** @param {string} text @param {string} name @param {import('../base/within.js').Patience} patience */
async function download(text, name, { signal, timeout = TIMEOUT }) {
  let url;
  try {
    url = new URL(text, pageAddress()).href;
  } catch {
    throw noPicture(name, [`is no address: ${text}`, 'for instance https://example.org/picture.jpg']);
  }
  const short = url.startsWith('data:') ? `${url.slice(0, 40)}…` : url;
  return { name: short, bytes: await readWhole(url, { name: short, most: LARGEST_DOWNLOAD, signal, timeout }) };
}

/**
 * The bytes of a Blob; a file on disk may have gone, or changed, since it was picked, or its disk may not answer.
 * @param {Blob} blob @param {string} name @param {import('../base/within.js').Patience} patience
 * @returns {Promise<Encoded>}
 */
async function readBlob(blob, name, patience) {
  if (blob.size > LARGEST_DOWNLOAD) {
    throw noPicture(name, [`has ${blob.size} bytes, expected at most ${LARGEST_DOWNLOAD}`, 'shrink the picture']);
  }
  const late = (seconds) => noPicture(name, [`was not read within ${seconds} s`, 'copy it to a disk that answers']);
  try {
    const bytes = new Uint8Array(blob.size);
    for (let at = 0; at < bytes.length; at += PIECE) {
      const piece = blob.slice(at, at + PIECE).arrayBuffer();
      bytes.set(new Uint8Array(await within(piece, patience, late)), at);
    }
    return { name, bytes };
  } catch (cause) {
    patience.signal?.throwIfAborted();
    if (cause instanceof MudptError) throw cause;
    const hint = 'the file has changed or gone since it was picked: pick it again';
    throw new MudptError('image', `${name} cannot be read: ${reasonOf(cause)}`, hint, { cause });
  }
}

/**
 * @param {() => Promise<{ bitmap: ImageBitmap, keep?: boolean }>} read
 * @param {string} name
 * @returns {Promise<Drawn>}
 */
async function drawn(read, name) {
  try {
    return { name, ...(await read()) };
  } catch (error) {
    throw error instanceof MudptError ? error.named(name) : error;
  }
}

/**
 * Reads a picture without decoding it.
 * @param {any} image see ImageInput in index.d.ts
 * @param {string} name for messages, where the picture has none of its own
 * @param {AbortSignal} [signal]
 * @param {number} [timeout] milliseconds
 * @returns {Promise<Encoded | Pixels | Drawn>}
 */
export async function readImage(image, name, signal, timeout) {
  const patience = { signal, timeout };
  if (typeof image === 'string' || isA(image, 'URL')) {
    const text = String(image);
    const words = whatInsteadOf(text);
    if (words) throw noPicture(name, words);
    const isFile = isNode && /^file:/i.test(text);
    if (isAddress(text) && !isFile) return download(text, name, patience);
    const file = isFile ? new URL(text) : text;
    return { name: text, bytes: await (await nodePart('files.js')).readPicture(file) };
  }
  if (isBuffer(image)) return { name, bytes: new Uint8Array(image) };
  if (isBytes(image)) return { name, bytes: image };
  if (isBlob(image)) return readBlob(image, /** @type {File} */ (image).name ?? name, patience);
  if (image?.[READ]) return drawn(image[READ], name);
  const { isDrawable, bitmapOf } = drawing;
  if (bitmapOf && isDrawable?.(image)) return drawn(async () => ({ bitmap: await bitmapOf(image, patience) }), name);
  const { width, height } = image ?? {};
  const pixels = isA(image, 'ImageData') ? bytesOfPixels(image) : image?.data;
  if ((isBytes(pixels) || isA(pixels, 'Uint8ClampedArray')) && width > 0 && height > 0) {
    return { name, pixels, width, height };
  }
  const summary = image instanceof Stranger ? image.summary : summaryOf(image);
  throw (
    drawing.noPicture?.(name, summary) ??
    Object.assign(noPicture(name, ['is no picture', '']), { subject: name, summary })
  );
}

/**
 * Decodes a picture into the library's memory. Formats that only the browser knows are decoded by the browser.
 * @param {import('../core/core.js').Core} core
 * @param {Encoded | Pixels | Drawn} picture
 * @param {number} how UPRIGHT, ON_WHITE, the sum of both, or 0
 * @returns {Promise<number>} a handle, to be freed by core.imageFree
 */
export async function decodeImage(core, picture, how) {
  const onWhite = Boolean(how & ON_WHITE);
  try {
    if ('bytes' in picture) return core.imageDecode(picture.bytes, how);
    if ('bitmap' in picture) return await copyBitmap(core, picture, onWhite);
    const { pixels, width, height } = picture;
    const channels = /** @type {1 | 3 | 4} */ (pixels.length / (width * height));
    if (onWhite && channels === 4)
      return await imageFromRows(core, width, height, height, { read: async () => pixels, order: ORDERS.RGBA }, true);
    return core.imageFromPixels(pixels, width, height, channels);
  } catch (error) {
    if (!(error instanceof MudptError)) throw error;
    const png = isNode && 'bytes' in picture && error.code === 'image' ? await pngByNode(picture) : null;
    if (png) return decodeImage(core, png, how);
    const bitmap = 'bytes' in picture && error.code === 'image' ? await decodedByBrowser(picture.bytes) : null;
    if (bitmap) return decodeImage(core, { name: picture.name, bitmap }, how);
    throw error.code === 'state' ? error : error.named(picture.name);
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

/**
 * The library's picture from some rows at a time, so that no side holds all of them twice.
 * @param {import('../core/core.js').Core} core
 * @param {number} width
 * @param {number} height
 * @param {number} most rows at a time
 * @param {{ read: (y: number, rows: number) => Promise<Uint8Array | Uint8ClampedArray>, order: number[] }} reader
 * @param {boolean} onWhite
 */
async function imageFromRows(core, width, height, most, { read, order: [red, green, blue, alpha = -1] }, onWhite) {
  const { memory } = core;
  const image = memory.handle((out) => memory.module._mudpt_image_from_pixels(0, width, height, 3, out));
  try {
    for (let y = 0; y < height; y += most) {
      const pixels = await read(y, Math.min(most, height - y));
      const start = (memory.module._mudpt_image_rgb(image) >>> 0) + 3 * width * y;
      const rgb = memory.bytes(start, (3 * pixels.length) / 4);
      for (let to = 0, from = 0; to < rgb.length; to += 3, from += 4) {
        rgb[to] = pixels[from + red];
        rgb[to + 1] = pixels[from + green];
        rgb[to + 2] = pixels[from + blue];
        if (onWhite && alpha > 0)
          for (let at = to; at < to + 3; at++) rgb[at] = laidOnWhite(rgb[at], pixels[from + alpha]);
      }
    }
    return image;
  } catch (error) {
    core.imageFree(image);
    throw error;
  }
}

/** As lay_on_white in src/image/formats.h. @param {number} value @param {number} alpha */
function laidOnWhite(value, alpha) {
  const x = 128 * (value * alpha + 255 * (255 - alpha) + 128);
  return ((x >> 8) + x) >> 15;
}

/** @param {import('../core/core.js').Core} core @param {Drawn} picture @param {boolean} onWhite */
async function copyBitmap(core, { bitmap, keep }, onWhite) {
  const { width, height } = bitmap;
  const rows = Math.min(height, Math.max(1, Math.floor(STRIP / (4 * width))));
  let reader;
  try {
    reader = await readerOf(bitmap, rows);
    return await imageFromRows(core, width, height, rows, reader, onWhite);
  } catch (cause) {
    throw cause instanceof MudptError ? cause : foreign(cause);
  } finally {
    reader?.close();
    if (!keep) bitmap.close();
  }
}

/** Where red, green, blue and alpha are of the four bytes that a pixel of a frame has. */
const ORDERS = { RGBA: [0, 1, 2, 3], RGBX: [0, 1, 2], BGRA: [2, 1, 0, 3], BGRX: [2, 1, 0] };

/**
 * What the last picture's rows were copied to, for those of the next: a megabyte a picture lies about for long.
 * @type {Uint8Array | null}
 */
let spare = null;

/** Whether frames keep what a canvas loses: not in WebKit, in whose workers they are black. @type {Promise<boolean>} */
let framesKeep;

async function probeFrames() {
  const pixel = [250, 30, 20, 1];
  try {
    const bitmap = await createImageBitmap(new ImageData(Uint8ClampedArray.from(pixel), 1, 1), AS_STORED);
    const frame = new VideoFrame(bitmap, { timestamp: 0 });
    const found = new Uint8Array(4);
    await frame.copyTo(found);
    const order = ORDERS[/** @type {string} */ (frame.format)];
    frame.close();
    bitmap.close();
    return order.every((from, to) => found[from] === pixel[to]);
  } catch {
    return false;
  }
}

/**
 * What reads a few rows of a bitmap. A canvas loses the colour of pixels that cannot be seen, and rounds that of those
 * that hardly can; a frame, as it is in memory, does not.
 * @param {ImageBitmap} bitmap
 * @param {number} most rows at once
 */
async function readerOf(bitmap, most) {
  const { width } = bitmap;
  const frame = (await (framesKeep ??= probeFrames())) ? frameOf(bitmap) : null;
  if (frame) {
    let strip = spare;
    spare = null;
    if (!strip || strip.length < 4 * width * most) strip = new Uint8Array(4 * width * most);
    const read = async (y, rows) => {
      const pixels = strip.subarray(0, 4 * width * rows);
      await frame.copyTo(pixels, { rect: { x: 0, y, width, height: rows } });
      return pixels;
    };
    const close = () => {
      frame.close();
      spare = strip;
    };
    return { read, order: ORDERS[/** @type {string} */ (frame.format)], close };
  }
  const options = { willReadFrequently: true }; // in memory, not on the graphics card, which rounds
  const canvas = new OffscreenCanvas(width, most);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext('2d', options));
  context.globalCompositeOperation = 'copy';
  const read = async (y, rows) => {
    context.drawImage(bitmap, 0, y, width, rows, 0, 0, width, rows);
    return context.getImageData(0, 0, width, rows).data;
  };
  return { read, order: ORDERS.RGBA, close() {} };
}

/** A bitmap as a frame that can be read. @param {ImageBitmap} bitmap */
function frameOf(bitmap) {
  let frame;
  try {
    frame = new VideoFrame(bitmap, { timestamp: 0 });
    const { format, codedWidth, codedHeight, colorSpace } = frame;
    const same = codedWidth === bitmap.width && codedHeight === bitmap.height;
    // Colours of another space are left to the canvas, which converts them.
    if (same && format && format in ORDERS && (colorSpace.primaries ?? 'bt709') === 'bt709') return frame;
  } catch {
    // too large for a frame, or from another site, which the canvas will say
  }
  frame?.close();
  return null;
}

/** Of its EXIF orientation a browser does what it does, whatever it is told. @param {Uint8Array} bytes */
async function decodedByBrowser(bytes) {
  if (typeof createImageBitmap !== 'function') return null;
  try {
    return await createImageBitmap(new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (bytes)]), AS_STORED);
  } catch {
    return null; // the library's own message says more
  }
}
