/* Resizing with antialiasing, bit for bit as PIL does it with each of its filters, and the two views of a picture that
 * a model is shown.
 *
 * PIL resizes along rows, rounds to 8 bits, then along columns; since version 13 the other way round where the height
 * shrinks by more than twice what the width shrinks, which the rounding shows. Weights have 22 fractional bits. Only
 * what the view needs is computed: output rows one after the other from top to bottom, each from a ring of source rows,
 * which rows first means resized already. So memory is that of a few rows, whatever the sizes.
 */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/series.h"
#include "base/simd.h"
#include "base/rarely.h"
#include "image.h"

enum {
    FRACTION = 22,
    HALF = 1 << (FRACTION - 1),
    GROUP = 4, /* weights of a row that are taken at once */
    STRIP = 16 /* bytes of a row that are summed side by side */
};

#define PI 3.14159265358979323846 /* math.h's is no part of C */

/* How `count` outputs are made from one axis of the source: output i is the sum over k < length[i] of weight k of
 * output i times source first[i] + k. Each weight is stored `repeat` times; behind length[i] they are 0. */
typedef struct {
    int count, repeat, room;
    int *first, *length; /* [count] */
    int32_t *weight;     /* [count, room, repeat] */
    double *exact;       /* [room], scratch */
} axis;

/* A view: the box of the source is resized to width x height, of which columns x rows at left, top are wanted. */
typedef struct {
    const uint8_t *source; /* the box's first pixel */
    size_t stride;         /* bytes from row to row */
    int source_width, source_height, width, height, left, top, columns, rows, flip, filter;
} view;

/* ------------------------------------------------------------------------------------------------ filters */

RARELY static double cubic(double x) {
    const double a = -0.5;
    if (x < 0) x = -x;
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

RARELY static double linear(double x) {
    if (x < 0) x = -x;
    return x < 1 ? 1 - x : 0;
}

RARELY static double box(double x) {
    return x > -0.5 && x <= 0.5 ? 1 : 0;
}

RARELY static double sinc(double x) {
    return x == 0 ? 1 : series_sine(x) / (PI * x);
}

RARELY static double hamming(double x) {
    if (x < 0) x = -x;
    return x < 1 ? sinc(x) * (0.54 + 0.46 * series_sine(x + 0.5)) : 0;
}

RARELY static double lanczos(double x) {
    return -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

/* By MUDPT_BICUBIC ...; the nearest pixel's is its one weight. */
static const struct {
    double (*weight)(double x);
    double support;
} filters[] = {{cubic, 2}, {linear, 1}, {lanczos, 3}, {box, 0.5}, {hamming, 1}, {NULL, 0.5}};

/* ------------------------------------------------------------------------------------------------ axes */

RARELY static double stretch_of(int from, int to) {
    double scale = (double)from / to;
    return scale > 1 ? scale : 1;
}

RARELY static void axis_open(axis *x, arena *a, int from, int to, int count, int repeat, int filter) {
    x->count = count;
    x->repeat = repeat;
    x->room = (int)ceil(filters[filter].support * stretch_of(from, to)) * 2 + 1;
    x->room += -x->room & (GROUP - 1);
    x->exact = arena_take(a, (size_t)x->room * sizeof(double));
    x->first = arena_take(a, (size_t)count * sizeof(int));
    x->length = arena_take(a, (size_t)count * sizeof(int));
    x->weight = arena_take(a, (size_t)count * (size_t)x->room * (size_t)repeat * sizeof(int32_t));
}

/* The same for the nearest pixel. PIL adds up where it is, rather than multiply, which the last bit may show. */
RARELY static void axis_nearest(axis *x, int from, int to, int start) {
    double scale = (double)from / to, at = scale * 0.5;
    for (int i = -start; i < x->count; i++, at += scale) {
        if (i < 0) continue;
        x->first[i] = at < from ? (int)at : from - 1;
        x->length[i] = 1;
        int32_t *weights = x->weight + (size_t)i * (size_t)x->room * (size_t)x->repeat;
        for (int c = 0; c < x->repeat; c++) weights[c] = 1 << FRACTION;
    }
}

/* Outputs start ... start + count - 1 of resizing `from` to `to` values. Where both are equal the weights come out as 1
 * and 0, so that nothing changes. */
RARELY static void axis_fill(axis *x, int from, int to, int start, int filter) {
    double (*weight_at)(double) = filters[filter].weight;
    if (!weight_at) {
        axis_nearest(x, from, to, start);
        return;
    }
    double scale = (double)from / to, stretch = stretch_of(from, to), reach = filters[filter].support * stretch;
    double shrink = 1 / stretch;
    for (int i = 0; i < x->count; i++) {
        double centre = (start + i + 0.5) * scale, sum = 0;
        int first = (int)(centre - reach + 0.5), last = (int)(centre + reach + 0.5);
        if (first < 0) first = 0;
        if (last > from) last = from;
        for (int k = 0; k < last - first; k++) sum += x->exact[k] = weight_at((k + first - centre + 0.5) * shrink);
        int32_t *weights = x->weight + (size_t)i * (size_t)x->room * (size_t)x->repeat;
        for (int k = 0; k < last - first; k++) {
            double weight = x->exact[k] / sum * (1 << FRACTION);
            for (int c = 0; c < x->repeat; c++) *weights++ = (int32_t)(weight < 0 ? weight - 0.5 : weight + 0.5);
        }
        x->first[i] = first;
        x->length[i] = last - first;
    }
}

static uint8_t to_byte(int32_t sum) {
    sum >>= FRACTION;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* row: a row of the source, readable for 2 GROUP pixels beyond its end; out [count, 3], from right to left if flip */
ONCE static void resize_row(const axis *x, const uint8_t *row, int flip, uint8_t *out) {
    if (flip) out += 3 * (size_t)(x->count - 1);
    for (int i = 0; i < x->count; i++, out += flip ? -3 : 3) {
        const uint8_t *pixel = row + 3 * (size_t)x->first[i];
        const int32_t *weight = x->weight + (size_t)i * (size_t)x->room * 3;
        /* Lanes of the three sums: R G B R, G B R G, B R G B. */
        v128_t a = wasm_i32x4_splat(0), b = a, c = a;
        for (int k = 0; k < x->length[i]; k += GROUP, pixel += 3 * GROUP, weight += 3 * GROUP) {
            v128_t bytes = wasm_v128_load(pixel);
            v128_t low = wasm_u16x8_extend_low_u8x16(bytes), high = wasm_u16x8_extend_high_u8x16(bytes);
            a = wasm_i32x4_add(a, wasm_i32x4_mul(wasm_u32x4_extend_low_u16x8(low), wasm_v128_load(weight)));
            b = wasm_i32x4_add(b, wasm_i32x4_mul(wasm_u32x4_extend_high_u16x8(low), wasm_v128_load(weight + 4)));
            c = wasm_i32x4_add(c, wasm_i32x4_mul(wasm_u32x4_extend_low_u16x8(high), wasm_v128_load(weight + 8)));
        }
        int32_t sum[3 * GROUP];
        wasm_v128_store(sum, a);
        wasm_v128_store(sum + 4, b);
        wasm_v128_store(sum + 8, c);
        for (int k = 0; k < 3; k++) out[k] = to_byte(HALF + sum[k] + sum[k + 3] + sum[k + 6] + sum[k + 9]);
    }
}

/* out [bytes]: the sum of rows, each times its weight. rows [count]: pointers to [bytes]; these and out have room for
 * STRIP bytes more */
ONCE static void blend_rows(const uint8_t *const *rows, const int32_t *weight, int count, size_t bytes, uint8_t *out) {
    for (size_t at = 0; at < bytes; at += STRIP) {
        v128_t a = wasm_i32x4_splat(HALF), b = a, c = a, d = a;
        for (int k = 0; k < count; k++) {
            v128_t strip = wasm_v128_load(rows[k] + at), factor = wasm_i32x4_splat(weight[k]);
            v128_t low = wasm_u16x8_extend_low_u8x16(strip), high = wasm_u16x8_extend_high_u8x16(strip);
            a = wasm_i32x4_add(a, wasm_i32x4_mul(wasm_u32x4_extend_low_u16x8(low), factor));
            b = wasm_i32x4_add(b, wasm_i32x4_mul(wasm_u32x4_extend_high_u16x8(low), factor));
            c = wasm_i32x4_add(c, wasm_i32x4_mul(wasm_u32x4_extend_low_u16x8(high), factor));
            d = wasm_i32x4_add(d, wasm_i32x4_mul(wasm_u32x4_extend_high_u16x8(high), factor));
        }
        v128_t low = wasm_i16x8_narrow_i32x4(wasm_i32x4_shr(a, FRACTION), wasm_i32x4_shr(b, FRACTION));
        v128_t high = wasm_i16x8_narrow_i32x4(wasm_i32x4_shr(c, FRACTION), wasm_i32x4_shr(d, FRACTION));
        wasm_v128_store(out + at, wasm_u8x16_narrow_i16x8(low, high));
    }
}

/* PIL's choice; in doubt rows come first. */
RARELY static int columns_first(const view *v) {
    int less_height = v->source_height - v->height, less_width = v->source_width - v->width;
    return less_height > 0 && less_height > 2 * less_width;
}

/* out: rows that lie out_stride bytes apart */
RARELY static int compute(const view *v, uint8_t *out, size_t out_stride) {
    size_t bytes = 3 * (size_t)v->columns, source_bytes = 3 * (size_t)v->source_width;
    int swapped = columns_first(v);
    size_t slot_bytes = (swapped ? source_bytes : bytes) + STRIP;
    axis across, down;
    uint8_t *ring = NULL, *row = NULL, *blended = NULL;
    const uint8_t **rows = NULL;
    arena a = {0};
    for (int open = 0; open < 2; open++) {
        if (open && arena_open(&a, "resizing a picture") != MUDPT_OK) return MUDPT_MEMORY;
        axis_open(&across, &a, v->source_width, v->width, v->columns, 3, v->filter);
        axis_open(&down, &a, v->source_height, v->height, v->rows, 1, v->filter);
        row = arena_take(&a, source_bytes + 3 * 2 * GROUP);
        ring = arena_take(&a, (size_t)down.room * slot_bytes);
        rows = arena_take(&a, (size_t)down.room * sizeof *rows);
        blended = arena_take(&a, slot_bytes + 3 * 2 * GROUP);
    }
    axis_fill(&across, v->source_width, v->width, v->left, v->filter);
    axis_fill(&down, v->source_height, v->height, v->top, v->filter);
    /* Sums run a few pixels beyond the row's end, with weights 0: so they get a copy of what they need. */
    size_t needed = 3 * (size_t)across.first[0];
    size_t needed_bytes = 3 * (size_t)(across.first[v->columns - 1] + across.length[v->columns - 1]) - needed;
    int ready = down.first[0]; /* source rows before this one are in the ring, or no longer needed */
    for (int y = 0; y < v->rows; y++, out += out_stride) {
        int first = down.first[y], end = first + down.length[y];
        for (; ready < end; ready++) {
            uint8_t *slot = ring + (size_t)(ready % down.room) * slot_bytes;
            const uint8_t *source = v->source + (size_t)ready * v->stride + needed;
            memcpy((swapped ? slot : row) + needed, source, needed_bytes);
            if (!swapped) resize_row(&across, row, v->flip, slot);
        }
        for (int k = first; k < end; k++)
            rows[k - first] = ring + (size_t)(k % down.room) * slot_bytes + (swapped ? needed : 0);
        const int32_t *weight = down.weight + (size_t)y * (size_t)down.room;
        blend_rows(rows, weight, end - first, swapped ? needed_bytes : bytes, blended + (swapped ? needed : 0));
        if (swapped) resize_row(&across, blended, v->flip, out);
        else memcpy(out, blended, bytes);
    }
    arena_close(&a);
    return MUDPT_OK;
}

RARELY static int check_view(const mudpt_image *image, int size, const uint8_t *out) {
    if (!image || !out) return fail(MUDPT_ARGUMENT, "a view needs a picture and a place for the result");
    if (size < 1 || size > MUDPT_MAX_IMAGE_SIDE)
        return fail(MUDPT_ARGUMENT, "the size of a view must be 1 to %d, not %d", MUDPT_MAX_IMAGE_SIDE, size);
    return MUDPT_OK;
}

/* Where a window of `size` in the middle of `length` begins: below 0 where it is longer. A half is rounded to the even
 * number, as torchvision does, or down. */
RARELY static int middle(int length, int size, int down) {
    int spare = length - size;
    return spare / 2 + (!down && spare > 0 && spare % 2 && spare / 2 % 2);
}

RARELY static int long_side(int edge, int side, int other) {
    return (int)((int64_t)edge * side / other);
}

/* timm's and open_clip's rounding, in its steps. */
RARELY static int kept_ratio(int side, double ratio) {
    int length = (int)nearbyint(side / ratio);
    return length < 1 ? 1 : length;
}

RARELY static void fit(view *v, const mudpt_transform *t, int size) {
    int w = v->source_width, h = v->source_height, edge = t->height ? t->height : size;
    v->width = w;
    v->height = h;
    if (t->fit == MUDPT_FIT_SHORTEST) {
        v->width = w <= h ? edge : long_side(edge, w, h);
        v->height = w <= h ? long_side(edge, h, w) : edge;
    } else if (t->fit == MUDPT_FIT_LONGEST) {
        double across = (double)w / edge, down = (double)h / edge, ratio = across > down ? across : down;
        v->width = kept_ratio(w, ratio);
        v->height = kept_ratio(h, ratio);
    } else if (t->fit == MUDPT_FIT_EXACT) {
        v->width = t->width ? t->width : edge;
        v->height = edge;
    }
}

RARELY int image_check_transform(const mudpt_transform *t) {
    static const struct {
        const char *name;
        size_t at;
        int most;
    } table[] = {
        {"way to fit a picture", offsetof(mudpt_transform, fit), MUDPT_FIT_NONE},
        {"height", offsetof(mudpt_transform, height), MUDPT_MAX_IMAGE_SIDE},
        {"width", offsetof(mudpt_transform, width), MUDPT_MAX_IMAGE_SIDE},
        {"filter", offsetof(mudpt_transform, filter), MUDPT_NEAREST},
        {"rounding of the crop", offsetof(mudpt_transform, crop_down), 1},
        {"red of the border", offsetof(mudpt_transform, fill), 255},
        {"green of the border", offsetof(mudpt_transform, fill) + 4, 255},
        {"blue of the border", offsetof(mudpt_transform, fill) + 8, 255},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        int32_t value;
        memcpy(&value, (const char *)t + table[i].at, sizeof value);
        if (value < 0 || value > table[i].most)
            return fail(MUDPT_ARGUMENT, "the %s of pictures is %d; expected 0 to %d", table[i].name, value,
                        table[i].most);
    }
    return MUDPT_OK;
}

RARELY int mudpt_image_test_view(const mudpt_image *image, const mudpt_transform *transform, int size, uint8_t *out) {
    static const mudpt_transform clip;
    const mudpt_transform *t = transform ? transform : &clip;
    int status = check_view(image, size, out);
    if (status == MUDPT_OK) status = image_check_transform(t);
    if (status != MUDPT_OK) return status;
    view v = {.source = image->rgb,
              .stride = 3 * (size_t)image->width,
              .source_width = image->width,
              .source_height = image->height,
              .filter = t->filter};
    fit(&v, t, size);
    int left = middle(v.width, size, t->crop_down), top = middle(v.height, size, t->crop_down);
    v.left = left > 0 ? left : 0;
    v.top = top > 0 ? top : 0;
    v.columns = v.width < size ? v.width : size;
    v.rows = v.height < size ? v.height : size;
    size_t stride = 3 * (size_t)size;
    uint8_t *first = out;
    if (v.columns < size || v.rows < size) {
        for (size_t i = 0; i < (size_t)size * stride; i++) out[i] = (uint8_t)t->fill[i % 3];
        first += (size_t)(v.top - top) * stride + 3 * (size_t)(v.left - left);
    }
    return compute(&v, first, stride);
}

RARELY int mudpt_image_crop_view(const mudpt_image *image, int top, int left, int height, int width, int flip, int size,
                                 uint8_t *out) {
    int status = check_view(image, size, out);
    if (status != MUDPT_OK) return status;
    int w = image->width, h = image->height;
    if (top < 0 || left < 0 || height < 1 || width < 1 || top > h - height || left > w - width)
        return fail(MUDPT_ARGUMENT, "a box of %d x %d pixels at row %d, column %d reaches beyond a picture of %d x %d",
                    width, height, top, left, w, h);
    view v = {.source = image->rgb + 3 * ((size_t)top * (size_t)w + (size_t)left),
              .stride = 3 * (size_t)w,
              .source_width = width,
              .source_height = height,
              .width = size,
              .height = size,
              .columns = size,
              .rows = size,
              .flip = flip};
    return compute(&v, out, 3 * (size_t)size);
}

RARELY void mudpt_normalize(const uint8_t *rgb, int size, const float mean[3], const float std[3], float *out) {
    size_t pixels = (size_t)size * (size_t)size;
    for (int c = 0; c < 3; c++) {
        float values[256];
        for (int v = 0; v < 256; v++) values[v] = ((float)v / 255 - mean[c]) / std[c];
        for (size_t i = 0; i < pixels; i++) *out++ = values[rgb[3 * i + (size_t)c]];
    }
}
