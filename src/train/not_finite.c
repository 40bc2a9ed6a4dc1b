/* NaN and infinity: whether there are any, and where they came up first.
 *
 * It costs the towers nothing: what comes out at their end is looked at, and only where that is not finite the way that
 * numbers take is gone once more, layer by layer.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/format.h"
#include "classifier.h"

int classifier_all_finite(const float *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i])) return 0;
    return 1;
}

/* Whether a feature has a length that it can be divided by. */
static int has_length(const float *feature, size_t count) {
    double square = 0;
    for (size_t i = 0; i < count; i++) square += (double)feature[i] * (double)feature[i];
    return square > 0 && square <= FLT_MAX;
}

/* The prompts of one side, layer by layer, the first of which is `first`. */
static int fail_in_prompts(const char *side, const float *prompts, int first, int depth, size_t layer) {
    for (int l = 0; l < depth; l++)
        if (!classifier_all_finite(prompts + (size_t)l * layer, layer))
            return fail(MUDPT_NOT_FINITE, "the %s prompts of layer %d hold NaN or infinity; go back to earlier ones",
                        side, first + l);
    return MUDPT_OK;
}

static int fail_in_tower(const char *side, int broken, int layers, const char *remedy) {
    if (broken == 0)
        return fail(MUDPT_NOT_FINITE, "NaN or infinity enters the %s tower's first layer; %s", side, remedy);
    if (broken > 0)
        return fail(MUDPT_NOT_FINITE, "NaN or infinity comes out of layer %d of the %s tower, of 0 to %d; %s",
                    broken - 1, side, layers - 1, remedy);
    return fail(MUDPT_NOT_FINITE, "NaN or infinity comes out of the %s tower's pooling or projection; %s", side,
                remedy);
}

int classifier_not_finite(mudpt_classifier *c, const float *pixels, int count) {
    static const char remedy[] = "weights or prompts are too large; in training lower the learning rate";
    const mudpt_clip_config *config = &c->clip->config;
    const method_state *s = &c->state;
    size_t picture = 3 * (size_t)config->image * (size_t)config->image, e = (size_t)config->embed;
    for (int i = 0; pixels && i < count; i++)
        if (!classifier_all_finite(pixels + (size_t)i * picture, picture))
            return fail(MUDPT_NOT_FINITE, "picture %d holds NaN or infinity; decode or normalise it again", i);
    for (int i = 0; i < s->parameter_count; i++)
        if (!classifier_all_finite(s->values + s->parameters[i].offset, (size_t)s->parameters[i].count))
            return fail(MUDPT_NOT_FINITE, "tensor %s holds NaN or infinity; go back to earlier prompts",
                        s->parameters[i].name);
    int first = c->enters ? c->entry.layer : 0;
    int code =
        fail_in_prompts("text", s->text, first, s->sizes.text_depth, (size_t)s->text_rows * (size_t)config->text.width);
    if (!code)
        code = fail_in_prompts("visual", s->visual, first, s->sizes.visual_depth,
                               (size_t)s->sizes.visual_length * (size_t)config->vision.width);
    if (code) return code;
    int broken;
    int is_text = c->rows && !s->method->conditional && !classifier_all_finite(c->unit_text, (size_t)c->classes * e);
    arena memory;
    if (is_text && !classifier_open_encoding(c, &memory)) {
        float *lost = NULL; /* features that have no length */
        c->text_ready = 0;
        for (int k = 0; !lost && k < c->templates * c->classes; k++) {
            float *features = c->text_features + (size_t)(k % c->classes) * e; /* which are lost already */
            broken = -1;
            classifier_encode_sentences(c, &memory, k / c->classes, k % c->classes, 1, features, NULL, &broken);
            if (!has_length(features, e)) lost = features;
        }
        arena_close(&memory);
        if (lost) return fail_in_tower("text", broken, config->text.layers, remedy);
    }
    for (int i = 0; pixels && c->work.group && i < count; i++) {
        float *features = c->work.image_features;
        broken = -1;
        c->work.vision.tower.broken = c->work.vision.below.broken = &broken;
        vision_forward(&c->work.vision, features, pixels + (size_t)i * picture,
                       s->sizes.visual_depth ? s->visual : NULL, 1);
        c->work.vision.tower.broken = c->work.vision.below.broken = NULL;
        if (!has_length(features, e)) return fail_in_tower("image", broken, config->vision.layers, remedy);
        if (!c->entry.read) continue;
        vision_read(&c->work.vision, features, s->second, 1);
        if (!has_length(features, e))
            return fail(MUDPT_NOT_FINITE, "NaN or infinity comes out of a picture's second feature; %s", remedy);
    }
    return fail(MUDPT_NOT_FINITE, "a loss or a score is not a finite number; lower the learning rate");
}

/* Rows of a tensor of deep prompts belong to layers behind the first that has prompts. */
int classifier_check_gradients(const method_state *s) {
    for (int i = 0; i < s->parameter_count; i++) {
        const parameter *p = &s->parameters[i];
        const float *gradient = s->gradients + p->offset;
        for (int k = 0; k < p->count; k++) {
            if (isfinite(gradient[k])) continue;
            size_t length = strlen(p->name);
            int is_deep = p->dims == 3 && length > 5 && strcmp(p->name + length - 5, ".deep") == 0;
            char layer[32] = "";
            int first = s->method->class_aware ? 1 : 1 + s->sizes.layer;
            if (is_deep) format_text(layer, sizeof layer, " in layer %d", first + k / (p->shape[1] * p->shape[2]));
            return fail(MUDPT_NOT_FINITE, "the gradient of %s%s is not finite; lower the learning rate", p->name,
                        layer);
        }
    }
    return MUDPT_OK;
}
