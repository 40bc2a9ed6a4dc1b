/* Golden pictures: the test transform, files that must be refused, and training crops. Part of golden.c, which alone
 * includes it. */
#ifndef GOLDEN_IMAGES_H
#define GOLDEN_IMAGES_H

#include "golden_check.h"

/* How far two pictures [size, size, 3] may be apart, per channel value. */
typedef struct {
    double largest, mean;
} picture_limits;

static int pictures_agree(const uint8_t *got, const uint8_t *want, int size, picture_limits allowed,
                          picture_limits *seen) {
    size_t count = (size_t)size * (size_t)size * 3;
    *seen = (picture_limits){0, 0};
    for (size_t i = 0; i < count; i++) {
        double difference = abs(got[i] - want[i]);
        seen->largest = fmax(seen->largest, difference);
        seen->mean += difference / (double)count;
    }
    return seen->largest <= allowed.largest && seen->mean <= allowed.mean;
}

/* Compares with the PNG folder/file. */
static void compare_picture(outcome *o, const char *what, const uint8_t *got, int size, const char *folder,
                            const char *file, picture_limits allowed) {
    char path[PATH_BYTES];
    int width, height;
    picture_limits seen;
    uint8_t *want = read_png(join(path, folder, file), &width, &height);
    if (!want || width != size || height != size)
        fault(o, "%s: %s is no PNG of %d x %d pixels", what, file, size, size);
    else if (!pictures_agree(got, want, size, allowed, &seen))
        fault(o, "%s: got a picture off by up to %g, %.3g on average, allowed %g, %.3g", what, seen.largest, seen.mean,
              allowed.largest, allowed.mean);
    free(want);
}

static mudpt_image *decode_file(const char *path, int upright) {
    size_t bytes;
    mudpt_image *image = NULL;
    char *file = read_file(path, &bytes);
    if (file && mudpt_image_decode(file, bytes, upright, &image) != MUDPT_OK) image = NULL;
    free(file);
    return image;
}

/* The picture's test view at `size`, or NULL with the fault noted. Free it. */
static uint8_t *test_view(outcome *o, const char *what, const mudpt_image *image, int size) {
    uint8_t *out = need_bytes((size_t)size * (size_t)size * 3);
    if (image && mudpt_image_test_view(image, NULL, size, out) == MUDPT_OK) return out;
    fault(o, "%s: %s", what, mudpt_last_error());
    free(out);
    return NULL;
}

static void check_normalised(outcome *o, const char *folder, const cJSON *json, const cJSON *normalised,
                             const mudpt_image *image) {
    char path[PATH_BYTES];
    int size = number_of(normalised, "size");
    float mean[3], std[3], *got = need_bytes((size_t)size * (size_t)size * 12);
    tensor_file file;
    tensor t;
    for (int c = 0; c < 3; c++) {
        mean[c] = (float)cJSON_GetNumberValue(cJSON_GetArrayItem(json_get(json, "mean"), c));
        std[c] = (float)cJSON_GetNumberValue(cJSON_GetArrayItem(json_get(json, "std"), c));
    }
    int ok = tensor_file_open(&file, join(path, folder, "normalised.safetensors"));
    float *want = ok ? tensor_floats(&file, json_text(normalised, "tensor"), &t) : NULL;
    uint8_t *view = test_view(o, "normalised", image, size);
    if (!want || t.count != (size_t)size * (size_t)size * 3)
        fault(o, "normalised: no tensor %s of the right size in normalised.safetensors",
              json_text(normalised, "tensor"));
    else if (view) {
        mudpt_normalize(view, size, mean, std, got);
        compare(o, "normalised", got, want, t.count, json_number(normalised, "tolerance", 0));
    }
    tensor_file_close(&file);
    free(view);
    free(want);
    free(got);
}

/* One picture file through the test transform. */
static void run_picture(outcome *o, const char *folder, const cJSON *json, const cJSON *item) {
    char path[PATH_BYTES];
    const char *file = json_text(item, "file"), *expected = json_text(item, "expected");
    const char *decoded = json_text(item, "decoded"), *high_byte = json_text(item, "expected_high_byte");
    const char *upright = json_text(item, "expected_upright");
    const cJSON *own = json_get(item, "own_decoder"), *normalised = json_get(item, "normalised");
    int size = number_of(json, "size"), width, height;
    double tolerance = json_number(item, "tolerance", 0);
    picture_limits exact = {tolerance, tolerance}, limits = exact;
    if (own) limits = (picture_limits){json_number(own, "largest", 0), json_number(own, "mean", 0)};

    mudpt_image *image = decode_file(join(path, folder, file), 0);
    if (!image) {
        fault(o, "decoding: %s", mudpt_last_error());
        return;
    }
    if (mudpt_image_width(image) != number_of(item, "width") || mudpt_image_height(image) != number_of(item, "height"))
        fault(o, "size: got %d x %d, %d x %d is right", mudpt_image_width(image), mudpt_image_height(image),
              number_of(item, "width"), number_of(item, "height"));
    uint8_t *view = test_view(o, "test view", image, size);
    if (view) {
        outcome other = {.name = o->name};
        if (*high_byte) /* 16-bit grey: either answer is right */
            compare_picture(&other, "test view", view, size, folder, high_byte, limits);
        if (!*high_byte || other.faults) compare_picture(o, "test view", view, size, folder, expected, limits);
    }
    free(view);

    if (*upright) {
        mudpt_image *turned = decode_file(join(path, folder, file), 1);
        view = test_view(o, "upright view", turned, size);
        if (view) compare_picture(o, "upright view", view, size, folder, upright, limits);
        free(view);
        mudpt_image_free(turned);
    }
    if (*decoded) { /* from another decoder's pixels the way is exact */
        uint8_t *pixels = read_png(join(path, folder, decoded), &width, &height);
        mudpt_image *exactly = NULL;
        if (!pixels || mudpt_image_from_pixels(pixels, width, height, 3, &exactly) != MUDPT_OK)
            fault(o, "decoded: %s", pixels ? mudpt_last_error() : "its PNG cannot be read");
        else {
            mudpt_image_free(image);
            image = exactly;
            view = test_view(o, "view of decoded pixels", image, size);
            if (view) compare_picture(o, "view of decoded pixels", view, size, folder, expected, exact);
            free(view);
        }
        free(pixels);
    }
    if (normalised) check_normalised(o, folder, json, normalised, image);
    mudpt_image_free(image);
}

/* One file that must be refused, or may be. */
static void run_bad_picture(outcome *o, const char *folder, const cJSON *json, const cJSON *item) {
    char path[PATH_BYTES], expected[PATH_BYTES];
    const char *file = json_text(item, "file"), *slash = strrchr(file, '/');
    size_t bytes;
    int size = number_of(json, "size");
    mudpt_image *image = NULL;
    char *data = read_file(join(path, folder, file), &bytes);
    if (!data) {
        fault(o, "cannot read the file");
        return;
    }
    int code = mudpt_image_decode(data, bytes, 0, &image);
    if (code == MUDPT_OK && !strcmp(json_text(item, "expect"), "refuse"))
        fault(o, "got a picture of %d x %d, must be refused", mudpt_image_width(image), mudpt_image_height(image));
    else if (code == MUDPT_OK) {
        uint8_t *view = test_view(o, "test view", image, size);
        join(expected, "expected", slash ? slash + 1 : file);
        if (view) compare_picture(o, "test view", view, size, folder, expected, (picture_limits){0, 0});
        free(view);
    } else if (image || !*mudpt_last_error() || strchr(mudpt_last_error(), '\n'))
        fault(o, "refused with code %d, but without one line of text: \"%s\"", code, mudpt_last_error());
    mudpt_image_free(code == MUDPT_OK ? image : NULL);
    free(data);
}

static void run_preprocess(const char *folder, const char *name, const cJSON *json) {
    char label[PATH_BYTES];
    const cJSON *item;
    cJSON_ArrayForEach(item, json_get(json, "cases")) {
        outcome o = {.name = join(label, name, json_text(item, "file"))};
        run_picture(&o, folder, json, item);
        finish(&o);
    }
    cJSON_ArrayForEach(item, json_get(json, "bad")) {
        outcome o = {.name = join(label, name, json_text(item, "file"))};
        run_bad_picture(&o, folder, json, item);
        finish(&o);
    }
}

static void run_crops(const char *folder, const char *name, const cJSON *json) {
    char path[PATH_BYTES], label[PATH_BYTES];
    const cJSON *item;
    cJSON_ArrayForEach(item, json_get(json, "cases")) {
        outcome o = {.name = join(label, name, json_text(item, "expected"))};
        int size = number_of(item, "size");
        double tolerance = json_number(item, "tolerance", 0);
        uint8_t *view = need_bytes((size_t)size * (size_t)size * 3);
        mudpt_image *image = decode_file(join(path, folder, json_text(item, "image")), 0);
        if (!image ||
            mudpt_image_crop_view(image, number_of(item, "top"), number_of(item, "left"), number_of(item, "height"),
                                  number_of(item, "width"), number_of(item, "flip"), size, view) != MUDPT_OK)
            fault(&o, "%s: %s", json_text(item, "image"), mudpt_last_error());
        else
            compare_picture(&o, "crop", view, size, folder, json_text(item, "expected"),
                            (picture_limits){tolerance, tolerance});
        mudpt_image_free(image);
        free(view);
        finish(&o);
    }
}

#endif
