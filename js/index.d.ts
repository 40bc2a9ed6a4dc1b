/**
 * mudpt: CLIP and prompt tuning of CLIP. Load a model, name some classes, and classify pictures; give a few pictures
 * of each class, and tune it to them.
 *
 * Failures are {@link MudptError}s, an abort is the signal's own reason (an `AbortError`). Methods that answer with a
 * promise throw nothing themselves.
 */
import type { Classifier, OfficialOptions } from './classifier/types.js';
import type { EmbedImagesOptions, EmbedTextsOptions, Features, IndexOptions, PictureIndex } from './features/types.js';
import type { ModelSource } from './files/types.js';
import type { BudgetJob, BudgetOptions, InstantClassifier, InstantJob, InstantOptions } from './instant/types.js';
import type { MethodInfo } from './methods/types.js';
import type { ImageInput } from './pictures/types.js';
import type { PlanOptions, TrainingPlan, TuneJob, TuneOptions } from './training/types.js';

export * from './base/types.js';
export * from './files/types.js';
export * from './pictures/types.js';
export * from './features/types.js';
export * from './methods/types.js';
export * from './classifier/types.js';
export * from './heads/types.js';
export * from './training/types.js';
export * from './instant/types.js';

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
   * How weights are kept in memory. Default `'auto'`: as they are stored (bf16 as f32). `'int8'` and `'int16'` (15
   * bits, as small as `'f16'`) have a scale per output channel, and keep what is outside the blocks as f16; `'int8'`
   * keeps the attention of the first blocks in 15 bits.
   */
  dtype?: 'auto' | 'f32' | 'f16' | 'int8' | 'int16';
  /**
   * Arithmetic of the products with the blocks' matrices. `'high'`: f32. `'fast'`: integers of 12 to 16 bits in blocks
   * of 64 that share a scale, with less than TF32's error and 1.5 to 2 times the speed; the matrices are then kept as
   * `'int16'`, or as `'int8'` where that is asked for. A short measurement falls back to `'high'` where integers are no
   * faster; {@link ClipInfo.precision} says what was chosen. Default `'high'`.
   *
   * `'int8'`: 8 bits on both sides, for classifying and embedding; training is refused. The matrices are kept as
   * `'int8'`, whatever `dtype` says of others. It is a WebAssembly module of its own, which is fetched in place of the
   * usual one and gives the same bits in every engine; 1.6 times as fast as `'fast'` for pictures of a ViT-B/16 where
   * the engine has an exact instruction for products of bytes (x86 with VNNI), which is tried first, else about as
   * fast. Without relaxed SIMD, or where integers are no faster, it is as `'fast'`. Not with `device`, `variant` or
   * `dtype: 'int16'`.
   */
  precision?: 'high' | 'fast' | 'int8';
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
   * so that `tokens: 'needed'` saves nothing; one of PyTorch is read once more for its weights. Anything else
   * is refused as `model` before it can be used; what was kept of an earlier visit and fails is removed, and fetched
   * again once.
   */
  integrity?: string | Record<string, string>;
  /** Whether downloaded files are kept for the next time, see {@link cache}. Default `true`. */
  cache?: boolean;
  /**
   * Where features that the untuned image tower has made of pictures are kept, so that it runs once for each:
   * `'memory'`, 32 MB of them; `'storage'`, for the next program or visit as well, in Node on disk and in pages in the
   * origin's storage, 64 MB a model (docs/features.md); `'none'`. Default `'memory'`.
   */
  keepFeatures?: 'memory' | 'storage' | 'none';
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
  /**
   * Node 24 or later on x86 with AVX2: whether V8 may join pairs of 128-bit operations into 256-bit ones. What it makes
   * of the kernels is compared first, bit for bit, with what they give without, in some 0.3 s once a process; where it
   * differs, the module is compiled without. The flag is V8's, experimental, and the whole process's: other code is
   * compiled with it, too. Results do not depend on it. `MUDPT_WIDE_VECTORS=0` in the environment forbids it.
   * Elsewhere it does nothing. Default `false`; commands of `mudpt` that compute for long set it.
   */
  wideVectors?: boolean;
  /** Whether to turn pictures as their EXIF orientation says, as browsers do. Default `false`, as Python's CLIP. */
  upright?: boolean;
  /**
   * Where the two differ: half a pixel in a crop's place goes to the even one in OpenAI's code (default) and down in
   * transformers, which also lays on white what is transparent, and makes a σ of every Σ.
   */
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

export interface ZeroShotOptions {
  /** Sentence of a class, `{}` stands for its name. Default `'a photo of a {}.'` */
  template?: string;
  /** Several sentences, whose features are averaged. */
  templates?: string[];
  /** Told at most 10 times a second and at the end: names whose features are there, and all names. */
  onProgress?: (progress: { done: number; total: number }) => void;
  signal?: AbortSignal;
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
  /**
   * Features of pictures, a row each, in their order.
   *
   * @throws {MudptError} `argument`, `image`, `file`, `network`, `memory`, `not-finite`
   */
  embedImages(pictures: Iterable<ImageInput>, options?: EmbedImagesOptions): Promise<Features>;
  /**
   * Features of texts as they stand, a row each: no template is put around them.
   *
   * @throws {MudptError} `argument`, `tokenizer` (a text is too long), `memory`, `network` (rows of the token
   *   embedding), `not-finite`, `state` (no text tower)
   */
  embedTexts(texts: Iterable<string>, options?: EmbedTextsOptions): Promise<Features>;
  /**
   * Lets go of what is kept of pictures: their features as the untuned tower makes them, so that embedding, indexing,
   * zero-shot and methods without visual prompts run the tower once for each picture. What is kept belongs to this
   * model and goes with it, unless {@link LoadOptions.keepFeatures} says otherwise; then it is removed there, too.
   */
  forgetFeatures(): Promise<void>;
  /**
   * An index of pictures, to search in.
   *
   * @throws {MudptError} as `embedImages`
   */
  index(pictures: Iterable<ImageInput>, options?: IndexOptions): Promise<PictureIndex>;
  /**
   * An index from what {@link PictureIndex.export} gave, or `mudpt embed` wrote of pictures.
   *
   * @throws {MudptError} `file`: damaged, or made with another model
   */
  importIndex(bytes: Uint8Array | ArrayBuffer, options?: { name?: string }): Promise<PictureIndex>;
  /** The methods that train something, with their defaults on this model. */
  methods(): MethodInfo[];
  /**
   * What training would take.
   *
   * @throws {MudptError} `argument`, `tokenizer`, `memory`, `network`, `state` (no text tower)
   */
  plan(options: PlanOptions): Promise<TrainingPlan>;
  /** An answer within seconds: a head on features. What is wrong is said by the job. */
  tune(options: InstantOptions): InstantJob;
  /** The best answer that some seconds buy here. What is wrong is said by the job. */
  tune(options: BudgetOptions): BudgetJob;
  /** Starts to tune prompts to some pictures of each class. What is wrong is said by the job. */
  tune(options: TuneOptions): TuneJob;
  /**
   * A classifier from what {@link Classifier.export} gave; its predictions are the same to the bit. Of an instant one
   * an {@link InstantClassifier}, which can go on learning.
   *
   * @param options.name of the file, for messages
   * @param options.integrity `sha256-` and the digest in base64 of the file to accept; any by default
   * @throws {MudptError} `classifier`: damaged, made with another model, or not the one that is wanted
   */
  import(
    bytes: Uint8Array | ArrayBuffer,
    options?: { name?: string; integrity?: string; signal?: AbortSignal },
  ): Promise<Classifier | InstantClassifier>;
  /**
   * A classifier from what the authors' PyTorch code has trained: their checkpoint, or a `.safetensors` file with the
   * names of its state dictionary (docs/exchange.md), of the prompts alone or of the whole model. F32, F16 and BF16
   * are read.
   *
   * @param from URL, in Node a path, a `Blob`, or the file's bytes
   * @throws {MudptError} `classifier`: damaged, of another method, or of another model's shapes; `argument`, `file`
   */
  importOfficial(from: string | URL | Blob | Uint8Array | ArrayBuffer, options: OfficialOptions): Promise<Classifier>;
  /**
   * Frees the model and everything made from it, and ends its threads. A model of which nothing is left, neither it nor
   * its classifiers and runs, is freed when the engine collects it, which may be late; the console says so, once.
   */
  dispose(): Promise<void>;
}

type TowerSize = `${'vision' | 'text'}${'Width' | 'Layers' | 'Heads' | 'Mlp'}`;

export type ModelSize = 'image' | 'patch' | 'embed' | 'context' | 'vocab' | TowerSize;

type TowerTrait =
  `${'vision' | 'text'}${'Activation' | 'Epsilon' | 'LayerScale' | 'Pooling' | 'NoProjection' | 'ProjectionBias'}`;

/**
 * Activation, also of the pooling head: 1 exact GELU, 2 tanh-GELU, absent QuickGELU. Pooling: 1 mean of the patches,
 * 2 attention, 3 the last row, absent CLS or the end of text. rope: the base of rotary positions. pad: the token that
 * sentences are filled up with. Epsilon: of LayerNorm, absent 1e-5. The others are 1 where they hold.
 */
export type ModelTrait =
  | TowerTrait
  | 'patchBias'
  | 'noClass'
  | 'noPreNorm'
  | 'normAfterPool'
  | 'rope'
  | 'poolHeads'
  | 'poolMlp'
  | 'poolActivation'
  | 'noMask'
  | 'pad'
  | 'noStart'
  | 'logitBias';

export interface ClipInfo {
  /** Where it came from. */
  readonly name: string;
  /** 16 hexadecimal digits that tell models apart, whatever the names and types of their tensors. */
  readonly fingerprint: string;
  /** Pixels, widths, layers, heads, tokens; and what the model has that OpenAI's have not. */
  readonly architecture: Readonly<Record<ModelSize, number> & Partial<Record<ModelTrait, number>>>;
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
  readonly precision: 'high' | 'fast' | 'int8';
  /** With precision `'int8'` always `'plain'`, as which its multiply-add rounds. */
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
