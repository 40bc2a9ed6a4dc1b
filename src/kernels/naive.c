#include "naive.h"

#include <math.h>
#include <stddef.h>

#include "gemm.h"
#include "mudpt.h"
#include "panels.h"

/* ------------------------------------------------------------------------------------------------ matrix products */

static int nothing_to_prepare(gemm_weight *w) {
    (void)w;
    return MUDPT_OK;
}

static void nothing_to_release(gemm_weight *w) {
    (void)w;
}

static void naive_run(const gemm_job *job) {
    const gemm_weight *w = job->weight;
    int columns = job->transposed ? w->in : job->count, depth = job->transposed ? job->count : w->in;
    for (int r = 0; r < job->rows; r++) {
        for (int j = 0; j < columns; j++) {
            double sum = 0;
            for (int k = 0; k < depth; k++) {
                float weight =
                    job->transposed ? panels_value(w, job->first + k, j) : panels_value(w, job->first + j, k);
                sum += (double)job->a[(ptrdiff_t)r * job->lda + k] * weight;
            }
            if (job->bias && !job->transposed) sum += job->bias[job->first + j];
            float *c = job->c + (ptrdiff_t)r * job->ldc + j;
            *c = (float)(job->accumulate ? *c + sum : sum);
        }
    }
}

const gemm_backend gemm_naive = {"naive", nothing_to_prepare, naive_run, nothing_to_release};

void naive_gemm_dense(float *c, int ldc, const float *a, int a_row, int a_col, const float *b, int b_row, int b_col,
                      int m, int n, int k, int accumulate) {
    for (ptrdiff_t i = 0; i < m; i++) {
        for (ptrdiff_t j = 0; j < n; j++) {
            double sum = accumulate ? c[i * ldc + j] : 0;
            for (ptrdiff_t l = 0; l < k; l++) sum += (double)a[i * a_row + l * a_col] * b[l * b_row + j * b_col];
            c[i * ldc + j] = (float)sum;
        }
    }
}

/* ------------------------------------------------------------------------------------------------ LayerNorm */

void naive_layernorm_forward(float *y, float *xhat, float *rstd, const float *x, const float *gain, const float *bias,
                             int rows, int d, float epsilon) {
    for (ptrdiff_t r = 0; r < rows; r++) {
        double mean = 0, variance = 0;
        for (int i = 0; i < d; i++) mean += x[r * d + i];
        mean /= d;
        for (int i = 0; i < d; i++) variance += (x[r * d + i] - mean) * (x[r * d + i] - mean);
        double scale = 1 / sqrt(variance / d + epsilon);
        if (rstd) rstd[r] = (float)scale;
        for (int i = 0; i < d; i++) {
            double value = (x[r * d + i] - mean) * scale;
            if (xhat) xhat[r * d + i] = (float)value;
            y[r * d + i] = (float)(value * gain[i] + bias[i]);
        }
    }
}

void naive_layernorm_backward(float *dx, const float *dy, const float *xhat, const float *rstd, const float *gain,
                              int rows, int d, int accumulate) {
    for (ptrdiff_t r = 0; r < rows; r++) {
        double plain = 0, projected = 0;
        for (int i = 0; i < d; i++) {
            double g = (double)dy[r * d + i] * gain[i];
            plain += g / d;
            projected += g * xhat[r * d + i] / d;
        }
        for (int i = 0; i < d; i++) {
            double g = ((double)dy[r * d + i] * gain[i] - plain - xhat[r * d + i] * projected) * rstd[r];
            dx[r * d + i] = (float)(accumulate ? dx[r * d + i] + g : g);
        }
    }
}

void naive_layernorm_backward_parameters(float *dgain, float *dbias, const float *dy, const float *xhat, int rows,
                                         int d) {
    for (int i = 0; i < d; i++) {
        double gain = dgain[i], bias = dbias[i];
        for (ptrdiff_t r = 0; r < rows; r++) {
            gain += (double)dy[r * d + i] * xhat[r * d + i];
            bias += dy[r * d + i];
        }
        dgain[i] = (float)gain;
        dbias[i] = (float)bias;
    }
}

/* ------------------------------------------------------------------------------------------------ elements */

/* y and dy / dx. */
static void activation(int kind, double x, double *value, double *derivative) {
    const double root = sqrt(2 / 3.14159265358979323846);
    if (kind == MUDPT_GELU) { /* root / 2 is 1 / sqrt(2 pi) */
        double below = 0.5 * erfc(-x / sqrt(2));
        *value = x * below;
        *derivative = below + x * exp(-x * x / 2) * root / 2;
        return;
    }
    int is_quick = kind == MUDPT_QUICK_GELU;
    double z = is_quick ? 1.702 * x : 2 * root * (x + 0.044715 * x * x * x), gate = 1 / (1 + exp(-z));
    double rise = is_quick ? 1.702 : 2 * root * (1 + 3 * 0.044715 * x * x), other = 1 / (1 + exp(z));
    *value = x * gate;
    *derivative = gate + x * rise * gate * other;
}

void naive_activation_forward(int kind, float *y, const float *x, size_t count) {
    for (size_t i = 0; i < count; i++) {
        double value, derivative;
        activation(kind, x[i], &value, &derivative);
        y[i] = (float)value;
    }
}

void naive_activation_backward(int kind, float *dx, const float *dy, const float *x, size_t count) {
    for (size_t i = 0; i < count; i++) {
        double value, derivative;
        activation(kind, x[i], &value, &derivative);
        dx[i] = (float)(dy[i] * derivative);
    }
}

float naive_softmax_row(float *p, const float *s, int count) {
    double max = s[0], sum = 0;
    for (int i = 1; i < count; i++) max = s[i] > max ? s[i] : max;
    for (int i = 0; i < count; i++) sum += exp(s[i] - max);
    for (int i = 0; i < count; i++) p[i] = (float)(exp(s[i] - max) / sum);
    return (float)(max + log(sum));
}

/* ------------------------------------------------------------------------------------------------ attention */

enum { SLICE = 64 }; /* columns that are summed at a time */

/* One query of one head: where its keys are, and its softmax without a row of memory. */
typedef struct {
    const float *q, *k, *v, *prefix_k, *prefix_v; /* at the head's first column */
    int width, stride, prefix, count;             /* count: keys seen, the prefix included */
    double max, sum;
} seen;

static ptrdiff_t own_or_prefix(const seen *a, int key, int *own) {
    *own = key >= a->prefix;
    return (ptrdiff_t)(*own ? key - a->prefix : key) * a->stride;
}

static double score(const seen *a, int key) {
    int own;
    ptrdiff_t at = own_or_prefix(a, key, &own);
    const float *k = (own ? a->k : a->prefix_k) + at;
    double sum = 0;
    for (int i = 0; i < a->width; i++) sum += (double)a->q[i] * k[i];
    return sum / sqrt(a->width);
}

static double probability(const seen *a, int key) {
    return exp(score(a, key) - a->max) / a->sum;
}

static const float *value_row(const seen *a, int key) {
    int own;
    ptrdiff_t at = own_or_prefix(a, key, &own);
    return (own ? a->v : a->prefix_v) + at;
}

static seen look(const float *q, const float *k, const float *v, const float *prefix_k, const float *prefix_v,
                 int kv_stride, const attention_shape *shape, int sequence, int query, int head) {
    ptrdiff_t column = (ptrdiff_t)head * shape->head_width;
    ptrdiff_t first = (ptrdiff_t)shape->key_start[sequence] * kv_stride + column;
    int keys = shape->key_start[sequence + 1] - shape->key_start[sequence];
    seen a = {
        .q = q + (ptrdiff_t)query * shape->heads * shape->head_width + column,
        .k = k + first,
        .v = v + first,
        .width = shape->head_width,
        .stride = kv_stride,
        .prefix = shape->prefix,
        .count = shape->prefix + (shape->visible ? shape->visible[query] : keys),
    };
    if (shape->prefix) {
        a.prefix_k = prefix_k + column;
        a.prefix_v = prefix_v + column;
    }
    a.max = -INFINITY;
    for (int key = 0; key < a.count; key++) a.max = fmax(a.max, score(&a, key));
    for (int key = 0; key < a.count; key++) a.sum += exp(score(&a, key) - a.max);
    return a;
}

void naive_attention_forward(float *out, const float *q, const float *k, const float *v, const float *prefix_k,
                             const float *prefix_v, int kv_stride, const attention_shape *shape) {
    int hw = shape->head_width;
    for (int s = 0; s < shape->sequences; s++) {
        for (int query = shape->query_start[s]; query < shape->query_start[s + 1]; query++) {
            for (int head = 0; head < shape->heads; head++) {
                seen a = look(q, k, v, prefix_k, prefix_v, kv_stride, shape, s, query, head);
                float *row = out + ((ptrdiff_t)query * shape->heads + head) * hw;
                for (int from = 0; from < hw; from += SLICE) {
                    double sum[SLICE] = {0};
                    int count = hw - from < SLICE ? hw - from : SLICE;
                    for (int key = 0; key < a.count; key++) {
                        double p = probability(&a, key);
                        for (int i = 0; i < count; i++) sum[i] += p * value_row(&a, key)[from + i];
                    }
                    for (int i = 0; i < count; i++) row[from + i] = (float)sum[i];
                }
            }
        }
    }
}

void naive_attention_backward(float *dq, float *dk, float *dv, float *dprefix_k, float *dprefix_v, const float *dout,
                              const float *q, const float *k, const float *v, const float *prefix_k,
                              const float *prefix_v, int kv_stride, const attention_shape *shape, int first_key) {
    int hw = shape->head_width, width = shape->heads * hw;
    if (dq)
        for (ptrdiff_t i = 0; i < (ptrdiff_t)shape->query_start[shape->sequences] * width; i++) dq[i] = 0;
    for (int s = 0; s < shape->sequences; s++) {
        for (int query = shape->query_start[s]; query < shape->query_start[s + 1]; query++) {
            for (int head = 0; head < shape->heads; head++) {
                seen a = look(q, k, v, prefix_k, prefix_v, kv_stride, shape, s, query, head);
                ptrdiff_t column = (ptrdiff_t)head * hw, row = (ptrdiff_t)query * width + column;
                double mean = 0; /* sum over the keys of probability times its gradient */
                for (int key = 0; key < a.count; key++) {
                    double dp = 0;
                    for (int i = 0; i < hw; i++) dp += (double)dout[row + i] * value_row(&a, key)[i];
                    mean += probability(&a, key) * dp;
                }
                for (int key = 0; key < a.count; key++) {
                    int own;
                    ptrdiff_t at = own_or_prefix(&a, key, &own) + column;
                    const float *key_row = (own ? k + (ptrdiff_t)shape->key_start[s] * kv_stride : prefix_k) + at;
                    double p = probability(&a, key), dp = 0;
                    for (int i = 0; i < hw; i++) dp += (double)dout[row + i] * value_row(&a, key)[i];
                    double ds = p * (dp - mean) / sqrt(hw);
                    for (int i = 0; dq && i < hw; i++) dq[row + i] += (float)(ds * key_row[i]);
                    if (own && key - a.prefix < first_key) continue;
                    ptrdiff_t to = at + (own ? (ptrdiff_t)shape->key_start[s] * kv_stride : 0);
                    float *key_gradient = (own ? dk : dprefix_k) + to, *value_gradient = (own ? dv : dprefix_v) + to;
                    for (int i = 0; i < hw; i++) {
                        key_gradient[i] += (float)(ds * q[row + i]);
                        value_gradient[i] += (float)(p * dout[row + i]);
                    }
                }
            }
        }
    }
}
