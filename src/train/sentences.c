/* The classes' sentences: checked and kept as rows of the text tower, and encoded by a tower of their own. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "classifier.h"

/* Prompt rows that are rows of their own, of which the sentences say nothing. */
static int inserted_rows(const mudpt_classifier *c) {
    return c->state.sizes.inserted ? c->state.sizes.text_length : 0;
}

/* Ids become row sources; the prompts' placeholders become prompt rows, in the place that the method gives them, or
 * these are put in front of the words. */
static void place_rows(mudpt_classifier *c, const mudpt_sentences *s, int sentence, int *rows) {
    const mudpt_method *m = &c->state.sizes;
    const int32_t *ids = s->ids + (size_t)sentence * (size_t)s->stride;
    int n = m->text_length, class = sentence % c->classes, first = m->class_specific ? class * n : 0;
    for (int i = 0, more = inserted_rows(c); i < s->lengths[sentence]; i++)
        rows[i < !c->clip->config.no_start ? i : i + more] = ids[i];
    if (!n) return;
    int before = m->class_position == 0 ? n : m->class_position == 1 ? n / 2 : 0;
    int name = m->class_position == 0 ? 0 : s->name_lengths[class];
    int start = !c->clip->config.no_start, at = start;
    for (int i = 0; i < before; i++) rows[at++] = -1 - (first + i);
    for (int i = 0; i < name; i++) rows[at++] = ids[start + n + i];
    for (int i = before; i < n; i++) rows[at++] = -1 - (first + i);
}

static int check_sentences(const mudpt_classifier *c, const mudpt_sentences *s) {
    const mudpt_clip_config *config = &c->clip->config;
    int n = c->state.sizes.text_length - inserted_rows(c), start = !config->no_start;
    for (int i = 0; i < s->templates * s->classes; i++) {
        int length = s->lengths[i], class = i % s->classes;
        if (length > config->context)
            return fail(
                MUDPT_ARGUMENT,
                "the sentence of class %d has %d tokens; the model reads %d: shorten the class name or the template",
                class, length, config->context);
        if (length < start + n + 1 || length > s->stride)
            return fail(MUDPT_ARGUMENT, "the sentence of class %d has %d tokens; expected %d to %d", class, length,
                        start + n + 1, s->stride);
        if (c->state.sizes.class_position &&
            (s->name_lengths[class] < 0 || s->name_lengths[class] > length - start - n - 1))
            return fail(MUDPT_ARGUMENT, "the name of class %d has %d tokens; its sentence has room for %d", class,
                        s->name_lengths[class], length - start - n - 1);
        for (int k = 0; k < length; k++) {
            int id = s->ids[(size_t)i * (size_t)s->stride + (size_t)k];
            int placeholder = k >= start && k < start + n && !c->enters;
            if (!placeholder && (id < 0 || id >= config->vocab))
                return fail(MUDPT_ARGUMENT, "the sentence of class %d has token id %d; the vocabulary has 0 to %d",
                            class, id, config->vocab - 1);
        }
    }
    return MUDPT_OK;
}

int classifier_keep_sentences(mudpt_classifier *c, const mudpt_sentences *s) {
    int code = check_sentences(c, s);
    if (code) return code;
    const mudpt_clip_config *config = &c->clip->config;
    size_t count = (size_t)s->templates * (size_t)s->classes;
    int filled = clip_fills_sentences(config), reads_ends = filled && config->text.pooling == MUDPT_POOL_TOKEN;
    int more = inserted_rows(c), below = c->enters && c->state.method->text;
    c->templates = s->templates;
    if (filled) c->stride = config->context;
    for (size_t i = 0; i < count; i++)
        if (s->lengths[i] > c->stride) c->stride = s->lengths[i];
    c->stride += more;
    size_t all = size_times(count, (size_t)c->stride);
    if (below) {
        c->below_rows = calloc(all, sizeof(int));
        c->below_lengths = malloc(count * sizeof(int));
    }
    c->rows = calloc(all, sizeof(int));
    c->lengths = malloc(count * sizeof(int));
    if (reads_ends) c->ends = malloc(count * sizeof(int));
    if (!c->rows || !c->lengths || (reads_ends && !c->ends) || (below && (!c->below_rows || !c->below_lengths)))
        return fail_memory((uint64_t)all * sizeof(int), "the classes' sentences");
    for (size_t i = 0; i < count; i++) {
        int *rows = c->rows + i * (size_t)c->stride;
        c->lengths[i] = filled ? c->stride : s->lengths[i] + more;
        if (reads_ends) c->ends[i] = s->lengths[i] - 1 + more;
        place_rows(c, s, (int)i, rows);
        for (int k = s->lengths[i] + more; k < c->lengths[i]; k++) rows[k] = config->pad;
        if (!below) continue;
        int *words = c->below_rows + i * (size_t)c->stride, length = c->lengths[i] - more;
        c->below_lengths[i] = length;
        for (int k = 0; k < length; k++)
            words[k] = k < s->lengths[i] ? s->ids[i * (size_t)s->stride + (size_t)k] : config->pad;
    }
    return MUDPT_OK;
}

uint64_t classifier_sentence_bytes(const mudpt_classifier *c) {
    uint64_t each = ((uint64_t)c->stride + 1) * (c->below_rows ? 2 : 1) + (c->ends != NULL);
    return (uint64_t)c->templates * (uint64_t)c->classes * each * sizeof(int);
}

text_sentences classifier_sentences(const mudpt_classifier *c, int template, int first, int count) {
    size_t at = (size_t) template * (size_t)c->classes + (size_t)first;
    return (text_sentences){.count = count,
                            .stride = c->stride,
                            .lengths = c->lengths + at,
                            .rows = c->rows + at * (size_t)c->stride,
                            .both_ways = c->clip->config.no_mask,
                            .second = c->state.method->class_aware ? c->state.sizes.layer : 0,
                            .entry = c->below_rows ? &c->entry : NULL,
                            .below_lengths = c->below_rows ? c->below_lengths + at : NULL,
                            .below_rows = c->below_rows ? c->below_rows + at * (size_t)c->stride : NULL,
                            .ends = c->ends ? c->ends + at : NULL};
}

/* Whether what the sentences need of the model has been sent. */
int classifier_check_tokens(const mudpt_classifier *c) {
    if (c->clip->config.text_side == MUDPT_TEXT_NONE)
        return fail(MUDPT_STATE, "the model was loaded without its text tower; text features must be given");
    size_t count = (size_t)c->templates * (size_t)c->classes;
    for (size_t i = 0; i < count; i++)
        for (int k = 0; k < c->lengths[i]; k++) {
            size_t at = i * (size_t)c->stride + (size_t)k;
            int id = c->below_rows && k < c->below_lengths[i] ? c->below_rows[at] : c->rows[at];
            if (id >= 0 && !mudpt_clip_has_token(c->clip, id))
                return fail(MUDPT_STATE, "row %d of the token embedding has not been sent", id);
        }
    return MUDPT_OK;
}

/* Takes, or counts, the memory of a tower of its own. */
static void take_encoding(const mudpt_classifier *c, const text_sentences *s, arena *a, text *tower,
                          tower_scratch *scratch) {
    const mudpt_tower *t = &c->clip->config.text;
    uint64_t rows = (uint64_t)text_most_rows(s);
    tower_take_scratch(scratch, a, rows * (uint64_t)t->width, rows * (uint64_t)t->mlp);
    text_open(tower, a, c->clip, s, c->state.text_rows, c->state.sizes.text_depth, TOWER_FORWARD, scratch);
}

uint64_t classifier_encoding_bytes(const mudpt_classifier *c) {
    uint64_t most = 0;
    int none = !c->rows || c->state.method->conditional; /* whose sentences are a picture's */
    for (int template = 0; !none && template <c->templates; template ++) {
        for (int first = 0; first < c->classes; first += SENTENCES) {
            int left = c->classes - first;
            text_sentences sentences = classifier_sentences(c, template, first, left < SENTENCES ? left : SENTENCES);
            arena memory = {0};
            tower_scratch scratch;
            text tower;
            take_encoding(c, &sentences, &memory, &tower, &scratch);
            if (memory.used > most) most = memory.used;
        }
    }
    return most;
}

int classifier_open_encoding(const mudpt_classifier *c, arena *memory) {
    *memory = (arena){.used = classifier_encoding_bytes(c)};
    return arena_open(memory, "encoding class names");
}

void classifier_encode_sentences(mudpt_classifier *c, const arena *memory, int template, int first, int count,
                                 float *features, float *rows, int *broken) {
    const mudpt_clip_config *config = &c->clip->config;
    text_sentences sentences = classifier_sentences(c, template, first, count);
    arena place = *memory;
    tower_scratch scratch;
    text tower;
    take_encoding(c, &sentences, &place, &tower, &scratch);
    size_t layer = (size_t)c->state.text_rows * (size_t)config->text.width;
    tower.tower.broken = broken;
    if (tower.below) tower.below->tower.broken = broken;
    text_forward(&tower, features, c->state.text, c->state.text + layer);
    if (rows) memcpy(rows, tower.rows, (size_t)count * (size_t)config->text.width * sizeof(float));
}
