/* Sentences that go through the text tower in parts give the bits that they give at once, whatever is shared, whatever
 * the method, in any precision; and the plan of it is what is taken, also where it is more than can be addressed. */
#include "check.h"
#include "tiny_clip.h"
#include "train/classifier.h"

enum { CLASSES = 7, PICTURES = 3, MOST_VALUES = 1 << 16 };

typedef struct {
    float values[MOST_VALUES], loss;
    int count, parts;
} outcome;

/* Losses and gradients of a step, and of a second one on other values. */
static void run(mudpt_clip *clip, const mudpt_method *method, int recompute, outcome *out) {
    const mudpt_clip_config *config = &clip->config;
    mudpt_classifier *c = NULL;
    mudpt_plan plan;
    tiny_sentences s;
    float *pixels = random_values(PICTURES * 3 * (size_t)(config->image * config->image), 0, 1);
    const int32_t labels[PICTURES] = {6, 0, 3};
    *out = (outcome){0};
    random_state = 31;
    make_sentences_of(&s, config, method, CLASSES, method->class_position);
    CHECK(mudpt_classifier_create(clip, method, &s.view, CLASSES, &c) == MUDPT_OK, "%s", mudpt_last_error());
    if (!c) exit(check_report());
    free(give_teacher(c, method, CLASSES, config->embed));
    CHECK(mudpt_classifier_init(c, 3, NULL, 0) == MUDPT_OK, "%s", mudpt_last_error());
    mudpt_classifier_recompute(c, recompute);
    CHECK(mudpt_classifier_plan(c, PICTURES, recompute, &plan) == MUDPT_OK, "%s", mudpt_last_error());
    out->parts = plan.parts;
    for (int step = 0; step < 2; step++) {
        CHECK(mudpt_classifier_gradients(c, pixels, labels, PICTURES, &out->loss, NULL) == MUDPT_OK, "%s: %s",
              method->method, mudpt_last_error());
        mudpt_parameter p;
        for (int i = 0; i < mudpt_classifier_parameters(c); i++) {
            mudpt_classifier_parameter(c, i, &p);
            for (int k = 0; k < p.count && out->count < MOST_VALUES; k++) {
                out->values[out->count++] = p.gradient[k];
                p.value[k] -= p.gradient[k];
            }
        }
        mudpt_classifier_changed(c);
    }
    double held = (double)mudpt_classifier_bytes(c), planned = plan.activations + plan.prompts + plan.optimizer;
    CHECK(held <= planned + 1024 && planned <= held + (8 << 20), "%s: %.0f bytes held, %.0f planned", method->method,
          held, planned);
    CHECK(plan.largest <= held && plan.largest >= (double)c->work.memory.size, "%s: %.0f bytes in one block",
          method->method, plan.largest);
    mudpt_classifier_free(c);
    free(pixels);
}

static void check_method(mudpt_clip *clip, const mudpt_method *method) {
    static outcome whole, parts;
    const uint64_t most = parts_most, each = parts_each;
    for (int recompute = 0; recompute < 2; recompute++) {
        random_state = 9;
        run(clip, method, recompute, &whole);
        /* One sentence a part, and some. */
        for (int rows = 1; rows < 30; rows += 14) {
            random_state = 9;
            parts_most = 1;
            parts_each = (uint64_t)rows * 48000;
            if (recompute) parts_each = rows == 1 ? 1 : parts_each / 4;
            run(clip, method, recompute, &parts);
            parts_most = most, parts_each = each;
            CHECK(whole.parts == 1 && (parts.parts > 1 || rows > 1), "%s: %d and %d parts", method->method, whole.parts,
                  parts.parts);
            CHECK(whole.count > 0 && whole.count == parts.count &&
                      !memcmp(whole.values, parts.values, (size_t)whole.count * sizeof(float)) &&
                      !memcmp(&whole.loss, &parts.loss, sizeof(float)),
                  "%s, %d parts, recompute %d: other bits than at once", method->method, parts.parts, recompute);
        }
    }
}

static void check_model(const mudpt_clip_config *config) {
    static const mudpt_method methods[] = {
        {.method = "coop", .text_length = 3, .text_depth = 1},
        {.method = "coop", .text_length = 3, .text_depth = 1, .class_position = 1},
        {.method = "coop", .text_length = 2, .text_depth = 1, .class_position = 2},
        {.method = "coop", .text_length = 2, .text_depth = 1, .class_specific = 1},
        {.method = "cocoop", .text_length = 2, .text_depth = 1},
        {.method = "ivlp", .text_length = 2, .text_depth = 2, .visual_length = 3, .visual_depth = 1},
        {.method = "mudpt",
         .text_length = 2,
         .text_depth = 2,
         .visual_length = 2,
         .visual_depth = 2,
         .layer0_fusion = 1},
        TINY_PROMPTSRC,
        {.method = "tcp", .text_length = 2, .text_depth = 1, .layer = 1, .text_weight = 8},
        TINY_MMRLPP, /* and prompts of upper layers: in place of words; nothing below them but the words' rows */
        {.method = "ivlp", .text_length = 2, .text_depth = 2, .visual_length = 3, .visual_depth = 1, .layer = 1},
        {.method = "ivlp", .text_length = 2, .text_depth = 1, .visual_length = 3, .visual_depth = 1, .inserted = 1},
    };
    mudpt_clip *clip = tiny_clip(config, 5);
    CHECK(clip != NULL, "%s", mudpt_last_error());
    for (size_t i = 0; clip && i < sizeof methods / sizeof *methods; i++)
        if (methods[i].layer < config->text.layers && methods[i].layer < config->vision.layers)
            check_method(clip, &methods[i]);
    mudpt_clip_free(clip);
}

/* 100,000 classes: what is told is what they take, far beyond 32 bits, and the rest grows as the classes do. */
static void check_many(void) {
    mudpt_clip_config config = odd_config;
    config.text.layers = MUDPT_MAX_LAYERS;
    mudpt_clip *clip = tiny_clip(&config, 5);
    CHECK(clip != NULL, "%s", mudpt_last_error());
    if (!clip) return;
    const uint64_t most = parts_most;
    enum { COUNTS = 3 };
    const int counts[COUNTS] = {1000, 2000, 100000};
    for (int in_parts = 0; in_parts < 2; in_parts++) {
        double activations[COUNTS];
        for (int i = 0; i < COUNTS; i++) {
            const mudpt_method method = {.method = "coop", .text_length = 4, .text_depth = 1, .class_specific = 1};
            int32_t *ids = calloc((size_t)counts[i] * 8, sizeof *ids),
                    *lengths = calloc((size_t)counts[i], sizeof *ids);
            for (int c = 0; c < counts[i]; c++) lengths[c] = 8;
            mudpt_sentences s = {.ids = ids, .lengths = lengths, .stride = 8, .classes = counts[i], .templates = 1};
            mudpt_classifier *c = NULL;
            mudpt_plan plan = {0};
            CHECK(mudpt_classifier_create(clip, &method, &s, 0, &c) == MUDPT_OK, "%s", mudpt_last_error());
            parts_most = in_parts ? most : UINT64_MAX;
            if (c) mudpt_classifier_plan(c, 1, 0, &plan);
            parts_most = most;
            activations[i] = plan.activations;
            if (!in_parts) CHECK(plan.parts == 1, "%d parts", plan.parts);
            mudpt_classifier_free(c);
            free(ids);
            free(lengths);
        }
        double each = (activations[1] - activations[0]) / 1000, expected = activations[0] + 99000 * each;
        if (in_parts) CHECK(activations[2] < 0.5e9, "%.0f bytes in parts", activations[2]);
        else
            CHECK(activations[2] > 1e10 && fabs(activations[2] - expected) < 1e-3 * expected,
                  "100,000 classes take %.0f bytes, expected %.0f", activations[2], expected);
    }
    mudpt_clip_free(clip);
}

int main(void) {
    for (int precision = MUDPT_HIGH; precision <= MUDPT_FAST; precision++) {
        mudpt_clip_config config = odd_config;
        config.precision = precision;
        config.text.layers = 3;
        check_model(&config);
    }
    for (int f = 0; f < FAMILY; f++) check_model(&family_configs[f]);
    check_many();
    return check_report();
}
