/* Products in block integers, precision "fast": i32x4.dot_i16x8_s does twice the multiply-adds of an f32 instruction.
 *
 * Every row of the left side is cut into blocks of 64 k's. A block is kept as integers of 16 bits with one scale;
 * weights are integers of 15 bits (MUDPT_I16) or 8 (MUDPT_I8) with one scale per output channel. A block's products
 * are summed exactly, in 32 bits: the integers of both sides are as fine as leaves the roots of their squares, added
 * up over a block, below 2^15.5 each (INTEGER_NORM and what rounding adds), so that a sum of their products is below
 * 2^31 (Cauchy-Schwarz); values alike have 13 to 14 bits then. Where a weight measures less, the left side may measure
 * more, and it may also, with sizes that add up to INTEGER_SIZES at most, measure what it will. Blocks are summed in
 * f32. In the transposed product the channels' scales go into the left side before it is rounded, and only sizes
 * count, as columns of weights may measure anything. The error is below TF32's. Infinity and NaN on the left side make
 * the row's results NaN or infinite.
 *
 * Products of bytes, precision "int8" (GEMM_QUADS): the same with 8 bits on the left, a block's largest value / 127,
 * and straight alone. i32x4.relaxed_dot_i8x16_i7x16_add does 16 multiply-adds, but what it makes of a second side
 * beyond 7 bits is the engine's choice: it takes it as unsigned (x86 with VNNI) or signed (ARM), or has sums of two
 * that do not fit (x86 before). So where it was found exact for one of the first two, bytes are given to it as it takes
 * them, for the first 128 higher, which sums begin by making up for; elsewhere they are widened for
 * i32x4.dot_i16x8_s. A block's sum is exact either way, and what is done with it never fused: the bits are the same in
 * every engine.
 */
#ifndef KERNELS_INTEGER_H
#define KERNELS_INTEGER_H

#include "gemm.h"

enum {
    INTEGER_BLOCK = 64,
    INTEGER_LEFT = 32767,
    INTEGER_RIGHT = 16383,
    INTEGER_SIZES = 64 * 2047,
    INTEGER_NORM = 46336
};

/* gemm_run for a weight kept as MUDPT_I16 or MUDPT_I8, shapes as in gemm_job; packed: integer_packed_bytes(depth of the
 * sum: in or, transposed, count), aligned to 16, and every thread's scratch integer_scratch_bytes(). */
void integer_run(const gemm_job *job, void *packed);
uint64_t integer_packed_bytes(int depth);
size_t integer_scratch_bytes(void);

/* How products of bytes are done. mudpt_fast_gain finds it out (probe.c). */
typedef enum { DOTS_OF_PAIRS, DOTS_UNSIGNED, DOTS_SIGNED, DOTS_KINDS } integer_dots_kind;
extern integer_dots_kind integer_dots;
/* Whether integer_dots has the bits of DOTS_OF_PAIRS, again and again for so long. -> 1, 0, MUDPT_MEMORY */
int integer_dots_exact(double seconds);

/* Where there is no such instruction, what stands in for it, as engines have it: exact for one kind, or (-1) wrong: V8
 * 11.8's baseline compiler gave twice the last product. */
extern int integer_engine;

#endif
