/* SS-Text and SS-Text+: the class's text feature pulled towards the sum of its pictures, in closed form
 * (Silva-Rodriguez et al. 2025). */
#include <math.h>
#include <string.h>

#include "head.h"

static const double FLOOR = 1e-3; /* of the weight that the text is held with */

static void take(mudpt_head *h) {
    head_tensor_take(h, "weight", h->config.classes, h->config.width, 0);
    h->column = head_doubles(h, 1, h->config.width); /* sum of a class */
    h->sums = head_doubles(h, 1, h->config.width);   /* mean of w */
}

static int start(mudpt_head *h, const float *features) {
    int e = h->config.width, plus = h->kind == &head_sstext_plus;
    float *w = h->tensors[0].value;
    if (!features && h->config.pictures) return MUDPT_OK;
    memset(h->sums, 0, (size_t)e * sizeof *h->sums);
    for (int c = 0; c < h->config.classes; c++) {
        int rows = head_class_sum(h, c, h->column);
        double lambda = rows ? fmax(1.0 / (plus ? rows : h->rows), FLOOR) : 1;
        double factor = rows ? (double)h->config.scale / (h->rows * lambda) : 0;
        for (int i = 0; i < e; i++) {
            size_t at = (size_t)c * (size_t)e + (size_t)i;
            w[at] = (float)(factor * h->column[i] + (double)h->classes[at]);
            h->sums[i] += (double)w[at] / h->config.classes;
        }
    }
    for (int c = 0; c < h->config.classes && plus; c++) {
        float *row = w + (size_t)c * (size_t)e;
        double square = 0;
        for (int i = 0; i < e; i++) {
            h->column[i] = 2 * (double)row[i] - h->sums[i];
            square += h->column[i] * h->column[i];
        }
        for (int i = 0; i < e && square > 0; i++) row[i] = (float)((double)row[i] - h->column[i] / sqrt(square));
    }
    return MUDPT_OK;
}

static void prepare(mudpt_head *h) {
    int e = h->config.width;
    for (int c = 0; c < h->config.classes; c++) {
        size_t at = (size_t)c * (size_t)e;
        head_unit(h->directions + at, h->tensors[0].value + at, (double)h->config.scale, e);
    }
}

const head head_sstext = {.name = "sstext",
                          .uses = USES_SCALE,
                          .classes = CLASS_MEAN,
                          .take = take,
                          .start = start,
                          .prepare = prepare,
                          .renew = head_renew_text};

const head head_sstext_plus = {.name = "sstext+",
                               .uses = USES_SCALE,
                               .classes = CLASS_MEAN,
                               .take = take,
                               .start = start,
                               .prepare = prepare,
                               .renew = head_renew_text};
