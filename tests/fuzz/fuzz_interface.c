/* The C interface in any order: whatever is called when, with any values, handles that were freed among them, answers
 * with a known code, and handles that it was given stay good. Only what a caller owes in C is kept: arrays as long as
 * they must be. Sentences may go through their tower in parts.
 */
#include "../c/tiny_clip.h"
#include "train/classifier.h"
#include "input.h"

enum { SLOTS = 3, CLASSES = 4, PICTURE = 3 * IMAGE * IMAGE, MOST_CALLS = 60, MOST_PICTURES = 3 };

static mudpt_clip *clip;

typedef struct {
    mudpt_classifier *classifier[SLOTS];
    mudpt_trainer *trainer[SLOTS]; /* of the classifier in the same slot, freed before it */
    mudpt_image *image[SLOTS];
} state;

static void close_classifier(state *s, int slot) {
    mudpt_trainer_free(s->trainer[slot]);
    mudpt_classifier_free(s->classifier[slot]);
    s->trainer[slot] = NULL;
    s->classifier[slot] = NULL;
}

static void open_classifier(input *in, state *s, int slot) {
    static const mudpt_method methods[] = {
        {.method = "mudpt",
         .text_length = 2,
         .text_depth = 2,
         .visual_length = 2,
         .visual_depth = 2,
         .layer0_fusion = 1},
        {.method = "zeroshot"},
        {.method = "coop", .text_length = 2, .text_depth = 1},
        {.method = "coop", .text_length = 2, .text_depth = 1, .class_position = 1, .class_specific = 1},
        {.method = "cocoop", .text_length = 2, .text_depth = 1},
        {.method = "vpt", .visual_length = 2, .visual_depth = 2},
        {.method = "ivlp", .text_length = 2, .text_depth = 2, .visual_length = 3, .visual_depth = 1},
        {.method = "umudpt", .text_length = 2, .text_depth = 2, .visual_length = 2, .visual_depth = 2},
        {.method = "uumudpt", .text_length = 2, .text_depth = 2, .visual_length = 2, .visual_depth = 2},
        {.method = "maple", .text_length = 2, .text_depth = 2, .visual_length = 2, .visual_depth = 2},
        {.method = "kgcoop", .text_length = 2, .text_depth = 1, .text_weight = 8},
        {.method = "tcp", .text_length = 2, .text_depth = 1, .layer = 1, .text_weight = 8},
        TINY_PROMPTSRC,
        TINY_MMRLPP,
    };
    const mudpt_method *method = &methods[take_below(in, sizeof methods / sizeof *methods)];
    tiny_sentences t;
    random_state = take_byte(in);
    int templates = 1 + take_below(in, 2);
    make_sentences(&t, &small_config, method->inserted ? 0 : method->text_length, CLASSES, templates, 1);
    close_classifier(s, slot);
    answer(mudpt_classifier_create(clip, method, take_byte(in) > 220 ? NULL : &t.view, CLASSES, &s->classifier[slot]));
    float teacher[CLASSES * EMBED];
    for (size_t i = 0; i < sizeof teacher / sizeof *teacher; i++) teacher[i] = (float)take_byte(in) - 100;
    if (s->classifier[slot]) answer(mudpt_classifier_set_teacher(s->classifier[slot], teacher));
}

static void open_image(input *in, state *s, int slot) {
    static uint8_t pixels[4 * 40 * 40];
    mudpt_image_free(s->image[slot]);
    s->image[slot] = NULL;
    int width = take_near(in, 1 + take_below(in, 40)), height = take_near(in, 1 + take_below(in, 40));
    int channels = take_near(in, 3);
    if (width > 40 && width <= MUDPT_MAX_IMAGE_SIDE) width = 40;
    if (height > 40 && height <= MUDPT_MAX_IMAGE_SIDE) height = 40;
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * 5);
    answer(mudpt_image_from_pixels(pixels, width, height, channels, &s->image[slot]));
}

static void open_trainer(input *in, state *s, int slot) {
    mudpt_train_config config = {.average_mean = 1,
                                 .average_deviation = 1,
                                 .keep = 100 * (float)take_byte(in),
                                 .epochs = take_near(in, 2),
                                 .batch = take_near(in, 2),
                                 .rate = take_byte(in) < 200 ? 0.01f : take_float(in),
                                 .warmup_rate = take_byte(in) < 200 ? 1e-3f : take_float(in),
                                 .momentum = take_byte(in) < 200 ? 0.9f : take_float(in),
                                 .decay = take_byte(in) < 200 ? 5e-4f : take_float(in),
                                 .seed = take_byte(in),
                                 .augment = take_below(in, 2),
                                 .smallest_crop = take_byte(in) < 200 ? 0.08f : take_float(in)};
    if (config.batch > 4 && config.batch <= 4096) config.batch = 4;
    mudpt_trainer_free(s->trainer[slot]);
    s->trainer[slot] = NULL;
    answer(mudpt_trainer_create(s->classifier[slot], &config, &s->trainer[slot]));
}

static void fill_pixels(input *in, float *pixels, int count) {
    for (int i = 0; i < count * PICTURE; i++) pixels[i] = i < 3 ? take_float(in) : (float)(i % 11) / 11;
}

static void call(input *in, state *s) {
    static float pixels[MOST_PICTURES * PICTURE], logits[MOST_PICTURES * CLASSES], features[MOST_PICTURES * EMBED];
    static float text[CLASSES * EMBED], rows[(CLASSES + MOST_PICTURES) * (TEXT_WIDTH + VISION_WIDTH)],
        attention[3 * 32], loss, vector[TEXT_WIDTH], distances[VOCAB];
    static uint8_t view[3 * 64 * 64];
    int slot = take_below(in, SLOTS), pictures = 1 + take_below(in, MOST_PICTURES);
    int32_t labels[MOST_PICTURES], chosen[32], a, b;
    mudpt_classifier *classifier = s->classifier[slot];
    mudpt_trainer *trainer = s->trainer[slot];
    mudpt_image *image = s->image[slot];
    mudpt_parameter p;
    mudpt_progress progress;
    mudpt_plan plan;
    for (int i = 0; i < MOST_PICTURES; i++) labels[i] = take_near(in, i);
    unsigned which = take_byte(in) % 27;
    if (which == 0) return open_classifier(in, s, slot);
    if (which == 1) return open_image(in, s, slot);
    if (which == 2) return close_classifier(s, slot);
    if (which == 3) return (void)answer(mudpt_set_threads(take_near(in, 1 + take_below(in, 3)) % 5));
    if (which == 4) {
        for (int i = 0; i < 32; i++) chosen[i] = 0;
        int32_t own[8];
        for (int i = 0; i < 8; i++) own[i] = take_near(in, i % 3);
        if (mudpt_sample_shots(own, 8, take_near(in, 3), take_near(in, 2), take_byte(in), chosen) > 8) abort();
        return;
    }
    if (which == 5) {
        for (int i = 0; i < TEXT_WIDTH; i++) vector[i] = i < 3 ? take_float(in) : 0;
        return (void)answer(mudpt_clip_token_distances(clip, vector, distances));
    }
    if (which == 6) return (void)answer(mudpt_clip_token(clip, take_near(in, 2), take_below(in, 6), vector));
    if (which == 7) return (void)answer(mudpt_clip_finish(clip));
    if (which == 8)
        return (void)answer(
            mudpt_clip_tensor_begin(clip, "visual.proj", take_near(in, 0), (int32_t[]){VISION_WIDTH, EMBED}, 2));
    if (which == 9) return (void)answer(mudpt_clip_tensor_bytes(clip, vector, 8));
    if (which == 10 && image) {
        int size = 1 + take_below(in, 64);
        answer(mudpt_image_crop_view(image, take_near(in, 0), take_near(in, 0), take_near(in, 1), take_near(in, 1),
                                     take_below(in, 2), size, view));
        answer(mudpt_image_test_view(image, NULL, size, view));
        answer(mudpt_clip_test_pixels(clip, image, pixels));
        answer(mudpt_clip_random_pixels(clip, image, (float)take_below(in, 256) / 200, take_byte(in), take_byte(in),
                                        pixels));
        return;
    }
    if (!classifier) return open_classifier(in, s, slot);
    switch (which) {
    case 11: answer(mudpt_classifier_init(classifier, take_byte(in), labels, take_below(in, MOST_PICTURES + 1))); break;
    case 12:
        fill_pixels(in, pixels, pictures);
        answer(mudpt_classifier_logits(classifier, pixels, take_byte(in) > 240 ? -1 : pictures, logits, features));
        answer(mudpt_classifier_image_features(classifier, pixels, pictures, rows, features));
        answer(mudpt_classifier_feature_logits(classifier, features, pictures, logits));
        break;
    case 13:
        fill_pixels(in, pixels, pictures);
        answer(mudpt_classifier_gradients(classifier, pixels, labels, pictures, &loss, logits));
        break;
    case 14: answer(mudpt_classifier_sgd(classifier, take_float(in), take_float(in), take_float(in))); break;
    case 15:
        answer(mudpt_classifier_text_rows(classifier, rows));
        answer(mudpt_classifier_text_features(classifier, text));
        break;
    case 16:
        for (int i = 0; i < CLASSES * EMBED; i++) text[i] = i < 4 ? take_float(in) : (float)(i % 5) - 2;
        answer(mudpt_classifier_set_text_features(classifier, text));
        break;
    case 17:
        if (answer(mudpt_classifier_parameter(classifier, take_near(in, 0), &p))) break;
        for (int i = 0; i < p.count && i < 4; i++) p.value[i] = take_float(in);
        mudpt_classifier_changed(classifier);
        break;
    case 18: answer(mudpt_classifier_fold(classifier, NULL, NULL, NULL)); break;
    case 19:
        fill_pixels(in, pixels, 1);
        answer(mudpt_classifier_attention(classifier, pixels, attention));
        break;
    case 20: open_trainer(in, s, slot); break;
    case 21:
        if (trainer && image) answer(mudpt_trainer_add_image(trainer, image, labels[0]));
        if (trainer) answer(mudpt_trainer_add(trainer, "GIF89a", 6, labels[1]));
        break;
    case 22:
        if (trainer) answer(mudpt_trainer_resume(trainer, take_near(in, 0), take_near(in, 0)));
        if (trainer) mudpt_trainer_place(trainer, &a, &b);
        break;
    case 23:
        if (answer(mudpt_classifier_plan(classifier, take_near(in, 2), take_below(in, 2), &plan))) break;
        if (!(plan.activations > 0 && plan.prompts > 0 && plan.optimizer >= 0 && plan.largest > 0)) abort();
        break;
    case 24:
        mudpt_classifier_recompute(classifier, take_below(in, 2));
        parts_most = take_below(in, 2) ? 1 << 30 : 1;
        parts_each = parts_most;
        break;
    case 25: mudpt_classifier_free(classifier); break; /* and call it on */
    default:
        if (trainer && answer(mudpt_trainer_step(trainer, &progress)) == MUDPT_OK && !isfinite(progress.loss)) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, data + size};
    state s = {0};
    if (!clip) clip = tiny_clip(&small_config, 1);
    if (!clip) abort();
    parts_most = parts_each = 1 << 30;
    for (int i = 0; i < MOST_CALLS && in.at < in.end; i++) call(&in, &s);
    for (int i = 0; i < SLOTS; i++) {
        close_classifier(&s, i);
        mudpt_image_free(s.image[i]);
    }
    return 0;
}
