/**
 * 60 of the 80 sentences that CLIP's authors found for ImageNet (their notebook "Prompt Engineering for ImageNet"),
 * which PromptSRC's frozen model says of a class: * stands for "a" and for "the", and the name behind where there is
 * no {}.
 */
const SENTENCES = `a photo of *, a bad photo of *, a bright photo of *, a cropped photo of *, a blurry photo of *,
  a pixelated photo of *, a close-up photo of *, a low resolution photo of *, a photo of * clean, a photo of * dirty,
  a photo of * hard to see, a sculpture of *, a rendering of *, a rendition of *, a painting of *, a doodle of *,
  a sketch of *, * embroidered, * plastic, * origami, * {} in a video game, a photo of many, a photo of my,
  a photo of one, a photo of the cool, a photo of a large, a photo of a nice, a photo of a weird, a good photo of the,
  a dark photo of the, a black and white photo of the, a jpeg corrupted photo of a, graffiti of a, a tattoo of a,
  a drawing of a, a cartoon, the toy, art of a, itap of the`;

export const CLIP_TEMPLATES = SENTENCES.split(/,\s+/)
  .flatMap((words) => (words.includes('*') ? ['a', 'the'].map((article) => words.replace('*', article)) : words))
  .map((words) => (words.includes('{}') ? `${words}.` : `${words} {}.`));
