/** MuDPT: prompts of both sides, each injected into the other, by one layer or by a light transformer (UUMuDPT). */
import { MUDPT, UNHELD, bothSides, promptWords } from './method.js';
import { CLIP_TEMPLATES } from './templates.js';

export const INJECTIONS = ['linear', 'transformer'];

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
};
