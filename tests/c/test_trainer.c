/* A run of the trainer is what anyone can do with the functions of mudpt.h, one step after the other: the pictures of
 * an epoch in a shuffled order, whole batches alone, a random view each (or the test transform), gradients, SGD with
 * the epoch's rate, or Adam; where an average is kept, an epoch's share of it, and it is what the run ends with. The
 * same bits, also where rows of pictures are kept between epochs, of some and not of others.
 */
#include "base/rng.h"
#include "check.h"
#include "image/image.h"
#include "tiny_clip.h"

enum { PICTURES = 11, CLASSES = 3, BATCH = 4, EPOCHS = 3, SIDE = 24, PIXELS = 3 * SIDE * SIDE };

static const uint64_t ORDER_STREAM = 1ULL << 40, VIEW_STREAM = 1ULL << 41; /* trainer.c's */

static void check_run(mudpt_clip *clip, const mudpt_method *method, int augment) {
    const mudpt_train_config config = {.epochs = EPOCHS,
                                       .batch = BATCH,
                                       .warmup_rate = 1e-3f,
                                       .augment = augment,
                                       TINY_TRAINING,
                                       .average_mean = 2,
                                       .average_deviation = 0.7f,
                                       .keep = 7 * 10 * 48 * sizeof(float)}; /* of pictures' rows: of seven */
    mudpt_classifier *classifiers[2];
    for (int i = 0; i < 2; i++) {
        tiny_sentences s;
        random_state = 77;
        make_sentences_of(&s, &odd_config, method, CLASSES, 0);
        CHECK(mudpt_classifier_create(clip, method, &s.view, CLASSES, &classifiers[i]) == MUDPT_OK, "%s",
              mudpt_last_error());
        CHECK(mudpt_classifier_init(classifiers[i], 5, NULL, 0) == MUDPT_OK, "%s", mudpt_last_error());
        free(give_teacher(classifiers[i], method, CLASSES, odd_config.embed));
    }
    mudpt_trainer *trainer;
    CHECK(mudpt_trainer_create(classifiers[0], &config, &trainer) == MUDPT_OK, "%s", mudpt_last_error());
    mudpt_image *images[PICTURES];
    for (int i = 0; i < PICTURES; i++) {
        images[i] = tiny_picture(i);
        CHECK(mudpt_trainer_add_image(trainer, images[i], i % CLASSES) == MUDPT_OK, "%s", mudpt_last_error());
    }

    int place = 0, averages = method->averages;
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        int32_t order[PICTURES];
        rng r;
        for (int i = 0; i < PICTURES; i++) order[i] = i;
        rng_seed(&r, config.seed, ORDER_STREAM + (uint64_t)epoch);
        rng_shuffle(&r, order, PICTURES);
        for (int step = 0; step < PICTURES / BATCH; step++) {
            static float pixels[BATCH * PIXELS];
            int32_t labels[BATCH];
            for (int i = 0; i < BATCH; i++, place++) {
                const mudpt_image *image = images[order[step * BATCH + i]];
                labels[i] = order[step * BATCH + i] % CLASSES;
                rng_seed(&r, config.seed, VIEW_STREAM + (uint64_t)place);
                image_box box = image_random_box(image->width, image->height, config.smallest_crop, &r);
                int code = augment ? mudpt_clip_crop_pixels(clip, image, box.top, box.left, box.height, box.width,
                                                            box.flip, pixels + i * PIXELS)
                                   : mudpt_clip_test_pixels(clip, image, pixels + i * PIXELS);
                CHECK(code == MUDPT_OK, "%s", mudpt_last_error());
            }
            float loss, rate = (float)mudpt_learning_rate(config.rate, config.warmup_rate, EPOCHS, epoch);
            mudpt_progress progress;
            int code = mudpt_classifier_gradients(classifiers[1], pixels, labels, BATCH, &loss, NULL);
            mudpt_parameter first;
            mudpt_classifier_parameter(classifiers[1], 0, &first);
            if (!code)
                code = !first.square ? mudpt_classifier_sgd(classifiers[1], rate, config.momentum, config.decay)
                                     : mudpt_classifier_adam(classifiers[1], rate, config.decay, place / BATCH);
            CHECK(code == MUDPT_OK, "%s", mudpt_last_error());
            CHECK(mudpt_trainer_step(trainer, &progress) == MUDPT_OK, "%s", mudpt_last_error());
            CHECK(progress.loss == loss && progress.rate == rate, "%s, augment %d, step %d: loss %.9g, by hand %.9g",
                  method->method, augment, progress.step, (double)progress.loss, (double)loss);
        }
        double share = mudpt_average_weight(EPOCHS, config.average_mean, config.average_deviation, epoch);
        CHECK(mudpt_classifier_average(classifiers[1], (float)share) == (averages ? MUDPT_OK : MUDPT_STATE),
              "%s: averages %d", method->method, averages);
    }
    mudpt_progress progress;
    CHECK(mudpt_trainer_step(trainer, &progress) == MUDPT_DONE, "more steps than by hand");
    for (int i = 0; i < mudpt_classifier_parameters(classifiers[0]); i++) {
        mudpt_parameter p[2];
        for (int k = 0; k < 2; k++) mudpt_classifier_parameter(classifiers[k], i, &p[k]);
        CHECK(!memcmp(p[0].value, averages ? p[1].average : p[1].value, (size_t)p[0].count * sizeof(float)),
              "%s, augment %d: other %s", method->method, augment, p[0].name);
    }
    for (int i = 0; i < PICTURES; i++) mudpt_image_free(images[i]);
    mudpt_trainer_free(trainer);
    for (int i = 0; i < 2; i++) mudpt_classifier_free(classifiers[i]);
}

/* Random views are boxes that training may draw; they belong to a picture, a seed and a view. */
static void check_random_views(const mudpt_clip *clip) {
    enum { VIEWS = 6 };
    static float views[VIEWS][PIXELS], other[PIXELS];
    uint8_t rgb[40 * 31 * 3];
    mudpt_image *image = NULL, *copy = NULL;
    for (size_t i = 0; i < sizeof rgb; i++) rgb[i] = (uint8_t)(i * i % 251);
    CHECK(mudpt_image_from_pixels(rgb, 40, 31, 3, &image) == MUDPT_OK, "%s", mudpt_last_error());
    CHECK(mudpt_image_from_pixels(rgb, 40, 31, 3, &copy) == MUDPT_OK, "%s", mudpt_last_error());
    for (int v = 0; v < VIEWS; v++) {
        CHECK(mudpt_clip_random_pixels(clip, image, 0.3f, 7, v, views[v]) == MUDPT_OK, "%s", mudpt_last_error());
        CHECK(mudpt_clip_random_pixels(clip, copy, 0.3f, 7, v, other) == MUDPT_OK, "%s", mudpt_last_error());
        CHECK(!memcmp(views[v], other, sizeof other), "view %d of the same picture is another one", v);
        for (int w = 0; w < v; w++) CHECK(memcmp(views[v], views[w], sizeof other), "views %d and %d are one", v, w);
    }
    CHECK(mudpt_clip_random_pixels(clip, image, 0.3f, 8, 0, other) == MUDPT_OK, "%s", mudpt_last_error());
    CHECK(memcmp(views[0], other, sizeof other), "another seed draws the same");
    rgb[0] ^= 1;
    mudpt_image_free(copy);
    CHECK(mudpt_image_from_pixels(rgb, 40, 31, 3, &copy) == MUDPT_OK, "%s", mudpt_last_error());
    CHECK(mudpt_clip_random_pixels(clip, copy, 0.3f, 7, 0, other) == MUDPT_OK, "%s", mudpt_last_error());
    CHECK(memcmp(views[0], other, sizeof other), "another picture is shown alike");
    static const float wrong[] = {0, -1, 1.01f, NAN};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK(mudpt_clip_random_pixels(clip, image, wrong[i], 7, 0, other) == MUDPT_ARGUMENT, "a crop of %g",
              (double)wrong[i]);
    mudpt_image_free(image);
    mudpt_image_free(copy);
}

int main(void) {
    static const mudpt_method methods[] = {
        {.method = "mudpt",
         .text_length = 2,
         .text_depth = 2,
         .visual_length = 2,
         .visual_depth = 2,
         .layer0_fusion = 1},
        {.method = "coop", .text_length = 2, .text_depth = 1},
        {.method = "cocoop", .text_length = 2, .text_depth = 1},
        {.method = "vpt", .visual_length = 2, .visual_depth = 2},
        {.method = "ivlp", .text_length = 2, .text_depth = 2, .visual_length = 2, .visual_depth = 2},
        {.method = "maple", .text_length = 2, .text_depth = 3, .visual_length = 2, .visual_depth = 3},
        {.method = "kgcoop", .text_length = 2, .text_depth = 1, .text_weight = 8},
        {.method = "tcp", .text_length = 2, .text_depth = 1, .layer = 2, .text_weight = 8},
        {.method = "ivlp", .text_length = 2, .text_depth = 2, .visual_length = 2, .visual_depth = 1, .layer = 1},
        TINY_MMRLPP,
        TINY_PROMPTSRC};
    mudpt_clip *clip = tiny_clip(&odd_config, 1);
    CHECK(clip != NULL, "%s", mudpt_last_error());
    for (size_t i = 0; clip && i < sizeof methods / sizeof *methods; i++)
        for (int augment = 0; augment < 2; augment++) check_run(clip, &methods[i], augment);
    if (clip) check_random_views(clip);
    mudpt_clip_free(clip);
    return check_report();
}
