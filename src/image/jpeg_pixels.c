/* From a JPEG's coefficients to pixels: see jpeg.h for the rounding. */
#include <stdlib.h>
#include <string.h>

#include "mudpt.h"
#include "jpeg.h"
#include "base/rarely.h"

/* ------------------------------------------------------------------------------------------------ transform */

enum { FRACTION = 13, KEPT = 2 };

/* round(x 2^13) of the transform's constants, products and sums of cosines of multiples of pi / 16 */
enum {
    C_0_298631336 = 2446,
    C_0_390180644 = 3196,
    C_0_541196100 = 4433,
    C_0_765366865 = 6270,
    C_0_899976223 = 7373,
    C_1_175875602 = 9633,
    C_1_501321110 = 12299,
    C_1_847759065 = 15137,
    C_1_961570560 = 16069,
    C_2_053119869 = 16819,
    C_2_562915447 = 20995,
    C_3_072711026 = 25172
};

/* Damaged files hold coefficients of any size: sums wrap instead of overflowing, those that libjpeg-turbo holds in 16
 * bits at 16 bits. */
static int32_t times(int32_t x, int32_t factor) {
    return (int32_t)((uint32_t)x * (uint32_t)factor);
}

static int32_t plus(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

static int32_t minus(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a - (uint32_t)b);
}

static int16_t descale(int32_t x, int bits) {
    x = plus(x, 1 << (bits - 1)) >> bits;
    return (int16_t)(x < INT16_MIN ? INT16_MIN : x > INT16_MAX ? INT16_MAX : x);
}

/* 8 values `step` apart, in place; the results lose `bits` bits. The accurate integer transform: Loeffler, Ligtenberg
 * and Moshovitz 1989, 13 fractional bits, 2 more kept between the passes. */
static void inverse_8(int16_t *v, int step, int bits) {
    int32_t shared = times(plus(v[2 * step], v[6 * step]), C_0_541196100);
    int32_t low = minus(shared, times(v[6 * step], C_1_847759065)),
            high = plus(shared, times(v[2 * step], C_0_765366865));
    int32_t sum = times((int16_t)plus(v[0], v[4 * step]), 1 << FRACTION),
            difference = times((int16_t)minus(v[0], v[4 * step]), 1 << FRACTION);
    int32_t even[4] = {plus(sum, high), plus(difference, low), minus(difference, low), minus(sum, high)};

    int32_t a = v[7 * step], b = v[5 * step], c = v[3 * step], d = v[step];
    int32_t ad = times(plus(a, d), -C_0_899976223), bc = times(plus(b, c), -C_2_562915447);
    int32_t ac = (int16_t)plus(a, c), bd = (int16_t)plus(b, d), all = times(plus(ac, bd), C_1_175875602);
    ac = plus(times(ac, -C_1_961570560), all);
    bd = plus(times(bd, -C_0_390180644), all);
    int32_t odd[4] = {
        plus(times(d, C_1_501321110), plus(ad, bd)),
        plus(times(c, C_3_072711026), plus(bc, ac)),
        plus(times(b, C_2_053119869), plus(bc, bd)),
        plus(times(a, C_0_298631336), plus(ad, ac)),
    };
    for (int i = 0; i < 4; i++) {
        v[i * step] = descale(plus(even[i], odd[i]), bits);
        v[(7 - i) * step] = descale(minus(even[i], odd[i]), bits);
    }
}

static uint8_t clip(int32_t x) {
    return (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x);
}

ONCE void jpeg_draw(jpeg_component *c, int row, int column, const int16_t block[64]) {
    int16_t v[64];
    int below = 0; /* whether any value below the first row is not 0 */
    for (int i = 8; i < 64; i++) below |= block[i];
    for (int i = 0; i < 64; i++) v[i] = (int16_t)((uint32_t)block[i] * c->quantisation[i]);
    if (below)
        for (int x = 0; x < 8; x++) inverse_8(v + x, 8, FRACTION - KEPT);
    else
        for (int i = 0; i < 64; i++) v[i] = (int16_t)((uint32_t)v[i % 8] << KEPT * (i < 8));
    uint8_t *out = c->samples + ((size_t)row * 8 * c->row + (size_t)column) * 8;
    for (int y = 0; y < 8; y++, out += c->row * 8) {
        inverse_8(v + 8 * y, 1, FRACTION + KEPT + 3);
        for (int x = 0; x < 8; x++) out[x] = clip(v[8 * y + x] + 128);
    }
}

/* ------------------------------------------------------------------------------------------------ samples */

RARELY bool jpeg_has_whole_factors(const jpeg *j) {
    for (const jpeg_component *c = j->component; c < j->component + j->components; c++)
        if (j->across % c->across || j->down % c->down) return false;
    return true;
}

/* One output row of a component with half the columns and half the rows: weights 3/4 and 1/4 for the nearer and the
 * farther sample. near is the nearer row, far the other. */
ONCE static void double_across_down(uint8_t *out, const uint8_t *near, const uint8_t *far, int width) {
    int before = 3 * near[0] + far[0]; /* the first column stands in for what is left of it */
    for (int i = 0; i < width; i++) {
        int here = 3 * near[i] + far[i], after = i + 1 < width ? 3 * near[i + 1] + far[i + 1] : here;
        out[2 * i] = (uint8_t)((3 * here + before + 8) >> 4);
        out[2 * i + 1] = (uint8_t)((3 * here + after + 7) >> 4);
        before = here;
    }
}

/* The same with half the columns, */
ONCE static void double_across(uint8_t *out, const uint8_t *near, int width) {
    for (int i = 0; i < width; i++) {
        int before = near[i ? i - 1 : 0], after = near[i + 1 < width ? i + 1 : i];
        out[2 * i] = (uint8_t)((3 * near[i] + before + 1) >> 2);
        out[2 * i + 1] = (uint8_t)((3 * near[i] + after + 2) >> 2);
    }
}

/* and with half the rows. */
ONCE RARELY static void double_down(uint8_t *out, const uint8_t *near, const uint8_t *far, int width, int rounding) {
    for (int i = 0; i < width; i++) out[i] = (uint8_t)((3 * near[i] + far[i] + rounding) >> 2);
}

/* Samples of component c for row y of the picture: in `out`, which has room for whole blocks, or where they are. */
ONCE static const uint8_t *widen(const jpeg *j, const jpeg_component *c, int y, uint8_t *out) {
    int across = j->across / c->across, down = j->down / c->down;
    size_t stride = c->row * 8;
    const uint8_t *near = c->samples + (size_t)(y / down) * stride, *far = near;
    if (down == 2 && y % 2 == 0 && y > 0) far = near - stride;
    if (down == 2 && y % 2 == 1 && y / 2 + 1 < c->height) far = near + stride;
    bool wide = c->width > 2; /* libjpeg repeats samples where there are too few to weigh */
    if (across == 1 && down == 1) return near;
    if (across == 1 && down == 2) double_down(out, near, far, c->width, y % 2 ? 2 : 1);
    else if (across == 2 && down == 1 && wide) double_across(out, near, c->width);
    else if (across == 2 && down == 2 && wide) double_across_down(out, near, far, c->width);
    else
        for (int x = 0; x < j->p->width; x++) out[x] = near[x / across];
    return out;
}

/* ------------------------------------------------------------------------------------------------ colours */

/* From luminance and two differences of colour, 3 bytes a pixel. */
ONCE static void to_rgb(uint8_t *out, const uint8_t *y, const uint8_t *cb, const uint8_t *cr, int count) {
    enum { HALF = 1 << 15 }; /* 16 fractional bits; 1.402, 1.772, 0.344136, 0.714136 */
    for (int i = 0; i < count; i++, out += 3) {
        int32_t blue = cb[i] - 128, red = cr[i] - 128;
        out[0] = clip(y[i] + ((91881 * red + HALF) >> 16));
        out[1] = clip(y[i] + ((-22554 * blue - 46802 * red + HALF) >> 16));
        out[2] = clip(y[i] + ((116130 * blue + HALF) >> 16));
    }
}

/* Pillow's way from CMYK, which it takes for stored upside down, as Adobe stores it, whatever the file says. */
RARELY static void multiply_black(uint8_t *out, const uint8_t *black, int count) {
    for (int i = 0; i < count; i++)
        for (int c = 0; c < 3; c++, out++) {
            int product = (255 - *out) * black[i] + 128;
            *out = clip(black[i] - ((product + (product >> 8)) >> 8));
        }
}

RARELY int jpeg_paint(jpeg *j) {
    picture *p = j->p;
    size_t width = (size_t)p->width, bytes = width * (size_t)p->height * 3, room = 0;
    bool ycc = false; /* whether the colours are told by luminance and differences */
    const jpeg_component *c = j->component;
    if (j->components == 3 && j->jfif) ycc = true;
    else if (j->components == 3 && j->adobe >= 0) ycc = j->adobe != 0;
    else if (j->components == 3) ycc = !(c[0].id == 'R' && c[1].id == 'G' && c[2].id == 'B');
    else if (j->components == 4) ycc = j->adobe > 0;
    for (int i = 0; i < j->components; i++)
        if (room < 8 * c[i].row * (size_t)(j->across / c[i].across))
            room = 8 * c[i].row * (size_t)(j->across / c[i].across);
    uint8_t *rows = malloc(room * (size_t)j->components);
    p->rgb = malloc(bytes);
    if (!rows || !p->rgb) {
        free(rows);
        free(p->rgb);
        p->rgb = NULL;
        return picture_memory(p, bytes);
    }
    uint8_t *out = p->rgb;
    for (int y = 0; y < p->height; y++, out += 3 * width) {
        const uint8_t *from[JPEG_COMPONENTS] = {0};
        for (int i = 0; i < j->components; i++) from[i] = widen(j, c + i, y, rows + (size_t)i * room);
        if (ycc) to_rgb(out, from[0], from[1], from[2], p->width);
        else
            for (size_t x = 0; x < width; x++)
                for (int i = 0; i < 3; i++) out[3 * x + (size_t)i] = from[j->components == 1 ? 0 : i][x];
        if (j->components < 4) continue;
        if (ycc) /* what was told is the light that the inks leave */
            for (size_t x = 0; x < 3 * width; x++) out[x] = (uint8_t)(255 - out[x]);
        multiply_black(out, from[3], p->width);
    }
    free(rows);
    return MUDPT_OK;
}
