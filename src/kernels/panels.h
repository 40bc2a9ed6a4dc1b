/* Weights in panels: one element, and pieces of a panel as f32 for the micro-kernel. The layout is described in
 * gemm.h. */
#ifndef KERNELS_PANELS_H
#define KERNELS_PANELS_H

#include "gemm.h"
#include "microkernel.h"

/* W(o, i) as f32; o 0 ... out-1, i 0 ... in-1. */
float panels_value(const gemm_weight *w, int o, int i);

/* Panels for the micro-kernel, each [depth, 8] and PANELS_APART floats from the next, from k = `from` on. Straight: the
 * columns are the output channels of panels `panel` and following, k runs over inputs. Transposed: the columns of the
 * first are inputs panel * 8 ... + 7 (zeros beyond the last), k runs over output channels; `from` is a multiple of 8
 * and `to` is written up to depth rounded up to 8. */
typedef void (*panels_unpack)(float *to, const gemm_weight *w, int panel, int panels, int from, int depth);
enum { PANELS_APART = 4096 };

/* The one for a weight's storage. */
panels_unpack panels_unpacker(const gemm_weight *w, int transposed);

/* Eight halves that are neither infinity nor NaN as floats, x[0] the first four. Sign, exponent and mantissa go where a
 * float has them, the copies of the sign between them are taken away; the product makes up for the exponents' different
 * bias, subnormals included. Both halves of the eight take the same steps, which engines can join (gemm.c's
 * store_tile). */
ALWAYS_INLINE void widen_halves(v128_t x[2], v128_t halves) {
    static const uint32_t table[] = {0x8fffffff, 0x77800000 /* 2^112 */};
    const uint32_t *number = simd_numbers(table);
    v128_t mask = wasm_v128_load32_splat(number), factor = wasm_v128_load32_splat(number + 1);
    v128_t low = wasm_i32x4_extend_low_i16x8(halves), high = wasm_i32x4_extend_high_i16x8(halves);
    x[0] = wasm_f32x4_mul(wasm_v128_and(wasm_i32x4_shl(low, 13), mask), factor);
    x[1] = wasm_f32x4_mul(wasm_v128_and(wasm_i32x4_shl(high, 13), mask), factor);
}

#endif
