/* The light transformer of UMuDPT and UUMuDPT: LayerNorm, one pre-LN block without mask, LayerNorm, Linear, all
 * trained.
 *
 * Its sequence is the n prompt tokens of one layer; layers do not see each other.
 */
#ifndef METHODS_LIGHT_H
#define METHODS_LIGHT_H

#include "method.h"

typedef struct {
    const char *name;               /* of its tensors, for instance "inject.text_to_visual" */
    int width, heads, to;           /* d, its heads, width of the result */
    int layers, n, rows;            /* rows = layers n */
    float *xhat_pre, *rstd_pre, *x; /* x [rows, d] enters the block */
    float *xhat_1, *rstd_1, *h_1;   /* [rows, d] */
    float *q, *kv, *o;              /* [rows, d], [rows, 2d], [rows, d] */
    float *y;                       /* [rows, d] after attention, later after the MLP */
    float *xhat_2, *rstd_2, *h_2;
    float *u, *g;                     /* [rows, 4d] before and after QuickGELU */
    float *xhat_post, *rstd_post, *p; /* p [rows, d] enters the last Linear */
    float *d_row, *d_other;           /* gradients: [rows, d] twice */
    float *dq, *dkv, *dg;             /* [rows, d], [rows, 2d], [rows, 4d] */
    int *starts;                      /* [layers + 1] */
} light;

void light_declare(method_state *s, const char *name, int width, int to);
/* Memory for forward and backward. */
void light_take(light *t, arena *a, const char *name, int width, int heads, int to, int layers, int n);
int light_reserve(int width, int heads, int to, int layers, int n);
/* out [rows, to] (+)= transformer(in [rows, width]) */
void light_forward(light *t, const method_state *s, float *out, const float *in, int accumulate);
/* din [rows, width] += gradient for dout [rows, to]; gradients of its tensors are added to the method's. */
void light_backward(light *t, method_state *s, float *din, const float *dout);

#endif
