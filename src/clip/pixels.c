/* Pictures as a model reads them: a view at its size, normalised by its mean and standard deviation. */
#include <stdlib.h>

#include "base/error.h"
#include "image/image.h"
#include "weights.h"

static int pixels(const mudpt_clip *clip, const mudpt_image *image, const image_box *box, float *out) {
    int size = clip->config.image;
    uint8_t *rgb = malloc((size_t)size * (size_t)size * 3);
    if (!rgb) return fail_memory((size_t)size * (size_t)size * 3, "a picture at the model's size");
    int code = box ? mudpt_image_crop_view(image, box->top, box->left, box->height, box->width, box->flip, size, rgb)
                   : mudpt_image_test_view(image, size, rgb);
    if (!code) mudpt_normalize(rgb, size, clip->config.mean, clip->config.std, out);
    free(rgb);
    return code;
}

int mudpt_clip_test_pixels(const mudpt_clip *clip, const mudpt_image *image, float *out) {
    return pixels(clip, image, NULL, out);
}

int mudpt_clip_crop_pixels(const mudpt_clip *clip, const mudpt_image *image, int top, int left, int height, int width,
                           int flip, float *out) {
    image_box box = {top, left, height, width, flip};
    return pixels(clip, image, &box, out);
}
