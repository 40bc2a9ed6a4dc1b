/* Tensors on their way in: announced, sent in pieces of any size, widened, checked, and kept row by row. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/format.h"
#include "kernels/integer.h"
#include "tensors.h"

static const char *type_name(int type) {
    static const char *names[] = {"F32", "F16", "I8", "BF16", "I16"};
    return type >= 0 && type < 5 ? names[type] : "unknown";
}

static int storage_of(const mudpt_clip *clip, const clip_tensor *t, int sent) {
    int storage = clip->config.storage;
    if (HAS_INT8 && clip->config.precision == MUDPT_INT8 && t->quantized)
        return sent == MUDPT_I8 || (sent != MUDPT_I16 && !t->lead) ? GEMM_QUADS : MUDPT_I16;
    if (tensor_is_integer(sent)) return sent;
    if (storage == MUDPT_I8 && t->lead) storage = MUDPT_I16;
    if (clip->config.precision == MUDPT_FAST && t->quantized) return storage == MUDPT_I8 ? MUDPT_I8 : MUDPT_I16;
    if (storage == -1) storage = sent == MUDPT_F16 ? MUDPT_F16 : MUDPT_F32;
    if (tensor_is_integer(storage) && !t->quantized) storage = MUDPT_F16;
    return storage == MUDPT_F16 && t->scaled ? MUDPT_F32 : storage;
}

/* Memory for what a tensor goes into, unless one of its parts has brought it already. */
static int open_target(mudpt_clip *clip, clip_tensor *t, int type) {
    clip_tensor *owner = &clip->tensors[t->owner];
    int storage = storage_of(clip, t, type);
    /* Columns are compared once all rows are there. */
    int becomes = tensor_is_integer(storage) && !tensor_is_integer(type) ? storage : 0;
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
            int same = becomes == owner->becomes && (becomes || w->storage == storage);
            if (!same && (tensor_is_integer(w->storage) || tensor_is_integer(storage)))
                return fail(MUDPT_MODEL, "the parts of %s have different types; expected the same integers or none",
                            owner->openai);
            return MUDPT_OK;
        }
        gemm_weight fresh = {.out = owner->rows, .in = owner->columns, .storage = becomes ? MUDPT_F32 : storage};
        fresh.fast = clip->config.precision != MUDPT_HIGH && t->quantized;
        bytes = gemm_panel_bytes(fresh.out, fresh.in, fresh.storage);
        fresh.panels = becomes ? clip_lend(clip, owner, bytes) : aligned_take(bytes, "a weight matrix");
        if (!fresh.panels) return MUDPT_MEMORY;
        size_t scale_bytes = gemm_scale_bytes(fresh.out, fresh.storage);
        if (scale_bytes) {
            fresh.scale = aligned_take(scale_bytes, "a weight matrix's scales");
            if (!fresh.scale) {
                aligned_release(fresh.panels);
                return MUDPT_MEMORY;
            }
            bytes += scale_bytes;
        }
        *w = fresh;
        owner->becomes = becomes;
        if (becomes) return MUDPT_OK; /* for as long as it takes */
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

/* Values of the current tensor that are gathered before they are kept: one row, or all of what has no rows. */
static size_t row_length(const mudpt_clip *clip) {
    const clip_tensor *t = clip->current;
    return !clip->current_part && (t->kind == MATRIX || t->kind == TABLE) ? tensor_columns(t) : clip->expected;
}

static int belongs(const clip_tensor *t, tensor_part part) {
    return part == TENSOR_ITSELF || (t->kind == MATRIX && (part == TENSOR_SCALES || t->block));
}

int mudpt_clip_wants(const mudpt_clip *clip, const char *name) {
    tensor_part part;
    const clip_tensor *t = clip_find_tensor(clip, name, &part);
    return t && belongs(t, part) ? !t->left_out : -1;
}

int mudpt_clip_tensor_begin(mudpt_clip *clip, const char *name, int dtype, const int32_t *shape, int dims) {
    if (live_check(clip, LIVE_CLIP)) return MUDPT_STATE;
    if (clip->finished || clip->current)
        return fail(MUDPT_STATE, "tensor %s: the tensor before it has not ended", name);
    tensor_part part;
    clip_tensor *t = clip_find_tensor(clip, name, &part);
    if (!t || !belongs(t, part) || t->left_out) return MUDPT_SKIP;
    if (dims < 0 || dims > 4) return fail(MUDPT_MODEL, "tensor %s has %d dimensions; expected %d", name, dims, t->dims);
    for (; dims > t->dims && shape[0] == 1; dims--) shape++; /* [1, ...], as some libraries keep it */
    clip_tensor *owner = &clip->tensors[t->owner];
    char sent[64], wanted[64];
    shape_text(sent, sizeof sent, shape, dims);
    if (part) {
        int count = part == TENSOR_SCALES ? t->rows : t->columns;
        size_t all = (size_t)(part == TENSOR_SCALES ? owner->rows : t->columns) * sizeof(float);
        float **kept = part == TENSOR_SCALES ? &owner->scales : &owner->columns_apart;
        if (dims != 1 || shape[0] != count || dtype != MUDPT_F32)
            return fail(MUDPT_MODEL, "tensor %s is %s %s; expected F32 [%d]", name, type_name(dtype), sent, count);
        if (!*kept) *kept = calloc(1, all);
        if (!*kept) return fail_memory(all, "a weight matrix's scales");
    } else {
        if (!shape_matches(t, shape, dims)) {
            int32_t expected[4] = {t->rows, t->columns, 0, 0};
            if (t->kind == TRANSPOSED) expected[0] = t->columns, expected[1] = t->rows;
            if (t->dims == 4) expected[1] = 3, expected[2] = expected[3] = clip->config.patch;
            shape_text(wanted, sizeof wanted, expected, t->dims);
            return fail(MUDPT_MODEL, "tensor %s has shape %s; config.json asks for %s", name, sent, wanted);
        }
        if (dtype < MUDPT_F32 || dtype > MUDPT_I16 || (tensor_is_integer(dtype) && !t->quantized))
            return fail(MUDPT_MODEL, "tensor %s has type %s; expected %s", name, type_name(dtype),
                        t->quantized ? "F32, F16, BF16, I8 or I16" : "F32, F16 or BF16");
        if (t->seen || owner->rows_seen + t->rows > owner->rows)
            return fail(MUDPT_MODEL, "tensor %s comes twice", name);
        int code = open_target(clip, t, dtype);
        if (code) return code;
    }
    clip->current = t;
    clip->current_type = dtype;
    clip->current_part = part;
    clip->expected = part == TENSOR_SCALES    ? (size_t)t->rows
                     : part == TENSOR_COLUMNS ? (size_t)t->columns
                                              : (size_t)t->rows * tensor_columns(t);
    clip->received = 0;
    clip->carried = 0;
    free(clip->row);
    size_t room = (row_length(clip) + tensor_columns(t)) * sizeof(float);
    clip->row = malloc(room);
    if (clip->row) return MUDPT_OK;
    clip->current = NULL;
    return fail_memory(room, "a tensor on its way in");
}

static const char *current_name(const mudpt_clip *clip) {
    const clip_tensor *t = clip->current;
    return *t->openai ? t->openai : t->hugging_face;
}

/* Parts of a matrix have its columns in common. */
static int keep_columns(mudpt_clip *clip, const float *values) {
    const clip_tensor *t = clip->current;
    float *kept = clip->tensors[t->owner].columns_apart;
    for (int i = 0; i < t->columns; i++) {
        if (!(values[i] > 0) || (kept[i] > 0 && kept[i] != values[i]))
            return fail(MUDPT_MODEL, "tensor %s_column holds %g; expected numbers above 0, the same for all parts",
                        current_name(clip), (double)values[i]);
        kept[i] = values[i];
    }
    return MUDPT_OK;
}

/* One row [columns] of the current tensor, or all of a vector. */
static int keep_row(mudpt_clip *clip, int row, const float *values) {
    clip_tensor *t = clip->current;
    size_t columns = tensor_columns(t);
    if (clip->current_part == TENSOR_COLUMNS) return keep_columns(clip, values);
    if (clip->current_part) {
        for (int i = 0; i < t->rows; i++)
            if (values[i] < 0)
                return fail(MUDPT_MODEL, "tensor %s_scale holds %g; expected no negative scale", current_name(clip),
                            (double)values[i]);
        memcpy(clip->tensors[t->owner].scales + t->first_row, values, (size_t)t->rows * sizeof(float));
        return MUDPT_OK;
    }
    if (t->kind == VECTOR) {
        memcpy(*(float **)t->target + (size_t)t->first_row * columns, values, clip->expected * sizeof(float));
        clip_take_samples(clip, 0, t->rows, values);
        return MUDPT_OK;
    }
    clip_take_samples(clip, row, 1, values);
    if (t->kind == TABLE) return clip_store_token_row(clip, row, values);
    float largest = 0;
    for (size_t i = 0; i < columns; i++) largest = fabsf(values[i]) > largest ? fabsf(values[i]) : largest;
    if (((gemm_weight *)t->target)->storage == MUDPT_F16 && largest > 65504.0f)
        return fail(MUDPT_MODEL, "tensor %s holds %g, which f16 cannot; load it with storage type f32",
                    current_name(clip), (double)largest);
    if (clip->current_type == MUDPT_I16 && largest > INTEGER_RIGHT)
        return fail(MUDPT_MODEL, "tensor %s holds %g; I16 weights are -%d to %d", current_name(clip), (double)largest,
                    INTEGER_RIGHT, INTEGER_RIGHT);
    gemm_set_row(t->target, t->first_row + row, values, tensor_is_integer(clip->current_type) ? 1 : 0);
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
    if (at + count < length || (clip->current->kind == TRANSPOSED && !clip->current_part)) return MUDPT_OK;
    return keep_row(clip, (int)(clip->received / length) - 1, clip->row);
}

int mudpt_clip_tensor_bytes(mudpt_clip *clip, const void *data, size_t bytes) {
    if (live_check(clip, LIVE_CLIP)) return MUDPT_STATE;
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
    if (live_check(clip, LIVE_CLIP)) return MUDPT_STATE;
    clip_tensor *t = clip->current;
    if (!t) return fail(MUDPT_STATE, "the end of a tensor that has not begun");
    clip_tensor *owner = &clip->tensors[t->owner];
    int code = MUDPT_OK;
    if (clip->received != clip->expected || clip->carried)
        code = fail(MUDPT_MODEL, "tensor %s ends after %zu of %zu values; the file is cut off", current_name(clip),
                    clip->received, clip->expected);
    if (!code && t->kind == TRANSPOSED) { /* arrived as [columns, rows] */
        size_t rows = (size_t)t->rows, columns = tensor_columns(t);
        float *values = clip->row + rows * columns;
        for (size_t o = 0; o < rows && !code; o++) {
            for (size_t i = 0; i < columns; i++) values[i] = clip->row[i * rows + o];
            code = keep_row(clip, (int)o, values);
        }
    }
    int is_last = !clip->current_part && owner->becomes && owner->rows_seen + t->rows == owner->rows;
    if (!code && is_last && clip_settle(clip, owner)) return MUDPT_MEMORY; /* it can be ended once more */
    clip->current = NULL;
    if (code) return code;
    if (clip->current_part == TENSOR_COLUMNS) {
        owner->columns_seen += t->rows;
    } else if (clip->current_part) {
        owner->scales_seen += t->rows;
    } else {
        t->seen = 1;
        owner->rows_seen += t->rows;
        if (tensor_is_integer(clip->current_type)) owner->integers_seen += t->rows;
    }
    return MUDPT_OK;
}
