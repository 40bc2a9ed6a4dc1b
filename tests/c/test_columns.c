/* Channels that are far larger or smaller than the others, as CLIP has them, and columns that make up for it: a model
 * with such is as good in integers as the same model without, forward and, but in products of bytes, backward. Columns
 * of integers that are sent are checked, and int8 keeps the first blocks' attention as int16.
 */
#include "check.h"
#include "clip/tensors.h"
#include "tiny_clip.h"

enum { CLASSES = 5, PICTURES = 4, CHANNELS = 3 };

static float apart; /* 1: nothing is changed */

/* Nearly the same function: some channels of every LayerNorm's output and of every value in attention are `apart` times
 * as large, and what reads them that much less. */
static void move(const char *name, float *values, const int32_t *shape) {
    static const int channels[CHANNELS] = {2, 11, 13};
    int norm = strstr(name, "ln_1.") || strstr(name, "ln_2."), out = strstr(name, "attn.out_proj.weight") != NULL;
    int in = strstr(name, "attn.in_proj_weight") != NULL, columns = in || out || strstr(name, "mlp.c_fc.weight");
    int bias = strstr(name, "attn.in_proj_bias") != NULL, hidden = strstr(name, "mlp.c_fc.bias") != NULL;
    int second = strstr(name, "mlp.c_proj.weight") != NULL;
    /* Hidden channels that are always large, by their bias. */
    for (int k = 0; hidden && apart > 1 && k < CHANNELS; k++) values[channels[k]] = 0.6f * apart;
    for (int o = 0; second && apart > 1 && o < shape[0]; o++)
        for (int k = 0; k < CHANNELS; k++) values[o * shape[1] + channels[k]] /= apart;
    for (int k = 0; strstr(name, "resblocks") && k < CHANNELS; k++) {
        if (norm) values[channels[k]] *= apart;
        for (int o = 0; columns && o < shape[0]; o++) values[o * shape[1] + channels[k]] /= apart;
        if (bias) values[shape[0] / 3 * 2 + channels[k]] *= apart;
        for (int i = 0; in && i < shape[1]; i++) values[(shape[0] / 3 * 2 + channels[k]) * shape[1] + i] *= apart;
    }
}

typedef struct {
    float logits[PICTURES * CLASSES], gradients[4096];
    int count;
} outcome;

static void run(const mudpt_clip_config *config, float by, outcome *out) {
    const mudpt_method method = {
        .method = "ivlp", .text_length = 2, .text_depth = 2, .visual_length = 2, .visual_depth = 2};
    const int32_t labels[PICTURES] = {0, 4, 2, 3};
    float loss;
    *out = (outcome){0};
    apart = by;
    change_tensor = move;
    mudpt_clip *clip = tiny_clip(config, 7);
    change_tensor = NULL;
    CHECK(clip != NULL, "%s", mudpt_last_error());
    if (!clip) exit(check_report());
    mudpt_classifier *c = NULL;
    tiny_sentences s;
    random_state = 8;
    make_sentences(&s, config, 2, CLASSES, 1, 0);
    float *pixels = random_values(PICTURES * 3 * (size_t)(config->image * config->image), 0, 1);
    CHECK(mudpt_classifier_create(clip, &method, &s.view, CLASSES, &c) == MUDPT_OK, "%s", mudpt_last_error());
    if (!c) exit(check_report());
    mudpt_classifier_init(c, 1, NULL, 0);
    if (config->precision == MUDPT_INT8)
        CHECK(mudpt_classifier_logits(c, pixels, PICTURES, out->logits, NULL) == MUDPT_OK, "%s", mudpt_last_error());
    else
        CHECK(mudpt_classifier_gradients(c, pixels, labels, PICTURES, &loss, out->logits) == MUDPT_OK, "%s",
              mudpt_last_error());
    mudpt_parameter p;
    for (int i = 0; config->precision != MUDPT_INT8 && i < mudpt_classifier_parameters(c); i++) {
        mudpt_classifier_parameter(c, i, &p);
        memcpy(out->gradients + out->count, p.gradient, (size_t)p.count * sizeof(float));
        out->count += p.count;
    }
    mudpt_classifier_free(c);
    mudpt_clip_free(clip);
    free(pixels);
}

/* Root of the mean square of what is off, against that of what is right. */
static double off(const float *got, const float *want, int count) {
    double apart = 0, size = 0;
    for (int i = 0; i < count; i++) {
        apart += pow((double)got[i] - want[i], 2);
        size += pow(want[i], 2);
    }
    return sqrt(apart / size);
}

static void check_model(const mudpt_clip_config *config, int storage, int precision, const char *name) {
    static outcome exact, plain, moved;
    double logits[2], gradients[2];
    mudpt_clip_config integers = *config;
    integers.storage = storage;
    integers.precision = precision;
    run(config, 1, &exact);
    run(&integers, 1, &plain);
    logits[0] = off(plain.logits, exact.logits, PICTURES * CLASSES);
    gradients[0] = off(plain.gradients, exact.gradients, exact.count);
    const float factors[] = {64, 1 / 64.0f};
    for (int i = 0; i < 2; i++) {
        run(config, factors[i], &exact);
        run(&integers, factors[i], &moved);
        logits[1] = off(moved.logits, exact.logits, PICTURES * CLASSES);
        gradients[1] = off(moved.gradients, exact.gradients, exact.count);
        int backward = precision != MUDPT_INT8;
        CHECK(plain.count == moved.count && (plain.count > 100) == backward, "%d gradients", plain.count);
        CHECK(logits[1] < 2 * logits[0], "%s, channels times %g: logits off by %.2g, without by %.2g", name,
              (double)factors[i], logits[1], logits[0]);
        CHECK(!backward || gradients[1] < 3 * gradients[0],
              "%s, channels times %g: gradients off by %.2g, without by %.2g", name, (double)factors[i], gradients[1],
              gradients[0]);
    }
}

/* Sends one tensor. */
static int send(mudpt_clip *clip, const char *name, int type, const void *data, size_t bytes, const int32_t *shape) {
    int dims = shape[1] ? 2 : 1, code = mudpt_clip_tensor_begin(clip, name, type, shape, dims);
    if (!code) code = mudpt_clip_tensor_bytes(clip, data, bytes);
    return code ? code : mudpt_clip_tensor_end(clip);
}

static void check_sent(void) {
    static int8_t integers[3 * 64 * 64];
    static float ones[3 * 64], other[64];
    int d = odd_config.vision.width;
    const size_t row = (size_t)d * sizeof(float);
    for (int i = 0; i < 3 * 64; i++) ones[i] = 1;
    for (int i = 0; i < d; i++) other[i] = i == 3 ? 2 : 1;
    mudpt_clip *clip = NULL;
    CHECK(mudpt_clip_create(&odd_config, &clip) == MUDPT_OK, "%s", mudpt_last_error());
#define BLOCK "vision_model.encoder.layers.0."
#define REFUSED(code, text)                                                                                            \
    CHECK((code) == MUDPT_MODEL && strstr(mudpt_last_error(), text), "%s: %s", text, mudpt_last_error())
    CHECK(mudpt_clip_wants(clip, BLOCK "self_attn.q_proj.weight_column") == 1, "columns of a query");
    CHECK(mudpt_clip_wants(clip, BLOCK "mlp.fc2.weight_column") == 1, "columns behind an activation");
    CHECK(mudpt_clip_wants(clip, BLOCK "mlp.fc2.bias_column") == -1, "columns of a vector");
    CHECK(mudpt_clip_wants(clip, "logit_scale_column") == -1 && mudpt_clip_wants(clip, "_column") == -1, "others");
    CHECK(!send(clip, BLOCK "self_attn.q_proj.weight_column", MUDPT_F32, other, row, SHAPE(d)), "%s",
          mudpt_last_error());
    REFUSED(send(clip, BLOCK "self_attn.k_proj.weight_column", MUDPT_F32, ones, row, SHAPE(d)), "the same for all");
    REFUSED(send(clip, BLOCK "self_attn.k_proj.weight_column", MUDPT_F32, ones, row, SHAPE(d + 8)), "expected F32");
    other[0] = 0;
    REFUSED(send(clip, BLOCK "self_attn.out_proj.weight_column", MUDPT_F32, other, row, SHAPE(d)), "above 0");
    mudpt_clip_free(clip);
    /* Integers without scales, columns without integers. */
    for (int columns = 0; columns < 2; columns++) {
        CHECK(mudpt_clip_create(&odd_config, &clip) == MUDPT_OK, "%s", mudpt_last_error());
        const char *name = columns ? BLOCK "self_attn.out_proj.weight_column" : BLOCK "self_attn.out_proj.weight";
        int code = columns ? send(clip, name, MUDPT_F32, ones, row, SHAPE(d))
                           : send(clip, name, MUDPT_I8, integers, (size_t)(d * d), SHAPE(d, d));
        CHECK(!code, "%s", mudpt_last_error());
        random_state = 3;
        code = send_all(clip, &odd_config);
        if (!code) code = mudpt_clip_finish(clip);
        CHECK(code == MUDPT_MODEL, "%s is taken", name);
        if (columns) CHECK(strstr(mudpt_last_error(), "belong to no integers"), "%s", mudpt_last_error());
        mudpt_clip_free(clip);
    }
}

/* The first blocks' attention is int16 where int8 is asked for, as weights or for products. */
static void check_lead(int precision) {
    mudpt_clip_config config = odd_config;
    int bytes = precision == MUDPT_INT8 ? GEMM_QUADS : MUDPT_I8;
    config.storage = precision == MUDPT_INT8 ? MUDPT_F32 : MUDPT_I8;
    config.precision = precision;
    config.vision.layers = 12;
    config.text.layers = 3;
    mudpt_clip *clip = tiny_clip(&config, 7);
    CHECK(clip != NULL, "%s", mudpt_last_error());
    for (int l = 0; clip && l < 12; l++) {
        const clip_block *b = &clip->vision[l], *t = &clip->text[l % 3];
        CHECK(b->in_proj.storage == (l < 2 ? MUDPT_I16 : bytes) && b->out_proj.storage == b->in_proj.storage &&
                  b->fc.storage == bytes && b->proj.storage == bytes,
              "image block %d", l);
        CHECK(t->in_proj.storage == (l % 3 ? bytes : MUDPT_I16) && t->fc.storage == bytes, "text block %d", l);
    }
    double more = mudpt_clip_weight_bytes_as(clip, MUDPT_I8) - (double)mudpt_clip_weight_bytes(clip);
    CHECK(precision == MUDPT_INT8 ? more <= 0 && more > -4000 : more == 0, "%g bytes more", more); /* inputs in fours */
    mudpt_clip_free(clip);
}

int main(void) {
    mudpt_clip_config config = odd_config;
    config.vision.layers = config.text.layers = 4;
    check_model(&config, MUDPT_I8, MUDPT_HIGH, "int8");
    check_model(&config, MUDPT_F32, MUDPT_FAST, "fast");
    check_model(&config, MUDPT_I8, MUDPT_FAST, "fast, int8");
    check_model(&config, MUDPT_I16, MUDPT_HIGH, "int16");
    check_model(&config, MUDPT_F32, MUDPT_INT8, "products of bytes");
    check_sent();
    check_lead(MUDPT_HIGH);
    check_lead(MUDPT_INT8);
    return check_report();
}
