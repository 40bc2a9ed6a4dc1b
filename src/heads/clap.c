/* CLAP: class directions that start at the text features, as they leave the tower, and are held near them the more the
 * better these were already (Silva-Rodriguez et al. 2024). */
#include <string.h>

#include "kernels/loss.h"
#include "kernels/softmax.h"
#include "head.h"

enum { WEIGHT, LAMBDA };
static const double FIRST_RATE = 1e-5; /* of epoch 0 */

static void take(mudpt_head *h) {
    head_tensor_take(h, "weight", h->config.classes, h->config.width, 1);
    head_tensor_take(h, "lambda", VECTOR, h->config.classes, 0);
    h->lengths = head_floats(h, 1, h->config.classes);
}

static void prepare(mudpt_head *h) {
    size_t count = h->tensors[WEIGHT].count;
    unit_forward(h->directions, h->lengths, h->tensors[WEIGHT].value, h->config.classes, h->config.width);
    for (size_t i = 0; i < count; i++) h->directions[i] *= h->config.scale;
}

/* lambda: the mean probability of the right class by text alone; of a class without rows, the mean of the others. */
static int start(mudpt_head *h, const float *features) {
    int classes = h->config.classes, present = 0;
    float *lambda = h->tensors[LAMBDA].value;
    double mean = 0;
    if (!features) return MUDPT_OK;
    head_renew_text(h, NULL);
    for (int first = 0; first < h->rows; first += HEAD_CHUNK) {
        int now = h->rows - first < HEAD_CHUNK ? h->rows - first : HEAD_CHUNK;
        head_support_logits(h, first, now);
        for (int i = 0; i < now; i++) {
            float *row = h->logits + i * classes;
            softmax_row(row, row, classes);
            lambda[head_label(h, first + i)] += row[head_label(h, first + i)];
        }
    }
    for (int c = 0; c < classes; c++) {
        if (!h->counts[c]) continue;
        lambda[c] /= (float)h->counts[c] * (float)h->config.views;
        mean += (double)lambda[c];
        present++;
    }
    for (int c = 0; c < classes; c++)
        if (!h->counts[c]) lambda[c] = (float)(mean / present);
    return MUDPT_OK;
}

static void collect(mudpt_head *h) {
    int e = h->config.width, classes = h->config.classes;
    float *gradient = h->tensors[WEIGHT].gradient;
    /* Directions are s times w of length one. */
    for (int c = 0; c < classes; c++) h->lengths[c] /= h->config.scale;
    for (size_t i = 0; i < h->tensors[WEIGHT].count; i++) h->directions[i] /= h->config.scale;
    unit_backward(gradient, h->ddirections, h->directions, h->lengths, classes, e);
    h->prepared = 0;
}

static double penalty(mudpt_head *h) {
    return head_penalty(&h->tensors[WEIGHT], h->classes, 1.0 / h->config.classes, h->tensors[LAMBDA].value);
}

static int choose(mudpt_head *h) {
    return head_choose_shuffled(h, 0, h->rows);
}

static double move(mudpt_head *h) {
    int epoch = h->step / h->steps_each;
    double rate = epoch ? head_cosine((double)h->config.rate, epoch - 1, h->config.epochs) : FIRST_RATE;
    head_sgd(&h->tensors[WEIGHT], rate, 0.9);
    return rate;
}

const head head_clap = {.name = "clap",
                        .uses = USES_SCALE | USES_RATE | USES_EPOCHS | USES_BATCH | NEEDS_PICTURES,
                        .classes = CLASS_RAW,
                        .take = take,
                        .start = start,
                        .prepare = prepare,
                        .collect = collect,
                        .penalty = penalty,
                        .choose = choose,
                        .move = move,
                        .renew = head_renew_text};
