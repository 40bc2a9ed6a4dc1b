/* The inner loop that all matrix products share, and 4 x 4 transposes in registers.
 *
 * A tile is a few rows times a few vectors of 4 columns, held in registers; every step of the sum adds the product of
 * one column of A and one row of B. 4 x 8 is the largest tile that leaves room for its operands in 16 registers, 6 x 16
 * in 32, or in 16 of twice the length. Each element is one sum in the order of k, whatever the shape of the tile, so
 * results do not depend on how work is cut.
 */
#ifndef KERNELS_MICROKERNEL_H
#define KERNELS_MICROKERNEL_H

#include <stddef.h>

#include "base/simd.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { PANEL = 8 }; /* columns of a panel */

/* sum [rows, vectors]: sum[r * vectors + j] += A(r, k) * B(k, vector j) for k = 0 ... depth-1, A(r, k) = a[r * a_row +
 * k * a_step].
 * Vector j of B's row k is at b + j / 2 * b_panel + j % 2 * 4 + k * b_step: two vectors a panel. rows and vectors
 * must be constants, vectors at most 8. */
ALWAYS_INLINE void micro_add(v128_t *sum, const int rows, const int vectors, int depth, const float *a, ptrdiff_t a_row,
                             ptrdiff_t a_step, const float *b, ptrdiff_t b_panel, ptrdiff_t b_step) {
    if (depth <= 0) return;
    const float *end = b + depth * b_step;
    do { /* Not unrolled: engines that load all operands of a step first then run out of registers. */
        v128_t row[8];
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++) row[j] = wasm_v128_load(b + j / 2 * b_panel + j % 2 * 4);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            v128_t value = wasm_v128_load32_splat(a + r * a_row);
#pragma GCC unroll 8
            for (int j = 0; j < vectors; j++) sum[r * vectors + j] = SIMD_MADD(value, row[j], sum[r * vectors + j]);
        }
        a += a_step;
        b += b_step;
    } while (b != end);
}

/* x [4, 4] = its transpose, of floats or any 32 bits; a vector is a row. */
ALWAYS_INLINE void transpose_4x4(v128_t x[4]) {
    v128_t low01 = wasm_i32x4_shuffle(x[0], x[1], 0, 4, 1, 5), high01 = wasm_i32x4_shuffle(x[0], x[1], 2, 6, 3, 7);
    v128_t low23 = wasm_i32x4_shuffle(x[2], x[3], 0, 4, 1, 5), high23 = wasm_i32x4_shuffle(x[2], x[3], 2, 6, 3, 7);
    x[0] = wasm_i64x2_shuffle(low01, low23, 0, 2);
    x[1] = wasm_i64x2_shuffle(low01, low23, 1, 3);
    x[2] = wasm_i64x2_shuffle(high01, high23, 0, 2);
    x[3] = wasm_i64x2_shuffle(high01, high23, 1, 3);
}

/* x [8, 8] = its transpose, of any 16 bits. */
ALWAYS_INLINE void transpose_8x8(v128_t x[8]) {
    v128_t y[8];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) { /* rows 2 i and 2 i + 1, in pairs of 16 bits */
        y[i] = wasm_i16x8_shuffle(x[2 * i], x[2 * i + 1], 0, 8, 1, 9, 2, 10, 3, 11);
        y[4 + i] = wasm_i16x8_shuffle(x[2 * i], x[2 * i + 1], 4, 12, 5, 13, 6, 14, 7, 15);
    }
    transpose_4x4(y);
    transpose_4x4(y + 4);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) x[i] = y[i];
}

/* Asks for `rows` rows of memory, `bytes` each and `stride` apart, before they are used: many at once, where one after
 * the other would wait for each. */
void touch(const void *memory, ptrdiff_t bytes, ptrdiff_t stride, int rows);

/* to[k * width + r] = from[r * row + k * step] for r < rows and k < depth, zeros for rows <= r < width: the operand
 * layout of micro_add. width is 1 ... 4 or 6 for A, PANEL for B; to is written up to depth * width. */
void interleave(float *to, int width, const float *from, ptrdiff_t row, ptrdiff_t step, int rows, int depth);

#endif
