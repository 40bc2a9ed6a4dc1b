/* The random box and mirror image of RandomResizedCrop with a coin, as torchvision draws them (with our generator). */
#include <math.h>

#include "base/series.h"
#include "image.h"

image_box image_random_box(int width, int height, float smallest, rng *r) {
    const double narrowest = 3.0 / 4, widest = 4.0 / 3;
    image_box box = {.height = 0};
    for (int tries = 0; tries < 10 && box.height == 0; tries++) {
        double area = (double)width * height * (smallest + (1 - (double)smallest) * rng_uniform(r));
        double ratio =
            series_exp(series_log(narrowest) + (series_log(widest) - series_log(narrowest)) * rng_uniform(r));
        double w = nearbyint(sqrt(area * ratio)), h = nearbyint(sqrt(area / ratio));
        if (w < 1 || h < 1 || w > width || h > height) continue;
        box.width = (int)w;
        box.height = (int)h;
        box.top = (int)rng_below(r, (uint32_t)(height - box.height) + 1);
        box.left = (int)rng_below(r, (uint32_t)(width - box.width) + 1);
    }
    if (box.height == 0) {
        double ratio = (double)width / height;
        box.width = ratio > widest ? (int)nearbyint(height * widest) : width;
        box.height = ratio < narrowest ? (int)nearbyint(width / narrowest) : height;
        box.top = (height - box.height) / 2;
        box.left = (width - box.width) / 2;
    }
    box.flip = (int)rng_below(r, 2);
    return box;
}
