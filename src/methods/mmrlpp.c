/* MMRL++ (Guo and Gu 2025): MMRL whose layers share one matrix a side, each with a difference of low rank of its own.
 *
 *   layer i: (weight + A_i B_i) tokens + bias_i      second feature: visual.proj + A B
 *
 * No matrix of a layer is made: what all layers share is computed once, A_i and B_i one after the other.
 */
#include <string.h>

#include "base/format.h"
#include "kernels/gemm.h"
#include "method.h"

typedef struct {
    float *thin;           /* [2 sides, text_depth, n, rank] tokens B_i^T */
    float *shared, *dthin; /* [n, d] tokens weight^T, in backward its gradient; [n, rank] */
} work;

static void declare(method_state *s) {
    int n = s->sizes.text_length, r = s->sizes.space, k = s->sizes.rank;
    char name[METHOD_NAME_ROOM];
    method_add(s, START_NORMAL, 0, "tokens", 2, n, r);
    for (int visual = 0; visual < 2; visual++) {
        space_side z = space_side_of(s, visual);
        format_text(name, sizeof name, "%s.weight", z.name);
        method_add(s, START_LINEAR, r, name, 2, z.width, r);
        for (int i = 0; i < s->sizes.text_depth; i++) {
            format_text(name, sizeof name, "%s.%d.A", z.name, i);
            method_add(s, START_LINEAR, k, name, 2, z.width, k);
            format_text(name, sizeof name, "%s.%d.B", z.name, i);
            method_add(s, START_ZERO, 0, name, 2, k, r);
            format_text(name, sizeof name, "%s.%d.bias", z.name, i);
            method_add(s, START_LINEAR, r, name, 1, z.width);
            if (i >= z.layers) method_idle(s, 3);
            if (i) method_start_again(s, 1, 3);
        }
    }
    if (s->sizes.second == 0) return;
    int q = s->sizes.projection_rank;
    method_add(s, START_LINEAR, q, "proj_rep.A", 2, s->clip->config.vision.width, q);
    method_add(s, START_ZERO, 0, "proj_rep.B", 2, q, s->clip->config.embed);
}

static void take(method_state *s, arena *a) {
    const mudpt_clip_config *c = &s->clip->config;
    size_t thin = (size_t)s->sizes.text_length * (size_t)s->sizes.rank;
    int wide = c->text.width > c->vision.width ? c->text.width : c->vision.width;
    work w = {0}, *kept = arena_take(a, sizeof *kept);
    w.thin = arena_floats(a, 2 * (size_t)s->sizes.text_depth * thin);
    w.dthin = arena_floats(a, thin);
    w.shared = arena_floats(a, (size_t)s->sizes.text_length * (size_t)wide);
    if (kept) *kept = w;
    s->work = kept;
}

/* One side's shared matrix is the tensor before its layer 0's three: they lie side by side in the list. */
static int first_tensor(const method_state *s, int visual) {
    return 1 + visual * (1 + 3 * s->sizes.text_depth);
}

static float *value(const method_state *s, int tensor) {
    return s->values + s->parameters[tensor].offset;
}

static float *gradient(const method_state *s, int tensor) {
    return s->gradients + s->parameters[tensor].offset;
}

static void forward(method_state *s) {
    const work *w = s->work;
    int n = s->sizes.text_length, r = s->sizes.space, k = s->sizes.rank, depth = s->sizes.text_depth;
    for (int visual = 0; visual < 2; visual++) {
        space_side z = space_side_of(s, visual);
        int at = first_tensor(s, visual);
        linear_forward(w->shared, s->values, value(s, at), NULL, n, z.width, r, 0);
        for (int i = 0; i < depth; i++) {
            float *thin = w->thin + (size_t)((visual * depth + i) * n * k);
            float *rows = z.prompts + (size_t)(i * n) * (size_t)z.width;
            memcpy(rows, w->shared, (size_t)n * (size_t)z.width * sizeof(float));
            linear_forward(thin, s->values, value(s, at + 3 * i + 2), NULL, n, k, r, 0);
            linear_forward(rows, thin, value(s, at + 3 * i + 1), value(s, at + 3 * i + 3), n, z.width, k, 1);
        }
    }
    if (s->sizes.second == 0) return;
    int d = s->clip->config.vision.width, e = s->clip->config.embed, q = s->sizes.projection_rank;
    clip_projection(s->clip, s->second);
    gemm_dense(s->second, e, method_value(s, "proj_rep.A"), q, 1, method_value(s, "proj_rep.B"), e, 1, d, e, q, 1);
}

static void backward(method_state *s) {
    const work *w = s->work;
    int n = s->sizes.text_length, r = s->sizes.space, k = s->sizes.rank, depth = s->sizes.text_depth;
    for (int visual = 0; visual < 2; visual++) {
        space_side z = space_side_of(s, visual);
        int at = first_tensor(s, visual), count = n * z.width;
        memset(w->shared, 0, (size_t)count * sizeof(float));
        for (int i = 0; i < z.layers; i++) {
            const float *drows = z.dprompts + (size_t)i * (size_t)count;
            const float *thin = w->thin + (size_t)((visual * depth + i) * n * k);
            for (int j = 0; j < count; j++) w->shared[j] += drows[j];
            linear_backward(w->dthin, gradient(s, at + 3 * i + 1), gradient(s, at + 3 * i + 3), drows, thin,
                            value(s, at + 3 * i + 1), n, z.width, k, 0);
            linear_backward(s->gradients, gradient(s, at + 3 * i + 2), NULL, w->dthin, s->values,
                            value(s, at + 3 * i + 2), n, k, r, 1);
        }
        linear_backward(s->gradients, gradient(s, at), NULL, w->shared, s->values, value(s, at), n, z.width, r, 1);
    }
    if (s->sizes.second == 0) return;
    int d = s->clip->config.vision.width, e = s->clip->config.embed, q = s->sizes.projection_rank;
    gemm_dense(method_gradient(s, "proj_rep.A"), q, s->dsecond, e, 1, method_value(s, "proj_rep.B"), 1, e, d, q, e, 1);
    gemm_dense(method_gradient(s, "proj_rep.B"), e, method_value(s, "proj_rep.A"), 1, q, s->dsecond, e, 1, q, e, d, 1);
}

const method method_mmrlpp = {.name = "mmrlpp",
                              .text = 1,
                              .visual = 1,
                              .same_sizes = 1,
                              .upper = 1,
                              .insertable = 1,
                              .of_space = 1,
                              .anchor = ANCHOR_COSINE,
                              .adam_eps = 1e-8f,
                              .decoupled = 1,
                              .declare = declare,
                              .take = take,
                              .reserve = method_reserve,
                              .forward = forward,
                              .backward = backward};
