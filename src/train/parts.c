/* The text tower of training over all sentences at once or, where these would take too much memory, over parts of them,
 * one after the other: once forward for their features, once more forward and backward. What all sentences begin with
 * is a few rows, computed with every part; its gradients are carried from part to part (clip/tower.h), so that every
 * sum has the order that it has at once.
 */
#include <string.h>

#include "classifier.h"

uint64_t parts_most = 1 << 30, parts_each = 128 << 20;

/* Bytes that a row takes: what the blocks keep for backward, and the scratch of the one that runs. */
static uint64_t row_bytes(const mudpt_clip_config *c, tower_mode mode) {
    uint64_t d = (uint64_t)c->text.width, mlp = (uint64_t)c->text.mlp, layers = (uint64_t)c->text.layers;
    uint64_t kept = 5 * d + mlp, scratch = 8 * d + mlp;
    if (mode == TOWER_BACKWARD) scratch += layers * kept;
    if (mode == TOWER_RECOMPUTE) scratch += layers * d + kept;
    return scratch * sizeof(float);
}

static text_sentences part_of(const mudpt_classifier *c, int first, int count, int prefix) {
    text_sentences part = classifier_sentences(c, 0, first, count);
    part.is_part = 1;
    part.prefix = prefix;
    return part;
}

/* Sentences from `first` on that make a part. */
static int part_length(const mudpt_classifier *c, const text_parts *p, int first) {
    uint64_t rows = p->each / row_bytes(&c->clip->config, p->mode);
    int count = 0;
    for (uint64_t now = 0; first + count < c->classes; count++) {
        now += (uint64_t)(c->lengths[first + count] - p->prefix);
        if (count && now > rows) break;
    }
    return count;
}

static void open_part(mudpt_classifier *c, classifier_work *w, arena *a, int first) {
    const method_state *s = &c->state;
    text_sentences part = part_of(c, first, part_length(c, &w->parts, first), w->parts.prefix);
    text_open(&w->text, a, c->clip, &part, s->text_rows, s->sizes.text_depth, w->parts.mode, &w->scratch);
    w->text.tower.constants = w->parts.constants;
    w->text.tower.carry = w->parts.carry;
    w->text.constants_known = w->parts.constants_known;
    if (first + part.count == c->classes) w->text.tower.part = PART_LAST;
}

int parts_plan(const mudpt_classifier *c, text_parts *p, tower_mode mode) {
    text_sentences all = classifier_sentences(c, 0, 0, c->classes);
    uint64_t most = mode == TOWER_RECOMPUTE ? parts_each : parts_most;
    int rows = text_row_count(&all), largest = 0;
    *p = (text_parts){.count = 1, .mode = mode, .each = parts_each, .prefix = text_prefix(&all)};
    if (c->classes == 1 || (uint64_t)rows * row_bytes(&c->clip->config, mode) <= most) return rows;
    /* What a part keeps is small as it is. */
    if (mode == TOWER_RECOMPUTE) p->mode = TOWER_BACKWARD;
    p->count = 0;
    for (int first = 0, count; first < c->classes; first += count, p->count++) {
        count = part_length(c, p, first);
        text_sentences part = part_of(c, first, count, p->prefix);
        rows = text_row_count(&part);
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
    const mudpt_tower *t = &c->clip->config.text;
    uint64_t row = (uint64_t)t->layers * 2 * (uint64_t)t->width;
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
