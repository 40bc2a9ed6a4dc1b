/* Products in block integers, precision "fast": i32x4.dot_i16x8_s does twice the multiply-adds of an f32 instruction.
 *
 * Every row of the left side is cut into blocks of 64 k's. A block is kept as integers of 13 bits with one scale, its
 * largest value / 4095; weights are integers of 14 bits (MUDPT_I16) or 8 (MUDPT_I8) with one scale per output channel.
 * A block's products are summed exactly, in 32 bits, which 64 * 4095 * 8191 just fits; blocks are summed in f32. In the
 * transposed product the channels' scales go into the left side before it is rounded. The error is about that of TF32.
 * Infinity and NaN on the left side make the row's results NaN or infinite; blocks below 2^-100 count as zero.
 */
#ifndef KERNELS_INTEGER_H
#define KERNELS_INTEGER_H

#include "gemm.h"

enum { INTEGER_BLOCK = 64, INTEGER_LEFT = 4095, INTEGER_RIGHT = 8191 };

/* gemm_run for a weight kept as MUDPT_I16 or MUDPT_I8, shapes as in gemm_job; packed: integer_packed_bytes(depth of the
 * sum: in or, transposed, count), aligned to 16, and every thread's scratch integer_scratch_bytes(). */
void integer_run(const gemm_job *job, void *packed);
uint64_t integer_packed_bytes(int depth);
size_t integer_scratch_bytes(void);

#endif
