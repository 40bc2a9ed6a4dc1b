/**
 * What kind of picture a file is: by its name where that says so, by its first bytes where it does not. Pictures that
 * cannot be read here are recognised, too, so that it can be said that they were left out.
 */
import { open } from 'node:fs/promises';
import { onDisk } from './paths.js';
import { readsWebp } from './webp.js';

/** Names of the kinds that the library reads. What bears one and is none is a broken picture. */
export const PICTURE = /\.(jpe?g|jpe|jfif|pjpe?g|pjp|png|apng|gif|bmp|dib)$/i;
export const READABLE = ['JPEG', 'PNG', 'GIF', 'BMP'];
/** Names of pictures of other kinds, whose content cannot be recognised. */
const OTHER_PICTURE = /\.(webp|avif|hei[cf]|tiff?|jxl|jp2|jpx|psd|svgz?|ico|tga|p[bgp]m|raw|cr2|nef|arw|dng)$/i;

const BEGINNING = 64;
/** Bytes of a BMP's second header. */
const BMP_HEADERS = [12, 16, 40, 52, 56, 64, 108, 124];
/** Major brands of the files that ISO's box format is used for. @type {[RegExp, string][]} */
const BOXES = [
  [/^avi[fs]/, 'AVIF'],
  [/^(hei[cxms]|hev[cxms]|mif1|msf1)/, 'HEIC'],
  [/^jxl /, 'JPEG XL'],
  [/^(jp2|jpx|jpm) /, 'JPEG 2000'],
];
/** @type {[string, number, string][]} bytes (as Latin-1), where they stand, what they mean */
const MARKS = [
  ['\xff\xd8\xff', 0, 'JPEG'],
  ['\x89PNG\r\n\x1a\n', 0, 'PNG'],
  ['GIF87a', 0, 'GIF'],
  ['GIF89a', 0, 'GIF'],
  ['II*\0', 0, 'TIFF'],
  ['MM\0*', 0, 'TIFF'],
  ['II+\0', 0, 'TIFF'],
  ['MM\0+', 0, 'TIFF'],
  ['\xff\x0a', 0, 'JPEG XL'],
  ['\0\0\0\x0cJXL ', 0, 'JPEG XL'],
  ['\0\0\0\x0cjP  ', 0, 'JPEG 2000'],
  ['\xff\x4f\xff\x51', 0, 'JPEG 2000'],
  ['8BPS', 0, 'Photoshop'],
  ['\0\0\x01\0', 0, 'icon'],
  ['<svg', 0, 'SVG'],
];

/**
 * @param {Uint8Array} bytes the first 64 of a file, or all of a shorter one
 * @returns {string | null} null: no picture that is known
 */
export function kindOf(bytes) {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  if (text.startsWith('RIFF') && text.slice(8, 12) === 'WEBP') return 'WebP';
  if (text.slice(4, 8) === 'ftyp') return BOXES.find(([brand]) => brand.test(text.slice(8, 12)))?.[1] ?? null;
  if (text.startsWith('BM') && text.length >= 18) {
    const header = new DataView(bytes.buffer, bytes.byteOffset).getUint32(14, true);
    return BMP_HEADERS.includes(header) ? 'BMP' : null;
  }
  if (/^(\xef\xbb\xbf)?\s*<\?xml[^>]*>\s*(<!--.*)?<svg/s.test(text)) return 'SVG';
  return MARKS.find(([mark, at]) => text.startsWith(mark, at))?.[2] ?? null;
}

/**
 * Whether a file is to be taken for a picture.
 * @param {string} file
 * @returns {Promise<{ picture: boolean, kind: string | null }>} picture: one that can be read, or should be; kind: of
 *   one that cannot
 * @throws what the system says of a file that cannot be opened
 */
export async function recognise(file) {
  if (PICTURE.test(file)) return { picture: true, kind: null };
  const handle = await open(onDisk(file));
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(BEGINNING), 0, BEGINNING, 0);
    const kind = kindOf(buffer.subarray(0, bytesRead));
    if (kind && (READABLE.includes(kind) || (kind === 'WebP' && (await readsWebp()))))
      return { picture: true, kind: null };
    return { picture: false, kind: kind ?? OTHER_PICTURE.exec(file)?.[1].toUpperCase() ?? null };
  } finally {
    await handle.close();
  }
}
