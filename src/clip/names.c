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
    t->lead = whole->lead;
    t->block = whole->block;
    t->left_out = whole->left_out;
    return t;
}

/* A tensor of a block, each name behind a prefix. */
typedef struct {
    const char *openai, *hugging_face; /* "" where a family has no such tensor */
    tensor_kind kind;
    void *target;
    int rows, columns;
    int scaled;
} block_tensor;

static void add_block_tensors(mudpt_clip *clip, const block_tensor *table, size_t count, const char *openai,
                              const char *hugging_face, clip_block *block, int lead, int left_out) {
    char one[80], other[80];
    for (size_t i = 0; i < count; i++) {
        format_text(one, sizeof one, "%s%s", openai, table[i].openai);
        other[0] = 0;
        if (*table[i].hugging_face) format_text(other, sizeof other, "%s%s", hugging_face, table[i].hugging_face);
        clip_tensor *t = add(clip, one, other, table[i].kind, table[i].target, table[i].rows, table[i].columns);
        t->quantized = t->kind == MATRIX;
        t->scaled = table[i].scaled;
        t->block = t->quantized ? block : NULL;
        t->lead = lead && t->quantized && strncmp(table[i].openai, "attn.", 5) == 0;
        t->left_out = t->kind == MATRIX && left_out;
    }
}

static void describe_block(mudpt_clip *clip, clip_block *b, const mudpt_tower *tower, const char *side,
                           const char *hugging_face, int layer) {
    int d = b->width, scaled = tower->layer_scale, weight = clip->tensor_count, bias = weight + 1;
    const block_tensor table[] = {
        {"attn.in_proj_weight", "", MATRIX, &b->in_proj, 3 * d, d, 0},
        {"attn.in_proj_bias", "", VECTOR, &b->in_proj_bias, 3 * d, 0, 0},
        {"attn.out_proj.weight", "self_attn.out_proj.weight", MATRIX, &b->out_proj, d, d, scaled},
        {"attn.out_proj.bias", "self_attn.out_proj.bias", VECTOR, &b->out_proj_bias, d, 0, 0},
        {"ln_1.weight", "layer_norm1.weight", VECTOR, &b->ln_1_gain, d, 0, 0},
        {"ln_1.bias", "layer_norm1.bias", VECTOR, &b->ln_1_bias, d, 0, 0},
        {"ln_2.weight", "layer_norm2.weight", VECTOR, &b->ln_2_gain, d, 0, 0},
        {"ln_2.bias", "layer_norm2.bias", VECTOR, &b->ln_2_bias, d, 0, 0},
        {"mlp.c_fc.weight", "mlp.fc1.weight", MATRIX, &b->fc, b->mlp, d, 0},
        {"mlp.c_fc.bias", "mlp.fc1.bias", VECTOR, &b->fc_bias, b->mlp, 0, 0},
        {"mlp.c_proj.weight", "mlp.fc2.weight", MATRIX, &b->proj, d, b->mlp, scaled},
        {"mlp.c_proj.bias", "mlp.fc2.bias", VECTOR, &b->proj_bias, d, 0, 0},
        {"ls_1.gamma", "", VECTOR, &b->scale_1, d, 0, 0},
        {"ls_2.gamma", "", VECTOR, &b->scale_2, d, 0, 0},
    };
    char one[64], other[64], part[96];
    format_text(one, sizeof one, "%sresblocks.%d.", side, layer);
    format_text(other, sizeof other, "%s.encoder.layers.%d.", hugging_face, layer);
    int is_text = tower == &clip->config.text;
    /* The first blocks' attention makes most of the error of int8: a sixth of the image tower's blocks, a third of the
     * text tower's, 7 % of a ViT-B/16's weights. */
    int lead = layer < tower->layers / (is_text ? 3 : 6);
    add_block_tensors(clip, table, sizeof table / sizeof *table - (scaled ? 0 : 2), one, other, b, lead,
                      is_text && clip->config.text_side == MUDPT_TEXT_NONE);
    for (int i = 0; i < 3; i++) {
        format_text(part, sizeof part, "%sself_attn.%c_proj.weight", other, "qkv"[i]);
        add_part(clip, weight, "", part, MATRIX, i * d, d);
        format_text(part, sizeof part, "%sself_attn.%c_proj.bias", other, "qkv"[i]);
        add_part(clip, bias, "", part, VECTOR, i * d, d);
    }
}

/* The head of attention pooling, and the probe whose query it is. */
static void describe_pool(mudpt_clip *clip) {
    clip_block *b = &clip->pool;
    int d = b->width, weight = clip->tensor_count + 1, bias = weight + 1;
    const block_tensor table[] = {
        {"probe", "probe", VECTOR, &clip->probe, d, 0, 0},
        {"attn.in_proj_weight", "attention.in_proj_weight", MATRIX, &b->in_proj, 3 * d, d, 0},
        {"attn.in_proj_bias", "attention.in_proj_bias", VECTOR, &b->in_proj_bias, 3 * d, 0, 0},
        {"attn.out_proj.weight", "attention.out_proj.weight", MATRIX, &b->out_proj, d, d, 0},
        {"attn.out_proj.bias", "attention.out_proj.bias", VECTOR, &b->out_proj_bias, d, 0, 0},
        {"layernorm.weight", "layernorm.weight", VECTOR, &b->ln_2_gain, d, 0, 0},
        {"layernorm.bias", "layernorm.bias", VECTOR, &b->ln_2_bias, d, 0, 0},
        {"mlp.c_fc.weight", "mlp.fc1.weight", MATRIX, &b->fc, b->mlp, d, 0},
        {"mlp.c_fc.bias", "mlp.fc1.bias", VECTOR, &b->fc_bias, b->mlp, 0, 0},
        {"mlp.c_proj.weight", "mlp.fc2.weight", MATRIX, &b->proj, d, b->mlp, 0},
        {"mlp.c_proj.bias", "mlp.fc2.bias", VECTOR, &b->proj_bias, d, 0, 0},
    };
    add_block_tensors(clip, table, sizeof table / sizeof *table, "visual.attn_pool.", "vision_model.head.", NULL, 0, 0);
    add_part(clip, weight, "visual.attn_pool.attn.q_proj.weight", "", MATRIX, 0, d);
    add_part(clip, bias, "visual.attn_pool.attn.q_proj.bias", "", VECTOR, 0, d);
    add_part(clip, weight, "visual.attn_pool.attn.kv_proj.weight", "", MATRIX, d, 2 * d);
    add_part(clip, bias, "visual.attn_pool.attn.kv_proj.bias", "", VECTOR, d, 2 * d);
}

int clip_tensor_room(const mudpt_clip_config *c) {
    return 48 + 20 * (c->vision.layers + c->text.layers);
}

static void describe_pictures(mudpt_clip *clip) {
    const mudpt_clip_config *c = &clip->config;
    int d = c->vision.width;
    add(clip, "visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight", MATRIX, &clip->patch, d,
        3 * c->patch * c->patch)
        ->dims = 4;
    if (c->patch_bias)
        add(clip, "visual.conv1.bias", "vision_model.embeddings.patch_embedding.bias", VECTOR, &clip->patch_bias, d, 0);
    if (!c->no_class)
        add(clip, "visual.class_embedding", "vision_model.embeddings.class_embedding", VECTOR, &clip->class_embedding,
            d, 0);
    add(clip, "visual.positional_embedding", "vision_model.embeddings.position_embedding.weight", VECTOR,
        &clip->vision_position, clip_picture_rows(c), d);
    if (!c->no_pre_norm) {
        add(clip, "visual.ln_pre.weight", "vision_model.pre_layrnorm.weight", VECTOR, &clip->ln_pre_gain, d, 0);
        add(clip, "visual.ln_pre.bias", "vision_model.pre_layrnorm.bias", VECTOR, &clip->ln_pre_bias, d, 0);
    }
    add(clip, "visual.ln_post.weight", "vision_model.post_layernorm.weight", VECTOR, &clip->ln_post_gain, d, 0);
    add(clip, "visual.ln_post.bias", "vision_model.post_layernorm.bias", VECTOR, &clip->ln_post_bias, d, 0);
    if (!c->vision.no_projection) {
        add(clip, "visual.proj", "", TRANSPOSED, &clip->vision_projection, c->embed, d);
        add_part(clip, clip->tensor_count - 1, "", "visual_projection.weight", MATRIX, 0, c->embed);
    }
    if (c->vision.projection_bias)
        add(clip, "visual.proj_bias", "visual_projection.bias", VECTOR, &clip->vision_projection_bias, c->embed, 0);
    if (c->vision.pooling == MUDPT_POOL_ATTENTION) describe_pool(clip);
}

static void describe_sentences(mudpt_clip *clip) {
    const mudpt_clip_config *c = &clip->config;
    int d = c->text.width;
    add(clip, "token_embedding.weight", "text_model.embeddings.token_embedding.weight", TABLE, &clip->token_embedding,
        c->vocab, d)
        ->left_out = c->text_side != MUDPT_TEXT_WHOLE;
    add(clip, "positional_embedding", "text_model.embeddings.position_embedding.weight", VECTOR, &clip->text_position,
        c->context, d);
    add(clip, "ln_final.weight", "text_model.final_layer_norm.weight", VECTOR, &clip->ln_final_gain, d, 0);
    add(clip, "ln_final.bias", "text_model.final_layer_norm.bias", VECTOR, &clip->ln_final_bias, d, 0);
    if (!c->text.no_projection) {
        add(clip, "text_projection", "", TRANSPOSED, &clip->text_projection, c->embed, d)->left_out =
            c->text_side == MUDPT_TEXT_NONE;
        int whole = clip->tensor_count - 1;
        add_part(clip, whole, "text_projection.weight", "text_model.head.weight", MATRIX, 0, c->embed);
    }
    if (c->text.projection_bias)
        add(clip, "text_projection.bias", "text_model.head.bias", VECTOR, &clip->text_projection_bias, c->embed, 0);
}

/* The order is part of what identity.c tells models apart by: what CLIP has comes as it always did. */
void clip_describe(mudpt_clip *clip) {
    const mudpt_clip_config *c = &clip->config;
    describe_pictures(clip);
    describe_sentences(clip);
    add(clip, "logit_scale", "logit_scale", VECTOR, &clip->logit_scale, 1, 0);
    if (c->logit_bias) add(clip, "logit_bias", "logit_bias", VECTOR, &clip->logit_bias, 1, 0);
    for (int l = 0; l < c->vision.layers; l++)
        describe_block(clip, &clip->vision[l], &c->vision, "visual.transformer.", "vision_model", l);
    for (int l = 0; l < c->text.layers; l++)
        describe_block(clip, &clip->text[l], &c->text, "transformer.", "text_model", l);
}

clip_tensor *clip_find_tensor(const mudpt_clip *clip, const char *name, tensor_part *part) {
    static const char *const suffixes[] = {"", "_scale", "_column"};
    size_t whole = strlen(name);
    /* open_clip's custom-text class puts "text." in front of the text tower's names. */
    if (strncmp(name, "text.", 5) == 0) name += 5, whole -= 5;
    for (*part = TENSOR_ITSELF; *part <= TENSOR_COLUMNS; ++*part) {
        size_t suffix = strlen(suffixes[*part]), length = whole - suffix;
        if (whole < suffix || strcmp(name + length, suffixes[*part]) != 0) continue;
        for (int i = 0; i < clip->tensor_count; i++) {
            clip_tensor *t = &clip->tensors[i];
            if (strlen(t->openai) == length && strncmp(t->openai, name, length) == 0 && length) return t;
            if (strlen(t->hugging_face) == length && strncmp(t->hugging_face, name, length) == 0 && length) return t;
        }
    }
    return NULL;
}
