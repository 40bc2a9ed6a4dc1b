/* exp of four floats.
 *
 * Relative error below 2e-7 for -87.3 <= x <= 88.3 (tests/c/test_kernels.c); beyond, the value at the border: 1e-38
 * instead of 0, 2.2e38 instead of infinity. NaN stays NaN.
 */
#ifndef KERNELS_EXP_H
#define KERNELS_EXP_H

#include "base/simd.h"

static inline v128_t exp_f32x4(v128_t x) {
    /* pmin and pmax keep their first argument when it is NaN. */
    x = wasm_f32x4_pmax(wasm_f32x4_pmin(x, wasm_f32x4_splat(88.37f)), wasm_f32x4_splat(-87.33f));
    /* x = n ln 2 + r, |r| <= ln 2 / 2. Adding 1.5 * 2^23 rounds to an integer, which is left in the lowest bits. */
    v128_t magic = wasm_f32x4_splat(12582912.0f);
    v128_t rounded = SIMD_MADD(x, wasm_f32x4_splat(1.44269504f), magic);
    v128_t n = wasm_f32x4_sub(rounded, magic);
    v128_t r = SIMD_MADD(n, wasm_f32x4_splat(-0.693359375f), x); /* ln 2 in two parts; n times the first is exact */
    r = SIMD_MADD(n, wasm_f32x4_splat(2.12194440e-4f), r);
    /* exp(r) = 1 + r + r^2 q(r), q of degree 4 with the least largest relative error, 3.1e-9 (Remez). Short chains of
     * dependent sums matter more than their number. */
    v128_t one = wasm_f32x4_splat(1), r2 = wasm_f32x4_mul(r, r);
    v128_t low = SIMD_MADD(r, wasm_f32x4_splat(1.66665211e-1f), wasm_f32x4_splat(4.9999994e-1f));
    v128_t high = SIMD_MADD(r, wasm_f32x4_splat(8.36872403e-3f), wasm_f32x4_splat(4.1668389e-2f));
    high = SIMD_MADD(r2, wasm_f32x4_splat(1.38145837e-3f), high);
    v128_t p = SIMD_MADD(r2, SIMD_MADD(r2, high, low), wasm_f32x4_add(r, one));
    v128_t power = wasm_i32x4_add(wasm_i32x4_shl(rounded, 23), wasm_i32x4_splat(127 << 23)); /* 2^n */
    return wasm_f32x4_mul(p, power);
}

#endif
