#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/rng.h"
#include "method.h"

static const method *const methods[] = {&method_zeroshot, &method_coop,  &method_cocoop, &method_vpt,
                                        &method_ivlp,     &method_mudpt, &method_umudpt, &method_uumudpt};
enum { METHODS = sizeof methods / sizeof *methods };

const char *mudpt_method_name(int index) {
    return index >= 0 && index < METHODS ? methods[index]->name : NULL;
}

const method *method_find(const char *name) {
    char valid[256] = "";
    for (int i = 0; i < METHODS; i++) {
        if (strcmp(methods[i]->name, name) == 0) return methods[i];
        size_t used = strlen(valid);
        snprintf(valid + used, sizeof valid - used, "%s%s", i ? ", " : "", methods[i]->name);
    }
    fail(MUDPT_ARGUMENT, "method %.40s is not available; valid: %s", name, valid);
    return NULL;
}

static int check_side(const char *method, const char *side, int wanted, int length, int depth) {
    if (!wanted && (length || depth))
        return fail(MUDPT_ARGUMENT, "%s has no %s prompts; their length and depth must be 0", method, side);
    if (wanted && (length < 1 || length > MUDPT_MAX_PROMPTS))
        return fail(MUDPT_ARGUMENT, "%s prompt length is %d; expected 1 to %d", side, length, MUDPT_MAX_PROMPTS);
    if (wanted && (depth < 1 || depth > MUDPT_MAX_LAYERS))
        return fail(MUDPT_ARGUMENT, "%s prompt depth is %d; expected 1 to %d layers", side, depth, MUDPT_MAX_LAYERS);
    return MUDPT_OK;
}

int method_open(method_state *s, const mudpt_clip *clip, const mudpt_method *sizes, int classes) {
    const method *m = method_find(sizes->method);
    if (!m) return MUDPT_ARGUMENT;
    int code = check_side(m->name, "text", m->text, sizes->text_length, sizes->text_depth);
    if (!code) code = check_side(m->name, "visual", m->visual, sizes->visual_length, sizes->visual_depth);
    if (code) return code;
    if (m->same_sizes && (sizes->text_length != sizes->visual_length || sizes->text_depth != sizes->visual_depth))
        return fail(MUDPT_ARGUMENT, "%s couples text and visual prompts; their lengths and depths must be equal",
                    m->name);
    int context = m == &method_coop, coupled = m == &method_mudpt;
    if ((context || m->conditional) && sizes->text_depth != 1)
        return fail(MUDPT_ARGUMENT, "%s has prompts in the first layer only; text depth must be 1", m->name);
    if (sizes->class_position < 0 || sizes->class_position > 2 || (sizes->class_position && !context))
        return fail(MUDPT_ARGUMENT,
                    "class position %d is not possible with %s; valid: 0 end, with coop also 1 middle, 2 front",
                    sizes->class_position, m->name);
    if (sizes->class_specific && !context)
        return fail(MUDPT_ARGUMENT, "class-specific context is possible with coop only");
    if (sizes->layer0_fusion < 0 || sizes->layer0_fusion > 1 || sizes->class_specific < 0 || sizes->class_specific > 1)
        return fail(MUDPT_ARGUMENT, "layer-0 fusion and class-specific context are 0 or 1");
    if (sizes->layer0_fusion && !coupled) return fail(MUDPT_ARGUMENT, "layer-0 fusion is possible with mudpt only");
    int64_t contexts = sizes->class_specific ? classes : 1;
    if (contexts * sizes->text_length * clip->config.text_width > MUDPT_MAX_TENSOR_VALUES)
        return fail(MUDPT_ARGUMENT,
                    "%d contexts of %d words have more than %d values; use fewer classes or one context", classes,
                    sizes->text_length, MUDPT_MAX_TENSOR_VALUES);
    *s = (method_state){.method = m, .clip = clip, .sizes = *sizes, .classes = classes};
    s->sizes.method = m->name;
    s->text_rows = sizes->class_specific ? classes * sizes->text_length : sizes->text_length;
    if (m->declare) m->declare(s);
    return MUDPT_OK;
}

void method_take(method_state *s, arena *a, int training) {
    size_t text = (size_t)s->sizes.text_depth * (size_t)s->text_rows * (size_t)s->clip->config.text_width;
    size_t visual =
        (size_t)s->sizes.visual_depth * (size_t)s->sizes.visual_length * (size_t)s->clip->config.vision_width;
    s->text = arena_floats(a, text);
    s->visual = arena_floats(a, visual);
    s->dtext = training ? arena_floats(a, text) : NULL;
    s->dvisual = training ? arena_floats(a, visual) : NULL;
    s->gradients = training ? arena_floats(a, s->total) : NULL;
    s->velocity = training ? arena_floats(a, s->total) : NULL;
    if (s->method->take) s->method->take(s, a);
}

void method_start(method_state *s, uint32_t seed, const int32_t *phrase) {
    int d = s->clip->config.text_width;
    for (int i = 0; i < s->parameter_count; i++) {
        const parameter *p = &s->parameters[i];
        float *value = s->values + p->offset;
        rng r;
        rng_seed(&r, seed, (uint64_t)i + 1);
        double bound = p->fan_in ? 1 / sqrt((double)p->fan_in) : 0;
        for (int k = 0; k < p->count; k++) {
            switch (p->start) {
            case START_PHRASE:
            case START_NORMAL: value[k] = (float)(0.02 * rng_normal(&r)); break;
            case START_LINEAR: value[k] = (float)(bound * (2 * rng_uniform(&r) - 1)); break;
            case START_ONE: value[k] = 1; break;
            case START_ZERO: value[k] = 0; break;
            }
        }
        for (int row = 0; phrase && p->start == START_PHRASE && row < p->count / d; row++)
            clip_token_row(s->clip, phrase[row % s->sizes.text_length], value + (size_t)row * (size_t)d);
    }
}

void method_add(method_state *s, parameter_start start, int fan_in, const char *name, int dims, ...) {
    parameter *p = &s->parameters[s->parameter_count++];
    *p = (parameter){.dims = dims, .count = 1, .start = start, .fan_in = fan_in, .offset = s->total};
    snprintf(p->name, sizeof p->name, "%s", name);
    va_list shape;
    va_start(shape, dims);
    for (int i = 0; i < dims; i++) {
        p->shape[i] = va_arg(shape, int);
        p->count *= p->shape[i];
    }
    va_end(shape);
    s->total += ((size_t)p->count + 15) / 16 * 16; /* every tensor begins on a cache line */
}

void method_add_linear(method_state *s, const char *name, int out, int in) {
    char full[METHOD_NAME_ROOM];
    snprintf(full, sizeof full, "%s.weight", name);
    method_add(s, START_LINEAR, in, full, 2, out, in);
    snprintf(full, sizeof full, "%s.bias", name);
    method_add(s, START_LINEAR, in, full, 1, out);
}

void method_add_prompts(method_state *s, const char *side, int length, int depth, int width, parameter_start start) {
    char name[METHOD_NAME_ROOM];
    snprintf(name, sizeof name, "%s_prompts.0", side);
    method_add(s, start, 0, name, 2, length, width);
    if (depth < 2) return;
    snprintf(name, sizeof name, "%s_prompts.deep", side);
    method_add(s, START_NORMAL, 0, name, 3, depth - 1, length, width);
}

static float *of(const method_state *s, float *base, const char *name) {
    for (int i = 0; i < s->parameter_count; i++)
        if (strcmp(s->parameters[i].name, name) == 0) return base + s->parameters[i].offset;
    return NULL;
}

float *method_value(const method_state *s, const char *name) {
    return of(s, s->values, name);
}

float *method_gradient(const method_state *s, const char *name) {
    return of(s, s->gradients, name);
}

/* The side's first tensor and its deeper ones, each with its number of values. */
typedef struct {
    char first[METHOD_NAME_ROOM], deep[METHOD_NAME_ROOM];
    size_t layer, rest;
} raw_prompts;

static raw_prompts raw_prompts_of(const method_state *s, const char *side) {
    const mudpt_clip_config *c = &s->clip->config;
    int text = strcmp(side, "text") == 0, depth = text ? s->sizes.text_depth : s->sizes.visual_depth;
    size_t layer = text ? (size_t)s->sizes.text_length * (size_t)c->text_width
                        : (size_t)s->sizes.visual_length * (size_t)c->vision_width;
    raw_prompts raw = {.layer = layer, .rest = (size_t)(depth - 1) * layer};
    snprintf(raw.first, sizeof raw.first, "%s_prompts.0", side);
    snprintf(raw.deep, sizeof raw.deep, "%s_prompts.deep", side);
    return raw;
}

static void add(float *to, const float *from, size_t count) {
    for (size_t i = 0; i < count; i++) to[i] += from[i];
}

void method_copy_prompts(const method_state *s, const char *side, float *prompts) {
    raw_prompts raw = raw_prompts_of(s, side);
    memcpy(prompts, method_value(s, raw.first), raw.layer * sizeof(float));
    if (raw.rest) memcpy(prompts + raw.layer, method_value(s, raw.deep), raw.rest * sizeof(float));
}

void method_add_gradients(const method_state *s, const char *side, const float *dprompts) {
    raw_prompts raw = raw_prompts_of(s, side);
    add(method_gradient(s, raw.first), dprompts, raw.layer);
    if (raw.rest) add(method_gradient(s, raw.deep), dprompts + raw.layer, raw.rest);
}

void linear_forward(float *y, const float *x, const float *weight, const float *bias, int rows, int out, int in,
                    int accumulate) {
    gemm_dense(y, out, x, in, 1, weight, 1, in, rows, out, in, accumulate);
    for (int i = 0; bias && i < rows; i++) add(y + (size_t)i * (size_t)out, bias, (size_t)out);
}

void linear_backward(float *dx, float *dweight, float *dbias, const float *dy, const float *x, const float *weight,
                     int rows, int out, int in, int accumulate) {
    if (dx) gemm_dense(dx, in, dy, out, 1, weight, in, 1, rows, in, out, accumulate);
    if (!dweight) return;
    gemm_dense(dweight, in, dy, 1, out, x, in, 1, out, in, rows, 1);
    for (int i = 0; i < rows; i++) add(dbias, dy + (size_t)i * (size_t)out, (size_t)out);
}
