/* Softmax of one row, numerically safe. */
#ifndef KERNELS_SOFTMAX_H
#define KERNELS_SOFTMAX_H

/* p[i] = exp(s[i] - max) / sum; p, s [count], count >= 1; p may be s. Returns log(sum of exp(s)). */
float softmax_row(float *p, const float *s, int count);

#endif
