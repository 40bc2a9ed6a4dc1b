/* What mudpt.h promises besides right numbers: every bad argument is refused with the right code and one line of text,
 * and leaves outputs, handles and parameters as they were; what is called in the wrong order is refused; NaN stops
 * training without harm; a trainer repeats itself for the same seed and on any number of threads.
 */
#include "check.h"
#include "refused.h"
#include "tiny_clip.h"

/* ------------------------------------------------------------------------------------------------ refusals */

/* The same for a function that hands out a pointer: it must stay as it was. */
#define REFUSED_HANDLE(type, call, code)                                                                               \
    do {                                                                                                               \
        type *const untouched = (type *)(void *)&random_state, *out = untouched;                                       \
        REFUSED(call, code);                                                                                           \
        CHECK(out == untouched, "%s: the handle was changed", #call);                                                  \
    } while (0)

#define SIZES(name, n, depth, visual_n, visual_j)                                                                      \
    { .method = name, .text_length = n, .text_depth = depth, .visual_length = visual_n, .visual_depth = visual_j }

static void check_model_refusals(void) {
    static const wrong_field wrong[] = {
        FIELD(image, 0),
        FIELD(image, -8),
        FIELD(image, 7),
        FIELD(image, 1 << 30),
        FIELD(patch, 0),
        FIELD(patch, -1),
        FIELD(patch, 25),
        FIELD(vision.width, 0),
        FIELD(vision.width, 44),
        FIELD(vision.width, 8200),
        FIELD(vision.width, -48),
        FIELD(vision.layers, 0),
        FIELD(vision.layers, -1),
        FIELD(vision.layers, 129),
        FIELD(vision.heads, 0),
        FIELD(vision.heads, 5),
        FIELD(vision.heads, -3),
        FIELD(vision.heads, 24),
        FIELD(vision.mlp, 0),
        FIELD(vision.mlp, -8),
        FIELD(text.width, 0),
        FIELD(text.width, 36),
        FIELD(text.width, 1 << 30),
        FIELD(text.layers, 0),
        FIELD(text.layers, 129),
        FIELD(text.heads, 0),
        FIELD(text.heads, 3),
        FIELD(text.mlp, 0),
        FIELD(embed, 0),
        FIELD(embed, -20),
        FIELD(context, 0),
        FIELD(context, -1),
        FIELD(vocab, 0),
        FIELD(vocab, -1),
        FIELD(storage, 3),
        FIELD(storage, 5),
        FIELD(storage, -2),
        FIELD(precision, -1),
        FIELD(precision, 3),
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int is_choice = wrong[i].offset == offsetof(mudpt_clip_config, storage) ||
                        wrong[i].offset == offsetof(mudpt_clip_config, precision);
        check_wrong(&odd_config, &wrong[i], is_choice ? MUDPT_ARGUMENT : MUDPT_MODEL);
    }
    mudpt_clip_config config = odd_config;
    config.mean[1] = NAN;
    REFUSED_HANDLE(mudpt_clip, mudpt_clip_create(&config, &out), MUDPT_MODEL);
    config = odd_config;
    config.std[2] = 0;
    REFUSED_HANDLE(mudpt_clip, mudpt_clip_create(&config, &out), MUDPT_MODEL);
    REFUSED(mudpt_set_threads(0), MUDPT_ARGUMENT);
    REFUSED(mudpt_set_threads(-1), MUDPT_ARGUMENT);
    REFUSED(mudpt_set_threads(MUDPT_MAX_THREADS + 1), MUDPT_ARGUMENT);
    mudpt_clip_free(NULL);
    mudpt_classifier_free(NULL);
    mudpt_trainer_free(NULL);
    mudpt_image_free(NULL);
    mudpt_free(NULL);
}

/* Tensors that are foreign, misshapen, cut short, not finite or missing. */
static void check_tensor_refusals(void) {
    mudpt_clip *clip = NULL;
    mudpt_classifier *classifier = NULL;
    const mudpt_method method = {.method = "zeroshot"};
    tiny_sentences s;
    float values[48 * 20] = {0};
    random_state = 5;
    make_sentences(&s, &odd_config, 0, 3, 1, 0);
    CHECK(mudpt_clip_create(&odd_config, &clip) == MUDPT_OK, "%s", mudpt_last_error());
    if (!clip) return;
    REFUSED(mudpt_clip_tensor_bytes(clip, values, 4), MUDPT_STATE);
    REFUSED(mudpt_clip_tensor_end(clip), MUDPT_STATE);
    REFUSED(mudpt_clip_finish(clip), MUDPT_MODEL);
    REFUSED(mudpt_classifier_create(clip, &method, &s.view, 3, &classifier), MUDPT_STATE);
    CHECK(mudpt_clip_tensor_begin(clip, "vision_model.embeddings.position_ids", MUDPT_F32, SHAPE(1, 10), 2) ==
              MUDPT_SKIP,
          "an index table is no weight");
    CHECK(mudpt_clip_tensor_begin(clip, "somebody.else.weight", MUDPT_F32, SHAPE(3), 1) == MUDPT_SKIP,
          "foreign tensor");
    REFUSED(mudpt_clip_tensor_begin(clip, "visual.proj", MUDPT_F32, SHAPE(20, 48), 2), MUDPT_MODEL);
    REFUSED(mudpt_clip_tensor_begin(clip, "visual.proj", MUDPT_F32, SHAPE(48), 1), MUDPT_MODEL);
    REFUSED(mudpt_clip_tensor_begin(clip, "visual.proj", MUDPT_F32, SHAPE(48, 20, 1), 3), MUDPT_MODEL);
    REFUSED(mudpt_clip_tensor_begin(clip, "visual.proj", 7, SHAPE(48, 20), 2), MUDPT_MODEL);
    REFUSED(mudpt_clip_tensor_begin(clip, "visual.proj", MUDPT_F32, SHAPE(-48, 20), 2), MUDPT_MODEL);
    REFUSED(mudpt_clip_tensor_begin(clip, "visual.class_embedding", MUDPT_I8, SHAPE(48), 1), MUDPT_MODEL);

    CHECK(mudpt_clip_tensor_begin(clip, "visual.proj", MUDPT_F32, SHAPE(48, 20), 2) == MUDPT_OK, "%s",
          mudpt_last_error());
    CHECK(mudpt_clip_tensor_bytes(clip, values, sizeof values - 4) == MUDPT_OK, "%s", mudpt_last_error());
    REFUSED(mudpt_clip_tensor_bytes(clip, values, 8), MUDPT_MODEL);
    mudpt_clip_free(clip);

    clip = NULL;
    CHECK(mudpt_clip_create(&odd_config, &clip) == MUDPT_OK, "%s", mudpt_last_error());
    CHECK(mudpt_clip_tensor_begin(clip, "visual.proj", MUDPT_F32, SHAPE(48, 20), 2) == MUDPT_OK, "%s",
          mudpt_last_error());
    CHECK(mudpt_clip_tensor_bytes(clip, values, sizeof values - 1) == MUDPT_OK, "%s", mudpt_last_error());
    REFUSED(mudpt_clip_tensor_end(clip), MUDPT_MODEL);
    mudpt_clip_free(clip);

    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) { /* at the front, in the middle and at the end of a matrix */
        clip = NULL;
        CHECK(mudpt_clip_create(&odd_config, &clip) == MUDPT_OK, "%s", mudpt_last_error());
        values[i * (48 * 20 - 1) / 2] = bad[i];
        int code = mudpt_clip_tensor_begin(clip, "visual.proj", MUDPT_F32, SHAPE(48, 20), 2);
        if (!code) code = mudpt_clip_tensor_bytes(clip, values, sizeof values);
        if (!code) code = mudpt_clip_tensor_end(clip);
        CHECK(code == MUDPT_MODEL, "%g in a matrix: code %d", bad[i], code);
        values[i * (48 * 20 - 1) / 2] = 0;
        mudpt_clip_free(clip);
    }
}

static void check_method_refusals(mudpt_clip *clip) {
    /* everything here has text_length 2 placeholders in its sentences */
    static const mudpt_method wrong[] = {
        {.method = "no such method"},
        {.method = ""},
        {.method = "MUDPT", .text_length = 2, .text_depth = 1, .visual_length = 2, .visual_depth = 1},
        {.method = "zeroshot", .text_length = 2},
        {.method = "zeroshot", .visual_depth = 1},
        {.method = "zeroshot", .layer0_fusion = 1},
        {.method = "ivlp", .text_length = 2, .text_depth = 1},
        {.method = "ivlp", .text_length = 2, .text_depth = 1, .visual_length = 2},
        {.method = "ivlp", .text_length = -2, .text_depth = 1, .visual_length = 2, .visual_depth = 1},
        {.method = "ivlp", .text_length = 2, .text_depth = -1, .visual_length = 2, .visual_depth = 1},
        {.method = "ivlp", .text_length = 2, .text_depth = 129, .visual_length = 2, .visual_depth = 1},
        {.method = "ivlp", .text_length = 2, .text_depth = 1, .visual_length = 1025, .visual_depth = 1},
        {.method = "ivlp", .text_length = 2, .text_depth = 1, .visual_length = 2147483647, .visual_depth = 1},
        {.method = "ivlp",
         .text_length = 2,
         .text_depth = 1,
         .visual_length = 2,
         .visual_depth = 1,
         .layer0_fusion = 1},
        {.method = "ivlp",
         .text_length = 2,
         .text_depth = 1,
         .visual_length = 2,
         .visual_depth = 1,
         .class_position = 1},
        {.method = "ivlp",
         .text_length = 2,
         .text_depth = 1,
         .visual_length = 2,
         .visual_depth = 1,
         .class_specific = 1},
        {.method = "mudpt", .text_length = 2, .text_depth = 1, .visual_length = 3, .visual_depth = 1},
        {.method = "mudpt", .text_length = 2, .text_depth = 1, .visual_length = 2, .visual_depth = 2},
        {.method = "mudpt",
         .text_length = 2,
         .text_depth = 1,
         .visual_length = 2,
         .visual_depth = 1,
         .layer0_fusion = 2},
        {.method = "mudpt",
         .text_length = 2,
         .text_depth = 1,
         .visual_length = 2,
         .visual_depth = 1,
         .layer0_fusion = -1},
        {.method = "mudpt", .text_length = 0, .text_depth = 0, .visual_length = 0, .visual_depth = 0},
    };
    tiny_sentences s;
    make_sentences(&s, &odd_config, 2, 3, 1, 0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        mudpt_classifier *out = NULL;
        int code = mudpt_classifier_create(clip, &wrong[i], &s.view, 3, &out);
        CHECK(code == MUDPT_ARGUMENT && !out, "method %d (%s): got code %d, %s", (int)i, wrong[i].method, code,
              mudpt_last_error());
        mudpt_classifier_free(out);
    }
    CHECK(mudpt_method_name(-1) == NULL && mudpt_method_name(1000) == NULL, "names of methods beyond the list");
}

static void check_sentence_refusals(mudpt_clip *clip) {
    const mudpt_method zeroshot = {.method = "zeroshot"}, ivlp = SIZES("ivlp", 2, 1, 2, 1);
    tiny_sentences good, s;
    make_sentences(&good, &odd_config, 2, 3, 1, 0);
#define WRONG(change)                                                                                                  \
    do {                                                                                                               \
        s = good;                                                                                                      \
        s.view.ids = s.ids;                                                                                            \
        s.view.lengths = s.lengths;                                                                                    \
        change;                                                                                                        \
        REFUSED_HANDLE(mudpt_classifier, mudpt_classifier_create(clip, &ivlp, &s.view, s.view.classes, &out),          \
                       MUDPT_ARGUMENT);                                                                                \
    } while (0)
    WRONG(s.view.classes = 0);
    WRONG(s.view.classes = -1);
    WRONG(s.view.classes = MUDPT_MAX_CLASSES + 1);
    WRONG(s.view.templates = 0);
    WRONG(s.view.templates = -1);
    WRONG(s.view.stride = 0);
    WRONG(s.view.stride = -3);
    WRONG(s.view.stride = 4); /* shorter than the sentences */
    WRONG(s.lengths[1] = 0);
    WRONG(s.lengths[1] = -5);
    WRONG(s.lengths[1] = 3); /* start and two prompts, but no end */
    WRONG(s.lengths[1] = 2147483647);
    WRONG(s.lengths[0] = odd_config.context + 1; s.view.stride = 1000); /* the first: no other is read */
    WRONG(s.ids[MOST_ROWS + 4] = odd_config.vocab);
    WRONG(s.ids[MOST_ROWS + 4] = -1);
    WRONG(s.ids[0] = -1);
#undef WRONG
    REFUSED_HANDLE(mudpt_classifier, mudpt_classifier_create(clip, &ivlp, NULL, 3, &out), MUDPT_ARGUMENT);
    REFUSED_HANDLE(mudpt_classifier, mudpt_classifier_create(clip, &zeroshot, NULL, 0, &out), MUDPT_ARGUMENT);
    REFUSED_HANDLE(mudpt_classifier, mudpt_classifier_create(clip, &zeroshot, NULL, -4, &out), MUDPT_ARGUMENT);
    mudpt_method deep = SIZES("coop", 2, 2, 0, 0), middle = SIZES("coop", 2, 1, 0, 0);
    mudpt_method nowhere = middle, before = middle;
    middle.class_position = 1, nowhere.class_position = 3, before.class_position = -1;
    s = good;
    s.view.ids = s.ids;
    s.view.lengths = s.lengths;
    REFUSED_HANDLE(mudpt_classifier, mudpt_classifier_create(clip, &middle, &s.view, 3, &out), MUDPT_ARGUMENT);
    REFUSED_HANDLE(mudpt_classifier, mudpt_classifier_create(clip, &nowhere, &s.view, 3, &out), MUDPT_ARGUMENT);
    REFUSED_HANDLE(mudpt_classifier, mudpt_classifier_create(clip, &before, &s.view, 3, &out), MUDPT_ARGUMENT);
    REFUSED_HANDLE(mudpt_classifier, mudpt_classifier_create(clip, &deep, &s.view, 3, &out), MUDPT_ARGUMENT);
    s.view.name_lengths = s.name_lengths;
    s.name_lengths[1] = 100; /* the name would reach beyond the sentence */
    REFUSED_HANDLE(mudpt_classifier, mudpt_classifier_create(clip, &middle, &s.view, 3, &out), MUDPT_ARGUMENT);
    s.name_lengths[1] = -1;
    REFUSED_HANDLE(mudpt_classifier, mudpt_classifier_create(clip, &middle, &s.view, 3, &out), MUDPT_ARGUMENT);
}

/* ------------------------------------------------------------------------------------------------ classifiers in
 * use */

static float *snapshot(mudpt_classifier *classifier, size_t *count) {
    mudpt_parameter p;
    float *out = NULL;
    *count = 0;
    for (int i = 0; i < mudpt_classifier_parameters(classifier); i++) {
        mudpt_classifier_parameter(classifier, i, &p);
        out = realloc(out, (*count + 2 * (size_t)p.count) * sizeof *out);
        if (!out) abort();
        memcpy(out + *count, p.value, (size_t)p.count * sizeof *out);
        *count += (size_t)p.count;
        if (p.velocity) {
            memcpy(out + *count, p.velocity, (size_t)p.count * sizeof *out);
            *count += (size_t)p.count;
        }
    }
    return out;
}

static void check_use(mudpt_clip *clip) {
    enum { COUNT = 3, CLASSES = 4 };
    const mudpt_method method = SIZES("mudpt", 2, 2, 2, 2);
    const int32_t phrase[] = {4, 9}, far[] = {4, odd_config.vocab};
    const size_t picture = 3 * 24 * 24;
    float loss, logits[COUNT * CLASSES], features[CLASSES * 20];
    int32_t labels[] = {0, 3, 2};
    mudpt_classifier *classifier = NULL;
    mudpt_parameter p;
    tiny_sentences s;
    make_sentences(&s, &odd_config, 2, CLASSES, 1, 0);
    float *pixels = random_values(COUNT * picture, 0, 1);
    CHECK(mudpt_classifier_create(clip, &method, &s.view, CLASSES, &classifier) == MUDPT_OK, "%s", mudpt_last_error());
    if (!classifier) return;
    CHECK(mudpt_classifier_parameter(classifier, 0, &p) == MUDPT_OK && !p.gradient && !p.velocity,
          "gradients before training");
    REFUSED(mudpt_classifier_sgd(classifier, 0.1f, 0.9f, 5e-4f), MUDPT_STATE);
    REFUSED(mudpt_classifier_parameter(classifier, -1, &p), MUDPT_ARGUMENT);
    REFUSED(mudpt_classifier_parameter(classifier, mudpt_classifier_parameters(classifier), &p), MUDPT_ARGUMENT);
    REFUSED(mudpt_classifier_init(classifier, 1, phrase, 1), MUDPT_ARGUMENT);
    REFUSED(mudpt_classifier_init(classifier, 1, phrase, -2), MUDPT_ARGUMENT);
    REFUSED(mudpt_classifier_init(classifier, 1, far, 2), MUDPT_ARGUMENT);
    CHECK(mudpt_classifier_init(classifier, 1, phrase, 2) == MUDPT_OK, "%s", mudpt_last_error());
    CHECK(mudpt_classifier_gradients(classifier, pixels, labels, COUNT, &loss, logits) == MUDPT_OK, "%s",
          mudpt_last_error());
    CHECK(mudpt_classifier_sgd(classifier, 0.1f, 0.9f, 5e-4f) == MUDPT_OK, "%s", mudpt_last_error());

    REFUSED(mudpt_classifier_logits(classifier, pixels, -1, logits, NULL), MUDPT_ARGUMENT);
    REFUSED(mudpt_classifier_gradients(classifier, pixels, labels, 0, &loss, NULL), MUDPT_ARGUMENT);
    REFUSED(mudpt_classifier_gradients(classifier, pixels, labels, -7, &loss, NULL), MUDPT_ARGUMENT);
    labels[1] = CLASSES;
    REFUSED(mudpt_classifier_gradients(classifier, pixels, labels, COUNT, &loss, NULL), MUDPT_ARGUMENT);
    labels[1] = -1;
    REFUSED(mudpt_classifier_gradients(classifier, pixels, labels, COUNT, &loss, NULL), MUDPT_ARGUMENT);
    labels[1] = 1;
    REFUSED(mudpt_classifier_sgd(classifier, NAN, 0.9f, 5e-4f), MUDPT_ARGUMENT);
    REFUSED(mudpt_classifier_sgd(classifier, INFINITY, 0.9f, 5e-4f), MUDPT_ARGUMENT);

    /* NaN in one picture of a batch: the parameters stay, and the next good batch is as if nothing had been */
    size_t before_count, after_count;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    CHECK(mudpt_classifier_gradients(classifier, pixels, labels, COUNT, &loss, logits) == MUDPT_OK, "%s",
          mudpt_last_error());
    float *before = snapshot(classifier, &before_count), kept = pixels[picture + 77];
    for (int i = 0; i < 3; i++) {
        float same = -1;
        pixels[picture + 77] = bad[i];
        REFUSED(mudpt_classifier_gradients(classifier, pixels, labels, COUNT, &same, NULL), MUDPT_NOT_FINITE);
        float *after = snapshot(classifier, &after_count);
        CHECK(after_count == before_count && !memcmp(after, before, before_count * sizeof *after),
              "parameters changed by a batch with %g", bad[i]);
        free(after);
        pixels[picture + 77] = kept;
        CHECK(mudpt_classifier_gradients(classifier, pixels, labels, COUNT, &same, NULL) == MUDPT_OK && same == loss,
              "a batch after one with %g: loss %g, expected %g", bad[i], same, loss);
    }
    free(before);

    /* a step that would overflow leaves the parameters */
    mudpt_classifier_parameter(classifier, 0, &p);
    p.velocity[3] = 1e10f;
    before = snapshot(classifier, &before_count);
    REFUSED(mudpt_classifier_sgd(classifier, 3e38f, 0.9f, 3e38f), MUDPT_NOT_FINITE);
    float *after = snapshot(classifier, &after_count);
    CHECK(after_count == before_count && !memcmp(after, before, before_count * sizeof *after), "an overflow was kept");
    free(before);
    free(after);

    /* starting values: the phrase's words, and the same for the same seed */
    CHECK(mudpt_classifier_init(classifier, 9, phrase, 2) == MUDPT_OK, "%s", mudpt_last_error());
    before = snapshot(classifier, &before_count);
    CHECK(mudpt_classifier_init(classifier, 10, phrase, 2) == MUDPT_OK, "%s", mudpt_last_error());
    after = snapshot(classifier, &after_count);
    CHECK(memcmp(after, before, before_count * sizeof *after), "another seed starts alike");
    CHECK(!memcmp(after, before, 2 * 40 * sizeof *after), "words of the phrase depend on the seed");
    free(after);
    CHECK(mudpt_classifier_init(classifier, 9, phrase, 2) == MUDPT_OK, "%s", mudpt_last_error());
    after = snapshot(classifier, &after_count);
    CHECK(!memcmp(after, before, before_count * sizeof *after), "the same seed starts otherwise");
    free(before);
    free(after);
    CHECK(mudpt_classifier_init(classifier, 9, NULL, 0) == MUDPT_OK, "random start: %s", mudpt_last_error());
    CHECK(mudpt_classifier_text_features(classifier, features) == MUDPT_OK, "%s", mudpt_last_error());
    CHECK(mudpt_classifier_bytes(classifier) > 1000, "bytes");
    mudpt_classifier_free(classifier);
    free(pixels);
}

/* Zero-shot: an ensemble is the mean of its templates; text features can be taken out and put into another
 * classifier. */
static void check_text_features(mudpt_clip *clip) {
    enum { CLASSES = 5, E = 20 };
    const mudpt_method method = {.method = "zeroshot"};
    tiny_sentences s;
    mudpt_classifier *both = NULL, *one = NULL, *given = NULL;
    float features[CLASSES * E], mean[CLASSES * E] = {0}, logits[2 * CLASSES], again[2 * CLASSES];
    float *pixels = random_values(2 * 3 * 24 * 24, 0, 1);
    make_sentences(&s, &odd_config, 0, CLASSES, 2, 0);
    for (int t = 0; t < 2; t++) {
        mudpt_sentences single = s.view;
        single.templates = 1;
        single.ids += t * CLASSES * MOST_ROWS;
        single.lengths += t * CLASSES;
        CHECK(mudpt_classifier_create(clip, &method, &single, CLASSES, &one) == MUDPT_OK, "%s", mudpt_last_error());
        CHECK(mudpt_classifier_text_features(one, features) == MUDPT_OK, "%s", mudpt_last_error());
        for (int c = 0; c < CLASSES; c++) {
            double norm = 0;
            for (int k = 0; k < E; k++) norm += (double)features[c * E + k] * features[c * E + k];
            for (int k = 0; k < E; k++) mean[c * E + k] += (float)(features[c * E + k] / sqrt(norm) / 2);
        }
        mudpt_classifier_free(one);
    }
    CHECK(mudpt_classifier_create(clip, &method, &s.view, CLASSES, &both) == MUDPT_OK, "%s", mudpt_last_error());
    CHECK(mudpt_classifier_text_features(both, features) == MUDPT_OK, "%s", mudpt_last_error());
    for (int i = 0; i < CLASSES * E; i++) CHECK_CLOSE(features[i], mean[i], 1e-6, "ensemble, value %d", i);
    CHECK(mudpt_classifier_logits(both, pixels, 2, logits, NULL) == MUDPT_OK, "%s", mudpt_last_error());

    CHECK(mudpt_classifier_create(clip, &method, NULL, CLASSES, &given) == MUDPT_OK, "%s", mudpt_last_error());
    REFUSED(mudpt_classifier_logits(given, pixels, 2, again, NULL), MUDPT_STATE);
    REFUSED(mudpt_classifier_text_features(given, mean), MUDPT_STATE);
    CHECK(mudpt_classifier_set_text_features(given, features) == MUDPT_OK, "%s", mudpt_last_error());
    CHECK(mudpt_classifier_logits(given, pixels, 2, again, NULL) == MUDPT_OK, "%s", mudpt_last_error());
    CHECK(!memcmp(logits, again, sizeof logits), "logits of the same text features differ");
    features[3] = NAN;
    CHECK(mudpt_classifier_set_text_features(given, features) < 0, "text features with NaN are taken");
    CHECK(mudpt_classifier_logits(given, pixels, 2, again, NULL) == MUDPT_OK && !memcmp(logits, again, sizeof logits),
          "refused text features left a trace");
    mudpt_classifier_free(both);
    mudpt_classifier_free(given);
    free(pixels);
}

/* ------------------------------------------------------------------------------------------------ training */

enum { PICTURES = 11 };

static const mudpt_train_config train_config = {
    .epochs = 3, .batch = 4, .warmup_rate = 1e-5f, .augment = 1, TINY_TRAINING};

static void add_pictures(mudpt_trainer *trainer, int count, int classes) {
    for (int i = 0; i < count; i++) {
        mudpt_image *image = tiny_picture(i);
        CHECK(mudpt_trainer_add_image(trainer, image, i % classes) == MUDPT_OK, "%s", mudpt_last_error());
        mudpt_image_free(image);
    }
}

/* A whole run; all its numbers in one array of `count` values. */
static float *run_training(mudpt_clip *clip, const mudpt_train_config *config, int pictures, size_t *count,
                           int *steps) {
    const mudpt_method method = SIZES("mudpt", 2, 2, 2, 2);
    mudpt_classifier *classifier = NULL;
    mudpt_trainer *trainer = NULL;
    mudpt_progress progress;
    tiny_sentences s;
    int code, batches = pictures < config->batch ? 1 : pictures / config->batch;
    random_state = 77;
    make_sentences(&s, &odd_config, 2, 3, 1, 0);
    CHECK(mudpt_classifier_create(clip, &method, &s.view, 3, &classifier) == MUDPT_OK, "%s", mudpt_last_error());
    CHECK(mudpt_classifier_init(classifier, 1, NULL, 0) == MUDPT_OK, "%s", mudpt_last_error());
    CHECK(mudpt_trainer_create(classifier, config, &trainer) == MUDPT_OK, "%s", mudpt_last_error());
    if (!trainer) exit(1);
    add_pictures(trainer, pictures, 3);
    float losses[64] = {0};
    *steps = 0;
    while ((code = mudpt_trainer_step(trainer, &progress)) == MUDPT_OK && *steps < 64) {
        losses[(*steps)++] = progress.loss;
        int epoch = (*steps - 1) / batches;
        double rate = mudpt_learning_rate(config->rate, config->warmup_rate, config->epochs, epoch);
        CHECK(progress.step == *steps && progress.steps == config->epochs * batches && progress.epoch == epoch &&
                  progress.epochs == config->epochs,
              "step %d: reported as %d of %d, epoch %d of %d", *steps, progress.step, progress.steps, progress.epoch,
              progress.epochs);
        CHECK_CLOSE(progress.rate, rate, 1e-7, "rate of epoch %d", epoch);
    }
    CHECK(code == MUDPT_DONE, "code %d, %s", code, mudpt_last_error());
    CHECK(mudpt_trainer_step(trainer, &progress) == MUDPT_DONE, "a step after the last one");
    CHECK(*steps == config->epochs * batches, "%d steps, expected %d", *steps, config->epochs * batches);
    float *values = snapshot(classifier, count);
    values = realloc(values, (*count + 64) * sizeof *values);
    if (!values) abort();
    memcpy(values + *count, losses, sizeof losses);
    *count += 64;
    mudpt_trainer_free(trainer);
    mudpt_classifier_free(classifier);
    return values;
}

static void check_training(mudpt_clip *clip) {
    size_t count, other_count;
    int steps;
    float *first = run_training(clip, &train_config, PICTURES, &count, &steps);
    for (int threads = 1; threads <= 3; threads++) {
        mudpt_set_threads(threads);
        float *again = run_training(clip, &train_config, PICTURES, &other_count, &steps);
        CHECK(count == other_count && !memcmp(first, again, count * sizeof *first), "%d threads train otherwise",
              threads);
        free(again);
    }
    mudpt_set_threads(1);
    for (int change = 0; change < 3; change++) { /* each of these must matter */
        mudpt_train_config config = train_config;
        if (change == 0) config.seed = 4;
        if (change == 1) config.augment = 0;
        if (change == 2) config.smallest_crop = 0.9f;
        float *other = run_training(clip, &config, PICTURES, &other_count, &steps);
        CHECK(memcmp(first, other, count * sizeof *first), "change %d has no effect", change);
        free(other);
    }
    free(first);
    /* fewer pictures than a batch: one short batch; then a loss that falls on pictures that never change */
    mudpt_train_config config = train_config;
    config.augment = 0;
    config.epochs = 30;
    first = run_training(clip, &config, 3, &count, &steps);
    const float *losses = first + count - 64;
    CHECK(losses[29] < 0.7 * losses[1], "30 epochs take the loss from %g to %g only", losses[1], losses[29]);
    free(first);
}

static void check_trainer_refusals(mudpt_clip *clip) {
    const mudpt_method method = {.method = "vpt", .visual_length = 2, .visual_depth = 1};
    static const char text[] = "this is no picture";
    mudpt_classifier *classifier = NULL;
    mudpt_trainer *trainer = NULL;
    mudpt_progress progress;
    tiny_sentences s;
    make_sentences(&s, &odd_config, 0, 3, 1, 0);
    CHECK(mudpt_classifier_create(clip, &method, &s.view, 3, &classifier) == MUDPT_OK, "%s", mudpt_last_error());
#define WRONG(field, to)                                                                                               \
    do {                                                                                                               \
        mudpt_train_config config = train_config;                                                                      \
        config.field = to;                                                                                             \
        REFUSED_HANDLE(mudpt_trainer, mudpt_trainer_create(classifier, &config, &out), MUDPT_ARGUMENT);                \
    } while (0)
    WRONG(epochs, 0);
    WRONG(epochs, -1);
    WRONG(batch, 0);
    WRONG(batch, -4);
    WRONG(rate, NAN);
    WRONG(rate, -1);
    WRONG(rate, INFINITY);
    WRONG(warmup_rate, NAN);
    WRONG(momentum, NAN);
    WRONG(momentum, 1);
    WRONG(momentum, -0.1f);
    WRONG(decay, NAN);
    WRONG(decay, -1);
    WRONG(smallest_crop, 0);
    WRONG(smallest_crop, -1);
    WRONG(smallest_crop, 1.5f);
    WRONG(smallest_crop, NAN);
#undef WRONG
    CHECK(mudpt_trainer_create(classifier, &train_config, &trainer) == MUDPT_OK, "%s", mudpt_last_error());
    if (trainer) {
        mudpt_image *image = NULL;
        const uint8_t dot[3] = {1, 2, 3};
        CHECK(mudpt_image_from_pixels(dot, 1, 1, 3, &image) == MUDPT_OK, "%s", mudpt_last_error());
        REFUSED(mudpt_trainer_step(trainer, &progress), MUDPT_STATE); /* no pictures yet */
        REFUSED(mudpt_trainer_add(trainer, text, sizeof text, 0), MUDPT_IMAGE);
        REFUSED(mudpt_trainer_add(trainer, text, 0, 0), MUDPT_IMAGE);
        REFUSED(mudpt_trainer_add_image(trainer, image, 3), MUDPT_ARGUMENT);
        REFUSED(mudpt_trainer_add_image(trainer, image, -1), MUDPT_ARGUMENT);
        CHECK(mudpt_trainer_add_image(trainer, image, 2) == MUDPT_OK, "%s", mudpt_last_error());
        CHECK(mudpt_trainer_step(trainer, &progress) == MUDPT_OK, "one pixel: %s", mudpt_last_error());
        mudpt_image_free(image);
        mudpt_trainer_free(trainer);
    }
    mudpt_classifier_free(classifier);
}

/* Precision int8 classifies; whatever would train is refused, and nothing of a classifier is lost. */
static void check_forward_alone(void) {
    mudpt_clip_config config = odd_config;
    config.precision = MUDPT_INT8;
    mudpt_clip *clip = tiny_clip(&config, 1);
    CHECK(clip != NULL, "%s", mudpt_last_error());
    if (!clip) return;
    const mudpt_method method = {.method = "vpt", .visual_length = 2, .visual_depth = 2};
    const int32_t labels[1] = {1};
    float *pixels = random_values(3 * (size_t)(config.image * config.image), 0, 1), logits[2][3], loss;
    tiny_sentences s;
    random_state = 6;
    make_sentences(&s, &config, 0, 3, 1, 0);
    mudpt_classifier *c = NULL;
    mudpt_plan plan;
    CHECK(!mudpt_classifier_create(clip, &method, &s.view, 3, &c), "%s", mudpt_last_error());
    CHECK(!mudpt_classifier_init(c, 1, NULL, 0) && !mudpt_classifier_logits(c, pixels, 1, logits[0], NULL), "%s",
          mudpt_last_error());
    const mudpt_train_config run = {.epochs = 1, .batch = 1, .rate = 1e-3, .momentum = 0.9, .smallest_crop = 1};
    REFUSED(mudpt_classifier_gradients(c, pixels, labels, 1, &loss, logits[1]), MUDPT_ARGUMENT);
    CHECK(strstr(mudpt_last_error(), "precision int8") != NULL, "%s", mudpt_last_error());
    REFUSED(mudpt_classifier_plan(c, 1, 0, &plan), MUDPT_ARGUMENT);
    REFUSED_HANDLE(mudpt_trainer, mudpt_trainer_create(c, &run, &out), MUDPT_ARGUMENT);
    CHECK(!mudpt_classifier_logits(c, pixels, 1, logits[1], NULL) && !memcmp(logits[0], logits[1], sizeof *logits),
          "what was refused changes answers");
    pixels[7] = NAN;
    REFUSED(mudpt_classifier_logits(c, pixels, 1, logits[1], NULL), MUDPT_NOT_FINITE);
    mudpt_classifier_free(c);
    mudpt_clip_free(clip);
    free(pixels);
}

int main(void) {
    CHECK(*mudpt_version() && !*mudpt_last_error(), "version \"%s\", error \"%s\"", mudpt_version(),
          mudpt_last_error());
    check_model_refusals();
    check_tensor_refusals();
    check_forward_alone();
    mudpt_clip *clip = tiny_clip(&odd_config, 1);
    CHECK(clip != NULL, "%s", mudpt_last_error());
    if (clip) {
        CHECK(strlen(mudpt_clip_fingerprint(clip)) == 16, "fingerprint \"%s\"", mudpt_clip_fingerprint(clip));
        CHECK_CLOSE(mudpt_clip_logit_scale(clip), exp(2), 1e-5, "logit scale");
        CHECK(mudpt_clip_weight_bytes(clip) > 100000, "weights in %zu bytes", mudpt_clip_weight_bytes(clip));
        check_method_refusals(clip);
        check_sentence_refusals(clip);
        check_use(clip);
        check_text_features(clip);
        check_training(clip);
        check_trainer_refusals(clip);
        mudpt_clip_free(clip);
    }
    return check_report();
}
