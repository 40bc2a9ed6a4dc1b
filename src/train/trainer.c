/* A training run: epochs over shuffled pictures, a fresh view of each, one SGD step a batch.
 *
 * Every random choice follows from the seed and its place in the run (epoch, step, position in the batch), so where a
 * run stands is two numbers.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/format.h"
#include "base/parallel.h"
#include "image/image.h"
#include "classifier.h"

/* Decoded pictures are kept up to this size in all; others are decoded at every use. */
enum { DECODED_BYTES = 64 << 20 };
/* A picture that was given as pixels is kept as pixels, but of no more bytes than this. */
enum { PIXEL_BYTES = 512 << 10 };

/* Streams of the seed: parameters use small numbers, these lie far above. */
#define ORDER_STREAM (1ULL << 40)
#define VIEW_STREAM (1ULL << 41)

typedef struct {
    void *file; /* NULL where the decoded picture is kept */
    size_t bytes;
    mudpt_image *image;
    int32_t label;
} example;

struct mudpt_trainer {
    live live;
    mudpt_classifier *classifier;
    mudpt_train_config config;
    example *examples;
    int count, room;
    size_t decoded;  /* bytes of kept pictures */
    size_t filed;    /* of kept files */
    int32_t *order;  /* [count] of this epoch */
    float *pixels;   /* [batch, 3, image, image] */
    float *good;     /* parameters of the last step whose loss was finite */
    int32_t *labels; /* [batch] */
    int *fresh;      /* [batch] the batch's pictures that must be prepared */
    int *codes;      /* [batch] what preparing each of them returned */
    int frozen;      /* the loss compares with the frozen model's features of pictures */
    /* [count, e] features of pictures that nothing changes (frozen: that model's); NULL where something does */
    float *units;
    float *batch_units; /* [batch, e] those of the batch */
    char *known;        /* [count] whether units has the picture */
    /* Where prompts enter higher up: what they meet, [batch, classifier_below_count]; the same of each picture, [count]
     * addresses, NULL where it is not kept; bytes of these */
    float *batch_rows, **rows;
    double kept;
    int batch, steps_each; /* as they are with this many pictures */
    int epoch, step;       /* next step, within its epoch */
    int prepared;          /* whether pixels are those of the batch's pictures */
    int begun, done;       /* whether the next step has begun, and how many of its pictures are done */
    double loss;           /* the sum of theirs */
    int ordered;           /* the epoch that order belongs to; -1: none yet */
    uint64_t hash;         /* FNV-1a of the pictures and labels so far */
    char pictures[17];     /* the same as text */
};

static void hash_bytes(uint64_t *hash, const void *data, size_t bytes) {
    const uint8_t *at = data;
    for (size_t i = 0; i < bytes; i++) *hash = (*hash ^ at[i]) * 1099511628211ULL;
}

static void hash_example(mudpt_trainer *t, const mudpt_image *image, int32_t label) {
    const int32_t sizes[] = {label, image->width, image->height};
    hash_bytes(&t->hash, sizes, sizeof sizes);
    hash_bytes(&t->hash, image->rgb, 3 * (size_t)image->width * (size_t)image->height);
}

int mudpt_trainer_create(mudpt_classifier *classifier, const mudpt_train_config *config, mudpt_trainer **out) {
    const mudpt_train_config *c = config;
    if (classifier_check(classifier)) return MUDPT_STATE;
    if (classifier->trainer) return fail(MUDPT_STATE, "the classifier has a trainer already; free that one first");
    if (c->epochs < 1 || c->epochs > 100000) return fail(MUDPT_ARGUMENT, "%d epochs; expected 1 to 100000", c->epochs);
    if (c->batch < 1 || c->batch > MUDPT_MAX_BATCH)
        return fail(MUDPT_ARGUMENT, "batch size %d; expected 1 to %d", c->batch, MUDPT_MAX_BATCH);
    if (!(c->rate > 0 && c->rate <= 1000))
        return fail(MUDPT_ARGUMENT, "learning rate %g; expected above 0, at most 1000", (double)c->rate);
    if (!(c->warmup_rate >= 0 && c->warmup_rate <= 1000))
        return fail(MUDPT_ARGUMENT, "warm-up rate %g; expected 0 to 1000", (double)c->warmup_rate);
    if (!(c->momentum >= 0 && c->momentum < 1))
        return fail(MUDPT_ARGUMENT, "momentum %g; expected 0 to below 1", (double)c->momentum);
    if (!(c->decay >= 0 && c->decay <= 1))
        return fail(MUDPT_ARGUMENT, "weight decay %g; expected 0 to 1", (double)c->decay);
    if (!(c->smallest_crop > 0 && c->smallest_crop <= 1))
        return fail(MUDPT_ARGUMENT, "smallest crop %g; expected a share of the area above 0, at most 1",
                    (double)c->smallest_crop);
    if (!(c->keep >= 0)) return fail(MUDPT_ARGUMENT, "%g bytes to keep; expected 0 or more", (double)c->keep);
    if (classifier->state.sizes.averages &&
        !(fabsf(c->average_mean) <= 1e6f && c->average_deviation > 0 && c->average_deviation <= 1e6f))
        return fail(MUDPT_ARGUMENT, "an average about epoch %g, deviation %g; expected above 0, both at most 1000000",
                    (double)c->average_mean, (double)c->average_deviation);
    int code = classifier_open_training(classifier, c->batch);
    if (code) return code;
    if (classifier->state.average) memset(classifier->state.average, 0, classifier->state.total * sizeof(float));
    mudpt_trainer *t = calloc(1, sizeof *t);
    if (!t) return fail_memory(sizeof *t, "a trainer");
    t->classifier = classifier;
    t->config = *config;
    live_add(&t->live, LIVE_TRAINER);
    classifier->trainer = t;
    t->frozen = anchor_needs_pictures(classifier);
    t->ordered = -1;
    t->hash = 14695981039346656037ULL;
    size_t side = (size_t)classifier->clip->config.image, batch = (size_t)c->batch,
           bytes = size_times(batch, 3 * side * side * sizeof(float));
    t->pixels = malloc(bytes);
    t->labels = malloc(batch * sizeof *t->labels);
    t->fresh = malloc(batch * sizeof *t->fresh);
    t->codes = malloc(batch * sizeof *t->codes);
    t->good = malloc(classifier->state.total * sizeof *t->good);
    if (!t->pixels || !t->labels || !t->fresh || !t->codes || !t->good) {
        mudpt_trainer_free(t);
        return fail_memory(bytes, "a batch of pictures");
    }
    memcpy(t->good, classifier->state.values, classifier->state.total * sizeof *t->good);
    *out = t;
    return MUDPT_OK;
}

void mudpt_trainer_free(mudpt_trainer *t) {
    if (!live_is(t, LIVE_TRAINER)) return;
    live_remove(&t->live);
    t->classifier->trainer = NULL;
    t->classifier->busy = 0;
    if (t->classifier->freed) classifier_release(t->classifier);
    for (int i = 0; i < t->count; i++) {
        if (t->rows) aligned_release(t->rows[i]);
        free(t->examples[i].file);
        mudpt_image_free(t->examples[i].image);
    }
    free(t->examples);
    free(t->order);
    free(t->pixels);
    free(t->good);
    free(t->labels);
    free(t->fresh);
    free(t->codes);
    free(t->rows);
    aligned_release(t->batch_rows);
    aligned_release(t->units);
    aligned_release(t->batch_units);
    free(t->known);
    free(t);
}

/* -> MUDPT_OK, MUDPT_STATE */
static int check_trainer(const mudpt_trainer *t) {
    if (live_check(t, LIVE_TRAINER)) return MUDPT_STATE;
    if (t->classifier->freed) return fail(MUDPT_STATE, "the classifier has been freed; free its trainer, too");
    return MUDPT_OK;
}

static int check_add(mudpt_trainer *t, int label) {
    if (check_trainer(t)) return MUDPT_STATE;
    if (t->epoch || t->step || t->begun) return fail(MUDPT_STATE, "pictures cannot be added once training has begun");
    if (label < 0 || label >= t->classifier->classes)
        return fail(MUDPT_ARGUMENT, "label %d; expected 0 to %d", label, t->classifier->classes - 1);
    if (t->count < t->room) return MUDPT_OK;
    int room = t->room ? 2 * t->room : 64;
    example *examples = realloc(t->examples, (size_t)room * sizeof *examples);
    if (!examples) return fail_memory((size_t)room * sizeof *examples, "the list of pictures");
    t->examples = examples;
    int32_t *order = realloc(t->order, (size_t)room * sizeof *order);
    if (!order) return fail_memory((size_t)room * sizeof *order, "the list of pictures");
    t->order = order;
    t->room = room;
    return MUDPT_OK;
}

static size_t decoded_bytes(const mudpt_image *image) {
    return 3 * (size_t)image->width * (size_t)image->height;
}

int mudpt_trainer_add(mudpt_trainer *t, const void *file, size_t bytes, int label) {
    int code = check_add(t, label);
    if (code) return code;
    example e = {.bytes = bytes, .label = label};
    code = mudpt_image_decode(file, bytes, t->config.how, &e.image);
    if (code) return code;
    if (t->decoded + decoded_bytes(e.image) > DECODED_BYTES) {
        e.file = malloc(bytes);
        if (!e.file) {
            mudpt_image_free(e.image);
            return fail_memory(bytes, "a picture");
        }
        memcpy(e.file, file, bytes);
        t->filed += bytes;
    }
    hash_example(t, e.image, label);
    if (e.file) {
        mudpt_image_free(e.image);
        e.image = NULL;
    } else {
        t->decoded += decoded_bytes(e.image);
    }
    t->examples[t->count++] = e;
    return MUDPT_OK;
}

static int pieces_of(int length, int piece) {
    return (length + piece - 1) / piece;
}

/* A copy; of a large picture each square of k x k pixels becomes their mean, as PIL's reduce(k) does. */
static int copy_bounded(const mudpt_image *image, mudpt_image **out) {
    int k = 1, width = image->width, height = image->height;
    while (3 * (size_t)pieces_of(width, k) * (size_t)pieces_of(height, k) > PIXEL_BYTES) k++;
    if (k == 1) return mudpt_image_from_pixels(image->rgb, width, height, 3, out);
    int columns = pieces_of(width, k), rows = pieces_of(height, k);
    size_t bytes = 3 * (size_t)columns * (size_t)rows;
    uint8_t *rgb = malloc(bytes);
    if (!rgb) return fail_memory(bytes, "a picture");
    for (int row = 0; row < rows; row++)
        for (int column = 0; column < columns; column++) {
            unsigned sum[3] = {0}, count = 0;
            for (int y = row * k; y < (row + 1) * k && y < height; y++)
                for (int x = column * k; x < (column + 1) * k && x < width; x++, count++) {
                    const uint8_t *pixel = image->rgb + 3 * ((size_t)y * (size_t)width + (size_t)x);
                    for (int c = 0; c < 3; c++) sum[c] += pixel[c];
                }
            uint8_t *mean = rgb + 3 * ((size_t)row * (size_t)columns + (size_t)column);
            for (int c = 0; c < 3; c++) mean[c] = (uint8_t)((sum[c] + count / 2) / count);
        }
    int code = mudpt_image_from_pixels(rgb, columns, rows, 3, out);
    free(rgb);
    return code;
}

int mudpt_trainer_add_image(mudpt_trainer *t, const mudpt_image *image, int label) {
    int code = check_add(t, label);
    if (code) return code;
    example e = {.label = label};
    code = copy_bounded(image, &e.image);
    if (code) return code;
    t->decoded += decoded_bytes(e.image);
    hash_example(t, e.image, label);
    t->examples[t->count++] = e;
    return MUDPT_OK;
}

size_t mudpt_trainer_bytes(const mudpt_trainer *t) {
    return live_is(t, LIVE_TRAINER) ? t->decoded + t->filed : 0;
}

const char *mudpt_trainer_pictures(mudpt_trainer *t) {
    if (!live_is(t, LIVE_TRAINER)) return "";
    format_text(t->pictures, sizeof t->pictures, "%08x%08x", (unsigned)(t->hash >> 32),
                (unsigned)(t->hash & 0xffffffff));
    return t->pictures;
}

/* Batches of an epoch, as they are with the pictures that were added. */
static void set_batches(mudpt_trainer *t) {
    t->batch = t->config.batch < t->count ? t->config.batch : t->count;
    t->steps_each = t->count / t->batch;
}

void mudpt_trainer_place(const mudpt_trainer *t, int32_t *epoch, int32_t *step) {
    int is_live = live_is(t, LIVE_TRAINER);
    *epoch = is_live ? t->epoch : 0;
    *step = is_live ? t->step : 0;
}

int mudpt_trainer_resume(mudpt_trainer *t, int epoch, int step) {
    if (check_trainer(t)) return MUDPT_STATE;
    if (t->count == 0) return fail(MUDPT_STATE, "there are no pictures to train on");
    if (t->epoch || t->step || t->begun) return fail(MUDPT_STATE, "a run that has begun cannot be put elsewhere");
    set_batches(t);
    int done = epoch == t->config.epochs, steps = done ? 1 : t->steps_each;
    if (epoch < 0 || epoch > t->config.epochs || step < 0 || step >= steps)
        return fail(MUDPT_ARGUMENT, "step %d of epoch %d does not exist; there are %d epochs of %d steps, from 0", step,
                    epoch, t->config.epochs, t->steps_each);
    t->epoch = epoch;
    t->step = step;
    memcpy(t->good, t->classifier->state.values, t->classifier->state.total * sizeof *t->good);
    return MUDPT_OK;
}

/* One picture of those to prepare: a random view, or the test transform. */
static void prepare_picture(void *context, int index, int thread) {
    (void)thread;
    mudpt_trainer *t = context;
    const mudpt_clip *clip = t->classifier->clip;
    const example *e = &t->examples[t->fresh[index]];
    size_t side = (size_t)clip->config.image;
    float *out = t->pixels + (size_t)index * 3 * side * side;
    mudpt_image *decoded = NULL;
    int code = e->image ? MUDPT_OK : mudpt_image_decode(e->file, e->bytes, t->config.how, &decoded);
    const mudpt_image *image = e->image ? e->image : decoded;
    if (!code && t->config.augment) {
        uint64_t place =
            ((uint64_t)t->epoch * (uint64_t)t->steps_each + (uint64_t)t->step) * (uint64_t)t->batch + (uint64_t)index;
        rng r;
        rng_seed(&r, t->config.seed, VIEW_STREAM + place);
        image_box box = image_random_box(image->width, image->height, t->config.smallest_crop, &r);
        code = mudpt_clip_crop_pixels(clip, image, box.top, box.left, box.height, box.width, box.flip, out);
    } else if (!code) {
        code = mudpt_clip_test_pixels(clip, image, out);
    }
    mudpt_image_free(decoded);
    t->codes[index] = code;
}

/* Pictures that are neither seen in random views nor through trained prompts keep their features, and in the loss the
 * frozen model's: memory for them. */
static int open_units(mudpt_trainer *t) {
    size_t row = (size_t)t->classifier->clip->config.embed * sizeof(float);
    if (t->units || t->config.augment || !classifier_keeps_pictures(t->classifier)) return MUDPT_OK;
    if (!t->known) t->known = calloc((size_t)t->count, 1);
    if (!t->known) return fail_memory((size_t)t->count, "a list of the pictures");
    if (!t->batch_units) t->batch_units = aligned_take((size_t)t->batch * row, "the features of a batch");
    if (t->batch_units) t->units = aligned_take(size_times((size_t)t->count, row), "the pictures' features");
    return t->units ? MUDPT_OK : MUDPT_MEMORY;
}

/* Where prompts enter higher up: memory for what they meet in a batch, and where that stays the same, for what is kept
 * of it. */
static int open_rows(mudpt_trainer *t) {
    size_t row = size_times(classifier_below_count(t->classifier), sizeof(float));
    if (!row) return MUDPT_OK;
    if (!t->batch_rows) t->batch_rows = aligned_take(size_times((size_t)t->batch, row), "rows of a batch");
    if (!t->batch_rows) return MUDPT_MEMORY;
    if (!t->rows && !t->config.augment) t->rows = calloc((size_t)t->count, sizeof *t->rows);
    return MUDPT_OK;
}

/* Whether what prompts meet of every picture of the batch is kept. */
static int all_kept(const mudpt_trainer *t, const int32_t *batch) {
    for (int i = 0; i < t->batch; i++)
        if (!t->rows || !t->rows[batch[i]]) return 0;
    return 1;
}

/* What prompts meet in the next group of the batch: kept, or computed and, within what may be, kept. */
static void prepare_rows(mudpt_trainer *t, int first, int count) {
    const int32_t *batch = t->order + t->step * t->batch;
    size_t below = classifier_below_count(t->classifier), side = (size_t)t->classifier->clip->config.image;
    for (int i = first, run; i < first + count; i += run ? run : 1) {
        float *rows = t->batch_rows + (size_t)i * below;
        for (run = 0; i + run < first + count && !(t->rows && t->rows[batch[i + run]]);) run++;
        if (run) classifier_below(t->classifier, t->pixels + (size_t)i * 3 * side * side, run, rows);
        else memcpy(rows, t->rows[batch[i]], below * sizeof(float));
        for (int k = 0; k < run && t->rows; k++) {
            float **kept = &t->rows[batch[i + k]];
            double bytes = (double)below * sizeof(float);
            if (*kept || t->kept + bytes > (double)t->config.keep) continue;
            if (!(*kept = aligned_take(below * sizeof(float), "rows of a picture"))) continue;
            memcpy(*kept, rows + (size_t)k * below, below * sizeof(float));
            t->kept += bytes;
        }
    }
}

/* The frozen model's features of a group of the batch: known, or computed and kept. */
static void prepare_frozen(mudpt_trainer *t, int first, int count) {
    const int32_t *batch = t->order + t->step * t->batch;
    size_t e = (size_t)t->classifier->clip->config.embed, side = (size_t)t->classifier->clip->config.image;
    size_t below = classifier_below_count(t->classifier);
    for (int i = first, run; i < first + count; i += run ? run : 1) {
        for (run = 0; i + run < first + count && !t->known[batch[i + run]];) run++;
        float *units = t->batch_units + (size_t)i * e;
        const float *rows = below ? t->batch_rows + (size_t)i * below : NULL;
        if (run) classifier_encode_frozen(t->classifier, t->pixels + (size_t)i * 3 * side * side, rows, run, units);
        else memcpy(units, t->units + (size_t)batch[i] * e, e * sizeof(float));
        for (int k = 0; k < run; k++) {
            memcpy(t->units + (size_t)batch[i + k] * e, units + (size_t)k * e, e * sizeof(float));
            t->known[batch[i + k]] = 1;
        }
    }
}

/* Pixels and labels of the next batch; where features are kept, those instead of pixels. */
static int prepare_batch(mudpt_trainer *t) {
    const int32_t *batch = t->order + t->step * t->batch;
    size_t e = (size_t)t->classifier->clip->config.embed;
    int fresh = 0;
    for (int i = 0; i < t->batch; i++) {
        t->labels[i] = t->examples[batch[i]].label;
        if (!t->units || t->frozen || !t->known[batch[i]]) t->fresh[fresh++] = batch[i];
    }
    t->prepared = !all_kept(t, batch);
    if (!t->prepared) return MUDPT_OK;
    parallel_for(fresh, prepare_picture, t);
    for (int i = 0; i < fresh; i++)
        if (t->codes[i]) return t->codes[i];
    if (!t->units || t->frozen) return MUDPT_OK;
    classifier_encode(t->classifier, t->pixels, fresh, t->batch_units);
    for (int i = 0; i < fresh; i++) {
        memcpy(t->units + (size_t)t->fresh[i] * e, t->batch_units + (size_t)i * e, e * sizeof(float));
        t->known[t->fresh[i]] = 1;
    }
    for (int i = 0; i < t->batch; i++)
        memcpy(t->batch_units + (size_t)i * e, t->units + (size_t)batch[i] * e, e * sizeof(float));
    return MUDPT_OK;
}

/* The next step's batch, and its text features. */
static int begin_step(mudpt_trainer *t) {
    set_batches(t);
    if (t->ordered != t->epoch) {
        for (int i = 0; i < t->count; i++) t->order[i] = i;
        rng r;
        rng_seed(&r, t->config.seed, ORDER_STREAM + (uint64_t)t->epoch);
        rng_shuffle(&r, t->order, t->count);
        t->ordered = t->epoch;
    }
    /* Classifying between two steps may have failed to open memory, which left none. */
    int code = classifier_open_training(t->classifier, t->batch);
    if (!code) code = open_units(t);
    if (!code) code = open_rows(t);
    if (!code) code = prepare_batch(t);
    if (!code) code = classifier_gradients_begin(t->classifier, t->labels, t->batch);
    t->begun = !code;
    t->done = 0;
    t->loss = 0;
    return code;
}

/* Where an average is kept, this epoch's share; the last epoch leaves it. */
static void end_epoch(mudpt_trainer *t) {
    const mudpt_train_config *c = &t->config;
    method_state *s = &t->classifier->state;
    if (!s->average) return;
    double mean = (double)c->average_mean, deviation = (double)c->average_deviation;
    mudpt_classifier_average(t->classifier, (float)mudpt_average_weight(c->epochs, mean, deviation, t->epoch));
    if (t->epoch + 1 < c->epochs) return;
    memcpy(s->values, s->average, s->total * sizeof *s->values);
    mudpt_classifier_changed(t->classifier);
}

/* All its pictures are done: the parameters change. */
static int end_step(mudpt_trainer *t, mudpt_progress *out) {
    const mudpt_train_config *c = &t->config;
    method_state *s = &t->classifier->state;
    float loss;
    t->begun = 0;
    const float *pixels = (t->units && !t->frozen) || !t->prepared ? NULL : t->pixels;
    int code = classifier_gradients_end(t->classifier, pixels, t->batch, t->loss, &loss);
    if (code == MUDPT_NOT_FINITE) { /* the step before is to blame */
        memcpy(s->values, t->good, s->total * sizeof *t->good);
        mudpt_classifier_changed(t->classifier);
    }
    if (code) return code;
    memcpy(t->good, s->values, s->total * sizeof *t->good);
    float rate = (float)mudpt_learning_rate((double)c->rate, (double)c->warmup_rate, c->epochs, t->epoch);
    int number = t->epoch * t->steps_each + t->step + 1;
    code = s->square ? mudpt_classifier_adam(t->classifier, rate, c->decay, number)
                     : mudpt_classifier_sgd(t->classifier, rate, c->momentum, c->decay);
    if (code) return code;
    *out = (mudpt_progress){.epoch = t->epoch,
                            .epochs = c->epochs,
                            .step = number,
                            .steps = c->epochs * t->steps_each,
                            .loss = loss,
                            .rate = rate};
    if (++t->step == t->steps_each) {
        t->step = 0;
        end_epoch(t);
        t->epoch++;
    }
    return MUDPT_OK;
}

int mudpt_trainer_advance(mudpt_trainer *t, mudpt_progress *out) {
    if (check_trainer(t)) return MUDPT_STATE;
    if (t->count == 0) return fail(MUDPT_STATE, "there are no pictures to train on");
    if (t->epoch == t->config.epochs) return MUDPT_DONE;
    if (!t->begun) {
        int code = begin_step(t);
        return code ? code : MUDPT_MORE;
    }
    if (t->done == t->batch) return end_step(t, out);
    const float *kept = t->units ? t->batch_units : NULL;
    int left = t->batch - t->done, now = left < t->classifier->work.group ? left : t->classifier->work.group;
    if (t->batch_rows) prepare_rows(t, t->done, now);
    if (t->units && t->frozen) prepare_frozen(t, t->done, now);
    t->done += classifier_gradients_group(t->classifier, t->pixels, t->frozen ? NULL : kept, t->batch_rows,
                                          t->frozen ? kept : NULL, t->labels, t->done, t->batch, NULL, &t->loss);
    return MUDPT_MORE;
}

int mudpt_trainer_step(mudpt_trainer *t, mudpt_progress *out) {
    int code;
    while ((code = mudpt_trainer_advance(t, out)) == MUDPT_MORE) continue;
    return code;
}
