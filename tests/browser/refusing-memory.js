/**
 * A WebAssembly.Memory as phones have it: it refuses what is too large for them.
 * @param {object} refused megabytes; what is not named is granted
 * @param {number} [refused.shared] maxima of shared memory above this
 * @param {number} [refused.own] the same of memory that is not shared
 * @param {number} [refused.grown] memory that would grow beyond this
 * @returns {() => void} puts back the platform's own
 */
export function refuseMemory({ shared = Infinity, own = Infinity, grown = Infinity }) {
  const { Memory } = WebAssembly;
  function Refusing(wanted) {
    if (wanted.maximum / 16 > (wanted.shared ? shared : own)) throw new RangeError('Out of memory');
    const memory = new Memory(wanted);
    memory.grow = (pages) => {
      if (memory.buffer.byteLength / 2 ** 20 + pages / 16 > grown) throw new RangeError('Out of memory');
      return Memory.prototype.grow.call(memory, pages);
    };
    return memory;
  }
  Refusing.prototype = Memory.prototype;
  WebAssembly.Memory = /** @type {any} */ (Refusing);
  return () => void (WebAssembly.Memory = Memory);
}
