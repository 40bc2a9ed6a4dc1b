/* MMRL (Guo and Gu 2025): tokens of a common space, of which a Linear for each layer makes prompts of both towers. They
 * are inserted in an upper layer and replaced in those above it; the image tower's leave the last one as a second
 * feature, which has a projection of its own.
 *
 *   text  layer i: to_text_i(tokens)      vision  layer i: to_visual_i(tokens)
 */
#include "base/format.h"
#include "method.h"

space_side space_side_of(const method_state *s, int visual) {
    const mudpt_tower *t = visual ? &s->clip->config.vision : &s->clip->config.text;
    int layers = t->layers - s->sizes.layer, depth = s->sizes.text_depth;
    return (space_side){visual ? "to_visual" : "to_text", t->width, depth < layers ? depth : layers,
                        visual ? s->visual : s->text, visual ? s->dvisual : s->dtext};
}

static void declare(method_state *s) {
    int r = s->sizes.space;
    method_add(s, START_NORMAL, 0, "tokens", 2, s->sizes.text_length, r);
    for (int visual = 0; visual < 2; visual++) {
        space_side z = space_side_of(s, visual);
        for (int i = 0; i < s->sizes.text_depth; i++) {
            char name[METHOD_NAME_ROOM];
            format_text(name, sizeof name, "%s.%d", z.name, i);
            method_add_linear(s, name, z.width, r);
            if (i >= z.layers) method_idle(s, 2);
            if (i) method_start_again(s, 2, 2);
        }
    }
    method_add_second(s);
}

static void forward(method_state *s) {
    int n = s->sizes.text_length, r = s->sizes.space;
    for (int visual = 0; visual < 2; visual++) {
        space_side z = space_side_of(s, visual);
        for (int i = 0; i < s->sizes.text_depth; i++) {
            linear_tensors t = method_linear(s, z.name, i);
            linear_forward(z.prompts + (size_t)(i * n) * (size_t)z.width, s->values, t.weight, t.bias, n, z.width, r,
                           0);
        }
    }
    method_copy_second(s);
}

static void backward(method_state *s) {
    int n = s->sizes.text_length, r = s->sizes.space;
    for (int visual = 0; visual < 2; visual++) {
        space_side z = space_side_of(s, visual);
        for (int i = 0; i < z.layers; i++) {
            linear_tensors t = method_linear(s, z.name, i);
            linear_backward(s->gradients, t.dweight, t.dbias, z.dprompts + (size_t)(i * n) * (size_t)z.width, s->values,
                            t.weight, n, z.width, r, 1);
        }
    }
    method_add_second_gradients(s);
}

const method method_mmrl = {.name = "mmrl",
                            .text = 1,
                            .visual = 1,
                            .same_sizes = 1,
                            .upper = 1,
                            .insertable = 1,
                            .of_space = 1,
                            .anchor = ANCHOR_COSINE,
                            .adam_eps = 1e-8f,
                            .decoupled = 1,
                            .declare = declare,
                            .reserve = method_reserve,
                            .forward = forward,
                            .backward = backward};
