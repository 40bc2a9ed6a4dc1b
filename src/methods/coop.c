/* CoOp (Zhou et al. 2022): learned context words in the sentence, one context for all classes or one for each. */
#include "method.h"

static void declare(method_state *s) {
    int n = s->sizes.text_length, d = s->clip->config.text.width;
    if (s->sizes.class_specific) method_add(s, START_PHRASE, 0, "context", 3, s->classes, n, d);
    else method_add(s, START_PHRASE, 0, "context", 2, n, d);
}

static size_t count(const method_state *s) {
    return (size_t)s->text_rows * (size_t)s->clip->config.text.width;
}

void coop_forward(method_state *s) {
    for (size_t i = 0; i < count(s); i++) s->text[i] = s->values[i];
}

void coop_backward(method_state *s) {
    for (size_t i = 0; i < count(s); i++) s->gradients[i] += s->dtext[i];
}

const method method_coop = {.name = "coop",
                            .text = 1,
                            .first_layer = 1,
                            .declare = declare,
                            .forward = coop_forward,
                            .backward = coop_backward};
