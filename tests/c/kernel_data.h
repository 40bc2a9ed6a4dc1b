/* What the tests of the kernels share: random numbers, comparing, matrix products and attention of any shape. */
#ifndef KERNEL_DATA_H
#define KERNEL_DATA_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/parallel.h"
#include "base/rng.h"
#include "check.h"
#include "kernels/attention.h"
#include "kernels/gemm.h"
#include "kernels/naive.h"
#include "mudpt.h"

static rng random_numbers;

static inline int random_int(int from, int to) {
    return from + (int)rng_below(&random_numbers, (uint32_t)(to - from + 1));
}

static inline void *take(size_t bytes) {
    void *memory = aligned_alloc(64, (bytes + 64) / 64 * 64);
    if (!memory) exit(2);
    return memory;
}

/* Exactly `count` floats, so that a sanitizer sees the first one too far. */
static inline float *floats(size_t count) {
    float *x = malloc(count ? count * sizeof *x : 1);
    if (!x) exit(2);
    return x;
}

static inline float *random_floats(size_t count) {
    float *x = floats(count);
    for (size_t i = 0; i < count; i++) x[i] = (float)rng_normal(&random_numbers);
    return x;
}

static inline float *copy_of(const float *x, size_t count) {
    float *copy = floats(count);
    if (count) memcpy(copy, x, count * sizeof *x);
    return copy;
}

/* max |got - want| <= tolerance * max(1, max |want|) */
static inline void check_close(const char *what, const float *got, const float *want, size_t count, double tolerance) {
    double scale = 1, worst = 0;
    for (size_t i = 0; i < count; i++) {
        double difference = fabs((double)got[i] - want[i]);
        scale = fmax(scale, fabs(want[i]));
        if (!(difference <= worst)) worst = difference;
        if (worst != worst) break;
    }
    CHECK(worst <= tolerance * scale, "%s: off by %.3g, largest value %.3g", what, worst, scale);
}

static inline int same_bits(const float *a, const float *b, size_t count) {
    return memcmp(a, b, count * sizeof *a) == 0;
}

static inline int all_nan(const float *x, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (x[i] == x[i]) return 0;
    return 1;
}

static inline int any_nan(const float *x, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (x[i] != x[i]) return 1;
    return 0;
}

/* By MUDPT_F32 ... GEMM_QUADS. */
static inline const char *storage_name(int storage) {
    static const char *const names[] = {"f32", "f16", "int8", "bf16", "int16", "bytes"};
    return names[storage];
}

/* A weight of zeros. */
static inline gemm_weight new_weight(int out, int in, int storage, int fast) {
    gemm_weight w = {.out = out, .in = in, .storage = storage, .fast = fast};
    size_t bytes = gemm_panel_bytes(out, in, storage), scale_bytes = gemm_scale_bytes(out, storage);
    w.panels = memset(take(bytes), 0, bytes);
    w.scale = memset(take(scale_bytes), 0, scale_bytes);
    return w;
}

static inline void free_weight(gemm_weight *w) {
    free(w->panels);
    free(w->scale);
}

/* One job by the SIMD kernel against the definition, and against `twin` to a tolerance of its own unless that is NULL;
 * then again row by row: a row's result must not depend on its company. Tolerances are for a sum of one product. */
static inline void check_job(const gemm_weight *w, int transposed, int first, int count, int rows, int with_bias,
                             int accumulate, int padding, double tolerance, void (*twin)(const gemm_job *),
                             double twin_tolerance) {
    int columns = transposed ? w->in : count, depth = transposed ? count : w->in;
    int lda = depth + padding, ldc = columns + padding;
    size_t a_size = rows ? (size_t)(rows - 1) * lda + depth : 0, c_size = rows ? (size_t)(rows - 1) * ldc + columns : 0;
    float *a = random_floats(a_size), *c = random_floats(c_size), *bias = random_floats((size_t)w->out);
    float *want = copy_of(c, c_size), *close = copy_of(c, c_size), *alone = copy_of(c, c_size);
    gemm_job job = {.weight = w,
                    .transposed = transposed,
                    .first = first,
                    .count = count,
                    .rows = rows,
                    .a = a,
                    .lda = lda,
                    .c = want,
                    .ldc = ldc,
                    .bias = with_bias && !transposed ? bias : NULL,
                    .accumulate = accumulate};
    gemm_naive.run(&job);
    job.c = close;
    if (twin) twin(&job);
    job.c = c;
    gemm_simd.run(&job);
    char what[160];
    snprintf(what, sizeof what, "gemm %s%s %s rows %d, weight %d x %d, channels %d + %d, bias %d, accumulate %d",
             storage_name(w->storage), w->fast ? " fast" : "", transposed ? "transposed" : "straight", rows, w->out,
             w->in, first, count, with_bias, accumulate);
    if (twin) check_close(what, c, close, c_size, twin_tolerance * sqrt(depth + 1));
    check_close(what, c, want, c_size, tolerance * sqrt(depth + 1));
    for (int r = 0; r < rows; r++) {
        job.rows = 1;
        job.a = a + (size_t)r * lda;
        job.c = alone + (size_t)r * ldc;
        gemm_simd.run(&job);
    }
    CHECK(same_bits(c, alone, c_size), "%s: a row depends on the other rows", what);
    float *all[] = {a, c, bias, want, close, alone};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

typedef struct {
    attention_shape shape;
    int queries, keys, width, stride, longest;
    float *q, *k, *v, *prefix_k, *prefix_v, *dout;
    float *out, *dq, *dk, *dv, *dprefix_k, *dprefix_v;
} attention_case;

/* causal: the last query sees all keys, those before one less each. lengths: of queries and keys alike, 0: random. */
static inline attention_case new_attention(int heads, int head_width, int sequences, int prefix, int causal, int length,
                                           int queries_apart) {
    attention_case t = {.shape = {.heads = heads, .head_width = head_width, .sequences = sequences, .prefix = prefix}};
    int *query_start = take(sizeof(int) * (sequences + 1)), *key_start = take(sizeof(int) * (sequences + 1));
    query_start[0] = key_start[0] = 0;
    for (int s = 0; s < sequences; s++) {
        int keys = length ? length : random_int(1, 40), queries = queries_apart ? random_int(1, keys) : keys;
        query_start[s + 1] = query_start[s] + queries;
        key_start[s + 1] = key_start[s] + keys;
        if (keys > t.longest) t.longest = keys;
    }
    t.queries = query_start[sequences];
    t.keys = key_start[sequences];
    if (causal) {
        int *visible = take(sizeof(int) * (t.queries + 1));
        for (int s = 0; s < sequences; s++)
            for (int i = query_start[s]; i < query_start[s + 1]; i++)
                visible[i] = key_start[s + 1] - key_start[s] - (query_start[s + 1] - 1 - i);
        t.shape.visible = visible;
    }
    t.shape.query_start = query_start;
    t.shape.key_start = key_start;
    t.width = heads * head_width;
    t.stride = t.width + random_int(0, 2) * 4;
    t.q = random_floats((size_t)t.queries * t.width);
    t.dout = random_floats((size_t)t.queries * t.width);
    t.k = random_floats((size_t)t.keys * t.stride);
    t.v = random_floats((size_t)t.keys * t.stride);
    t.prefix_k = random_floats((size_t)prefix * t.stride);
    t.prefix_v = random_floats((size_t)prefix * t.stride);
    t.out = floats((size_t)t.queries * t.width);
    t.dq = floats((size_t)t.queries * t.width);
    t.dk = random_floats((size_t)t.keys * t.stride);
    t.dv = random_floats((size_t)t.keys * t.stride);
    t.dprefix_k = random_floats((size_t)prefix * t.stride);
    t.dprefix_v = random_floats((size_t)prefix * t.stride);
    CHECK(parallel_reserve(attention_scratch(t.longest + prefix, head_width)) == MUDPT_OK, "attention_scratch");
    return t;
}

static inline void free_attention(attention_case *t) {
    float *all[] = {t->q,   t->k,  t->v,  t->prefix_k, t->prefix_v,  t->dout,
                    t->out, t->dq, t->dk, t->dv,       t->dprefix_k, t->dprefix_v};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    free((void *)t->shape.query_start);
    free((void *)t->shape.key_start);
    free((void *)t->shape.visible);
}

#endif
