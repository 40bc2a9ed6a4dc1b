/* As in gemm.c: some hundred rows of the left side are packed, in groups of 4 (the last one with zeros), then tiles of
 * all these rows times a few panels are claimed by the threads. Both sides hold k's in pairs: [k / 2, rows or columns,
 * 2]; products of bytes hold them in fours where an instruction takes these, [k / 4, rows or columns, 4], which is
 * counted as so many pairs. */
#include "integer.h"

#include <string.h>

#include "base/clock.h"
#include "base/parallel.h"
#include "base/rarely.h"
#include "microkernel.h"
#include "mudpt.h"
#include "trial.h"

enum {
    CHUNK = 1024,      /* k's in pairs that a panel and the packed rows meet over at a time: 16 KB of a panel */
    TILE_PANELS = 2,   /* panels of a tile: with one, two threads would write to the same cache lines */
    PACKED_ROWS = 416, /* rows that are packed at a time */
    PACK_ROWS = 32,    /* rows that a thread packs at a time */
    TOUCHED = 16       /* blocks of a weight that is turned over, which are asked for together */
};

typedef struct {
    const gemm_job *job;
    int depth, columns;
    int fours;                 /* bytes, in fours */
    int wide;                  /* tiles are two panels wide */
    const float *factor;       /* transposed: [depth] the channels' scales; straight: NULL */
    const float *column_scale; /* straight: [columns] the channels' scales; transposed: NULL */
    const int16_t *panels;     /* that are read in place, or NULL */
    float left, norm;       /* what a block's largest value becomes on the left, and the root of all squares, at most */
    int done, rows, packed; /* rows before those that are packed now, how many these are, and with zeros */
    int16_t *integers;      /* chunk after chunk of k, in each all groups of 4 rows, in each [k / 2, 4, 2] */
    float *scales;          /* [depth / 64 rounded up, packed] */
} product;

static int even(int k) {
    return k + (k & 1);
}

static int in_fours(const product *p) {
    return HAS_INT8 && p->fours;
}

/* Integers of 16 bits that `depth` k's of a row or column take. */
static int places(int depth, int fours) {
    return fours ? (depth + 3) / 4 * 2 : even(depth);
}

/* k's of a chunk, and of the one that begins at k. */
static int chunk_of(const product *p) {
    return in_fours(p) ? 2 * CHUNK : CHUNK;
}

static int chunk_depth(const product *p, int k) {
    return p->depth - k < chunk_of(p) ? p->depth - k : chunk_of(p);
}

static int blocks_of(int depth) {
    return (depth + INTEGER_BLOCK - 1) / INTEGER_BLOCK;
}

RARELY uint64_t integer_packed_bytes(int depth) {
    uint64_t integers = (uint64_t)PACKED_ROWS * (uint64_t)even(depth) * sizeof(int16_t);
    return integers + (uint64_t)PACKED_ROWS * (uint64_t)blocks_of(depth) * sizeof(float);
}

RARELY size_t integer_scratch_bytes(void) {
    return sizeof(int16_t) * TILE_PANELS * CHUNK * PANEL;
}

/* ------------------------------------------------------------------------------------------------ left side */

static float sum_of(v128_t x) {
    return wasm_f32x4_extract_lane(x, 0) + wasm_f32x4_extract_lane(x, 1) + wasm_f32x4_extract_lane(x, 2) +
           wasm_f32x4_extract_lane(x, 3);
}

/* One row's block of `depth` values, times factor (NULL: 1), into integers [64], with zeros behind. -> its scale */
static float round_block(const product *p, int16_t *to, const float *from, const float *factor, int depth) {
    float values[INTEGER_BLOCK];
    if (factor || depth < INTEGER_BLOCK) {
        int k = 0;
        for (; factor && k + 4 <= depth; k += 4)
            wasm_v128_store(values + k, wasm_f32x4_mul(wasm_v128_load(from + k), wasm_v128_load(factor + k)));
        for (; k < depth; k++) values[k] = factor ? from[k] * factor[k] : from[k];
        for (; k < INTEGER_BLOCK; k++) values[k] = 0;
        from = values;
    }
    /* Sizes compare as integers do, and NaN is larger than infinity. */
    v128_t most = wasm_i32x4_splat(0), sum = most, squares = most;
    for (int k = 0; k < INTEGER_BLOCK; k += 4) {
        v128_t size = wasm_f32x4_abs(wasm_v128_load(from + k));
        most = wasm_i32x4_max(most, size);
        sum = wasm_f32x4_add(sum, size);
        squares = wasm_f32x4_add(squares, wasm_f32x4_mul(size, size));
    }
    most = wasm_i32x4_max(most, wasm_i32x4_shuffle(most, most, 2, 3, 0, 1));
    most = wasm_i32x4_max(most, wasm_i32x4_shuffle(most, most, 1, 0, 3, 2));
    float largest = wasm_f32x4_extract_lane(most, 0), square = sum_of(squares);
    float scale = largest / p->left + 0x1p-126f; /* which nothing but next to nothing feels */
    /* Either suffices. Squares that f32 cannot hold are 64 of the largest value's at most. */
    float by_sizes = sum_of(sum) / INTEGER_SIZES, by_squares = largest * (8 / p->norm);
    if (square > 0x1p-80f && square < 0x1p120f) by_squares = simd_root(square) / p->norm;
    float other = by_sizes < by_squares ? by_sizes : by_squares;
    if (other > scale) scale = other;
    /* Adding 1.5 * 2^23 leaves the nearest integer in the low bits. Infinity and NaN leave nonsense there, which a
     * scale that is no number either makes harmless. */
    static const float number = 0x1.8p23f;
    v128_t factors = wasm_f32x4_splat(1 / scale), shift = wasm_v128_load32_splat(simd_numbers(&number));
    for (int k = 0; k < INTEGER_BLOCK; k += 8) {
        v128_t low = wasm_f32x4_add(wasm_f32x4_mul(wasm_v128_load(from + k), factors), shift);
        v128_t high = wasm_f32x4_add(wasm_f32x4_mul(wasm_v128_load(from + k + 4), factors), shift);
        wasm_v128_store(to + k, wasm_i16x8_narrow_i32x4(wasm_i32x4_sub(low, shift), wasm_i32x4_sub(high, shift)));
    }
    return scale;
}

/* A block's integers [64] as bytes, as the instruction takes them. */
static void narrow_block(int16_t *block) {
    v128_t flip = wasm_i8x16_splat(integer_dots == DOTS_UNSIGNED ? -128 : 0);
    for (int i = 0; i < INTEGER_BLOCK; i += 16) {
        v128_t bytes = wasm_i8x16_narrow_i16x8(wasm_v128_load(block + i), wasm_v128_load(block + i + 8));
        wasm_v128_store(block + i / 2, wasm_v128_xor(bytes, flip));
    }
}

static int16_t *packed_rows(const product *p, int row, int k, int depth) {
    return p->integers + (size_t)p->packed * (size_t)places(k, in_fours(p)) +
           (size_t)row * (size_t)places(depth, in_fours(p));
}

static void pack_rows(void *context, int index, int thread) {
    const product *p = context;
    (void)thread;
    int end = (index + 1) * PACK_ROWS < p->packed ? (index + 1) * PACK_ROWS : p->packed;
    for (int row = index * PACK_ROWS; row < end; row += 4) {
        int rows = p->rows - row < 4 ? p->rows - row : 4;
        for (int k = 0; k < p->depth; k += INTEGER_BLOCK) {
            int depth = p->depth - k < INTEGER_BLOCK ? p->depth - k : INTEGER_BLOCK,
                chunk = k / chunk_of(p) * chunk_of(p);
            int16_t integers[4][INTEGER_BLOCK];
            float *scales = p->scales + (size_t)(k / INTEGER_BLOCK) * (size_t)p->packed + (size_t)row;
            if (rows < 4) {
                memset(integers, 0, sizeof integers);
                memset(scales, 0, 4 * sizeof *scales);
            }
            for (int r = 0; r < rows; r++) {
                scales[r] = round_block(p, integers[r], p->job->a + (ptrdiff_t)(p->done + row + r) * p->job->lda + k,
                                        p->factor ? p->factor + k : NULL, depth);
                if (in_fours(p)) narrow_block(integers[r]);
            }
            int16_t *to = packed_rows(p, row, chunk, chunk_depth(p, chunk)) + places(k - chunk, in_fours(p)) * 4;
            int taken = places(depth, in_fours(p));
            for (int i = 0; i < taken; i += 8) {
                if (i + 8 <= taken) {
                    v128_t x[4];
#pragma GCC unroll 4
                    for (int r = 0; r < 4; r++) x[r] = wasm_v128_load(integers[r] + i);
                    transpose_4x4(x);
#pragma GCC unroll 4
                    for (int q = 0; q < 4; q++) wasm_v128_store(to + i * 4 + q * 8, x[q]);
                } else {
                    for (int q = i; q < i + 8 && q < taken; q += 2)
                        for (int r = 0; r < 4; r++) memcpy(to + q * 4 + r * 2, integers[r] + q, 4);
                }
            }
        }
    }
}

/* ------------------------------------------------------------------------------------------------ right side */

/* int8, straight: rows of a panel two by two, [k / 2, 8, 2]. */
static void widen_i8(int16_t *to, const gemm_weight *w, int panel, int from, int depth) {
    const int8_t *row = (const int8_t *)w->panels + ((size_t)panel * (size_t)w->in + (size_t)from) * PANEL;
    for (int k = 0; k < depth; k += 2, row += 2 * PANEL, to += 2 * PANEL) {
        v128_t two = k + 2 <= depth ? wasm_v128_load(row) : wasm_v128_load64_zero(row);
        two = wasm_i8x16_shuffle(two, two, 0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
        wasm_v128_store(to, wasm_i16x8_extend_low_i8x16(two));
        wasm_v128_store(to + 8, wasm_i16x8_extend_high_i8x16(two));
    }
}

/* GEMM_QUADS, straight, in pairs: [k / 4, 8, 4] to [k / 2, 8, 2]. */
static void widen_quads(int16_t *to, const gemm_weight *w, int panel, int from, int depth) {
    const int8_t *row =
        (const int8_t *)w->panels + ((size_t)panel * (size_t)((w->in + 3) / 4 * 4) + (size_t)from) * PANEL;
    for (int k = 0; k < depth; k += 4, row += 4 * PANEL, to += 4 * PANEL) {
        for (int half = 0; half < 2; half++) { /* of the channels */
            v128_t four = wasm_v128_load(row + half * 16);
            v128_t low = wasm_i16x8_extend_low_i8x16(four), high = wasm_i16x8_extend_high_i8x16(four);
            wasm_v128_store(to + half * 8, wasm_i32x4_shuffle(low, high, 0, 2, 4, 6));
            wasm_v128_store(to + 2 * PANEL + half * 8, wasm_i32x4_shuffle(low, high, 1, 3, 5, 7));
        }
    }
}

/* Transposed: 8 output channels x 8 inputs, turned over into [8 / 2 o, 8 i, 2 o], with zeros beyond the last input. */
ALWAYS_INLINE void turn_i8(int16_t *to, const gemm_weight *w, int output, int input) {
    const int8_t *rows = (const int8_t *)w->panels + ((size_t)output * (size_t)w->in + (size_t)input * PANEL);
    for (int half = 0; half < PANEL; half += 4) {
        v128_t x[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            x[i] = input + half + i < w->in ? wasm_i16x8_load8x8(rows + (half + i) * PANEL) : wasm_i32x4_splat(0);
        transpose_4x4(x);
#pragma GCC unroll 4
        for (int q = 0; q < 4; q++) wasm_v128_store(to + q * 2 * PANEL + half * 2, x[q]);
    }
}

ALWAYS_INLINE void turn_i16(int16_t *to, const gemm_weight *w, int output, int input) {
    int inputs = even(w->in);
    const int16_t *rows = (const int16_t *)w->panels + ((size_t)output * (size_t)inputs + (size_t)input * PANEL);
    for (int half = 0; half < PANEL; half += 4, rows += 4 * PANEL) { /* inputs: two pairs, [4 o, 2 i] a vector */
        v128_t zero = wasm_i32x4_splat(0), x[4] = {zero, zero, zero, zero};
        if (input + half < inputs) x[0] = wasm_v128_load(rows), x[1] = wasm_v128_load(rows + 8);
        if (input + half + 2 < inputs) x[2] = wasm_v128_load(rows + 16), x[3] = wasm_v128_load(rows + 24);
#pragma GCC unroll 2
        for (int q = 0; q < 2; q++) { /* four output channels: two pairs of inputs, turned over */
            v128_t even_o = wasm_i64x2_shuffle(x[q], x[2 + q], 0, 2), odd_o = wasm_i64x2_shuffle(x[q], x[2 + q], 1, 3);
            even_o = wasm_i16x8_shuffle(even_o, even_o, 0, 2, 1, 3, 4, 6, 5, 7);
            odd_o = wasm_i16x8_shuffle(odd_o, odd_o, 0, 2, 1, 3, 4, 6, 5, 7);
            wasm_v128_store(to + q * 4 * PANEL + half * 2, even_o);
            wasm_v128_store(to + (q * 4 + 2) * PANEL + half * 2, odd_o);
        }
    }
}

/* Panels of the right side that cannot be read in place, CHUNK * 8 apart, over one chunk of k; written up to depth
 * rounded up to 8. */
ONCE static void take_panels(const product *p, int16_t *to, int panel, int panels, int from, int depth) {
    const gemm_weight *w = p->job->weight;
    int first = p->job->first;
    if (!p->job->transposed) {
        for (int q = 0; q < panels; q++) {
            int16_t *target = to + q * CHUNK * PANEL;
            if (HAS_INT8 && w->storage == GEMM_QUADS) widen_quads(target, w, first / PANEL + panel + q, from, depth);
            else widen_i8(target, w, first / PANEL + panel + q, from, depth);
        }
        return;
    }
    /* Neighbouring panels in turn: their blocks lie side by side in the weight, those of one panel far apart. */
    int wide = w->storage == MUDPT_I16, inputs = wide ? even(w->in) : w->in, bytes = 1 + wide, input = panel * PANEL;
    int count = panels * PANEL < inputs - input ? panels * PANEL : inputs - input;
    for (int k = 0; k < depth; k += PANEL) {
        size_t block = (size_t)(first + from + k) * (size_t)inputs + (size_t)input * PANEL;
        int blocks = (depth - k + PANEL - 1) / PANEL;
        if (k % (TOUCHED * PANEL) == 0)
            touch((const char *)w->panels + block * (size_t)bytes, (ptrdiff_t)count * PANEL * bytes,
                  (ptrdiff_t)inputs * PANEL * bytes, blocks < TOUCHED ? blocks : TOUCHED);
        for (int q = 0; q < panels; q++) {
            int16_t *target = to + (q * CHUNK + k) * PANEL;
            if (wide) turn_i16(target, w, first + from + k, input + q * PANEL);
            else turn_i8(target, w, first + from + k, input + q * PANEL);
        }
    }
}

/* ------------------------------------------------------------------------------------------------ tiles */

/* Where sums of rows and 8 columns or more go, and what is added on the way. */
typedef struct {
    float *c;
    ptrdiff_t ldc;
    const float *bias, *column_scale; /* of the columns, or NULL */
    const float *scales;              /* of the rows' blocks, `packed` apart */
    int packed, accumulate;
    const int32_t *starts; /* in fours: [blocks, 8] what a column's sum over a block begins with */
} place;

static place place_of(const product *p, int row, int panel, int k) {
    const gemm_job *job = p->job;
    int column = panel * PANEL;
    return (place){.c = job->c + (p->done + row) * job->ldc + column,
                   .ldc = job->ldc,
                   .bias = k == 0 && job->bias && !job->transposed ? job->bias + job->first + column : NULL,
                   .column_scale = p->column_scale ? p->column_scale + column : NULL,
                   .scales = p->scales + (size_t)(k / INTEGER_BLOCK) * (size_t)p->packed + row,
                   .packed = p->packed,
                   .accumulate = k > 0 || job->accumulate};
}

integer_dots_kind integer_dots;
int integer_engine = DOTS_UNSIGNED;

/* Four sums of four products of bytes each, and sum: weight is signed, left as integer_dots says. */
ALWAYS_INLINE v128_t add_dots(v128_t weight, v128_t left, v128_t sum) {
#ifdef __wasm_relaxed_simd__
    return wasm_i32x4_relaxed_dot_i8x16_i7x16_add(weight, left, sum);
#else
    v128_t low =
        integer_engine == DOTS_UNSIGNED ? wasm_u16x8_extend_low_u8x16(left) : wasm_i16x8_extend_low_i8x16(left);
    v128_t high =
        integer_engine == DOTS_UNSIGNED ? wasm_u16x8_extend_high_u8x16(left) : wasm_i16x8_extend_high_i8x16(left);
    low = wasm_i32x4_dot_i16x8(wasm_i16x8_extend_low_i8x16(weight), low);
    high = wasm_i32x4_dot_i16x8(wasm_i16x8_extend_high_i8x16(weight), high);
    v128_t dots = wasm_i32x4_add(wasm_i32x4_shuffle(low, high, 0, 2, 4, 6), wasm_i32x4_shuffle(low, high, 1, 3, 5, 7));
    return wasm_i32x4_add(dots, integer_engine < 0 ? dots : sum);
#endif
}

/* starts of a panel's columns, over one chunk: what bytes that are 128 higher add to their blocks' sums, taken away. */
ONCE static void find_starts(int32_t *to, const int16_t *b, int depth) {
    v128_t ones = wasm_i8x16_splat(integer_dots == DOTS_UNSIGNED);
    for (; depth > 0; depth -= INTEGER_BLOCK, to += PANEL) {
        v128_t low = wasm_i32x4_splat(0), high = low;
        const int16_t *end = b + places(depth < INTEGER_BLOCK ? depth : INTEGER_BLOCK, 1) * PANEL;
        for (; b != end; b += 2 * PANEL) {
            low = add_dots(wasm_v128_load(b), ones, low);
            high = add_dots(wasm_v128_load(b + PANEL), ones, high);
        }
        wasm_v128_store(to, wasm_i32x4_neg(wasm_i32x4_shl(low, 7)));
        wasm_v128_store(to + 4, wasm_i32x4_neg(wasm_i32x4_shl(high, 7)));
    }
}

/* A group of 4 rows at a times `panels` panels at b, b_panel apart, over one chunk. A block's sums have all registers:
 * with two panels what blocks add up to is kept in memory. */
ALWAYS_INLINE void tile(const place *to, const int16_t *a, const int16_t *b, ptrdiff_t b_panel, int depth,
                        const int panels, const int fours) {
    const int vectors = 2 * panels;
    float memory[4 * 2 * PANEL], *total = memory;
    if (panels == 2) SIMD_IN_MEMORY(total);
    const float *scales = to->scales;
    const int32_t *starts = to->starts;
#pragma GCC unroll 16
    for (int i = 0; i < 4 * vectors; i++) wasm_v128_store(total + 4 * i, wasm_f32x4_splat(0));
    for (; depth > 0; depth -= INTEGER_BLOCK, scales += to->packed) {
        v128_t sum[16], start[2] = {wasm_i32x4_splat(0), wasm_i32x4_splat(0)};
        if (fours) {
            start[0] = wasm_v128_load(starts);
            start[1] = wasm_v128_load(starts + 4);
            starts += PANEL;
        }
#pragma GCC unroll 16
        for (int i = 0; i < 4 * vectors; i++) sum[i] = start[i % 2];
        const int16_t *end = b + (size_t)(places(depth < INTEGER_BLOCK ? depth : INTEGER_BLOCK, fours) * PANEL);
        do { /* nothing but sums: an engine that joins vectors wants no other way through it */
            v128_t row[4];
#pragma GCC unroll 4
            for (int j = 0; j < vectors; j++) row[j] = wasm_v128_load(b + j / 2 * b_panel + j % 2 * 8);
#pragma GCC unroll 4
            for (int r = 0; r < 4; r++) {
                v128_t pair = wasm_v128_load32_splat(a + r * 2), *sums = sum + r * vectors;
#pragma GCC unroll 4
                for (int j = 0; j < vectors; j++)
                    sums[j] = fours ? add_dots(row[j], pair, sums[j])
                                    : wasm_i32x4_add(sums[j], wasm_i32x4_dot_i16x8(pair, row[j]));
            }
            a += 2 * 4;
            b += 2 * PANEL;
        } while (b != end);
#pragma GCC unroll 4
        for (int r = 0; r < 4; r++) {
            v128_t scale = wasm_v128_load32_splat(scales + r);
#pragma GCC unroll 2
            for (int i = r * vectors; i < (r + 1) * vectors; i += 2) {
                v128_t low = wasm_v128_load(total + 4 * i), high = wasm_v128_load(total + 4 * i + 4);
                low = SIMD_MADD(wasm_f32x4_convert_i32x4(sum[i]), scale, low);
                high = SIMD_MADD(wasm_f32x4_convert_i32x4(sum[i + 1]), scale, high);
                SIMD_STORES_FOLLOW;
                wasm_v128_store(total + 4 * i, low);
                wasm_v128_store(total + 4 * i + 4, high);
            }
        }
    }
    /* As gemm.c's tiles are stored. */
#pragma GCC unroll 8
    for (int i = 0; i < 4 * panels; i++) {
        int column = i % panels * PANEL;
        float *c = to->c + i / panels * to->ldc + column;
        v128_t low = wasm_v128_load(total + 8 * i), high = wasm_v128_load(total + 8 * i + 4);
        if (to->column_scale) {
            low = wasm_f32x4_mul(low, wasm_v128_load(to->column_scale + column));
            high = wasm_f32x4_mul(high, wasm_v128_load(to->column_scale + column + 4));
        }
        if (to->bias) {
            low = wasm_f32x4_add(low, wasm_v128_load(to->bias + column));
            high = wasm_f32x4_add(high, wasm_v128_load(to->bias + column + 4));
        }
        if (to->accumulate) {
            v128_t before_low = wasm_v128_load(c), before_high = wasm_v128_load(c + 4);
            low = wasm_f32x4_add(before_low, low);
            high = wasm_f32x4_add(before_high, high);
        }
        wasm_v128_store(c, low);
        wasm_v128_store(c + 4, high);
    }
}

ONCE static void tile_1(const place *to, const int16_t *a, const int16_t *b, int depth) {
    tile(to, a, b, 0, depth, 1, 0);
}

ONCE static void tile_2(const place *to, const int16_t *a, const int16_t *b, ptrdiff_t b_panel, int depth) {
    tile(to, a, b, b_panel, depth, 2, 0);
}

ONCE static void tile_fours(const place *to, const int16_t *a, const int16_t *b, int depth) {
    tile(to, a, b, 0, depth, 1, 1);
}

/* All packed rows times one panel or two, over the chunk of k that begins at k. */
ONCE static void rows_times_panels(const product *p, int panel, int panels, const int16_t *b, ptrdiff_t b_panel,
                                   const int32_t *starts, int k, int depth) {
    int columns = p->columns - panel * PANEL;
    if (columns > panels * PANEL) columns = panels * PANEL;
    for (int row = 0; row < p->packed; row += 4) {
        int rows = p->rows - row < 4 ? p->rows - row : 4, some = rows < 4 || columns % PANEL;
        const int16_t *a = packed_rows(p, row, k, depth);
        place to = place_of(p, row, panel, k), edge = to;
        float whole[4 * 2 * PANEL], bias[2 * PANEL] = {0};
        if (some) { /* of the tile */
            memset(whole, 0, sizeof whole);
            edge.c = whole;
            edge.ldc = 2 * PANEL;
            if (to.bias) edge.bias = memcpy(bias, to.bias, (size_t)columns * sizeof *bias);
            for (int r = 0; r < rows && to.accumulate; r++)
                memcpy(whole + r * 2 * PANEL, to.c + r * to.ldc, (size_t)columns * sizeof *whole);
        }
        edge.starts = starts;
        if (in_fours(p)) tile_fours(&edge, a, b, depth);
        else if (panels == 2) tile_2(&edge, a, b, b_panel, depth);
        else tile_1(&edge, a, b, depth);
        for (int r = 0; r < rows && some; r++)
            memcpy(to.c + r * to.ldc, whole + r * 2 * PANEL, (size_t)columns * sizeof *whole);
    }
}

RARELY static void run_tile(void *context, int index, int thread) {
    const product *p = context;
    int panel = index * TILE_PANELS, panels = (p->columns + PANEL - 1) / PANEL - panel;
    int b_panel = p->panels ? places(p->depth, in_fours(p)) * PANEL : CHUNK * PANEL, k = 0;
    if (panels > TILE_PANELS) panels = TILE_PANELS;
    int trying = !gemm_tile_panels && thread == 0 && panels == TILE_PANELS && p->depth && !in_fours(p);
    int step = p->wide && panels == 2 && !in_fours(p) ? 2 : 1;
    do { /* a sum over nothing is zero, but still written */
        int depth = chunk_depth(p, k);
        const int16_t *b = parallel_scratch(thread);
        int32_t *starts = parallel_scratch(thread); /* panels in fours are read in place */
        if (p->panels) b = p->panels + (ptrdiff_t)panel * b_panel + places(k, in_fours(p)) * PANEL;
        else take_panels(p, parallel_scratch(thread), panel, panels, k, depth);
        double start = trying ? clock_seconds() : 0;
        for (int q = 0; q < panels; q += step) {
            if (in_fours(p)) find_starts(starts, b + q * b_panel, depth);
            rows_times_panels(p, panel + q, step, b + q * b_panel, b_panel, starts, k, depth);
        }
        if (trying) trial_count(TRIAL_INTEGERS, p->wide, clock_seconds() - start, (double)p->packed * panels * depth);
        k += depth;
    } while (k < p->depth);
}

RARELY void integer_run(const gemm_job *job, void *packed) {
    const gemm_weight *w = job->weight;
    product p = {.job = job,
                 .depth = job->transposed ? job->count : w->in,
                 .columns = job->transposed ? w->in : job->count,
                 .factor = job->transposed ? w->scale + job->first : NULL,
                 .column_scale = job->transposed ? NULL : w->scale + job->first,
                 .integers = packed};
    if (job->rows <= 0 || p.columns <= 0) return;
    p.left = HAS_INT8 && w->storage == GEMM_QUADS ? 127 : INTEGER_LEFT;
    /* As in gemm_set_row rounding adds 4; what is computed on the way is right to 2^-20. */
    p.norm = 0x1p31f / (float)(job->transposed ? 8 * INTEGER_RIGHT : 4 * w->norm) * (1 - 0x1p-18f) - 4;
    p.wide = trial_two_panels(TRIAL_INTEGERS);
    if (w->storage == MUDPT_I16 && !job->transposed)
        p.panels = (const int16_t *)w->panels + (size_t)job->first * (size_t)even(w->in);
    if (HAS_INT8 && w->storage == GEMM_QUADS) {
        p.fours = integer_dots != DOTS_OF_PAIRS;
        if (p.fours) p.panels = (const int16_t *)w->panels + (size_t)job->first * (size_t)places(w->in, 1);
    }
    p.scales = (float *)(void *)(p.integers + (size_t)PACKED_ROWS * (size_t)even(p.depth));
    int parts = (job->rows + PACKED_ROWS - 1) / PACKED_ROWS, step = ((job->rows + parts - 1) / parts + 3) / 4 * 4;
    for (p.done = 0; p.done < job->rows; p.done += step) {
        p.rows = job->rows - p.done < step ? job->rows - p.done : step;
        p.packed = (p.rows + 3) / 4 * 4;
        parallel_for((p.packed + PACK_ROWS - 1) / PACK_ROWS, pack_rows, &p);
        parallel_for((p.columns + TILE_PANELS * PANEL - 1) / (TILE_PANELS * PANEL), run_tile, &p);
    }
}
