/* The token embedding: one row a token id, all of them at once or, with MUDPT_TEXT_ROWS, only those that are needed. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/half.h"
#include "weights.h"

static size_t row_bytes(const mudpt_clip *clip) {
    return (size_t)clip->config.text.width * (clip->token_storage == MUDPT_F32 ? sizeof(float) : sizeof(uint16_t));
}

int mudpt_clip_has_token(const mudpt_clip *clip, int id) {
    if (id < 0 || id >= clip->config.vocab || !clip->token_embedding) return 0;
    return !clip->token_slots || clip->token_slots[id] >= 0;
}

void clip_token_row(const mudpt_clip *clip, int id, float *out) {
    size_t d = (size_t)clip->config.text.width, row = (size_t)(clip->token_slots ? clip->token_slots[id] : id);
    if (clip->token_storage == MUDPT_F32) {
        memcpy(out, (const float *)clip->token_embedding + row * d, d * sizeof(float));
        return;
    }
    const uint16_t *halves = (const uint16_t *)clip->token_embedding + row * d;
    for (size_t i = 0; i < d; i++) out[i] = half_to_float(halves[i]);
}

int clip_store_token_row(mudpt_clip *clip, int row, const float *values) {
    size_t d = (size_t)clip->config.text.width;
    if (clip->token_storage == MUDPT_F32) {
        memcpy((float *)clip->token_embedding + (size_t)row * d, values, d * sizeof(float));
        return MUDPT_OK;
    }
    uint16_t *out = (uint16_t *)clip->token_embedding + (size_t)row * d;
    for (size_t i = 0; i < d; i++) {
        if (fabsf(values[i]) > 65504.0f)
            return fail(MUDPT_MODEL, "the token embedding holds %g, which f16 cannot; load it with storage type f32",
                        (double)values[i]);
        out[i] = half_from_float(values[i]);
    }
    return MUDPT_OK;
}

int mudpt_clip_token_distances(const mudpt_clip *clip, const float *vector, float *out) {
    if (live_check(clip, LIVE_CLIP)) return MUDPT_STATE;
    if (clip->config.text_side == MUDPT_TEXT_NONE)
        return fail(MUDPT_STATE, "the model was loaded without its text tower");
    if (!clip->finished) return fail(MUDPT_STATE, "the model's weights are not complete");
    size_t d = (size_t)clip->config.text.width;
    float *row = malloc(d * sizeof(float));
    if (!row) return fail_memory(d * sizeof(float), "a row of the token embedding");
    for (int id = 0; id < clip->config.vocab; id++) {
        out[id] = INFINITY;
        if (!mudpt_clip_has_token(clip, id)) continue;
        clip_token_row(clip, id, row);
        double sum = 0;
        for (size_t i = 0; i < d; i++) sum += (double)(row[i] - vector[i]) * (double)(row[i] - vector[i]);
        out[id] = (float)sqrt(sum);
    }
    free(row);
    return MUDPT_OK;
}

/* Room for one more row: twice as much as there was. */
static int grow(mudpt_clip *clip) {
    if (clip->token_rows < clip->token_room) return MUDPT_OK;
    int room = clip->token_room ? 2 * clip->token_room : 64;
    void *larger = aligned_take((size_t)room * row_bytes(clip), "rows of the token embedding");
    if (!larger) return MUDPT_MEMORY;
    if (clip->token_rows) memcpy(larger, clip->token_embedding, (size_t)clip->token_rows * row_bytes(clip));
    aligned_release(clip->token_embedding);
    clip->token_embedding = larger;
    clip->bytes += (size_t)(room - clip->token_room) * row_bytes(clip);
    clip->token_room = room;
    return MUDPT_OK;
}

int mudpt_clip_token(mudpt_clip *clip, int id, int dtype, const void *data) {
    if (live_check(clip, LIVE_CLIP)) return MUDPT_STATE;
    const mudpt_clip_config *c = &clip->config;
    if (c->text_side != MUDPT_TEXT_ROWS)
        return fail(MUDPT_STATE, "the model does not take its token embedding by rows");
    if (id < 0 || id >= c->vocab)
        return fail(MUDPT_ARGUMENT, "token id %d; the vocabulary has 0 to %d", id, c->vocab - 1);
    if (dtype != MUDPT_F32 && dtype != MUDPT_F16 && dtype != MUDPT_BF16)
        return fail(MUDPT_MODEL, "the token embedding has a type that is unknown; expected F32, F16 or BF16");
    if (mudpt_clip_has_token(clip, id)) return MUDPT_OK;
    if (!clip->token_slots) {
        clip->token_slots = malloc((size_t)c->vocab * sizeof(int));
        if (!clip->token_slots) return fail_memory((size_t)c->vocab * sizeof(int), "the list of token rows");
        for (int i = 0; i < c->vocab; i++) clip->token_slots[i] = -1;
        int as_sent = c->storage == -1 && dtype != MUDPT_F16;
        clip->token_storage = c->storage == MUDPT_F32 || as_sent ? MUDPT_F32 : MUDPT_F16;
    }
    size_t d = (size_t)c->text.width;
    float *values = malloc(d * sizeof(float));
    if (!values) return fail_memory(d * sizeof(float), "a row of the token embedding");
    clip_widen(dtype, values, data, d);
    int code = MUDPT_OK;
    for (size_t i = 0; i < d && !code; i++)
        if (!isfinite(values[i]))
            code = fail(MUDPT_MODEL, "the token embedding holds NaN or infinity in row %d; the file is damaged", id);
    if (!code) code = grow(clip);
    if (!code) code = clip_store_token_row(clip, clip->token_rows, values);
    if (!code) clip->token_slots[id] = clip->token_rows++;
    free(values);
    return code;
}
