/* What the towers do not compute changes nothing: each saving against the same tower without it (complete.h), features
 * and gradients of the prompts, bit for bit.
 *
 * Others have tests of their own: image streaming (a batch is the mean of its pictures) and frozen weights
 * (gradients are those of finite differences) in test_gradients.c, what is computed once a run in test_reuse.c.
 */
#include "check.h"
#include "complete.h"
#include "tiny_clip.h"

#include "base/parallel.h"

enum { PROMPTS = 3, SENTENCES = 5 };

static mudpt_clip_config deep_config(void) {
    mudpt_clip_config config = odd_config;
    config.vision.layers = config.text.layers = 4;
    return config;
}

/* `count` values of each; allowed: how far apart they may be, against the largest. */
static void compare(const char *what, const float *got, const float *want, size_t count, double allowed) {
    double worst = 0, largest = 0;
    for (size_t i = 0; i < count; i++) {
        worst = fmax(worst, fabs((double)got[i] - want[i]));
        largest = fmax(largest, fabs(want[i]));
    }
    CHECK(largest > 0, "%s: there is nothing", what);
    CHECK(worst <= allowed * largest, "%s is off by %.3g of %.3g", what, worst, largest);
}

/* Features [e] and gradients [depth, PROMPTS, d_v] of one picture. */
static void run_picture(const mudpt_clip *clip, int depth, completeness complete, float *features, float *dprompts) {
    const mudpt_clip_config *c = &clip->config;
    picture_tower p;
    random_state = 5;
    float *pixels = random_values((size_t)(3 * c->image * c->image), 0, 1);
    float *prompts = random_values((size_t)(depth * PROMPTS * c->vision.width), 0, 0.5);
    float *dfeatures = random_values((size_t)c->embed, 0, 1);
    CHECK(open_pictures(&p, clip, PROMPTS, depth, 1, complete) == MUDPT_OK, "%s", mudpt_last_error());
    vision_forward(&p.vision, features, pixels, prompts, 1);
    pictures_backward(&p, dprompts, dfeatures, 1);
    arena_close(&p.memory);
    free(pixels);
    free(prompts);
    free(dfeatures);
}

static void check_pictures(const mudpt_clip *clip) {
    static const struct {
        const char *name;
        int depth;
        completeness complete;
        int backward;
    } cases[] = {
        {"the last block's rows, prompts in every layer", 4, COMPLETE_LAST_BLOCK, 1},
        {"the last block's rows, prompts in the first layer", 1, COMPLETE_LAST_BLOCK, 1},
        {"prompt rows that are replaced", 4, COMPLETE_PROMPT_ROWS, 0},
        {"the first block's backward", 1, COMPLETE_FIRST_BACKWARD, 1},
    };
    size_t e = (size_t)clip->config.embed, layer = (size_t)PROMPTS * (size_t)clip->config.vision.width;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t count = layer * (size_t)cases[i].depth;
        float *features[2], *dprompts[2];
        for (int complete = 0; complete < 2; complete++) {
            features[complete] = calloc(e, sizeof(float));
            dprompts[complete] = calloc(count, sizeof(float));
            run_picture(clip, cases[i].depth, complete ? cases[i].complete : COMPLETE_NOTHING, features[complete],
                        dprompts[complete]);
        }
        compare(cases[i].name, features[0], features[1], e, 0);
        if (cases[i].backward) compare(cases[i].name, dprompts[0], dprompts[1], count, 0);
        for (int complete = 0; complete < 2; complete++) {
            free(features[complete]);
            free(dprompts[complete]);
        }
    }
}

enum { SOS = 51, SOS_AGAIN = 50, EOT = 52, CONTEXT = 24 };

/* Sentences as methods make them: start, prompts, a name of 1 to 4 words, a full stop, end. */
static text_sentences sentences(int *rows, int *lengths) {
    for (int k = 0; k < SENTENCES; k++) {
        int *row = rows + k * CONTEXT, length = 0;
        row[length++] = SOS;
        for (int p = 0; p < PROMPTS; p++) row[length++] = -1 - p;
        for (int w = 0; w <= k * 3 % 4; w++) row[length++] = 5 + 7 * k + w;
        row[length++] = 3;
        row[length++] = EOT;
        lengths[k] = length;
        for (int i = length; i < CONTEXT; i++) row[i] = (k + i) % 11; /* whatever stands behind */
    }
    return (text_sentences){.count = SENTENCES, .stride = CONTEXT, .lengths = lengths, .rows = rows};
}

/* Features [SENTENCES, e], and gradients of the first layer's prompts and of the others. */
static void run_sentences(const mudpt_clip *clip, const text_sentences *s, int depth, completeness complete,
                          const int *ends, float *features, float *dprompts, int *prefix) {
    const mudpt_clip_config *c = &clip->config;
    size_t layer = (size_t)(PROMPTS * c->text.width);
    sentence_tower p;
    random_state = 6;
    float *prompts = random_values(layer * (size_t)depth, 0, 0.5);
    float *dfeatures = random_values((size_t)(SENTENCES * c->embed), 0, 1);
    CHECK(open_sentences(&p, clip, s, PROMPTS, depth, complete, ends) == MUDPT_OK, "%s", mudpt_last_error());
    text_forward(&p.text, features, prompts, prompts + layer);
    text_backward(&p.text, dprompts, dprompts + layer, dfeatures);
    *prefix = p.text.prefix;
    arena_close(&p.memory);
    free(prompts);
    free(dfeatures);
}

static void check_sentences(mudpt_clip *clip) {
    size_t e = (size_t)clip->config.embed, d = (size_t)clip->config.text.width;
    int rows[SENTENCES * CONTEXT], apart[SENTENCES * CONTEXT], lengths[SENTENCES], ends[SENTENCES], whole[SENTENCES];
    text_sentences ragged = sentences(rows, lengths), padded = ragged, unshared = ragged;
    for (int k = 0; k < SENTENCES; k++) {
        ends[k] = lengths[k] - 1;
        whole[k] = CONTEXT;
    }
    padded.lengths = whole;
    /* One sentence begins with another token, which means the same. */
    float *table = clip->token_embedding;
    memcpy(table + SOS_AGAIN * d, table + SOS * d, d * sizeof *table);
    memcpy(apart, rows, sizeof apart);
    apart[0] = SOS_AGAIN;
    unshared.rows = apart;
    for (int depth = 1; depth <= 4; depth += 3) {
        enum { WAYS = 5 };
        static const char *names[WAYS] = {NULL, "rows behind end of text", "the shared prefix",
                                          "prompt rows of text that are replaced", "start of text"};
        const text_sentences *given[WAYS] = {&ragged, &padded, &unshared, &ragged, &ragged};
        const completeness complete[WAYS] = {COMPLETE_NOTHING, COMPLETE_SENTENCES, COMPLETE_NOTHING,
                                             COMPLETE_PROMPT_ROWS, COMPLETE_START};
        size_t count = (size_t)depth * PROMPTS * d;
        float *features[WAYS], *dprompts[WAYS];
        for (int i = 0; i < WAYS; i++) {
            int prefix;
            features[i] = calloc(SENTENCES * e, sizeof(float));
            dprompts[i] = calloc(count, sizeof(float));
            run_sentences(clip, given[i], depth, complete[i], ends, features[i], dprompts[i], &prefix);
            CHECK(prefix == (i == 2 ? 0 : 1 + PROMPTS), "%d rows are shared", prefix);
            if (i) compare(names[i], features[0], features[i], SENTENCES * e, 0);
            /* without a shared prefix its gradients are added up in another order */
            if (i && complete[i] != COMPLETE_PROMPT_ROWS)
                compare(names[i], dprompts[0], dprompts[i], count, i == 2 ? 3e-6 : 0);
        }
        for (int i = 0; i < WAYS; i++) {
            free(features[i]);
            free(dprompts[i]);
        }
    }
}

/* Prompts that take the place of words from block 2 on: by themselves, and in a tower that computes all blocks alike */
static void check_upper_sentences(mudpt_clip *clip) {
    enum { LAYER = 2, DEPTH = 2 };
    size_t e = (size_t)clip->config.embed, d = (size_t)clip->config.text.width, layer = PROMPTS * d;
    int rows[SENTENCES * CONTEXT], words[SENTENCES * CONTEXT], lengths[SENTENCES];
    const tower_entry entry = {.layer = LAYER};
    text_sentences whole = sentences(rows, lengths), upper = whole;
    for (int i = 0; i < SENTENCES * CONTEXT; i++) words[i] = rows[i] < 0 ? 19 - rows[i] : rows[i];
    whole.second = LAYER;
    upper.entry = &entry;
    upper.below_lengths = lengths;
    upper.below_rows = words;
    random_state = 8;
    float *prompts = random_values(layer * (1 + DEPTH), 0, 0.5), *dfeatures = random_values(SENTENCES * e, 0, 1);
    for (int p = 0; p < PROMPTS; p++) clip_token_row(clip, 20 + p, prompts + (size_t)p * d);
    float *features[2], *dprompts[2];
    for (int i = 0; i < 2; i++) {
        sentence_tower p;
        features[i] = calloc(SENTENCES * e, sizeof(float));
        dprompts[i] = calloc(layer * (1 + DEPTH), sizeof(float));
        CHECK(open_sentences(&p, clip, i ? &upper : &whole, PROMPTS, i ? DEPTH : 1 + DEPTH, COMPLETE_NOTHING, NULL) ==
                  MUDPT_OK,
              "%s", mudpt_last_error());
        float *first = prompts + (i ? layer : 0), *dfirst = dprompts[i] + (i ? layer : 0);
        for (int again = 0; again <= i; again++) text_forward(&p.text, features[i], first, first + layer);
        text_backward(&p.text, dfirst, dfirst + layer, dfeatures);
        arena_close(&p.memory);
    }
    compare("blocks of text below the prompts", features[1], features[0], SENTENCES * e, 0);
    compare("the same, backward", dprompts[1] + layer, dprompts[0] + layer, layer * DEPTH, 0);
    for (int i = 0; i < 2; i++) {
        free(features[i]);
        free(dprompts[i]);
    }
    free(prompts);
    free(dfeatures);
}

/* Pictures without prompts, in one go and in two parts, of which the first is computed for other pictures at once. */
static void check_parts(const mudpt_clip *clip) {
    const tower_entry entry = {.layer = 1};
    size_t e = (size_t)clip->config.embed, picture = (size_t)(3 * clip->config.image * clip->config.image);
    float *pixels = random_values(3 * picture, 0, 1), features[2][3 * 64], below[3 * 4096];
    picture_tower p;
    CHECK(open_pictures(&p, clip, 0, 0, 3, COMPLETE_NOTHING) == MUDPT_OK, "%s", mudpt_last_error());
    vision_forward(&p.vision, features[0], pixels, NULL, 3);
    size_t row = (size_t)p.vision.seen * (size_t)clip->config.vision.width;
    arena_close(&p.memory);
    CHECK(3 * e <= 3 * 64 && row <= 4096, "larger than the test's arrays");
    p = (picture_tower){.complete = COMPLETE_NOTHING};
    for (int pass = 0; pass < 2; pass++) {
        tower_take_scratch(&p.scratch, &p.memory, vision_row_floats(clip, 0, 3), vision_mlp_floats(clip, 0, 3));
        vision_open(&p.vision, &p.memory, clip, 0, 0, &entry, 3, TOWER_FORWARD, &p.scratch);
        if (pass == 0) CHECK(arena_open(&p.memory, "a picture tower") == MUDPT_OK, "%s", mudpt_last_error());
    }
    vision_below(&p.vision, below, pixels, 2);
    vision_below(&p.vision, below + 2 * row, pixels + 2 * picture, 1);
    vision_above(&p.vision, features[1], below, NULL, 1);
    vision_above(&p.vision, features[1] + e, below + row, NULL, 2);
    compare("pictures in two parts", features[1], features[0], 3 * e, 0);
    arena_close(&p.memory);
    free(pixels);
}

int main(void) {
    mudpt_clip_config config = deep_config();
    mudpt_clip *clip = tiny_clip(&config, 1);
    CHECK(clip != NULL, "%s", mudpt_last_error());
    if (!clip) return check_report();
    CHECK(gemm_reserve(256) == MUDPT_OK && parallel_reserve(attention_scratch(64, 64)) == MUDPT_OK, "reserve");
    check_pictures(clip);
    check_sentences(clip);
    check_upper_sentences(clip);
    check_parts(clip);
    mudpt_clip_free(clip);
    return check_report();
}
