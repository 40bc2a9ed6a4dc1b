/* The table of methods, and what all of them begin with: sizes checked, memory taken, values drawn. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/format.h"
#include "base/rng.h"
#include "method.h"

static const method *const methods[] = {
    &method_zeroshot, &method_coop,  &method_cocoop, &method_vpt,       &method_ivlp, &method_mudpt, &method_umudpt,
    &method_uumudpt,  &method_maple, &method_kgcoop, &method_promptsrc, &method_tcp,  &method_mmrl,  &method_mmrlpp};
enum { METHODS = sizeof methods / sizeof *methods };

const char *mudpt_method_name(int index) {
    return index >= 0 && index < METHODS ? methods[index]->name : NULL;
}

const method *method_find(const char *name) {
    char valid[256] = "";
    for (int i = 0; i < METHODS; i++) {
        if (strcmp(methods[i]->name, name) == 0) return methods[i];
        size_t used = strlen(valid);
        format_text(valid + used, sizeof valid - used, "%s%s", i ? ", " : "", methods[i]->name);
    }
    fail(MUDPT_ARGUMENT, "method %.40s is not available; valid: %s", name, valid);
    return NULL;
}

static int check_side(const char *method, const char *side, int wanted, int length, int depth) {
    if (!wanted && (length || depth))
        return fail(MUDPT_ARGUMENT, "%s has no %s prompts; their length and depth must be 0", method, side);
    if (wanted && (length < 1 || length > MUDPT_MAX_PROMPTS))
        return fail(MUDPT_ARGUMENT, "%s prompt length is %d; expected 1 to %d", side, length, MUDPT_MAX_PROMPTS);
    if (wanted && (depth < 1 || depth > MUDPT_MAX_LAYERS))
        return fail(MUDPT_ARGUMENT, "%s prompt depth is %d; expected 1 to %d layers", side, depth, MUDPT_MAX_LAYERS);
    return MUDPT_OK;
}

/* The terms of the loss beside cross-entropy, and the average. */
static int check_training(const method *m, const mudpt_method *sizes) {
    const float weights[] = {sizes->text_weight, sizes->image_weight, sizes->kl_weight};
    for (int i = 0; i < 3; i++) {
        if (!(weights[i] >= 0 && weights[i] <= 1e6f))
            return fail(MUDPT_ARGUMENT, "a term of the loss has the weight %g; expected 0 to 1000000",
                        (double)weights[i]);
        if (weights[i] > 0 &&
            (m->anchor == ANCHOR_NONE || (m->anchor == ANCHOR_COSINE && (i > 1 || (i && !m->visual)))))
            return fail(MUDPT_ARGUMENT, "%s has no term of the loss for its %s", m->name,
                        i == 0   ? "text features"
                        : i == 1 ? "pictures' features"
                                 : "scores");
    }
    if (sizes->averages < 0 || sizes->averages > 1)
        return fail(MUDPT_ARGUMENT, "averages is %d; expected 0 or 1", sizes->averages);
    return MUDPT_OK;
}

/* Where prompts begin, whether they are rows of their own, and what is made of these. */
static int check_entry(const method *m, const mudpt_clip_config *c, const mudpt_method *z, int classes) {
    if (z->layer && !m->class_aware && !m->upper)
        return fail(MUDPT_ARGUMENT, "%s has neither rows of each class's own nor prompts of upper layers", m->name);
    int layers = !m->visual || (m->text && c->text.layers < c->vision.layers) ? c->text.layers : c->vision.layers;
    if (z->layer < m->class_aware || z->layer >= layers)
        return fail(MUDPT_ARGUMENT, "%s layer %d; expected %d to %d",
                    m->class_aware ? "rows of each class's own enter text" : "prompts enter", z->layer, m->class_aware,
                    layers - 1);
    int rows = m->insertable, inserted = rows && z->inserted, ranks = m == &method_mmrlpp;
    const struct {
        const char *name;
        double value;
        int low, high;
    } checks[] = {{"inserted", z->inserted, m->of_space, rows},
                  {"kept", (double)z->kept, 0, inserted},
                  {"second", (double)z->second, 0, inserted},
                  {"scale", (double)z->scale, 0, rows * 10000},
                  {"alone", z->alone, 0, rows * classes},
                  {"space", z->space, m->of_space, m->of_space * MUDPT_MAX_WIDTH},
                  {"rank", z->rank, ranks, ranks * MUDPT_MAX_WIDTH},
                  {"projection_rank", z->projection_rank, ranks, ranks * MUDPT_MAX_WIDTH}};
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if (!(checks[i].value >= checks[i].low && checks[i].value <= checks[i].high))
            return fail(MUDPT_ARGUMENT, "%s is %g with %s; expected %d to %d", checks[i].name, checks[i].value, m->name,
                        checks[i].low, checks[i].high);
    return MUDPT_OK;
}

int method_open(method_state *s, const mudpt_clip *clip, const mudpt_method *sizes, int classes) {
    const method *m = method_find(sizes->method);
    if (!m) return MUDPT_ARGUMENT;
    int code = check_side(m->name, "text", m->text, sizes->text_length, sizes->text_depth);
    if (!code) code = check_side(m->name, "visual", m->visual, sizes->visual_length, sizes->visual_depth);
    if (code) return code;
    if (m->same_sizes && (sizes->text_length != sizes->visual_length || sizes->text_depth != sizes->visual_depth))
        return fail(MUDPT_ARGUMENT, "%s couples text and visual prompts; their lengths and depths must be equal",
                    m->name);
    if ((code = check_training(m, sizes))) return code;
    if ((code = check_entry(m, &clip->config, sizes, classes))) return code;
    int context = m == &method_coop, coupled = m == &method_mudpt;
    if ((m->first_layer || m->class_aware) && sizes->text_depth != 1)
        return fail(MUDPT_ARGUMENT, "%s has prompts in the first layer only; text depth must be 1", m->name);
    if (sizes->class_position < 0 || sizes->class_position > 2 || (sizes->class_position && !context))
        return fail(MUDPT_ARGUMENT,
                    "class position %d is not possible with %s; valid: 0 end, with coop also 1 middle, 2 front",
                    sizes->class_position, m->name);
    if (sizes->class_specific && !context)
        return fail(MUDPT_ARGUMENT, "class-specific context is possible with coop only");
    if (sizes->layer0_fusion < 0 || sizes->layer0_fusion > 1 || sizes->class_specific < 0 || sizes->class_specific > 1)
        return fail(MUDPT_ARGUMENT, "layer-0 fusion and class-specific context are 0 or 1");
    if (sizes->layer0_fusion && !coupled) return fail(MUDPT_ARGUMENT, "layer-0 fusion is possible with mudpt only");
    int64_t contexts = sizes->class_specific || m->class_aware ? classes : 1;
    if (contexts * sizes->text_length * clip->config.text.width > MUDPT_MAX_TENSOR_VALUES)
        return fail(MUDPT_ARGUMENT,
                    "%d contexts of %d words have more than %d values; use fewer classes or one context", classes,
                    sizes->text_length, MUDPT_MAX_TENSOR_VALUES);
    *s = (method_state){.method = m, .clip = clip, .sizes = *sizes, .classes = classes};
    s->sizes.method = m->name;
    if (m->class_aware) { /* copies of the context, then each class's own rows */
        s->sizes.class_specific = 1;
        s->sizes.text_depth = 2;
    }
    s->text_rows = s->sizes.class_specific ? classes * sizes->text_length : sizes->text_length;
    int most = m == &method_maple ? MAPLE_MOST_LAYERS : m->of_space ? MMRL_MOST_LAYERS : MUDPT_MAX_LAYERS;
    if (sizes->text_depth > most)
        return fail(MUDPT_ARGUMENT, "%s has a projection a layer; its depth is %d, expected 1 to %d", m->name,
                    sizes->text_depth, most);
    if (m->declare) m->declare(s);
    if (s->oversized)
        return fail(MUDPT_ARGUMENT, "%s would train a tensor of more than %d values; use fewer prompts", m->name,
                    MUDPT_MAX_TENSOR_VALUES);
    if (s->total > PTRDIFF_MAX / sizeof(float)) return fail_memory(s->total * sizeof(float), "what is trained");
    return MUDPT_OK;
}

void method_take(method_state *s, arena *a, int training) {
    uint64_t text = (uint64_t)s->sizes.text_depth * (uint64_t)s->text_rows * (uint64_t)s->clip->config.text.width;
    uint64_t visual =
        (uint64_t)s->sizes.visual_depth * (uint64_t)s->sizes.visual_length * (uint64_t)s->clip->config.vision.width;
    s->text = arena_floats(a, text);
    s->visual = arena_floats(a, visual);
    size_t second = s->sizes.second > 0 ? (size_t)s->clip->config.vision.width * (size_t)s->clip->config.embed : 0;
    s->second = arena_floats(a, second);
    s->dsecond = training ? arena_floats(a, second) : NULL;
    s->dtext = training ? arena_floats(a, text) : NULL;
    s->dvisual = training ? arena_floats(a, visual) : NULL;
    s->gradients = training ? arena_floats(a, s->total) : NULL;
    s->velocity = training ? arena_floats(a, s->total) : NULL;
    s->square = training && s->method->adam_eps > 0 ? arena_floats(a, s->total) : NULL;
    s->average = training && s->sizes.averages ? arena_floats(a, s->total) : NULL;
    if (s->method->take) s->method->take(s, a);
}

void method_start(method_state *s, uint32_t seed, const int32_t *phrase) {
    int d = s->clip->config.text.width;
    for (int i = 0; i < s->parameter_count; i++) {
        const parameter *p = &s->parameters[i];
        float *value = s->values + p->offset;
        rng r;
        rng_seed(&r, seed, (uint64_t)i + 1);
        double bound = p->fan_in ? 1 / sqrt((double)p->fan_in) : 0;
        if (p->start == START_AGAIN)
            memcpy(value, s->values + s->parameters[i - p->fan_in].offset, (size_t)p->count * sizeof *value);
        for (int k = 0; k < p->count; k++) {
            switch (p->start) {
            case START_PHRASE:
            case START_NORMAL: value[k] = (float)(0.02 * rng_normal(&r)); break;
            case START_LINEAR: value[k] = (float)(bound * (2 * rng_uniform(&r) - 1)); break;
            case START_SCALED: value[k] = (float)(bound * rng_normal(&r)); break;
            case START_ONE: value[k] = 1; break;
            case START_ZERO: value[k] = 0; break;
            case START_AGAIN: break;
            }
        }
        for (int row = 0; phrase && p->start == START_PHRASE && row < p->count / d; row++)
            clip_token_row(s->clip, phrase[row % s->sizes.text_length], value + (size_t)row * (size_t)d);
    }
}
