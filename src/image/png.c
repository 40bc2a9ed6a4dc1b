/* Decodes PNG: of an animated one the picture that all viewers show.
 *
 * Checked is what Pillow checks, so that both refuse the same files: the checksums of all chunks before the pixels and
 * that of the unpacked pixels. Chunks behind them may be missing, IEND as well.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "mudpt.h"
#include "formats.h"

enum { GREY = 0, RGB = 2, PALETTE = 3, GREY_ALPHA = 4, RGBA = 6, CHUNK = 12 };

typedef struct {
    picture *p;
    size_t at; /* of the next chunk */
    int depth, colour;
    bool interlaced;
    const uint8_t *palette; /* NULL without */
    int colours;
    const uint8_t *clear; /* each colour's alpha, or the colour that is not seen; NULL without */
    size_t clear_bytes;
    int bits;          /* of a pixel */
    size_t first_data; /* the chunk where the packed pixels begin */
    size_t packed;     /* how many bytes they are */
} png;

static uint32_t checksum(const uint8_t *data, size_t bytes) {
    uint32_t table[16], sum = ~0u;
    for (uint32_t i = 0; i < 16; i++) {
        table[i] = i;
        for (int bit = 0; bit < 4; bit++) table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320u : 0);
    }
    for (; bytes > 0; bytes--, data++) {
        sum ^= *data;
        for (int half = 0; half < 2; half++) sum = sum >> 4 ^ table[sum & 15];
    }
    return ~sum;
}

/* ------------------------------------------------------------------------------------------------ chunks */

static int read_header(png *g, const uint8_t *data, size_t length) {
    static const uint8_t channels[7] = {1, 0, 3, 1, 2, 0, 4};
    if (length < 13) return picture_damaged(g->p, "its header makes no sense");
    int depth = data[8], colour = data[9];
    bool whole = depth == 8 || depth == 16, part = depth == 1 || depth == 2 || depth == 4;
    bool valid = colour == GREY      ? whole || part
                 : colour == PALETTE ? depth == 8 || part
                                     : (colour == RGB || colour == GREY_ALPHA || colour == RGBA) && whole;
    if (!valid || data[10] != 0 || data[11] != 0) return picture_damaged(g->p, "its header makes no sense");
    g->depth = depth;
    g->colour = colour;
    g->bits = depth * channels[colour];
    g->interlaced = data[12];
    return picture_size(g->p, big32(data), big32(data + 4));
}

static bool is(const uint8_t *type, const char *name) {
    return memcmp(type, name, 4) == 0;
}

/* A chunk's type is four letters; digits pass, as in Pillow. */
static bool has_type(const uint8_t *type) {
    for (int i = 0; i < 4; i++)
        if (!((type[i] >= 'a' && type[i] <= 'z') || (type[i] >= 'A' && type[i] <= 'Z') ||
              (type[i] >= '0' && type[i] <= '9') || type[i] == '_'))
            return false;
    return true;
}

/* What is of interest in chunks on either side of the pixels. */
static int read_chunk(png *g, const uint8_t *type, size_t length, bool before_pixels) {
    const uint8_t *data = type + 4;
    if (is(type, "eXIf")) g->p->orientation = exif_orientation(data, length);
    if (!before_pixels) return MUDPT_OK;
    if (is(type, "IHDR")) return read_header(g, data, length);
    if (is(type, "PLTE")) {
        if (length > 768) return picture_damaged(g->p, "its palette makes no sense");
        g->palette = data;
        g->colours = (int)(length / 3);
    }
    if (is(type, "tRNS")) {
        g->clear = data;
        g->clear_bytes = length;
    }
    /* An animation's first frame may be these pixels, and must then be all of them. */
    if (is(type, "fcTL") && (length < 26 || big32(data + 4) != (uint32_t)g->p->width ||
                             big32(data + 8) != (uint32_t)g->p->height || big32(data + 12) || big32(data + 16)))
        return picture_damaged(g->p, "its first frame makes no sense");
    return MUDPT_OK;
}

static int read_before_pixels(png *g) {
    const picture *p = g->p;
    for (g->at = 8;;) {
        if (p->bytes - g->at < 8) return picture_cut_off(p);
        size_t length = big32(p->file + g->at);
        const uint8_t *type = p->file + g->at + 4;
        if (!has_type(type)) return picture_damaged(p, "a chunk has no name");
        if (g->bits == 0 && !is(type, "IHDR")) return picture_damaged(p, "it does not begin with its header");
        if (is(type, "IDAT")) break;
        if (is(type, "IEND") || is(type, "fdAT")) return picture_damaged(p, "it has no pixels");
        if (p->bytes - g->at < CHUNK || length > p->bytes - g->at - CHUNK) return picture_cut_off(p);
        if (big32(type + 4 + length) != checksum(type, 4 + length))
            return picture_damaged(p, "a chunk's checksum does not fit");
        int status = read_chunk(g, type, length, true);
        if (status != MUDPT_OK) return status;
        g->at += CHUNK + length;
    }
    if (g->colour == PALETTE && !g->palette) return picture_damaged(p, "its palette is missing");
    return MUDPT_OK;
}

/* Counts the packed pixels or, with `out`, gathers them from their chunks; the last one may be cut off. */
static void gather(png *g, uint8_t *out) {
    const picture *p = g->p;
    g->at = g->first_data;
    g->packed = 0;
    while (p->bytes - g->at >= 8 && is(p->file + g->at + 4, "IDAT")) {
        size_t length = big32(p->file + g->at), left = p->bytes - g->at - 8;
        if (length > left) length = left;
        if (out) memcpy(out + g->packed, p->file + g->at + 8, length);
        g->packed += length;
        g->at += left - length < 4 ? 8 + left : CHUNK + length;
    }
}

static int read_behind_pixels(png *g) {
    const picture *p = g->p;
    while (p->bytes - g->at >= 8) {
        size_t length = big32(p->file + g->at), left = p->bytes - g->at - 8;
        const uint8_t *type = p->file + g->at + 4;
        if (!has_type(type) || is(type, "IEND")) break;
        if (length > left) return picture_cut_off(p);
        int status = read_chunk(g, type, length, false);
        if (status != MUDPT_OK) return status;
        g->at += left - length < 4 ? 8 + left : CHUNK + length;
    }
    return MUDPT_OK;
}

/* ------------------------------------------------------------------------------------------------ pixels */

/* The parts of an interlaced picture: first column and row, steps to the next ones; last, all of it at once. */
static const uint8_t passes[8][4] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                                     {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}, {0, 0, 1, 1}};

static int count_steps(int length, int first, int step) {
    return length > first ? (length - first + step - 1) / step : 0;
}

static size_t bytes_of_row(const png *g, int width) {
    return ((size_t)width * (size_t)g->bits + 7) / 8;
}

static size_t bytes_of_pass(const png *g, const uint8_t pass[4]) {
    int width = count_steps(g->p->width, pass[0], pass[2]), height = count_steps(g->p->height, pass[1], pass[3]);
    return width ? (size_t)height * (1 + bytes_of_row(g, width)) : 0;
}

/* The one of left, above and left above that is nearest to what the three together suggest. */
static int likely(int a, int b, int c) {
    int by_a = abs(b - c), by_b = abs(a - c), by_c = abs(a + b - 2 * c);
    return by_a <= by_b && by_a <= by_c ? a : by_b <= by_c ? b : c;
}

/* Puts back what was taken from each byte: the one before it, above it, their mean or the likely one of three. */
static bool restore_row(uint8_t *row, const uint8_t *above, size_t bytes, size_t pixel, int filter) {
    enum { NONE, LEFT, ABOVE, MEAN, LIKELY };
    if (pixel > bytes) pixel = bytes;
    if (filter == LEFT)
        for (size_t i = pixel; i < bytes; i++) row[i] = (uint8_t)(row[i] + row[i - pixel]);
    if (filter == ABOVE)
        for (size_t i = 0; i < bytes; i++) row[i] = (uint8_t)(row[i] + above[i]);
    if (filter == MEAN || filter == LIKELY)
        for (size_t i = 0; i < pixel; i++) row[i] = (uint8_t)(row[i] + (filter == MEAN ? above[i] / 2 : above[i]));
    if (filter == MEAN)
        for (size_t i = pixel; i < bytes; i++) row[i] = (uint8_t)(row[i] + (row[i - pixel] + above[i]) / 2);
    if (filter == LIKELY)
        for (size_t i = pixel; i < bytes; i++)
            row[i] = (uint8_t)(row[i] + likely(row[i - pixel], above[i], above[i - pixel]));
    return filter <= LIKELY;
}

/* How much is seen of a pixel `at`, of colour `value` of the palette, that was drawn as rgb; as Pillow reads it. */
static uint32_t alpha_of(const png *g, const uint8_t *at, int value, const uint8_t *rgb) {
    if (g->colour == GREY_ALPHA || g->colour == RGBA) return at[(g->bits - g->depth) / 8];
    if (g->colour == PALETTE) return (size_t)value < g->clear_bytes ? g->clear[value] : 255;
    size_t channels = g->colour == RGB ? 3 : 1;
    if (g->clear_bytes < 2 * channels || (g->colour == GREY && g->depth == 16)) return 255;
    for (size_t c = 0; c < channels; c++)
        if (rgb[c] != g->clear[2 * c + 1]) return 255;
    return 0;
}

/* Draws `count` pixels `step` apart. Of 16 bits the higher 8 count. */
static void draw_row(const png *g, const uint8_t *row, int count, uint8_t *to, size_t step) {
    int size = g->bits / 8, wide = g->depth / 8, most = (1 << (g->depth & 7)) - 1;
    bool colour = g->colour == RGB || g->colour == RGBA;
    for (int x = 0; x < count; x++, to += 3 * step) {
        int value = 0;
        if (g->depth >= 8 && g->colour != PALETTE) {
            for (int c = 0; c < 3; c++) to[c] = row[x * size + (colour ? c * wide : 0)];
        } else {
            int bit = x * g->depth;
            value = g->depth == 8 ? row[x] : row[bit / 8] >> (8 - g->depth - bit % 8) & most;
            for (int c = 0; c < 3; c++)
                to[c] = g->colour != PALETTE ? (uint8_t)(value * 255 / most)
                        : value < g->colours ? g->palette[3 * value + c]
                                             : 0;
        }
        if (g->p->on_white) lay_on_white(to, alpha_of(g, row + x * size, value, to));
    }
}

static bool draw_pass(const png *g, const uint8_t pass[4], uint8_t *data, const uint8_t *zeros) {
    picture *p = g->p;
    int width = count_steps(p->width, pass[0], pass[2]);
    size_t bytes = bytes_of_row(g, width), pixel = ((size_t)g->bits + 7) / 8;
    const uint8_t *above = zeros;
    for (int y = pass[1]; y < p->height && width; y += pass[3], data += bytes) {
        int filter = *data++;
        if (!restore_row(data, above, bytes, pixel, filter)) return false;
        above = data;
        draw_row(g, data, width, p->rgb + 3 * ((size_t)y * (size_t)p->width + pass[0]), pass[2]);
    }
    return true;
}

static int unpack(png *g) {
    picture *p = g->p;
    const uint8_t(*first)[4] = passes + (g->interlaced ? 0 : 7), (*end)[4] = g->interlaced ? passes + 7 : passes + 8;
    size_t wanted = 0, rgb = (size_t)p->width * (size_t)p->height * 3, zeros = bytes_of_row(g, p->width);
    for (const uint8_t(*pass)[4] = first; pass < end; pass++) wanted += bytes_of_pass(g, *pass);
    /* Deflate packs at most 1032 bytes into one. */
    if (wanted / 1032 > g->packed) return picture_damaged(p, "it has too little data for its size");
    uint8_t *data = malloc(wanted + INFLATE_ROOM + zeros), *packed = malloc(g->packed + INFLATE_BEHIND);
    p->rgb = malloc(rgb);
    if (!data || !packed || !p->rgb) {
        free(data);
        free(packed);
        return picture_memory(p, wanted + g->packed + rgb);
    }
    memset(data + wanted + INFLATE_ROOM, 0, zeros);
    gather(g, packed);
    memset(packed + g->packed, 0, INFLATE_BEHIND);
    unpacked result = inflate(packed, g->packed, data, wanted);
    free(packed);
    int status = result == UNPACKED              ? MUDPT_OK
                 : result == UNPACKED_CUT_OFF    ? picture_cut_off(p)
                 : result == UNPACKED_TOO_LITTLE ? picture_damaged(p, "pixels are missing")
                                                 : picture_damaged(p, "its pixels or their checksum do not fit");
    uint8_t *at = data;
    for (const uint8_t(*pass)[4] = first; pass < end && status == MUDPT_OK; at += bytes_of_pass(g, *pass++))
        if (!draw_pass(g, *pass, at, data + wanted + INFLATE_ROOM))
            status = picture_damaged(p, "a row is filtered in no known way");
    free(data);
    return status;
}

int png_decode(picture *p) {
    png g = {.p = p};
    int status = read_before_pixels(&g);
    if (status != MUDPT_OK) return status;
    g.first_data = g.at;
    gather(&g, NULL);
    status = read_behind_pixels(&g);
    if (status == MUDPT_OK) status = unpack(&g);
    if (status == MUDPT_OK) return status;
    free(p->rgb);
    p->rgb = NULL;
    return status;
}
