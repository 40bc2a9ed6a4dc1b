/* Softmax of one row, numerically safe. */
#ifndef KERNELS_SOFTMAX_H
#define KERNELS_SOFTMAX_H

#include <math.h>

/* p[i] = exp(s[i] - max) / sum; p, s [count], count >= 1; p may be s. Returns log(sum of exp(s)). */
float softmax_row(float *p, const float *s, int count);

/* A class's share of a loss's gradient below which it is nothing. What follows from a smaller one would be subnormal
 * numbers, over which processors take a hundred times as long: Tip-Adapter-F on pictures that are much alike took 40
 * times its seconds, a step of MuDPT where logits are thousands apart six times. */
#define LEAST_SHARE 1e-20f

/* Gradients of one of a batch of losses, values [count], to those of their mean. NaN stays. */
static inline void softmax_shares(float *values, int count, int batch) {
    for (int i = 0; i < count; i++) values[i] = fabsf(values[i]) < LEAST_SHARE ? 0 : values[i] / (float)batch;
}

#endif
