/* Weights in panels: one element, and pieces of a panel as f32 for the micro-kernel. The layout is described in
 * gemm.h. */
#ifndef KERNELS_PANELS_H
#define KERNELS_PANELS_H

#include "gemm.h"

/* W(o, i) as f32. */
float panels_value(const gemm_weight *w, int o, int i);

/* Panels for the micro-kernel, each [depth, 8] and PANELS_APART floats from the next, from k = `from` on. Straight: the
 * columns are the output channels of panels `panel` and following, k runs over inputs. Transposed: the columns of the
 * first are inputs panel * 8 ... + 7 (zeros beyond the last), k runs over output channels; `from` is a multiple of 8 and
 * `to` is written up to depth rounded up to 8. */
typedef void (*panels_unpack)(float *to, const gemm_weight *w, int panel, int panels, int from, int depth);
enum { PANELS_APART = 4096 };

panels_unpack panels_unpacker(const gemm_weight *w, int transposed);

#endif
