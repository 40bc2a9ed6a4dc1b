/* A golden case of a method on a model: its batches, its stored tensors. Part of golden.c, which alone includes it. */
#ifndef GOLDEN_CASE_H
#define GOLDEN_CASE_H

#include "golden_check.h"

/* One golden case: its files, the model it runs on and the pictures of the whole configuration. */
typedef struct {
    outcome *o;
    cJSON *json;
    tensor_file file;
    mudpt_clip *clip;
    const float *images; /* [pictures, picture] */
    int pictures;
    size_t picture; /* values of one */
    float *pixels;  /* the batch in use */
    int32_t *labels;
    int count;
} golden_case;

static double tolerance_of(const golden_case *c, const char *kind) {
    /* What block integers may be off by, where it is more than a case allows f32. */
    static const struct {
        const char *kind;
        double tolerance;
    } fast[] = {{"image_features", 2e-3}, {"text_features", 2e-3}, {"logits", 3e-3},  {"loss", 3e-3},
                {"logits_fusion", 3e-3},  {"logits_rep", 3e-3},    {"grad", 2e-2},    {"losses", 4e-3},
                {"final", 6e-3},          {"final_change", 2e-2},  {"teacher", 2e-3}, {"average", 6e-3}};
    double tolerance = json_number(json_get(c->json, "tolerance"), kind, 0);
    /* PromptSRC's |f - teacher| has kinks, where an error of the features turns a gradient round. */
    double times = strcmp(json_text(c->json, "method"), "promptsrc") ? 1 : 2;
    for (size_t i = 0; report.fast && i < sizeof fast / sizeof *fast; i++)
        if (!strcmp(fast[i].kind, kind)) tolerance = fmax(tolerance, times * fast[i].tolerance);
    return tolerance;
}

/* Gathers a batch's pictures and labels. */
static int take_batch(golden_case *c, int index) {
    const cJSON *batch = cJSON_GetArrayItem(json_get(c->json, "batches"), index);
    int images, labels, ok = 1;
    int32_t *which = json_ints(json_get(batch, "images"), &images);
    free(c->labels);
    free(c->pixels);
    c->labels = json_ints(json_get(batch, "labels"), &labels);
    c->count = labels;
    c->pixels = need_bytes((size_t)images * c->picture * 4);
    for (int i = 0; i < images; i++)
        if (which[i] < 0 || which[i] >= c->pictures) ok = 0;
        else memcpy(c->pixels + (size_t)i * c->picture, c->images + (size_t)which[i] * c->picture, c->picture * 4);
    free(which);
    if (!ok || images != labels || !images) fault(c->o, "batch %d of the case does not fit its pictures", index);
    return ok && images == labels && images;
}

/* Compares values with the stored tensor of this name, or with its sample, norm and sum. `change` is NULL or what both
 * are taken relative to. */
static void compare_stored(golden_case *c, const char *name, const float *values, size_t count, const float *change,
                           double tolerance, const char *label) {
    char text[512];
    tensor t;
    size_t step = 1;
    float *want = tensor_floats(&c->file, name, &t);
    const cJSON *whole = json_get(json_get(c->json, "sampled"), name);
    if (!want) {
        snprintf(text, sizeof text, "%s.sample", name);
        want = tensor_floats(&c->file, text, &t);
        step = (size_t)json_number(c->json, "sample_step", 1);
    }
    if (!want || !step || t.count != (count + step - 1) / step) {
        fault(c->o, "%s: got %zu values, the golden file has %s", label, count,
              want ? "another number" : "no such tensor");
        free(want);
        return;
    }
    float *got = need_bytes(t.count * 4);
    for (size_t i = 0; i < t.count; i++) {
        got[i] = values[i * step] - (change ? change[i * step] : 0);
        want[i] -= change ? change[i * step] : 0;
    }
    /* Adam divides a value's gradient by its size, so that the least of them moves a value as far as the largest. */
    if (report.fast && change) compare_norm(c->o, label, got, want, t.count, tolerance);
    else compare(c->o, label, got, want, t.count, tolerance);
    free(got);
    free(want);
    if (!whole || change) return;
    double sum = 0, squares = 0, norm = json_number(whole, "norm", 0);
    for (size_t i = 0; i < count; i++) {
        sum += values[i];
        squares += (double)values[i] * values[i];
    }
    double allowed = fmax(tolerance * norm, 1e-9);
    if (!(fabs(sqrt(squares) - norm) <= allowed))
        fault(c->o, "%s: norm got %.9g where %.9g is right, allowed %.3g", label, sqrt(squares), norm, allowed);
    allowed *= sqrt((double)count);
    if (!(fabs(sum - json_number(whole, "sum", 0)) <= allowed))
        fault(c->o, "%s: sum got %.9g where %.9g is right, allowed %.3g", label, sum, json_number(whole, "sum", 0),
              allowed);
}

#endif
