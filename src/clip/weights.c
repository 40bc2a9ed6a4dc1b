/* A model from its making to the moment when all its weights are there. */
#include "weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "tensors.h"

static clip_block block_of(const mudpt_tower *t) {
    return (clip_block){
        .width = t->width, .heads = t->heads, .mlp = t->mlp, .activation = t->activation, .epsilon = clip_epsilon(t)};
}

int mudpt_clip_create(const mudpt_clip_config *config, mudpt_clip **out) {
    int code = clip_check_config(config);
    if (code) return code;
    mudpt_clip *clip = calloc(1, sizeof *clip);
    if (!clip) return fail_memory(sizeof *clip, "a model");
    clip->config = *config;
    int room = clip_tensor_room(config);
    clip->tensors = calloc((size_t)room, sizeof *clip->tensors);
    clip->vision = calloc((size_t)config->vision.layers, sizeof *clip->vision);
    clip->text = calloc((size_t)config->text.layers, sizeof *clip->text);
    if (!clip->tensors || !clip->vision || !clip->text) {
        size_t bytes = (size_t)room * sizeof *clip->tensors;
        clip_release(clip);
        return fail_memory(bytes, "a model's list of tensors");
    }
    for (int l = 0; l < config->vision.layers; l++) clip->vision[l] = block_of(&config->vision);
    for (int l = 0; l < config->text.layers; l++) clip->text[l] = block_of(&config->text);
    clip->pool = block_of(&config->vision);
    clip->pool.heads = config->pool_heads;
    clip->pool.mlp = config->pool_mlp;
    clip->pool.activation = config->pool_activation;
    clip_describe(clip);
    live_add(&clip->live, LIVE_CLIP);
    *out = clip;
    return MUDPT_OK;
}

void clip_release(mudpt_clip *clip) {
    for (int i = 0; clip->tensors && i < clip->tensor_count; i++) {
        clip_tensor *t = &clip->tensors[i];
        if (t->owner != i) continue;
        free(t->scales);
        free(t->columns_apart);
        if (t->kind == VECTOR || t->kind == TABLE) {
            aligned_release(*(void **)t->target);
        } else {
            gemm_weight *w = t->target;
            if (clip->finished && !t->left_out) gemm_current()->release(w);
            aligned_release(w->panels);
            aligned_release(w->scale);
        }
    }
    free(clip->tensors);
    free(clip->vision);
    free(clip->text);
    free(clip->row);
    aligned_release(clip->spare);
    free(clip->token_slots);
    free(clip);
}

void mudpt_clip_free(mudpt_clip *clip) {
    if (!live_is(clip, LIVE_CLIP)) return;
    live_remove(&clip->live);
    clip->freed = 1;
    if (!clip->classifiers) clip_release(clip);
}

int mudpt_clip_projection(const mudpt_clip *clip, float *out) {
    if (live_check(clip, LIVE_CLIP)) return MUDPT_STATE;
    if (!clip->finished) return fail(MUDPT_STATE, "the model's weights are not complete");
    if (clip->vision_projection_bias)
        return fail(MUDPT_STATE, "the model adds a vector behind its projection; use features behind it");
    clip_projection(clip, out);
    return MUDPT_OK;
}

void clip_projection(const mudpt_clip *clip, float *out) {
    int e = clip->config.embed, d = clip->config.vision.width, none = !clip->vision_projection.out;
    float row[MUDPT_MAX_WIDTH];
    for (int o = 0; o < e; o++) {
        if (!none) gemm_get_row(&clip->vision_projection, o, row);
        for (int i = 0; i < d && none; i++) row[i] = i == o;
        for (int i = 0; i < d; i++) out[(size_t)i * (size_t)e + (size_t)o] = row[i];
    }
}

static int check_complete(const mudpt_clip *clip) {
    int missing = 0, wanted = 0;
    const char *first = NULL;
    for (int i = 0; i < clip->tensor_count; i++) {
        const clip_tensor *t = &clip->tensors[i];
        if (t->owner != i || t->left_out) continue;
        wanted++;
        if (t->rows_seen == t->rows) continue;
        missing++;
        if (!first) first = t->openai;
    }
    if (missing == wanted)
        return fail(
            MUDPT_MODEL,
            "no tensor has a name that CLIP uses; expected Hugging Face, OpenAI or open_clip weights of a ViT CLIP");
    if (missing)
        return fail(MUDPT_MODEL, "%d of %d weights are missing, the first is %s; the file is no complete CLIP", missing,
                    wanted, first);
    for (int i = 0; i < clip->tensor_count; i++) {
        const clip_tensor *t = &clip->tensors[i];
        if (t->owner != i || t->left_out || t->kind == VECTOR || t->kind == TABLE) continue;
        if (t->integers_seen != t->scales_seen || (t->scales_seen && t->scales_seen < t->rows))
            return fail(MUDPT_MODEL, "scales of %s are incomplete, or belong to no integers", t->openai);
        if (t->columns_seen && (t->columns_seen < t->rows || t->integers_seen < t->rows))
            return fail(MUDPT_MODEL, "columns of %s are incomplete, or belong to no integers", t->openai);
    }
    if (!(*clip->logit_scale < 20))
        return fail(MUDPT_MODEL, "logit_scale is %g; expected a natural logarithm below 20",
                    (double)*clip->logit_scale);
    return MUDPT_OK;
}

int mudpt_clip_finish(mudpt_clip *clip) {
    if (live_check(clip, LIVE_CLIP)) return MUDPT_STATE;
    const mudpt_clip_config *c = &clip->config;
    if (clip->finished) return MUDPT_OK;
    int code = check_complete(clip), widest = c->vision.mlp > c->text.mlp ? c->vision.mlp : c->text.mlp;
    if (code) return code;
    if (c->vision.width > widest) widest = c->vision.width;
    if (c->text.width > widest) widest = c->text.width;
    float *row = malloc((size_t)widest * sizeof(float));
    if (!row) return fail_memory((size_t)widest * sizeof(float), "a row of a weight matrix");
    clip_set_fingerprint(clip); /* of what was sent */
    for (int i = 0; i < clip->tensor_count; i++) {
        const clip_tensor *t = &clip->tensors[i];
        if (t->owner == i && t->scales_seen)
            memcpy(((gemm_weight *)t->target)->scale, t->scales, (size_t)t->rows * sizeof(float));
    }
    clip_fold_layer_scales(clip->vision, c->vision.layers, row);
    if (c->text_side != MUDPT_TEXT_NONE) clip_fold_layer_scales(clip->text, c->text.layers, row);
    clip_fold_columns(clip, row);
    free(row);
    for (int i = 0; i < clip->tensor_count && !code; i++) {
        const clip_tensor *t = &clip->tensors[i];
        if (t->owner == i && !t->left_out && (t->kind == MATRIX || t->kind == TRANSPOSED))
            code = gemm_current()->prepare(t->target);
    }
    free(clip->row);
    clip->row = NULL;
    aligned_release(clip->spare);
    clip->spare = NULL;
    clip->finished = !code;
    return code;
}

size_t mudpt_clip_weight_bytes(const mudpt_clip *clip) {
    return clip->bytes;
}

double mudpt_clip_weight_bytes_as(const mudpt_clip *clip, int storage) {
    double bytes = (double)clip->bytes;
    for (int i = 0; i < clip->tensor_count; i++) {
        const clip_tensor *t = &clip->tensors[i];
        if (t->owner != i || !t->quantized || t->left_out) continue;
        const gemm_weight *w = t->target;
        bytes -= (double)(gemm_panel_bytes(w->out, w->in, w->storage) + gemm_scale_bytes(w->out, w->storage));
        int kept = storage == MUDPT_F16 && t->scaled ? MUDPT_F32 : storage == MUDPT_I8 && t->lead ? MUDPT_I16 : storage;
        bytes += (double)(gemm_panel_bytes(w->out, w->in, kept) + gemm_scale_bytes(w->out, kept));
    }
    return bytes;
}

float mudpt_clip_logit_scale(const mudpt_clip *clip) {
    return clip->finished ? expf(*clip->logit_scale) : 0;
}

float mudpt_clip_logit_bias(const mudpt_clip *clip) {
    return clip->finished && clip->logit_bias ? *clip->logit_bias : 0;
}
