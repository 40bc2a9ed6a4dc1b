/* The image tower: groups of pictures and visual prompts in, features out, and back. */
#ifndef CLIP_VISION_H
#define CLIP_VISION_H

#include "pooling.h"
#include "tower.h"

typedef struct {
    tower tower;
    const mudpt_clip *clip;
    int group;                  /* most pictures at once */
    int length;                 /* rows of a picture: CLS (if any), patches, prompts */
    int patches, seen;          /* the first `seen` rows are no prompts */
    float *columns;             /* [group patches, 3 patch patch] pixels of each patch */
    float *pre_xhat, *pre_rstd; /* of the first LayerNorm, prompt rows only: [group n, d], [group n] */
    pooling pooling;
    /* Prompts that enter higher up (tower_entry), otherwise nothing of this: */
    int enters;
    tower below;                      /* the blocks under them */
    float *entering;                  /* [group, seen, d] the rows that leave these */
    int read;                         /* prompt rows of a picture that leave the last block: 0 or n */
    float *read_rows;                 /* [group, n, d] these */
    float *read_xhat, *read_rstd;     /* of their LayerNorm, [group, n, d], [group, n] */
    float *read_mean, *read_gradient; /* [group, d] the mean of each picture's, and its gradient */
} vision;

/* How many pictures go through the tower together: enough rows for full products, no more. */
int vision_group(const mudpt_clip *clip, int prompts, int batch);
/* Takes memory (a counts on the first pass): n prompts in `depth` layers (0: none), and what backward needs. entry:
 * NULL, or where they enter. */
void vision_open(vision *v, arena *a, const mudpt_clip *clip, int prompts, int depth, const tower_entry *entry,
                 int group, tower_mode mode, tower_scratch *scratch);
/* Floats of scratch rows and MLP rows that it needs. */
uint64_t vision_row_floats(const mudpt_clip *clip, int prompts, int group);
uint64_t vision_mlp_floats(const mudpt_clip *clip, int prompts, int group);

/* pixels [count, 3, image, image], prompts [depth, n, d_v] or NULL -> features [count, e], not scaled.
 * count <= group */
void vision_forward(vision *v, float *features, const float *pixels, const float *prompts, int count);
/* The same in two steps, where prompts enter higher up: rows [count, seen, d] that they meet there, which depend on
 * nothing that is trained; then all that lies above. */
void vision_below(vision *v, float *rows, const float *pixels, int count);
void vision_above(vision *v, float *features, const float *rows, const float *prompts, int count);
/* A second feature [count, e] of the last forward: the mean of a picture's prompt rows after the last LayerNorm, times
 * projection [d_v, e]. And back, before vision_backward: dprojection is added to. */
void vision_read(vision *v, float *features, const float *projection, int count);
void vision_read_backward(vision *v, float *dprojection, const float *dfeatures, const float *projection, int count);
/* What the feature of the first picture of the last vision_forward was made of: CLS's attention in the last layer, or a
 * probe's, which sees no prompts. out [heads, length], the keys in the order of the rows; MUDPT_STATE for the mean */
int vision_attention(const vision *v, float *out);
/* dfeatures [count, e] of the pictures of the last vision_forward -> dprompts [depth, n, d_v], added to */
void vision_backward(vision *v, float *dprompts, const float *dfeatures, int count);

#endif
