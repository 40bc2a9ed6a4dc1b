/* What tells models apart, whatever the names and storage of their weights: a fingerprint, samples of every tensor. */
#include <math.h>
#include <string.h>

#include "base/format.h"
#include "base/half.h"
#include "kernels/layernorm.h"
#include "tensors.h"

/* Which of `count` values is the k-th sample of a tensor. */
static size_t place_of_sample(int tensor, int k, size_t count) {
    uint32_t h = (uint32_t)(tensor * TENSOR_SAMPLES + k + 1) * 2654435761u;
    h ^= h >> 16;
    h *= 0x85ebca6bu;
    h ^= h >> 13;
    return h % count;
}

/* Samples among some rows [rows, columns] of the current tensor. What another storage type makes of a value is off by
 * less than its slack: int8 by half a 127th of its row's largest, bf16 by a 512th of itself. */
void clip_take_samples(mudpt_clip *clip, int row, int rows, const float *values) {
    const clip_tensor *t = clip->current;
    clip_tensor *owner = &clip->tensors[t->owner];
    size_t columns = tensor_columns(t), first = (size_t)(t->first_row + row) * columns, count = (size_t)rows * columns;
    for (int k = 0; k < TENSOR_SAMPLES; k++) {
        size_t place = place_of_sample(t->owner, k, (size_t)owner->rows * columns);
        if (place < first || place - first >= count) continue;
        const float *sampled = values + (place - first) / columns * columns;
        float value = values[place - first], largest = 0;
        for (size_t i = 0; i < columns; i++) largest = fmaxf(largest, fabsf(sampled[i]));
        float slack = 0.01f * fabsf(value) + (t->kind == VECTOR ? 1e-6f : 0.005f * largest);
        owner->samples[k].value = value;
        owner->samples[k].slack = slack;
        owner->samples[k].integer = tensor_is_integer(clip->current_type);
    }
}

int mudpt_clip_samples(const mudpt_clip *clip, float *out) {
    int count = 0;
    for (int i = 0; i < clip->tensor_count; i++) {
        const clip_tensor *t = &clip->tensors[i];
        if (t->owner != i) continue;
        size_t values = (size_t)t->rows * tensor_columns(t);
        for (int k = 0; k < TENSOR_SAMPLES; k++, count += 2) {
            if (!out) continue;
            size_t place = place_of_sample(i, k, values), columns = tensor_columns(t);
            float scale = t->samples[k].integer && t->scales_seen ? t->scales[place / columns] : 1;
            if (t->samples[k].integer && t->columns_seen) scale *= t->columns_apart[place % columns];
            out[count] = t->samples[k].value * scale;
            out[count + 1] = t->samples[k].slack * scale;
        }
    }
    return count;
}

/* What of the model is not as in OpenAI's CLIP, whose fingerprint is that of its sizes and weights alone. */
static uint64_t add_differences(uint64_t hash, const mudpt_clip_config *c) {
    float numbers[] = {c->vision.epsilon, c->text.epsilon, c->rope};
    int32_t parts[] = {c->vision.activation,
                       c->vision.layer_scale,
                       c->vision.pooling,
                       c->vision.no_projection,
                       c->vision.projection_bias,
                       c->text.activation,
                       c->text.layer_scale,
                       c->text.pooling,
                       c->text.no_projection,
                       c->text.projection_bias,
                       c->patch_bias,
                       c->no_class,
                       c->no_pre_norm,
                       c->norm_after_pool,
                       c->pool_heads,
                       c->pool_mlp,
                       c->pool_activation,
                       c->no_mask,
                       c->pad,
                       c->no_start,
                       c->logit_bias,
                       0,
                       0,
                       0};
    if (numbers[0] == LAYERNORM_EPSILON) numbers[0] = 0;
    if (numbers[1] == LAYERNORM_EPSILON) numbers[1] = 0;
    enum { PARTS = sizeof parts / sizeof *parts, NUMBERS = sizeof numbers / sizeof *numbers };
    memcpy(parts + PARTS - NUMBERS, numbers, sizeof numbers);
    for (int i = 0; i < PARTS; i++)
        if (parts[i]) hash = (hash ^ (uint32_t)parts[i] ^ ((uint64_t)(i + 1) << 32)) * 1099511628211ULL;
    return hash;
}

/* FNV-1a over the sizes and, rounded to half precision, everything that no storage type changes otherwise. */
void clip_set_fingerprint(mudpt_clip *clip) {
    uint64_t hash = 14695981039346656037ULL;
    const mudpt_clip_config *c = &clip->config;
    const int32_t sizes[] = {c->image,      c->patch,      c->vision.width, c->vision.layers, c->vision.heads,
                             c->vision.mlp, c->text.width, c->text.layers,  c->text.heads,    c->text.mlp,
                             c->embed,      c->context,    c->vocab};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int shift = 0; shift < 32; shift += 8)
            hash = (hash ^ ((uint32_t)sizes[i] >> shift & 255)) * 1099511628211ULL;
    hash = add_differences(hash, c);
    for (int i = 0; i < clip->tensor_count; i++) {
        const clip_tensor *t = &clip->tensors[i];
        if (t->owner != i || t->kind != VECTOR) continue;
        const float *values = *(float **)t->target;
        size_t count = (size_t)t->rows * (size_t)(t->columns ? t->columns : 1);
        for (size_t k = 0; k < count; k++) {
            uint16_t half = half_from_float(values[k]);
            hash = (hash ^ (half & 255)) * 1099511628211ULL;
            hash = (hash ^ (half >> 8)) * 1099511628211ULL;
        }
    }
    format_text(clip->fingerprint, sizeof clip->fingerprint, "%08x%08x", (unsigned)(hash >> 32), (unsigned)hash);
}

const char *mudpt_clip_fingerprint(const mudpt_clip *clip) {
    return clip->fingerprint;
}
