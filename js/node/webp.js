/** WebP in Node, by the package @cwasm/webp (libwebp as WebAssembly). Whoever wants it installs it. */
import { deflateSync } from 'node:zlib';

import { MudptError } from '../base/errors.js';

const PACKAGE = '@cwasm/webp';
const CHUNK = 8; // bytes of a chunk's head
const MOST_PIXELS = 1 << 27; // as MUDPT_MAX_IMAGE_PIXELS

/** @type {Promise<((file: Uint8Array) => { width: number, height: number, data: Uint8ClampedArray }) | null>} */
let decoder;

/** The package's decode(), or null where it is not installed. */
function loadDecoder() {
  decoder ??= import(PACKAGE).then(
    (found) => (found.default ?? found).decode,
    (error) => {
      if (error.code === 'ERR_MODULE_NOT_FOUND') return null;
      throw new MudptError('environment', `the package ${PACKAGE} does not start`, 'install it again', {
        cause: error,
      });
    },
  );
  return decoder;
}

export const readsWebp = async () => (await loadDecoder()) !== null;

const latin1 = (bytes, start, end) => String.fromCharCode(...bytes.subarray(start, end));

/** @param {Uint8Array} file */
export const isWebp = (file) => latin1(file, 0, 4) === 'RIFF' && latin1(file, 8, 12) === 'WEBP';

/** @param {Uint8Array} bytes @param {number} at */
const little24 = (bytes, at) => bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16);

/** The chunks between two places of a file, each as `name` and `data`. @param {Uint8Array} file */
function* chunksOf(file, start, end) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let at = start; at + CHUNK <= end;) {
    const length = view.getUint32(at + 4, true);
    const next = at + CHUNK + length + (length % 2);
    yield {
      name: latin1(file, at, at + 4),
      data: file.subarray(at + CHUNK, Math.min(end, at + CHUNK + length)),
      whole: file.subarray(at, Math.min(end, next)),
    };
    at = next;
  }
}

/** A file of the chunks of one frame, behind a header that allows transparency. */
function fileOf(frame, width, height) {
  const header = new Uint8Array(30);
  const body = frame.reduce((sum, { whole }) => sum + whole.length, 0);
  header.set(Buffer.from('RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x10', 'latin1'));
  new DataView(header.buffer).setUint32(4, 22 + body, true);
  for (const [at, value] of [
    [24, width - 1],
    [27, height - 1],
  ])
    header.set([value & 255, (value >> 8) & 255, value >> 16], at);
  return Buffer.concat([header, ...frame.map(({ whole }) => whole)]);
}

/** The pixels of the picture, or of an animation's first frame on its transparent canvas; RGBA. */
function pixelsOf(decode, file, chunks) {
  const animated = chunks.find(({ name }) => name === 'ANMF')?.data;
  if (!animated) return decode(file);
  const canvas = chunks.find(({ name }) => name === 'VP8X')?.data;
  const [left, top, width, height] = [0, 3, 6, 9].map((at) => little24(animated, at));
  const frame = decode(fileOf([...chunksOf(animated, 16, animated.length)], width + 1, height + 1));
  const whole = { width: little24(canvas, 4) + 1, height: little24(canvas, 7) + 1 };
  const data = new Uint8ClampedArray(4 * whole.width * whole.height);
  for (let y = 0; y < frame.height; y++)
    data.set(
      frame.data.subarray(4 * y * frame.width, 4 * (y + 1) * frame.width),
      4 * ((2 * top + y) * whole.width + 2 * left),
    );
  return { ...whole, data };
}

/** Refuses sizes before there is memory for them. */
function checkSize(chunks) {
  for (const { name, data } of chunks) {
    let size = [1, 1];
    if (name === 'VP8X') size = [little24(data, 4) + 1, little24(data, 7) + 1];
    if (name === 'VP8 ') size = [little24(data, 6) & 0x3fff, (data[8] | (data[9] << 8)) & 0x3fff];
    if (name === 'VP8L') size = [(little24(data, 1) & 0x3fff) + 1, ((little24(data, 2) >> 6) & 0x3fff) + 1];
    if (size[0] * size[1] > MOST_PIXELS)
      throw new MudptError('image', `WebP of ${size.join(' x ')} pixels is too large`, 'shrink the picture');
  }
}

/** @type {Uint32Array | undefined} */
let sums;
/** CRC-32. @param {Uint8Array} bytes */
function checksum(bytes) {
  sums ??= Uint32Array.from({ length: 256 }, (_, sum) => {
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
    return sum;
  });
  let sum = ~0;
  for (const byte of bytes) sum = (sum >>> 8) ^ sums[(sum ^ byte) & 255];
  return ~sum >>> 0;
}

function pngChunk(name, data) {
  const chunk = Buffer.alloc(12 + data.length);
  chunk.writeUInt32BE(data.length, 0);
  chunk.write(name, 4, 'latin1');
  chunk.set(data, 8);
  chunk.writeUInt32BE(checksum(chunk.subarray(4, -4)), 8 + data.length);
  return chunk;
}

/**
 * The same picture as PNG without compression, which the library reads, with its EXIF data: so sizes, orientation and
 * transparency are treated as everywhere.
 * @param {Uint8Array} file
 * @returns {Promise<Uint8Array>}
 */
export async function pngOfWebp(file) {
  const decode = await loadDecoder();
  if (!decode) {
    const hint = `install the package ${PACKAGE} beside this one, or convert the picture to JPEG or PNG`;
    throw new MudptError('image', `WebP is read in Node by the package ${PACKAGE}, which is not installed`, hint);
  }
  const chunks = [...chunksOf(file, 12, file.length)];
  checkSize(chunks);
  let picture;
  try {
    picture = pixelsOf(decode, file, chunks);
  } catch (cause) {
    throw new MudptError('image', 'damaged WebP: it cannot be decoded', 'fetch or save it again', { cause });
  }
  const { width, height, data } = picture;
  const rows = Buffer.alloc(height * (1 + 4 * width));
  for (let y = 0; y < height; y++) rows.set(data.subarray(4 * y * width, 4 * (y + 1) * width), y * (1 + 4 * width) + 1);
  const header = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 6, 0, 0, 0]);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  const exif = chunks.find(({ name }) => name === 'EXIF')?.data;
  const tiff = exif && latin1(exif, 0, 4) === 'Exif' ? exif.subarray(6) : exif;
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    pngChunk('IHDR', header),
    ...(tiff ? [pngChunk('eXIf', tiff)] : []),
    pngChunk('IDAT', deflateSync(rows, { level: 0 })),
    pngChunk('IEND', Buffer.alloc(0)),
  ]);
}
