/* CoCoOp (Zhou et al. 2022): CoOp's context, shifted for every picture by a small network that reads its feature.
 *
 *   shift = W_1 relu(W_0 u + b_0) + b_1, added to all n context rows; u is the picture's feature of length one, which
 *   carries no gradient.
 */
#include <string.h>

#include "method.h"

static int hidden_width(const method_state *s) {
    int width = s->clip->config.embed / 16;
    return width ? width : 1;
}

static void declare(method_state *s) {
    int e = s->clip->config.embed, d = s->clip->config.text.width, h = hidden_width(s);
    method_add(s, START_PHRASE, 0, "context", 2, s->sizes.text_length, d);
    method_add_linear(s, "meta_net.0", h, e);
    method_add_linear(s, "meta_net.1", d, h);
}

/* work: hidden [h], its gradient [h], shift [d], its gradient [d] */
static void take(method_state *s, arena *a) {
    s->work = arena_floats(a, 2 * (size_t)hidden_width(s) + 2 * (size_t)s->clip->config.text.width);
}

static int reserve(const method_state *s) {
    int e = s->clip->config.embed, d = s->clip->config.text.width, wide = e > d ? e : d;
    return gemm_reserve_dense(wide, wide);
}

static void forward(method_state *s) {
    (void)s; /* without a picture there are no prompts */
}

static void forward_image(method_state *s, const float *image) {
    int e = s->clip->config.embed, d = s->clip->config.text.width, h = hidden_width(s);
    float *hidden = s->work, *shift = hidden + 2 * h;
    linear_forward(hidden, image, method_value(s, "meta_net.0.weight"), method_value(s, "meta_net.0.bias"), 1, h, e, 0);
    for (int i = 0; i < h; i++) hidden[i] = hidden[i] > 0 ? hidden[i] : 0;
    linear_forward(shift, hidden, method_value(s, "meta_net.1.weight"), method_value(s, "meta_net.1.bias"), 1, d, h, 0);
    const float *context = method_value(s, "context");
    for (int i = 0; i < s->sizes.text_length * d; i++) s->text[i] = context[i] + shift[i % d];
}

static void backward_image(method_state *s, const float *image) {
    int e = s->clip->config.embed, d = s->clip->config.text.width, h = hidden_width(s);
    float *hidden = s->work, *dhidden = hidden + h, *dshift = hidden + 2 * h + d;
    float *dcontext = method_gradient(s, "context");
    memset(dshift, 0, (size_t)d * sizeof(float));
    for (int i = 0; i < s->sizes.text_length * d; i++) {
        dcontext[i] += s->dtext[i];
        dshift[i % d] += s->dtext[i];
    }
    linear_backward(dhidden, method_gradient(s, "meta_net.1.weight"), method_gradient(s, "meta_net.1.bias"), dshift,
                    hidden, method_value(s, "meta_net.1.weight"), 1, d, h, 0);
    for (int i = 0; i < h; i++) dhidden[i] = hidden[i] > 0 ? dhidden[i] : 0;
    linear_backward(NULL, method_gradient(s, "meta_net.0.weight"), method_gradient(s, "meta_net.0.bias"), dhidden,
                    image, method_value(s, "meta_net.0.weight"), 1, h, e, 0);
}

const method method_cocoop = {.name = "cocoop",
                              .text = 1,
                              .conditional = 1,
                              .first_layer = 1,
                              .declare = declare,
                              .take = take,
                              .reserve = reserve,
                              .forward = forward,
                              .backward = forward,
                              .forward_image = forward_image,
                              .backward_image = backward_image};
