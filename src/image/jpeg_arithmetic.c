/* The coefficients of a JPEG's blocks in arithmetic coding, sequential and progressive: ITU-T T.81, annexes D, F, G. */
#include <string.h>

#include "jpeg.h"

/* The standard's table D.3: how likely the less likely decision is, the states that follow it and the likely one, and
 * whether the two change places. The last state is for decisions that are even. */
static const struct {
    uint16_t chance;
    uint8_t unlikely, likely, swap;
} states[114] = {
    {0x5a1d, 1, 1, 1},     {0x2586, 14, 2, 0},    {0x1114, 16, 3, 0},    {0x080b, 18, 4, 0},    {0x03d8, 20, 5, 0},
    {0x01da, 23, 6, 0},    {0x00e5, 25, 7, 0},    {0x006f, 28, 8, 0},    {0x0036, 30, 9, 0},    {0x001a, 33, 10, 0},
    {0x000d, 35, 11, 0},   {0x0006, 9, 12, 0},    {0x0003, 10, 13, 0},   {0x0001, 12, 13, 0},   {0x5a7f, 15, 15, 1},
    {0x3f25, 36, 16, 0},   {0x2cf2, 38, 17, 0},   {0x207c, 39, 18, 0},   {0x17b9, 40, 19, 0},   {0x1182, 42, 20, 0},
    {0x0cef, 43, 21, 0},   {0x09a1, 45, 22, 0},   {0x072f, 46, 23, 0},   {0x055c, 48, 24, 0},   {0x0406, 49, 25, 0},
    {0x0303, 51, 26, 0},   {0x0240, 52, 27, 0},   {0x01b1, 54, 28, 0},   {0x0144, 56, 29, 0},   {0x00f5, 57, 30, 0},
    {0x00b7, 59, 31, 0},   {0x008a, 60, 32, 0},   {0x0068, 62, 33, 0},   {0x004e, 63, 34, 0},   {0x003b, 32, 35, 0},
    {0x002c, 33, 9, 0},    {0x5ae1, 37, 37, 1},   {0x484c, 64, 38, 0},   {0x3a0d, 65, 39, 0},   {0x2ef1, 67, 40, 0},
    {0x261f, 68, 41, 0},   {0x1f33, 69, 42, 0},   {0x19a8, 70, 43, 0},   {0x1518, 72, 44, 0},   {0x1177, 73, 45, 0},
    {0x0e74, 74, 46, 0},   {0x0bfb, 75, 47, 0},   {0x09f8, 77, 48, 0},   {0x0861, 78, 49, 0},   {0x0706, 79, 50, 0},
    {0x05cd, 48, 51, 0},   {0x04de, 50, 52, 0},   {0x040f, 50, 53, 0},   {0x0363, 51, 54, 0},   {0x02d4, 52, 55, 0},
    {0x025c, 53, 56, 0},   {0x01f8, 54, 57, 0},   {0x01a4, 55, 58, 0},   {0x0160, 56, 59, 0},   {0x0125, 57, 60, 0},
    {0x00f6, 58, 61, 0},   {0x00cb, 59, 62, 0},   {0x00ab, 61, 63, 0},   {0x008f, 61, 32, 0},   {0x5b12, 65, 65, 1},
    {0x4d04, 80, 66, 0},   {0x412c, 81, 67, 0},   {0x37d8, 82, 68, 0},   {0x2fe8, 83, 69, 0},   {0x293c, 84, 70, 0},
    {0x2379, 86, 71, 0},   {0x1edf, 87, 72, 0},   {0x1aa9, 87, 73, 0},   {0x174e, 72, 74, 0},   {0x1424, 72, 75, 0},
    {0x119c, 74, 76, 0},   {0x0f6b, 74, 77, 0},   {0x0d51, 75, 78, 0},   {0x0bb6, 77, 79, 0},   {0x0a40, 77, 48, 0},
    {0x5832, 80, 81, 1},   {0x4d1c, 88, 82, 0},   {0x438e, 89, 83, 0},   {0x3bdd, 90, 84, 0},   {0x34ee, 91, 85, 0},
    {0x2eae, 92, 86, 0},   {0x299a, 93, 87, 0},   {0x2516, 86, 71, 0},   {0x5570, 88, 89, 1},   {0x4ca9, 95, 90, 0},
    {0x44d9, 96, 91, 0},   {0x3e22, 97, 92, 0},   {0x3824, 99, 93, 0},   {0x32b4, 99, 94, 0},   {0x2e17, 93, 86, 0},
    {0x56a8, 95, 96, 1},   {0x4f46, 101, 97, 0},  {0x47e5, 102, 98, 0},  {0x41cf, 103, 99, 0},  {0x3c3d, 104, 100, 0},
    {0x375e, 99, 93, 0},   {0x5231, 105, 102, 0}, {0x4c0f, 106, 103, 0}, {0x4639, 107, 104, 0}, {0x415e, 103, 99, 0},
    {0x5627, 105, 106, 1}, {0x50e7, 108, 107, 0}, {0x4b85, 109, 103, 0}, {0x5597, 110, 109, 0}, {0x504f, 111, 107, 0},
    {0x5a10, 110, 111, 1}, {0x5522, 112, 109, 0}, {0x59eb, 112, 111, 1}, {0x5a1d, 113, 113, 0}};

enum { EVEN = 113, SWAPPED = 0x80, UNITS = 20, FEW = 189, MANY = 217, BITS = 14, STOPPED = -1 };

void jpeg_arithmetic_start(jpeg *j) {
    for (int i = 0; i < j->count; i++) {
        jpeg_component *c = j->in_scan[i];
        if (!j->progressive || (j->first == 0 && j->before == 0)) {
            memset(j->mean_bins[c->mean_table], 0, sizeof j->mean_bins[0]);
            c->mean = c->context = 0;
        }
        if (!j->progressive || j->first > 0) memset(j->rest_bins[c->rest_table], 0, sizeof j->rest_bins[0]);
    }
    j->base = j->range = 0;
    j->shift = -16; /* two bytes are needed first */
    j->even_bin = EVEN;
}

/* The next byte of the data; zeros where they have ended. */
static uint32_t next_byte(jpeg *j) {
    const picture *p = j->p;
    if (j->marker) return 0;
    int byte = j->at < p->bytes ? p->file[j->at++] : -1;
    if (byte == 0xff) {
        while (byte == 0xff) byte = j->at < p->bytes ? p->file[j->at++] : -1;
        if (byte > 0) j->marker = byte;
        if (byte > 0) return 0;
        if (byte == 0) byte = 0xff;
    }
    if (byte < 0) j->cut_off = true;
    return byte < 0 ? 0 : (uint32_t)byte;
}

/* One decision. A bin holds its state, and in its highest bit which decision is the likely one. */
static int decide(jpeg *j, uint8_t *bin) {
    while (j->range < 0x8000) {
        if (--j->shift < 0) {
            j->base = j->base << 8 | next_byte(j);
            if ((j->shift += 8) < 0 && ++j->shift == 0) j->range = 0x8000;
        }
        j->range <<= 1;
    }
    int state = *bin & 127, likely = *bin >> 7;
    uint32_t chance = states[state].chance, bound;
    bool unlikely;
    j->range -= chance;
    bound = j->range << j->shift;
    if (j->base >= bound) {
        j->base -= bound;
        unlikely = j->range >= chance;
        j->range = chance;
    } else {
        if (j->range >= 0x8000) return likely;
        unlikely = j->range < chance;
    }
    *bin = (uint8_t)((*bin & SWAPPED) ^
                     (unlikely ? states[state].unlikely | states[state].swap << 7 : states[state].likely));
    return unlikely ? !likely : likely;
}

/* A magnitude's bits: m is its highest one. */
static int take_bits(jpeg *j, uint8_t *bin, int m) {
    int value = m;
    while (m >>= 1)
        if (decide(j, bin + BITS)) value |= m;
    return value + 1;
}

/* Goes from bin to bin while the magnitude doubles; false for one that makes no sense. */
static bool take_size(jpeg *j, uint8_t **bin, int *m) {
    for (; decide(j, *bin); ++*bin)
        if ((*m <<= 1) == 0x8000) {
            j->shift = STOPPED;
            return false;
        }
    return true;
}

static bool take_mean(jpeg *j, jpeg_component *c) {
    uint8_t *bins = j->mean_bins[c->mean_table], *bin = bins + c->context;
    if (!decide(j, bin)) {
        c->context = 0;
        return true;
    }
    int sign = decide(j, bin + 1);
    bin += 2 + sign;
    int m = decide(j, bin);
    if (m) {
        bin = bins + UNITS;
        if (!take_size(j, &bin, &m)) return false;
    }
    if (m < 1 << j->small[c->mean_table] >> 1) c->context = 0;
    else c->context = (m > 1 << j->large[c->mean_table] >> 1 ? 12 : 4) + 4 * sign;
    int value = take_bits(j, bin, m);
    c->mean = (c->mean + (sign ? -value : value)) & 0xffff;
    return true;
}

static void take_rest(jpeg *j, const jpeg_component *c, int first, int last, int shift, int16_t *block) {
    uint8_t *bins = j->rest_bins[c->rest_table];
    for (int k = first; k <= last; k++) {
        uint8_t *bin = bins + 3 * (k - 1);
        if (decide(j, bin)) return;
        for (; !decide(j, bin + 1); bin += 3)
            if (++k > last) {
                j->shift = STOPPED;
                return;
            }
        int sign = decide(j, &j->even_bin);
        bin += 2;
        int m = decide(j, bin);
        if (m && decide(j, bin)) {
            m <<= 1;
            bin = bins + (k <= j->near[c->rest_table] ? FEW : MANY);
            if (!take_size(j, &bin, &m)) return;
        }
        int value = take_bits(j, bin, m);
        block[jpeg_natural_order[k]] = (int16_t)((unsigned)(sign ? -value : value) << shift);
    }
}

static void refine_rest(jpeg *j, const jpeg_component *c, int16_t *block) {
    uint8_t *bins = j->rest_bins[c->rest_table];
    int bit = 1 << j->after, known = j->last;
    while (known > 0 && block[jpeg_natural_order[known]] == 0) known--;
    for (int k = j->first; k <= j->last; k++) {
        uint8_t *bin = bins + 3 * (k - 1);
        if (k > known && decide(j, bin)) return;
        for (;; bin += 3) {
            int16_t *at = block + jpeg_natural_order[k];
            if (*at != 0) {
                if (decide(j, bin + 2)) *at = (int16_t)(*at + (*at < 0 ? -bit : bit));
                break;
            }
            if (decide(j, bin + 1)) {
                *at = (int16_t)(decide(j, &j->even_bin) ? -bit : bit);
                break;
            }
            if (++k > j->last) {
                j->shift = STOPPED;
                return;
            }
        }
    }
}

void jpeg_arithmetic_block(jpeg *j, jpeg_component *c, int16_t *block) {
    if (j->progressive && j->first == 0 && j->before > 0) {
        if (decide(j, &j->even_bin)) block[0] |= (int16_t)(1 << j->after);
        return;
    }
    if (j->shift == STOPPED) return;
    if (j->progressive && j->first > 0) {
        if (j->before > 0) refine_rest(j, c, block);
        else take_rest(j, c, j->first, j->last, j->after, block);
        return;
    }
    if (!take_mean(j, c)) return;
    block[0] = (int16_t)((unsigned)c->mean << (j->progressive ? j->after : 0));
    if (!j->progressive) take_rest(j, c, 1, 63, 0, block);
}
