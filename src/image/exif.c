/* How a picture lies, as a camera noted it. */
#include <string.h>

#include "formats.h"

static uint64_t read_number(const uint8_t *at, int bytes, bool little) {
    uint64_t number = 0;
    for (int i = 0; i < bytes; i++) number = number << 8 | at[little ? bytes - 1 - i : i];
    return number;
}

/* The first value of an entry of type `type`, if that is a whole number, else 0. The standard has a short integer here;
 * some writers use another kind of number, and Pillow takes any. */
static uint64_t read_value(const uint8_t *at, int type, bool little) {
    enum { RATIONAL = 5, SIGNED_RATIONAL = 10, FLOAT = 11, DOUBLE = 12 };
    uint64_t number = read_number(at, type == FLOAT ? 4 : 8, little);
    if (type == RATIONAL || type == SIGNED_RATIONAL) {
        uint64_t above = read_number(at, 4, little), below = read_number(at + 4, 4, little);
        return below && above % below == 0 ? above / below : 0;
    }
    double value;
    if (type == FLOAT) {
        uint32_t bits = (uint32_t)number;
        float narrow;
        memcpy(&narrow, &bits, sizeof narrow);
        value = (double)narrow;
    } else memcpy(&value, &number, sizeof value);
    for (uint64_t whole = 1; whole <= 8; whole++)
        if (value == (double)whole) return whole;
    return 0;
}

int exif_orientation(const uint8_t *exif, size_t bytes) {
    enum { ORIENTATION = 0x112, ENTRY = 12 };
    static const uint8_t sizes[17] = {[3] = 2,  [4] = 4,  [5] = 8,  [6] = 1,  [8] = 2, [9] = 4,
                                      [10] = 8, [11] = 4, [12] = 8, [13] = 4, [16] = 8}; /* of numbers, by type */
    if (bytes < 8) return 1;
    bool little = memcmp(exif, "II*\0", 4) == 0;
    if (!little && memcmp(exif, "MM\0*", 4) != 0) return 1;
    size_t at = (size_t)read_number(exif + 4, 4, little);
    if (at > bytes - 2) return 1;
    size_t entries = (size_t)read_number(exif + at, 2, little);
    for (at += 2; entries > 0 && bytes - at >= ENTRY; entries--, at += ENTRY) {
        int type = (int)read_number(exif + at + 2, 2, little), size = type <= 16 ? sizes[type] : 0;
        uint64_t all = (uint64_t)size * read_number(exif + at + 4, 4, little);
        if (read_number(exif + at, 2, little) != ORIENTATION || all == 0) continue;
        size_t place = all > 4 ? (size_t)read_number(exif + at + 8, 4, little) : at + 8;
        if (place > bytes || all > bytes - place) continue;
        bool whole = type != 5 && type < 10;
        uint64_t value =
            whole || type > 12 ? read_number(exif + place, size, little) : read_value(exif + place, type, little);
        return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}
