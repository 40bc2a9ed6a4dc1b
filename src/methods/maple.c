/* MaPLe (Khattak et al. 2023): text prompts in every layer, from which a Linear of each layer makes the visual ones.
 *
 *   text  layer l: T[l]      vision  layer l: project_l(T[l])
 */
#include "base/format.h"
#include "method.h"

typedef struct {
    int n, depth, d_t, d_v;
    size_t text, visual; /* floats of one layer */
} sizes;

static sizes sizes_of(const method_state *s) {
    int n = s->sizes.text_length, d_t = s->clip->config.text.width, d_v = s->clip->config.vision.width;
    return (sizes){n, s->sizes.text_depth, d_t, d_v, (size_t)n * (size_t)d_t, (size_t)n * (size_t)d_v};
}

static void declare(method_state *s) {
    const mudpt_clip_config *c = &s->clip->config;
    sizes z = sizes_of(s);
    method_add_prompts(s, "text", z.n, z.depth, z.d_t, START_PHRASE);
    if (z.depth > 1 && c->text.layers < 2 && c->vision.layers < 2) method_idle(s, 1);
    for (int l = 0; l < z.depth; l++) {
        char name[METHOD_NAME_ROOM];
        format_text(name, sizeof name, "project.%d", l);
        method_add_linear(s, name, z.d_v, z.d_t);
        if (l >= c->vision.layers) method_idle(s, 2);
        if (l > 1) method_start_again(s, 2, 2); /* its authors clone the deeper layers' */
    }
}

static void forward(method_state *s) {
    sizes z = sizes_of(s);
    method_copy_prompts(s, "text", s->text);
    for (int l = 0; l < z.depth; l++) {
        linear_tensors p = method_linear(s, "project", l);
        linear_forward(s->visual + (size_t)l * z.visual, s->text + (size_t)l * z.text, p.weight, p.bias, z.n, z.d_v,
                       z.d_t, 0);
    }
}

static void backward(method_state *s) {
    sizes z = sizes_of(s);
    for (int l = 0; l < z.depth && l < s->clip->config.vision.layers; l++) {
        linear_tensors p = method_linear(s, "project", l);
        linear_backward(s->dtext + (size_t)l * z.text, p.dweight, p.dbias, s->dvisual + (size_t)l * z.visual,
                        s->text + (size_t)l * z.text, p.weight, z.n, z.d_v, z.d_t, 1);
    }
    method_add_gradients(s, "text", s->dtext);
}

const method method_maple = {.name = "maple",
                             .text = 1,
                             .visual = 1,
                             .same_sizes = 1,
                             .anchor = ANCHOR_ABSOLUTE,
                             .declare = declare,
                             .reserve = method_reserve,
                             .forward = forward,
                             .backward = backward};
