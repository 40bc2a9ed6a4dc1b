/**
 * Names of files that are not UTF-8, as archives from other systems leave them. Such a name is kept as text in which
 * each byte that fits nowhere is a lone surrogate, U+DC00 and the byte, as Python keeps it (PEP 383): so paths stay
 * text everywhere, and only what is asked of the system is bytes again.
 */
const ESCAPED = /\p{Cs}/u;

/** What the system is asked for. @param {string} name @returns {string | Buffer} */
export function onDisk(name) {
  if (!ESCAPED.test(name)) return name;
  const parts = [...name].map((each) =>
    ESCAPED.test(each) ? Buffer.of(each.charCodeAt(0) & 0xff) : Buffer.from(each, 'utf8'),
  );
  return Buffer.concat(parts);
}

/** A name as the system gave it. @param {Buffer} bytes */
export function nameOf(bytes) {
  const text = bytes.toString('utf8');
  if (!text.includes('\ufffd') || Buffer.from(text, 'utf8').equals(bytes)) return text;
  let name = '';
  for (let at = 0; at < bytes.length;) {
    const length = [1, 2, 3, 4].find((length) => isOne(bytes.subarray(at, at + length)));
    name += length ? bytes.toString('utf8', at, at + length) : String.fromCharCode(0xdc00 + bytes[at]);
    at += length ?? 1;
  }
  return name;
}

/** Whether bytes are one character of UTF-8. @param {Buffer} bytes */
function isOne(bytes) {
  const text = bytes.toString('utf8');
  return [...text].length === 1 && Buffer.from(text, 'utf8').equals(bytes);
}

/** A name for people: what is not UTF-8 is most often Latin-1. @param {string} name */
export const forPeople = (name) =>
  name.replace(/\p{Cs}/gu, (each) => String.fromCharCode(each.charCodeAt(0) & 0xff)).normalize('NFC');
