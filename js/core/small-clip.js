/**
 * A small random CLIP and a classifier of it, the same every time, whose towers have odd numbers of rows: on it a way
 * to compute is tried before it is trusted with a model.
 */
const METHOD = {
  ...{ method: 'mudpt', textLength: 3, textDepth: 2, visualLength: 3, visualDepth: 2, layer0Fusion: true },
};
export const SIZES = {
  ...{ image: 24, patch: 8, visionWidth: 72, visionLayers: 3, visionHeads: 3, visionMlp: 136 },
  ...{ textWidth: 40, textLayers: 3, textHeads: 5, textMlp: 88, embed: 24, context: 16, vocab: 32 },
  ...{ mean: [0, 0, 0], std: [1, 1, 1] },
};
/** Sentences of different lengths: start, three places for prompts, words, end. */
const SENTENCES = { ids: [[2, 4, 1, 3, 2].map((words, i) => [30, 1, 1, 1, ...Array(words).fill(5 + i), 31])] };

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
export function noise(count, seed) {
  return Float32Array.from({ length: count }, (_, i) => {
    const x = Math.sin((i + 1) * 12.9898 + seed * 78.233) * 43758.5453;
    return 2 * (x - Math.floor(x)) - 1;
  });
}

/**
 * @param {import('./core.js').Core} core
 * @param {Partial<import('./structs.js').ClipConfig>} config over SIZES
 * @returns {{ step: () => Promise<[name: string, values: Float32Array][]>, free: () => void }} step: what a training
 *   step of five pictures gives
 */
export function smallClip(core, config) {
  const clip = core.clipCreate({ ...SIZES, ...config });
  let classifier = 0;
  const free = () => {
    if (classifier) core.classifierFree(classifier);
    core.clipFree(clip);
  };
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
  } catch (error) {
    free();
    throw error;
  }
  const pixels = noise(5 * 3 * SIZES.image ** 2, 99);
  const step = async () => {
    const { logits } = await core.classifierGradients(classifier, pixels, [0, 1, 2, 3, 4]);
    const gradients = core.classifierParameters(classifier).map(({ name, gradient, count }) => {
      return /** @type {[string, Float32Array]} */ ([`gradient of ${name}`, core.floats(gradient, count).slice()]);
    });
    return /** @type {[string, Float32Array][]} */ ([['logits', logits], ...gradients]);
  };
  return { step, free };
}
