/* Decodes the first frame of a GIF.
 *
 * The format is small enough to be read here, and must be for equality with Pillow: transparent pixels keep the colour
 * that the palette gives them, and pixels beside the frame have the transparent colour if there is one, else the first.
 * (The GIF part of stb_image makes both black, accepts files that are cut off, and recurses once per pixel of a run.)
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "mudpt.h"
#include "formats.h"

enum { CODES = 4096 };

typedef struct {
    picture *p;
    const uint8_t *palette; /* [colours, 3]; NULL: the index is a shade of grey */
    int colours;
    int left, top, width, height; /* the frame's place in the picture */
    int background;               /* index of the colour beside the frame */
    bool clear;                   /* and that colour is not seen */
    bool interlaced;
    size_t codes; /* where in the file its compressed pixels begin */
} gif;

/* What codes stand for: the string of `prefix`, then the pixel `last`. */
typedef struct {
    uint16_t prefix[CODES], length[CODES];
    uint8_t first[CODES], last[CODES];
} dictionary;

/* The end of the blocks that begin at `at`, behind the empty one that ends them; 0 if the file ends before. */
static size_t skip_blocks(const picture *p, size_t at) {
    while (at < p->bytes && p->file[at] > 0) {
        if (p->bytes - at <= p->file[at]) return 0;
        at += (size_t)p->file[at] + 1;
    }
    return at < p->bytes ? at + 1 : 0;
}

static int read_frame(gif *g, const uint8_t *descriptor, uint32_t screen_width, uint32_t screen_height) {
    uint32_t left = little16(descriptor), top = little16(descriptor + 2);
    uint32_t width = little16(descriptor + 4), height = little16(descriptor + 6);
    if (width == 0 || height == 0) return picture_damaged(g->p, "its first frame is empty");
    if (screen_width < left + width) screen_width = left + width;
    if (screen_height < top + height) screen_height = top + height;
    g->left = (int)left;
    g->top = (int)top;
    g->width = (int)width;
    g->height = (int)height;
    g->interlaced = descriptor[8] & 0x40;
    return picture_size(g->p, screen_width, screen_height);
}

/* A palette whose colours are their own numbers, as shades of grey, is none: it then has all 256. */
static void set_palette(gif *g, const uint8_t *palette, int colours) {
    bool grey = true;
    for (int i = 0; i < 3 * colours; i++) grey = grey && palette[i] == i / 3;
    g->palette = grey ? NULL : palette;
    g->colours = colours;
}

/* Finds the first frame; nobody looks at what comes behind it. */
static int find_frame(gif *g) {
    enum { HEADER = 13, DESCRIPTOR = 10, EXTENSION = '!', CONTROL = 0xf9, FRAME = ',', END = ';' };
    const picture *p = g->p;
    const uint8_t *file = p->file;
    size_t at = HEADER;
    if (p->bytes < HEADER) return picture_cut_off(p);
    if (file[10] & 0x80) {
        int colours = 2 << (file[10] & 7);
        at += 3 * (size_t)colours;
        if (at > p->bytes) return picture_cut_off(p);
        set_palette(g, file + HEADER, colours);
    }
    for (; at < p->bytes && file[at] != END; at++) { /* some writers leave a byte between two blocks */
        if (file[at] == EXTENSION) {
            size_t end = skip_blocks(p, at + 2);
            if (end == 0) return picture_cut_off(p);
            if (file[at + 1] == CONTROL && file[at + 2] >= 4 && file[at + 3] & 1) {
                g->background = file[at + 6];
                g->clear = true;
            }
            at = end - 1;
        } else if (file[at] == FRAME) {
            if (p->bytes - at < DESCRIPTOR) return picture_cut_off(p);
            const uint8_t *descriptor = file + at + 1;
            int colours = descriptor[8] & 0x80 ? 2 << (descriptor[8] & 7) : 0;
            g->codes = at + DESCRIPTOR + 3 * (size_t)colours;
            if (g->codes >= p->bytes) return picture_cut_off(p);
            if (colours) set_palette(g, descriptor + 9, colours);
            return read_frame(g, descriptor, little16(file + 6), little16(file + 8));
        }
    }
    return at < p->bytes ? picture_damaged(p, "it has no frame") : picture_cut_off(p);
}

/* pixels [count]: indices of colours */
static int unpack(const gif *g, dictionary *d, uint8_t *pixels, size_t count) {
    enum { LARGEST_CODES = 12 };
    const picture *p = g->p;
    const uint8_t *at = p->file + g->codes, *end_of_file = p->file + p->bytes;
    int first_size = *at++ + 1, block = 0;
    if (first_size > LARGEST_CODES + 1) return picture_damaged(p, "its pixels are packed in no known way");
    int clear = 1 << (first_size - 1), size = first_size, next = clear + 2, previous = -1, bits = 0;
    uint32_t buffer = 0;
    for (int i = 0; i < clear; i++) {
        d->first[i] = d->last[i] = (uint8_t)i;
        d->length[i] = 1;
    }
    for (size_t done = 0; done < count;) {
        while (bits < size) {
            if (block == 0) {
                if (at == end_of_file || end_of_file - at <= *at) return picture_cut_off(p);
                block = *at++;
                if (block == 0) return picture_damaged(p, "pixels are missing");
            }
            buffer |= (uint32_t)*at++ << bits;
            bits += 8;
            block--;
        }
        int code = (int)(buffer & ((1u << size) - 1));
        buffer >>= size;
        bits -= size;
        if (code == clear + 1) return picture_damaged(p, "pixels are missing");
        if (code == clear) {
            size = first_size;
            next = clear + 2;
            previous = -1;
            continue;
        }
        /* The new string is the one before and the first pixel of this one, which may be the new string itself. */
        if (previous >= 0 && next < CODES) {
            d->prefix[next] = (uint16_t)previous;
            d->length[next] = (uint16_t)(d->length[previous] + 1);
            d->first[next] = d->first[previous];
            d->last[next] = d->first[code < next ? code : previous];
            if (++next == 1 << size && size < LARGEST_CODES) size++;
        }
        if (code >= next) return picture_damaged(p, "its pixels are packed in no known way");
        size_t end = done + d->length[code];
        int string = code;
        for (size_t i = end; i-- > done; string = d->prefix[string])
            if (i < count) pixels[i] = d->last[string];
        done = end;
        previous = code;
    }
    return MUDPT_OK;
}

static void paint(const gif *g, const uint8_t *pixels) {
    picture *p = g->p;
    uint8_t colours[256][3] = {{0}};
    for (int i = 0; i < 256; i++)
        for (int c = 0; c < 3 && (!g->palette || i < g->colours); c++)
            colours[i][c] = g->palette ? g->palette[3 * i + c] : (uint8_t)i;
    if (p->on_white && g->clear) lay_on_white(colours[g->background], 0);
    if (g->width < p->width || g->height < p->height)
        for (size_t i = 0; i < (size_t)p->width * (size_t)p->height; i++)
            memcpy(p->rgb + 3 * i, colours[g->background], 3);
    /* First row and step of the four passes of an interlaced frame, then of all rows at once. */
    static const int passes[5][2] = {{0, 8}, {4, 8}, {2, 4}, {1, 2}, {0, 1}};
    for (int pass = g->interlaced ? 0 : 4; pass < (g->interlaced ? 4 : 5); pass++)
        for (int y = passes[pass][0]; y < g->height; y += passes[pass][1]) {
            uint8_t *to = p->rgb + 3 * ((size_t)(g->top + y) * (size_t)p->width + (size_t)g->left);
            for (int x = 0; x < g->width; x++, to += 3) memcpy(to, colours[*pixels++], 3);
        }
}

int gif_decode(picture *p) {
    gif g = {.p = p};
    int status = find_frame(&g);
    if (status != MUDPT_OK) return status;
    size_t count = (size_t)g.width * (size_t)g.height, bytes = (size_t)p->width * (size_t)p->height * 3;
    /* 12 bits stand for at most 4096 pixels. */
    if (count / 2731 > p->bytes) return picture_damaged(p, "it has too little data for its size");
    dictionary *d = malloc(sizeof *d + count);
    if (!d) return picture_memory(p, sizeof *d + count);
    uint8_t *pixels = (uint8_t *)(d + 1);
    status = unpack(&g, d, pixels, count);
    if (status == MUDPT_OK) {
        p->rgb = malloc(bytes);
        if (p->rgb) paint(&g, pixels);
        else status = picture_memory(p, bytes);
    }
    free(d);
    return status;
}
