/* The coefficients of a JPEG's blocks in Huffman's coding, sequential and progressive. Codes that no table has stand
 * for 0, as in libjpeg. */
#include <string.h>

#include "jpeg.h"

void jpeg_huffman_fill(jpeg_huffman *table, const uint8_t counts[16], const uint8_t *symbols) {
    int32_t code = 0;
    int used = 0;
    *table = (jpeg_huffman){.there = true, .valid = true, .for_means = true};
    for (int length = 1; length <= 16; length++, code <<= 1) {
        int count = counts[length - 1];
        table->position[length] = used - code;
        for (int i = 0; i < count; i++, code++, used++) {
            table->symbols[used] = symbols[used];
            if (symbols[used] > 15) table->for_means = false;
            for (int32_t rest = 0; length <= 8 && code < 1 << length && rest < 256 >> length; rest++)
                table->quick[code << (8 - length) | rest] = (uint16_t)(length << 8 | symbols[used]);
        }
        if (count > 0 && code > 1 << length) table->valid = false;
        table->largest[length] = count > 0 ? code - 1 : -1;
    }
    table->largest[17] = INT32_MAX;
}

/* Reads ahead as far as the next marker allows. Past the data's end zeros are given, where `needed` asks for more bits
 * than there are. */
static void read_ahead(jpeg *j, int needed) {
    enum { FULL = 57 };
    const picture *p = j->p;
    while (j->marker == 0 && j->bits < FULL) {
        int byte = j->at < p->bytes ? p->file[j->at++] : -1;
        if (byte == 0xff) {
            while (byte == 0xff) byte = j->at < p->bytes ? p->file[j->at++] : -1;
            if (byte > 0) {
                j->marker = byte;
                break;
            }
            if (byte == 0) byte = 0xff;
        }
        if (byte < 0) {
            j->cut_off = true;
            break;
        }
        j->buffer = j->buffer << 8 | (uint64_t)byte;
        j->bits += 8;
    }
    if (needed <= j->bits) return;
    j->starved = true;
    j->buffer <<= FULL - j->bits;
    j->bits = FULL;
}

static inline int take(jpeg *j, int count) {
    if (j->bits < count) read_ahead(j, count);
    j->bits -= count;
    return (int)(j->buffer >> j->bits & ((1u << count) - 1));
}

static int take_long_symbol(jpeg *j, const jpeg_huffman *table, int length) {
    int32_t code = take(j, length);
    for (; code > table->largest[length]; length++) code = code << 1 | take(j, 1);
    return length > 16 ? 0 : table->symbols[(code + table->position[length]) & 255];
}

static inline int take_symbol(jpeg *j, const jpeg_huffman *table) {
    if (j->bits < 8) read_ahead(j, 0);
    if (j->bits < 8) return take_long_symbol(j, table, 1);
    int found = table->quick[j->buffer >> (j->bits - 8) & 255];
    if (found == 0) return take_long_symbol(j, table, 9);
    j->bits -= found >> 8;
    return found & 255;
}

/* A number of `size` bits: the smaller half of them stands for negative ones. */
static inline int take_number(jpeg *j, int size) {
    if (size == 0) return 0;
    int number = take(j, size);
    return number < 1 << (size - 1) ? number - (1 << size) + 1 : number;
}

static int take_mean(jpeg *j, jpeg_component *c) {
    int difference = take_number(j, take_symbol(j, &j->mean_tables[c->mean_table]));
    return c->mean = (int)((unsigned)c->mean + (unsigned)difference);
}

/* Coefficients that had no scan before. */
static void take_rest(jpeg *j, const jpeg_huffman *table, int first, int last, int shift, int16_t *block) {
    for (int k = first; k <= last; k++) {
        int symbol = take_symbol(j, table), zeros = symbol >> 4, size = symbol & 15;
        if (size > 0) {
            k += zeros;
            block[jpeg_natural_order[k]] = (int16_t)((unsigned)take_number(j, size) << shift);
        } else if (zeros == 15) {
            k += 15;
        } else {
            if (j->progressive) j->run = (1u << zeros) - 1 + (unsigned)(zeros ? take(j, zeros) : 0);
            break;
        }
    }
}

/* One more bit of a coefficient that is not 0. */
static void refine_one(jpeg *j, int16_t *value, int bit) {
    if (take(j, 1) && !(*value & bit)) *value = (int16_t)(*value + (*value >= 0 ? bit : -bit));
}

/* One more bit of every coefficient. */
static void refine_rest(jpeg *j, const jpeg_huffman *table, int16_t *block) {
    int k = j->first, bit = 1 << j->after;
    for (; j->run == 0 && k <= j->last; k++) {
        int symbol = take_symbol(j, table), zeros = symbol >> 4, value = 0;
        if (symbol & 15) {
            value = take(j, 1) ? bit : -bit;
        } else if (zeros < 15) {
            j->run = (1u << zeros) + (unsigned)(zeros ? take(j, zeros) : 0);
            break;
        }
        for (; k <= j->last; k++) {
            int16_t *at = block + jpeg_natural_order[k];
            if (*at != 0) refine_one(j, at, bit);
            else if (--zeros < 0) break;
        }
        if (value) block[jpeg_natural_order[k]] = (int16_t)value;
    }
    if (j->run == 0) return;
    for (; k <= j->last; k++)
        if (block[jpeg_natural_order[k]] != 0) refine_one(j, block + jpeg_natural_order[k], bit);
    j->run--;
}

void jpeg_huffman_block(jpeg *j, jpeg_component *c, int16_t *block) {
    const jpeg_huffman *table = j->rest_tables + c->rest_table % JPEG_TABLES;
    if (!j->progressive) {
        block[0] = (int16_t)take_mean(j, c);
        take_rest(j, table, 1, 63, 0, block);
    } else if (j->first == 0) {
        if (j->before == 0) block[0] = (int16_t)((unsigned)take_mean(j, c) << j->after);
        else if (take(j, 1)) block[0] |= (int16_t)(1 << j->after);
    } else if (j->before > 0) {
        refine_rest(j, table, block);
    } else if (j->run > 0) {
        j->run--;
    } else {
        take_rest(j, table, j->first, j->last, j->after, block);
    }
}
