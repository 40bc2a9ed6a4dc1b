/* Weights in panels: one element, and pieces of a panel as f32 for the micro-kernel. The layout is described in
 * gemm.h. */
#ifndef KERNELS_PANELS_H
#define KERNELS_PANELS_H

#include "gemm.h"

/* W(o, i) as f32. */
float panels_value(const gemm_weight *w, int o, int i);

/* One panel for the micro-kernel, [depth, 8], from k = `from` on. Straight: the columns are the output channels of
 * panel `panel`, k runs over inputs. Transposed: the columns are inputs panel * 8 ... + 7 (zeros beyond the last), k
 * runs over output channels; `from` is a multiple of 8 and `to` is written up to depth rounded up to 8. */
typedef void (*panels_unpack)(float *to, const gemm_weight *w, int panel, int from, int depth);

panels_unpack panels_unpacker(int storage, int transposed);

#endif
