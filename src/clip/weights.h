/* A frozen CLIP's weights: named tensors come in, packed panels and plain vectors are kept, each once. */
#ifndef CLIP_WEIGHTS_H
#define CLIP_WEIGHTS_H

#include "base/live.h"
#include "kernels/gemm.h"
#include "mudpt.h"

/* One pre-LN transformer block of width d. */
typedef struct {
    int width, heads, mlp, activation;
    float epsilon;
    gemm_weight in_proj;                                  /* [3d, d], rows q, k, v */
    gemm_weight out_proj;                                 /* [d, d] */
    gemm_weight fc, proj;                                 /* [mlp, d], [d, mlp] */
    float *in_proj_bias, *out_proj_bias;                  /* [3d], [d] */
    float *fc_bias, *proj_bias;                           /* [mlp], [d] */
    float *ln_1_gain, *ln_1_bias, *ln_2_gain, *ln_2_bias; /* [d] */
    float *scale_1, *scale_2;  /* [d] LayerScale, or NULL: once all is there it is in out_proj, proj and their biases */
    const float *proj_columns; /* [mlp] what proj's inputs are multiplied by, or NULL */
} clip_block;

typedef struct clip_tensor clip_tensor; /* where a tensor of a given name goes */

struct mudpt_clip {
    live live;
    int classifiers, freed; /* that were made from it; whether it goes with the last of them */
    mudpt_clip_config config;
    clip_block *vision, *text; /* [layers] */

    gemm_weight patch;      /* [d_v, 3 patch patch] */
    float *patch_bias;      /* [d_v]; this and what follows: NULL where there is none */
    float *class_embedding; /* [d_v] */
    float *vision_position; /* [CLS, if any, and patches, d_v] */
    float *ln_pre_gain, *ln_pre_bias, *ln_post_gain, *ln_post_bias; /* [d_v] */
    clip_block pool; /* MUDPT_POOL_ATTENTION: its head, a block without ln_1 and without a sum around attention */
    float *probe;    /* [d_v] whose query it is */
    gemm_weight vision_projection; /* [e, d_v]; without one `out` is 0 */
    float *vision_projection_bias; /* [e] */

    void *token_embedding; /* [vocab or token_room, d_t], float or half */
    int token_storage;
    int *token_slots;           /* MUDPT_TEXT_ROWS: [vocab] the row of an id, -1 where it has not come; else NULL */
    int token_rows, token_room; /* that have come; that there is room for */
    float *text_position;       /* [context, d_t] */
    float *ln_final_gain, *ln_final_bias; /* [d_t] */
    gemm_weight text_projection;          /* [e, d_t]; without one `out` is 0 */
    float *text_projection_bias;          /* [e] */

    float *logit_scale, *logit_bias; /* [1]; the first is a natural logarithm */

    size_t bytes; /* of all weights */
    char fingerprint[17];
    int finished;

    clip_tensor *tensors; /* every name that is understood */
    int tensor_count;
    clip_tensor *current;           /* the tensor on its way, or NULL */
    int current_type, current_part; /* its element type; whether it is what belongs to one (tensors.h) */
    size_t received, expected;      /* its elements */
    float *row;                     /* its values until they are kept */
    unsigned char carry[4];         /* bytes of an element cut by the end of a piece */
    int carried;
    void *spare; /* memory for the next matrix that becomes integers, or NULL, and its bytes (columns.c) */
    size_t spare_bytes;
};

/* weights.c: frees it, which nothing uses any more */
void clip_release(mudpt_clip *clip);

/* config.c: MUDPT_MODEL or MUDPT_ARGUMENT for what cannot be */
int clip_check_config(const mudpt_clip_config *config);
float clip_epsilon(const mudpt_tower *tower);
/* Patches of a picture, and its rows that are no prompts: these and CLS, if there is one. */
int clip_patches(const mudpt_clip_config *config);
int clip_picture_rows(const mudpt_clip_config *config);
/* Whether sentences are filled up to the context's length. */
int clip_fills_sentences(const mudpt_clip_config *config);

/* weights.c: mudpt_clip_projection, without what is added behind it. out [d_v, e] */
void clip_projection(const mudpt_clip *clip, float *out);

/* tokens.c: row of the token table, widened; mudpt_clip_has_token. out [d_t] */
void clip_token_row(const mudpt_clip *clip, int id, float *out);
/* Keeps a row [d_t]; MUDPT_MODEL for what its storage type cannot hold. */
int clip_store_token_row(mudpt_clip *clip, int row, const float *values);

/* widen.c: bytes of a value of a type that is sent */
int clip_element_bytes(int type);
/* out [count] = values of a type that is sent, little endian */
void clip_widen(int type, float *out, const unsigned char *bytes, size_t count);

#endif
