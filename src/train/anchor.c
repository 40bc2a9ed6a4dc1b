/* Terms of the loss that hold tuned features near the frozen model's, and their gradients: KgCoOp's of the classes,
 * PromptSRC's three (mudpt_classifier_gradients says what they are). */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "kernels/loss.h"
#include "kernels/softmax.h"
#include "classifier.h"

int anchor_needs_classes(const mudpt_classifier *c) {
    return c->state.sizes.text_weight > 0 || c->state.sizes.kl_weight > 0 || c->state.method->class_aware;
}

int classifier_check_teacher(const mudpt_classifier *c) {
    if (!c->teacher || c->teacher_given) return MUDPT_OK;
    return fail(MUDPT_STATE, "the classifier has not been given the frozen model's class features");
}

int anchor_needs_pictures(const mudpt_classifier *c) {
    return c->state.sizes.image_weight > 0 || c->state.sizes.kl_weight > 0;
}

/* Adds weight * mean |a - b| of `all` values, of which these are `count`, to the gradient of a; returns the sum. */
static double absolute(float *da, const float *a, const float *b, size_t count, double weight, double all) {
    float slope = (float)(weight / all);
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        float apart = a[i] - b[i];
        sum += fabs((double)apart);
        if (apart != 0) da[i] += apart > 0 ? slope : -slope;
    }
    return sum;
}

/* Takes weight * b from the gradient of a; returns the sum of a b, which are of length one row by row. */
static double cosine(float *da, const float *a, const float *b, size_t count, double weight) {
    float slope = (float)weight;
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)a[i] * (double)b[i];
        da[i] -= slope * b[i];
    }
    return sum;
}

double anchor_classes(mudpt_classifier *c) {
    double weight = (double)c->state.sizes.text_weight;
    size_t count = (size_t)c->classes * (size_t)c->clip->config.embed;
    if (weight == 0) return 0;
    if (c->state.method->anchor == ANCHOR_ABSOLUTE)
        return weight * absolute(c->work.dunit_text, c->unit_text, c->teacher, count, weight, (double)count) /
               (double)count;
    double sum = cosine(c->work.dunit_text, c->unit_text, c->teacher, count, weight / c->classes);
    return weight * (1 - sum / c->classes);
}

double anchor_picture(mudpt_classifier *c, const float *unit, const float *frozen, int batch, float *dunit) {
    double weight = (double)c->state.sizes.image_weight, e = c->clip->config.embed;
    if (weight == 0) return 0;
    if (c->state.method->anchor == ANCHOR_COSINE)
        return weight * (1 - cosine(dunit, unit, frozen, (size_t)e, weight / batch));
    return weight * absolute(dunit, unit, frozen, (size_t)e, weight, e * batch) / e;
}

double anchor_scores(mudpt_classifier *c, const float *logits, const float *frozen, int batch) {
    double weight = (double)c->state.sizes.kl_weight, sum = 0;
    int n = c->classes;
    float *p = c->work.scores, *frozen_p = p + n, *frozen_logits = frozen_p + n;
    cosine_logits(frozen_logits, frozen, c->teacher, classifier_scale(c), n, c->clip->config.embed);
    double total = (double)softmax_row(p, logits, n), frozen_total = (double)softmax_row(frozen_p, frozen_logits, n);
    float slope = (float)(weight / ((double)n * batch));
    for (int i = 0; i < n; i++) {
        sum += (double)frozen_p[i] * ((double)frozen_logits[i] - frozen_total - ((double)logits[i] - total));
        c->work.dscores[i] = slope * (p[i] - frozen_p[i]);
    }
    return weight * sum / n;
}
