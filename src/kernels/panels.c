#include "panels.h"

#include <math.h>
#include <stdlib.h>

#include "base/half.h"
#include "base/rarely.h"
#include "integer.h"
#include "microkernel.h"
#include "mudpt.h"

enum { TOUCHED = 8 }; /* blocks of a weight that is turned over, which are asked for together */

static int is_quads(int storage) {
    return HAS_INT8 && storage == GEMM_QUADS;
}

static int is_int8(int storage) {
    return storage == MUDPT_I8 || is_quads(storage);
}

static size_t value_bytes(int storage) {
    return storage == MUDPT_F32 ? 4 : is_int8(storage) ? 1 : 2;
}

static int round_up(int value, int multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

size_t gemm_panel_bytes(int out, int in, int storage) {
    return (size_t)round_up(out, PANEL) *
           (size_t)round_up(in, storage == MUDPT_I16 ? 2
                                : is_quads(storage)  ? 4
                                                     : 1) *
           value_bytes(storage);
}

size_t gemm_scale_bytes(int out, int storage) {
    return is_int8(storage) || storage == MUDPT_I16 ? (size_t)round_up(out, PANEL) * sizeof(float) : 0;
}

static size_t position(const gemm_weight *w, int o, int i) {
    if (w->storage == MUDPT_I16)
        return ((size_t)(o / PANEL) * (size_t)round_up(w->in, 2) + (size_t)(i & ~1)) * PANEL +
               (size_t)(o % PANEL * 2 + (i & 1));
    if (is_quads(w->storage))
        return ((size_t)(o / PANEL) * (size_t)round_up(w->in, 4) + (size_t)(i & ~3)) * PANEL +
               (size_t)(o % PANEL * 4 + (i & 3));
    return ((size_t)(o / PANEL) * (size_t)w->in + (size_t)i) * PANEL + (size_t)(o % PANEL);
}

/* The nearest integer from low to high, ties to even; 0 for what is no number. */
static int to_integer(float value, int low, int high) {
    return value != value ? 0 : value >= (float)high ? high : value <= (float)low ? low : (int)lrintf(value);
}

/* Row o's scale, by its values or as it is given, and what its integers measure. */
RARELY ONCE static float set_scale(gemm_weight *w, int o, const float *values, float scale) {
    double squares = 0, most = 0; /* of a block's values */
    float largest = 0;
    for (int i = 0; i < w->in; i++) {
        double value = values[i];
        if (i % INTEGER_BLOCK == 0) squares = 0;
        squares += value * value;
        if (squares > most) most = squares;
        /* Not finite if any value is not, so that it shows in every product. */
        float size = fabsf(values[i]);
        if (!(size <= largest) && largest == largest) largest = size;
    }
    double norm = sqrt(most);
    if (!(scale > 0)) {
        float coarser = (float)(norm / INTEGER_NORM);
        scale = largest / (is_int8(w->storage) ? 127 : INTEGER_RIGHT);
        if (coarser > scale) scale = coarser;
    }
    float fourth = (float)(norm / scale) / 4 + 2; /* 64 halves that rounding adds measure 4 */
    if (fourth > w->norm) w->norm = (uint16_t)(fourth < 2 * INTEGER_RIGHT + 1 ? fourth : 2 * INTEGER_RIGHT + 1);
    return w->scale[o] = scale;
}

void gemm_set_row(gemm_weight *w, int o, const float *values, float scale) {
    if (is_int8(w->storage) || w->storage == MUDPT_I16) scale = set_scale(w, o, values, scale);
    for (int i = 0; i < w->in; i++) {
        size_t at = position(w, o, i);
        if (w->storage == MUDPT_F16) {
            uint16_t half = ((uint16_t *)w->panels)[at] = half_from_float(values[i]);
            if ((half & 0x7c00) == 0x7c00) w->special = 1;
        } else if (w->storage == MUDPT_F32) ((float *)w->panels)[at] = values[i];
        else if (is_int8(w->storage)) ((int8_t *)w->panels)[at] = (int8_t)to_integer(values[i] / scale, -128, 127);
        else ((int16_t *)w->panels)[at] = (int16_t)to_integer(values[i] / scale, -INTEGER_RIGHT, INTEGER_RIGHT);
    }
}

RARELY float panels_value(const gemm_weight *w, int o, int i) {
    size_t at = position(w, o, i);
    if (w->storage == MUDPT_F32) return ((const float *)w->panels)[at];
    if (w->storage == MUDPT_F16) return half_to_float(((const uint16_t *)w->panels)[at]);
    if (is_int8(w->storage)) return (float)((const int8_t *)w->panels)[at] * w->scale[o];
    return (float)((const int16_t *)w->panels)[at] * w->scale[o];
}

RARELY void gemm_get_row(const gemm_weight *w, int o, float *values) {
    for (int i = 0; i < w->in; i++) values[i] = panels_value(w, o, i);
}

/* ------------------------------------------------------------------------------------------------ widening */

/* Eight integers times the scales low (of the first four) and high. */
ALWAYS_INLINE void widen_integers(v128_t x[2], v128_t integers, v128_t low, v128_t high) {
    x[0] = wasm_f32x4_mul(wasm_f32x4_convert_i32x4(wasm_i32x4_extend_low_i16x8(integers)), low);
    x[1] = wasm_f32x4_mul(wasm_f32x4_convert_i32x4(wasm_i32x4_extend_high_i16x8(integers)), high);
}

/* The 8 values of a panel's row: x[0] and x[1]. scale: int8, of the panel's 8 channels. */
ALWAYS_INLINE void load_row(v128_t x[2], const char *row, const float *scale, const int storage) {
    if (storage == MUDPT_F16) {
        widen_halves(x, wasm_v128_load(row));
    } else {
        widen_integers(x, wasm_i16x8_load8x8(row), wasm_v128_load(scale), wasm_v128_load(scale + 4));
    }
}

static const char *panel_row(const gemm_weight *w, int panel, int row, const int storage) {
    return (const char *)w->panels + ((size_t)panel * (size_t)w->in + (size_t)row) * PANEL * value_bytes(storage);
}

ALWAYS_INLINE void straight(float *to, const gemm_weight *w, int panel, int from, int depth, const int storage) {
    const char *row = panel_row(w, panel, from, storage);
    const float *scale = storage == MUDPT_I8 ? w->scale + panel * PANEL : NULL;
    v128_t x[2];
    for (float *end = to + (size_t)depth * PANEL; to != end; to += PANEL) {
        load_row(x, row, scale, storage);
        wasm_v128_store(to, x[0]);
        wasm_v128_store(to + 4, x[1]);
        row += PANEL * value_bytes(storage);
    }
}

/* 8 inputs (rows of a panel) by 8 output channels, turned over. */
ALWAYS_INLINE void turn_f32(float *to, const float *row) {
    for (int half = 0; half < PANEL; half += 4) {
        v128_t low[4], high[4]; /* of channels 0 ... 3 and 4 ... 7 */
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            low[i] = wasm_v128_load(row + (half + i) * PANEL);
            high[i] = wasm_v128_load(row + (half + i) * PANEL + 4);
        }
        transpose_4x4(low);
        transpose_4x4(high);
#pragma GCC unroll 4
        for (int o = 0; o < 4; o++) {
            wasm_v128_store(to + o * PANEL + half, low[o]);
            wasm_v128_store(to + (4 + o) * PANEL + half, high[o]);
        }
    }
}

/* The same of f16 and, with the channels' scales, int8: turned over in 16 bits, then widened. */
ALWAYS_INLINE void turn_narrow(float *to, const char *row, const float *scale, const int storage) {
    v128_t x[PANEL];
#pragma GCC unroll 8
    for (int i = 0; i < PANEL; i++)
        x[i] = storage == MUDPT_F16 ? wasm_v128_load(row + i * PANEL * 2) : wasm_i16x8_load8x8(row + i * PANEL);
    transpose_8x8(x);
#pragma GCC unroll 8
    for (int o = 0; o < PANEL; o++) {
        v128_t wide[2];
        if (storage == MUDPT_F16) {
            widen_halves(wide, x[o]);
        } else {
            v128_t factor = wasm_v128_load32_splat(scale + o);
            widen_integers(wide, x[o], factor, factor);
        }
        wasm_v128_store(to + o * PANEL, wide[0]);
        wasm_v128_store(to + o * PANEL + 4, wide[1]);
    }
}

/* The same of any storage, value by value, with zeros beyond the last input. */
RARELY ONCE static void turn_edge(float *to, const gemm_weight *w, int output, int input) {
    for (int i = 0; i < PANEL * PANEL; i++) {
        int o = output + i / PANEL, column = input + i % PANEL;
        to[i] = column < w->in ? panels_value(w, o, column) : 0;
    }
}

/* Neighbouring panels in turn: their blocks lie side by side in the weight, those of one panel far apart. */
ALWAYS_INLINE void transposed(float *to, const gemm_weight *w, int panel, int panels, int from, int depth,
                              const int storage) {
    int first = panel * PANEL, count = panels * PANEL < w->in - first ? panels * PANEL : w->in - first;
    ptrdiff_t row = PANEL * (ptrdiff_t)value_bytes(storage);
    for (int k = 0; k < depth; k += PANEL) {
        int blocks = (depth - k + PANEL - 1) / PANEL;
        if (k % (TOUCHED * PANEL) == 0)
            touch(panel_row(w, (from + k) / PANEL, first, storage), count * row, w->in * row,
                  blocks < TOUCHED ? blocks : TOUCHED);
        for (int q = 0; q < panels; q++) {
            float *target = to + q * PANELS_APART + k * PANEL;
            int input = first + q * PANEL;
            const char *source = panel_row(w, (from + k) / PANEL, input, storage);
            if (input + PANEL > w->in) turn_edge(target, w, from + k, input);
            else if (storage == MUDPT_F32) turn_f32(target, (const float *)(const void *)source);
            else turn_narrow(target, source, w->scale + from + k, storage);
        }
    }
}

/* int16: inputs lie in pairs, so two rows come at a time. x [2 rows][2 halves of the 8 channels] */
ALWAYS_INLINE void load_pair(v128_t x[4], const int16_t *pair, const float *scale) {
    for (int half = 0; half < 2; half++) {
        v128_t both = wasm_v128_load(pair + half * 8), factor = wasm_v128_load(scale + half * 4);
        x[half] = wasm_f32x4_mul(wasm_f32x4_convert_i32x4(wasm_i32x4_shr(wasm_i32x4_shl(both, 16), 16)), factor);
        x[2 + half] = wasm_f32x4_mul(wasm_f32x4_convert_i32x4(wasm_i32x4_shr(both, 16)), factor);
    }
}

static const int16_t *panel_pair(const gemm_weight *w, int panel, int input) {
    return (const int16_t *)w->panels + ((size_t)panel * (size_t)round_up(w->in, 2) + (size_t)input) * PANEL;
}

static void straight_i16_panel(float *to, const gemm_weight *w, int panel, int from, int depth) {
    const float *scale = w->scale + (size_t)panel * PANEL;
    for (int k = 0; k < depth; k += 2) { /* `from` and every chunk but the last are even */
        v128_t x[4];
        load_pair(x, panel_pair(w, panel, from + k), scale);
        for (int i = 0; i < 4 && k + i / 2 < depth; i++) wasm_v128_store(to + k * PANEL + i * 4, x[i]);
    }
}

static void transposed_i16_panel(float *to, const gemm_weight *w, int panel, int from, int depth) {
    for (int k = 0; k < depth; k += PANEL, to += PANEL * PANEL) {
        const float *scale = w->scale + from + k;
        for (int half = 0; half < PANEL; half += 4) {
            v128_t low[4], high[4]; /* of channels 0 ... 3 and 4 ... 7 */
            for (int i = 0; i < 4; i += 2) {
                int input = panel * PANEL + half + i;
                v128_t zero = wasm_f32x4_splat(0), x[4] = {zero, zero, zero, zero};
                if (input < w->in) load_pair(x, panel_pair(w, (from + k) / PANEL, input), scale);
                low[i] = x[0];
                high[i] = x[1];
                low[i + 1] = x[2]; /* zeros where only the pair's first input exists */
                high[i + 1] = x[3];
            }
            transpose_4x4(low);
            transpose_4x4(high);
            for (int o = 0; o < 4; o++) {
                wasm_v128_store(to + o * PANEL + half, low[o]);
                wasm_v128_store(to + (4 + o) * PANEL + half, high[o]);
            }
        }
    }
}

#define PANEL_BY_PANEL(name)                                                                                           \
    static void name(float *to, const gemm_weight *w, int panel, int panels, int from, int depth) {                    \
        for (int q = 0; q < panels; q++) name##_panel(to + q * PANELS_APART, w, panel + q, from, depth);               \
    }
PANEL_BY_PANEL(straight_i16)
PANEL_BY_PANEL(transposed_i16)

#define STRAIGHT(name, storage)                                                                                        \
    static void straight_##name##_panel(float *to, const gemm_weight *w, int panel, int from, int depth) {             \
        straight(to, w, panel, from, depth, storage);                                                                  \
    }                                                                                                                  \
    PANEL_BY_PANEL(straight_##name)
STRAIGHT(f16, MUDPT_F16)
STRAIGHT(i8, MUDPT_I8)

#define TRANSPOSED(name, storage)                                                                                      \
    static void transposed_##name(float *to, const gemm_weight *w, int panel, int panels, int from, int depth) {       \
        transposed(to, w, panel, panels, from, depth, storage);                                                        \
    }
TRANSPOSED(f32, MUDPT_F32)
TRANSPOSED(f16, MUDPT_F16)
TRANSPOSED(i8, MUDPT_I8)

/* f16 with infinity or NaN in it, which no model has: value by value. */
RARELY static void straight_special_panel(float *to, const gemm_weight *w, int panel, int from, int depth) {
    for (int i = 0; i < depth * PANEL; i++) to[i] = panels_value(w, panel * PANEL + i % PANEL, from + i / PANEL);
}

RARELY static void transposed_special_panel(float *to, const gemm_weight *w, int panel, int from, int depth) {
    for (int k = 0; k < depth; k += PANEL) turn_edge(to + k * PANEL, w, from + k, panel * PANEL);
}
RARELY PANEL_BY_PANEL(straight_special)
RARELY PANEL_BY_PANEL(transposed_special)

RARELY panels_unpack panels_unpacker(const gemm_weight *w, int is_transposed) {
    static const panels_unpack table[5][2] = {
        [MUDPT_F32] = {straight_special, transposed_f32}, /* straight they are read in place */
        [MUDPT_F16] = {straight_f16, transposed_f16},
        [MUDPT_I8] = {straight_i8, transposed_i8},
        [MUDPT_I16] = {straight_i16, transposed_i16},
    };
    if (w->special) return is_transposed ? transposed_special : straight_special;
    return table[w->storage][is_transposed != 0];
}
