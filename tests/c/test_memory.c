/* Training that computes blocks again gives the same bits, in any precision, also for a part of a group; and the plan
 * is what is taken. */
#include "check.h"
#include "tiny_clip.h"

enum { CLASSES = 4, MOST = 5 };

static mudpt_classifier *open_classifier(mudpt_clip *clip, const mudpt_clip_config *config,
                                         const mudpt_method *method) {
    mudpt_classifier *classifier = NULL;
    tiny_sentences s;
    random_state = 77;
    make_sentences_of(&s, config, method, CLASSES, 0);
    CHECK(mudpt_classifier_create(clip, method, &s.view, CLASSES, &classifier) == MUDPT_OK, "%s", mudpt_last_error());
    if (!classifier) exit(check_report());
    free(give_teacher(classifier, method, CLASSES, config->embed));
    CHECK(mudpt_classifier_init(classifier, 1, NULL, 0) == MUDPT_OK, "%s", mudpt_last_error());
    return classifier;
}

static void check_method(mudpt_clip *clip, const mudpt_clip_config *config, const mudpt_method *method) {
    size_t each = 3 * (size_t)(config->image * config->image);
    float *pixels = random_values(MOST * each, 0, 1), losses[2];
    const int32_t labels[MOST] = {0, 3, 1, 2, 1};
    for (int count = 1; count <= MOST; count += 2) {
        mudpt_classifier *c[2];
        mudpt_plan plans[2];
        for (int again = 0; again < 2; again++) {
            c[again] = open_classifier(clip, config, method);
            mudpt_classifier_recompute(c[again], again);
            CHECK(mudpt_classifier_plan(c[again], count, again, &plans[again]) == MUDPT_OK, "%s", mudpt_last_error());
            CHECK(mudpt_classifier_gradients(c[again], pixels, labels, count, &losses[again], NULL) == MUDPT_OK, "%s",
                  mudpt_last_error());
            /* The classifier holds all but weights, pixels, the kernels' scratch and a copy of the values. */
            size_t held = mudpt_classifier_bytes(c[again]);
            double planned = plans[again].activations + plans[again].prompts + plans[again].optimizer;
            CHECK((double)held <= planned + 1024 && planned <= (double)held + (8 << 20),
                  "%s: %zu bytes held, %.0f planned", method->method, held, planned);
        }
        CHECK(!memcmp(&losses[0], &losses[1], sizeof *losses), "%s: other losses", method->method);
        CHECK(plans[1].activations < plans[0].activations, "%s: %.0f bytes computed again, %.0f kept", method->method,
              plans[1].activations, plans[0].activations);
        mudpt_parameter p, q;
        for (int i = 0; i < mudpt_classifier_parameters(c[0]); i++) {
            mudpt_classifier_parameter(c[0], i, &p);
            mudpt_classifier_parameter(c[1], i, &q);
            CHECK(!memcmp(p.gradient, q.gradient, (size_t)p.count * sizeof *p.gradient),
                  "%s, %d pictures: gradient of %s", method->method, count, p.name);
        }
        /* And back: what was asked for last counts. */
        mudpt_classifier_recompute(c[1], 0);
        CHECK(mudpt_classifier_gradients(c[1], pixels, labels, count, &losses[1], NULL) == MUDPT_OK, "again");
        CHECK(mudpt_classifier_bytes(c[1]) == mudpt_classifier_bytes(c[0]), "another size after going back");
        mudpt_classifier_free(c[0]);
        mudpt_classifier_free(c[1]);
    }
    mudpt_plan plan;
    mudpt_classifier *c = open_classifier(clip, config, method);
    CHECK(mudpt_classifier_plan(c, 0, 0, &plan) == MUDPT_ARGUMENT, "a batch of nothing is planned");
    mudpt_classifier_free(c);
    free(pixels);
}

static void check_model(const mudpt_clip_config *config) {
    mudpt_clip *clip = tiny_clip(config, 5);
    CHECK(clip != NULL, "%s", mudpt_last_error());
    if (!clip) return;
    check_method(
        clip, config,
        &(mudpt_method){.method = "ivlp", .text_length = 2, .text_depth = 2, .visual_length = 3, .visual_depth = 1});
    check_method(clip, config, &(mudpt_method){.method = "vpt", .visual_length = 2, .visual_depth = 2});
    check_method(clip, config, &(mudpt_method){.method = "coop", .text_length = 2, .text_depth = 1});
    check_method(clip, config, &(mudpt_method)TINY_PROMPTSRC);
    mudpt_method every_layer = TINY_MMRLPP;
    every_layer.layer = 0; /* of one layer as much is kept as is computed again */
    check_method(clip, config, &every_layer);
    double now = (double)mudpt_clip_weight_bytes(clip), half = mudpt_clip_weight_bytes_as(clip, MUDPT_F16);
    double as_is = mudpt_clip_weight_bytes_as(clip, config->precision == MUDPT_FAST ? MUDPT_I16 : MUDPT_F32);
    CHECK(as_is == now, "%.0f bytes as they are, %.0f as if they were kept so", now, as_is);
    CHECK(mudpt_clip_weight_bytes_as(clip, MUDPT_I8) < half, "int8 is not smaller than f16");
    mudpt_clip *small = NULL;
    mudpt_clip_config halves = *config;
    halves.storage = MUDPT_F16;
    halves.precision = MUDPT_HIGH;
    if (config->precision == MUDPT_HIGH && (small = tiny_clip(&halves, 5)))
        CHECK(mudpt_clip_weight_bytes_as(small, MUDPT_F16) == (double)mudpt_clip_weight_bytes(small),
              "f16 as it is kept");
    mudpt_clip_free(small);
    mudpt_clip_free(clip);
}

int main(void) {
    for (int precision = MUDPT_HIGH; precision <= MUDPT_FAST; precision++) {
        mudpt_clip_config config = odd_config;
        config.precision = precision;
        check_model(&config);
    }
    for (int f = 0; f < FAMILY; f++) check_model(&family_configs[f]);
    return check_report();
}
