/* Which models can be computed, and what follows from their sizes. */
#include <math.h>

#include "base/error.h"
#include "base/format.h"
#include "image/image.h"
#include "kernels/layernorm.h"
#include "weights.h"

float clip_epsilon(const mudpt_tower *tower) {
    return tower->epsilon > 0 ? tower->epsilon : LAYERNORM_EPSILON;
}

int clip_patches(const mudpt_clip_config *c) {
    return (c->image / c->patch) * (c->image / c->patch);
}

int clip_picture_rows(const mudpt_clip_config *c) {
    return clip_patches(c) + !c->no_class;
}

int clip_fills_sentences(const mudpt_clip_config *c) {
    return c->no_mask || c->text.pooling == MUDPT_POOL_LAST;
}

/* A whole number, and what it may be. */
typedef struct {
    const char *name;
    int value, low, high, multiple;
} range;

static int check_ranges(const range *table, size_t count) {
    for (const range *r = table; r < table + count; r++)
        if (r->value < r->low || r->value > r->high || r->value % r->multiple)
            return fail(MUDPT_MODEL, "%s is %d; expected a multiple of %d from %d to %d", r->name, r->value,
                        r->multiple, r->low, r->high);
    return MUDPT_OK;
}

#define CHECK_RANGES(table) check_ranges(table, sizeof table / sizeof *table)

static int check_heads(const char *name, int width, int heads) {
    if (width % heads == 0 && width / heads % 4 == 0) return MUDPT_OK;
    return fail(MUDPT_MODEL, "%d %s heads do not divide width %d into multiples of 4", heads, name, width);
}

static int check_tower(const char *name, const mudpt_tower *t, int embed) {
    const range table[] = {
        {"width", t->width, 8, MUDPT_MAX_WIDTH, 8},
        {"layers", t->layers, 1, MUDPT_MAX_LAYERS, 1},
        {"heads", t->heads, 1, 1024, 1},
        {"MLP width", t->mlp, 8, 8 * MUDPT_MAX_WIDTH, 8},
        {"activation", t->activation, MUDPT_QUICK_GELU, MUDPT_GELU_TANH, 1},
        {"layer scale", t->layer_scale, 0, 1, 1},
        {"lack of a projection", t->no_projection, 0, 1, 1},
        {"projection bias", t->projection_bias, 0, !t->no_projection, 1},
    };
    char full[64];
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        range one = table[i];
        format_text(full, sizeof full, "%s %s", name, one.name);
        one.name = full;
        int code = check_ranges(&one, 1);
        if (code) return code;
    }
    if (!(t->epsilon >= 0 && t->epsilon < 1))
        return fail(MUDPT_MODEL, "the %s tower's LayerNorm epsilon is %g; expected a number from 0 to 1", name,
                    (double)t->epsilon);
    if (t->no_projection && t->width != embed)
        return fail(MUDPT_MODEL, "the %s tower has no projection, so its width %d must be the embedding width %d", name,
                    t->width, embed);
    return check_heads(name, t->width, t->heads);
}

/* What the image tower's rows are, and how a feature is made of them. */
static int check_pooling(const mudpt_clip_config *c) {
    int attention = c->vision.pooling == MUDPT_POOL_ATTENTION;
    if (c->vision.pooling < MUDPT_POOL_TOKEN || c->vision.pooling > MUDPT_POOL_ATTENTION)
        return fail(MUDPT_MODEL, "vision pooling %d is unknown; valid: 0 CLS, 1 mean, 2 attention", c->vision.pooling);
    if (c->text.pooling != MUDPT_POOL_TOKEN && c->text.pooling != MUDPT_POOL_LAST)
        return fail(MUDPT_MODEL, "text pooling %d is unknown; valid: 0 end of text, 3 last", c->text.pooling);
    if (c->vision.pooling == MUDPT_POOL_TOKEN && c->no_class)
        return fail(MUDPT_MODEL, "the feature is read from CLS, which the model does not have");
    if (c->norm_after_pool && c->vision.pooling != MUDPT_POOL_MEAN)
        return fail(MUDPT_MODEL, "a last LayerNorm behind the pooling is possible with the mean only");
    if (c->rope != 0 && !(c->rope >= 1 && c->rope <= 1e9f)) /* angles that a float32 can tell apart */
        return fail(MUDPT_MODEL, "the base of rotary positions is %g; expected 0, or 1 to 1e9", (double)c->rope);
    if (!attention && (c->pool_heads || c->pool_mlp || c->pool_activation))
        return fail(MUDPT_MODEL, "a pooling head belongs to attention pooling only");
    const range table[] = {
        {"pooling heads", c->pool_heads, 1, 1024, 1},
        {"pooling MLP width", c->pool_mlp, 8, 8 * MUDPT_MAX_WIDTH, 8},
        {"pooling activation", c->pool_activation, MUDPT_QUICK_GELU, MUDPT_GELU_TANH, 1},
    };
    int code = attention ? CHECK_RANGES(table) : MUDPT_OK;
    return code || !attention ? code : check_heads("pooling", c->vision.width, c->pool_heads);
}

/* Products of sizes that 32 bits may not hold. */
static int check_products(const mudpt_clip_config *c) {
    const struct {
        const char *name;
        int64_t rows, columns;
    } tensors[] = {{"patch embedding", c->vision.width, 3 * (int64_t)c->patch * c->patch},
                   {"image tower's MLP", c->vision.width, c->vision.mlp},
                   {"pooling head's MLP", c->vision.width, c->pool_mlp},
                   {"text tower's MLP", c->text.width, c->text.mlp}};
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++)
        if (tensors[i].rows * tensors[i].columns > MUDPT_MAX_TENSOR_VALUES)
            return fail(MUDPT_MODEL, "the %s has %lld x %lld values; at most %d are possible", tensors[i].name,
                        (long long)tensors[i].rows, (long long)tensors[i].columns, MUDPT_MAX_TENSOR_VALUES);
    return MUDPT_OK;
}

int clip_check_config(const mudpt_clip_config *c) {
    const range table[] = {
        {"image size", c->image, 1, 4096, 1},
        {"patch size", c->patch, 1, 1024, 1},
        {"embedding width", c->embed, 1, MUDPT_MAX_WIDTH, 1},
        {"context length", c->context, 3, 4096, 1},
        {"vocabulary", c->vocab, 2, 10000000, 1},
        {"patch bias", c->patch_bias, 0, 1, 1},
        {"lack of a class token", c->no_class, 0, 1, 1},
        {"lack of a first LayerNorm", c->no_pre_norm, 0, 1, 1},
        {"last LayerNorm behind the pooling", c->norm_after_pool, 0, 1, 1},
        {"lack of a causal mask", c->no_mask, 0, 1, 1},
        {"padding token", c->pad, 0, c->vocab > 0 ? c->vocab - 1 : 0, 1},
        {"lack of a start of text", c->no_start, 0, 1, 1},
        {"logit bias", c->logit_bias, 0, 1, 1},
    };
    int code = CHECK_RANGES(table);
    if (!code) code = check_tower("vision", &c->vision, c->embed);
    if (!code) code = check_tower("text", &c->text, c->embed);
    if (!code) code = check_pooling(c);
    if (!code) code = check_products(c);
    if (code) return code;
    if (c->image < c->patch || c->image / c->patch > 128)
        return fail(MUDPT_MODEL, "%d patches a side; 1 to 128 are supported", c->image / c->patch);
    if (c->storage < -1 || c->storage > MUDPT_I16 || c->storage == MUDPT_BF16)
        return fail(MUDPT_ARGUMENT, "storage type %d is unknown; valid: 0 f32, 1 f16, 2 int8, 4 int16, -1 as sent",
                    c->storage);
    if (c->precision < MUDPT_HIGH || c->precision > (HAS_INT8 ? MUDPT_INT8 : MUDPT_FAST))
        return fail(MUDPT_ARGUMENT,
                    HAS_INT8 ? "precision %d is unknown; valid: 0 high, 1 fast, 2 int8"
                             : "precision %d is unknown; valid: 0 high, 1 fast",
                    c->precision);
    if (c->text_side < MUDPT_TEXT_WHOLE || c->text_side > MUDPT_TEXT_NONE)
        return fail(MUDPT_ARGUMENT, "text %d is unknown; valid: 0 whole, 1 token rows later, 2 none", c->text_side);
    for (int i = 0; i < 3; i++)
        if (!isfinite(c->mean[i]) || !isfinite(c->std[i]) || !(c->std[i] > 0))
            return fail(MUDPT_MODEL, "the pixels' mean and standard deviation must be finite, and the latter above 0");
    return image_check_transform(&c->transform);
}
