/** What can be given as a picture. */
import type { ErrorCode } from '../base/types.js';

/**
 * A picture.
 *
 * - `string`: in browsers a URL; in Node a path, or a URL with its scheme
 * - `URL`
 * - `Blob`, `File`, `ArrayBuffer`, `Uint8Array` (Node's `Buffer` too): the bytes of a JPEG, PNG, GIF or BMP file;
 *   browsers decode other formats that they know, Node WebP where the package `@cwasm/webp` is installed
 * - `ImageData`, or any `{ data, width, height }` with 1 (grey), 3 (RGB) or 4 (RGBA) bytes a pixel, rows from the top
 * - {@link DrawableImage}: `ImageBitmap`, `<img>`, SVG's `<image>`, `<canvas>`, `OffscreenCanvas`, `<video>`,
 *   `VideoFrame`: what it shows at the time of the call. What still loads is waited for, a lazy `<img>` is
 *   made to load, for as long as {@link LoadOptions.timeout} says; no other call waits for it. From another site it
 *   must have been loaded with `crossorigin="anonymous"`.
 *
 * Alpha is dropped, not blended (docs/browser.md says where a browser has lost colours that cannot be seen), unless
 * {@link LoadOptions.convention} is `'transformers'`. Of an animation the first frame counts. Where the library is in a
 * worker, bytes and bitmaps are copied there, or moved with `transfer: true`.
 */
export type ImageInput = string | URL | Blob | ArrayBuffer | Uint8Array | PixelData | DrawableImage;

export interface PixelData {
  /** Of `ImageData` also `Float16Array` (`rgba-float16`), 0 to 1. */
  readonly data: Uint8Array | Uint8ClampedArray | { readonly [Symbol.toStringTag]: 'Float16Array' };
  /** Pixels. */
  readonly width: number;
  /** Pixels. */
  readonly height: number;
}

/** What a browser can draw on a canvas, each told by what it has. */
export type DrawableImage =
  | { readonly naturalWidth: number; readonly complete: boolean }
  | { readonly href: { readonly baseVal: string }; readonly preserveAspectRatio: object }
  | { width: number; height: number; getContext(kind: '2d'): object | null }
  | { readonly videoWidth: number; readonly readyState: number }
  | { readonly width: number; readonly height: number; close(): void }
  | { readonly codedWidth: number; readonly codedHeight: number; close(): void };

/** A picture and its class: the class's name, or (where two classes have it) its index in the list of classes. */
export interface Example {
  image: ImageInput;
  label: string | number;
}

/** A picture that cannot be read and was left out: its place in which list, and what a {@link MudptError} says. */
export interface BrokenPicture {
  readonly index: number;
  readonly list: 'examples' | 'validation' | 'pictures';
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
}
