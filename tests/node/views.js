/** What tests look at in pictures and no program needs: pixels, views and their normalisation by the C library. */
import { TRANSFORM } from '../../js/core/structs.js';

const call = (core, name, ...args) => core.memory.module[`_mudpt_${name}`](...args);

export function imageSize(core, image) {
  return { width: call(core, 'image_width', image), height: call(core, 'image_height', image) };
}

/** @returns {Uint8Array} [height, width, 3] */
export function imageRgb(core, image) {
  const { width, height } = imageSize(core, image);
  return core.memory.bytes(call(core, 'image_rgb', image) >>> 0, width * height * 3).slice();
}

/** @param {object} [transform] as in structs.js; default: CLIP's @returns {Uint8Array} [size, size, 3] */
export function testView(core, image, size, transform) {
  return core.memory.scoped((scratch) => {
    const at = transform ? scratch.putStruct(TRANSFORM, transform) : 0;
    return core.memory.bytesFrom(size * size * 3, (out) => call(core, 'image_test_view', image, at, size, out));
  });
}

/** @returns {Uint8Array} [size, size, 3] */
export function cropView(core, image, { top, left, height, width, flip = false }, size) {
  const box = [top, left, height, width, Number(flip)];
  return core.memory.bytesFrom(size * size * 3, (out) => call(core, 'image_crop_view', image, ...box, size, out));
}

/** @param {Uint8Array} rgb [size, size, 3] @returns {Float32Array} [3, size, size] */
export function normalize(core, rgb, size, mean, std) {
  return core.memory.scoped((scratch) => {
    const at = [rgb, Float32Array.from(mean), Float32Array.from(std)].map((values) => scratch.put(values));
    return core.memory.floatsFrom(rgb.length, (out) => {
      call(core, 'normalize', at[0], size, at[1], at[2], out);
      return 0;
    });
  });
}

/** What a model sees of a box. @returns {Float32Array} [3, side, side] */
export function cropPixels(core, clip, image, { top, left, height, width, flip = false }, side) {
  const box = [top, left, height, width, Number(flip)];
  return core.memory.floatsFrom(3 * side ** 2, (out) => call(core, 'clip_crop_pixels', clip, image, ...box, out));
}
