/* CLIP's family beside CLIP: models of transformers, timm and open_clip give their numbers here, whatever their weights
 * are kept as and sent as (tests/golden/family, made by tests/reference/family.py). Gradients through the same pieces
 * are test_gradients.c's.
 */
#include <stddef.h>

#include "check.h"
#include "golden_files.h"
#include "kernels/rope.h"
#include "refused.h"
#include "tiny_clip.h"

enum { PICTURES = 2, SENTENCES = 3, LONGEST = 16 };

/* A description, by js/core/structs.js's names. */
static void read_description(const cJSON *json, mudpt_clip_config *c) {
    mudpt_tower *towers[] = {&c->vision, &c->text};
    *c = (mudpt_clip_config){.std = {1, 1, 1}};
    for (int i = 0; i < 2; i++) {
        mudpt_tower *t = towers[i];
        const struct {
            const char *name;
            int32_t *value;
        } fields[] = {{"Width", &t->width},
                      {"Layers", &t->layers},
                      {"Heads", &t->heads},
                      {"Mlp", &t->mlp},
                      {"Activation", &t->activation},
                      {"LayerScale", &t->layer_scale},
                      {"Pooling", &t->pooling},
                      {"NoProjection", &t->no_projection},
                      {"ProjectionBias", &t->projection_bias}};
        char name[64];
        for (size_t k = 0; k < sizeof fields / sizeof *fields; k++) {
            snprintf(name, sizeof name, "%s%s", i ? "text" : "vision", fields[k].name);
            *fields[k].value = (int32_t)json_number(json, name, 0);
        }
        t->epsilon = (float)json_number(json, i ? "textEpsilon" : "visionEpsilon", 0);
    }
    const struct {
        const char *name;
        int32_t *value;
    } fields[] = {{"image", &c->image},
                  {"patch", &c->patch},
                  {"embed", &c->embed},
                  {"context", &c->context},
                  {"vocab", &c->vocab},
                  {"patchBias", &c->patch_bias},
                  {"noClass", &c->no_class},
                  {"noPreNorm", &c->no_pre_norm},
                  {"normAfterPool", &c->norm_after_pool},
                  {"poolHeads", &c->pool_heads},
                  {"poolMlp", &c->pool_mlp},
                  {"poolActivation", &c->pool_activation},
                  {"noMask", &c->no_mask},
                  {"pad", &c->pad},
                  {"noStart", &c->no_start},
                  {"logitBias", &c->logit_bias}};
    for (size_t k = 0; k < sizeof fields / sizeof *fields; k++)
        *fields[k].value = (int32_t)json_number(json, fields[k].name, 0);
    c->rope = (float)json_number(json, "rope", 0);
}

/* Bytes of `count` values as another type. */
static size_t convert(const float *values, size_t count, int type, uint8_t *out) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], 4);
        uint16_t half = type == MUDPT_F16 ? float_to_half(values[i]) : (uint16_t)((bits + 0x8000) >> 16);
        if (type == MUDPT_F32) memcpy(out + 4 * i, &values[i], 4);
        else memcpy(out + 2 * i, &half, 2);
    }
    return count * (type == MUDPT_F32 ? 4 : 2);
}

static mudpt_clip *load(const tensor_file *file, const mudpt_clip_config *config, int type) {
    mudpt_clip *clip = NULL;
    const cJSON *entry;
    int code = mudpt_clip_create(config, &clip);
    cJSON_ArrayForEach(entry, file->header) {
        tensor t;
        if (code || strncmp(entry->string, "model.", 6)) continue;
        float *values = tensor_floats(file, entry->string, &t);
        const char *name = entry->string + 6;
        uint8_t *bytes = need_bytes(4 * t.count);
        CHECK(mudpt_clip_wants(clip, name) == 1, "%s is not wanted", name);
        code = mudpt_clip_tensor_begin(clip, name, type, t.shape, t.dims);
        if (!code) code = mudpt_clip_tensor_bytes(clip, bytes, convert(values, t.count, type, bytes));
        if (!code) code = mudpt_clip_tensor_end(clip);
        free(values);
        free(bytes);
    }
    if (!code) code = mudpt_clip_finish(clip);
    CHECK(!code, "%s", mudpt_last_error());
    if (!code) return clip;
    mudpt_clip_free(clip);
    return NULL;
}

static void compare(const char *model, const char *what, const float *got, const tensor_file *file, double tolerance) {
    tensor t;
    float *want = tensor_floats(file, what, &t);
    double worst = 0, largest = 0;
    for (size_t i = 0; want && i < t.count; i++) {
        double difference = fabs((double)got[i] - want[i]);
        if (!(difference <= worst)) worst = difference;
        largest = fmax(largest, fabs(want[i]));
    }
    CHECK(want && worst <= tolerance * largest, "%s: %s is off by %.3g of %.3g", model, what, worst, largest);
    free(want);
}

static void check_numbers(const char *name, const cJSON *json, const tensor_file *file, mudpt_clip *clip,
                          double tolerance) {
    float features[PICTURES * 64], text[SENTENCES * 64], logits[PICTURES * SENTENCES];
    int32_t ids[SENTENCES * LONGEST] = {0}, lengths[SENTENCES];
    const cJSON *rows = json_get(json, "ids");
    for (int i = 0; i < SENTENCES; i++) {
        int32_t *row = json_ints(cJSON_GetArrayItem(rows, i), &lengths[i]);
        memcpy(ids + i * LONGEST, row, (size_t)lengths[i] * sizeof *row);
        free(row);
    }
    const mudpt_sentences s = {ids, lengths, NULL, LONGEST, SENTENCES, 1};
    mudpt_classifier *classifier = NULL;
    tensor t;
    float *pixels = tensor_floats(file, "pixels", &t);
    CHECK(!mudpt_classifier_create(clip, &(mudpt_method){.method = "zeroshot"}, &s, SENTENCES, &classifier), "%s",
          mudpt_last_error());
    CHECK(!mudpt_classifier_logits(classifier, pixels, PICTURES, logits, features), "%s", mudpt_last_error());
    CHECK(!mudpt_classifier_text_features(classifier, text), "%s", mudpt_last_error());
    compare(name, "image_features", features, file, tolerance);
    compare(name, "text_features", text, file, tolerance);
    for (int i = 0; i < PICTURES * SENTENCES; i++) logits[i] += mudpt_clip_logit_bias(clip);
    compare(name, "logits", logits, file, tolerance);
    CHECK((double)mudpt_clip_logit_bias(clip) == json_number(json, "logit_bias", 0), "%s: logit bias %g", name,
          (double)mudpt_clip_logit_bias(clip));
    mudpt_classifier_free(classifier);
    free(pixels);
}

static void check_model(const char *name) {
    static const struct {
        int type, storage, precision;
        double tolerance; /* 0: the golden file's */
    } ways[] = {{MUDPT_F32, MUDPT_F32, MUDPT_HIGH, 0},  {MUDPT_F16, -1, MUDPT_HIGH, 0},
                {MUDPT_F32, MUDPT_F16, MUDPT_HIGH, 0},  {MUDPT_BF16, -1, MUDPT_HIGH, 0.05},
                {MUDPT_F32, MUDPT_I8, MUDPT_HIGH, 0.1}, {MUDPT_F16, MUDPT_I16, MUDPT_HIGH, 2e-3},
                {MUDPT_F32, -1, MUDPT_FAST, 5e-3},      {MUDPT_F32, -1, MUDPT_INT8, 0.1}};
    char path[PATH_BYTES];
    tensor_file file;
    mudpt_clip_config config;
    snprintf(path, sizeof path, "tests/golden/family/%s.json", name);
    cJSON *json = read_json(path);
    snprintf(path, sizeof path, "tests/golden/family/%s.safetensors", name);
    CHECK(json && tensor_file_open(&file, path), "%s cannot be read", path);
    read_description(json_get(json, "config"), &config);
    char fingerprints[sizeof ways / sizeof *ways][17];
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        config.storage = ways[i].storage;
        config.precision = ways[i].precision;
        mudpt_clip *clip = load(&file, &config, ways[i].type);
        if (!clip) continue;
        snprintf(fingerprints[i], sizeof fingerprints[i], "%s", mudpt_clip_fingerprint(clip));
        CHECK(ways[i].type == MUDPT_BF16 || !strcmp(fingerprints[i], fingerprints[0]), "%s: fingerprint %s, before %s",
              name, fingerprints[i], fingerprints[0]);
        double own = json_number(json, "tolerance", 0);
        check_numbers(name, json, &file, clip, ways[i].tolerance > 0 ? ways[i].tolerance : own);
        mudpt_clip_free(clip);
    }
    /* The same weights under another description are another model. */
    config.storage = MUDPT_F32;
    config.precision = MUDPT_HIGH;
    config.vision.activation = MUDPT_QUICK_GELU;
    mudpt_clip *other = load(&file, &config, MUDPT_F32);
    CHECK(other && strcmp(mudpt_clip_fingerprint(other), fingerprints[0]), "%s: the activation is no part of it", name);
    mudpt_clip_free(other);
    tensor_file_close(&file);
    cJSON_Delete(json);
}

/* Turning by an angle and back, against sines and cosines of the C library. */
static void check_rope(void) {
    enum { WIDTH = 12, HEADS = 3, ROWS = 37, PERIOD = 5, STRIDE = 2 * WIDTH * HEADS };
    float table[PERIOD * 2 * WIDTH], *x = random_values(ROWS * STRIDE, 0, 1), start[ROWS * STRIDE];
    int places[ROWS];
    memcpy(start, x, sizeof start);
    for (int p = 0; p < PERIOD; p++) rope_row(table + p * 2 * WIDTH, WIDTH, 1000, 7 * p, 128 - p);
    for (int i = 0; i < ROWS; i++) places[i] = i * 3;
    rope_turn(x, STRIDE, ROWS, HEADS, WIDTH, table, places, PERIOD, 0);
    for (int i = 0; i < ROWS * STRIDE; i++) {
        int row = i / STRIDE, within = i % STRIDE, place = places[row] % PERIOD;
        if (within >= WIDTH * HEADS) {
            CHECK(x[i] == start[i], "value %d behind the heads was turned", i);
            continue;
        }
        int pair = within % WIDTH / 2, half = WIDTH / 2, frequency = pair % (half / 2);
        double angle = (pair < half / 2 ? 7 * place : 128 - place) * pow(1000, -2.0 * frequency / half);
        double a = start[i & ~1], b = start[i | 1];
        double want = i & 1 ? b * cos(angle) + a * sin(angle) : a * cos(angle) - b * sin(angle);
        CHECK_CLOSE(x[i], want, 1e-6, "value %d turned", i);
    }
    rope_turn(x, STRIDE, ROWS, HEADS, WIDTH, table, places, PERIOD, 1);
    for (int i = 0; i < ROWS * STRIDE; i++) CHECK_CLOSE(x[i], start[i], 1e-6, "value %d turned back", i);
    free(x);
}

/* What cannot be, one number at a time. */
static void check_refusals(void) {
    static const wrong_field wrong[] = {
        FIELD(vision.activation, 3),
        FIELD(vision.activation, -1),
        FIELD(text.activation, 3),
        FIELD(vision.layer_scale, 2),
        FIELD(vision.pooling, 3),
        FIELD(vision.pooling, -1),
        FIELD(vision.pooling, MUDPT_POOL_ATTENTION),
        FIELD(vision.no_projection, 1),
        FIELD(text.no_projection, 1),
        FIELD(vision.projection_bias, 2),
        FIELD(text.pooling, MUDPT_POOL_MEAN),
        FIELD(text.pooling, MUDPT_POOL_ATTENTION),
        FIELD(text.layer_scale, -1),
        FIELD(patch_bias, 2),
        FIELD(no_class, 1),
        FIELD(no_class, 2),
        FIELD(no_pre_norm, -1),
        FIELD(norm_after_pool, 1),
        FIELD(pool_heads, 3),
        FIELD(pool_mlp, 8),
        FIELD(pool_activation, 1),
        FIELD(no_mask, 2),
        FIELD(pad, -1),
        FIELD(pad, 53),
        FIELD(no_start, 2),
        FIELD(logit_bias, 2),
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) check_wrong(&odd_config, &wrong[i], MUDPT_MODEL);
    static const float wrong_numbers[] = {-1e-6f, 2, INFINITY, NAN};
    for (int i = 0; i < 12; i++) {
        mudpt_clip_config config = odd_config;
        mudpt_clip *clip = NULL;
        float *fields[] = {&config.vision.epsilon, &config.text.epsilon, &config.rope};
        *fields[i / 4] = wrong_numbers[i % 4];
        int possible = i / 4 == 2 && i % 4 == 1; /* a base of 2 */
        CHECK((mudpt_clip_create(&config, &clip) == MUDPT_OK) == possible, "number %d", i);
        mudpt_clip_free(clip);
    }
}

int main(void) {
    check_refusals();
    check_rope();
    check_model("siglip");
    check_model("pe-core");
    check_model("clipa");
    return check_report();
}
