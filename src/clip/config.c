/* Which sizes of a CLIP can be computed. */
#include <math.h>

#include "base/error.h"
#include "image/image.h"
#include "weights.h"

int clip_check_config(const mudpt_clip_config *c) {
    struct {
        const char *name;
        int value, low, high, multiple;
    } table[] = {
        {"image size", c->image, 1, 4096, 1},
        {"patch size", c->patch, 1, 1024, 1},
        {"vision width", c->vision_width, 8, MUDPT_MAX_WIDTH, 8},
        {"vision layers", c->vision_layers, 1, MUDPT_MAX_LAYERS, 1},
        {"vision heads", c->vision_heads, 1, 1024, 1},
        {"vision MLP width", c->vision_mlp, 8, 8 * MUDPT_MAX_WIDTH, 8},
        {"text width", c->text_width, 8, MUDPT_MAX_WIDTH, 8},
        {"text layers", c->text_layers, 1, MUDPT_MAX_LAYERS, 1},
        {"text heads", c->text_heads, 1, 1024, 1},
        {"text MLP width", c->text_mlp, 8, 8 * MUDPT_MAX_WIDTH, 8},
        {"embedding width", c->embed, 1, MUDPT_MAX_WIDTH, 1},
        {"context length", c->context, 3, 4096, 1},
        {"vocabulary", c->vocab, 2, 10000000, 1},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].value < table[i].low || table[i].value > table[i].high || table[i].value % table[i].multiple)
            return fail(MUDPT_MODEL, "%s is %d; expected a multiple of %d from %d to %d", table[i].name, table[i].value,
                        table[i].multiple, table[i].low, table[i].high);
    const struct {
        const char *name;
        int64_t rows, columns;
    } tensors[] = {{"patch embedding", c->vision_width, 3 * (int64_t)c->patch * c->patch},
                   {"image tower's MLP", c->vision_width, c->vision_mlp},
                   {"text tower's MLP", c->text_width, c->text_mlp}};
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++)
        if (tensors[i].rows * tensors[i].columns > MUDPT_MAX_TENSOR_VALUES)
            return fail(MUDPT_MODEL, "the %s has %lld x %lld values; at most %d are possible", tensors[i].name,
                        (long long)tensors[i].rows, (long long)tensors[i].columns, MUDPT_MAX_TENSOR_VALUES);
    if (c->image % c->patch)
        return fail(MUDPT_MODEL, "image size %d is not a multiple of patch size %d", c->image, c->patch);
    if (c->image / c->patch > 128)
        return fail(MUDPT_MODEL, "%d patches a side; at most 128 are supported", c->image / c->patch);
    if (c->vision_width % c->vision_heads || c->vision_width / c->vision_heads % 4)
        return fail(MUDPT_MODEL, "%d vision heads do not divide width %d into multiples of 4", c->vision_heads,
                    c->vision_width);
    if (c->text_width % c->text_heads || c->text_width / c->text_heads % 4)
        return fail(MUDPT_MODEL, "%d text heads do not divide width %d into multiples of 4", c->text_heads,
                    c->text_width);
    if (c->storage < -1 || c->storage > MUDPT_I16 || c->storage == MUDPT_BF16)
        return fail(MUDPT_ARGUMENT, "storage type %d is unknown; valid: 0 f32, 1 f16, 2 int8, 4 int16, -1 as sent",
                    c->storage);
    if (c->precision != MUDPT_HIGH && c->precision != MUDPT_FAST)
        return fail(MUDPT_ARGUMENT, "precision %d is unknown; valid: 0 high, 1 fast", c->precision);
    if (c->text < MUDPT_TEXT_WHOLE || c->text > MUDPT_TEXT_NONE)
        return fail(MUDPT_ARGUMENT, "text %d is unknown; valid: 0 whole, 1 token rows later, 2 none", c->text);
    for (int i = 0; i < 3; i++)
        if (!isfinite(c->mean[i]) || !isfinite(c->std[i]) || !(c->std[i] > 0))
            return fail(MUDPT_MODEL, "the pixels' mean and standard deviation must be finite, and the latter above 0");
    return image_check_transform(&c->transform);
}
