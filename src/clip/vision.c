#include "vision.h"

#include <string.h>

#include "base/error.h"
#include "base/parallel.h"
#include "base/simd.h"
#include "device.h"
#include "kernels/layernorm.h"
#include "kernels/rope.h"
#include "kernels/softmax.h"

int vision_group(const mudpt_clip *clip, int prompts, int batch) {
    enum { ROWS = 192 }; /* from here on products run at full speed */
    int length = clip_picture_rows(&clip->config) + prompts, rows = device_rows() > ROWS ? device_rows() : ROWS;
    int group = (rows + length - 1) / length;
    return group < batch ? group : batch;
}

static uint64_t rows_of(const mudpt_clip *clip, int prompts, int group) {
    return (uint64_t)group * (uint64_t)(clip_picture_rows(&clip->config) + prompts);
}

uint64_t vision_row_floats(const mudpt_clip *clip, int prompts, int group) {
    return rows_of(clip, prompts, group) * (uint64_t)clip->config.vision.width;
}

uint64_t vision_mlp_floats(const mudpt_clip *clip, int prompts, int group) {
    return rows_of(clip, prompts, group) * (uint64_t)clip->config.vision.mlp;
}

/* Of `length` rows of each picture the first some and the last `last` leave, outs_each in all. Row lists are picture by
 * picture, so those of fewer pictures are the lists' beginnings. */
static void fill_layout(vision *v, tower_layout *layout, arena *a, int length, int outs_each, int last) {
    int rows = v->group * length;
    layout->out_rows = arena_take(a, (uint64_t)v->group * (uint64_t)outs_each * sizeof(int));
    layout->out_of = arena_take(a, (uint64_t)rows * sizeof(int));
    int *query_start = arena_take(a, ((uint64_t)v->group + 1) * sizeof(int));
    int *key_start = arena_take(a, ((uint64_t)v->group + 1) * sizeof(int));
    layout->calls = 1;
    layout->attention[0] = (attention_shape){.heads = v->clip->config.vision.heads,
                                             .head_width = v->clip->config.vision.width / v->clip->config.vision.heads,
                                             .query_start = query_start,
                                             .key_start = key_start};
    layout->outs = v->group * outs_each;
    if (!a->base) return;
    for (int i = 0; i < rows; i++) {
        int picture = i / length, within = i % length;
        if (within >= length - last) within -= length - outs_each;
        else if (within >= outs_each - last) within = -1;
        layout->out_of[i] = within < 0 ? -1 : picture * outs_each + within;
        if (within >= 0) layout->out_rows[layout->out_of[i]] = i;
    }
    for (int g = 0; g <= v->group; g++) {
        query_start[g] = g * outs_each;
        key_start[g] = g * length;
    }
    if (outs_each == length) layout->out_rows = NULL;
}

/* Rotary positions: patches from (1, 1) on; CLS and prompts have none, place (0, 0). table: NULL on the first pass */
static void turn_places(vision *v, float *table) {
    const mudpt_clip_config *c = &v->clip->config;
    int grid = c->image / c->patch, first = v->seen - v->patches, width = c->vision.width / c->vision.heads;
    v->tower.rope = table;
    v->tower.rope_period = v->length;
    for (int i = 0; table && i < v->length; i++, table += 2 * width) {
        int patch = i - first, is_patch = patch >= 0 && patch < v->patches;
        rope_row(table, width, c->rope, is_patch ? 1 + patch % grid : 0, is_patch ? 1 + patch / grid : 0);
    }
}

/* The blocks under the one that prompts enter. */
static void open_below(vision *v, arena *a) {
    tower *t = &v->below;
    *t = v->tower;
    t->blocks = v->clip->vision;
    t->layers = t->lowest;
    t->lowest = t->depth = t->prompts = t->prompt_row_count = 0;
    t->rows = v->group * v->seen;
    t->rope_period = v->seen;
    for (int i = 0; i < LAYOUTS; i++) fill_layout(v, &t->layouts[i], a, v->seen, v->seen, 0);
    v->entering = arena_floats(a, (uint64_t)t->rows * (uint64_t)t->width);
}

static void open_read(vision *v, arena *a, int training) {
    uint64_t most = (uint64_t)v->group, n = (uint64_t)v->tower.prompts, d = (uint64_t)v->tower.width;
    v->read_rows = arena_floats(a, most * n * d);
    v->read_mean = arena_floats(a, most * d);
    if (!training) return;
    v->read_xhat = arena_floats(a, most * n * d);
    v->read_rstd = arena_floats(a, most * n);
    v->read_gradient = arena_floats(a, most * d);
}

void vision_open(vision *v, arena *a, const mudpt_clip *clip, int prompts, int depth, const tower_entry *entry,
                 int group, tower_mode mode, tower_scratch *scratch) {
    const mudpt_clip_config *c = &clip->config;
    uint64_t d = (uint64_t)c->vision.width;
    int lowest = entry ? entry->layer : 0;
    *v = (vision){.clip = clip,
                  .group = group,
                  .patches = clip_patches(c),
                  .seen = clip_picture_rows(c),
                  .enters = entry != NULL,
                  .read = entry && entry->read ? prompts : 0};
    v->length = v->seen + prompts;
    tower *t = &v->tower;
    *t = (tower){.blocks = clip->vision + lowest,
                 .layers = c->vision.layers - lowest,
                 .lowest = lowest,
                 .cut = entry != NULL,
                 .kept = entry ? entry->kept : 0,
                 .width = c->vision.width,
                 .mlp = c->vision.mlp,
                 .rows = group * v->length,
                 .prompts = prompts,
                 .scratch = scratch};
    t->second = 1;
    t->depth = depth < t->layers ? depth : t->layers;
    t->first_key = v->seen;
    t->prompt_row_count = group * prompts;
    t->prompt_rows = arena_take(a, (uint64_t)t->prompt_row_count * sizeof(int));
    t->prompt_of = arena_take(a, (uint64_t)t->prompt_row_count * sizeof(int));
    for (int i = 0; a->base && i < t->prompt_row_count; i++) {
        t->prompt_rows[i] = i / prompts * v->length + v->seen + i % prompts;
        t->prompt_of[i] = i % prompts;
    }
    fill_layout(v, &t->layouts[LAYOUT_ALL], a, v->length, v->length, 0);
    fill_layout(v, &t->layouts[LAYOUT_DROP], a, v->length, v->length - prompts, 0);
    fill_layout(v, &t->layouts[LAYOUT_LAST], a, v->length, pooling_seen(c) + v->read, v->read);

    uint64_t most = (uint64_t)group, n = (uint64_t)prompts;
    v->columns = arena_floats(a, most * (uint64_t)v->patches * 3 * (uint64_t)c->patch * (uint64_t)c->patch);
    pooling_open(&v->pooling, a, clip, group, mode != TOWER_FORWARD);
    if (c->rope > 0) turn_places(v, arena_floats(a, (uint64_t)v->length * 2 * (d / (uint64_t)c->vision.heads)));
    if (entry) open_below(v, a);
    if (v->read) open_read(v, a, mode != TOWER_FORWARD);
    if (mode == TOWER_FORWARD) return;
    if (!c->no_pre_norm && !entry) {
        v->pre_xhat = arena_floats(a, most * n * d);
        v->pre_rstd = arena_floats(a, most * n);
    }
    tower_take_saved(t, a, mode);
}

/* A tower's sizes for `count` of the group's pictures, of `length` rows each. */
static void set_count(tower *t, int length, int count) {
    t->rows = count * length;
    t->prompt_row_count = count * t->prompts;
    for (int i = 0; i < LAYOUTS; i++) {
        tower_layout *layout = &t->layouts[i];
        layout->attention[0].sequences = count;
        layout->outs = layout->attention[0].query_start[count];
    }
}

typedef struct {
    const vision *v;
    const float *pixels;
} columns_job;

/* One row of patches of one picture: pixels in the order of the convolution's weights, channel, row, column. */
static void cut_patches(void *context, int index, int thread) {
    (void)thread;
    const columns_job *job = context;
    int size = job->v->clip->config.image, patch = job->v->clip->config.patch, grid = size / patch;
    int picture = index / grid, top = index % grid * patch;
    size_t area = (size_t)size * (size_t)size;
    const float *pixels = job->pixels + (size_t)picture * 3 * area;
    float *out = job->v->columns + ((size_t)picture * (size_t)grid + (size_t)(index % grid)) * (size_t)grid * 3 *
                                       (size_t)patch * (size_t)patch;
    for (int column = 0; column < grid; column++)
        for (int channel = 0; channel < 3; channel++)
            for (int y = 0; y < patch; y++, out += patch)
                memcpy(out,
                       pixels + (size_t)channel * area + (size_t)(top + y) * (size_t)size + (size_t)(column * patch),
                       (size_t)patch * sizeof(float));
}

/* The pictures' own rows, `length` from one picture's to the next, before the first LayerNorm, to scratch->x. */
static void embed(vision *v, const float *pixels, int length, int count) {
    const mudpt_clip *clip = v->clip;
    const mudpt_clip_config *c = &clip->config;
    const tower_scratch *s = v->tower.scratch;
    size_t d = (size_t)c->vision.width;
    parallel_for(count * (c->image / c->patch), cut_patches, &(columns_job){v, pixels});
    gemm_forward(s->y, v->columns, &clip->patch, clip->patch_bias, count * v->patches, 0);
    for (int g = 0; g < count; g++) {
        float *row = s->x + (size_t)g * (size_t)length * d;
        const float *patch = s->y + (size_t)g * (size_t)v->patches * d, *position = clip->vision_position;
        if (clip->class_embedding) {
            for (size_t i = 0; i < d; i++) row[i] = clip->class_embedding[i] + position[i];
            row += d;
            position += d;
        }
        for (size_t i = 0; i < (size_t)v->patches * d; i++) row[i] = patch[i] + position[i];
    }
}

/* Each picture's prompts to their rows in scratch->x. */
static void put_prompts(const vision *v, const float *prompts) {
    const tower *t = &v->tower;
    size_t d = (size_t)t->width;
    for (int i = 0; i < t->prompt_row_count; i++)
        memcpy(t->scratch->x + (size_t)t->prompt_rows[i] * d, prompts + (size_t)t->prompt_of[i] * d, d * sizeof(float));
}

/* Rows of `to` floats from rows of `from`: as much as both have. */
static void copy_rows(float *out, const float *in, size_t to, size_t from, int count) {
    for (int i = 0; i < count; i++)
        memmove(out + (size_t)i * to, in + (size_t)i * from, (to < from ? to : from) * sizeof(float));
}

/* From scratch->x through the tower. */
static void run_tower(vision *v, float *features, const float *deep, int count) {
    const tower *t = &v->tower;
    float *y = t->scratch->y;
    size_t own = (size_t)(pooling_seen(&v->clip->config) * t->width), read = (size_t)(v->read * t->width);
    tower_forward(t, deep);
    if (read) {
        copy_rows(v->read_rows, y + own, read, own + read, count);
        copy_rows(y, y, own, own + read, count);
    }
    pooling_forward(&v->pooling, features, y, count);
}

void vision_below(vision *v, float *rows, const float *pixels, int count) {
    const mudpt_clip *clip = v->clip;
    const tower_scratch *s = v->below.scratch;
    set_count(&v->below, v->seen, count);
    embed(v, pixels, v->seen, count);
    if (!clip->config.no_pre_norm)
        layernorm_forward(s->x, NULL, NULL, s->x, clip->ln_pre_gain, clip->ln_pre_bias, v->below.rows, v->below.width,
                          clip_epsilon(&clip->config.vision));
    if (v->below.layers) tower_forward(&v->below, NULL);
    memcpy(rows, v->below.layers ? s->y : s->x, (size_t)v->below.rows * (size_t)v->below.width * sizeof(float));
}

void vision_above(vision *v, float *features, const float *rows, const float *prompts, int count) {
    tower *t = &v->tower;
    size_t d = (size_t)t->width;
    set_count(t, v->length, count);
    copy_rows(t->scratch->x, rows, (size_t)v->length * d, (size_t)v->seen * d, count);
    put_prompts(v, prompts);
    run_tower(v, features, prompts ? prompts + (size_t)t->prompts * d : NULL, count);
}

void vision_forward(vision *v, float *features, const float *pixels, const float *prompts, int count) {
    const mudpt_clip *clip = v->clip;
    const mudpt_clip_config *c = &clip->config;
    tower *t = &v->tower;
    const tower_scratch *s = t->scratch;
    size_t d = (size_t)c->vision.width, n = (size_t)t->prompts;
    float epsilon = clip_epsilon(&c->vision);
    if (v->enters) {
        vision_below(v, v->entering, pixels, count);
        vision_above(v, features, v->entering, prompts, count);
        return;
    }
    set_count(t, v->length, count);
    embed(v, pixels, v->length, count);
    put_prompts(v, prompts);
    if (v->pre_xhat) { /* the prompt rows once more, for what backward needs of them */
        for (int i = 0; i < t->prompt_row_count; i++)
            memcpy(s->h + (size_t)i * d, s->x + (size_t)t->prompt_rows[i] * d, d * sizeof(float));
        layernorm_forward(s->h, v->pre_xhat, v->pre_rstd, s->h, clip->ln_pre_gain, clip->ln_pre_bias,
                          t->prompt_row_count, (int)d, epsilon);
    }
    if (!c->no_pre_norm)
        layernorm_forward(s->x, NULL, NULL, s->x, clip->ln_pre_gain, clip->ln_pre_bias, t->rows, (int)d, epsilon);
    run_tower(v, features, prompts ? prompts + n * d : NULL, count);
}

void vision_read(vision *v, float *features, const float *projection, int count) {
    const mudpt_clip *clip = v->clip;
    int d = v->tower.width, e = clip->config.embed, n = v->read;
    float *rows = v->read_rows, *mean = v->read_mean;
    layernorm_forward(rows, v->read_xhat, v->read_rstd, rows, clip->ln_post_gain, clip->ln_post_bias, count * n, d,
                      clip_epsilon(&clip->config.vision));
    for (int i = 0; i < count * d; i++) {
        const float *row = rows + (size_t)(i / d * n) * (size_t)d + i % d;
        mean[i] = 0;
        for (int k = 0; k < n; k++) mean[i] += row[k * d];
        mean[i] /= (float)n;
    }
    gemm_dense(features, e, mean, d, 1, projection, e, 1, count, e, d, 0);
}

void vision_read_backward(vision *v, float *dprojection, const float *dfeatures, const float *projection, int count) {
    int d = v->tower.width, e = v->clip->config.embed, n = v->read;
    float *dmean = v->read_gradient, *rows = v->read_rows;
    gemm_dense(dprojection, e, v->read_mean, 1, d, dfeatures, e, 1, d, e, count, 1);
    gemm_dense(dmean, d, dfeatures, e, 1, projection, 1, e, count, d, e, 0);
    for (int i = 0; i < count * n * d; i++) rows[i] = dmean[i / (n * d) * d + i % d] / (float)n;
    layernorm_backward(rows, rows, v->read_xhat, v->read_rstd, v->clip->ln_post_gain, count * n, d, 0);
}

int vision_attention(const vision *v, float *out) {
    const tower *t = &v->tower;
    const pooling *p = &v->pooling;
    const mudpt_clip_config *c = &v->clip->config;
    int by_probe = c->vision.pooling == MUDPT_POOL_ATTENTION, heads = by_probe ? c->pool_heads : c->vision.heads;
    if (c->vision.pooling == MUDPT_POOL_MEAN)
        return fail(MUDPT_STATE, "this model takes the mean of all patches; there is no attention that reads them");
    const tower_saved *saved = t->saved ? tower_saved_of(t, t->layers - 1) : NULL;
    const float *q = by_probe ? p->q : saved ? saved->q : t->scratch->dq;
    const float *kv = by_probe ? p->kv : saved ? saved->kv : t->scratch->kv;
    int width = t->width / heads, rows = by_probe ? v->seen : v->length;
    float scale = 1 / simd_root((float)width);
    for (int h = 0; h < heads; h++, out += v->length) {
        for (int row = 0; row < rows; row++) {
            const float *query = q + h * width, *key = kv + (size_t)row * 2 * (size_t)t->width + h * width;
            float sum = 0;
            for (int i = 0; i < width; i++) sum += query[i] * key[i];
            out[row] = scale * sum;
        }
        softmax_row(out, out, rows);
        for (int row = rows; row < v->length; row++) out[row] = 0; /* no probe sees prompts */
    }
    return MUDPT_OK;
}

void vision_backward(vision *v, float *dprompts, const float *dfeatures, int count) {
    const mudpt_clip *clip = v->clip;
    tower *t = &v->tower;
    const tower_scratch *s = t->scratch;
    int d = t->width;
    pooling_backward(&v->pooling, s->y, dfeatures, s->kv, count);
    size_t own = (size_t)(pooling_seen(&clip->config) * d), read = (size_t)(v->read * d);
    for (int i = count - 1; read && i >= 0; i--) {
        memmove(s->y + (size_t)i * (own + read), s->y + (size_t)i * own, own * sizeof(float));
        memcpy(s->y + (size_t)i * (own + read) + own, v->read_rows + (size_t)i * read, read * sizeof(float));
    }
    size_t layer = (size_t)t->prompts * (size_t)d;
    tower_backward(t, dprompts + layer);
    if (v->pre_xhat)
        layernorm_backward(s->x, s->x, v->pre_xhat, v->pre_rstd, clip->ln_pre_gain, t->prompt_row_count, d, 0);
    for (int i = 0; i < t->prompt_row_count; i++) {
        float *out = dprompts + (size_t)t->prompt_of[i] * (size_t)d;
        const float *in = s->x + (size_t)i * (size_t)d;
        for (int k = 0; k < d; k++) out[k] += in[k];
    }
}
