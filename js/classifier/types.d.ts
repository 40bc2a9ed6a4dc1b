/** Classifiers, what they say and how they are measured, saved and exchanged. */
import type { EmbedImagesOptions, Features } from '../features/types.js';
import type { FileBytes } from '../files/types.js';
import type { TunableMethod, UsedSettings } from '../methods/types.js';
import type { BrokenPicture, Example, ImageInput } from '../pictures/types.js';

/** What the authors' files do not tell. */
export interface OfficialOptions {
  method: TunableMethod;
  /** Class names; with class-specific context those of the training in their order, otherwise any. */
  classes: string[];
  /** Words that the prompts were started from (CTX_INIT); `''` for a random start. Default: the method's. */
  phrase?: string;
  /** CoOp: CLASS_TOKEN_POSITION. Default `'end'`. */
  classPosition?: 'end' | 'middle' | 'front';
  /** MuDPT: `'transformer'` for the authors' UUMuDPT. Default `'linear'`. */
  injection?: 'linear' | 'transformer';
  /** MuDPT: `false` for a file that {@link exportOfficial} made of a run without it. Default `true`. */
  layer0Fusion?: boolean;
  signal?: AbortSignal;
}

/**
 * A file for the authors' PyTorch code: what was trained, under the names of their state dictionaries.
 *
 * @param file a checkpoint, or a classifier saved with `{ raw: true }`; for CoOp, CoCoOp, VPT and IVLP any classifier
 * @param options.format whose code: `'official'` (default) is CoOp's, CoCoOp's and MuDPT's, `'maple'` MaPLe's, which
 *   has VPT and IVLP
 * @param options.name of the file, for messages
 * @throws {MudptError} `argument`, `classifier`, `state`: the file has only prompts after the injection
 */
export function exportOfficial(
  file: Uint8Array | ArrayBuffer,
  options?: { format?: 'official' | 'maple'; name?: string },
): FileBytes;

/** A class, and how well a picture fits it. */
export interface Answer {
  label: string;
  score: number;
  /** Of the class, in `classes`. */
  index: number;
}

/** What goes on: `<video>`, a stream of pictures, or anything that `for await` takes. */
export type FrameSource =
  | { readonly videoWidth: number; readonly readyState: number }
  | {
      readonly locked: boolean;
      getReader(): { read(): Promise<{ done: boolean; value?: ImageInput | undefined }> };
    }
  | AsyncIterable<ImageInput>;

/** How a classifier is asked about several pictures. */
export interface ClassifyAllOptions {
  /** How many classes a picture; `Infinity`: all. Default 5. */
  topK?: number;
  scores?: 'softmax' | 'sigmoid';
  calibrated?: boolean;
  none?: boolean;
  /** Told at most 10 times a second, and at the end: pictures. */
  onProgress?: (progress: { done: number; total: number }) => void;
  /**
   * Told of each picture that cannot be read, in whose place there is then `null`; without it the first one ends the
   * call, with an error that names its place.
   */
  onBroken?: (broken: BrokenPicture) => void;
  /** As in {@link TuneOptions}. */
  transfer?: boolean;
  signal?: AbortSignal;
}

/** Names classes of pictures. */
export interface Classifier {
  readonly classes: string[];
  /** `'zeroshot'`, or what it was tuned with. */
  readonly method: string;
  /** How it was trained, as far as is known (see {@link Clip.importOfficial}); `null` where nothing was. */
  readonly settings: Partial<UsedSettings> | null;
  /**
   * The most likely classes, best first. With `scores: 'softmax'`, the default, those of all classes add up to 1: they
   * say which class fits best. With `'sigmoid'`, which models with a logit bias have (`architecture.logitBias`, as
   * SigLIP's), each stands by itself, and all are low where the picture shows none of the classes. Tuning, whose losses
   * are of softmax, does not keep how high they are.
   *
   * @param options.topK how many; `Infinity`: all. Default 5.
   * @param options.transfer as in {@link TuneOptions}
   * @throws {MudptError} `argument`, `image`, `file`, `network`, `memory`, `not-finite` (of weights that are finite
   *   but absurd), `state`
   */
  classify(
    image: ImageInput,
    options?: { topK?: number; scores?: 'softmax' | 'sigmoid'; transfer?: boolean; signal?: AbortSignal },
  ): Promise<Answer[]>;
  /**
   * The same with a property `none`, 0 to 1: the share of the examples of {@link Classifier.calibrate} that fit the
   * classes better than this picture, so a high one says that it shows none of them. Above 1 - r there is a share r of
   * the pictures that do fit, where those to come are like the examples (docs/methods.md).
   *
   * @param options.calibrated scores at the temperature of `calibrate`
   * @throws {MudptError} as above; `state`: no examples were seen
   */
  classify(
    image: ImageInput,
    options: { none: true; calibrated?: boolean; topK?: number; transfer?: boolean; signal?: AbortSignal },
  ): Promise<Answer[] & { none: number }>;
  classify(
    image: ImageInput,
    options: { calibrated: true; topK?: number; transfer?: boolean; signal?: AbortSignal },
  ): Promise<Answer[]>;
  /**
   * Several pictures, a list of any kind: for each, in their order, what it is answered with alone, to the bit. They go
   * through the tower a few at a time; how they are read is as of `evaluate`.
   *
   * @throws {MudptError} as above, and `argument`
   */
  classify(
    pictures: Iterable<ImageInput>,
    options: ClassifyAllOptions & { none: true; onBroken: (broken: BrokenPicture) => void },
  ): Promise<((Answer[] & { none: number }) | null)[]>;
  classify(
    pictures: Iterable<ImageInput>,
    options: ClassifyAllOptions & { onBroken: (broken: BrokenPicture) => void },
  ): Promise<(Answer[] | null)[]>;
  classify(
    pictures: Iterable<ImageInput>,
    options: ClassifyAllOptions & { none: true },
  ): Promise<(Answer[] & { none: number })[]>;
  classify(pictures: Iterable<ImageInput>, options?: ClassifyAllOptions): Promise<Answer[][]>;
  /**
   * Answers to what goes on, one after the other: when the last one is out and was taken, the newest picture is looked
   * at; those that came meanwhile are let go, and nothing waits in a row.
   *
   * Of a `<video>` it is what it shows, once for each frame that is presented; where the engine tells of none, four
   * times a second. A stream is read as it comes; its frames
   * (`VideoFrame`, `ImageBitmap`) are closed. What `for await` takes is asked for its next picture when the last answer
   * is out, and keeps its frames.
   *
   * It ends with the video, its camera or the stream, after the last frame's answer; with the loop that is left; and by
   * `signal`, whose reason is thrown. The stream is then cancelled, an iterator told to return.
   *
   * @param options as of `classify` for one picture
   * @throws {MudptError} as `classify`, and `argument`: it cannot be watched
   */
  watch(
    source: FrameSource,
    options: { none: true; calibrated?: boolean; topK?: number; signal?: AbortSignal },
  ): AsyncGenerator<Answer[] & { none: number }, void>;
  watch(
    source: FrameSource,
    options?: { topK?: number; scores?: 'softmax' | 'sigmoid'; calibrated?: boolean; signal?: AbortSignal },
  ): AsyncGenerator<Answer[], void>;
  /**
   * Looks at examples, so that `classify` can tell `none` and give `calibrated` scores. Temperatures are right where it
   * was not trained on these examples; for `none` any will do. It holds until the next call.
   *
   * @param options as of `evaluate`
   * @returns how many could be read, the temperature that scores are softened by, and the calibration error before it
   *   and with it (of each half of the examples at the temperature of the other)
   * @throws {MudptError} as `evaluate`, and `argument` for fewer than two examples
   */
  calibrate(
    examples: Example[],
    options?: {
      onProgress?: (progress: { done: number; total: number }) => void;
      onBroken?: (broken: BrokenPicture) => void;
      signal?: AbortSignal;
    },
  ): Promise<{ pictures: number; temperature: number; ece: { before: number; after: number } }>;
  /**
   * Which pictures to label next: those it is unsure of, that differ from each other and from the examples of
   * {@link Classifier.calibrate}, and that stand for many.
   *
   * @param count how many. Default 10.
   * @returns in the order in which they help: place in `unlabelled`, and how unsure (1 less the margin of its two best
   *   classes)
   * @throws {MudptError} as `classify`
   */
  suggest(
    unlabelled: ImageInput[],
    count?: number,
    options?: {
      onProgress?: (progress: { done: number; total: number }) => void;
      onBroken?: (broken: BrokenPicture) => void;
      signal?: AbortSignal;
    },
  ): Promise<{ index: number; unsure: number }[]>;
  /**
   * Which labels look wrong, the likeliest first, by what the other examples and the classes' texts say: places in
   * `examples`, what they look like instead, and the chance that they are wrong; `noise` is the share of labels that
   * is.
   *
   * @throws {MudptError} as `evaluate`, and `argument` for fewer than three examples or two classes
   */
  audit(
    examples: Example[],
    options?: {
      onProgress?: (progress: { done: number; total: number }) => void;
      onBroken?: (broken: BrokenPicture) => void;
      signal?: AbortSignal;
    },
  ): Promise<{ noise: number; suspects: { index: number; label: string; like: string; wrong: number }[] }>;
  /**
   * Measures it on examples, a few pictures at a time. Of no examples at all it is measured as 0. Files of up to 8 MiB
   * in all are decoded at once, one on each thread; an `<img>` is drawn when its turn comes, a canvas and what else may
   * change when it is given.
   *
   * @param options.onProgress told at most 10 times a second, and at the end: pictures
   * @param options.onBroken told of each picture that cannot be read, which is then not counted; without it the first
   *   one ends the call
   * @throws {MudptError} as `classify`, and `argument` for a label that is no class, or for more than 10,000 classes
   */
  evaluate(
    examples: Example[],
    options?: {
      onProgress?: (progress: { done: number; total: number }) => void;
      onBroken?: (broken: BrokenPicture) => void;
      transfer?: boolean;
      signal?: AbortSignal;
    },
  ): Promise<Evaluation>;
  /** Features of pictures, as {@link Clip.embedImages} of the tuned tower. */
  embedImages(pictures: Iterable<ImageInput>, options?: EmbedImagesOptions): Promise<Features>;
  /**
   * The classifier as a small `.safetensors` file: prompts and text features, no model. CoCoOp, whose prompts depend on
   * the picture, saves its parameters and the classes' sentences instead.
   *
   * @param options.raw with the parameters as they were trained, before the injection, which {@link exportOfficial}
   *   needs. Default `false`.
   * @throws {MudptError} `state`: raw parameters of a classifier that was imported without them
   */
  export(options?: { raw?: boolean }): Promise<FileBytes>;
  /**
   * Where the image tower looks: what its last layer's class token, of which the picture's feature is made, takes from
   * each part of the picture.
   *
   * @throws {MudptError} as `classify`
   */
  attention(image: ImageInput, options?: { transfer?: boolean; signal?: AbortSignal }): Promise<Attention>;
  /**
   * The words of the model's vocabulary that lie nearest to the first layer's text prompts, as the authors of CoOp read
   * theirs; a list for each prompt, of class-specific ones class by class. Empty where no words were learned
   * (zero-shot, VPT). Of a model loaded with `tokens: 'needed'` only words that it has read are compared.
   *
   * @param options.topK how many; `Infinity`: all. Default 5.
   * @throws {MudptError} `argument`, `state`: no text tower
   */
  nearestWords(options?: { topK?: number }): Promise<NearWord[][]>;
  /**
   * A classifier of some more classes, without training: their names go through the tuned text tower. Features of the
   * present classes stay as they are, to the bit. This classifier stays, too.
   *
   * @throws {MudptError} `argument`: a name differs from another only in what the model does not see; `tokenizer`;
   *   `state`: each class has a context of its own
   */
  withClasses(names: string[], options?: { signal?: AbortSignal }): Promise<Classifier>;
  /**
   * Frees its memory. The model's `dispose()` does it too, and the engine when it collects a classifier that was
   * forgotten. A second time it does nothing.
   */
  dispose(): Promise<void>;
}

/** Shares of the class token's attention, mean over the heads; all of them together are 1. */
export interface Attention {
  /** Patches a row, and rows; they cover the middle square of the picture. */
  readonly grid: number;
  /** Of the patches, rows from the top: `grid * grid` numbers. */
  readonly patches: Float32Array;
  /** Of the class token itself. */
  readonly self: number;
  /** Of each visual prompt. */
  readonly prompts: Float32Array;
}

/** A word of the vocabulary. */
export interface NearWord {
  readonly word: string;
  /** Euclidean, between its embedding and the prompt. */
  readonly distance: number;
}

export interface Evaluation {
  /** Share of pictures named rightly, 0 to 1. */
  accuracy: number;
  /** Mean of the classes' F1, over the classes that have pictures, 0 to 1. */
  macroF1: number;
  /**
   * Expected calibration error (Guo et al., ICML 2017), 0 to 1: how far the predicted classes' scores are from the
   * share of pictures that are named rightly, in {@link Evaluation.reliability}'s bins. 0 is the best.
   */
  ece: number;
  /**
   * What `ece` is made of: 15 bins of predictions by score, above `from` up to `to`. Accuracy and mean score are `null`
   * for a bin without pictures.
   */
  reliability: { from: number; to: number; count: number; accuracy: number | null; score: number | null }[];
  /** Pictures. */
  count: number;
  /** In the order of the classes; accuracy is `null` for a class without pictures. */
  perClass: { label: string; accuracy: number | null; count: number }[];
  /** `[true class][predicted class]`, pictures. */
  confusion: number[][];
}
