/* Decodes JPEG: the markers, and the walk through the scans. See jpeg.h for what holds of all of it.
 *
 * As in libjpeg, damaged data give a damaged picture and no error, for cameras and downloads make many that are good
 * enough; a file that ends before its data do is refused, as by Pillow. Read are baseline, extended and progressive
 * files, in Huffman's and in arithmetic coding, with 1, 3 and 4 channels of 8 bits.
 */
#include <stdlib.h>
#include <string.h>

#include "mudpt.h"
#include "jpeg.h"

enum {
    SOF_BASELINE = 0xc0,
    DHT = 0xc4,
    DAC = 0xcc,
    RST7 = 0xd7,
    SOI = 0xd8,
    EOI = 0xd9,
    SOS = 0xda,
    DQT = 0xdb,
    DNL = 0xdc,
    DRI = 0xdd,
    APP0 = 0xe0,
    APP1 = 0xe1,
    APP14 = 0xee,
    APP15 = 0xef,
    COM = 0xfe,
    TEM = 0x01
};

/* Ordinary files have up to some ten. A hostile one can make every hundred bytes a scan over all of a large picture. */
enum { MAX_SCANS = 200, MAX_BLOCKS = 10, SMALL = 1 << 14 };

/* ------------------------------------------------------------------------------------------------ segments */

static int read_quantisation(jpeg *j, const uint8_t *data, size_t length) {
    while (length > 0) {
        size_t wide = data[0] >> 4 ? 2 : 1, size = 1 + 64 * wide;
        int number = data[0] & 15;
        if (size > length || number >= JPEG_TABLES) return picture_damaged(j->p, "a quantisation table makes no sense");
        for (int k = 0; k < 64; k++)
            j->quantisation[number][jpeg_natural_order[k]] =
                (uint16_t)(wide == 2 ? big16(data + 1 + 2 * k) : data[1 + k]);
        j->quantisations |= 1u << number;
        data += size;
        length -= size;
    }
    return MUDPT_OK;
}

static int read_huffman(jpeg *j, const uint8_t *data, size_t length) {
    while (length > 0) {
        size_t codes = 0;
        for (int i = 1; i <= 16 && length >= 17; i++) codes += data[i];
        if (length < 17 || data[0] >> 4 > 1 || (data[0] & 15) >= JPEG_TABLES || codes > 256 || 17 + codes > length)
            return picture_damaged(j->p, "a Huffman table makes no sense");
        jpeg_huffman_fill((data[0] >> 4 ? j->rest_tables : j->mean_tables) + (data[0] & 15), data + 1, data + 17);
        data += 17 + codes;
        length -= 17 + codes;
    }
    return MUDPT_OK;
}

/* The tables that are meant where a file has none, as motion JPEG's frames: those of the standard's annex K. */
static void fill_missing_tables(jpeg *j) {
    static const uint8_t counts[3][16] = {{0, 1, 5, 1, 1, 1, 1, 1, 1},
                                          {0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1},
                                          {0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125}};
    static const uint8_t more_counts[16] = {0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119};
    static const uint8_t sizes[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    /* Those of up to 15 bits; the others are what is left, in order. */
    static const uint8_t luminance[] = {0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13,
                                        0x51, 0x61, 0x07, 0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42,
                                        0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72, 0x82};
    static const uint8_t colour[] = {0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12,
                                     0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22, 0x32, 0x81, 0x08, 0x14,
                                     0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0, 0x15,
                                     0x62, 0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1};
    for (int t = 0; t < 2; t++) {
        uint8_t symbols[162];
        size_t count = t ? sizeof colour : sizeof luminance, given = count;
        memcpy(symbols, t ? colour : luminance, count);
        for (int symbol = 0; symbol < 256; symbol++)
            if ((symbol & 15) >= 1 && (symbol & 15) <= 10 && !memchr(symbols, symbol, given))
                symbols[count++] = (uint8_t)symbol;
        if (!j->mean_tables[t].there) jpeg_huffman_fill(j->mean_tables + t, counts[t], sizes);
        if (!j->rest_tables[t].there) jpeg_huffman_fill(j->rest_tables + t, t ? more_counts : counts[2], symbols);
    }
}

static int read_conditions(jpeg *j, const uint8_t *data, size_t length) {
    for (; length >= 2; data += 2, length -= 2) {
        int number = data[0] & 15, low = data[1] & 15, high = data[1] >> 4;
        if (data[0] >> 5 || (data[0] < 16 && low > high)) break;
        if (data[0] >= 16) {
            j->near[number] = data[1];
        } else {
            j->small[number] = (uint8_t)low;
            j->large[number] = (uint8_t)high;
        }
    }
    return length == 0 ? MUDPT_OK : picture_damaged(j->p, "its coding's conditions make no sense");
}

static int read_frame(jpeg *j, int marker, const uint8_t *data, size_t length) {
    enum { EXTENDED = 0xc1, PROGRESSIVE = 0xc2, ARITHMETIC = 0xc9, ARITHMETIC_PROGRESSIVE = 0xca };
    if (marker > PROGRESSIVE && marker != ARITHMETIC && marker != ARITHMETIC_PROGRESSIVE)
        return picture_unsupported(j->p, "with lossless or hierarchical coding");
    if (j->components || length < 6 || length != 6 + 3 * (size_t)data[5])
        return picture_damaged(j->p, "its frame header makes no sense");
    if (data[0] != 8) return picture_unsupported(j->p, "with more than 8 bits a channel");
    if (data[5] != 1 && data[5] != 3 && data[5] != 4)
        return picture_unsupported(j->p, "with 2 or more than 4 channels");
    int status = picture_size(j->p, big16(data + 3), big16(data + 1));
    if (status != MUDPT_OK) return status;
    j->components = data[5];
    j->progressive = marker == PROGRESSIVE || marker == ARITHMETIC_PROGRESSIVE;
    j->arithmetic = marker >= ARITHMETIC;
    for (int i = 0; i < j->components; i++) {
        const uint8_t *at = data + 6 + 3 * i;
        jpeg_component *c = j->component + i;
        *c = (jpeg_component){.id = at[0], .across = at[1] >> 4, .down = at[1] & 15, .table = at[2]};
        if (c->across < 1 || c->across > 4 || c->down < 1 || c->down > 4)
            return picture_damaged(j->p, "its frame header makes no sense");
        memset(c->bits, -1, sizeof c->bits);
        if (j->across < c->across) j->across = c->across;
        if (j->down < c->down) j->down = c->down;
    }
    return jpeg_has_whole_factors(j) ? MUDPT_OK : picture_unsupported(j->p, "with samples for parts of pixels");
}

static void read_application(jpeg *j, int marker, const uint8_t *data, size_t length) {
    if (marker == APP0 && length >= 14 && memcmp(data, "JFIF", 5) == 0) j->jfif = true;
    if (marker == APP14 && length >= 12 && memcmp(data, "Adobe", 5) == 0) j->adobe = data[11];
    if (marker == APP1 && length > 6 && memcmp(data, "Exif\0\0", 6) == 0 && !j->seen_exif && j->scans == 0) {
        j->p->orientation = exif_orientation(data + 6, length - 6);
        j->seen_exif = true;
    }
}

static int read_scan_header(jpeg *j, const uint8_t *data, size_t length) {
    if (!j->components) return picture_damaged(j->p, "a scan comes before the frame header");
    if (length < 1 || data[0] < 1 || data[0] > j->components || length != 4 + 2 * (size_t)data[0])
        return picture_damaged(j->p, "a scan header makes no sense");
    if (++j->scans > MAX_SCANS) return picture_unsupported(j->p, "with hundreds of scans");
    j->count = data[0];
    for (int i = 0; i < j->count; i++) {
        int k = i;
        while (k < j->components && j->component[k].id != data[1 + 2 * i]) k++;
        jpeg_component *c = j->in_scan[i] = j->component + k;
        for (int before = 0; before < i; before++)
            if (j->in_scan[before] == c) k = j->components;
        if (k >= j->components) return picture_damaged(j->p, "a scan header makes no sense");
        c->mean_table = data[2 + 2 * i] >> 4;
        c->rest_table = data[2 + 2 * i] & 15;
    }
    const uint8_t *range = data + 1 + 2 * j->count;
    j->first = range[0];
    j->last = range[1];
    j->before = range[2] >> 4;
    j->after = range[2] & 15;
    return MUDPT_OK;
}

/* ------------------------------------------------------------------------------------------------ markers */

/* Whether the file has the next marker, which j->marker then is. */
static bool next_marker(jpeg *j) {
    const picture *p = j->p;
    for (;;) {
        const uint8_t *found = j->at < p->bytes ? memchr(p->file + j->at, 0xff, p->bytes - j->at) : NULL;
        j->at = found ? (size_t)(found - p->file) : p->bytes;
        while (j->at < p->bytes && p->file[j->at] == 0xff) j->at++;
        if (j->at >= p->bytes) {
            j->cut_off = true;
            return false;
        }
        j->marker = p->file[j->at++];
        if (j->marker != 0) return true;
    }
}

static int obey(jpeg *j, int marker, const uint8_t *data, size_t length) {
    if (marker == DQT) return read_quantisation(j, data, length);
    if (marker == DHT) return read_huffman(j, data, length);
    if (marker == DAC) return read_conditions(j, data, length);
    if (marker == SOS) return read_scan_header(j, data, length);
    if (marker == DRI) {
        if (length != 2) return picture_damaged(j->p, "its interval of restarts makes no sense");
        j->restart_interval = (int)big16(data);
    } else if (marker >= SOF_BASELINE && marker < JPEG_RST0) {
        return read_frame(j, marker, data, length);
    } else {
        read_application(j, marker, data, length);
    }
    return MUDPT_OK;
}

/* Up to the next scan or the end: j->marker says which. */
static int read_markers(jpeg *j) {
    const picture *p = j->p;
    for (;; j->marker = 0) {
        if (j->marker == 0 && !next_marker(j)) return picture_cut_off(p);
        int marker = j->marker;
        if (marker == EOI) return MUDPT_OK;
        if (marker >= JPEG_RST0 && marker <= RST7) continue;
        if (marker == TEM && j->scans > 0) continue;
        bool frame = marker >= SOF_BASELINE && marker < JPEG_RST0 && marker != DHT && marker != DAC;
        bool passed_by = (marker >= APP0 && marker <= APP15) || marker == COM || marker == DNL;
        bool known =
            frame ? !j->components : passed_by || marker == DHT || marker == DAC || (marker >= SOS && marker <= DRI);
        if (!known) return picture_damaged(p, "a marker stands where none may");
        size_t left = p->bytes - j->at, length = left < 2 ? 2 : big16(p->file + j->at);
        if (length < 2) return picture_damaged(p, "a segment has no length");
        if (left < length) {
            j->cut_off = passed_by || left < 3; /* before anything of it can make no sense */
            return picture_cut_off(p);
        }
        const uint8_t *data = p->file + j->at + 2;
        j->at += length;
        int status = obey(j, marker, data, length - 2);
        if (status != MUDPT_OK || marker == SOS) return status;
    }
}

/* ------------------------------------------------------------------------------------------------ scans */

static int divide_up(int64_t a, int64_t b) {
    return (int)((a + b - 1) / b);
}

/* Once the first scan is known: whether there are more, and memory for all of them. */
static int prepare(jpeg *j) {
    picture *p = j->p;
    int groups_across = divide_up(p->width, 8 * j->across), groups_down = divide_up(p->height, 8 * j->down);
    uint64_t blocks = 0;
    j->many_scans = j->progressive || j->count < j->components;
    for (jpeg_component *c = j->component; c < j->component + j->components; c++) {
        c->width = divide_up((int64_t)p->width * c->across, j->across);
        c->height = divide_up((int64_t)p->height * c->down, j->down);
        c->blocks_across = divide_up(c->width, 8);
        c->blocks_down = divide_up(c->height, 8);
        c->row = (size_t)groups_across * (size_t)c->across;
        blocks += c->row * (size_t)groups_down * (size_t)c->down;
    }
    /* A block takes at least one bit for its mean and, where all of it is coded at once, one for its end; arithmetic
     * coding makes much less of blocks that are all alike. What is small may miss more than that. */
    uint64_t bits = (uint64_t)(p->bytes - j->at) * 8 * (j->arithmetic ? 512 : 1);
    if (blocks > SMALL && blocks * (j->progressive ? 1 : 2) > bits)
        return picture_damaged(p, "it has too little data for its size");
    for (jpeg_component *c = j->component; c < j->component + j->components; c++) {
        size_t samples = c->row * (size_t)groups_down * (size_t)c->down * 64;
        c->samples = malloc(samples);
        if (j->many_scans) c->coefficients = calloc(samples, sizeof *c->coefficients);
        if (!c->samples || (j->many_scans && !c->coefficients)) return picture_memory(p, samples);
    }
    if (!j->progressive && !j->arithmetic) fill_missing_tables(j);
    return MUDPT_OK;
}

/* Keeps the state of each coefficient for jpeg_smooths. */
static int note_progress(jpeg *j) {
    bool valid = j->first == 0 ? j->last == 0 : j->first <= j->last && j->last < 64 && j->count == 1;
    if (!valid || (j->before > 0 && j->after != j->before - 1) || j->after > 13)
        return picture_damaged(j->p, "a scan header makes no sense");
    for (int i = 0; i < j->count; i++) {
        jpeg_component *c = j->in_scan[i];
        for (int k = j->first < 1 ? j->first : 1; k <= (j->last > 9 ? j->last : 9); k++)
            c->bits_before[k] = j->scans > 1 ? c->bits[k] : 0;
        for (int k = j->first; k <= j->last; k++) c->bits[k] = (signed char)j->after;
    }
    return MUDPT_OK;
}

static int start_scan(jpeg *j) {
    int blocks = 0;
    bool means = !j->progressive || j->first == 0, rest = !j->progressive || j->first > 0;
    for (int i = 0; i < j->count; i++) {
        jpeg_component *c = j->in_scan[i];
        blocks += c->across * c->down;
        if (c->latched) continue;
        if (c->table >= JPEG_TABLES || !(j->quantisations >> c->table & 1))
            return picture_damaged(j->p, "a table that its pixels need is missing");
        memcpy(c->quantisation, j->quantisation[c->table], sizeof c->quantisation);
        c->latched = true;
    }
    if (j->count > 1 && blocks > MAX_BLOCKS) return picture_unsupported(j->p, "with more than 10 blocks in a group");
    int status = j->progressive ? note_progress(j) : MUDPT_OK;
    if (status != MUDPT_OK) return status;
    for (int i = 0; i < j->count && !j->arithmetic; i++) {
        const jpeg_component *c = j->in_scan[i];
        const jpeg_huffman *mean = j->mean_tables + c->mean_table % JPEG_TABLES,
                           *others = j->rest_tables + c->rest_table % JPEG_TABLES;
        bool needs_mean = means && (!j->progressive || j->before == 0);
        if ((needs_mean && (c->mean_table >= JPEG_TABLES || !mean->there)) ||
            (rest && (c->rest_table >= JPEG_TABLES || !others->there)))
            return picture_damaged(j->p, "a table that its pixels need is missing");
        if ((needs_mean && (!mean->valid || !mean->for_means)) || (rest && !others->valid))
            return picture_damaged(j->p, "a Huffman table makes no sense");
    }
    return MUDPT_OK;
}

/* What every coded piece begins with. */
static void begin_piece(jpeg *j) {
    j->bits = 0;
    j->run = 0;
    j->until_restart = j->restart_interval;
    if (j->arithmetic) jpeg_arithmetic_start(j);
    else
        for (int i = 0; i < j->count; i++) j->in_scan[i]->mean = 0;
}

/* Finds the marker of a restart. Where another one stands: it is left there if it may belong to what follows, so that
 * this piece stays empty, or passed by. */
static void restart(jpeg *j) {
    if (j->marker == 0 && !next_marker(j)) return;
    while (j->marker != JPEG_RST0 + j->restarts) {
        int ahead = (j->marker - JPEG_RST0 - j->restarts) & 7;
        bool other = j->marker < JPEG_RST0 || j->marker > RST7;
        if (j->marker < SOF_BASELINE || (!other && ahead >= 6)) {
            if (!next_marker(j)) return;
            continue;
        }
        if (other || ahead <= 2) break;
        j->marker = JPEG_RST0 + j->restarts;
    }
    if (j->marker == JPEG_RST0 + j->restarts) j->marker = 0;
    j->restarts = (j->restarts + 1) & 7;
    begin_piece(j);
    if (j->marker == 0) j->starved = false;
}

static void read_block(jpeg *j, jpeg_component *c, int row, int column, bool starved) {
    int16_t alone[64], *block = alone;
    bool refines_means = j->progressive && j->first == 0 && j->before > 0;
    if (c->coefficients) block = c->coefficients + ((size_t)row * c->row + (size_t)column) * 64;
    else memset(alone, 0, sizeof alone);
    if (j->arithmetic) jpeg_arithmetic_block(j, c, block);
    else if (!starved || refines_means) jpeg_huffman_block(j, c, block);
    if (!c->coefficients && row < c->blocks_down && column < c->blocks_across) jpeg_draw(c, row, column, block);
}

/* Reads the scan's groups: single blocks where it has one component, else those that cover the same pixels. */
static int read_scan(jpeg *j) {
    int status = start_scan(j);
    if (status != MUDPT_OK) return status;
    jpeg_component *single = j->count == 1 ? j->in_scan[0] : NULL;
    int across = single ? single->blocks_across : divide_up(j->p->width, 8 * j->across);
    int down = single ? single->blocks_down : divide_up(j->p->height, 8 * j->down);
    j->restarts = 0;
    j->starved = false;
    begin_piece(j);
    for (int row = 0; row < down; row++)
        for (int column = 0; column < across; column++) {
            if (j->restart_interval && j->until_restart-- == 0) {
                restart(j);
                j->until_restart--;
            }
            bool starved = j->starved;
            if (!starved || j->arithmetic) j->last_good_row = single ? row / single->down : row;
            for (int i = 0; i < j->count && !single; i++)
                for (int b = 0, wide = j->in_scan[i]->across; b < wide * j->in_scan[i]->down; b++)
                    read_block(j, j->in_scan[i], row * j->in_scan[i]->down + b / wide, column * wide + b % wide,
                               starved);
            if (single) read_block(j, single, row, column, starved);
            if (j->cut_off) return picture_cut_off(j->p);
        }
    return MUDPT_OK;
}

/* Draws what many scans told. */
static void draw(const jpeg *j, jpeg_component *c) {
    bool smooth = jpeg_smooths(j);
    for (int row = 0; row < c->blocks_down; row++)
        for (int column = 0; column < c->blocks_across; column++) {
            const int16_t *block = c->coefficients + ((size_t)row * c->row + (size_t)column) * 64;
            int16_t guessed[64];
            if (smooth) {
                memcpy(guessed, block, sizeof guessed);
                jpeg_smooth(j, c, row, column, guessed);
            }
            jpeg_draw(c, row, column, smooth ? guessed : block);
        }
}

/* Samples of a component that no scan has are grey. */
static int read_file(jpeg *j) {
    int status = read_markers(j);
    if (status != MUDPT_OK) return status;
    if (j->marker != SOS) return picture_damaged(j->p, "it ends before its pixels");
    status = prepare(j);
    while (status == MUDPT_OK && j->marker == SOS) {
        j->marker = 0;
        status = read_scan(j);
        if (status != MUDPT_OK) return status;
        status = read_markers(j);
        /* All is there: what follows may be missing, or be a camera's, but no other picture's scan. */
        if (!j->many_scans && j->cut_off) return MUDPT_OK;
        if (!j->many_scans && status == MUDPT_OK && j->marker == SOS)
            return picture_damaged(j->p, "a scan follows the last one");
    }
    return status;
}

int jpeg_decode(picture *p) {
    jpeg *j = calloc(1, sizeof *j);
    if (!j) return picture_memory(p, sizeof *j);
    j->p = p;
    j->at = 2;
    j->adobe = -1;
    for (int i = 0; i < 16; i++) {
        j->large[i] = 1;
        j->near[i] = 5;
    }
    int status = read_file(j);
    for (int i = 0; i < j->components && status == MUDPT_OK && j->many_scans; i++) draw(j, j->component + i);
    if (status == MUDPT_OK) status = jpeg_paint(j);
    for (int i = 0; i < j->components; i++) {
        free(j->component[i].samples);
        free(j->component[i].coefficients);
    }
    free(j);
    return status;
}
