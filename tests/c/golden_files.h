/* Reading golden files: JSON, safetensors, PNG, token ids. Part of golden.c, which alone includes it.
 *
 * Written for well-formed files; a malformed one gives a NULL or a 0 and never more than that. Assumes a little-endian
 * machine. The tokenizer knows ASCII sentences only, all that the recorded runs need; everything else is Node's.
 */
#ifndef GOLDEN_FILES_H
#define GOLDEN_FILES_H

#include <cjson/cJSON.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#pragma GCC diagnostic ignored "-Wunused-function" /* counts at the end of the file, so it cannot be taken back */
#include <stb_image.h>

enum { PATH_BYTES = 2048 };

static void *need(void *memory) {
    if (!memory) {
        fputs("out of memory\n", stderr);
        exit(2);
    }
    return memory;
}

static void *need_bytes(size_t bytes) {
    return need(calloc(bytes ? bytes : 1, 1));
}

/* out = folder/name; "" where that is too long, which then is not found */
static const char *join(char out[PATH_BYTES], const char *folder, const char *name) {
    size_t first = strlen(folder), second = strlen(name);
    if (first + second + 2 > PATH_BYTES) {
        *out = 0;
    } else {
        memmove(out, folder, first); /* `folder` may be `out` */
        out[first] = '/';
        memcpy(out + first + 1, name, second + 1);
    }
    return out;
}

/* The whole file with a 0 behind it, or NULL. */
static char *read_file(const char *path, size_t *bytes) {
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    char *out = NULL;
    size_t used = 0, room = 1 << 16, got = 1;
    while (got) {
        room *= 2;
        out = need(realloc(out, room + 1));
        used += got = fread(out + used, 1, room - used, f);
    }
    int bad = ferror(f);
    fclose(f);
    if (bad) {
        free(out);
        return NULL;
    }
    out[used] = 0;
    *bytes = used;
    return out;
}

static cJSON *read_json(const char *path) {
    size_t bytes;
    char *text = read_file(path, &bytes);
    cJSON *out = text ? cJSON_Parse(text) : NULL;
    free(text);
    return out;
}

static const cJSON *json_get(const cJSON *object, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static double json_number(const cJSON *object, const char *key, double otherwise) {
    const cJSON *v = json_get(object, key);
    return cJSON_IsNumber(v) ? v->valuedouble : cJSON_IsBool(v) ? cJSON_IsTrue(v) : otherwise;
}

static const char *json_text(const cJSON *object, const char *key) {
    const char *v = cJSON_GetStringValue(json_get(object, key));
    return v ? v : "";
}

/* An array of whole numbers; *count how many. */
static int32_t *json_ints(const cJSON *array, int *count) {
    *count = cJSON_GetArraySize(array);
    int32_t *out = need_bytes((size_t)*count * 4), i = 0;
    const cJSON *v;
    cJSON_ArrayForEach(v, array) out[i++] = v->valueint;
    return out;
}

/* ------------------------------------------------------------------------------------------------ safetensors */

typedef struct {
    char *bytes;
    cJSON *header;
    const uint8_t *data;
    size_t size; /* of data */
} tensor_file;

typedef struct {
    const char *dtype;
    int dims;
    int32_t shape[8];
    size_t count, bytes;
    const uint8_t *data;
} tensor;

static int tensor_file_open(tensor_file *file, const char *path) {
    memset(file, 0, sizeof *file);
    size_t bytes;
    uint64_t header;
    file->bytes = read_file(path, &bytes);
    if (!file->bytes || bytes < 8) return 0;
    memcpy(&header, file->bytes, 8);
    if (header > bytes - 8) return 0;
    file->header = cJSON_ParseWithLength(file->bytes + 8, header);
    file->data = (const uint8_t *)file->bytes + 8 + header;
    file->size = bytes - 8 - header;
    return cJSON_IsObject(file->header);
}

static void tensor_file_close(tensor_file *file) {
    cJSON_Delete(file->header);
    free(file->bytes);
    memset(file, 0, sizeof *file);
}

static size_t dtype_bytes(const char *dtype) {
    static const struct {
        const char *name;
        size_t bytes;
    } known[] = {{"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I32", 4}, {"I64", 8}, {"I8", 1}, {"U8", 1}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(dtype, known[i].name)) return known[i].bytes;
    return 0;
}

/* What one entry of the header says, checked against the file's size. */
static int tensor_read(const tensor_file *file, const cJSON *entry, tensor *out) {
    const cJSON *shape = json_get(entry, "shape"), *offsets = json_get(entry, "data_offsets"), *v;
    memset(out, 0, sizeof *out);
    out->dtype = json_text(entry, "dtype");
    out->count = 1;
    if (!cJSON_IsArray(shape) || cJSON_GetArraySize(shape) > 8 || cJSON_GetArraySize(offsets) != 2) return 0;
    cJSON_ArrayForEach(v, shape) {
        if (!cJSON_IsNumber(v) || v->valueint < 0 || (v->valueint && out->count > file->size / (size_t)v->valueint))
            return 0;
        out->shape[out->dims++] = v->valueint;
        out->count *= (size_t)v->valueint;
    }
    double from = cJSON_GetNumberValue(cJSON_GetArrayItem(offsets, 0));
    double to = cJSON_GetNumberValue(cJSON_GetArrayItem(offsets, 1));
    out->bytes = out->count * dtype_bytes(out->dtype);
    if (!(from >= 0) || !(to <= (double)file->size) || to - from != (double)out->bytes) return 0;
    out->data = file->data + (size_t)from;
    return 1;
}

static int tensor_find(const tensor_file *file, const char *name, tensor *out) {
    return tensor_read(file, json_get(file->header, name), out);
}

static float half_to_float(uint16_t h) {
    int exponent = h >> 10 & 31;
    float v = exponent == 31 ? ((h & 1023) ? NAN : INFINITY)
              : exponent     ? ldexpf((float)(1024 + (h & 1023)), exponent - 25)
                             : ldexpf((float)(h & 1023), -24);
    return h >> 15 ? -v : v;
}

/* Rounded to the nearest, ties to even. */
static uint16_t float_to_half(float v) {
    uint16_t sign = signbit(v) ? 0x8000 : 0;
    float a = fabsf(v);
    if (!(a < 65520.0f)) return sign | (a == a ? 0x7c00 : 0x7e00);
    if (a < 6.103515625e-5f) /* 2^-14: in steps of 2^-24 from here down */
        return sign | (uint16_t)rintf(ldexpf(a, 24));
    int exponent;
    float mantissa = rintf(ldexpf(frexpf(a, &exponent), 11)); /* 1024 ... 2048 */
    return sign | (uint16_t)(((exponent + 13) << 10) + (int)mantissa);
}

/* The values of a floating-point tensor, widened; NULL where there is no such tensor. Free it. */
static float *tensor_floats(const tensor_file *file, const char *name, tensor *out) {
    if (!tensor_find(file, name, out)) return NULL;
    float *values = need_bytes(out->count * 4);
    if (!strcmp(out->dtype, "F32")) memcpy(values, out->data, out->bytes);
    else if (!strcmp(out->dtype, "F16") || !strcmp(out->dtype, "BF16"))
        for (size_t i = 0; i < out->count; i++) {
            uint16_t h;
            memcpy(&h, out->data + 2 * i, 2);
            uint32_t wide = (uint32_t)h << 16;
            if (out->dtype[0] == 'F') values[i] = half_to_float(h);
            else memcpy(values + i, &wide, 4);
        }
    else {
        free(values);
        return NULL;
    }
    return values;
}

static int32_t *tensor_ints(const tensor_file *file, const char *name, tensor *out) {
    if (!tensor_find(file, name, out) || strcmp(out->dtype, "I32")) return NULL;
    int32_t *values = need_bytes(out->bytes);
    memcpy(values, out->data, out->bytes);
    return values;
}

/* ------------------------------------------------------------------------------------------------ pictures */

/* A PNG's pixels [height, width, 3], or NULL. Free them. */
static uint8_t *read_png(const char *path, int *width, int *height) {
    size_t bytes;
    int channels;
    char *file = read_file(path, &bytes);
    uint8_t *out = file && bytes < 1u << 30
                       ? stbi_load_from_memory((const uint8_t *)file, (int)bytes, width, height, &channels, 3)
                       : NULL;
    free(file);
    return out;
}

/* ------------------------------------------------------------------------------------------------ tokenizer */

enum { WORD_BYTES = 64 };

/* Byte-pair encoding of one word: the merges are applied in their order, each wherever it fits. Returns how many
 * ids. */
static int encode_word(const cJSON *model, const char *word, int length, int32_t *ids) {
    char symbols[WORD_BYTES][WORD_BYTES + 8];
    int count = length;
    for (int i = 0; i < length; i++)
        snprintf(symbols[i], sizeof symbols[i], "%c%s", word[i], i == length - 1 ? "</w>" : "");
    const cJSON *merge;
    cJSON_ArrayForEach(merge, json_get(model, "merges")) {
        char text[256];
        const char *left = cJSON_GetStringValue(cJSON_GetArrayItem(merge, 0));
        const char *right = cJSON_GetStringValue(cJSON_GetArrayItem(merge, 1));
        if (cJSON_IsString(merge)) { /* the older form, "left right" */
            snprintf(text, sizeof text, "%s", merge->valuestring);
            left = strtok(text, " ");
            right = strtok(NULL, " ");
        }
        if (!left || !right) return 0;
        for (int i = 0; i + 1 < count; i++)
            if (!strcmp(symbols[i], left) && !strcmp(symbols[i + 1], right)) {
                strcat(symbols[i], symbols[i + 1]);
                memmove(symbols[i + 1], symbols[i + 2], (size_t)(count - i - 2) * sizeof *symbols);
                count--;
            }
    }
    for (int i = 0; i < count; i++) {
        const cJSON *id = json_get(json_get(model, "vocab"), symbols[i]);
        if (!cJSON_IsNumber(id)) return 0;
        ids[i] = id->valueint;
    }
    return count;
}

/* The ids of an ASCII text, with both specials around them; returns how many, at most `room`, or 0 where it cannot. */
static int encode_text(const cJSON *tokenizer, const char *text, int32_t *ids, int room) {
    static const char *const endings[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    const cJSON *model = json_get(tokenizer, "model"), *added;
    char lower[1024];
    int count = 0, start = -1, end = -1;
    cJSON_ArrayForEach(added, json_get(tokenizer, "added_tokens")) {
        if (!strcmp(json_text(added, "content"), "<|startoftext|>")) start = (int)json_number(added, "id", -1);
        if (!strcmp(json_text(added, "content"), "<|endoftext|>")) end = (int)json_number(added, "id", -1);
    }
    if (start < 0 || end < 0 || strlen(text) >= sizeof lower || room < 2) return 0;
    ids[count++] = start;
    for (size_t i = 0; i <= strlen(text); i++) {
        if (text[i] && (text[i] < ' ' || text[i] > '~')) return 0;
        lower[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 32) : text[i];
    }
    for (const char *at = lower; *at;) {
        int length = 0;
        if (*at == ' ') {
            at++;
            continue;
        }
        for (size_t i = 0; i < sizeof endings / sizeof *endings && !length; i++)
            if (!strncmp(at, endings[i], strlen(endings[i]))) length = (int)strlen(endings[i]);
        if (!length && *at >= '0' && *at <= '9') length = 1;
        if (!length)
            while (at[length] >= 'a' && at[length] <= 'z') length++;
        if (!length)
            while (at[length] && !strchr(" 0123456789abcdefghijklmnopqrstuvwxyz", at[length])) length++;
        if (length > WORD_BYTES || count + length >= room) return 0;
        int got = encode_word(model, at, length, ids + count);
        if (!got) return 0;
        count += got;
        at += length;
    }
    ids[count++] = end;
    return count;
}

#endif
