/* What the host computes on a device of its own, WebGPU in the WebAssembly build (js/webgpu): single large products, as
 * a back end of gemm.h, and whole towers, so that nothing between two products crosses over. Every call either is done
 * as a whole or changes nothing and is computed here; natively there is no device. The host reads the structs below in
 * memory: js/webgpu/layout.js has their fields.
 */
#ifndef CLIP_DEVICE_H
#define CLIP_DEVICE_H

#include "kernels/gemm.h"

/* clip/tower.h, whose fields the host reads; here nobody looks into it. */
typedef struct tower tower;

enum { DEVICE_PRODUCT, DEVICE_FORWARD, DEVICE_BACKWARD }; /* what the host is asked for */
enum { DEVICE_NO, DEVICE_DONE, DEVICE_LOST };             /* and what it answers */

#ifndef __EMSCRIPTEN__
/* For tests, what answers natively: a gemm_job; a tower, deep; a tower, ddeep, where deep goes. NULL: nobody. */
extern int (*device_host)(int call, const void *a, const void *b, const void *c);
#endif

/* Products that the host declines are computed by gemm_simd. In use while there is a device: mudpt_use_device. */
extern const gemm_backend gemm_device;
/* Rows of a group of pictures that make good use of it; 0: there is none. */
int device_rows(void);

/* As tower_forward; DEVICE_NO: compute it. What backward needs stays on the device. */
int device_forward(const tower *t, const float *deep);
/* As tower_backward. DEVICE_NO: forward was computed here. DEVICE_LOST: it was not, and what it left is gone;
 * scratch->x holds again what entered it, and *deep is what it was given. */
int device_backward(const tower *t, float *ddeep, const float **deep);

#endif
