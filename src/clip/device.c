#include "device.h"

#include "mudpt.h"

#ifdef __EMSCRIPTEN__
/* wasm/library.js. The first waits for the device, the second for nothing. */
extern int mudpt_host(int call, const void *a, const void *b, const void *c);
extern void mudpt_host_release(uintptr_t weight);
#else
int (*device_host)(int call, const void *a, const void *b, const void *c);

static int mudpt_host(int call, const void *a, const void *b, const void *c) {
    return device_host ? device_host(call, a, b, c) : DEVICE_NO;
}
static void mudpt_host_release(uintptr_t weight) {
    (void)weight;
}
#endif

static int rows;
static uintptr_t weights; /* that were ever prepared: a number is never used twice, whatever lies at an address */

static int prepare(gemm_weight *w) {
    w->device = (void *)++weights;
    return MUDPT_OK;
}

static void run(const gemm_job *job) {
    if (!mudpt_host(DEVICE_PRODUCT, job, 0, 0)) gemm_simd.run(job);
}

static void release(gemm_weight *w) {
    mudpt_host_release((uintptr_t)w->device);
}

const gemm_backend gemm_device = {"device", prepare, run, release};

void mudpt_use_device(int rows_wanted) {
    rows = rows_wanted;
    gemm_use(rows > 0 ? &gemm_device : &gemm_simd);
}

int device_rows(void) {
    return rows;
}

int device_forward(const tower *t, const float *deep) {
    return rows > 0 ? mudpt_host(DEVICE_FORWARD, t, deep, 0) : DEVICE_NO;
}

int device_backward(const tower *t, float *ddeep, const float **deep) {
    return rows > 0 ? mudpt_host(DEVICE_BACKWARD, t, ddeep, deep) : DEVICE_NO;
}
