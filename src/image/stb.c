/* The one file that compiles stb_image, which decodes the pixels of PNG and the coefficients of JPEG.
 *
 * It is never shown a file that jpeg.c or png.c has not walked through: it trusts lengths, reads colours beyond a short
 * palette and fills up what is missing without a word. Its memory is zeroed, so that no picture can show what lay there
 * before, and bounded, so that a small file cannot unpack into gigabytes.
 */
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "mudpt.h"
#include "formats.h"
#include "jpeg_arithmetic.h"

static _Thread_local struct {
    size_t largest; /* bytes that one block may have */
    size_t missing; /* bytes of the block that could not be had, or 0 */
    bool too_much;  /* a larger block was asked for */
} memory;

static bool allowed(size_t bytes) {
    if (bytes > memory.largest) memory.too_much = true;
    return bytes <= memory.largest;
}

static void *stb_allocate(size_t bytes) {
    if (!allowed(bytes)) return NULL;
    void *block = calloc(bytes ? bytes : 1, 1);
    if (!block) memory.missing = bytes;
    return block;
}

static void *stb_enlarge(void *block, size_t before, size_t bytes) {
    if (!allowed(bytes)) return NULL;
    uint8_t *larger = realloc(block, bytes ? bytes : 1);
    if (!larger) memory.missing = bytes;
    else if (bytes > before) memset(larger + before, 0, bytes - before);
    return larger;
}

/* The one kernel of its JPEG decoder that no pointer reaches. The macro renames its definition, which has a list of
 * arguments; its use, which has none, then finds ours. */
#define stbi__resample_row_h_2(out, near, far, width, factor) stb_double_across(out, near, far, width, factor)
static uint8_t *(*const stbi__resample_row_h_2)(uint8_t *, uint8_t *, uint8_t *, int, int) = jpeg_double_across;

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_MAX_DIMENSIONS MUDPT_MAX_IMAGE_SIDE
#define STBI_ASSERT(condition) ((void)0)
#define STBI_MALLOC(bytes) stb_allocate(bytes)
#define STBI_REALLOC_SIZED(block, before, bytes) stb_enlarge(block, before, bytes)
#define STBI_FREE(block) free(block)

#pragma GCC diagnostic ignored "-Wunused-function" /* judged at the end of this file */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wsign-compare"
#include "stb_image.h"
#pragma GCC diagnostic pop

/* As stbi_load_from_memory for a JPEG, with libjpeg's rounding: see jpeg_arithmetic.h. */
static uint8_t *load_jpeg(const uint8_t *file, int bytes, int *width, int *height, int *channels) {
    stbi__context context;
    stbi__start_mem(&context, file, bytes);
    stbi__jpeg *j = stbi__malloc(sizeof *j);
    if (!j) return NULL;
    memset(j, 0, sizeof *j);
    j->s = &context;
    stbi__setup_jpeg(j);
    j->idct_block_kernel = jpeg_inverse_dct;
    j->resample_row_hv_2_kernel = jpeg_double_across_down;
    j->YCbCr_to_RGB_kernel = jpeg_to_rgb;
    uint8_t *pixels = load_jpeg_image(j, width, height, channels, 3);
    STBI_FREE(j);
    return pixels;
}

int stb_decode(picture *p, const uint8_t *file, size_t bytes, int deep) {
    /* The most that an honest file needs is 8 bytes a pixel (16-bit RGBA), doubled by the last growth of a buffer, or
     * 16 bits a channel in whole JPEG blocks of up to 32 x 32 pixels. */
    uint64_t most = ((uint64_t)p->width + 32) * ((uint64_t)p->height + 32) * 18 + 2 * (uint64_t)bytes + 65536;
    memory.largest = most < INT_MAX ? (size_t)most : INT_MAX;
    memory.missing = 0;
    memory.too_much = false;
    stbi__g_failure_reason = "its data make no sense"; /* stb_image does not give a reason everywhere */
    int width, height, channels, length = (int)bytes;
    void *pixels;
    if (deep) pixels = stbi_load_16_from_memory(file, length, &width, &height, &channels, 3);
    else if (bytes && file[0] == 0xff) pixels = load_jpeg(file, length, &width, &height, &channels);
    else pixels = stbi_load_from_memory(file, length, &width, &height, &channels, 3);
    if (!pixels && memory.missing) return picture_memory(p, memory.missing);
    if (!pixels && memory.too_much) return picture_damaged(p, "it unpacks to more than its size can need");
    if (!pixels) return picture_damaged(p, stbi_failure_reason());
    if (width != p->width || height != p->height) {
        free(pixels);
        return picture_damaged(p, "its header gives two sizes");
    }
    p->rgb = pixels;
    if (!deep) return MUDPT_OK;
    const uint16_t *wide = pixels;
    size_t count = (size_t)width * (size_t)height * 3;
    for (size_t i = 0; i < count; i++) p->rgb[i] = (uint8_t)(wide[i] >> 8);
    uint8_t *shorter = realloc(pixels, count);
    if (shorter) p->rgb = shorter;
    return MUDPT_OK;
}
