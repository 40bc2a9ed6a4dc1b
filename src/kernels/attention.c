/* Scores are kept turned over, [keys, queries]. So softmax runs down the lanes without any sum across them, keys are
 * read where they lie, and the same micro-kernel does every product:
 *
 *   S' = K Q'        P' = softmax        O' = V' P'
 *   dP' = V dO'      dS' = P' (dP' - sum of P' dP')      dQ' = K' dS'      dK += dS' Q      dV += P' dO
 *
 * A block is up to 32 queries of one head; its scores are all that is ever kept. The keys of a block are the
 * prefix's, then the sequence's own.
 */
#include "attention.h"

#include <math.h>
#include <string.h>

#include "base/parallel.h"
#include "base/rarely.h"
#include "base/work.h"
#include "exp.h"
#include "gemm.h"
#include "microkernel.h"

enum {
    BLOCK = 32,        /* queries */
    CHUNK_QUERIES = 32 /* a thread takes so many sequences at a time that they have about so many queries */
};

typedef struct {
    const attention_shape *shape;
    const float *q, *k, *v, *prefix_k, *prefix_v, *dout;
    float *out, *dq, *dk, *dv, *dprefix_k, *dprefix_v;
    ptrdiff_t kv_stride, width;
    float scale;
    int first_key;
    int chunk, chunks; /* sequences of a chunk; chunks */
} attention;

/* A thread's memory. L is the number of keys that the sequence has, the prefix's included; the block's queries are
 * padded to `columns`, a multiple of 8. */
typedef struct {
    float *queries, *gradients;        /* [columns / 8, head width, 8] panels of q, scaled, and of dout */
    float *query_rows, *gradient_rows; /* [BLOCK, head width] q and dout as they are */
    float *p, *ds;                     /* [L, columns] */
    float *keys;                       /* [L, head width] values (forward) or keys (backward) */
} scratch;

RARELY static scratch cut_scratch(float *memory, int keys, int head_width) {
    size_t rows = (size_t)BLOCK * (size_t)head_width, scores = (size_t)BLOCK * (size_t)keys;
    scratch s = {.queries = memory};
    s.gradients = s.queries + rows;
    s.query_rows = s.gradients + rows;
    s.gradient_rows = s.query_rows + rows;
    s.p = s.gradient_rows + rows;
    s.ds = s.p + scores;
    s.keys = s.ds + scores;
    return s;
}

RARELY size_t attention_scratch(int keys, int head_width) {
    size_t length = (size_t)keys, width = (size_t)head_width;
    return (4 * BLOCK * width + 2 * BLOCK * length + length * width) * sizeof(float);
}

/* One sequence and head: a block of its queries. */
typedef struct {
    int keys, own;              /* L; the sequence's own keys */
    int from, queries, columns; /* first query, how many, that rounded up to a multiple of 8 */
    int seen;                   /* keys that any of them sees, the prefix's included */
} block;

/* ------------------------------------------------------------------------------------------------ products */

/* to [rows, panels * 8] (rows `columns` apart) = a's rows times panels [depth, 8] */
#define TIMES_PANEL(name, rows, panels)                                                                                \
    static void name(float *to, int columns, const float *a, ptrdiff_t a_row, const float *panel, int depth) {         \
        v128_t sum[16];                                                                                                \
        for (int i = 0; i < 2 * panels * rows; i++) sum[i] = wasm_f32x4_splat(0);                                      \
        micro_add(sum, rows, 2 * panels, depth, a, a_row, 1, panel, depth * PANEL, PANEL);                             \
        for (int r = 0; r < rows; r++)                                                                                 \
            for (int j = 0; j < 2 * panels; j++) wasm_v128_store(to + r * columns + j * 4, sum[r * 2 * panels + j]);   \
    }
TIMES_PANEL(times_panels_4, 4, 2)
TIMES_PANEL(times_panel_4, 4, 1)
TIMES_PANEL(times_panel_3, 3, 1)
TIMES_PANEL(times_panel_2, 2, 1)
TIMES_PANEL(times_panel_1, 1, 1)

/* to [rows, columns] = a's rows times panels [columns / 8, depth, 8] */
static void times_panels(float *to, int columns, const float *a, ptrdiff_t a_row, int rows, const float *panels,
                         int depth) {
    for (int r = 0; r < rows; r += 4) {
        for (int column = 0; column < columns; column += PANEL) {
            float *target = to + r * columns + column;
            const float *source = a + r * a_row, *panel = panels + column * depth;
            switch (rows - r) {
            case 1: times_panel_1(target, columns, source, a_row, panel, depth); break;
            case 2: times_panel_2(target, columns, source, a_row, panel, depth); break;
            case 3: times_panel_3(target, columns, source, a_row, panel, depth); break;
            default:
                if (gemm_tile_panels == 2 && column + PANEL < columns) {
                    times_panels_4(target, columns, source, a_row, panel, depth);
                    column += PANEL;
                } else times_panel_4(target, columns, source, a_row, panel, depth);
            }
        }
    }
}

/* The same for all keys that the block sees: those of the prefix, then the sequence's own. */
ONCE static void times_keys(float *to, const block *b, const attention *a, const float *prefix, const float *own,
                            const float *panels) {
    int depth = a->shape->head_width, before = a->shape->prefix;
    if (before) times_panels(to, b->columns, prefix, a->kv_stride, before, panels, depth);
    times_panels(to + before * b->columns, b->columns, own, a->kv_stride, b->seen - before, panels, depth);
}

/* Columns of a tile, of those that are left: 16 where two panels at a time are faster. */
static int tile_columns(int left) {
    return gemm_tile_panels == 2 && left >= 2 * PANEL ? 2 * PANEL : left >= PANEL ? PANEL : 4;
}

/* to [4, vectors * 4] (rows `stride` apart) = 4 columns of scores [seen, columns], turned over, times keys [seen,
 * width]; the first `rows` are written, row i times factor[i] (NULL: not). */
#define TURNED_TIMES(name, vectors)                                                                                    \
    static void name(float *to, ptrdiff_t stride, const float *scores, int columns, int seen, const float *keys,       \
                     int width, const float *factor, int rows) {                                                       \
        v128_t sum[16];                                                                                                \
        for (int i = 0; i < 4 * vectors; i++) sum[i] = wasm_f32x4_splat(0);                                            \
        micro_add(sum, 4, vectors, seen, scores, 1, columns, keys, PANEL, width);                                      \
        for (int i = 0; i < 4; i++) {                                                                                  \
            if (i == rows) return;                                                                                     \
            v128_t scale = factor ? wasm_v128_load32_splat(factor + i) : wasm_f32x4_splat(1);                          \
            for (int j = 0; j < vectors; j++) sum[i * vectors + j] = wasm_f32x4_mul(sum[i * vectors + j], scale);      \
            for (int j = 0; j < vectors; j++) wasm_v128_store(to + i * stride + j * 4, sum[i * vectors + j]);          \
        }                                                                                                              \
    }
TURNED_TIMES(turned_times_16, 4)
TURNED_TIMES(turned_times_8, 2)
TURNED_TIMES(turned_times_4, 1)

/* to [queries, head width] (rows `width` apart) = scores [keys, columns], turned over, times keys [keys, head width];
 * query i's row is then multiplied by factor[i] (NULL: not). */
ONCE static void turned_times_keys(float *to, const block *b, const attention *a, const float *scores,
                                   const float *keys, const float *factor) {
    int width = a->shape->head_width;
    for (int query = 0; query < b->queries; query += 4) {
        int rows = b->queries - query < 4 ? b->queries - query : 4;
        for (int column = 0, step; column < width; column += step) {
            step = tile_columns(width - column);
            (step > PANEL    ? turned_times_16
             : step == PANEL ? turned_times_8
                             : turned_times_4)(to + query * a->width + column, a->width, scores + query, b->columns,
                                               b->seen, keys + column, width, factor ? factor + query : NULL, rows);
        }
    }
}

/* to's `rows` rows += rows of scores times vectors * 4 columns of b [queries, width] */
#define ADD_ROWS(name, rows, vectors)                                                                                  \
    static void name(float *to, ptrdiff_t stride, const float *scores, int columns, int queries, const float *b,       \
                     int width) {                                                                                      \
        v128_t sum[16];                                                                                                \
        for (int r = 0; r < rows; r++)                                                                                 \
            for (int j = 0; j < vectors; j++) sum[r * vectors + j] = wasm_v128_load(to + r * stride + j * 4);          \
        micro_add(sum, rows, vectors, queries, scores, columns, 1, b, PANEL, width);                                   \
        for (int r = 0; r < rows; r++)                                                                                 \
            for (int j = 0; j < vectors; j++) wasm_v128_store(to + r * stride + j * 4, sum[r * vectors + j]);          \
    }
ADD_ROWS(add_rows_4x16, 4, 4)
ADD_ROWS(add_rows_4x8, 4, 2)
ADD_ROWS(add_rows_4x4, 4, 1)
ADD_ROWS(add_rows_1x8, 1, 2)
ADD_ROWS(add_rows_1x4, 1, 1)

/* to [rows, head width] += scores' rows from `from` on times b [queries, head width] */
ONCE static void add_rows(float *to, const block *b, const attention *a, const float *scores, int from, int rows,
                          const float *source) {
    int width = a->shape->head_width;
    for (int r = 0; r < rows;) {
        int four = rows - r >= 4;
        const float *score = scores + (from + r) * b->columns;
        for (int column = 0, step; column < width; column += step) {
            step = tile_columns(width - column);
            if (!four && step > PANEL) step = PANEL;
            (four            ? step > PANEL    ? add_rows_4x16
                               : step == PANEL ? add_rows_4x8
                                               : add_rows_4x4
             : step == PANEL ? add_rows_1x8
                             : add_rows_1x4)(to + r * a->kv_stride + column, a->kv_stride, score, b->columns,
                                             b->queries, source + column, width);
        }
        r += four ? 4 : 1;
    }
}

/* Rows side by side: as they lie, a head's are so far apart that they drive each other out of the cache. */
ONCE static void copy_rows(float *to, const float *rows, ptrdiff_t stride, int count, int head_width) {
    for (int r = 0; r < count; r++) memcpy(to + r * head_width, rows + r * stride, (size_t)head_width * sizeof *to);
}

/* Rows of the block's queries into panels [columns / 8, head width, 8], times scale. */
ONCE static void pack_queries(float *panels, const block *b, const attention *a, const float *rows, float scale) {
    int width = a->shape->head_width;
    v128_t factor = wasm_f32x4_splat(scale);
    for (int query = 0; query < b->queries; query += PANEL) {
        int valid = b->queries - query < PANEL ? b->queries - query : PANEL;
        float *panel = panels + query * width;
        interleave(panel, PANEL, rows + query * a->width, a->width, 1, valid, width);
        for (int i = 0; scale != 1 && i < width * PANEL; i += 4)
            wasm_v128_store(panel + i, wasm_f32x4_mul(wasm_v128_load(panel + i), factor));
    }
}

/* ------------------------------------------------------------------------------------------------ softmax */

/* How many keys each of the 8 queries from `query` on sees; lanes without a query see all. Returns the least of them.
 */
static int seen_keys(int count[PANEL], const block *b, const attention *a, int query) {
    int least = b->seen;
    for (int i = 0; i < PANEL; i++) {
        count[i] = b->seen;
        if (query + i < b->queries && a->shape->visible)
            count[i] = a->shape->prefix + a->shape->visible[b->from + query + i];
        if (count[i] < least) least = count[i];
    }
    return least;
}

/* 8 columns of scores, those of the queries from `query` on: s becomes exp(s - largest), 0 for keys that a query does
 * not see; inverse [8] receives 1 / sum (0 for a query that sees no key). */
ONCE static void exp_columns(float *s, float *inverse, const block *b, const attention *a, int query) {
    v128_t max[2], sum[2], zero = wasm_f32x4_splat(0);
    int counts[PANEL], least = seen_keys(counts, b, a, query), key = 0;
    const int *count = simd_numbers(counts);
    float *end = s + b->seen * b->columns, *row = s;
    max[0] = max[1] = wasm_f32x4_splat(-INFINITY);
    sum[0] = sum[1] = zero;
    for (; key < least; key++, row += b->columns)
        for (int j = 0; j < 2; j++) max[j] = wasm_f32x4_pmax(max[j], wasm_v128_load(row + j * 4));
    for (; row != end; key++, row += b->columns) { /* seen by some of the queries */
        for (int j = 0; j < 2; j++) {
            v128_t visible = wasm_i32x4_lt(wasm_i32x4_splat(key), wasm_v128_load(count + j * 4));
            max[j] = wasm_f32x4_pmax(max[j], wasm_v128_bitselect(wasm_v128_load(row + j * 4), max[j], visible));
        }
    }
    /* Loads, sums and stores of both halves together, here and below: engines join them (gemm.c's store_tile). */
    for (key = 0, row = s; key < least; key++, row += b->columns) {
        v128_t low = exp_inlined(wasm_f32x4_sub(wasm_v128_load(row), max[0]));
        v128_t high = exp_inlined(wasm_f32x4_sub(wasm_v128_load(row + 4), max[1]));
        sum[0] = wasm_f32x4_add(sum[0], low);
        sum[1] = wasm_f32x4_add(sum[1], high);
        SIMD_STORES_FOLLOW;
        wasm_v128_store(row, low);
        wasm_v128_store(row + 4, high);
    }
    for (; row != end; key++, row += b->columns) {
        v128_t low = exp_inlined(wasm_f32x4_sub(wasm_v128_load(row), max[0]));
        v128_t high = exp_inlined(wasm_f32x4_sub(wasm_v128_load(row + 4), max[1]));
        low = wasm_v128_and(low, wasm_i32x4_lt(wasm_i32x4_splat(key), wasm_v128_load(count)));
        high = wasm_v128_and(high, wasm_i32x4_lt(wasm_i32x4_splat(key), wasm_v128_load(count + 4)));
        sum[0] = wasm_f32x4_add(sum[0], low);
        sum[1] = wasm_f32x4_add(sum[1], high);
        SIMD_STORES_FOLLOW;
        wasm_v128_store(row, low);
        wasm_v128_store(row + 4, high);
    }
    for (int j = 0; j < 2; j++) {
        v128_t factor = wasm_f32x4_div(wasm_f32x4_splat(1), sum[j]);
        wasm_v128_store(inverse + j * 4, wasm_v128_andnot(factor, wasm_f32x4_eq(sum[j], zero)));
    }
}

/* 8 columns: p becomes the probabilities, ds (which holds dP) the gradient of the scores before they were scaled. */
ONCE static void backward_columns(float *p, float *ds, const float *inverse, const block *b, float scale) {
    v128_t mean[2] = {wasm_f32x4_splat(0), wasm_f32x4_splat(0)}, scales = wasm_f32x4_splat(scale);
    v128_t factor[2] = {wasm_v128_load(inverse), wasm_v128_load(inverse + 4)};
    int end = b->seen * b->columns;
    for (int i = 0; i < end; i += b->columns) {
        v128_t low = wasm_f32x4_mul(wasm_v128_load(p + i), factor[0]);
        v128_t high = wasm_f32x4_mul(wasm_v128_load(p + i + 4), factor[1]);
        mean[0] = SIMD_MADD(low, wasm_v128_load(ds + i), mean[0]);
        mean[1] = SIMD_MADD(high, wasm_v128_load(ds + i + 4), mean[1]);
        SIMD_STORES_FOLLOW;
        wasm_v128_store(p + i, low);
        wasm_v128_store(p + i + 4, high);
    }
    for (int i = 0; i < end; i += b->columns) {
        v128_t low = wasm_f32x4_sub(wasm_v128_load(ds + i), mean[0]);
        v128_t high = wasm_f32x4_sub(wasm_v128_load(ds + i + 4), mean[1]);
        low = wasm_f32x4_mul(wasm_f32x4_mul(wasm_v128_load(p + i), scales), low);
        high = wasm_f32x4_mul(wasm_f32x4_mul(wasm_v128_load(p + i + 4), scales), high);
        SIMD_STORES_FOLLOW;
        wasm_v128_store(ds + i, low);
        wasm_v128_store(ds + i + 4, high);
    }
}

/* ------------------------------------------------------------------------------------------------ forward, backward */

RARELY static block sequence_block(const attention *a, int sequence) {
    int own = a->shape->key_start[sequence + 1] - a->shape->key_start[sequence];
    return (block){.keys = a->shape->prefix + own, .own = own};
}

/* The next block of a sequence's queries, from `from` on. */
RARELY static void next_block(block *b, const attention *a, int from, int end) {
    b->from = from;
    b->queries = end - from < BLOCK ? end - from : BLOCK;
    b->columns = (b->queries + PANEL - 1) / PANEL * PANEL;
    b->seen = b->keys;
    if (a->shape->visible) {
        int most = 0;
        for (int i = 0; i < b->queries; i++)
            if (a->shape->visible[from + i] > most) most = a->shape->visible[from + i];
        b->seen = a->shape->prefix + most;
    }
}

RARELY static void forward_sequence(const attention *a, int sequence, int head, float *memory) {
    int width = a->shape->head_width, prefix = a->shape->prefix, end = a->shape->query_start[sequence + 1];
    ptrdiff_t column = (ptrdiff_t)head * width, own = a->shape->key_start[sequence] * a->kv_stride + column;
    const float *prefix_k = prefix ? a->prefix_k + column : NULL;
    block b = sequence_block(a, sequence);
    scratch s = cut_scratch(memory, b.keys, width);
    if (prefix) copy_rows(s.keys, a->prefix_v + column, a->kv_stride, prefix, width);
    copy_rows(s.keys + prefix * width, a->v + own, a->kv_stride, b.own, width);
    for (int query = a->shape->query_start[sequence]; query < end; query += BLOCK) {
        float inverse[BLOCK];
        ptrdiff_t row = query * a->width + column;
        next_block(&b, a, query, end);
        pack_queries(s.queries, &b, a, a->q + row, a->scale);
        times_keys(s.p, &b, a, prefix_k, a->k + own, s.queries);
        for (int i = 0; i < b.columns; i += PANEL) exp_columns(s.p + i, inverse + i, &b, a, i);
        turned_times_keys(a->out + row, &b, a, s.p, s.keys, inverse);
    }
}

RARELY static void backward_sequence(const attention *a, int sequence, int head, float *memory) {
    int width = a->shape->head_width, prefix = a->shape->prefix, end = a->shape->query_start[sequence + 1];
    ptrdiff_t column = (ptrdiff_t)head * width, own = a->shape->key_start[sequence] * a->kv_stride + column;
    const float *prefix_k = prefix ? a->prefix_k + column : NULL, *prefix_v = prefix ? a->prefix_v + column : NULL;
    block b = sequence_block(a, sequence);
    if (!a->dq && !prefix && a->first_key >= b.own) return;
    scratch s = cut_scratch(memory, b.keys, width);
    if (a->dq) {
        if (prefix) copy_rows(s.keys, prefix_k, a->kv_stride, prefix, width);
        copy_rows(s.keys + prefix * width, a->k + own, a->kv_stride, b.own, width);
    }
    for (int query = a->shape->query_start[sequence]; query < end; query += BLOCK) {
        float inverse[PANEL];
        ptrdiff_t row = query * a->width + column;
        next_block(&b, a, query, end);
        pack_queries(s.queries, &b, a, a->q + row, a->scale);
        pack_queries(s.gradients, &b, a, a->dout + row, 1);
        copy_rows(s.query_rows, a->q + row, a->width, b.queries, width);
        copy_rows(s.gradient_rows, a->dout + row, a->width, b.queries, width);
        times_keys(s.p, &b, a, prefix_k, a->k + own, s.queries);
        times_keys(s.ds, &b, a, prefix_v, a->v + own, s.gradients);
        for (int i = 0; i < b.columns; i += PANEL) {
            exp_columns(s.p + i, inverse, &b, a, i);
            backward_columns(s.p + i, s.ds + i, inverse, &b, a->scale);
        }
        if (a->dq) turned_times_keys(a->dq + row, &b, a, s.ds, s.keys, NULL);
        if (prefix) {
            add_rows(a->dprefix_k + column, &b, a, s.ds, 0, prefix, s.query_rows);
            add_rows(a->dprefix_v + column, &b, a, s.p, 0, prefix, s.gradient_rows);
        }
        int first = a->first_key, count = b.seen - prefix - first;
        if (count > 0) {
            add_rows(a->dk + own + first * a->kv_stride, &b, a, s.ds, prefix + first, count, s.query_rows);
            add_rows(a->dv + own + first * a->kv_stride, &b, a, s.p, prefix + first, count, s.gradient_rows);
        }
    }
}

/* Chunk by chunk, every head of one before the next. */
static void run_chunk(void *context, int index, int thread) {
    const attention *a = context;
    int first = index / a->shape->heads * a->chunk, end = first + a->chunk;
    if (end > a->shape->sequences) end = a->shape->sequences;
    for (int sequence = first; sequence < end; sequence++)
        (a->out ? forward_sequence : backward_sequence)(a, sequence, index % a->shape->heads, parallel_scratch(thread));
}

RARELY static void run(attention *a) {
    const attention_shape *shape = a->shape;
    if (shape->sequences <= 0) return;
    int queries = shape->query_start[shape->sequences] - shape->query_start[0];
    if (queries <= 0) return;
    for (int s = 0; s < shape->sequences; s++) { /* two products forward, five backward */
        double queries_each = shape->query_start[s + 1] - shape->query_start[s];
        int keys = shape->prefix + shape->key_start[s + 1] - shape->key_start[s];
        work_done.attention += (a->out ? 4 : 10) * queries_each * keys * shape->heads * shape->head_width;
    }
    a->chunk = (int)((long long)CHUNK_QUERIES * shape->sequences / queries);
    if (a->chunk < 1) a->chunk = 1;
    /* The prefix's gradients are sums over all sequences, in their order. */
    if (!a->out && shape->prefix) a->chunk = shape->sequences;
    a->chunks = (shape->sequences + a->chunk - 1) / a->chunk;
    a->width = (ptrdiff_t)shape->heads * shape->head_width;
    a->scale = 1 / simd_root((float)shape->head_width);
    parallel_for(a->chunks * shape->heads, run_chunk, a);
}

void attention_forward(float *out, const float *q, const float *k, const float *v, const float *prefix_k,
                       const float *prefix_v, int kv_stride, const attention_shape *shape) {
    run(&(attention){.shape = shape,
                     .q = q,
                     .k = k,
                     .v = v,
                     .prefix_k = prefix_k,
                     .prefix_v = prefix_v,
                     .out = out,
                     .kv_stride = kv_stride});
}

void attention_backward(float *dq, float *dk, float *dv, float *dprefix_k, float *dprefix_v, const float *dout,
                        const float *q, const float *k, const float *v, const float *prefix_k, const float *prefix_v,
                        int kv_stride, const attention_shape *shape, int first_key) {
    run(&(attention){.shape = shape,
                     .q = q,
                     .k = k,
                     .v = v,
                     .prefix_k = prefix_k,
                     .prefix_v = prefix_v,
                     .dout = dout,
                     .dq = dq,
                     .dk = dk,
                     .dv = dv,
                     .dprefix_k = dprefix_k,
                     .dprefix_v = dprefix_v,
                     .kv_stride = kv_stride,
                     .first_key = first_key});
}
