/**
 * What a device must do before it is trusted, and before it is used: it computes a training step of a small random
 * CLIP, of odd numbers of rows, as WebAssembly does; and for `auto` it must be faster on the model at hand.
 */
import { reasonOf } from '../base/errors.js';
import { DTYPES, POOLING } from './core.js';
import { Device } from './device.js';

const METHOD = {
  ...{ method: 'mudpt', textLength: 3, textDepth: 2, visualLength: 3, visualDepth: 2, layer0Fusion: true },
};
/** Of the model that a device is checked with. */
export const SIZES = {
  ...{ image: 24, patch: 8, visionWidth: 72, visionLayers: 3, visionHeads: 3, visionMlp: 136 },
  ...{ textWidth: 40, textLayers: 3, textHeads: 5, textMlp: 88, embed: 24, context: 16, vocab: 32 },
  ...{ mean: [0, 0, 0], std: [1, 1, 1] },
};
/** Sentences of different lengths: start, three places for prompts, words, end. */
const SENTENCES = { ids: [[2, 4, 1, 3, 2].map((words, i) => [30, 1, 1, 1, ...Array(words).fill(5 + i), 31])] };
/** Largest difference from WebAssembly, relative to the largest value of a tensor. */
const TOLERANCE = 1e-3;
/** Relative to WebAssembly's time: what a device may take to be chosen. */
const WORTHWHILE = 0.8;
/** Milliseconds for two pictures after which a device is not measured again. */
const HOPELESS = 10_000;

/** Every matrix and vector of a CLIP by OpenAI's names. @returns {[name: string, ...shape: number[]][]} */
function tensors(s) {
  const norm = (name, width) => [
    [`${name}.weight`, width],
    [`${name}.bias`, width],
  ];
  const tower = (name, layers, d, mlp) =>
    Array.from({ length: layers }, (_, l) => `${name}transformer.resblocks.${l}.`).flatMap((at) => [
      ...norm(`${at}ln_1`, d),
      ...norm(`${at}ln_2`, d),
      [`${at}attn.in_proj_weight`, 3 * d, d],
      [`${at}attn.in_proj_bias`, 3 * d],
      [`${at}attn.out_proj.weight`, d, d],
      [`${at}attn.out_proj.bias`, d],
      [`${at}mlp.c_fc.weight`, mlp, d],
      [`${at}mlp.c_fc.bias`, mlp],
      [`${at}mlp.c_proj.weight`, d, mlp],
      [`${at}mlp.c_proj.bias`, d],
    ]);
  return /** @type {any} */ ([
    ['visual.conv1.weight', s.visionWidth, 3, s.patch, s.patch],
    ['visual.class_embedding', s.visionWidth],
    ['visual.positional_embedding', 1 + (s.image / s.patch) ** 2, s.visionWidth],
    ...norm('visual.ln_pre', s.visionWidth),
    ...norm('visual.ln_post', s.visionWidth),
    ['visual.proj', s.visionWidth, s.embed],
    ...tower('visual.', s.visionLayers, s.visionWidth, s.visionMlp),
    ['token_embedding.weight', s.vocab, s.textWidth],
    ['positional_embedding', s.context, s.textWidth],
    ...tower('', s.textLayers, s.textWidth, s.textMlp),
    ...norm('ln_final', s.textWidth),
    ['text_projection', s.textWidth, s.embed],
    ['logit_scale'],
  ]);
}

/** Numbers in -1 ... 1, the same every time. */
function noise(count, seed) {
  return Float32Array.from({ length: count }, (_, i) => {
    const x = Math.sin((i + 1) * 12.9898 + seed * 78.233) * 43758.5453;
    return 2 * (x - Math.floor(x)) - 1;
  });
}

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
  const clip = core.clipCreate({ ...SIZES, ...family(config), storage });
  let classifier = 0;
  try {
    tensors(SIZES).forEach(([name, ...shape], seed) => {
      const values = noise(
        shape.reduce((a, b) => a * b, 1),
        seed,
      );
      const scale = shape.length > 1 ? 1.4 / Math.sqrt(shape.slice(1).reduce((a, b) => a * b)) : 0.5;
      const shift = /ln_\w+\.weight$/.test(name) || !shape.length ? 1 : 0;
      core.clipTensorBegin(clip, name, 0, shape);
      core.clipTensorBytes(clip, new Uint8Array(values.map((value) => value * scale + shift).buffer));
      core.clipTensorEnd(clip);
    });
    core.clipFinish(clip);
    classifier = core.classifierCreate(clip, METHOD, SENTENCES);
    core.classifierInit(classifier, 1);
    const pixels = noise(5 * 3 * SIZES.image ** 2, 99);
    const step = async () => {
      const { logits } = await core.classifierGradients(classifier, pixels, [0, 1, 2, 3, 4]);
      const gradients = core.classifierParameters(classifier).map(({ name, gradient, count }) => {
        return /** @type {[string, Float32Array]} */ ([`gradient of ${name}`, core.floats(gradient, count).slice()]);
      });
      return /** @type {[string, Float32Array][]} */ ([['logits', logits], ...gradients]);
    };
    const right = await core.memory.withoutDevice(step);
    const got = await step();
    for (const [i, [name, values]] of right.entries()) {
      const most = values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      const off = values.reduce((a, b, k) => Math.max(a, Math.abs(b - got[i][1][k])), 0);
      if (!(off <= TOLERANCE * most)) return `${name} off by ${(off / most).toExponential(1)}`;
    }
    return '';
  } finally {
    if (classifier) core.classifierFree(classifier);
    core.clipFree(clip);
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
