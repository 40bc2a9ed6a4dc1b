/* MuDPT with linear injection (Miao et al. 2023, the authors' main code): deep prompts in both towers, each side's raw
 * prompts projected into the other's.
 *
 *   text    layer 0: T_0      layer l: T[l-1] + P_vt(V[l-1])
 *   vision  layer 0: V_0 + E(T_0)      layer l: V[l-1] + P_tv(T[l-1])
 *
 * Both fusions read the raw prompts. E, P_tv and P_vt are Linear layers; the latter two serve all deeper layers.
 */
#include "method.h"

#include "kernels/gemm.h"

typedef struct {
    int n, deep; /* prompt tokens; rows of all deeper layers, (J - 1) n */
    int d_t, d_v;
    size_t text, visual; /* floats of one layer */
} sizes;

static sizes sizes_of(const method_state *s) {
    int n = s->sizes.text_length, d_t = s->clip->config.text.width, d_v = s->clip->config.vision.width;
    return (sizes){n, (s->sizes.text_depth - 1) * n, d_t, d_v, (size_t)n * (size_t)d_t, (size_t)n * (size_t)d_v};
}

static void declare(method_state *s) {
    sizes z = sizes_of(s);
    int depth = s->sizes.text_depth;
    method_add_prompts(s, "text", z.n, depth, z.d_t, START_PHRASE);
    method_add_prompts(s, "visual", z.n, depth, z.d_v, START_NORMAL);
    if (s->sizes.layer0_fusion) method_add_linear(s, "inject.layer0", z.d_v, z.d_t);
    if (depth < 2) return;
    method_add_linear(s, "inject.text_to_visual", z.d_v, z.d_t);
    method_add_linear(s, "inject.visual_to_text", z.d_t, z.d_v);
}

static int reserve(const method_state *s) {
    sizes z = sizes_of(s);
    int wide = z.d_v > z.d_t ? z.d_v : z.d_t, rows = z.deep > z.n ? z.deep : z.n;
    return gemm_reserve_dense(wide, wide > rows ? wide : rows);
}

static void forward(method_state *s) {
    sizes z = sizes_of(s);
    method_copy_prompts(s, "text", s->text);
    method_copy_prompts(s, "visual", s->visual);
    if (s->sizes.layer0_fusion)
        linear_forward(s->visual, method_value(s, "text_prompts.0"), method_value(s, "inject.layer0.weight"),
                       method_value(s, "inject.layer0.bias"), z.n, z.d_v, z.d_t, 1);
    if (z.deep == 0) return;
    linear_forward(s->visual + z.visual, method_value(s, "text_prompts.deep"),
                   method_value(s, "inject.text_to_visual.weight"), method_value(s, "inject.text_to_visual.bias"),
                   z.deep, z.d_v, z.d_t, 1);
    linear_forward(s->text + z.text, method_value(s, "visual_prompts.deep"),
                   method_value(s, "inject.visual_to_text.weight"), method_value(s, "inject.visual_to_text.bias"),
                   z.deep, z.d_t, z.d_v, 1);
}

static void backward(method_state *s) {
    sizes z = sizes_of(s);
    if (z.deep) {
        linear_backward(method_gradient(s, "visual_prompts.deep"), method_gradient(s, "inject.visual_to_text.weight"),
                        method_gradient(s, "inject.visual_to_text.bias"), s->dtext + z.text,
                        method_value(s, "visual_prompts.deep"), method_value(s, "inject.visual_to_text.weight"), z.deep,
                        z.d_t, z.d_v, 1);
        linear_backward(method_gradient(s, "text_prompts.deep"), method_gradient(s, "inject.text_to_visual.weight"),
                        method_gradient(s, "inject.text_to_visual.bias"), s->dvisual + z.visual,
                        method_value(s, "text_prompts.deep"), method_value(s, "inject.text_to_visual.weight"), z.deep,
                        z.d_v, z.d_t, 1);
    }
    if (s->sizes.layer0_fusion)
        linear_backward(method_gradient(s, "text_prompts.0"), method_gradient(s, "inject.layer0.weight"),
                        method_gradient(s, "inject.layer0.bias"), s->dvisual, method_value(s, "text_prompts.0"),
                        method_value(s, "inject.layer0.weight"), z.n, z.d_v, z.d_t, 1);
    method_add_gradients(s, "text", s->dtext);
    method_add_gradients(s, "visual", s->dvisual);
}

const method method_mudpt = {.name = "mudpt",
                             .text = 1,
                             .visual = 1,
                             .same_sizes = 1,
                             .upper = 1,
                             .anchor = ANCHOR_ABSOLUTE,
                             .declare = declare,
                             .reserve = reserve,
                             .forward = forward,
                             .backward = backward};
