/* NaN and infinity: found at the step where they appear, and told with picture, tensor or layer; the last good prompts
 * are kept. And the same bits on 1, 2, 3 and 8 threads. And sizes that no memory could hold are refused, not wrapped.
 */
#include "check.h"
#include "kernels/loss.h"
#include "kernels/softmax.h"
#include "tiny_clip.h"

enum { CLASSES = 3, PICTURE = 3 * 24 * 24, PICTURES = 4 };

static float *pixels;

static void told(int code, const char *what, const char *expected) {
    CHECK(code == MUDPT_NOT_FINITE, "%s: code %d, %s", what, code, mudpt_last_error());
    CHECK(strstr(mudpt_last_error(), expected), "%s: the text is \"%s\", expected \"%s\" in it", what,
          mudpt_last_error(), expected);
}

static mudpt_classifier *open_classifier(mudpt_clip *clip, const mudpt_method *method) {
    tiny_sentences s;
    mudpt_classifier *classifier = NULL;
    random_state = 9;
    make_sentences(&s, &odd_config, method->text_length, CLASSES, 1, 0);
    CHECK(mudpt_classifier_create(clip, method, &s.view, CLASSES, &classifier) == MUDPT_OK, "%s", mudpt_last_error());
    if (!classifier) exit(check_report());
    mudpt_classifier_init(classifier, 1, NULL, 0);
    return classifier;
}

/* A model in which one tensor has values so large that what it makes is not finite, though each of them is. */
static mudpt_clip *broken_clip(const char *broken, double mean, double deviation) {
    mudpt_clip *clip = NULL;
    random_state = 1;
    if (mudpt_clip_create(&odd_config, &clip)) return NULL;
    const mudpt_clip_config *c = &odd_config;
    int side = c->image / c->patch;
    struct {
        const char *name;
        int32_t shape[5];
    } list[128];
    static char names[128][96];
    int count = 0;
#define ADD(text, ...)                                                                                                 \
    do {                                                                                                               \
        snprintf(names[count], sizeof names[count], "%s", text);                                                       \
        list[count].name = names[count];                                                                               \
        memcpy(list[count++].shape, (int32_t[5]){__VA_ARGS__}, sizeof list->shape);                                    \
    } while (0)
    ADD("visual.conv1.weight", c->vision.width, 3, c->patch, c->patch);
    ADD("visual.class_embedding", c->vision.width);
    ADD("visual.positional_embedding", 1 + side * side, c->vision.width);
    ADD("visual.ln_pre.weight", c->vision.width);
    ADD("visual.ln_pre.bias", c->vision.width);
    ADD("visual.ln_post.weight", c->vision.width);
    ADD("visual.ln_post.bias", c->vision.width);
    ADD("visual.proj", c->vision.width, c->embed);
    ADD("token_embedding.weight", c->vocab, c->text.width);
    ADD("positional_embedding", c->context, c->text.width);
    ADD("ln_final.weight", c->text.width);
    ADD("ln_final.bias", c->text.width);
    ADD("text_projection", c->text.width, c->embed);
    ADD("logit_scale", 0);
    for (int tower = 0; tower < 2; tower++)
        for (int l = 0; l < (tower ? c->text.layers : c->vision.layers); l++) {
            int d = tower ? c->text.width : c->vision.width, mlp = tower ? c->text.mlp : c->vision.mlp;
            char name[96];
#define LEAF(leaf) (snprintf(name, sizeof name, "%stransformer.resblocks.%d.%s", tower ? "" : "visual.", l, leaf), name)
            ADD(LEAF("attn.in_proj_weight"), 3 * d, d);
            ADD(LEAF("attn.in_proj_bias"), 3 * d);
            ADD(LEAF("attn.out_proj.weight"), d, d);
            ADD(LEAF("attn.out_proj.bias"), d);
            ADD(LEAF("ln_1.weight"), d);
            ADD(LEAF("ln_1.bias"), d);
            ADD(LEAF("ln_2.weight"), d);
            ADD(LEAF("ln_2.bias"), d);
            ADD(LEAF("mlp.c_fc.weight"), mlp, d);
            ADD(LEAF("mlp.c_fc.bias"), mlp);
            ADD(LEAF("mlp.c_proj.weight"), d, mlp);
            ADD(LEAF("mlp.c_proj.bias"), d);
        }
    for (int i = 0; i < count; i++) {
        int is_broken = strcmp(list[i].name, broken) == 0;
        int code = send_random(clip, list[i].name, is_broken ? mean : 0.01, is_broken ? deviation : 0.1, list[i].shape);
        CHECK(code == MUDPT_OK, "%s: %s", list[i].name, mudpt_last_error());
    }
    CHECK(mudpt_clip_finish(clip) == MUDPT_OK, "%s", mudpt_last_error());
    return clip;
}

static void check_weights(void) {
    static const struct {
        const char *tensor;
        double mean, deviation;
        const char *expected;
    } cases[] = {
        {"visual.ln_pre.weight", 3e38, 0, "enters the image tower's first layer"},
        {"visual.transformer.resblocks.0.mlp.c_fc.weight", 3e38, 0, "comes out of layer 0 of the image tower"},
        {"visual.transformer.resblocks.1.mlp.c_proj.weight", 3e38, 0, "comes out of layer 1 of the image tower"},
        {"visual.proj", 0, 3e37, "comes out of the image tower's pooling or projection"},
        {"transformer.resblocks.2.mlp.c_fc.weight", 3e38, 0, "comes out of layer 2 of the text tower, of 0 to 2"},
        {"text_projection", 0, 3e37, "comes out of the text tower's pooling or projection"},
    };
    const mudpt_method zeroshot = {.method = "zeroshot"}, mudpt = {.method = "mudpt",
                                                                   .text_length = 2,
                                                                   .text_depth = 2,
                                                                   .visual_length = 2,
                                                                   .visual_depth = 2,
                                                                   .layer0_fusion = 1};
    const int32_t labels[] = {0, 1};
    float logits[2 * CLASSES], loss;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mudpt_clip *clip = broken_clip(cases[i].tensor, cases[i].mean, cases[i].deviation);
        if (!clip) return;
        mudpt_classifier *classifier = open_classifier(clip, &zeroshot);
        told(mudpt_classifier_logits(classifier, pixels, 2, logits, NULL), cases[i].tensor, cases[i].expected);
        told(mudpt_classifier_logits(classifier, pixels, 2, logits, NULL), "again", cases[i].expected);
        mudpt_classifier_free(classifier);
        classifier = open_classifier(clip, &mudpt);
        told(mudpt_classifier_gradients(classifier, pixels, labels, 2, &loss, NULL), cases[i].tensor,
             cases[i].expected);
        mudpt_classifier_free(classifier);
        mudpt_clip_free(clip);
    }
}

static void check_pictures_and_prompts(mudpt_clip *clip) {
    const mudpt_method method = {.method = "mudpt",
                                 .text_length = 2,
                                 .text_depth = 2,
                                 .visual_length = 2,
                                 .visual_depth = 2,
                                 .layer0_fusion = 1};
    mudpt_classifier *classifier = open_classifier(clip, &method);
    const int32_t labels[] = {0, 1, 2};
    float logits[3 * CLASSES], loss;
    mudpt_parameter p;
    static const float strange[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        float *value = &pixels[i * PICTURE + i * 571], good = *value;
        char expected[64];
        snprintf(expected, sizeof expected, "picture %d holds NaN or infinity", i);
        *value = strange[i];
        told(mudpt_classifier_logits(classifier, pixels, 3, logits, NULL), "logits", expected);
        told(mudpt_classifier_gradients(classifier, pixels, labels, 3, &loss, NULL), "gradients", expected);
        *value = good;
    }
    for (int i = 0; i < mudpt_classifier_parameters(classifier); i++) {
        char expected[128];
        mudpt_classifier_parameter(classifier, i, &p);
        snprintf(expected, sizeof expected, "tensor %s holds NaN", p.name);
        float good = p.value[p.count - 1];
        p.value[p.count - 1] = NAN;
        mudpt_classifier_changed(classifier);
        told(mudpt_classifier_logits(classifier, pixels, 1, logits, NULL), p.name, expected);
        told(mudpt_classifier_gradients(classifier, pixels, labels, 1, &loss, NULL), p.name, expected);
        p.value[p.count - 1] = good;
        mudpt_classifier_changed(classifier);
    }
    CHECK(mudpt_classifier_logits(classifier, pixels, 3, logits, NULL) == MUDPT_OK, "afterwards: %s",
          mudpt_last_error());
    mudpt_classifier_free(classifier);
}

/* Training with a rate that drives it out of the range of numbers. */
static void check_divergence(mudpt_clip *clip) {
    const mudpt_method method = {.method = "mudpt",
                                 .text_length = 2,
                                 .text_depth = 2,
                                 .visual_length = 2,
                                 .visual_depth = 2,
                                 .layer0_fusion = 1};
    const mudpt_train_config config = {.epochs = 100,
                                       .batch = 2,
                                       .rate = 1000,
                                       .warmup_rate = 1000,
                                       .momentum = 0.99f,
                                       .decay = 1,
                                       .seed = 3,
                                       .smallest_crop = 1};
    mudpt_classifier *classifier = open_classifier(clip, &method);
    mudpt_trainer *trainer = NULL;
    mudpt_image *image = NULL;
    mudpt_progress progress = {0};
    uint8_t rgb[3 * 30 * 30];
    float logits[CLASSES];
    int code = MUDPT_OK;
    CHECK(mudpt_trainer_create(classifier, &config, &trainer) == MUDPT_OK, "%s", mudpt_last_error());
    for (int i = 0; i < PICTURES; i++) {
        for (size_t k = 0; k < sizeof rgb; k++) rgb[k] = (uint8_t)(k * (size_t)(i + 3));
        CHECK(mudpt_image_from_pixels(rgb, 30, 30, 3, &image) == MUDPT_OK, "%s", mudpt_last_error());
        CHECK(mudpt_trainer_add_image(trainer, image, i % CLASSES) == MUDPT_OK, "%s", mudpt_last_error());
        mudpt_image_free(image);
    }
    while (code == MUDPT_OK) {
        code = mudpt_trainer_step(trainer, &progress);
        CHECK(code || isfinite(progress.loss), "a loss of %g was told", progress.loss);
    }
    CHECK(code == MUDPT_NOT_FINITE, "the run does not diverge: code %d", code);
    CHECK(mudpt_classifier_logits(classifier, pixels, 1, logits, NULL) == MUDPT_OK, "what is kept cannot be used: %s",
          mudpt_last_error());
    mudpt_trainer_free(trainer);
    mudpt_classifier_free(classifier);
}

static void check_threads(mudpt_clip *clip) {
    static const mudpt_method methods[] = {
        {.method = "mudpt",
         .text_length = 2,
         .text_depth = 2,
         .visual_length = 2,
         .visual_depth = 2,
         .layer0_fusion = 1},
        {.method = "cocoop", .text_length = 2, .text_depth = 1},
        {.method = "uumudpt", .text_length = 2, .text_depth = 2, .visual_length = 2, .visual_depth = 2}};
    static const int threads[] = {1, 2, 3, 8};
    const int32_t labels[] = {0, 1, 2, 1};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        float first[PICTURES * CLASSES + 1], now[PICTURES * CLASSES + 1];
        for (int k = 0; k < 4; k++) {
            CHECK(mudpt_set_threads(threads[k]) == MUDPT_OK, "%s", mudpt_last_error());
            mudpt_classifier *classifier = open_classifier(clip, &methods[i]);
            for (int step = 0; step < 3; step++) {
                CHECK(mudpt_classifier_gradients(classifier, pixels, labels, PICTURES, now + PICTURES * CLASSES, now) ==
                          MUDPT_OK,
                      "%s", mudpt_last_error());
                CHECK(mudpt_classifier_sgd(classifier, 0.05f, 0.9f, 5e-4f) == MUDPT_OK, "%s", mudpt_last_error());
            }
            CHECK(mudpt_classifier_logits(classifier, pixels, PICTURES, now, NULL) == MUDPT_OK, "%s",
                  mudpt_last_error());
            if (k == 0) memcpy(first, now, sizeof now);
            CHECK(!memcmp(first, now, sizeof now), "%s: other bits on %d threads", methods[i].method, threads[k]);
            mudpt_classifier_free(classifier);
        }
    }
    mudpt_set_threads(1);
}

/* Products of sizes that are allowed one by one. */
static void check_sizes(mudpt_clip *clip) {
    mudpt_clip *none = NULL;
    mudpt_classifier *classifier = NULL;
    mudpt_clip_config config = odd_config;
    config.vision.width = 8192;
    config.vision.heads = 8;
    config.image = config.patch = 1024;
    CHECK(mudpt_clip_create(&config, &none) == MUDPT_MODEL && !none, "a patch embedding of 103 GB");
    enum { MANY = 100000, N = 1000 };
    /* A context of its own for every class: 1000 words x 100000 classes x 40. One row of ids serves all. */
    int32_t *ids = calloc((size_t)MANY * 4, sizeof *ids), *lengths = malloc(MANY * sizeof *lengths);
    if (!ids || !lengths) exit(2);
    for (int i = 0; i < MANY; i++) lengths[i] = 4;
    const mudpt_sentences s = {ids, lengths, NULL, 4, MANY, 1};
    const mudpt_method coop = {.method = "coop", .text_length = N, .text_depth = 1, .class_specific = 1};
    CHECK(mudpt_classifier_create(clip, &coop, &s, MANY, &classifier) == MUDPT_ARGUMENT && !classifier,
          "4e9 values of context: %s", mudpt_last_error());
    CHECK(strstr(mudpt_last_error(), "contexts of 1000 words"), "the text is \"%s\"", mudpt_last_error());
    free(ids);
    free(lengths);
}

/* Losses far below the logits' own rounding are told as they are. */
static void check_small_losses(void) {
    static float logits[1000];
    const int counts[] = {2, 5, 100, 1000};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        for (int below = 1; below <= 60; below++) {
            for (int right = 0; right < 2; right++) {
                int n = counts[i];
                for (int c = 0; c < n; c++) logits[c] = c == 1 ? 25 : (float)(25 - below);
                double others = (n - 1) * exp(-below), want = log1p(others) + (right ? 0 : below);
                float loss = cross_entropy(logits, n, right, 1);
                CHECK_CLOSE(loss / want, 1, 2e-6 + (want > 1e-2 ? 6e-6 / want : 0), "%d classes, %d below", n, below);
            }
        }
    }
    float one = 3;
    CHECK(cross_entropy(&one, 1, 0, 1) == 0, "one class has a loss");
}

/* Shares of a gradient of which products would be subnormal, and take a hundred times as long, are nothing. */
static void check_small_shares(void) {
    float logits[] = {0, -40, -60, -95, -2000, NAN};
    float loss = cross_entropy(logits, 5, 1, 2);
    CHECK_CLOSE(loss, 40, 1e-5, "the loss");
    CHECK_CLOSE(logits[0], 0.5, 1e-6, "what is likely");
    CHECK_CLOSE(logits[1], -0.5, 1e-6, "the right class");
    for (int c = 2; c < 5; c++) CHECK(logits[c] == 0, "a share of %g", (double)logits[c]);
    float few[] = {0, -40, -44};
    cross_entropy(few, 3, 0, 1);
    CHECK_CLOSE(few[1] / exp(-40), 1, 1e-5, "a small share");
    CHECK_CLOSE(few[2] / exp(-44), 1, 1e-5, "a smaller one");
    softmax_shares(logits + 5, 1, 1);
    CHECK(isnan(logits[5]), "what is no number has become %g", (double)logits[5]);
}

int main(void) {
    check_small_losses();
    check_small_shares();
    mudpt_clip *clip = tiny_clip(&odd_config, 1);
    CHECK(clip != NULL, "%s", mudpt_last_error());
    if (!clip) return check_report();
    pixels = random_values(PICTURES * PICTURE, 0, 1);
    check_weights();
    check_pictures_and_prompts(clip);
    check_divergence(clip);
    check_threads(clip);
    check_sizes(clip);
    free(pixels);
    mudpt_clip_free(clip);
    return check_report();
}
