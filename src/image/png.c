/* The structure of a PNG file: its chunks up to IEND, the size, the palette, the EXIF orientation.
 *
 * Checksums are not looked at: a file whose pixels unpack is taken. What follows IEND is ignored.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "mudpt.h"
#include "formats.h"

enum { GREY = 0, RGB = 2, PALETTE = 3, GREY_ALPHA = 4, RGBA = 6 };

typedef struct {
    picture *p;
    int depth, colour;
    size_t palette, palette_bytes; /* where its colours begin in the file, 0 without; how long they are */
    uint64_t packed;               /* bytes of packed pixels */
} png;

static int channels_of(int colour) {
    return colour == RGBA ? 4 : colour == RGB ? 3 : colour == GREY_ALPHA ? 2 : 1;
}

static int read_header(png *g, const uint8_t *data, size_t length) {
    if (length != 13) return picture_damaged(g->p, "its header makes no sense");
    int depth = data[8], colour = data[9];
    bool whole = depth == 8 || depth == 16, part = depth == 1 || depth == 2 || depth == 4;
    bool valid = colour == GREY      ? whole || part
                 : colour == PALETTE ? depth == 8 || part
                                     : (colour == RGB || colour == GREY_ALPHA || colour == RGBA) && whole;
    if (!valid || data[10] != 0 || data[11] != 0 || data[12] > 1)
        return picture_damaged(g->p, "its header makes no sense");
    g->depth = depth;
    g->colour = colour;
    return picture_size(g->p, big32(data), big32(data + 4));
}

static int walk(png *g) {
    const picture *p = g->p;
    for (size_t at = 8;;) {
        if (p->bytes - at < 12) return picture_cut_off(p);
        size_t length = big32(p->file + at);
        const uint8_t *type = p->file + at + 4, *data = type + 4;
        if (length > p->bytes - at - 12) return picture_cut_off(p);
        int status = MUDPT_OK;
        if (at == 8)
            status = memcmp(type, "IHDR", 4) == 0 ? read_header(g, data, length)
                                                  : picture_damaged(p, "it does not begin with its header");
        else if (memcmp(type, "IDAT", 4) == 0) g->packed += length;
        else if (memcmp(type, "IEND", 4) == 0) break;
        else if (memcmp(type, "PLTE", 4) == 0) {
            g->palette = at + 8;
            g->palette_bytes = length;
        } else if (memcmp(type, "eXIf", 4) == 0) g->p->orientation = exif_orientation(data, length);
        if (status != MUDPT_OK) return status;
        at += 12 + length;
    }
    /* Deflate packs at most 1032 bytes into one. */
    uint64_t bits = (uint64_t)p->width * (uint64_t)p->height * (uint64_t)(channels_of(g->colour) * g->depth);
    if (bits / 8 > g->packed * 1032) return picture_damaged(p, "it has too little data for its size");
    if (g->colour == PALETTE && (g->palette == 0 || g->palette_bytes % 3 != 0 || g->palette_bytes > 768))
        return picture_damaged(p, "its palette makes no sense");
    return MUDPT_OK;
}

/* A palette may have fewer colours than its pixels could name. stb_image then reads what lies behind, so it gets a copy
 * of the file in which all others are black. */
static int decode_short_palette(const png *g) {
    enum { FULL = 768 };
    picture *p = g->p;
    size_t before = g->palette, after = p->bytes - before - g->palette_bytes, bytes = before + FULL + after;
    uint8_t *copy = calloc(bytes, 1);
    if (!copy) return picture_memory(p, bytes);
    memcpy(copy, p->file, before + g->palette_bytes);
    memcpy(copy + before + FULL, p->file + before + g->palette_bytes, after);
    memcpy(copy + before - 8, (uint8_t[]){0, 0, FULL >> 8, FULL & 255}, 4);
    int status = stb_decode(p, copy, bytes, 0);
    free(copy);
    return status;
}

int png_decode(picture *p) {
    png g = {.p = p};
    int status = walk(&g);
    if (status != MUDPT_OK) return status;
    if (g.colour == PALETTE && g.palette_bytes < (size_t)3 << g.depth) return decode_short_palette(&g);
    return stb_decode(p, p->file, p->bytes, g.depth == 16);
}
