/* KgCoOp (Yao et al. 2023): CoOp's context for all classes, held near the frozen model's class features by a term of
 * the loss. */
#include "method.h"

static void declare(method_state *s) {
    method_add(s, START_PHRASE, 0, "context", 2, s->sizes.text_length, s->clip->config.text.width);
}

const method method_kgcoop = {.name = "kgcoop",
                              .text = 1,
                              .first_layer = 1,
                              .anchor = ANCHOR_COSINE,
                              .declare = declare,
                              .forward = coop_forward,
                              .backward = coop_backward};
