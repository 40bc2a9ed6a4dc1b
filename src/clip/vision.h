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
} vision;

/* How many pictures go through the tower together: enough rows for full products, no more. */
int vision_group(const mudpt_clip *clip, int prompts, int batch);
/* Takes memory (a counts on the first pass): n prompts in `depth` layers (0: none), and what backward needs. */
void vision_open(vision *v, arena *a, const mudpt_clip *clip, int prompts, int depth, int group, tower_mode mode,
                 tower_scratch *scratch);
/* Floats of scratch rows and MLP rows that it needs. */
uint64_t vision_row_floats(const mudpt_clip *clip, int prompts, int group);
uint64_t vision_mlp_floats(const mudpt_clip *clip, int prompts, int group);

/* pixels [count, 3, image, image], prompts [depth, n, d_v] or NULL -> features [count, e], not scaled.
 * count <= group */
void vision_forward(vision *v, float *features, const float *pixels, const float *prompts, int count);
/* What the feature of the first picture of the last vision_forward was made of: CLS's attention in the last layer, or a
 * probe's, which sees no prompts. out [heads, length], the keys in the order of the rows; MUDPT_STATE for the mean */
int vision_attention(const vision *v, float *out);
/* dfeatures [count, e] of the pictures of the last vision_forward -> dprompts [depth, n, d_v], added to */
void vision_backward(vision *v, float *dprompts, const float *dfeatures, int count);

#endif
