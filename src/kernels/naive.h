/* The kernels' naive twins: plain loops in double precision, the definition and the tests' oracle. */
#ifndef KERNELS_NAIVE_H
#define KERNELS_NAIVE_H

#include <stddef.h>

#include "attention.h"

/* Shapes, ranges and what may overlap are those of the function without naive_ in gemm.h, layernorm.h, activation.h,
 * softmax.h and attention.h. gemm_naive, the twin of gemm_simd, is in gemm.h. */

/* c [m, n], a [m, k], b [k, n], by their strides */
void naive_gemm_dense(float *c, int ldc, const float *a, int a_row, int a_col, const float *b, int b_row, int b_col,
                      int m, int n, int k, int accumulate);
/* y, xhat, x [rows, d]; rstd [rows]; gain, bias [d] */
void naive_layernorm_forward(float *y, float *xhat, float *rstd, const float *x, const float *gain, const float *bias,
                             int rows, int d, float epsilon);
/* dx, dy, xhat [rows, d]; rstd [rows]; gain [d] */
void naive_layernorm_backward(float *dx, const float *dy, const float *xhat, const float *rstd, const float *gain,
                              int rows, int d, int accumulate);
/* dgain, dbias [d]; dy, xhat [rows, d] */
void naive_layernorm_backward_parameters(float *dgain, float *dbias, const float *dy, const float *xhat, int rows,
                                         int d);
/* y, dx, dy, x [count] */
void naive_activation_forward(int activation, float *y, const float *x, size_t count);
void naive_activation_backward(int activation, float *dx, const float *dy, const float *x, size_t count);
/* p, s [count] */
float naive_softmax_row(float *p, const float *s, int count);
/* out, q, dout, dq [queries, width]; k, v, dk, dv [keys, kv_stride]; prefix_k, prefix_v, dprefix_k, dprefix_v [prefix,
 * kv_stride] */
void naive_attention_forward(float *out, const float *q, const float *k, const float *v, const float *prefix_k,
                             const float *prefix_v, int kv_stride, const attention_shape *shape);
void naive_attention_backward(float *dq, float *dk, float *dv, float *dprefix_k, float *dprefix_v, const float *dout,
                              const float *q, const float *k, const float *v, const float *prefix_k,
                              const float *prefix_v, int kv_stride, const attention_shape *shape, int first_key);

#endif
