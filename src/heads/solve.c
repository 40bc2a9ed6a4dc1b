/* Symmetric systems by Cholesky's factor, and the largest eigenvalue by powers: in double precision, as matrices of
 * features are badly conditioned. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "kernels/gemm.h"
#include "head.h"

static double dot(const double *a, const double *b, int count) {
    double sums[4] = {0};
    int i = 0;
    for (; i + 4 <= count; i += 4)
        for (int k = 0; k < 4; k++) sums[k] += a[i + k] * b[i + k];
    for (; i < count; i++) sums[0] += a[i] * b[i];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

int solve_factor(double *a, int n) {
    for (int i = 0; i < n; i++) {
        double *row = a + (size_t)i * (size_t)n;
        for (int j = 0; j <= i; j++) {
            const double *other = a + (size_t)j * (size_t)n;
            double rest = row[j] - dot(row, other, j);
            if (i == j && !(rest > 0 && isfinite(rest))) return 0;
            row[j] = i == j ? sqrt(rest) : rest / other[j];
        }
    }
    return 1;
}

void solve_with(const double *factor, int n, double *b) {
    for (int i = 0; i < n; i++) {
        const double *row = factor + (size_t)i * (size_t)n;
        b[i] = (b[i] - dot(row, b, i)) / row[i];
    }
    for (int i = n - 1; i >= 0; i--) {
        const double *row = factor + (size_t)i * (size_t)n;
        b[i] /= row[i];
        for (int j = 0; j < i; j++) b[j] -= row[j] * b[i];
    }
}

void solve_gram(double *a, float *part, float *chunk, int n, int rows,
                void (*fill)(const mudpt_head *h, float *to, int first, int count), const mudpt_head *h) {
    size_t values = (size_t)n * (size_t)n;
    memset(a, 0, values * sizeof *a);
    for (int first = 0; first < rows; first += HEAD_CHUNK) {
        int now = rows - first < HEAD_CHUNK ? rows - first : HEAD_CHUNK;
        fill(h, chunk, first, now);
        gemm_dense(part, n, chunk, 1, n, chunk, n, 1, n, n, now, 0);
        for (size_t i = 0; i < values; i++) a[i] += (double)part[i];
    }
}

double solve_largest(const float *x, int rows, int n, double *work) {
    double *v = work, *next = work + n, value = 0, before;
    rng r;
    rng_seed(&r, 1, 0);
    for (int i = 0; i < n; i++) v[i] = rng_uniform(&r) - 0.5;
    /* Estimates only grow; where they do so slowly, the next eigenvalue is as large and as good. */
    for (int step = 0; step < 1000; step++) {
        double length = sqrt(dot(v, v, n));
        memset(next, 0, (size_t)n * sizeof *next);
        for (int row = 0; row < rows; row++) {
            const float *at = x + (size_t)row * (size_t)n;
            double sum = 0;
            for (int i = 0; i < n; i++) sum += (double)at[i] * v[i];
            for (int i = 0; i < n; i++) next[i] += sum / length * (double)at[i];
        }
        before = value;
        value = sqrt(dot(next, next, n));
        if (value - before <= 1e-11 * value) break;
        for (int i = 0; i < n; i++) v[i] = next[i] / value;
    }
    return value;
}
