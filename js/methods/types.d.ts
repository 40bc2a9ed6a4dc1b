/** Methods, their settings, presets. */

/** A method that trains something. `mudpt methods` and {@link Clip.methods} say what each is. */
export type TunableMethod =
  | ('coop' | 'cocoop' | 'vpt' | 'ivlp' | 'mudpt' | 'umudpt')
  | ('maple' | 'kgcoop' | 'promptsrc' | 'tcp' | 'mmrl' | 'mmrlpp');

/**
 * Settings of a training run. Defaults are those of each method's paper, see {@link Clip.methods}; the ones named here
 * are MuDPT's. An option that a method does not have is refused.
 */
export interface TuneSettings {
  /** Prompt tokens a layer, 1 to 1024. Default 4. At most the phrase's number of words, where words are learned. */
  promptLength?: number;
  /** Layers that get prompts, from `fromLayer` on, 1 to 128. Default: all of the deeper tower. Not CoOp, CoCoOp. */
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
   * TCP: the text layer, counted from 0, at whose entrance the prompts become each class's own; at least 1. Default: at
   * two thirds of the text tower, 8 of 12.
   */
  layer?: number;
  /**
   * MuDPT, IVLP, PromptSRC, MMRL, MMRL++: the first layer that gets prompts, counted from 1, at most the shallower
   * tower's layers. What lies below is then computed once for each class, and for each picture (once in all with
   * `augment: false`). Default 1; MMRL's at the middle, 6 of 12.
   */
  fromLayer?: number;
  /** MMRL, MMRL++: width of the tokens of which prompts are made. Default 512. */
  space?: number;
  /** MMRL, MMRL++: share of the first of a picture's two features in scores and loss, 0 to 1. Default 0.7. */
  alpha?: number;
  /** MMRL++: share of a layer's own prompt, where one stands there already, 0 to 1. Default 0.9. */
  beta?: number;
  /** MMRL++: rank of what each layer's projection adds to that of all layers. Default 4. */
  rank?: number;
  /** MMRL++: rank of what the second feature's projection adds to the model's. Default 64. */
  projectionRank?: number;
  /**
   * KgCoOp, TCP, PromptSRC, MMRL, MMRL++, MuDPT, IVLP: weight of the loss's term that holds the classes' features near
   * the frozen model's, from 0. Default 8, 8, 25, 1, 1, 0, 0.
   */
  textWeight?: number;
  /** PromptSRC, MMRL, MMRL++, MuDPT, IVLP: the same of the pictures' features. Default 10, 1, 1, 0, 0. */
  imageWeight?: number;
  /** PromptSRC, MuDPT, IVLP: the same of the scores (Kullback-Leibler). Default 1, 0, 0. */
  klWeight?: number;
  /**
   * PromptSRC, MuDPT, IVLP: the epoch, from 1, about which the prompts of all epochs are averaged by a Gaussian; what
   * comes out of the run is that average. Default: three quarters of the epochs.
   */
  averageMean?: number;
  /** The Gaussian's deviation in epochs; 0: no average. Default: PromptSRC a twentieth of the epochs, otherwise 0. */
  averageDeviation?: number;
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
type SharedSettings = Omit<
  TuneSettings,
  | ('depth' | 'classPosition' | 'classSpecific' | 'injection' | 'layer0Fusion')
  | ('layer' | 'textWeight' | 'imageWeight' | 'klWeight' | 'averageMean' | 'averageDeviation')
  | ('fromLayer' | 'space' | 'alpha' | 'beta' | 'rank' | 'projectionRank')
>;
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
