/* VPT (Jia et al. 2022): visual prompts, shallow (one layer) or deep. */
#include "method.h"

static void declare(method_state *s) {
    method_add_prompts(s, "visual", s->sizes.visual_length, s->sizes.visual_depth, s->clip->config.vision.width,
                       START_NORMAL);
    method_add_second(s);
}

static void forward(method_state *s) {
    method_copy_prompts(s, "visual", s->visual);
    method_copy_second(s);
}

static void backward(method_state *s) {
    method_add_gradients(s, "visual", s->dvisual);
    method_add_second_gradients(s);
}

const method method_vpt = {.name = "vpt",
                           .visual = 1,
                           .upper = 1,
                           .insertable = 1,
                           .declare = declare,
                           .forward = forward,
                           .backward = backward};
