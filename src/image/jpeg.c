/* The structure of a JPEG file: its segments up to the end marker, the size, the EXIF orientation.
 *
 * Decoders tend to paint what is missing from a file grey and to say nothing, so this walk looks for the end marker
 * itself; it also checks what stb_image takes on trust (Huffman tables, tables that a scan uses). What follows the end
 * is ignored.
 */
#include <stdbool.h>
#include <string.h>

#include "mudpt.h"
#include "formats.h"

enum {
    DHT = 0xc4,
    RST0 = 0xd0,
    RST7 = 0xd7,
    EOI = 0xd9,
    SOS = 0xda,
    DQT = 0xdb,
    APP1 = 0xe1,
    APP14 = 0xee,
    TEM = 0x01,
    SOF_BASELINE = 0xc0,
    SOF_PROGRESSIVE = 0xc2
};

/* Ordinary files have up to some ten. A hostile one can make every hundred bytes a scan over all of a large picture. */
enum { MAX_SCANS = 200 };

typedef struct {
    picture *p;
    int components; /* 0 before the frame header */
    bool progressive;
    struct {
        int id, across, down, table; /* sampling factors; quantisation table */
    } component[4];
    int across, down;              /* the largest sampling factors */
    unsigned quantisation, dc, ac; /* bit t: table t is there */
    unsigned begun;                /* bit c: component c has had a scan */
    int scans;
    int adobe; /* Adobe's colour transform, -1 where the file does not say */
} jpeg;

static int read_quantisation(jpeg *j, const uint8_t *data, size_t length) {
    while (length > 0) {
        size_t size = data[0] >> 4 ? 129 : 65;
        if (size > length || data[0] >> 4 > 1 || (data[0] & 15) > 3)
            return picture_damaged(j->p, "a quantisation table makes no sense");
        j->quantisation |= 1u << (data[0] & 15);
        data += size;
        length -= size;
    }
    return MUDPT_OK;
}

static int read_huffman(jpeg *j, const uint8_t *data, size_t length) {
    while (length > 0) {
        size_t codes = 0;
        int room = 1; /* codes of the current length that shorter ones leave free */
        for (int i = 1; i <= 16 && length >= 17; i++) {
            codes += data[i];
            room = 2 * room - data[i];
            if (room < 0) break;
        }
        if (length < 17 || data[0] >> 4 > 1 || (data[0] & 15) > 3 || room < 0 || codes > 256 || 17 + codes > length)
            return picture_damaged(j->p, "a Huffman table makes no sense");
        *(data[0] >> 4 ? &j->ac : &j->dc) |= 1u << (data[0] & 15);
        data += 17 + codes;
        length -= 17 + codes;
    }
    return MUDPT_OK;
}

static int read_frame(jpeg *j, int marker, const uint8_t *data, size_t length) {
    if (marker > SOF_PROGRESSIVE) return picture_unsupported(j->p, "with lossless, hierarchical or arithmetic coding");
    if (j->components || length < 6 || length != 6 + 3 * (size_t)data[5])
        return picture_damaged(j->p, "its frame header makes no sense");
    if (data[0] != 8) return picture_unsupported(j->p, "with more than 8 bits a channel");
    if (data[5] != 1 && data[5] != 3 && data[5] != 4)
        return picture_unsupported(j->p, "with 2 or more than 4 channels");
    int status = picture_size(j->p, big16(data + 3), big16(data + 1));
    if (status != MUDPT_OK) return status;
    j->components = data[5];
    j->progressive = marker == SOF_PROGRESSIVE;
    for (int c = 0; c < j->components; c++) {
        const uint8_t *at = data + 6 + 3 * c;
        j->component[c].id = at[0];
        j->component[c].across = at[1] >> 4;
        j->component[c].down = at[1] & 15;
        j->component[c].table = at[2];
        if (at[1] >> 4 < 1 || at[1] >> 4 > 4 || (at[1] & 15) < 1 || (at[1] & 15) > 4 || at[2] > 3)
            return picture_damaged(j->p, "its frame header makes no sense");
        if (j->across < at[1] >> 4) j->across = at[1] >> 4;
        if (j->down < (at[1] & 15)) j->down = at[1] & 15;
    }
    return MUDPT_OK;
}

static void read_application(jpeg *j, int marker, const uint8_t *data, size_t length) {
    if (marker == APP1 && length > 6 && memcmp(data, "Exif\0\0", 6) == 0 && j->p->orientation == 1)
        j->p->orientation = exif_orientation(data + 6, length - 6);
    if (marker == APP14 && length >= 12 && memcmp(data, "Adobe\0", 6) == 0) j->adobe = data[11];
}

static int64_t divide_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

/* Blocks of 8 x 8 values of component c in a scan: of its own pixels if it is alone there, else of whole groups. */
static int64_t count_blocks(const jpeg *j, int c, bool alone) {
    int64_t width = j->p->width, height = j->p->height, across = j->component[c].across, down = j->component[c].down;
    if (alone)
        return divide_up(divide_up(width * across, j->across), 8) * divide_up(divide_up(height * down, j->down), 8);
    return divide_up(width, 8 * j->across) * across * divide_up(height, 8 * j->down) * down;
}

/* data: the header of a scan, which `coded` bytes of coded data follow */
static int read_scan(jpeg *j, const uint8_t *data, size_t length, size_t coded) {
    if (!j->components) return picture_damaged(j->p, "a scan comes before the frame header");
    if (length < 1 || data[0] < 1 || data[0] > j->components || length != 4 + 2 * (size_t)data[0])
        return picture_damaged(j->p, "a scan header makes no sense");
    if (++j->scans > MAX_SCANS) return picture_unsupported(j->p, "with hundreds of scans");
    int count = data[0];
    const uint8_t *range = data + 1 + 2 * count;
    bool first = !j->progressive || (range[0] == 0 && range[2] >> 4 == 0); /* of these components */
    int64_t blocks = 0;
    for (int i = 0; i < count; i++) {
        int c = 0, dc = data[1 + 2 * i + 1] >> 4, ac = data[1 + 2 * i + 1] & 15;
        while (c < j->components && j->component[c].id != data[1 + 2 * i]) c++;
        if (c == j->components || dc > 3 || ac > 3) return picture_damaged(j->p, "a scan header makes no sense");
        bool needs_ac = !j->progressive || range[0] > 0;
        if ((first && !(j->dc >> dc & 1)) || (needs_ac && !(j->ac >> ac & 1)) ||
            !(j->quantisation >> j->component[c].table & 1))
            return picture_damaged(j->p, "a table that its pixels need is missing");
        if (first) j->begun |= 1u << c;
        blocks += count_blocks(j, c, count == 1);
    }
    /* A block takes at least one bit for its mean and, where all of it is coded at once, one for its end. */
    if (first && (uint64_t)blocks * (j->progressive ? 1 : 2) > (uint64_t)coded * 8)
        return picture_damaged(j->p, "it has too little data for its size");
    return MUDPT_OK;
}

/* Where the first marker at or after `at` that does not belong to coded data begins; bytes if there is none. */
static size_t find_marker(const picture *p, size_t at) {
    while (at + 1 < p->bytes) {
        const uint8_t *found = memchr(p->file + at, 0xff, p->bytes - 1 - at);
        if (!found) break;
        at = (size_t)(found - p->file);
        int next = p->file[at + 1];
        if (next == 0xff) at++;
        else if (next == 0 || (next >= RST0 && next <= RST7)) at += 2;
        else return at;
    }
    return p->bytes;
}

static int walk(jpeg *j) {
    const picture *p = j->p;
    for (size_t at = 2;;) {
        while (at < p->bytes && p->file[at] != 0xff) at++;
        while (at < p->bytes && p->file[at] == 0xff) at++;
        if (at >= p->bytes) return picture_cut_off(p);
        int marker = p->file[at++];
        if (marker == EOI) break;
        if (marker <= TEM || (marker >= RST0 && marker < EOI))
            return picture_damaged(p, "a marker stands where none may");
        if (p->bytes - at < 2) return picture_cut_off(p);
        size_t length = big16(p->file + at);
        if (length < 2) return picture_damaged(p, "a segment has no length");
        if (p->bytes - at < length) return picture_cut_off(p);
        const uint8_t *data = p->file + at + 2;
        at += length;
        length -= 2;
        int status = MUDPT_OK;
        if (marker == DQT) status = read_quantisation(j, data, length);
        else if (marker == DHT) status = read_huffman(j, data, length);
        else if (marker >= SOF_BASELINE && marker < RST0 && marker != 0xc8 && marker != 0xcc)
            status = read_frame(j, marker, data, length);
        else if (marker == SOS) {
            size_t end = find_marker(p, at);
            if (end == p->bytes) return picture_cut_off(p);
            status = read_scan(j, data, length, end - at);
            at = end;
        } else read_application(j, marker, data, length);
        if (status != MUDPT_OK) return status;
    }
    if (j->begun == 0 || j->begun != (1u << j->components) - 1) return picture_damaged(p, "channels are missing");
    if (j->components == 4 && j->adobe != 0 && j->adobe != 2)
        return picture_unsupported(p, "with four channels that it does not explain");
    return MUDPT_OK;
}

int jpeg_decode(picture *p) {
    jpeg j = {.p = p, .adobe = -1};
    int status = walk(&j);
    return status == MUDPT_OK ? stb_decode(p, p->file, p->bytes, 0) : status;
}
