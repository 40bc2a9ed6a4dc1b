/* A model from its making to the moment when all its weights are there. */
#include "weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "tensors.h"

int mudpt_clip_create(const mudpt_clip_config *config, mudpt_clip **out) {
    int code = clip_check_config(config);
    if (code) return code;
    mudpt_clip *clip = calloc(1, sizeof *clip);
    if (!clip) return fail_memory(sizeof *clip, "a model");
    clip->config = *config;
    int room = clip_tensor_room(config);
    clip->tensors = calloc((size_t)room, sizeof *clip->tensors);
    clip->vision = calloc((size_t)config->vision_layers, sizeof *clip->vision);
    clip->text = calloc((size_t)config->text_layers, sizeof *clip->text);
    if (!clip->tensors || !clip->vision || !clip->text) {
        size_t bytes = (size_t)room * sizeof *clip->tensors;
        mudpt_clip_free(clip);
        return fail_memory(bytes, "a model's list of tensors");
    }
    for (int l = 0; l < config->vision_layers; l++)
        clip->vision[l] =
            (clip_block){.width = config->vision_width, .heads = config->vision_heads, .mlp = config->vision_mlp};
    for (int l = 0; l < config->text_layers; l++)
        clip->text[l] = (clip_block){.width = config->text_width, .heads = config->text_heads, .mlp = config->text_mlp};
    clip_describe(clip);
    *out = clip;
    return MUDPT_OK;
}

void mudpt_clip_free(mudpt_clip *clip) {
    if (!clip) return;
    for (int i = 0; clip->tensors && i < clip->tensor_count; i++) {
        clip_tensor *t = &clip->tensors[i];
        if (t->owner != i) continue;
        free(t->scales);
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
    free(clip->token_slots);
    free(clip);
}

int mudpt_clip_finish(mudpt_clip *clip) {
    if (clip->finished) return MUDPT_OK;
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
        clip_tensor *t = &clip->tensors[i];
        if (t->owner != i || t->left_out || t->kind == VECTOR || t->kind == TABLE) continue;
        gemm_weight *w = t->target;
        if (t->integers_seen != t->scales_seen || (t->scales_seen && t->scales_seen < t->rows))
            return fail(MUDPT_MODEL, "scales of %s are incomplete, or belong to no integers", t->openai);
        if (t->scales_seen) memcpy(w->scale, t->scales, (size_t)t->rows * sizeof(float));
        int code = gemm_current()->prepare(w);
        if (code) return code;
    }
    if (!(*clip->logit_scale < 20))
        return fail(MUDPT_MODEL, "logit_scale is %g; expected a natural logarithm below 20",
                    (double)*clip->logit_scale);
    free(clip->row);
    clip->row = NULL;
    clip->finished = 1;
    clip_set_fingerprint(clip);
    return MUDPT_OK;
}

size_t mudpt_clip_weight_bytes(const mudpt_clip *clip) {
    return clip->bytes;
}

size_t mudpt_clip_weight_bytes_as(const mudpt_clip *clip, int storage) {
    size_t bytes = clip->bytes;
    for (int i = 0; i < clip->tensor_count; i++) {
        const clip_tensor *t = &clip->tensors[i];
        if (t->owner != i || !t->quantized || t->left_out) continue;
        const gemm_weight *w = t->target;
        bytes -= gemm_panel_bytes(w->out, w->in, w->storage) + gemm_scale_bytes(w->out, w->storage);
        bytes += gemm_panel_bytes(w->out, w->in, storage) + gemm_scale_bytes(w->out, storage);
    }
    return bytes;
}

float mudpt_clip_logit_scale(const mudpt_clip *clip) {
    return clip->finished ? expf(*clip->logit_scale) : 0;
}
