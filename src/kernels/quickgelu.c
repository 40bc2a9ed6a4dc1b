#include "quickgelu.h"

#include "base/parallel.h"
#include "exp.h"

enum { CHUNK = 16384 };     /* values that a thread takes at a time */

typedef struct {
    float *out;
    const float *dy, *x;    /* dy: NULL in forward */
    size_t count;
} elements;

/* sigmoid(1.702 x) */
static inline v128_t gate(v128_t x) {
    v128_t one = wasm_f32x4_splat(1);
    return wasm_f32x4_div(one, wasm_f32x4_add(one, exp_f32x4(wasm_f32x4_mul(x, wasm_f32x4_splat(-1.702f)))));
}

static inline v128_t value(v128_t x) {
    return wasm_f32x4_mul(x, gate(x));
}

/* With g = sigmoid(z), z = 1.702 x: (x g)' = g + z g (1 - g). */
static inline v128_t derivative(v128_t x) {
    v128_t one = wasm_f32x4_splat(1), g = gate(x), z = wasm_f32x4_mul(x, wasm_f32x4_splat(1.702f));
    return wasm_f32x4_mul(g, SIMD_MADD(z, wasm_f32x4_sub(one, g), one));
}

static void run_chunk(void *context, int index, int thread) {
    const elements *e = context;
    (void)thread;
    size_t i = (size_t)index * CHUNK, end = e->count - i < CHUNK ? e->count : i + CHUNK;
    for (; i + 4 <= end; i += 4) {
        v128_t x = wasm_v128_load(e->x + i);
        v128_t y = e->dy ? wasm_f32x4_mul(wasm_v128_load(e->dy + i), derivative(x)) : value(x);
        wasm_v128_store(e->out + i, y);
    }
    for (; i < end; i++) {
        v128_t x = wasm_f32x4_splat(e->x[i]);
        e->out[i] = e->dy ? e->dy[i] * wasm_f32x4_extract_lane(derivative(x), 0) : wasm_f32x4_extract_lane(value(x), 0);
    }
}

void quickgelu_forward(float *y, const float *x, size_t count) {
    parallel_for((int)((count + CHUNK - 1) / CHUNK), run_chunk, &(elements){.out = y, .x = x, .count = count});
}

void quickgelu_backward(float *dx, const float *dy, const float *x, size_t count) {
    parallel_for((int)((count + CHUNK - 1) / CHUNK), run_chunk, &(elements){.out = dx, .dy = dy, .x = x, .count = count});
}
