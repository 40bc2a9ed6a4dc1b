/** What a model is, as far as the names and the shapes of its tensors tell. */
import { MudptError } from '../base/errors.js';
import { canonicalName } from './names.js';

/** @typedef {import('./safetensors.js').Tensor} Tensor */

/** [Hugging Face's name, OpenAI's name] of the tensors whose shapes tell sizes. */
const TELLING = {
  conv: ['vision_model.embeddings.patch_embedding.weight', 'visual.conv1.weight'],
  cls: ['vision_model.embeddings.class_embedding', 'visual.class_embedding'],
  patches: ['vision_model.embeddings.position_embedding.weight', 'visual.positional_embedding'],
  visionMlp: ['vision_model.encoder.layers.0.mlp.fc1.weight', 'visual.transformer.resblocks.0.mlp.c_fc.weight'],
  poolMlp: ['vision_model.head.mlp.fc1.weight', 'visual.attn_pool.mlp.c_fc.weight'],
  tokens: ['text_model.embeddings.token_embedding.weight', 'token_embedding.weight'],
  positions: ['text_model.embeddings.position_embedding.weight', 'positional_embedding'],
  textMlp: ['text_model.encoder.layers.0.mlp.fc1.weight', 'transformer.resblocks.0.mlp.c_fc.weight'],
  projection: ['text_projection.weight', 'text_projection'],
};
const VISION_LAYER = /^(?:vision_model\.encoder\.layers|visual\.transformer\.resblocks)\.(\d+)\./;
const TEXT_LAYER = /^(?:text_model\.encoder\.layers|(?:text\.)?transformer\.resblocks)\.(\d+)\./;

/** Whether it is the token embedding's name. @param {string} name */
export const isTokenTable = (name) => TELLING.tokens.includes(canonicalName(name).replace(/^text\./, ''));

/** Positions of Long-CLIP's own files, which are joined where the file is opened. */
export const MORE_POSITIONS = 'positional_embedding_res';
/** What OpenAI's archives hold beside the weights, or Long-CLIP's, and nobody else's: OpenAI's code follows then. */
export const isOpenAi = (/** @type {string} */ name) =>
  /^(input_resolution|context_length|vocab_size)$/.test(name) || name === MORE_POSITIONS;
/** Buffers and settings that some programs store beside the weights. */
export const isNoWeight = (/** @type {string} */ name) =>
  isOpenAi(name) || /(^|\.)(position_ids|attn_mask)$/.test(name);

/** A tensor that nothing reads. @param {string} file @param {string} name */
export function foreignTensor(file, name) {
  const what = `${file}: tensor ${name} belongs to no CLIP that can be computed here`;
  const hint = 'adapters, further projections and the like change every feature: use another model';
  return new MudptError('model', what, hint);
}

/** Heads of a tower that no file describes: 64 wide, and at most so many; in image towers 16, as all published have. */
const headsOf = (width, most) => Math.min(width / 64, most);

/**
 * Tensors that tell something of a model, by the names that the library knows.
 * @param {Tensor[]} tensors
 * @param {string} name of the model, for messages
 */
export function readShapes(tensors, name) {
  const shapes = new Map(tensors.map((tensor) => [canonicalName(tensor.name).replace(/^text\./, ''), tensor.shape]));
  /** @param {keyof typeof TELLING} what @param {number} dims @returns {number[]} */
  const shape = (what, dims) => {
    const [theirs, openai] = TELLING[what];
    const found = (shapes.get(theirs) ?? shapes.get(openai))?.slice(-dims);
    if (found?.length === dims) return found;
    throw new MudptError(
      'model',
      `${name} is no CLIP with an image transformer: it has no tensor ${openai}`,
      'give a CLIP of the ViT kind, in the layout of Hugging Face, OpenAI or open_clip',
    );
  };
  const layers = (pattern) =>
    [...shapes.keys()].reduce((most, key) => Math.max(most, 1 + Number(pattern.exec(key)?.[1] ?? -1)), 0);
  const has = (key) => Number(shapes.has(key));
  const hasOne = (/** @type {string[]} */ keys) => keys.some((key) => shapes.has(key));
  /** Of the image tower: all but the size of pictures. */
  const vision = () => {
    const [visionWidth, , patch] = shape('conv', 4);
    return {
      patch,
      visionWidth,
      visionLayers: layers(VISION_LAYER),
      visionHeads: headsOf(visionWidth, 16),
      visionMlp: shape('visionMlp', 2)[0],
      ...(hasOne(TELLING.poolMlp) && { poolMlp: shape('poolMlp', 2)[0] }),
    };
  };
  /** All of it, where heads are as usual; nothing of how they are used. */
  const whole = () => {
    const [vocab, textWidth] = shape('tokens', 2);
    const tower = vision();
    const rows = shape('patches', 2)[0] - Number(hasOne(TELLING.cls));
    const side = Math.sqrt(rows);
    // [embed, width] in one layout, [width, embed] in the other
    const isTurned = shapes.has(TELLING.projection[1]);
    const embed = hasOne(TELLING.projection) ? shape('projection', 2)[isTurned ? 1 : 0] : textWidth;
    if (!Number.isInteger(side) || tower.visionWidth % 64 || textWidth % 64) throw untold();
    return {
      image: side * tower.patch,
      ...tower,
      textWidth,
      textLayers: layers(TEXT_LAYER),
      textHeads: headsOf(textWidth, 64),
      textMlp: shape('textMlp', 2)[0],
      embed,
      context: shape('positions', 2)[0],
      vocab,
    };
  };
  const untold = () =>
    new MudptError(
      'model',
      `what ${name} is cannot be told from its tensors alone`,
      "add the model's config.json or open_clip_config.json",
    );
  /** The same of a model that is like OpenAI's. @returns {import('./configuration.js').Architecture} */
  const plain = () => {
    const sizes = whole();
    const isTimm = tensors.some((tensor) => tensor.name.includes('visual.trunk.'));
    if (!hasOne(TELLING.cls) || sizes.poolMlp || shapes.has('text_projection.bias') || isTimm) throw untold();
    return sizes;
  };
  return { has, vision, whole, plain };
}

/** @typedef {ReturnType<typeof readShapes>} Shapes */
