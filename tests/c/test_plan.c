/* What a plan of training says is what training takes, to the last term: every allocation of the library is counted by
 * functions that the linker puts in front of the C library's (--wrap). The model is small, but so that each term of a
 * plan is far above what the comparison lets pass. */
#include <malloc.h>
#include <stdatomic.h>

#include "check.h"
#include "tiny_clip.h"
#include "train/classifier.h"

/* LISTED: bytes of a picture beside its pixels, with the room that a growing list has; SLACK: small arrays, and what
 * the C library adds to blocks; VIEWS: what pictures take on their way to pixels. */
enum { CLASSES = 300, PICTURES = 256, BATCH = 3, STRIDE = 16, LISTED = 72, SLACK = 8 << 10, VIEWS = 16 << 10 };

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
void __real_free(void *memory);

static atomic_llong held, most;

static void *counted(void *memory) {
    long long now = memory ? (long long)malloc_usable_size(memory) : 0, before = atomic_load(&most);
    now += atomic_fetch_add(&held, now);
    while (now > before && !atomic_compare_exchange_weak(&most, &before, now)) continue;
    return memory;
}

static void uncounted(void *memory) {
    if (memory) atomic_fetch_sub(&held, (long long)malloc_usable_size(memory));
}

void *__wrap_malloc(size_t bytes) {
    return counted(__real_malloc(bytes));
}

void *__wrap_calloc(size_t count, size_t bytes) {
    return counted(__real_calloc(count, bytes));
}

void *__wrap_realloc(void *memory, size_t bytes) {
    uncounted(memory);
    return counted(__real_realloc(memory, bytes));
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes) {
    return counted(__real_aligned_alloc(alignment, bytes));
}

void __wrap_free(void *memory) {
    uncounted(memory);
    __real_free(memory);
}

/* ------------------------------------------------------------------------------------------------ a run */

static mudpt_sentences many_sentences(const mudpt_clip_config *config, int prompts) {
    static int32_t ids[CLASSES * STRIDE], lengths[CLASSES];
    for (int c = 0; c < CLASSES; c++) {
        int32_t *row = ids + c * STRIDE;
        int length = 0, name = 1 + c % 5;
        if (!config->no_start) row[length++] = config->vocab - 2;
        length += prompts;
        for (int k = 0; k < name; k++) row[length++] = (c + k) % (config->vocab - 2);
        row[length++] = config->vocab - 1;
        lengths[c] = length;
    }
    return (mudpt_sentences){.ids = ids, .lengths = lengths, .stride = STRIDE, .classes = CLASSES, .templates = 1};
}

/* A step, the class features and more pictures at once than the step has, with nothing of it in memory before but what
 * kernels keep for all time: `begun` bytes were held before those came. */
static void check_run(mudpt_clip *clip, const mudpt_method *method, int recompute, int augment, long long begun) {
    mudpt_classifier *c = NULL;
    mudpt_trainer *t = NULL;
    mudpt_plan plan;
    mudpt_progress progress;
    mudpt_sentences s = many_sentences(&clip->config, method->inserted ? 0 : method->text_length);
    static float features[CLASSES * 64];
    atomic_store(&most, 0);
    CHECK(mudpt_classifier_create(clip, method, &s, 0, &c) == MUDPT_OK, "%s", mudpt_last_error());
    if (!c) exit(check_report());
    for (int i = 0; i < CLASSES * clip->config.embed; i++) features[i] = (float)random_normal();
    if (c->teacher) mudpt_classifier_set_teacher(c, features);
    mudpt_classifier_init(c, 1, NULL, 0);
    mudpt_classifier_recompute(c, recompute);
    CHECK(mudpt_classifier_plan(c, BATCH, recompute, &plan) == MUDPT_OK, "%s", mudpt_last_error());
    const mudpt_train_config config = {TINY_TRAINING,      .epochs = 2,       .batch = BATCH,
                                       .augment = augment, .average_mean = 1, .average_deviation = 1};
    CHECK(mudpt_trainer_create(c, &config, &t) == MUDPT_OK, "%s", mudpt_last_error());
    if (!t) exit(check_report());
    for (int i = 0; i < PICTURES; i++) {
        mudpt_image *image = tiny_picture(i % 3);
        CHECK(mudpt_trainer_add_image(t, image, i) == MUDPT_OK, "%s", mudpt_last_error());
        mudpt_image_free(image);
    }
    CHECK(mudpt_trainer_step(t, &progress) == MUDPT_OK, "%s: %s", method->method, mudpt_last_error());
    if (!c->state.method->conditional)
        CHECK(mudpt_classifier_text_features(c, features) == MUDPT_OK, "%s", mudpt_last_error());
    static float pixels[2 * BATCH * 3 * 26 * 26], logits[2 * BATCH * CLASSES];
    CHECK(mudpt_classifier_logits(c, pixels, 2 * BATCH, logits, NULL) == MUDPT_OK, "%s", mudpt_last_error());
    double used = (double)(atomic_load(&most) - begun), units = augment ? 0 : plan.kept * (PICTURES + BATCH);
    double planned = plan.activations + plan.pixels + plan.prompts + plan.optimizer + units;
    planned += (double)(mudpt_trainer_bytes(t) + sizeof *c + LISTED * PICTURES);
    /* Pictures on their way to pixels take some for a moment, class names more, later. */
    CHECK(fabs(planned - used) <= SLACK + (c->state.method->conditional ? VIEWS : 0),
          "%s, %d parts, recompute %d: %.0f bytes planned, %.0f used", method->method, plan.parts, recompute, planned,
          used);
    mudpt_trainer_free(t);
    mudpt_classifier_free(c);
}

/* With every `step`-th method. */
static void check_model(const mudpt_clip_config *config, size_t step) {
    static const mudpt_method methods[] = {
        {.method = "coop", .text_length = 3, .text_depth = 1},
        {.method = "coop", .text_length = 3, .text_depth = 1, .class_specific = 1},
        {.method = "cocoop", .text_length = 2, .text_depth = 1},
        {.method = "vpt", .visual_length = 3, .visual_depth = 2},
        {.method = "kgcoop", .text_length = 2, .text_depth = 1, .text_weight = 8},
        {.method = "ivlp", .text_length = 2, .text_depth = 2, .visual_length = 3, .visual_depth = 1},
        {.method = "mudpt", .text_length = 2, .text_depth = 2, .visual_length = 2, .visual_depth = 2},
        {.method = "uumudpt", .text_length = 2, .text_depth = 2, .visual_length = 2, .visual_depth = 2},
        {.method = "maple", .text_length = 2, .text_depth = 2, .visual_length = 2, .visual_depth = 2},
        TINY_PROMPTSRC,
        {.method = "tcp", .text_length = 2, .text_depth = 1, .layer = 1, .text_weight = 8},
        TINY_MMRLPP,
        {.method = "ivlp", .text_length = 2, .text_depth = 1, .visual_length = 3, .visual_depth = 1, .layer = 1},
    };
    const uint64_t whole = parts_most, each = parts_each;
    mudpt_clip *clip = tiny_clip(config, 5);
    CHECK(clip != NULL, "%s", mudpt_last_error());
    if (!clip) return;
    static long long kernels;
    long long begun = atomic_load(&held) - kernels;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i += step)
        for (int recompute = 0; recompute < 2; recompute++)
            for (int in_parts = 0; in_parts < 2; in_parts++) {
                if (in_parts) parts_most = 1, parts_each = 1 << 20;
                check_run(clip, &methods[i], recompute, (int)i % 2, begun);
                parts_most = whole, parts_each = each;
            }
    kernels = atomic_load(&held) - begun;
    mudpt_clip_free(clip);
}

int main(void) {
    mudpt_set_threads(2);
    mudpt_clip_config config = odd_config;
    config.embed = 64;
    check_model(&config, is_short() ? 4 : 1);
    check_model(&family_configs[0], is_short() ? 11 : 5);
    return check_report();
}
