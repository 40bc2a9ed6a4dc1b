#include "quickgelu.h"

#include "base/parallel.h"
#include "exp.h"

enum { CHUNK = 16384 }; /* values that a thread takes at a time */

typedef struct {
    float *out;
    const float *dy, *x;
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

static void forward_chunk(void *context, int index, int thread) {
    const elements *e = context;
    (void)thread;
    size_t i = (size_t)index * CHUNK, end = e->count - i < CHUNK ? e->count : i + CHUNK;
    const float *x = e->x;
    float *y = e->out;
    for (; i + 4 <= end; i += 4) wasm_v128_store(y + i, value(wasm_v128_load(x + i)));
    for (; i < end; i++) y[i] = wasm_f32x4_extract_lane(value(wasm_f32x4_splat(x[i])), 0);
}

void quickgelu_forward(float *y, const float *x, size_t count) {
    parallel_for((int)((count + CHUNK - 1) / CHUNK), forward_chunk, &(elements){.out = y, .x = x, .count = count});
}

static void backward_chunk(void *context, int index, int thread) {
    const elements *e = context;
    (void)thread;
    size_t i = (size_t)index * CHUNK, end = e->count - i < CHUNK ? e->count : i + CHUNK;
    const float *x = e->x, *dy = e->dy;
    float *dx = e->out;
    for (; i + 4 <= end; i += 4)
        wasm_v128_store(dx + i, wasm_f32x4_mul(wasm_v128_load(dy + i), derivative(wasm_v128_load(x + i))));
    for (; i < end; i++) dx[i] = dy[i] * wasm_f32x4_extract_lane(derivative(wasm_f32x4_splat(x[i])), 0);
}

void quickgelu_backward(float *dx, const float *dy, const float *x, size_t count) {
    parallel_for((int)((count + CHUNK - 1) / CHUNK), backward_chunk,
                 &(elements){.out = dx, .dy = dy, .x = x, .count = count});
}
