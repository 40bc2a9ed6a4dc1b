#include "classifier.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/parallel.h"
#include "clip/device.h"
#include "loss.h"

/* ------------------------------------------------------------------------------------------------ sentences */

/* Ids become row sources; the prompts' placeholders become prompt rows, in the place that the method gives them. */
static void place_rows(mudpt_classifier *c, const mudpt_sentences *s, int sentence, int *rows) {
    const mudpt_method *m = &c->state.sizes;
    const int32_t *ids = s->ids + (size_t)sentence * (size_t)s->stride;
    int n = m->text_length, class = sentence % c->classes, first = m->class_specific ? class * n : 0;
    for (int i = 0; i < s->lengths[sentence]; i++) rows[i] = ids[i];
    if (!n) return;
    int before = m->class_position == 0 ? n : m->class_position == 1 ? n / 2 : 0;
    int name = m->class_position == 0 ? 0 : s->name_lengths[class];
    int at = 1;
    for (int i = 0; i < before; i++) rows[at++] = -1 - (first + i);
    for (int i = 0; i < name; i++) rows[at++] = ids[1 + n + i];
    for (int i = before; i < n; i++) rows[at++] = -1 - (first + i);
}

static int check_sentences(const mudpt_classifier *c, const mudpt_sentences *s) {
    const mudpt_clip_config *config = &c->clip->config;
    int n = c->state.sizes.text_length;
    for (int i = 0; i < s->templates * s->classes; i++) {
        int length = s->lengths[i], class = i % s->classes;
        if (length > config->context)
            return fail(
                MUDPT_ARGUMENT,
                "the sentence of class %d has %d tokens; the model reads %d: shorten the class name or the template",
                class, length, config->context);
        if (length < 2 + n || length > s->stride)
            return fail(MUDPT_ARGUMENT, "the sentence of class %d has %d tokens; expected %d to %d", class, length,
                        2 + n, s->stride);
        if (c->state.sizes.class_position && (s->name_lengths[class] < 0 || s->name_lengths[class] > length - 2 - n))
            return fail(MUDPT_ARGUMENT, "the name of class %d has %d tokens; its sentence has room for %d", class,
                        s->name_lengths[class], length - 2 - n);
        for (int k = 0; k < length; k++) {
            int id = s->ids[(size_t)i * (size_t)s->stride + (size_t)k];
            int placeholder = k >= 1 && k <= n;
            if (!placeholder && (id < 0 || id >= config->vocab))
                return fail(MUDPT_ARGUMENT, "the sentence of class %d has token id %d; the vocabulary has 0 to %d",
                            class, id, config->vocab - 1);
        }
    }
    return MUDPT_OK;
}

static int keep_sentences(mudpt_classifier *c, const mudpt_sentences *s) {
    int code = check_sentences(c, s);
    if (code) return code;
    size_t count = (size_t)s->templates * (size_t)s->classes;
    c->templates = s->templates;
    for (size_t i = 0; i < count; i++)
        if (s->lengths[i] > c->stride) c->stride = s->lengths[i];
    c->rows = calloc(count * (size_t)c->stride, sizeof(int));
    c->lengths = malloc(count * sizeof(int));
    if (!c->rows || !c->lengths) return fail_memory(count * (size_t)c->stride * sizeof(int), "the classes' sentences");
    for (size_t i = 0; i < count; i++) {
        c->lengths[i] = s->lengths[i];
        place_rows(c, s, (int)i, c->rows + i * (size_t)c->stride);
    }
    return MUDPT_OK;
}

/* ------------------------------------------------------------------------------------------------ create, free */

static int create(mudpt_classifier *c, const mudpt_method *method, const mudpt_sentences *sentences) {
    int code = method_open(&c->state, c->clip, method, c->classes);
    if (code) return code;
    if (!sentences && c->state.method->text)
        return fail(MUDPT_ARGUMENT, "%s needs the classes' sentences", method->method);
    if (sentences && method->class_position && !sentences->name_lengths)
        return fail(MUDPT_ARGUMENT, "a class position other than 0 needs the names' lengths");
    if (sentences && sentences->templates != 1 && c->state.method->text)
        return fail(MUDPT_ARGUMENT, "%d templates; methods with text prompts take one", sentences->templates);
    if (sentences) code = keep_sentences(c, sentences);
    if (code) return code;
    size_t features = (size_t)c->classes * (size_t)c->clip->config.embed;
    for (int pass = 0; pass < 2; pass++) {
        c->state.values = arena_floats(&c->parameters, c->state.total);
        c->text_features = arena_floats(&c->parameters, features);
        c->unit_text = arena_floats(&c->parameters, features);
        c->text_norms = arena_floats(&c->parameters, (size_t)c->classes);
        if (pass == 0 && (code = arena_open(&c->parameters, "a classifier"))) return code;
    }
    method_take(&c->state, &c->prompts, 0);
    if ((code = arena_open(&c->prompts, "a classifier's prompts"))) return code;
    method_take(&c->state, &c->prompts, 0);
    return c->state.method->reserve ? c->state.method->reserve(&c->state) : MUDPT_OK;
}

int mudpt_classifier_create(mudpt_clip *clip, const mudpt_method *method, const mudpt_sentences *sentences, int classes,
                            mudpt_classifier **out) {
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
    int code = create(c, method, sentences);
    if (code) mudpt_classifier_free(c);
    else *out = c;
    return code;
}

void mudpt_classifier_free(mudpt_classifier *c) {
    if (!c) return;
    arena_close(&c->work.memory);
    arena_close(&c->prompts);
    arena_close(&c->parameters);
    free(c->rows);
    free(c->lengths);
    free(c);
}

size_t mudpt_classifier_bytes(const mudpt_classifier *c) {
    return sizeof *c + c->work.memory.size + c->prompts.size + c->parameters.size +
           (size_t)c->templates * (size_t)c->classes * (size_t)(c->stride + 1) * sizeof(int);
}

int mudpt_classifier_init(mudpt_classifier *c, uint32_t seed, const int32_t *phrase, int count) {
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
    mudpt_classifier_changed(c);
    return MUDPT_OK;
}

int mudpt_classifier_parameters(const mudpt_classifier *c) {
    return c->state.parameter_count;
}

int mudpt_classifier_parameter(mudpt_classifier *c, int index, mudpt_parameter *out) {
    method_state *s = &c->state;
    if (index < 0 || index >= s->parameter_count)
        return fail(MUDPT_ARGUMENT, "parameter %d does not exist; there are %d", index, s->parameter_count);
    const parameter *p = &s->parameters[index];
    *out = (mudpt_parameter){.name = p->name, .dims = p->dims, .count = p->count, .value = s->values + p->offset};
    memcpy(out->shape, p->shape, sizeof p->shape);
    if (s->gradients) {
        out->gradient = s->gradients + p->offset;
        out->velocity = s->velocity + p->offset;
    }
    return MUDPT_OK;
}

void mudpt_classifier_changed(mudpt_classifier *c) {
    c->prompts_ready = 0;
    /* Text features that do not depend on parameters, or that were given, stay. */
    if (c->state.method->text) c->text_ready = 0;
}

static void prepare_prompts(mudpt_classifier *c) {
    if (!c->prompts_ready) c->state.method->forward(&c->state);
    c->prompts_ready = 1;
}

/* ------------------------------------------------------------------------------------------------ memory */

static int larger(int a, int b) {
    return a > b ? a : b;
}

/* The longest sum of any product of the model, and the largest scratch of its attention. */
static int longest_sum(const mudpt_clip_config *c) {
    int depth = larger(larger(c->vision_mlp, c->text_mlp), 3 * larger(c->vision_width, c->text_width));
    return larger(depth, larger(3 * c->patch * c->patch, c->embed));
}

static size_t attention_bytes(const mudpt_clip_config *c, int visual_length) {
    int grid = c->image / c->patch, rows = 1 + grid * grid + visual_length;
    size_t vision_bytes = attention_scratch(rows, c->vision_width / c->vision_heads);
    size_t text_bytes = attention_scratch(c->context, c->text_width / c->text_heads);
    return vision_bytes > text_bytes ? vision_bytes : text_bytes;
}

/* Scratch of the kernels, for any product and any attention of the model. */
static int reserve_kernels(const mudpt_clip *clip, int visual_length) {
    int code = gemm_reserve(longest_sum(&clip->config));
    return code ? code : parallel_reserve(attention_bytes(&clip->config, visual_length));
}

static size_t kernel_bytes(const mudpt_clip *clip, int visual_length) {
    size_t thread = gemm_scratch_bytes(), attention = attention_bytes(&clip->config, visual_length);
    if (attention > thread) thread = attention;
    return gemm_packed_bytes(longest_sum(&clip->config)) + (size_t)parallel_threads() * thread;
}

static text_sentences sentences_of(const mudpt_classifier *c, int template, int first, int count) {
    size_t at = (size_t) template * (size_t)c->classes + (size_t)first;
    return (text_sentences){count, c->stride, c->lengths + at, c->rows + at * (size_t)c->stride};
}

static size_t largest(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Whether what the sentences need of the model has been sent. */
static int check_tokens(const mudpt_classifier *c) {
    if (c->clip->config.text == MUDPT_TEXT_NONE)
        return fail(MUDPT_STATE, "the model was loaded without its text tower; text features must be given");
    size_t count = (size_t)c->templates * (size_t)c->classes;
    for (size_t i = 0; i < count; i++)
        for (int k = 0; k < c->lengths[i]; k++) {
            int id = c->rows[i * (size_t)c->stride + (size_t)k];
            if (id >= 0 && !mudpt_clip_has_token(c->clip, id))
                return fail(MUDPT_STATE, "row %d of the token embedding has not been sent", id);
        }
    return MUDPT_OK;
}

/* A text tower that stays: for training text prompts, and where every picture has sentences of its own (cocoop). */
static int has_text_tower(const mudpt_classifier *c, const classifier_work *w) {
    return c->state.method->text && (w->training || c->state.method->conditional);
}

/* Whether sizes of a text tower of so many rows can be told at all: take_work and the towers multiply them. */
static int check_text_rows(const mudpt_classifier *c, const text_sentences *sentences) {
    const mudpt_clip_config *config = &c->clip->config;
    uint64_t widest = (uint64_t)larger(config->text_mlp, 3 * config->text_width);
    if ((uint64_t)text_row_count(sentences) <= SIZE_MAX / sizeof(float) / widest) return MUDPT_OK;
    return fail_memory(SIZE_MAX, "the text tower");
}

static void take_work(mudpt_classifier *c, classifier_work *w) {
    const mudpt_clip_config *config = &c->clip->config;
    const mudpt_method *sizes = &c->state.sizes;
    int own_text = has_text_tower(c, w);
    tower_mode mode = !w->training ? TOWER_FORWARD : w->recompute ? TOWER_RECOMPUTE : TOWER_BACKWARD;
    size_t rows = vision_row_floats(c->clip, sizes->visual_length, w->group);
    size_t mlp = vision_mlp_floats(c->clip, sizes->visual_length, w->group);
    text_sentences sentences = {0};
    if (own_text) {
        sentences = sentences_of(c, 0, 0, c->classes);
        size_t text_rows = (size_t)text_row_count(&sentences);
        rows = largest(rows, text_rows * (size_t)config->text_width);
        mlp = largest(mlp, text_rows * (size_t)config->text_mlp);
    }
    tower_take_scratch(&w->scratch, &w->memory, rows, mlp);
    vision_open(&w->vision, &w->memory, c->clip, sizes->visual_length, sizes->visual_depth, w->group,
                c->state.method->visual ? mode : TOWER_FORWARD, &w->scratch);
    if (own_text)
        text_open(&w->text, &w->memory, c->clip, &sentences, c->state.text_rows, sizes->text_depth, mode, &w->scratch);
    size_t e = (size_t)config->embed, n = (size_t)c->classes;
    w->image_features = arena_floats(&w->memory, (size_t)w->group * e);
    w->logits = arena_floats(&w->memory, (size_t)w->group * n);
    if (!w->training) return;
    w->image_norms = arena_floats(&w->memory, (size_t)w->group);
    w->dimage_features = arena_floats(&w->memory, (size_t)w->group * e);
    w->dunit_text = arena_floats(&w->memory, n * e);
    w->dtext_features = arena_floats(&w->memory, n * e);
}

/* Opens working memory for `count` pictures, or keeps what is there when it does. */
static int open_work(mudpt_classifier *c, int count, int training) {
    int group = vision_group(c->clip, c->state.sizes.visual_length, count);
    classifier_work *w = &c->work;
    /* A device computes whole towers, so none that keeps constants (text.c). */
    int same = !w->training || (w->recompute == c->recompute && !(w->text.tower.constant && device_rows()));
    if (w->memory.base && w->group >= group && w->training >= training && same) return MUDPT_OK;
    int code = reserve_kernels(c->clip, c->state.sizes.visual_length);
    if (code) return code;
    classifier_work fresh = {
        .training = larger(training, w->training), .recompute = c->recompute, .group = larger(group, w->group)};
    if (has_text_tower(c, &fresh)) {
        text_sentences sentences = sentences_of(c, 0, 0, c->classes);
        if ((code = check_tokens(c)) || (code = check_text_rows(c, &sentences))) return code;
    }
    take_work(c, &fresh);
    arena_close(&w->memory);
    *w = (classifier_work){0};
    if ((code = arena_open(&fresh.memory, fresh.training ? "training" : "classifying"))) return code;
    *w = fresh;
    take_work(c, w);
    return MUDPT_OK;
}

int classifier_open_training(mudpt_classifier *c, int count) {
    if (!c->state.parameter_count)
        return fail(MUDPT_STATE, "%s has nothing to train; choose another method", c->state.method->name);
    if (!c->rows && !c->text_given) return fail(MUDPT_STATE, "the classifier has neither sentences nor text features");
    int code = open_work(c, count, 1);
    if (code || c->state.gradients) return code;
    arena fresh = {0};
    method_state trial = c->state;
    method_take(&trial, &fresh, 1);
    if ((code = arena_open(&fresh, "gradients"))) return code;
    method_take(&c->state, &fresh, 1);
    arena_close(&c->prompts);
    c->prompts = fresh;
    c->prompts_ready = 0;
    return MUDPT_OK;
}

/* ------------------------------------------------------------------------------------------------ plan */

void mudpt_classifier_recompute(mudpt_classifier *c, int on) {
    c->recompute = on != 0;
}

int mudpt_classifier_plan(mudpt_classifier *c, int count, int recompute, mudpt_plan *out) {
    if (count < 1 || count > MUDPT_MAX_BATCH)
        return fail(MUDPT_ARGUMENT, "a batch of %d pictures; expected 1 to %d", count, MUDPT_MAX_BATCH);
    const mudpt_clip_config *config = &c->clip->config;
    classifier_work work = {.training = 1, .recompute = recompute != 0};
    work.group = vision_group(c->clip, c->state.sizes.visual_length, count);
    take_work(c, &work);
    arena prompts = {0};
    method_state trial = c->state;
    method_take(&trial, &prompts, 1);
    size_t state = c->state.total * sizeof(float), side = (size_t)config->image;
    size_t scratch = kernel_bytes(c->clip, c->state.sizes.visual_length);
    *out = (mudpt_plan){.weights = c->clip->bytes,
                        .activations = work.memory.used + scratch,
                        .pixels = (size_t)count * 3 * side * side * sizeof(float),
                        .prompts = c->parameters.size + prompts.used - 2 * state,
                        .optimizer = 3 * state, /* gradients, velocity, and values to go back to */
                        .group = work.group};
    return MUDPT_OK;
}

/* ------------------------------------------------------------------------------------------------ text features */

int classifier_encode_sentences(mudpt_classifier *c, int template, int first, int count, float *features, int *broken) {
    const mudpt_clip_config *config = &c->clip->config;
    text_sentences sentences = sentences_of(c, template, first, count);
    int code = check_text_rows(c, &sentences);
    if (code) return code;
    size_t rows = (size_t)text_row_count(&sentences);
    arena memory = {0};
    tower_scratch scratch;
    text tower;
    for (int pass = 0; pass < 2; pass++) {
        tower_take_scratch(&scratch, &memory, rows * (size_t)config->text_width, rows * (size_t)config->text_mlp);
        text_open(&tower, &memory, c->clip, &sentences, c->state.text_rows, c->state.sizes.text_depth, 0, &scratch);
        if (pass == 0 && arena_open(&memory, "encoding class names")) return MUDPT_MEMORY;
    }
    size_t layer = (size_t)c->state.text_rows * (size_t)config->text_width;
    tower.tower.broken = broken;
    text_forward(&tower, features, c->state.text, c->state.text + layer);
    arena_close(&memory);
    return MUDPT_OK;
}

static int prepare_text(mudpt_classifier *c) {
    if (c->state.method->conditional)
        return fail(MUDPT_STATE, "%s has text features of its own for every picture", c->state.method->name);
    enum { SENTENCES = 256 }; /* at a time: memory does not grow with the number of classes */
    if (c->text_ready) return MUDPT_OK;
    if (!c->rows) return fail(MUDPT_STATE, "the classifier has neither sentences nor text features");
    int e = c->clip->config.embed, code = check_tokens(c);
    if (!code) code = reserve_kernels(c->clip, c->state.sizes.visual_length);
    if (code) return code;
    prepare_prompts(c);
    size_t floats = (size_t)c->classes * (size_t)e;
    float *mean = c->templates > 1 ? aligned_take(floats * sizeof(float), "an ensemble's text features") : NULL;
    if (c->templates > 1 && !mean) return MUDPT_MEMORY;
    for (int t = 0; t < c->templates && !code; t++) {
        for (int first = 0; first < c->classes && !code; first += SENTENCES) {
            int count = c->classes - first < SENTENCES ? c->classes - first : SENTENCES;
            float *features = c->text_features + (size_t)first * (size_t)e;
            code = classifier_encode_sentences(c, t, first, count, features, NULL);
        }
        if (!mean || code) continue;
        unit_forward(c->text_features, NULL, c->text_features, c->classes, e);
        for (size_t i = 0; i < floats; i++) mean[i] += c->text_features[i] / (float)c->templates;
    }
    if (mean && !code) memcpy(c->text_features, mean, floats * sizeof(float));
    aligned_release(mean);
    if (code) return code;
    unit_forward(c->unit_text, c->text_norms, c->text_features, c->classes, e);
    if (!classifier_all_finite(c->unit_text, floats)) return classifier_not_finite(c, NULL, 0);
    c->text_ready = 1;
    return MUDPT_OK;
}

int mudpt_classifier_text_features(mudpt_classifier *c, float *out) {
    int code = prepare_text(c);
    if (!code) memcpy(out, c->text_features, (size_t)c->classes * (size_t)c->clip->config.embed * sizeof(float));
    return code;
}

int mudpt_classifier_set_text_features(mudpt_classifier *c, const float *features) {
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

/* ------------------------------------------------------------------------------------------------ logits, gradients */

/* The training tower's text features, and their lengths. */
static void train_text_forward(mudpt_classifier *c) {
    const method_state *s = &c->state;
    size_t layer = (size_t)s->text_rows * (size_t)c->clip->config.text_width;
    text_forward(&c->work.text, c->text_features, s->text, s->text + layer);
    unit_forward(c->unit_text, c->text_norms, c->text_features, c->classes, c->clip->config.embed);
    c->text_ready = 0; /* encoding for classification may sum in another order: keep the two apart */
}

static void train_text_backward(mudpt_classifier *c) {
    const method_state *s = &c->state;
    classifier_work *w = &c->work;
    size_t layer = (size_t)s->text_rows * (size_t)c->clip->config.text_width;
    unit_backward(w->dtext_features, w->dunit_text, c->unit_text, c->text_norms, c->classes, c->clip->config.embed);
    text_backward(&w->text, s->dtext, s->dtext + layer, w->dtext_features);
}

/* Conditional methods: the text features for one picture, whose feature of length one is unit [e]. */
static void picture_text(mudpt_classifier *c, const float *unit) {
    c->state.method->forward_image(&c->state, unit);
    train_text_forward(c);
}

int mudpt_classifier_logits(mudpt_classifier *c, const float *pixels, int count, float *logits, float *features) {
    if (count < 0) return fail(MUDPT_ARGUMENT, "%d pictures", count);
    int conditional = c->state.method->conditional, code = conditional ? MUDPT_OK : prepare_text(c);
    if (!code && count) code = open_work(c, count, 0);
    if (code) return code;
    prepare_prompts(c);
    const mudpt_clip_config *config = &c->clip->config;
    classifier_work *w = &c->work;
    size_t picture = 3 * (size_t)config->image * (size_t)config->image, e = (size_t)config->embed;
    float scale = expf(*c->clip->logit_scale);
    for (int first = 0; first < count; first += w->group) {
        int now = count - first < w->group ? count - first : w->group;
        vision_forward(&w->vision, w->image_features, pixels + (size_t)first * picture,
                       c->state.sizes.visual_depth ? c->state.visual : NULL, now);
        if (features) memcpy(features + (size_t)first * e, w->image_features, (size_t)now * e * sizeof(float));
        unit_forward(w->image_features, NULL, w->image_features, now, (int)e);
        for (int i = 0; i < now; i++) {
            const float *unit = w->image_features + (size_t)i * e;
            if (conditional) picture_text(c, unit);
            float *row = logits + (size_t)(first + i) * (size_t)c->classes;
            cosine_logits(row, unit, c->unit_text, scale, c->classes, (int)e);
            if (!classifier_all_finite(row, (size_t)c->classes)) return classifier_not_finite(c, pixels, count);
        }
    }
    return MUDPT_OK;
}

int mudpt_classifier_attention(mudpt_classifier *c, const float *pixels, float *out) {
    int code = open_work(c, 1, 0);
    if (code) return code;
    prepare_prompts(c);
    vision_forward(&c->work.vision, c->work.image_features, pixels,
                   c->state.sizes.visual_depth ? c->state.visual : NULL, 1);
    vision_attention(&c->work.vision, out);
    return MUDPT_OK;
}

/* One picture's share: its loss, and the gradients of its feature (where prompts are in the image tower) and, added,
 * of the text features. unit, dunit [e] */
static float picture_loss(mudpt_classifier *c, const float *unit, int label, int batch, float *logits,
                          float *keep_logits, float *dunit) {
    int e = c->clip->config.embed;
    float scale = expf(*c->clip->logit_scale);
    cosine_logits(logits, unit, c->unit_text, scale, c->classes, e);
    if (keep_logits) memcpy(keep_logits, logits, (size_t)c->classes * sizeof(float));
    float loss = cross_entropy(logits, c->classes, label, batch);
    int text = c->state.method->text, visual = c->state.method->visual;
    if (visual) memset(dunit, 0, (size_t)e * sizeof(float));
    for (int n = 0; n < c->classes; n++) {
        float factor = scale * logits[n];
        const float *t = c->unit_text + (size_t)n * (size_t)e;
        float *dt = c->work.dunit_text + (size_t)n * (size_t)e;
        for (int i = 0; visual && i < e; i++) dunit[i] += factor * t[i];
        for (int i = 0; text && i < e; i++) dt[i] += factor * unit[i];
    }
    return loss;
}

int classifier_trains_images(const mudpt_classifier *c) {
    return c->state.method->visual;
}

/* A group's features of length one, and their lengths before. units [count, e], norms [count]; count <= group */
static void encode_group(mudpt_classifier *c, const float *pixels, int count, float *units, float *norms) {
    vision_forward(&c->work.vision, units, pixels, c->state.sizes.visual_depth ? c->state.visual : NULL, count);
    unit_forward(units, norms, units, count, c->clip->config.embed);
}

void classifier_encode(mudpt_classifier *c, const float *pixels, int count, float *units) {
    const classifier_work *w = &c->work;
    size_t e = (size_t)c->clip->config.embed, side = (size_t)c->clip->config.image;
    prepare_prompts(c);
    for (int first = 0; first < count; first += w->group) {
        int now = count - first < w->group ? count - first : w->group;
        encode_group(c, pixels + (size_t)first * 3 * side * side, now, units + (size_t)first * e, w->image_norms);
    }
}

/* Forward and backward of a group of pictures. units [now, e], norms [now]; batch: pictures that the loss is the mean
 * of. Returns the sum of their losses. */
static double group_gradients(mudpt_classifier *c, const float *units, const float *norms, const int32_t *labels,
                              int now, int batch, float *logits) {
    method_state *s = &c->state;
    classifier_work *w = &c->work;
    size_t e = (size_t)c->clip->config.embed, n = (size_t)c->classes;
    size_t dtext = (size_t)s->sizes.text_depth * (size_t)s->text_rows * (size_t)c->clip->config.text_width;
    double sum = 0;
    for (int i = 0; i < now; i++) {
        const float *unit = units + (size_t)i * e;
        float *dfeature = w->dimage_features + (size_t)i * e;
        if (s->method->conditional) picture_text(c, unit);
        sum += (double)picture_loss(c, unit, labels[i], batch, w->logits, logits ? logits + (size_t)i * n : NULL,
                                    dfeature);
        if (s->method->visual) unit_backward(dfeature, dfeature, unit, norms + i, 1, (int)e);
        if (!s->method->conditional) continue;
        train_text_backward(c);
        s->method->backward_image(s, unit);
        memset(w->dunit_text, 0, n * e * sizeof(float));
        memset(s->dtext, 0, dtext * sizeof(float));
    }
    if (s->method->visual) vision_backward(&w->vision, s->dvisual, w->dimage_features, now);
    return sum;
}

int classifier_gradients_begin(mudpt_classifier *c, const int32_t *labels, int count) {
    if (count < 1) return fail(MUDPT_ARGUMENT, "a batch of %d pictures; expected at least 1", count);
    for (int i = 0; i < count; i++)
        if (labels[i] < 0 || labels[i] >= c->classes)
            return fail(MUDPT_ARGUMENT, "label %d; expected 0 to %d", labels[i], c->classes - 1);
    int code = classifier_open_training(c, count);
    if (code) return code;
    const mudpt_clip_config *config = &c->clip->config;
    method_state *s = &c->state;
    size_t e = (size_t)config->embed;
    size_t dtext = (size_t)s->sizes.text_depth * (size_t)s->text_rows * (size_t)config->text_width;
    size_t dvisual = (size_t)s->sizes.visual_depth * (size_t)s->sizes.visual_length * (size_t)config->vision_width;

    prepare_prompts(c);
    if (s->method->text && !s->method->conditional) train_text_forward(c);
    else if (!s->method->text && (code = prepare_text(c))) return code;
    memset(c->work.dunit_text, 0, (size_t)c->classes * e * sizeof(float));
    memset(s->dtext, 0, dtext * sizeof(float));
    memset(s->dvisual, 0, dvisual * sizeof(float));
    memset(s->gradients, 0, s->total * sizeof(float));
    return MUDPT_OK;
}

int classifier_gradients_group(mudpt_classifier *c, const float *pixels, const float *units, const int32_t *labels,
                               int first, int count, float *logits, double *loss) {
    const mudpt_clip_config *config = &c->clip->config;
    classifier_work *w = &c->work;
    size_t picture = 3 * (size_t)config->image * (size_t)config->image, e = (size_t)config->embed;
    int now = count - first < w->group ? count - first : w->group;
    const float *group = units ? units + (size_t)first * e : w->image_features;
    if (!units) encode_group(c, pixels + (size_t)first * picture, now, w->image_features, w->image_norms);
    *loss += group_gradients(c, group, w->image_norms, labels + first, now, count,
                             logits ? logits + (size_t)first * (size_t)c->classes : NULL);
    return now;
}

int classifier_gradients_end(mudpt_classifier *c, const float *pixels, int count, double loss, float *mean) {
    method_state *s = &c->state;
    if (s->method->text && !s->method->conditional) train_text_backward(c);
    s->method->backward(s);
    *mean = (float)(loss / count);
    return isfinite(*mean) ? classifier_check_gradients(s) : classifier_not_finite(c, pixels, count);
}

int mudpt_classifier_gradients(mudpt_classifier *c, const float *pixels, const int32_t *labels, int count, float *loss,
                               float *logits) {
    int code = classifier_gradients_begin(c, labels, count);
    if (code) return code;
    double sum = 0;
    for (int first = 0; first < count;)
        first += classifier_gradients_group(c, pixels, NULL, labels, first, count, logits, &sum);
    return classifier_gradients_end(c, pixels, count, sum, loss);
}

int mudpt_classifier_sgd(mudpt_classifier *c, float rate, float momentum, float decay) {
    method_state *s = &c->state;
    if (!s->gradients) return fail(MUDPT_STATE, "there are no gradients yet");
    if (!isfinite(rate) || !isfinite(momentum) || !isfinite(decay))
        return fail(MUDPT_ARGUMENT, "rate %g, momentum %g, decay %g; expected finite numbers", (double)rate,
                    (double)momentum, (double)decay);
    /* First whether the step stays finite: a refused one must leave everything as it was. */
    for (size_t i = 0; i < s->total; i++) {
        float velocity = momentum * s->velocity[i] + (s->gradients[i] + decay * s->values[i]);
        if (!isfinite(s->values[i] - rate * velocity))
            return fail(MUDPT_NOT_FINITE, "a step with learning rate %g leaves the range of numbers; use a lower one",
                        (double)rate);
    }
    for (size_t i = 0; i < s->total; i++) {
        s->velocity[i] = momentum * s->velocity[i] + (s->gradients[i] + decay * s->values[i]);
        s->values[i] -= rate * s->velocity[i];
    }
    mudpt_classifier_changed(c);
    return MUDPT_OK;
}

void mudpt_classifier_folded_shape(const mudpt_classifier *c, int32_t *text_depth, int32_t *text_length,
                                   int32_t *visual_depth, int32_t *visual_length) {
    *text_depth = c->state.sizes.text_depth;
    *text_length = c->state.text_rows;
    *visual_depth = c->state.sizes.visual_depth;
    *visual_length = c->state.sizes.visual_length;
}

int mudpt_classifier_fold(mudpt_classifier *c, float *text, float *visual) {
    const method_state *s = &c->state;
    if (s->method->conditional)
        return fail(MUDPT_STATE, "%s has prompts of its own for every picture; it cannot be folded", s->method->name);
    prepare_prompts(c);
    size_t text_floats = (size_t)s->sizes.text_depth * (size_t)s->text_rows * (size_t)c->clip->config.text_width;
    size_t visual_floats =
        (size_t)s->sizes.visual_depth * (size_t)s->sizes.visual_length * (size_t)c->clip->config.vision_width;
    if (text) memcpy(text, s->text, text_floats * sizeof(float));
    if (visual) memcpy(visual, s->visual, visual_floats * sizeof(float));
    return MUDPT_OK;
}
