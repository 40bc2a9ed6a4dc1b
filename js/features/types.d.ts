/** Features: what the towers make of pictures and texts. */
import type { BrokenPicture } from '../pictures/types.js';

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
