/* Memory that cannot be had: every allocation of loading, decoding, classifying, training and saving fails once, and
 * once more with all that follow it. Each time the call answers MUDPT_MEMORY, or does without; the same call again
 * succeeds; and in the end there are the very numbers of a run without failures, and nothing is left behind.
 *
 * The linker puts the functions below in front of the C library's (--wrap). Every case runs in a process of its own, so
 * that what the library keeps for all time is asked for again, and a crash is seen as what it is.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "tiny_clip.h"

/* -------------------------------------------------------------------------------- the failing allocator */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
void __real_free(void *memory);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument);

static atomic_long asked, live; /* allocations so far; those that have not been freed */
static long first_to_fail;      /* counted from 1; 0: none */
static int all_that_follow;
static atomic_int failed; /* how many did, since it was armed */

static int fails(void) {
    long number = atomic_fetch_add(&asked, 1) + 1;
    if (!first_to_fail || number < first_to_fail || (number > first_to_fail && !all_that_follow)) return 0;
    atomic_fetch_add(&failed, 1);
    return 1;
}

static void *counted(void *memory) {
    if (memory) atomic_fetch_add(&live, 1);
    return memory;
}

void *__wrap_malloc(size_t bytes) {
    return fails() ? NULL : counted(__real_malloc(bytes));
}

void *__wrap_calloc(size_t count, size_t bytes) {
    return fails() ? NULL : counted(__real_calloc(count, bytes));
}

void *__wrap_realloc(void *memory, size_t bytes) {
    if (fails()) return NULL;
    void *moved = __real_realloc(memory, bytes);
    return memory ? moved : counted(moved);
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes) {
    return fails() ? NULL : counted(__real_aligned_alloc(alignment, bytes));
}

void __wrap_free(void *memory) {
    if (memory) atomic_fetch_sub(&live, 1);
    __real_free(memory);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
    return fails() ? 11 : __real_pthread_create(thread, attributes, run, argument);
}

/* -------------------------------------------------------------------------------- calls that may fail */

static int refusals; /* MUDPT_MEMORY that came of a failure */

/* Makes a call again if it failed for the memory that was withheld; nothing is withheld from then on. */
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        int before = atomic_load(&failed), code = (call);                                                              \
        if (code == MUDPT_MEMORY && atomic_load(&failed) > before) {                                                   \
            CHECK(strstr(mudpt_last_error(), "memory") || strstr(mudpt_last_error(), "threads"), "%s: the text is %s", \
                  #call, mudpt_last_error());                                                                          \
            first_to_fail = 0;                                                                                         \
            refusals++;                                                                                                \
            code = (call);                                                                                             \
        }                                                                                                              \
        CHECK(code >= 0, "%s: code %d, %s", #call, code, mudpt_last_error());                                          \
        if (code < 0) exit(check_report() + 1);                                                                        \
    } while (0)

static uint64_t hash;

static void add_to_hash(const void *data, size_t bytes) {
    const uint8_t *at = data;
    for (size_t i = 0; i < bytes; i++) hash = (hash ^ at[i]) * 1099511628211ULL;
}

/* Memory of the test's own is never withheld. */
static void *own(size_t bytes) {
    void *memory = __real_malloc(bytes ? bytes : 1);
    if (!memory) abort();
    return memory;
}

/* ------------------------------------------------------------------------------------------------ what is tried */

static mudpt_clip *shared_clip, *shared_family[FAMILY];

static void send_with_retries(mudpt_clip *clip, const char *name, int dtype, const int32_t *shape, int dims) {
    size_t count = 1, size = dtype == MUDPT_I8 ? 1 : 4;
    for (int i = 0; i < dims; i++) count *= (size_t)shape[i];
    uint8_t *bytes = own(count * size);
    for (size_t i = 0; i < count; i++) {
        float value = (float)(0.1 * random_normal());
        if (dtype == MUDPT_I8) bytes[i] = (uint8_t)(int8_t)(value * 300);
        else memcpy(bytes + 4 * i, &value, 4);
    }
    TRY(mudpt_clip_tensor_begin(clip, name, dtype, shape, dims));
    TRY(mudpt_clip_tensor_bytes(clip, bytes, count * size));
    TRY(mudpt_clip_tensor_end(clip));
    __real_free(bytes);
}

/* A model of two layers, whose first block is int8, and its token rows one by one. */
static void load(int storage, int precision) {
    mudpt_clip_config c = odd_config;
    c.vision.layers = c.text.layers = 1;
    c.storage = storage;
    c.precision = precision;
    c.text_side = MUDPT_TEXT_ROWS;
    mudpt_clip *clip = NULL;
    TRY(mudpt_clip_create(&c, &clip));
    int side = c.image / c.patch, dv = c.vision.width, dt = c.text.width;
    const struct {
        const char *name;
        int32_t shape[4];
        int dims;
    } tensors[] = {
        {"visual.conv1.weight", {dv, 3, c.patch, c.patch}, 4},
        {"visual.class_embedding", {dv}, 1},
        {"visual.positional_embedding", {1 + side * side, dv}, 2},
        {"visual.ln_pre.weight", {dv}, 1},
        {"visual.ln_pre.bias", {dv}, 1},
        {"visual.ln_post.weight", {dv}, 1},
        {"visual.ln_post.bias", {dv}, 1},
        {"visual.proj", {dv, c.embed}, 2},
        {"positional_embedding", {c.context, dt}, 2},
        {"ln_final.weight", {dt}, 1},
        {"ln_final.bias", {dt}, 1},
        {"text_projection", {dt, c.embed}, 2},
        {"logit_scale", {1}, 0},
    };
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++)
        send_with_retries(clip, tensors[i].name, MUDPT_F32, tensors[i].shape, tensors[i].dims);
    for (int tower = 0; tower < 2; tower++) {
        int d = tower ? dt : dv, mlp = tower ? c.text.mlp : c.vision.mlp, type = tower ? MUDPT_F32 : MUDPT_I8;
        const struct {
            const char *leaf;
            int32_t shape[2];
            int dims;
        } block[] = {
            {"attn.in_proj_weight", {3 * d, d}, 2},
            {"attn.in_proj_bias", {3 * d}, 1},
            {"attn.out_proj.weight", {d, d}, 2},
            {"attn.out_proj.bias", {d}, 1},
            {"ln_1.weight", {d}, 1},
            {"ln_1.bias", {d}, 1},
            {"ln_2.weight", {d}, 1},
            {"ln_2.bias", {d}, 1},
            {"mlp.c_fc.weight", {mlp, d}, 2},
            {"mlp.c_fc.bias", {mlp}, 1},
            {"mlp.c_proj.weight", {d, mlp}, 2},
            {"mlp.c_proj.bias", {d}, 1},
        };
        for (size_t i = 0; i < sizeof block / sizeof *block; i++) {
            char name[96], scales[112];
            snprintf(name, sizeof name, "%stransformer.resblocks.0.%s", tower ? "" : "visual.", block[i].leaf);
            snprintf(scales, sizeof scales, "%s_scale", name);
            int is_int8 = type == MUDPT_I8 && block[i].dims == 2;
            send_with_retries(clip, name, is_int8 ? MUDPT_I8 : MUDPT_F32, block[i].shape, block[i].dims);
            if (!is_int8) continue;
            float *ones = own((size_t)block[i].shape[0] * sizeof *ones);
            for (int k = 0; k < block[i].shape[0]; k++) ones[k] = 0.01f;
            TRY(mudpt_clip_tensor_begin(clip, scales, MUDPT_F32, block[i].shape, 1));
            TRY(mudpt_clip_tensor_bytes(clip, ones, (size_t)block[i].shape[0] * sizeof *ones));
            TRY(mudpt_clip_tensor_end(clip));
            __real_free(ones);
        }
    }
    TRY(mudpt_clip_finish(clip));
    float row[64];
    for (int id = 0; id < 70 && id < c.vocab; id++) {
        for (int i = 0; i < dt; i++) row[i] = (float)random_normal();
        TRY(mudpt_clip_token(clip, id, MUDPT_F32, row));
        CHECK(mudpt_clip_has_token(clip, id), "row %d is not there", id);
    }
    float distances[64];
    TRY(mudpt_clip_token_distances(clip, row, distances));
    add_to_hash(distances, (size_t)c.vocab * sizeof *distances);
    add_to_hash(mudpt_clip_fingerprint(clip), 16);
    size_t bytes = mudpt_clip_weight_bytes(clip);
    add_to_hash(&bytes, sizeof bytes);
    mudpt_clip_free(clip);
}

static void load_f32(void) {
    load(MUDPT_F32, MUDPT_HIGH);
}

static void load_fast(void) {
    load(MUDPT_I16, MUDPT_FAST);
}

/* Apart, since it takes its time: that is what it measures. */
static void measure_fast(void) {
    float gain;
    TRY(mudpt_fast_gain(&gain));
}

static uint8_t *read_file(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        printf("%s is not there; run from the top of the tree\n", path);
        exit(3);
    }
    uint8_t *data = own(1 << 20);
    *bytes = fread(data, 1, 1 << 20, file);
    fclose(file);
    return data;
}

static const char *const pictures[] = {
    "tests/golden/preprocess/images/drawn.bmp",  "tests/golden/preprocess/images/half-chroma.jpg",
    "tests/golden/preprocess/images/drawn.gif",  "tests/golden/preprocess/images/palette.png",
    "tests/golden/preprocess/images/turned.jpg", "tests/golden/preprocess/images/sixteen-grey.png",
};
enum { FILES = sizeof pictures / sizeof *pictures };

static void decode(void) {
    for (int i = 0; i < FILES; i++) {
        size_t bytes;
        uint8_t *file = read_file(pictures[i], &bytes), view[3 * 32 * 32];
        mudpt_image *image = NULL, *copy = NULL;
        TRY(mudpt_image_decode(file, bytes, 1, &image));
        int width = mudpt_image_width(image), height = mudpt_image_height(image);
        add_to_hash(mudpt_image_rgb(image), 3 * (size_t)width * (size_t)height);
        TRY(mudpt_image_from_pixels(mudpt_image_rgb(image), width, height, 3, &copy));
        TRY(mudpt_image_test_view(copy, NULL, 32, view));
        add_to_hash(view, sizeof view);
        TRY(mudpt_image_crop_view(copy, 1, 2, height / 2, width / 2, 1, 32, view));
        add_to_hash(view, sizeof view);
        mudpt_image_free(image);
        mudpt_image_free(copy);
        __real_free(file);
    }
}

/* Classifies, trains with a measurement between two steps, and takes what a file of the classifier would hold. */
static void train(const mudpt_method *method, int augment) {
    enum { CLASSES = 3, MOST = 6 };
    const mudpt_train_config config = {
        .epochs = 1, .batch = 2, .warmup_rate = 1e-3f, .augment = augment, TINY_TRAINING};
    static float pixels[MOST * 3 * 24 * 24], logits[MOST * CLASSES], features[CLASSES * 20];
    tiny_sentences s;
    mudpt_classifier *classifier = NULL;
    mudpt_trainer *trainer = NULL;
    TRY(mudpt_set_threads(2));
    random_state = 8;
    for (size_t i = 0; i < sizeof pixels / sizeof *pixels; i++) pixels[i] = (float)random_normal();
    make_sentences(&s, &odd_config, method->text_length, CLASSES, 1, 1);
    TRY(mudpt_classifier_create(shared_clip, method, &s.view, CLASSES, &classifier));
    TRY(mudpt_classifier_init(classifier, 5, NULL, 0));
    TRY(mudpt_classifier_logits(classifier, pixels, 1, logits, NULL));
    add_to_hash(logits, CLASSES * sizeof *logits);
    TRY(mudpt_trainer_create(classifier, &config, &trainer));
    for (int i = 0; i < 4; i++) {
        size_t bytes;
        uint8_t *file = read_file(pictures[i], &bytes);
        TRY(mudpt_trainer_add(trainer, file, bytes, i % CLASSES));
        __real_free(file);
    }
    for (int i = 0; i < 70; i++) { /* beyond the room that there is at first */
        mudpt_image *image = NULL;
        TRY(mudpt_image_from_pixels((const uint8_t *)pixels, 5, 4, 3, &image));
        if (i < 2) TRY(mudpt_trainer_add_image(trainer, image, i));
        else if (i > 67) CHECK(mudpt_trainer_add_image(trainer, image, CLASSES) == MUDPT_ARGUMENT, "label %d", CLASSES);
        mudpt_image_free(image);
    }
    add_to_hash(mudpt_trainer_pictures(trainer), 16);
    for (int step = 0;; step++) {
        mudpt_progress progress = {0};
        int done = 0;
        TRY(done = mudpt_trainer_step(trainer, &progress));
        if (done == MUDPT_DONE) break;
        add_to_hash(&progress, sizeof progress);
        if (step != 1) continue;
        /* More pictures at once than training has memory for: where they are refused, training goes on without. */
        int before = atomic_load(&failed), code = mudpt_classifier_logits(classifier, pixels, MOST, logits, NULL);
        CHECK(code == MUDPT_OK || (code == MUDPT_MEMORY && atomic_load(&failed) > before), "code %d", code);
        if (code != MUDPT_MEMORY) continue;
        first_to_fail = 0;
        refusals++;
    }
    mudpt_trainer_free(trainer);
    TRY(mudpt_classifier_logits(classifier, pixels, 2, logits, NULL));
    add_to_hash(logits, 2 * CLASSES * sizeof *logits);
    if (strcmp(method->method, "cocoop")) {
        TRY(mudpt_classifier_text_features(classifier, features));
        add_to_hash(features, sizeof features);
        TRY(mudpt_classifier_fold(classifier, NULL, NULL, NULL));
    }
    for (int i = 0; i < mudpt_classifier_parameters(classifier); i++) {
        mudpt_parameter p;
        TRY(mudpt_classifier_parameter(classifier, i, &p));
        add_to_hash(p.value, (size_t)p.count * sizeof *p.value);
    }
    mudpt_classifier_free(classifier);
    int32_t chosen[4] = {0};
    TRY(mudpt_sample_shots((const int32_t[]){1, 0, 1, 1}, 4, 2, 1, 3, chosen));
    add_to_hash(chosen, sizeof chosen);
    TRY(mudpt_set_threads(1));
}

/* What CLIP's family keeps beside CLIP: sentences that are filled up and their ends, poolings, tables of places. */
static void train_family(void) {
    enum { CLASSES = 3 };
    static float pixels[2 * 3 * 26 * 26], logits[2 * CLASSES];
    const mudpt_method method = {
        .method = "ivlp", .text_length = 2, .text_depth = 2, .visual_length = 2, .visual_depth = 2};
    for (size_t i = 0; i < sizeof pixels / sizeof *pixels; i++) pixels[i] = (float)random_normal();
    for (int f = 0; f < FAMILY; f++) {
        tiny_sentences s;
        mudpt_classifier *classifier = NULL;
        float loss;
        make_sentences(&s, &family_configs[f], method.text_length, CLASSES, 1, 1);
        TRY(mudpt_classifier_create(shared_family[f], &method, &s.view, CLASSES, &classifier));
        TRY(mudpt_classifier_init(classifier, 5, NULL, 0));
        TRY(mudpt_classifier_logits(classifier, pixels, 2, logits, NULL));
        add_to_hash(logits, sizeof logits);
        TRY(mudpt_classifier_gradients(classifier, pixels, (const int32_t[]){2, 0}, 2, &loss, logits));
        add_to_hash(&loss, sizeof loss);
        mudpt_classifier_free(classifier);
    }
}

/* More than a trainer keeps decoded: the file is kept instead. A refused one leaves no trace in the run's digits. */
static void train_on_large(void) {
    enum { WIDTH = 8192, HEIGHT = 2800, HEADER = 62, STRIDE = WIDTH / 8, BYTES = HEADER + STRIDE * HEIGHT };
    const mudpt_train_config config = {.epochs = 1, .batch = 1, .rate = 0.1f, .smallest_crop = 1};
    const mudpt_method method = {.method = "vpt", .visual_length = 2, .visual_depth = 2};
    const uint32_t header[] = {BYTES, 0, HEADER, 40, WIDTH, HEIGHT, 1 << 16 | 1};
    uint8_t *file = own(BYTES);
    tiny_sentences s;
    mudpt_classifier *classifier = NULL;
    mudpt_trainer *trainer = NULL;
    memset(file, 0, BYTES);
    memcpy(file, "BM", 2);
    for (size_t i = 0; i < sizeof header / sizeof *header; i++) memcpy(file + 2 + 4 * i, &header[i], 4);
    file[28] = 1;
    for (int i = HEADER; i < BYTES; i++) file[i] = (uint8_t)(i * 7);
    make_sentences(&s, &odd_config, 0, 3, 1, 0);
    TRY(mudpt_classifier_create(shared_clip, &method, &s.view, 3, &classifier));
    TRY(mudpt_classifier_init(classifier, 5, NULL, 0));
    TRY(mudpt_trainer_create(classifier, &config, &trainer));
    TRY(mudpt_trainer_add(trainer, file, BYTES, 1));
    add_to_hash(mudpt_trainer_pictures(trainer), 16);
    mudpt_trainer_free(trainer);
    mudpt_classifier_free(classifier);
    __real_free(file);
}

static void train_mudpt(void) {
    train(&(mudpt_method){.method = "mudpt",
                          .text_length = 2,
                          .text_depth = 2,
                          .visual_length = 2,
                          .visual_depth = 2,
                          .layer0_fusion = 1},
          1);
}

static void train_light(void) {
    train(
        &(mudpt_method){.method = "uumudpt", .text_length = 2, .text_depth = 2, .visual_length = 2, .visual_depth = 2},
        1);
}

static void train_cocoop(void) {
    train(&(mudpt_method){.method = "cocoop", .text_length = 2, .text_depth = 1}, 0);
}

static void train_coop(void) {
    train(
        &(mudpt_method){.method = "coop", .text_length = 2, .text_depth = 1, .class_position = 1, .class_specific = 1},
        0);
}

static void classify_ensemble(void) {
    static float pixels[2 * 3 * 24 * 24], logits[2 * 3];
    tiny_sentences s;
    mudpt_classifier *classifier = NULL;
    make_sentences(&s, &odd_config, 0, 3, 2, 0);
    TRY(mudpt_classifier_create(shared_clip, &(mudpt_method){.method = "zeroshot"}, &s.view, 3, &classifier));
    TRY(mudpt_classifier_logits(classifier, pixels, 2, logits, NULL));
    add_to_hash(logits, sizeof logits);
    mudpt_classifier_free(classifier);
}

/* Every head from its making to its answers; a step asks for no memory. */
static void use_heads(void) {
    enum { CLASSES = 3, E = 12, D = 16, PICTURES = 9, VIEWS = 2 };
    static float templates[CLASSES * E], projection[D * E], rows[VIEWS * PICTURES * D], logits[PICTURES * CLASSES];
    int32_t labels[PICTURES];
    for (int i = 0; i < CLASSES * E; i++) templates[i] = (float)random_normal();
    for (int i = 0; i < D * E; i++) projection[i] = (float)random_normal();
    for (int i = 0; i < VIEWS * PICTURES * D; i++) rows[i] = (float)random_normal();
    for (int i = 0; i < PICTURES; i++) labels[i] = i % CLASSES;
    TRY(mudpt_set_threads(2));
    for (int i = 0; mudpt_head_name(i); i++) {
        const char *name = mudpt_head_name(i);
        int tip = !strncmp(name, "tip", 3), gda = !strcmp(name, "gda"), lpp = !strcmp(name, "lp++");
        int unprojected = !strcmp(name, "prolip") || !strcmp(name, "ridge") || !strcmp(name, "logistic");
        int batches = !strcmp(name, "tip-f") || !strcmp(name, "clap");
        int rated = batches || !strcmp(name, "prolip") || !strcmp(name, "logistic");
        mudpt_head_config config = {.method = name,
                                    .classes = CLASSES,
                                    .templates = 1,
                                    .width = E,
                                    .before = unprojected ? D : 0,
                                    .pictures = PICTURES,
                                    .views = VIEWS,
                                    .scale = lpp ? 0 : 4,
                                    .alpha = tip || gda,
                                    .beta = tip,
                                    .lambda = unprojected ? 0.1f : 0,
                                    .rate = rated ? 0.01f : 0,
                                    .epochs = rated || lpp ? 2 : 0,
                                    .batch = batches ? 4 : 0};
        mudpt_head *head = NULL, *other = NULL;
        mudpt_progress progress;
        TRY(mudpt_head_create(&config, templates, unprojected ? projection : NULL, rows, labels, &head));
        long before_steps = atomic_load(&asked);
        int code;
        while ((code = mudpt_head_step(head, NULL, 0, &progress)) == MUDPT_OK) add_to_hash(&progress.loss, 4);
        CHECK(code == MUDPT_DONE && atomic_load(&asked) == before_steps, "%s: code %d, %ld allocations in its steps",
              name, code, atomic_load(&asked) - before_steps);
        TRY(mudpt_head_logits(head, rows, PICTURES, logits));
        add_to_hash(logits, sizeof logits);
        if (tip || gda || !strcmp(name, "prolip")) TRY(mudpt_head_create_new(head, templates, 2, &other));
        mudpt_head_free(other);
        mudpt_head_free(head);
    }
    TRY(mudpt_set_threads(1));
}

/* ------------------------------------------------------------------------------------------------ every allocation */

enum { FAULTLESS = 2 }; /* exit status: there were fewer allocations */

typedef struct {
    uint64_t hash;
    long live, asked;
    int refused, checks;
} outcome;

/* One run in a process of its own; its status, or -1 where it crashed. */
static int run_once(void (*scenario)(void), long first, int following, outcome *out) {
    fflush(stdout);
    pid_t child = fork();
    if (child < 0) abort();
    if (child == 0) {
        checks_passed = checks_failed = 0;
        random_state = 21;
        hash = 14695981039346656037ULL;
        long before = atomic_load(&live);
        atomic_store(&asked, 0);
        atomic_store(&failed, 0);
        first_to_fail = first;
        all_that_follow = following;
        scenario();
        first_to_fail = 0;
        *out = (outcome){hash, atomic_load(&live) - before, atomic_load(&asked), refusals, checks_passed};
        exit(checks_failed ? 1 : first && !atomic_load(&failed) ? FAULTLESS : 0);
    }
    int status;
    if (waitpid(child, &status, 0) != child) abort();
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int main(void) {
    static const struct {
        const char *name;
        void (*run)(void);
    } scenarios[] = {
        {"loading f32 and int8", load_f32},
        {"loading for integer products", load_fast},
        {"measuring integer products", measure_fast},
        {"decoding", decode},
        {"an ensemble of sentences", classify_ensemble},
        {"a large picture", train_on_large},
        {"mudpt", train_mudpt},
        {"uumudpt", train_light},
        {"coop, a context a class", train_coop},
        {"cocoop", train_cocoop},
        {"the rest of the family", train_family},
        {"heads", use_heads},
    };
    outcome *out = mmap(NULL, sizeof *out, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (out == MAP_FAILED) abort();
    shared_clip = tiny_clip(&odd_config, 1);
    for (int f = 0; f < FAMILY; f++) shared_family[f] = tiny_clip(&family_configs[f], 1);
    CHECK(shared_clip != NULL, "%s", mudpt_last_error());
    if (!shared_clip) return check_report();
    long injected = 0, refused = 0;
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        outcome whole;
        CHECK(run_once(scenarios[i].run, 0, 0, out) == 0, "%s: fails without any failure", scenarios[i].name);
        whole = *out;
        /* In short each allocation fails alone. */
        for (int following = 0; following < (is_short() ? 1 : 2); following++) {
            long k = 1;
            for (;; k++) {
                *out = (outcome){0};
                int status = run_once(scenarios[i].run, k, following, out);
                if (status == FAULTLESS) break;
                injected++;
                refused += out->refused;
                CHECK(status == 0, "%s: allocation %ld%s fails: status %d", scenarios[i].name, k,
                      following ? " and all that follow" : "", status);
                CHECK(status || out->hash == whole.hash, "%s: allocation %ld fails: other numbers", scenarios[i].name,
                      k);
                CHECK(status || out->live <= whole.live, "%s: allocation %ld fails: %ld blocks are left, not %ld",
                      scenarios[i].name, k, out->live, whole.live);
                if (k > 100000) abort();
            }
            CHECK(k > 1, "%s: asks for no memory", scenarios[i].name);
        }
    }
    for (int f = 0; f < FAMILY; f++) mudpt_clip_free(shared_family[f]);
    mudpt_clip_free(shared_clip);
    printf("allocation failures: %ld injected, %ld refused, %ld done without\n", injected, refused, injected - refused);
    return check_report();
}
