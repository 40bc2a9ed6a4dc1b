/** An app that uses every part of the types, and every kind of value that they promise to take. */
import {
  ERROR_CODES,
  MudptError,
  cache,
  exportOfficial,
  loadClip,
  type Answer,
  type Classifier,
  type Clip,
  type ErrorCode,
  type Evaluation,
  type Example,
  type FrameSource,
  type ImageInput,
  type KeptFile,
  type ModelSource,
  type TuneJob,
  type TuneProgress,
} from 'mudpt';
import { pictoclip } from 'mudpt/pictoclip';

const controller = new AbortController();

export const sources = (files: FileList, drop: DataTransfer, folder: FileSystemDirectoryHandle): ModelSource[] => [
  pictoclip,
  'hf:openai/clip-vit-base-patch16',
  new URL('https://example.org/model/'),
  files,
  [...files],
  drop,
  folder,
  { 'model.safetensors': '/a.safetensors', 'tokenizer.json': new URL('https://example.org/b.json') },
];

export const pictures = (video: HTMLVideoElement, frame: VideoFrame, bitmap: ImageBitmap): ImageInput[] => [
  'picture.png',
  new URL('https://example.org/picture.png'),
  new Blob([]),
  new File([], 'picture.png'),
  new ArrayBuffer(8),
  new Uint8Array(8),
  new ImageData(1, 1),
  { data: new Uint8Array(3), width: 1, height: 1 },
  document.createElement('canvas'),
  new OffscreenCanvas(1, 1),
  new Image(),
  document.images[0] ?? '',
  document.createElementNS('http://www.w3.org/2000/svg', 'image'),
  video,
  frame,
  bitmap,
];

export async function save(classifier: Classifier, job: TuneJob, picture: Uint8Array): Promise<Blob[]> {
  const bytes = await classifier.export();
  await classifier.classify(picture);
  await classifier.classify(bytes, { topK: Infinity });
  return [new Blob([bytes]), new Blob([await job.checkpoint()]), new Blob([exportOfficial(bytes)])];
}

export async function instant(clip: Clip, examples: Example[], picture: ImageInput): Promise<Classifier> {
  const job = clip.tune({ preset: 'instant', classes: ['a', 'b'], examples, head: 'auto', goal: 'new-names' });
  for await (const { step } of job) if (step > 9) job.stop();
  const classifier = await job.finished;
  const place = await classifier.add(picture, 'a');
  await classifier.correct(place, 1);
  const { none } = await classifier.classify(picture, { none: true });
  const [first] = await classifier.suggest([picture], 1);
  const { suspects } = await classifier.audit();
  const bought = await clip.tune({ budget: 30, classes: ['a', 'b'], examples }).finished;
  console.log(none.toFixed(2), first?.unsure, suspects[0]?.like, bought.recipe.taken, classifier.heldOut[0]?.accuracy);
  const restored = await clip.import(await classifier.export());
  await restored.classify(picture, { topK: 3 });
  return restored;
}

export async function judge(classifier: Classifier, examples: Example[], picture: ImageInput): Promise<number> {
  const { temperature, ece } = await classifier.calibrate(examples, { onBroken: ({ index }) => console.log(index) });
  const found = await classifier.classify(picture, { none: true, calibrated: true });
  const [best] = await classifier.classify(picture, { calibrated: true, topK: 1 });
  const [next] = await classifier.suggest([picture], 3);
  const { noise, suspects } = await classifier.audit(examples);
  console.log(ece.before, ece.after, found[0]?.label, next?.index, suspects[0]?.like);
  return found.none + noise + temperature + (best?.score ?? 0);
}

export async function several(classifier: Classifier, input: HTMLInputElement, video: HTMLVideoElement): Promise<void> {
  const pictures: ImageInput[] = [...(input.files ?? [])];
  const plain: Answer[][] = await classifier.classify(pictures, {
    topK: Infinity,
    onProgress: ({ done }) => console.log(done),
  });
  const [first] = await classifier.classify(document.images, { none: true, signal: controller.signal });
  const gaps: (Answer[] | null)[] = await classifier.classify(input.files ?? [], {
    onBroken: ({ index }) => console.log(index),
  });
  const [found] = await classifier.classify(pictures, { none: true, onBroken() {} });
  for await (const [best] of classifier.watch(video, { topK: 1, signal: controller.signal })) console.log(best?.label);
  for await (const { none } of classifier.watch(video, { none: true })) if (none > 0.9) break;
  for await (const answers of classifier.watch(new Blob().stream())) console.log(answers.length);
  async function* frames() {
    yield new Image();
  }
  const source: FrameSource = frames();
  for await (const answers of classifier.watch(source))
    console.log(answers.length, plain.length, first?.none, gaps, found?.none);
}

export async function tune(clip: Clip, examples: Example[]): Promise<Classifier> {
  const job: TuneJob = clip.tune({
    classes: ['owl', 'fox'],
    examples,
    method: 'mudpt',
    injection: 'linear',
    shots: Infinity,
    validation: true,
    signal: controller.signal,
  });
  for await (const progress of job) {
    const { step, steps, loss, etaMs, validationAccuracy }: TuneProgress = progress;
    console.log(`${step}/${steps} ${loss.toFixed(3)} ${(etaMs / 1000).toFixed(0)} s`, validationAccuracy?.toFixed(2));
  }
  const checkpoint: Uint8Array = await job.checkpoint();
  const more = clip.tune({ examples, resume: checkpoint });
  more.stop();
  return (await more.finished) satisfies Classifier;
}

export async function main(source: ModelSource, image: ImageInput): Promise<string> {
  const clip = await loadClip(source, {
    dtype: 'int8',
    towers: 'both',
    threads: 2,
    assetsUrl: '/mudpt/js/',
    signal: controller.signal,
    onProgress: ({ loaded, total }) => console.log(loaded / total),
  });
  try {
    const { architecture, fingerprint } = clip.info;
    const width: number = architecture.visionWidth;
    const zeroShot = await clip.zeroShot(['owl', 'fox'], {
      templates: ['a {}', 'a drawing of a {}'],
      onProgress: ({ done, total }) => console.log(done / total),
      signal: controller.signal,
    });
    const [best] = await zeroShot.classify(image, { topK: 1, transfer: true });
    const wider = await zeroShot.withClasses(['snail'], { signal: controller.signal });
    const measured: Evaluation = await wider.evaluate([{ image, label: 'owl' }]);
    const official: Uint8Array = exportOfficial(await wider.export({ raw: true }));
    const again = await clip.importOfficial(official, { method: 'coop', classes: ['owl'] });
    await again.dispose();
    const kept: KeptFile[] = await cache.list();
    const methods = clip.methods().map(({ title, settings }) => `${title} ${settings.epochs}`);
    return [best?.label, width, fingerprint, measured.macroF1, kept.length, ...methods].join();
  } catch (error) {
    if (!(error instanceof MudptError)) throw error;
    const code: ErrorCode = error.code;
    return `${ERROR_CODES[code]}: ${error.message} ${error.hint}`;
  } finally {
    await clip.dispose();
  }
}

export async function wrong(clip: Clip, input: HTMLInputElement): Promise<void> {
  // @ts-expect-error there is no such method
  clip.tune({ classes: [], examples: [], method: 'nonsense' });
  // @ts-expect-error classes are needed
  await clip.zeroShot();
  // @ts-expect-error no such type of weights
  await loadClip('model', { dtype: 'f64' });
  const classifier = await clip.zeroShot(['owl']);
  // @ts-expect-error a number is no picture
  await classifier.classify(3);
  // @ts-expect-error nor are a file's promise, a list of files, an array, a function, an answer, an event, null
  await classifier.classify(fetch('a.png').then((answer) => answer.blob()));
  // @ts-expect-error a list that may be missing
  await classifier.classify(input.files);
  // @ts-expect-error a list of lists
  await classifier.classify([[new Image()]]);
  // @ts-expect-error one picture has no progress
  await classifier.classify(new Image(), { onProgress() {} });
  // @ts-expect-error no such option
  await classifier.classify([new Image()], { topk: 1 });
  // @ts-expect-error a picture does not go on
  classifier.watch(new Image());
  // @ts-expect-error a function
  await classifier.classify(() => new Image());
  // @ts-expect-error an answer
  await classifier.classify(await fetch('a.png'));
  // @ts-expect-error an event
  await classifier.classify(new Event('change'));
  // @ts-expect-error null
  await classifier.classify(document.querySelector('canvas'));
  // @ts-expect-error an element that is no picture
  await classifier.classify(input);
  // @ts-expect-error a ref
  await classifier.classify({ current: new Image() });
  // @ts-expect-error pixels that are no bytes
  await classifier.classify({ data: new Float32Array(3), width: 1, height: 1 });
}
