/* VPT (Jia et al. 2022): visual prompts, shallow (one layer) or deep. */
#include "method.h"

static void declare(method_state *s) {
    method_add_prompts(s, "visual", s->sizes.visual_length, s->sizes.visual_depth, s->clip->config.vision_width,
                       START_NORMAL);
}

static size_t layer(const method_state *s) {
    return (size_t)s->sizes.visual_length * (size_t)s->clip->config.vision_width;
}

static void forward(method_state *s) {
    method_copy_prompts(s, "visual", s->visual, layer(s), s->sizes.visual_depth);
}

static void backward(method_state *s) {
    method_add_gradients(s, "visual", s->dvisual, layer(s), s->sizes.visual_depth);
}

const method method_vpt = {.name = "vpt", .visual = 1, .declare = declare, .forward = forward, .backward = backward};
