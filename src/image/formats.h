/* What the readers of the picture formats share. Only this folder includes it.
 *
 * A reader gets the bytes of a file that begins as its format does, refuses one that is too short for the size that it
 * claims before it allocates anything of that size, and one whose pixels are cut off, and gives 8-bit RGB: what
 * Pillow 13 makes of the file (docs/trust.md has the few that differ).
 */
#ifndef IMAGE_FORMATS_H
#define IMAGE_FORMATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const uint8_t *file;
    size_t bytes;
    const char *kind;  /* "JPEG": the name of the format in error texts */
    int width, height; /* these are the reader's answers */
    int orientation;   /* as EXIF counts, 1 ... 8; 1 where the file does not say */
    bool on_white;     /* what is transparent is laid on white; else alpha is dropped */
    uint8_t *rgb;      /* [height, width, 3], to be freed by free() */
} picture;

/* -> MUDPT_OK, MUDPT_IMAGE or MUDPT_MEMORY; on failure rgb is NULL. */
int jpeg_decode(picture *p);
int png_decode(picture *p);
int gif_decode(picture *p);
int bmp_decode(picture *p);

/* The header's claims: refuses none or too many pixels, else fills width and height. */
int picture_size(picture *p, uint32_t width, uint32_t height);
/* Refusals; each sets the error text and returns its code. */
int picture_cut_off(const picture *p);
int picture_damaged(const picture *p, const char *what);
int picture_unsupported(const picture *p, const char *what);
int picture_memory(const picture *p, size_t bytes);

/* The orientation in a block of EXIF data ("II*" or "MM*" first), 1 where it gives none that is valid. */
int exif_orientation(const uint8_t *exif, size_t bytes);

/* Unpacks a zlib stream of `wanted` bytes, whose checksum is looked at where the stream ends with them. `packed` must
 * be followed by INFLATE_BEHIND zeros, `out` has INFLATE_ROOM bytes more than are wanted. */
enum { INFLATE_BEHIND = 8, INFLATE_ROOM = 1 << 16 };
typedef enum { UNPACKED, UNPACKED_CUT_OFF, UNPACKED_DAMAGED, UNPACKED_TOO_LITTLE } unpacked;
unpacked inflate(const uint8_t *packed, size_t bytes, uint8_t *out, size_t wanted);

/* Lays a pixel on white, rounded as Pillow's alpha_composite does. */
static inline void lay_on_white(uint8_t rgb[3], uint32_t alpha) {
    for (int c = 0; c < 3; c++) {
        uint32_t x = 128 * (rgb[c] * alpha + 255 * (255 - alpha) + 128);
        rgb[c] = (uint8_t)(((x >> 8) + x) >> 15);
    }
}

static inline uint32_t big16(const uint8_t *at) {
    return (uint32_t)at[0] << 8 | at[1];
}

static inline uint32_t big32(const uint8_t *at) {
    return big16(at) << 16 | big16(at + 2);
}

static inline uint32_t little16(const uint8_t *at) {
    return (uint32_t)at[1] << 8 | at[0];
}

static inline uint32_t little32(const uint8_t *at) {
    return little16(at + 2) << 16 | little16(at);
}

#endif
