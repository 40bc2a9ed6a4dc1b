/* The table of heads, and what all of them share: a configuration checked, memory taken at once, features taken in,
 * logits and losses chunk by chunk. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/format.h"
#include "base/parallel.h"
#include "kernels/gemm.h"
#include "head.h"

static const head *const heads[] = {&head_sstext, &head_sstext_plus, &head_gda,    &head_tip,   &head_tip_f,
                                    &head_lpp,    &head_clap,        &head_prolip, &head_ridge, &head_logistic};
enum { HEADS = sizeof heads / sizeof *heads };

const char *mudpt_head_name(int index) {
    return index >= 0 && index < HEADS ? heads[index]->name : NULL;
}

/* ------------------------------------------------------------------------------------------------ configuration */

static const head *find(const char *name) {
    char valid[128] = "";
    for (int i = 0; i < HEADS; i++) {
        if (strcmp(heads[i]->name, name) == 0) return heads[i];
        size_t used = strlen(valid);
        format_text(valid + used, sizeof valid - used, "%s%s", i ? ", " : "", heads[i]->name);
    }
    fail(MUDPT_ARGUMENT, "head %.40s is not available; valid: %s", name, valid);
    return NULL;
}

/* Fields, the flag of the methods that have them (0: all), and their range; above 0 where `least` is -1. */
#define FIELD(name) #name, offsetof(mudpt_head_config, name)
static const struct {
    const char *name;
    int offset, flag;
    float least, most;
} fields[] = {{FIELD(classes), 0, 1, MUDPT_MAX_CLASSES},
              {FIELD(templates), 0, 1, 1000},
              {FIELD(width), 0, 1, MUDPT_MAX_WIDTH},
              {FIELD(before), USES_BEFORE, 1, MUDPT_MAX_WIDTH},
              {FIELD(pictures), 0, 0, 1e6f},
              {FIELD(views), 0, 1, 1e4f},
              {FIELD(epochs), USES_EPOCHS, 1, 1e5f},
              {FIELD(steps_each), USES_BATCH, 0, 1e4f},
              {FIELD(batch), USES_BATCH, 1, 1e6f},
              {FIELD(scale), USES_SCALE, -1, 1e6f},
              {FIELD(alpha), USES_ALPHA, 0, 1e6f},
              {FIELD(beta), USES_BETA, 0, 1e6f},
              {FIELD(lambda), USES_LAMBDA, 0, 1e6f},
              {FIELD(rate), USES_RATE, -1, 1000}};
enum { FIELDS = sizeof fields / sizeof *fields, PICTURES = 4, FIRST_FLOAT = 9 };

static int check(const head *kind, const mudpt_head_config *c) {
    for (int i = 0; i < FIELDS; i++) {
        const char *at = (const char *)c + fields[i].offset;
        float value = i < FIRST_FLOAT ? (float)*(const int32_t *)at : *(const float *)at, least = fields[i].least;
        if (fields[i].flag && !(kind->uses & fields[i].flag)) {
            if (value == 0) continue;
            return fail(MUDPT_ARGUMENT, "%s has no %s; it must be 0", kind->name, fields[i].name);
        }
        if (i == PICTURES && kind->uses & NEEDS_PICTURES) least = 1;
        if (!(least < 0 ? value > 0 : value >= least) || value > fields[i].most)
            return fail(MUDPT_ARGUMENT, "%s of %s is %g; expected %s%g to %g", fields[i].name, kind->name,
                        (double)value, least < 0 ? "above " : "", fmax((double)least, 0), (double)fields[i].most);
    }
    double width = c->before > c->width ? c->before : c->width, rows = (double)c->pictures * c->views;
    double values = fmax(c->classes * fmax(width, (double)c->templates * c->width / 2), rows * width);
    if (values <= MUDPT_MAX_TENSOR_VALUES) return MUDPT_OK;
    return fail(MUDPT_ARGUMENT, "%d classes and %g rows have too many values; use fewer classes, templates or views",
                c->classes, rows);
}

/* ------------------------------------------------------------------------------------------------ memory */

static void take(mudpt_head *h) {
    const mudpt_head_config *c = &h->config;
    int classes = c->classes, in = h->in, trained = h->kind->collect && h->rows;
    h->used = 0;
    h->tensor_count = 0;
    h->classes = head_floats(h, classes, c->width);
    h->projection = head_floats(h, c->before, c->width);
    h->support = head_floats(h, h->rows, h->width);
    h->labels = head_take(h, c->pictures, 1, sizeof *h->labels);
    h->counts = head_take(h, classes, 1, sizeof *h->counts);
    h->order = head_take(h, h->rows, 1, sizeof *h->order);
    h->kind->take(h);
    h->directions = head_floats(h, classes, in);
    h->biases = head_floats(h, classes, 1);
    h->ddirections = head_floats(h, trained ? classes : 0, in);
    h->dbiases = head_floats(h, trained ? classes : 0, 1);
    h->index = head_take(h, HEAD_CHUNK, 1, sizeof *h->index);
    h->x = head_floats(h, HEAD_CHUNK, h->width);
    h->u = h->kind->input ? head_floats(h, HEAD_CHUNK, in) : h->x;
    h->logits = head_floats(h, HEAD_CHUNK, classes);
}

/* Scratch of matrix products, for the widest and the longest of them; its bytes. */
static int reserve(const mudpt_head *h, int open, double *bytes) {
    const mudpt_head_config *c = &h->config;
    int e = c->width, in = h->in, before = c->before, keys = h->kind->uses & USES_BETA ? c->pictures : 0;
    const int products[][2] = {{c->classes, in}, {in, HEAD_CHUNK}, {e, HEAD_CHUNK},  {e, before},
                               {e, c->classes},  {c->classes, e},  {before, before}, {keys, e}};
    double right = 0, threads = parallel_threads() * (double)gemm_scratch_bytes();
    int longest = 1, code = MUDPT_OK;
    for (size_t i = 0; i < sizeof products / sizeof *products && !code; i++) {
        int n = products[i][0], k = products[i][1];
        right = fmax(right, 4.0 * (n + 7.0) * k);
        if (k > longest) longest = k;
        if (open && n && k) code = gemm_reserve_dense(n, k);
    }
    *bytes = right + threads + (double)gemm_packed_bytes(longest);
    return code;
}

/* Everything that follows from the configuration; memory is counted. */
static void plan(mudpt_head *h, const head *kind, const mudpt_head_config *config, int given) {
    int pictures = config->pictures, per = 0;
    *h = (mudpt_head){.kind = kind, .config = *config};
    h->config.method = kind->name;
    h->width = config->before ? config->before : config->width;
    h->in = kind == &head_ridge || kind == &head_logistic ? config->before : config->width;
    h->rows = !given ? 0 : kind->uses & FIRST_VIEW ? pictures : pictures * config->views;
    h->steps_each = 1;
    if (kind->uses & USES_BATCH && h->rows) {
        per = kind == &head_tip_f ? (pictures - 1) / config->batch + 1 : pictures / config->batch;
        h->steps_each = config->steps_each ? config->steps_each : per ? per : 1;
    }
    int64_t steps = (int64_t)config->epochs * h->steps_each;
    h->steps = !h->rows || !kind->choose ? 0 : steps > INT32_MAX ? INT32_MAX : (int)steps;
    take(h);
}

double mudpt_head_bytes(const mudpt_head_config *config) {
    const head *kind = find(config->method);
    int code = kind ? check(kind, config) : MUDPT_ARGUMENT;
    if (code) return code;
    mudpt_head h;
    double scratch;
    plan(&h, kind, config, 1);
    reserve(&h, 0, &scratch);
    return (double)sizeof h + (double)h.used + scratch;
}

static int open_head(const head *kind, const mudpt_head_config *config, int given, mudpt_head **out) {
    mudpt_head h;
    double scratch;
    plan(&h, kind, config, given);
    if (h.steps == INT32_MAX)
        return fail(MUDPT_ARGUMENT, "%d epochs of %d steps are more than can be counted; use larger batches",
                    config->epochs, h.steps_each);
    if (h.used > SIZE_MAX / 2) return fail_memory(h.used, "a head");
    int code = reserve(&h, 1, &scratch);
    if (code) return code;
    mudpt_head *made = malloc(sizeof *made);
    if (!made) return fail_memory(sizeof *made, "a head");
    h.memory = aligned_take((size_t)h.used, "a head");
    if (!h.memory) {
        free(made);
        return MUDPT_MEMORY;
    }
    *made = h;
    take(made);
    for (int i = 0; i < 2; i++) made->decays[i] = 1;
    *out = made;
    return MUDPT_OK;
}

void mudpt_head_free(mudpt_head *h) {
    if (!h) return;
    aligned_release(h->memory);
    free(h);
}

/* ------------------------------------------------------------------------------------------------ features taken in */

/* The mean over templates, of the kind that the method wants. */
static int take_classes(mudpt_head *h, const float *templates) {
    int e = h->config.width, classes = h->config.classes;
    for (int c = 0; c < classes; c++) {
        float *t = h->classes + (size_t)c * (size_t)e;
        double sum[64]; /* columns at a time: the order of the templates is the same for all */
        for (int from = 0; from < e; from += 64) {
            int columns = e - from < 64 ? e - from : 64;
            memset(sum, 0, sizeof sum);
            for (int k = 0; k < h->config.templates; k++) {
                const float *f = templates + ((size_t)k * (size_t)classes + (size_t)c) * (size_t)e;
                if (from == 0) {
                    int code = head_check_row(f, e, "a text feature of class", c);
                    if (code) return code;
                }
                double length = h->kind->classes == CLASS_RAW ? 1 : sqrt(head_dot(f, f, e));
                for (int i = 0; i < columns; i++) sum[i] += (double)f[from + i] / length;
            }
            for (int i = 0; i < columns; i++) t[from + i] = (float)(sum[i] / h->config.templates);
        }
        int code = head_check_row(t, e, "the mean text feature of class", c);
        if (code) return code;
        if (h->kind->classes == CLASS_UNIT) head_unit(t, t, 1, e);
    }
    return MUDPT_OK;
}

static int take_labels(mudpt_head *h, const int32_t *labels) {
    int classes = h->config.classes;
    for (int i = 0; i < h->config.pictures; i++) {
        if (labels[i] < 0 || labels[i] >= classes)
            return fail(MUDPT_ARGUMENT, "picture %d has label %d; expected 0 to %d", i, labels[i], classes - 1);
        h->labels[i] = labels[i];
        h->counts[labels[i]]++;
    }
    for (int c = 0; c < classes && h->kind->uses & NEEDS_EVERY_CLASS; c++)
        if (!h->counts[c])
            return fail(MUDPT_ARGUMENT, "%s needs a picture of every class, and class %d has none", h->kind->name, c);
    return MUDPT_OK;
}

static int fill(mudpt_head *h, const float *templates, const float *projection, const float *features,
                const int32_t *labels) {
    const mudpt_head_config *c = &h->config;
    int code = take_classes(h, templates);
    for (size_t i = 0; projection && i < (size_t)c->before * (size_t)c->width; i++) {
        if (!isfinite(projection[i])) return fail(MUDPT_ARGUMENT, "the projection holds NaN or infinity");
        h->projection[i] = projection[i];
    }
    if (!code && labels) code = take_labels(h, labels);
    for (int r = 0; r < h->rows && !code; r++)
        code = head_check_row(features + (size_t)r * (size_t)h->width, h->width, "the picture feature of row", r);
    if (code) return code;
    if (h->rows && h->kind->measure) h->kind->measure(h, features);
    if (h->rows) head_intake(h, h->support, features, h->rows);
    return h->kind->start(h, features);
}

int mudpt_head_create(const mudpt_head_config *config, const float *templates, const float *projection,
                      const float *features, const int32_t *labels, mudpt_head **out) {
    const head *kind = find(config->method);
    int code = kind ? check(kind, config) : MUDPT_ARGUMENT;
    if (code) return code;
    if (!projection != !config->before)
        return fail(MUDPT_ARGUMENT, "%s %s the model's projection", kind->name, projection ? "does not take" : "needs");
    if ((features || kind->uses & USES_BETA) && config->pictures && !labels)
        return fail(MUDPT_ARGUMENT, "%s needs the pictures' labels", kind->name);
    mudpt_head *h;
    code = open_head(kind, config, features != NULL, &h);
    if (code) return code;
    code = fill(h, templates, projection, features, labels);
    if (code) mudpt_head_free(h);
    else *out = h;
    return code;
}

int mudpt_head_create_new(const mudpt_head *from, const float *templates, int count, mudpt_head **out) {
    if (!from->kind->renew)
        return fail(MUDPT_STATE, "%s cannot add classes by name; make a head of all classes, or use prolip",
                    from->kind->name);
    mudpt_head_config config = from->config;
    config.classes = count;
    int code = check(from->kind, &config);
    if (code) return code;
    config.pictures = 0;
    mudpt_head *h;
    code = open_head(from->kind, &config, 0, &h);
    if (code) return code;
    code = take_classes(h, templates);
    if (!code) code = from->kind->renew(h, from);
    if (code) mudpt_head_free(h);
    else *out = h;
    return code;
}

/* ------------------------------------------------------------------------------------------------ tensors */

int mudpt_head_tensors(const mudpt_head *h) {
    return h->tensor_count;
}

int mudpt_head_tensor(mudpt_head *h, int index, mudpt_parameter *out) {
    if (index < 0 || index >= h->tensor_count)
        return fail(MUDPT_ARGUMENT, "tensor %d does not exist; there are %d", index, h->tensor_count);
    const head_tensor *t = &h->tensors[index];
    int vector = t->shape[0] == VECTOR;
    *out = (mudpt_parameter){.name = t->name,
                             .dims = vector ? 1 : 2,
                             .shape = {t->shape[vector], vector ? 0 : t->shape[1]},
                             .count = (int32_t)t->count,
                             .value = t->value,
                             .gradient = t->gradient};
    return MUDPT_OK;
}

void mudpt_head_changed(mudpt_head *h) {
    h->prepared = 0;
}
