/* From the rows that leave an image tower's last block to a picture's feature, and back: LayerNorm, one row of several
 * (CLS, the mean of the patches, or what a probe's attention takes), projection.
 *
 * Prompts are not among these rows (docs/how-it-works.md says why): they act through the blocks alone.
 */
#ifndef CLIP_POOLING_H
#define CLIP_POOLING_H

#include "base/arena.h"
#include "kernels/attention.h"
#include "weights.h"

/* Features [count, e] of rows [count, d] by a projection and its bias, and back; without a projection e is d and they
 * are the same. bias NULL: none. */
void project_forward(float *features, const float *rows, const gemm_weight *projection, const float *bias, int count,
                     int d);
void project_backward(float *drows, const float *dfeatures, const gemm_weight *projection, int count, int d);

typedef struct {
    const mudpt_clip *clip;
    int seen;                  /* rows of a picture that come in: 1, or CLS (if any) and the patches */
    float *rows;               /* [group, seen, d] after the last LayerNorm; MUDPT_POOL_TOKEN: is pooled */
    float *xhat, *rstd;        /* of that: [group, seen, d], [group, seen]; norm_after_pool: [group, d], [group] */
    float *pooled;             /* [group, d] before the projection */
    attention_shape attention; /* MUDPT_POOL_ATTENTION, as all below */
    float *q, *kv, *o;         /* [group, d], [group, seen, 2d], [group, d] */
    float *h, *head_xhat, *head_rstd; /* of the head's LayerNorm: [group, d] twice, [group] */
    float *u, *g;                     /* [group, pool_mlp] before and after its activation */
} pooling;

/* Rows of a picture that the pooling of this model reads. */
int pooling_seen(const mudpt_clip_config *config);
/* Takes memory (a counts on the first pass); training: for backward, too. */
void pooling_open(pooling *p, arena *a, const mudpt_clip *clip, int group, int training);

/* features [count, e] from y [count, seen, d], what left the last block */
void pooling_forward(pooling *p, float *features, const float *y, int count);
/* dy [count, seen, d] for dfeatures [count, e] of the last pooling_forward; scratch_kv [count, seen, 2d] */
void pooling_backward(pooling *p, float *dy, const float *dfeatures, float *scratch_kv, int count);

#endif
