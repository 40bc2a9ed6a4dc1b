/** How many pictures go through the image tower in this process, from the import on. */
import { Classifiers } from '../js/core/classifiers.js';

/** Goes up with each. */
export const counted = { pictures: 0 };

for (const name of ['classifierImageFeatures', 'classifierLogits']) {
  const method = Classifiers.prototype[name];
  Classifiers.prototype[name] = function (handle, pixels, ...rest) {
    counted.pictures += pixels.length / (3 * this.shapeOf(handle).config.image ** 2);
    return method.call(this, handle, pixels, ...rest);
  };
}
