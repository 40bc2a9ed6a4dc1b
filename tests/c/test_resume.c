/* A run that is interrupted between any two steps and continued by a new classifier and trainer, which get values,
 * moments, averages and place alone, ends with the same bits as one that was not: with random views and without
 * (where features that do not change are kept), on any number of threads. What cannot be continued is refused.
 */
#include "check.h"
#include "tiny_clip.h"

enum { PICTURES = 7, CLASSES = 3, BATCH = 2, EPOCHS = 3, STEPS = EPOCHS * (PICTURES / BATCH) };

typedef struct {
    mudpt_classifier *classifier;
    mudpt_trainer *trainer;
} run;

static void add_pictures(mudpt_trainer *trainer, int first) {
    for (int i = first; i < PICTURES; i++) {
        mudpt_image *image = tiny_picture(i);
        CHECK(mudpt_trainer_add_image(trainer, image, i % CLASSES) == MUDPT_OK, "%s", mudpt_last_error());
        mudpt_image_free(image);
    }
}

/* A run at its beginning; `seed` of the starting values alone. */
static run open_run(mudpt_clip *clip, const mudpt_method *method, int augment, uint32_t seed) {
    const mudpt_train_config config = {.epochs = EPOCHS,
                                       .batch = BATCH,
                                       .warmup_rate = 1e-3f,
                                       .augment = augment,
                                       TINY_TRAINING,
                                       .average_mean = 2,
                                       .average_deviation = 1,
                                       .keep = 1e6f};
    run r = {0};
    tiny_sentences s;
    random_state = 77;
    make_sentences_of(&s, &odd_config, method, CLASSES, 0);
    CHECK(mudpt_classifier_create(clip, method, &s.view, CLASSES, &r.classifier) == MUDPT_OK, "%s", mudpt_last_error());
    free(give_teacher(r.classifier, method, CLASSES, odd_config.embed));
    CHECK(mudpt_classifier_init(r.classifier, seed, NULL, 0) == MUDPT_OK, "%s", mudpt_last_error());
    CHECK(mudpt_trainer_create(r.classifier, &config, &r.trainer) == MUDPT_OK, "%s", mudpt_last_error());
    if (!r.trainer) exit(check_report());
    add_pictures(r.trainer, 0);
    return r;
}

static void close_run(run *r) {
    mudpt_trainer_free(r->trainer);
    mudpt_classifier_free(r->classifier);
}

/* What a saved run holds, in a run of its own. */
static run continue_elsewhere(mudpt_clip *clip, const mudpt_method *method, int augment, run *old) {
    run r = open_run(clip, method, augment, 99);
    mudpt_parameter from, to;
    int32_t epoch, step;
    for (int i = 0; i < mudpt_classifier_parameters(old->classifier); i++) {
        mudpt_classifier_parameter(old->classifier, i, &from);
        mudpt_classifier_parameter(r.classifier, i, &to);
        memcpy(to.value, from.value, (size_t)from.count * sizeof *to.value);
        memcpy(to.velocity, from.velocity, (size_t)from.count * sizeof *to.velocity);
        if (from.square) memcpy(to.square, from.square, (size_t)from.count * sizeof *to.square);
        if (from.average) memcpy(to.average, from.average, (size_t)from.count * sizeof *to.average);
    }
    mudpt_classifier_changed(r.classifier);
    CHECK(!strcmp(mudpt_trainer_pictures(r.trainer), mudpt_trainer_pictures(old->trainer)), "other pictures");
    mudpt_trainer_place(old->trainer, &epoch, &step);
    CHECK(mudpt_trainer_resume(r.trainer, epoch, step) == MUDPT_OK, "%s", mudpt_last_error());
    close_run(old);
    return r;
}

/* Losses of all steps, then the parameters' sum of squares, exactly as they come out. interrupted: bit i for a break
 * after i steps. */
static void follow(double *out, mudpt_clip *clip, const mudpt_method *method, int augment, int interrupted) {
    run r = open_run(clip, method, augment, 1);
    mudpt_progress progress;
    for (int step = 0; step <= STEPS; step++) {
        if (interrupted >> step & 1) r = continue_elsewhere(clip, method, augment, &r);
        int code = mudpt_trainer_step(r.trainer, &progress);
        CHECK(code == (step < STEPS ? MUDPT_OK : MUDPT_DONE), "step %d: code %d, %s", step, code, mudpt_last_error());
        if (code == MUDPT_OK) out[step] = progress.loss;
        CHECK(code != MUDPT_OK || progress.step == step + 1, "step %d is told as %d", step + 1, progress.step);
    }
    out[STEPS] = 0;
    for (int i = 0; i < mudpt_classifier_parameters(r.classifier); i++) {
        mudpt_parameter p;
        mudpt_classifier_parameter(r.classifier, i, &p);
        for (int k = 0; k < p.count; k++) out[STEPS] += (double)p.value[k] * (double)p.value[k] * (k % 7 + 1);
    }
    close_run(&r);
}

static void check_interruptions(mudpt_clip *clip) {
    static const mudpt_method methods[] = {{.method = "mudpt",
                                            .text_length = 2,
                                            .text_depth = 2,
                                            .visual_length = 2,
                                            .visual_depth = 2,
                                            .layer0_fusion = 1},
                                           {.method = "coop", .text_length = 2, .text_depth = 1},
                                           {.method = "vpt", .visual_length = 2, .visual_depth = 2},
                                           {.method = "tcp", .text_length = 2, .text_depth = 1, .layer = 2},
                                           TINY_MMRLPP,
                                           TINY_PROMPTSRC};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        for (int augment = 0; augment < 2; augment++) {
            double whole[STEPS + 1], broken[STEPS + 1];
            follow(whole, clip, &methods[i], augment, 0);
            for (int after = 0; after <= STEPS + 1; after++) { /* the last round: after every single step */
                int interrupted = after <= STEPS ? 1 << after : (1 << (STEPS + 1)) - 1;
                mudpt_set_threads(1 + after % 3);
                follow(broken, clip, &methods[i], augment, interrupted);
                CHECK(!memcmp(whole, broken, sizeof whole), "%s, augment %d, breaks %x: other numbers",
                      methods[i].method, augment, (unsigned)interrupted);
            }
            mudpt_set_threads(1);
        }
    }
}

static void check_refusals(mudpt_clip *clip) {
    const mudpt_method method = {
        .method = "ivlp", .text_length = 2, .text_depth = 2, .visual_length = 2, .visual_depth = 2};
    static const int32_t nowhere[][2] = {{-1, 0}, {0, -1}, {EPOCHS, 1}, {EPOCHS + 1, 0}, {1, PICTURES / BATCH}};
    run r = open_run(clip, &method, 1, 1), other = open_run(clip, &method, 1, 1);
    mudpt_progress progress;
    int32_t epoch, step;
    for (size_t i = 0; i < sizeof nowhere / sizeof *nowhere; i++) {
        CHECK(mudpt_trainer_resume(r.trainer, nowhere[i][0], nowhere[i][1]) == MUDPT_ARGUMENT, "place %zu is taken", i);
        mudpt_trainer_place(r.trainer, &epoch, &step);
        CHECK(epoch == 0 && step == 0, "a refused place has an effect");
    }
    add_pictures(other.trainer, PICTURES - 1);
    CHECK(strlen(mudpt_trainer_pictures(r.trainer)) == 16, "\"%s\"", mudpt_trainer_pictures(r.trainer));
    CHECK(strcmp(mudpt_trainer_pictures(r.trainer), mudpt_trainer_pictures(other.trainer)),
          "one more picture is the same");
    CHECK(mudpt_trainer_step(r.trainer, &progress) == MUDPT_OK, "%s", mudpt_last_error());
    CHECK(mudpt_trainer_resume(r.trainer, 1, 0) == MUDPT_STATE, "a run that has begun is put elsewhere");
    close_run(&r);
    close_run(&other);
}

int main(void) {
    mudpt_clip *clip = tiny_clip(&odd_config, 1);
    CHECK(clip != NULL, "%s", mudpt_last_error());
    if (clip) {
        check_interruptions(clip);
        check_refusals(clip);
        mudpt_clip_free(clip);
    }
    return check_report();
}
