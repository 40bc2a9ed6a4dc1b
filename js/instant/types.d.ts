/** The instant answer: heads on features that were computed once. */
import type { Classifier } from '../classifier/types.js';
import type { Head } from '../heads/types.js';
import type { BrokenPicture, Example, ImageInput } from '../pictures/types.js';
import type { TuneJob, TuneOptions } from '../training/types.js';

/** What an instant answer is made of: pictures go through the tower once, and a head learns from their features. */
export interface InstantOptions {
  preset: 'instant';
  /** Class names; `_` is read as a space. */
  classes: string[];
  /**
   * At least one per class, or none at all: then names alone answer until {@link InstantClassifier.add} has brought
   * pictures. They must stay as they are until the run has read them.
   */
  examples: Example[];
  /**
   * `'auto'` (default): `tip-f`, unless `clap` or `'none'` is found better on pictures that are held out in turn: each
   * class's in up to four parts, of more than 400 pictures in two. Better is what a sign test is sure of (two
   * deviations). {@link InstantClassifier.heldOut} says what was found. Of more than 5000 pictures `tip`, which is
   * `tip-f` without training. `'none'`: the names alone, as zero-shot.
   */
  head?: 'auto' | 'none' | Head;
  /**
   * What `'auto'` chooses from: `'accuracy'` (default) as above; `'new-names'` what helps names that are added later
   * ({@link Classifier.withClasses}), too: `prolip`, or `'none'` where that is better.
   */
  goal?: 'accuracy' | 'new-names';
  /** Settings of a head that is named, over its defaults (docs/methods.md). */
  headSettings?: Record<string, number>;
  /** Pictures a class, at most; the same are drawn as by every method. `Infinity` for all. Default 16. */
  shots?: number;
  /**
   * Views of each picture that a head learns from, 1 to 64: the plain one, and random crops and mirror images, each of
   * which costs a pass of the tower. Ten are worth several points where training and test pictures are alike
   * (docs/methods.md); {@link Classifier.add} brings the plain one alone. Default 1.
   */
  views?: number;
  /** Of everything random. Default 1. */
  seed?: number;
  /** Sentence of a class, `{}` stands for its name. Default `'a photo of a {}.'` */
  template?: string;
  /** Several sentences. */
  templates?: string[];
  /** Told at most 10 times a second, and at the end: pictures whose features are there. */
  onProgress?: (progress: { done: number; total: number }) => void;
  /** As in {@link TuneOptions}. */
  onBroken?: (broken: BrokenPicture) => void;
  transfer?: boolean;
  /** Ends the run; it then has no result. */
  signal?: AbortSignal;
}

/** The best answer that some seconds buy: method and settings as of a run, but for what the budget settles. */
export interface BudgetOptions extends Omit<
  TuneOptions,
  'preset' | 'epochs' | 'batchSize' | 'smallestCrop' | 'views' | 'resume' | 'transfer'
> {
  /**
   * Seconds. The instant answer is made first, then one of ten views of each picture where there is time for it, then a
   * few steps are looked at to see what a run takes here, then the longest of `'thorough'`, `'balanced'` and `'quick'`
   * that fits goes on, with a head (`'auto'` unless another is asked for) as in {@link TuneOptions.head}. Where none
   * fits the instant answer is the result.
   */
  budget: number;
  classes: string[];
  goal?: InstantOptions['goal'];
  template?: string;
  templates?: string[];
  /** Told at most 10 times a second: pictures whose features are there, of the instant answers and of the head. */
  onProgress?: (progress: { done: number; total: number }) => void;
}

/** What a budget bought. */
export interface Recipe {
  readonly budget: number;
  /** `'views'`: the instant answer of ten views of each picture. */
  readonly taken: 'instant' | 'views' | 'quick' | 'balanced' | 'thorough';
  /** What runs were expected to take; `null` where there was no time to look. */
  readonly seconds: Readonly<Record<'quick' | 'balanced' | 'thorough', number>> | null;
}

/** A run within a budget: its steps are those of the prompts. */
export interface BudgetJob extends Omit<TuneJob, 'finished' | 'classifier'> {
  readonly finished: Promise<(Classifier | InstantClassifier) & { readonly recipe: Recipe }>;
  /** The instant answer as soon as it is there, then the result. */
  readonly classifier: Classifier | InstantClassifier | null;
}

/** Its steps are those of the head's training; a head in closed form has none. There is no checkpoint of it. */
export interface InstantJob extends Omit<TuneJob, 'finished' | 'classifier'> {
  readonly finished: Promise<InstantClassifier>;
  readonly classifier: InstantClassifier | null;
}

/**
 * A classifier that keeps the features of the pictures that it learned from, also in its file, and can so learn more:
 * a change costs one pass of a tower at most, and the head is made anew when it is asked the next time. It works where
 * the library was called; pictures go through the tower in the model's worker.
 *
 * It tells `none` in `classify` without {@link Classifier.calibrate}, from two pictures on: the share of the pictures
 * it learned from that fit its classes better than this one. `scores` are those of softmax.
 */
export interface InstantClassifier extends Classifier {
  /** What answers; `null` where it is the names alone. */
  readonly head: Head | null;
  /** The head's share beside what the names say, 0 to 1: below 1 on tuned prompts alone. */
  readonly weight: number;
  /** Of the head, but for those that follow from the pictures. */
  readonly headSettings: Record<string, number> | null;
  /**
   * Of each candidate of `head: 'auto'`: share of the pictures named rightly when they were held out, and their mean
   * cross-entropy. Of a run of prompts, shares of pictures that it has not seen, with the prompts' `method`
   * (`'zeroshot'`: the instant answer) and the head's `weight`. Empty where nothing was chosen, and in a classifier
   * from a file.
   */
  readonly heldOut: { head: string; accuracy: number; loss?: number; method?: string; weight?: number }[];
  /** What it learns from: a label for each picture. */
  readonly labels: string[];
  /**
   * Which of these pictures to label next: unsure ones that differ from each other and from what is known, and stand
   * for many. Best first, with their places and how unsure the classifier is, 0 to 1.
   *
   * @param count how many, at most. Default 1.
   */
  suggest(
    pictures: ImageInput[],
    count?: number,
    options?: {
      onProgress?: (progress: { done: number; total: number }) => void;
      onBroken?: (broken: BrokenPicture) => void;
      transfer?: boolean;
      signal?: AbortSignal;
    },
  ): Promise<{ index: number; unsure: number }[]>;
  /**
   * Which labels look wrong, the likeliest first: places in `labels`, what they look like instead, and the chance that
   * they are wrong; `noise` is the share of labels that is. Needs three pictures. Of examples that are given it audits
   * these, as every classifier.
   */
  audit(examples: Example[], options?: Parameters<Classifier['audit']>[1]): ReturnType<Classifier['audit']>;
  audit(options?: {
    onProgress?: (progress: { done: number; total: number }) => void;
    signal?: AbortSignal;
  }): Promise<{ noise: number; suspects: { index: number; label: string; like: string; wrong: number }[] }>;
  /**
   * Learns a picture.
   *
   * @param label a class or its index
   * @returns its place in `labels`
   * @throws {MudptError} as `classify`
   */
  add(
    image: ImageInput,
    label: string | number,
    options?: { transfer?: boolean; signal?: AbortSignal },
  ): Promise<number>;
  /** Forgets the picture at this place in `labels`; those behind it move up. */
  remove(index: number): Promise<void>;
  /** Gives the picture at this place another label. */
  correct(index: number, label: string | number): Promise<void>;
  /** Calls a class something else, which the text tower reads. */
  rename(label: string | number, name: string): Promise<void>;
  /** Further classes in this classifier, which learn from pictures to come. */
  addClasses(names: string[]): Promise<void>;
}
