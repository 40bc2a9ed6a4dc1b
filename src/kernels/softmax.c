#include "softmax.h"

#include <math.h>

#include "exp.h"

float softmax_row(float *p, const float *s, int count) {
    float max = s[0];
    for (int i = 1; i < count; i++)
        if (s[i] > max) max = s[i];
    v128_t shift = wasm_f32x4_splat(max), sums = wasm_f32x4_splat(0);
    int i = 0;
    for (; i + 4 <= count; i += 4) {
        v128_t e = exp_f32x4(wasm_f32x4_sub(wasm_v128_load(s + i), shift));
        wasm_v128_store(p + i, e);
        sums = wasm_f32x4_add(sums, e);
    }
    float sum = (wasm_f32x4_extract_lane(sums, 0) + wasm_f32x4_extract_lane(sums, 1)) +
                (wasm_f32x4_extract_lane(sums, 2) + wasm_f32x4_extract_lane(sums, 3));
    for (; i < count; i++) {
        p[i] = wasm_f32x4_extract_lane(exp_f32x4(wasm_f32x4_splat(s[i] - max)), 0);
        sum += p[i];
    }
    float scale = 1 / sum;
    for (i = 0; i < count; i++) p[i] *= scale;
    return max + logf(sum);
}
