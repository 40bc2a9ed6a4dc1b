/* LayerNorm over rows of width d. */
#ifndef KERNELS_LAYERNORM_H
#define KERNELS_LAYERNORM_H

#define LAYERNORM_EPSILON 1e-5f /* CLIP's; other models have others */

/* y = xhat * gain + bias with xhat = (x - mean) * rstd, rstd = 1 / sqrt(variance + epsilon). y, xhat, x [rows, d];
 * rstd [rows]; gain, bias [d]. xhat and rstd may be NULL (inference); y may be x. */
void layernorm_forward(float *y, float *xhat, float *rstd, const float *x, const float *gain, const float *bias,
                       int rows, int d, float epsilon);
/* dx (+)= gradient through the normalisation; dy, dx, xhat [rows, d]; rstd [rows]; gain [d]. dx may be dy when
 * accumulate is 0. */
void layernorm_backward(float *dx, const float *dy, const float *xhat, const float *rstd, const float *gain, int rows,
                        int d, int accumulate);
/* dgain += sum over rows of dy * xhat, dbias += sum of dy. dgain, dbias [d]; dy, xhat [rows, d] */
void layernorm_backward_parameters(float *dgain, float *dbias, const float *dy, const float *xhat, int rows, int d);

#endif
