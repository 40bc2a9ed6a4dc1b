#include "microkernel.h"

#include <string.h>

/* Four neighbouring rows of `from`, of which `rows` exist, into columns of `to`. */
static void interleave_4(float *to, int width, const float *from, ptrdiff_t row, int rows, int depth) {
    const float *source[4];
    for (int r = 0; r < 4; r++) source[r] = from + (r < rows ? r : 0) * row;
    int k = 0;
    for (; k + 4 <= depth; k += 4) {
        v128_t x[4];
        for (int r = 0; r < 4; r++) x[r] = r < rows ? wasm_v128_load(source[r] + k) : wasm_f32x4_splat(0);
        transpose_4x4(x);
        for (int i = 0; i < 4; i++) wasm_v128_store(to + (size_t)(k + i) * width, x[i]);
    }
    for (; k < depth; k++)
        for (int r = 0; r < 4; r++) to[(size_t)k * width + r] = r < rows ? source[r][k] : 0;
}

void interleave(float *to, int width, const float *from, ptrdiff_t row, ptrdiff_t step, int rows, int depth) {
    if (step == 1 && width == 1) {
        memcpy(to, from, (size_t)depth * sizeof *to);
    } else if (step == 1 && width % 4 == 0) {
        for (int r = 0; r < width; r += 4) {
            int left = rows - r < 0 ? 0 : rows - r < 4 ? rows - r : 4;
            interleave_4(to + r, width, left ? from + r * row : from, row, left, depth);
        }
    } else if (row == 1 && rows == width && width % 4 == 0) {
        for (int k = 0; k < depth; k++)
            for (int r = 0; r < width; r += 4)
                wasm_v128_store(to + (size_t)k * width + r, wasm_v128_load(from + k * step + r));
    } else {
        for (int k = 0; k < depth; k++)
            for (int r = 0; r < width; r++) to[(size_t)k * width + r] = r < rows ? from[r * row + k * step] : 0;
    }
}
