/* The SIMD back end of gemm.h.
 *
 * Some hundred rows of A are packed into groups of 4 or 6. Then tiles, all of these rows times a few panels, are
 * claimed by the threads. In a tile a chunk of a panel is brought into the first-level cache (read in place, or widened
 * or transposed into the thread's scratch) and meets row after row. The sum over k is cut into chunks at fixed places
 * and C collects them in order: a row's result depends neither on the threads nor on the other rows.
 */
#include "gemm.h"

#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/parallel.h"
#include "base/rarely.h"
#include "integer.h"
#include "microkernel.h"
#include "mudpt.h"
#include "panels.h"
#include "trial.h"

enum {
    CHUNK = PANELS_APART / PANEL, /* k's of a chunk, 512: 16 KB of a panel */
    TILE_PANELS = 4,              /* panels of a tile */
    WIDE_ROWS = 6,                /* rows of a group whose tile is two panels wide; 4 of others */
    PACKED_ROWS = 408,            /* rows of A that are packed at a time, and so of a tile; whole groups of both */
    PACK_ROWS = 36                /* rows that a thread packs at a time; the same */
};

typedef struct {
    int rows, depth, columns;
    const float *a;
    ptrdiff_t a_row, a_step;
    float *c;
    ptrdiff_t ldc;
    const float *bias;
    int accumulate;

    const float *panels;    /* f32 panels to be read in place, or NULL: those of weight, through unpack */
    const uint16_t *halves; /* f16 panels that may be read in place, or NULL */
    panels_unpack unpack;
    const gemm_weight *weight;
    int first_panel, first_k; /* where the product begins in the weight */

    int group;        /* rows of a group, 4 or WIDE_ROWS */
    int done, packed; /* rows before those that are packed now, and how many these are */
} product;

static struct {
    float *memory;
    size_t bytes;
} packed_a, packed_b;

/* ------------------------------------------------------------------------------------------------ one tile */

/* A tile of C: `rows` packed rows at a, a column of which is a_step long, times panels at b, over one chunk of k. bias
 * (NULL: none) is added, and what c holds if accumulate. All 8 columns of every panel are written. */
typedef void tile_function(float *c, ptrdiff_t ldc, const float *bias, int accumulate, const float *a, int a_step,
                           const float *b, ptrdiff_t b_panel, int depth);

/* Row after row, the two halves of a panel one after the other, and nothing between these two stores: so an engine that
 * can join pairs of vectors into longer ones (V8 with revectorization) joins those of the whole tile. */
ALWAYS_INLINE void store_tile(const v128_t *sum, float *c, ptrdiff_t ldc, const float *bias, int accumulate,
                              const int rows, const int panels) {
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 4
        for (int q = 0; q < panels; q++) {
            float *target = c + r * ldc + q * PANEL;
            v128_t low = sum[(r * panels + q) * 2], high = sum[(r * panels + q) * 2 + 1];
            if (bias) {
                low = wasm_f32x4_add(low, wasm_v128_load(bias + q * PANEL));
                high = wasm_f32x4_add(high, wasm_v128_load(bias + q * PANEL + 4));
            }
            if (accumulate) {
                v128_t before_low = wasm_v128_load(target), before_high = wasm_v128_load(target + 4);
                low = wasm_f32x4_add(before_low, low);
                high = wasm_f32x4_add(before_high, high);
            }
            wasm_v128_store(target, low);
            wasm_v128_store(target + 4, high);
        }
    }
}

ALWAYS_INLINE void tile(float *c, ptrdiff_t ldc, const float *bias, int accumulate, const float *a, int a_step,
                        const float *b, ptrdiff_t b_panel, int depth, const int rows, const int panels) {
    v128_t sum[4 * WIDE_ROWS];
#pragma GCC unroll 24
    for (int i = 0; i < rows * panels * 2; i++) sum[i] = wasm_f32x4_splat(0);
    micro_add(sum, rows, panels * 2, depth, a, 1, a_step, b, b_panel, PANEL);
    store_tile(sum, c, ldc, bias, accumulate, rows, panels);
}

/* tile_1x4 with f16 panels as they lie: widened for one row only, they need not go through memory. */
ONCE static void tile_1x4_halves(float *c, const float *bias, int accumulate, const float *a, const uint16_t *b,
                                 ptrdiff_t b_panel, int depth) {
    v128_t sum[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) sum[i] = wasm_f32x4_splat(0);
    for (int k = 0; k < depth; k++, b += PANEL) {
        v128_t value = wasm_v128_load32_splat(a + k), x[2];
#pragma GCC unroll 4
        for (int q = 0; q < 4; q++) {
            widen_halves(x, wasm_v128_load(b + q * b_panel));
            sum[2 * q] = SIMD_MADD(value, x[0], sum[2 * q]);
            sum[2 * q + 1] = SIMD_MADD(value, x[1], sum[2 * q + 1]);
        }
    }
    store_tile(sum, c, 0, bias, accumulate, 1, 4);
}

#define TILE(name, rows, panels)                                                                                       \
    ONCE static void name(float *c, ptrdiff_t ldc, const float *bias, int accumulate, const float *a, int a_step,      \
                          const float *b, ptrdiff_t b_panel, int depth) {                                              \
        tile(c, ldc, bias, accumulate, a, a_step, b, b_panel, depth, rows, panels);                                    \
    }
TILE(tile_1x4, 1, 4)
TILE(tile_2x2, 2, 2)
TILE(tile_1x1, 1, 1)
TILE(tile_2x1, 2, 1)
TILE(tile_3x1, 3, 1)
TILE(tile_4x1, 4, 1)
TILE(tile_6x2, WIDE_ROWS, 2)

/* For 1 to 4 rows: over one panel, and over as many as give 8 independent sums, where that is more than one. */
static const struct {
    tile_function *one, *more;
    int panels; /* of `more` */
} tiles[5] = {{0}, {tile_1x1, tile_1x4, 4}, {tile_2x1, tile_2x2, 2}, {tile_3x1, tile_3x1, 1}, {tile_4x1, tile_4x1, 1}};

/* A tile of one panel, of which C has only some columns. */
static void edge_tile(tile_function *run, int rows, int columns, float *c, ptrdiff_t ldc, const float *bias,
                      int accumulate, const float *a, int a_step, const float *b, ptrdiff_t b_panel, int depth) {
    float whole[4 * PANEL] = {0}, whole_bias[PANEL] = {0};
    for (int j = 0; j < columns; j++) {
        if (bias) whole_bias[j] = bias[j];
        for (int r = 0; r < rows && accumulate; r++) whole[r * PANEL + j] = c[r * ldc + j];
    }
    run(whole, PANEL, bias ? whole_bias : NULL, accumulate, a, a_step, b, b_panel, depth);
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < columns; j++) c[r * ldc + j] = whole[r * PANEL + j];
}

/* ------------------------------------------------------------------------------------------------ all tiles */

/* Up to 4 packed rows at a times `count` panels at b, over the chunk of k that begins at k. */
RARELY ONCE static void rows_times_panels(const product *p, int row, int rows, int panel, int count, const float *a,
                                          int a_step, const float *b, ptrdiff_t b_panel, int k, int depth) {
    for (int q = 0, step; q < count; q += step) {
        int column = (panel + q) * PANEL, columns = p->columns - column;
        step = tiles[rows].panels;
        if (step > count - q || step * PANEL > columns) step = 1;
        tile_function *run = step == 1 ? tiles[rows].one : tiles[rows].more;
        float *c = p->c + (p->done + row) * p->ldc + column;
        const float *bias = k == 0 && p->bias ? p->bias + column : NULL;
        int accumulate = k > 0 || p->accumulate;
        if (columns < PANEL)
            edge_tile(run, rows, columns, c, p->ldc, bias, accumulate, a, a_step, b + q * b_panel, b_panel, depth);
        else run(c, p->ldc, bias, accumulate, a, a_step, b + q * b_panel, b_panel, depth);
    }
}

/* Packed A: chunk after chunk of k, in each all groups of rows, in each [k, p->group]; of the rows that are left over
 * up to 4 are a group of their own. */
static float *packed_rows(const product *p, int row, int k, int depth) {
    return packed_a.memory + (size_t)p->packed * (size_t)k + (size_t)row * (size_t)depth;
}

static int group_rows(const product *p, int rows) {
    return rows >= p->group ? p->group : rows < 4 ? rows : 4;
}

/* All whole groups times `count` panels, two by two as far as there are two whole ones and groups are for that. */
static void groups_times_panels(const product *p, int panel, int count, const float *b, ptrdiff_t b_panel, int k,
                                int depth) {
    for (int q = 0, step; q < count; q += step) {
        int column = (panel + q) * PANEL, wide = p->group == WIDE_ROWS;
        step = wide && q + 2 <= count && column + 2 * PANEL <= p->columns ? 2 : 1;
        for (int row = 0; row + p->group <= p->packed; row += p->group) {
            const float *a = packed_rows(p, row, k, depth), *panels = b + q * b_panel;
            if (step == 2) {
                tile_6x2(p->c + (p->done + row) * p->ldc + column, p->ldc, k == 0 && p->bias ? p->bias + column : NULL,
                         k > 0 || p->accumulate, a, WIDE_ROWS, panels, b_panel, depth);
            } else {
                rows_times_panels(p, row, 4, panel + q, 1, a, p->group, panels, b_panel, k, depth);
                if (wide) rows_times_panels(p, row + 4, 2, panel + q, 1, a + 4, p->group, panels, b_panel, k, depth);
            }
        }
    }
}

RARELY static void run_tile(void *context, int index, int thread) {
    const product *p = context;
    int panel = index * TILE_PANELS, panels = (p->columns + PANEL - 1) / PANEL - panel;
    int whole = p->packed / p->group * p->group;
    float *scratch = parallel_scratch(thread);
    ptrdiff_t b_panel = p->panels ? (ptrdiff_t)p->depth * PANEL : PANELS_APART;
    if (panels > TILE_PANELS) panels = TILE_PANELS;
    int trying = !gemm_tile_panels && thread == 0 && panels == TILE_PANELS && whole && p->depth, k = 0;
    do { /* a sum over nothing is zero, but still written */
        int depth = p->depth - k < CHUNK ? p->depth - k : CHUNK;
        const float *b = p->panels ? p->panels + panel * b_panel + k * PANEL : scratch;
        if (p->halves && p->packed == 1 && panel * PANEL + 4 * PANEL <= p->columns) {
            int column = panel * PANEL;
            tile_1x4_halves(p->c + p->done * p->ldc + column, k == 0 && p->bias ? p->bias + column : NULL,
                            k > 0 || p->accumulate, packed_rows(p, 0, k, depth),
                            p->halves + ((ptrdiff_t)panel * p->depth + k) * PANEL, (ptrdiff_t)p->depth * PANEL, depth);
            k += depth;
            continue;
        }
        if (!p->panels) p->unpack(scratch, p->weight, p->first_panel + panel, panels, p->first_k + k, depth);
        double start = trying ? clock_seconds() : 0;
        groups_times_panels(p, panel, panels, b, b_panel, k, depth);
        if (trying)
            trial_count(TRIAL_FLOATS, p->group == WIDE_ROWS, clock_seconds() - start, (double)whole * panels * depth);
        for (int row = whole, rows; row < p->packed; row += rows) {
            rows = group_rows(p, p->packed - row);
            rows_times_panels(p, row, rows, panel, panels, packed_rows(p, row, k, depth), rows, b, b_panel, k, depth);
        }
        k += depth;
    } while (k < p->depth);
}

static void pack_rows(void *context, int index, int thread) {
    const product *p = context;
    (void)thread;
    int end = (index + 1) * PACK_ROWS < p->packed ? (index + 1) * PACK_ROWS : p->packed;
    for (int row = index * PACK_ROWS, rows; row < end; row += rows) {
        rows = group_rows(p, end - row);
        for (int k = 0; k < p->depth; k += CHUNK) {
            int depth = p->depth - k < CHUNK ? p->depth - k : CHUNK;
            interleave(packed_rows(p, row, k, depth), rows, p->a + (p->done + row) * p->a_row + k * p->a_step, p->a_row,
                       p->a_step, rows, depth);
        }
    }
}

RARELY static void run_product(product *p) {
    if (p->rows <= 0 || p->columns <= 0) return;
    p->group = trial_two_panels(TRIAL_FLOATS) ? WIDE_ROWS : 4;
    /* The fewest equal parts, each but the last whole groups. */
    int parts = (p->rows + PACKED_ROWS - 1) / PACKED_ROWS;
    int step = ((p->rows + parts - 1) / parts + p->group - 1) / p->group * p->group;
    for (p->done = 0; p->done < p->rows; p->done += step) {
        p->packed = p->rows - p->done < step ? p->rows - p->done : step;
        parallel_for((p->packed + PACK_ROWS - 1) / PACK_ROWS, pack_rows, p);
        parallel_for((p->columns + TILE_PANELS * PANEL - 1) / (TILE_PANELS * PANEL), run_tile, p);
    }
}

RARELY static void simd_run(const gemm_job *job) {
    const gemm_weight *w = job->weight;
    if (w->fast) {
        integer_run(job, packed_a.memory);
        return;
    }
    product p = {
        .rows = job->rows,
        .depth = job->transposed ? job->count : w->in,
        .columns = job->transposed ? w->in : job->count,
        .a = job->a,
        .a_row = job->lda,
        .a_step = 1,
        .c = job->c,
        .ldc = job->ldc,
        .accumulate = job->accumulate,
        .bias = job->transposed || !job->bias ? NULL : job->bias + job->first,
        .weight = w,
        .unpack = panels_unpacker(w, job->transposed),
        .first_panel = job->transposed ? 0 : job->first / PANEL,
        .first_k = job->transposed ? job->first : 0,
    };
    if (w->storage == MUDPT_F32 && !job->transposed)
        p.panels = (const float *)w->panels + (size_t)job->first * (size_t)w->in;
    if (w->storage == MUDPT_F16 && !job->transposed && !w->special)
        p.halves = (const uint16_t *)w->panels + (size_t)job->first * (size_t)w->in;
    run_product(&p);
}

ONCE static int reserve(float **memory, size_t *bytes, uint64_t wanted, const char *what) {
    if (wanted <= *bytes) return MUDPT_OK;
    float *fresh = aligned_take(wanted, what);
    if (!fresh) return MUDPT_MEMORY;
    aligned_release(*memory);
    *memory = fresh;
    *bytes = (size_t)wanted;
    return MUDPT_OK;
}

uint64_t gemm_packed_bytes(int depth) {
    uint64_t bytes = (uint64_t)PACKED_ROWS * (uint64_t)depth * sizeof(float), integers = integer_packed_bytes(depth);
    return bytes > integers ? bytes : integers;
}

size_t gemm_scratch_bytes(void) {
    size_t bytes = sizeof(float) * TILE_PANELS * CHUNK * PANEL;
    return bytes > integer_scratch_bytes() ? bytes : integer_scratch_bytes();
}

RARELY int gemm_reserve(int depth) {
    if (gemm_packed_bytes(depth) > packed_a.bytes) { /* what smaller products found out is forgotten */
        trial_forget();
    }
    int code = reserve(&packed_a.memory, &packed_a.bytes, gemm_packed_bytes(depth), "a matrix product's left side");
    return code ? code : parallel_reserve(gemm_scratch_bytes());
}

/* ------------------------------------------------------------------------------------------------ plain matrices */

typedef struct {
    const float *b;
    int b_row, b_col, columns, depth;
} right_side;

static void pack_panel(void *context, int index, int thread) {
    const right_side *s = context;
    (void)thread;
    int column = index * PANEL, valid = s->columns - column < PANEL ? s->columns - column : PANEL;
    interleave(packed_b.memory + (size_t)column * (size_t)s->depth, PANEL, s->b + (ptrdiff_t)column * s->b_col,
               s->b_col, s->b_row, valid, s->depth);
}

void gemm_dense(float *c, int ldc, const float *a, int a_row, int a_col, const float *b, int b_row, int b_col, int m,
                int n, int k, int accumulate) {
    if (m <= 0 || n <= 0) return;
    work_done.products += 2.0 * m * n * k;
    right_side right = {.b = b, .b_row = b_row, .b_col = b_col, .columns = n, .depth = k};
    parallel_for((n + PANEL - 1) / PANEL, pack_panel, &right);
    run_product(&(product){
        .rows = m,
        .depth = k,
        .columns = n,
        .a = a,
        .a_row = a_row,
        .a_step = a_col,
        .c = c,
        .ldc = ldc,
        .accumulate = accumulate,
        .panels = packed_b.memory,
    });
}

RARELY int gemm_reserve_dense(int n, int k) {
    uint64_t columns = ((uint64_t)n + PANEL - 1) / PANEL * PANEL;
    int code = reserve(&packed_b.memory, &packed_b.bytes, columns * (uint64_t)k * sizeof(float),
                       "a matrix product's right side");
    return code ? code : gemm_reserve(k);
}

uint64_t gemm_held_bytes(int depth) {
    uint64_t packed = gemm_packed_bytes(depth);
    return packed_b.bytes + (packed > packed_a.bytes ? packed : packed_a.bytes);
}

/* ------------------------------------------------------------------------------------------------ back ends */

static int nothing_to_prepare(gemm_weight *w) {
    (void)w;
    return MUDPT_OK;
}

static void nothing_to_release(gemm_weight *w) {
    (void)w;
}

const gemm_backend gemm_simd = {"simd", nothing_to_prepare, simd_run, nothing_to_release};

static const gemm_backend *current = &gemm_simd;

void gemm_use(const gemm_backend *backend) {
    current = backend;
}

const gemm_backend *gemm_current(void) {
    return current;
}

void gemm_forward(float *y, const float *x, const gemm_weight *w, const float *bias, int rows, int accumulate) {
    gemm_run(&(gemm_job){.weight = w,
                         .count = w->out,
                         .rows = rows,
                         .a = x,
                         .lda = w->in,
                         .c = y,
                         .ldc = w->out,
                         .bias = bias,
                         .accumulate = accumulate});
}

void gemm_backward(float *dx, const float *dy, const gemm_weight *w, int rows, int accumulate) {
    gemm_run(&(gemm_job){.weight = w,
                         .transposed = 1,
                         .count = w->out,
                         .rows = rows,
                         .a = dy,
                         .lda = w->out,
                         .c = dx,
                         .ldc = w->in,
                         .accumulate = accumulate});
}
