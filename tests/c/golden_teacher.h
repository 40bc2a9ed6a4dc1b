/* The frozen model's class features for golden cases of methods that compare with them. Part of golden.c. */
#ifndef GOLDEN_TEACHER_H
#define GOLDEN_TEACHER_H

#include "golden_check.h"

/* Features of one template's sentences [classes, length], which end with the largest id; they are added to sum. */
static int add_features(mudpt_clip *clip, const int32_t *ids, int classes, int length, int embed, double *sum) {
    const mudpt_method method = {.method = "zeroshot"};
    mudpt_classifier *frozen = NULL;
    size_t size = (size_t)classes * (size_t)embed;
    float *features = need_bytes(size * 4);
    int32_t *lengths = need_bytes((size_t)classes * 4);
    for (int n = 0; n < classes; n++) {
        const int32_t *row = ids + n * length;
        int end = 0;
        for (int i = 0; i < length; i++)
            if (row[i] > row[end]) end = i;
        lengths[n] = end + 1;
    }
    mudpt_sentences sentences = {ids, lengths, NULL, length, classes, 1};
    int code = mudpt_classifier_create(clip, &method, &sentences, classes, &frozen);
    if (code == MUDPT_OK) code = mudpt_classifier_text_features(frozen, features);
    for (size_t i = 0; code == MUDPT_OK && i < size; i++) sum[i] += (double)features[i];
    mudpt_classifier_free(frozen);
    free(features);
    free(lengths);
    return code;
}

/* The mean over the templates of a case, scaled to length one: [classes, embed], or NULL with the fault noted. */
static float *teacher_of(outcome *o, mudpt_clip *clip, const tensor_file *file, int classes, int embed) {
    tensor t;
    int32_t *ids = tensor_ints(file, "teacher_ids", &t);
    size_t size = (size_t)classes * (size_t)embed;
    double *sum = need_bytes(size * sizeof *sum);
    float *out = need_bytes(size * 4);
    int code = ids && t.dims == 3 && t.shape[1] == classes ? MUDPT_OK : MUDPT_ARGUMENT;
    for (size_t i = 0; i < size; i++) sum[i] = 0;
    for (int k = 0; code == MUDPT_OK && k < t.shape[0]; k++)
        code = add_features(clip, ids + k * classes * t.shape[2], classes, t.shape[2], embed, sum);
    for (int n = 0; n < classes; n++) {
        double square = 0;
        for (int i = 0; i < embed; i++) square += sum[n * embed + i] * sum[n * embed + i];
        for (int i = 0; i < embed; i++) out[n * embed + i] = (float)(sum[n * embed + i] / sqrt(square));
    }
    free(ids);
    free(sum);
    if (code == MUDPT_OK) return out;
    fault(o, "teacher_ids: code %d, %s", code, mudpt_last_error());
    free(out);
    return NULL;
}

#endif
