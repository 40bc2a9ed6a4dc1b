/* Gradients of every method against finite differences of the loss, through the whole library: both towers, the
 * injection, the loss. Then what training promises: the loss is the mean cross-entropy of the logits, a batch is the
 * mean of its pictures, the number of threads changes no bit, and a step is plain SGD.
 *
 * The loss is computed here in double precision from the library's logits, and its slope by central differences at two
 * step sizes, extrapolated. Directions are a tensor's own gradient (which finds any wrong size) and random ones (which
 * find wrong parts), for every tensor, and for every layer of tensors that have layers. In short (check.h), each
 * variant's slopes are measured on one model, along gradients.
 */
#include "check.h"
#include "gradient_variants.h"
#include "tiny_clip.h"

enum { MOST_BATCH = 7, MOST_EMBED = 32 };

/* Every method that trains something must be among the variants. */
static void check_complete(void) {
    for (int i = 0; mudpt_method_name(i); i++) {
        int found = !strcmp(mudpt_method_name(i), "zeroshot");
        for (int v = 0; v < VARIANTS; v++) found |= !strcmp(mudpt_method_name(i), variants[v].method.method);
        CHECK(found, "%s has no variant here", mudpt_method_name(i));
    }
}

/* One classifier with a batch, and what its loss is computed with. */
typedef struct {
    char name[160];
    mudpt_classifier *classifier;
    int classes, count;
    float *pixels;
    int32_t labels[MOST_BATCH];
    double trusted; /* logits are right to about this much, absolutely */
    /* Where the loss compares with the frozen model: the terms' weights, class features, features of the pictures. */
    const mudpt_method *method;
    double scale;
    int embed;
    float *teacher, *frozen;
    signed char text_signs[MOST_CLASSES * MOST_EMBED], image_signs[MOST_BATCH * MOST_EMBED];
} setting;

/* The frozen model's features of the batch. */
static float *frozen_features(mudpt_clip *clip, const setting *s) {
    const mudpt_method method = {.method = "zeroshot"};
    mudpt_classifier *plain = NULL;
    float *out = malloc((size_t)(s->count * s->embed) * sizeof *out);
    int code = mudpt_classifier_create(clip, &method, NULL, 1, &plain);
    if (!code) code = mudpt_classifier_image_features(plain, s->pixels, s->count, NULL, out);
    CHECK(code == MUDPT_OK, "%s", mudpt_last_error());
    mudpt_classifier_free(plain);
    return out;
}

static int open_setting(setting *s, mudpt_clip *clip, const mudpt_clip_config *config, const variant *v, int classes,
                        int count) {
    const mudpt_method *m = &v->method;
    tiny_sentences sentences;
    memset(s, 0, sizeof *s);
    snprintf(s->name, sizeof s->name,
             "%s text %dx%d visual %dx%d from %d fusion %d position %d specific %d weights %g %g %g, %d classes, batch "
             "%d, width %d",
             m->method, m->text_depth, m->text_length, m->visual_depth, m->visual_length, m->layer, m->layer0_fusion,
             m->class_position, m->class_specific, (double)m->text_weight, (double)m->image_weight,
             (double)m->kl_weight, classes, count, config->vision.width);
    s->method = m;
    s->classes = classes;
    s->count = count;
    s->embed = config->embed;
    s->scale = m->scale > 0 ? (double)m->scale : (double)mudpt_clip_logit_scale(clip);
    make_sentences_of(&sentences, config, m, classes, v->with_names);
    s->pixels = random_values((size_t)count * 3 * (size_t)(config->image * config->image), 0, 1);
    for (int i = 0; i < count; i++) s->labels[i] = (int32_t)(random_uniform() * classes);
    int code = mudpt_classifier_create(clip, m, &sentences.view, classes, &s->classifier);
    CHECK(code == MUDPT_OK, "%s: create %d, %s", s->name, code, mudpt_last_error());
    if (code != MUDPT_OK) return 0;
    s->teacher = give_teacher(s->classifier, m, classes, s->embed);
    s->frozen = frozen_features(clip, s);
    mudpt_parameter p;
    for (int i = 0; i < mudpt_classifier_parameters(s->classifier); i++) {
        mudpt_classifier_parameter(s->classifier, i, &p);
        int gain = strstr(p.name, "ln_") && strstr(p.name, ".weight");
        double size = p.dims == 2 && strstr(p.name, ".weight") ? 1 / sqrt(p.shape[1]) : 0.3;
        for (int k = 0; k < p.count; k++) p.value[k] = (float)((gain ? 1 : 0) + size * random_normal());
    }
    mudpt_classifier_changed(s->classifier);
    s->trusted = 1e-6;
    return 1;
}

static void close_setting(setting *s) {
    mudpt_classifier_free(s->classifier);
    free(s->pixels);
    free(s->teacher);
    free(s->frozen);
}

/* Mean cross-entropy in double precision. */
static double loss_of_logits(const float *logits, const int32_t *labels, int count, int classes) {
    double loss = 0;
    for (int i = 0; i < count; i++) {
        const float *row = logits + i * classes;
        double largest = row[0], sum = 0;
        for (int k = 1; k < classes; k++) largest = fmax(largest, row[k]);
        for (int k = 0; k < classes; k++) sum += exp(row[k] - largest);
        loss += (largest + log(sum) - row[labels[i]]) / count;
    }
    return loss;
}

/* Of rows of features: the mean of |a - b|, or where signs is NULL 1 - the mean of a . b, each scaled to length one.
 * |a - b| has a kink, which slopes across it would see: signs [rows, e] are those of the first call, or 0. */
static double apart(const float *a, const float *b, int rows, int e, signed char *signs) {
    double sum = 0;
    for (int r = 0; r < rows; r++, a += e, b += e) {
        double aa = 0, bb = 0;
        for (int i = 0; i < e; i++) {
            aa += (double)a[i] * a[i];
            bb += (double)b[i] * b[i];
        }
        for (int i = 0; i < e; i++) {
            double x = a[i] / sqrt(aa), y = b[i] / sqrt(bb);
            signed char *sign = signs ? &signs[r * e + i] : NULL;
            if (sign && !*sign) *sign = x > y ? 1 : -1;
            sum += sign ? *sign * (x - y) / (rows * e) : x * y / rows;
        }
    }
    return signs ? sum : 1 - sum;
}

/* log softmax of scale times the cosines of one picture's feature with the classes'. */
static void log_scores(double *out, const setting *s, const float *image, const float *classes) {
    double total = 0;
    for (int n = 0; n < s->classes; n++) {
        out[n] = s->scale * (1 - apart(image, classes + n * s->embed, 1, s->embed, NULL));
        total += exp(out[n]);
    }
    for (int n = 0; n < s->classes; n++) out[n] -= log(total);
}

/* The loss without cross-entropy, from features: text [classes, embed], images [count, embed]. */
static double anchors(setting *s, const float *text, const float *images) {
    int cosine = strstr("kgcoop tcp mmrl mmrlpp", s->method->method) != NULL, e = s->embed;
    double divergence = 0, wanted[MOST_CLASSES], got[MOST_CLASSES];
    for (int i = 0; s->method->kl_weight > 0 && i < s->count; i++) {
        log_scores(wanted, s, s->frozen + i * e, s->teacher);
        log_scores(got, s, images + i * e, text);
        for (int n = 0; n < s->classes; n++) divergence += exp(wanted[n]) * (wanted[n] - got[n]);
    }
    return (s->teacher
                ? (double)s->method->text_weight * apart(text, s->teacher, s->classes, e, cosine ? NULL : s->text_signs)
                : 0) +
           (double)s->method->image_weight * apart(images, s->frozen, s->count, e, cosine ? NULL : s->image_signs) +
           (double)s->method->kl_weight * divergence / (s->count * s->classes);
}

/* Whether the loss has more terms than cross-entropy. */
static int is_anchored(const mudpt_method *m) {
    return m->text_weight > 0 || m->image_weight > 0 || m->kl_weight > 0;
}

/* Cross-entropy in two parts, where pictures have a second feature: the logits are a mixture, of which the first
 * feature's share is known. */
static double loss_of_both(const setting *s, float *logits, const float *text, const float *images) {
    float first[MOST_BATCH * MOST_CLASSES];
    double share = (double)s->method->second;
    for (int i = 0; i < s->count; i++)
        for (int n = 0; n < s->classes; n++) {
            int at = i * s->classes + n;
            double value = s->scale * (1 - apart(images + i * s->embed, text + n * s->embed, 1, s->embed, NULL));
            first[at] = (float)value;
            logits[at] = (float)(((double)logits[at] - (1 - share) * value) / share);
        }
    return (1 - share) * loss_of_logits(first, s->labels, s->count, s->classes) +
           share * loss_of_logits(logits, s->labels, s->count, s->classes);
}

static double loss_now(setting *s) {
    float logits[MOST_BATCH * MOST_CLASSES], text[MOST_CLASSES * MOST_EMBED], images[MOST_BATCH * MOST_EMBED];
    mudpt_classifier_changed(s->classifier);
    if (mudpt_classifier_logits(s->classifier, s->pixels, s->count, logits, images) != MUDPT_OK) return NAN;
    double loss = loss_of_logits(logits, s->labels, s->count, s->classes);
    if (!is_anchored(s->method) && s->method->second == 0) return loss;
    if (mudpt_classifier_text_features(s->classifier, text) != MUDPT_OK) return NAN;
    if (s->method->second > 0) loss = loss_of_both(s, logits, text, images);
    return loss + anchors(s, text, images);
}

/* (loss(value + h d) - loss(value - h d)) / 2h */
static double slope(setting *s, float *value, const float *start, const double *direction, int count, double h) {
    double loss[2];
    for (int side = 0; side < 2; side++) {
        for (int k = 0; k < count; k++) value[k] = (float)(start[k] + (side ? -h : h) * direction[k]);
        loss[side] = loss_now(s);
    }
    memcpy(value, start, (size_t)count * sizeof *value);
    return (loss[0] - loss[1]) / (2 * h);
}

/* Checks `count` values of one tensor along one direction of length 1. */
static void check_direction(setting *s, const char *what, float *value, const float *gradient, const double *direction,
                            int count) {
    float *start = malloc((size_t)count * sizeof *start);
    memcpy(start, value, (size_t)count * sizeof *start);
    double expected = 0, norm = 0;
    for (int k = 0; k < count; k++) {
        expected += gradient[k] * direction[k];
        norm += (double)gradient[k] * gradient[k];
    }
    double typical = sqrt(norm / count); /* slope along a random direction */
    /* a step that moves the loss by a few thousandths, but no value by much */
    double h = fmin(0.004 / (fabs(expected) + typical), 0.005 * sqrt(count));
    double far = slope(s, value, start, direction, count, h), near = slope(s, value, start, direction, count, h / 2);
    double measured = near + (near - far) / 3;
    double allowed = 0.003 * (fabs(expected) + typical) + fabs(near - far) / 4 + s->trusted / h;
    CHECK(fabs(measured - expected) <= allowed, "%s: %s: slope %.6g, gradient says %.6g, allowed %.2g", s->name, what,
          measured, expected, allowed);
    free(start);
}

/* Checks part of a tensor along its own gradient and along a random direction. */
static void check_part(setting *s, const char *what, float *value, const float *gradient, int count) {
    double *direction = malloc((size_t)count * sizeof *direction);
    for (int trial = 0; trial < (is_short() ? 1 : 2); trial++) {
        double norm = 0;
        for (int k = 0; k < count; k++) {
            direction[k] = trial ? random_normal() : gradient[k];
            norm += direction[k] * direction[k];
        }
        if (norm == 0) continue; /* no gradient at all: the random direction must agree */
        for (int k = 0; k < count; k++) direction[k] /= sqrt(norm);
        check_direction(s, what, value, gradient, direction, count);
    }
    free(direction);
}

static void check_gradients(mudpt_clip *clip, const mudpt_clip_config *config, const variant *v, int classes,
                            int count) {
    setting s;
    float loss, logits[MOST_BATCH * MOST_CLASSES];
    if (open_setting(&s, clip, config, v, classes, count)) {
        int code = mudpt_classifier_gradients(s.classifier, s.pixels, s.labels, count, &loss, logits);
        CHECK(code == MUDPT_OK, "%s: gradients %d, %s", s.name, code, mudpt_last_error());
        if (!is_anchored(&v->method) && v->method.second == 0)
            CHECK_CLOSE(loss, loss_of_logits(logits, s.labels, count, classes), 1e-5, "%s: loss of the logits", s.name);
        CHECK_CLOSE(loss, loss_now(&s), 1e-5, "%s: loss of both ways", s.name);
        mudpt_parameter p;
        for (int i = 0; code == MUDPT_OK && i < mudpt_classifier_parameters(s.classifier); i++) {
            mudpt_classifier_parameter(s.classifier, i, &p);
            float *gradient = malloc((size_t)p.count * sizeof *gradient);
            memcpy(gradient, p.gradient, (size_t)p.count * sizeof *gradient);
            /* a deep tensor layer by layer, a class-specific one class by class, any other as a whole */
            int parts = p.dims == 3 ? p.shape[0] : 1, size = p.count / parts;
            for (int part = 0; part < parts; part++) {
                char what[96];
                snprintf(what, sizeof what, "%s[%d]", p.name, part);
                check_part(&s, what, p.value + part * size, gradient + part * size, size);
            }
            free(gradient);
        }
    }
    close_setting(&s);
}

/* Rows of a deep tensor for layers that the tower does not have must get no gradient at all. */
static void check_missing_layers(mudpt_clip *clip, const mudpt_clip_config *config) {
    const variant deep = {{.method = "ivlp", .text_length = 2, .text_depth = 6, .visual_length = 3, .visual_depth = 7},
                          0};
    setting s;
    float loss;
    if (open_setting(&s, clip, config, &deep, 3, 2)) {
        mudpt_parameter p;
        CHECK(mudpt_classifier_gradients(s.classifier, s.pixels, s.labels, 2, &loss, NULL) == MUDPT_OK, "%s",
              mudpt_last_error());
        for (int i = 0; i < mudpt_classifier_parameters(s.classifier); i++) {
            mudpt_classifier_parameter(s.classifier, i, &p);
            if (p.dims != 3) continue;
            int layers = *p.name == 't' ? config->text.layers : config->vision.layers, row = p.count / p.shape[0];
            for (int k = 0; k < p.count; k++)
                if ((k / row < layers - 1) != (p.gradient[k] != 0)) {
                    CHECK(0, "%s: %s[%d] has the gradient %g", s.name, p.name, k / row, p.gradient[k]);
                    break;
                }
        }
    }
    close_setting(&s);
}

/* With one class nothing can be learned; with one picture a batch is that picture; a batch is the mean of its
 * pictures. */
static void check_batches(mudpt_clip *clip, const mudpt_clip_config *config, const variant *v) {
    setting s;
    float loss, logits[MOST_BATCH * MOST_CLASSES], alone[MOST_CLASSES];
    size_t picture = 3 * (size_t)(config->image * config->image);
    if (open_setting(&s, clip, config, v, 5, MOST_BATCH)) {
        int parameters = mudpt_classifier_parameters(s.classifier);
        float *whole[64] = {0};
        double *sum[64] = {0}, losses = 0;
        mudpt_parameter p;
        CHECK(parameters <= 64, "%s: %d parameters", s.name, parameters);
        CHECK(mudpt_classifier_gradients(s.classifier, s.pixels, s.labels, MOST_BATCH, &loss, logits) == MUDPT_OK,
              "%s: %s", s.name, mudpt_last_error());
        for (int i = 0; i < parameters; i++) {
            mudpt_classifier_parameter(s.classifier, i, &p);
            whole[i] = malloc((size_t)p.count * sizeof(float));
            memcpy(whole[i], p.gradient, (size_t)p.count * sizeof(float));
            sum[i] = calloc((size_t)p.count, sizeof(double));
        }
        for (int b = 0; b < MOST_BATCH; b++) {
            float one;
            CHECK(mudpt_classifier_gradients(s.classifier, s.pixels + (size_t)b * picture, s.labels + b, 1, &one,
                                             alone) == MUDPT_OK,
                  "%s: %s", s.name, mudpt_last_error());
            losses += one / MOST_BATCH;
            for (int c = 0; c < 5; c++)
                CHECK_CLOSE(alone[c], logits[b * 5 + c], 2e-5, "%s: logits of picture %d alone", s.name, b);
            for (int i = 0; i < parameters; i++) {
                mudpt_classifier_parameter(s.classifier, i, &p);
                for (int k = 0; k < p.count; k++) sum[i][k] += p.gradient[k] / (double)MOST_BATCH;
            }
        }
        CHECK_CLOSE(loss, losses, 5e-6, "%s: loss of a batch", s.name);
        for (int i = 0; i < parameters; i++) {
            double worst = 0, largest = 0;
            mudpt_classifier_parameter(s.classifier, i, &p);
            for (int k = 0; k < p.count; k++) {
                worst = fmax(worst, fabs(sum[i][k] - whole[i][k]));
                largest = fmax(largest, fabs(sum[i][k]));
            }
            /* against the largest single gradient, too: pictures may cancel */
            CHECK(worst <= 2e-5 * largest + 1e-7, "%s: %s of a batch is off by %g of %g", s.name, p.name, worst,
                  largest);
            free(whole[i]);
            free(sum[i]);
        }
    }
    close_setting(&s);

    if (is_anchored(&v->method)) return;
    if (open_setting(&s, clip, config, v, 1, 2)) {
        mudpt_parameter p;
        CHECK(mudpt_classifier_gradients(s.classifier, s.pixels, s.labels, 2, &loss, NULL) == MUDPT_OK, "%s: %s",
              s.name, mudpt_last_error());
        CHECK_CLOSE(loss, 0, 1e-7, "%s: loss of one class", s.name);
        for (int i = 0; i < mudpt_classifier_parameters(s.classifier); i++) {
            double largest = 0;
            mudpt_classifier_parameter(s.classifier, i, &p);
            for (int k = 0; k < p.count; k++) largest = fmax(largest, fabs(p.gradient[k]));
            CHECK(largest < 1e-7, "%s: %s has a gradient of %g", s.name, p.name, largest);
        }
    }
    close_setting(&s);
}

/* All values that gradients, a step and logits give, in one array. */
static float *everything(setting *s, size_t *count) {
    int parameters = mudpt_classifier_parameters(s->classifier);
    mudpt_parameter p;
    size_t used = 0, room = 1 + 2 * MOST_BATCH * MOST_CLASSES;
    for (int i = 0; i < parameters; i++) {
        mudpt_classifier_parameter(s->classifier, i, &p);
        room += 2 * (size_t)p.count;
    }
    float *out = calloc(room, sizeof *out);
    CHECK(mudpt_classifier_gradients(s->classifier, s->pixels, s->labels, s->count, out, out + 1) == MUDPT_OK, "%s: %s",
          s->name, mudpt_last_error());
    used = 1 + MOST_BATCH * MOST_CLASSES;
    for (int i = 0; i < parameters; i++) {
        mudpt_classifier_parameter(s->classifier, i, &p);
        memcpy(out + used, p.gradient, (size_t)p.count * sizeof *out);
        used += (size_t)p.count;
    }
    CHECK(mudpt_classifier_sgd(s->classifier, 0.1f, 0.9f, 5e-4f) == MUDPT_OK, "%s: %s", s->name, mudpt_last_error());
    CHECK(mudpt_classifier_logits(s->classifier, s->pixels, s->count, out + used, NULL) == MUDPT_OK, "%s: %s", s->name,
          mudpt_last_error());
    used += MOST_BATCH * MOST_CLASSES;
    for (int i = 0; i < parameters; i++) {
        mudpt_classifier_parameter(s->classifier, i, &p);
        memcpy(out + used, p.value, (size_t)p.count * sizeof *out);
        used += (size_t)p.count;
    }
    *count = used;
    return out;
}

static void check_threads(mudpt_clip *clip, const mudpt_clip_config *config, const variant *v) {
    static const int threads[] = {1, 2, 3, 8};
    float *first = NULL;
    size_t count, first_count = 0;
    uint64_t seed = random_state;
    for (int t = 0; t < 4; t++) {
        setting s;
        CHECK(mudpt_set_threads(threads[t]) == MUDPT_OK, "%d threads: %s", threads[t], mudpt_last_error());
        random_state = seed; /* the same classifier and pictures */
        if (open_setting(&s, clip, config, v, 5, MOST_BATCH)) {
            float *got = everything(&s, &count);
            if (first)
                CHECK(count == first_count && !memcmp(got, first, count * sizeof *got),
                      "%s: other bits with %d threads", s.name, threads[t]);
            if (!first) {
                first = got;
                first_count = count;
            } else free(got);
        }
        close_setting(&s);
    }
    free(first);
    mudpt_set_threads(1);
}

/* Two steps against plain loops. */
static void check_sgd(mudpt_clip *clip, const mudpt_clip_config *config, const variant *v) {
    const double rates[] = {0.05, 0.02}, momentum = 0.9, decay = 0.01;
    setting s;
    float loss;
    if (open_setting(&s, clip, config, v, 4, 3)) {
        int parameters = mudpt_classifier_parameters(s.classifier);
        double *value[64] = {0}, *velocity[64] = {0};
        mudpt_parameter p;
        for (int step = 0; step < 2; step++) {
            CHECK(mudpt_classifier_gradients(s.classifier, s.pixels, s.labels, 3, &loss, NULL) == MUDPT_OK, "%s: %s",
                  s.name, mudpt_last_error());
            for (int i = 0; i < parameters && i < 64; i++) {
                mudpt_classifier_parameter(s.classifier, i, &p);
                if (!step) {
                    value[i] = malloc((size_t)p.count * sizeof(double));
                    velocity[i] = calloc((size_t)p.count, sizeof(double));
                    for (int k = 0; k < p.count; k++) value[i][k] = p.value[k];
                }
                for (int k = 0; !p.idle && k < p.count; k++) {
                    velocity[i][k] = momentum * velocity[i][k] + (p.gradient[k] + decay * value[i][k]);
                    value[i][k] -= rates[step] * velocity[i][k];
                }
            }
            CHECK(mudpt_classifier_sgd(s.classifier, (float)rates[step], (float)momentum, (float)decay) == MUDPT_OK,
                  "%s: %s", s.name, mudpt_last_error());
            for (int i = 0; i < parameters && i < 64; i++) {
                double worst = 0;
                mudpt_classifier_parameter(s.classifier, i, &p);
                for (int k = 0; k < p.count; k++) {
                    worst = fmax(worst, fabs(p.value[k] - value[i][k]) / (1 + fabs(value[i][k])));
                    worst = fmax(worst, fabs(p.velocity[k] - velocity[i][k]) / (1 + fabs(velocity[i][k])));
                }
                CHECK(worst < 2e-6, "%s: step %d leaves %s off by %g", s.name, step, p.name, worst);
            }
        }
        for (int i = 0; i < 64; i++) {
            free(value[i]);
            free(velocity[i]);
        }
    }
    close_setting(&s);
}

/* The rest of CLIP's family under every method; which of its variants depends on the model. */
static void check_family(void) {
    for (int f = 0; f < FAMILY; f++) {
        mudpt_clip *clip = tiny_clip(&family_configs[f], 300 + (uint64_t)f);
        CHECK(clip != NULL, "model %d of the family: %s", f, mudpt_last_error());
        const char *last = "";
        for (int v = 0, k = 0; clip && v < VARIANTS; v++) {
            const char *name = variants[v].method.method;
            k = strcmp(name, last) ? 0 : k + 1;
            last = name;
            if (k % 4 != f) continue;
            check_gradients(clip, &family_configs[f], &variants[v], 3, 2);
            check_batches(clip, &family_configs[f], &variants[v]);
            check_threads(clip, &family_configs[f], &variants[v]);
        }
        if (clip) check_missing_layers(clip, &family_configs[f]);
        mudpt_clip_free(clip);
    }
}

int main(void) {
    static const mudpt_clip_config *const configs[] = {&odd_config, &wide_config};
    check_complete();
    for (int c = 0; c < 2; c++) {
        mudpt_clip *clip = tiny_clip(configs[c], 100 + (uint64_t)c);
        CHECK(clip != NULL, "model: %s", mudpt_last_error());
        if (!clip) continue;
        for (int v = 0; v < VARIANTS; v++) {
            if (!is_short() || v % 2 != c) check_gradients(clip, configs[c], &variants[v], 5, 3);
            if (v % 2 == c) check_gradients(clip, configs[c], &variants[v], 2, 1);
            check_batches(clip, configs[c], &variants[v]);
            check_threads(clip, configs[c], &variants[v]);
            check_sgd(clip, configs[c], &variants[v]);
        }
        check_missing_layers(clip, configs[c]);
        mudpt_clip_free(clip);
    }
    check_family();
    return check_report();
}
