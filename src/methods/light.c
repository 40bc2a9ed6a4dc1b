#include "light.h"

#include <string.h>

#include "base/format.h"
#include "base/parallel.h"
#include "kernels/attention.h"
#include "kernels/layernorm.h"
#include "kernels/activation.h"

static const char *full_name(char room[METHOD_NAME_ROOM], const char *name, const char *leaf) {
    format_text(room, METHOD_NAME_ROOM, "%s.%s", name, leaf);
    return room;
}

static void declare_norm(method_state *s, const char *name, const char *leaf, int d) {
    char full[METHOD_NAME_ROOM];
    format_text(full, sizeof full, "%s.%s.weight", name, leaf);
    method_add(s, START_ONE, 0, full, 1, d);
    format_text(full, sizeof full, "%s.%s.bias", name, leaf);
    method_add(s, START_ZERO, 0, full, 1, d);
}

void light_declare(method_state *s, const char *name, int d, int to) {
    char full[METHOD_NAME_ROOM];
    declare_norm(s, name, "ln_pre", d);
    declare_norm(s, name, "ln_1", d);
    method_add(s, START_LINEAR, d, full_name(full, name, "attn.in_proj_weight"), 2, 3 * d, d);
    method_add(s, START_ZERO, 0, full_name(full, name, "attn.in_proj_bias"), 1, 3 * d);
    method_add(s, START_LINEAR, d, full_name(full, name, "attn.out_proj.weight"), 2, d, d);
    method_add(s, START_ZERO, 0, full_name(full, name, "attn.out_proj.bias"), 1, d);
    declare_norm(s, name, "ln_2", d);
    method_add_linear(s, full_name(full, name, "mlp.c_fc"), 4 * d, d);
    method_add_linear(s, full_name(full, name, "mlp.c_proj"), d, 4 * d);
    declare_norm(s, name, "ln_post", d);
    method_add_linear(s, full_name(full, name, "proj"), to, d);
}

void light_take(light *t, arena *a, const char *name, int width, int heads, int to, int layers, int n) {
    uint64_t rows = (uint64_t)layers * (uint64_t)n, d = (uint64_t)width;
    *t = (light){.name = name, .width = width, .heads = heads, .to = to, .layers = layers, .n = n, .rows = layers * n};
    float **full_rows[] = {&t->xhat_pre, &t->x,   &t->xhat_1,    &t->h_1, &t->q,     &t->o,       &t->y,
                           &t->xhat_2,   &t->h_2, &t->xhat_post, &t->p,   &t->d_row, &t->d_other, &t->dq};
    for (size_t i = 0; i < sizeof full_rows / sizeof *full_rows; i++) *full_rows[i] = arena_floats(a, rows * d);
    float **one_each[] = {&t->rstd_pre, &t->rstd_1, &t->rstd_2, &t->rstd_post};
    for (size_t i = 0; i < sizeof one_each / sizeof *one_each; i++) *one_each[i] = arena_floats(a, rows);
    t->kv = arena_floats(a, rows * 2 * d);
    t->dkv = arena_floats(a, rows * 2 * d);
    t->u = arena_floats(a, rows * 4 * d);
    t->g = arena_floats(a, rows * 4 * d);
    t->dg = arena_floats(a, rows * 4 * d);
    t->starts = arena_take(a, ((size_t)layers + 1) * sizeof(int));
    for (int i = 0; a->base && i <= layers; i++) t->starts[i] = i * n;
}

int light_reserve(int width, int heads, int to, int layers, int n) {
    int widest = 4 * width > to ? 4 * width : to, rows = layers * n;
    int code = gemm_reserve_dense(widest, widest > rows ? widest : rows);
    return code ? code : parallel_reserve(attention_scratch(n, width / heads));
}

static float *value(const light *t, const method_state *s, const char *leaf) {
    char full[METHOD_NAME_ROOM];
    return method_value(s, full_name(full, t->name, leaf));
}

static float *gradient(const light *t, const method_state *s, const char *leaf) {
    char full[METHOD_NAME_ROOM];
    return method_gradient(s, full_name(full, t->name, leaf));
}

static attention_shape shape_of(const light *t) {
    return (attention_shape){.heads = t->heads,
                             .head_width = t->width / t->heads,
                             .sequences = t->layers,
                             .query_start = t->starts,
                             .key_start = t->starts};
}

void light_forward(light *t, const method_state *s, float *out, const float *in, int accumulate) {
    int rows = t->rows, d = t->width;
    float *w = value(t, s, "attn.in_proj_weight"), *b = value(t, s, "attn.in_proj_bias");
    attention_shape shape = shape_of(t);
    layernorm_forward(t->x, t->xhat_pre, t->rstd_pre, in, value(t, s, "ln_pre.weight"), value(t, s, "ln_pre.bias"),
                      rows, d, LAYERNORM_EPSILON);
    layernorm_forward(t->h_1, t->xhat_1, t->rstd_1, t->x, value(t, s, "ln_1.weight"), value(t, s, "ln_1.bias"), rows, d,
                      LAYERNORM_EPSILON);
    linear_forward(t->q, t->h_1, w, b, rows, d, d, 0);
    linear_forward(t->kv, t->h_1, w + (size_t)d * (size_t)d, b + d, rows, 2 * d, d, 0);
    attention_forward(t->o, t->q, t->kv, t->kv + d, NULL, NULL, 2 * d, &shape);
    memcpy(t->y, t->x, (size_t)rows * (size_t)d * sizeof(float));
    linear_forward(t->y, t->o, value(t, s, "attn.out_proj.weight"), value(t, s, "attn.out_proj.bias"), rows, d, d, 1);
    layernorm_forward(t->h_2, t->xhat_2, t->rstd_2, t->y, value(t, s, "ln_2.weight"), value(t, s, "ln_2.bias"), rows, d,
                      LAYERNORM_EPSILON);
    linear_forward(t->u, t->h_2, value(t, s, "mlp.c_fc.weight"), value(t, s, "mlp.c_fc.bias"), rows, 4 * d, d, 0);
    activation_forward(MUDPT_QUICK_GELU, t->g, t->u, (size_t)rows * 4 * (size_t)d);
    linear_forward(t->y, t->g, value(t, s, "mlp.c_proj.weight"), value(t, s, "mlp.c_proj.bias"), rows, d, 4 * d, 1);
    layernorm_forward(t->p, t->xhat_post, t->rstd_post, t->y, value(t, s, "ln_post.weight"),
                      value(t, s, "ln_post.bias"), rows, d, LAYERNORM_EPSILON);
    linear_forward(out, t->p, value(t, s, "proj.weight"), value(t, s, "proj.bias"), rows, t->to, d, accumulate);
}

/* dx (+)= through a LayerNorm whose gain and bias are trained; `leaf` is its name. */
static void norm_backward(light *t, method_state *s, const char *leaf, float *dx, const float *dy, const float *xhat,
                          const float *rstd, int accumulate) {
    char weight[24], bias[24];
    format_text(weight, sizeof weight, "%s.weight", leaf);
    format_text(bias, sizeof bias, "%s.bias", leaf);
    layernorm_backward_parameters(gradient(t, s, weight), gradient(t, s, bias), dy, xhat, t->rows, t->width);
    layernorm_backward(dx, dy, xhat, rstd, value(t, s, weight), t->rows, t->width, accumulate);
}

void light_backward(light *t, method_state *s, float *din, const float *dout) {
    int rows = t->rows, d = t->width;
    size_t square = (size_t)d * (size_t)d;
    float *dy = t->d_row, *dh = t->d_other, *dq = t->dq;
    attention_shape shape = shape_of(t);
    linear_backward(dh, gradient(t, s, "proj.weight"), gradient(t, s, "proj.bias"), dout, t->p,
                    value(t, s, "proj.weight"), rows, t->to, d, 0);
    norm_backward(t, s, "ln_post", dy, dh, t->xhat_post, t->rstd_post, 0);

    linear_backward(t->dg, gradient(t, s, "mlp.c_proj.weight"), gradient(t, s, "mlp.c_proj.bias"), dy, t->g,
                    value(t, s, "mlp.c_proj.weight"), rows, d, 4 * d, 0);
    activation_backward(MUDPT_QUICK_GELU, t->dg, t->dg, t->u, (size_t)rows * 4 * (size_t)d);
    linear_backward(dh, gradient(t, s, "mlp.c_fc.weight"), gradient(t, s, "mlp.c_fc.bias"), t->dg, t->h_2,
                    value(t, s, "mlp.c_fc.weight"), rows, 4 * d, d, 0);
    norm_backward(t, s, "ln_2", dy, dh, t->xhat_2, t->rstd_2, 1);

    linear_backward(dh, gradient(t, s, "attn.out_proj.weight"), gradient(t, s, "attn.out_proj.bias"), dy, t->o,
                    value(t, s, "attn.out_proj.weight"), rows, d, d, 0);
    memset(t->dkv, 0, (size_t)rows * 2 * (size_t)d * sizeof(float));
    attention_backward(dq, t->dkv, t->dkv + d, NULL, NULL, dh, t->q, t->kv, t->kv + d, NULL, NULL, 2 * d, &shape, 0);
    float *w = value(t, s, "attn.in_proj_weight"), *dw = gradient(t, s, "attn.in_proj_weight");
    float *db = gradient(t, s, "attn.in_proj_bias");
    linear_backward(dh, dw, db, dq, t->h_1, w, rows, d, d, 0);
    linear_backward(dh, dw + square, db + d, t->dkv, t->h_1, w + square, rows, 2 * d, d, 1);
    norm_backward(t, s, "ln_1", dy, dh, t->xhat_1, t->rstd_1, 1);
    norm_backward(t, s, "ln_pre", din, dy, t->xhat_pre, t->rstd_pre, 1);
}
