/* The towers with one of their savings left out: the same results by more work. test_savings.c holds them against each
 * other, bench/savings.c times them.
 */
#ifndef COMPLETE_H
#define COMPLETE_H

#include <string.h>

#include "clip/text.h"
#include "clip/vision.h"
#include "kernels/gemm.h"
#include "kernels/layernorm.h"

typedef enum {
    COMPLETE_NOTHING,
    COMPLETE_LAST_BLOCK,     /* of one picture: every row, though only CLS is read */
    COMPLETE_PROMPT_ROWS,    /* in every block, though the next layer replaces them; backward is as long, but wrong */
    COMPLETE_FIRST_BACKWARD, /* of one picture, depth 1: gradients of all rows that enter */
    COMPLETE_START,          /* start of text like any other row, as for a device */
    COMPLETE_SENTENCES,      /* rows up to the sentences' lengths, which may lie behind the ends of text */
} completeness;

static void leave_out(tower *t, arena *a, completeness complete) {
    if (complete == COMPLETE_LAST_BLOCK) t->layouts[LAYOUT_LAST] = t->layouts[LAYOUT_ALL];
    if (complete == COMPLETE_PROMPT_ROWS) t->layouts[LAYOUT_DROP] = t->layouts[LAYOUT_ALL];
    if (complete != COMPLETE_NOTHING && complete != COMPLETE_START) tower_take_saved(t, a, TOWER_BACKWARD);
}

/* ------------------------------------------------------------------------------------------------ pictures */

typedef struct {
    arena memory;
    tower_scratch scratch;
    vision vision;
    completeness complete;
} picture_tower;

/* `group` pictures at once. -> MUDPT_OK, MUDPT_MEMORY */
static int open_pictures(picture_tower *p, const mudpt_clip *clip, int prompts, int depth, int group,
                         completeness complete) {
    *p = (picture_tower){.complete = complete};
    for (int pass = 0; pass < 2; pass++) {
        tower_take_scratch(&p->scratch, &p->memory, vision_row_floats(clip, prompts, group),
                           vision_mlp_floats(clip, prompts, group));
        vision_open(&p->vision, &p->memory, clip, prompts, depth, NULL, group, TOWER_BACKWARD, &p->scratch);
        leave_out(&p->vision.tower, &p->memory, complete);
        if (pass == 0 && arena_open(&p->memory, "a picture tower")) return MUDPT_MEMORY;
    }
    return MUDPT_OK;
}

/* As vision_backward. */
static void pictures_backward(picture_tower *p, float *dprompts, const float *dfeatures, int count) {
    vision *v = &p->vision;
    tower *t = &v->tower;
    size_t d = (size_t)t->width;
    /* What is not read has no gradient. */
    if (p->complete == COMPLETE_LAST_BLOCK) memset(p->scratch.y, 0, (size_t)t->rows * d * sizeof(float));
    if (p->complete != COMPLETE_FIRST_BACKWARD) {
        vision_backward(v, dprompts, dfeatures, count);
        return;
    }
    const mudpt_clip *clip = v->clip;
    pooling_backward(&v->pooling, p->scratch.y, dfeatures, p->scratch.kv, count);
    tower all = *t;
    all.prompt_row_count = t->rows;
    all.prompt_rows = t->layouts[LAYOUT_ALL].out_of; /* 0, 1, 2 ... */
    all.first_key = 0;
    tower_backward(&all, NULL);
    const float *rows = p->scratch.x + (size_t)t->prompt_rows[0] * d;
    layernorm_backward(p->scratch.x, rows, v->pre_xhat, v->pre_rstd, clip->ln_pre_gain, t->prompts, (int)d, 0);
    for (size_t i = 0; i < (size_t)t->prompts * d; i++) dprompts[i] += p->scratch.x[i];
}

/* ------------------------------------------------------------------------------------------------ sentences */

typedef struct {
    arena memory;
    tower_scratch scratch;
    text text;
} sentence_tower;

/* ends [count]: the rows that are read, COMPLETE_SENTENCES only. -> MUDPT_OK, MUDPT_MEMORY */
static int open_sentences(sentence_tower *p, const mudpt_clip *clip, const text_sentences *s, int prompts, int depth,
                          completeness complete, const int *ends) {
    size_t rows = (size_t)text_row_count(s), d = (size_t)clip->config.text.width;
    *p = (sentence_tower){.memory = {0}};
    for (int pass = 0; pass < 2; pass++) {
        tower_take_scratch(&p->scratch, &p->memory, rows * d, rows * (size_t)clip->config.text.mlp);
        if (complete == COMPLETE_START) mudpt_use_device(1);
        text_open(&p->text, &p->memory, clip, s, prompts, depth, TOWER_BACKWARD, &p->scratch);
        mudpt_use_device(0);
        leave_out(&p->text.tower, &p->memory, complete);
        if (pass == 0 && arena_open(&p->memory, "a sentence tower")) return MUDPT_MEMORY;
    }
    tower_layout *last = &p->text.tower.layouts[LAYOUT_LAST];
    const int *starts = last->attention[1].key_start;
    int *visible = (int *)last->attention[1].visible;
    for (int k = 0; complete == COMPLETE_SENTENCES && k < s->count; k++) {
        int row = starts[k] + ends[k] - p->text.prefix;
        last->out_of[last->out_rows[k]] = -1;
        last->out_of[row] = k;
        last->out_rows[k] = row;
        visible[k] = 1 + row - starts[k];
    }
    return MUDPT_OK;
}

#endif
