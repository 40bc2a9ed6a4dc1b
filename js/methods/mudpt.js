/** MuDPT: prompts of both sides, each injected into the other, by one layer or by a light transformer (UUMuDPT). */
import { MUDPT, UNHELD, bothSides, promptWords } from './method.js';
import { lightOfText, lightOfVision, pair, textPrompts, visualPrompts } from './official-names.js';
import { CLIP_TEMPLATES } from './templates.js';

export const INJECTIONS = ['linear', 'transformer'];

/** Their code always injects at layer 0. */
export const LAYER0 = pair('inject.layer0', 'mudpt_prompt_learner.embed_projection');

/** @type {import('./method.js').MethodRow} */
export const mudpt = {
  title: 'MuDPT',
  trains: 'prompts in both towers and the network that injects each side into the other',
  from: 'Miao et al., ICME 2023; linear injection as in its code',
  defaults: { ...MUDPT, injection: 'linear', layer0Fusion: true, ...UNHELD },
  textPrompts: true,
  teacher: CLIP_TEMPLATES,
  sizes: ({ layer0Fusion, injection, ...settings }) =>
    injection === 'transformer'
      ? { method: 'uumudpt', ...bothSides(settings) }
      : { ...bothSides(settings), layer0Fusion },
  lead: promptWords,
  exports: {
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
  },
};
