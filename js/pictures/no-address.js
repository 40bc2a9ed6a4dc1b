/** Texts that are given as a picture's address, or path, by mistake. */
import { absolute, isNode } from '../base/platform.js';

/** Files as base64 begin so: PNG, JPEG, GIF, BMP, WebP. */
const BASE64 = /^(iVBORw0KGgo|\/9j\/|R0lGOD|Qk[0-9A-Za-z+/]{50}|UklGR)[0-9A-Za-z+/=\s]*$/;

/**
 * @param {string} text what should be an address or a path
 * @returns {[string, string] | null} null: it may be one
 */
export function whatInsteadOf(text) {
  if (!text.trim()) return ['is an empty text', 'give its address'];
  if (text.length > 60 && BASE64.test(text)) {
    return ['is base64 without what says so', 'put data:image/png;base64, in front of it'];
  }
  if (/^(\[object \w+\]|undefined|null|NaN)$/.test(text))
    return [`is the text "${text}"`, 'give the thing, not its text'];
  if (!isNode && /^(file:|[a-z]:[\\/])/i.test(text)) {
    return [`is a path, which pages cannot read: ${text}`, 'let the visitor choose it: <input type="file">'];
  }
  return null;
}

/** An address of the page's, wherever the page goes; what is none stays, to be called so. @param {string} text */
export const absoluteAddress = (text) => (whatInsteadOf(text) ? text : absolute(text));
