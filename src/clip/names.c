/* Which tensors a model has: the names that files give them, their shapes, and where each goes. */
#include <math.h>
#include <string.h>

#include "base/format.h"
#include "tensors.h"

static clip_tensor *add(mudpt_clip *clip, const char *openai, const char *hugging_face, tensor_kind kind, void *target,
                        int rows, int columns) {
    clip_tensor *t = &clip->tensors[clip->tensor_count];
    *t = (clip_tensor){.kind = kind, .target = target, .rows = rows, .columns = columns, .owner = clip->tensor_count};
    format_text(t->openai, sizeof t->openai, "%s", openai);
    format_text(t->hugging_face, sizeof t->hugging_face, "%s", hugging_face);
    t->dims = columns ? 2 : 1;
    for (int k = 0; k < TENSOR_SAMPLES; k++) t->samples[k].value = t->samples[k].slack = NAN;
    clip->tensor_count++;
    return t;
}

/* Another name of the tensor with index `owner`, perhaps of some of its rows only. */
static clip_tensor *add_part(mudpt_clip *clip, int owner, const char *openai, const char *hugging_face,
                             tensor_kind kind, int first_row, int rows) {
    clip_tensor *whole = &clip->tensors[owner];
    clip_tensor *t = add(clip, openai, hugging_face, kind, whole->target, rows, whole->columns);
    t->owner = owner;
    t->first_row = first_row;
    t->quantized = whole->quantized;
    t->left_out = whole->left_out;
    return t;
}

static void describe_block(mudpt_clip *clip, clip_block *b, const char *openai, const char *hugging_face, int layer) {
    int d = b->width;
    struct {
        const char *openai, *hugging_face;
        tensor_kind kind;
        void *target;
        int rows, columns;
    } table[] = {
        {"attn.in_proj_weight", "", MATRIX, &b->in_proj, 3 * d, d},
        {"attn.in_proj_bias", "", VECTOR, &b->in_proj_bias, 3 * d, 0},
        {"attn.out_proj.weight", "self_attn.out_proj.weight", MATRIX, &b->out_proj, d, d},
        {"attn.out_proj.bias", "self_attn.out_proj.bias", VECTOR, &b->out_proj_bias, d, 0},
        {"ln_1.weight", "layer_norm1.weight", VECTOR, &b->ln_1_gain, d, 0},
        {"ln_1.bias", "layer_norm1.bias", VECTOR, &b->ln_1_bias, d, 0},
        {"ln_2.weight", "layer_norm2.weight", VECTOR, &b->ln_2_gain, d, 0},
        {"ln_2.bias", "layer_norm2.bias", VECTOR, &b->ln_2_bias, d, 0},
        {"mlp.c_fc.weight", "mlp.fc1.weight", MATRIX, &b->fc, b->mlp, d},
        {"mlp.c_fc.bias", "mlp.fc1.bias", VECTOR, &b->fc_bias, b->mlp, 0},
        {"mlp.c_proj.weight", "mlp.fc2.weight", MATRIX, &b->proj, d, b->mlp},
        {"mlp.c_proj.bias", "mlp.fc2.bias", VECTOR, &b->proj_bias, d, 0},
    };
    int weight = clip->tensor_count, bias = weight + 1;
    char one[80], other[80];
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        format_text(one, sizeof one, "%sresblocks.%d.%s", openai, layer, table[i].openai);
        other[0] = 0;
        if (*table[i].hugging_face)
            format_text(other, sizeof other, "%s.encoder.layers.%d.%s", hugging_face, layer, table[i].hugging_face);
        clip_tensor *t = add(clip, one, other, table[i].kind, table[i].target, table[i].rows, table[i].columns);
        t->quantized = t->kind == MATRIX;
        t->left_out = t->kind == MATRIX && b >= clip->text && b < clip->text + clip->config.text_layers &&
                      clip->config.text == MUDPT_TEXT_NONE;
    }
    const char *name = "%s.encoder.layers.%d.self_attn.%c_proj.%s";
    for (int i = 0; i < 3; i++) {
        format_text(other, sizeof other, name, hugging_face, layer, "qkv"[i], "weight");
        add_part(clip, weight, "", other, MATRIX, i * d, d);
        format_text(other, sizeof other, name, hugging_face, layer, "qkv"[i], "bias");
        add_part(clip, bias, "", other, VECTOR, i * d, d);
    }
}

int clip_tensor_room(const mudpt_clip_config *c) {
    return 24 + 18 * (c->vision_layers + c->text_layers);
}

void clip_describe(mudpt_clip *clip) {
    const mudpt_clip_config *c = &clip->config;
    int d_v = c->vision_width, d_t = c->text_width, grid = c->image / c->patch;
    add(clip, "visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight", MATRIX, &clip->patch, d_v,
        3 * c->patch * c->patch)
        ->dims = 4;
    add(clip, "visual.class_embedding", "vision_model.embeddings.class_embedding", VECTOR, &clip->class_embedding, d_v,
        0);
    add(clip, "visual.positional_embedding", "vision_model.embeddings.position_embedding.weight", VECTOR,
        &clip->vision_position, 1 + grid * grid, d_v);
    add(clip, "visual.ln_pre.weight", "vision_model.pre_layrnorm.weight", VECTOR, &clip->ln_pre_gain, d_v, 0);
    add(clip, "visual.ln_pre.bias", "vision_model.pre_layrnorm.bias", VECTOR, &clip->ln_pre_bias, d_v, 0);
    add(clip, "visual.ln_post.weight", "vision_model.post_layernorm.weight", VECTOR, &clip->ln_post_gain, d_v, 0);
    add(clip, "visual.ln_post.bias", "vision_model.post_layernorm.bias", VECTOR, &clip->ln_post_bias, d_v, 0);
    add(clip, "visual.proj", "", TRANSPOSED, &clip->vision_projection, c->embed, d_v);
    add_part(clip, clip->tensor_count - 1, "", "visual_projection.weight", MATRIX, 0, c->embed);
    add(clip, "token_embedding.weight", "text_model.embeddings.token_embedding.weight", TABLE, &clip->token_embedding,
        c->vocab, d_t)
        ->left_out = c->text != MUDPT_TEXT_WHOLE;
    add(clip, "positional_embedding", "text_model.embeddings.position_embedding.weight", VECTOR, &clip->text_position,
        c->context, d_t);
    add(clip, "ln_final.weight", "text_model.final_layer_norm.weight", VECTOR, &clip->ln_final_gain, d_t, 0);
    add(clip, "ln_final.bias", "text_model.final_layer_norm.bias", VECTOR, &clip->ln_final_bias, d_t, 0);
    add(clip, "text_projection", "", TRANSPOSED, &clip->text_projection, c->embed, d_t)->left_out =
        c->text == MUDPT_TEXT_NONE;
    add_part(clip, clip->tensor_count - 1, "", "text_projection.weight", MATRIX, 0, c->embed);
    add(clip, "logit_scale", "logit_scale", VECTOR, &clip->logit_scale, 1, 0);
    for (int l = 0; l < c->vision_layers; l++)
        describe_block(clip, &clip->vision[l], "visual.transformer.", "vision_model", l);
    for (int l = 0; l < c->text_layers; l++) describe_block(clip, &clip->text[l], "transformer.", "text_model", l);
}

clip_tensor *clip_find_tensor(const mudpt_clip *clip, const char *name, int *scales) {
    static const char scale_suffix[] = "_scale";
    size_t length = strlen(name), suffix = sizeof scale_suffix - 1;
    /* open_clip's custom-text class puts "text." in front of the text tower's names. */
    if (strncmp(name, "text.", 5) == 0) name += 5, length -= 5;
    *scales = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < clip->tensor_count; i++) {
            clip_tensor *t = &clip->tensors[i];
            if (strlen(t->openai) == length && strncmp(t->openai, name, length) == 0 && length) return t;
            if (strlen(t->hugging_face) == length && strncmp(t->hugging_face, name, length) == 0 && length) return t;
        }
        if (length <= suffix || strcmp(name + length - suffix, scale_suffix) != 0) return NULL;
        length -= suffix;
        *scales = 1;
    }
    return NULL;
}
