#include "vision.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/parallel.h"
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

/* Row lists are picture by picture, so those of fewer pictures are the lists' beginnings. */
static void fill_layout(vision *v, tower_layout *layout, arena *a, int outs_each) {
    int rows = v->group * v->length;
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
        int picture = i / v->length, within = i % v->length;
        layout->out_of[i] = within < outs_each ? picture * outs_each + within : -1;
        if (within < outs_each) layout->out_rows[picture * outs_each + within] = i;
    }
    for (int g = 0; g <= v->group; g++) {
        query_start[g] = g * outs_each;
        key_start[g] = g * v->length;
    }
    if (outs_each == v->length) layout->out_rows = NULL;
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

void vision_open(vision *v, arena *a, const mudpt_clip *clip, int prompts, int depth, int group, tower_mode mode,
                 tower_scratch *scratch) {
    const mudpt_clip_config *c = &clip->config;
    uint64_t d = (uint64_t)c->vision.width;
    *v = (vision){.clip = clip, .group = group, .patches = clip_patches(c), .seen = clip_picture_rows(c)};
    v->length = v->seen + prompts;
    tower *t = &v->tower;
    *t = (tower){.blocks = clip->vision,
                 .layers = c->vision.layers,
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
    fill_layout(v, &t->layouts[LAYOUT_ALL], a, v->length);
    fill_layout(v, &t->layouts[LAYOUT_DROP], a, v->length - prompts);
    fill_layout(v, &t->layouts[LAYOUT_LAST], a, pooling_seen(c));

    uint64_t most = (uint64_t)group, n = (uint64_t)prompts;
    v->columns = arena_floats(a, most * (uint64_t)v->patches * 3 * (uint64_t)c->patch * (uint64_t)c->patch);
    pooling_open(&v->pooling, a, clip, group, mode != TOWER_FORWARD);
    if (c->rope > 0) turn_places(v, arena_floats(a, (uint64_t)v->length * 2 * (d / (uint64_t)c->vision.heads)));
    if (mode == TOWER_FORWARD) return;
    if (!c->no_pre_norm) {
        v->pre_xhat = arena_floats(a, most * n * d);
        v->pre_rstd = arena_floats(a, most * n);
    }
    tower_take_saved(t, a, mode);
}

/* The tower's sizes for `count` of the group's pictures. */
static void set_count(vision *v, int count) {
    tower *t = &v->tower;
    t->rows = count * v->length;
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

void vision_forward(vision *v, float *features, const float *pixels, const float *prompts, int count) {
    const mudpt_clip *clip = v->clip;
    const mudpt_clip_config *c = &clip->config;
    tower *t = &v->tower;
    const tower_scratch *s = t->scratch;
    size_t d = (size_t)c->vision.width, n = (size_t)t->prompts;
    float epsilon = clip_epsilon(&c->vision);
    set_count(v, count);

    parallel_for(count * (c->image / c->patch), cut_patches, &(columns_job){v, pixels});
    gemm_forward(s->y, v->columns, &clip->patch, clip->patch_bias, count * v->patches, 0);
    for (int g = 0; g < count; g++) {
        float *row = s->x + (size_t)g * (size_t)v->length * d;
        const float *patch = s->y + (size_t)g * (size_t)v->patches * d, *position = clip->vision_position;
        if (clip->class_embedding) {
            for (size_t i = 0; i < d; i++) row[i] = clip->class_embedding[i] + position[i];
            row += d;
            position += d;
        }
        for (size_t i = 0; i < (size_t)v->patches * d; i++) row[i] = patch[i] + position[i];
        if (n) memcpy(row + (size_t)v->patches * d, prompts, n * d * sizeof(float));
    }
    if (v->pre_xhat) { /* the prompt rows once more, for what backward needs of them */
        for (int i = 0; i < t->prompt_row_count; i++)
            memcpy(s->h + (size_t)i * d, s->x + (size_t)t->prompt_rows[i] * d, d * sizeof(float));
        layernorm_forward(s->h, v->pre_xhat, v->pre_rstd, s->h, clip->ln_pre_gain, clip->ln_pre_bias,
                          t->prompt_row_count, (int)d, epsilon);
    }
    if (!c->no_pre_norm)
        layernorm_forward(s->x, NULL, NULL, s->x, clip->ln_pre_gain, clip->ln_pre_bias, t->rows, (int)d, epsilon);
    tower_forward(t, prompts ? prompts + n * d : NULL);
    pooling_forward(&v->pooling, features, s->y, count);
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
    float scale = 1 / sqrtf((float)width);
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
