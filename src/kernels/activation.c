#include "activation.h"

#include <string.h>

#include "base/parallel.h"
#include "exp.h"
#include "mudpt.h"

enum { CHUNK = 16384 }; /* values that a thread takes at a time */

#define ALWAYS_INLINE static inline __attribute__((always_inline))

typedef struct {
    int activation;
    float *out;
    const float *dy, *x;
    size_t count;
} elements;

/* ------------------------------------------------------------------------------------------------ QuickGELU */

/* sigmoid(1.702 x) */
ALWAYS_INLINE v128_t gate(v128_t x) {
    v128_t one = wasm_f32x4_splat(1);
    return wasm_f32x4_div(one, wasm_f32x4_add(one, exp_f32x4(wasm_f32x4_mul(x, wasm_f32x4_splat(-1.702f)))));
}

ALWAYS_INLINE v128_t quick_value(v128_t x) {
    return wasm_f32x4_mul(x, gate(x));
}

/* With g = sigmoid(z), z = 1.702 x: (x g)' = g + z g (1 - g). */
ALWAYS_INLINE v128_t quick_derivative(v128_t x) {
    v128_t one = wasm_f32x4_splat(1), g = gate(x), z = wasm_f32x4_mul(x, wasm_f32x4_splat(1.702f));
    return wasm_f32x4_mul(g, SIMD_MADD(z, wasm_f32x4_sub(one, g), one));
}

/* ------------------------------------------------------------------------------------------------ GELU */

/* Both kinds are max(x, 0) - |x| q(|x|) with a q that falls from 1/2 to 0: no digit is lost where y is close to x.
 * Their derivatives are 1 - s(|x|) for x >= 0 and s(|x|) below, s(a) = q(a) + a q'(a). */

/* Phi(-a) = exp(-a^2 / 2) r(a). This is r, a polynomial in v = 0.277 a / (1 + 0.277 a) whose largest error, times a
 * exp(-a^2 / 2), is 7e-9 (least of all, by linear programming); at 0 it is exactly 1/2. */
ALWAYS_INLINE v128_t normal_ratio(v128_t a) {
    v128_t one = wasm_f32x4_splat(1), scaled = wasm_f32x4_mul(a, wasm_f32x4_splat(0.27719488f));
    v128_t v = wasm_f32x4_div(scaled, wasm_f32x4_add(scaled, one)), r = wasm_f32x4_splat(-0.111232787f);
    r = SIMD_MADD(r, v, wasm_f32x4_splat(0.241847496f));
    r = SIMD_MADD(r, v, wasm_f32x4_splat(0.168672913f));
    r = SIMD_MADD(r, v, wasm_f32x4_splat(-1.1744442f));
    r = SIMD_MADD(r, v, wasm_f32x4_splat(1.81436767f));
    r = SIMD_MADD(r, v, wasm_f32x4_splat(-1.43921107f));
    return SIMD_MADD(r, v, wasm_f32x4_splat(0.5f));
}

ALWAYS_INLINE v128_t normal_power(v128_t a) {
    return exp_f32x4(wasm_f32x4_mul(wasm_f32x4_mul(a, a), wasm_f32x4_splat(-0.5f)));
}

/* q = sigmoid(-z), z = a (1.5957691 + 0.0713548 a^2) */
ALWAYS_INLINE v128_t tanh_tail(v128_t a) {
    v128_t rise = SIMD_MADD(wasm_f32x4_mul(a, a), wasm_f32x4_splat(-0.071354816f), wasm_f32x4_splat(-1.5957691f));
    v128_t power = exp_f32x4(wasm_f32x4_mul(a, rise));
    return wasm_f32x4_div(power, wasm_f32x4_add(power, wasm_f32x4_splat(1)));
}

ALWAYS_INLINE v128_t gelu_value(v128_t x, const int activation) {
    v128_t a = wasm_f32x4_abs(x);
    v128_t q = activation == MUDPT_GELU ? wasm_f32x4_mul(normal_ratio(a), normal_power(a)) : tanh_tail(a);
    return wasm_f32x4_sub(wasm_f32x4_max(x, wasm_f32x4_splat(0)), wasm_f32x4_mul(a, q));
}

ALWAYS_INLINE v128_t gelu_derivative(v128_t x, const int activation) {
    v128_t one = wasm_f32x4_splat(1), s;
    v128_t a = wasm_f32x4_pmin(wasm_f32x4_abs(x), wasm_f32x4_splat(16)); /* from there on s is 0; NaN stays */
    if (activation == MUDPT_GELU) {                                      /* a q' = -a exp(-a^2 / 2) / sqrt(2 pi) */
        v128_t slope = wasm_f32x4_mul(a, wasm_f32x4_splat(0.39894228f));
        s = wasm_f32x4_mul(wasm_f32x4_sub(normal_ratio(a), slope), normal_power(a));
    } else { /* a q' = -a z' q (1 - q) */
        v128_t q = tanh_tail(a), a2 = wasm_f32x4_mul(a, a);
        v128_t rise = SIMD_MADD(a2, wasm_f32x4_splat(0.21406445f), wasm_f32x4_splat(1.5957691f));
        v128_t flat = wasm_f32x4_mul(q, wasm_f32x4_sub(one, q));
        s = wasm_f32x4_sub(q, wasm_f32x4_mul(wasm_f32x4_mul(a, rise), flat));
    }
    return wasm_v128_bitselect(s, wasm_f32x4_sub(one, s), wasm_f32x4_lt(x, wasm_f32x4_splat(0)));
}

/* ------------------------------------------------------------------------------------------------ arrays */

ALWAYS_INLINE v128_t value(v128_t x, const int activation) {
    return activation == MUDPT_QUICK_GELU ? quick_value(x) : gelu_value(x, activation);
}

ALWAYS_INLINE v128_t derivative(v128_t x, const int activation) {
    return activation == MUDPT_QUICK_GELU ? quick_derivative(x) : gelu_derivative(x, activation);
}

/* Four values, or the `left` last ones of an array with zeros behind them. */
static v128_t load_last(const float *x, size_t left) {
    float four[4] = {0};
    memcpy(four, x, left * sizeof(float));
    return wasm_v128_load(four);
}

ALWAYS_INLINE v128_t load(const float *x, size_t left) {
    return left < 4 ? load_last(x, left) : wasm_v128_load(x);
}

static void store_last(float *y, v128_t value, size_t left) {
    float four[4];
    wasm_v128_store(four, value);
    memcpy(y, four, left * sizeof(float));
}

ALWAYS_INLINE void store(float *y, v128_t value, size_t left) {
    if (left < 4) store_last(y, value, left);
    else wasm_v128_store(y, value);
}

ALWAYS_INLINE void forward(float *y, const float *x, size_t i, size_t end, const int activation) {
    for (; i < end; i += 4) store(y + i, value(load(x + i, end - i), activation), end - i);
}

ALWAYS_INLINE void backward(float *dx, const float *dy, const float *x, size_t i, size_t end, const int activation) {
    for (; i < end; i += 4) {
        v128_t slope = derivative(load(x + i, end - i), activation);
        store(dx + i, wasm_f32x4_mul(load(dy + i, end - i), slope), end - i);
    }
}

static void forward_chunk(void *context, int index, int thread) {
    const elements *e = context;
    (void)thread;
    size_t i = (size_t)index * CHUNK, end = e->count - i < CHUNK ? e->count : i + CHUNK;
    if (e->activation == MUDPT_QUICK_GELU) forward(e->out, e->x, i, end, MUDPT_QUICK_GELU);
    else if (e->activation == MUDPT_GELU) forward(e->out, e->x, i, end, MUDPT_GELU);
    else forward(e->out, e->x, i, end, MUDPT_GELU_TANH);
}

static void backward_chunk(void *context, int index, int thread) {
    const elements *e = context;
    (void)thread;
    size_t i = (size_t)index * CHUNK, end = e->count - i < CHUNK ? e->count : i + CHUNK;
    if (e->activation == MUDPT_QUICK_GELU) backward(e->out, e->dy, e->x, i, end, MUDPT_QUICK_GELU);
    else if (e->activation == MUDPT_GELU) backward(e->out, e->dy, e->x, i, end, MUDPT_GELU);
    else backward(e->out, e->dy, e->x, i, end, MUDPT_GELU_TANH);
}

void activation_forward(int activation, float *y, const float *x, size_t count) {
    parallel_for((int)((count + CHUNK - 1) / CHUNK), forward_chunk,
                 &(elements){.activation = activation, .out = y, .x = x, .count = count});
}

void activation_backward(int activation, float *dx, const float *dy, const float *x, size_t count) {
    parallel_for((int)((count + CHUNK - 1) / CHUNK), backward_chunk,
                 &(elements){.activation = activation, .out = dx, .dy = dy, .x = x, .count = count});
}
