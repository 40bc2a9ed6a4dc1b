#include "weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/format.h"
#include "base/half.h"
#include "kernels/integer.h"

typedef enum {
    VECTOR,     /* float * of rows * columns values */
    MATRIX,     /* gemm_weight, rows as they are sent */
    TRANSPOSED, /* gemm_weight, sent as [in, out] */
    TABLE       /* the token embedding */
} tensor_kind;

/* Values of a tensor by which models are told apart. */
enum { SAMPLES = 4 };

struct clip_tensor {
    char openai[80], hugging_face[80]; /* "" where a family has no such tensor */
    tensor_kind kind;
    void *target;      /* float **, gemm_weight * or void ** */
    int rows, columns; /* as kept; columns 0: a vector */
    int first_row;     /* where its rows begin in the target */
    int dims;          /* of the shape that is sent */
    int quantized;     /* a block's matrix: may be kept as int8 or int16, and used in block integers */
    int left_out;      /* config.text asks for a model without it */
    int seen;
    int owner;                                 /* index of the tensor that counts the target's rows */
    int rows_seen, integers_seen, scales_seen; /* of the target, on the owner */
    float *scales;                             /* that were sent for the target, on the owner */
    struct {
        float value, slack;
        int integer;    /* of a row of integers: still to be multiplied by its scale */
    } samples[SAMPLES]; /* of the target, on the owner; NaN until they come */
};

/* ------------------------------------------------------------------------------------------------ names */

static clip_tensor *add(mudpt_clip *clip, const char *openai, const char *hugging_face, tensor_kind kind, void *target,
                        int rows, int columns) {
    clip_tensor *t = &clip->tensors[clip->tensor_count];
    *t = (clip_tensor){.kind = kind, .target = target, .rows = rows, .columns = columns, .owner = clip->tensor_count};
    format_text(t->openai, sizeof t->openai, "%s", openai);
    format_text(t->hugging_face, sizeof t->hugging_face, "%s", hugging_face);
    t->dims = columns ? 2 : 1;
    for (int k = 0; k < SAMPLES; k++) t->samples[k].value = t->samples[k].slack = NAN;
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

static void describe(mudpt_clip *clip) {
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

static clip_tensor *find(const mudpt_clip *clip, const char *name, int *scales) {
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

/* ------------------------------------------------------------------------------------------------ create, free */

int mudpt_clip_create(const mudpt_clip_config *config, mudpt_clip **out) {
    int code = clip_check_config(config);
    if (code) return code;
    mudpt_clip *clip = calloc(1, sizeof *clip);
    if (!clip) return fail_memory(sizeof *clip, "a model");
    clip->config = *config;
    clip->tensor_room = 24 + 18 * (config->vision_layers + config->text_layers);
    clip->tensors = calloc((size_t)clip->tensor_room, sizeof *clip->tensors);
    clip->vision = calloc((size_t)config->vision_layers, sizeof *clip->vision);
    clip->text = calloc((size_t)config->text_layers, sizeof *clip->text);
    if (!clip->tensors || !clip->vision || !clip->text) {
        size_t bytes = (size_t)clip->tensor_room * sizeof *clip->tensors;
        mudpt_clip_free(clip);
        return fail_memory(bytes, "a model's list of tensors");
    }
    for (int l = 0; l < config->vision_layers; l++)
        clip->vision[l] =
            (clip_block){.width = config->vision_width, .heads = config->vision_heads, .mlp = config->vision_mlp};
    for (int l = 0; l < config->text_layers; l++)
        clip->text[l] = (clip_block){.width = config->text_width, .heads = config->text_heads, .mlp = config->text_mlp};
    describe(clip);
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

/* ------------------------------------------------------------------------------------------------ tensors */

static const char *type_name(int type) {
    static const char *names[] = {"F32", "F16", "I8", "BF16", "I16"};
    return type >= 0 && type < 5 ? names[type] : "unknown";
}

static int is_integer(int type) {
    return type == MUDPT_I8 || type == MUDPT_I16;
}

static int storage_of(const mudpt_clip *clip, const clip_tensor *t, int sent) {
    int storage = clip->config.storage;
    if (is_integer(sent)) return sent;
    if (clip->config.precision == MUDPT_FAST && t->quantized) return storage == MUDPT_I8 ? MUDPT_I8 : MUDPT_I16;
    if (storage == -1) return sent == MUDPT_F16 ? MUDPT_F16 : MUDPT_F32;
    if (is_integer(storage) && !t->quantized) return MUDPT_F16;
    return storage;
}

/* Memory for what a tensor goes into, unless one of its parts has brought it already. */
static int open_target(mudpt_clip *clip, clip_tensor *t, int type) {
    const clip_tensor *owner = &clip->tensors[t->owner];
    int storage = storage_of(clip, t, type);
    size_t bytes;
    if (t->kind == VECTOR) {
        float **vector = t->target;
        if (*vector) return MUDPT_OK;
        bytes = (size_t)owner->rows * (size_t)(owner->columns ? owner->columns : 1) * sizeof(float);
        *vector = aligned_take(bytes, "a weight vector");
        if (!*vector) return MUDPT_MEMORY;
    } else if (t->kind == TABLE) {
        void **table = t->target;
        if (*table) return MUDPT_OK;
        /* Of all tensors only this one can be larger than what 32 bits address; check_config sees to the others. */
        uint64_t wanted = (uint64_t)t->rows * (uint64_t)t->columns * (storage == MUDPT_F32 ? 4 : 2);
        if (wanted > PTRDIFF_MAX) return fail_memory(wanted, "the token embedding");
        bytes = (size_t)wanted;
        *table = aligned_take(bytes, "the token embedding");
        if (!*table) return MUDPT_MEMORY;
        clip->token_storage = storage;
    } else {
        gemm_weight *w = t->target;
        if (w->panels) {
            if (w->storage != storage && (is_integer(w->storage) || is_integer(storage)))
                return fail(MUDPT_MODEL, "the parts of %s have different types; expected the same integers or none",
                            owner->openai);
            return MUDPT_OK;
        }
        gemm_weight fresh = {.out = owner->rows, .in = owner->columns, .storage = storage};
        fresh.fast = clip->config.precision == MUDPT_FAST && t->quantized;
        bytes = gemm_panel_bytes(fresh.out, fresh.in, storage);
        fresh.panels = aligned_take(bytes, "a weight matrix");
        if (!fresh.panels) return MUDPT_MEMORY;
        size_t scale_bytes = gemm_scale_bytes(fresh.out, storage);
        if (scale_bytes) {
            fresh.scale = aligned_take(scale_bytes, "a weight matrix's scales");
            if (!fresh.scale) {
                aligned_release(fresh.panels);
                return MUDPT_MEMORY;
            }
            bytes += scale_bytes;
        }
        *w = fresh;
    }
    clip->bytes += bytes;
    return MUDPT_OK;
}

static int shape_matches(const clip_tensor *t, const int32_t *shape, int dims) {
    if (t->columns == 0)
        return t->rows == 1 ? dims == 0 || (dims == 1 && shape[0] == 1) : dims == 1 && shape[0] == t->rows;
    if (t->dims == 4) /* the patch convolution: [d, 3, patch, patch] */
        return dims == 4 && shape[0] == t->rows && shape[1] == 3 && shape[2] == shape[3] && shape[2] > 0 &&
               shape[2] <= t->columns / 3 && (int64_t)3 * shape[2] * shape[3] == t->columns;
    if (dims != 2) return 0;
    return t->kind == TRANSPOSED ? shape[0] == t->columns && shape[1] == t->rows
                                 : shape[0] == t->rows && shape[1] == t->columns;
}

static void shape_text(char *text, size_t room, const int32_t *shape, int dims) {
    size_t used = 0;
    for (int i = 0; i < dims && used < room; i++)
        used += (size_t)format_text(text + used, room - used, "%s%d", i ? ", " : "[", shape[i]);
    if (used < room) format_text(text + used, room - used, dims ? "]" : "[]");
}

static size_t columns_of(const clip_tensor *t) {
    return t->columns ? (size_t)t->columns : 1;
}

/* Values of the current tensor that are gathered before they are kept: one row, or all of what has no rows. */
static size_t row_length(const mudpt_clip *clip) {
    const clip_tensor *t = clip->current;
    return !clip->current_scales && (t->kind == MATRIX || t->kind == TABLE) ? columns_of(t) : clip->expected;
}

static int is_wanted(const clip_tensor *t, int scales) {
    return t && !t->left_out && (!scales || t->kind == MATRIX);
}

int mudpt_clip_wants(const mudpt_clip *clip, const char *name) {
    int scales;
    const clip_tensor *t = find(clip, name, &scales);
    return t && (!scales || t->kind == MATRIX) ? is_wanted(t, scales) : -1;
}

int mudpt_clip_tensor_begin(mudpt_clip *clip, const char *name, int dtype, const int32_t *shape, int dims) {
    if (clip->finished || clip->current)
        return fail(MUDPT_STATE, "tensor %s: the tensor before it has not ended", name);
    int scales;
    clip_tensor *t = find(clip, name, &scales);
    if (!is_wanted(t, scales)) return MUDPT_SKIP;
    if (dims < 0 || dims > 4) return fail(MUDPT_MODEL, "tensor %s has %d dimensions; expected %d", name, dims, t->dims);
    clip_tensor *owner = &clip->tensors[t->owner];
    char sent[64], wanted[64];
    shape_text(sent, sizeof sent, shape, dims);
    if (scales) {
        if (dims != 1 || shape[0] != t->rows || dtype != MUDPT_F32)
            return fail(MUDPT_MODEL, "tensor %s is %s %s; expected F32 [%d]", name, type_name(dtype), sent, t->rows);
        if (!owner->scales) owner->scales = calloc((size_t)owner->rows, sizeof(float));
        if (!owner->scales) return fail_memory((size_t)owner->rows * sizeof(float), "a weight matrix's scales");
    } else {
        if (!shape_matches(t, shape, dims)) {
            int32_t expected[4] = {t->rows, t->columns, 0, 0};
            if (t->kind == TRANSPOSED) expected[0] = t->columns, expected[1] = t->rows;
            if (t->dims == 4) expected[1] = 3, expected[2] = expected[3] = clip->config.patch;
            shape_text(wanted, sizeof wanted, expected, t->dims);
            return fail(MUDPT_MODEL, "tensor %s has shape %s; config.json asks for %s", name, sent, wanted);
        }
        if (dtype < MUDPT_F32 || dtype > MUDPT_I16 || (is_integer(dtype) && !t->quantized))
            return fail(MUDPT_MODEL, "tensor %s has type %s; expected %s", name, type_name(dtype),
                        t->quantized ? "F32, F16, BF16, I8 or I16" : "F32, F16 or BF16");
        if (t->seen || owner->rows_seen + t->rows > owner->rows)
            return fail(MUDPT_MODEL, "tensor %s comes twice", name);
        int code = open_target(clip, t, dtype);
        if (code) return code;
    }
    clip->current = t;
    clip->current_type = dtype;
    clip->current_scales = scales;
    clip->expected = scales ? (size_t)t->rows : (size_t)t->rows * columns_of(t);
    clip->received = 0;
    clip->carried = 0;
    free(clip->row);
    size_t room = (row_length(clip) + columns_of(t)) * sizeof(float);
    clip->row = malloc(room);
    if (clip->row) return MUDPT_OK;
    clip->current = NULL;
    return fail_memory(room, "a tensor on its way in");
}

static const char *current_name(const mudpt_clip *clip) {
    const clip_tensor *t = clip->current;
    return *t->openai ? t->openai : t->hugging_face;
}

/* Which of `count` values is the k-th sample of a tensor. */
static size_t place_of_sample(int tensor, int k, size_t count) {
    uint32_t h = (uint32_t)(tensor * SAMPLES + k + 1) * 2654435761u;
    h ^= h >> 16;
    h *= 0x85ebca6bu;
    h ^= h >> 13;
    return h % count;
}

/* Samples among some rows [rows, columns] of the current tensor. What another storage type makes of a value is off by
 * less than its slack: int8 by half a 127th of its row's largest, bf16 by a 512th of itself. */
static void take_samples(mudpt_clip *clip, int row, int rows, const float *values) {
    const clip_tensor *t = clip->current;
    clip_tensor *owner = &clip->tensors[t->owner];
    size_t columns = columns_of(t), first = (size_t)(t->first_row + row) * columns, count = (size_t)rows * columns;
    for (int k = 0; k < SAMPLES; k++) {
        size_t place = place_of_sample(t->owner, k, (size_t)owner->rows * columns);
        if (place < first || place - first >= count) continue;
        const float *sampled = values + (place - first) / columns * columns;
        float value = values[place - first], largest = 0;
        for (size_t i = 0; i < columns; i++) largest = fmaxf(largest, fabsf(sampled[i]));
        float slack = 0.01f * fabsf(value) + (t->kind == VECTOR ? 1e-6f : 0.005f * largest);
        owner->samples[k].value = value;
        owner->samples[k].slack = slack;
        owner->samples[k].integer = is_integer(clip->current_type);
    }
}

/* One row [columns] of the current tensor, or all of a vector. */
static int keep_row(mudpt_clip *clip, int row, const float *values) {
    clip_tensor *t = clip->current;
    size_t columns = columns_of(t);
    if (clip->current_scales) {
        for (int i = 0; i < t->rows; i++)
            if (values[i] < 0)
                return fail(MUDPT_MODEL, "tensor %s_scale holds %g; expected no negative scale", current_name(clip),
                            (double)values[i]);
        memcpy(clip->tensors[t->owner].scales + t->first_row, values, (size_t)t->rows * sizeof(float));
        return MUDPT_OK;
    }
    if (t->kind == VECTOR) {
        memcpy(*(float **)t->target + (size_t)t->first_row * columns, values, clip->expected * sizeof(float));
        take_samples(clip, 0, t->rows, values);
        return MUDPT_OK;
    }
    take_samples(clip, row, 1, values);
    if (t->kind == TABLE) return clip_store_token_row(clip, row, values);
    float largest = 0;
    for (size_t i = 0; i < columns; i++) largest = fabsf(values[i]) > largest ? fabsf(values[i]) : largest;
    if (((gemm_weight *)t->target)->storage == MUDPT_F16 && largest > 65504.0f)
        return fail(MUDPT_MODEL, "tensor %s holds %g, which f16 cannot; load it with storage type f32",
                    current_name(clip), (double)largest);
    if (clip->current_type == MUDPT_I16 && largest > INTEGER_RIGHT)
        return fail(MUDPT_MODEL, "tensor %s holds %g; I16 weights are integers of 14 bits, -%d to %d",
                    current_name(clip), (double)largest, INTEGER_RIGHT, INTEGER_RIGHT);
    gemm_set_row(t->target, t->first_row + row, values, is_integer(clip->current_type) ? 1 : 0);
    return MUDPT_OK;
}

/* `count` whole elements that do not reach beyond the row they begin in. */
static int take_elements(mudpt_clip *clip, const unsigned char *bytes, size_t count) {
    size_t length = row_length(clip), at = clip->received % length;
    float *values = clip->row + at;
    clip_widen(clip->current_type, values, bytes, count);
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return fail(MUDPT_MODEL, "tensor %s holds %s at position %zu; the file is damaged", current_name(clip),
                        isnan(values[i]) ? "NaN" : "infinity", clip->received + i);
    clip->received += count;
    if (at + count < length || (clip->current->kind == TRANSPOSED && !clip->current_scales)) return MUDPT_OK;
    return keep_row(clip, (int)(clip->received / length) - 1, clip->row);
}

int mudpt_clip_tensor_bytes(mudpt_clip *clip, const void *data, size_t bytes) {
    if (!clip->current) return fail(MUDPT_STATE, "bytes of a tensor that has not begun");
    const unsigned char *next = data;
    size_t size = (size_t)clip_element_bytes(clip->current_type), length = row_length(clip);
    if (bytes > (clip->expected - clip->received) * size - (size_t)clip->carried) {
        int code = fail(MUDPT_MODEL, "tensor %s has more bytes than its shape", current_name(clip));
        clip->current = NULL;
        return code;
    }
    int code = MUDPT_OK;
    while (bytes && !code) {
        if (clip->carried || bytes < size) {
            clip->carry[clip->carried++] = *next++;
            bytes--;
            if ((size_t)clip->carried < size) continue;
            clip->carried = 0;
            code = take_elements(clip, clip->carry, 1);
            continue;
        }
        size_t count = bytes / size, left = length - clip->received % length;
        if (count > left) count = left;
        code = take_elements(clip, next, count);
        next += count * size;
        bytes -= count * size;
    }
    if (code) clip->current = NULL;
    return code;
}

int mudpt_clip_tensor_end(mudpt_clip *clip) {
    clip_tensor *t = clip->current;
    if (!t) return fail(MUDPT_STATE, "the end of a tensor that has not begun");
    clip_tensor *owner = &clip->tensors[t->owner];
    int code = MUDPT_OK;
    if (clip->received != clip->expected || clip->carried)
        code = fail(MUDPT_MODEL, "tensor %s ends after %zu of %zu values; the file is cut off", current_name(clip),
                    clip->received, clip->expected);
    if (!code && t->kind == TRANSPOSED) { /* arrived as [columns, rows] */
        size_t rows = (size_t)t->rows, columns = columns_of(t);
        float *values = clip->row + rows * columns;
        for (size_t o = 0; o < rows && !code; o++) {
            for (size_t i = 0; i < columns; i++) values[i] = clip->row[i * rows + o];
            code = keep_row(clip, (int)o, values);
        }
    }
    clip->current = NULL;
    if (code) return code;
    if (clip->current_scales) {
        owner->scales_seen += t->rows;
    } else {
        t->seen = 1;
        owner->rows_seen += t->rows;
        if (is_integer(clip->current_type)) owner->integers_seen += t->rows;
    }
    return MUDPT_OK;
}

/* ------------------------------------------------------------------------------------------------ finish */

/* FNV-1a over the sizes and, rounded to half precision, everything that no storage type changes otherwise. */
static void set_fingerprint(mudpt_clip *clip) {
    uint64_t hash = 14695981039346656037ULL;
    const mudpt_clip_config *c = &clip->config;
    const int32_t sizes[] = {c->image,      c->patch,      c->vision_width, c->vision_layers, c->vision_heads,
                             c->vision_mlp, c->text_width, c->text_layers,  c->text_heads,    c->text_mlp,
                             c->embed,      c->context,    c->vocab};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int shift = 0; shift < 32; shift += 8)
            hash = (hash ^ ((uint32_t)sizes[i] >> shift & 255)) * 1099511628211ULL;
    for (int i = 0; i < clip->tensor_count; i++) {
        const clip_tensor *t = &clip->tensors[i];
        if (t->owner != i || t->kind != VECTOR) continue;
        const float *values = *(float **)t->target;
        size_t count = (size_t)t->rows * (size_t)(t->columns ? t->columns : 1);
        for (size_t k = 0; k < count; k++) {
            uint16_t half = half_from_float(values[k]);
            hash = (hash ^ (half & 255)) * 1099511628211ULL;
            hash = (hash ^ (half >> 8)) * 1099511628211ULL;
        }
    }
    format_text(clip->fingerprint, sizeof clip->fingerprint, "%08x%08x", (unsigned)(hash >> 32), (unsigned)hash);
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
    set_fingerprint(clip);
    return MUDPT_OK;
}

const char *mudpt_clip_fingerprint(const mudpt_clip *clip) {
    return clip->fingerprint;
}

int mudpt_clip_samples(const mudpt_clip *clip, float *out) {
    int count = 0;
    for (int i = 0; i < clip->tensor_count; i++) {
        const clip_tensor *t = &clip->tensors[i];
        if (t->owner != i) continue;
        size_t values = (size_t)t->rows * columns_of(t);
        for (int k = 0; k < SAMPLES; k++, count += 2) {
            if (!out) continue;
            size_t row = place_of_sample(i, k, values) / columns_of(t);
            float scale = t->samples[k].integer && t->scales_seen ? t->scales[row] : 1;
            out[count] = t->samples[k].value * scale;
            out[count + 1] = t->samples[k].slack * scale;
        }
    }
    return count;
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
