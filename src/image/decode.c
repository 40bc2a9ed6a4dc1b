/* From the bytes of a picture file, or from pixels, to 8-bit RGB.
 *
 * JPEG, PNG, GIF (first frame) and BMP are told apart by their first bytes, never by a name. Alpha is dropped, not
 * blended (unless white is asked for), and colour profiles are ignored, as Python's CLIP does. Refused are other
 * formats, files that are cut off, and pictures beyond MUDPT_MAX_IMAGE_SIDE or MUDPT_MAX_IMAGE_PIXELS, these before
 * anything is allocated for them.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/format.h"
#include "formats.h"
#include "image.h"

/* ------------------------------------------------------------------------------------------------ formats */

static bool begins(const uint8_t *file, size_t bytes, size_t at, const char *magic, size_t length) {
    return bytes >= at + length && memcmp(file + at, magic, length) == 0;
}

typedef int (*reader)(picture *p);

/* The reader of the format that the file begins with, and the format's name; NULL for any other file. */
static reader find_reader(const uint8_t *file, size_t bytes, const char **kind) {
    static const struct {
        const char *magic, *kind;
        reader read;
    } formats[] = {
        {"\xff\xd8\xff", "JPEG", jpeg_decode},
        {"\x89PNG\r\n\x1a\n", "PNG", png_decode},
        {"GIF87a", "GIF", gif_decode},
        {"GIF89a", "GIF", gif_decode},
    };
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (!begins(file, bytes, 0, formats[i].magic, strlen(formats[i].magic))) continue;
        *kind = formats[i].kind;
        return formats[i].read;
    }
    /* Two letters are too few to know a BMP by: the size of its second header must be a small number as well. */
    if (begins(file, bytes, 0, "BM", 2) && (bytes < 18 || (little32(file + 14) >= 12 && little32(file + 14) <= 255))) {
        *kind = "BMP";
        return bmp_decode;
    }
    return NULL;
}

static bool is_text(const uint8_t *file, size_t bytes) {
    for (size_t i = 0; i < bytes && i < 64; i++)
        if (file[i] < 32 && !(file[i] >= '\t' && file[i] <= '\r')) return false;
    return true;
}

static bool contains(const uint8_t *file, size_t bytes, const char *word) {
    for (size_t at = 0; at < bytes && at < 1024; at++)
        if (begins(file, bytes, at, word, strlen(word))) return true;
    return false;
}

/* Says what a file that has no reader is. */
static int refuse(const uint8_t *file, size_t bytes) {
    static const struct {
        size_t at, length;
        const char *magic, *kind;
    } others[] = {
        {8, 4, "WEBP", "WebP"},    {4, 7, "ftypavi", "AVIF"},   {4, 7, "ftyphei", "HEIC"},
        {4, 7, "ftyphev", "HEIC"}, {4, 8, "ftypmif1", "HEIF"},  {4, 8, "ftypmsf1", "HEIF"},
        {0, 4, "II*\0", "TIFF"},   {0, 4, "MM\0*", "TIFF"},     {0, 2, "\xff\x0a", "JPEG XL"},
        {4, 4, "JXL ", "JPEG XL"}, {4, 4, "jP  ", "JPEG 2000"}, {0, 4, "8BPS", "Photoshop"},
        {0, 4, "%PDF", "PDF"},     {0, 4, "\0\0\1\0", "ICO"},
    };
    if (bytes == 0) return fail(MUDPT_IMAGE, "an empty file; expected JPEG, PNG, GIF or BMP");
    const char *kind = NULL;
    for (size_t i = 0; i < sizeof others / sizeof *others && !kind; i++)
        if (begins(file, bytes, others[i].at, others[i].magic, others[i].length)) kind = others[i].kind;
    bool text = is_text(file, bytes);
    if (!kind && text && contains(file, bytes, "<svg")) kind = "SVG";
    if (kind) return fail(MUDPT_IMAGE, "%s is not decoded here; convert the picture to JPEG or PNG", kind);
    char start[9 + 8 * 3 + 1] = "the bytes";
    for (size_t i = 0; i < bytes && i < 8; i++) format_text(start + 9 + 3 * i, 4, " %02x", file[i]);
    return fail(MUDPT_IMAGE, "not a picture: starts with %s; expected JPEG, PNG, GIF or BMP",
                text ? "plain text" : start);
}

/* ------------------------------------------------------------------------------------------------ orientation */

/* Turns and mirrors the picture as its orientation asks. */
static int turn_upright(picture *p) {
    ptrdiff_t w = p->width, h = p->height;
    /* For orientation 2 ... 8: which stored pixel comes first in the upright picture, and how far the next one of its
     * row and the next one of its column are from it. */
    const ptrdiff_t walks[7][3] = {
        {w - 1, -1, w},       /* mirrored */
        {h * w - 1, -1, -w},  /* upside down */
        {(h - 1) * w, 1, -w}, /* mirrored and upside down */
        {0, w, 1},            /* transposed */
        {(h - 1) * w, -w, 1}, /* lying on its left */
        {h * w - 1, -w, -1},  /* transposed about the other diagonal */
        {w - 1, w, -1},       /* lying on its right */
    };
    if (p->orientation <= 1) return MUDPT_OK;
    const ptrdiff_t *walk = walks[p->orientation - 2];
    int width = p->orientation >= 5 ? p->height : p->width, height = p->orientation >= 5 ? p->width : p->height;
    size_t bytes = (size_t)width * (size_t)height * 3;
    uint8_t *turned = malloc(bytes), *to = turned;
    if (!turned) return picture_memory(p, bytes);
    for (int y = 0; y < height; y++) {
        const uint8_t *from = p->rgb + (walk[0] + y * walk[2]) * 3;
        for (int x = 0; x < width; x++, to += 3) {
            const uint8_t *pixel = from + x * walk[1] * 3;
            to[0] = pixel[0];
            to[1] = pixel[1];
            to[2] = pixel[2];
        }
    }
    free(p->rgb);
    p->rgb = turned;
    p->width = width;
    p->height = height;
    return MUDPT_OK;
}

/* ------------------------------------------------------------------------------------------------ pictures */

/* Takes over p->rgb, on failure as well. */
static int give(picture *p, mudpt_image **out) {
    mudpt_image *image = malloc(sizeof *image);
    if (!image) {
        free(p->rgb);
        return picture_memory(p, sizeof *image);
    }
    *image = (mudpt_image){.width = p->width, .height = p->height, .rgb = p->rgb};
    *out = image;
    return MUDPT_OK;
}

int mudpt_image_decode(const void *file, size_t bytes, int how, mudpt_image **out) {
    if (!out || (!file && bytes > 0))
        return fail(MUDPT_ARGUMENT, "a picture needs its bytes and a place for the result");
    if (bytes > MUDPT_MAX_IMAGE_FILE)
        return fail(MUDPT_IMAGE, "a file of %zu bytes is too large: at most %d; shrink the picture", bytes,
                    MUDPT_MAX_IMAGE_FILE);
    picture p = {.file = file, .bytes = bytes, .orientation = 1, .on_white = how & MUDPT_ON_WHITE};
    reader read = find_reader(file, bytes, &p.kind);
    if (!read) return refuse(file, bytes);
    int status = read(&p);
    if (status != MUDPT_OK) return status;
    if (how & MUDPT_UPRIGHT) status = turn_upright(&p);
    if (status != MUDPT_OK) {
        free(p.rgb);
        return status;
    }
    return give(&p, out);
}

int mudpt_image_from_pixels(const uint8_t *pixels, int width, int height, int channels, mudpt_image **out) {
    if (!out) return fail(MUDPT_ARGUMENT, "a picture needs a place for the result");
    if (channels != 1 && channels != 3 && channels != 4)
        return fail(MUDPT_ARGUMENT, "channels must be 1 (grey), 3 (RGB) or 4 (RGBA), not %d", channels);
    if (width < 1 || height < 1)
        return fail(MUDPT_ARGUMENT, "width and height must be 1 to %d, not %d x %d", MUDPT_MAX_IMAGE_SIDE, width,
                    height);
    picture p = {.kind = "picture"};
    int status = picture_size(&p, (uint32_t)width, (uint32_t)height);
    if (status != MUDPT_OK) return status;
    size_t count = (size_t)width * (size_t)height;
    p.rgb = pixels ? malloc(count * 3) : calloc(count, 3);
    if (!p.rgb) return picture_memory(&p, count * 3);
    if (!pixels) return give(&p, out);
    int green = channels == 1 ? 0 : 1, blue = channels == 1 ? 0 : 2;
    for (size_t i = 0; i < count; i++, pixels += channels) {
        p.rgb[3 * i] = pixels[0];
        p.rgb[3 * i + 1] = pixels[green];
        p.rgb[3 * i + 2] = pixels[blue];
    }
    return give(&p, out);
}

void mudpt_image_free(mudpt_image *image) {
    if (!image) return;
    free(image->rgb);
    free(image);
}

int mudpt_image_width(const mudpt_image *image) {
    return image->width;
}

int mudpt_image_height(const mudpt_image *image) {
    return image->height;
}

uint8_t *mudpt_image_rgb(const mudpt_image *image) {
    return image->rgb;
}
