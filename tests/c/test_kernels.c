/* Every kernel against its naive twin on odd sizes, the twins' gradients against finite differences, and what all
 * kernels promise: the same bits for any number of threads, NaN never lost. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "check.h"
#include "kernel_data.h"
#include "kernels/activation.h"
#include "kernels/attention.h"
#include "kernels/exp.h"
#include "kernels/gemm.h"
#include "kernels/layernorm.h"
#include "kernels/naive.h"
#include "kernels/panels.h"
#include "kernels/softmax.h"
#include "mudpt.h"

/* ------------------------------------------------------------------------------------------------ weights */

static gemm_weight random_weight(int out, int in, int storage) {
    gemm_weight w = new_weight(out, in, storage, 0);
    for (int o = 0; o < out; o++) {
        float *row = random_floats((size_t)in);
        gemm_set_row(&w, o, row, 0);
        free(row);
    }
    return w;
}

static float half_value(unsigned half) {
    int exponent = half >> 10 & 31, mantissa = half & 0x3ff;
    double size = exponent == 31 ? (mantissa ? NAN : INFINITY)
                  : exponent     ? ldexp(1024 + mantissa, exponent - 25)
                                 : ldexp(mantissa, -24);
    return (float)(half & 0x8000 ? -size : size);
}

static void test_halves(void) {
    /* Every half, through both unpackers. */
    enum { IN = 8192 };
    gemm_weight w = new_weight(8, IN, MUDPT_F16, 0);
    for (unsigned h = 0; h < 65536; h++) ((uint16_t *)w.panels)[h] = (uint16_t)h;
    float *straight = take(65536 * sizeof(float)), *turned = take(64 * sizeof(float)), *row = floats(IN);
    for (w.special = 0; w.special < 2; w.special++) { /* without it there is neither infinity nor NaN */
        panels_unpacker(&w, 0)(straight, &w, 0, 1, 0, IN);
        int wrong = 0;
        for (unsigned h = 0; h < 65536; h++) {
            float want = half_value(h);
            if (want != want ? straight[h] == straight[h] : !same_bits(&straight[h], &want, 1))
                wrong += w.special || isfinite(want);
        }
        CHECK(wrong == 0, "%d of 65536 halves widened wrongly", wrong);
        wrong = 0;
        for (int panel = 0; panel < IN / 8; panel++) {
            panels_unpacker(&w, 1)(turned, &w, panel, 1, 0, 8);
            for (int o = 0; o < 8; o++)
                for (int i = 0; i < 8; i++)
                    wrong += memcmp(&turned[o * 8 + i], &straight[(panel * 8 + i) * 8 + o], sizeof(float)) != 0;
        }
        CHECK(wrong == 0, "%d of 65536 halves transposed wrongly", wrong);
    }
    int wrong = 0;
    for (int o = 0; o < 8; o++) {
        gemm_get_row(&w, o, row);
        for (int i = 0; i < IN; i++)
            wrong += row[i] != straight[i * 8 + o] && (row[i] == row[i] || straight[i * 8 + o] == straight[i * 8 + o]);
    }
    CHECK(wrong == 0, "%d of 65536 halves read wrongly by gemm_get_row", wrong);

    /* Narrowing: every half comes back; between two neighbours the nearer one, the even one from the middle. */
    gemm_weight one = new_weight(1, 4, MUDPT_F16, 0);
    wrong = 0;
    for (unsigned h = 0; h < 65536; h++) {
        float value = half_value(h), next = half_value(h + 1), middle = (value + next) / 2;
        if (value != value) continue;
        if ((h & 0x7fff) == 0x7bff)
            next = h & 0x8000 ? -INFINITY : INFINITY, middle = h & 0x8000 ? -65520.0f : 65520.0f;
        if ((h & 0x7fff) >= 0x7c00) middle = next = value;
        gemm_set_row(&one, 0, (float[]){value, middle, nextafterf(middle, value), nextafterf(middle, next)}, 0);
        const uint16_t *got = one.panels;
        unsigned up = (h & 0x7fff) >= 0x7c00 ? h : h + 1, even = h & 1 ? up : h;
        wrong += got[0] != h || got[8] != even || got[16] != h || got[24] != up;
    }
    CHECK(wrong == 0, "%d of 65536 halves rounded wrongly", wrong);
    gemm_set_row(&one, 0, (float[]){NAN, 1e30f, -1e30f, 1e-30f}, 0);
    gemm_get_row(&one, 0, row);
    CHECK(row[0] != row[0] && row[1] == INFINITY && row[2] == -INFINITY && row[3] == 0, "f16 loses NaN or infinity");
    free_weight(&w);
    free_weight(&one);
    free(straight);
    free(turned);
    free(row);
}

static void test_int8(void) {
    gemm_weight w = new_weight(3, 5, MUDPT_I8, 0);
    float back[5];
    gemm_set_row(&w, 1, (float[]){-254, 2, 1, 0, 127}, 0);
    CHECK(w.scale[1] == 2, "scale of a row whose largest value is 254 is %g", w.scale[1]);
    gemm_get_row(&w, 1, back);
    CHECK(back[0] == -254 && back[1] == 2 && back[2] == 0 && back[3] == 0 && back[4] == 128, "int8 rounds wrongly");
    gemm_set_row(&w, 0, (float[]){-64, 63.5f, 1, -0.5f, 1000}, 0.5f);
    gemm_get_row(&w, 0, back);
    CHECK(back[0] == -64 && back[1] == 63.5f && back[2] == 1 && back[3] == -0.5f && back[4] == 63.5f,
          "int8 with a given scale");
    gemm_set_row(&w, 2, (float[]){0, 0, 0, 0, 0}, 0);
    gemm_get_row(&w, 2, back);
    CHECK(back[0] == 0 && back[4] == 0, "int8 row of zeros");
    gemm_set_row(&w, 2, (float[]){0, 1, NAN, 2, 0}, 0);
    gemm_get_row(&w, 2, back);
    CHECK(all_nan(back, 5), "int8 loses NaN");
    free_weight(&w);
}

/* ------------------------------------------------------------------------------------------------ matrix products */

static void test_gemm(void) {
    CHECK(gemm_reserve(1200) == MUDPT_OK, "gemm_reserve");
    for (int storage = MUDPT_F32; storage <= MUDPT_I8; storage++) {
        for (int i = 0; i < 150; i++) {
            gemm_weight w = random_weight(random_int(1, 70), random_int(1, 70), storage);
            int first = random_int(0, (w.out - 1) / 8) * 8, count = random_int(1, w.out - first);
            if (i % 3 == 0) first = 0, count = w.out;
            for (int transposed = 0; transposed < 2; transposed++)
                check_job(&w, transposed, first, count, random_int(0, 70), random_int(0, 1), random_int(0, 1),
                          random_int(0, 1) * 5, 1e-6, NULL, 0);
            free_weight(&w);
        }
        /* Several chunks of k, blocks of rows, groups of panels; 1 to 3 rows alone. */
        static const int big[][3] = {{1, 300, 600}, {2, 77, 1100}, {3, 515, 300}, {215, 130, 520}, {530, 70, 261}};
        for (size_t i = 0; i < sizeof big / sizeof *big; i++) {
            gemm_weight w = random_weight(big[i][1], big[i][2], storage);
            for (int transposed = 0; transposed < 2; transposed++)
                check_job(&w, transposed, 0, w.out, big[i][0], 1, i % 2 == 0, 0, 1e-6, NULL, 0);
            check_job(&w, 1, 8, 0, 2, 0, 0, 0, 1e-6, NULL, 0);
            free_weight(&w);
        }
    }
    /* The helpers: x W' + bias, and dy W. */
    gemm_weight w = random_weight(11, 13, MUDPT_F32);
    float *x = random_floats(5 * 13), *dy = random_floats(5 * 11), *bias = random_floats(11), *row = floats(13);
    float *y = floats(5 * 11), *want = floats(5 * 11), *dx = floats(5 * 13), *dwant = floats(5 * 13);
    float *plain = floats(11 * 13);
    for (int o = 0; o < 11; o++) gemm_get_row(&w, o, plain + o * 13);
    naive_gemm_dense(want, 11, x, 13, 1, plain, 1, 13, 5, 11, 13, 0);
    for (int i = 0; i < 5 * 11; i++) want[i] += bias[i % 11];
    naive_gemm_dense(dwant, 13, dy, 11, 1, plain, 13, 1, 5, 13, 11, 0);
    const gemm_backend *backends[] = {&gemm_naive, &gemm_simd};
    for (int i = 0; i < 2; i++) {
        gemm_use(backends[i]);
        CHECK(gemm_current() == backends[i], "gemm_use");
        gemm_forward(y, x, &w, bias, 5, 0);
        gemm_backward(dx, dy, &w, 5, 0);
        check_close("gemm_forward", y, want, 5 * 11, 1e-6);
        check_close("gemm_backward", dx, dwant, 5 * 13, 1e-6);
    }
    free_weight(&w);
    float *all[] = {x, dy, bias, row, y, want, dx, dwant, plain};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

/* Both shapes of tile give the same bits, and products come to prefer one. */
static void test_tile_panels(void) {
    static const int sizes[][3] = {{4, 8, 16}, {7, 40, 33}, {215, 77, 1100}, {419, 24, 520}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int rows = sizes[i][0], out = sizes[i][1], in = sizes[i][2];
        size_t count = (size_t)rows * (size_t)(out > in ? out : in);
        for (int storage = MUDPT_F32; storage <= MUDPT_I8; storage++) {
            gemm_weight w = random_weight(out, in, storage);
            float *a = random_floats(count), *one = floats(count), *other = floats(count);
            for (int transposed = 0; transposed < 2; transposed++) {
                float *results[] = {one, other, other};
                for (int panels = 1; panels <= 3; panels++) { /* the last: not yet known */
                    gemm_tile_panels = panels % 3;
                    (transposed ? gemm_backward(results[panels - 1], a, &w, rows, 0)
                                : gemm_forward(results[panels - 1], a, &w, NULL, rows, 0));
                    CHECK(same_bits(one, results[panels - 1], (size_t)rows * (size_t)(transposed ? in : out)),
                          "%d x %d x %d, storage %d, transposed %d, by %d panels", rows, in, out, storage, transposed,
                          panels % 3);
                }
            }
            free_weight(&w);
            free(a);
            free(one);
            free(other);
        }
    }
    gemm_tile_panels = 0;
    gemm_weight w = random_weight(64, 256, MUDPT_F32);
    float *a = random_floats(416 * 256), *c = floats(416 * 64);
    for (int i = 0; i < 100000 && !gemm_tile_panels; i++) gemm_forward(c, a, &w, NULL, 416, 0);
    CHECK(gemm_tile_panels == 1 || gemm_tile_panels == 2, "products of many seconds decide nothing");
    free_weight(&w);
    free(a);
    free(c);
}

static void check_dense(int m, int n, int k, int a_turned, int b_turned, int spread, int accumulate) {
    /* A [m, k] or its transpose, with unused columns and, where spread is 2, unused values between. */
    int a_outer = (a_turned ? m : k) * spread + 3, b_outer = (b_turned ? k : n) * spread + 1, ldc = n + 2;
    float *a = random_floats((size_t)(a_turned ? k : m) * a_outer),
          *b = random_floats((size_t)(b_turned ? n : k) * b_outer);
    float *c = random_floats((size_t)m * ldc), *want = copy_of(c, (size_t)m * ldc);
    int a_row = a_turned ? spread : a_outer, a_col = a_turned ? a_outer : spread;
    int b_row = b_turned ? spread : b_outer, b_col = b_turned ? b_outer : spread;
    gemm_dense(c, ldc, a, a_row, a_col, b, b_row, b_col, m, n, k, accumulate);
    naive_gemm_dense(want, ldc, a, a_row, a_col, b, b_row, b_col, m, n, k, accumulate);
    char what[120];
    snprintf(what, sizeof what, "gemm_dense %d x %d x %d, turned %d %d, spread %d, accumulate %d", m, n, k, a_turned,
             b_turned, spread, accumulate);
    check_close(what, c, want, (size_t)m * ldc, 1e-6 * sqrt(k + 1));
    free(a);
    free(b);
    free(c);
    free(want);
}

static void test_gemm_dense(void) {
    CHECK(gemm_reserve_dense(600, 600) == MUDPT_OK, "gemm_reserve_dense");
    for (int i = 0; i < 300; i++)
        check_dense(random_int(0, 70), random_int(1, 70), random_int(0, 70), i & 1, i >> 1 & 1, 1 + (i % 5 == 0),
                    random_int(0, 1));
    check_dense(520, 66, 300, 1, 0, 1, 1);
    check_dense(66, 520, 9, 1, 0, 1, 0);
    check_dense(1, 600, 600, 0, 1, 1, 0);
}

/* ------------------------------------------------------------------------------------------------ elements and rows */

static void test_exp(void) {
    double worst = 0;
    float at = 0;
    for (double x = -87.3; x <= 88.3; x += 1.37e-4) {
        float argument = (float)x;
        double got = wasm_f32x4_extract_lane(exp_f32x4(wasm_f32x4_splat(argument)), 1), want = exp(argument);
        double error = fabs(got - want) / want;
        if (!(error <= worst)) worst = error, at = argument;
    }
    CHECK(worst < 2e-7, "exp: relative error %.3g at %g", worst, at);
    float values[4];
    wasm_v128_store(values, exp_f32x4(wasm_f32x4_make(-1e30f, -INFINITY, 0, NAN)));
    CHECK(values[0] >= 0 && values[0] < 2e-38f && values[1] >= 0 && values[1] < 2e-38f, "exp of very negative numbers");
    CHECK(values[2] == 1 && values[3] != values[3], "exp(0) = %g, exp(NaN) = %g", values[2], values[3]);
    /* NaN with any payload. */
    for (uint32_t bits = 0x7f800001; bits < 0x7fffffff; bits += 99991) {
        float nan;
        memcpy(&nan, &bits, 4);
        float got = wasm_f32x4_extract_lane(exp_f32x4(wasm_f32x4_splat(nan)), 2);
        if (got == got) CHECK(0, "exp of NaN %x is a number", (unsigned)bits);
    }
}

static void test_softmax(void) {
    for (int count = 1; count <= 70; count++) {
        float *s = random_floats((size_t)count), *p = floats((size_t)count), *want = floats((size_t)count);
        for (int i = 0; i < count; i++) s[i] = s[i] * 30 + (count % 3 == 0 ? 500 : 0);
        float log_sum = naive_softmax_row(want, s, count);
        CHECK_CLOSE(softmax_row(p, s, count), log_sum, 1e-6 * (1 + fabs(log_sum)), "log of the sum, %d values", count);
        check_close("softmax", p, want, (size_t)count, 1e-6);
        float *in_place = copy_of(s, (size_t)count);
        softmax_row(in_place, in_place, count);
        CHECK(same_bits(p, in_place, (size_t)count), "softmax in place, %d values", count);
        s[random_int(0, count - 1)] = NAN;
        log_sum = softmax_row(p, s, count);
        CHECK(all_nan(p, (size_t)count) && log_sum != log_sum, "softmax loses NaN, %d values", count);
        free(s);
        free(p);
        free(want);
        free(in_place);
    }
}

static const char *const activations[] = {
    [MUDPT_QUICK_GELU] = "quickgelu", [MUDPT_GELU] = "gelu", [MUDPT_GELU_TANH] = "gelu_tanh"};

static void test_activation(int kind) {
    const char *name = activations[kind];
    size_t sizes[] = {0, 1, 2, 3, 4, 5, 7, 63, 66, 16383, 16385, 40000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t count = sizes[i];
        float *x = random_floats(count), *dy = random_floats(count), *y = floats(count), *want = floats(count);
        for (size_t j = 0; j < count; j++) x[j] *= j % 7 == 0 ? 30 : 3;
        activation_forward(kind, y, x, count);
        naive_activation_forward(kind, want, x, count);
        check_close(name, y, want, count, 3e-7);
        activation_backward(kind, y, dy, x, count);
        naive_activation_backward(kind, want, dy, x, count);
        check_close(name, y, want, count, 1e-6);
        activation_backward(kind, dy, dy, x, count);
        CHECK(same_bits(dy, y, count), "%s backward in place", name);
        activation_forward(kind, y, x, count);
        activation_forward(kind, x, x, count);
        CHECK(same_bits(x, y, count), "%s forward in place", name);
        free(x);
        free(dy);
        free(y);
        free(want);
    }
    float x[7] = {0, 1, NAN, 2, -200, 200, NAN}, dy[7] = {1, NAN, 1, 1, 1, 1, 1}, y[7];
    activation_forward(kind, y, x, 7);
    CHECK(y[2] != y[2] && y[6] != y[6] && !any_nan(y, 2) && !any_nan(y + 3, 3), "%s forward and NaN", name);
    CHECK(fabsf(y[4]) < 1e-30f && y[5] == 200, "%s far out: %g, %g", name, y[4], y[5]);
    activation_backward(kind, y, dy, x, 7);
    CHECK(y[1] != y[1] && y[2] != y[2] && y[6] != y[6] && y[3] == y[3], "%s backward and NaN", name);
    CHECK(fabsf(y[4]) < 1e-30f && y[5] == 1, "%s's derivative far out: %g, %g", name, y[4], y[5]);
    float huge[4] = {-1e30f, 1e30f, -INFINITY, INFINITY};
    activation_forward(kind, y, huge, 4);
    CHECK(fabsf(y[0]) < 1e-5f && y[1] == 1e30f && !isfinite(y[2]) && !isfinite(y[3]), "%s of what is huge", name);
    activation_backward(kind, y, dy + 2, huge, 2);
    CHECK(fabsf(y[0]) < 1e-5f && y[1] == 1, "%s's derivative at what is huge: %g, %g", name, y[0], y[1]);
    /* Finite differences of the naive twin. */
    for (float at = -6; at < 6; at += 0.37f) {
        float two[2] = {at - 1e-2f, at + 1e-2f}, one = 1, derivative;
        naive_activation_forward(kind, two, two, 2);
        naive_activation_backward(kind, &derivative, &one, &at, 1);
        CHECK_CLOSE(derivative, (two[1] - two[0]) / 2e-2, 2e-4, "%s's derivative at %g", name, at);
    }
}

/* Both GELUs and their derivatives, in double. */
static double exact_gelu(int kind, double x, int derivative) {
    const double root = sqrt(2 / 3.14159265358979323846);
    double z = 2 * root * (x + 0.044715 * x * x * x), rise = 2 * root * (1 + 3 * 0.044715 * x * x);
    double share = kind == MUDPT_GELU ? 0.5 * erfc(-x / sqrt(2)) : 1 / (1 + exp(-z));
    double slope = kind == MUDPT_GELU ? exp(-x * x / 2) * root / 2 : rise * share / (1 + exp(z));
    return derivative ? share + x * slope : x * share;
}

/* What kernels/activation.h says of them, on a quarter of a million places. */
static void test_gelu_error(void) {
    enum { PLACES = 1 << 18 };
    float *x = floats(PLACES), *y = floats(PLACES), *ones = floats(PLACES);
    for (int i = 0; i < PLACES; i++) {
        x[i] = 24.0f * (float)i / PLACES - 12;
        ones[i] = 1;
    }
    for (int kind = MUDPT_GELU; kind <= MUDPT_GELU_TANH; kind++)
        for (int derivative = 0; derivative < 2; derivative++) {
            double worst = 0;
            if (derivative) activation_backward(kind, y, ones, x, PLACES);
            else activation_forward(kind, y, x, PLACES);
            for (int i = 0; i < PLACES; i++) {
                double right = exact_gelu(kind, x[i], derivative),
                       allowed = derivative || x[i] < 4 ? 2e-7 : 8e-8 * right;
                worst = fmax(worst, fabs(y[i] - right) / allowed);
            }
            CHECK(worst <= 1, "%s%s is off by %g of what it may", activations[kind], derivative ? "'" : "", worst);
        }
    free(x);
    free(y);
    free(ones);
}

static void test_layernorm(void) {
    for (int d = 1; d <= 70; d += d < 20 ? 1 : 7) {
        int rows = d % 5 == 0 ? 0 : random_int(1, 40);
        size_t count = (size_t)rows * d;
        float *x = random_floats(count), *gain = random_floats(d), *bias = random_floats(d), *dy = random_floats(count);
        float *y = floats(count), *xhat = floats(count), *rstd = floats(rows), *dx = random_floats(count);
        float *y2 = floats(count), *xhat2 = floats(count), *rstd2 = floats(rows), *dx2 = copy_of(dx, count);
        for (size_t i = 0; i < count; i++) x[i] = x[i] * 3 + 1;
        float epsilon = d % 2 ? LAYERNORM_EPSILON : 0.01f;
        naive_layernorm_forward(y2, xhat2, rstd2, x, gain, bias, rows, d, epsilon);
        layernorm_forward(y, xhat, rstd, x, gain, bias, rows, d, epsilon);
        double tolerance = d == 1 ? 1e-3 : 1e-5; /* one value: nothing is left but rounding, times 316 */
        check_close("layernorm_forward y", y, y2, count, tolerance);
        check_close("layernorm_forward xhat", xhat, xhat2, count, tolerance);
        check_close("layernorm_forward rstd", rstd, rstd2, (size_t)rows, 1e-5);
        for (int accumulate = 0; accumulate < 2; accumulate++) {
            naive_layernorm_backward(dx2, dy, xhat2, rstd2, gain, rows, d, accumulate);
            layernorm_backward(dx, dy, xhat2, rstd2, gain, rows, d, accumulate);
            check_close("layernorm_backward", dx, dx2, count, 1e-5);
        }
        float *dgain = random_floats(d), *dbias = random_floats(d), *dgain2 = copy_of(dgain, d),
              *dbias2 = copy_of(dbias, d);
        naive_layernorm_backward_parameters(dgain2, dbias2, dy, xhat2, rows, d);
        layernorm_backward_parameters(dgain, dbias, dy, xhat2, rows, d);
        check_close("layernorm_backward_parameters gain", dgain, dgain2, (size_t)d, 1e-5);
        check_close("layernorm_backward_parameters bias", dbias, dbias2, (size_t)d, 1e-5);
        /* Without what backward needs, and in place. */
        layernorm_forward(y2, NULL, NULL, x, gain, bias, rows, d, epsilon);
        CHECK(same_bits(y, y2, count), "layernorm_forward without xhat");
        layernorm_forward(x, NULL, NULL, x, gain, bias, rows, d, epsilon);
        CHECK(same_bits(y, x, count), "layernorm_forward in place");
        layernorm_backward(dx, dy, xhat, rstd, gain, rows, d, 0);
        layernorm_backward(dy, dy, xhat, rstd, gain, rows, d, 0);
        CHECK(same_bits(dx, dy, count), "layernorm_backward in place");
        float *all[] = {x, gain, bias, dy, y, xhat, rstd, dx, y2, xhat2, rstd2, dx2, dgain, dbias, dgain2, dbias2};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    }
    /* NaN fills its own row and no other. */
    enum { D = 9 };
    float x[3 * D], gain[D], bias[D], y[3 * D], xhat[3 * D], rstd[3];
    for (int i = 0; i < 3 * D; i++) x[i] = (float)i;
    for (int i = 0; i < D; i++) gain[i] = 1, bias[i] = 0;
    x[D + 8] = NAN;
    layernorm_forward(y, xhat, rstd, x, gain, bias, 3, D, LAYERNORM_EPSILON);
    CHECK(all_nan(y + D, D) && !any_nan(y, D) && !any_nan(y + 2 * D, D), "layernorm_forward and NaN");
}

/* Gradients of the naive twin against differences of its forward: loss = sum of weights * y. */
static double layernorm_loss(const float *x, const float *gain, const float *bias, const float *weights, int rows,
                             int d) {
    float *y = floats((size_t)rows * d);
    double loss = 0;
    naive_layernorm_forward(y, NULL, NULL, x, gain, bias, rows, d, LAYERNORM_EPSILON);
    for (int i = 0; i < rows * d; i++) loss += (double)weights[i] * y[i];
    free(y);
    return loss;
}

static void test_layernorm_differences(void) {
    enum { ROWS = 3, D = 11 };
    float *x = random_floats(ROWS * D), *gain = random_floats(D), *bias = random_floats(D),
          *dy = random_floats(ROWS * D);
    float y[ROWS * D], xhat[ROWS * D], rstd[ROWS], dx[ROWS * D], dgain[D] = {0}, dbias[D] = {0};
    naive_layernorm_forward(y, xhat, rstd, x, gain, bias, ROWS, D, LAYERNORM_EPSILON);
    naive_layernorm_backward(dx, dy, xhat, rstd, gain, ROWS, D, 0);
    naive_layernorm_backward_parameters(dgain, dbias, dy, xhat, ROWS, D);
    struct {
        const char *name;
        float *values, *gradient;
        int count;
    } of[] = {{"x", x, dx, ROWS * D}, {"gain", gain, dgain, D}, {"bias", bias, dbias, D}};
    for (int which = 0; which < 3; which++) {
        for (int i = 0; i < of[which].count; i++) {
            float *value = &of[which].values[i], kept = *value, step = 1e-2f;
            *value = kept + step;
            double up = layernorm_loss(x, gain, bias, dy, ROWS, D);
            *value = kept - step;
            double down = layernorm_loss(x, gain, bias, dy, ROWS, D);
            *value = kept;
            CHECK_CLOSE(of[which].gradient[i], (up - down) / (2 * (double)step), 2e-3, "layernorm's gradient of %s[%d]",
                        of[which].name, i);
        }
    }
    free(x);
    free(gain);
    free(bias);
    free(dy);
}

/* ------------------------------------------------------------------------------------------------ promises of all */

static void test_nan(void) {
    enum { OUT = 21, IN = 19, ROWS = 6 };
    for (int storage = MUDPT_F32; storage <= MUDPT_I8; storage++) {
        gemm_weight w = random_weight(OUT, IN, storage);
        float *x = random_floats(ROWS * IN), *y = floats(ROWS * OUT), *dy = random_floats(ROWS * OUT),
              *dx = floats(ROWS * IN);
        x[4 * IN + 18] = NAN;
        dy[5 * OUT + 20] = NAN;
        gemm_forward(y, x, &w, NULL, ROWS, 0);
        gemm_backward(dx, dy, &w, ROWS, 0);
        CHECK(all_nan(y + 4 * OUT, OUT) && !any_nan(y, 4 * OUT) && !any_nan(y + 5 * OUT, OUT),
              "gemm_forward and NaN in x");
        CHECK(all_nan(dx + 5 * IN, IN) && !any_nan(dx, 5 * IN), "gemm_backward and NaN in dy");
        float *row = random_floats(IN);
        row[3] = NAN;
        gemm_set_row(&w, 20, row, 0);
        x[4 * IN + 18] = 1;
        gemm_forward(y, x, &w, NULL, ROWS, 0);
        for (int r = 0; r < ROWS; r++)
            CHECK(y[r * OUT + 20] != y[r * OUT + 20] && !any_nan(y + r * OUT, 20), "gemm_forward and NaN in W (%s)",
                  storage_name(storage));
        free_weight(&w);
        free(x);
        free(y);
        free(dy);
        free(dx);
        free(row);
    }
    /* Attention: NaN in a query spoils that query; in a key or value, at least all queries that see it; and no other
     * head. */
    for (int which = 0; which < 3; which++) {
        attention_case t = new_attention(2, 8, 1, 0, 1, 11, 0);
        float *victim = which == 0   ? &t.q[6 * t.width + 3]
                        : which == 1 ? &t.k[6 * t.stride + 3]
                                     : &t.v[6 * t.stride + 3];
        *victim = NAN;
        attention_forward(t.out, t.q, t.k, t.v, NULL, NULL, t.stride, &t.shape);
        for (int query = 0; query < 11; query++) {
            const float *row = t.out + query * t.width;
            int spoiled = which == 0 ? query == 6 : query >= 6;
            CHECK((which == 2 && !spoiled) || spoiled == any_nan(row, 8), "attention_forward and NaN in %c, query %d",
                  "qkv"[which], query);
            CHECK(!any_nan(row + 8, 8), "attention_forward: NaN in %c reaches another head", "qkv"[which]);
        }
        attention_backward(t.dq, t.dk, t.dv, NULL, NULL, t.dout, t.q, t.k, t.v, NULL, NULL, t.stride, &t.shape, 0);
        CHECK(any_nan(t.dq, (size_t)t.queries * t.width) && any_nan(t.dk, (size_t)t.keys * t.stride),
              "attention_backward loses NaN in %c", "qkv"[which]);
        free_attention(&t);
    }
}

/* Runs every kernel on the same numbers; appends all results. */
static size_t run_all(float *results) {
    size_t at = 0;
    rng_seed(&random_numbers, 77, 0);
    for (int storage = MUDPT_F32; storage <= MUDPT_I8; storage++) {
        enum { OUT = 203, IN = 300, ROWS = 261 };
        gemm_weight w = random_weight(OUT, IN, storage);
        float *x = random_floats(ROWS * IN), *dy = random_floats(ROWS * OUT), *bias = random_floats(OUT);
        gemm_forward(results + at, x, &w, bias, ROWS, 0);
        at += ROWS * OUT;
        gemm_backward(results + at, dy, &w, ROWS, 0);
        at += ROWS * IN;
        gemm_dense(results + at, IN, dy, 1, OUT, x, IN, 1, OUT, IN, ROWS, 0);
        at += OUT * IN;
        layernorm_forward(results + at, results + at + ROWS * IN, results + at + 2 * ROWS * IN, x, x, x + IN, ROWS, IN,
                          LAYERNORM_EPSILON);
        layernorm_backward(results + at + 2 * ROWS * IN + ROWS, x, results + at + ROWS * IN,
                           results + at + 2 * ROWS * IN, x, ROWS, IN, 0);
        float *hat = results + at + ROWS * IN;
        at += 3 * ROWS * IN + ROWS;
        memset(results + at, 0, sizeof(float) * 2 * IN);
        layernorm_backward_parameters(results + at, results + at + IN, x, hat, ROWS, IN);
        at += 2 * IN;
        activation_forward(MUDPT_QUICK_GELU, results + at, x, ROWS * IN);
        at += ROWS * IN;
        activation_backward(MUDPT_QUICK_GELU, results + at, x, x, ROWS * IN);
        at += ROWS * IN;
        free_weight(&w);
        free(x);
        free(dy);
        free(bias);
    }
    for (int prefix = 0; prefix < 4; prefix += 3) {
        attention_case t = new_attention(3, 12, 20, prefix, 1, 0, 0);
        attention_forward(t.out, t.q, t.k, t.v, t.prefix_k, t.prefix_v, t.stride, &t.shape);
        attention_backward(t.dq, t.dk, t.dv, t.dprefix_k, t.dprefix_v, t.dout, t.q, t.k, t.v, t.prefix_k, t.prefix_v,
                           t.stride, &t.shape, 0);
        const float *parts[] = {t.out, t.dq, t.dk, t.dv, t.dprefix_k, t.dprefix_v};
        size_t queries = (size_t)t.queries * t.width, keys = (size_t)t.keys * t.stride,
               before = (size_t)prefix * t.stride;
        size_t counts[] = {queries, queries, keys, keys, before, before};
        for (int i = 0; i < 6; i++) {
            memcpy(results + at, parts[i], counts[i] * sizeof(float));
            at += counts[i];
        }
        free_attention(&t);
    }
    return at;
}

static void test_threads(void) {
    enum { ROOM = 4000000 };
    float *want = floats(ROOM), *got = floats(ROOM);
    CHECK(gemm_reserve(300) == MUDPT_OK && gemm_reserve_dense(300, 300) == MUDPT_OK, "reserve");
    size_t count = run_all(want);
    CHECK(count < ROOM, "%zu results", count);
    static const int threads[] = {2, 3, 8, 1};
    for (int i = 0; i < 4; i++) {
        CHECK(parallel_start(threads[i]) == MUDPT_OK, "parallel_start(%d)", threads[i]);
        CHECK(run_all(got) == count && same_bits(got, want, count), "%d threads: other results than one", threads[i]);
    }
    free(want);
    free(got);
}

/* What is on one thread, which the thread sanitizer has nothing to say of. */
static void test_alone(void) {
    test_halves();
    test_int8();
    test_exp();
    test_softmax();
    for (int kind = MUDPT_QUICK_GELU; kind <= MUDPT_GELU_TANH; kind++) test_activation(kind);
    test_gelu_error();
    test_layernorm();
    test_layernorm_differences();
    test_gemm();
    gemm_tile_panels = 2;
    test_gemm();
    test_tile_panels();
    for (gemm_tile_panels = 1; gemm_tile_panels <= 2; gemm_tile_panels++) test_gemm_dense();
    gemm_tile_panels = 0;
    test_nan();
}

int main(void) {
    rng_seed(&random_numbers, 1, 0);
#ifdef __SANITIZE_THREAD__
    if (!is_short()) test_alone();
#else
    test_alone();
#endif
    test_threads();
    return check_report();
}
