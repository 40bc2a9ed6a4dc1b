/* A classifier from its making to its answers: parameters, class features, logits, folding. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "kernels/loss.h"
#include "classifier.h"

/* ------------------------------------------------------------------------------------------------ create, free */

static int create(mudpt_classifier *c, const mudpt_method *method, const mudpt_sentences *sentences) {
    int code = method_open(&c->state, c->clip, method, c->classes);
    if (code) return code;
    if (!sentences && c->state.method->text)
        return fail(MUDPT_ARGUMENT, "%s needs the classes' sentences", method->method);
    if (sentences && method->class_position && !sentences->name_lengths)
        return fail(MUDPT_ARGUMENT, "a class position other than 0 needs the names' lengths");
    const mudpt_method *sizes = &c->state.sizes;
    c->enters = !c->state.method->class_aware && (sizes->layer > 0 || sizes->inserted);
    c->entry = (tower_entry){sizes->layer, sizes->kept, sizes->second > 0};
    if (sentences && sentences->templates != 1 && c->state.method->text)
        return fail(MUDPT_ARGUMENT, "%d templates; methods with text prompts take one", sentences->templates);
    if (sentences) code = classifier_keep_sentences(c, sentences);
    if (code) return code;
    uint64_t features = (uint64_t)c->classes * (uint64_t)c->clip->config.embed;
    for (int pass = 0; pass < 2; pass++) {
        c->state.values = arena_floats(&c->parameters, c->state.total);
        c->text_features = arena_floats(&c->parameters, features);
        c->unit_text = arena_floats(&c->parameters, features);
        c->text_norms = arena_floats(&c->parameters, (size_t)c->classes);
        c->teacher = anchor_needs_classes(c) ? arena_floats(&c->parameters, features) : NULL;
        c->state.teacher = c->teacher;
        if (pass == 0 && (code = arena_open(&c->parameters, "a classifier"))) return code;
    }
    method_take(&c->state, &c->prompts, 0);
    if ((code = arena_open(&c->prompts, "a classifier's prompts"))) return code;
    method_take(&c->state, &c->prompts, 0);
    return c->state.method->reserve ? c->state.method->reserve(&c->state) : MUDPT_OK;
}

int mudpt_classifier_create(mudpt_clip *clip, const mudpt_method *method, const mudpt_sentences *sentences, int classes,
                            mudpt_classifier **out) {
    if (live_check(clip, LIVE_CLIP)) return MUDPT_STATE;
    if (!clip->finished) return fail(MUDPT_STATE, "the model's weights are not complete");
    if (sentences) classes = sentences->classes;
    if (classes < 1 || classes > MUDPT_MAX_CLASSES)
        return fail(MUDPT_ARGUMENT, "%d classes; expected 1 to %d", classes, MUDPT_MAX_CLASSES);
    if (sentences && (sentences->templates < 1 || sentences->templates > 1000 || sentences->stride < 2))
        return fail(MUDPT_ARGUMENT, "%d templates of %d tokens; expected 1 to 1000 of at least 2", sentences->templates,
                    sentences->stride);
    mudpt_classifier *c = calloc(1, sizeof *c);
    if (!c) return fail_memory(sizeof *c, "a classifier");
    c->clip = clip;
    c->classes = classes;
    clip->classifiers++;
    int code = create(c, method, sentences);
    if (code) {
        classifier_release(c);
        return code;
    }
    live_add(&c->live, LIVE_CLASSIFIER);
    *out = c;
    return MUDPT_OK;
}

void mudpt_classifier_free(mudpt_classifier *c) {
    if (!live_is(c, LIVE_CLASSIFIER)) return;
    live_remove(&c->live);
    c->freed = 1;
    if (!c->trainer) classifier_release(c);
}

int classifier_check(const mudpt_classifier *c) {
    int code = live_check(c, LIVE_CLASSIFIER);
    if (!code && c->busy) code = fail(MUDPT_STATE, "a step of its training is under way; use it when that is done");
    return code;
}

void classifier_release(mudpt_classifier *c) {
    if (!--c->clip->classifiers && c->clip->freed) clip_release(c->clip);
    arena_close(&c->work.memory);
    arena_close(&c->prompts);
    arena_close(&c->parameters);
    free(c->below_rows);
    free(c->below_lengths);
    free(c->rows);
    free(c->lengths);
    free(c->ends);
    free(c);
}

size_t mudpt_classifier_bytes(const mudpt_classifier *c) {
    if (!live_is(c, LIVE_CLASSIFIER)) return 0;
    return sizeof *c + c->work.memory.size + c->prompts.size + c->parameters.size +
           (size_t)classifier_sentence_bytes(c);
}

int mudpt_classifier_init(mudpt_classifier *c, uint32_t seed, const int32_t *phrase, int count) {
    if (classifier_check(c)) return MUDPT_STATE;
    int n = c->state.sizes.text_length;
    if (phrase && count < n)
        return fail(MUDPT_ARGUMENT,
                    "%d text prompts cannot start from a phrase of %d words; use a longer phrase or fewer prompts", n,
                    count);
    for (int i = 0; phrase && i < n; i++)
        if (phrase[i] < 0 || phrase[i] >= c->clip->config.vocab)
            return fail(MUDPT_ARGUMENT, "the phrase has token id %d; the vocabulary has 0 to %d", phrase[i],
                        c->clip->config.vocab - 1);
    for (int i = 0; phrase && i < n; i++)
        if (!mudpt_clip_has_token(c->clip, phrase[i]))
            return fail(MUDPT_STATE, "token %d of the phrase has not been sent", phrase[i]);
    method_start(&c->state, seed, phrase);
    if (c->state.velocity) memset(c->state.velocity, 0, c->state.total * sizeof(float));
    if (c->state.square) memset(c->state.square, 0, c->state.total * sizeof(float));
    if (c->state.average) memset(c->state.average, 0, c->state.total * sizeof(float));
    mudpt_classifier_changed(c);
    return MUDPT_OK;
}

int mudpt_classifier_parameters(const mudpt_classifier *c) {
    if (live_check(c, LIVE_CLASSIFIER)) return MUDPT_STATE;
    return c->state.parameter_count;
}

int mudpt_classifier_parameter(mudpt_classifier *c, int index, mudpt_parameter *out) {
    if (live_check(c, LIVE_CLASSIFIER)) return MUDPT_STATE;
    method_state *s = &c->state;
    if (index < 0 || index >= s->parameter_count)
        return fail(MUDPT_ARGUMENT, "parameter %d does not exist; there are %d", index, s->parameter_count);
    const parameter *p = &s->parameters[index];
    *out = (mudpt_parameter){
        .name = p->name, .dims = p->dims, .count = p->count, .value = s->values + p->offset, .idle = p->idle};
    memcpy(out->shape, p->shape, sizeof p->shape);
    if (s->gradients) {
        out->gradient = s->gradients + p->offset;
        out->velocity = s->velocity + p->offset;
    }
    if (s->square) out->square = s->square + p->offset;
    if (s->average) out->average = s->average + p->offset;
    return MUDPT_OK;
}

void mudpt_classifier_changed(mudpt_classifier *c) {
    if (!live_is(c, LIVE_CLASSIFIER)) return;
    c->prompts_ready = 0;
    /* Text features that do not depend on parameters, or that were given, stay. */
    if (c->state.method->text) c->text_ready = 0;
}

void classifier_prepare_prompts(mudpt_classifier *c) {
    if (!c->prompts_ready) c->state.method->forward(&c->state);
    c->prompts_ready = 1;
}

/* ------------------------------------------------------------------------------------------------ text features */

/* Whether the sentences can be encoded, and what that needs. -> MUDPT_OK, MUDPT_STATE, MUDPT_MEMORY */
static int open_text(mudpt_classifier *c) {
    if (!c->rows) return fail(MUDPT_STATE, "the classifier has neither sentences nor text features");
    int code = c->state.method->class_aware ? classifier_check_teacher(c) : MUDPT_OK;
    if (!code) code = classifier_check_tokens(c);
    if (!code) code = classifier_reserve_kernels(c);
    if (!code) classifier_prepare_prompts(c);
    return code;
}

static int no_text_features(const mudpt_classifier *c) {
    return fail(MUDPT_STATE, "%s has text features of its own for every picture", c->state.method->name);
}

/* All sentences of a template, to text_features and, where not NULL, to rows [N, d_t]. */
static void encode_template(mudpt_classifier *c, const arena *memory, int template, float *rows) {
    size_t e = (size_t)c->clip->config.embed, d = (size_t)c->clip->config.text.width;
    for (int first = 0; first < c->classes; first += SENTENCES) {
        int count = c->classes - first < SENTENCES ? c->classes - first : SENTENCES;
        classifier_encode_sentences(c, memory, template, first, count, c->text_features + (size_t)first * e,
                                    rows ? rows + (size_t)first * d : NULL, NULL);
    }
}

int classifier_prepare_text(mudpt_classifier *c) {
    if (c->state.method->conditional) return no_text_features(c);
    if (c->text_ready) return MUDPT_OK;
    int e = c->clip->config.embed, code = open_text(c);
    if (code) return code;
    arena memory;
    if ((code = classifier_open_encoding(c, &memory))) return code;
    size_t floats = (size_t)c->classes * (size_t)e;
    float *mean = c->templates > 1 ? aligned_take(floats * sizeof(float), "an ensemble's text features") : NULL;
    if (c->templates > 1 && !mean) code = MUDPT_MEMORY;
    for (int t = 0; t < c->templates && !code; t++) {
        encode_template(c, &memory, t, NULL);
        if (!mean) continue;
        unit_forward(c->text_features, NULL, c->text_features, c->classes, e);
        for (size_t i = 0; i < floats; i++) mean[i] += c->text_features[i] / (float)c->templates;
    }
    if (mean) memcpy(c->text_features, mean, floats * sizeof(float));
    aligned_release(mean);
    arena_close(&memory);
    if (code) return code;
    unit_forward(c->unit_text, c->text_norms, c->text_features, c->classes, e);
    if (!classifier_all_finite(c->unit_text, floats)) return classifier_not_finite(c, NULL, 0);
    c->text_ready = 1;
    return MUDPT_OK;
}

int mudpt_classifier_text_features(mudpt_classifier *c, float *out) {
    if (classifier_check(c)) return MUDPT_STATE;
    int code = classifier_prepare_text(c);
    if (!code) memcpy(out, c->text_features, (size_t)c->classes * (size_t)c->clip->config.embed * sizeof(float));
    return code;
}

int mudpt_classifier_text_rows(mudpt_classifier *c, float *out) {
    if (classifier_check(c)) return MUDPT_STATE;
    if (c->state.method->conditional) return no_text_features(c);
    if (c->templates > 1) return fail(MUDPT_STATE, "%d templates have no rows in common; take one", c->templates);
    size_t e = (size_t)c->clip->config.embed, d = (size_t)c->clip->config.text.width;
    int code = open_text(c);
    if (code) return code;
    arena memory;
    if ((code = classifier_open_encoding(c, &memory))) return code;
    c->text_ready = 0; /* text_features are written to */
    encode_template(c, &memory, 0, out);
    arena_close(&memory);
    unit_forward(c->unit_text, c->text_norms, c->text_features, c->classes, (int)e);
    if (!classifier_all_finite(out, (size_t)c->classes * d)) return classifier_not_finite(c, NULL, 0);
    return MUDPT_OK;
}

int mudpt_classifier_set_text_features(mudpt_classifier *c, const float *features) {
    if (classifier_check(c)) return MUDPT_STATE;
    if (c->state.method->text)
        return fail(MUDPT_STATE, "%s computes its text features; use zeroshot or vpt", c->state.method->name);
    size_t count = (size_t)c->classes * (size_t)c->clip->config.embed;
    for (size_t i = 0; i < count; i++)
        if (!isfinite(features[i])) return fail(MUDPT_ARGUMENT, "text features hold NaN or infinity");
    memcpy(c->text_features, features, count * sizeof(float));
    unit_forward(c->unit_text, c->text_norms, c->text_features, c->classes, c->clip->config.embed);
    c->text_ready = c->text_given = 1;
    return MUDPT_OK;
}

int mudpt_classifier_set_teacher(mudpt_classifier *c, const float *features) {
    if (classifier_check(c)) return MUDPT_STATE;
    if (!c->teacher)
        return fail(MUDPT_STATE, "%s has nothing that needs the frozen model's class features", c->state.method->name);
    int e = c->clip->config.embed;
    size_t count = (size_t)c->classes * (size_t)e;
    if (!classifier_all_finite(features, count))
        return fail(MUDPT_ARGUMENT, "the frozen model's class features hold NaN or infinity");
    unit_forward(c->teacher, NULL, features, c->classes, e);
    c->teacher_given = classifier_all_finite(c->teacher, count);
    if (c->state.method->class_aware) mudpt_classifier_changed(c);
    return c->teacher_given ? MUDPT_OK : fail(MUDPT_ARGUMENT, "one of the class features has no direction");
}

/* ------------------------------------------------------------------------------------------------ logits */

/* The training tower's text features, and their lengths. */
void classifier_train_text(mudpt_classifier *c) {
    parts_forward(c);
    unit_forward(c->unit_text, c->text_norms, c->text_features, c->classes, c->clip->config.embed);
    c->text_ready = 0; /* encoding for classification may sum in another order: keep the two apart */
}

/* Conditional methods: the text features for one picture, whose feature of length one is unit [e]. */
void classifier_picture_text(mudpt_classifier *c, const float *unit) {
    c->state.method->forward_image(&c->state, unit);
    classifier_train_text(c);
}

/* Features as they leave the tower, [count, e]; work has the second ones, of length one. */
static void forward_group(mudpt_classifier *c, float *features, const float *pixels, const float *rows, int count) {
    classifier_work *w = &c->work;
    const float *prompts = c->state.sizes.visual_depth ? c->state.visual : NULL;
    if (rows) vision_above(&w->vision, features, rows, prompts, count);
    else vision_forward(&w->vision, features, pixels, prompts, count);
    if (!c->entry.read) return;
    vision_read(&w->vision, w->second_features, c->state.second, count);
    unit_forward(w->second_features, w->second_norms, w->second_features, count, c->clip->config.embed);
}

void classifier_add_second(mudpt_classifier *c, float *logits, const float *second, int classes) {
    float *more = c->work.second_logits, share = c->state.sizes.second;
    cosine_logits(more, second, c->unit_text, classifier_scale(c), classes, c->clip->config.embed);
    for (int n = 0; n < classes; n++) logits[n] = (1 - share) * logits[n] + share * more[n];
}

int mudpt_classifier_logits(mudpt_classifier *c, const float *pixels, int count, float *logits, float *features) {
    if (classifier_check(c)) return MUDPT_STATE;
    if (count < 0) return fail(MUDPT_ARGUMENT, "%d pictures", count);
    int conditional = c->state.method->conditional, code = conditional ? MUDPT_OK : classifier_prepare_text(c);
    if (!code && count) code = classifier_open_work(c, count, 0);
    if (code) return code;
    classifier_prepare_prompts(c);
    const mudpt_clip_config *config = &c->clip->config;
    classifier_work *w = &c->work;
    size_t picture = 3 * (size_t)config->image * (size_t)config->image, e = (size_t)config->embed;
    float scale = classifier_scale(c);
    for (int first = 0; first < count; first += w->group) {
        int now = count - first < w->group ? count - first : w->group;
        forward_group(c, w->image_features, pixels + (size_t)first * picture, NULL, now);
        if (features) memcpy(features + (size_t)first * e, w->image_features, (size_t)now * e * sizeof(float));
        unit_forward(w->image_features, NULL, w->image_features, now, (int)e);
        for (int i = 0; i < now; i++) {
            const float *unit = w->image_features + (size_t)i * e;
            if (conditional) classifier_picture_text(c, unit);
            float *row = logits + (size_t)(first + i) * (size_t)c->classes;
            cosine_logits(row, unit, c->unit_text, scale, c->classes, (int)e);
            if (c->entry.read)
                classifier_add_second(c, row, w->second_features + (size_t)i * e, c->classes - c->state.sizes.alone);
            if (!classifier_all_finite(row, (size_t)c->classes)) return classifier_not_finite(c, pixels, count);
        }
    }
    return MUDPT_OK;
}

int mudpt_classifier_image_features(mudpt_classifier *c, const float *pixels, int count, float *rows, float *features) {
    if (classifier_check(c)) return MUDPT_STATE;
    if (count < 0) return fail(MUDPT_ARGUMENT, "%d pictures", count);
    int code = count ? classifier_open_work(c, count, 0) : MUDPT_OK;
    if (code) return code;
    classifier_prepare_prompts(c);
    const mudpt_clip_config *config = &c->clip->config;
    classifier_work *w = &c->work;
    size_t picture = 3 * (size_t)config->image * (size_t)config->image;
    size_t e = (size_t)config->embed, d = (size_t)config->vision.width;
    for (int first = 0; first < count; first += w->group) {
        int now = count - first < w->group ? count - first : w->group;
        vision_forward(&w->vision, w->image_features, pixels + (size_t)first * picture,
                       c->state.sizes.visual_depth ? c->state.visual : NULL, now);
        int finite = classifier_all_finite(w->image_features, (size_t)now * e);
        if (!finite || !classifier_all_finite(w->vision.pooling.pooled, (size_t)now * d))
            return classifier_not_finite(c, pixels, count);
        if (features) memcpy(features + (size_t)first * e, w->image_features, (size_t)now * e * sizeof(float));
        if (rows) memcpy(rows + (size_t)first * d, w->vision.pooling.pooled, (size_t)now * d * sizeof(float));
    }
    return MUDPT_OK;
}

int mudpt_classifier_feature_logits(mudpt_classifier *c, const float *features, int count, float *logits) {
    if (classifier_check(c)) return MUDPT_STATE;
    if (count < 0) return fail(MUDPT_ARGUMENT, "%d pictures", count);
    if (c->state.method->conditional) return no_text_features(c);
    if (c->state.sizes.visual_length)
        return fail(MUDPT_STATE, "%s has visual prompts; give it pictures", c->state.method->name);
    int code = classifier_prepare_text(c), e = c->clip->config.embed;
    float *unit = code || !count ? NULL : aligned_take((size_t)e * sizeof(float), "a picture's features");
    if (!code && count && !unit) code = MUDPT_MEMORY;
    float scale = classifier_scale(c);
    for (int i = 0; i < count && !code; i++) {
        float *row = logits + (size_t)i * (size_t)c->classes;
        unit_forward(unit, NULL, features + (size_t)i * (size_t)e, 1, e);
        cosine_logits(row, unit, c->unit_text, scale, c->classes, e);
        if (!classifier_all_finite(row, (size_t)c->classes)) code = classifier_not_finite(c, NULL, 0);
    }
    aligned_release(unit);
    return code;
}

int mudpt_classifier_attention(mudpt_classifier *c, const float *pixels, float *out) {
    if (classifier_check(c)) return MUDPT_STATE;
    int code = classifier_open_work(c, 1, 0);
    if (code) return code;
    classifier_prepare_prompts(c);
    vision_forward(&c->work.vision, c->work.image_features, pixels,
                   c->state.sizes.visual_depth ? c->state.visual : NULL, 1);
    return vision_attention(&c->work.vision, out);
}

int classifier_trains_images(const mudpt_classifier *c) {
    return c->state.method->visual;
}

void classifier_encode_group(mudpt_classifier *c, const float *pixels, const float *rows, int count, float *units,
                             float *norms) {
    forward_group(c, units, pixels, rows, count);
    unit_forward(units, norms, units, count, c->clip->config.embed);
}

void classifier_encode(mudpt_classifier *c, const float *pixels, int count, float *units) {
    const classifier_work *w = &c->work;
    size_t e = (size_t)c->clip->config.embed, side = (size_t)c->clip->config.image;
    classifier_prepare_prompts(c);
    for (int first = 0; first < count; first += w->group) {
        int now = count - first < w->group ? count - first : w->group;
        classifier_encode_group(c, pixels + (size_t)first * 3 * side * side, NULL, now, units + (size_t)first * e,
                                w->image_norms);
    }
}

void classifier_below(mudpt_classifier *c, const float *pixels, int count, float *rows) {
    vision_below(&c->work.vision, rows, pixels, count);
}

void classifier_encode_frozen(mudpt_classifier *c, const float *pixels, const float *rows, int count, float *units) {
    classifier_work *w = &c->work;
    size_t e = (size_t)c->clip->config.embed, side = (size_t)c->clip->config.image;
    for (int first = 0; first < count; first += w->group) {
        int now = count - first < w->group ? count - first : w->group;
        float *group = units + (size_t)first * e;
        if (rows) vision_above(&w->frozen, group, rows + (size_t)first * classifier_below_count(c), NULL, now);
        else vision_forward(&w->frozen, group, pixels + (size_t)first * 3 * side * side, NULL, now);
        unit_forward(group, NULL, group, now, (int)e);
    }
}

void mudpt_classifier_folded_shape(const mudpt_classifier *c, int32_t *text_depth, int32_t *text_length,
                                   int32_t *visual_depth, int32_t *visual_length) {
    *text_depth = *text_length = *visual_depth = *visual_length = 0;
    if (!live_is(c, LIVE_CLASSIFIER)) return;
    *text_depth = c->state.sizes.text_depth;
    *text_length = c->state.text_rows;
    *visual_depth = c->state.sizes.visual_depth;
    *visual_length = c->state.sizes.visual_length;
}

int mudpt_classifier_fold(mudpt_classifier *c, float *text, float *visual, float *second) {
    if (live_check(c, LIVE_CLASSIFIER)) return MUDPT_STATE;
    const method_state *s = &c->state;
    if (s->method->conditional)
        return fail(MUDPT_STATE, "%s has prompts of its own for every picture; it cannot be folded", s->method->name);
    int code = s->method->class_aware ? classifier_check_teacher(c) : MUDPT_OK;
    if (code) return code;
    classifier_prepare_prompts(c);
    size_t text_floats = (size_t)s->sizes.text_depth * (size_t)s->text_rows * (size_t)c->clip->config.text.width;
    size_t visual_floats =
        (size_t)s->sizes.visual_depth * (size_t)s->sizes.visual_length * (size_t)c->clip->config.vision.width;
    if (text) memcpy(text, s->text, text_floats * sizeof(float));
    if (visual) memcpy(visual, s->visual, visual_floats * sizeof(float));
    size_t second_floats = (size_t)c->clip->config.vision.width * (size_t)c->clip->config.embed;
    if (second && c->entry.read) memcpy(second, s->second, second_floats * sizeof(float));
    return MUDPT_OK;
}
