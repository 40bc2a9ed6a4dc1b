/* Decodes BMP without compression: 1, 4 and 8 bits a pixel with a palette, 16, 24 and 32 bits with or without masks.
 *
 * The format is small enough to be read here. (The BMP part of stb_image accepts files that are cut off, and refuses or
 * miscolours several of the header's variants.)
 */
#include <stdbool.h>
#include <stdlib.h>

#include "mudpt.h"
#include "formats.h"

enum { UNCOMPRESSED = 0, MASKS = 3, MASKS_WITH_ALPHA = 6, FILE_HEADER = 14, OLD_HEADER = 12, HEADER = 40 };

typedef struct {
    picture *p;
    int bits;                /* of a pixel */
    bool downwards;          /* rows from the top */
    uint32_t largest[3];     /* for 16 and 32 bits: the largest value of red, green, blue, */
    int shift[3];            /* and the position of its lowest bit */
    uint8_t colours[256][3]; /* for 1, 4 and 8 bits */
    const uint8_t *pixels;
    size_t stride; /* bytes of a row */
} bmp;

static bool has_palette(const bmp *b) {
    return b->bits == 1 || b->bits == 4 || b->bits == 8;
}

/* Masks lie at the same place whether they follow the header or belong to it. */
static void read_masks(bmp *b, const uint8_t *masks) {
    for (int c = 0; c < 3; c++) {
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
    if (!old && header < HEADER) return picture_unsupported(p, "of a rare kind");
    if (!old && p->bytes < FILE_HEADER + HEADER) return picture_cut_off(p);
    uint32_t width = old ? little16(file + 18) : little32(file + 18);
    uint32_t height = old ? little16(file + 20) : little32(file + 22);
    b->downwards = !old && height >> 31;
    int status = picture_size(p, width, b->downwards ? -height : height);
    if (status != MUDPT_OK) return status;
    b->bits = (int)little16(file + (old ? 24 : 28));
    if (!has_palette(b) && b->bits != 16 && b->bits != 24 && b->bits != 32)
        return picture_damaged(p, "its header makes no sense");
    uint32_t compression = old ? UNCOMPRESSED : little32(file + 30), used = old ? 0 : little32(file + 46);
    bool masks = (compression == MASKS || compression == MASKS_WITH_ALPHA) && (b->bits == 16 || b->bits == 32);
    if (compression != UNCOMPRESSED && !masks) return picture_unsupported(p, "with compression");
    b->stride = ((size_t)p->width * (size_t)b->bits + 31) / 32 * 4;
    if (start > p->bytes || p->bytes - start < b->stride * (size_t)p->height) return picture_cut_off(p);
    size_t end = FILE_HEADER + (size_t)header;
    if (start < end || (masks && start < FILE_HEADER + HEADER + 12))
        return picture_damaged(p, "its header makes no sense");
    read_masks(b, masks ? file + FILE_HEADER + HEADER : NULL);
    if (has_palette(b)) read_palette(b, file + end, start - end, used, old ? 3 : 4);
    b->pixels = file + start;
    return MUDPT_OK;
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
            for (int c = 0; c < 3; c++) {
                uint64_t value = pixel >> b->shift[c] & b->largest[c];
                to[c] = b->largest[c] ? (uint8_t)(value * 255 / b->largest[c]) : 0;
            }
        }
    }
}

int bmp_decode(picture *p) {
    bmp b = {.p = p};
    int status = read_header(&b);
    if (status != MUDPT_OK) return status;
    size_t bytes = (size_t)p->width * (size_t)p->height * 3;
    p->rgb = malloc(bytes);
    if (!p->rgb) return picture_memory(p, bytes);
    for (int y = 0; y < p->height; y++) {
        int stored = b.downwards ? y : p->height - 1 - y;
        read_row(&b, b.pixels + (size_t)stored * b.stride, p->rgb + (size_t)y * (size_t)p->width * 3);
    }
    return MUDPT_OK;
}
