/**
 * What tells models apart beyond their fingerprint, which sees vectors alone: samples of all weights, which do not mind
 * how these are stored.
 */

/**
 * The samples of a loaded model as text: of each number the upper half.
 * @param {{ core: any, clip: number }} model
 */
export function samplesOf({ core, clip }) {
  const samples = core.clipSamples(clip);
  const bits = new Uint32Array(samples.buffer, samples.byteOffset, samples.length);
  return btoa(Array.from(bits, (word) => String.fromCharCode((word >>> 16) & 255, word >>> 24)).join(''));
}

/** @param {string} text @returns {Float32Array | null} */
function unpackSamples(text) {
  try {
    const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    return new Float32Array(Uint32Array.from(new Uint16Array(bytes.buffer), (half) => half << 16).buffer);
  } catch {
    return null;
  }
}

/**
 * Whether two models are the same but for storage, and whether they differ in that.
 * @param {string} a
 * @param {string} b
 */
function compareSamples(a, b) {
  const [ours, theirs] = [unpackSamples(a), unpackSamples(b)];
  let fits = ours !== null && theirs !== null && ours.length === theirs.length;
  let differs = false;
  for (let i = 0; fits && ours && theirs && i < ours.length; i += 2) {
    // What one of them was loaded without cannot be compared.
    const apart = Math.abs(ours[i] - theirs[i]);
    if (apart > 0) differs = true;
    if (apart > Math.max(ours[i + 1], theirs[i + 1])) fits = false;
  }
  return { fits, differs };
}

/** @typedef {{ fingerprint: string, samples?: string }} Identity of a model, as files have it */

/**
 * What keeps a file's model from being the loaded one, or '' where it is the same. The fingerprint sees that bf16 has
 * rounded vectors; samples do not mind. A file of an older library has none, of which the console is told.
 * @param {Identity} saved
 * @param {Identity} ours samples: only where they can be had
 * @param {string} name of the file
 */
export function otherModel(saved, ours, name) {
  const isNamed = saved.fingerprint === ours.fingerprint;
  const { fits, differs } =
    saved.samples && ours.samples ? compareSamples(saved.samples, ours.samples) : { fits: isNamed, differs: false };
  if (!saved.samples && ours.samples && isNamed) {
    const hint = 'save it again to have them compared the next time';
    console.warn(`mudpt: ${name} does not say which matrices it was made with, only which vectors; ${hint}`);
  }
  if (fits && (isNamed || differs)) return '';
  return isNamed ? 'the same vectors, and other matrices' : `this one has ${ours.fingerprint}`;
}
