/* What libjpeg-turbo shows of a progressive JPEG that ends before all of its coefficients are exact: those that would
 * be 0 are guessed from the means of the 25 blocks around. Every file that is whole is drawn without this. */
#include <string.h>

#include "jpeg.h"

enum { GUESSED = 10, AROUND = 25 };

/* Weights of the means, row by row, for the first coefficients in zigzag order: where nothing but means is known, */
static const int16_t from_means[GUESSED][AROUND] = {
    {-2, -6, -8, -6, -2, -6, 6, 42, 6, -6, -8, 42, 152, 42, -8, -6, 6, 42, 6, -6, -2, -6, -8, -6, -2},
    {-1, -1, 0, 1, 1, -3, 13, 0, -13, 3, -3, 38, 0, -38, 3, -3, 13, 0, -13, 3, -1, -1, 0, 1, 1},
    {-1, -3, -3, -3, -1, -1, 13, 38, 13, -1, 0, 0, 0, 0, 0, 1, -13, -38, -13, 1, 1, 3, 3, 3, 1},
    {0, 0, 1, 0, 0, 0, 2, 7, 2, 0, 0, -5, -14, -5, 0, 0, 2, 7, 2, 0, 0, 0, 1, 0, 0},
    {-1, 0, 0, 0, 1, 0, 9, 0, -9, 0, 0, 0, 0, 0, 0, 0, -9, 0, 9, 0, 1, 0, 0, 0, -1},
    {0, 0, 0, 0, 0, 0, 2, -5, 2, 0, 1, 7, -14, 7, 1, 0, 2, -5, 2, 0, 0, 0, 0, 0, 0},
    {0, 0, 0, 0, 0, 0, 1, 0, -1, 0, 0, 2, 0, -2, 0, 0, 1, 0, -1, 0, 0, 0, 0, 0, 0},
    {0, 0, 0, 0, 0, 0, 1, -3, 1, 0, 0, 0, 0, 0, 0, 0, -1, 3, -1, 0, 0, 0, 0, 0, 0},
    {0, 0, 0, 0, 0, 0, 1, 0, -1, 0, 0, -3, 0, 3, 0, 0, 1, 0, -1, 0, 0, 0, 0, 0, 0},
    {0, 0, 0, 0, 0, 0, 1, 2, 1, 0, 0, 0, 0, 0, 0, 0, -1, -2, -1, 0, 0, 0, 0, 0, 0}};

/* and where more is: the mean and the last four stay as they are. */
static const int16_t from_more[5][AROUND] = {
    {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -7, 50, 0, -50, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
    {0, 0, -7, 0, 0, 0, 0, 50, 0, 0, 0, 0, 0, 0, 0, 0, 0, -50, 0, 0, 0, 0, 7, 0, 0},
    {0, 0, -1, 0, 0, 0, 0, 13, 0, 0, 0, 0, -24, 0, 0, 0, 0, 13, 0, 0, 0, 0, -1, 0, 0},
    {0, -1, 0, 1, 0, -1, 10, 0, -10, 1, 0, 0, 0, 0, 0, 1, -10, 0, 10, -1, 0, 1, 0, -1, 0},
    {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, 13, -24, 13, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}};

bool jpeg_smooths(const jpeg *j) {
    bool useful = false;
    if (!j->progressive) return false;
    for (const jpeg_component *c = j->component; c < j->component + j->components; c++) {
        if (!c->latched || c->bits[0] < 0) return false;
        for (int k = 0; k < GUESSED; k++) {
            if (c->quantisation[jpeg_natural_order[k]] == 0) return false;
            if (k > 0 && c->bits[k] != 0) useful = true;
        }
    }
    return useful;
}

/* The means around a block; those beyond the picture are the nearest one's. */
static void gather(const jpeg *j, const jpeg_component *c, int row, int column, int means[AROUND]) {
    int groups = (j->p->height + 8 * j->down - 1) / (8 * j->down), group = row / c->down;
    /* libjpeg-turbo counts rows of blocks as if every group had as many as this one. */
    int rows = group + 1 < groups || c->blocks_down % c->down == 0 ? c->down : c->blocks_down % c->down;
    int counted = group * rows + row % c->down, all = groups * rows;
    for (int y = 0; y < 5; y++) {
        int from = row + y - 2;
        if (y < 2 && counted < 2 - y) from = row - counted;
        if (y > 2 && counted > all - 1 - (y - 2)) from = row + all - 1 - counted;
        for (int x = 0; x < 5; x++) {
            int at = column + x - 2;
            at = at < 0 ? 0 : at >= c->blocks_across ? c->blocks_across - 1 : at;
            means[5 * y + x] = c->coefficients[((size_t)from * c->row + (size_t)at) * 64];
        }
    }
}

void jpeg_smooth(const jpeg *j, const jpeg_component *c, int row, int column, int16_t block[64]) {
    int means[AROUND];
    const signed char *bits = row / c->down > j->last_good_row ? c->bits_before : c->bits;
    static const signed char none[GUESSED] = {0, -1, -1, -1, -1, -1, -1, -1, -1, -1};
    if (bits == c->bits_before && j->scans == 1) bits = none;
    bool only_means = true;
    for (int k = 1; k < GUESSED; k++) only_means = only_means && bits[k] == -1;
    gather(j, c, row, column, means);
    for (int k = only_means ? 0 : 1; k < (only_means ? GUESSED : 6); k++) {
        int16_t *to = block + jpeg_natural_order[k];
        if (k > 0 && (bits[k] == 0 || *to != 0)) continue;
        int64_t sum = 0, step = c->quantisation[jpeg_natural_order[k]];
        for (int i = 0; i < AROUND; i++) sum += (only_means ? from_means[k] : from_more[k - 1])[i] * means[i];
        sum *= c->quantisation[0];
        int value = (int)((128 * step + (sum < 0 ? -sum : sum)) / (256 * step));
        if (k > 0 && bits[k] > 0 && value >= 1 << bits[k]) value = (1 << bits[k]) - 1;
        *to = (int16_t)(sum < 0 ? -value : value);
    }
}
