/* A method's tensors by name, raw prompts, and the Linear layers that are trained: what the methods are made of. */
#include <stdarg.h>
#include <string.h>

#include "base/format.h"
#include "kernels/gemm.h"
#include "method.h"

void method_add(method_state *s, parameter_start start, int fan_in, const char *name, int dims, ...) {
    parameter *p = &s->parameters[s->parameter_count++];
    *p = (parameter){.dims = dims, .start = start, .fan_in = fan_in, .offset = (size_t)s->total};
    format_text(p->name, sizeof p->name, "%s", name);
    int64_t count = 1;
    va_list shape;
    va_start(shape, dims);
    for (int i = 0; i < dims; i++) {
        p->shape[i] = va_arg(shape, int);
        count *= p->shape[i];
    }
    va_end(shape);
    if (count > MUDPT_MAX_TENSOR_VALUES) s->oversized = 1; /* which method_open refuses */
    else p->count = (int)count;
    s->total += ((uint64_t)p->count + 15) / 16 * 16; /* every tensor begins on a cache line */
}

void method_add_linear(method_state *s, const char *name, int out, int in) {
    char full[METHOD_NAME_ROOM];
    format_text(full, sizeof full, "%s.weight", name);
    method_add(s, START_LINEAR, in, full, 2, out, in);
    format_text(full, sizeof full, "%s.bias", name);
    method_add(s, START_LINEAR, in, full, 1, out);
}

void method_add_prompts(method_state *s, const char *side, int length, int depth, int width, parameter_start start) {
    char name[METHOD_NAME_ROOM];
    format_text(name, sizeof name, "%s_prompts.0", side);
    method_add(s, start, 0, name, 2, length, width);
    if (depth < 2) return;
    format_text(name, sizeof name, "%s_prompts.deep", side);
    method_add(s, START_NORMAL, 0, name, 3, depth - 1, length, width);
}

void method_idle(method_state *s, int count) {
    for (int i = 0; i < count; i++) s->parameters[s->parameter_count - 1 - i].idle = 1;
}

void method_start_again(method_state *s, int count, int back) {
    for (int i = 0; i < count; i++) {
        parameter *p = &s->parameters[s->parameter_count - 1 - i];
        p->start = START_AGAIN;
        p->fan_in = back;
    }
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
    size_t layer = text ? (size_t)s->sizes.text_length * (size_t)c->text.width
                        : (size_t)s->sizes.visual_length * (size_t)c->vision.width;
    raw_prompts raw = {.layer = layer, .rest = (size_t)(depth - 1) * layer};
    format_text(raw.first, sizeof raw.first, "%s_prompts.0", side);
    format_text(raw.deep, sizeof raw.deep, "%s_prompts.deep", side);
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

linear_tensors method_linear(const method_state *s, const char *name, int i) {
    char weight[METHOD_NAME_ROOM], bias[METHOD_NAME_ROOM];
    format_text(weight, sizeof weight, "%s.%d.weight", name, i);
    format_text(bias, sizeof bias, "%s.%d.bias", name, i);
    linear_tensors t = {.weight = method_value(s, weight), .bias = method_value(s, bias)};
    if (s->gradients) t.dweight = method_gradient(s, weight), t.dbias = method_gradient(s, bias);
    return t;
}

int method_reserve(const method_state *s) {
    const mudpt_clip_config *c = &s->clip->config;
    const int widths[] = {c->vision.width, c->text.width,           c->embed, s->sizes.text_length, s->sizes.space,
                          s->sizes.rank,   s->sizes.projection_rank};
    int wide = 1;
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        if (widths[i] > wide) wide = widths[i];
    return gemm_reserve_dense(wide, wide);
}

static const char projection[] = "proj_rep";

void method_add_second(method_state *s) {
    int d = s->clip->config.vision.width;
    if (s->sizes.second > 0) method_add(s, START_SCALED, d, projection, 2, d, s->clip->config.embed);
}

static size_t second_count(const method_state *s) {
    return s->sizes.second > 0 ? (size_t)s->clip->config.vision.width * (size_t)s->clip->config.embed : 0;
}

void method_copy_second(const method_state *s) {
    size_t count = second_count(s);
    if (count) memcpy(s->second, method_value(s, projection), count * sizeof(float));
}

void method_add_second_gradients(const method_state *s) {
    size_t count = second_count(s);
    if (count) add(method_gradient(s, projection), s->dsecond, count);
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
    for (int i = 0; dbias && i < rows; i++) add(dbias, dy + (size_t)i * (size_t)out, (size_t)out);
}
