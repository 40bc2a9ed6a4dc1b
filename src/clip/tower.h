/* A stack of frozen transformer blocks over rows of which some are prompts, forward and backward.
 *
 * Both towers run on it: they say which rows are which, put the first rows in, and read the last rows out. Only what is
 * used is computed (each exact, see docs/how-it-works.md):
 *   - the last block computes only the rows that are read (CLS or end of text),
 *   - a block whose prompt rows the next layer replaces computes keys and values for them, nothing else,
 *   - the first block's backward computes gradients for the prompt rows only,
 *   - a first row that sees no other (start of text) has the same keys and values for ever, so they are kept,
 *   - weights are frozen, so backward needs no layer's input: per row x-hat of both LayerNorms, q, k, v and what enters
 *     the activation are kept, 9 widths in all.
 * To save memory only every block's input may be kept instead, 1 width, and the rest computed again, with the same
 * bits, when backward comes to the block: two thirds of a forward more.
 */
#ifndef CLIP_TOWER_H
#define CLIP_TOWER_H

#include "base/arena.h"
#include "kernels/attention.h"
#include "weights.h"

/* Which rows leave a block, and who attends to whom. */
typedef struct {
    int outs;      /* rows that leave */
    int *out_rows; /* [outs] their indices among the rows that enter; NULL: all rows, in order */
    int *out_of;   /* [rows] the opposite: index among the outs, or -1 */
    int calls;
    attention_shape attention[2]; /* text: the shared prefix by itself, then the classes; images: one */
} tower_layout;

/* What a tower keeps for backward. */
typedef enum { TOWER_FORWARD, TOWER_BACKWARD, TOWER_RECOMPUTE } tower_mode;

/* Of more sentences than are in memory at a time: one part among them, or the last. */
typedef enum { PART_NONE, PART_AMONG, PART_LAST } tower_part;

typedef enum { LAYOUT_ALL, LAYOUT_DROP, LAYOUT_LAST, LAYOUTS } tower_layout_kind;

/* What one block keeps for backward. */
typedef struct {
    float *xhat_1, *rstd_1; /* [rows, d], [rows] */
    float *q, *kv;          /* [outs, d], [rows, 2d] */
    float *xhat_2, *rstd_2; /* [outs, d], [outs] */
    float *u;               /* [outs, mlp] before the activation */
} tower_saved;

/* Memory of the block that runs; two towers that never run at once share it. */
typedef struct {
    float *x, *y;        /* [rows, d] what enters and leaves */
    float *h, *gathered; /* [rows, d] */
    float *o, *dq;       /* [rows, d] */
    float *kv;           /* [rows, 2d] */
    float *g;            /* [rows, mlp] */
} tower_scratch;

/* Prompts that are rows of their own from some block on, instead of rows that enter the first: what lies below that
 * block sees none, so it depends on nothing that is trained. Without one: NULL. */
typedef struct {
    int layer;  /* the block that the first of them enter, from 0 */
    float kept; /* where a later layer has prompts of its own: the share of what stands in their rows that stays */
    int read;   /* pictures: 1: they leave the last block, for a feature of their own */
} tower_entry;

typedef struct tower {
    const clip_block *blocks;
    int layers, width, mlp;
    int rows;             /* that enter every block */
    int depth;            /* layers that get prompts: the first, then from `second` on; 0: none */
    int prompts;          /* n, rows of one layer's prompts */
    int prompt_row_count; /* rows that hold a prompt */
    int *prompt_rows;     /* [prompt_row_count] where, ascending */
    int *prompt_of;       /* [prompt_row_count] which one, 0 ... n-1 */
    int first_key;        /* first block's backward: own keys below this index need no gradient */
    tower_layout layouts[LAYOUTS];
    tower_mode mode;
    tower_saved *saved; /* [layers], or one that all blocks share; NULL: no backward */
    float *inputs;      /* TOWER_RECOMPUTE: [layers, rows, d] */
    int *broken; /* NULL, or -1 until it gets the first layer that NaN or infinity enters (layers: the last's end) */
    tower_scratch *scratch;
    int constant; /* 1: the first row is not computed, but read as a key and value: constants; 0: it is like others */
    float *constants; /* [layers, 2d] */
    const float
        *rope; /* NULL, or a table (kernels/rope.h) by which queries and keys turn: row i by its row i % period */
    int rope_period;
    int second; /* the second layer that gets prompts; with depth 0 or 1 of no meaning. A device knows 1 alone */
    tower_part part;
    int carried;  /* the first rows, which all parts share: their gradients are complete with the last part */
    float *carry; /* backward of a part: [layers, carried, 2d] gradients of their keys and values so far */
    int cut;      /* 1: the blocks below or above an entry; a device knows whole towers alone */
    int lowest;   /* the number of the first block among the model's */
    float kept;   /* as in tower_entry */
} tower;

/* Floats of scratch for a tower of this size, then the scratch itself; rows * width and rows * mlp may be maxima. */
void tower_take_scratch(tower_scratch *s, arena *a, uint64_t row_floats, uint64_t mlp_floats);
/* Takes what backward needs in this mode. Layouts must be set. */
void tower_take_saved(tower *t, arena *a, tower_mode mode);
/* What block l keeps; TOWER_RECOMPUTE: that of the block which ran last. */
const tower_saved *tower_saved_of(const tower *t, int l);
/* Whether a row's gradient is still to come, with the last part. */
static inline int tower_waits(const tower *t, int row) {
    return t->part == PART_AMONG && row < t->carried;
}
/* Which layout block l has. */
const tower_layout *tower_layout_of(const tower *t, int l);

/* From scratch->x [rows, d] (with the first layer's prompts in it) to scratch->y [outs of the last layout, d].
 * deep [depth - 1, n, d]: prompts of layers 1 ...; NULL when depth <= 1. */
void tower_forward(const tower *t, const float *deep);
/* From scratch->y, the gradient of what tower_forward left there, to ddeep [depth - 1, n, d] (added to) and scratch->x
 * [prompt_row_count, d], the gradient of the prompt rows that entered the first block. */
void tower_backward(const tower *t, float *ddeep);

#endif
