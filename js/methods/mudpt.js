/** MuDPT: prompts of both sides, each injected into the other, by one layer or by a light transformer (UUMuDPT). */
import { MUDPT, UNHELD, bothSides, promptWords } from './method.js';
import { CLIP_TEMPLATES } from './templates.js';

export const INJECTIONS = ['linear', 'transformer'];

/** @type {import('./method.js').MethodRow} */
export const mudpt = {
  title: 'MuDPT',
  trains: 'prompts in both towers and the network that injects each side into the other',
  from: 'Miao et al., ICME 2023; linear injection as in its code',
  defaults: { ...MUDPT, injection: 'linear', layer0Fusion: true, fromLayer: 1, ...UNHELD },
  textPrompts: true,
  teacher: CLIP_TEMPLATES,
  sizes: ({ layer0Fusion, injection, fromLayer = 1, ...settings }) => ({
    ...{ ...bothSides(settings), layer: fromLayer - 1 },
    ...(injection === 'transformer' ? { method: 'uumudpt' } : { layer0Fusion }),
  }),
  lead: promptWords,
};
