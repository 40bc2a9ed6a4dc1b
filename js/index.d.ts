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
 *   browsers decode other formats that they know, Node WebP where the package `@cwasm/webp` is installed
 * - `ImageData`, or any `{ data, width, height }` with 1 (grey), 3 (RGB) or 4 (RGBA) bytes a pixel, rows from the top
 * - {@link DrawableImage}: `ImageBitmap`, `<img>`, SVG's `<image>`, `<canvas>`, `OffscreenCanvas`, `<video>`,
 *   `VideoFrame`: what it shows at the time of the call. What still loads is waited for, a lazy `<img>` is
 *   made to load, for as long as {@link LoadOptions.timeout} says; no other call waits for it. From another site it
 *   must have been loaded with `crossorigin="anonymous"`.
 *
 * Alpha is dropped, not blended (docs/browser.md says where a browser has lost colours that cannot be seen). Of an
 * animation the first frame counts. Where the library is in a worker, bytes and bitmaps are copied there, or moved
 * with `transfer: true`.
 */
export type ImageInput = string | URL | Blob | ArrayBuffer | Uint8Array | PixelData | DrawableImage;

export interface PixelData {
  /** Of `ImageData` also `Float16Array` (`rgba-float16`), 0 to 1. */
  readonly data: Uint8Array | Uint8ClampedArray | { readonly [Symbol.toStringTag]: 'Float16Array' };
  /** Pixels. */
  readonly width: number;
  /** Pixels. */
  readonly height: number;
}

/** What a browser can draw on a canvas, each told by what it has. */
export type DrawableImage =
  | { readonly naturalWidth: number; readonly complete: boolean }
  | { readonly href: { readonly baseVal: string }; readonly preserveAspectRatio: object }
  | { width: number; height: number; getContext(kind: '2d'): object | null }
  | { readonly videoWidth: number; readonly readyState: number }
  | { readonly width: number; readonly height: number; close(): void }
  | { readonly codedWidth: number; readonly codedHeight: number; close(): void };

/** A file's bytes; `new Blob([bytes])` takes them. `Uint8Array<ArrayBuffer>` where TypeScript tells buffers apart. */
export type FileBytes = ReturnType<Uint8ArrayConstructor['of']>;

/** A picture and its class: the class's name, or (where two classes have it) its index in the list of classes. */
export interface Example {
  image: ImageInput;
  label: string | number;
}

/**
 * Where a model is: the URL of a folder or of a `.safetensors` file in it (in Node also a path), or the files
 * themselves. Of a Hugging Face model repository, the URL of its page or `hf:ORGANISATION/NAME`, each perhaps with
 * `@REVISION`. In pages also what a visitor has dropped (give `event.dataTransfer` before anything is awaited) or
 * picked (a `FileSystemDirectoryHandle`). Where files do not lie beside each other, each one's URL by its name; the
 * embedded model is given so: `import { pictoclip } from 'mudpt/pictoclip'`.
 *
 * A model folder has `config.json`, `preprocessor_config.json`, `tokenizer.json` and `model.safetensors` (or the
 * shards that `model.safetensors.index.json` lists). Tensors may have Hugging Face's, OpenAI's or open_clip's names.
 */
export type ModelSource = string | URL | Blob | Iterable<Blob> | DroppedFiles | PickedFolder | ModelAddresses;

/** URLs by file name: `{ 'model.safetensors': …, 'tokenizer.json': …, … }`. */
export interface ModelAddresses {
  readonly [name: string]: string | URL;
}

/** `DataTransfer`. */
export interface DroppedFiles {
  readonly items: object;
  readonly files: Iterable<Blob>;
}

/** `FileSystemDirectoryHandle`. */
export interface PickedFolder {
  readonly kind: 'directory';
  readonly name: string;
}

export interface LoadOptions {
  /**
   * Where the towers are computed. `'webgpu'`: on a GPU where there is one that can be used, otherwise as `'wasm'`
   * after one line in the console that says why; so also where a device is lost in the middle of a run, which goes on.
   * `'auto'`: on a GPU where that is found faster on this model, by a short measurement. {@link ClipInfo.device} says
   * what was chosen. Needs an isolated page, as threads do, or JSPI; in Node the package `webgpu`. Default `'wasm'`,
   * which gives the same bits on every machine with `variant: 'plain'`, and on any number of threads always.
   */
  device?: 'auto' | 'wasm' | 'webgpu';
  /**
   * How weights are kept in memory. Default `'auto'`: as they are stored (bf16 as f32). `'int8'` and `'int16'` (14
   * bits, as small as `'f16'`) have a scale per output channel, and keep what is outside the blocks as f16.
   */
  dtype?: 'auto' | 'f32' | 'f16' | 'int8' | 'int16';
  /**
   * Arithmetic of the products with the blocks' matrices. `'high'`: f32. `'fast'`: integers of 13 bits in blocks of 64
   * that share a scale, with about TF32's error and 1.5 to 2 times the speed; the matrices are then kept as `'int16'`,
   * or as `'int8'` where that is asked for. A short measurement falls back to `'high'` where integers are no faster;
   * {@link ClipInfo.precision} says what was chosen. Default `'high'`.
   */
  precision?: 'high' | 'fast';
  /**
   * `'image'`: the text tower is left out, which saves its download and memory; all that works then are classifiers
   * that were saved ({@link Clip.import}). Default `'both'`.
   */
  towers?: 'both' | 'image';
  /**
   * `'needed'` reads the rows of the token embedding that sentences are made of, when they are made: 50 MB less memory
   * for a ViT-B/16; `'all'` reads the whole table, so that no new class name needs the server or the file. Default
   * `'needed'` for a model from a URL, `'all'` for one from files.
   */
  tokens?: 'needed' | 'all';
  /**
   * Which files to accept, each as `sha256-` and its digest in base64: of the weights, or of several files by their
   * names (`{ 'model.safetensors': 'sha256-…', 'tokenizer.json': 'sha256-…' }`). A file that is checked is read whole,
   * so that `tokens: 'needed'` saves nothing. Anything else is refused as `model` before it can be used; what was kept
   * of an earlier visit and fails is removed, and fetched again once.
   */
  integrity?: string | Record<string, string>;
  /** Whether downloaded files are kept for the next time, see {@link cache}. Default `true`. */
  cache?: boolean;
  /** Milliseconds that a server may be silent, and that an element may take to load, above 0. Default 30,000. */
  timeout?: number;
  /**
   * 1 to 64. Default: one per core, at most 8. Results do not depend on it. A page that is not cross-origin isolated
   * has one, whatever is asked for; so has one whose policy or headers forbid the threads' workers, after a line in the
   * console that says why, and a platform that refuses memory for threads to share.
   */
  threads?: number;
  /**
   * Whether a worker does the work; it is started and ended with the model. Default: `true` in pages, `false` in
   * workers and in Node, which has none. By default a page where the worker cannot be started computes itself, after a
   * line in the console that says why; with `true` it is an error (`environment`).
   */
  worker?: boolean;
  /**
   * Browsers: a folder with a copy of this package's `js/`, where the library shall find its worker and WebAssembly.
   * Default: beside the library.
   */
  assetsUrl?: string | URL;
  /** Which WebAssembly module to use. Default `'auto'`: relaxed SIMD where the platform has it. */
  variant?: 'auto' | 'plain' | 'relaxed';
  /** Whether to turn pictures as their EXIF orientation says, as browsers do. Default `false`, as Python's CLIP. */
  upright?: boolean;
  /** Half a pixel in a crop's place goes to the even one as in OpenAI's code (default), or down as in transformers. */
  convention?: 'openai' | 'transformers';
  /**
   * Told before the first weights have come, then at most 10 times a second, and at the end: bytes of the weights so
   * far, and of all that will be read.
   */
  onProgress?: (progress: { loaded: number; total: number }) => void;
  signal?: AbortSignal;
}

/**
 * Loads a model. Weights stream into WebAssembly memory; no file is held whole.
 *
 * @throws {MudptError} `file`, `network`, `model`, `tokenizer`, `memory`, `environment`, `argument`
 */
export function loadClip(from: ModelSource, options?: LoadOptions): Promise<Clip>;

/** Files that were downloaded, in browsers those of the page's origin. */
export const cache: {
  list(): Promise<KeptFile[]>;
  /** Removes a model's files, or one file; whether there was anything. */
  delete(from: string | URL): Promise<boolean>;
  clear(): Promise<void>;
};

export interface KeptFile {
  url: string;
  /** Bytes that are kept; those of parts that were never needed are missing. */
  bytes: number;
  /** Bytes of the whole file; `undefined` where the server did not tell. */
  size: number | undefined;
  /** The server's ETag, or what it gave as Last-Modified; `''` where neither tells versions apart. */
  etag: string;
  savedAt: Date;
}

export interface ZeroShotOptions {
  /** Sentence of a class, `{}` stands for its name. Default `'a photo of a {}.'` */
  template?: string;
  /** Several sentences, whose features are averaged. */
  templates?: string[];
  /** Told at most 10 times a second and at the end: names whose features are there, and all names. */
  onProgress?: (progress: { done: number; total: number }) => void;
  signal?: AbortSignal;
}

/** A method that trains something. `mudpt methods` and {@link Clip.methods} say what each is. */
export type TunableMethod = 'coop' | 'cocoop' | 'vpt' | 'ivlp' | 'mudpt' | 'umudpt';

/**
 * Settings of a training run. Defaults are those of each method's paper, see {@link Clip.methods}; the ones named here
 * are MuDPT's. An option that a method does not have is refused.
 */
export interface TuneSettings {
  /** Prompt tokens a layer, 1 to 1024. Default 4. At most the phrase's number of words, where words are learned. */
  promptLength?: number;
  /** Layers that get prompts, from the first, 1 to 128. Default: all of the deeper tower. Not CoOp, CoCoOp. */
  depth?: number;
  /**
   * Words that the text prompts start from, each one token; `''` for a random start. Default `'a photo of a'`. VPT,
   * which learns no words, has them in its sentences.
   */
  phrase?: string;
  /** CoOp: where the class name stands among the context words. Default `'end'`. */
  classPosition?: 'end' | 'middle' | 'front';
  /** CoOp: whether every class has a context of its own. Default `false`. */
  classSpecific?: boolean;
  /** MuDPT: what couples the two towers' prompts, Linear layers or light transformers. Default `'linear'`. */
  injection?: 'linear' | 'transformer';
  /** MuDPT, linear: whether the first layer's text prompts are injected into its image prompts. Default `true`. */
  layer0Fusion?: boolean;
  /**
   * Pictures a class, at most; they are drawn by the seed. `Infinity` for all. Default 16. Where no class has as many,
   * {@link Classifier.settings} say how many there were.
   */
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
  /** Of everything random, 0 to 2 ** 32 - 1. The same seed gives the same numbers, and every method the same shots. */
  seed?: number;
}

/**
 * Settings by name; single ones may still be given. `'paper'`: those of the method's paper. The others carry the
 * paper's over to the model's picture size (docs/presets.md) and differ in length: `'quick'` 4 epochs, `'balanced'` 10,
 * `'thorough'` 30.
 */
export type Preset = 'paper' | 'quick' | 'balanced' | 'thorough';

/** Those that every method has; the others only where the method has them. */
type SharedSettings = Omit<TuneSettings, 'depth' | 'classPosition' | 'classSpecific' | 'injection' | 'layer0Fusion'>;
/** Every setting of a run, as it was used. */
export type UsedSettings = Required<SharedSettings> & Omit<TuneSettings, keyof SharedSettings>;

export interface MethodInfo {
  readonly method: TunableMethod;
  /** Its name in the literature. */
  readonly title: string;
  /** What it trains, in a line. */
  readonly trains: string;
  /** Its paper, and where its defaults come from. */
  readonly from: string;
  /** Its defaults on this model. These are all the settings that it has. */
  readonly settings: UsedSettings;
  /** The same with each preset. */
  readonly presets: Readonly<Record<Preset, UsedSettings>>;
  /** Numbers that are trained with them; `null` where the model's sentences have no room for so many prompts. */
  readonly trainedValues: number | null;
}

export interface TuneOptions extends TuneSettings {
  /** Class names; `_` is read as a space. Needed unless there is `resume`. */
  classes?: string[];
  /**
   * At least one per class. The library keeps files compressed, and decoded pictures (elements, bitmaps, pixels, and
   * formats that only the browser knows) as pixels: large ones made smaller by a whole number, to 512 KiB each at most.
   */
  examples: Example[];
  /** Default `'mudpt'`. */
  method?: TunableMethod;
  /** Default `'paper'`. */
  preset?: Preset;
  /**
   * Measures the classifier after every epoch on min(shots, 4) pictures of each class, drawn by the seed: with `true`
   * from the examples that are not trained on, or from examples given here. It changes nothing about the training;
   * the result is that of the last epoch. Default `false`.
   */
  validation?: boolean | Example[];
  /**
   * What {@link TuneJob.checkpoint} gave: goes on from there, with the same bits as if the run had never been
   * interrupted. The examples must be the same in the same order; classes, method and settings may be left out, and
   * where they are given must be those of the run. The bits also need the model's `device`, `dtype` and `precision`,
   * and a multiply-add that rounds alike: that of `variant: 'plain'` does everywhere, that of `'relaxed'` rounds once
   * or twice, as the engine and the processor will have it. Where they differ, {@link TuneProgress.note} says so.
   */
  resume?: Uint8Array | ArrayBuffer;
  /** Keeps little and computes it again: less memory ({@link Clip.plan}), the same bits, more time. Default `false`. */
  recompute?: boolean;
  /**
   * Bytes. A run that would take more is refused (`memory`) before it starts, with what would fit. Default, and never
   * more: {@link ClipInfo.memoryLimit}.
   */
  memoryLimit?: number;
  /**
   * Told of each picture that cannot be read, which is then left out, and another one of its class drawn in its place.
   * Without it all such pictures that the run needs are told in one error, before the first step.
   */
  onBroken?: (broken: BrokenPicture) => void;
  /**
   * Moves bytes (those of `resume`, too) and bitmaps to the worker: they cannot be used afterwards. Default `false`:
   * copies.
   */
  transfer?: boolean;
  /** Ends the run within a few pictures; it then has no result. To keep what was trained use {@link TuneJob.stop}. */
  signal?: AbortSignal;
}

/** A picture that cannot be read and was left out: its place in which list, and what a {@link MudptError} says. */
export interface BrokenPicture {
  readonly index: number;
  readonly list: 'examples' | 'validation';
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
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
  /** With `resume`, of the steps before the interruption, which are told again first. */
  replayed?: boolean;
  /**
   * With `resume`, on the first step that is not told again: why the run will not end with the bits that it would have
   * had where it was begun, where that is so. It goes on all the same.
   */
  note?: string;
  /** With `validation`, after the last step of an epoch: share of the held-out pictures named rightly, 0 to 1. */
  validationAccuracy?: number;
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
  /**
   * The run as it stands between two steps, as a `.safetensors` file for {@link TuneOptions.resume}. At any time from
   * the start of the run (it waits until the pictures are read) until its classifier is disposed of.
   *
   * @throws {MudptError} `state`: the run failed, was aborted, or was stopped before it began
   */
  checkpoint(): Promise<FileBytes>;
}

export interface PlanOptions extends TuneSettings {
  classes: string[];
  method?: TunableMethod;
  preset?: Preset;
  /** To train on, in all. Default: `shots` a class. */
  pictures?: number;
  /** As in {@link TuneOptions}. */
  recompute?: boolean;
  /** As if the blocks' matrices were kept so. Default: as they are. */
  dtype?: 'f32' | 'f16' | 'int8' | 'int16';
}

/** Bytes. */
export interface TrainingPlan {
  /** The model's, each once. */
  weights: number;
  /** Of both towers for one group of pictures and all sentences, and the kernels' scratch. */
  activations: number;
  /** Parameters, the prompts of every layer and their gradients, text features. */
  prompts: number;
  /** Gradients, velocity, and the values to go back to. */
  optimizer: number;
  /** The pictures to train on, and one batch's pixels. */
  examples: number;
  /** The WebAssembly module itself. */
  runtime: number;
  total: number;
  /** {@link ClipInfo.memoryLimit}: what takes more is refused. */
  limit: number;
  /** Pictures that go through the image tower together; no bytes. */
  group: number;
}

/** A loaded model. */
export interface Clip {
  readonly info: ClipInfo;
  /** Bytes of WebAssembly memory. It never shrinks, so this is the peak as well; 0 after `dispose()`. */
  readonly memoryBytes: number;
  /**
   * A classifier from class names alone. The very same name twice is two classes, here and everywhere else, told apart
   * by their index; names that look alike and are not (spaces, the form of accents) are refused.
   *
   * @throws {MudptError} `argument`, `tokenizer` (a sentence is too long), `memory`, `network` (rows of the token
   *   embedding), `state` (no text tower)
   */
  zeroShot(classes: string[], options?: ZeroShotOptions): Promise<Classifier>;
  /** The methods that train something, with their defaults on this model. */
  methods(): MethodInfo[];
  /**
   * What training would take.
   *
   * @throws {MudptError} `argument`, `tokenizer`, `memory`, `network`, `state` (no text tower)
   */
  plan(options: PlanOptions): Promise<TrainingPlan>;
  /** Starts to tune prompts to some pictures of each class. What is wrong is said by the job. */
  tune(options: TuneOptions): TuneJob;
  /**
   * A classifier from what {@link Classifier.export} gave; its predictions are the same to the bit.
   *
   * @param options.name of the file, for messages
   * @param options.integrity `sha256-` and the digest in base64 of the file to accept; any by default
   * @throws {MudptError} `classifier`: damaged, made with another model, or not the one that is wanted
   */
  import(
    bytes: Uint8Array | ArrayBuffer,
    options?: { name?: string; integrity?: string; signal?: AbortSignal },
  ): Promise<Classifier>;
  /**
   * A classifier from what the authors' PyTorch code has trained: a `.safetensors` file with the names of their state
   * dictionaries (docs/exchange.md), of the prompts alone or of the whole model. F32, F16 and BF16 are read.
   *
   * @param from URL, in Node a path, a `Blob`, or the file's bytes
   * @throws {MudptError} `classifier`: damaged, of another method, or of another model's shapes; `argument`, `file`
   */
  importOfficial(from: string | URL | Blob | Uint8Array | ArrayBuffer, options: OfficialOptions): Promise<Classifier>;
  /** Frees the model and everything made from it, and ends its threads. */
  dispose(): Promise<void>;
}

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

type TowerSize = `${'vision' | 'text'}${'Width' | 'Layers' | 'Heads' | 'Mlp'}`;
export type ModelSize = 'image' | 'patch' | 'embed' | 'context' | 'vocab' | TowerSize;

export interface ClipInfo {
  /** Where it came from. */
  readonly name: string;
  /** 16 hexadecimal digits that tell models apart, whatever the names and types of their tensors. */
  readonly fingerprint: string;
  /** Pixels, widths, layers, heads, tokens. */
  readonly architecture: Readonly<Record<ModelSize, number>>;
  /** Of the pixels, R G B on the scale 0 to 1. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /**
   * How a picture is resized before a square in its middle is taken: its shorter or longer side to `size`, to exactly
   * `size` [height, width], or not at all; with one of PIL's filters. Beyond its edges it has the colour `fill`.
   */
  readonly pictures: { fit: string; size: number | readonly number[]; filter: string; fill: readonly number[] };
  readonly convention: 'openai' | 'transformers';
  /** What no file says, and was assumed: features are wrong where it is not so. The console is told. Else empty. */
  readonly assumed: readonly string[];
  /** What cosines are multiplied by. */
  readonly logitScale: number;
  /** Bytes of the weights in memory. */
  readonly weightBytes: number;
  readonly precision: 'high' | 'fast';
  readonly variant: 'plain' | 'relaxed';
  /** What was chosen when the model was loaded. */
  readonly device: 'wasm' | 'webgpu';
  /** Of the GPU, as the platform calls it; `''` for `'wasm'`. */
  readonly adapter: string;
  /** Why `'wasm'`, where another device was asked for; otherwise `''`. */
  readonly whyWasm: string;
  readonly threads: number;
  /** Bytes that the model's memory can grow to: 4 GB on computers, on phones what they grant, often 1 GB or less. */
  readonly memoryLimit: number;
}

/** Names classes of pictures. */
export interface Classifier {
  readonly classes: string[];
  /** `'zeroshot'`, or what it was tuned with. */
  readonly method: string;
  /** How it was trained, as far as is known (see {@link Clip.importOfficial}); `null` where nothing was. */
  readonly settings: Partial<UsedSettings> | null;
  /**
   * The most likely classes, best first; scores of all classes add up to 1.
   *
   * @param options.topK how many; `Infinity`: all. Default 5.
   * @param options.transfer as in {@link TuneOptions}
   * @throws {MudptError} `argument`, `image`, `file`, `network`, `memory`, `not-finite` (of weights that are finite
   *   but absurd), `state`
   */
  classify(
    image: ImageInput,
    options?: { topK?: number; transfer?: boolean; signal?: AbortSignal },
  ): Promise<{ label: string; score: number; /** Of the class, in `classes`. */ index: number }[]>;
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
  /** Frees its memory. The model's `dispose()` does it too. A second time it does nothing. */
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

// prettier-ignore
export type ErrorCode =
  | 'argument' | 'memory' | 'model' | 'tokenizer' | 'image' | 'dataset' | 'classifier' | 'file' | 'network'
  | 'not-finite' | 'state' | 'environment';

/** What this library throws. */
export class MudptError extends Error {
  constructor(code: ErrorCode, what: string, hint?: string, options?: { cause?: unknown });
  readonly code: ErrorCode;
  /** What to do about it; also the end of the message. */
  readonly hint: string;
}

/** Every code, with what it means. */
export const ERROR_CODES: Readonly<Record<ErrorCode, string>>;
