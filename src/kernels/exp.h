/* exp of four floats.
 *
 * Relative error below 2e-7 for -87.3 <= x <= 88.3 (tests/c/test_kernels.c); beyond, the value at the border: 1e-38
 * instead of 0, 2.2e38 instead of infinity. NaN stays NaN.
 */
#ifndef KERNELS_EXP_H
#define KERNELS_EXP_H

#include "base/simd.h"

static inline __attribute__((always_inline)) v128_t exp_inlined(v128_t x) {
    static const float table[] = {88.37f,         -87.33f,        1.44269504f,    12582912.0f,
                                  -0.693359375f,  2.12194440e-4f, 1.66665211e-1f, 4.9999994e-1f,
                                  8.36872403e-3f, 4.1668389e-2f,  1.38145837e-3f, 1};
    const float *number = simd_numbers(table);
    /* pmin and pmax keep their first argument when it is NaN. */
    x = wasm_f32x4_pmax(wasm_f32x4_pmin(x, wasm_v128_load32_splat(number)), wasm_v128_load32_splat(number + 1));
    /* x = n ln 2 + r, |r| <= ln 2 / 2. Adding 1.5 * 2^23 rounds to an integer, which is left in the lowest bits. */
    v128_t magic = wasm_v128_load32_splat(number + 3);
    v128_t rounded = SIMD_MADD(x, wasm_v128_load32_splat(number + 2), magic);
    v128_t n = wasm_f32x4_sub(rounded, magic);
    /* ln 2 in two parts; n times the first is exact */
    v128_t r = SIMD_MADD(n, wasm_v128_load32_splat(number + 4), x);
    r = SIMD_MADD(n, wasm_v128_load32_splat(number + 5), r);
    /* exp(r) = 1 + r + r^2 q(r), q of degree 4 with the least largest relative error, 3.1e-9 (Remez). Short chains of
     * dependent sums matter more than their number. */
    v128_t one = wasm_v128_load32_splat(number + 11), r2 = wasm_f32x4_mul(r, r);
    v128_t low = SIMD_MADD(r, wasm_v128_load32_splat(number + 6), wasm_v128_load32_splat(number + 7));
    v128_t high = SIMD_MADD(r, wasm_v128_load32_splat(number + 8), wasm_v128_load32_splat(number + 9));
    high = SIMD_MADD(r2, wasm_v128_load32_splat(number + 10), high);
    v128_t p = SIMD_MADD(r2, SIMD_MADD(r2, high, low), wasm_f32x4_add(r, one));
    v128_t power = wasm_i32x4_add(wasm_i32x4_shl(rounded, 23), one); /* 2^n: the bits of 1 are 127 << 23 */
    return wasm_f32x4_mul(p, power);
}

/* The same for where no time is spent in it: as the compiler likes. */
static inline v128_t exp_f32x4(v128_t x) {
    return exp_inlined(x);
}

#endif
