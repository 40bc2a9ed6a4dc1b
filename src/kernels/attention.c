/* Scores are kept turned over, [keys, 8 queries]: a panel. So softmax runs down the lanes without any sum across them, keys
 * are read where they lie, and the same micro-kernel does every product:
 *
 *   S' = K Q'        P' = softmax        O' = V' P'
 *   dP' = V dO'      dS' = P' (dP' - sum of P' dP')      dQ' = K' dS'      dK += dS' Q      dV += P' dO
 *
 * A block is up to 4 panels of one head's queries; its scores are all that is ever kept. The keys of a block are the
 * prefix's, then the sequence's own.
 */
#include "attention.h"

#include <math.h>

#include "base/parallel.h"
#include "exp.h"
#include "microkernel.h"

enum {
    BLOCK_PANELS = 4,
    BLOCK = BLOCK_PANELS * PANEL,   /* queries */
    CHUNK_QUERIES = 32              /* a thread takes so many sequences at a time that they have about so many queries */
};

typedef struct {
    const attention_shape *shape;
    const float *q, *k, *v, *prefix_k, *prefix_v, *dout;
    float *out, *dq, *dk, *dv, *dprefix_k, *dprefix_v;
    ptrdiff_t kv_stride, width;
    float scale;
    int first_key;
    int chunk, chunks;              /* sequences of a chunk; chunks */
} attention;

/* A thread's memory. L is the number of keys that the sequence has, the prefix's included. */
typedef struct {
    float *queries;     /* [BLOCK_PANELS, head width, 8] */
    float *gradients;   /* the same of dout */
    float *p, *ds;      /* [BLOCK_PANELS, L, 8] */
    float *columns;     /* [head width / 4, L, 4] values (forward) or keys (backward) */
} scratch;

static scratch cut_scratch(float *memory, int keys, int head_width) {
    scratch s = {.queries = memory};
    s.gradients = s.queries + BLOCK * head_width;
    s.p = s.gradients + BLOCK * head_width;
    s.ds = s.p + (size_t)BLOCK * (size_t)keys;
    s.columns = s.ds + (size_t)BLOCK * (size_t)keys;
    return s;
}

size_t attention_scratch(int keys, int head_width) {
    size_t length = (size_t)keys, width = (size_t)head_width;
    return (2 * BLOCK * width + 2 * BLOCK * length + length * width) * sizeof(float);
}

/* One sequence and head: a block of its queries. */
typedef struct {
    int keys, own;              /* L; the sequence's own keys */
    int from, queries, panels;  /* first query, how many, in how many panels */
    int seen;                   /* keys that any of them sees, the prefix's included */
} block;

/* ------------------------------------------------------------------------------------------------ products */

/* to [rows, 8] = a's rows times a panel [depth, 8] */
#define TIMES_PANEL(name, rows)                                                                                             \
    static void name(float *to, const float *a, ptrdiff_t a_row, const float *panel, int depth) {                           \
        v128_t sum[8];                                                                                                      \
        for (int i = 0; i < 2 * rows; i++) sum[i] = wasm_f32x4_splat(0);                                                    \
        micro_add(sum, rows, 2, depth, a, a_row, 1, panel, 0, PANEL);                                                       \
        for (int i = 0; i < 2 * rows; i++) wasm_v128_store(to + i * 4, sum[i]);                                             \
    }
TIMES_PANEL(times_panel_4, 4)
TIMES_PANEL(times_panel_3, 3)
TIMES_PANEL(times_panel_2, 2)
TIMES_PANEL(times_panel_1, 1)

/* to [panels, keys, 8]: rows at ... at + rows-1 of every panel = a's rows times the panels [panels, depth, 8]. */
static void times_panels(float *to, int keys, int at, const float *a, ptrdiff_t a_row, int rows, const float *panels,
                         int count, int depth) {
    for (int r = 0; r < rows; r += 4) {
        for (int p = 0; p < count; p++) {
            float *target = to + ((size_t)p * (size_t)keys + (size_t)(at + r)) * PANEL;
            const float *source = a + r * a_row, *panel = panels + (size_t)p * (size_t)depth * PANEL;
            switch (rows - r) {
            case 1: times_panel_1(target, source, a_row, panel, depth); break;
            case 2: times_panel_2(target, source, a_row, panel, depth); break;
            case 3: times_panel_3(target, source, a_row, panel, depth); break;
            default: times_panel_4(target, source, a_row, panel, depth);
            }
        }
    }
}

/* The same for all keys that the block sees: those of the prefix, then the sequence's own. */
static void times_keys(float *to, const block *b, const attention *a, const float *prefix, const float *own,
                       const float *panels) {
    int depth = a->shape->head_width, before = a->shape->prefix;
    if (before) times_panels(to, b->keys, 0, prefix, a->kv_stride, before, panels, b->panels, depth);
    times_panels(to, b->keys, before, own, a->kv_stride, b->seen - before, panels, b->panels, depth);
}

/* to [queries, head width] (rows `width` apart) = panels [panels, keys, 8], turned over, times columns [head width / 4, keys, 4];
 * query i's row is then multiplied by factor[i] (NULL: not). */
static void times_columns(float *to, const block *b, const attention *a, const float *panels, const float *columns,
                          const float *factor) {
    for (int p = 0; p < b->panels; p++) {
        int valid = b->queries - p * PANEL < PANEL ? b->queries - p * PANEL : PANEL;
        v128_t one = wasm_f32x4_splat(1), scale[2] = {one, one};
        if (factor)
            for (int j = 0; j < 2; j++) scale[j] = wasm_v128_load(factor + p * PANEL + j * 4);
        for (int column = 0; column < a->shape->head_width; column += 4) {
            v128_t sum[8], low[4], high[4];
            for (int i = 0; i < 8; i++) sum[i] = wasm_f32x4_splat(0);
            micro_add(sum, 4, 2, b->seen, columns + (size_t)column * (size_t)b->keys, 1, 4,
                      panels + (size_t)p * (size_t)b->keys * PANEL, 0, PANEL);
            for (int i = 0; i < 4; i++) {
                low[i] = wasm_f32x4_mul(sum[2 * i], scale[0]);
                high[i] = wasm_f32x4_mul(sum[2 * i + 1], scale[1]);
            }
            transpose_4x4(low);
            transpose_4x4(high);
            float *row = to + p * PANEL * a->width + column;
            for (int i = 0; i < valid; i++) wasm_v128_store(row + i * a->width, i < 4 ? low[i] : high[i - 4]);
        }
    }
}

/* to's `rows` rows += panels' rows (from the given one on) times b [queries, vectors * 4], whose rows are `width` apart. */
#define ADD_ROWS(name, rows, vectors)                                                                                       \
    static void name(float *to, ptrdiff_t stride, const float *panels, int keys, int queries, const float *b,               \
                     ptrdiff_t width) {                                                                                     \
        v128_t sum[8];                                                                                                      \
        for (int r = 0; r < rows; r++)                                                                                      \
            for (int j = 0; j < vectors; j++) sum[r * vectors + j] = wasm_v128_load(to + r * stride + j * 4);               \
        for (int query = 0; query < queries; query += PANEL) {                                                              \
            int depth = queries - query < PANEL ? queries - query : PANEL;                                                  \
            micro_add(sum, rows, vectors, depth, panels + (size_t)query * (size_t)keys, PANEL, 1, b + query * width, 0,     \
                      width);                                                                                               \
        }                                                                                                                   \
        for (int r = 0; r < rows; r++)                                                                                      \
            for (int j = 0; j < vectors; j++) wasm_v128_store(to + r * stride + j * 4, sum[r * vectors + j]);               \
    }
ADD_ROWS(add_rows_4x8, 4, 2)
ADD_ROWS(add_rows_4x4, 4, 1)
ADD_ROWS(add_rows_1x8, 1, 2)
ADD_ROWS(add_rows_1x4, 1, 1)

/* to [rows, head width] += rows from ... from + rows-1 of panels [panels, keys, 8] times b [queries, head width] */
static void add_rows(float *to, const block *b, const attention *a, const float *panels, int from, int rows,
                     const float *source) {
    for (int r = 0; r < rows;) {
        int four = rows - r >= 4;
        const float *at = panels + (size_t)(from + r) * PANEL;
        for (int column = 0; column < a->shape->head_width; column += PANEL) {
            int wide = a->shape->head_width - column >= PANEL;
            (four ? wide ? add_rows_4x8 : add_rows_4x4
                  : wide ? add_rows_1x8 : add_rows_1x4)(to + r * a->kv_stride + column, a->kv_stride, at, b->keys, b->queries,
                                                        source + column, a->width);
        }
        r += four ? 4 : 1;
    }
}

/* Rows into columns [head width / 4, keys, 4], from key `at` on. */
static void pack_columns(float *columns, int keys, int at, const float *rows, ptrdiff_t stride, int count, int head_width) {
    for (int r = 0; r < count; r++)
        for (int i = 0; i < head_width; i += 4)
            wasm_v128_store(columns + (size_t)i * (size_t)keys + (size_t)(at + r) * 4, wasm_v128_load(rows + r * stride + i));
}

/* Rows of the block's queries into panels [panels, head width, 8], times scale. */
static void pack_queries(float *panels, const block *b, const attention *a, const float *rows, float scale) {
    int width = a->shape->head_width;
    v128_t factor = wasm_f32x4_splat(scale);
    for (int p = 0; p < b->panels; p++) {
        int valid = b->queries - p * PANEL < PANEL ? b->queries - p * PANEL : PANEL;
        float *panel = panels + (size_t)p * (size_t)width * PANEL;
        interleave(panel, PANEL, rows + p * PANEL * a->width, a->width, 1, valid, width);
        for (int i = 0; scale != 1 && i < width * PANEL; i += 4)
            wasm_v128_store(panel + i, wasm_f32x4_mul(wasm_v128_load(panel + i), factor));
    }
}

/* ------------------------------------------------------------------------------------------------ softmax */

/* How many keys each query of panel p sees; lanes without a query see all. Returns the least of them. */
static int seen_keys(v128_t seen[2], const block *b, const attention *a, int p) {
    int count[PANEL], least = b->seen;
    for (int i = 0; i < PANEL; i++) {
        int query = p * PANEL + i;
        count[i] = b->seen;
        if (query < b->queries && a->shape->visible) count[i] = a->shape->prefix + a->shape->visible[b->from + query];
        if (count[i] < least) least = count[i];
    }
    seen[0] = wasm_v128_load(count);
    seen[1] = wasm_v128_load(count + 4);
    return least;
}

/* s [seen, 8] becomes exp(s - largest), 0 for keys that a query does not see; inverse [8] receives 1 / sum (0 for a query that sees
 * no key). */
static void exp_panel(float *s, float *inverse, const block *b, const attention *a, int p) {
    v128_t count[2], max[2], sum[2];
    int least = seen_keys(count, b, a, p);
    for (int j = 0; j < 2; j++) {
        max[j] = wasm_f32x4_splat(-INFINITY);
        sum[j] = wasm_f32x4_splat(0);
    }
    for (int key = 0; key < b->seen; key++) {
        for (int j = 0; j < 2; j++) {
            v128_t x = wasm_v128_load(s + key * PANEL + j * 4);
            if (key >= least) x = wasm_v128_bitselect(x, max[j], wasm_i32x4_lt(wasm_i32x4_splat(key), count[j]));
            max[j] = wasm_f32x4_pmax(max[j], x);
        }
    }
    for (int key = 0; key < b->seen; key++) {
        for (int j = 0; j < 2; j++) {
            float *at = s + key * PANEL + j * 4;
            v128_t x = exp_f32x4(wasm_f32x4_sub(wasm_v128_load(at), max[j]));
            if (key >= least) x = wasm_v128_and(x, wasm_i32x4_lt(wasm_i32x4_splat(key), count[j]));
            sum[j] = wasm_f32x4_add(sum[j], x);
            wasm_v128_store(at, x);
        }
    }
    for (int j = 0; j < 2; j++) {
        v128_t one = wasm_f32x4_splat(1), empty = wasm_f32x4_eq(sum[j], wasm_f32x4_splat(0));
        wasm_v128_store(inverse + j * 4, wasm_v128_andnot(wasm_f32x4_div(one, sum[j]), empty));
    }
}

/* p becomes the probabilities, ds (which holds dP) the gradient of the scores before they were scaled. */
static void backward_panel(float *p, float *ds, const float *inverse, int seen, float scale) {
    for (int j = 0; j < 2; j++) {
        v128_t mean = wasm_f32x4_splat(0), factor = wasm_v128_load(inverse + j * 4), scales = wasm_f32x4_splat(scale);
        for (int key = 0; key < seen; key++) {
            float *at = p + key * PANEL + j * 4;
            v128_t probability = wasm_f32x4_mul(wasm_v128_load(at), factor);
            mean = SIMD_MADD(probability, wasm_v128_load(ds + key * PANEL + j * 4), mean);
            wasm_v128_store(at, probability);
        }
        for (int key = 0; key < seen; key++) {
            float *at = ds + key * PANEL + j * 4;
            v128_t probability = wasm_f32x4_mul(wasm_v128_load(p + key * PANEL + j * 4), scales);
            wasm_v128_store(at, wasm_f32x4_mul(probability, wasm_f32x4_sub(wasm_v128_load(at), mean)));
        }
    }
}

/* ------------------------------------------------------------------------------------------------ forward, backward */

static block sequence_block(const attention *a, int sequence) {
    int own = a->shape->key_start[sequence + 1] - a->shape->key_start[sequence];
    return (block){.keys = a->shape->prefix + own, .own = own};
}

/* The next block of a sequence's queries, from `from` on. */
static void next_block(block *b, const attention *a, int from, int end) {
    b->from = from;
    b->queries = end - from < BLOCK ? end - from : BLOCK;
    b->panels = (b->queries + PANEL - 1) / PANEL;
    b->seen = b->keys;
    if (a->shape->visible) {
        int most = 0;
        for (int i = 0; i < b->queries; i++)
            if (a->shape->visible[from + i] > most) most = a->shape->visible[from + i];
        b->seen = a->shape->prefix + most;
    }
}

static void forward_sequence(const attention *a, int sequence, int head, float *memory) {
    int width = a->shape->head_width, prefix = a->shape->prefix, end = a->shape->query_start[sequence + 1];
    ptrdiff_t column = (ptrdiff_t)head * width, own = a->shape->key_start[sequence] * a->kv_stride + column;
    block b = sequence_block(a, sequence);
    scratch s = cut_scratch(memory, b.keys, width);
    const float *prefix_k = prefix ? a->prefix_k + column : NULL;
    if (prefix) pack_columns(s.columns, b.keys, 0, a->prefix_v + column, a->kv_stride, prefix, width);
    pack_columns(s.columns, b.keys, prefix, a->v + own, a->kv_stride, b.own, width);
    for (int query = a->shape->query_start[sequence]; query < end; query += BLOCK) {
        float inverse[BLOCK];
        ptrdiff_t row = query * a->width + column;
        next_block(&b, a, query, end);
        pack_queries(s.queries, &b, a, a->q + row, a->scale);
        times_keys(s.p, &b, a, prefix_k, a->k + own, s.queries);
        for (int p = 0; p < b.panels; p++)
            exp_panel(s.p + (size_t)p * (size_t)b.keys * PANEL, inverse + p * PANEL, &b, a, p);
        times_columns(a->out + row, &b, a, s.p, s.columns, inverse);
    }
}

static void backward_sequence(const attention *a, int sequence, int head, float *memory) {
    int width = a->shape->head_width, prefix = a->shape->prefix, end = a->shape->query_start[sequence + 1];
    ptrdiff_t column = (ptrdiff_t)head * width, own = a->shape->key_start[sequence] * a->kv_stride + column;
    block b = sequence_block(a, sequence);
    if (!a->dq && !prefix && a->first_key >= b.own) return;
    scratch s = cut_scratch(memory, b.keys, width);
    const float *prefix_k = prefix ? a->prefix_k + column : NULL, *prefix_v = prefix ? a->prefix_v + column : NULL;
    if (a->dq) {
        if (prefix) pack_columns(s.columns, b.keys, 0, prefix_k, a->kv_stride, prefix, width);
        pack_columns(s.columns, b.keys, prefix, a->k + own, a->kv_stride, b.own, width);
    }
    for (int query = a->shape->query_start[sequence]; query < end; query += BLOCK) {
        float inverse[PANEL];
        ptrdiff_t row = query * a->width + column;
        next_block(&b, a, query, end);
        pack_queries(s.queries, &b, a, a->q + row, a->scale);
        pack_queries(s.gradients, &b, a, a->dout + row, 1);
        times_keys(s.p, &b, a, prefix_k, a->k + own, s.queries);
        times_keys(s.ds, &b, a, prefix_v, a->v + own, s.gradients);
        for (int p = 0; p < b.panels; p++) {
            size_t at = (size_t)p * (size_t)b.keys * PANEL;
            exp_panel(s.p + at, inverse, &b, a, p);
            backward_panel(s.p + at, s.ds + at, inverse, b.seen, a->scale);
        }
        if (a->dq) times_columns(a->dq + row, &b, a, s.ds, s.columns, NULL);
        if (prefix) {
            add_rows(a->dprefix_k + column, &b, a, s.ds, 0, prefix, a->q + row);
            add_rows(a->dprefix_v + column, &b, a, s.p, 0, prefix, a->dout + row);
        }
        int first = a->first_key, count = b.seen - prefix - first;
        if (count > 0) {
            add_rows(a->dk + own + first * a->kv_stride, &b, a, s.ds, prefix + first, count, a->q + row);
            add_rows(a->dv + own + first * a->kv_stride, &b, a, s.p, prefix + first, count, a->dout + row);
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

static void run(attention *a) {
    const attention_shape *shape = a->shape;
    if (shape->sequences <= 0) return;
    int queries = shape->query_start[shape->sequences] - shape->query_start[0];
    if (queries <= 0) return;
    a->chunk = (int)((long long)CHUNK_QUERIES * shape->sequences / queries);
    if (a->chunk < 1) a->chunk = 1;
    /* The prefix's gradients are sums over all sequences, in their order. */
    if (!a->out && shape->prefix) a->chunk = shape->sequences;
    a->chunks = (shape->sequences + a->chunk - 1) / a->chunk;
    a->width = (ptrdiff_t)shape->heads * shape->head_width;
    a->scale = 1 / sqrtf((float)shape->head_width);
    parallel_for(a->chunks * shape->heads, run_chunk, a);
}

void attention_forward(float *out, const float *q, const float *k, const float *v, const float *prefix_k,
                       const float *prefix_v, int kv_stride, const attention_shape *shape) {
    run(&(attention){.shape = shape, .q = q, .k = k, .v = v, .prefix_k = prefix_k, .prefix_v = prefix_v, .out = out,
                     .kv_stride = kv_stride});
}

void attention_backward(float *dq, float *dk, float *dv, float *dprefix_k, float *dprefix_v, const float *dout,
                        const float *q, const float *k, const float *v, const float *prefix_k, const float *prefix_v,
                        int kv_stride, const attention_shape *shape, int first_key) {
    run(&(attention){.shape = shape, .q = q, .k = k, .v = v, .prefix_k = prefix_k, .prefix_v = prefix_v, .dout = dout,
                     .dq = dq, .dk = dk, .dv = dv, .dprefix_k = dprefix_k, .dprefix_v = dprefix_v,
                     .kv_stride = kv_stride, .first_key = first_key});
}
