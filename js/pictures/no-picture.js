/** Words for what is given in a picture's place by mistake: what it is, and what to give instead. */
import { MudptError } from '../base/errors.js';
import { isNode } from '../base/platform.js';

const FILE = 'give one of its files';
const ONE = 'give its pictures one at a time';
const INSTEAD = {
  Promise: 'await it',
  FileList: FILE,
  DataTransfer: FILE,
  Array: ONE,
  NodeList: ONE,
  HTMLCollection: ONE,
  Response: 'give what its blob() gives, awaited',
  Request: "fetch it, and give what the answer's blob() gives",
  ReadableStream: 'read it into a Blob: await new Response(stream).blob()',
  DataTransferItem: 'give what its getAsFile() gives',
  FileSystemFileHandle: 'give what its getFile() gives, awaited',
  FileSystemDirectoryHandle: FILE,
  FileSystemFileEntry: 'give the File that its file() gives',
  MediaStream: 'show it in a <video>, and give that',
  ImageCapture: 'give what its grabFrame() gives, awaited',
  HTMLInputElement: 'give one of its files, as input.files[0]',
  SVGSVGElement: 'show it in an <img>, and give that',
  String: 'give the text itself',
};

/** @param {any} summary */
function ofObject({ kind, named, keys, isView, pixels }) {
  const what = `${/^([AEIO]|HTML|SVG)/.test(named) ? 'an' : 'a'} ${named}`;
  if (Object.hasOwn(INSTEAD, kind)) return [what, INSTEAD[kind]];
  if (/Event$/.test(kind)) return [what, 'give a file that it tells of, as event.target.files[0]'];
  if (/RenderingContext/.test(kind)) return [what, 'give its canvas'];
  if (/Element$/.test(kind)) return [what, 'give an <img>, a <canvas> or a <video>'];
  if (isView) return [what, "give a file's bytes as a Uint8Array"];
  if (pixels) return ofPixels(pixels);
  if (keys.includes('current')) return ['a ref', 'give its current, once it is set'];
  if (keys.includes('image')) return ['an example', 'give its image'];
  if (keys.includes('src')) return ['an object with an address', 'give its src'];
  if (keys.includes('type') && keys.includes('data')) return ['bytes as JSON', 'give Uint8Array.from(its data)'];
  return named === 'Object' ? ['an object'] : [what];
}

/** @param {any} pixels */
function ofPixels({ data, width, height }) {
  if (width > 0 && height > 0) {
    return [`pixels as ${data}`, 'give 1, 3 or 4 bytes a pixel, 0 to 255, as Uint8Array or Uint8ClampedArray'];
  }
  return [`pixels of ${width} x ${height}`, 'give a width and a height above 0'];
}

/**
 * @param {string} name of what should be a picture
 * @param {any} summary of it
 */
export function noPicture(name, summary) {
  const inNode = isNode ? 'a path, ' : '';
  const general = `give ${inNode}a URL, a Blob, the bytes of a file, or pixels`;
  const { type, text } = summary;
  const thing = type === 'function' ? ['a function', 'call it, and give what it gives'] : [text];
  const [what, hint = general] = summary.kind ? ofObject(summary) : thing;
  return new MudptError('image', `${name} is no picture: it is ${what}`, hint);
}
