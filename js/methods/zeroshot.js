/** Zero-shot CLIP: class names in sentences, nothing trained. */

/** @type {import('./method.js').MethodRow} */
export const zeroshot = {
  title: 'zero-shot CLIP',
  trains: 'nothing: class names in one sentence, or the mean over several',
  from: 'Radford et al., ICML 2021',
  textPrompts: false,
  sizes: () => ({}),
  lead: () => [],
};
