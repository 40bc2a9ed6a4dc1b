/* The nonlinearities of transformer blocks, value by value; `activation` is mudpt.h's:
 *
 *   MUDPT_QUICK_GELU   y = x sigmoid(1.702 x)
 *   MUDPT_GELU         y = x Phi(x) = x (1 + erf(x / sqrt 2)) / 2
 *   MUDPT_GELU_TANH    y = x sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3)), written with tanh elsewhere
 *
 * Both GELUs are right to 2e-7 up to x = 4 and to 8e-8 of themselves, their last bit, beyond; their derivatives are
 * right to 2e-7 (tests/c/test_kernels.c). NaN and infinity do not become finite.
 */
#ifndef KERNELS_ACTIVATION_H
#define KERNELS_ACTIVATION_H

#include <stddef.h>

/* y, x [count]; y may be x. */
void activation_forward(int activation, float *y, const float *x, size_t count);
/* dx = dy * derivative at x. dx, dy, x [count]; dx may be dy. */
void activation_backward(int activation, float *dx, const float *dy, const float *x, size_t count);

#endif
