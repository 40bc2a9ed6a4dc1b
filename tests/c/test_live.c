/* The interface used wrongly: handles that were freed or never were, two trainers of one classifier, a classifier or a
 * model freed while others use it, a classifier asked in the middle of a step. Each is refused by its code, and nothing
 * is read that is gone: sanitizers watch. */
#include "check.h"
#include "tiny_clip.h"

enum { CLASSES = 3 };

#define REFUSED(call)                                                                                                  \
    do {                                                                                                               \
        int code_ = (call);                                                                                            \
        CHECK(code_ == MUDPT_STATE, "%s: %d", #call, code_);                                                           \
    } while (0)

static const mudpt_method ivlp = {
    .method = "ivlp", .text_length = 2, .text_depth = 2, .visual_length = 2, .visual_depth = 2};
static const mudpt_train_config training = {.epochs = 2, .batch = 2, .warmup_rate = 1e-5f, TINY_TRAINING};

static mudpt_classifier *open_classifier(mudpt_clip *clip) {
    mudpt_classifier *c = NULL;
    tiny_sentences s;
    make_sentences(&s, &odd_config, 2, CLASSES, 1, 0);
    CHECK(mudpt_classifier_create(clip, &ivlp, &s.view, CLASSES, &c) == MUDPT_OK, "%s", mudpt_last_error());
    if (!c) exit(check_report());
    mudpt_classifier_init(c, 1, NULL, 0);
    return c;
}

static mudpt_trainer *open_trainer(mudpt_classifier *c) {
    mudpt_trainer *t = NULL;
    CHECK(mudpt_trainer_create(c, &training, &t) == MUDPT_OK, "%s", mudpt_last_error());
    if (!t) exit(check_report());
    for (int i = 0; i < 2 * CLASSES; i++) {
        mudpt_image *image = tiny_picture(i);
        CHECK(mudpt_trainer_add_image(t, image, i % CLASSES) == MUDPT_OK, "%s", mudpt_last_error());
        mudpt_image_free(image);
    }
    return t;
}

/* Every call that a classifier has, of one that is gone. */
static void check_gone(mudpt_classifier *c) {
    static float floats[1 << 14];
    const int32_t label = 0;
    mudpt_parameter p;
    mudpt_plan plan;
    mudpt_trainer *t = NULL;
    int32_t shape[4] = {0};
    REFUSED(mudpt_classifier_init(c, 1, NULL, 0));
    REFUSED(mudpt_classifier_parameters(c));
    REFUSED(mudpt_classifier_parameter(c, 0, &p));
    REFUSED(mudpt_classifier_text_features(c, floats));
    REFUSED(mudpt_classifier_text_rows(c, floats));
    REFUSED(mudpt_classifier_set_text_features(c, floats));
    REFUSED(mudpt_classifier_set_teacher(c, floats));
    REFUSED(mudpt_classifier_logits(c, floats, 1, floats, NULL));
    REFUSED(mudpt_classifier_image_features(c, floats, 1, NULL, floats));
    REFUSED(mudpt_classifier_feature_logits(c, floats, 1, floats));
    REFUSED(mudpt_classifier_attention(c, floats, floats));
    REFUSED(mudpt_classifier_gradients(c, floats, &label, 1, floats, NULL));
    REFUSED(mudpt_classifier_sgd(c, 1, 0, 0));
    REFUSED(mudpt_classifier_adam(c, 1, 0, 1));
    REFUSED(mudpt_classifier_average(c, 1));
    REFUSED(mudpt_classifier_fold(c, floats, floats, floats));
    REFUSED(mudpt_classifier_plan(c, 1, 0, &plan));
    REFUSED(mudpt_trainer_create(c, &training, &t));
    mudpt_classifier_folded_shape(c, shape, shape + 1, shape + 2, shape + 3);
    CHECK(mudpt_classifier_bytes(c) == 0 && shape[0] + shape[1] + shape[2] + shape[3] == 0, "it has sizes");
    mudpt_classifier_changed(c);
    mudpt_classifier_recompute(c, 1);
    mudpt_classifier_free(c);
}

static void check_gone_trainer(mudpt_trainer *t) {
    mudpt_progress progress;
    mudpt_image *image = tiny_picture(0);
    int32_t epoch = 1, step = 1;
    REFUSED(mudpt_trainer_add(t, "x", 1, 0));
    REFUSED(mudpt_trainer_add_image(t, image, 0));
    REFUSED(mudpt_trainer_step(t, &progress));
    REFUSED(mudpt_trainer_advance(t, &progress));
    REFUSED(mudpt_trainer_resume(t, 0, 0));
    mudpt_image_free(image);
    mudpt_trainer_place(t, &epoch, &step);
    CHECK(mudpt_trainer_bytes(t) == 0 && !*mudpt_trainer_pictures(t) && epoch + step == 0, "it has a state");
    mudpt_trainer_free(t);
}

static void check_freed(mudpt_clip *clip) {
    mudpt_classifier *c = open_classifier(clip), *nothing = NULL;
    mudpt_trainer *t = open_trainer(c), *second = NULL;
    REFUSED(mudpt_trainer_create(c, &training, &second));
    mudpt_trainer_free(t);
    check_gone_trainer(t);
    t = open_trainer(c);
    mudpt_trainer_free(t);
    mudpt_classifier_free(c);
    check_gone(c);
    check_gone(nothing);
    check_gone_trainer(NULL);
    check_gone((mudpt_classifier *)(void *)clip); /* another kind */
    /* In the middle of a step. */
    mudpt_progress progress;
    c = open_classifier(clip);
    t = open_trainer(c);
    CHECK(mudpt_trainer_advance(t, &progress) == MUDPT_MORE, "%s", mudpt_last_error());
    mudpt_classifier_free(c);
    check_gone(c);
    REFUSED(mudpt_trainer_advance(t, &progress));
    CHECK(strstr(mudpt_last_error(), "the classifier has been freed"), "%s", mudpt_last_error());
    mudpt_trainer_free(t);
    check_gone_trainer(t);
}

/* What uses the towers' memory is refused, what only reads parameters is not; a run that is given up leaves it free. */
static void check_busy(mudpt_clip *clip) {
    static float floats[1 << 14];
    const int32_t label = 0;
    mudpt_progress progress;
    mudpt_parameter p;
    mudpt_classifier *c = open_classifier(clip);
    for (int given_up = 0; given_up < 2; given_up++) {
        mudpt_trainer *t = open_trainer(c);
        CHECK(mudpt_trainer_advance(t, &progress) == MUDPT_MORE, "%s", mudpt_last_error());
        REFUSED(mudpt_classifier_logits(c, floats, 1, floats, NULL));
        REFUSED(mudpt_classifier_text_features(c, floats));
        REFUSED(mudpt_classifier_gradients(c, floats, &label, 1, floats, NULL));
        REFUSED(mudpt_classifier_sgd(c, 1, 0, 0));
        REFUSED(mudpt_classifier_init(c, 1, NULL, 0));
        CHECK(mudpt_classifier_parameter(c, 0, &p) == MUDPT_OK, "%s", mudpt_last_error());
        if (!given_up) CHECK(mudpt_trainer_step(t, &progress) == MUDPT_OK, "%s", mudpt_last_error());
        if (!given_up) CHECK(mudpt_classifier_text_features(c, floats) == MUDPT_OK, "%s", mudpt_last_error());
        mudpt_trainer_free(t);
        CHECK(mudpt_classifier_text_features(c, floats) == MUDPT_OK, "%s", mudpt_last_error());
    }
    mudpt_classifier_free(c);
}

int main(void) {
    static float floats[1 << 14];
    mudpt_clip *clip = tiny_clip(&odd_config, 5);
    CHECK(clip != NULL, "%s", mudpt_last_error());
    if (!clip) return check_report();
    check_freed(clip);
    check_busy(clip);
    /* A model that is freed goes with its last classifier. */
    mudpt_classifier *c = open_classifier(clip), *late = NULL;
    mudpt_clip_free(clip);
    mudpt_clip_free(clip);
    CHECK(mudpt_classifier_text_features(c, floats) == MUDPT_OK, "%s", mudpt_last_error());
    REFUSED(mudpt_classifier_create(clip, &(mudpt_method){.method = "zeroshot"}, NULL, 2, &late));
    REFUSED(mudpt_clip_finish(clip));
    REFUSED(mudpt_clip_projection(clip, floats));
    REFUSED(mudpt_clip_tensor_end(clip));
    mudpt_classifier_free(c);
    REFUSED(mudpt_clip_finish(clip));
    return check_report();
}
