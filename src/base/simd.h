/* WebAssembly's 128-bit SIMD intrinsics on every target, so that native tests run the very kernels that ship.
 *
 * WebAssembly has them as they are; elsewhere SIMDe maps them to what the processor has.
 * SIMD_MADD(a, b, c) is a * b + c: one instruction where the relaxed variant is built (whether the product is rounded
 * in between is then the engine's choice), a multiplication and an addition otherwise: also in the variant with
 * products of bytes, whose results are the same in every engine.
 */
#ifndef BASE_SIMD_H
#define BASE_SIMD_H

#ifdef __wasm_simd128__
#include <wasm_simd128.h>
#else
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/wasm/simd128.h>
#endif

#if defined __wasm_relaxed_simd__ && !defined MUDPT_BYTE_PRODUCTS
#define SIMD_MADD(a, b, c) wasm_f32x4_relaxed_madd(a, b, c)
#else
#define SIMD_MADD(a, b, c) wasm_f32x4_add(wasm_f32x4_mul(a, b), c)
#endif

/* Numbers that a loop needs, to be loaded where they are used (wasm_v128_load32_splat): V8 puts a constant together
 * anew at every use, in three instructions or four, where a load is one. A compiler that knew them would make constants
 * of them. */
static inline const void *simd_numbers(const void *numbers) {
    __asm__("" : "+r"(numbers));
    return numbers;
}

/* sqrtf. A square root of one number takes V8 hundreds of times as long after vectors of 256 bits: its code for that
 * alone is of before AVX, and leaves it to the processor to put the halves of registers together again. */
static inline float simd_root(float x) {
    return wasm_f32x4_extract_lane(wasm_f32x4_sqrt(wasm_f32x4_splat(x)), 0);
}

/* Where two vectors are stored side by side, between what is loaded for both and the stores: compilers would load,
 * compute and store one after the other, engines join only what has no access to memory in between (gemm.c's
 * store_tile). Costs nothing. */
#define SIMD_STORES_FOLLOW __asm__ volatile("" ::: "memory")

/* That what `pointer` points to is memory, not registers, whatever a compiler would make of it. */
#define SIMD_IN_MEMORY(pointer) __asm__("" : "+r"(pointer))

#endif
