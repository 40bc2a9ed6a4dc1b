/* Multiply-adds in registers: what no product can pass on this machine. */
#ifndef BENCH_LIMIT_H
#define BENCH_LIMIT_H

#include "base/simd.h"

/* Chains of sums that do not wait for each other, enough to keep every unit busy. A fused multiply-add is all in its
 * chain. A separate multiplication is not, so every chain has a product of its own, which is new in each step: the
 * compiler would compute one that several share, or that stays as it is, only once. Sums and factors together are as
 * many as there are registers. */
#ifdef __wasm_relaxed_simd__
enum { LIMIT_CHAINS = 10, LIMIT_FACTORS = 1 };
#else
enum { LIMIT_CHAINS = 8, LIMIT_FACTORS = 4 };
#endif

/* -> FLOP */
static double limit_run(int steps) {
    static volatile v128_t given[2];
    static volatile float start;
    v128_t x[LIMIT_FACTORS], sum[LIMIT_CHAINS];
    for (int i = 0; i < LIMIT_FACTORS; i++) x[i] = wasm_f32x4_splat(start);
    for (int i = 0; i < LIMIT_CHAINS; i++) sum[i] = wasm_f32x4_splat(start);
    for (int step = 0; step < steps; step++) {
        v128_t y[2] = {given[0], given[1]};
#pragma GCC unroll 16
        for (int i = 0; i < LIMIT_CHAINS; i++)
            sum[i] = SIMD_MADD(x[i % LIMIT_FACTORS], y[i * 2 / LIMIT_CHAINS], sum[i]);
    }
    for (int i = 1; i < LIMIT_CHAINS; i++) sum[0] = wasm_f32x4_add(sum[0], sum[i]);
    start = wasm_f32x4_extract_lane(sum[0], 0);
    return 8.0 * LIMIT_CHAINS * steps;
}

/* The same for products of 16-bit integers, which are added up in 32 bits: again no two alike in a step. -> FLOP */
static double limit_run_integers(int steps) {
    static volatile v128_t given[6];
    static volatile int start;
    v128_t x[2] = {given[4], given[5]}, sum[8];
    for (int i = 0; i < 8; i++) sum[i] = wasm_i32x4_splat(start);
    for (int step = 0; step < steps; step++) {
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            v128_t y = given[j];
            sum[2 * j] = wasm_i32x4_add(sum[2 * j], wasm_i32x4_dot_i16x8(x[0], y));
            sum[2 * j + 1] = wasm_i32x4_add(sum[2 * j + 1], wasm_i32x4_dot_i16x8(x[1], y));
        }
    }
    for (int i = 1; i < 8; i++) sum[0] = wasm_i32x4_add(sum[0], sum[i]);
    start = wasm_i32x4_extract_lane(sum[0], 0);
    return 16.0 * 8 * steps;
}

#endif
