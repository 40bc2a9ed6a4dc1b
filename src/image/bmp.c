/* Decodes BMP: 1, 4 and 8 bits a pixel with a palette, plain or in runs; 16, 24 and 32 bits with or without masks.
 *
 * The format is small enough to be read here. (The BMP part of stb_image accepts files that are cut off, and refuses or
 * miscolours several of the header's variants.)
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "mudpt.h"
#include "formats.h"

enum {
    UNCOMPRESSED = 0,
    RUNS_OF_8 = 1,
    RUNS_OF_4 = 2,
    MASKS = 3,
    MASKS_WITH_ALPHA = 6,
    FILE_HEADER = 14,
    OLD_HEADER = 12,
    HEADER = 40
};

typedef struct {
    picture *p;
    int bits;                /* of a pixel */
    bool downwards;          /* rows from the top */
    bool runs;               /* its pixels are packed */
    uint32_t largest[4];     /* for 16 and 32 bits: the largest value of red, green, blue and alpha, */
    int shift[4];            /* and the position of its lowest bit */
    uint8_t colours[256][3]; /* for 1, 4 and 8 bits */
    size_t start;            /* of the pixels */
} bmp;

static bool has_palette(const bmp *b) {
    return b->bits == 1 || b->bits == 4 || b->bits == 8;
}

/* Masks lie at the same place whether they follow the header or belong to it. */
static void read_masks(bmp *b, const uint8_t *masks, int count) {
    for (int c = 0; c < count; c++) {
        uint32_t mask = masks ? little32(masks + 4 * c) : b->bits == 16 ? 31u << (10 - 5 * c) : 255u << (16 - 8 * c);
        for (; mask && !(mask & 1); b->shift[c]++) mask >>= 1;
        b->largest[c] = mask;
    }
}

/* used: how many colours the header promises, 0 for all. What is missing is black. */
static void read_palette(bmp *b, const uint8_t *colour, size_t bytes, uint32_t used, size_t each) {
    size_t colours = (size_t)1 << b->bits;
    if (used > 0 && used < colours) colours = used;
    if (colours > bytes / each) colours = bytes / each;
    for (size_t i = 0; i < colours; i++, colour += each)
        for (int c = 0; c < 3; c++) b->colours[i][c] = colour[2 - c];
}

static int read_header(bmp *b) {
    picture *p = b->p;
    const uint8_t *file = p->file;
    if (p->bytes < FILE_HEADER + OLD_HEADER) return picture_cut_off(p);
    uint32_t start = little32(file + 10), header = little32(file + 14);
    bool old = header == OLD_HEADER;
    bool known =
        old || header == HEADER || header == 52 || header == 56 || header == 64 || header == 108 || header == 124;
    if (!known) return picture_unsupported(p, "of a rare kind");
    size_t end = FILE_HEADER + (size_t)header;
    if (p->bytes < end) return picture_cut_off(p);
    uint32_t width = old ? little16(file + 18) : little32(file + 18);
    uint32_t height = old ? little16(file + 20) : little32(file + 22);
    b->downwards = !old && height >> 31;
    int status = picture_size(p, width, b->downwards ? -height : height);
    if (status != MUDPT_OK) return status;
    b->bits = (int)little16(file + (old ? 24 : 28));
    if (!has_palette(b) && b->bits != 16 && b->bits != 24 && b->bits != 32)
        return picture_damaged(p, "its header makes no sense");
    uint32_t compression = old ? UNCOMPRESSED : little32(file + 30), used = old ? 0 : little32(file + 46);
    bool masks = (compression == MASKS || compression == MASKS_WITH_ALPHA) && b->bits >= 16;
    b->runs = (compression == RUNS_OF_8 && b->bits == 8) || (compression == RUNS_OF_4 && b->bits == 4);
    if (compression != UNCOMPRESSED && !masks && !b->runs)
        return picture_unsupported(p, "with a compression of a rare kind");
    if (masks && header == HEADER) end += compression == MASKS ? 12 : 16;
    if (p->bytes < end) return picture_cut_off(p);
    const uint8_t *mask = file + FILE_HEADER + HEADER;
    bool none = masks && little32(mask) == 0 && little32(mask + 4) == 0 && little32(mask + 8) == 0;
    read_masks(b, masks && !none ? mask : NULL, masks && !none && header >= 56 ? 4 : 3);
    if (b->bits == 24 && masks && little32(mask) != 0xff0000)
        return picture_unsupported(p, "with a compression of a rare kind");
    if (has_palette(b)) {
        size_t each = old ? 3 : 4, colours = used ? used : (size_t)1 << b->bits;
        if (colours > 1 << 16) return picture_damaged(p, "its header makes no sense");
        read_palette(b, file + end, p->bytes - end, used, each);
        /* Some writers give the place of the palette as that of the pixels, or none. */
        if (start == end) start = (uint32_t)(start + each * colours);
        if (start == 0) end += each * colours;
    }
    b->start = start ? start : end;
    return b->start <= p->bytes ? MUDPT_OK : picture_cut_off(p);
}

static void read_row(const bmp *b, const uint8_t *row, uint8_t *to) {
    for (int x = 0; x < b->p->width; x++, to += 3) {
        if (b->bits <= 8) {
            int bit = x * b->bits, index = row[bit / 8] >> (8 - b->bits - bit % 8) & ((1 << b->bits) - 1);
            for (int c = 0; c < 3; c++) to[c] = b->colours[index][c];
        } else if (b->bits == 24) {
            for (int c = 0; c < 3; c++) to[c] = row[3 * x + 2 - c];
        } else {
            uint32_t pixel = b->bits == 16 ? little16(row + 2 * x) : little32(row + 4 * (size_t)x);
            uint8_t all[4];
            for (int c = 0; c < 4; c++) {
                uint64_t value = pixel >> b->shift[c] & b->largest[c];
                all[c] = b->largest[c] ? (uint8_t)(value * 255 / b->largest[c]) : 0;
            }
            if (b->p->on_white && b->largest[3]) lay_on_white(all, all[3]);
            for (int c = 0; c < 3; c++) to[c] = all[c];
        }
    }
}

/* Unpacks runs to indices of colours [height, width], rows as they are stored. A run ends with its row; single pixels
 * go on in the next one, and what is passed over has the first colour, as in Pillow. */
static int unpack(const bmp *b, uint8_t *pixels, size_t count) {
    const picture *p = b->p;
    const uint8_t *file = p->file;
    size_t width = (size_t)p->width, done = 0, column = 0, at = b->start;
    bool four = b->bits == 4;
    memset(pixels, 0, count);
    while (done < count) {
        if (p->bytes - at < 2) return picture_cut_off(p);
        size_t first = file[at], second = file[at + 1];
        at += 2;
        if (first > 0) {
            size_t run = column >= width ? 0 : first < width - column ? first : width - column;
            for (size_t i = 0; i < run && done < count; i++)
                pixels[done++] = (uint8_t)(!four ? second : i % 2 ? second & 15 : second >> 4);
            column += run;
        } else if (second == 0) {
            done += (width - done % width) % width;
            column = 0;
        } else if (second == 1) {
            return picture_damaged(p, "pixels are missing");
        } else if (second == 2) {
            if (p->bytes - at < 2) return picture_cut_off(p);
            size_t skipped = file[at] + file[at + 1] * width;
            done += skipped < count - done ? skipped : count - done;
            column = done % width;
            at += 2;
        } else {
            size_t single = second < count - done ? second : count - done, bytes = four ? (single + 1) / 2 : single;
            if (p->bytes - at < bytes) return picture_cut_off(p);
            for (size_t i = 0; i < single; i++)
                pixels[done++] = (uint8_t)(!four   ? file[at + i]
                                           : i % 2 ? file[at + i / 2] & 15
                                                   : file[at + i / 2] >> 4);
            column += second;
            at += bytes;
            if (at % 2 && at < p->bytes) at++;
        }
    }
    return MUDPT_OK;
}

int bmp_decode(picture *p) {
    bmp b = {.p = p};
    int status = read_header(&b);
    if (status != MUDPT_OK) return status;
    size_t count = (size_t)p->width * (size_t)p->height, bits = (size_t)p->width * (size_t)b.bits;
    size_t stride = (bits + 31) / 32 * 4, least = stride * (size_t)(p->height - 1) + (bits + 7) / 8;
    if (!b.runs && p->bytes - b.start < least) return picture_cut_off(p);
    /* Two bytes stand for at most 255 pixels, four for 256 rows that are passed over. */
    if (b.runs && (uint64_t)count > (uint64_t)(p->bytes - b.start) * (64 * (uint64_t)p->width + 128))
        return picture_damaged(p, "it has too little data for its size");
    uint8_t *indices = b.runs ? malloc(count) : NULL;
    p->rgb = b.runs && !indices ? NULL : malloc(count * 3);
    if (!p->rgb) {
        free(indices);
        return picture_memory(p, count * 3);
    }
    if (b.runs) status = unpack(&b, indices, count);
    if (b.runs) b.bits = 8;
    for (int y = 0; y < p->height && status == MUDPT_OK; y++) {
        size_t stored = (size_t)(b.downwards ? y : p->height - 1 - y);
        const uint8_t *row = b.runs ? indices + stored * (size_t)p->width : p->file + b.start + stored * stride;
        read_row(&b, row, p->rgb + (size_t)y * (size_t)p->width * 3);
    }
    free(indices);
    if (status == MUDPT_OK) return status;
    free(p->rgb);
    p->rgb = NULL;
    return status;
}
