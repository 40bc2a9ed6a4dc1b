/** UMuDPT: text prompts, and a light transformer that makes the image prompts of them. */
import { MUDPT, bothSides, promptWords } from './method.js';

/** @type {import('./method.js').MethodRow} */
export const umudpt = {
  title: 'UMuDPT',
  trains: 'text prompts, and a light transformer that makes the image prompts of them',
  from: "Miao et al., ICME 2023, text to vision only; the paper's settings for MuDPT",
  defaults: MUDPT,
  textPrompts: true,
  sizes: bothSides,
  lead: promptWords,
};
