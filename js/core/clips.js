/** The library's models, made of a configuration and tensors that are sent piece by piece, and pictures for them. */
import { MudptError } from '../base/errors.js';
import { Library } from './library.js';
import * as structs from './structs.js';

const SKIP = 2;
const STAGING_BYTES = 256 * 1024;

/** @typedef {import('./structs.js').ClipConfig} ClipConfig */

export class Clips extends Library {
  #staging = 0;
  /** @type {Map<number, ClipConfig>} */
  #clips = new Map();

  dispose() {
    super.dispose();
    this.#clips.clear();
  }

  /** What a model was made with. @param {number} clip @returns {ClipConfig} */
  configOf(clip) {
    const config = this.memory.module && this.#clips.get(clip);
    if (config) return config;
    throw new MudptError('state', 'this model has been freed', 'load it again');
  }

  /** @param {ClipConfig} config @returns {number} */
  clipCreate(config) {
    const values = { storage: -1, ...config };
    const clip = this.memory.scoped((scratch) => {
      const at = scratch.putStruct(structs.CLIP_CONFIG, { ...values, ...values.transform });
      return this.memory.handle((out) => this.c._mudpt_clip_create(at, out));
    });
    this.#clips.set(clip, values);
    return clip;
  }

  /**
   * Whether a tensor is a weight that must be sent; undefined where no CLIP has such a tensor.
   * @param {number} clip
   * @param {string} name
   */
  clipWants(clip, name) {
    const answer = this.memory.scoped((scratch) => this.c._mudpt_clip_wants(clip, scratch.putString(name)));
    return answer < 0 ? undefined : Boolean(answer);
  }

  /** Gives a row of the token embedding (TEXT.ROWS). @param {number} clip @param {Uint8Array} row its bytes */
  clipToken(clip, id, dtype, row) {
    this.memory.scoped((scratch) => this.memory.check(this.c._mudpt_clip_token(clip, id, dtype, scratch.put(row))));
  }

  /** Whether the row of a token is there. @param {number} clip @param {number} id */
  clipHasToken(clip, id) {
    return Boolean(this.c._mudpt_clip_has_token(clip, id));
  }

  /** Of a vector from every row of the token embedding. @param {number} clip @param {Float32Array} vector */
  clipTokenDistances(clip, vector) {
    return this.memory.scoped((scratch) => {
      const [at, { vocab }] = [scratch.put(vector), this.configOf(clip)];
      return this.memory.floatsFrom(vocab, (out) => this.c._mudpt_clip_token_distances(clip, at, out));
    });
  }

  /**
   * @param {number} clip
   * @param {string} name
   * @param {number} dtype a value of DTYPES, or -1 for a type that no weight can have
   * @param {number[]} shape
   * @returns {boolean} whether the bytes are wanted
   */
  clipTensorBegin(clip, name, dtype, shape) {
    return this.memory.scoped((scratch) => {
      const [nameAt, shapeAt] = [scratch.putString(name), scratch.put(Int32Array.from(shape))];
      const code = this.c._mudpt_clip_tensor_begin(clip, nameAt, dtype, shapeAt, shape.length);
      return this.memory.check(code) !== SKIP;
    });
  }

  /** @param {number} clip @param {Uint8Array} data the next bytes of the tensor, any number */
  clipTensorBytes(clip, data) {
    this.#staging ||= this.memory.alloc(STAGING_BYTES);
    for (let start = 0; start < data.length; start += STAGING_BYTES) {
      const piece = data.subarray(start, start + STAGING_BYTES);
      this.memory.bytes(this.#staging, piece.length).set(piece);
      this.memory.check(this.c._mudpt_clip_tensor_bytes(clip, this.#staging, piece.length));
    }
  }

  /** @param {number} clip */
  clipTensorEnd(clip) {
    this.memory.check(this.c._mudpt_clip_tensor_end(clip));
  }

  /** @param {number} clip */
  clipFinish(clip) {
    this.#freeStaging();
    this.memory.check(this.c._mudpt_clip_finish(clip));
  }

  /** @param {number} clip */
  clipFree(clip) {
    this.#freeStaging();
    if (this.#clips.delete(clip)) this.c._mudpt_clip_free(clip);
  }

  #freeStaging() {
    this.memory.free(this.#staging);
    this.#staging = 0;
  }

  /** @param {number} clip @returns {string} 16 hexadecimal digits */
  clipFingerprint(clip) {
    return this.memory.string(this.c._mudpt_clip_fingerprint(clip));
  }

  /**
   * Some values of every weight, each followed by how far another storage type of the same can be off.
   * @param {number} clip
   * @returns {Float32Array}
   */
  clipSamples(clip) {
    const count = this.c._mudpt_clip_samples(clip, 0);
    return this.memory.floatsFrom(count, (out) => (this.c._mudpt_clip_samples(clip, out), 0));
  }

  /** @param {number} clip @returns {number} */
  clipWeightBytes(clip) {
    return this.c._mudpt_clip_weight_bytes(clip) >>> 0;
  }

  /** As if blocks' matrices were kept as another type. @param {number} clip @param {number} storage of DTYPES */
  clipWeightBytesAs(clip, storage) {
    return this.c._mudpt_clip_weight_bytes_as(clip, storage);
  }

  /** What rows before the image tower's projection are multiplied by. @param {number} clip @returns {Float32Array} */
  clipProjection(clip) {
    const { visionWidth, embed } = this.configOf(clip);
    return this.memory.floatsFrom(visionWidth * embed, (out) => this.c._mudpt_clip_projection(clip, out));
  }

  /** @param {number} clip @returns {number} what cosines are multiplied by */
  clipLogitScale(clip) {
    return this.c._mudpt_clip_logit_scale(clip);
  }

  /** @param {number} clip @returns {number} what sigmoid scores add to that; 0 where the model has none */
  clipLogitBias(clip) {
    return this.c._mudpt_clip_logit_bias(clip);
  }

  /** @param {Uint8Array} file JPEG, PNG, GIF or BMP @param {number} [how] it is read: as in mudpt.h */
  imageDecode(file, how = 0) {
    return this.memory.scoped((scratch) => {
      const at = scratch.put(file);
      return this.memory.handle((out) => this.c._mudpt_image_decode(at, file.length, how, out));
    });
  }

  /**
   * @param {Uint8Array | Uint8ClampedArray} pixels [height, width, channels]
   * @param {number} width @param {number} height @param {1 | 3 | 4} channels @returns {number}
   */
  imageFromPixels(pixels, width, height, channels) {
    if (![1, 3, 4].includes(channels) || pixels.length !== width * height * channels) {
      const expected = `${width} x ${height} x 1, 3 or 4 were expected`;
      throw new MudptError('image', `there are ${pixels.length} pixel values where ${expected}`);
    }
    return this.memory.scoped((scratch) => {
      const at = scratch.put(pixels);
      return this.memory.handle((out) => this.c._mudpt_image_from_pixels(at, width, height, channels, out));
    });
  }

  /** @param {number} image */
  imageFree(image) {
    if (!this.disposed) this.c._mudpt_image_free(image);
  }

  /** The test transform. @param {number} clip @param {number} image @returns {Float32Array} [3, image, image] */
  clipTestPixels(clip, image) {
    return this.memory.floatsFrom(3 * this.configOf(clip).image ** 2, (out) =>
      this.c._mudpt_clip_test_pixels(clip, image, out),
    );
  }

  /**
   * A random crop and mirror image, the same for a seed and a view.
   * @param {number} clip @param {number} image @param {number} smallest share of its area @param {number} seed
   * @param {number} view
   * @returns {Float32Array} [3, image, image]
   */
  clipRandomPixels(clip, image, smallest, seed, view) {
    return this.memory.floatsFrom(3 * this.configOf(clip).image ** 2, (out) =>
      this.c._mudpt_clip_random_pixels(clip, image, smallest, seed, view, out),
    );
  }

  /**
   * The same of picture files, one on each thread.
   * @param {number} clip @param {Uint8Array[]} files @param {number} [how] they are read: as in mudpt.h
   * @returns {(Float32Array | null)[]} null: it cannot be decoded, and imageDecode tells why
   */
  clipTestFiles(clip, files, how = 0) {
    const count = files.length;
    const size = 3 * this.configOf(clip).image ** 2;
    return this.memory.scoped((scratch) => {
      const at = scratch.put(Uint32Array.from(files, (file) => scratch.put(file)));
      const bytes = scratch.put(Uint32Array.from(files, (file) => file.length));
      const [out, codes] = [scratch.take(count * size * 4), scratch.take(count * 4)];
      this.c._mudpt_clip_test_files(clip, count, at, bytes, how, out, codes);
      const given = new Int32Array(this.memory.buffer, codes, count);
      return files.map((_, i) => (given[i] ? null : this.memory.floats(out + i * size * 4, size).slice()));
    });
  }
}
