/* Tip-Adapter, whose keys are the pictures' features, and Tip-Adapter-F, which trains them (Zhang et al. 2022). */
#include <string.h>

#include "base/error.h"
#include "kernels/exp.h"
#include "kernels/gemm.h"
#include "head.h"

static void take(mudpt_head *h) {
    int pictures = h->config.pictures;
    head_tensor_take(h, "keys", pictures, h->config.width, h->kind->choose != NULL);
    h->near = head_floats(h, HEAD_CHUNK, pictures + 3); /* how near rows are to keys */
}

static int start(mudpt_head *h, const float *features) {
    const mudpt_head_config *c = &h->config;
    int e = c->width;
    for (int n = 0; n < c->pictures && features; n++) {
        float *key = h->tensors[0].value + (size_t)n * (size_t)e;
        for (int i = 0; i < e; i++) {
            double sum = 0;
            for (int v = 0; v < c->views; v++)
                sum += (double)features[((size_t)v * (size_t)c->pictures + (size_t)n) * (size_t)e + (size_t)i];
            key[i] = (float)(sum / c->views);
        }
        if (head_unit(key, key, 1, e) == 0)
            return fail(MUDPT_NOT_FINITE, "the views of picture %d cancel: their mean has no direction", n);
    }
    return MUDPT_OK;
}

/* alpha exp(-beta (1 - u key)) goes to the key's class, and stays in h->near. */
static void more(mudpt_head *h, const float *features, int support, int count) {
    const mudpt_head_config *c = &h->config;
    int keys = c->pictures, e = c->width;
    float *near = h->near;
    (void)features, (void)support;
    gemm_dense(near, keys, h->u, e, 1, h->tensors[0].value, 1, e, count, keys, e, 0);
    int values = count * keys;
    for (int i = 0; i < values; i += 4) { /* the last few may be beyond: there is room */
        v128_t x = wasm_f32x4_sub(wasm_v128_load(near + i), wasm_f32x4_splat(1));
        x = exp_f32x4(wasm_f32x4_mul(x, wasm_f32x4_splat(c->beta)));
        wasm_v128_store(near + i, wasm_f32x4_mul(x, wasm_f32x4_splat(c->alpha)));
    }
    for (int i = 0; i < count; i++)
        for (int n = 0; n < keys; n++) h->logits[i * c->classes + h->labels[n]] += near[i * keys + n];
}

static void back(mudpt_head *h, int count) {
    const mudpt_head_config *c = &h->config;
    int keys = c->pictures, e = c->width;
    float *near = h->near;
    for (int i = 0; i < count; i++)
        for (int n = 0; n < keys; n++) near[i * keys + n] *= c->beta * h->logits[i * c->classes + h->labels[n]];
    gemm_dense(h->tensors[0].gradient, e, near, 1, keys, h->u, e, 1, keys, e, count, 1);
}

/* An epoch goes over the pictures of one view. */
static int choose(mudpt_head *h) {
    int view = h->step / h->steps_each % h->config.views, pictures = h->config.pictures;
    return head_choose_shuffled(h, view * pictures, pictures);
}

static double move(mudpt_head *h) {
    double rate = head_cosine((double)h->config.rate, h->step, h->steps);
    head_adam(h, &h->tensors[0], rate, 0.01);
    return rate;
}

const head head_tip = {.name = "tip",
                       .uses = USES_SCALE | USES_ALPHA | USES_BETA,
                       .classes = CLASS_UNIT,
                       .take = take,
                       .start = start,
                       .prepare = head_text_directions,
                       .more = more,
                       .renew = head_renew_text};

const head head_tip_f = {.name = "tip-f",
                         .uses = USES_SCALE | USES_ALPHA | USES_BETA | USES_RATE | USES_EPOCHS | USES_BATCH |
                                 NEEDS_PICTURES,
                         .classes = CLASS_UNIT,
                         .take = take,
                         .start = start,
                         .prepare = head_text_directions,
                         .more = more,
                         .back = back,
                         .choose = choose,
                         .move = move,
                         .renew = head_renew_text};
