/* Zero-shot CLIP: sentences from one template or several, nothing trained. */
#include "method.h"

static void forward(method_state *s) {
    (void)s;
}

const method method_zeroshot = {.name = "zeroshot", .forward = forward, .backward = forward};
