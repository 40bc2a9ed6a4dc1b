/**
 * How the methods' tensors are called in other code, as one table: apart from what the methods are, since only an
 * exchange needs it.
 */
import { MOST_LAYERS } from './maple.js';
import { MOST_MAPPED } from './mmrl.js';
import {
  FROM_ZERO,
  block,
  lightOfText,
  lightOfVision,
  mapleImage,
  pair,
  textPrompts,
  visualPrompts,
} from './official-names.js';

/** Their code always injects at layer 0. */
export const LAYER0 = pair('inject.layer0', 'mudpt_prompt_learner.embed_projection');

const mapleIvlp = {
  'text_prompts.0': 'prompt_learner.ctx',
  'text_prompts.deep': block('text', 'VPT_shallow'),
  ...mapleImage,
};

/** MMRL's, of every layer, and of both sides. */
const TOKENS = 'representation_learner.compound_rep_tokens';
const ofLayers = (names) => Object.assign({}, ...Array.from({ length: MOST_MAPPED }, (_, i) => names(i)));
const ofSides = (names) => ({ ...names('to_text', 'r2tproj'), ...names('to_visual', 'r2vproj') });

/** By the library's names of methods. @type {Record<string, import('./method.js').OfficialNames>} */
const EXPORTS = {
  coop: { official: { context: 'ctx' } },
  cocoop: {
    official: {
      context: 'ctx',
      ...pair('meta_net.0', 'meta_net.linear1'),
      ...pair('meta_net.1', 'meta_net.linear2'),
    },
  },
  vpt: {
    official: {
      'visual_prompts.0': 'image_encoder.visual_ctx',
      'visual_prompts.deep': block('image', 'visual_ctx'),
    },
    maple: mapleImage,
  },
  ivlp: {
    official: {
      'text_prompts.0': 'text_prompt_learner.visual_ctx',
      'text_prompts.deep': block('text', 'visual_ctx'),
      'visual_prompts.0': 'image_encoder.visual_ctx',
      'visual_prompts.deep': block('image', 'visual_ctx'),
    },
    maple: mapleIvlp,
  },
  mudpt: {
    official: {
      ...textPrompts('mudpt_prompt_learner'),
      ...visualPrompts,
      ...LAYER0,
      ...pair('inject.text_to_visual', 'mudpt_prompt_learner.deep_projections'),
      ...pair('inject.visual_to_text', 'image_encoder.visual_ctx_deep_projections'),
    },
  },
  uumudpt: {
    official: {
      ...textPrompts('uumudpt_prompt_learner'),
      ...visualPrompts,
      ...lightOfText('uumudpt_prompt_learner'),
      ...lightOfVision,
    },
  },
  umudpt: { official: { ...textPrompts('umudpt_prompt_learner'), ...lightOfText('umudpt_prompt_learner') } },
  maple: {
    official: {
      'text_prompts.0': 'prompt_learner.ctx',
      'text_prompts.deep': `prompt_learner.compound_prompts_text.${FROM_ZERO}`,
      ...pair('project.0', 'prompt_learner.proj'),
      ...Object.assign(
        {},
        ...Array.from({ length: MOST_LAYERS - 1 }, (_, i) =>
          pair(`project.${i + 1}`, `prompt_learner.compound_prompt_projections.${i}`),
        ),
      ),
    },
  },
  kgcoop: {
    official: { context: 'ctx' },
    // In their prompt learner, and never used.
    unused: /^(prompt_learner\.)?(meta_net|bias_vectors)\b/,
  },
  promptsrc: {
    official: mapleIvlp,
    // The frozen image tower, which lies in their prompt learner.
    unused: /^prompt_learner\.ZS_image_encoder\./,
  },
  tcp: {
    official: {
      context: 'ctx',
      ...pair('meta_net.0', 'meta_net.linear1'),
      ...pair('meta_net.1', 'meta_net.linear2'),
    },
  },
  mmrl: {
    official: {
      tokens: TOKENS,
      ...ofSides((ours, theirs) => ofLayers((i) => pair(`${ours}.${i}`, `${TOKENS}_${theirs}.${i}`))),
      proj_rep: 'image_encoder.proj_rep',
    },
  },
  mmrlpp: {
    official: {
      tokens: TOKENS,
      ...ofSides((ours, theirs) => ({
        [`${ours}.weight`]: `representation_learner.srra_${theirs}.weight`,
        ...ofLayers((i) =>
          Object.fromEntries(
            ['A', 'B', 'bias'].map((leaf) => [
              `${ours}.${i}.${leaf}`,
              `representation_learner.srra_${theirs}.srra.${i}.${leaf}`,
            ]),
          ),
        ),
      })),
      'proj_rep.A': 'image_encoder.A',
      'proj_rep.B': 'image_encoder.B',
    },
  },
};

const namesIn = (code) =>
  Object.fromEntries(
    Object.entries(EXPORTS).flatMap(([method, names]) => (names[code] ? [[method, names[code]]] : [])),
  );

/** Whose code: the methods' own authors' (MuDPT's has all of them), or MaPLe's. */
export const FORMATS = { official: namesIn('official'), maple: namesIn('maple') };

/** Trained tensors of a method's authors that nothing reads. @param {string} method @returns {RegExp | undefined} */
export const unusedIn = (method) => EXPORTS[method].unused;

/**
 * Every way in which a file may have a method's tensors.
 * @param {string} method the library's name
 * @returns {import('./method.js').Names[]} our names to theirs
 */
export function namesOf(method) {
  const { official, maple } = EXPORTS[method];
  const ways = maple ? [official, maple] : [official];
  if (official.context) {
    // CoOp and CoCoOp save the prompt learner alone, without a prefix; this is of the whole model.
    const entries = Object.entries(official).map(([ours, theirs]) => [ours, `prompt_learner.${theirs}`]);
    ways.push(Object.fromEntries(entries));
  }
  return ways;
}
