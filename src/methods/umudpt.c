/* MuDPT with transformer injection.
 *
 * UMuDPT, text to vision only: the text prompts are trained, the visual prompts of every layer are a light
 * transformer's answer to them. UUMuDPT, both directions: raw prompts on both sides; vision layer l: V[l] +
 * from_text[l], text layer l >= 1: T[l] + from_visual[l - 1], where from_visual reads the deeper visual prompts only.
 */
#include <string.h>

#include "light.h"

static const char text_to_visual[] = "inject.text_to_visual", visual_to_text[] = "inject.visual_to_text";

typedef struct {
    light from_text, from_visual;
    float *raw_text, *raw_visual; /* [J, n, d] before the injection (uumudpt) */
} work;

typedef struct {
    int n, depth, d_t, d_v, heads_t, heads_v;
    size_t text, visual; /* floats of one layer */
} sizes;

static sizes sizes_of(const method_state *s) {
    const mudpt_clip_config *c = &s->clip->config;
    int n = s->sizes.text_length;
    return (sizes){n,
                   s->sizes.text_depth,
                   c->text.width,
                   c->vision.width,
                   c->text.heads,
                   c->vision.heads,
                   (size_t)n * (size_t)c->text.width,
                   (size_t)n * (size_t)c->vision.width};
}

static void declare_one_way(method_state *s) {
    sizes z = sizes_of(s);
    method_add_prompts(s, "text", z.n, z.depth, z.d_t, START_PHRASE);
    light_declare(s, text_to_visual, z.d_t, z.d_v);
}

static void declare_both_ways(method_state *s) {
    sizes z = sizes_of(s);
    method_add_prompts(s, "text", z.n, z.depth, z.d_t, START_PHRASE);
    method_add_prompts(s, "visual", z.n, z.depth, z.d_v, START_NORMAL);
    light_declare(s, text_to_visual, z.d_t, z.d_v);
    if (z.depth > 1) light_declare(s, visual_to_text, z.d_v, z.d_t);
}

static int reserve(const method_state *s) {
    sizes z = sizes_of(s);
    int code = light_reserve(z.d_t, z.heads_t, z.d_v, z.depth, z.n);
    return code ? code : light_reserve(z.d_v, z.heads_v, z.d_t, z.depth, z.n);
}

static void take(method_state *s, arena *a) {
    sizes z = sizes_of(s);
    work w = {0}, *kept = arena_take(a, sizeof *kept);
    w.raw_text = arena_floats(a, (uint64_t)z.depth * z.text);
    w.raw_visual = arena_floats(a, (uint64_t)z.depth * z.visual);
    light_take(&w.from_text, a, text_to_visual, z.d_t, z.heads_t, z.d_v, z.depth, z.n);
    if (method_value(s, "visual_prompts.deep"))
        light_take(&w.from_visual, a, visual_to_text, z.d_v, z.heads_v, z.d_t, z.depth - 1, z.n);
    if (kept) *kept = w;
    s->work = kept;
}

static void forward_one_way(method_state *s) {
    work *w = s->work;
    method_copy_prompts(s, "text", s->text);
    light_forward(&w->from_text, s, s->visual, s->text, 0);
}

static void backward_one_way(method_state *s) {
    work *w = s->work;
    light_backward(&w->from_text, s, s->dtext, s->dvisual);
    method_add_gradients(s, "text", s->dtext);
}

static void forward_both_ways(method_state *s) {
    sizes z = sizes_of(s);
    work *w = s->work;
    method_copy_prompts(s, "text", w->raw_text);
    method_copy_prompts(s, "visual", w->raw_visual);
    memcpy(s->text, w->raw_text, (size_t)z.depth * z.text * sizeof(float));
    memcpy(s->visual, w->raw_visual, (size_t)z.depth * z.visual * sizeof(float));
    light_forward(&w->from_text, s, s->visual, w->raw_text, 1);
    if (z.depth > 1) light_forward(&w->from_visual, s, s->text + z.text, w->raw_visual + z.visual, 1);
}

static void backward_both_ways(method_state *s) {
    sizes z = sizes_of(s);
    work *w = s->work;
    /* Both injections read raw prompts: their input gradients are added to copies, not to what the other one reads. */
    memcpy(w->raw_text, s->dtext, (size_t)z.depth * z.text * sizeof(float));
    memcpy(w->raw_visual, s->dvisual, (size_t)z.depth * z.visual * sizeof(float));
    light_backward(&w->from_text, s, w->raw_text, s->dvisual);
    if (z.depth > 1) light_backward(&w->from_visual, s, w->raw_visual + z.visual, s->dtext + z.text);
    method_add_gradients(s, "text", w->raw_text);
    method_add_gradients(s, "visual", w->raw_visual);
}

const method method_umudpt = {.name = "umudpt",
                              .text = 1,
                              .visual = 1,
                              .same_sizes = 1,
                              .anchor = ANCHOR_ABSOLUTE,
                              .declare = declare_one_way,
                              .take = take,
                              .reserve = reserve,
                              .forward = forward_one_way,
                              .backward = backward_one_way};
const method method_uumudpt = {.name = "uumudpt",
                               .text = 1,
                               .visual = 1,
                               .same_sizes = 1,
                               .upper = 1,
                               .anchor = ANCHOR_ABSOLUTE,
                               .declare = declare_both_ways,
                               .take = take,
                               .reserve = reserve,
                               .forward = forward_both_ways,
                               .backward = backward_both_ways};
