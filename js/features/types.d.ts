/** Features: what the towers make of pictures and texts. */
import type { FileBytes } from '../files/types.js';
import type { BrokenPicture, ImageInput } from '../pictures/types.js';

/** Rows of numbers, one behind the other. */
export interface Features {
  /** `dims[0] * dims[1]` numbers. */
  readonly data: Float32Array;
  /** Rows, and numbers of a row. */
  readonly dims: readonly [count: number, width: number];
}

interface EmbedOptions {
  /** Whether rows are scaled to length one, so that products of two are cosines. Default `true`. */
  unit?: boolean;
  /**
   * `true`: as the model compares pictures with texts. `false`: one step earlier, behind the tower's last LayerNorm,
   * with the tower's width. Default `true`.
   */
  projected?: boolean;
  /** Told at most 10 times a second, and at the end. */
  onProgress?: (progress: { done: number; total: number }) => void;
  signal?: AbortSignal;
}

export interface EmbedImagesOptions extends EmbedOptions {
  /**
   * Views of each picture, 1 to 64: the plain one, and behind it random crops, some of them mirror images, as training
   * draws them. Row `v * pictures + i` is view `v` of picture `i`; the same picture has the same views for a `seed`.
   * Default 1.
   */
  views?: number;
  /** Of the random views. Default 1. */
  seed?: number;
  /** Share of a picture's area, above 0: the smallest that a random view shows. Default 0.08. */
  smallestCrop?: number;
  /**
   * Told of each picture that cannot be read, which then has no row; without it the first one ends the call. Rows of
   * the others keep their order.
   */
  onBroken?: (broken: BrokenPicture) => void;
  /** Moves bytes and bitmaps to the worker: they cannot be used afterwards. Default `false`: copies. */
  transfer?: boolean;
}

export interface EmbedTextsOptions extends EmbedOptions {
  /**
   * Whether a text that the model cannot read whole is cut, as OpenAI's code and transformers do when they are asked
   * to; otherwise it is refused. Default `false`.
   */
  truncate?: boolean;
}

export interface IndexOptions extends Omit<
  EmbedImagesOptions,
  'unit' | 'projected' | 'views' | 'seed' | 'smallestCrop'
> {
  /** What the pictures are called in answers. Default: addresses and files' names as they have them. */
  names?: string[];
}

/** A picture in an index. */
export interface IndexedPicture {
  /** In {@link PictureIndex.names}. */
  index: number;
  name: string;
}

/** Pictures that can be searched: their features, where the library was called. */
export interface PictureIndex {
  readonly count: number;
  readonly names: string[];
  /**
   * The pictures that fit best, best first; `score` is the cosine.
   *
   * @param query a text (as it stands), a picture (of an address or a path `{ image: '…' }`, as a text is a text), or a
   *   row of features of the model's width
   * @param options.topK how many; `Infinity`: all. Default 10.
   * @throws {MudptError} `argument`, and as `embedTexts` or `embedImages`
   */
  search(
    query: string | Exclude<ImageInput, string> | { image: ImageInput } | Float32Array | number[],
    options?: { topK?: number; signal?: AbortSignal },
  ): Promise<(IndexedPicture & { score: number })[]>;
  /**
   * Groups of pictures that are nearly the same, each joined by pairs whose cosine is `least` or more; `score` is that
   * of the least alike pair. Of 10,000 pictures some seconds.
   *
   * @param options.least cosine. Default 0.97.
   */
  duplicates(options?: {
    least?: number;
    onProgress?: (progress: { done: number; total: number }) => void;
    signal?: AbortSignal;
  }): Promise<{ pictures: IndexedPicture[]; score: number }[]>;
  /** The index as a `.safetensors` file for {@link Clip.importIndex}. */
  export(): FileBytes;
}
