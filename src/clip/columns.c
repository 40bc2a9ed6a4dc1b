/* Matrices that become integers once all their rows are there, and columns of them that differ much from the others.
 *
 * CLIP has channels that are 50 to 100 times as large as most, and the columns that read them are as much smaller: in
 * integers with one scale for a row these columns keep few bits, and block integers of such rows lose the channels
 * beside. So every column whose largest value is four times as large as the median's or more, or a quarter of it or
 * less, is divided by a power of two, and what it reads is multiplied by that power where it is made: in the gain and
 * bias of the LayerNorm before, or in the rows of the values that attention adds up. That costs nothing; what an
 * activation makes is multiplied behind it, in the blocks that have such columns. All of it is exact.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "tensors.h"

enum { APART = 2, MOST_APART = 12, EXPONENTS = 256 }; /* exponents of 2 */

static int exponent_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (int)(bits >> 23);
}

static float power_of_two(int exponent) {
    uint32_t bits = (uint32_t)(127 + exponent) << 23;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* factors [in] of a matrix of f32; row [in] is scratch. -> whether any is not 1 */
static int find_factors(const gemm_weight *w, float *factors, float *row) {
    size_t in = (size_t)w->in, below = 0;
    size_t columns[EXPONENTS] = {0};
    int found = 0, median = 0;
    memset(factors, 0, in * sizeof *factors);
    for (int o = 0; o < w->out; o++) {
        gemm_get_row(w, o, row);
        for (size_t i = 0; i < in; i++) factors[i] = fmaxf(factors[i], fabsf(row[i]));
    }
    for (size_t i = 0; i < in; i++) columns[exponent_of(factors[i])]++;
    while ((below += columns[median]) <= in / 2) median++;
    for (size_t i = 0; i < in; i++) {
        int apart = factors[i] > 0 && median > 0 ? exponent_of(factors[i]) - median : 0;
        if (apart < -MOST_APART) apart = -MOST_APART;
        if (apart > MOST_APART) apart = MOST_APART;
        if (abs(apart) < APART) apart = 0;
        factors[i] = power_of_two(apart);
        found |= apart != 0;
    }
    return found;
}

void *clip_lend(mudpt_clip *clip, clip_tensor *owner, size_t bytes) {
    void *memory = clip->spare;
    owner->lent = clip->spare_bytes;
    if (!memory || owner->lent < bytes) {
        aligned_release(memory);
        memory = aligned_take(bytes, "a weight matrix");
        owner->lent = bytes;
    }
    clip->spare = NULL;
    return memory;
}

static void give_back(mudpt_clip *clip, const clip_tensor *owner, void *memory) {
    int larger = !clip->spare || owner->lent > clip->spare_bytes;
    aligned_release(larger ? clip->spare : memory);
    if (!larger) return;
    clip->spare = memory;
    clip->spare_bytes = owner->lent;
}

int clip_settle(mudpt_clip *clip, clip_tensor *owner) {
    gemm_weight *w = owner->target, fresh = *w;
    size_t in = (size_t)w->in;
    fresh.storage = owner->becomes;
    size_t bytes = gemm_panel_bytes(w->out, w->in, fresh.storage), scales = gemm_scale_bytes(w->out, fresh.storage);
    float *factors = malloc(2 * in * sizeof *factors), *row = factors + in;
    if (!factors) return fail_memory(2 * in * sizeof *factors, "rows of a weight matrix");
    fresh.panels = aligned_take(bytes, "a weight matrix");
    fresh.scale = fresh.panels ? aligned_take(scales, "a weight matrix's scales") : NULL;
    if (!fresh.scale) {
        aligned_release(fresh.panels);
        free(factors);
        return MUDPT_MEMORY;
    }
    int apart = owner->block && find_factors(w, factors, row);
    for (int o = 0; o < w->out; o++) {
        gemm_get_row(w, o, row);
        for (size_t i = 0; apart && i < in; i++) row[i] /= factors[i];
        gemm_set_row(&fresh, o, row, 0);
    }
    give_back(clip, owner, w->panels);
    *w = fresh;
    clip->bytes += bytes + scales;
    owner->becomes = 0;
    if (apart) owner->columns_apart = factors;
    else free(factors);
    return MUDPT_OK;
}

/* What a factor of every output channel does to W and b. row [in] */
static void scale_channels(gemm_weight *w, float *bias, int first, int count, const float *factors, float *row) {
    for (int k = 0; k < count; k++) {
        int o = first + k;
        bias[o] *= factors[k];
        if (w->scale) {
            w->scale[o] *= factors[k];
            continue;
        }
        gemm_get_row(w, o, row);
        for (int i = 0; i < w->in; i++) row[i] *= factors[k];
        gemm_set_row(w, o, row, 0);
    }
}

void clip_fold_layer_scales(clip_block *blocks, int layers, float *row) {
    for (clip_block *b = blocks; b < blocks + layers && b->scale_1; b++) {
        scale_channels(&b->out_proj, b->out_proj_bias, 0, b->width, b->scale_1, row);
        scale_channels(&b->proj, b->proj_bias, 0, b->width, b->scale_2, row);
    }
}

void clip_fold_columns(mudpt_clip *clip, float *row) {
    for (int i = 0; i < clip->tensor_count; i++) {
        const clip_tensor *t = &clip->tensors[i];
        clip_block *b = t->block;
        if (t->owner != i || !t->columns_apart) continue;
        if (t->target == &b->proj) {
            b->proj_columns = t->columns_apart;
            continue;
        }
        if (t->target == &b->out_proj) {
            scale_channels(&b->in_proj, b->in_proj_bias, 2 * b->width, b->width, t->columns_apart, row);
            continue;
        }
        int first = t->target == &b->in_proj;
        float *gain = first ? b->ln_1_gain : b->ln_2_gain, *bias = first ? b->ln_1_bias : b->ln_2_bias;
        for (int k = 0; k < t->columns; k++) {
            gain[k] *= t->columns_apart[k];
            bias[k] *= t->columns_apart[k];
        }
    }
}
