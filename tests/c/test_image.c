/* Pictures from files: the four formats, EXIF orientation, and what is refused.
 *
 * The files are written here byte by byte (image_files.h), so they need no golden files.
 */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "image_files.h"
#include "mudpt.h"

static bytes file;

static mudpt_image *decode(const bytes *b, int upright) {
    /* A copy of just the right size, so that the address sanitizer sees a byte read too far. */
    uint8_t *copy = malloc(b->used ? b->used : 1);
    memcpy(copy, b->at, b->used);
    mudpt_image *image = NULL;
    int status = mudpt_image_decode(copy, b->used, upright, &image);
    free(copy);
    CHECK(status == MUDPT_OK ? image != NULL : status == MUDPT_IMAGE && !image, "code %d: %s", status,
          mudpt_last_error());
    return image;
}

/* want [height, width, 3] */
static void check_pixels(const bytes *b, int upright, int width, int height, const uint8_t *want, int tolerance,
                         const char *what) {
    mudpt_image *image = decode(b, upright);
    CHECK(image, "%s: %s", what, mudpt_last_error());
    if (!image) return;
    int w = mudpt_image_width(image), h = mudpt_image_height(image), worst = 0;
    CHECK(w == width && h == height, "%s: %d x %d, expected %d x %d", what, w, h, width, height);
    for (int i = 0; i < 3 * w * h && w == width && h == height; i++) {
        int difference = abs(mudpt_image_rgb(image)[i] - want[i]);
        if (difference > worst) worst = difference;
    }
    CHECK(worst <= tolerance, "%s: pixels differ by %d", what, worst);
    mudpt_image_free(image);
}

enum { W = 11, H = 7 }; /* of most pictures here: odd, and no row is a multiple of four bytes */

static void test_png(void) {
    uint8_t rgb[H * W * 3], data[H * W * 8], want[H * W * 3];
    fill_noise(rgb, sizeof rgb, 1);
    make_png(&file, W, H, rgb);
    check_pixels(&file, 0, W, H, rgb, 0, "PNG, RGB");
    put(&file, "what follows the end", 20);
    check_pixels(&file, 0, W, H, rgb, 0, "PNG with something behind it");

    for (int i = 0; i < H * W; i++) {
        memcpy(data + 4 * i, rgb + 3 * i, 3);
        data[4 * i + 3] = (uint8_t)(i * 3);
    }
    begin_png(&file, W, H, 8, 6);
    end_png(&file, data, H, 4 * W);
    check_pixels(&file, 0, W, H, rgb, 0, "PNG, RGBA: alpha is dropped, not blended");

    for (int i = 0; i < H * W * 3; i++) want[i] = rgb[i / 3];
    begin_png(&file, W, H, 8, 0);
    end_png(&file, rgb, H, W);
    check_pixels(&file, 0, W, H, want, 0, "PNG, grey");
    begin_png(&file, W, H, 8, 0);
    put_chunk(&file, "tRNS", (uint8_t[]){0, rgb[5]}, 2);
    end_png(&file, rgb, H, W);
    check_pixels(&file, 0, W, H, want, 0, "PNG, grey with a transparent shade");

    for (int i = 0; i < H * W * 3; i++) {
        data[2 * i] = rgb[i];
        data[2 * i + 1] = (uint8_t)~rgb[i];
    }
    begin_png(&file, W, H, 16, 2);
    end_png(&file, data, H, 6 * W);
    check_pixels(&file, 0, W, H, rgb, 0, "PNG, 16 bits: the high byte counts");

    uint8_t palette[5 * 3] = {9, 8, 7, 250, 1, 2, 3, 251, 4, 5, 6, 252, 100, 101, 102};
    for (int i = 0; i < H * W; i++) {
        data[i] = (uint8_t)(i % 7); /* 5 and 6 are beyond the palette */
        for (int c = 0; c < 3; c++) want[3 * i + c] = i % 7 < 5 ? palette[3 * (i % 7) + c] : 0;
    }
    begin_png(&file, W, H, 8, 3);
    put_chunk(&file, "PLTE", palette, sizeof palette);
    put_chunk(&file, "tRNS", (uint8_t[]){0, 128}, 2);
    end_png(&file, data, H, W);
    check_pixels(&file, 0, W, H, want, 0, "PNG, short palette with alpha");

    uint8_t bits[2] = {0xb0, 0x40},
            black_white[2 * 3 * 3] = {255, 255, 255, 0, 0, 0, 255, 255, 255, 0, 0, 0, 255, 255, 255};
    begin_png(&file, 3, 2, 1, 0);
    end_png(&file, bits, 2, 1);
    check_pixels(&file, 0, 3, 2, black_white, 0, "PNG, one bit");
}

static void test_real_files(void) {
    uint8_t gradient[13 * 19 * 3];
    for (int i = 0; i < 13 * 19; i++) {
        gradient[3 * i] = (uint8_t)nearbyint(i % 19 * 255 / 18.0);
        gradient[3 * i + 1] = (uint8_t)nearbyint(i / 19 * 255 / 12.0);
        gradient[3 * i + 2] = 90;
    }
    file.used = 0;
    put(&file, deflated_png, sizeof deflated_png);
    check_pixels(&file, 0, 19, 13, gradient, 0, "PNG as Pillow writes it");
    /* To the last bit what Pillow, that is libjpeg, decodes: sums (FNV) over its pixels. */
    const struct {
        const uint8_t *at;
        size_t count;
        uint32_t sum;
    } jpegs[] = {{progressive_jpeg, sizeof progressive_jpeg, 0x7ce5e3b2u},
                 {half_columns_jpeg, sizeof half_columns_jpeg, 0x844f9c4du}};
    for (size_t k = 0; k < 2; k++) {
        file.used = 0;
        put(&file, jpegs[k].at, jpegs[k].count);
        check_pixels(&file, 0, 19, 13, gradient, 40, "JPEG as Pillow writes it");
        mudpt_image *image = decode(&file, 0);
        uint32_t sum = 2166136261u;
        for (int i = 0; image && i < 13 * 19 * 3; i++) sum = (sum ^ mudpt_image_rgb(image)[i]) * 16777619u;
        CHECK(sum == jpegs[k].sum, "JPEG %zu is rounded otherwise than by libjpeg: %x", k, (unsigned)sum);
        mudpt_image_free(image);
    }
}

static void test_bmp_and_gif(void) {
    uint8_t rgb[H * W * 3];
    fill_noise(rgb, sizeof rgb, 2);
    make_bmp(&file, W, H, rgb);
    check_pixels(&file, 0, W, H, rgb, 0, "BMP");

    file.used = 0; /* 16 bits, rows from the top, two pixels: 5, 5, 5 bits */
    put(&file, "BM", 2);
    PUT_LITTLE(&file, 4, 58, 0, 54, 40, 2, (uint32_t)-1, 1 | 16 << 16, 0, 0, 0, 0, 0, 0);
    PUT_LITTLE(&file, 2, 31 << 10 | 16 << 5 | 1, 8);
    check_pixels(&file, 0, 2, 1, (uint8_t[]){255, 131, 8, 0, 0, 65}, 0, "BMP, 16 bits");

    file.used = 0; /* a palette of two colours, 4 bits; index 7 is beyond it */
    put(&file, "BM", 2);
    PUT_LITTLE(&file, 4, 66, 0, 62, 40, 3, 1, 1 | 4 << 16, 0, 0, 0, 0, 2, 0);
    PUT(&file, 1, 2, 3, 0, 4, 5, 6, 0, 0x01, 0x70, 0, 0);
    check_pixels(&file, 0, 3, 1, (uint8_t[]){3, 2, 1, 6, 5, 4, 0, 0, 0}, 0, "BMP, palette");

    /* A frame of 5 x 9 in a picture of 8 x 11, with and without a transparent colour, plain and interlaced. */
    static const uint8_t colours[12] = {10, 20, 30, 200, 0, 0, 0, 210, 0, 0, 0, 220};
    static const int order[9] = {0, 8, 4, 2, 6, 1, 3, 5, 7}; /* rows of an interlaced frame as they are stored */
    for (int mode = 0; mode < 4; mode++) {
        gif_layout g = {8, 11, 2, 1, 5, 9, mode & 1 ? 2 : -1, mode & 2};
        uint8_t pixels[45], want[11 * 8 * 3];
        for (int i = 0; i < 11 * 8; i++) memcpy(want + 3 * i, colours + (mode & 1 ? 6 : 0), 3);
        for (int y = 0; y < 9; y++)
            for (int x = 0; x < 5; x++) {
                int row = g.interlaced ? order[y] : y, colour = (x + 3 * row + x * row) % 4;
                pixels[5 * y + x] = (uint8_t)colour;
                memcpy(want + 3 * (8 * (row + 1) + x + 2), colours + 3 * colour, 3);
            }
        make_gif(&file, &g, colours, pixels);
        check_pixels(&file, 0, 8, 11, want, 0,
                     "GIF: the transparent colour stays a colour, and fills what is not drawn");
    }
    /* Codes that stand for strings: clear, 1, string 6 (= 1 1, the very one it makes), string 7 (= 1 1 1), end. */
    file.used = 0;
    put(&file, "GIF87a", 6);
    PUT_LITTLE(&file, 2, 6, 1);
    PUT(&file, 0x81, 0, 0);
    put(&file, colours, 12);
    PUT(&file, ',', 0, 0, 0, 0, 6, 0, 1, 0, 0, 2, 2, 0x8c, 0x5f, 0, ';');
    uint8_t six[18];
    for (int i = 0; i < 6; i++) memcpy(six + 3 * i, colours + 3, 3);
    check_pixels(&file, 0, 6, 1, six, 0, "GIF with strings");

    /* Codes of one pixel each, never cleared: they grow from 3 to 12 bits, and go on when all 4096 are in use. */
    enum { WIDE = 90, HIGH = 70 };
    static uint8_t noise[WIDE * HIGH], want[WIDE * HIGH * 3], packed[WIDE * HIGH * 2];
    fill_noise(noise, sizeof noise, 4);
    size_t bits = 3;
    packed[0] = 4;
    for (int i = 0, next = 5, size = 3; i < WIDE * HIGH; i++, next++) {
        if (next == 1 << size && size < 12) size++;
        for (int k = 0; k < size; k++, bits++) packed[bits / 8] |= (uint8_t)((noise[i] % 4 >> k & 1) << bits % 8);
        memcpy(want + 3 * i, colours + 3 * (noise[i] % 4), 3);
    }
    file.used = 0;
    put(&file, "GIF89a", 6);
    PUT_LITTLE(&file, 2, WIDE, HIGH);
    PUT(&file, 0x81, 0, 0);
    put(&file, colours, 12);
    PUT(&file, ',', 0, 0, 0, 0, WIDE, 0, HIGH, 0, 0, 2);
    for (size_t at = 0; at < bits / 8 + 1; at += 255) {
        size_t block = bits / 8 + 1 - at < 255 ? bits / 8 + 1 - at : 255;
        PUT(&file, (uint8_t)block);
        put(&file, packed + at, block);
    }
    PUT(&file, 0, ';');
    check_pixels(&file, 0, WIDE, HIGH, want, 0, "GIF with codes of every length");
}

static void test_jpeg(void) {
    enum { ACROSS = 5, DOWN = 3, BLOCKS = ACROSS * DOWN, PIXELS = BLOCKS * 64 };
    static uint8_t values[BLOCKS * 4], want[PIXELS * 3];
    static bytes extra, inner;
    for (int components = 1; components <= 4; components++) {
        if (components == 2) continue;
        fill_noise(values, sizeof values, (uint64_t)components);
        for (int i = 0; i < BLOCKS && components == 3; i++) /* colours that need no clipping */
            for (int c = 1; c < 3; c++) values[3 * i + c] = (uint8_t)(128 + values[3 * i + c] % 40);
        for (int i = 0; i < BLOCKS && components == 3; i++) values[3 * i] = (uint8_t)(80 + values[3 * i] % 90);
        for (int i = 0; i < PIXELS; i++) {
            const uint8_t *v = values + components * (i / (ACROSS * 8) / 8 * ACROSS + i % (ACROSS * 8) / 8);
            double blue = v[1] - 128.0, red = v[2] - 128.0;
            double ycc[3] = {v[0] + 1.402 * red, v[0] - 0.344136 * blue - 0.714136 * red, v[0] + 1.772 * blue};
            for (int c = 0; c < 3; c++)
                want[3 * i + c] = (uint8_t)(components == 1   ? v[0]
                                            : components == 3 ? lround(ycc[c])
                                                              : lround(v[c] * v[3] / 255.0));
        }
        for (int mode = 0; mode < 8; mode++) {
            /* First a thumbnail and a comment with end markers of their own; CMYK with and without Adobe's marker. */
            extra.used = 0;
            if (mode & 4) {
                jpeg_layout thumbnail = {.across = 1, .down = 1, .components = 1, .values = (uint8_t[]){77}};
                make_jpeg(&inner, &thumbnail);
                put_segment(&extra, 0xe1, inner.at, inner.used);
                put_segment(&extra, 0xfe, (const uint8_t *)"\xff\xd9 here", 7);
            }
            if (components == 4 && mode & 1) put_segment(&extra, 0xee, (const uint8_t *)"Adobe\0\144\0\0\0\0\0", 12);
            jpeg_layout j = {ACROSS, DOWN, components, mode & 1, mode & 2 ? 2 : 0, values, &extra};
            make_jpeg(&file, &j);
            char what[80];
            snprintf(what, sizeof what, "JPEG, %d channels%s%s%s", components, mode & 1 ? ", progressive" : "",
                     mode & 2 ? ", restarts" : "", mode & 4 ? ", thumbnail" : "");
            check_pixels(&file, 0, ACROSS * 8, DOWN * 8, want, 2, what);
            put(&file, "\xff\xd8\xff trailing", 12);
            check_pixels(&file, 0, ACROSS * 8, DOWN * 8, want, 2, what);
        }
    }
}

/* ------------------------------------------------------------------------------------------------ orientation */

/* EXIF data with the orientation as the second of two entries. */
static void make_exif(bytes *b, int big, uint32_t orientation) {
    b->used = 0;
    put(b, big ? "MM\0*" : "II*\0", 4);
    PUT_NUMBERS(b, 4, big, 8);
    PUT_NUMBERS(b, 2, big, 2, 0x10f, 2);
    PUT_NUMBERS(b, 4, big, 4, 0);
    PUT_NUMBERS(b, 2, big, 0x112, 3);
    PUT_NUMBERS(b, 4, big, 1);
    PUT_NUMBERS(b, 2, big, orientation, 0);
    PUT_NUMBERS(b, 4, big, 0);
}

static void test_orientation(void) {
    /* The stored rows are abc and def: how they are to be seen. */
    static const struct {
        int width;
        const char *seen;
    } cases[10] = {{3, "abcdef"}, {3, "abcdef"}, {3, "cbafed"}, {3, "fedcba"}, {3, "defabc"},
                   {2, "adbecf"}, {2, "daebfc"}, {2, "fcebda"}, {2, "cfbead"}, {3, "abcdef"}};
    static bytes exif, segment;
    uint8_t stored[18], seen[18];
    for (int i = 0; i < 18; i++) stored[i] = (uint8_t)(40 * (i / 3) + i % 3);
    for (uint32_t orientation = 0; orientation < 10; orientation++)
        for (int big = 0; big < 2; big++) {
            make_exif(&exif, big, orientation);
            begin_png(&file, 3, 2, 8, 2);
            put_chunk(&file, "eXIf", exif.at, exif.used);
            end_png(&file, stored, 2, 9);
            for (int i = 0; i < 18; i++) seen[i] = (uint8_t)(40 * (cases[orientation].seen[i / 3] - 'a') + i % 3);
            char what[40];
            snprintf(what, sizeof what, "orientation %u", (unsigned)orientation);
            check_pixels(&file, 1, cases[orientation].width, 6 / cases[orientation].width, seen, 0, what);
            check_pixels(&file, 0, 3, 2, stored, 0, what);
            /* The same in a JPEG of 3 x 2 blocks: its size tells that the segment was found. */
            segment.used = 0;
            bytes app1 = {.used = 0};
            put(&app1, "Exif\0\0", 6);
            put(&app1, exif.at, exif.used);
            put_segment(&segment, 0xe1, app1.at, app1.used);
            jpeg_layout j = {3, 2, 1, 0, 0, (uint8_t[]){10, 50, 90, 130, 170, 210}, &segment};
            make_jpeg(&file, &j);
            mudpt_image *image = decode(&file, 1);
            CHECK(image && mudpt_image_width(image) == 8 * cases[orientation].width, "%s in a JPEG", what);
            if (image)
                CHECK_CLOSE(mudpt_image_rgb(image)[0], 10 + 40 * (cases[orientation].seen[0] - 'a'), 1, "%s", what);
            mudpt_image_free(image);
        }
    /* Broken EXIF data are no reason to refuse a picture. */
    make_exif(&exif, 0, 6);
    for (size_t length = 0; length < exif.used; length++)
        for (int broken = 0; broken < 2; broken++) {
            bytes cut = exif;
            if (broken) memset(cut.at + length, 0xff, cut.used - length);
            else cut.used = length;
            begin_png(&file, 3, 2, 8, 2);
            put_chunk(&file, "eXIf", cut.at, cut.used);
            end_png(&file, stored, 2, 9);
            mudpt_image *image = decode(&file, 1);
            CHECK(image, "EXIF data broken at %zu: %s", length, mudpt_last_error());
            mudpt_image_free(image);
        }
}

/* The orientation as every kind of number, of which some writers use another than the short integer it should be. */
static void test_orientation_types(void) {
    static const uint8_t double_six[8] = {0, 0, 0, 0, 0, 0, 0x18, 0x40}, float_six[8] = {0, 0, 0xc0, 0x40};
    static const uint8_t stored[18] = {0};
    for (int type = 0; type < 19; type++)
        for (int big = 0; big < 2; big++)
            for (uint32_t count = 0; count < 4; count++) {
                static const uint8_t sizes[19] = {1, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 8, 8, 8, 8, 8};
                int size = sizes[type];
                bool number = (type >= 3 && type <= 13 && type != 7) || type == 16;
                bytes exif = {.used = 0}, values = {.used = 0};
                for (uint32_t i = 0; i < count; i++) {
                    uint8_t value[8] = {6, 0, 0, 0, type == 5 || type == 10};
                    if (type == 11 || type == 12) memcpy(value, type == 11 ? float_six : double_six, 8);
                    int half = type == 5 || type == 10 ? 4 : size; /* a fraction is two numbers */
                    for (int k = 0; k < size; k++) PUT(&values, value[big ? k / half * half + half - 1 - k % half : k]);
                }
                put(&exif, big ? "MM\0*" : "II*\0", 4);
                PUT_NUMBERS(&exif, 4, big, 8);
                PUT_NUMBERS(&exif, 2, big, 1, 0x112, (uint32_t)type);
                PUT_NUMBERS(&exif, 4, big, count);
                if (values.used > 4) PUT_NUMBERS(&exif, 4, big, 26);
                else put(&exif, values.at, 4);
                PUT_NUMBERS(&exif, 4, big, 0);
                if (values.used > 4) put(&exif, values.at, values.used);
                begin_png(&file, 3, 2, 8, 2);
                put_chunk(&file, "eXIf", exif.at, exif.used);
                end_png(&file, stored, 2, 9);
                mudpt_image *image = decode(&file, 1);
                bool turned = image && mudpt_image_width(image) == 2;
                CHECK(turned == (number && count > 0), "orientation of type %d, count %u, big %d: %s", type,
                      (unsigned)count, big, turned ? "turned" : "as stored");
                mudpt_image_free(image);
            }
}

/* ------------------------------------------------------------------------------------------------ refusals */

static void check_refused(const bytes *b, int code, const char *word) {
    mudpt_image *image = NULL;
    int status = mudpt_image_decode(b->at, b->used, 0, &image);
    const char *text = mudpt_last_error();
    CHECK(status == code && !image, "%s: code %d", word, status);
    CHECK(strstr(text, word) && !strchr(text, '\n'), "expected \"%s\" in: %s", word, text);
    mudpt_image_free(image);
}

static void check_text_refused(const char *start, size_t count, const char *word) {
    file.used = 0;
    put(&file, start, count);
    check_refused(&file, MUDPT_IMAGE, word);
}

static void test_refusals(void) {
    static const struct {
        const char *start, *word;
        size_t count;
    } foreign[] = {
        {"", "empty file", 0},
        {"version https://git-lfs", "starts with plain text; expected JPEG, PNG, GIF or BMP", 23},
        {"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "SVG is not decoded here; convert", 62},
        {"RIFF\20\0\0\0WEBPVP8 ", "WebP is not decoded here; convert", 16},
        {"\0\0\0\34ftypavif\0\0", "AVIF is not decoded here; convert", 14},
        {"\0\0\0\34ftypheic\0\0", "HEIC is not decoded here; convert", 14},
        {"II*\0\10\0\0\0", "TIFF is not decoded here; convert", 8},
        {"\1\2\3\377", "starts with the bytes 01 02 03 ff;", 4},
        {"BM is no picture, only text", "plain text", 27},
    };
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        check_text_refused(foreign[i].start, foreign[i].count, foreign[i].word);

    static const struct {
        uint32_t width, height;
        const char *word;
    } sizes[] = {{0, 5, "0 x 5 pixels"},           {5, 0, "5 x 0 pixels"},  {60000, 60000, "too large"},
                 {32769, 1, "too large"},          {1, 32769, "too large"}, {32768, 4097, "too large"},
                 {11585, 11585, "too little data"}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        begin_png(&file, sizes[i].width, sizes[i].height, 8, 2);
        end_png(&file, (const uint8_t *)"abc", 1, 3);
        check_refused(&file, MUDPT_IMAGE, sizes[i].word);
    }
    begin_png(&file, 20, 20, 8, 2);
    end_png(&file, file.at, 1, 900);
    check_refused(&file, MUDPT_IMAGE, "damaged PNG");

    /* One pixel whose data unpack to 300 KB, which nobody does: bits of a block with fixed codes, a 0 and then
     * copies of 258 of them. */
    static const char start[] = "11000110000", copy[] = "1100010100000";
    uint8_t packed[2000] = {0x78, 0x01};
    for (size_t i = 0; i < 8 * (sizeof packed - 2); i++)
        packed[2 + i / 8] |= (uint8_t)(((i < 11 ? start[i] : copy[(i - 11) % 13]) - '0') << i % 8);
    begin_png(&file, 1, 1, 8, 2);
    put_chunk(&file, "IDAT", packed, sizeof packed);
    put_chunk(&file, "IEND", NULL, 0);
    check_pixels(&file, 0, 1, 1, (uint8_t[]){0, 0, 0}, 0, "PNG with more than its pixels");

    /* Clear, 1, and 7 where 6 is the next string. */
    file.used = 0;
    put(&file, "GIF87a", 6);
    PUT_LITTLE(&file, 2, 6, 1);
    PUT(&file, 0x81, 0, 0);
    put(&file, "abcdefghijkl", 12);
    PUT(&file, ',', 0, 0, 0, 0, 6, 0, 1, 0, 0, 2, 2, 0xcc, 0x01, 0, ';');
    check_refused(&file, MUDPT_IMAGE, "packed in no known way");

    jpeg_layout j = {2, 2, 1, 0, 0, (uint8_t[16]){0}, NULL};
    make_jpeg(&file, &j);
    uint8_t *frame = memchr(file.at, 0xc0, file.used);
    frame[4] = frame[6] = 0x7f; /* 32520 x 32520 */
    check_refused(&file, MUDPT_IMAGE, "too large");
    frame[4] = frame[6] = 0x20; /* 8208 x 8208 */
    check_refused(&file, MUDPT_IMAGE, "too little data");
    frame[0] = 0xc3;
    check_refused(&file, MUDPT_IMAGE, "lossless");
    /* More Huffman codes than there are bytes to stand for. */
    static bytes many;
    uint8_t table[17 + 315] = {[15] = 60, [16] = 255};
    put_segment(&many, 0xc4, table, sizeof table);
    j.extra = &many;
    make_jpeg(&file, &j);
    check_refused(&file, MUDPT_IMAGE, "Huffman");

    mudpt_image *image = NULL;
    uint8_t pixel[4] = {1, 2, 3, 4}, view[3];
    CHECK(mudpt_image_decode(pixel, 4, 0, NULL) == MUDPT_ARGUMENT, "no place for the picture");
    CHECK(mudpt_image_decode(NULL, 4, 0, &image) == MUDPT_ARGUMENT, "no bytes");
    CHECK(mudpt_image_from_pixels(pixel, 1, 1, 2, &image) == MUDPT_ARGUMENT, "two channels");
    CHECK(mudpt_image_from_pixels(pixel, 0, 1, 3, &image) == MUDPT_ARGUMENT, "no width");
    CHECK(mudpt_image_from_pixels(pixel, 1, -1, 3, &image) == MUDPT_ARGUMENT, "negative height");
    CHECK(mudpt_image_from_pixels(pixel, 40000, 1, 3, &image) == MUDPT_IMAGE, "too wide");
    CHECK(!image, "a failed call gave a picture");
    CHECK(mudpt_image_test_view(NULL, NULL, 1, view) == MUDPT_ARGUMENT, "a view of nothing");
    for (int channels = 1; channels <= 4; channels++) {
        if (channels == 2) continue;
        CHECK(mudpt_image_from_pixels(pixel, 1, 1, channels, &image) == MUDPT_OK, "%d channels", channels);
        const uint8_t *rgb = mudpt_image_rgb(image);
        CHECK(rgb[0] == 1 && rgb[1] == (channels == 1 ? 1 : 2) && rgb[2] == (channels == 1 ? 1 : 3), "%d channels",
              channels);
        CHECK(mudpt_image_test_view(image, NULL, 0, view) == MUDPT_ARGUMENT, "a view of no size");
        mudpt_image_free(image);
    }
    CHECK(mudpt_image_from_pixels(NULL, 2, 1, 4, &image) == MUDPT_OK, "a picture to be written to");
    CHECK(mudpt_image_rgb(image)[0] == 0 && mudpt_image_rgb(image)[5] == 0, "it is black at first");
    mudpt_image_rgb(image)[5] = 7;
    CHECK(mudpt_image_rgb(image)[5] == 7, "it keeps what is written");
    mudpt_image_free(image);
    mudpt_image_free(NULL);
}

/* Every file that was cut short within its pixels is refused; no change of bytes does harm (the sanitizers watch). */
static void test_damage(void) {
    enum { CHANGES = 1500 };
    static bytes samples[10], extra;
    static uint8_t rgb[H * W * 3], indices[H * W];
    int count = 0;
    fill_noise(rgb, sizeof rgb, 3);
    for (int i = 0; i < H * W; i++) indices[i] = rgb[i] % 4;
    gif_layout g = {W + 3, H + 1, 2, 1, W, H, 1, 1};
    make_png(&samples[count++], W, H, rgb);
    make_bmp(&samples[count++], W, H, rgb);
    make_gif(&samples[count++], &g, rgb, indices);
    put(&samples[count++], progressive_jpeg, sizeof progressive_jpeg);
    put(&samples[count++], half_columns_jpeg, sizeof half_columns_jpeg);
    put(&samples[count++], deflated_png, sizeof deflated_png);
    begin_png(&samples[count], W, H, 8, 3);
    put_chunk(&samples[count], "PLTE", rgb, 12);
    end_png(&samples[count++], indices, H, W);
    jpeg_layout thumbnail = {1, 1, 1, 0, 0, (uint8_t[]){77}, NULL};
    make_jpeg(&file, &thumbnail);
    put_segment(&extra, 0xe1, file.at, file.used);
    for (int restart = 0; restart < 3; restart++) {
        jpeg_layout j = {3, 2, 3, restart == 2, restart, rgb, &extra};
        make_jpeg(&samples[count++], &j);
    }
    for (int s = 0; s < count; s++) {
        mudpt_image *whole = decode(&samples[s], 1);
        CHECK(whole, "sample %d: %s", s, mudpt_last_error());
        if (!whole) continue;
        file = samples[s];
        /* Only the last bytes may be missing: those behind the pixels. Then nothing of them changes. */
        size_t pixels = 3 * (size_t)mudpt_image_width(whole) * (size_t)mudpt_image_height(whole);
        for (file.used = 0; file.used < samples[s].used; file.used++) {
            mudpt_image *image = decode(&file, 1);
            CHECK(!image || (file.used + 20 >= samples[s].used &&
                             memcmp(mudpt_image_rgb(image), mudpt_image_rgb(whole), pixels) == 0),
                  "sample %d: its first %zu of %zu bytes were read", s, file.used, samples[s].used);
            mudpt_image_free(image);
        }
        mudpt_image_free(whole);
        rng r;
        rng_seed(&r, 11, (uint64_t)s);
        for (int i = 0; i < CHANGES; i++) {
            file = samples[s];
            for (uint32_t changes = 1 + rng_below(&r, 4); changes > 0; changes--) {
                uint8_t *at = file.at + rng_below(&r, (uint32_t)file.used);
                *at = rng_below(&r, 2) ? *at ^ (uint8_t)(1 << rng_below(&r, 8)) : (uint8_t)rng_below(&r, 256);
            }
            mudpt_image *image = decode(&file, 1);
            uint8_t view[5 * 5 * 3];
            if (image) mudpt_image_test_view(image, NULL, 5, view);
            mudpt_image_free(image);
        }
    }
}

int main(void) {
    test_png();
    test_real_files();
    test_bmp_and_gif();
    test_jpeg();
    test_orientation();
    test_orientation_types();
    test_refusals();
    test_damage();
    return check_report();
}
