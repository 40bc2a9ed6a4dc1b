#include "microkernel.h"

#include <string.h>

#include "base/rarely.h"

/* Rows of `from`, of which `rows` exist, into `columns` columns of `to`, one by one. */
RARELY static void interleave_some(float *to, int width, int columns, const float *from, ptrdiff_t row, ptrdiff_t step,
                                   int rows, int depth) {
    for (int k = 0; k < depth; k++)
        for (int r = 0; r < columns; r++) to[(size_t)k * width + r] = r < rows ? from[r * row + k * step] : 0;
}

/* Four of them, four k's at a time. */
static void interleave_4(float *to, int width, const float *from, ptrdiff_t row, int depth) {
    int k = 0;
    for (; k + 4 <= depth; k += 4) {
        v128_t x[4];
#pragma GCC unroll 4
        for (int r = 0; r < 4; r++) x[r] = wasm_v128_load(from + r * row + k);
        transpose_4x4(x);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) wasm_v128_store(to + (size_t)(k + i) * width, x[i]);
    }
    interleave_some(to + (size_t)k * width, width, 4, from + k, row, 1, 4, depth - k);
}

void interleave(float *to, int width, const float *from, ptrdiff_t row, ptrdiff_t step, int rows, int depth) {
    if (step == 1 && width == 1) {
        memcpy(to, from, (size_t)depth * sizeof *to);
    } else if (step == 1 && (width % 4 == 0 || (width > 4 && rows == width))) {
        for (int r = 0; r < width; r += 4) {
            if (r + 4 > width) r = width - 4; /* some of them once more */
            if (rows - r >= 4) interleave_4(to + r, width, from + r * row, row, depth);
            else interleave_some(to + r, width, 4, from + (r < rows ? r : 0) * row, row, 1, rows - r, depth);
        }
    } else if (row == 1 && rows == width && width >= 4) {
        for (int k = 0; k < depth; k++) {
            for (int r = 0; r < width; r += 4) {
                if (r + 4 > width) r = width - 4;
                wasm_v128_store(to + (size_t)k * width + r, wasm_v128_load(from + k * step + r));
            }
        }
    } else {
        interleave_some(to, width, width, from, row, step, rows, depth);
    }
}

void touch(const void *memory, ptrdiff_t bytes, ptrdiff_t stride, int rows) {
    const char *row = memory;
    for (; rows > 0; rows--, row += stride)
        for (ptrdiff_t at = 0; at < bytes; at += 64) (void)*(const volatile char *)(row + at);
}
