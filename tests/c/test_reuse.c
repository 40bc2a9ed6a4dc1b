/* What does not depend on the parameters is computed once per run, and exactly so: the losses and parameters of a
 * trainer are, bit for bit, those of the same steps computed from the pixels each time. CoOp's and CoCoOp's image
 * features (without random views) and VPT's text features are such things.
 */
#include "check.h"
#include "tiny_clip.h"

enum { PICTURES = 5, CLASSES = 3, BATCH = 2, EPOCHS = 4 };

static const mudpt_train_config train_config = {.epochs = EPOCHS,
                                                .batch = BATCH,
                                                .rate = 0.05f,
                                                .warmup_rate = 0.01f,
                                                .momentum = 0.9f,
                                                .decay = 5e-4f,
                                                .seed = 3,
                                                .smallest_crop = 0.08f};

static mudpt_classifier *open_classifier(mudpt_clip *clip, const mudpt_method *method, int with_names) {
    mudpt_classifier *classifier = NULL;
    tiny_sentences s;
    random_state = 77;
    make_sentences(&s, &odd_config, method->text_length, CLASSES, 1, with_names);
    CHECK(mudpt_classifier_create(clip, method, &s.view, CLASSES, &classifier) == MUDPT_OK, "%s", mudpt_last_error());
    if (!classifier) exit(check_report());
    CHECK(mudpt_classifier_init(classifier, 1, NULL, 0) == MUDPT_OK, "%s", mudpt_last_error());
    return classifier;
}

static int same_parameters(mudpt_classifier *a, mudpt_classifier *b) {
    mudpt_parameter p, q;
    for (int i = 0; i < mudpt_classifier_parameters(a); i++) {
        mudpt_classifier_parameter(a, i, &p);
        mudpt_classifier_parameter(b, i, &q);
        if (memcmp(p.value, q.value, (size_t)p.count * sizeof *p.value)) return 0;
        if (memcmp(p.velocity, q.velocity, (size_t)p.count * sizeof *p.velocity)) return 0;
    }
    return 1;
}

/* The order of the pictures is the trainer's own business: the step with the trainer's loss is found by trying. Leaves
 * the gradients of that step in `classifier`. used: bits of the epoch's pictures. */
static int find_batch(mudpt_classifier *classifier, const float *pixels, size_t each, float loss, int *used) {
    float batch[BATCH * 3 * 24 * 24], got;
    for (int first = 0; first < PICTURES; first++) {
        for (int second = 0; second < PICTURES; second++) {
            int bits = 1 << first | 1 << second;
            if (first == second || (*used & bits)) continue;
            const int32_t labels[BATCH] = {first % CLASSES, second % CLASSES};
            memcpy(batch, pixels + (size_t)first * each, each * sizeof *batch);
            memcpy(batch + each, pixels + (size_t)second * each, each * sizeof *batch);
            CHECK(mudpt_classifier_gradients(classifier, batch, labels, BATCH, &got, NULL) == MUDPT_OK, "%s",
                  mudpt_last_error());
            if (memcmp(&got, &loss, sizeof got)) continue;
            *used |= bits;
            return 1;
        }
    }
    return 0;
}

/* A whole run. With five pictures in batches of two every epoch leaves one out: another one each time, so features are
 * first needed in different epochs. */
static void check_run(mudpt_clip *clip, const mudpt_method *method, int with_names) {
    size_t each = 3 * (size_t)(odd_config.image * odd_config.image);
    float *pixels = malloc(PICTURES * each * sizeof *pixels);
    mudpt_classifier *trained = open_classifier(clip, method, with_names);
    mudpt_classifier *plain = open_classifier(clip, method, with_names);
    mudpt_trainer *trainer = NULL;
    mudpt_progress progress;
    if (!pixels) abort();
    CHECK(mudpt_trainer_create(trained, &train_config, &trainer) == MUDPT_OK, "%s", mudpt_last_error());
    if (!trainer) exit(check_report());
    for (int i = 0; i < PICTURES; i++) {
        mudpt_image *image = tiny_picture(i);
        CHECK(mudpt_trainer_add_image(trainer, image, i % CLASSES) == MUDPT_OK, "%s", mudpt_last_error());
        CHECK(mudpt_clip_test_pixels(clip, image, pixels + (size_t)i * each) == MUDPT_OK, "%s", mudpt_last_error());
        mudpt_image_free(image);
    }
    int used = 0, left_out = 0;
    for (int step = 0; mudpt_trainer_step(trainer, &progress) == MUDPT_OK; step++) {
        if (step % (PICTURES / BATCH) == 0) used = 0;
        int found = find_batch(plain, pixels, each, progress.loss, &used);
        CHECK(found, "%s, step %d: no two pictures have the loss %.9g", method->method, step, progress.loss);
        if (!found) break;
        CHECK(mudpt_classifier_sgd(plain, progress.rate, 0.9f, 5e-4f) == MUDPT_OK, "%s", mudpt_last_error());
        CHECK(same_parameters(trained, plain), "%s: other parameters after step %d", method->method, step);
        left_out |= ((1 << PICTURES) - 1) & ~used;
    }
    CHECK(progress.step == EPOCHS * (PICTURES / BATCH), "%s: %d steps", method->method, progress.step);
    CHECK(left_out & (left_out - 1), "%s: every epoch leaves out the same picture; choose another seed",
          method->method);
    mudpt_trainer_free(trainer);
    mudpt_classifier_free(trained);
    mudpt_classifier_free(plain);
    free(pixels);
}

/* VPT's text features are those of zero-shot with the same sentences, before and after training, and a VPT that is
 * given them gives the same logits without any text tower. */
static void check_text_once(mudpt_clip *clip) {
    enum { FLOATS = CLASSES * 20 };
    const mudpt_method vpt = {.method = "vpt", .visual_length = 3, .visual_depth = 2},
                       zeroshot = {.method = "zeroshot"};
    const int32_t labels[] = {0, 2};
    float before[FLOATS], features[FLOATS], loss, logits[2 * CLASSES], again[2 * CLASSES];
    mudpt_classifier *plain = open_classifier(clip, &zeroshot, 0), *tuned = open_classifier(clip, &vpt, 0);
    mudpt_classifier *given = NULL;
    mudpt_parameter from, to;
    float *pixels = random_values(2 * 3 * (size_t)(odd_config.image * odd_config.image), 0, 1);
    CHECK(mudpt_classifier_text_features(plain, before) == MUDPT_OK, "%s", mudpt_last_error());
    for (int step = 0; step < 3; step++) {
        CHECK(mudpt_classifier_gradients(tuned, pixels, labels, 2, &loss, logits) == MUDPT_OK, "%s",
              mudpt_last_error());
        CHECK(mudpt_classifier_sgd(tuned, 0.1f, 0.9f, 5e-4f) == MUDPT_OK, "%s", mudpt_last_error());
    }
    CHECK(mudpt_classifier_text_features(tuned, features) == MUDPT_OK, "%s", mudpt_last_error());
    CHECK(!memcmp(before, features, sizeof before), "training visual prompts changed the text features");
    CHECK(mudpt_classifier_logits(tuned, pixels, 2, logits, NULL) == MUDPT_OK, "%s", mudpt_last_error());

    CHECK(mudpt_classifier_create(clip, &vpt, NULL, CLASSES, &given) == MUDPT_OK, "%s", mudpt_last_error());
    for (int i = 0; i < mudpt_classifier_parameters(tuned); i++) {
        mudpt_classifier_parameter(tuned, i, &from);
        mudpt_classifier_parameter(given, i, &to);
        memcpy(to.value, from.value, (size_t)from.count * sizeof *to.value);
    }
    mudpt_classifier_changed(given);
    CHECK(mudpt_classifier_set_text_features(given, features) == MUDPT_OK, "%s", mudpt_last_error());
    CHECK(mudpt_classifier_logits(given, pixels, 2, again, NULL) == MUDPT_OK, "%s", mudpt_last_error());
    CHECK(!memcmp(logits, again, sizeof logits), "the same text features and prompts give other logits");
    mudpt_classifier_free(plain);
    mudpt_classifier_free(tuned);
    mudpt_classifier_free(given);
    free(pixels);
}

int main(void) {
    static const struct {
        mudpt_method method;
        int with_names;
    } runs[] = {
        {{.method = "coop", .text_length = 4, .text_depth = 1}, 0},
        {{.method = "coop", .text_length = 3, .text_depth = 1, .class_position = 1, .class_specific = 1}, 1},
        {{.method = "cocoop", .text_length = 2, .text_depth = 1}, 0},
        {{.method = "vpt", .visual_length = 3, .visual_depth = 2}, 0},
    };
    mudpt_clip *clip = tiny_clip(&odd_config, 1);
    CHECK(clip != NULL, "%s", mudpt_last_error());
    if (!clip) return check_report();
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) check_run(clip, &runs[i].method, runs[i].with_names);
    check_text_once(clip);
    mudpt_clip_free(clip);
    return check_report();
}
