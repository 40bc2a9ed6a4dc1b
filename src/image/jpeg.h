/* What the files that decode JPEG share: jpeg.c reads the markers, jpeg_huffman.c and jpeg_arithmetic.c the
 * coefficients of the two codings, jpeg_smooth.c guesses those that a progressive file does not have, jpeg_pixels.c
 * makes pixels.
 *
 * The standard leaves the rounding open, and what to make of damage. CLIP's Python code reads pictures through Pillow,
 * that is libjpeg-turbo, and a unit more or less on the pixels moves the losses of a training run by several hundredths
 * before its end; so all of this does what libjpeg-turbo 3.2 does as Pillow 13 calls it, bit for bit.
 */
#ifndef IMAGE_JPEG_H
#define IMAGE_JPEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats.h"

enum { JPEG_TABLES = 4, JPEG_COMPONENTS = 4, JPEG_RST0 = 0xd0 };

typedef struct {
    bool there, valid;    /* valid: no more codes than fit */
    bool for_means;       /* it has only what a mean's table may have */
    uint16_t quick[256];  /* by the next 8 bits: the code's length and the symbol; 0 where the code is longer */
    int32_t largest[18];  /* code of each length, -1 without any; the last one stops every search */
    int32_t position[18]; /* of each length's first symbol, less its code */
    uint8_t symbols[256];
} jpeg_huffman;

typedef struct {
    int id, across, down, table;    /* sampling factors; quantisation table */
    int mean_table, rest_table;     /* of the scan: tables for the block's mean (DC) and for the rest (AC) */
    int width, height;              /* in samples */
    int blocks_across, blocks_down; /* that hold samples */
    size_t row;                     /* blocks from row to row, those that only fill up a group included */
    uint8_t *samples;               /* [blocks_down 8, 8 row] */
    int16_t *coefficients;          /* [rows, row, 64] in natural order; NULL where each block is drawn at once */
    bool latched;                   /* its quantisation is known: */
    uint16_t quantisation[64];      /* in natural order */
    int mean;                       /* the last block's, of which the next one's is told from */
    int context;                    /* arithmetic coding: the class of the last difference */
    signed char bits[64], bits_before[64]; /* by zigzag index: bits that are still unknown now and before this scan, -1:
                                              all of them */
} jpeg_component;

typedef struct {
    picture *p;
    size_t at;    /* the next byte */
    int marker;   /* read and not yet obeyed, or 0 */
    bool cut_off; /* more bytes were needed than there are; zeros were given */

    int components; /* 0 before the frame header */
    bool progressive, arithmetic, many_scans;
    jpeg_component component[JPEG_COMPONENTS];
    int across, down; /* the largest sampling factors */
    bool jfif;
    int adobe; /* Adobe's colour transform, -1 where the file does not say */
    bool seen_exif;
    uint16_t quantisation[JPEG_TABLES][64]; /* in natural order */
    unsigned quantisations;                 /* bit t: table t is there */
    jpeg_huffman mean_tables[JPEG_TABLES], rest_tables[JPEG_TABLES];
    int restart_interval;

    /* The scan. */
    int scans, count; /* scans so far; components of this one */
    jpeg_component *in_scan[JPEG_COMPONENTS];
    int first, last, before, after; /* coefficients; bits left out by the scan before (0 without) and by this one */
    int restarts, until_restart;    /* number of the next marker; groups until then */
    bool starved;                   /* a marker came before the data's end: what follows until a restart is empty */
    int last_good_row;              /* of groups: the last one that was not starved */

    uint64_t buffer; /* bits that were read ahead */
    int bits;
    unsigned run; /* blocks that have no coefficients of this scan */

    uint32_t base, range; /* arithmetic coding */
    int shift;
    uint8_t mean_bins[16][64], rest_bins[16][256], even_bin;
    uint8_t small[16], large[16],
        near[16]; /* a table's bounds of small and large differences, and of low coefficients */
} jpeg;

extern const uint8_t jpeg_natural_order[64 + 16]; /* jpeg_order.c: place of the k-th coefficient that is sent */

/* jpeg_huffman.c. counts: of the codes of 1 ... 16 bits, which `symbols` follow */
void jpeg_huffman_fill(jpeg_huffman *table, const uint8_t counts[16], const uint8_t *symbols);
/* The block's coefficients of this scan. */
void jpeg_huffman_block(jpeg *j, jpeg_component *c, int16_t *block);

/* jpeg_arithmetic.c */
void jpeg_arithmetic_start(jpeg *j);
void jpeg_arithmetic_block(jpeg *j, jpeg_component *c, int16_t *block);

/* Whether a progressive file stops before all of its coefficients are exact, and these for one block of it. */
bool jpeg_smooths(const jpeg *j);
void jpeg_smooth(const jpeg *j, const jpeg_component *c, int row, int column, int16_t block[64]);

/* jpeg_pixels.c. Whether each component's samples stand for whole pixels. */
bool jpeg_has_whole_factors(const jpeg *j);
/* Draws one block of coefficients: 8 x 8 samples. */
void jpeg_draw(jpeg_component *c, int row, int column, const int16_t block[64]);
/* -> MUDPT_OK or MUDPT_MEMORY; fills the picture from all samples. */
int jpeg_paint(jpeg *j);

#endif
