/** What the browsers do and Node does as well, so that their numbers can be compared. */

export const MODEL = '/models/pictoclip/';

const pictures = (part, files) =>
  Object.entries(files).flatMap(([label, names]) =>
    names.map((name) => ({ image: `/tests/data/faces/${part}/${label.replaceAll(' ', '_')}/${name}`, label })),
  );

/** Images are paths in this tree. */
export const EXAMPLES = pictures('train', {
  'angry face': ['00-openmoji.jpg', '01-twemoji.png', '02-emojione.jpg', '07-twemoji.png'],
  'clown face': ['00-twemoji.jpg', '01-emojione.jpg', '02-openmoji.png', '06-twemoji.png'],
  'nerd face': ['00-emojione.jpg', '02-twemoji.png', '03-emojione.jpg', '04-openmoji.png'],
});
export const TESTS = pictures('test', {
  'angry face': ['02-fluent-emoji-flat.jpg', '10-streamline-emojis.png'],
  'clown face': ['00-fluent-emoji-flat.png', '04-emojione.jpg'],
  'nerd face': ['00-streamline-emojis.jpg', '03-openmoji.png'],
});
/** An opaque PNG. */
export const FACE = EXAMPLES.find(({ image }) => image.endsWith('07-twemoji.png')).image;
/** Every format that the library decodes. */
export const FORMATS = ['half-chroma.jpg', 'turned.jpg', 'palette.png', 'alpha.png', 'drawn.gif', 'drawn.bmp'].map(
  (name) => `/tests/golden/preprocess/images/${name}`,
);
export const CLASSES = ['angry face', 'clown face', 'nerd face'];
export const TUNING = { classes: CLASSES, epochs: 2, shots: 4, learningRate: 0.01 };

/** Scores of all classes in their order, of each image. */
export async function scoresOf(classifier, images) {
  const rows = [];
  for (const image of images) {
    const found = await classifier.classify(image, { topK: CLASSES.length });
    rows.push(CLASSES.map((name) => found.find(({ label }) => label === name).score));
  }
  return rows;
}

/** What a model of precision int8 gives: the same bits in every engine that has it. @param {any} clip */
export async function int8Of(clip, image) {
  const { data } = await clip.embedImages(TESTS.map((example) => image(example.image)));
  const texts = await clip.embedTexts(CLASSES);
  return { precision: clip.info.precision, features: Array.from(data), texts: Array.from(texts.data) };
}

/** What a zero-shot classifier says beyond the class. @param {any} clip @param {(path: string) => any} image */
export async function judgedBy(clip, image) {
  const at = (examples) => examples.map((example) => ({ ...example, image: image(example.image) }));
  const classifier = await clip.zeroShot(CLASSES);
  const wrong = at(EXAMPLES).map((example, i) => (i === 5 ? { ...example, label: CLASSES[2] } : example));
  const { noise, suspects } = await classifier.audit(wrong);
  const { temperature, ece } = await classifier.calibrate(at(EXAMPLES));
  const [numbers, places] = [
    [noise, temperature, ece.before, ece.after],
    suspects.map(({ index }) => index).slice(0, 1),
  ];
  for (const { image: test } of at(TESTS)) {
    const answers = await classifier.classify(test, { none: true, calibrated: true });
    numbers.push(answers.none, answers[0].score);
    places.push(answers[0].index);
  }
  const next = await classifier.suggest(
    at(TESTS).map((example) => example.image),
    2,
  );
  await classifier.dispose();
  return { numbers, places: [...places, ...next.map(({ index }) => index)] };
}

/**
 * The whole task.
 * @param {any} clip
 * @param {(path: string) => any} image what to give for a path in this tree
 */
export async function runTask(clip, image) {
  const at = (examples) => examples.map((example) => ({ ...example, image: image(example.image) }));
  const tests = at(TESTS);
  const images = tests.map((example) => example.image);
  const zeroShot = await clip.zeroShot(CLASSES);
  const job = clip.tune({ ...TUNING, examples: at(EXAMPLES) });
  const losses = [];
  for await (const { loss } of job) losses.push(loss);
  const tuned = await job.finished;
  const instant = clip.tune({ preset: 'instant', classes: CLASSES, examples: at(EXAMPLES), head: 'tip-f' });
  return {
    architecture: clip.info.architecture,
    zeroShot: await scoresOf(zeroShot, images),
    formats: await scoresOf(zeroShot, FORMATS.map(image)),
    losses,
    tuned: await scoresOf(tuned, images),
    instant: await scoresOf(await instant.finished, images),
    features: Array.from((await clip.embedImages(images)).data),
    texts: Array.from((await clip.embedTexts(CLASSES, { projected: false })).data),
    judged: await judgedBy(clip, image),
    evaluation: await tuned.evaluate(tests),
    file: Array.from(await tuned.export()),
  };
}
