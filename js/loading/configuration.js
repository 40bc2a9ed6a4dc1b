/**
 * What a model is and how it treats pictures: from transformers' config.json, open_clip's open_clip_config.json or,
 * where there is neither, the shapes of the tensors. A key that is not known and not on a list of harmless ones is
 * refused by its name: whatever it changes would be a wrong number without a word.
 */
import { ACTIVATIONS } from '../core/core.js';
import { extras } from '../base/extras.js';
import { readJson } from '../files/source.js';
import { unsupported } from './keys.js';
import { CLIP_PREPROCESSING, fromImageProcessor } from './preprocessing.js';
import { isOpenAi, readShapes } from './shapes.js';
import { architectureFromConfig, isClipConfig } from './transformers.js';

/**
 * @typedef {Record<string, number>} Architecture sizes and traits of a model, as structs.js has them of a ClipConfig;
 *   what is absent is as in OpenAI's CLIP
 */

/**
 * @typedef {object} Description
 * @property {Architecture} architecture without what is 0
 * @property {import('./preprocessing.js').Preprocessing} preprocessing
 * @property {string[]} assumed what no file said, as ends of sentences
 * @property {number | undefined} end the id of the end of text, where a file says it
 * @property {{ config: any, openClip: any, processor: any }} documents that it was read from, null where there was none
 */

/**
 * What the files beside the weights say of the model. Those that belong to the weights' names go before others.
 * @param {import('../files/source.js').Source} source
 * @param {import('./safetensors.js').Header[]} headers
 * @param {string} weights the file's name, for messages
 * @returns {Promise<Description>}
 */
export async function describeModel(source, headers, weights) {
  const tensors = headers.flatMap((header) => header.tensors);
  const theirs = tensors.some(({ name }) => name.startsWith('vision_model.'));
  const isTold = tensors.some(({ name }) => isOpenAi(name));
  const document = await readJson(source, 'config.json');
  const isClip = document && isClipConfig(document);
  let openClip = theirs && isClip ? null : await readJson(source, 'open_clip_config.json');
  const shapes = readShapes(tensors, weights);
  const assumed = [];
  let architecture;
  let end;
  /** @type {any} */
  let config = null;
  /** @type {typeof import('./siglip.js') | undefined} */
  let siglip;
  if (openClip) {
    const name = `${source.name}: open_clip_config.json`;
    architecture = await fromModelCfg(openClip.model_cfg, name, shapes);
    end = (await extras()).eosId(openClip.model_cfg);
  } else if (document && (isClip || !source.weights)) {
    // Beside weights that were named themselves, a config.json may belong to something else.
    config = document;
    if (document.model_type === 'siglip') ({ siglip } = await extras());
    architecture = architectureFromConfig(document, `${source.name}: config.json`, siglip);
  } else {
    const names = [weights, source.name].map(lastOf);
    const isKnown = !theirs && !isTold && names.some((name) => /ViT-|PE-Core-/.test(name));
    const known = isKnown ? (await extras()).knownDocument(names, shapes) : null;
    if (known) {
      openClip = { model_cfg: known.model_cfg, preprocess_cfg: known.preprocess_cfg };
      const { visionMlp, textMlp } = shapes.whole();
      architecture = { ...(await fromModelCfg(known.model_cfg, weights, shapes)), visionMlp, textMlp };
      end = (await extras()).eosId(known.model_cfg);
      assumed.push(`open_clip’s ${known.name} in all that its tensors do not tell`);
    } else {
      architecture = shapes.plain();
      const heads = 'heads of width 64, at most 16 of pictures';
      if (!isTold) assumed.push('QuickGELU as the activation (open_clip’s own models have another)', heads);
    }
  }
  if (siglip) architecture.pad = await siglip.padOf(source, architecture.vocab, assumed);
  // open_clip's files do not always tell of one that training has added.
  architecture.logitBias ||= shapes.has('logit_bias');
  const { preprocessing, processor } = await readPreprocessing(source, theirs, openClip, architecture.image);
  const [usual, whose] = siglip ? [siglip.PREPROCESSING, 'SigLIP'] : [CLIP_PREPROCESSING, 'CLIP'];
  if (!preprocessing && !isTold) assumed.push(`${whose}’s own mean, deviation and resizing of pictures`);
  const eos = config?.text_config_dict?.eos_token_id ?? config?.text_config?.eos_token_id;
  return {
    architecture: Object.fromEntries(Object.entries(architecture).filter(([, value]) => value)),
    preprocessing: preprocessing ?? usual,
    assumed,
    // Of SigLIP's sentences the last row is read; its files have CLIP's number there. 2: older files' way to say "the
    // largest id".
    end: end ?? (siglip || (eos === 2 && config?.model_type === 'clip') ? undefined : eos),
    documents: { config, openClip, processor },
  };
}

/** @returns {Promise<Architecture>} */
async function fromModelCfg(document, name, shapes) {
  const { architectureFromModelCfg, trunkOf } = await extras();
  const isTimm = document?.vision_cfg?.timm_model_name;
  return architectureFromModelCfg(document, name, isTimm ? (read) => trunkOf(read, shapes) : undefined);
}

/** The last part of a path or an address. @param {string} name */
const lastOf = (name) => name.split(/[\\/]/).filter(Boolean).at(-1) ?? '';

/** Transformers' file goes before open_clip's where the weights have transformers' names, and the other way round. */
async function readPreprocessing(source, theirs, openClip, image) {
  const fromOpenClip = async (document) => {
    const { fromPreprocessCfg } = await extras();
    // Without a preprocess_cfg, open_clip takes its own: OpenAI's.
    const cfg = document.preprocess_cfg ?? {};
    return { preprocessing: fromPreprocessCfg(cfg, `${source.name}: open_clip_config.json`), processor: null };
  };
  if (!theirs && openClip) return fromOpenClip(openClip);
  const whole = await readJson(source, 'processor_config.json');
  const nested = whole?.image_processor;
  const processor = nested ?? (await readJson(source, 'preprocessor_config.json'));
  if (processor) {
    const name = `${source.name}: ${nested ? 'processor_config.json: image_processor' : 'preprocessor_config.json'}`;
    if (typeof processor !== 'object') throw unsupported(name, 'it', processor, 'an object');
    return { preprocessing: fromImageProcessor(processor, image, name), processor };
  }
  const other = openClip ?? (theirs ? await readJson(source, 'open_clip_config.json') : null);
  return other ? fromOpenClip(other) : { preprocessing: null, processor: null };
}
