/* The list of tensors that a model is sent: their names, and where each goes. Only this folder includes it. */
#ifndef CLIP_TENSORS_H
#define CLIP_TENSORS_H

#include "weights.h"

typedef enum {
    VECTOR,     /* float * of rows * columns values */
    MATRIX,     /* gemm_weight, rows as they are sent */
    TRANSPOSED, /* gemm_weight, sent as [in, out] */
    TABLE       /* the token embedding */
} tensor_kind;

enum { TENSOR_SAMPLES = 4 }; /* values of a tensor by which models are told apart */

struct clip_tensor {
    char openai[80], hugging_face[80]; /* "" where a family has no such tensor */
    tensor_kind kind;
    void *target;      /* float **, gemm_weight * or void ** */
    int rows, columns; /* as kept; columns 0: a vector */
    int first_row;     /* where its rows begin in the target */
    int dims;          /* of the shape that is sent */
    int scaled;        /* a LayerScale multiplies its rows: never kept as f16, which might lose them */
    int quantized;     /* a block's matrix: may be kept as int8 or int16, and used in block integers */
    int lead;          /* of integers it is kept as int16 where others are int8: most of an error begins here */
    clip_block *block; /* of a matrix, its block where factors of columns have a place (columns.c), else NULL */
    int left_out;      /* config.text_side asks for a model without it */
    int seen;
    int owner;                                 /* index of the tensor that counts the target's rows */
    int rows_seen, integers_seen, scales_seen; /* of the target, on the owner */
    int columns_seen;                          /* rows for which columns_apart came */
    float *scales;                             /* that were sent for the target, on the owner */
    int becomes;          /* on the owner: integers that the target becomes once all its rows are there; 0: as it is */
    size_t lent;          /* on the owner: bytes of the target's memory until then */
    float *columns_apart; /* on the owner: [columns] what was divided out of the target's columns, or NULL */
    struct {
        float value, slack;
        int integer;           /* of a row of integers: still to be multiplied by its scale */
    } samples[TENSOR_SAMPLES]; /* of the target, on the owner; NaN until they come */
};

static inline size_t tensor_columns(const clip_tensor *t) {
    return t->columns ? (size_t)t->columns : 1;
}

static inline int tensor_is_integer(int type) {
    return type == MUDPT_I8 || type == MUDPT_I16 || (HAS_INT8 && type == GEMM_QUADS);
}

/* What follows the name of a matrix of integers in those of the tensors that belong to it. */
typedef enum { TENSOR_ITSELF, TENSOR_SCALES, TENSOR_COLUMNS } tensor_part;

/* names.c: the most tensors that a model of these sizes has; the list itself, in clip->tensors, which has room */
int clip_tensor_room(const mudpt_clip_config *config);
void clip_describe(mudpt_clip *clip);
/* The tensor of a name, or NULL; *part: whether it is X_scale or X_column of tensor X that is named */
clip_tensor *clip_find_tensor(const mudpt_clip *clip, const char *name, tensor_part *part);

/* columns.c: memory for the rows of a target that becomes integers, which every such target leaves to the next: what
 * differs in size would leave holes. NULL: there is none */
void *clip_lend(mudpt_clip *clip, clip_tensor *owner, size_t bytes);
/* The target, all of whose rows are there, becomes integers. -> MUDPT_OK, MUDPT_MEMORY */
int clip_settle(mudpt_clip *clip, clip_tensor *owner);
/* What belongs to rows or columns of a matrix goes where it costs nothing; row: as long as any of a matrix. */
void clip_fold_layer_scales(clip_block *blocks, int layers, float *row);
void clip_fold_columns(mudpt_clip *clip, float *row);

/* identity.c: samples among some rows [rows, columns] of the tensor on its way, whose type is `type` */
void clip_take_samples(mudpt_clip *clip, int row, int rows, const float *values);
void clip_set_fingerprint(mudpt_clip *clip);

#endif
