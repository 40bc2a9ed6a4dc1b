/* What heads are made of: memory, rows and sums of rows, which rows a step takes, optimisers. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/rng.h"
#include "base/series.h"
#include "head.h"

/* Streams of the seed, one an epoch. */
#define ROWS_STREAM (1ULL << 42)

/* ------------------------------------------------------------------------------------------------ memory */

void *head_take(mudpt_head *h, int rows, int columns, int bytes) {
    /* Sizes are below 2^30, so no product leaves 64 bits; a sum stays where it cannot go on. */
    uint64_t start = h->used, wanted = ((uint64_t)rows * (uint64_t)columns * (uint64_t)bytes + 63) / 64 * 64;
    h->used = wanted > UINT64_MAX / 2 - start ? UINT64_MAX / 2 : start + wanted;
    return h->memory ? h->memory + start : NULL;
}

float *head_floats(mudpt_head *h, int rows, int columns) {
    return head_take(h, rows, columns, sizeof(float));
}

double *head_doubles(mudpt_head *h, int rows, int columns) {
    return head_take(h, rows, columns, sizeof(double));
}

void head_tensor_take(mudpt_head *h, const char *name, int rows, int columns, int trained) {
    head_tensor *t = &h->tensors[h->tensor_count++];
    int r = rows == VECTOR ? 1 : rows;
    *t = (head_tensor){.name = name, .shape = {rows, columns}, .count = (size_t)r * (size_t)columns};
    t->value = head_floats(h, r, columns);
    if (!trained || !h->rows) return;
    t->gradient = head_floats(h, r, columns);
    t->good = head_floats(h, r, columns);
    t->first = head_floats(h, r, columns);
    t->second = head_floats(h, r, columns);
}

/* ------------------------------------------------------------------------------------------------ rows */

double head_dot(const float *a, const float *b, int count) {
    double sum = 0;
    for (int i = 0; i < count; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

double head_unit(float *out, const float *in, double factor, int e) {
    double length = sqrt(head_dot(in, in, e));
    for (int i = 0; i < e; i++) out[i] = length > 0 ? (float)(factor * (double)in[i] / length) : 0;
    return length;
}

int head_check_row(const float *row, int width, const char *what, int at) {
    double square = head_dot(row, row, width);
    if (isfinite(square) && square > 0) return MUDPT_OK;
    return fail(MUDPT_ARGUMENT, "%s %d %s; encode it again", what, at,
                square == 0 ? "is 0, which has no direction" : "holds NaN or infinity");
}

void head_intake(const mudpt_head *h, float *rows, const float *features, int count) {
    if (h->kind->intake) {
        h->kind->intake(h, rows, features, count);
        return;
    }
    size_t width = (size_t)h->width;
    for (int r = 0; r < count; r++) head_unit(rows + (size_t)r * width, features + (size_t)r * width, 1, h->width);
}

int head_class_sum(const mudpt_head *h, int c, double *sum) {
    int rows = 0;
    memset(sum, 0, (size_t)h->width * sizeof *sum);
    for (int r = 0; r < h->rows; r++) {
        if (head_label(h, r) != c) continue;
        const float *x = h->support + (size_t)r * (size_t)h->width;
        for (int i = 0; i < h->width; i++) sum[i] += (double)x[i];
        rows++;
    }
    return rows;
}

void head_text_directions(mudpt_head *h) {
    size_t count = (size_t)h->config.classes * (size_t)h->config.width;
    for (size_t i = 0; i < count; i++) h->directions[i] = h->config.scale * h->classes[i];
}

int head_renew_text(mudpt_head *h, const mudpt_head *from) {
    (void)from;
    if (h->tensors[0].shape[0] == h->config.classes)
        memcpy(h->tensors[0].value, h->classes, h->tensors[0].count * sizeof(float));
    return MUDPT_OK;
}

/* ------------------------------------------------------------------------------------------------ rows of a step */

int head_choose_all(mudpt_head *h) {
    for (int i = 0; i < h->rows; i++) h->order[i] = i;
    return h->rows;
}

int head_choose_shuffled(mudpt_head *h, int first, int count) {
    int at = h->step % h->steps_each * h->config.batch, batch = h->config.batch;
    rng r;
    for (int i = 0; i < count; i++) h->order[i] = first + i;
    rng_seed(&r, h->config.seed, ROWS_STREAM + (uint64_t)(h->step / h->steps_each));
    rng_shuffle(&r, h->order, count);
    /* More steps than an epoch's rows make begin again with them. */
    at %= count;
    if (batch > count - at) batch = count - at;
    memmove(h->order, h->order + at, (size_t)batch * sizeof *h->order);
    return batch;
}

/* ------------------------------------------------------------------------------------------------ optimisers */

double head_penalty(head_tensor *t, const float *from, double lambda, const float *lambdas) {
    double sum = 0;
    for (size_t i = 0; i < t->count; i++) {
        double away = (double)t->value[i] - (from ? (double)from[i] : 0);
        double pull = lambdas ? lambda * (double)lambdas[i / (size_t)t->shape[1]] : lambda;
        t->gradient[i] += (float)(2 * pull * away);
        sum += pull * away * away;
    }
    return sum;
}

double head_cosine(double base, double at, double of) {
    return base * (1 + series_sine(0.5 + at / of)) / 2;
}

void head_sgd(head_tensor *t, double rate, double momentum) {
    for (size_t i = 0; i < t->count; i++) {
        t->first[i] = (float)momentum * t->first[i] + t->gradient[i];
        t->value[i] -= (float)rate * t->first[i];
    }
}

void head_adam(mudpt_head *h, head_tensor *t, double rate, double decay) {
    enum { FIRST, SECOND };
    const double beta[] = {0.9, 0.999}, eps = 1e-4;
    for (int k = FIRST; k <= SECOND; k++) h->decays[k] *= beta[k];
    double step = rate / (1 - h->decays[FIRST]), root = 1 / sqrt(1 - h->decays[SECOND]), keep = 1 - rate * decay;
    for (size_t i = 0; i < t->count; i++) {
        double g = (double)t->gradient[i];
        t->first[i] = (float)(beta[FIRST] * (double)t->first[i] + (1 - beta[FIRST]) * g);
        t->second[i] = (float)(beta[SECOND] * (double)t->second[i] + (1 - beta[SECOND]) * g * g);
        t->value[i] = (float)(keep * (double)t->value[i] -
                              step * (double)t->first[i] / (sqrt((double)t->second[i]) * root + eps));
    }
}
