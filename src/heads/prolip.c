/* ProLIP: the last projection of the image tower is trained, and held near the model's (Fahes et al. 2024). The text
 * side stays, so classes can be added by name. */
#include <string.h>

#include "kernels/gemm.h"
#include "kernels/loss.h"
#include "head.h"

static void take(mudpt_head *h) {
    head_tensor_take(h, "proj", h->config.before, h->config.width, 1);
    h->square = head_floats(h, HEAD_CHUNK, h->config.width); /* gradient of u */
    h->lengths = head_floats(h, 1, HEAD_CHUNK);
}

static int start(mudpt_head *h, const float *features) {
    (void)features;
    memcpy(h->tensors[0].value, h->projection, h->tensors[0].count * sizeof(float));
    return MUDPT_OK;
}

static int renew(mudpt_head *h, const mudpt_head *from) {
    memcpy(h->tensors[0].value, from->tensors[0].value, h->tensors[0].count * sizeof(float));
    return MUDPT_OK;
}

static void intake(const mudpt_head *h, float *rows, const float *features, int count) {
    memcpy(rows, features, (size_t)count * (size_t)h->width * sizeof(float));
}

static void input(mudpt_head *h, int count) {
    int e = h->config.width, before = h->config.before;
    gemm_dense(h->u, e, h->x, before, 1, h->tensors[0].value, e, 1, count, e, before, 0);
    unit_forward(h->u, h->lengths, h->u, count, e);
}

static void back(mudpt_head *h, int count) {
    int e = h->config.width, before = h->config.before, classes = h->config.classes;
    gemm_dense(h->square, e, h->logits, classes, 1, h->directions, e, 1, count, e, classes, 0);
    unit_backward(h->square, h->square, h->u, h->lengths, count, e);
    gemm_dense(h->tensors[0].gradient, e, h->x, 1, before, h->square, e, 1, before, e, count, 1);
}

static double penalty(mudpt_head *h) {
    return head_penalty(&h->tensors[0], h->projection, (double)h->config.lambda, NULL);
}

/* Views 1, 2, ..., V - 1, 0, 1, ... */
static int choose(mudpt_head *h) {
    int pictures = h->config.pictures, view = (h->step + 1) % h->config.views;
    for (int i = 0; i < pictures; i++) h->order[i] = view * pictures + i;
    return pictures;
}

static double move(mudpt_head *h) {
    double rate = head_cosine((double)h->config.rate, h->step, h->steps);
    head_adam(h, &h->tensors[0], rate, 0);
    return rate;
}

const head head_prolip = {.name = "prolip",
                          .uses = USES_SCALE | USES_LAMBDA | USES_RATE | USES_EPOCHS | USES_BEFORE | NEEDS_PICTURES,
                          .classes = CLASS_UNIT,
                          .take = take,
                          .start = start,
                          .prepare = head_text_directions,
                          .intake = intake,
                          .input = input,
                          .back = back,
                          .penalty = penalty,
                          .choose = choose,
                          .move = move,
                          .renew = renew};
