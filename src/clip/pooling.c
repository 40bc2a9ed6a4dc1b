#include "pooling.h"

#include <string.h>

#include "kernels/activation.h"
#include "kernels/layernorm.h"

void project_forward(float *features, const float *rows, const gemm_weight *projection, const float *bias, int count,
                     int d) {
    if (!projection->out) {
        memcpy(features, rows, (size_t)count * (size_t)d * sizeof(float));
        return;
    }
    gemm_forward(features, rows, projection, bias, count, 0);
}

void project_backward(float *drows, const float *dfeatures, const gemm_weight *projection, int count, int d) {
    if (projection->out) gemm_backward(drows, dfeatures, projection, count, 0);
    else memcpy(drows, dfeatures, (size_t)count * (size_t)d * sizeof(float));
}

int pooling_seen(const mudpt_clip_config *c) {
    return c->vision.pooling == MUDPT_POOL_TOKEN ? 1 : clip_picture_rows(c);
}

void pooling_open(pooling *p, arena *a, const mudpt_clip *clip, int group, int training) {
    const mudpt_clip_config *c = &clip->config;
    uint64_t d = (uint64_t)c->vision.width, most = (uint64_t)group, mlp = (uint64_t)c->pool_mlp;
    *p = (pooling){.clip = clip, .seen = pooling_seen(c)};
    uint64_t rows = most * (uint64_t)p->seen, normed = c->norm_after_pool ? most : rows;
    p->pooled = arena_floats(a, most * d);
    p->rows = c->norm_after_pool || c->vision.pooling == MUDPT_POOL_TOKEN ? p->pooled : arena_floats(a, rows * d);
    if (training) {
        p->xhat = arena_floats(a, normed * d);
        p->rstd = arena_floats(a, normed);
    }
    if (c->vision.pooling != MUDPT_POOL_ATTENTION) return;
    int *queries = arena_take(a, (most + 1) * sizeof(int)), *keys = arena_take(a, (most + 1) * sizeof(int));
    for (int i = 0; a->base && i <= group; i++) {
        queries[i] = i;
        keys[i] = i * p->seen;
    }
    p->attention = (attention_shape){.heads = c->pool_heads,
                                     .head_width = c->vision.width / c->pool_heads,
                                     .query_start = queries,
                                     .key_start = keys};
    p->q = arena_floats(a, most * d);
    p->kv = arena_floats(a, rows * 2 * d);
    p->o = arena_floats(a, most * d);
    p->h = arena_floats(a, most * d);
    p->head_xhat = arena_floats(a, most * d);
    p->head_rstd = arena_floats(a, most);
    p->u = arena_floats(a, most * mlp);
    p->g = arena_floats(a, most * mlp);
}

/* ------------------------------------------------------------------------------------------------ mean */

/* The patches are a picture's last rows. */
static void mean_forward(const pooling *p, float *pooled, const float *rows, int count) {
    int patches = clip_patches(&p->clip->config);
    size_t d = (size_t)p->clip->config.vision.width;
    for (int i = 0; i < count; i++, pooled += d) {
        rows += (size_t)(p->seen - patches) * d;
        memset(pooled, 0, d * sizeof(float));
        for (int row = 0; row < patches; row++, rows += d)
            for (size_t k = 0; k < d; k++) pooled[k] += rows[k];
        for (size_t k = 0; k < d; k++) pooled[k] /= (float)patches;
    }
}

static void mean_backward(const pooling *p, float *drows, const float *dpooled, int count) {
    int patches = clip_patches(&p->clip->config), others = p->seen - patches;
    size_t d = (size_t)p->clip->config.vision.width;
    for (int i = 0; i < count; i++, dpooled += d) {
        memset(drows, 0, (size_t)others * d * sizeof(float));
        drows += (size_t)others * d;
        for (int row = 0; row < patches; row++, drows += d)
            for (size_t k = 0; k < d; k++) drows[k] = dpooled[k] / (float)patches;
    }
}

/* ------------------------------------------------------------------------------------------------ attention */

/* The probe's query is the same for all pictures: q = W_q probe + b_q. Then y = attention, y += MLP(LayerNorm(y)). */
static void head_forward(pooling *p, float *y, const float *rows, int count) {
    const clip_block *b = &p->clip->pool;
    int d = b->width;
    gemm_job to_q = {.weight = &b->in_proj,
                     .count = d,
                     .rows = 1,
                     .a = p->clip->probe,
                     .lda = d,
                     .c = p->q,
                     .ldc = d,
                     .bias = b->in_proj_bias};
    gemm_job to_kv = {.weight = &b->in_proj,
                      .first = d,
                      .count = 2 * d,
                      .rows = count * p->seen,
                      .a = rows,
                      .lda = d,
                      .c = p->kv,
                      .ldc = 2 * d,
                      .bias = b->in_proj_bias};
    gemm_run(&to_q);
    for (int i = 1; i < count; i++) memcpy(p->q + (size_t)i * (size_t)d, p->q, (size_t)d * sizeof(float));
    gemm_run(&to_kv);
    p->attention.sequences = count;
    attention_forward(p->o, p->q, p->kv, p->kv + d, NULL, NULL, 2 * d, &p->attention);
    gemm_forward(y, p->o, &b->out_proj, b->out_proj_bias, count, 0);
    layernorm_forward(p->h, p->head_xhat, p->head_rstd, y, b->ln_2_gain, b->ln_2_bias, count, d, b->epsilon);
    gemm_forward(p->u, p->h, &b->fc, b->fc_bias, count, 0);
    activation_forward(b->activation, p->g, p->u, (size_t)count * (size_t)b->mlp);
    gemm_forward(y, p->g, &b->proj, b->proj_bias, count, 1);
}

/* drows [count, seen, d] from dy [count, d], which is used up. The probe is frozen: nothing reaches its query. */
static void head_backward(pooling *p, float *drows, float *dy, float *dkv, int count) {
    const clip_block *b = &p->clip->pool;
    int d = b->width, rows = count * p->seen;
    gemm_backward(p->g, dy, &b->proj, count, 0);
    activation_backward(b->activation, p->g, p->g, p->u, (size_t)count * (size_t)b->mlp);
    gemm_backward(p->h, p->g, &b->fc, count, 0);
    layernorm_backward(dy, p->h, p->head_xhat, p->head_rstd, b->ln_2_gain, count, d, 1);
    gemm_backward(p->o, dy, &b->out_proj, count, 0);
    memset(dkv, 0, (size_t)rows * 2 * (size_t)d * sizeof(float));
    attention_backward(NULL, dkv, dkv + d, NULL, NULL, p->o, p->q, p->kv, p->kv + d, NULL, NULL, 2 * d, &p->attention,
                       0);
    gemm_run(&(gemm_job){.weight = &b->in_proj,
                         .transposed = 1,
                         .first = d,
                         .count = 2 * d,
                         .rows = rows,
                         .a = dkv,
                         .lda = 2 * d,
                         .c = drows,
                         .ldc = d});
}

/* ------------------------------------------------------------------------------------------------ all of it */

void pooling_forward(pooling *p, float *features, const float *y, int count) {
    const mudpt_clip *clip = p->clip;
    const mudpt_clip_config *c = &clip->config;
    int d = c->vision.width, rows = count * p->seen;
    float epsilon = clip_epsilon(&c->vision);
    if (c->norm_after_pool) {
        mean_forward(p, p->pooled, y, count);
        y = p->pooled;
        rows = count;
    }
    layernorm_forward(p->rows, p->xhat, p->rstd, y, clip->ln_post_gain, clip->ln_post_bias, rows, d, epsilon);
    if (c->vision.pooling == MUDPT_POOL_ATTENTION) head_forward(p, p->pooled, p->rows, count);
    else if (c->vision.pooling == MUDPT_POOL_MEAN && !c->norm_after_pool) mean_forward(p, p->pooled, p->rows, count);
    project_forward(features, p->pooled, &clip->vision_projection, clip->vision_projection_bias, count, d);
}

void pooling_backward(pooling *p, float *dy, const float *dfeatures, float *scratch_kv, int count) {
    const mudpt_clip *clip = p->clip;
    const mudpt_clip_config *c = &clip->config;
    int d = c->vision.width;
    const float *gain = clip->ln_post_gain;
    project_backward(p->pooled, dfeatures, &clip->vision_projection, count, d);
    if (c->norm_after_pool) {
        layernorm_backward(p->pooled, p->pooled, p->xhat, p->rstd, gain, count, d, 0);
        mean_backward(p, dy, p->pooled, count);
        return;
    }
    if (c->vision.pooling == MUDPT_POOL_ATTENTION) head_backward(p, p->rows, p->pooled, scratch_kv, count);
    else if (c->vision.pooling == MUDPT_POOL_MEAN) mean_backward(p, p->rows, p->pooled, count);
    layernorm_backward(dy, p->rows, p->xhat, p->rstd, gain, count * p->seen, d, 0);
}
