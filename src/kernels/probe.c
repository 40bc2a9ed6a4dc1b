/* Whether block integers are faster than f32 where this runs: no table of processors can tell. */
#include "base/arena.h"
#include "base/clock.h"
#include "base/rng.h"
#include "gemm.h"
#include "mudpt.h"

enum { ROWS = 96, WIDTH = 256, REPETITIONS = 12 };

/* The shortest time of one product, straight and transposed. */
static double shortest(const gemm_weight *w, float *c, const float *a) {
    double best = 1e9;
    for (int i = 0; i < REPETITIONS; i++) {
        double start = clock_seconds();
        gemm_forward(c, a, w, NULL, ROWS, 0);
        gemm_backward(c, a, w, ROWS, 0);
        double time = clock_seconds() - start;
        if (time < best) best = time;
    }
    return best;
}

int mudpt_fast_gain(float *gain) {
    arena memory = {0};
    gemm_weight weights[2] = {{.out = WIDTH, .in = WIDTH, .storage = MUDPT_F16},
                              {.out = WIDTH, .in = WIDTH, .storage = MUDPT_I16, .fast = 1}};
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
        double f32 = shortest(&weights[0], c, a), integer = shortest(&weights[1], c, a);
        *gain = f32 > 0 && integer > 0 ? (float)(f32 / integer) : 1; /* 1: a clock too coarse to tell */
    }
    arena_close(&memory);
    return code;
}
