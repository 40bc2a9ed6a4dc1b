/* QuickGELU, y = x sigmoid(1.702 x), OpenAI CLIP's activation. */
#ifndef KERNELS_QUICKGELU_H
#define KERNELS_QUICKGELU_H

#include <stddef.h>

/* y [count]; y may be x. */
void quickgelu_forward(float *y, const float *x, size_t count);
/* dx = dy * derivative at x; dx may be dy. */
void quickgelu_backward(float *dx, const float *dy, const float *x, size_t count);

#endif
