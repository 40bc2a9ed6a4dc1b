/* Writers of small picture files, for the tests of decoding: what must come out is known exactly. */
#ifndef IMAGE_FILES_H
#define IMAGE_FILES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

typedef struct {
    size_t used;
    uint8_t at[1 << 16];
} bytes;

static inline void put(bytes *b, const void *data, size_t count) {
    if (count > 0) memcpy(b->at + b->used, data, count);
    b->used += count;
}

static inline void put_numbers(bytes *b, int size, int big, int count, const uint32_t *values) {
    for (int i = 0; i < count; i++)
        for (int k = 0; k < size; k++) b->at[b->used++] = (uint8_t)(values[i] >> 8 * (big ? size - 1 - k : k));
}

#define PUT(b, ...) put(b, (uint8_t[]){__VA_ARGS__}, sizeof(uint8_t[]){__VA_ARGS__})
#define PUT_NUMBERS(b, size, big, ...)                                                                                 \
    put_numbers(b, size, big, (int)(sizeof(uint32_t[]){__VA_ARGS__} / sizeof(uint32_t)), (uint32_t[]){__VA_ARGS__})
#define PUT_BIG(b, size, ...) PUT_NUMBERS(b, size, 1, __VA_ARGS__)
#define PUT_LITTLE(b, size, ...) PUT_NUMBERS(b, size, 0, __VA_ARGS__)

static inline uint32_t crc32(const uint8_t *data, size_t count) {
    uint32_t sum = ~0u;
    for (size_t i = 0; i < count; i++) {
        sum ^= data[i];
        for (int bit = 0; bit < 8; bit++) sum = sum >> 1 ^ (sum & 1 ? 0xedb88320u : 0);
    }
    return ~sum;
}

static inline void put_chunk(bytes *b, const char *type, const uint8_t *data, size_t count) {
    PUT_BIG(b, 4, (uint32_t)count);
    put(b, type, 4);
    put(b, data, count);
    PUT_BIG(b, 4, crc32(b->at + b->used - count - 4, count + 4));
}

static inline void begin_png(bytes *b, uint32_t width, uint32_t height, int depth, int colour) {
    bytes header = {.used = 0};
    PUT_BIG(&header, 4, width, height);
    PUT(&header, (uint8_t)depth, (uint8_t)colour, 0, 0, 0);
    b->used = 0;
    put(b, "\x89PNG\r\n\x1a\n", 8);
    put_chunk(b, "IHDR", header.at, header.used);
}

/* rows: `stride` bytes each, stored without compression */
static inline void end_png(bytes *b, const uint8_t *rows, size_t height, size_t stride) {
    static bytes data;
    data.used = 0;
    PUT(&data, 0x78, 0x01, 1);
    uint32_t count = (uint32_t)(height * (stride + 1));
    PUT_LITTLE(&data, 2, count, ~count);
    for (size_t y = 0; y < height; y++) {
        PUT(&data, 0);
        put(&data, rows + y * stride, stride);
    }
    uint32_t low = 1, high = 0;
    for (size_t i = 7; i < data.used; i++) {
        low = (low + data.at[i]) % 65521;
        high = (high + low) % 65521;
    }
    PUT_BIG(&data, 4, high << 16 | low);
    put_chunk(b, "IDAT", data.at, data.used);
    put_chunk(b, "IEND", NULL, 0);
}

static inline void make_png(bytes *b, int width, int height, const uint8_t *rgb) {
    begin_png(b, (uint32_t)width, (uint32_t)height, 8, 2);
    end_png(b, rgb, (size_t)height, 3 * (size_t)width);
}

static inline void make_bmp(bytes *b, int width, int height, const uint8_t *rgb) {
    b->used = 0;
    int stride = (3 * width + 3) / 4 * 4;
    put(b, "BM", 2);
    PUT_LITTLE(b, 4, (uint32_t)(54 + stride * height), 0, 54, 40, (uint32_t)width, (uint32_t)height, 1 | 24 << 16, 0, 0,
               0, 0, 0, 0);
    for (int y = height - 1; y >= 0; y--)
        for (int x = 0; x < stride; x++) PUT(b, x < 3 * width ? rgb[3 * (y * width + x / 3) + 2 - x % 3] : 0);
}

typedef struct {
    int width, height, left, top, frame_width, frame_height, transparent, interlaced;
} gif_layout;

/* colours [4, 3]; pixels: indices, in the order of the file */
static inline void make_gif(bytes *b, const gif_layout *g, const uint8_t *colours, const uint8_t *pixels) {
    b->used = 0;
    put(b, "GIF89a", 6);
    PUT_LITTLE(b, 2, (uint32_t)g->width, (uint32_t)g->height);
    PUT(b, 0x81, 3, 0);
    put(b, colours, 12);
    PUT(b, '!', 0xfe, 2, 'h', 'i', 0);
    if (g->transparent >= 0) PUT(b, '!', 0xf9, 4, 1, 0, 0, (uint8_t)g->transparent, 0);
    PUT(b, ',');
    PUT_LITTLE(b, 2, (uint32_t)g->left, (uint32_t)g->top, (uint32_t)g->frame_width, (uint32_t)g->frame_height);
    PUT(b, g->interlaced ? 0x40 : 0, 7);
    /* Eight bits a code: cleared so often that codes never grow. */
    int count = g->frame_width * g->frame_height;
    for (int i = 0; i < count; i += 60) {
        int block = count - i < 60 ? count - i : 60;
        PUT(b, (uint8_t)(block + 1), 0x80);
        put(b, pixels + i, (size_t)block);
    }
    PUT(b, 1, 0x81, 0, ';');
}

/* A JPEG of blocks of 8 x 8 equal pixels: only means are coded, so they come out as they went in. */
typedef struct {
    int across, down, components, progressive, restart; /* blocks; restart marker after so many, 0: none */
    const uint8_t *values;                              /* [down * across, components] */
    const bytes *extra;                                 /* segments to put first, or NULL */
} jpeg_layout;

static inline void put_segment(bytes *b, int marker, const uint8_t *data, size_t count) {
    PUT(b, 0xff, (uint8_t)marker);
    PUT_BIG(b, 2, (uint32_t)count + 2);
    put(b, data, count);
}

typedef struct {
    bytes *to;
    uint32_t value;
    int count;
} bit_writer;

static inline void put_bits(bit_writer *w, int count, uint32_t value) {
    for (int i = count - 1; i >= 0; i--) {
        w->value = w->value << 1 | (value >> i & 1);
        if (++w->count < 8) continue;
        PUT(w->to, (uint8_t)w->value);
        if ((w->value & 255) == 255) PUT(w->to, 0);
        w->count = 0;
    }
}

static inline void put_restart(bit_writer *w, int number) {
    while (w->count) put_bits(w, 1, 1);
    PUT(w->to, 0xff, (uint8_t)(0xd0 + number % 8));
}

static inline void make_jpeg(bytes *b, const jpeg_layout *j) {
    static const uint8_t means[] = {0x00, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
    static const uint8_t rest[] = {0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    b->used = 0;
    PUT(b, 0xff, 0xd8);
    if (j->extra) put(b, j->extra->at, j->extra->used);
    uint8_t table[65];
    memset(table, 8, sizeof table);
    table[0] = 0;
    put_segment(b, 0xdb, table, sizeof table);
    bytes frame = {.used = 0}, scan = {.used = 0};
    PUT(&frame, 8);
    PUT_BIG(&frame, 2, 8 * (uint32_t)j->down, 8 * (uint32_t)j->across);
    PUT(&frame, (uint8_t)j->components);
    PUT(&scan, (uint8_t)j->components);
    for (int c = 0; c < j->components; c++) {
        PUT(&frame, (uint8_t)(c + 1), 0x11, 0);
        PUT(&scan, (uint8_t)(c + 1), 0);
    }
    PUT(&scan, 0, j->progressive ? 0 : 63, 0);
    put_segment(b, j->progressive ? 0xc2 : 0xc0, frame.at, frame.used);
    put_segment(b, 0xc4, means, sizeof means);
    put_segment(b, 0xc4, rest, sizeof rest);
    if (j->restart) put_segment(b, 0xdd, (uint8_t[]){0, (uint8_t)j->restart}, 2);
    put_segment(b, 0xda, scan.at, scan.used);
    bit_writer w = {.to = b};
    int before[4] = {128, 128, 128, 128};
    for (int i = 0; i < j->across * j->down; i++) {
        if (j->restart && i > 0 && i % j->restart == 0) {
            put_restart(&w, i / j->restart - 1);
            for (int c = 0; c < 4; c++) before[c] = 128;
        }
        for (int c = 0; c < j->components; c++) {
            int step = j->values[i * j->components + c] - before[c], length = 0;
            before[c] += step;
            while (abs(step) >> length) length++;
            put_bits(&w, 4, (uint32_t)length);
            put_bits(&w, length, (uint32_t)(step < 0 ? step - 1 : step));
            if (!j->progressive) put_bits(&w, 1, 0);
        }
    }
    /* A progressive file says of every component that there is nothing but means. */
    for (int c = 0; c < j->components && j->progressive; c++) {
        while (w.count) put_bits(&w, 1, 1);
        put_segment(b, 0xda, (uint8_t[]){1, (uint8_t)(c + 1), 0, 1, 63, 0}, 6);
        for (int i = 0; i < j->across * j->down; i++) {
            if (j->restart && i > 0 && i % j->restart == 0) put_restart(&w, i / j->restart - 1);
            put_bits(&w, 1, 0);
        }
    }
    while (w.count) put_bits(&w, 1, 1);
    PUT(b, 0xff, 0xd9);
}

/* 19 x 13 pixels, red 0 ... 255 from left to right, green from top to bottom, blue 90; made by Pillow, with the
 * quantisation and Huffman tables, the scans and the sampling of real files. */
static const uint8_t progressive_jpeg[] = {
    255, 216, 255, 224, 0,   16,  74,  70,  73,  70,  0,   1,   1,   0,   0,   1,   0,   1,   0,   0,   255, 219, 0,
    67,  0,   13,  9,   10,  11,  10,  8,   13,  11,  10,  11,  14,  14,  13,  15,  19,  32,  21,  19,  18,  18,  19,
    39,  28,  30,  23,  32,  46,  41,  49,  48,  46,  41,  45,  44,  51,  58,  74,  62,  51,  54,  70,  55,  44,  45,
    64,  87,  65,  70,  76,  78,  82,  83,  82,  50,  62,  90,  97,  90,  80,  96,  74,  81,  82,  79,  255, 219, 0,
    67,  1,   14,  14,  14,  19,  17,  19,  38,  21,  21,  38,  79,  53,  45,  53,  79,  79,  79,  79,  79,  79,  79,
    79,  79,  79,  79,  79,  79,  79,  79,  79,  79,  79,  79,  79,  79,  79,  79,  79,  79,  79,  79,  79,  79,  79,
    79,  79,  79,  79,  79,  79,  79,  79,  79,  79,  79,  79,  79,  79,  79,  79,  79,  79,  79,  79,  255, 194, 0,
    17,  8,   0,   13,  0,   19,  3,   1,   34,  0,   2,   17,  1,   3,   17,  1,   255, 196, 0,   22,  0,   1,   1,
    1,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   5,   0,   4,   255, 196, 0,   21,  1,   1,
    1,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   3,   5,   255, 218, 0,   12,  3,   1,
    0,   2,   16,  3,   16,  0,   0,   1,   55,  82,  58,  192, 139, 156, 130, 175, 255, 196, 0,   25,  16,  0,   3,
    1,   1,   1,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   1,   2,   3,   18,  19,  255, 218, 0,
    8,   1,   1,   0,   1,   5,   2,   156, 137, 200, 242, 38,  17,  48,  142, 17,  255, 196, 0,   23,  17,  0,   3,
    1,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   1,   4,   20,  255, 218, 0,   8,   1,
    3,   1,   1,   63,  1,   154, 166, 106, 103, 255, 196, 0,   23,  17,  1,   0,   3,   0,   0,   0,   0,   0,   0,
    0,   0,   0,   0,   0,   0,   0,   0,   2,   4,   20,  255, 218, 0,   8,   1,   2,   1,   1,   63,  1,   157, 134,
    135, 255, 196, 0,   20,  16,  1,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   32,
    255, 218, 0,   8,   1,   1,   0,   6,   63,  2,   95,  255, 196, 0,   26,  16,  0,   2,   2,   3,   0,   0,   0,
    0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   1,   16,  97,  17,  33,  49,  255, 218, 0,   8,   1,   1,   0,
    1,   63,  33,  164, 164, 90,  242, 82,  88,  143, 255, 218, 0,   12,  3,   1,   0,   2,   0,   3,   0,   0,   0,
    16,  40,  47,  255, 196, 0,   23,  17,  1,   0,   3,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,
    0,   0,   1,   17,  33,  255, 218, 0,   8,   1,   3,   1,   1,   63,  16,  196, 138, 159, 255, 196, 0,   22,  17,
    1,   1,   1,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   1,   17,  255, 218, 0,   8,
    1,   2,   1,   1,   63,  16,  163, 79,  255, 196, 0,   23,  16,  1,   1,   1,   1,   0,   0,   0,   0,   0,   0,
    0,   0,   0,   0,   0,   0,   0,   33,  49,  17,  255, 218, 0,   8,   1,   1,   0,   1,   63,  16,  204, 204, 136,
    149, 43,  132, 255, 217,
};

/* The same picture, sequential, with half the columns of colour. */
static const uint8_t half_columns_jpeg[] = {
    255, 216, 255, 224, 0,   16,  74,  70,  73,  70,  0,   1,   1,   0,   0,   1,   0,   1,   0,   0,   255, 219, 0,
    67,  0,   23,  16,  17,  20,  17,  14,  23,  20,  18,  20,  26,  24,  23,  27,  34,  57,  37,  34,  31,  31,  34,
    70,  50,  53,  41,  57,  82,  72,  87,  85,  81,  72,  80,  78,  91,  102, 131, 111, 91,  97,  124, 98,  78,  80,
    114, 155, 115, 124, 135, 139, 146, 148, 146, 88,  109, 160, 172, 159, 142, 170, 131, 143, 146, 141, 255, 219, 0,
    67,  1,   24,  26,  26,  34,  30,  34,  67,  37,  37,  67,  141, 94,  80,  94,  141, 141, 141, 141, 141, 141, 141,
    141, 141, 141, 141, 141, 141, 141, 141, 141, 141, 141, 141, 141, 141, 141, 141, 141, 141, 141, 141, 141, 141, 141,
    141, 141, 141, 141, 141, 141, 141, 141, 141, 141, 141, 141, 141, 141, 141, 141, 141, 141, 141, 141, 255, 192, 0,
    17,  8,   0,   13,  0,   19,  3,   1,   33,  0,   2,   17,  1,   3,   17,  1,   255, 196, 0,   22,  0,   1,   1,
    1,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   4,   0,   5,   255, 196, 0,   28,  16,  0,
    2,   2,   2,   3,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   4,   2,   3,   1,   97,  17,  33,
    49,  255, 196, 0,   24,  1,   0,   2,   3,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   4,
    5,   1,   3,   6,   255, 196, 0,   26,  17,  0,   3,   1,   1,   1,   1,   0,   0,   0,   0,   0,   0,   0,   0,
    0,   0,   0,   1,   3,   2,   4,   18,  19,  255, 218, 0,   12,  3,   1,   0,   2,   17,  3,   17,  0,   63,  0,
    202, 169, 45,  12,  169, 45,  19,  186, 150, 242, 216, 78,  18,  235, 194, 7,   250, 142, 21,  133, 212, 188, 6,
    84,  188, 1,   183, 182, 100, 121, 104, 196, 225, 120, 112, 64,  254, 216, 229, 81,  159, 255, 217,
};

/* The same picture. */
static const uint8_t deflated_png[] = {
    137, 80,  78,  71,  13,  10,  26,  10,  0,  0,   0,   13,  73,  72,  68,  82,  0,  0,   0,   19,
    0,   0,   0,   13,  8,   2,   0,   0,   0,  196, 238, 194, 112, 0,   0,   0,   41, 73,  68,  65,
    84,  120, 218, 99,  100, 96,  136, 226, 99, 96,  128, 32,  126, 24,  3,   43,  23, 77,  144, 133,
    65,  148, 129, 60,  64,  137, 78,  177, 1,  176, 115, 164, 184, 118, 100, 132, 16, 0,   155, 251,
    2,   138, 51,  122, 224, 92,  0,   0,   0,  0,   73,  69,  78,  68,  174, 66,  96, 130,
};

static inline void fill_noise(uint8_t *to, size_t count, uint64_t seed) {
    rng r;
    rng_seed(&r, seed, 0);
    for (size_t i = 0; i < count; i++) to[i] = (uint8_t)rng_below(&r, 256);
}

#endif
