import type { ModelSource } from '../index.js';

export interface OnnxOptions {
  /** The model that the classifier was made with. Another one is refused. */
  model: ModelSource;
  /** Of the classifier's file, for messages. */
  name?: string;
  /** As of `loadClip`. */
  cache?: boolean;
  /** As of `loadClip`. */
  timeout?: number;
  signal?: AbortSignal;
}

/**
 * A saved classifier as one ONNX file (opset 17), for onnxruntime and whatever else reads ONNX: the image tower with
 * the prompts in it, and the classes.
 *
 * In: `pixel_values` [batch, 3, side, side], RGB, as transformers' image processors make it. Out: `logits` and
 * `probabilities` [batch, classes], `image_embeds` [batch, width] of length one. The file's metadata name the `classes`
 * (JSON), and `image_size`, `image_mean` and `image_std`.
 *
 * Matrices that the model has as float16 are kept so and widened when the file is loaded; others are float32.
 *
 * @param bytes what `classifier.export()` gave; with prompts and without, but for CoCoOp's, and for heads
 * @throws {MudptError} `argument`, `classifier`, `file`, `network`, `model`, `memory`
 */
export function exportOnnx(bytes: Uint8Array | ArrayBuffer, options: OnnxOptions): Promise<Uint8Array<ArrayBuffer>>;
