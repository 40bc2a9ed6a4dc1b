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

/* Eight halves that are neither infinity nor NaN as floats, x[0] the first four. Exponent and mantissa go where a float
 * has them, cut in two 16-bit parts; the product makes up for the exponents' different bias, subnormals included. */
ALWAYS_INLINE void widen_halves(v128_t x[2], v128_t halves) {
    v128_t high = wasm_v128_and(wasm_i16x8_shr(halves, 3), wasm_i16x8_splat((short)0x8fff));
    v128_t low = wasm_i16x8_shl(halves, 13), factor = wasm_f32x4_splat(0x1p112f);
    x[0] = wasm_f32x4_mul(wasm_i16x8_shuffle(low, high, 0, 8, 1, 9, 2, 10, 3, 11), factor);
    x[1] = wasm_f32x4_mul(wasm_i16x8_shuffle(low, high, 4, 12, 5, 13, 6, 14, 7, 15), factor);
}

#endif
