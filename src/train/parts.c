/* The text tower of training over all sentences at once or, where these would take too much memory, over parts of them,
 * one after the other: once forward for their features, once more forward and backward. What all sentences begin with
 * is a few rows, computed with every part; its gradients are carried from part to part (clip/tower.h), so that every
 * sum has the order that it has at once. What lies below prompts of upper layers is computed with every part, too:
 * rows of all sentences are what there is no room for.
 */
#include <string.h>

#include "classifier.h"

uint64_t parts_most = 1 << 30, parts_each = 128 << 20;

/* Blocks that keep something: those that prompts enter, and above. */
static uint64_t kept_layers(const mudpt_classifier *c) {
    return (uint64_t)(c->clip->config.text.layers - (c->enters ? c->entry.layer : 0));
}

/* Bytes that a row takes: what the blocks keep for backward, the scratch of the one that runs, and where prompts enter
 * higher up what enters with them. */
static uint64_t row_bytes(const mudpt_classifier *c, tower_mode mode) {
    const mudpt_tower *t = &c->clip->config.text;
    uint64_t d = (uint64_t)t->width, mlp = (uint64_t)t->mlp, layers = kept_layers(c);
    uint64_t kept = 5 * d + mlp, scratch = (uint64_t)(8 + c->enters) * d + mlp;
    if (mode == TOWER_BACKWARD) scratch += layers * kept;
    if (mode == TOWER_RECOMPUTE) scratch += layers * d + kept;
    return scratch * sizeof(float);
}

static text_sentences part_of(const mudpt_classifier *c, const text_parts *p, int first, int count) {
    text_sentences part = classifier_sentences(c, 0, first, count);
    part.is_part = 1;
    part.prefix = p->prefix;
    part.below_prefix = p->below_prefix;
    return part;
}

/* Sentences from `first` on that make a part. */
static int part_length(const mudpt_classifier *c, const text_parts *p, int first) {
    uint64_t rows = p->each / row_bytes(c, p->mode);
    int count = 0;
    for (uint64_t now = 0; first + count < c->classes; count++) {
        now += (uint64_t)(c->lengths[first + count] - p->prefix);
        if (count && now > rows) break;
    }
    return count;
}

static void open_part(mudpt_classifier *c, classifier_work *w, arena *a, int first) {
    const method_state *s = &c->state;
    text_sentences part = part_of(c, &w->parts, first, part_length(c, &w->parts, first));
    text_open(&w->text, a, c->clip, &part, s->text_rows, s->sizes.text_depth, w->parts.mode, &w->scratch);
    w->text.tower.constants = w->parts.constants;
    w->text.tower.carry = w->parts.carry;
    w->text.constants_known = w->parts.constants_known;
    if (first + part.count == c->classes) w->text.tower.part = PART_LAST;
}

int parts_plan(const mudpt_classifier *c, text_parts *p, tower_mode mode) {
    text_sentences all = classifier_sentences(c, 0, 0, c->classes);
    uint64_t most = mode == TOWER_RECOMPUTE ? parts_each : parts_most;
    int rows = text_most_rows(&all), largest = 0;
    *p = (text_parts){.count = 1, .mode = mode, .each = parts_each, .prefix = text_prefix(&all)};
    p->below_prefix = text_prefix_below(&all);
    if (c->classes == 1 || (uint64_t)rows * row_bytes(c, mode) <= most) return rows;
    /* What a part keeps is small as it is. */
    if (mode == TOWER_RECOMPUTE) p->mode = TOWER_BACKWARD;
    p->count = 0;
    for (int first = 0, count; first < c->classes; first += count, p->count++) {
        count = part_length(c, p, first);
        text_sentences part = part_of(c, p, first, count);
        rows = text_most_rows(&part);
        if (rows > largest) largest = rows;
    }
    return largest;
}

void parts_take(mudpt_classifier *c, classifier_work *w) {
    text_parts *p = &w->parts;
    const method_state *s = &c->state;
    if (p->count == 1) {
        text_sentences all = classifier_sentences(c, 0, 0, c->classes);
        text_open(&w->text, &w->memory, c->clip, &all, s->text_rows, s->sizes.text_depth, p->mode, &w->scratch);
        return;
    }
    uint64_t row = kept_layers(c) * 2 * (uint64_t)c->clip->config.text.width;
    p->constants = arena_floats(&w->memory, row);
    p->carry_floats = row * (uint64_t)p->prefix;
    p->carry = p->mode == TOWER_FORWARD ? NULL : arena_floats(&w->memory, p->carry_floats);
    p->start = w->memory.used;
    for (int first = 0; first < c->classes; first += w->text.count) { /* as large as the largest */
        arena trial = {.used = p->start};
        open_part(c, w, &trial, first);
        if (trial.used > w->memory.used) w->memory.used = trial.used;
    }
}

/* Opens the next part, which begins where the last has ended. */
static void next_part(mudpt_classifier *c, int first) {
    arena place = c->work.memory;
    if (c->work.parts.count == 1) return;
    place.used = c->work.parts.start;
    open_part(c, &c->work, &place, first);
}

static void part_forward(mudpt_classifier *c, int first) {
    const method_state *s = &c->state;
    size_t layer = (size_t)s->text_rows * (size_t)c->clip->config.text.width;
    text_forward(&c->work.text, c->text_features + (size_t)first * (size_t)c->clip->config.embed, s->text,
                 s->text + layer);
    c->work.parts.constants_known = c->work.text.constants_known;
}

void parts_forward(mudpt_classifier *c) {
    for (int first = 0; first < c->classes; first += c->work.text.count) {
        next_part(c, first);
        part_forward(c, first);
    }
}

void parts_backward(mudpt_classifier *c) {
    const method_state *s = &c->state;
    const classifier_work *w = &c->work;
    size_t layer = (size_t)s->text_rows * (size_t)c->clip->config.text.width;
    if (w->parts.carry) memset(w->parts.carry, 0, (size_t)w->parts.carry_floats * sizeof(float));
    for (int first = 0; first < c->classes; first += w->text.count) {
        next_part(c, first);
        if (w->parts.count > 1) part_forward(c, first);
        text_backward(&c->work.text, s->dtext, s->dtext + layer,
                      w->dtext_features + (size_t)first * (size_t)c->clip->config.embed);
    }
}
