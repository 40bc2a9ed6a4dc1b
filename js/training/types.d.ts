/** Training runs and their plans. */
import type { Classifier } from '../classifier/types.js';
import type { FileBytes } from '../files/types.js';
import type { Head } from '../heads/types.js';
import type { Preset, TunableMethod, TuneSettings } from '../methods/types.js';
import type { BrokenPicture, Example } from '../pictures/types.js';

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
  /**
   * A head on the features of the tuned tower, made with what the tuned prompts say of the classes: what `finished`
   * gives is then an {@link InstantClassifier}. `'auto'`: `tip-f`, unless pictures that the run has not trained on
   * (`validation`, where it is an array, else of the examples that were not drawn) are surely better named by half of
   * it and half of the prompts, by the prompts alone, or by the instant answer (the same sign test as among heads);
   * {@link InstantClassifier.heldOut} says what was found. Default `'none'`.
   */
  head?: 'auto' | 'none' | Head;
  /** Views of each picture that such a head learns from ({@link InstantOptions.views}). Default 10. */
  views?: number;
  /** Told at most 10 times a second after the last step: pictures whose features there are for such a head. */
  onProgress?: (progress: { done: number; total: number }) => void;
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
  /**
   * Ends the run after the present step; what was trained so far is kept, and `finished` is fulfilled. While a head is
   * made of what was trained ({@link TuneOptions.head}) it ends that, and `finished` gives the prompts alone.
   */
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
  /**
   * Bytes. Where training would take more, or more than there is, this rejects as `tune()` does, with what would fit.
   */
  memoryLimit?: number;
}

/** Bytes. */
export interface TrainingPlan {
  /** The model's, each once. */
  weights: number;
  /** Of both towers for one group of pictures and one part of the sentences, and the kernels' scratch. */
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
  /** Of its largest block: there is none above 2 GiB. */
  largest: number;
  /** Pictures that go through the image tower together; no bytes. */
  group: number;
  /** Parts in which the sentences go through the text tower, one after the other; no bytes. */
  parts: number;
}
