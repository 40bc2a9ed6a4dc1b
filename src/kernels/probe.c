/* What can only be found out where this runs: whether block integers are faster than f32, how products of bytes are
 * done, and how the kernels' multiply-add rounds. No table of processors or engines can tell. */
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/rng.h"
#include "base/simd.h"
#include "gemm.h"
#include "integer.h"
#include "mudpt.h"

enum { ROWS = 96, WIDTH = 256, REPETITIONS = 12 };
/* Rows that are no whole group are among them; milliseconds in which an engine has compiled anew what runs often. */
enum { EXACT_ROWS = 7, EXACT_OUT = 24, WARM_MS = 40, WARM_RUNS = 8 };

/* The shortest time of one product, straight and, where bytes are not asked for, transposed. */
static double shortest(const gemm_weight *w, float *c, const float *a) {
    double best = 1e9;
    for (int i = 0; i < REPETITIONS; i++) {
        double start = clock_seconds();
        gemm_forward(c, a, w, NULL, ROWS, 0);
        if (!HAS_INT8) gemm_backward(c, a, w, ROWS, 0);
        double time = clock_seconds() - start;
        if (time < best) best = time;
    }
    return best;
}

/* The same by the tile that products will choose, which they do not know yet (trial.h): the faster. */
static double shortest_tiled(const gemm_weight *w, float *c, const float *a) {
    double best = 1e9;
    int chosen = gemm_tile_panels;
    for (int panels = 1; panels <= 2; panels++) {
        if (chosen && panels != chosen) continue;
        gemm_tile_panels = panels;
        double time = shortest(w, c, a);
        if (time < best) best = time;
    }
    gemm_tile_panels = chosen;
    return best;
}

/* Leaves integer_dots the fastest that is exact. -> MUDPT_OK, MUDPT_MEMORY; *least: its time */
static int choose_dots(const gemm_weight *w, float *c, const float *a, double *least) {
    integer_dots_kind best = integer_dots = DOTS_OF_PAIRS;
    *least = shortest(w, c, a);
    for (int kind = DOTS_UNSIGNED; kind < DOTS_KINDS; kind++) {
        integer_dots = (integer_dots_kind)kind;
        int exact = integer_dots_exact(1e-3 * WARM_MS);
        double time = exact > 0 ? shortest(w, c, a) : *least;
        if (time < *least) *least = time, best = integer_dots;
        integer_dots = best;
        if (exact < 0) return exact;
    }
    return MUDPT_OK;
}

int integer_dots_exact(double seconds) {
    arena memory = {0};
    gemm_weight w = {.out = EXACT_OUT, .in = WIDTH, .storage = GEMM_QUADS, .fast = 1};
    size_t results = (size_t)EXACT_ROWS * EXACT_OUT;
    float *a = NULL, *c = NULL, *want = NULL;
    for (int pass = 0; pass < 2; pass++) {
        a = arena_floats(&memory, (size_t)EXACT_OUT * WIDTH);
        c = arena_floats(&memory, results);
        want = arena_floats(&memory, results);
        w.panels = arena_take(&memory, gemm_panel_bytes(EXACT_OUT, WIDTH, GEMM_QUADS));
        w.scale = arena_floats(&memory, EXACT_OUT);
        if (pass == 0 && arena_open(&memory, "a comparison")) return MUDPT_MEMORY;
    }
    int code = gemm_reserve(WIDTH), exact = 1;
    integer_dots_kind kind = integer_dots;
    rng r;
    rng_seed(&r, 2, 0);
    for (int o = 0; o < EXACT_OUT; o++) { /* sums of two or four that are large are among them */
        for (int i = 0; i < WIDTH; i++) a[o * WIDTH + i] = (float)rng_below(&r, 256) - 128;
        if (!code) gemm_set_row(&w, o, a + (size_t)o * WIDTH, 1);
    }
    double end = clock_seconds() + seconds;
    for (int i = 0; !code && exact && (i < WARM_RUNS || clock_seconds() < end); i++) {
        integer_dots = i ? kind : DOTS_OF_PAIRS;
        gemm_forward(i ? c : want, a, &w, NULL, EXACT_ROWS, 0);
        exact = !i || !memcmp(c, want, results * sizeof *c);
    }
    integer_dots = kind;
    arena_close(&memory);
    return code ? code : exact;
}

int mudpt_fast_gain(float *gain) {
    arena memory = {0};
    gemm_weight weights[2] = {{.out = WIDTH, .in = WIDTH, .storage = MUDPT_F16},
                              {.out = WIDTH, .in = WIDTH, .storage = HAS_INT8 ? GEMM_QUADS : MUDPT_I16, .fast = 1}};
    float *a = NULL, *c = NULL;
    for (int pass = 0; pass < 2; pass++) {
        a = arena_floats(&memory, (size_t)ROWS * WIDTH);
        c = arena_floats(&memory, (size_t)ROWS * WIDTH);
        for (int i = 0; i < 2; i++) {
            weights[i].panels = arena_take(&memory, gemm_panel_bytes(WIDTH, WIDTH, weights[i].storage));
            weights[i].scale = arena_floats(&memory, WIDTH);
        }
        if (pass == 0 && arena_open(&memory, "a measurement")) return MUDPT_MEMORY;
    }
    int code = gemm_reserve(WIDTH);
    if (!code) {
        rng r;
        rng_seed(&r, 1, 0);
        for (int i = 0; i < ROWS * WIDTH; i++) a[i] = (float)(rng_uniform(&r) - 0.5);
        for (int i = 0; i < 2; i++)
            for (int o = 0; o < WIDTH; o++) gemm_set_row(&weights[i], o, a + o % ROWS * WIDTH, 0);
        double f32 = shortest_tiled(&weights[0], c, a), integer = 0;
        if (HAS_INT8) code = choose_dots(&weights[1], c, a, &integer);
        else integer = shortest_tiled(&weights[1], c, a);
        *gain = f32 > 0 && integer > 0 ? (float)(f32 / integer) : 1; /* 1: a clock too coarse to tell */
    }
    arena_close(&memory);
    return code;
}

int mudpt_fused(void) {
    /* (1 + 2^-12)^2 is 1 + 2^-11 + 2^-24, whose last part the product loses where it is rounded by itself. The values
     * are volatile, as a compiler would round the constants its own way. */
    volatile float factor = 1 + 0x1p-12f, rounded = -(1 + 0x1p-11f);
    v128_t x = wasm_f32x4_splat(factor);
    return wasm_f32x4_extract_lane(SIMD_MADD(x, x, wasm_f32x4_splat(rounded)), 0) != 0;
}
