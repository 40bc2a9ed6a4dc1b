/* Terms of the loss beside cross-entropy, and averages: who can have them, what they need, what nothing depends on. */
#include "check.h"
#include "refused.h"
#include "tiny_clip.h"

enum { CLASSES = 3 };

/* A refusal whose text has these words. */
#define TELLS(call, code, words)                                                                                       \
    do {                                                                                                               \
        REFUSED(call, code);                                                                                           \
        CHECK(strstr(mudpt_last_error(), words), "the text is \"%s\"", mudpt_last_error());                            \
    } while (0)

static int create(mudpt_clip *clip, const mudpt_method *method, mudpt_classifier **out) {
    tiny_sentences s;
    make_sentences_of(&s, &odd_config, method, CLASSES, 0);
    *out = NULL;
    return mudpt_classifier_create(clip, method, &s.view, CLASSES, out);
}

static void check_refusals(mudpt_clip *clip) {
    static const struct {
        mudpt_method method;
        const char *says;
    } cases[] = {
        {{.method = "coop", .text_length = 2, .text_depth = 1, .text_weight = 1}, "no term of the loss for its text"},
        {{.method = "vpt", .visual_length = 2, .visual_depth = 1, .image_weight = 1}, "for its pictures' features"},
        {{.method = "kgcoop", .text_length = 2, .text_depth = 1, .kl_weight = 1}, "for its scores"},
        {{.method = "kgcoop", .text_length = 2, .text_depth = 1, .text_weight = -1}, "weight -1; expected 0 to"},
        {{.method = "kgcoop", .text_length = 2, .text_depth = 1, .text_weight = NAN}, "expected 0 to 1000000"},
        {{.method = "kgcoop", .text_length = 2, .text_depth = 2, .text_weight = 8}, "text depth must be 1"},
        {{.method = "ivlp", .text_length = 2, .text_depth = 1, .visual_length = 2, .visual_depth = 1, .averages = 2},
         "averages is 2"},
        {{.method = "tcp", .text_length = 2, .text_depth = 1}, "enter text layer 0; expected 1 to 2"},
        {{.method = "tcp", .text_length = 2, .text_depth = 1, .layer = 3}, "enter text layer 3; expected 1 to 2"},
        {{.method = "tcp", .text_length = 2, .text_depth = 2, .layer = 1}, "text depth must be 1"},
        {{.method = "coop", .text_length = 2, .text_depth = 1, .layer = 1}, "neither rows of each class's own nor"},
        {{.method = "maple", .text_length = 2, .text_depth = 1, .visual_length = 2, .visual_depth = 1, .layer = 1},
         "maple has neither rows"},
        {{.method = "ivlp", .text_length = 2, .text_depth = 1, .visual_length = 2, .visual_depth = 1, .layer = 2},
         "prompts enter layer 2; expected 0 to 1"},
        {{.method = "vpt", .visual_length = 2, .visual_depth = 1, .layer = -1}, "prompts enter layer -1"},
        {{.method = "vpt", .visual_length = 2, .visual_depth = 1, .second = 0.5f},
         "second is 0.5 with vpt; expected 0 to 0"},
        {{.method = "vpt", .visual_length = 2, .visual_depth = 1, .inserted = 1, .second = 1.5f},
         "second is 1.5 with vpt; expected 0 to 1"},
        {{.method = "vpt", .visual_length = 2, .visual_depth = 1, .inserted = 1, .kept = NAN},
         "with vpt; expected 0 to 1"},
        {{.method = "vpt", .visual_length = 2, .visual_depth = 1, .inserted = 2},
         "inserted is 2 with vpt; expected 0 to 1"},
        {{.method = "vpt", .visual_length = 2, .visual_depth = 1, .inserted = 1, .alone = CLASSES + 1},
         "alone is 4 with vpt; expected 0 to 3"},
        {{.method = "vpt", .visual_length = 2, .visual_depth = 1, .space = 3}, "space is 3 with vpt; expected 0 to 0"},
        {{.method = "mudpt", .text_length = 2, .text_depth = 1, .visual_length = 2, .visual_depth = 1, .scale = 100},
         "scale is 100 with mudpt; expected 0 to 0"},
        {{.method = "mudpt", .text_length = 2, .text_depth = 1, .visual_length = 2, .visual_depth = 1, .inserted = 1},
         "inserted is 1 with mudpt; expected 0 to 0"},
        {{.method = "mmrl", .text_length = 2, .text_depth = 1, .visual_length = 2, .visual_depth = 1, .space = 3},
         "inserted is 0 with mmrl; expected 1 to 1"},
        {{.method = "mmrl",
          .text_length = 2,
          .text_depth = 1,
          .visual_length = 2,
          .visual_depth = 1,
          .inserted = 1,
          .space = 3,
          .rank = 1},
         "rank is 1 with mmrl; expected 0 to 0"},
        {{.method = "mmrlpp",
          .text_length = 2,
          .text_depth = 1,
          .visual_length = 2,
          .visual_depth = 1,
          .inserted = 1,
          .space = 3,
          .rank = 1},
         "projection_rank is 0 with mmrlpp; expected 1 to 8192"},
        {{.method = "mmrl",
          .text_length = 2,
          .text_depth = 33,
          .visual_length = 2,
          .visual_depth = 33,
          .inserted = 1,
          .space = 3},
         "its depth is 33, expected 1 to 32"},
        {{.method = "maple", .text_length = 2, .text_depth = 2, .visual_length = 2, .visual_depth = 1},
         "lengths and depths must be equal"},
        {{.method = "maple", .text_length = 2, .text_depth = 65, .visual_length = 2, .visual_depth = 65},
         "a projection a layer; its depth is 65, expected 1 to 64"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mudpt_classifier *c;
        TELLS(create(clip, &cases[i].method, &c), MUDPT_ARGUMENT, cases[i].says);
        CHECK(!c, "case %zu: a classifier was made", i);
    }
}

/* Class features of the frozen model: asked for where they are needed, refused where they are not or say nothing. */
static void check_teacher(mudpt_clip *clip) {
    const mudpt_method held = {.method = "kgcoop", .text_length = 2, .text_depth = 1, .text_weight = 8};
    const mudpt_method free_one = {.method = "kgcoop", .text_length = 2, .text_depth = 1};
    const int32_t labels[] = {0};
    float *pixels = random_values(3 * 24 * 24, 0, 1), *features = random_values(CLASSES * 20, 0, 1), loss;
    mudpt_classifier *c;
    CHECK(create(clip, &held, &c) == MUDPT_OK, "%s", mudpt_last_error());
    TELLS(mudpt_classifier_gradients(c, pixels, labels, 1, &loss, NULL), MUDPT_STATE, "has not been given");
    float kept = features[5];
    features[5] = NAN;
    TELLS(mudpt_classifier_set_teacher(c, features), MUDPT_ARGUMENT, "NaN or infinity");
    features[5] = kept;
    CHECK(mudpt_classifier_set_teacher(c, features) == MUDPT_OK, "%s", mudpt_last_error());
    CHECK(mudpt_classifier_gradients(c, pixels, labels, 1, &loss, NULL) == MUDPT_OK, "%s", mudpt_last_error());
    TELLS(mudpt_classifier_average(c, 1), MUDPT_STATE, "no average is kept");
    memset(features, 0, 20 * sizeof *features);
    TELLS(mudpt_classifier_set_teacher(c, features), MUDPT_ARGUMENT, "has no direction");
    mudpt_classifier_free(c);
    CHECK(create(clip, &free_one, &c) == MUDPT_OK, "%s", mudpt_last_error());
    TELLS(mudpt_classifier_set_teacher(c, features), MUDPT_STATE, "has nothing that needs");
    CHECK(mudpt_classifier_gradients(c, pixels, labels, 1, &loss, NULL) == MUDPT_OK, "%s", mudpt_last_error());
    mudpt_classifier_free(c);
    free(pixels);
    free(features);
}

/* A method that makes its rows of them has no features without; another teacher makes others. Adam is its own. */
static void check_class_aware(mudpt_clip *clip) {
    const mudpt_method method = {.method = "tcp", .text_length = 2, .text_depth = 1, .layer = 2};
    const int32_t labels[] = {0};
    float *pixels = random_values(3 * 24 * 24, 0, 1), *features = random_values(CLASSES * 20, 0, 1), loss;
    float text[2][CLASSES * 20];
    mudpt_classifier *c;
    CHECK(create(clip, &method, &c) == MUDPT_OK, "%s", mudpt_last_error());
    CHECK(mudpt_classifier_init(c, 3, NULL, 0) == MUDPT_OK, "%s", mudpt_last_error());
    TELLS(mudpt_classifier_text_features(c, text[0]), MUDPT_STATE, "has not been given");
    for (int i = 0; i < 2; i++) {
        features[0] += 2 * (float)i;
        CHECK(mudpt_classifier_set_teacher(c, features) == MUDPT_OK, "%s", mudpt_last_error());
        CHECK(mudpt_classifier_text_features(c, text[i]) == MUDPT_OK, "%s", mudpt_last_error());
    }
    for (int n = 0; n < CLASSES; n++)
        CHECK((memcmp(text[0] + 20 * n, text[1] + 20 * n, 80) != 0) == (n == 0), "class %d", n);
    TELLS(mudpt_classifier_adam(c, 0.1f, 0, 1), MUDPT_STATE, "no gradients yet");
    CHECK(mudpt_classifier_gradients(c, pixels, labels, 1, &loss, NULL) == MUDPT_OK, "%s", mudpt_last_error());
    TELLS(mudpt_classifier_adam(c, 0.1f, 0, 0), MUDPT_ARGUMENT, "a step from 1");
    TELLS(mudpt_classifier_adam(c, NAN, 0, 1), MUDPT_ARGUMENT, "finite numbers");
    TELLS(mudpt_classifier_adam(c, 3e38f, 1e30f, 1), MUDPT_NOT_FINITE, "leaves the range of numbers");
    CHECK(mudpt_classifier_adam(c, 0.1f, 0, 1) == MUDPT_OK, "%s", mudpt_last_error());
    mudpt_classifier_free(c);
    free(pixels);
    free(features);
}

/* Projections to layers that the image tower does not have stay as they are, decay and all; those of deeper layers than
 * the first start equal. */
static void check_idle(mudpt_clip *clip) {
    const mudpt_method method = {
        .method = "maple", .text_length = 2, .text_depth = 3, .visual_length = 2, .visual_depth = 3};
    const int32_t labels[] = {1, 2};
    float *pixels = random_values(2 * 3 * 24 * 24, 0, 1), loss;
    mudpt_classifier *c;
    mudpt_parameter p, q;
    int idle = 0;
    CHECK(create(clip, &method, &c) == MUDPT_OK, "%s", mudpt_last_error());
    CHECK(mudpt_classifier_init(c, 3, NULL, 0) == MUDPT_OK, "%s", mudpt_last_error());
    for (int i = 0; i < mudpt_classifier_parameters(c); i++) {
        mudpt_classifier_parameter(c, i, &p);
        CHECK(p.idle == !strncmp(p.name, "project.2.", 10), "%s is idle: %d", p.name, p.idle);
        idle += p.idle;
        if (strncmp(p.name, "project.", 8) || p.name[8] == '0') continue;
        mudpt_classifier_parameter(c, i - 2, &q);
        int same = !memcmp(p.value, q.value, (size_t)p.count * sizeof *p.value);
        CHECK(same == (p.name[8] == '2'), "%s starts as the layer's before: %d", p.name, same);
    }
    CHECK(idle == 2, "%d tensors are idle", idle);
    for (int i = 0; i < mudpt_classifier_parameters(c); i++) {
        mudpt_classifier_parameter(c, i, &p);
        float *before = malloc((size_t)p.count * sizeof *before);
        memcpy(before, p.value, (size_t)p.count * sizeof *before);
        CHECK(mudpt_classifier_gradients(c, pixels, labels, 2, &loss, NULL) == MUDPT_OK, "%s", mudpt_last_error());
        CHECK(mudpt_classifier_sgd(c, 0.1f, 0.9f, 0.5f) == MUDPT_OK, "%s", mudpt_last_error());
        int same = !memcmp(before, p.value, (size_t)p.count * sizeof *before);
        CHECK(same == p.idle, "%s: idle %d", p.name, p.idle);
        free(before);
    }
    mudpt_classifier_free(c);
    free(pixels);
}

/* Shares of an average: they add up to 1 wherever the mean lies, and the nearest epoch has the largest. */
static void check_shares(void) {
    static const double means[] = {15, 1, 0, -50, 1e6, 7.5}, deviations[] = {1, 0.01, 30, 1e6};
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < 4; k++) {
            double sum = 0, largest = 0, nearest = fmin(fmax(means[i], 1), 20);
            int at = 0;
            for (int epoch = 0; epoch < 20; epoch++) {
                double share = mudpt_average_weight(20, means[i], deviations[k], epoch);
                CHECK(share >= 0 && share <= 1, "the share of epoch %d is %g", epoch, share);
                if (share > largest) at = epoch + 1;
                largest = fmax(largest, share);
                sum += share;
            }
            CHECK_CLOSE(sum, 1, 1e-6, "shares about %g, deviation %g", means[i], deviations[k]);
            CHECK(deviations[k] > 1 || fabs(at - nearest) <= 0.5, "about %g: the largest is epoch %d's", means[i], at);
        }
}

/* Maps to layers that a tower does not have stay as they are under AdamW, too; all layers' maps start equal; the decay
 * of AdamW does not go through the moments. */
static void check_space(mudpt_clip *clip) {
    mudpt_method method = TINY_MMRLPP;
    method.text_depth = method.visual_depth = 2;
    const int32_t labels[] = {1, 2};
    float *pixels = random_values(2 * 3 * 24 * 24, 0, 1), loss;
    mudpt_classifier *c;
    mudpt_parameter p, q;
    int idle = 0;
    CHECK(create(clip, &method, &c) == MUDPT_OK, "%s", mudpt_last_error());
    CHECK(mudpt_classifier_init(c, 3, NULL, 0) == MUDPT_OK, "%s", mudpt_last_error());
    free(give_teacher(c, &method, CLASSES, odd_config.embed));
    for (int i = 0; i < mudpt_classifier_parameters(c); i++) {
        mudpt_classifier_parameter(c, i, &p);
        CHECK(p.idle == !strncmp(p.name, "to_visual.1.", 12), "%s is idle: %d", p.name, p.idle);
        idle += p.idle;
        if (i > 2 && strstr(p.name, ".1.bias")) {
            mudpt_classifier_parameter(c, i - 3, &q);
            CHECK(!memcmp(p.value, q.value, (size_t)p.count * sizeof *p.value), "%s starts elsewhere", p.name);
        }
    }
    CHECK(idle == 3, "%d tensors are idle", idle);
    for (int k = 1; k <= 2; k++) { /* the second projection's two, whose product leaves the range */
        mudpt_classifier_parameter(c, mudpt_classifier_parameters(c) - k, &p);
        for (int i = 0; i < p.count; i++) p.value[i] = 1e30f;
    }
    float logits[CLASSES];
    mudpt_classifier_changed(c);
    TELLS(mudpt_classifier_logits(c, pixels, 1, logits, NULL), MUDPT_NOT_FINITE, "out of a picture's second feature");
    CHECK(mudpt_classifier_init(c, 3, NULL, 0) == MUDPT_OK, "%s", mudpt_last_error());
    for (int i = 0; i < mudpt_classifier_parameters(c); i++) {
        mudpt_classifier_parameter(c, i, &p);
        float before = p.value[0];
        CHECK(mudpt_classifier_gradients(c, pixels, labels, 2, &loss, NULL) == MUDPT_OK, "%s", mudpt_last_error());
        CHECK(mudpt_classifier_adam(c, 1e-3f, 0.5f, 1 + i) == MUDPT_OK, "%s", mudpt_last_error());
        CHECK((before == p.value[0]) == (p.idle || (before == 0 && p.gradient && p.gradient[0] == 0)), "%s: idle %d",
              p.name, p.idle);
    }
    mudpt_classifier_free(c);
    free(pixels);
}

static void check_trainer(mudpt_clip *clip) {
    const mudpt_method method = {
        .method = "promptsrc", .text_length = 2, .text_depth = 1, .visual_length = 2, .visual_depth = 1, .averages = 1};
    mudpt_train_config config = {.epochs = 2, .batch = 2, TINY_TRAINING};
    mudpt_classifier *c;
    mudpt_trainer *trainer;
    CHECK(create(clip, &method, &c) == MUDPT_OK, "%s", mudpt_last_error());
    TELLS(mudpt_trainer_create(c, &config, &trainer), MUDPT_ARGUMENT, "an average about epoch 0, deviation 0");
    config.average_deviation = 1;
    config.average_mean = NAN;
    TELLS(mudpt_trainer_create(c, &config, &trainer), MUDPT_ARGUMENT, "an average about epoch");
    mudpt_classifier_free(c);
}

int main(void) {
    mudpt_clip *clip = tiny_clip(&odd_config, 1);
    CHECK(clip != NULL, "%s", mudpt_last_error());
    if (clip) {
        check_refusals(clip);
        check_teacher(clip);
        check_class_aware(clip);
        check_idle(clip);
        check_space(clip);
        check_trainer(clip);
        mudpt_clip_free(clip);
    }
    check_shares();
    return check_report();
}
