/* TCP (Yao et al. 2024): CoOp's context, which in the middle of the text tower gives way to rows of each class, made by
 * a small network of the frozen model's feature f of the class.
 *
 *   own rows of a class = W_1 quickgelu(W_0 f + b_0) + b_1, QuickGELU whatever the model's own is
 */
#include <string.h>

#include "kernels/gemm.h"
#include "kernels/activation.h"
#include "method.h"

typedef struct {
    int classes, e, hidden, rows; /* rows: values of a class's own rows, n d_t */
} sizes;

static sizes sizes_of(const method_state *s) {
    int e = s->clip->config.embed;
    return (sizes){s->classes, e, e < 4 ? 1 : e / 4, s->sizes.text_length * s->clip->config.text.width};
}

static void declare(method_state *s) {
    sizes z = sizes_of(s);
    method_add(s, START_PHRASE, 0, "context", 2, s->sizes.text_length, s->clip->config.text.width);
    method_add_linear(s, "meta_net.0", z.hidden, z.e);
    method_add_linear(s, "meta_net.1", z.rows, z.hidden);
}

/* work: before and behind QuickGELU, and the gradient: [classes, hidden] each */
static void take(method_state *s, arena *a) {
    sizes z = sizes_of(s);
    s->work = arena_floats(a, 3 * (uint64_t)z.classes * (uint64_t)z.hidden);
}

static int reserve(const method_state *s) {
    sizes z = sizes_of(s);
    int wide = z.rows > z.e ? z.rows : z.e;
    return gemm_reserve_dense(wide, wide > z.classes ? wide : z.classes);
}

static void forward(method_state *s) {
    sizes z = sizes_of(s);
    size_t hidden = (size_t)z.classes * (size_t)z.hidden, each = (size_t)z.rows;
    float *u = s->work, *g = u + hidden;
    for (int c = 0; c < z.classes; c++)
        memcpy(s->text + (size_t)c * each, method_value(s, "context"), each * sizeof(float));
    linear_forward(u, s->teacher, method_value(s, "meta_net.0.weight"), method_value(s, "meta_net.0.bias"), z.classes,
                   z.hidden, z.e, 0);
    activation_forward(MUDPT_QUICK_GELU, g, u, hidden);
    linear_forward(s->text + (size_t)z.classes * each, g, method_value(s, "meta_net.1.weight"),
                   method_value(s, "meta_net.1.bias"), z.classes, z.rows, z.hidden, 0);
}

static void backward(method_state *s) {
    sizes z = sizes_of(s);
    size_t hidden = (size_t)z.classes * (size_t)z.hidden, each = (size_t)z.rows;
    float *u = s->work, *g = u + hidden, *dg = g + hidden, *dcontext = method_gradient(s, "context");
    for (int c = 0; c < z.classes; c++)
        for (size_t i = 0; i < each; i++) dcontext[i] += s->dtext[(size_t)c * each + i];
    linear_backward(dg, method_gradient(s, "meta_net.1.weight"), method_gradient(s, "meta_net.1.bias"),
                    s->dtext + (size_t)z.classes * each, g, method_value(s, "meta_net.1.weight"), z.classes, z.rows,
                    z.hidden, 0);
    activation_backward(MUDPT_QUICK_GELU, dg, dg, u, hidden);
    linear_backward(NULL, method_gradient(s, "meta_net.0.weight"), method_gradient(s, "meta_net.0.bias"), dg,
                    s->teacher, method_value(s, "meta_net.0.weight"), z.classes, z.hidden, z.e, 0);
}

const method method_tcp = {.name = "tcp",
                           .text = 1,
                           .class_aware = 1,
                           .anchor = ANCHOR_COSINE,
                           .adam_eps = 1e-3f,
                           .declare = declare,
                           .take = take,
                           .reserve = reserve,
                           .forward = forward,
                           .backward = backward};
