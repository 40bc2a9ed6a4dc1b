/* LP++: a linear classifier and a weight of the text for each class, with rates from the data (Huang et al. 2024). */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "head.h"

enum { WEIGHT, BIAS, ALPHA, RATES };
enum { ALPHA_STEPS = 10 }; /* between two moves of alpha */

static void take(mudpt_head *h) {
    int classes = h->config.classes;
    head_tensor_take(h, "weight", classes, h->config.width, 1);
    head_tensor_take(h, "bias", VECTOR, classes, 1);
    head_tensor_take(h, "alpha", VECTOR, classes, 1);
    head_tensor_take(h, "rates", VECTOR, 2, 0);
    h->column = head_doubles(h, 2, h->config.width);
    h->common = head_floats(h, 1, h->config.width);
}

static int start(mudpt_head *h, const float *features) {
    int e = h->config.width, classes = h->config.classes;
    double own = 0, most = 0, *sum = h->column;
    if (!features) return MUDPT_OK;
    for (int c = 0; c < classes; c++) {
        const float *t = h->classes + (size_t)c * (size_t)e;
        int rows = head_class_sum(h, c, sum);
        double cosine = 0, squares = 0;
        for (int i = 0; i < e; i++) {
            h->tensors[WEIGHT].value[(size_t)c * (size_t)e + (size_t)i] = (float)sum[i];
            cosine += sum[i] * (double)t[i];
        }
        own += rows ? cosine / rows / classes : 0;
        for (int r = 0; r < h->rows; r++) {
            double x = head_dot(h->support + (size_t)r * (size_t)e, t, e);
            squares += x * x;
        }
        most = fmax(most, squares);
    }
    h->tensors[RATES].value[0] = (float)(4 * h->rows / solve_largest(h->support, h->rows, e, h->column));
    h->tensors[RATES].value[1] = (float)(h->rows / (4 * most));
    rng r;
    rng_seed(&r, h->config.seed, 1);
    for (int c = 0; c < classes; c++) {
        h->tensors[BIAS].value[c] = (float)((2 * rng_uniform(&r) - 1) / sqrt(e));
        h->tensors[ALPHA].value[c] = (float)(250 * own);
    }
    return MUDPT_OK;
}

/* Alpha is in the hundreds and most of what it adds is the same for all classes, whose share of rounding would be left
 * of small losses: their mean is taken out. */
static void prepare(mudpt_head *h) {
    int e = h->config.width, classes = h->config.classes;
    for (int c = 0; c < classes; c++) h->biases[c] = h->tensors[BIAS].value[c];
    for (int i = 0; i < e; i++) {
        double sum = 0;
        for (int pass = 0; pass < 2; pass++)
            for (int c = 0; c < classes; c++) {
                size_t at = (size_t)c * (size_t)e + (size_t)i;
                double full =
                    (double)h->tensors[WEIGHT].value[at] + (double)h->tensors[ALPHA].value[c] * (double)h->classes[at];
                if (pass) h->directions[at] = (float)(full - sum / classes);
                else sum += full;
            }
        h->common[i] = (float)(sum / classes);
    }
}

static void collect(mudpt_head *h) {
    int e = h->config.width;
    memcpy(h->tensors[WEIGHT].gradient, h->ddirections, h->tensors[WEIGHT].count * sizeof(float));
    memcpy(h->tensors[BIAS].gradient, h->dbiases, h->tensors[BIAS].count * sizeof(float));
    for (int c = 0; c < h->config.classes; c++) {
        size_t at = (size_t)c * (size_t)e;
        h->tensors[ALPHA].gradient[c] = (float)head_dot(h->ddirections + at, h->classes + at, e);
    }
}

/* Alpha's gradients are gathered over the whole run and never cleared, as in the authors' code. */
static double move(mudpt_head *h) {
    double rate = (double)h->tensors[RATES].value[0];
    head_tensor *alpha = &h->tensors[ALPHA];
    head_sgd(&h->tensors[WEIGHT], rate, 0.9);
    head_sgd(&h->tensors[BIAS], rate, 0.9);
    head_sgd(alpha, (h->step + 1) % ALPHA_STEPS ? 0 : (double)h->tensors[RATES].value[1], 1);
    return rate;
}

const head head_lpp = {.name = "lp++",
                       .uses = USES_EPOCHS | NEEDS_PICTURES | FIRST_VIEW,
                       .classes = CLASS_UNIT,
                       .take = take,
                       .start = start,
                       .prepare = prepare,
                       .collect = collect,
                       .choose = head_choose_all,
                       .move = move};
