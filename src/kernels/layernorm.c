#include "layernorm.h"

#include <stddef.h>

#include "base/parallel.h"
#include "base/simd.h"

enum {
    CHUNK_ROWS = 16,   /* rows that a thread takes at a time */
    CHUNK_COLUMNS = 64 /* the same of sums over rows */
};

typedef struct {
    float *y, *xhat, *rstd;
    const float *x, *gain, *bias;
    int rows, d;
    float epsilon;
} forward;

typedef struct {
    float *dx;
    const float *dy, *xhat, *rstd, *gain;
    int rows, d, accumulate;
} backward;

typedef struct {
    float *dgain, *dbias;
    const float *dy, *xhat;
    int rows, d;
} backward_parameters;

static inline float total(v128_t x) {
    return (wasm_f32x4_extract_lane(x, 0) + wasm_f32x4_extract_lane(x, 1)) +
           (wasm_f32x4_extract_lane(x, 2) + wasm_f32x4_extract_lane(x, 3));
}

/* Sum of x, or of (x - mean)^2 when squares. */
static inline float sum_row(const float *x, int d, float mean, const int squares) {
    v128_t sum[2] = {wasm_f32x4_splat(0), wasm_f32x4_splat(0)}, shift = wasm_f32x4_splat(mean);
    int i = 0;
    for (; i + 8 <= d; i += 8) {
        for (int j = 0; j < 2; j++) {
            v128_t value = wasm_v128_load(x + i + j * 4);
            if (squares) {
                value = wasm_f32x4_sub(value, shift);
                value = wasm_f32x4_mul(value, value);
            }
            sum[j] = wasm_f32x4_add(sum[j], value);
        }
    }
    float rest = 0;
    for (; i < d; i++) rest += squares ? (x[i] - mean) * (x[i] - mean) : x[i];
    return total(wasm_f32x4_add(sum[0], sum[1])) + rest;
}

static void forward_rows(void *context, int index, int thread) {
    const forward *f = context;
    (void)thread;
    int d = f->d, end = (index + 1) * CHUNK_ROWS < f->rows ? (index + 1) * CHUNK_ROWS : f->rows;
    for (int row = index * CHUNK_ROWS; row < end; row++) {
        const float *x = f->x + (size_t)row * (size_t)d;
        float *y = f->y + (size_t)row * (size_t)d, *xhat = f->xhat ? f->xhat + (size_t)row * (size_t)d : NULL;
        float mean = sum_row(x, d, 0, 0) / (float)d;
        float rstd = 1 / simd_root(sum_row(x, d, mean, 1) / (float)d + f->epsilon);
        if (f->rstd) f->rstd[row] = rstd;
        v128_t shift = wasm_f32x4_splat(mean), scale = wasm_f32x4_splat(rstd);
        int i = 0;
        for (; i + 4 <= d; i += 4) {
            v128_t value = wasm_f32x4_mul(wasm_f32x4_sub(wasm_v128_load(x + i), shift), scale);
            if (xhat) wasm_v128_store(xhat + i, value);
            wasm_v128_store(y + i, SIMD_MADD(value, wasm_v128_load(f->gain + i), wasm_v128_load(f->bias + i)));
        }
        for (; i < d; i++) {
            float value = (x[i] - mean) * rstd;
            if (xhat) xhat[i] = value;
            y[i] = value * f->gain[i] + f->bias[i];
        }
    }
}

void layernorm_forward(float *y, float *xhat, float *rstd, const float *x, const float *gain, const float *bias,
                       int rows, int d, float epsilon) {
    forward f = {.y = y,
                 .xhat = xhat,
                 .rstd = rstd,
                 .x = x,
                 .gain = gain,
                 .bias = bias,
                 .rows = rows,
                 .d = d,
                 .epsilon = epsilon};
    parallel_for((rows + CHUNK_ROWS - 1) / CHUNK_ROWS, forward_rows, &f);
}

/* With g = dy * gain: dx = rstd (g - mean(g) - xhat mean(g xhat)). */
static void backward_rows(void *context, int index, int thread) {
    const backward *b = context;
    (void)thread;
    int d = b->d, end = (index + 1) * CHUNK_ROWS < b->rows ? (index + 1) * CHUNK_ROWS : b->rows;
    for (int row = index * CHUNK_ROWS; row < end; row++) {
        const float *dy = b->dy + (size_t)row * (size_t)d, *xhat = b->xhat + (size_t)row * (size_t)d;
        float *dx = b->dx + (size_t)row * (size_t)d, rstd = b->rstd[row], plain = 0, projected = 0;
        v128_t plain4 = wasm_f32x4_splat(0), projected4 = wasm_f32x4_splat(0);
        int i = 0;
        for (; i + 4 <= d; i += 4) {
            v128_t g = wasm_f32x4_mul(wasm_v128_load(dy + i), wasm_v128_load(b->gain + i));
            plain4 = wasm_f32x4_add(plain4, g);
            projected4 = SIMD_MADD(g, wasm_v128_load(xhat + i), projected4);
        }
        for (; i < d; i++) {
            plain += dy[i] * b->gain[i];
            projected += dy[i] * b->gain[i] * xhat[i];
        }
        plain = (total(plain4) + plain) / (float)d;
        projected = (total(projected4) + projected) / (float)d;

        plain4 = wasm_f32x4_splat(plain);
        projected4 = wasm_f32x4_splat(projected);
        v128_t scale = wasm_f32x4_splat(rstd);
        for (i = 0; i + 4 <= d; i += 4) {
            v128_t g = wasm_f32x4_mul(wasm_v128_load(dy + i), wasm_v128_load(b->gain + i));
            g = wasm_f32x4_sub(wasm_f32x4_sub(g, plain4), wasm_f32x4_mul(wasm_v128_load(xhat + i), projected4));
            g = wasm_f32x4_mul(g, scale);
            wasm_v128_store(dx + i, b->accumulate ? wasm_f32x4_add(wasm_v128_load(dx + i), g) : g);
        }
        for (; i < d; i++) {
            float g = (dy[i] * b->gain[i] - plain - xhat[i] * projected) * rstd;
            dx[i] = b->accumulate ? dx[i] + g : g;
        }
    }
}

void layernorm_backward(float *dx, const float *dy, const float *xhat, const float *rstd, const float *gain, int rows,
                        int d, int accumulate) {
    backward b = {
        .dx = dx, .dy = dy, .xhat = xhat, .rstd = rstd, .gain = gain, .rows = rows, .d = d, .accumulate = accumulate};
    parallel_for((rows + CHUNK_ROWS - 1) / CHUNK_ROWS, backward_rows, &b);
}

static void sum_columns(void *context, int index, int thread) {
    const backward_parameters *b = context;
    (void)thread;
    int from = index * CHUNK_COLUMNS, to = b->d - from < CHUNK_COLUMNS ? b->d : from + CHUNK_COLUMNS;
    for (int row = 0; row < b->rows; row++) {
        const float *dy = b->dy + (size_t)row * (size_t)b->d, *xhat = b->xhat + (size_t)row * (size_t)b->d;
        int i = from;
        for (; i + 4 <= to; i += 4) {
            v128_t g = wasm_v128_load(dy + i);
            wasm_v128_store(b->dgain + i, SIMD_MADD(g, wasm_v128_load(xhat + i), wasm_v128_load(b->dgain + i)));
            wasm_v128_store(b->dbias + i, wasm_f32x4_add(wasm_v128_load(b->dbias + i), g));
        }
        for (; i < to; i++) {
            b->dgain[i] += dy[i] * xhat[i];
            b->dbias[i] += dy[i];
        }
    }
}

void layernorm_backward_parameters(float *dgain, float *dbias, const float *dy, const float *xhat, int rows, int d) {
    backward_parameters b = {.dgain = dgain, .dbias = dbias, .dy = dy, .xhat = xhat, .rows = rows, .d = d};
    parallel_for((d + CHUNK_COLUMNS - 1) / CHUNK_COLUMNS, sum_columns, &b);
}
