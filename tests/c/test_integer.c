/* Products in block integers, those of bytes in every way an engine may do them, against a twin that rounds as
 * integer.h says and sums in double precision; the f32 products with weights of 16-bit integers; and what holds for
 * all: sums that just fit, NaN that is not lost, the same bits for any company of rows and number of threads. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "kernel_data.h"
#include "kernels/gemm.h"
#include "kernels/integer.h"
#include "mudpt.h"

/* Its channels have different sizes. */
static gemm_weight random_weight(int out, int in, int storage, int fast) {
    gemm_weight w = new_weight(out, in, storage, fast);
    for (int o = 0; o < out; o++) {
        float *row = random_floats((size_t)in);
        for (int i = 0; i < in; i++) row[i] *= (float)(1 + o % 5);
        gemm_set_row(&w, o, row, 0);
        free(row);
    }
    return w;
}

/* The integers of a weight, as numbers. */
static double integer_of(const gemm_weight *w, const float *row, int o, int i) {
    return w->scale[o] > 0 ? nearbyint((double)row[i] / w->scale[o]) : 0;
}

/* What a block's integers [INTEGER_BLOCK] are multiplied by. norm: of the other side's blocks, at most */
static float scale_of(const gemm_weight *w, const float *values, float norm) {
    const float left = w->storage == GEMM_QUADS ? 127 : INTEGER_LEFT;
    const float most = 0x1p31f / norm * (1 - 0x1p-18f) - 4;
    float largest = 0, sum[4] = {0}, squares[4] = {0};
    for (int i = 0; i < INTEGER_BLOCK; i++) {
        largest = fmaxf(largest, fabsf(values[i]));
        sum[i % 4] += fabsf(values[i]);
        squares[i % 4] += values[i] * values[i];
    }
    return fmaxf(largest / left + 0x1p-126f, fminf((sum[0] + sum[1] + sum[2] + sum[3]) / INTEGER_SIZES,
                                                   sqrtf(squares[0] + squares[1] + squares[2] + squares[3]) / most));
}

/* gemm_run as integer.h describes it. */
static void twin(const gemm_job *job) {
    const gemm_weight *w = job->weight;
    int depth = job->transposed ? job->count : w->in, columns = job->transposed ? w->in : job->count;
    float *rows = floats((size_t)w->out * w->in);
    for (int o = 0; o < w->out; o++) gemm_get_row(w, o, rows + (size_t)o * w->in);
    float norm = job->transposed ? 8 * INTEGER_RIGHT : 4 * w->norm;
    for (int r = 0; r < job->rows; r++) {
        for (int j = 0; j < columns; j++) {
            double sum = 0;
            for (int k = 0; k < depth; k += INTEGER_BLOCK) {
                int end = k + INTEGER_BLOCK < depth ? k + INTEGER_BLOCK : depth;
                float values[INTEGER_BLOCK] = {0};
                for (int i = k; i < end; i++) {
                    float x = job->a[(size_t)r * job->lda + i];
                    values[i - k] = job->transposed ? x * w->scale[job->first + i] : x;
                }
                float scale = scale_of(w, values, norm);
                double block = 0;
                for (int i = k; i < end; i++) {
                    int o = job->first + (job->transposed ? i : j), input = job->transposed ? j : i;
                    float factor = 1 / scale, scaled = values[i - k] * factor;
                    block += nearbyint(scaled) * integer_of(w, rows + (size_t)o * w->in, o, input);
                }
                sum += block * scale;
            }
            float *c = &job->c[(size_t)r * job->ldc + j];
            if (!job->transposed) sum *= w->scale[job->first + j];
            if (job->bias && !job->transposed) sum += job->bias[job->first + j];
            *c = (float)(job->accumulate ? *c + sum : sum);
        }
    }
    free(rows);
}

/* By the twin or, where integers are not multiplied, the definition; and with integers' tolerance by the definition. */
static void check_integers(const gemm_weight *w, int transposed, int first, int count, int rows, int with_bias,
                           int accumulate, int padding) {
    void (*close)(const gemm_job *) = w->fast ? twin : gemm_naive.run;
    double tolerance = w->storage == GEMM_QUADS ? 2e-2 : w->fast ? 4e-4 : 3e-6;
    check_job(w, transposed, first, count, rows, with_bias, accumulate, padding, tolerance, close, 3e-6);
}

/* dots: of GEMM_QUADS, which have no transposed product */
static const struct {
    int storage, fast, dots;
} kinds[] = {{MUDPT_I16, 0, 0},
             {MUDPT_I16, 1, 0},
             {MUDPT_I8, 1, 0},
             {GEMM_QUADS, 1, DOTS_OF_PAIRS},
             {GEMM_QUADS, 1, DOTS_UNSIGNED},
             {GEMM_QUADS, 1, DOTS_SIGNED}};

/* Products of bytes one way, on an engine that can do it. */
static void use_dots(int dots) {
    integer_dots = (integer_dots_kind)dots;
    integer_engine = dots == DOTS_SIGNED ? DOTS_SIGNED : DOTS_UNSIGNED;
}

static void test_products(void) {
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
        int ways = kinds[kind].storage == GEMM_QUADS ? 1 : 2;
        use_dots(kinds[kind].dots);
        for (int i = 0; i < 100; i++) {
            gemm_weight w =
                random_weight(random_int(1, 150), random_int(1, 150), kinds[kind].storage, kinds[kind].fast);
            int first = random_int(0, (w.out - 1) / 8) * 8, count = random_int(1, w.out - first);
            if (i % 3 == 0) first = 0, count = w.out;
            gemm_tile_panels = i % 3;
            for (int transposed = 0; transposed < ways; transposed++)
                check_integers(&w, transposed, first, count, random_int(0, 40), random_int(0, 1), random_int(0, 1),
                               random_int(0, 1) * 5);
            free_weight(&w);
        }
        /* Several chunks of k, blocks of rows, groups of panels. */
        static const int big[][3] = {{1, 70, 2061}, {3, 1100, 77}, {423, 40, 130}, {6, 9, 4099}};
        for (size_t i = 0; i < sizeof big / sizeof *big; i++) {
            gemm_weight w = random_weight(big[i][1], big[i][2], kinds[kind].storage, kinds[kind].fast);
            for (int transposed = 0; transposed < ways; transposed++)
                check_integers(&w, transposed, 0, w.out, big[i][0], 1, i % 2 == 0, 0);
            if (ways == 2) check_integers(&w, 1, 8, 0, 2, 0, 0, 0);
            free_weight(&w);
        }
    }
    use_dots(DOTS_OF_PAIRS);
}

/* Integers up to the edges of a byte, in blocks whose scale is 1: what comes out is the very integer, or its neighbour
 * that a float holds, in every way; of several chunks as well. */
static void test_bytes(void) {
    static const int shapes[][3] = {{1, 1, 1},     {2, 3, 5},     {3, 8, 63},    {4, 9, 64},   {5, 16, 65},
                                    {7, 17, 130},  {8, 24, 2048}, {9, 1, 2049},  {13, 5, 191}, {31, 40, 256},
                                    {417, 8, 127}, {4, 8, 4},     {1, 33, 4100}, {6, 2, 66}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        int rows = shapes[s][0], out = shapes[s][1], in = shapes[s][2];
        gemm_weight w = new_weight(out, in, GEMM_QUADS, 1);
        float *a = floats((size_t)rows * in), *row = floats((size_t)out * in), *first = NULL;
        for (int edges = 0; edges < 3; edges++) { /* any; the largest of both sides, of one sign; of either */
            for (int i = 0; i < rows * in; i++) {
                int sign = edges == 2 && random_int(0, 1) ? -1 : 1;
                a[i] = (float)(edges ? sign * 127 : i % in % INTEGER_BLOCK ? random_int(-127, 127) : 127);
            }
            for (int i = 0; i < out * in; i++)
                row[i] = (float)(edges == 0 ? random_int(-128, 127) : edges == 1 || random_int(0, 1) ? -128 : 127);
            for (int o = 0; o < out; o++) gemm_set_row(&w, o, row + (size_t)o * in, 1);
            for (int dots = DOTS_OF_PAIRS; dots < DOTS_KINDS; dots++) {
                use_dots(dots);
                float *c = floats((size_t)rows * out);
                gemm_forward(c, a, &w, NULL, rows, 0);
                int wrong = 0;
                for (int r = 0; r < rows; r++) {
                    for (int o = 0; o < out; o++) {
                        int64_t exact = 0;
                        for (int i = 0; i < in; i++)
                            exact += (int64_t)a[(size_t)r * in + i] * (int64_t)row[(size_t)o * in + i];
                        double off = fabs((double)c[(size_t)r * out + o] - (double)exact);
                        wrong += llabs(exact) < 1 << 24 ? off != 0 : off > 64;
                    }
                }
                CHECK(wrong == 0, "%d of %d x %d sums over %d bytes are wrong, dots %d", wrong, rows, out, in, dots);
                CHECK(!first || same_bits(c, first, (size_t)rows * out), "dots %d have bits of their own", dots);
                if (first) free(c);
                else first = c;
            }
            free(first);
            first = NULL;
        }
        free(a);
        free(row);
        free_weight(&w);
    }
    use_dots(DOTS_OF_PAIRS);
}

/* An instruction is used as the engine has it, and not where it is wrong. */
static void test_engines(void) {
    static const int engines[] = {DOTS_UNSIGNED, DOTS_SIGNED, -1};
    for (int e = 0; e < 3; e++) {
        integer_engine = engines[e];
        for (int dots = DOTS_OF_PAIRS; dots < DOTS_KINDS; dots++) {
            integer_dots = (integer_dots_kind)dots;
            int exact = integer_dots_exact(0), wanted = dots == DOTS_OF_PAIRS || dots == engines[e];
            CHECK(exact == wanted && integer_dots == (integer_dots_kind)dots, "engine %d, dots %d: %d", engines[e],
                  dots, exact);
        }
        integer_dots = DOTS_SIGNED; /* forgotten by the measurement */
        float gain;
        CHECK(mudpt_fast_gain(&gain) == MUDPT_OK, "engine %d", engines[e]);
        CHECK((int)integer_dots == engines[e] || integer_dots == DOTS_OF_PAIRS, "engine %d: dots %d", engines[e],
              integer_dots);
    }
    use_dots(DOTS_OF_PAIRS);
}

/* Left sides whose integers' sizes add up to the most there is: alike, all rounded up by a half, and one alone; and
 * weights that are all the largest: a block's sum just fits 32 bits. */
static void test_largest_sums(void) {
    enum { DEPTH = 3 * INTEGER_BLOCK };
    float row[DEPTH], a[DEPTH], c[DEPTH];
    for (int i = 0; i < DEPTH; i++) row[i] = -INTEGER_RIGHT;
    gemm_weight w = random_weight(1, DEPTH, MUDPT_I16, 1), turned = random_weight(INTEGER_BLOCK, 3, MUDPT_I16, 1);
    gemm_set_row(&w, 0, row, 1);
    for (int o = 0; o < INTEGER_BLOCK; o++) gemm_set_row(&turned, o, row, 1);
    for (int kind = 0; kind < 3; kind++) {
        double sum = 0, first = 0;
        for (int i = 0; i < DEPTH; i++) {
            float size = kind == 2 ? (float)(i % 64 == 0) : kind == 1 && i % 64 == 0 ? 2014.5f : 2047.5f;
            a[i] = i < 64 ? size : -size;
            sum -= (double)a[i] * INTEGER_RIGHT;
            if (i < 64) first -= (double)a[i] * INTEGER_RIGHT;
        }
        gemm_run(&(gemm_job){.weight = &w, .count = 1, .rows = 1, .a = a, .lda = DEPTH, .c = c, .ldc = 1});
        CHECK(fabs(c[0] / sum - 1) < 4e-4, "the largest sums: %.9g, expected %.9g", c[0], sum);
        /* From 64 channels: a sum over these. */
        gemm_run(&(gemm_job){
            .weight = &turned, .transposed = 1, .count = 64, .rows = 1, .a = a, .lda = 64, .c = c, .ldc = 3});
        for (int i = 0; i < 3; i++)
            CHECK(fabs(c[i] / first - 1) < 4e-4, "the largest sums, transposed: %.9g, expected %.9g", c[i], first);
    }
    free_weight(&w);
    free_weight(&turned);
}

/* The same of weights that are not the largest, and left sides like them, which give the largest sums there are of two
 * such blocks; of any size, also where f32 cannot hold squares. */
static void test_likeness(void) {
    enum { DEPTH = 2 * INTEGER_BLOCK };
    static const float sizes[] = {1, 1e-22f, 1e-30f, 1e-33f, 1e15f, 1e25f, 1e32f};
    gemm_weight w = random_weight(3, DEPTH, MUDPT_I16, 1);
    int wrong = 0, tried = 0;
    for (int i = 0; i < 2000; i++) {
        float row[DEPTH] = {0}, a[DEPTH] = {0}, c[3], size = sizes[i % 7] * (1 + (float)random_int(0, 999) / 999);
        int spread = random_int(0, 3), depth = random_int(8, INTEGER_BLOCK);
        double sum = 0;
        w.norm = 0;
        for (int k = 0; k < depth; k++) {
            row[k] = (float)(5000 + random_int(0, 1000 * spread));
            a[k] = size * row[k] / 5000;
            sum += (double)a[k] * row[k];
        }
        row[DEPTH - 1] = INTEGER_RIGHT; /* of another block */
        for (int o = 0; o < 3; o++) gemm_set_row(&w, o, row, (float)(i & 1));
        gemm_forward(c, a, &w, NULL, 1, 0);
        for (int o = 0; o < 3; o++, tried++) wrong += !(fabs(c[o] / sum - 1) < 4e-4);
    }
    CHECK(wrong == 0, "%d of %d sums over blocks that are alike are wrong", wrong, tried);
    free_weight(&w);
}

/* Values that are all alike have 13 to 14 bits beside weights that measure what a model's do. */
static void test_precision(void) {
    enum { ROWS = 32, DEPTH = 768, OUT = 64 };
    gemm_weight w = new_weight(OUT, DEPTH, MUDPT_I16, 1);
    float *a = random_floats(ROWS * DEPTH), *c = floats(ROWS * OUT), *want = floats(ROWS * OUT);
    for (int o = 0; o < OUT; o++) {
        float *row = random_floats(DEPTH);
        gemm_set_row(&w, o, row, 0);
        free(row);
    }
    gemm_naive.run(&(gemm_job){.weight = &w, .count = OUT, .rows = ROWS, .a = a, .lda = DEPTH, .c = want, .ldc = OUT});
    gemm_forward(c, a, &w, NULL, ROWS, 0);
    double off = 0, size = 0;
    for (int i = 0; i < ROWS * OUT; i++) {
        off += ((double)c[i] - want[i]) * ((double)c[i] - want[i]);
        size += (double)want[i] * want[i];
    }
    CHECK(sqrt(off / size) < 8e-5, "sums are off by %.2g", sqrt(off / size));
    free(a);
    free(c);
    free(want);
    free_weight(&w);
}

/* A value far above the others of its block costs these little of their bits. */
static void test_outliers(void) {
    enum { ROWS = 40, DEPTH = 256, OUT = 64 };
    gemm_weight w = new_weight(OUT, DEPTH, MUDPT_I16, 1);
    float *a = random_floats(ROWS * DEPTH), *c = floats(ROWS * OUT), *want = floats(ROWS * OUT);
    for (int o = 0; o < OUT; o++) {
        float *row = random_floats(DEPTH);
        for (int i = 5; i < DEPTH; i += INTEGER_BLOCK) row[i] = 0;
        gemm_set_row(&w, o, row, 0);
        free(row);
    }
    for (int r = 0; r < ROWS; r++)
        for (int i = 5; i < DEPTH; i += INTEGER_BLOCK) a[r * DEPTH + i] = r % 2 ? 65 : -65;
    gemm_job job = {.weight = &w, .count = OUT, .rows = ROWS, .a = a, .lda = DEPTH, .c = want, .ldc = OUT};
    gemm_naive.run(&job);
    gemm_forward(c, a, &w, NULL, ROWS, 0);
    double off = 0, size = 0;
    for (int i = 0; i < ROWS * OUT; i++) {
        off += ((double)c[i] - want[i]) * ((double)c[i] - want[i]);
        size += (double)want[i] * want[i];
    }
    CHECK(sqrt(off / size) < 8e-4, "beside values of 65, sums of others are off by %.2g", sqrt(off / size));
    free(a);
    free(c);
    free(want);
    free_weight(&w);
}

static void test_not_finite(void) {
    enum { DEPTH = 150, OUT = 11 };
    for (size_t kind = 1; kind < sizeof kinds / sizeof *kinds; kind++) {
        gemm_weight w = random_weight(OUT, DEPTH, kinds[kind].storage, 1);
        use_dots(kinds[kind].dots);
        const float values[] = {NAN, INFINITY, -INFINITY};
        for (int v = 0; v < 3; v++) {
            float *a = random_floats(2 * DEPTH), *c = floats(2 * DEPTH);
            a[DEPTH + 77] = values[v];
            gemm_forward(c, a, &w, NULL, 2, 0);
            int finite = 0;
            for (int i = 0; i < OUT; i++) finite += isfinite(c[OUT + i]) != 0;
            CHECK(finite == 0 && !any_nan(c, OUT), "%d of %d results are finite where one operand is %g", finite, OUT,
                  values[v]);
            a[OUT + 7] = values[v];
            if (kinds[kind].storage != GEMM_QUADS) {
                gemm_backward(c, a, &w, 2, 0);
                for (int i = 0; i < DEPTH; i++) finite += isfinite(c[DEPTH + i]) != 0;
                CHECK(finite == 0 && !any_nan(c, DEPTH),
                      "transposed: %d of %d results are finite where one operand is %g", finite, DEPTH, values[v]);
            }
            free(a);
            free(c);
        }
        free_weight(&w);
    }
    /* Very small and very large, and nothing at all. */
    gemm_weight w = random_weight(3, 70, MUDPT_I16, 1);
    float a[70] = {0}, c[3];
    gemm_forward(c, a, &w, NULL, 1, 0);
    CHECK(c[0] == 0 && c[1] == 0 && c[2] == 0, "zeros");
    for (int i = 0; i < 70; i++) a[i] = 1e-44f;
    gemm_forward(c, a, &w, NULL, 1, 0);
    CHECK(c[0] == 0, "what is all but zero: %g", c[0]);
    for (int i = 0; i < 70; i++) a[i] = 1e30f;
    float *want = floats(3);
    gemm_naive.run(&(gemm_job){.weight = &w, .count = 3, .rows = 1, .a = a, .lda = 70, .c = want, .ldc = 3});
    gemm_forward(c, a, &w, NULL, 1, 0);
    for (int i = 0; i < 3; i++) CHECK_CLOSE(c[i] / 1e30, want[i] / 1e30, 1e-3, "large values");
    free(want);
    free_weight(&w);
}

/* A row of NaN cannot be kept as integers; it must show. */
static void test_weights(void) {
    gemm_weight w = random_weight(2, 5, MUDPT_I16, 0);
    float back[5];
    gemm_set_row(&w, 0, (float[]){-2 * 16383.0f, 2, 1, 0, 16383}, 0);
    gemm_get_row(&w, 0, back);
    CHECK(w.scale[0] == 2 && back[0] == -32766 && back[1] == 2 && back[2] == 0 && back[4] == 16384, "int16 rounds");
    gemm_set_row(&w, 1, (float[]){0, NAN, 1, 2, 3}, 0);
    gemm_get_row(&w, 1, back);
    CHECK(all_nan(back, 5), "int16 loses NaN");
    free_weight(&w);
}

static void test_threads(void) {
    enum { ROWS = 201, OUT = 300, IN = 520 };
    for (size_t kind = 1; kind < sizeof kinds / sizeof *kinds; kind++) {
        gemm_weight w = random_weight(OUT, IN, kinds[kind].storage, 1);
        float *x = random_floats(ROWS * IN), *one = floats(ROWS * IN), *many = floats(ROWS * IN);
        use_dots(kinds[kind].dots);
        for (int threads = 2; threads <= 4; threads++) {
            for (int back = 0; back < (w.storage == GEMM_QUADS ? 1 : 2); back++) {
                CHECK(parallel_start(1) == MUDPT_OK, "one thread");
                if (back) gemm_backward(one, x, &w, ROWS, 0);
                else gemm_forward(one, x, &w, NULL, ROWS, 0);
                CHECK(parallel_start(threads) == MUDPT_OK, "%d threads", threads);
                if (back) gemm_backward(many, x, &w, ROWS, 0);
                else gemm_forward(many, x, &w, NULL, ROWS, 0);
                CHECK(same_bits(one, many, ROWS * (size_t)(back ? IN : OUT)), "%d threads give other bits", threads);
            }
        }
        parallel_start(1);
        free(x);
        free(one);
        free(many);
        free_weight(&w);
    }
    use_dots(DOTS_OF_PAIRS);
}

/* Both shapes of tile give the same bits, whatever rows and columns are left over, and integers' products, too, come to
 * prefer one. */
static void test_tile_panels(void) {
    static const int sizes[][3] = {{1, 8, 16}, {2, 25, 64}, {7, 40, 33}, {215, 77, 1100}, {419, 24, 2050}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int rows = sizes[i][0], out = sizes[i][1], in = sizes[i][2];
        size_t count = (size_t)rows * (size_t)(out > in ? out : in);
        for (size_t kind = 1; kind < sizeof kinds / sizeof *kinds; kind++) {
            gemm_weight w = random_weight(out, in, kinds[kind].storage, kinds[kind].fast);
            use_dots(kinds[kind].dots);
            float *a = random_floats(count), *bias = random_floats((size_t)out), *results[3];
            for (int transposed = 0; transposed <= (w.storage != GEMM_QUADS); transposed++) {
                for (int panels = 0; panels < 3; panels++) { /* 0: not yet known */
                    float *c = results[panels] = floats(count);
                    for (size_t j = 0; j < count; j++) c[j] = (float)(j % 7);
                    gemm_tile_panels = panels;
                    transposed ? gemm_backward(c, a, &w, rows, 1) : gemm_forward(c, a, &w, bias, rows, 1);
                    CHECK(same_bits(results[0], c, count), "%d x %d x %d, kind %d, transposed %d, by %d panels", rows,
                          in, out, (int)kind, transposed, panels);
                }
                for (int panels = 0; panels < 3; panels++) free(results[panels]);
            }
            free_weight(&w);
            free(a);
            free(bias);
        }
    }
    use_dots(DOTS_OF_PAIRS);
    gemm_tile_panels = 0;
    gemm_weight w = random_weight(64, 256, MUDPT_I16, 1);
    float *a = random_floats(416 * 256), *c = floats(416 * 64);
    for (int i = 0; i < 100000 && !gemm_tile_panels; i++) gemm_forward(c, a, &w, NULL, 416, 0);
    CHECK(gemm_tile_panels == 1 || gemm_tile_panels == 2, "integers' products of many seconds decide nothing");
    gemm_tile_panels = 0;
    free_weight(&w);
    free(a);
    free(c);
}

static int runs[3]; /* of products in f32, by how many panels a tile had */

static void note_tile(const gemm_job *job) {
    if (!job->weight->fast) runs[gemm_tile_panels]++;
    gemm_simd.run(job);
}

/* Whether integers are faster is asked of f32's tiles as they will be, and leaves open which these are. */
static void test_gain(void) {
    const gemm_backend noting = {"noting", gemm_simd.prepare, note_tile, gemm_simd.release};
    gemm_use(&noting);
    for (int chosen = 0; chosen <= 2; chosen++) {
        float gain = 0;
        memset(runs, 0, sizeof runs);
        gemm_tile_panels = chosen;
        CHECK(mudpt_fast_gain(&gain) == MUDPT_OK && gain > 0 && gain < 1000, "a gain of %g", gain);
        CHECK(gemm_tile_panels == chosen, "tiles of %d panels were chosen by the way", gemm_tile_panels);
        for (int panels = 0; panels <= 2; panels++)
            CHECK((runs[panels] > 0) == (chosen ? panels == chosen : panels > 0), "%d chosen: %d products by %d",
                  chosen, runs[panels], panels);
    }
    gemm_tile_panels = 0;
    gemm_use(&gemm_simd);
}

int main(void) {
    rng_seed(&random_numbers, 3, 0);
    CHECK(gemm_reserve(4100) == MUDPT_OK, "gemm_reserve");
    test_weights();
    test_products();
    test_bytes();
    test_engines();
    test_largest_sums();
    test_likeness();
    test_precision();
    test_outliers();
    test_not_finite();
    test_tile_panels();
    test_threads();
    test_gain();
    return check_report();
}
