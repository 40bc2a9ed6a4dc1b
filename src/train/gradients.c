/* A batch's loss and the gradients of all parameters, in parts or at once, and SGD's step along them. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/simd.h"
#include "kernels/loss.h"
#include "classifier.h"

static void train_text_backward(mudpt_classifier *c) {
    const classifier_work *w = &c->work;
    unit_backward(w->dtext_features, w->dunit_text, c->unit_text, c->text_norms, c->classes, c->clip->config.embed);
    parts_backward(c);
}

/* From gradients of logits, of which `share` counts, to those of a picture's feature and of the text features, both
 * added to; unit, dunit [e] */
static void logits_backward(mudpt_classifier *c, float *dunit, const float *unit, const float *dlogits, float share) {
    int e = c->clip->config.embed, text = c->state.method->text, visual = c->state.method->visual;
    float scale = share * classifier_scale(c);
    for (int n = 0; n < c->classes; n++) {
        float factor = scale * dlogits[n];
        const float *t = c->unit_text + (size_t)n * (size_t)e;
        float *dt = c->work.dunit_text + (size_t)n * (size_t)e;
        for (int i = 0; visual && i < e; i++) dunit[i] += factor * t[i];
        for (int i = 0; text && i < e; i++) dt[i] += factor * unit[i];
    }
}

/* One picture's share: its loss, and the gradients of its feature (where prompts are in the image tower) and, added,
 * of the text features. unit, dunit [e]; frozen [e], or NULL where the loss does not compare with it; second, dsecond
 * [e], or NULL where there is no such feature */
static double picture_loss(mudpt_classifier *c, const float *unit, const float *frozen, const float *second, int label,
                           int batch, float *logits, float *keep_logits, float *dunit, float *dsecond) {
    int e = c->clip->config.embed;
    size_t n = (size_t)c->classes;
    float share = second ? c->state.sizes.second : 0;
    cosine_logits(logits, unit, c->unit_text, classifier_scale(c), c->classes, e);
    if (keep_logits) memcpy(keep_logits, logits, n * sizeof(float));
    int scores = frozen && c->state.sizes.kl_weight > 0;
    double anchored = scores ? anchor_scores(c, logits, frozen, batch) : 0;
    double loss = (double)cross_entropy(logits, c->classes, label, batch);
    if (c->state.method->visual) memset(dunit, 0, (size_t)e * sizeof(float));
    if (frozen) anchored += anchor_picture(c, unit, frozen, batch, dunit);
    for (size_t i = 0; scores && i < n; i++) logits[i] += c->work.dscores[i];
    logits_backward(c, dunit, unit, logits, 1 - share);
    if (!second) return loss + anchored;
    float *more = c->work.second_logits;
    cosine_logits(more, second, c->unit_text, classifier_scale(c), c->classes, e);
    for (size_t i = 0; keep_logits && i < n; i++) keep_logits[i] = (1 - share) * keep_logits[i] + share * more[i];
    double second_loss = (double)cross_entropy(more, c->classes, label, batch);
    memset(dsecond, 0, (size_t)e * sizeof(float));
    logits_backward(c, dsecond, second, more, share);
    return (1 - (double)share) * loss + (double)share * second_loss + anchored;
}

/* Forward and backward of a group of pictures. units, frozen [now, e], norms [now]; batch: pictures that the loss is
 * the mean of. Returns the sum of their losses. */
static double group_gradients(mudpt_classifier *c, const float *units, const float *norms, const float *frozen,
                              const int32_t *labels, int now, int batch, float *logits) {
    method_state *s = &c->state;
    classifier_work *w = &c->work;
    size_t e = (size_t)c->clip->config.embed, n = (size_t)c->classes;
    size_t dtext = (size_t)s->sizes.text_depth * (size_t)s->text_rows * (size_t)c->clip->config.text.width;
    double sum = 0;
    for (int i = 0; i < now; i++) {
        const float *unit = units + (size_t)i * e;
        float *dfeature = w->dimage_features + (size_t)i * e;
        const float *second = c->entry.read ? w->second_features + (size_t)i * e : NULL;
        float *dsecond = second ? w->dsecond + (size_t)i * e : NULL;
        if (s->method->conditional) classifier_picture_text(c, unit);
        sum += picture_loss(c, unit, frozen ? frozen + (size_t)i * e : NULL, second, labels[i], batch, w->logits,
                            logits ? logits + (size_t)i * n : NULL, dfeature, dsecond);
        if (s->method->visual) unit_backward(dfeature, dfeature, unit, norms + i, 1, (int)e);
        if (second) unit_backward(dsecond, dsecond, second, w->second_norms + i, 1, (int)e);
        if (!s->method->conditional) continue;
        train_text_backward(c);
        s->method->backward_image(s, unit);
        memset(w->dunit_text, 0, n * e * sizeof(float));
        memset(s->dtext, 0, dtext * sizeof(float));
    }
    if (c->entry.read) vision_read_backward(&w->vision, s->dsecond, w->dsecond, s->second, now);
    if (s->method->visual) vision_backward(&w->vision, s->dvisual, w->dimage_features, now);
    return sum;
}

int classifier_gradients_begin(mudpt_classifier *c, const int32_t *labels, int count) {
    if (classifier_check(c)) return MUDPT_STATE;
    if (count < 1) return fail(MUDPT_ARGUMENT, "a batch of %d pictures; expected at least 1", count);
    for (int i = 0; i < count; i++)
        if (labels[i] < 0 || labels[i] >= c->classes)
            return fail(MUDPT_ARGUMENT, "label %d; expected 0 to %d", labels[i], c->classes - 1);
    int code = classifier_open_training(c, count);
    if (code) return code;
    const mudpt_clip_config *config = &c->clip->config;
    method_state *s = &c->state;
    size_t e = (size_t)config->embed;
    size_t dtext = (size_t)s->sizes.text_depth * (size_t)s->text_rows * (size_t)config->text.width;
    size_t dvisual = (size_t)s->sizes.visual_depth * (size_t)s->sizes.visual_length * (size_t)config->vision.width;

    classifier_prepare_prompts(c);
    if (s->method->text && !s->method->conditional) classifier_train_text(c);
    else if (!s->method->text && (code = classifier_prepare_text(c))) return code;
    memset(c->work.dunit_text, 0, (size_t)c->classes * e * sizeof(float));
    c->work.anchored = anchor_classes(c);
    memset(s->dtext, 0, dtext * sizeof(float));
    memset(s->dvisual, 0, dvisual * sizeof(float));
    memset(s->gradients, 0, s->total * sizeof(float));
    if (c->entry.read) memset(s->dsecond, 0, (size_t)config->vision.width * e * sizeof(float));
    c->busy = 1;
    return MUDPT_OK;
}

int classifier_gradients_group(mudpt_classifier *c, const float *pixels, const float *units, const float *rows,
                               const float *frozen, const int32_t *labels, int first, int count, float *logits,
                               double *loss) {
    const mudpt_clip_config *config = &c->clip->config;
    classifier_work *w = &c->work;
    size_t picture = 3 * (size_t)config->image * (size_t)config->image, e = (size_t)config->embed;
    int now = count - first < w->group ? count - first : w->group;
    const float *group = units ? units + (size_t)first * e : w->image_features;
    size_t below = classifier_below_count(c);
    if (rows) rows += (size_t)first * below;
    else pixels += (size_t)first * picture;
    if (below && !rows) {
        classifier_below(c, pixels, now, w->vision.entering);
        rows = w->vision.entering;
    }
    if (frozen) frozen += (size_t)first * e;
    else if (anchor_needs_pictures(c)) { /* before what backward needs is in memory that both towers use */
        classifier_encode_frozen(c, pixels, rows, now, w->frozen_features);
        frozen = w->frozen_features;
    }
    if (!units) classifier_encode_group(c, pixels, rows, now, w->image_features, w->image_norms);
    *loss += group_gradients(c, group, w->image_norms, frozen, labels + first, now, count,
                             logits ? logits + (size_t)first * (size_t)c->classes : NULL);
    return now;
}

int classifier_gradients_end(mudpt_classifier *c, const float *pixels, int count, double loss, float *mean) {
    method_state *s = &c->state;
    c->busy = 0;
    if (s->method->text && !s->method->conditional) train_text_backward(c);
    s->method->backward(s);
    *mean = (float)(loss / count + c->work.anchored);
    return isfinite(*mean) ? classifier_check_gradients(s) : classifier_not_finite(c, pixels, count);
}

int mudpt_classifier_gradients(mudpt_classifier *c, const float *pixels, const int32_t *labels, int count, float *loss,
                               float *logits) {
    int code = classifier_gradients_begin(c, labels, count);
    if (code) return code;
    double sum = 0;
    for (int first = 0; first < count;)
        first += classifier_gradients_group(c, pixels, NULL, NULL, NULL, labels, first, count, logits, &sum);
    return classifier_gradients_end(c, pixels, count, sum, loss);
}

int mudpt_classifier_sgd(mudpt_classifier *c, float rate, float momentum, float decay) {
    if (classifier_check(c)) return MUDPT_STATE;
    method_state *s = &c->state;
    if (!s->gradients) return fail(MUDPT_STATE, "there are no gradients yet");
    if (!isfinite(rate) || !isfinite(momentum) || !isfinite(decay))
        return fail(MUDPT_ARGUMENT, "rate %g, momentum %g, decay %g; expected finite numbers", (double)rate,
                    (double)momentum, (double)decay);
    /* First whether the step stays finite: a refused one must leave everything as it was. */
    for (int k = 0; k < s->parameter_count; k++) {
        const parameter *p = &s->parameters[k];
        for (size_t i = p->offset; !p->idle && i < p->offset + (size_t)p->count; i++) {
            float velocity = momentum * s->velocity[i] + (s->gradients[i] + decay * s->values[i]);
            if (!isfinite(s->values[i] - rate * velocity))
                return fail(MUDPT_NOT_FINITE,
                            "a step with learning rate %g leaves the range of numbers; use a lower one", (double)rate);
        }
    }
    for (int k = 0; k < s->parameter_count; k++) {
        const parameter *p = &s->parameters[k];
        for (size_t i = p->offset; !p->idle && i < p->offset + (size_t)p->count; i++) {
            s->velocity[i] = momentum * s->velocity[i] + (s->gradients[i] + decay * s->values[i]);
            s->values[i] -= rate * s->velocity[i];
        }
    }
    mudpt_classifier_changed(c);
    return MUDPT_OK;
}

/* 1 - base^exponent */
static double one_minus_power(double base, int exponent) {
    double power = 1;
    for (; exponent; exponent >>= 1, base *= base)
        if (exponent & 1) power *= base;
    return 1 - power;
}

int mudpt_classifier_adam(mudpt_classifier *c, float rate, float decay, int step) {
    if (classifier_check(c)) return MUDPT_STATE;
    method_state *s = &c->state;
    if (!s->square) return fail(MUDPT_STATE, "the method is trained by SGD, or there are no gradients yet");
    if (!isfinite(rate) || !isfinite(decay) || step < 1)
        return fail(MUDPT_ARGUMENT, "rate %g, decay %g, step %d; expected finite numbers, and a step from 1",
                    (double)rate, (double)decay, step);
    float length = rate / (float)one_minus_power(0.9, step), root = simd_root((float)one_minus_power(0.999, step));
    int apart = s->method->decoupled;
    /* As above, the first round is for the refusal alone. */
    for (int change = 0; change < 2; change++)
        for (int k = 0; k < s->parameter_count; k++) {
            const parameter *p = &s->parameters[k];
            for (size_t i = p->offset; !p->idle && i < p->offset + (size_t)p->count; i++) {
                float g = s->gradients[i] + (apart ? 0 : decay * s->values[i]);
                float velocity = 0.9f * s->velocity[i] + 0.1f * g;
                float square = 0.999f * s->square[i] + 0.001f * (g * g);
                float value = s->values[i] * (apart ? 1 - rate * decay : 1) -
                              length * velocity / (simd_root(square) / root + s->method->adam_eps);
                if (!change && !(isfinite(value) && isfinite(square)))
                    return fail(MUDPT_NOT_FINITE,
                                "a step with learning rate %g leaves the range of numbers; use a lower one",
                                (double)rate);
                if (!change) continue;
                s->values[i] = value;
                s->velocity[i] = velocity;
                s->square[i] = square;
            }
        }
    mudpt_classifier_changed(c);
    return MUDPT_OK;
}

int mudpt_classifier_average(mudpt_classifier *c, float weight) {
    if (classifier_check(c)) return MUDPT_STATE;
    method_state *s = &c->state;
    if (!s->average) return fail(MUDPT_STATE, "no average is kept, or there are no gradients yet");
    if (!isfinite(weight)) return fail(MUDPT_ARGUMENT, "weight %g; expected a finite number", (double)weight);
    for (size_t i = 0; i < s->total; i++) s->average[i] += weight * s->values[i];
    return MUDPT_OK;
}
