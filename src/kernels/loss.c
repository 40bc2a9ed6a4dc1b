#include "loss.h"

#include <math.h>
#include <stddef.h>

#include "base/simd.h"
#include "softmax.h"

static float dot(const float *a, const float *b, int count) {
    /* Eight sums side by side, which the compiler turns into vectors; the order is the same everywhere. */
    float sums[8] = {0};
    int i = 0;
    for (; i + 8 <= count; i += 8)
        for (int k = 0; k < 8; k++) sums[k] += a[i + k] * b[i + k];
    for (; i < count; i++) sums[i & 7] += a[i] * b[i];
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

void unit_forward(float *unit, float *norms, const float *features, int rows, int e) {
    for (int r = 0; r < rows; r++, unit += e, features += e) {
        float norm = simd_root(dot(features, features, e));
        if (isinf(norm)) norm = NAN; /* a length that is out of range must not make a feature of zeros */
        for (int i = 0; i < e; i++) unit[i] = features[i] / norm;
        if (norms) norms[r] = norm;
    }
}

void unit_backward(float *dfeatures, const float *dunit, const float *unit, const float *norms, int rows, int e) {
    for (int r = 0; r < rows; r++, dfeatures += e, dunit += e, unit += e) {
        float along = dot(dunit, unit, e);
        for (int i = 0; i < e; i++) dfeatures[i] = (dunit[i] - along * unit[i]) / norms[r];
    }
}

void cosine_logits(float *logits, const float *unit_image, const float *unit_text, float scale, int classes, int e) {
    for (int c = 0; c < classes; c++) logits[c] = scale * dot(unit_image, unit_text + (size_t)c * (size_t)e, e);
}

float cross_entropy(float *logits, int classes, int label, int batch) {
    float right = logits[label], most = right;
    int largest = label;
    for (int c = 0; c < classes; c++)
        if (logits[c] > most) most = logits[c], largest = c;
    float total = softmax_row(logits, logits, classes);
    double loss = (double)total - (double)right;
    /* A small loss is lost beside a logit: it is the others' sum over the largest one, to which 1 is not added. */
    if (loss < 1e-2) {
        double others = 0;
        for (int c = 0; c < classes; c++) others += c == largest ? 0 : (double)logits[c];
        others /= (double)logits[largest];
        loss = others * (1 - others * (0.5 - others * (1.0 / 3 - others / 4))) + ((double)most - (double)right);
    }
    logits[label] -= 1;
    softmax_shares(logits, classes, batch);
    return (float)loss;
}
