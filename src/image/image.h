/* Pictures: decoding, PIL-exact resizing, the views that training and testing show the model. */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include <stdint.h>

#include "base/rng.h"
#include "mudpt.h"

struct mudpt_image {
    int width, height;
    uint8_t *rgb; /* [height, width, 3] */
};

typedef struct {
    int top, left, height, width, flip;
} image_box;

/* MUDPT_ARGUMENT where a value is none of those in mudpt.h. */
int image_check_transform(const mudpt_transform *transform);

/* RandomResizedCrop's box (area smallest ... 1 of the picture, ratio 3/4 ... 4/3, ten tries, then the largest centred
 * square-ish box, as torchvision does) and a coin for the mirror image. */
image_box image_random_box(int width, int height, float smallest, rng *r);

#endif
