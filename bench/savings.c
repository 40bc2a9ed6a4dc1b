/* What each saving of the towers gains, for bench/ours.js: ViT-B/16's towers with weights of noise, forward and back to
 * the prompts, with all savings or one of them left out. One at a time.
 */
#include <emscripten.h>

#include "../tests/c/complete.h"
#include "../tests/c/tiny_clip.h"
#include "base/parallel.h"
#include "base/work.h"

enum { PROMPTS = 4, BATCH = 4, SENTENCES = 20, CONTEXT = 77, VOCAB = 64, SOS = 0, SOS_AGAIN = 1, EOT = 63 };

/* In the order of bench/cases.js. */
typedef enum { RAGGED_TEXT, SHARED_PREFIX, START, NO_DW, STREAMING, LAST_ROW, FIRST_BACKWARD, PROMPT_ROWS } saving;

static struct {
    saving saving;
    int without, depth, group;
    mudpt_clip *clip;
    picture_tower pictures;
    sentence_tower sentences;
    float *values, *prompts, *dprompts, *features, *dfeatures, *dweight;
} s;

/* There is no device here (src/clip/device.c). */
int mudpt_host(int call, const void *a, const void *b, const void *c) {
    (void)call, (void)a, (void)b, (void)c;
    return 0;
}
void mudpt_host_release(uintptr_t weight) {
    (void)weight;
}

/* Names of one or two words behind the prompts; without raggedness all of 77 rows. */
static int open_text(void) {
    static int rows[SENTENCES * CONTEXT], lengths[SENTENCES], ends[SENTENCES];
    for (int k = 0; k < SENTENCES; k++) {
        int *row = rows + k * CONTEXT, length = 0;
        row[length++] = s.saving == SHARED_PREFIX && s.without && k == 0 ? SOS_AGAIN : SOS;
        for (int p = 0; p < PROMPTS; p++) row[length++] = -1 - p;
        for (int w = 0; w <= k % 2; w++) row[length++] = 3 + k + 20 * w;
        row[length++] = 2;
        ends[k] = length;
        row[length++] = EOT;
        lengths[k] = s.saving == RAGGED_TEXT && s.without ? CONTEXT : length;
    }
    const text_sentences given = {SENTENCES, CONTEXT, lengths, rows};
    completeness complete = COMPLETE_NOTHING;
    if (s.without && s.saving == RAGGED_TEXT) complete = COMPLETE_SENTENCES;
    if (s.without && s.saving == START) complete = COMPLETE_START;
    return open_sentences(&s.sentences, s.clip, &given, PROMPTS, s.depth, complete, ends);
}

static int open_images(void) {
    completeness complete = COMPLETE_NOTHING;
    if (s.without && s.saving == LAST_ROW) complete = COMPLETE_LAST_BLOCK;
    if (s.without && s.saving == FIRST_BACKWARD) complete = COMPLETE_FIRST_BACKWARD;
    if (s.without && s.saving == PROMPT_ROWS) complete = COMPLETE_PROMPT_ROWS;
    s.group = s.without && s.saving == STREAMING ? BATCH : 1;
    return open_pictures(&s.pictures, s.clip, PROMPTS, s.depth, s.group, complete);
}

/* 0 when it can be run. */
EMSCRIPTEN_KEEPALIVE int bench_saving_open(int which, int without, int threads) {
    int text = which <= START;
    s.saving = which;
    s.without = without;
    s.depth = which == FIRST_BACKWARD ? 1 : 12; /* deeper prompts need all of every other block's backward */
    const mudpt_clip_config config = {.image = 224,
                                      .patch = 16,
                                      .vision.width = 768,
                                      .vision.layers = text ? 1 : 12,
                                      .vision.heads = 12,
                                      .vision.mlp = 3072,
                                      .text.width = 512,
                                      .text.layers = text ? 12 : 1,
                                      .text.heads = 8,
                                      .text.mlp = 2048,
                                      .embed = 512,
                                      .context = CONTEXT,
                                      .vocab = VOCAB,
                                      .storage = MUDPT_F16,
                                      .mean = {0.5f, 0.5f, 0.5f},
                                      .std = {0.5f, 0.5f, 0.5f}};
    s.clip = tiny_clip(&config, 1);
    if (!s.clip) return MUDPT_MEMORY;
    int code = parallel_start(threads);
    if (!code) code = gemm_reserve(3072);
    if (!code) code = gemm_reserve_dense(3072, 201);
    if (!code) code = parallel_reserve(attention_scratch(201, 64));
    if (!code) code = text ? open_text() : open_images();
    s.values = random_values((size_t)BATCH * 3 * 224 * 224, 0, 1);
    s.prompts = random_values((size_t)12 * PROMPTS * 768, 0, 0.02);
    s.dfeatures = random_values((size_t)SENTENCES * 512, 0, 1);
    s.dprompts = random_values((size_t)12 * PROMPTS * 768, 0, 0);
    s.features = random_values((size_t)SENTENCES * 512, 0, 0);
    s.dweight = random_values((size_t)3072 * 768, 0, 0);
    return code;
}

/* dW [out, in] += dy [rows, out]' x [rows, in] of a weight; what is in them changes no speed. */
static void weight_gradient(int out, int in, int rows) {
    gemm_dense(s.dweight, in, s.pictures.scratch.g, 1, out, s.pictures.scratch.g, in, 1, out, in, rows, 1);
}

EMSCRIPTEN_KEEPALIVE void bench_saving_run(void) {
    if (s.saving <= START) {
        size_t layer = (size_t)PROMPTS * 512;
        text_forward(&s.sentences.text, s.features, s.prompts, s.prompts + layer);
        text_backward(&s.sentences.text, s.dprompts, s.dprompts + layer, s.dfeatures);
        return;
    }
    int pictures = s.saving == STREAMING ? BATCH : 1;
    for (int i = 0; i < pictures; i += s.group) {
        vision_forward(&s.pictures.vision, s.features, s.values + (size_t)i * 3 * 224 * 224, s.prompts, s.group);
        pictures_backward(&s.pictures, s.dprompts, s.dfeatures, s.group);
    }
    for (int l = 0; s.saving == NO_DW && s.without && l < 12; l++) {
        int rows = s.pictures.vision.tower.rows, outs = tower_layout_of(&s.pictures.vision.tower, l)->outs;
        weight_gradient(3 * 768, 768, rows);
        weight_gradient(768, 768, outs);
        weight_gradient(3072, 768, outs);
        weight_gradient(768, 3072, outs);
    }
}

/* FLOP so far. */
EMSCRIPTEN_KEEPALIVE double bench_saving_work(void) {
    return work_done.products + work_done.attention;
}

/* Bytes of activations and scratch; 0 where complete.h has taken some of them twice. */
EMSCRIPTEN_KEEPALIVE double bench_saving_bytes(void) {
    if (s.saving <= START) return s.without && s.saving == RAGGED_TEXT ? 0 : (double)s.sentences.memory.size;
    return s.pictures.complete ? 0 : (double)s.pictures.memory.size;
}
