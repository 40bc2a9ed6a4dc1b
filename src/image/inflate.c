/* The one file that compiles stb_image, of which it uses the unpacking of zlib's streams. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "formats.h"

/* Its memory is given to it: it may ask for none. */
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_ASSERT(condition) ((void)0)
#define STBI_MALLOC(bytes) ((void)(bytes), NULL)
#define STBI_REALLOC(block, bytes) ((void)(block), (void)(bytes), NULL)
#define STBI_FREE(block) ((void)(block))

#pragma GCC diagnostic ignored "-Wunused-function" /* judged at the end of this file */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wsign-compare"
#include "stb_image.h"
#pragma GCC diagnostic pop

static uint32_t adler32(const uint8_t *data, size_t bytes) {
    enum { BASE = 65521, AT_ONCE = 5552 }; /* so many that no sum overflows */
    uint32_t low = 1, high = 0;
    while (bytes > 0) {
        size_t count = bytes < AT_ONCE ? bytes : AT_ONCE;
        bytes -= count;
        for (; count > 0; count--) high += low += *data++;
        low %= BASE;
        high %= BASE;
    }
    return high << 16 | low;
}

unpacked inflate(const uint8_t *packed, size_t bytes, uint8_t *out, size_t wanted) {
    enum { LARGEST_WINDOW = 7 };
    stbi__zbuf z = {.zbuffer = (uint8_t *)packed, .zbuffer_end = (uint8_t *)packed + bytes + INFLATE_BEHIND};
    if (bytes < 2 || packed[0] >> 4 > LARGEST_WINDOW) return UNPACKED_DAMAGED;
    int ended = stbi__do_zlib(&z, (char *)out, (int)(wanted + INFLATE_ROOM), 0, 1);
    size_t count = (size_t)(z.zout - z.zout_start), used = (size_t)(z.zbuffer - packed) - (size_t)(z.num_bits / 8);
    if (count > wanted) return UNPACKED; /* as zlib's users do: what is not wanted is not looked at */
    if (used > bytes) return UNPACKED_CUT_OFF;
    if (!ended) return UNPACKED_DAMAGED;
    if (count < wanted) return UNPACKED_TOO_LITTLE;
    bool checked = bytes - used >= 4;
    return checked && big32(packed + used) != adler32(out, wanted) ? UNPACKED_DAMAGED : UNPACKED;
}
