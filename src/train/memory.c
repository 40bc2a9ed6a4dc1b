/* Memory of a classifier's towers: what they need is planned, told, and taken at once. */
#include <string.h>

#include "base/error.h"
#include "base/parallel.h"
#include "classifier.h"
#include "clip/device.h"

static int larger(int a, int b) {
    return a > b ? a : b;
}

/* The longest sum of any product of the model, and the largest scratch of its attention. */
static int longest_sum(const mudpt_clip_config *c) {
    int depth = larger(larger(c->vision.mlp, c->text.mlp), 3 * larger(c->vision.width, c->text.width));
    depth = larger(depth, c->pool_mlp);
    return larger(depth, larger(3 * c->patch * c->patch, c->embed));
}

static size_t attention_bytes(const mudpt_clip_config *c, const mudpt_method *sizes) {
    int rows = clip_picture_rows(c) + sizes->visual_length, width = c->vision.width / c->vision.heads;
    if (c->pool_heads) width = larger(width, c->vision.width / c->pool_heads);
    size_t vision_bytes = attention_scratch(rows, width);
    size_t text_bytes = attention_scratch(c->context + sizes->text_length, c->text.width / c->text.heads);
    return vision_bytes > text_bytes ? vision_bytes : text_bytes;
}

int classifier_reserve_kernels(const mudpt_classifier *c) {
    const mudpt_clip_config *config = &c->clip->config;
    int code = gemm_reserve(longest_sum(config));
    return code ? code : parallel_reserve(attention_bytes(config, &c->state.sizes));
}

static uint64_t largest(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

static uint64_t kernel_bytes(const mudpt_classifier *c) {
    const mudpt_clip_config *config = &c->clip->config;
    uint64_t thread = largest(gemm_scratch_bytes(), attention_bytes(config, &c->state.sizes));
    thread = largest(thread, parallel_scratch_bytes()); /* methods may have reserved more than towers need */
    return gemm_held_bytes(longest_sum(config)) + (uint64_t)parallel_threads() * thread;
}

/* A text tower that stays: for training text prompts, and where every picture has sentences of its own (cocoop). */
static int has_text_tower(const mudpt_classifier *c, const classifier_work *w) {
    return c->state.method->text && (w->training || c->state.method->conditional);
}

static void take_work(mudpt_classifier *c, classifier_work *w) {
    const mudpt_clip_config *config = &c->clip->config;
    const mudpt_method *sizes = &c->state.sizes;
    int own_text = has_text_tower(c, w);
    tower_mode mode = !w->training ? TOWER_FORWARD : w->recompute ? TOWER_RECOMPUTE : TOWER_BACKWARD;
    uint64_t rows = vision_row_floats(c->clip, sizes->visual_length, w->group);
    uint64_t mlp = vision_mlp_floats(c->clip, sizes->visual_length, w->group);
    if (own_text) {
        uint64_t text_rows = (uint64_t)parts_plan(c, &w->parts, mode);
        rows = largest(rows, text_rows * (uint64_t)config->text.width);
        mlp = largest(mlp, text_rows * (uint64_t)config->text.mlp);
    }
    tower_take_scratch(&w->scratch, &w->memory, rows, mlp);
    const tower_entry *entry = c->enters && c->state.method->visual ? &c->entry : NULL;
    vision_open(&w->vision, &w->memory, c->clip, sizes->visual_length, sizes->visual_depth, entry, w->group,
                c->state.method->visual ? mode : TOWER_FORWARD, &w->scratch);
    int frozen = w->training && anchor_needs_pictures(c);
    if (frozen) vision_open(&w->frozen, &w->memory, c->clip, 0, 0, entry, w->group, TOWER_FORWARD, &w->scratch);
    if (own_text) parts_take(c, w);
    uint64_t e = (uint64_t)config->embed, n = (uint64_t)c->classes, group = (uint64_t)w->group;
    w->image_features = arena_floats(&w->memory, group * e);
    w->logits = arena_floats(&w->memory, group * n);
    int second = sizes->second > 0;
    if (second) {
        w->second_features = arena_floats(&w->memory, group * e);
        w->second_norms = arena_floats(&w->memory, group);
        w->second_logits = arena_floats(&w->memory, n);
    }
    if (!w->training) return;
    if (second) w->dsecond = arena_floats(&w->memory, group * e);
    w->image_norms = arena_floats(&w->memory, group);
    w->dimage_features = arena_floats(&w->memory, group * e);
    w->dunit_text = arena_floats(&w->memory, n * e);
    w->dtext_features = arena_floats(&w->memory, n * e);
    if (!frozen) return;
    w->frozen_features = arena_floats(&w->memory, group * e);
    w->scores = arena_floats(&w->memory, 3 * n);
    w->dscores = arena_floats(&w->memory, n);
}

/* Opens working memory for `count` pictures, or keeps what is there when it does. */
int classifier_open_work(mudpt_classifier *c, int count, int training) {
    int group = vision_group(c->clip, c->state.sizes.visual_length, count);
    classifier_work *w = &c->work;
    /* A device computes whole towers, so none that keeps constants (text.c), but for those in parts. */
    int keeps = w->parts.count == 1 && w->text.tower.constant;
    int same = !w->training || (w->recompute == c->recompute && !(keeps && device_rows()));
    /* In a run pictures are classified as many at a time as it trains on: more would not be in its plan. */
    int enough = w->group >= group || (c->trainer && w->training && !training);
    if (w->memory.base && enough && w->training >= training && same) return MUDPT_OK;
    int code = classifier_reserve_kernels(c);
    if (code) return code;
    classifier_work fresh = {
        .training = larger(training, w->training), .recompute = c->recompute, .group = larger(group, w->group)};
    int wide = larger(larger(c->clip->config.vision.width, c->clip->config.embed), fresh.group);
    if (c->state.sizes.second > 0 && (code = gemm_reserve_dense(wide, wide))) return code;
    if (has_text_tower(c, &fresh) && (code = classifier_check_tokens(c))) return code;
    take_work(c, &fresh);
    arena_close(&w->memory);
    *w = (classifier_work){0};
    if ((code = arena_open(&fresh.memory, fresh.training ? "training" : "classifying"))) return code;
    *w = fresh;
    take_work(c, w);
    return MUDPT_OK;
}

/* What has no way back. */
static int check_precision(const mudpt_classifier *c) {
    if (!HAS_INT8 || c->clip->config.precision != MUDPT_INT8) return MUDPT_OK;
    return fail(MUDPT_ARGUMENT, "precision int8 classifies and embeds, and trains nothing; "
                                "load the model with precision high or fast to train");
}

int classifier_open_training(mudpt_classifier *c, int count) {
    if (check_precision(c)) return MUDPT_ARGUMENT;
    if (!c->state.parameter_count)
        return fail(MUDPT_STATE, "%s has nothing to train; choose another method", c->state.method->name);
    if (!c->rows && !c->text_given) return fail(MUDPT_STATE, "the classifier has neither sentences nor text features");
    int code = classifier_check_teacher(c);
    if (!code) code = classifier_open_work(c, count, 1);
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

void mudpt_classifier_recompute(mudpt_classifier *c, int on) {
    if (live_is(c, LIVE_CLASSIFIER)) c->recompute = on != 0;
}

int classifier_keeps_pictures(const mudpt_classifier *c) {
    return !c->state.method->visual || anchor_needs_pictures(c);
}

size_t classifier_below_count(const mudpt_classifier *c) {
    const mudpt_clip_config *config = &c->clip->config;
    int enters = c->enters && c->state.method->visual;
    return enters ? (size_t)clip_picture_rows(config) * (size_t)config->vision.width : 0;
}

int mudpt_classifier_plan(mudpt_classifier *c, int count, int recompute, mudpt_plan *out) {
    if (live_check(c, LIVE_CLASSIFIER)) return MUDPT_STATE;
    if (count < 1 || count > MUDPT_MAX_BATCH)
        return fail(MUDPT_ARGUMENT, "a batch of %d pictures; expected 1 to %d", count, MUDPT_MAX_BATCH);
    if (check_precision(c)) return MUDPT_ARGUMENT;
    const mudpt_clip_config *config = &c->clip->config;
    classifier_work work = {.training = 1, .recompute = recompute != 0};
    work.group = vision_group(c->clip, c->state.sizes.visual_length, count);
    take_work(c, &work);
    arena prompts = {0};
    method_state trial = c->state;
    method_take(&trial, &prompts, 1);
    uint64_t state = c->state.total * sizeof(float), side = (uint64_t)config->image;
    uint64_t kept = 2 + (trial.square != NULL) + (trial.average != NULL);
    uint64_t scratch = kernel_bytes(c);
    uint64_t sentences = classifier_sentence_bytes(c);
    uint64_t pixels = (uint64_t)count * (3 * side * side + classifier_below_count(c)) * sizeof(float);
    *out = (mudpt_plan){.weights = (double)c->clip->bytes,
                        /* Class names are encoded besides: before the first step, or by whoever asks in between. */
                        .activations = (double)(work.memory.used + scratch + classifier_encoding_bytes(c)),
                        .pixels = (double)pixels,
                        .prompts = (double)(c->parameters.size + prompts.used - kept * state + sentences),
                        /* gradients, moments, an average, and values to go back to */
                        .optimizer = (double)((kept + 1) * state),
                        .largest = (double)largest(largest(work.memory.used, prompts.used), pixels),
                        .kept = classifier_keeps_pictures(c) ? sizeof(float) * (double)config->embed : 0,
                        .group = work.group,
                        .parts = work.parts.count > 1 ? work.parts.count : 1};
    return MUDPT_OK;
}
