/**
 * The table by which SentencePiece replaces characters before it looks for pieces (precompiled_charsmap): a trie of
 * UTF-8 bytes (Darts: a unit of 32 bits has a label, an offset and whether a value follows) and the replacements, each
 * with a zero behind it. The longest match is replaced; what matches nothing stays.
 */
const utf8 = new TextEncoder();
const text = new TextDecoder('utf-8', { ignoreBOM: true });

/** @param {string} base64 @returns {(text: string) => string} */
export function charsmap(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const size = view.getUint32(0, true);
  if (size % 4 || 4 + size > bytes.length) throw new Error('a table of characters that is damaged');
  const unit = (place) => (4 * place < size ? view.getUint32(4 + 4 * place, true) : 0);
  const offset = (value) => (value >>> 10) << ((value & 0x200) >>> 6);

  /** The longest match: [its bytes, where its replacement begins]. @param {Uint8Array} key @param {number} from */
  const longest = (key, from) => {
    let found = /** @type {[number, number] | null} */ (null);
    let place = offset(unit(0));
    for (let at = from; at < key.length && key[at]; at++) {
      place ^= key[at];
      const value = unit(place);
      if ((value & 0x800000ff) >>> 0 !== key[at]) break;
      place ^= offset(value);
      if (value & 0x100) found = [at + 1 - from, unit(place) & 0x7fffffff];
    }
    return found;
  };

  return (given) => {
    const key = utf8.encode(given);
    const parts = /** @type {string[]} */ ([]);
    for (let at = 0, kept = 0; ;) {
      const match = at < key.length ? longest(key, at) : null;
      if (match || at >= key.length) {
        parts.push(text.decode(key.subarray(kept, at)));
        if (!match) return parts.join('');
        const begin = 4 + size + match[1];
        parts.push(text.decode(bytes.subarray(begin, bytes.indexOf(0, begin))));
        at += match[0];
        kept = at;
        continue;
      }
      // The next character: bytes that begin with 10 go on with the one before.
      do at++;
      while ((key[at] & 0xc0) === 0x80);
    }
  };
}
