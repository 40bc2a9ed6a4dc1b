/* IVLP, independent vision-language prompting (the MuDPT authors' MPT): prompts in both towers that do not meet. */
#include "method.h"

void ivlp_declare(method_state *s) {
    method_add_prompts(s, "text", s->sizes.text_length, s->sizes.text_depth, s->clip->config.text.width, START_PHRASE);
    method_add_prompts(s, "visual", s->sizes.visual_length, s->sizes.visual_depth, s->clip->config.vision.width,
                       START_NORMAL);
    method_add_second(s);
}

void ivlp_forward(method_state *s) {
    method_copy_prompts(s, "text", s->text);
    method_copy_prompts(s, "visual", s->visual);
    method_copy_second(s);
}

void ivlp_backward(method_state *s) {
    method_add_gradients(s, "text", s->dtext);
    method_add_gradients(s, "visual", s->dvisual);
    method_add_second_gradients(s);
}

const method method_ivlp = {.name = "ivlp",
                            .text = 1,
                            .visual = 1,
                            .upper = 1,
                            .insertable = 1,
                            .anchor = ANCHOR_ABSOLUTE,
                            .declare = ivlp_declare,
                            .forward = ivlp_forward,
                            .backward = ivlp_backward};
