/* Small random CLIPs, pictures and sentences for tests, through mudpt.h alone. */
#ifndef TINY_CLIP_H
#define TINY_CLIP_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "mudpt.h"

/* Random numbers of the tests' own: splitmix64. */
static uint64_t random_state;

static double random_uniform(void) { /* 0 ... 1 */
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)((z ^ z >> 31) >> 11) / 9007199254740992.0;
}

static double random_normal(void) {
    double u = random_uniform(), v = random_uniform();
    return sqrt(-2 * log(1 - u)) * cos(6.283185307179586 * v);
}

static float *random_values(size_t count, double mean, double deviation) {
    float *out = malloc((count ? count : 1) * sizeof *out);
    if (!out) abort();
    for (size_t i = 0; i < count; i++) out[i] = (float)(mean + deviation * random_normal());
    return out;
}

/* NULL, or what tests do to the values of a tensor before it is sent. */
__attribute__((unused)) static void (*change_tensor)(const char *name, float *values, const int32_t *shape);

/* Sends one random tensor; shape ends with a 0. */
static int send_random(mudpt_clip *clip, const char *name, double mean, double deviation, const int32_t *shape) {
    int dims = 0;
    size_t count = 1;
    while (shape[dims]) count *= (size_t)shape[dims++];
    float *values = random_values(count, mean, deviation);
    if (change_tensor) change_tensor(name, values, shape);
    int code = mudpt_clip_tensor_begin(clip, name, MUDPT_F32, shape, dims);
    if (code == MUDPT_OK) code = mudpt_clip_tensor_bytes(clip, values, count * sizeof *values);
    if (code == MUDPT_OK) code = mudpt_clip_tensor_end(clip);
    free(values);
    return code;
}

#define SHAPE(...) ((const int32_t[]){__VA_ARGS__, 0})

static int send_norm(mudpt_clip *clip, const char *prefix, int width) {
    char name[96];
    snprintf(name, sizeof name, "%s.weight", prefix);
    int code = send_random(clip, name, 1, 0.3, SHAPE(width));
    snprintf(name, sizeof name, "%s.bias", prefix);
    return code ? code : send_random(clip, name, 0, 0.15, SHAPE(width));
}

static int send_linear(mudpt_clip *clip, const char *weight, const char *bias, int out, int in) {
    int code = send_random(clip, weight, 0, 1 / sqrt(in), SHAPE(out, in));
    return code ? code : send_random(clip, bias, 0, 0.1, SHAPE(out));
}

static int send_tower(mudpt_clip *clip, const char *prefix, const mudpt_tower *t) {
    int code = MUDPT_OK, width = t->width, mlp = t->mlp;
    for (int l = 0; l < t->layers && !code; l++) {
        char a[96], b[96];
#define NAME(to, leaf) (snprintf(to, sizeof to, "%sresblocks.%d.%s", prefix, l, leaf), to)
        code = send_linear(clip, NAME(a, "attn.in_proj_weight"), NAME(b, "attn.in_proj_bias"), 3 * width, width);
        if (!code)
            code = send_linear(clip, NAME(a, "attn.out_proj.weight"), NAME(b, "attn.out_proj.bias"), width, width);
        if (!code) code = send_norm(clip, NAME(a, "ln_1"), width);
        if (!code) code = send_linear(clip, NAME(a, "mlp.c_fc.weight"), NAME(b, "mlp.c_fc.bias"), mlp, width);
        if (!code) code = send_linear(clip, NAME(a, "mlp.c_proj.weight"), NAME(b, "mlp.c_proj.bias"), width, mlp);
        if (!code) code = send_norm(clip, NAME(a, "ln_2"), width);
        if (!code && t->layer_scale) code = send_random(clip, NAME(a, "ls_1.gamma"), 0.7, 0.3, SHAPE(width));
        if (!code && t->layer_scale) code = send_random(clip, NAME(a, "ls_2.gamma"), 0.7, 0.3, SHAPE(width));
#undef NAME
    }
    return code;
}

/* The head of attention pooling. */
static int send_pool(mudpt_clip *clip, int width, int mlp) {
#define POOL(leaf) "visual.attn_pool." leaf
    int code = send_random(clip, POOL("probe"), 0, 1, SHAPE(1, 1, width));
    if (!code) code = send_linear(clip, POOL("attn.in_proj_weight"), POOL("attn.in_proj_bias"), 3 * width, width);
    if (!code) code = send_linear(clip, POOL("attn.out_proj.weight"), POOL("attn.out_proj.bias"), width, width);
    if (!code) code = send_norm(clip, POOL("layernorm"), width);
    if (!code) code = send_linear(clip, POOL("mlp.c_fc.weight"), POOL("mlp.c_fc.bias"), mlp, width);
    if (!code) code = send_linear(clip, POOL("mlp.c_proj.weight"), POOL("mlp.c_proj.bias"), width, mlp);
#undef POOL
    return code;
}

/* Every tensor of a model in OpenAI's names. -> MUDPT_OK or what the library answered */
static int send_all(mudpt_clip *clip, const mudpt_clip_config *c) {
    int side = c->image / c->patch, d_v = c->vision.width, d_t = c->text.width;
    int code = send_random(clip, "visual.conv1.weight", 0, 1 / sqrt(3.0 * c->patch * c->patch),
                           SHAPE(d_v, 3, c->patch, c->patch));
    if (!code && c->patch_bias) code = send_random(clip, "visual.conv1.bias", 0, 0.3, SHAPE(d_v));
    if (!code && !c->no_class) code = send_random(clip, "visual.class_embedding", 0, 0.5, SHAPE(d_v));
    if (!code) code = send_random(clip, "visual.positional_embedding", 0, 0.4, SHAPE(!c->no_class + side * side, d_v));
    if (!code && !c->no_pre_norm) code = send_norm(clip, "visual.ln_pre", d_v);
    if (!code) code = send_tower(clip, "visual.transformer.", &c->vision);
    if (!code) code = send_norm(clip, "visual.ln_post", d_v);
    if (!code && c->vision.pooling == MUDPT_POOL_ATTENTION) code = send_pool(clip, d_v, c->pool_mlp);
    if (!code && !c->vision.no_projection)
        code = send_random(clip, "visual.proj", 0, 1 / sqrt(d_v), SHAPE(d_v, c->embed));
    if (!code && c->vision.projection_bias) code = send_random(clip, "visual.proj_bias", 0, 0.3, SHAPE(c->embed));
    if (!code) code = send_random(clip, "token_embedding.weight", 0, 0.4, SHAPE(c->vocab, d_t));
    if (!code) code = send_random(clip, "positional_embedding", 0, 0.2, SHAPE(c->context, d_t));
    if (!code) code = send_tower(clip, "transformer.", &c->text);
    if (!code) code = send_norm(clip, "ln_final", d_t);
    if (!code && !c->text.no_projection)
        code = send_random(clip, "text_projection", 0, 1 / sqrt(d_t), SHAPE(d_t, c->embed));
    if (!code && c->text.projection_bias) code = send_random(clip, "text_projection.bias", 0, 0.3, SHAPE(c->embed));
    if (!code) code = send_random(clip, "logit_scale", 2.0, 0, (const int32_t[]){0});
    if (!code && c->logit_bias) code = send_random(clip, "logit_bias", -3, 0, SHAPE(1));
    return code;
}

/* A whole model, or NULL: mudpt_last_error says why. */
static inline mudpt_clip *tiny_clip(const mudpt_clip_config *config, uint64_t seed) {
    mudpt_clip *clip = NULL;
    random_state = seed;
    int code = mudpt_clip_create(config, &clip);
    if (!code) code = send_all(clip, config);
    if (!code) code = mudpt_clip_finish(clip);
    if (!code) return clip;
    mudpt_clip_free(clip);
    return NULL;
}

/* Widths that are no powers of two, a ragged MLP, towers of different depth. */
static const mudpt_clip_config odd_config = {.image = 24,
                                             .patch = 8,
                                             .vision.width = 48,
                                             .vision.layers = 2,
                                             .vision.heads = 3,
                                             .vision.mlp = 88,
                                             .text.width = 40,
                                             .text.layers = 3,
                                             .text.heads = 2,
                                             .text.mlp = 56,
                                             .embed = 20,
                                             .context = 24,
                                             .vocab = 53,
                                             .storage = MUDPT_F32,
                                             .mean = {0.48f, 0.46f, 0.41f},
                                             .std = {0.27f, 0.26f, 0.28f}};

/* The deeper tower is the other one; one head, and many. */
static const mudpt_clip_config wide_config = {.image = 18,
                                              .patch = 6,
                                              .vision.width = 64,
                                              .vision.layers = 3,
                                              .vision.heads = 1,
                                              .vision.mlp = 72,
                                              .text.width = 128,
                                              .text.layers = 2,
                                              .text.heads = 32,
                                              .text.mlp = 40,
                                              .embed = 32,
                                              .context = 20,
                                              .vocab = 31,
                                              .storage = MUDPT_F32,
                                              .mean = {0.5f, 0.5f, 0.5f},
                                              .std = {0.25f, 0.25f, 0.25f}};

/* What CLIP's family has beside CLIP, every piece in at least one of these. */
enum { FAMILY = 4 };
static const mudpt_clip_config family_configs[FAMILY] = {
    /* SigLIP's kind, but deeper: a pooling head, nothing in front, sentences that are filled up */
    {.image = 26, /* of which a border is not seen */
     .patch = 8,
     .vision = {.width = 24,
                .layers = 2,
                .heads = 2,
                .mlp = 40,
                .activation = MUDPT_GELU_TANH,
                .epsilon = 1e-6f,
                .pooling = MUDPT_POOL_ATTENTION,
                .no_projection = 1},
     .text = {.width = 40,
              .layers = 3,
              .heads = 2,
              .mlp = 56,
              .activation = MUDPT_GELU_TANH,
              .epsilon = 1e-6f,
              .pooling = MUDPT_POOL_LAST,
              .projection_bias = 1},
     .embed = 24,
     .context = 19,
     .vocab = 53,
     .patch_bias = 1,
     .no_class = 1,
     .no_pre_norm = 1,
     .pool_heads = 3,
     .pool_mlp = 32,
     .pool_activation = MUDPT_GELU,
     .no_mask = 1,
     .pad = 1,
     .no_start = 1,
     .logit_bias = 1,
     .std = {1, 1, 1}},
    /* Perception Encoder's kind: rotary positions, CLS among what the head reads */
    {.image = 24,
     .patch = 6,
     .vision = {.width = 48,
                .layers = 3,
                .heads = 4,
                .mlp = 72,
                .activation = MUDPT_GELU,
                .layer_scale = 1,
                .pooling = MUDPT_POOL_ATTENTION,
                .projection_bias = 1},
     .text = {.width = 32, .layers = 2, .heads = 2, .mlp = 40, .activation = MUDPT_GELU},
     .embed = 20,
     .context = 24,
     .vocab = 53,
     .rope = 100,
     .pool_heads = 2,
     .pool_mlp = 40,
     .std = {1, 1, 1}},
    /* CLIPA's kind: the mean of the patches beside a CLS, sentences read at their end among rows of padding */
    {.image = 18,
     .patch = 6,
     .vision = {.width = 32,
                .layers = 3,
                .heads = 2,
                .mlp = 24,
                .activation = MUDPT_GELU,
                .epsilon = 1e-3f,
                .pooling = MUDPT_POOL_MEAN},
     .text = {.width = 24,
              .layers = 2,
              .heads = 1,
              .mlp = 48,
              .activation = MUDPT_GELU_TANH,
              .layer_scale = 1,
              .no_projection = 1},
     .embed = 24,
     .context = 20,
     .vocab = 31,
     .no_pre_norm = 1,
     .norm_after_pool = 1,
     .no_mask = 1,
     .std = {1, 1, 1}},
    /* The last row behind a mask; the mean of normalised patches; rotary positions without CLS */
    {.image = 16,
     .patch = 8,
     .vision = {.width = 24, .layers = 2, .heads = 3, .mlp = 64, .layer_scale = 1, .pooling = MUDPT_POOL_MEAN},
     .text = {.width = 24, .layers = 2, .heads = 2, .mlp = 32, .pooling = MUDPT_POOL_LAST},
     .embed = 17,
     .context = 16,
     .vocab = 31,
     .no_class = 1,
     .rope = 10000,
     .pad = 5,
     .std = {1, 1, 1}},
};

/* The i-th of the pictures that tests train on, each of another size and look, i from 0 to 16. */
static inline mudpt_image *tiny_picture(int i) {
    int width = 20 + 7 * i, height = 50 - 3 * i;
    uint8_t *rgb = malloc((size_t)(3 * width * height));
    mudpt_image *image = NULL;
    if (!rgb) abort();
    for (int k = 0; k < 3 * width * height; k++) rgb[k] = (uint8_t)(k * (i + 3) / 5 + k % 3 * 80 * i);
    int code = mudpt_image_from_pixels(rgb, width, height, 3, &image);
    free(rgb);
    CHECK(code == MUDPT_OK, "%s", mudpt_last_error());
    return image;
}

/* PromptSRC as the tests run it, with every term of its loss and its average: a mudpt_method. */
#define TINY_PROMPTSRC                                                                                                 \
    {                                                                                                                  \
        .method = "promptsrc", .text_length = 2, .text_depth = 2, .visual_length = 2, .visual_depth = 2,               \
        .text_weight = 25, .image_weight = 10, .kl_weight = 1, .averages = 1                                           \
    }

/* MMRL++ as the tests run it: prompts of the upper layers, of which some is kept, a second feature, all terms. */
#define TINY_MMRLPP                                                                                                    \
    {                                                                                                                  \
        .method = "mmrlpp", .text_length = 2, .text_depth = 2, .visual_length = 2, .visual_depth = 2, .layer = 1,      \
        .inserted = 1, .kept = 0.3f, .second = 0.4f, .space = 6, .rank = 2, .projection_rank = 3, .text_weight = 1,    \
        .image_weight = 1                                                                                              \
    }

/* What training runs of the tests have in common, in a mudpt_train_config. */
#define TINY_TRAINING .rate = 0.02f, .momentum = 0.9f, .decay = 5e-4f, .seed = 3, .smallest_crop = 0.08f

enum { MOST_CLASSES = 8, MOST_ROWS = 24 };

/* Sentences of different lengths, each with `prompts` placeholders behind the start. */
typedef struct {
    int32_t ids[2 * MOST_CLASSES * MOST_ROWS], lengths[2 * MOST_CLASSES], name_lengths[MOST_CLASSES];
    mudpt_sentences view;
} tiny_sentences;

__attribute__((unused)) static void make_sentences(tiny_sentences *s, const mudpt_clip_config *config, int prompts,
                                                   int classes, int templates, int with_names) {
    for (int i = 0; i < templates * classes; i++) {
        int c = i % classes, name = 1 + c * 3 % 4, length = 0;
        int32_t *row = s->ids + i * MOST_ROWS;
        if (!config->no_start) row[length++] = config->vocab - 2;
        /* where prompts stand, ids are never looked up */
        for (int k = 0; k < prompts; k++) row[length++] = -7;
        for (int k = 0; k < name; k++) row[length++] = (int32_t)(random_uniform() * (config->vocab - 2));
        row[length++] = 3; /* the full stop */
        row[length++] = config->vocab - 1;
        s->name_lengths[c] = name;
        s->lengths[i] = length;
    }
    s->view = (mudpt_sentences){s->ids, s->lengths, with_names ? s->name_lengths : NULL, MOST_ROWS, classes, templates};
}

/* The same for a method: where prompts are rows of their own sentences have no place for them, and where they enter
 * higher up words stand in it. */
__attribute__((unused)) static void make_sentences_of(tiny_sentences *s, const mudpt_clip_config *config,
                                                      const mudpt_method *m, int classes, int with_names) {
    make_sentences(s, config, m->inserted ? 0 : m->text_length, classes, 1, with_names);
    for (int i = 0; m->layer && i < classes * MOST_ROWS; i++)
        if (s->ids[i] == -7) s->ids[i] = 5 + i % 3;
}

/* Gives the classifier class features of a frozen model that there is not, where its loss compares with such.
 * [classes, embed], to be freed, or NULL. */
__attribute__((unused)) static float *give_teacher(mudpt_classifier *classifier, const mudpt_method *method,
                                                   int classes, int embed) {
    if (!(method->text_weight > 0 || method->kl_weight > 0 || !strcmp(method->method, "tcp"))) return NULL;
    float *features = random_values((size_t)classes * (size_t)embed, 0, 1);
    CHECK(mudpt_classifier_set_teacher(classifier, features) == MUDPT_OK, "%s", mudpt_last_error());
    return features;
}

#endif
