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

/* Finds the first frame and walks through the rest of the file. */
static int walk(gif *g) {
    enum { HEADER = 13, DESCRIPTOR = 10, EXTENSION = '!', CONTROL = 0xf9, FRAME = ',', END = ';' };
    const picture *p = g->p;
    const uint8_t *file = p->file;
    if (p->bytes < HEADER) return picture_cut_off(p);
    size_t at = HEADER;
    if (file[10] & 0x80) {
        g->palette = file + at;
        g->colours = 2 << (file[10] & 7);
        at += 3 * (size_t)g->colours;
    }
    while (at < p->bytes && file[at] != END) {
        if (file[at] == EXTENSION) {
            size_t end = skip_blocks(p, at + 2);
            if (end && !g->codes && file[at + 1] == CONTROL && file[at + 2] >= 4)
                g->background = file[at + 3] & 1 ? file[at + 6] : 0;
            at = end;
        } else if (file[at] == FRAME) {
            if (p->bytes - at < DESCRIPTOR) return picture_cut_off(p);
            const uint8_t *descriptor = file + at + 1;
            int colours = descriptor[8] & 0x80 ? 2 << (descriptor[8] & 7) : 0;
            at += DESCRIPTOR + 3 * (size_t)colours;
            if (at >= p->bytes) return picture_cut_off(p);
            if (!g->codes) {
                int status = read_frame(g, descriptor, little16(file + 6), little16(file + 8));
                if (status != MUDPT_OK) return status;
                if (colours) {
                    g->palette = descriptor + 9;
                    g->colours = colours;
                }
                g->codes = at;
            }
            at = skip_blocks(p, at + 1);
        } else {
            at++; /* some writers leave a byte between two blocks */
            continue;
        }
        if (at == 0) return picture_cut_off(p);
    }
    if (at >= p->bytes) return picture_cut_off(p);
    return g->codes ? MUDPT_OK : picture_damaged(p, "it has no frame");
}

/* pixels [count]: indices of colours. The blocks were walked through before: they end inside the file. */
static int unpack(const gif *g, dictionary *d, uint8_t *pixels, size_t count) {
    const uint8_t *at = g->p->file + g->codes;
    int first_size = *at++ + 1, block = 0;
    if (first_size < 2 || first_size > 9) return picture_damaged(g->p, "its pixels are packed in no known way");
    int clear = 1 << (first_size - 1), size = first_size, next = clear + 2, previous = -1, bits = 0;
    uint32_t buffer = 0;
    for (int i = 0; i < clear; i++) {
        d->first[i] = d->last[i] = (uint8_t)i;
        d->length[i] = 1;
    }
    for (size_t done = 0; done < count;) {
        while (bits < size) {
            if (block == 0) block = *at++;
            if (block == 0) return picture_damaged(g->p, "pixels are missing");
            buffer |= (uint32_t)*at++ << bits;
            bits += 8;
            block--;
        }
        int code = (int)(buffer & ((1u << size) - 1));
        buffer >>= size;
        bits -= size;
        if (code == clear + 1) return picture_damaged(g->p, "pixels are missing");
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
            if (++next == 1 << size && size < 12) size++;
        }
        if (code >= next) return picture_damaged(g->p, "its pixels are packed in no known way");
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
    int status = walk(&g);
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
