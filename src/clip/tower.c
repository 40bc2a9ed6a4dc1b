#include "tower.h"

#include <math.h>
#include <string.h>

#include "device.h"
#include "kernels/activation.h"
#include "kernels/layernorm.h"
#include "kernels/rope.h"

#ifdef __EMSCRIPTEN__
/* js/webgpu/layout.js counts on these. */
_Static_assert(sizeof(gemm_weight) == 7 * 4 && sizeof(gemm_job) == 11 * 4 && sizeof(clip_block) == 44 * 4 &&
                   sizeof(tower_layout) == 18 * 4 && sizeof(tower) == 81 * 4,
               "the structs that the host reads have changed");
#endif

void tower_take_scratch(tower_scratch *s, arena *a, uint64_t row_floats, uint64_t mlp_floats) {
    s->x = arena_floats(a, row_floats);
    s->y = arena_floats(a, row_floats);
    s->h = arena_floats(a, row_floats);
    s->gathered = arena_floats(a, row_floats);
    s->o = arena_floats(a, row_floats);
    s->dq = arena_floats(a, row_floats);
    s->kv = arena_floats(a, 2 * row_floats);
    s->g = arena_floats(a, mlp_floats);
}

void tower_take_saved(tower *t, arena *a, tower_mode mode) {
    t->mode = mode;
    t->saved = NULL;
    if (mode == TOWER_FORWARD) return;
    uint64_t rows = (uint64_t)t->rows, d = (uint64_t)t->width, mlp = (uint64_t)t->mlp;
    int again = mode == TOWER_RECOMPUTE, count = again ? 1 : t->layers;
    if (again) t->inputs = arena_floats(a, (uint64_t)t->layers * rows * d);
    tower_saved *saved = arena_take(a, (size_t)count * sizeof *saved);
    for (int l = 0; l < count; l++) {
        uint64_t outs = again ? rows : (uint64_t)tower_layout_of(t, l)->outs;
        tower_saved s = {
            .xhat_1 = arena_floats(a, rows * d),
            .rstd_1 = arena_floats(a, rows),
            .q = arena_floats(a, outs * d),
            .kv = arena_floats(a, rows * 2 * d),
            .xhat_2 = arena_floats(a, outs * d),
            .rstd_2 = arena_floats(a, outs),
            .u = arena_floats(a, outs * mlp),
        };
        if (saved) saved[l] = s;
    }
    t->saved = saved;
}

/* Whether the next block has prompts of its own. */
static int replaces_prompts(const tower *t, int l) {
    return l < t->layers - 1 && l + 1 >= t->second && l + 1 < t->second + t->depth - 1;
}

const tower_layout *tower_layout_of(const tower *t, int l) {
    if (l == t->layers - 1) return &t->layouts[LAYOUT_LAST];
    return &t->layouts[replaces_prompts(t, l) && t->kept == 0 ? LAYOUT_DROP : LAYOUT_ALL];
}

static void gather(float *out, const float *in, const int *rows, int count, int width) {
    for (int i = 0; i < count; i++)
        memcpy(out + (size_t)i * (size_t)width, in + (size_t)rows[i] * (size_t)width, (size_t)width * sizeof(float));
}

static void move_row(float *rows, int to, int from, int width) {
    if (to != from)
        memcpy(rows + (size_t)to * (size_t)width, rows + (size_t)from * (size_t)width, (size_t)width * sizeof(float));
}

static void add_row(float *out, const float *in, int width) {
    for (int i = 0; i < width; i++) out[i] += in[i];
}

const tower_saved *tower_saved_of(const tower *t, int l) {
    return &t->saved[t->mode == TOWER_RECOMPUTE ? 0 : l];
}

/* Queries [outs, d] and keys of all rows, or back. */
static void turn(const tower *t, int l, float *q, float *kv, int backwards) {
    const clip_block *b = &t->blocks[l];
    const tower_layout *layout = tower_layout_of(t, l);
    if (!t->rope) return;
    rope_turn(q, b->width, layout->outs, b->heads, b->width / b->heads, t->rope, layout->out_rows, t->rope_period,
              backwards);
    rope_turn(kv, 2 * b->width, t->rows, b->heads, b->width / b->heads, t->rope, NULL, t->rope_period, backwards);
}

/* g [outs, mlp] times what belongs to proj's columns. */
static void scale_hidden(const clip_block *b, float *g, int outs) {
    size_t mlp = (size_t)b->mlp;
    for (size_t row = 0; b->proj_columns && row < (size_t)outs; row++)
        for (size_t k = 0; k < mlp; k++) g[row * mlp + k] *= b->proj_columns[k];
}

/* y [outs, d] = block(x [rows, d]); only what is kept: y is used for that and holds nothing afterwards. */
static void block_forward(const tower *t, int l, float *y, const float *x, int only_kept) {
    const clip_block *b = &t->blocks[l];
    const tower_layout *layout = tower_layout_of(t, l);
    const tower_scratch *s = t->scratch;
    int d = t->width, rows = t->rows, outs = layout->outs;
    size_t skip = (size_t)t->constant * (size_t)d;
    tower_saved kept = {.q = s->dq, .kv = s->kv, .u = s->g};
    if (t->saved) kept = *tower_saved_of(t, l);

    layernorm_forward(s->h, kept.xhat_1, kept.rstd_1, x, b->ln_1_gain, b->ln_1_bias, rows, d, b->epsilon);
    const float *queries = s->h;
    if (layout->out_rows) {
        gather(s->gathered, s->h, layout->out_rows, outs, d);
        queries = s->gathered;
        gather(y, x, layout->out_rows, outs, d);
    } else {
        memcpy(y, x, (size_t)outs * (size_t)d * sizeof(float));
    }
    gemm_run(&(gemm_job){.weight = &b->in_proj,
                         .first = 0,
                         .count = d,
                         .rows = outs,
                         .a = queries,
                         .lda = d,
                         .c = kept.q,
                         .ldc = d,
                         .bias = b->in_proj_bias});
    gemm_run(&(gemm_job){.weight = &b->in_proj,
                         .first = d,
                         .count = 2 * d,
                         .rows = rows - t->constant,
                         .a = s->h + skip,
                         .lda = d,
                         .c = kept.kv + 2 * skip,
                         .ldc = 2 * d,
                         .bias = b->in_proj_bias});
    if (skip) memcpy(kept.kv, t->constants + (size_t)l * 2 * skip, 2 * skip * sizeof(float));
    turn(t, l, kept.q, kept.kv, 0);
    for (int i = 0; i < layout->calls; i++)
        attention_forward(s->o, kept.q, kept.kv, kept.kv + d, kept.kv, kept.kv + d, 2 * d, &layout->attention[i]);
    gemm_forward(y, s->o, &b->out_proj, b->out_proj_bias, outs, 1);

    layernorm_forward(s->h, kept.xhat_2, kept.rstd_2, y, b->ln_2_gain, b->ln_2_bias, outs, d, b->epsilon);
    gemm_forward(kept.u, s->h, &b->fc, b->fc_bias, outs, 0);
    if (only_kept) return;
    activation_forward(b->activation, s->g, kept.u, (size_t)outs * (size_t)b->mlp);
    scale_hidden(b, s->g, outs);
    gemm_forward(y, s->g, &b->proj, b->proj_bias, outs, 1);
}

/* dx [rows, d] from dy [outs, d], which is used up. The first block: dx [prompt_row_count, d] of the prompt rows. */
static void block_backward(const tower *t, int l, float *dx, float *dy) {
    const clip_block *b = &t->blocks[l];
    const tower_layout *layout = tower_layout_of(t, l);
    const tower_scratch *s = t->scratch;
    const tower_saved *kept = tower_saved_of(t, l);
    int d = t->width, rows = t->rows - t->constant, outs = layout->outs, first_key = l ? 0 : t->first_key;
    size_t skip = (size_t)t->constant * (size_t)d;

    gemm_backward(s->g, dy, &b->proj, outs, 0);
    scale_hidden(b, s->g, outs);
    activation_backward(b->activation, s->g, s->g, kept->u, (size_t)outs * (size_t)b->mlp);
    gemm_backward(s->h, s->g, &b->fc, outs, 0);
    layernorm_backward(dy, s->h, kept->xhat_2, kept->rstd_2, b->ln_2_gain, outs, d, 1);

    gemm_backward(s->o, dy, &b->out_proj, outs, 0);
    float *dkv = s->kv;
    memset(dkv, 0, (size_t)t->rows * 2 * (size_t)d * sizeof(float));
    size_t carried = t->part ? (size_t)t->carried * 2 * (size_t)d : 0;
    float *carry = carried ? t->carry + (size_t)l * carried : NULL;
    if (carry) memcpy(dkv, carry, carried * sizeof(float));
    /* The classes first: they add to the prefix's keys and values, whose own attention comes before them. */
    for (int i = layout->calls - 1; i >= 0; i--) {
        if (i == 0 && t->part == PART_AMONG) { /* what the prefix's rows get from here on is never read */
            if (carry) memcpy(carry, dkv, carried * sizeof(float));
            continue;
        }
        attention_backward(s->dq, dkv, dkv + d, dkv, dkv + d, s->o, kept->q, kept->kv, kept->kv + d, kept->kv,
                           kept->kv + d, 2 * d, &layout->attention[i], i == layout->calls - 1 ? first_key : 0);
    }
    turn(t, l, s->dq, dkv, 1);
    gemm_job from_q = {.weight = &b->in_proj,
                       .transposed = 1,
                       .first = 0,
                       .count = d,
                       .rows = outs,
                       .a = s->dq,
                       .lda = d,
                       .c = s->gathered,
                       .ldc = d};
    gemm_job from_kv = {.weight = &b->in_proj,
                        .transposed = 1,
                        .first = d,
                        .count = 2 * d,
                        .rows = rows,
                        .a = dkv + 2 * skip,
                        .lda = 2 * d,
                        .c = s->h + skip,
                        .ldc = d};
    if (l > 0) {
        gemm_run(&from_kv);
        if (!layout->out_rows) {
            from_q.c = s->h;
            from_q.accumulate = 1;
        }
        gemm_run(&from_q);
        for (int i = 0; layout->out_rows && i < outs; i++)
            add_row(s->h + (size_t)layout->out_rows[i] * (size_t)d, s->gathered + (size_t)i * (size_t)d, d);
        layernorm_backward(dx + skip, s->h + skip, kept->xhat_1 + skip, kept->rstd_1 + t->constant, b->ln_1_gain, rows,
                           d, 0);
        for (int i = 0; i < outs; i++)
            add_row(dx + (size_t)(layout->out_rows ? layout->out_rows[i] : i) * (size_t)d, dy + (size_t)i * (size_t)d,
                    d);
        return;
    }
    /* Only the prompt rows. Their indices ascend, so they can move to the front in place. Either all of them left this
     * block or none did. */
    int count = t->prompt_row_count, left = layout->out_of[t->prompt_rows[0]] >= 0;
    for (int i = 0; i < count; i++) move_row(dkv, i, t->prompt_rows[i], 2 * d);
    from_kv.rows = count;
    from_kv.a = dkv;
    from_kv.c = s->h;
    gemm_run(&from_kv);
    if (left) {
        for (int i = 0; i < count; i++) move_row(s->dq, i, layout->out_of[t->prompt_rows[i]], d);
        from_q.rows = count;
        from_q.c = s->h;
        from_q.accumulate = 1;
        gemm_run(&from_q);
    }
    float *rstd = s->o;
    for (int i = 0; i < count; i++) rstd[i] = kept->rstd_1[t->prompt_rows[i]];
    gather(s->gathered, kept->xhat_1, t->prompt_rows, count, d);
    layernorm_backward(dx, s->h, s->gathered, rstd, b->ln_1_gain, count, d, 0);
    for (int i = 0; left && i < count; i++)
        add_row(dx + (size_t)i * (size_t)d, dy + (size_t)layout->out_of[t->prompt_rows[i]] * (size_t)d, d);
}

static void look_for_break(const tower *t, int l, const float *rows, size_t count) {
    if (!t->broken || *t->broken >= 0) return;
    for (size_t i = 0; i < count && *t->broken < 0; i++)
        if (!isfinite(rows[i])) *t->broken = t->lowest + l;
}

/* row = (1 - kept) prompt + kept row */
static void replace_row(float *row, const float *prompt, float kept, int width) {
    if (kept == 0) memcpy(row, prompt, (size_t)width * sizeof(float));
    for (int i = 0; kept > 0 && i < width; i++) row[i] = (1 - kept) * prompt[i] + kept * row[i];
}

static void blocks_forward(const tower *t, const float *deep) {
    const tower_scratch *s = t->scratch;
    size_t d = (size_t)t->width, n = (size_t)t->prompts;
    for (int l = 0; l < t->layers; l++) {
        look_for_break(t, l, s->x, (size_t)t->rows * d);
        float *input = t->mode == TOWER_RECOMPUTE ? t->inputs + (size_t)l * (size_t)t->rows * d : NULL;
        if (input) memcpy(input, s->x, (size_t)t->rows * d * sizeof(float));
        block_forward(t, l, s->y, s->x, 0);
        look_for_break(t, l + 1, s->y, (size_t)tower_layout_of(t, l)->outs * d);
        if (l == t->layers - 1) return;
        const tower_layout *layout = tower_layout_of(t, l);
        if (!layout->out_rows) memcpy(s->x, s->y, (size_t)t->rows * d * sizeof(float));
        for (int i = 0; layout->out_rows && i < layout->outs; i++)
            memcpy(s->x + (size_t)layout->out_rows[i] * d, s->y + (size_t)i * d, d * sizeof(float));
        for (int i = 0; replaces_prompts(t, l) && i < t->prompt_row_count; i++)
            replace_row(s->x + (size_t)t->prompt_rows[i] * d,
                        deep + ((size_t)(l + 1 - t->second) * n + (size_t)t->prompt_of[i]) * d, t->kept, t->width);
    }
}

/* A device keeps no constants, turns and scales nothing, and replaces prompts of every layer from the second on. */
static int on_device(const tower *t) {
    for (int l = 0; l < t->layers; l++)
        if (t->blocks[l].proj_columns) return 0;
    return !t->constant && !t->rope && t->second == 1 && !t->part && !t->cut;
}

void tower_forward(const tower *t, const float *deep) {
    /* A device looks into no layer. */
    int here = t->broken || !on_device(t) || device_forward(t, deep) == DEVICE_NO;
    if (here) blocks_forward(t, deep);
}

/* Once more, for what backward needs. scratch->y, the gradient that it begins with, is kept meanwhile where a tower
 * that keeps its queries leaves scratch unused. */
static void forward_again(const tower *t, const float *deep) {
    const tower_scratch *s = t->scratch;
    size_t bytes = (size_t)tower_layout_of(t, t->layers - 1)->outs * (size_t)t->width * sizeof(float);
    memcpy(s->dq, s->y, bytes);
    blocks_forward(t, deep);
    memcpy(s->y, s->dq, bytes);
}

void tower_backward(const tower *t, float *ddeep) {
    const float *deep;
    int answer = on_device(t) ? device_backward(t, ddeep, &deep) : DEVICE_NO;
    if (answer == DEVICE_DONE) return;
    if (answer == DEVICE_LOST) forward_again(t, deep);
    const tower_scratch *s = t->scratch;
    size_t d = (size_t)t->width, n = (size_t)t->prompts;
    for (int l = t->layers - 1; l >= 0; l--) {
        if (t->mode == TOWER_RECOMPUTE && l < t->layers - 1) /* the last block's is still there */
            block_forward(t, l, s->x, t->inputs + (size_t)l * (size_t)t->rows * d, 1);
        block_backward(t, l, s->x, s->y);
        if (l == 0) return;
        const tower_layout *before = tower_layout_of(t, l - 1);
        if (!before->out_rows) memcpy(s->y, s->x, (size_t)t->rows * d * sizeof(float));
        else gather(s->y, s->x, before->out_rows, before->outs, (int)d);
        for (int i = 0; replaces_prompts(t, l - 1) && i < t->prompt_row_count; i++) {
            if (tower_waits(t, t->prompt_rows[i])) continue;
            float *out = ddeep + ((size_t)(l - t->second) * n + (size_t)t->prompt_of[i]) * d;
            const float *in = s->x + (size_t)t->prompt_rows[i] * d;
            for (size_t k = 0; k < d; k++) out[k] += (1 - t->kept) * in[k];
            /* and what was kept of the row that left the block before */
            float *row = s->y + (size_t)(t->kept > 0 ? before->out_of[t->prompt_rows[i]] : 0) * d;
            for (size_t k = 0; t->kept > 0 && k < d; k++) row[k] *= t->kept;
        }
    }
}
