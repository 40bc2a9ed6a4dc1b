#include "text.h"

#include <string.h>

#include "device.h"
#include "kernels/layernorm.h"
#include "pooling.h"

int text_prefix(const text_sentences *s) {
    if (s->is_part) return s->prefix;
    int prefix = s->both_ways ? 0 : s->lengths[0] - 1; /* every sentence keeps at least its last row for itself */
    for (int c = 1; c < s->count; c++) {
        const int *row = s->rows + (size_t)c * (size_t)s->stride;
        int same = 0;
        while (same < prefix && same < s->lengths[c] - 1 && row[same] == s->rows[same]) same++;
        prefix = same;
    }
    return prefix;
}

int text_row_count(const text_sentences *s) {
    int prefix = text_prefix(s), rows = prefix;
    for (int c = 0; c < s->count; c++) rows += s->lengths[c] - prefix;
    return rows;
}

/* The sentences below an entry, by themselves. */
static text_sentences sentences_below(const text_sentences *s) {
    return (text_sentences){.count = s->count,
                            .stride = s->stride,
                            .lengths = s->below_lengths,
                            .rows = s->below_rows,
                            .both_ways = s->both_ways,
                            .is_part = s->is_part,
                            .prefix = s->below_prefix};
}

int text_prefix_below(const text_sentences *s) {
    const text_sentences below = sentences_below(s);
    return s->entry ? text_prefix(&below) : 0;
}

int text_most_rows(const text_sentences *s) {
    const text_sentences below = sentences_below(s);
    int rows = text_row_count(s), under = s->entry ? text_row_count(&below) : 0;
    return rows > under ? rows : under;
}

/* Attention over the rows that `leaves` marks: the prefix by itself, then the sentences behind it. starts [count + 1]
 * is where each sentence's own rows begin. */
static void fill_layout(text *t, tower_layout *layout, arena *a, const int *starts, const unsigned char *leaves,
                        int both_ways) {
    int rows = t->tower.rows, count = t->count;
    uint64_t list = (uint64_t)rows * sizeof(int);
    layout->out_rows = arena_take(a, list);
    layout->out_of = arena_take(a, list);
    int *visible = arena_take(a, list);
    int *queries = arena_take(a, ((uint64_t)count + 1) * sizeof(int));
    int *prefix_queries = arena_take(a, 2 * sizeof(int)), *prefix_keys = arena_take(a, 2 * sizeof(int));
    const mudpt_clip_config *c = &t->clip->config;
    attention_shape shape = {
        .heads = c->text.heads, .head_width = c->text.width / c->text.heads, .visible = both_ways ? NULL : visible};
    layout->calls = 2;
    layout->attention[0] = layout->attention[1] = shape;
    layout->attention[0].sequences = t->prefix ? 1 : 0;
    layout->attention[0].query_start = prefix_queries;
    layout->attention[0].key_start = prefix_keys;
    layout->attention[1].sequences = count;
    layout->attention[1].query_start = queries;
    layout->attention[1].key_start = starts;
    layout->attention[1].prefix = t->prefix;
    if (!a->base) return;
    int outs = 0, sentence = 0;
    prefix_queries[0] = prefix_queries[1] = prefix_keys[0] = 0;
    for (int i = 0; i < rows; i++) {
        if (i == t->prefix) prefix_queries[1] = outs;
        if (i >= t->prefix && i == starts[sentence]) queries[sentence++] = outs;
        layout->out_of[i] = leaves[i] ? outs : -1;
        if (!leaves[i]) continue;
        layout->out_rows[outs] = i;
        visible[outs] = 1 + (i < t->prefix ? i : i - starts[sentence - 1]);
        outs++;
    }
    queries[count] = outs;
    prefix_keys[1] = t->prefix;
    if (prefix_queries[1] == 0) layout->attention[0].sequences = 0;
    layout->outs = outs;
    if (outs == rows) layout->out_rows = NULL;
}

/* Where each row that is no prompt stands among those of the sentences below. */
static void find_below(text *t, const text_sentences *s, const text_sentences *below) {
    int prefix = text_prefix(below), start = prefix, row = 0;
    for (int k = 0; k < s->count; start += below->lengths[k] - prefix, k++) {
        const int *rows = s->rows + (size_t)k * (size_t)s->stride;
        int shorter = s->lengths[k] > below->lengths[k], at = 0;
        for (int i = 0; i < s->lengths[k]; i++) {
            if (k == 0 || i >= t->prefix) t->below_of[row++] = at < prefix ? at : start + at - prefix;
            at += rows[i] >= 0 || !shorter;
        }
    }
}

/* The tower's blocks from `lowest` on; all: every row leaves the last of them. */
static void open_blocks(text *t, arena *a, const mudpt_clip *clip, const text_sentences *s, int prompts, int depth,
                        int lowest, int layers, int all, tower_mode mode, tower_scratch *scratch) {
    const mudpt_clip_config *c = &clip->config;
    uint64_t d = (uint64_t)c->text.width;
    *t = (text){.clip = clip, .count = s->count, .prefix = text_prefix(s)};
    tower *w = &t->tower;
    *w = (tower){.blocks = clip->text + lowest,
                 .layers = layers,
                 .lowest = lowest,
                 .cut = layers < c->text.layers || s->entry,
                 .kept = s->entry ? s->entry->kept : 0,
                 .width = c->text.width,
                 .mlp = c->text.mlp,
                 .rows = text_row_count(s),
                 .prompts = prompts,
                 .scratch = scratch};
    w->second = s->second > 1 ? s->second : 1;
    w->depth = depth < w->layers - w->second + 1 ? depth : w->layers - w->second + 1;
    /* A device computes whole towers, of all sentences. */
    w->constant = mode != TOWER_FORWARD && t->prefix && s->rows[0] >= 0 && (s->is_part || !device_rows());
    w->part = s->is_part ? PART_AMONG : PART_NONE;
    w->carried = t->prefix;
    if (w->constant && !s->is_part) w->constants = arena_floats(a, (uint64_t)w->layers * 2 * d);
    uint64_t rows = (uint64_t)w->rows, count = (uint64_t)s->count;
    t->ids = arena_take(a, rows * sizeof(int));
    t->positions = arena_take(a, rows * sizeof(int));
    w->prompt_rows = arena_take(a, rows * sizeof(int));
    w->prompt_of = arena_take(a, rows * sizeof(int));
    int *starts = arena_take(a, (count + 1) * sizeof(int));
    unsigned char *leaves[LAYOUTS];
    for (int i = 0; i < LAYOUTS; i++) leaves[i] = arena_take(a, rows);
    int outs[LAYOUTS] = {w->rows, w->rows, all ? w->rows : s->count};
    if (a->base) {
        int next = 0;
        memset(leaves[LAYOUT_LAST], 0, (size_t)rows);
        for (int i = 0; i < t->prefix; i++, next++) {
            t->ids[next] = s->rows[i];
            t->positions[next] = i;
        }
        for (int k = 0; k < s->count; k++) {
            starts[k] = next;
            for (int i = t->prefix; i < s->lengths[k]; i++, next++) {
                t->ids[next] = s->rows[(size_t)k * (size_t)s->stride + (size_t)i];
                t->positions[next] = i;
            }
            leaves[LAYOUT_LAST][s->ends ? starts[k] + s->ends[k] - t->prefix : next - 1] = 1;
        }
        if (all) memset(leaves[LAYOUT_LAST], 1, (size_t)rows);
        starts[s->count] = next;
        w->first_key = c->context;
        for (int i = 0; i < w->rows; i++) {
            leaves[LAYOUT_ALL][i] = i >= w->constant;
            leaves[LAYOUT_DROP][i] = i >= w->constant && t->ids[i] >= 0;
            if (t->ids[i] >= 0) continue;
            if (i >= t->prefix) w->first_key = 0; /* a sentence's own keys are prompts too */
            w->prompt_rows[w->prompt_row_count] = i;
            w->prompt_of[w->prompt_row_count++] = -1 - t->ids[i];
        }
        outs[LAYOUT_ALL] -= w->constant;
        outs[LAYOUT_DROP] -= w->constant + w->prompt_row_count;
    }
    for (int i = 0; i < LAYOUTS; i++) {
        w->layouts[i].outs = outs[i]; /* while counting, the most there can be */
        fill_layout(t, &w->layouts[i], a, starts, leaves[i], s->both_ways);
    }
}

void text_open(text *t, arena *a, const mudpt_clip *clip, const text_sentences *s, int prompts, int depth,
               tower_mode mode, tower_scratch *scratch) {
    const mudpt_clip_config *c = &clip->config;
    uint64_t d = (uint64_t)c->text.width, count = (uint64_t)s->count;
    int lowest = s->entry ? s->entry->layer : 0;
    open_blocks(t, a, clip, s, prompts, depth, lowest, c->text.layers - lowest, 0, mode, scratch);
    if (s->entry) {
        const text_sentences below = sentences_below(s);
        text counted;
        t->below = arena_take(a, sizeof *t->below);
        open_blocks(a->base ? t->below : &counted, a, clip, &below, 0, 0, 0, lowest, 1, TOWER_FORWARD, scratch);
        t->below_of = arena_take(a, (uint64_t)t->tower.rows * sizeof(int));
        t->entering = arena_floats(a, (uint64_t)text_row_count(&below) * d);
        if (a->base) find_below(t, s, &below);
    }
    t->rows = arena_floats(a, count * d);
    if (mode == TOWER_FORWARD) return;
    t->xhat = arena_floats(a, count * d);
    t->rstd = arena_floats(a, count);
    tower_take_saved(&t->tower, a, mode);
}

/* The row that enters the first block. */
static void input_row(const text *t, int i, const float *first, float *row) {
    const mudpt_clip *clip = t->clip;
    size_t d = (size_t)clip->config.text.width;
    const float *position = clip->text_position + (size_t)t->positions[i] * d;
    if (t->ids[i] < 0) memcpy(row, first + (size_t)(-1 - t->ids[i]) * d, d * sizeof(float));
    else if (t->below) memcpy(row, t->entering + (size_t)t->below_of[i] * d, d * sizeof(float));
    else clip_token_row(clip, t->ids[i], row);
    for (size_t k = 0; k < d && !t->below; k++) row[k] += position[k];
}

/* Rows that prompts meet, which depend on nothing that is trained. */
static void enter(text *t) {
    const text *below = t->below;
    const tower_scratch *s = t->tower.scratch;
    size_t d = (size_t)t->tower.width, rows = (size_t)below->tower.rows;
    for (size_t i = 0; i < rows; i++) input_row(below, (int)i, NULL, s->x + i * d);
    if (below->tower.layers) tower_forward(&below->tower, NULL);
    memcpy(t->entering, below->tower.layers ? s->y : s->x, rows * d * sizeof(float));
    t->entered = 1;
}

/* Start of text by itself, block by block. */
static void keep_constants(text *t) {
    static const int one_sequence[2] = {0, 1};
    const tower_scratch *s = t->tower.scratch;
    size_t d = (size_t)t->tower.width;
    attention_shape shape = t->tower.layouts[LAYOUT_ALL].attention[0];
    shape.sequences = 1;
    shape.query_start = shape.key_start = one_sequence;
    shape.visible = NULL;
    tower row = {.layers = 1, .width = t->tower.width, .mlp = t->tower.mlp, .rows = 1, .scratch = t->tower.scratch};
    row.cut = 1; /* so that it is computed here, also if there is a device by now */
    row.layouts[LAYOUT_LAST] = (tower_layout){.outs = 1, .calls = 1, .attention = {shape}};
    input_row(t, 0, NULL, s->x);
    for (int l = 0; l < t->tower.layers; l++) {
        row.blocks = &t->tower.blocks[l];
        tower_forward(&row, NULL);
        memcpy(t->tower.constants + (size_t)l * 2 * d, s->kv, 2 * d * sizeof(float));
        memcpy(s->x, s->y, d * sizeof(float));
    }
    t->constants_known = 1;
}

void text_forward(text *t, float *features, const float *first, const float *deep) {
    const mudpt_clip *clip = t->clip;
    const tower_scratch *s = t->tower.scratch;
    size_t d = (size_t)clip->config.text.width;
    if (t->below && !t->entered) enter(t);
    if (t->tower.constant && !t->constants_known) keep_constants(t);
    for (int i = 0; i < t->tower.rows; i++) input_row(t, i, first, s->x + (size_t)i * d);
    tower_forward(&t->tower, deep);
    layernorm_forward(t->rows, t->xhat, t->rstd, s->y, clip->ln_final_gain, clip->ln_final_bias, t->count, (int)d,
                      clip_epsilon(&clip->config.text));
    project_forward(features, t->rows, &clip->text_projection, clip->text_projection_bias, t->count, (int)d);
}

void text_backward(text *t, float *dfirst, float *ddeep, const float *dfeatures) {
    const mudpt_clip *clip = t->clip;
    const tower_scratch *s = t->tower.scratch;
    int d = clip->config.text.width;
    project_backward(t->rows, dfeatures, &clip->text_projection, t->count, d);
    layernorm_backward(s->y, t->rows, t->xhat, t->rstd, clip->ln_final_gain, t->count, d, 0);
    tower_backward(&t->tower, ddeep);
    for (int i = 0; i < t->tower.prompt_row_count; i++) {
        if (tower_waits(&t->tower, t->tower.prompt_rows[i])) continue;
        float *out = dfirst + (size_t)t->tower.prompt_of[i] * (size_t)d;
        const float *in = s->x + (size_t)i * (size_t)d;
        for (int k = 0; k < d; k++) out[k] += in[k];
    }
}
