/* Views of pictures: resizing against a plain twin, boxes, normalising, and the random boxes of training. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "check.h"
#include "image/image.h"
#include "mudpt.h"

static double cubic(double x) {
    x = fabs(x);
    return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? -0.5 * (((x - 5) * x + 8) * x - 4) : 0;
}

static double linear(double x) {
    return fmax(1 - fabs(x), 0);
}

static double sinc(double x) {
    return x == 0 ? 1 : sin(3.14159265358979323846 * x) / (3.14159265358979323846 * x);
}

static double lanczos(double x) {
    return fabs(x) < 3 ? sinc(x) * sinc(x / 3) : 0;
}

static double box(double x) {
    return -0.5 < x && x <= 0.5;
}

static double hamming(double x) {
    return fabs(x) < 1 ? sinc(x) * (0.54 + 0.46 * cos(3.14159265358979323846 * x)) : 0;
}

/* By MUDPT_BICUBIC ... MUDPT_HAMMING. */
static const struct {
    double (*weight)(double);
    double support;
} filters[] = {{cubic, 2}, {linear, 1}, {lanczos, 3}, {box, 0.5}, {hamming, 1}};

/* One axis, as plainly as can be: from [lines, length, 3] -> to [lines, count, 3], lines and pixels `step`s apart. */
static void naive_axis(const uint8_t *from, int length, uint8_t *to, int count, int lines, int line_from, int step_from,
                       int line_to, int step_to, int filter) {
    double scale = (double)length / count, stretch = scale > 1 ? scale : 1, shrink = 1 / stretch;
    double reach = filters[filter].support * stretch, (*weight)(double) = filters[filter].weight;
    for (int i = 0; i < count; i++) {
        double centre = (i + 0.5) * scale, total = 0;
        int first = (int)fmax(floor(centre - reach + 0.5), 0), end = (int)fmin(floor(centre + reach + 0.5), length);
        for (int k = first; k < end; k++) total += weight((k - centre + 0.5) * shrink);
        for (int line = 0; line < lines; line++)
            for (int c = 0; c < 3; c++) {
                int64_t sum = 1 << 21;
                for (int k = first; k < end; k++)
                    sum += from[3 * (line * line_from + k * step_from) + c] *
                           llround(weight((k - centre + 0.5) * shrink) / total * (1 << 22));
                sum >>= 22;
                to[3 * (line * line_to + i * step_to) + c] = (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
            }
    }
}

/* Rows first; columns first where the height loses more than twice what the width loses, as Pillow does since 13. */
static uint8_t *naive_resize(const uint8_t *rgb, int w, int h, int to_w, int to_h, int filter) {
    int swapped = h > to_h && h - to_h > 2 * (w - to_w);
    uint8_t *between = malloc((size_t)(swapped ? w * to_h : to_w * h) * 3), *out = malloc((size_t)(to_w * to_h) * 3);
    if (swapped) {
        naive_axis(rgb, h, between, to_h, w, 1, w, 1, w, filter);
        naive_axis(between, w, out, to_w, to_h, w, 1, to_w, 1, filter);
    } else {
        naive_axis(rgb, w, between, to_w, h, w, 1, to_w, 1, filter);
        naive_axis(between, h, out, to_h, to_w, 1, to_w, 1, to_w, filter);
    }
    free(between);
    return out;
}

static mudpt_image *noise_image(int w, int h, uint64_t seed) {
    uint8_t *rgb = malloc((size_t)(w * h) * 3);
    rng r;
    rng_seed(&r, seed, 0);
    for (int i = 0; i < w * h * 3; i++) rgb[i] = (uint8_t)rng_below(&r, 256);
    mudpt_image *image = NULL;
    mudpt_image_from_pixels(rgb, w, h, 3, &image);
    free(rgb);
    return image;
}

static void test_views(void) {
    static const int cases[][3] = {{1, 1, 1},   {1, 1, 9},    {2, 1, 5},    {3, 7, 1},    {5, 5, 5},
                                   {17, 11, 7}, {11, 17, 23}, {40, 41, 40}, {97, 31, 16}, {31, 97, 33},
                                   {2, 90, 6},  {90, 2, 7},   {64, 64, 63}, {200, 3, 12}, {13, 150, 50}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int w = cases[i][0], h = cases[i][1], size = cases[i][2];
        mudpt_image *image = noise_image(w, h, i);
        uint8_t *view = malloc((size_t)(size * size) * 3), *mirrored = malloc((size_t)(size * size) * 3);
        int to_w = w <= h ? size : size * w / h, to_h = w <= h ? size * h / w : size;
        int left = (int)nearbyint((to_w - size) / 2.0), top = (int)nearbyint((to_h - size) / 2.0), wrong = 0;
        uint8_t *want = naive_resize(mudpt_image_rgb(image), w, h, to_w, to_h, MUDPT_BICUBIC);
        CHECK(mudpt_image_test_view(image, NULL, size, view) == MUDPT_OK, "%s", mudpt_last_error());
        for (int y = 0; y < size; y++)
            wrong += memcmp(view + 3 * y * size, want + 3 * ((top + y) * to_w + left), 3 * (size_t)size) != 0;
        CHECK(wrong == 0, "%d x %d -> %d: %d rows differ from the twin's", w, h, size, wrong);
        free(want);

        /* A box of it: equal to the view of a picture that has nothing else. */
        int box_w = 1 + (int)(i * 7) % w, box_h = 1 + (int)(i * 5) % h, box_left = (w - box_w) / 2, box_top = h - box_h;
        uint8_t *cut = malloc((size_t)(box_w * box_h) * 3);
        for (int y = 0; y < box_h; y++)
            memcpy(cut + 3 * y * box_w, mudpt_image_rgb(image) + 3 * ((box_top + y) * w + box_left), 3 * (size_t)box_w);
        want = naive_resize(cut, box_w, box_h, size, size, MUDPT_BICUBIC);
        free(cut);
        CHECK(mudpt_image_crop_view(image, box_top, box_left, box_h, box_w, 0, size, view) == MUDPT_OK, "%s",
              mudpt_last_error());
        CHECK(memcmp(view, want, (size_t)(size * size) * 3) == 0, "box %d x %d -> %d differs from the twin", box_w,
              box_h, size);
        mudpt_image_crop_view(image, box_top, box_left, box_h, box_w, 1, size, mirrored);
        wrong = 0;
        for (int k = 0; k < size * size; k++)
            wrong += memcmp(mirrored + 3 * k, view + 3 * (k / size * size + size - 1 - k % size), 3) != 0;
        CHECK(wrong == 0, "box %d x %d -> %d: %d pixels are not mirrored", box_w, box_h, size, wrong);
        free(want);

        const int outside[][4] = {{-1, 0, 1, 1},        {0, -1, 1, 1},        {0, 0, h + 1, 1}, {0, 0, 1, w + 1},
                                  {h, 0, 1, 1},         {0, w, 1, 1},         {0, 0, 0, 1},     {0, 0, 1, 0},
                                  {1, 0, INT32_MAX, 1}, {0, INT32_MAX, 1, 1}, {0, 0, -5, 1}};
        for (size_t k = 0; k < sizeof outside / sizeof *outside; k++)
            CHECK(mudpt_image_crop_view(image, outside[k][0], outside[k][1], outside[k][2], outside[k][3], 0, size,
                                        view) == MUDPT_ARGUMENT,
                  "a box outside of %d x %d: %zu", w, h, k);
        mudpt_image_free(image);
        free(view);
        free(mirrored);
    }
}

/* Every way to fit, with every filter: the twin's pixels, in the middle, and the border's colour around them. */
static void test_transforms(void) {
    static const struct {
        int w, h, size;
        mudpt_transform t;
        int to_w, to_h, left, top;
    } cases[] = {
        {37, 23, 16, {.fit = MUDPT_FIT_SHORTEST}, 25, 16, 4, 0},
        {43, 16, 16, {.fit = MUDPT_FIT_SHORTEST}, 43, 16, 14, 0}, /* 13.5 to the even number */
        {43, 16, 16, {.fit = MUDPT_FIT_SHORTEST, .crop_down = 1}, 43, 16, 13, 0},
        {37, 23, 16, {.fit = MUDPT_FIT_SHORTEST, .height = 20}, 32, 20, 8, 2},
        {37, 23, 20, {.fit = MUDPT_FIT_SHORTEST, .height = 9, .fill = {1, 2, 3}}, 14, 9, -3, -5},
        {37, 23, 16, {.fit = MUDPT_FIT_LONGEST, .fill = {9, 80, 200}}, 16, 10, 0, -3},
        {21, 64, 32, {.fit = MUDPT_FIT_LONGEST}, 10, 32, -11, 0}, /* 10.5 to the even number */
        {1, 300, 16, {.fit = MUDPT_FIT_LONGEST}, 1, 16, -7, 0},
        {37, 23, 16, {.fit = MUDPT_FIT_EXACT}, 16, 16, 0, 0},
        {37, 23, 16, {.fit = MUDPT_FIT_EXACT, .height = 19, .width = 30}, 30, 19, 7, 2}, /* 1.5 */
        {37, 23, 16, {.fit = MUDPT_FIT_EXACT, .height = 19, .width = 30, .crop_down = 1}, 30, 19, 7, 1},
        {37, 23, 30, {.fit = MUDPT_FIT_NONE, .fill = {255, 0, 7}}, 37, 23, 4, -3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int filter = 0; filter <= MUDPT_NEAREST; filter++) {
            int w = cases[i].w, h = cases[i].h, size = cases[i].size, to_w = cases[i].to_w, to_h = cases[i].to_h;
            mudpt_transform t = cases[i].t;
            t.filter = filter;
            mudpt_image *image = noise_image(w, h, i);
            const uint8_t *rgb = mudpt_image_rgb(image);
            uint8_t *view = malloc((size_t)(size * size) * 3), *want;
            if (filter == MUDPT_NEAREST) {
                want = malloc((size_t)(to_w * to_h) * 3);
                for (int k = 0; k < to_w * to_h; k++)
                    memcpy(want + 3 * k,
                           rgb +
                               3 * ((2 * (k / to_w) + 1) * h / (2 * to_h) * w + (2 * (k % to_w) + 1) * w / (2 * to_w)),
                           3);
            } else {
                want = naive_resize(rgb, w, h, to_w, to_h, filter);
            }
            CHECK(mudpt_image_test_view(image, &t, size, view) == MUDPT_OK, "%s", mudpt_last_error());
            int wrong = 0;
            for (int k = 0; k < size * size; k++) {
                int x = k % size + cases[i].left, y = k / size + cases[i].top;
                const uint8_t fill[3] = {(uint8_t)t.fill[0], (uint8_t)t.fill[1], (uint8_t)t.fill[2]};
                int inside = x >= 0 && x < to_w && y >= 0 && y < to_h;
                wrong += memcmp(view + 3 * k, inside ? want + 3 * (y * to_w + x) : fill, 3) != 0;
            }
            CHECK(wrong == 0, "case %zu, filter %d: %d pixels differ from the twin's", i, filter, wrong);
            mudpt_image_free(image);
            free(view);
            free(want);
        }
    }
    mudpt_image *image = noise_image(5, 5, 1);
    static const mudpt_transform bad[] = {
        {.fit = 4},       {.fit = -1},      {.filter = 6},         {.height = -1},
        {.width = 40000}, {.crop_down = 2}, {.fill = {0, 256, 0}}, {.fill = {0, 0, -1}}};
    uint8_t view[5 * 5 * 3];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(mudpt_image_test_view(image, &bad[i], 5, view) == MUDPT_ARGUMENT, "transform %zu was taken", i);
    mudpt_image_free(image);
}

static void test_large_views(void) {
    /* Nothing changes a picture of one colour, and sizes that call for a huge resized picture are no trouble. */
    static const int cases[][3] = {{1, 32768, 224}, {32768, 1, 224}, {32768, 2, 1},
                                   {3, 20000, 31},  {300, 200, 224}, {1, 1, 500}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int w = cases[i][0], h = cases[i][1], size = cases[i][2], wrong = 0;
        uint8_t *grey = malloc((size_t)(w * h)), *view = malloc((size_t)(size * size) * 3);
        memset(grey, 137, (size_t)(w * h));
        mudpt_image *image = NULL;
        mudpt_image_from_pixels(grey, w, h, 1, &image);
        CHECK(mudpt_image_test_view(image, NULL, size, view) == MUDPT_OK, "%s", mudpt_last_error());
        for (int k = 0; k < size * size * 3; k++) wrong += view[k] != 137;
        CHECK(mudpt_image_crop_view(image, 0, 0, h, w, 1, size, view) == MUDPT_OK, "%s", mudpt_last_error());
        for (int k = 0; k < size * size * 3; k++) wrong += view[k] != 137;
        CHECK(wrong == 0, "%d x %d -> %d: one colour became others", w, h, size);
        mudpt_image_free(image);
        free(grey);
        free(view);
    }
    mudpt_image *image = noise_image(45, 45, 9);
    static uint8_t view[45 * 45 * 3];
    mudpt_image_test_view(image, NULL, 45, view);
    CHECK(memcmp(view, mudpt_image_rgb(image), sizeof view) == 0, "a picture that has the size already was changed");
    mudpt_image_free(image);
}

static void test_normalize(void) {
    static const float mean[3] = {0.5f, 0.25f, 0.125f}, std[3] = {0.25f, 0.5f, 2};
    const uint8_t rgb[12] = {0, 255, 51, 255, 0, 102, 128, 1, 204, 3, 77, 255};
    float out[12];
    mudpt_normalize(rgb, 2, mean, std, out);
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 4; i++)
            CHECK_CLOSE(out[4 * c + i], (rgb[3 * i + c] / 255.0 - mean[c]) / std[c], 1e-6, "normalised");
}

/* ------------------------------------------------------------------------------------------------ random boxes */

static void test_boxes(void) {
    enum { COUNT = 20000, WIDTH = 401, HEIGHT = 299 };
    rng r, again;
    rng_seed(&r, 5, 1);
    rng_seed(&again, 5, 1);
    double mean_area = 0, smallest = 1, largest = 0, lowest = 10, highest = 0, flips = 0, tops = 0, lefts = 0;
    int outside = 0, differ = 0;
    for (int i = 0; i < COUNT; i++) {
        image_box b = image_random_box(WIDTH, HEIGHT, 0.08f, &r), same = image_random_box(WIDTH, HEIGHT, 0.08f, &again);
        differ += memcmp(&b, &same, sizeof b) != 0;
        outside += b.top < 0 || b.left < 0 || b.height < 1 || b.width < 1 || b.top + b.height > HEIGHT ||
                   b.left + b.width > WIDTH;
        double area = (double)b.width * b.height / (WIDTH * HEIGHT), ratio = (double)b.width / b.height;
        mean_area += area / COUNT;
        smallest = fmin(smallest, area);
        largest = fmax(largest, area);
        lowest = fmin(lowest, ratio);
        highest = fmax(highest, ratio);
        flips += (double)b.flip / COUNT;
        if (b.height < HEIGHT) tops += ((double)b.top / (HEIGHT - b.height) - 0.5) / COUNT;
        if (b.width < WIDTH) lefts += ((double)b.left / (WIDTH - b.width) - 0.5) / COUNT;
    }
    CHECK(differ == 0, "one seed gave %d different boxes", differ);
    CHECK(outside == 0, "%d boxes are not inside", outside);
    CHECK(smallest > 0.078 && smallest < 0.085 && largest > 0.95 && largest <= 1, "areas from %g to %g", smallest,
          largest);
    CHECK(lowest > 0.73 && lowest < 0.76 && highest < 1.36 && highest > 1.32, "ratios from %g to %g", lowest, highest);
    CHECK_CLOSE(flips, 0.5, 0.015, "mirror images");
    CHECK_CLOSE(tops, 0, 0.015, "boxes lie high or low");
    CHECK_CLOSE(lefts, 0, 0.015, "boxes lie left or right");
    /* torchvision's mean area for this size and range: the largest boxes of a wide or tall ratio do not fit. */
    CHECK_CLOSE(mean_area, 0.431, 0.01, "mean area");

    /* Wide boxes are as frequent as tall ones. */
    double mean_ratio = 0;
    for (int i = 0; i < COUNT; i++) {
        image_box b = image_random_box(300, 300, 0.08f, &r);
        mean_ratio += log((double)b.width / b.height) / COUNT;
    }
    CHECK_CLOSE(mean_ratio, 0, 0.006, "mean of the ratio's logarithm");

    rng_seed(&r, 6, 1);
    differ = 0;
    for (int i = 0; i < 50; i++) {
        image_box b = image_random_box(WIDTH, HEIGHT, 0.08f, &r),
                  other = image_random_box(WIDTH, HEIGHT, 0.08f, &again);
        differ += b.width != other.width || b.left != other.left;
    }
    CHECK(differ > 45, "another seed gave the same boxes");

    /* Where no box fits, the largest one in the middle. */
    image_box wide = image_random_box(1000, 30, 1, &r), tall = image_random_box(30, 1000, 1, &r),
              dot = image_random_box(1, 1, 0.08f, &r);
    CHECK(wide.width == 40 && wide.height == 30 && wide.left == 480 && wide.top == 0, "box of a wide picture");
    CHECK(tall.width == 30 && tall.height == 40 && tall.left == 0 && tall.top == 480, "box of a tall picture");
    CHECK(dot.width == 1 && dot.height == 1 && dot.left == 0 && dot.top == 0, "box of one pixel");
}

int main(void) {
    test_views();
    test_transforms();
    test_large_views();
    test_normalize();
    test_boxes();
    return check_report();
}
