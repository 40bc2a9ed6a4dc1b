/**
 * mudpt: CLIP and prompt tuning of CLIP. Load a model, name some classes, and classify pictures; give a few pictures
 * of each class, and tune it to them.
 *
 * Failures are {@link MudptError}s, an abort is the signal's own reason (an `AbortError`). Methods that answer with a
 * promise throw nothing themselves.
 */

/**
 * A picture.
 *
 * - `string`: in browsers a URL; in Node a path, or a URL with its scheme
 * - `URL`
 * - `Blob`, `File`, `ArrayBuffer`, `Uint8Array` (Node's `Buffer` too): the bytes of a JPEG, PNG, GIF or BMP file;
 *   browsers decode other formats that they know
 * - `ImageData`, or any `{ data, width, height }` with 1 (grey), 3 (RGB) or 4 (RGBA) bytes a pixel, rows from the top
 * - `ImageBitmap`, `<img>`, `<canvas>`, `OffscreenCanvas`, `<video>`, `VideoFrame`: what it shows
 *
 * Alpha is dropped, not blended. Of an animation the first frame counts.
 */
export type ImageInput = string | URL | Blob | ArrayBuffer | Uint8Array | PixelData | DrawableImage;

export interface PixelData {
  readonly data: Uint8Array | Uint8ClampedArray;
  /** Pixels. */
  readonly width: number;
  /** Pixels. */
  readonly height: number;
}

/** What a browser can draw on a canvas: `ImageBitmap`, `HTMLImageElement`, `HTMLCanvasElement`, `VideoFrame`, … */
export type DrawableImage = object;

/** A picture and its class: the class's name, or its index in the list of classes. */
export interface Example {
  image: ImageInput;
  label: string | number;
}

/**
 * Where a model is: the URL of a folder or of a `.safetensors` file in it (in Node also a path), or the files
 * themselves.
 *
 * A model folder has `config.json`, `preprocessor_config.json`, `tokenizer.json` and `model.safetensors` (or the
 * shards that `model.safetensors.index.json` lists). Tensors may have Hugging Face's, OpenAI's or open_clip's names.
 */
export type ModelSource = string | URL | Blob | Iterable<Blob>;

export interface LoadOptions {
  /** Where to compute. Default `'auto'`; today that is WebAssembly. */
  device?: 'auto' | 'wasm';
  /** How weights are kept in memory. Default `'auto'`: as they are stored (bf16 as f32). Arithmetic is always f32. */
  dtype?: 'auto' | 'f32' | 'f16' | 'int8';
  /** 1 to 64. Default: one per core, at most 8. Results do not depend on it. */
  threads?: number;
  /** Which WebAssembly module to use. Default `'auto'`: relaxed SIMD where the platform has it. */
  variant?: 'auto' | 'plain' | 'relaxed';
  /** Whether to turn pictures as their EXIF orientation says, as browsers do. Default `false`, as Python's CLIP. */
  upright?: boolean;
  /** Told at most 10 times a second, and at the end: bytes of the weights so far, and of all of them. */
  onProgress?: (progress: { loaded: number; total: number }) => void;
  signal?: AbortSignal;
}

/**
 * Loads a model. Weights stream into WebAssembly memory; no file is held whole.
 *
 * @throws {MudptError} `file`, `network`, `model`, `tokenizer`, `memory`, `environment`, `argument`
 */
export function loadClip(from: ModelSource, options?: LoadOptions): Promise<Clip>;

export interface ZeroShotOptions {
  /** Sentence of a class, `{}` stands for its name. Default `'a photo of a {}.'` */
  template?: string;
  /** Several sentences, whose features are averaged. */
  templates?: string[];
}

/** Settings of a training run. Defaults are those of the paper. */
export interface TuneSettings {
  /** Prompt tokens a layer, 1 to 1024. Default 4. At most the phrase's number of words. */
  promptLength?: number;
  /** Layers that get prompts, from the first, 1 to 128. Default: all of the deeper tower. */
  depth?: number;
  /** Words that the text prompts start from, each one token; `''` for a random start. Default `'a photo of a'`. */
  phrase?: string;
  /** MuDPT: whether the first layer's text prompts are injected into its image prompts. Default `true`. */
  layer0Fusion?: boolean;
  /** Pictures a class, at most; they are drawn by the seed. `Infinity` for all. Default 16. */
  shots?: number;
  /** Passes over them, 1 to 100000. Default 10. */
  epochs?: number;
  /** Pictures a step, 1 to 4096. Default 4. */
  batchSize?: number;
  /** Base learning rate, above 0. The first epoch uses 1e-5, the others half a cosine from here. Default 2.5e-3. */
  learningRate?: number;
  /** Random crops and mirror images. Default `true`. */
  augment?: boolean;
  /** Smallest random crop, as a share of the picture's area. Default 0.08. */
  smallestCrop?: number;
  /** Of everything random, 0 to 2 ** 32 - 1. The same seed gives the same numbers. Default 1. */
  seed?: number;
}

export interface TuneOptions extends TuneSettings {
  /** Class names; `_` is read as a space. */
  classes: string[];
  /** At least one per class. */
  examples: Example[];
  /** Default `'mudpt'`. */
  method?: 'mudpt' | 'ivlp';
  /** How the two towers' prompts are coupled. Default `'linear'`. */
  injection?: 'linear';
  /** Ends the run, which then has no result. To keep what was trained use {@link TuneJob.stop}. */
  signal?: AbortSignal;
}

export interface TuneProgress {
  /** From 1. */
  epoch: number;
  epochs: number;
  /** From 1, of the whole run. */
  step: number;
  steps: number;
  /** Mean cross-entropy of the step's pictures, before its update. */
  loss: number;
  learningRate: number;
  /** Time left, in milliseconds. */
  etaMs: number;
}

/** A training run. It starts by itself; iterating over it shows every step from the first. */
export interface TuneJob extends AsyncIterable<TuneProgress> {
  /**
   * The tuned classifier.
   *
   * Rejects with a {@link MudptError} (`argument`, `tokenizer`, `image`, `file`, `network`, `memory`, `not-finite`,
   * `state`) or the signal's reason.
   */
  readonly finished: Promise<Classifier>;
  /** Set once the run has ended with something trained, also where it ended as `not-finite`: the last good prompts. */
  readonly classifier: Classifier | null;
  /** Ends the run after the present step; what was trained so far is kept, and `finished` is fulfilled. */
  stop(): void;
}

/** A loaded model. */
export interface Clip {
  readonly info: ClipInfo;
  /** Bytes of WebAssembly memory. It never shrinks, so this is the peak as well. */
  readonly memoryBytes: number;
  /**
   * A classifier from class names alone.
   *
   * @throws {MudptError} `argument`, `tokenizer` (a sentence is too long), `memory`
   */
  zeroShot(classes: string[], options?: ZeroShotOptions): Promise<Classifier>;
  /** Starts to tune prompts to some pictures of each class. What is wrong is said by the job. */
  tune(options: TuneOptions): TuneJob;
  /**
   * A classifier from what {@link Classifier.export} gave; its predictions are the same to the bit.
   *
   * @param options.name of the file, for messages
   * @throws {MudptError} `classifier`: damaged, or made with another model
   */
  import(bytes: Uint8Array | ArrayBuffer, options?: { name?: string }): Promise<Classifier>;
  /** Frees the model and everything made from it, and ends its threads. */
  dispose(): Promise<void>;
}

export interface ClipInfo {
  /** Where it came from. */
  readonly name: string;
  /** 16 hexadecimal digits that tell models apart, whatever the names and types of their tensors. */
  readonly fingerprint: string;
  /** Pixels, widths, layers, heads, tokens. */
  readonly architecture: Readonly<
    Record<
      | 'image'
      | 'patch'
      | 'visionWidth'
      | 'visionLayers'
      | 'visionHeads'
      | 'visionMlp'
      | 'textWidth'
      | 'textLayers'
      | 'textHeads'
      | 'textMlp'
      | 'embed'
      | 'context'
      | 'vocab',
      number
    >
  >;
  /** Of the pixels, R G B on the scale 0 to 1. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** What cosines are multiplied by. */
  readonly logitScale: number;
  /** Bytes of the weights in memory. */
  readonly weightBytes: number;
  readonly variant: 'plain' | 'relaxed';
  readonly threads: number;
}

/** Names classes of pictures. */
export interface Classifier {
  readonly classes: string[];
  /** `'zeroshot'`, `'mudpt'` or `'ivlp'`. */
  readonly method: string;
  /** How it was trained; `null` where nothing was. */
  readonly settings: (Required<Omit<TuneSettings, 'layer0Fusion'>> & Pick<TuneSettings, 'layer0Fusion'>) | null;
  /**
   * The most likely classes, best first; scores of all classes add up to 1.
   *
   * @param options.topK how many. Default 5.
   * @throws {MudptError} `image`, `file`, `network`, `memory`, `state`
   */
  classify(
    image: ImageInput,
    options?: { topK?: number; signal?: AbortSignal },
  ): Promise<{ label: string; score: number }[]>;
  /**
   * Measures it on examples, a few pictures at a time.
   *
   * @throws {MudptError} as `classify`, and `argument` for a label that is no class
   */
  evaluate(
    examples: Example[],
    options?: { onProgress?: (progress: { done: number; total: number }) => void; signal?: AbortSignal },
  ): Promise<Evaluation>;
  /** The classifier as a small `.safetensors` file: prompts and text features, no model. */
  export(): Promise<Uint8Array>;
  /** Frees its memory. The model's `dispose()` does it too. */
  dispose(): Promise<void>;
}

export interface Evaluation {
  /** Share of pictures named rightly, 0 to 1. */
  accuracy: number;
  /** Mean of the classes' F1, over the classes that have pictures, 0 to 1. */
  macroF1: number;
  /** Pictures. */
  count: number;
  /** In the order of the classes; accuracy is `null` for a class without pictures. */
  perClass: { label: string; accuracy: number | null; count: number }[];
  /** `[true class][predicted class]`, pictures. */
  confusion: number[][];
}

export type ErrorCode =
  | 'argument'
  | 'memory'
  | 'model'
  | 'tokenizer'
  | 'image'
  | 'dataset'
  | 'classifier'
  | 'file'
  | 'network'
  | 'not-finite'
  | 'state'
  | 'environment';

/** What this library throws. */
export class MudptError extends Error {
  constructor(code: ErrorCode, what: string, hint?: string, options?: { cause?: unknown });
  readonly code: ErrorCode;
  /** What to do about it; also the end of the message. */
  readonly hint: string;
}

/** Every code, with what it means. */
export const ERROR_CODES: Readonly<Record<ErrorCode, string>>;
