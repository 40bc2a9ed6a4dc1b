/* Pictures from anywhere: the input is the file. Whatever decodes is shown in every view. */
#include "input.h"

/* Larger ones cost the fuzzer's time and nothing else: their size is refused or allocated in one place. */
enum { MOST_PIXELS = 1 << 17, VIEW = 24 };

static void show(const mudpt_image *image, unsigned seed) {
    static const float mean[3] = {0.5f, 0.5f, 0.5f}, std[3] = {0.25f, 0.25f, 0.25f};
    static uint8_t view[3 * VIEW * VIEW];
    static float pixels[3 * VIEW * VIEW];
    int width = mudpt_image_width(image), height = mudpt_image_height(image), size = 1 + (int)(seed % VIEW);
    if (width < 1 || width > MUDPT_MAX_IMAGE_SIDE || height < 1 || height > MUDPT_MAX_IMAGE_SIDE) abort();
    /* Every pixel is there. */
    const uint8_t *rgb = mudpt_image_rgb(image);
    unsigned sum = 0;
    for (size_t i = 0; i < 3 * (size_t)width * (size_t)height; i++) sum += rgb[i];
    volatile unsigned seen = sum;
    (void)seen;
    if (answer(mudpt_image_test_view(image, NULL, size, view))) abort();
    mudpt_normalize(view, size, mean, std, pixels);
    int top = (int)(seed >> 4) % height, left = (int)(seed >> 8) % width;
    if (answer(mudpt_image_crop_view(image, top, left, height - top, width - left, seed >> 12 & 1, size, view)))
        abort();
    if (answer(mudpt_image_crop_view(image, top, left, height - top + 1, 1, 0, size, view)) != MUDPT_ARGUMENT) abort();
}

/* The sizes that a file's header claims, as far as the formats have them at a fixed place. */
static int is_large(const uint8_t *file, size_t bytes) {
    uint64_t width = 0, height = 0;
    if (bytes > 24 && file[0] == 0x89) {
        width = (uint64_t)file[16] << 24 | file[17] << 16 | file[18] << 8 | file[19];
        height = (uint64_t)file[20] << 24 | file[21] << 16 | file[22] << 8 | file[23];
    } else if (bytes > 10 && file[0] == 'G') {
        width = file[6] | file[7] << 8;
        height = file[8] | file[9] << 8;
    }
    return width <= MUDPT_MAX_IMAGE_SIDE && height <= MUDPT_MAX_IMAGE_SIDE && width * height > MOST_PIXELS &&
           width * height <= MUDPT_MAX_IMAGE_PIXELS;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mudpt_image *image = NULL;
    unsigned seed = 0;
    if (is_large(data, size)) return 0;
    for (size_t i = 0; i < size; i++) seed = seed * 31 + data[i];
    if (answer(mudpt_image_decode(data, size, seed >> 16 & 3, &image)) == MUDPT_OK) {
        if ((int64_t)mudpt_image_width(image) * mudpt_image_height(image) <= MOST_PIXELS) show(image, seed);
    } else if (image) {
        abort();
    }
    mudpt_image_free(image);
    return 0;
}
