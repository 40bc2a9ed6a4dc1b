/* IEEE half precision, one value at a time. */
#ifndef BASE_HALF_H
#define BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline float half_to_float(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, rest = half & 0x7fff, bits;
    if (rest >= 0x7c00) {
        bits = sign | 0x7f800000 | (rest & 0x3ff) << 13; /* infinity, NaN */
    } else {
        /* As if the exponent had float's range; the product moves it where it belongs, subnormals included. */
        uint32_t wide = rest << 13;
        float scaled;
        memcpy(&scaled, &wide, 4);
        scaled *= 0x1p112f;
        memcpy(&bits, &scaled, 4);
        bits |= sign;
    }
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

/* Rounds to the nearest, ties to even; too large becomes infinity. */
static inline uint16_t half_from_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    uint32_t sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    if (size > 0x7f800000) return (uint16_t)(sign | 0x7e00);
    if (size >= 0x477ff000) return (uint16_t)(sign | 0x7c00);
    if (size < 0x38800000) { /* subnormal: let the addition round at the last place of 2^-24 */
        float shifted;
        memcpy(&shifted, &size, 4);
        shifted += 0.5f;
        memcpy(&size, &shifted, 4);
        return (uint16_t)(sign | (size - 0x3f000000));
    }
    size += 0xfff + (size >> 13 & 1);
    return (uint16_t)(sign | (size - 0x38000000) >> 13);
}

#endif
