#include "jpeg_arithmetic.h"

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

/* Damaged files hold coefficients of any size: sums wrap instead of overflowing. */
static int32_t times(int32_t x, int32_t factor) {
    return (int32_t)((uint32_t)x * (uint32_t)factor);
}

static int32_t plus(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

static int32_t minus(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a - (uint32_t)b);
}

static int32_t descale(int32_t x, int bits) {
    return plus(x, 1 << (bits - 1)) >> bits;
}

/* 8 values `step` apart, in place; the results lose `bits` bits. */
static void inverse_8(int32_t *v, int step, int bits) {
    int32_t shared = times(plus(v[2 * step], v[6 * step]), C_0_541196100);
    int32_t low = minus(shared, times(v[6 * step], C_1_847759065)),
            high = plus(shared, times(v[2 * step], C_0_765366865));
    int32_t sum = times(plus(v[0], v[4 * step]), 1 << FRACTION),
            difference = times(minus(v[0], v[4 * step]), 1 << FRACTION);
    int32_t even[4] = {plus(sum, high), plus(difference, low), minus(difference, low), minus(sum, high)};

    int32_t a = v[7 * step], b = v[5 * step], c = v[3 * step], d = v[step];
    int32_t ad = times(plus(a, d), -C_0_899976223), bc = times(plus(b, c), -C_2_562915447);
    int32_t ac = plus(a, c), bd = plus(b, d), all = times(plus(ac, bd), C_1_175875602);
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

void jpeg_inverse_dct(uint8_t *out, int stride, short coefficients[64]) {
    int32_t v[64];
    for (int i = 0; i < 64; i++) v[i] = coefficients[i];
    for (int column = 0; column < 8; column++) inverse_8(v + column, 8, FRACTION - KEPT);
    for (int row = 0; row < 8; row++, out += stride) {
        inverse_8(v + 8 * row, 1, FRACTION + KEPT + 3);
        for (int column = 0; column < 8; column++) out[column] = clip(plus(v[8 * row + column], 128));
    }
}

/* libjpeg repeats samples where there are too few to weigh. */
static uint8_t *repeat(uint8_t *out, const uint8_t *near, int width) {
    for (int i = 0; i < 2 * width; i++) out[i] = near[i / 2];
    return out;
}

uint8_t *jpeg_double_across_down(uint8_t *out, uint8_t *near, uint8_t *far, int width, int factor) {
    (void)factor;
    if (width <= 2) return repeat(out, near, width);
    int before = 3 * near[0] + far[0]; /* the first column stands in for what is left of it */
    for (int i = 0; i < width; i++) {
        int here = 3 * near[i] + far[i], after = i + 1 < width ? 3 * near[i + 1] + far[i + 1] : here;
        out[2 * i] = (uint8_t)((3 * here + before + 8) >> 4);
        out[2 * i + 1] = (uint8_t)((3 * here + after + 7) >> 4);
        before = here;
    }
    return out;
}

uint8_t *jpeg_double_across(uint8_t *out, uint8_t *near, uint8_t *far, int width, int factor) {
    (void)far;
    (void)factor;
    if (width <= 2) return repeat(out, near, width);
    for (int i = 0; i < width; i++) {
        int before = near[i ? i - 1 : 0], after = near[i + 1 < width ? i + 1 : i];
        out[2 * i] = (uint8_t)((3 * near[i] + before + 1) >> 2);
        out[2 * i + 1] = (uint8_t)((3 * near[i] + after + 2) >> 2);
    }
    return out;
}

void jpeg_to_rgb(uint8_t *out, const uint8_t *y, const uint8_t *cb, const uint8_t *cr, int count, int step) {
    enum { HALF = 1 << 15 }; /* 16 fractional bits; 1.402, 1.772, 0.344136, 0.714136 */
    for (int i = 0; i < count; i++, out += step) {
        int32_t blue = cb[i] - 128, red = cr[i] - 128;
        out[0] = clip(y[i] + ((91881 * red + HALF) >> 16));
        out[1] = clip(y[i] + ((-22554 * blue - 46802 * red + HALF) >> 16));
        out[2] = clip(y[i] + ((116130 * blue + HALF) >> 16));
        if (step == 4) out[3] = 255;
    }
}
