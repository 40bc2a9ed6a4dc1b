// Seeded random numbers and the little arithmetic around them that must come out the same everywhere.
//
// A picture's random choices depend on its seed text alone: not on the order of drawing, the machine or the version of
// Node. So there is integer arithmetic, and of floats only + - * / and square roots, which IEEE 754 fixes to the last
// bit; Math.sin, Math.exp and the like, whose last bits differ between engines, are not used.

/** FNV-1a, 32 bits. @param {string} text @param {number} basis */
function hash(text, basis) {
  let h = basis >>> 0;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

/** The generator sfc32 ("small fast counting", 128 bits of state). */
export class Random {
  #a;
  #b;
  #c;
  #counter = 1;

  /** @param {string} seed any text */
  constructor(seed) {
    this.#a = hash(seed, 0x811c9dc5);
    this.#b = hash(seed, this.#a ^ 0x9e3779b9);
    this.#c = hash(seed, this.#b ^ 0x85ebca6b);
    for (let i = 0; i < 15; i++) this.bits();
  }

  /** @returns {number} 32 random bits as an integer >= 0 */
  bits() {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** @returns {number} low <= x < high */
  uniform(low, high) {
    return low + (high - low) * (this.bits() / 4294967296);
  }

  /** @returns {number} an integer 0 ... n - 1 */
  below(n) {
    return Math.floor(this.uniform(0, n));
  }

  chance(probability) {
    return this.uniform(0, 1) < probability;
  }

  /** @template T @param {T[]} list @returns {T} */
  pick(list) {
    return list[this.below(list.length)];
  }

  /** @template T @param {T[]} list @returns {T[]} the same items in random order */
  shuffle(list) {
    const out = [...list];
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [out[i], out[j]] = [out[j], out[i]];
    }
    return out;
  }

  /** @returns {number} close to normal with mean 0 and variance 1, never beyond 3.5: the sum of four random bytes */
  normal() {
    const x = this.bits();
    return ((x & 255) + ((x >>> 8) & 255) + ((x >>> 16) & 255) + (x >>> 24) - 510) / 147.8;
  }

  /** @returns {[number, number]} a direction of length 1 */
  direction() {
    for (;;) {
      const x = this.uniform(-1, 1);
      const y = this.uniform(-1, 1);
      const square = x * x + y * y;
      if (square > 0.01 && square <= 1) return [x / Math.sqrt(square), y / Math.sqrt(square)];
    }
  }
}
