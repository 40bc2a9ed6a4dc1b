/* Matrix products alone, for bench/ours.js: opened once, run as often as wanted. And the limit: multiply-adds in
 * registers, without any memory. One problem at a time. */
#include <emscripten.h>
#include <stdlib.h>

#include "base/parallel.h"
#include "base/rng.h"
#include "kernels/gemm.h"
#include "kernels/integer.h"
#include "mudpt.h"
#include "limit.h"

enum { LIMIT_STEPS = 10000000 };

static gemm_weight weight;
static gemm_job job;

static float *numbers(size_t count) {
    rng r;
    rng_seed(&r, 1, 0);
    float *x = aligned_alloc(64, (count * sizeof *x + 63) / 64 * 64);
    for (size_t i = 0; x && i < count; i++) x[i] = (float)(rng_uniform(&r) - 0.5);
    return x;
}

/* [rows, depth] x [depth, columns], the right side a weight of `columns` output channels or, transposed, of `depth`
 * such, by so many panels at once; 0 when it can be run. MUDPT_I8 is kept for products of bytes where the module has
 * them. */
EMSCRIPTEN_KEEPALIVE int bench_gemm_open(int rows, int depth, int columns, int storage, int fast, int threads,
                                         int panels, int transposed) {
    int out = transposed ? depth : columns, in = transposed ? columns : depth;
    float gain, *row = numbers((size_t)in), *a = numbers((size_t)rows * (size_t)depth),
                *c = numbers((size_t)rows * (size_t)columns);
    if (HAS_INT8 && fast && storage == MUDPT_I8) storage = GEMM_QUADS;
    weight = (gemm_weight){.out = out, .in = in, .storage = storage, .fast = fast, .scale = numbers((size_t)out + 8)};
    weight.panels = aligned_alloc(64, (gemm_panel_bytes(out, in, storage) + 63) / 64 * 64);
    if (!row || !a || !c || !weight.panels || !weight.scale) return MUDPT_MEMORY;
    for (int o = 0; o < out; o++) gemm_set_row(&weight, o, row, 0);
    job = (gemm_job){.weight = &weight, .transposed = transposed, .count = out, .rows = rows};
    job.a = a, job.lda = depth, job.c = c, job.ldc = columns;
    int code = parallel_start(threads);
    if (!code && storage == GEMM_QUADS) code = mudpt_fast_gain(&gain); /* finds out how */
    if (!code) code = gemm_reserve(depth);                             /* forgets the shape of tile */
    gemm_tile_panels = panels;
    return code;
}

EMSCRIPTEN_KEEPALIVE void bench_gemm_run(void) {
    gemm_run(&job);
}

/* -> FLOP */
EMSCRIPTEN_KEEPALIVE double bench_limit(int integers) {
    return integers ? limit_run_integers(LIMIT_STEPS) : limit_run(LIMIT_STEPS);
}
