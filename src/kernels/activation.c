/* A piece at a time: what exp is wanted of, exp, what becomes of it. In every loop two vectors take the same steps and
 * are stored side by side, which engines can join (gemm.c's store_tile). */
#include "activation.h"

#include <string.h>

#include "base/parallel.h"
#include "base/rarely.h"
#include "exp.h"
#include "mudpt.h"

enum {
    CHUNK = 16384, /* values that a thread takes at a time */
    PIECE = 256    /* of them, in the first cache */
};

#define ALWAYS_INLINE static inline __attribute__((always_inline))

typedef struct {
    int activation;
    float *out;
    const float *dy, *x; /* dy NULL: forward */
    size_t count;
} elements;

/* ------------------------------------------------------------------------------------------------ QuickGELU */

/* sigmoid(1.702 x) from exp(-1.702 x) */
ALWAYS_INLINE v128_t gate(v128_t power) {
    v128_t one = wasm_f32x4_splat(1);
    return wasm_f32x4_div(one, wasm_f32x4_add(one, power));
}

/* With g = sigmoid(z), z = 1.702 x: (x g)' = g + z g (1 - g). */
ALWAYS_INLINE v128_t quick_derivative(v128_t x, v128_t power) {
    v128_t one = wasm_f32x4_splat(1), g = gate(power), z = wasm_f32x4_mul(x, wasm_f32x4_splat(1.702f));
    return wasm_f32x4_mul(g, SIMD_MADD(z, wasm_f32x4_sub(one, g), one));
}

/* ------------------------------------------------------------------------------------------------ GELU */

/* Both kinds are max(x, 0) - |x| q(|x|) with a q that falls from 1/2 to 0: no digit is lost where y is close to x.
 * Their derivatives are 1 - s(|x|) for x >= 0 and s(|x|) below, s(a) = q(a) + a q'(a). */

/* Phi(-a) = exp(-a^2 / 2) r(a). This is r, a polynomial in v = 0.277 a / (1 + 0.277 a) whose largest error, times a
 * exp(-a^2 / 2), is 7e-9 (least of all, by linear programming); at 0 it is exactly 1/2. */
ALWAYS_INLINE v128_t normal_ratio(v128_t a) {
    static const float table[] = {
        -0.111232787f, 0.241847496f, 0.168672913f, -1.1744442f, 1.81436767f, -1.43921107f, 0.5f, 0.27719488f, 1};
    const float *number = simd_numbers(table);
    v128_t scaled = wasm_f32x4_mul(a, wasm_v128_load32_splat(number + 7));
    v128_t v = wasm_f32x4_div(scaled, wasm_f32x4_add(scaled, wasm_v128_load32_splat(number + 8)));
    v128_t r = wasm_v128_load32_splat(number);
#pragma GCC unroll 6
    for (int i = 1; i < 7; i++) r = SIMD_MADD(r, v, wasm_v128_load32_splat(number + i));
    return r;
}

/* q = sigmoid(-z), z = a (1.5957691 + 0.0713548 a^2), from exp(-z) */
ALWAYS_INLINE v128_t tanh_tail(v128_t power) {
    return wasm_f32x4_div(power, wasm_f32x4_add(power, wasm_f32x4_splat(1)));
}

ALWAYS_INLINE v128_t gelu_value(v128_t x, v128_t power, const int activation) {
    v128_t a = wasm_f32x4_abs(x);
    v128_t q = activation == MUDPT_GELU ? wasm_f32x4_mul(normal_ratio(a), power) : tanh_tail(power);
    return wasm_f32x4_sub(wasm_f32x4_max(x, wasm_f32x4_splat(0)), wasm_f32x4_mul(a, q));
}

ALWAYS_INLINE v128_t gelu_derivative(v128_t x, v128_t power, const int activation) {
    v128_t one = wasm_f32x4_splat(1), s;
    v128_t a = wasm_f32x4_pmin(wasm_f32x4_abs(x), wasm_f32x4_splat(16)); /* from there on s is 0; NaN stays */
    if (activation == MUDPT_GELU) {                                      /* a q' = -a exp(-a^2 / 2) / sqrt(2 pi) */
        v128_t slope = wasm_f32x4_mul(a, wasm_f32x4_splat(0.39894228f));
        s = wasm_f32x4_mul(wasm_f32x4_sub(normal_ratio(a), slope), power);
    } else { /* a q' = -a z' q (1 - q) */
        v128_t q = tanh_tail(power), a2 = wasm_f32x4_mul(a, a);
        v128_t rise = SIMD_MADD(a2, wasm_f32x4_splat(0.21406445f), wasm_f32x4_splat(1.5957691f));
        v128_t flat = wasm_f32x4_mul(q, wasm_f32x4_sub(one, q));
        s = wasm_f32x4_sub(q, wasm_f32x4_mul(wasm_f32x4_mul(a, rise), flat));
    }
    return wasm_v128_bitselect(s, wasm_f32x4_sub(one, s), wasm_f32x4_lt(x, wasm_f32x4_splat(0)));
}

/* ------------------------------------------------------------------------------------------------ pieces */

/* What exp is wanted of. Where a derivative takes 16 for |x|, it is as small as it gets either way. */
ALWAYS_INLINE v128_t exponent(v128_t x, const int activation) {
    if (activation == MUDPT_QUICK_GELU) return wasm_f32x4_mul(x, wasm_f32x4_splat(-1.702f));
    v128_t a = wasm_f32x4_abs(x), a2 = wasm_f32x4_mul(a, a);
    if (activation == MUDPT_GELU) return wasm_f32x4_mul(a2, wasm_f32x4_splat(-0.5f));
    return wasm_f32x4_mul(a, SIMD_MADD(a2, wasm_f32x4_splat(-0.071354816f), wasm_f32x4_splat(-1.5957691f)));
}

ALWAYS_INLINE v128_t value(v128_t x, v128_t power, const int activation) {
    return activation == MUDPT_QUICK_GELU ? wasm_f32x4_mul(x, gate(power)) : gelu_value(x, power, activation);
}

ALWAYS_INLINE v128_t derivative(v128_t x, v128_t power, const int activation) {
    return activation == MUDPT_QUICK_GELU ? quick_derivative(x, power) : gelu_derivative(x, power, activation);
}

ONCE static void exp_all(float *x) {
    for (int i = 0; i < PIECE; i += 8) {
        v128_t low = exp_inlined(wasm_v128_load(x + i)), high = exp_inlined(wasm_v128_load(x + i + 4));
        SIMD_STORES_FOLLOW;
        wasm_v128_store(x + i, low);
        wasm_v128_store(x + i + 4, high);
    }
}

/* out, x and dy [PIECE] */
ALWAYS_INLINE void piece(float *out, const float *dy, const float *x, const int activation) {
    float power[PIECE];
    for (int i = 0; i < PIECE; i += 4) wasm_v128_store(power + i, exponent(wasm_v128_load(x + i), activation));
    exp_all(power);
    /* Of the other kinds V8 joins none, so they are left smaller. */
    const int both = activation == MUDPT_QUICK_GELU, step = both ? 8 : 4;
    for (int i = 0; i < PIECE && !dy; i += step) {
        v128_t low = value(wasm_v128_load(x + i), wasm_v128_load(power + i), activation), high = low;
        if (both) high = value(wasm_v128_load(x + i + 4), wasm_v128_load(power + i + 4), activation);
        SIMD_STORES_FOLLOW;
        wasm_v128_store(out + i, low);
        if (both) wasm_v128_store(out + i + 4, high);
    }
    for (int i = 0; i < PIECE && dy; i += step) {
        v128_t low = derivative(wasm_v128_load(x + i), wasm_v128_load(power + i), activation), high = low;
        low = wasm_f32x4_mul(wasm_v128_load(dy + i), low);
        if (both) {
            high = derivative(wasm_v128_load(x + i + 4), wasm_v128_load(power + i + 4), activation);
            high = wasm_f32x4_mul(wasm_v128_load(dy + i + 4), high);
        }
        SIMD_STORES_FOLLOW;
        wasm_v128_store(out + i, low);
        if (both) wasm_v128_store(out + i + 4, high);
    }
}

static void run_piece(int activation, float *out, const float *dy, const float *x) {
    if (activation == MUDPT_QUICK_GELU) piece(out, dy, x, MUDPT_QUICK_GELU);
    else if (activation == MUDPT_GELU) piece(out, dy, x, MUDPT_GELU);
    else piece(out, dy, x, MUDPT_GELU_TANH);
}

static void run_chunk(void *context, int index, int thread) {
    const elements *e = context;
    (void)thread;
    size_t i = (size_t)index * CHUNK, end = e->count - i < CHUNK ? e->count : i + CHUNK;
    for (; i + PIECE <= end; i += PIECE) run_piece(e->activation, e->out + i, e->dy ? e->dy + i : NULL, e->x + i);
    if (i == end) return;
    float x[PIECE] = {0}, dy[PIECE] = {0}; /* the last ones, with zeros behind */
    memcpy(x, e->x + i, (end - i) * sizeof *x);
    if (e->dy) memcpy(dy, e->dy + i, (end - i) * sizeof *dy);
    run_piece(e->activation, x, e->dy ? dy : NULL, x);
    memcpy(e->out + i, x, (end - i) * sizeof *x);
}

void activation_backward(int activation, float *dx, const float *dy, const float *x, size_t count) {
    parallel_for((int)((count + CHUNK - 1) / CHUNK), run_chunk,
                 &(elements){.activation = activation, .out = dx, .dy = dy, .x = x, .count = count});
}

void activation_forward(int activation, float *y, const float *x, size_t count) {
    activation_backward(activation, y, NULL, x, count);
}
