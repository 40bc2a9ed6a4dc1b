/**
 * What a device must do before it is trusted, and before it is used: it computes a training step of a small random
 * CLIP, of odd numbers of rows, as WebAssembly does; and for `auto` it must be faster on the model at hand.
 */
import { reasonOf } from '../base/errors.js';
import { DTYPES, POOLING } from './core.js';
import { Device } from './device.js';
import { noise, smallClip } from './small-clip.js';

/** Largest difference from WebAssembly, relative to the largest value of a tensor. */
const TOLERANCE = 1e-3;
/** Relative to WebAssembly's time: what a device may take to be chosen. */
const WORTHWHILE = 0.8;
/** Milliseconds for two pictures after which a device is not measured again. */
const HOPELESS = 10_000;

/**
 * What a tower of the model at hand does otherwise than CLIP's; what stands before and behind towers is computed by
 * products alone, so that any pooling that reads many rows will do.
 */
function family({ visionActivation, visionEpsilon, visionPooling, textActivation, textEpsilon, textPooling, noMask }) {
  const pooling = { visionPooling: visionPooling ? POOLING.mean : POOLING.token, textPooling };
  return { visionActivation, visionEpsilon, textActivation, textEpsilon, noMask, ...pooling };
}

/** The device's first difference from WebAssembly in a training step, weights kept as `storage`; '': there is none. */
async function differenceOf(core, storage, config) {
  const { step, free } = smallClip(core, { ...family(config), storage });
  try {
    const right = await core.memory.withoutDevice(step);
    const got = await step();
    for (const [i, [name, values]] of right.entries()) {
      const most = values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      const off = values.reduce((a, b, k) => Math.max(a, Math.abs(b - got[i][1][k])), 0);
      if (!(off <= TOLERANCE * most)) return `${name} off by ${(off / most).toExponential(1)}`;
    }
    return '';
  } finally {
    free();
  }
}

/**
 * Times two pictures' way through the image tower here and there.
 * @param {import('./core.js').Core} core
 * @param {number} clip @param {{ image: number, embed: number }} config
 * @returns {Promise<{ here: number, there: number }>} milliseconds
 */
async function compareDevice(core, clip, { image, embed }) {
  const classifier = core.classifierCreate(clip, { method: 'zeroshot' }, null, 1);
  try {
    core.classifierSetTextFeatures(classifier, noise(embed, 1));
    const pixels = noise(2 * 3 * image ** 2, 2);
    const time = async () => {
      const start = performance.now();
      await core.classifierLogits(classifier, pixels);
      return performance.now() - start;
    };
    const first = await time(); // the weights are uploaded
    const there = first > HOPELESS ? first : Math.min(await time(), await time());
    const timeHere = () => core.memory.withoutDevice(time);
    return { there, here: Math.min(await timeHere(), await timeHere()) };
  } finally {
    core.classifierFree(classifier);
  }
}

/** How the matrices of a model are kept: its blocks', and where those are integers the others'. */
function storagesOf(core, clip) {
  const bytes = core.clipWeightBytes(clip);
  const { F32, F16, I8, I16 } = DTYPES;
  const blocks = [F32, F16, I8, I16].find((storage) => core.clipWeightBytesAs(clip, storage) === bytes) ?? F32;
  return blocks === I8 || blocks === I16 ? [blocks, F16] : [blocks];
}

/**
 * Starts a device, which the core uses from now on, unchecked.
 * @param {import('./core.js').Core} core before a model is loaded
 * @param {string | URL} [assetsUrl]
 * @returns {Promise<string>} why there is none; '' where there is one
 */
export async function startDevice(core, assetsUrl) {
  try {
    core.memory.useDevice(await Device.open(core.memory.module.wasmMemory, { assetsUrl }));
    return '';
  } catch (error) {
    return reasonOf(error);
  }
}

/**
 * Has the device checked, and leaves it alone where it computes wrongly, or for `auto` where it is no faster.
 * @param {import('./core.js').Core} core
 * @param {{ clip: number, config: any }} loaded
 * @param {'auto' | 'webgpu'} wanted
 * @returns {Promise<string>} why it is left alone; '' where it is used
 */
export async function chooseDevice(core, { clip, config }, wanted) {
  const { device } = core.memory;
  if (!device) return '';
  device.quiet = true; // whoever asked for it tells
  let why = '';
  for (const storage of storagesOf(core, clip)) {
    const difference = device.lost ? '' : await differenceOf(core, storage, config);
    if (difference) why ||= `the WebGPU device computes wrongly: ${difference}`;
  }
  if (!why && !device.lost && wanted === 'auto') {
    const { there, here } = await compareDevice(core, clip, config);
    const times = `${there.toPrecision(3)} ms on WebGPU, ${here.toPrecision(3)} ms here`;
    if (there > WORTHWHILE * here) why = `two pictures take ${times}`;
  }
  why ||= device.lost;
  device.quiet = false;
  if (why) core.memory.useDevice(null);
  return why;
}
