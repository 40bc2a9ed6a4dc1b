/* Matrix products with frozen weights, and with plain matrices. The seam behind which a back end computes.
 *
 * A weight W [out, in] is kept once, in panels of 8 output channels: element (o, i) is lane o % 8 of row i of panel o
 * / 8, so panel p starts at element p * 8 * in. `out` is padded with zeros to a multiple of 8 (out itself may be any
 * number >= 1). The straight product (x W^T + bias) and the transposed one (dy W) both read this one copy.
 */
#ifndef KERNELS_GEMM_H
#define KERNELS_GEMM_H

#include <stddef.h>
#include <stdint.h>

#include "base/work.h"

/* Whether precision MUDPT_INT8 is built in: natively, and in a WebAssembly module of its own (wasm/wasm.cmake). */
#ifdef MUDPT_BYTE_PRODUCTS
enum { HAS_INT8 = 1 };
#else
enum { HAS_INT8 = 0 };
#endif

/* A storage beside MUDPT_F32 ... MUDPT_I16: the integers of MUDPT_I8 for products of bytes (integer.h), straight
 * alone. */
enum { GEMM_QUADS = 5 };

typedef struct {
    int out, in;
    int storage;    /* MUDPT_F32, MUDPT_F16, MUDPT_I8, MUDPT_I16 or GEMM_QUADS */
    void *panels;   /* float, uint16_t (IEEE half) or int8_t [panels, in, 8], aligned to 64; int16_t [panels,
                     in / 2 rounded up, 8, 2], inputs in pairs; GEMM_QUADS: int8_t [panels, in / 4 rounded up, 8, 4] */
    float *scale;   /* of integers: [out rounded up to 8] what an output channel's integers are multiplied by */
    int8_t fast;    /* of integers: products in block integers (integer.h), else in f32; GEMM_QUADS: always 1 */
    int8_t special; /* MUDPT_F16: infinity or NaN may be among them */
    uint16_t norm;  /* of integers: the root of a channel's squares over a block (integer.h), at most, in fours */
    void *device;   /* a back end's own copy, or NULL */
} gemm_weight;

/* Bytes of `panels` for a weight of this size and storage; out, in >= 1. */
size_t gemm_panel_bytes(int out, int in, int storage);
/* Bytes of `scale`: 0 where the storage has none. */
size_t gemm_scale_bytes(int out, int storage);
/* Writes row o (0 ... out-1) of W, values [in], into the panels, converting to the weight's storage. For MUDPT_I8 and
 * GEMM_QUADS the row's scale is max |value| / 127 (MUDPT_I16: / 16383), or coarser (INTEGER_NORM), or the one
 * given when scale > 0.
 * Values that f16 cannot hold become infinity. */
void gemm_set_row(gemm_weight *w, int o, const float *values, float scale);
/* The opposite: what the panels hold for row o, widened. values [in] */
void gemm_get_row(const gemm_weight *w, int o, float *values);

typedef struct {
    const gemm_weight *weight;
    int transposed;   /* 0: c [rows, count] = a [rows, in] W[first ... first+count-1, :]^T + bias
                           1: c [rows, in] = a [rows, count] W[first ... first+count-1, :] */
    int first, count; /* range of output channels; first is a multiple of 8 */
    int rows;         /* 0: nothing is done */
    const float *a;   /* [rows, in] or, transposed, [rows, count] */
    int lda;          /* floats from row to row, at least as many as a row has */
    float *c;         /* [rows, count] or, transposed, [rows, in] */
    int ldc;
    const float *bias; /* [out], read from `first` on; NULL: none (always NULL when transposed) */
    int accumulate;    /* 1: added to what c holds */
} gemm_job;

typedef struct {
    const char *name;
    int (*prepare)(gemm_weight *w);   /* once all rows are set; -> MUDPT_OK or an error */
    void (*run)(const gemm_job *job); /* c must not overlap a */
    void (*release)(gemm_weight *w);
} gemm_backend;

extern const gemm_backend gemm_simd, gemm_naive;
void gemm_use(const gemm_backend *backend); /* gemm_simd until told otherwise */
const gemm_backend *gemm_current(void);

/* How many panels rows are multiplied by at once: 1 and 4 rows, as much as 16 registers hold, or 2 and 6 rows, for
 * engines and processors that have more or longer ones and need more independent sums. 0: the first products find out
 * which is faster here. The bits are the same. */
extern int gemm_tile_panels;

/* Scratch for any job whose sum runs over at most `depth` values; must precede the job. -> MUDPT_OK, MUDPT_MEMORY */
int gemm_reserve(int depth);
uint64_t gemm_packed_bytes(int depth); /* of what it takes: once, */
size_t gemm_scratch_bytes(void);       /* and for every thread */
static inline void gemm_run(const gemm_job *job) {
    const gemm_weight *w = job->weight;
    work_done.products += 2.0 * job->rows * job->count * w->in;
    work_done.weight_bytes += job->rows > 0 ? (double)gemm_panel_bytes(job->count, w->in, w->storage) : 0;
    gemm_current()->run(job);
}

/* Straight and transposed product over all output channels, the usual calls. y, dy [rows, out]; x, dx [rows, in]; bias
 * [out] or NULL; w [out, in]. Rows are dense, and what is written overlaps nothing that is read. */
void gemm_forward(float *y, const float *x, const gemm_weight *w, const float *bias, int rows, int accumulate);
void gemm_backward(float *dx, const float *dy, const gemm_weight *w, int rows, int accumulate);

/* c [m, n] (+)= A [m, k] B [k, n] for plain f32 matrices with any strides: A(i, k) = a[i * a_row + k * a_col], B(k, j)
 * = b[k * b_row + j * b_col]; c's rows are ldc >= n floats apart, and it overlaps neither. For what changes in
 * training: light transformers, projections, gradients of weights. */
void gemm_dense(float *c, int ldc, const float *a, int a_row, int a_col, const float *b, int b_row, int b_col, int m,
                int n, int k, int accumulate);
/* Scratch for gemm_dense up to n columns and a sum over k; must precede it. -> MUDPT_OK, MUDPT_MEMORY */
int gemm_reserve_dense(int n, int k);
/* What is held once there is room for sums of `depth` values: of these, of longer ones that were reserved before, and
 * for gemm_dense; threads' scratch not counted. */
uint64_t gemm_held_bytes(int depth);

#endif
